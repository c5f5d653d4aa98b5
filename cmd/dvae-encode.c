/* SPDX-License-Identifier: MIT */
/* dvae-encode -- pictures to image tokens.  Pair sources, or an archive on stdin; stdout: image tokens (.tok). */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/par.h"
#include "base/progress.h"
#include "cmd/tool.h"
#include "format/run.h"
#include "format/tok.h"
#include "image/stream.h"
#include "model/dvae.h"

static const char *output, *model, *rejects_path, *summary, *device_name = "cpu", *precision = "f32";
static int64_t batch = 16, crops, size, downs, seed, threads, max_pixels = IMAGE_PIXELS_MAX, max_bytes = PAIRS_MEMBER_MAX;
static bool keep_going, raw, full_decode;

static const struct tool_option options[] = {
    TOOL_OUTPUT(output),
    TOOL_MODEL(model, "the codebook: a run folder, a checkpoint or a safetensors file"),
    {0, "crops", OPT_INT, "N", "N random crops of each picture, as variants; 0: its middle", &crops, 0, 65536, 0},
    {0, "batch", OPT_INT, "N", "pictures at once", &batch, 1, 65536, 0},
    {0, "size", OPT_INT, "N", "pixels along a side; 0: as the model was trained, else 256", &size, 0, 4096, 0},
    {0, "downs", OPT_INT, "N", "halvings of a model whose file does not say; 0: 3", &downs, 0, DVAE_DOWNS_MAX, 0},
    {0, "raw", OPT_FLAG, 0, "take the last weights, not their average", &raw, 0, 0, 0},
    {0, "full-decode", OPT_FLAG, 0, "decode large JPEG pictures in full, not at a half or less", &full_decode, 0, 0, 0},
    TOOL_PICTURE_LIMITS(max_pixels, max_bytes),
    TOOL_SEED(seed), TOOL_KEEP(keep_going), TOOL_REJECTS(rejects_path), TOOL_SUMMARY(summary), TOOL_THREADS(threads),
    TOOL_DEVICE(device_name), TOOL_PRECISION(precision, PRECISION_CHOICES),
    TOOL_END};

static struct tool tool = {.name = "dvae-encode", .args = "[SOURCE]...", .what = "Turn pictures into image tokens",
                           .options = options, .min_args = 0, .max_args = -1};

struct encoder {
    struct device dev;
    struct dvae_file_info info;
    struct dvae *dvae;
    struct stream *stream;
    struct rejects rejects;
    struct out out;
    struct tok_writer *writer;
    float *pixels;   /* owned, as the rest: of a batch */
    int32_t *codes;
    uint16_t *tokens; /* of one picture */
};

static int load(struct encoder *e)
{
    char path[RUN_PATH_MAX];
    struct dvae_file *file;
    int rc;

    if ((rc = device_open(&e->dev, device_name)) != 0 ||
        (rc = device_precision_by_name(&e->dev, precision)) != 0 || (rc = run_weights(path, model, raw)) != 0 ||
        (rc = dvae_file_open(&file, &e->info, path, size, downs)) != 0)
        return rc;
    if (!(e->info.use & DVAE_ENCODER))
        rc = err_set(ERR_MISMATCH, "has no encoder");
    else if ((rc = dvae_create(&e->dvae, &e->dev, &e->info.config, DVAE_ENCODER, batch)) == 0)
        rc = dvae_fill(e->dvae, file);
    dvae_file_close(file);
    if (rc == 0 && e->info.config.channels != 3)
        rc = err_set(ERR_UNSUPPORTED, "%" PRId64 " channels; pictures have 3", e->info.config.channels);
    return rc == 0 ? 0 : err_at(rc, "%s", path);
}

static int start(struct encoder *e)
{
    struct stream_options o = {.crops = crops, .batch = batch, .seed = (uint64_t)seed, .keep_going = keep_going,
                               .full_decode = full_decode, .limits = {max_pixels, (size_t)max_bytes}};
    struct tok_header header = {.kind = TOK_IMAGE};
    size_t values, codes;
    int rc;

    if ((rc = load(e)) != 0)
        return rc;
    o.size = e->info.config.size;
    header.image_vocab = (uint32_t)e->info.config.vocab;
    header.grid_h = header.grid_w = (uint32_t)dvae_grid(&e->info.config);
    header.image_digest = e->info.digest;
    values = (size_t)(3 * o.size * o.size);
    codes = (size_t)header.grid_h * header.grid_w;
    e->pixels = malloc((size_t)batch * values * sizeof *e->pixels);
    e->codes = malloc((size_t)batch * codes * sizeof *e->codes);
    e->tokens = malloc(codes * sizeof *e->tokens);
    if (!e->pixels || !e->codes || !e->tokens)
        return err_set(ERR_NOMEM, "no memory for a batch of %" PRId64 " pictures", batch);
    if (!digest_known(&e->info.digest))
        tool_say(&tool, "%s is half a codebook: its tokens will not say which one made them", model);
    if ((rc = out_open(&e->out, output, true)) != 0 || (rc = rejects_open(&e->rejects, rejects_path)) != 0 ||
        (rc = stream_open(&e->stream, (const char *const *)tool.arg, tool.arg_count, &o, &e->rejects)) != 0)
        return rc;
    return tok_create(&e->writer, &e->out, &header, tool_provenance(&tool), false);
}

/* A part of a batch that the model takes at once. */
static int encode_some(struct encoder *e, const struct stream_batch *b, int64_t first, int64_t count)
{
    int64_t values = 3 * e->info.config.size * e->info.config.size;
    int64_t codes = dvae_grid(&e->info.config) * dvae_grid(&e->info.config);
    int rc;

    dvae_map(e->pixels, b->rgb + first * values, count * values, 0, (struct rng){0, 0}, 0, 0);
    rc = dvae_encode(e->dvae, e->codes, e->pixels, count, NULL);
    for (int64_t i = 0; rc == 0 && i < count; i++) {
        struct tok_record r = {.key = b->key[first + i], .key_size = (uint32_t)strlen(b->key[first + i]),
                               .variant = b->variant[first + i], .image = e->tokens, .image_count = (uint32_t)codes};

        for (int64_t j = 0; j < codes; j++)
            e->tokens[j] = (uint16_t)e->codes[i * codes + j];
        rc = tok_put(e->writer, &r);
    }
    return rc;
}

static int encode(struct encoder *e)
{
    struct progress progress;
    struct stream_batch b;
    struct tok_writer *w;
    int64_t done = 0;
    int rc;

    progress_start(&progress, tool.name, "pictures", 0, tool.verbose < 0);
    while ((rc = stream_next(e->stream, &b)) > 0) {
        rc = 0;
        for (int64_t at = 0; rc == 0 && at < b.count; at += batch)
            rc = encode_some(e, &b, at, b.count - at < batch ? b.count - at : batch);
        if (rc != 0)
            break;
        progress_show(&progress, done += b.count, NULL);
    }
    progress_clear(&progress);
    tool.skipped = e->rejects.count;
    tool_cut_sources(&tool, &e->rejects);
    if (rc != 0)
        return rc;
    w = e->writer;
    e->writer = NULL;
    if ((rc = tok_end(w)) != 0 || (rc = rejects_close(&e->rejects)) != 0 || (rc = out_commit(&e->out)) != 0)
        return rc;
    return tool_summary(&tool, summary, (struct tool_count[]){
        {"records", done / (crops ? crops : 1) + e->rejects.count - e->rejects.sources}, {"written", done},
        {"left_out", e->rejects.count}, {0}});
}

int main(int argc, char **argv)
{
    struct encoder e = {0};
    int rc;

    tool_start(&tool, argc, argv);
    if (!model)
        tool_usage(&tool, "-m PATH is needed");
    par_set_threads((int)threads);
    if ((rc = start(&e)) == 0)
        rc = encode(&e);
    tok_drop(e.writer);
    out_abort(&e.rejects.out);
    out_abort(&e.out);
    stream_close(e.stream);
    dvae_free(e.dvae);
    free(e.pixels);
    free(e.codes);
    free(e.tokens);
    device_close(&e.dev);
    return tool_finish(&tool, rc);
}

/* SPDX-License-Identifier: MIT */
/* dvae-decode -- image tokens to pictures: one PNG, a PNG each, a contact sheet, a tar of PNGs, or PPMs in a row. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/par.h"
#include "base/progress.h"
#include "cmd/tool.h"
#include "format/run.h"
#include "format/tok.h"
#include "image/picture_out.h"
#include "model/dvae.h"
#include "text/captions.h"

static const char *output, *model, *captions_path, *device_name = "cpu", *precision = "f32";
static int64_t batch = 16, grid = -1, downs, threads;
static bool tar, ppm, bare, raw, force;

static const struct tool_option options[] = {
    {'o', "output", OPT_STRING, "FILE", "write to FILE, or with %k (key), %n (variant) in it a file each", &output, 0, 0, 0},
    TOOL_MODEL(model, "the codebook: a run folder, a checkpoint or a safetensors file"),
    {0, "grid", OPT_INT, "COLUMNS", "one contact sheet; 0: about square", &grid, 0, 4096, 0},
    {0, "captions", OPT_STRING, "FILE", "captions for the sheet: lines, or key, tab, caption", &captions_path, 0, 0, 0},
    {0, "tar", OPT_FLAG, 0, "a tar of KEY.png, or KEY/VARIANT.png for the variants of a key", &tar, 0, 0, 0},
    {0, "ppm", OPT_FLAG, 0, "binary PPM pictures, one behind the other", &ppm, 0, 0, 0},
    {0, "bare", OPT_FLAG, 0, "no key, caption and provenance inside PNG files", &bare, 0, 0, 0},
    {0, "batch", OPT_INT, "N", "pictures at once", &batch, 1, 65536, 0},
    {0, "downs", OPT_INT, "N", "doublings of a model whose file does not say; 0: 3", &downs, 0, DVAE_DOWNS_MAX, 0},
    {0, "raw", OPT_FLAG, 0, "take the last weights, not their average", &raw, 0, 0, 0},
    TOOL_FORCE(force), TOOL_THREADS(threads), TOOL_DEVICE(device_name), TOOL_PRECISION(precision, PRECISION_CHOICES),
    TOOL_END};

static struct tool tool = {.name = "dvae-decode", .args = "[FILE]", .what = "Turn image tokens into pictures",
                           .options = options, .min_args = 0, .max_args = 1};

struct decoder {
    struct device dev;
    struct dvae_config config;
    struct dvae *dvae;
    struct tok_reader *in;
    struct picture_out *to;
    int64_t count;       /* records held: of the batch, and one more to know who its last one's neighbour is */
    char **key;          /* owned, as the rest: [batch + 1] */
    uint32_t *variant;
    int32_t *codes;      /* [batch + 1, grid, grid] */
    float *out;
    uint8_t *rgb;
};

/* ---- the model --------------------------------------------------------------------------------------------------- */

static int check_stream(const struct tok_header *h, const struct dvae_file_info *info)
{
    char made[DIGEST_TEXT], have[DIGEST_TEXT];

    if (!(h->kind & TOK_IMAGE))
        return err_set(ERR_MISMATCH, "text tokens; image tokens are needed here");
    if (h->grid_h != h->grid_w)
        return err_set(ERR_UNSUPPORTED, "a grid of %ux%u codes; only square ones are drawn", h->grid_h, h->grid_w);
    if (h->image_vocab != info->config.vocab)
        return err_set(ERR_MISMATCH, "a vocabulary of %u codes, the codebook has %" PRId64, h->image_vocab,
                       info->config.vocab);
    if (force || !digest_known(&h->image_digest) || !digest_known(&info->digest) ||
        digest_same(&h->image_digest, &info->digest))
        return 0;
    digest_show(&h->image_digest, made);
    digest_show(&info->digest, have);
    return err_set(ERR_MISMATCH, "made by codebook %s, this is codebook %s (--force goes on)", made, have);
}

static int load(struct decoder *d, const struct tok_header *h, const char *name)
{
    char path[RUN_PATH_MAX];
    struct dvae_file_info info;
    struct dvae_file *file;
    int rc;

    if ((rc = device_open(&d->dev, device_name)) != 0 ||
        (rc = device_precision_by_name(&d->dev, precision)) != 0 || (rc = run_weights(path, model, raw)) != 0 ||
        (rc = dvae_file_open(&file, &info, path, 0, downs)) != 0)
        return rc;
    if (!(info.use & DVAE_DECODER) || info.config.channels != 3)
        rc = err_set(ERR_MISMATCH, "%s: %s", path, info.use & DVAE_DECODER ? "not of 3 channels" : "has no decoder");
    else if ((rc = check_stream(h, &info)) != 0)
        rc = err_at(rc, "%s", name);
    d->config = info.config;
    d->config.size = (int64_t)h->grid_h << info.config.downs; /* a convolutional decoder draws any size */
    if (rc == 0 && (rc = dvae_create(&d->dvae, &d->dev, &d->config, DVAE_DECODER, batch)) == 0)
        rc = dvae_fill(d->dvae, file);
    dvae_file_close(file);
    return rc;
}

/* ---- records ----------------------------------------------------------------------------------------------------- */

static int hold(struct decoder *d, const struct tok_record *r)
{
    int64_t codes = r->image_count;

    if (!(d->key[d->count] = strdup(r->key)))
        return err_set(ERR_NOMEM, "no memory for a key");
    d->variant[d->count] = r->variant;
    for (int64_t i = 0; i < codes; i++)
        d->codes[d->count * codes + i] = r->image[i];
    d->count++;
    return 0;
}

/* Draw the first n records held. */
static int draw(struct decoder *d, int64_t n)
{
    int64_t side = d->config.size, codes = dvae_grid(&d->config) * dvae_grid(&d->config), rest = d->count - n;
    int rc;

    if (n == 0)
        return 0;
    if ((rc = dvae_decode(d->dvae, d->out, NULL, d->codes, NULL, n)) != 0)
        return rc;
    dvae_unmap(d->rgb, d->out, n * side * side, 3);
    for (int64_t i = 0; rc == 0 && i < n; i++) {
        struct image picture = {(int32_t)side, (int32_t)side, d->rgb + 3 * i * side * side};

        rc = picture_out_put(d->to, &picture, d->key[i], d->variant[i], i + 1 < d->count ? d->key[i + 1] : NULL);
    }
    for (int64_t i = 0; i < n; i++)
        free(d->key[i]);
    for (int64_t i = 0; i < rest; i++) {
        d->key[i] = d->key[n + i];
        d->variant[i] = d->variant[n + i];
        memcpy(d->codes + i * codes, d->codes + (n + i) * codes, (size_t)codes * sizeof *d->codes);
    }
    d->count = rest;
    return rc;
}

static int draw_all(struct decoder *d)
{
    struct progress progress;
    struct tok_record r;
    int rc;

    progress_start(&progress, tool.name, "pictures", 0, tool.verbose < 0);
    while ((rc = tok_next(d->in, &r)) > 0) {
        if ((rc = hold(d, &r)) != 0 || (d->count > batch && (rc = draw(d, batch)) != 0))
            break;
        progress_show(&progress, (int64_t)tok_count(d->in), NULL);
    }
    progress_clear(&progress);
    if (rc == 0)
        rc = draw(d, d->count);
    return rc == 0 ? picture_out_end(d->to) : rc;
}

/* ---- captions ---------------------------------------------------------------------------------------------------- */

/* Tell the sheet each caption under its key: that of the line, or its number where no line has a tab. */
static int read_captions(struct decoder *d)
{
    char *text, *path = (char *)captions_path;
    struct captions *in;
    struct caption c;
    size_t size;
    int rc, form;

    if ((rc = file_read(captions_path, (size_t)1 << 30, &text, &size)) != 0)
        return rc;
    form = !pairs_is_source(captions_path) && strchr(text, '\t') ? CAPTIONS_KEYED : 0;
    free(text);
    if ((rc = captions_open(&in, &path, 1, form)) != 0)
        return rc;
    while ((rc = captions_next(in, &c)) > 0)
        if ((rc = c.problem ? caption_error(&c, c.problem) : picture_out_caption(d->to, c.key, c.text, c.size)) != 0)
            break;
    captions_close(in);
    return rc;
}

static int run(struct decoder *d)
{
    const char *path = tool.arg_count ? tool.arg[0] : NULL;
    struct picture_options o = {.path = output, .columns = grid, .software = "dvae-decode " TOOL_VERSION, .bare = bare};
    int rc;

    o.form = tar ? PICTURES_TAR : ppm ? PICTURES_PPM : grid >= 0 ? PICTURES_SHEET
             : output && strchr(output, '%') ? PICTURES_FILES : PICTURES_ONE;
    if ((rc = tok_open(&d->in, path)) != 0)
        return rc;
    tok_allow_mismatch(d->in, force);
    if ((rc = load(d, tok_header_of(d->in), path ? path : "stdin")) != 0)
        return rc;
    size_t values = (size_t)(d->config.size * d->config.size), room = (size_t)batch + 1;
    size_t codes = (size_t)(dvae_grid(&d->config) * dvae_grid(&d->config));

    d->key = calloc(room, sizeof *d->key);
    d->variant = calloc(room, sizeof *d->variant);
    d->codes = malloc(room * codes * sizeof *d->codes);
    d->out = malloc((size_t)batch * values * 6 * sizeof *d->out);
    d->rgb = malloc((size_t)batch * values * 3);
    if (!d->key || !d->variant || !d->codes || !d->out || !d->rgb)
        return err_set(ERR_NOMEM, "no memory for a batch of %" PRId64 " pictures", batch);
    o.provenance = text_printf("%s%s", tok_header_of(d->in)->provenance ? tok_header_of(d->in)->provenance : "",
                               tool_provenance(&tool));
    if (!o.provenance)
        return err_set(ERR_NOMEM, "no memory");
    if ((rc = picture_out_open(&d->to, &o)) == 0 && captions_path)
        rc = read_captions(d);
    if (rc == 0)
        rc = draw_all(d);
    free((char *)o.provenance);
    return rc;
}

int main(int argc, char **argv)
{
    struct decoder d = {0};
    int rc;

    tool_start(&tool, argc, argv);
    if (!model)
        tool_usage(&tool, "-m PATH is needed");
    if (tar + ppm + (grid >= 0) > 1)
        tool_usage(&tool, "--grid, --tar and --ppm exclude each other");
    par_set_threads((int)threads);
    rc = run(&d);
    picture_out_close(d.to);
    for (int64_t i = 0; i < d.count; i++)
        free(d.key[i]);
    free(d.key);
    free(d.variant);
    free(d.codes);
    free(d.out);
    free(d.rgb);
    dvae_free(d.dvae);
    tok_close(d.in);
    device_close(&d.dev);
    return tool_finish(&tool, rc);
}

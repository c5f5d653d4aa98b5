/* SPDX-License-Identifier: MIT */
/* prior-sample -- draw image tokens for captions.  stdin or a file: text tokens (.tok); stdout: image tokens. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/par.h"
#include "base/progress.h"
#include "cmd/tool.h"
#include "format/run.h"
#include "format/tok.h"
#include "model/draw.h"
#include "model/prompt.h"
#include "train/loop.h"

static const char *output, *model, *prompt_path, *device_name = "cpu", *precision = "f32";
static int64_t candidates = 1, top_k, batch = 32, keep, seed, threads;
static double temperature = 1, top_p = 1;
static bool raw, dry_run, force;

static const struct tool_option options[] = {
    TOOL_OUTPUT(output),
    TOOL_MODEL(model, "the prior: a run folder, a checkpoint or a safetensors file"),
    {'n', "candidates", OPT_INT, "N", "pictures of each caption", &candidates, 1, 1e6, 0},
    {0, "temperature", OPT_REAL, "T", "divide the logits by T; 0: the most likely code", &temperature, 0, 1e6, 0},
    {0, "top-k", OPT_INT, "N", "choose among the N most likely codes; 0: all", &top_k, 0, 65536, 0},
    {0, "top-p", OPT_REAL, "P", "choose among the most likely codes that make up P", &top_p, 1e-6, 1, 0},
    {0, "batch", OPT_INT, "N", "pictures drawn side by side", &batch, 1, 65536, 0},
    {0, "prompt", OPT_STRING, "FILE", "image tokens whose first codes are given", &prompt_path, 0, 0, 0},
    {0, "keep", OPT_INT, "N", "how many codes of the prompt", &keep, 0, 1048576, 0},
    {0, "raw", OPT_FLAG, 0, "take the last weights, not their average", &raw, 0, 0, 0},
    {0, "dry-run", OPT_FLAG, 0, "print sizes and exit", &dry_run, 0, 0, 0},
    TOOL_SEED(seed),
    TOOL_DEVICE(device_name), TOOL_PRECISION(precision, PRECISION_SAMPLING),
    TOOL_THREADS(threads),
    TOOL_FORCE(force),
    TOOL_END
};
static struct tool tool = {.name = "prior-sample", .args = "[FILE]", .what = "draw image tokens for captions",
                           .options = options, .min_args = 0, .max_args = 1};

struct job {
    struct device device;
    struct prior_meta meta;
    struct prior prior;
    struct draw draw;
    struct prompt prompt;
    struct tok_reader *in;
    struct tok_writer *writer;
    struct out out;
    int64_t cut, done;
    struct progress progress;
};

/* ---- the model ---------------------------------------------------------------------------------------------------- */

static int load_prior(struct job *j)
{
    char path[RUN_PATH_MAX];
    struct st_file *file = NULL;
    int rc;

    if ((rc = run_weights(path, model, raw)) != 0 || (rc = st_open(&file, path)) != 0)
        return rc;
    if ((rc = prior_meta_read(&j->meta, file)) == 0 &&
        (rc = prior_init(&j->prior, dry_run ? NULL : &j->device, &j->meta.config, (struct prior_types){0}, false)) == 0 &&
        !dry_run)
        rc = train_load(&j->device, &j->prior.params, file, "");
    st_close(file);
    return rc != 0 ? err_at(rc, "%s", path) : 0;
}

static int plan(const struct job *j)
{
    const struct sampler *s = &j->draw.sampler;
    int64_t tokens = batch * prior_image_slots(&j->meta.config) * (int64_t)sizeof(uint16_t);

    tool_plan("parameters", prior_count(&j->prior), "values");
    tool_plan("memory parameters", (int64_t)j->prior.value_bytes, "bytes");
    tool_plan("memory packed weights", (int64_t)s->weight_bytes, "bytes");
    tool_plan("memory text keys and values", (int64_t)s->text_bytes, "bytes");
    tool_plan("memory image keys and values", (int64_t)s->image_bytes, "bytes");
    tool_plan("memory workspace", (int64_t)s->work_bytes, "bytes");
    tool_plan("memory total", (int64_t)(j->prior.value_bytes + s->weight_bytes + s->text_bytes + s->image_bytes + s->work_bytes),
              "bytes");
    tool_plan("host tokens", tokens, "bytes");
    return 0;
}

/* ---- streams ------------------------------------------------------------------------------------------------------ */

static int open_captions(struct job *j)
{
    const char *path = tool.arg_count ? tool.arg[0] : NULL, *name = path && strcmp(path, "-") != 0 ? path : "stdin";
    const struct tok_header *h;
    int rc;

    if ((rc = tok_open(&j->in, path)) != 0)
        return rc;
    tok_allow_mismatch(j->in, force);
    h = tok_header_of(j->in);
    if (!(h->kind & TOK_TEXT))
        return err_set(ERR_MISMATCH, "%s: %s tokens, text tokens are needed here", name, tok_kind_name(h->kind));
    if (h->text_vocab != j->meta.config.text_vocab && !force)
        return err_set(ERR_MISMATCH, "%s: a vocabulary of %u text tokens, the prior learnt from %" PRId64, name,
                       h->text_vocab, j->meta.config.text_vocab);
    return !force && (rc = prior_digest_same("text", &h->text_digest, &j->meta.text)) != 0 ? err_at(rc, "%s", name) : 0;
}

static int open_output(struct job *j)
{
    const struct prior_config *c = &j->meta.config;
    struct tok_header h = {.kind = TOK_IMAGE, .image_vocab = (uint32_t)c->image_vocab, .grid_h = (uint32_t)c->grid_h,
                           .grid_w = (uint32_t)c->grid_w, .image_digest = j->meta.image,
                           .provenance = tok_header_of(j->in)->provenance};
    int rc = out_open(&j->out, output, true);

    return rc == 0 ? tok_create(&j->writer, &j->out, &h, tool_provenance(&tool), false) : rc;
}

/* A second variant of a key, say another caption of the same picture, numbers its candidates on behind the first's. */
static int put(void *to, const char *key, uint32_t variant, uint32_t candidate, const uint16_t *codes)
{
    struct job *j = to;
    uint64_t number = variant * (uint64_t)candidates + candidate;
    struct tok_record r = {.key = key, .key_size = (uint32_t)strlen(key), .variant = (uint32_t)number, .image = codes,
                           .image_count = (uint32_t)prior_image_slots(&j->meta.config)};

    if (number > UINT32_MAX)
        return err_set(ERR_LIMIT, "key %.500s: variant %u times %" PRId64 " candidates is past 32 bits", key, variant,
                       candidates);
    progress_show(&j->progress, ++j->done, NULL);
    return tok_put(j->writer, &r);
}

static int draw_all(struct job *j)
{
    int64_t top = prior_caption_max(&j->meta.config);
    struct tok_record r;
    int rc;

    while ((rc = tok_next(j->in, &r)) > 0) {
        int64_t count = r.text_count < top ? r.text_count : top;
        const uint16_t *given = NULL;

        j->cut += r.text_count > top;
        if ((prompt_path && (rc = prompt_find(&j->prompt, &given, r.key)) != 0) ||
            (rc = draw_add(&j->draw, r.key, r.variant, r.text, count, given)) != 0)
            return rc;
    }
    if (rc == 0 && (rc = draw_flush(&j->draw)) == 0 && prompt_path)
        rc = prompt_finish(&j->prompt);
    return rc;
}

static void say_counts(const struct job *j)
{
    if (j->cut)
        tool_say(&tool, "%" PRId64 " captions were longer than %" PRId64 " tokens and cut at the right", j->cut,
                 prior_caption_max(&j->meta.config));
    if (j->prompt.unused)
        tool_say(&tool, "%" PRId64 " prompts had no caption", j->prompt.unused);
}

static int open_device(struct job *j)
{
    int rc = device_open(&j->device, device_name);

    return rc == 0 ? device_precision_by_name(&j->device, precision) : rc;
}

static int work(struct job *j)
{
    struct draw_options o = {.candidates = candidates, .batch = batch, .keep = keep, .seed = (uint64_t)seed,
                             .how = {.temperature = (float)temperature, .top_k = top_k, .top_p = (float)top_p}};
    int rc;

    if ((!dry_run && (rc = open_device(j)) != 0) || (rc = load_prior(j)) != 0)
        return rc;
    if (keep > prior_image_slots(&j->meta.config))
        return err_set(ERR_ARG, "--keep %" PRId64 ": a picture has %" PRId64 " codes", keep,
                       prior_image_slots(&j->meta.config));
    if (dry_run)
        return (rc = draw_init(&j->draw, &j->prior, &o, put, j)) == 0 ? plan(j) : rc;
    if ((rc = open_captions(j)) != 0 ||
        (prompt_path && (rc = prompt_open(&j->prompt, prompt_path, &j->meta, force)) != 0) ||
        (rc = draw_init(&j->draw, &j->prior, &o, put, j)) != 0 || (rc = open_output(j)) != 0)
        return rc;
    progress_start(&j->progress, tool.name, "pictures", 0, tool.verbose < 0);
    rc = draw_all(j);
    progress_clear(&j->progress);
    if (rc != 0)
        return rc;
    rc = tok_end(j->writer);
    j->writer = NULL;
    say_counts(j);
    return rc == 0 ? out_commit(&j->out) : rc;
}

int main(int argc, char **argv)
{
    struct job j = {0};
    int rc;

    tool_start(&tool, argc, argv);
    if (!model)
        tool_usage(&tool, "-m PATH is needed");
    if ((keep > 0) != (prompt_path != NULL))
        tool_usage(&tool, "--prompt and --keep go together");
    par_set_threads((int)threads);
    rc = work(&j);
    tok_drop(j.writer);
    out_abort(&j.out);
    tok_close(j.in);
    prompt_close(&j.prompt);
    draw_fini(&j.draw);
    prior_fini(&j.prior);
    device_close(&j.device);
    return tool_finish(&tool, rc);
}

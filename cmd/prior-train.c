/* SPDX-License-Identifier: MIT */
/* prior-train -- learn the prior from shards.  SHARD...: pairs of text and image tokens; -o: the run folder. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/par.h"
#include "cmd/prior_numbers.h"
#include "cmd/prior_plan.h"
#include "cmd/train_options.h"
#include "format/tok.h"
#include "model/prior_learn.h"
#include "text/bpe.h"
#include "train/order.h"

/* The paper's values; a preset stands before them. */
static struct prior_config shape = {.layers = 64, .width = 3968, .heads = 62, .kernel = 11};
static struct train_options run = {.program = "prior-train", .steps = 430000, .batch = 1024, .micro = 0,
                                   .lr = {.peak = 4.5e-4, .end = 0, .warmup = 5000}, .average_every = 25,
                                   .log_every = 50, .save_every = 1000, .validate_every = 1000, .keep = 3, .max_skips = 100,
                                   .clip = 4, .average = 0.99, .scale_first = SCALES_FIRST};
static struct train_adam adam = {.beta1 = 0.9, .beta2 = 0.96, .decay = 4.5e-2};
static double eps = 1e-8, v_max = 5, dropout = 0.1, init_scale = 1;
static int64_t threads, seed, val_pairs = 1024, memory = (int64_t)137 << 30;
static const char *masks = "dalle", *preset = "small", *tokenizer, *device_name = "cpu";
static struct prior_numbers numbers = PRIOR_NUMBERS_USUAL;
static struct tool_list val, halve;
static bool dry_run, force;

static const struct tool_option options[] = {
    {0, "preset", OPT_CHOICE, "NAME", "values of the options below", &preset, 0, 0,
     "dalle-12b|dalle-5.6b|dalle-2.8b|small|tiny"},
    {0, "layers", OPT_INT, "N", "layers", &shape.layers, 1, 1024, 0},
    {0, "width", OPT_INT, "N", "width of the residual stream", &shape.width, 8, 65536, 0},
    {0, "heads", OPT_INT, "N", "attention heads of a layer", &shape.heads, 1, 8192, 0},
    {0, "masks", OPT_CHOICE, "NAME", "attention masks", &masks, 0, 0, MASK_CHOICES},
    {0, "kernel", OPT_INT, "N", "kernel of the convolutional mask, odd", &shape.kernel, 1, 255, 0},
    {0, "text-slots", OPT_INT, "N", "text slots; 0: the shards', else 256", &shape.text_slots, 0, 65536, 0},
    {0, "min-pad", OPT_INT, "N", "pad slots that stand before every picture", &shape.min_pad, 0, 65535, 0},
    {0, "text-vocab", OPT_INT, "N", "text vocabulary; 0: the shards', else 16384", &shape.text_vocab, 0, 65536, 0},
    {0, "image-vocab", OPT_INT, "N", "image vocabulary; 0: the shards', else 8192", &shape.image_vocab, 0, 65536, 0},
    {0, "grid-h", OPT_INT, "N", "rows of codes; 0: the shards', else 32", &shape.grid_h, 0, 1024, 0},
    {0, "grid-w", OPT_INT, "N", "columns of codes; 0: the shards', else 32", &shape.grid_w, 0, 1024, 0},
    {0, "init-scale", OPT_REAL, "X", "spread of the first weights, in those of Child et al.", &init_scale, 1e-3, 1e3, 0},
    {0, "bpe", OPT_STRING, "FILE", "encode captions anew with this tokenizer", &tokenizer, 0, 0, 0},
    {0, "bpe-dropout", OPT_REAL, "P", "probability of passing over a merge, with --bpe", &dropout, 0, 0.99, 0},
    TRAIN_OPTIONS(run, adam, "pairs"),
    {0, "halve-at", OPT_LIST, "N", "halve the step size from update N on; may be given again", &halve, 0, 0, 0},
    {0, "eps", OPT_REAL, "X", "AdamW's epsilon", &eps, 0, 1, 0},
    {0, "v-max", OPT_REAL, "X", "clamp of the second moment; 0: none", &v_max, 0, 1e30, 0},
    {0, "average-every", OPT_INT, "N", "updates between two averagings", &run.average_every, 1, 1e9, 0},
    {0, "val", OPT_LIST, "SHARD", "measure the loss on this shard; may be given again", &val, 0, 0, 0},
    {0, "val-pairs", OPT_INT, "N", "pairs of it; 0: all", &val_pairs, 0, 1e15, 0},
    PRIOR_NUMBERS(numbers, run),
    {0, "device-memory", OPT_INT, "N", "bytes of the device for which --dry-run counts pairs", &memory, 1, 1e15, 0},
    {0, "dry-run", OPT_FLAG, 0, "print sizes and exit; without shards those of the paper's data", &dry_run, 0, 0, 0},
    TOOL_SEED(seed),
    TOOL_DEVICE(device_name),
    TOOL_THREADS(threads),
    TOOL_FORCE(force),
    TOOL_END
};

#define PAPER "precision = fp16\nmoments = 16\nrecompute = block\nmicro = 1\n"
#define SMALL "lr = 2e-3\nlr-over = -1\nbatch = 64\naverage-every = 1\ninit-scale = 4\n"

static const struct tool_preset presets[] = {
    {"dalle-12b", PAPER},
    {"dalle-5.6b", PAPER "width = 2688\nheads = 42"},
    {"dalle-2.8b", PAPER "width = 1920\nheads = 30"},
    {"small", SMALL "layers = 4\nwidth = 192\nheads = 12\nsteps = 2000\nwarmup = 100\nsave-every = 500\nvalidate-every = 200"},
    {"tiny", SMALL "layers = 2\nwidth = 64\nheads = 4\nbatch = 16\nsteps = 100\nwarmup = 10\naverage = 0.9\nlog-every = 10"},
    {NULL, NULL}};

static struct tool tool = {.name = "prior-train", .args = "SHARD...", .what = "learn the prior from shards of tokens",
                           .options = options, .min_args = 0, .max_args = -1, .lists = true};

struct job {
    struct shard_set *shards, *val;
    struct bpe *bpe;
    struct bpe_scratch *scratch;
    uint16_t *ids;              /* a caption encoded anew */
    struct prior prior;
    struct prior_learner learner;
    struct device device;
    struct prior_meta meta;
    float *scale;               /* of each residual block's gradient */
};

/* ---- examples ---------------------------------------------------------------------------------------------------- */

/* With --bpe the caption is written out and encoded again, each time it is seen with other merges left out. */
static int fetch_train(void *self, int64_t position, struct prior_batch *batch)
{
    struct job *j = self;
    struct tok_record r;
    const char *text;
    size_t size;
    int rc, count, top = (int)shape.text_slots;

    rc = shard_set_get(j->shards, order_example((uint64_t)seed, shard_set_count(j->shards), (uint64_t)position), &r);
    if (rc != 0 || !j->bpe)
        return rc != 0 ? rc : prior_batch_add(batch, r.text, r.text_count, r.image, r.image_count);
    if ((rc = bpe_decode(j->bpe, j->scratch, r.text, (int)r.text_count, &text, &size)) != 0 ||
        (rc = bpe_tokens(j->bpe, j->scratch, text, size, j->ids, top, &count, dropout,
                         (struct rng){(uint64_t)seed, RNG_DROPOUT}, (uint64_t)position)) != 0)
        return err_at(rc, "key %.500s", r.key);
    return prior_batch_add(batch, j->ids, count, r.image, r.image_count);
}

static int fetch_val(void *self, int64_t position, struct prior_batch *batch)
{
    struct job *j = self;
    struct tok_record r;
    int rc = shard_set_get(j->val, (uint64_t)position, &r);

    return rc != 0 ? rc : prior_batch_add(batch, r.text, r.text_count, r.image, r.image_count);
}

static int validate(void *self, int64_t t, json_t *line)
{
    struct job *j = (struct job *)((char *)self - offsetof(struct job, learner));
    int64_t n = (int64_t)shard_set_count(j->val);

    (void)t;
    return prior_learner_validate(&j->learner, fetch_val, j, val_pairs && val_pairs < n ? val_pairs : n, line);
}

/* ---- what is to be learnt, from what ------------------------------------------------------------------------------ */

static int open_shards(struct job *j)
{
    const struct tok_header *h;
    int rc;

    if ((rc = shard_set_open(&j->shards, (const char *const *)tool.arg, tool.arg_count, force)) != 0)
        return rc;
    h = shard_set_header(j->shards);
    if (shard_set_count(j->shards) == 0)
        return err_set(ERR_EMPTY, "the shards hold no pairs");
    if ((rc = prior_config_adopt(&shape, h)) != 0)
        return rc;
    j->meta.text = h->text_digest;
    j->meta.image = h->image_digest;
    if (val.count == 0)
        return 0;
    if ((rc = shard_set_open(&j->val, val.item, val.count, force)) != 0)
        return rc;
    return (rc = tok_header_match(h, shard_set_header(j->val), force)) != 0 ? err_at(rc, "--val") : 0;
}

static int open_tokenizer(struct job *j)
{
    int rc;

    if (!tokenizer || !j->shards)
        return 0;
    if ((rc = bpe_load(&j->bpe, tokenizer)) != 0 || (rc = bpe_scratch_create(&j->scratch)) != 0)
        return rc;
    if (!force && (rc = prior_digest_same("text", &j->meta.text, bpe_digest(j->bpe))) != 0)
        return err_at(rc, "%s", tokenizer);
    j->ids = malloc(sizeof *j->ids * (size_t)shape.text_slots);
    return j->ids ? 0 : err_set(ERR_NOMEM, "no memory for a caption");
}

static int learn(struct job *j)
{
    struct train_task task = {.self = &j->learner, .params = &j->prior.params, .device = &j->device,
                              .micro = prior_learner_micro, .report = prior_learner_report,
                              .validate = j->val ? validate : NULL, .scale = j->scale};
    struct st_meta meta[PRIOR_META_FIELDS];
    struct prior_meta_text text = {0};
    struct tok_header header;
    char *config = tool_config_json(&tool), *line = text_printf("%s\n", tool_provenance(&tool));
    int rc = tok_header_copy(&header, shard_set_header(j->shards));

    run.config_json = config;
    if (rc == 0 && (rc = config && line ? tok_provenance_merge(&header, line) : err_set(ERR_NOMEM, "no memory")) == 0 &&
        (rc = prior_meta_write(meta, &text, &j->meta, header.provenance)) == 0 &&
        (rc = prior_start(&j->prior, init_scale, (uint64_t)seed)) == 0) {
        task.meta = meta;
        task.meta_count = PRIOR_META_FIELDS;
        rc = train_run(&run, &task);
    }
    prior_meta_fini(&text);
    tok_header_fini(&header);
    free(config);
    free(line);
    return rc;
}

static int open_device(struct job *j)
{
    int rc = device_open(&j->device, device_name);

    return rc == 0 ? device_precision_by_name(&j->device, numbers.precision) : rc;
}

static int plan(struct job *j)
{
    const struct prior_plan plan = {.prior = &j->prior, .run = &run, .device = device_name,
                                    .precision = numbers.precision, .keep = prior_keep_of(numbers.recompute),
                                    .averages_used = val.count > 0};

    return prior_plan_print(&plan, (size_t)memory);
}

static int learn_with_device(struct job *j)
{
    enum prior_keep keep = prior_keep_of(numbers.recompute);
    int rc = prior_learner_init(&j->learner, &j->prior, run.batch, run.micro, keep, fetch_train, j);

    if (rc == 0 && !(j->scale = calloc(2 * (size_t)shape.layers, sizeof *j->scale)))
        rc = err_set(ERR_NOMEM, "no memory for gradient scales");
    if (rc == 0 && run.log_blocks)
        rc = prior_learner_count_lost(&j->learner);
    j->learner.pass.scale = run.scaling != SCALING_NONE ? j->scale : NULL;
    if (rc == 0)
        rc = learn(j);
    if (j->learner.cut)
        tool_say(&tool, "%" PRId64 " captions were longer than %" PRId64 " tokens and cut at the right",
                 j->learner.cut, prior_caption_max(&shape));
    return rc;
}

static int work(struct job *j)
{
    int rc;

    if (tool.arg_count && ((rc = open_shards(j)) != 0 || (rc = open_tokenizer(j)) != 0))
        return rc;
    if (!tool.arg_count)
        prior_config_paper(&shape);
    j->meta.config = shape;
    if ((rc = prior_config_check(&shape)) != 0)
        return rc;
    run.micro = prior_micro(&shape, device_rows(device_name), run.batch, run.micro);
    if ((run.resume && !dry_run && (rc = prior_run_same(run.output, &j->meta, force)) != 0) ||
        (!dry_run && (rc = open_device(j)) != 0) ||
        (rc = prior_init(&j->prior, dry_run ? NULL : &j->device, &shape, prior_numbers_types(&numbers, device_name), true)) != 0)
        return rc;
    return dry_run ? plan(j) : learn_with_device(j);
}

/* What the table cannot say. */
static void resolve_options(void)
{
    if (!dry_run && !run.output)
        tool_usage(&tool, "-o RUN is needed");
    if (!dry_run && tool.arg_count == 0)
        tool_usage(&tool, "no shards");
    if (halve.count > SCHEDULE_HALVES)
        tool_usage(&tool, "--halve-at: at most %d", SCHEDULE_HALVES);
    for (int i = 0; i < halve.count; i++) {
        char *end;

        run.lr.halve_at[i] = strtoll(halve.item[i], &end, 10);
        if (*end || end == halve.item[i])
            tool_usage(&tool, "--halve-at: '%s' is not a whole number", halve.item[i]);
    }
    run.lr.halve_count = halve.count;
    run.lr.over = adam.over >= 0 ? adam.over : run.steps > run.lr.warmup ? run.steps - run.lr.warmup : 0;
    run.adam = (struct adam){.beta1 = (float)adam.beta1, .beta2 = (float)adam.beta2, .eps = (float)eps,
                             .decay = (float)adam.decay, .v_max = v_max > 0 ? (float)v_max : INFINITY};
    prior_numbers_resolve(&numbers, &run, &tool, device_name);
    run.seed = (uint64_t)seed;
    run.quiet = tool.verbose < 0;
    mask_parse(&shape.masks, masks);
}

int main(int argc, char **argv)
{
    struct job j = {0};
    int rc;

    tool_start_presets(&tool, presets, argc, argv);
    resolve_options();
    par_set_threads((int)threads);
    rc = work(&j);
    prior_learner_fini(&j.learner);
    prior_fini(&j.prior);
    device_close(&j.device);
    shard_set_close(j.shards);
    shard_set_close(j.val);
    bpe_scratch_free(j.scratch);
    bpe_free(j.bpe);
    free(j.ids);
    free(j.scale);
    return tool_finish(&tool, rc);
}

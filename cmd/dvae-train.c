/* SPDX-License-Identifier: MIT */
/* dvae-train -- learn a codebook: pictures of pair sources in, a run folder out. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/par.h"
#include "cmd/dvae_presets.h"
#include "cmd/train_options.h"
#include "format/run.h"
#include "image/pool.h"
#include "image/sheet.h"
#include "model/dvae_watch.h"
#include "train/order.h"

#define FIXED 16 /* pictures that are measured and shown again and again */

static struct dvae_config shape = {.channels = 3};
static const char *preset = "small", *rejects_file, *prepare = "train", *device_name = "cpu", *precision = "auto";
static struct train_options o = {.program = "dvae-train", .average_every = 1, .keep = 2, .max_skips = 100};
static int64_t beta_steps, tau_steps, threads, seed, memory = POOL_MEMORY, val_pictures = 1000, max_pixels = IMAGE_PIXELS_MAX,
               max_bytes = PAIRS_MEMBER_MAX;
static double beta, tau, tau_end, dither;
static struct train_adam adam = {.beta1 = 0.9, .beta2 = 0.999, .decay = 1e-4, .over = -1};
static bool flip, no_flip, keep_going, full_decode, dry_run;
static struct tool_list val;

static const struct tool_option options[] = {
    {0, "preset", OPT_CHOICE, "NAME", "defaults of all that follows", &preset, 0, 0, "openai|small|tiny"},
    {0, "size", OPT_INT, "N", "pixels along a side of a picture", &shape.size, 1, 4096, 0},
    {0, "vocab", OPT_INT, "N", "codes", &shape.vocab, 2, 65536, 0},
    {0, "hid", OPT_INT, "N", "width of the first group; the others are 2, 4, 8 times as wide", &shape.hid, 4, 4096, 0},
    {0, "init", OPT_INT, "N", "width of a code in the decoder", &shape.init, 1, 4096, 0},
    {0, "blocks", OPT_INT, "N", "residual blocks in each of the four groups", &shape.blocks, 1, 64, 0},
    {0, "downs", OPT_INT, "N", "halvings: the grid of codes is size / 2^N", &shape.downs, 0, DVAE_DOWNS_MAX, 0},
    TRAIN_OPTIONS(o, adam, "pictures"),
    {0, "beta", OPT_REAL, "X", "weight of the KL term", &beta, 0, 1e6, 0},
    {0, "beta-steps", OPT_INT, "N", "updates in which it rises from 0, a half cosine", &beta_steps, 0, 1e15, 0},
    {0, "tau", OPT_REAL, "X", "temperature of the relaxation at the start", &tau, 1e-3, 100, 0},
    {0, "tau-end", OPT_REAL, "X", "and at the end of its half cosine", &tau_end, 1e-3, 100, 0},
    {0, "tau-steps", OPT_INT, "N", "updates of that cosine", &tau_steps, 0, 1e15, 0},
    {0, "dither", OPT_REAL, "X", "uniform noise of +-X on pixels of 0..1; flat pictures need it", &dither, 0, 1, 0},
    {0, "prepare", OPT_CHOICE, "HOW", "how a picture becomes size x size", &prepare, 0, 0, "train|prior|eval"},
    {0, "flip", OPT_FLAG, 0, "mirror half of all pictures (with --prepare train)", &flip, 0, 0, 0},
    {0, "no-flip", OPT_FLAG, 0, "never mirror a picture, whatever the preset says", &no_flip, 0, 0, 0},
    {0, "full-decode", OPT_FLAG, 0, "decode large JPEG pictures in full also where they are only reduced", &full_decode, 0, 0, 0},
    TOOL_PICTURE_LIMITS(max_pixels, max_bytes),
    {0, "memory", OPT_INT, "BYTES", "keep pictures in memory up to BYTES", &memory, 1, 1e15, 0},
    {0, "val", OPT_LIST, "SOURCE", "measure these pictures too; may be given again", &val, 0, 0, 0},
    {0, "val-pictures", OPT_INT, "N", "the first N of them", &val_pictures, 1, 1e9, 0},
    {0, "picture-every", OPT_INT, "N", "updates between two pictures; 0: none", &o.picture_every, 0, 1e15, 0},
    {0, "dry-run", OPT_FLAG, 0, "print sizes and memory, then exit", &dry_run, 0, 0, 0},
    TOOL_KEEP(keep_going), TOOL_REJECTS(rejects_file), TOOL_SEED(seed), TOOL_THREADS(threads), TOOL_DEVICE(device_name),
    TOOL_PRECISION(precision, PRECISION_CHOICES),
    TOOL_END};

static struct tool tool = {.name = "dvae-train", .args = "SOURCE...", .what = "Learn a codebook from pictures",
                           .options = options, .min_args = 0, .max_args = -1};

struct trainer {
    struct device dev;
    struct dvae *dvae;
    struct dvae_watch watch;
    struct pool *pool, *val;
    struct pool_pick *pick; /* owned: of a batch */
};

/* ---- the loop's questions ---------------------------------------------------------------------------------------- */

static int64_t at_once(void)
{
    return o.micro > 0 && o.micro < o.batch ? o.micro : o.batch;
}

static struct dvae_relax relax_at(int64_t t)
{
    return (struct dvae_relax){.tau = schedule_cosine(tau, tau_end, tau_steps, t),
                               .beta = schedule_cosine(0, beta, beta_steps, t),
                               .rng = {(uint64_t)seed, RNG_GUMBEL}, .step = (uint64_t)t};
}

static int micro(void *self, int64_t t, int64_t first, int64_t count, int64_t total, double *loss)
{
    struct trainer *s = self;
    struct dvae_watch *w = &s->watch;
    int64_t n = pool_count(s->pool), values = shape.size * shape.size * shape.channels;
    struct dvae_relax how = relax_at(t);
    struct dvae_loss parts;
    int rc;

    how.first = first - t * o.batch;
    how.total = total;
    for (int64_t i = 0; i < count; i++)
        s->pick[i] = (struct pool_pick){(int64_t)order_example((uint64_t)seed, (uint64_t)n, (uint64_t)(first + i)),
                                        (uint64_t)((first + i) / n)};
    if ((rc = pool_batch(s->pool, w->rgb, s->pick, count)) != 0)
        return rc;
    dvae_map(w->pixels, w->rgb, count * values, dither, (struct rng){(uint64_t)seed, RNG_DITHER}, (uint64_t)t,
             (uint64_t)(how.first * values));
    if ((rc = dvae_learn(s->dvae, &parts, w->pixels, count, &how)) != 0 ||
        (rc = dvae_last_codes(s->dvae, w->codes, count)) != 0)
        return rc;
    dvae_watch_add(w, &parts, count);
    *loss += dvae_objective(&shape, &parts, count, how.beta) * (double)count / (double)total;
    return 0;
}

/* Measure the pictures from `from` on, the first n of a pool; the noise is the same every time. */
static int measure(struct trainer *s, struct pool *pool, int64_t n, int64_t t, json_t *line, const char *prefix)
{
    struct dvae_relax how = relax_at(t);
    struct dvae_score score = {0};
    int rc = 0;

    n = n < pool_count(pool) ? n : pool_count(pool);
    for (int64_t done = 0, count; rc == 0 && done < n; done += count) {
        count = n - done < at_once() ? n - done : at_once();
        for (int64_t i = 0; i < count; i++)
            s->pick[i] = (struct pool_pick){done + i, 0};
        how.step = UINT64_MAX - (uint64_t)done;
        how.total = count;
        if ((rc = pool_batch(pool, s->watch.rgb, s->pick, count)) == 0)
            rc = dvae_score_add(&score, &s->watch, s->dvae, count, dither, &how);
    }
    if (rc == 0)
        dvae_score_line(&score, &shape, line, prefix);
    return rc;
}

static int report(void *self, int64_t t, json_t *line)
{
    struct trainer *s = self;
    struct dvae_relax how = relax_at(t - 1);
    double positions = (double)(dvae_grid(&shape) * dvae_grid(&shape));

    json_object_set_new(line, "tau", json_real(how.tau));
    json_object_set_new(line, "beta", json_real(how.beta));
    json_object_set_new(line, "kl_weight",
                        json_real(how.beta * positions / (double)(shape.size * shape.size * shape.channels)));
    dvae_watch_line(&s->watch, line);
    if (json_object_get(line, "warn"))
        tool_say(&tool, "update %" PRId64 ": %s; see COLLAPSE in dvae-train(1)", t,
                 json_string_value(json_object_get(line, "warn")));
    return measure(s, s->pool, FIXED, t - 1, line, "");
}

static int validate(void *self, int64_t t, json_t *line)
{
    struct trainer *s = self;

    return measure(s, s->val, val_pictures, t - 1, line, "val_");
}

/* Originals over their reconstructions, from the averaged weights. */
static int pictures(void *self, int64_t t, const char *folder)
{
    struct trainer *s = self;
    struct pool *pool = s->val ? s->val : s->pool;
    int64_t n = pool_count(pool) < FIXED ? pool_count(pool) : FIXED;
    size_t bytes = (size_t)(3 * shape.size * shape.size);
    uint8_t *rgb;
    char *path = text_printf("%s/%08" PRId64 ".png", folder, t);
    struct sheet style = SHEET_USUAL;
    int rc = 0;

    n = n < at_once() ? n : at_once();
    if (!(rgb = malloc(2 * bytes * (size_t)n)) || !path)
        rc = err_set(ERR_NOMEM, "no memory");
    for (int64_t i = 0; rc == 0 && i < n; i++)
        rc = pool_get(pool, rgb + (size_t)i * bytes, i, 0);
    if (rc == 0)
        rc = dvae_rebuild(&s->watch, s->dvae, rgb + (size_t)n * bytes, rgb, n);
    style.columns = n;
    if (rc == 0)
        rc = sheet_write(path, rgb, 2 * n, shape.size, &style);
    free(path);
    free(rgb);
    return rc;
}

/* ---- before the loop --------------------------------------------------------------------------------------------- */

static int print_plan(void)
{
    struct dvae_sizes s;
    struct dvae *d;
    int64_t values = shape.size * shape.size * shape.channels;
    struct state_sizes state;
    int rc = dvae_plan(&d, device_activations_planned(device_name, precision), &shape, DVAE_LEARN, at_once());

    if (rc != 0)
        return rc;
    s = *dvae_sizes_of(d);
    state = train_sizes(&o, dvae_params(d), true);
    tool_plan("parameters encoder", s.encoder_values, "values");
    tool_plan("parameters decoder", s.decoder_values, "values");
    tool_plan("parameters", s.encoder_values + s.decoder_values, "values");
    tool_plan("memory weights", (int64_t)s.weights, "bytes");
    tool_plan("memory gradients", (int64_t)s.gradients, "bytes");
    tool_plan("memory moments", (int64_t)state.moments, "bytes");
    tool_plan("memory activations", (int64_t)s.activations, "bytes");
    tool_plan("memory scratch", (int64_t)s.scratch, "bytes");
    tool_plan("memory total", (int64_t)(s.weights + s.gradients + s.activations + s.scratch + state.moments), "bytes");
    tool_plan("host batch", (int64_t)s.host + at_once() * values * 13, "bytes");
    tool_plan("host pictures, at most", memory, "bytes");
    tool_plan("host averages", (int64_t)(state.average + state.held), "bytes");
    tool_plan("checkpoint", (int64_t)state.saved, "bytes");
    dvae_free(d);
    return 0;
}

/* A run that goes on must be of the same shape. */
static int check_resumed(void)
{
    char path[RUN_PATH_MAX];
    int64_t step;
    int rc = o.resume ? run_newest(path, &step, o.output) : 0;

    return rc > 0 && (rc = run_weights(path, o.output, true)) == 0 ? dvae_file_same(path, &shape) : rc;
}

static int open_pools(struct trainer *s, struct rejects *rejects)
{
    struct pool_options p = {.size = shape.size, .flip = flip && !no_flip, .seed = (uint64_t)seed,
                             .memory = (size_t)memory, .keep_going = keep_going,
                             .full_decode = full_decode, .limits = {max_pixels, (size_t)max_bytes}};
    int rc;

    p.how = prepare[0] == 't' ? PREPARE_TRAIN : prepare[0] == 'p' ? PREPARE_PRIOR : PREPARE_EVAL;
    rc = pool_open(&s->pool, (const char *const *)tool.arg, tool.arg_count, &p, rejects);
    p.how = PREPARE_EVAL;
    if (rc == 0 && val.count > 0)
        rc = pool_open(&s->val, val.item, val.count, &p, rejects);
    tool.skipped = rejects->count;
    tool_cut_sources(&tool, rejects);
    return rc;
}

static int train(struct trainer *s)
{
    struct st_meta meta[DVAE_META_FIELDS];
    char text[DVAE_CONFIG_TEXT], *config = tool_config_json(&tool), *line = text_printf("%s\n", tool_provenance(&tool));
    struct rejects rejects;
    int rc = config && line ? 0 : err_set(ERR_NOMEM, "no memory");

    if (rc != 0 || (rc = check_resumed()) != 0 || (rc = rejects_open(&rejects, rejects_file)) != 0)
        goto out;
    rc = open_pools(s, &rejects);
    if (rejects_close(&rejects) != 0 && rc == 0)
        rc = ERR_IO;
    if (rc != 0)
        goto out;
    if (!(s->pick = calloc((size_t)at_once(), sizeof *s->pick)))
        rc = err_set(ERR_NOMEM, "no memory");
    if (rc != 0 || (rc = dvae_create(&s->dvae, &s->dev, &shape, DVAE_LEARN, at_once())) != 0 ||
        (rc = dvae_watch_init(&s->watch, &shape, at_once())) != 0 || (rc = dvae_start(s->dvae, (uint64_t)seed)) != 0)
        goto out;
    dvae_meta(meta, text, &shape, line);
    o.config_json = config;
    struct train_task task = {.self = s, .params = dvae_params(s->dvae), .device = &s->dev, .micro = micro, .report = report,
                              .pictures = pictures, .validate = s->val ? validate : NULL, .meta = meta,
                              .meta_count = DVAE_META_FIELDS};

    rc = train_run(&o, &task);
out:
    free(line);
    free(config);
    return rc;
}

int main(int argc, char **argv)
{
    struct trainer s = {0};
    int rc;

    tool_start_presets(&tool, presets, argc, argv);
    if (!dry_run && (!o.output || tool.arg_count == 0))
        tool_usage(&tool, "needs a run folder, -o RUN, and pair sources");
    par_set_threads((int)threads);
    o.lr.over = adam.over < 0 ? o.steps - o.lr.warmup : adam.over;
    o.adam = (struct adam){.beta1 = (float)adam.beta1, .beta2 = (float)adam.beta2, .eps = 1e-8f,
                           .decay = (float)adam.decay, .v_max = INFINITY};
    o.seed = (uint64_t)seed;
    o.quiet = tool.verbose < 0;
    if ((rc = dvae_config_check(&shape)) == 0 && dry_run)
        rc = print_plan();
    else if (rc == 0 && (rc = device_open(&s.dev, device_name)) == 0 &&
             (rc = device_precision_by_name(&s.dev, precision)) == 0)
        rc = train(&s);
    dvae_watch_fini(&s.watch);
    dvae_free(s.dvae);
    pool_close(s.pool);
    pool_close(s.val);
    free(s.pick);
    device_close(&s.dev);
    return tool_finish(&tool, rc);
}

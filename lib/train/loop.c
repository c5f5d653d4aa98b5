/* SPDX-License-Identifier: MIT */
/* loop.c -- one update after another, until the end or a request to stop. */
#include "train/loop.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/progress.h"
#include "base/signals.h"
#include "format/run.h"
#include "train/blocks.h"
#include "train/state.h"

#define LOG_MAX ((size_t)1 << 30)

struct loop {
    const struct train_options *o; /* borrowed */
    const struct train_task *task; /* borrowed */
    struct train_state state;
    FILE *log;                     /* owned: log.jsonl, appended to */
    struct progress progress;
    struct squares *sums;          /* owned: of each parameter's gradient */
    struct blocks blocks;          /* the last update's gradients */
    double norm;                   /* of the last update's gradient */
    int64_t bad_t;                 /* the last update skipped since the last line; -1: none */
    int bad_block;                 /* where it went wrong; -1: in no block */
    double logged_s;               /* when the last line was written */
    int64_t logged_t;
    int64_t saved_t;               /* -1: not yet */
};

/* ---- the run folder ---------------------------------------------------------------------------------------------- */

/* Drop the lines of updates that a resumed run will do again, so that the log tells one story. */
static int trim_log(const char *path, int64_t step)
{
    char *text, *line, *end;
    size_t size, kept = 0;
    int rc;

    if ((rc = file_read(path, LOG_MAX, &text, &size)) != 0)
        return rc;
    for (line = text; *line; line = end) {
        json_t *object;
        bool keep;

        end = strchr(line, '\n');
        end = end ? end + 1 : line + strlen(line);
        object = json_loadb(line, (size_t)(end - line), 0, NULL);
        keep = object && json_integer_value(json_object_get(object, "step")) <= step;
        json_decref(object);
        if (keep) {
            memmove(text + kept, line, (size_t)(end - line));
            kept += (size_t)(end - line);
        }
    }
    rc = file_write(path, text, kept);
    free(text);
    return rc;
}

static int open_log(struct loop *l, bool resumed)
{
    char *path = text_printf("%s/log.jsonl", l->o->output);
    FILE *old;
    int rc = 0;

    if (!path)
        return err_set(ERR_NOMEM, "no memory");
    if (resumed && (old = fopen(path, "r"))) {
        fclose(old);
        rc = trim_log(path, l->state.t);
    }
    if (rc == 0 && !(l->log = fopen(path, resumed ? "a" : "w")))
        rc = err_errno(ERR_IO, "%s: cannot open", path);
    free(path);
    return rc;
}

static int open_run(struct loop *l)
{
    const struct train_options *o = l->o;
    char folder[RUN_PATH_MAX];
    char *config = NULL, *pictures = NULL;
    int64_t step = 0;
    int rc, found;

    if (!(config = text_printf("%s/config.json", o->output)) || !(pictures = text_printf("%s/pictures", o->output))) {
        rc = err_set(ERR_NOMEM, "no memory");
        goto out;
    }
    if ((rc = folder_make(pictures)) != 0 || (rc = run_lock(o->output)) != 0)
        goto out;
    if ((found = rc = run_newest(folder, &step, o->output)) < 0)
        goto out;
    rc = 0;
    if (found && !o->resume) {
        rc = err_set(ERR_ARG, "%s: has checkpoints up to update %" PRId64 "; use --resume or another folder", o->output,
                     step);
        goto out;
    }
    if (found && (rc = state_load(&l->state, folder)) != 0)
        goto out;
    l->saved_t = found ? l->state.t : -1;
    if ((rc = file_write(config, o->config_json, strlen(o->config_json))) == 0)
        rc = open_log(l, found);
out:
    free(config);
    free(pictures);
    return rc;
}

static int save(struct loop *l)
{
    int rc;

    if (l->saved_t == l->state.t)
        return 0;
    rc = state_save(&l->state, l->o->output, (int)l->o->keep, l->task->meta, l->task->meta_count);
    if (rc == 0)
        l->saved_t = l->state.t;
    return rc;
}

/* ---- one update -------------------------------------------------------------------------------------------------- */

static int gradient(struct loop *l, double *loss)
{
    const struct param_table *params = l->task->params;
    int64_t batch = l->o->batch, micro = l->o->micro > 0 ? l->o->micro : batch;
    int rc = 0;

    *loss = 0;
    for (int i = 0; i < l->blocks.count && l->task->scale; i++)
        l->task->scale[i] = scales_of(&l->state.scales, i);
    for (int i = 0; rc == 0 && i < params->count; i++)
        rc = device_zero(l->task->device, params->item[i].grad.data, tensor_bytes(&params->item[i].grad));
    for (int64_t done = 0; rc == 0 && done < batch; done += micro) {
        int64_t count = batch - done < micro ? batch - done : micro;

        rc = l->task->micro(l->task->self, l->state.t, l->state.t * batch + done, count, batch, loss);
    }
    if (rc != 0 || (rc = op_sum_squares(l->task->device, l->sums, l->state.grad, params->count)) != 0)
        return rc;
    blocks_fold(&l->blocks, params, l->sums, &l->state.scales);
    l->norm = blocks_norm(&l->blocks);
    return 0;
}

static int apply(struct loop *l)
{
    const struct param_table *params = l->task->params;
    struct train_state *s = &l->state;
    struct adam how = l->o->adam;
    float clip = l->o->clip > 0 && l->norm > l->o->clip ? (float)(l->o->clip / l->norm) : 1.0f;
    int rc = average_wait(&s->average); /* it reads the weights */

    how.lr = (float)step_size_at(&l->o->lr, s->t);
    how.t = ++s->applied;
    how.rng = (struct rng){s->seed, RNG_ROUND};
    for (int i = 0; rc == 0 && i < params->count; i++) {
        const struct param *p = &params->item[i];

        how.decay = p->decay ? l->o->adam.decay : 0;
        how.scale = clip / scales_of(&s->scales, p->block);
        how.master = s->master[i].data ? &s->master[i] : NULL;
        how.element = (uint64_t)i << 40;
        rc = op_adam(l->task->device, &p->value, &s->m[i], &s->v[i], &p->grad, &how);
    }
    return rc;
}

static int average(struct loop *l)
{
    struct train_state *s = &l->state;

    if (!s->average.mean || s->t % (l->o->average_every > 0 ? l->o->average_every : 1) != 0)
        return 0;
    return average_start(&s->average);
}

static int skip(struct loop *l, double loss)
{
    struct train_state *s = &l->state;

    s->skipped++;
    l->bad_t = s->t + 1;
    l->bad_block = blocks_first_bad(&l->blocks);
    if (!isfinite(loss) || !scales_may_fall(&s->scales, l->bad_block)) /* a fall takes its time, but helps gradients */
        s->skipped_in_row++;
    if (l->o->max_skips == 0 || s->skipped_in_row < l->o->max_skips)
        return 0;
    return err_set(ERR_FORMAT, "%s: update %" PRId64 ": %" PRId64 " updates in a row skipped, loss %g, gradient norm %g, "
                   "block %d", l->o->output, s->t + 1, s->skipped_in_row, loss, l->norm, l->bad_block);
}

static int update(struct loop *l)
{
    struct train_state *s = &l->state;
    double loss;
    int rc;

    if ((rc = gradient(l, &loss)) != 0)
        return rc;
    if (isfinite(loss) && isfinite(l->norm)) {
        s->loss_sum += loss;
        s->loss_count++;
        s->skipped_in_row = 0;
        rc = apply(l);
    } else {
        rc = skip(l, loss);
    }
    if (rc != 0)
        return rc;
    scales_update(&s->scales, l->blocks.finite, s->t);
    s->t++;
    return average(l);
}

/* ---- between updates --------------------------------------------------------------------------------------------- */

static bool due(const struct loop *l, int64_t every)
{
    return every > 0 && (l->state.t % every == 0 || l->state.t == l->o->steps);
}

/* A number, or null where JSON has no word for it. */
static json_t *real(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static int write_line(struct loop *l, json_t *line)
{
    if (json_dumpf(line, l->log, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9)) != 0 ||
        fputc('\n', l->log) == EOF || fflush(l->log) != 0)
        return err_errno(ERR_IO, "%s/log.jsonl: cannot write", l->o->output);
    return 0;
}

static double block_scale(const struct loop *l, int i)
{
    return log2((double)scales_of(&l->state.scales, i));
}

static double block_norm(const struct loop *l, int i)
{
    return sqrt(l->blocks.block[i].squares);
}

static double block_zeros(const struct loop *l, int i)
{
    return (double)l->blocks.block[i].zeros / (double)l->blocks.block[i].elements;
}

static void log_each(const struct loop *l, json_t *line, const char *field, double (*of)(const struct loop *l, int i))
{
    json_t *list = json_array();

    for (int i = 0; i < l->blocks.count; i++)
        json_array_append_new(list, real(of(l, i)));
    json_object_set_new(line, field, list);
}

/* Of the residual blocks: log2 of the scales, and norm and share of zeros of the last update's gradients. */
static void log_blocks(struct loop *l, json_t *line)
{
    if (l->bad_t >= 0) {
        json_object_set_new(line, "bad_update", json_integer(l->bad_t));
        json_object_set_new(line, "bad_block", l->bad_block >= 0 ? json_integer(l->bad_block) : json_null());
        l->bad_t = -1;
    }
    if (l->state.scales.count > 0)
        log_each(l, line, "scales", block_scale);
    if (l->state.scales.count > 0 || l->o->log_blocks) {
        log_each(l, line, "norms", block_norm);
        log_each(l, line, "zeros", block_zeros);
    }
}

static int log_line(struct loop *l, bool validate)
{
    struct train_state *s = &l->state;
    json_t *line = json_object();
    double now = clock_s(), spent = now - l->logged_s;
    int rc = 0;

    json_object_set_new(line, "step", json_integer(s->t));
    json_object_set_new(line, "loss", real(s->loss_count ? s->loss_sum / (double)s->loss_count : NAN));
    json_object_set_new(line, "lr", real(step_size_at(&l->o->lr, s->t - 1)));
    json_object_set_new(line, "grad_norm", real(l->norm));
    json_object_set_new(line, "skipped", json_integer(s->skipped));
    json_object_set_new(line, "examples_per_s",
                        real(spent > 0 ? (double)((s->t - l->logged_t) * l->o->batch) / spent : NAN));
    log_blocks(l, line);
    if (l->task->report)
        rc = l->task->report(l->task->self, s->t, line);
    if (rc == 0 && validate) {
        if ((rc = state_exchange(s)) == 0)
            rc = l->task->validate(l->task->self, s->t, line);
        if (rc == 0)
            rc = state_exchange(s);
    }
    if (rc == 0)
        rc = write_line(l, line);
    json_decref(line);
    s->loss_sum = 0;
    s->loss_count = 0;
    l->logged_s = clock_s();
    l->logged_t = s->t;
    return rc;
}

static int draw_pictures(struct loop *l)
{
    char *folder = text_printf("%s/pictures", l->o->output);
    int rc = folder ? state_exchange(&l->state) : err_set(ERR_NOMEM, "no memory");

    if (rc == 0)
        rc = l->task->pictures(l->task->self, l->state.t, folder);
    if (rc == 0)
        rc = state_exchange(&l->state);
    free(folder);
    return rc;
}

static int between(struct loop *l)
{
    bool validate = l->task->validate && due(l, l->o->validate_every);
    char note[64];
    int rc = 0;

    snprintf(note, sizeof note, "loss %.4f",
             l->state.loss_count ? l->state.loss_sum / (double)l->state.loss_count : NAN);
    progress_show(&l->progress, l->state.t, note);
    if (validate || l->state.t == 1 || due(l, l->o->log_every))
        rc = log_line(l, validate);
    if (rc == 0 && l->task->pictures && due(l, l->o->picture_every))
        rc = draw_pictures(l);
    if (rc == 0 && (due(l, l->o->save_every) || l->state.t == l->o->steps || signals_save_asked()))
        rc = save(l);
    if (rc == 0 && l->state.t < l->o->steps && signals_stop_asked()) {
        if ((rc = save(l)) == 0)
            rc = err_set(ERR_STOPPED, "%s: stopped on request at update %" PRId64 " after saving; --resume goes on",
                         l->o->output, l->state.t);
    }
    return rc;
}

static struct state_how how_of(const struct train_options *o, bool averages_used)
{
    int64_t micro = o->micro > 0 ? o->micro : o->batch;

    return (struct state_how){.average = o->average, .exchange = averages_used, .master = o->master,
                              .narrow_moments = o->narrow_moments, .scaling = o->scaling,
                              .scale_unit = (double)((o->batch + micro - 1) / micro), .scale_first = o->scale_first,
                              .convert = o->convert};
}

struct state_sizes train_sizes(const struct train_options *o, const struct param_table *params, bool averages_used)
{
    const struct state_how how = how_of(o, averages_used);

    return state_sizes_of(params, &how);
}

static int loop_init(struct loop *l)
{
    const struct state_how how = how_of(l->o, l->task->validate || l->task->pictures);
    int rc;

    if (l->o->scaling != SCALING_NONE && !l->task->scale)
        return err_set(ERR_ARG, "gradient scales, and a task that does not take them");
    if ((rc = state_init(&l->state, l->task->device, l->task->params, &how)) != 0 ||
        (rc = blocks_init(&l->blocks, l->task->params)) != 0)
        return rc;
    l->state.seed = l->o->seed;
    l->sums = calloc((size_t)l->task->params->count + 1, sizeof *l->sums);
    return l->sums ? 0 : err_set(ERR_NOMEM, "no memory for sums of gradients");
}

static void loop_fini(struct loop *l)
{
    state_fini(&l->state);
    blocks_fini(&l->blocks);
    free(l->sums);
}

int train_run(const struct train_options *o, const struct train_task *task)
{
    struct loop l = {.o = o, .task = task, .saved_t = -1, .bad_t = -1};
    int rc;

    if ((rc = loop_init(&l)) != 0 || (rc = open_run(&l)) != 0)
        goto out;
    signals_install();
    progress_start(&l.progress, o->program, "updates", o->steps, o->quiet);
    l.progress.first = l.state.t;
    l.logged_s = clock_s();
    l.logged_t = l.state.t;
    while (rc == 0 && l.state.t < o->steps)
        if ((rc = update(&l)) == 0)
            rc = between(&l);
    progress_clear(&l.progress);
out:
    if (l.log && fclose(l.log) != 0 && rc == 0)
        rc = err_errno(ERR_IO, "%s/log.jsonl: cannot close", o->output);
    loop_fini(&l);
    return rc;
}

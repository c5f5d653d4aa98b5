/* SPDX-License-Identifier: MIT */
/* state.c -- three files a checkpoint: values, averages, and what only a resume needs. */
#include "train/state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "format/run.h"
#include "train/loop.h"

#define STATE_META 8

static size_t padded(size_t size)
{
    return (size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
}

static size_t largest(const struct param_table *params)
{
    size_t most = 0;

    for (int i = 0; i < params->count; i++)
        if (tensor_bytes(&params->item[i].value) > most)
            most = tensor_bytes(&params->item[i].value);
    return most;
}

size_t state_bytes(const struct param_table *params, bool average)
{
    size_t sum = 0;

    for (int i = 0; i < params->count; i++)
        sum += padded(tensor_bytes(&params->item[i].value));
    return sum * (average ? 3 : 2) + (average ? padded(largest(params)) : 0);
}

size_t train_state_bytes(const struct param_table *params, bool average)
{
    return state_bytes(params, average);
}

static struct tensor *take_like(struct train_state *s)
{
    struct tensor *t = calloc((size_t)s->params->count + 1, sizeof *t);

    for (int i = 0; t && i < s->params->count; i++) {
        t[i] = s->params->item[i].value;
        t[i].data = arena_take(&s->arena, tensor_bytes(&t[i]));
    }
    return t;
}

int state_init(struct train_state *s, struct device *device, const struct param_table *params, bool average)
{
    int rc;

    *s = (struct train_state){.device = device, .params = params};
    if ((rc = device_arena_init(device, &s->arena, state_bytes(params, average))) != 0)
        return rc;
    s->m = take_like(s);
    s->v = take_like(s);
    s->average = average ? take_like(s) : NULL;
    s->scratch = average ? arena_take(&s->arena, largest(params)) : NULL;
    s->grad = calloc((size_t)params->count + 1, sizeof *s->grad);
    for (int i = 0; s->grad && i < params->count; i++)
        s->grad[i] = params->item[i].grad;
    if (!s->m || !s->v || !s->grad || (average && !s->average)) {
        state_fini(s);
        return err_set(ERR_NOMEM, "no memory for the table of %d parameters", params->count);
    }
    for (int i = 0; average && i < params->count; i++)
        if ((rc = op_copy(device, &s->average[i], &params->item[i].value)) != 0) {
            state_fini(s);
            return rc;
        }
    return 0;
}

void state_fini(struct train_state *s)
{
    if (s->device)
        device_arena_fini(s->device, &s->arena);
    free(s->m);
    free(s->v);
    free(s->average);
    free(s->grad);
    *s = (struct train_state){0};
}

int state_exchange(struct train_state *s)
{
    int rc = 0;

    for (int i = 0; s->average && rc == 0 && i < s->params->count; i++) {
        const struct tensor *value = &s->params->item[i].value;
        struct tensor scratch = *value;

        scratch.data = s->scratch;
        if ((rc = op_copy(s->device, &scratch, value)) != 0 ||
            (rc = op_copy(s->device, value, &s->average[i])) != 0)
            return rc;
        rc = op_copy(s->device, &s->average[i], &scratch);
    }
    return rc;
}

/* ---- to disk ----------------------------------------------------------------------------------------------------- */

/* A file under construction: tensors staged in host memory. */
struct staging {
    struct st_tensor *tensor; /* owned */
    char **name;              /* owned strings of the state file, else NULL entries */
    void **data;              /* owned copies */
    int count, room;
};

static int staging_init(struct staging *g, int room)
{
    *g = (struct staging){.room = room};
    g->tensor = calloc((size_t)room + 1, sizeof *g->tensor);
    g->name = calloc((size_t)room + 1, sizeof *g->name);
    g->data = calloc((size_t)room + 1, sizeof *g->data);
    return g->tensor && g->name && g->data ? 0 : err_set(ERR_NOMEM, "no memory for a table of %d tensors", room);
}

static void staging_fini(struct staging *g)
{
    for (int i = 0; i < g->count; i++) {
        free(g->name[i]);
        free(g->data[i]);
    }
    free(g->tensor);
    free(g->name);
    free(g->data);
    *g = (struct staging){0};
}

static int staging_add(struct staging *g, struct device *device, const char *prefix, const char *name,
                       const struct tensor *t)
{
    struct st_tensor *to = &g->tensor[g->count];
    size_t size = tensor_bytes(t);

    g->name[g->count] = text_printf("%s%s", prefix, name);
    g->data[g->count] = malloc(size ? size : 1);
    g->count++;
    if (!g->name[g->count - 1] || !g->data[g->count - 1])
        return err_set(ERR_NOMEM, "no memory to save %s", name);
    *to = (struct st_tensor){.name = g->name[g->count - 1], .type = ST_F32, .rank = t->rank,
                             .data = g->data[g->count - 1], .size = size};
    memcpy(to->shape, t->shape, sizeof *t->shape * (size_t)t->rank);
    return device_download(device, g->data[g->count - 1], t->data, size);
}

/* One file of values taken from `from` (params->count views), or from the parameters where it is NULL. */
static int save_values(struct train_state *s, const char *folder, const char *file, const struct tensor *from,
                       const struct st_meta *meta, int meta_count)
{
    char *path = text_printf("%s/%s", folder, file);
    struct staging g;
    int rc = path ? staging_init(&g, s->params->count) : err_set(ERR_NOMEM, "no memory");

    if (!path)
        return rc;
    for (int i = 0; rc == 0 && i < s->params->count; i++)
        rc = staging_add(&g, s->device, "", s->params->item[i].name, from ? &from[i] : &s->params->item[i].value);
    if (rc == 0)
        rc = st_write(path, g.tensor, g.count, meta, meta_count);
    staging_fini(&g);
    free(path);
    return rc;
}

static int save_state(struct train_state *s, const char *folder)
{
    char text[STATE_META][32];
    struct st_meta meta[STATE_META] = {
        {"format", "armchair-state 1"}, {"step", text[1]}, {"applied", text[2]}, {"skipped", text[3]},
        {"skipped_in_row", text[4]}, {"loss_sum", text[5]}, {"loss_count", text[6]}, {"seed", text[7]}};
    char *path = text_printf("%s/state.safetensors", folder);
    struct staging g;
    int rc = path ? staging_init(&g, 2 * s->params->count) : err_set(ERR_NOMEM, "no memory");

    if (!path)
        return rc;
    snprintf(text[1], sizeof *text, "%" PRId64, s->t);
    snprintf(text[2], sizeof *text, "%" PRId64, s->applied);
    snprintf(text[3], sizeof *text, "%" PRId64, s->skipped);
    snprintf(text[4], sizeof *text, "%" PRId64, s->skipped_in_row);
    snprintf(text[5], sizeof *text, "%a", s->loss_sum); /* hexadecimal: nothing is lost */
    snprintf(text[6], sizeof *text, "%" PRId64, s->loss_count);
    snprintf(text[7], sizeof *text, "%" PRIu64, s->seed);
    for (int i = 0; rc == 0 && i < s->params->count; i++)
        if ((rc = staging_add(&g, s->device, "m.", s->params->item[i].name, &s->m[i])) == 0)
            rc = staging_add(&g, s->device, "v.", s->params->item[i].name, &s->v[i]);
    if (rc == 0)
        rc = st_write(path, g.tensor, g.count, meta, STATE_META);
    staging_fini(&g);
    free(path);
    return rc;
}

int state_save(struct train_state *s, const char *run, int keep, const struct st_meta *meta, int meta_count)
{
    struct st_meta *all = calloc((size_t)meta_count + 1, sizeof *all);
    char folder[RUN_PATH_MAX], step[32];
    int rc;

    if (!all)
        return err_set(ERR_NOMEM, "no memory");
    if (meta_count)
        memcpy(all, meta, sizeof *meta * (size_t)meta_count);
    snprintf(step, sizeof step, "%" PRId64, s->t);
    all[meta_count] = (struct st_meta){"step", step};
    if ((rc = run_begin(folder, run, s->t)) == 0)
        rc = save_values(s, folder, "model.safetensors", NULL, all, meta_count + 1);
    if (rc == 0 && s->average)
        rc = save_values(s, folder, "ema.safetensors", s->average, all, meta_count + 1);
    if (rc == 0)
        rc = save_state(s, folder);
    if (rc == 0)
        rc = run_commit(run, s->t, keep);
    free(all);
    return rc;
}

/* ---- and back ---------------------------------------------------------------------------------------------------- */

static int load_tensor(struct device *device, const struct tensor *to, const struct st_file *file, const char *prefix,
                       const char *name)
{
    char *full = text_printf("%s%s", prefix, name);
    const struct st_tensor *t = full ? st_find(file, full) : NULL;
    float *values = NULL;
    int rc = 0;

    if (!full)
        return err_set(ERR_NOMEM, "no memory");
    if (!t)
        rc = err_set(ERR_MISMATCH, "no tensor %s", full);
    else if (t->rank != to->rank || memcmp(t->shape, to->shape, sizeof *to->shape * (size_t)to->rank) != 0)
        rc = err_set(ERR_MISMATCH, "tensor %s has another shape", full);
    else if (!(values = malloc(tensor_bytes(to) + 1)))
        rc = err_set(ERR_NOMEM, "no memory for %s", full);
    else if ((rc = st_to_f32(values, t)) == 0)
        rc = device_upload(device, to->data, values, tensor_bytes(to));
    free(values);
    free(full);
    return rc;
}

int train_load(struct device *dev, const struct param_table *params, const struct st_file *file, const char *prefix)
{
    int rc = 0;

    for (int i = 0; rc == 0 && i < params->count; i++)
        rc = load_tensor(dev, &params->item[i].value, file, prefix, params->item[i].name);
    return rc;
}

static int64_t meta_number(const struct st_file *f, const char *key)
{
    const char *text = st_meta_get(f, key);

    return text ? strtoll(text, NULL, 10) : 0;
}

static int load_state(struct train_state *s, const struct st_file *f)
{
    const char *sum = st_meta_get(f, "loss_sum"), *seed = st_meta_get(f, "seed"), *format = st_meta_get(f, "format");
    int rc = 0;

    if (!format || strcmp(format, "armchair-state 1") != 0)
        return err_set(ERR_FORMAT, "not a training state of version 1");
    if (!seed || strtoull(seed, NULL, 10) != s->seed)
        return err_set(ERR_MISMATCH, "the run was started with --seed %s, not %" PRIu64, seed ? seed : "?", s->seed);
    s->t = meta_number(f, "step");
    s->applied = meta_number(f, "applied");
    s->skipped = meta_number(f, "skipped");
    s->skipped_in_row = meta_number(f, "skipped_in_row");
    s->loss_count = meta_number(f, "loss_count");
    s->loss_sum = sum ? strtod(sum, NULL) : 0;
    for (int i = 0; rc == 0 && i < s->params->count; i++)
        if ((rc = load_tensor(s->device, &s->m[i], f, "m.", s->params->item[i].name)) == 0)
            rc = load_tensor(s->device, &s->v[i], f, "v.", s->params->item[i].name);
    return rc;
}

/* One of the checkpoint's files: which 0 values, 1 averages, 2 state. */
static int load_file(struct train_state *s, const char *folder, int which)
{
    static const char *const names[] = {"model", "ema", "state"};
    char *path = text_printf("%s/%s.safetensors", folder, names[which]);
    struct st_file *f = NULL;
    int rc = path ? st_open(&f, path) : err_set(ERR_NOMEM, "no memory");

    if (rc == 0 && which == 0)
        rc = train_load(s->device, s->params, f, "");
    for (int i = 0; rc == 0 && which == 1 && i < s->params->count; i++)
        rc = load_tensor(s->device, &s->average[i], f, "", s->params->item[i].name);
    if (rc == 0 && which == 2)
        rc = load_state(s, f);
    if (rc != 0 && path)
        rc = err_at(rc, "%s", path);
    st_close(f);
    free(path);
    return rc;
}

int state_load(struct train_state *s, const char *folder)
{
    int rc = load_file(s, folder, 0);

    if (rc == 0 && s->average)
        rc = load_file(s, folder, 1);
    return rc == 0 ? load_file(s, folder, 2) : rc;
}

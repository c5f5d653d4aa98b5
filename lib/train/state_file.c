/* SPDX-License-Identifier: MIT */
/* state_file.c -- three files a checkpoint: weights, averages, and what only a resume needs. */
#include <float.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "compute/act.h"
#include "compute/host.h"
#include "format/run.h"
#include "train/loop.h"
#include "train/state.h"

#define FORMAT "armchair-state 2" /* 1: no text about how numbers are kept, all of them f32 */

/* How the weights of a table are kept, as the state's metadata says it. */
static const char *kept_as(const struct train_state *s)
{
    for (int i = 0; i < s->params->count; i++)
        switch (s->params->item[i].value.type) {
        case DTYPE_F16: return s->how.master ? "f16 with masters" : "f16";
        case DTYPE_BF16: return s->how.master ? "bf16 with masters" : "bf16";
        default: break;
        }
    return "f32";
}

/* ---- to disk ----------------------------------------------------------------------------------------------------- */

static enum st_type st_type_of(enum dtype type)
{
    switch (type) {
    case DTYPE_F16: return ST_F16;
    case DTYPE_BF16: return ST_BF16;
    case DTYPE_E6M9:
    case DTYPE_E6M10: return ST_U16;
    default: return ST_F32;
    }
}

/* A file to be written: its tensors, and where each lies. */
struct list {
    struct device *device;    /* borrowed */
    struct st_tensor *tensor; /* owned; data: in the host's memory, or NULL */
    struct tensor *on_device; /* owned */
    char **name;              /* owned strings */
    void *piece;              /* owned: STATE_PIECE bytes on their way from the device */
    int count;
};

static int list_init(struct list *l, struct device *device, int room)
{
    *l = (struct list){.device = device};
    l->tensor = calloc((size_t)room + 1, sizeof *l->tensor);
    l->on_device = calloc((size_t)room + 1, sizeof *l->on_device);
    l->name = calloc((size_t)room + 1, sizeof *l->name);
    l->piece = malloc(STATE_PIECE);
    return l->tensor && l->on_device && l->name && l->piece ? 0
                                                            : err_set(ERR_NOMEM, "no memory for a table of %d tensors", room);
}

static void list_fini(struct list *l)
{
    for (int i = 0; i < l->count; i++)
        free(l->name[i]);
    free(l->tensor);
    free(l->on_device);
    free(l->name);
    free(l->piece);
    *l = (struct list){0};
}

/* A tensor that lies in the host's memory at data, or where that is NULL on the device. */
static int list_add(struct list *l, const char *prefix, const char *name, enum st_type type, const struct tensor *t,
                    const void *data)
{
    struct st_tensor *to = &l->tensor[l->count];

    if (!(l->name[l->count] = text_printf("%s%s", prefix, name)))
        return err_set(ERR_NOMEM, "no memory to save %s", name);
    *to = (struct st_tensor){.name = l->name[l->count], .type = type, .rank = t->rank, .data = data};
    memcpy(to->shape, t->shape, sizeof *t->shape * (size_t)t->rank);
    l->on_device[l->count] = *t;
    l->count++;
    return 0;
}

static int list_add_device(struct list *l, const char *prefix, const char *name, const struct tensor *t)
{
    return list_add(l, prefix, name, st_type_of(t->type), t, NULL);
}

static int write_tensor(void *self, int i, struct out *out)
{
    struct list *l = self;
    const struct tensor *t = &l->on_device[i];
    size_t size = tensor_bytes(t);
    int rc = 0;

    if (l->tensor[i].data)
        return out_write(out, l->tensor[i].data, (size_t)tensor_elements(t) * (size_t)st_type_size(l->tensor[i].type));
    for (size_t at = 0; rc == 0 && at < size; at += STATE_PIECE) {
        size_t part = size - at < STATE_PIECE ? size - at : STATE_PIECE;

        if ((rc = device_download(l->device, l->piece, (const char *)t->data + at, part)) == 0)
            rc = out_write(out, l->piece, part);
    }
    return rc;
}

/* Unless rc says that listing failed; the list is gone afterwards. */
static int list_write(struct list *l, int rc, const char *folder, const char *file, const struct st_meta *meta, int meta_count)
{
    char *path = text_printf("%s/%s", folder, file);

    if (rc == 0)
        rc = path ? st_write_from(path, l->tensor, l->count, meta, meta_count, write_tensor, l) : err_set(ERR_NOMEM, "no memory");
    list_fini(l);
    free(path);
    return rc;
}

static int save_weights(struct train_state *s, const char *folder, const struct st_meta *meta, int meta_count)
{
    struct list l;
    int rc = list_init(&l, s->device, s->params->count);

    for (int i = 0; rc == 0 && i < s->params->count; i++)
        rc = list_add_device(&l, "", s->params->item[i].name, &s->weights[i]);
    return list_write(&l, rc, folder, "model.safetensors", meta, meta_count);
}

static int save_averages(struct train_state *s, const char *folder, const struct st_meta *meta, int meta_count)
{
    struct list l;
    int rc = list_init(&l, s->device, s->params->count);

    if (rc == 0)
        rc = average_wait(&s->average);
    for (int i = 0; rc == 0 && i < s->params->count; i++)
        rc = list_add(&l, "", s->params->item[i].name, ST_F32, &s->params->item[i].value, s->average.mean[i]);
    return list_write(&l, rc, folder, "ema.safetensors", meta, meta_count);
}

static int list_moments(struct list *l, const struct train_state *s)
{
    int rc = 0;

    for (int i = 0; rc == 0 && i < s->params->count; i++)
        if ((rc = list_add_device(l, "m.", s->params->item[i].name, &s->m[i])) == 0)
            rc = list_add_device(l, "v.", s->params->item[i].name, &s->v[i]);
    return rc;
}

static int list_scales(struct list *l, const struct scales *s)
{
    const struct tensor row = tensor_f32(NULL, s->count); /* for its shape */
    int rc = s->count > 0 ? list_add(l, "", "scale.value", ST_F64, &row, s->scale) : 0;

    return rc == 0 && s->count > 0 ? list_add(l, "", "scale.divided", ST_I64, &row, s->divided) : rc;
}

static int save_state(struct train_state *s, const char *folder)
{
    enum { STEP = 1, APPLIED, SKIPPED, SKIPPED_IN_ROW, LOSS_SUM, LOSS_COUNT, SEED, NUMBERS };
    char text[NUMBERS][32];
    struct st_meta meta[] = {
        {"format", FORMAT}, {"step", text[STEP]}, {"applied", text[APPLIED]}, {"skipped", text[SKIPPED]},
        {"skipped_in_row", text[SKIPPED_IN_ROW]}, {"loss_sum", text[LOSS_SUM]}, {"loss_count", text[LOSS_COUNT]},
        {"seed", text[SEED]}, {"weights", kept_as(s)}, {"moments", s->how.narrow_moments ? "16" : "32"},
        {"scaling", scaling_name(s->how.scaling)}};
    struct list l;
    int rc = list_init(&l, s->device, 2 * s->params->count + 2);

    snprintf(text[STEP], sizeof *text, "%" PRId64, s->t);
    snprintf(text[APPLIED], sizeof *text, "%" PRId64, s->applied);
    snprintf(text[SKIPPED], sizeof *text, "%" PRId64, s->skipped);
    snprintf(text[SKIPPED_IN_ROW], sizeof *text, "%" PRId64, s->skipped_in_row);
    snprintf(text[LOSS_SUM], sizeof *text, "%a", s->loss_sum); /* hexadecimal: nothing is lost */
    snprintf(text[LOSS_COUNT], sizeof *text, "%" PRId64, s->loss_count);
    snprintf(text[SEED], sizeof *text, "%" PRIu64, s->seed);
    if (rc == 0 && (rc = list_moments(&l, s)) == 0)
        rc = list_scales(&l, &s->scales);
    return list_write(&l, rc, folder, "state.safetensors", meta, sizeof meta / sizeof *meta);
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
        rc = save_weights(s, folder, all, meta_count + 1);
    if (rc == 0 && s->average.mean)
        rc = save_averages(s, folder, all, meta_count + 1);
    if (rc == 0)
        rc = save_state(s, folder);
    if (rc == 0)
        rc = run_commit(run, s->t, keep);
    free(all);
    return rc;
}

/* ---- and back ---------------------------------------------------------------------------------------------------- */

static int find_tensor(const struct st_tensor **found, const struct st_file *file, const char *prefix, const char *name,
                       int rank, const int64_t *shape)
{
    char *full = text_printf("%s%s", prefix, name);
    const struct st_tensor *t = full ? st_find(file, full) : NULL;
    int rc = 0;

    *found = t;
    if (!full)
        return err_set(ERR_NOMEM, "no memory");
    if (!t)
        rc = err_set(ERR_MISMATCH, "no tensor %s", full);
    else if (t->rank != rank || memcmp(t->shape, shape, sizeof *shape * (size_t)rank) != 0)
        rc = err_set(ERR_MISMATCH, "tensor %s has another shape", full);
    free(full);
    return rc;
}

/* Elements from..from+count-1 as f32: numbers, or codes of moments; room: bytes for as many of any type. */
static int read_floats(float *to, void *room, const struct st_tensor *t, int64_t from, int64_t count, enum dtype codes)
{
    size_t each = (size_t)st_type_size(t->type);
    struct st_tensor part = *t;

    part.rank = 1;
    part.shape[0] = count;
    part.data = (const char *)t->data + (size_t)from * each;
    if (t->type != ST_U16 || codes == DTYPE_F32)
        return st_to_f32(to, &part);
    memcpy(room, part.data, (size_t)count * each); /* it may lie anywhere */
    host_to_f32(to, room, codes, count);
    return 0;
}

/* codes: what 16-bit integers in the file stand for; f32: nothing, they are refused.  any: not only of the type that it has here. */
static int load_tensor(struct device *device, const struct tensor *to, const struct st_file *file, const char *prefix,
                       const char *name, enum dtype codes, bool any)
{
    const int64_t n = tensor_elements(to), piece = (int64_t)(STATE_PIECE / (2 * sizeof(float)));
    size_t each = dtype_size(to->type);
    const struct st_tensor *t;
    float *values;
    int rc = find_tensor(&t, file, prefix, name, to->rank, to->shape);

    if (rc != 0)
        return rc;
    if (!any && t->type != st_type_of(to->type))
        return err_set(ERR_MISMATCH, "tensor %s%s is %s, not %s", prefix, name, st_type_name(t->type),
                       st_type_name(st_type_of(to->type)));
    if (!(values = malloc(STATE_PIECE)))
        return err_set(ERR_NOMEM, "no memory for %s", name);
    for (int64_t at = 0; rc == 0 && at < n; at += piece) {
        int64_t count = n - at < piece ? n - at : piece;

        if ((rc = read_floats(values, values + piece, t, at, count, codes)) == 0) {
            host_from_f32(values + piece, to->type, values, count);
            rc = device_upload(device, (char *)to->data + (size_t)at * each, values + piece, (size_t)count * each);
        }
    }
    free(values);
    return rc;
}

static int load_values(struct device *dev, const struct param_table *params, const struct tensor *to,
                       const struct st_file *file, const char *prefix, bool any)
{
    int rc = 0;

    for (int i = 0; rc == 0 && i < params->count; i++)
        rc = load_tensor(dev, to ? &to[i] : &params->item[i].value, file, prefix, params->item[i].name, DTYPE_F32,
                         any);
    return rc;
}

int train_load(struct device *dev, const struct param_table *params, const struct st_file *file, const char *prefix)
{
    return load_values(dev, params, NULL, file, prefix, true);
}

/* Into the masters where there are any, and the values rounded from them. */
static int load_weights(struct train_state *s, const struct st_file *f)
{
    int rc = load_values(s->device, s->params, s->weights, f, "", s->how.convert);

    for (int i = 0; rc == 0 && i < s->params->count; i++)
        if (s->master[i].data)
            rc = op_copy(s->device, &s->params->item[i].value, &s->master[i]);
    return rc;
}

static int load_averages(struct train_state *s, const struct st_file *f)
{
    int rc = 0;

    for (int i = 0; rc == 0 && i < s->params->count; i++) {
        const struct param *p = &s->params->item[i];
        const struct st_tensor *t;

        if ((rc = find_tensor(&t, f, "", p->name, p->value.rank, p->value.shape)) == 0)
            rc = st_to_f32(s->average.mean[i], t);
    }
    return rc;
}

static int64_t meta_number(const struct st_file *f, const char *key)
{
    const char *text = st_meta_get(f, key);

    return text ? strtoll(text, NULL, 10) : 0;
}

/* Is a property of the checkpoint what it is here, or may it be another? */
static int check_kept(const struct train_state *s, const struct st_file *f, const char *key, const char *ours)
{
    static const char *const first[] = {"weights", "f32", "moments", "32", "scaling", "none"}; /* of version 1 */
    const char *theirs = st_meta_get(f, key);

    for (int i = 0; !theirs && i < 6; i += 2)
        theirs = strcmp(key, first[i]) == 0 ? first[i + 1] : NULL;
    if (s->how.convert || (theirs && strcmp(theirs, ours) == 0))
        return 0;
    return err_set(ERR_MISMATCH, "the checkpoint was made with %s %s, now it is %s; --convert goes on", key,
                   theirs ? theirs : "?", ours);
}

/* Scales of another kind of scaling are left where they are: those of now start anew.  A fixed one is what it is now. */
static int load_scales(struct train_state *s, const struct st_file *f)
{
    const char *scaling = st_meta_get(f, "scaling");
    const int64_t count = s->scales.count;
    const struct st_tensor *value, *divided;
    int rc;

    if (count == 0 || s->how.scaling == SCALING_FIXED || !scaling || strcmp(scaling, scaling_name(s->how.scaling)) != 0)
        return 0;
    if ((rc = find_tensor(&value, f, "", "scale.value", 1, &count)) != 0 ||
        (rc = find_tensor(&divided, f, "", "scale.divided", 1, &count)) != 0)
        return rc;
    if (value->type != ST_F64 || divided->type != ST_I64)
        return err_set(ERR_FORMAT, "gradient scales of another type");
    memcpy(s->scales.scale, value->data, sizeof *s->scales.scale * (size_t)count);
    memcpy(s->scales.divided, divided->data, sizeof *s->scales.divided * (size_t)count);
    for (int64_t i = 0; i < count; i++)
        if (!(s->scales.scale[i] >= (double)FLT_MIN) || !(s->scales.scale[i] < (double)FLT_MAX) || s->scales.divided[i] < -1 ||
            s->scales.divided[i] >= s->t)
            return err_set(ERR_FORMAT, "gradient scale %" PRId64 " is %g, divided in update %" PRId64, i, s->scales.scale[i],
                           s->scales.divided[i]);
    return 0;
}

static int load_state(struct train_state *s, const struct st_file *f)
{
    const char *sum = st_meta_get(f, "loss_sum"), *seed = st_meta_get(f, "seed"), *format = st_meta_get(f, "format");
    int rc;

    if (!format || (strcmp(format, FORMAT) != 0 && strcmp(format, "armchair-state 1") != 0))
        return err_set(ERR_FORMAT, "not a training state of version 1 or 2");
    if (!seed || strtoull(seed, NULL, 10) != s->seed)
        return err_set(ERR_MISMATCH, "the run was started with --seed %s, not %" PRIu64, seed ? seed : "?", s->seed);
    if ((rc = check_kept(s, f, "weights", kept_as(s))) != 0 ||
        (rc = check_kept(s, f, "moments", s->how.narrow_moments ? "16" : "32")) != 0 ||
        (rc = check_kept(s, f, "scaling", scaling_name(s->how.scaling))) != 0)
        return rc;
    s->t = meta_number(f, "step");
    s->applied = meta_number(f, "applied");
    s->skipped = meta_number(f, "skipped");
    s->skipped_in_row = meta_number(f, "skipped_in_row");
    s->loss_count = meta_number(f, "loss_count");
    s->loss_sum = sum ? strtod(sum, NULL) : 0;
    rc = load_scales(s, f);
    for (int i = 0; rc == 0 && i < s->params->count; i++)
        if ((rc = load_tensor(s->device, &s->m[i], f, "m.", s->params->item[i].name, DTYPE_E6M9, s->how.convert)) == 0)
            rc = load_tensor(s->device, &s->v[i], f, "v.", s->params->item[i].name, DTYPE_E6M10, s->how.convert);
    return rc;
}

static int load_file(struct train_state *s, const char *folder, const char *name,
                     int (*load)(struct train_state *s, const struct st_file *f))
{
    char *path = text_printf("%s/%s.safetensors", folder, name);
    struct st_file *f = NULL;
    int rc = path ? st_open(&f, path) : err_set(ERR_NOMEM, "no memory");

    if (rc == 0)
        rc = load(s, f);
    if (rc != 0 && path)
        rc = err_at(rc, "%s", path);
    st_close(f);
    free(path);
    return rc;
}

int state_load(struct train_state *s, const char *folder)
{
    int rc = load_file(s, folder, "state", load_state); /* first: it says what does not fit */

    if (rc == 0)
        rc = load_file(s, folder, "model", load_weights);
    return rc == 0 && s->average.mean ? load_file(s, folder, "ema", load_averages) : rc;
}

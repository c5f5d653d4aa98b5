/* SPDX-License-Identifier: MIT */
/* state.c -- memory of the optimiser's numbers, and the exchange of values and averages. */
#include "train/state.h"

#include <stdlib.h>
#include <string.h>

#include "compute/act.h"
#include "compute/host.h"
#include "train/blocks.h"

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static struct tensor take(struct arena *a, const struct tensor *like, enum dtype type)
{
    struct tensor t = tensor_view(NULL, type, like->rank, like->shape);

    t.data = arena_take(a, tensor_bytes(&t));
    return t;
}

static bool has_master(const struct param *p, const struct state_how *how)
{
    return how->master && p->value.type != DTYPE_F32;
}

/* Counts where the arena has no memory.  s->m and the others may be NULL then. */
static void place(struct train_state *s)
{
    bool codes = s->how.narrow_moments;

    for (int i = 0; i < s->params->count; i++) {
        const struct param *p = &s->params->item[i];
        struct tensor m = take(&s->arena, &p->value, codes && p->narrow ? DTYPE_E6M9 : DTYPE_F32);
        struct tensor v = take(&s->arena, &p->value, codes && p->narrow ? DTYPE_E6M10 : DTYPE_F32);

        if (s->m) {
            s->m[i] = m;
            s->v[i] = v;
        }
    }
}

static void place_masters(struct train_state *s)
{
    for (int i = 0; i < s->params->count; i++) {
        const struct param *p = &s->params->item[i];
        struct tensor master = has_master(p, &s->how) ? take(&s->arena, &p->value, DTYPE_F32) : (struct tensor){0};

        if (s->master) {
            s->master[i] = master;
            s->weights[i] = master.data ? master : p->value;
        }
    }
}

static size_t held_bytes(const struct param_table *params)
{
    struct arena a = {0};

    for (int i = 0; i < params->count; i++)
        arena_take(&a, tensor_bytes(&params->item[i].value));
    return a.used;
}

struct state_sizes state_sizes_of(const struct param_table *params, const struct state_how *how)
{
    struct train_state s = {.params = params, .how = *how};
    struct state_sizes sizes = {0};
    size_t weights = 0, floats = 0, largest = 0;

    place(&s);
    sizes.moments = s.arena.used;
    place_masters(&s);
    sizes.masters = s.arena.used - sizes.moments;
    for (int i = 0; i < params->count; i++) {
        const struct param *p = &params->item[i];
        size_t n = (size_t)tensor_elements(&p->value);

        floats += sizeof(float) * n;
        largest = sizeof(float) * n > largest ? sizeof(float) * n : largest;
        weights += has_master(p, how) ? sizeof(float) * n : tensor_bytes(&p->value);
    }
    if (how->average > 0) {
        sizes.average = average_bytes(params);
        sizes.held = how->exchange ? held_bytes(params) : 0;
    }
    sizes.staged = largest < STATE_PIECE ? largest : STATE_PIECE;
    sizes.saved = weights + sizes.moments + (how->average > 0 ? floats : 0);
    return sizes;
}

static int start_masters(struct train_state *s)
{
    int rc = 0;

    for (int i = 0; rc == 0 && i < s->params->count; i++)
        if (s->master[i].data)
            rc = op_copy(s->device, &s->master[i], &s->params->item[i].value);
    return rc;
}

static int tables_init(struct train_state *s)
{
    size_t room = (size_t)s->params->count + 1;

    s->m = calloc(room, sizeof *s->m);
    s->v = calloc(room, sizeof *s->v);
    s->master = calloc(room, sizeof *s->master);
    s->weights = calloc(room, sizeof *s->weights);
    s->grad = calloc(room, sizeof *s->grad);
    if (!s->m || !s->v || !s->master || !s->weights || !s->grad)
        return err_set(ERR_NOMEM, "no memory for the table of %d parameters", s->params->count);
    for (int i = 0; i < s->params->count; i++)
        s->grad[i] = s->params->item[i].grad;
    return 0;
}

int state_init(struct train_state *s, struct device *device, const struct param_table *params, const struct state_how *how)
{
    const struct state_sizes sizes = state_sizes_of(params, how);
    int rc;

    *s = (struct train_state){.device = device, .params = params, .how = *how};
    if ((rc = device_arena_init(device, &s->arena, sizes.moments + sizes.masters)) != 0 || (rc = tables_init(s)) != 0)
        goto fail;
    place(s);
    place_masters(s);
    if ((rc = scales_init(&s->scales, how->scaling, blocks_in(params), how->scale_unit, how->scale_first)) != 0 ||
        (rc = start_masters(s)) != 0 ||
        (how->average > 0 && (rc = average_init(&s->average, device, params, s->weights, how->average)) != 0) ||
        (sizes.held > 0 && (rc = arena_init(&s->held, sizes.held)) != 0))
        goto fail;
    return 0;
fail:
    state_fini(s);
    return rc;
}

void state_fini(struct train_state *s)
{
    average_fini(&s->average);
    scales_fini(&s->scales);
    arena_fini(&s->held);
    if (s->device)
        device_arena_fini(s->device, &s->arena);
    free(s->m);
    free(s->v);
    free(s->master);
    free(s->weights);
    free(s->grad);
    *s = (struct train_state){0};
}

/* ---- averages in the place of values ------------------------------------------------------------------------------ */

/* mean, rounded to the value's type. */
static int put_mean(struct train_state *s, const struct tensor *value, const float *mean)
{
    size_t each = dtype_size(value->type);
    int64_t n = tensor_elements(value), piece = (int64_t)(s->average.piece_bytes / each);
    int rc = 0;

    for (int64_t at = 0; rc == 0 && at < n; at += piece) {
        int64_t count = n - at < piece ? n - at : piece;

        host_from_f32(s->average.piece, value->type, mean + at, count);
        rc = device_upload(s->device, (char *)value->data + (size_t)at * each, s->average.piece, (size_t)count * each);
    }
    return rc;
}

int state_exchange(struct train_state *s)
{
    struct arena held = s->held;
    int rc;

    if (!s->average.mean)
        return 0;
    if ((rc = average_wait(&s->average)) != 0)
        return rc;
    held.used = 0;
    for (int i = 0; rc == 0 && i < s->params->count; i++) {
        const struct tensor *value = &s->params->item[i].value;
        void *place_held = arena_take(&held, tensor_bytes(value));

        if (s->exchanged)
            rc = device_upload(s->device, value->data, place_held, tensor_bytes(value));
        else if ((rc = device_download(s->device, place_held, value->data, tensor_bytes(value))) == 0)
            rc = put_mean(s, value, s->average.mean[i]);
    }
    s->exchanged = !s->exchanged;
    return rc;
}

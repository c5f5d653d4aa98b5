/* SPDX-License-Identifier: MIT */
/* prior.c -- shapes, names, memory and first values of the prior's parameters.
 *
 * Easy to get wrong: q, k and v are three parameters but one block; the logits matrices are not the embeddings; position
 * embeddings are divided by the number summed at a position; L in 1/sqrt(2L) is the number of layers, so 2L branches.
 */
#include "model/prior.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "compute/host.h"

#define LAYER_PARAMS 16
#define OTHER_PARAMS 14
#define CHUNK ((int64_t)1 << 18)

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static struct tensor take1(struct arena *a, int64_t n)
{
    struct tensor t = tensor_f32(NULL, n);

    t.data = arena_take(a, tensor_bytes(&t));
    return t;
}

static struct tensor take2(struct arena *a, enum dtype type, int64_t n, int64_t k)
{
    struct tensor t = tensor_of(type, NULL, n, k);

    t.data = arena_take(a, tensor_bytes(&t));
    return t;
}

static struct prior_norm take_norm(struct arena *a, int64_t d)
{
    struct prior_norm n = {.g = take1(a, d)};

    n.b = take1(a, d);
    return n;
}

static struct prior_linear take_linear(struct arena *a, enum dtype type, int64_t out, int64_t in)
{
    struct prior_linear l = {.w = take2(a, type, out, in)};

    l.b = take1(a, out);
    return l;
}

/* type: of the blocks' matrices */
static void place(struct prior_weights *w, struct arena *a, const struct prior_config *c, enum dtype type)
{
    int64_t d = c->width;

    w->text_token = take2(a, DTYPE_F32, c->text_vocab, d);
    w->text_position = take2(a, DTYPE_F32, c->text_slots, d);
    w->text_pad = take2(a, DTYPE_F32, c->text_slots, d);
    w->text_start = take2(a, DTYPE_F32, 1, d);
    w->image_token = take2(a, DTYPE_F32, c->image_vocab, d);
    w->image_row = take2(a, DTYPE_F32, c->grid_h, d);
    w->image_column = take2(a, DTYPE_F32, c->grid_w, d);
    w->image_start = take2(a, DTYPE_F32, 1, d);
    for (int64_t i = 0; i < c->layers; i++) {
        struct prior_layer *l = &w->layer[i];

        l->attn_norm = take_norm(a, d);
        l->qkv = take_linear(a, type, 3 * d, d);
        l->out = take_linear(a, type, d, d);
        l->mlp_norm = take_norm(a, d);
        l->up = take_linear(a, type, 4 * d, d);
        l->down = take_linear(a, type, d, 4 * d);
    }
    w->final = take_norm(a, d);
    w->text_logits = take_linear(a, DTYPE_F32, c->text_vocab, d);
    w->image_logits = take_linear(a, DTYPE_F32, c->image_vocab, d);
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

/* Names are built from a stem and, for parameters of a layer, its number. */
struct table {
    struct prior *p;
    int64_t layer; /* -1: none */
    int block;
};

static void add(struct table *t, const char *stem, const char *what, const struct tensor *value,
                const struct tensor *grad, float spread)
{
    struct prior *p = t->p;
    int i = p->params.count++;
    bool bias = strcmp(what, "bias") == 0, gain = strstr(stem, "norm") && !bias;

    if (t->layer < 0)
        snprintf(p->name[i], PRIOR_NAME_MAX, "%s.%s", stem, what);
    else
        snprintf(p->name[i], PRIOR_NAME_MAX, "layers.%d.%s.%s", (int)t->layer, stem, what);
    p->spread[i] = spread;
    p->centre[i] = gain ? 1 : 0;
    p->params.item[i] = (struct param){.name = p->name[i], .value = *value, .grad = *grad, .block = t->block};
}

static void add_norm(struct table *t, const char *stem, const struct prior_norm *w, const struct prior_norm *dw)
{
    add(t, stem, "weight", &w->g, &dw->g, 0);
    add(t, stem, "bias", &w->b, &dw->b, 0);
}

static void add_linear(struct table *t, const char *stem, const struct prior_linear *w, const struct prior_linear *dw,
                       float spread)
{
    add(t, stem, "weight", &w->w, &dw->w, spread);
    t->p->params.item[t->p->params.count - 1].decay = true;
    t->p->params.item[t->p->params.count - 1].narrow = t->block >= 0;
    add(t, stem, "bias", &w->b, &dw->b, 0);
}

/* Rows i*d .. (i+1)*d - 1 of a block of three. */
static struct tensor third(const struct tensor *t, int64_t i)
{
    struct tensor part = *t;

    part.shape[0] = t->shape[0] / 3;
    if (t->data)
        part.data = (char *)t->data + (size_t)i * tensor_bytes(&part);
    return part;
}

static void add_qkv(struct table *t, const struct prior_linear *w, const struct prior_linear *dw, float spread)
{
    static const char *const stem[] = {"attn.q", "attn.k", "attn.v"};

    for (int i = 0; i < 3; i++) {
        struct prior_linear part = {third(&w->w, i), third(&w->b, i)}, dpart = {third(&dw->w, i), third(&dw->b, i)};

        add_linear(t, stem[i], &part, &dpart, spread);
    }
}

static void fill_table(struct prior *p)
{
    const struct prior_weights *w = &p->w, *dw = &p->dw;
    int64_t d = p->config.width, layers = p->config.layers;
    float narrow = 0.125f / sqrtf((float)d), wide = 0.125f / sqrtf(4 * (float)d);
    float end = 1 / sqrtf(2 * (float)layers), two = 0.125f / sqrtf(2 * (float)d);
    struct table t = {p, -1, -1};

    add(&t, "text.token", "weight", &w->text_token, &dw->text_token, narrow);
    add(&t, "text.position", "weight", &w->text_position, &dw->text_position, narrow);
    add(&t, "text.pad", "weight", &w->text_pad, &dw->text_pad, narrow);
    add(&t, "text.start", "weight", &w->text_start, &dw->text_start, narrow);
    add(&t, "image.token", "weight", &w->image_token, &dw->image_token, narrow);
    add(&t, "image.row", "weight", &w->image_row, &dw->image_row, two);
    add(&t, "image.column", "weight", &w->image_column, &dw->image_column, two);
    add(&t, "image.start", "weight", &w->image_start, &dw->image_start, narrow);
    for (int64_t i = 0; i < layers; i++) {
        const struct prior_layer *l = &w->layer[i], *dl = &dw->layer[i];

        t = (struct table){p, i, (int)(2 * i)};
        add_norm(&t, "attn.norm", &l->attn_norm, &dl->attn_norm);
        add_qkv(&t, &l->qkv, &dl->qkv, narrow);
        add_linear(&t, "attn.out", &l->out, &dl->out, narrow * end);
        t.block++;
        add_norm(&t, "mlp.norm", &l->mlp_norm, &dl->mlp_norm);
        add_linear(&t, "mlp.up", &l->up, &dl->up, narrow);
        add_linear(&t, "mlp.down", &l->down, &dl->down, wide * end);
    }
    t = (struct table){p, -1, -1};
    add_norm(&t, "final.norm", &w->final, &dw->final);
    add_linear(&t, "text.logits", &w->text_logits, &dw->text_logits, 0);
    add_linear(&t, "image.logits", &w->image_logits, &dw->image_logits, 0);
}

struct prior_types prior_types_of(const char *device, const char *precision, bool master)
{
    if (strcmp(precision, "fp16") == 0)
        return (struct prior_types){DTYPE_F16, DTYPE_F16, DTYPE_F16, DTYPE_F32};
    if (strcmp(precision, "bf16") == 0 || device_activations_planned(device, precision) == DTYPE_BF16)
        return (struct prior_types){DTYPE_BF16, master ? DTYPE_F32 : DTYPE_BF16, DTYPE_BF16, DTYPE_BF16};
    return (struct prior_types){DTYPE_F32, DTYPE_F32, DTYPE_F32, DTYPE_F32};
}

int prior_init(struct prior *p, struct device *dev, const struct prior_config *config, struct prior_types types,
               bool gradients)
{
    size_t layers = (size_t)config->layers, count = OTHER_PARAMS + layers * LAYER_PARAMS;
    int rc;

    *p = (struct prior){.config = *config, .device = dev, .types = types};
    if ((rc = prior_config_check(config)) != 0)
        return rc;
    p->w.layer = calloc(layers, sizeof *p->w.layer);
    p->dw.layer = calloc(layers, sizeof *p->dw.layer);
    p->params.item = calloc(count, sizeof *p->params.item);
    p->spread = calloc(count, sizeof *p->spread);
    p->centre = calloc(count, sizeof *p->centre);
    p->name = calloc(count, sizeof *p->name);
    if (!p->w.layer || !p->dw.layer || !p->params.item || !p->spread || !p->centre || !p->name) {
        rc = err_set(ERR_NOMEM, "no memory for the table of %zu parameters", count);
        goto fail;
    }
    place(&p->w, &p->values, config, types.weights);
    place(&p->dw, &p->grads, config, types.grads);
    p->value_bytes = p->values.used;
    p->grad_bytes = gradients ? p->grads.used : 0;
    if (dev && (rc = device_arena_init(dev, &p->values, p->value_bytes)) != 0)
        goto fail;
    if (dev && gradients && (rc = device_arena_init(dev, &p->grads, p->grad_bytes)) != 0)
        goto fail;
    if (dev)
        place(&p->w, &p->values, config, types.weights);
    if (dev && gradients)
        place(&p->dw, &p->grads, config, types.grads);
    fill_table(p);
    return 0;
fail:
    prior_fini(p);
    return rc;
}

void prior_fini(struct prior *p)
{
    if (p->device) {
        device_arena_fini(p->device, &p->values);
        device_arena_fini(p->device, &p->grads);
    }
    free(p->w.layer);
    free(p->dw.layer);
    free(p->params.item);
    free(p->spread);
    free(p->centre);
    free(p->name);
    *p = (struct prior){0};
}

/* ---- first values ------------------------------------------------------------------------------------------------ */

int prior_start(struct prior *p, double scale, uint64_t seed)
{
    struct rng rng = {seed, RNG_INIT};
    float *chunk = malloc(2 * sizeof *chunk * (size_t)CHUNK);
    int rc = chunk ? 0 : err_set(ERR_NOMEM, "no memory for first values");

    for (int i = 0; rc == 0 && i < p->params.count; i++) {
        const struct tensor *value = &p->params.item[i].value;
        int64_t n = tensor_elements(value);
        size_t each = dtype_size(value->type);
        double spread = scale * p->spread[i];

        for (int64_t at = 0; rc == 0 && at < n; at += CHUNK) {
            int64_t count = n - at < CHUNK ? n - at : CHUNK;

#pragma omp parallel for schedule(static)
            for (int64_t e = 0; e < count; e++)
                chunk[e] = spread > 0 ? (float)(spread * rng_normal(rng, (uint64_t)i, (uint64_t)(at + e)))
                                      : p->centre[i];
            host_from_f32(chunk + CHUNK, value->type, chunk, count);
            rc = device_upload(p->device, (char *)value->data + (size_t)at * each, chunk + CHUNK, each * (size_t)count);
        }
    }
    free(chunk);
    return rc;
}

/* ---- counts ------------------------------------------------------------------------------------------------------ */

int64_t prior_count(const struct prior *p)
{
    int64_t sum = 0;

    for (int i = 0; i < p->params.count; i++)
        sum += tensor_elements(&p->params.item[i].value);
    return sum;
}

static const char *part_of(const char *name)
{
    if (strstr(name, "norm"))
        return "norm";
    if (strncmp(name, "text.", 5) == 0)
        return "text";
    if (strncmp(name, "image.", 6) == 0)
        return "image";
    return strstr(name, ".attn.") ? "attn" : "mlp";
}

int64_t prior_count_part(const struct prior *p, const char *part)
{
    int64_t sum = 0;

    for (int i = 0; i < p->params.count; i++)
        if (strcmp(part_of(p->params.item[i].name), part) == 0)
            sum += tensor_elements(&p->params.item[i].value);
    return sum;
}

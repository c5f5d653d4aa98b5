/* SPDX-License-Identifier: MIT */
/* attn_cache.c -- attention of new positions over cached keys, and the caches themselves.
 *
 * Cached keys lie as [key/16][D][16], so that lanes are keys and no sum runs across a register; values as [key][D].  The
 * column kind keeps its image keys column by column, so that those of a column are neighbours; the row kind a ring.  Which
 * slots a position may see is worked out once for all heads and sequences; only panels that hold one are read. */
#include "compute/sample.h"

#include <math.h>

#include "compute/cpu/cpu.h"
#include "compute/cpu/vec.h"

enum {
    KEYS = ATTN_CACHE_PANEL,
    PARTS = KEYS / VEC,         /* registers a panel of keys */
    BATCH = VEC < 8 ? 2 : 4,    /* panels at a time: independent chains of sums */
    WIDE = 4                    /* registers of channels at a time */
};

static int64_t panels(int64_t keys)
{
    return (keys + KEYS - 1) / KEYS;
}

/* ---- keeping keys -------------------------------------------------------------------------------------------------- */

/* The place of image key j. */
static int64_t slot_of(const struct attn_cache *c, const struct attn *a, int64_t j)
{
    return a->kind == ATTN_ROW ? j % c->keys : a->kind == ATTN_COLUMN ? j % a->w * a->h + j / a->w : j;
}

static void put_key(float *keys, float *values, int64_t at, int64_t d, const float *k, const float *v)
{
    float *panel = keys + at / KEYS * KEYS * d + at % KEYS;

    for (int64_t i = 0; i < d; i++)
        panel[i * KEYS] = k[i];
    memcpy(values + at * d, v, (size_t)d * sizeof *v);
}

int cpu_cache_text(void *self, const struct attn_cache *c, tensor_in qkv, const struct attn *a, int64_t caption)
{
    int64_t width = qkv->shape[1] / 3, d = width / a->heads, part = panels(a->text) * KEYS * d;

    (void)self;
#pragma omp parallel for schedule(static)
    for (int64_t head = 0; head < a->heads; head++) {
        int64_t at = (caption * a->heads + head) * part;

        for (int64_t t = 0; t < a->text; t++) {
            const float *k = F32(qkv) + t * 3 * width + width + head * d;

            put_key((float *)c->text_k + at, (float *)c->text_v + at, t, d, k, k + width);
        }
    }
    return 0;
}

/* ---- attending ------------------------------------------------------------------------------------------------------ */

/* The image slots that a position sees lie between from and end, all written; scores are made for whole panels. */
struct seen {
    int64_t from, end;
    int64_t first, count; /* slots of the panels */
    float *bias;          /* [count]: 0, or -infinity where the mask forbids or nothing lies yet */
};

static void find_seen(struct seen *s, const struct attn_cache *c, const struct attn *a, int64_t position)
{
    int64_t own = slot_of(c, a, position), from = 0, end = own + 1;

    if (a->kind == ATTN_ROW)
        end = position + 1 < c->keys ? position + 1 : c->keys;
    if (a->kind == ATTN_COLUMN)
        from = own - position / a->w;
    if (a->kind == ATTN_CONV && position >= (a->k + 1) / 2 * a->w)
        from = position - (a->k + 1) / 2 * a->w + 1;
    s->from = from;
    s->end = end;
    s->first = from / KEYS * KEYS;
    s->count = panels(end) * KEYS - s->first;
    for (int64_t i = 0; i < s->count; i++) {
        int64_t slot = s->first + i;
        bool yes = slot >= from && slot < end && (a->kind != ATTN_CONV || attn_conv_allows(a, position - slot));

        s->bias[i] = yes ? 0.0f : -INFINITY;
    }
}

/* s = q . keys of some panels (a constant at each call) */
vec_inline void score(float *s, const float *q, const float *keys, int64_t d, float scale, int some)
{
    vec sum[BATCH][PARTS] = {0};

    for (int64_t i = 0; i < d; i++)
        for (int p = 0; p < some; p++)
            for (int v = 0; v < PARTS; v++)
                sum[p][v] = vec_fma(vec_all(q[i]), vec_load(keys + (p * d + i) * KEYS + v * VEC), sum[p][v]);
    for (int p = 0; p < some; p++)
        for (int v = 0; v < PARTS; v++)
            vec_store(s + p * KEYS + v * VEC, sum[p][v] * scale);
}

static void scores(float *s, const float *q, const float *keys, int64_t count, int64_t d, float scale)
{
    int64_t p = 0, all = panels(count);

    for (; p + BATCH <= all; p += BATCH)
        score(s + p * KEYS, q, keys + p * KEYS * d, d, scale, BATCH);
    for (; p < all; p++)
        score(s + p * KEYS, q, keys + p * KEYS * d, d, scale, 1);
}

/* s, whole panels, becomes exp(s - top); its sum. */
static float exponentials(float *s, int64_t count, float top)
{
    vec sum = vec_all(0.0f);

    for (int64_t i = 0; i < count; i += VEC) {
        vec e = vec_exp(vec_load(s + i) - top);

        vec_store(s + i, e);
        sum += e;
    }
    return vec_sum(sum);
}

/* sum += weights times values, for wide registers of channels. */
vec_inline void weigh(vec *sum, const float *p, const float *values, int64_t count, int64_t d, int wide)
{
    for (int64_t k = 0; k < count; k++)
        for (int v = 0; v < wide; v++)
            sum[v] = vec_fma(vec_all(p[k]), vec_load(values + k * d + v * VEC), sum[v]);
}

struct weights {
    const float *p, *values;
    int64_t count;
};

vec_inline void weigh_all(float *out, const struct weights w[2], int64_t at, int64_t d, float scale, int wide)
{
    vec sum[WIDE] = {0};

    for (int part = 0; part < 2; part++)
        weigh(sum, w[part].p, w[part].values + at, w[part].count, d, wide);
    for (int v = 0; v < wide; v++)
        vec_store(out + at + v * VEC, sum[v] * scale);
}

/* out = the weighted sums of text and image values, times scale */
static void values(float *out, const struct weights w[2], int64_t d, float scale)
{
    int64_t at = 0;

    for (; at + WIDE * VEC <= d; at += WIDE * VEC)
        weigh_all(out, w, at, d, scale, WIDE);
    for (; at + VEC <= d; at += VEC)
        weigh_all(out, w, at, d, scale, 1);
    for (; at < d; at++) {
        float sum = 0;

        for (int part = 0; part < 2; part++)
            for (int64_t k = 0; k < w[part].count; k++)
                sum += w[part].p[k] * w[part].values[k * d + at];
        out[at] = sum * scale;
    }
}

/* One head of one sequence; keys and values are its own.  s: room for the scores. */
static void attend(float *out, const float *q, const struct attn_cache *c, const struct attn *a, const struct seen *seen,
                   int64_t text_at, int64_t image_at, int64_t d, float *s)
{
    int64_t text = panels(a->text) * KEYS;
    float *image = s + text, scale = 1.0f / sqrtf((float)d), top, image_top, sum;

    scores(s, q, (const float *)c->text_k + text_at, a->text, d, scale);
    for (int64_t i = a->text; i < text; i++)
        s[i] = -INFINITY;
    scores(image, q, (const float *)c->image_k + image_at + seen->first * d, seen->count, d, scale);
    for (int64_t i = 0; i < seen->count; i += VEC)
        vec_store(image + i, vec_select(vec_load(seen->bias + i) < 0.0f, vec_all(-INFINITY), vec_load(image + i)));
    top = vec_largest_of(s, text);
    image_top = vec_largest_of(image, seen->count);
    top = image_top > top ? image_top : top;
    sum = exponentials(s, text, top) + exponentials(image, seen->count, top);
    values(out, (struct weights[]){{s, (const float *)c->text_v + text_at, a->text},
                                   {image + seen->from - seen->first, (const float *)c->image_v + image_at + seen->from * d,
                                    seen->end - seen->from}}, d, 1.0f / sum);
}

int cpu_attn_cache(void *self, tensor_in out, const struct attn_cache *c, tensor_in qkv, tensor_in caption,
                   tensor_in position, const struct attn *a)
{
    int64_t rows = out->shape[0], width = out->shape[1], d = width / a->heads, pairs = rows * a->heads;
    int64_t text_part = panels(a->text) * KEYS * d, image_part = panels(c->keys) * KEYS * d, now = I32(position)[0], slot;
    int64_t most = panels(c->keys) * KEYS, room = panels(a->text) * KEYS + most;
    float *scratch = cpu_scratch(self, (size_t)(pairs * room + most) * sizeof *scratch);
    struct seen seen;

    if (scratch == NULL)
        return cpu_lacking(self);
    if (now < 0 || now >= a->h * a->w)
        return err_set(ERR_ARG, "cached attention: no place for position %lld", (long long)now);
    slot = slot_of(c, a, now);
    seen.bias = scratch + pairs * room;
    find_seen(&seen, c, a, now);
#pragma omp parallel for schedule(static)
    for (int64_t pair = 0; pair < pairs; pair++) {
        int64_t head = pair / rows, m = pair % rows, image_at = (m * a->heads + head) * image_part;
        const float *q = F32(qkv) + m * 3 * width + head * d;

        put_key((float *)c->image_k + image_at, (float *)c->image_v + image_at, slot, d, q + width, q + 2 * width);
        attend(F32(out) + m * width + head * d, q, c, a, &seen, (I32(caption)[m] * a->heads + head) * text_part, image_at, d,
               scratch + pair * room);
    }
    return 0;
}

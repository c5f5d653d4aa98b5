/* SPDX-License-Identifier: MIT */
/* Thin products and attention over caches.
 *
 * Weights lie as panels [n/PANEL][K][PANEL]: a product walks one panel front to back, PANEL outputs of up to TILE rows at a
 * time in registers, each output one chain of sums over K.  So a row's sums have one order whatever the other rows are.
 * Cached keys lie as [key/16][D][16], so that lanes are keys and no sum runs across a register. */
#include "compute/sample.h"

#include <math.h>

#include "compute/cpu/cpu.h"
#include "compute/cpu/vec.h"

enum {
    VECS = VEC_REGISTERS == 32 ? 4 : 2, /* registers a row of a tile */
    PANEL = VECS * VEC,
    TILE = VEC_REGISTERS == 32 ? 6 : 5, /* rows */
    KEYS = ATTN_CACHE_PANEL,
    PARTS = KEYS / VEC                  /* registers a panel of keys */
};

size_t cpu_thin_size(void *self, int64_t n, int64_t k)
{
    (void)self;
    return (size_t)((n + PANEL - 1) / PANEL * PANEL * k) * sizeof(float);
}

int cpu_thin_pack(void *self, void *packed, tensor_in w)
{
    int64_t n = w->shape[0], k = w->shape[1];

    (void)self;
#pragma omp parallel for schedule(static)
    for (int64_t from = 0; from < n; from += PANEL) {
        float *panel = (float *)packed + from * k;

        for (int64_t j = 0; j < k; j++)
            for (int64_t i = 0; i < PANEL; i++)
                panel[j * PANEL + i] = from + i < n ? F32(w)[(from + i) * k + j] : 0.0f;
    }
    return 0;
}

/* Sums of rows (a constant at each call) of x with one panel; lanes past n are not stored. */
vec_inline void tile(float *y, const float *x, const float *panel, const float *bias, int64_t y_stride, int64_t k, int64_t n,
                     struct thin how, int rows)
{
    vec sum[TILE][VECS] = {0};

    for (int64_t j = 0; j < k; j++) {
        vec w[VECS];

        for (int v = 0; v < VECS; v++)
            w[v] = vec_load(panel + j * PANEL + v * VEC);
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < VECS; v++)
                sum[r][v] = vec_fma(vec_all(x[r * k + j]), w[v], sum[r][v]);
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < VECS; v++) {
            int64_t at = v * VEC, count = n - at < VEC ? n - at : VEC;
            float *out = y + r * y_stride + at;
            vec s = sum[r][v];

            if (count <= 0)
                continue;
            if (bias != NULL)
                s += count == VEC ? vec_load(bias + at) : vec_load_part(bias + at, count, 0.0f);
            if (how.gelu)
                s = s / (1.0f + vec_exp(s * -1.702f));
            if (how.add)
                s += count == VEC ? vec_load(out) : vec_load_part(out, count, 0.0f);
            if (count == VEC)
                vec_store(out, s);
            else
                vec_store_part(out, s, count);
        }
}

/* Fewer rows than a tile has. */
static void rest(float *y, const float *x, const float *panel, const float *bias, int64_t y_stride, int64_t k, int64_t n,
                 struct thin how, int rows)
{
    switch (rows) {
    case 1:
        tile(y, x, panel, bias, y_stride, k, n, how, 1);
        break;
    case 2:
        tile(y, x, panel, bias, y_stride, k, n, how, 2);
        break;
    case 3:
        tile(y, x, panel, bias, y_stride, k, n, how, 3);
        break;
    case 4:
        tile(y, x, panel, bias, y_stride, k, n, how, 4);
        break;
    case 5: /* TILE - 1 at most */
        tile(y, x, panel, bias, y_stride, k, n, how, TILE - 1);
        break;
    }
}

int cpu_thin(void *self, tensor_in y, tensor_in x, const void *packed, tensor_in bias, struct thin how)
{
    int64_t rows = x->shape[0], k = x->shape[1], n = y->shape[1];

    (void)self;
#pragma omp parallel for schedule(static)
    for (int64_t from = 0; from < n; from += PANEL) {
        const float *panel = (const float *)packed + from * k, *shift = bias ? F32(bias) + from : NULL;
        int64_t m = 0;

        for (; m + TILE <= rows; m += TILE)
            tile(F32(y) + m * n + from, F32(x) + m * k, panel, shift, n, k, n - from, how, TILE);
        rest(F32(y) + m * n + from, F32(x) + m * k, panel, shift, n, k, n - from, how, (int)(rows - m));
    }
    return 0;
}

static int64_t panels(int64_t keys)
{
    return (keys + KEYS - 1) / KEYS;
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

/* s[panel] = q . keys of whole panels */
static void scores(float *s, const float *q, const float *keys, int64_t count, int64_t d, float scale)
{
    for (int64_t p = 0; p < panels(count); p++) {
        const float *panel = keys + p * KEYS * d;
        vec sum[PARTS] = {0};

        for (int64_t i = 0; i < d; i++)
            for (int v = 0; v < PARTS; v++)
                sum[v] = vec_fma(vec_all(q[i]), vec_load(panel + i * KEYS + v * VEC), sum[v]);
        for (int v = 0; v < PARTS; v++)
            vec_store(s + p * KEYS + v * VEC, sum[v] * scale);
    }
}

/* s becomes exp(s - top) over count lanes; lanes behind it become 0 up to a whole panel. */
static float exponentials(float *s, int64_t count, float top)
{
    vec sum = vec_all(0.0f);

    for (int64_t i = count; i < panels(count) * KEYS; i++)
        s[i] = -INFINITY;
    for (int64_t i = 0; i < count; i += VEC) {
        vec e = vec_exp(vec_load(s + i) - top);

        vec_store(s + i, e);
        sum += e;
    }
    return vec_sum(sum);
}

static float largest(const float *s, int64_t count, float top)
{
    for (int64_t i = 0; i < count; i++)
        top = s[i] > top ? s[i] : top;
    return top;
}

static void add_values(float *out, const float *p, const float *values, int64_t count, int64_t d)
{
    for (int64_t k = 0; k < count; k++) {
        const vec share = vec_all(p[k]);
        int64_t i = 0;

        for (; i + VEC <= d; i += VEC)
            vec_store(out + i, vec_fma(share, vec_load(values + k * d + i), vec_load(out + i)));
        for (; i < d; i++)
            out[i] += p[k] * values[k * d + i];
    }
}

/* Image scores that the mask forbids become -inf.  Slot of key j in the row kind's ring: j mod keys. */
static void forbid(float *s, const struct attn_cache *c, const struct attn *a, int64_t position, int64_t count)
{
    if (a->kind == ATTN_DENSE || a->kind == ATTN_ROW)
        return;
    for (int64_t j = 0; j < count; j++)
        if (!attn_allows(a, a->text + position, a->text + j % c->keys))
            s[j] = -INFINITY;
}

static void attend(float *out, const struct attn_cache *c, const float *q, const struct attn *a, int64_t d, int64_t text_at,
                   int64_t image_at, int64_t position, float *s)
{
    int64_t held = position + 1 < c->keys ? position + 1 : c->keys;
    float *image = s + panels(a->text) * KEYS, scale = 1.0f / sqrtf((float)d), top, sum;

    scores(s, q, (const float *)c->text_k + text_at, a->text, d, scale);
    scores(image, q, (const float *)c->image_k + image_at, held, d, scale);
    forbid(image, c, a, position, held);
    top = largest(image, held, largest(s, a->text, -INFINITY));
    sum = exponentials(s, a->text, top) + exponentials(image, held, top);
    memset(out, 0, (size_t)d * sizeof *out);
    add_values(out, s, (const float *)c->text_v + text_at, a->text, d);
    add_values(out, image, (const float *)c->image_v + image_at, held, d);
    for (int64_t i = 0; i < d; i++)
        out[i] /= sum;
}

int cpu_attn_cache(void *self, tensor_in out, const struct attn_cache *c, tensor_in qkv, tensor_in caption,
                   const struct attn *a, int64_t position)
{
    int64_t rows = out->shape[0], width = out->shape[1], d = width / a->heads, pairs = rows * a->heads;
    int64_t text_part = panels(a->text) * KEYS * d, image_part = panels(c->keys) * KEYS * d;
    int64_t room = (panels(a->text) + panels(c->keys)) * KEYS;
    float *scratch = cpu_scratch(self, (size_t)(pairs * room) * sizeof *scratch);

    if (scratch == NULL)
        return ERR_NOMEM;
#pragma omp parallel for schedule(static)
    for (int64_t pair = 0; pair < pairs; pair++) {
        int64_t head = pair / rows, m = pair % rows, image_at = (m * a->heads + head) * image_part;
        const float *q = F32(qkv) + m * 3 * width + head * d;

        put_key((float *)c->image_k + image_at, (float *)c->image_v + image_at, position % c->keys, d, q + width,
                q + 2 * width);
        attend(F32(out) + m * width + head * d, c, q, a, d, (I32(caption)[m] * a->heads + head) * text_part, image_at,
               position, scratch + pair * room);
    }
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* thin.c -- products of few rows with packed weights.
 *
 * Weights lie as panels of PANEL outputs: a product walks one panel front to back, up to TILE rows at a time, PANEL sums of
 * each in registers.  With one row the time is that of reading the weights, so what counts is their size:
 *
 *   f32    [n/PANEL][k][PANEL]
 *   bf16   [n/PANEL][k/2][PANEL][2], rounded, widened in registers; rows are rounded too.  Where the processor multiplies bf16
 *          itself, gemm_bf16.c takes over with a layout of its own
 *   int8   scale [n], then [n/PANEL][k/2][PANEL][2]: w = scale * an integer of -127..127.  A row is made of integers likewise,
 *          as large as sums of 32 bits allow, so that sums are exact
 *
 * A row's sums have one order whatever the other rows are.
 */
#include "compute/sample.h"

#include "base/bits16.h"
#include "compute/cpu/gelu.h"
#include "compute/cpu/gemm.h"

enum {
    VECS = VEC_REGISTERS == 32 ? 4 : 2, /* registers a row of a tile */
    PANEL = VECS * VEC,
    TILE = VEC_REGISTERS == 32 ? 6 : 5, /* rows */
    LARGEST = 127                       /* of int8 */
};

enum kind { KIND_F32, KIND_BF16, KIND_INT8, KIND_INT8_DOTS /* by AVX-512 VNNI */ };

static enum kind kind_of(const struct cpu *cpu)
{
    if (!cpu->int8)
        return cpu->bf16 ? KIND_BF16 : KIND_F32;
#if VEC == 16
    if (__builtin_cpu_supports("avx512vnni"))
        return KIND_INT8_DOTS;
#endif
    return KIND_INT8;
}

#if VEC == 16
static bool in_bf16(const struct cpu *cpu)
{
    return cpu->bf16 > CPU_BF16_EMULATED;
}
#endif

/* ---- packing ------------------------------------------------------------------------------------------------------- */

size_t cpu_thin_size(void *self, int64_t n, int64_t k)
{
    enum kind kind = kind_of(self);
    size_t wide = (size_t)up(n, PANEL), deep = (size_t)up(k, 2);

#if VEC == 16
    if (in_bf16(self))
        return cpu_thin_bf16_size(n, k);
#endif
    return kind >= KIND_INT8   ? wide * sizeof(float) + wide * deep
           : kind == KIND_BF16 ? wide * deep * sizeof(uint16_t)
                               : wide * (size_t)k * sizeof(float);
}

/* What an integer stands for, so that the largest of count numbers becomes the largest integer; NaN where one is not finite. */
static float unit_of(const float *x, int64_t count, float largest)
{
    vec top = vec_all(0.0f), poison = vec_all(0.0f);

    for (int64_t i = 0; i < count; i += VEC) {
        vec v = vec_load_some(x + i, count - i);

        top = vec_max(v, vec_max(-v, top));
        poison += v * 0.0f;
    }
    return vec_largest(top) / largest + vec_sum(poison);
}

/* The nearest integers. */
vec_inline veci to_integers(vec x, float per_unit)
{
    const vec shift = vec_all(12582912.0f); /* 1.5 * 2^23: adding it leaves the integer in the low bits */

    return (veci)vec_fma(x, vec_all(per_unit), shift) - (veci)shift;
}

/* 0 for a unit that is no number above 0 */
static float inverse(float unit)
{
    return unit > 0.0f && 1.0f / unit < INFINITY ? 1.0f / unit : 0.0f;
}

static void pack_int8(float *scale, int8_t *panel, const float *w, int64_t rows, int64_t k)
{
    for (int64_t i = 0; i < PANEL; i++) {
        float unit = i < rows ? unit_of(w + i * k, k, LARGEST) : 0.0f, per_unit = inverse(unit);

        scale[i] = unit;
        for (int64_t j = 0; j < up(k, 2); j++) {
            float v = i < rows && j < k ? w[i * k + j] * per_unit : 0.0f;

            panel[j / 2 * (2 * PANEL) + 2 * i + j % 2] = (int8_t)lrintf(v == v ? v : 0.0f);
        }
    }
}

static void pack_bf16(uint16_t *panel, const float *w, int64_t rows, int64_t k)
{
    for (int64_t j = 0; j < up(k, 2); j++)
        for (int64_t i = 0; i < PANEL; i++)
            panel[j / 2 * (2 * PANEL) + 2 * i + j % 2] = bf16_from_f32(i < rows && j < k ? w[i * k + j] : 0.0f);
}

static void pack_f32(float *panel, const float *w, int64_t rows, int64_t k)
{
    for (int64_t j = 0; j < k; j++)
        for (int64_t i = 0; i < PANEL; i++)
            panel[j * PANEL + i] = i < rows ? w[i * k + j] : 0.0f;
}

int cpu_thin_pack(void *self, void *packed, tensor_in w)
{
    enum kind kind = kind_of(self);
    int64_t n = w->shape[0], k = w->shape[1], deep = up(k, 2), wide = up(n, PANEL);

#if VEC == 16
    if (in_bf16(self)) {
        cpu_thin_bf16_pack(packed, F32(w), n, k);
        return 0;
    }
#endif
#pragma omp parallel for schedule(static)
    for (int64_t from = 0; from < n; from += PANEL) {
        const float *rows = F32(w) + from * k;

        if (kind >= KIND_INT8)
            pack_int8((float *)packed + from, (int8_t *)((float *)packed + wide) + from * deep, rows, n - from, k);
        else if (kind == KIND_BF16)
            pack_bf16((uint16_t *)packed + from * deep, rows, n - from, k);
        else
            pack_f32((float *)packed + from * k, rows, n - from, k);
    }
    return 0;
}

/* ---- rows, as the weights want them --------------------------------------------------------------------------------- */

typedef int16_t vecs __attribute__((vector_size(2 * VEC)));

/* A product's rows: f32, rounded to bf16 if weights are; or integers with what one stands for. */
struct rows {
    const float *x;
    const int16_t *whole; /* [rows][2 * pairs] */
    const float *unit;    /* [rows] */
};

/* A row as integers of 16 bits, with zeros up to whole registers; *unit: what one of them stands for. */
static void row_integers(int16_t *to, float *unit, const float *x, int64_t k)
{
    double largest = floor((double)INT32_MAX / (double)(LARGEST * up(k, 2)));
    float per_unit;

    *unit = unit_of(x, k, (float)(largest < 1 ? 1 : largest > INT16_MAX ? INT16_MAX : largest));
    per_unit = inverse(*unit);
    for (int64_t i = 0; i < k; i += VEC) {
        vecs whole = __builtin_convertvector(to_integers(vec_load_some(x + i, k - i), per_unit), vecs);

        memcpy(to + i, &whole, sizeof whole);
    }
}

/* ---- products ------------------------------------------------------------------------------------------------------- */

/* Weights of a pair of k for VEC outputs, widened; sum + pair . weights. */
#if VEC == 16
typedef __m512i pairs;

vec_inline pairs pairs_load(const int8_t *w)
{
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)w));
}

vec_inline veci pairs_add(veci sum, int32_t pair, pairs w, bool dots)
{
    __m512i all = _mm512_set1_epi32(pair);

    if (!dots)
        return (veci)_mm512_add_epi32((__m512i)sum, _mm512_madd_epi16(all, w));
    __asm__("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(all), "v"(w)); /* the level's own instructions lack it */
    return sum;
}
#elif VEC == 8
typedef __m256i pairs;

vec_inline pairs pairs_load(const int8_t *w)
{
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)w));
}

vec_inline veci pairs_add(veci sum, int32_t pair, pairs w, bool dots)
{
    (void)dots;
    return (veci)_mm256_add_epi32((__m256i)sum, _mm256_madd_epi16(_mm256_set1_epi32(pair), w));
}
#else
typedef struct {
    veci low, high;
} pairs;

vec_inline pairs pairs_load(const int8_t *w)
{
    pairs p;

    for (int i = 0; i < VEC; i++) {
        p.low[i] = w[2 * i];
        p.high[i] = w[2 * i + 1];
    }
    return p;
}

vec_inline veci pairs_add(veci sum, int32_t pair, pairs w, bool dots)
{
    (void)dots;
    return sum + (int16_t)(pair & 0xFFFF) * w.low + (pair >> 16) * w.high;
}
#endif

/* Sums of rows (a constant at each call) with one panel. */
vec_inline void sums_f32(vec (*sum)[VECS], const float *x, const float *panel, int64_t k, int rows)
{
    for (int64_t j = 0; j < k; j++) {
        vec w[VECS];

        for (int v = 0; v < VECS; v++)
            w[v] = vec_load(panel + j * PANEL + v * VEC);
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < VECS; v++)
                sum[r][v] = vec_fma(vec_all(x[r * k + j]), w[v], sum[r][v]);
    }
}

vec_inline void sums_bf16(vec (*sum)[VECS], const float *x, const uint16_t *panel, int64_t k, int rows)
{
    for (int64_t j = 0; j < k; j++) {
        vec w[VECS];

        for (int v = 0; v < VECS; v++) {
            vecu two = (vecu)vec_load((const float *)(panel + j / 2 * (2 * PANEL)) + v * VEC);

            w[v] = (vec)(j % 2 ? two & 0xFFFF0000u : two << 16);
        }
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < VECS; v++)
                sum[r][v] = vec_fma(vec_all(x[r * k + j]), w[v], sum[r][v]);
    }
}

vec_inline void sums_int8(vec (*sum)[VECS], const int16_t *x, const float *unit, const int8_t *panel, const float *scale,
                          int64_t count, bool dots, int rows)
{
    veci whole[TILE][VECS] = {0};

    for (int64_t j = 0; j < count; j++) {
        pairs w[VECS];

        for (int v = 0; v < VECS; v++)
            w[v] = pairs_load(panel + (j * PANEL + v * VEC) * 2);
        for (int r = 0; r < rows; r++) {
            int32_t pair;

            memcpy(&pair, x + 2 * (r * count + j), sizeof pair);
            for (int v = 0; v < VECS; v++)
                whole[r][v] = pairs_add(whole[r][v], pair, w[v], dots);
        }
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < VECS; v++)
            sum[r][v] = __builtin_convertvector(whole[r][v], vec) * (vec_load(scale + v * VEC) * unit[r]);
}

/* One product. */
struct product {
    float *y;
    const float *bias;  /* or NULL */
    const void *panels;
    const float *scale; /* int8 */
    struct rows in;
    int64_t n, k, pairs;
    struct thin how;
};

/* rows of y from row m on, columns of a panel from column from on. */
vec_inline void tile(const struct product *p, int64_t m, int64_t from, enum kind kind, int rows)
{
    vec sum[TILE][VECS] = {0};

    if (kind >= KIND_INT8)
        sums_int8(sum, p->in.whole + 2 * m * p->pairs, p->in.unit + m, (const int8_t *)p->panels + from * 2 * p->pairs,
                  p->scale + from, p->pairs, kind == KIND_INT8_DOTS, rows);
    else if (kind == KIND_BF16)
        sums_bf16(sum, p->in.x + m * p->k, (const uint16_t *)p->panels + from * 2 * p->pairs, p->k, rows);
    else
        sums_f32(sum, p->in.x + m * p->k, (const float *)p->panels + from * p->k, p->k, rows);
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < VECS; v++) {
            int64_t at = from + v * VEC, count = p->n - at;
            float *out = p->y + (m + r) * p->n + at;
            vec s = sum[r][v];

            if (count <= 0)
                continue;
            if (p->bias)
                s += vec_load_some(p->bias + at, count);
            if (p->how.gelu)
                s = gelu(s);
            if (p->how.add)
                s += vec_load_some(out, count);
            vec_store_some(out, s, count);
        }
}

vec_inline void panel(const struct product *p, int64_t rows, int64_t from, enum kind kind)
{
    int64_t m = 0;

    for (; m + TILE <= rows; m += TILE)
        tile(p, m, from, kind, TILE);
    switch (rows - m) {
    case 1:
        tile(p, m, from, kind, 1);
        break;
    case 2:
        tile(p, m, from, kind, 2);
        break;
    case 3:
        tile(p, m, from, kind, 3);
        break;
    case 4:
        tile(p, m, from, kind, 4);
        break;
    case 5: /* TILE - 1 at most */
        tile(p, m, from, kind, TILE - 1);
        break;
    }
}

/* ---- the whole ------------------------------------------------------------------------------------------------------ */

/* Rows as the weights want them, in room. */
static void prepare(struct product *p, const float *x, void *room, int64_t rows, enum kind kind)
{
    float *rounded = room, *unit = room;
    int16_t *whole = (int16_t *)(unit + up(rows, VEC));

    p->in = (struct rows){.x = kind == KIND_F32 ? x : rounded, .whole = whole, .unit = unit};
    for (int64_t m = 0; m < rows; m++)
        if (kind >= KIND_INT8)
            row_integers(whole + 2 * m * p->pairs, unit + m, x + m * p->k, p->k);
        else if (kind == KIND_BF16)
            for (int64_t i = m * p->k; i < (m + 1) * p->k; i++)
                rounded[i] = bf16_to_f32(bf16_from_f32(x[i]));
}

int cpu_thin(void *self, tensor_in y, tensor_in x, const void *packed, tensor_in bias, struct thin how)
{
    struct cpu *cpu = self;
    enum kind kind = kind_of(cpu);
    int64_t rows = x->shape[0], k = x->shape[1], n = y->shape[1];
    struct product p = {.y = F32(y), .bias = bias ? F32(bias) : NULL, .panels = packed, .n = n, .k = k, .pairs = up(k, 2) / 2,
                        .how = how};
    void *room;

#if VEC == 16
    if (in_bf16(cpu)) {
        struct gemm shape = {.m = rows, .n = n, .k = k, .tb = true, .add = how.add, .act = how.gelu, .gain = 1.0f};

        return cpu_thin_bf16(cpu, F32(y), F32(x), packed, p.bias, &shape);
    }
#endif
    if (!(room = cpu_scratch(cpu, (size_t)(up(rows, VEC) + rows * (k + 1) + VEC) * sizeof(float))))
        return cpu_lacking(cpu);
    if (kind >= KIND_INT8) {
        p.scale = packed;
        p.panels = p.scale + up(n, PANEL);
    }
    prepare(&p, F32(x), room, rows, kind);
#pragma omp parallel for schedule(static)
    for (int64_t from = 0; from < n; from += PANEL)
        if (kind == KIND_INT8_DOTS)
            panel(&p, rows, from, KIND_INT8_DOTS);
        else if (kind == KIND_INT8)
            panel(&p, rows, from, KIND_INT8);
        else if (kind == KIND_BF16)
            panel(&p, rows, from, KIND_BF16);
        else
            panel(&p, rows, from, KIND_F32);
    return 0;
}

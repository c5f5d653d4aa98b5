/* SPDX-License-Identifier: MIT */
/* gemm.c -- a stretch of k at a time: b is packed into panels two registers wide, then threads take blocks of y's rows.
 *
 * A thread copies its block of a next to each other, where it stays in the second cache while the panels of b go by; rows of
 * a power of two would fall on the same lines of the first one.  A tile of y (product.h) is in registers for the whole
 * stretch, so y is touched once for each.
 *
 *   a   [rows][depth + PAD]; with ta, where a column is a line, [rows/ROWS][depth*ROWS + PAD]      b   [n/COLUMNS][depth][COLUMNS]
 */
#include "compute/cpu/gemm.h"

#include <omp.h>
#include <string.h>

#include "base/par.h"
#include "compute/cpu/gelu.h"
#include "compute/cpu/product.h"

#if VEC_REGISTERS == 32
#define ROWS 14 /* of a tile: 28 sums, two of b, one of a */
#else
#define ROWS 6
#endif
#define COLUMNS (2 * VEC)
#define PAD 16
#define CHUNK (8 * COLUMNS) /* columns that are finished together */
#define AHEAD 16 /* rows of k that are asked for before they are packed: they lie pages apart */
#define BLOCK_MAX (16 * ROWS) /* rows of y that a thread takes at a time */
#define BLOCKS_MIN 4          /* blocks a thread, so that the last one waits little */

PRODUCT_TILE(gemm_tile, vec, ROWS, 2)
PRODUCT_TILE(gemm_pair, vec, 2, 2)
PRODUCT_TILE(gemm_row, vec, 1, 2)

/* One stretch of k. */
struct stretch {
    const struct gemm *how;
    int64_t from, depth;
    bool first, last;
    const float *panels; /* borrowed: b [n/COLUMNS][depth][COLUMNS], times the gain, zeros behind n */
    const float *bias;   /* borrowed: times the gain, with zeros up to whole panels; NULL: none */
};

static void pack_panel(float *panel, const float *b, const struct stretch *s, int64_t column)
{
    const struct gemm *how = s->how;
    int64_t count = how->n - column < COLUMNS ? how->n - column : COLUMNS, k = 0;

    if (!how->tb) {
        for (; k < s->depth; k++) {
            const float *row = b + (s->from + k) * how->n + column;

            __builtin_prefetch(row + AHEAD * how->n);
            __builtin_prefetch(row + AHEAD * how->n + COLUMNS - 1);
            for (int64_t i = 0; i < count; i++)
                panel[k * COLUMNS + i] = how->gain * row[i];
            for (int64_t i = count; i < COLUMNS; i++)
                panel[k * COLUMNS + i] = 0;
        }
        return;
    }
    for (int64_t part = 0; part < COLUMNS; part += VEC)
        for (k = 0; k < s->depth; k += VEC) {
            int64_t wide = s->depth - k < VEC ? s->depth - k : VEC;
            vec t[VEC];

            for (int l = 0; l < VEC; l++) {
                const float *row = b + (column + part + l) * how->k + s->from + k;

                t[l] = part + l >= count ? vec_all(0.0f) : wide == VEC ? vec_load(row) : vec_load_part(row, wide, 0.0f);
            }
            vec_transpose(t);
            for (int64_t l = 0; l < wide; l++)
                vec_store(panel + (k + l) * COLUMNS + part, how->gain * t[l]);
        }
}

static void pack_rows(float *packed, const float *a, const struct stretch *s, int64_t first, int64_t rows)
{
    a += first * s->how->k + s->from;
    for (int64_t r = 0; r < rows; r++)
        memcpy(packed + r * (s->depth + PAD), a + r * s->how->k, (size_t)s->depth * sizeof *packed);
}

/* The same where a lies transposed, [k,m]; what lies behind the rows in the last group is not set. */
static void pack_rows_across(float *packed, const float *a, const struct stretch *s, int64_t first, int64_t rows)
{
    int64_t whole = rows / ROWS * ROWS, stride = s->how->m, group = ROWS * s->depth + PAD;
    float sums[BLOCK_MAX] = {0};

    a += s->from * stride + first;
    for (int64_t k = 0; k < s->depth; k++, a += stride) { /* outside: rows of k are pages apart */
        float *to = packed + k * ROWS;

        for (int64_t r = 0; r < rows; r += 16)
            __builtin_prefetch(a + AHEAD * stride + r);
        for (int64_t at = 0; at < whole; at += ROWS)
            memcpy(to + at / ROWS * group, a + at, ROWS * sizeof *to);
        memcpy(to + whole / ROWS * group, a + whole, (size_t)(rows - whole) * sizeof *to);
        for (int64_t r = 0; s->how->row_sums && r < rows; r++)
            sums[r] += a[r];
    }
    for (int64_t r = 0; s->how->row_sums && r < rows; r++)
        s->how->row_sums[first + r] += sums[r];
}

/* rows <= ROWS of one panel. */
static void group(float *y, int64_t ldy, int64_t rows, const float *a, int64_t by_row, int64_t by_depth, const float *panel,
                  int64_t depth, bool add, const struct product_end *end)
{
    if (rows == ROWS) {
        gemm_tile(y, ldy, a, by_row, by_depth, panel, COLUMNS, depth, add, end, 0, 0);
        return;
    }
    for (; rows >= PRODUCT_ROWS; rows -= PRODUCT_ROWS, a += PRODUCT_ROWS * by_row, y += PRODUCT_ROWS * ldy)
        product_two(y, ldy, a, by_row, by_depth, panel, COLUMNS, depth, add, end, 0, 0);
    for (; rows >= 2; rows -= 2, a += 2 * by_row, y += 2 * ldy)
        gemm_pair(y, ldy, a, by_row, by_depth, panel, COLUMNS, depth, add, end, 0, 0);
    if (rows > 0)
        gemm_row(y, ldy, a, by_row, by_depth, panel, COLUMNS, depth, add, end, 0, 0);
}

/* The last panel's columns end inside it: the same products in a tile of its own. */
static void border(float *y, int64_t ldy, int64_t rows, int64_t columns, const float *a, int64_t by_row, int64_t by_depth,
                   const float *panel, int64_t depth, bool add, const struct product_end *end)
{
    float tile[ROWS][COLUMNS];

    for (int64_t r = 0; r < rows && add; r++)
        for (int64_t i = 0; i < COLUMNS; i += VEC)
            vec_store(tile[r] + i, vec_load_some(y + r * ldy + i, columns - i));
    group(tile[0], COLUMNS, rows, a, by_row, by_depth, panel, depth, add, end);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < columns; i += VEC)
            vec_store_some(y + r * ldy + i, vec_load(tile[r] + i), columns - i);
}

/* What stands behind finished columns of y.  A pass of its own over what is still in the second cache: rows are often 4 KiB
 * apart, where the lines of a tile of y and of one of the other tables would drive each other out. */
static void finish(float *y, const struct gemm *how, int64_t at, int64_t rows, int64_t columns)
{
    const float *plus = how->plus, *before = how->gelu_grad;
    float *act = how->gelu;

    for (int64_t r = 0; r < rows; r++, at += how->n)
        for (int64_t i = at; i < at + columns; i += VEC) {
            int64_t count = at + columns - i;
            vec v = vec_load_some(y + i, count);

            if (plus)
                v += vec_load_some(plus + i, count);
            if (before)
                v *= gelu_slope(vec_load_some(before + i, count));
            if (plus || before)
                vec_store_some(y + i, v, count);
            if (act)
                vec_store_some(act + i, gelu(v), count);
        }
}

/* A panel's columns in rows first..first+rows-1 of y; a: these rows, packed. */
static void panel(float *y, const float *a, const struct stretch *s, int64_t column, int64_t first, int64_t rows)
{
    const struct gemm *how = s->how;
    int64_t by_row = how->ta ? 1 : s->depth + PAD, by_depth = how->ta ? ROWS : 1;
    int64_t by_group = how->ta ? ROWS * s->depth + PAD : ROWS * by_row;
    int64_t columns = how->n - column < COLUMNS ? how->n - column : COLUMNS;
    const struct product_end then = {.bias = s->bias ? s->bias + column : NULL, .relu = how->relu};
    const struct product_end *end = s->last ? &then : NULL;
    const float *b = s->panels + column * s->depth;
    bool add = how->add || !s->first;

    for (int64_t r = 0; r < rows; r += ROWS, a += by_group) {
        int64_t count = rows - r < ROWS ? rows - r : ROWS, at = (first + r) * how->n + column;

        for (int64_t i = 0; i < ROWS && r + 2 * ROWS <= rows; i++) { /* asked for while the tile before it is made */
            __builtin_prefetch(y + at + (ROWS + i) * how->n, 1);
            __builtin_prefetch(y + at + (ROWS + i) * how->n + COLUMNS - 1, 1);
        }
        if (columns == COLUMNS)
            group(y + at, how->n, count, a, by_row, by_depth, b, s->depth, add, end);
        else
            border(y + at, how->n, count, columns, a, by_row, by_depth, b, s->depth, add, end);
    }
}

/* Rows first..first+rows-1 of y; packed: room for as many of a. */
static void block(float *y, const float *a, float *packed, const struct stretch *s, int64_t first, int64_t rows)
{
    const struct gemm *how = s->how;
    bool more = s->last && (how->plus || how->gelu_grad || how->gelu);

    (how->ta ? pack_rows_across : pack_rows)(packed, a, s, first, rows);
    for (int64_t from = 0; from < how->n; from += CHUNK) {
        int64_t to = how->n - from < CHUNK ? how->n : from + CHUNK;

        for (int64_t column = from; column < to; column += COLUMNS)
            panel(y, packed, s, column, first, rows);
        if (more)
            finish(y, how, first * how->n + from, rows, to - from);
    }
}

int cpu_gemm(struct cpu *cpu, float *y, const float *a, const float *b, const float *bias, const struct gemm *how)
{
    int64_t wide = up(how->n, COLUMNS), depth = how->k < GEMM_DEPTH ? how->k : GEMM_DEPTH, threads = par_threads();
    int64_t rows = up(how->m / (BLOCKS_MIN * threads), ROWS), each;
    float *panels, *scaled, *packed;

    rows = rows < ROWS ? ROWS : rows > BLOCK_MAX ? BLOCK_MAX : rows;
    each = rows * (depth + PAD);
    panels = cpu_scratch(cpu, (size_t)(wide * (depth + 1) + threads * each) * sizeof *panels);
    if (!panels)
        return cpu_lacking(cpu);
    scaled = panels + wide * depth;
    packed = scaled + wide;
    for (int64_t i = 0; bias && i < wide; i++)
        scaled[i] = i < how->n ? how->gain * bias[i] : 0;
#pragma omp parallel
    for (int64_t from = 0; from < how->k; from += GEMM_DEPTH) {
        struct stretch s = {.how = how, .from = from, .first = from == 0, .panels = panels, .bias = bias ? scaled : NULL};

        s.depth = how->k - from < GEMM_DEPTH ? how->k - from : GEMM_DEPTH;
        s.last = from + s.depth == how->k;
#pragma omp for schedule(static)
        for (int64_t column = 0; column < how->n; column += COLUMNS)
            pack_panel(panels + column * s.depth, b, &s, column);
#pragma omp for schedule(dynamic)
        for (int64_t first = 0; first < how->m; first += rows)
            block(y, a, packed + omp_get_thread_num() * each, &s, first, how->m - first < rows ? how->m - first : rows);
    }
    return 0;
}

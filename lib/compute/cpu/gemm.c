/* SPDX-License-Identifier: MIT */
/* gemm.c -- a stretch of k at a time: b is packed into panels two registers wide, then threads take blocks of y's rows.
 *
 * A panel of GEMM_DEPTH rows lies in the first cache while the rows of a block go by (product.h's tiles); the whole stretch
 * of b lies in the second or third.  With ta the rows of a block lie far apart, a column a line, so they are packed as well.
 */
#include "compute/cpu/gemm.h"

#include <omp.h>
#include <string.h>

#include "base/par.h"
#include "compute/cpu/product.h"

#if VEC_REGISTERS == 32
#define ROWS 14 /* of a tile: 28 sums, two of b, one of a */
#else
#define ROWS 6
#endif
#define COLUMNS (2 * VEC)
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

static int64_t up(int64_t n, int64_t unit)
{
    return (n + unit - 1) / unit * unit;
}

static void pack_panel(float *panel, const float *b, const struct stretch *s, int64_t column)
{
    const struct gemm *how = s->how;
    int64_t count = how->n - column < COLUMNS ? how->n - column : COLUMNS, k = 0;

    if (!how->tb) {
        for (; k < s->depth; k++) {
            const float *row = b + (s->from + k) * how->n + column;

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

/* Columns first..first+rows-1 of a, in groups of ROWS; what lies behind them in the last group is not set. */
static void pack_rows(float *packed, const float *a, const struct stretch *s, int64_t first, int64_t rows)
{
    for (int64_t at = 0; at < rows; at += ROWS, packed += ROWS * s->depth) {
        const float *column = a + s->from * s->how->m + first + at;

        if (rows - at < ROWS) {
            for (int64_t k = 0; k < s->depth; k++)
                for (int64_t r = 0; r < rows - at; r++)
                    packed[k * ROWS + r] = column[k * s->how->m + r];
            return;
        }
        for (int64_t k = 0; k < s->depth; k++)
            memcpy(packed + k * ROWS, column + k * s->how->m, ROWS * sizeof *packed);
    }
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
            vec_store(tile[r] + i, columns - i >= VEC  ? vec_load(y + r * ldy + i)
                                   : columns - i > 0 ? vec_load_part(y + r * ldy + i, columns - i, 0.0f)
                                                     : vec_all(0.0f));
    group(tile[0], COLUMNS, rows, a, by_row, by_depth, panel, depth, add, end);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < columns; i += VEC)
            if (columns - i >= VEC)
                vec_store(y + r * ldy + i, vec_load(tile[r] + i));
            else
                vec_store_part(y + r * ldy + i, vec_load(tile[r] + i), columns - i);
}

/* Rows first..first+rows-1 of y. */
static void block(float *y, const float *a, float *packed, const struct stretch *s, int64_t first, int64_t rows)
{
    const struct gemm *how = s->how;
    int64_t by_row = how->ta ? 1 : how->k, by_depth = how->ta ? ROWS : 1;
    int64_t by_group = how->ta ? ROWS * s->depth : ROWS * how->k;
    bool add = how->add || !s->first;

    if (how->ta)
        pack_rows(packed, a, s, first, rows);
    a = how->ta ? packed : a + first * how->k + s->from;
    for (int64_t column = 0; column < how->n; column += COLUMNS) {
        int64_t columns = how->n - column < COLUMNS ? how->n - column : COLUMNS;
        const struct product_end then = {.bias = s->bias ? s->bias + column : NULL, .relu = how->relu};
        const struct product_end *end = s->last ? &then : NULL;
        const float *panel = s->panels + column * s->depth, *from = a;
        float *to = y + first * how->n + column;

        for (int64_t r = 0; r < rows; r += ROWS, from += by_group, to += ROWS * how->n) {
            int64_t count = rows - r < ROWS ? rows - r : ROWS;

            if (columns == COLUMNS)
                group(to, how->n, count, from, by_row, by_depth, panel, s->depth, add, end);
            else
                border(to, how->n, count, columns, from, by_row, by_depth, panel, s->depth, add, end);
        }
    }
}

int cpu_gemm(struct cpu *cpu, float *y, const float *a, const float *b, const float *bias, const struct gemm *how)
{
    int64_t wide = up(how->n, COLUMNS), depth = how->k < GEMM_DEPTH ? how->k : GEMM_DEPTH, threads = par_threads();
    int64_t rows = up(how->m / (BLOCKS_MIN * threads), ROWS);
    float *panels, *scaled, *packed;

    rows = rows < ROWS ? ROWS : rows > BLOCK_MAX ? BLOCK_MAX : rows;
    panels = cpu_scratch(cpu, (size_t)(wide * (depth + 1) + (how->ta ? threads * rows * depth : 0)) * sizeof *panels);
    if (!panels)
        return ERR_NOMEM;
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
            block(y, a, packed + omp_get_thread_num() * rows * depth, &s, first, how->m - first < rows ? how->m - first : rows);
    }
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* product.h -- small products of matrices that lie in the first caches, for kernels that transform around them.
 *
 *   cpu_product   c[r][n] = end( (c[r][n] +) sum over k < depth of a[r*by_row + k*by_depth] * b[k*ldb + n] )
 *
 * A tile of c stays in registers while k runs: 8 rows of two registers, of which b is read once and a is broadcast.  With
 * AVX-512 eight columns left over are taken in registers of half width (type half).  end is done in registers too.
 *
 * Range    n a multiple of 8; rows, depth >= 0
 * Memory   nothing overlaps; no alignment is needed
 * Order    each sum runs over k from 0 upwards, whatever the tile
 */
#ifndef COMPUTE_CPU_PRODUCT_H
#define COMPUTE_CPU_PRODUCT_H

#include <stdbool.h>

#include "compute/cpu/vec.h"

/* What happens to a finished sum: the bias is added, then ReLU, then 0 where mask <= 0.  NaN stays NaN through the ReLU, so
 * that a loss shows it. */
struct product_end {
    const float *bias; /* borrowed: by column, or NULL */
    const float *mask; /* borrowed: placed like c, or NULL */
    bool relu;
};

#if VEC == 16
typedef float half __attribute__((vector_size(32)));
typedef int32_t halfi __attribute__((vector_size(32)));
typedef float half_near __attribute__((vector_size(32), aligned(4), may_alias));
#endif

/* Loops over a tile must be unrolled early, or its sums travel through memory. */
#ifdef __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#define PRODUCT_AHEAD 12 /* rows of b that are asked for before they are read */

#define PRODUCT_END(name, type, integers)                                                                              \
    static inline type name(type sum, const struct product_end *end, int64_t at, int64_t column)                       \
    {                                                                                                                  \
        if (end->bias)                                                                                                 \
            sum += *(const type##_near *)(end->bias + column);                                                         \
        if (end->relu)                                                                                                 \
            sum = (type)((integers)sum & ~(sum < 0.0f));                                                               \
        if (end->mask)                                                                                                 \
            sum = (type)((integers)sum & (*(const type##_near *)(end->mask + at) > 0.0f));                             \
        return sum;                                                                                                    \
    }

#define PRODUCT_TILE(name, type, rows, count)                                                                          \
    static inline void name(float *c, int64_t ldc, const float *a, int64_t by_row, int64_t by_depth, const float *b,   \
                            int64_t ldb, int64_t depth, bool add, const struct product_end *end, int64_t at,           \
                            int64_t column)                                                                            \
    {                                                                                                                  \
        enum { LANES = sizeof(type) / sizeof(float) };                                                                 \
        type sum[rows][count];                                                                                         \
                                                                                                                       \
        c += at;                                                                                                       \
        b += column;                                                                                                   \
        UNROLL                                                                                                         \
        for (int r = 0; r < rows; r++)                                                                                 \
            UNROLL                                                                                                     \
            for (int i = 0; i < count; i++) {                                                                          \
                sum[r][i] = (type){0};                                                                                 \
                if (add)                                                                                               \
                    sum[r][i] = *(type##_near *)(c + r * ldc + i * LANES);                                             \
            }                                                                                                          \
        for (int64_t k = 0; k < depth; k++) {                                                                          \
            type y[count];                                                                                             \
                                                                                                                       \
            UNROLL                                                                                                     \
            for (int i = 0; i < count; i++)                                                                            \
                y[i] = *(const type##_near *)(b + k * ldb + i * LANES);                                                \
            for (int i = 0; i < count; i++)                                                                            \
                __builtin_prefetch(b + (k + PRODUCT_AHEAD) * ldb + i * LANES);                                         \
            UNROLL                                                                                                     \
            for (int r = 0; r < rows; r++) {                                                                           \
                type x = a[r * by_row + k * by_depth] - (type){0};                                                     \
                                                                                                                       \
                UNROLL                                                                                                 \
                for (int i = 0; i < count; i++)                                                                        \
                    sum[r][i] += x * y[i];                                                                             \
            }                                                                                                          \
        }                                                                                                              \
        UNROLL                                                                                                         \
        for (int r = 0; r < rows; r++)                                                                                 \
            UNROLL                                                                                                     \
            for (int i = 0; i < count; i++) {                                                                          \
                if (end)                                                                                               \
                    sum[r][i] = type##_end(sum[r][i], end, at + r * ldc + i * LANES, column + i * LANES);              \
                *(type##_near *)(c + r * ldc + i * LANES) = sum[r][i];                                                 \
            }                                                                                                          \
    }

PRODUCT_END(vec_end, vec, veci)
PRODUCT_TILE(product_one, vec, 8, 1)
PRODUCT_TILE(product_row, vec, 1, 1)
#if VEC == 16
#define PRODUCT_ROWS 8 /* of a tile two registers wide */
PRODUCT_END(half_end, half, halfi)
PRODUCT_TILE(product_half, half, 8, 1)
PRODUCT_TILE(product_half_row, half, 1, 1)
#else
#define PRODUCT_ROWS 4
#endif
PRODUCT_TILE(product_two, vec, PRODUCT_ROWS, 2)

/* end may be NULL */
static inline void cpu_product(float *c, int64_t ldc, const float *a, int64_t by_row, int64_t by_depth, const float *b,
                               int64_t ldb, int64_t rows, int64_t n, int64_t depth, bool add,
                               const struct product_end *end)
{
    int64_t at = 0, whole = rows / 8 * 8;

    for (; at + 2 * VEC <= n; at += 2 * VEC)
        for (int64_t r = 0; r < whole; r += PRODUCT_ROWS)
            product_two(c, ldc, a + r * by_row, by_row, by_depth, b, ldb, depth, add, end, r * ldc + at, at);
    for (; at + VEC <= n; at += VEC)
        for (int64_t r = 0; r < whole; r += 8)
            product_one(c, ldc, a + r * by_row, by_row, by_depth, b, ldb, depth, add, end, r * ldc + at, at);
#if VEC == 16
    for (int64_t r = 0; at < n && r < whole; r += 8)
        product_half(c, ldc, a + r * by_row, by_row, by_depth, b, ldb, depth, add, end, r * ldc + at, at);
#endif
    for (int64_t r = whole; r < rows; r++) {
        for (at = 0; at + VEC <= n; at += VEC)
            product_row(c, ldc, a + r * by_row, by_row, by_depth, b, ldb, depth, add, end, r * ldc + at, at);
#if VEC == 16
        if (at < n)
            product_half_row(c, ldc, a + r * by_row, by_row, by_depth, b, ldb, depth, add, end, r * ldc + at, at);
#endif
    }
}

#endif

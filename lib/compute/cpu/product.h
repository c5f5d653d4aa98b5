/* SPDX-License-Identifier: MIT */
/* product.h -- small products of matrices that lie in the first caches, for kernels that transform around them.
 *
 *   cpu_product   c[r][n] (+)= sum over k < depth of a[r*by_row + k*by_depth] * b[k*ldb + n]
 *
 * A tile of c stays in registers while k runs: 8 rows of two registers, of which b is read once and a is broadcast.  With
 * AVX-512 eight columns left over are taken in registers of half width (struct of the same code, type half).
 *
 * Range    rows and n multiples of 8; depth >= 0
 * Memory   nothing overlaps; no alignment is needed
 * Order    each sum runs over k from 0 upwards, whatever the tile
 */
#ifndef COMPUTE_CPU_PRODUCT_H
#define COMPUTE_CPU_PRODUCT_H

#include <stdbool.h>

#include "compute/cpu/vec.h"

#if VEC == 16
typedef float half __attribute__((vector_size(32)));
typedef int32_t halfi __attribute__((vector_size(32)));
typedef float half_near __attribute__((vector_size(32), aligned(4), may_alias));
#endif

#define PRODUCT_TILE(name, type, rows, count)                                                                          \
    static inline void name(float *c, int64_t ldc, const float *a, int64_t by_row, int64_t by_depth, const float *b,   \
                            int64_t ldb, int64_t depth, bool add)                                                      \
    {                                                                                                                  \
        enum { LANES = sizeof(type) / sizeof(float) };                                                                 \
        type sum[rows][count];                                                                                         \
                                                                                                                       \
        for (int r = 0; r < rows; r++)                                                                                 \
            for (int i = 0; i < count; i++) {                                                                          \
                sum[r][i] = (type){0};                                                                                 \
                if (add)                                                                                               \
                    sum[r][i] = *(type##_near *)(c + r * ldc + i * LANES);                                             \
            }                                                                                                          \
        for (int64_t k = 0; k < depth; k++) {                                                                          \
            type y[count];                                                                                             \
                                                                                                                       \
            for (int i = 0; i < count; i++)                                                                            \
                y[i] = *(const type##_near *)(b + k * ldb + i * LANES);                                                \
            for (int r = 0; r < rows; r++) {                                                                           \
                type x = a[r * by_row + k * by_depth] - (type){0};                                                     \
                                                                                                                       \
                for (int i = 0; i < count; i++)                                                                        \
                    sum[r][i] += x * y[i];                                                                             \
            }                                                                                                          \
        }                                                                                                              \
        for (int r = 0; r < rows; r++)                                                                                 \
            for (int i = 0; i < count; i++)                                                                            \
                *(type##_near *)(c + r * ldc + i * LANES) = sum[r][i];                                                 \
    }

#if VEC == 16
#define PRODUCT_ROWS 8 /* of a tile two registers wide */
PRODUCT_TILE(product_half, half, 8, 1)
#else
#define PRODUCT_ROWS 4
#endif
PRODUCT_TILE(product_two, vec, PRODUCT_ROWS, 2)
PRODUCT_TILE(product_one, vec, 8, 1)

static inline void cpu_product(float *c, int64_t ldc, const float *a, int64_t by_row, int64_t by_depth, const float *b,
                               int64_t ldb, int64_t rows, int64_t n, int64_t depth, bool add)
{
    int64_t at = 0;

    for (; at + 2 * VEC <= n; at += 2 * VEC)
        for (int64_t r = 0; r < rows; r += PRODUCT_ROWS)
            product_two(c + r * ldc + at, ldc, a + r * by_row, by_row, by_depth, b + at, ldb, depth, add);
    for (; at + VEC <= n; at += VEC)
        for (int64_t r = 0; r < rows; r += 8)
            product_one(c + r * ldc + at, ldc, a + r * by_row, by_row, by_depth, b + at, ldb, depth, add);
#if VEC == 16
    for (int64_t r = 0; at < n && r < rows; r += 8)
        product_half(c + r * ldc + at, ldc, a + r * by_row, by_row, by_depth, b + at, ldb, depth, add);
#endif
}

#endif

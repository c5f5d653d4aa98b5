/* SPDX-License-Identifier: MIT */
/* philox.h -- the draws of base/rng.h, many at a time: the same words as rng_draw, in lanes that vectorise.
 *
 * Source   Salmon, Moraes, Dror, Shaw 2011; equal to Random123's philox4x32-10 word for word (tests/ops/gumbel.c)
 */
#ifndef COMPUTE_CPU_PHILOX_H
#define COMPUTE_CPU_PHILOX_H

#include "base/rng.h"

#define CPU_DRAWS 64                 /* draws in a block */
#define CPU_WORDS (4 * CPU_DRAWS)    /* words in a block */

/* words[4*i..4*i+3] = the draw at (rng, step, first + i), i < CPU_DRAWS. */
static inline void cpu_draw(uint32_t *words, struct rng rng, uint64_t step, uint64_t first)
{
    uint32_t key0 = (uint32_t)rng.seed ^ rng.purpose * 0x9E3779B9u, key1 = (uint32_t)(rng.seed >> 32);
    uint32_t low = (uint32_t)first, high = (uint32_t)(first >> 32);
    uint32_t step_low = (uint32_t)step, step_high = (uint32_t)(step >> 32);

#pragma omp simd
    for (uint32_t i = 0; i < CPU_DRAWS; i++) {
        uint32_t c0 = low + i, c1 = high + (c0 < low), c2 = step_low, c3 = step_high, k0 = key0, k1 = key1;

        for (int round = 0; round < 10; round++) {
            uint32_t low0 = 0xD2511F53u * c0, high0 = (uint32_t)(0xD2511F53ull * c0 >> 32);
            uint32_t low1 = 0xCD9E8D57u * c2, high1 = (uint32_t)(0xCD9E8D57ull * c2 >> 32);

            c0 = high1 ^ c1 ^ k0;
            c1 = low1;
            c2 = high0 ^ c3 ^ k1;
            c3 = low0;
            k0 += 0x9E3779B9u;
            k1 += 0xBB67AE85u;
        }
        words[4 * i] = c0;
        words[4 * i + 1] = c1;
        words[4 * i + 2] = c2;
        words[4 * i + 3] = c3;
    }
}

#endif

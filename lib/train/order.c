/* SPDX-License-Identifier: MIT */
/* order.c -- a Feistel network permutes 2^bits values; values past n are sent through again (cycle walking). */
#include "train/order.h"

#include "base/rng.h"

#define ROUNDS 4

uint64_t order_at(uint64_t seed, uint64_t epoch, uint64_t n, uint64_t i)
{
    struct rng rng = {seed, RNG_ORDER};
    int half = 1;
    uint64_t mask;

    while (half < 31 && (UINT64_C(1) << 2 * half) < n)
        half++;
    mask = (UINT64_C(1) << half) - 1;
    do {
        uint64_t left = i >> half, right = i & mask;

        for (uint64_t round = 0; round < ROUNDS; round++) {
            uint64_t next = left ^ (rng_draw(rng, epoch, right * ROUNDS + round).v[0] & mask);

            left = right;
            right = next;
        }
        i = left << half | right;
    } while (i >= n);
    return i;
}

uint64_t order_example(uint64_t seed, uint64_t n, uint64_t position)
{
    return order_at(seed, position / n, n, position % n);
}

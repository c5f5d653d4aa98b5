/* SPDX-License-Identifier: MIT */
/* order.h -- the order of training examples: a bijective permutation of (seed, epoch, index), no list of indices.
 *
 *   position p = step * batch + i;  epoch e = p / n;  example = order_at(seed, e, n, p mod n)
 *
 * A four-round Feistel network over the smallest even number of bits that holds n, walking cycles until the value is
 * below n (at most four tries on average).
 *
 * Range    1 <= n <= 2^62
 * Source   Black and Rogaway 2002, cycle walking; rounds by Philox (base/rng.h, RNG_ORDER)
 */
#ifndef TRAIN_ORDER_H
#define TRAIN_ORDER_H

#include <stdint.h>

uint64_t order_at(uint64_t seed, uint64_t epoch, uint64_t n, uint64_t i);

/* The example at a position of the endless sequence of epochs. */
uint64_t order_example(uint64_t seed, uint64_t n, uint64_t position);

#endif

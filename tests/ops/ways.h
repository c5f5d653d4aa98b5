/* SPDX-License-Identifier: MIT */
/* ways.h -- how a device makes products of bf16 factors: the CPU in up to three ways, of which tests try each that the
 * processor has (its state is looked into for that); other devices in one. */
#ifndef TESTS_OPS_WAYS_H
#define TESTS_OPS_WAYS_H

#include "compute/cpu/cpu.h"
#include "harness.h"

static inline bool ways_of_cpu(const struct harness *h)
{
    return strncmp(h->name, "cpu", 3) == 0;
}

/* The last way's number; 0 is f32, all between exist too. */
static inline int ways_last(struct harness *h)
{
    int best;

    if (!ways_of_cpu(h))
        return 1;
    assert_int_equal(device_precision(&h->dev, PRECISION_BF16), 0);
    best = (int)((struct cpu *)h->dev.self)->bf16;
    assert_int_equal(device_precision(&h->dev, PRECISION_F32), 0);
    assert_int_equal(((struct cpu *)h->dev.self)->bf16, CPU_BF16_NONE);
    return best;
}

static inline void ways_set(struct harness *h, int way)
{
    assert_int_equal(device_precision(&h->dev, way ? PRECISION_BF16 : PRECISION_F32), 0);
    if (ways_of_cpu(h))
        ((struct cpu *)h->dev.self)->bf16 = (enum cpu_bf16)way;
}

#endif

/* SPDX-License-Identifier: MIT */
/* host.h -- arrays of numbers in the host's memory, of any type that a tensor has but integers.  One thread does each.
 *
 * Conversions are inline, for the instruction set of whoever takes them (cpu/wide.c).
 */
#ifndef COMPUTE_HOST_H
#define COMPUTE_HOST_H

#include <assert.h>
#include <string.h>

#include "base/bits16.h"
#include "compute/tensor.h"

/* to[0..n-1], of that type, = from, rounded as base/bits16.h says; nothing overlaps. */
static inline void host_from_f32(void *to, enum dtype type, const float *from, int64_t n)
{
    uint16_t *code = to;

    assert(type != DTYPE_I32);
    switch (type) {
    case DTYPE_BF16:
        for (int64_t i = 0; i < n; i++)
            code[i] = bf16_from_f32(from[i]);
        break;
    case DTYPE_F16:
        for (int64_t i = 0; i < n; i++)
            code[i] = f16_from_f32(from[i]);
        break;
    case DTYPE_E6M9:
        for (int64_t i = 0; i < n; i++)
            code[i] = e6m9_from_f32(from[i]);
        break;
    case DTYPE_E6M10:
        for (int64_t i = 0; i < n; i++)
            code[i] = e6m10_from_f32(from[i]);
        break;
    default: memmove(to, from, sizeof *from * (size_t)n);
    }
}

static inline void host_to_f32(float *to, const void *from, enum dtype type, int64_t n)
{
    const uint16_t *code = from;

    assert(type != DTYPE_I32);
    switch (type) {
    case DTYPE_BF16:
        for (int64_t i = 0; i < n; i++)
            to[i] = bf16_to_f32(code[i]);
        break;
    case DTYPE_F16:
        for (int64_t i = 0; i < n; i++)
            to[i] = f16_to_f32(code[i]);
        break;
    case DTYPE_E6M9:
        for (int64_t i = 0; i < n; i++)
            to[i] = e6m9_to_f32(code[i]);
        break;
    case DTYPE_E6M10:
        for (int64_t i = 0; i < n; i++)
            to[i] = e6m10_to_f32(code[i]);
        break;
    default: memmove(to, from, sizeof *to * (size_t)n);
    }
}

/* mean = decay * mean + (1 - decay) * x */
void host_average(float *mean, const void *x, enum dtype type, int64_t n, float decay);

#endif

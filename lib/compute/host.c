/* SPDX-License-Identifier: MIT */
#include "compute/host.h"

#include <assert.h>

#include "base/bits16.h"

enum { BLOCK = 4096 };

void host_from_f32(void *to, enum dtype type, const float *from, int64_t n)
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

void host_to_f32(float *to, const void *from, enum dtype type, int64_t n)
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

void host_average(float *mean, const void *x, enum dtype type, int64_t n, float decay)
{
    const float rest = (float)(1.0 - (double)decay);
    float value[BLOCK];

    for (int64_t at = 0; at < n; at += BLOCK) {
        int64_t count = n - at < BLOCK ? n - at : BLOCK;

        host_to_f32(value, (const char *)x + (size_t)at * dtype_size(type), type, count);
#pragma omp simd
        for (int64_t i = 0; i < count; i++)
            mean[at + i] = decay * mean[at + i] + rest * value[i];
    }
}

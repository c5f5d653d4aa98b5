/* SPDX-License-Identifier: MIT */
#include "compute/host.h"

enum { BLOCK = 4096 };

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

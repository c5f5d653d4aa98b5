/* SPDX-License-Identifier: MIT */
/* Element-wise passes.  Where the compiler may fuse a product into a sum, the threads share out blocks of PAR_BLOCK elements,
 * so that an element is always treated alike. */
#include <string.h>

#include "base/par.h"
#include "compute/cpu/cpu.h"

int cpu_relu(void *self, tensor_in y, tensor_in x)
{
    int64_t n = tensor_elements(x);
    const float *in = F32(x);
    float *out = F32(y);

    (void)self;
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < n; i++)
        out[i] = in[i] < 0.0f ? 0.0f : in[i]; /* NaN stays */
    return 0;
}

int cpu_add(void *self, tensor_in y, tensor_in x, float s)
{
    int64_t n = tensor_elements(x);

    (void)self;
#pragma omp parallel for schedule(static)
    for (int64_t at = 0; at < n; at += PAR_BLOCK) {
        int64_t count = n - at < PAR_BLOCK ? n - at : PAR_BLOCK;
        const float *in = F32(x) + at;
        float *out = F32(y) + at;

#pragma omp simd
        for (int64_t i = 0; i < count; i++)
            out[i] += s * in[i];
    }
    return 0;
}

int cpu_copy(void *self, tensor_in y, tensor_in x)
{
    int64_t n = tensor_elements(x);

    (void)self;
#pragma omp parallel for schedule(static)
    for (int64_t at = 0; at < n; at += PAR_BLOCK) {
        int64_t count = n - at < PAR_BLOCK ? n - at : PAR_BLOCK;

        memmove(F32(y) + at, F32(x) + at, (size_t)count * sizeof(float));
    }
    return 0;
}

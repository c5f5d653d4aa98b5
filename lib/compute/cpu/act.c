/* SPDX-License-Identifier: MIT */
/* Element-wise passes.  The threads share out blocks of PAR_BLOCK elements, so that an element is always treated alike. */
#include <math.h>
#include <string.h>

#include "base/par.h"
#include "compute/cpu/wide.h"

static int64_t block_of(int64_t at, int64_t n)
{
    return n - at < PAR_BLOCK ? n - at : PAR_BLOCK;
}

int cpu_relu(void *self, tensor_in y, tensor_in x)
{
    int64_t n = tensor_elements(x);

    (void)self;
#pragma omp parallel for schedule(static)
    for (int64_t at = 0; at < n; at += PAR_BLOCK) {
        int64_t count = block_of(at, n);
        float room[PAR_BLOCK];
        const float *in = cpu_load(room, x, at, count);
        float *out = cpu_place(room, y, at);

#pragma omp simd
        for (int64_t i = 0; i < count; i++)
            out[i] = in[i] < 0.0f ? 0.0f : in[i]; /* NaN stays */
        cpu_store(y, at, out, count);
    }
    return 0;
}

int cpu_add(void *self, tensor_in y, tensor_in x, float s)
{
    int64_t n = tensor_elements(x);

    (void)self;
#pragma omp parallel for schedule(static)
    for (int64_t at = 0; at < n; at += PAR_BLOCK) {
        int64_t count = block_of(at, n);
        float room[2][PAR_BLOCK];
        const float *in = cpu_load(room[0], x, at, count);
        float *out = cpu_load(room[1], y, at, count);

#pragma omp simd
        for (int64_t i = 0; i < count; i++)
            out[i] += s * in[i];
        cpu_store(y, at, out, count);
    }
    return 0;
}

/* Numbers of one type are moved as they are. */
int cpu_copy(void *self, tensor_in y, tensor_in x)
{
    int64_t n = tensor_elements(x);

    (void)self;
#pragma omp parallel for schedule(static)
    for (int64_t at = 0; at < n; at += PAR_BLOCK) {
        int64_t count = block_of(at, n);
        float room[PAR_BLOCK];

        if (x->type == y->type)
            memmove(cpu_at(y, at), cpu_at(x, at), (size_t)count * dtype_size(x->type));
        else if (y->type == DTYPE_F32)
            cpu_load(F32(y) + at, x, at, count);
        else
            cpu_store(y, at, cpu_load(room, x, at, count), count);
    }
    return 0;
}

int cpu_filter(void *self, tensor_in y, tensor_in x, float s)
{
    int64_t n = tensor_elements(x);

    (void)self;
#pragma omp parallel for schedule(static)
    for (int64_t at = 0; at < n; at += PAR_BLOCK) {
        int64_t count = block_of(at, n);
        float room[PAR_BLOCK];
        const float *in = cpu_load(room, x, at, count);
        float *out = cpu_place(room, y, at);

#pragma omp simd
        for (int64_t i = 0; i < count; i++) {
            float v = s * in[i];

            out[i] = fabsf(v) < INFINITY ? v : 0.0f;
        }
        cpu_store(y, at, out, count);
    }
    return 0;
}

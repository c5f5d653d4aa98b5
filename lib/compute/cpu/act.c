/* SPDX-License-Identifier: MIT */
/* Element-wise passes.  Where the compiler may fuse a product into a sum, the threads share out blocks of PAR_BLOCK elements,
 * so that an element is always treated alike. */
#include "base/par.h"
#include "compute/cpu/cpu.h"
#include "compute/cpu/gelu.h"

int cpu_gelu(void *self, tensor_in y, tensor_in x)
{
    int64_t n = tensor_elements(x), whole = n - n % VEC;
    const float *in = F32(x);
    float *out = F32(y);

    (void)self;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < whole; i += VEC)
        vec_store(out + i, gelu(vec_load(in + i)));
    if (whole < n)
        vec_store_part(out + whole, gelu(vec_load_part(in + whole, n - whole, 0.0f)), n - whole);
    return 0;
}

int cpu_gelu_grad(void *self, tensor_in dx, tensor_in dy, tensor_in x)
{
    int64_t n = tensor_elements(x), whole = n - n % VEC;
    const float *in = F32(x), *d = F32(dy);
    float *out = F32(dx);

    (void)self;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < whole; i += VEC)
        vec_store(out + i, vec_load(d + i) * gelu_slope(vec_load(in + i)));
    if (whole < n) {
        vec slope = gelu_slope(vec_load_part(in + whole, n - whole, 0.0f));

        vec_store_part(out + whole, vec_load_part(d + whole, n - whole, 0.0f) * slope, n - whole);
    }
    return 0;
}

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

int cpu_relu_grad(void *self, tensor_in dx, tensor_in dy, tensor_in y)
{
    int64_t n = tensor_elements(y);
    const float *d = F32(dy), *at = F32(y);
    float *out = F32(dx);

    (void)self;
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < n; i++)
        out[i] = at[i] > 0.0f ? d[i] : 0.0f;
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

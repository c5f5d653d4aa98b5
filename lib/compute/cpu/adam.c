/* SPDX-License-Identifier: MIT */
/* One pass over memory an operation.  Blocks of PAR_BLOCK elements; sums of blocks are added in order. */
#include <math.h>

#include "base/par.h"
#include "compute/cpu/cpu.h"
#include "compute/cpu/vec.h"

int cpu_adam(void *self, tensor_in p, tensor_in m, tensor_in v, tensor_in g, const struct adam *how)
{
    int64_t n = tensor_elements(p);
    float *value = F32(p), *mean = F32(m), *square = F32(v);
    const float *grad = F32(g);
    const float beta1 = how->beta1, beta2 = how->beta2, eps = how->eps, scale = how->scale, top = how->v_max;
    const float step = (float)(how->lr / (1.0 - pow(how->beta1, (double)how->t)));
    const float unbias = (float)(1.0 / (1.0 - pow(how->beta2, (double)how->t)));
    const float shrink = how->lr * how->decay;

    (void)self;
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < n; i++) {
        float d = grad[i] * scale;
        float a = beta1 * mean[i] + (1.0f - beta1) * d;
        float b = beta2 * square[i] + (1.0f - beta2) * d * d;

        b = b < top ? b : top;
        mean[i] = a;
        square[i] = b;
        value[i] -= step * (a / (sqrtf(b * unbias) + eps)) + shrink * value[i];
    }
    return 0;
}

static double block_squares(const float *x, int64_t n)
{
    double lane[8] = {0}, sum = 0.0;

    for (int64_t i = 0; i + 8 <= n; i += 8)
        for (int j = 0; j < 8; j++)
            lane[j] += (double)x[i + j] * x[i + j];
    for (int64_t i = n - n % 8; i < n; i++)
        sum += (double)x[i] * x[i];
    for (int j = 0; j < 8; j++)
        sum += lane[j];
    return sum;
}

int cpu_sum_squares(void *self, double *sum, tensor_in x)
{
    int64_t n = tensor_elements(x), blocks = (n + PAR_BLOCK - 1) / PAR_BLOCK;
    double *part = cpu_scratch(self, (size_t)blocks * sizeof *part);

    if (part == NULL)
        return ERR_NOMEM;
#pragma omp parallel for schedule(static)
    for (int64_t block = 0; block < blocks; block++) {
        int64_t at = block * PAR_BLOCK;

        part[block] = block_squares(F32(x) + at, n - at < PAR_BLOCK ? n - at : PAR_BLOCK);
    }
    for (int64_t block = 0; block < blocks; block++)
        *sum += part[block];
    return 0;
}

int cpu_average(void *self, tensor_in average, tensor_in p, float decay)
{
    int64_t n = tensor_elements(p);
    float *mean = F32(average);
    const float *value = F32(p), rest = (float)(1.0 - (double)decay);

    (void)self;
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < n; i++)
        mean[i] = decay * mean[i] + rest * value[i];
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* One pass over memory an operation.  Blocks of PAR_BLOCK elements; sums of blocks are added in order. */
#include <math.h>

#include "base/par.h"
#include "compute/cpu/cpu.h"
#include "compute/cpu/vec.h"

/* The constants of one update. */
struct update {
    float beta1, beta2, eps, scale, top;
    float step;   /* lr / (1 - beta1^t) */
    float unbias; /* 1 / (1 - beta2^t) */
    float shrink; /* lr * decay */
};

static void update(float *p, float *m, float *v, const float *g, int64_t n, const struct update *u)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float d = g[i] * u->scale;
        float a = u->beta1 * m[i] + (1.0f - u->beta1) * d;
        float b = u->beta2 * v[i] + (1.0f - u->beta2) * d * d;

        b = u->top < b ? u->top : b; /* NaN stays */
        m[i] = a;
        v[i] = b;
        p[i] -= u->step * (a / (sqrtf(b * u->unbias) + u->eps)) + u->shrink * p[i];
    }
}

int cpu_adam(void *self, tensor_in p, tensor_in m, tensor_in v, tensor_in g, const struct adam *how)
{
    const struct update u = {
        .beta1 = how->beta1,
        .beta2 = how->beta2,
        .eps = how->eps,
        .scale = how->scale,
        .top = how->v_max,
        .step = (float)((double)how->lr / (1.0 - pow((double)how->beta1, (double)how->t))),
        .unbias = (float)(1.0 / (1.0 - pow((double)how->beta2, (double)how->t))),
        .shrink = how->lr * how->decay,
    };
    int64_t n = tensor_elements(p);

    (void)self;
#pragma omp parallel for schedule(static)
    for (int64_t at = 0; at < n; at += PAR_BLOCK)
        update(F32(p) + at, F32(m) + at, F32(v) + at, F32(g) + at, n - at < PAR_BLOCK ? n - at : PAR_BLOCK, &u);
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

static int add_squares(struct cpu *cpu, double *sum, tensor_in x)
{
    int64_t n = tensor_elements(x), blocks = (n + PAR_BLOCK - 1) / PAR_BLOCK;
    double *part = cpu_scratch(cpu, (size_t)blocks * sizeof *part);

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

int cpu_sum_squares(void *self, double *sum, tensor_in x, int64_t count)
{
    int rc = 0;

    *sum = 0.0;
    for (int64_t i = 0; rc == 0 && i < count; i++)
        rc = add_squares(self, sum, &x[i]);
    return rc;
}

int cpu_average(void *self, tensor_in average, tensor_in p, float decay)
{
    int64_t n = tensor_elements(p);
    const float rest = (float)(1.0 - (double)decay);

    (void)self;
#pragma omp parallel for schedule(static)
    for (int64_t at = 0; at < n; at += PAR_BLOCK) {
        float *mean = F32(average) + at;
        const float *value = F32(p) + at;
        int64_t count = n - at < PAR_BLOCK ? n - at : PAR_BLOCK;

#pragma omp simd
        for (int64_t i = 0; i < count; i++)
            mean[i] = decay * mean[i] + rest * value[i];
    }
    return 0;
}

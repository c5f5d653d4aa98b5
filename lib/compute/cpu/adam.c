/* SPDX-License-Identifier: MIT */
/* One pass over memory an operation.  Blocks of PAR_BLOCK elements; sums of blocks are added in order. */
#include <math.h>

#include "base/bits16.h"
#include "base/par.h"
#include "compute/cpu/philox.h"
#include "compute/cpu/vec.h"
#include "compute/cpu/wide.h"

enum { CHUNK = 2 * CPU_WORDS }; /* elements whose random bits are drawn at once; their f32 copies stay in the first cache */

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

/* Elements at.. of p = x by stochastic rounding; at is a multiple of CHUNK, n at most that. */
static void store_stochastic(tensor_in p, int64_t at, const float *x, int64_t n, const struct adam *how)
{
    uint32_t words[CPU_WORDS];
    uint16_t random[CHUNK], *out = cpu_at(p, at);

    cpu_draw(words, how->rng, (uint64_t)how->t, how->element + (uint64_t)at / 8);
    for (int i = 0; i < CPU_WORDS; i++) {
        random[2 * i] = (uint16_t)words[i];
        random[2 * i + 1] = (uint16_t)(words[i] >> 16);
    }
    if (p->type == DTYPE_F16)
        for (int64_t i = 0; i < n; i++)
            out[i] = f16_stochastic(x[i], random[i]);
    else
        for (int64_t i = 0; i < n; i++)
            out[i] = bf16_stochastic(x[i], random[i]);
}

static void update_chunk(tensor_in p, tensor_in m, tensor_in v, tensor_in g, int64_t at, int64_t n, const struct update *u,
                         const struct adam *how)
{
    tensor_in from = how->master ? how->master : p;
    float room[4][CHUNK];
    float *weights = cpu_load(room[0], from, at, n), *mean = cpu_load(room[1], m, at, n), *var = cpu_load(room[2], v, at, n);

    update(weights, mean, var, cpu_load(room[3], g, at, n), n, u);
    cpu_store(m, at, mean, n);
    cpu_store(v, at, var, n);
    if (how->master || p->type == DTYPE_F32)
        cpu_store(p, at, weights, n);
    else
        store_stochastic(p, at, weights, n, how);
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
    bool wide = p->type == DTYPE_F32 && m->type == DTYPE_F32 && g->type == DTYPE_F32;
    int64_t n = tensor_elements(p), step = wide ? PAR_BLOCK : CHUNK;

    (void)self;
#pragma omp parallel for schedule(static)
    for (int64_t block = 0; block < n; block += PAR_BLOCK)
        for (int64_t at = block; at < n && at < block + PAR_BLOCK; at += step) {
            int64_t count = n - at < step ? n - at : step;

            if (wide)
                update(F32(p) + at, F32(m) + at, F32(v) + at, F32(g) + at, count, &u);
            else
                update_chunk(p, m, v, g, at, count, &u, how);
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

static int64_t block_zeros(const float *x, int64_t n)
{
    int32_t zeros = 0;

#pragma omp simd reduction(+ : zeros)
    for (int64_t i = 0; i < n; i++)
        zeros += x[i] == 0.0f;
    return zeros;
}

static int squares(struct cpu *cpu, struct squares *sum, tensor_in x)
{
    int64_t n = tensor_elements(x), blocks = (n + PAR_BLOCK - 1) / PAR_BLOCK;
    struct squares *part = cpu_scratch(cpu, (size_t)blocks * sizeof *part);

    if (!part)
        return cpu_lacking(cpu);
#pragma omp parallel for schedule(static)
    for (int64_t block = 0; block < blocks; block++) {
        int64_t at = block * PAR_BLOCK, count = n - at < PAR_BLOCK ? n - at : PAR_BLOCK;
        float room[PAR_BLOCK];
        const float *in = cpu_load(room, x, at, count);

        part[block] = (struct squares){block_squares(in, count), block_zeros(in, count)};
    }
    *sum = (struct squares){0};
    for (int64_t block = 0; block < blocks; block++) {
        sum->sum += part[block].sum;
        sum->zeros += part[block].zeros;
    }
    return 0;
}

int cpu_sum_squares(void *self, struct squares *sums, tensor_in x, int64_t count)
{
    int rc = 0;

    for (int64_t i = 0; rc == 0 && i < count; i++)
        rc = squares(self, &sums[i], &x[i]);
    return rc;
}

/* SPDX-License-Identifier: MIT */
/* Rows are independent; of 16 bits, each is copied into its thread's scratch. */
#include "compute/loss.h"

#include <assert.h>
#include <math.h>

#include "base/par.h"
#include "compute/cpu/math.h"
#include "compute/cpu/vec.h"
#include "compute/cpu/wide.h"

#include <omp.h>

/* Sum of exp(x - top); with keep, x becomes exp(x - top). */
static float row_exp(float *x, int64_t n, float top, bool keep)
{
    vec sum = vec_all(0.0f), e;
    int64_t i = 0;

    for (; i + VEC <= n; i += VEC) {
        e = vec_exp(vec_load(x + i) - top);
        sum += e;
        if (keep)
            vec_store(x + i, e);
    }
    if (i < n) {
        e = vec_exp(vec_load_part(x + i, n - i, -INFINITY) - top);
        sum += e;
        if (keep)
            vec_store_part(x + i, e, n - i);
    }
    return vec_sum(sum);
}

/* One row of n; scale 0: it stays as it is.  Returns the loss. */
static float cross_entropy(float *row, int64_t n, int64_t target, float scale)
{
    float aim = row[target], top = vec_largest_of(row, n), sum = row_exp(row, n, top, scale != 0.0f), factor = scale / sum;

    if (scale != 0.0f) {
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            row[i] *= factor;
        row[target] -= scale;
    }
    return logf(sum) + (top - aim);
}

int cpu_cross_entropy(void *self, tensor_in loss, tensor_in x, tensor_in target, float scale)
{
    int64_t rows = x->shape[0], n = x->shape[1], each = x->type == DTYPE_F32 ? 0 : (n + 15) / 16 * 16;
    float *scratch = cpu_scratch(self, (size_t)(par_threads() * each) * sizeof *scratch);

    if (!scratch)
        return cpu_lacking(self);
#pragma omp parallel for schedule(static)
    for (int64_t m = 0; m < rows; m++) {
        int64_t t = I32(target)[m];
        float *row;

        assert(t < n);
        if (t < 0) {
            F32(loss)[m] = 0.0f;
            if (scale != 0.0f)
                memset(cpu_at(x, m * n), 0, (size_t)n * dtype_size(x->type));
            continue;
        }
        row = cpu_load(scratch + omp_get_thread_num() * each, x, m * n, n);
        F32(loss)[m] = cross_entropy(row, n, t, scale);
        if (scale != 0.0f)
            cpu_store(x, m * n, row, n);
    }
    return 0;
}

#define LANES 64 /* positions of one channel taken together */

/* One channel of count <= LANES positions; y at mu, its ln b lies channels further on. */
static void laplace_channel(float *nll, float *y, const float *x, int64_t count, int64_t channels, float scale)
{
    float mu[LANES], ln_b[LANES], target[LANES], part[LANES];

    for (int64_t p = 0; p < count; p++) {
        mu[p] = y[p * 2 * channels];
        ln_b[p] = y[p * 2 * channels + channels];
        target[p] = x[p * channels];
    }
#pragma omp simd
    for (int64_t p = 0; p < count; p++) {
        float low = cpu_log(target[p]), high = cpu_log(1.0f - target[p]);
        float off = (low - high) - mu[p], inverse = cpu_exp(-ln_b[p]), distance = fabsf(off) * inverse;

        part[p] = 0.693147181f + ln_b[p] + (low + high) + distance;
        mu[p] = scale * (off > 0.0f ? -inverse : off < 0.0f ? inverse : 0.0f * off);
        ln_b[p] = scale * (1.0f - distance);
    }
    for (int64_t p = 0; p < count; p++)
        nll[p] += part[p];
    if (scale == 0.0f)
        return;
    for (int64_t p = 0; p < count; p++) {
        y[p * 2 * channels] = mu[p];
        y[p * 2 * channels + channels] = ln_b[p];
    }
}

int cpu_laplace(void *self, tensor_in nll, tensor_in y, tensor_in x, float scale)
{
    int64_t rows = x->shape[0], channels = x->shape[1], each = y->type == DTYPE_F32 ? 0 : LANES * 2 * channels;
    float *scratch = cpu_scratch(self, (size_t)(par_threads() * each) * sizeof *scratch);

    if (!scratch)
        return cpu_lacking(self);
#pragma omp parallel for schedule(static)
    for (int64_t at = 0; at < rows; at += LANES) {
        int64_t count = rows - at < LANES ? rows - at : LANES, first = at * 2 * channels, size = count * 2 * channels;
        float *part = cpu_load(scratch + omp_get_thread_num() * each, y, first, size);

        memset(F32(nll) + at, 0, (size_t)count * sizeof(float));
        for (int64_t c = 0; c < channels; c++)
            laplace_channel(F32(nll) + at, part + c, F32(x) + at * channels + c, count, channels, scale);
        if (scale != 0.0f)
            cpu_store(y, first, part, size);
    }
    return 0;
}

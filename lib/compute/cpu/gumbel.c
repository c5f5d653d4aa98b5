/* SPDX-License-Identifier: MIT */
/* gumbel.c -- a row at a time, which stays in L1; rows are shared out to the threads.  A row of 16 bits is copied into its
 * thread's scratch. */
#include "base/par.h"
#include "compute/cpu/math.h"
#include "compute/cpu/philox.h"
#include "compute/cpu/vec.h"
#include "compute/cpu/wide.h"

#include <omp.h>

/* y[v] = x[v] + noise of element first + v, v < count */
static void add_noise(float *y, const float *x, int64_t count, const struct gumbel *how, uint64_t first)
{
    uint32_t words[CPU_WORDS];
    int64_t lead = (int64_t)(first % 4); /* words of the first draw that belong to the row before */

    for (int64_t at = -lead; at < count; at += CPU_WORDS) {
        int64_t from = at < 0 ? 0 : at, to = at + CPU_WORDS < count ? at + CPU_WORDS : count;

        cpu_draw(words, how->rng, how->step, (first + (uint64_t)(at + lead)) / 4);
#pragma omp simd
        for (int64_t v = from; v < to; v++)
            y[v] = x[v] - cpu_log(-cpu_log(rng_unit(words[v - at])));
    }
}

/* y = softmax(y * inverse), x untouched; returns KL of softmax(x) to the uniform distribution. */
static float soften(float *y, const float *x, int64_t count, float inverse)
{
    float y_max = vec_largest_of(y, count), x_max = vec_largest_of(x, count), y_sum = 0, x_sum = 0, moment = 0;

#pragma omp simd reduction(+ : y_sum, x_sum, moment)
    for (int64_t v = 0; v < count; v++) {
        float e = cpu_exp((y[v] - y_max) * inverse), q = cpu_exp(x[v] - x_max);

        y[v] = e;
        y_sum += e;
        x_sum += q;
        moment += q * (x[v] - x_max);
    }
    y_sum = 1.0f / y_sum;
#pragma omp simd
    for (int64_t v = 0; v < count; v++)
        y[v] *= y_sum;
    return moment / x_sum - cpu_log(x_sum) + logf((float)count);
}

int cpu_gumbel(void *self, tensor_in y, tensor_in kl, tensor_in x, const struct gumbel *how)
{
    int64_t rows = x->shape[0], count = x->shape[1], each = row_room(x) + row_room(y);
    float *scratch = cpu_scratch(self, (size_t)(par_threads() * each) * sizeof *scratch);

    if (!scratch)
        return cpu_lacking(self);
#pragma omp parallel for schedule(static)
    for (int64_t at = 0; at < rows * count; at += count) {
        float *room = scratch + omp_get_thread_num() * each, *out = cpu_place(room + row_room(x), y, at);
        const float *in = cpu_load(room, x, at, count);

        add_noise(out, in, count, how, how->first + (uint64_t)at);
        F32(kl)[at / count] = soften(out, in, count, 1.0f / how->tau);
        cpu_store(y, at, out, count);
    }
    return 0;
}

/* d(kl)/dx[v] = q[v] (ln q[v] - sum q ln q), q = softmax(x) */
static void soften_grad(float *dx, const float *dy, const float *y, const float *x, int64_t count, float inverse,
                        float kl_scale)
{
    float x_max = vec_largest_of(x, count), x_sum = 0, moment = 0, dot = 0, middle;

#pragma omp simd reduction(+ : x_sum, moment, dot)
    for (int64_t v = 0; v < count; v++) {
        float q = cpu_exp(x[v] - x_max);

        x_sum += q;
        moment += q * (x[v] - x_max);
        dot += y[v] * dy[v];
    }
    middle = x_max + moment / x_sum;
    kl_scale /= x_sum;
#pragma omp simd
    for (int64_t v = 0; v < count; v++)
        dx[v] = inverse * y[v] * (dy[v] - dot) + kl_scale * cpu_exp(x[v] - x_max) * (x[v] - middle);
}

int cpu_gumbel_grad(void *self, tensor_in dx, tensor_in dy, tensor_in y, tensor_in x, float tau, float kl_scale)
{
    int64_t rows = x->shape[0], count = x->shape[1], each = 2 * row_room(dx) + row_room(x) + row_room(y);
    float *scratch = cpu_scratch(self, (size_t)(par_threads() * each) * sizeof *scratch);

    if (!scratch)
        return cpu_lacking(self);
#pragma omp parallel for schedule(static)
    for (int64_t at = 0; at < rows * count; at += count) {
        float *of_dx = scratch + omp_get_thread_num() * each, *of_dy = of_dx + row_room(dx), *of_x = of_dy + row_room(dx);
        float *to = cpu_place(of_dx, dx, at);

        soften_grad(to, cpu_load(of_dy, dy, at, count), cpu_load(of_x + row_room(x), y, at, count),
                    cpu_load(of_x, x, at, count), count, 1.0f / tau, kl_scale);
        cpu_store(dx, at, to, count);
    }
    return 0;
}

/* The first index of the largest of x[count], count >= 1. */
static int32_t first_max(const float *x, int32_t count)
{
    float best = vec_largest_of(x, count);
    int32_t at = INT32_MAX;

#pragma omp simd reduction(min : at)
    for (int32_t v = 0; v < count; v++) {
        int32_t here = x[v] == best ? v : INT32_MAX;

        at = here < at ? here : at;
    }
    return at < count ? at : 0; /* nothing compares equal where all are NaN */
}

/* Piece by piece, so that the noise needs no memory of its own. */
static int32_t noisy_max(const float *x, int64_t count, const struct gumbel *how, uint64_t first)
{
    float noisy[CPU_WORDS], best = -INFINITY;
    int64_t code = 0;

    for (int64_t from = 0; from < count;) {
        int64_t size = CPU_WORDS - (int64_t)((first + (uint64_t)from) % 4);
        int32_t at;

        if (size > count - from)
            size = count - from;
        add_noise(noisy, x + from, size, how, first + (uint64_t)from);
        at = first_max(noisy, (int32_t)size);
        if (noisy[at] > best) {
            best = noisy[at];
            code = from + at;
        }
        from += size;
    }
    return (int32_t)code;
}

int cpu_gumbel_max(void *self, tensor_in code, tensor_in x, const struct gumbel *how)
{
    int64_t rows = x->shape[0], count = x->shape[1], each = row_room(x);
    float *scratch = cpu_scratch(self, (size_t)(par_threads() * each) * sizeof *scratch);

    if (!scratch)
        return cpu_lacking(self);
#pragma omp parallel for schedule(static)
    for (int64_t p = 0; p < rows; p++) {
        const float *row = cpu_load(scratch + omp_get_thread_num() * each, x, p * count, count);

        I32(code)[p] = how ? noisy_max(row, count, how, how->first + (uint64_t)(p * count)) : first_max(row, (int32_t)count);
    }
    return 0;
}

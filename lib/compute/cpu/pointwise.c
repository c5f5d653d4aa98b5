/* SPDX-License-Identifier: MIT */
/* pointwise.c -- 1x1 convolutions with few channels: a block of pixels is multiplied while it is in the first cache.
 *
 * Weight gradients: the pixels are cut into a fixed number of slices, each with sums of its own, which are added in order.
 */
#include "compute/cpu/direct.h"

#include <omp.h>
#include <string.h>

#include "base/par.h"
#include "compute/cpu/product.h"

#define BLOCK 64      /* pixels multiplied at once */
#define GRAB 512      /* pixels that a thread takes at a time */
#define SLICES 16     /* of a weight gradient, at most */
#define SLICE_MIN 512 /* pixels in a slice, at least */

int cpu_pointwise(struct cpu *cpu, float *y, const float *x, const float *w, const struct cpu_direct *how)
{
    int64_t in = how->i, out = how->o, pixels = how->n * how->h * how->w;
    /* A tile covers 2*VEC columns.  Wider rows are finished before the next ones are begun, so that memory is met in order. */
    int64_t step = out > 2 * VEC ? 8 : BLOCK;
    float *u = cpu_scratch(cpu, (size_t)(in * out + out) * sizeof *u);
    struct cpu_direct then = *how;

    if (!u)
        return cpu_lacking(cpu);
    for (int64_t i = 0; i < in; i++)
        for (int64_t o = 0; o < out; o++)
            u[i * out + o] = how->gain * (how->turned ? w[i * out + o] : w[o * in + i]);
    direct_bias(&then, u + in * out);
#pragma omp parallel for schedule(dynamic)
    for (int64_t first = 0; first < pixels; first += GRAB) {
        int64_t last = first + GRAB < pixels ? first + GRAB : pixels;

        for (int64_t at = first; at < last; at += step) {
            struct product_end end = then.end;

            end.mask = end.mask ? end.mask + at * out : NULL;
            cpu_product(y + at * out, out, x + at * in, in, 1, u, out, last - at < step ? last - at : step, out, in,
                        how->add, &end);
        }
    }
    return 0;
}

/* Add the pixels first..last-1 to du[shorter][longer] and db[o]. */
static void sum_slice(float *du, float *db, const float *dy, const float *x, const struct cpu_direct *how, int64_t first,
                      int64_t last)
{
    int64_t in = how->i, out = how->o;

    for (int64_t at = first; at < last; at += BLOCK) {
        int64_t count = last - at < BLOCK ? last - at : BLOCK;
        const float *xs = x + at * in, *dys = dy + at * out;

        if (out >= in)
            cpu_product(du, out, xs, 1, in, dys, out, in, out, count, true, NULL);
        else
            cpu_product(du, in, dys, 1, out, xs, in, out, in, count, true, NULL);
        for (int64_t p = 0; p < count; p++)
#pragma omp simd
            for (int64_t o = 0; o < out; o++)
                db[o] += dys[p * out + o];
    }
}

int cpu_pointwise_dw(struct cpu *cpu, float *dw, float *db, const float *dy, const float *x, const struct cpu_direct *how)
{
    int64_t in = how->i, out = how->o, pixels = how->n * how->h * how->w, sums = in * out;
    int64_t slices = pixels / SLICE_MIN < 1 ? 1 : pixels / SLICE_MIN > SLICES ? SLICES : pixels / SLICE_MIN;
    int64_t length = (pixels + slices - 1) / slices, part = direct_lines(sums + out);
    float *du = cpu_scratch(cpu, (size_t)(slices * part) * sizeof *du);

    if (!du)
        return cpu_lacking(cpu);
    memset(du, 0, (size_t)(slices * part) * sizeof *du);
#pragma omp parallel for schedule(dynamic)
    for (int64_t s = 0; s < slices; s++)
        sum_slice(du + s * part, du + s * part + sums, dy, x, how, s * length,
                  (s + 1) * length < pixels ? (s + 1) * length : pixels);
    for (int64_t s = 1; s < slices; s++)
#pragma omp simd
        for (int64_t j = 0; j < sums + out; j++)
            du[j] += du[s * part + j];
    for (int64_t o = 0; o < out; o++) {
        for (int64_t i = 0; i < in; i++)
            dw[o * in + i] += how->gain * du[out >= in ? i * out + o : o * in + i];
        db[o] += how->gain * du[sums + o];
    }
    return 0;
}

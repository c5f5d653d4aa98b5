/* SPDX-License-Identifier: MIT */
/* direct.h -- our own convolutions: 3x3 by Winograd's F(2x2,3x3), 1x1 with few channels as products.
 *
 * F(2x2,3x3) needs 16 products where the plain way needs 36; in f32 its error is about that of the plain way.  oneDNN
 * reaches half of the peak where channels are few and cannot fuse the gradient's mask.  Here everything that happens to
 * an output happens while it is in registers:
 *
 *   y = act( gain * (conv(x, w) + bias) (+ y if add) ), then 0 where end.mask <= 0
 *
 * turned   the gradient of the input: w is that of the forward convolution, [I,O,K,K] seen from here, and is used
 *          transposed and turned by 180 degrees
 *
 * Range    what cpu_direct_fits says; i and o are multiples of 8 then
 * Errors   ERR_NOMEM: no scratch
 * Order    same bytes for any number of threads
 * Source   Lavin and Gray 2016, "Fast algorithms for convolutional neural networks"
 */
#ifndef COMPUTE_CPU_DIRECT_H
#define COMPUTE_CPU_DIRECT_H

#include "compute/cpu/cpu.h"
#include "compute/cpu/product.h"

struct cpu_direct {
    int64_t n, h, w, i, o, k; /* x: [n,h,w,i], y: [n,h,w,o] */
    float gain;
    bool add, turned;
    struct product_end end;   /* its bias is not yet multiplied by the gain */
};

/* Is there a kernel for it (or for its weight gradient), and is it the faster one? */
bool cpu_direct_fits(const struct cpu_direct *how, bool gradient);

/* k = 3 and k = 1 */
must_check int cpu_winograd(struct cpu *cpu, float *y, const float *x, const float *w, const struct cpu_direct *how);
must_check int cpu_pointwise(struct cpu *cpu, float *y, const float *x, const float *w, const struct cpu_direct *how);

/* Floats of a piece of scratch, in whole lines of the cache. */
static inline int64_t direct_lines(int64_t floats)
{
    return (floats + 15) / 16 * 16;
}

/* Multiply the bias by the gain, into own [o]. */
static inline void direct_bias(struct cpu_direct *how, float *own)
{
    for (int64_t o = 0; how->end.bias && o < how->o; o++)
        own[o] = how->gain * how->end.bias[o];
    if (how->end.bias)
        how->end.bias = own;
}

/* dw [o,i,k,k] += gain * sum over positions of dy x; db [o] += gain * sum of dy */
must_check int cpu_winograd_dw(struct cpu *cpu, float *dw, float *db, const float *dy, const float *x,
                               const struct cpu_direct *how);
must_check int cpu_pointwise_dw(struct cpu *cpu, float *dw, float *db, const float *dy, const float *x,
                                const struct cpu_direct *how);

#endif

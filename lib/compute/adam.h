/* SPDX-License-Identifier: MIT */
/* adam.h -- AdamW in one pass, and the sums of squares that stand before it.
 *
 *   g' = g * scale;  m = b1 m + (1-b1) g';  v = min(b2 v + (1-b2) g'^2, v_max);
 *   p -= lr * ( (m / (1-b1^t)) / (sqrt(v / (1-b2^t)) + eps) + decay * p )
 *
 * Weights of 16 bits are updated in f32 and rounded: where there is a master copy, it is updated and p becomes the nearest
 * number to it; else p itself is, by stochastic rounding (base/bits16.h).  An update below half a unit in p's last place thus
 * counts in the mean instead of being lost.  The random bits of p[i] are the 16 from bit i%2*16 on of word i/2%4 of the draw
 * at (rng, t, element + i/8), so that they do not depend on how p is divided among processes, in pieces of 8.
 *
 * Shapes   p, g, m, v, master: the same, any rank
 * Types    p, g: f32 or a 16-bit type, each; m and v: f32, or 1-6-9 and 0-6-10; master f32.  All arithmetic is f32; the update
 *          uses m and v as they are before they are rounded for storage
 * Order    cpu: same bytes for any thread count
 * Traps    the decay is multiplied by the step size; the second-moment clamp is applied before use and storage
 * Source   Loshchilov and Hutter 2019; Ramesh et al. 2021, appendices B.2 (clamp at 5) and D; stochastic rounding, on which
 *          the paper says nothing: Gupta et al. 2015
 */
#ifndef COMPUTE_ADAM_H
#define COMPUTE_ADAM_H

#include "base/rng.h"
#include "compute/device.h"

struct adam {
    float lr, beta1, beta2, eps;
    float decay;   /* 0 for parameters without weight decay */
    float v_max;   /* INFINITY: no clamp */
    float scale;   /* of the gradient: clipping, loss scale */
    int64_t t;     /* update number, from 1 */
    const struct tensor *master; /* borrowed: the weights in f32, of which p is a copy; NULL: there is none */
    struct rng rng;              /* for p of 16 bits without master */
    uint64_t element;            /* likewise: address of the draws for p[0] */
};

must_check int op_adam(struct device *dev, const struct tensor *p, const struct tensor *m, const struct tensor *v,
                       const struct tensor *g, const struct adam *how);

struct squares {
    double sum;    /* of squares of all elements, in f64 over fixed blocks; not finite if any element is not */
    int64_t zeros; /* elements that are 0 */
};

/* sums[i] of x[i], of f32 or a 16-bit type, i < count.  Waits. */
must_check int op_sum_squares(struct device *dev, struct squares *sums, const struct tensor *x, int64_t count);

#endif

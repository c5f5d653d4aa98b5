/* SPDX-License-Identifier: MIT */
/* adam.h -- AdamW in one pass, and the reductions around it.
 *
 *   g' = g * scale;  m = b1 m + (1-b1) g';  v = min(b2 v + (1-b2) g'^2, v_max);
 *   p -= lr * ( (m / (1-b1^t)) / (sqrt(v / (1-b2^t)) + eps) + decay * p )
 *
 * Shapes   p, g, m, v: the same, any rank
 * Types    f32
 * Order    cpu: same bytes for any thread count
 * Traps    the decay is multiplied by the step size; the second-moment clamp is applied before use and storage
 * Source   Loshchilov and Hutter 2019; Ramesh et al. 2021, appendix B.2 (clamp at 5)
 */
#ifndef COMPUTE_ADAM_H
#define COMPUTE_ADAM_H

#include "compute/device.h"

struct adam {
    float lr, beta1, beta2, eps;
    float decay;   /* 0 for parameters without weight decay */
    float v_max;   /* INFINITY: no clamp */
    float scale;   /* of the gradient: clipping, loss scale */
    int64_t t;     /* update number, from 1 */
};

must_check int op_adam(struct device *dev, const struct tensor *p, const struct tensor *m, const struct tensor *v,
                       const struct tensor *g, const struct adam *how);
/* *sum = sum of squares of all of x[0..count-1], in f64 over fixed blocks; not finite if any element is not. */
must_check int op_sum_squares(struct device *dev, double *sum, const struct tensor *x, int64_t count);
/* average = decay * average + (1 - decay) * p */
must_check int op_average(struct device *dev, const struct tensor *average, const struct tensor *p, float decay);

#endif

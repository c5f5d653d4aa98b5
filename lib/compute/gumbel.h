/* SPDX-License-Identifier: MIT */
/* gumbel.h -- the relaxation of the codebook: Gumbel-softmax, KL to the uniform prior, arg-max.
 *
 *   op_gumbel       g = -ln(-ln u), u drawn at (rng, step, first + p*V + v);  y[p,:] = softmax((x[p,:] + g) / tau)
 *                   kl[p] = sum_v q ln q + ln V, q = softmax(x[p,:]) (un-relaxed, without noise)
 *   op_gumbel_grad  dx = (1/tau) y (dy - sum_v y dy) + kl_scale * d(kl)/dx;   dx may be dy
 *   op_gumbel_max   code[p] = first arg-max of x[p,:] + g; without rng (NULL) of x[p,:]
 *
 * Draws    one Philox call gives four neighbouring elements: element e uses word e%4 of the draw at e/4
 * Shapes   x, y, dx, dy: [P,V]   kl: [P]   code: [P] i32
 * Types    x, y: f32 or a 16-bit type, each; dy of either; dx: that of dy; kl f32
 * Traps    no straight-through: the soft y is used forward and backward
 * Source   Jang et al. 2017; Maddison et al. 2017; Ramesh et al. 2021, section 2.1
 */
#ifndef COMPUTE_GUMBEL_H
#define COMPUTE_GUMBEL_H

#include "base/rng.h"
#include "compute/device.h"

struct gumbel {
    struct rng rng;
    uint64_t step, first; /* address of element 0 */
    float tau;
};

must_check int op_gumbel(struct device *dev, const struct tensor *y, const struct tensor *kl, const struct tensor *x,
                         const struct gumbel *how);
must_check int op_gumbel_grad(struct device *dev, const struct tensor *dx, const struct tensor *dy, const struct tensor *y,
                              const struct tensor *x, float tau, float kl_scale);
must_check int op_gumbel_max(struct device *dev, const struct tensor *code, const struct tensor *x,
                             const struct gumbel *how);

#endif

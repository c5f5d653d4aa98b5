/* SPDX-License-Identifier: MIT */
/* loss.h -- the two losses, each with its gradient in the same pass.
 *
 *   op_cross_entropy  loss[m] = log sum_v exp(x[m,v]) - x[m,target[m]]; 0 where target[m] < 0
 *                     x is replaced by its gradient: scale * (softmax(x[m,:]) - onehot), zero where target[m] < 0
 *   op_laplace        logit-Laplace: with x the target in (0,1), mu = y[p,c], ln b = y[p,C+c]
 *                     nll[p] = sum_c ln 2 + ln b + ln x + ln(1-x) + |logit x - mu| exp(-ln b)
 *                     y is replaced by its gradient times scale
 *
 * Shapes   x: [M,V]   target: [M] i32   loss: [M]        y: [P,2C]   x: [P,C]   nll: [P]
 * Types    cross-entropy's x, Laplace's y: f32 or a 16-bit type; the others f32
 * Memory   scale 0 leaves x (or y) as it is: loss only
 * Source   Ramesh et al. 2021, section 2.2 and equation 2
 */
#ifndef COMPUTE_LOSS_H
#define COMPUTE_LOSS_H

#include "compute/device.h"

must_check int op_cross_entropy(struct device *dev, const struct tensor *loss, const struct tensor *x,
                                const struct tensor *target, float scale);
must_check int op_laplace(struct device *dev, const struct tensor *nll, const struct tensor *y, const struct tensor *x,
                          float scale);

#endif

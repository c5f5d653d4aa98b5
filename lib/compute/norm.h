/* SPDX-License-Identifier: MIT */
/* norm.h -- LayerNorm: normalise the last axis, then scale and shift.
 *
 *   y[n,c] = (x[n,c] - mean[n]) * rstd[n] * g[c] + b[c],   rstd = 1/sqrt(var + eps)
 *
 * Shapes   x, y, dx, dy: [N,C]   g, b, dg, db: [C]   mean, rstd: [N]
 * Types    x, y, dy: f32 or a 16-bit type, each; dx: that of x; the others and all sums f32
 * Range    C >= 1; variance divides by C
 * Memory   y may be x; dx may be dy
 * Order    cpu: same bytes for any thread count
 * Traps    two passes: E[x^2]-E[x]^2 loses digits when |mean| >> spread
 * Source   Ba, Kiros, Hinton 2016, eq. 3
 */
#ifndef COMPUTE_NORM_H
#define COMPUTE_NORM_H

#include <stdbool.h>

#include "compute/device.h"

must_check int op_norm(struct device *dev, const struct tensor *y, const struct tensor *mean, const struct tensor *rstd,
                       const struct tensor *x, const struct tensor *g, const struct tensor *b, float eps);

/* dx += scale * gradient, so that the residual stream's gradient is added to in place; zero it for the plain gradient.  filter:
 * where scale * gradient is infinite or NaN, nothing is added.  dg, db += theirs, not scaled, not filtered. */
must_check int op_norm_grad(struct device *dev, const struct tensor *dx, const struct tensor *dg, const struct tensor *db,
                            const struct tensor *dy, const struct tensor *x, const struct tensor *mean,
                            const struct tensor *rstd, const struct tensor *g, float scale, bool filter);

#endif

/* SPDX-License-Identifier: MIT */
/* pool.h -- halving by maximum and doubling by nearest neighbour, NHWC.
 *
 *   op_max_pool        y[i,j] = max of the 2x2 block of x
 *   op_max_pool_grad   dx = dy at the first maximum of each block in raster order, 0 elsewhere
 *   op_upsample        y[2i+a,2j+b] = x[i,j]
 *   op_upsample_grad   dx[i,j] = sum of the 2x2 block of dy
 *
 * Shapes   pool: x, dx [N,2H,2W,C], y, dy [N,H,W,C]; upsample the other way round
 * Types    f32, bf16 or f16 (16 bits where device_stores says so, else ERR_UNSUPPORTED), all the same; sums are f32
 */
#ifndef COMPUTE_POOL_H
#define COMPUTE_POOL_H

#include "compute/device.h"

must_check int op_max_pool(struct device *dev, const struct tensor *y, const struct tensor *x);
must_check int op_max_pool_grad(struct device *dev, const struct tensor *dx, const struct tensor *dy,
                                const struct tensor *x);
must_check int op_upsample(struct device *dev, const struct tensor *y, const struct tensor *x);
must_check int op_upsample_grad(struct device *dev, const struct tensor *dx, const struct tensor *dy);

#endif

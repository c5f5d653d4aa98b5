/* SPDX-License-Identifier: MIT */
/* act.h -- element-wise passes.
 *
 *   op_relu   y = max(x, 0)   y may be x
 *   op_add    y += s * x
 *   op_copy   y = x
 *   op_filter y = s * x, and 0 where that is infinite or NaN; then rounded to the type of y, where it may overflow to infinity
 *
 * A GELU stands behind a product (matmul.h, sample.h), the gradient of a ReLU behind a convolution (conv.h).
 *
 * Shapes   all the same, any rank
 * Types    f32 or a 16-bit type; both the same but for op_copy and op_filter, which round to the type of y
 */
#ifndef COMPUTE_ACT_H
#define COMPUTE_ACT_H

#include "compute/device.h"

must_check int op_relu(struct device *dev, const struct tensor *y, const struct tensor *x);
must_check int op_add(struct device *dev, const struct tensor *y, const struct tensor *x, float s);
must_check int op_copy(struct device *dev, const struct tensor *y, const struct tensor *x);
must_check int op_filter(struct device *dev, const struct tensor *y, const struct tensor *x, float s);

#endif

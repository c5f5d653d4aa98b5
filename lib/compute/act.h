/* SPDX-License-Identifier: MIT */
/* act.h -- element-wise passes.
 *
 *   op_gelu       y = x * sigmoid(1.702 x)            (Hendrycks and Gimpel 2016, the quick form)
 *   op_gelu_grad  dx = dy * d/dx of it                dx may be dy
 *   op_relu       y = max(x, 0)                       y may be x
 *   op_relu_grad  dx = y > 0 ? dy : 0                 y is the forward output; dx may be dy
 *   op_add        y += s * x
 *   op_copy       y = x
 *
 * Shapes   all the same, any rank
 * Types    f32
 */
#ifndef COMPUTE_ACT_H
#define COMPUTE_ACT_H

#include "compute/device.h"

must_check int op_gelu(struct device *dev, const struct tensor *y, const struct tensor *x);
must_check int op_gelu_grad(struct device *dev, const struct tensor *dx, const struct tensor *dy, const struct tensor *x);
must_check int op_relu(struct device *dev, const struct tensor *y, const struct tensor *x);
must_check int op_relu_grad(struct device *dev, const struct tensor *dx, const struct tensor *dy, const struct tensor *y);
must_check int op_add(struct device *dev, const struct tensor *y, const struct tensor *x, float s);
must_check int op_copy(struct device *dev, const struct tensor *y, const struct tensor *x);

#endif

/* SPDX-License-Identifier: MIT */
/* conv.h -- convolution, stride 1, zero padding (K-1)/2, K odd, cross-correlation, activations NHWC.
 *
 *   op_conv:       y = act( gain * (conv(x, w) + bias) (+ y if add) )       act: ReLU if relu, else identity
 *   op_conv_dx:    dx = gain * conv^T(dy, w) (+ dx if add), then 0 where mask <= 0 (mask NULL: everywhere)
 *   op_conv_dw:    dw += gain * sum over positions of dy x;  db += gain * sum of dy
 *
 * mask is a post-ReLU activation: the gradient through a ReLU passes where its output is positive.
 *
 * Shapes   x, dx, mask: [N,H,W,I]   y, dy: [N,H,W,O]   w, dw: [O,I,K,K]   bias, db: [O]
 * Types    x, y, dx, dy, mask: f32, bf16 or f16, all the same (16 bits where device_stores says so); w, dw, bias, db: f32
 *          f32: where device_precision says bf16 and I and O are at least 16, the two factors are rounded as they are read
 *          bf16, f16: w and bias are rounded to that type as they are read.  Sums are f32 and rounded once; but behind cuDNN
 *          dw is rounded to their type before it is added, and y before the bias, which is f32 there, is added
 * Memory   nothing overlaps
 * Errors   ERR_ARG shape or type; ERR_UNSUPPORTED no 16-bit tensors on this device; ERR_DEVICE, ERR_NOMEM from the backend
 * Order    cpu: same bytes for the same number of threads; in f32 for any number where both I and O are multiples of 8 and K is 3
 *          (but for very wide layers) or 1 (narrow ones), which are kernels of our own
 *          cuda: same bytes on the same kind of device with the same libraries; with and without cuDNN they differ
 */
#ifndef COMPUTE_CONV_H
#define COMPUTE_CONV_H

#include <stdbool.h>

#include "compute/device.h"

struct conv {
    float gain;  /* 1 in a plain convolution; the residual gain folded into a block's last one */
    bool add;    /* add to what the output holds */
    bool relu;   /* op_conv only */
};

must_check int op_conv(struct device *dev, const struct tensor *y, const struct tensor *x, const struct tensor *w,
                       const struct tensor *bias, struct conv how);
must_check int op_conv_dx(struct device *dev, const struct tensor *dx, const struct tensor *dy, const struct tensor *w,
                          const struct tensor *mask, struct conv how);
must_check int op_conv_dw(struct device *dev, const struct tensor *dw, const struct tensor *db, const struct tensor *dy,
                          const struct tensor *x, struct conv how);

#endif

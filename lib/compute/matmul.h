/* SPDX-License-Identifier: MIT */
/* matmul.h -- products of matrices, the linear layer and its gradients.
 *
 *   y = A(a) B(b) + bias + plus, times slope of a GELU      A(a): a or its transpose, likewise B
 *   gelu(x) = x sigmoid(1.702 x)      (Hendrycks and Gimpel 2016, the quick form)
 *
 *   linear layer, weights [out,in]: forward   y = x w^T + bias     tb
 *                                   dx = dy w                      neither
 *                                   dw += dy^T x                   ta, plus y
 *                                   db += column sums of dy        row_sums of the same call
 *
 * What stands behind the product (struct matmul) is done to y on its way out.
 *
 * Shapes   y: [M,N]   a: [M,K] or, with ta, [K,M]   b: [K,N] or, with tb, [N,K]   bias: [N] or NULL
 * Types    a, b, y: f32 or one 16-bit type, each; plus, gelu_grad, gelu: that of y; bias, row_sums f32.  Where one of a, b
 *          and y is of 16 bits, both factors are rounded to its type as they are read, else to what device_precision says;
 *          sums are f32 and rounded once; row_sums are of what a holds, a GELU is that of y as it is stored
 *          (cuda: the bias is rounded to the type of y, a slope multiplies a rounded y)
 * Memory   nothing overlaps but what is said below
 */
#ifndef COMPUTE_MATMUL_H
#define COMPUTE_MATMUL_H

#include <stdbool.h>

#include "compute/device.h"

struct matmul {
    bool ta, tb;                    /* use the transpose */
    bool add;                       /* add to y instead of replacing it */
    const struct tensor *plus;      /* [M,N]: added, not with add; NULL: nothing */
    const struct tensor *gelu_grad; /* [M,N], x: y is multiplied by d/dx gelu(x); NULL: not.  Not with add or plus */
    const struct tensor *gelu;      /* [M,N], out: gelu(y); NULL: not */
    const struct tensor *row_sums;  /* [M], with ta: += sums of A's rows; NULL: not */
};

must_check int op_matmul(struct device *dev, const struct tensor *y, const struct tensor *a, const struct tensor *b,
                         const struct tensor *bias, struct matmul how);

#endif

/* SPDX-License-Identifier: MIT */
/* matmul.h -- products of matrices, the linear layer and its gradients.
 *
 *   y = A(a) B(b) + bias (+ y if add)      A(a): a or its transpose, likewise B
 *
 *   linear layer, weights [out,in]: forward   y = x w^T + bias     tb
 *                                   dx = dy w                      neither
 *                                   dw += dy^T x                   ta, add
 *                                   db += column sums of dy        op_sum_rows
 *
 * Shapes   y: [M,N]   a: [M,K] or, with ta, [K,M]   b: [K,N] or, with tb, [N,K]   bias: [N] or NULL
 * Types    f32
 * Memory   nothing overlaps
 */
#ifndef COMPUTE_MATMUL_H
#define COMPUTE_MATMUL_H

#include <stdbool.h>

#include "compute/device.h"

struct matmul {
    bool ta, tb; /* use the transpose */
    bool add;    /* add to y instead of replacing it */
};

must_check int op_matmul(struct device *dev, const struct tensor *y, const struct tensor *a, const struct tensor *b,
                         const struct tensor *bias, struct matmul how);

/* db[n] += sum over m of dy[m,n] */
must_check int op_sum_rows(struct device *dev, const struct tensor *db, const struct tensor *dy);

#endif

/* SPDX-License-Identifier: MIT */
/* check.h -- what every op_x() checks before it calls the table: type, shape, memory.
 *
 *   if ((rc = check_f32("conv: y", y, N, H, W, O)) != 0) return rc;
 *
 * Errors   ERR_ARG "conv: y is f32 [2,3], not f32 [2,4]"
 */
#ifndef COMPUTE_CHECK_H
#define COMPUTE_CHECK_H

#include "base/err.h"
#include "compute/tensor.h"

struct device;

must_check int check_shape(const char *what, const struct tensor *t, enum dtype type, int rank, const int64_t *shape);
/* Only type and rank; the sizes are at least 0 and their product fits. */
must_check int check_rank(const char *what, const struct tensor *t, enum dtype type, int rank);
/* A type of numbers that the device stores; ERR_UNSUPPORTED where it stores no such. */
must_check int check_stored(const char *what, const struct device *dev, enum dtype type);
/* Of such a type, whichever, and of that shape. */
must_check int check_numbers_shape(const char *what, const struct device *dev, const struct tensor *t, int rank,
                                   const int64_t *shape);

#define check_numbers(what, dev, t, ...) \
    check_numbers_shape(what, dev, t, TENSOR_COUNT(__VA_ARGS__), (const int64_t[]){__VA_ARGS__})
#define check_f32(what, t, ...) \
    check_shape(what, t, DTYPE_F32, TENSOR_COUNT(__VA_ARGS__), (const int64_t[]){__VA_ARGS__})
#define check_i32(what, t, ...) \
    check_shape(what, t, DTYPE_I32, TENSOR_COUNT(__VA_ARGS__), (const int64_t[]){__VA_ARGS__})
/* f32 and the shape of another tensor. */
#define check_like(what, t, other) check_shape(what, t, DTYPE_F32, (other)->rank, (other)->shape)

#endif

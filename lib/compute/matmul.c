/* SPDX-License-Identifier: MIT */
#include "compute/matmul.h"

#include "compute/backend.h"
#include "compute/check.h"

static int check_as_y(const char *what, const struct tensor *t, const struct tensor *y)
{
    return check_shape(what, t, y->type, 2, y->shape);
}

/* One 16-bit type at most. */
static int check_types(enum dtype y, enum dtype a, enum dtype b)
{
    enum dtype narrow = a != DTYPE_F32 ? a : b != DTYPE_F32 ? b : y;

    if ((y != narrow && y != DTYPE_F32) || (b != narrow && b != DTYPE_F32))
        return err_set(ERR_ARG, "matmul: bf16 and f16 in one product");
    return 0;
}

int op_matmul(struct device *dev, const struct tensor *y, const struct tensor *a, const struct tensor *b,
              const struct tensor *bias, struct matmul how)
{
    int64_t m, n, k;
    int rc;

    if ((rc = check_stored("matmul: y", dev, y->type)) != 0 || (rc = check_rank("matmul: y", y, y->type, 2)) != 0 ||
        (rc = check_rank("matmul: a", a, a->type, 2)) != 0)
        return rc;
    m = y->shape[0];
    n = y->shape[1];
    k = a->shape[how.ta ? 0 : 1];
    if ((rc = check_numbers("matmul: a", dev, a, how.ta ? k : m, how.ta ? m : k)) != 0 ||
        (rc = check_numbers("matmul: b", dev, b, how.tb ? n : k, how.tb ? k : n)) != 0 ||
        (bias && (rc = check_f32("matmul: bias", bias, n)) != 0) ||
        (how.plus && (rc = check_as_y("matmul: plus", how.plus, y)) != 0) ||
        (how.gelu_grad && (rc = check_as_y("matmul: gelu_grad", how.gelu_grad, y)) != 0) ||
        (how.gelu && (rc = check_as_y("matmul: gelu", how.gelu, y)) != 0) ||
        (how.row_sums && (rc = check_f32("matmul: row_sums", how.row_sums, m)) != 0) ||
        (rc = check_types(y->type, a->type, b->type)) != 0)
        return rc;
    if ((how.row_sums && !how.ta) || (how.add && how.plus) || (how.gelu_grad && (how.add || how.plus)))
        return err_set(ERR_ARG, "matmul: what stands behind the product does not go together");
    if (m == 0 || n == 0)
        return 0;
    if (k == 0)
        return err_set(ERR_ARG, "matmul: the inner size is 0");
    return dev->ops->matmul(dev->self, y, a, b, bias, how);
}

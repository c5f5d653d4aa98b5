/* SPDX-License-Identifier: MIT */
#include "compute/matmul.h"

#include "compute/backend.h"
#include "compute/check.h"

int op_matmul(struct device *dev, const struct tensor *y, const struct tensor *a, const struct tensor *b,
              const struct tensor *bias, struct matmul how)
{
    int64_t m, n, k;
    int rc;

    if ((rc = check_rank("matmul: y", y, DTYPE_F32, 2)) != 0 || (rc = check_rank("matmul: a", a, DTYPE_F32, 2)) != 0)
        return rc;
    m = y->shape[0];
    n = y->shape[1];
    k = a->shape[how.ta ? 0 : 1];
    if ((rc = check_f32("matmul: a", a, how.ta ? k : m, how.ta ? m : k)) != 0 ||
        (rc = check_f32("matmul: b", b, how.tb ? n : k, how.tb ? k : n)) != 0 ||
        (bias && (rc = check_f32("matmul: bias", bias, n)) != 0) ||
        (how.plus && (rc = check_f32("matmul: plus", how.plus, m, n)) != 0) ||
        (how.gelu_grad && (rc = check_f32("matmul: gelu_grad", how.gelu_grad, m, n)) != 0) ||
        (how.gelu && (rc = check_f32("matmul: gelu", how.gelu, m, n)) != 0) ||
        (how.row_sums && (rc = check_f32("matmul: row_sums", how.row_sums, m)) != 0))
        return rc;
    if ((how.row_sums && !how.ta) || (how.add && how.plus) || (how.gelu_grad && (how.add || how.plus)))
        return err_set(ERR_ARG, "matmul: what stands behind the product does not go together");
    if (m == 0 || n == 0)
        return 0;
    if (k == 0)
        return err_set(ERR_ARG, "matmul: the inner size is 0");
    return dev->ops->matmul(dev->self, y, a, b, bias, how);
}

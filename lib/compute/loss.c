/* SPDX-License-Identifier: MIT */
#include "compute/loss.h"

#include "compute/backend.h"
#include "compute/check.h"

int op_cross_entropy(struct device *dev, const struct tensor *loss, const struct tensor *x, const struct tensor *target,
                     float scale)
{
    int rc;

    if ((rc = check_stored("cross entropy: x", dev, x->type)) != 0 ||
        (rc = check_rank("cross entropy: x", x, x->type, 2)) != 0 ||
        (rc = check_f32("cross entropy: loss", loss, x->shape[0])) != 0 ||
        (rc = check_i32("cross entropy: target", target, x->shape[0])) != 0)
        return rc;
    return dev->ops->cross_entropy(dev->self, loss, x, target, scale);
}

int op_laplace(struct device *dev, const struct tensor *nll, const struct tensor *y, const struct tensor *x, float scale)
{
    int rc;

    if ((rc = check_rank("laplace: x", x, DTYPE_F32, 2)) != 0 ||
        (rc = check_numbers("laplace: y", dev, y, x->shape[0], 2 * x->shape[1])) != 0 ||
        (rc = check_f32("laplace: nll", nll, x->shape[0])) != 0)
        return rc;
    return dev->ops->laplace(dev->self, nll, y, x, scale);
}

/* SPDX-License-Identifier: MIT */
#include "compute/pool.h"

#include "compute/backend.h"
#include "compute/check.h"

/* large is [N,2H,2W,C] where small is [N,H,W,C], of the same type */
static int check(const struct device *dev, const char *op, const struct tensor *large, const struct tensor *small)
{
    int rc;

    if ((rc = check_stored(op, dev, small->type)) != 0 || (rc = check_rank(op, small, small->type, 4)) != 0)
        return rc;
    const int64_t shape[] = {small->shape[0], 2 * small->shape[1], 2 * small->shape[2], small->shape[3]};

    return check_shape(op, large, small->type, 4, shape);
}

int op_max_pool(struct device *dev, const struct tensor *y, const struct tensor *x)
{
    int rc = check(dev, "max_pool: y or x", x, y);

    if (rc != 0 || tensor_elements(y) == 0)
        return rc;
    return dev->ops->max_pool(dev->self, y, x);
}

int op_max_pool_grad(struct device *dev, const struct tensor *dx, const struct tensor *dy, const struct tensor *x)
{
    int rc;

    if ((rc = check(dev, "max_pool_grad: dx or dy", dx, dy)) != 0 ||
        (rc = check_shape("max_pool_grad: x", x, dx->type, 4, dx->shape)) != 0 || tensor_elements(dy) == 0)
        return rc;
    return dev->ops->max_pool_grad(dev->self, dx, dy, x);
}

int op_upsample(struct device *dev, const struct tensor *y, const struct tensor *x)
{
    int rc = check(dev, "upsample: y or x", y, x);

    if (rc != 0 || tensor_elements(x) == 0)
        return rc;
    return dev->ops->upsample(dev->self, y, x);
}

int op_upsample_grad(struct device *dev, const struct tensor *dx, const struct tensor *dy)
{
    int rc = check(dev, "upsample_grad: dx or dy", dy, dx);

    if (rc != 0 || tensor_elements(dx) == 0)
        return rc;
    return dev->ops->upsample_grad(dev->self, dx, dy);
}

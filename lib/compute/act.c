/* SPDX-License-Identifier: MIT */
#include "compute/act.h"

#include "compute/backend.h"
#include "compute/check.h"

int op_gelu(struct device *dev, const struct tensor *y, const struct tensor *x)
{
    int rc = check_like("gelu: y", y, x);

    return rc != 0 ? rc : dev->ops->gelu(dev->self, y, x);
}

int op_gelu_grad(struct device *dev, const struct tensor *dx, const struct tensor *dy, const struct tensor *x)
{
    int rc = check_like("gelu: dx", dx, x);

    if (rc == 0)
        rc = check_like("gelu: dy", dy, x);
    return rc != 0 ? rc : dev->ops->gelu_grad(dev->self, dx, dy, x);
}

int op_relu(struct device *dev, const struct tensor *y, const struct tensor *x)
{
    int rc = check_like("relu: y", y, x);

    return rc != 0 ? rc : dev->ops->relu(dev->self, y, x);
}

int op_relu_grad(struct device *dev, const struct tensor *dx, const struct tensor *dy, const struct tensor *y)
{
    int rc = check_like("relu: dx", dx, y);

    if (rc == 0)
        rc = check_like("relu: dy", dy, y);
    return rc != 0 ? rc : dev->ops->relu_grad(dev->self, dx, dy, y);
}

int op_add(struct device *dev, const struct tensor *y, const struct tensor *x, float s)
{
    int rc = check_like("add: y", y, x);

    return rc != 0 ? rc : dev->ops->add(dev->self, y, x, s);
}

int op_copy(struct device *dev, const struct tensor *y, const struct tensor *x)
{
    int rc = check_like("copy: y", y, x);

    return rc != 0 ? rc : dev->ops->copy(dev->self, y, x);
}

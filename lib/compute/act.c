/* SPDX-License-Identifier: MIT */
#include "compute/act.h"

#include "compute/backend.h"
#include "compute/check.h"

/* Both f32, of one shape. */
static int check(const char *what, const struct tensor *t, const struct tensor *other)
{
    int rc = check_like(what, other, other);

    return rc != 0 ? rc : check_like(what, t, other);
}

int op_relu(struct device *dev, const struct tensor *y, const struct tensor *x)
{
    int rc = check("relu", y, x);

    return rc != 0 ? rc : dev->ops->relu(dev->self, y, x);
}

int op_add(struct device *dev, const struct tensor *y, const struct tensor *x, float s)
{
    int rc = check("add", y, x);

    return rc != 0 ? rc : dev->ops->add(dev->self, y, x, s);
}

int op_copy(struct device *dev, const struct tensor *y, const struct tensor *x)
{
    int rc = check("copy", y, x);

    return rc != 0 ? rc : dev->ops->copy(dev->self, y, x);
}

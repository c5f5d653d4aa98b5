/* SPDX-License-Identifier: MIT */
#include "compute/act.h"

#include <stdbool.h>

#include "compute/backend.h"
#include "compute/check.h"

/* Numbers of one shape and, unless they may differ, of one type. */
static int check(const char *what, const struct device *dev, const struct tensor *t, const struct tensor *other, bool convert)
{
    int rc = check_numbers_shape(what, dev, other, other->rank, other->shape);

    if (rc == 0 && convert)
        rc = check_stored(what, dev, t->type);
    return rc != 0 ? rc : check_shape(what, t, convert ? t->type : other->type, other->rank, other->shape);
}

int op_relu(struct device *dev, const struct tensor *y, const struct tensor *x)
{
    int rc = check("relu", dev, y, x, false);

    return rc != 0 ? rc : dev->ops->relu(dev->self, y, x);
}

int op_add(struct device *dev, const struct tensor *y, const struct tensor *x, float s)
{
    int rc = check("add", dev, y, x, false);

    return rc != 0 ? rc : dev->ops->add(dev->self, y, x, s);
}

int op_filter(struct device *dev, const struct tensor *y, const struct tensor *x, float s)
{
    int rc = check("filter", dev, y, x, true);

    return rc != 0 ? rc : dev->ops->filter(dev->self, y, x, s);
}

int op_copy(struct device *dev, const struct tensor *y, const struct tensor *x)
{
    int rc = check("copy", dev, y, x, true);

    return rc != 0 ? rc : dev->ops->copy(dev->self, y, x);
}

/* SPDX-License-Identifier: MIT */
#include "compute/conv.h"

#include <stdio.h>

#include "compute/backend.h"
#include "compute/check.h"

/* x and y of one type at the two ends of w, bias per channel of y. */
static int check(const struct device *dev, const char *op, const struct tensor *y, const struct tensor *x,
                 const struct tensor *w, const struct tensor *bias)
{
    char what[32];
    int rc;

    snprintf(what, sizeof what, "%s: w", op);
    if ((rc = check_rank(what, w, DTYPE_F32, 4)) != 0)
        return rc;
    if (w->shape[2] != w->shape[3] || w->shape[2] % 2 == 0 || w->shape[0] < 1 || w->shape[1] < 1)
        return err_set(ERR_ARG, "%s is not [O,I,K,K] with odd K", what);
    snprintf(what, sizeof what, "%s: x", op);
    if ((rc = check_stored(what, dev, x->type)) != 0 || (rc = check_rank(what, x, x->type, 4)) != 0)
        return rc;
    const int64_t from[] = {x->shape[0], x->shape[1], x->shape[2], w->shape[1]};
    const int64_t to[] = {x->shape[0], x->shape[1], x->shape[2], w->shape[0]};

    if ((rc = check_shape(what, x, x->type, 4, from)) != 0)
        return rc;
    snprintf(what, sizeof what, "%s: y", op);
    if ((rc = check_shape(what, y, x->type, 4, to)) != 0)
        return rc;
    snprintf(what, sizeof what, "%s: bias", op);
    return bias ? check_f32(what, bias, w->shape[0]) : 0;
}

int op_conv(struct device *dev, const struct tensor *y, const struct tensor *x, const struct tensor *w,
            const struct tensor *bias, struct conv how)
{
    int rc = check(dev, "conv", y, x, w, bias);

    if (rc != 0 || tensor_elements(y) == 0)
        return rc;
    return dev->ops->conv(dev->self, y, x, w, bias, how);
}

int op_conv_dx(struct device *dev, const struct tensor *dx, const struct tensor *dy, const struct tensor *w,
               const struct tensor *mask, struct conv how)
{
    int rc = check(dev, "conv_dx", dy, dx, w, NULL);

    if (rc == 0 && mask)
        rc = check_shape("conv_dx: mask", mask, dx->type, 4, dx->shape);
    if (rc != 0 || tensor_elements(dx) == 0)
        return rc;
    return dev->ops->conv_dx(dev->self, dx, dy, w, mask, how);
}

int op_conv_dw(struct device *dev, const struct tensor *dw, const struct tensor *db, const struct tensor *dy,
               const struct tensor *x, struct conv how)
{
    int rc = check(dev, "conv_dw", dy, x, dw, db);

    if (rc != 0 || tensor_elements(dy) == 0)
        return rc;
    return dev->ops->conv_dw(dev->self, dw, db, dy, x, how);
}

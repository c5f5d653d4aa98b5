/* SPDX-License-Identifier: MIT */
#include "compute/norm.h"

#include "compute/backend.h"
#include "compute/check.h"

static int check_common(const struct device *dev, const struct tensor *x, const struct tensor *mean, const struct tensor *rstd,
                        const struct tensor *g)
{
    int rc;

    if ((rc = check_stored("norm: x", dev, x->type)) != 0 || (rc = check_rank("norm: x", x, x->type, 2)) != 0 ||
        (rc = check_f32("norm: mean", mean, x->shape[0])) != 0 ||
        (rc = check_f32("norm: rstd", rstd, x->shape[0])) != 0 || (rc = check_f32("norm: g", g, x->shape[1])) != 0)
        return rc;
    if (x->shape[1] < 1)
        return err_set(ERR_ARG, "norm: rows are empty");
    return 0;
}

int op_norm(struct device *dev, const struct tensor *y, const struct tensor *mean, const struct tensor *rstd,
            const struct tensor *x, const struct tensor *g, const struct tensor *b, float eps)
{
    int rc;

    if ((rc = check_common(dev, x, mean, rstd, g)) != 0 || (rc = check_numbers_shape("norm: y", dev, y, 2, x->shape)) != 0 ||
        (rc = check_like("norm: b", b, g)) != 0)
        return rc;
    if (!(eps > 0.0f))
        return err_set(ERR_ARG, "norm: eps %g is not positive", (double)eps);
    return dev->ops->norm(dev->self, y, mean, rstd, x, g, b, eps);
}

int op_norm_grad(struct device *dev, const struct tensor *dx, const struct tensor *dg, const struct tensor *db,
                 const struct tensor *dy, const struct tensor *x, const struct tensor *mean, const struct tensor *rstd,
                 const struct tensor *g, float scale, bool filter)
{
    int rc;

    if ((rc = check_common(dev, x, mean, rstd, g)) != 0 || (rc = check_shape("norm: dx", dx, x->type, 2, x->shape)) != 0 ||
        (rc = check_numbers_shape("norm: dy", dev, dy, 2, x->shape)) != 0 || (rc = check_like("norm: dg", dg, g)) != 0 ||
        (rc = check_like("norm: db", db, g)) != 0)
        return rc;
    return dev->ops->norm_grad(dev->self, dx, dg, db, dy, x, mean, rstd, g, scale, filter);
}

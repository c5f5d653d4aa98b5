/* SPDX-License-Identifier: MIT */
#include "compute/gumbel.h"

#include "compute/backend.h"
#include "compute/check.h"

static int check_x(const char *what, const struct device *dev, const struct tensor *x)
{
    int rc = check_stored(what, dev, x->type);

    return rc != 0 ? rc : check_rank(what, x, x->type, 2);
}

int op_gumbel(struct device *dev, const struct tensor *y, const struct tensor *kl, const struct tensor *x,
              const struct gumbel *how)
{
    int rc;

    if ((rc = check_x("gumbel: x", dev, x)) != 0 || (rc = check_numbers_shape("gumbel: y", dev, y, 2, x->shape)) != 0 ||
        (rc = check_f32("gumbel: kl", kl, x->shape[0])) != 0)
        return rc;
    if (!(how->tau > 0))
        return err_set(ERR_ARG, "gumbel: the temperature is %g", how->tau);
    return tensor_elements(x) ? dev->ops->gumbel(dev->self, y, kl, x, how) : 0;
}

int op_gumbel_grad(struct device *dev, const struct tensor *dx, const struct tensor *dy, const struct tensor *y,
                   const struct tensor *x, float tau, float kl_scale)
{
    int rc;

    if ((rc = check_x("gumbel_grad: x", dev, x)) != 0 ||
        (rc = check_numbers_shape("gumbel_grad: y", dev, y, 2, x->shape)) != 0 ||
        (rc = check_numbers_shape("gumbel_grad: dy", dev, dy, 2, x->shape)) != 0 ||
        (rc = check_shape("gumbel_grad: dx", dx, dy->type, 2, x->shape)) != 0)
        return rc;
    if (!(tau > 0))
        return err_set(ERR_ARG, "gumbel_grad: the temperature is %g", tau);
    return tensor_elements(x) ? dev->ops->gumbel_grad(dev->self, dx, dy, y, x, tau, kl_scale) : 0;
}

int op_gumbel_max(struct device *dev, const struct tensor *code, const struct tensor *x, const struct gumbel *how)
{
    int rc;

    if ((rc = check_x("gumbel_max: x", dev, x)) != 0 ||
        (rc = check_i32("gumbel_max: code", code, x->shape[0])) != 0)
        return rc;
    if (x->shape[1] < 1 || x->shape[1] > INT32_MAX)
        return err_set(ERR_ARG, "gumbel_max: a row has no code");
    return x->shape[0] ? dev->ops->gumbel_max(dev->self, code, x, how) : 0;
}

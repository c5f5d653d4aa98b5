/* SPDX-License-Identifier: MIT */
#include "compute/adam.h"

#include "compute/backend.h"
#include "compute/check.h"

int op_adam(struct device *dev, const struct tensor *p, const struct tensor *m, const struct tensor *v,
            const struct tensor *g, const struct adam *how)
{
    int rc;

    if ((rc = check_like("adam: p", p, p)) != 0 || (rc = check_like("adam: m", m, p)) != 0 ||
        (rc = check_like("adam: v", v, p)) != 0 || (rc = check_like("adam: g", g, p)) != 0)
        return rc;
    if (how->t < 1)
        return err_set(ERR_ARG, "adam: updates count from 1");
    return dev->ops->adam(dev->self, p, m, v, g, how);
}

int op_sum_squares(struct device *dev, double *sum, const struct tensor *x, int64_t count)
{
    int rc = 0;

    for (int64_t i = 0; rc == 0 && i < count; i++)
        rc = check_like("sum of squares: x", &x[i], &x[i]);
    return rc != 0 ? rc : dev->ops->sum_squares(dev->self, sum, x, count);
}

int op_average(struct device *dev, const struct tensor *average, const struct tensor *p, float decay)
{
    int rc = check_like("average: p", p, p);

    if (rc == 0)
        rc = check_like("average", average, p);
    return rc != 0 ? rc : dev->ops->average(dev->self, average, p, decay);
}

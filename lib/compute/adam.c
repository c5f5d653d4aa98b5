/* SPDX-License-Identifier: MIT */
#include "compute/adam.h"

#include "compute/backend.h"
#include "compute/check.h"

int op_adam(struct device *dev, const struct tensor *p, const struct tensor *m, const struct tensor *v,
            const struct tensor *g, const struct adam *how)
{
    bool codes = m->type == DTYPE_E6M9;
    int rc;

    if ((rc = check_stored("adam: p", dev, p->type)) != 0 || (rc = check_rank("adam: p", p, p->type, p->rank)) != 0 ||
        (rc = check_shape("adam: m", m, codes ? DTYPE_E6M9 : DTYPE_F32, p->rank, p->shape)) != 0 ||
        (rc = check_shape("adam: v", v, codes ? DTYPE_E6M10 : DTYPE_F32, p->rank, p->shape)) != 0 ||
        (rc = check_numbers_shape("adam: g", dev, g, p->rank, p->shape)) != 0 ||
        (how->master && (rc = check_like("adam: master", how->master, p)) != 0))
        return rc;
    if (how->t < 1)
        return err_set(ERR_ARG, "adam: updates count from 1");
    if (how->master && p->type == DTYPE_F32)
        return err_set(ERR_ARG, "adam: weights in f32 need no master copy");
    return dev->ops->adam(dev->self, p, m, v, g, how);
}

int op_sum_squares(struct device *dev, struct squares *sums, const struct tensor *x, int64_t count)
{
    int rc = 0;

    for (int64_t i = 0; rc == 0 && i < count; i++)
        rc = check_numbers_shape("sum of squares: x", dev, &x[i], x[i].rank, x[i].shape);
    return rc != 0 ? rc : dev->ops->sum_squares(dev->self, sums, x, count);
}

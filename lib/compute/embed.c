/* SPDX-License-Identifier: MIT */
#include "compute/embed.h"

#include "compute/backend.h"
#include "compute/check.h"

static int check(const struct device *dev, const struct tensor *y, const struct tensor *table, const struct tensor *index)
{
    int rc;

    if ((rc = check_rank("embed: table", table, DTYPE_F32, 2)) != 0 ||
        (rc = check_rank("embed: index", index, DTYPE_I32, 1)) != 0)
        return rc;
    return check_numbers("embed: y", dev, y, index->shape[0], table->shape[1]);
}

int op_embed(struct device *dev, const struct tensor *y, const struct tensor *table, const struct tensor *index, bool add)
{
    int rc = check(dev, y, table, index);

    return rc != 0 ? rc : dev->ops->embed(dev->self, y, table, index, add);
}

int op_embed_grad(struct device *dev, const struct tensor *dtable, const struct tensor *dy, const struct tensor *index)
{
    int rc = check(dev, dy, dtable, index);

    return rc != 0 ? rc : dev->ops->embed_grad(dev->self, dtable, dy, index);
}

/* SPDX-License-Identifier: MIT */
#include "compute/check.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "compute/backend.h"

static const char *const type_name[] = {"f32", "bf16", "f16", "i32", "1-6-9", "0-6-10"};

static void describe(char *text, size_t size, enum dtype type, int rank, const int64_t *shape)
{
    int at = snprintf(text, size, "%s [", type_name[type]);

    for (int i = 0; i < rank && i < TENSOR_RANK_MAX; i++)
        at += snprintf(text + at, size - (size_t)at, "%s%" PRId64, i ? "," : "", shape[i]);
    snprintf(text + at, size - (size_t)at, "]");
}

int check_rank(const char *what, const struct tensor *t, enum dtype type, int rank)
{
    int64_t limit = INT64_MAX / 8;
    bool empty = false;

    if (t->type != type || t->rank != rank)
        return err_set(ERR_ARG, "%s is %s of rank %d, not %s of rank %d", what, type_name[t->type], t->rank,
                       type_name[type], rank);
    for (int i = 0; i < rank; i++) {
        if (t->shape[i] < 0)
            return err_set(ERR_ARG, "%s has the size %" PRId64, what, t->shape[i]);
        if (t->shape[i] > 0 && (limit /= t->shape[i]) == 0)
            return err_set(ERR_ARG, "%s is too large", what);
        empty = empty || t->shape[i] == 0;
    }
    if (!t->data && !empty)
        return err_set(ERR_ARG, "%s has no memory", what);
    return 0;
}

int check_shape(const char *what, const struct tensor *t, enum dtype type, int rank, const int64_t *shape)
{
    char is[160], wanted[160];
    bool same = t->type == type && t->rank == rank;

    for (int i = 0; same && i < rank; i++)
        same = t->shape[i] == shape[i];
    if (same)
        return check_rank(what, t, type, rank);
    describe(is, sizeof is, t->type, t->rank, t->shape);
    describe(wanted, sizeof wanted, type, rank, shape);
    return err_set(ERR_ARG, "%s is %s, not %s", what, is, wanted);
}

int check_stored(const char *what, const struct device *dev, enum dtype type)
{
    if (type != DTYPE_F32 && type != DTYPE_BF16 && type != DTYPE_F16)
        return err_set(ERR_ARG, "%s is %s, not numbers with a point", what, type_name[type]);
    if (!device_stores(dev, type))
        return err_set(ERR_UNSUPPORTED, "%s is %s, which %s does not store", what, type_name[type], dev->ops->name);
    return 0;
}

int check_numbers_shape(const char *what, const struct device *dev, const struct tensor *t, int rank, const int64_t *shape)
{
    int rc = check_stored(what, dev, t->type);

    return rc != 0 ? rc : check_shape(what, t, t->type, rank, shape);
}

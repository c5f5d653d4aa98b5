/* SPDX-License-Identifier: MIT */
#include "compute/attn.h"

#include <inttypes.h>

#include "compute/backend.h"
#include "compute/check.h"

bool attn_allows(const struct attn *a, int64_t query, int64_t key)
{
    int64_t o = query - key, radius = (a->k - 1) / 2;

    if (o < 0)
        return false;
    if (key < a->text)
        return true;
    switch (a->kind) {
    case ATTN_DENSE:
        return true;
    case ATTN_ROW:
        return o <= a->w;
    case ATTN_COLUMN:
        return o % a->w == 0;
    case ATTN_CONV:
        for (int64_t r = 0; r <= radius; r++)
            for (int64_t c = -radius; c <= radius; c++)
                if (o == r * a->w + ((c % a->w) + a->w) % a->w)
                    return true;
        return false;
    }
    return false;
}

static int check(const struct device *dev, const struct tensor *qkv, const struct tensor *out, const struct tensor *lse,
                 const struct attn *a)
{
    int64_t n, t, c;
    int rc;

    if (a->text < 0 || a->h < 0 || a->w < 0 || a->heads < 1 || a->kind < ATTN_DENSE || a->kind > ATTN_CONV ||
        (a->kind == ATTN_CONV && (a->k < 1 || a->k > ATTN_KERNEL_MAX || a->k % 2 == 0)))
        return err_set(ERR_ARG, "attention: impossible mask");
    t = a->text + a->h * a->w;
    if ((rc = check_stored("attention: out", dev, out->type)) != 0 ||
        (rc = check_rank("attention: out", out, out->type, 3)) != 0)
        return rc;
    n = out->shape[0];
    c = out->shape[2];
    if (c < 8 || c % a->heads != 0 || c / a->heads % 8 != 0 || c / a->heads > ATTN_WIDTH_MAX)
        return err_set(ERR_ARG, "attention: %" PRId64 " channels do not make %" PRId64 " heads of a multiple of 8, at most %d",
                       c, a->heads, ATTN_WIDTH_MAX);
    if (t < 1)
        return err_set(ERR_ARG, "attention: no positions");
    const int64_t outs[] = {n, t, c}, qkvs[] = {n, t, 3 * c};

    if ((rc = check_shape("attention: out", out, out->type, 3, outs)) != 0 ||
        (rc = check_shape("attention: qkv", qkv, out->type, 3, qkvs)) != 0)
        return rc;
    return check_f32("attention: lse", lse, n, a->heads, t);
}

int op_attn(struct device *dev, const struct tensor *out, const struct tensor *lse, const struct tensor *qkv,
            const struct attn *a)
{
    int rc = check(dev, qkv, out, lse, a);

    return rc != 0 ? rc : dev->ops->attn(dev->self, out, lse, qkv, a);
}

int op_attn_grad(struct device *dev, const struct tensor *dqkv, const struct tensor *dout, const struct tensor *out,
                 const struct tensor *lse, const struct tensor *qkv, const struct attn *a)
{
    int rc = check(dev, qkv, out, lse, a);

    if (rc != 0 || (rc = check_shape("attention: dqkv", dqkv, out->type, 3, qkv->shape)) != 0 ||
        (rc = check_shape("attention: dout", dout, out->type, 3, out->shape)) != 0)
        return rc;
    return dev->ops->attn_grad(dev->self, dqkv, dout, out, lse, qkv, a);
}

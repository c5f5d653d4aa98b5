/* SPDX-License-Identifier: MIT */
/* dvae_pass.c -- the two halves, forward and backward.
 *
 * Easy to get wrong:
 *   - id_path sees the raw stream, conv_1 its ReLU; nothing follows conv_4, and its bias is scaled by the gain too
 *   - the stream is overwritten where there is no id_path: what the backward pass reads is relu(x) alone, whose sign is also
 *     the mask; the mask of the residual path must not touch the gradient that goes straight through
 *   - doubling commutes with 1x1 convolutions and ReLU, so the block behind it runs conv_1 and id_path on the small grid
 */
#include "model/dvae_in.h"

#include "compute/act.h"
#include "compute/conv.h"
#include "compute/pool.h"

struct tensor dvae_view(const struct dvae *d, enum dvae_slot slot, const struct tensor *like)
{
    struct tensor t = *like;

    t.data = d->slot[slot];
    return t;
}

static int conv(struct dvae *d, const struct tensor *y, const struct tensor *x, const struct dvae_conv *c, struct conv how)
{
    return op_conv(d->device, y, x, &c->w->value, &c->b->value, how);
}

/* Gradients of a convolution's parameters, and of its input where dx is not NULL. */
static int conv_grad(struct dvae *d, const struct tensor *dx, const struct tensor *dy, const struct tensor *x,
                     const struct dvae_conv *c, const struct tensor *mask, float gain)
{
    struct conv how = {.gain = gain};
    int rc = op_conv_dw(d->device, &c->w->grad, &c->b->grad, dy, x, how);

    return rc == 0 && dx ? op_conv_dx(d->device, dx, dy, &c->w->value, mask, how) : rc;
}

static const struct conv plain = {.gain = 1}, with_relu = {.gain = 1, .relu = true};

static int block_forward(struct dvae *d, const struct dvae_block *b)
{
    struct conv last = {.gain = d->gain, .add = true};
    int rc;

    if ((rc = op_relu(d->device, &b->h0, &b->x)) != 0)
        return rc;
    if (b->up) {
        if ((rc = conv(d, &b->low_mid, &b->h0, &b->conv[0], with_relu)) != 0 ||
            (rc = op_upsample(d->device, &b->h[0], &b->low_mid)) != 0 ||
            (rc = conv(d, &b->low_out, &b->x, &b->id, plain)) != 0 ||
            (rc = op_upsample(d->device, &b->y, &b->low_out)) != 0)
            return rc;
    } else {
        if ((rc = conv(d, &b->h[0], &b->h0, &b->conv[0], with_relu)) != 0 ||
            (b->id.w && (rc = conv(d, &b->y, &b->x, &b->id, plain)) != 0))
            return rc;
    }
    if ((rc = conv(d, &b->h[1], &b->h[0], &b->conv[1], with_relu)) != 0 ||
        (rc = conv(d, &b->h[2], &b->h[1], &b->conv[2], with_relu)) != 0)
        return rc;
    return conv(d, &b->y, &b->h[2], &b->conv[3], last);
}

/* A copy in the other's type, where it is not the same place. */
static int copied(struct dvae *d, const struct tensor *to, const struct tensor *from)
{
    return to->data == from->data ? 0 : op_copy(d->device, to, from);
}

int dvae_forward(struct dvae *d, struct dvae_half *h, bool from_first)
{
    int rc = 0;

    if (!from_first && (rc = conv(d, &h->wide_first, &h->in, &h->input, plain)) == 0)
        rc = copied(d, &h->first, &h->wide_first);
    for (int i = 0; rc == 0 && i < h->count; i++) {
        if (h->block[i].pool)
            rc = op_max_pool(d->device, &h->block[i].x, &h->block[i].full);
        if (rc == 0)
            rc = block_forward(d, &h->block[i]);
    }
    if (rc != 0 || (rc = op_relu(d->device, &h->top, &h->top)) != 0 || (rc = copied(d, &h->wide_top, &h->top)) != 0)
        return rc;
    return conv(d, &h->out, &h->wide_top, &h->output, plain);
}

static enum dvae_slot other(enum dvae_slot slot)
{
    return slot == SLOT_GRAD_A ? SLOT_GRAD_B : SLOT_GRAD_A;
}

/* The gradient of the stream stands in *at, before and after. */
static int block_backward(struct dvae *d, const struct dvae_block *b, enum dvae_slot *at)
{
    struct tensor dy = dvae_view(d, *at, &b->y), res = dvae_view(d, SLOT_GRAD_RES, &b->h0), dx = dy;
    struct tensor d1 = dvae_view(d, SLOT_GRAD_H1, &b->h[0]), d2 = dvae_view(d, SLOT_GRAD_H2, &b->h[0]);
    struct tensor low_mid = dvae_view(d, SLOT_LOW, &b->low_mid), low_out = dvae_view(d, SLOT_LOW, &b->low_out);
    int rc;

    if ((rc = conv_grad(d, &d1, &dy, &b->h[2], &b->conv[3], &b->h[2], d->gain)) != 0 ||
        (rc = conv_grad(d, &d2, &d1, &b->h[1], &b->conv[2], &b->h[1], 1)) != 0 ||
        (rc = conv_grad(d, &d1, &d2, &b->h[0], &b->conv[1], &b->h[0], 1)) != 0)
        return rc;
    if (b->up && (rc = op_upsample_grad(d->device, &low_mid, &d1)) != 0)
        return rc;
    if ((rc = conv_grad(d, &res, b->up ? &low_mid : &d1, &b->h0, &b->conv[0], &b->h0, 1)) != 0)
        return rc;
    if (b->id.w) {
        if (b->up && (rc = op_upsample_grad(d->device, &low_out, &dy)) != 0)
            return rc;
        *at = other(*at);
        dx = dvae_view(d, *at, &b->x);
        if ((rc = conv_grad(d, &dx, b->up ? &low_out : &dy, &b->x, &b->id, NULL, 1)) != 0)
            return rc;
    }
    return op_add(d->device, &dx, &res, 1);
}

int dvae_backward(struct dvae *d, struct dvae_half *h, const struct tensor *dout, const struct tensor *din)
{
    bool narrow_top = h->wide_top.data != h->top.data, narrow_first = h->wide_first.data != h->first.data;
    enum dvae_slot at = SLOT_GRAD_A;
    struct tensor dx = dvae_view(d, at, &h->top), full, wide = dvae_view(d, narrow_top ? other(at) : at, &h->wide_top);
    int rc = conv_grad(d, &wide, dout, &h->wide_top, &h->output, &h->wide_top, 1);

    if (rc == 0)
        rc = copied(d, &dx, &wide);
    for (int i = h->count - 1; rc == 0 && i >= 0; i--) {
        const struct dvae_block *b = &h->block[i];

        rc = block_backward(d, b, &at);
        if (rc == 0 && b->pool) {
            dx = dvae_view(d, at, &b->x);
            at = other(at);
            full = dvae_view(d, at, &b->full);
            rc = op_max_pool_grad(d->device, &full, &dx, &b->full);
        }
    }
    dx = dvae_view(d, at, &h->first);
    wide = dvae_view(d, narrow_first ? other(at) : at, &h->wide_first);
    if (rc != 0 || (rc = copied(d, &wide, &dx)) != 0)
        return rc;
    return conv_grad(d, din, &wide, &h->in, &h->input, NULL, 1);
}

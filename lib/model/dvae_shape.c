/* SPDX-License-Identifier: MIT */
/* dvae_shape.c -- which convolutions there are, what they are called, and where every tensor lies. */
#include "model/dvae_in.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- parameters -------------------------------------------------------------------------------------------------- */

/* group 0 is the input convolution, DVAE_GROUPS + 1 the output one; in a block, conv 0 is id_path.  All count from 1. */
void dvae_name(char name[DVAE_NAME], int half, int group, int block, int conv, const char *kind)
{
    const char *part = half == 0 ? "encoder" : "decoder";

    if (group == 0)
        snprintf(name, DVAE_NAME, "%s.blocks.input.%s", part, kind);
    else if (group > DVAE_GROUPS)
        snprintf(name, DVAE_NAME, "%s.blocks.output.conv.%s", part, kind);
    else if (conv == 0)
        snprintf(name, DVAE_NAME, "%s.blocks.group_%d.block_%d.id_path.%s", part, group, block, kind);
    else
        snprintf(name, DVAE_NAME, "%s.blocks.group_%d.block_%d.res_path.conv_%d.%s", part, group, block, conv, kind);
}

static struct param *add_param(struct dvae *d, int block, const struct tensor *shape, bool decay)
{
    struct param *p = &d->params.item[d->params.count];

    *p = (struct param){.name = d->name[d->params.count], .value = *shape, .grad = *shape, .decay = decay, .block = block};
    d->params.count++;
    return p;
}

static void add_conv(struct dvae *d, struct dvae_conv *c, int half, int group, int block, int conv, int64_t out, int64_t in,
                     int64_t k)
{
    struct tensor w = tensor_f32(NULL, out, in, k, k), b = tensor_f32(NULL, out);
    bool inside = group >= 1 && group <= DVAE_GROUPS;
    int number = !inside ? -1 : (int)((half * DVAE_GROUPS + group - 1) * d->config.blocks) + block - 1;

    dvae_name(d->name[d->params.count], half, group, block, conv, "w");
    c->w = add_param(d, number, &w, true);
    dvae_name(d->name[d->params.count], half, group, block, conv, "b");
    c->b = add_param(d, number, &b, false);
    d->sizes.convs[half]++;
    *(half == 0 ? &d->sizes.encoder_values : &d->sizes.decoder_values) += tensor_elements(&w) + out;
}

static void add_block(struct dvae *d, int half, int group, int block, int64_t in, int64_t out)
{
    struct dvae_half *h = half == 0 ? &d->encoder : &d->decoder;
    struct dvae_block *b = &h->block[h->count++];
    int64_t downs = d->config.downs;

    *b = (struct dvae_block){.in = in, .mid = out / 4, .out = out};
    b->pool = half == 0 && block == 1 && group >= 2 && group - 1 <= downs;
    b->up = half == 1 && block == 1 && group >= 2 && group - 1 >= DVAE_GROUPS - downs;
    for (int i = 0; i < 4; i++)
        add_conv(d, &b->conv[i], half, group, block, i + 1, i == 3 ? out : b->mid, i == 0 ? in : b->mid,
                 (half == 0 ? i == 3 : i == 0) ? 1 : 3);
    if (in != out)
        add_conv(d, &b->id, half, group, block, 0, out, in, 1);
}

static void add_half(struct dvae *d, int half)
{
    const struct dvae_config *c = &d->config;
    struct dvae_half *h = half == 0 ? &d->encoder : &d->decoder;
    int64_t width = half == 0 ? c->hid : c->init;

    add_conv(d, &h->input, half, 0, 0, 0, width, half == 0 ? c->channels : c->vocab, half == 0 ? 7 : 1);
    for (int group = 1; group <= DVAE_GROUPS; group++)
        for (int block = 1; block <= c->blocks; block++) {
            int64_t out = c->hid << (half == 0 ? group - 1 : DVAE_GROUPS - group);

            add_block(d, half, group, block, width, out);
            width = out;
        }
    add_conv(d, &h->output, half, DVAE_GROUPS + 1, 0, 0, half == 0 ? c->vocab : 2 * c->channels, width, 1);
}

/* Give every parameter its place, values or gradients; with a counting arena all data stay NULL. */
static void place_params(struct dvae *d, struct arena *a, bool gradients)
{
    for (int i = 0; i < d->params.count; i++) {
        struct tensor *t = gradients ? &d->params.item[i].grad : &d->params.item[i].value;

        t->data = arena_take(a, tensor_bytes(t));
    }
}

int dvae_shape(struct dvae *d)
{
    int64_t blocks = DVAE_GROUPS * d->config.blocks;
    size_t convs = (size_t)(2 * (2 + 5 * blocks)); /* at most: each block with an id path */
    struct arena count = {0};

    d->params.item = calloc(2 * convs, sizeof *d->params.item);
    d->name = calloc(2 * convs, sizeof *d->name);
    d->encoder.block = calloc((size_t)blocks, sizeof *d->encoder.block);
    d->decoder.block = calloc((size_t)blocks, sizeof *d->decoder.block);
    if (!d->params.item || !d->name || !d->encoder.block || !d->decoder.block)
        return err_set(ERR_NOMEM, "no memory for the table of parameters");
    d->gain = 1.0f / (float)(blocks * blocks);
    if (d->use & DVAE_ENCODER)
        add_half(d, 0);
    if (d->use & DVAE_DECODER)
        add_half(d, 1);
    place_params(d, &count, false);
    d->sizes.weights = count.used;
    d->sizes.gradients = d->use & DVAE_LEARN ? count.used : 0;
    if (!d->device)
        return 0;
    int rc = device_arena_init(d->device, &d->weights, d->sizes.weights);

    if (rc == 0 && d->sizes.gradients)
        rc = device_arena_init(d->device, &d->gradients, d->sizes.gradients);
    if (rc != 0)
        return rc;
    place_params(d, &d->weights, false);
    if (d->sizes.gradients)
        place_params(d, &d->gradients, true);
    return 0;
}

/* ---- what a step needs ------------------------------------------------------------------------------------------- */

struct plan {
    struct dvae *d;
    struct arena *arena; /* counting or real */
    int64_t n;           /* pictures */
    enum dvae_slot next; /* the stream's slot that is free */
};

static void *keep(struct plan *p, size_t size)
{
    return arena_take(p->arena, size);
}

static void *share(struct plan *p, enum dvae_slot slot, size_t size)
{
    if (!p->arena->base && size > p->d->slot_size[slot])
        p->d->slot_size[slot] = size;
    return p->d->slot[slot];
}

static struct tensor piece(struct plan *p, enum dvae_slot slot, int64_t side, int64_t width)
{
    struct tensor t = tensor_of(p->d->type, NULL, p->n, side, side, width);
    bool own = (p->d->use & DVAE_LEARN) && slot < SLOT_LOW;

    t.data = own ? keep(p, tensor_bytes(&t)) : share(p, slot, tensor_bytes(&t));
    return t;
}

static struct tensor stream(struct plan *p, int64_t side, int64_t width)
{
    struct tensor t = piece(p, p->next, side, width);

    p->next = p->next == SLOT_STREAM_A ? SLOT_STREAM_B : SLOT_STREAM_A;
    return t;
}

static void reserve_gradients(struct plan *p, const struct dvae_block *b)
{
    size_t y = tensor_bytes(&b->y), x = tensor_bytes(&b->x), full = b->pool ? tensor_bytes(&b->full) : 0;
    size_t most = y > x ? y : x;

    most = full > most ? full : most;
    share(p, SLOT_GRAD_A, most);
    share(p, SLOT_GRAD_B, most);
    share(p, SLOT_GRAD_RES, x);
    share(p, SLOT_GRAD_H1, tensor_bytes(&b->h[0]));
    share(p, SLOT_GRAD_H2, tensor_bytes(&b->h[0]));
}

static void place_half(struct plan *p, struct dvae_half *h, int64_t side)
{
    struct tensor x = h->first = stream(p, side, h->block[0].in);

    for (int i = 0; i < h->count; i++) {
        struct dvae_block *b = &h->block[i];

        if (b->pool) {
            b->full = x;
            side /= 2;
            x = stream(p, side, b->in);
        }
        b->x = x;
        b->h0 = piece(p, SLOT_H0, side, b->in);
        if (b->up) {
            b->low_mid = piece(p, SLOT_LOW, side, b->mid);
            b->low_out = piece(p, SLOT_LOW, side, b->out);
            side *= 2;
        }
        for (int j = 0; j < 3; j++)
            b->h[j] = piece(p, j == 1 ? SLOT_H2 : SLOT_H1, side, b->mid);
        x = b->y = b->id.w ? stream(p, side, b->out) : x;
        if (p->d->use & DVAE_LEARN)
            reserve_gradients(p, b);
    }
    h->top = x;
}

static struct tensor own(struct plan *p, enum dtype type, int64_t side, int64_t width)
{
    struct tensor t = tensor_of(type, NULL, p->n, side, side, width);

    t.data = keep(p, tensor_bytes(&t));
    return t;
}

/* The same place, or one of its own in f32 with room for its gradient. */
static struct tensor widened(struct plan *p, const struct tensor *t)
{
    struct tensor wide;

    if (t->type == DTYPE_F32)
        return *t;
    wide = own(p, DTYPE_F32, t->shape[1], t->shape[3]);
    if (p->d->use & DVAE_LEARN) {
        share(p, SLOT_GRAD_A, tensor_bytes(&wide));
        share(p, SLOT_GRAD_B, tensor_bytes(&wide));
    }
    return wide;
}

static void place_encoder(struct plan *p)
{
    struct dvae *d = p->d;
    struct dvae_half *h = &d->encoder;

    h->in = d->type == DTYPE_F32 ? d->pixels : own(p, d->type, d->config.size, d->config.channels);
    place_half(p, h, d->config.size);
    h->wide_first = h->first;
    h->wide_top = widened(p, &h->top);
    h->out = own(p, DTYPE_F32, dvae_grid(&d->config), d->config.vocab);
}

static void place_decoder(struct plan *p)
{
    struct dvae *d = p->d;
    struct dvae_half *h = &d->decoder;

    place_half(p, h, dvae_grid(&d->config));
    h->wide_first = widened(p, &h->first);
    h->wide_top = h->top;
    h->out = own(p, d->type, d->config.size, 2 * d->config.channels);
    d->wide_out = d->type == DTYPE_F32 ? h->out : own(p, DTYPE_F32, d->config.size, 2 * d->config.channels);
    d->nll = own(p, DTYPE_F32, d->config.size, 1);
}

static void place_all(struct plan *p)
{
    struct dvae *d = p->d;
    const struct dvae_config *c = &d->config;
    int64_t grid = dvae_grid(c);

    d->pixels = own(p, DTYPE_F32, c->size, c->channels);
    d->codes = own(p, DTYPE_I32, grid, 1);
    if (d->use & DVAE_ENCODER)
        place_encoder(p);
    if (d->use & DVAE_LEARN) {
        d->decoder.in = own(p, DTYPE_F32, grid, c->vocab);
        d->dz = own(p, DTYPE_F32, grid, c->vocab);
        d->kl = own(p, DTYPE_F32, grid, 1);
    }
    if (d->use & DVAE_DECODER)
        place_decoder(p);
}

/* The table comes first: what is in it stays, whatever the next call's number of pictures. */
static void place_table(struct dvae *d, struct arena *a)
{
    if (d->use & DVAE_DECODER) {
        d->table = tensor_f32(NULL, d->config.vocab, d->config.init);
        d->table.data = arena_take(a, tensor_bytes(&d->table));
    }
}

/* First without a base: how large are the slots and the whole?  Then the slots, and the same walk again. */
int dvae_place(struct dvae *d, int64_t count)
{
    struct arena counting = {0};
    struct plan p = {d, &counting, count, SLOT_STREAM_A};
    size_t kept;

    memset(d->slot_size, 0, sizeof d->slot_size);
    place_table(d, &counting);
    place_all(&p);
    kept = counting.used;
    for (int i = 0; i < SLOT_COUNT; i++)
        arena_take(&counting, d->slot_size[i]);
    if (!d->work.base) { /* the largest batch: once */
        d->sizes.activations = kept;
        d->sizes.scratch = counting.used - kept;
        if (!d->device)
            return 0;
        int rc = device_arena_init(d->device, &d->work, counting.used);

        if (rc != 0)
            return rc;
    }
    d->work.used = 0;
    place_table(d, &d->work);
    for (int i = 0; i < SLOT_COUNT; i++)
        d->slot[i] = arena_take(&d->work, d->slot_size[i]);
    p = (struct plan){d, &d->work, count, SLOT_STREAM_A};
    place_all(&p);
    return d->work.failed ? err_set(ERR_ARG, "%" PRId64 " pictures are more than the %" PRId64 " planned for", count,
                                    d->batch) : 0;
}

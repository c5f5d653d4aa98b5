/* SPDX-License-Identifier: MIT */
/* prior_working.c -- the operations of prior_pass.c as types and shapes, for a plan.  tests/unit/working.c holds the two together. */
#include <stdlib.h>

#include "compute/plan.h"
#include "model/prior_pass.h"

/* A linear layer forward and back: y [rows,out], x [rows,in], w [out,in]. */
struct linear {
    int64_t rows, out, in;
    enum dtype y, x, w; /* dy is y's in the backward pass, unless dy says otherwise */
    enum dtype dy, dw;
    bool plus, gelu, gelu_grad;
};

static struct tensor matrix(enum dtype type, int64_t rows, int64_t n)
{
    return tensor_of(type, NULL, rows, n);
}

static void plan_linear(struct plan *p, const struct linear *l, bool gradients)
{
    struct tensor y = matrix(l->y, l->rows, l->out), x = matrix(l->x, l->rows, l->in), w = matrix(l->w, l->out, l->in);
    struct tensor dy = matrix(l->dy, l->rows, l->out), dw = matrix(l->dw, l->out, l->in), db = tensor_f32(NULL, l->out);

    plan_matmul(p, &y, &x, &w, (struct matmul){.tb = true, .plus = l->plus ? &y : NULL, .gelu = l->gelu ? &y : NULL});
    if (!gradients)
        return;
    plan_matmul(p, &dw, &dy, &x, (struct matmul){.ta = true, .add = true, .row_sums = &db});
    plan_matmul(p, &x, &dy, &w, (struct matmul){.gelu_grad = l->gelu_grad ? &x : NULL});
}

static void plan_layers(struct plan *p, const struct prior_pass *s, bool gradients)
{
    const struct prior_config *c = &s->prior->config;
    const struct prior_types t = s->prior->types;
    int64_t d = c->width, rows = s->capacity * prior_slots(c);
    const struct linear qkv = {.rows = rows, .out = 3 * d, .in = d, .y = t.branch, .x = t.branch, .w = t.weights,
                               .dy = t.branch, .dw = t.grads};
    struct linear out = qkv, up = qkv, down = qkv;
    struct tensor branch = matrix(t.branch, rows, d), stream = matrix(DTYPE_F32, rows, d);
    struct tensor heads = tensor_of(t.branch, NULL, s->capacity, prior_slots(c), d);
    struct tensor three = tensor_of(t.branch, NULL, s->capacity, prior_slots(c), 3 * d);

    out.out = d, out.y = DTYPE_F32, out.plus = true;
    up.out = 4 * d, up.gelu = true;
    down.out = d, down.in = 4 * d, down.y = DTYPE_F32, down.plus = true, down.gelu_grad = true;
    plan_linear(p, &qkv, gradients);
    plan_linear(p, &out, gradients);
    plan_linear(p, &up, gradients);
    plan_linear(p, &down, gradients);
    plan_norm(p, &branch, &stream);
    if (gradients)
        plan_norm_grad(p, &stream, &branch, &stream);
    for (int64_t i = 0; i < c->layers && i < 5; i++) { /* the last five have all kinds of masks there are */
        struct attn attn = prior_attn(c, c->layers - 1 - i);

        plan_attn(p, &heads, &three, &attn);
        if (gradients)
            plan_attn_grad(p, &heads, &three, &attn);
    }
}

static void plan_ends(struct plan *p, const struct prior_pass *s, bool gradients)
{
    const struct prior_config *c = &s->prior->config;
    enum dtype ends = s->prior->types.ends;
    int64_t text = s->capacity * c->text_slots, image = s->capacity * prior_image_slots(c);
    const struct linear text_logits = {.rows = text, .out = c->text_vocab, .in = c->width, .x = ends};
    const struct linear image_logits = {.rows = image, .out = c->image_vocab, .in = c->width, .x = ends};
    struct tensor x = matrix(DTYPE_F32, text + image, c->width), h = matrix(ends, text + image, c->width);
    struct tensor first = matrix(DTYPE_F32, text, c->text_vocab), second = matrix(DTYPE_F32, image, c->image_vocab);

    plan_linear(p, &text_logits, gradients);
    plan_linear(p, &image_logits, gradients);
    plan_cross_entropy(p, &first);
    plan_cross_entropy(p, &second);
    plan_norm(p, &h, &x);
    if (gradients)
        plan_norm_grad(p, &x, &h, &x);
}

int prior_pass_working(size_t *bytes, const struct prior_pass *s, const char *device, const char *precision)
{
    const struct param_table *params = &s->prior->params;
    bool gradients = s->keep != PRIOR_KEEP_NOTHING;
    struct tensor *grad = calloc((size_t)params->count + 1, sizeof *grad);
    struct plan p;
    int rc;

    if (!grad)
        return err_set(ERR_NOMEM, "no memory for a plan");
    if ((rc = plan_open(&p, device, precision)) == 0) {
        plan_layers(&p, s, gradients);
        plan_ends(&p, s, gradients);
        for (int i = 0; i < params->count; i++)
            grad[i] = params->item[i].grad;
        if (gradients)
            plan_sum_squares(&p, grad, params->count);
        *bytes = plan_working(&p);
    }
    plan_close(&p);
    free(grad);
    return rc;
}

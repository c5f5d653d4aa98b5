/* SPDX-License-Identifier: MIT */
/* prior_pass.c -- forward and backward over whole sequences, one layer after another.
 *
 * Easy to get wrong: targets (text slot t predicts token t, so the slot of the last token has none); rows are regrouped
 * before the final norm, text slots of all examples first; the residual stream's gradient is added to in place by the
 * norms' backward passes; cross-entropy with scale 0 leaves logits, not gradients.
 */
#include "model/prior_pass.h"

#include <stdlib.h>

#include "compute/act.h"
#include "compute/adam.h"
#include "compute/attn.h"
#include "compute/embed.h"
#include "compute/loss.h"
#include "compute/matmul.h"
#include "compute/norm.h"

/* Tables of n*T indices; negative: none. */
enum { TEXT_TOKEN, TEXT_POSITION, TEXT_PAD, TEXT_START, IMAGE_TOKEN, IMAGE_ROW, IMAGE_COLUMN, IMAGE_START, GATHER, SCATTER,
       TARGET, TABLES };

/* ---- memory ------------------------------------------------------------------------------------------------------ */

enum prior_keep prior_keep_of(const char *recompute)
{
    return recompute[0] == 'b' ? PRIOR_KEEP_STREAM : recompute[0] == 'a' ? PRIOR_KEEP_MLP : PRIOR_KEEP_ALL;
}

/* Sizes of n examples: bytes of a float a row, and of d numbers of the branch's type a row. */
struct sizes {
    size_t row, stream, wide, lse;
};

static struct sizes sizes_of(const struct prior_pass *s)
{
    const struct prior_config *c = &s->prior->config;
    size_t rows = (size_t)(s->capacity * prior_slots(c)), row = sizeof(float) * rows;

    return (struct sizes){row, row * (size_t)c->width, dtype_size(s->prior->types.branch) * rows * (size_t)c->width,
                          row * (size_t)c->heads};
}

static void place_attention(struct prior_kept *k, struct arena *a, const struct sizes *z)
{
    k->h = arena_take(a, z->wide);
    k->qkv = arena_take(a, 3 * z->wide);
    k->out = arena_take(a, z->wide);
    k->lse = arena_take(a, z->lse);
    k->mean = arena_take(a, z->row);
    k->rstd = arena_take(a, z->row);
}

static void place_mlp(struct prior_kept *k, struct arena *a, const struct sizes *z)
{
    k->h2 = arena_take(a, z->wide);
    k->up = arena_take(a, 4 * z->wide);
    k->act = arena_take(a, 4 * z->wide);
    k->mean2 = arena_take(a, z->row);
    k->rstd2 = arena_take(a, z->row);
}

/* Of the two branches only one is at work at a time, so what is computed again takes the same memory in both. */
static void place_shared(struct prior_kept *k, struct arena *a, const struct sizes *z)
{
    struct arena first = *a;

    place_attention(k, &first, z);
    place_mlp(k, a, z);
    a->used = first.used > a->used ? first.used : a->used;
}

/* The layers' memory. */
static void place_layers(struct prior_pass *s, struct arena *a, const struct sizes *z)
{
    struct prior_kept shared = {0};

    if (s->keep == PRIOR_KEEP_MLP)
        place_attention(&shared, a, z);
    else if (s->keep != PRIOR_KEEP_ALL)
        place_shared(&shared, a, z);
    for (int64_t i = 0; i < s->prior->config.layers; i++) {
        struct prior_kept *k = &s->kept[i];

        *k = shared;
        k->x = s->keep == PRIOR_KEEP_NOTHING ? s->last : arena_take(a, z->stream);
        k->middle = s->keep == PRIOR_KEEP_NOTHING ? s->last : arena_take(a, z->stream);
        if (s->keep == PRIOR_KEEP_ALL)
            place_attention(k, a, z);
        if (s->keep == PRIOR_KEEP_ALL || s->keep == PRIOR_KEEP_MLP)
            place_mlp(k, a, z);
    }
}

static void place(struct prior_pass *s, struct arena *a)
{
    const struct prior_config *c = &s->prior->config;
    const struct sizes z = sizes_of(s);
    size_t text = (size_t)(s->capacity * c->text_slots), image = (size_t)(s->capacity * prior_image_slots(c));
    size_t ends = s->prior->types.ends == DTYPE_F32 ? z.stream : z.stream / 2;

    s->last = arena_take(a, z.stream);
    place_layers(s, a, &z);
    s->kept_bytes = a->used;
    s->gathered = arena_take(a, z.stream);
    s->h = arena_take(a, ends);
    s->mean = arena_take(a, z.row);
    s->rstd = arena_take(a, z.row);
    s->text_logits = arena_take(a, sizeof(float) * text * (size_t)c->text_vocab);
    s->image_logits = arena_take(a, sizeof(float) * image * (size_t)c->image_vocab);
    s->loss = arena_take(a, z.row);
    s->index = arena_take(a, z.row * TABLES);
    if (s->keep == PRIOR_KEEP_NOTHING)
        return;
    s->dx = arena_take(a, z.stream);
    s->dh = arena_take(a, ends > z.wide ? ends : z.wide);
    s->dwide = arena_take(a, 4 * z.wide);
}

int prior_pass_init(struct prior_pass *s, const struct prior *p, int64_t n, enum prior_keep keep)
{
    size_t rows = (size_t)(n * prior_slots(&p->config));
    int rc;

    *s = (struct prior_pass){.prior = p, .capacity = n, .keep = keep};
    if (n < 1 || n > INT32_MAX / prior_slots(&p->config))
        return err_set(ERR_LIMIT, "%d examples of %d positions are too many at once", (int)n, (int)prior_slots(&p->config));
    if (!(s->kept = calloc((size_t)p->config.layers, sizeof *s->kept)))
        return err_set(ERR_NOMEM, "no memory for %d layers", (int)p->config.layers);
    place(s, &s->arena);
    s->bytes = s->arena.used;
    if (!p->device)
        return 0;
    s->host_index = malloc(sizeof *s->host_index * rows * TABLES);
    s->host_loss = malloc(sizeof *s->host_loss * rows);
    if (!s->host_index || !s->host_loss) {
        rc = err_set(ERR_NOMEM, "no memory for the indices of %d examples", (int)n);
        goto fail;
    }
    if ((rc = device_arena_init(p->device, &s->arena, s->bytes)) != 0)
        goto fail;
    place(s, &s->arena);
    return 0;
fail:
    prior_pass_fini(s);
    return rc;
}

size_t prior_pass_host_bytes(const struct prior_pass *s)
{
    size_t rows = (size_t)(s->capacity * prior_slots(&s->prior->config));

    return rows * (TABLES * sizeof *s->host_index + sizeof *s->host_loss);
}

void prior_pass_fini(struct prior_pass *s)
{
    if (s->prior && s->prior->device)
        device_arena_fini(s->prior->device, &s->arena);
    free(s->kept);
    free(s->host_index);
    free(s->host_loss);
    *s = (struct prior_pass){0};
}

/* ---- what the slots hold ----------------------------------------------------------------------------------------- */

/* The indices of one example: rows of the batch from `row` on. */
static void index_text(const struct prior_config *c, int32_t *const *table, int64_t row, const uint16_t *text, int32_t length)
{
    for (int64_t t = 0; t < c->text_slots; t++) {
        bool pad = t > length;

        table[TEXT_TOKEN][row + t] = t > 0 && !pad ? text[t - 1] : -1;
        table[TEXT_POSITION][row + t] = pad ? -1 : (int32_t)t;
        table[TEXT_PAD][row + t] = pad ? (int32_t)t : -1;
        table[TEXT_START][row + t] = t == 0 ? 0 : -1;
        for (int k = IMAGE_TOKEN; k <= IMAGE_START; k++)
            table[k][row + t] = -1;
    }
}

static void index_image(const struct prior_config *c, int32_t *const *table, int64_t row, const uint16_t *image)
{
    for (int64_t j = 0; j < prior_image_slots(c); j++) {
        for (int k = TEXT_TOKEN; k <= TEXT_START; k++)
            table[k][row + j] = -1;
        table[IMAGE_TOKEN][row + j] = j > 0 ? image[j - 1] : -1;
        table[IMAGE_ROW][row + j] = (int32_t)(j / c->grid_w);
        table[IMAGE_COLUMN][row + j] = (int32_t)(j % c->grid_w);
        table[IMAGE_START][row + j] = j == 0 ? 0 : -1;
    }
}

/* Regrouped rows: all text slots, then all image slots; and what the state in each is to predict. */
static void index_targets(const struct prior_config *c, int32_t *const *table, const struct prior_examples *e, int64_t i,
                          struct prior_loss *loss)
{
    int64_t text = c->text_slots, image = prior_image_slots(c), first = i * (text + image);

    for (int64_t t = 0; t < text; t++) {
        table[GATHER][i * text + t] = (int32_t)(first + t);
        table[SCATTER][first + t] = (int32_t)(i * text + t);
        table[TARGET][i * text + t] = t < e->length[i] ? e->text[i * (text - 1) + t] : -1;
    }
    for (int64_t j = 0; j < image; j++) {
        int64_t row = e->n * text + i * image + j;

        table[GATHER][row] = (int32_t)(first + text + j);
        table[SCATTER][first + text + j] = (int32_t)row;
        table[TARGET][row] = e->image[i * image + j];
    }
    loss->text_tokens += e->length[i];
    loss->image_tokens += image;
}

static int upload_index(struct prior_pass *s, const struct prior_examples *e)
{
    const struct prior_config *c = &s->prior->config;
    int64_t slots = prior_slots(c), rows = e->n * slots;
    int32_t *table[TABLES];

    for (int k = 0; k < TABLES; k++)
        table[k] = s->host_index + k * rows;
    for (int64_t i = 0; i < e->n; i++) {
        index_text(c, table, i * slots, e->text + i * (c->text_slots - 1), e->length[i]);
        index_image(c, table, i * slots + c->text_slots, e->image + i * prior_image_slots(c));
        index_targets(c, table, e, i, &s->counted);
    }
    return device_upload(s->prior->device, s->index, s->host_index, sizeof *s->index * (size_t)(rows * TABLES));
}

static struct tensor index_at(const struct prior_pass *s, int64_t rows, int table)
{
    return tensor_i32(s->index + table * rows, rows);
}

static int embed(struct prior_pass *s, const struct tensor *x)
{
    const struct prior_weights *w = &s->prior->w;
    const struct tensor *const from[] = {&w->text_token, &w->text_position, &w->text_pad, &w->text_start, &w->image_token,
                                         &w->image_row, &w->image_column, &w->image_start};
    int rc = 0;

    for (int k = TEXT_TOKEN; rc == 0 && k <= IMAGE_START; k++) {
        struct tensor index = index_at(s, x->shape[0], k);

        rc = op_embed(s->prior->device, x, from[k], &index, k != TEXT_TOKEN);
    }
    return rc;
}

static int embed_grad(struct prior_pass *s, const struct tensor *dx)
{
    const struct prior_weights *w = &s->prior->dw;
    const struct tensor *const to[] = {&w->text_token, &w->text_position, &w->text_pad, &w->text_start, &w->image_token,
                                       &w->image_row, &w->image_column, &w->image_start};
    int rc = 0;

    for (int k = TEXT_TOKEN; rc == 0 && k <= IMAGE_START; k++) {
        struct tensor index = index_at(s, dx->shape[0], k);

        rc = op_embed_grad(s->prior->device, to[k], dx, &index);
    }
    return rc;
}

/* ---- layers ------------------------------------------------------------------------------------------------------ */

static int linear(struct device *dev, const struct tensor *y, const struct tensor *x, const struct prior_linear *l)
{
    return op_matmul(dev, y, x, &l->w, &l->b, (struct matmul){.tb = true});
}

/* before: what went through a GELU to become x, dx is then its gradient; NULL: x went through none. */
static int linear_grad(struct device *dev, const struct tensor *dx, const struct tensor *dy, const struct tensor *x,
                       const struct prior_linear *l, const struct prior_linear *dl, const struct tensor *before)
{
    int rc = op_matmul(dev, &dl->w, dy, x, NULL, (struct matmul){.ta = true, .add = true, .row_sums = &dl->b});

    return rc == 0 ? op_matmul(dev, dx, dy, &l->w, NULL, (struct matmul){.gelu_grad = before}) : rc;
}

/* Views of one layer's memory for n examples. */
struct views {
    struct tensor x, h, qkv, qkv3, out, out3, lse, middle, h2, up, act, mean, rstd, mean2, rstd2;
};

static struct views views_of(const struct prior_kept *k, const struct prior *p, int64_t n)
{
    const struct prior_config *c = &p->config;
    int64_t d = c->width, slots = prior_slots(c), rows = n * slots;
    enum dtype b = p->types.branch;

    return (struct views){
        .x = tensor_f32(k->x, rows, d), .h = tensor_of(b, k->h, rows, d),
        .qkv = tensor_of(b, k->qkv, rows, 3 * d), .qkv3 = tensor_of(b, k->qkv, n, slots, 3 * d),
        .out = tensor_of(b, k->out, rows, d), .out3 = tensor_of(b, k->out, n, slots, d),
        .lse = tensor_f32(k->lse, n, c->heads, slots), .middle = tensor_f32(k->middle, rows, d),
        .h2 = tensor_of(b, k->h2, rows, d), .up = tensor_of(b, k->up, rows, 4 * d), .act = tensor_of(b, k->act, rows, 4 * d),
        .mean = tensor_f32(k->mean, rows), .rstd = tensor_f32(k->rstd, rows),
        .mean2 = tensor_f32(k->mean2, rows), .rstd2 = tensor_f32(k->rstd2, rows)};
}

/* y = x + branch(h), where y may be x. */
static int residual(struct device *dev, const struct tensor *y, const struct tensor *x, const struct tensor *h,
                    const struct prior_linear *l)
{
    bool same = y->data == x->data;

    return op_matmul(dev, y, h, &l->w, &l->b, (struct matmul){.tb = true, .add = same, .plus = same ? NULL : x});
}

/* Up to the last product of each branch: what the backward pass wants of it, now or again. */
static int attention(struct device *dev, const struct views *v, const struct prior_layer *w, const struct attn *attn)
{
    int rc;

    if ((rc = op_norm(dev, &v->h, &v->mean, &v->rstd, &v->x, &w->attn_norm.g, &w->attn_norm.b, PRIOR_NORM_EPS)) != 0 ||
        (rc = linear(dev, &v->qkv, &v->h, &w->qkv)) != 0)
        return rc;
    return op_attn(dev, &v->out3, &v->lse, &v->qkv3, attn);
}

static int mlp(struct device *dev, const struct views *v, const struct prior_layer *w)
{
    int rc = op_norm(dev, &v->h2, &v->mean2, &v->rstd2, &v->middle, &w->mlp_norm.g, &w->mlp_norm.b, PRIOR_NORM_EPS);

    return rc == 0 ? op_matmul(dev, &v->up, &v->h2, &w->up.w, &w->up.b, (struct matmul){.tb = true, .gelu = &v->act}) : rc;
}

/* The layer's input stands in its x; y: the next layer's x. */
static int layer_forward(struct prior_pass *s, int64_t i, int64_t n, const struct tensor *y)
{
    const struct prior_layer *w = &s->prior->w.layer[i];
    const struct attn attn = prior_attn(&s->prior->config, i);
    struct views v = views_of(&s->kept[i], s->prior, n);
    struct device *dev = s->prior->device;
    int rc;

    if ((rc = attention(dev, &v, w, &attn)) != 0 || (rc = residual(dev, &v.middle, &v.x, &v.out, &w->out)) != 0 ||
        (rc = mlp(dev, &v, w)) != 0)
        return rc;
    return residual(dev, y, &v.middle, &v.act, &w->down);
}

/* The stream's gradient as a block's branch takes it; where it is not the same, in the place of the gathered rows, which are done
 * with when the layers' turn comes. */
static int enter_block(struct prior_pass *s, struct tensor *dy, const struct tensor *dx, int64_t block)
{
    struct device *dev = s->prior->device;
    struct squares sum = {0};
    int rc = 0;

    *dy = *dx;
    if (s->scale || s->prior->types.branch != DTYPE_F32) {
        *dy = tensor_of(s->prior->types.branch, s->gathered, dx->shape[0], dx->shape[1]);
        rc = s->scale ? op_filter(dev, dy, dx, s->scale[block]) : op_copy(dev, dy, dx);
    }
    if (rc == 0 && s->lost) {
        rc = op_sum_squares(dev, &sum, dy, 1);
        s->lost[block] += sum.zeros;
    }
    return rc;
}

/* And back: through the norm in front of the branch, added to the stream's. */
static int leave_block(struct prior_pass *s, const struct tensor *dx, const struct prior_norm *dw, const struct tensor *dh,
                       const struct tensor *x, const struct tensor *mean, const struct tensor *rstd,
                       const struct prior_norm *w, int64_t block)
{
    return op_norm_grad(s->prior->device, dx, &dw->g, &dw->b, dh, x, mean, rstd, &w->g,
                        s->scale ? 1.0f / s->scale[block] : 1.0f, s->scale != NULL);
}

static int mlp_backward(struct prior_pass *s, int64_t i, const struct views *v, const struct tensor *dx,
                        const struct tensor *dh)
{
    const struct prior_layer *w = &s->prior->w.layer[i], *dw = &s->prior->dw.layer[i];
    struct tensor dy, dup = tensor_of(s->prior->types.branch, s->dwide, dx->shape[0], 4 * dx->shape[1]);
    struct device *dev = s->prior->device;
    int rc;

    if ((s->keep == PRIOR_KEEP_STREAM && (rc = mlp(dev, v, w)) != 0) || (rc = enter_block(s, &dy, dx, 2 * i + 1)) != 0 ||
        (rc = linear_grad(dev, &dup, &dy, &v->act, &w->down, &dw->down, &v->up)) != 0 ||
        (rc = linear_grad(dev, dh, &dup, &v->h2, &w->up, &dw->up, NULL)) != 0)
        return rc;
    return leave_block(s, dx, &dw->mlp_norm, dh, &v->middle, &v->mean2, &v->rstd2, &w->mlp_norm, 2 * i + 1);
}

static int attention_backward(struct prior_pass *s, int64_t i, const struct views *v, const struct tensor *dx,
                              const struct tensor *dh)
{
    const struct prior_layer *w = &s->prior->w.layer[i], *dw = &s->prior->dw.layer[i];
    const struct attn attn = prior_attn(&s->prior->config, i);
    struct tensor dy, dout3 = v->out3, dqkv = v->qkv, dqkv3 = v->qkv3;
    struct device *dev = s->prior->device;
    int rc;

    dout3.data = dh->data;
    dqkv.data = dqkv3.data = s->dwide;
    if ((s->keep != PRIOR_KEEP_ALL && (rc = attention(dev, v, w, &attn)) != 0) ||
        (rc = enter_block(s, &dy, dx, 2 * i)) != 0 ||
        (rc = linear_grad(dev, dh, &dy, &v->out, &w->out, &dw->out, NULL)) != 0 ||
        (rc = op_attn_grad(dev, &dqkv3, &dout3, &v->out3, &v->lse, &v->qkv3, &attn)) != 0 ||
        (rc = linear_grad(dev, dh, &dqkv, &v->h, &w->qkv, &dw->qkv, NULL)) != 0)
        return rc;
    return leave_block(s, dx, &dw->attn_norm, dh, &v->x, &v->mean, &v->rstd, &w->attn_norm, 2 * i);
}

/* s->dx: the gradient behind the layer, then the one in front of it. */
static int layer_backward(struct prior_pass *s, int64_t i, int64_t n)
{
    struct views v = views_of(&s->kept[i], s->prior, n);
    struct tensor dx = v.x, dh = v.h;
    int rc;

    dx.data = s->dx;
    dh.data = s->dh;
    rc = mlp_backward(s, i, &v, &dx, &dh);
    return rc == 0 ? attention_backward(s, i, &v, &dx, &dh) : rc;
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

/* Views of what stands behind the layers, for n examples. */
struct ends {
    struct tensor x, gathered, h, mean, rstd, text_h, image_h, text_logits, image_logits, text_loss, image_loss;
    struct tensor gather, scatter, text_target, image_target;
};

static struct ends ends_of(const struct prior_pass *s, int64_t n)
{
    const struct prior_config *c = &s->prior->config;
    int64_t d = c->width, text = n * c->text_slots, image = n * prior_image_slots(c), rows = text + image;
    int32_t *target = s->index + TARGET * rows;
    struct tensor h = tensor_of(s->prior->types.ends, s->h, rows, d);

    return (struct ends){
        .x = tensor_f32(s->last, rows, d), .gathered = tensor_f32(s->gathered, rows, d), .h = h,
        .mean = tensor_f32(s->mean, rows), .rstd = tensor_f32(s->rstd, rows),
        .text_h = tensor_rows(&h, 0, text), .image_h = tensor_rows(&h, text, image),
        .text_logits = tensor_f32(s->text_logits, text, c->text_vocab),
        .image_logits = tensor_f32(s->image_logits, image, c->image_vocab),
        .text_loss = tensor_f32(s->loss, text), .image_loss = tensor_f32(s->loss + text, image),
        .gather = index_at(s, rows, GATHER), .scatter = index_at(s, rows, SCATTER),
        .text_target = tensor_i32(target, text), .image_target = tensor_i32(target + text, image)};
}

static int to_logits(struct prior_pass *s, const struct prior_examples *e)
{
    const struct prior *p = s->prior;
    struct ends v = ends_of(s, e->n);
    struct tensor first = v.x;
    int rc;

    s->counted = (struct prior_loss){0};
    s->examples = 0;
    if (e->n < 1 || e->n > s->capacity)
        return err_set(ERR_ARG, "%d examples, room for %d", (int)e->n, (int)s->capacity);
    s->examples = e->n;
    first.data = s->kept[0].x;
    if ((rc = upload_index(s, e)) != 0 || (rc = embed(s, &first)) != 0)
        return rc;
    for (int64_t i = 0; i < p->config.layers; i++) {
        struct tensor next = v.x;

        next.data = i + 1 < p->config.layers ? s->kept[i + 1].x : s->last;
        if ((rc = layer_forward(s, i, e->n, &next)) != 0)
            return rc;
    }
    if ((rc = op_embed(p->device, &v.gathered, &v.x, &v.gather, false)) != 0 ||
        (rc = op_norm(p->device, &v.h, &v.mean, &v.rstd, &v.gathered, &p->w.final.g, &p->w.final.b, PRIOR_NORM_EPS)) != 0 ||
        (rc = linear(p->device, &v.text_logits, &v.text_h, &p->w.text_logits)) != 0)
        return rc;
    return linear(p->device, &v.image_logits, &v.image_h, &p->w.image_logits);
}

/* Logits to losses, and to gradients unless the scales are 0. */
static int to_loss(struct prior_pass *s, int64_t n, float text_scale, float image_scale)
{
    struct device *dev = s->prior->device;
    struct ends v = ends_of(s, n);
    int rc = op_cross_entropy(dev, &v.text_loss, &v.text_logits, &v.text_target, text_scale);

    return rc == 0 ? op_cross_entropy(dev, &v.image_loss, &v.image_logits, &v.image_target, image_scale) : rc;
}

int prior_losses(struct prior_pass *s, struct prior_loss *loss)
{
    int64_t text = s->examples * s->prior->config.text_slots, rows = s->examples * prior_slots(&s->prior->config);
    int rc = device_download(s->prior->device, s->host_loss, s->loss, sizeof *s->host_loss * (size_t)rows);

    *loss = s->counted;
    for (int64_t i = 0; rc == 0 && i < rows; i++)
        *(i < text ? &loss->text : &loss->image) += s->host_loss[i];
    return rc;
}

static int logits_backward(struct prior_pass *s, int64_t n)
{
    const struct prior *p = s->prior;
    struct device *dev = p->device;
    struct ends v = ends_of(s, n);
    int64_t text = v.text_h.shape[0], rows = v.x.shape[0], d = p->config.width;
    struct tensor dh = tensor_of(p->types.ends, s->dh, rows, d), dtext = tensor_rows(&dh, 0, text);
    struct tensor dimage = tensor_rows(&dh, text, rows - text), dx = tensor_f32(s->dx, rows, d);
    struct tensor dgathered = tensor_f32(s->dwide, rows, d);
    int rc;

    if ((rc = linear_grad(dev, &dtext, &v.text_logits, &v.text_h, &p->w.text_logits, &p->dw.text_logits, NULL)) != 0 ||
        (rc = linear_grad(dev, &dimage, &v.image_logits, &v.image_h, &p->w.image_logits, &p->dw.image_logits, NULL)) != 0 ||
        (rc = device_zero(dev, dgathered.data, tensor_bytes(&dgathered))) != 0 ||
        (rc = op_norm_grad(dev, &dgathered, &p->dw.final.g, &p->dw.final.b, &dh, &v.gathered, &v.mean, &v.rstd,
                           &p->w.final.g, 1, false)) != 0)
        return rc;
    return op_embed(dev, &dx, &dgathered, &v.scatter, false);
}

int prior_forward(struct prior_pass *s, const struct prior_examples *e, struct prior_loss *loss)
{
    int rc = to_logits(s, e);

    if (rc == 0)
        rc = to_loss(s, e->n, 0, 0);
    return rc == 0 ? prior_losses(s, loss) : rc;
}

int prior_backward(struct prior_pass *s, const struct prior_examples *e, float text_scale, float image_scale)
{
    struct tensor dx;
    int rc;

    if (s->keep == PRIOR_KEEP_NOTHING || !(text_scale > 0) || !(image_scale > 0)) /* 0 would leave logits in place of gradients */
        return err_set(ERR_ARG, "no room for gradients, or a scale of the loss is not above 0");
    if ((rc = to_logits(s, e)) != 0 || (rc = to_loss(s, e->n, text_scale, image_scale)) != 0 ||
        (rc = logits_backward(s, e->n)) != 0)
        return rc;
    for (int64_t i = s->prior->config.layers - 1; rc == 0 && i >= 0; i--)
        rc = layer_backward(s, i, e->n);
    dx = tensor_f32(s->dx, e->n * prior_slots(&s->prior->config), s->prior->config.width);
    return rc == 0 ? embed_grad(s, &dx) : rc;
}

double prior_loss_mean(const struct prior_loss *loss)
{
    double text = loss->text_tokens ? loss->text / (double)loss->text_tokens : 0;
    double image = loss->image_tokens ? loss->image / (double)loss->image_tokens : 0;

    return PRIOR_TEXT_WEIGHT * text + PRIOR_IMAGE_WEIGHT * image;
}

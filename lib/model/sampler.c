/* SPDX-License-Identifier: MIT */
/* sampler.c -- the prior one position at a time: text prefixes first, then all rows of a batch in step.
 *
 * Every product goes through op_thin and every norm and choice is a row's own, so that no row sees the batch around it.
 * Easy to get wrong: position j's input is code j-1 with the row and column of j; given codes pass through the layers like
 * drawn ones; the last layer of a text prefix needs keys and values only.
 */
#include "model/sampler.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "compute/embed.h"
#include "compute/norm.h"

/* Tables of indices, one value a row. */
enum { FIRST, SECOND, THIRD, FOURTH, TABLES };

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static int64_t room(const struct sampler *s)
{
    return s->prior->config.text_slots > s->sequences ? s->prior->config.text_slots : s->sequences;
}

/* A backend's size of packed weights; without a device its plain size. */
static size_t packed_size(const struct prior *p, const struct tensor *w)
{
    return p->device ? op_thin_size(p->device, w->shape[0], w->shape[1]) : tensor_bytes(w);
}

static void place_weights(struct sampler *s, struct arena *a)
{
    const struct prior *p = s->prior;

    for (int64_t i = 0; i < p->config.layers; i++) {
        s->layer[i].qkv = arena_take(a, packed_size(p, &p->w.layer[i].qkv.w));
        s->layer[i].out = arena_take(a, packed_size(p, &p->w.layer[i].out.w));
        s->layer[i].up = arena_take(a, packed_size(p, &p->w.layer[i].up.w));
        s->layer[i].down = arena_take(a, packed_size(p, &p->w.layer[i].down.w));
    }
    s->logits_w = arena_take(a, packed_size(p, &p->w.image_logits.w));
}

/* Bytes of what a step of n rows reads and changes. */
static size_t state_size(const struct sampler *s, int64_t n)
{
    return sizeof(int32_t) * (size_t)(1 + n * (3 + prior_image_slots(&s->prior->config)));
}

static void place(struct sampler *s, struct arena *a)
{
    const struct prior_config *c = &s->prior->config;
    size_t row = sizeof(float) * (size_t)room(s), wide = row * (size_t)c->width;

    for (int64_t i = 0; i < c->layers; i++) {
        struct sampler_layer *l = &s->layer[i];
        int64_t head = c->width / c->heads;
        void *block;

        l->attn = prior_attn(c, i);
        block = arena_take(a, attn_cache_size(&l->attn, head, s->captions, s->sequences));
        if (block)
            attn_cache_place(&l->cache, block, &l->attn, head, s->captions, s->sequences);
    }
    s->x = arena_take(a, wide);
    s->h = arena_take(a, wide);
    s->qkv = arena_take(a, 3 * wide);
    s->out = arena_take(a, wide);
    s->act = arena_take(a, 4 * wide);
    s->mean = arena_take(a, row);
    s->rstd = arena_take(a, row);
    s->lse = arena_take(a, row * (size_t)c->heads);
    s->logits = arena_take(a, sizeof(float) * (size_t)s->sequences * (size_t)c->image_vocab);
    s->index = arena_take(a, row * TABLES);
    s->state = arena_take(a, state_size(s, s->sequences));
}

/* What the caches take, apart: each part alone. */
static void count_caches(struct sampler *s)
{
    const struct prior_config *c = &s->prior->config;

    for (int64_t i = 0; i < c->layers; i++) {
        struct attn a = prior_attn(c, i);

        s->text_bytes += attn_cache_size(&a, c->width / c->heads, s->captions, 0);
        s->image_bytes += attn_cache_size(&a, c->width / c->heads, 0, s->sequences);
    }
}

static int pack(struct sampler *s)
{
    const struct prior *p = s->prior;
    int rc = op_thin_pack(p->device, s->logits_w, &p->w.image_logits.w);

    for (int64_t i = 0; rc == 0 && i < p->config.layers; i++) {
        const struct prior_layer *w = &p->w.layer[i];

        if ((rc = op_thin_pack(p->device, s->layer[i].qkv, &w->qkv.w)) == 0 &&
            (rc = op_thin_pack(p->device, s->layer[i].out, &w->out.w)) == 0 &&
            (rc = op_thin_pack(p->device, s->layer[i].up, &w->up.w)) == 0)
            rc = op_thin_pack(p->device, s->layer[i].down, &w->down.w);
    }
    return rc;
}

int sampler_init(struct sampler *s, const struct prior *p, int64_t captions, int64_t sequences)
{
    int rc;

    *s = (struct sampler){.prior = p, .captions = captions, .sequences = sequences};
    if (captions < 1 || sequences < 1)
        return err_set(ERR_ARG, "a sampler for %d captions and %d sequences", (int)captions, (int)sequences);
    if (!(s->layer = calloc((size_t)p->config.layers, sizeof *s->layer)))
        return err_set(ERR_NOMEM, "no memory for %d layers", (int)p->config.layers);
    place_weights(s, &s->weights);
    place(s, &s->arena);
    count_caches(s);
    s->weight_bytes = s->weights.used;
    s->work_bytes = s->arena.used - s->text_bytes - s->image_bytes;
    if (!p->device)
        return 0;
    s->host_index = malloc(sizeof *s->host_index * (size_t)room(s) * TABLES);
    s->host_state = malloc(state_size(s, sequences));
    if (!s->host_index || !s->host_state) {
        rc = err_set(ERR_NOMEM, "no memory for %d sequences", (int)sequences);
        goto fail;
    }
    if ((rc = device_arena_init(p->device, &s->weights, s->weight_bytes)) != 0)
        goto fail;
    if ((rc = device_arena_init(p->device, &s->arena, s->arena.used)) != 0)
        goto fail;
    place_weights(s, &s->weights);
    place(s, &s->arena);
    if ((rc = pack(s)) == 0)
        return 0;
fail:
    sampler_fini(s);
    return rc;
}

void sampler_fini(struct sampler *s)
{
    if (s->prior && s->prior->device) {
        device_arena_fini(s->prior->device, &s->weights);
        device_arena_fini(s->prior->device, &s->arena);
    }
    free(s->layer);
    free(s->host_index);
    free(s->host_state);
    *s = (struct sampler){0};
}

/* ---- one pass of rows through the layers -------------------------------------------------------------------------- */

/* Views of the workspace for n rows. */
struct views {
    struct tensor x, h, qkv, out, act, mean, rstd;
};

static struct views views_of(const struct sampler *s, int64_t n)
{
    int64_t d = s->prior->config.width;

    return (struct views){.x = tensor_f32(s->x, n, d), .h = tensor_f32(s->h, n, d), .qkv = tensor_f32(s->qkv, n, 3 * d),
                          .out = tensor_f32(s->out, n, d), .act = tensor_f32(s->act, n, 4 * d),
                          .mean = tensor_f32(s->mean, n), .rstd = tensor_f32(s->rstd, n)};
}

static int norm(struct sampler *s, struct views *v, const struct prior_norm *w)
{
    return op_norm(s->prior->device, &v->h, &v->mean, &v->rstd, &v->x, &w->g, &w->b, PRIOR_NORM_EPS);
}

static int before_attention(struct sampler *s, struct views *v, int64_t i)
{
    const struct prior_layer *w = &s->prior->w.layer[i];
    int rc = norm(s, v, &w->attn_norm);

    return rc == 0 ? op_thin(s->prior->device, &v->qkv, &v->h, s->layer[i].qkv, &w->qkv.b, (struct thin){0}) : rc;
}

static int behind_attention(struct sampler *s, struct views *v, int64_t i)
{
    const struct prior_layer *w = &s->prior->w.layer[i];
    const struct sampler_layer *l = &s->layer[i];
    struct device *dev = s->prior->device;
    int rc;

    if ((rc = op_thin(dev, &v->x, &v->out, l->out, &w->out.b, (struct thin){.add = true})) != 0 ||
        (rc = norm(s, v, &w->mlp_norm)) != 0 ||
        (rc = op_thin(dev, &v->act, &v->h, l->up, &w->up.b, (struct thin){.gelu = true})) != 0)
        return rc;
    return op_thin(dev, &v->x, &v->act, l->down, &w->down.b, (struct thin){.add = true});
}

/* x of n rows: the sum of one row of each of four tables; index: [4,stride] */
static int embed(struct sampler *s, int64_t n, const struct tensor *const tables[TABLES], int64_t stride)
{
    struct tensor x = tensor_f32(s->x, n, s->prior->config.width);
    int rc = 0;

    for (int k = 0; rc == 0 && k < TABLES; k++) {
        struct tensor index = tensor_i32(s->index + k * stride, n);

        rc = op_embed(s->prior->device, &x, tables[k], &index, k > 0);
    }
    return rc;
}

/* ---- text -------------------------------------------------------------------------------------------------------- */

static int embed_text(struct sampler *s, const uint16_t *tokens, int64_t count)
{
    const struct prior_weights *w = &s->prior->w;
    const struct tensor *const tables[TABLES] = {&w->text_token, &w->text_position, &w->text_pad, &w->text_start};
    int64_t slots = s->prior->config.text_slots, stride = room(s);
    int rc;

    for (int64_t t = 0; t < slots; t++) {
        s->host_index[FIRST * stride + t] = t > 0 && t <= count ? tokens[t - 1] : -1;
        s->host_index[SECOND * stride + t] = t <= count ? (int32_t)t : -1;
        s->host_index[THIRD * stride + t] = t <= count ? -1 : (int32_t)t;
        s->host_index[FOURTH * stride + t] = t == 0 ? 0 : -1;
    }
    rc = device_upload(s->prior->device, s->index, s->host_index, sizeof *s->index * (size_t)(stride * TABLES));
    return rc == 0 ? embed(s, slots, tables, stride) : rc;
}

int sampler_text(struct sampler *s, int64_t caption, const uint16_t *tokens, int64_t count)
{
    const struct prior_config *c = &s->prior->config;
    int64_t slots = c->text_slots;
    struct attn attn = {.kind = ATTN_DENSE, .text = slots, .k = 1, .heads = c->heads};
    struct views v = views_of(s, slots);
    struct tensor qkv3 = tensor_f32(s->qkv, 1, slots, 3 * c->width), out3 = tensor_f32(s->out, 1, slots, c->width);
    struct tensor lse = tensor_f32(s->lse, 1, c->heads, slots);
    int rc;

    if (caption < 0 || caption >= s->captions || count < 0 || count > prior_caption_max(c))
        return err_set(ERR_ARG, "caption %d of %d tokens does not fit", (int)caption, (int)count);
    for (int64_t t = 0; t < count; t++)
        if (tokens[t] >= c->text_vocab)
            return err_set(ERR_FORMAT, "text token %d is not below the prior's vocabulary %d", tokens[t], (int)c->text_vocab);
    if ((rc = embed_text(s, tokens, count)) != 0)
        return rc;
    for (int64_t i = 0; rc == 0 && i < c->layers; i++) {
        if ((rc = before_attention(s, &v, i)) == 0)
            rc = op_cache_text(s->prior->device, &s->layer[i].cache, &v.qkv, &s->layer[i].attn, caption);
        if (rc == 0 && i + 1 < c->layers && (rc = op_attn(s->prior->device, &out3, &lse, &qkv3, &attn)) == 0)
            rc = behind_attention(s, &v, i);
    }
    return rc;
}

/* ---- image ------------------------------------------------------------------------------------------------------- */

/* What the steps of n rows work on, in the device's memory. */
struct state {
    struct tensor position, caption, step, codes, slot;
};

static struct state state_of(const struct sampler *s, int64_t n)
{
    return (struct state){.position = tensor_i32(s->state, 1), .caption = tensor_i32(s->state + 1, n),
                          .step = tensor_i32(s->state + 1 + n, n, 2),
                          .codes = tensor_i32(s->state + 1 + 3 * n, n, prior_image_slots(&s->prior->config)),
                          .slot = tensor_i32(s->index, TABLES, n)};
}

/* Bring it there: the next step is that of position; of given [n,H*W] the first `known` codes of each row are known. */
static int begin(struct sampler *s, const struct sampler_row *rows, int64_t n, int64_t position, const uint16_t *given,
                 int64_t known)
{
    int64_t slots = prior_image_slots(&s->prior->config);
    int32_t *caption = s->host_state + 1, *step = caption + n, *codes = step + 2 * n;

    s->host_state[0] = (int32_t)position - 1;
    for (int64_t m = 0; m < n; m++) {
        caption[m] = (int32_t)rows[m].caption;
        step[2 * m] = (int32_t)(uint32_t)rows[m].step;
        step[2 * m + 1] = (int32_t)(uint32_t)(rows[m].step >> 32);
        for (int64_t j = 0; j < slots; j++)
            codes[m * slots + j] = j < known ? given[m * slots + j] : -1;
    }
    return device_upload(s->prior->device, s->state, s->host_state, state_size(s, n));
}

/* What device_repeat repeats. */
struct step {
    struct sampler *s;
    int64_t n;
    const struct choose *how;
};

static int pass(void *arg)
{
    const struct step *t = arg;
    struct sampler *s = t->s;
    const struct prior *p = s->prior;
    const struct prior_weights *w = &p->w;
    const struct tensor *const tables[TABLES] = {&w->image_token, &w->image_start, &w->image_row, &w->image_column};
    struct views v = views_of(s, t->n);
    struct state at = state_of(s, t->n);
    int rc = op_next(p->device, &at.position, &at.slot, &at.codes, p->config.grid_w);

    if (rc == 0)
        rc = embed(s, t->n, tables, t->n);
    for (int64_t i = 0; rc == 0 && i < p->config.layers; i++) {
        const struct sampler_layer *l = &s->layer[i];

        if ((rc = before_attention(s, &v, i)) == 0 &&
            (rc = op_attn_cache(p->device, &v.out, &l->cache, &v.qkv, &at.caption, &at.position, &l->attn)) == 0)
            rc = behind_attention(s, &v, i);
    }
    return rc;
}

static int to_logits(struct sampler *s, int64_t n)
{
    const struct prior *p = s->prior;
    struct views v = views_of(s, n);
    struct tensor logits = tensor_f32(s->logits, n, p->config.image_vocab);
    int rc = norm(s, &v, &p->w.final);

    return rc == 0 ? op_thin(p->device, &logits, &v.h, s->logits_w, &p->w.image_logits.b, (struct thin){0}) : rc;
}

/* The same, and a code drawn. */
static int pass_and_choose(void *arg)
{
    const struct step *t = arg;
    struct tensor logits = tensor_f32(t->s->logits, t->n, t->s->prior->config.image_vocab);
    struct state at = state_of(t->s, t->n);
    int rc = pass(arg);

    if (rc == 0)
        rc = to_logits(t->s, t->n);
    return rc == 0 ? op_choose(t->s->prior->device, &at.codes, &logits, &at.step, &at.position, t->how) : rc;
}

int sampler_step(struct sampler *s, const uint16_t *codes, const struct sampler_row *rows, int64_t n, int64_t position)
{
    struct step step = {s, n, NULL};
    int rc = begin(s, rows, n, position, codes, position);

    if (rc == 0)
        rc = pass(&step);
    return rc == 0 ? to_logits(s, n) : rc;
}

static int check_rows(const struct sampler *s, const struct sampler_row *rows, int64_t n, int64_t keep)
{
    const struct prior_config *c = &s->prior->config;

    if (n < 1 || n > s->sequences || keep < 0 || keep > prior_image_slots(c))
        return err_set(ERR_ARG, "%d rows with %d codes given do not fit", (int)n, (int)keep);
    for (int64_t m = 0; m < n; m++) {
        if (rows[m].caption < 0 || rows[m].caption >= s->captions)
            return err_set(ERR_ARG, "row %d names caption %d of %d", (int)m, (int)rows[m].caption, (int)s->captions);
        for (int64_t j = 0; j < keep; j++)
            if (rows[m].given[j] >= c->image_vocab)
                return err_set(ERR_FORMAT, "image token %d is not below the prior's vocabulary %d", rows[m].given[j],
                               (int)c->image_vocab);
    }
    return 0;
}

/* The codes back from the device; a row without any that could be drawn is an error. */
static int fetch(struct sampler *s, uint16_t *codes, int64_t n)
{
    int64_t slots = prior_image_slots(&s->prior->config);
    int32_t *got = s->host_state + 1 + 3 * n;
    int rc = device_download(s->prior->device, s->host_state, s->state, state_size(s, n));

    for (int64_t i = 0; rc == 0 && i < n * slots; i++) {
        if (got[i] < 0)
            return err_set(ERR_ARG, "row %d: the logits of position %d are not numbers", (int)(i / slots), (int)(i % slots));
        codes[i] = (uint16_t)got[i];
    }
    return rc;
}

int sampler_draw(struct sampler *s, uint16_t *codes, const struct sampler_row *rows, int64_t n, int64_t keep,
                 struct choose how, uint64_t seed)
{
    int64_t slots = prior_image_slots(&s->prior->config);
    struct step step = {s, n, &how};
    int rc = check_rows(s, rows, n, keep);

    how.rng = (struct rng){seed, RNG_SAMPLE};
    for (int64_t m = 0; rc == 0 && keep && m < n; m++)
        memcpy(codes + m * slots, rows[m].given, sizeof *codes * (size_t)keep);
    if (rc != 0 || keep == slots)
        return rc;
    if ((rc = begin(s, rows, n, 0, codes, keep)) != 0 ||
        (rc = device_repeat(s->prior->device, keep, pass, &step)) != 0 ||
        (rc = device_repeat(s->prior->device, slots - keep, pass_and_choose, &step)) != 0)
        return rc;
    return fetch(s, codes, n);
}

uint64_t sampler_step_of(const char *key, size_t key_size, uint32_t variant, uint32_t candidate)
{
    uint8_t bytes[16];

    put_u64(bytes, rng_hash(key, key_size));
    put_u32(bytes + 8, variant);
    put_u32(bytes + 12, candidate);
    return rng_hash(bytes, sizeof bytes);
}

/* SPDX-License-Identifier: MIT */
#include "compute/sample.h"

#include <inttypes.h>

#include "compute/backend.h"
#include "compute/check.h"

size_t op_thin_size(struct device *dev, int64_t n, int64_t k)
{
    return dev->ops->thin_size(dev->self, n, k);
}

int op_thin_pack(struct device *dev, void *packed, const struct tensor *w)
{
    int rc = check_rank("thin product: w", w, DTYPE_F32, 2);

    return rc != 0 ? rc : dev->ops->thin_pack(dev->self, packed, w);
}

int op_thin(struct device *dev, const struct tensor *y, const struct tensor *x, const void *packed,
            const struct tensor *bias, struct thin how)
{
    int rc;

    if ((rc = check_rank("thin product: x", x, DTYPE_F32, 2)) != 0 ||
        (rc = check_rank("thin product: y", y, DTYPE_F32, 2)) != 0 ||
        (rc = check_f32("thin product: y", y, x->shape[0], y->shape[1])) != 0 ||
        (bias != NULL && (rc = check_f32("thin product: bias", bias, y->shape[1])) != 0))
        return rc;
    return dev->ops->thin(dev->self, y, x, packed, bias, how);
}

/* Parts start on a cache line, as pieces of an arena do. */
static size_t part_bytes(int64_t elements)
{
    return ((size_t)elements * sizeof(float) + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
}

static int64_t keys_kept(const struct attn *a)
{
    int64_t image = a->h * a->w;

    return a->kind == ATTN_ROW && a->w + 1 < image ? a->w + 1 : image;
}

size_t attn_cache_size(const struct attn *a, int64_t head_width, int64_t captions, int64_t sequences)
{
    return 2 * part_bytes(captions * a->heads * attn_cache_room(a->text) * head_width) +
           2 * part_bytes(sequences * a->heads * attn_cache_room(keys_kept(a)) * head_width);
}

void attn_cache_place(struct attn_cache *c, void *block, const struct attn *a, int64_t head_width, int64_t captions,
                      int64_t sequences)
{
    int64_t keys = keys_kept(a);
    size_t text = part_bytes(captions * a->heads * attn_cache_room(a->text) * head_width);
    size_t image = part_bytes(sequences * a->heads * attn_cache_room(keys) * head_width);
    unsigned char *p = block;

    *c = (struct attn_cache){.captions = captions, .sequences = sequences, .keys = keys};
    c->text_k = p;
    c->text_v = p + text;
    c->image_k = p + 2 * text;
    c->image_v = p + 2 * text + image;
}

static int check_width(const struct attn *a, int64_t c)
{
    if (a->heads < 1 || c < 8 || c % a->heads != 0 || c / a->heads % 8 != 0 || c / a->heads > ATTN_WIDTH_MAX)
        return err_set(ERR_ARG, "cached attention: %" PRId64 " channels do not make %" PRId64 " heads", c, a->heads);
    return 0;
}

int op_cache_text(struct device *dev, const struct attn_cache *c, const struct tensor *qkv, const struct attn *a,
                  int64_t caption)
{
    int rc;

    if ((rc = check_rank("cached text: qkv", qkv, DTYPE_F32, 2)) != 0 || (rc = check_width(a, qkv->shape[1] / 3)) != 0 ||
        (rc = check_f32("cached text: qkv", qkv, a->text, qkv->shape[1] / 3 * 3)) != 0)
        return rc;
    if (caption < 0 || caption >= c->captions)
        return err_set(ERR_ARG, "cached text: no place for caption %" PRId64, caption);
    return dev->ops->cache_text(dev->self, c, qkv, a, caption);
}

int op_attn_cache(struct device *dev, const struct tensor *out, const struct attn_cache *c, const struct tensor *qkv,
                  const struct tensor *caption, const struct tensor *position, const struct attn *a)
{
    int rc;

    if ((rc = check_rank("cached attention: out", out, DTYPE_F32, 2)) != 0 || (rc = check_width(a, out->shape[1])) != 0 ||
        (rc = check_f32("cached attention: qkv", qkv, out->shape[0], 3 * out->shape[1])) != 0 ||
        (rc = check_i32("cached attention: caption", caption, out->shape[0])) != 0 ||
        (rc = check_i32("cached attention: position", position, 1)) != 0)
        return rc;
    if (out->shape[0] > c->sequences)
        return err_set(ERR_ARG, "cached attention: no place for %" PRId64 " sequences", out->shape[0]);
    return dev->ops->attn_cache(dev->self, out, c, qkv, caption, position, a);
}

int op_choose(struct device *dev, const struct tensor *codes, const struct tensor *logits, const struct tensor *step,
              const struct tensor *position, const struct choose *how)
{
    int rc;

    if ((rc = check_rank("choice: logits", logits, DTYPE_F32, 2)) != 0 ||
        (rc = check_rank("choice: codes", codes, DTYPE_I32, 2)) != 0 ||
        (rc = check_i32("choice: codes", codes, logits->shape[0], codes->shape[1])) != 0 ||
        (rc = check_i32("choice: step", step, logits->shape[0], 2)) != 0 ||
        (rc = check_i32("choice: position", position, 1)) != 0)
        return rc;
    if (logits->shape[1] < 1)
        return err_set(ERR_ARG, "choice: no tokens to choose from");
    if (!(how->temperature >= 0.0f) || how->top_k < 0 || !(how->top_p > 0.0f))
        return err_set(ERR_ARG, "choice: temperature %g, top-k %" PRId64 ", top-p %g", (double)how->temperature,
                       how->top_k, (double)how->top_p);
    return dev->ops->choose(dev->self, codes, logits, step, position, how);
}

int op_next(struct device *dev, const struct tensor *position, const struct tensor *slot, const struct tensor *codes,
            int64_t width)
{
    int rc;

    if ((rc = check_i32("next: position", position, 1)) != 0 || (rc = check_rank("next: codes", codes, DTYPE_I32, 2)) != 0 ||
        (rc = check_i32("next: slot", slot, 4, codes->shape[0])) != 0)
        return rc;
    if (width < 1)
        return err_set(ERR_ARG, "next: a width of %" PRId64, width);
    return dev->ops->next(dev->self, position, slot, codes, width);
}

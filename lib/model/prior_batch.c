/* SPDX-License-Identifier: MIT */
#include "model/prior_batch.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int prior_batch_init(struct prior_batch *b, const struct prior_config *c, int64_t capacity)
{
    size_t n = (size_t)capacity;

    *b = (struct prior_batch){.config = *c, .capacity = capacity};
    b->text = calloc(n * (size_t)c->text_slots, sizeof *b->text); /* one more than S-1: never nothing */
    b->image = calloc(n * (size_t)prior_image_slots(c), sizeof *b->image);
    b->length = calloc(n, sizeof *b->length);
    if (b->text && b->image && b->length)
        return 0;
    prior_batch_fini(b);
    return err_set(ERR_NOMEM, "no memory for the tokens of %" PRId64 " pairs", capacity);
}

void prior_batch_fini(struct prior_batch *b)
{
    free(b->text);
    free(b->image);
    free(b->length);
    *b = (struct prior_batch){0};
}

size_t prior_batch_bytes(const struct prior_config *c, int64_t capacity)
{
    return (size_t)capacity * ((size_t)prior_slots(c) * sizeof(uint16_t) + sizeof(int32_t));
}

static int check_tokens(const char *kind, const uint16_t *tokens, int64_t n, int64_t vocab)
{
    for (int64_t i = 0; i < n; i++)
        if (tokens[i] >= vocab)
            return err_set(ERR_FORMAT, "%s token %d is not below the prior's vocabulary %" PRId64, kind, tokens[i], vocab);
    return 0;
}

int prior_batch_add(struct prior_batch *b, const uint16_t *text, int64_t text_count, const uint16_t *image,
                    int64_t image_count)
{
    const struct prior_config *c = &b->config;
    int64_t slots = prior_image_slots(c), top = prior_caption_max(c), length = text_count < top ? text_count : top;
    int rc;

    if (b->n >= b->capacity)
        return err_set(ERR_ARG, "more than %" PRId64 " pairs in a batch", b->capacity);
    if (image_count != slots)
        return err_set(ERR_MISMATCH, "%" PRId64 " image tokens, the prior draws %" PRId64, image_count, slots);
    if ((rc = check_tokens("text", text, length, c->text_vocab)) != 0 ||
        (rc = check_tokens("image", image, slots, c->image_vocab)) != 0)
        return rc;
    if (length)
        memcpy(b->text + b->n * (c->text_slots - 1), text, sizeof *text * (size_t)length);
    memcpy(b->image + b->n * slots, image, sizeof *image * (size_t)slots);
    b->length[b->n++] = (int32_t)length;
    b->text_tokens += length;
    b->cut += text_count > top;
    return 0;
}

struct prior_examples prior_batch_part(const struct prior_batch *b, int64_t first, int64_t n)
{
    return (struct prior_examples){n, b->text + first * (b->config.text_slots - 1), b->length + first,
                                   b->image + first * prior_image_slots(&b->config)};
}

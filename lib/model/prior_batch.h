/* SPDX-License-Identifier: MIT */
/* prior_batch.h -- pairs gathered on the host as the prior wants them: captions cut, tokens checked.
 *
 * Memory   one block for `capacity` pairs
 * Errors   ERR_FORMAT a token that is not below the prior's vocabulary; ERR_MISMATCH another number of codes
 */
#ifndef MODEL_PRIOR_BATCH_H
#define MODEL_PRIOR_BATCH_H

#include "model/prior_pass.h"

struct prior_batch {
    struct prior_config config;
    int64_t capacity, n;        /* pairs */
    uint16_t *text, *image;     /* owned: [capacity,S-1], [capacity,H*W] */
    int32_t *length;            /* owned: [capacity] */
    int64_t text_tokens;        /* in the n pairs */
    int64_t cut;                /* captions cut at the right since the start */
};

must_check int prior_batch_init(struct prior_batch *b, const struct prior_config *c, int64_t capacity);
void prior_batch_fini(struct prior_batch *b);
size_t prior_batch_bytes(const struct prior_config *c, int64_t capacity);

static inline void prior_batch_clear(struct prior_batch *b)
{
    b->n = 0;
    b->text_tokens = 0;
}

/* Add a pair.  text_count is the caption's full length; only as much as fits is read. */
must_check int prior_batch_add(struct prior_batch *b, const uint16_t *text, int64_t text_count, const uint16_t *image,
                               int64_t image_count);

/* Pairs first .. first+n-1, borrowed. */
struct prior_examples prior_batch_part(const struct prior_batch *b, int64_t first, int64_t n);

#endif

/* SPDX-License-Identifier: MIT */
/* draw.h -- captions in, pictures out, in order: fills the sampler's batches with candidates of many captions.
 *
 * A batch is drawn when it is full or at the end; its rows are (caption, candidate), each caption's text computed once
 * even where its candidates spread over several batches.
 *
 * Memory   a sampler (sampler.h), and keys, prompts and codes of one batch
 */
#ifndef MODEL_DRAW_H
#define MODEL_DRAW_H

#include "model/sampler.h"

/* Take one picture: codes [H*W] of candidate 0..candidates-1 of a caption. */
typedef int draw_put(void *to, const char *key, uint32_t variant, uint32_t candidate, const uint16_t *codes);

struct draw_options {
    int64_t candidates;  /* of a caption, at least 1 */
    int64_t batch;       /* rows drawn together, at least 1 */
    int64_t keep;        /* codes given by the prompts, 0: no prompts */
    uint64_t seed;
    struct choose how;   /* temperature, top_k, top_p */
};

struct draw_caption {
    char *key;           /* owned */
    uint32_t variant;
    uint16_t *given;     /* owned: [H*W] */
};

struct draw {
    struct draw_options o;
    struct sampler sampler;
    struct draw_caption *caption; /* owned: [places], place = number mod places */
    int64_t places, captions;     /* captions so far */
    struct sampler_row *row;      /* owned: [batch], waiting */
    uint32_t *candidate;          /* owned: [batch] */
    uint16_t *codes;              /* owned: [batch,H*W] */
    int64_t rows;                 /* waiting */
    draw_put *put;
    void *to;                     /* borrowed: put's */
};

/* Text prefixes that a batch needs at the same time. */
static inline int64_t draw_places(const struct draw_options *o)
{
    return (o->batch - 1) / o->candidates + 2 < o->batch ? (o->batch - 1) / o->candidates + 2 : o->batch;
}

/* Without the prior's device: a plan only (d->sampler's sizes). */
must_check int draw_init(struct draw *d, const struct prior *prior, const struct draw_options *o, draw_put *put, void *to);
void draw_fini(struct draw *d);

/* Draw a caption's candidates, now or with later ones.  given: [H*W] where keep > 0, copied. */
must_check int draw_add(struct draw *d, const char *key, uint32_t variant, const uint16_t *tokens, int64_t count,
                        const uint16_t *given);
/* Draw what waits. */
must_check int draw_flush(struct draw *d);

#endif

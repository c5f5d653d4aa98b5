/* SPDX-License-Identifier: MIT */
/* sampler.h -- image codes for captions, one position at a time, keys and values kept from step to step.
 *
 * A caption's text slots are computed once (sampler_text) and kept in one of `captions` places; each of up to `sequences`
 * rows then draws a picture behind the prefix that it names.  Weights are packed once, at the start.
 *
 *   logits at position j depend on the caption and the codes before j; code j is drawn at (seed, RNG_SAMPLE, step, j), where
 *   step names the candidate: sampler_step_of(key, variant, candidate)
 *
 * Memory   two blocks: packed weights, and caches with workspace; nothing is allocated afterwards.  Row layers keep w+1
 *          image keys, the others all
 * Order    cpu: a row's codes are the same bytes alone and in any batch, for any number of threads
 */
#ifndef MODEL_SAMPLER_H
#define MODEL_SAMPLER_H

#include "compute/sample.h"
#include "model/prior.h"

struct sampler_layer {
    void *qkv, *out, *up, *down; /* packed weights */
    struct attn attn;
    struct attn_cache cache;
};

struct sampler {
    const struct prior *prior;       /* borrowed: embeddings, norms and biases are read from it */
    int64_t captions, sequences;     /* capacities */
    struct arena weights, arena;
    size_t weight_bytes;             /* allocated or planned */
    size_t text_bytes, image_bytes;  /* of the caches */
    size_t work_bytes;
    struct sampler_layer *layer;     /* owned: L of them */
    void *logits_w;                  /* packed */
    float *x, *h, *qkv, *out, *act, *mean, *rstd, *lse; /* max(S, sequences) rows */
    float *logits;                   /* [sequences,Vi] */
    int32_t *index;                  /* device: tables of max(S, sequences) indices */
    int32_t *state;                  /* device: what a step reads and changes, as in host_state */
    int32_t *host_index;             /* owned */
    int32_t *host_state;             /* owned: position [1], caption [n], address of draws [n,2], codes [n,H*W] */
};

struct sampler_row {
    int64_t caption;       /* place of its text prefix */
    uint64_t step;         /* address of its draws */
    const uint16_t *given; /* [H*W], of which the first `keep` codes are taken; NULL where keep is 0 */
};

/* Without the prior's device: a plan only. */
must_check int sampler_init(struct sampler *s, const struct prior *prior, int64_t captions, int64_t sequences);
void sampler_fini(struct sampler *s);

/* Compute the text slots of a caption of count tokens, at most prior_caption_max, into a place. */
must_check int sampler_text(struct sampler *s, int64_t caption, const uint16_t *tokens, int64_t count);

/* codes [n, H*W]: the first keep codes of each row are its given ones, the others are drawn as `how` says (rng and slot are
 * set here from seed).  n at most `sequences`. */
must_check int sampler_draw(struct sampler *s, uint16_t *codes, const struct sampler_row *rows, int64_t n, int64_t keep,
                            struct choose how, uint64_t seed);

/* One position: codes [n, H*W] hold those before it.  Leaves the logits of position in s->logits. */
must_check int sampler_step(struct sampler *s, const uint16_t *codes, const struct sampler_row *rows, int64_t n,
                            int64_t position);

uint64_t sampler_step_of(const char *key, size_t key_size, uint32_t variant, uint32_t candidate);

#endif

/* SPDX-License-Identifier: MIT */
/* prior_pass.h -- the prior over a batch of pairs: logits, loss, gradients.
 *
 * Positions of one example: S text slots, then H*W image slots (prior.h).  Text targets are real caption tokens only; the
 * state at the caption's last token and those at pads have none.  The loss of an update is
 *
 *   1/8 * (sum of text cross-entropies / text tokens of the update) + 7/8 * (the same of the image)
 *
 * in nats.  Micro batches of an update share the two scales, so the caller counts the update's text tokens first.
 *
 * Memory   one block of the device, planned for n examples; nothing is allocated afterwards.  With gradients every layer's
 *          activations are kept (2 d floats and 14 d numbers of the branch type a position and layer), without them one layer's
 * Order    an example's logits do not depend on later tokens; sums over examples in order
 * Source   Ramesh et al. 2021, section 2.2
 */
#ifndef MODEL_PRIOR_PASS_H
#define MODEL_PRIOR_PASS_H

#include "model/prior.h"

#define PRIOR_TEXT_WEIGHT 0.125  /* of the text in the loss */
#define PRIOR_IMAGE_WEIGHT 0.875

struct prior_examples {
    int64_t n;
    const uint16_t *text;   /* [n, S-1]: caption tokens, those behind length are not read */
    const int32_t *length;  /* [n], 0..prior_caption_max */
    const uint16_t *image;  /* [n, H*W] */
};

struct prior_loss {
    double text, image;               /* sums of cross-entropies, nats */
    int64_t text_tokens, image_tokens;
};

/* What one layer leaves for its backward pass; all borrowed from the arena. */
struct prior_kept {
    float *x, *middle;                 /* the layer's input, and the stream between its two branches */
    void *h, *qkv, *out, *h2, *up, *act; /* of the prior's branch type */
    float *lse, *mean, *rstd, *mean2, *rstd2;
};

struct prior_pass {
    const struct prior *prior;  /* borrowed */
    int64_t capacity;           /* examples */
    bool gradients;
    struct arena arena;
    size_t bytes;               /* of the arena, allocated or planned */
    size_t kept_bytes;          /* of it, what the layers keep */
    struct prior_kept *kept;    /* owned: L of them; without gradients they share memory */
    float *last, *gathered, *mean, *rstd;            /* the stream behind the last layer; its rows, text first */
    void *h;                                         /* these normalised, of the branch type */
    float *text_logits, *image_logits, *loss;        /* [n*S,Vt] [n*H*W,Vi] [n*T]; after the backward pass their gradients */
    float *dx;                                       /* [n*T,d] */
    void *dh, *dwide;                                /* [n*T,d] [n*T,4d] of the branch type */
    int32_t *index;             /* device: the tables below, n*T each */
    int32_t *host_index;        /* owned */
    float *host_loss;           /* owned */
    int64_t examples;           /* of the last call */
    struct prior_loss counted;  /* their tokens */
};

/* Without the prior's device: a plan only. */
must_check int prior_pass_init(struct prior_pass *pass, const struct prior *prior, int64_t n, bool gradients);
void prior_pass_fini(struct prior_pass *pass);
size_t prior_pass_host_bytes(const struct prior_pass *pass); /* beside the device's, allocated or planned */

/* Loss of the examples; the logits stay in pass->text_logits and pass->image_logits, text slots of all examples first in
 * order, likewise image slots. */
must_check int prior_forward(struct prior_pass *pass, const struct prior_examples *e, struct prior_loss *loss);

/* Forward, then add to the prior's gradients those of text_scale * (sum of text) + image_scale * (sum of image).  A device may
 * still be at it when the call returns, and the examples may be overwritten then; prior_losses waits. */
must_check int prior_backward(struct prior_pass *pass, const struct prior_examples *e, float text_scale, float image_scale);

/* The losses of the last call's examples. */
must_check int prior_losses(struct prior_pass *pass, struct prior_loss *loss);

/* The mean loss of the two sums; a kind without tokens counts 0. */
double prior_loss_mean(const struct prior_loss *loss);

#endif

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
 * Where blocks have gradient scales (prior_pass.scale) a residual block's backward pass is that of the paper's figure 4: the
 * stream's f32 gradient is multiplied by the block's scale and filtered, rounded to the branch's type, taken back through the
 * branch and the norm, divided by the scale, filtered, and added to the stream's.  Parameters' gradients of the block are left
 * multiplied by the scale.  What is too large for f16 thus shows as infinite or NaN in these, and goes no further.  Forward, a
 * branch's last product is added to the stream from its f32 sums, one rounding to f16 less than in the paper.
 *
 * Memory   one block of the device, planned for n examples; nothing is allocated afterwards.  Of a position and layer it
 *          keeps 2 d floats of the stream and, of the branches' type, 14 d numbers (PRIOR_KEEP_ALL), 9 d (PRIOR_KEEP_MLP) or none
 *          (PRIOR_KEEP_STREAM); PRIOR_KEEP_NOTHING not even the stream.  What a backward pass lacks it computes again by the same
 *          operations, so that gradients are the same bytes
 * Order    an example's logits do not depend on later tokens; sums over examples in order
 * Source   Ramesh et al. 2021, sections 2.2 and 2.4, figure 4
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

/* What the layers keep for the backward pass, apart from the logits. */
enum prior_keep {
    PRIOR_KEEP_NOTHING, /* there is none */
    PRIOR_KEEP_STREAM,  /* both branches are computed again */
    PRIOR_KEEP_MLP,     /* attention is */
    PRIOR_KEEP_ALL
};
#define PRIOR_RECOMPUTE "none|attention|block"

enum prior_keep prior_keep_of(const char *recompute); /* one of these */

/* What one layer leaves for its backward pass; all borrowed from the arena. */
struct prior_kept {
    float *x, *middle;                   /* the layer's input, and the stream between its two branches */
    void *h, *qkv, *out, *h2, *up, *act; /* of the prior's branch type; shared by the layers where they are computed again */
    float *lse, *mean, *rstd, *mean2, *rstd2;
};

struct prior_pass {
    const struct prior *prior;  /* borrowed */
    int64_t capacity;           /* examples */
    enum prior_keep keep;
    const float *scale;         /* borrowed: [2L], of the gradient of each block; NULL: 1, and nothing is filtered */
    int64_t *lost;              /* borrowed: [2L], += elements of the gradient entering each block that are 0 there, for which each
                                 * backward pass waits; NULL: not counted */
    struct arena arena;
    size_t bytes;               /* of the arena, allocated or planned */
    size_t kept_bytes;          /* of it, what the layers keep */
    struct prior_kept *kept;    /* owned: L of them */
    float *last, *gathered, *mean, *rstd;            /* the stream behind the last layer; its rows, text first */
    void *h;                                         /* these normalised, of the ends' type */
    float *text_logits, *image_logits, *loss;        /* [n*S,Vt] [n*H*W,Vi] [n*T]; after the backward pass their gradients */
    float *dx;                                       /* [n*T,d] */
    void *dh, *dwide;                                /* [n*T,d] [n*T,4d] of the branch's type, dh of the ends' as well */
    int32_t *index;             /* device: the tables below, n*T each */
    int32_t *host_index;        /* owned */
    float *host_loss;           /* owned */
    int64_t examples;           /* of the last call */
    struct prior_loss counted;  /* their tokens */
};

/* Without the prior's device: a plan only. */
must_check int prior_pass_init(struct prior_pass *pass, const struct prior *prior, int64_t n, enum prior_keep keep);
void prior_pass_fini(struct prior_pass *pass);
size_t prior_pass_host_bytes(const struct prior_pass *pass); /* beside the device's, allocated or planned */
/* Working memory that an update's operations take beside the arena, on a device of that name at a precision of that name. */
must_check int prior_pass_working(size_t *bytes, const struct prior_pass *pass, const char *device, const char *precision);

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

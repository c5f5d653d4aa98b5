/* SPDX-License-Identifier: MIT */
/* dvae_watch.h -- what a training log says about a dVAE, and the warning of a collapse.
 *
 *   relaxed_elb   -(nll + KL) of relaxed codes at the present temperature     } nats a value (pixel and channel), beta 1:
 *   hard_elb      the same with codes drawn from the categorical, one-hot     } bounds of ln p(x); measured on fixed pictures
 *   psnr          dB, of arg-max reconstructions against the pictures without dither
 *   nll, kl       of the batches since the last line: nats a value, nats a position
 *   codes         different arg-max codes in those batches; perplexity: exp of the entropy of their frequencies
 *
 * Collapse  fewer than 1 in DVAE_FEW codes in use, at DVAE_FEW_LINES lines in a row: the line says warn "collapse: ...".
 *           Usual causes: flat pictures without dither, beta too high too early, a temperature that falls too fast.
 * Memory    pictures of one batch in several forms, 8 bytes a code of the vocabulary
 */
#ifndef MODEL_DVAE_WATCH_H
#define MODEL_DVAE_WATCH_H

#include <jansson.h>

#include "model/dvae.h"

#define DVAE_FEW 32
#define DVAE_FEW_LINES 3

struct dvae_watch {
    struct dvae_config config;
    int64_t batch;       /* most pictures at once */
    uint8_t *rgb;        /* owned, as the rest: [batch,size,size,C] */
    float *pixels, *out; /* [batch,size,size,C], [batch,size,size,2C] */
    int32_t *codes;      /* [batch,h,w] */
    int64_t *seen;       /* [V]: how often each code occurred since the last line */
    int64_t positions, pictures;
    double nll, kl;      /* sums since the last line */
    int few_lines;       /* lines in a row with few codes */
};

/* Sums over pictures. */
struct dvae_score {
    double relaxed_nll, kl, hard_nll, squares;
    int64_t pictures;
};

must_check int dvae_watch_init(struct dvae_watch *w, const struct dvae_config *c, int64_t batch);
void dvae_watch_fini(struct dvae_watch *w);

/* Count w->codes of the pictures just learned, and their loss. */
void dvae_watch_add(struct dvae_watch *w, const struct dvae_loss *loss, int64_t count);
/* nll, kl, codes, perplexity and perhaps warn into the line; counting starts again. */
void dvae_watch_line(struct dvae_watch *w, json_t *line);

/* Measure count pictures in w->rgb; dither as in training; how gives temperature and seed, its step addresses the noise. */
must_check int dvae_score_add(struct dvae_score *s, struct dvae_watch *w, struct dvae *d, int64_t count, double dither,
                              const struct dvae_relax *how);
/* relaxed_elb, hard_elb, psnr into the line, names behind prefix. */
void dvae_score_line(const struct dvae_score *s, const struct dvae_config *c, json_t *line, const char *prefix);

/* rgb[count,size,size,C] as the model gives it back: arg-max codes, then the picture that the decoder makes of them. */
must_check int dvae_rebuild(struct dvae_watch *w, struct dvae *d, uint8_t *rebuilt, const uint8_t *rgb, int64_t count);

#endif

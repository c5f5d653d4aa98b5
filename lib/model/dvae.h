/* SPDX-License-Identifier: MIT */
/* dvae.h -- the discrete variational autoencoder: pictures to a grid of codes and back.
 *
 *   encoder   conv 7x7, four groups of residual blocks of widths n, 2n, 4n, 8n, max-pool 2 after the first `downs` of them,
 *             ReLU, conv 1x1 to V logits at each of (size/2^downs)^2 positions
 *   decoder   conv 1x1 from V, four groups of widths 8n, 4n, 2n, n, doubling after groups 4-downs .. 3, ReLU, conv 1x1 to
 *             2C numbers a pixel: mu of each channel, then ln b of each channel
 *   block     y = id(x) + c4(relu c3(relu c2(relu c1(relu x)))) / (4 blocks)^2, bottleneck of a quarter of the width;
 *             kernels 3 3 3 1 in the encoder, 1 3 3 3 in the decoder; id is a 1x1 conv where the width changes
 *
 * The published model has size 256, n 256, init 128, 2 blocks a group, V 8192, 3 downs; its least sizes (n 64, V 512,
 * init 8) are not asked for here.
 *
 *   pixels    x = 0.8 v + 0.1, v in [0,1]: both what the encoder sees and what the likelihood is of
 *   loss      ( -sum over pixels of ln p(x | mu, b)  +  beta * sum over positions of KL ) / (size * size * C), mean over
 *             pictures; p the logit-Laplace density (compute/loss.h), KL from the un-relaxed categorical to the uniform one;
 *             the decoder sees the relaxed codes (compute/gumbel.h), forward and backward
 *
 * Names    "encoder." and "decoder." before blocks.input.{w,b}, blocks.group_G.block_B.res_path.conv_C.{w,b},
 *          blocks.group_G.block_B.id_path.{w,b}, blocks.output.conv.{w,b}
 * Shapes   weights [O,I,K,K], pictures [N,H,W,C], logits [N,h,w,V], codes [N,h,w]
 * Memory   one block each for weights, gradients and everything that a step needs; nothing is allocated afterwards
 * Errors   ERR_LIMIT a size out of range, named; ERR_NOMEM; what the operations report
 * Order    cpu: same bytes for the same number of threads and the same split into calls
 * Source   Ramesh et al. 2021, sections 2.1 and A.1 to A.3; the published encoder.py, decoder.py, utils.py
 */
#ifndef MODEL_DVAE_H
#define MODEL_DVAE_H

#include "compute/device.h"
#include "compute/gumbel.h"
#include "compute/param.h"
#include "format/st.h"

#define DVAE_GROUPS 4
#define DVAE_DOWNS_MAX 3
#define DVAE_EPS 0.1 /* of the pixel mapping */

struct dvae_config {
    int64_t size;     /* height and width of a picture, a multiple of 2^downs, 1..4096 */
    int64_t channels; /* C, 1..16; 3 */
    int64_t vocab;    /* V, 2..65536 */
    int64_t hid;      /* n: width of the encoder's first group, a multiple of 4, 4..4096 */
    int64_t init;     /* width of a code in the decoder, 1..4096 */
    int64_t blocks;   /* in a group, 1..64 */
    int64_t downs;    /* halvings, 0..DVAE_DOWNS_MAX */
};

must_check int dvae_config_check(const struct dvae_config *c);

static inline int64_t dvae_grid(const struct dvae_config *c) /* height and width of the grid of codes */
{
    return c->size >> c->downs;
}

/* ---- making one -------------------------------------------------------------------------------------------------- */

enum dvae_use {
    DVAE_ENCODER = 1,
    DVAE_DECODER = 2,
    DVAE_LEARN = 4 /* gradients too; needs both halves */
};

struct dvae;

struct dvae_sizes {
    int64_t encoder_values, decoder_values; /* parameters */
    int convs[2];                           /* convolutions of the two halves */
    size_t weights, gradients;              /* bytes on the device */
    size_t activations;                     /* kept from forward to backward, inputs and outputs included */
    size_t scratch;                         /* shared by all layers */
    size_t host;                            /* bytes on the host */
};

/* use: enum dvae_use together.  Weights are zero until dvae_start or dvae_fill. */
must_check int dvae_create(struct dvae **d, struct device *dev, const struct dvae_config *c, int use, int64_t batch);
/* Its sizes and parameters' names alone, without a device's memory.  type: of activations (device_activations_planned). */
must_check int dvae_plan(struct dvae **d, enum dtype type, const struct dvae_config *c, int use, int64_t batch);
void dvae_free(struct dvae *d);

const struct dvae_config *dvae_config_of(const struct dvae *d);
const struct dvae_sizes *dvae_sizes_of(const struct dvae *d); /* as allocated */
const struct param_table *dvae_params(const struct dvae *d);

/* Initial values: w from N(0, 1/sqrt(I K^2)) at (seed, RNG_INIT, index of the parameter, element), b zero. */
must_check int dvae_start(struct dvae *d, uint64_t seed);

/* ---- pixels ------------------------------------------------------------------------------------------------------ */

/* n bytes to the model's scale.  dither > 0: uniform noise of +-dither (of v) at (rng, step, first + i), kept inside the
 * open range; one Philox call gives four neighbours as in gumbel.h. */
void dvae_map(float *to, const uint8_t *from, int64_t n, double dither, struct rng rng, uint64_t step, uint64_t first);

/* n pixels of 2C decoder outputs to bytes: unmap(sigmoid(mu)). */
void dvae_unmap(uint8_t *to, const float *out, int64_t n, int64_t channels);

/* ---- learning ---------------------------------------------------------------------------------------------------- */

struct dvae_relax {
    double tau, beta;
    struct rng rng;      /* RNG_GUMBEL */
    uint64_t step;       /* update */
    int64_t first;       /* of the pictures in the update's batch: addresses their noise */
    int64_t total;       /* pictures in the update's batch, over all calls */
};

struct dvae_loss {
    double nll; /* -ln p of all pixels of all pictures given, in nats */
    double kl;  /* of all positions */
};

/* Forward and backward of count pictures (host, mapped): the gradients of their share of the mean loss are added.
 * dvae_relaxed runs forward only.  Both need DVAE_LEARN. */
must_check int dvae_learn(struct dvae *d, struct dvae_loss *loss, const float *pixels, int64_t count,
                          const struct dvae_relax *how);
must_check int dvae_relaxed(struct dvae *d, struct dvae_loss *loss, const float *pixels, int64_t count,
                            const struct dvae_relax *how);
/* The loss from its parts. */
double dvae_objective(const struct dvae_config *c, const struct dvae_loss *loss, int64_t count, double beta);

/* Codes of the pictures of the last call: arg-max of the logits that it left. */
must_check int dvae_last_codes(struct dvae *d, int32_t *codes, int64_t count);

/* ---- using ------------------------------------------------------------------------------------------------------- */

/* codes [N,h,w]: arg-max of the logits, or with sample (its rng RNG_HARD) drawn from them. */
must_check int dvae_encode(struct dvae *d, int32_t *codes, const float *pixels, int64_t count, const struct gumbel *sample);

/* out [N,H,W,2C] on the host; nll NULL or -ln p of pixels (mapped), which is NULL without it.
 * ERR_ARG a code outside the vocabulary. */
must_check int dvae_decode(struct dvae *d, float *out, double *nll, const int32_t *codes, const float *pixels,
                           int64_t count);
/* The decoder's weights have changed since the last dvae_decode (dvae_learn says so itself). */
void dvae_changed(struct dvae *d);

/* ---- files ------------------------------------------------------------------------------------------------------- */

/* A file of named tensors as a dVAE: with or without "encoder."/"decoder." before the names, either half alone, or named as
 * in the FLAVA codebook (group_G.group.block_B.res_path.path.conv_C.weight).  What the metadata do not say is read off the
 * shapes; size and downs then are the caller's (0: 256 and 3). */
struct dvae_file;

struct dvae_file_info {
    struct dvae_config config; /* init is 0 without a decoder */
    int use;                   /* halves that are there */
    struct digest digest;      /* of all tensors under their full names (st_digest); zero where a half is missing */
    int64_t step;              /* -1: not known */
};

must_check int dvae_file_open(struct dvae_file **f, struct dvae_file_info *info, const char *path, int64_t size,
                              int64_t downs);
void dvae_file_close(struct dvae_file *f);
/* Fill the weights of the halves that d has.  ERR_MISMATCH names the tensor that is missing or of another shape. */
must_check int dvae_fill(struct dvae *d, const struct dvae_file *f);

/* Metadata of a checkpoint: format "armchair-dvae 1", config (a JSON object of the fields of struct dvae_config),
 * provenance. */
#define DVAE_META_FIELDS 3
#define DVAE_CONFIG_TEXT 256
void dvae_meta(struct st_meta meta[DVAE_META_FIELDS], char text[DVAE_CONFIG_TEXT], const struct dvae_config *c,
               const char *provenance);

/* ERR_MISMATCH naming the first field in which a checkpoint's shape differs from the one asked for. */
must_check int dvae_config_same(const struct dvae_config *asked, const struct dvae_config *found);
must_check int dvae_file_same(const char *path, const struct dvae_config *asked);

#endif

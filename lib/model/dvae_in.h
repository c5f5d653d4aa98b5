/* SPDX-License-Identifier: MIT */
/* dvae_in.h -- inside the dVAE: layers, their tensors, and where these lie.  Not for other modules.
 *
 * A forward pass without a backward one needs few tensors at a time: they share slots.  In learn mode each tensor that the
 * backward pass reads has its own place, and only gradients and short-lived ones share.
 */
#ifndef MODEL_DVAE_IN_H
#define MODEL_DVAE_IN_H

#include <stdbool.h>

#include "model/dvae.h"

#define DVAE_NAME 96 /* bytes of a parameter's name */

struct dvae_conv {
    struct param *w, *b; /* borrowed from the table; NULL: no such convolution */
};

struct dvae_block {
    struct dvae_conv conv[4], id;
    int64_t in, mid, out;  /* widths */
    bool pool;             /* halves its input first (encoder) */
    bool up;               /* doubles (decoder): behind the two 1x1 convolutions, which commute with it and are 4 times cheaper
                            * there */
    struct tensor full;    /* pool: the stream before it, a view */
    struct tensor x;       /* the block's input */
    struct tensor h0;      /* relu(x) */
    struct tensor low_mid, low_out; /* up: outputs of conv_1 and id before doubling */
    struct tensor h[3];    /* outputs of conv_1..3 behind their ReLU, doubled if up */
    struct tensor y;       /* the output; lies in x where there is no id */
};

struct dvae_half {
    struct dvae_conv input, output;
    struct dvae_block *block; /* owned */
    int count;                /* of blocks */
    struct tensor in, first;  /* the input, and the stream that the first convolution makes of it */
    struct tensor top;        /* relu of the last block's output, in its place */
    struct tensor out;
    /* The two convolutions around the relaxation, the encoder's last and the decoder's first, stay f32: what they read or
     * make beside the stream.  Where the stream is f32 too, and at the other ends, these are top and first themselves. */
    struct tensor wide_top, wide_first;
};

/* Shared places. */
enum dvae_slot {
    SLOT_STREAM_A, SLOT_STREAM_B, SLOT_H0, SLOT_H1, SLOT_H2, SLOT_LOW,        /* forward */
    SLOT_GRAD_A, SLOT_GRAD_B, SLOT_GRAD_RES, SLOT_GRAD_H1, SLOT_GRAD_H2,      /* backward */
    SLOT_COUNT
};

struct dvae {
    struct dvae_config config;
    int use;                    /* enum dvae_use together */
    int64_t batch;              /* most pictures in a call */
    struct device *device;      /* borrowed; NULL: measuring only */
    enum dtype type;            /* of the stream and the branches: f32, or bf16 where the device stores it at its precision */
    struct dvae_sizes sizes;
    struct param_table params;  /* item is owned */
    char (*name)[DVAE_NAME];           /* owned: names of the parameters */
    struct arena weights, gradients, work; /* owned, on the device */
    struct dvae_half encoder, decoder;
    float gain;                 /* of the residual paths */
    void *slot[SLOT_COUNT];     /* borrowed from work */
    size_t slot_size[SLOT_COUNT];
    struct tensor pixels, kl, nll, codes, table, dz; /* table [V,init]: columns of the decoder's input with its bias */
    struct tensor wide_out;     /* the decoder's output in f32 */
    float *host;                /* owned: sums, tables, noise on their way */
    size_t host_size;
    bool table_fresh;
};

/* dvae_shape.c: fill the table of parameters (data NULL without a device), place the tensors for count pictures. */
must_check int dvae_shape(struct dvae *d);
must_check int dvae_place(struct dvae *d, int64_t count);
void dvae_name(char name[DVAE_NAME], int half, int group, int block, int conv, const char *kind);

/* dvae_pass.c: forward and backward of a half.  din NULL: the gradient of the input is not wanted. */
must_check int dvae_forward(struct dvae *d, struct dvae_half *h, bool from_first);
must_check int dvae_backward(struct dvae *d, struct dvae_half *h, const struct tensor *dout, const struct tensor *din);

/* dvae_config.c: the configuration in a file's metadata.  1: read; 0: the metadata are not ours; ERR_FORMAT. */
must_check int dvae_meta_read(struct dvae_config *c, const struct st_file *file);

/* A view of a shared place with the shape of like. */
struct tensor dvae_view(const struct dvae *d, enum dvae_slot slot, const struct tensor *like);

#endif

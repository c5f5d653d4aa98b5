/* SPDX-License-Identifier: MIT */
/* prior.h -- the parameters of the prior: a decoder-only transformer over text slots, then image slots.
 *
 *   text slot 0     text.start + text.position[0]
 *   text slot t     text.token[caption token t-1] + text.position[t], or text.pad[t] alone behind the caption's end
 *   image slot 0    image.start + image.row[0] + image.column[0]
 *   image slot j    image.token[code j-1] + image.row[j / W] + image.column[j mod W]
 *   a layer         x += out(attn(q, k, v of norm(x)));  x += down(gelu(up(norm(x))))
 *   the end         logits = text.logits or image.logits of final.norm(x)
 *
 * The state at text slot t predicts caption token t, the state at image slot j predicts code j.
 *
 * Names    text.{token,position,pad,start}.weight  image.{token,row,column,start}.weight  layers.N.{attn,mlp}.norm.*
 *          layers.N.attn.{q,k,v,out}.*  layers.N.mlp.{up,down}.*  final.norm.*  text.logits.*  image.logits.*
 *          with * = weight, bias; matrices are [out,in], the starts [1,d]
 * Memory   values in one block of the device, gradients in another; q, k and v of a layer lie together, so that one
 *          product computes them.  Without a device nothing is allocated: names, shapes and sizes only
 * Source   Ramesh et al. 2021, appendix B.1; Child et al. 2019, sections 5 and 6
 */
#ifndef MODEL_PRIOR_H
#define MODEL_PRIOR_H

#include "compute/device.h"
#include "compute/param.h"
#include "model/prior_config.h"

#define PRIOR_NORM_EPS 1e-5f
#define PRIOR_NAME_MAX 48

struct prior_norm {
    struct tensor g, b; /* [d] */
};

struct prior_linear {
    struct tensor w, b; /* [out,in], [out] */
};

struct prior_layer {
    struct prior_norm attn_norm, mlp_norm;
    struct prior_linear qkv;  /* [3d,d]: q, k, v */
    struct prior_linear out, up, down;
};

/* Values, or gradients with the same shapes. */
struct prior_weights {
    struct tensor text_token, text_position, text_pad, text_start;    /* [Vt,d] [S,d] [S,d] [1,d] */
    struct tensor image_token, image_row, image_column, image_start;  /* [Vi,d] [H,d] [W,d] [1,d] */
    struct prior_layer *layer;                                        /* owned: L of them */
    struct prior_norm final;
    struct prior_linear text_logits, image_logits;                    /* [Vt,d], [Vi,d] */
};

/* The numbers that parts of a prior are kept in.  All else, the stream between the branches above all, is f32. */
struct prior_types {
    enum dtype weights; /* matrices of the residual blocks */
    enum dtype grads;   /* their gradients */
    enum dtype branch;  /* activations inside the branches, and their gradients */
    enum dtype ends;    /* what the logits are computed from, and its gradient */
};

struct prior {
    struct prior_config config;
    struct device *device;        /* borrowed; NULL: a plan only */
    struct prior_types types;
    struct prior_weights w, dw;
    struct param_table params;    /* item is owned; block: 2N attention of layer N, 2N+1 its MLP */
    float *spread;                /* owned: standard deviation of each parameter's initial values */
    float *centre;                /* owned: their mean, 1 for gains, else 0 */
    char (*name)[PRIOR_NAME_MAX]; /* owned */
    struct arena values, grads;
    size_t value_bytes, grad_bytes; /* of the two blocks, allocated or planned */
};

/* Those of --precision auto, f32, bf16 or fp16 on a device of that name.  In bf16 the gradients are f32 where there are master
 * copies of the weights, else bf16; fp16 is the paper's: everything in the blocks is f16, the logits' products are f32. */
struct prior_types prior_types_of(const char *device, const char *precision, bool master);

/* gradients: room for them too.  Values are zero until prior_start or a checkpoint fills them.  types all zero: f32. */
must_check int prior_init(struct prior *p, struct device *dev, const struct prior_config *config, struct prior_types types,
                          bool gradients);
void prior_fini(struct prior *p);

/* Initial values as Child et al. 2019 give them: weights N(0, 0.125/sqrt(d_in)), those that end a residual branch times
 * 1/sqrt(2L); token, pad and start embeddings N(0, 0.125/sqrt(d)), position embeddings N(0, 0.125/sqrt(d m)), m of them
 * summed at a position (1 for text, 2 for image); gains 1; biases and both logits matrices 0.  Drawn at (seed, RNG_INIT,
 * index of the parameter, index in it).  scale: all deviations times it, > 0; 1 is theirs.  Narrow models that learn at step
 * sizes of 1e-3 outgrow such values within some updates, and learn in fewer from wider ones. */
must_check int prior_start(struct prior *p, double scale, uint64_t seed);

/* Parameters in all, and those of a part: "text" and "image" embeddings and logits, "attn", "mlp", "norm". */
int64_t prior_count(const struct prior *p);
int64_t prior_count_part(const struct prior *p, const char *part);

#endif

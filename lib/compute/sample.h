/* SPDX-License-Identifier: MIT */
/* sample.h -- what one step of sampling needs: thin products, attention over caches, a choice from logits.
 *
 * Rows are independent: a row's bytes do not depend on how many rows there are, nor on the number of threads, so a
 * candidate is the same alone and in any batch.  Weights are packed once (op_thin_pack) into the backend's own layout.
 *
 *   op_thin_pack     packed = layout of w: [N,K]; op_thin_size gives its bytes
 *   op_thin          y[m,:] = act(x[m,:] w^T + bias) (+ y[m,:] if add)
 *   op_attn_cache    one new position of each of M sequences: its k and v are written to the caches, then
 *                    out[m,:] = attention of q over the text prefix (shared by all sequences of a caption) and the
 *                    allowed image keys of sequence m.  The row kind keeps only a ring of w+1 image keys.
 *   op_choose        codes[m,position] from logits[m,:]: temperature, top-k, top-p, then by a uniform draw at (rng, step[m],
 *                    position)
 *   op_next          position += 1; what the image slot there is made of, as indices for op_embed: slot[0,m] the code before
 *                    it, slot[1,m] 0 in the first slot alone (the start), slot[2,m] its row, slot[3,m] its column; -1: nothing
 *
 * The position lies in the device's memory, so that a step can be repeated without the host (device_repeat).
 *
 * Shapes   x: [M,K]   y: [M,N]   bias: [N] or NULL   qkv: [M,3*A*D]   out: [M,A*D]   logits: [M,V]   i32: codes [M,S],
 *          slot [4,M], position [1], step [M,2] (low, high word of 64 bits)
 * Types    f32; thin products round x and w to what device_precision said when w was packed, sums are f32.  int8: w is a
 *          scale for each output times integers of -127..127, x a scale for each row times integers so large that no sum
 *          passes 31 bits (15 bits up to K = 512, 13 at 2,048); sums are exact
 * Order    cpu: each row the same bytes for any number of rows or threads
 * Source   nucleus (top-p): Holtzman et al. 2020
 */
#ifndef COMPUTE_SAMPLE_H
#define COMPUTE_SAMPLE_H

#include <stdbool.h>

#include "base/rng.h"
#include "compute/attn.h"
#include "compute/device.h"

struct thin {
    bool gelu; /* y = x * sigmoid(1.702 x) of the sum */
    bool add;
};

size_t op_thin_size(struct device *dev, int64_t n, int64_t k);
must_check int op_thin_pack(struct device *dev, void *packed, const struct tensor *w);
must_check int op_thin(struct device *dev, const struct tensor *y, const struct tensor *x, const void *packed,
                       const struct tensor *bias, struct thin how);

#define ATTN_CACHE_PANEL 16

/* Keys of a part in whole panels. */
static inline int64_t attn_cache_room(int64_t keys)
{
    return (keys + ATTN_CACHE_PANEL - 1) / ATTN_CACHE_PANEL * ATTN_CACHE_PANEL;
}

/* Keys and values of one layer: text parts [caption][A][text][D], image parts [sequence][A][keys][D], keys = image
 * positions kept (all, or w+1 for the row kind).  Text and keys are rounded up to whole panels of ATTN_CACHE_PANEL, so that
 * a backend may keep keys as [key/16][D][16]; the order inside a part is the backend's own. */
struct attn_cache {
    void *text_k, *text_v, *image_k, *image_v; /* borrowed, f32 */
    int64_t captions, sequences;               /* capacities */
    int64_t keys;                              /* image positions kept for a sequence */
};

/* Bytes of the four parts together for a mask kind. */
size_t attn_cache_size(const struct attn *a, int64_t head_width, int64_t captions, int64_t sequences);
/* Lay the parts out in a block of that size. */
void attn_cache_place(struct attn_cache *c, void *block, const struct attn *a, int64_t head_width, int64_t captions,
                      int64_t sequences);

/* Copy the keys and values of the text positions of one caption out of qkv [text,3*A*D]. */
must_check int op_cache_text(struct device *dev, const struct attn_cache *c, const struct tensor *qkv,
                             const struct attn *a, int64_t caption);
/* position: raster index of the new image position, the same for all; caption[m]: i32, whose text prefix row m uses;
 * row m uses sequence m of the cache. */
must_check int op_attn_cache(struct device *dev, const struct tensor *out, const struct attn_cache *c,
                             const struct tensor *qkv, const struct tensor *caption, const struct tensor *position,
                             const struct attn *a);

/* The logits are divided by the temperature, cut to the top_k most likely, then to the fewest most likely whose share of
 * what is left reaches top_p; equal logits: lower tokens first.  The draw is a uniform u in (0,1) with 53 bits, words 0
 * and 1 of rng_draw; the token is the first, in order of numbers, whose cumulative share passes u. */
struct choose {
    float temperature; /* >= 0; 0: the most likely token, nothing is drawn */
    int64_t top_k;     /* 0: all */
    float top_p;       /* (0,1]; 1: all */
    struct rng rng;
};

/* The code is -1 where a row holds NaN or +inf, or nothing above -inf: whoever reads the codes finds it. */
must_check int op_choose(struct device *dev, const struct tensor *codes, const struct tensor *logits,
                         const struct tensor *step, const struct tensor *position, const struct choose *how);
must_check int op_next(struct device *dev, const struct tensor *position, const struct tensor *slot,
                       const struct tensor *codes, int64_t width);

#endif

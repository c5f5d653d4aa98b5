/* SPDX-License-Identifier: MIT */
/* attn.h -- masked multi-head self-attention over a text part and an image part, forward and backward.
 *
 *   s[q,k] = (Q[q] . K[k]) / sqrt(D) where the mask allows k for q;  P = softmax over allowed k;  out[q] = sum P V[k]
 *
 * Positions 0..text-1 are text: causal among themselves, never image.  Positions text.. are an image of h*w in raster
 * order: every text position, and of the image the keys at offset o = q - k >= 0 (raster indices) that the kind allows:
 *
 *   ATTN_DENSE   every o
 *   ATTN_ROW     o <= w                       flat window of w+1 keys, crosses row borders
 *   ATTN_COLUMN  o a multiple of w
 *   ATTN_CONV    o = r*w + (c mod w), r = 0..(k-1)/2, c = -(k-1)/2..(k-1)/2: horizontal wrap-around, same offsets for every
 *                query (66 offsets for w = 32, k = 11)
 *
 * Shapes   qkv, dqkv: [N,T,3*A*D] (q of all heads, then k, then v)   out, dout: [N,T,A*D]   lse: [N,A,T] natural log of
 *          the sum of exponentials, kept for the backward pass
 * Types    qkv, out, dout, dqkv: f32, bf16 or f16, all the same (16 bits where device_stores says so, else ERR_UNSUPPORTED);
 *          lse f32; sums f32 in a fixed order; cuda: of products whose weights P and their gradients are rounded to 16 bits too
 * Range    text >= 0, h, w >= 0, T = text + h*w >= 1; D a multiple of 8, at most 256; ATTN_CONV: k odd, at
 *          most 63
 * Order    cpu: same bytes for any thread count, a sequence the same alone and in any batch; an output's bytes depend on
 *          nothing that its mask forbids, not even on NaN or infinity there; cuda: the same bytes every time, alone and in
 *          any batch; for the rest as cpu, but a row may be all NaN where something that it sees is not finite
 * Source   Ramesh et al. 2021, appendix B.1 and figure 11; Child et al. 2019
 */
#ifndef COMPUTE_ATTN_H
#define COMPUTE_ATTN_H

#include <stdbool.h>

#include "compute/device.h"

#define ATTN_WIDTH_MAX 256 /* D */
#define ATTN_KERNEL_MAX 63 /* k */

enum attn_kind { ATTN_DENSE, ATTN_ROW, ATTN_COLUMN, ATTN_CONV };

struct attn {
    enum attn_kind kind;
    int64_t text, h, w; /* positions */
    int64_t k;          /* ATTN_CONV: kernel, odd */
    int64_t heads;      /* A */
};

/* Does the mask allow key for query (positions in the whole sequence)?  The meaning of the operation, for tests. */
bool attn_allows(const struct attn *a, int64_t query, int64_t key);

/* The same in closed form for ATTN_CONV, an image query and the image key o >= 0 before it: for kernels. */
#ifdef __CUDACC__
__host__ __device__
#endif
static inline bool attn_conv_allows(const struct attn *a, int64_t o)
{
    int64_t radius = (a->k - 1) / 2, c = o % a->w;

    return o / a->w <= radius && (c <= radius || a->w - c <= radius);
}

must_check int op_attn(struct device *dev, const struct tensor *out, const struct tensor *lse, const struct tensor *qkv,
                       const struct attn *a);
/* dqkv is replaced. */
must_check int op_attn_grad(struct device *dev, const struct tensor *dqkv, const struct tensor *dout,
                            const struct tensor *out, const struct tensor *lse, const struct tensor *qkv,
                            const struct attn *a);

#endif

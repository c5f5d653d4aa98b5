/* SPDX-License-Identifier: MIT */
/* working.h -- memory that the CUDA backend takes beside its tensors, in bytes.  By these functions it measures its pieces, so
 * that a plan by them, made without a GPU and without the backend's object, cannot differ.
 *
 *   on the device, from opening on     CUDA_WORKING_PRODUCTS, for cuBLASLt
 *   the scratch, one block             cuda_working_scratch(the largest that one operation needed):
 *     matmul                             cuda_working_matmul: both factors and the bias in another type, sums over rows
 *     norm_grad                          cuda_working_norm_grad: sums over blocks of rows
 *     attn_grad                          cuda_working_attn_grad: lse and delta of every slot
 *     sum_squares                        cuda_working_sum_squares: parts of every tensor's sum
 *     others of a transformer's step     nothing: norm, attn, embed, embed_grad, cross_entropy, relu, add, copy, filter, adam
 *   on the host, pinned                CUDA_WORKING_STAGING from opening on, CUDA_WORKING_FETCHING from the first mark on
 *
 * So device_working says cuda_working(the largest need) once an operation had one; a product always has.  Beside it and the
 * arenas a device holds what the driver takes for a program at all (its context, the kernels' code: some hundred MiB), and up to
 * 2 MiB more a block, since cudaMalloc hands out pages of that size.
 *
 * Tensors are types and shapes here.  C and C++ both include this; it names no type of CUDA's.
 */
#ifndef COMPUTE_CUDA_WORKING_H
#define COMPUTE_CUDA_WORKING_H

#ifdef __cplusplus
extern "C" {
#endif
#include "compute/adam.h"
#include "compute/attn.h"
#include "compute/matmul.h"
#ifdef __cplusplus
}
#endif

#define CUDA_WORKING_PRODUCTS ((size_t)32 << 20) /* what Hopper's fastest algorithms ask for */
#define CUDA_WORKING_STAGING ((size_t)16 << 20)
#define CUDA_WORKING_FETCHING ((size_t)8 << 20)

enum {
    CUDA_SUM_ROWS = 64,       /* rows that a block sums before the blocks' sums are added */
    CUDA_ATTN_TILE = 64,      /* slots */
    CUDA_SQUARES_PARTS = 1024 /* of a tensor's sum of squares, at most */
};

/* A piece of the scratch: the next one begins at a multiple of 256 bytes. */
static inline size_t cuda_piece(size_t size)
{
    return (size + 255) / 256 * 256;
}

/* The block that a need makes the scratch grow to: whole MiB. */
static inline size_t cuda_working_scratch(size_t need)
{
    return (need + ((size_t)1 << 20)) >> 20 << 20;
}

static inline size_t cuda_working(size_t most)
{
    return CUDA_WORKING_PRODUCTS + cuda_working_scratch(most);
}

/* Sums over the rows of a matrix [m,n]. */
static inline size_t cuda_working_add_rows(int64_t m, int64_t n)
{
    return cuda_piece((size_t)(2 * ((m + CUDA_SUM_ROWS - 1) / CUDA_SUM_ROWS) * n) * sizeof(float));
}

static inline size_t cuda_working_norm_grad(const struct tensor *x)
{
    return cuda_working_add_rows(x->shape[0], x->shape[1]);
}

static inline size_t cuda_working_sum_squares(int64_t count)
{
    return (size_t)(count * (1 + CUDA_SQUARES_PARTS)) * sizeof(struct squares);
}

/* Of the text and of the image, each in whole tiles. */
static inline int64_t cuda_attn_slots(const struct attn *a)
{
    int64_t text = (a->text + CUDA_ATTN_TILE - 1) / CUDA_ATTN_TILE;
    int64_t image = (a->h * a->w + CUDA_ATTN_TILE - 1) / CUDA_ATTN_TILE;

    return (text + image) * CUDA_ATTN_TILE;
}

static inline size_t cuda_working_attn_grad(const struct tensor *out, const struct attn *a)
{
    return (size_t)(out->shape[0] * a->heads * cuda_attn_slots(a)) * 2 * sizeof(float);
}

/* A product's pieces: copies of its operands in another type, and room for cuda_working_add_rows. */
struct cuda_pieces {
    enum dtype factors; /* what matmul.h rounds a and b to */
    size_t a, b, bias, sums;
};

/* bf16: the device's precision is PRECISION_BF16. */
static inline struct cuda_pieces cuda_matmul_pieces(const struct tensor *y, const struct tensor *a, const struct tensor *b,
                                                    struct matmul how, bool bf16)
{
    enum dtype narrow = a->type != DTYPE_F32 ? a->type : b->type != DTYPE_F32 ? b->type : y->type;
    struct cuda_pieces p = {narrow == DTYPE_F32 && bf16 ? DTYPE_BF16 : narrow, 0, 0, 0, 0};

    if (a->type != p.factors)
        p.a = cuda_piece((size_t)tensor_elements(a) * dtype_size(p.factors));
    if (b->type != p.factors)
        p.b = cuda_piece((size_t)tensor_elements(b) * dtype_size(p.factors));
    if (y->type != DTYPE_F32) /* also where there is no bias: it is small */
        p.bias = cuda_piece((size_t)y->shape[1] * dtype_size(y->type));
    if (how.row_sums)
        p.sums = cuda_working_add_rows(a->shape[0], a->shape[1]);
    return p;
}

static inline size_t cuda_working_matmul(const struct tensor *y, const struct tensor *a, const struct tensor *b,
                                         struct matmul how, bool bf16)
{
    struct cuda_pieces p = cuda_matmul_pieces(y, a, b, how, bf16);

    return p.a + p.b + p.bias + p.sums;
}

#endif

/* SPDX-License-Identifier: MIT */
/* tensor.h -- a view of numbers in a device's memory: type, shape, last index fastest, no strides.
 *
 * Letters  N batch, T position, C channel, H W height width, K kernel, V vocabulary, L layer, A heads, D head width
 * Memory   data is borrowed; arenas of a device (device.h) own it
 */
#ifndef COMPUTE_TENSOR_H
#define COMPUTE_TENSOR_H

#include <stddef.h>
#include <stdint.h>

#define TENSOR_RANK_MAX 5

/* E6M9 and E6M10 are the codes 1-6-9 and 0-6-10 of base/bits16.h, for Adam's moments alone. */
enum dtype { DTYPE_F32, DTYPE_BF16, DTYPE_F16, DTYPE_I32, DTYPE_E6M9, DTYPE_E6M10 };

struct tensor {
    void *data;      /* borrowed, in the device's memory */
    enum dtype type;
    int rank;        /* 0..TENSOR_RANK_MAX */
    int64_t shape[TENSOR_RANK_MAX];
};

static inline int64_t tensor_elements(const struct tensor *t)
{
    int64_t n = 1;

    for (int i = 0; i < t->rank; i++)
        n *= t->shape[i];
    return n;
}

static inline size_t dtype_size(enum dtype type)
{
    return type == DTYPE_F32 || type == DTYPE_I32 ? 4 : 2;
}

static inline size_t tensor_bytes(const struct tensor *t)
{
    return (size_t)tensor_elements(t) * dtype_size(t->type);
}

static inline struct tensor tensor_view(void *data, enum dtype type, int rank, const int64_t *shape)
{
    struct tensor t = {.data = data, .type = type, .rank = rank};

    for (int i = 0; i < rank; i++)
        t.shape[i] = shape[i];
    return t;
}

/* count rows of a matrix, from row `from` on. */
static inline struct tensor tensor_rows(const struct tensor *t, int64_t from, int64_t count)
{
    struct tensor part = *t;

    part.shape[0] = count;
    if (t->data)
        part.data = (char *)t->data + (size_t)(from * t->shape[1]) * dtype_size(t->type);
    return part;
}

/* tensor_f32(p, N, C) is a view [N,C]; the number of sizes is the rank. */
#define TENSOR_COUNT(...) ((int)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)))
#define tensor_of(type, data, ...) tensor_view(data, type, TENSOR_COUNT(__VA_ARGS__), (const int64_t[]){__VA_ARGS__})
#define tensor_f32(data, ...) tensor_of(DTYPE_F32, data, __VA_ARGS__)
#define tensor_i32(data, ...) tensor_of(DTYPE_I32, data, __VA_ARGS__)

#endif

/* SPDX-License-Identifier: MIT */
/* wide.h -- tensors of 16 bits for kernels that know f32 alone: copies in f32, and results rounded back, once.
 *
 * Rows and blocks of elements, in a thread's own room, where a kernel passes over them:
 *
 *     const float *in = cpu_load(room, x, at, n);          in place where x is f32, else a copy in room
 *     float *out = cpu_place(other, y, at);                in place, else room
 *     ...
 *     cpu_store(y, at, out, n);                            nothing where out lies in place
 *
 * Whole tensors, in memory of their own beside the scratch, where a kernel reads them in any order:
 *
 *     struct cpu_wide w[] = {{.to = y}, {.from = x}};      .t is what the kernel takes
 *     if ((rc = cpu_widen(cpu, w, 2)) != 0)
 *         return rc;
 *     ... F32(&w[0].t), F32(&w[1].t)
 *     cpu_narrow(cpu, w, 2);
 *
 * Rounding is to nearest, ties to even, or as base/bits16.h says for the codes of moments.
 */
#ifndef COMPUTE_CPU_WIDE_H
#define COMPUTE_CPU_WIDE_H

#include "compute/cpu/cpu.h"

/* n numbers of any type but integers, by the calling thread. */
void cpu_to_f32(float *to, const void *from, enum dtype type, int64_t n);
void cpu_from_f32(void *to, const float *from, enum dtype type, int64_t n);

/* Element at of a tensor. */
static inline void *cpu_at(tensor_in t, int64_t at)
{
    return (char *)t->data + (size_t)at * dtype_size(t->type);
}

static inline float *cpu_place(float *room, tensor_in t, int64_t at)
{
    return t->type == DTYPE_F32 ? F32(t) + at : room;
}

static inline float *cpu_load(float *room, tensor_in t, int64_t at, int64_t n)
{
    if (t->type != DTYPE_F32)
        cpu_to_f32(room, cpu_at(t, at), t->type, n);
    return cpu_place(room, t, at);
}

static inline void cpu_store(tensor_in t, int64_t at, const float *x, int64_t n)
{
    if (t->type != DTYPE_F32)
        cpu_from_f32(cpu_at(t, at), x, t->type, n);
}

/* One operand.  Both from and to NULL: there is none, and t has no memory. */
struct cpu_wide {
    tensor_in from;   /* borrowed: its numbers are read; NULL: they are not */
    tensor_in to;     /* borrowed: results are written there; NULL: there are none.  Of from's shape, and its memory if f32 */
    enum dtype round; /* without to: numbers in f32 are rounded to it; F32, 0: not */
    struct tensor t;  /* in f32: the tensor itself, or a copy in memory that is borrowed until the next call */
};

/* ERR_NOMEM with the reason recorded.  Where the device only counts, copies have no memory. */
must_check int cpu_widen(struct cpu *cpu, struct cpu_wide *w, int count);
void cpu_narrow(const struct cpu *cpu, const struct cpu_wide *w, int count);

/* Floats of room for a row of a matrix that is copied; none for one of f32. */
static inline int64_t row_room(tensor_in t)
{
    return t->type == DTYPE_F32 ? 0 : (t->shape[1] + 15) / 16 * 16;
}

#endif

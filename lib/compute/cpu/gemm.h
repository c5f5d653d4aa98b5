/* SPDX-License-Identifier: MIT */
/* gemm.h -- products of matrices from memory, f32.
 *
 *   y[m][n] = act( (y[m][n] +) gain * (sum over k of A(a)[m][k] B(b)[k][n] + bias[n]) )
 *
 * Shapes   y [m,n]   a [m,k] or, with ta, [k,m]   b [k,n] or, with tb, [n,k]   bias [n] or NULL
 * Memory   nothing overlaps; takes the scratch: GEMM_DEPTH rows of b and a block of a for each thread
 * Order    each sum runs over k from 0 upwards, in stretches of GEMM_DEPTH that are added to y in turn: the same bytes for
 *          any number of threads, since only y is divided among them
 * Errors   ERR_NOMEM
 */
#ifndef COMPUTE_CPU_GEMM_H
#define COMPUTE_CPU_GEMM_H

#include "compute/cpu/cpu.h"

#define GEMM_DEPTH 512

static inline int64_t up(int64_t n, int64_t unit)
{
    return (n + unit - 1) / unit * unit;
}

struct gemm {
    int64_t m, n, k;
    bool ta, tb;
    bool add;
    bool relu;
    float gain;
    bool act;               /* bf16 only: y = gelu(gain * (...)), before y is added */
    const float *plus;      /* [m,n], borrowed: added; NULL: nothing */
    const float *gelu_grad; /* [m,n], borrowed: y is multiplied by the slope of a GELU there; NULL: not */
    float *gelu;            /* [m,n], borrowed: gets gelu(y); NULL: not */
    float *row_sums;        /* [m], borrowed, with ta: += sums of A's rows; NULL: not */
};

must_check int cpu_gemm(struct cpu *cpu, float *y, const float *a, const float *b, const float *bias, const struct gemm *how);
/* The same with a and b rounded to bf16 (nearest, ties to even), sums in f32, in stretches of a fixed length that differs.
 * How: cpu->bf16, dots or tiles; a processor that has neither multiplies rounded copies by the above (wide.h). */
must_check int cpu_gemm_bf16(struct cpu *cpu, float *y, const float *a, const float *b, const float *bias,
                             const struct gemm *how);
/* The fastest way that this processor has. */
enum cpu_bf16 cpu_bf16_best(void);

#if defined __AVX512F__
/* Few rows and weights b [n,k] that were packed once, as bf16: compute/sample.h's thin products, not emulated.  A row's bytes
 * do not depend on the other rows. */
size_t cpu_thin_bf16_size(int64_t n, int64_t k);
void cpu_thin_bf16_pack(void *packed, const float *w, int64_t n, int64_t k);
must_check int cpu_thin_bf16(struct cpu *cpu, float *y, const float *x, const void *packed, const float *bias,
                             const struct gemm *how);
#endif

#endif

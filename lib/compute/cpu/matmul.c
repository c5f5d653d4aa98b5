/* SPDX-License-Identifier: MIT */
/* matmul.c -- products (gemm.h) and sums over rows.
 *
 * Rows are summed in blocks of fixed size, each block by one thread in order, the blocks added in order: the result does
 * not depend on the number of threads.
 */
#include "compute/cpu/cpu.h"

#include <string.h>

#include "base/par.h"
#include "compute/cpu/gelu.h"
#include "compute/cpu/gemm.h"
#include "compute/cpu/wide.h"

#define ROW_BLOCK 256 /* rows summed by one thread */
#define COLUMNS 64    /* columns kept in registers */

/* What stands behind a product whose y is of 16 bits: x is the product in f32; y is rounded once, its GELU is that of y as
 * rounded, as whoever reads y later would compute it. */
static void finish(tensor_in y, const float *x, const struct matmul *how)
{
    int64_t n = tensor_elements(y);

#pragma omp parallel for schedule(static)
    for (int64_t at = 0; at < n; at += PAR_BLOCK) {
        int64_t count = n - at < PAR_BLOCK ? n - at : PAR_BLOCK;
        float out[PAR_BLOCK], before[PAR_BLOCK];

        memcpy(out, x + at, (size_t)count * sizeof *out);
        if (how->gelu_grad) {
            cpu_load(before, how->gelu_grad, at, count);
            for (int64_t i = 0; i < count; i += VEC)
                vec_store_some(out + i, vec_load_some(out + i, count - i) * gelu_slope(vec_load_some(before + i, count - i)),
                               count - i);
        }
        cpu_store(y, at, out, count);
        if (how->gelu) {
            cpu_load(out, y, at, count);
            for (int64_t i = 0; i < count; i += VEC)
                vec_store_some(out + i, gelu(vec_load_some(out + i, count - i)), count - i);
            cpu_store(how->gelu, at, out, count);
        }
    }
}

/* The one 16-bit type among the three, or f32. */
static enum dtype narrow_of(tensor_in y, tensor_in a, tensor_in b)
{
    return a->type != DTYPE_F32 ? a->type : b->type != DTYPE_F32 ? b->type : y->type;
}

int cpu_matmul(void *self, tensor_in y, tensor_in a, tensor_in b, tensor_in bias, struct matmul how)
{
    struct cpu *cpu = self;
    enum dtype narrow = narrow_of(y, a, b);
    bool in_f32 = y->type == DTYPE_F32, rounds = cpu->bf16 > CPU_BF16_EMULATED && narrow != DTYPE_F16; /* the kernel does */
    enum dtype factors = rounds ? DTYPE_F32 : narrow == DTYPE_F32 && cpu->bf16 ? DTYPE_BF16 : narrow;
    struct cpu_wide w[] = {{.from = how.add ? y : in_f32 ? NULL : how.plus, .to = y}, {.from = a, .round = factors},
                           {.from = b, .round = factors}};
    struct gemm shape = {.m = y->shape[0], .n = y->shape[1], .k = a->shape[how.ta ? 0 : 1], .ta = how.ta, .tb = how.tb,
                         .add = w[0].from, .gain = 1.0f};
    bool apart = how.row_sums && a->type == DTYPE_F32 && factors != DTYPE_F32; /* sums are of what is not rounded */
    int rc = cpu_widen(cpu, w, 3);

    if (how.row_sums && !apart)
        shape.row_sums = F32(how.row_sums);
    if (in_f32) {
        shape.plus = how.plus ? F32(how.plus) : NULL;
        shape.gelu_grad = how.gelu_grad ? F32(how.gelu_grad) : NULL;
        shape.gelu = how.gelu ? F32(how.gelu) : NULL;
    }
    if (rc == 0)
        rc = (rounds ? cpu_gemm_bf16 : cpu_gemm)(cpu, F32(&w[0].t), F32(&w[1].t), F32(&w[2].t), bias ? F32(bias) : NULL, &shape);
    if (rc == 0 && apart)
        rc = cpu_add_rows(cpu, F32(how.row_sums), F32(a), shape.k, shape.m, 1.0f);
    if (rc == 0 && !in_f32 && !cpu->counting)
        finish(y, F32(&w[0].t), &how);
    return rc;
}

/* sum[0..count) = the sum of that many columns over rows; x is at the first column, count at most COLUMNS. */
static void sum_block(float *sum, const float *x, int64_t rows, int64_t stride, int64_t count)
{
    float s[COLUMNS] = {0};

    if (count == COLUMNS) {
        for (int64_t m = 0; m < rows; m++)
#pragma omp simd
            for (int n = 0; n < COLUMNS; n++)
                s[n] += x[m * stride + n];
    } else {
        for (int64_t m = 0; m < rows; m++)
            for (int64_t n = 0; n < count; n++)
                s[n] += x[m * stride + n];
    }
    memcpy(sum, s, (size_t)count * sizeof *sum);
}

int cpu_add_rows(struct cpu *cpu, float *sum, const float *x, int64_t m, int64_t n, float gain)
{
    int64_t blocks = (m + ROW_BLOCK - 1) / ROW_BLOCK;
    float *part = cpu_scratch(cpu, (size_t)(blocks * n) * sizeof *part);

    if (!part)
        return cpu_lacking(cpu);
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < blocks; i++) {
        int64_t rows = m - i * ROW_BLOCK < ROW_BLOCK ? m - i * ROW_BLOCK : ROW_BLOCK;

        for (int64_t at = 0; at < n; at += COLUMNS)
            sum_block(part + i * n + at, x + i * ROW_BLOCK * n + at, rows, n, n - at < COLUMNS ? n - at : COLUMNS);
    }
    for (int64_t i = 0; i < blocks; i++)
#pragma omp simd
        for (int64_t j = 0; j < n; j++)
            sum[j] += gain * part[i * n + j];
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* matmul.c -- products (gemm.h) and sums over rows.
 *
 * Rows are summed in blocks of fixed size, each block by one thread in order, the blocks added in order: the result does
 * not depend on the number of threads.
 */
#include "compute/cpu/cpu.h"

#include <string.h>

#include "compute/cpu/gemm.h"

#define ROW_BLOCK 256 /* rows summed by one thread */
#define COLUMNS 64    /* columns kept in registers */

int cpu_matmul(void *self, tensor_in y, tensor_in a, tensor_in b, tensor_in bias, struct matmul how)
{
    struct gemm shape = {.m = y->shape[0], .n = y->shape[1], .k = a->shape[how.ta ? 0 : 1], .ta = how.ta, .tb = how.tb,
                         .add = how.add, .gain = 1.0f, .plus = how.plus ? F32(how.plus) : NULL,
                         .gelu_grad = how.gelu_grad ? F32(how.gelu_grad) : NULL, .gelu = how.gelu ? F32(how.gelu) : NULL,
                         .row_sums = how.row_sums ? F32(how.row_sums) : NULL};
    struct cpu *cpu = self;

    return (cpu->bf16 ? cpu_gemm_bf16 : cpu_gemm)(cpu, F32(y), F32(a), F32(b), bias ? F32(bias) : NULL, &shape);
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
        return ERR_NOMEM;
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

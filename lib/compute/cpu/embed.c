/* SPDX-License-Identifier: MIT */
/* Rows of y are independent.  In the backward pass several rows may meet in one row of the table, so the threads share out
 * channels, not rows: each walks all rows in order over its own LINE channels. */
#include "base/par.h"
#include "compute/cpu/cpu.h"
#include "compute/cpu/vec.h"

enum { LINE = 64 };

int cpu_embed(void *self, tensor_in y, tensor_in table, tensor_in index, bool add)
{
    int64_t rows = index->shape[0], n = table->shape[1];

    (void)self;
#pragma omp parallel for schedule(static) if (rows * n > PAR_BLOCK)
    for (int64_t m = 0; m < rows; m++) {
        int64_t at = I32(index)[m];
        float *out = F32(y) + m * n;
        const float *in = F32(table) + at * n;

        if (at < 0 && !add)
            memset(out, 0, (size_t)n * sizeof *out);
        else if (at >= 0 && !add)
            memcpy(out, in, (size_t)n * sizeof *out);
        else if (at >= 0)
            for (int64_t i = 0; i < n; i++)
                out[i] += in[i];
    }
    return 0;
}

int cpu_embed_grad(void *self, tensor_in dtable, tensor_in dy, tensor_in index)
{
    int64_t rows = index->shape[0], n = dtable->shape[1];

    (void)self;
#pragma omp parallel for schedule(static)
    for (int64_t from = 0; from < n; from += LINE) {
        int64_t to = from + LINE < n ? from + LINE : n;

        for (int64_t m = 0; m < rows; m++) {
            int64_t at = I32(index)[m];
            float *sum = F32(dtable) + at * n;
            const float *d = F32(dy) + m * n;

            if (at < 0)
                continue;
#pragma omp simd
            for (int64_t i = from; i < to; i++)
                sum[i] += d[i];
        }
    }
    return 0;
}

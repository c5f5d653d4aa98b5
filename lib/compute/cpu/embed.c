/* SPDX-License-Identifier: MIT */
/* Rows of y are independent.  In the backward pass several rows may meet in one row of the table, so the threads share out
 * channels, not rows: each walks all rows in order over its own LINE channels. */
#include "base/par.h"
#include "compute/cpu/vec.h"
#include "compute/cpu/wide.h"

enum { LINE = 64, PIECE = 1024 };

/* y's elements at.. += row[n], a piece at a time. */
static void add_row(tensor_in y, int64_t at, const float *row, int64_t n)
{
    for (int64_t from = 0; from < n; from += PIECE) {
        int64_t count = n - from < PIECE ? n - from : PIECE;
        float room[PIECE], *out = cpu_load(room, y, at + from, count);

#pragma omp simd
        for (int64_t i = 0; i < count; i++)
            out[i] += row[from + i];
        cpu_store(y, at + from, out, count);
    }
}

int cpu_embed(void *self, tensor_in y, tensor_in table, tensor_in index, bool add)
{
    int64_t rows = index->shape[0], n = table->shape[1];

    (void)self;
#pragma omp parallel for schedule(static) if (rows * n > PAR_BLOCK)
    for (int64_t m = 0; m < rows; m++) {
        int64_t at = I32(index)[m];

        if (at < 0 && !add)
            memset(cpu_at(y, m * n), 0, (size_t)n * dtype_size(y->type));
        else if (at >= 0 && !add)
            cpu_from_f32(cpu_at(y, m * n), F32(table) + at * n, y->type, n);
        else if (at >= 0)
            add_row(y, m * n, F32(table) + at * n, n);
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
            float room[LINE];
            const float *d;

            if (at < 0)
                continue;
            d = cpu_load(room, dy, m * n + from, to - from);
#pragma omp simd
            for (int64_t i = 0; i < to - from; i++)
                sum[from + i] += d[i];
        }
    }
    return 0;
}

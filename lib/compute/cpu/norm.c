/* SPDX-License-Identifier: MIT */
/* Rows are independent; of 16 bits, each is copied into its thread's scratch.  The gradients of g and b are sums over rows: each
 * block of ROWS rows sums its own in order, then the blocks are added in order. */
#include <math.h>

#include "base/par.h"
#include "compute/cpu/vec.h"
#include "compute/cpu/wide.h"

#include <omp.h>

enum { ROWS = 64 };

static float row_mean(const float *x, int64_t n)
{
    vec s = vec_all(0.0f);
    int64_t i = 0;

    for (; i + VEC <= n; i += VEC)
        s += vec_load(x + i);
    if (i < n)
        s += vec_load_part(x + i, n - i, 0.0f);
    return vec_sum(s) / (float)n;
}

static float row_variance(const float *x, int64_t n, float mean)
{
    vec s = vec_all(0.0f), m = vec_all(mean), d;
    int64_t i = 0;

    for (; i + VEC <= n; i += VEC) {
        d = vec_load(x + i) - m;
        s = vec_fma(d, d, s);
    }
    if (i < n) {
        d = vec_load_part(x + i, n - i, mean) - m;
        s = vec_fma(d, d, s);
    }
    return vec_sum(s) / (float)n;
}

/* One row of cpu_norm; out may be in. */
static void row_norm(float *out, const float *in, const float *gain, const float *shift, int64_t n, float mu, float r)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        out[i] = (in[i] - mu) * r * gain[i] + shift[i];
}

int cpu_norm(void *self, tensor_in y, tensor_in mean, tensor_in rstd, tensor_in x, tensor_in g, tensor_in b, float eps)
{
    int64_t rows = x->shape[0], n = x->shape[1], each = row_room(x) + row_room(y);
    float *scratch = cpu_scratch(self, (size_t)(par_threads() * each) * sizeof *scratch);

    if (!scratch)
        return cpu_lacking(self);
#pragma omp parallel for schedule(static) if (rows * n > PAR_BLOCK)
    for (int64_t m = 0; m < rows; m++) {
        float *room = scratch + omp_get_thread_num() * each, *out = cpu_place(room + row_room(x), y, m * n);
        const float *in = cpu_load(room, x, m * n, n);
        float mu = row_mean(in, n), r = 1.0f / sqrtf(row_variance(in, n, mu) + eps);

        F32(mean)[m] = mu;
        F32(rstd)[m] = r;
        row_norm(out, in, F32(g), F32(b), n, mu, r);
        cpu_store(y, m * n, out, n);
    }
    return 0;
}

/* One row: dx += scale * gradient, sums of dy * xhat and dy go to dg and db. */
static void row_grad(float *dx, float *dg, float *db, const float *dy, const float *x, const float *g, int64_t n, float mean,
                     float rstd, float scale, bool filter)
{
    vec s1 = vec_all(0.0f), s2 = vec_all(0.0f);
    float c1, c2;
    int64_t i = 0;

    for (; i + VEC <= n; i += VEC) {
        vec d = vec_load(dy + i), h = (vec_load(x + i) - mean) * rstd, dh = d * vec_load(g + i);

        s1 += dh;
        s2 = vec_fma(dh, h, s2);
        vec_store(dg + i, vec_fma(d, h, vec_load(dg + i)));
        vec_store(db + i, vec_load(db + i) + d);
    }
    if (i < n) {
        int64_t rest = n - i;
        vec d = vec_load_part(dy + i, rest, 0.0f), h = (vec_load_part(x + i, rest, mean) - mean) * rstd;
        vec dh = d * vec_load_part(g + i, rest, 0.0f);

        s1 += dh;
        s2 = vec_fma(dh, h, s2);
        vec_store_part(dg + i, vec_fma(d, h, vec_load_part(dg + i, rest, 0.0f)), rest);
        vec_store_part(db + i, vec_load_part(db + i, rest, 0.0f) + d, rest);
    }
    c1 = vec_sum(s1) / (float)n;
    c2 = vec_sum(s2) / (float)n;
    scale *= rstd;
    if (filter) {
#pragma omp simd
        for (i = 0; i < n; i++) {
            float d = scale * (dy[i] * g[i] - c1 - (x[i] - mean) * rstd * c2);

            dx[i] += fabsf(d) < INFINITY ? d : 0.0f;
        }
    } else {
#pragma omp simd
        for (i = 0; i < n; i++)
            dx[i] += scale * (dy[i] * g[i] - c1 - (x[i] - mean) * rstd * c2);
    }
}

int cpu_norm_grad(void *self, tensor_in dx, tensor_in dg, tensor_in db, tensor_in dy, tensor_in x, tensor_in mean,
                  tensor_in rstd, tensor_in g, float scale, bool filter)
{
    int64_t rows = x->shape[0], n = x->shape[1], blocks = (rows + ROWS - 1) / ROWS;
    int64_t each = row_room(dx) + row_room(dy) + row_room(x);
    float *part = cpu_scratch(self, (size_t)(blocks * 2 * n + par_threads() * each) * sizeof(float));

    if (!part)
        return cpu_lacking(self);
#pragma omp parallel
    {
        float *of_dx = part + blocks * 2 * n + omp_get_thread_num() * each, *of_dy = of_dx + row_room(dx);
        float *of_x = of_dy + row_room(dy);

#pragma omp for schedule(static)
        for (int64_t block = 0; block < blocks; block++) {
            float *pg = part + block * 2 * n, *pb = pg + n;
            int64_t end = block * ROWS + ROWS < rows ? block * ROWS + ROWS : rows;

            memset(pg, 0, (size_t)(2 * n) * sizeof *pg);
            for (int64_t m = block * ROWS; m < end; m++) {
                float *to = cpu_load(of_dx, dx, m * n, n);

                row_grad(to, pg, pb, cpu_load(of_dy, dy, m * n, n), cpu_load(of_x, x, m * n, n), F32(g), n, F32(mean)[m],
                         F32(rstd)[m], scale, filter);
                cpu_store(dx, m * n, to, n);
            }
        }
#pragma omp for schedule(static)
        for (int64_t i = 0; i < n; i++) {
            float sg = 0.0f, sb = 0.0f;

            for (int64_t block = 0; block < blocks; block++) {
                sg += part[block * 2 * n + i];
                sb += part[block * 2 * n + n + i];
            }
            F32(dg)[i] += sg;
            F32(db)[i] += sb;
        }
    }
    return 0;
}

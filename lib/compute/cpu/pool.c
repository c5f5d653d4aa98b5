/* SPDX-License-Identifier: MIT */
/* pool.c -- one row of blocks at a time; channels, which lie together, are the lanes. */
#include "compute/cpu/wide.h"

#include <string.h>

static inline float larger(float a, float b)
{
    return a > b ? a : b;
}

static void max_pool(tensor_in y, tensor_in x)
{
    int64_t rows = y->shape[0] * y->shape[1], w = y->shape[2], c = y->shape[3];

#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < rows; r++)
        for (int64_t j = 0; j < w; j++) {
            const float *top = F32(x) + (4 * r * w + 2 * j) * c, *low = top + 2 * w * c;
            float *to = F32(y) + (r * w + j) * c;

#pragma omp simd
            for (int64_t i = 0; i < c; i++)
                to[i] = larger(larger(top[i], top[c + i]), larger(low[i], low[c + i]));
        }
}

int cpu_max_pool(void *self, tensor_in y, tensor_in x)
{
    struct cpu_wide w[] = {{.to = y}, {.from = x}};
    int rc = cpu_widen(self, w, 2);

    if (rc != 0)
        return rc;
    max_pool(&w[0].t, &w[1].t);
    cpu_narrow(self, w, 2);
    return 0;
}

static void max_pool_grad(tensor_in dx, tensor_in dy, tensor_in x)
{
    int64_t rows = dy->shape[0] * dy->shape[1], w = dy->shape[2], c = dy->shape[3];

#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < rows; r++)
        for (int64_t j = 0; j < w; j++) {
            int64_t at = (4 * r * w + 2 * j) * c;
            const float *top = F32(x) + at, *low = top + 2 * w * c, *d = F32(dy) + (r * w + j) * c;
            float *dtop = F32(dx) + at, *dlow = dtop + 2 * w * c;

#pragma omp simd
            for (int64_t i = 0; i < c; i++) {
                float best = larger(larger(top[i], top[c + i]), larger(low[i], low[c + i])), left = d[i];

                dtop[i] = top[i] == best ? left : 0.0f;
                left = top[i] == best ? 0.0f : left;
                dtop[c + i] = top[c + i] == best ? left : 0.0f;
                left = top[c + i] == best ? 0.0f : left;
                dlow[i] = low[i] == best ? left : 0.0f;
                dlow[c + i] = low[i] == best ? 0.0f : left;
            }
        }
}

int cpu_max_pool_grad(void *self, tensor_in dx, tensor_in dy, tensor_in x)
{
    struct cpu_wide w[] = {{.to = dx}, {.from = dy}, {.from = x}};
    int rc = cpu_widen(self, w, 3);

    if (rc != 0)
        return rc;
    max_pool_grad(&w[0].t, &w[1].t, &w[2].t);
    cpu_narrow(self, w, 3);
    return 0;
}

static void upsample(tensor_in y, tensor_in x)
{
    int64_t rows = x->shape[0] * x->shape[1], w = x->shape[2], c = x->shape[3];

#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < rows; r++) {
        float *top = F32(y) + 4 * r * w * c;

        for (int64_t j = 0; j < w; j++) {
            const float *from = F32(x) + (r * w + j) * c;
            float *to = top + 2 * j * c;

#pragma omp simd
            for (int64_t i = 0; i < c; i++)
                to[i] = to[c + i] = from[i];
        }
        memcpy(top + 2 * w * c, top, (size_t)(2 * w * c) * sizeof *top);
    }
}

int cpu_upsample(void *self, tensor_in y, tensor_in x)
{
    struct cpu_wide w[] = {{.to = y}, {.from = x}};
    int rc = cpu_widen(self, w, 2);

    if (rc != 0)
        return rc;
    upsample(&w[0].t, &w[1].t);
    cpu_narrow(self, w, 2);
    return 0;
}

static void upsample_grad(tensor_in dx, tensor_in dy)
{
    int64_t rows = dx->shape[0] * dx->shape[1], w = dx->shape[2], c = dx->shape[3];

#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < rows; r++)
        for (int64_t j = 0; j < w; j++) {
            const float *top = F32(dy) + (4 * r * w + 2 * j) * c, *low = top + 2 * w * c;
            float *to = F32(dx) + (r * w + j) * c;

#pragma omp simd
            for (int64_t i = 0; i < c; i++)
                to[i] = (top[i] + top[c + i]) + (low[i] + low[c + i]);
        }
}

int cpu_upsample_grad(void *self, tensor_in dx, tensor_in dy)
{
    struct cpu_wide w[] = {{.to = dx}, {.from = dy}};
    int rc = cpu_widen(self, w, 2);

    if (rc != 0)
        return rc;
    upsample_grad(&w[0].t, &w[1].t);
    cpu_narrow(self, w, 2);
    return 0;
}

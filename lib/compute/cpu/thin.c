/* SPDX-License-Identifier: MIT */
/* thin.c -- products of few rows with packed weights.
 *
 * Weights lie as panels [n/PANEL][K][PANEL]: a product walks one panel front to back, PANEL outputs of up to TILE rows at a
 * time in registers, each output one chain of sums over K.  So a row's sums have one order whatever the other rows are.
 * With bf16 factors the processor's own products take over (gemm_bf16.c); where it has none, both are rounded to f32. */
#include "compute/sample.h"

#include "compute/cpu/cpu.h"
#include "compute/cpu/gelu.h"
#include "compute/cpu/gemm.h"
#include "compute/cpu/math.h"

enum {
    VECS = VEC_REGISTERS == 32 ? 4 : 2, /* registers a row of a tile */
    PANEL = VECS * VEC,
    TILE = VEC_REGISTERS == 32 ? 6 : 5  /* rows */
};

#if VEC == 16
static bool in_bf16(const struct cpu *cpu)
{
    return cpu->bf16 > CPU_BF16_EMULATED;
}
#endif

size_t cpu_thin_size(void *self, int64_t n, int64_t k)
{
#if VEC == 16
    if (in_bf16(self))
        return cpu_thin_bf16_size(n, k);
#endif
    (void)self;
    return (size_t)((n + PANEL - 1) / PANEL * PANEL * k) * sizeof(float);
}

int cpu_thin_pack(void *self, void *packed, tensor_in w)
{
    const struct cpu *cpu = self;
    int64_t n = w->shape[0], k = w->shape[1];

#if VEC == 16
    if (in_bf16(cpu)) {
        cpu_thin_bf16_pack(packed, F32(w), n, k);
        return 0;
    }
#endif
#pragma omp parallel for schedule(static)
    for (int64_t from = 0; from < n; from += PANEL) {
        float *panel = (float *)packed + from * k;

        for (int64_t j = 0; j < k; j++)
            for (int64_t i = 0; i < PANEL; i++) {
                float v = from + i < n ? F32(w)[(from + i) * k + j] : 0.0f;

                panel[j * PANEL + i] = cpu->bf16 ? cpu_round_bf16(v) : v;
            }
    }
    return 0;
}

/* Sums of rows (a constant at each call) of x with one panel; lanes past n are not stored. */
vec_inline void tile(float *y, const float *x, const float *panel, const float *bias, int64_t y_stride, int64_t k, int64_t n,
                     struct thin how, int rows)
{
    vec sum[TILE][VECS] = {0};

    for (int64_t j = 0; j < k; j++) {
        vec w[VECS];

        for (int v = 0; v < VECS; v++)
            w[v] = vec_load(panel + j * PANEL + v * VEC);
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < VECS; v++)
                sum[r][v] = vec_fma(vec_all(x[r * k + j]), w[v], sum[r][v]);
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < VECS; v++) {
            int64_t at = v * VEC, count = n - at < VEC ? n - at : VEC;
            float *out = y + r * y_stride + at;
            vec s = sum[r][v];

            if (count <= 0)
                continue;
            if (bias != NULL)
                s += count == VEC ? vec_load(bias + at) : vec_load_part(bias + at, count, 0.0f);
            if (how.gelu)
                s = gelu(s);
            if (how.add)
                s += count == VEC ? vec_load(out) : vec_load_part(out, count, 0.0f);
            if (count == VEC)
                vec_store(out, s);
            else
                vec_store_part(out, s, count);
        }
}

/* Fewer rows than a tile has. */
static void rest(float *y, const float *x, const float *panel, const float *bias, int64_t y_stride, int64_t k, int64_t n,
                 struct thin how, int rows)
{
    switch (rows) {
    case 1:
        tile(y, x, panel, bias, y_stride, k, n, how, 1);
        break;
    case 2:
        tile(y, x, panel, bias, y_stride, k, n, how, 2);
        break;
    case 3:
        tile(y, x, panel, bias, y_stride, k, n, how, 3);
        break;
    case 4:
        tile(y, x, panel, bias, y_stride, k, n, how, 4);
        break;
    case 5: /* TILE - 1 at most */
        tile(y, x, panel, bias, y_stride, k, n, how, TILE - 1);
        break;
    }
}

int cpu_thin(void *self, tensor_in y, tensor_in x, const void *packed, tensor_in bias, struct thin how)
{
    struct cpu *cpu = self;
    int64_t rows = x->shape[0], k = x->shape[1], n = y->shape[1];
    const float *from_x = F32(x);

#if VEC == 16
    if (in_bf16(cpu)) {
        struct gemm shape = {.m = rows, .n = n, .k = k, .tb = true, .add = how.add, .act = how.gelu, .gain = 1.0f};

        return cpu_thin_bf16(cpu, F32(y), from_x, packed, bias ? F32(bias) : NULL, &shape);
    }
#endif
    if (cpu->bf16) {
        float *rounded = cpu_scratch(cpu, (size_t)(rows * k) * sizeof *rounded);

        if (!rounded)
            return ERR_NOMEM;
        for (int64_t i = 0; i < rows * k; i++)
            rounded[i] = cpu_round_bf16(from_x[i]);
        from_x = rounded;
    }
#pragma omp parallel for schedule(static)
    for (int64_t from = 0; from < n; from += PANEL) {
        const float *panel = (const float *)packed + from * k, *shift = bias ? F32(bias) + from : NULL;
        int64_t m = 0;

        for (; m + TILE <= rows; m += TILE)
            tile(F32(y) + m * n + from, from_x + m * k, panel, shift, n, k, n - from, how, TILE);
        rest(F32(y) + m * n + from, from_x + m * k, panel, shift, n, k, n - from, how, (int)(rows - m));
    }
    return 0;
}

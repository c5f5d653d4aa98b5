/* SPDX-License-Identifier: MIT */
/* attn.c -- time of attention, forward and backward: `build/tests/bench/attn [DEVICE]`.
 *
 * The best of nine rounds; GFLOP/s count the allowed cells only (4 D forward, 10 D backward).
 */
#include "compute/attn.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/progress.h"
#include "base/rng.h"

static struct tensor make(struct arena *a, int64_t n, int64_t t, int64_t c, double spread)
{
    struct tensor x = tensor_f32(NULL, n, t, c);
    struct rng rng = {.seed = 1, .purpose = RNG_TEST};

    x.data = arena_take(a, tensor_bytes(&x));
    for (int64_t i = 0; i < n * t * c; i++)
        ((float *)x.data)[i] = (float)(spread * rng_normal(rng, (uint64_t)c, (uint64_t)i));
    return x;
}

static double cells(const struct attn *a)
{
    int64_t t = a->text + a->h * a->w, sum = 0;

    for (int64_t q = 0; q < t; q++)
        for (int64_t k = 0; k <= q; k++)
            sum += attn_allows(a, q, k);
    return (double)sum;
}

static void measure(struct device *dev, const char *name, int64_t n, const struct attn *a, int64_t d)
{
    static const char *const kinds[] = {"dense", "row", "column", "conv"};
    int64_t t = a->text + a->h * a->w, c = a->heads * d;
    double forward = 1e9, backward = 1e9, work = cells(a) * (double)(n * a->heads * d);
    struct arena arena;

    if (device_arena_init(dev, &arena, (size_t)512 << 20) != 0)
        exit(1);
    struct tensor qkv = make(&arena, n, t, 3 * c, 1), dqkv = make(&arena, n, t, 3 * c, 0), out = make(&arena, n, t, c, 0);
    struct tensor dout = make(&arena, n, t, c, 1), lse = make(&arena, n, a->heads, t, 0);

    for (int i = 0; i < 9; i++) {
        double start = clock_s();

        if (op_attn(dev, &out, &lse, &qkv, a) != 0)
            exit(1);
        forward = fmin(forward, clock_s() - start);
        start = clock_s();
        if (op_attn_grad(dev, &dqkv, &dout, &out, &lse, &qkv, a) != 0)
            exit(1);
        backward = fmin(backward, clock_s() - start);
    }
    printf("%-10s %-7s forward %8.3f ms %6.1f GFLOP/s   backward %8.3f ms %6.1f GFLOP/s\n", name, kinds[a->kind],
           forward * 1e3, 4e-9 * work / forward, backward * 1e3, 10e-9 * work / backward);
    device_arena_fini(dev, &arena);
}

int main(int argc, char **argv)
{
    struct device dev;

    if (device_open(&dev, argc > 1 ? argv[1] : "cpu") != 0) {
        fprintf(stderr, "bench: %s\n", err_text());
        return 1;
    }
    for (int kind = ATTN_DENSE; kind <= ATTN_CONV; kind++) {
        measure(&dev, "16+8x8", 64, &(struct attn){(enum attn_kind)kind, 16, 8, 8, 3, 4}, 64);
        measure(&dev, "64+16x16", 16, &(struct attn){(enum attn_kind)kind, 64, 16, 16, 5, 4}, 64);
        measure(&dev, "256+32x32", 2, &(struct attn){(enum attn_kind)kind, 256, 32, 32, 11, 8}, 64);
    }
    device_close(&dev);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* prior.c -- time of the prior's operations beside products and attention: `build/tests/bench/prior [DEVICE]`.
 *
 * First the passes of a training step (5120 positions, d 256), then one step of sampling (4 layers, d 256, text 64, 16x16)
 * for several numbers of candidates.  Best and median of the rounds; GB/s count what must be read and written once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/progress.h"
#include "compute/act.h"
#include "compute/adam.h"
#include "compute/embed.h"
#include "compute/loss.h"
#include "compute/norm.h"
#include "compute/sample.h"

enum { ROUNDS = 41, D = 256, HEADS = 4, TEXT = 64, SIDE = 16, VOCAB = 512, LAYERS = 4 };

#define SPACE ((size_t)512 << 20)

struct bench {
    struct device dev;
    struct arena arena;
    struct tensor t[8];
    const void *packed;
    struct attn attn;
    struct attn_cache cache;
};

static struct tensor fill(struct bench *b, struct tensor t)
{
    struct rng rng = {.seed = 1, .purpose = RNG_TEST};
    float *x = arena_take(&b->arena, tensor_bytes(&t));

    for (int64_t i = 0; x && i < tensor_elements(&t); i++)
        x[i] = rng_uniform(rng, 0, (uint64_t)i) - 0.4f;
    t.data = x;
    if (b->arena.failed)
        exit(1);
    return t;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Best time in microseconds. */
static double measure(struct bench *b, const char *name, int (*run)(struct bench *b), double work, const char *unit)
{
    double times[ROUNDS];

    for (int n = 0; n < ROUNDS; n++) {
        double start = clock_s();

        if (run(b) != 0) {
            fprintf(stderr, "prior: %s: %s\n", name, err_text());
            exit(1);
        }
        times[n] = clock_s() - start;
    }
    qsort(times, ROUNDS, sizeof *times, compare);
    printf("%-28s %9.1f us %8.1f %-7s median %9.1f us\n", name, times[0] * 1e6, work / times[0] * 1e-9, unit,
           times[ROUNDS / 2] * 1e6);
    return times[0] * 1e6;
}

static int run_norm(struct bench *b)
{
    return op_norm(&b->dev, &b->t[1], &b->t[5], &b->t[6], &b->t[0], &b->t[3], &b->t[4], 1e-5f);
}

static int run_norm_grad(struct bench *b)
{
    return op_norm_grad(&b->dev, &b->t[2], &b->t[3], &b->t[4], &b->t[1], &b->t[0], &b->t[5], &b->t[6], &b->t[3], 1,
                        false);
}

static int run_add(struct bench *b) { return op_add(&b->dev, &b->t[1], &b->t[0], 1.0f); }
static int run_loss(struct bench *b) { return op_cross_entropy(&b->dev, &b->t[1], &b->t[0], &b->t[2], 1.0f); }
static int run_embed(struct bench *b) { return op_embed(&b->dev, &b->t[1], &b->t[0], &b->t[2], false); }
static int run_embed_grad(struct bench *b) { return op_embed_grad(&b->dev, &b->t[0], &b->t[1], &b->t[2]); }

static int run_adam(struct bench *b)
{
    const struct adam how = {.lr = 1e-3f, .beta1 = 0.9f, .beta2 = 0.96f, .eps = 1e-8f, .decay = 0.045f, .v_max = 5.0f,
                             .scale = 1.0f, .t = 10, .rng = {1, RNG_ROUND}};

    return op_adam(&b->dev, &b->t[0], &b->t[1], &b->t[2], &b->t[3], &how);
}

static int run_sum_squares(struct bench *b)
{
    struct squares sum;

    return op_sum_squares(&b->dev, &sum, &b->t[0], 1);
}

/* Weights and gradients of 16 bits, moments as codes, after t[0..3] in f32. */
static void bench_adam(struct bench *b, const char *name, enum dtype type)
{
    static const enum dtype moments[] = {DTYPE_E6M9, DTYPE_E6M10};
    int64_t n = tensor_elements(&b->t[0]);
    size_t used = b->arena.used;
    struct tensor wide[4];

    for (int i = 0; i < 4; i++) {
        enum dtype to = i == 1 || i == 2 ? moments[i - 1] : type;

        wide[i] = b->t[i];
        b->t[i] = tensor_of(to, arena_take(&b->arena, (size_t)n * dtype_size(to)), n);
        if (to != type)
            memset(b->t[i].data, 0, tensor_bytes(&b->t[i]));
        else if (op_copy(&b->dev, &b->t[i], &wide[i]) != 0)
            fprintf(stderr, "prior: %s\n", err_text());
    }
    measure(b, name, run_adam, 14.0 * (double)n, "GB/s");
    memcpy(b->t, wide, sizeof wide);
    b->arena.used = used;
}

static void training(struct bench *b)
{
    const int64_t n = 5120, parameters = 3400000;
    double bytes = 4.0 * (double)(n * D);

    b->arena.used = 0;
    for (int i = 0; i < 3; i++)
        b->t[i] = fill(b, tensor_f32(NULL, n, D));
    b->t[3] = fill(b, tensor_f32(NULL, D));
    b->t[4] = fill(b, tensor_f32(NULL, D));
    b->t[5] = fill(b, tensor_f32(NULL, n));
    b->t[6] = fill(b, tensor_f32(NULL, n));
    measure(b, "norm 5120x256", run_norm, 2 * bytes, "GB/s");
    measure(b, "norm_grad 5120x256", run_norm_grad, 4 * bytes, "GB/s");
    measure(b, "add 5120x256", run_add, 3 * bytes, "GB/s");
    b->t[0] = fill(b, tensor_f32(NULL, n, VOCAB));
    b->t[1] = fill(b, tensor_f32(NULL, n));
    b->t[2] = tensor_i32(fill(b, tensor_f32(NULL, n)).data, n);
    for (int64_t i = 0; i < n; i++)
        ((int32_t *)b->t[2].data)[i] = (int32_t)(i * 7 % VOCAB);
    measure(b, "cross_entropy 5120x512", run_loss, 2 * bytes * VOCAB / D, "GB/s");
    b->t[0] = fill(b, tensor_f32(NULL, VOCAB, D));
    b->t[1] = fill(b, tensor_f32(NULL, n, D));
    measure(b, "embed 5120x256", run_embed, bytes, "GB/s");
    measure(b, "embed_grad 5120x256", run_embed_grad, bytes, "GB/s");
    b->arena.used = 0;
    for (int i = 0; i < 4; i++)
        b->t[i] = fill(b, tensor_f32(NULL, parameters));
    measure(b, "adam 3.4M", run_adam, 28.0 * (double)parameters, "GB/s");
    bench_adam(b, "adam 3.4M bf16, codes", DTYPE_BF16);
    bench_adam(b, "adam 3.4M f16, codes", DTYPE_F16);
    measure(b, "sum_squares 3.4M", run_sum_squares, 4.0 * (double)parameters, "GB/s");
}

static int run_thin(struct bench *b)
{
    return op_thin(&b->dev, &b->t[1], &b->t[0], b->packed, NULL, (struct thin){0});
}

static double thin(struct bench *b, int64_t m, int64_t n, int64_t k)
{
    struct tensor w;
    char name[64];
    void *packed;

    b->arena.used = 0;
    w = fill(b, tensor_f32(NULL, n, k));
    packed = arena_take(&b->arena, op_thin_size(&b->dev, n, k));
    b->packed = packed;
    if (packed == NULL || op_thin_pack(&b->dev, packed, &w) != 0)
        exit(1);
    b->t[0] = fill(b, tensor_f32(NULL, m, k));
    b->t[1] = fill(b, tensor_f32(NULL, m, n));
    snprintf(name, sizeof name, "thin %dx%dx%d", (int)m, (int)n, (int)k);
    return measure(b, name, run_thin, 2.0 * (double)(m * n * k), "GFLOP/s");
}

static int run_cache(struct bench *b)
{
    return op_attn_cache(&b->dev, &b->t[1], &b->cache, &b->t[0], &b->t[2], &b->t[3], &b->attn);
}

static double cached(struct bench *b, int64_t m, enum attn_kind kind)
{
    static const char *const kinds[] = {"dense", "row", "column", "conv"};
    char name[64];

    b->arena.used = 0;
    b->attn = (struct attn){kind, TEXT, SIDE, SIDE, 5, HEADS};
    attn_cache_place(&b->cache, fill(b, tensor_f32(NULL, (int64_t)attn_cache_size(&b->attn, D / HEADS, 1, m) / 4)).data,
                     &b->attn, D / HEADS, 1, m);
    b->t[0] = fill(b, tensor_f32(NULL, m, 3 * D));
    b->t[1] = fill(b, tensor_f32(NULL, m, D));
    b->t[2] = tensor_i32(fill(b, tensor_f32(NULL, m)).data, m);
    b->t[3] = tensor_i32(fill(b, tensor_f32(NULL, 1)).data, 1);
    ((int32_t *)b->t[3].data)[0] = SIDE * SIDE / 2;
    for (int64_t i = 0; i < m; i++)
        ((int32_t *)b->t[2].data)[i] = 0;
    snprintf(name, sizeof name, "attn_cache %s x%d", kinds[kind], (int)m);
    return measure(b, name, run_cache, 4.0 * (double)(m * D * (TEXT + SIDE * SIDE / 2)), "dense-GF");
}

static int run_choose(struct bench *b)
{
    const struct choose how = {1.0f, 0, 1.0f, {1, RNG_TEST}};

    return op_choose(&b->dev, &b->t[1], &b->t[0], &b->t[2], &b->t[3], &how);
}

static int run_choose_cut(struct bench *b)
{
    const struct choose how = {1.0f, VOCAB / 4, 0.9f, {1, RNG_TEST}};

    return op_choose(&b->dev, &b->t[1], &b->t[0], &b->t[2], &b->t[3], &how);
}

static void sampling(struct bench *b, int64_t m)
{
    double us = thin(b, m, 3 * D, D) + thin(b, m, D, D) + thin(b, m, 4 * D, D) + thin(b, m, D, 4 * D);

    cached(b, m, ATTN_DENSE);
    us = LAYERS * (us + cached(b, m, ATTN_ROW));
    us += thin(b, m, VOCAB, D);
    b->arena.used = 0;
    b->t[0] = fill(b, tensor_f32(NULL, m, VOCAB));
    b->t[1] = tensor_i32(fill(b, tensor_f32(NULL, m)).data, m, 1);
    b->t[2] = tensor_i32(fill(b, tensor_f32(NULL, m, 2)).data, m, 2);
    b->t[3] = tensor_i32(fill(b, tensor_f32(NULL, 1)).data, 1);
    ((int32_t *)b->t[3].data)[0] = 0;
    measure(b, "choose, top-k and top-p", run_choose_cut, (double)(m * VOCAB), "G/s");
    us += measure(b, "choose", run_choose, (double)(m * VOCAB), "G/s");
    printf("%d candidates: %.0f tokens/s\n", (int)m, (double)m / us * 1e6);
}

int main(int argc, char **argv)
{
    struct bench b = {0};

    if (device_open(&b.dev, argc > 1 ? argv[1] : "cpu") != 0 || device_arena_init(&b.dev, &b.arena, SPACE) != 0) {
        fprintf(stderr, "prior: %s\n", err_text());
        return 1;
    }
    training(&b);
    sampling(&b, 1);
    sampling(&b, 16);
    sampling(&b, 64);
    device_arena_fini(&b.dev, &b.arena);
    device_close(&b.dev);
    return 0;
}

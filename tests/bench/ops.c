/* SPDX-License-Identifier: MIT */
/* ops.c -- time of each operation at shapes of small models: `build/tests/bench/ops [DEVICE] [PART OF A NAME]`.
 *
 * The best and the median of the rounds that fit into a tenth of a second; far apart, the machine was busy.  GFLOP/s count
 * 2 for a multiplication and addition, GB/s the bytes that must be read and written once; both belong to the best.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/par.h"
#include "compute/act.h"
#include "compute/adam.h"
#include "compute/attn.h"
#include "compute/conv.h"
#include "compute/gumbel.h"
#include "compute/loss.h"
#include "compute/matmul.h"
#include "compute/norm.h"
#include "compute/pool.h"

#define ROUNDS 200
#define SPACE ((size_t)512 << 20)

struct bench {
    struct device dev;
    struct arena arena;
    const char *only;     /* part of a name, or NULL */
    struct tensor t[8];   /* the case's tensors */
    struct conv conv;
    struct gumbel gumbel;
    struct attn attn;
    struct matmul matmul;
    bool failed;
};

static struct tensor fill(struct bench *b, struct tensor t)
{
    struct rng rng = {.seed = 1, .purpose = RNG_TEST};
    float *x = arena_take(&b->arena, tensor_bytes(&t));

    t.data = x;
    for (int64_t i = 0; x && i < tensor_elements(&t); i += 4) {
        struct rng4 d = rng_draw(rng, 0, (uint64_t)i);

        for (int k = 0; k < 4 && i + k < tensor_elements(&t); k++)
            x[i + k] = rng_unit(d.v[k]) - 0.4f;
    }
    return t;
}

/* The same in another type. */
static struct tensor fill_as(struct bench *b, enum dtype type, struct tensor t)
{
    struct tensor wide = fill(b, t);

    if (type == DTYPE_F32 || b->arena.failed)
        return wide;
    t.type = type;
    t.data = arena_take(&b->arena, tensor_bytes(&t));
    b->failed |= t.data && op_copy(&b->dev, &t, &wide) != 0;
    return t;
}

/* Seconds; with one thread those that it ran, so that a busy machine matters less. */
static double now_s(void)
{
    struct timespec t;

    clock_gettime(par_threads() == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* work: flops, or bytes if they are what bounds it. */
static void measure(struct bench *b, const char *name, int (*run)(struct bench *b), double work, const char *unit)
{
    double times[ROUNDS], start = now_s();
    int n = 0;

    if (b->only && !strstr(name, b->only))
        return;
    if (b->arena.failed || run(b) != 0) {
        fprintf(stderr, "%s: %s\n", name, b->arena.failed ? "arena too small" : err_text());
        b->failed = true;
        return;
    }
    for (start = now_s(); n < 3 || (n < ROUNDS && now_s() - start < 0.1); n++) {
        double at = now_s();

        b->failed |= run(b) != 0;
        times[n] = now_s() - at;
    }
    qsort(times, (size_t)n, sizeof *times, compare);
    printf("%-34s %9.1f us %9.1f %-7s median %9.1f us\n", name, times[0] * 1e6, work / times[0] * 1e-9, unit,
           times[n / 2] * 1e6);
}

/* t: x, w, bias, y, dx, dw, db */
static int run_conv(struct bench *b)
{
    return op_conv(&b->dev, &b->t[3], &b->t[0], &b->t[1], &b->t[2], b->conv);
}

static int run_conv_dx(struct bench *b)
{
    struct conv how = {.gain = b->conv.gain};

    return op_conv_dx(&b->dev, &b->t[4], &b->t[3], &b->t[1], &b->t[0], how);
}

static int run_conv_dw(struct bench *b)
{
    struct conv how = {.gain = b->conv.gain};

    return op_conv_dw(&b->dev, &b->t[5], &b->t[6], &b->t[3], &b->t[0], how);
}

static void bench_conv(struct bench *b, int64_t n, int64_t s, int64_t i, int64_t o, int64_t k)
{
    double flops = 2.0 * (double)(n * s * s * i * o * k * k);
    char name[64];

    b->arena.used = 0;
    b->t[0] = fill(b, tensor_f32(NULL, n, s, s, i));
    b->t[1] = fill(b, tensor_f32(NULL, o, i, k, k));
    b->t[2] = fill(b, tensor_f32(NULL, o));
    b->t[3] = fill(b, tensor_f32(NULL, n, s, s, o));
    b->t[4] = fill(b, tensor_f32(NULL, n, s, s, i));
    b->t[5] = fill(b, tensor_f32(NULL, o, i, k, k));
    b->t[6] = fill(b, tensor_f32(NULL, o));
    b->conv = (struct conv){.gain = 1.0f, .relu = true};
    snprintf(name, sizeof name, "conv    %3d->%3d %dx%d @%d x%d", (int)i, (int)o, (int)k, (int)k, (int)s, (int)n);
    measure(b, name, run_conv, flops, "GFLOP/s");
    memcpy(name, "conv_dx", 7);
    measure(b, name, run_conv_dx, flops, "GFLOP/s");
    memcpy(name, "conv_dw", 7);
    measure(b, name, run_conv_dw, flops, "GFLOP/s");
}

static int run_matmul(struct bench *b)
{
    return op_matmul(&b->dev, &b->t[0], &b->t[1], &b->t[2], NULL, b->matmul);
}

static const char *const type_names[] = {"", " bf16", " f16"};

static void bench_matmul(struct bench *b, enum dtype type, int64_t m, int64_t n, int64_t k)
{
    static const char *const form[] = {"x w^T", "dy w", "dy^T x"};
    char name[64];

    for (int i = 0; i < 3; i++) {
        b->matmul = (struct matmul){.ta = i == 2, .tb = i == 0, .add = i == 2};
        b->arena.used = 0;
        b->t[0] = fill_as(b, type, tensor_f32(NULL, m, n));
        b->t[1] = fill_as(b, type, tensor_f32(NULL, i == 2 ? k : m, i == 2 ? m : k));
        b->t[2] = fill_as(b, type, tensor_f32(NULL, i == 0 ? n : k, i == 0 ? k : n));
        snprintf(name, sizeof name, "matmul %s %dx%dx%d%s", form[i], (int)m, (int)n, (int)k, type_names[type]);
        measure(b, name, run_matmul, 2.0 * (double)(m * n * k), "GFLOP/s");
    }
}

/* t: out, lse, qkv, dout, dqkv */
static int run_attn(struct bench *b) { return op_attn(&b->dev, &b->t[0], &b->t[1], &b->t[2], &b->attn); }
static int run_attn_grad(struct bench *b)
{
    return op_attn_grad(&b->dev, &b->t[4], &b->t[3], &b->t[0], &b->t[1], &b->t[2], &b->attn);
}

/* The bytes of its tensors; attn.c counts multiplications. */
static void bench_attn(struct bench *b, enum dtype type, enum attn_kind kind, int64_t n)
{
    static const char *const kinds[] = {"dense", "row", "column", "conv"};
    int64_t t = 64 + 16 * 16, c = 512;
    double bytes = (double)dtype_size(type) * (double)(n * t * c);
    char name[64];

    b->attn = (struct attn){kind, 64, 16, 16, 7, 8};
    b->arena.used = 0;
    b->t[0] = fill_as(b, type, tensor_f32(NULL, n, t, c));
    b->t[1] = fill(b, tensor_f32(NULL, n, b->attn.heads, t));
    b->t[2] = fill_as(b, type, tensor_f32(NULL, n, t, 3 * c));
    b->t[3] = fill_as(b, type, tensor_f32(NULL, n, t, c));
    b->t[4] = fill_as(b, type, tensor_f32(NULL, n, t, 3 * c));
    snprintf(name, sizeof name, "attn %s x%d%s", kinds[kind], (int)n, type_names[type]);
    measure(b, name, run_attn, 4 * bytes, "GB/s");
    snprintf(name, sizeof name, "attn_grad %s x%d%s", kinds[kind], (int)n, type_names[type]);
    measure(b, name, run_attn_grad, 8 * bytes, "GB/s");
}

static int run_max_pool(struct bench *b) { return op_max_pool(&b->dev, &b->t[1], &b->t[0]); }
static int run_max_pool_grad(struct bench *b) { return op_max_pool_grad(&b->dev, &b->t[2], &b->t[1], &b->t[0]); }
static int run_upsample(struct bench *b) { return op_upsample(&b->dev, &b->t[0], &b->t[1]); }
static int run_upsample_grad(struct bench *b) { return op_upsample_grad(&b->dev, &b->t[1], &b->t[0]); }

static void bench_pool(struct bench *b, int64_t n, int64_t s, int64_t c)
{
    double bytes = 4.0 * (double)(n * s * s * c);

    b->arena.used = 0;
    b->t[0] = fill(b, tensor_f32(NULL, n, 2 * s, 2 * s, c));
    b->t[1] = fill(b, tensor_f32(NULL, n, s, s, c));
    b->t[2] = fill(b, tensor_f32(NULL, n, 2 * s, 2 * s, c));
    measure(b, "max_pool", run_max_pool, 5 * bytes, "GB/s");
    measure(b, "max_pool_grad", run_max_pool_grad, 9 * bytes, "GB/s");
    measure(b, "upsample", run_upsample, 5 * bytes, "GB/s");
    measure(b, "upsample_grad", run_upsample_grad, 5 * bytes, "GB/s");
}

static int run_gumbel(struct bench *b) { return op_gumbel(&b->dev, &b->t[1], &b->t[3], &b->t[0], &b->gumbel); }
static int run_gumbel_max(struct bench *b) { return op_gumbel_max(&b->dev, &b->t[4], &b->t[0], &b->gumbel); }
static int run_gumbel_grad(struct bench *b)
{
    return op_gumbel_grad(&b->dev, &b->t[2], &b->t[2], &b->t[1], &b->t[0], 1.0f, 0.1f);
}

static void bench_gumbel(struct bench *b, int64_t p, int64_t v)
{
    double bytes = 4.0 * (double)(p * v);

    b->arena.used = 0;
    b->gumbel = (struct gumbel){.rng = {1, RNG_TEST}, .tau = 1.0f};
    for (int i = 0; i < 3; i++)
        b->t[i] = fill(b, tensor_f32(NULL, p, v));
    b->t[3] = fill(b, tensor_f32(NULL, p));
    b->t[4] = fill(b, tensor_i32(NULL, p));
    measure(b, "gumbel", run_gumbel, 2 * bytes, "GB/s");
    measure(b, "gumbel_grad", run_gumbel_grad, 4 * bytes, "GB/s");
    measure(b, "gumbel_max", run_gumbel_max, bytes, "GB/s");
}

static int run_laplace(struct bench *b) { return op_laplace(&b->dev, &b->t[2], &b->t[1], &b->t[0], 1e-3f); }

static void bench_laplace(struct bench *b, int64_t p)
{
    b->arena.used = 0;
    b->t[0] = fill(b, tensor_f32(NULL, p, 3));
    b->t[1] = fill(b, tensor_f32(NULL, p, 6));
    b->t[2] = fill(b, tensor_f32(NULL, p));
    measure(b, "laplace", run_laplace, 4.0 * (double)p * 16, "GB/s");
}

/* The widths of a dVAE with 32 or 64 hidden channels on 32x32 pictures, two downsamplings. */
static void bench_dvae(struct bench *b)
{
    bench_conv(b, 32, 32, 3, 32, 7);
    for (int64_t n = 32; n <= 64; n *= 2) {
        bench_conv(b, 32, 32, n, n / 4, 3);
        bench_conv(b, 32, 32, n / 4, n / 4, 3);
        bench_conv(b, 32, 32, n / 4, n, 1);
        bench_conv(b, 32, 32, n, n / 4, 1);
        bench_conv(b, 32, 32, n / 4, n, 3);
        bench_conv(b, 32, 16, 2 * n, n / 2, 3);
        bench_conv(b, 32, 16, n / 2, n / 2, 3);
        bench_conv(b, 32, 16, n / 2, 2 * n, 3);
        bench_conv(b, 32, 8, 4 * n, n, 3);
        bench_conv(b, 32, 8, n, n, 3);
        bench_conv(b, 32, 8, n, 4 * n, 1);
        bench_conv(b, 32, 8, 8 * n, 2 * n, 3);
        bench_conv(b, 32, 8, 2 * n, 2 * n, 3);
        bench_conv(b, 32, 8, 2 * n, 8 * n, 3);
        bench_conv(b, 32, 8, 8 * n, 256, 1);
        bench_conv(b, 32, 32, n, 6, 1);
    }
    bench_pool(b, 32, 16, 32);
    bench_gumbel(b, 2048, 256);
    bench_laplace(b, 32768);
}

/* The widths of a small prior, and of a narrow one. */
static void bench_products(struct bench *b)
{
    static const int64_t shapes[][3] = {{5120, 1024, 256}, {5120, 256, 1024}, {1024, 256, 5120}, {2560, 2048, 512},
                                        {2560, 512, 2048}, {2048, 512, 2560}, {2400, 384, 128},  {2400, 128, 512},
                                        {512, 128, 2400},  {128, 128, 2400}};

    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        bench_matmul(b, DTYPE_F32, shapes[i][0], shapes[i][1], shapes[i][2]);
}

/* Tensors of 16 bits beside the same in f32, at the device's own precision of f32. */
static void bench_narrow(struct bench *b)
{
    for (int type = DTYPE_F32; type <= DTYPE_F16; type++) {
        if (!device_stores(&b->dev, (enum dtype)type))
            continue;
        bench_matmul(b, (enum dtype)type, 2560, 2048, 512);
        bench_matmul(b, (enum dtype)type, 2560, 512, 2048);
        bench_matmul(b, (enum dtype)type, 2400, 384, 128);
        for (int kind = ATTN_ROW; kind <= ATTN_CONV; kind++)
            bench_attn(b, (enum dtype)type, (enum attn_kind)kind, 8);
    }
}

int main(int argc, char **argv)
{
    struct bench b = {.only = argc > 2 ? argv[2] : NULL};

    if (device_open(&b.dev, argc > 1 ? argv[1] : "cpu") != 0 || device_arena_init(&b.dev, &b.arena, SPACE) != 0) {
        fprintf(stderr, "ops: %s\n", err_text());
        return 1;
    }
    bench_dvae(&b);
    bench_products(&b);
    bench_narrow(&b);
    device_arena_fini(&b.dev, &b.arena);
    device_close(&b.dev);
    return b.failed ? 1 : 0;
}

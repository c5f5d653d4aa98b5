/* SPDX-License-Identifier: MIT */
/* gpu_ops.c -- time of single operations on any device, at the shapes of large models.
 *
 *   build/tests/bench/gpu_ops [DEVICE [full|tiny [PART]]]
 *
 * tiny (as without arguments): small shapes, to see that all of it runs.  PART: one of passes, products, attention, codes,
 * convolutions, sampling.  A line an operation: its name, the type of what it reads and writes, the median of the rounds,
 * the least and the most, then the bytes that must be read and written once and the multiplications and additions, both a
 * second; or "failed:" and why.  A round is as many calls as take about 2 ms, and one wait.  Products' factors are bf16
 * wherever the device makes them fast.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/progress.h"
#include "compute/act.h"
#include "compute/adam.h"
#include "compute/conv.h"
#include "compute/gumbel.h"
#include "compute/loss.h"
#include "compute/matmul.h"
#include "compute/norm.h"
#include "compute/sample.h"

enum { ROUNDS = 15, BLOCK = 1 << 20 /* numbers that are drawn; tensors repeat them */ };

struct bench {
    struct device dev;
    struct arena arena;
    bool tiny;
    enum dtype type;           /* of activations */
    float *random;             /* [BLOCK], in -0.5..0.5 */
    uint16_t *random_bf16;     /* the same */
    int rc;                    /* of making the case's tensors */
    struct tensor t[8];        /* the case's tensors */
    struct attn attn;
    struct attn_cache cache;
    struct matmul matmul;
    struct choose choose;
    void *packed;
};

typedef int run_op(struct bench *b);

/* ---- tensors ------------------------------------------------------------------------------------------------------- */

static void draw(struct bench *b)
{
    struct rng rng = {.seed = 1, .purpose = RNG_TEST};

    b->random = malloc(BLOCK * sizeof *b->random);
    b->random_bf16 = malloc(BLOCK * sizeof *b->random_bf16);
    for (int64_t i = 0; i < BLOCK; i++) {
        uint32_t bits;

        b->random[i] = rng_uniform(rng, 0, (uint64_t)i) - 0.5f;
        memcpy(&bits, &b->random[i], sizeof bits);
        b->random_bf16[i] = (uint16_t)(bits >> 16);
    }
}

/* The case's tensor i: t with memory, filled. */
static struct tensor *make(struct bench *b, int i, struct tensor t)
{
    const void *from = dtype_size(t.type) == 2 ? (const void *)b->random_bf16 : b->random;
    size_t size = tensor_bytes(&t), block = BLOCK * dtype_size(t.type);

    t.data = arena_take(&b->arena, size);
    if (b->rc == 0 && !t.data)
        b->rc = err_set(ERR_NOMEM, "more memory than the %zu bytes of the benchmark", b->arena.size);
    for (size_t at = 0; b->rc == 0 && at < size; at += block) {
        size_t part = size - at < block ? size - at : block;

        b->rc = t.type == DTYPE_I32 ? device_zero(&b->dev, (char *)t.data + at, part)
                                    : device_upload(&b->dev, (char *)t.data + at, from, part);
    }
    b->t[i] = t;
    return &b->t[i];
}

static struct tensor *make_typed(struct bench *b, int i, struct tensor t)
{
    t.type = b->type;
    return make(b, i, t);
}

/* ---- measuring ----------------------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Seconds of so many calls, all of them done. */
static double time_calls(struct bench *b, run_op *run, int calls)
{
    double start = clock_s();

    for (int i = 0; b->rc == 0 && i < calls; i++)
        b->rc = run(b);
    if (b->rc == 0)
        b->rc = device_wait(&b->dev);
    return clock_s() - start;
}

static void measure(struct bench *b, const char *name, run_op *run, double bytes, double flops)
{
    double times[ROUNDS], once;
    int calls = 1, rounds = b->tiny ? 3 : ROUNDS;

    time_calls(b, run, b->tiny ? 1 : 3);
    if ((once = time_calls(b, run, 1)) < 2e-3)
        calls = b->tiny ? 2 : once > 2e-5 ? (int)(2e-3 / once) + 1 : 100;
    for (int i = 0; i < rounds; i++)
        times[i] = time_calls(b, run, calls) / calls;
    printf("%-30s %-5s", name, b->type == DTYPE_BF16 ? "bf16" : "f32");
    if (b->rc != 0) {
        printf(" failed: %s\n", err_text());
    } else {
        qsort(times, (size_t)rounds, sizeof *times, compare);
        once = times[rounds / 2];
        printf(" %10.2f us %10.2f to %10.2f %9.1f GB/s %8.2f TFLOP/s\n", once * 1e6, times[0] * 1e6,
               times[rounds - 1] * 1e6, bytes / once * 1e-9, flops / once * 1e-12);
    }
    fflush(stdout);
    b->rc = 0;
}

/* Start a case: its tensors follow. */
static void begin(struct bench *b)
{
    b->arena.used = 0;
    b->arena.failed = false;
    b->rc = 0;
}

/* ---- attention ----------------------------------------------------------------------------------------------------- */

static int run_attn(struct bench *b)
{
    return op_attn(&b->dev, &b->t[1], &b->t[2], &b->t[0], &b->attn);
}

static int run_attn_grad(struct bench *b)
{
    return op_attn_grad(&b->dev, &b->t[3], &b->t[4], &b->t[1], &b->t[2], &b->t[0], &b->attn);
}

static double pairs(const struct attn *a)
{
    int64_t t = a->text + a->h * a->w, sum = 0;

    for (int64_t q = 0; q < t; q++)
        for (int64_t k = 0; k <= q; k++)
            sum += attn_allows(a, q, k);
    return (double)sum;
}

static void attention(struct bench *b)
{
    static const char *const kinds[] = {"dense", "row", "column", "conv"};
    int64_t n = b->tiny ? 1 : 8, heads = b->tiny ? 2 : 16, side = b->tiny ? 4 : 32, text = b->tiny ? 16 : 256;
    int64_t t = text + side * side, c = heads * 64;

    for (int kind = ATTN_DENSE; kind <= ATTN_CONV; kind++) {
        double io, work;
        char name[64];

        begin(b);
        b->attn = (struct attn){(enum attn_kind)kind, text, side, side, b->tiny ? 3 : 11, heads};
        io = (double)tensor_bytes(make_typed(b, 0, tensor_f32(NULL, n, t, 3 * c)));
        io += (double)tensor_bytes(make_typed(b, 1, tensor_f32(NULL, n, t, c)));
        make(b, 2, tensor_f32(NULL, n, heads, t));
        make_typed(b, 3, tensor_f32(NULL, n, t, 3 * c));
        make_typed(b, 4, tensor_f32(NULL, n, t, c));
        work = 4 * pairs(&b->attn) * (double)(n * c);
        snprintf(name, sizeof name, "attn %s", kinds[kind]);
        measure(b, name, run_attn, io, work);
        snprintf(name, sizeof name, "attn_grad %s", kinds[kind]);
        measure(b, name, run_attn_grad, 2 * io, 2.5 * work);
    }
}

/* ---- products ------------------------------------------------------------------------------------------------------ */

static int run_matmul(struct bench *b)
{
    return op_matmul(&b->dev, &b->t[0], &b->t[1], &b->t[2], NULL, b->matmul);
}

static void product(struct bench *b, const char *what, int64_t m, int64_t n, int64_t k, struct matmul how)
{
    double io = 0;
    char name[64];

    begin(b);
    b->matmul = how;
    /* Sums over all positions are gradients of weights: f32. */
    io += (double)tensor_bytes(how.ta ? make(b, 0, tensor_f32(NULL, m, n)) : make_typed(b, 0, tensor_f32(NULL, m, n)));
    io += (double)tensor_bytes(make_typed(b, 1, tensor_f32(NULL, how.ta ? k : m, how.ta ? m : k)));
    io += (double)tensor_bytes(make_typed(b, 2, tensor_f32(NULL, how.tb ? n : k, how.tb ? k : n)));
    snprintf(name, sizeof name, "matmul %s", what);
    measure(b, name, run_matmul, io, 2.0 * (double)m * (double)n * (double)k);
}

static void products(struct bench *b)
{
    const struct matmul forward = {.tb = true}, dx = {0}, dw = {.ta = true, .add = true};
    int64_t m = b->tiny ? 64 : 20480, d = b->tiny ? 32 : 1024, square = b->tiny ? 64 : 8192;

    product(b, "square", square, square, square, forward);
    product(b, "qkv", m, 3 * d, d, forward);
    product(b, "out", m, d, d, forward);
    product(b, "up", m, 4 * d, d, forward);
    product(b, "down", m, d, 4 * d, forward);
    product(b, "up dx", m, d, 4 * d, dx);
    product(b, "up dw", 4 * d, d, m, dw);
    product(b, "logits", m * 4 / 5, 8 * d, d, forward);
}

/* ---- passes over memory -------------------------------------------------------------------------------------------- */

static int run_copy(struct bench *b) { return op_copy(&b->dev, &b->t[1], &b->t[0]); }
static int run_loss(struct bench *b) { return op_cross_entropy(&b->dev, &b->t[1], &b->t[0], &b->t[2], 1.0f); }

static int run_norm(struct bench *b)
{
    return op_norm(&b->dev, &b->t[1], &b->t[5], &b->t[6], &b->t[0], &b->t[3], &b->t[4], 1e-5f);
}

static int run_norm_grad(struct bench *b)
{
    return op_norm_grad(&b->dev, &b->t[2], &b->t[3], &b->t[4], &b->t[1], &b->t[0], &b->t[5], &b->t[6], &b->t[3], 0.5f, true);
}

static int run_filter(struct bench *b) { return op_filter(&b->dev, &b->t[1], &b->t[0], 0.5f); }

static int run_adam(struct bench *b)
{
    const struct adam how = {.lr = 1e-3f, .beta1 = 0.9f, .beta2 = 0.96f, .eps = 1e-8f, .decay = 0.045f, .v_max = 5.0f,
                             .scale = 1.0f, .t = 10, .master = b->t[4].data ? &b->t[4] : NULL, .rng = {1, RNG_ROUND}};

    return op_adam(&b->dev, &b->t[0], &b->t[1], &b->t[2], &b->t[3], &how);
}

static int run_sum_squares(struct bench *b)
{
    struct squares sum;

    return op_sum_squares(&b->dev, &sum, &b->t[0], 1);
}

/* Weights and gradients of the case's type; 16-bit ones with a master copy or stochastically rounded.  What is read and written
 * once: the weights (a copy only written), both moments and the master copy twice, the gradients. */
static void optimiser(struct bench *b, const char *name, int64_t n, bool master, bool codes)
{
    double p, g, moments, copy;

    begin(b);
    p = (double)tensor_bytes(make_typed(b, 0, tensor_f32(NULL, n)));
    moments = 2 * (double)tensor_bytes(make(b, 1, tensor_of(codes ? DTYPE_E6M9 : DTYPE_F32, NULL, n)));
    make(b, 2, tensor_of(codes ? DTYPE_E6M10 : DTYPE_F32, NULL, n));
    g = (double)tensor_bytes(make_typed(b, 3, tensor_f32(NULL, n)));
    b->t[4] = (struct tensor){0};
    copy = master ? (double)tensor_bytes(make(b, 4, tensor_f32(NULL, n))) : 0;
    measure(b, name, run_adam, (master ? p : 2 * p) + g + 2 * moments + 2 * copy, 0);
}

static void passes(struct bench *b)
{
    int64_t m = b->tiny ? 64 : 20480, d = b->tiny ? 32 : 1024, all = b->tiny ? 4096 : (int64_t)100 << 20;
    bool wide = b->type == DTYPE_F32;
    double io;

    begin(b);
    io = (double)tensor_bytes(make_typed(b, 0, tensor_f32(NULL, 2 * all)));
    make_typed(b, 1, tensor_f32(NULL, 2 * all));
    measure(b, "copy", run_copy, 2 * io, 0);
    begin(b);
    io += (double)tensor_bytes(make(b, 0, tensor_f32(NULL, 2 * all)));
    make_typed(b, 1, tensor_f32(NULL, 2 * all));
    measure(b, "filter", run_filter, io, 0);
    begin(b);
    for (int i = 0; i < 3; i++)
        io = (double)tensor_bytes(make_typed(b, i, tensor_f32(NULL, m, d)));
    for (int i = 3; i < 7; i++)
        make(b, i, tensor_f32(NULL, i < 5 ? d : m));
    measure(b, "norm", run_norm, 2 * io, 0);
    measure(b, "norm_grad", run_norm_grad, 4 * io, 0);
    begin(b);
    io = (double)tensor_bytes(make_typed(b, 0, tensor_f32(NULL, m * 4 / 5, 8 * d)));
    make(b, 1, tensor_f32(NULL, m * 4 / 5));
    make(b, 2, tensor_i32(NULL, m * 4 / 5));
    measure(b, "cross_entropy", run_loss, 2 * io, 0);
    optimiser(b, wide ? "adam" : "adam rounded", all, false, false);
    measure(b, wide ? "sum_squares" : "sum_squares narrow", run_sum_squares, (double)tensor_bytes(&b->t[0]), 0);
    optimiser(b, wide ? "adam codes" : "adam rounded codes", all, false, true);
    if (wide)
        return;
    optimiser(b, "adam master", all, true, false);
    optimiser(b, "adam master codes", all, true, true);
}

static const struct gumbel noise = {.rng = {1, RNG_TEST}, .tau = 1.0f};

static int run_gumbel(struct bench *b) { return op_gumbel(&b->dev, &b->t[1], &b->t[3], &b->t[0], &noise); }
static int run_gumbel_max(struct bench *b) { return op_gumbel_max(&b->dev, &b->t[4], &b->t[0], &noise); }

static int run_gumbel_grad(struct bench *b)
{
    return op_gumbel_grad(&b->dev, &b->t[2], &b->t[2], &b->t[1], &b->t[0], 1.0f, 0.1f);
}

static void relaxed_codes(struct bench *b)
{
    int64_t p = b->tiny ? 16 : 8192, v = b->tiny ? 64 : 8192;
    double io = 0;

    begin(b);
    for (int i = 0; i < 3; i++)
        io = (double)tensor_bytes(make_typed(b, i, tensor_f32(NULL, p, v)));
    make(b, 3, tensor_f32(NULL, p));
    make(b, 4, tensor_i32(NULL, p));
    measure(b, "gumbel", run_gumbel, 2 * io, 0);
    measure(b, "gumbel_grad", run_gumbel_grad, 4 * io, 0);
    measure(b, "gumbel_max", run_gumbel_max, io, 0);
}

/* ---- convolutions of the dVAE -------------------------------------------------------------------------------------- */

static int run_conv(struct bench *b)
{
    return op_conv(&b->dev, &b->t[3], &b->t[0], &b->t[1], &b->t[2], (struct conv){.gain = 1, .relu = true});
}

static int run_conv_dx(struct bench *b)
{
    return op_conv_dx(&b->dev, &b->t[4], &b->t[3], &b->t[1], &b->t[0], (struct conv){.gain = 1});
}

static int run_conv_dw(struct bench *b)
{
    return op_conv_dw(&b->dev, &b->t[5], &b->t[6], &b->t[3], &b->t[0], (struct conv){.gain = 1});
}

static void convolution(struct bench *b, int64_t s, int64_t i, int64_t o, int64_t k)
{
    int64_t n = b->tiny ? 1 : 8;
    double x, y, flops;
    char name[64];

    if (b->tiny)
        s = 8, i = i < 16 ? i : 16, o = o < 32 ? o : 32;
    flops = 2.0 * (double)(n * s * s * i * o * k * k);
    begin(b);
    x = (double)tensor_bytes(make_typed(b, 0, tensor_f32(NULL, n, s, s, i)));
    make(b, 1, tensor_f32(NULL, o, i, k, k));
    make(b, 2, tensor_f32(NULL, o));
    y = (double)tensor_bytes(make_typed(b, 3, tensor_f32(NULL, n, s, s, o)));
    make_typed(b, 4, tensor_f32(NULL, n, s, s, i));
    make(b, 5, tensor_f32(NULL, o, i, k, k));
    make(b, 6, tensor_f32(NULL, o));
    snprintf(name, sizeof name, "conv    %d>%d k%d @%d", (int)i, (int)o, (int)k, (int)s);
    measure(b, name, run_conv, x + y, flops);
    memcpy(name, "conv_dx", 7);
    measure(b, name, run_conv_dx, 2 * x + y, flops);
    memcpy(name, "conv_dw", 7);
    measure(b, name, run_conv_dw, x + y, flops);
}

static void convolutions(struct bench *b)
{
    convolution(b, 256, 64, 64, 3);
    convolution(b, 256, 64, 256, 1);
    convolution(b, 128, 128, 128, 3);
    convolution(b, 64, 256, 256, 3);
    convolution(b, 32, 512, 512, 3);
    convolution(b, 32, 2048, 8192, 1);
}

/* ---- sampling ------------------------------------------------------------------------------------------------------ */

static int run_thin(struct bench *b)
{
    return op_thin(&b->dev, &b->t[1], &b->t[0], b->packed, NULL, (struct thin){0});
}

static int run_cache(struct bench *b)
{
    return op_attn_cache(&b->dev, &b->t[1], &b->cache, &b->t[0], &b->t[2], &b->t[3], &b->attn);
}

static int run_choose(struct bench *b)
{
    return op_choose(&b->dev, &b->t[1], &b->t[0], &b->t[2], &b->t[3], &b->choose);
}

static void thin_product(struct bench *b, int64_t m, int64_t n, int64_t k)
{
    char name[64];

    begin(b);
    make(b, 2, tensor_f32(NULL, n, k));
    b->packed = arena_take(&b->arena, op_thin_size(&b->dev, n, k));
    if (b->rc == 0)
        b->rc = b->packed ? op_thin_pack(&b->dev, b->packed, &b->t[2]) : err_set(ERR_NOMEM, "no memory to pack weights");
    make(b, 0, tensor_f32(NULL, m, k));
    make(b, 1, tensor_f32(NULL, m, n));
    snprintf(name, sizeof name, "thin x%d %dx%d", (int)m, (int)n, (int)k);
    measure(b, name, run_thin, (double)op_thin_size(&b->dev, n, k), 2.0 * (double)(m * n * k));
}

static void cached(struct bench *b, int64_t m, enum attn_kind kind, const char *what)
{
    int64_t heads = b->tiny ? 2 : 16, side = b->tiny ? 4 : 32, text = b->tiny ? 16 : 256, d = 64 * heads;
    struct tensor block;
    char name[64];

    begin(b);
    b->attn = (struct attn){kind, text, side, side, b->tiny ? 3 : 11, heads};
    block = *make(b, 4, tensor_f32(NULL, (int64_t)attn_cache_size(&b->attn, 64, 1, m) / 4));
    if (b->rc == 0)
        attn_cache_place(&b->cache, block.data, &b->attn, 64, 1, m);
    make(b, 0, tensor_f32(NULL, m, 3 * d));
    make(b, 1, tensor_f32(NULL, m, d));
    make(b, 2, tensor_i32(NULL, m));
    make(b, 3, tensor_i32(NULL, 1));
    if (b->rc == 0)
        b->rc = device_upload(&b->dev, b->t[3].data, &(int32_t){(int32_t)(side * side / 2)}, sizeof(int32_t));
    snprintf(name, sizeof name, "attn_cache %s x%d", what, (int)m);
    measure(b, name, run_cache, 0, 0);
}

static void chosen(struct bench *b, int64_t m, const char *what, struct choose how)
{
    int64_t v = b->tiny ? 64 : 8192;
    char name[64];

    begin(b);
    b->choose = how;
    make(b, 0, tensor_f32(NULL, m, v));
    make(b, 1, tensor_i32(NULL, m, 1));
    make(b, 2, tensor_i32(NULL, m, 2));
    make(b, 3, tensor_i32(NULL, 1));
    snprintf(name, sizeof name, "choose%s x%d", what, (int)m);
    measure(b, name, run_choose, 4.0 * (double)(m * v), 0);
}

static void sampling(struct bench *b)
{
    int64_t d = b->tiny ? 64 : 1024, wide = b->tiny ? 96 : 3968;

    for (int64_t m = 1; m <= 64; m += 63) {
        thin_product(b, m, 3 * d, d);
        thin_product(b, m, 4 * d, d);
        thin_product(b, m, d, 4 * d);
        thin_product(b, m, 4 * wide, wide);
        cached(b, m, ATTN_DENSE, "dense");
        cached(b, m, ATTN_ROW, "row");
        cached(b, m, ATTN_COLUMN, "column");
        chosen(b, m, "", (struct choose){1.0f, 0, 1.0f, {1, RNG_TEST}});
        chosen(b, m, " top-p", (struct choose){1.0f, 1024, 0.9f, {1, RNG_TEST}});
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(struct bench *b);
        bool typed; /* for each type of activations */
    } parts[] = {{"passes", passes, true}, {"products", products, true}, {"attention", attention, true},
                 {"codes", relaxed_codes, true}, {"convolutions", convolutions, true}, {"sampling", sampling, false}};
    struct bench b = {.tiny = argc < 3 || strcmp(argv[2], "full") != 0};
    int rc = device_open(&b.dev, argc > 1 ? argv[1] : "cpu");

    if (rc == 0 && device_fast(&b.dev, PRECISION_BF16))
        rc = device_precision(&b.dev, PRECISION_BF16);
    if (rc != 0 || (rc = device_arena_init(&b.dev, &b.arena, (size_t)(b.tiny ? 64 : 6144) << 20)) != 0) {
        fprintf(stderr, "gpu_ops: %s\n", err_text());
        return 1;
    }
    draw(&b);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        for (int type = DTYPE_F32; type <= DTYPE_BF16; type++) {
            b.type = (enum dtype)type;
            if ((argc < 4 || strcmp(argv[3], parts[i].name) == 0) &&
                (type == DTYPE_F32 || (parts[i].typed && device_stores(&b.dev, DTYPE_BF16))))
                parts[i].run(&b);
        }
    free(b.random);
    free(b.random_bf16);
    device_arena_fini(&b.dev, &b.arena);
    device_close(&b.dev);
    return 0;
}

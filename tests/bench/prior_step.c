/* SPDX-License-Identifier: MIT */
/* prior_step.c -- where a training step and a batch of samples of the demo's prior spend their time.
 *
 *   build/tests/bench/prior_step [LAYERS WIDTH HEADS TEXT SIDE VOCAB BATCH MICRO SAMPLES [DEVICE [bf16]]]
 *
 * The device's table is copied and every operation that the prior uses is timed on its way through.  Best of the rounds, 9 or
 * what the variable ROUNDS says.  BATCH 0: no training; SAMPLES 0: no samples.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/progress.h"
#include "base/rng.h"
#include "compute/backend.h"
#include "machine.h"
#include "model/prior_pass.h"
#include "model/sampler.h"

enum { MATMUL, SUM_ROWS, NORM, NORM_GRAD, GELU, GELU_GRAD, COPY, ATTN, ATTN_GRAD, EMBED, EMBED_GRAD, LOSS, ADAM, SQUARES, ZERO,
       THIN, ATTN_CACHE, CHOOSE, TIMED };

static const char *const names[TIMED] = {"matmul", "sum_rows", "norm", "norm_grad", "gelu", "gelu_grad", "copy", "attn",
                                         "attn_grad", "embed", "embed_grad", "cross_entropy", "adam", "sum_squares", "zero",
                                         "thin", "attn_cache", "choose"};
static const struct backend *real;
static double spent[TIMED], work; /* seconds; operations of products and attention, what masks forbid left out */

/* Pairs that the mask allows. */
static double allowed(const struct attn *a)
{
    static double known[ATTN_CONV + 1];
    int64_t slots = a->text + a->h * a->w;

    if (known[a->kind] == 0)
        for (int64_t q = 0; q < slots; q++)
            for (int64_t k = 0; k <= q; k++)
                known[a->kind] += attn_allows(a, q, k);
    return known[a->kind];
}

/* Of one pass forward; backward makes five products for two. */
static double attn_work(tensor_in out, const struct attn *a)
{
    return 4.0 * (double)out->shape[0] * (double)out->shape[2] * allowed(a);
}

#define TIMED_OP(op, slot, parameters, arguments, operations) \
    static int timed_##op parameters \
    { \
        double start = clock_s(); \
        int rc = real->op arguments; \
        spent[slot] += clock_s() - start; \
        work += operations; \
        return rc; \
    }

static double matmul_work(tensor_in y, tensor_in a)
{
    return 2.0 * (double)tensor_elements(y) * (double)tensor_elements(a) / (double)y->shape[0];
}

TIMED_OP(matmul, MATMUL, (void *s, tensor_in y, tensor_in a, tensor_in b, tensor_in c, struct matmul h),
         (s, y, a, b, c, h), matmul_work(y, a))
TIMED_OP(sum_rows, SUM_ROWS, (void *s, tensor_in y, tensor_in a), (s, y, a), 0)
TIMED_OP(norm, NORM, (void *s, tensor_in y, tensor_in m, tensor_in r, tensor_in x, tensor_in g, tensor_in b, float e),
         (s, y, m, r, x, g, b, e), 0)
TIMED_OP(norm_grad, NORM_GRAD, (void *s, tensor_in dx, tensor_in dg, tensor_in db, tensor_in dy, tensor_in x, tensor_in m,
                                tensor_in r, tensor_in g), (s, dx, dg, db, dy, x, m, r, g), 0)
TIMED_OP(gelu, GELU, (void *s, tensor_in y, tensor_in x), (s, y, x), 0)
TIMED_OP(gelu_grad, GELU_GRAD, (void *s, tensor_in dx, tensor_in dy, tensor_in x), (s, dx, dy, x), 0)
TIMED_OP(copy, COPY, (void *s, tensor_in y, tensor_in x), (s, y, x), 0)
TIMED_OP(attn, ATTN, (void *s, tensor_in o, tensor_in l, tensor_in q, const struct attn *a), (s, o, l, q, a), attn_work(o, a))
TIMED_OP(attn_grad, ATTN_GRAD, (void *s, tensor_in dq, tensor_in d, tensor_in o, tensor_in l, tensor_in q, const struct attn *a),
         (s, dq, d, o, l, q, a), 2.5 * attn_work(o, a))
TIMED_OP(embed, EMBED, (void *s, tensor_in y, tensor_in t, tensor_in i, bool add), (s, y, t, i, add), 0)
TIMED_OP(embed_grad, EMBED_GRAD, (void *s, tensor_in t, tensor_in y, tensor_in i), (s, t, y, i), 0)
TIMED_OP(cross_entropy, LOSS, (void *s, tensor_in l, tensor_in x, tensor_in t, float f), (s, l, x, t, f), 0)
TIMED_OP(adam, ADAM, (void *s, tensor_in p, tensor_in m, tensor_in v, tensor_in g, const struct adam *h), (s, p, m, v, g, h), 0)
TIMED_OP(sum_squares, SQUARES, (void *s, double *to, tensor_in x), (s, to, x), 0)
TIMED_OP(zero, ZERO, (void *s, void *p, size_t size), (s, p, size), 0)
TIMED_OP(thin, THIN, (void *s, tensor_in y, tensor_in x, const void *p, tensor_in b, struct thin h), (s, y, x, p, b, h), 0)
TIMED_OP(attn_cache, ATTN_CACHE, (void *s, tensor_in o, const struct attn_cache *c, tensor_in q, tensor_in i,
                                  const struct attn *a, int64_t at), (s, o, c, q, i, a, at), 0)
TIMED_OP(choose, CHOOSE, (void *s, tensor_in t, tensor_in l, const uint64_t *step, const struct choose *h), (s, t, l, step, h), 0)

static void watch(struct backend *b)
{
    real = b;
    b->matmul = timed_matmul, b->sum_rows = timed_sum_rows, b->norm = timed_norm, b->norm_grad = timed_norm_grad;
    b->gelu = timed_gelu, b->gelu_grad = timed_gelu_grad, b->copy = timed_copy, b->attn = timed_attn;
    b->attn_grad = timed_attn_grad, b->embed = timed_embed, b->embed_grad = timed_embed_grad;
    b->cross_entropy = timed_cross_entropy, b->adam = timed_adam, b->sum_squares = timed_sum_squares;
    b->zero = timed_zero, b->thin = timed_thin, b->attn_cache = timed_attn_cache, b->choose = timed_choose;
}

static void check(int rc)
{
    if (rc != 0) {
        fprintf(stderr, "prior_step: %s\n", err_text());
        exit(1);
    }
}

struct bench {
    struct prior prior;
    struct prior_pass pass;
    struct sampler sampler;
    struct arena moments;
    uint16_t *text, *image;
    int32_t *length;
    int64_t batch, micro, samples;
    enum machine_unit unit; /* that makes the products */
};

static int train(struct bench *b)
{
    const struct prior_config *c = &b->prior.config;
    struct prior_loss loss;
    double squares = 0;

    for (int i = 0; i < b->prior.params.count; i++)
        check(device_zero(b->prior.device, b->prior.params.item[i].grad.data, tensor_bytes(&b->prior.params.item[i].grad)));
    for (int64_t at = 0; at < b->batch; at += b->micro) {
        struct prior_examples e = {b->micro, b->text + at * (c->text_slots - 1), b->length + at,
                                   b->image + at * prior_image_slots(c)};

        check(prior_backward(&b->pass, &e, 1e-4f, 1e-4f, &loss));
    }
    for (int i = 0; i < b->prior.params.count; i++)
        check(op_sum_squares(b->prior.device, &squares, &b->prior.params.item[i].grad));
    b->moments.used = 0;
    for (int i = 0; i < b->prior.params.count; i++) {
        const struct param *p = &b->prior.params.item[i];
        struct adam how = {.lr = 1e-4f, .beta1 = 0.9f, .beta2 = 0.96f, .eps = 1e-8f, .v_max = 5, .scale = 1, .t = 1};
        struct tensor m = p->value, v = p->value;

        m.data = arena_take(&b->moments, tensor_bytes(&m));
        v.data = arena_take(&b->moments, tensor_bytes(&v));
        check(op_adam(b->prior.device, &p->value, &m, &v, &p->grad, &how));
    }
    return 0;
}

static int sample(struct bench *b)
{
    struct choose how = {.temperature = 1, .top_p = 1};
    struct sampler_row *rows = calloc((size_t)b->samples, sizeof *rows);
    uint16_t *codes = calloc((size_t)(b->samples * prior_image_slots(&b->prior.config)), sizeof *codes);

    for (int64_t i = 0; i < b->samples; i++) /* candidates of one caption */
        rows[i] = (struct sampler_row){.caption = 0, .step = (uint64_t)i};
    check(sampler_text(&b->sampler, 0, b->text, b->length[0]));
    check(sampler_draw(&b->sampler, codes, rows, b->samples, 0, how, 1));
    free(rows);
    free(codes);
    return 0;
}

static void measure(struct bench *b, const char *what, int (*run)(struct bench *b))
{
    double best = 1e9, share = 0, done = 0, parts[TIMED] = {0}, known = 0;
    const char *rounds = getenv("ROUNDS");

    for (int left = rounds ? atoi(rounds) : 9; left > 0; left--) {
        double peak = machine_flops(b->unit), start = clock_s(), time;

        memset(spent, 0, sizeof spent);
        work = 0;
        run(b);
        time = clock_s() - start;
        share = work / time / peak > share ? work / time / peak : share;
        if (time < best) {
            best = time;
            done = work;
            memcpy(parts, spent, sizeof parts);
        }
    }
    printf("%s: %.1f ms", what, best * 1e3);
    if (done > 0)
        printf(", %.0f GFLOP/s, %.0f %% of the registers'", done / best * 1e-9, 100 * share);
    printf("\n");
    for (int i = 0; i < TIMED; i++)
        if (parts[i] > 0) {
            printf("  %-14s %8.2f ms\n", names[i], parts[i] * 1e3);
            known += parts[i];
        }
    printf("  %-14s %8.2f ms\n", "the rest", (best - known) * 1e3);
}

int main(int argc, char **argv)
{
    int64_t v[9] = {4, 192, 3, 16, 8, 256, 64, 64, 64};
    struct rng rng = {1, RNG_TEST};
    struct backend watched;
    struct device dev;
    struct bench b = {0};
    struct prior_config c;

    for (int i = 0; i < 9 && i + 1 < argc; i++)
        v[i] = strtoll(argv[i + 1], NULL, 10);
    c = (struct prior_config){.layers = v[0], .width = v[1], .heads = v[2], .text_slots = v[3], .grid_h = v[4], .grid_w = v[4],
                              .text_vocab = v[5], .image_vocab = v[5], .kernel = 11, .masks = MASK_DALLE};
    b.batch = v[6], b.micro = v[7], b.samples = v[8];
    check(device_open(&dev, argc > 10 ? argv[10] : "cpu"));
    if (argc > 11)
        check(device_precision(&dev, PRECISION_BF16));
    b.unit = machine_unit(argc > 11);
    watched = *dev.ops;
    watch(&watched);
    real = dev.ops;
    dev.ops = &watched;
    check(prior_init(&b.prior, &dev, &c, true));
    check(prior_start(&b.prior, 1, 1));
    check(prior_pass_init(&b.pass, &b.prior, b.micro, true));
    if (b.samples > 0)
        check(sampler_init(&b.sampler, &b.prior, 1, b.samples));
    check(device_arena_init(&dev, &b.moments, 2 * b.prior.value_bytes));
    b.text = calloc((size_t)((b.batch + 1) * c.text_slots), sizeof *b.text);
    b.image = calloc((size_t)((b.batch + 1) * prior_image_slots(&c)), sizeof *b.image);
    b.length = calloc((size_t)b.batch + 1, sizeof *b.length);
    for (int64_t i = 0; i < b.batch * (c.text_slots - 1); i++)
        b.text[i] = (uint16_t)rng_below(rng, 0, (uint64_t)i, (uint64_t)c.text_vocab);
    for (int64_t i = 0; i < b.batch * prior_image_slots(&c); i++)
        b.image[i] = (uint16_t)rng_below(rng, 1, (uint64_t)i, (uint64_t)c.image_vocab);
    for (int64_t i = 0; i <= b.batch; i++)
        b.length[i] = (int32_t)((c.text_slots - 1) * 2 / 3);
    if (b.batch > 0)
        measure(&b, "training step", train);
    if (b.samples > 0)
        measure(&b, "samples", sample);
    device_arena_fini(&dev, &b.moments);
    sampler_fini(&b.sampler);
    prior_pass_fini(&b.pass);
    prior_fini(&b.prior);
    device_close(&dev);
    free(b.text);
    free(b.image);
    free(b.length);
    return 0;
}

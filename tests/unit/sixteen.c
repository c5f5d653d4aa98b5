/* SPDX-License-Identifier: MIT */
/* sixteen.c -- the prior's pass in 16 bits: gradient scales leave gradients as they are and keep small ones, what overflows in
 * one block stays there, and what is computed again is the same bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "compute/host.h"
#include "one_device_open.h"
#include "model/prior_pass.h"

#define N 3 /* examples */

static const struct prior_config small = {.layers = 4, .width = 16, .heads = 2, .text_vocab = 11, .text_slots = 6,
                                          .image_vocab = 13, .grid_h = 4, .grid_w = 4, .kernel = 3, .masks = MASK_DALLE};
enum { BLOCKS = 8 };

struct model {
    struct prior p;
    struct prior_pass pass;
    float scale[BLOCKS];
};

/* All values from N(0, 0.2), gains about 1, the same for all types but for rounding. */
static void randomise(struct prior *p)
{
    struct rng rng = {1, RNG_TEST};

    for (int i = 0; i < p->params.count; i++) {
        const struct tensor *t = &p->params.item[i].value;
        int64_t n = tensor_elements(t);
        bool gain = strstr(p->params.item[i].name, "norm.weight");
        float *x = malloc(sizeof *x * (size_t)n);

        for (int64_t k = 0; k < n; k++)
            x[k] = (float)(0.2 * rng_normal(rng, (uint64_t)i, (uint64_t)k)) + (gain ? 1 : 0);
        host_from_f32(t->data, t->type, x, n);
        free(x);
    }
}

static void model_open(struct model *m, struct prior_types types, enum prior_keep keep, float scale)
{
    ok(prior_init(&m->p, &device, &small, types, true));
    randomise(&m->p);
    ok(prior_pass_init(&m->pass, &m->p, N, keep));
    for (int i = 0; i < BLOCKS; i++)
        m->scale[i] = scale;
    m->pass.scale = scale > 0 ? m->scale : NULL;
}

static void model_close(struct model *m)
{
    prior_pass_fini(&m->pass);
    prior_fini(&m->p);
}

/* Gradients of the mean loss times gain. */
static double backward(struct model *m, double gain)
{
    static uint16_t text[N * 5], image[N * 16];
    static int32_t length[N] = {5, 0, 3};
    const struct prior_examples e = {N, text, length, image};
    struct prior_loss loss;
    struct rng rng = {2, RNG_TEST};

    for (size_t i = 0; i < sizeof text / sizeof *text; i++)
        text[i] = (uint16_t)rng_below(rng, 0, i, 11);
    for (size_t i = 0; i < sizeof image / sizeof *image; i++)
        image[i] = (uint16_t)rng_below(rng, 1, i, 13);
    ok(prior_backward(&m->pass, &e, (float)(gain * PRIOR_TEXT_WEIGHT / 8), (float)(gain * PRIOR_IMAGE_WEIGHT / 48)));
    ok(prior_losses(&m->pass, &loss));
    return prior_loss_mean(&loss);
}

/* A parameter's gradient as f32, its block's scale taken out: to be freed. */
static float *gradient(const struct model *m, int i)
{
    const struct param *p = &m->p.params.item[i];
    int64_t n = tensor_elements(&p->grad);
    float *x = malloc(sizeof *x * (size_t)n);

    host_to_f32(x, p->grad.data, p->grad.type, n);
    for (int64_t k = 0; k < n && p->block >= 0 && m->pass.scale; k++)
        x[k] /= m->scale[p->block];
    return x;
}

/* The squared difference of two models' gradients, as a share of the first's, of blocks [from, to). */
static double difference(const struct model *a, const struct model *b, int from, int to)
{
    double sum = 0, off = 0;

    for (int i = 0; i < a->p.params.count; i++) {
        int64_t n = tensor_elements(&a->p.params.item[i].grad);
        float *x = gradient(a, i), *y = gradient(b, i);

        for (int64_t k = 0; k < n && a->p.params.item[i].block >= from && a->p.params.item[i].block < to; k++) {
            sum += (double)x[k] * x[k];
            off += ((double)x[k] - y[k]) * ((double)x[k] - y[k]);
        }
        free(x);
        free(y);
    }
    return off / sum;
}

static struct prior_types f32(void)
{
    return (struct prior_types){0};
}

static struct prior_types f16(void)
{
    return prior_types_of("cpu", "fp16", false);
}

static struct prior_types bf16(void)
{
    return prior_types_of("cpu", "bf16", false);
}

/* ---- scales ------------------------------------------------------------------------------------------------------ */

/* Powers of two go in and out of f32 without a trace. */
static void scales_change_nothing_in_f32(void **state)
{
    struct model plain, scaled;

    (void)state;
    model_open(&plain, f32(), PRIOR_KEEP_ALL, 1);
    model_open(&scaled, f32(), PRIOR_KEEP_ALL, 0x1p20f);
    assert_true(backward(&plain, 1) == backward(&scaled, 1));
    for (int i = 0; i < plain.p.params.count; i++) {
        float *a = gradient(&plain, i), *b = gradient(&scaled, i);

        for (int64_t k = 0; k < tensor_elements(&plain.p.params.item[i].grad); k++)
            assert_true(a[k] == b[k]);
        free(a);
        free(b);
    }
    model_close(&plain);
    model_close(&scaled);
}

/* Gradients of 1e-7 of their size: f16 loses them, unless they are scaled. */
static void scales_keep_small_gradients(void **state)
{
    struct model wide, plain, scaled;

    (void)state;
    model_open(&wide, f32(), PRIOR_KEEP_ALL, 0);
    model_open(&plain, f16(), PRIOR_KEEP_ALL, 0);
    model_open(&scaled, f16(), PRIOR_KEEP_ALL, 3e7f);
    backward(&wide, 1e-7);
    backward(&plain, 1e-7);
    backward(&scaled, 1e-7);
    if (difference(&wide, &plain, 0, BLOCKS) < 0.5)
        fail_msg("f16 without scales is off by %g only", difference(&wide, &plain, 0, BLOCKS));
    if (difference(&wide, &scaled, 0, BLOCKS) > 1e-4)
        fail_msg("f16 with scales is off by %g", difference(&wide, &scaled, 0, BLOCKS));
    model_close(&wide);
    model_close(&plain);
    model_close(&scaled);
}

/* One block's scale is far too large: its gradients overflow, and the blocks in front of it lose its part of the stream's
 * gradient, but are finite; those behind it do not see it. */
static void what_overflows_stays_in_its_block(void **state)
{
    enum { BAD = 3 };
    struct model good, bad;

    (void)state;
    model_open(&good, f16(), PRIOR_KEEP_ALL, 1024);
    model_open(&bad, f16(), PRIOR_KEEP_ALL, 1024);
    bad.scale[BAD] = 0x1p40f;
    assert_true(backward(&good, 1) == backward(&bad, 1));
    for (int i = 0; i < bad.p.params.count; i++) {
        int block = bad.p.params.item[i].block;
        int64_t n = tensor_elements(&bad.p.params.item[i].grad), broken = 0;
        float *x = gradient(&bad, i), *y = gradient(&good, i);

        for (int64_t k = 0; k < n; k++) {
            broken += !isfinite(x[k]);
            assert_true(block <= BAD || x[k] == y[k]);
        }
        assert_true(block == BAD ? broken > 0 : broken == 0);
        free(x);
        free(y);
    }
    assert_true(difference(&good, &bad, 0, BAD) < 2);
    model_close(&good);
    model_close(&bad);
}

/* ---- computed again ---------------------------------------------------------------------------------------------- */

static void recomputed_gradients_are_the_same_bytes(void **state)
{
    const struct prior_types types[] = {f32(), bf16(), f16()};

    (void)state;
    for (int t = 0; t < 3; t++) {
        struct model kept, again;
        double loss;
        size_t bytes;

        model_open(&kept, types[t], PRIOR_KEEP_ALL, t == 2 ? 3000.0f : 0);
        loss = backward(&kept, 1);
        bytes = kept.pass.kept_bytes;
        for (enum prior_keep keep = PRIOR_KEEP_MLP; keep >= PRIOR_KEEP_STREAM; keep--) {
            model_open(&again, types[t], keep, t == 2 ? 3000.0f : 0);
            assert_true(again.pass.kept_bytes < bytes);
            bytes = again.pass.kept_bytes;
            assert_true(backward(&again, 1) == loss);
            for (int i = 0; i < kept.p.params.count; i++)
                assert_memory_equal(kept.p.params.item[i].grad.data, again.p.params.item[i].grad.data,
                                    tensor_bytes(&kept.p.params.item[i].grad));
            model_close(&again);
        }
        model_close(&kept);
    }
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static void the_paper_fits_one_memory(void **state)
{
    struct prior_config c = {.layers = 64, .width = 3968, .heads = 62, .text_vocab = 16384, .text_slots = 256,
                             .image_vocab = 8192, .grid_h = 32, .grid_w = 32, .kernel = 11, .masks = MASK_DALLE};
    struct prior p;
    struct prior_pass pass;
    double matrices = 12.0 * 64 * 3968 * 3968, slots = 1280;

    (void)state;
    ok(prior_init(&p, NULL, &c, f16(), true));
    assert_true(fabs((double)p.value_bytes - 2 * matrices) < 0.05 * 2 * matrices);
    assert_int_equal(p.value_bytes, p.grad_bytes);
    ok(prior_pass_init(&pass, &p, 1, PRIOR_KEEP_STREAM));
    assert_true(fabs((double)pass.kept_bytes - 4 * slots * 3968 * 129) < 0.05 * (double)pass.kept_bytes);
    prior_pass_fini(&pass);
    ok(prior_pass_init(&pass, &p, 1, PRIOR_KEEP_ALL));
    assert_true(fabs((double)pass.kept_bytes - slots * 3968 * (4 * 129 + 2 * 14 * 64)) < 0.01 * (double)pass.kept_bytes);
    prior_pass_fini(&pass);
    prior_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scales_change_nothing_in_f32), cmocka_unit_test(scales_keep_small_gradients),
        cmocka_unit_test(what_overflows_stays_in_its_block), cmocka_unit_test(recomputed_gradients_are_the_same_bytes),
        cmocka_unit_test(the_paper_fits_one_memory)};

    return cmocka_run_group_tests_name("sixteen", tests, open_device, close_device);
}

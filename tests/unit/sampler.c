/* SPDX-License-Identifier: MIT */
/* sampler.c -- cached logits are the uncached ones; a candidate is the same alone and in any batch; prompts are kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/par.h"
#include "base/rng.h"
#include "model/prior_pass.h"
#include "model/sampler.h"
#include "one_device_open.h"

#define ROWS 7
#define CODES 64

static const struct prior_config variants[] = {
    {.layers = 6, .width = 16, .heads = 2, .text_vocab = 11, .text_slots = 6, .image_vocab = 13, .grid_h = 5, .grid_w = 4,
     .kernel = 3, .masks = MASK_DALLE},
    {.layers = 1, .width = 16, .heads = 1, .text_vocab = 11, .text_slots = 1, .image_vocab = 13, .grid_h = 7, .grid_w = 9,
     .kernel = 5, .masks = MASK_DALLE},
    {.layers = 2, .width = 24, .heads = 3, .text_vocab = 11, .text_slots = 19, .image_vocab = 33, .grid_h = 3, .grid_w = 7,
     .kernel = 11, .masks = MASK_DENSE}};

static void make_prior(struct prior *p, const struct prior_config *c)
{
    struct rng rng = {1, RNG_TEST};

    ok(prior_init(p, &device, c, (struct prior_types){0}, false));
    for (int i = 0; i < p->params.count; i++) {
        float *value = p->params.item[i].value.data;

        for (int64_t k = 0; k < tensor_elements(&p->params.item[i].value); k++)
            value[k] = (float)(0.3 * rng_normal(rng, (uint64_t)i, (uint64_t)k)) + p->centre[i];
    }
}

static void random_tokens(uint16_t *to, int64_t n, int64_t vocab, uint64_t seed)
{
    struct rng rng = {seed, RNG_TEST};

    for (int64_t i = 0; i < n; i++)
        to[i] = (uint16_t)rng_below(rng, 0, (uint64_t)i, (uint64_t)vocab);
}

/* The uncached image logits [H*W,Vi] of one pair. */
static void uncached(const struct prior *p, float *logits, const uint16_t *text, int32_t length, const uint16_t *image)
{
    struct prior_examples e = {1, text, &length, image};
    struct prior_pass pass;
    struct prior_loss loss;

    ok(prior_pass_init(&pass, p, 1, PRIOR_KEEP_NOTHING));
    ok(prior_forward(&pass, &e, &loss));
    memcpy(logits, pass.image_logits, sizeof *logits * (size_t)(prior_image_slots(&p->config) * p->config.image_vocab));
    prior_pass_fini(&pass);
}

static void cached_logits_are_the_uncached(void **state)
{
    static float whole[CODES * 64];

    (void)state;
    for (size_t v = 0; v < sizeof variants / sizeof *variants; v++) {
        const struct prior_config *c = &variants[v];
        int64_t slots = prior_image_slots(c);
        uint16_t text[2][32], codes[2 * CODES];
        struct sampler_row rows[2] = {{.caption = 1}, {.caption = 0}};
        struct prior p;
        struct sampler s;

        make_prior(&p, c);
        ok(sampler_init(&s, &p, 2, 2));
        random_tokens(text[0], 32, c->text_vocab, 1);
        random_tokens(text[1], 32, c->text_vocab, 2);
        random_tokens(codes, 2 * slots, c->image_vocab, 3);
        ok(sampler_text(&s, 1, text[0], c->text_slots - 1)); /* row 0's caption: no pads */
        ok(sampler_text(&s, 0, text[1], (c->text_slots - 1) / 2));
        for (int64_t m = 0; m < 2; m++) {
            uncached(&p, whole, text[m], (int32_t)(m ? (c->text_slots - 1) / 2 : c->text_slots - 1), codes + m * slots);
            for (int64_t j = 0; j < slots; j++) {
                ok(sampler_step(&s, codes, rows, 2, j));
                for (int64_t k = 0; k < c->image_vocab; k++)
                    assert_float_equal(s.logits[m * c->image_vocab + k], whole[j * c->image_vocab + k], 2e-5);
            }
        }
        sampler_fini(&s);
        prior_fini(&p);
    }
}

static void make_rows(struct sampler_row *rows)
{
    for (int i = 0; i < ROWS; i++)
        rows[i] = (struct sampler_row){.caption = i / 3, .step = sampler_step_of("key", 3, (uint32_t)(i / 3), (uint32_t)(i % 3))};
}

static void draw(const struct prior *p, uint16_t *codes, const struct sampler_row *rows, int64_t n, int64_t at_once,
                 struct choose how)
{
    int64_t slots = prior_image_slots(&p->config), top = prior_caption_max(&p->config);
    uint16_t text[32];
    struct sampler s;

    ok(sampler_init(&s, p, 3, at_once));
    for (int64_t i = 0; i < 3; i++) {
        random_tokens(text, 32, p->config.text_vocab, 10 + (uint64_t)i);
        ok(sampler_text(&s, i, text, top - i < 0 ? 0 : top - i));
    }
    for (int64_t at = 0; at < n; at += at_once)
        ok(sampler_draw(&s, codes + at * slots, rows + at, n - at < at_once ? n - at : at_once, 0, how, 5));
    sampler_fini(&s);
}

static void a_candidate_is_the_same_in_any_batch(void **state)
{
    static uint16_t together[ROWS * CODES], other[ROWS * CODES];
    struct choose how = {.temperature = 1, .top_p = 1};

    (void)state;
    for (size_t v = 0; v < (test_slow() ? 1 : sizeof variants / sizeof *variants); v++) {
        size_t slots = (size_t)prior_image_slots(&variants[v]), size = ROWS * slots * sizeof *other;
        struct sampler_row rows[ROWS];
        struct prior p;

        make_prior(&p, &variants[v]);
        make_rows(rows);
        draw(&p, together, rows, ROWS, ROWS, how);
        for (int64_t at_once = test_slow() ? 3 : 1; at_once <= 3; at_once++) {
            memset(other, 0xff, sizeof other);
            draw(&p, other, rows, ROWS, at_once, how);
            assert_memory_equal(together, other, size);
        }
        par_set_threads(3);
        draw(&p, other, rows, ROWS, ROWS, how);
        par_set_threads(1);
        assert_memory_equal(together, other, size);
        assert_true(memcmp(together, together + slots, slots * sizeof *other) != 0); /* candidates differ */
        prior_fini(&p);
    }
}

static void temperature_0_takes_the_most_likely(void **state)
{
    static float whole[CODES * 64];
    const struct prior_config *c = &variants[0];
    struct choose how = {.temperature = 0, .top_p = 1};
    uint16_t codes[CODES], text[32];
    struct sampler_row row = {.caption = 0};
    struct prior p;

    (void)state;
    make_prior(&p, c);
    draw(&p, codes, &row, 1, 1, how);
    random_tokens(text, 32, c->text_vocab, 10);
    uncached(&p, whole, text, (int32_t)(c->text_slots - 1), codes);
    for (int64_t j = 0; j < prior_image_slots(c); j++)
        for (int64_t k = 0; k < c->image_vocab; k++)
            assert_true(whole[j * c->image_vocab + k] <= whole[j * c->image_vocab + codes[j]] + 1e-5f);
    prior_fini(&p);
}

/* What was drawn, given back as a prompt, leads to the same picture; a changed prompt is kept. */
static void given_codes_are_kept(void **state)
{
    const struct prior_config *c = &variants[0];
    int64_t slots = prior_image_slots(c);
    struct choose how = {.temperature = 1, .top_k = 5, .top_p = 0.9f};
    uint16_t free_codes[CODES], codes[CODES], text[32], given[CODES];
    struct sampler_row row = {.caption = 0, .step = 99, .given = given};
    struct prior p;
    struct sampler s;

    (void)state;
    make_prior(&p, c);
    ok(sampler_init(&s, &p, 1, 1));
    random_tokens(text, 32, c->text_vocab, 10);
    ok(sampler_text(&s, 0, text, 3));
    ok(sampler_draw(&s, free_codes, &row, 1, 0, how, 5));
    memcpy(given, free_codes, sizeof given);
    for (int64_t keep = 0; keep <= slots; keep += test_slow() ? 7 : 1) {
        ok(sampler_draw(&s, codes, &row, 1, keep, how, 5));
        assert_memory_equal(codes, free_codes, sizeof *codes * (size_t)slots);
    }
    given[0] = (uint16_t)((given[0] + 1) % c->image_vocab);
    ok(sampler_draw(&s, codes, &row, 1, 4, how, 5));
    assert_memory_equal(codes, given, 4 * sizeof *codes);
    given[0] = (uint16_t)c->image_vocab;
    assert_int_equal(sampler_draw(&s, codes, &row, 1, 4, how, 5), ERR_FORMAT);
    sampler_fini(&s);
    prior_fini(&p);
}

static void what_does_not_fit_is_refused(void **state)
{
    uint16_t text[32] = {0}, codes[2 * CODES];
    struct sampler_row rows[2] = {{.caption = 0}, {.caption = 1}};
    struct choose how = {.temperature = 1, .top_p = 1};
    struct prior p;
    struct sampler s;

    (void)state;
    make_prior(&p, &variants[0]);
    ok(sampler_init(&s, &p, 1, 2));
    assert_int_equal(sampler_text(&s, 1, text, 2), ERR_ARG);
    assert_int_equal(sampler_text(&s, 0, text, 6), ERR_ARG);
    text[1] = 11;
    assert_int_equal(sampler_text(&s, 0, text, 2), ERR_FORMAT);
    assert_int_equal(sampler_draw(&s, codes, rows, 2, 0, how, 5), ERR_ARG);
    sampler_fini(&s);
    prior_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cached_logits_are_the_uncached), cmocka_unit_test(a_candidate_is_the_same_in_any_batch),
        cmocka_unit_test(temperature_0_takes_the_most_likely), cmocka_unit_test(given_codes_are_kept),
        cmocka_unit_test(what_does_not_fit_is_refused)};

    par_set_threads(1); /* tiny loops: two threads beside other tests would mostly wait for each other */
    return cmocka_run_group_tests_name("sampler", tests, open_device, close_device);
}

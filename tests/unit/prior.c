/* SPDX-License-Identifier: MIT */
/* prior.c -- golden vectors of tests/reference/prior_torch.py, causality, differences, counts, micro batches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/rng.h"
#include "compute/host.h"
#include "model/prior_pass.h"
#include "one_device_open.h"
#include "train/loop.h"

/* The sum of squares of a difference is at most this share of the reference's, plus a floor for what is 0 but for rounding
 * (the gradient of attn.k.bias). */
struct tolerance {
    double share, floor;
};

static const struct tolerance f32_rounding = {1e-10, 1e-14}, bf16_rounding = {4e-3, 1e-6}, f16_rounding = {6e-5, 2e-8};

static struct prior_types types; /* f32 */

/* ---- examples ---------------------------------------------------------------------------------------------------- */

struct examples {
    struct prior_examples e;
    uint16_t text[256], image[256];
    int32_t length[8];
};

static void make_examples(struct examples *x, const struct prior_config *c, int64_t n, uint64_t seed)
{
    struct rng rng = {seed, RNG_TEST};

    *x = (struct examples){.e.n = n};
    for (int64_t i = 0; i < n * (c->text_slots - 1); i++)
        x->text[i] = (uint16_t)rng_below(rng, 0, (uint64_t)i, (uint64_t)c->text_vocab);
    for (int64_t i = 0; i < n * prior_image_slots(c); i++)
        x->image[i] = (uint16_t)rng_below(rng, 1, (uint64_t)i, (uint64_t)c->image_vocab);
    for (int64_t i = 0; i < n; i++)
        x->length[i] = (int32_t)((c->text_slots - 1 + i) % c->text_slots);
    x->e.text = x->text;
    x->e.image = x->image;
    x->e.length = x->length;
}

/* Random values everywhere: zero logits matrices would hide most gradients. */
static void randomise(struct prior *p, uint64_t seed)
{
    struct rng rng = {seed, RNG_TEST};

    for (int i = 0; i < p->params.count; i++) {
        float *value = p->params.item[i].value.data;

        for (int64_t k = 0; k < tensor_elements(&p->params.item[i].value); k++)
            value[k] = (float)(0.3 * rng_normal(rng, 100 + (uint64_t)i, (uint64_t)k)) + p->centre[i];
    }
}

/* ---- golden vectors ---------------------------------------------------------------------------------------------- */

static void compare(const char *name, const float *ours, const struct st_file *file, const char *prefix,
                    const struct tolerance *allowed)
{
    char full[128];
    const struct st_tensor *t;
    float *theirs;
    double difference = 0, signal = 0;

    snprintf(full, sizeof full, "%s%s", prefix, name);
    t = st_find(file, full);
    assert_non_null(t);
    theirs = malloc(sizeof *theirs * (size_t)st_elements(t));
    ok(st_to_f32(theirs, t));
    for (int64_t i = 0; i < st_elements(t); i++) {
        difference += ((double)ours[i] - theirs[i]) * ((double)ours[i] - theirs[i]);
        signal += (double)theirs[i] * theirs[i];
    }
    free(theirs);
    if (!(difference <= allowed->share * signal + allowed->floor))
        fail_msg("%s: error %g", full, sqrt(difference / signal));
}

static void read_tokens(struct examples *x, const struct st_file *file)
{
    const struct st_tensor *text = st_find(file, "text"), *length = st_find(file, "length"), *image = st_find(file, "image");

    *x = (struct examples){.e.n = st_elements(length)};
    for (int64_t i = 0; i < st_elements(text); i++)
        x->text[i] = (uint16_t)((const int32_t *)text->data)[i];
    for (int64_t i = 0; i < st_elements(image); i++)
        x->image[i] = (uint16_t)((const int32_t *)image->data)[i];
    memcpy(x->length, length->data, sizeof *x->length * (size_t)x->e.n);
    x->e.text = x->text;
    x->e.image = x->image;
    x->e.length = x->length;
}

static void golden(const char *name, const struct tolerance *allowed)
{
    char *path = text_printf("%s/tests/reference/prior_%s.safetensors", getenv("ROOT") ? getenv("ROOT") : ".", name);
    struct st_file *file;
    struct prior_meta meta;
    struct prior p;
    struct prior_pass pass;
    struct prior_loss loss;
    struct examples x;
    float means[3];

    ok(st_open(&file, path));
    ok(prior_meta_read(&meta, file));
    ok(prior_init(&p, &device, &meta.config, types, true));
    ok(train_load(&device, &p.params, file, "value."));
    read_tokens(&x, file);
    ok(prior_pass_init(&pass, &p, x.e.n, PRIOR_KEEP_ALL));

    ok(prior_forward(&pass, &x.e, &loss));
    compare("text.logits", pass.text_logits, file, "", allowed);
    compare("image.logits", pass.image_logits, file, "", allowed);
    means[0] = (float)(loss.text / (double)loss.text_tokens);
    means[1] = (float)(loss.image / (double)loss.image_tokens);
    means[2] = (float)prior_loss_mean(&loss);
    compare("loss", means, file, "", allowed);

    ok(prior_backward(&pass, &x.e, (float)(PRIOR_TEXT_WEIGHT / (double)loss.text_tokens),
                      (float)(PRIOR_IMAGE_WEIGHT / (double)loss.image_tokens)));
    for (int i = 0; i < p.params.count; i++) {
        const struct tensor *grad = &p.params.item[i].grad;
        float *values = malloc(sizeof *values * (size_t)tensor_elements(grad));

        host_to_f32(values, grad->data, grad->type, tensor_elements(grad));
        compare(p.params.item[i].name, values, file, "grad.", allowed);
        free(values);
    }
    prior_pass_fini(&pass);
    prior_fini(&p);
    st_close(file);
    free(path);
}

static void golden_vectors_dalle(void **state)
{
    (void)state;
    golden("dalle", &f32_rounding);
}

static void golden_vectors_dense(void **state)
{
    (void)state;
    golden("dense", &f32_rounding);
}

/* Products of bf16 factors, then branches and weights in 16 bits too. */
static void golden_vectors_in_bf16(void **state)
{
    (void)state;
    ok(device_precision(&device, PRECISION_BF16));
    golden("dalle", &bf16_rounding);
    types = prior_types_of("cpu", "bf16", true);
    golden("dalle", &bf16_rounding);
    golden("dense", &bf16_rounding);
    types = (struct prior_types){0};
    ok(device_precision(&device, PRECISION_F32));
}

/* Nothing here is small enough for f16 to lose, so that it goes without scales. */
static void golden_vectors_in_f16(void **state)
{
    (void)state;
    types = prior_types_of("cpu", "fp16", false);
    golden("dalle", &f16_rounding);
    golden("dense", &f16_rounding);
    types = (struct prior_types){0};
}

/* ---- small models ------------------------------------------------------------------------------------------------ */

static const struct prior_config small = {.layers = 4, .width = 16, .heads = 2, .text_vocab = 11, .text_slots = 6,
                                          .image_vocab = 13, .grid_h = 4, .grid_w = 4, .kernel = 3, .masks = MASK_DALLE};

/* One layer of each kind, and the two variants. */
static const struct prior_config variants[] = {
    {.layers = 4, .width = 16, .heads = 2, .text_vocab = 11, .text_slots = 6, .image_vocab = 13, .grid_h = 4, .grid_w = 4,
     .kernel = 3, .masks = MASK_DALLE},
    {.layers = 1, .width = 16, .heads = 1, .text_vocab = 11, .text_slots = 1, .image_vocab = 13, .grid_h = 5, .grid_w = 3,
     .kernel = 5, .masks = MASK_DALLE},
    {.layers = 2, .width = 24, .heads = 3, .text_vocab = 11, .text_slots = 4, .image_vocab = 13, .grid_h = 3, .grid_w = 7,
     .kernel = 11, .masks = MASK_DENSE}};

struct model {
    struct prior p;
    struct prior_pass pass;
};

static void model_open(struct model *m, const struct prior_config *c, int64_t n)
{
    ok(prior_init(&m->p, &device, c, types, true));
    randomise(&m->p, 1);
    ok(prior_pass_init(&m->pass, &m->p, n, PRIOR_KEEP_ALL));
}

static void model_close(struct model *m)
{
    prior_pass_fini(&m->pass);
    prior_fini(&m->p);
}

/* All logits of one example as one row of bits: text slots, then image slots. */
static void logits(struct model *m, const struct prior_examples *e, float *to)
{
    const struct prior_config *c = &m->p.config;
    size_t text = (size_t)(c->text_slots * c->text_vocab), image = (size_t)(prior_image_slots(c) * c->image_vocab);
    struct prior_loss loss;

    ok(prior_forward(&m->pass, e, &loss));
    memcpy(to, m->pass.text_logits, text * sizeof *to);
    memcpy(to + text, m->pass.image_logits, image * sizeof *to);
}

/* Token j stands in slot j+1 of its kind: no logits of that slot's or earlier states may change a bit, some later do. */
static void no_output_depends_on_a_later_token(void **state)
{
    static float before[4096], after[4096];

    (void)state;
    for (size_t v = 0; v < sizeof variants / sizeof *variants; v++) {
        const struct prior_config *c = &variants[v];
        int64_t top = c->text_slots - 1, codes = prior_image_slots(c), text_part = c->text_slots * c->text_vocab;
        struct examples x;
        struct model m;

        model_open(&m, c, 1);
        make_examples(&x, c, 1, 5);
        logits(&m, &x.e, before);
        for (int64_t j = 0; j < top + codes; j++) {
            uint16_t *token = j < top ? &x.text[j] : &x.image[j - top], old = *token;
            size_t same = (size_t)(j < top ? (j + 1) * c->text_vocab : text_part + (j - top + 1) * c->image_vocab);
            size_t all = (size_t)(text_part + codes * c->image_vocab);

            *token = (uint16_t)((old + 1) % 11);
            logits(&m, &x.e, after);
            *token = old;
            assert_memory_equal(before, after, same * sizeof *before);
            if (j < top + codes - 1) /* the last code is no input */
                assert_true(memcmp(before + same, after + same, (all - same) * sizeof *before) != 0);
        }
        model_close(&m);
    }
}

static void an_example_is_the_same_in_any_batch(void **state)
{
    static float alone[4096];
    struct examples x;
    struct model m;
    struct prior_loss loss;
    int64_t codes = prior_image_slots(&small), part = codes * small.image_vocab;

    (void)state;
    model_open(&m, &small, 4);
    make_examples(&x, &small, 4, 6);
    for (int64_t i = 0; i < 4; i++) {
        struct prior_examples one = {1, x.text + i * (small.text_slots - 1), x.length + i, x.image + i * codes};

        logits(&m, &one, alone);
        ok(prior_forward(&m.pass, &x.e, &loss));
        for (int64_t k = 0; k < part; k++)
            assert_float_equal(alone[small.text_slots * small.text_vocab + k], m.pass.image_logits[i * part + k], 1e-5);
    }
    model_close(&m);
}

static double mean_loss(struct model *m, const struct prior_examples *e)
{
    struct prior_loss loss;

    ok(prior_forward(&m->pass, e, &loss));
    return prior_loss_mean(&loss);
}

/* Along the gradient itself, the loss changes by its squared norm. */
static void gradients_agree_with_differences(void **state)
{
    (void)state;
    for (size_t v = 0; v < (test_slow() ? 1 : sizeof variants / sizeof *variants); v++) {
        struct examples x;
        struct model m;
        struct prior_loss loss;

        model_open(&m, &variants[v], 3);
        make_examples(&x, &variants[v], 3, 7);
        ok(prior_forward(&m.pass, &x.e, &loss));
        ok(prior_backward(&m.pass, &x.e, loss.text_tokens ? (float)(PRIOR_TEXT_WEIGHT / (double)loss.text_tokens) : 1,
                          (float)(PRIOR_IMAGE_WEIGHT / (double)loss.image_tokens)));
        for (int i = 0; i < m.p.params.count; i++) {
            const struct tensor *t = &m.p.params.item[i].value;
            float *value = t->data, *grad = m.p.params.item[i].grad.data;
            double squares = 0, up, down, step;

            for (int64_t k = 0; k < tensor_elements(t); k++)
                squares += (double)grad[k] * grad[k];
            if (squares < 1e-8) /* attn.k.bias: no effect, by softmax's invariance */
                continue;
            step = 2e-3 / sqrt(squares);
            for (int64_t k = 0; k < tensor_elements(t); k++)
                value[k] += (float)(step * grad[k]);
            up = mean_loss(&m, &x.e);
            for (int64_t k = 0; k < tensor_elements(t); k++)
                value[k] -= (float)(2 * step * grad[k]);
            down = mean_loss(&m, &x.e);
            for (int64_t k = 0; k < tensor_elements(t); k++)
                value[k] += (float)(step * grad[k]);
            if (fabs((up - down) / (2 * step) - squares) > 2e-2 * squares + 2e-7 / step)
                fail_msg("%s: difference %g, gradient %g", m.p.params.item[i].name, (up - down) / (2 * step), squares);
        }
        model_close(&m);
    }
}

/* Micro batches share the update's scales: their gradients add up to the whole batch's. */
static void micro_batches_add_up(void **state)
{
    struct model whole, parts;
    struct examples x;
    struct prior_loss loss;
    float text, image = (float)(PRIOR_IMAGE_WEIGHT / (double)(5 * prior_image_slots(&small)));

    (void)state;
    model_open(&whole, &small, 5);
    model_open(&parts, &small, 2);
    make_examples(&x, &small, 5, 8);
    ok(prior_forward(&whole.pass, &x.e, &loss));
    text = (float)(PRIOR_TEXT_WEIGHT / (double)loss.text_tokens);
    ok(prior_backward(&whole.pass, &x.e, text, image));
    for (int64_t first = 0; first < 5; first += 2) {
        struct prior_examples e = {first == 4 ? 1 : 2, x.text + first * (small.text_slots - 1), x.length + first,
                                   x.image + first * prior_image_slots(&small)};

        ok(prior_backward(&parts.pass, &e, text, image));
    }
    for (int i = 0; i < whole.p.params.count; i++) {
        const float *a = whole.p.params.item[i].grad.data, *b = parts.p.params.item[i].grad.data;

        for (int64_t k = 0; k < tensor_elements(&whole.p.params.item[i].grad); k++)
            assert_float_equal(a[k], b[k], 1e-6 + 1e-4 * fabsf(a[k]));
    }
    model_close(&whole);
    model_close(&parts);
}

/* No caption at all: text states have no target, and their logits must not pass for gradients. */
static void empty_captions_teach_no_text(void **state)
{
    struct model m;
    struct examples x;
    struct prior_loss loss;

    (void)state;
    model_open(&m, &small, 2);
    make_examples(&x, &small, 2, 9);
    memset(x.length, 0, sizeof x.length);
    ok(prior_backward(&m.pass, &x.e, 1, 1));
    ok(prior_losses(&m.pass, &loss));
    assert_int_equal(loss.text_tokens, 0);
    assert_true(loss.text == 0);
    for (int64_t i = 0; i < tensor_elements(&m.p.dw.text_logits.w); i++)
        assert_true(((float *)m.p.dw.text_logits.w.data)[i] == 0);
    assert_int_equal(prior_backward(&m.pass, &x.e, 0, 1), ERR_ARG);
    model_close(&m);
}

/* ---- sizes and first values -------------------------------------------------------------------------------------- */

static void the_paper_has_12_billion_parameters(void **state)
{
    struct prior_config c = {.layers = 64, .width = 3968, .heads = 62, .text_vocab = 16384, .text_slots = 256,
                             .image_vocab = 8192, .grid_h = 32, .grid_w = 32, .kernel = 11, .masks = MASK_DALLE};
    struct prior p;
    int64_t parts;

    (void)state;
    ok(prior_init(&p, NULL, &c, types, true));
    parts = prior_count_part(&p, "text") + prior_count_part(&p, "image") + prior_count_part(&p, "attn") +
            prior_count_part(&p, "mlp") + prior_count_part(&p, "norm");
    assert_int_equal(parts, prior_count(&p));
    assert_in_range(prior_count(&p), 12285000000, 12295000000);
    assert_int_equal(p.params.count, 14 + 64 * 16);
    assert_int_equal(p.params.item[p.params.count - 7].block, 127); /* 128 residual blocks */
    prior_fini(&p);
}

static void first_values_follow_the_rule(void **state)
{
    struct prior_config c = small;
    struct model m;
    struct examples x;
    struct prior_loss loss;

    (void)state;
    c.width = 64;
    model_open(&m, &c, 1);
    ok(prior_start(&m.p, 1, 3));
    for (int i = 0; i < m.p.params.count; i++) {
        const struct param *p = &m.p.params.item[i];
        const float *v = p->value.data;
        double sum = 0, squares = 0, n = (double)tensor_elements(&p->value), expected = 0.125 / 8;

        for (int64_t k = 0; k < tensor_elements(&p->value); k++) {
            sum += v[k];
            squares += (double)v[k] * v[k];
        }
        if (strstr(p->name, "mlp.down"))
            expected /= 2 * sqrt(8);
        if (strstr(p->name, "attn.out"))
            expected /= sqrt(8);
        if (strstr(p->name, "image.row") || strstr(p->name, "image.column"))
            expected /= sqrt(2);
        if (strstr(p->name, "bias") || strstr(p->name, "logits"))
            assert_true(squares == 0);
        else if (strstr(p->name, "norm"))
            assert_true(sum == n);
        else
            assert_float_equal(sqrt(squares / n), expected, 6 * expected / sqrt(2 * n));
        assert_int_equal(p->decay, !strstr(p->name, "bias") && (strstr(p->name, "layers.") || strstr(p->name, "logits")) &&
                                       !strstr(p->name, "norm"));
    }
    make_examples(&x, &c, 1, 1);
    ok(prior_forward(&m.pass, &x.e, &loss)); /* zero logits: uniform over each vocabulary */
    assert_float_equal(loss.text / (double)loss.text_tokens, log((double)c.text_vocab), 1e-5);
    assert_float_equal(loss.image / (double)loss.image_tokens, log((double)c.image_vocab), 1e-5);
    model_close(&m);
}

static void senseless_sizes_are_refused(void **state)
{
    struct prior_config c;
    struct prior p;

    (void)state;
    c = small, c.heads = 3;
    assert_int_equal(prior_init(&p, NULL, &c, types, false), ERR_LIMIT);
    c = small, c.kernel = 4;
    assert_int_equal(prior_init(&p, NULL, &c, types, false), ERR_LIMIT);
    c = small, c.text_vocab = 65537;
    assert_int_equal(prior_init(&p, NULL, &c, types, false), ERR_LIMIT);
    c = small, c.min_pad = 6;
    assert_int_equal(prior_init(&p, NULL, &c, types, false), ERR_LIMIT);
    c = small, c.layers = 0;
    assert_int_equal(prior_init(&p, NULL, &c, types, false), ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_vectors_dalle), cmocka_unit_test(golden_vectors_dense),
        cmocka_unit_test(golden_vectors_in_bf16), cmocka_unit_test(golden_vectors_in_f16),
        cmocka_unit_test(no_output_depends_on_a_later_token), cmocka_unit_test(an_example_is_the_same_in_any_batch),
        cmocka_unit_test(gradients_agree_with_differences), cmocka_unit_test(micro_batches_add_up),
        cmocka_unit_test(empty_captions_teach_no_text), cmocka_unit_test(the_paper_has_12_billion_parameters),
        cmocka_unit_test(first_values_follow_the_rule), cmocka_unit_test(senseless_sizes_are_refused)};

    return cmocka_run_group_tests_name("prior", tests, open_device, close_device);
}

/* SPDX-License-Identifier: MIT */
/* working.c -- the memory of a prior's update is what was planned: parameters, gradients, what a pass takes, and the working memory
 * of all its operations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/par.h"
#include "compute/adam.h"
#include "device_open.h"
#include "model/prior_pass.h"

static void ok(int rc)
{
    if (rc != 0)
        fail_msg("%s", err_text());
}

static const struct prior_config shapes[] = {
    {.layers = 4, .width = 24, .heads = 3, .text_vocab = 211, .text_slots = 6, .image_vocab = 130, .grid_h = 4, .grid_w = 4,
     .kernel = 3, .masks = MASK_DALLE},
    {.layers = 1, .width = 64, .heads = 2, .text_vocab = 11, .text_slots = 70, .image_vocab = 1300, .grid_h = 5, .grid_w = 3,
     .kernel = 5, .masks = MASK_DENSE},
    {.layers = 6, .width = 8, .heads = 1, .text_vocab = 11, .text_slots = 4, .image_vocab = 13, .grid_h = 128, .grid_w = 2,
     .kernel = 3, .masks = MASK_DALLE}};

/* An update on a device of its own, which thus has done nothing else. */
static void update(const struct prior_config *c, const char *precision, enum prior_keep keep)
{
    const char *name = getenv("ARMCHAIR_TEST_DEVICE") ? getenv("ARMCHAIR_TEST_DEVICE") : "cpu";
    const struct prior_types types = prior_types_of(name, precision, false);
    static uint16_t tokens[4096];
    static int32_t length[3] = {1, 0, 2};
    const struct prior_examples e = {3, tokens, length, tokens};
    struct squares sums[200];
    struct tensor grad[200];
    struct prior_pass pass, planned_pass;
    struct prior p, planned;
    struct device device;
    size_t working;

    ok(prior_init(&planned, NULL, c, types, true));
    ok(prior_pass_init(&planned_pass, &planned, 3, keep));
    ok(prior_pass_working(&working, &planned_pass, name, precision));

    ok(test_device_open(&device));
    ok(device_precision_by_name(&device, precision));
    ok(prior_init(&p, &device, c, types, true));
    ok(prior_start(&p, 1, 1));
    ok(prior_pass_init(&pass, &p, 3, keep));
    ok(prior_backward(&pass, &e, 1, 1));
    for (int i = 0; i < p.params.count; i++)
        grad[i] = p.params.item[i].grad;
    ok(op_sum_squares(&device, sums, grad, p.params.count));
    assert_in_range(p.params.count, 1, 200);
    assert_int_equal(device_working(&device), working);
    assert_int_equal(p.values.size, planned.value_bytes);
    assert_int_equal(p.grads.size, planned.grad_bytes);
    assert_int_equal(pass.arena.size, planned_pass.bytes);
    assert_int_equal(pass.arena.used, planned_pass.bytes);

    prior_pass_fini(&pass);
    prior_fini(&p);
    device_close(&device);
    prior_pass_fini(&planned_pass);
    prior_fini(&planned);
}

static void an_update_takes_what_was_planned(void **state)
{
    static const char *const precision[] = {"f32", "auto", "bf16", "fp16"};
    int threads = par_threads();

    (void)state;
    for (int t = 1; t < 4; t += 2) {
        par_set_threads(t);
        for (int p = 0; p < 4; p++)
            for (int s = 0; s < (test_slow() ? 2 : 3); s++)
                update(&shapes[s], precision[p], s == 0 ? PRIOR_KEEP_ALL : PRIOR_KEEP_STREAM);
    }
    par_set_threads(threads);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(an_update_takes_what_was_planned)};

    return cmocka_run_group_tests_name("working", tests, NULL, NULL);
}

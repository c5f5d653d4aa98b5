/* SPDX-License-Identifier: MIT */
/* scales.c -- the update rule of gradient scales, update by update, and the sums it goes by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "train/blocks.h"

enum { BLOCKS = 3 };

static struct scales start(enum scaling how, double unit)
{
    struct scales s;

    assert_int_equal(scales_init(&s, how, BLOCKS, unit, SCALES_FIRST), 0);
    return s;
}

static void near(double got, double want)
{
    if (fabs(got - want) > 1e-6 * want)
        fail_msg("%.9g, not %.9g", got, want);
}

static void grow_by_a_thousandth_of_an_octave(void **state)
{
    const bool good[BLOCKS] = {true, true, true};
    struct scales s = start(SCALING_BLOCK, 4);

    (void)state;
    assert_int_equal(s.count, BLOCKS);
    for (int b = 0; b < BLOCKS; b++)
        near((double)scales_of(&s, b), 4 * 8192);
    assert_true(scales_of(&s, -1) == 1);
    for (int64_t t = 0; t < 1000; t++)
        scales_update(&s, good, t);
    for (int b = 0; b < BLOCKS; b++)
        near((double)scales_of(&s, b), 2 * 4 * 8192);
    scales_fini(&s);
}

static void only_the_bad_block_backs_off_and_not_twice_in_125_updates(void **state)
{
    const bool bad[BLOCKS] = {true, false, true};
    struct scales s = start(SCALING_BLOCK, 1);

    (void)state;
    for (int64_t t = 0; t < 251; t++) {
        double growth = exp2((double)(t + 1) / 1000);

        scales_update(&s, bad, t);
        near((double)scales_of(&s, 0), 8192 * growth);
        near((double)scales_of(&s, 1), 8192 * pow(0.5, 0.5 * (double)(t / 125 + 1)));
        near((double)scales_of(&s, 2), 8192 * growth);
    }
    scales_fini(&s);
}

static void stay_within_their_bounds(void **state)
{
    const bool good[BLOCKS] = {true, true, true}, bad[BLOCKS] = {false, false, true};
    struct scales s = start(SCALING_BLOCK, 1024);
    int64_t t = 0;

    (void)state;
    for (; t < 12000; t++)
        scales_update(&s, good, t);
    assert_true(scales_of(&s, 0) == 1024 * 0x1p24f && scales_may_fall(&s, 0) && !scales_may_fall(&s, -1));
    for (; t < 12000 + 125 * 40; t++)
        scales_update(&s, bad, t);
    assert_true(scales_of(&s, 0) == 1024 * 0x1p7f && scales_of(&s, 1) == 1024 * 0x1p7f);
    assert_true(scales_of(&s, 2) == 1024 * 0x1p24f && scales_may_fall(&s, 2) && !scales_may_fall(&s, 0));
    scales_fini(&s);
}

static void one_for_all_goes_by_all(void **state)
{
    const bool good[BLOCKS] = {true, true, true}, bad[BLOCKS] = {true, false, true};
    struct scales s = start(SCALING_GLOBAL, 1), none = start(SCALING_NONE, 1);

    (void)state;
    assert_int_equal(s.count, 1);
    scales_update(&s, bad, 0);
    scales_update(&s, good, 1);
    scales_update(&none, bad, 0);
    for (int b = 0; b < BLOCKS; b++) {
        near((double)scales_of(&s, b), 8192 * sqrt(0.5) * exp2(0.001));
        assert_true(scales_of(&none, b) == 1);
    }
    scales_fini(&s);
    scales_fini(&none);
}

static void sums_by_block_without_the_scales(void **state)
{
    const int block[] = {-1, 0, 0, 1, 2};
    const struct squares sums[] = {{9, 1}, {4 * 8192.0 * 8192, 2}, {8192.0 * 8192, 0}, {INFINITY, 0}, {NAN, 3}};
    struct param item[5];
    struct param_table params = {item, 5};
    struct scales s = start(SCALING_BLOCK, 1);
    struct blocks b;

    (void)state;
    for (int i = 0; i < 5; i++)
        item[i] = (struct param){.name = "x", .grad = tensor_f32(NULL, 2, 5), .block = block[i]};
    assert_int_equal(blocks_init(&b, &params), 0);
    assert_int_equal(b.count, BLOCKS);
    blocks_fold(&b, &params, sums, &s);
    near(b.block[0].squares, 5);
    assert_int_equal(b.block[0].zeros, 2);
    assert_int_equal(b.block[0].elements, 20);
    near(b.other.squares, 9);
    assert_true(b.finite[0] && !b.finite[1] && !b.finite[2]);
    assert_false(isfinite(blocks_norm(&b)));
    assert_int_equal(blocks_first_bad(&b), 2); /* the backward pass comes there first */
    params.count = 3;
    blocks_fold(&b, &params, sums, &s);
    near(blocks_norm(&b), sqrt(14));
    assert_int_equal(blocks_first_bad(&b), -1);
    blocks_fini(&b);
    scales_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grow_by_a_thousandth_of_an_octave),
        cmocka_unit_test(only_the_bad_block_backs_off_and_not_twice_in_125_updates),
        cmocka_unit_test(stay_within_their_bounds), cmocka_unit_test(one_for_all_goes_by_all),
        cmocka_unit_test(sums_by_block_without_the_scales)};

    return cmocka_run_group_tests_name("scales", tests, NULL, NULL);
}

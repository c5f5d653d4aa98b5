/* SPDX-License-Identifier: MIT */
/* order.c -- the order of examples is a permutation, and schedules follow their formulas. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/order.h"
#include "train/schedule.h"

static void every_example_once_an_epoch(void **state)
{
    static const uint64_t sizes[] = {1, 2, 3, 4, 5, 16, 17, 1000, 4096, 4097, 65537};

    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        uint64_t n = sizes[s];
        char *seen = calloc(n, 1);

        assert_non_null(seen);
        for (uint64_t i = 0; i < n; i++) {
            uint64_t example = order_at(9, 3, n, i);

            assert_true(example < n);
            assert_int_equal(seen[example], 0);
            seen[example] = 1;
        }
        free(seen);
    }
}

static void epochs_and_seeds_differ(void **state)
{
    int same_epoch = 0, same_seed = 0, in_place = 0;

    (void)state;
    for (uint64_t i = 0; i < 1000; i++) {
        same_epoch += order_at(1, 0, 1000, i) == order_at(1, 1, 1000, i);
        same_seed += order_at(1, 0, 1000, i) == order_at(2, 0, 1000, i);
        in_place += order_at(1, 0, 1000, i) == i;
    }
    assert_true(same_epoch < 12 && same_seed < 12 && in_place < 12); /* about 1 by chance */
}

/* Neighbours do not stay neighbours: the mean distance of a random permutation is n/3. */
static void neighbours_part(void **state)
{
    double sum = 0;

    (void)state;
    for (uint64_t i = 0; i + 1 < 10000; i++)
        sum += fabs((double)order_at(5, 0, 10000, i) - (double)order_at(5, 0, 10000, i + 1));
    assert_true(fabs(sum / 9999 / 10000 - 1.0 / 3) < 0.02);
}

static void positions_run_through_epochs(void **state)
{
    (void)state;
    assert_true(order_example(4, 10, 23) == order_at(4, 2, 10, 3));
    assert_true(order_example(4, UINT64_C(1) << 40, 12345) < UINT64_C(1) << 40);
}

static void cosine_and_warmup(void **state)
{
    struct step_size s = {.peak = 1, .end = 0.1, .warmup = 10, .over = 100, .halve_at = {50, 60}, .halve_count = 2};

    (void)state;
    assert_true(schedule_cosine(1, 0, 100, 0) == 1);
    assert_true(fabs(schedule_cosine(1, 0, 100, 50) - 0.5) < 1e-12);
    assert_true(schedule_cosine(1, 0, 100, 100) == 0 && schedule_cosine(1, 0, 100, 1000) == 0);
    assert_true(fabs(schedule_cosine(1, 1.0 / 16, 150000, 75000) - (1 + 1.0 / 16) / 2) < 1e-12);
    assert_true(fabs(step_size_at(&s, 0) - 0.1) < 1e-12 && step_size_at(&s, 9) == 1 && step_size_at(&s, 10) == 1);
    assert_true(fabs(step_size_at(&s, 1000) - 0.1 / 4) < 1e-12);
    s.over = 0;
    assert_true(step_size_at(&s, 49) == 1 && step_size_at(&s, 55) == 0.5 && step_size_at(&s, 60) == 0.25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_example_once_an_epoch), cmocka_unit_test(epochs_and_seeds_differ),
        cmocka_unit_test(neighbours_part), cmocka_unit_test(positions_run_through_epochs),
        cmocka_unit_test(cosine_and_warmup)};

    return cmocka_run_group_tests_name("order", tests, NULL, NULL);
}

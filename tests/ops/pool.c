/* SPDX-License-Identifier: MIT */
#include "compute/pool.h"

#include "harness.h"

static const int64_t shapes[][4] = {{1, 1, 1, 1}, {2, 3, 5, 7}, {1, 2, 4, 16}, {1, 7, 1, 33}, {3, 1, 2, 64}};

#define SHAPES (sizeof shapes / sizeof *shapes)

/* Position of pixel (a,b) of the block of small element j, in [N,2H,2W,C]. */
static int64_t large_at(const int64_t *s, int64_t j, int a, int b)
{
    int64_t c = j % s[3], column = j / s[3] % s[2], row = j / (s[3] * s[2]);

    return ((2 * row + a) * 2 * s[2] + 2 * column + b) * s[3] + c;
}

/* Values are small integers, so ties occur and sums are exact: everything is compared with ==. */
static struct tensor integers(struct tensor t)
{
    for (int64_t i = 0; i < tensor_elements(&t); i++)
        H_F32(&t)[i] = floorf(2.0f * H_F32(&t)[i]);
    return t;
}

static void test_max_pool(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        for (size_t n = 0; n < SHAPES; n++) {
            const int64_t *s = shapes[n];
            struct tensor x = integers(h_random(&h, 1.0f, s[0], 2 * s[1], 2 * s[2], s[3]));
            struct tensor dx = h_random(&h, 1.0f, s[0], 2 * s[1], 2 * s[2], s[3]);
            struct tensor y = h_random(&h, 1.0f, s[0], s[1], s[2], s[3]), dy = h_random(&h, 1.0f, s[0], s[1], s[2], s[3]);

            assert_int_equal(op_max_pool(&h.dev, &y, &x), 0);
            assert_int_equal(op_max_pool_grad(&h.dev, &dx, &dy, &x), 0);
            for (int64_t j = 0; j < tensor_elements(&y); j++) {
                int first = 0;

                for (int k = 1; k < 4; k++)
                    if (H_F32(&x)[large_at(s, j, k / 2, k % 2)] > H_F32(&x)[large_at(s, j, first / 2, first % 2)])
                        first = k;
                assert_true(H_F32(&y)[j] == H_F32(&x)[large_at(s, j, first / 2, first % 2)]);
                for (int k = 0; k < 4; k++)
                    assert_true(H_F32(&dx)[large_at(s, j, k / 2, k % 2)] == (k == first ? H_F32(&dy)[j] : 0.0f));
            }
        }
        h_close(&h);
    }
}

static void test_upsample(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        for (size_t n = 0; n < SHAPES; n++) {
            const int64_t *s = shapes[n];
            struct tensor x = h_random(&h, 1.0f, s[0], s[1], s[2], s[3]), dx = h_random(&h, 1.0f, s[0], s[1], s[2], s[3]);
            struct tensor y = h_random(&h, 1.0f, s[0], 2 * s[1], 2 * s[2], s[3]);
            struct tensor dy = integers(h_random(&h, 1.0f, s[0], 2 * s[1], 2 * s[2], s[3]));

            assert_int_equal(op_upsample(&h.dev, &y, &x), 0);
            assert_int_equal(op_upsample_grad(&h.dev, &dx, &dy), 0);
            for (int64_t j = 0; j < tensor_elements(&x); j++) {
                float sum = 0;

                for (int k = 0; k < 4; k++) {
                    assert_true(H_F32(&y)[large_at(s, j, k / 2, k % 2)] == H_F32(&x)[j]);
                    sum += H_F32(&dy)[large_at(s, j, k / 2, k % 2)];
                }
                assert_true(H_F32(&dx)[j] == sum);
            }
        }
        h_close(&h);
    }
}

static void test_refuses(void **state)
{
    struct harness h;

    (void)state;
    assert_true(h_open(&h, 0));
    struct tensor odd = h_zeros(&h, 1, 3, 4, 2), x = h_zeros(&h, 1, 4, 4, 2), y = h_zeros(&h, 1, 2, 2, 2);

    assert_int_equal(op_max_pool(&h.dev, &y, &odd), ERR_ARG);
    assert_int_equal(op_upsample(&h.dev, &y, &x), ERR_ARG);
    assert_int_equal(op_max_pool_grad(&h.dev, &x, &y, &odd), ERR_ARG);
    assert_int_equal(op_upsample_grad(&h.dev, &x, &y), ERR_ARG);
    h_close(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_max_pool), cmocka_unit_test(test_upsample),
                                       cmocka_unit_test(test_refuses)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

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

/* Values are small integers, so ties occur, no type rounds and sums are exact: everything is compared with ==. */
static struct tensor integers(struct tensor t)
{
    for (int64_t i = 0; i < tensor_elements(&t); i++)
        H_F32(&t)[i] = floorf(2.0f * H_F32(&t)[i]);
    return t;
}

static struct tensor small(struct harness *h, const int64_t *s)
{
    return integers(h_random(h, 1.0f, s[0], s[1], s[2], s[3]));
}

static struct tensor large(struct harness *h, const int64_t *s)
{
    return integers(h_random(h, 1.0f, s[0], 2 * s[1], 2 * s[2], s[3]));
}

/* A copy in another type. */
static struct tensor as(struct harness *h, enum dtype type, struct tensor t)
{
    struct tensor to = h_tensor(h, type, t.rank, t.shape);

    assert_int_equal(h->dev.ops->copy(h->dev.self, &to, &t), 0);
    assert_int_equal(device_wait(&h->dev), 0);
    return to;
}

static void one_max_pool(struct harness *hp, const int64_t *s, enum dtype type)
{
    struct harness h = *hp;
    struct tensor x = large(&h, s), dy = small(&h, s), x_in = as(&h, type, x), dy_in = as(&h, type, dy);
    struct tensor y = as(&h, type, small(&h, s)), dx = as(&h, type, large(&h, s));

    assert_int_equal(op_max_pool(&h.dev, &y, &x_in), 0);
    assert_int_equal(op_max_pool_grad(&h.dev, &dx, &dy_in, &x_in), 0);
    y = as(&h, DTYPE_F32, y);
    dx = as(&h, DTYPE_F32, dx);
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

static void one_upsample(struct harness *hp, const int64_t *s, enum dtype type)
{
    struct harness h = *hp;
    struct tensor x = small(&h, s), dy = large(&h, s), x_in = as(&h, type, x), dy_in = as(&h, type, dy);
    struct tensor y = as(&h, type, large(&h, s)), dx = as(&h, type, small(&h, s));

    assert_int_equal(op_upsample(&h.dev, &y, &x_in), 0);
    assert_int_equal(op_upsample_grad(&h.dev, &dx, &dy_in), 0);
    y = as(&h, DTYPE_F32, y);
    dx = as(&h, DTYPE_F32, dx);
    for (int64_t j = 0; j < tensor_elements(&x); j++) {
        float sum = 0;

        for (int k = 0; k < 4; k++) {
            assert_true(H_F32(&y)[large_at(s, j, k / 2, k % 2)] == H_F32(&x)[j]);
            sum += H_F32(&dy)[large_at(s, j, k / 2, k % 2)];
        }
        assert_true(H_F32(&dx)[j] == sum);
    }
}

static void each_shape(void (*one)(struct harness *h, const int64_t *s, enum dtype type))
{
    struct harness h;

    for (int i = 0; h_open(&h, i); i++) {
        for (int type = DTYPE_F32; type <= DTYPE_F16; type++)
            for (size_t n = 0; n < SHAPES && device_stores(&h.dev, (enum dtype)type); n++)
                one(&h, shapes[n], (enum dtype)type);
        h_close(&h);
    }
}

static void test_max_pool(void **state)
{
    (void)state;
    each_shape(one_max_pool);
}

/* A maximum is a > b ? a : b, of the rows, then of both; where nothing equals it the last takes the gradient. */
static void test_nan(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        for (int hole = 0; hole < 4; hole++) {
            struct tensor x = h_zeros(&h, 1, 2, 2, 1), dx = h_zeros(&h, 1, 2, 2, 1);
            struct tensor y = h_zeros(&h, 1, 1, 1, 1), dy = h_zeros(&h, 1, 1, 1, 1);

            for (int k = 0; k < 4; k++)
                H_F32(&x)[k] = k == hole ? NAN : (float)k;
            H_F32(&dy)[0] = 1;
            assert_int_equal(op_max_pool(&h.dev, &y, &x), 0);
            assert_int_equal(op_max_pool_grad(&h.dev, &dx, &dy, &x), 0);
            assert_true(hole == 3 ? isnan(H_F32(&y)[0]) : H_F32(&y)[0] == 3);
            for (int k = 0; k < 4; k++)
                assert_true(H_F32(&dx)[k] == (k == 3 ? 1 : 0));
        }
        h_close(&h);
    }
}

static void test_upsample(void **state)
{
    (void)state;
    each_shape(one_upsample);
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
    y.type = DTYPE_BF16;
    assert_int_equal(op_max_pool(&h.dev, &y, &x), device_stores(&h.dev, DTYPE_BF16) ? ERR_ARG : ERR_UNSUPPORTED);
    y.type = DTYPE_I32;
    assert_int_equal(op_max_pool(&h.dev, &y, &x), ERR_ARG);
    h_close(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_max_pool), cmocka_unit_test(test_nan),
                                       cmocka_unit_test(test_upsample), cmocka_unit_test(test_refuses)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

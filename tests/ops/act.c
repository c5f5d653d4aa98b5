/* SPDX-License-Identifier: MIT */
#include "compute/act.h"
#include "compute/matmul.h"

#include "base/par.h"
#include "harness.h"

static const int64_t sizes[] = {1, 2, 7, 16, 17, 31, 257, 4097, 9001};

enum { SIZES = sizeof sizes / sizeof *sizes };

static double sigmoid(double x)
{
    return 1 / (1 + exp(-1.702 * x));
}

static double gelu_slope(double x)
{
    return (x * sigmoid(x) * (1 - sigmoid(x)) * 1.702) + sigmoid(x);
}

/* A GELU and its slope, behind products with 1. */
static void gelu(struct harness *h, const struct tensor *y, const struct tensor *x)
{
    int64_t n = tensor_elements(x);
    struct tensor one = h_zeros(h, 1, 1), row = tensor_f32(x->data, 1, n), out = tensor_f32(y->data, 1, n), same = h_zeros(h, 1, n);

    H_F32(&one)[0] = 1;
    assert_int_equal(op_matmul(&h->dev, &same, &one, &row, NULL, (struct matmul){.gelu = &out}), 0);
    assert_memory_equal(same.data, x->data, tensor_bytes(x));
}

static void gelu_grad(struct harness *h, const struct tensor *dx, const struct tensor *dy, const struct tensor *x)
{
    int64_t n = tensor_elements(x);
    struct tensor one = h_zeros(h, 1, 1), row = tensor_f32(dy->data, 1, n), out = tensor_f32(dx->data, 1, n);
    struct tensor before = tensor_f32(x->data, 1, n);

    H_F32(&one)[0] = 1;
    assert_int_equal(op_matmul(&h->dev, &out, &one, &row, NULL, (struct matmul){.gelu_grad = &before}), 0);
}

static void test_gelu(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        for (int s = 0; s < SIZES; s++) {
            int64_t n = sizes[s];
            struct tensor x = h_random(&h, 3.0f, n), y = h_zeros(&h, n), dy = h_random(&h, 1.0f, n), dx = h_zeros(&h, n);
            double *want = h_doubles(&h, NULL, n), *slope = h_doubles(&h, NULL, n);

            for (int64_t k = 0; k < n; k++) {
                double v = H_F32(&x)[k];

                want[k] = v * sigmoid(v);
                slope[k] = H_F32(&dy)[k] * gelu_slope(v);
            }
            gelu(&h, &y, &x);
            h_near(h_error(H_F32(&y), want, n), 3e-7);
            gelu_grad(&h, &dx, &dy, &x);
            h_near(h_error(H_F32(&dx), slope, n), 3e-7);
        }
        h_close(&h);
    }
}

/* The slope in closed form above is the difference quotient of the function above. */
static double gelu_sum(void *context)
{
    const double *x = context;

    return x[0] * sigmoid(x[0]) + 2 * x[1] * sigmoid(x[1]);
}

static void test_slope(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        double at[2] = {0.7, -2.3};
        struct tensor x = h_zeros(&h, 2), dy = h_zeros(&h, 2), dx = h_zeros(&h, 2);

        for (int k = 0; k < 2; k++) {
            H_F32(&x)[k] = (float)at[k];
            H_F32(&dy)[k] = (float)(k + 1);
        }
        gelu_grad(&h, &dx, &dy, &x);
        h_near(h_gradient(gelu_sum, at, at, H_F32(&dx), 2, 1e-5), 1e-6);
        h_close(&h);
    }
}

/* Far out: the limits, not NaN; NaN stays NaN. */
static void test_limits(void **state)
{
    const float far[] = {-1e30f, -200.0f, -53.0f, 0.0f, 53.0f, 200.0f, 1e30f};
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        struct tensor x = h_zeros(&h, 8), y = h_zeros(&h, 8), dx = h_zeros(&h, 8), dy = h_zeros(&h, 8);

        memcpy(x.data, far, sizeof far);
        H_F32(&x)[7] = NAN;
        gelu(&h, &y, &x);
        for (int k = 0; k < 7; k++)
            assert_true(fabsf(H_F32(&y)[k] - (far[k] > 0 ? far[k] : 0)) < 1e-30f);
        assert_true(isnan(H_F32(&y)[7]));
        for (int k = 0; k < 8; k++)
            H_F32(&dy)[k] = 1.0f;
        gelu_grad(&h, &dx, &dy, &x);
        for (int k = 0; k < 7; k++)
            if (far[k] != 0.0f && fabsf(far[k]) < 1e3f)
                assert_true(fabsf(H_F32(&dx)[k] - (far[k] > 0 ? 1 : 0)) < 1e-30f);
        assert_int_equal(op_relu(&h.dev, &y, &x), 0);
        assert_true(H_F32(&y)[0] == 0.0f && H_F32(&y)[6] == 1e30f && isnan(H_F32(&y)[7]));
        h_close(&h);
    }
}

static void test_relu(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        for (int s = 0; s < SIZES; s++) {
            struct tensor x = h_random(&h, 1.0f, sizes[s]), y = h_zeros(&h, sizes[s]);

            assert_int_equal(op_relu(&h.dev, &y, &x), 0);
            for (int64_t k = 0; k < sizes[s]; k++) {
                float v = H_F32(&x)[k];

                assert_true(H_F32(&y)[k] == (v > 0 ? v : 0));
            }
            assert_int_equal(op_relu(&h.dev, &x, &x), 0); /* in place */
            assert_memory_equal(x.data, y.data, tensor_bytes(&x));
        }
        h_close(&h);
    }
}

static void test_add_copy(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        for (int s = 0; s < SIZES; s++) {
            struct tensor x = h_random(&h, 1.0f, sizes[s]), y = h_random(&h, 1.0f, sizes[s]), c = h_zeros(&h, sizes[s]);
            double *want = h_doubles(&h, &y, 0);

            for (int64_t k = 0; k < sizes[s]; k++)
                want[k] += 0.3 * H_F32(&x)[k];
            assert_int_equal(op_add(&h.dev, &y, &x, 0.3f), 0);
            h_near(h_error(H_F32(&y), want, sizes[s]), 1e-6);
            assert_int_equal(op_copy(&h.dev, &c, &x), 0);
            assert_memory_equal(c.data, x.data, tensor_bytes(&x));
        }
        h_close(&h);
    }
}

/* What the header says, of x in f32 and s: y in f32, then in a type. */
static void check_filter(struct harness *hp, const struct tensor *x, enum dtype from, enum dtype to, float s)
{
    struct harness h = *hp;
    struct tensor in = h_tensor(&h, from, x->rank, x->shape), y = h_tensor(&h, to, x->rank, x->shape), want = y;
    struct tensor wide = h_tensor(&h, DTYPE_F32, x->rank, x->shape);

    want.data = h_take(&h, tensor_bytes(&want));
    assert_int_equal(op_copy(&h.dev, &in, x), 0);
    assert_int_equal(op_copy(&h.dev, &wide, &in), 0);
    for (int64_t i = 0; i < tensor_elements(x); i++) {
        float v = s * H_F32(&wide)[i];

        H_F32(&wide)[i] = isfinite(v) ? v : 0.0f;
    }
    assert_int_equal(op_copy(&h.dev, &want, &wide), 0);
    assert_int_equal(op_filter(&h.dev, &y, &in, s), 0);
    assert_memory_equal(y.data, want.data, tensor_bytes(&y));
}

/* Not finite before the factor, by the factor, and by the rounding alone, which stays infinite. */
static void test_filter(void **state)
{
    static const float special[] = {INFINITY, -INFINITY, NAN, -NAN, 0.0f, -0.0f, 3e38f, -3e38f, 40000.0f, -40000.0f, 1e-45f, 1.0f};
    static const float factors[] = {1.0f, 2.0f, 0x1p24f, 0x1p-30f, 0.3f, INFINITY, NAN};
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        struct tensor x = h_random(&h, 3.0f, 9001), y = h_tensor(&h, DTYPE_F16, 1, (const int64_t[]){12});

        for (int k = 0; k < 12; k++)
            H_F32(&x)[k * 749] = special[k];
        for (int form = 0; form < 9 * 7; form++)
            if (device_stores(&h.dev, (enum dtype)(form % 3)) && device_stores(&h.dev, (enum dtype)(form / 3 % 3)))
                check_filter(&h, &x, (enum dtype)(form % 3), (enum dtype)(form / 3 % 3), factors[form / 9]);
        if (device_stores(&h.dev, DTYPE_F16)) {
            x = h_zeros(&h, 12);
            memcpy(x.data, special, sizeof special);
            assert_int_equal(op_filter(&h.dev, &y, &x, 2.0f), 0);
            for (int k = 0; k < 12; k++) {
                static const uint16_t want[] = {0, 0, 0, 0, 0, 0x8000, 0, 0, 0x7c00, 0xfc00, 0, 0x4000};

                assert_int_equal(((uint16_t *)y.data)[k], want[k]);
            }
        }
        h_close(&h);
    }
}

static void test_threads(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        struct tensor x = h_random(&h, 2.0f, 10007), y[2], dx[2], sum[2], filtered[2];
        int threads = par_threads();

        for (int k = 0; k < 2; k++) {
            par_set_threads(k == 0 ? 1 : 3);
            y[k] = h_zeros(&h, 10007);
            dx[k] = h_zeros(&h, 10007);
            sum[k] = h_zeros(&h, 10007);
            memcpy(sum[k].data, x.data, tensor_bytes(&x));
            gelu(&h, &y[k], &x);
            gelu_grad(&h, &dx[k], &y[k], &x);
            assert_int_equal(op_add(&h.dev, &sum[k], &y[k], 0.37f), 0);
            filtered[k] = h_zeros(&h, 10007);
            assert_int_equal(op_filter(&h.dev, &filtered[k], &x, 0.37f), 0);
        }
        par_set_threads(threads);
        assert_memory_equal(y[0].data, y[1].data, tensor_bytes(&x));
        assert_memory_equal(dx[0].data, dx[1].data, tensor_bytes(&x));
        assert_memory_equal(sum[0].data, sum[1].data, tensor_bytes(&x));
        assert_memory_equal(filtered[0].data, filtered[1].data, tensor_bytes(&x));
        h_close(&h);
    }
}

static void test_refused(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        struct tensor x = h_zeros(&h, 3, 4), y = h_zeros(&h, 4, 3), z = h_indices(&h, 3, 4);

        assert_int_equal(op_relu(&h.dev, &y, &x), ERR_ARG);
        assert_int_equal(op_relu(&h.dev, &z, &x), ERR_ARG);
        assert_int_equal(op_add(&h.dev, &x, &y, 1.0f), ERR_ARG);
        assert_int_equal(op_copy(&h.dev, &x, &z), ERR_ARG);
        assert_int_equal(op_filter(&h.dev, &x, &y, 1.0f), ERR_ARG);
        assert_int_equal(op_filter(&h.dev, &x, &z, 1.0f), ERR_ARG);
        h_close(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gelu),     cmocka_unit_test(test_slope),   cmocka_unit_test(test_limits),
        cmocka_unit_test(test_relu),     cmocka_unit_test(test_add_copy), cmocka_unit_test(test_filter),
        cmocka_unit_test(test_threads),  cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

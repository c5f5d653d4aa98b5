/* SPDX-License-Identifier: MIT */
#include "compute/matmul.h"

#include "base/par.h"
#include "ways.h"

#define BOUND 2e-6 /* f32 sums of up to a few hundred products, and of thousands of rows */
#define CUT 4e-9   /* more for each product of a sum where a GPU's matrix units cut off, not round, what f32 cannot hold */

static double bound_of(const struct harness *h, int way, int64_t k)
{
    return BOUND + (way && !ways_of_cpu(h) ? CUT * (double)k : 0);
}

/* Eight bits of mantissa, ties to even. */
static void to_bf16(struct tensor *t)
{
    for (int64_t i = 0; i < tensor_elements(t); i++) {
        int exponent;
        double mantissa = frexp(H_F32(t)[i], &exponent);

        H_F32(t)[i] = (float)ldexp(nearbyint(mantissa * 256) / 256, exponent);
    }
}

static const int64_t sizes[][3] = {{1, 1, 1}, {1, 17, 3}, {7, 1, 5}, {2, 3, 1}, {33, 65, 17}, {128, 64, 257},
                                   {31, 16, 64}, {257, 129, 31}, {45, 50, 515}, {80, 48, 1100}, {20, 40, 2500}};

static void reference(double *y, const float *a, const float *b, const float *bias, int64_t m, int64_t n, int64_t k,
                      struct matmul how)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = (how.add ? y[i * n + j] : 0) + (bias ? bias[j] : 0);

            for (int64_t l = 0; l < k; l++)
                sum += (double)a[how.ta ? l * m + i : i * k + l] * b[how.tb ? j * k + l : l * n + j];
            y[i * n + j] = sum;
        }
}

static void one(struct harness *hp, const int64_t *size, struct matmul how, bool with_bias, int way)
{
    struct harness h = *hp;
    int64_t m = size[0], n = size[1], k = size[2];
    struct tensor y = h_random(&h, 1.0f, m, n), bias = h_random(&h, 1.0f, n);
    struct tensor a = h_random(&h, 1.0f, how.ta ? k : m, how.ta ? m : k);
    struct tensor b = h_random(&h, 1.0f, how.tb ? n : k, how.tb ? k : n);
    double *want = h_doubles(&h, &y, 0);

    ways_set(&h, way);
    assert_int_equal(op_matmul(&h.dev, &y, &a, &b, with_bias ? &bias : NULL, how), 0);
    if (way) {
        to_bf16(&a);
        to_bf16(&b);
    }
    reference(want, H_F32(&a), H_F32(&b), with_bias ? H_F32(&bias) : NULL, m, n, k, how);
    h_near(h_error(H_F32(&y), want, m * n), bound_of(&h, way, k));
}

static void test_forms(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        int ways = ways_last(&h);

        for (int way = 0; way <= ways; way++)
            for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
                for (int form = 0; form < 16; form++)
                    one(&h, sizes[s], (struct matmul){.ta = form & 1, .tb = form & 2, .add = form & 4}, form & 8, way);
        h_close(&h);
    }
}

/* What stands behind the product. */
static void one_end(struct harness *hp, const int64_t *size, int form, int way)
{
    struct harness h = *hp;
    int64_t m = size[0], n = size[1], k = size[2];
    struct tensor y = h_random(&h, 1.0f, m, n), bias = h_random(&h, 1.0f, n), x = h_random(&h, 1.0f, m, n);
    struct tensor act = h_zeros(&h, m, n), sums = h_random(&h, 1.0f, m), a = h_random(&h, 0.3f, m, k), b = h_random(&h, 0.3f, n, k);
    struct tensor across = h_random(&h, 0.3f, k, m);
    struct matmul how[] = {{.tb = true, .plus = &x}, {.tb = true, .gelu = &act}, {.tb = true, .gelu_grad = &x},
                           {.tb = true, .plus = &x, .gelu = &act}, {.ta = true, .tb = true, .add = true, .row_sums = &sums}};
    double *want = h_doubles(&h, how[form].plus ? &x : &y, 0), *want_act = h_doubles(&h, NULL, m * n);
    double *want_sums = h_doubles(&h, &sums, 0);
    const float *left = how[form].ta ? H_F32(&across) : H_F32(&a);

    ways_set(&h, way);
    assert_int_equal(op_matmul(&h.dev, &y, how[form].ta ? &across : &a, &b, &bias, how[form]), 0);
    for (int64_t i = 0; i < m * k; i++)
        want_sums[i % m] += how[form].row_sums ? left[i] : 0;
    if (way) {
        to_bf16(&a);
        to_bf16(&across);
        to_bf16(&b);
    }
    reference(want, left, H_F32(&b), H_F32(&bias), m, n, k,
              (struct matmul){.ta = how[form].ta, .tb = true, .add = how[form].add || how[form].plus});
    for (int64_t i = 0; i < m * n; i++) {
        double v = H_F32(&x)[i], s = 1 / (1 + exp(-1.702 * v));

        if (how[form].gelu_grad)
            want[i] *= s * (1 + 1.702 * v * (1 - s));
        want_act[i] = want[i] / (1 + exp(-1.702 * want[i]));
    }
    h_near(h_error(H_F32(&y), want, m * n), bound_of(&h, way, k));
    if (how[form].gelu)
        h_near(h_error(H_F32(&act), want_act, m * n), bound_of(&h, way, k));
    h_near(h_error(H_F32(&sums), want_sums, m), BOUND);
}

static void test_ends(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        int ways = ways_last(&h);

        for (int way = 0; way <= ways; way++)
            for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
                for (int form = 0; form < 5; form++)
                    one_end(&h, sizes[s], form, way);
        h_close(&h);
    }
}

/* The three products of a linear layer are each other's gradients. */
struct linear {
    double *x, *w, *bias;
    const float *dy;
    int64_t m, in, out;
};

static double linear_loss(void *context)
{
    const struct linear *l = context;
    double loss = 0;

    for (int64_t i = 0; i < l->m; i++)
        for (int64_t o = 0; o < l->out; o++) {
            double y = l->bias[o];

            for (int64_t c = 0; c < l->in; c++)
                y += l->x[i * l->in + c] * l->w[o * l->in + c];
            loss += y * l->dy[i * l->out + o];
        }
    return loss;
}

static void test_gradient(void **state)
{
    const int64_t m = 37, in = 19, out = 23;
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        struct tensor x = h_random(&h, 1.0f, m, in), w = h_random(&h, 1.0f, out, in), bias = h_random(&h, 1.0f, out);
        struct tensor dy = h_random(&h, 1.0f, m, out), dx = h_zeros(&h, m, in), dw = h_zeros(&h, out, in);
        struct tensor db = h_zeros(&h, out);
        struct linear l = {h_doubles(&h, &x, 0), h_doubles(&h, &w, 0), h_doubles(&h, &bias, 0), H_F32(&dy), m, in, out};

        assert_int_equal(op_matmul(&h.dev, &dx, &dy, &w, NULL, (struct matmul){0}), 0);
        assert_int_equal(op_matmul(&h.dev, &dw, &dy, &x, NULL, (struct matmul){.ta = true, .add = true, .row_sums = &db}), 0);
        h_near(h_gradient(linear_loss, &l, l.x, H_F32(&dx), m * in, 1e-3), BOUND);
        h_near(h_gradient(linear_loss, &l, l.w, H_F32(&dw), out * in, 1e-3), BOUND);
        h_near(h_gradient(linear_loss, &l, l.bias, H_F32(&db), out, 1e-3), BOUND);
        h_close(&h);
    }
}

static void test_sum_rows(void **state)
{
    static const int64_t shapes[][2] = {{1, 1}, {257, 65}, {1000, 3}, {513, 128}};
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        for (int s = 0; s < 4; s++) {
            int64_t m = shapes[s][0], n = shapes[s][1];
            struct tensor dy = h_random(&h, 1.0f, m, n), db = h_random(&h, 1.0f, n), x = h_zeros(&h, m, 1), dw = h_zeros(&h, n, 1);
            double *want = h_doubles(&h, &db, 0);

            for (int64_t j = 0; j < m * n; j++)
                want[j % n] += H_F32(&dy)[j];
            assert_int_equal(op_matmul(&h.dev, &dw, &dy, &x, NULL, (struct matmul){.ta = true, .row_sums = &db}), 0);
            h_near(h_error(H_F32(&db), want, n), BOUND);
        }
        h_close(&h);
    }
}

/* Each sum is one thread's, in the same order, whatever their number. */
static void test_threads(void **state)
{
    static const int64_t shapes[][3] = {{29, 33, 700}, {130, 40, 513}}; /* M, N, K */
    int before = par_threads();
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        int ways = ways_last(&h);

        for (int s = 0; s < 4 * (1 + ways); s++) {
            int64_t m = shapes[s / 2 % 2][0], n = shapes[s / 2 % 2][1], k = shapes[s / 2 % 2][2];
            struct matmul how = {.ta = s % 2, .tb = s % 2 == 0};
            struct tensor a = how.ta ? h_random(&h, 1.0f, k, m) : h_random(&h, 1.0f, m, k);
            struct tensor b = how.tb ? h_random(&h, 1.0f, n, k) : h_random(&h, 1.0f, k, n);
            struct tensor y[2] = {h_zeros(&h, m, n), h_zeros(&h, m, n)};

            ways_set(&h, s / 4);
            for (int t = 0; t < 2; t++) {
                par_set_threads(1 + 2 * t);
                assert_int_equal(op_matmul(&h.dev, &y[t], &a, &b, NULL, how), 0);
            }
            assert_memory_equal(y[0].data, y[1].data, tensor_bytes(&y[0]));
        }
        h_close(&h);
    }
    par_set_threads(before);
}

static void test_refuses(void **state)
{
    struct harness h;

    (void)state;
    assert_true(h_open(&h, 0));
    struct tensor y = h_zeros(&h, 2, 3), a = h_zeros(&h, 2, 4), b = h_zeros(&h, 4, 3), i = h_indices(&h, 2, 4);

    assert_int_equal(op_matmul(&h.dev, &y, &a, &b, NULL, (struct matmul){.tb = true}), ERR_ARG);
    assert_string_equal(err_text(), "matmul: b is f32 [4,3], not f32 [3,4]");
    assert_int_equal(op_matmul(&h.dev, &y, &i, &b, NULL, (struct matmul){0}), ERR_ARG);
    assert_int_equal(op_matmul(&h.dev, &y, &a, &b, &a, (struct matmul){0}), ERR_ARG);
    assert_int_equal(op_matmul(&h.dev, &y, &a, &b, NULL, (struct matmul){.gelu = &a}), ERR_ARG);
    assert_int_equal(op_matmul(&h.dev, &y, &a, &b, NULL, (struct matmul){.plus = &y, .add = true}), ERR_ARG);
    assert_int_equal(op_matmul(&h.dev, &y, &a, &b, NULL, (struct matmul){.plus = &y, .gelu_grad = &y}), ERR_ARG);
    h_close(&h);
}

static void test_devices(void **state)
{
    struct device dev;

    (void)state;
    assert_int_equal(device_open(&dev, "abacus"), ERR_ARG);
    assert_int_equal(device_open(&dev, "cpu"), 0);
    device_close(&dev);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms), cmocka_unit_test(test_ends), cmocka_unit_test(test_gradient),
                                       cmocka_unit_test(test_sum_rows), cmocka_unit_test(test_threads),
                                       cmocka_unit_test(test_refuses), cmocka_unit_test(test_devices)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include "compute/loss.h"

#include "harness.h"

static const int64_t shapes[][2] = {{1, 1}, {63, 3}, {64, 3}, {65, 3}, {131, 2}, {7, 17}};

#define SHAPES (sizeof shapes / sizeof *shapes)

struct problem {
    double *y, *nll;
    const float *x;
    int64_t rows, channels;
};

/* nll as the header says; its sum. */
static double loss(void *context)
{
    const struct problem *p = context;
    double sum = 0;

    for (int64_t r = 0; r < p->rows; r++) {
        p->nll[r] = 0;
        for (int64_t c = 0; c < p->channels; c++) {
            double x = p->x[r * p->channels + c], mu = p->y[r * 2 * p->channels + c];
            double ln_b = p->y[r * 2 * p->channels + p->channels + c];

            p->nll[r] += log(2) + ln_b + log(x) + log(1 - x) + fabs(log(x / (1 - x)) - mu) * exp(-ln_b);
        }
        sum += p->nll[r];
    }
    return sum;
}

static void one(struct harness *hp, int64_t rows, int64_t channels)
{
    struct harness h = *hp;
    struct rng rng = {.seed = 5, .purpose = RNG_TEST};
    struct tensor y = h_random(&h, 1.5f, rows, 2 * channels), x = h_zeros(&h, rows, channels), nll = h_zeros(&h, rows);
    struct tensor kept = h_zeros(&h, rows, 2 * channels);
    struct problem p = {h_doubles(&h, &y, 0), h_doubles(&h, NULL, rows), H_F32(&x), rows, channels};

    for (int64_t i = 0; i < rows * channels; i++)
        H_F32(&x)[i] = 0.1f + 0.8f * rng_uniform(rng, 0, (uint64_t)i);
    memcpy(kept.data, y.data, tensor_bytes(&y));
    loss(&p);
    assert_int_equal(op_laplace(&h.dev, &nll, &y, &x, 0.0f), 0);
    assert_memory_equal(kept.data, y.data, tensor_bytes(&y));
    h_near(h_error(H_F32(&nll), p.nll, rows), 1e-6);
    assert_int_equal(op_laplace(&h.dev, &nll, &y, &x, 0.25f), 0);
    h_near(h_error(H_F32(&nll), p.nll, rows), 1e-6);
    for (int64_t i = 0; i < 2 * rows * channels; i++)
        H_F32(&y)[i] *= 4.0f;
    h_near(h_gradient(loss, &p, p.y, H_F32(&y), 2 * rows * channels, 1e-6), 1e-6);
}

static void test_values(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        for (size_t s = 0; s < SHAPES; s++)
            one(&h, shapes[s][0], shapes[s][1]);
        h_close(&h);
    }
}

/* A network that went astray must show in the loss. */
static void test_not_finite(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        struct tensor y = h_zeros(&h, 3, 2), x = h_zeros(&h, 3, 1), nll = h_zeros(&h, 3);
        const float values[] = {NAN, 0, 0, NAN, 0, -200};

        memcpy(y.data, values, sizeof values);
        for (int p = 0; p < 3; p++)
            H_F32(&x)[p] = 0.75f;
        assert_int_equal(op_laplace(&h.dev, &nll, &y, &x, 1.0f), 0);
        for (int p = 0; p < 3; p++)
            assert_false(isfinite(H_F32(&nll)[p]));
        assert_true(isnan(H_F32(&y)[0]));
        h_close(&h);
    }
}

static void test_refuses(void **state)
{
    struct harness h;

    (void)state;
    assert_true(h_open(&h, 0));
    struct tensor y = h_zeros(&h, 2, 6), x = h_zeros(&h, 2, 3), nll = h_zeros(&h, 2);

    assert_int_equal(op_laplace(&h.dev, &nll, &x, &y, 1.0f), ERR_ARG);
    assert_int_equal(op_laplace(&h.dev, &x, &y, &x, 1.0f), ERR_ARG);
    h_close(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_values), cmocka_unit_test(test_not_finite),
                                       cmocka_unit_test(test_refuses)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

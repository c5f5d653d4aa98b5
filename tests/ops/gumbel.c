/* SPDX-License-Identifier: MIT */
#include "compute/gumbel.h"

#include "compute/cpu/philox.h"
#include "harness.h"

#define BOUND 3e-6      /* y; at tau = 1/16 an error of z counts sixteen times */
#define KL_BOUND 5e-6   /* absolute, for KL up to ln V */

static const int64_t shapes[][2] = {{1, 1}, {3, 2}, {5, 7}, {2, 257}, {7, 512}, {3, 1021}, {1, 8192}};

#define SHAPES (sizeof shapes / sizeof *shapes)

static double noise(const struct gumbel *how, uint64_t element)
{
    struct rng4 d = rng_draw(how->rng, how->step, element / 4);

    return -log(-log((double)rng_unit(d.v[element % 4])));
}

/* y and kl as the header says, in f64. */
static void reference(double *y, double *kl, const double *x, int64_t rows, int64_t count, const struct gumbel *how)
{
    for (int64_t p = 0; p < rows; p++) {
        double y_top = -INFINITY, x_top = -INFINITY, y_sum = 0, x_sum = 0;

        kl[p] = log((double)count);
        for (int64_t v = 0; v < count; v++) {
            uint64_t element = how->first + (uint64_t)(p * count + v);

            y[p * count + v] = (x[p * count + v] + noise(how, element)) / (double)how->tau;
            y_top = fmax(y_top, y[p * count + v]);
            x_top = fmax(x_top, x[p * count + v]);
        }
        for (int64_t v = p * count; v < (p + 1) * count; v++) {
            y_sum += y[v] = exp(y[v] - y_top);
            x_sum += exp(x[v] - x_top);
        }
        for (int64_t v = p * count; v < (p + 1) * count; v++) {
            double ln_q = x[v] - x_top - log(x_sum);

            y[v] /= y_sum;
            kl[p] += exp(ln_q) * ln_q;
        }
    }
}

static struct gumbel case_of(size_t n)
{
    struct gumbel how = {.rng = {.seed = 0x123456789abcdefu + n, .purpose = RNG_GUMBEL}, .step = n << 33 | n,
                         .first = 5 * n, .tau = n % 2 ? 1.0f : 0.0625f};

    return how;
}

static void test_draws(void **state)
{
    /* The second start makes the low half of the counter wrap inside the block. */
    static const uint64_t starts[] = {0, 0xffffffdfu, UINT64_MAX - 70};
    struct rng rng = {.seed = 0xfedcba9876543210u, .purpose = RNG_TEST};
    uint32_t words[CPU_WORDS];

    (void)state;
    for (int s = 0; s < 3; s++) {
        cpu_draw(words, rng, 77 + starts[s], starts[s]);
        for (uint64_t i = 0; i < CPU_DRAWS; i++) {
            struct rng4 d = rng_draw(rng, 77 + starts[s], starts[s] + i);

            assert_memory_equal(words + 4 * i, d.v, sizeof d.v);
        }
    }
}

static void test_forward(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        for (size_t n = 0; n < SHAPES; n++) {
            int64_t rows = shapes[n][0], count = shapes[n][1];
            struct gumbel how = case_of(n);
            struct tensor x = h_random(&h, 2.0f, rows, count), y = h_zeros(&h, rows, count), kl = h_zeros(&h, rows);
            double *want = h_doubles(&h, &y, 0), *want_kl = h_doubles(&h, &kl, 0);

            reference(want, want_kl, h_doubles(&h, &x, 0), rows, count, &how);
            assert_int_equal(op_gumbel(&h.dev, &y, &kl, &x, &how), 0);
            h_near(h_error(H_F32(&y), want, rows * count), BOUND);
            for (int64_t p = 0; p < rows; p++)
                h_near(fabs(H_F32(&kl)[p] - want_kl[p]), KL_BOUND);
        }
        h_close(&h);
    }
}

struct problem {
    double *x, *y, *kl;
    const float *dy;
    int64_t rows, count;
    struct gumbel how;
    double kl_scale;
};

static double loss(void *context)
{
    const struct problem *p = context;
    double sum = 0;

    reference(p->y, p->kl, p->x, p->rows, p->count, &p->how);
    for (int64_t i = 0; i < p->rows * p->count; i++)
        sum += p->y[i] * p->dy[i];
    for (int64_t i = 0; i < p->rows; i++)
        sum += p->kl_scale * p->kl[i];
    return sum;
}

/* In place, dx over dy, as the model uses it. */
static void gradient(struct harness *hp, size_t n, float kl_scale)
{
    struct harness h = *hp;
    int64_t rows = shapes[n][0], count = shapes[n][1];
    struct tensor x = h_random(&h, 1.0f, rows, count), y = h_zeros(&h, rows, count), kl = h_zeros(&h, rows);
    struct tensor dy = h_random(&h, 1.0f, rows, count), dx = h_zeros(&h, rows, count);
    struct problem p = {h_doubles(&h, &x, 0), h_doubles(&h, &y, 0), h_doubles(&h, &kl, 0), H_F32(&dy), rows, count,
                        case_of(n), kl_scale};

    assert_int_equal(op_gumbel(&h.dev, &y, &kl, &x, &p.how), 0);
    memcpy(dx.data, dy.data, tensor_bytes(&dy));
    assert_int_equal(op_gumbel_grad(&h.dev, &dx, &dx, &y, &x, p.how.tau, kl_scale), 0);
    h_near(h_gradient(loss, &p, p.x, H_F32(&dx), rows * count, 1e-5), 1e-5);
}

static void test_gradient(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        for (size_t n = 1; n < SHAPES; n++) { /* a single code has no gradient */
            gradient(&h, n, 0.7f);
            if (n < 4)
                gradient(&h, n, 0.0f);
        }
        h_close(&h);
    }
}

static void test_max(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        for (size_t n = 0; n < SHAPES; n++) {
            int64_t rows = shapes[n][0], count = shapes[n][1];
            struct gumbel how = case_of(n);
            struct tensor x = h_random(&h, 1.0f, rows, count), code = h_indices(&h, rows), noisy = h_indices(&h, rows);

            for (int64_t j = 0; j < rows * count; j++) /* ties */
                H_F32(&x)[j] = floorf(4.0f * H_F32(&x)[j]) / 4.0f;
            assert_int_equal(op_gumbel_max(&h.dev, &code, &x, NULL), 0);
            assert_int_equal(op_gumbel_max(&h.dev, &noisy, &x, &how), 0);
            for (int64_t p = 0; p < rows; p++) {
                int64_t best = 0, best_noisy = 0;
                double top = -INFINITY;

                for (int64_t v = 0; v < count; v++) {
                    double z = H_F32(&x)[p * count + v] + noise(&how, how.first + (uint64_t)(p * count + v));

                    best = H_F32(&x)[p * count + v] > H_F32(&x)[p * count + best] ? v : best;
                    best_noisy = z > top ? v : best_noisy;
                    top = fmax(top, z);
                }
                assert_int_equal(H_I32(&code)[p], best);
                assert_int_equal(H_I32(&noisy)[p], best_noisy);
            }
        }
        h_close(&h);
    }
}

/* The noise is an element's, however the rows are cut. */
static void test_address(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        struct gumbel how = case_of(3), later = how;
        struct tensor x = h_random(&h, 1.0f, 6, 37), y = h_zeros(&h, 6, 37), kl = h_zeros(&h, 6);
        struct tensor tail = tensor_f32(H_F32(&x) + 2 * 37, 4, 37), y_tail = h_zeros(&h, 4, 37), kl_tail = h_zeros(&h, 4);

        later.first += 2 * 37;
        assert_int_equal(op_gumbel(&h.dev, &y, &kl, &x, &how), 0);
        assert_int_equal(op_gumbel(&h.dev, &y_tail, &kl_tail, &tail, &later), 0);
        assert_memory_equal(H_F32(&y) + 2 * 37, y_tail.data, tensor_bytes(&y_tail));
        h_close(&h);
    }
}

static void test_refuses(void **state)
{
    struct harness h;

    (void)state;
    assert_true(h_open(&h, 0));
    struct tensor x = h_zeros(&h, 2, 3), kl = h_zeros(&h, 2), code = h_indices(&h, 3);
    struct gumbel how = {.tau = 0.0f};

    assert_int_equal(op_gumbel(&h.dev, &x, &kl, &x, &how), ERR_ARG);
    how.tau = NAN;
    assert_int_equal(op_gumbel(&h.dev, &x, &kl, &x, &how), ERR_ARG);
    assert_int_equal(op_gumbel_max(&h.dev, &code, &x, NULL), ERR_ARG);
    assert_int_equal(op_gumbel_grad(&h.dev, &x, &x, &kl, &x, 1.0f, 0.0f), ERR_ARG);
    h_close(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_draws), cmocka_unit_test(test_forward),
                                       cmocka_unit_test(test_gradient), cmocka_unit_test(test_max),
                                       cmocka_unit_test(test_address), cmocka_unit_test(test_refuses)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

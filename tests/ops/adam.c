/* SPDX-License-Identifier: MIT */
#include "compute/adam.h"

#include "base/par.h"
#include "harness.h"

static const int64_t sizes[] = {1, 7, 16, 17, 4097, 9001};

enum { SIZES = sizeof sizes / sizeof *sizes };

struct run {
    struct tensor p, m, v, g;
};

static struct run prepare(struct harness *h, int64_t n)
{
    struct run r = {h_random(h, 1.0f, n), h_random(h, 0.1f, n), h_random(h, 0.1f, n), h_random(h, 1.0f, n)};

    for (int64_t i = 0; i < n; i++)
        H_F32(&r.v)[i] *= H_F32(&r.v)[i];
    return r;
}

/* The header's formula, in f64. */
static void reference(double *p, double *m, double *v, const double *g, int64_t n, const struct adam *how)
{
    double b1 = (double)how->beta1, b2 = (double)how->beta2;

    for (int64_t i = 0; i < n; i++) {
        double d = g[i] * (double)how->scale;

        m[i] = b1 * m[i] + (1 - b1) * d;
        v[i] = fmin(b2 * v[i] + (1 - b2) * d * d, (double)how->v_max);
        p[i] -= (double)how->lr * (m[i] / (1 - pow(b1, (double)how->t)) /
                                       (sqrt(v[i] / (1 - pow(b2, (double)how->t))) + (double)how->eps) +
                                   (double)how->decay * p[i]);
    }
}

static void test_adam(void **state)
{
    static const struct adam ways[] = {{0.01f, 0.9f, 0.999f, 1e-8f, 0.0f, INFINITY, 1.0f, 1},
                                       {0.3f, 0.9f, 0.96f, 1e-8f, 0.045f, 0.5f, 0.25f, 2},
                                       {0.1f, 0.5f, 0.75f, 0.1f, 0.5f, 5.0f, 3.0f, 100000}};
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        for (int s = 0; s < SIZES * 3; s++) {
            const struct adam *how = &ways[s % 3];
            int64_t n = sizes[s / 3];
            struct run r = prepare(&h, n);
            double *p = h_doubles(&h, &r.p, 0), *m = h_doubles(&h, &r.m, 0), *v = h_doubles(&h, &r.v, 0);

            reference(p, m, v, h_doubles(&h, &r.g, 0), n, how);
            assert_int_equal(op_adam(&h.dev, &r.p, &r.m, &r.v, &r.g, how), 0);
            h_near(h_error(H_F32(&r.p), p, n), 1e-6);
            h_near(h_error(H_F32(&r.m), m, n), 1e-6);
            h_near(h_error(H_F32(&r.v), v, n), 1e-6);
        }
        h_close(&h);
    }
}

static void test_sum_squares(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        for (int s = 0; s < SIZES; s++) {
            struct tensor x = h_random(&h, 1.0f, sizes[s]);
            double want = 0, got = 5;

            for (int64_t k = 0; k < sizes[s]; k++)
                want += (double)H_F32(&x)[k] * (double)H_F32(&x)[k];
            assert_int_equal(op_sum_squares(&h.dev, &got, &x, 1), 0);
            assert_true(fabs(got - want) <= 1e-13 * want);
            assert_int_equal(op_sum_squares(&h.dev, &got, (const struct tensor[]){x, x, x}, 3), 0);
            assert_true(fabs(got - 3 * want) <= 1e-13 * want);
            H_F32(&x)[sizes[s] - 1] = 1e38f; /* its square is no f32 */
            assert_int_equal(op_sum_squares(&h.dev, &got, &x, 1), 0);
            assert_true(got > 0.99e76 && got < 1.01e76);
            H_F32(&x)[sizes[s] / 2] = NAN;
            assert_int_equal(op_sum_squares(&h.dev, &got, &x, 1), 0);
            assert_false(isfinite(got));
        }
        h_close(&h);
    }
}

static void test_average(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        for (int s = 0; s < SIZES; s++) {
            struct tensor a = h_random(&h, 1.0f, sizes[s]), p = h_random(&h, 1.0f, sizes[s]);
            double *want = h_doubles(&h, &a, 0);

            for (int64_t k = 0; k < sizes[s]; k++)
                want[k] = (double)0.99f * want[k] + (1 - (double)0.99f) * (double)H_F32(&p)[k];
            assert_int_equal(op_average(&h.dev, &a, &p, 0.99f), 0);
            h_near(h_error(H_F32(&a), want, sizes[s]), 2e-7);
        }
        h_close(&h);
    }
}

static void test_threads(void **state)
{
    const struct adam how = {0.3f, 0.9f, 0.96f, 1e-8f, 0.045f, 0.5f, 0.25f, 2};
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        int threads = par_threads();
        struct run r[2];
        double sum[2] = {0, 0};

        for (int k = 0; k < 2; k++) {
            par_set_threads(k == 0 ? 1 : 3);
            h.draws = 0;
            r[k] = prepare(&h, 20011);
            assert_int_equal(op_sum_squares(&h.dev, &sum[k], &r[k].g, 1), 0);
            assert_int_equal(op_adam(&h.dev, &r[k].p, &r[k].m, &r[k].v, &r[k].g, &how), 0);
            assert_int_equal(op_average(&h.dev, &r[k].g, &r[k].p, 0.37f), 0);
        }
        par_set_threads(threads);
        assert_memory_equal(r[0].p.data, r[1].p.data, tensor_bytes(&r[0].p));
        assert_memory_equal(r[0].m.data, r[1].m.data, tensor_bytes(&r[0].p));
        assert_memory_equal(r[0].v.data, r[1].v.data, tensor_bytes(&r[0].p));
        assert_memory_equal(r[0].g.data, r[1].g.data, tensor_bytes(&r[0].p));
        assert_true(sum[0] == sum[1]);
        h_close(&h);
    }
}

static void test_refused(void **state)
{
    struct adam how = {0.3f, 0.9f, 0.96f, 1e-8f, 0.045f, 0.5f, 0.25f, 2};
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        struct run r = prepare(&h, 12), other = prepare(&h, 13);
        struct tensor index = h_indices(&h, 12);
        double sum = 0;

        assert_int_equal(op_adam(&h.dev, &r.p, &r.m, &other.v, &r.g, &how), ERR_ARG);
        assert_int_equal(op_average(&h.dev, &r.p, &other.p, 0.5f), ERR_ARG);
        assert_int_equal(op_average(&h.dev, &r.p, &index, 0.5f), ERR_ARG);
        assert_int_equal(op_sum_squares(&h.dev, &sum, &index, 1), ERR_ARG);
        how.t = 0;
        assert_int_equal(op_adam(&h.dev, &r.p, &r.m, &r.v, &r.g, &how), ERR_ARG);
        h_close(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adam),    cmocka_unit_test(test_sum_squares), cmocka_unit_test(test_average),
        cmocka_unit_test(test_threads), cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

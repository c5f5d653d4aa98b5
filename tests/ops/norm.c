/* SPDX-License-Identifier: MIT */
#include "compute/norm.h"

#include "base/par.h"
#include "harness.h"

#define EPS 1e-5f

static const int64_t sizes[][2] = {{1, 1}, {3, 3}, {5, 7}, {2, 16}, {3, 17}, {1, 255}, {67, 33}, {129, 64}, {130, 193}};

enum { SIZES = sizeof sizes / sizeof *sizes };

struct problem {
    int64_t rows, n;
    double *x, *g, *b;
    const float *dy;
    double *y;
};

static double reference(void *context)
{
    const struct problem *p = context;
    double loss = 0;

    for (int64_t m = 0; m < p->rows; m++) {
        const double *x = p->x + m * p->n;
        double mean = 0, var = 0;

        for (int64_t i = 0; i < p->n; i++)
            mean += x[i] / (double)p->n;
        for (int64_t i = 0; i < p->n; i++)
            var += (x[i] - mean) * (x[i] - mean) / (double)p->n;
        for (int64_t i = 0; i < p->n; i++) {
            p->y[m * p->n + i] = (x[i] - mean) / sqrt(var + (double)EPS) * p->g[i] + p->b[i];
            loss += p->y[m * p->n + i] * p->dy[m * p->n + i];
        }
    }
    return loss;
}

struct run {
    struct tensor x, y, mean, rstd, g, b, dy, dx, dg, db;
};

static struct run prepare(struct harness *h, int64_t rows, int64_t n)
{
    struct run r = {h_random(h, 2.0f, rows, n), h_zeros(h, rows, n),        h_zeros(h, rows),
                    h_zeros(h, rows),           h_random(h, 1.0f, n),       h_random(h, 1.0f, n),
                    h_random(h, 1.0f, rows, n), h_random(h, 1.0f, rows, n), h_random(h, 1.0f, n),
                    h_random(h, 1.0f, n)};

    for (int64_t i = 0; i < rows * n; i++)
        H_F32(&r.x)[i] += 30.0f; /* a mean far from 0 */
    return r;
}

static struct problem problem(struct harness *h, const struct run *r)
{
    return (struct problem){r->x.shape[0], r->x.shape[1], h_doubles(h, &r->x, 0), h_doubles(h, &r->g, 0),
                            h_doubles(h, &r->b, 0), H_F32(&r->dy), h_doubles(h, &r->y, 0)};
}

static void test_forward(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        for (int s = 0; s < SIZES; s++) {
            struct run r = prepare(&h, sizes[s][0], sizes[s][1]);
            struct problem p = problem(&h, &r);

            reference(&p);
            assert_int_equal(op_norm(&h.dev, &r.y, &r.mean, &r.rstd, &r.x, &r.g, &r.b, EPS), 0);
            h_near(h_error(H_F32(&r.y), p.y, tensor_elements(&r.y)), 1e-5);
            /* in place, the same bytes */
            assert_int_equal(op_norm(&h.dev, &r.x, &r.mean, &r.rstd, &r.x, &r.g, &r.b, EPS), 0);
            assert_memory_equal(r.x.data, r.y.data, tensor_bytes(&r.x));
        }
        h_close(&h);
    }
}

/* What was in dx, dg, db stays in the sum; it is taken away before the comparison. */
static void subtract(struct tensor *t, const float *before)
{
    for (int64_t i = 0; i < tensor_elements(t); i++)
        H_F32(t)[i] -= before[i];
}

static void test_gradient(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        for (int s = 1; s < SIZES; s++) {
            struct run r = prepare(&h, sizes[s][0], sizes[s][1]);
            struct problem p = problem(&h, &r);
            struct tensor *d[] = {&r.dx, &r.dg, &r.db};
            double *at[] = {p.x, p.g, p.b};
            float *before[3];

            for (int k = 0; k < 3; k++) {
                before[k] = h_take(&h, tensor_bytes(d[k]));
                memcpy(before[k], d[k]->data, tensor_bytes(d[k]));
            }
            assert_int_equal(op_norm(&h.dev, &r.y, &r.mean, &r.rstd, &r.x, &r.g, &r.b, EPS), 0);
            assert_int_equal(op_norm_grad(&h.dev, &r.dx, &r.dg, &r.db, &r.dy, &r.x, &r.mean, &r.rstd, &r.g, 1, false), 0);
            for (int k = 0; k < 3; k++) {
                subtract(d[k], before[k]);
                h_near(h_gradient(reference, &p, at[k], H_F32(d[k]), tensor_elements(d[k]), 1e-4), 3e-5);
            }
        }
        h_close(&h);
    }
}

/* dx is dy: what comes in stays in the sum. */
static void test_in_place(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        struct run r = prepare(&h, 67, 33), other = prepare(&h, 67, 33);

        assert_int_equal(op_norm(&h.dev, &r.y, &r.mean, &r.rstd, &r.x, &r.g, &r.b, EPS), 0);
        memcpy(r.dx.data, r.dy.data, tensor_bytes(&r.dy));
        memcpy(other.dg.data, r.dg.data, tensor_bytes(&r.dg));
        memcpy(other.db.data, r.db.data, tensor_bytes(&r.db));
        assert_int_equal(op_norm_grad(&h.dev, &r.dx, &r.dg, &r.db, &r.dy, &r.x, &r.mean, &r.rstd, &r.g, 0.5f, true), 0);
        assert_int_equal(op_norm_grad(&h.dev, &r.dy, &other.dg, &other.db, &r.dy, &r.x, &r.mean, &r.rstd, &r.g, 0.5f, true), 0);
        assert_memory_equal(r.dx.data, r.dy.data, tensor_bytes(&r.dx));
        assert_memory_equal(r.dg.data, other.dg.data, tensor_bytes(&r.dg));
        assert_memory_equal(r.db.data, other.db.data, tensor_bytes(&r.db));
        h_close(&h);
    }
}

/* A factor, and a filter that finds nothing: a power of two scales the gradient exactly, so dx from 0 is it, scaled; dg and db
 * are as ever. */
static void test_scale(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        struct run r = prepare(&h, 67, 33), scaled[2] = {prepare(&h, 67, 33), prepare(&h, 67, 33)};

        assert_int_equal(op_norm(&h.dev, &r.y, &r.mean, &r.rstd, &r.x, &r.g, &r.b, EPS), 0);
        memset(r.dx.data, 0, tensor_bytes(&r.dx));
        for (int k = 0; k < 2; k++) {
            memset(scaled[k].dx.data, 0, tensor_bytes(&r.dx));
            memcpy(scaled[k].dg.data, r.dg.data, tensor_bytes(&r.dg));
            memcpy(scaled[k].db.data, r.db.data, tensor_bytes(&r.db));
            assert_int_equal(op_norm_grad(&h.dev, &scaled[k].dx, &scaled[k].dg, &scaled[k].db, &r.dy, &r.x, &r.mean, &r.rstd,
                                          &r.g, 0x1p-13f, k == 1), 0);
        }
        assert_int_equal(op_norm_grad(&h.dev, &r.dx, &r.dg, &r.db, &r.dy, &r.x, &r.mean, &r.rstd, &r.g, 1, false), 0);
        for (int64_t j = 0; j < 67 * 33; j++) {
            assert_true(H_F32(&scaled[0].dx)[j] == H_F32(&r.dx)[j] * 0x1p-13f);
            assert_true(H_F32(&scaled[1].dx)[j] == H_F32(&scaled[0].dx)[j]);
        }
        for (int k = 0; k < 2; k++) {
            assert_memory_equal(r.dg.data, scaled[k].dg.data, tensor_bytes(&r.dg));
            assert_memory_equal(r.db.data, scaled[k].db.data, tensor_bytes(&r.db));
        }
        h_close(&h);
    }
}

/* Rows that something not finite came into, and one that only the factor takes beyond the largest number, add nothing where that
 * is filtered; the others are as without. */
static void test_filter(void **state)
{
    const float scale = 0x1p20f;
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        struct run r = prepare(&h, 7, 33);
        float *plain = h_take(&h, tensor_bytes(&r.dx)), *before = h_take(&h, tensor_bytes(&r.dx));

        memcpy(before, r.dx.data, tensor_bytes(&r.dx));
        assert_int_equal(op_norm(&h.dev, &r.y, &r.mean, &r.rstd, &r.x, &r.g, &r.b, EPS), 0);
        for (int64_t c = 0; c < 33; c++)
            H_F32(&r.dy)[5 * 33 + c] *= 1e35f;
        H_F32(&r.dy)[2 * 33 + 4] = NAN;
        H_F32(&r.dy)[3 * 33] = INFINITY;
        assert_int_equal(op_norm_grad(&h.dev, &r.dx, &r.dg, &r.db, &r.dy, &r.x, &r.mean, &r.rstd, &r.g, scale, false), 0);
        memcpy(plain, r.dx.data, tensor_bytes(&r.dx));
        memcpy(r.dx.data, before, tensor_bytes(&r.dx));
        assert_int_equal(op_norm_grad(&h.dev, &r.dx, &r.dg, &r.db, &r.dy, &r.x, &r.mean, &r.rstd, &r.g, scale, true), 0);
        for (int64_t j = 0; j < 7 * 33; j++) {
            bool bad = j / 33 == 2 || j / 33 == 3 || j / 33 == 5;
            float got = H_F32(&r.dx)[j];

            if (bad)
                assert_true(!isfinite(plain[j]) ? got == before[j] : j / 33 == 5 && isfinite(got));
            else
                assert_true(fabsf(got - plain[j]) <= 1e-6f * fabsf(plain[j]) + 1e-6f * scale);
        }
        assert_false(isfinite(H_F32(&r.dg)[4])); /* theirs are not */
        h_close(&h);
    }
}

static void test_threads(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        struct run one = prepare(&h, 213, 77), two;
        int threads = par_threads();

        h.draws = 0;
        two = prepare(&h, 213, 77);
        par_set_threads(1);
        assert_int_equal(op_norm(&h.dev, &one.y, &one.mean, &one.rstd, &one.x, &one.g, &one.b, EPS), 0);
        assert_int_equal(op_norm_grad(&h.dev, &one.dx, &one.dg, &one.db, &one.dy, &one.x, &one.mean, &one.rstd, &one.g, 1, false), 0);
        par_set_threads(3);
        assert_int_equal(op_norm(&h.dev, &two.y, &two.mean, &two.rstd, &two.x, &two.g, &two.b, EPS), 0);
        assert_int_equal(op_norm_grad(&h.dev, &two.dx, &two.dg, &two.db, &two.dy, &two.x, &two.mean, &two.rstd, &two.g, 1, false), 0);
        par_set_threads(threads);
        assert_memory_equal(one.y.data, two.y.data, tensor_bytes(&one.y));
        assert_memory_equal(one.dx.data, two.dx.data, tensor_bytes(&one.dx));
        assert_memory_equal(one.dg.data, two.dg.data, tensor_bytes(&one.dg));
        assert_memory_equal(one.db.data, two.db.data, tensor_bytes(&one.db));
        h_close(&h);
    }
}

/* A row is the same alone, wherever it lies. */
static void test_rows(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        struct run all = prepare(&h, 7, 45), one = prepare(&h, 1, 45);

        memcpy(one.g.data, all.g.data, tensor_bytes(&one.g));
        memcpy(one.b.data, all.b.data, tensor_bytes(&one.b));
        assert_int_equal(op_norm(&h.dev, &all.y, &all.mean, &all.rstd, &all.x, &all.g, &all.b, EPS), 0);
        for (int64_t m = 0; m < 7; m++) {
            memcpy(one.x.data, H_F32(&all.x) + m * 45, tensor_bytes(&one.x));
            assert_int_equal(op_norm(&h.dev, &one.y, &one.mean, &one.rstd, &one.x, &one.g, &one.b, EPS), 0);
            assert_memory_equal(one.y.data, H_F32(&all.y) + m * 45, tensor_bytes(&one.y));
        }
        h_close(&h);
    }
}

static void test_refused(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        struct run r = prepare(&h, 3, 4), other = prepare(&h, 4, 3);

        assert_int_equal(op_norm(&h.dev, &other.y, &r.mean, &r.rstd, &r.x, &r.g, &r.b, EPS), ERR_ARG);
        assert_int_equal(op_norm(&h.dev, &r.y, &r.mean, &r.rstd, &r.x, &r.mean, &r.b, EPS), ERR_ARG);
        assert_int_equal(op_norm(&h.dev, &r.y, &r.mean, &r.rstd, &r.x, &r.g, &r.b, 0.0f), ERR_ARG);
        assert_int_equal(op_norm_grad(&h.dev, &r.dx, &r.dg, &r.mean, &r.dy, &r.x, &r.mean, &r.rstd, &r.g, 1, false), ERR_ARG);
        h_close(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward), cmocka_unit_test(test_gradient), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_in_place), cmocka_unit_test(test_scale),   cmocka_unit_test(test_filter),
        cmocka_unit_test(test_rows),    cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

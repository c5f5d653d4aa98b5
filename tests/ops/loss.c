/* SPDX-License-Identifier: MIT */
/* Cross-entropy; laplace.c has the other loss. */
#include "compute/loss.h"

#include "base/par.h"
#include "harness.h"

static const int64_t sizes[][2] = {{1, 1}, {3, 2}, {5, 7}, {4, 64}, {9, 65}, {2, 255}, {3, 1031}, {2, 16384}}; /* M, V */

enum { SIZES = sizeof sizes / sizeof *sizes };

struct run {
    struct tensor x, target, loss;
};

static struct run prepare(struct harness *h, int64_t rows, int64_t vocab)
{
    struct run r = {h_random(h, 3.0f, rows, vocab), h_indices(h, rows), h_random(h, 1.0f, rows)};

    for (int64_t m = 0; m < rows; m++) /* every fourth row has no target */
        H_I32(&r.target)[m] = m % 4 == 2 ? -1 : (int32_t)((m * 7 + 1) % vocab);
    return r;
}

struct problem {
    const struct run *r;
    double *x, *loss, *dx;
    double scale;
};

/* Losses, gradients, and scale times the sum of losses. */
static double reference(void *context)
{
    const struct problem *p = context;
    int64_t vocab = p->r->x.shape[1];
    double whole = 0;

    for (int64_t m = 0; m < p->r->x.shape[0]; m++) {
        const double *x = p->x + m * vocab;
        int64_t t = H_I32(&p->r->target)[m];
        double top = x[0], sum = 0;

        for (int64_t v = 0; v < vocab; v++)
            top = fmax(top, x[v]);
        for (int64_t v = 0; v < vocab; v++)
            sum += exp(x[v] - top);
        p->loss[m] = t < 0 ? 0 : log(sum) + top - x[t];
        for (int64_t v = 0; v < vocab; v++)
            p->dx[m * vocab + v] = t < 0 ? 0 : p->scale * (exp(x[v] - top) / sum - (v == t));
        whole += p->scale * p->loss[m];
    }
    return whole;
}

static void test_values(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        for (int s = 0; s < SIZES; s++) {
            struct run r = prepare(&h, sizes[s][0], sizes[s][1]);
            int64_t count = tensor_elements(&r.x);
            struct problem p = {&r, h_doubles(&h, &r.x, 0), h_doubles(&h, &r.loss, 0), h_doubles(&h, &r.x, 0), 0.375};
            float *before = h_take(&h, tensor_bytes(&r.x)), *loss = h_take(&h, tensor_bytes(&r.loss));

            reference(&p);
            memcpy(before, r.x.data, tensor_bytes(&r.x));
            assert_int_equal(op_cross_entropy(&h.dev, &r.loss, &r.x, &r.target, 0.0f), 0);
            assert_memory_equal(r.x.data, before, tensor_bytes(&r.x));
            memcpy(loss, r.loss.data, tensor_bytes(&r.loss));
            h_near(h_error(loss, p.loss, r.loss.shape[0]), 1e-6);
            assert_int_equal(op_cross_entropy(&h.dev, &r.loss, &r.x, &r.target, 0.375f), 0);
            assert_memory_equal(r.loss.data, loss, tensor_bytes(&r.loss));
            if (sizes[s][1] > 1)
                h_near(h_error(H_F32(&r.x), p.dx, count), 1e-6);
        }
        h_close(&h);
    }
}

static void test_gradient(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        struct run r = prepare(&h, 7, 13);
        struct problem p = {&r, h_doubles(&h, &r.x, 0), h_doubles(&h, &r.loss, 0), h_doubles(&h, &r.x, 0), 2.0};

        assert_int_equal(op_cross_entropy(&h.dev, &r.loss, &r.x, &r.target, 2.0f), 0);
        h_near(h_gradient(reference, &p, p.x, H_F32(&r.x), 7 * 13, 1e-5), 1e-6);
        h_close(&h);
    }
}

/* Large logits neither overflow nor vanish; what is not a number shows in the loss. */
static void test_limits(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        struct tensor x = h_zeros(&h, 3, 5), target = h_indices(&h, 3), loss = h_zeros(&h, 3);

        for (int k = 0; k < 5; k++) {
            H_F32(&x)[k] = k == 1 ? 3e4f : -3e4f;
            H_F32(&x)[5 + k] = 1e30f;
            H_F32(&x)[10 + k] = k == 4 ? NAN : 1.0f;
        }
        assert_int_equal(op_cross_entropy(&h.dev, &loss, &x, &target, 1.0f), 0);
        assert_true(H_F32(&loss)[0] == 6e4f);
        assert_true(H_F32(&x)[0] == -1.0f && H_F32(&x)[1] == 1.0f && H_F32(&x)[2] == 0.0f);
        assert_true(fabsf(H_F32(&loss)[1] - logf(5.0f)) < 1e-6f);
        assert_true(isnan(H_F32(&loss)[2]));
        h_close(&h);
    }
}

static void test_threads(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        int threads = par_threads();
        struct run r[2];

        for (int k = 0; k < 2; k++) {
            par_set_threads(k == 0 ? 1 : 3);
            h.draws = 0;
            r[k] = prepare(&h, 37, 519);
            assert_int_equal(op_cross_entropy(&h.dev, &r[k].loss, &r[k].x, &r[k].target, 0.7f), 0);
        }
        par_set_threads(threads);
        assert_memory_equal(r[0].x.data, r[1].x.data, tensor_bytes(&r[0].x));
        assert_memory_equal(r[0].loss.data, r[1].loss.data, tensor_bytes(&r[0].loss));
        h_close(&h);
    }
}

static void test_refused(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        struct run r = prepare(&h, 3, 4), other = prepare(&h, 4, 3);

        assert_int_equal(op_cross_entropy(&h.dev, &other.loss, &r.x, &r.target, 1.0f), ERR_ARG);
        assert_int_equal(op_cross_entropy(&h.dev, &r.loss, &r.x, &other.target, 1.0f), ERR_ARG);
        assert_int_equal(op_cross_entropy(&h.dev, &r.loss, &r.x, &r.loss, 1.0f), ERR_ARG);
        h_close(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),  cmocka_unit_test(test_gradient), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_threads), cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

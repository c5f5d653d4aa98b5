/* SPDX-License-Identifier: MIT */
/* plan.c -- what operations take is what was planned, for every instruction set, type, precision and number of threads. */
#include "compute/plan.h"

#include "base/par.h"
#include "compute/loss.h"
#include "compute/norm.h"
#include "ways.h"

enum { M = 131, N = 70, K = 600 };

struct both {
    struct harness h;
    struct plan plan;
    enum dtype type; /* of what may have 16 bits */
};

static struct tensor narrow(struct both *b, int64_t rows, int64_t n)
{
    return h_tensor(&b->h, b->type, 2, (const int64_t[]){rows, n});
}

/* The same without memory. */
static struct tensor planned(struct tensor t)
{
    t.data = NULL;
    return t;
}

static void matmul(struct both *b, int form, struct tensor y, bool wide_a, bool ends)
{
    struct matmul how = {.ta = form & 1, .tb = form & 2, .add = form & 4};
    struct tensor a = (wide_a ? h_zeros(&b->h, how.ta ? K : M, how.ta ? M : K) : narrow(b, how.ta ? K : M, how.ta ? M : K));
    struct tensor w = narrow(b, how.tb ? N : K, how.tb ? K : N), sums = h_zeros(&b->h, M), other = y, act = y;

    other.data = h_take(&b->h, tensor_bytes(&y));
    act.data = h_take(&b->h, tensor_bytes(&y));
    how.plus = ends && !how.add ? &other : NULL;
    how.gelu = ends ? &act : NULL;
    how.row_sums = how.ta ? &sums : NULL;
    assert_int_equal(op_matmul(&b->h.dev, &y, &a, &w, NULL, how), 0);
    y = planned(y), a = planned(a), w = planned(w), sums = planned(sums), other = planned(other), act = planned(act);
    plan_matmul(&b->plan, &y, &a, &w, how);
}

static void product(struct both *b)
{
    for (int form = 0; form < 8; form++) {
        matmul(b, form, narrow(b, M, N), false, form % 3 == 0);
        matmul(b, form, h_zeros(&b->h, M, N), false, false);
        matmul(b, form, narrow(b, M, N), true, true);
    }
}

static void one_product(struct both *b)
{
    matmul(b, 0, narrow(b, M, N), true, false);
}

/* What is rounded apart from its row sums. */
static void row_sums(struct both *b)
{
    matmul(b, 1, h_zeros(&b->h, M, N), true, false);
}

static void norm(struct both *b)
{
    struct tensor x = narrow(b, M, N), y = narrow(b, M, N), mean = h_zeros(&b->h, M), g = h_zeros(&b->h, N);

    assert_int_equal(op_norm(&b->h.dev, &y, &mean, &mean, &x, &g, &g, 1), 0);
    x = planned(x), y = planned(y);
    plan_norm(&b->plan, &y, &x);
}

static void norm_grad(struct both *b)
{
    struct tensor x = h_zeros(&b->h, M, N), dx = h_zeros(&b->h, M, N), dy = narrow(b, M, N), mean = h_zeros(&b->h, M);
    struct tensor g = h_zeros(&b->h, N), dg = h_zeros(&b->h, N), db = h_zeros(&b->h, N);

    assert_int_equal(op_norm_grad(&b->h.dev, &dx, &dg, &db, &dy, &x, &mean, &mean, &g, 1, false), 0);
    x = planned(x), dx = planned(dx), dy = planned(dy);
    plan_norm_grad(&b->plan, &dx, &dy, &x);
}

static void attention(struct both *b, bool gradient)
{
    static const struct attn a = {ATTN_CONV, 21, 7, 6, 3, 3};
    const int64_t outs[] = {2, 63, 120}, qkvs[] = {2, 63, 360};
    struct tensor out = h_tensor(&b->h, b->type, 3, outs), qkv = h_tensor(&b->h, b->type, 3, qkvs), lse = h_zeros(&b->h, 2, 3, 63);
    struct tensor dqkv = h_tensor(&b->h, b->type, 3, qkvs);

    if (gradient)
        assert_int_equal(op_attn_grad(&b->h.dev, &dqkv, &out, &out, &lse, &qkv, &a), 0);
    else
        assert_int_equal(op_attn(&b->h.dev, &out, &lse, &qkv, &a), 0);
    out = planned(out), qkv = planned(qkv);
    (gradient ? plan_attn_grad : plan_attn)(&b->plan, &out, &qkv, &a);
}

static void attn(struct both *b)
{
    attention(b, false);
}

static void attn_grad(struct both *b)
{
    attention(b, true);
}

static void loss(struct both *b)
{
    struct tensor x = narrow(b, M, N), each = h_zeros(&b->h, M), target = h_indices(&b->h, M);

    assert_int_equal(op_cross_entropy(&b->h.dev, &each, &x, &target, 1), 0);
    x = planned(x);
    plan_cross_entropy(&b->plan, &x);
}

static void squares(struct both *b)
{
    struct tensor x[2] = {narrow(b, M, 7), narrow(b, 4 * M, K)};
    struct squares sums[2];

    assert_int_equal(op_sum_squares(&b->h.dev, sums, x, 2), 0);
    x[0] = planned(x[0]), x[1] = planned(x[1]);
    plan_sum_squares(&b->plan, x, 2);
}

static void everything(struct both *b)
{
    void (*const parts[])(struct both *) = {product, norm, norm_grad, attn, attn_grad, loss, squares};

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        parts[i](b);
}

/* The i-th way with a device that has done nothing yet; false: there is none.  A GPU says more than the plan until one of its
 * operations has needed something. */
static bool one(int i, void (*part)(struct both *), const char *precision, enum dtype type)
{
    struct both b = {.type = type};

    if (!h_open(&b.h, i))
        return false;
    assert_int_equal(device_precision_by_name(&b.h.dev, precision), 0);
    assert_int_equal(plan_open(&b.plan, b.h.name, precision), 0);
    part(&b);
    if (!b.plan.gpu || b.plan.most > 0)
        assert_int_equal(device_working(&b.h.dev), plan_working(&b.plan));
    plan_close(&b.plan);
    h_close(&b.h);
    return true;
}

static void test_plan(void **state)
{
    void (*const parts[])(struct both *) = {one_product, row_sums, product, norm, norm_grad, attn, attn_grad, loss, squares,
                                            everything};
    int threads = par_threads();

    (void)state;
    for (int way = 0; way < 2 * 2 * 3; way++) { /* threads, precision, type */
        par_set_threads(way % 2 ? 3 : 1);
        for (size_t p = 0; p < sizeof parts / sizeof *parts; p++)
            for (int i = 0; one(i, parts[p], way / 2 % 2 ? "bf16" : "f32", (enum dtype)(way / 4)); i++)
                ;
    }
    par_set_threads(threads);
}

static void test_refused(void **state)
{
    struct plan p;

    (void)state;
    assert_int_equal(plan_open(&p, "cpu:v9", "f32"), ERR_ARG);
    plan_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_plan), cmocka_unit_test(test_refused)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

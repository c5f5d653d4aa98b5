/* SPDX-License-Identifier: MIT */
/* types.c -- operations on tensors of 16 bits, where a device stores them: what they give is what the same operation gives in
 * f32 (which its own test holds against f64) for the same rounded numbers, but for the rounding of its outputs.
 *
 * attn.c, conv.c and pool.c test theirs themselves. */
#include "compute/act.h"
#include "compute/embed.h"
#include "compute/gumbel.h"
#include "compute/loss.h"
#include "compute/matmul.h"
#include "compute/norm.h"
#include "ways.h"

struct type {
    enum dtype type;
    int bits;     /* of the mantissa, with the hidden one */
    double bound; /* half a unit in the last place, a few times over for sums of rounded numbers */
};

static const struct type types[] = {{DTYPE_BF16, 8, 0x1p-7}, {DTYPE_F16, 11, 0x1p-10}};

enum { TYPES = 2, M = 37, N = 51, K = 70 };

/* A tensor in both types, the f32 one rounded. */
struct both {
    struct tensor wide, narrow;
};

static struct tensor to_type(struct harness *h, const struct tensor *x, enum dtype type)
{
    struct tensor y = h_tensor(h, type, x->rank, x->shape);

    assert_int_equal(op_copy(&h->dev, &y, x), 0);
    return y;
}

static struct both both_of(struct harness *h, struct tensor x, enum dtype type)
{
    struct both b = {.narrow = to_type(h, &x, type)};

    b.wide = to_type(h, &b.narrow, DTYPE_F32);
    return b;
}

static void same(struct harness *hp, const struct tensor *narrow, const struct tensor *wide, double bound)
{
    struct harness h = *hp;
    struct tensor got = to_type(&h, narrow, DTYPE_F32);

    h_near(h_error(H_F32(&got), h_doubles(&h, wide, 0), tensor_elements(wide)), bound);
}

/* The nearest number of so many bits, ties to even; subnormals are multiples of 2^-24 or 2^-133. */
static double nearest(double x, const struct type *t)
{
    int exponent;
    double unit;

    if (x == 0 || !isfinite(x))
        return x;
    frexp(x, &exponent);
    unit = ldexp(1, exponent - t->bits);
    unit = fmax(unit, t->type == DTYPE_F16 ? 0x1p-24 : 0x1p-133);
    x = nearbyint(x / unit) * unit;
    return t->type == DTYPE_F16 && fabs(x) > 65504 ? copysign(INFINITY, x) : x;
}

static void test_rounding(void **state)
{
    static const float special[] = {0.0f,    -0.0f,    INFINITY, -INFINITY, NAN,     65504.0f, 65519.9f, 65520.0f, 1e-8f,
                                    6e-8f,   -6.1e-5f, 1e38f,    1.00390625f, 1.01171875f, 3e-39f, 2.98e-8f, 2.99e-8f};
    enum { SPECIAL = sizeof special / sizeof *special, COUNT = 1003 };
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        for (int k = 0; k < TYPES && device_stores(&h.dev, types[k].type); k++) {
            struct tensor x = h_random(&h, 3.0f, COUNT);
            struct tensor y;

            memcpy(H_F32(&x), special, sizeof special);
            y = to_type(&h, &x, types[k].type);
            y = to_type(&h, &y, DTYPE_F32);
            for (int64_t at = 0; at < COUNT; at++) {
                double want = nearest(H_F32(&x)[at], &types[k]);

                if (isnan(want))
                    assert_true(isnan(H_F32(&y)[at]));
                else
                    assert_true(H_F32(&y)[at] == (float)want && !signbit(H_F32(&y)[at]) == !signbit(want));
            }
        }
        h_close(&h);
    }
}

/* A product's GELU is that of its y as rounded: it equals that of the product 1 y, whose y needs no rounding. */
static void check_gelu(struct harness *hp, const struct tensor *act, const struct tensor *y)
{
    struct harness h = *hp;
    int64_t n = tensor_elements(y);
    struct tensor one = h_zeros(&h, 1, 1), row = tensor_of(y->type, y->data, 1, n), again = row, want = row;

    H_F32(&one)[0] = 1;
    again.data = h_take(&h, tensor_bytes(y));
    want.data = h_take(&h, tensor_bytes(y));
    assert_int_equal(op_matmul(&h.dev, &again, &one, &row, NULL, (struct matmul){.gelu = &want}), 0);
    assert_memory_equal(again.data, y->data, tensor_bytes(y));
    assert_memory_equal(want.data, act->data, tensor_bytes(y));
}

/* way: how the device multiplies bf16 factors where all is f32 (ways.h); the reference is made in f32. */
static void products(struct harness *hp, const struct type *t, int way)
{
    for (int form = 0; form < 4; form++) {
        struct harness h = *hp;
        struct matmul how = {.ta = form & 1, .tb = form & 2};
        struct both a = both_of(&h, h_random(&h, 1, how.ta ? K : M, how.ta ? M : K), t->type);
        struct both b = both_of(&h, h_random(&h, 1, how.tb ? N : K, how.tb ? K : N), t->type);
        struct both bias = both_of(&h, h_random(&h, 1, N), t->type), plus = both_of(&h, h_random(&h, 1, M, N), t->type);
        struct both slope = both_of(&h, h_random(&h, 1, M, N), t->type), act = both_of(&h, h_random(&h, 1, M, N), t->type);
        struct both sum = both_of(&h, h_random(&h, 1, M, N), t->type);
        struct tensor y = h_zeros(&h, M, N), wide = h_zeros(&h, M, N), slopes = h_zeros(&h, M, N);
        struct tensor sums = h_zeros(&h, M), sums_wide = h_zeros(&h, M), narrow = h_tensor(&h, t->type, 2, y.shape);
        struct matmul ends = {.ta = how.ta, .tb = how.tb, .plus = &plus.wide, .gelu = &act.wide};
        struct matmul sloped = {.ta = how.ta, .tb = how.tb, .gelu_grad = &slope.wide, .row_sums = how.ta ? &sums_wide : NULL};
        struct matmul added = {.ta = how.ta, .tb = how.tb, .add = true};

        ways_set(&h, 0);
        assert_int_equal(op_matmul(&h.dev, &wide, &a.wide, &b.wide, &bias.wide, ends), 0);
        assert_int_equal(op_matmul(&h.dev, &slopes, &a.wide, &b.wide, NULL, sloped), 0);
        assert_int_equal(op_matmul(&h.dev, &sum.wide, &a.wide, &b.wide, NULL, added), 0);
        /* every output and sum; factors of both types, of which the wide one is rounded */
        ways_set(&h, way);
        ends.gelu = NULL;
        assert_int_equal(op_matmul(&h.dev, &y, &a.narrow, &b.wide, &bias.wide, ends), 0);
        same(&h, &y, &wide, 2e-6);
        assert_int_equal(op_matmul(&h.dev, &y, &a.wide, &b.narrow, &bias.wide, ends), 0);
        same(&h, &y, &wide, 2e-6);
        ends.plus = &plus.narrow, ends.gelu = &act.narrow;
        assert_int_equal(op_matmul(&h.dev, &narrow, &a.narrow, &b.narrow, &bias.wide, ends), 0);
        same(&h, &narrow, &wide, t->bound);
        same(&h, &act.narrow, &act.wide, t->bound);
        check_gelu(&h, &act.narrow, &narrow);
        sloped.gelu_grad = &slope.narrow, sloped.row_sums = how.ta ? &sums : NULL;
        assert_int_equal(op_matmul(&h.dev, &narrow, &a.narrow, &b.wide, NULL, sloped), 0);
        same(&h, &narrow, &slopes, t->bound);
        if (how.ta)
            same(&h, &sums, &sums_wide, 2e-6);
        assert_int_equal(op_matmul(&h.dev, &sum.narrow, &a.narrow, &b.narrow, NULL, added), 0);
        same(&h, &sum.narrow, &sum.wide, t->bound);
    }
}

/* Factors in f32 beside an output of 16 bits are rounded, the sums of their rows are not. */
static void rounded_factors(struct harness *hp, const struct type *t, int way)
{
    struct harness h = *hp;
    struct tensor x = h_random(&h, 1, K, M), w = h_random(&h, 1, K, N), y = h_zeros(&h, M, N), sums = h_zeros(&h, M);
    struct both a = both_of(&h, x, t->type), b = both_of(&h, w, t->type);
    struct tensor narrow = h_tensor(&h, t->type, 2, y.shape), sums_wide = h_zeros(&h, M), other = h_zeros(&h, M, N);

    ways_set(&h, 0);
    assert_int_equal(op_matmul(&h.dev, &y, &a.wide, &b.wide, NULL, (struct matmul){.ta = true}), 0);
    assert_int_equal(op_matmul(&h.dev, &other, &x, &w, NULL, (struct matmul){.ta = true, .row_sums = &sums_wide}), 0);
    ways_set(&h, way);
    assert_int_equal(op_matmul(&h.dev, &narrow, &x, &w, NULL, (struct matmul){.ta = true, .row_sums = &sums}), 0);
    same(&h, &narrow, &y, t->bound);
    same(&h, &sums, &sums_wide, 2e-6);
}

static void norms(struct harness *hp, const struct type *t)
{
    struct harness h = *hp;
    struct both x = both_of(&h, h_random(&h, 2, M, N), t->type), dy = both_of(&h, h_random(&h, 1, M, N), t->type);
    struct tensor g = h_random(&h, 1, N), b = h_random(&h, 1, N), mean = h_zeros(&h, M), rstd = h_zeros(&h, M);
    struct tensor wide = h_zeros(&h, M, N), narrow = h_tensor(&h, t->type, 2, wide.shape);

    assert_int_equal(op_norm(&h.dev, &wide, &mean, &rstd, &x.wide, &g, &b, 1e-5f), 0);
    for (int form = 1; form < 4; form++) { /* bit 0: y is narrow, or dy; bit 1: x */
        struct tensor dg = h_zeros(&h, N), db = h_zeros(&h, N), dg2 = h_zeros(&h, N), db2 = h_zeros(&h, N);
        struct both dx = both_of(&h, h_random(&h, 1, M, N), t->type);
        struct tensor copy = to_type(&h, &dx.wide, DTYPE_F32), y = form & 1 ? narrow : h_zeros(&h, M, N);
        const struct tensor *in = form & 2 ? &x.narrow : &x.wide, *to = form & 2 ? &dx.narrow : &copy;

        assert_int_equal(op_norm(&h.dev, &y, &mean, &rstd, in, &g, &b, 1e-5f), 0);
        same(&h, &y, &wide, form & 1 ? t->bound : 1e-6);
        assert_int_equal(op_norm_grad(&h.dev, to, &dg2, &db2, form & 1 ? &dy.narrow : &dy.wide, in, &mean, &rstd, &g, 0.5f, true), 0);
        assert_int_equal(op_norm_grad(&h.dev, &dx.wide, &dg, &db, &dy.wide, &x.wide, &mean, &rstd, &g, 0.5f, true), 0);
        same(&h, to, &dx.wide, form & 2 ? t->bound : 1e-6);
        same(&h, &dg2, &dg, 1e-6);
        same(&h, &db2, &db, 1e-6);
    }
}

static void elements(struct harness *hp, const struct type *t)
{
    struct harness h = *hp;
    struct both x = both_of(&h, h_random(&h, 1, M, N), t->type), y = both_of(&h, h_random(&h, 1, M, N), t->type);
    struct tensor table = h_random(&h, 1, K, N), dtable = h_zeros(&h, K, N), dtable2 = h_zeros(&h, K, N);
    struct tensor index = h_indices(&h, M);

    for (int32_t i = 0; i < M; i++)
        H_I32(&index)[i] = i % 5 == 4 ? -1 : i * i % K;
    assert_int_equal(op_add(&h.dev, &y.wide, &x.wide, 0.75f), 0);
    assert_int_equal(op_add(&h.dev, &y.narrow, &x.narrow, 0.75f), 0);
    same(&h, &y.narrow, &y.wide, t->bound);
    assert_int_equal(op_relu(&h.dev, &y.wide, &x.wide), 0);
    assert_int_equal(op_relu(&h.dev, &y.narrow, &x.narrow), 0);
    same(&h, &y.narrow, &y.wide, 0);
    for (int add = 0; add < 2; add++) {
        assert_int_equal(op_embed(&h.dev, &y.wide, &table, &index, add), 0);
        assert_int_equal(op_embed(&h.dev, &y.narrow, &table, &index, add), 0);
        same(&h, &y.narrow, &y.wide, t->bound);
    }
    assert_int_equal(op_embed_grad(&h.dev, &dtable, &x.wide, &index), 0);
    assert_int_equal(op_embed_grad(&h.dev, &dtable2, &x.narrow, &index), 0);
    same(&h, &dtable2, &dtable, 0);
}

static void losses(struct harness *hp, const struct type *t)
{
    struct harness h = *hp;
    struct both x = both_of(&h, h_random(&h, 2, M, N), t->type), y = both_of(&h, h_random(&h, 1, M, 6), t->type);
    struct tensor loss = h_zeros(&h, M), loss2 = h_zeros(&h, M), target = h_indices(&h, M), pixel = h_random(&h, 1, M, 3);

    for (int32_t i = 0; i < M; i++)
        H_I32(&target)[i] = i % 7 == 6 ? -1 : i * 3 % N;
    for (int64_t i = 0; i < 3 * M; i++)
        H_F32(&pixel)[i] = 0.5f + 0.4f * sinf(H_F32(&pixel)[i]);
    assert_int_equal(op_cross_entropy(&h.dev, &loss, &x.wide, &target, 0.5f), 0);
    assert_int_equal(op_cross_entropy(&h.dev, &loss2, &x.narrow, &target, 0.5f), 0);
    same(&h, &loss2, &loss, 1e-6);
    same(&h, &x.narrow, &x.wide, t->bound);
    assert_int_equal(op_laplace(&h.dev, &loss, &y.wide, &pixel, 0.5f), 0);
    assert_int_equal(op_laplace(&h.dev, &loss2, &y.narrow, &pixel, 0.5f), 0);
    same(&h, &loss2, &loss, 1e-6);
    same(&h, &y.narrow, &y.wide, t->bound);
}

static void gumbels(struct harness *hp, const struct type *t)
{
    struct harness h = *hp;
    const struct gumbel how = {{3, RNG_TEST}, 5, 7, 0.75f};
    struct both x = both_of(&h, h_random(&h, 2, M, N), t->type), y = both_of(&h, h_random(&h, 2, M, N), t->type);
    struct both dy = both_of(&h, h_random(&h, 1, M, N), t->type);
    struct tensor kl = h_zeros(&h, M), kl2 = h_zeros(&h, M), code = h_indices(&h, M), code2 = h_indices(&h, M);

    assert_int_equal(op_gumbel(&h.dev, &y.wide, &kl, &x.wide, &how), 0);
    assert_int_equal(op_gumbel(&h.dev, &y.narrow, &kl2, &x.narrow, &how), 0);
    same(&h, &kl2, &kl, 1e-5);
    same(&h, &y.narrow, &y.wide, t->bound);
    y = both_of(&h, y.wide, t->type);
    assert_int_equal(op_gumbel_grad(&h.dev, &dy.wide, &dy.wide, &y.wide, &x.wide, 0.75f, 0.25f), 0);
    assert_int_equal(op_gumbel_grad(&h.dev, &dy.narrow, &dy.narrow, &y.narrow, &x.narrow, 0.75f, 0.25f), 0);
    same(&h, &dy.narrow, &dy.wide, t->bound);
    assert_int_equal(op_gumbel_max(&h.dev, &code, &x.wide, &how), 0);
    assert_int_equal(op_gumbel_max(&h.dev, &code2, &x.narrow, &how), 0);
    assert_memory_equal(code.data, code2.data, tensor_bytes(&code));
}

static void each(void (*test)(struct harness *, const struct type *))
{
    struct harness h;

    for (int i = 0; h_open(&h, i); i++) {
        for (int k = 0; k < TYPES && device_stores(&h.dev, types[k].type); k++)
            test(&h, &types[k]);
        h_close(&h);
    }
}

static void each_way(struct harness *h, const struct type *t)
{
    int last = ways_last(h);

    for (int way = 0; way <= last; way++) {
        products(h, t, way);
        rounded_factors(h, t, way);
    }
    ways_set(h, 0);
}

static void test_matmul(void **state) { (void)state; each(each_way); }
static void test_norm(void **state) { (void)state; each(norms); }
static void test_elements(void **state) { (void)state; each(elements); }
static void test_losses(void **state) { (void)state; each(losses); }
static void test_gumbel(void **state) { (void)state; each(gumbels); }

/* Types that do not go together, and those that the device does not store. */
static void test_refused(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        int refusal = device_stores(&h.dev, DTYPE_BF16) ? ERR_ARG : ERR_UNSUPPORTED;
        struct tensor y = h_zeros(&h, 8, 8), a = h_tensor(&h, DTYPE_BF16, 2, y.shape), b = h_tensor(&h, DTYPE_F16, 2, y.shape);

        assert_int_equal(op_matmul(&h.dev, &y, &a, &b, NULL, (struct matmul){0}), refusal);
        assert_int_equal(op_add(&h.dev, &a, &b, 1), refusal);
        assert_int_equal(op_relu(&h.dev, &y, &a), refusal);
        h_close(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rounding), cmocka_unit_test(test_matmul),
                                       cmocka_unit_test(test_norm),     cmocka_unit_test(test_elements),
                                       cmocka_unit_test(test_losses),   cmocka_unit_test(test_gumbel),
                                       cmocka_unit_test(test_refused)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

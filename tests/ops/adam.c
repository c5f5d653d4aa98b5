/* SPDX-License-Identifier: MIT */
#include "compute/adam.h"

#include "base/bits16.h"
#include "base/par.h"
#include "harness.h"

static const int64_t sizes[] = {1, 7, 16, 17, 4097, 9001};

enum { SIZES = sizeof sizes / sizeof *sizes };

/* Of which type each is, and whether there is a master copy. */
struct types {
    enum dtype p, g;
    bool codes, master;
};

static const struct types plain = {DTYPE_F32, DTYPE_F32, false, false};

struct run {
    struct tensor p, m, v, g, master;
};

static const struct adam ways[] = {
    {.lr = 0.01f, .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f, .v_max = INFINITY, .scale = 1.0f, .t = 1},
    {.lr = 0.3f, .beta1 = 0.9f, .beta2 = 0.96f, .eps = 1e-8f, .decay = 0.045f, .v_max = 0.5f, .scale = 0.25f, .t = 2},
    {.lr = 0.1f, .beta1 = 0.5f, .beta2 = 0.75f, .eps = 0.1f, .decay = 0.5f, .v_max = 5.0f, .scale = 3.0f, .t = 100000}};

/* ---- numbers of any type ---------------------------------------------------------------------------------------------- */

static float number(const struct tensor *t, int64_t i)
{
    const uint16_t *code = t->data;

    switch (t->type) {
    case DTYPE_BF16:
        return bf16_to_f32(code[i]);
    case DTYPE_F16:
        return f16_to_f32(code[i]);
    case DTYPE_E6M9:
        return e6m9_to_f32(code[i]);
    case DTYPE_E6M10:
        return e6m10_to_f32(code[i]);
    default:
        return H_F32(t)[i];
    }
}

static uint16_t code_of(enum dtype type, float x)
{
    return type == DTYPE_BF16   ? bf16_from_f32(x)
           : type == DTYPE_F16  ? f16_from_f32(x)
           : type == DTYPE_E6M9 ? e6m9_from_f32(x)
                                : e6m10_from_f32(x);
}

/* A copy in another type. */
static struct tensor as(struct harness *h, enum dtype type, const struct tensor *x)
{
    struct tensor to = h_tensor(h, type, x->rank, x->shape);

    for (int64_t i = 0; i < tensor_elements(x); i++)
        if (type == DTYPE_F32)
            H_F32(&to)[i] = number(x, i);
        else
            ((uint16_t *)to.data)[i] = code_of(type, number(x, i));
    return to;
}

static struct run prepare(struct harness *h, int64_t n, const struct types *t)
{
    struct tensor p = h_random(h, 1.0f, n), m = h_random(h, 0.1f, n), v = h_random(h, 0.1f, n), g = h_random(h, 1.0f, n);
    struct run r = {.master = p};

    for (int64_t i = 0; i < n; i++)
        H_F32(&v)[i] *= H_F32(&v)[i];
    r.p = as(h, t->p, &p);
    r.m = as(h, t->codes ? DTYPE_E6M9 : DTYPE_F32, &m);
    r.v = as(h, t->codes ? DTYPE_E6M10 : DTYPE_F32, &v);
    r.g = as(h, t->g, &g);
    return r;
}

static double *doubles(struct harness *h, const struct tensor *t)
{
    double *d = h_doubles(h, NULL, tensor_elements(t));

    for (int64_t i = 0; i < tensor_elements(t); i++)
        d[i] = number(t, i);
    return d;
}

/* ---- against f64 ------------------------------------------------------------------------------------------------------ */

/* The header's formula. */
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

/* f32 arithmetic may end on the other side of a half: a few may then be a neighbour, and none may be anything else. */
static void check_rounded(struct harness *h, const struct tensor *got, const uint16_t *want)
{
    int64_t n = tensor_elements(got), others = 0;

    for (int64_t i = 0; i < n; i++) {
        int apart = abs(((const uint16_t *)got->data)[i] - want[i]);

        others += apart != 0;
        if (apart > 1)
            fail_msg("%s: element %d is %a", h->name, (int)i, (double)number(got, i));
    }
    assert_true(others <= 1 + n / 200);
}

static void check_moment(struct harness *h, const struct tensor *got, const double *want)
{
    int64_t n = tensor_elements(got);
    uint16_t *code = h_take(h, (size_t)n * sizeof *code);

    if (got->type == DTYPE_F32) {
        h_near_at(h->name, h_error(H_F32(got), want, n), 1e-6, __FILE__, __LINE__);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        code[i] = code_of(got->type, (float)want[i]);
    check_rounded(h, got, code);
}

/* The random bits of element i, one draw at a time. */
static uint32_t random_of(const struct adam *how, int64_t i)
{
    struct rng4 draw = rng_draw(how->rng, (uint64_t)how->t, how->element + (uint64_t)i / 8);

    return draw.v[i / 2 % 4] >> (i % 2 * 16) & 0xffffu;
}

static void check_weights(struct harness *h, const struct run *r, const double *want, const struct adam *how)
{
    int64_t n = tensor_elements(&r->p);
    uint16_t *code = h_take(h, (size_t)n * sizeof *code), *p = r->p.data;

    if (r->p.type == DTYPE_F32 || how->master) {
        const struct tensor *wide = how->master ? how->master : &r->p;

        h_near_at(h->name, h_error(H_F32(wide), want, n), 1e-6, __FILE__, __LINE__);
        for (int64_t i = 0; how->master && i < n; i++)
            assert_int_equal(p[i], code_of(r->p.type, H_F32(wide)[i]));
        return;
    }
    for (int64_t i = 0; i < n; i++)
        code[i] = (r->p.type == DTYPE_F16 ? f16_stochastic : bf16_stochastic)((float)want[i], random_of(how, i));
    check_rounded(h, &r->p, code);
}

static void one(struct harness *hp, int64_t n, const struct types *t, struct adam how)
{
    struct harness h = *hp;
    struct run r = prepare(&h, n, t);
    double *m = doubles(&h, &r.m), *v = doubles(&h, &r.v), *p = doubles(&h, t->master ? &r.master : &r.p);

    how.master = t->master ? &r.master : NULL;
    how.rng = (struct rng){7, RNG_ROUND};
    how.element = ((uint64_t)1 << 32) - 3;
    reference(p, m, v, doubles(&h, &r.g), n, &how);
    assert_int_equal(op_adam(&h.dev, &r.p, &r.m, &r.v, &r.g, &how), 0);
    check_moment(&h, &r.m, m);
    check_moment(&h, &r.v, v);
    check_weights(&h, &r, p, &how);
}

/* Every combination of types: p, with a master copy where it has 16 bits, g, moments. */
static int combinations(struct types *list)
{
    int n = 0;

    for (int p = DTYPE_F32; p <= DTYPE_F16; p++)
        for (int g = DTYPE_F32; g <= DTYPE_F16; g++)
            for (int rest = 0; rest < (p == DTYPE_F32 ? 2 : 4); rest++)
                list[n++] = (struct types){(enum dtype)p, (enum dtype)g, rest % 2, rest / 2};
    return n;
}

static void test_adam(void **state)
{
    struct types list[30];
    struct harness h;
    int types = combinations(list);

    (void)state;
    assert_int_equal(types, 30);
    for (int i = 0; h_open(&h, i); i++) {
        for (int k = 0; k < types; k++) {
            if (!device_stores(&h.dev, list[k].p) || !device_stores(&h.dev, list[k].g))
                continue;
            for (int s = 0; s < SIZES * 3; s++)
                one(&h, sizes[s / 3], &list[k], ways[s % 3]);
        }
        h_close(&h);
    }
}

/* ---- updates below half a unit ----------------------------------------------------------------------------------------- */

/* A constant gradient moves each weight by lr an update; half a unit in the last place of start is `half`. */
struct slow {
    enum dtype type;
    float start, half;
    bool codes;
};

static void creep(struct harness *hp, const struct slow *s)
{
    enum { STEPS = 300 };
    const int64_t n = h_slow() ? 512 : 4096;
    const struct types t = {s->type, s->type, s->codes, false};
    struct harness h = *hp;
    struct tensor start = h_zeros(&h, n), gradient = h_zeros(&h, n), zero = h_zeros(&h, n);
    struct run r = {.m = as(&h, t.codes ? DTYPE_E6M9 : DTYPE_F32, &zero), .v = as(&h, t.codes ? DTYPE_E6M10 : DTYPE_F32, &zero)};
    struct adam how = {.lr = s->half / 16, .beta1 = 0.5f, .beta2 = 0.5f, .eps = 1e-12f, .v_max = INFINITY, .scale = 1.0f,
                       .rng = {3, RNG_ROUND}};
    double first, mean = 0, moved = STEPS * (double)how.lr, spread = 2 * (double)s->half * sqrt(STEPS / 32.0);

    for (int64_t i = 0; i < n; i++) {
        H_F32(&start)[i] = s->start;
        H_F32(&gradient)[i] = 0.25f;
    }
    r.p = as(&h, s->type, &start);
    r.g = as(&h, s->type, &gradient);
    first = (double)number(&r.p, 0);
    for (how.t = 1; how.t <= STEPS; how.t++)
        assert_int_equal(op_adam(&h.dev, &r.p, &r.m, &r.v, &r.g, &how), 0);
    for (int64_t i = 0; i < n; i++)
        mean += (first - (double)number(&r.p, i)) / (double)n;
    /* The deviation of a weight is at most `spread`; five of the mean's. */
    if (fabs(mean - moved) > 5 * spread / sqrt((double)n) + 0.005 * moved)
        fail_msg("%s: moved by %g, not %g", h.name, mean, moved);
}

static void test_unbiased(void **state)
{
    static const struct slow cases[] = {{DTYPE_BF16, 1.75f, 0x1p-8f, false}, {DTYPE_BF16, -0.6f, 0x1p-9f, true},
                                        {DTYPE_F16, 1.75f, 0x1p-11f, true},  {DTYPE_F16, -0.6f, 0x1p-12f, false},
                                        {DTYPE_F16, 0x1p-16f, 0x1p-25f, false}};
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
            if (device_stores(&h.dev, cases[k].type))
                creep(&h, &cases[k]);
        h_close(&h);
    }
}

/* ---- bytes ------------------------------------------------------------------------------------------------------------- */

static struct tensor piece_of(const struct tensor *t, int64_t from, int64_t n)
{
    return tensor_of(t->type, (char *)t->data + (size_t)from * dtype_size(t->type), n);
}

/* Cut where pieces end after multiples of 8. */
static void update_pieces(struct harness *h, const struct run *r, struct adam how)
{
    int64_t n = tensor_elements(&r->p), step = 0;
    struct tensor master;
    bool mastered = how.master != NULL;

    for (int64_t from = 0; from < n; from += step) {
        struct tensor p, m, v, g;

        step = from % 3 == 0 ? 8 : 4104;
        step = n - from < step ? n - from : step;
        p = piece_of(&r->p, from, step), m = piece_of(&r->m, from, step), v = piece_of(&r->v, from, step);
        g = piece_of(&r->g, from, step), master = piece_of(&r->master, from, step);
        how.master = mastered ? &master : NULL;
        how.element = 9 + (uint64_t)from / 8;
        assert_int_equal(op_adam(&h->dev, &p, &m, &v, &g, &how), 0);
    }
}

static void same_bytes(struct harness *hp, const struct types *t)
{
    struct harness h = *hp;
    struct run r[3];
    int threads = par_threads();

    for (int k = 0; k < 3; k++) { /* one thread, three, in pieces */
        struct adam how = ways[1];

        h.draws = 0;
        r[k] = prepare(&h, 20011, t);
        how.rng = (struct rng){5, RNG_ROUND};
        how.element = 9;
        how.master = t->master ? &r[k].master : NULL;
        par_set_threads(k == 0 ? 1 : 3);
        if (k < 2)
            assert_int_equal(op_adam(&h.dev, &r[k].p, &r[k].m, &r[k].v, &r[k].g, &how), 0);
        else
            update_pieces(&h, &r[k], how);
    }
    par_set_threads(threads);
    for (int k = 1; k < 3; k++) {
        assert_memory_equal(r[0].p.data, r[k].p.data, tensor_bytes(&r[0].p));
        assert_memory_equal(r[0].m.data, r[k].m.data, tensor_bytes(&r[0].m));
        assert_memory_equal(r[0].v.data, r[k].v.data, tensor_bytes(&r[0].v));
        assert_memory_equal(r[0].master.data, r[k].master.data, tensor_bytes(&r[0].master));
    }
}

static void test_bytes(void **state)
{
    struct types list[30];
    struct harness h;
    int types = combinations(list);

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        for (int k = 0; k < types; k++)
            if (device_stores(&h.dev, list[k].p) && device_stores(&h.dev, list[k].g))
                same_bytes(&h, &list[k]);
        h_close(&h);
    }
}

/* ---- sums of squares ---------------------------------------------------------------------------------------------------- */

static void squares(struct harness *hp, int64_t n, enum dtype type)
{
    struct harness h = *hp;
    struct tensor wide = h_random(&h, 1.0f, n), x;
    struct squares got[3] = {{5, 5}};
    double want = 0;
    int64_t zeros = 0;

    for (int64_t k = 0; k < n; k++)
        if (k % 7 == 3 || k == 4096)
            H_F32(&wide)[k] = k % 2 ? 0.0f : -0.0f;
    x = as(&h, type, &wide);
    for (int64_t k = 0; k < n; k++) {
        want += (double)number(&x, k) * (double)number(&x, k);
        zeros += number(&x, k) == 0.0f;
    }
    assert_int_equal(op_sum_squares(&h.dev, got, &x, 1), 0);
    assert_true(fabs(got[0].sum - want) <= 1e-13 * want && got[0].zeros == zeros);
    assert_int_equal(op_sum_squares(&h.dev, got, (const struct tensor[]){x, wide, x}, 3), 0);
    assert_true(got[0].sum == got[2].sum && got[0].zeros == got[2].zeros && fabs(got[0].sum - want) <= 1e-13 * want);
    assert_true(fabs(got[1].sum - want) <= 0.02 * want && got[1].zeros == zeros);
    if (type != DTYPE_F16) {
        H_F32(&wide)[n - 1] = 1e38f; /* its square is no f32 */
        x = as(&h, type, &wide);
        assert_int_equal(op_sum_squares(&h.dev, got, &x, 1), 0);
        assert_true(got[0].sum > 0.98e76 && got[0].sum < 1.02e76);
    }
    H_F32(&wide)[n / 2] = n % 2 ? NAN : INFINITY;
    x = as(&h, type, &wide);
    assert_int_equal(op_sum_squares(&h.dev, got, &x, 1), 0);
    assert_false(isfinite(got[0].sum));
}

static void test_sum_squares(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        struct tensor none = h_zeros(&h, 0);
        struct squares got = {5, 5};

        for (int type = DTYPE_F32; type <= DTYPE_F16; type++)
            for (int s = 0; s < SIZES && device_stores(&h.dev, (enum dtype)type); s++)
                squares(&h, sizes[s], (enum dtype)type);
        assert_int_equal(op_sum_squares(&h.dev, &got, &none, 1), 0);
        assert_true(got.sum == 0 && got.zeros == 0);
        h_close(&h);
    }
}

static void test_threads(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        struct tensor x = h_random(&h, 1.0f, 200011);
        int threads = par_threads();
        struct squares sum[2];

        for (int k = 0; k < 2; k++) {
            par_set_threads(k == 0 ? 1 : 3);
            assert_int_equal(op_sum_squares(&h.dev, &sum[k], &x, 1), 0);
        }
        par_set_threads(threads);
        assert_true(sum[0].sum == sum[1].sum && sum[0].zeros == sum[1].zeros);
        h_close(&h);
    }
}

static void test_refused(void **state)
{
    struct adam how = ways[1];
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        const struct types codes = {DTYPE_F32, DTYPE_F32, true, false};
        struct run r = prepare(&h, 12, &plain), other = prepare(&h, 13, &plain), coded = prepare(&h, 12, &codes);
        struct tensor index = h_indices(&h, 12);
        struct squares sum;

        how.t = 2;
        how.master = NULL;
        assert_int_equal(op_adam(&h.dev, &r.p, &r.m, &other.v, &r.g, &how), ERR_ARG);
        assert_int_equal(op_adam(&h.dev, &r.p, &coded.m, &r.v, &r.g, &how), ERR_ARG);
        assert_int_equal(op_adam(&h.dev, &r.p, &r.m, &coded.v, &r.g, &how), ERR_ARG);
        assert_int_equal(op_adam(&h.dev, &coded.m, &r.m, &r.v, &r.g, &how), ERR_ARG);
        assert_int_equal(op_adam(&h.dev, &r.p, &r.m, &r.v, &index, &how), ERR_ARG);
        assert_int_equal(op_sum_squares(&h.dev, &sum, &index, 1), ERR_ARG);
        assert_int_equal(op_sum_squares(&h.dev, &sum, &coded.m, 1), ERR_ARG);
        how.master = &r.master;
        assert_int_equal(op_adam(&h.dev, &r.p, &r.m, &r.v, &r.g, &how), ERR_ARG);
        how.master = NULL;
        how.t = 0;
        assert_int_equal(op_adam(&h.dev, &r.p, &r.m, &r.v, &r.g, &how), ERR_ARG);
        h_close(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adam),  cmocka_unit_test(test_unbiased), cmocka_unit_test(test_sum_squares),
        cmocka_unit_test(test_bytes), cmocka_unit_test(test_threads),  cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

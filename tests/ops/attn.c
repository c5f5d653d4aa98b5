/* SPDX-License-Identifier: MIT */
#include "compute/attn.h"

#include "base/par.h"
#include "harness.h"

/* Of relative errors, by type: f32's sums; for 16 bits a rounding of each output, of each weight before it multiplies a
 * value, and for the gradient of out. */
struct bounds {
    double out, lse, gradient;
};

static const struct bounds bounds[] = {{3e-6, 3e-6, 1e-5}, {2.5e-3, 3e-6, 5e-3}, {3.2e-4, 3e-6, 6e-4}};

/* kind, text, h, w, k, heads; D and N follow */
struct size {
    struct attn a;
    int64_t d, n;
};

static const struct size sizes[] = {
    {{ATTN_DENSE, 6, 4, 4, 3, 2}, 16, 2},   {{ATTN_ROW, 6, 4, 4, 3, 2}, 16, 2},    {{ATTN_COLUMN, 6, 4, 4, 3, 2}, 16, 2},
    {{ATTN_CONV, 6, 4, 4, 3, 2}, 16, 2},    {{ATTN_DENSE, 1, 0, 0, 1, 1}, 8, 1},   {{ATTN_DENSE, 67, 0, 0, 1, 3}, 40, 1},
    {{ATTN_ROW, 0, 1, 1, 1, 1}, 8, 1},      {{ATTN_COLUMN, 0, 1, 1, 1, 1}, 8, 1},  {{ATTN_CONV, 0, 1, 1, 1, 1}, 8, 1},
    {{ATTN_ROW, 0, 7, 13, 1, 2}, 24, 1},    {{ATTN_COLUMN, 0, 7, 13, 1, 2}, 24, 1}, {{ATTN_CONV, 0, 7, 13, 5, 2}, 24, 1},
    {{ATTN_ROW, 3, 1, 37, 1, 1}, 48, 1},    {{ATTN_COLUMN, 3, 1, 37, 1, 1}, 48, 1}, {{ATTN_CONV, 3, 1, 37, 7, 1}, 48, 1},
    {{ATTN_ROW, 5, 29, 1, 1, 1}, 64, 1},    {{ATTN_COLUMN, 5, 29, 1, 1, 1}, 64, 1}, {{ATTN_CONV, 5, 29, 1, 3, 1}, 64, 1},
    {{ATTN_ROW, 17, 11, 3, 1, 2}, 32, 1},   {{ATTN_COLUMN, 17, 11, 3, 1, 2}, 32, 1}, {{ATTN_CONV, 17, 11, 3, 9, 2}, 32, 1},
    {{ATTN_ROW, 16, 8, 8, 1, 2}, 64, 2},    {{ATTN_COLUMN, 33, 9, 8, 1, 2}, 72, 2}, {{ATTN_CONV, 31, 9, 17, 11, 1}, 256, 1},
    {{ATTN_ROW, 19, 5, 47, 1, 1}, 64, 1},   {{ATTN_DENSE, 19, 5, 23, 1, 1}, 64, 1}, {{ATTN_CONV, 2, 16, 32, 11, 1}, 8, 1},
    /* three tiles of 64 positions, a column of more than two, rows so long that the kernel skips tiles */
    {{ATTN_DENSE, 70, 12, 12, 1, 1}, 40, 1}, {{ATTN_ROW, 70, 12, 12, 1, 1}, 128, 1},
    {{ATTN_COLUMN, 70, 12, 12, 1, 1}, 64, 1}, {{ATTN_CONV, 70, 12, 12, 5, 1}, 64, 1},
    {{ATTN_COLUMN, 3, 131, 2, 1, 1}, 8, 1},  {{ATTN_CONV, 1, 3, 200, 3, 1}, 8, 1}};

enum { SIZES = sizeof sizes / sizeof *sizes };

static int64_t positions(const struct attn *a)
{
    return a->text + a->h * a->w;
}

static void count(int64_t text, int64_t side, int64_t k, const int64_t *image_cells)
{
    for (int kind = ATTN_DENSE; kind <= ATTN_CONV; kind++) {
        struct attn a = {(enum attn_kind)kind, text, side, side, k, 1};
        int64_t t = positions(&a), cells[3] = {0}; /* text-text, image-text, image-image */

        for (int64_t q = 0; q < t; q++)
            for (int64_t key = 0; key < t; key++)
                if (attn_allows(&a, q, key)) {
                    assert_true(key <= q);
                    cells[(q >= text) + (key >= text)]++;
                }
        assert_int_equal(cells[0], text * (text + 1) / 2);
        assert_int_equal(cells[1], text * side * side);
        assert_int_equal(cells[2], image_cells[kind]);
    }
}

/* The masks of the paper's figure 11, cell counts of its 4x4 toy and of 32x32. */
static void test_masks(void **state)
{
    (void)state;
    count(6, 4, 3, (const int64_t[]){136, 70, 40, 76});
    count(256, 32, 11, (const int64_t[]){524800, 33264, 16896, 61344});
}

/* Figure 11 (d): the convolution's offsets. */
static void test_offsets(void **state)
{
    struct attn toy = {ATTN_CONV, 0, 4, 4, 3, 1}, full = {ATTN_CONV, 256, 32, 32, 11, 1};
    int64_t seen = 0;

    (void)state;
    for (int64_t o = 0; o < 16; o++)
        assert_int_equal(attn_allows(&toy, 15, 15 - o), o == 0 || o == 1 || o == 3 || o == 4 || o == 5 || o == 7);
    for (int64_t o = 0; o < 1024; o++) {
        bool near = o / 32 < 6 && (o % 32 <= 5 || o % 32 >= 27);

        assert_int_equal(attn_allows(&full, 256 + 1023, 256 + 1023 - o), near);
        seen += near;
    }
    assert_int_equal(seen, 66);
}

struct problem {
    const struct attn *a;
    int64_t n, d;
    double *qkv;       /* [N,T,3AD] */
    double *out, *lse; /* [N,T,AD], [N,A,T] */
    const float *dout;
};

static void reference_query(const struct problem *p, int64_t n, int64_t head, int64_t q)
{
    int64_t t = positions(p->a), c = p->a->heads * p->d;
    const double *at = p->qkv + n * t * 3 * c + head * p->d;
    double *y = p->out + (n * t + q) * c + head * p->d, top = -INFINITY, sum = 0, s[2048];

    for (int64_t k = 0; k < t; k++) {
        s[k] = -INFINITY;
        if (!attn_allows(p->a, q, k))
            continue;
        s[k] = 0;
        for (int64_t i = 0; i < p->d; i++)
            s[k] += at[q * 3 * c + i] * at[k * 3 * c + c + i];
        s[k] /= sqrt((double)p->d);
        top = s[k] > top ? s[k] : top;
    }
    for (int64_t i = 0; i < p->d; i++)
        y[i] = 0;
    for (int64_t k = 0; k < t; k++)
        sum += s[k] = exp(s[k] - top);
    for (int64_t k = 0; k < t; k++)
        for (int64_t i = 0; i < p->d; i++)
            y[i] += s[k] / sum * at[k * 3 * c + 2 * c + i];
    p->lse[(n * p->a->heads + head) * t + q] = top + log(sum);
}

static double reference(void *context)
{
    const struct problem *p = context;
    int64_t t = positions(p->a), c = p->a->heads * p->d;
    double loss = 0;

    for (int64_t n = 0; n < p->n; n++)
        for (int64_t head = 0; head < p->a->heads; head++)
            for (int64_t q = 0; q < t; q++)
                reference_query(p, n, head, q);
    for (int64_t i = 0; i < p->n * t * c; i++)
        loss += p->out[i] * p->dout[i];
    return loss;
}

struct run {
    struct tensor qkv, out, lse, dout, dqkv;
};

/* A copy in another type. */
static struct tensor as(struct harness *h, enum dtype type, struct tensor t)
{
    struct tensor to = h_tensor(h, type, t.rank, t.shape);

    assert_int_equal(h->dev.ops->copy(h->dev.self, &to, &t), 0);
    assert_int_equal(device_wait(&h->dev), 0);
    return to;
}

static struct run prepare(struct harness *h, const struct size *s, enum dtype type)
{
    int64_t t = positions(&s->a), c = s->a.heads * s->d;
    struct run r = {as(h, type, h_random(h, 1.5f, s->n, t, 3 * c)), as(h, type, h_zeros(h, s->n, t, c)),
                    h_zeros(h, s->n, s->a.heads, t), as(h, type, h_random(h, 1.0f, s->n, t, c)),
                    as(h, type, h_random(h, 1.0f, s->n, t, 3 * c))};

    return r;
}

static struct problem problem(struct harness *h, const struct run *r, const struct size *s)
{
    struct tensor qkv = as(h, DTYPE_F32, r->qkv), dout = as(h, DTYPE_F32, r->dout);

    return (struct problem){&s->a, s->n, s->d, h_doubles(h, &qkv, 0), h_doubles(h, NULL, tensor_elements(&r->out)),
                            h_doubles(h, &r->lse, 0), H_F32(&dout)};
}

static void compare(struct harness *hp, struct tensor t, const double *want, double bound)
{
    struct harness h = *hp;
    struct tensor got = as(&h, DTYPE_F32, t);

    h_near(h_error(H_F32(&got), want, tensor_elements(&got)), bound);
}

static void near(struct harness *hp, const struct size *s, enum dtype type)
{
    struct harness h = *hp;
    struct run r = prepare(&h, s, type);
    struct problem p = problem(&h, &r, s);

    reference(&p);
    assert_int_equal(op_attn(&h.dev, &r.out, &r.lse, &r.qkv, &s->a), 0);
    compare(&h, r.out, p.out, bounds[type].out);
    compare(&h, r.lse, p.lse, bounds[type].lse);
}

/* Every size in every type of numbers, up to last, that a device stores. */
static void each(void (*one)(struct harness *h, const struct size *s, enum dtype type), enum dtype last)
{
    struct harness h;

    for (int i = 0; h_open(&h, i); i++) {
        for (int type = DTYPE_F32; type <= (int)last; type++)
            for (int at = 0; at < SIZES && device_stores(&h.dev, (enum dtype)type); at++)
                one(&h, &sizes[at], (enum dtype)type);
        h_close(&h);
    }
}

static void test_forward(void **state)
{
    (void)state;
    each(near, DTYPE_F16);
}

/* Differences of the reference at a few elements of q, k and v each. */
static void test_gradient(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        for (int at = 0; at < 4; at++) { /* the toy's four masks; test_same_gradient has all sizes */
            const struct size *s = &sizes[at];
            size_t mark = h.arena.used;
            struct run r = prepare(&h, s, DTYPE_F32);
            struct problem p = problem(&h, &r, s);

            assert_int_equal(op_attn(&h.dev, &r.out, &r.lse, &r.qkv, &s->a), 0);
            assert_int_equal(op_attn_grad(&h.dev, &r.dqkv, &r.dout, &r.out, &r.lse, &r.qkv, &s->a), 0);
            h_near(h_gradient(reference, &p, p.qkv, H_F32(&r.dqkv), tensor_elements(&r.qkv), 1e-5), 1e-5);
            h.arena.used = mark;
        }
        h_close(&h);
    }
}

/* Backward in f64, in closed form, for every size. */
static void reference_gradient(const struct problem *p, double *dqkv)
{
    int64_t t = positions(p->a), c = p->a->heads * p->d;
    double scale = 1 / sqrt((double)p->d);

    for (int64_t pair = 0; pair < p->n * p->a->heads; pair++) {
        int64_t n = pair / p->a->heads, head = pair % p->a->heads;
        const double *at = p->qkv + n * t * 3 * c + head * p->d, *lse = p->lse + pair * t;
        const double *out = p->out + n * t * c + head * p->d;
        const float *dout = p->dout + n * t * c + head * p->d;
        double *d = dqkv + n * t * 3 * c + head * p->d;

        for (int64_t q = 0; q < t; q++)
            for (int64_t k = 0; k <= q; k++) {
                const double *vq = at + q * 3 * c, *vk = at + k * 3 * c + c, *vv = vk + c;
                double share = 0, dp = 0;

                if (!attn_allows(p->a, q, k))
                    continue;
                for (int64_t i = 0; i < p->d; i++) {
                    share += vq[i] * vk[i];
                    dp += dout[q * c + i] * (vv[i] - out[q * c + i]);
                }
                share = exp(share * scale - lse[q]);
                for (int64_t i = 0; i < p->d; i++) {
                    d[q * 3 * c + i] += share * dp * scale * vk[i];
                    d[k * 3 * c + c + i] += share * dp * scale * vq[i];
                    d[k * 3 * c + 2 * c + i] += share * dout[q * c + i];
                }
            }
    }
}

static void near_gradient(struct harness *hp, const struct size *s, enum dtype type)
{
    struct harness h = *hp;
    struct run r = prepare(&h, s, type);
    struct problem p = problem(&h, &r, s);
    double *want = h_doubles(&h, NULL, tensor_elements(&r.qkv));

    reference(&p);
    reference_gradient(&p, want);
    assert_int_equal(op_attn(&h.dev, &r.out, &r.lse, &r.qkv, &s->a), 0);
    assert_int_equal(op_attn_grad(&h.dev, &r.dqkv, &r.dout, &r.out, &r.lse, &r.qkv, &s->a), 0);
    compare(&h, r.dqkv, want, bounds[type].gradient);
}

static void test_same_gradient(void **state)
{
    (void)state;
    each(near_gradient, DTYPE_F16);
}

/* Do row n's bytes of a and b, each size long, agree? */
static bool same_row(const void *a, const void *b, int64_t n, size_t size)
{
    return memcmp((const char *)a + (size_t)n * size, (const char *)b + (size_t)n * size, size) == 0;
}

/* Positions whose output's or lse's bytes differ between two runs must see key j, whatever j holds, and those that see it
 * must differ. */
static void check_seen(const struct size *s, const struct run *r, const void *out, const float *lse, int64_t j)
{
    int64_t t = positions(&s->a);
    size_t row = (size_t)(s->a.heads * s->d) * dtype_size(r->out.type);

    for (int64_t n = 0; n < s->n; n++)
        for (int64_t q = 0; q < t; q++) {
            bool same = same_row(out, r->out.data, n * t + q, row);

            for (int64_t head = 0; head < s->a.heads; head++)
                same = same && same_row(lse, r->lse.data, (n * s->a.heads + head) * t + q, sizeof *lse);
            if (attn_allows(&s->a, q, j))
                assert_false(same);
            else
                assert_true(same);
        }
}

/* Nor may dq depend on a key that the query does not see. */
static void check_gradient_seen(const struct size *s, const struct run *r, const void *dqkv, int64_t j)
{
    int64_t t = positions(&s->a);
    size_t part = (size_t)(s->a.heads * s->d) * dtype_size(r->out.type);

    for (int64_t at = 0; at < s->n * t; at++)
        if (!attn_allows(&s->a, at % t, j))
            assert_true(memcmp((const char *)dqkv + (size_t)at * 3 * part,
                               (const char *)r->dqkv.data + (size_t)at * 3 * part, part) == 0);
}

static void run_both(struct harness *h, const struct run *r, const struct size *s)
{
    assert_int_equal(op_attn(&h->dev, &r->out, &r->lse, &r->qkv, &s->a), 0);
    assert_int_equal(op_attn_grad(&h->dev, &r->dqkv, &r->dout, &r->out, &r->lse, &r->qkv, &s->a), 0);
}

static void causal(struct harness *hp, const struct size *s, enum dtype type)
{
    static const float values[] = {INFINITY, NAN, 3.5f, -1e30f};
    const int64_t t = positions(&s->a), c = s->a.heads * s->d, step = 1 + t / (h_slow() && (type != DTYPE_F32 || t > 99) ? 2 : 9);
    const int64_t count = type == DTYPE_F32 ? 4 : 2, each_value = h_slow() ? 1 : count;
    struct harness h = *hp;
    struct run r = prepare(&h, s, type);
    void *out = h_take(&h, tensor_bytes(&r.out)), *dqkv = h_take(&h, tensor_bytes(&r.dqkv));
    struct tensor lse = as(&h, DTYPE_F32, r.lse), plain = as(&h, DTYPE_F32, r.qkv), saved = as(&h, DTYPE_F32, r.qkv);

    run_both(&h, &r, s);
    memcpy(lse.data, r.lse.data, tensor_bytes(&lse));
    memcpy(out, r.out.data, tensor_bytes(&r.out));
    memcpy(dqkv, r.dqkv.data, tensor_bytes(&r.dqkv));
    for (int64_t i = 0; i / each_value * step < t; i++) { /* where it is slow, one value a position */
        int64_t j = i / each_value * step;
        float value = values[i % count];

        for (int64_t n = 0; n < s->n; n++)
            for (int64_t x = 0; x < 3 * c; x++)
                H_F32(&plain)[(n * t + j) * 3 * c + x] = x % 3 ? value : value * 0.5f + (float)x;
        assert_int_equal(h.dev.ops->copy(h.dev.self, &r.qkv, &plain), 0);
        assert_int_equal(op_attn(&h.dev, &r.out, &r.lse, &r.qkv, &s->a), 0);
        check_seen(s, &r, out, H_F32(&lse), j);
        if (isnan(value)) {
            assert_int_equal(op_attn_grad(&h.dev, &r.dqkv, &r.dout, &r.out, &r.lse, &r.qkv, &s->a), 0);
            check_gradient_seen(s, &r, dqkv, j);
        }
        memcpy(plain.data, saved.data, tensor_bytes(&saved));
    }
}

static void test_causal(void **state)
{
    (void)state;
    each(causal, DTYPE_BF16); /* f16 walks the same way */
}

/* The last sequences of a tensor, as many as in part. */
static void assert_tail_equal(const struct tensor *part, const struct tensor *all)
{
    size_t size = tensor_bytes(part);

    assert_memory_equal(part->data, (const char *)all->data + tensor_bytes(all) - size, size);
}

static void copy_tail(const struct tensor *part, const struct tensor *all)
{
    memcpy(part->data, (const char *)all->data + tensor_bytes(all) - tensor_bytes(part), tensor_bytes(part));
}

/* Any number of threads and any batch gives a sequence the same bytes. */
static void same(struct harness *hp, const struct size *s, enum dtype type)
{
    struct harness h = *hp;
    struct size one = *s;
    int threads = par_threads();

    one.n = 1;
    struct run r = prepare(&h, s, type), again[2] = {prepare(&h, s, type), prepare(&h, &one, type)};

    par_set_threads(1);
    run_both(&h, &r, s);
    par_set_threads(3);
    for (int i = 0; i < 2; i++) {
        copy_tail(&again[i].qkv, &r.qkv);
        copy_tail(&again[i].dout, &r.dout);
        run_both(&h, &again[i], i == 0 ? s : &one);
        assert_tail_equal(&again[i].out, &r.out);
        assert_tail_equal(&again[i].lse, &r.lse);
        assert_tail_equal(&again[i].dqkv, &r.dqkv);
    }
    par_set_threads(threads);
}

static void test_threads(void **state)
{
    static const struct size s = {{ATTN_CONV, 21, 7, 6, 3, 3}, 40, 3};
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        for (int type = DTYPE_F32; type <= DTYPE_F16; type++)
            if (device_stores(&h.dev, (enum dtype)type))
                same(&h, &s, (enum dtype)type);
        h_close(&h);
    }
}

static void test_refused(void **state)
{
    struct size s = {{ATTN_ROW, 2, 3, 4, 1, 2}, 16, 1};
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        struct run r = prepare(&h, &s, DTYPE_F32);
        struct attn a = s.a;

        a.heads = 3;
        assert_int_equal(op_attn(&h.dev, &r.out, &r.lse, &r.qkv, &a), ERR_ARG);
        a.heads = 4; /* lse has two */
        assert_int_equal(op_attn(&h.dev, &r.out, &r.lse, &r.qkv, &a), ERR_ARG);
        a = s.a;
        a.h = 4;
        assert_int_equal(op_attn(&h.dev, &r.out, &r.lse, &r.qkv, &a), ERR_ARG);
        a = s.a;
        a.kind = ATTN_CONV;
        a.k = 2;
        assert_int_equal(op_attn(&h.dev, &r.out, &r.lse, &r.qkv, &a), ERR_ARG);
        assert_int_equal(op_attn(&h.dev, &r.qkv, &r.lse, &r.qkv, &s.a), ERR_ARG);
        assert_int_equal(op_attn_grad(&h.dev, &r.dout, &r.dout, &r.out, &r.lse, &r.qkv, &s.a), ERR_ARG);
        r.out.type = DTYPE_BF16;
        assert_int_equal(op_attn(&h.dev, &r.out, &r.lse, &r.qkv, &s.a),
                         device_stores(&h.dev, DTYPE_BF16) ? ERR_ARG : ERR_UNSUPPORTED);
        h_close(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_masks),         cmocka_unit_test(test_offsets), cmocka_unit_test(test_forward),
        cmocka_unit_test(test_gradient),      cmocka_unit_test(test_same_gradient),
        cmocka_unit_test(test_causal),        cmocka_unit_test(test_threads), cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

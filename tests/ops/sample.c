/* SPDX-License-Identifier: MIT */
#include "compute/sample.h"

#include "base/par.h"
#include "ways.h"

/* --- thin products --- */

static const int64_t products[][3] = {{1, 1, 1}, {2, 3, 5}, {7, 65, 17}, {1, 129, 64}, {13, 64, 31}, {65, 40, 257}};

enum { PRODUCTS = sizeof products / sizeof *products };

static void *pack(struct harness *h, const struct tensor *w)
{
    void *packed = h_take(h, op_thin_size(&h->dev, w->shape[0], w->shape[1]));

    assert_int_equal(op_thin_pack(&h->dev, packed, w), 0);
    return packed;
}

/* What weights and rows are rounded to: f32, then bf16 in each way that the device has, then int8. */
enum kind { KIND_F32, KIND_BF16, KIND_INT8 };

static bool set_kind(struct harness *h, int number, enum kind *kind)
{
    int last = ways_last(h);

    *kind = number > last ? KIND_INT8 : number ? KIND_BF16 : KIND_F32;
    if (*kind == KIND_INT8)
        assert_int_equal(device_precision(&h->dev, PRECISION_INT8), 0);
    else
        ways_set(h, number);
    return number <= last + 1;
}

/* The largest integer of a row: no sum of products passes 31 bits. */
static double largest(int64_t k)
{
    double most = floor(2147483647.0 / (127.0 * (double)(k + k % 2)));

    return most < 32767 ? most : 32767;
}

/* Numbers that lose nothing in any kind: integers of eight bits; in each row of x the largest one, and 127 in each of w. */
static void make_whole(struct tensor *x, struct tensor *w, int64_t k, double top)
{
    float unit_x = 0.125f, unit_w = 0.0625f;

    for (int64_t i = 0; i < tensor_elements(x); i++)
        H_F32(x)[i] = unit_x * (float)(i % k == i / k % k ? (float)top : nearbyintf(120 * sinf(H_F32(x)[i])));
    for (int64_t i = 0; i < tensor_elements(w); i++)
        H_F32(w)[i] = unit_w * (i % k == i / k % k ? -127 : nearbyintf(126 * sinf(H_F32(w)[i])));
}

static void one_product(struct harness *hp, const int64_t *size, struct thin how, bool with_bias, enum kind kind)
{
    struct harness h = *hp;
    int64_t m = size[0], n = size[1], k = size[2];
    struct tensor x = h_random(&h, 1.0f, m, k), w = h_random(&h, 1.0f, n, k), bias = h_random(&h, 1.0f, n);
    struct tensor y = h_random(&h, 1.0f, m, n);
    double *want;

    if (kind != KIND_F32)
        make_whole(&x, &w, k, kind == KIND_INT8 ? largest(k) : 256);
    want = h_doubles(&h, &y, 0);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double s = with_bias ? H_F32(&bias)[j] : 0;

            for (int64_t l = 0; l < k; l++)
                s += (double)H_F32(&x)[i * k + l] * H_F32(&w)[j * k + l];
            if (how.gelu)
                s /= 1 + exp(-1.702 * s);
            want[i * n + j] = s + (how.add ? want[i * n + j] : 0);
        }
    assert_int_equal(op_thin(&h.dev, &y, &x, pack(&h, &w), with_bias ? &bias : NULL, how), 0);
    h_near(h_error(H_F32(&y), want, m * n), 1e-6);
}

static void test_thin(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        enum kind kind;

        for (int number = 0; set_kind(&h, number, &kind); number++)
            for (int s = 0; s < PRODUCTS; s++)
                for (int form = 0; form < 8; form++)
                    one_product(&h, products[s], (struct thin){.gelu = form & 1, .add = form & 2}, form & 4, kind);
        h_close(&h);
    }
}

static double top_of(const float *x, int64_t n)
{
    double top = 0;

    for (int64_t i = 0; i < n; i++)
        top = fabs((double)x[i]) > top ? fabs((double)x[i]) : top;
    return top;
}

/* int8: half a step of each weight and of each number of a row, at most; what is not finite stays so, rows of nothing too. */
static void test_thin_int8(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        int64_t m = 5, n = 70, k = 4099;
        struct tensor x = h_random(&h, 3.0f, m, k), w = h_random(&h, 0.02f, n, k), y = h_zeros(&h, m, n);
        void *packed;

        memset(H_F32(&x) + k, 0, (size_t)k * sizeof(float));
        H_F32(&x)[2 * k + 7] = NAN;
        H_F32(&x)[3 * k + 7] = INFINITY;
        for (int64_t l = 0; l < k; l++)
            H_F32(&x)[4 * k + l] *= 1e-38f;
        memset(H_F32(&w) + k, 0, (size_t)k * sizeof(float));
        assert_int_equal(device_precision(&h.dev, PRECISION_INT8), 0);
        packed = pack(&h, &w);
        assert_int_equal(op_thin(&h.dev, &y, &x, packed, NULL, (struct thin){0}), 0);
        for (int64_t j = 0; j < n; j++) {
            double want = 0, bound = 0, top_x = top_of(H_F32(&x), k), top_w = top_of(H_F32(&w) + j * k, k);

            for (int64_t l = 0; l < k; l++) {
                want += (double)H_F32(&x)[l] * H_F32(&w)[j * k + l];
                bound += fabs(H_F32(&x)[l]) * top_w / 127 / 2 + fabs(H_F32(&w)[j * k + l]) * top_x / largest(k) / 2;
            }
            assert_true(fabs(H_F32(&y)[j] - want) <= 1.01 * bound); /* and their product */
            assert_true(H_F32(&y)[n + j] == 0);
            assert_true(isnan(H_F32(&y)[2 * n + j]) && !isfinite(H_F32(&y)[3 * n + j]));
            assert_true(fabsf(H_F32(&y)[4 * n + j]) < 1e-34f);
        }
        h_close(&h);
    }
}

/* A row alone, among others, and with other numbers of threads: the same bytes. */
static void test_thin_rows(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        enum kind kind;

        for (int number = 0; set_kind(&h, number, &kind); number++) {
            int64_t m = 29, n = 131, k = 67;
            struct tensor x = h_random(&h, 1.0f, m, k), w = h_random(&h, 1.0f, n, k), bias = h_random(&h, 1.0f, n);
            struct tensor y = h_random(&h, 1.0f, m, n), again = h_zeros(&h, m, n);
            void *packed = pack(&h, &w);
            int threads = par_threads();

            memcpy(again.data, y.data, tensor_bytes(&y));
            par_set_threads(3);
            assert_int_equal(op_thin(&h.dev, &y, &x, packed, &bias, (struct thin){true, true}), 0);
            par_set_threads(1);
            for (int64_t from = 0, rows = 1; from < m; from += rows, rows += 2) {
                int64_t count = rows < m - from ? rows : m - from;
                struct tensor some_x = tensor_f32(H_F32(&x) + from * k, count, k);
                struct tensor some_y = tensor_f32(H_F32(&again) + from * n, count, n);

                assert_int_equal(op_thin(&h.dev, &some_y, &some_x, packed, &bias, (struct thin){true, true}), 0);
            }
            par_set_threads(threads);
            assert_memory_equal(y.data, again.data, tensor_bytes(&y));
        }
        h_close(&h);
    }
}

/* --- attention over caches --- */

struct size {
    struct attn a;
    int64_t d;
};

static const struct size masks[] = {
    {{ATTN_DENSE, 6, 4, 4, 1, 2}, 16},  {{ATTN_ROW, 6, 4, 4, 1, 2}, 16},    {{ATTN_COLUMN, 6, 4, 4, 1, 2}, 16},
    {{ATTN_CONV, 6, 4, 4, 3, 2}, 16},   {{ATTN_DENSE, 0, 5, 7, 1, 1}, 8},   {{ATTN_ROW, 0, 5, 7, 1, 1}, 8},
    {{ATTN_COLUMN, 17, 7, 5, 1, 3}, 40}, {{ATTN_CONV, 33, 7, 5, 5, 1}, 64}, {{ATTN_ROW, 16, 3, 17, 1, 2}, 24},
    {{ATTN_ROW, 1, 9, 1, 1, 1}, 256},   {{ATTN_ROW, 3, 1, 9, 1, 1}, 8},     {{ATTN_COLUMN, 3, 1, 9, 1, 1}, 8}};

enum { MASKS = sizeof masks / sizeof *masks, CAPTIONS = 2, SEQUENCES = 5 };

/* Sequences [SEQUENCES,T,3AD] that share text by caption, and what op_attn makes of them. */
struct whole {
    struct tensor qkv, out, lse, caption;
};

static struct whole whole_make(struct harness *h, const struct size *s)
{
    int64_t t = s->a.text + s->a.h * s->a.w, c = s->a.heads * s->d;
    struct whole w = {h_random(h, 1.5f, SEQUENCES, t, 3 * c), h_zeros(h, SEQUENCES, t, c),
                      h_zeros(h, SEQUENCES, s->a.heads, t), h_indices(h, SEQUENCES)};

    for (int64_t m = 0; m < SEQUENCES; m++) {
        H_I32(&w.caption)[m] = (int32_t)(m % CAPTIONS);
        memcpy(H_F32(&w.qkv) + m * t * 3 * c, H_F32(&w.qkv) + m % CAPTIONS * t * 3 * c,
               (size_t)(s->a.text * 3 * c) * sizeof(float));
    }
    assert_int_equal(op_attn(&h->dev, &w.out, &w.lse, &w.qkv, &s->a), 0);
    return w;
}

static struct attn_cache cache_make(struct harness *h, const struct size *s, const struct whole *w)
{
    size_t size = attn_cache_size(&s->a, s->d, CAPTIONS, SEQUENCES);
    int64_t t = s->a.text + s->a.h * s->a.w, c = s->a.heads * s->d;
    struct attn_cache cache;

    attn_cache_place(&cache, h_take(h, size), &s->a, s->d, CAPTIONS, SEQUENCES);
    memset(cache.text_k, 0xff, size); /* NaN: nothing unwritten may be used */
    for (int64_t caption = 0; caption < CAPTIONS; caption++) {
        struct tensor qkv = tensor_f32(H_F32(&w->qkv) + caption * t * 3 * c, s->a.text, 3 * c);

        assert_int_equal(op_cache_text(&h->dev, &cache, &qkv, &s->a, caption), 0);
    }
    return cache;
}

/* Sequences first .. first + count - 1 position by position into out [SEQUENCES,T,AD] at their image positions. */
static void walk(struct harness *h, const struct size *s, const struct whole *w, float *out, int64_t first, int64_t count)
{
    int64_t t = s->a.text + s->a.h * s->a.w, c = s->a.heads * s->d;
    struct attn_cache cache = cache_make(h, s, w);
    struct tensor row = h_zeros(h, count, 3 * c), y = h_zeros(h, count, c), caption = h_indices(h, count);
    struct tensor at = h_indices(h, 1);

    for (int64_t m = 0; m < count; m++)
        H_I32(&caption)[m] = H_I32(&w->caption)[first + m];
    for (int64_t position = 0; position < s->a.h * s->a.w; position++) {
        for (int64_t m = 0; m < count; m++)
            memcpy(H_F32(&row) + m * 3 * c, H_F32(&w->qkv) + ((first + m) * t + s->a.text + position) * 3 * c,
                   (size_t)(3 * c) * sizeof(float));
        H_I32(&at)[0] = (int32_t)position;
        assert_int_equal(op_attn_cache(&h->dev, &y, &cache, &row, &caption, &at, &s->a), 0);
        for (int64_t m = 0; m < count; m++)
            memcpy(out + ((first + m) * t + s->a.text + position) * c, H_F32(&y) + m * c, (size_t)c * sizeof(float));
    }
}

static void test_cache(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        for (int s = 0; s < MASKS; s++) {
            size_t mark = h.arena.used;
            struct whole w = whole_make(&h, &masks[s]);
            int64_t t = masks[s].a.text + masks[s].a.h * masks[s].a.w, c = masks[s].a.heads * masks[s].d;
            float *out = h_take(&h, tensor_bytes(&w.out)), *alone = h_take(&h, tensor_bytes(&w.out));
            double *want;

            /* text positions are not walked: take them from the reference */
            memcpy(out, w.out.data, tensor_bytes(&w.out));
            memcpy(alone, w.out.data, tensor_bytes(&w.out));
            walk(&h, &masks[s], &w, out, 0, SEQUENCES);
            want = h_doubles(&h, &w.out, 0);
            h_near(h_error(out, want, SEQUENCES * t * c), 1e-6);
            walk(&h, &masks[s], &w, alone, 3, 1);
            assert_memory_equal(alone + 3 * t * c, out + 3 * t * c, (size_t)(t * c) * sizeof(float));
            h.arena.used = mark;
        }
        h_close(&h);
    }
}

static void test_cache_size(void **state)
{
    struct attn row = {ATTN_ROW, 256, 32, 32, 1, 8}, dense = {ATTN_DENSE, 256, 32, 32, 1, 8};
    struct attn_cache c;

    (void)state;
    /* 33 keys are 48 in whole panels */
    assert_int_equal(attn_cache_size(&row, 64, 3, 7), 2 * 4 * 8 * 64 * (3 * 256 + 7 * 48));
    assert_int_equal(attn_cache_size(&dense, 64, 3, 7), 2 * 4 * 8 * 64 * (3 * 256 + 7 * 1024));
    attn_cache_place(&c, NULL, &row, 64, 3, 7);
    assert_int_equal(c.keys, 33);
}

/* --- choice --- */

static const struct rng rng = {.seed = 5, .purpose = RNG_SAMPLE};

/* The header's words with a full sort, in f64.  share: what each token gets. */
static void reference_shares(double *share, const float *logit, int64_t n, const struct choose *how)
{
    int64_t order[2048], kept = n;
    double sum = 0, reached = 0;

    for (int64_t i = 0; i < n; i++) {
        int64_t at = i;

        for (; at > 0 && logit[order[at - 1]] < logit[i]; at--)
            order[at] = order[at - 1];
        order[at] = i;
        share[i] = 0;
    }
    if (how->top_k > 0 && how->top_k < n)
        kept = how->top_k;
    for (int64_t i = 0; i < kept; i++)
        sum += exp((double)(logit[order[i]] - logit[order[0]]) / (double)how->temperature);
    for (int64_t i = 0; i < kept && (how->top_p >= 1 || reached < (double)how->top_p); i++) {
        share[order[i]] = exp((double)(logit[order[i]] - logit[order[0]]) / (double)how->temperature);
        reached += share[order[i]] / sum;
    }
    for (int64_t i = 0; i < n; i++)
        share[i] /= reached * sum;
}

static int64_t reference_choice(const double *share, int64_t n, uint64_t step, uint64_t slot)
{
    struct rng4 r = rng_draw(rng, step, slot);
    double u = ((double)((uint64_t)r.v[0] << 21 | r.v[1] >> 11) + 0.5) / 9007199254740992.0, sum = 0;

    for (int64_t i = 0; i < n; i++)
        if ((sum += share[i]) > u)
            return i;
    return n - 1;
}

/* Draw token[m] at (step[m], slot). */
static void choose(struct harness *h, const struct tensor *token, const struct tensor *logits, const uint64_t *step,
                   int64_t slot, const struct choose *how)
{
    struct tensor codes = h_indices(h, logits->shape[0], slot + 2), steps = h_indices(h, logits->shape[0], 2);
    struct tensor position = h_indices(h, 1);

    H_I32(&position)[0] = (int32_t)slot;
    for (int64_t m = 0; m < logits->shape[0]; m++) {
        H_I32(&steps)[2 * m] = (int32_t)(uint32_t)step[m];
        H_I32(&steps)[2 * m + 1] = (int32_t)(uint32_t)(step[m] >> 32);
    }
    assert_int_equal(op_choose(&h->dev, &codes, logits, &steps, &position, how), 0);
    for (int64_t m = 0; m < logits->shape[0]; m++) {
        H_I32(token)[m] = H_I32(&codes)[m * (slot + 2) + slot];
        assert_int_equal(H_I32(&codes)[m * (slot + 2) + slot + 1], 0);
    }
}

static void test_choose(void **state)
{
    static const struct choose ways[] = {{1.0f, 0, 1.0f, {0, 0}},   {0.7f, 0, 1.0f, {0, 0}}, {1.0f, 5, 1.0f, {0, 0}},
                                         {1.3f, 0, 0.6f, {0, 0}},   {1.0f, 40, 0.9f, {0, 0}}, {2.0f, 1, 1.0f, {0, 0}},
                                         {1.0f, 0, 1e-6f, {0, 0}},  {1.0f, 100000, 0.999f, {0, 0}}};
    static const int64_t slots[] = {3, 9, 1, 2, 8, 4, 4, 4};
    static const int64_t vocab[] = {1, 2, 17, 64, 130, 1031};
    enum { ROWS = 40 };
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        for (int way = 0; way < 8; way++)
            for (int v = 0; v < 6; v++) {
                int64_t n = vocab[v];
                struct tensor logits = h_random(&h, 2.0f, ROWS, n), token = h_indices(&h, ROWS);
                double *share = h_doubles(&h, NULL, n);
                struct choose how = ways[way];
                uint64_t step[ROWS];

                how.rng = rng;
                for (int64_t m = 0; m < ROWS; m++)
                    step[m] = rng_hash(&m, sizeof m);
                for (int64_t k = 0; k < ROWS * n; k++) /* quantised: many ties */
                    H_F32(&logits)[k] = v % 2 ? roundf(H_F32(&logits)[k] * 4) / 4 : H_F32(&logits)[k];
                choose(&h, &token, &logits, step, slots[way], &how);
                for (int64_t m = 0; m < ROWS; m++) {
                    reference_shares(share, H_F32(&logits) + m * n, n, &how);
                    assert_int_equal(H_I32(&token)[m], reference_choice(share, n, step[m], (uint64_t)slots[way]));
                }
            }
        h_close(&h);
    }
}

/* Temperature 0: the first of the largest.  Forbidden tokens (-inf) are never drawn. */
static void test_choose_limits(void **state)
{
    struct choose how = {0.0f, 0, 1.0f, rng};
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        struct tensor logits = h_random(&h, 1.0f, 1, 37), token = h_indices(&h, 1);
        float *x = H_F32(&logits);
        uint64_t step = 0;

        how.temperature = 0.0f;
        x[11] = x[23] = 50.0f;
        choose(&h, &token, &logits, &step, 0, &how);
        assert_int_equal(H_I32(&token)[0], 11);
        how.temperature = 1e30f; /* all alike */
        for (int k = 0; k < 37; k++)
            x[k] = k == 5 || k == 36 ? 1.0f : -INFINITY;
        for (; step < 50; step++) {
            choose(&h, &token, &logits, &step, 0, &how);
            assert_true(H_I32(&token)[0] == 5 || H_I32(&token)[0] == 36);
        }
        how.top_k = 1; /* logits one bit apart still differ, on both sides of an even one */
        for (int bit = 0; bit < 2; bit++) {
            x[5] = bit ? nextafterf(1.0f, 2.0f) : 1.0f;
            x[36] = nextafterf(x[5], 2.0f);
            choose(&h, &token, &logits, &step, 0, &how);
            assert_int_equal(H_I32(&token)[0], 36);
        }
        x[7] = NAN;
        choose(&h, &token, &logits, &step, 0, &how);
        assert_int_equal(H_I32(&token)[0], -1);
        x[7] = INFINITY;
        choose(&h, &token, &logits, &step, 0, &how);
        assert_int_equal(H_I32(&token)[0], -1);
        for (int k = 0; k < 37; k++)
            x[k] = -INFINITY;
        choose(&h, &token, &logits, &step, 0, &how);
        assert_int_equal(H_I32(&token)[0], -1);
        h_close(&h);
    }
}

/* Draws follow the shares: a chi-square over many draws from 8 tokens. */
static void test_choose_shares(void **state)
{
    enum { TOKENS = 8 };
    struct choose how = {0.8f, 7, 0.95f, rng};
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        int64_t draws = h_slow() ? 1000 : 20000;
        struct tensor logits = h_random(&h, 1.0f, 1, TOKENS), all = h_zeros(&h, draws, TOKENS), token = h_indices(&h, draws);
        uint64_t *step = h_take(&h, (size_t)draws * sizeof *step);
        double share[TOKENS], chi = 0;
        int seen[TOKENS] = {0};

        for (int64_t m = 0; m < draws; m++) {
            memcpy(H_F32(&all) + m * TOKENS, logits.data, sizeof(float) * TOKENS);
            step[m] = (uint64_t)m;
        }
        reference_shares(share, H_F32(&logits), TOKENS, &how);
        choose(&h, &token, &all, step, 77, &how);
        for (int64_t m = 0; m < draws; m++)
            seen[H_I32(&token)[m]]++;
        for (int k = 0; k < TOKENS; k++) {
            if (share[k] == 0)
                assert_int_equal(seen[k], 0);
            else
                chi += pow(seen[k] - (double)draws * share[k], 2) / ((double)draws * share[k]);
        }
        assert_true(chi < 24.3); /* 7 degrees of freedom: one seed in a thousand exceeds it; ours is fixed */
        h_close(&h);
    }
}

static void test_next(void **state)
{
    enum { ROWS = 3, SLOTS = 6, WIDTH = 2 };
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        struct tensor codes = h_indices(&h, ROWS, SLOTS), position = h_indices(&h, 1), slot = h_indices(&h, 4, ROWS);

        for (int32_t k = 0; k < ROWS * SLOTS; k++)
            H_I32(&codes)[k] = 100 + k;
        H_I32(&position)[0] = -1;
        for (int32_t now = 0; now < SLOTS; now++) {
            assert_int_equal(op_next(&h.dev, &position, &slot, &codes, WIDTH), 0);
            assert_int_equal(H_I32(&position)[0], now);
            for (int m = 0; m < ROWS; m++) {
                assert_int_equal(H_I32(&slot)[m], now ? 100 + m * SLOTS + now - 1 : -1);
                assert_int_equal(H_I32(&slot)[ROWS + m], now ? -1 : 0);
                assert_int_equal(H_I32(&slot)[2 * ROWS + m], now / WIDTH);
                assert_int_equal(H_I32(&slot)[3 * ROWS + m], now % WIDTH);
            }
        }
        h_close(&h);
    }
}

static void test_refused(void **state)
{
    struct attn a = {ATTN_ROW, 4, 3, 3, 1, 2};
    struct choose how = {1.0f, 0, 1.0f, rng};
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        struct tensor x = h_zeros(&h, 3, 16), y = h_zeros(&h, 4, 16), qkv = h_zeros(&h, 3, 48), caption = h_indices(&h, 3);
        struct tensor codes = h_indices(&h, 3, 5), step = h_indices(&h, 3, 2), at = h_indices(&h, 1), slot = h_indices(&h, 4, 3);
        struct attn_cache c;

        attn_cache_place(&c, h_take(&h, attn_cache_size(&a, 8, 1, 2)), &a, 8, 1, 2);
        assert_int_equal(op_thin(&h.dev, &y, &x, x.data, NULL, (struct thin){0}), ERR_ARG);
        assert_int_equal(op_thin(&h.dev, &x, &x, x.data, &x, (struct thin){0}), ERR_ARG);
        assert_int_equal(op_cache_text(&h.dev, &c, &qkv, &a, 0), ERR_ARG); /* three rows, not four */
        assert_int_equal(op_attn_cache(&h.dev, &x, &c, &qkv, &caption, &at, &a), ERR_ARG); /* room for two */
        assert_int_equal(op_choose(&h.dev, &x, &x, &step, &at, &how), ERR_ARG);
        assert_int_equal(op_next(&h.dev, &at, &slot, &codes, 0), ERR_ARG);
        assert_int_equal(op_next(&h.dev, &at, &caption, &codes, 2), ERR_ARG);
        how.temperature = -1.0f;
        assert_int_equal(op_choose(&h.dev, &codes, &x, &step, &at, &how), ERR_ARG);
        how.temperature = 1.0f;
        h_close(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thin),       cmocka_unit_test(test_thin_int8), cmocka_unit_test(test_thin_rows),     cmocka_unit_test(test_cache),
        cmocka_unit_test(test_cache_size), cmocka_unit_test(test_choose),        cmocka_unit_test(test_choose_limits),
        cmocka_unit_test(test_choose_shares), cmocka_unit_test(test_next),          cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

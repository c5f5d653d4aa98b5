/* SPDX-License-Identifier: MIT */
#include "compute/conv.h"

#include "base/par.h"
#include "ways.h"

#define BOUND 2e-6
#define BOUND_GPU 6e-6 /* bf16 factors: a GPU's matrix units cut off, not round, what f32 sums of some 800 products cannot hold */

struct shape {
    int64_t n, h, w, i, o, k;
};

/* Ones, primes, one past the kernels' tiles, and the widths that have kernels of their own. */
static const struct shape shapes[] = {
    {1, 1, 1, 1, 1, 1},   {1, 1, 1, 1, 1, 3},    {2, 5, 7, 3, 5, 3},   {1, 4, 33, 3, 32, 7}, {2, 8, 8, 32, 8, 3},
    {1, 17, 13, 8, 8, 3}, {3, 8, 9, 8, 32, 3},   {2, 7, 11, 8, 32, 1}, {1, 9, 31, 16, 16, 3}, {1, 5, 6, 17, 33, 3},
    {2, 3, 29, 64, 16, 3}, {1, 16, 16, 64, 64, 1}, {5, 2, 2, 16, 64, 3}, {1, 6, 5, 96, 24, 3}, {1, 5, 18, 48, 80, 3},
    {2, 9, 10, 64, 6, 1}, {1, 3, 5, 96, 96, 1},  {1, 33, 35, 16, 8, 3}, {1, 37, 29, 24, 16, 1}, {1, 6, 9, 5, 8, 5},
};

#define SHAPES (sizeof shapes / sizeof *shapes)

/* Every product of the convolution once, in f64: y += x w, and its adjoints dx += dy w, dw += dy x; NULL is skipped. */
static void reference(const struct shape *s, double *y, const double *x, const double *w, double *dx, double *dw,
                      const double *dy)
{
    int64_t pad = (s->k - 1) / 2, taps = s->k * s->k;

    for (int64_t p = 0; p < s->n * s->h * s->w; p++)
        for (int64_t o = 0; o < s->o; o++)
            for (int64_t t = 0; t < taps; t++) {
                int64_t row = p / s->w % s->h + t / s->k - pad, column = p % s->w + t % s->k - pad;
                int64_t from = (p / (s->h * s->w) * s->h + row) * s->w + column, to = p * s->o + o;

                if (row < 0 || row >= s->h || column < 0 || column >= s->w)
                    continue;
                for (int64_t i = 0; i < s->i; i++) {
                    int64_t at = from * s->i + i, weight = (o * s->i + i) * taps + t;

                    if (y)
                        y[to] += x[at] * w[weight];
                    if (dx)
                        dx[at] += dy[to] * w[weight];
                    if (dw)
                        dw[weight] += dy[to] * x[at];
                }
            }
}

/* Bit 0: a gain, 1: add to what is there, 2: ReLU (forward) or mask (backward). */
static float gain_of(int form)
{
    return form & 1 ? 0.25f : 1.0f;
}

/* How a shape is tried: what the factors are rounded to and what the activations are stored as. */
struct way {
    enum dtype factors, stored;
    double bound; /* of 16 bits: two roundings of at most half a last place each, whose mean square is far below it */
};

/* How a shape is tried beside f32: by the ways to multiply bf16 factors that the device has, on the CPU oneDNN's kernels among
 * them, which any processor with AVX-512 runs, if slowly; */
static int last_rounded(struct harness *h, const struct shape *s)
{
    int last = ways_last(h);

    (void)s;
#if defined __x86_64__
    if (ways_of_cpu(h) && last == CPU_BF16_EMULATED && s->k > 1 && __builtin_cpu_supports("avx512bw"))
        last = CPU_BF16_DOTS;
#endif
    return last;
}

/* and with activations of 16 bits: bf16 and f16 in the last of those ways, on the CPU bf16 in the first as well. */
static int last_way(struct harness *h, const struct shape *s)
{
    return last_rounded(h, s) + device_stores(&h->dev, DTYPE_BF16) + device_stores(&h->dev, DTYPE_F16) + ways_of_cpu(h);
}

static struct way set_way(struct harness *h, const struct shape *s, int way)
{
    static const struct way rounded = {DTYPE_BF16, DTYPE_F32, BOUND}, plain = {DTYPE_F32, DTYPE_F32, BOUND};
    static const struct way stored[] = {{DTYPE_BF16, DTYPE_BF16, 0x1p-8}, {DTYPE_F16, DTYPE_F16, 0x1p-11},
                                        {DTYPE_BF16, DTYPE_BF16, 0x1p-8}};
    int last = last_rounded(h, s);
    struct way chosen = way == 0 ? plain : way <= last ? rounded : stored[way - last - 1];

    ways_set(h, way <= last ? way : way <= last + 2 ? last : 0);
    if (way == 1 && !ways_of_cpu(h))
        chosen.bound = BOUND_GPU;
    return chosen;
}

/* What loses nothing in the way's precision. */
static struct tensor kept(struct tensor t, struct way way)
{
    double steps = way.factors == DTYPE_BF16 ? 256 : 2048;

    for (int64_t i = 0; way.factors != DTYPE_F32 && i < tensor_elements(&t); i++) {
        int exponent;
        double mantissa = frexp(H_F32(&t)[i], &exponent);

        H_F32(&t)[i] = (float)ldexp(nearbyint(mantissa * steps) / steps, exponent);
    }
    return t;
}

/* A copy in another type. */
static struct tensor copy(struct harness *h, struct tensor t, enum dtype type)
{
    struct tensor to = h_tensor(h, type, t.rank, t.shape);

    assert_int_equal(h->dev.ops->copy(h->dev.self, &to, &t), 0);
    assert_int_equal(device_wait(&h->dev), 0);
    return to;
}

static void forward(struct harness *hp, const struct shape *s, struct way way)
{
    struct harness h = *hp;
    struct tensor x = kept(h_random(&h, 1.0f, s->n, s->h, s->w, s->i), way), stored = copy(&h, x, way.stored);
    struct tensor w = kept(h_random(&h, 1.0f, s->o, s->i, s->k, s->k), way);
    struct tensor bias = kept(h_random(&h, 1.0f, s->o), way), y0 = kept(h_random(&h, 1.0f, s->n, s->h, s->w, s->o), way);
    int64_t count = tensor_elements(&y0);
    double *sum = h_doubles(&h, NULL, count), *want = h_doubles(&h, NULL, count);

    reference(s, sum, h_doubles(&h, &x, 0), h_doubles(&h, &w, 0), NULL, NULL, NULL);
    for (int form = 0; form < 8; form++) {
        struct conv how = {gain_of(form), form & 2, form & 4};
        struct tensor y = copy(&h, y0, way.stored);
        bool with_bias = form % 3 != 0;

        for (int64_t j = 0; j < count; j++) {
            want[j] = (double)how.gain * (sum[j] + (with_bias ? H_F32(&bias)[j % s->o] : 0));
            want[j] += how.add ? H_F32(&y0)[j] : 0;
            want[j] = how.relu && want[j] < 0 ? 0 : want[j];
        }
        assert_int_equal(op_conv(&h.dev, &y, &stored, &w, with_bias ? &bias : NULL, how), 0);
        y = copy(&h, y, DTYPE_F32);
        h_near(h_error(H_F32(&y), want, count), way.bound);
    }
}

static void test_forward(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        for (size_t s = 0; s < SHAPES; s++)
            for (int way = 0; way <= last_way(&h, &shapes[s]); way++)
                forward(&h, &shapes[s], set_way(&h, &shapes[s], way));
        h_close(&h);
    }
}

static void input_gradient(struct harness *hp, const struct shape *s, struct way way)
{
    struct harness h = *hp;
    struct tensor w = kept(h_random(&h, 1.0f, s->o, s->i, s->k, s->k), way);
    struct tensor dy = kept(h_random(&h, 1.0f, s->n, s->h, s->w, s->o), way), stored = copy(&h, dy, way.stored);
    struct tensor mask = kept(h_random(&h, 1.0f, s->n, s->h, s->w, s->i), way), stored_mask = copy(&h, mask, way.stored);
    struct tensor dx0 = kept(h_random(&h, 1.0f, s->n, s->h, s->w, s->i), way);
    int64_t count = tensor_elements(&dx0);
    double *sum = h_doubles(&h, NULL, count), *want = h_doubles(&h, NULL, count);

    reference(s, NULL, NULL, h_doubles(&h, &w, 0), sum, NULL, h_doubles(&h, &dy, 0));
    for (int form = 0; form < 8; form++) {
        struct conv how = {gain_of(form), form & 2, false};
        struct tensor dx = copy(&h, dx0, way.stored);
        bool masked = form & 4;

        for (int64_t j = 0; j < count; j++) {
            want[j] = (double)how.gain * sum[j] + (how.add ? H_F32(&dx0)[j] : 0);
            want[j] = masked && H_F32(&mask)[j] <= 0 ? 0 : want[j];
        }
        assert_int_equal(op_conv_dx(&h.dev, &dx, &stored, &w, masked ? &stored_mask : NULL, how), 0);
        dx = copy(&h, dx, DTYPE_F32);
        h_near(h_error(H_F32(&dx), want, count), way.bound);
    }
}

/* dw and db are added to what is there, with and without a gain. */
static void weight_gradient(struct harness *hp, const struct shape *s, struct way way)
{
    struct harness h = *hp;
    struct tensor x = kept(h_random(&h, 1.0f, s->n, s->h, s->w, s->i), way), stored_x = copy(&h, x, way.stored);
    struct tensor dy = kept(h_random(&h, 1.0f, s->n, s->h, s->w, s->o), way), stored_dy = copy(&h, dy, way.stored);
    struct tensor dw = h_random(&h, 1.0f, s->o, s->i, s->k, s->k), db = h_random(&h, 1.0f, s->o);
    int64_t weights = tensor_elements(&dw);
    double *sum = h_doubles(&h, NULL, weights), *want = h_doubles(&h, &dw, 0), *bias = h_doubles(&h, &db, 0);

    reference(s, NULL, h_doubles(&h, &x, 0), NULL, NULL, sum, h_doubles(&h, &dy, 0));
    for (int form = 0; form < 2; form++) {
        double gain = gain_of(form);

        for (int64_t j = 0; j < weights; j++)
            want[j] += gain * sum[j];
        for (int64_t j = 0; j < tensor_elements(&dy); j++)
            bias[j % s->o] += gain * H_F32(&dy)[j];
        assert_int_equal(op_conv_dw(&h.dev, &dw, &db, &stored_dy, &stored_x, (struct conv){.gain = gain_of(form)}), 0);
        h_near(h_error(H_F32(&dw), want, weights), way.bound);
        h_near(h_error(H_F32(&db), bias, s->o), BOUND);
    }
}

static void test_backward(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        for (size_t s = 0; s < SHAPES; s++)
            for (int way = 0; way <= last_way(&h, &shapes[s]); way++) {
                input_gradient(&h, &shapes[s], set_way(&h, &shapes[s], way));
                weight_gradient(&h, &shapes[s], set_way(&h, &shapes[s], way));
            }
        h_close(&h);
    }
}

/* A GPU's columns are made in slices of 32 MB.  The CPU has nothing like that. */
static void test_slices(void **state)
{
    const struct shape two = {2, 64, 60, 24, 1, 7};
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        if (!ways_of_cpu(&h)) {
            forward(&h, &two, set_way(&h, &two, 0));
            input_gradient(&h, &(struct shape){2, 64, 60, 1, 24, 7}, set_way(&h, &two, 0));
            weight_gradient(&h, &two, set_way(&h, &two, 0));
        }
        h_close(&h);
    }
}

/* conv(relu(x)): a mask of conv_dx is what went into, or came out of, the ReLU in front. */
struct chain {
    const struct shape *s;
    double *x, *rectified, *y;
    const double *w, *dy;
};

static double chain_loss(void *context)
{
    const struct chain *c = context;
    int64_t pixels = c->s->n * c->s->h * c->s->w;
    double sum = 0;

    for (int64_t j = 0; j < pixels * c->s->i; j++)
        c->rectified[j] = c->x[j] > 0 ? c->x[j] : 0;
    memset(c->y, 0, (size_t)(pixels * c->s->o) * sizeof *c->y);
    reference(c->s, c->y, c->rectified, c->w, NULL, NULL, NULL);
    for (int64_t j = 0; j < pixels * c->s->o; j++)
        sum += c->y[j] * c->dy[j];
    return sum;
}

static void test_gradient(void **state)
{
    const struct shape s = {1, 7, 9, 8, 16, 3};
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        struct tensor x = h_random(&h, 1.0f, s.n, s.h, s.w, s.i), w = h_random(&h, 1.0f, s.o, s.i, s.k, s.k);
        struct tensor dy = h_random(&h, 1.0f, s.n, s.h, s.w, s.o), dx = h_zeros(&h, s.n, s.h, s.w, s.i);
        struct chain c = {&s, h_doubles(&h, &x, 0), h_doubles(&h, &x, 0), h_doubles(&h, &dy, 0), h_doubles(&h, &w, 0),
                          h_doubles(&h, &dy, 0)};

        assert_int_equal(op_conv_dx(&h.dev, &dx, &dy, &w, &x, (struct conv){.gain = 1.0f}), 0);
        h_near(h_gradient(chain_loss, &c, c.x, H_F32(&dx), tensor_elements(&dx), 1e-6), 1e-5);
        h_close(&h);
    }
}

/* The order of adding does not depend on the number of threads: our own kernels, products, oneDNN's slices. */
static void same_bytes(struct harness *hp, const struct shape *s)
{
    struct harness h = *hp;
    struct tensor x = h_random(&h, 1.0f, s->n, s->h, s->w, s->i), w = h_random(&h, 1.0f, s->o, s->i, s->k, s->k);
    struct tensor dy = h_random(&h, 1.0f, s->n, s->h, s->w, s->o), b = h_random(&h, 1.0f, s->o);
    struct conv how = {.gain = 1.0f};
    int before = par_threads();
    struct tensor y[2], dx[2], dw[2], db[2];

    for (int i = 0; i < 2; i++) {
        y[i] = h_zeros(&h, s->n, s->h, s->w, s->o);
        dx[i] = h_zeros(&h, s->n, s->h, s->w, s->i);
        dw[i] = h_zeros(&h, s->o, s->i, s->k, s->k);
        db[i] = h_zeros(&h, s->o);
        par_set_threads(i + 1);
        assert_int_equal(op_conv(&h.dev, &y[i], &x, &w, &b, how), 0);
        assert_int_equal(op_conv_dx(&h.dev, &dx[i], &dy, &w, &x, how), 0);
        assert_int_equal(op_conv_dw(&h.dev, &dw[i], &db[i], &dy, &x, how), 0);
    }
    par_set_threads(before);
    assert_memory_equal(y[0].data, y[1].data, tensor_bytes(&y[0]));
    assert_memory_equal(dx[0].data, dx[1].data, tensor_bytes(&dx[0]));
    assert_memory_equal(dw[0].data, dw[1].data, tensor_bytes(&dw[0]));
    assert_memory_equal(db[0].data, db[1].data, tensor_bytes(&db[0]));
}

static void test_threads(void **state)
{
    static const struct shape cases[] = {{2, 32, 31, 8, 16, 3}, {1, 41, 40, 24, 8, 1}, {3, 17, 16, 120, 100, 1},
                                          {16, 33, 32, 3, 16, 7}, {5, 9, 9, 22, 20, 3}};
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
            same_bytes(&h, &cases[k]);
        h_close(&h);
    }
}

static void test_refuses(void **state)
{
    struct conv how = {.gain = 1.0f};
    struct harness h;

    (void)state;
    assert_true(h_open(&h, 0));
    struct tensor x = h_zeros(&h, 1, 4, 4, 3), w = h_zeros(&h, 5, 3, 3, 3), y = h_zeros(&h, 1, 4, 4, 5);
    struct tensor even = h_zeros(&h, 5, 3, 2, 2), bias = h_zeros(&h, 4);

    assert_int_equal(op_conv(&h.dev, &y, &x, &even, NULL, how), ERR_ARG);
    assert_int_equal(op_conv(&h.dev, &y, &x, &w, &bias, how), ERR_ARG);
    assert_string_equal(err_text(), "conv: bias is f32 [4], not f32 [5]");
    assert_int_equal(op_conv(&h.dev, &x, &y, &w, NULL, how), ERR_ARG);
    assert_int_equal(op_conv_dx(&h.dev, &x, &y, &w, &y, how), ERR_ARG);
    assert_int_equal(op_conv_dw(&h.dev, &w, &bias, &y, &x, how), ERR_ARG);
    x.type = DTYPE_F16;
    assert_int_equal(op_conv(&h.dev, &y, &x, &w, NULL, how), device_stores(&h.dev, DTYPE_F16) ? ERR_ARG : ERR_UNSUPPORTED);
    x.type = DTYPE_I32;
    assert_int_equal(op_conv_dx(&h.dev, &x, &y, &w, NULL, how), ERR_ARG);
    h_close(&h);
}

static int without_cudnn(void **state)
{
    (void)state;
    return setenv("ARMCHAIR_CUDNN", "0", 1);
}

static int with_cudnn(void **state)
{
    (void)state;
    return unsetenv("ARMCHAIR_CUDNN");
}

/* On a GPU both ways to a convolution. */
int main(void)
{
    const struct CMUnitTest once[] = {cmocka_unit_test(test_forward), cmocka_unit_test(test_backward),
                                      cmocka_unit_test(test_slices), cmocka_unit_test(test_gradient),
                                      cmocka_unit_test(test_threads), cmocka_unit_test(test_refuses)};
    const struct CMUnitTest twice[] = {cmocka_unit_test_setup(test_forward, with_cudnn), cmocka_unit_test(test_backward),
                                       cmocka_unit_test(test_slices), cmocka_unit_test(test_gradient),
                                       cmocka_unit_test(test_threads), cmocka_unit_test(test_refuses),
                                       cmocka_unit_test_setup(test_forward, without_cudnn), cmocka_unit_test(test_backward),
                                       cmocka_unit_test(test_slices), cmocka_unit_test(test_gradient)};

    return getenv("ARMCHAIR_TEST_DEVICE") ? cmocka_run_group_tests(twice, NULL, NULL) : cmocka_run_group_tests(once, NULL, NULL);
}

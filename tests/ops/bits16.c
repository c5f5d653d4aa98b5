/* SPDX-License-Identifier: MIT */
/* bits16.c -- numbers of 16 bits against a rule of their own in f64: every code, every midpoint, a sample of every exponent of
 * f32, all random bits; and what devices convert against the header. */
#include "base/bits16.h"

#include "compute/act.h"
#include "harness.h"

struct format {
    const char *name;
    float (*decode)(uint16_t code);
    uint16_t (*encode)(float x);
    uint16_t (*stochastic)(float x, uint32_t random);
    int mantissa, lowest; /* bits behind the point; the exponent that the smallest code of it stands for */
    uint16_t sign;        /* its bit; 0: no negative numbers */
    uint16_t last;        /* code of the largest number */
    bool ieee;            /* subnormals, infinities, NaN, ties to even; else ties away from zero */
    enum dtype type;
};

static const struct format formats[] = {
    {"f16", f16_to_f32, f16_from_f32, f16_stochastic, 10, -14, 0x8000, 0x7bff, true, DTYPE_F16},
    {"bf16", bf16_to_f32, bf16_from_f32, bf16_stochastic, 7, -126, 0x8000, 0x7f7f, true, DTYPE_BF16},
    {"1-6-9", e6m9_to_f32, e6m9_from_f32, NULL, 9, -60, 0x8000, 0x7fff, false, DTYPE_E6M9},
    {"0-6-10", e6m10_to_f32, e6m10_from_f32, NULL, 10, -60, 0, 0xffff, false, DTYPE_E6M10}};

enum { FORMATS = 4, IEEE = 2 };

/* What a code without sign stands for. */
static double value(const struct format *f, uint16_t code)
{
    int exponent = code >> f->mantissa, below = code & ((1 << f->mantissa) - 1);

    if (code > f->last)
        return below ? (double)NAN : (double)INFINITY;
    if (code == 0)
        return 0;
    if (f->ieee && exponent == 0)
        return ldexp(below, f->lowest - f->mantissa);
    return ldexp((1 << f->mantissa) + below, f->lowest + exponent - f->ieee - f->mantissa);
}

/* The distance of two neighbours around x > 0. */
static double unit_of(const struct format *f, double x)
{
    int exponent;

    frexp(x, &exponent);
    return ldexp(1, (exponent - 1 < f->lowest ? f->lowest : exponent - 1) - f->mantissa);
}

/* What the header says of x. */
static double nearest(const struct format *f, double x)
{
    double unit = unit_of(f, fabs(x)), largest = value(f, f->last), smallest = value(f, 1), y;

    if (f->ieee) {
        if (x == 0 || !isfinite(x))
            return x;
        y = nearbyint(fabs(x) / unit) * unit;
        return copysign(y > largest ? (double)INFINITY : y, x);
    }
    if (!f->sign && x < 0)
        return 0;
    if (!(fabs(x) <= largest))
        return f->sign ? copysign(largest, x) : largest;
    return fabs(x) < smallest ? 0 : copysign(floor(fabs(x) / unit + 0.5) * unit, x);
}

static void check_equal(const struct format *f, float x, float got, double want)
{
    bool good = isnan(want) ? isnan(got) : (double)got == want && (!f->ieee || !signbit(got) == !signbit(want));

    if (!good)
        fail_msg("%s: %a becomes %a, not %a", f->name, (double)x, (double)got, want);
}

static void test_codes(void **state)
{
    (void)state;
    for (int k = 0; k < FORMATS; k++) {
        const struct format *f = &formats[k];

        for (int code = 0; code < 65536; code++) {
            bool negative = code & f->sign;
            double v = value(f, (uint16_t)(code & ~f->sign));
            float x = f->decode((uint16_t)code);
            uint16_t back = f->encode(x);

            check_equal(f, x, x, negative && (v != 0 || f->ieee) ? -v : v);
            if (isnan(x))
                assert_true(isnan(f->decode(back)));
            else
                assert_int_equal(back, code == 0x8000 && !f->ieee && f->sign ? 0 : code); /* no negative zero */
        }
    }
}

/* Half way between neighbours, and one unit of f32 beside it. */
static void test_midpoints(void **state)
{
    (void)state;
    for (int k = 0; k < FORMATS; k++) {
        const struct format *f = &formats[k];

        for (int code = f->ieee ? 0 : 1; code < f->last; code++) {
            float low = f->decode((uint16_t)code), high = f->decode((uint16_t)(code + 1)), half = low + (high - low) / 2;

            assert_int_equal(f->encode(half), f->ieee ? code + code % 2 : code + 1);
            assert_int_equal(f->encode(nextafterf(half, 0.0f)), code);
            assert_int_equal(f->encode(nextafterf(half, INFINITY)), code + 1);
            if (f->sign)
                assert_int_equal(f->encode(-half), f->sign | (f->ieee ? code + code % 2 : code + 1));
        }
    }
}

/* The i-th of a sample of mantissas of f32: around the halves of what each format cuts off, then anything. */
static uint32_t mantissa(int i)
{
    static const int cut[] = {13, 14, 16};
    uint32_t random = (uint32_t)i * 2654435761u >> 9, bits = (uint32_t)cut[i % 3], half = 1u << (bits - 1);

    switch (i % 7) {
    case 0:
        return random & ~(2 * half - 1);
    case 1:
        return (random & ~(2 * half - 1)) | half;
    case 2:
        return (random & ~(2 * half - 1)) | (half - 1);
    case 3:
        return (random & ~(2 * half - 1)) | (half + 1);
    case 4:
        return random | (2 * half - 1);
    case 5:
        return i % 2 ? 0 : 0x7fffffu;
    default:
        return random;
    }
}

enum { MANTISSAS = 1500 };

static void test_sample(void **state)
{
    (void)state;
    for (int k = 0; k < FORMATS; k++)
        for (uint32_t top = 0; top < 512; top++) /* sign and exponent */
            for (int i = 0; i < MANTISSAS; i++) {
                float x = float_of(top << 23 | mantissa(i));

                check_equal(&formats[k], x, formats[k].decode(formats[k].encode(x)), nearest(&formats[k], x));
            }
}

static void test_limits(void **state)
{
    (void)state;
    assert_int_equal(f16_from_f32(65504.0f), 0x7bff);
    assert_int_equal(f16_from_f32(65519.99f), 0x7bff);
    assert_int_equal(f16_from_f32(65520.0f), 0x7c00);
    assert_int_equal(f16_from_f32(-INFINITY), 0xfc00);
    assert_int_equal(f16_from_f32(0x1p-24f), 1);
    assert_int_equal(f16_from_f32(0x1p-25f), 0);
    assert_int_equal(f16_from_f32(-0x1.000002p-25f), 0x8001);
    assert_int_equal(bf16_from_f32(3.4e38f), 0x7f80);
    assert_int_equal(bf16_from_f32(0x1p-133f), 1);
    assert_int_equal(bf16_from_f32(-0x1p-134f), 0x8000);
    assert_true(e6m9_to_f32(0x7fff) == E6M9_MAX && e6m9_to_f32(0xffff) == -E6M9_MAX && e6m10_to_f32(0xffff) == E6M10_MAX);
    assert_int_equal(e6m9_from_f32(INFINITY), 0x7fff);
    assert_int_equal(e6m9_from_f32(-1e30f), 0xffff);
    assert_int_equal(e6m9_from_f32(NAN), 0x7fff);
    assert_int_equal(e6m9_from_f32(0x1.008p-60f), 1);
    assert_int_equal(e6m9_from_f32(-0x1.008p-60f), 0x8001);
    assert_int_equal(e6m9_from_f32(0x1.007ffep-60f), 0);
    assert_int_equal(e6m9_from_f32(-0x1p-60f), 0);
    assert_int_equal(e6m10_from_f32(INFINITY), 0xffff);
    assert_int_equal(e6m10_from_f32(-INFINITY), 0);
    assert_int_equal(e6m10_from_f32(NAN), 0xffff);
    assert_int_equal(e6m10_from_f32(-NAN), 0xffff);
    assert_int_equal(e6m10_from_f32(-1.0f), 0);
    assert_int_equal(e6m10_from_f32(0x1.004p-60f), 1);
    assert_int_equal(e6m10_from_f32(0x1.003ffep-60f), 0);
}

/* ---- stochastic rounding --------------------------------------------------------------------------------------------- */

static void test_exact(void **state)
{
    (void)state;
    for (int k = 0; k < IEEE; k++)
        for (int code = 0; code < 65536; code++)
            for (uint32_t i = 0; i < 40; i++) {
                uint32_t random = i < 4 ? (uint32_t[]){0, UINT32_MAX, 0x1fffu, 0xffffu}[i] : i * 2654435761u;
                float x = formats[k].decode((uint16_t)code), y = formats[k].decode(formats[k].stochastic(x, random));

                assert_true(isnan(x) ? isnan(y) : bits_of(x) == bits_of(y));
            }
}

/* All random bits for one number: it goes to one of its neighbours, in the mean it stays; what is cut off is below `lost`. */
static void spread(const struct format *f, float x, double lost)
{
    double unit = unit_of(f, fabs((double)x)), low = floor(fabs((double)x) / unit) * unit, high = low + unit, sum = 0;
    bool overflows = high > value(f, f->last);

    for (uint32_t random = 0; random < 65536; random++) {
        uint16_t code = f->stochastic(x, random);
        double y = (double)f->decode(code);

        assert_int_equal(f->stochastic(x, random | 0xabcd0000u), code);
        assert_true(!signbit(y) == !signbit(x));
        y = fabs(y) > value(f, f->last) && overflows ? high : fabs(y);
        assert_true(y == low || y == high);
        sum += y - low;
    }
    sum = fabs((double)x) - (low + sum / 65536);
    assert_true(lost > 0 ? sum >= 0 && sum < lost : sum == 0);
}

static void test_mean(void **state)
{
    const int each = h_slow() ? 1 : 6;

    (void)state;
    for (int i = 0; i < 24 * each; i++) { /* f16: exponents from 2^-14 up, the last of which overflow */
        float x = float_of((uint32_t)(113 + i % 30) << 23 | mantissa(i * 31 + 6));

        spread(&formats[0], i % 2 ? -x : x, 0);
    }
    for (int i = 0; i < 18 * each; i++) { /* its subnormals, all of whose bits count down to 2^-40 */
        float x = float_of((uint32_t)(95 + i % 18) << 23 | mantissa(i * 31 + 6));

        spread(&formats[0], x, 0x1p-40);
        spread(&formats[0], (float)(floor((double)x * 0x1p40) * 0x1p-40), 0);
    }
    for (int i = 0; i < 64 * each; i++) {
        float x = float_of((uint32_t)(i * 4 % 255) << 23 | mantissa(i * 31 + 6));

        spread(&formats[1], i % 2 ? -x : x, 0);
    }
    spread(&formats[1], float_of(0x7f7fffffu), 0);
}

static void test_stochastic_limits(void **state)
{
    (void)state;
    for (int k = 0; k < IEEE; k++)
        for (uint32_t random = 0; random < 65536; random += 13) {
            const struct format *f = &formats[k];

            assert_true(f->decode(f->stochastic(INFINITY, random)) == INFINITY);
            assert_true(f->decode(f->stochastic(-INFINITY, random)) == -INFINITY);
            assert_true(isnan(f->decode(f->stochastic(NAN, random))) && isnan(f->decode(f->stochastic(-NAN, random))));
            assert_true(isnan(f->decode(f->stochastic(float_of(0x7f800001u), random))));
        }
    for (uint32_t random = 0; random < 8192; random++) {
        assert_int_equal(f16_stochastic(65536.0f, random), 0x7c00);
        assert_int_equal(f16_stochastic(-1e30f, random), 0xfc00);
        assert_int_equal(f16_stochastic(0x1p-41f, random), 0);
    }
}

/* ---- devices --------------------------------------------------------------------------------------------------------- */

static void check_widening(struct harness *h, const struct format *f)
{
    struct tensor codes = h_tensor(h, f->type, 1, (const int64_t[]){65536}), x = h_zeros(h, 65536), back = codes;

    back.data = h_take(h, tensor_bytes(&codes));
    for (int code = 0; code < 65536; code++)
        ((uint16_t *)codes.data)[code] = (uint16_t)code;
    assert_int_equal(op_copy(&h->dev, &x, &codes), 0);
    assert_int_equal(op_copy(&h->dev, &back, &x), 0);
    for (int code = 0; code < 65536; code++) {
        float want = f->decode((uint16_t)code), got = H_F32(&x)[code];

        if (isnan(want))
            assert_true(isnan(got) && isnan(f->decode(((uint16_t *)back.data)[code])));
        else
            assert_true(bits_of(want) == bits_of(got) && ((uint16_t *)back.data)[code] == code);
    }
}

static void check_narrowing(struct harness *h, const struct format *f)
{
    int64_t each = h_slow() ? 40 : 600, n = 512 * each + 5;
    struct tensor x = h_zeros(h, n), y = h_tensor(h, f->type, 1, x.shape);

    for (int64_t i = 0; i < n; i++)
        H_F32(&x)[i] = float_of((uint32_t)(i / each % 512) << 23 | mantissa((int)(i % each)));
    assert_int_equal(op_copy(&h->dev, &y, &x), 0);
    for (int64_t i = 0; i < n; i++) {
        uint16_t code = ((uint16_t *)y.data)[i];

        if (isnan(H_F32(&x)[i]))
            assert_true(isnan(f->decode(code)));
        else
            assert_int_equal(code, f->encode(H_F32(&x)[i]));
    }
}

static void test_devices(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        for (int k = 0; k < IEEE && device_stores(&h.dev, formats[k].type); k++) {
            check_widening(&h, &formats[k]);
            check_narrowing(&h, &formats[k]);
        }
        h_close(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_codes),  cmocka_unit_test(test_midpoints), cmocka_unit_test(test_sample),
                                       cmocka_unit_test(test_limits), cmocka_unit_test(test_exact),     cmocka_unit_test(test_mean),
                                       cmocka_unit_test(test_stochastic_limits), cmocka_unit_test(test_devices)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* The plain path's exp and log against libm in f64, over the whole range, in units of the last place. */
#include "compute/cpu/math.h"

#include "harness.h"

#define ULP 1.2
#define BLOCK 1024

static double ulps(float got, double want)
{
    float near = fabsf((float)want);

    return fabs(got - want) / (nextafterf(near, INFINITY) - near);
}

static void test_exp(void **state)
{
    float x[BLOCK], y[BLOCK];
    double worst = 0;

    (void)state;
    for (float from = -87.3f; from < 88.7f; from += 0.125f) {
#pragma omp simd
        for (int i = 0; i < BLOCK; i++)
            x[i] = from + (float)i * (0.12f / BLOCK);
#pragma omp simd
        for (int i = 0; i < BLOCK; i++)
            y[i] = cpu_exp(x[i]);
        for (int i = 0; i < BLOCK; i++)
            worst = x[i] < 88.72f ? fmax(worst, ulps(y[i], exp((double)x[i]))) : worst;
    }
    assert_true(worst <= ULP);
    assert_true(cpu_exp(0.0f) == 1.0f);
    assert_true(cpu_exp(-88.0f) == 0.0f);
    assert_true(cpu_exp(-INFINITY) == 0.0f);
    assert_true(isinf(cpu_exp(88.73f)));
    assert_true(isinf(cpu_exp(INFINITY)));
    assert_true(isnan(cpu_exp(NAN)));
}

static void test_log(void **state)
{
    float x[BLOCK], y[BLOCK];
    double worst = 0;

    (void)state;
    for (uint32_t from = 0x00800000u; from < 0x7F7F0000u; from += 0xC01F1u) {
#pragma omp simd
        for (uint32_t i = 0; i < BLOCK; i++)
            x[i] = float_of(from + i * 53u);
#pragma omp simd
        for (int i = 0; i < BLOCK; i++)
            y[i] = cpu_log(x[i]);
        for (int i = 0; i < BLOCK; i++)
            worst = fmax(worst, ulps(y[i], log((double)x[i])));
    }
    assert_true(worst <= ULP);
    assert_true(cpu_log(1.0f) == 0.0f);
    assert_true(cpu_log(0.0f) == -INFINITY);
    assert_true(isnan(cpu_log(-1.0f)));
    assert_true(isnan(cpu_log(NAN)));
    assert_true(isinf(cpu_log(INFINITY)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_exp), cmocka_unit_test(test_log)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

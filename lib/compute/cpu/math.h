/* SPDX-License-Identifier: MIT */
/* math.h -- exp and log of f32 that a compiler can vectorise: no branches, no tables, no calls.
 *
 *   cpu_exp   <= 1.1 ulp;  0 below -87.33 (no subnormals), +inf above 88.72, NaN stays NaN
 *   cpu_log   <= 1.1 ulp for normal x;  -inf at 0 and subnormals, NaN below 0, +inf at +inf
 *
 * Use      inside loops marked `#pragma omp simd`, with reduction(+:sum) where there is a sum
 * Source   range reduction after Cody and Waite 1980; coefficients of Cephes (Moshier), single precision
 */
#ifndef COMPUTE_CPU_MATH_H
#define COMPUTE_CPU_MATH_H

#include <math.h>

#include "base/bits16.h"

static inline float cpu_exp(float x)
{
    const float shift = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer in the low bits */
    float c = x < -87.5f ? -87.5f : x > 89.0f ? 89.0f : x;
    float t = c * 1.44269504f + shift;
    float n = t - shift;
    float r = (c - n * 0.693359375f) - n * -2.12194440e-4f;
    /* 2^n in two halves, so that n = 128 is in range */
    uint32_t k = bits_of(t) - 0x4B400000u, low = (uint32_t)((int32_t)k >> 1);
    float a = float_of((low + 127u) << 23), b = float_of((k - low + 127u) << 23);
    float p = 1.9875691500e-4f;

    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    p = p * a * b;
    return x < -87.336544f ? 0.0f : p;
}

static inline float cpu_log(float x)
{
    /* x = 2^n m, m in [sqrt(1/2), sqrt(2)) */
    uint32_t bits = bits_of(x) - 0x3F3504F3u;
    float n = (float)((int32_t)bits >> 23);
    float m = float_of((bits & 0x007FFFFFu) + 0x3F3504F3u) - 1.0f;
    float z = m * m, p = 7.0376836292e-2f, y;

    p = p * m - 1.1514610310e-1f;
    p = p * m + 1.1676998740e-1f;
    p = p * m - 1.2420140846e-1f;
    p = p * m + 1.4249322787e-1f;
    p = p * m - 1.6668057665e-1f;
    p = p * m + 2.0000714765e-1f;
    p = p * m - 2.4999993993e-1f;
    p = p * m + 3.3333331174e-1f;
    y = p * m * z + n * -2.12194440e-4f - 0.5f * z;
    y = m + y + n * 0.693359375f;
    y = x < 1.17549435e-38f ? -INFINITY : y;
    y = x < 0.0f ? NAN : y;
    return x < INFINITY ? y : x; /* +inf and NaN as they are */
}

#endif

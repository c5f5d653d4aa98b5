/* SPDX-License-Identifier: MIT */
/* vec.h -- registers of VEC floats, for kernels whose order of sums must not be the compiler's choice.
 *
 * GCC's and clang's vector types, at the width of the level that a file is compiled for (isa.h).  Arithmetic is written
 * with operators; what they lack stands here.  vec_sum always adds in the same order.
 */
#ifndef COMPUTE_CPU_VEC_H
#define COMPUTE_CPU_VEC_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined __AVX512F__
#include <immintrin.h>
#define VEC 16
#elif defined __AVX2__ && defined __FMA__
#include <immintrin.h>
#define VEC 8
#else
#define VEC 4
#endif

#if defined __AVX512F__ || defined __aarch64__
#define VEC_REGISTERS 32
#else
#define VEC_REGISTERS 16
#endif

typedef float vec __attribute__((vector_size(4 * VEC)));
typedef int32_t veci __attribute__((vector_size(4 * VEC)));
typedef uint32_t vecu __attribute__((vector_size(4 * VEC))); /* wraps around */
typedef float vec_near __attribute__((vector_size(4 * VEC), aligned(4), may_alias)); /* at any address */

#define vec_inline static inline __attribute__((always_inline))

vec_inline vec vec_load(const float *p)
{
    return *(const vec_near *)p;
}

vec_inline void vec_store(float *p, vec x)
{
    *(vec_near *)p = x;
}

vec_inline vec vec_all(float x)
{
    return x - (vec){0};
}

/* a * b + c, rounded once where the processor can */
vec_inline vec vec_fma(vec a, vec b, vec c)
{
#if VEC == 16
    return (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif VEC == 8
    return (vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return a * b + c;
#endif
}

/* yes where the lane of mask is -1, no where it is 0 */
vec_inline vec vec_select(veci mask, vec yes, vec no)
{
    return (vec)((mask & (veci)yes) | (~mask & (veci)no));
}

/* b where a is NaN */
vec_inline vec vec_max(vec a, vec b)
{
#if VEC == 16
    return (vec)_mm512_max_ps((__m512)a, (__m512)b);
#elif VEC == 8
    return (vec)_mm256_max_ps((__m256)a, (__m256)b);
#else
    return vec_select(a > b, a, b);
#endif
}

/* The first n < VEC floats at p; other lanes get fill. */
vec_inline vec vec_load_part(const float *p, int64_t n, float fill)
{
#if VEC == 16
    return (vec)_mm512_mask_loadu_ps(_mm512_set1_ps(fill), (__mmask16)((1u << n) - 1), p);
#else
    float lane[VEC];

    for (int i = 0; i < VEC; i++)
        lane[i] = i < n ? p[i] : fill;
    return vec_load(lane);
#endif
}

vec_inline void vec_store_part(float *p, vec x, int64_t n)
{
#if VEC == 16
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)x);
#else
    for (int i = 0; i < n; i++)
        p[i] = x[i];
#endif
}

/* The first n floats at p, VEC at most, zeros behind them; none for a negative n. */
vec_inline vec vec_load_some(const float *p, int64_t n)
{
    return n >= VEC ? vec_load(p) : n > 0 ? vec_load_part(p, n, 0.0f) : vec_all(0.0f);
}

vec_inline void vec_store_some(float *p, vec x, int64_t n)
{
    if (n >= VEC)
        vec_store(p, x);
    else
        vec_store_part(p, x, n);
}

/* Lanes from n on come first. */
#if VEC == 16
#define vec_turn(x, n)                                                                                                 \
    __builtin_shufflevector(x, x, n, n + 1, n + 2, n + 3, n + 4, n + 5, n + 6, n + 7, n + 8, n + 9, n + 10, n + 11,    \
                            n + 12, n + 13, n + 14, n + 15)
#elif VEC == 8
#define vec_turn(x, n) __builtin_shufflevector(x, x, n, n + 1, n + 2, n + 3, n + 4, n + 5, n + 6, n + 7)
#else
#define vec_turn(x, n) __builtin_shufflevector(x, x, n, n + 1, n + 2, n + 3)
#endif

/* Lanes are added in halves: i and i + VEC/2, and so on. */
vec_inline float vec_sum(vec x)
{
#if VEC == 16
    x += vec_turn(x, 8);
#endif
#if VEC >= 8
    x += vec_turn(x, 4);
#endif
    x += vec_turn(x, 2);
    x += vec_turn(x, 1);
    return x[0];
}

vec_inline float vec_largest(vec x)
{
#if VEC == 16
    x = vec_max(x, vec_turn(x, 8));
#endif
#if VEC >= 8
    x = vec_max(x, vec_turn(x, 4));
#endif
    x = vec_max(x, vec_turn(x, 2));
    x = vec_max(x, vec_turn(x, 1));
    return x[0];
}

/* a0 b0 a1 b1 .. of the lower half, of the upper half */
#if VEC == 16
#define vec_zip_low(a, b) \
    __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define vec_zip_high(a, b) \
    __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#elif VEC == 8
#define vec_zip_low(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define vec_zip_high(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#else
#define vec_zip_low(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define vec_zip_high(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#endif

/* VEC registers as a square: lanes become registers.  Each round is a perfect shuffle; log2(VEC) of them transpose. */
vec_inline void vec_transpose(vec *x)
{
    for (int round = 1; round < VEC; round *= 2) {
        vec y[VEC];

        for (int i = 0; i < VEC / 2; i++) {
            y[2 * i] = vec_zip_low(x[i], x[i + VEC / 2]);
            y[2 * i + 1] = vec_zip_high(x[i], x[i + VEC / 2]);
        }
        for (int i = 0; i < VEC; i++)
            x[i] = y[i];
    }
}

/* As cpu_exp of math.h: 0 below -87, +inf above 88.72, NaN stays NaN. */
vec_inline vec vec_exp(vec x)
{
    const vec shift = vec_all(12582912.0f); /* 1.5 * 2^23: adding it rounds to an integer in the low bits */
#if VEC == 16
    vec top = (vec)_mm512_min_ps(_mm512_set1_ps(89.0f), (__m512)x); /* NaN stays; no infinity less infinity below */
#else
    vec top = x;
#endif
    vec t = vec_fma(top, vec_all(1.44269504f), shift), n = t - shift;
    vec r = vec_fma(n, vec_all(-0.693359375f), top), p = vec_all(1.9875691500e-4f);

    r = vec_fma(n, vec_all(2.12194440e-4f), r);
    p = vec_fma(p, r, vec_all(1.3981999507e-3f));
    p = vec_fma(p, r, vec_all(8.3334519073e-3f));
    p = vec_fma(p, r, vec_all(4.1665795894e-2f));
    p = vec_fma(p, r, vec_all(1.6666665459e-1f));
    p = vec_fma(p, r, vec_all(5.0000001201e-1f));
    p = vec_fma(p, r * r, r + 1.0f);
#if VEC == 16
    return (vec)_mm512_maskz_scalef_ps(_mm512_cmp_ps_mask((__m512)x, _mm512_set1_ps(-87.0f), _CMP_NLT_UQ), (__m512)p, (__m512)n);
#else
    p = (vec)((vecu)p + ((vecu)t << 23));
    p = (vec)((veci)p & ~(x < -87.0f));
    p = vec_select(x > 88.72283f, vec_all(INFINITY), p);
    return vec_select(x == x, p, x);
#endif
}

/* The largest of n numbers, NaN left out; -infinity for none. */
static inline float vec_largest_of(const float *x, int64_t n)
{
    vec top = vec_all(-INFINITY);
    int64_t i = 0;

    for (; i + VEC <= n; i += VEC)
        top = vec_max(vec_load(x + i), top);
    if (i < n)
        top = vec_max(vec_load_part(x + i, n - i, -INFINITY), top);
    return vec_largest(top);
}

#endif

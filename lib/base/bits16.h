/* SPDX-License-Identifier: MIT */
/* bits16.h -- numbers of 16 bits, one at a time, as the host and a GPU read and write them.
 *
 *            sign exponent significand   largest       smallest above 0    rounding
 *   f16       1      5        10         65504         2^-24 (subnormal)   nearest, ties to even
 *   bf16      1      8         7         3.39e38       2^-133 (subnormal)  nearest, ties to even
 *   1-6-9     1      6         9         15.984375     2^-60 (1 + 2^-9)    nearest, ties away from zero
 *   0-6-10    0      6        10         15.9921875    2^-60 (1 + 2^-10)   nearest, ties away from zero
 *
 * 1-6-9 and 0-6-10 (Adam's mean and variance) have neither subnormals nor infinities nor NaN: the exponent's code e stands for
 * 2^(e-60), all bits zero for 0, what is nearer to 0 than the smallest number becomes 0, and what is larger than the largest, or
 * NaN, becomes the largest.  0-6-10 has no negative numbers: they become 0.
 *
 * In f16 and bf16 NaN stays NaN, though not its bits.
 *
 * The stochastic forms round a finite number up or down in the last place with probabilities in the proportion of its distances,
 * from the low bits of a uniform word: 13 for f16, 16 for bf16 and among f16's subnormals, where what is below 2^-40 is cut off.
 * A number of the type stays as it is.  Above the largest number up is infinity.
 *
 * Source   IEEE 754; Ramesh et al. 2021, appendix D; the formats as in openai/blocksparse
 */
#ifndef BASE_BITS16_H
#define BASE_BITS16_H

#include <stdint.h>
#include <string.h>

#ifdef __CUDACC__
#define BITS16_ANYWHERE __host__ __device__
#else
#define BITS16_ANYWHERE
#endif

#define E6M9_MAX 15.984375f
#define E6M10_MAX 15.9921875f

BITS16_ANYWHERE static inline uint32_t bits_of(float x)
{
    uint32_t u;

    memcpy(&u, &x, sizeof u);
    return u;
}

BITS16_ANYWHERE static inline float float_of(uint32_t u)
{
    float x;

    memcpy(&x, &u, sizeof x);
    return x;
}

/* ---- f16 --------------------------------------------------------------------------------------------------------- */

BITS16_ANYWHERE static inline float f16_to_f32(uint16_t h)
{
    uint32_t a = h & 0x7fffu, sign = (uint32_t)(h & 0x8000u) << 16;
    uint32_t finite = bits_of(float_of(a << 13) * 0x1p112f); /* rebiased exactly, subnormals too */

    return float_of(sign | (a >= 0x7c00u ? 0x7f800000u | a << 13 : finite));
}

BITS16_ANYWHERE static inline uint16_t f16_from_f32(float x)
{
    uint32_t u = bits_of(x), a = u & 0x7fffffffu, sign = u >> 16 & 0x8000u;
    uint32_t normal = (a + 0xfffu + (a >> 13 & 1u) - (112u << 23)) >> 13;
    uint32_t small = bits_of(float_of(a) + 0.5f) - 0x3f000000u; /* a unit in the last place of 0.5 is 2^-24 */
    uint32_t h = a < 0x38800000u ? small : a < 0x477ff000u ? normal : a <= 0x7f800000u ? 0x7c00u : 0x7e00u;

    return (uint16_t)(sign | h);
}

BITS16_ANYWHERE static inline uint16_t f16_stochastic(float x, uint32_t random)
{
    uint32_t u = bits_of(x), a = u & 0x7fffffffu, sign = u >> 16 & 0x8000u;
    uint32_t normal = (a + (random & 0x1fffu) - (112u << 23)) >> 13;
    float size = float_of(a);
    int32_t units = (int32_t)((size < 0x1p-14f ? size : 0.0f) * 0x1p40f); /* of 2^-40; one in the last place has 2^16 */
    uint32_t small = ((uint32_t)units + (random & 0xffffu)) >> 16;
    uint32_t h = a < 0x38800000u ? small : a < 0x47800000u ? normal : a <= 0x7f800000u ? 0x7c00u : 0x7e00u;

    return (uint16_t)(sign | h);
}

/* ---- bf16 -------------------------------------------------------------------------------------------------------- */

BITS16_ANYWHERE static inline float bf16_to_f32(uint16_t h)
{
    return float_of((uint32_t)h << 16);
}

BITS16_ANYWHERE static inline uint16_t bf16_from_f32(float x)
{
    uint32_t u = bits_of(x);

    return (uint16_t)((u & 0x7fffffffu) > 0x7f800000u ? (u >> 16 | 0x40u) : (u + 0x7fffu + (u >> 16 & 1u)) >> 16);
}

BITS16_ANYWHERE static inline uint16_t bf16_stochastic(float x, uint32_t random)
{
    uint32_t u = bits_of(x);

    return (uint16_t)((u & 0x7fffffffu) >= 0x7f800000u ? bf16_from_f32(x) : (u + (random & 0xffffu)) >> 16);
}

/* ---- Adam's moments ---------------------------------------------------------------------------------------------- */

BITS16_ANYWHERE static inline float e6m9_to_f32(uint16_t h)
{
    uint32_t a = h & 0x7fffu;

    return float_of(a == 0 ? 0 : (uint32_t)(h & 0x8000u) << 16 | ((a << 14) + (67u << 23)));
}

BITS16_ANYWHERE static inline uint16_t e6m9_from_f32(float x)
{
    uint32_t u = bits_of(x), a = u & 0x7fffffffu, most = bits_of(E6M9_MAX);

    a = a > most ? most : a; /* NaN's bits are above those of all numbers */
    return (uint16_t)(a < (67u << 23) + (1u << 14) ? 0 : (u >> 16 & 0x8000u) | ((a + (1u << 13) - (67u << 23)) >> 14));
}

BITS16_ANYWHERE static inline float e6m10_to_f32(uint16_t h)
{
    return float_of(h == 0 ? 0 : ((uint32_t)h << 13) + (67u << 23));
}

BITS16_ANYWHERE static inline uint16_t e6m10_from_f32(float x)
{
    uint32_t u = bits_of(x), a = u & 0x7fffffffu, most = bits_of(E6M10_MAX);
    uint32_t code = ((a > most ? most : a) + (1u << 12) - (67u << 23)) >> 13;

    return (uint16_t)(a < (67u << 23) + (1u << 13) || (u >> 31 && a <= 0x7f800000u) ? 0 : code);
}

#endif

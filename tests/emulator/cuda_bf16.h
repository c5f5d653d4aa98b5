/* SPDX-License-Identifier: MIT */
/* cuda_bf16.h, cuda_fp16.h -- the two 16-bit types with the conversions that lib/compute/cuda uses. */
#ifndef EMULATOR_CUDA_BF16_H
#define EMULATOR_CUDA_BF16_H

#include <cstdint>
#include <cstring>

struct __nv_bfloat16 { uint16_t bits; };
struct __half { uint16_t bits; };

static inline float __bfloat162float(__nv_bfloat16 x)
{
    uint32_t u = (uint32_t)x.bits << 16;
    float f;

    memcpy(&f, &u, 4);
    return f;
}

static inline __nv_bfloat16 __float2bfloat16_rn(float x)
{
    uint32_t u;

    memcpy(&u, &x, 4);
    if (x != x)
        return {0x7fff};
    return {(uint16_t)((u + 0x7fffu + (u >> 16 & 1)) >> 16)};
}

/* By way of exact arithmetic in f32: subnormals are multiples of 2^-24. */
static inline __half __float2half_rn(float x)
{
    uint32_t u, sign, size;

    memcpy(&u, &x, 4);
    sign = u >> 16 & 0x8000u;
    size = u & 0x7fffffffu;
    if (size > 0x7f800000u)
        return {0x7fff};
    if (size >= 0x477ff000u) /* 65520 and more round to infinity */
        return {(uint16_t)(sign | 0x7c00u)};
    if (size < 0x38800000u) { /* below 2^-14 */
        float magic = 0.5f, f;

        memcpy(&f, &size, 4);
        f += magic;
        memcpy(&size, &f, 4);
        return {(uint16_t)(sign | (size - 0x3f000000u))};
    }
    size += 0xc8000000u + 0xfffu + (size >> 13 & 1);
    return {(uint16_t)(sign | size >> 13)};
}

static inline float __half2float(__half x)
{
    uint32_t sign = (uint32_t)(x.bits & 0x8000u) << 16, exponent = x.bits >> 10 & 31u, rest = x.bits & 0x3ffu, u;
    float f;

    if (exponent == 0) {
        f = (float)rest * 0x1p-24f;
        memcpy(&u, &f, 4);
        u |= sign;
    } else {
        u = sign | (exponent == 31 ? 0x7f800000u : (exponent + 112) << 23) | rest << 13;
    }
    memcpy(&f, &u, 4);
    return f;
}

static inline __nv_bfloat16 __ushort_as_bfloat16(uint16_t bits) { return {bits}; }
static inline __half __ushort_as_half(uint16_t bits) { return {bits}; }

#endif

/* SPDX-License-Identifier: MIT */
/* ptx.h -- lib/compute/cuda/ptx.h for the host: the lanes of a warp show each other their registers and compute their part.
 *
 * A copy happens when its thread waits for it, so that a kernel that does not wait reads what was there before. */
#ifndef COMPUTE_CUDA_PTX_H
#define COMPUTE_CUDA_PTX_H

#include <cassert>
#include <cstdint>
#include <cstring>
#include <vector>

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

static inline float emulator_f32(__nv_bfloat16 x) { return __bfloat162float(x); }
static inline float emulator_f32(__half x) { return __half2float(x); }
static inline void emulator_round(__nv_bfloat16 &y, float x) { y = __float2bfloat16_rn(x); }
static inline void emulator_round(__half &y, float x) { y = __float2half_rn(x); }

/* Four lanes, from first on, show 16 numbers of a row of a or a column of b: two in each of two registers. */
template <class T> static inline void emulator_sixteen(float (&x)[16], const uint64_t *all, int first, int word, int shift)
{
    for (int k = 0; k < 16; k++) {
        T half;

        half.bits = (uint16_t)(all[(first + k % 8 / 2) * EMULATOR_WORDS + word + k / 8] >> (shift + k % 2 * 16));
        x[k] = emulator_f32(half);
    }
}

/* Words 0 and 1 hold a[0] a[1] and a[2] a[3], words 2 and 3 b[0] and b[1]. */
template <class T> static inline void ptx_mma(float (&c)[4], const uint32_t (&a)[4], const uint32_t *b)
{
    const uint64_t mine[4] = {a[0] | (uint64_t)a[1] << 32, a[2] | (uint64_t)a[3] << 32, b[0], b[1]};
    const uint64_t *all = emulator_exchange(mine, 4);
    int g = emulator_lane() / 4, t = emulator_lane() % 4;
    float row[2][16], column[2][16];

    for (int i = 0; i < 2; i++) {
        emulator_sixteen<T>(row[i], all, 4 * g, 0, 32 * i);
        emulator_sixteen<T>(column[i], all, 4 * (2 * t + i), 2, 0);
    }
    for (int i = 0; i < 4; i++) {
        double sum = c[i];

        for (int k = 0; k < 16; k++)
            sum += (double)row[i / 2][k] * column[i % 2][k];
        c[i] = (float)sum;
    }
}

static inline uint16_t emulator_element(const uint64_t *all, int matrix, int row, int column)
{
    uint16_t x;

    memcpy(&x, (const unsigned char *)(uintptr_t)all[(8 * matrix + row) * EMULATOR_WORDS] + 2 * column, sizeof x);
    return x;
}

static inline void ptx_load(uint32_t (&r)[4], const void *row)
{
    uint64_t mine = (uint64_t)(uintptr_t)row;
    const uint64_t *all = emulator_exchange(&mine, 1);
    int g = emulator_lane() / 4, t = emulator_lane() % 4;

    assert(mine % 16 == 0);
    for (int i = 0; i < 4; i++)
        r[i] = emulator_element(all, i, g, 2 * t) | (uint32_t)emulator_element(all, i, g, 2 * t + 1) << 16;
}

static inline void ptx_load_turned(uint32_t (&r)[4], const void *row)
{
    uint64_t mine = (uint64_t)(uintptr_t)row;
    const uint64_t *all = emulator_exchange(&mine, 1);
    int g = emulator_lane() / 4, t = emulator_lane() % 4;

    assert(mine % 16 == 0);
    for (int i = 0; i < 4; i++)
        r[i] = emulator_element(all, i, 2 * t, g) | (uint32_t)emulator_element(all, i, 2 * t + 1, g) << 16;
}

struct emulator_copy {
    void *to;
    const void *from; /* NULL: zeros */
};

/* Of the thread that runs; one list for all files, whose templates the linker merges. */
inline std::vector<emulator_copy> &emulator_copies(void)
{
    static std::vector<emulator_copy> copies[1024];

    return copies[threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)];
}

static inline void ptx_copy(void *shared, const void *global, bool there)
{
    assert((uintptr_t)shared % 16 == 0 && (uintptr_t)global % 16 == 0);
    emulator_copies().push_back({shared, there ? global : NULL});
}

static inline void ptx_copy_wait(void)
{
    for (const emulator_copy &c : emulator_copies())
        c.from ? (void)memcpy(c.to, c.from, 16) : (void)memset(c.to, 0, 16);
    emulator_copies().clear();
}

template <class T> static inline uint32_t ptx_pack(float first, float second)
{
    T lower, upper;

    emulator_round(lower, first);
    emulator_round(upper, second);
    return lower.bits | (uint32_t)upper.bits << 16;
}

static inline float ptx_exp2(float x) { return exp2f(x); }

#endif

/* SPDX-License-Identifier: MIT */
/* machine.h -- what the machine itself reaches with all threads, measured beside a benchmark: hosts that are shared change
 * their speed from second to second, so a rate is told as a share of these, taken in the same second.
 *
 *   machine_flops       multiply-adds from registers, operations a second: f32, or products of bf16 by dots or tiles
 *   machine_bandwidth   reading a block that no cache holds, bytes a second
 */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

#include <omp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/par.h"

#if defined __x86_64__
#include <immintrin.h>
#endif

enum { MACHINE_SUMS = 12, MACHINE_LOOPS = 200000 };

/* Sums have names, or they would travel through memory. */
#define MACHINE_ALL(to) to(a) to(b) to(c) to(d) to(e) to(f) to(g) to(h) to(i) to(j) to(k) to(l)
#define MACHINE_ZERO(s) s = x; MACHINE_KEEP(s) /* or the compiler knows that all are the same */
#define MACHINE_KEEP(s) __asm__ volatile("" : "+v"(s));
#define MACHINE_LOOP(name, isa, type, zero, step)                                                                      \
    __attribute__((target(isa), noinline)) static void name(void)                                                      \
    {                                                                                                                  \
        type x = zero, a, b, c, d, e, f, g, h, i, j, k, l;                                                             \
                                                                                                                       \
        MACHINE_ALL(MACHINE_ZERO)                                                                                      \
        for (int left = MACHINE_LOOPS; left > 0; left--) {                                                             \
            MACHINE_ALL(step)                                                                                          \
            MACHINE_KEEP(x)                                                                                            \
        }                                                                                                              \
        MACHINE_ALL(MACHINE_KEEP)                                                                                      \
    }

#if defined __x86_64__
#define MACHINE_V4(s) s = _mm512_fmadd_ps(x, x, s);
#define MACHINE_V3(s) s = _mm256_fmadd_ps(x, x, s);
#define MACHINE_DOT(s) s = _mm512_dpbf16_ps(s, (__m512bh)x, (__m512bh)x);
MACHINE_LOOP(machine_f32_v4, "avx512f", __m512, _mm512_setzero_ps(), MACHINE_V4)
MACHINE_LOOP(machine_f32_v3, "avx2,fma", __m256, _mm256_setzero_ps(), MACHINE_V3)
MACHINE_LOOP(machine_dots, "avx512bf16", __m512, _mm512_setzero_ps(), MACHINE_DOT)

__attribute__((target("amx-tile,amx-bf16"), noinline)) static void machine_tiles(void)
{
    static const struct {
        uint8_t palette, start, zero[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } all = {1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};

    _tile_loadconfig(&all);
    for (int i = 0; i < MACHINE_LOOPS / 16; i++) {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_release();
}
#else
static void machine_f32(void)
{
    float sum[16 * MACHINE_SUMS] = {0}, x = 0;

    for (int i = 0; i < MACHINE_LOOPS; i++) {
        for (int j = 0; j < 16 * MACHINE_SUMS; j++)
            sum[j] += x * x;
        __asm__ volatile("" : "+r"(x));
    }
    __asm__ volatile("" : : "m"(sum));
}
#endif

enum machine_unit { MACHINE_F32, MACHINE_DOTS, MACHINE_TILES };

/* The unit that makes products of f32 factors, or of bf16 ones. */
static inline enum machine_unit machine_unit(bool bf16)
{
    FILE *f = bf16 ? fopen("/proc/cpuinfo", "r") : NULL;
    enum machine_unit unit = MACHINE_F32;
    char line[8192];

    while (f && unit == MACHINE_F32 && fgets(line, sizeof line, f))
        unit = strstr(line, " amx_bf16") ? MACHINE_TILES : strstr(line, " avx512_bf16") ? MACHINE_DOTS : MACHINE_F32;
    if (f)
        fclose(f);
    return unit;
}

/* The unit has to be there. */
static inline double machine_flops(enum machine_unit unit)
{
    void (*loop)(void);
    double each, best = 0;

#if defined __x86_64__
    bool wide = __builtin_cpu_supports("avx512f");

    loop = unit == MACHINE_TILES ? machine_tiles : unit == MACHINE_DOTS ? machine_dots : wide ? machine_f32_v4 : machine_f32_v3;
    each = unit == MACHINE_TILES  ? MACHINE_LOOPS / 16 * 4.0 * 16 * 16 * 32 * 2
           : unit == MACHINE_DOTS ? MACHINE_LOOPS * MACHINE_SUMS * 64.0
                                  : MACHINE_LOOPS * MACHINE_SUMS * (wide ? 32.0 : 16.0);
#else
    (void)unit;
    loop = machine_f32;
    each = MACHINE_LOOPS * MACHINE_SUMS * 32.0;
#endif
    for (int round = 0; round < 5; round++) {
        double start = omp_get_wtime(), rate;

#pragma omp parallel
        loop();
        rate = each * par_threads() / (omp_get_wtime() - start);
        best = rate > best ? rate : best;
    }
    return best;
}

static inline double machine_bandwidth(void)
{
    enum { SIZE = 256 << 20 };
    static uint64_t *block;
    uint64_t total = 0;
    double best = 0;

    if (!block && (block = malloc(SIZE)))
        memset(block, 1, SIZE);
    for (int round = 0; block && round < 2; round++) {
        double start = omp_get_wtime(), rate;

#pragma omp parallel for reduction(+ : total)
        for (int64_t i = 0; i < (int64_t)(SIZE / sizeof *block); i += 8) /* a word of each line */
            total += block[i];
        rate = SIZE / (omp_get_wtime() - start);
        best = rate > best ? rate : best;
    }
    __asm__ volatile("" : : "r"(total));
    return best;
}

#endif

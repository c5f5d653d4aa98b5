/* SPDX-License-Identifier: MIT */
/* gemm_bf16.c -- gemm.h's products of factors rounded to bf16, summed in f32.
 *
 * Both factors are rounded while they are packed: a block of a by the thread that takes it, b by all threads together, a
 * stretch of k at a time.  Packed in squares that a tile register holds (AMX); the pairs of k beside each other are also
 * what a dot product of AVX-512 wants.
 *
 *   a   [rows/16][depth/32][16][32]      b   [n/32][depth/2][32][2]      zeros behind k, n and the last row
 *
 * Easy to get wrong: tile registers are a thread's own state, set up and released inside the parallel region.
 */
#include "compute/cpu/gemm.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/par.h"
#include "compute/cpu/gelu.h"
#include "compute/cpu/math.h"

#if VEC == 16
#include <sys/syscall.h>
#include <unistd.h>
#endif

#if VEC != 16

enum cpu_bf16 cpu_bf16_best(void)
{
    return CPU_BF16_EMULATED;
}

int cpu_gemm_bf16(struct cpu *cpu, float *y, const float *a, const float *b, const float *bias, const struct gemm *how)
{
    return cpu_gemm(cpu, y, a, b, bias, how); /* never asked for */
}

#else

#define DOT __attribute__((target("avx512bf16")))
#define TILES __attribute__((target("amx-tile,amx-bf16")))

enum {
    SIDE = 16,               /* rows of a tile, and its f32 columns */
    DEEP = 32,               /* k of a tile */
    SQUARE = SIDE * DEEP,    /* elements of a tile */
    GROUP = 2 * SIDE,        /* rows and columns of y that the kernel works on at a time */
    STRETCH = 1024,          /* k at a time: a block of a stays in the second cache, y is seldom touched */
    PART = 512,              /* of it: a panel of b stays in the first cache */
    BLOCK = 4 * GROUP,       /* rows of y that a thread takes at a time */
    BLOCKS_MIN = 4           /* blocks a thread, so that the last one waits little */
};

/* One stretch of k. */
struct stretch {
    const struct gemm *how;
    int64_t from, count; /* of k */
    int64_t depth;       /* count rounded up to whole tiles */
    bool first, last;
    const uint16_t *b;   /* borrowed: packed */
    const float *bias;   /* borrowed, or NULL */
};

/* low's 16 numbers, then high's, as bf16. */
DOT static inline __m512i to_bf16(vec low, vec high)
{
    return (__m512i)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
}

/* ---- packing ------------------------------------------------------------------------------------------------------ */

/* Rows first..first+rows-1 of a, up to whole groups. */
DOT static void pack_a(uint16_t *packed, const float *a, const struct stretch *s, int64_t first, int64_t rows)
{
    int64_t stride = s->how->k;

    a += first * stride + s->from;
    for (int64_t r = 0; r < up(rows, SIDE); r++)
        for (int64_t k = 0; k < s->depth; k += DEEP) {
            int64_t left = r < rows ? s->count - k : 0;
            const float *x = a + r * stride + k;

            _mm512_storeu_si512(packed + r / SIDE * SIDE * s->depth + k * SIDE + r % SIDE * DEEP,
                                to_bf16(vec_load_some(x, left), vec_load_some(x + VEC, left - VEC)));
        }
}

/* The same where a lies transposed, [k,m]. */
DOT static void pack_a_across(uint16_t *packed, const float *a, const struct stretch *s, int64_t first, int64_t rows)
{
    int64_t stride = s->how->m;
    vec sums[BLOCK / SIDE] = {{0}};

    a += s->from * stride + first;
    for (int64_t k = 0; k < s->depth; k += DEEP) /* outside: rows of k are pages apart */
        for (int64_t r = 0; r < rows; r += SIDE) {
            uint16_t *tile = packed + r * s->depth + k * SIDE;
            vec x[2][SIDE];

            for (int half = 0; half < 2; half++) {
                for (int i = 0; i < SIDE; i++) {
                    int64_t at = k + half * SIDE + i;

                    x[half][i] = vec_load_some(a + at * stride + r, at < s->count ? rows - r : 0);
                    sums[r / SIDE] += x[half][i];
                }
                vec_transpose(x[half]);
            }
            for (int i = 0; i < SIDE; i++)
                _mm512_storeu_si512(tile + i * DEEP, to_bf16(x[0][i], x[1][i]));
        }
    for (int64_t r = 0; s->how->row_sums && r < rows; r += SIDE) {
        float *to = s->how->row_sums + first + r;

        vec_store_some(to, vec_load_some(to, rows - r) + sums[r / SIDE], rows - r);
    }
}

/* One panel of b, [k,n]: two rows of k interleaved. */
DOT static void pack_b(uint16_t *panel, const float *b, const struct stretch *s, int64_t column)
{
    static const uint16_t order[] = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23,
                                     8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    __m512i zip = _mm512_loadu_si512(order);
    int64_t stride = s->how->n, left = s->how->n - column;

    b += s->from * stride + column;
    for (int64_t k = 0; k < s->depth; k += 2)
        for (int64_t part = 0; part < GROUP; part += SIDE) {
            const float *x = b + k * stride + part;
            vec low = vec_load_some(x, k < s->count ? left - part : 0);
            vec high = vec_load_some(x + stride, k + 1 < s->count ? left - part : 0);

            _mm512_storeu_si512(panel + k * GROUP + part * 2, _mm512_permutexvar_epi16(zip, to_bf16(low, high)));
        }
}

/* The same where b lies transposed, [n,k]: pairs are neighbours already, squares of them are transposed. */
DOT static void pack_b_across(uint16_t *panel, const float *b, const struct stretch *s, int64_t column)
{
    int64_t stride = s->how->k, left = s->how->n - column;

    b += column * stride + s->from;
    for (int64_t part = 0; part < GROUP; part += SIDE)
        for (int64_t k = 0; k < s->depth; k += DEEP) {
            vec x[SIDE];

            for (int i = 0; i < SIDE; i++) {
                const float *row = b + (part + i) * stride + k;
                int64_t count = part + i < left ? s->count - k : 0;

                x[i] = (vec)to_bf16(vec_load_some(row, count), vec_load_some(row + VEC, count - VEC));
            }
            vec_transpose(x);
            for (int i = 0; i < SIDE; i++)
                _mm512_storeu_si512(panel + (k + 2 * i) * GROUP + part * 2, (__m512i)x[i]);
        }
}

/* ---- kernels: a group of y, [32][32] ------------------------------------------------------------------------------- */

typedef float square[GROUP][GROUP];

/* Two rows of squares of a, the second by_a elements behind the first; b's panel.  add: to y.  Sums of low rows and right
 * columns are made where asked for. */
TILES static void group_tiles(square y, const uint16_t *a, int64_t by_a, const uint16_t *b, int64_t depth, bool add, bool low,
                              bool right)
{
    enum { BY_A = DEEP * 2, BY_B = GROUP * 4, BY_Y = GROUP * 4 }; /* bytes from row to row */
    const uint16_t *a2 = a + by_a;

    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    if (add) {
        _tile_loadd(0, y[0], BY_Y);
        if (right)
            _tile_loadd(1, y[0] + SIDE, BY_Y);
        if (low)
            _tile_loadd(2, y[SIDE], BY_Y);
        if (low && right)
            _tile_loadd(3, y[SIDE] + SIDE, BY_Y);
    }
    if (low && right)
        for (int64_t k = 0; k < depth; k += DEEP) {
            _tile_loadd(4, a + k * SIDE, BY_A);
            _tile_loadd(6, b + k * GROUP, BY_B);
            _tile_dpbf16ps(0, 4, 6);
            _tile_loadd(7, b + k * GROUP + DEEP, BY_B);
            _tile_dpbf16ps(1, 4, 7);
            _tile_loadd(5, a2 + k * SIDE, BY_A);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
    else
        for (int64_t k = 0; k < depth; k += DEEP) {
            _tile_loadd(4, a + k * SIDE, BY_A);
            _tile_loadd(6, b + k * GROUP, BY_B);
            _tile_dpbf16ps(0, 4, 6);
            if (right) {
                _tile_loadd(7, b + k * GROUP + DEEP, BY_B);
                _tile_dpbf16ps(1, 4, 7);
            }
            if (low) {
                _tile_loadd(5, a2 + k * SIDE, BY_A);
                _tile_dpbf16ps(2, 5, 6);
            }
        }
    _tile_stored(0, y[0], BY_Y);
    if (right)
        _tile_stored(1, y[0] + SIDE, BY_Y);
    if (low)
        _tile_stored(2, y[SIDE], BY_Y);
    if (low && right)
        _tile_stored(3, y[SIDE] + SIDE, BY_Y);
}

/* Rows of eight at a time, two registers wide. */
DOT static void group_dots(square y, const uint16_t *a, int64_t by_a, const uint16_t *b, int64_t depth, bool add, bool low)
{
    enum { ROWS = 8 };

    for (int64_t r = 0; r < (low ? GROUP : SIDE); r += ROWS) {
        const uint16_t *x = a + r / SIDE * by_a + r % SIDE * DEEP;
        __m512 sum[ROWS][2];

        for (int i = 0; i < ROWS; i++)
            for (int half = 0; half < 2; half++)
                sum[i][half] = add ? _mm512_loadu_ps(y[r + i] + half * SIDE) : _mm512_setzero_ps();
        for (int64_t k = 0; k < depth; k += 2) {
            __m512bh left = (__m512bh)_mm512_loadu_si512(b + k * GROUP);
            __m512bh right = (__m512bh)_mm512_loadu_si512(b + k * GROUP + DEEP);

            for (int i = 0; i < ROWS; i++) {
                int32_t pair;
                __m512bh all;

                memcpy(&pair, x + k / DEEP * SQUARE + i * DEEP + k % DEEP, sizeof pair);
                all = (__m512bh)_mm512_set1_epi32(pair);
                sum[i][0] = _mm512_dpbf16_ps(sum[i][0], all, left);
                sum[i][1] = _mm512_dpbf16_ps(sum[i][1], all, right);
            }
        }
        for (int i = 0; i < ROWS; i++) {
            _mm512_storeu_ps(y[r + i], sum[i][0]);
            _mm512_storeu_ps(y[r + i] + SIDE, sum[i][1]);
        }
    }
}

/* Finished sums of a group go to y, whose row first they begin in. */
static void put(float *y, const square sum, const struct stretch *s, int64_t first, int64_t rows, int64_t column)
{
    const struct gemm *how = s->how;
    int64_t columns = how->n - column;
    bool add = how->add || !s->first;

    for (int64_t part = 0; part < GROUP && part < columns; part += SIDE) {
        int64_t count = columns - part < SIDE ? columns - part : SIDE;
        vec bias = s->last && s->bias ? vec_load_some(s->bias + column + part, count) : vec_all(0.0f);

        for (int64_t r = 0; r < rows; r++) {
            int64_t at = (first + r) * how->n + column + part;
            vec v = how->gain * (vec_load(sum[r] + part) + bias);

            if (how->act)
                v = gelu(v);
            if (add)
                v += vec_load_some(y + at, count);
            if (s->first && how->plus)
                v += vec_load_some(how->plus + at, count);
            if (s->last && how->relu)
                v = (vec)((veci)v & ~(v < 0.0f));
            if (s->last && how->gelu_grad)
                v *= gelu_slope(vec_load_some(how->gelu_grad + at, count));
            vec_store_some(y + at, v, count);
            if (s->last && how->gelu)
                vec_store_some(how->gelu + at, gelu(v), count);
        }
    }
}

/* ---- the whole ----------------------------------------------------------------------------------------------------- */

/* A panel of y's columns for rows first..first+rows-1, at most BLOCK, packed. */
static void panel(float *y, const uint16_t *packed, const struct stretch *s, int64_t column, int64_t first, int64_t rows,
                  bool tiles)
{
    bool right = s->how->n - column > SIDE;
    square sum[BLOCK / GROUP];

    for (int64_t k = 0; k < s->depth; k += PART) {
        const uint16_t *b = s->b + column * s->depth + k * GROUP;
        int64_t depth = s->depth - k < PART ? s->depth - k : PART;

        for (int64_t r = 0; r < rows; r += GROUP) {
            const uint16_t *a = packed + r * s->depth + k * SIDE;

            if (tiles)
                group_tiles(sum[r / GROUP], a, SIDE * s->depth, b, depth, k > 0, rows - r > SIDE, right);
            else
                group_dots(sum[r / GROUP], a, SIDE * s->depth, b, depth, k > 0, rows - r > SIDE);
        }
    }
    for (int64_t r = 0; r < rows; r += GROUP)
        put(y, sum[r / GROUP], s, first + r, rows - r < GROUP ? rows - r : GROUP, column);
}

TILES static void tiles_start(void)
{
    static const struct {
        uint8_t palette, start, zero[14];
        uint16_t bytes[16]; /* of a row */
        uint8_t rows[16];
    } all = {1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};

    _tile_loadconfig(&all);
}

TILES static void tiles_end(void)
{
    _tile_release();
}

/* Linux gives a process tile registers when it asks. */
static bool tiles_granted(void)
{
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };

    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

/* gcc 12's __builtin_cpu_supports knows neither: CPUID leaf 7. */
enum cpu_bf16 cpu_bf16_best(void)
{
    uint32_t eax = 7, ebx, ecx = 0, edx;
    bool tiles, dots;

    __asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    tiles = edx >> 22 & edx >> 24 & 1;
    eax = 7;
    ecx = 1;
    __asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    dots = eax >> 5 & 1;
    return !dots ? CPU_BF16_EMULATED : tiles && tiles_granted() ? CPU_BF16_TILES : CPU_BF16_DOTS;
}

int cpu_gemm_bf16(struct cpu *cpu, float *y, const float *a, const float *b, const float *bias, const struct gemm *how)
{
    int64_t wide = up(how->n, GROUP), threads = par_threads(), deep = up(how->k < STRETCH ? how->k : STRETCH, DEEP);
    int64_t rows = up(how->m / (BLOCKS_MIN * threads), GROUP);
    bool tiles = cpu->bf16 == CPU_BF16_TILES;
    uint16_t *packed;

    rows = rows < GROUP ? GROUP : rows > BLOCK ? BLOCK : rows;
    if (!(packed = cpu_scratch(cpu, (size_t)((wide + threads * rows) * deep) * sizeof *packed)))
        return cpu_lacking(cpu);
#pragma omp parallel
    {
        uint16_t *own = packed + (wide + omp_get_thread_num() * rows) * deep;

        if (tiles)
            tiles_start();
        for (int64_t from = 0; from < how->k; from += STRETCH) {
            struct stretch s = {.how = how, .from = from, .first = from == 0, .b = packed, .bias = bias};

            s.count = how->k - from < STRETCH ? how->k - from : STRETCH;
            s.depth = up(s.count, DEEP);
            s.last = from + s.count == how->k;
#pragma omp for schedule(static)
            for (int64_t column = 0; column < how->n; column += GROUP)
                (how->tb ? pack_b_across : pack_b)(packed + column * s.depth, b, &s, column);
#pragma omp for schedule(dynamic)
            for (int64_t first = 0; first < how->m; first += rows) {
                int64_t some = how->m - first < rows ? how->m - first : rows;

                (how->ta ? pack_a_across : pack_a)(own, a, &s, first, some);
                for (int64_t column = 0; column < how->n; column += GROUP)
                    panel(y, own, &s, column, first, some, tiles);
            }
        }
        if (tiles)
            tiles_end();
    }
    return 0;
}

/* ---- few rows, packed weights (compute/sample.h) ------------------------------------------------------------------- */

size_t cpu_thin_bf16_size(int64_t n, int64_t k)
{
    return (size_t)(up(n, GROUP) * up(k, DEEP)) * sizeof(uint16_t);
}

void cpu_thin_bf16_pack(void *packed, const float *w, int64_t n, int64_t k)
{
    struct gemm how = {.n = n, .k = k, .tb = true};
    struct stretch s = {.how = &how, .count = k, .depth = up(k, DEEP)};

#pragma omp parallel for schedule(static)
    for (int64_t column = 0; column < n; column += GROUP)
        pack_b_across((uint16_t *)packed + column * s.depth, w, &s, column);
}

int cpu_thin_bf16(struct cpu *cpu, float *y, const float *x, const void *packed, const float *bias, const struct gemm *how)
{
    struct stretch s = {.how = how, .count = how->k, .depth = up(how->k, DEEP), .first = true, .last = true, .b = packed,
                        .bias = bias};
    bool tiles = cpu->bf16 == CPU_BF16_TILES;
    uint16_t *rows = cpu_scratch(cpu, (size_t)(up(how->m, GROUP) * s.depth) * sizeof *rows);

    if (!rows)
        return cpu_lacking(cpu);
    pack_a(rows, x, &s, 0, how->m);
#pragma omp parallel
    {
        if (tiles)
            tiles_start();
#pragma omp for schedule(static)
        for (int64_t column = 0; column < how->n; column += GROUP)
            for (int64_t first = 0; first < how->m; first += BLOCK)
                panel(y, rows + first * s.depth, &s, column, first, how->m - first < BLOCK ? how->m - first : BLOCK, tiles);
        if (tiles)
            tiles_end();
    }
    return 0;
}

#endif

/* SPDX-License-Identifier: MIT */
/* winograd.c -- 3x3 convolutions by F(2x2,3x3): 16 products where there were 36, in f32.
 *
 * Pictures are cut into tiles of 2x2 outputs, numbered through the batch.  A block of tiles is one piece of work:
 *
 *   v[16][tile][i] = B^T d B,  m[16][tile][o] = v[16] u[16],  y = A^T m A;      u[16][i][o] = G w G^T once a call
 *
 * The block is chosen so that v and m stay in L2.  Weight gradients run the other way, du[16][i][o] += v[16]^T (A dy A^T),
 * dw = G^T du G: the batch is cut into a fixed number of slices, each with sums of its own, which are added in order.
 *
 * Easy to get wrong: pixels outside the picture are read from a row of zeros; the longer of i and o lies along the
 * registers of a weight gradient, so du may be [16][o][i].
 */
#include "compute/cpu/direct.h"

#include <omp.h>
#include <string.h>

#include "base/par.h"
#include "compute/cpu/product.h"

#define BLOCK_BYTES (256 << 10) /* v and m of a block of tiles */
#define BLOCK_SMALL 64          /* tiles in a block that is to stay in L2, at most */
#define BLOCK_LARGE 128         /* in one with many channels */
#define PAD 16                  /* floats between the 16 planes, so that they do not share a set of the first cache */
#define SLICES 16               /* of a weight gradient, at most */
#define SLICE_TILES 128         /* in a slice, at least */
#define SLICE_SUMS (1 << 24)    /* floats of all slices' sums, at most */

#define LANES vec
#define LANES_NEAR vec_near
#define LANES_NAME(x) vec_##x
#include "compute/cpu/wino.h"

#if VEC == 16
#define LANES half
#define LANES_NEAR half_near
#define LANES_NAME(x) half_##x
#include "compute/cpu/wino.h"
#endif

/* A tile's place, moved on one by one. */
struct cursor {
    int64_t n, row, column; /* in tiles */
    int64_t rows, columns;  /* of a picture */
};

static struct cursor cursor_at(const struct cpu_direct *how, int64_t tile)
{
    struct cursor c = {.rows = (how->h + 1) / 2, .columns = (how->w + 1) / 2};

    c.column = tile % c.columns;
    c.row = tile / c.columns % c.rows;
    c.n = tile / (c.columns * c.rows);
    return c;
}

static void cursor_next(struct cursor *c)
{
    if (++c->column < c->columns)
        return;
    c->column = 0;
    if (++c->row < c->rows)
        return;
    c->row = 0;
    c->n++;
}

static int64_t count_tiles(const struct cpu_direct *how)
{
    return how->n * ((how->h + 1) / 2) * ((how->w + 1) / 2);
}

/* Tiles in a block, a multiple of 8.  The weights, or the sums of a weight gradient, are read once a block: with many
 * channels a block grows until they cost no more than v and m do outside L2. */
static int64_t block_of(int64_t i, int64_t o)
{
    int64_t small = BLOCK_BYTES / (16 * (int64_t)sizeof(float) * (i + o)) / 8 * 8, large = i * o / (i + o) / 8 * 8;

    small = small < 8 ? 8 : small > BLOCK_SMALL ? BLOCK_SMALL : small;
    large = large > BLOCK_LARGE ? BLOCK_LARGE : large;
    return small > large ? small : large;
}

/* The size x size pixels at (first row, first column) = (2*row - before, 2*column - before); zeros outside. */
static void window(const float **from, const float *x, const float *zeros, const struct cpu_direct *how, int64_t channels,
                   const struct cursor *c, int size, int before)
{
    for (int r = 0; r < size; r++) {
        int64_t row = 2 * c->row - before + r;
        const float *line = x + (c->n * how->h + row) * how->w * channels;

        for (int j = 0; j < size; j++) {
            int64_t column = 2 * c->column - before + j;
            bool inside = row >= 0 && row < how->h && column >= 0 && column < how->w;

            from[size * r + j] = inside ? line + column * channels : zeros;
        }
    }
}

/* v[16][block][i] of the tiles from c on; tiles past the last are zeros. */
static void spread_block(float *v, const float *x, const float *zeros, const struct cpu_direct *how, struct cursor c,
                         int64_t block)
{
    const float *from[16];

    for (int64_t t = 0; t < block; t++) {
        int64_t at = 0;

        for (int j = 0; c.n >= how->n && j < 16; j++)
            from[j] = zeros;
        if (c.n < how->n)
            window(from, x, zeros, how, how->i, &c, 4, 1);
        for (; at + VEC <= how->i; at += VEC)
            vec_spread(v + t * how->i, block * how->i + PAD, from, at);
#if VEC == 16
        if (at < how->i)
            half_spread(v + t * how->i, block * how->i + PAD, from, at);
#endif
        cursor_next(&c);
    }
}

/* v[16][block][o] of the output's gradient. */
static void widen_block(float *v, const float *dy, const float *zeros, const struct cpu_direct *how, struct cursor c,
                        int64_t block)
{
    const float *from[4];

    for (int64_t t = 0; t < block; t++) {
        int64_t at = 0;

        for (int j = 0; c.n >= how->n && j < 4; j++)
            from[j] = zeros;
        if (c.n < how->n)
            window(from, dy, zeros, how, how->o, &c, 2, 0);
        for (; at + VEC <= how->o; at += VEC)
            vec_widen(v + t * how->o, block * how->o + PAD, from, at);
#if VEC == 16
        if (at < how->o)
            half_widen(v + t * how->o, block * how->o + PAD, from, at);
#endif
        cursor_next(&c);
    }
}

static void gather_block(float *y, const float *m, const struct cpu_direct *how, struct cursor c, int64_t block)
{
    for (int64_t t = 0; t < block && c.n < how->n; t++) {
        int64_t at = 0, to[4];

        for (int j = 0; j < 4; j++) {
            int64_t row = 2 * c.row + j / 2, column = 2 * c.column + j % 2;

            to[j] = row < how->h && column < how->w ? ((c.n * how->h + row) * how->w + column) * how->o : -1;
        }
        for (; at + VEC <= how->o; at += VEC)
            vec_gather(y, m + t * how->o, block * how->o + PAD, to, how, at);
#if VEC == 16
        if (at < how->o)
            half_gather(y, m + t * how->o, block * how->o + PAD, to, how, at);
#endif
        cursor_next(&c);
    }
}

/* u[16][i][o] = gain * G w G^T for all i and `width` outputs from o on. */
static inline __attribute__((always_inline)) void transform_columns(float *u, const float *w,
                                                                    const struct cpu_direct *how, int64_t o,
                                                                    const int width)
{
    int64_t in = how->i, out = how->o, by_in = how->turned ? out * 9 : 9, by_out = how->turned ? 9 : in * 9;

    for (int64_t i = 0; i < in; i++) {
        const float *from = w + i * by_in + o * by_out;
        float g[9][16], t[4][3][16];

        for (int l = 0; l < width; l++)
            for (int k = 0; k < 9; k++)
                g[how->turned ? 8 - k : k][l] = from[l * by_out + k];
        for (int c = 0; c < 3; c++)
#pragma omp simd
            for (int l = 0; l < width; l++) {
                float first = how->gain * g[c][l], last = how->gain * g[6 + c][l];
                float sum = 0.5f * (first + last), middle = 0.5f * how->gain * g[3 + c][l];

                t[0][c][l] = first;
                t[1][c][l] = sum + middle;
                t[2][c][l] = sum - middle;
                t[3][c][l] = last;
            }
        for (int r = 0; r < 4; r++) {
            float *to = u + (4 * r * in + i) * out + o;

#pragma omp simd
            for (int l = 0; l < width; l++) {
                float sum = 0.5f * (t[r][0][l] + t[r][2][l]);

                to[l] = t[r][0][l];
                to[in * out + l] = sum + 0.5f * t[r][1][l];
                to[2 * in * out + l] = sum - 0.5f * t[r][1][l];
                to[3 * in * out + l] = t[r][2][l];
            }
        }
    }
}

static void transform_weights(float *u, const float *w, const struct cpu_direct *how)
{
#pragma omp parallel for schedule(static)
    for (int64_t o = 0; o < how->o; o += 16)
        if (how->o - o >= 16)
            transform_columns(u, w, how, o, 16);
        else
            transform_columns(u, w, how, o, 8);
}

int cpu_winograd(struct cpu *cpu, float *y, const float *x, const float *w, const struct cpu_direct *how)
{
    int64_t in = how->i, out = how->o, tiles = count_tiles(how), block = block_of(in, out);
    int64_t v_plane = block * in + PAD, m_plane = block * out + PAD, room = direct_lines(16 * (v_plane + m_plane));
    float *u = cpu_scratch(cpu, (size_t)(16 * in * out + direct_lines(in) + direct_lines(out) + par_threads() * room) * sizeof *u);
    float *zeros = u + 16 * in * out, *bias = zeros + direct_lines(in), *work = bias + direct_lines(out);
    struct cpu_direct then = *how;

    if (!u)
        return cpu_lacking(cpu);
    memset(zeros, 0, (size_t)in * sizeof *zeros);
    direct_bias(&then, bias);
    transform_weights(u, w, how);
#pragma omp parallel for schedule(dynamic)
    for (int64_t tile = 0; tile < tiles; tile += block) {
        struct cursor c = cursor_at(how, tile);
        float *v = work + omp_get_thread_num() * room, *m = v + 16 * v_plane;

        spread_block(v, x, zeros, how, c, block);
        for (int k = 0; k < 16; k++)
            cpu_product(m + k * m_plane, out, v + k * v_plane, in, 1, u + k * in * out, out, block, out, in, false,
                        NULL);
        gather_block(y, m, &then, c, block);
    }
    return 0;
}

/* Add the tiles of one slice to du[16][shorter][longer] and db[o]; v and z hold a block of the input and of the output's
 * gradient. */
static void sum_slice(float *du, float *db, float *v, float *z, const float *dy, const float *x, const float *zeros,
                      const struct cpu_direct *how, int64_t first, int64_t last, int64_t block)
{
    int64_t in = how->i, out = how->o, v_plane = block * in + PAD, z_plane = block * out + PAD;

    for (int64_t tile = first; tile < last; tile += block) {
        struct cursor c = cursor_at(how, tile);

        spread_block(v, x, zeros, how, c, block);
        widen_block(z, dy, zeros, how, c, block);
        for (int k = 0; k < 16; k++) {
            const float *vk = v + k * v_plane, *zk = z + k * z_plane;

            if (out >= in)
                cpu_product(du + k * in * out, out, vk, 1, in, zk, out, in, out, block, true, NULL);
            else
                cpu_product(du + k * in * out, in, zk, 1, out, vk, in, out, in, block, true, NULL);
        }
        for (int64_t t = 0; t < block; t++) /* plane 5 is the sum of the four pixels */
#pragma omp simd
            for (int64_t o = 0; o < out; o++)
                db[o] += z[5 * z_plane + t * out + o];
    }
}

/* dw += gain * G^T du G, eight neighbours along the longer side at a time. */
static void finish_weights(float *dw, const float *du, const struct cpu_direct *how)
{
    int64_t in = how->i, out = how->o, plane = in * out, rows = out >= in ? in : out, longer = out >= in ? out : in;
    int64_t by_row = out >= in ? 9 : 9 * in, by_lane = out >= in ? 9 * in : 9;

#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < rows; row++)
        for (int64_t at = 0; at < longer; at += 8) {
            const float *m = du + row * longer + at;
            float t[3][4][8], g[9][8];

            for (int c = 0; c < 4; c++)
                for (int l = 0; l < 8; l++) {
                    float a = m[c * plane + l], b = m[(4 + c) * plane + l], d = m[(8 + c) * plane + l];

                    t[0][c][l] = a + 0.5f * (b + d);
                    t[1][c][l] = 0.5f * (b - d);
                    t[2][c][l] = 0.5f * (b + d) + m[(12 + c) * plane + l];
                }
            for (int r = 0; r < 3; r++)
                for (int l = 0; l < 8; l++) {
                    g[3 * r][l] = t[r][0][l] + 0.5f * (t[r][1][l] + t[r][2][l]);
                    g[3 * r + 1][l] = 0.5f * (t[r][1][l] - t[r][2][l]);
                    g[3 * r + 2][l] = 0.5f * (t[r][1][l] + t[r][2][l]) + t[r][3][l];
                }
            for (int l = 0; l < 8; l++)
                for (int k = 0; k < 9; k++)
                    dw[row * by_row + (at + l) * by_lane + k] += how->gain * g[k][l];
        }
}

static int64_t count_slices(int64_t tiles, int64_t sums)
{
    int64_t slices = tiles / SLICE_TILES;

    slices = slices > SLICES ? SLICES : slices;
    slices = slices > SLICE_SUMS / sums ? SLICE_SUMS / sums : slices;
    return slices < 1 ? 1 : slices;
}

int cpu_winograd_dw(struct cpu *cpu, float *dw, float *db, const float *dy, const float *x, const struct cpu_direct *how)
{
    int64_t in = how->i, out = how->o, tiles = count_tiles(how), block = block_of(in, out);
    int64_t slices = count_slices(tiles, 16 * in * out);
    int64_t length = ((tiles + slices - 1) / slices + block - 1) / block * block; /* tiles in a slice */
    int64_t v_plane = block * in + PAD, z_plane = block * out + PAD, room = direct_lines(16 * (v_plane + z_plane));
    int64_t sums = 16 * in * out, part = direct_lines(sums + out);
    float *du = cpu_scratch(cpu, (size_t)(slices * part + direct_lines(in + out) + par_threads() * room) * sizeof *du);
    float *zeros = du + slices * part, *work = zeros + direct_lines(in + out);

    if (!du)
        return cpu_lacking(cpu);
    memset(zeros, 0, (size_t)(in + out) * sizeof *zeros);
#pragma omp parallel for schedule(dynamic)
    for (int64_t s = 0; s < slices; s++) {
        float *v = work + omp_get_thread_num() * room, *mine = du + s * part;
        int64_t last = (s + 1) * length < tiles ? (s + 1) * length : tiles;

        memset(mine, 0, (size_t)part * sizeof *mine);
        sum_slice(mine, mine + sums, v, v + 16 * v_plane, dy, x, zeros, how, s * length, last, block);
    }
#pragma omp parallel for schedule(static)
    for (int64_t j = 0; j < part; j += 16) /* a part is whole lines */
        for (int64_t s = 1; s < slices; s++)
#pragma omp simd
            for (int l = 0; l < 16; l++)
                du[j + l] += du[s * part + j + l];
    finish_weights(dw, du, how);
    for (int64_t o = 0; o < out; o++)
        db[o] += how->gain * du[sums + o];
    return 0;
}

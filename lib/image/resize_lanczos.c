/* SPDX-License-Identifier: MIT */
/* resize_lanczos.c -- Lanczos resampling, along x and then along y, in 32-bit integers.
 *
 * Only rows and columns that the box needs are worked on.  Processors with AVX2 multiply
 * eight integers at once, so the passes are compiled for it too and chosen at run time.  Integers: the same bytes.
 *
 * Easy to get wrong: Pillow rounds to 8 bits between its two passes. */
#include "image/resize.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LOBES 3.0
#define WEIGHT_BITS 22 /* of a weight's fraction: 8 bits of pixel, 2 of headroom */
#define HALF (1 << (WEIGHT_BITS - 1))

struct taps {
    int64_t room;    /* weights an output pixel may have, even */
    int64_t *first;  /* owned: [count of outputs], input pixels */
    int64_t *count;  /* owned: the same */
    int32_t *weight; /* owned: [count of outputs, room], zeros behind the last */
};

static double sinc(double x)
{
    return x == 0 ? 1 : sin(x * M_PI) / (x * M_PI);
}

static double lanczos(double x)
{
    return x >= -LOBES && x < LOBES ? sinc(x) * sinc(x / LOBES) : 0;
}

static void taps_fini(struct taps *t)
{
    free(t->first);
    free(t->count);
    free(t->weight);
    *t = (struct taps){0};
}

/* Of the outputs from..from+some-1 along an axis. */
static int taps_init(struct taps *t, int64_t in, int64_t out, int64_t from, int64_t some)
{
    double scale = (double)in / (double)out, wide = scale < 1 ? 1 : scale, support = LOBES * wide, *w;

    t->room = (int64_t)ceil(support) * 2 + 2;
    t->first = malloc((size_t)some * sizeof *t->first);
    t->count = malloc((size_t)some * sizeof *t->count);
    t->weight = calloc((size_t)some * (size_t)t->room, sizeof *t->weight);
    w = malloc((size_t)t->room * sizeof *w);
    if (!t->first || !t->count || !t->weight || !w) {
        free(w);
        taps_fini(t);
        return err_set(ERR_NOMEM, "no memory to resize %" PRId64 " to %" PRId64, in, out);
    }
    for (int64_t i = 0; i < some; i++) {
        double centre = ((double)(from + i) + 0.5) * scale, sum = 0;
        int64_t first = (int64_t)(centre - support + 0.5), end = (int64_t)(centre + support + 0.5);

        first = first < 0 ? 0 : first;
        end = end > in ? in : end;
        for (int64_t j = first; j < end; j++)
            sum += w[j - first] = lanczos(((double)j - centre + 0.5) * (1.0 / wide));
        for (int64_t j = 0; j < end - first; j++) {
            double v = (sum != 0 ? w[j] / sum : w[j]) * (1 << WEIGHT_BITS);

            t->weight[i * t->room + j] = (int32_t)(v < 0 ? v - 0.5 : v + 0.5);
        }
        t->first[i] = first;
        t->count[i] = end - first;
    }
    free(w);
    return 0;
}

/* ---- the two passes ---------------------------------------------------------------------------------------------- */

/* All rows between are four values a pixel, the fourth without meaning: a pixel is half a vector. */

typedef int32_t v8 __attribute__((vector_size(32), aligned(4)));

struct job {
    struct image *out;
    const struct image *in;
    const struct taps *tx, *ty;
    int64_t from, rows; /* input rows that are needed */
    int32_t *spread;    /* owned, as the rest: [out->width, room, 4], each weight of tx four times */
    int32_t *wide;      /* [4, in->width + 1, 4]: four rows, zeros behind the last pixel of each */
    int32_t *sum;       /* [4, out->width, 4] */
    uint8_t *middle;    /* [rows and up to 3 more, out->width, 4] */
    uint8_t *line;      /* [out->width, 4] */
};

static inline __attribute__((always_inline)) void from_fixed(uint8_t *to, const int32_t *sum, int64_t values)
{
    for (int64_t i = 0; i < values; i++) {
        int32_t v = sum[i] >> WEIGHT_BITS;

        v = v < 0 ? 0 : v;
        to[i] = (uint8_t)(v > 255 ? 255 : v);
    }
}

/* Four bytes are read where the row has four. */
static inline __attribute__((always_inline)) void widen(int32_t *wide, const uint8_t *row, int64_t pixels)
{
    for (int64_t x = 0; x < pixels - 1; x++)
        *(pixel_wide *)(wide + 4 * x) = widen_pixel(row + 3 * x);
    for (int c = 0; c < 3; c++)
        wide[4 * (pixels - 1) + c] = row[3 * (pixels - 1) + c];
}

static inline __attribute__((always_inline)) void put_sum(int32_t *to, const v8 *s)
{
    *(pixel_wide *)to = (pixel_wide){(*s)[0], (*s)[1], (*s)[2], (*s)[3]} + (pixel_wide){(*s)[4], (*s)[5], (*s)[6], (*s)[7]};
}

/* Four input rows along x, so that a weight is read once for all. */
static inline __attribute__((always_inline)) void columns(const struct job *b, int64_t y)
{
    int64_t values = 4 * (int64_t)b->out->width, stride = 4 * ((int64_t)b->in->width + 1);

    for (int64_t r = 0; r < 4; r++) {
        int64_t row = b->from + (y + r < b->rows ? y + r : b->rows - 1);

        widen(b->wide + r * stride, b->in->rgb + 3 * row * b->in->width, b->in->width);
    }
    for (int64_t x = 0; x < b->out->width; x++) {
        const int32_t *p = b->wide + 4 * b->tx->first[x], *w = b->spread + 4 * x * b->tx->room;
        v8 s0 = {HALF, HALF, HALF, HALF, 0, 0, 0, 0}, s1 = s0, s2 = s0, s3 = s0;

        for (int64_t j = 0; j < 4 * b->tx->count[x]; j += 8) {
            v8 v = *(const v8 *)(w + j);

            s0 += *(const v8 *)(p + j) * v;
            s1 += *(const v8 *)(p + j + stride) * v;
            s2 += *(const v8 *)(p + j + 2 * stride) * v;
            s3 += *(const v8 *)(p + j + 3 * stride) * v;
        }
        put_sum(b->sum + 4 * x, &s0);
        put_sum(b->sum + 4 * x + values, &s1);
        put_sum(b->sum + 4 * x + 2 * values, &s2);
        put_sum(b->sum + 4 * x + 3 * values, &s3);
    }
    from_fixed(b->middle + y * values, b->sum, 4 * values);
}

/* A row of the result along y. */
static inline __attribute__((always_inline)) void rows(const struct job *b, uint8_t *to, int64_t y)
{
    int64_t values = 4 * (int64_t)b->out->width;
    const uint8_t *p = b->middle + (b->ty->first[y] - b->from) * values;

    for (int64_t i = 0; i < values; i++)
        b->sum[i] = HALF;
    for (int64_t j = 0; j < b->ty->count[y]; j++, p += values) {
        int32_t w = b->ty->weight[y * b->ty->room + j];

        for (int64_t i = 0; i < values; i++)
            b->sum[i] += p[i] * w;
    }
    from_fixed(b->line, b->sum, values);
    for (int64_t x = 0; x < b->out->width; x++)
        memcpy(to + 3 * x, b->line + 4 * x, 3);
}

static inline __attribute__((always_inline)) void passes(const struct job *b)
{
    for (int64_t y = 0; y < b->rows; y += 4)
        columns(b, y);
    for (int64_t y = 0; y < b->out->height; y++)
        rows(b, b->out->rgb + 3 * y * b->out->width, y);
}

static void passes_plain(const struct job *b)
{
    passes(b);
}

#if defined __x86_64__
static __attribute__((target("avx2"))) void passes_avx2(const struct job *b)
{
    passes(b);
}
#endif

static void run(const struct job *b)
{
#if defined __x86_64__
    if (__builtin_cpu_supports("avx2")) {
        passes_avx2(b);
        return;
    }
#endif
    passes_plain(b);
}

static int job_init(struct job *b)
{
    size_t width = (size_t)b->out->width, room = (size_t)b->tx->room;

    b->spread = malloc(width * room * 4 * sizeof *b->spread);
    b->wide = calloc((size_t)b->in->width + 1, 16 * sizeof *b->wide);
    b->sum = malloc(width * 16 * sizeof *b->sum);
    b->middle = malloc((size_t)(b->rows + 3) * width * 4);
    b->line = malloc(width * 4);
    if (!b->spread || !b->wide || !b->sum || !b->middle || !b->line)
        return err_set(ERR_NOMEM, "no memory to resize to %dx%d", b->out->width, b->out->height);
    for (size_t i = 0; i < 4 * width * room; i++)
        b->spread[i] = b->tx->weight[i / 4];
    return 0;
}

static void job_fini(struct job *b)
{
    free(b->spread);
    free(b->wide);
    free(b->sum);
    free(b->middle);
    free(b->line);
}

int image_resize_lanczos_box(struct image *out, const struct image *in, int64_t width, int64_t height,
                             const struct image_box *box)
{
    struct taps tx = {0}, ty = {0};
    struct job b = {.out = out, .in = in, .tx = &tx, .ty = &ty};
    int64_t last = box->height - 1;
    int rc;

    *out = (struct image){0};
    if ((rc = resize_check(width, height, box)) != 0 ||
        (rc = taps_init(&tx, in->width, width, box->x, box->width)) != 0 ||
        (rc = taps_init(&ty, in->height, height, box->y, box->height)) != 0 ||
        (rc = image_init(out, box->width, box->height)) != 0)
        goto out;
    b.from = ty.first[0];
    b.rows = ty.first[last] + ty.count[last] - b.from;
    if ((rc = job_init(&b)) == 0)
        run(&b);
    else
        image_fini(out);
out:
    job_fini(&b);
    taps_fini(&ty);
    taps_fini(&tx);
    return rc;
}

int image_resize_lanczos(struct image *out, const struct image *in, int64_t width, int64_t height)
{
    return image_resize_lanczos_box(out, in, width, height, &(struct image_box){0, 0, width, height});
}

/* SPDX-License-Identifier: MIT */
/* resize.c -- area and Lanczos resampling, one axis after the other.
 *
 * Easy to get wrong: area positions are f32, as in TensorFlow, so that a pixel's weight is the same to the last bit;
 * Pillow rounds to 8 bits between its two passes. */
#include "image/image.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int check_size(int64_t width, int64_t height)
{
    if (width < 1 || height < 1 || width > IMAGE_SIDE_MAX || height > IMAGE_SIDE_MAX)
        return err_set(ERR_ARG, "cannot resize to %" PRId64 "x%" PRId64, width, height);
    return 0;
}

/* ---- area ------------------------------------------------------------------------------------------------------- */

struct area {
    int64_t in, out; /* pixels along the axis */
    float step;      /* input pixels an output pixel covers */
};

static struct area area_of(int64_t in, int64_t out, bool align_corners)
{
    bool corners = align_corners && out > 1;

    return (struct area){in, out, corners ? (float)(in - 1) / (float)(out - 1) : (float)in / (float)out};
}

/* What of pixel j = [j, j+1) lies in output i = [from, to). */
static float area_weight(struct area a, float from, float to, int64_t j)
{
    float low = (float)j < from ? from : (float)j, high = (float)(j + 1) > to ? to : (float)(j + 1);

    return (float)j < from && (float)(j + 1) > to ? a.step : high - low;
}

static int64_t bound(int64_t j, int64_t count)
{
    return j < count ? j : count - 1;
}

/* Sums along x of one input row: [3 * a.out]. */
static void area_row(float *sum, const uint8_t *row, struct area a)
{
    for (int64_t i = 0; i < a.out; i++) {
        float from = (float)i * a.step, to = (float)(i + 1) * a.step, s[3] = {0, 0, 0};
        int64_t end = (int64_t)ceilf(to);

        for (int64_t j = (int64_t)from; j < end; j++) {
            const uint8_t *p = row + 3 * bound(j, a.in);
            float w = area_weight(a, from, to, j);

            for (int c = 0; c < 3; c++)
                s[c] += (float)p[c] * w;
        }
        memcpy(sum + 3 * i, s, sizeof s);
    }
}

static uint8_t to_byte(float v)
{
    v = nearbyintf(v); /* half to even */
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

int image_resize_area(struct image *out, const struct image *in, int64_t width, int64_t height, bool align_corners)
{
    struct area ax, ay;
    float *row, *sum;
    int64_t have = -1; /* the input row whose sums are in row */
    int rc;

    *out = (struct image){0};
    if ((rc = check_size(width, height)) != 0 || (rc = image_init(out, width, height)) != 0)
        return rc;
    ax = area_of(in->width, width, align_corners);
    ay = area_of(in->height, height, align_corners);
    if (in->width == 1 && ax.step == 0)
        ax.step = 1; /* one pixel, aligned: every output pixel is it */
    if (in->height == 1 && ay.step == 0)
        ay.step = 1;
    row = malloc(2 * 3 * (size_t)width * sizeof *row);
    if (!row) {
        image_fini(out);
        return err_set(ERR_NOMEM, "no memory to resize to %" PRId64 "x%" PRId64, width, height);
    }
    sum = row + 3 * width;
    for (int64_t y = 0; y < height; y++) {
        float from = (float)y * ay.step, to = (float)(y + 1) * ay.step, scale = 1.0f / (ay.step * ax.step);
        int64_t end = (int64_t)ceilf(to);

        memset(sum, 0, 3 * (size_t)width * sizeof *sum);
        for (int64_t j = (int64_t)from; j < end; j++) {
            float w = area_weight(ay, from, to, j);

            if (bound(j, in->height) != have) {
                have = bound(j, in->height);
                area_row(row, in->rgb + 3 * have * in->width, ax);
            }
            for (int64_t i = 0; i < 3 * width; i++)
                sum[i] += row[i] * w;
        }
        for (int64_t i = 0; i < 3 * width; i++)
            out->rgb[3 * y * width + i] = to_byte(sum[i] * scale);
    }
    free(row);
    return 0;
}

/* ---- Lanczos ---------------------------------------------------------------------------------------------------- */

#define LOBES 3.0
#define WEIGHT_BITS 22 /* of a weight's fraction: 8 bits of pixel, 2 of headroom */

struct taps {
    int64_t room;     /* weights an output pixel may have */
    int64_t *first;   /* owned: [out] */
    int64_t *count;   /* owned: [out] */
    int32_t *weight;  /* owned: [out, room] */
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

static int taps_init(struct taps *t, int64_t in, int64_t out)
{
    double scale = (double)in / (double)out, wide = scale < 1 ? 1 : scale, support = LOBES * wide, *w;

    t->room = (int64_t)ceil(support) * 2 + 1;
    t->first = malloc((size_t)out * sizeof *t->first);
    t->count = malloc((size_t)out * sizeof *t->count);
    t->weight = calloc((size_t)out * (size_t)t->room, sizeof *t->weight);
    w = malloc((size_t)t->room * sizeof *w);
    if (!t->first || !t->count || !t->weight || !w) {
        free(w);
        taps_fini(t);
        return err_set(ERR_NOMEM, "no memory to resize %" PRId64 " to %" PRId64, in, out);
    }
    for (int64_t i = 0; i < out; i++) {
        double centre = ((double)i + 0.5) * scale, sum = 0;
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

static uint8_t from_fixed(int32_t v)
{
    v >>= WEIGHT_BITS;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static void taps_columns(struct image *out, const struct image *in, const struct taps *t)
{
    for (int64_t y = 0; y < out->height; y++)
        for (int64_t x = 0; x < out->width; x++) {
            const uint8_t *p = in->rgb + 3 * (y * in->width + t->first[x]);
            const int32_t *w = t->weight + x * t->room;

            for (int c = 0; c < 3; c++) {
                int32_t s = 1 << (WEIGHT_BITS - 1);

                for (int64_t j = 0; j < t->count[x]; j++)
                    s += p[3 * j + c] * w[j];
                out->rgb[3 * (y * out->width + x) + c] = from_fixed(s);
            }
        }
}

static void taps_rows(struct image *out, const struct image *in, const struct taps *t)
{
    int64_t row = 3 * (int64_t)out->width;

    for (int64_t y = 0; y < out->height; y++)
        for (int64_t i = 0; i < row; i++) {
            const int32_t *w = t->weight + y * t->room;
            int32_t s = 1 << (WEIGHT_BITS - 1);

            for (int64_t j = 0; j < t->count[y]; j++)
                s += in->rgb[(t->first[y] + j) * row + i] * w[j];
            out->rgb[y * row + i] = from_fixed(s);
        }
}

int image_resize_lanczos(struct image *out, const struct image *in, int64_t width, int64_t height)
{
    struct taps tx = {0}, ty = {0};
    struct image middle = {0};
    int rc;

    *out = (struct image){0};
    if ((rc = check_size(width, height)) != 0 || (rc = taps_init(&tx, in->width, width)) != 0 ||
        (rc = taps_init(&ty, in->height, height)) != 0 || (rc = image_init(&middle, width, in->height)) != 0 ||
        (rc = image_init(out, width, height)) != 0)
        goto out;
    taps_columns(&middle, in, &tx);
    taps_rows(out, &middle, &ty);
out:
    image_fini(&middle);
    taps_fini(&ty);
    taps_fini(&tx);
    return rc;
}

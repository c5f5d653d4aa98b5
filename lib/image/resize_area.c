/* SPDX-License-Identifier: MIT */
/* resize_area.c -- area resampling: of each input row the sums along x, then these along y.
 *
 * Easy to get wrong: positions and sums are f32, as in TensorFlow, in its order, so that a pixel is the same to the last bit. */
#include "image/resize.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A pixel and one value of nothing: one vector of any processor. */
typedef float pixel __attribute__((vector_size(16)));

struct view { /* a part of a picture */
    const uint8_t *rgb;
    const uint8_t *end; /* of the whole picture */
    int64_t width, height, stride;
};

struct area {
    int64_t in, out; /* pixels along the axis */
    float step;      /* input pixels an output pixel covers */
};

struct taps {
    int64_t first, count;
    const float *weight; /* borrowed */
};

static struct area area_of(int64_t in, int64_t out, bool align_corners)
{
    bool corners = align_corners && out > 1;
    float step = corners ? (float)(in - 1) / (float)(out - 1) : (float)in / (float)out;

    return (struct area){in, out, step == 0 ? 1 : step}; /* one pixel, aligned: every output pixel is it */
}

/* What of pixel j = [j, j+1) lies in output i = [from, to). */
static float area_weight(struct area a, float from, float to, int64_t j)
{
    float low = (float)j < from ? from : (float)j, high = (float)(j + 1) > to ? to : (float)(j + 1);

    return (float)j < from && (float)(j + 1) > to ? a.step : high - low;
}

/* Weights of the outputs first..first+count-1 along an axis.  Caller frees *taps, which holds all. */
static int taps_of(struct taps **taps, struct area a, int64_t first, int64_t count)
{
    int64_t room = (int64_t)ceilf(a.step) + 2;
    float *weight;

    if (room > IMAGE_SIDE_MAX || !(*taps = malloc((size_t)count * (sizeof **taps + (size_t)room * sizeof *weight))))
        return err_set(ERR_NOMEM, "no memory to resize %" PRId64 " to %" PRId64, a.in, a.out);
    weight = (float *)(*taps + count);
    for (int64_t i = 0; i < count; i++, weight += room) {
        float from = (float)(first + i) * a.step, to = (float)(first + i + 1) * a.step;
        int64_t start = (int64_t)from, end = (int64_t)ceilf(to);

        (*taps)[i] = (struct taps){start, end - start, weight};
        for (int64_t j = start; j < end; j++)
            weight[j - start] = area_weight(a, from, to, j);
    }
    return 0;
}

static int64_t bound(int64_t j, int64_t count)
{
    return j < count ? j : count - 1;
}

/* Four bytes are read where there are four. */
static inline pixel pixel_at(const uint8_t *p, const uint8_t *end)
{
    if (p + 4 <= end)
        return __builtin_convertvector(widen_pixel(p), pixel);
    return (pixel){p[0], p[1], p[2], 0};
}

/* Sums along x of one input row. */
static void area_row(pixel *sum, const struct view *in, int64_t y, const struct taps *t, int64_t count)
{
    const uint8_t *row = in->rgb + y * in->stride;

    for (int64_t i = 0; i < count; i++) {
        pixel s = {0, 0, 0, 0};

        for (int64_t k = 0; k < t[i].count; k++)
            s += pixel_at(row + 3 * bound(t[i].first + k, in->width), in->end) * t[i].weight[k];
        sum[i] = s;
    }
}

static uint8_t to_byte(float v)
{
    v = nearbyintf(v); /* half to even */
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static void area_rows(struct image *out, const struct view *in, const struct taps *tx, const struct taps *ty, float scale,
                      pixel *row, pixel *sum)
{
    int64_t have = -1, width = out->width; /* have: the input row whose sums are in row */

    for (int64_t y = 0; y < out->height; y++) {
        memset(sum, 0, (size_t)width * sizeof *sum);
        for (int64_t k = 0; k < ty[y].count; k++) {
            int64_t j = bound(ty[y].first + k, in->height);

            if (j != have)
                area_row(row, in, have = j, tx, width);
            for (int64_t i = 0; i < width; i++)
                sum[i] += row[i] * ty[y].weight[k];
        }
        for (int64_t i = 0; i < width; i++)
            for (int c = 0; c < 3; c++)
                out->rgb[3 * (y * width + i) + c] = to_byte(sum[i][c] * scale);
    }
}

int image_resize_area_box(struct image *out, const struct image *in, const struct image_box *from, int64_t width,
                          int64_t height, bool align_corners, const struct image_box *box)
{
    struct taps *tx = NULL, *ty = NULL;
    struct area ax, ay;
    struct view part;
    pixel *row = NULL;
    int rc;

    *out = (struct image){0};
    if ((rc = resize_check(in->width, in->height, from)) != 0 || (rc = resize_check(width, height, box)) != 0)
        return rc;
    part = (struct view){in->rgb + 3 * (from->y * in->width + from->x), in->rgb + 3 * (int64_t)in->width * in->height,
                         from->width, from->height, 3 * (int64_t)in->width};
    ax = area_of(from->width, width, align_corners);
    ay = area_of(from->height, height, align_corners);
    if ((rc = taps_of(&tx, ax, box->x, box->width)) != 0 || (rc = taps_of(&ty, ay, box->y, box->height)) != 0)
        goto out;
    if (!(row = aligned_alloc(sizeof *row, 2 * (size_t)box->width * sizeof *row))) {
        rc = err_set(ERR_NOMEM, "no memory to resize to %" PRId64 "x%" PRId64, width, height);
        goto out;
    }
    if ((rc = image_init(out, box->width, box->height)) == 0)
        area_rows(out, &part, tx, ty, 1.0f / (ay.step * ax.step), row, row + box->width);
out:
    free(row);
    free(tx);
    free(ty);
    return rc;
}

int image_resize_area(struct image *out, const struct image *in, int64_t width, int64_t height, bool align_corners)
{
    return image_resize_area_box(out, in, &(struct image_box){0, 0, in->width, in->height}, width, height, align_corners,
                                 &(struct image_box){0, 0, width, height});
}

/* SPDX-License-Identifier: MIT */
/* image.c -- memory, crops and turns. */
#include "image/resize.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int image_init(struct image *out, int64_t width, int64_t height)
{
    *out = (struct image){0};
    if (width < 1 || height < 1 || width > IMAGE_SIDE_MAX || height > IMAGE_SIDE_MAX)
        return err_set(ERR_ARG, "a picture cannot be %" PRId64 "x%" PRId64, width, height);
    if (!(out->rgb = calloc((size_t)width * (size_t)height, 3)))
        return err_set(ERR_NOMEM, "no memory for a picture of %" PRId64 "x%" PRId64, width, height);
    out->width = (int32_t)width;
    out->height = (int32_t)height;
    return 0;
}

void image_fini(struct image *image)
{
    free(image->rgb);
    *image = (struct image){0};
}

int image_crop(struct image *out, const struct image *in, int64_t x, int64_t y, int64_t width, int64_t height)
{
    int rc;

    *out = (struct image){0};
    if (x < 0 || y < 0 || width < 1 || height < 1 || x > in->width - width || y > in->height - height)
        return err_set(ERR_ARG, "crop %" PRId64 "x%" PRId64 " at %" PRId64 ",%" PRId64 " leaves the picture of %dx%d",
                       width, height, x, y, in->width, in->height);
    if ((rc = image_init(out, width, height)) != 0)
        return rc;
    for (int64_t row = 0; row < height; row++)
        memcpy(out->rgb + 3 * row * width, in->rgb + 3 * ((y + row) * in->width + x), 3 * (size_t)width);
    return 0;
}

int resize_check(int64_t width, int64_t height, const struct image_box *box)
{
    if (width < 1 || height < 1 || width > IMAGE_SIDE_MAX || height > IMAGE_SIDE_MAX)
        return err_set(ERR_ARG, "cannot resize to %" PRId64 "x%" PRId64, width, height);
    if (box->x < 0 || box->y < 0 || box->width < 1 || box->height < 1 || box->x > width - box->width ||
        box->y > height - box->height)
        return err_set(ERR_ARG, "%" PRId64 "x%" PRId64 " at %" PRId64 ",%" PRId64 " leaves the picture of %" PRId64 "x%" PRId64,
                       box->width, box->height, box->x, box->y, width, height);
    return 0;
}

void image_flip(struct image *image)
{
    int64_t width = image->width;

    for (int64_t y = 0; y < image->height; y++) {
        uint8_t *row = image->rgb + 3 * y * width;

        for (int64_t a = 0, b = width - 1; a < b; a++, b--) {
            uint8_t keep[3];

            memcpy(keep, row + 3 * a, 3);
            memcpy(row + 3 * a, row + 3 * b, 3);
            memcpy(row + 3 * b, keep, 3);
        }
    }
}

/* Output (x, y) is input (ax + bx*x + cx*y, ay + by*x + cy*y). */
int image_orient(struct image *out, const struct image *in, int orientation)
{
    int64_t w = in->width, h = in->height;
    const int64_t table[8][6] = {
        {0, 1, 0, 0, 0, 1},          {w - 1, -1, 0, 0, 0, 1},  {w - 1, -1, 0, h - 1, 0, -1}, {0, 1, 0, h - 1, 0, -1},
        {0, 0, 1, 0, 1, 0},          {0, 0, 1, h - 1, -1, 0},  {w - 1, 0, -1, h - 1, -1, 0}, {w - 1, 0, -1, 0, 1, 0},
    };
    const int64_t *t;
    int rc;

    *out = (struct image){0};
    if (orientation < 1 || orientation > 8)
        return err_set(ERR_ARG, "orientation %d is not in 1..8", orientation);
    t = table[orientation - 1];
    if ((rc = image_init(out, orientation < 5 ? w : h, orientation < 5 ? h : w)) != 0)
        return rc;
    for (int64_t y = 0; y < out->height; y++)
        for (int64_t x = 0; x < out->width; x++)
            memcpy(out->rgb + 3 * (y * out->width + x),
                   in->rgb + 3 * ((t[3] + t[4] * x + t[5] * y) * w + t[0] + t[1] * x + t[2] * y), 3);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* decode_png.c -- PNG by libpng's row interface; libpng converts to 8-bit RGB(A), transparency is composed here.
 *
 * Easy to get wrong: between setjmp and longjmp only memory behind a pointer keeps its value, so everything that the
 * error path frees lives in struct reader. */
#include "image/decode.h"

#include <stdlib.h>
#include <string.h>

#include <png.h>

static const uint8_t end_crc[4] = {0xAE, 0x42, 0x60, 0x82}; /* of IEND, always empty; some libpng do not check it */

struct reader {
    const uint8_t *bytes; /* borrowed */
    size_t size, at;
    png_structp png;
    png_infop info;
    uint8_t *rgba;        /* owned: one row, or the picture where it is interlaced; NULL: no transparency */
    char reason[160];
};

static void on_error(png_structp png, png_const_charp text)
{
    struct reader *r = png_get_error_ptr(png);

    snprintf(r->reason, sizeof r->reason, "%s", text);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static void on_read(png_structp png, png_bytep to, size_t count)
{
    struct reader *r = png_get_io_ptr(png);

    if (count > r->size - r->at)
        png_error(png, "the file ends too early");
    memcpy(to, r->bytes + r->at, count);
    r->at += count;
}

static void compose(uint8_t *rgb, const uint8_t *rgba, int64_t pixels)
{
    for (int64_t i = 0; i < pixels; i++)
        for (int c = 0; c < 3; c++)
            rgb[3 * i + c] = over_white(rgba[4 * i + c], rgba[4 * i + 3]);
}

static void read_rows(struct reader *r, struct image *out, int passes, bool alpha)
{
    int64_t width = out->width, height = out->height;

    for (int pass = 0; pass < passes; pass++)
        for (int64_t y = 0; y < height; y++) {
            uint8_t *row = !alpha ? out->rgb + 3 * y * width : r->rgba + (passes > 1 ? 4 * y * width : 0);

            png_read_row(r->png, row, NULL);
            if (alpha && pass == passes - 1)
                compose(out->rgb + 3 * y * width, row, width);
        }
}

static int orientation_of(struct reader *r)
{
    png_uint_32 size = 0;
    png_bytep exif = NULL;

    return png_get_eXIf_1(r->png, r->info, &size, &exif) && exif ? exif_orientation(exif, size) : 1;
}

/* Everything that libpng may leave by longjmp. */
static int read_picture(struct reader *r, struct image *out, int *orientation, const struct image_limits *limits)
{
    bool alpha;
    int passes, rc;

    if (setjmp(png_jmpbuf(r->png)))
        return err_set(ERR_FORMAT, "PNG: %s", r->reason);
    png_set_read_fn(r->png, r, on_read);
    png_set_user_limits(r->png, IMAGE_SIDE_MAX, IMAGE_SIDE_MAX);
    png_set_chunk_malloc_max(r->png, 8 << 20);
    png_set_keep_unknown_chunks(r->png, PNG_HANDLE_CHUNK_NEVER, NULL, 0);
    png_read_info(r->png, r->info);
    if ((rc = decode_init(out, "PNG", png_get_image_width(r->png, r->info), png_get_image_height(r->png, r->info),
                          limits)) != 0)
        return rc;
    png_set_expand(r->png);
    png_set_scale_16(r->png);
    png_set_gray_to_rgb(r->png);
    passes = png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    alpha = png_get_channels(r->png, r->info) == 4;
    if (alpha && !(r->rgba = malloc(4 * (size_t)out->width * (size_t)(passes > 1 ? out->height : 1))))
        return err_set(ERR_NOMEM, "PNG: no memory for %dx%d", out->width, out->height);
    read_rows(r, out, passes, alpha);
    png_read_end(r->png, r->info);
    if (memcmp(r->bytes + r->at - sizeof end_crc, end_crc, sizeof end_crc) != 0)
        return err_set(ERR_FORMAT, "PNG: IEND: CRC error");
    *orientation = orientation_of(r);
    return 0;
}

int decode_png(struct image *out, int *orientation, const uint8_t *bytes, size_t size, const struct image_limits *limits)
{
    struct reader r = {.bytes = bytes, .size = size};
    int rc;

    *out = (struct image){0};
    *orientation = 1;
    r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, on_error, on_warning);
    r.info = r.png ? png_create_info_struct(r.png) : NULL;
    rc = r.info ? read_picture(&r, out, orientation, limits) : err_set(ERR_NOMEM, "PNG: no memory");
    png_destroy_read_struct(&r.png, &r.info, NULL);
    free(r.rgba);
    if (rc != 0)
        image_fini(out);
    return rc;
}

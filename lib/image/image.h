/* SPDX-License-Identifier: MIT */
/* image.h -- pictures in memory: read them from files, write them, cut, turn and resize them.
 *
 * A picture is 8-bit RGB without transparency, rows from the top, no padding: rgb[3*(y*width + x) + channel].
 * No colour management: sample values are taken as they stand, gamma and ICC profiles are ignored.
 *
 * Shapes   rgb: [H,W,3], 1 <= width, height
 * Memory   every `out` picture is fresh and owned by the caller, who ends it with image_fini; inputs are only read,
 *          so out and in must be two structs.  After a failure out is zeroed: image_fini does nothing.
 * Errors   ERR_FORMAT damaged, cut short or of no known kind; ERR_LIMIT over a limit; ERR_NOMEM; ERR_ARG sizes
 */
#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/io.h"

#define IMAGE_PIXELS_MAX 178956970 /* default limit: half a gigabyte of RGB; where Pillow refuses too */
#define IMAGE_BYTES_MAX (256u << 20) /* default limit of an encoded file */
#define IMAGE_SIDE_MAX (1 << 24)

struct image {
    int32_t width, height; /* 1..IMAGE_SIDE_MAX */
    uint8_t *rgb;          /* owned: [H,W,3] */
};

struct image_limits {
    int64_t pixels; /* most width * height; 0: IMAGE_PIXELS_MAX */
    size_t bytes;   /* most bytes of the file; 0: IMAGE_BYTES_MAX */
};

must_check int image_init(struct image *out, int64_t width, int64_t height); /* black */
void image_fini(struct image *image);

/* ---- files ------------------------------------------------------------------------------------------------------ */

enum image_kind { IMAGE_UNKNOWN, IMAGE_PNG, IMAGE_JPEG, IMAGE_WEBP, IMAGE_PNM };

/* By the first bytes, never by a name. */
enum image_kind image_kind(const uint8_t *bytes, size_t size);

/* Read a PNG (all colour types, 1 to 16 bits, interlaced), JPEG (baseline, progressive; grey, YCbCr, RGB, CMYK, YCCK),
 * WebP (the first frame of an animation) or PNM (P1 to P6; the first picture).  Transparent pixels stand over white;
 * the EXIF orientation of PNG, JPEG and WebP is applied, and damaged EXIF is passed over.
 * Strict about the picture itself: a file that a viewer would show with a grey part is an error here.
 * limits NULL: the defaults.  They are checked before anything of the picture's size is allocated. */
must_check int image_decode(struct image *out, const uint8_t *bytes, size_t size, const struct image_limits *limits);

/* The same, but a JPEG may come out at 1/2, 1/4 or 1/8 of its size, the smallest whose shorter side still has `least` pixels
 * (least 0: full size): libjpeg leaves the high frequencies out, which saves time and memory.  Sizes are rounded up. */
must_check int image_decode_least(struct image *out, const uint8_t *bytes, size_t size, const struct image_limits *limits,
                                  int64_t least);

struct image_size {
    int32_t width, height; /* 1..IMAGE_SIDE_MAX */
};

/* The size that image_decode would give, orientation applied, from headers alone: nothing is decoded or allocated, and no
 * limit of pixels or bytes is kept.  A picture whose header is whole may still be damaged or cut further on.
 * ERR_FORMAT: *out is unspecified. */
must_check int image_probe(struct image_size *out, const uint8_t *bytes, size_t size);

struct image_text {
    const char *key;   /* 1 to 79 printable ASCII characters: "Description" */
    const char *value; /* UTF-8 */
};

/* A PNG with text chunks (tEXt where the value is ASCII, else iTXt).  The caller frees *bytes; NULL after a failure. */
must_check int image_encode_png(const struct image *in, const struct image_text *text, int count, uint8_t **bytes,
                                size_t *size);

/* A binary PPM (P6) behind what the stream holds. */
must_check int image_write_ppm(const struct image *in, struct out *out);

/* ---- cut and turn ----------------------------------------------------------------------------------------------- */

/* The width x height pixels at (x, y); ERR_ARG where they do not all lie inside. */
must_check int image_crop(struct image *out, const struct image *in, int64_t x, int64_t y, int64_t width, int64_t height);

void image_flip(struct image *image); /* left and right change places; in place */

/* Undo an EXIF orientation, 1..8: 2, 4, 5, 7 are mirrored; 5 to 8 change width with height. */
must_check int image_orient(struct image *out, const struct image *in, int orientation);

/* ---- resize ----------------------------------------------------------------------------------------------------- */

struct image_box {
    int64_t x, y, width, height; /* pixels */
};

/* Area resampling.  Along each axis output i is the mean of the input over [i*s, (i+1)*s), where input pixel j covers
 * [j, j+1) and the last one goes on for ever:
 *
 *   align_corners: s = (in - 1) / (out - 1), or in / out where out is 1; the definition of the paper's preprocessing
 *                  (TensorFlow's resize_area): output 0 starts at the first pixel and the last is the last pixel alone
 *   otherwise:     s = in / out: the mean over the pixel's own box
 *
 * Rounded half to even.  Sums are f32 in a fixed order. */
must_check int image_resize_area(struct image *out, const struct image *in, int64_t width, int64_t height,
                                 bool align_corners);

/* Lanczos with three lobes, widened by the scale when it reduces; bit for bit what Pillow's Image.resize(LANCZOS)
 * gives: 22-bit fixed-point weights, along x first, 8 bits between the two passes.  (From version 13 Pillow goes along y
 * first where that is cheaper; this is the order of the versions up to 12, which the published demo ran on.) */
must_check int image_resize_lanczos(struct image *out, const struct image *in, int64_t width, int64_t height);

/* The same of the part `from` of the input, and of the result only what lies in `box`, which costs no more than that.
 * ERR_ARG where a box does not lie inside. */
must_check int image_resize_area_box(struct image *out, const struct image *in, const struct image_box *from, int64_t width,
                                     int64_t height, bool align_corners, const struct image_box *box);
must_check int image_resize_lanczos_box(struct image *out, const struct image *in, int64_t width, int64_t height,
                                        const struct image_box *box);

#endif

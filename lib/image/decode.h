/* SPDX-License-Identifier: MIT */
/* decode.h -- the parts of image_decode and image_probe; not for other rooms.
 *
 * Each reader gives the picture as stored and the orientation, 1..8, that its EXIF data ask for (1: none).
 * limits are resolved: both fields set.  After a failure out is zeroed.
 */
#ifndef IMAGE_DECODE_H
#define IMAGE_DECODE_H

#include "image/image.h"

must_check int decode_png(struct image *out, int *orientation, const uint8_t *bytes, size_t size,
                          const struct image_limits *limits);
/* least: see image_decode_least. */
must_check int decode_jpeg(struct image *out, int *orientation, const uint8_t *bytes, size_t size,
                           const struct image_limits *limits, int64_t least);
must_check int decode_webp(struct image *out, int *orientation, const uint8_t *bytes, size_t size,
                           const struct image_limits *limits);
must_check int decode_pnm(struct image *out, const uint8_t *bytes, size_t size, const struct image_limits *limits);

/* The size and the orientation alone, for image_probe. */
must_check int probe_webp(struct image_size *out, int *orientation, const uint8_t *bytes, size_t size);
must_check int probe_pnm(struct image_size *out, const uint8_t *bytes, size_t size);

/* Say what it is that we do not read: ERR_FORMAT. */
int decode_unknown(const uint8_t *bytes, size_t size);

/* Are so many pixels allowed?  name is the kind, for the message. */
must_check int decode_check(const char *name, int64_t width, int64_t height, const struct image_limits *limits);
must_check int decode_init(struct image *out, const char *name, int64_t width, int64_t height,
                           const struct image_limits *limits);

/* The orientation tag of a TIFF header and its first folder, with or without "Exif\0\0" in front; 1 where it is missing
 * or damaged. */
int exif_orientation(const uint8_t *bytes, size_t size);

/* One channel over white: round((a*c + (255-a)*255) / 255). */
static inline uint8_t over_white(unsigned c, unsigned a)
{
    return (uint8_t)((a * c + (255 - a) * 255 + 127) / 255);
}

#endif

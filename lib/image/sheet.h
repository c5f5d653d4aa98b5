/* SPDX-License-Identifier: MIT */
/* sheet.h -- a contact sheet: equal pictures in rows, white between them, captions under them.
 *
 * Pictures are enlarged by whole pixels.  A caption is broken into lines between words (inside a word that is wider than
 * the picture), and centred; a row of the sheet is as high as its longest caption asks, at most SHEET_LINES_MAX lines,
 * the last of which then ends in "...".
 *
 * Errors   ERR_ARG no pictures, or of different sizes; ERR_LIMIT a sheet of more than IMAGE_PIXELS_MAX pixels; ERR_NOMEM
 */
#ifndef IMAGE_SHEET_H
#define IMAGE_SHEET_H

#include "image/image.h"

#define SHEET_LINES_MAX 6

struct sheet {
    int64_t columns;    /* pictures in a row; 0: as many as make the sheet about square */
    int64_t margin;     /* white pixels around and between, 0..1024 */
    int64_t scale;      /* of the pictures, 1..64; 0: what brings them to 128 pixels or more */
    int64_t text_scale; /* of the captions, 1..16; 0: what fits about 20 characters beside each other */
};

#define SHEET_USUAL {0, 4, 0, 0}

/* picture[count], all of one size; caption[count], each NULL or UTF-8, or NULL for none at all. */
must_check int sheet_make(struct image *out, const struct image *picture, const char *const *caption, int64_t count,
                          const struct sheet *style);

/* The same for rgb[count,side,side,3], into a PNG file (temporary name, sync, rename). */
must_check int sheet_write(const char *path, const uint8_t *rgb, int64_t count, int64_t side, const struct sheet *style);

#endif

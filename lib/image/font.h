/* SPDX-License-Identifier: MIT */
/* font.h -- a small fixed-width font for captions on contact sheets: printable ASCII, 5x8 pixels in cells of 6x10.
 *
 * Text is UTF-8; a character outside ASCII takes one cell and shows as an empty box.  What falls outside the picture is
 * cut off.
 */
#ifndef IMAGE_FONT_H
#define IMAGE_FONT_H

#include "image/image.h"

#define FONT_WIDTH 6   /* of a cell, the gap to the next included */
#define FONT_HEIGHT 10 /* of a line */

/* Characters in the first size bytes. */
int64_t font_length(const char *text, size_t size);

/* The first size bytes of text with the top left corner of their first cell at (x, y), each pixel scale x scale. */
void font_draw(struct image *image, int64_t x, int64_t y, const char *text, size_t size, int64_t scale,
               const uint8_t rgb[3]);

#endif

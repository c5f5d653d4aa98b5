/* SPDX-License-Identifier: MIT */
/* canvas.h -- a picture to draw on: filled boxes, smooth lines with round ends, and the letters of font.h at any size.
 *
 * Places are in pixels from the top left corner of the picture: pixel (i, j) covers [i,i+1) x [j,j+1).  A line is first
 * added to a mask, which holds how much of each pixel the drawing at hand covers; canvas_ink paints it.  So the parts of a
 * line that goes over itself do not add up, and its joints do not show.
 *
 * Letters   a pen goes from the middle of each dot of a glyph to those beside it, so they are round and smooth at any scale
 * Memory    4 bytes a pixel; what falls outside the picture is cut off
 * Errors    ERR_ARG, ERR_NOMEM from image_init; drawing cannot fail
 */
#ifndef IMAGE_CANVAS_H
#define IMAGE_CANVAS_H

#include "image/image.h"

struct canvas {
    struct image image;  /* owned */
    uint8_t *mask;       /* owned: [H,W], 255: covered */
    int32_t left, top, right, bottom; /* of the mask: pixels outside of [left,right) x [top,bottom) are 0 */
};

struct pen {
    double radius;   /* half the width of the line */
    double on, off;  /* lengths of dashes and of the gaps between them; off 0: none */
    double at;       /* how far the line went: start with 0 */
};

must_check int canvas_init(struct canvas *c, int64_t width, int64_t height); /* white */
void canvas_fini(struct canvas *c);

/* Whole pixels, painted at once. */
void canvas_fill(struct canvas *c, int64_t x, int64_t y, int64_t width, int64_t height, const uint8_t rgb[3]);

/* From (ax, ay) to (bx, by), finite, into the mask; a dot where they are the same. */
void canvas_line(struct canvas *c, struct pen *pen, double ax, double ay, double bx, double by);

/* Size bytes of UTF-8 into the mask, (x, y) the top left corner of the first cell; a cell has FONT_WIDTH x FONT_HEIGHT times
 * scale. */
void canvas_text(struct canvas *c, double x, double y, double scale, const char *text, size_t size);

/* Paint what the mask covers, and clear it. */
void canvas_ink(struct canvas *c, const uint8_t rgb[3]);

#endif

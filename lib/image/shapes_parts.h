/* SPDX-License-Identifier: MIT */
/* shapes_parts.h -- what the judge shares with the drawing; not for other rooms. */
#ifndef IMAGE_SHAPES_PARTS_H
#define IMAGE_SHAPES_PARTS_H

#include "image/shapes.h"

/* The colour, 0..255, that the word of SHAPES_COLOUR or SHAPES_BACKGROUND stands for. */
void shapes_rgb(double rgb[3], int attribute, int value);

/* How much of pixel (x, y) the object covers, 0..1, when it is off its place by (dx, dy) of the side. */
double shapes_cover(const struct shapes_scene *scene, int64_t side, double dx, double dy, int64_t x, int64_t y);

#endif

/* SPDX-License-Identifier: MIT */
/* chart.h -- lines over an axis, or a map of colours, as a picture with axes, numbers and names.
 *
 *   lines   up to CHART_LINES_MAX, each of its own colour (the seven of Okabe and Ito that show on white, told apart with all
 *           kinds of colour vision; then dashed, then dotted) under its name.  What has no value leaves a gap.
 *   map     columns of equal length from left to right, row 0 at the top, coloured from dark blue to yellow (viridis: equal
 *           steps look equal, in grey too), grey where there is no value, and a bar that tells what the colours mean
 *
 * No value  NaN, infinities, and what is not above 0 where values are logarithmic
 * Thinning  points closer than a pixel may be kept as first, last, least and greatest, which draw what all of them would, but
 *           for gaps between them; columns closer than a pixel as their means (of logarithms, where values are)
 * Smoothing with smooth N > 1 a line is drawn pale, and over it the mean of each N points that follow each other, at the mean
 *           of their places; it does not go over a gap, and fewer points between two gaps are one point
 * Size      letters and lines grow with the picture: 1600 x 960 pixels are 800 x 480 at twice the resolution
 * Memory    for each pixel of width 224 bytes a line, twice that and 16 N with smoothing, or 48 a row of the map, at most
 *           200 MB
 * Errors    ERR_ARG a size, count or place that is not allowed, columns of different lengths, places that fall;
 *           ERR_EMPTY nothing to draw; ERR_NOMEM
 * Source    M. Okabe, K. Ito 2008; S. van der Walt, N. Smith 2015 (viridis, CC0); Jugel, Jerzak, Hackenbroich, Markl 2014: M4
 */
#ifndef IMAGE_CHART_H
#define IMAGE_CHART_H

#include "image/axis.h"
#include "image/image.h"

#define CHART_SIDE_MIN 160
#define CHART_SIDE_MAX 8192
#define CHART_LINES_MAX 21
#define CHART_ROWS_MAX 65536
#define CHART_SMOOTH_MAX 1000000
#define CHART_PLACE_MAX 1e300

struct chart_options {
    int64_t width, height;   /* pixels, CHART_SIDE_MIN..CHART_SIDE_MAX */
    enum axis_kind values;   /* of the lines' values or the map's colours */
    int64_t smooth;          /* 0..CHART_SMOOTH_MAX: points of a mean; 0, 1: none */
    const char *title;       /* borrowed until chart_free, as the rest; UTF-8; NULL: none */
    const char *x_name;      /* "step" */
    const char *y_name;      /* lines: of the values; map: of its rows */
    const char *value_name;  /* map: of the colours */
};

struct chart;

must_check int chart_create(struct chart **chart, const struct chart_options *o);
void chart_free(struct chart *chart);

/* Begin a line; the points that follow are its.  The name is copied. */
must_check int chart_line(struct chart *chart, const char *name);
/* x is -CHART_PLACE_MAX..CHART_PLACE_MAX, and not below the one before. */
must_check int chart_point(struct chart *chart, double x, double y);

/* The next column of a map; x as of points. */
must_check int chart_column(struct chart *chart, double x, const double *value, int64_t count);

/* Once, at the end. */
must_check int chart_draw(struct chart *chart, struct image *out);

#endif

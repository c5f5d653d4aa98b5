/* SPDX-License-Identifier: MIT */
/* chart_in.h -- the parts of chart.c; not for other rooms.
 *
 * All values here are scaled (axis.h), NaN for none.
 */
#ifndef IMAGE_CHART_IN_H
#define IMAGE_CHART_IN_H

#include <math.h>
#include <stdbool.h>

#include "image/canvas.h"
#include "image/chart.h"

/* ---- thinning along x ---------------------------------------------------------------------------------------------- */

/* Is x in the cell whose places are from..to, on a grid of this width that begins at first?  Width 0: each place has its
 * own. */
static inline bool same_place(double first, double width, double from, double to, double x)
{
    return x == to || (width > 0 && floor((x - first) / width) == floor((from - first) / width));
}

/* A wider grid, on which the places from first to last take at most half the room, and one more.  Old cells lie whole in new
 * ones. */
static inline double wider(double width, double first, double last, int64_t room)
{
    double least = (last / 2 - first / 2) * 4 / (double)room;

    if (width == 0)
        return least;
    do
        width *= 2;
    while (width < least);
    return width;
}

/* ---- chart_line.c: points, thinned and smoothed ------------------------------------------------------------------- */

struct cell { /* of points that follow each other */
    double from, to;                  /* places of the first and the last */
    double first, last, least, most;  /* values */
    bool gap;                         /* none leads here from the cell before */
};

struct series {
    struct cell *cell; /* owned [room] */
    int64_t count, room;
    double width;      /* of a cell along x; 0: each place has its own */
    bool gap;          /* before the next point */
};

struct window { /* the last points, and their sums without subtraction: a huge value leaves nothing behind when it goes */
    double *x, *y;        /* owned [room], a ring: points, or sums to the end of the older part */
    int64_t room, head, split, tail; /* the older part lies in [head,split), the newer in [split,tail); places modulo room */
    double sum_x, sum_y;  /* of the newer part */
};

struct line {
    char *name;           /* owned */
    struct series raw, mean;
    struct window window;
    bool full;            /* the window was, since the last gap */
};

must_check int line_init(struct line *l, const char *name, int64_t room, int64_t smooth);
void line_fini(struct line *l);
/* value is not scaled: a mean is taken before its logarithm. */
must_check int line_add(struct line *l, enum axis_kind kind, double x, double value);
void line_end(struct line *l, enum axis_kind kind);
const struct series *line_main(const struct line *l); /* the mean, or the points where they are not smoothed */

/* Colour and dashes of line i. */
void line_look(uint8_t rgb[3], struct pen *pen, int i, double unit);

/* ---- chart_map.c -------------------------------------------------------------------------------------------------- */

struct map {
    double *from, *to;  /* owned [room]: places of a column's first and last */
    double *sum;        /* owned [room,rows]: of values; after map_end their mean, NaN for none */
    uint32_t *number;   /* owned [room,rows]: of values */
    int64_t rows, count, room;
    double width;       /* as of a series */
    double *edge;       /* after map_end: owned [count + 1], where columns meet */
    double least, most; /* after map_end: of the means */
    bool holes;         /* after map_end: there are places without value */
};

must_check int map_init(struct map *m, int64_t rows, int64_t room);
void map_fini(struct map *m);
void map_add(struct map *m, enum axis_kind kind, double x, const double *value);
/* ERR_EMPTY: no value at all. */
must_check int map_end(struct map *m);

struct box {
    int64_t x, y, width, height; /* pixels */
};

must_check int map_draw(const struct map *m, const struct axis *x, const struct axis *values, struct image *image,
                        struct box box);
void map_colour(uint8_t rgb[3], double place); /* 0..1 */
extern const uint8_t map_hole[3];

/* ---- chart.c ------------------------------------------------------------------------------------------------------ */

struct chart {
    struct chart_options o;
    struct line line[CHART_LINES_MAX];
    int lines;
    struct map map;
    double last_x; /* of the map */
};

struct layout {
    struct canvas canvas;
    bool map;               /* rows from the top, and a bar of colours */
    double unit;            /* a pixel of 800 x 480 */
    struct box plot;        /* the lines or the map, without axes */
    struct axis x, y;       /* y: of a map, its rows */
    struct axis colours;    /* of a map */
};

/* ---- chart_page.c ------------------------------------------------------------------------------------------------- */

/* Draw title, names and legend, and find room for the plot: needs map, unit and the axes. */
void page_begin(const struct chart *c, struct layout *l);
void page_grid(struct layout *l);
void page_axes(struct layout *l, const char *x_name);
void page_bar(struct layout *l); /* of a map */

#endif

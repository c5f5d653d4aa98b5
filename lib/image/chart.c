/* SPDX-License-Identifier: MIT */
/* chart.c -- what a chart is given, and drawing it. */
#include "image/chart.h"

#include <math.h>
#include <stdlib.h>

#include "image/chart_in.h"

#define MAP_CELLS_MAX ((int64_t)1 << 24)
#define ROOM_FACTOR 4 /* places for each pixel, so that cells, of which half may be free, stay narrower than a pixel */

int chart_create(struct chart **chart, const struct chart_options *o)
{
    *chart = NULL;
    if (o->width < CHART_SIDE_MIN || o->width > CHART_SIDE_MAX || o->height < CHART_SIDE_MIN || o->height > CHART_SIDE_MAX)
        return err_set(ERR_ARG, "a chart of %lld x %lld pixels; sides are %d to %d", (long long)o->width, (long long)o->height,
                       CHART_SIDE_MIN, CHART_SIDE_MAX);
    if (o->smooth < 0 || o->smooth > CHART_SMOOTH_MAX)
        return err_set(ERR_ARG, "a mean of %lld points; 0 to %d", (long long)o->smooth, CHART_SMOOTH_MAX);
    if (!(*chart = calloc(1, sizeof **chart)))
        return err_set(ERR_NOMEM, "no memory for a chart");
    (*chart)->o = *o;
    return 0;
}

void chart_free(struct chart *chart)
{
    if (!chart)
        return;
    for (int i = 0; i < chart->lines; i++)
        line_fini(&chart->line[i]);
    map_fini(&chart->map);
    free(chart);
}

/* ---- what to draw ------------------------------------------------------------------------------------------------ */

int chart_line(struct chart *c, const char *name)
{
    if (c->lines == CHART_LINES_MAX)
        return err_set(ERR_ARG, "more than %d lines", CHART_LINES_MAX);
    if (c->map.count > 0)
        return err_set(ERR_ARG, "lines on a map");
    return line_init(&c->line[c->lines++], name, ROOM_FACTOR * c->o.width, c->o.smooth);
}

int chart_point(struct chart *c, double x, double y)
{
    if (c->lines == 0)
        return err_set(ERR_ARG, "a point of no line");
    return line_add(&c->line[c->lines - 1], c->o.values, x, y);
}

int chart_column(struct chart *c, double x, const double *value, int64_t count)
{
    int64_t room = ROOM_FACTOR * c->o.width;
    int rc;

    if (c->lines > 0)
        return err_set(ERR_ARG, "a map on lines");
    if (count < 1 || count > CHART_ROWS_MAX || (c->map.rows > 0 && count != c->map.rows))
        return err_set(ERR_ARG, "a column of %lld numbers", (long long)count);
    if (!(fabs(x) <= CHART_PLACE_MAX) || (c->map.count > 0 && x < c->last_x))
        return err_set(ERR_ARG, "a column at %g behind one at %g", x, c->last_x);
    room = room < MAP_CELLS_MAX / count ? room : MAP_CELLS_MAX / count;
    if (c->map.rows == 0 && (rc = map_init(&c->map, count, room)) != 0)
        return rc;
    c->last_x = x;
    map_add(&c->map, c->o.values, x, value);
    return 0;
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */

static double at_x(const struct layout *l, double x)
{
    return (double)l->plot.x + axis_place(&l->x, x) * (double)l->plot.width;
}

static double at_y(const struct layout *l, double y)
{
    return (double)l->plot.y + (1 - axis_place(&l->y, y)) * (double)l->plot.height;
}

/* A cell's points from left to right: the greatest before the least, which at this width cannot be told from the other way. */
static void draw_cell(struct layout *l, struct pen *pen, const struct cell *c)
{
    double a = at_x(l, c->from), b = at_x(l, c->to), middle = (a + b) / 2;

    canvas_line(&l->canvas, pen, a, at_y(l, c->first), middle, at_y(l, c->most));
    canvas_line(&l->canvas, pen, middle, at_y(l, c->most), middle, at_y(l, c->least));
    canvas_line(&l->canvas, pen, middle, at_y(l, c->least), b, at_y(l, c->last));
}

static void draw_series(struct layout *l, const struct series *s, struct pen pen, bool dots)
{
    for (int64_t i = 0; i < s->count; i++) {
        const struct cell *c = &s->cell[i];
        bool alone = c->gap && (i + 1 == s->count || s->cell[i + 1].gap);
        struct pen dot = {.radius = (dots ? 2.5 : 2) * pen.radius};

        if (!c->gap)
            canvas_line(&l->canvas, &pen, at_x(l, c[-1].to), at_y(l, c[-1].last), at_x(l, c->from), at_y(l, c->first));
        if (c->most > c->least || c->to > c->from)
            draw_cell(l, &pen, c);
        else if (dots || alone)
            canvas_line(&l->canvas, &dot, at_x(l, c->from), at_y(l, c->first), at_x(l, c->from), at_y(l, c->first));
    }
}

static void draw_lines(const struct chart *c, struct layout *l)
{
    uint8_t rgb[3], pale[3];
    struct pen pen;

    for (int i = 0; i < c->lines && c->o.smooth > 1; i++) {
        line_look(rgb, &pen, i, l->unit);
        for (int k = 0; k < 3; k++)
            pale[k] = (uint8_t)(255 - (255 - rgb[k]) * 3 / 10);
        draw_series(l, &c->line[i].raw, (struct pen){.radius = 0.75 * l->unit}, false);
        canvas_ink(&l->canvas, pale);
    }
    for (int i = 0; i < c->lines; i++) {
        const struct series *s = line_main(&c->line[i]);

        line_look(rgb, &pen, i, l->unit);
        draw_series(l, s, pen, (double)s->count * 14 * l->unit < (double)l->plot.width);
        canvas_ink(&l->canvas, rgb);
    }
}

/* The extent of all points; ERR_EMPTY: there are none. */
static int find_axes(const struct chart *c, struct layout *l)
{
    double low_x = INFINITY, high_x = -INFINITY, low = INFINITY, high = -INFINITY;

    for (int i = 0; i < c->lines; i++)
        for (int64_t k = 0; k < c->line[i].raw.count; k++) {
            const struct cell *cell = &c->line[i].raw.cell[k];

            low_x = fmin(low_x, cell->from);
            high_x = fmax(high_x, cell->to);
            low = fmin(low, cell->least);
            high = fmax(high, cell->most);
        }
    if (low > high)
        return err_set(ERR_EMPTY, "no value to draw");
    if (low_x > 0 && low_x < high_x / 20) /* steps are counted from 1, or logged each tenth: 0 belongs to them */
        low_x = 0;
    axis_init(&l->x, AXIS_WHOLE, low_x, high_x, 0);
    axis_init(&l->y, c->o.values, low, high, 0.04);
    return 0;
}

/* ---- the whole ---------------------------------------------------------------------------------------------------- */

static int draw_map(struct chart *c, struct layout *l)
{
    struct map *m = &c->map;
    int rc;

    if ((rc = map_end(m)) != 0)
        return rc;
    if (m->edge[0] > 0 && m->edge[0] < m->edge[m->count] / 200) /* a few pixels to 0, which then has its number */
        m->edge[0] = 0;
    l->map = true;
    axis_init(&l->x, AXIS_WHOLE, m->edge[0], m->edge[m->count], 0);
    axis_init(&l->y, AXIS_WHOLE, -0.5, (double)m->rows - 0.5, 0);
    axis_init(&l->colours, c->o.values, m->least, m->most, 0);
    page_begin(c, l);
    if ((rc = map_draw(m, &l->x, &l->colours, &l->canvas.image, l->plot)) != 0)
        return rc;
    page_axes(l, c->o.x_name);
    page_bar(l);
    return 0;
}

static int draw_chart(struct chart *c, struct layout *l)
{
    int rc;

    for (int i = 0; i < c->lines; i++)
        line_end(&c->line[i], c->o.values);
    if ((rc = find_axes(c, l)) != 0)
        return rc;
    page_begin(c, l);
    page_grid(l);
    page_axes(l, c->o.x_name);
    draw_lines(c, l);
    return 0;
}

int chart_draw(struct chart *c, struct image *out)
{
    struct layout l = {.unit = fmax(0.7, fmin((double)c->o.width / 800, (double)c->o.height / 480))};
    int rc;

    *out = (struct image){0};
    if ((rc = canvas_init(&l.canvas, c->o.width, c->o.height)) != 0)
        return rc;
    if ((rc = c->map.rows > 0 ? draw_map(c, &l) : draw_chart(c, &l)) == 0) {
        *out = l.canvas.image;
        l.canvas.image = (struct image){0};
    }
    canvas_fini(&l.canvas);
    return rc;
}

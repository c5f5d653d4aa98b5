/* SPDX-License-Identifier: MIT */
/* chart_line.c -- a line's points in bounded memory, and its mean. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/chart_in.h"

/* ---- thinning ---------------------------------------------------------------------------------------------------- */

static void cell_merge(struct cell *into, const struct cell *next)
{
    into->to = next->to;
    into->last = next->last;
    into->least = fmin(into->least, next->least);
    into->most = fmax(into->most, next->most);
}

static bool same_cell(const struct series *s, const struct cell *c, double x)
{
    return same_place(s->cell[0].from, s->width, c->from, c->to, x);
}

static void series_thin(struct series *s)
{
    int64_t count = 0;

    s->width = wider(s->width, s->cell[0].from, s->cell[s->count - 1].to, s->room);
    for (int64_t i = 1; i < s->count; i++)
        if (same_cell(s, &s->cell[count], s->cell[i].from))
            cell_merge(&s->cell[count], &s->cell[i]);
        else
            s->cell[++count] = s->cell[i];
    s->count = count + 1;
}

static void series_add(struct series *s, double x, double y)
{
    struct cell point = {x, x, y, y, y, y, s->gap};
    bool same = s->count > 0 && same_cell(s, &s->cell[s->count - 1], x);

    s->gap = isnan(y);
    if (s->gap)
        return;
    if (!same && s->count == s->room) {
        series_thin(s);
        same = s->count == s->room || same_cell(s, &s->cell[s->count - 1], x);
    }
    if (same)
        cell_merge(&s->cell[s->count - 1], &point);
    else
        s->cell[s->count++] = point;
}

static int series_init(struct series *s, int64_t room)
{
    *s = (struct series){.cell = calloc((size_t)room, sizeof *s->cell), .room = room, .gap = true};
    return s->cell ? 0 : err_set(ERR_NOMEM, "no memory for a line");
}

/* ---- the mean ---------------------------------------------------------------------------------------------------- */

static void window_push(struct window *w, double x, double y)
{
    w->x[w->tail % w->room] = x;
    w->y[w->tail % w->room] = y;
    w->sum_x += x;
    w->sum_y += y;
    w->tail++;
}

static void window_pop(struct window *w)
{
    if (w->head == w->split) { /* the newer part becomes the older one */
        double x = 0, y = 0;

        for (int64_t i = w->tail - 1; i >= w->head; i--) {
            x = w->x[i % w->room] += x;
            y = w->y[i % w->room] += y;
        }
        w->split = w->tail;
        w->sum_x = w->sum_y = 0;
    }
    w->head++;
}

/* The mean of the points in the window, behind the series. */
static void put_mean(struct line *l, enum axis_kind kind)
{
    const struct window *w = &l->window;
    double n = (double)(w->tail - w->head), x = w->sum_x, y = w->sum_y;

    if (w->head < w->split) {
        x += w->x[w->head % w->room];
        y += w->y[w->head % w->room];
    }
    series_add(&l->mean, x / n, axis_scale(kind, y / n));
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */

int line_init(struct line *l, const char *name, int64_t room, int64_t smooth)
{
    int rc;

    *l = (struct line){.name = strdup(name)};
    if (!l->name)
        return err_set(ERR_NOMEM, "no memory for a line");
    if ((rc = series_init(&l->raw, room)) != 0 || smooth <= 1)
        return rc;
    l->window.room = smooth;
    l->window.x = malloc((size_t)smooth * sizeof *l->window.x);
    l->window.y = malloc((size_t)smooth * sizeof *l->window.y);
    if (!l->window.x || !l->window.y)
        return err_set(ERR_NOMEM, "no memory for a mean over %lld points", (long long)smooth);
    return series_init(&l->mean, room);
}

void line_fini(struct line *l)
{
    free(l->name);
    free(l->raw.cell);
    free(l->mean.cell);
    free(l->window.x);
    free(l->window.y);
    *l = (struct line){0};
}

void line_end(struct line *l, enum axis_kind kind)
{
    struct window *w = &l->window;

    if (w->tail > w->head && !l->full)
        put_mean(l, kind);
    l->full = false;
    w->head = w->split = w->tail = 0;
    w->sum_x = w->sum_y = 0;
    l->mean.gap = true;
}

int line_add(struct line *l, enum axis_kind kind, double x, double value)
{
    double y = axis_scale(kind, value);
    struct window *w = &l->window;

    if (!(fabs(x) <= CHART_PLACE_MAX) || (l->raw.count > 0 && x < l->raw.cell[l->raw.count - 1].to))
        return err_set(ERR_ARG, "a point at %g behind one at %g", x, l->raw.count ? l->raw.cell[l->raw.count - 1].to : x);
    series_add(&l->raw, x, y);
    if (w->room == 0)
        return 0;
    if (isnan(y)) {
        line_end(l, kind);
        return 0;
    }
    if (w->tail - w->head == w->room)
        window_pop(w);
    window_push(w, x, value);
    if (w->tail - w->head == w->room) {
        put_mean(l, kind);
        l->full = true;
    }
    return 0;
}

const struct series *line_main(const struct line *l)
{
    return l->window.room ? &l->mean : &l->raw;
}

void line_look(uint8_t rgb[3], struct pen *pen, int i, double unit)
{
    static const uint8_t colours[7][3] = {{0, 114, 178}, {213, 94, 0}, {0, 158, 115}, {204, 121, 167},
                                          {230, 159, 0}, {86, 180, 233}, {0, 0, 0}};
    static const double dashes[3][2] = {{0, 0}, {7, 5}, {1, 4}};

    memcpy(rgb, colours[i % 7], 3);
    *pen = (struct pen){.radius = 1.0 * unit, .on = dashes[i / 7 % 3][0] * unit, .off = dashes[i / 7 % 3][1] * unit};
}

/* SPDX-License-Identifier: MIT */
/* chart_map.c -- the columns of a map in bounded memory, and their colours. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/chart_in.h"

const uint8_t map_hole[3] = {214, 214, 214};

int map_init(struct map *m, int64_t rows, int64_t room)
{
    size_t cells = (size_t)rows * (size_t)room;

    *m = (struct map){.rows = rows, .room = room};
    m->from = malloc((size_t)room * sizeof *m->from);
    m->to = malloc((size_t)room * sizeof *m->to);
    m->sum = calloc(cells, sizeof *m->sum); /* pages that no column comes to use cost nothing */
    m->number = calloc(cells, sizeof *m->number);
    m->edge = malloc((size_t)(room + 1) * sizeof *m->edge);
    if (m->from && m->to && m->sum && m->number && m->edge)
        return 0;
    map_fini(m);
    return err_set(ERR_NOMEM, "no memory for a map of %lld rows", (long long)rows);
}

void map_fini(struct map *m)
{
    free(m->from);
    free(m->to);
    free(m->sum);
    free(m->number);
    free(m->edge);
    *m = (struct map){0};
}

static bool same_column(const struct map *m, int64_t i, double x)
{
    return same_place(m->from[0], m->width, m->from[i], m->to[i], x);
}

/* Column `from` becomes part of column `into`, or its copy where that is new; it is left empty. */
static void move_column(struct map *m, int64_t into, int64_t from, bool fresh)
{
    double *sum = m->sum + into * m->rows, *old = m->sum + from * m->rows;
    uint32_t *number = m->number + into * m->rows, *old_number = m->number + from * m->rows;

    if (into == from)
        return;
    for (int64_t i = 0; i < m->rows; i++) {
        sum[i] += old[i];
        number[i] += old_number[i];
    }
    memset(old, 0, (size_t)m->rows * sizeof *old);
    memset(old_number, 0, (size_t)m->rows * sizeof *old_number);
    if (fresh)
        m->from[into] = m->from[from];
    m->to[into] = m->to[from];
}

static void map_thin(struct map *m)
{
    int64_t count = 0;

    m->width = wider(m->width, m->from[0], m->to[m->count - 1], m->room);
    for (int64_t i = 1; i < m->count; i++) {
        bool same = same_column(m, count, m->from[i]);

        count += !same;
        move_column(m, count, i, !same);
    }
    m->count = count + 1;
}

void map_add(struct map *m, enum axis_kind kind, double x, const double *value)
{
    bool same = m->count > 0 && same_column(m, m->count - 1, x);
    int64_t at;

    if (!same && m->count == m->room) {
        map_thin(m);
        same = m->count == m->room || same_column(m, m->count - 1, x);
    }
    if (!same)
        m->from[m->count++] = x;
    at = m->count - 1;
    m->to[at] = x;
    for (int64_t i = 0; i < m->rows; i++) {
        double y = axis_scale(kind, value[i]);

        if (!isnan(y)) {
            m->sum[at * m->rows + i] += y;
            m->number[at * m->rows + i]++;
        }
    }
}

int map_end(struct map *m)
{
    m->least = INFINITY;
    m->most = -INFINITY;
    for (int64_t i = 0; i < m->count * m->rows; i++) {
        m->sum[i] = m->number[i] ? m->sum[i] / m->number[i] : NAN;
        m->holes |= !m->number[i];
        m->least = fmin(m->least, m->sum[i]);
        m->most = fmax(m->most, m->sum[i]);
    }
    if (m->least > m->most)
        return err_set(ERR_EMPTY, "no value to draw");
    for (int64_t i = 1; i < m->count; i++)
        m->edge[i] = m->to[i - 1] / 2 + m->from[i] / 2;
    m->edge[0] = m->count > 1 ? 2 * m->from[0] - m->edge[1] : m->from[0] - 0.5;
    m->edge[m->count] = m->count > 1 ? 2 * m->to[m->count - 1] - m->edge[m->count - 1] : m->to[0] + 0.5;
    return 0;
}

/* ---- colours ----------------------------------------------------------------------------------------------------- */

void map_colour(uint8_t rgb[3], double place)
{
    static const uint8_t stop[11][3] = {{68, 1, 84},    {72, 37, 118},  {65, 68, 135},  {53, 96, 141},
                                        {42, 120, 142}, {33, 144, 140}, {34, 168, 132}, {67, 191, 113},
                                        {122, 209, 81}, {187, 223, 39}, {253, 231, 37}};
    double at = fmin(fmax(place, 0), 1) * 10;
    int i = at < 9 ? (int)at : 9;

    for (int k = 0; k < 3; k++)
        rgb[k] = (uint8_t)(stop[i][k] + (at - i) * (stop[i + 1][k] - stop[i][k]) + 0.5);
}

struct span {
    int64_t first, last; /* columns or rows that a pixel shows */
};

/* Those that pixel i of n lies over: the one at its middle where they are larger than pixels, else all that it touches.
 * edge[count + 1] in pixels. */
static struct span span_of(const double *edge, int64_t count, int64_t i, int64_t n, struct span before)
{
    double from = count > n ? (double)i : (double)i + 0.5, to = count > n ? (double)i + 1 : from;
    struct span s = before;

    while (s.first + 1 < count && edge[s.first + 1] <= from)
        s.first++;
    s.last = s.first;
    while (s.last + 1 < count && edge[s.last + 1] < to)
        s.last++;
    return s;
}

static double mean_of(const struct map *m, struct span columns, struct span rows)
{
    double sum = 0;
    int64_t n = 0;

    for (int64_t c = columns.first; c <= columns.last; c++)
        for (int64_t r = rows.first; r <= rows.last; r++)
            if (!isnan(m->sum[c * m->rows + r])) {
                sum += m->sum[c * m->rows + r];
                n++;
            }
    return n ? sum / (double)n : NAN;
}

int map_draw(const struct map *m, const struct axis *x, const struct axis *values, struct image *image, struct box box)
{
    double *column = malloc((size_t)(m->count + 1) * sizeof *column), *row = malloc((size_t)(m->rows + 1) * sizeof *row);
    struct span rows = {0, 0};
    int rc = column && row ? 0 : err_set(ERR_NOMEM, "no memory for a map");

    for (int64_t i = 0; rc == 0 && i <= m->count; i++)
        column[i] = axis_place(x, m->edge[i]) * (double)box.width;
    for (int64_t i = 0; rc == 0 && i <= m->rows; i++)
        row[i] = (double)(i * box.height) / (double)m->rows;
    for (int64_t b = 0; rc == 0 && b < box.height; b++) {
        struct span columns = {0, 0};

        rows = span_of(row, m->rows, b, box.height, rows);
        for (int64_t a = 0; a < box.width; a++) {
            uint8_t *rgb = image->rgb + 3 * ((box.y + b) * image->width + box.x + a);
            double value;

            columns = span_of(column, m->count, a, box.width, columns);
            value = mean_of(m, columns, rows);
            if (isnan(value))
                memcpy(rgb, map_hole, 3);
            else
                map_colour(rgb, axis_place(values, value));
        }
    }
    free(column);
    free(row);
    return rc;
}

/* SPDX-License-Identifier: MIT */
/* chart_page.c -- where everything stands on a chart: title, names and legend, axes and their numbers.
 *
 *     title
 *     name of the values   --- line   --- line         name of the rows    [ ] no value         name of the colours
 *     |                                                 |                                       [] |
 *     |            lines                                |            map                        [] |
 *     +---------------------------                      +-----------------------------          [] |
 *                name of x                                           name of x
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/chart_in.h"
#include "image/font.h"

#define TEXT_SCALE 1.5 /* of font.h's letters, at 800 x 480 */
#define TITLE_SCALE 2
#define TEXT_MAX 1024 /* bytes of a text; what is longer is cut */
#define NAME_MAX_CELLS 40 /* letters of a line's name */

static const uint8_t ink[3] = {51, 51, 51}, rule[3] = {120, 120, 120}, grid[3] = {229, 229, 229};

/* ---- text -------------------------------------------------------------------------------------------------------- */

static double text_width(const struct layout *l, const char *text, double scale)
{
    int64_t cells = font_length(text, strlen(text));

    return cells ? ((double)cells * FONT_WIDTH - 1) * scale * l->unit : 0;
}

/* (x, y): the top of the letters, and their left end (align 0), middle (0.5) or right end (1). */
static void put_text(struct layout *l, double x, double y, double align, double scale, const char *text)
{
    canvas_text(&l->canvas, x - align * text_width(l, text, scale), y, scale * l->unit, text, strlen(text));
    canvas_ink(&l->canvas, ink);
}

/* At most `cells` letters of a text; from one that is longer its end, with dots in front, or its start with dots behind. */
static void fit_text(char *out, size_t room, const char *text, int64_t cells, bool keep_end)
{
    int64_t length = font_length(text, strlen(text)), skip = length > cells ? length - cells + 3 : 0;
    const char *start = text, *end = text + strlen(text);

    if (skip > length) { /* not even dots fit */
        *out = 0;
        return;
    }
    for (int64_t i = 0; i < skip; i++)
        if (keep_end)
            do
                start++;
            while (*start && font_length(start, 1) == 0);
        else
            do
                end--;
            while (end > start && font_length(end, 1) == 0);
    snprintf(out, room, "%s%.*s%s", skip && keep_end ? "..." : "", (int)(end - start), start, skip && !keep_end ? "..." : "");
}

static int64_t cells_in(const struct layout *l, double pixels, double scale)
{
    return (int64_t)(pixels / (FONT_WIDTH * scale * l->unit));
}

/* A tick's number, the right end of its letters at x, or their middle: y is their middle. */
static void put_number(struct layout *l, double x, double y, double align, const struct tick *t)
{
    double small = 0.75 * TEXT_SCALE, width = text_width(l, t->label, TEXT_SCALE), power = text_width(l, t->power, small);
    double gap = *t->power ? 2 * l->unit : 0;

    x -= align * (width + gap + power);
    y -= 3.5 * TEXT_SCALE * l->unit;
    put_text(l, x, y, 0, TEXT_SCALE, t->label);
    if (*t->power)
        put_text(l, x + width + gap, y - 4 * l->unit, 0, small, t->power);
}

static double number_width(const struct layout *l, const struct tick *tick, int count)
{
    double width = 0;

    for (int i = 0; i < count; i++)
        width = fmax(width, text_width(l, tick[i].label, TEXT_SCALE) + text_width(l, tick[i].power, 0.75 * TEXT_SCALE) +
                     (*tick[i].power ? 2 * l->unit : 0));
    return width;
}

/* ---- axes -------------------------------------------------------------------------------------------------------- */

static int labels_along(const struct layout *l, int64_t pixels, double apart)
{
    int n = (int)((double)pixels / (apart * l->unit));

    return n < 2 ? 2 : n > 50 ? 50 : n;
}

/* Fewer where the numbers are long. */
static int x_ticks(const struct layout *l, struct tick tick[AXIS_TICKS_MAX])
{
    int most = labels_along(l, l->plot.width, 85), count = axis_ticks(&l->x, most, tick);

    while (most > 2 && (number_width(l, tick, count) + 12 * l->unit) * count > (double)l->plot.width)
        count = axis_ticks(&l->x, --most, tick);
    return count;
}

static int y_ticks(const struct layout *l, const struct axis *axis, struct tick tick[AXIS_TICKS_MAX])
{
    return axis_ticks(axis, labels_along(l, l->plot.height, 45), tick);
}

static int64_t thin(const struct layout *l)
{
    return (int64_t)fmax(1, floor(l->unit + 0.25));
}

static int64_t pixel(double at)
{
    return (int64_t)floor(at);
}

/* Where a tick stands: rows of a map count from the top. */
static double tick_y(const struct layout *l, const struct tick *t)
{
    double place = l->map ? t->place : 1 - t->place;

    return (double)l->plot.y + place * (double)l->plot.height;
}

void page_grid(struct layout *l)
{
    struct tick tick[AXIS_TICKS_MAX];
    int count = y_ticks(l, &l->y, tick);

    for (int i = 0; i < count; i++)
        if (*tick[i].label)
            canvas_fill(&l->canvas, l->plot.x, pixel(tick_y(l, &tick[i])), l->plot.width, thin(l), grid);
    count = x_ticks(l, tick);
    for (int i = 0; i < count; i++)
        canvas_fill(&l->canvas, l->plot.x + pixel(tick[i].place * (double)l->plot.width), l->plot.y, thin(l), l->plot.height,
                    grid);
}

void page_axes(struct layout *l, const char *x_name)
{
    const struct box *p = &l->plot;
    int64_t mark = (int64_t)(4 * l->unit), w = thin(l);
    struct tick tick[AXIS_TICKS_MAX];
    int count = y_ticks(l, &l->y, tick);

    canvas_fill(&l->canvas, p->x - w, p->y, w, p->height + w, rule);
    canvas_fill(&l->canvas, p->x - w, p->y + p->height, p->width + w, w, rule);
    for (int i = 0; i < count; i++) {
        double y = tick_y(l, &tick[i]);
        int64_t size = *tick[i].label ? mark : mark / 2;

        canvas_fill(&l->canvas, p->x - w - size, pixel(y), size, w, rule);
        put_number(l, (double)(p->x - mark) - 5 * l->unit, y + 0.5, 1, &tick[i]);
    }
    count = x_ticks(l, tick);
    for (int i = 0; i < count; i++) {
        double x = (double)p->x + tick[i].place * (double)p->width;

        canvas_fill(&l->canvas, pixel(x), p->y + p->height + w, w, mark, rule);
        put_number(l, x + 0.5, (double)(p->y + p->height + mark) + 10 * l->unit, 0.5, &tick[i]);
    }
    put_text(l, (double)p->x + (double)p->width / 2, (double)(p->y + p->height) + 26 * l->unit, 0.5, TEXT_SCALE,
             x_name ? x_name : "");
}

/* ---- the head ---------------------------------------------------------------------------------------------------- */

/* Colour, dashes and name of each line, in rows between left and right; y: the first row.  Returns the lower end. */
static double put_legend(const struct chart *c, struct layout *l, double start, double left, double right, double y)
{
    double u = l->unit, swatch = 22 * u, row = 18 * u, x = start;
    int64_t most = c->lines > 6 ? NAME_MAX_CELLS / 2 : NAME_MAX_CELLS, room = cells_in(l, right - left - swatch, TEXT_SCALE);

    for (int i = 0; i < c->lines; i++) {
        char name[TEXT_MAX];
        struct pen pen;
        uint8_t rgb[3];
        double width;

        fit_text(name, sizeof name, c->line[i].name, most < room ? most : room, true);
        width = swatch + 6 * u + text_width(l, name, TEXT_SCALE);
        if (x + width > right && x > left) {
            if (y + row > 0.4 * l->canvas.image.height) /* the picture is for the lines */
                break;
            x = left;
            y += row;
        }
        line_look(rgb, &pen, i, u);
        pen.radius *= 1.5;
        canvas_line(&l->canvas, &pen, x, y + 3.5 * TEXT_SCALE * u, x + swatch, y + 3.5 * TEXT_SCALE * u);
        canvas_ink(&l->canvas, rgb);
        put_text(l, x + swatch + 6 * u, y, 0, TEXT_SCALE, name);
        x += width + 20 * u;
    }
    return y + row;
}

/* Left the name of the rows and the grey of holes, right the name of the colours. */
static double put_map_head(const struct chart *c, struct layout *l, double start, double right, double y)
{
    double u = l->unit, side = 7 * TEXT_SCALE * u;
    char name[TEXT_MAX];

    if (c->map.holes) {
        canvas_fill(&l->canvas, (int64_t)start, (int64_t)y, (int64_t)side, (int64_t)side, map_hole);
        put_text(l, start + side + 6 * u, y, 0, TEXT_SCALE, "no value");
        start += side + 30 * u + text_width(l, "no value", TEXT_SCALE);
    }
    fit_text(name, sizeof name, c->o.value_name ? c->o.value_name : "", cells_in(l, right - start, TEXT_SCALE), false);
    put_text(l, right, y, 1, TEXT_SCALE, name);
    return y + 18 * u;
}

/* Title, names, legend; the plot is what they leave. */
static void put_head(const struct chart *c, struct layout *l)
{
    double u = l->unit, left = 12 * u, right = c->o.width - 12 * u, y = 12 * u, start = left;
    char text[TEXT_MAX];

    if (c->o.title && *c->o.title) {
        fit_text(text, sizeof text, c->o.title, cells_in(l, right - left, TITLE_SCALE), false);
        put_text(l, left, y, 0, TITLE_SCALE, text);
        y += 28 * u;
    }
    if (c->o.y_name) {
        fit_text(text, sizeof text, c->o.y_name, cells_in(l, right - left, TEXT_SCALE), false);
        put_text(l, left, y, 0, TEXT_SCALE, text);
        start += text_width(l, text, TEXT_SCALE) + 24 * u;
    }
    y = l->map ? put_map_head(c, l, start, right, y) : put_legend(c, l, start, left, right, y);
    l->plot.y = (int64_t)(y + 4 * u);
    l->plot.height = c->o.height - l->plot.y - (int64_t)(48 * u);
}

void page_begin(const struct chart *c, struct layout *l)
{
    struct tick tick[AXIS_TICKS_MAX];
    double left, right = 24 * l->unit;

    put_head(c, l);
    left = 21 * l->unit + number_width(l, tick, y_ticks(l, &l->y, tick));
    if (l->map)
        right = 50 * l->unit + number_width(l, tick, y_ticks(l, &l->colours, tick));
    l->plot.x = (int64_t)fmin(left, (double)c->o.width / 2);
    l->plot.width = c->o.width - l->plot.x - (int64_t)right;
    if (l->plot.width < 16)
        l->plot.width = 16;
}

void page_bar(struct layout *l)
{
    int64_t x = l->plot.x + l->plot.width + (int64_t)(16 * l->unit), width = (int64_t)(14 * l->unit), w = thin(l);
    struct tick tick[AXIS_TICKS_MAX];
    int count = y_ticks(l, &l->colours, tick);
    uint8_t rgb[3];

    for (int64_t y = 0; y < l->plot.height; y++) {
        map_colour(rgb, 1 - ((double)y + 0.5) / (double)l->plot.height);
        canvas_fill(&l->canvas, x, l->plot.y + y, width, 1, rgb);
    }
    for (int i = 0; i < count; i++) {
        double y = (double)l->plot.y + (1 - tick[i].place) * (double)l->plot.height;
        int64_t size = (int64_t)((*tick[i].label ? 4 : 2) * l->unit);

        canvas_fill(&l->canvas, x + width, pixel(y), size, w, rule);
        put_number(l, (double)(x + width) + 8 * l->unit, y + 0.5, 0, &tick[i]);
    }
}

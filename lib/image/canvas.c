/* SPDX-License-Identifier: MIT */
/* canvas.c -- a line covers a pixel by its distance from the pixel's centre: all of it where the line's edge lies half a pixel
 * further out, none where it lies half a pixel further in. */
#include "image/canvas.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/font.h"

#define LETTER_RADIUS 0.55 /* of the pen, in dots of a glyph */

int canvas_init(struct canvas *c, int64_t width, int64_t height)
{
    int rc;

    *c = (struct canvas){0};
    if ((rc = image_init(&c->image, width, height)) != 0)
        return rc;
    if (!(c->mask = calloc((size_t)width * (size_t)height, 1))) {
        canvas_fini(c);
        return err_set(ERR_NOMEM, "no memory for a picture of %lld x %lld", (long long)width, (long long)height);
    }
    memset(c->image.rgb, 255, 3 * (size_t)width * (size_t)height);
    c->left = c->image.width;
    c->top = c->image.height;
    return 0;
}

void canvas_fini(struct canvas *c)
{
    image_fini(&c->image);
    free(c->mask);
    *c = (struct canvas){0};
}

void canvas_fill(struct canvas *c, int64_t x, int64_t y, int64_t width, int64_t height, const uint8_t rgb[3])
{
    for (int64_t b = y < 0 ? 0 : y; b < y + height && b < c->image.height; b++)
        for (int64_t a = x < 0 ? 0 : x; a < x + width && a < c->image.width; a++)
            memcpy(c->image.rgb + 3 * (b * c->image.width + a), rgb, 3);
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */

static double clamp(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

/* Pixels of row y from first to last, beside the line from (ax, ay) by (dx, dy). */
static void cover_row(struct canvas *c, int32_t y, int32_t first, int32_t last, double radius, double ax, double ay, double dx,
                      double dy)
{
    double square = dx * dx + dy * dy, py = y + 0.5 - ay;
    uint8_t *row = c->mask + (int64_t)y * c->image.width;

    for (int32_t x = first; x <= last; x++) {
        double px = x + 0.5 - ax, t = square > 0 ? clamp((px * dx + py * dy) / square, 0, 1) : 0;
        double distance = sqrt((px - t * dx) * (px - t * dx) + (py - t * dy) * (py - t * dy));
        uint8_t cover = (uint8_t)(255 * clamp(radius + 0.5 - distance, 0, 1) + 0.5);

        if (cover > row[x])
            row[x] = cover;
    }
}

static void cover(struct canvas *c, double radius, double ax, double ay, double bx, double by)
{
    double reach = radius + 1, dx = bx - ax, dy = by - ay, width = c->image.width, height = c->image.height;
    int32_t top = (int32_t)clamp(floor(fmin(ay, by) - reach), 0, height);
    int32_t bottom = (int32_t)clamp(ceil(fmax(ay, by) + reach), 0, height);

    c->top = top < c->top ? top : c->top;
    c->bottom = bottom > c->bottom ? bottom : c->bottom;
    for (int32_t y = top; y < bottom; y++) { /* the part of the line that reaches into this row */
        double s = dy != 0 ? clamp((y - reach - ay) / dy, 0, 1) : 0, t = dy != 0 ? clamp((y + 1 + reach - ay) / dy, 0, 1) : 1;
        int32_t first = (int32_t)clamp(floor(fmin(ax + s * dx, ax + t * dx) - reach), 0, width);
        int32_t last = (int32_t)clamp(ceil(fmax(ax + s * dx, ax + t * dx) + reach), 0, width) - 1;

        c->left = first < c->left ? first : c->left;
        c->right = last + 1 > c->right ? last + 1 : c->right;
        cover_row(c, y, first, last, radius, ax, ay, dx, dy);
    }
}

void canvas_line(struct canvas *c, struct pen *pen, double ax, double ay, double bx, double by)
{
    double length = hypot(bx - ax, by - ay), period = pen->on + pen->off, done = 0;

    if (pen->off <= 0 || length == 0) {
        cover(c, pen->radius, ax, ay, bx, by);
        return;
    }
    while (done < length) {
        double in = fmod(pen->at + done, period), rest = in < pen->on ? pen->on - in : period - in;
        double next = fmin(length, done + fmax(rest, 1e-3)), s = done / length, t = next / length;

        if (in < pen->on)
            cover(c, pen->radius, ax + s * (bx - ax), ay + s * (by - ay), ax + t * (bx - ax), ay + t * (by - ay));
        done = next;
    }
    pen->at = fmod(pen->at + length, period);
}

void canvas_ink(struct canvas *c, const uint8_t rgb[3])
{
    for (int32_t y = c->top; y < c->bottom; y++)
        for (int32_t x = c->left; x < c->right; x++) {
            int64_t at = (int64_t)y * c->image.width + x;
            int cover = c->mask[at];

            for (int k = 0; cover && k < 3; k++)
                c->image.rgb[3 * at + k] = (uint8_t)((c->image.rgb[3 * at + k] * (255 - cover) + rgb[k] * cover + 127) / 255);
            c->mask[at] = 0;
        }
    c->left = c->image.width;
    c->top = c->image.height;
    c->right = c->bottom = 0;
}

/* ---- letters ----------------------------------------------------------------------------------------------------- */

/* A pen over the dots of one cell.  Dots at a corner are joined only where no other way between them leads over dots. */
static void draw_glyph(struct canvas *c, struct pen *pen, double x, double y, double scale, const struct image *cell)
{
    static const int step[4][2] = {{1, 0}, {0, 1}, {1, 1}, {-1, 1}};

#define DOT(i, j) ((i) >= 0 && (i) < FONT_WIDTH && (j) < FONT_HEIGHT && cell->rgb[3 * ((j) * FONT_WIDTH + (i))])
    for (int j = 0; j < FONT_HEIGHT; j++)
        for (int i = 0; i < FONT_WIDTH; i++) {
            double ax = x + (i + 0.5) * scale, ay = y + (j + 0.5) * scale;

            if (!DOT(i, j))
                continue;
            canvas_line(c, pen, ax, ay, ax, ay);
            for (int k = 0; k < 4; k++) {
                int a = i + step[k][0], b = j + step[k][1];

                if (DOT(a, b) && (k < 2 || (!DOT(a, j) && !DOT(i, b))))
                    canvas_line(c, pen, ax, ay, x + (a + 0.5) * scale, y + (b + 0.5) * scale);
            }
        }
#undef DOT
}

void canvas_text(struct canvas *c, double x, double y, double scale, const char *text, size_t size)
{
    static const uint8_t white[3] = {255, 255, 255};
    struct pen pen = {.radius = LETTER_RADIUS * scale};

    for (size_t start = 0, end; start < size; start = end, x += FONT_WIDTH * scale) {
        uint8_t dots[3 * FONT_WIDTH * FONT_HEIGHT] = {0};
        struct image cell = {FONT_WIDTH, FONT_HEIGHT, dots};

        end = start + 1;
        while (end < size && font_length(text + end, 1) == 0) /* the rest of a character */
            end++;
        font_draw(&cell, 0, 0, text + start, end - start, 1, white);
        draw_glyph(c, &pen, x, y, scale, &cell);
    }
}

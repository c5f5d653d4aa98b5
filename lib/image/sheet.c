/* SPDX-License-Identifier: MIT */
/* sheet.c -- measure the captions, then place everything. */
#include "image/sheet.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/font.h"

struct layout {
    int64_t columns, rows, margin, scale, text_scale;
    int64_t width, height; /* of an enlarged picture */
    int64_t letters;       /* that fit under a picture */
};

/* Bytes of the next line of text, and where the one after it starts; false at the end. */
static bool next_line(const char *text, int64_t letters, size_t *size, size_t *next)
{
    size_t at = 0, space = 0;

    if (!*text)
        return false;
    for (; text[at] && text[at] != '\n'; at++) {
        if (text[at] == ' ')
            space = at;
        if (font_length(text, at + 1) > letters)
            break;
    }
    *size = !text[at] || text[at] == '\n' || text[at] == ' ' || space == 0 ? at : space;
    for (*next = *size; text[*next] == ' ' || text[*next] == '\n'; ++*next)
        ;
    return true;
}

static int64_t count_lines(const char *text, int64_t letters)
{
    int64_t lines = 0;
    size_t size, next;

    for (; text && lines < SHEET_LINES_MAX && next_line(text, letters, &size, &next); text += next)
        lines++;
    return lines;
}

static int64_t text_height(const struct layout *l, const char *const *caption, int64_t count, int64_t row)
{
    int64_t most = 0;

    for (int64_t i = row * l->columns; caption && i < count && i < (row + 1) * l->columns; i++) {
        int64_t lines = count_lines(caption[i], l->letters);

        most = lines > most ? lines : most;
    }
    return most ? (most * FONT_HEIGHT + 4) * l->text_scale : 0;
}

static void place_picture(struct image *out, const struct image *in, const struct layout *l, int64_t x, int64_t y)
{
    for (int64_t b = 0; b < l->height; b++)
        for (int64_t a = 0; a < l->width; a++)
            memcpy(out->rgb + 3 * ((y + b) * out->width + x + a),
                   in->rgb + 3 * (b / l->scale * in->width + a / l->scale), 3);
}

static void place_caption(struct image *out, const char *text, const struct layout *l, int64_t x, int64_t y)
{
    const uint8_t ink[3] = {32, 32, 32};
    size_t size, next;

    for (int64_t line = 0; line < SHEET_LINES_MAX && next_line(text, l->letters, &size, &next); line++, text += next) {
        bool cut = line == SHEET_LINES_MAX - 1 && text[next];
        int64_t letters = font_length(text, size);
        int64_t left = x + (l->width - letters * FONT_WIDTH * l->text_scale) / 2;
        int64_t top = y + (4 + line * FONT_HEIGHT) * l->text_scale;

        if (cut && size > 3) {
            font_draw(out, left, top, text, size - 3, l->text_scale, ink);
            font_draw(out, left + font_length(text, size - 3) * FONT_WIDTH * l->text_scale, top, "...", 3, l->text_scale, ink);
        } else
            font_draw(out, left, top, text, size, l->text_scale, ink);
    }
}

static int make_layout(struct layout *l, const struct image *picture, int64_t count, const struct sheet *style)
{
    if (count < 1)
        return err_set(ERR_ARG, "a sheet of no pictures");
    for (int64_t i = 1; i < count; i++)
        if (picture[i].width != picture[0].width || picture[i].height != picture[0].height)
            return err_set(ERR_ARG, "pictures of %dx%d and %dx%d on one sheet", picture[0].width, picture[0].height,
                           picture[i].width, picture[i].height);
    if (style->columns < 0 || style->margin < 0 || style->margin > 1024 || style->scale < 0 || style->scale > 64 ||
        style->text_scale < 0 || style->text_scale > 16)
        return err_set(ERR_ARG, "a sheet cannot have these columns, margin or scales");
    l->columns = style->columns ? style->columns : (int64_t)ceil(sqrt((double)count));
    l->columns = l->columns < count ? l->columns : count;
    l->rows = (count + l->columns - 1) / l->columns;
    l->margin = style->margin;
    l->scale = style->scale ? style->scale : picture[0].width < 128 ? (128 + picture[0].width - 1) / picture[0].width : 1;
    l->width = picture[0].width * l->scale;
    l->height = picture[0].height * l->scale;
    l->text_scale = style->text_scale ? style->text_scale : l->width / (20 * FONT_WIDTH);
    l->text_scale = l->text_scale < 1 ? 1 : l->text_scale > 16 ? 16 : l->text_scale;
    l->letters = l->width / (FONT_WIDTH * l->text_scale);
    l->letters = l->letters < 1 ? 1 : l->letters;
    return 0;
}

int sheet_make(struct image *out, const struct image *picture, const char *const *caption, int64_t count,
               const struct sheet *style)
{
    struct layout l;
    int64_t width, height, y;
    int rc;

    *out = (struct image){0};
    if ((rc = make_layout(&l, picture, count, style)) != 0)
        return rc;
    width = l.columns * (l.width + l.margin) + l.margin;
    height = l.margin;
    for (int64_t row = 0; row < l.rows; row++)
        height += l.height + text_height(&l, caption, count, row) + l.margin;
    if (width > IMAGE_SIDE_MAX || height > IMAGE_SIDE_MAX || width > IMAGE_PIXELS_MAX / height)
        return err_set(ERR_LIMIT, "a sheet of %" PRId64 "x%" PRId64 " pixels", width, height);
    if ((rc = image_init(out, width, height)) != 0)
        return rc;
    memset(out->rgb, 255, 3 * (size_t)width * (size_t)height);
    y = l.margin;
    for (int64_t row = 0; row < l.rows; row++) {
        for (int64_t i = row * l.columns; i < count && i < (row + 1) * l.columns; i++) {
            int64_t x = l.margin + i % l.columns * (l.width + l.margin);

            place_picture(out, &picture[i], &l, x, y);
            if (caption && caption[i])
                place_caption(out, caption[i], &l, x, y + l.height);
        }
        y += l.height + text_height(&l, caption, count, row) + l.margin;
    }
    return 0;
}

int sheet_write(const char *path, const uint8_t *rgb, int64_t count, int64_t side, const struct sheet *style)
{
    struct image *picture = calloc((size_t)count + 1, sizeof *picture), sheet = {0};
    uint8_t *png = NULL;
    size_t size;
    int rc;

    if (!picture)
        return err_set(ERR_NOMEM, "no memory for a sheet of %" PRId64 " pictures", count);
    for (int64_t i = 0; i < count; i++)
        picture[i] = (struct image){(int32_t)side, (int32_t)side, (uint8_t *)rgb + 3 * i * side * side}; /* only read */
    if ((rc = sheet_make(&sheet, picture, NULL, count, style)) == 0 &&
        (rc = image_encode_png(&sheet, NULL, 0, &png, &size)) == 0)
        rc = file_write(path, png, size);
    free(png);
    image_fini(&sheet);
    free(picture);
    return rc;
}

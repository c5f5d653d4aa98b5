/* SPDX-License-Identifier: MIT */
/* encode.c -- PNG by libpng into memory that grows; PPM by hand. */
#include "image/image.h"

#include <stdlib.h>
#include <string.h>

#include <png.h>

/* As in decode_png.c: what the error path frees lives behind a pointer. */
struct writer {
    png_structp png;
    png_infop info;
    uint8_t *bytes; /* owned */
    size_t size, room;
    char reason[160];
};

static void on_error(png_structp png, png_const_charp text)
{
    struct writer *w = png_get_error_ptr(png);

    snprintf(w->reason, sizeof w->reason, "%s", text);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static void on_write(png_structp png, png_bytep from, size_t count)
{
    struct writer *w = png_get_io_ptr(png);

    if (count > w->room - w->size) {
        size_t room = (w->size + count) * 3 / 2 + 4096;
        uint8_t *more = realloc(w->bytes, room);

        if (!more)
            png_error(png, "no memory");
        w->bytes = more;
        w->room = room;
    }
    memcpy(w->bytes + w->size, from, count);
    w->size += count;
}

static void on_flush(png_structp png)
{
    (void)png;
}

static bool is_ascii(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text >= 0x7f || ((unsigned char)*text < 0x20 && *text != '\n'))
            return false;
    return true;
}

static void write_text(struct writer *w, const struct image_text *text, int count)
{
    for (int i = 0; i < count; i++) {
        png_text chunk = {0};

        chunk.compression = is_ascii(text[i].value) ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE;
        chunk.key = (char *)text[i].key;
        chunk.text = (char *)text[i].value;
        chunk.text_length = chunk.compression == PNG_TEXT_COMPRESSION_NONE ? strlen(text[i].value) : 0;
        chunk.itxt_length = chunk.compression == PNG_TEXT_COMPRESSION_NONE ? 0 : strlen(text[i].value);
        chunk.lang = (char *)"";
        chunk.lang_key = (char *)"";
        png_set_text(w->png, w->info, &chunk, 1);
    }
}

static int write_picture(struct writer *w, const struct image *in, const struct image_text *text, int count)
{
    if (setjmp(png_jmpbuf(w->png)))
        return err_set(strcmp(w->reason, "no memory") == 0 ? ERR_NOMEM : ERR_ARG, "PNG: %s", w->reason);
    png_set_write_fn(w->png, w, on_write, on_flush);
    png_set_user_limits(w->png, IMAGE_SIDE_MAX, IMAGE_SIDE_MAX);
    png_set_compression_level(w->png, 6);
    png_set_IHDR(w->png, w->info, (png_uint_32)in->width, (png_uint_32)in->height, 8, PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    write_text(w, text, count);
    png_write_info(w->png, w->info);
    for (int64_t y = 0; y < in->height; y++)
        png_write_row(w->png, in->rgb + 3 * y * in->width);
    png_write_end(w->png, w->info);
    return 0;
}

int image_encode_png(const struct image *in, const struct image_text *text, int count, uint8_t **bytes, size_t *size)
{
    struct writer w = {0};
    int rc;

    *bytes = NULL;
    *size = 0;
    w.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &w, on_error, on_warning);
    w.info = w.png ? png_create_info_struct(w.png) : NULL;
    rc = w.info ? write_picture(&w, in, text, count) : err_set(ERR_NOMEM, "PNG: no memory");
    png_destroy_write_struct(&w.png, &w.info);
    if (rc != 0) {
        free(w.bytes);
        return rc;
    }
    *bytes = w.bytes;
    *size = w.size;
    return 0;
}

int image_write_ppm(const struct image *in, struct out *out)
{
    char head[64];
    int rc, size = snprintf(head, sizeof head, "P6\n%d %d\n255\n", in->width, in->height);

    if ((rc = out_write(out, head, (size_t)size)) != 0)
        return rc;
    return out_write(out, in->rgb, 3 * (size_t)in->width * (size_t)in->height);
}

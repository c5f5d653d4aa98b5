/* SPDX-License-Identifier: MIT */
/* pairs_text.c -- keys, extensions and captions: what is allowed in them. */
#include "format/pairs_in.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <utf8proc.h>

int pairs_bytes_room(struct pairs_bytes *b, size_t room)
{
    size_t want = b->room ? b->room : 4096;
    uint8_t *more;

    if (room <= b->room)
        return 0;
    while (want < room)
        want += want / 2;
    if (!(more = realloc(b->at, want)))
        return err_set(ERR_NOMEM, "no memory for %zu bytes", want);
    b->at = more;
    b->room = want;
    return 0;
}

int pairs_bytes_set(struct pairs_bytes *b, const void *bytes, size_t size)
{
    int rc = pairs_bytes_room(b, size + 1);

    if (rc != 0)
        return rc;
    if (size > 0)
        memcpy(b->at, bytes, size);
    b->at[size] = 0;
    b->size = size;
    return 0;
}

const char *pairs_dot(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strchr(name, '.');

    return dot == name ? NULL : dot;
}

const char *pairs_picture_ext(const char *ext)
{
    static const char *const known[] = {"png", "jpg", "jpeg", "webp", "ppm", "pgm", "pbm", "pnm", NULL};

    for (int i = 0; known[i]; i++)
        if (strcasecmp(known[i], ext) == 0)
            return known[i];
    return NULL;
}

const char *pairs_skip_dot_slash(const char *path)
{
    while (path[0] == '.' && path[1] == '/') {
        path += 2;
        while (*path == '/')
            path++;
    }
    return path;
}

/* Bytes of the character at p, or 0 where none is. */
static size_t char_size(const uint8_t *p, size_t size)
{
    utf8proc_int32_t c;
    utf8proc_ssize_t n = utf8proc_iterate(p, size > 4 ? 4 : (utf8proc_ssize_t)size, &c);

    return n > 0 ? (size_t)n : 0;
}

bool pairs_is_utf8(const uint8_t *bytes, size_t size)
{
    size_t n;

    for (size_t i = 0; i < size; i += n)
        if (!(n = char_size(bytes + i, size - i)))
            return false;
    return true;
}

/* U+0000..U+001F, U+007F, and U+0080..U+009F as UTF-8. */
static bool is_control(const uint8_t *p, size_t size)
{
    return size == 1 ? *p < 0x20 || *p == 0x7f : size == 2 && p[0] == 0xc2 && p[1] < 0xa0;
}

int pairs_show_key(struct pairs_bytes *shown, const char *key, size_t size, const char **why)
{
    const uint8_t *p = (const uint8_t *)key;
    size_t n;
    int rc;

    *why = size == 0 ? "the key is empty" : NULL;
    if (size > PAIRS_KEY_MAX) {
        *why = "the key is longer than 4096 bytes";
        size = PAIRS_KEY_MAX;
    }
    if ((rc = pairs_bytes_room(shown, 3 * size + 1)) != 0)
        return rc;
    shown->size = 0;
    for (size_t i = 0; i < size; i += n ? n : 1) {
        const char *wrong = NULL;

        n = char_size(p + i, size - i);
        if (!n)
            wrong = "the key is not UTF-8";
        else if (is_control(p + i, n))
            wrong = "the key holds a control character";
        memcpy(shown->at + shown->size, wrong ? (const uint8_t *)"\xef\xbf\xbd" : p + i, wrong ? 3 : n);
        shown->size += wrong ? 3 : n;
        if (wrong && !*why)
            *why = wrong;
    }
    shown->at[shown->size] = 0;
    return 0;
}

const char *pairs_check_caption(struct pairs_bytes *text, const char **end)
{
    *end = "";
    if (text->size > 0 && text->at[text->size - 1] == '\n') {
        *end = "\n";
        text->size--;
        if (text->size > 0 && text->at[text->size - 1] == '\r') {
            *end = "\r\n";
            text->size--;
        }
        text->at[text->size] = 0;
    }
    if (memchr(text->at, 0, text->size))
        return "the caption holds a NUL";
    if (!pairs_is_utf8(text->at, text->size))
        return "the caption is not UTF-8";
    return NULL;
}

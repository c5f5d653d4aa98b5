/* SPDX-License-Identifier: MIT */
#include "text/escape.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text/normalise.h"

static const char letters[] = "ntr\\", meanings[] = "\n\t\r\\";

/* Bytes from at that stand for themselves; 0: text[at] needs an escape.  valid: where the next bad byte is. */
static size_t plain_run(const char *text, size_t at, size_t valid)
{
    size_t end = at;

    while (end < valid && (uint8_t)text[end] >= 0x20 && text[end] != 0x7f && text[end] != '\\')
        end++;
    return end - at;
}

size_t escape_put(char *to, const char *text, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    size_t valid = utf8_valid(text, size), n = 0;

    for (size_t at = 0; at < size;) {
        size_t run = plain_run(text, at, valid);
        const char *named;

        if (run > 0) {
            memcpy(to + n, text + at, run);
            n += run;
            at += run;
            continue;
        }
        named = text[at] ? strchr(meanings, text[at]) : NULL;
        to[n++] = '\\';
        if (named) {
            to[n++] = letters[named - meanings];
        } else {
            to[n++] = 'x';
            to[n++] = digits[(uint8_t)text[at] >> 4];
            to[n++] = digits[(uint8_t)text[at] & 15];
        }
        if (at++ == valid)
            valid = at + utf8_valid(text + at, size - at);
    }
    return n;
}

int escape_write(struct out *out, const char *text, size_t size)
{
    char near[1024], *to = near;
    int rc;

    if (ESCAPE_GROWTH * size > sizeof near && !(to = malloc(ESCAPE_GROWTH * size)))
        return err_set(ERR_NOMEM, "no memory for a line of %zu bytes", size);
    rc = out_write(out, to, escape_put(to, text, size));
    if (to != near)
        free(to);
    return rc;
}

static int digit_of(char c)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *at = c ? strchr(digits, c) : NULL;

    return at ? (int)(at - digits) % 16 : -1;
}

int escape_read(char *text, size_t *size)
{
    size_t to = 0;

    for (size_t at = 0; at < *size; at++) {
        const char *named;

        if (text[at] != '\\') {
            text[to++] = text[at];
            continue;
        }
        if (at + 3 < *size && text[at + 1] == 'x' && digit_of(text[at + 2]) >= 0 && digit_of(text[at + 3]) >= 0) {
            text[to++] = (char)(digit_of(text[at + 2]) * 16 + digit_of(text[at + 3]));
            at += 3;
            continue;
        }
        named = at + 1 < *size && text[at + 1] ? strchr(letters, text[at + 1]) : NULL;
        if (!named)
            return err_set(ERR_FORMAT, "a backslash at byte %zu begins no escape", at);
        text[to++] = meanings[named - letters];
        at++;
    }
    *size = to;
    return 0;
}

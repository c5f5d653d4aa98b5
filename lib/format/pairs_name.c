/* SPDX-License-Identifier: MIT */
/* pairs_name.c -- file names from keys.  A key becomes a relative path by percent-encoding alone, so that it can be read
 * back and no two keys share a name; a component that is too long for a file system is cut into folders that end in a
 * bare percent sign, which encoding never leaves. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "format/pairs_in.h"

#define CHUNK_MAX 200 /* bytes of a component from a key: room for what a pattern adds, below the file systems' 255 */
#define NAME_MAX_BYTES 240 /* of a whole component: the temporary name beside it is 11 bytes longer */
#define PATH_MAX_BYTES 4095

static int append(struct pairs_bytes *to, const void *bytes, size_t size)
{
    int rc = pairs_bytes_room(to, to->size + size + 1);

    if (rc != 0)
        return rc;
    memcpy(to->at + to->size, bytes, size);
    to->size += size;
    to->at[to->size] = 0;
    return 0;
}

/* The character at p is followed by nothing or a slash, and the component is "." or "..". */
static bool is_dots(const char *key, size_t at)
{
    const char *p = key + at;
    size_t size = 0;

    if (at > 0 && p[-1] != '/' && !(p[-1] == '.' && (at == 1 || p[-2] == '/')))
        return false;
    if (at > 0 && p[-1] == '.')
        size = 1;
    size += strspn(p, ".");
    return size <= 2 && (p[strspn(p, ".")] == 0 || p[strspn(p, ".")] == '/');
}

/* Must the byte at key[at], which is one character alone, be encoded? */
static bool is_special(const char *key, size_t at, const char *dots_from)
{
    unsigned char c = (unsigned char)key[at];

    if (c == '/')
        return at == 0 || key[at - 1] == '/' || key[at + 1] == 0;
    if (c == '.')
        return (dots_from && key + at >= dots_from) || is_dots(key, at);
    return c < 0x20 || c == 0x7f || c == '%';
}

/* One character or its escape; component: bytes of the component so far, in and out. */
static int append_unit(struct pairs_bytes *to, const char *unit, size_t size, size_t *component)
{
    int rc;

    if (size == 1 && *unit == '/') {
        *component = 0;
        return append(to, unit, size);
    }
    if (*component + size > CHUNK_MAX) {
        if ((rc = append(to, "%/", 2)) != 0)
            return rc;
        *component = 0;
        if (size == 1 && *unit == '.') { /* the rest may be "." or ".." */
            unit = "%2E";
            size = 3;
        }
    }
    *component += size;
    return append(to, unit, size);
}

/* key as a path.  dots: encode the dots of the file name, which would end the key where the name is read back. */
static int escape_key(struct pairs_bytes *to, const char *key, bool dots)
{
    const char *slash = strrchr(key, '/'), *dots_from = dots ? (slash ? slash + 1 : key) : NULL;
    size_t size = strlen(key), component = 0, n;
    int rc;

    if (size == 0)
        return err_set(ERR_ARG, "the key is empty");
    for (size_t i = 0; i < size; i += n) {
        const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)key + i;
        utf8proc_int32_t code;
        utf8proc_ssize_t got = utf8proc_iterate(p, size - i > 4 ? 4 : (utf8proc_ssize_t)(size - i), &code);
        char unit[8];
        size_t unit_size;

        n = got > 0 ? (size_t)got : 1;
        if (got <= 0 || (n == 1 && is_special(key, i, dots_from))) {
            unit_size = (size_t)snprintf(unit, sizeof unit, "%%%02X", *p);
        } else {
            memcpy(unit, p, n);
            unit_size = n;
        }
        if ((rc = append_unit(to, unit, unit_size, &component)) != 0)
            return rc;
    }
    return 0;
}

int pairs_member_name(struct pairs_bytes *name, const char *key, const char *ext)
{
    int rc;

    if ((rc = escape_key(name, key, true)) != 0 || (rc = append(name, ".", 1)) != 0)
        return rc;
    return append(name, ext, strlen(ext));
}

static int check_path(const struct pairs_bytes *path, const char *key)
{
    const char *at = (const char *)path->at;

    if (path->size > PATH_MAX_BYTES)
        return err_set(ERR_LIMIT, "%.60s...: a file name of %zu bytes", key, path->size);
    for (size_t size; *at; at += size + (at[size] == '/'))
        if ((size = strcspn(at, "/")) > NAME_MAX_BYTES)
            return err_set(ERR_LIMIT, "%.60s...: a part of %zu bytes in the file name", key, size);
    return 0;
}

int name_from_key(char **path, const char *pattern, const char *key, uint32_t variant)
{
    struct pairs_bytes to = {0};
    char number[16];
    int rc = 0;

    *path = NULL;
    snprintf(number, sizeof number, "%u", variant);
    for (const char *p = pattern; rc == 0 && *p; p++) {
        if (*p != '%') {
            rc = append(&to, p, 1);
            continue;
        }
        p++;
        if (*p == 'k')
            rc = escape_key(&to, key, false);
        else if (*p == 'n')
            rc = append(&to, number, strlen(number));
        else if (*p == '%')
            rc = append(&to, "%", 1);
        else
            rc = err_set(ERR_ARG, "%s: %%k, %%n and %%%% are known, not %%%.1s", pattern, p);
        if (!*p)
            break;
    }
    if (rc == 0 && to.size == 0)
        rc = err_set(ERR_ARG, "the pattern of file names is empty");
    if (rc == 0)
        rc = check_path(&to, key);
    if (rc == 0)
        *path = (char *)to.at;
    else
        free(to.at);
    return rc;
}

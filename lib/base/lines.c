/* SPDX-License-Identifier: MIT */
#include "base/lines.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { READ_SIZE = 1 << 18 };

int lines_open(struct lines *l, const char *path, size_t max)
{
    *l = (struct lines){.max = max};
    return in_open(&l->in, path);
}

void lines_close(struct lines *l)
{
    in_close(&l->in);
    free(l->buffer);
    l->buffer = NULL;
}

/* More bytes behind those that are there.  1: some; 0: the end of the file. */
static int fill(struct lines *l)
{
    int64_t got;

    if (l->start > 0) {
        memmove(l->buffer, l->buffer + l->start, l->end - l->start);
        l->end -= l->start;
        l->start = 0;
    }
    if (l->room < l->end + READ_SIZE + 1) { /* a NUL behind them all */
        size_t room = 2 * l->room + READ_SIZE + 1;
        char *buffer = realloc(l->buffer, room);

        if (!buffer)
            return err_set(ERR_NOMEM, "%s: no memory for a line of %zu bytes", l->in.name, room);
        l->buffer = buffer;
        l->room = room;
    }
    if ((got = in_read(&l->in, l->buffer + l->end, READ_SIZE)) < 0)
        return (int)got;
    l->end += (size_t)got;
    return got > 0;
}

/* The line's end: 1: *newline is its place behind start; 0: the file ends first.  Of more than max bytes and a return, only
 * the first max stay. */
static int find_end(struct lines *l, size_t *newline)
{
    size_t seen = 0;
    int rc;

    for (;;) {
        size_t have = l->end - l->start;
        const char *at = have > seen ? memchr(l->buffer + l->start + seen, '\n', have - seen) : NULL;

        if (at) {
            *newline = (size_t)(at - l->buffer) - l->start;
            return 1;
        }
        if (have > l->max + 1) {
            l->cut = true;
            l->end = l->start + l->max;
            have = l->max;
        }
        seen = have;
        if ((rc = fill(l)) <= 0)
            return rc;
    }
}

int lines_take(struct lines *l)
{
    static const char mark[] = "\xef\xbb\xbf";
    size_t used;
    int rc;

    l->cut = false;
    if (l->number == 0) {
        while (l->end < strlen(mark) && (rc = fill(l)) != 0)
            if (rc < 0)
                return rc;
        if (l->end >= strlen(mark) && memcmp(l->buffer, mark, strlen(mark)) == 0)
            l->start = strlen(mark);
    }
    if ((rc = find_end(l, &l->size)) < 0)
        return rc;
    if (rc == 0) {
        l->size = l->end - l->start;
        if (l->size == 0)
            return 0;
    }
    l->number++;
    l->text = l->buffer + l->start;
    used = l->size + (rc > 0);
    if (rc > 0 && l->size > 0 && l->text[l->size - 1] == '\r')
        l->size--;
    if (l->size > l->max)
        l->cut = true;
    if (l->cut)
        l->size = l->max;
    l->text[l->size] = 0;
    l->start += used;
    return 1;
}

int lines_next(struct lines *l)
{
    int rc = lines_take(l);

    if (rc <= 0)
        return rc;
    if (l->cut)
        return err_set(ERR_LIMIT, "%s: line %" PRId64 ": longer than %zu bytes", l->in.name, l->number, l->max);
    if (strlen(l->text) != l->size)
        return err_set(ERR_FORMAT, "%s: line %" PRId64 ": holds a NUL", l->in.name, l->number);
    return 1;
}

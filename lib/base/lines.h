/* SPDX-License-Identifier: MIT */
/* lines.h -- a text file, line by line.
 *
 * A line ends with a newline, which the last one may lack; a return before the newline belongs to the end.  A byte order
 * mark in front of the first line is passed over.
 *
 * Memory   the longest line, at most max bytes, and a block
 * Errors   ERR_IO with the file's name; ERR_NOMEM
 */
#ifndef BASE_LINES_H
#define BASE_LINES_H

#include <stdbool.h>

#include "base/io.h"

struct lines {
    struct in in;   /* owned */
    size_t max;     /* bytes of a line, at most */
    char *text;     /* borrowed until the next call, yours to change: the line without its end, followed by a NUL */
    size_t size;
    int64_t number; /* of the line at hand, from 1 */
    bool cut;       /* it was longer: these are its first max bytes */
    char *buffer;   /* owned: bytes[start..end) were read and not given out */
    size_t start, end, room;
};

/* path NULL or "-": stdin. */
must_check int lines_open(struct lines *l, const char *path, size_t max);
/* 1: a line, whatever bytes it holds; 0: no more. */
must_check int lines_take(struct lines *l);
/* The same for a file that people write: ERR_LIMIT a line of more than max bytes; ERR_FORMAT a NUL in a line. */
must_check int lines_next(struct lines *l);
void lines_close(struct lines *l);

#endif

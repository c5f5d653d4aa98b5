/* SPDX-License-Identifier: MIT */
/* lines.h -- a text file, line by line.
 *
 * A line ends with a newline, which the last one may lack; a return before the newline belongs to the end.  A byte order
 * mark in front of the first line is passed over.
 *
 * Memory   one line
 * Errors   ERR_IO; ERR_LIMIT a line of more than max bytes; ERR_FORMAT a NUL in a line: with the file's name and the line
 */
#ifndef BASE_LINES_H
#define BASE_LINES_H

#include "base/io.h"

struct lines {
    struct in in;   /* owned */
    size_t max;     /* bytes of a line, at most */
    char *text;     /* owned: the line at hand, without its end, followed by a NUL */
    size_t size;
    int64_t number; /* of the line at hand, from 1 */
};

/* path NULL or "-": stdin. */
must_check int lines_open(struct lines *l, const char *path, size_t max);
must_check int lines_next(struct lines *l); /* 1: a line; 0: no more */
void lines_close(struct lines *l);

#endif

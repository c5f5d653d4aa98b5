/* SPDX-License-Identifier: MIT */
/* captions.h -- captions one after another, from lines of text or from pair sources (format/pairs.h).
 *
 * Lines are those of base/lines.h: a return before the newline belongs to the end, a byte order mark in front of the first
 * is passed over.  The key of a line is its number, counted on through all files, or what stands before its first tab.
 *
 * Memory   one line, at most NORMALISE_MAX bytes, or one pair
 * Errors   what concerns one caption is in caption.problem and the reading goes on
 */
#ifndef TEXT_CAPTIONS_H
#define TEXT_CAPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum captions_form {
    CAPTIONS_KEYED = 1,   /* lines are "key TAB caption" */
    CAPTIONS_ESCAPED = 2, /* captions of lines are escaped (text/escape.h) */
    CAPTIONS_PAIRS = 4,   /* every source is a pair source, also "-" */
    CAPTIONS_GO_ON = 8    /* a pair source that is cut off or damaged ends with a caption of key "" and a problem */
};

struct caption { /* all borrowed until the next call */
    const char *key;     /* NUL-terminated */
    size_t key_size;
    const char *text;    /* not checked to be UTF-8 */
    size_t size;
    const char *source;  /* the file's name */
    int64_t line;        /* in its file, from 1; 0: not from a line */
    const char *problem; /* NULL, or why it cannot be used; text is then unspecified */
};

struct captions;

/* path[count] in order; none: "-".  They are borrowed until captions_close.  form: a sum of enum captions_form.
 * Without CAPTIONS_PAIRS a path is a pair source if pairs_is_source says so. */
must_check int captions_open(struct captions **c, char *const *path, int count, int form);
must_check int captions_next(struct captions *c, struct caption *caption); /* 1: a caption; 0: the end */
void captions_close(struct captions *c);

/* Record "file: line 3: reason" or "archive: key: reason" as an error. */
int caption_error(const struct caption *caption, const char *reason);

#endif

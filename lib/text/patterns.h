/* SPDX-License-Identifier: MIT */
/* patterns.h -- which of many regular expressions a text matches.
 *
 * A file holds one POSIX extended regular expression a line; empty lines and lines that begin with # are passed over.
 * Expressions are normalised as texts are (NFC, lower case; what follows a backslash stays), so capitals match too; a text
 * must be normalised.  A match may stand anywhere: ^ and $ are the ends of the whole text, also where it has several lines.
 * In brackets, the C library takes ranges of ASCII characters only; others are to be listed.
 *
 * Time     linear in the text: back-references, which would not be, are refused
 * Memory   regcomp's tables; a line has at most PATTERN_MAX bytes
 * Errors   ERR_FORMAT with file and line: not UTF-8, or what regcomp says of it; ERR_IO; ERR_NOMEM
 * Source   POSIX.1-2017, base definitions, 9.4; the C library's regcomp in a UTF-8 locale, whatever the user's is
 */
#ifndef TEXT_PATTERNS_H
#define TEXT_PATTERNS_H

#include <locale.h>
#include <regex.h>
#include <stdint.h>

#include "base/err.h"

#define PATTERN_MAX 4096

struct pattern {
    regex_t regex;
    const char *file; /* borrowed: its name */
    int64_t line;
};

struct patterns { /* a zeroed struct holds none */
    struct pattern *pattern; /* owned */
    int count, room;
    locale_t utf8;           /* owned; 0: not opened, or not to be had */
};

/* The patterns of one more file, whose name must stay. */
must_check int patterns_read(struct patterns *p, const char *path);
/* The first one that text, NUL-terminated, matches.  1: found; 0: none does; ERR_NOMEM. */
must_check int patterns_find(const struct patterns *p, const struct pattern **found, const char *text);
void patterns_fini(struct patterns *p);

#endif

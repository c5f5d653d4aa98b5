/* SPDX-License-Identifier: MIT */
/* word_file.h -- counted words as lines of text, in the order of their bytes: formats/words.md.
 *
 *   writing   words_out_start, words_put for each word in order, words_out_end
 *   reading   words_in_open, words_next until it gives 0
 *
 * Memory   a block of 64 KiB, more for a longer word
 * Errors   ERR_FORMAT, ERR_TRUNCATED with name and line; ERR_UNSUPPORTED another version; ERR_IO; ERR_NOMEM
 */
#ifndef TEXT_WORD_FILE_H
#define TEXT_WORD_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/io.h"
#include "text/split.h"
#include "text/words.h"

struct words_kind { /* what words of one set have in common */
    enum split split;
    int how; /* enum normalise */
};

struct words_out {
    struct out *out;    /* borrowed */
    char *buffer;       /* owned */
    size_t used, room;
    uint32_t crc;       /* of what was written */
    uint64_t count;
};

/* After a failure of any of the three, call words_out_fini; words_out_end calls it itself. */
must_check int words_out_start(struct words_out *w, struct out *out, struct words_kind kind);
must_check int words_put(struct words_out *w, struct word word);
/* captions: how many these words come from.  The caller commits out. */
must_check int words_out_end(struct words_out *w, uint64_t captions);
void words_out_fini(struct words_out *w);

struct words_in {
    struct in in;
    char *name;         /* owned */
    char *buffer;       /* owned: bytes[start..end) are not given out yet */
    size_t start, end, room;
    struct word last;   /* the word before, to check the order */
    char *last_text;    /* owned */
    size_t last_room;
    uint64_t line;      /* lines read */
    uint32_t crc;       /* of them */
    struct words_kind kind;
    uint64_t count;     /* words read */
    uint64_t captions;  /* known at the end */
};

/* *w is a fresh handle.  file NULL: path is opened ("-": stdin); else file is read, from its start, and belongs to *w. */
must_check int words_in_open(struct words_in **w, const char *path, FILE *file);
void words_in_close(struct words_in *w);
/* 1: a word, borrowed until the next call; 0: the end, and the file is whole. */
must_check int words_next(struct words_in *w, struct word *word);

#endif

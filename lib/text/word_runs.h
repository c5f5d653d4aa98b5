/* SPDX-License-Identifier: MIT */
/* word_runs.h -- sorted runs of counted words, on disk or given as files, read as one: equal words are one, counts added.
 *
 * Runs that a program makes lie in the folder TMPDIR (/tmp where it is not set) under no name, so nothing is left of them,
 * however the program ends.  Where there are more than WORD_RUNS_MAX, they are first merged into one.
 *
 * Memory   WORD_RUNS_MAX blocks of 64 KiB, and the longest words
 * Errors   those of word_file.h; ERR_MISMATCH runs that differ in split rule or normal form; ERR_LIMIT a count of 2^64
 */
#ifndef TEXT_WORD_RUNS_H
#define TEXT_WORD_RUNS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "text/word_file.h"
#include "text/words.h"

#define WORD_RUNS_MAX 64

struct word_run {
    struct words_in *in; /* owned */
    struct word head;    /* its next word */
};

struct word_runs {
    struct words_kind kind;
    struct word_run run[WORD_RUNS_MAX]; /* [0..count), a heap by head while they are read */
    int count;
    bool reading;
    uint64_t captions;        /* what the caller counted; at the end of reading with those of files */
    char *text;               /* owned: the word that was given out last */
    size_t text_room;
};

/* A zeroed struct with its kind is an empty set. */
void word_runs_fini(struct word_runs *r);

/* Write a table as a run, sorted; the table is empty then.  Threads may do this at once, each with its table. */
must_check int word_run_write(struct words_in **run, struct words *words, struct words_kind kind);
/* One word as a run: one that no table holds. */
must_check int word_run_write_word(struct words_in **run, struct word word, struct words_kind kind);
/* Put a run into the set, which owns it, also after a failure. */
must_check int word_runs_add(struct word_runs *r, struct words_in *run);
/* Open a file of words and add it.  adopt: its kind becomes that of the set. */
must_check int word_runs_add_file(struct word_runs *r, const char *path, bool adopt);

/* 1: the next word of all, borrowed until the next call; 0: the end.  No run may be added any more. */
must_check int word_runs_next(struct word_runs *r, struct word *word);
/* All that is left, as a file of words. */
must_check int word_runs_write(struct word_runs *r, struct out *out);

#endif

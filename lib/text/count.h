/* SPDX-License-Identifier: MIT */
/* count.h -- count the words of captions that a training of merges can learn from.
 *
 * Captions are read in batches and normalised and split by all threads, each with its own table of words.  A table that is
 * full becomes a sorted run on disk (word_runs.h), and so do all of them at the end.
 *
 * Pieces of one byte are not counted, and with SPLIT_DALLE only pieces of a-z are: nothing else is ever merged.
 *
 * Memory   at most o->memory and what the longest captions take; COUNT_FIXED of it is for batches and runs
 * Order    the sums are the same for any number of threads and any memory
 */
#ifndef TEXT_COUNT_H
#define TEXT_COUNT_H

#include <stdint.h>

#include "base/err.h"
#include "text/captions.h"
#include "text/split.h"
#include "text/word_runs.h"

#define COUNT_FIXED (16 << 20)      /* bytes; o->memory is at least twice that */

struct count_options {
    uint64_t memory; /* bytes */
    /* A caption that cannot be used, in their order; 0: go on without it, else count_words returns the code. */
    int (*bad)(void *state, const struct caption *caption, const char *reason);
    void (*show)(void *state, int64_t captions); /* NULL, or called after each batch with the number of captions so far */
    void *state;
};

/* Add the words of captions to a set, counted as its kind says, and to to->captions how many captions were used. */
must_check int count_words(struct word_runs *to, struct captions *from, const struct count_options *o);

#endif

/* SPDX-License-Identifier: MIT */
/* count.h -- count the words of captions that a training of merges can learn from.
 *
 * Captions are read in batches and normalised and split by all threads, each with its own words; then these are added up.
 * Pieces of one byte are not counted, and with SPLIT_DALLE only pieces of a-z are: nothing else is ever merged.
 *
 * Memory   the distinct words, once for each thread; a batch of a few MiB
 * Order    the sums are the same for any number of threads
 */
#ifndef TEXT_COUNT_H
#define TEXT_COUNT_H

#include <stdint.h>

#include "base/err.h"
#include "text/captions.h"
#include "text/split.h"
#include "text/words.h"

struct count_options {
    enum split split;
    int how;       /* enum normalise */
    /* A caption that cannot be used, in their order; 0: go on without it, else count_words returns the code. */
    int (*bad)(void *state, const struct caption *caption, const char *reason);
    void (*show)(void *state, int64_t captions); /* NULL, or called after each batch with the number of captions so far */
    void *state;
};

/* Add to *to.  *captions: how many were used. */
must_check int count_words(struct words *to, int64_t *captions, struct captions *from, const struct count_options *o);

#endif

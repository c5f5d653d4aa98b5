/* SPDX-License-Identifier: MIT */
/* words.h -- how often each distinct word occurs, in a fixed amount of memory.
 *
 * Range    words of at least 1 byte, any bytes; counts are u64
 * Memory   all of it is taken by words_init; a word costs its bytes, 16 more rounded up to 8, and a fifth of that for finding it
 * Source   sorting: Bentley and Sedgewick, Fast Algorithms for Sorting and Searching Strings, 1997, eight bytes at a time
 */
#ifndef TEXT_WORDS_H
#define TEXT_WORDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct word {
    const char *text; /* borrowed */
    size_t size;      /* bytes */
    uint64_t count;
};

struct words {
    char *block;      /* owned [room]: records of a count, a hash, a size and the text, each from a multiple of 8 bytes on */
    uint64_t used, room;
    uint32_t *slot;   /* owned [slots]: an open hash table of record / 8 + 1, 0: empty; after words_sort a list of count */
    uint32_t slots;
    uint32_t count;
};

/* Below, at or above 0: where a stands, in the order of bytes. */
int word_order(const struct word *a, const struct word *b);

/* bytes: 4096 to 2^35. */
must_check int words_init(struct words *w, uint64_t bytes);
void words_fini(struct words *w);
/* 0: added; 1: it is new and there is no room for it. */
must_check int words_add(struct words *w, const char *text, size_t size, uint64_t count);
/* Put the words in the order of their bytes; after it only words_at and words_clear may be called. */
void words_sort(struct words *w);
/* The word of a place in that order; n < w->count. */
struct word words_at(const struct words *w, uint32_t n);
void words_clear(struct words *w);

#endif

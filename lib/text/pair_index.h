/* SPDX-License-Identifier: MIT */
/* pair_index.h -- the pairs of neighbours in all words: how often, where, and which is the most frequent.
 *
 * Memory   32 bytes a pair, its words (4 bytes each, freed when the pair is taken), 16 bytes an entry of the heap
 * Errors   ERR_NOMEM, after which the index is of no use
 */
#ifndef TEXT_PAIR_INDEX_H
#define TEXT_PAIR_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct pair_entry {
    uint64_t count;
    uint32_t pair;        /* left << 16 | right */
    uint32_t words, room;
    bool risen;           /* since the last pair_enter_risen */
    uint32_t *word;       /* owned: words that hold it or held it; one may stand twice */
};

struct pair_top {
    uint64_t count; /* at least what the pair has now, unless a newer entry says more */
    uint32_t pair;
};

struct pair_index {
    struct pair_entry *entry; /* owned [count] */
    uint32_t count, room;
    uint32_t *slot;           /* owned: open hash table, entry + 1; 0: empty */
    uint32_t slots;           /* a power of 2 */
    struct pair_top *heap;    /* owned: the most frequent first; of equals the smaller pair */
    size_t heap_count, heap_room;
    uint32_t *risen;          /* owned: entries that rose */
    uint32_t risen_count, risen_room;
};

void pair_index_fini(struct pair_index *x);

/* The pair occurs count times more, or less, in a word. */
must_check int pair_rise(struct pair_index *x, uint32_t left, uint32_t right, uint64_t count, uint32_t word);
void pair_fall(struct pair_index *x, uint32_t left, uint32_t right, uint64_t count);
/* Let the heap know of all that rose. */
must_check int pair_enter_risen(struct pair_index *x);
/* 1: the most frequent pair, taken out of the heap; 0: no pair is left. */
must_check int pair_best(struct pair_index *x, uint32_t *left, uint32_t *right, uint64_t *count);
/* The words of a pair; the caller frees *word. */
void pair_take_words(struct pair_index *x, uint32_t left, uint32_t right, uint32_t **word, uint32_t *count);

#endif

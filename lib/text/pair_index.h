/* SPDX-License-Identifier: MIT */
/* pair_index.h -- the frequent pairs of neighbours in all words: how often, where, and which is the most frequent.
 *
 * A pair of symbols comes about only when the younger of the two is made, everywhere at once; from then on it only gets
 * rarer.  So a pair that occurs less than *least* times after its step can be forgotten, as long as more frequent ones
 * remain: the index holds every pair that occurs at least least times.  Where it grows past keep pairs, least rises;
 * where pair_best finds none and least is not the caller's own bound, the caller tells all pairs again after
 * pair_index_restart.  That is rare: few of the pairs are ever merged.
 *
 *   a step   pair_rise and pair_fall for what changes, then pair_settle, then pair_hold for the same rises in the same order
 *
 * Memory   32 bytes a pair at half load, 16 for its entry in the heap, about 2 for each word that holds it: places of words
 *          only rise within a step, so their differences are kept, 7 bits a byte
 * Errors   ERR_NOMEM, after which the index is of no use
 */
#ifndef TEXT_PAIR_INDEX_H
#define TEXT_PAIR_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct pair_entry {
    uint64_t count;    /* 0: an empty place */
    uint32_t pair;     /* left << 16 | right */
    uint32_t last;     /* the last word told of */
    uint64_t size;     /* bytes of words; before pair_settle those needed, behind it those written */
    uint8_t *words;    /* owned; NULL before pair_settle */
};

struct pair_top {
    uint64_t count; /* at least what the pair has now */
    uint32_t pair;
};

struct pair_index {
    struct pair_entry *entry; /* owned [room]: an open hash table */
    uint32_t room, used;      /* room: a power of 2 */
    uint32_t keep;
    uint64_t least, bound;
    struct pair_top *heap;    /* owned: the most frequent first; of equals the smaller pair */
    size_t heap_count, heap_room;
    uint32_t *fresh;          /* owned: the pairs that are not settled yet */
    uint32_t fresh_count, fresh_room;
};

struct pair_words { /* where a pair stood when it was told of; words may be there no longer */
    uint8_t *bytes; /* owned */
    size_t at, size;
    uint32_t last;
};

/* bound: pairs that occur less often do not matter; at least 1.  keep: at least 1. */
void pair_index_init(struct pair_index *x, uint64_t bound, uint32_t keep);
void pair_index_fini(struct pair_index *x);

/* The pair occurs count times more, or less, in the word at a place (any rising number). */
must_check int pair_rise(struct pair_index *x, uint32_t pair, uint64_t count, uint32_t place);
void pair_fall(struct pair_index *x, uint32_t pair, uint64_t count);
must_check int pair_settle(struct pair_index *x);
void pair_hold(struct pair_index *x, uint32_t pair, uint32_t place);

/* 1: the most frequent pair, taken out of the heap; 0: none is left that occurs least times. */
must_check int pair_best(struct pair_index *x, uint32_t *pair, uint64_t *count);
/* Forget all; least is bound again. */
void pair_index_restart(struct pair_index *x);

/* The words of a pair, once; free words->bytes. */
void pair_take_words(struct pair_index *x, uint32_t pair, struct pair_words *words);
bool pair_next_word(struct pair_words *words, uint32_t *place);

#endif

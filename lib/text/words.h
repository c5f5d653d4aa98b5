/* SPDX-License-Identifier: MIT */
/* words.h -- how often each distinct word occurs.
 *
 * Range    words of 1..NORMALISE_MAX bytes, any bytes; fewer than 2^32 distinct; counts are u64
 * Memory   a word's bytes and about 40 more, whatever its count
 * Errors   ERR_NOMEM, ERR_LIMIT
 */
#ifndef TEXT_WORDS_H
#define TEXT_WORDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct word_count {
    uint64_t count;
    uint64_t at;     /* where in text */
    uint32_t size;   /* bytes */
    uint32_t hash;
};

struct words {
    struct word_count *word; /* owned [count], in the order in which they came */
    uint32_t count, room;
    char *text;              /* owned: all words one after the other */
    uint64_t text_size, text_room;
    uint32_t *slot;          /* owned: places of an open hash table; index + 1, 0: empty */
    uint64_t slots;          /* a power of 2, at least twice count */
};

/* A zeroed struct is an empty one. */
void words_fini(struct words *w);
must_check int words_add(struct words *w, const char *text, size_t size, uint64_t count);
/* All words of from into w. */
must_check int words_merge(struct words *w, const struct words *from);
#endif

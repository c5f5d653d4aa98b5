/* SPDX-License-Identifier: MIT */
/* shard_join.h -- text and image tokens joined by key, in an order that depends on a seed and the keys alone.
 *
 * Every image of a key is paired with every text of that key.  The pair's variant is image variant * T + text variant,
 * T one more than the key's largest text variant; so with one text a key it is the image's.
 *
 *   order   by (hash(seed, key), key, image variant, text variant), whatever the order of the inputs
 *   hash    the first 64 bits of Philox at (seed, RNG_SHUFFLE, step = rng_hash(key), element = 0)
 *
 * Pairs that are joined already (TOK_PAIR) only get the order.
 *
 * Memory   all records that were added, 2 bytes a token, the key, and 32 a record
 * Errors   ERR_NOMEM; what concerns one record is a problem, and the joining goes on
 */
#ifndef FORMAT_SHARD_JOIN_H
#define FORMAT_SHARD_JOIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "format/tok.h"

struct join_item {
    uint64_t hash;         /* of seed and key */
    const uint8_t *bytes;  /* borrowed from a chunk: the record */
    uint32_t size;
    uint32_t kind : 2;     /* enum tok_kind */
    uint32_t source : 30;  /* which input, as the caller numbers them */
};

struct join {
    uint64_t seed;
    struct tok_header header[TOK_PAIR + 1]; /* [kind], without provenance; kind 0: none of it was added yet */
    struct join_item *item;  /* owned; sorted by join_sort */
    size_t count, room;
    void *chunk;             /* owned: the newest of a list of blocks of bytes */
    size_t chunk_used;
    struct tok_scratch *scratch; /* owned; [TOK_PAIR + 1] */

    /* the group of equal keys that is being given out */
    size_t text, texts;      /* first and number of its texts (or pairs) */
    size_t image, images;
    size_t i, j;             /* next image and text */
    uint32_t factor;         /* T */
};

/* What came: a pair, or an item that cannot be paired. */
struct joined {
    struct tok_record record; /* valid until the next call; with a problem only key and key_size are set */
    int source;               /* of the image or, where there is none, of the text */
    const char *problem;      /* NULL, or why there is no pair */
};

void join_init(struct join *j, uint64_t seed);
void join_fini(struct join *j);

/* Copy a record of a stream with header h.  All headers of a kind have the same sizes. */
must_check int join_add(struct join *j, const struct tok_header *h, int source, const struct tok_record *record);
/* After the last join_add. */
void join_sort(struct join *j);
/* 1: something came; 0: the end. */
must_check int join_next(struct join *j, struct joined *out);

/* Does a key belong to a validation set of this share of all keys?  The same for any seed:
 * the upper 53 bits of Philox at (0, RNG_SHUFFLE, rng_hash(key), 1) as a number in [0,1) are below share. */
bool join_is_val(const char *key, size_t size, double share);

#endif

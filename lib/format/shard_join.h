/* SPDX-License-Identifier: MIT */
/* shard_join.h -- text and image tokens joined by key, in an order that depends on a seed and the keys alone.
 *
 * Every image of a key is paired with every text of that key.  The pair's variant is image variant * T + text variant,
 * T one more than the key's largest text variant; so with one text a key it is the image's.
 *
 *   order   by (hash(seed, key), key, image variant, text variant), whatever the order of the inputs and the memory
 *   hash    the first 64 bits of Philox at (seed, RNG_SHUFFLE, step = rng_hash(key), element = 0)
 *
 * Pairs that are joined already (TOK_PAIR) only get the order.
 *
 * Memory   as format/shard_runs.h: a bound, past which records wait on disk; the texts of one key beside it
 * Errors   as there, and ERR_LIMIT when the texts of one key take more than the bound; what concerns one record is a
 *          problem, and the joining goes on
 */
#ifndef FORMAT_SHARD_JOIN_H
#define FORMAT_SHARD_JOIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "format/tok.h"

struct join;

/* What came: a pair, or an item that cannot be paired. */
struct joined {
    struct tok_record record; /* valid until the next call; with a problem only key and key_size are set */
    int source;               /* of the image or, where there is none, of the text */
    const char *problem;      /* NULL, or why there is no pair */
};

/* folder (borrowed): where records wait that do not fit in memory. */
must_check int join_create(struct join **j, uint64_t seed, size_t memory, const char *folder);
void join_free(struct join *j);

/* Copy a record of a stream with header h.  All headers of a kind have the same sizes. */
must_check int join_add(struct join *j, const struct tok_header *h, int source, const struct tok_record *record);
/* After the last join_add. */
must_check int join_sort(struct join *j);
/* 1: something came; 0: the end. */
must_check int join_next(struct join *j, struct joined *out);

/* Runs of records that were written to disk. */
uint64_t join_spilled(const struct join *j);

/* Does a key belong to a validation set of this share of all keys?  The same for any seed:
 * the upper 53 bits of Philox at (0, RNG_SHUFFLE, rng_hash(key), 1) as a number in [0,1) are below share. */
bool join_is_val(const char *key, size_t size, double share);

#endif

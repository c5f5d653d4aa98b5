/* SPDX-License-Identifier: MIT */
/* shard_runs.h -- records brought into one order: in memory, and past a bound in sorted runs on disk that are merged.
 *
 *   order   (hash, key, kind, variant, source, bytes): what comes out depends on what was added, not on when, nor on the bound
 *
 * The runs lie in one file without a name, so it is gone when the process is, however that ends.  Where one merge cannot take
 * all runs, some are merged into longer ones first.
 *
 * Memory   the bound, and one frame (1 MiB, or a record where that is larger)
 * Disk     nothing below the bound; above it the records and 16 bytes each, once for each pass of merging
 * Errors   ERR_NOMEM; ERR_IO with the folder's name; ERR_LIMIT a record is larger than an eighth of the bound
 */
#ifndef FORMAT_SHARD_RUNS_H
#define FORMAT_SHARD_RUNS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "format/tok.h"

struct run_item {
    uint64_t hash;
    const uint8_t *bytes;  /* borrowed: the record as in a stream */
    uint32_t size;
    uint32_t kind : 2;     /* enum tok_kind */
    uint32_t source : 30;
};

struct runs;

/* folder (borrowed) is written to only where memory does not suffice. */
must_check int runs_create(struct runs **r, size_t memory, const char *folder);
void runs_free(struct runs *r);

/* Copy a record. */
must_check int runs_add(struct runs *r, uint64_t hash, enum tok_kind kind, int source, const struct tok_record *record);
/* After the last runs_add. */
must_check int runs_sort(struct runs *r);
/* 1: the next item, valid until the next call; 0: the end. */
must_check int runs_next(struct runs *r, const struct run_item **item);

/* Runs written to disk so far, those of merging included. */
uint64_t runs_spilled(const struct runs *r);

/* The key's bytes in a record; its size. */
size_t run_key(const struct run_item *x, const uint8_t **key);
uint32_t run_variant(const struct run_item *x);
int run_compare_keys(const struct run_item *a, const struct run_item *b);

#endif

/* SPDX-License-Identifier: MIT */
/* merge.h -- apply merges to one piece of text: always the possible merge of lowest rank, leftmost first.
 *
 * Short pieces are scanned for the best pair again and again.  In long ones every pair stands in a list of its rank, in
 * order of position, and a heap holds the ranks that have any; a merge changes two neighbours.  Lists fill in order
 * except where they meet older entries, so sorting them (once, when their turn comes) is merging a few runs.  Before that,
 * as long as one pair makes up a good part of the piece (a row of one letter), it is merged everywhere in one sweep.
 *
 * Memory   long pieces: 24 bytes a symbol in the struct, kept for the next
 * Time     linear, but for the sorting of runs
 * Order    with dropout the draws are the same whether a piece counts as short or long
 */
#ifndef TEXT_MERGE_H
#define TEXT_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/rng.h"
#include "text/bpe_table.h"

#define MERGE_SHORT 32 /* symbols; up to here the scan is faster */

struct merge_dropout {
    double p;           /* 0: none; below 1 */
    struct rng random;
    uint64_t step;      /* the occurrence */
    uint64_t element;   /* the next draw; counts up */
};

struct merge_node; /* a symbol of a long piece */
struct merge_list; /* the pairs of one rank */

struct merger {
    struct merge_node *node; /* owned */
    size_t node_room;
    struct merge_list *list; /* owned, one a rank; empty between calls */
    uint32_t *heap;          /* owned, ranks with pairs */
    uint32_t list_room;      /* ranks in list and heap */
    uint32_t heap_count;
    uint32_t *aside;         /* owned: pairs that dropout passed over in this step */
    size_t aside_room;
};

/* ids[n] in, merged in place; *made: how many are left.  n <= UINT32_MAX / 2.  ERR_NOMEM: ids are unspecified. */
must_check int merge_piece(const struct bpe *b, struct merger *m, uint16_t *ids, size_t n, size_t *made,
                           struct merge_dropout *dropout);
/* The methods alone, for tests.  Sweeps: without dropout, where b->ordered; *done: no merge is left, else another method
 * must follow. */
must_check int merge_long(const struct bpe *b, struct merger *m, uint16_t *ids, size_t n, size_t *made,
                          struct merge_dropout *dropout);
size_t merge_short(const struct bpe *b, uint16_t *ids, size_t n, struct merge_dropout *dropout);
size_t merge_sweeps(const struct bpe *b, uint16_t *ids, size_t n, bool *done);
void merger_fini(struct merger *m);

#endif

/* SPDX-License-Identifier: MIT */
/* bpe_table.h -- what is inside a bpe: for the files of this module only. */
#ifndef TEXT_BPE_TABLE_H
#define TEXT_BPE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "format/digest.h"
#include "text/split.h"

#define BPE_VOCAB_MAX 65536u
#define BPE_MERGES_MAX (1u << 20)    /* more than ids: in others' files two merges may make one token */
#define BPE_TOKEN_MAX (1u << 16)     /* bytes of one token */
#define BPE_ADDED_MAX 1024u
#define BPE_NO_RANK UINT32_MAX
#define BPE_MAYBE_BITS 17            /* 16 KiB: stays in the first cache, where the slots do not */

struct bpe_merge {
    uint16_t left, right, made; /* ids; made is the token of both one after the other */
};

struct bpe_added { /* a token whose text is one id wherever it stands */
    uint16_t id;
    bool normalised; /* looked for in normalised text, and in its own normal form; else in the text as it came */
};

struct bpe_rank {
    uint32_t pair; /* left << 16 | right */
    uint32_t rank; /* BPE_NO_RANK: an empty place */
};

struct bpe {
    enum split split;
    int how;                 /* enum normalise */
    uint32_t vocab;          /* ids, 256..BPE_VOCAB_MAX */
    char *bytes;             /* owned: all tokens one after the other */
    uint32_t *at;            /* owned [vocab + 1]: where in bytes */
    uint16_t byte_id[256];   /* the id of each byte */
    uint32_t merges;
    struct bpe_merge *merge; /* owned [merges], by rank */
    uint32_t added;          /* 0..BPE_ADDED_MAX */
    struct bpe_added *add;   /* owned [added], by id */
    bool add_first[256];     /* bytes with which one of them begins */
    bool ordered;            /* no merge uses a token that a later merge makes, so no merge can enable an earlier one */
    struct bpe_rank *slot;   /* owned: pairs to ranks, open addressing */
    uint32_t slot_mask;      /* places - 1; at least half are empty */
    uint32_t maybe[1 << BPE_MAYBE_BITS >> 5]; /* a bit by bpe_maybe_of: clear where no pair with it has a merge */
    struct digest digest;
};

static inline uint32_t bpe_slot_of(uint32_t pair)
{
    uint32_t h = pair * 0x9E3779B1u;

    return h ^ h >> 15;
}

static inline uint32_t bpe_maybe_of(uint32_t pair)
{
    return pair * 0x85EBCA6Bu >> (32 - BPE_MAYBE_BITS);
}

/* The rank of a pair; BPE_NO_RANK: no merge. */
static inline uint32_t bpe_rank(const struct bpe *b, uint32_t left, uint32_t right)
{
    uint32_t pair = left << 16 | right, bit = bpe_maybe_of(pair);

    if (!(b->maybe[bit >> 5] >> (bit & 31) & 1))
        return BPE_NO_RANK;
    for (uint32_t i = bpe_slot_of(pair) & b->slot_mask;; i = (i + 1) & b->slot_mask)
        if (b->slot[i].pair == pair || b->slot[i].rank == BPE_NO_RANK)
            return b->slot[i].rank;
}

enum bpe_added_where { ADDED_RAW = 1, ADDED_NORMALISED = 2 }; /* those for the text as it came, for normalised text */

/* The first added text in text[at..size), the longest one there: where it begins, or size; *id and *end are its.
 * where: a sum. */
size_t bpe_find_added(const struct bpe *b, const char *text, size_t size, size_t at, int where, uint16_t *id, size_t *end);

/* Build slot, byte_id, ordered and digest from how, split, vocab, bytes, at, merges, merge (left, right and made
 * filled in), added and add.
 * ERR_FORMAT a pair with two merges; ERR_UNSUPPORTED a byte without a token; ERR_NOMEM. */
must_check int bpe_finish(struct bpe *b);

#endif

/* SPDX-License-Identifier: MIT */
/* bpe_train.h -- learn merges from counted words.
 *
 * The first 256 ids are the bytes in the order of alphabet.h.  Then, until the vocabulary has its size: of all pairs of
 * neighbours, the one that occurs most often (each word as often as it was counted) becomes a token; of pairs equally
 * frequent, the one with the smaller left id, then the smaller right id.  Every place where two symbols are neighbours
 * counts, so "aaa" holds (a, a) twice.  Each merge makes a new token: what stands between two borders of symbols was made
 * by the merges within it alone, in their order, so a text never comes about in two ways.
 *
 * Range    256 <= vocab <= 65536; min_count >= 1: rarer pairs are not merged, and training ends early.  min_word: words that
 *          occur less often are left out; 0 or 1: none
 * Memory   per distinct word 16 bytes and 2 for each of its bytes, and about as much for where pairs are; the pairs
 *          themselves are bounded (pair_index.h)
 * Time     a merge costs what its occurrences cost: pairs know their words, and counts are kept up to date
 * Order    exact; depends on the counts alone, not on the order of words or the number of threads
 * Errors   ERR_LIMIT more than 16 GiB or 2^63 counted bytes of words; ERR_NOMEM; those of word_runs.h
 * Source   Sennrich, Haddow, Birch 2016; the tie rule is that of Hugging Face's trainer
 */
#ifndef TEXT_BPE_TRAIN_H
#define TEXT_BPE_TRAIN_H

#include <stdint.h>

#include "base/err.h"
#include "text/bpe.h"
#include "text/word_runs.h"

struct bpe_train_options {
    uint32_t vocab;
    uint64_t min_count;
    uint64_t min_word;
    uint32_t pairs_kept;  /* in the index at least; 0: the usual number.  No result depends on it */
    void (*show)(void *state, int64_t vocab); /* NULL, or called now and then with the size reached */
    void *state;
};

/* *b may have fewer ids than asked for, if the words do not give more.  It records the kind of the words. */
must_check int bpe_train(struct bpe **b, struct word_runs *words, const struct bpe_train_options *o);

#endif

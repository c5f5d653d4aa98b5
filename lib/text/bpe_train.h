/* SPDX-License-Identifier: MIT */
/* bpe_train.h -- learn merges from counted words.
 *
 * The first 256 ids are the bytes in the order of alphabet.h.  Then, until the vocabulary has its size: of all pairs of
 * neighbours, the one that occurs most often (each word as often as it was counted) becomes a token; of pairs equally
 * frequent, the one with the smaller left id, then the smaller right id.  Every place where two symbols are neighbours
 * counts, so "aaa" holds (a, a) twice.  Each merge makes a new token: what stands between two borders of symbols was made
 * by the merges within it alone, in their order, so a text never comes about in two ways.
 *
 * Range    256 <= vocab <= 65536; min_count >= 1: rarer pairs are not merged, and training ends early
 * Memory   per distinct word 16 bytes and its symbols (2 bytes each); per pair 32 bytes and 4 for each word that holds it
 * Time     a merge costs what its occurrences cost: pairs know their words, and counts are kept up to date
 * Order    exact; depends on the counts alone, not on the order of words or the number of threads
 * Source   Sennrich, Haddow, Birch 2016; the tie rule is that of Hugging Face's trainer
 */
#ifndef TEXT_BPE_TRAIN_H
#define TEXT_BPE_TRAIN_H

#include <stdint.h>

#include "base/err.h"
#include "text/bpe.h"
#include "text/split.h"
#include "text/words.h"

struct bpe_train_options {
    enum split split;    /* recorded in the result */
    int how;             /* enum normalise; recorded in the result */
    uint32_t vocab;
    uint64_t min_count;
    void (*show)(void *state, int64_t vocab); /* NULL, or called now and then with the size reached */
    void *state;
};

/* *b may have fewer ids than asked for, if the words do not give more. */
must_check int bpe_train(struct bpe **b, const struct words *words, const struct bpe_train_options *o);

#endif

/* SPDX-License-Identifier: MIT */
/* bpe_train.c -- an index of pairs that every merge keeps up to date, and a heap of their counts.
 *
 * A pair knows its exact count and the words that hold it or once held it.  Counts of old pairs only fall, so an entry of
 * the heap is corrected when it comes up; pairs whose counts rose during a merge are entered anew after it.
 */
#include "text/bpe_train.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "text/alphabet.h"
#include "text/bpe_table.h"
#include "text/pair_index.h"

struct text_word {
    uint64_t at;     /* first symbol */
    uint32_t size;   /* symbols left */
};

struct trainer {
    const struct words *words;  /* borrowed */
    uint16_t *symbol;           /* owned: of all words one after the other */
    struct text_word *word;     /* owned [words->count] */
    struct pair_index pairs;
    struct words tokens;        /* texts of tokens, all different; entry i is id i */
    struct bpe_merge *merge;    /* owned */
    uint32_t merges, merge_room;
};

static int add_alphabet(struct trainer *t)
{
    uint8_t order[256];
    int rc = 0;

    alphabet_order(order);
    for (int i = 0; i < 256 && rc == 0; i++)
        rc = words_add(&t->tokens, (char *)&order[i], 1, 1);
    return rc;
}

/* Words as symbols, and all their pairs. */
static int add_words(struct trainer *t)
{
    const struct words *w = t->words;
    uint16_t id[256];
    uint64_t at = 0;
    int rc;

    for (uint16_t i = 0; i < 256; i++)
        id[(uint8_t)t->tokens.text[t->tokens.word[i].at]] = i;
    t->symbol = malloc((w->text_size + 1) * sizeof *t->symbol);
    t->word = malloc(((size_t)w->count + 1) * sizeof *t->word);
    if (!t->symbol || !t->word)
        return err_set(ERR_NOMEM, "no memory for %u distinct words", w->count);
    for (uint32_t n = 0; n < w->count; n++) {
        const struct word_count *word = &w->word[n];

        t->word[n] = (struct text_word){at, word->size};
        for (uint32_t i = 0; i < word->size; i++)
            t->symbol[at++] = id[(uint8_t)w->text[word->at + i]];
        for (uint64_t i = at - word->size; i + 1 < at; i++)
            if ((rc = pair_rise(&t->pairs, t->symbol[i], t->symbol[i + 1], word->count, n)) != 0)
                return rc;
    }
    return pair_enter_risen(&t->pairs);
}

/* The token that a pair makes. */
static int make_token(struct trainer *t, uint32_t left, uint32_t right, uint16_t *made)
{
    const struct word_count *a = &t->tokens.word[left], *b = &t->tokens.word[right];
    uint32_t size = a->size + b->size;
    char *text = malloc(size);
    int rc;

    if (!text)
        return err_set(ERR_NOMEM, "no memory for a token");
    memcpy(text, t->tokens.text + a->at, a->size);
    memcpy(text + a->size, t->tokens.text + b->at, b->size);
    rc = words_add(&t->tokens, text, size, 1);
    *made = (uint16_t)(t->tokens.count - 1);
    free(text);
    return rc;
}

static int add_merge(struct trainer *t, struct bpe_merge merge)
{
    if (t->merges == t->merge_room) {
        uint32_t room = t->merge_room ? 2 * t->merge_room : 1024;
        void *more = realloc(t->merge, room * sizeof *t->merge);

        if (!more)
            return err_set(ERR_NOMEM, "no memory for %u merges", room);
        t->merge = more;
        t->merge_room = room;
    }
    t->merge[t->merges++] = merge;
    return 0;
}

/* Merge in one word, from left to right; neighbours count as they are at that moment. */
static int merge_in_word(struct trainer *t, uint32_t n, struct bpe_merge m)
{
    struct text_word *word = &t->word[n];
    uint16_t *s = t->symbol + word->at;
    uint64_t count = t->words->word[n].count;
    uint32_t to = 0;
    int rc;

    for (uint32_t i = 0; i < word->size; i++) {
        if (i + 1 == word->size || s[i] != m.left || s[i + 1] != m.right) {
            s[to++] = s[i];
            continue;
        }
        pair_fall(&t->pairs, m.left, m.right, count);
        if (to > 0) {
            pair_fall(&t->pairs, s[to - 1], m.left, count);
            if ((rc = pair_rise(&t->pairs, s[to - 1], m.made, count, n)) != 0)
                return rc;
        }
        if (i + 2 < word->size) {
            pair_fall(&t->pairs, m.right, s[i + 2], count);
            if ((rc = pair_rise(&t->pairs, m.made, s[i + 2], count, n)) != 0)
                return rc;
        }
        s[to++] = m.made;
        i++;
    }
    word->size = to;
    return 0;
}

/* Merge the pair everywhere. */
static int merge_pair(struct trainer *t, uint32_t left, uint32_t right)
{
    struct bpe_merge m = {(uint16_t)left, (uint16_t)right, 0};
    uint32_t *holder, holders;
    int rc;

    if ((rc = make_token(t, left, right, &m.made)) != 0 || (rc = add_merge(t, m)) != 0)
        return rc;
    pair_take_words(&t->pairs, left, right, &holder, &holders);
    for (uint32_t i = 0; i < holders && rc == 0; i++)
        rc = merge_in_word(t, holder[i], m);
    free(holder);
    return rc ? rc : pair_enter_risen(&t->pairs);
}

static int learn(struct trainer *t, const struct bpe_train_options *o)
{
    uint32_t left, right;
    uint64_t count;
    int rc;

    while (t->tokens.count < o->vocab) {
        if ((rc = pair_best(&t->pairs, &left, &right, &count)) < 0)
            return rc;
        if (rc == 0 || count < o->min_count)
            return 0;
        if (t->tokens.word[left].size + t->tokens.word[right].size > BPE_TOKEN_MAX) /* a "word" of one letter, very long */
            continue;
        if ((rc = merge_pair(t, left, right)) != 0)
            return rc;
        if (o->show && t->tokens.count % 64 == 0)
            o->show(o->state, t->tokens.count);
    }
    return 0;
}

/* What was learnt as a vocabulary; the trainer gives up its merges. */
static int finish(struct bpe *b, struct trainer *t, const struct bpe_train_options *o)
{
    const struct words *tokens = &t->tokens;

    b->split = o->split;
    b->how = o->how;
    b->vocab = tokens->count;
    b->bytes = malloc(tokens->text_size);
    b->at = malloc(((size_t)tokens->count + 1) * sizeof *b->at);
    if (!b->bytes || !b->at)
        return err_set(ERR_NOMEM, "no memory for %u tokens", tokens->count);
    memcpy(b->bytes, tokens->text, tokens->text_size);
    for (uint32_t id = 0; id < b->vocab; id++)
        b->at[id] = (uint32_t)tokens->word[id].at;
    b->at[b->vocab] = (uint32_t)tokens->text_size;
    b->merge = t->merge;
    b->merges = t->merges;
    t->merge = NULL;
    assert(b->merges == b->vocab - 256);
    return bpe_finish(b);
}

int bpe_train(struct bpe **b, const struct words *words, const struct bpe_train_options *o)
{
    struct trainer t = {.words = words};
    int rc;

    *b = NULL;
    if (o->vocab < 256 || o->vocab > BPE_VOCAB_MAX || o->min_count < 1)
        return err_set(ERR_ARG, "a vocabulary of %u, not 256..%u", o->vocab, BPE_VOCAB_MAX);
    if ((rc = add_alphabet(&t)) != 0 || (rc = add_words(&t)) != 0 || (rc = learn(&t, o)) != 0)
        goto out;
    if (!(*b = calloc(1, sizeof **b)))
        rc = err_set(ERR_NOMEM, "no memory for a vocabulary");
    else
        rc = finish(*b, &t, o);
out:
    if (rc != 0) {
        bpe_free(*b);
        *b = NULL;
    }
    free(t.symbol);
    free(t.word);
    free(t.merge);
    pair_index_fini(&t.pairs);
    words_fini(&t.tokens);
    return rc;
}

/* SPDX-License-Identifier: MIT */
/* bpe_train.c -- the words as symbols in one block, and an index of pairs that every merge keeps up to date.
 *
 * A word in the block: its count (two numbers, low first), the symbols it has, those it had at first, and the symbols, two
 * a number.  Its place, which the index knows, is where it starts.
 */
#include "text/bpe_train.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "text/alphabet.h"
#include "text/bpe_table.h"
#include "text/pair_index.h"

enum { HEAD = 4, PAIRS_KEPT = 4096 }; /* in the index, beside two for each token */

struct trainer {
    uint32_t *block;            /* owned: [used] numbers */
    uint64_t used, room;
    uint64_t total;             /* symbols, each as often as its word */
    struct pair_index pairs;
    char *bytes;                /* owned: the texts of tokens one after the other */
    size_t bytes_room;
    uint32_t *at;               /* owned [vocab + 1]: where in bytes; token i ends where i + 1 begins */
    uint32_t tokens;
    struct bpe_merge *merge;    /* owned [vocab - 256] */
    uint32_t merges;
    struct change *change;      /* owned: the pairs that rose in this step */
    size_t change_count, change_room;
};

struct change {
    uint32_t pair, place;
};

/* A word of the block. */
struct text_word {
    uint32_t *size;   /* symbols left */
    uint16_t *symbol;
    uint64_t count;
    uint32_t next;    /* place of the word behind it */
};

static struct text_word word_at(const struct trainer *t, uint32_t place)
{
    uint32_t *p = t->block + place;

    return (struct text_word){p + 2, (uint16_t *)(p + HEAD), p[0] | (uint64_t)p[1] << 32, place + HEAD + (p[3] + 1) / 2};
}

/* ---- tokens ---------------------------------------------------------------------------------------------------------- */

static uint32_t token_size(const struct trainer *t, uint32_t id)
{
    return t->at[id + 1] - t->at[id];
}

static uint32_t pair_size(const struct trainer *t, uint32_t pair)
{
    return token_size(t, pair >> 16) + token_size(t, pair & 0xFFFF);
}

static int start_tokens(struct trainer *t, uint32_t vocab)
{
    uint8_t order[256];

    t->bytes_room = 1 << 16;
    t->bytes = malloc(t->bytes_room);
    t->at = calloc((size_t)vocab + 1, sizeof *t->at);
    t->merge = malloc((size_t)(vocab - 256 + 1) * sizeof *t->merge);
    if (!t->bytes || !t->at || !t->merge)
        return err_set(ERR_NOMEM, "no memory for %u tokens", vocab);
    alphabet_order(order);
    memcpy(t->bytes, order, sizeof order);
    for (t->tokens = 0; t->tokens < 256; t->tokens++)
        t->at[t->tokens + 1] = t->tokens + 1;
    return 0;
}

/* The token that a pair makes. */
static int make_token(struct trainer *t, uint32_t pair)
{
    uint32_t left = pair >> 16, right = pair & 0xFFFF, end = t->at[t->tokens], size = pair_size(t, pair);

    if (size > UINT32_MAX - end)
        return err_set(ERR_LIMIT, "the tokens have more than 2^32 bytes");
    if ((size_t)end + size > t->bytes_room) {
        size_t room = 2 * ((size_t)end + size);
        char *bytes = realloc(t->bytes, room);

        if (!bytes)
            return err_set(ERR_NOMEM, "no memory for a token");
        t->bytes = bytes;
        t->bytes_room = room;
    }
    memcpy(t->bytes + end, t->bytes + t->at[left], token_size(t, left));
    memcpy(t->bytes + end + token_size(t, left), t->bytes + t->at[right], token_size(t, right));
    t->merge[t->merges++] = (struct bpe_merge){(uint16_t)left, (uint16_t)right, (uint16_t)t->tokens};
    t->at[++t->tokens] = end + size;
    return 0;
}

/* ---- words ----------------------------------------------------------------------------------------------------------- */

static int make_room(struct trainer *t, uint64_t need)
{
    uint64_t room = t->room + t->room / 4;
    uint32_t *block;

    if (t->used + need >= UINT32_MAX)
        return err_set(ERR_LIMIT, "the distinct words take more than 16 GiB; leave rare ones out");
    if (t->used + need <= t->room)
        return 0;
    if (room < t->used + need)
        room = t->used + need + 4096;
    if (!(block = realloc(t->block, room * sizeof *block)))
        return err_set(ERR_NOMEM, "no memory for the distinct words");
    t->block = block;
    t->room = room;
    return 0;
}

static int add_word(struct trainer *t, const struct word *w, const uint16_t *id)
{
    uint64_t need = HEAD + (w->size + 1) / 2, symbols;
    uint32_t *p;
    uint16_t *symbol;
    int rc;

    if (__builtin_mul_overflow(w->count, (uint64_t)w->size, &symbols) ||
        __builtin_add_overflow(t->total, symbols, &t->total) || t->total > INT64_MAX)
        return err_set(ERR_LIMIT, "the words have more than 2^63 bytes");
    if ((rc = make_room(t, need)) != 0)
        return rc;
    p = t->block + t->used;
    p[0] = (uint32_t)w->count;
    p[1] = (uint32_t)(w->count >> 32);
    p[2] = p[3] = (uint32_t)w->size;
    p[need - 1] = 0;
    symbol = (uint16_t *)(p + HEAD);
    for (size_t i = 0; i < w->size; i++)
        symbol[i] = id[(uint8_t)w->text[i]];
    t->used += need;
    return 0;
}

static int add_words(struct trainer *t, struct word_runs *words, uint64_t min_word)
{
    uint16_t id[256];
    struct word word;
    int rc;

    for (uint16_t i = 0; i < 256; i++)
        id[(uint8_t)t->bytes[i]] = i;
    while ((rc = word_runs_next(words, &word)) > 0)
        if (word.count >= min_word && (rc = add_word(t, &word, id)) != 0)
            return rc;
    return rc;
}

/* Tell the index of all pairs as they are. */
static int scan(struct trainer *t)
{
    int rc;

    pair_index_restart(&t->pairs);
    for (uint32_t place = 0; place < t->used; place = word_at(t, place).next) {
        struct text_word w = word_at(t, place);

        for (uint32_t i = 0; i + 1 < *w.size; i++) {
            uint32_t pair = (uint32_t)w.symbol[i] << 16 | w.symbol[i + 1];

            if (pair_size(t, pair) <= BPE_TOKEN_MAX && (rc = pair_rise(&t->pairs, pair, w.count, place)) != 0)
                return rc;
        }
    }
    if ((rc = pair_settle(&t->pairs)) != 0)
        return rc;
    for (uint32_t place = 0; place < t->used; place = word_at(t, place).next) {
        struct text_word w = word_at(t, place);

        for (uint32_t i = 0; i + 1 < *w.size; i++)
            pair_hold(&t->pairs, (uint32_t)w.symbol[i] << 16 | w.symbol[i + 1], place);
    }
    return 0;
}

/* ---- one merge ------------------------------------------------------------------------------------------------------- */

static int rise(struct trainer *t, uint32_t left, uint32_t right, uint64_t count, uint32_t place)
{
    uint32_t pair = left << 16 | right;

    if (pair_size(t, pair) > BPE_TOKEN_MAX) /* a "word" of one letter, very long */
        return 0;
    if (t->change_count == t->change_room) {
        size_t room = t->change_room ? 2 * t->change_room : 4096;
        void *change = realloc(t->change, room * sizeof *t->change);

        if (!change)
            return err_set(ERR_NOMEM, "no memory for the words of a pair");
        t->change = change;
        t->change_room = room;
    }
    t->change[t->change_count++] = (struct change){pair, place};
    return pair_rise(&t->pairs, pair, count, place);
}

static void fall(struct trainer *t, uint32_t left, uint32_t right, uint64_t count)
{
    pair_fall(&t->pairs, left << 16 | right, count);
}

/* Merge in one word, from left to right; neighbours count as they are at that moment. */
static int merge_in_word(struct trainer *t, uint32_t place, struct bpe_merge m)
{
    struct text_word w = word_at(t, place);
    uint16_t *s = w.symbol;
    uint32_t size = *w.size, to = 0;
    int rc;

    for (uint32_t i = 0; i < size; i++) {
        if (i + 1 == size || s[i] != m.left || s[i + 1] != m.right) {
            s[to++] = s[i];
            continue;
        }
        if (to > 0) {
            fall(t, s[to - 1], m.left, w.count);
            if ((rc = rise(t, s[to - 1], m.made, w.count, place)) != 0)
                return rc;
        }
        if (i + 2 < size) {
            fall(t, m.right, s[i + 2], w.count);
            if ((rc = rise(t, m.made, s[i + 2], w.count, place)) != 0)
                return rc;
        }
        s[to++] = m.made;
        i++;
    }
    *w.size = to;
    return 0;
}

/* Merge the pair everywhere. */
static int merge_pair(struct trainer *t, uint32_t pair)
{
    struct pair_words words;
    uint32_t place;
    int rc;

    if ((rc = make_token(t, pair)) != 0)
        return rc;
    pair_take_words(&t->pairs, pair, &words);
    t->change_count = 0;
    while (rc == 0 && pair_next_word(&words, &place))
        rc = merge_in_word(t, place, t->merge[t->merges - 1]);
    free(words.bytes);
    if (rc != 0 || (rc = pair_settle(&t->pairs)) != 0)
        return rc;
    for (size_t i = 0; i < t->change_count; i++)
        pair_hold(&t->pairs, t->change[i].pair, t->change[i].place);
    return 0;
}

static int learn(struct trainer *t, const struct bpe_train_options *o)
{
    uint32_t pair;
    uint64_t count;
    int rc;

    while (t->tokens < o->vocab) {
        if ((rc = pair_best(&t->pairs, &pair, &count)) < 0)
            return rc;
        if (rc == 0) {
            if (t->pairs.least == o->min_count)
                return 0;
            if ((rc = scan(t)) != 0) /* what was forgotten is the most frequent now */
                return rc;
            continue;
        }
        if ((rc = merge_pair(t, pair)) != 0)
            return rc;
        if (o->show && t->tokens % 64 == 0)
            o->show(o->state, t->tokens);
    }
    return 0;
}

/* What was learnt as a vocabulary; the trainer gives up its arrays. */
static int finish(struct bpe *b, struct trainer *t, struct words_kind kind)
{
    b->split = kind.split;
    b->how = kind.how;
    b->vocab = t->tokens;
    b->bytes = t->bytes;
    b->at = t->at;
    b->merge = t->merge;
    b->merges = t->merges;
    t->bytes = NULL;
    t->at = NULL;
    t->merge = NULL;
    assert(b->merges == b->vocab - 256);
    return bpe_finish(b);
}

int bpe_train(struct bpe **b, struct word_runs *words, const struct bpe_train_options *o)
{
    struct trainer t = {0};
    int rc;

    *b = NULL;
    if (o->vocab < 256 || o->vocab > BPE_VOCAB_MAX || o->min_count < 1)
        return err_set(ERR_ARG, "a vocabulary of %u, not 256..%u", o->vocab, BPE_VOCAB_MAX);
    pair_index_init(&t.pairs, o->min_count, o->pairs_kept ? o->pairs_kept : PAIRS_KEPT + 2 * o->vocab);
    if ((rc = start_tokens(&t, o->vocab)) != 0 || (rc = add_words(&t, words, o->min_word)) != 0 || (rc = scan(&t)) != 0 ||
        (rc = learn(&t, o)) != 0)
        goto out;
    if (!(*b = calloc(1, sizeof **b)))
        rc = err_set(ERR_NOMEM, "no memory for a vocabulary");
    else
        rc = finish(*b, &t, words->kind);
out:
    if (rc != 0) {
        bpe_free(*b);
        *b = NULL;
    }
    free(t.block);
    free(t.bytes);
    free(t.at);
    free(t.merge);
    free(t.change);
    pair_index_fini(&t.pairs);
    return rc;
}

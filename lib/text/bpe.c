/* SPDX-License-Identifier: MIT */
/* bpe.c -- captions repeat words, so a scratch keeps the ids of recent ones: one 64-byte place for each hash, which the
 * latest word takes.  With dropout every occurrence is drawn afresh, and the table is not asked. */
#include "text/bpe.h"

#include <stdlib.h>
#include <string.h>

#include "text/bpe_table.h"
#include "text/merge.h"
#include "text/normalise.h"

enum { WORD_BYTES = 30, WORD_IDS = 16, WORD_PLACES = 1 << 16 };

struct word {
    uint8_t size;  /* bytes; 0: empty */
    uint8_t count; /* ids */
    char text[WORD_BYTES];
    uint16_t id[WORD_IDS];
};

struct bpe_scratch {
    struct word *word;        /* owned [WORD_PLACES] */
    struct digest owner;      /* whose words these are */
    struct merger merger;
    struct normalised normal;
    char *plain;              /* owned: what bpe_decode gave */
    size_t plain_room;
    uint16_t *ids;            /* owned: one piece */
    size_t ids_room;
};

struct sink { /* where ids go: the first max are kept, all are counted */
    uint16_t *ids;
    int64_t max, count;
};

uint32_t bpe_vocab(const struct bpe *b)
{
    return b->vocab;
}

const struct digest *bpe_digest(const struct bpe *b)
{
    return &b->digest;
}

const char *bpe_split_name(const struct bpe *b)
{
    return split_name[b->split];
}

const char *bpe_token(const struct bpe *b, uint32_t id, size_t *size)
{
    *size = b->at[id + 1] - b->at[id];
    return b->bytes + b->at[id];
}

void bpe_free(struct bpe *b)
{
    if (!b)
        return;
    free(b->bytes);
    free(b->at);
    free(b->merge);
    free(b->add);
    free(b->slot);
    free(b);
}

int bpe_scratch_create(struct bpe_scratch **s)
{
    if (!(*s = calloc(1, sizeof **s)))
        return err_set(ERR_NOMEM, "no memory for a scratch");
    if (!((*s)->word = calloc(WORD_PLACES, sizeof *(*s)->word))) {
        bpe_scratch_free(*s);
        *s = NULL;
        return err_set(ERR_NOMEM, "no memory for a table of words");
    }
    return 0;
}

void bpe_scratch_free(struct bpe_scratch *s)
{
    if (!s)
        return;
    merger_fini(&s->merger);
    normalised_fini(&s->normal);
    free(s->word);
    free(s->plain);
    free(s->ids);
    free(s);
}

static inline void sink_put(struct sink *to, const uint16_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++, to->count++)
        if (to->count < to->max)
            to->ids[to->count] = ids[i];
}

static int ids_room(struct bpe_scratch *s, size_t count)
{
    size_t room = s->ids_room ? s->ids_room : 64;
    uint16_t *ids;

    while (room < count)
        room *= 2;
    if (room == s->ids_room)
        return 0;
    if (!(ids = realloc(s->ids, room * sizeof *ids)))
        return err_set(ERR_NOMEM, "no memory for %zu tokens", count);
    s->ids = ids;
    s->ids_room = room;
    return 0;
}

/* Merge one piece into s->ids. */
static int piece_merge(const struct bpe *b, struct bpe_scratch *s, const char *text, size_t size, size_t *made,
                       struct merge_dropout *dropout)
{
    int rc;

    if ((rc = ids_room(s, size)) != 0)
        return rc;
    for (size_t i = 0; i < size; i++)
        s->ids[i] = b->byte_id[(uint8_t)text[i]];
    return merge_piece(b, &s->merger, s->ids, size, made, dropout);
}

static int piece_put(const struct bpe *b, struct bpe_scratch *s, const char *text, size_t size, struct sink *to,
                     struct merge_dropout *dropout)
{
    struct word *w = NULL;
    size_t made;
    int rc;

    if (size == 1) {
        sink_put(to, &b->byte_id[(uint8_t)*text], 1);
        return 0;
    }
    if (size <= WORD_BYTES && dropout->p == 0) {
        w = &s->word[rng_hash(text, size) % WORD_PLACES];
        if (w->size == size && memcmp(w->text, text, size) == 0) {
            sink_put(to, w->id, w->count);
            return 0;
        }
    }
    if ((rc = piece_merge(b, s, text, size, &made, dropout)) != 0)
        return rc;
    sink_put(to, s->ids, made);
    if (w && made <= WORD_IDS) {
        w->size = (uint8_t)size;
        w->count = (uint8_t)made;
        memcpy(w->text, text, size);
        memcpy(w->id, s->ids, made * sizeof *w->id);
    }
    return 0;
}

static int start(const struct bpe *b, struct bpe_scratch *s, size_t size, double p)
{
    if (!(p >= 0 && p < 1))
        return err_set(ERR_ARG, "dropout %g is not in 0..1, 1 excluded", p);
    if (size > BPE_TEXT_MAX)
        return err_set(ERR_LIMIT, "a text of more than %u bytes", BPE_TEXT_MAX);
    if (!digest_same(&s->owner, &b->digest)) {
        memset(s->word, 0, WORD_PLACES * sizeof *s->word);
        s->owner = b->digest;
    }
    return 0;
}

/* The pieces of normalised text. */
static int pieces_put(const struct bpe *b, struct bpe_scratch *s, const char *text, size_t size, struct sink *to,
                      struct merge_dropout *dropout)
{
    int rc;

    for (size_t at = 0, end; at < size; at = end) {
        end = split_next(b->split, text, size, at);
        if ((rc = piece_put(b, s, text + at, end - at, to, dropout)) != 0)
            return rc;
    }
    return 0;
}

/* Normalised text, in which added texts may stand. */
static int text_put(const struct bpe *b, struct bpe_scratch *s, const char *text, size_t size, int where, struct sink *to,
                    struct merge_dropout *dropout)
{
    uint16_t id;
    int rc;

    if (b->added == 0)
        return pieces_put(b, s, text, size, to, dropout);
    for (size_t at = 0, end = size; at < size; at = end) {
        size_t found = bpe_find_added(b, text, size, at, where, &id, &end);

        if ((rc = pieces_put(b, s, text + at, found - at, to, dropout)) != 0)
            return rc;
        if (found == size)
            break;
        sink_put(to, &id, 1);
    }
    return 0;
}

/* Text as it came: added texts are found first, what is between them is normalised. */
static int raw_put(const struct bpe *b, struct bpe_scratch *s, const char *text, size_t size, struct sink *to,
                   struct merge_dropout *dropout)
{
    uint16_t id;
    int rc;

    if (b->added > 0 && utf8_valid(text, size) < size)
        return err_set(ERR_FORMAT, "not UTF-8 at byte %zu", utf8_valid(text, size));
    for (size_t at = 0, end = size;; at = end) {
        size_t found = b->added ? bpe_find_added(b, text, size, at, ADDED_RAW, &id, &end) : size;

        if ((rc = normalise(&s->normal, text + at, found - at, b->how)) != 0 ||
            (rc = text_put(b, s, s->normal.text, s->normal.size, ADDED_NORMALISED, to, dropout)) != 0)
            return rc;
        if (found == size)
            return 0;
        sink_put(to, &id, 1);
    }
}

int bpe_tokens(const struct bpe *b, struct bpe_scratch *s, const char *text, size_t size, uint16_t *ids, int max,
               int *count, double p, struct rng random, uint64_t step)
{
    struct sink to = {ids, max, 0};
    struct merge_dropout dropout = {p, random, step, 0};
    int rc;

    *count = 0;
    if ((rc = start(b, s, size, p)) != 0 ||
        (rc = text_put(b, s, text, size, ADDED_RAW | ADDED_NORMALISED, &to, &dropout)) != 0)
        return rc;
    *count = (int)to.count;
    return 0;
}

int bpe_encode_dropout(const struct bpe *b, struct bpe_scratch *s, const char *text, size_t size, uint16_t *ids,
                       int max, int *count, double p, struct rng random, uint64_t step)
{
    struct sink to = {ids, max, 0};
    struct merge_dropout dropout = {p, random, step, 0};
    int rc;

    *count = 0;
    if ((rc = start(b, s, size, p)) != 0 || (rc = raw_put(b, s, text, size, &to, &dropout)) != 0)
        return rc;
    *count = (int)to.count;
    return 0;
}

int bpe_encode(const struct bpe *b, struct bpe_scratch *s, const char *text, size_t size, uint16_t *ids, int max,
               int *count)
{
    return bpe_encode_dropout(b, s, text, size, ids, max, count, 0, (struct rng){0, RNG_DROPOUT}, 0);
}

int bpe_decode(const struct bpe *b, struct bpe_scratch *s, const uint16_t *ids, int count, const char **text,
               size_t *size)
{
    size_t total = 0, at = 0;

    *text = NULL;
    *size = 0;
    for (int i = 0; i < count; i++) {
        if (ids[i] >= b->vocab)
            return err_set(ERR_FORMAT, "token %u; the vocabulary has %u", ids[i], b->vocab);
        total += b->at[ids[i] + 1] - b->at[ids[i]];
    }
    if (total + 1 > s->plain_room) {
        char *plain = realloc(s->plain, 2 * (total + 1));

        if (!plain)
            return err_set(ERR_NOMEM, "no memory for a text of %zu bytes", total);
        s->plain = plain;
        s->plain_room = 2 * (total + 1);
    }
    for (int i = 0; i < count; i++) {
        size_t n = b->at[ids[i] + 1] - b->at[ids[i]];

        memcpy(s->plain + at, b->bytes + b->at[ids[i]], n);
        at += n;
    }
    s->plain[at] = 0;
    *text = s->plain;
    *size = at;
    return 0;
}

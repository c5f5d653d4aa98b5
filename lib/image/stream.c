/* SPDX-License-Identifier: MIT */
/* stream.c -- fill a batch with encoded pictures, then prepare them side by side, then close the gaps that bad ones left. */
#include "image/stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct record {
    char *key;           /* owned */
    uint8_t *bytes;      /* owned: the encoded picture */
    size_t size;
    char *source;        /* owned: what a list of rejects names, not the list */
    char *problem;       /* owned: why it cannot be used; NULL: it can */
    int code;            /* of the problem */
};

struct stream {
    struct stream_options o;
    const char *const *source; /* borrowed */
    int sources, at;           /* at: the next to open */
    struct rejects *rejects;   /* borrowed */
    struct pairs *pairs;       /* owned: the open source */
    int64_t room, count;       /* records */
    int64_t each;              /* pictures of a record */
    struct record *record;     /* owned */
    uint8_t *rgb;              /* owned: [room * each, size, size, 3] */
    const char **key;          /* owned array */
    uint32_t *variant;         /* owned */
};

static const char *const standard[] = {"-"};

static int64_t records_of(const struct stream_options *o)
{
    int64_t each = o->crops ? o->crops : 1;

    return o->batch / each > 1 ? o->batch / each : 1;
}

int64_t stream_batch_max(const struct stream_options *o)
{
    return records_of(o) * (o->crops ? o->crops : 1);
}

int stream_open(struct stream **out, const char *const *sources, int count, const struct stream_options *o,
                struct rejects *rejects)
{
    struct stream *s = calloc(1, sizeof *s);
    size_t most = (size_t)stream_batch_max(o);

    *out = NULL;
    if (!s)
        return err_set(ERR_NOMEM, "no memory");
    *s = (struct stream){.o = *o, .source = count ? sources : standard, .sources = count ? count : 1, .rejects = rejects,
                         .room = records_of(o), .each = o->crops ? o->crops : 1};
    s->record = calloc((size_t)s->room, sizeof *s->record);
    s->rgb = malloc(most * (size_t)(3 * o->size * o->size));
    s->key = calloc(most, sizeof *s->key);
    s->variant = calloc(most, sizeof *s->variant);
    if (!s->record || !s->rgb || !s->key || !s->variant) {
        stream_close(s);
        return err_set(ERR_NOMEM, "no memory for a batch of %zu pictures", most);
    }
    *out = s;
    return 0;
}

static void clear(struct stream *s)
{
    for (int64_t i = 0; i < s->count; i++) {
        free(s->record[i].key);
        free(s->record[i].source);
        free(s->record[i].bytes);
        free(s->record[i].problem);
    }
    s->count = 0;
}

void stream_close(struct stream *s)
{
    if (!s)
        return;
    clear(s);
    pairs_close(s->pairs);
    free(s->record);
    free(s->rgb);
    free(s->key);
    free(s->variant);
    free(s);
}

static int take(struct stream *s, const struct pair *pair)
{
    struct record *r = &s->record[s->count++];

    *r = (struct record){.key = strdup(pair->key), .source = strdup(pair->source), .size = pair->picture_size};
    if (pair->problem) {
        r->problem = strdup(pair->problem);
        r->code = ERR_FORMAT;
    } else if ((r->bytes = malloc(pair->picture_size + 1))) {
        memcpy(r->bytes, pair->picture, pair->picture_size);
    }
    return r->key && r->source && (r->problem || r->bytes) ? 0 : err_set(ERR_NOMEM, "no memory for a picture");
}

/* Records until the batch is full or the sources end. */
static int fill(struct stream *s)
{
    struct pair pair;
    int rc;

    clear(s);
    while (s->count < s->room) {
        if (!s->pairs) {
            if (s->at == s->sources)
                return 0;
            if ((rc = pairs_open(&s->pairs, s->source[s->at++], PAIRS_PICTURE)) != 0)
                return rc;
        }
        if ((rc = pairs_next(s->pairs, &pair)) < 0)
            return rc;
        if (rc == 0) {
            pairs_close(s->pairs);
            s->pairs = NULL;
        } else if ((rc = take(s, &pair)) != 0) {
            return rc;
        }
    }
    return 0;
}

static int prepare_record(const struct stream *s, const struct record *r, uint8_t *rgb)
{
    struct rng rng = {s->o.seed, RNG_CROP};
    size_t size = (size_t)(3 * s->o.size * s->o.size);
    struct image whole, part = {0};
    int rc = image_decode(&whole, r->bytes, r->size, NULL);

    for (int64_t i = 0; rc == 0 && i < s->each; i++) {
        rc = image_prepare(&part, &whole, s->o.size, s->o.crops ? PREPARE_PRIOR : PREPARE_EVAL, false, rng,
                           prepare_step(r->key, (uint64_t)i));
        if (rc == 0)
            memcpy(rgb + (size_t)i * size, part.rgb, size);
        image_fini(&part);
    }
    image_fini(&whole);
    return rc;
}

static void prepare_all(struct stream *s)
{
    size_t size = (size_t)(3 * s->o.size * s->o.size * s->each);

#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t i = 0; i < s->count; i++) {
        struct record *r = &s->record[i];

        if (!r->problem && (r->code = prepare_record(s, r, s->rgb + (size_t)i * size)) != 0)
            r->problem = strdup(err_text()); /* reasons belong to threads */
    }
}

/* Good records move together; the first bad one stops us, or goes to the rejects. */
static int settle(struct stream *s, struct stream_batch *b)
{
    size_t size = (size_t)(3 * s->o.size * s->o.size * s->each);
    int64_t kept = 0;
    int rc = 0;

    for (int64_t i = 0; rc == 0 && i < s->count; i++) {
        struct record *r = &s->record[i];

        if (r->code != 0) {
            const char *why = r->problem ? r->problem : "no memory";

            rc = s->o.keep_going && r->code != ERR_NOMEM ? rejects_add(s->rejects, r->source, r->key, why)
                                                         : err_set(r->code, "%s: %s: %s", r->source, r->key, why);
            continue;
        }
        if (kept < i)
            memmove(s->rgb + (size_t)kept * size, s->rgb + (size_t)i * size, size);
        for (int64_t k = 0; k < s->each; k++) {
            s->key[kept * s->each + k] = r->key;
            s->variant[kept * s->each + k] = (uint32_t)k;
        }
        kept++;
    }
    *b = (struct stream_batch){kept * s->each, s->rgb, s->key, s->variant};
    return rc;
}

int stream_next(struct stream *s, struct stream_batch *b)
{
    int rc;

    do {
        if ((rc = fill(s)) != 0)
            return rc;
        if (s->count == 0)
            return 0;
        prepare_all(s);
        if ((rc = settle(s, b)) != 0)
            return rc;
    } while (b->count == 0);
    return 1;
}

/* SPDX-License-Identifier: MIT */
/* pool.c -- a list of pictures: prepared, encoded, or elsewhere. */
#include "image/pool.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GROUP 64               /* pictures decoded side by side when opening */
#define PIXELS_KEPT (64 << 10) /* bytes of prepared pixels that are kept rather than the file */

struct entry {
    char *key;       /* owned */
    uint8_t *bytes;  /* owned; NULL: elsewhere */
    size_t size;     /* of bytes */
    bool prepared;   /* bytes are pixels, ready */
    int32_t place;   /* index of the file that holds it; -1: none */
    int64_t offset;  /* in it */
    char *problem;   /* owned, while opening: why it cannot be used */
    int code;        /* of the problem */
};

struct pool {
    struct pool_options o;
    struct entry *entry; /* owned */
    int64_t count, room;
    char **place;        /* owned: files that are read again */
    int32_t places;
    size_t bytes;
};

static size_t picture_bytes(const struct pool *p)
{
    return (size_t)(3 * p->o.size * p->o.size);
}

/* ---- one picture ------------------------------------------------------------------------------------------------- */

static int prepare_bytes(const struct pool *p, uint8_t *rgb, const char *key, uint64_t visit, const uint8_t *bytes,
                         size_t size, bool *ready)
{
    struct rng rng = {p->o.seed, RNG_CROP};
    struct image whole, part = {0};
    int rc = image_decode_least(&whole, bytes, size, &p->o.limits, p->o.full_decode ? 0 : prepare_least(p->o.size, p->o.how));

    if (rc == 0)
        rc = image_prepare(&part, &whole, p->o.size, p->o.how, p->o.flip, rng, prepare_step(key, visit));
    if (rc == 0)
        memcpy(rgb, part.rgb, picture_bytes(p));
    if (ready) /* the same at every visit? */
        *ready = p->o.how == PREPARE_EVAL || (whole.width == p->o.size && whole.height == p->o.size && !p->o.flip);
    image_fini(&part);
    image_fini(&whole);
    return rc;
}

int pool_get(const struct pool *p, uint8_t *rgb, int64_t i, uint64_t visit)
{
    const struct entry *e = &p->entry[i];
    uint8_t *again = NULL;
    size_t size = e->size;
    int rc = 0;

    if (e->prepared) {
        memcpy(rgb, e->bytes, picture_bytes(p));
        return 0;
    }
    if (!e->bytes)
        rc = pairs_read_again(&again, &size, p->place[e->place], e->offset);
    if (rc == 0)
        rc = prepare_bytes(p, rgb, e->key, visit, again ? again : e->bytes, size, NULL);
    free(again);
    return rc == 0 ? 0 : err_at(rc, "%s", e->key);
}

int pool_batch(const struct pool *p, uint8_t *rgb, const struct pool_pick *pick, int64_t count)
{
    char text[512] = "";
    int64_t bad = count;
    int rc = 0;

#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t k = 0; k < count; k++) {
        int code = pool_get(p, rgb + (size_t)k * picture_bytes(p), pick[k].i, pick[k].visit);

#pragma omp critical(pool_batch)
        if (code != 0 && k < bad) { /* the first one, whoever meets it when; reasons belong to threads */
            bad = k;
            rc = code;
            snprintf(text, sizeof text, "%s", err_text());
        }
    }
    return rc == 0 ? 0 : err_set(rc, "%s", text);
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static void entry_fini(struct entry *e)
{
    free(e->key);
    free(e->bytes);
    free(e->problem);
}

static int add_place(struct pool *p, const char *place, int32_t *index)
{
    char **more;

    *index = p->places - 1;
    if (p->places > 0 && strcmp(p->place[p->places - 1], place) == 0) /* a tar's members follow each other */
        return 0;
    if (!(more = realloc(p->place, sizeof *more * ((size_t)p->places + 1))))
        return err_set(ERR_NOMEM, "no memory for a list of files");
    p->place = more;
    if (!(p->place[p->places] = strdup(place)))
        return err_set(ERR_NOMEM, "no memory for a list of files");
    *index = p->places++;
    return 0;
}

static int add_entry(struct pool *p, const struct pair *pair)
{
    struct entry *e;
    int rc = 0;

    if (p->count == p->room) {
        int64_t room = p->room ? 2 * p->room : 1024;
        struct entry *more = realloc(p->entry, sizeof *more * (size_t)room);

        if (!more)
            return err_set(ERR_NOMEM, "no memory for a list of pictures");
        p->entry = more;
        p->room = room;
    }
    e = &p->entry[p->count];
    *e = (struct entry){.key = strdup(pair->key), .place = -1, .size = pair->picture_size};
    p->count++;
    if (!e->key)
        return err_set(ERR_NOMEM, "no memory for a key");
    if (pair->problem) {
        e->problem = strdup(pair->problem);
        e->code = ERR_FORMAT;
        return e->problem ? 0 : err_set(ERR_NOMEM, "no memory");
    }
    if (!(e->bytes = malloc(pair->picture_size + 1)))
        return err_set(ERR_NOMEM, "%s: no memory for its picture", pair->key);
    memcpy(e->bytes, pair->picture, pair->picture_size);
    if (pair->place) {
        e->offset = pair->offset;
        rc = add_place(p, pair->place, &e->place);
    }
    return rc;
}

/* Decode a picture and keep what will be needed of it. */
static void try_entry(const struct pool *p, struct entry *e)
{
    uint8_t *rgb;
    bool ready = false;

    if (e->problem)
        return;
    if (!(rgb = malloc(picture_bytes(p)))) {
        e->code = err_set(ERR_NOMEM, "no memory");
        e->problem = strdup(err_text());
        return;
    }
    if ((e->code = prepare_bytes(p, rgb, e->key, 0, e->bytes, e->size, &ready)) != 0)
        e->problem = strdup(err_text());
    if (e->code == 0 && ready && picture_bytes(p) <= PIXELS_KEPT) {
        free(e->bytes);
        e->bytes = rgb;
        e->size = picture_bytes(p);
        e->prepared = true;
    } else {
        free(rgb);
    }
}

/* Keep an entry in memory or leave it where it stands. */
static int settle(struct pool *p, struct entry *e)
{
    size_t memory = p->o.memory ? p->o.memory : POOL_MEMORY, cost = e->size + strlen(e->key) + sizeof *e;

    if (p->bytes + cost <= memory) {
        p->bytes += cost;
        return 0;
    }
    if (e->place < 0)
        return err_set(ERR_LIMIT, "%s: pictures fill %zu MiB; more can only be read again from plain tars, folders and lists "
                       "(see --memory)", e->key, memory >> 20);
    free(e->bytes);
    e->bytes = NULL;
    e->prepared = false;
    return 0;
}

/* Decode entries from first on, settle the good ones, take the others out. */
static int take_group(struct pool *p, int64_t first, const char *source, struct rejects *rejects)
{
    int64_t kept = first;
    int rc = 0;

#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t i = first; i < p->count; i++)
        try_entry(p, &p->entry[i]);
    for (int64_t i = first; i < p->count; i++) {
        struct entry *e = &p->entry[i];

        if (rc == 0 && e->code != 0)
            rc = p->o.keep_going && e->code != ERR_NOMEM ? rejects_add_pair(rejects, source, e->key, e->problem)
                                                         : err_set(e->code, "%s: %s: %s", source, e->key, e->problem);
        if (e->code != 0 || rc != 0 || (rc = settle(p, e)) != 0)
            entry_fini(e);
        else
            p->entry[kept++] = *e;
    }
    p->count = kept;
    return rc;
}

static int read_source(struct pool *p, const char *source, struct rejects *rejects)
{
    int64_t first = p->count;
    struct pairs *pairs;
    struct pair pair;
    int rc = pairs_open(&pairs, source, PAIRS_PICTURE | (p->o.keep_going ? PAIRS_GO_ON : 0)), got = 0;

    if (rc != 0)
        return rc;
    if (p->o.limits.bytes)
        pairs_limit(pairs, p->o.limits.bytes);
    while (rc == 0 && (got = pairs_next(pairs, &pair)) > 0) {
        rc = add_entry(p, &pair);
        if (rc == 0 && p->count - first == GROUP) {
            rc = take_group(p, first, source, rejects);
            first = p->count;
        }
    }
    if (rc == 0 && got < 0)
        rc = got;
    if (rc == 0)
        rc = take_group(p, first, source, rejects);
    pairs_close(pairs);
    return rc;
}

int pool_open(struct pool **out, const char *const *sources, int count, const struct pool_options *o,
              struct rejects *rejects)
{
    struct pool *p = calloc(1, sizeof *p);
    int rc = p ? 0 : err_set(ERR_NOMEM, "no memory");

    *out = NULL;
    if (rc == 0)
        p->o = *o;
    for (int i = 0; rc == 0 && i < count; i++)
        rc = read_source(p, sources[i], rejects);
    if (rc == 0 && p->count == 0)
        rc = err_set(ERR_EMPTY, "%s: no pictures", count ? sources[0] : "no source");
    if (rc != 0) {
        pool_close(p);
        return rc;
    }
    *out = p;
    return 0;
}

void pool_close(struct pool *p)
{
    if (!p)
        return;
    for (int64_t i = 0; i < p->count; i++)
        entry_fini(&p->entry[i]);
    for (int32_t i = 0; i < p->places; i++)
        free(p->place[i]);
    free(p->place);
    free(p->entry);
    free(p);
}

int64_t pool_count(const struct pool *p)
{
    return p->count;
}

size_t pool_bytes(const struct pool *p)
{
    return p->bytes;
}

const char *pool_key(const struct pool *p, int64_t i)
{
    return p->entry[i].key;
}

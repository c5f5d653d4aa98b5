/* SPDX-License-Identifier: MIT */
/* stream.c -- a thread fills one group of records with encoded pictures while the caller has the pictures of another; these
 * are prepared side by side by all threads, then the gaps that bad ones left are closed.  Preparing is not the reader's
 * work: where the caller computes on the same processors there is nothing to gain, and its threads would wait for us.
 *
 * Easy to get wrong: the reader may be stopped while it waits for a pipe, so what it holds must be ours to free. */
#include "image/stream.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GROUP_BYTES ((size_t)128 << 20) /* of encoded pictures in a group, and one more */

struct record {
    char *key;           /* owned */
    uint8_t *bytes;      /* owned: the encoded picture */
    size_t size;
    char *source;        /* owned: what a list of rejects names, not the list */
    char *problem;       /* owned: why it cannot be used; NULL: it can */
    int code;            /* of the problem */
};

struct group {
    struct record *record; /* owned: [room] */
    int64_t count;
    int rc;                /* how reading ended behind these records; 0: it did not, or at the end of the sources */
    char why[512];         /* of rc */
    bool last;             /* nothing is read behind it */
    bool full;             /* it is the caller's; else the reader's.  Under lock */
};

struct stream {
    struct stream_options o;
    const char *const *source; /* borrowed */
    int sources, at;           /* at: the next to open */
    struct rejects *rejects;   /* borrowed */
    struct pairs *pairs;       /* owned: the open source */
    int64_t room;              /* records of a group */
    int64_t each;              /* pictures of a record */
    struct group group[2];
    int now;                   /* the group that the caller has, or gets next */
    bool reading;              /* the thread was started */
    bool quit;                 /* it is to end.  Under lock */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t turn;       /* a group changed hands */
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

/* ---- the reader -------------------------------------------------------------------------------------------------- */

static void clear(struct group *g)
{
    for (int64_t i = 0; i < g->count; i++) {
        free(g->record[i].key);
        free(g->record[i].source);
        free(g->record[i].bytes);
        free(g->record[i].problem);
    }
    g->count = 0;
}

static int take(struct group *g, const struct pair *pair)
{
    struct record *r = &g->record[g->count++];

    *r = (struct record){.key = strdup(pair->key), .source = strdup(pair->source), .size = pair->picture_size};
    if (pair->problem) {
        r->problem = strdup(pair->problem);
        r->code = ERR_FORMAT;
    } else if ((r->bytes = malloc(pair->picture_size + 1))) {
        memcpy(r->bytes, pair->picture, pair->picture_size);
    }
    return r->key && r->source && (r->problem || r->bytes) ? 0 : err_set(ERR_NOMEM, "no memory for a picture");
}

static int open_next(struct stream *s)
{
    int rc = pairs_open(&s->pairs, s->source[s->at++], PAIRS_PICTURE | (s->o.keep_going ? PAIRS_GO_ON : 0));

    if (rc == 0 && s->o.limits.bytes)
        pairs_limit(s->pairs, s->o.limits.bytes);
    return rc;
}

/* Records until the group is full or the sources end. */
static int fill(struct stream *s, struct group *g)
{
    struct pair pair;
    size_t bytes = 0;
    int rc;

    while (g->count < s->room && bytes < GROUP_BYTES) {
        if (!s->pairs) {
            if (s->at == s->sources) {
                g->last = true;
                return 0;
            }
            if ((rc = open_next(s)) != 0)
                return rc;
        }
        if ((rc = pairs_next(s->pairs, &pair)) < 0)
            return rc;
        if (rc == 0) {
            pairs_close(s->pairs);
            s->pairs = NULL;
        } else if ((rc = take(g, &pair)) != 0) {
            return rc;
        }
        bytes += pair.picture_size;
    }
    return 0;
}

/* Wait until group g is full (the caller) or empty (the reader).  false: the reader is to end. */
static bool wait_for(struct stream *s, const struct group *g, bool full)
{
    bool go_on;

    pthread_mutex_lock(&s->lock);
    while (g->full != full && !s->quit)
        pthread_cond_wait(&s->turn, &s->lock);
    go_on = !s->quit;
    pthread_mutex_unlock(&s->lock);
    return go_on;
}

static void hand_over(struct stream *s, struct group *g, bool full)
{
    pthread_mutex_lock(&s->lock);
    g->full = full;
    pthread_cond_signal(&s->turn);
    pthread_mutex_unlock(&s->lock);
}

static void *read_ahead(void *state)
{
    struct stream *s = state;
    bool last = false;

    for (int i = 0; !last; i = 1 - i) {
        struct group *g = &s->group[i];

        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
        if (!wait_for(s, g, false))
            break;
        clear(g);
        pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL); /* only while it may wait for a pipe */
        g->rc = fill(s, g);
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
        if (g->rc != 0) {
            snprintf(g->why, sizeof g->why, "%s", err_text()); /* reasons belong to threads */
            g->last = true;
        }
        last = g->last;
        hand_over(s, g, true);
    }
    return NULL;
}

/* ---- opening and closing ----------------------------------------------------------------------------------------- */

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
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->turn, NULL);
    for (int i = 0; i < 2; i++)
        s->group[i].record = calloc((size_t)s->room, sizeof *s->group[i].record);
    s->rgb = malloc(most * (size_t)(3 * o->size * o->size));
    s->key = calloc(most, sizeof *s->key);
    s->variant = calloc(most, sizeof *s->variant);
    if (!s->group[0].record || !s->group[1].record || !s->rgb || !s->key || !s->variant) {
        stream_close(s);
        return err_set(ERR_NOMEM, "no memory for a batch of %zu pictures", most);
    }
    *out = s;
    return 0;
}

void stream_close(struct stream *s)
{
    if (!s)
        return;
    if (s->reading) {
        pthread_mutex_lock(&s->lock);
        s->quit = true;
        pthread_cond_broadcast(&s->turn);
        pthread_mutex_unlock(&s->lock);
        pthread_cancel(s->thread);
        pthread_join(s->thread, NULL);
    }
    for (int i = 0; i < 2; i++) {
        clear(&s->group[i]);
        free(s->group[i].record);
    }
    pairs_close(s->pairs);
    pthread_cond_destroy(&s->turn);
    pthread_mutex_destroy(&s->lock);
    free(s->rgb);
    free(s->key);
    free(s->variant);
    free(s);
}

/* ---- the caller's side ------------------------------------------------------------------------------------------- */

static int prepare_record(const struct stream *s, const struct record *r, uint8_t *rgb)
{
    struct rng rng = {s->o.seed, RNG_CROP};
    size_t size = (size_t)(3 * s->o.size * s->o.size);
    struct image whole, part = {0};
    enum prepare how = s->o.crops ? PREPARE_PRIOR : PREPARE_EVAL;
    int rc = image_decode_least(&whole, r->bytes, r->size, &s->o.limits, s->o.full_decode ? 0 : prepare_least(s->o.size, how));

    for (int64_t i = 0; rc == 0 && i < s->each; i++) {
        rc = image_prepare(&part, &whole, s->o.size, how, false, rng, prepare_step(r->key, (uint64_t)i));
        if (rc == 0)
            memcpy(rgb + (size_t)i * size, part.rgb, size);
        image_fini(&part);
    }
    image_fini(&whole);
    return rc;
}

static void prepare_all(struct stream *s, struct group *g)
{
    size_t size = (size_t)(3 * s->o.size * s->o.size * s->each);

#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t i = 0; i < g->count; i++) {
        struct record *r = &g->record[i];

        if (!r->problem && (r->code = prepare_record(s, r, s->rgb + (size_t)i * size)) != 0)
            r->problem = strdup(err_text()); /* reasons belong to threads */
    }
}

/* Good records move together; the first bad one stops us, or goes to the rejects. */
static int settle(struct stream *s, struct group *g, struct stream_batch *b)
{
    size_t size = (size_t)(3 * s->o.size * s->o.size * s->each);
    int64_t kept = 0;
    int rc = 0;

    for (int64_t i = 0; rc == 0 && i < g->count; i++) {
        struct record *r = &g->record[i];

        if (r->code != 0) {
            const char *why = r->problem ? r->problem : "no memory";

            rc = s->o.keep_going && r->code != ERR_NOMEM ? rejects_add_pair(s->rejects, r->source, r->key, why)
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

/* The next group that the reader has filled; the one before goes back to it. */
static struct group *next_group(struct stream *s)
{
    if (!s->reading) {
        if (pthread_create(&s->thread, NULL, read_ahead, s) != 0)
            return NULL;
        s->reading = true;
    } else {
        hand_over(s, &s->group[s->now], false);
        s->now = 1 - s->now;
    }
    wait_for(s, &s->group[s->now], true);
    return &s->group[s->now];
}

int stream_next(struct stream *s, struct stream_batch *b)
{
    struct group *g;
    int rc;

    do {
        g = s->reading ? &s->group[s->now] : NULL;
        if (g && g->last)
            return g->rc == 0 ? 0 : err_set(g->rc, "%s", g->why);
        if (!(g = next_group(s)))
            return err_set(ERR_NOMEM, "cannot start a thread");
        prepare_all(s, g);
        if ((rc = settle(s, g, b)) != 0)
            return rc;
    } while (b->count == 0);
    return 1;
}

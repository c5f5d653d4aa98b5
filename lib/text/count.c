/* SPDX-License-Identifier: MIT */
#include "text/count.h"

#include <omp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/par.h"
#include "text/normalise.h"

enum { BATCH_BYTES = 4 << 20, BATCH_CAPTIONS = 1 << 17, REASON_SIZE = 256 };

struct held { /* a caption of the batch; at: where in batch.text */
    size_t key_at, key_size, at, size;
    const char *source;
    int64_t line;
    const char *problem; /* of the source; NULL: none */
    int rc;              /* of counting it */
};

struct batch {
    char *text;       /* owned */
    size_t size, room;
    struct held *held; /* owned [BATCH_CAPTIONS] */
    int count;
};

struct worker { /* one a thread */
    struct words words;
    struct normalised normal;
};

static int batch_text(struct batch *b, const char *text, size_t size, size_t *at)
{
    if (b->size + size + 1 > b->room) {
        size_t room = b->size + size + BATCH_BYTES + 1;
        char *more = realloc(b->text, room);

        if (!more)
            return err_set(ERR_NOMEM, "no memory for captions");
        b->text = more;
        b->room = room;
    }
    *at = b->size;
    if (size > 0)
        memcpy(b->text + b->size, text, size);
    b->text[b->size + size] = 0;
    b->size += size + 1;
    return 0;
}

/* 1: a batch; 0: nothing is left.  A caption with a problem ends the batch, since its reason is borrowed. */
static int batch_read(struct batch *b, struct captions *from)
{
    struct caption c;
    int rc = 0;

    b->count = 0;
    b->size = 0;
    while (b->count < BATCH_CAPTIONS && b->size < BATCH_BYTES && (rc = captions_next(from, &c)) > 0) {
        struct held *h = &b->held[b->count++];

        *h = (struct held){.key_size = c.key_size, .source = c.source, .line = c.line, .problem = c.problem};
        h->size = c.problem ? 0 : c.size;
        if ((rc = batch_text(b, c.key, c.key_size, &h->key_at)) != 0 ||
            (rc = batch_text(b, c.text, h->size, &h->at)) != 0)
            return rc;
        if (c.problem)
            break;
    }
    return rc < 0 ? rc : b->count > 0;
}

static int count_text(struct worker *w, const char *text, size_t size, const struct count_options *o)
{
    int rc;

    if ((rc = normalise(&w->normal, text, size, o->how)) != 0)
        return rc;
    text = w->normal.text;
    size = w->normal.size;
    for (size_t at = 0, end; at < size; at = end) {
        end = split_next(o->split, text, size, at);
        if (end - at < 2 || (o->split == SPLIT_DALLE && (text[at] < 'a' || text[at] > 'z')))
            continue;
        if ((rc = words_add(&w->words, text + at, end - at, 1)) != 0)
            return rc;
    }
    return 0;
}

static void batch_count(struct batch *b, struct worker *worker, const struct count_options *o)
{
#pragma omp parallel for schedule(dynamic, 256)
    for (int i = 0; i < b->count; i++) {
        struct held *h = &b->held[i];

        if (!h->problem)
            h->rc = count_text(&worker[omp_get_thread_num()], b->text + h->at, h->size, o);
    }
}

/* In order; a reason is found again by this thread, since reasons belong to threads. */
static int batch_report(struct batch *b, const struct count_options *o, int64_t *captions)
{
    int rc;

    for (int i = 0; i < b->count; i++) {
        struct held *h = &b->held[i];
        struct caption c = {.key = b->text + h->key_at, .key_size = h->key_size, .source = h->source, .line = h->line};
        struct normalised again = {0};
        char reason[REASON_SIZE];

        if (!h->problem && h->rc == 0) {
            (*captions)++;
            continue;
        }
        if (!h->problem) {
            rc = normalise(&again, b->text + h->at, h->size, o->how);
            normalised_fini(&again);
            if (rc != ERR_FORMAT && rc != ERR_LIMIT)
                return err_set(ERR_NOMEM, "no memory for words");
        }
        strncpy(reason, h->problem ? h->problem : err_text(), sizeof reason - 1);
        reason[sizeof reason - 1] = 0;
        if ((rc = o->bad(o->state, &c, reason)) != 0)
            return rc;
    }
    return 0;
}

int count_words(struct words *to, int64_t *captions, struct captions *from, const struct count_options *o)
{
    int threads = par_threads(), rc;
    struct worker *worker = calloc((size_t)threads, sizeof *worker);
    struct batch batch = {.held = malloc(BATCH_CAPTIONS * sizeof *batch.held)};

    *captions = 0;
    if (!worker || !batch.held) {
        rc = err_set(ERR_NOMEM, "no memory to count words");
        goto out;
    }
    while ((rc = batch_read(&batch, from)) > 0) {
        batch_count(&batch, worker, o);
        if ((rc = batch_report(&batch, o, captions)) != 0)
            goto out;
        if (o->show)
            o->show(o->state, *captions);
    }
    for (int i = 0; i < threads && rc == 0; i++) {
        rc = words_merge(to, &worker[i].words);
        words_fini(&worker[i].words);
    }
out:
    for (int i = 0; worker && i < threads; i++) {
        words_fini(&worker[i].words);
        normalised_fini(&worker[i].normal);
    }
    free(worker);
    free(batch.held);
    free(batch.text);
    return rc;
}

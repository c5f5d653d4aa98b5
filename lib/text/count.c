/* SPDX-License-Identifier: MIT */
#include "text/count.h"

#include <omp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/par.h"
#include "text/normalise.h"

enum { BATCH_BYTES = 4 << 20, BATCH_CAPTIONS = 1 << 15, REASON_SIZE = 256, TABLE_MIN = 1 << 16 };

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
    struct word_runs *to; /* borrowed, shared */
    int rc;               /* of writing its runs */
    char reason[REASON_SIZE];
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

/* What stops all: kept, since err_text belongs to the thread. */
static int fail(struct worker *w, int rc)
{
    w->rc = rc;
    strncpy(w->reason, err_text(), sizeof w->reason - 1);
    return rc;
}

static int spill(struct worker *w)
{
    struct words_in *run;
    int rc;

    if (w->words.count == 0)
        return 0;
    if ((rc = word_run_write(&run, &w->words, w->to->kind)) != 0)
        return fail(w, rc);
#pragma omp critical(count_spill)
    rc = word_runs_add(w->to, run);
    return rc ? fail(w, rc) : 0;
}

static int add_word(struct worker *w, const char *text, size_t size)
{
    struct words_in *run;
    int rc;

    if (words_add(&w->words, text, size, 1) == 0)
        return 0;
    if ((rc = spill(w)) != 0 || words_add(&w->words, text, size, 1) == 0)
        return rc;
    if ((rc = word_run_write_word(&run, (struct word){text, size, 1}, w->to->kind)) != 0) /* longer than a table */
        return fail(w, rc);
#pragma omp critical(count_spill)
    rc = word_runs_add(w->to, run);
    return rc ? fail(w, rc) : 0;
}

static int count_text(struct worker *w, const char *text, size_t size)
{
    enum split split = w->to->kind.split;
    int rc;

    if ((rc = normalise(&w->normal, text, size, w->to->kind.how)) != 0)
        return rc;
    text = w->normal.text;
    size = w->normal.size;
    for (size_t at = 0, end; at < size; at = end) {
        end = split_next(split, text, size, at);
        if (end - at < 2 || (split == SPLIT_DALLE && (text[at] < 'a' || text[at] > 'z')))
            continue;
        if ((rc = add_word(w, text + at, end - at)) != 0)
            return rc;
    }
    return 0;
}

static int batch_count(struct batch *b, struct worker *worker)
{
#pragma omp parallel for schedule(dynamic, 256)
    for (int i = 0; i < b->count; i++) {
        struct held *h = &b->held[i];
        struct worker *w = &worker[omp_get_thread_num()];

        if (!h->problem && w->rc == 0)
            h->rc = count_text(w, b->text + h->at, h->size);
    }
    for (int i = 0; i < par_threads(); i++)
        if (worker[i].rc != 0)
            return err_set(worker[i].rc, "%s", worker[i].reason);
    return 0;
}

/* In order; a reason is found again by this thread, since reasons belong to threads. */
static int batch_report(struct batch *b, struct word_runs *to, const struct count_options *o)
{
    int rc;

    for (int i = 0; i < b->count; i++) {
        struct held *h = &b->held[i];
        struct caption c = {.key = b->text + h->key_at, .key_size = h->key_size, .source = h->source, .line = h->line};
        struct normalised again = {0};
        char reason[REASON_SIZE];

        if (!h->problem && h->rc == 0) {
            to->captions++;
            continue;
        }
        if (!h->problem) {
            rc = normalise(&again, b->text + h->at, h->size, to->kind.how);
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

/* All tables as runs, side by side. */
static int spill_all(struct worker *worker, int threads)
{
#pragma omp parallel for schedule(static, 1)
    for (int i = 0; i < threads; i++)
        (void)spill(&worker[i]);
    for (int i = 0; i < threads; i++)
        if (worker[i].rc != 0)
            return err_set(worker[i].rc, "%s", worker[i].reason);
    return 0;
}

int count_words(struct word_runs *to, struct captions *from, const struct count_options *o)
{
    int threads = par_threads(), rc = 0;
    uint64_t share = (o->memory - COUNT_FIXED) / (uint64_t)threads;
    struct worker *worker = calloc((size_t)threads, sizeof *worker);
    struct batch batch = {.held = malloc(BATCH_CAPTIONS * sizeof *batch.held)};

    if (!worker || !batch.held)
        rc = err_set(ERR_NOMEM, "no memory to count words");
    for (int i = 0; i < threads && rc == 0; i++) {
        worker[i].to = to;
        rc = words_init(&worker[i].words, share < TABLE_MIN ? TABLE_MIN : share);
    }
    while (rc == 0 && (rc = batch_read(&batch, from)) > 0)
        if ((rc = batch_count(&batch, worker)) == 0 && (rc = batch_report(&batch, to, o)) == 0 && o->show)
            o->show(o->state, (int64_t)to->captions);
    if (rc == 0)
        rc = spill_all(worker, threads);
    for (int i = 0; worker && i < threads; i++) {
        words_fini(&worker[i].words);
        normalised_fini(&worker[i].normal);
    }
    free(worker);
    free(batch.held);
    free(batch.text);
    return rc;
}

/* SPDX-License-Identifier: MIT */
/* average.c -- one thread that sleeps until the weights are to be taken in. */
#include "train/average.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "compute/host.h"

#define PIECE ((int64_t)1 << 22) /* weights copied at a time, at most */

enum phase { IDLE, WORK, QUIT };

struct average_thread {
    pthread_t id;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum phase phase;
    int rc;           /* of the last pass */
    char reason[256];
};

static void place(struct average *a)
{
    int64_t most = 0;

    for (int i = 0; i < a->params->count; i++) {
        int64_t n = tensor_elements(&a->params->item[i].value);
        void *mean = arena_take(&a->arena, sizeof(float) * (size_t)n);

        if (a->mean)
            a->mean[i] = mean;
        most = n > most ? n : most;
    }
    a->piece_bytes = sizeof(float) * (size_t)(most < PIECE ? most : PIECE);
    a->piece = arena_take(&a->arena, a->piece_bytes);
}

size_t average_bytes(const struct param_table *params)
{
    struct average a = {.params = params};

    place(&a);
    return a.arena.used;
}

/* All weights, a piece at a time. */
static int take_in(struct average *a, float decay)
{
    int rc = 0;

    for (int i = 0; rc == 0 && i < a->params->count; i++) {
        const struct tensor *w = &a->weights[i];
        size_t each = dtype_size(w->type);
        int64_t n = tensor_elements(w), piece = (int64_t)(a->piece_bytes / each);

        for (int64_t at = 0; rc == 0 && at < n; at += piece) {
            int64_t count = n - at < piece ? n - at : piece;

            rc = device_fetch(a->device, a->piece, (const char *)w->data + (size_t)at * each, (size_t)count * each);
            if (rc == 0)
                host_average(a->mean[i] + at, a->piece, w->type, count, decay);
        }
    }
    return rc;
}

static void *run(void *arg)
{
    struct average *a = arg;
    struct average_thread *t = a->thread;

    pthread_mutex_lock(&t->lock);
    for (;;) {
        while (t->phase == IDLE)
            pthread_cond_wait(&t->changed, &t->lock);
        if (t->phase == QUIT)
            break;
        pthread_mutex_unlock(&t->lock);
        t->rc = take_in(a, a->decay);
        if (t->rc != 0)
            snprintf(t->reason, sizeof t->reason, "%s", err_text());
        pthread_mutex_lock(&t->lock);
        t->phase = IDLE;
        pthread_cond_broadcast(&t->changed);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

static int start_thread(struct average *a)
{
    struct average_thread *t = calloc(1, sizeof *t);

    if (!t)
        return err_set(ERR_NOMEM, "no memory for a thread");
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->changed, NULL);
    a->thread = t;
    if (pthread_create(&t->id, NULL, run, a) == 0)
        return 0;
    a->thread = NULL;
    free(t);
    return err_set(ERR_NOMEM, "cannot start a thread for the averages");
}

int average_init(struct average *a, struct device *device, const struct param_table *params, const struct tensor *weights,
                 double decay)
{
    int rc;

    *a = (struct average){.device = device, .params = params, .weights = weights, .decay = (float)decay};
    if ((rc = arena_init(&a->arena, average_bytes(params))) != 0)
        return rc;
    if (!(a->mean = calloc((size_t)params->count + 1, sizeof *a->mean)))
        rc = err_set(ERR_NOMEM, "no memory for averages");
    if (rc == 0)
        place(a);
    if (rc == 0 && (rc = device_mark(device)) == 0 && (rc = take_in(a, 0)) == 0)
        rc = start_thread(a);
    if (rc != 0)
        average_fini(a);
    return rc;
}

void average_fini(struct average *a)
{
    struct average_thread *t = a->thread;

    if (t) {
        pthread_mutex_lock(&t->lock);
        while (t->phase == WORK)
            pthread_cond_wait(&t->changed, &t->lock);
        t->phase = QUIT;
        pthread_cond_broadcast(&t->changed);
        pthread_mutex_unlock(&t->lock);
        pthread_join(t->id, NULL);
        pthread_cond_destroy(&t->changed);
        pthread_mutex_destroy(&t->lock);
        free(t);
    }
    free(a->mean);
    arena_fini(&a->arena);
    *a = (struct average){0};
}

int average_start(struct average *a)
{
    struct average_thread *t = a->thread;
    int rc = average_wait(a);

    if (rc != 0 || (rc = device_mark(a->device)) != 0)
        return rc;
    pthread_mutex_lock(&t->lock);
    t->phase = WORK;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
    return 0;
}

int average_wait(struct average *a)
{
    struct average_thread *t = a->thread;
    int rc;

    if (!t)
        return 0;
    pthread_mutex_lock(&t->lock);
    while (t->phase == WORK)
        pthread_cond_wait(&t->changed, &t->lock);
    rc = t->rc;
    pthread_mutex_unlock(&t->lock);
    return rc == 0 ? 0 : err_set(rc, "averages: %s", t->reason);
}

/* SPDX-License-Identifier: MIT */
#include "base/behind.h"

#include <pthread.h>
#include <stdlib.h>

struct behind {
    struct out *out;      /* borrowed */
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t turn;
    struct block block;   /* owned */
    size_t size;          /* bytes of it to write: it is the thread's; 0: it is the caller's */
    bool ending;
    int failed;           /* code of a write, and its reason: reasons belong to threads */
    char why[512];
};

static void *write_blocks(void *self)
{
    struct behind *b = self;
    int rc;

    pthread_mutex_lock(&b->lock);
    while (b->size || !b->ending) {
        if (b->size == 0) {
            pthread_cond_wait(&b->turn, &b->lock);
            continue;
        }
        pthread_mutex_unlock(&b->lock);
        rc = out_write(b->out, b->block.bytes, b->size);
        pthread_mutex_lock(&b->lock);
        if (rc != 0) {
            b->failed = rc;
            snprintf(b->why, sizeof b->why, "%s", err_text());
        }
        b->size = 0;
        pthread_cond_signal(&b->turn);
    }
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

int behind_create(struct behind **to, struct out *out)
{
    struct behind *b = *to = calloc(1, sizeof *b);

    if (!b)
        return err_set(ERR_NOMEM, "no memory to write behind");
    b->out = out;
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->turn, NULL);
    return 0;
}

/* With the lock held, until the block is written: how writing goes. */
static int wait_written(struct behind *b)
{
    while (b->size)
        pthread_cond_wait(&b->turn, &b->lock);
    return b->failed ? err_set(b->failed, "%s", b->why) : 0;
}

int behind_write(struct behind *b, struct block *block, size_t size)
{
    struct block before;
    int rc;

    if (!b->started && pthread_create(&b->thread, NULL, write_blocks, b) != 0)
        return err_set(ERR_NOMEM, "no memory for a thread that writes");
    b->started = true;
    pthread_mutex_lock(&b->lock);
    if ((rc = wait_written(b)) == 0) {
        before = b->block;
        b->block = *block;
        *block = before;
        b->size = size;
        pthread_cond_signal(&b->turn);
    }
    pthread_mutex_unlock(&b->lock);
    return rc;
}

int behind_end(struct behind *b)
{
    int rc;

    if (!b)
        return 0;
    pthread_mutex_lock(&b->lock);
    rc = wait_written(b);
    b->ending = true;
    pthread_cond_signal(&b->turn);
    pthread_mutex_unlock(&b->lock);
    if (b->started)
        pthread_join(b->thread, NULL);
    pthread_cond_destroy(&b->turn);
    pthread_mutex_destroy(&b->lock);
    free(b->block.bytes);
    free(b);
    return rc;
}

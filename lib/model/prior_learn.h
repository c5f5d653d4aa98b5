/* SPDX-License-Identifier: MIT */
/* prior_learn.h -- what a training loop calls: the gradients of an update's micro batches, and what the log says of them.
 *
 * The examples of an update are fetched together before its first micro batch, since each kind's mean is over the tokens
 * of the whole update.
 *
 * Memory   a pass for one micro batch (prior_pass.h), tokens of one update on the host
 */
#ifndef MODEL_PRIOR_LEARN_H
#define MODEL_PRIOR_LEARN_H

#include <jansson.h>

#include "model/prior_batch.h"

/* Add the example at a position to the batch (prior_batch_add). */
typedef int prior_fetch(void *from, int64_t position, struct prior_batch *batch);

struct prior_learner {
    struct prior *prior;        /* borrowed */
    prior_fetch *fetch;         /* of training examples */
    void *from;                 /* borrowed: fetch's */
    int64_t micro;              /* examples at a time */
    struct prior_pass pass;
    struct prior_batch batch;
    int64_t *lost;              /* owned: prior_pass.lost since the last report; NULL: not asked for */
    int64_t loaded;             /* the update whose examples stand in the batch; -1: none */
    int64_t update;             /* being learned; -1: none */
    int64_t cut;                /* captions cut up to it */
    double text, image;         /* sums over micro batches since the last report: shares of the updates' means */
    int64_t updates, examples;  /* since the last report */
    double since_s;             /* clock of the last report */
};

/* Examples at a time: asked, or where that is 0 as many as make up about `rows` positions (device_rows), 1..batch. */
static inline int64_t prior_micro(const struct prior_config *c, int64_t rows, int64_t batch, int64_t asked)
{
    int64_t usual = (rows + prior_slots(c) - 1) / prior_slots(c), n = asked > 0 ? asked : usual;

    return n < batch ? n : batch;
}

/* batch: examples of an update; micro: at a time, 1..batch. */
must_check int prior_learner_init(struct prior_learner *l, struct prior *prior, int64_t batch, int64_t micro,
                                  enum prior_keep keep, prior_fetch *fetch, void *from);
void prior_learner_fini(struct prior_learner *l);

/* The examples at positions first .. first+count-1 of update t, which has total of them from position t*total on: adds
 * their gradients, and their share of the mean loss to *loss. */
must_check int prior_learner_micro(void *self, int64_t t, int64_t first, int64_t count, int64_t total, double *loss);

/* Count what prior_pass.lost says from now on, and report it. */
must_check int prior_learner_count_lost(struct prior_learner *l);

/* loss_text, loss_image: nats a token, means over the updates since the last report; tokens_per_s: positions; cut: captions
 * cut since the start; lost: shares of each block's elements, where they are counted. */
must_check int prior_learner_report(void *self, int64_t t, json_t *line);

/* Losses of n other examples: val_loss, val_loss_text, val_loss_image. */
must_check int prior_learner_validate(struct prior_learner *l, prior_fetch *fetch, void *from, int64_t n, json_t *line);

#endif

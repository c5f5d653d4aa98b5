/* SPDX-License-Identifier: MIT */
/* loop.h -- the training loop: updates, logs, checkpoints, signals.  It knows a table of parameters and a task's calls.
 *
 * One update: zero the gradients; the task's micro batches add theirs; if loss and gradient norm are finite, clip by the
 * norm and apply AdamW, else skip the update and count it; change the gradient scales (scales.h); average; every so often log,
 * show, validate, save.
 * The update number t is the whole state of the data order: examples t*batch .. (t+1)*batch - 1 of order.h's sequence.
 *
 * Run folder   config.json, log.jsonl, pictures/, ckpt-STEP/{model,ema,state}.safetensors, latest: formats/checkpoint.md.
 *              state holds "m.NAME" and "v.NAME" of every parameter, and the gradient scales; its metadata step, skipped, seed,
 *              and how numbers are kept
 * Resume       N updates, save, and N more are the same bytes as N, save, a new process with resume, N more
 * Signals      SIGTERM, SIGINT: save, ERR_STOPPED; SIGUSR1: save and go on (base/signals.h, installed here)
 * Errors       ERR_STOPPED; ERR_FORMAT after max_skips skipped updates in a row, naming loss and block; a full disk is ERR_IO and
 *              leaves the last whole checkpoint
 */
#ifndef TRAIN_LOOP_H
#define TRAIN_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/err.h"
#include "compute/adam.h"
#include "compute/param.h"
#include "format/st.h"
#include "train/schedule.h"
#include "train/state.h"

struct train_options {
    const char *program;      /* for progress lines */
    const char *output;       /* run folder */
    const char *config_json;  /* resolved options: written to config.json */
    int64_t steps;            /* updates in the whole run */
    int64_t batch;            /* examples of an update, over all micro batches */
    int64_t micro;            /* examples of a micro batch; 0: batch */
    struct step_size lr;
    struct adam adam;         /* beta1, beta2, eps, decay, v_max; the rest is set by the loop */
    double clip;              /* gradient norm; 0: no clipping */
    double average;           /* decay of the averaged weights, which lie in the host's memory; 0: no average */
    int64_t average_every;    /* updates between two averagings */
    int64_t log_every, save_every, picture_every, validate_every; /* updates; 0: never (the end is always saved) */
    int64_t keep;             /* newest checkpoints kept; 0: all */
    int64_t max_skips;        /* skipped updates in a row before giving up, not counting those of a finite loss behind which a
                               * gradient scale can still fall */
    uint64_t seed;
    bool master;              /* f32 copies of weights of 16 bits; without them these are rounded stochastically */
    bool narrow_moments;      /* AdamW's moments of parameters that may be narrow as 1-6-9 and 0-6-10 */
    enum scaling scaling;     /* of gradients */
    double scale_first;       /* log2 of a gradient scale at the start, over the number of micro batches of an update */
    bool log_blocks;          /* log gradients by residual block */
    bool convert;             /* resume from a checkpoint that keeps its numbers otherwise */
    bool resume;              /* go on from the newest checkpoint; without it a run folder with one is refused */
    bool quiet;
};

/* What the loop trains.  Calls return 0 or a negative ERR_ code. */
struct train_task {
    void *self;
    const struct param_table *params;
    struct device *device;
    float *scale;             /* borrowed: the loop puts each residual block's gradient scale here before an update, which the
                               * gradients of the block's parameters are then multiplied by; NULL: with SCALING_NONE alone */

    /* Forward and backward of the examples at positions first .. first+count-1, a part of the `total` examples of update
     * t: add the gradients of (sum over examples of loss) / total; *loss += this part's share of the mean loss. */
    int (*micro)(void *self, int64_t t, int64_t first, int64_t count, int64_t total, double *loss);
    /* Add fields to a log line about the updates since the last one; may be NULL. */
    int (*report)(void *self, int64_t t, json_t *line);
    /* Write pictures named by the update into the folder; may be NULL.  The averaged weights are in place. */
    int (*pictures)(void *self, int64_t t, const char *folder);
    /* Add validation fields to the line; may be NULL.  The averaged weights are in place. */
    int (*validate)(void *self, int64_t t, json_t *line);
    /* Metadata of model.safetensors and ema.safetensors (configuration, digests, provenance). */
    const struct st_meta *meta;
    int meta_count;
};

must_check int train_run(const struct train_options *o, const struct train_task *task);

/* Bytes that train_run takes beside the model's own.  averages_used: the task validates or draws. */
struct state_sizes train_sizes(const struct train_options *o, const struct param_table *params, bool averages_used);

/* Fill a table's values from a checkpoint file, rounded to their types; every tensor must be there with its shape.  prefix may
 * be "". */
must_check int train_load(struct device *dev, const struct param_table *params, const struct st_file *file,
                          const char *prefix);

#endif

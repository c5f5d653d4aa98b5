/* SPDX-License-Identifier: MIT */
/* train_options.h -- rows of an option table that trainers share.  run: struct train_options; adam: struct train_adam;
 * what: what an update takes, as "pictures". */
#ifndef CMD_TRAIN_OPTIONS_H
#define CMD_TRAIN_OPTIONS_H

#include "cmd/tool.h"
#include "train/loop.h"

struct train_adam {
    double beta1, beta2, decay;
    int64_t over; /* --lr-over */
};

#define TRAIN_OPTIONS(run, adam, what)                                                                                     \
    {'o', "output", OPT_STRING, "RUN", "the run folder to write", &(run).output, 0, 0, 0},                                 \
    {0, "steps", OPT_INT, "N", "updates", &(run).steps, 1, 1e15, 0},                                                       \
    {0, "batch", OPT_INT, "N", what " of an update", &(run).batch, 1, 1 << 20, 0},                                         \
    {0, "micro", OPT_INT, "N", what " at a time; 0: the usual number", &(run).micro, 0, 1 << 20, 0},                       \
    {0, "lr", OPT_REAL, "X", "step size", &(run).lr.peak, 0, 1e3, 0},                                                      \
    {0, "warmup", OPT_INT, "N", "updates over which it grows from 0", &(run).lr.warmup, 0, 1e15, 0},                       \
    {0, "lr-over", OPT_INT, "N", "updates of a half cosine behind them; 0: none, -1: all that follow", &(adam).over, -1,   \
     1e15, 0},                                                                                                             \
    {0, "lr-end", OPT_REAL, "X", "step size at the cosine's end", &(run).lr.end, 0, 1e3, 0},                               \
    {0, "beta1", OPT_REAL, "X", "AdamW's decay of the first moment", &(adam).beta1, 0, 0.9999999, 0},                      \
    {0, "beta2", OPT_REAL, "X", "and of the second", &(adam).beta2, 0, 0.9999999, 0},                                      \
    {0, "weight-decay", OPT_REAL, "X", "weight decay of matrices, times the step size", &(adam).decay, 0, 1e3, 0},         \
    {0, "clip", OPT_REAL, "X", "largest norm of the gradient; 0: any", &(run).clip, 0, 1e30, 0},                           \
    {0, "average", OPT_REAL, "X", "decay of the averaged weights; 0: no average", &(run).average, 0, 1, 0},                \
    {0, "log-every", OPT_INT, "N", "updates between two lines of log.jsonl; 0: never", &(run).log_every, 0, 1e15, 0},      \
    {0, "save-every", OPT_INT, "N", "updates between two checkpoints; 0: only at the end", &(run).save_every, 0, 1e15, 0}, \
    {0, "validate-every", OPT_INT, "N", "updates between two measurements of --val; 0: never", &(run).validate_every, 0,   \
     1e15, 0},                                                                                                             \
    {0, "keep", OPT_INT, "N", "newest checkpoints to keep; 0: all", &(run).keep, 0, 1e9, 0},                               \
    {0, "max-skips", OPT_INT, "N", "updates in a row that may be skipped as not finite", &(run).max_skips, 0, 1e9, 0},     \
    {0, "resume", OPT_FLAG, 0, "go on from the newest checkpoint of the run folder", &(run).resume, 0, 0, 0}

#endif

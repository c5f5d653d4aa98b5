/* SPDX-License-Identifier: MIT */
/* state.h -- what the loop keeps beside the model, and its way to disk and back.
 *
 * Memory   moments and averages in one block of the device, staging for files in one block of the host
 */
#ifndef TRAIN_STATE_H
#define TRAIN_STATE_H

#include <stdbool.h>

#include "compute/act.h"
#include "compute/device.h"
#include "compute/param.h"
#include "format/st.h"

struct train_state {
    struct device *device;            /* borrowed */
    const struct param_table *params; /* borrowed */
    struct arena arena;               /* owned: m, v, average of every parameter, scratch */
    struct tensor *m, *v;             /* owned arrays of views, params->count each */
    struct tensor *average;           /* NULL: no average */
    struct tensor *grad;              /* owned array: views of the parameters' gradients */
    void *scratch;                    /* the largest parameter's size, to exchange values */
    int64_t t;                        /* updates begun: the data position is t * batch */
    int64_t applied;                  /* updates not skipped: Adam's count */
    int64_t skipped;
    int64_t skipped_in_row;
    double loss_sum;                  /* since the last log line */
    int64_t loss_count;
    uint64_t seed;
};

/* Zero moments; the average starts as the parameters' values. */
must_check int state_init(struct train_state *s, struct device *device, const struct param_table *params, bool average);
void state_fini(struct train_state *s);
size_t state_bytes(const struct param_table *params, bool average);

/* Exchange values and averages; twice is nothing.  Without an average nothing happens. */
must_check int state_exchange(struct train_state *s);

/* Write one checkpoint, make it the newest, remove all but keep. */
must_check int state_save(struct train_state *s, const char *run, int keep, const struct st_meta *meta, int meta_count);
/* Read folder's model, averages, moments and counters.  ERR_MISMATCH: another seed or other tensors. */
must_check int state_load(struct train_state *s, const char *folder);

#endif

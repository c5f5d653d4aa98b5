/* SPDX-License-Identifier: MIT */
/* state.h -- what the loop keeps beside the model, and its way to disk and back.
 *
 * Memory   moments and master copies in one block of the device; averages and what an exchange holds in the host's
 */
#ifndef TRAIN_STATE_H
#define TRAIN_STATE_H

#include <stdbool.h>

#include "compute/adam.h"
#include "compute/device.h"
#include "compute/param.h"
#include "format/st.h"
#include "train/average.h"
#include "train/scales.h"

#define STATE_PIECE ((size_t)1 << 24) /* bytes on their way between the device and a file */

struct state_how {
    double average;       /* decay; 0: no averages */
    bool exchange;        /* state_exchange will be called */
    bool master;          /* f32 copies of weights of 16 bits */
    bool narrow_moments;  /* 1-6-9 and 0-6-10 for parameters that may be narrow */
    enum scaling scaling;
    double scale_unit, scale_first; /* scales_init */
    bool convert;         /* state_load: a checkpoint that keeps its numbers otherwise is taken */
};

struct state_sizes {
    size_t moments, masters; /* bytes of the device */
    size_t average, held;    /* bytes of the host */
    size_t staged;           /* bytes of the host while a checkpoint is written or read */
    size_t saved;            /* bytes of a checkpoint's numbers on disk */
};

struct train_state {
    struct device *device;            /* borrowed */
    const struct param_table *params; /* borrowed */
    struct state_how how;
    struct arena arena;               /* owned: m, v, master of every parameter */
    struct tensor *m, *v;             /* owned arrays of views, params->count each */
    struct tensor *master;            /* likewise; data NULL: there is none */
    struct tensor *weights;           /* likewise: what a checkpoint holds, the master copy or else the value itself */
    struct tensor *grad;              /* owned array: views of the parameters' gradients */
    struct average average;           /* mean NULL: none */
    struct arena held;                /* owned, of the host: the values while averages stand in their place */
    bool exchanged;
    struct scales scales;
    int64_t t;                        /* updates begun: the data position is t * batch */
    int64_t applied;                  /* updates not skipped: Adam's count */
    int64_t skipped;
    int64_t skipped_in_row;
    double loss_sum;                  /* since the last log line */
    int64_t loss_count;
    uint64_t seed;
};

/* Zero moments; masters and averages start as the parameters' values. */
must_check int state_init(struct train_state *s, struct device *device, const struct param_table *params,
                          const struct state_how *how);
void state_fini(struct train_state *s);
struct state_sizes state_sizes_of(const struct param_table *params, const struct state_how *how);

/* Put the averages in the place of the values; once more: back.  Without averages nothing happens. */
must_check int state_exchange(struct train_state *s);

/* Write one checkpoint, make it the newest, remove all but keep. */
must_check int state_save(struct train_state *s, const char *run, int keep, const struct st_meta *meta, int meta_count);
/* Read folder's model, averages, moments, scales and counters.  ERR_MISMATCH: another seed, other tensors, or numbers kept
 * otherwise and not how.convert. */
must_check int state_load(struct train_state *s, const char *folder);

#endif

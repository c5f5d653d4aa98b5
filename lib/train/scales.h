/* SPDX-License-Identifier: MIT */
/* scales.h -- the factors that keep gradients of 16 bits above the smallest number: one for each residual block, or one for all.
 *
 * Gradients with respect to activations shrink from early to late blocks of a deep model, so that no single factor keeps the late
 * ones above f16's smallest number and the early ones below its largest.  After every update, for each scale:
 *
 *   all gradients of its parameters finite     scale *= 2^(1/1000)
 *   else                                       scale /= sqrt 2, but not twice within 125 updates
 *
 * and it is kept in [M 2^7, M 2^24].  M: micro batches of an update, by all processes, since each one's gradient is a share of the
 * mean over all of them.  Blocks whose gradients were finite grow also where the update is skipped because of another.
 *
 * With one scale for all blocks (SCALING_GLOBAL) the same rule goes by the gradients of all of them: the usual dynamic loss scale,
 * for comparison.  SCALING_FIXED is one that never changes, and may lie anywhere: a loss scale given by hand.
 *
 * Source   Ramesh et al. 2021, section 2.4 and appendix D; growth in skipped updates is a decision of ours
 */
#ifndef TRAIN_SCALES_H
#define TRAIN_SCALES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum scaling { SCALING_NONE, SCALING_FIXED, SCALING_GLOBAL, SCALING_BLOCK };
#define SCALING_NAMES "none|fixed|global|block" /* in this order */

const char *scaling_name(enum scaling how);

/* log2 of a scale over M: at the start, and its bounds */
#define SCALES_FIRST 13
#define SCALES_LOW 7
#define SCALES_HIGH 24

struct scales {
    enum scaling how;
    int blocks;       /* of the model */
    int count;        /* scales: one a block, one for all, or 0 */
    double unit;      /* M */
    double *scale;    /* owned: [count] */
    int64_t *divided; /* owned: [count], the update of the last division; -1: none yet */
};

/* first: log2 of the scales over M. */
must_check int scales_init(struct scales *s, enum scaling how, int blocks, double unit, double first);
void scales_fini(struct scales *s);

/* Of a block, as f32 holds it; 1 where there are none, and for block -1 (parameters of no block). */
float scales_of(const struct scales *s, int block);

/* Can a block's scale still fall? */
bool scales_may_fall(const struct scales *s, int block);

/* What update t, from 0, leaves of them.  finite: [blocks]. */
void scales_update(struct scales *s, const bool *finite, int64_t t);

#endif

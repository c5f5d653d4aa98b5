/* SPDX-License-Identifier: MIT */
/* schedule.h -- values that change over the updates of a run.
 *
 *   schedule_cosine(a, b, T, t) = b + (a - b) * (1 + cos(pi * min(t/T, 1))) / 2        half a cosine, then held
 *
 * Range    t counts updates from 0; T <= 0 gives b
 * Source   Ramesh et al. 2021, appendices A.2 and B.2
 */
#ifndef TRAIN_SCHEDULE_H
#define TRAIN_SCHEDULE_H

#include <stdint.h>

double schedule_cosine(double from, double to, int64_t over, int64_t t);

#define SCHEDULE_HALVES 16

/* Step size: linear from 0 to peak over warmup updates, then cosine to end over the next `over` updates (over 0: held at
 * peak), halved at every update listed. */
struct step_size {
    double peak, end;
    int64_t warmup, over;
    int64_t halve_at[SCHEDULE_HALVES];
    int halve_count;
};

double step_size_at(const struct step_size *s, int64_t t);

#endif

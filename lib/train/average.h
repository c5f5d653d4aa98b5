/* SPDX-License-Identifier: MIT */
/* average.h -- exponentially averaged weights in the host's memory, kept by a thread while the device goes on.
 *
 *   mean = decay * mean + (1 - decay) * weights     f32, whatever the weights' type
 *
 * Memory   one block of the host: a float for each weight, and a piece for copies, 16 MiB at most
 * Order    the same bytes whenever the thread is done: average_wait comes before the next change of the weights
 */
#ifndef TRAIN_AVERAGE_H
#define TRAIN_AVERAGE_H

#include "base/arena.h"
#include "compute/device.h"
#include "compute/param.h"

struct average_thread;

struct average {
    struct device *device;         /* borrowed */
    const struct param_table *params; /* borrowed */
    const struct tensor *weights;  /* borrowed: [params->count], of the values' shapes */
    float decay;
    struct arena arena;            /* owned, of the host */
    float **mean;                  /* owned array: [params->count] */
    void *piece;                   /* copies on their way; between average_wait and average_start the caller's to use */
    size_t piece_bytes;
    struct average_thread *thread; /* owned */
};

/* The averages start as the weights. */
must_check int average_init(struct average *a, struct device *device, const struct param_table *params,
                            const struct tensor *weights, double decay);
void average_fini(struct average *a);
size_t average_bytes(const struct param_table *params);

/* Take the weights as they are now into the averages, behind the caller's back. */
must_check int average_start(struct average *a);
/* Until that is done.  Nothing where nothing was started. */
must_check int average_wait(struct average *a);

#endif

/* SPDX-License-Identifier: MIT */
/* param.h -- a model's parameters as a table: names, values, gradients.  Models fill it, trainers update it.
 *
 * Memory   names, values and gradients are borrowed from the model that filled the table
 */
#ifndef COMPUTE_PARAM_H
#define COMPUTE_PARAM_H

#include <stdbool.h>

#include "compute/tensor.h"

struct param {
    const char *name;    /* as in the checkpoint */
    struct tensor value; /* f32 or, where narrow, of 16 bits; in the device's memory */
    struct tensor grad;  /* same shape, likewise; data NULL where the model only runs forward */
    bool decay;          /* weight decay applies: matrices only */
    bool narrow;         /* value, gradient and moments may be of 16 bits: matrices of residual blocks only */
    int block;           /* residual block it belongs to, 0..; -1: none (embeddings, logits) */
};

struct param_table {
    struct param *item;  /* owned by the model */
    int count;
};

#endif

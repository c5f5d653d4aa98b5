/* SPDX-License-Identifier: MIT */
/* blocks.h -- what an update's gradients come to in each residual block, and in the parameters of none. */
#ifndef TRAIN_BLOCKS_H
#define TRAIN_BLOCKS_H

#include <stdbool.h>

#include "compute/adam.h"
#include "compute/param.h"
#include "train/scales.h"

struct block_sum {
    double squares;     /* sum over its gradients, scale taken out */
    int64_t zeros, elements;
};

struct blocks {
    int count;                /* blocks */
    struct block_sum *block;  /* owned: [count] */
    bool *finite;             /* owned: [count], all of its gradients are */
    struct block_sum other;   /* parameters of no block */
};

/* Blocks that a table's parameters belong to. */
int blocks_in(const struct param_table *params);

must_check int blocks_init(struct blocks *b, const struct param_table *params);
void blocks_fini(struct blocks *b);

/* sums: of each parameter's gradient, [params->count], taken while these scales were in force. */
void blocks_fold(struct blocks *b, const struct param_table *params, const struct squares *sums, const struct scales *scales);

/* Norm of all gradients; not finite if one of them is not. */
double blocks_norm(const struct blocks *b);

/* The block in which the backward pass met the first gradient that is not finite, the latest one; -1: in no block. */
int blocks_first_bad(const struct blocks *b);

#endif

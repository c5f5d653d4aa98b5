/* SPDX-License-Identifier: MIT */
/* prior_numbers.h -- options of prior-train that say in what numbers a prior is kept, and what they come to. */
#ifndef CMD_PRIOR_NUMBERS_H
#define CMD_PRIOR_NUMBERS_H

#include <string.h>

#include "cmd/tool.h"
#include "model/prior_pass.h"
#include "train/loop.h"

struct prior_numbers {
    const char *precision, *gradients, *moments, *recompute, *scaling; /* words of the choices below */
    bool no_master;
};

#define PRIOR_NUMBERS_USUAL {"auto", "auto", "32", "none", "auto", false}

/* n: struct prior_numbers; run: struct train_options. */
#define PRIOR_NUMBERS(n, run)                                                                                              \
    {0, "precision", OPT_CHOICE, "NAME", "in what numbers the residual blocks are kept", &(n).precision, 0, 0,             \
     PRECISION_TRAINING},                                                                                                  \
    {0, "no-master", OPT_FLAG, 0, "weights of 16 bits without f32 copies: rounded stochastically", &(n).no_master, 0, 0, 0}, \
    {0, "gradients", OPT_CHOICE, "BITS", "how the blocks' gradients are kept", &(n).gradients, 0, 0, "auto|16|32"},        \
    {0, "moments", OPT_CHOICE, "BITS", "how AdamW's moments of the blocks' matrices are kept", &(n).moments, 0, 0, "32|16"}, \
    {0, "recompute", OPT_CHOICE, "PART", "what the backward pass computes again", &(n).recompute, 0, 0, PRIOR_RECOMPUTE},  \
    {0, "grad-scale", OPT_CHOICE, "KIND", "scales of the gradients; auto: block with fp16", &(n).scaling, 0, 0,            \
     "auto|" SCALING_NAMES},                                                                                               \
    {0, "scale-first", OPT_REAL, "X", "log2 of a first scale, over micro batches of an update", &(run).scale_first, -60, 60, 0}, \
    {0, "log-blocks", OPT_FLAG, 0, "log the gradients of each residual block", &(run).log_blocks, 0, 0, 0},                \
    {0, "convert", OPT_FLAG, 0, "resume though the checkpoint keeps its numbers otherwise", &(run).convert, 0, 0, 0}

static bool prior_numbers_master(const struct prior_numbers *n)
{
    return strcmp(n->precision, "fp16") != 0 && !n->no_master;
}

/* On a device of that name. */
static struct prior_types prior_numbers_types(const struct prior_numbers *n, const char *device)
{
    struct prior_types types = prior_types_of(device, n->precision, prior_numbers_master(n));

    if (strcmp(n->gradients, "auto") != 0)
        types.grads = strcmp(n->gradients, "32") == 0 ? DTYPE_F32 : types.weights;
    return types;
}

static enum scaling prior_numbers_scaling(const struct prior_numbers *n)
{
    enum scaling how = SCALING_NONE;

    if (strcmp(n->scaling, "auto") == 0)
        return strcmp(n->precision, "fp16") == 0 ? SCALING_BLOCK : SCALING_NONE;
    while (strcmp(n->scaling, scaling_name(how)) != 0)
        how++;
    return how;
}

/* Into the loop's options; called wrongly where they do not go together. */
static void prior_numbers_resolve(const struct prior_numbers *n, struct train_options *run, struct tool *tool, const char *device)
{
    bool narrow = prior_numbers_types(n, device).weights != DTYPE_F32;

    if ((n->no_master || strcmp(n->gradients, "16") == 0) && !narrow)
        tool_usage(tool, "--no-master and --gradients 16 are for weights of 16 bits: --precision bf16 or fp16");
    run->master = prior_numbers_master(n) && narrow;
    run->narrow_moments = strcmp(n->moments, "16") == 0;
    run->scaling = prior_numbers_scaling(n);
    if (run->scaling >= SCALING_GLOBAL && (run->scale_first < SCALES_LOW || run->scale_first > SCALES_HIGH))
        tool_usage(tool, "--scale-first: scales that change stay in %d..%d", SCALES_LOW, SCALES_HIGH);
}

#endif

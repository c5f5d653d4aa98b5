/* SPDX-License-Identifier: MIT */
/* prior_plan.h -- the memory that prior-train takes, counted before anything is allocated: what --dry-run prints. */
#ifndef CMD_PRIOR_PLAN_H
#define CMD_PRIOR_PLAN_H

#include "cmd/tool.h"
#include "compute/plan.h"
#include "model/prior_learn.h"
#include "train/loop.h"

/* What is to be planned; all borrowed. */
struct prior_plan {
    const struct prior *prior;            /* without a device */
    const struct train_options *run;
    const char *device, *precision;       /* their names */
    enum prior_keep keep;
    bool averages_used;                   /* validation */
};

/* Bytes by kind. */
struct prior_needs {
    size_t activations, workspace;        /* of a pass over run->micro pairs */
    struct state_sizes state;
    size_t device;                        /* everything on the device */
    size_t tokens;                        /* on the host: an update's tokens, a pass's indices and losses, copies' way */
};

static int prior_needs_of(struct prior_needs *needs, const struct prior_plan *plan, int64_t micro)
{
    const struct prior *p = plan->prior;
    struct prior_pass pass;
    int rc = prior_pass_init(&pass, p, micro, plan->keep);

    *needs = (struct prior_needs){0};
    if (rc != 0)
        return rc;
    rc = prior_pass_working(&needs->workspace, &pass, plan->device, plan->precision);
    needs->activations = pass.kept_bytes;
    needs->workspace += pass.bytes - pass.kept_bytes;
    needs->state = train_sizes(plan->run, &p->params, plan->averages_used);
    needs->tokens = prior_batch_bytes(&p->config, plan->run->batch) + prior_pass_host_bytes(&pass) + plan_pinned(plan->device);
    needs->device = p->value_bytes + p->grad_bytes + needs->activations + needs->workspace + needs->state.moments +
                    needs->state.masters;
    prior_pass_fini(&pass);
    return rc;
}

/* The most pairs at a time that a device of so many bytes has room for; 0: not one. */
static int64_t prior_plan_fits(const struct prior_plan *plan, size_t bytes)
{
    struct prior_needs needs;
    int64_t low = 0, high = 1;

    while (high < 1 << 20 && prior_needs_of(&needs, plan, high) == 0 && needs.device <= bytes)
        high *= 2;
    low = high / 2;
    while (low + 1 < high) {
        int64_t middle = (low + high) / 2;

        *(prior_needs_of(&needs, plan, middle) == 0 && needs.device <= bytes ? &low : &high) = middle;
    }
    return low;
}

/* memory: bytes of a device. */
static int prior_plan_print(const struct prior_plan *plan, size_t memory)
{
    static const char *const parts[][2] = {{"text", "parameters text"}, {"image", "parameters image"},
                                           {"attn", "parameters attn"}, {"mlp", "parameters mlp"},
                                           {"norm", "parameters norm"}};
    const struct prior *p = plan->prior;
    struct prior_needs n;
    size_t host;
    int rc = prior_needs_of(&n, plan, plan->run->micro);

    if (rc != 0)
        return rc;
    host = n.tokens + n.state.average + n.state.held;
    tool_plan("parameters", prior_count(p), "values");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        tool_plan(parts[i][1], prior_count_part(p, parts[i][0]), "values");
    tool_plan("memory parameters", (int64_t)p->value_bytes, "bytes");
    tool_plan("memory masters", (int64_t)n.state.masters, "bytes");
    tool_plan("memory gradients", (int64_t)p->grad_bytes, "bytes");
    tool_plan("memory moments", (int64_t)n.state.moments, "bytes");
    tool_plan("memory activations", (int64_t)n.activations, "bytes");
    tool_plan("memory workspace", (int64_t)n.workspace, "bytes");
    tool_plan("memory total", (int64_t)n.device, "bytes");
    tool_plan("pairs at a time", plan->run->micro, "pairs");
    tool_plan("pairs at a time that fit", prior_plan_fits(plan, memory), "pairs");
    tool_plan("communication of an update", 0, "bytes");
    tool_plan("host tokens and copies", (int64_t)n.tokens, "bytes");
    tool_plan("host average", (int64_t)n.state.average, "bytes");
    tool_plan("host held while validating", (int64_t)n.state.held, "bytes");
    tool_plan("host total", (int64_t)host, "bytes");
    tool_plan("host while saving", (int64_t)(host + n.state.staged), "bytes");
    tool_plan("checkpoint", (int64_t)n.state.saved, "bytes");
    return 0;
}

#endif

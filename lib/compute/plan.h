/* SPDX-License-Identifier: MIT */
/* plan.h -- the working memory that a device's operations will take, before there are tensors, and for a GPU without one.
 *
 *   struct plan p;
 *
 *   if ((rc = plan_open(&p, "cpu", "f32")) != 0)  a device's name and a precision's
 *       return rc;
 *   plan_matmul(&p, &y, &a, &b, how);             the operations of a step, in any order and as often as there are shapes
 *   plan_attn(&p, &out, &qkv, &attn);
 *   size = plan_working(&p);                      what device_working says after all of them
 *   plan_close(&p);
 *
 * A CPU's kernels themselves count: they ask for memory as ever and leave when it is refused, so the plan cannot differ from what
 * they take.  It is that of the instruction set that a device of that name has, for as many threads as par_threads says.
 * Working memory stays once it is taken, so that of many operations is the largest piece of each of two kinds: a kernel's
 * scratch, and f32 copies of operands of 16 bits or, without instructions for bf16, of rounded factors.  oneDNN's is not known
 * (convolutions).  A GPU's kernels measure their pieces by cuda/working.h, and so does the plan.
 *
 * The elementwise passes, op_embed, op_embed_grad and op_adam take none, of any type.
 *
 * Memory   tensors are types and shapes here; data is not looked at and may be NULL
 * Errors   plan_open: those of device_open
 */
#ifndef COMPUTE_PLAN_H
#define COMPUTE_PLAN_H

#include "compute/attn.h"
#include "compute/matmul.h"

struct plan {
    struct device dev; /* owned: a CPU that only counts; closed for a GPU */
    bool gpu, bf16;    /* of a GPU: its precision */
    size_t most;       /* that an operation of a GPU needed */
};

must_check int plan_open(struct plan *p, const char *device, const char *precision);
void plan_close(struct plan *p);
size_t plan_working(const struct plan *p);
/* Pinned memory of the host that a device of that name takes to copy through. */
size_t plan_pinned(const char *device);

/* As op_x of each, without the operands on which nothing depends; dqkv and dout are like qkv and out. */
void plan_matmul(struct plan *p, const struct tensor *y, const struct tensor *a, const struct tensor *b, struct matmul how);
void plan_norm(struct plan *p, const struct tensor *y, const struct tensor *x);
void plan_norm_grad(struct plan *p, const struct tensor *dx, const struct tensor *dy, const struct tensor *x);
void plan_attn(struct plan *p, const struct tensor *out, const struct tensor *qkv, const struct attn *a);
void plan_attn_grad(struct plan *p, const struct tensor *out, const struct tensor *qkv, const struct attn *a);
void plan_cross_entropy(struct plan *p, const struct tensor *x);
void plan_sum_squares(struct plan *p, const struct tensor *x, int64_t count);

#endif

/* SPDX-License-Identifier: MIT */
#include "compute/plan.h"

#include <string.h>

#include "compute/backend.h"
#include "compute/cpu/cpu.h"
#include "compute/cuda/working.h"

static bool is_gpu(const char *device)
{
    return strncmp(device, "cpu", 3) != 0;
}

int plan_open(struct plan *p, const char *device, const char *precision)
{
    int rc;

    *p = (struct plan){.gpu = is_gpu(device)};
    if (p->gpu) {
        p->bf16 = device_activations_planned(device, precision) == DTYPE_BF16;
        return 0;
    }
    if ((rc = device_open(&p->dev, device)) != 0)
        return rc;
    ((struct cpu *)p->dev.self)->counting = true;
    return device_precision_by_name(&p->dev, precision);
}

void plan_close(struct plan *p)
{
    device_close(&p->dev);
}

size_t plan_working(const struct plan *p)
{
    return p->gpu ? cuda_working(p->most) : device_working(&p->dev);
}

size_t plan_pinned(const char *device)
{
    return is_gpu(device) ? CUDA_WORKING_STAGING + CUDA_WORKING_FETCHING : 0;
}

static void need(struct plan *p, size_t size)
{
    p->most = size > p->most ? size : p->most;
}

/* An operation that counts cannot fail. */
static void counted(int rc)
{
    (void)rc;
}

void plan_matmul(struct plan *p, const struct tensor *y, const struct tensor *a, const struct tensor *b, struct matmul how)
{
    if (p->gpu)
        need(p, cuda_working_matmul(y, a, b, how, p->bf16));
    else
        counted(p->dev.ops->matmul(p->dev.self, y, a, b, NULL, how));
}

void plan_norm(struct plan *p, const struct tensor *y, const struct tensor *x)
{
    if (!p->gpu)
        counted(p->dev.ops->norm(p->dev.self, y, NULL, NULL, x, NULL, NULL, 0));
}

void plan_norm_grad(struct plan *p, const struct tensor *dx, const struct tensor *dy, const struct tensor *x)
{
    if (p->gpu)
        need(p, cuda_working_norm_grad(x));
    else
        counted(p->dev.ops->norm_grad(p->dev.self, dx, NULL, NULL, dy, x, NULL, NULL, NULL, 1, false));
}

void plan_attn(struct plan *p, const struct tensor *out, const struct tensor *qkv, const struct attn *a)
{
    if (!p->gpu)
        counted(p->dev.ops->attn(p->dev.self, out, NULL, qkv, a));
}

void plan_attn_grad(struct plan *p, const struct tensor *out, const struct tensor *qkv, const struct attn *a)
{
    if (p->gpu)
        need(p, cuda_working_attn_grad(out, a));
    else
        counted(p->dev.ops->attn_grad(p->dev.self, qkv, out, out, NULL, qkv, a));
}

void plan_cross_entropy(struct plan *p, const struct tensor *x)
{
    if (!p->gpu)
        counted(p->dev.ops->cross_entropy(p->dev.self, NULL, x, NULL, 1));
}

void plan_sum_squares(struct plan *p, const struct tensor *x, int64_t count)
{
    struct squares none;

    if (p->gpu)
        need(p, cuda_working_sum_squares(count));
    for (int64_t i = 0; i < count && !p->gpu; i++)
        counted(p->dev.ops->sum_squares(p->dev.self, &none, &x[i], 1));
}

/* SPDX-License-Identifier: MIT */
/* cpu.h -- the CPU backend's own pieces: its state and the functions that its table names.
 *
 * Each file is compiled once for every instruction set, the names carrying the level: see isa.h.
 * A file cpu/x.c holds what compute/x.h describes.  Parallel loops split over fixed blocks, so that results do not depend
 * on the number of threads.
 */
#ifndef COMPUTE_CPU_CPU_H
#define COMPUTE_CPU_CPU_H

#include "compute/cpu/isa.h"

#include "compute/backend.h"

struct cpu_dnnl; /* primitives of oneDNN by shape: cpu/dnnl.c */

/* How products of bf16 factors are made. */
enum cpu_bf16 {
    CPU_BF16_NONE,     /* factors are f32 */
    CPU_BF16_EMULATED, /* rounded, then f32 products */
    CPU_BF16_DOTS,     /* AVX-512's dot products */
    CPU_BF16_TILES     /* AMX */
};

/* Working memory. */
struct cpu_room {
    void *memory; /* owned: grows to the largest piece asked for, then stays */
    size_t size;  /* bytes */
};

struct cpu {
    enum cpu_bf16 bf16;
    bool int8;               /* weights of thin products */
    bool counting;           /* nothing is computed, only the sizes of rooms grow (compute/plan.h) */
    struct cpu_dnnl *dnnl;   /* owned */
    struct cpu_room scratch; /* a kernel's own */
    struct cpu_room wide;    /* copies of its operands (wide.h) */
};

/* Memory until the next call, 64-byte aligned, not zeroed.  NULL when there is none (reason recorded), and where the device only
 * counts; an operation then returns what cpu_lacking says. */
void *cpu_take(struct cpu *cpu, struct cpu_room *room, size_t size);
int cpu_lacking(const struct cpu *cpu);

static inline void *cpu_scratch(struct cpu *cpu, size_t size)
{
    return cpu_take(cpu, &cpu->scratch, size);
}

/* sum[n] += gain * column sums of x [m,n]; uses the scratch. */
int cpu_add_rows(struct cpu *cpu, float *sum, const float *x, int64_t m, int64_t n, float gain);

#define F32(t) ((float *)(t)->data)
#define I32(t) ((int32_t *)(t)->data)

int cpu_matmul(void *self, tensor_in y, tensor_in a, tensor_in b, tensor_in bias, struct matmul how);
int cpu_norm(void *self, tensor_in y, tensor_in mean, tensor_in rstd, tensor_in x, tensor_in g, tensor_in b, float eps);
int cpu_norm_grad(void *self, tensor_in dx, tensor_in dg, tensor_in db, tensor_in dy, tensor_in x, tensor_in mean,
                  tensor_in rstd, tensor_in g, float scale, bool filter);
int cpu_relu(void *self, tensor_in y, tensor_in x);
int cpu_add(void *self, tensor_in y, tensor_in x, float s);
int cpu_copy(void *self, tensor_in y, tensor_in x);
int cpu_filter(void *self, tensor_in y, tensor_in x, float s);
int cpu_attn(void *self, tensor_in out, tensor_in lse, tensor_in qkv, const struct attn *a);
int cpu_attn_grad(void *self, tensor_in dqkv, tensor_in dout, tensor_in out, tensor_in lse, tensor_in qkv,
                  const struct attn *a);
int cpu_embed(void *self, tensor_in y, tensor_in table, tensor_in index, bool add);
int cpu_embed_grad(void *self, tensor_in dtable, tensor_in dy, tensor_in index);
int cpu_cross_entropy(void *self, tensor_in loss, tensor_in x, tensor_in target, float scale);
int cpu_laplace(void *self, tensor_in nll, tensor_in y, tensor_in x, float scale);
int cpu_adam(void *self, tensor_in p, tensor_in m, tensor_in v, tensor_in g, const struct adam *how);
int cpu_sum_squares(void *self, struct squares *sums, tensor_in x, int64_t count);
int cpu_conv(void *self, tensor_in y, tensor_in x, tensor_in w, tensor_in bias, struct conv how);
int cpu_conv_dx(void *self, tensor_in dx, tensor_in dy, tensor_in w, tensor_in mask, struct conv how);
int cpu_conv_dw(void *self, tensor_in dw, tensor_in db, tensor_in dy, tensor_in x, struct conv how);
int cpu_max_pool(void *self, tensor_in y, tensor_in x);
int cpu_max_pool_grad(void *self, tensor_in dx, tensor_in dy, tensor_in x);
int cpu_upsample(void *self, tensor_in y, tensor_in x);
int cpu_upsample_grad(void *self, tensor_in dx, tensor_in dy);
int cpu_gumbel(void *self, tensor_in y, tensor_in kl, tensor_in x, const struct gumbel *how);
int cpu_gumbel_grad(void *self, tensor_in dx, tensor_in dy, tensor_in y, tensor_in x, float tau, float kl_scale);
int cpu_gumbel_max(void *self, tensor_in code, tensor_in x, const struct gumbel *how);
size_t cpu_thin_size(void *self, int64_t n, int64_t k);
int cpu_thin_pack(void *self, void *packed, tensor_in w);
int cpu_thin(void *self, tensor_in y, tensor_in x, const void *packed, tensor_in bias, struct thin how);
int cpu_cache_text(void *self, const struct attn_cache *c, tensor_in qkv, const struct attn *a, int64_t caption);
int cpu_attn_cache(void *self, tensor_in out, const struct attn_cache *c, tensor_in qkv, tensor_in caption,
                   tensor_in position, const struct attn *a);
int cpu_choose(void *self, tensor_in codes, tensor_in logits, tensor_in step, tensor_in position, const struct choose *how);
int cpu_next(void *self, tensor_in position, tensor_in slot, tensor_in codes, int64_t width);

#endif

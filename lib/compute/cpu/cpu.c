/* SPDX-License-Identifier: MIT */
/* cpu.c -- the CPU's table.  Everything is done when an operation returns, so waiting is nothing. */
#include "compute/cpu/cpu.h"

#include <stdlib.h>
#include <string.h>

#include "compute/cpu/dnnl.h"
#include "compute/cpu/gemm.h"

static int cpu_open(void **self, int index)
{
    struct cpu *cpu = calloc(1, sizeof *cpu);
    int rc;

    (void)index;
    *self = NULL;
    if (!cpu)
        return err_set(ERR_NOMEM, "no memory for a device");
    if ((rc = cpu_dnnl_create(&cpu->dnnl)) != 0) {
        free(cpu);
        return rc;
    }
    *self = cpu;
    return 0;
}

static void cpu_close(void *self)
{
    struct cpu *cpu = self;

    cpu_dnnl_free(cpu->dnnl);
    free(cpu->scratch.memory);
    free(cpu->wide.memory);
    free(cpu);
}

static int cpu_precision(void *self, enum precision p)
{
    struct cpu *cpu = self;

    cpu->bf16 = p == PRECISION_BF16 ? cpu_bf16_best() : CPU_BF16_NONE;
    cpu->int8 = p == PRECISION_INT8;
    return 0;
}

static bool cpu_fast(void *self, enum precision p)
{
    (void)self;
    return p != PRECISION_BF16 || cpu_bf16_best() != CPU_BF16_EMULATED;
}

static bool cpu_stores(void *self, enum dtype type)
{
    (void)self;
    return type == DTYPE_F32 || type == DTYPE_BF16 || type == DTYPE_F16 || type == DTYPE_I32;
}

/* An arena's block is what the device hands out. */
static int cpu_alloc(void *self, void **data, size_t size)
{
    struct arena a;
    int rc = arena_init(&a, size);

    (void)self;
    *data = a.base;
    return rc;
}

static void cpu_dealloc(void *self, void *data, size_t size)
{
    struct arena a = {.base = data, .size = size};

    (void)self;
    arena_fini(&a);
}

static int cpu_upload(void *self, void *to, const void *host, size_t size)
{
    (void)self;
    if (size)
        memcpy(to, host, size);
    return 0;
}

static int cpu_zero(void *self, void *data, size_t size)
{
    (void)self;
    if (size)
        memset(data, 0, size);
    return 0;
}

static int cpu_wait(void *self)
{
    (void)self;
    return 0;
}

static int cpu_repeat(void *self, int64_t times, int (*step)(void *arg), void *arg)
{
    int rc = 0;

    (void)self;
    for (int64_t i = 0; rc == 0 && i < times; i++)
        rc = step(arg);
    return rc;
}

/* The host's memory is the device's, and is as it is at any time. */
static int cpu_fetch(void *self, void *host, const void *from, size_t size)
{
    return cpu_upload(self, host, from, size);
}

static size_t cpu_working(void *self)
{
    const struct cpu *cpu = self;

    return cpu->scratch.size + cpu->wide.size;
}

void *cpu_take(struct cpu *cpu, struct cpu_room *room, size_t size)
{
    size_t rounded = (size + 4095) / 4096 * 4096;

    if (cpu->counting) {
        room->size = rounded > room->size ? rounded : room->size;
        return NULL;
    }
    if (size <= room->size)
        return room->memory ? room->memory : room; /* nothing was asked for */
    free(room->memory);
    room->memory = rounded >= size ? aligned_alloc(64, rounded) : NULL;
    room->size = room->memory ? rounded : 0;
    if (!room->memory)
        err_set(ERR_NOMEM, "no memory for %zu bytes of scratch", size);
    return room->memory;
}

int cpu_lacking(const struct cpu *cpu)
{
    return cpu->counting ? 0 : ERR_NOMEM;
}

const struct backend backend_cpu = {
    .name = "cpu",
    .open = cpu_open,
    .close = cpu_close,
    .precision = cpu_precision,
    .fast = cpu_fast,
    .stores = cpu_stores,
    .alloc = cpu_alloc,
    .dealloc = cpu_dealloc,
    .alloc_shared = cpu_alloc,
    .dealloc_shared = cpu_dealloc,
    .upload = cpu_upload,
    .download = cpu_upload,
    .zero = cpu_zero,
    .wait = cpu_wait,
    .repeat = cpu_repeat,
    .mark = cpu_wait,
    .fetch = cpu_fetch,
    .working = cpu_working,
    .matmul = cpu_matmul,
    .norm = cpu_norm,
    .norm_grad = cpu_norm_grad,
    .relu = cpu_relu,
    .add = cpu_add,
    .copy = cpu_copy,
    .filter = cpu_filter,
    .attn = cpu_attn,
    .attn_grad = cpu_attn_grad,
    .embed = cpu_embed,
    .embed_grad = cpu_embed_grad,
    .cross_entropy = cpu_cross_entropy,
    .laplace = cpu_laplace,
    .adam = cpu_adam,
    .sum_squares = cpu_sum_squares,
    .conv = cpu_conv,
    .conv_dx = cpu_conv_dx,
    .conv_dw = cpu_conv_dw,
    .max_pool = cpu_max_pool,
    .max_pool_grad = cpu_max_pool_grad,
    .upsample = cpu_upsample,
    .upsample_grad = cpu_upsample_grad,
    .gumbel = cpu_gumbel,
    .gumbel_grad = cpu_gumbel_grad,
    .gumbel_max = cpu_gumbel_max,
    .thin_size = cpu_thin_size,
    .thin_pack = cpu_thin_pack,
    .thin = cpu_thin,
    .cache_text = cpu_cache_text,
    .attn_cache = cpu_attn_cache,
    .choose = cpu_choose,
    .next = cpu_next,
};

/* SPDX-License-Identifier: MIT */
/* device.c -- the registry of devices: the one place that knows which there are. */
#include "compute/device.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "compute/backend.h"
#include "compute/load.h"

#if defined(__x86_64__)
extern const struct backend backend_cpu_v3, backend_cpu_v4; /* compute/cpu/isa.h */
#endif

#define DEVICES_MAX 1024 /* of a kind */

struct choice {
    const char *name;
    const struct backend *ops;
    bool works; /* on this processor */
};

/* The best one last. */
static int list_cpus(struct choice *list)
{
    int n = 0;

    list[n++] = (struct choice){"cpu:plain", &backend_cpu, true};
#if defined(__x86_64__)
    __builtin_cpu_init();
    list[n++] = (struct choice){"cpu:v3", &backend_cpu_v3,
                                __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                                    __builtin_cpu_supports("bmi2")};
    list[n++] = (struct choice){"cpu:v4", &backend_cpu_v4,
                                list[1].works && __builtin_cpu_supports("avx512f") &&
                                    __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
                                    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")};
#endif
    return n;
}

static int open_cpu(struct device *dev, const char *name)
{
    struct choice list[3], *found = NULL;
    int n = list_cpus(list);

    for (int i = 0; i < n; i++)
        if (strcmp(name, "cpu") == 0 ? list[i].works : strcmp(name, list[i].name) == 0)
            found = &list[i];
    if (!found)
        return err_set(ERR_ARG, "there is no device \"%s\"; there are cpu and cuda[:N]", name);
    if (!found->works)
        return err_set(ERR_UNSUPPORTED, "this processor lacks the instructions of %s", name);
    dev->ops = found->ops;
    return dev->ops->open(&dev->self, 0);
}

/* "cuda" is the first one.  -1: not such a name. */
static int cuda_index(const char *name)
{
    char *end;
    long index;

    if (strcmp(name, "cuda") == 0)
        return 0;
    if (strncmp(name, "cuda:", 5) != 0 || name[5] < '0' || name[5] > '9')
        return -1;
    index = strtol(name + 5, &end, 10);
    return *end == 0 && index < DEVICES_MAX ? (int)index : -1;
}

int64_t device_rows(const char *name)
{
    return cuda_index(name) < 0 ? 2560 : 20480; /* more would leave a CPU's caches; fewer would leave a GPU idle */
}

enum dtype device_activations_planned(const char *name, const char *precision)
{
    bool narrow = strcmp(precision, "auto") == 0 || strcmp(precision, "bf16") == 0;

    return narrow && cuda_index(name) >= 0 ? DTYPE_BF16 : DTYPE_F32;
}

int device_open(struct device *dev, const char *name)
{
    int index = cuda_index(name), rc;

    *dev = (struct device){0};
    if (index < 0)
        return open_cpu(dev, name);
    return (rc = backend_load(&dev->ops, "cuda")) != 0 ? rc : dev->ops->open(&dev->self, index);
}

void device_close(struct device *dev)
{
    if (dev->self)
        dev->ops->close(dev->self);
    *dev = (struct device){0};
}

int device_precision(struct device *dev, enum precision p)
{
    dev->precision = p;
    return dev->ops->precision(dev->self, p);
}

enum dtype device_activations(const struct device *dev)
{
    return dev->precision == PRECISION_BF16 && dev->ops->narrow ? DTYPE_BF16 : DTYPE_F32;
}

int device_precision_by_name(struct device *dev, const char *name)
{
    bool bf16 = strcmp(name, "auto") == 0 ? device_fast(dev, PRECISION_BF16) : strcmp(name, "bf16") == 0;

    return device_precision(dev, bf16 ? PRECISION_BF16 : strcmp(name, "int8") == 0 ? PRECISION_INT8 : PRECISION_F32);
}

bool device_fast(const struct device *dev, enum precision p)
{
    return dev->ops->fast(dev->self, p);
}

bool device_stores(const struct device *dev, enum dtype type)
{
    return dev->ops->stores(dev->self, type);
}

int device_arena_init(struct device *dev, struct arena *a, size_t size)
{
    void *data = NULL;
    int rc;

    *a = (struct arena){0};
    if (size == 0)
        size = ARENA_ALIGN;
    if ((rc = dev->ops->alloc(dev->self, &data, size)) != 0)
        return rc;
    a->base = data;
    a->size = size;
    return 0;
}

void device_arena_fini(struct device *dev, struct arena *a)
{
    if (a->base)
        dev->ops->dealloc(dev->self, a->base, a->size);
    *a = (struct arena){0};
}

int device_upload(struct device *dev, void *to, const void *host, size_t size)
{
    return dev->ops->upload(dev->self, to, host, size);
}

int device_download(struct device *dev, void *host, const void *from, size_t size)
{
    return dev->ops->download(dev->self, host, from, size);
}

int device_zero(struct device *dev, void *data, size_t size)
{
    return dev->ops->zero(dev->self, data, size);
}

int device_wait(struct device *dev)
{
    return dev->ops->wait(dev->self);
}

int device_mark(struct device *dev)
{
    return dev->ops->mark(dev->self);
}

int device_fetch(struct device *dev, void *host, const void *from, size_t size)
{
    return dev->ops->fetch(dev->self, host, from, size);
}

size_t device_working(const struct device *dev)
{
    return dev->ops->working(dev->self);
}

int device_repeat(struct device *dev, int64_t times, int (*step)(void *arg), void *arg)
{
    return times > 0 ? dev->ops->repeat(dev->self, times, step, arg) : 0;
}

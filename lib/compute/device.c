/* SPDX-License-Identifier: MIT */
/* device.c -- the registry of devices: the one place that knows which there are. */
#include "compute/device.h"

#include <stdbool.h>
#include <string.h>

#include "compute/backend.h"

#if defined(__x86_64__)
extern const struct backend backend_cpu_v3, backend_cpu_v4; /* compute/cpu/isa.h */
#endif

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

int device_open(struct device *dev, const char *name)
{
    struct choice list[3], *found = NULL;
    int n = list_cpus(list);

    *dev = (struct device){0};
    for (int i = 0; i < n; i++)
        if (strcmp(name, "cpu") == 0 ? list[i].works : strcmp(name, list[i].name) == 0)
            found = &list[i];
    if (!found)
        return err_set(ERR_ARG, "there is no device \"%s\"; this build has cpu", name);
    if (!found->works)
        return err_set(ERR_UNSUPPORTED, "this processor lacks the instructions of %s", name);
    dev->ops = found->ops;
    return dev->ops->open(&dev->self);
}

void device_close(struct device *dev)
{
    if (dev->self)
        dev->ops->close(dev->self);
    *dev = (struct device){0};
}

int device_precision(struct device *dev, enum precision p)
{
    return dev->ops->precision(dev->self, p);
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

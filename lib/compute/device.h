/* SPDX-License-Identifier: MIT */
/* device.h -- where arithmetic happens: memory, copies, and the table of operations.
 *
 * "cpu" is built in; "cuda" or "cuda:N", an NVIDIA GPU, is a shared object loaded when asked for (load.h).  A device is used
 * by one thread at a time, a GPU by the one that opened it; it spreads its work itself (base/par.h).
 * "cpu:plain", "cpu:v3" and "cpu:v4" ask for one instruction set instead of the best one that the processor has: x86-64's
 * levels 3 (AVX2) and 4 (AVX-512).
 * Operations are called through op_x() of their headers, which check shapes and types once and then call the table.
 * Operations may run behind the caller's back: device_download and device_wait wait for what was asked before.
 *
 * Errors   ERR_DEVICE final; ERR_NOMEM with the bytes asked for; ERR_ARG unknown name; ERR_UNSUPPORTED the processor
 *          lacks the instruction set
 */
#ifndef COMPUTE_DEVICE_H
#define COMPUTE_DEVICE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "compute/tensor.h"

struct backend;

/* What products of matrices and convolutions round their factors to; sums, and all else, stay f32.  int8 is for the packed
 * weights of thin products (sample.h) alone; beside them all is f32. */
enum precision { PRECISION_F32, PRECISION_BF16, PRECISION_INT8 };
#define PRECISION_CHOICES "auto|f32|bf16" /* auto: bf16 where device_fast says so */
#define PRECISION_TRAINING PRECISION_CHOICES "|fp16" /* of the prior: fp16 keeps f16, its products of f32 are f32 */
#define PRECISION_SAMPLING PRECISION_CHOICES "|int8"

struct device {
    const struct backend *ops; /* borrowed: static table */
    void *self;                /* owned by the backend: caches of primitives, handles, streams */
    enum precision precision;  /* as device_precision set it */
};

must_check int device_open(struct device *dev, const char *name);
void device_close(struct device *dev);

/* f32 after device_open; to be set before weights are packed for sampling.  Gradients' factors are rounded too. */
must_check int device_precision(struct device *dev, enum precision p);
/* By its name, one of PRECISION_TRAINING and PRECISION_SAMPLING. */
must_check int device_precision_by_name(struct device *dev, const char *name);
/* Is p at least as fast as f32 on this device? */
bool device_fast(const struct device *dev, enum precision p);
/* The type in which activations are best kept at its precision: bf16 on a GPU, else f32. */
enum dtype device_activations(const struct device *dev);
/* For plans made without opening it: rows of a product that suffice to keep a device of that name busy, and the type of
 * activations at a precision of that name. */
int64_t device_rows(const char *name);
enum dtype device_activations_planned(const char *name, const char *precision);
/* Do its operations take tensors of that type, where their headers say f32, bf16 or f16? */
bool device_stores(const struct device *dev, enum dtype type);

/* A block of zeroed device memory for arena_take; device_arena_fini gives it back. */
must_check int device_arena_init(struct device *dev, struct arena *a, size_t size);
void device_arena_fini(struct device *dev, struct arena *a);

must_check int device_upload(struct device *dev, void *to, const void *host, size_t size);
must_check int device_download(struct device *dev, void *host, const void *from, size_t size);
must_check int device_zero(struct device *dev, void *data, size_t size);
must_check int device_wait(struct device *dev);
/* Call step(arg) that many times.  A device may record what one call asks for and do that again without calling, so every
 * call must ask for the same operations on the same memory; what changes from one to the next lies in the device's memory.
 * Nothing in it may wait: no upload, no download. */
must_check int device_repeat(struct device *dev, int64_t times, int (*step)(void *arg), void *arg);
/* Remember this point in what was asked for.  device_fetch then copies memory to the host as it is at that point, while the
 * device goes on: one other thread may call it beside the owner's calls, and the owner leaves what is fetched as it is until that
 * thread is done. */
must_check int device_mark(struct device *dev);
must_check int device_fetch(struct device *dev, void *host, const void *from, size_t size);
/* Bytes of working memory that its operations have taken so far, beside arenas: the largest that one of them needed.  plan.h
 * knows a CPU's beforehand; what oneDNN keeps for convolutions is not in it. */
size_t device_working(const struct device *dev);

#endif

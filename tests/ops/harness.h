/* SPDX-License-Identifier: MIT */
/* harness.h -- what the tests of operations share: devices, random tensors, two ways to compare.
 *
 *   static void test_x(void **state)
 *   {
 *       struct harness h;
 *
 *       for (int i = 0; h_open(&h, i); i++) {          the plain path, then every instruction set of this machine;
 *                                                      or the one device that ARMCHAIR_TEST_DEVICE names
 *           struct tensor x = h_random(&h, 1.0f, N, C);
 *           ...
 *           h_near(h_error(F32(&y), ref, count), 1e-6);
 *           h_close(&h);
 *       }
 *   }
 *
 * forward: against a reference in f64 written in the test.  gradient: h_gradient takes differences of such a reference.
 * Errors are relative to the signal: the square root of (mean square of the difference over mean square of the reference).
 */
#ifndef TESTS_OPS_HARNESS_H
#define TESTS_OPS_HARNESS_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/rng.h"
#include "compute/backend.h"
#include "compute/device.h"

#define H_SPACE ((size_t)64 << 20) /* bytes for a test's tensors; untouched pages cost nothing */
#define H_PROBES 40                /* elements of a gradient that are compared with differences */

#define H_F32(t) ((float *)(t)->data)
#define H_I32(t) ((int32_t *)(t)->data)

struct harness {
    struct device dev;
    struct arena arena;
    const char *name;  /* of the device, for messages */
    uint64_t draws;    /* tensors drawn: the step of the next one */
};

/* Where the device is emulated (tests/emulator): smaller samples then. */
static inline bool h_slow(void)
{
    return getenv("ARMCHAIR_TEST_SLOW") != NULL;
}

/* The i-th device of this machine; false after the last. */
static inline bool h_open(struct harness *h, int i)
{
    const char *devices[] = {"cpu:plain", "cpu:v3", "cpu:v4"}, *only = getenv("ARMCHAIR_TEST_DEVICE");
    int n = (int)(sizeof devices / sizeof *devices), rc = -1;

    if (only) {
        setenv("CUDA_LAUNCH_BLOCKING", "1", 0); /* tests read what an operation wrote without waiting */
        devices[0] = only;
        n = 1;
    }

    for (int at = 0; at < n; at++) {
        if ((rc = device_open(&h->dev, devices[at])) != 0 && only)
            fail_msg("%s", err_text());
        if (rc != 0)
            continue; /* this build or processor lacks it */
        h->name = devices[at];
        if (i-- == 0)
            break;
        device_close(&h->dev);
        rc = -1;
    }
    if (rc != 0)
        return false;
    h->draws = 0;
    h->arena = (struct arena){.size = H_SPACE};
    assert_int_equal(h->dev.ops->alloc_shared(h->dev.self, (void **)&h->arena.base, H_SPACE), 0);
    return true;
}

static inline void h_close(struct harness *h)
{
    h->dev.ops->dealloc_shared(h->dev.self, h->arena.base, H_SPACE);
    device_close(&h->dev);
}

static inline void *h_take(struct harness *h, size_t size)
{
    void *p = arena_take(&h->arena, size);

    assert_non_null(p);
    memset(p, 0, size);
    return p;
}

static inline struct tensor h_tensor(struct harness *h, enum dtype type, int rank, const int64_t *shape)
{
    struct tensor t = tensor_view(NULL, type, rank, shape);

    t.data = h_take(h, tensor_bytes(&t));
    return t;
}

/* Normal numbers times spread. */
static inline struct tensor h_fill(struct harness *h, struct tensor t, float spread)
{
    struct rng rng = {.seed = 1, .purpose = RNG_TEST};

    h->draws++;
    for (int64_t i = 0; i < tensor_elements(&t); i++)
        H_F32(&t)[i] = spread * (float)rng_normal(rng, h->draws, (uint64_t)i);
    return t;
}

#define h_zeros(h, ...) h_tensor(h, DTYPE_F32, TENSOR_COUNT(__VA_ARGS__), (const int64_t[]){__VA_ARGS__})
#define h_indices(h, ...) h_tensor(h, DTYPE_I32, TENSOR_COUNT(__VA_ARGS__), (const int64_t[]){__VA_ARGS__})
#define h_random(h, spread, ...) h_fill(h, h_zeros(h, __VA_ARGS__), spread)

/* The numbers of a tensor as f64, zeros where t is NULL; count is used then. */
static inline double *h_doubles(struct harness *h, const struct tensor *t, int64_t count)
{
    double *d;

    if (t)
        count = tensor_elements(t);
    d = h_take(h, (size_t)count * sizeof *d);
    for (int64_t i = 0; t && i < count; i++)
        d[i] = H_F32(t)[i];
    return d;
}

static inline double h_error(const float *got, const double *want, int64_t count)
{
    double difference = 0, signal = 0;

    for (int64_t i = 0; i < count; i++) {
        difference += (got[i] - want[i]) * (got[i] - want[i]);
        signal += want[i] * want[i];
    }
    if (difference == 0)
        return 0;
    return signal > 0 ? sqrt(difference / signal) : INFINITY;
}

/* Compare dx, the gradient of f with respect to x[count], with central differences at up to H_PROBES elements spread
 * over x.  f is in f64 and reads x; the relative error over the probes is returned. */
static inline double h_gradient(double (*f)(void *context), void *context, double *x, const float *dx, int64_t count,
                                double step)
{
    int64_t probes = count < H_PROBES ? count : H_PROBES;
    float got[H_PROBES];
    double want[H_PROBES];

    for (int64_t i = 0; i < probes; i++) {
        int64_t at = i * count / probes;
        double saved = x[at], up;

        x[at] = saved + step;
        up = f(context);
        x[at] = saved - step;
        want[i] = (up - f(context)) / (2 * step);
        x[at] = saved;
        got[i] = dx[at];
    }
    return h_error(got, want, probes);
}

#define h_near(error, bound) h_near_at(h.name, error, bound, __FILE__, __LINE__)

static inline void h_near_at(const char *device, double error, double bound, const char *file, int line)
{
    if (error <= bound)
        return;
    print_error("%s: relative error %.3g, allowed %.3g\n", device, error, bound);
    _fail(file, line);
}

#endif

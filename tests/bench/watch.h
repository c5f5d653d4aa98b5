/* SPDX-License-Identifier: MIT */
/* watch.h -- where a model's step spends its time: the device's table is copied, and every operation that a model uses is
 * timed on its way through.
 *
 *   watch_start     from then on the device's operations are timed; watch_stop gives it its own table back
 *   watch_measure   rounds of run(of), 9 or what the variable ROUNDS says: the best one's time, by operation; its rate, where
 *                   products and convolutions count as the plain way makes them, attention without what masks forbid, and
 *                   the share of what registers reach just before (median); where it has to read so many bytes, the share of
 *                   memory's speed instead.  Then the median of the rounds, the least and the most.
 *
 * A device that works behind the caller's back is waited for at a round's end, after one or two rounds that do not count, and no
 * share is told.  One more round, unless the variable PARTS is 0, gives the time by operation: it waits for each, and repeats
 * without recording, so its sum is more than a round's time.
 */
#ifndef BENCH_WATCH_H
#define BENCH_WATCH_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/progress.h"
#include "compute/backend.h"
#include "machine.h"

/* Pairs that the mask allows. */
static inline double watch_allowed(const struct attn *a)
{
    static double known[ATTN_CONV + 1];
    int64_t slots = a->text + a->h * a->w;

    if (known[a->kind] == 0)
        for (int64_t q = 0; q < slots; q++)
            for (int64_t k = 0; k <= q; k++)
                known[a->kind] += attn_allows(a, q, k);
    return known[a->kind];
}

/* Of one pass forward; backward makes five products for two. */
static inline double watch_attn(tensor_in out, const struct attn *a)
{
    return 4.0 * (double)out->shape[0] * (double)out->shape[2] * watch_allowed(a);
}

static inline double watch_matmul(tensor_in y, tensor_in a)
{
    return 2.0 * (double)tensor_elements(y) * (double)tensor_elements(a) / (double)y->shape[0];
}

static inline double watch_conv(tensor_in y, tensor_in w)
{
    return 2.0 * (double)tensor_elements(y) * (double)tensor_elements(w) / (double)w->shape[0];
}

/* op, its parameters and arguments, its operations */
#define WATCH_ALL(X)                                                                                                          \
    X(matmul, (void *s, tensor_in y, tensor_in a, tensor_in b, tensor_in c, struct matmul h), (s, y, a, b, c, h), watch_matmul(y, a)) \
    X(thin, (void *s, tensor_in y, tensor_in x, const void *p, tensor_in b, struct thin h), (s, y, x, p, b, h),                \
      2.0 * (double)tensor_elements(x) * (double)y->shape[1])                                                                  \
    X(norm, (void *s, tensor_in y, tensor_in m, tensor_in r, tensor_in x, tensor_in g, tensor_in b, float e),                  \
      (s, y, m, r, x, g, b, e), 0)                                                                                             \
    X(norm_grad, (void *s, tensor_in dx, tensor_in dg, tensor_in db, tensor_in dy, tensor_in x, tensor_in m, tensor_in r,      \
                  tensor_in g, float f, bool b), (s, dx, dg, db, dy, x, m, r, g, f, b), 0)                                     \
    X(attn, (void *s, tensor_in o, tensor_in l, tensor_in q, const struct attn *a), (s, o, l, q, a), watch_attn(o, a))         \
    X(attn_grad, (void *s, tensor_in dq, tensor_in d, tensor_in o, tensor_in l, tensor_in q, const struct attn *a),            \
      (s, dq, d, o, l, q, a), 2.5 * watch_attn(o, a))                                                                          \
    X(attn_cache, (void *s, tensor_in o, const struct attn_cache *c, tensor_in q, tensor_in i, tensor_in at,                   \
                   const struct attn *a), (s, o, c, q, i, at, a), 0)                                                           \
    X(choose, (void *s, tensor_in t, tensor_in l, tensor_in u, tensor_in at, const struct choose *h), (s, t, l, u, at, h), 0)  \
    X(next, (void *s, tensor_in at, tensor_in i, tensor_in t, int64_t w), (s, at, i, t, w), 0)                                 \
    X(embed, (void *s, tensor_in y, tensor_in t, tensor_in i, bool add), (s, y, t, i, add), 0)                                 \
    X(embed_grad, (void *s, tensor_in t, tensor_in y, tensor_in i), (s, t, y, i), 0)                                           \
    X(cross_entropy, (void *s, tensor_in l, tensor_in x, tensor_in t, float f), (s, l, x, t, f), 0)                            \
    X(conv, (void *s, tensor_in y, tensor_in x, tensor_in w, tensor_in b, struct conv h), (s, y, x, w, b, h), watch_conv(y, w)) \
    X(conv_dx, (void *s, tensor_in dx, tensor_in dy, tensor_in w, tensor_in m, struct conv h), (s, dx, dy, w, m, h),           \
      watch_conv(dy, w))                                                                                                       \
    X(conv_dw, (void *s, tensor_in dw, tensor_in db, tensor_in dy, tensor_in x, struct conv h), (s, dw, db, dy, x, h),         \
      watch_conv(dy, dw))                                                                                                      \
    X(relu, (void *s, tensor_in y, tensor_in x), (s, y, x), 0)                                                                 \
    X(add, (void *s, tensor_in y, tensor_in x, float f), (s, y, x, f), 0)                                                      \
    X(copy, (void *s, tensor_in y, tensor_in x), (s, y, x), 0)                                                                 \
    X(filter, (void *s, tensor_in y, tensor_in x, float f), (s, y, x, f), 0)                                                   \
    X(max_pool, (void *s, tensor_in y, tensor_in x), (s, y, x), 0)                                                             \
    X(max_pool_grad, (void *s, tensor_in dx, tensor_in dy, tensor_in x), (s, dx, dy, x), 0)                                    \
    X(upsample, (void *s, tensor_in y, tensor_in x), (s, y, x), 0)                                                             \
    X(upsample_grad, (void *s, tensor_in dx, tensor_in dy), (s, dx, dy), 0)                                                    \
    X(gumbel, (void *s, tensor_in y, tensor_in k, tensor_in x, const struct gumbel *h), (s, y, k, x, h), 0)                    \
    X(gumbel_grad, (void *s, tensor_in dx, tensor_in dy, tensor_in y, tensor_in x, float t, float k), (s, dx, dy, y, x, t, k), 0) \
    X(gumbel_max, (void *s, tensor_in c, tensor_in x, const struct gumbel *h), (s, c, x, h), 0)                                \
    X(laplace, (void *s, tensor_in n, tensor_in y, tensor_in x, float f), (s, n, y, x, f), 0)                                  \
    X(adam, (void *s, tensor_in p, tensor_in m, tensor_in v, tensor_in g, const struct adam *h), (s, p, m, v, g, h), 0)        \
    X(sum_squares, (void *s, struct squares *to, tensor_in x, int64_t n), (s, to, x, n), 0)                                    \
    X(zero, (void *s, void *p, size_t size), (s, p, size), 0)

#define WATCH_SLOT(op, parameters, arguments, operations) WATCH_##op,
#define WATCH_NAME(op, parameters, arguments, operations) #op,
enum watch_slot { WATCH_ALL(WATCH_SLOT) WATCH_COUNT };
static const char *const watch_name[WATCH_COUNT] = {WATCH_ALL(WATCH_NAME)};
static const struct backend *watch_real;
static struct device *watch_device;
static bool watch_apart; /* wait for each operation */
static double watch_spent[WATCH_COUNT], watch_work; /* seconds; operations */

static inline bool watch_behind(void)
{
    return strcmp(watch_real->name, "cpu") != 0;
}

#define WATCH_TIMED(op, parameters, arguments, operations)                                                                    \
    static int watch_##op##_timed parameters                                                                                  \
    {                                                                                                                         \
        double start = clock_s();                                                                                             \
        int rc = watch_real->op arguments;                                                                                    \
                                                                                                                              \
        if (rc == 0 && watch_apart)                                                                                           \
            rc = watch_real->wait(s);                                                                                         \
        watch_spent[WATCH_##op] += clock_s() - start;                                                                         \
        watch_work += operations;                                                                                             \
        return rc;                                                                                                            \
    }
WATCH_ALL(WATCH_TIMED)

/* Operations that are waited for cannot be recorded. */
static int watch_repeat(void *s, int64_t times, int (*step)(void *arg), void *arg)
{
    int rc = 0;

    if (!watch_apart)
        return watch_real->repeat(s, times, step, arg);
    for (int64_t i = 0; rc == 0 && i < times; i++)
        rc = step(arg);
    return rc;
}

static inline void watch_start(struct device *dev)
{
    static struct backend timed;

#define WATCH_SET(op, parameters, arguments, operations) timed.op = watch_##op##_timed;
    watch_real = dev->ops;
    timed = *dev->ops;
    WATCH_ALL(WATCH_SET)
    timed.repeat = watch_repeat;
    watch_device = dev;
    dev->ops = &timed;
}

static inline void watch_stop(struct device *dev)
{
    dev->ops = watch_real;
}

static int watch_order(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* Seconds of one call, all of it done. */
static inline double watch_round(void (*run)(void *of), void *of)
{
    double start = clock_s();

    memset(watch_spent, 0, sizeof watch_spent);
    watch_work = 0;
    run(of);
    if (device_wait(watch_device) != 0) {
        fprintf(stderr, "%s\n", err_text());
        exit(1);
    }
    return clock_s() - start;
}

/* The time by operation of the best round; of one that waits for each, where others would tell when they were asked for. */
static inline void watch_print_parts(double parts[WATCH_COUNT], double best, void (*run)(void *of), void *of)
{
    double known = 0;

    if (watch_behind()) {
        const char *text = getenv("PARTS");

        if (text && strcmp(text, "0") == 0)
            return;
        watch_apart = true;
        best = watch_round(run, of);
        watch_apart = false;
        memcpy(parts, watch_spent, sizeof watch_spent);
        printf("  %-14s %8.2f ms, waiting for each:\n", "one more", best * 1e3);
    }
    for (int i = 0; i < WATCH_COUNT; i++)
        if (parts[i] > 0) {
            printf("  %-14s %8.2f ms\n", watch_name[i], parts[i] * 1e3);
            known += parts[i];
        }
    printf("  %-14s %8.2f ms\n", "the rest", (best - known) * 1e3);
}

static inline void watch_measure(const char *what, void (*run)(void *of), void *of, enum machine_unit unit, double bytes)
{
    enum { MOST = 100 };
    double best = 1e9, done = 0, parts[WATCH_COUNT] = {0}, share[MOST], times[MOST];
    const char *text = getenv("ROUNDS");
    int rounds = text ? atoi(text) : 9;
    bool behind = watch_behind();

    rounds = rounds < 1 ? 1 : rounds > MOST ? MOST : rounds;
    for (int i = 0; behind && i < (rounds < 5 ? 1 : 2); i++)
        watch_round(run, of);
    for (int i = 0; i < rounds; i++) {
        double limit = behind ? 1 : bytes > 0 ? machine_bandwidth() : machine_flops(unit);

        times[i] = watch_round(run, of);
        share[i] = (bytes > 0 ? bytes : watch_work) / times[i] / limit;
        if (times[i] < best) {
            best = times[i];
            done = watch_work;
            memcpy(parts, watch_spent, sizeof parts);
        }
    }
    qsort(share, (size_t)rounds, sizeof *share, watch_order);
    qsort(times, (size_t)rounds, sizeof *times, watch_order);
    printf("%s: %.1f ms", what, best * 1e3);
    if (!behind || bytes == 0) /* what is recorded is counted once */
        printf(", %.0f GFLOP/s", done / best * 1e-9);
    if (bytes > 0)
        printf(", %.1f GB/s", bytes / best * 1e-9);
    if (!behind)
        printf(", %.0f %% of the %s", 100 * share[rounds / 2], bytes > 0 ? "memory's" : "registers'");
    printf("\n  %-14s %8.3f ms, %.3f to %.3f in %d\n", "median", times[rounds / 2] * 1e3, times[0] * 1e3,
           times[rounds - 1] * 1e3, rounds);
    fflush(stdout);
    watch_print_parts(parts, best, run, of);
}

#endif

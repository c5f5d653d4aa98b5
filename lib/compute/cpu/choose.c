/* SPDX-License-Identifier: MIT */
/* A token from logits without sorting them.
 *
 * Both cuts ask for the most likely tokens whose weights, in descending order, first reach an aim: top-k with weights 1,
 * top-p with weights exp.  Logits become unsigned keys of the same order; a histogram of weights over their upper 11 bits, then
 * the next 11 and the last 10, finds the key at which the aim is reached (radix selection).  All sums are f64 in index order. */
#include <math.h>

#include "compute/cpu/cpu.h"
#include "compute/cpu/vec.h"

enum { BINS = 2048, BLOCK = 64 };

static uint32_t key_of(float x)
{
    uint32_t bits;

    x += 0.0f; /* -0 equals 0 */
    memcpy(&bits, &x, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

/* Zero the weights outside the fewest largest logits whose weights (or numbers, if count) reach the aim. */
static void cut(float *weight, const float *logit, int64_t n, bool count, double aim)
{
    static const int shift[] = {21, 10, 0};
    double bin[BINS];
    uint32_t prefix = 0, known = 0; /* bits of the threshold key found so far, and which */

    for (int pass = 0; pass < 3; pass++) {
        int bits = pass < 2 ? 11 : 10, at = (1 << bits) - 1;
        double above = 0.0;

        memset(bin, 0, sizeof bin);
        for (int64_t i = 0; i < n; i++)
            if (weight[i] > 0.0f && (key_of(logit[i]) & known) == prefix)
                bin[key_of(logit[i]) >> shift[pass] & ((1u << bits) - 1)] += count ? 1.0 : weight[i];
        for (; at > 0 && above + bin[at] < aim; at--)
            above += bin[at];
        aim -= above;
        prefix |= (uint32_t)at << shift[pass];
        known |= ((1u << bits) - 1) << shift[pass];
    }
    for (int64_t i = 0; i < n; i++) {
        uint32_t key = key_of(logit[i]);

        if (key > prefix || weight[i] == 0.0f)
            continue;
        if (key == prefix && aim > 0.0)
            aim -= count ? 1.0 : weight[i];
        else
            weight[i] = 0.0f;
    }
}

static double block_sum(const float *x, int64_t n)
{
    double sum = 0.0;

    for (int64_t i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

static double sum_of(const float *x, int64_t n)
{
    double sum = 0.0;

    for (int64_t i = 0; i < n; i += BLOCK)
        sum += block_sum(x + i, n - i < BLOCK ? n - i : BLOCK);
    return sum;
}

/* The first token whose cumulative weight passes the aim; if rounding lets none, the last that has weight. */
static int64_t find(const float *weight, int64_t n, double aim)
{
    int64_t last = 0;
    double sum = 0.0;

    for (int64_t from = 0; from < n; from += BLOCK) {
        int64_t to = from + BLOCK < n ? from + BLOCK : n;
        double whole = sum + block_sum(weight + from, to - from);

        for (int64_t i = from; i < to; i++) {
            if (weight[i] == 0.0f)
                continue;
            last = i;
            if (whole > aim && (sum += weight[i]) > aim)
                return i;
        }
        sum = whole;
    }
    return last;
}

static int64_t most_likely(const float *logit, int64_t n)
{
    int64_t best = 0;

    for (int64_t i = 1; i < n; i++)
        if (logit[i] > logit[best])
            best = i;
    return best;
}

static bool usable(const float *logit, int64_t n)
{
    bool any = false;

    for (int64_t i = 0; i < n; i++) {
        if (!(logit[i] < INFINITY))
            return false;
        any = any || logit[i] > -INFINITY;
    }
    return any;
}

static int64_t choose(const float *logit, float *weight, int64_t n, uint64_t step, const struct choose *how)
{
    int64_t best = most_likely(logit, n);
    struct rng4 r = rng_draw(how->rng, step, how->slot);
    double u = ((double)((uint64_t)r.v[0] << 21 | r.v[1] >> 11) + 0.5) * 0x1p-53;

    if (how->temperature == 0.0f)
        return best;
    for (int64_t i = 0; i < n; i += VEC) {
        int64_t count = n - i < VEC ? n - i : VEC;
        vec x = count == VEC ? vec_load(logit + i) : vec_load_part(logit + i, count, -INFINITY);

        vec_store_part(weight + i, vec_exp((x - logit[best]) / how->temperature), count);
    }
    if (how->top_k > 0 && how->top_k < n)
        cut(weight, logit, n, true, (double)how->top_k);
    if (how->top_p < 1.0f)
        cut(weight, logit, n, false, (double)how->top_p * sum_of(weight, n));
    return find(weight, n, u * sum_of(weight, n));
}

int cpu_choose(void *self, tensor_in token, tensor_in logits, const uint64_t *step, const struct choose *how)
{
    int64_t rows = logits->shape[0], n = logits->shape[1], bad = -1;
    float *weight = cpu_scratch(self, (size_t)(rows * n) * sizeof *weight);

    if (weight == NULL)
        return ERR_NOMEM;
#pragma omp parallel for schedule(static) reduction(max : bad)
    for (int64_t m = 0; m < rows; m++) {
        const float *logit = F32(logits) + m * n;

        if (usable(logit, n))
            I32(token)[m] = (int32_t)choose(logit, weight + m * n, n, step[m], how);
        else
            bad = m;
    }
    if (bad >= 0)
        return err_set(ERR_ARG, "choice: logits of row %lld are not numbers", (long long)bad);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* A token from logits without sorting them.
 *
 * Both cuts ask for the most likely tokens whose weights, in descending order, first reach an aim: top-k with weights 1,
 * top-p with weights exp.  The logit at which it is reached is found by halving: the candidates part at the middle of their
 * range, and the side that holds the aim goes on, so little more than two passes are made.  All sums are f64 in a fixed
 * order. */
#include <math.h>

#include "base/par.h"
#include "compute/cpu/cpu.h"
#include "compute/cpu/vec.h"

#include <omp.h>

enum { BLOCK = 64, LANES = 8 };

/* Tokens still in question, in order. */
struct list {
    float *logit, *weight;
    int64_t n;
};

/* Part from at middle, in order: those below stay, the others go to high.  Returns the others' weights. */
static double part(struct list *from, struct list *high, float middle)
{
    double sum = 0.0;
    int64_t highs = 0;

    for (int64_t i = 0; i < from->n; i++) {
        float x = from->logit[i], w = from->weight[i];
        bool up = x >= middle;

        high->logit[highs] = x;
        high->weight[highs] = w;
        from->logit[i - highs] = x;
        from->weight[i - highs] = w;
        highs += up;
        sum += w * (float)up; /* no branch: nobody could foresee it */
    }
    from->n -= highs;
    high->n = highs;
    return sum;
}

static void range(const float *x, int64_t n, float *lo, float *hi)
{
    vec low = vec_all(-INFINITY), high = vec_all(-INFINITY); /* low: of -x */
    int64_t i = 0;

    for (; i + VEC <= n; i += VEC) {
        low = vec_max(-vec_load(x + i), low);
        high = vec_max(vec_load(x + i), high);
    }
    if (i < n) {
        low = vec_max(-vec_load_part(x + i, n - i, INFINITY), low);
        high = vec_max(vec_load_part(x + i, n - i, -INFINITY), high);
    }
    *lo = -vec_largest(low);
    *hi = vec_largest(high);
}

/* The logit at which the aim is reached; *aim becomes what the tokens above it leave.  other has room for all of list. */
static float threshold(struct list list, struct list other, double *aim)
{
    for (;;) {
        float lo, hi, middle;
        double sum;

        range(list.logit, list.n, &lo, &hi);
        if (list.n == 0 || lo == hi)
            return lo;
        middle = 0.5f * lo + 0.5f * hi;
        if (!(middle > lo && middle <= hi)) /* neighbours */
            middle = hi;
        sum = part(&list, &other, middle);
        if (sum >= *aim) {
            struct list swap = list;

            list = other;
            other = swap;
        } else {
            *aim -= sum;
        }
    }
}

/* Zero the weights outside the fewest largest logits whose weights (or numbers, if count) reach the aim.  memory: 4n floats. */
static void cut(float *weight, const float *logit, int64_t n, float *memory, bool count, double aim)
{
    struct list list = {memory, memory + n, 0}, other = {memory + 2 * n, memory + 3 * n, 0};
    float least;

    for (int64_t i = 0; i < n; i++) {
        list.logit[list.n] = logit[i];
        list.weight[list.n] = count ? 1.0f : weight[i];
        list.n += weight[i] > 0.0f;
    }
    least = threshold(list, other, &aim);
    for (int64_t i = 0; i < n; i++) {
        weight[i] *= (float)(logit[i] >= least);
        if (logit[i] != least || weight[i] == 0.0f)
            continue;
        if (aim > 0.0)
            aim -= count ? 1.0 : weight[i];
        else
            weight[i] = 0.0f;
    }
}

static double block_sum(const float *x, int64_t n)
{
    double lane[LANES] = {0}, sum = 0.0;
    int64_t i = 0;

    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++)
            lane[j] += x[i + j];
    for (; i < n; i++)
        sum += x[i];
    for (int j = 0; j < LANES; j++)
        sum += lane[j];
    return sum;
}

static double sum_of(const float *x, int64_t n)
{
    double sum = 0.0;

    for (int64_t i = 0; i < n; i += BLOCK)
        sum += block_sum(x + i, n - i < BLOCK ? n - i : BLOCK);
    return sum;
}

/* The first of a block whose cumulative weight, from sum on, passes the aim; -1: none does. */
static int64_t find_in(const float *weight, int64_t n, double sum, double aim)
{
    for (int64_t i = 0; i < n; i++)
        if (weight[i] > 0.0f && (sum += weight[i]) > aim)
            return i;
    return -1;
}

/* The first token whose cumulative weight passes the aim; if rounding lets none, the last that has weight. */
static int64_t find(const float *weight, int64_t n, double aim)
{
    double sum = 0.0;
    int64_t last = n - 1;

    for (int64_t from = 0; from < n; from += BLOCK) {
        int64_t count = n - from < BLOCK ? n - from : BLOCK, found;
        double whole = sum + block_sum(weight + from, count);

        if (whole > aim && (found = find_in(weight + from, count, sum, aim)) >= 0)
            return from + found;
        sum = whole;
    }
    while (last > 0 && weight[last] == 0.0f)
        last--;
    return last;
}

/* The first of the largest, whose value is top. */
static int64_t most_likely(const float *logit, int64_t n, float top)
{
    int64_t best = 0;

    while (best < n - 1 && logit[best] != top)
        best++;
    return best;
}

/* Neither NaN nor +infinity? */
static bool usable(const float *logit, int64_t n)
{
    bool good = true;

    for (int64_t i = 0; i < n; i++)
        good &= logit[i] < INFINITY;
    return good;
}

/* memory: 5n floats. */
static int64_t choose(const float *logit, float *memory, int64_t n, float top, struct rng4 r, const struct choose *how)
{
    double u = ((double)((uint64_t)r.v[0] << 21 | r.v[1] >> 11) + 0.5) * 0x1p-53;
    float *weight = memory, *lists = memory + n;

    if (how->temperature == 0.0f)
        return most_likely(logit, n, top);
    for (int64_t i = 0; i < n; i += VEC) {
        int64_t count = n - i < VEC ? n - i : VEC;
        vec x = count == VEC ? vec_load(logit + i) : vec_load_part(logit + i, count, -INFINITY);

        vec_store_part(weight + i, vec_exp((x - top) / how->temperature), count);
    }
    if (how->top_k > 0 && how->top_k < n)
        cut(weight, logit, n, lists, true, (double)how->top_k);
    if (how->top_p < 1.0f)
        cut(weight, logit, n, lists, false, (double)how->top_p * sum_of(weight, n));
    return find(weight, n, u * sum_of(weight, n));
}

int cpu_choose(void *self, tensor_in codes, tensor_in logits, tensor_in step, tensor_in position, const struct choose *how)
{
    int64_t rows = logits->shape[0], n = logits->shape[1], slots = codes->shape[1], now = I32(position)[0];
    const uint32_t *address = step->data;
    float *memory = cpu_scratch(self, (size_t)(par_threads() * 5 * n) * sizeof *memory);

    if (memory == NULL)
        return cpu_lacking(self);
    if (now < 0 || now >= slots)
        return err_set(ERR_ARG, "choice: no place for position %lld", (long long)now);
#pragma omp parallel for schedule(static) if (rows > 1)
    for (int64_t m = 0; m < rows; m++) {
        const float *logit = F32(logits) + m * n;
        float top = vec_largest_of(logit, n);

        struct rng4 r = rng_draw(how->rng, (uint64_t)address[2 * m + 1] << 32 | address[2 * m], (uint64_t)now);

        I32(codes)[m * slots + now] = usable(logit, n) && top > -INFINITY
                                          ? (int32_t)choose(logit, memory + omp_get_thread_num() * 5 * n, n, top, r, how)
                                          : -1;
    }
    return 0;
}

int cpu_next(void *self, tensor_in position, tensor_in slot, tensor_in codes, int64_t width)
{
    int64_t rows = codes->shape[0], slots = codes->shape[1], now = ++I32(position)[0];

    (void)self;
    if (now < 0 || now >= slots)
        return err_set(ERR_ARG, "next: no place for position %lld", (long long)now);
    for (int64_t m = 0; m < rows; m++) {
        I32(slot)[m] = now > 0 ? I32(codes)[m * slots + now - 1] : -1;
        I32(slot)[rows + m] = now > 0 ? -1 : 0;
        I32(slot)[2 * rows + m] = (int32_t)(now / width);
        I32(slot)[3 * rows + m] = (int32_t)(now % width);
    }
    return 0;
}

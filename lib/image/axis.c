/* SPDX-License-Identifier: MIT */
/* axis.c -- a tick is number * 10^exponent with a whole number; only its place is computed in floating point. */
#include "image/axis.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLACK 1e-6L /* of a step: a tick this far outside is inside */

static bool is_log(enum axis_kind kind)
{
    return kind == AXIS_LOG10 || kind == AXIS_LOG2;
}

static long double scaled(enum axis_kind kind, long double value)
{
    return kind == AXIS_LOG10 ? log10l(value) : kind == AXIS_LOG2 ? log2l(value) : value;
}

double axis_scale(enum axis_kind kind, double value)
{
    if (!isfinite(value) || (is_log(kind) && value <= 0))
        return NAN;
    return (double)scaled(kind, value);
}

void axis_init(struct axis *a, enum axis_kind kind, double low, double high, double pad)
{
    long double size = fmaxl(fabsl(low), fabsl(high)), extent;

    *a = (struct axis){kind, low, high};
    if (is_log(kind) && size < 1) /* a logarithm's size is no measure of its value's digits */
        size = 1;
    if (a->high - a->low <= size * 1e-12L) { /* the same but for rounding; labels have digits for no less */
        bool one = is_log(kind) || size == 0 || (kind == AXIS_WHOLE && size < 1e12L);
        long double middle = (a->low + a->high) / 2, half = one ? 1 : size / 10;

        a->low = middle - half;
        a->high = middle + half;
        return;
    }
    extent = a->high - a->low;
    if (kind == AXIS_WHOLE && extent < 1) /* no whole number may lie inside */
        a->kind = AXIS_LINEAR;
    a->low -= pad * extent;
    a->high += pad * extent;
}

double axis_place(const struct axis *a, double value)
{
    return (double)((value - a->low) / (a->high - a->low));
}

/* ---- labels ------------------------------------------------------------------------------------------------------ */

/* 10^e of the highest digit of number * 10^exponent. */
static int magnitude(int64_t number, int exponent)
{
    for (number = llabs(number); number >= 10; number /= 10)
        exponent++;
    return exponent;
}

/* number * 10^exponent with its decimals, exponent <= 0. */
static int write_decimals(char *text, size_t room, int64_t number, int exponent)
{
    char digits[64];
    int places = -exponent, size = snprintf(digits, sizeof digits, "%0*" PRId64, places + 1, (int64_t)llabs(number));

    return snprintf(text, room, "%s%.*s%s%s", number < 0 ? "-" : "", size - places, digits, places ? "." : "",
                    digits + size - places);
}

/* size: the magnitude that chooses the unit, so that all labels of an axis have the same. */
static void label_write(struct tick *t, int64_t number, int exponent, int size)
{
    static const char units[] = " kMGT";
    int unit = size < -3 || size > 14 ? size : size > 3 ? size - size % 3 : 0, written;

    t->power[0] = 0;
    if (number == 0) {
        strcpy(t->label, "0");
        return;
    }
    if (size > 3 && size <= 14 && unit - exponent > 3) /* 1000500 is easier to read than 1.0005M */
        unit = 0;
    for (; exponent > unit; exponent--)
        number *= 10;
    written = write_decimals(t->label, sizeof t->label, number, exponent - unit);
    if (unit != 0 && written > 0 && written < (int)sizeof t->label) {
        if (unit == size && (size < -3 || size > 14))
            snprintf(t->label + written, sizeof t->label - (size_t)written, "e%d", unit);
        else
            snprintf(t->label + written, sizeof t->label - (size_t)written, "%c", units[unit / 3]);
    }
}

/* ---- ticks ------------------------------------------------------------------------------------------------------- */

/* The least of 1, 2, 5 times a power of ten that is not below least. */
static int64_t nice_step(long double least, int *exponent)
{
    static const int64_t steps[] = {1, 2, 5};

    *exponent = (int)floorl(log10l(least));
    for (int i = 0; i < 3; i++)
        if ((long double)steps[i] * powl(10, *exponent) >= least * (1 - SLACK))
            return steps[i];
    ++*exponent;
    return 1;
}

/* Whole multiples of one step from low to high; on a logarithmic axis these are values, not their logarithms. */
static int steps_make(const struct axis *a, long double low, long double high, int most, struct tick *tick)
{
    int exponent, size = INT32_MIN, count = 0;
    int64_t step = nice_step((high - low) / most, &exponent), first, last;
    long double width;

    if (a->kind == AXIS_WHOLE && exponent < 0) {
        step = 1;
        exponent = 0;
    }
    width = (long double)step * powl(10, exponent);
    first = (int64_t)ceill(low / width - SLACK) * step;
    last = (int64_t)floorl(high / width + SLACK) * step;
    for (int64_t n = first; n <= last; n += step)
        if (n != 0 && magnitude(n, exponent) > size)
            size = magnitude(n, exponent);
    for (int64_t n = first; n <= last && count < AXIS_TICKS_MAX; n += step) {
        long double value = (long double)n * powl(10, exponent);

        tick[count].place = (double)((scaled(a->kind, value) - a->low) / (a->high - a->low));
        label_write(&tick[count++], n, exponent, size);
    }
    return count;
}

static void power_label(struct tick *t, const struct axis *a, int64_t exponent)
{
    bool plain = a->kind == AXIS_LOG10 && a->low > -3.5L && a->high < 3.5L;

    if (plain) {
        label_write(t, 1, (int)exponent, (int)exponent);
        return;
    }
    strcpy(t->label, a->kind == AXIS_LOG10 ? "10" : "2");
    snprintf(t->power, sizeof t->power, "%d", (int)exponent);
}

/* Powers of the base, each step-th one, and between powers of ten small ticks at their multiples where there is room. */
static int powers_make(const struct axis *a, int64_t step, struct tick *tick)
{
    int count = 0;
    bool small = a->kind == AXIS_LOG10 && step == 1 && a->high - a->low < 9;

    for (int64_t e = (int64_t)floorl(a->low) - 1; e <= (int64_t)floorl(a->high + SLACK); e++)
        for (int64_t n = 1; n < (small ? 10 : 2) && count < AXIS_TICKS_MAX; n++) {
            long double at = (long double)e + (n > 1 ? log10l((long double)n) : 0);
            struct tick *t = &tick[count];

            if (at < a->low - SLACK || at > a->high + SLACK || (n == 1 && e % step != 0))
                continue;
            *t = (struct tick){.place = (double)((at - a->low) / (a->high - a->low))};
            if (n == 1)
                power_label(t, a, e);
            count++;
        }
    return count;
}

/* 1, 2, 5 times powers of ten. */
static int mantissas_make(const struct axis *a, struct tick *tick)
{
    static const int64_t mantissa[] = {1, 2, 5};
    int count = 0;

    for (int e = (int)floorl(a->low); e <= (int)floorl(a->high + SLACK); e++)
        for (int i = 0; i < 3; i++) {
            long double at = (long double)e + log10l((long double)mantissa[i]);

            if (at < a->low - SLACK || at > a->high + SLACK || count == AXIS_TICKS_MAX)
                continue;
            tick[count].place = (double)((at - a->low) / (a->high - a->low));
            label_write(&tick[count++], mantissa[i], e, e);
        }
    return count;
}

/* A step that leaves two at least, where the kind of axis allows it. */
static int two_steps_make(const struct axis *a, long double low, long double high, int most, struct tick *tick)
{
    int count;

    do
        count = steps_make(a, low, high, most, tick);
    while (count < 2 && ++most <= 10);
    return count;
}

int axis_ticks(const struct axis *a, int most, struct tick tick[AXIS_TICKS_MAX])
{
    long double extent = a->high - a->low;
    int64_t step = 1;
    int count;

    if (!is_log(a->kind))
        return two_steps_make(a, a->low, a->high, most, tick);
    if (extent >= 2) {
        while ((long double)step * most < extent)
            step = a->kind == AXIS_LOG2 || step == 1 ? 2 * step : step == 2 ? 5 : step == 5 ? 10 : 2 * step;
        return powers_make(a, step, tick);
    }
    if (a->kind == AXIS_LOG10 && (count = mantissas_make(a, tick)) >= 3)
        return count;
    return two_steps_make(a, powl(a->kind == AXIS_LOG2 ? 2 : 10, a->low), powl(a->kind == AXIS_LOG2 ? 2 : 10, a->high), most,
                          tick);
}

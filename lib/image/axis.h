/* SPDX-License-Identifier: MIT */
/* axis.h -- from values to places along an axis, and the numbers that stand beside it.
 *
 * An axis works with values as axis_scale gives them: logarithms on a logarithmic axis.
 *
 *   AXIS_LINEAR  ticks at whole multiples of 1, 2 or 5 times a power of ten
 *   AXIS_WHOLE   the same for counts: never closer than 1
 *   AXIS_LOG10   ticks at powers of ten, or of less than two decades at 1, 2, 5, or closer
 *   AXIS_LOG2    ticks at powers of two
 *
 * Labels are exact: they are written from whole numbers, not from floating point values.  0.001 to 9999 stand as they are,
 * 10k, 2.5M, 1G, 3T above, 5e-6 and 2e20 beyond; powers are a base and an exponent.
 *
 * Range    any finite values, the largest, the smallest, and all the same included
 */
#ifndef IMAGE_AXIS_H
#define IMAGE_AXIS_H

enum axis_kind { AXIS_LINEAR, AXIS_WHOLE, AXIS_LOG10, AXIS_LOG2 };

struct axis {
    enum axis_kind kind;
    long double low, high; /* low < high; the type holds the difference of any two doubles */
};

/* The value, or its logarithm; NaN for what has no place on such an axis: NaN, infinities, logarithms of 0 and less. */
double axis_scale(enum axis_kind kind, double value);

/* From low to high, low <= high, finite and scaled.  pad: how much to add on each side, of the whole; a range without extent
 * is widened instead. */
void axis_init(struct axis *a, enum axis_kind kind, double low, double high, double pad);

/* Of a scaled value: 0 at the low end, 1 at the high one. */
double axis_place(const struct axis *a, double scaled);

#define AXIS_TICKS_MAX 100

struct tick {
    double place;     /* 0..1 */
    char label[32];   /* "" for a small one without label */
    char power[8];    /* the label's exponent; "" for none */
};

/* The ticks of an axis with room for about `most` labels, 2..50, in order; returns how many. */
int axis_ticks(const struct axis *a, int most, struct tick tick[AXIS_TICKS_MAX]);

#endif

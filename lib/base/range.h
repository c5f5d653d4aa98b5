/* SPDX-License-Identifier: MIT */
/* range.h -- "MIN:MAX" as programs take it: both ends belong to it and either may be missing; a number alone is the least.
 *
 * Errors   ERR_ARG not two numbers of 0 or more, or the first above the second: *r is unspecified
 */
#ifndef BASE_RANGE_H
#define BASE_RANGE_H

#include <stdbool.h>

#include "base/err.h"

struct range {
    double least, most;
};

extern const struct range range_all; /* everything, the start of a rule that was not asked for */

must_check int range_parse(struct range *r, const char *text);

static inline bool range_holds(const struct range *r, double value)
{
    return value >= r->least && value <= r->most;
}

static inline bool range_is_all(const struct range *r)
{
    return r->least <= range_all.least && r->most >= range_all.most;
}

#endif

/* SPDX-License-Identifier: MIT */
#include "base/range.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct range range_all = {0, INFINITY};

/* The number from text to end, the value given where there is none. */
static bool number(double *value, const char *text, const char *end)
{
    char *behind;

    if (text == end)
        return true;
    if (*text != '.' && (*text < '0' || *text > '9')) /* no sign, no space, no "nan" */
        return false;
    *value = strtod(text, &behind);
    return behind == end && isfinite(*value);
}

int range_parse(struct range *r, const char *text)
{
    const char *colon = strchr(text, ':'), *end = text + strlen(text);

    *r = range_all;
    if (!*text || strcmp(text, ":") == 0 || !number(&r->least, text, colon ? colon : end) ||
        (colon && !number(&r->most, colon + 1, end)))
        return err_set(ERR_ARG, "'%s' is not MIN:MAX", text);
    if (r->least > r->most)
        return err_set(ERR_ARG, "'%s': the first number is above the second", text);
    return 0;
}

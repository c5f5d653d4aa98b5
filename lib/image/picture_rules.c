/* SPDX-License-Identifier: MIT */
#include "image/picture_rules.h"

#include <math.h>
#include <string.h>

const struct picture_rules picture_rules_none = {.aspect = {0, INFINITY}, .side = {0, INFINITY}};

int picture_rules_aspect(struct picture_rules *r, const char *text)
{
    int rc = range_parse(&r->aspect, text);

    r->either_way = false;
    if (rc != 0 || strchr(text, ':'))
        return rc;
    if (r->aspect.least < 1)
        return err_set(ERR_ARG, "'%s' is neither MIN:MAX nor 1 or more", text);
    r->aspect = (struct range){1, r->aspect.least};
    r->either_way = true;
    return 0;
}

bool picture_rules_any(const struct picture_rules *r)
{
    return r->either_way || !range_is_all(&r->aspect) || !range_is_all(&r->side);
}

/* One rounded division, so that 3x10 is 0.3 and the ends of a range belong to it. */
static double ratio(int32_t a, int32_t b)
{
    return (double)a / (double)b;
}

enum picture_rule picture_rules_check(const struct picture_rules *r, const struct image_size *size)
{
    int32_t shorter = size->width < size->height ? size->width : size->height;
    int32_t longer = size->width < size->height ? size->height : size->width;

    if (!range_holds(&r->aspect, r->either_way ? ratio(longer, shorter) : ratio(size->width, size->height)))
        return PICTURE_ASPECT;
    return range_holds(&r->side, shorter) ? PICTURE_KEPT : PICTURE_SIDE;
}

/* SPDX-License-Identifier: MIT */
/* mask.c -- the layer rule.  Easy to get wrong: the paper counts layers from 1, and the last layer's rule wins. */
#include "model/mask.h"

#include <string.h>

static const char *const names[] = {[MASK_DALLE] = "dalle", [MASK_DENSE] = "dense"};

bool mask_parse(enum mask_variant *v, const char *name)
{
    for (int i = 0; i < (int)(sizeof names / sizeof *names); i++)
        if (strcmp(names[i], name) == 0) {
            *v = (enum mask_variant)i;
            return true;
        }
    return false;
}

const char *mask_name(enum mask_variant v)
{
    return names[v];
}

enum attn_kind mask_layer(enum mask_variant v, int64_t layers, int64_t layer)
{
    int64_t i = layer + 1;

    if (v == MASK_DENSE)
        return ATTN_DENSE;
    if (i == layers)
        return ATTN_CONV;
    return (i + 2) % 4 == 0 ? ATTN_COLUMN : ATTN_ROW;
}

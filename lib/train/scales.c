/* SPDX-License-Identifier: MIT */
#include "train/scales.h"

#include <math.h>
#include <stdlib.h>

#define GROWTH (1.0 / 1000) /* of log2, an update */
#define REST 125            /* updates between two divisions */

const char *scaling_name(enum scaling how)
{
    static const char *const names[] = {"none", "fixed", "global", "block"};

    return names[how];
}

int scales_init(struct scales *s, enum scaling how, int blocks, double unit, double first)
{
    *s = (struct scales){.how = how, .blocks = blocks, .unit = unit};
    s->count = how == SCALING_BLOCK ? blocks : how != SCALING_NONE;
    s->scale = calloc((size_t)s->count + 1, sizeof *s->scale);
    s->divided = calloc((size_t)s->count + 1, sizeof *s->divided);
    if (!s->scale || !s->divided) {
        scales_fini(s);
        return err_set(ERR_NOMEM, "no memory for %d gradient scales", blocks);
    }
    for (int i = 0; i < s->count; i++) {
        s->scale[i] = unit * exp2(first);
        s->divided[i] = -1;
    }
    return 0;
}

void scales_fini(struct scales *s)
{
    free(s->scale);
    free(s->divided);
    *s = (struct scales){0};
}

float scales_of(const struct scales *s, int block)
{
    return s->count == 0 || block < 0 ? 1 : (float)s->scale[s->how == SCALING_BLOCK ? block : 0];
}

bool scales_may_fall(const struct scales *s, int block)
{
    return s->how >= SCALING_GLOBAL && block >= 0 && (double)scales_of(s, block) > s->unit * exp2(SCALES_LOW);
}

static double kept_within(const struct scales *s, double scale)
{
    return fmin(fmax(scale, s->unit * exp2(SCALES_LOW)), s->unit * exp2(SCALES_HIGH));
}

void scales_update(struct scales *s, const bool *finite, int64_t t)
{
    for (int i = 0; i < s->count && s->how != SCALING_FIXED; i++) {
        bool good = s->how == SCALING_GLOBAL || finite[i];

        for (int b = 0; s->how == SCALING_GLOBAL && b < s->blocks; b++)
            good = good && finite[b];
        if (good) {
            s->scale[i] = kept_within(s, s->scale[i] * exp2(GROWTH));
        } else if (s->divided[i] < 0 || t - s->divided[i] >= REST) {
            s->scale[i] = kept_within(s, s->scale[i] * sqrt(0.5));
            s->divided[i] = t;
        }
    }
}

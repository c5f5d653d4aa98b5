/* SPDX-License-Identifier: MIT */
#include "train/schedule.h"

#include <math.h>

double schedule_cosine(double from, double to, int64_t over, int64_t t)
{
    if (over <= 0 || t >= over)
        return to;
    return to + (from - to) * 0.5 * (1.0 + cos(3.14159265358979323846 * (double)t / (double)over));
}

double step_size_at(const struct step_size *s, int64_t t)
{
    double lr = s->over > 0 ? schedule_cosine(s->peak, s->end, s->over, t - s->warmup) : s->peak;

    if (t < s->warmup)
        lr = s->peak * (double)(t + 1) / (double)s->warmup;
    for (int i = 0; i < s->halve_count; i++)
        if (t >= s->halve_at[i])
            lr *= 0.5;
    return lr;
}

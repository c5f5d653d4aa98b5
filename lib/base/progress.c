/* SPDX-License-Identifier: MIT */
#include "base/progress.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

double clock_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void progress_start(struct progress *p, const char *name, const char *unit, int64_t total, bool quiet)
{
    *p = (struct progress){.name = name, .unit = unit, .total = total, .quiet = quiet};
    p->terminal = isatty(STDERR_FILENO);
    p->start_s = p->last_s = clock_s();
}

void progress_show(struct progress *p, int64_t done, const char *note)
{
    double now = clock_s(), spent = now - p->start_s;
    double rate = spent > 0 ? (double)(done - p->first) / spent : 0;
    char left[48] = "";

    if (p->quiet || now - p->last_s < (p->terminal ? 0.1 : 30.0))
        return;
    p->last_s = now;
    if (p->total > 0 && rate > 0) {
        long s = (long)((double)(p->total - done) / rate + 0.5);

        snprintf(left, sizeof left, ", %ld:%02ld:%02ld left", s / 3600, s / 60 % 60, s % 60);
    }
    fprintf(stderr, "%s%s: %lld", p->terminal ? "\r\033[K" : "", p->name, (long long)done);
    if (p->total > 0)
        fprintf(stderr, "/%lld", (long long)p->total);
    fprintf(stderr, " %s, %.1f/s%s%s%s", p->unit, rate, left, note ? ", " : "", note ? note : "");
    fputs(p->terminal ? "" : "\n", stderr);
    p->drawn = p->terminal;
    fflush(stderr);
}

void progress_clear(struct progress *p)
{
    if (p->drawn)
        fputs("\r\033[K", stderr);
    p->drawn = false;
}

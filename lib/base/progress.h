/* SPDX-License-Identifier: MIT */
/* progress.h -- one line about long work on stderr: done, rate, time left, and what the caller adds.
 *
 * On a terminal the line is redrawn at most ten times a second; elsewhere a plain line is printed every 30 seconds.
 * Nothing is printed when quiet.
 */
#ifndef BASE_PROGRESS_H
#define BASE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *name;  /* borrowed: the program, in front of the line */
    const char *unit;  /* borrowed: "records", "steps" */
    int64_t total;     /* 0: not known */
    int64_t first;     /* done before the start, by an earlier process: not in the rate */
    bool quiet;
    bool terminal;
    double start_s, last_s; /* monotonic clock */
    bool drawn;        /* a line stands on the terminal */
};

void progress_start(struct progress *p, const char *name, const char *unit, int64_t total, bool quiet);
/* done units so far; note may be NULL, for example "loss 3.21". */
void progress_show(struct progress *p, int64_t done, const char *note);
/* Clear the line, so that other words can be printed. */
void progress_clear(struct progress *p);

double clock_s(void); /* monotonic seconds */

#endif

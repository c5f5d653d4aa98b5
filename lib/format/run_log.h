/* SPDX-License-Identifier: MIT */
/* run_log.h -- the log of a run, line by line: a JSON object each, with a number "step", 0 to 2^53, that never falls.
 *
 * A log may be read while it is written: a last line without its newline that is not whole JSON is passed over, as empty lines
 * are.
 *
 * Memory   the line at hand, at most RUN_LOG_LINE bytes, and its numbers
 * Errors   ERR_IO; ERR_FORMAT not JSON, not an object, no step, a step below the one before, a field that is no number;
 *          ERR_LIMIT a longer line; ERR_NOMEM: all with the file's name, those of a line with its number
 */
#ifndef FORMAT_RUN_LOG_H
#define FORMAT_RUN_LOG_H

#include <jansson.h>

#include "base/lines.h"

#define RUN_LOG_LINE (16u << 20)
#define RUN_LOG_STEP 9007199254740992.0

struct run_log {
    struct lines lines; /* owned; lines.in.name and lines.number are for messages */
    char *path;         /* owned; NULL: stdin */
    json_t *object;     /* owned: the last line read, still there at the end; all numbers are reals; NULL: none yet */
    double step;        /* of object */
    double *value;      /* owned [values]: what run_log_value found; null is NaN */
    size_t values, room;
    int64_t count;      /* lines read */
    bool cut;           /* at the end: a last line that was not whole was passed over */
};

/* path: a file, a run folder (its log.jsonl is meant), or "-" or NULL for stdin.  run_log_close also after a failure. */
must_check int run_log_open(struct run_log *l, const char *path);
/* 1: a line; 0: the end. */
must_check int run_log_next(struct run_log *l);
void run_log_close(struct run_log *l);

enum run_value { RUN_MISSING, RUN_NULL, RUN_NUMBER, RUN_ARRAY };

/* What the line at hand has under a name: one of the four above, its numbers in value[values], or ERR_FORMAT for another
 * thing. */
must_check int run_log_value(struct run_log *l, const char *field);

/* Record a reason with file and line in front: for what a caller does not like in the line at hand. */
int run_log_error(const struct run_log *l, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The numbers and arrays of the last line, "step, loss, scale[32]", as far as they fit. */
void run_log_fields(const struct run_log *l, char *out, size_t room);

/* Names for people: of RUN, RUN/ or RUN/log.jsonl the folder's; of another file its own without ".jsonl"; the whole path where
 * the short name is another's too.  name[count]: the caller frees each; all NULL after a failure. */
must_check int run_log_names(char **name, char *const *path, int count);

#endif

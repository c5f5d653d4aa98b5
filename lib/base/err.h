/* SPDX-License-Identifier: MIT */
/* err.h -- what went wrong, as a code and one line of text.
 *
 * A library function that can fail returns int: 0 or a positive meaning, or a negative ERR_ code,
 * and records the reason: return err_set(ERR_FORMAT, "record %" PRId64, n).
 * err_text() gives the calling thread's last reason back; programs print it after their own name.
 *
 * Errors   err_set returns its code, so that it can stand in a return statement
 * Memory   one fixed buffer a thread; a longer text is cut
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdarg.h>

enum err {
    ERR_ARG = -1,       /* the caller asked for something that makes no sense */
    ERR_IO = -2,        /* the system refused: open, read, write, sync, rename */
    ERR_FORMAT = -3,    /* the bytes are not what the format allows */
    ERR_TRUNCATED = -4, /* the bytes end too early */
    ERR_MISMATCH = -5,  /* two parts are whole but do not belong together (digests, shapes) */
    ERR_LIMIT = -6,     /* a documented limit is passed */
    ERR_NOMEM = -7,     /* no memory */
    ERR_DEVICE = -8,    /* the device failed; final */
    ERR_COMM = -9,      /* another process failed; final */
    ERR_UNSUPPORTED = -10, /* valid, but we do not do it */
    ERR_STOPPED = -11,  /* stopped on request after saving: exit status 75 */
    ERR_EMPTY = -12     /* nothing to work on */
};

#define must_check __attribute__((warn_unused_result))

/* Record the reason and return code. */
int err_set(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same with the text of errno behind it: "cannot open x.tar: No such file or directory". */
int err_errno(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Put where in front of the recorded reason, "x.tar: record 3: ...", and return code. */
int err_at(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The last reason of this thread; never NULL.  Valid until the next err_ call of the thread. */
const char *err_text(void);

#endif

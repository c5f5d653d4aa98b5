/* SPDX-License-Identifier: MIT */
/* err.c -- one buffer a thread. */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char reason[1024] = "no reason recorded";

int err_set(int code, const char *format, ...)
{
    char text[sizeof reason]; /* an argument may be err_text() itself */
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    memcpy(reason, text, sizeof reason);
    return code;
}

int err_errno(int code, const char *format, ...)
{
    int saved = errno;
    char text[sizeof reason];
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    return err_set(code, "%.800s: %s", text, strerror(saved));
}

int err_at(int code, const char *format, ...)
{
    char where[300];
    va_list ap;

    va_start(ap, format);
    vsnprintf(where, sizeof where, format, ap);
    va_end(ap);
    return err_set(code, "%s: %s", where, err_text());
}

const char *err_text(void)
{
    return reason;
}

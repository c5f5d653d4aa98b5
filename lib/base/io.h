/* SPDX-License-Identifier: MIT */
/* io.h -- input and output streams as programs mean them.
 *
 *   in_open:  a path, or "-" or NULL for stdin; refuses binary from a terminal
 *   out_open: a path, or "-" or NULL for stdout; refuses binary to a terminal.  A path is written under a temporary
 *             name beside it; out_commit syncs and renames, so a file that has its name is whole.  A pipe or a device
 *             (/dev/full) is written directly.
 *
 * Errors   ERR_IO with the path and the system's reason; ERR_ARG for a terminal
 * Traps    out_commit of stdout flushes and checks it: a full disk shows there, not before
 */
#ifndef BASE_IO_H
#define BASE_IO_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

struct in {
    FILE *file;       /* owned unless stdin */
    const char *name; /* borrowed path, or "stdin": for messages */
};

struct out {
    FILE *file;   /* owned unless stdout */
    char *path;   /* owned; NULL: stdout */
    char *temp;   /* owned; the name written until out_commit */
    size_t fresh; /* bytes that the system was not asked yet to bring to disk */
};

must_check int in_open(struct in *in, const char *path);
void in_close(struct in *in);

must_check int out_open(struct out *out, const char *path, bool binary);
/* Flush, sync, rename, close.  After a failure the temporary file is gone and path is what it was before. */
must_check int out_commit(struct out *out);
/* Close and remove the temporary file; nothing on a zeroed or committed struct. */
void out_abort(struct out *out);

/* Write all bytes or say why not. */
must_check int out_write(struct out *out, const void *bytes, size_t size);

/* Read up to size bytes, fewer only at the end of the file.  Bytes read, or ERR_IO. */
must_check int64_t in_read(struct in *in, void *bytes, size_t size);

/* A whole file as a NUL-terminated block (*size does not count the NUL), at most limit bytes.  Caller frees *bytes.
 * ERR_IO, ERR_LIMIT, ERR_NOMEM: *bytes is NULL. */
must_check int file_read(const char *path, size_t limit, char **bytes, size_t *size);

/* Write a whole small file by way of a temporary name. */
must_check int file_write(const char *path, const void *bytes, size_t size);

/* A file in folder without a name, open to read and write: it is gone when *fd is closed, however that comes about. */
must_check int temp_open(int *fd, const char *folder);

/* Make a folder and its parents; fine if it is there. */
must_check int folder_make(const char *path);
/* Sync a folder, so that the renames in it last. */
must_check int folder_sync(const char *path);

/* printf into a fresh string; NULL when out of memory.  Caller frees. */
char *text_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif

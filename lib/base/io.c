/* SPDX-License-Identifier: MIT */
/* io.c -- temporary names are "PATH.tmp.XXXXXX" in the same folder, since a rename must stay in one file system. */
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYNC_STEP (8u << 20)

static bool is_standard(const char *path)
{
    return !path || strcmp(path, "-") == 0;
}

char *text_printf(const char *format, ...)
{
    va_list ap;
    char *text;
    int size;

    va_start(ap, format);
    size = vsnprintf(NULL, 0, format, ap);
    va_end(ap);
    if (size < 0 || !(text = malloc((size_t)size + 1)))
        return NULL;
    va_start(ap, format);
    vsnprintf(text, (size_t)size + 1, format, ap);
    va_end(ap);
    return text;
}

int in_open(struct in *in, const char *path)
{
    *in = (struct in){.name = is_standard(path) ? "stdin" : path};
    if (is_standard(path)) {
        if (isatty(STDIN_FILENO))
            return err_set(ERR_ARG, "stdin: is a terminal; give a file or a pipe");
        in->file = stdin;
        return 0;
    }
    in->file = fopen(path, "rb");
    return in->file ? 0 : err_errno(ERR_IO, "%s: cannot open", path);
}

void in_close(struct in *in)
{
    if (in->file && in->file != stdin)
        fclose(in->file);
    in->file = NULL;
}

int64_t in_read(struct in *in, void *bytes, size_t size)
{
    size_t got = fread(bytes, 1, size, in->file);

    if (got < size && ferror(in->file))
        return err_errno(ERR_IO, "%s: cannot read", in->name);
    return (int64_t)got;
}

int out_open(struct out *out, const char *path, bool binary)
{
    struct stat st;
    mode_t mask;
    int fd;

    *out = (struct out){0};
    if (is_standard(path)) {
        if (binary && isatty(STDOUT_FILENO))
            return err_set(ERR_ARG, "stdout: is a terminal; use -o FILE or a pipe");
        out->file = stdout;
        return 0;
    }
    out->path = strdup(path);
    if (out->path && stat(path, &st) == 0 && !S_ISREG(st.st_mode)) { /* a pipe or a device cannot be renamed over */
        if ((out->file = fopen(path, "wb")))
            return 0;
        out_abort(out);
        return err_errno(ERR_IO, "%s: cannot open", path);
    }
    out->temp = text_printf("%s.tmp.XXXXXX", path);
    if (!out->path || !out->temp) {
        out_abort(out);
        return err_set(ERR_NOMEM, "%s: no memory", path);
    }
    if ((fd = mkstemp(out->temp)) < 0) {
        int rc = err_errno(ERR_IO, "%s: cannot create", path);

        free(out->temp); /* nothing to remove */
        out->temp = NULL;
        out_abort(out);
        return rc;
    }
    mask = umask(0);
    umask(mask);
    if (fchmod(fd, 0666 & ~mask) != 0 || !(out->file = fdopen(fd, "wb"))) {
        int rc = err_errno(ERR_IO, "%s: cannot create", path);

        close(fd);
        out_abort(out);
        return rc;
    }
    return 0;
}

int out_write(struct out *out, const void *bytes, size_t size)
{
    if (size && fwrite(bytes, 1, size, out->file) != size) /* of nothing, bytes may be NULL */
        return err_errno(ERR_IO, "%s: cannot write", out->path ? out->path : "stdout");
    out->fresh += size;
    if (out->temp && out->fresh >= SYNC_STEP) { /* so that out_commit has little left to wait for */
        sync_file_range(fileno(out->file), 0, 0, SYNC_FILE_RANGE_WRITE);
        out->fresh = 0;
    }
    return 0;
}

int out_commit(struct out *out)
{
    const char *name = out->path ? out->path : "stdout";
    int rc = 0;

    if (!out->file)
        return 0;
    if (fflush(out->file) != 0 || ferror(out->file))
        rc = err_errno(ERR_IO, "%s: cannot write", name);
    if (out->path) {
        if (rc == 0 && out->temp && fsync(fileno(out->file)) != 0)
            rc = err_errno(ERR_IO, "%s: cannot sync", name);
        if (fclose(out->file) != 0 && rc == 0)
            rc = err_errno(ERR_IO, "%s: cannot close", name);
        out->file = NULL;
        if (rc == 0 && out->temp && rename(out->temp, out->path) != 0)
            rc = err_errno(ERR_IO, "%s: cannot rename", name);
        if (rc == 0) {
            free(out->temp);
            out->temp = NULL;
        }
    }
    out_abort(out);
    return rc;
}

void out_abort(struct out *out)
{
    if (out->file && out->path)
        fclose(out->file);
    if (out->temp)
        unlink(out->temp);
    free(out->temp);
    free(out->path);
    *out = (struct out){0};
}

int file_read(const char *path, size_t limit, char **bytes, size_t *size)
{
    struct in in;
    size_t room = 65536, have = 0;
    char *block = NULL;
    int rc;

    *bytes = NULL;
    if ((rc = in_open(&in, path)) != 0)
        return rc;
    for (;;) {
        char *more = realloc(block, room + 1);
        int64_t got;

        if (!more) {
            rc = err_set(ERR_NOMEM, "%s: no memory", in.name);
            goto out;
        }
        block = more;
        if ((got = in_read(&in, block + have, room - have)) < 0) {
            rc = (int)got;
            goto out;
        }
        have += (size_t)got;
        if (have > limit) {
            rc = err_set(ERR_LIMIT, "%s: more than %zu bytes", in.name, limit);
            goto out;
        }
        if (have < room)
            break;
        room *= 2;
    }
    block[have] = 0;
    *bytes = block;
    *size = have;
    block = NULL;
out:
    free(block);
    in_close(&in);
    return rc;
}

int file_write(const char *path, const void *bytes, size_t size)
{
    struct out out;
    int rc;

    if ((rc = out_open(&out, path, false)) != 0)
        return rc;
    if ((rc = out_write(&out, bytes, size)) != 0) {
        out_abort(&out);
        return rc;
    }
    return out_commit(&out);
}

int temp_open(int *fd, const char *folder)
{
    char *path = text_printf("%s/armchair.tmp.XXXXXX", folder);
    int rc = 0;

    *fd = -1;
    if (!path)
        return err_set(ERR_NOMEM, "%s: no memory", folder);
    if ((*fd = mkstemp(path)) < 0)
        rc = err_errno(ERR_IO, "%s: cannot create a temporary file", folder);
    else
        unlink(path);
    free(path);
    return rc;
}

int folder_make(const char *path)
{
    char *part = strdup(path), *p = part;
    int rc = 0;

    if (!part)
        return err_set(ERR_NOMEM, "%s: no memory", path);
    while (rc == 0 && p) {
        p = strchr(p + 1, '/');
        if (p)
            *p = 0;
        if (*part && mkdir(part, 0777) != 0 && errno != EEXIST)
            rc = err_errno(ERR_IO, "%s: cannot make folder", part);
        if (p)
            *p = '/';
    }
    free(part);
    return rc;
}

int folder_sync(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY);
    int rc = 0;

    if (fd < 0)
        return err_errno(ERR_IO, "%s: cannot open", path);
    if (fsync(fd) != 0)
        rc = err_errno(ERR_IO, "%s: cannot sync", path);
    close(fd);
    return rc;
}

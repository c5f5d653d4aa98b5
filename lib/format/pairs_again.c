/* SPDX-License-Identifier: MIT */
/* pairs_again.c -- one picture once more: a file, or the member that begins at an offset of a tar.  libarchive starts there
 * as if the tar began with it, so that long names and other extra headers are read as they were the first time. */
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "format/pairs_in.h"

#define BLOCK 16384

static int read_data(struct pairs_bytes *to, struct archive *a, const char *place)
{
    la_ssize_t got = 1;
    int rc;

    while (got != 0) {
        if ((rc = pairs_bytes_room(to, to->size + BLOCK)) != 0)
            return rc;
        if ((got = archive_read_data(a, to->at + to->size, to->room - to->size)) < 0)
            return err_set(ERR_FORMAT, "%s: %s", place, archive_error_string(a));
        if ((to->size += (size_t)got) > PAIRS_MEMBER_MAX)
            return err_set(ERR_LIMIT, "%s: a picture of more than %u MiB", place, PAIRS_MEMBER_MAX >> 20);
    }
    return 0;
}

static int read_member(struct pairs_bytes *to, int fd, const char *place, int64_t offset)
{
    struct archive *a = archive_read_new();
    struct archive_entry *entry;
    int rc;

    if (!a)
        return err_set(ERR_NOMEM, "%s: no memory", place);
    archive_read_support_format_tar(a);
    if (lseek(fd, offset, SEEK_SET) != offset)
        rc = err_errno(ERR_IO, "%s: cannot go to byte %" PRId64, place, offset);
    else if (archive_read_open_fd(a, fd, BLOCK) != ARCHIVE_OK || archive_read_next_header(a, &entry) < ARCHIVE_WARN)
        rc = err_set(ERR_FORMAT, "%s: no member at byte %" PRId64 " any more", place, offset);
    else
        rc = read_data(to, a, place);
    archive_read_free(a);
    return rc;
}

int pairs_read_again(uint8_t **bytes, size_t *size, const char *place, int64_t offset)
{
    struct pairs_bytes to = {0};
    char why[PAIRS_PROBLEM_MAX];
    int rc, fd;

    *bytes = NULL;
    *size = 0;
    if (offset < 0) {
        if ((rc = pairs_file_read(place, &to, PAIRS_MEMBER_MAX, why)) > 0)
            rc = err_set(ERR_IO, "%s: %.300s", place, why);
    } else if ((fd = open(place, O_RDONLY | O_CLOEXEC)) < 0) {
        rc = err_errno(ERR_IO, "%s: cannot open", place);
    } else {
        rc = read_member(&to, fd, place, offset);
        close(fd);
    }
    if (rc != 0) {
        free(to.at);
        return rc;
    }
    *bytes = to.at;
    *size = to.size;
    return 0;
}

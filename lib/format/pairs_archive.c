/* SPDX-License-Identifier: MIT */
/* pairs_archive.c -- members of tar and zip archives, in the order in which they stand, through libarchive.
 *
 * Easy to get wrong: a tar that is cut between two members looks to libarchive like its end.  The end mark (a block of
 * zeros) moves the position, so a tar whose position stands still at its end was cut.  A zip that is cut is read from the
 * front and ends where its directory would begin, so the directory's own end is looked for when the file is opened.
 * libarchive gives names in the locale's characters and drops what the locale lacks: names are UTF-8 here whatever the
 * user's locale is, so it runs under one that has them all. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "format/pairs_in.h"

#define BLOCK 65536
#define ZIP_END_MAX (65535 + 22) /* the end record and its comment */

struct archive_state {
    struct archive *archive;     /* owned */
    struct archive_entry *entry; /* borrowed from archive: the member at hand */
    const char *name;            /* borrowed from pairs: the source, for messages */
    struct in in;                /* stdin only */
    locale_t utf8;               /* owned; 0: not to be had */
    char *path;                  /* owned: the member's */
    int64_t position;            /* behind the last member's data, in the unpacked archive */
    int64_t members;
    bool plain;                  /* a file that can be read again from any place */
    bool zip_cut;                /* the file begins as a zip and has no end of its directory */
    int useless;                 /* the error that opening met, 0: none */
    char why[PAIRS_PROBLEM_MAX];
};

static void close_archive(void *state)
{
    struct archive_state *s = state;

    archive_read_free(s->archive);
    if (s->utf8)
        freelocale(s->utf8);
    free(s->path);
    free(s);
}

/* libarchive has one number for all broken formats; its words tell a cut from other damage. */
static int archive_error(const struct archive_state *s)
{
    const char *text = archive_error_string(s->archive);
    int number = archive_errno(s->archive);
    int code = ERR_FORMAT;

    if (!text)
        text = "cannot be read";
    if (strcasestr(text, "truncated") || strcasestr(text, "premature") || strcasestr(text, "unexpected end"))
        code = ERR_TRUNCATED;
    else if (number == ENOMEM)
        code = ERR_NOMEM;
    else if (number == EIO || number == ENOENT || number == EACCES || number == EISDIR)
        code = ERR_IO;
    if (strcasestr(text, "unrecognized archive format"))
        return err_set(code, "%s: neither tar nor zip", s->name);
    return err_set(code, "%s: %s", s->name, text);
}

/* ---- opening --------------------------------------------------------------------------------------------------- */

/* A zip file whose directory's end record is missing? */
static bool is_cut_zip(const char *path)
{
    uint8_t *tail = NULL, first[4];
    struct stat st;
    bool cut = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t size;

    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || pread(fd, first, 4, 0) != 4 ||
        memcmp(first, "PK\3\4", 4) != 0)
        goto out;
    size = st.st_size < ZIP_END_MAX ? (size_t)st.st_size : ZIP_END_MAX;
    if (!(tail = malloc(size)) || pread(fd, tail, size, st.st_size - (off_t)size) != (ssize_t)size)
        goto out;
    cut = true;
    for (const uint8_t *p = tail; cut && (p = memmem(p, size - (size_t)(p - tail), "PK\5\6", 4)); p++)
        cut = p + 22 > tail + size || p + 22 + get_u16(p + 20) > tail + size;
out:
    free(tail);
    if (fd >= 0)
        close(fd);
    return cut;
}

int pairs_archive_open(void **state, const char *path)
{
    struct archive_state *s = calloc(1, sizeof *s);
    bool standard = strcmp(path, "-") == 0;
    struct stat st;
    int rc;

    *state = NULL;
    if (!s || !(s->archive = archive_read_new())) {
        free(s);
        return err_set(ERR_NOMEM, "%s: no memory", path);
    }
    s->name = standard ? "stdin" : path;
    s->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (standard && (rc = in_open(&s->in, path)) != 0)
        goto failed;
    archive_read_support_filter_gzip(s->archive);
    archive_read_support_filter_xz(s->archive);
    archive_read_support_filter_zstd(s->archive);
    archive_read_support_filter_bzip2(s->archive);
    archive_read_support_filter_lz4(s->archive);
    archive_read_support_format_tar(s->archive);
    archive_read_support_format_zip(s->archive);
    archive_read_support_format_empty(s->archive);
    archive_read_set_option(s->archive, "tar", "read_concatenated_archives", "1");
    if (!standard) {
        s->zip_cut = is_cut_zip(path);
        s->plain = stat(path, &st) == 0 && S_ISREG(st.st_mode);
        if (access(path, R_OK) != 0) {
            rc = err_errno(ERR_IO, "%s: cannot open", path);
            goto failed;
        }
    }
    rc = standard ? archive_read_open_fd(s->archive, STDIN_FILENO, BLOCK)
                  : archive_read_open_filename(s->archive, path, BLOCK);
    if (rc != ARCHIVE_OK && (rc = archive_error(s)) != ERR_FORMAT && rc != ERR_TRUNCATED)
        goto failed;
    s->useless = rc; /* damage is met where members are, whether a filter notices it at once or not */
    snprintf(s->why, sizeof s->why, "%s", err_text());
    *state = s;
    return 0;
failed:
    close_archive(s);
    return rc;
}

/* ---- members --------------------------------------------------------------------------------------------------- */

static bool is_tar(const struct archive_state *s)
{
    return (archive_format(s->archive) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_TAR;
}

/* At libarchive's end: was it the archive's own? */
static int check_end(const struct archive_state *s)
{
    if (s->zip_cut)
        return err_set(ERR_TRUNCATED, "%s: cut off: the zip's directory is not whole", s->name);
    if (archive_format(s->archive) == ARCHIVE_FORMAT_EMPTY)
        return err_set(ERR_TRUNCATED, "%s: is empty; an archive without members still has an end mark", s->name);
    if (is_tar(s) && archive_filter_bytes(s->archive, 0) <= s->position)
        return err_set(ERR_TRUNCATED, "%s: cut off after %lld members: no end mark", s->name, (long long)s->members);
    return 0;
}

static int next_header(struct archive_state *s)
{
    locale_t before = s->utf8 ? uselocale(s->utf8) : (locale_t)0;
    int rc = archive_read_next_header(s->archive, &s->entry);

    if (s->utf8)
        uselocale(before);
    return rc;
}

static int next_archive(void *state, const char **path)
{
    struct archive_state *s = state;

    if (s->useless)
        return err_set(s->useless, "%s", s->why);
    for (;;) {
        const char *name;
        int rc;

        if (s->entry && archive_read_data_skip(s->archive) == ARCHIVE_FATAL)
            return archive_error(s);
        s->position = archive_filter_bytes(s->archive, 0);
        s->entry = NULL;
        rc = next_header(s);
        if (rc == ARCHIVE_EOF)
            return check_end(s);
        if (rc == ARCHIVE_RETRY)
            continue;
        if (rc == ARCHIVE_FATAL || rc == ARCHIVE_FAILED)
            return archive_error(s);
        s->members++;
        name = archive_entry_pathname(s->entry);
        if (!name)
            return err_set(ERR_FORMAT, "%s: member %lld has no name", s->name, (long long)s->members);
        name = pairs_skip_dot_slash(name);
        if (archive_entry_filetype(s->entry) == AE_IFDIR || !pairs_dot(name))
            continue;
        free(s->path);
        if (!(s->path = strdup(name)))
            return err_set(ERR_NOMEM, "%s: no memory", s->name);
        *path = s->path;
        return 1;
    }
}

static int read_archive(void *state, struct pairs_bytes *to, size_t limit, char problem[PAIRS_PROBLEM_MAX])
{
    struct archive_state *s = state;
    int rc;

    to->size = 0;
    if (archive_entry_hardlink(s->entry) || archive_entry_filetype(s->entry) != AE_IFREG) {
        snprintf(problem, PAIRS_PROBLEM_MAX, "is a link or a device, not a file");
        return 1;
    }
    if (archive_entry_size_is_set(s->entry) && archive_entry_size(s->entry) > (int64_t)limit)
        return pairs_too_large(limit, problem);
    for (;;) {
        la_ssize_t got;

        if ((rc = pairs_bytes_room(to, to->size + BLOCK + 1)) != 0)
            return rc;
        got = archive_read_data(s->archive, to->at + to->size, to->room - 1 - to->size);
        if (got == ARCHIVE_RETRY)
            continue;
        if (got == ARCHIVE_FATAL)
            return archive_error(s);
        if (got < 0) { /* of this member alone: a wrong checksum, a method that libarchive lacks, a password */
            const char *text = archive_error_string(s->archive);

            snprintf(problem, PAIRS_PROBLEM_MAX, "%.200s", text ? text : "cannot be unpacked");
            return 1;
        }
        if (got == 0)
            break;
        to->size += (size_t)got;
        if (to->size > limit)
            return pairs_too_large(limit, problem);
    }
    to->at[to->size] = 0;
    return 0;
}

/* A plain tar's member can be read on its own from where its header begins. */
static bool place_in_archive(void *state, const char **path, int64_t *offset)
{
    struct archive_state *s = state;

    *path = s->name;
    *offset = archive_read_header_position(s->archive);
    return s->plain && is_tar(s) && archive_filter_code(s->archive, 0) == ARCHIVE_FILTER_NONE;
}

const struct pairs_feed pairs_archive = {next_archive, read_archive, place_in_archive, close_archive};

/* ---- is it one? ------------------------------------------------------------------------------------------------ */

bool pairs_is_source(const char *path)
{
    static const struct { const char *magic; size_t size, at; } kinds[] = {
        {"ustar", 5, 257}, {"PK\3\4", 4, 0}, {"PK\5\6", 4, 0}, {"\x1f\x8b", 2, 0}, {"\xfd" "7zXZ\0", 6, 0},
        {"\x28\xb5\x2f\xfd", 4, 0}, {"BZh", 3, 0}, {"\x04\x22\x4d\x18", 4, 0}};
    uint8_t head[262] = {0};
    struct stat st;
    FILE *file;
    size_t got;

    if (!path || strcmp(path, "-") == 0)
        return false;
    if (path[0] == '@')
        return true;
    if (stat(path, &st) != 0)
        return false;
    if (S_ISDIR(st.st_mode))
        return true;
    if (!S_ISREG(st.st_mode) || !(file = fopen(path, "rb"))) /* a pipe cannot be looked into without taking from it */
        return false;
    got = fread(head, 1, sizeof head, file);
    fclose(file);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (got >= kinds[i].at + kinds[i].size && memcmp(head + kinds[i].at, kinds[i].magic, kinds[i].size) == 0)
            return true;
    return false;
}

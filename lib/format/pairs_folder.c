/* SPDX-License-Identifier: MIT */
/* pairs_folder.c -- the files of a folder: of each folder first its files in byte order of their names, then its folders,
 * so that the members of a pair stand together.  Held are the names of the folders on the way down, no more.
 * Links to files are followed, links to folders are not: there are no cycles. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/pairs_in.h"

struct entry {
    bool folder;
    char *name; /* owned */
};

struct level {
    char *path;          /* owned: below the source, "" for the source itself */
    struct entry *entry; /* owned */
    size_t count, at;
};

struct folder_state {
    const char *name;    /* borrowed from pairs: the source */
    struct level *level; /* owned: the way down */
    size_t depth;
    char *path;          /* owned: the file at hand, below the source */
    char *full;          /* owned: the same with the source in front, where it was asked for */
};

static void level_fini(struct level *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->entry[i].name);
    free(l->entry);
    free(l->path);
}

static void close_folder(void *state)
{
    struct folder_state *s = state;

    while (s->depth > 0)
        level_fini(&s->level[--s->depth]);
    free(s->level);
    free(s->path);
    free(s->full);
    free(s);
}

static int compare_entry(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    return x->folder != y->folder ? (int)x->folder - (int)y->folder : strcmp(x->name, y->name);
}

/* 1: a file, 2: a folder, 0: neither. */
static int kind_of(int fd, const struct dirent *d)
{
    struct stat st;

    if (d->d_name[0] == '.')
        return 0;
    if (d->d_type == DT_REG)
        return 1;
    if (d->d_type == DT_DIR)
        return 2;
    if (fstatat(fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return 0;
    if (S_ISDIR(st.st_mode))
        return 2;
    if (S_ISLNK(st.st_mode) && fstatat(fd, d->d_name, &st, 0) != 0)
        return 1; /* a link to nothing: reading it says so */
    return S_ISREG(st.st_mode) ? 1 : 0;
}

static int fill_level(struct level *l, DIR *dir)
{
    struct dirent *d;
    size_t room = 0;

    while ((d = readdir(dir))) {
        int kind = kind_of(dirfd(dir), d);

        if (kind == 0)
            continue;
        if (l->count == room) {
            struct entry *more = realloc(l->entry, (room = room ? 2 * room : 64) * sizeof *more);

            if (!more)
                return err_set(ERR_NOMEM, "no memory");
            l->entry = more;
        }
        if (!(l->entry[l->count].name = strdup(d->d_name)))
            return err_set(ERR_NOMEM, "no memory");
        l->entry[l->count++].folder = kind == 2;
    }
    if (l->count > 0)
        qsort(l->entry, l->count, sizeof *l->entry, compare_entry);
    return 0;
}

/* Go down into path (below the source; taken over, also after a failure). */
static int push_level(struct folder_state *s, char *path)
{
    struct level l = {.path = path}, *more = realloc(s->level, (s->depth + 1) * sizeof *more);
    char *full = path ? text_printf("%s%s%s", s->name, *path ? "/" : "", path) : NULL;
    DIR *dir = NULL;
    int rc;

    if (more)
        s->level = more;
    if (!more || !full) {
        rc = err_set(ERR_NOMEM, "%s: no memory", s->name);
        goto out;
    }
    if (!(dir = opendir(full))) {
        rc = err_errno(ERR_IO, "%s: cannot open", full);
        goto out;
    }
    rc = fill_level(&l, dir);
out:
    if (dir)
        closedir(dir);
    free(full);
    if (rc == 0)
        s->level[s->depth++] = l;
    else
        level_fini(&l);
    return rc;
}

int pairs_folder_open(void **state, const char *path)
{
    struct folder_state *s = calloc(1, sizeof *s);
    int rc;

    *state = NULL;
    if (!s)
        return err_set(ERR_NOMEM, "%s: no memory", path);
    s->name = path;
    if ((rc = push_level(s, strdup(""))) != 0) {
        close_folder(s);
        return rc;
    }
    *state = s;
    return 0;
}

static int next_folder(void *state, const char **path)
{
    struct folder_state *s = state;

    while (s->depth > 0) {
        struct level *l = &s->level[s->depth - 1];
        char *below;
        int rc;

        if (l->at == l->count) {
            level_fini(l);
            s->depth--;
            continue;
        }
        below = text_printf("%s%s%s", l->path, *l->path ? "/" : "", l->entry[l->at].name);
        if (!below)
            return err_set(ERR_NOMEM, "%s: no memory", s->name);
        if (l->entry[l->at++].folder) {
            if ((rc = push_level(s, below)) != 0)
                return rc;
            continue;
        }
        free(s->path);
        *path = s->path = below;
        return 1;
    }
    return 0;
}

int pairs_too_large(size_t limit, char problem[PAIRS_PROBLEM_MAX])
{
    bool whole = limit % (1 << 20) == 0;

    snprintf(problem, PAIRS_PROBLEM_MAX, "larger than %zu %s", whole ? limit >> 20 : limit, whole ? "MiB" : "bytes");
    return 1;
}

int pairs_file_read(const char *path, struct pairs_bytes *to, size_t limit, char problem[PAIRS_PROBLEM_MAX])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc = 0; /* NONBLOCK: a fifo must not stop us */
    struct stat st;
    ssize_t got = 1;

    to->size = 0;
    if (fd < 0 || fstat(fd, &st) != 0) {
        snprintf(problem, PAIRS_PROBLEM_MAX, "cannot open: %s", strerror(errno));
        rc = 1;
    } else if (!S_ISREG(st.st_mode)) {
        snprintf(problem, PAIRS_PROBLEM_MAX, "is not a plain file");
        rc = 1;
    }
    while (rc == 0 && got > 0) {
        if ((rc = pairs_bytes_room(to, to->size + 65536 + 1)) != 0)
            break;
        if ((got = read(fd, to->at + to->size, to->room - 1 - to->size)) < 0) {
            snprintf(problem, PAIRS_PROBLEM_MAX, "cannot read: %s", strerror(errno));
            rc = 1;
        } else if ((to->size += (size_t)got) > limit) {
            rc = pairs_too_large(limit, problem);
        }
    }
    if (rc == 0)
        to->at[to->size] = 0;
    if (fd >= 0)
        close(fd);
    return rc;
}

static int read_folder(void *state, struct pairs_bytes *to, size_t limit, char problem[PAIRS_PROBLEM_MAX])
{
    struct folder_state *s = state;
    char *full = text_printf("%s/%s", s->name, s->path);
    int rc;

    if (!full)
        return err_set(ERR_NOMEM, "%s: no memory", s->name);
    rc = pairs_file_read(full, to, limit, problem);
    free(full);
    return rc;
}

static bool place_in_folder(void *state, const char **path, int64_t *offset)
{
    struct folder_state *s = state;

    free(s->full);
    s->full = text_printf("%s/%s", s->name, s->path);
    *path = s->full;
    *offset = -1;
    return s->full != NULL;
}

const struct pairs_feed pairs_folder = {next_folder, read_folder, place_in_folder, close_folder};

/* SPDX-License-Identifier: MIT */
/* run.c -- order of a commit: files synced, folder synced, folder renamed, run synced, latest replaced, old ones removed.
 * A kill between any two steps leaves either the old latest or a whole newer folder.  Removal renames to *.tmp first, so
 * a folder that has its name is whole also while it goes. */
#include "format/run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "format/st.h"

static int join(char path[RUN_PATH_MAX], const char *folder, const char *name)
{
    int size = snprintf(path, RUN_PATH_MAX, "%s/%s", folder, name);

    return size < RUN_PATH_MAX ? 0 : err_set(ERR_LIMIT, "%s/%s: name too long", folder, name);
}

static int step_path(char path[RUN_PATH_MAX], const char *run, int64_t step, const char *suffix)
{
    char name[64];

    if (step < 0)
        return err_set(ERR_ARG, "%s: step %" PRId64, run, step);
    snprintf(name, sizeof name, "ckpt-%08" PRId64 "%s", step, suffix);
    return join(path, run, name);
}

/* The step of "ckpt-STEP", or -1. */
static int64_t step_of(const char *name)
{
    char *end;
    long long step;

    if (strncmp(name, "ckpt-", 5) != 0 || name[5] < '0' || name[5] > '9')
        return -1;
    errno = 0;
    step = strtoll(name + 5, &end, 10);
    return *end || errno ? -1 : step;
}

static bool is_folder(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool is_file(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static bool ends_with(const char *text, const char *end)
{
    size_t a = strlen(text), b = strlen(end);

    return a >= b && strcmp(text + a - b, end) == 0;
}

/* model.safetensors is there, and every safetensors file is as long as its header says. */
static bool is_whole(const char *folder)
{
    char path[RUN_PATH_MAX];
    struct dirent *entry;
    bool whole = true, model = false;
    DIR *dir = opendir(folder);

    if (!dir)
        return false;
    while (whole && (entry = readdir(dir))) {
        struct st_file *f = NULL;

        if (!ends_with(entry->d_name, ".safetensors"))
            continue;
        whole = join(path, folder, entry->d_name) == 0 && st_open(&f, path) == 0;
        st_close(f);
        model |= strcmp(entry->d_name, "model.safetensors") == 0;
    }
    closedir(dir);
    return whole && model;
}

/* ---- which file ------------------------------------------------------------------------------------------------ */

int run_latest(char folder[RUN_PATH_MAX], int64_t *step, const char *run)
{
    char path[RUN_PATH_MAX], *name;
    size_t size;
    int found = 0;

    if (join(path, run, "latest") != 0 || !is_file(path) || file_read(path, 255, &name, &size) != 0)
        return 0;
    name[strcspn(name, "\r\n")] = 0;
    *step = step_of(name);
    if (*step >= 0)
        found = join(folder, run, name) == 0;
    free(name);
    return found;
}

int run_newest(char folder[RUN_PATH_MAX], int64_t *step, const char *run)
{
    char path[RUN_PATH_MAX];
    struct dirent *entry;
    int found = 0, rc = 0;
    DIR *dir;

    if (run_latest(folder, step, run) && is_whole(folder))
        return 1;
    if (!(dir = opendir(run)))
        return errno == ENOENT ? 0 : err_errno(ERR_IO, "%s: cannot open", run);
    while (rc == 0 && (entry = readdir(dir))) {
        int64_t s = step_of(entry->d_name);

        if (s < 0 || (found && s <= *step) || (rc = join(path, run, entry->d_name)) != 0 || !is_whole(path))
            continue;
        memcpy(folder, path, RUN_PATH_MAX);
        *step = s;
        found = 1;
    }
    closedir(dir);
    return rc != 0 ? rc : found;
}

int run_weights(char file[RUN_PATH_MAX], const char *path, bool raw)
{
    char folder[RUN_PATH_MAX];
    int64_t step;
    int rc;

    if (!is_folder(path)) {
        if (strlen(path) >= RUN_PATH_MAX)
            return err_set(ERR_LIMIT, "%s: name too long", path);
        if (access(path, R_OK) != 0)
            return err_errno(ERR_IO, "%s: cannot open", path);
        strcpy(file, path);
        return 0;
    }
    if ((rc = join(file, path, "model.safetensors")) != 0)
        return rc;
    if (is_file(file)) { /* a checkpoint folder; a user may have copied it under any name */
        if (ends_with(path, ".tmp") || ends_with(path, ".tmp/"))
            return err_set(ERR_TRUNCATED, "%s: a checkpoint that was not finished", path);
        strcpy(folder, path);
    } else {
        if ((rc = run_newest(folder, &step, path)) < 0)
            return rc;
        if (rc == 0)
            return err_set(ERR_EMPTY, "%s: no whole checkpoint in this folder", path);
    }
    if (!raw) {
        if ((rc = join(file, folder, "ema.safetensors")) != 0)
            return rc;
        if (is_file(file))
            return 0;
    }
    return join(file, folder, "model.safetensors");
}

/* ---- writing --------------------------------------------------------------------------------------------------- */

/* Remove a folder of plain files. */
static int remove_folder(const char *folder)
{
    char path[RUN_PATH_MAX];
    struct dirent *entry;
    DIR *dir = opendir(folder);
    int rc = 0;

    if (!dir)
        return err_errno(ERR_IO, "%s: cannot open", folder);
    while (rc == 0 && (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if ((rc = join(path, folder, entry->d_name)) == 0 && unlink(path) != 0)
            rc = err_errno(ERR_IO, "%s: cannot remove", path);
    }
    closedir(dir);
    if (rc == 0 && rmdir(folder) != 0)
        rc = err_errno(ERR_IO, "%s: cannot remove", folder);
    return rc;
}

/* What a killed writer left: ckpt-*.tmp folders and unfinished copies of latest. */
static int clear_dead(const char *run)
{
    char path[RUN_PATH_MAX];
    struct dirent *entry;
    DIR *dir = opendir(run);
    int rc = 0;

    if (!dir)
        return err_errno(ERR_IO, "%s: cannot open", run);
    while (rc == 0 && (entry = readdir(dir))) {
        const char *name = entry->d_name;

        if (strncmp(name, "latest.tmp.", 11) == 0) {
            if ((rc = join(path, run, name)) == 0 && unlink(path) != 0)
                rc = err_errno(ERR_IO, "%s: cannot remove", path);
        } else if (strncmp(name, "ckpt-", 5) == 0 && ends_with(name, ".tmp")) {
            if ((rc = join(path, run, name)) == 0)
                rc = remove_folder(path);
        }
    }
    closedir(dir);
    return rc;
}

int run_begin(char temp[RUN_PATH_MAX], const char *run, int64_t step)
{
    int rc;

    if ((rc = step_path(temp, run, step, ".tmp")) != 0 || (rc = folder_make(run)) != 0 || (rc = clear_dead(run)) != 0)
        return rc;
    return folder_make(temp);
}

static int sync_files(const char *folder)
{
    char path[RUN_PATH_MAX];
    struct dirent *entry;
    DIR *dir = opendir(folder);
    int rc = 0;

    if (!dir)
        return err_errno(ERR_IO, "%s: cannot open", folder);
    while (rc == 0 && (entry = readdir(dir))) {
        int fd;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if ((rc = join(path, folder, entry->d_name)) != 0)
            break;
        if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0 || fsync(fd) != 0)
            rc = err_errno(ERR_IO, "%s: cannot sync", path);
        if (fd >= 0)
            close(fd);
    }
    closedir(dir);
    return rc != 0 ? rc : folder_sync(folder);
}

/* The name may be taken where a run went back to an older checkpoint: swap both, so that one whole folder has the name
 * at every moment; temp is then the old one.  File systems without a swap (NFS) have a moment without either. */
static int put_in_place(const char *temp, const char *final)
{
    char old[RUN_PATH_MAX];

    if (rename(temp, final) == 0)
        return 0;
    if (errno != ENOTEMPTY && errno != EEXIST)
        return err_errno(ERR_IO, "%s: cannot rename", temp);
    if (renameat2(AT_FDCWD, temp, AT_FDCWD, final, RENAME_EXCHANGE) == 0)
        return 0;
    if (snprintf(old, sizeof old, "%s.old.tmp", final) >= RUN_PATH_MAX)
        return err_set(ERR_LIMIT, "%s: name too long", final);
    if (rename(final, old) != 0 || rename(temp, final) != 0)
        return err_errno(ERR_IO, "%s: cannot replace", final);
    return remove_folder(old);
}

static int compare_step(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? 1 : x > y ? -1 : 0;
}

/* Keep the newest of those up to step; later ones (of a run that was taken back) stay until they are written again. */
static int remove_old(const char *run, int64_t step, int keep)
{
    char path[RUN_PATH_MAX], temp[RUN_PATH_MAX];
    struct dirent *entry;
    DIR *dir = opendir(run);
    int64_t *steps = NULL;
    int count = 0, rc = 0;

    if (!dir)
        return err_errno(ERR_IO, "%s: cannot open", run);
    while (rc == 0 && (entry = readdir(dir))) {
        int64_t s = step_of(entry->d_name), *more;

        if (s < 0 || s > step)
            continue;
        if ((more = realloc(steps, sizeof *steps * (size_t)(count + 1)))) {
            steps = more;
            steps[count++] = s;
        } else {
            rc = err_set(ERR_NOMEM, "no memory");
        }
    }
    closedir(dir);
    if (count > 0)
        qsort(steps, (size_t)count, sizeof *steps, compare_step);
    for (int i = keep; rc == 0 && i < count; i++) {
        if ((rc = step_path(path, run, steps[i], "")) != 0 || (rc = step_path(temp, run, steps[i], ".tmp")) != 0)
            break;
        if (rename(path, temp) == 0)
            rc = remove_folder(temp);
        else if (errno != ENOENT) /* ENOENT: written with other zeros in its number; not ours to remove */
            rc = err_errno(ERR_IO, "%s: cannot remove", path);
    }
    free(steps);
    return rc;
}

int run_commit(const char *run, int64_t step, int keep)
{
    char temp[RUN_PATH_MAX], final[RUN_PATH_MAX], latest[RUN_PATH_MAX];
    int rc;

    if ((rc = step_path(temp, run, step, ".tmp")) != 0 || (rc = step_path(final, run, step, "")) != 0 ||
        (rc = join(latest, run, "latest")) != 0)
        return rc;
    if (!is_whole(temp))
        return err_set(ERR_ARG, "%s: no whole model.safetensors in it", temp);
    if ((rc = sync_files(temp)) != 0 || (rc = put_in_place(temp, final)) != 0 || (rc = folder_sync(run)) != 0)
        return rc;
    if (is_folder(temp) && (rc = remove_folder(temp)) != 0)
        return rc;
    strcpy(temp, strrchr(final, '/') + 1);
    strcat(temp, "\n");
    if ((rc = file_write(latest, temp, strlen(temp))) != 0 || (rc = folder_sync(run)) != 0)
        return rc;
    return keep > 0 ? remove_old(run, step, keep) : 0;
}

int run_lock(const char *run)
{
    char path[RUN_PATH_MAX];
    int fd, rc;

    if ((rc = folder_make(run)) != 0 || (rc = join(path, run, "lock")) != 0)
        return rc;
    if ((fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666)) < 0)
        return err_errno(ERR_IO, "%s: cannot open", path);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return 0; /* fd stays open: the lock is the process's until it ends */
    rc = errno == EWOULDBLOCK ? err_set(ERR_IO, "%s: another trainer writes here", run)
                              : err_errno(ERR_IO, "%s: cannot lock", path);
    close(fd);
    return rc;
}

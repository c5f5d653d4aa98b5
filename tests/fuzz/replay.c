/* SPDX-License-Identifier: MIT */
/* replay.c -- a main for fuzz harnesses without a fuzzer: runs the harness over files, and over all files of folders.
 *
 *   tests/fuzz/NAME PATH...     exit status 1 when a path cannot be read or there was no file at all
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"

#define FILE_MAX (64u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int files;

static int replay_file(const char *path)
{
    char *bytes;
    uint8_t *exact;
    size_t size;

    if (file_read(path, FILE_MAX, &bytes, &size) != 0) {
        fprintf(stderr, "%s\n", err_text());
        return -1;
    }
    exact = malloc(size ? size : 1); /* without the NUL that file_read adds: a byte too far shows under asan */
    if (!exact)
        return -1;
    memcpy(exact, bytes, size);
    free(bytes);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    files++;
    return 0;
}

static int is_visible(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static int replay_folder(const char *path)
{
    struct dirent **entry;
    int rc = 0, n = scandir(path, &entry, is_visible, alphasort);

    for (int i = 0; i < n; i++) {
        char *name = text_printf("%s/%s", path, entry[i]->d_name);

        if (!name || replay_file(name) != 0)
            rc = -1;
        free(name);
        free(entry[i]);
    }
    if (n < 0)
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
    else
        free(entry);
    return n < 0 ? -1 : rc;
}

int main(int argc, char **argv)
{
    struct stat st;
    int failed = 0;

    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++)
        if ((stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode) ? replay_folder(argv[i]) : replay_file(argv[i])) != 0)
            failed = 1;
    printf("%d files\n", files);
    return failed || files == 0;
}

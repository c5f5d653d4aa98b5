/* SPDX-License-Identifier: MIT */
/* pairs.c -- any bytes as an archive and as a list of captions, and any key as a file name. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "format/pairs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A name stays below the folder whatever the key is. */
static void check_name(const char *key)
{
    char *path;

    if (name_from_key(&path, "out/%k-%n.png", key, 1) != 0)
        return;
    if (strncmp(path, "out/", 4) != 0 || strstr(path, "/../") || strstr(path, "//") || strstr(path, "/./") ||
        strchr(path, '\n'))
        abort();
    free(path);
}

static void read_all(const char *source, int want)
{
    struct pairs_writer *w;
    struct out nowhere;
    struct pairs *p;
    struct pair r;

    if (pairs_open(&p, source, want) != 0)
        return;
    if (out_open(&nowhere, "/dev/null", true) != 0 || pairs_create(&w, &nowhere) != 0)
        abort();
    while (pairs_next(p, &r) > 0) {
        volatile uint8_t last = 0;

        if (!r.key || !r.source || (!r.problem && (want & PAIRS_CAPTION) && !r.caption) ||
            (!r.problem && (want & PAIRS_PICTURE) && !r.picture))
            abort();
        if (r.caption && (strlen(r.caption) != r.caption_size || r.caption_size > PAIRS_CAPTION_MAX))
            abort();
        if (r.picture_size)
            last = r.picture[r.picture_size - 1];
        (void)last;
        check_name(r.key);
        if (!r.problem && pairs_copy(w, &r) != 0)
            abort();
    }
    pairs_drop(w);
    out_abort(&nowhere);
    pairs_close(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64], key[4097];
    int fd = memfd_create("pairs", 0);

    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "@/proc/self/fd/%d", fd);
    pairs_is_source(path + 1);
    read_all(path + 1, PAIRS_CAPTION | PAIRS_PICTURE);
    read_all(path + 1, PAIRS_CAPTION | PAIRS_PICTURE | PAIRS_EXTRA);
    if (size > 0 && !memchr(data, '{', size)) /* captions alone: no other file is opened */
        read_all(path, PAIRS_CAPTION);
    snprintf(key, sizeof key, "%.*s", size < 4096 ? (int)size : 4096, (const char *)data);
    check_name(key);
    close(fd);
    return 0;
}

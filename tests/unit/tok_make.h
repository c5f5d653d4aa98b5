/* SPDX-License-Identifier: MIT */
/* tok_make.h -- token streams for tests: record i is a function of i, so that readers can be checked against it. */
#ifndef TESTS_UNIT_TOK_MAKE_H
#define TESTS_UNIT_TOK_MAKE_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/io.h"
#include "base/rng.h"
#include "format/tok.h"

struct made {
    struct tok_record record;
    char key[32];
    uint16_t text[64], image[64];
};

static inline struct tok_header make_header(enum tok_kind kind)
{
    struct tok_header h = {.kind = kind, .provenance = (char *)(uintptr_t)"first 0.1 --seed=1\n"};

    if (kind & TOK_TEXT) {
        h.text_vocab = 300;
        h.text_slots = 9;
        memset(h.text_digest.byte, 0x5a, DIGEST_SIZE);
    }
    if (kind & TOK_IMAGE) {
        h.image_vocab = 40000;
        h.grid_h = 2;
        h.grid_w = 3;
        memset(h.image_digest.byte, 0xc3, DIGEST_SIZE);
    }
    return h;
}

/* Record i; h has at most 64 text slots and image tokens. */
static inline void make_record(struct made *m, const struct tok_header *h, uint64_t i)
{
    struct rng r = {7, RNG_TEST};
    uint32_t image = h->kind & TOK_IMAGE ? h->grid_h * h->grid_w : 0;
    uint32_t text = h->kind & TOK_TEXT ? (uint32_t)rng_below(r, i, 1000, h->text_slots) : 0;
    int size = snprintf(m->key, sizeof m->key, "key/%llu", (unsigned long long)i);

    m->record = (struct tok_record){.key = m->key, .key_size = (uint32_t)size, .variant = (uint32_t)(i % 3),
                                    .text_count = text, .image_count = image,
                                    .text = h->kind & TOK_TEXT ? m->text : NULL,
                                    .image = h->kind & TOK_IMAGE ? m->image : NULL};
    for (uint32_t j = 0; j < text; j++)
        m->text[j] = (uint16_t)rng_below(r, i, j, h->text_vocab);
    for (uint32_t j = 0; j < image; j++)
        m->image[j] = (uint16_t)rng_below(r, i, 100 + j, h->image_vocab);
}

/* A file of records from..from+n-1. */
static inline void make_part(const char *path, const struct tok_header *h, const char *line, bool shard, int from, int n)
{
    struct tok_writer *w;
    struct out out;
    struct made m;

    assert_int_equal(out_open(&out, path, true), 0);
    assert_int_equal(tok_create(&w, &out, h, line, shard), 0);
    for (int i = from; i < from + n; i++) {
        make_record(&m, h, (uint64_t)i);
        assert_int_equal(tok_put(w, &m.record), 0);
    }
    assert_int_equal(tok_end(w), 0);
    assert_int_equal(out_commit(&out), 0);
}

static inline void make_stream(const char *path, const struct tok_header *h, const char *line, bool shard, int n)
{
    make_part(path, h, line, shard, 0, n);
}

static inline uint8_t *slurp(const char *path, size_t *size)
{
    char *bytes;

    assert_int_equal(file_read(path, 1 << 30, &bytes, size), 0);
    return (uint8_t *)bytes;
}

/* A plain write: no sync, since these tests write thousands of files. */
static inline void spill(const char *path, const void *bytes, size_t size)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

/* Change one byte of a file in place. */
static inline void poke(const char *path, size_t at, uint8_t byte)
{
    int fd = open(path, O_WRONLY);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    close(fd);
}

static inline char *make_folder(void)
{
    const char *base = getenv("TMPDIR");
    char *name = text_printf("%s/tok.XXXXXX", base ? base : "/tmp");

    assert_non_null(name);
    assert_non_null(mkdtemp(name));
    return name;
}

/* Remove the folder and the files in it; frees name. */
static inline void remove_folder(char *name)
{
    DIR *d = opendir(name);
    struct dirent *e;

    assert_non_null(d);
    while ((e = readdir(d)))
        if (e->d_name[0] != '.') {
            char *path = text_printf("%s/%s", name, e->d_name);

            unlink(path);
            free(path);
        }
    closedir(d);
    rmdir(name);
    free(name);
}

#endif

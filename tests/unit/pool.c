/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/par.h"
#include "image/picture_out.h"
#include "image/pool.h"
#include "image/stream.h"

#define COUNT 70 /* more than one group */
#define SIDE 8

static char folder[] = "/tmp/armchair-pool-XXXXXX", tar[64], bad[64];

/* COUNT pictures of different sizes, their keys long enough for extra headers in between; bad: one of them is cut short. */
static int write_tar(const char *path, int damaged)
{
    struct out out;
    struct pairs_writer *w;
    int rc;

    if ((rc = out_open(&out, path, true)) != 0 || (rc = pairs_create(&w, &out)) != 0)
        return rc;
    for (int i = 0; i < COUNT; i++) {
        struct image picture;
        uint8_t *png;
        size_t size;
        char key[300];

        snprintf(key, sizeof key, "%0*d/\xc3\xa9-%d", i % 3 ? 5 : 200, i, i);
        if ((rc = image_init(&picture, 12 + i % 5, 12 + i % 7)) != 0)
            return rc;
        for (int k = 0; k < 3 * picture.width * picture.height; k++)
            picture.rgb[k] = (uint8_t)(rng_hash(&k, sizeof k) + (uint64_t)i * 37);
        if ((rc = image_encode_png(&picture, NULL, 0, &png, &size)) != 0 ||
            (rc = pairs_put(w, key, "txt", "x", 1)) != 0 ||
            (rc = pairs_put(w, key, "png", png, i == damaged ? size / 2 : size)) != 0)
            return rc;
        free(png);
        image_fini(&picture);
    }
    return (rc = pairs_end(w)) != 0 ? rc : out_commit(&out);
}

static int setup(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(tar, sizeof tar, "%s/a.tar", folder);
    snprintf(bad, sizeof bad, "%s/b.tar", folder);
    return write_tar(tar, -1) != 0 || write_tar(bad, 40) != 0;
}

static int teardown(void **state)
{
    char command[100];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static struct pool *open_pool(enum prepare how, size_t memory)
{
    struct pool_options o = {.size = SIDE, .how = how, .flip = true, .seed = 3, .memory = memory};
    const char *source = tar;
    struct pool *p;

    if (pool_open(&p, &source, 1, &o, NULL) != 0)
        fail_msg("%s", err_text());
    assert_int_equal(pool_count(p), COUNT);
    return p;
}

static uint8_t *all_pictures(const struct pool *p, uint64_t visit)
{
    uint8_t *rgb = malloc(COUNT * SIDE * SIDE * 3);
    struct pool_pick pick[COUNT];

    for (int i = 0; i < COUNT; i++)
        pick[i] = (struct pool_pick){COUNT - 1 - i, visit};
    assert_int_equal(pool_batch(p, rgb, pick, COUNT), 0);
    return rgb;
}

/* The same pictures from memory and read again, by one thread and by three; other crops at another visit. */
static void test_memory(void **state)
{
    (void)state;
    for (enum prepare how = PREPARE_TRAIN; how <= PREPARE_EVAL; how++) {
        struct pool *kept = open_pool(how, 0), *again = open_pool(how, 1), *some = open_pool(how, 20000);
        uint8_t *a, *b, *c, *d;

        assert_true(pool_bytes(kept) > pool_bytes(some) && pool_bytes(some) > 0 && pool_bytes(again) == 0);
        assert_string_equal(pool_key(kept, 68), "00068/\xc3\xa9-68");
        par_set_threads(1);
        a = all_pictures(kept, 5);
        par_set_threads(3);
        b = all_pictures(again, 5);
        c = all_pictures(some, 5);
        d = all_pictures(kept, 6);
        assert_memory_equal(a, b, COUNT * SIDE * SIDE * 3);
        assert_memory_equal(a, c, COUNT * SIDE * SIDE * 3);
        assert_int_equal(memcmp(a, d, COUNT * SIDE * SIDE * 3) == 0, how == PREPARE_EVAL);
        free(a);
        free(b);
        free(c);
        free(d);
        pool_close(kept);
        pool_close(again);
        pool_close(some);
    }
}

static void test_bad(void **state)
{
    (void)state;
    struct pool_options o = {.size = SIDE, .how = PREPARE_EVAL};
    const char *source = bad;
    struct rejects rejects;
    struct pool *p;

    assert_true(pool_open(&p, &source, 1, &o, NULL) < 0);
    assert_null(p);
    assert_non_null(strstr(err_text(), "00040/"));
    assert_int_equal(rejects_open(&rejects, NULL), 0);
    o.keep_going = true;
    assert_int_equal(pool_open(&p, &source, 1, &o, &rejects), 0);
    assert_int_equal(pool_count(p), COUNT - 1);
    assert_int_equal(rejects.count, 1);
    assert_non_null(strstr(pool_key(p, 40), "-41"));
    pool_close(p);
    assert_int_equal(pool_open(&p, &source, 0, &o, &rejects), ERR_EMPTY);
    o.size = 13;
    assert_int_equal(pool_open(&p, &source, 1, &o, &rejects), 0); /* those that are large enough */
    assert_in_range(pool_count(p), 1, COUNT / 2 + 20);
    pool_close(p);
}

static void test_stream(void **state)
{
    (void)state;
    struct pool *p = open_pool(PREPARE_EVAL, 0);
    uint8_t *want = all_pictures(p, 0);

    for (int64_t batch = 1; batch < 100; batch = 3 * batch + 1) {
        struct stream_options o = {.size = SIDE, .batch = batch};
        const char *source = tar;
        struct stream_batch b;
        struct stream *s;
        int rc, at = 0;

        assert_int_equal(stream_open(&s, &source, 1, &o, NULL), 0);
        while ((rc = stream_next(s, &b)) > 0)
            for (int64_t i = 0; i < b.count; i++, at++) {
                assert_string_equal(b.key[i], pool_key(p, at));
                assert_int_equal(b.variant[i], 0);
                assert_memory_equal(b.rgb + i * SIDE * SIDE * 3, want + (COUNT - 1 - at) * SIDE * SIDE * 3, SIDE * SIDE * 3);
            }
        assert_int_equal(rc, 0);
        assert_int_equal(at, COUNT);
        stream_close(s);
    }
    free(want);
    pool_close(p);
}

static void test_stream_bad(void **state)
{
    (void)state;
    struct stream_options o = {.size = SIDE, .batch = 8, .crops = 3, .keep_going = true};
    const char *source = bad;
    struct rejects rejects;
    struct stream_batch b;
    struct stream *s;
    int rc, at = 0;

    assert_int_equal(rejects_open(&rejects, NULL), 0);
    assert_int_equal(stream_open(&s, &source, 1, &o, &rejects), 0);
    assert_int_equal(stream_batch_max(&o), 6);
    while ((rc = stream_next(s, &b)) > 0)
        for (int64_t i = 0; i < b.count; i++, at++)
            assert_int_equal(b.variant[i], at % 3);
    assert_int_equal(rc, 0);
    assert_int_equal(at, 3 * (COUNT - 1));
    assert_int_equal(rejects.count, 1);
    stream_close(s);
}

/* All before a cut arrives, then the error; and a stream whose reader waits for a pipe that stays silent can be closed. */
static void test_stream_cut(void **state)
{
    (void)state;
    struct stream_options o = {.size = SIDE, .batch = 16};
    const char *source = bad;
    struct stream_batch b;
    struct stream *s;
    char *bytes;
    size_t size;
    int ends[2], saved = dup(0), rc, count = 0;

    assert_int_equal(file_read(tar, 1 << 24, &bytes, &size), 0);
    assert_int_equal(file_write(bad, bytes, size / 2), 0);
    assert_int_equal(stream_open(&s, &source, 1, &o, NULL), 0);
    while ((rc = stream_next(s, &b)) > 0)
        count += (int)b.count;
    assert_true(rc == ERR_TRUNCATED || rc == ERR_FORMAT); /* libarchive has no word of its own for a cut header */
    assert_in_range(count, 25, 45); /* not a number of whole batches */
    assert_true(count % 16 != 0);
    assert_int_equal(stream_next(s, &b), rc);
    stream_close(s);

    source = "-";
    o.batch = 1;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], bytes, 30000), 30000); /* a pipe holds 64 KiB */
    dup2(ends[0], 0);
    assert_int_equal(stream_open(&s, &source, 1, &o, NULL), 0);
    assert_int_equal(stream_next(s, &b), 1);
    usleep(50000); /* by now it waits */
    stream_close(s);
    dup2(saved, 0);
    close(saved);
    close(ends[0]);
    close(ends[1]);
    free(bytes);
}

static void test_names_twice(void **state)
{
    (void)state;
    char pattern[64];
    struct picture_options o = {.form = PICTURES_FILES, .path = pattern};
    struct image picture;
    struct picture_out *p;
    char key[16];

    snprintf(pattern, sizeof pattern, "%s/out/%%k.png", folder);
    assert_int_equal(image_init(&picture, 1, 1), 0);
    assert_int_equal(picture_out_open(&p, &o), 0);
    for (int i = 0; i < 100; i++) { /* the table of names grows */
        snprintf(key, sizeof key, "%d", i);
        assert_int_equal(picture_out_put(p, &picture, key, 0, NULL), 0);
    }
    assert_int_equal(picture_out_put(p, &picture, "73", 0, NULL), ERR_ARG);
    assert_int_equal(picture_out_put(p, &picture, "100", 0, NULL), 0);
    picture_out_close(p);
    image_fini(&picture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_memory), cmocka_unit_test(test_bad), cmocka_unit_test(test_stream),
                                       cmocka_unit_test(test_stream_bad), cmocka_unit_test(test_stream_cut),
                                       cmocka_unit_test(test_names_twice)};

    return cmocka_run_group_tests_name("pool", tests, setup, teardown);
}

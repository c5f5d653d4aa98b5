/* SPDX-License-Identifier: MIT */
/* The join past memory: the same pairs and problems in the same order as within it, and what happens where disk runs out. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "format/shard_join.h"
#include "tests/unit/tok_make.h"

enum { KEYS = 9000, ALL = 4 * KEYS };

static char *folder;
static char padding[TOK_KEY_MAX];

/* Item i of the input: of each key up to two texts and two images, some missing, some twice. */
static void add(struct join *j, const struct tok_header h[TOK_PAIR + 1], uint64_t i, size_t pad)
{
    struct rng r = {11, RNG_TEST};
    enum tok_kind kind = i & 1 ? TOK_IMAGE : TOK_TEXT;
    uint64_t draw = rng_below(r, i, 0, 10);
    char name[TOK_KEY_MAX + 1];
    struct made m;

    if (draw == 0)
        return;
    make_record(&m, &h[kind], i);
    m.record.key = name;
    m.record.key_size = (uint32_t)snprintf(name, sizeof name, "%llu%.*s", (unsigned long long)i / 4, (int)pad, padding);
    m.record.variant = draw == 1 ? 1 : (uint32_t)(i / 2 % 2);
    assert_int_equal(join_add(j, &h[kind], (int)(i % 5), &m.record), 0);
}

/* All that comes of keys with pad more bytes in this memory, as one number; *spilled: runs on disk. */
static uint32_t outcome(size_t memory, size_t pad, uint64_t keys, bool backwards, uint64_t *pairs, uint64_t *spilled)
{
    struct tok_header h[TOK_PAIR + 1] = {{.kind = 0}, make_header(TOK_TEXT), make_header(TOK_IMAGE)};
    struct joined out;
    struct join *j;
    uLong sum = 0;
    int rc;

    assert_int_equal(join_create(&j, 3, memory, folder), 0);
    for (uint64_t i = 0; i < 4 * keys; i++)
        add(j, h, backwards ? 4 * keys - 1 - i : i, pad);
    assert_int_equal(join_sort(j), 0);
    *pairs = 0;
    while ((rc = join_next(j, &out)) > 0) {
        const struct tok_record *r = &out.record;

        sum = crc32(sum, (const void *)r->key, r->key_size + 1);
        sum = crc32(sum, (const void *)&out.source, sizeof out.source);
        *pairs += out.problem == NULL;
        if (out.problem) {
            sum = crc32(sum, (const void *)out.problem, (uInt)strlen(out.problem));
            continue;
        }
        sum = crc32(sum, (const void *)&r->variant, sizeof r->variant);
        sum = crc32(crc32(sum, (const void *)r->text, 2 * r->text_count), (const void *)r->image, 2 * r->image_count);
    }
    assert_int_equal(rc, 0);
    *spilled = join_spilled(j);
    join_free(j);
    return (uint32_t)sum;
}

static void test_same_in_any_memory(void **state)
{
    uint64_t pairs, other, spilled;
    uint32_t whole = outcome(64 << 20, 0, KEYS, false, &pairs, &spilled);

    (void)state;
    assert_int_equal(spilled, 0);
    assert_true(pairs > KEYS && pairs < ALL);
    assert_int_equal(outcome(64 << 20, 0, KEYS, true, &other, &spilled), whole);
    for (size_t memory = 1 << 20; memory >= 48 << 10; memory /= 2) {
        assert_int_equal(outcome(memory, 0, KEYS, memory & 1 << 18, &other, &spilled), whole);
        assert_int_equal(other, pairs);
        assert_true(spilled >= 2);
    }
    /* 64 KiB: about 45 runs of 700 records, 4 frames of 16 KiB, so merged runs are written as well */
    assert_true(spilled > 45);
}

/* Entries that fill a frame each. */
static void test_large_records(void **state)
{
    uint64_t pairs, other, spilled;
    uint32_t whole = outcome(64 << 20, 3900, 300, false, &pairs, &spilled);

    (void)state;
    assert_int_equal(outcome(32 << 10, 3900, 300, true, &other, &spilled), whole);
    assert_int_equal(other, pairs);
    assert_true(spilled > 100);
}

static void test_too_large_a_record(void **state)
{
    struct tok_header h = make_header(TOK_TEXT);
    struct join *j;
    struct made m;

    (void)state;
    assert_int_equal(join_create(&j, 0, 256, folder), 0);
    make_record(&m, &h, 1);
    assert_int_equal(join_add(j, &h, 0, &m.record), ERR_LIMIT);
    join_free(j);
}

/* Until the file may not grow any more. */
static int fill(uint64_t keys, int *sorted)
{
    struct tok_header h = make_header(TOK_TEXT);
    struct join *j;
    struct made m;
    int rc = 0;

    assert_int_equal(join_create(&j, 0, 64 << 10, folder), 0);
    for (uint64_t i = 0; rc == 0 && i < keys; i++) {
        make_record(&m, &h, i);
        rc = join_add(j, &h, 0, &m.record);
    }
    *sorted = rc == 0 ? join_sort(j) : 0;
    join_free(j);
    return rc;
}

static void test_no_room(void **state)
{
    struct rlimit limit, small;
    DIR *d = opendir(folder);
    int sorted, rc;

    (void)state;
    assert_non_null(d);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    signal(SIGXFSZ, SIG_IGN);
    small = limit;
    small.rlim_cur = 100000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    rc = fill(20000, &sorted); /* while records are added */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(rc, ERR_IO);
    assert_non_null(strstr(err_text(), folder));
    small.rlim_cur = 600000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    rc = fill(10000, &sorted); /* while runs are merged */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(rc, 0);
    assert_int_equal(sorted, ERR_IO);
    for (struct dirent *e; (e = readdir(d));)
        assert_int_equal(e->d_name[0], '.');
    closedir(d);

    assert_int_equal(fill(10, &sorted), 0); /* which needs no folder */
    rmdir(folder);
    assert_int_equal(fill(20000, &sorted), ERR_IO);
    assert_int_equal(mkdir(folder, 0777), 0);
}

static int set_up(void **state)
{
    (void)state;
    folder = make_folder();
    memset(padding, 'x', sizeof padding - 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    remove_folder(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_in_any_memory), cmocka_unit_test(test_large_records),
                                       cmocka_unit_test(test_too_large_a_record), cmocka_unit_test(test_no_room)};

    return cmocka_run_group_tests_name("join", tests, set_up, tear_down);
}

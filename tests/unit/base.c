/* SPDX-License-Identifier: MIT */
/* base.c -- errors, bytes, arenas, random numbers, files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/behind.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/io.h"
#include "base/rng.h"

static void errors_are_kept(void **state)
{
    (void)state;
    assert_int_equal(err_set(ERR_FORMAT, "record %d", 3), ERR_FORMAT);
    assert_int_equal(err_at(ERR_FORMAT, "x.tok"), ERR_FORMAT);
    assert_string_equal(err_text(), "x.tok: record 3");
    err_set(ERR_IO, "again: %s", err_text()); /* its own text as an argument */
    assert_string_equal(err_text(), "again: x.tok: record 3");
    errno = ENOENT;
    err_errno(ERR_IO, "y");
    assert_string_equal(err_text(), "y: No such file or directory");
}

static void bytes_are_little_endian(void **state)
{
    uint8_t b[8];

    (void)state;
    put_u64(b, UINT64_C(0x0123456789abcdef));
    assert_int_equal(b[0], 0xef);
    assert_int_equal(b[7], 0x01);
    assert_true(get_u64(b) == UINT64_C(0x0123456789abcdef));
    put_u16(b, 0xfffe);
    assert_int_equal(get_u16(b), 0xfffe);
}

static void arenas_count_then_place(void **state)
{
    struct arena count = {0}, a;
    char *p, *q;

    (void)state;
    assert_null(arena_take(&count, 1));
    assert_null(arena_take(&count, 65));
    assert_int_equal(count.used, 64 + 128);
    assert_int_equal(arena_init(&a, count.used), 0);
    p = arena_take(&a, 1);
    q = arena_take(&a, 65);
    assert_ptr_equal(q, p + 64);
    assert_int_equal(q[64], 0);
    assert_null(arena_take(&a, 1));
    assert_true(a.failed);
    arena_fini(&a);
    count = (struct arena){0};
    assert_null(arena_take(&count, SIZE_MAX - 3));
    assert_true(count.failed);
}

/* Known answers of Philox 4x32-10 from the Random123 distribution's kat_vectors. */
static void philox_known_answers(void **state)
{
    philox4x32_ctr_t zero = {{0, 0, 0, 0}}, ones = {{~0u, ~0u, ~0u, ~0u}};
    philox4x32_key_t no_key = {{0, 0}}, one_key = {{~0u, ~0u}};

    (void)state;
    assert_int_equal(philox4x32(zero, no_key).v[0], 0x6627e8d5);
    assert_int_equal(philox4x32(ones, one_key).v[0], 0x408f276d);
}

static void draws_have_addresses(void **state)
{
    struct rng a = {7, RNG_TEST}, b = {7, RNG_INIT};
    double sum = 0, squares = 0;
    int seen[10] = {0};

    (void)state;
    assert_int_equal(rng_draw(a, 1, 2).v[0], rng_draw(a, 1, 2).v[0]);
    assert_int_not_equal(rng_draw(a, 1, 2).v[0], rng_draw(b, 1, 2).v[0]);
    assert_int_not_equal(rng_draw(a, 1, 2).v[0], rng_draw(a, 2, 1).v[0]);
    assert_int_not_equal(rng_draw(a, 0, 1).v[0], rng_draw(a, 0, UINT64_C(1) << 32 | 1).v[0]);
    for (uint64_t i = 0; i < 20000; i++) {
        double x = rng_normal(a, 3, i);

        sum += x;
        squares += x * x;
        seen[rng_below(a, 4, i, 10)]++;
    }
    assert_true(fabs(sum / 20000) < 0.03 && fabs(squares / 20000 - 1) < 0.05);
    for (int i = 0; i < 10; i++)
        assert_in_range(seen[i], 1800, 2200);
    assert_true(rng_unit(0) > 0 && rng_unit(UINT32_MAX) < 1);
}

static void files_are_whole_or_old(void **state)
{
    char folder[] = "/tmp/armchair-base-XXXXXX", path[64];
    struct out out;
    char *bytes;
    size_t size;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/f", folder);
    assert_int_equal(file_write(path, "old", 3), 0);
    assert_int_equal(out_open(&out, path, true), 0);
    assert_int_equal(out_write(&out, "new!", 4), 0);
    assert_int_equal(file_read(path, 100, &bytes, &size), 0);
    assert_string_equal(bytes, "old"); /* not yet committed */
    free(bytes);
    assert_int_equal(out_commit(&out), 0);
    assert_int_equal(file_read(path, 100, &bytes, &size), 0);
    assert_string_equal(bytes, "new!");
    free(bytes);
    assert_int_equal(file_read(path, 3, &bytes, &size), ERR_LIMIT);
    assert_int_equal(out_open(&out, path, true), 0);
    out_abort(&out);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0); /* nothing else was left behind */
    assert_int_equal(out_open(&out, "/nowhere/f", true), ERR_IO);
    assert_int_equal(out_open(&out, "/dev/full", true), 0); /* a device is written, never renamed over */
    assert_int_equal(out_write(&out, "x", 1), 0);
    assert_int_equal(out_commit(&out), ERR_IO);
    assert_int_equal(access("/dev/full.tmp", F_OK), -1);
}

static void folders_with_parents(void **state)
{
    char folder[] = "/tmp/armchair-base-XXXXXX", path[64];
    struct stat st;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a/b/c", folder);
    assert_int_equal(folder_make(path), 0);
    assert_int_equal(folder_make(path), 0);
    assert_int_equal(stat(path, &st), 0);
    for (int i = 0; i < 4; i++) {
        rmdir(path);
        *strrchr(path, '/') = 0;
    }
}

/* Blocks of many sizes arrive in order; a write that fails shows at a later call, with the writer's reason. */
static void blocks_are_written_behind(void **state)
{
    char folder[] = "/tmp/base.XXXXXX", path[64], *got;
    struct block block = {0};
    struct behind *b;
    struct out out;
    size_t size, at = 0;
    int rc = 0;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/x", folder);
    assert_int_equal(out_open(&out, path, true), 0);
    assert_int_equal(behind_create(&b, &out), 0);
    for (size_t i = 1; i <= 1000; i++) {
        if (block.room < i)
            assert_non_null(block.bytes = realloc(block.bytes, block.room = 2 * i));
        memset(block.bytes, (int)(i & 0xff), i);
        assert_int_equal(behind_write(b, &block, i), 0);
    }
    assert_int_equal(behind_end(b), 0);
    assert_int_equal(out_commit(&out), 0);
    assert_int_equal(file_read(path, 1 << 20, &got, &size), 0);
    assert_int_equal(size, 1000 * 1001 / 2);
    for (size_t i = 1; i <= 1000; at += i++)
        assert_true((uint8_t)got[at] == (i & 0xff) && (uint8_t)got[at + i - 1] == (i & 0xff));
    free(got);
    unlink(path);
    rmdir(folder);

    assert_int_equal(out_open(&out, "/dev/full", true), 0);
    assert_int_equal(behind_create(&b, &out), 0);
    for (int i = 0; rc == 0 && i < 100; i++) {
        if (block.room < 100000)
            assert_non_null(block.bytes = realloc(block.bytes, block.room = 100000));
        memset(block.bytes, 0, 100000);
        rc = behind_write(b, &block, 100000);
    }
    assert_int_equal(rc, ERR_IO);
    assert_non_null(strstr(err_text(), "/dev/full: cannot write"));
    assert_int_equal(behind_end(b), ERR_IO);
    out_abort(&out);

    assert_int_equal(behind_create(&b, &out), 0); /* nothing given: no thread, nothing to wait for */
    assert_int_equal(behind_end(b), 0);
    assert_int_equal(behind_end(NULL), 0);
    free(block.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_kept),       cmocka_unit_test(bytes_are_little_endian),
        cmocka_unit_test(arenas_count_then_place), cmocka_unit_test(philox_known_answers),
        cmocka_unit_test(draws_have_addresses),  cmocka_unit_test(files_are_whole_or_old),
        cmocka_unit_test(folders_with_parents),  cmocka_unit_test(blocks_are_written_behind)};

    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Shards at random: the same pairs as front to back, damage noticed, many files. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/resource.h>

#include "base/bytes.h"
#include "format/tok_bytes.h"
#include "tests/unit/tok_make.h"
#include "train/order.h"

static char *folder;

static char *name_of(int i)
{
    return text_printf("%s/%d.shard", folder, i);
}

static void check_pair(struct shard_set *set, const struct tok_header *h, uint64_t i)
{
    struct tok_record got;
    struct made want;

    make_record(&want, h, i);
    assert_int_equal(shard_set_get(set, i, &got), 0);
    assert_string_equal(got.key, want.record.key);
    assert_int_equal(got.key_size, want.record.key_size);
    assert_int_equal(got.variant, want.record.variant);
    assert_int_equal(got.text_count, want.record.text_count);
    assert_memory_equal(got.text, want.record.text, 2 * got.text_count);
    assert_int_equal(got.image_count, want.record.image_count);
    assert_memory_equal(got.image, want.record.image, 2 * got.image_count);
}

/* Shards of several blocks, of one, and of none, in any order of access. */
static void test_random_access(void **state)
{
    static const int counts[] = {0, 6000, 0, 1, 2427, 0, 2428, 0};
    enum { N = sizeof counts / sizeof *counts };
    struct tok_header h = make_header(TOK_PAIR);
    struct rng r = {3, RNG_TEST};
    const char *paths[N];
    struct shard_set *set;
    struct tok_record got;
    uint64_t total = 0;

    (void)state;
    for (int i = 0; i < N; i++) {
        char *path = name_of(i);

        make_part(path, &h, "maker 1", true, (int)total, counts[i]);
        paths[i] = path;
        total += (uint64_t)counts[i];
    }
    assert_int_equal(shard_set_open(&set, paths, N, false), 0);
    assert_int_equal(shard_set_count(set), total);
    assert_string_equal(shard_set_header(set)->provenance, "first 0.1 --seed=1\nmaker 1\n");
    for (uint64_t k = 0; k < 3000; k++)
        check_pair(set, &h, rng_below(r, 1, k, total));
    for (uint64_t i = 0; i < total; i++)
        check_pair(set, &h, i);
    assert_int_equal(shard_set_get(set, total, &got), ERR_ARG);
    shard_set_close(set);
    for (int i = 0; i < N; i++)
        free((void *)(uintptr_t)paths[i]);
}

/* Everything through the set: 0 when all pairs can be had. */
static int get_all(const char *path)
{
    struct shard_set *set;
    struct tok_record got;
    int rc, all = 0;

    if ((rc = shard_set_open(&set, &path, 1, false)) != 0)
        return rc;
    if (shard_set_count(set) != 5)
        all = ERR_FORMAT;
    for (uint64_t i = 0; i < shard_set_count(set) && i < 10; i++)
        if ((rc = shard_set_get(set, i, &got)) != 0)
            all = rc;
    shard_set_close(set);
    return all;
}

static void test_damage(void **state)
{
    struct tok_header h = make_header(TOK_PAIR);
    char *path = name_of(0);
    uint8_t *bytes;
    size_t size;

    (void)state;
    make_stream(path, &h, NULL, true, 5);
    assert_int_equal(get_all(path), 0);
    bytes = slurp(path, &size);
    for (size_t i = 0; i < size * 8; i++) {
        if (i % 8 != i / 8 % 8 && bytes[i / 8] == 0)
            continue; /* padding is long: one bit of each of its bytes */
        poke(path, i / 8, bytes[i / 8] ^ (uint8_t)(1 << i % 8));
        if (get_all(path) >= 0)
            fail_msg("bit %zu of byte %zu was not noticed", i % 8, i / 8);
        poke(path, i / 8, bytes[i / 8]);
    }
    assert_int_equal(get_all(path), 0);
    while (size-- > 0) {
        assert_int_equal(truncate(path, (off_t)size), 0);
        assert_true(get_all(path) < 0);
    }
    free(bytes);
    free(path);
}

/* A pair in a damaged block fails; its neighbours in other blocks do not. */
static void test_damage_is_local(void **state)
{
    struct tok_header h = make_header(TOK_PAIR);
    uint32_t per_block = tok_block_records(&h);
    char *path = name_of(0);
    const char *paths[] = {path};
    struct shard_set *set;
    struct tok_record got;
    uint8_t *bytes;
    size_t size;

    (void)state;
    make_stream(path, &h, NULL, true, (int)per_block * 3);
    bytes = slurp(path, &size);
    bytes[size / 2] ^= 1;
    spill(path, bytes, size);
    assert_int_equal(shard_set_open(&set, paths, 1, false), 0);
    check_pair(set, &h, 0);
    assert_int_equal(shard_set_get(set, per_block + 1, &got), ERR_FORMAT);
    assert_non_null(strstr(err_text(), "CRC"));
    assert_int_equal(shard_set_get(set, per_block + 1, &got), ERR_FORMAT); /* and again */
    check_pair(set, &h, 2 * per_block);
    shard_set_close(set);
    free(bytes);
    free(path);
}

static void test_refused(void **state)
{
    struct tok_header h = make_header(TOK_PAIR), other = h;
    char *a = name_of(0), *b = name_of(1), *joined = name_of(2), one[DIGEST_TEXT], two[DIGEST_TEXT];
    const char *both[] = {a, b};
    struct shard_set *set;
    uint8_t *x;
    size_t size;

    (void)state;
    assert_int_equal(shard_set_open(&set, both, 0, false), ERR_EMPTY);
    assert_null(set);
    make_stream(a, &h, NULL, true, 5);
    other.text_digest.byte[0] ^= 1;
    make_stream(b, &other, NULL, true, 5);
    assert_int_equal(shard_set_open(&set, both, 2, false), ERR_MISMATCH);
    digest_show(&h.text_digest, one);
    digest_show(&other.text_digest, two);
    assert_non_null(strstr(err_text(), one));
    assert_non_null(strstr(err_text(), two));
    assert_int_equal(shard_set_open(&set, both, 2, true), 0);
    assert_int_equal(shard_set_count(set), 10);
    shard_set_close(set);

    make_stream(b, &h, NULL, false, 5);
    assert_int_equal(shard_set_open(&set, both, 2, false), ERR_FORMAT);
    assert_non_null(strstr(err_text(), "not a shard"));

    x = slurp(a, &size);
    x = realloc(x, 2 * size);
    assert_non_null(x);
    memcpy(x + size, x, size);
    spill(joined, x, 2 * size);
    both[0] = joined;
    assert_int_equal(shard_set_open(&set, both, 1, false), ERR_FORMAT);
    assert_non_null(strstr(err_text(), "joined"));
    both[0] = "/nonexistent";
    assert_int_equal(shard_set_open(&set, both, 1, false), ERR_IO);
    free(x);
    free(a);
    free(b);
    free(joined);
}

/* A shard that shrinks behind our back is an error where we can see it: when it is mapped. */
static void test_shrunk(void **state)
{
    struct tok_header h = make_header(TOK_PAIR);
    char *path = name_of(0);
    const char *paths[] = {path};
    struct shard_set *set;
    struct tok_record got;

    (void)state;
    make_stream(path, &h, NULL, true, 5);
    assert_int_equal(shard_set_open(&set, paths, 1, false), 0);
    assert_int_equal(truncate(path, 4096), 0);
    assert_int_equal(shard_set_get(set, 0, &got), ERR_IO);
    shard_set_close(set);
    free(path);
}

static long address_space(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    assert_non_null(f);
    assert_int_equal(fscanf(f, "%ld", &pages), 1);
    fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

/* 250 million pairs: 10,000 shards of 25,000, one file under many names.  A trainer may have 16 files open and 100 MB more
 * address space than now; it is ready in less than a second of processor time and reads in its order. */
static void test_many(void **state)
{
    enum { SHARDS = 10000, PAIRS = 25000, READS = 1000, FIRST = 100 };
    struct tok_header h = make_header(TOK_PAIR);
    struct rlimit files, space, few = {16, 16}, some;
    const char **paths = calloc(SHARDS, sizeof *paths);
    struct shard_set *set;
    struct rusage used[2];
    double seconds;
    int rc;

    (void)state;
    assert_non_null(paths);
    paths[0] = name_of(FIRST);
    make_stream(paths[0], &h, NULL, true, PAIRS);
    for (int i = 1; i < SHARDS; i++) {
        paths[i] = name_of(FIRST + i);
        assert_int_equal(link(paths[0], paths[i]), 0);
    }
    getrlimit(RLIMIT_NOFILE, &files);
    getrlimit(RLIMIT_AS, &space);
    few.rlim_max = files.rlim_max;
    some = space;
    some.rlim_cur = (rlim_t)address_space() + 100000000;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    if (address_space() < 1L << 40) /* sanitizers take terabytes of it */
        assert_int_equal(setrlimit(RLIMIT_AS, &some), 0);
    getrusage(RUSAGE_SELF, &used[0]);
    rc = shard_set_open(&set, paths, SHARDS, false);
    getrusage(RUSAGE_SELF, &used[1]);
    if (rc == 0) {
        assert_int_equal(shard_set_count(set), (uint64_t)SHARDS * PAIRS);
        for (uint64_t i = 0; rc == 0 && i < READS; i++) {
            struct tok_record got;
            char key[32];
            uint64_t at = order_example(1, (uint64_t)SHARDS * PAIRS, i);

            rc = shard_set_get(set, at, &got);
            snprintf(key, sizeof key, "key/%d", (int)(at % PAIRS));
            if (rc == 0)
                assert_string_equal(got.key, key);
        }
        shard_set_close(set);
    }
    setrlimit(RLIMIT_NOFILE, &files);
    setrlimit(RLIMIT_AS, &space);
    assert_int_equal(rc, 0);
    seconds = (double)(used[1].ru_utime.tv_sec - used[0].ru_utime.tv_sec + used[1].ru_stime.tv_sec - used[0].ru_stime.tv_sec) +
              1e-6 * (double)(used[1].ru_utime.tv_usec - used[0].ru_utime.tv_usec + used[1].ru_stime.tv_usec -
                              used[0].ru_stime.tv_usec);
    assert_true(seconds < 1);
    for (int i = 0; i < SHARDS; i++)
        free((void *)(uintptr_t)paths[i]);
    free(paths);
}

static int set_up(void **state)
{
    (void)state;
    folder = make_folder();
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_access), cmocka_unit_test(test_damage),
                                       cmocka_unit_test(test_damage_is_local), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_shrunk), cmocka_unit_test(test_many)};

    return cmocka_run_group_tests_name("shard", tests, set_up, tear_down);
}

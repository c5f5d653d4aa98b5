/* SPDX-License-Identifier: MIT */
/* Token streams: round trips, every prefix, every bit, cats. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "format/tok.h"
#include "format/tok_bytes.h"
#include "tests/unit/tok_make.h"

static char *folder, *path, *path2;

/* Read all of a file: the records, or the negative code. */
static int64_t read_all(const char *name, uint64_t *sum)
{
    struct tok_reader *r;
    struct tok_record record;
    uint64_t total = 0, one;
    int64_t n = 0;
    int rc;

    if ((rc = tok_open(&r, name)) != 0)
        return rc;
    while ((rc = tok_next(r, &record)) > 0) {
        assert_int_equal(tok_record_sum(&one, &record), 0);
        total += one;
        n++;
    }
    if (rc == 0)
        assert_int_equal(tok_count(r), n);
    tok_close(r);
    if (sum)
        *sum = total;
    return rc < 0 ? rc : n;
}

static void round_trip(enum tok_kind kind, bool shard, int n)
{
    struct tok_header h = make_header(kind);
    struct tok_reader *r;
    struct tok_record got;
    struct made want;
    int i;

    make_stream(path, &h, "second 1.0 --x", shard, n);
    assert_int_equal(tok_open(&r, path), 0);
    assert_int_equal(tok_header_match(&h, tok_header_of(r), false), 0);
    assert_string_equal(tok_header_of(r)->provenance, "first 0.1 --seed=1\nsecond 1.0 --x\n");
    assert_int_equal(tok_is_shard(r), shard);
    for (i = 0; tok_next(r, &got) == 1; i++) {
        make_record(&want, &h, i);
        assert_int_equal(got.key_size, want.record.key_size);
        assert_string_equal(got.key, want.record.key);
        assert_int_equal(got.variant, want.record.variant);
        assert_int_equal(got.text_count, want.record.text_count);
        assert_int_equal(got.image_count, want.record.image_count);
        if (got.text_count)
            assert_memory_equal(got.text, want.record.text, 2 * got.text_count);
        if (got.image_count)
            assert_memory_equal(got.image, want.record.image, 2 * got.image_count);
        assert_int_equal(got.text != NULL, (kind & TOK_TEXT) != 0);
        assert_int_equal(got.image != NULL, (kind & TOK_IMAGE) != 0);
    }
    assert_int_equal(i, n);
    assert_int_equal(tok_next(r, &got), 0);
    assert_int_equal(tok_next(r, &got), 0);
    tok_close(r);
}

static void test_round_trips(void **state)
{
    static const int counts[] = {0, 1, 2, 5000};

    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        round_trip(TOK_TEXT, false, counts[i]);
        round_trip(TOK_IMAGE, false, counts[i]);
        round_trip(TOK_PAIR, false, counts[i]);
        round_trip(TOK_PAIR, true, counts[i]);
    }
}

/* Only whole streams are accepted, whatever their kind. */
static void test_prefixes(void **state)
{
    (void)state;
    for (int shard = 0; shard < 2; shard++) {
        struct tok_header h = make_header(TOK_PAIR);
        uint8_t *bytes;
        size_t size;

        make_stream(path, &h, NULL, shard, 4);
        bytes = slurp(path, &size);
        spill(path2, bytes, size);
        for (size_t n = size; n-- > 0;) {
            assert_int_equal(truncate(path2, (off_t)n), 0);
            if (read_all(path2, NULL) != ERR_TRUNCATED)
                fail_msg("%zu of %zu bytes: %s", n, size, err_text());
        }
        free(bytes);
    }
}

/* Also one byte more, or one left out. */
static void test_bits(void **state)
{
    (void)state;
    for (int shard = 0; shard < 2; shard++) {
        struct tok_header h = make_header(TOK_PAIR);
        uint8_t *bytes;
        size_t size;

        make_stream(path, &h, NULL, shard, 3);
        bytes = slurp(path, &size);
        for (size_t i = 0; i < size * 8; i++) {
            if (shard && i % 8 != i / 8 % 8 && bytes[i / 8] == 0)
                continue; /* padding is long: one bit of each of its bytes */
            poke(path, i / 8, bytes[i / 8] ^ (uint8_t)(1 << i % 8));
            if (read_all(path, NULL) >= 0)
                fail_msg("bit %zu of byte %zu was not noticed", i % 8, i / 8);
            poke(path, i / 8, bytes[i / 8]);
        }
        assert_int_equal(read_all(path, NULL), 3);
        for (size_t i = 0; i < size; i += shard ? 31 : 1) {
            uint8_t gone = bytes[i];

            memmove(bytes + i, bytes + i + 1, size - i - 1);
            spill(path2, bytes, size - 1);
            assert_true(read_all(path2, NULL) < 0);
            memmove(bytes + i + 1, bytes + i, size - i - 1);
            bytes[i] = gone;
        }
        free(bytes);
    }
}

static void cat_files(const char *to, const char *a, const char *b)
{
    size_t n, m;
    uint8_t *x = slurp(a, &n), *y = slurp(b, &m);

    x = realloc(x, n + m);
    assert_non_null(x);
    memcpy(x + n, y, m);
    spill(to, x, n + m);
    free(x);
    free(y);
}

static void test_cat(void **state)
{
    struct tok_header h = make_header(TOK_PAIR);
    char *joined = text_printf("%s/joined", folder);
    struct tok_reader *r;
    struct tok_record record;
    uint64_t a, b, both;
    size_t first, size;
    uint8_t *bytes;
    int n = 0;

    (void)state;
    make_stream(path, &h, "a 1", false, 7);
    make_stream(path2, &h, "b 1", true, 5);
    cat_files(joined, path, path2);
    assert_int_equal(read_all(path, &a), 7);
    assert_int_equal(read_all(path2, &b), 5);
    assert_int_equal(read_all(joined, &both), 12);
    assert_true(a + b == both);

    assert_int_equal(tok_open(&r, joined), 0);
    while (tok_next(r, &record) > 0)
        n++;
    assert_int_equal(n, 12);
    assert_int_equal(tok_streams(r), 2);
    assert_string_equal(tok_header_of(r)->provenance, "first 0.1 --seed=1\na 1\nb 1\n");
    tok_close(r);

    free(slurp(path, &first));
    bytes = slurp(joined, &size);
    spill(path2, bytes, size);
    for (size_t cut = size; --cut > 0;) {
        assert_int_equal(truncate(path2, (off_t)cut), 0);
        assert_int_equal(read_all(path2, NULL), cut == first ? 7 : ERR_TRUNCATED);
    }
    free(bytes);
    free(joined);
}

static void test_cat_refused(void **state)
{
    struct tok_header h = make_header(TOK_PAIR), other = h;
    char *joined = text_printf("%s/joined", folder), one[DIGEST_TEXT], two[DIGEST_TEXT];
    struct tok_reader *r;
    struct tok_record record;
    int n = 0;

    (void)state;
    other.image_digest.byte[5] ^= 1;
    make_stream(path, &h, NULL, false, 2);
    make_stream(path2, &other, NULL, false, 2);
    cat_files(joined, path, path2);
    assert_int_equal(read_all(joined, NULL), ERR_MISMATCH);
    digest_show(&h.image_digest, one);
    digest_show(&other.image_digest, two);
    assert_non_null(strstr(err_text(), one));
    assert_non_null(strstr(err_text(), two));
    assert_int_equal(tok_open(&r, joined), 0);
    tok_allow_mismatch(r, true);
    while (tok_next(r, &record) > 0)
        n++;
    assert_int_equal(n, 4);
    tok_close(r);

    other = make_header(TOK_TEXT);
    make_stream(path2, &other, NULL, false, 2);
    cat_files(joined, path, path2);
    assert_int_equal(tok_open(&r, joined), 0);
    tok_allow_mismatch(r, true); /* kinds differ all the same */
    assert_int_equal(tok_next(r, &record), 1);
    assert_int_equal(tok_next(r, &record), 1);
    assert_int_equal(tok_next(r, &record), ERR_MISMATCH);
    assert_int_equal(tok_next(r, &record), ERR_MISMATCH);
    tok_close(r);
    free(joined);
}

static void test_records_refused(void **state)
{
    struct tok_header h = make_header(TOK_PAIR);
    struct tok_writer *w;
    struct made m;
    struct out out;

    (void)state;
    assert_int_equal(out_open(&out, path, true), 0);
    assert_int_equal(tok_create(&w, &out, &h, NULL, false), 0);
    make_record(&m, &h, 1);
    m.text[0] = (uint16_t)h.text_vocab;
    assert_int_equal(tok_put(w, &m.record), ERR_ARG);
    make_record(&m, &h, 1);
    m.image[3] = (uint16_t)h.image_vocab;
    assert_int_equal(tok_put(w, &m.record), ERR_ARG);
    make_record(&m, &h, 1);
    m.record.text_count = h.text_slots;
    assert_int_equal(tok_put(w, &m.record), ERR_ARG);
    make_record(&m, &h, 1);
    m.record.image_count--;
    assert_int_equal(tok_put(w, &m.record), ERR_ARG);
    make_record(&m, &h, 1);
    m.record.key_size = 0;
    assert_int_equal(tok_put(w, &m.record), ERR_ARG);
    make_record(&m, &h, 1);
    m.record.key = "a\nb";
    m.record.key_size = 3;
    assert_int_equal(tok_put(w, &m.record), ERR_ARG);
    m.record.key = "a\xff" "b";
    assert_int_equal(tok_put(w, &m.record), ERR_ARG);
    m.record.key = "\xc2\x85!"; /* U+0085 is a control character */
    assert_int_equal(tok_put(w, &m.record), ERR_ARG);
    m.record.key = "\xe2\x82\xac";
    assert_int_equal(tok_put(w, &m.record), 0);
    assert_int_equal(tok_end(w), 0);
    assert_int_equal(out_commit(&out), 0);
    assert_int_equal(read_all(path, NULL), 1);
}

static void test_headers_refused(void **state)
{
    struct tok_header good = make_header(TOK_PAIR), h;
    struct tok_writer *w;
    struct out out;

    (void)state;
    assert_int_equal(out_open(&out, path, true), 0);
#define REFUSED(change)                                                                                                \
    h = good;                                                                                                          \
    change;                                                                                                            \
    assert_int_equal(tok_create(&w, &out, &h, NULL, false), ERR_ARG);                                                  \
    assert_null(w)
    REFUSED(h.kind = (enum tok_kind)0);
    REFUSED(h.kind = (enum tok_kind)4);
    REFUSED(h.kind = TOK_TEXT);
    REFUSED(h.kind = TOK_IMAGE);
    REFUSED(h.text_vocab = 0);
    REFUSED(h.text_vocab = 65537);
    REFUSED(h.image_vocab = 65537);
    REFUSED(h.text_slots = 65537);
    REFUSED(h.text_slots = 0);
    REFUSED(h.grid_h = 0);
    REFUSED(h.grid_w = 1025);
    REFUSED(h.provenance = (char *)(uintptr_t)"no newline");
    REFUSED(h.provenance = (char *)(uintptr_t)"tab\there\n");
    REFUSED(h.provenance = (char *)(uintptr_t)"\xc0\xaf\n");
    h = make_header(TOK_TEXT);
    assert_int_equal(tok_create(&w, &out, &h, NULL, true), ERR_ARG); /* shards hold pairs */
    out_abort(&out);
}

/* A header with one field changed and the checksum put right. */
static int read_changed(size_t at, uint32_t value)
{
    struct tok_header h = make_header(TOK_PAIR);
    uint8_t *bytes;
    size_t size, head = TOK_FIXED_SIZE + strlen(h.provenance);
    int rc;

    make_stream(path, &h, NULL, false, 0);
    bytes = slurp(path, &size);
    put_u32(bytes + at, value);
    put_u32(bytes + head, (uint32_t)crc32(0, bytes, (unsigned)head));
    put_u32(bytes + size - 8, get_u32(bytes + head)); /* the end record repeats it */
    put_u32(bytes + size - 4, (uint32_t)crc32(0, bytes + size - TOK_END_SIZE, TOK_END_SIZE - 4));
    spill(path, bytes, size);
    free(bytes);
    rc = (int)read_all(path, NULL);
    return rc;
}

static void test_versions_and_bits(void **state)
{
    (void)state;
    assert_int_equal(read_changed(8, 1), 0); /* the repair itself is right */
    assert_int_equal(read_changed(8, 2), ERR_UNSUPPORTED);
    assert_non_null(strstr(err_text(), "version 2"));
    for (int bit = 1; bit < 16; bit++)
        assert_int_equal(read_changed(16, 1u << bit), ERR_FORMAT);
    for (int bit = 16; bit < 32; bit++)
        assert_int_equal(read_changed(16, 1u << bit), 0);
    assert_int_equal(read_changed(44, 1), ERR_FORMAT);
    assert_int_equal(read_changed(12, 4), ERR_FORMAT);
    assert_int_equal(read_changed(20, 65537), ERR_FORMAT);
    assert_int_equal(read_changed(40, 65537), ERR_FORMAT);
}

static void test_not_streams(void **state)
{
    (void)state;
    spill(path, "", 0);
    assert_int_equal(read_all(path, NULL), ERR_TRUNCATED);
    spill(path, "\x89" "ATK\n\x1a\n and more", 15);
    assert_int_equal(read_all(path, NULL), ERR_FORMAT);
    assert_non_null(strstr(err_text(), "newlines"));
    spill(path, "{\"armchair\":\"tok\"}\n", 19);
    assert_int_equal(read_all(path, NULL), ERR_FORMAT);
    assert_non_null(strstr(err_text(), "tok-load"));
    assert_int_equal(read_all("/nonexistent/x.tok", NULL), ERR_IO);
}

static void test_provenance(void **state)
{
    struct tok_header h = make_header(TOK_TEXT), copy;
    char *line = malloc(TOK_PROVENANCE_MAX);
    struct tok_reader *r;

    (void)state;
    make_stream(path, &h, "odd \xff\x01 byte", false, 0); /* arguments may be anything: the line is cleaned */
    assert_int_equal(tok_open(&r, path), 0);
    assert_string_equal(tok_header_of(r)->provenance, "first 0.1 --seed=1\nodd ?? byte\n");
    tok_close(r);

    assert_non_null(line);
    assert_int_equal(tok_header_copy(&copy, &h), 0);
    assert_int_equal(tok_provenance_merge(&copy, "first 0.1 --seed=1\nb\n"), 0);
    assert_string_equal(copy.provenance, "first 0.1 --seed=1\nb\n");
    assert_int_equal(tok_provenance_merge(&copy, "no newline"), ERR_ARG);
    for (int i = 0; i < 2000; i++) {
        snprintf(line, TOK_PROVENANCE_MAX, "%064d\n", i);
        assert_int_equal(tok_provenance_merge(&copy, line), 0);
    }
    assert_true(strlen(copy.provenance) < TOK_PROVENANCE_MAX - 8192);
    assert_non_null(strstr(copy.provenance, "more lines"));
    tok_header_fini(&copy);
    free(line);
}

static int set_up(void **state)
{
    (void)state;
    folder = make_folder();
    path = text_printf("%s/a", folder);
    path2 = text_printf("%s/b", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    remove_folder(folder);
    free(path);
    free(path2);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),       cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_bits),              cmocka_unit_test(test_cat),
        cmocka_unit_test(test_cat_refused),       cmocka_unit_test(test_records_refused),
        cmocka_unit_test(test_headers_refused),   cmocka_unit_test(test_versions_and_bits),
        cmocka_unit_test(test_not_streams),       cmocka_unit_test(test_provenance)};

    return cmocka_run_group_tests_name("tok", tests, set_up, tear_down);
}

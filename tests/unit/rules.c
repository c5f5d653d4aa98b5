/* SPDX-License-Identifier: MIT */
/* What pairs-filter stands on: lines, sets, ranges, rules for pictures and captions, patterns. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/lines.h"
#include "base/seen.h"
#include "image/picture_rules.h"
#include "text/caption_rules.h"

static char file[] = "/tmp/armchair-rules-XXXXXX";

static int setup(void **state)
{
    int fd = mkstemp(file);

    (void)state;
    return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
    (void)state;
    return unlink(file);
}

static void write_file(const char *bytes, size_t size)
{
    assert_int_equal(file_write(file, bytes, size), 0);
}

/* ---- base ------------------------------------------------------------------------------------------------------ */

/* All lines with their numbers, "1:a 2: ", and how they ended. */
static int read_lines(char text[500], size_t max)
{
    struct lines l;
    size_t at = 0;
    int rc;

    text[0] = 0;
    assert_int_equal(lines_open(&l, file, max), 0);
    while ((rc = lines_next(&l)) > 0) {
        assert_int_equal(strlen(l.text), l.size);
        at += (size_t)snprintf(text + at, 500 - at, "%d:%s ", (int)l.number, l.text);
    }
    lines_close(&l);
    return rc;
}

static void lines(void **state)
{
    static const struct { const char *bytes, *want; } good[] = {
        {"", ""}, {"a", "1:a "}, {"a\n", "1:a "}, {"a\r\n\r\nb", "1:a 2: 3:b "}, {"\xef\xbb\xbf" "a\n\xef\xbb\xbf", "1:a 2:\xef\xbb\xbf "},
        {"a\rb\r\n", "1:a\rb "}, {"12345678\n12345678\r\n", "1:12345678 2:12345678 "}, {"\n\n", "1: 2: "},
    };
    char text[500];

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        write_file(good[i].bytes, strlen(good[i].bytes));
        assert_int_equal(read_lines(text, 8), 0);
        assert_string_equal(text, good[i].want);
    }
    write_file("a\n123456789\n", 12);
    assert_int_equal(read_lines(text, 8), ERR_LIMIT);
    assert_string_equal(text, "1:a ");
    assert_non_null(strstr(err_text(), ": line 2: longer than 8 bytes"));
    write_file("12345678\n1234567890123", 22);
    assert_int_equal(read_lines(text, 8), ERR_LIMIT);
    write_file("a\nb\0c\n", 6);
    assert_int_equal(read_lines(text, 8), ERR_FORMAT);
    assert_non_null(strstr(err_text(), ": line 2: holds a NUL"));
}

static void seen(void **state)
{
    struct seen s = {0};
    char text[20];

    (void)state;
    assert_int_equal(seen_count(&s, "a", 1), 0);
    for (int round = 1; round <= 3; round++)
        for (int i = 0; i < 10000; i++) {
            int n = snprintf(text, sizeof text, "key %d", i);

            assert_int_equal(seen_count(&s, text, (size_t)n), round - 1);
            assert_int_equal(seen_add(&s, text, (size_t)n), 0);
        }
    assert_int_equal(s.count, 10000);
    assert_true(s.count <= s.slots - s.slots / 4);
    assert_int_equal(seen_count(&s, "key 10000", 9), 0);
    assert_int_equal(seen_count(&s, "key 1", 5), 3);
    assert_int_equal(seen_count(&s, "", 0), 0);
    for (uint32_t i = 0; i < SEEN_MOST + 10; i++)
        assert_int_equal(seen_add(&s, "often", 5), 0);
    assert_int_equal(seen_count(&s, "often", 5), SEEN_MOST);
    seen_fini(&s);
    assert_int_equal(seen_count(&s, "often", 5), 0);
}

static void ranges(void **state)
{
    static const struct { const char *text; double least, most; } good[] = {
        {"3:40", 3, 40}, {"3", 3, INFINITY}, {"3:", 3, INFINITY}, {":40", 0, 40}, {"0.5:2", 0.5, 2}, {"2:2", 2, 2}, {".5", 0.5, INFINITY},
    };
    static const char *const bad[] = {"", ":", "a", "3:b", "3:2", "-1", "3:-4", "1:2:3", "nan", "inf", "1e999", " 1", "1 ", "3x", "+2"};
    struct range r;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(range_parse(&r, good[i].text), 0);
        assert_true(r.least == good[i].least && r.most == good[i].most);
        assert_true(range_holds(&r, r.least) && range_holds(&r, r.most));
        assert_false(range_holds(&r, nextafter(r.least, -1)));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(range_parse(&r, bad[i]), ERR_ARG);
    assert_true(range_is_all(&range_all));
    assert_int_equal(range_parse(&r, "0"), 0);
    assert_true(range_is_all(&r));
}

/* ---- pictures -------------------------------------------------------------------------------------------------- */

static int picture(const struct picture_rules *r, int width, int height)
{
    return picture_rules_check(r, &(struct image_size){width, height});
}

static void picture_rules(void **state)
{
    struct picture_rules r = picture_rules_none;

    (void)state;
    assert_false(picture_rules_any(&r));
    assert_int_equal(picture(&r, 1, 100000), PICTURE_KEPT);
    assert_int_equal(picture_rules_aspect(&r, "2"), 0);
    assert_true(picture_rules_any(&r));
    assert_int_equal(picture(&r, 200, 100), PICTURE_KEPT);
    assert_int_equal(picture(&r, 100, 200), PICTURE_KEPT);
    assert_int_equal(picture(&r, 201, 100), PICTURE_ASPECT);
    assert_int_equal(picture(&r, 100, 201), PICTURE_ASPECT);
    assert_int_equal(picture_rules_aspect(&r, "0.3:1"), 0); /* a border that no double is */
    assert_int_equal(picture(&r, 3, 10), PICTURE_KEPT);
    assert_int_equal(picture(&r, 299, 1000), PICTURE_ASPECT);
    assert_int_equal(picture(&r, 10, 10), PICTURE_KEPT);
    assert_int_equal(picture(&r, 11, 10), PICTURE_ASPECT);
    for (int a = 1; a < 60; a++) /* the border belongs to it, whatever the number */
        for (int b = a; b < 60; b++) {
            char text[40];

            snprintf(text, sizeof text, "%.17g", (double)b / a);
            assert_int_equal(picture_rules_aspect(&r, text), 0);
            assert_int_equal(picture(&r, a, b), PICTURE_KEPT);
            assert_int_equal(picture(&r, b, a), PICTURE_KEPT);
            assert_int_equal(picture(&r, 1000 * a, 1000 * b + 1), PICTURE_ASPECT);
        }
    r = picture_rules_none;
    assert_int_equal(range_parse(&r.side, "64:128"), 0);
    assert_true(picture_rules_any(&r));
    assert_int_equal(picture(&r, 64, 5000), PICTURE_KEPT);
    assert_int_equal(picture(&r, 63, 5000), PICTURE_SIDE);
    assert_int_equal(picture(&r, 5000, 129), PICTURE_SIDE);
    assert_int_equal(picture_rules_aspect(&r, "0.5"), ERR_ARG);
    assert_int_equal(picture_rules_aspect(&r, "x"), ERR_ARG);
}

/* ---- captions -------------------------------------------------------------------------------------------------- */

static int caption(struct caption_rules *r, const char *text, char reason[CAPTION_REASON])
{
    reason[0] = 0;
    return caption_rules_check(r, reason, text, strlen(text));
}

/* chars, words and share of letters of a caption, by what the rules say where nothing passes. */
static void expect_counts(const char *text, const char *chars, const char *words, const char *letters)
{
    static const struct range none = {1e9, 1e9};
    struct caption_rules r;
    char reason[CAPTION_REASON];

    caption_rules_init(&r);
    r.letters = none;
    assert_int_equal(caption(&r, text, reason), CAPTION_LETTERS);
    assert_string_equal(reason, letters);
    r.words = none;
    assert_int_equal(caption(&r, text, reason), CAPTION_WORDS);
    assert_string_equal(reason, words);
    r.chars = none;
    assert_int_equal(caption(&r, text, reason), CAPTION_CHARS);
    assert_string_equal(reason, chars);
    caption_rules_fini(&r);
}

static void counts(void **state)
{
    (void)state;
    expect_counts("a red bird", "10", "3", "1");
    expect_counts("", "0", "0", "0");
    expect_counts(" \t\n", "3", "0", "0");
    expect_counts("  IMG_2034  ", "12", "1", "0.375");
    expect_counts("\xc3\xa9t\xc3\xa9", "3", "1", "1");                       /* été */
    expect_counts("e\xcc\x81t", "2", "1", "1");                              /* the same accent as a mark: NFC */
    expect_counts("x\xcc\xb2" "1", "3", "1", "0.667");                       /* a mark that stays one counts as a letter */
    expect_counts("\xe6\xa4\x85\xe5\xad\x90", "2", "1", "1");                /* 椅子 */
    expect_counts("a\xc2\xa0" "b\xe3\x80\x80" "c", "5", "3", "1");           /* no-break and ideographic space */
    expect_counts("\xe0\xa4\xb9\xe0\xa4\xbf\xe0\xa4\x82", "3", "1", "1");    /* हिं: a letter and two marks */
    expect_counts("\xf0\x9f\x98\x80 ok", "4", "2", "0.667");                 /* an emoji is no letter */
}

static void caption_ranges(void **state)
{
    struct caption_rules r;
    char reason[CAPTION_REASON];

    (void)state;
    caption_rules_init(&r);
    assert_int_equal(caption(&r, "", reason), CAPTION_KEPT);
    assert_int_equal(range_parse(&r.chars, "2:5"), 0);
    assert_int_equal(range_parse(&r.words, "1:2"), 0);
    assert_int_equal(range_parse(&r.letters, "0.5"), 0);
    assert_int_equal(caption(&r, "a", reason), CAPTION_CHARS);
    assert_int_equal(caption(&r, "ab", reason), CAPTION_KEPT);
    assert_int_equal(caption(&r, "abcde", reason), CAPTION_KEPT);
    assert_int_equal(caption(&r, "abcdef", reason), CAPTION_CHARS);
    assert_int_equal(caption(&r, "a b c", reason), CAPTION_WORDS);
    assert_int_equal(caption(&r, "a1", reason), CAPTION_KEPT);
    assert_int_equal(caption(&r, "a12", reason), CAPTION_LETTERS);
    assert_int_equal(caption(&r, "a\xff", reason), ERR_FORMAT);
    caption_rules_fini(&r);
}

static void copies(void **state)
{
    struct caption_rules r;
    char reason[CAPTION_REASON];

    (void)state;
    caption_rules_init(&r);
    r.copies = 2;
    for (int i = 0; i < 4; i++) { /* the same after normalising */
        static const char *const same[] = {"\xc3\x89T\xc3\x89", "e\xcc\x81te\xcc\x81", "\xc3\xa9t\xc3\xa9", "\xc3\xa9T\xc3\xa9"};

        assert_int_equal(caption(&r, same[i], reason), CAPTION_KEPT);
        assert_int_equal(caption_rules_copy(&r, reason), i < 2 ? CAPTION_KEPT : CAPTION_COPIES);
    }
    assert_string_equal(reason, "more than 2");
    assert_int_equal(caption(&r, "ete", reason), CAPTION_KEPT);
    assert_int_equal(caption_rules_copy(&r, reason), CAPTION_KEPT);
    caption_rules_fini(&r);
}

/* ---- patterns -------------------------------------------------------------------------------------------------- */

static int64_t match(struct patterns *p, const char *text)
{
    const struct pattern *found;
    int rc = patterns_find(p, &found, text);

    assert_true(rc == 0 || rc == 1);
    assert_int_equal(rc, found != NULL);
    return found ? found->line : 0;
}

static void patterns(void **state)
{
    static const char text[] = "# a comment\r\n\r\n^photographed on .*$\r\n^DSC[_-]?[0-9]+$\r\n\\Bfoto\n[\\1]x\n^.\\W.$\n"
                               "caf\xc3\x89\n^[\xc3\xa0\xc3\xa8]+$\n^\\(c\\)\n\\bend\\b\n(a|b){3}\n";
    struct patterns p = {0};

    (void)state;
    write_file(text, sizeof text - 1);
    assert_int_equal(patterns_read(&p, file), 0);
    assert_int_equal(p.count, 10);
    assert_int_equal(match(&p, "photographed on 3 may"), 3);
    assert_int_equal(match(&p, "a house photographed on 3 may"), 0);
    assert_int_equal(match(&p, "photographed on\nx"), 0);
    assert_int_equal(match(&p, "photographed on 3 may\nand printed"), 3);
    assert_int_equal(match(&p, "a\ndsc_0034"), 0);
    assert_int_equal(match(&p, "dsc_0034"), 4); /* capitals of a pattern match too */
    assert_int_equal(match(&p, "afoto"), 5);    /* but \B stays \B */
    assert_int_equal(match(&p, "foto"), 0);
    assert_int_equal(match(&p, "1x"), 6);
    assert_int_equal(match(&p, "\\x"), 6);      /* a backslash in a bracket is one */
    assert_int_equal(match(&p, "\xc3\xa9,\xe6\xa4\x85"), 7); /* a dot is a character, not a byte */
    assert_int_equal(match(&p, "\xc3\xa9,\xe6\xa4\x85\xe6\xa4\x85"), 0);
    assert_int_equal(match(&p, "caf\xc3\xa9"), 8);
    assert_int_equal(match(&p, "\xc3\xa8"), 9);
    assert_int_equal(match(&p, "\xc3\xaa"), 0);
    assert_int_equal(match(&p, "(c) 2014"), 10);
    assert_int_equal(match(&p, "the end."), 11);
    assert_int_equal(match(&p, "send"), 0);
    assert_int_equal(match(&p, "-bab-"), 12);
    patterns_fini(&p);
}

static void bad_patterns(void **state)
{
    static const struct { const char *text, *words; int code; } bad[] = {
        {"ok\n# x\n(a\n", ": line 3: ", ERR_FORMAT},
        {"[a\n", ": line 1: ", ERR_FORMAT},
        {"a\r\nb{3,2}\r\n", ": line 2: ", ERR_FORMAT},
        {"(a)\\1\n", ": line 1: a back-reference", ERR_FORMAT},
        {"[]\\1[:alpha:]](a)\\1\n", ": line 1: a back-reference", ERR_FORMAT},
        {"a\n\xff\n", ": line 2: not UTF-8 at byte 0", ERR_FORMAT},
        {"a\\\n", ": line 1: ", ERR_FORMAT},
    };
    struct patterns p = {0};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_file(bad[i].text, strlen(bad[i].text));
        assert_int_equal(patterns_read(&p, file), bad[i].code);
        assert_true(strncmp(err_text(), file, strlen(file)) == 0);
        assert_non_null(strstr(err_text(), bad[i].words));
        patterns_fini(&p);
    }
    assert_int_equal(patterns_read(&p, "/nowhere"), ERR_IO);
    patterns_fini(&p);
}

/* What is shipped finds what it is for, and leaves descriptions alone. */
static void shipped_patterns(void **state)
{
    static const char *const boilerplate[] = {
        "photographed on 12 march 2014", "photo taken on june 5, 2013", "taken on monday, july 3rd, 2006", "uploaded 2014-05-12 12:33 pm",
        "june 2013", "photo by john smith", "image courtesy of nasa", "\xc2\xa9 2014 john smith", "copyright 2015. all rights reserved.",
        "img_20150304_120211", "dsc_0034.jpg", "4f3a9bc01d22e", "12345 - 333", "image 3 of 12", "figure 3.", "untitled-12",
        "no image available", "click here to enlarge", "view full size", "https://example.org/a/b", "sorry, this image is not available",
        "add to cart", "share on facebook", "", NULL};
    static const char *const descriptions[] = {
        "an armchair in the shape of an avocado", "a photo of a tower at night", "photograph of a red bird on a branch", "image of a cat",
        "a man taken to hospital by ambulance in june", "made of wood", "may flowers in a vase", "marina", "decorations", "shot glass",
        "posted sign", "search and rescue dog", "test tube", "home sweet home", "via appia in rome", "copyright symbol", "no parking",
        "share the road sign", "see the sea", "unknown soldier memorial", "a girl in a dress, photo by our team in the old town",
        "\xe5\x9b\xbe\xe7\x89\x87\xe4\xb8\xad\xe7\x9a\x84\xe7\x8c\xab", "two dogs", "facade", NULL};
    struct patterns p = {0};

    (void)state;
    assert_int_equal(patterns_read(&p, "pipelines/boilerplate.ere"), 0);
    for (int i = 0; boilerplate[i]; i++)
        if (!match(&p, boilerplate[i]))
            fail_msg("no pattern for: %s", boilerplate[i]);
    for (int i = 0; descriptions[i]; i++)
        if (match(&p, descriptions[i]))
            fail_msg("%s: line %d", descriptions[i], (int)match(&p, descriptions[i]));
    patterns_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines), cmocka_unit_test(seen), cmocka_unit_test(ranges),
        cmocka_unit_test(picture_rules), cmocka_unit_test(counts),
        cmocka_unit_test(caption_ranges), cmocka_unit_test(copies), cmocka_unit_test(patterns),
        cmocka_unit_test(bad_patterns), cmocka_unit_test(shipped_patterns),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

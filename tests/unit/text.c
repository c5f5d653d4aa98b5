/* SPDX-License-Identifier: MIT */
/* Text: normal forms, pieces, escapes, captions from files. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "text/captions.h"
#include "text/escape.h"
#include "text/normalise.h"
#include "text/split.h"

#define BOTH (NORMALISE_NFC | NORMALISE_LOWER)

static void normal(const char *text, int how, const char *want)
{
    struct normalised n = {0};

    assert_int_equal(normalise(&n, text, strlen(text), how), 0);
    assert_string_equal(n.text, want);
    assert_int_equal(n.size, strlen(want));
    normalised_fini(&n);
}

static void normal_forms(void **state)
{
    (void)state;
    normal("", BOTH, "");
    normal("An ARMCHAIR, 3 zZ@[`{", BOTH, "an armchair, 3 zz@[`{");
    normal("A", NORMALISE_NFC, "A");
    normal("CAFE\xcc\x81", BOTH, "caf\xc3\xa9");                                /* E + acute: one character, then small */
    normal("sixteen letters E\xcc\x81", BOTH, "sixteen letters \xc3\xa9");      /* the mark follows a block of ASCII */
    normal("123456789012345E\xcc\x81", BOTH, "123456789012345\xc3\xa9");
    normal("E\xcc\x81", NORMALISE_LOWER, "e\xcc\x81");
    normal("\xe2\x84\xab", BOTH, "\xc3\xa5");                                   /* Angstrom sign */
    normal("\xc4\xb0", BOTH, "i\xcc\x87");                                      /* I with dot: two characters */
    normal("\xce\xa3\xce\x9f\xce\xa6\xce\x9f\xce\xa3", BOTH, "\xcf\x83\xce\xbf\xcf\x86\xce\xbf\xcf\x83"); /* no final sigma */
    normal("J\xcc\x8c", BOTH, "j\xcc\x8c");                                     /* stays two: composing came first */
    normal("\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab", BOTH, "\xed\x95\x9c");       /* Hangul */
    normal("a\xcc\x81\xcc\xa3", BOTH, "\xe1\xba\xa1\xcc\x81");                  /* marks change places */
    normal("\xe0\xa5\x98", BOTH, "\xe0\xa4\x95\xe0\xa4\xbc");                   /* excluded from composition */
    normal("\xf0\x90\x90\x80\xf0\x9f\xa5\x91", BOTH, "\xf0\x90\x90\xa8\xf0\x9f\xa5\x91"); /* Deseret; an avocado */
}

/* A row of marks of two classes, as bad as it can be: 1 MB in well under a second. */
static void marks_are_sorted_in_linear_time(void **state)
{
    size_t pairs = 250000;
    char *text = malloc(4 * pairs + 1);
    struct normalised n = {0};

    (void)state;
    text[0] = 'x';
    for (size_t i = 0; i < pairs; i++)
        memcpy(text + 1 + 4 * i, "\xcc\x8d\xcc\x96", 4); /* classes 230 and 220 */
    assert_int_equal(normalise(&n, text, 4 * pairs + 1, BOTH), 0);
    assert_int_equal(n.size, 4 * pairs + 1);
    assert_memory_equal(n.text + 1, "\xcc\x96\xcc\x96", 4);
    assert_memory_equal(n.text + 1 + 2 * pairs, "\xcc\x8d\xcc\x8d", 4);
    normalised_fini(&n);
    free(text);
}

static void bad_utf8_is_refused(void **state)
{
    static const struct { const char *text; size_t size, at; } cases[] = {
        {"\xff", 1, 0}, {"ab\xc3", 3, 2}, {"\xc0\xaf", 2, 0}, {"x\xed\xa0\x80", 4, 1}, {"\xf4\x90\x80\x80", 4, 0},
        {"\xe2\x82", 2, 0}, {"caf\xe9 au lait, and more", 22, 3}, {"\xc3\xa9\x80", 3, 2}, {"\xf8\x88\x80\x80\x80", 5, 0}};
    struct normalised n = {0};
    char want[100];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(normalise(&n, cases[i].text, cases[i].size, BOTH), ERR_FORMAT);
        snprintf(want, sizeof want, "not UTF-8 at byte %zu", cases[i].at);
        assert_string_equal(err_text(), want);
        assert_int_equal(n.size, 0);
    }
    assert_int_equal(utf8_valid("a\0b", 3), 3);
    assert_int_equal(normalise(&n, "a\0B", 3, BOTH), 0);
    assert_memory_equal(n.text, "a\0b", 4);
    normalised_fini(&n);
}

/* Pieces joined by '|'. */
static void pieces(enum split split, const char *text, const char *want)
{
    char got[500];
    size_t size = strlen(text), n = 0;

    for (size_t at = 0, end; at < size; at = end) {
        end = split_next(split, text, size, at);
        assert_true(end > at && end <= size);
        if (at > 0)
            got[n++] = '|';
        memcpy(got + n, text + at, end - at);
        n += end - at;
    }
    got[n] = 0;
    assert_string_equal(got, want);
}

static void pieces_of_dalle(void **state)
{
    (void)state;
    pieces(SPLIT_DALLE, "an armchair, 42!", "an| |armchair|,| |4|2|!");
    pieces(SPLIT_DALLE, "a\xc3\xa9z A", "a|\xc3\xa9|z| |A");
    pieces(SPLIT_DALLE, "x\xc3", "x|\xc3");
    pieces(SPLIT_DALLE, "\xf0\x9f\xa5\x91\xf0\x9f", "\xf0\x9f\xa5\x91|\xf0|\x9f");
}

static void pieces_of_gpt2(void **state)
{
    (void)state;
    pieces(SPLIT_GPT2, "an armchair, 42!", "an| armchair|,| 42|!");
    pieces(SPLIT_GPT2, "it's we'll i've you're he'd i'm can't", "it|'s| we|'ll| i|'ve| you|'re| he|'d| i|'m| can|'t");
    pieces(SPLIT_GPT2, "''s 's 'x' 'll'", "''|s| '|s| '|x|'| '|ll|'");
    pieces(SPLIT_GPT2, "a  b   c ", "a| | b|  | c| ");
    pieces(SPLIT_GPT2, "a \t b\n\nc\t", "a| \t| b|\n|\n|c|\t");
    pieces(SPLIT_GPT2, "   ", "   ");
    pieces(SPLIT_GPT2, "\xc3\xa9t\xc3\xa9\xc2\xa0\xc2\xb2x", "\xc3\xa9t\xc3\xa9|\xc2\xa0|\xc2\xb2|x"); /* no-break space; squared */
    pieces(SPLIT_GPT2, "1a!\xe3\x80\x82 \xe6\x97\xa5", "1|a|!\xe3\x80\x82| \xe6\x97\xa5");
    pieces(SPLIT_GPT2, "e\xcc\x81", "e|\xcc\x81"); /* a mark is no letter */
    pieces(SPLIT_GPT2, "' ", "'| ");
    pieces(SPLIT_GPT2, "x \xc3", "x| \xc3");
}

static void escapes_go_both_ways(void **state)
{
    static const char plain[] = "a\\b\nc\td\re\x01\x7f" "f\0\xff\xc3\xa9\xc3";
    static const char escaped[] = "a\\\\b\\nc\\td\\re\\x01\\x7ff\\x00\\xff\xc3\xa9\\xc3";
    static const char *const bad[] = {"\\", "x\\q", "\\x1", "\\xg0", "\\x0"};
    char *text = NULL;
    size_t size;
    struct out out = {.file = open_memstream(&text, &size)};

    (void)state;
    assert_int_equal(escape_write(&out, plain, sizeof plain - 1), 0);
    fclose(out.file);
    assert_string_equal(text, escaped);
    assert_int_equal(escape_read(text, &size), 0);
    assert_int_equal(size, sizeof plain - 1);
    assert_memory_equal(text, plain, size);
    free(text);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char copy[16];

        strcpy(copy, bad[i]);
        size = strlen(copy);
        assert_int_equal(escape_read(copy, &size), ERR_FORMAT);
    }
}

static char *new_file(const char *bytes, size_t size)
{
    char *path = strdup("/tmp/text-unit-XXXXXX");
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), size);
    close(fd);
    return path;
}

/* All captions as "key=text;" or "key!problem;". */
static void captions_are(const char *bytes, size_t size, int form, const char *want)
{
    char *path = new_file(bytes, size), *twice[] = {path, path}, got[500];
    struct captions *c;
    struct caption caption;
    size_t n = 0;
    int rc;

    assert_int_equal(captions_open(&c, twice, 2, form), 0);
    while ((rc = captions_next(c, &caption)) > 0) {
        assert_int_equal(strlen(caption.key), caption.key_size);
        n += (size_t)snprintf(got + n, sizeof got - n, "%s%s%.*s;", caption.key, caption.problem ? "!" : "=",
                              caption.problem ? 100 : (int)caption.size, caption.problem ? caption.problem : caption.text);
    }
    assert_int_equal(rc, 0);
    got[n] = 0;
    assert_string_equal(got, want);
    captions_close(c);
    unlink(path);
    free(path);
}

static void captions_from_lines(void **state)
{
    (void)state;
    captions_are("", 0, 0, "");
    captions_are("one\n\ntwo", 8, 0, "1=one;2=;3=two;4=one;5=;6=two;");
    captions_are("one\r\n\r\nt\rwo\r\n", 13, 0, "1=one;2=;3=t\rwo;4=one;5=;6=t\rwo;");
    captions_are("k1\tone\nk2\nk3\ta\tb\n", 17, CAPTIONS_KEYED,
                 "k1=one;!no tab between key and caption;k3=a\tb;k1=one;!no tab between key and caption;k3=a\tb;");
    captions_are("a\\nb\nc\\q\n", 9, CAPTIONS_ESCAPED, "1=a\nb;2!a backslash at byte 1 begins no escape;3=a\nb;4!a "
                 "backslash at byte 1 begins no escape;");
}

static void long_lines_are_problems(void **state)
{
    size_t size = NORMALISE_MAX + 3;
    char *bytes = malloc(size), *path;
    struct captions *c;
    struct caption caption;

    (void)state;
    memset(bytes, 'a', size);
    bytes[NORMALISE_MAX + 1] = '\n';
    path = new_file(bytes, size);
    assert_int_equal(captions_open(&c, &path, 1, 0), 0);
    assert_int_equal(captions_next(c, &caption), 1);
    assert_non_null(caption.problem);
    assert_int_equal(captions_next(c, &caption), 1);
    assert_string_equal(caption.key, "2");
    assert_int_equal(caption.size, 1);
    assert_null(caption.problem);
    assert_int_equal(captions_next(c, &caption), 0);
    captions_close(c);
    unlink(path);
    free(path);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normal_forms),
        cmocka_unit_test(marks_are_sorted_in_linear_time),
        cmocka_unit_test(bad_utf8_is_refused),
        cmocka_unit_test(pieces_of_dalle),
        cmocka_unit_test(pieces_of_gpt2),
        cmocka_unit_test(escapes_go_both_ways),
        cmocka_unit_test(captions_from_lines),
        cmocka_unit_test(long_lines_are_problems),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

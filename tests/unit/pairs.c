/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>
#include <cmocka.h>

#include "base/io.h"
#include "format/pairs.h"

#define BOTH (PAIRS_CAPTION | PAIRS_PICTURE)

static char folder[] = "/tmp/armchair-pairs-XXXXXX";
static char root[4096]; /* of the source tree */

static int setup(void **state)
{
    const char *given = getenv("ROOT");

    (void)state;
    if (given)
        snprintf(root, sizeof root, "%s", given);
    else if (!getcwd(root, sizeof root))
        return -1;
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
    char command[100];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return chdir("/") == 0 ? system(command) : -1;
}

static int run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int run(const char *format, ...)
{
    char command[10000];
    va_list ap;

    va_start(ap, format);
    vsnprintf(command, sizeof command, format, ap);
    va_end(ap);
    return system(command);
}

struct member {
    const char *name, *bytes;
};

/* An archive by libarchive itself: format "ustar", "pax" or "zip", filter NULL or "gzip", "xz", "zstd", "bzip2". */
static void make_archive(const char *path, const char *format, const char *filter, const struct member *m)
{
    struct archive *a = archive_write_new();
    struct archive_entry *e = archive_entry_new();

    assert_int_equal(archive_write_set_format_by_name(a, format), ARCHIVE_OK);
    if (filter)
        assert_int_equal(archive_write_add_filter_by_name(a, filter), ARCHIVE_OK);
    assert_int_equal(archive_write_open_filename(a, path), ARCHIVE_OK);
    for (; m->name; m++) {
        archive_entry_clear(e);
        archive_entry_set_pathname(e, m->name);
        archive_entry_set_filetype(e, AE_IFREG);
        archive_entry_set_perm(e, 0644);
        archive_entry_set_size(e, (la_int64_t)strlen(m->bytes));
        assert_true(archive_write_header(a, e) >= ARCHIVE_WARN);
        assert_int_equal(archive_write_data(a, m->bytes, strlen(m->bytes)), strlen(m->bytes));
    }
    assert_int_equal(archive_write_close(a), ARCHIVE_OK);
    archive_entry_free(e);
    archive_write_free(a);
}

static void write_text(const char *path, const char *text)
{
    assert_int_equal(file_write(path, text, strlen(text)), 0);
}

/* All records as lines "key|caption|picture|ext|problem", and how the source ended: text is the caller's. */
static int read_all(char *text, size_t size, const char *source, int want)
{
    struct pairs *p;
    struct pair r;
    size_t at = 0;
    int rc = pairs_open(&p, source, want);

    text[0] = 0;
    if (rc != 0)
        return rc;
    while ((rc = pairs_next(p, &r)) > 0) {
        assert_true(at < size);
        assert_true(!r.caption || strlen(r.caption) == r.caption_size);
        at += (size_t)snprintf(text + at, size - at, "%s|%s|%.*s|%s|%s\n", r.key, r.caption ? r.caption : "-",
                               r.picture ? (int)r.picture_size : 1, r.picture ? (const char *)r.picture : "-",
                               r.picture_ext ? r.picture_ext : "-", r.problem ? r.problem : "");
    }
    if (rc < 0) { /* an error stays */
        int again = pairs_next(p, &r);

        assert_int_equal(again, rc);
    }
    pairs_close(p);
    return rc;
}

static void expect(const char *source, int want, int code, const char *lines)
{
    char text[8192];
    int rc = read_all(text, sizeof text, source, want);

    if (rc != code || strcmp(text, lines) != 0)
        fail_msg("%s: %d (%s), records:\n%swanted %d:\n%s", source, rc, rc < 0 ? err_text() : "", text, code, lines);
}

static const struct member three[] = {{"a/b.c/x.png", "PX"}, {"a/b.c/x.txt", "an x\n"}, {"y.JPG", "PY"},
                                      {"y.json", "{\"caption\":\"the y\",\"n\":1}"}, {"./z.txt", ""}, {"./z.pgm", "PZ"},
                                      {NULL, NULL}};
static const char three_lines[] = "a/b.c/x|an x|PX|png|\ny|the y|PY|jpg|\nz||PZ|pgm|\n";

static void archives(void **state)
{
    static const char *const filters[] = {NULL, "gzip", "xz", "zstd", "bzip2"};

    (void)state;
    for (int i = 0; i < 5; i++) {
        make_archive("x.tar", "ustar", filters[i], three);
        expect("x.tar", BOTH, 0, three_lines);
        assert_true(pairs_is_source("x.tar"));
        make_archive("x.tar", "gnutar", filters[i], three);
        expect("x.tar", BOTH, 0, three_lines);
    }
    make_archive("x.zip", "zip", NULL, three);
    expect("x.zip", BOTH, 0, three_lines);
    assert_true(pairs_is_source("x.zip"));
    expect("x.zip", PAIRS_CAPTION, 0, "a/b.c/x|an x|-|-|\ny|the y|-|-|\nz||-|-|\n");
    expect("x.tar", PAIRS_PICTURE, 0, "a/b.c/x|-|PX|png|\ny|-|PY|jpg|\nz|-|PZ|pgm|\n");
    assert_int_equal(run("cat x.tar x.tar > two.tar.bz2"), 0);
    assert_true(pairs_is_source("two.tar.bz2"));
}

static void is_source(void **state)
{
    (void)state;
    write_text("t.txt", "a caption\n");
    assert_false(pairs_is_source("t.txt"));
    assert_false(pairs_is_source("-"));
    assert_false(pairs_is_source(NULL));
    assert_false(pairs_is_source("nowhere"));
    assert_true(pairs_is_source("@nowhere"));
    assert_true(pairs_is_source("."));
    write_text("empty", "");
    assert_false(pairs_is_source("empty"));
    expect("t.txt", BOTH, ERR_FORMAT, "");
    assert_non_null(strstr(err_text(), "t.txt: neither tar nor zip"));
    expect("empty", BOTH, ERR_TRUNCATED, "");
    expect("nowhere", BOTH, ERR_IO, "");
}

static void no_members(void **state)
{
    static const struct member none[] = {{NULL, NULL}};

    (void)state;
    make_archive("none.tar", "ustar", NULL, none);
    expect("none.tar", BOTH, 0, "");
    make_archive("none.zip", "zip", NULL, none);
    expect("none.zip", BOTH, 0, "");
    assert_int_equal(folder_make("none"), 0);
    expect("none", BOTH, 0, "");
}

static void standard_input(void **state)
{
    int saved = dup(0);

    (void)state;
    make_archive("x.tar", "ustar", "gzip", three);
    assert_non_null(freopen("x.tar", "rb", stdin));
    expect("-", BOTH, 0, three_lines);
    for (int i = 0; i < 2; i++) { /* through a pipe */
        int ends[2];
        char *bytes;
        size_t size;

        make_archive("x.a", i ? "zip" : "ustar", NULL, three);
        assert_int_equal(file_read("x.a", 60000, &bytes, &size), 0);
        assert_int_equal(pipe(ends), 0);
        assert_int_equal(write(ends[1], bytes, size), size);
        close(ends[1]);
        dup2(ends[0], 0);
        close(ends[0]);
        expect("-", BOTH, 0, three_lines);
        free(bytes);
    }
    dup2(saved, 0);
    close(saved);
}

static void problems(void **state)
{
    static const struct member m[] = {
        {"a.png", "A"}, {"b.txt", "b"}, {"c.png", "C"}, {"c.jpg", "D"}, {"c.txt", "c"}, {"d.png", "D"}, {"d.txt", "\xff"},
        {"e.png", "E"}, {"e.json", "{"}, {"f.png", "F"}, {"f.json", "{\"caption\":null}"}, {"g.png", "G"},
        {"g.json", "{\"caption\":3}"}, {"h.png", "H"}, {"h.txt", "h"}, {"h.json", "not read"}, {"i.gif", "I"},
        {"i.txt", "i"}, {"j.v2.png", "J"}, {"j.v2.txt", "j"}, {"k.npy", "K"}, {"README", "r"}, {".l.png", "L"},
        {"m.mask.png", "M"}, {"m.png", "m"}, {"m.txt", "m"}, {"n\n.png", "N"}, {"n\n.txt", "n"}, {"p.txt", "p\r\n"},
        {"p.ppm", "P"}, {"p.txt", "p"}, {NULL, NULL}};

    (void)state;
    make_archive("p.tar", "ustar", NULL, m);
    expect("p.tar", BOTH, 0,
           "a|-|A|png|no caption beside it\nb|b|-|-|no picture beside it\n"
           "c|c|C|png|c.jpg: a second picture of the same key\nd|-|D|png|the caption is not UTF-8\n"
           "e|-|E|png|json: string or '}' expected near end of file\nf|-|F|png|json: no \"caption\" in it\n"
           "g|-|G|png|json: \"caption\" is not a text\nh|h|H|png|\ni|i|-|-|no picture: i.gif is not named as one\n"
           "j|-|-|-|no picture: j.v2.png is not named as one\nm|m|m|png|\n"
           "n\xef\xbf\xbd|n|N|png|the key holds a control character\np|p|P|ppm|p.txt: a second caption of the same key\n");
}

static void nul_and_size(void **state)
{
    struct out out;
    struct pairs_writer *w;
    char *big = malloc(PAIRS_CAPTION_MAX + 1), text[1024];

    (void)state;
    memset(big, 'a', PAIRS_CAPTION_MAX + 1);
    assert_int_equal(out_open(&out, "n.tar", true), 0);
    assert_int_equal(pairs_create(&w, &out), 0);
    assert_int_equal(pairs_put(w, "a", "txt", "a\0b", 3), 0);
    assert_int_equal(pairs_put(w, "b", "txt", big, PAIRS_CAPTION_MAX + 1), 0);
    assert_int_equal(pairs_put(w, "d", "txt", "d", 1), 0);
    assert_int_equal(pairs_end(w), 0);
    assert_int_equal(out_commit(&out), 0);
    expect("n.tar", PAIRS_CAPTION, 0,
           "a|-|-|-|the caption holds a NUL\nb|-|-|-|b.txt: larger than 1 MiB\nd|d|-|-|\n");
    assert_int_equal(out_open(&out, "n.tar", true), 0);
    assert_int_equal(pairs_create(&w, &out), 0);
    assert_int_equal(pairs_put(w, "b", "txt", big, PAIRS_CAPTION_MAX), 0); /* just fits */
    assert_int_equal(pairs_end(w), 0);
    assert_int_equal(out_commit(&out), 0);
    assert_int_equal(read_all(text, 8, "n.tar", PAIRS_PICTURE), 0);
    free(big);
}

/* Every prefix of a tar: whole records before the cut arrive, then the error; a cut inside the end mark is none. */
static void prefixes(void **state)
{
    static const struct member m[] = {{"a.png", "A"}, {"a.txt", "a"}, {"b.png", "B"}, {"b.txt", "b"}, {NULL, NULL}};
    char *bytes, text[1024];
    size_t size;

    (void)state;
    make_archive("c.tar", "ustar", NULL, m);
    assert_int_equal(file_read("c.tar", 1 << 20, &bytes, &size), 0);
    assert_int_equal(size, 5120); /* 4 members of 1024, then two blocks of zeros */
    for (size_t n = 0; n < 4096 + 512; n += n % 512 == 511 ? 1 : n % 512 == 0 ? 1 : 510) {
        int rc, want;

        assert_int_equal(file_write("cut.tar", bytes, n), 0);
        rc = read_all(text, sizeof text, "cut.tar", BOTH);
        want = n > 0 && n < 512 ? rc : ERR_TRUNCATED; /* less than a block could be anything */
        if (rc != want || rc >= 0)
            fail_msg("%zu bytes: %d, %s", n, rc, rc < 0 ? err_text() : text);
        assert_string_equal(text, n >= 4096 ? "a|a|A|png|\nb|b|B|png|\n" : n >= 2048 ? "a|a|A|png|\n" : "");
        if (n >= 512)
            assert_non_null(strstr(err_text(), "cut.tar: "));
    }
    assert_int_equal(file_write("cut.tar", bytes, 2048), 0);
    expect("cut.tar", BOTH | PAIRS_GO_ON, 0, "a|a|A|png|\n|-|-|-|cut.tar: cut off after 2 members: no end mark\n");
    expect("gone.tar", BOTH | PAIRS_GO_ON, ERR_IO, "");
    assert_int_equal(file_write("cut.tar", bytes, 4096 + 512), 0);
    expect("cut.tar", BOTH, 0, "a|a|A|png|\nb|b|B|png|\n");
    free(bytes);

    make_archive("c.tgz", "ustar", "gzip", m);
    assert_int_equal(file_read("c.tgz", 1 << 20, &bytes, &size), 0);
    for (size_t n = 20; n < size; n++) {
        assert_int_equal(file_write("cut.tgz", bytes, n), 0);
        assert_true(read_all(text, sizeof text, "cut.tgz", BOTH) < 0);
    }
    free(bytes);
    make_archive("c.zip", "zip", NULL, m);
    assert_int_equal(file_read("c.zip", 1 << 20, &bytes, &size), 0);
    for (size_t n = 1; n < size; n++) {
        assert_int_equal(file_write("cut.zip", bytes, n), 0);
        assert_true(read_all(text, sizeof text, "cut.zip", BOTH) < 0);
    }
    free(bytes);
}

static void concatenated(void **state)
{
    static const struct member m[] = {{"a.txt", "a"}, {NULL, NULL}}, n[] = {{"b.txt", "b"}, {NULL, NULL}};

    (void)state;
    make_archive("1.tar", "ustar", NULL, m);
    make_archive("2.tar", "ustar", NULL, n);
    assert_int_equal(run("cat 1.tar 2.tar > 12.tar"), 0);
    expect("12.tar", PAIRS_CAPTION, 0, "a|a|-|-|\nb|b|-|-|\n");
    assert_int_equal(run("head -c 1024 1.tar > 12.tar; cat 2.tar >> 12.tar"), 0);
    expect("12.tar", PAIRS_CAPTION, 0, "a|a|-|-|\nb|b|-|-|\n");
}

static void links_in_tar(void **state)
{
    (void)state;
    write_text("l.png", "L");
    write_text("l.txt", "l");
    assert_int_equal(run("ln -s l.png l2.png; ln l.png l3.png; cp l.txt l2.txt; cp l.txt l3.txt; "
                            "tar cf l.tar l.png l.txt l2.png l2.txt l3.png l3.txt"), 0);
    expect("l.tar", BOTH, 0, "l|l|L|png|\nl2|l|-|-|l2.png: is a link or a device, not a file\n"
                             "l3|l|-|-|l3.png: is a link or a device, not a file\n");
}

static void folders(void **state)
{
    (void)state;
    assert_int_equal(folder_make("f/b.d/e"), 0);
    assert_int_equal(folder_make("f/a"), 0);
    assert_int_equal(folder_make("f/.hidden"), 0);
    write_text("f/b.png", "B");
    write_text("f/b.txt", "b");
    write_text("f/b0.png", "C");
    write_text("f/b0.txt", "c");
    write_text("f/b-.txt", "minus");
    write_text("f/b-.png", "M");
    write_text("f/a/x.png", "X");
    write_text("f/a/x.txt", "x");
    write_text("f/b.d/e/y.png", "Y");
    write_text("f/b.d/e/y.txt", "y");
    write_text("f/.hidden/z.png", "Z");
    write_text("f/notes", "n");
    assert_int_equal(symlink("../f", "f/a/loop"), 0);
    assert_int_equal(symlink("../b.png", "f/a/link.png"), 0);
    assert_int_equal(symlink("nothing", "f/a/none.png"), 0);
    expect("f", BOTH, 0, "b-|minus|M|png|\nb|b|B|png|\nb0|c|C|png|\na/link|-|B|png|no caption beside it\n"
                         "a/none|-|-|-|a/none.png: cannot open: No such file or directory\na/x|x|X|png|\nb.d/e/y|y|Y|png|\n");
    expect("f/", PAIRS_CAPTION, 0, "b-|minus|-|-|\nb|b|-|-|\nb0|c|-|-|\na/link|-|-|-|no caption beside it\n"
                                   "a/none|-|-|-|no caption beside it\na/x|x|-|-|\nb.d/e/y|y|-|-|\n");
}

static void lists(void **state)
{
    (void)state;
    assert_int_equal(folder_make("p"), 0);
    write_text("p/a.png", "A");
    write_text("p/b.v2.JPEG", "B");
    write_text("p/noext", "N");
    write_text("list.tsv", "p/a.png\tan a\tand more\n\n./p/b.v2.JPEG\tb\r\np/noext\tn\np/a.png\np/gone.png\tg\np/a.png\t\xff\n");
    expect("@list.tsv", BOTH, 0,
           "p/a|an a\tand more|A|png|\np/b|b|B|jpeg|\np/noext|n|N||\n"
           "p/a|-|A|png|line 5: no caption behind the path: a tab stands between the two\n"
           "p/gone|g|-|-|line 6: p/gone.png: cannot open: No such file or directory\n"
           "p/a|-|A|png|line 7: the caption is not UTF-8\n");
    expect("@list.tsv", PAIRS_CAPTION, 0,
           "p/a|an a\tand more|-|-|\np/b|b|-|-|\np/noext|n|-|-|\n"
           "p/a|-|-|-|line 5: no caption behind the path: a tab stands between the two\n"
           "p/gone|g|-|-|\np/a|-|-|-|line 7: the caption is not UTF-8\n");
    write_text("list.tsv", "");
    expect("@list.tsv", BOTH, 0, "");
    expect("@gone.tsv", BOTH, ERR_IO, "");
}

static void write_rejects(const char *path, const char *const *lines)
{
    struct rejects r;

    assert_int_equal(rejects_open(&r, path), 0);
    for (; *lines; lines += 3)
        assert_int_equal(rejects_add(&r, lines[0], lines[1], lines[2]), 0);
    assert_int_equal(rejects_close(&r), 0);
}

static void rejected(void **state)
{
    static const char *const lines[] = {"x.zip", "y", "bad \"y\"", "x.zip", "a/b.c/x", "bad", "x.zip", "gone", "bad",
                                        "@list.tsv", "p/a", "bad", "x.tar", "z", "\xff", NULL};
    static const char *const nested[] = {"@r.jsonl", "y", "bad", NULL};
    char *text;
    size_t size;
    struct rejects r;

    (void)state;
    make_archive("x.zip", "zip", NULL, three);
    make_archive("x.tar", "ustar", NULL, three);
    assert_int_equal(folder_make("p"), 0);
    write_text("p/a.png", "A");
    write_text("list.tsv", "p/a.png\ta\np/b.png\tb\n");
    write_rejects("r.jsonl", lines);
    assert_int_equal(file_read("r.jsonl", 10000, &text, &size), 0);
    assert_non_null(strstr(text, "{\"source\":\"x.zip\",\"key\":\"y\",\"reason\":\"bad \\\"y\\\"\"}\n"));
    free(text);
    expect("@r.jsonl", BOTH, 0, "a/b.c/x|an x|PX|png|\ny|the y|PY|jpg|\ngone|-|-|-|not there any more\n"
                                "p/a|a|A|png|\nz||PZ|pgm|\n");
    write_rejects("r2.jsonl", nested);
    expect("@r2.jsonl", BOTH, ERR_FORMAT, "");
    write_text("r3.jsonl", "{\"source\":\"x.tar\",\"key\":\"y\",\"reason\":\"\"}\nnot json\n");
    expect("@r3.jsonl", BOTH, ERR_FORMAT, "");
    assert_non_null(strstr(err_text(), "@r3.jsonl: line 2"));
    write_text("r4.jsonl", "{\"key\":\"y\"}\n");
    expect("@r4.jsonl", BOTH, ERR_FORMAT, "");

    assert_int_equal(rejects_open(&r, NULL), 0); /* count only */
    assert_int_equal(rejects_add(&r, "a", "b", "c"), 0);
    assert_int_equal(r.count, 1);
    assert_int_equal(rejects_close(&r), 0);
}

/* A record with a problem, listed, is found again by the key it was shown with. */
static void rejected_again(void **state)
{
    static const struct member m[] = {{"n\n\xff.png", "N"}, {"ok.png", "O"}, {NULL, NULL}};
    struct rejects r;
    struct pairs *p;
    struct pair pair;

    (void)state;
    make_archive("n.tar", "ustar", NULL, m);
    assert_int_equal(rejects_open(&r, "n.jsonl"), 0);
    assert_int_equal(pairs_open(&p, "n.tar", PAIRS_PICTURE), 0);
    assert_int_equal(pairs_next(p, &pair), 1);
    assert_int_equal(rejects_add(&r, pair.source, pair.key, pair.problem), 0);
    pairs_close(p);
    assert_int_equal(rejects_close(&r), 0);
    expect("@n.jsonl", PAIRS_PICTURE, 0, "n\xef\xbf\xbd\xef\xbf\xbd|-|N|png|the key holds a control character\n");
}

static void written(void **state)
{
    static const char *const keys[] = {"000001", "a/b", "caf\xc3\xa9/\xe6\xa4\x85", "v1.5", "../up", "/abs", "50%", NULL};
    static const char lines[] = "000001|c|-|-|\na/b|c|-|-|\ncaf\xc3\xa9/\xe6\xa4\x85|c|-|-|\nv1%2E5|c|-|-|\n"
                                "%2E%2E/up|c|-|-|\n%2Fabs|c|-|-|\n50%25|c|-|-|\n";

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct out out;
        struct pairs_writer *w;

        assert_int_equal(out_open(&out, i ? "w2.tar" : "w1.tar", true), 0);
        assert_int_equal(pairs_create(&w, &out), 0);
        assert_int_equal(pairs_put(w, "", "txt", "c", 1), ERR_ARG);
        for (int k = 0; keys[k]; k++)
            assert_int_equal(pairs_put(w, keys[k], "txt", "c", 1), 0);
        assert_int_equal(pairs_end(w), 0);
        assert_int_equal(out_commit(&out), 0);
    }
    assert_int_equal(run("cmp w1.tar w2.tar"), 0);
    expect("w1.tar", PAIRS_CAPTION, 0, lines);
}

/* Our archives, read by the reader that knows nothing but the page. */
static void read_by_others(void **state)
{
    static const char *const keys[] = {"000001", "a/b", "caf\xc3\xa9/\xe6\xa4\x85"};
    struct out out;
    struct pairs_writer *w;

    (void)state;
    assert_int_equal(out_open(&out, "o.tar", true), 0);
    assert_int_equal(pairs_create(&w, &out), 0);
    for (int k = 0; k < 3; k++) {
        assert_int_equal(pairs_put(w, keys[k], "png", "abc", 3), 0);
        assert_int_equal(pairs_put(w, keys[k], "txt", keys[k], strlen(keys[k])), 0);
    }
    assert_int_equal(pairs_end(w), 0);
    assert_int_equal(out_commit(&out), 0);
    assert_int_equal(run("python3 '%s/tests/reference/pairs_read.py' o.tar > o.jsonl", root), 0);
    for (int k = 0; k < 3; k++)
        assert_int_equal(run("grep -q '^{\"key\": \"%s\", \"caption\": \"%s\", \"picture_ext\": \"png\", "
                             "\"picture_sha256\": \"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"}$' "
                             "o.jsonl", keys[k], keys[k]), 0);
    assert_int_equal(run("test $(wc -l < o.jsonl) = 3"), 0);
}

/* Records as lines "key|caption|ext|size|problem". */
static void expect_short(const char *source, int code, const char *lines)
{
    struct pairs *p;
    struct pair r;
    char text[4096];
    size_t at = 0;
    int rc = pairs_open(&p, source, BOTH);

    text[0] = 0;
    while (rc == 0 && (rc = pairs_next(p, &r)) > 0) {
        at += (size_t)snprintf(text + at, sizeof text - at, "%s|%s|%s|%zu|%s\n", r.key, r.caption ? r.caption : "-",
                               r.picture_ext ? r.picture_ext : "-", r.picture_size, r.problem ? r.problem : "");
        rc = 0;
    }
    if (rc != code || strcmp(text, lines) != 0)
        fail_msg("%s: %d (%s), records:\n%swanted %d:\n%s", source, rc, rc < 0 ? err_text() : "", text, code, lines);
    pairs_close(p);
}

static const char all[] = "0001|a red square|png|82|\nsub/0002|an \xc3\xa9 in grey|pgm|13|\n"
                          "sub.d/0003|no line end|png|82|\n\xe6\xa4\x85\xe5\xad\x90||png|82|\n";

static void good(void **state)
{
    (void)state;
    assert_int_equal(chdir(root), 0);
    expect_short("formats/good/pairs.tar", 0, all);
    expect_short("formats/good/pairs.tar.gz", 0, all);
    expect_short("formats/good/pairs.zip", 0, all);
    expect_short("formats/good/pairs-empty.tar", 0, "");
    expect_short("@formats/good/pairs.tsv", 0, "formats/good/pictures/red|a red square|png|82|\n"
                                               "formats/good/pictures/grey|an \xc3\xa9 in grey|pgm|13|\n");
    expect_short("@formats/good/pairs-rejects.jsonl", 0, "0001|a red square|png|82|\nsub.d/0003|no line end|png|82|\n"
                                                         "formats/good/pictures/red|a red square|png|82|\n");
    assert_int_equal(chdir(folder), 0);
}

static void bad_one(const char *source, int code, const char *lines, const char *words)
{
    expect_short(source, code, lines);
    if (!strstr(err_text(), words) || !strstr(err_text(), source + (source[0] == '@')))
        fail_msg("%s: %s", source, err_text());
}

static void bad(void **state)
{
    static const char first[] = "0001|a red square|png|82|\n";

    (void)state;
    assert_int_equal(chdir(root), 0);
    bad_one("formats/bad/pairs-cut.tar", ERR_TRUNCATED, first, "");
    bad_one("formats/bad/pairs-cut-between.tar", ERR_TRUNCATED, first, "cut off after 2 members: no end mark");
    bad_one("formats/bad/pairs-cut.tar.gz", ERR_TRUNCATED, "", "");
    bad_one("formats/bad/pairs-cut.zip", ERR_TRUNCATED, all, "the zip's directory is not whole");
    bad_one("formats/bad/pairs-text.tar", ERR_FORMAT, "", "neither tar nor zip");
    bad_one("formats/bad/pairs-empty-file.tar", ERR_TRUNCATED, "", "is empty");
    bad_one("@formats/bad/pairs-rejects-of-rejects.jsonl", ERR_FORMAT, "", "a list of rejects inside another");
    bad_one("@formats/bad/pairs-rejects-no-key.jsonl", ERR_FORMAT, "", "line 1: no \"source\" and \"key\"");
    expect_short("formats/bad/pairs-problems.tar", 0,
                 "latin1|-|png|82|the caption is not UTF-8\nnul|-|png|82|the caption holds a NUL\n"
                 "alone|-|png|82|no caption beside it\nbare|no picture|-|0|no picture beside it\n"
                 "two|two|jpg|82|two.png: a second picture of the same key\n"
                 "null|-|png|82|json: no \"caption\" in it\n");
    assert_int_equal(chdir(folder), 0);
}

static void full_disk(void **state)
{
    struct out out = {.file = fopen("/dev/full", "wb")};
    struct pairs_writer *w;
    char block[65536] = {0};
    int rc = 0;

    (void)state;
    assert_int_equal(pairs_create(&w, &out), 0);
    for (int i = 0; i < 10 && rc == 0; i++)
        rc = pairs_put(w, "a", "png", block, sizeof block);
    assert_int_equal(rc, ERR_IO);
    assert_non_null(strstr(err_text(), "No space left"));
    assert_true(pairs_end(w) < 0);
    fclose(out.file);
}

static void expect_name(const char *pattern, const char *key, const char *name)
{
    char *path;

    assert_int_equal(name_from_key(&path, pattern, key, 7), 0);
    assert_string_equal(path, name);
    free(path);
}

static void names(void **state)
{
    char long_key[600], wanted[1300], *path;

    (void)state;
    expect_name("out/%k.png", "a", "out/a.png");
    expect_name("out/%k-%n.png", "a/b c", "out/a/b c-7.png");
    expect_name("%%%n", "a", "%7");
    expect_name("out/%k", "../x", "out/%2E%2E/x");
    expect_name("out/%k", "a/../x", "out/a/%2E%2E/x");
    expect_name("out/%k", "a/..", "out/a/%2E%2E");
    expect_name("out/%k", "./.", "out/%2E/%2E");
    expect_name("out/%k", ".../..a/.b", "out/.../..a/.b");
    expect_name("out/%k", "/etc/passwd", "out/%2Fetc/passwd");
    expect_name("out/%k", "//x", "out/%2F%2Fx");
    expect_name("out/%k", "a//b/", "out/a/%2Fb%2F");
    expect_name("out/%k", "a%2Fb", "out/a%252Fb");
    expect_name("out/%k", "a\nb\x7f\x01", "out/a%0Ab%7F%01");
    expect_name("out/%k", "caf\xc3\xa9 \xff", "out/caf\xc3\xa9 %FF");
    expect_name("out/%k", "%k%n", "out/%25k%25n");
    memset(long_key, 'x', sizeof long_key);
    long_key[450] = 0;
    snprintf(wanted, sizeof wanted, "out/%.200s%%/%.200s%%/%.50s.png", long_key, long_key, long_key);
    expect_name("out/%k.png", long_key, wanted);
    memset(long_key, 'x', 200); /* what is left over must not be a way up */
    strcpy(long_key + 200, "../y");
    snprintf(wanted, sizeof wanted, "out/%.200s%%/%%2E./y", long_key);
    expect_name("out/%k", long_key, wanted);
    strcpy(long_key + 200, ".");
    snprintf(wanted, sizeof wanted, "out/%.200s%%/%%2E", long_key);
    expect_name("out/%k", long_key, wanted);
    memset(long_key, '\n', sizeof long_key);
    long_key[599] = 0;
    assert_int_equal(name_from_key(&path, "out/%k.png", long_key, 0), 0);
    for (const char *at = path; *at; at += strcspn(at, "/") + (strchr(at, '/') != NULL))
        assert_true(strcspn(at, "/") <= 240);
    free(path);
    assert_int_equal(name_from_key(&path, "out/%k", "", 0), ERR_ARG);
    assert_int_equal(name_from_key(&path, "out/%q", "a", 0), ERR_ARG);
    assert_int_equal(name_from_key(&path, "out/%", "a", 0), ERR_ARG);
    assert_int_equal(name_from_key(&path, "", "a", 0), ERR_ARG);
    assert_null(path);
    memset(long_key, 'x', 300);
    long_key[300] = 0;
    assert_int_equal(name_from_key(&path, long_key, "a", 0), ERR_LIMIT);
}

static int hex(char c)
{
    return c <= '9' ? c - '0' : c - 'A' + 10;
}

/* Keys of every shape: the name stays inside and decodes to the key, so that no two keys share a name. */
static void names_come_back(void **state)
{
    static const char *const pieces[] = {".", "..", "/", "//", "%", "%/", "%2F", "a", "\n", "\xc3\xa9", "\xff", "...",
                                         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    const unsigned n = sizeof pieces / sizeof *pieces;

    (void)state;
    for (unsigned i = 0; i < n * n * n * n; i++) {
        char key[400], back[400], *path, *b = back;
        unsigned r = i;

        snprintf(key, sizeof key, "%s%s%s%s", pieces[r % n], pieces[r / n % n], pieces[r / n / n % n],
                 pieces[r / n / n / n % n]);
        assert_int_equal(name_from_key(&path, "o/%k", key, 0), 0);
        assert_memory_equal(path, "o/", 2);
        for (const char *p = path + 2; *p;) {
            size_t part = strcspn(p, "/");

            if (p == path + 2 || p[-1] == '/')
                assert_false(part == 0 || (part == 1 && *p == '.') || (part == 2 && p[0] == '.' && p[1] == '.'));
            if (p[0] == '%' && p[1] == '/') {
                p += 2;
            } else if (p[0] == '%') {
                *b++ = (char)(hex(p[1]) << 4 | hex(p[2]));
                p += 3;
            } else {
                *b++ = *p++;
            }
        }
        *b = 0;
        assert_string_equal(back, key);
        free(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(archives),     cmocka_unit_test(is_source),      cmocka_unit_test(no_members),
        cmocka_unit_test(standard_input), cmocka_unit_test(problems),     cmocka_unit_test(nul_and_size),
        cmocka_unit_test(prefixes),     cmocka_unit_test(concatenated),   cmocka_unit_test(links_in_tar),
        cmocka_unit_test(folders),      cmocka_unit_test(lists),          cmocka_unit_test(rejected),
        cmocka_unit_test(rejected_again), cmocka_unit_test(written),      cmocka_unit_test(full_disk),
        cmocka_unit_test(names),        cmocka_unit_test(names_come_back), cmocka_unit_test(read_by_others),
        cmocka_unit_test(good),         cmocka_unit_test(bad)};

    return cmocka_run_group_tests_name("pairs", tests, setup, teardown);
}

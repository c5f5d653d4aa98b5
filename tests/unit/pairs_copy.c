/* SPDX-License-Identifier: MIT */
/* Pairs with all their members, and written again as they were. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>
#include <cmocka.h>

#include "base/io.h"
#include "format/pairs.h"

#define ALL (PAIRS_CAPTION | PAIRS_PICTURE | PAIRS_EXTRA)

static char folder[] = "/tmp/armchair-pairs-copy-XXXXXX";

static int setup(void **state)
{
    (void)state;
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
    char command[100];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return chdir("/") == 0 ? system(command) : -1;
}

struct member {
    const char *name, *bytes;
};

static void make_tar(const char *path, const struct member *m)
{
    struct archive *a = archive_write_new();
    struct archive_entry *e = archive_entry_new();

    assert_int_equal(archive_write_set_format_pax_restricted(a), ARCHIVE_OK);
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

/* Copy a source into a tar; the code of its end.  problems: how many records had one. */
static int copy(const char *to, const char *source, int *problems)
{
    struct pairs_writer *w;
    struct out out;
    struct pairs *p;
    struct pair r;
    int rc;

    *problems = 0;
    assert_int_equal(out_open(&out, to, true), 0);
    assert_int_equal(pairs_create(&w, &out), 0);
    assert_int_equal(pairs_open(&p, source, ALL), 0);
    while ((rc = pairs_next(p, &r)) > 0) {
        if (r.problem)
            ++*problems;
        else
            assert_int_equal(pairs_copy(w, &r), 0);
    }
    pairs_close(p);
    assert_int_equal(pairs_end(w), 0);
    assert_int_equal(out_commit(&out), 0);
    return rc;
}

/* The members of a tar as lines "name|bytes", returns and newlines shown. */
static void expect(const char *path, const char *lines)
{
    struct archive *a = archive_read_new();
    struct archive_entry *e;
    char text[8192] = "", bytes[1000];
    size_t at = 0;

    archive_read_support_format_tar(a);
    assert_int_equal(archive_read_open_filename(a, path, 10240), ARCHIVE_OK);
    while (archive_read_next_header(a, &e) == ARCHIVE_OK) {
        la_ssize_t size = archive_read_data(a, bytes, sizeof bytes);

        at += (size_t)snprintf(text + at, sizeof text - at, "%s|", archive_entry_pathname(e));
        for (la_ssize_t i = 0; i < size; i++)
            at += (size_t)snprintf(text + at, sizeof text - at, bytes[i] == '\n' ? "\\n" : bytes[i] == '\r' ? "\\r" : "%c",
                                   bytes[i]);
        at += (size_t)snprintf(text + at, sizeof text - at, "\n");
    }
    archive_read_free(a);
    assert_string_equal(text, lines);
}

static void bytes_stay(void **state)
{
    static const struct member members[] = {
        {"a/b.c/x.png", "PX"}, {"a/b.c/x.txt", "an x\n"}, {"a/b.c/x.mask.png", "MX"}, {"a/b.c/x.json", "{ \"n\":1}\n"},
        {"y.cls", "3"}, {"y.JPG", "PY"}, {"y.json", "{\"caption\":\"the y\"}"},
        {"z.txt", "z\r\n"}, {"z.pgm", "PZ"}, {"z.npy", ""}, {"w.png", "PW"}, {"w.txt", "w\n\n"}, {"v.png", "PV"}, {"v.txt", ""},
        {NULL, NULL}};
    int problems;

    (void)state;
    make_tar("in.tar", members);
    assert_int_equal(copy("out.tar", "in.tar", &problems), 0);
    assert_int_equal(problems, 0);
    expect("out.tar", "a/b.c/x.png|PX\na/b.c/x.txt|an x\\n\na/b.c/x.mask.png|MX\na/b.c/x.json|{ \"n\":1}\\n\n"
                      "y.jpg|PY\ny.cls|3\ny.json|{\"caption\":\"the y\"}\n"
                      "z.pgm|PZ\nz.txt|z\\r\\n\nz.npy|\nw.png|PW\nw.txt|w\\n\\n\nv.png|PV\nv.txt|\n");
    assert_int_equal(copy("again.tar", "out.tar", &problems), 0);
    assert_int_equal(system("cmp out.tar again.tar"), 0);
}

static void keys_stay(void **state)
{
    static const char *const keys[] = {"50%", "../up", "/abs", "a//b", "%2E%/x", "椅子/é", NULL};
    char name[2][300], longer[260];
    struct member members[40] = {{NULL, NULL}};
    struct pairs *p;
    struct pair r;
    int problems;

    (void)state;
    memset(longer, 'k', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    for (int i = 0; i < 7; i++) {
        const char *key = keys[i] ? keys[i] : longer;

        snprintf(name[0], sizeof name[0], "%s.png", key);
        snprintf(name[1], sizeof name[1], "%s.txt", key);
        members[0] = (struct member){name[0], "P"};
        members[1] = (struct member){name[1], "t"};
        make_tar("in.tar", members);
        assert_int_equal(copy("out.tar", "in.tar", &problems), 0);
        assert_int_equal(problems, 0);
        assert_int_equal(pairs_open(&p, "out.tar", ALL), 0);
        assert_int_equal(pairs_next(p, &r), 1);
        assert_string_equal(r.key, key);
        assert_null(r.problem);
        assert_int_equal(pairs_next(p, &r), 0);
        pairs_close(p);
    }
}

/* Keys of lists need not be such that a reader finds them again. */
static void keys_of_lists(void **state)
{
    int problems;

    (void)state;
    assert_int_equal(file_write("p.jpg", "P", 1), 0);
    assert_int_equal(file_write(".hidden", "P", 1), 0);
    assert_int_equal(file_write("list.tsv", "p.jpg\tone \r\n", 12), 0);
    assert_int_equal(copy("out.tar", "@list.tsv", &problems), 0);
    expect("out.tar", "p.jpg|P\np.txt|one \\n\n");
    assert_int_equal(system("test $(wc -c < out.tar) = 10240"), 0); /* blocks are small, whatever is written at once */
    assert_int_equal(file_write("list.tsv", ".hidden\tone\n", 12), 0);
    assert_int_equal(copy("out.tar", "@list.tsv", &problems), 0);
    expect("out.tar", "%2Ehidden.|P\n%2Ehidden.txt|one\\n\n");
}

static void limits(void **state)
{
    struct member members[70] = {{"a.png", "P"}, {"a.txt", "t"}};
    static char name[70][20];
    int problems;

    (void)state;
    for (int i = 2; i < 69; i++) {
        snprintf(name[i], sizeof name[i], "a.x%d", i);
        members[i] = (struct member){name[i], "x"};
    }
    make_tar("in.tar", members);
    assert_int_equal(copy("out.tar", "in.tar", &problems), 0);
    assert_int_equal(problems, 1);
    members[2 + PAIRS_EXTRAS_MAX] = (struct member){NULL, NULL};
    make_tar("in.tar", members);
    assert_int_equal(copy("out.tar", "in.tar", &problems), 0);
    assert_int_equal(problems, 0);
}

/* A pair whose last member is cut is whole only for those who do not want that member. */
static void cut(void **state)
{
    static const struct member members[] = {{"a.png", "P"}, {"a.txt", "t"}, {"b.png", "P"}, {"b.txt", "t"},
                                            {"b.npy", "0123456789"}, {NULL, NULL}};
    int problems;

    (void)state;
    make_tar("in.tar", members);
    assert_int_equal(truncate("in.tar", 9 * 512 + 5), 0);
    assert_int_equal(copy("out.tar", "in.tar", &problems), ERR_TRUNCATED);
    expect("out.tar", "a.png|P\na.txt|t\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_stay), cmocka_unit_test(keys_stay), cmocka_unit_test(keys_of_lists),
        cmocka_unit_test(limits), cmocka_unit_test(cut),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

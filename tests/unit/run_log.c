/* SPDX-License-Identifier: MIT */
/* The logs of runs: whole, being written, damaged; their fields and their names. */
#include "format/run_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/run_log.XXXXXX";
static char path[64];

static void put(const char *text, size_t size)
{
    assert_int_equal(file_write(path, text, size), 0);
}

/* Lines of the log up to its end, or the error that stops it. */
static int read_all(const char *text, size_t size, bool *cut)
{
    struct run_log log;
    int rc, count = 0;

    put(text, size);
    assert_int_equal(run_log_open(&log, path), 0);
    while ((rc = run_log_next(&log)) > 0)
        count++;
    *cut = log.cut;
    run_log_close(&log);
    return rc < 0 ? rc : count;
}

static const char good[] = "{\"step\":1,\"loss\":2.5,\"scale\":[1,2,null]}\n\r\n{\"step\":2,\"loss\":null}\r\n"
                           "{\"step\":2.5,\"loss\":1e-3,\"warn\":\"\\u00e4{}\"}\n";

/* A log that is being written is a log at every moment: each prefix has the lines that are whole. */
static void test_every_prefix(void **state)
{
    (void)state;
    for (size_t size = 0; size < sizeof good; size++) {
        int whole = 0, brace = 0;
        bool cut, half;

        for (size_t i = 0; i < size; i++) /* a line is whole with its last brace */
            if (good[i] == '}' && (good[i + 1] == '\r' || good[i + 1] == '\n')) {
                whole++;
                brace = (int)i;
            }
        half = size > 0 && strspn(good + (whole ? brace + 1 : 0), "\r\n") < size - (size_t)(whole ? brace + 1 : 0);
        assert_int_equal(read_all(good, size, &cut), whole);
        assert_int_equal(cut, half);
    }
}

static void test_damage_is_named(void **state)
{
    static const struct {
        const char *text, *reason;
        int rc;
    } bad[] = {
        {"{\"step\":1}\nloss\n{\"step\":3}\n", "line 2: not JSON: ", ERR_FORMAT},
        {"{\"step\":1}\n{\"step\":2,\n", "line 2: not JSON: ", ERR_FORMAT},
        {"[1,2]\n", "line 1: not a JSON object", ERR_FORMAT},
        {"{\"step\":1}\n\n3\n", "line 3: not", ERR_FORMAT},
        {"{\"loss\":1}\n", "line 1: has no step", ERR_FORMAT},
        {"{\"step\":\"1\"}\n", "line 1: step is not a number from 0 to 2^53", ERR_FORMAT},
        {"{\"step\":-1}\n", "line 1: step is not a number from 0 to 2^53", ERR_FORMAT},
        {"{\"step\":1e16}\n", "line 1: step is not a number from 0 to 2^53", ERR_FORMAT},
        {"{\"step\":null}\n", "line 1: step is not a number from 0 to 2^53", ERR_FORMAT},
        {"{\"step\":7}\n{\"step\":6}\n", "line 2: step 6 comes behind step 7", ERR_FORMAT},
        {"{\"step\":1,\"loss\":1e999}\n", "line 1: not JSON: real number overflow", ERR_FORMAT},
        {"{\"step\":1,\"loss\":NaN}\n", "line 1: not JSON: ", ERR_FORMAT},
        {"{\"step\":1,\"a\":\"\xff\"}\n", "line 1: not JSON: ", ERR_FORMAT},
        {"{\"step\":1,\x1b[2J\n", "line 1: not JSON: ", ERR_FORMAT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        bool cut;

        assert_int_equal(read_all(bad[i].text, strlen(bad[i].text), &cut), bad[i].rc);
        assert_non_null(strstr(err_text(), bad[i].reason));
        assert_non_null(strstr(err_text(), path));
        assert_null(strchr(err_text(), '\x1b'));
        assert_false(cut);
    }
    bool cut;

    assert_int_equal(read_all("{\"step\":1}\0\n", 12, &cut), ERR_FORMAT);
}

static void test_a_line_has_a_limit(void **state)
{
    size_t size = RUN_LOG_LINE + 100;
    char *text = malloc(size);
    bool cut;

    (void)state;
    assert_non_null(text);
    memset(text, ' ', size);
    memcpy(text, "{\"step\":1", 9);
    text[size - 1] = '\n';
    text[size - 2] = '}';
    assert_int_equal(read_all(text, size, &cut), ERR_LIMIT);
    assert_non_null(strstr(err_text(), "line 1: longer than"));
    text[RUN_LOG_LINE - 1] = '}';
    assert_int_equal(read_all(text, RUN_LOG_LINE, &cut), 1);
    free(text);
}

static void test_fields(void **state)
{
    static const char text[] = "{\"step\":4,\"loss\":3,\"none\":null,\"scale\":[1,2.5,null],\"empty\":[],\"text\":\"a\","
                               "\"flag\":true,\"mixed\":[1,\"\\u001b\"],\"deep\":{\"a\":1},\"od\\u001bd\":1}\n";
    struct run_log log;
    char fields[200];

    (void)state;
    put(text, strlen(text));
    assert_int_equal(run_log_open(&log, path), 0);
    assert_int_equal(run_log_next(&log), 1);
    assert_true(log.step == 4);
    assert_int_equal(run_log_value(&log, "loss"), RUN_NUMBER);
    assert_true(log.values == 1 && log.value[0] == 3);
    assert_int_equal(run_log_value(&log, "none"), RUN_NULL);
    assert_true(log.values == 1 && isnan(log.value[0]));
    assert_int_equal(run_log_value(&log, "scale"), RUN_ARRAY);
    assert_true(log.values == 3 && log.value[1] == 2.5 && isnan(log.value[2]));
    assert_int_equal(run_log_value(&log, "empty"), RUN_ARRAY);
    assert_int_equal(log.values, 0);
    assert_int_equal(run_log_value(&log, "gone"), RUN_MISSING);
    assert_int_equal(run_log_value(&log, "text"), ERR_FORMAT);
    assert_non_null(strstr(err_text(), "line 1: text is neither a number, nor an array of them, nor null"));
    assert_int_equal(run_log_value(&log, "flag"), ERR_FORMAT);
    assert_int_equal(run_log_value(&log, "deep"), ERR_FORMAT);
    assert_int_equal(run_log_value(&log, "mixed"), ERR_FORMAT);
    assert_non_null(strstr(err_text(), "line 1: mixed[1] is neither a number nor null"));
    assert_int_equal(run_log_next(&log), 0); /* the last line stays */
    run_log_fields(&log, fields, sizeof fields);
    assert_string_equal(fields, "step, loss, none, scale[3], empty[0], mixed[2], od?d");
    run_log_fields(&log, fields, 50);
    assert_true(strlen(fields) < 50);
    run_log_close(&log);
    run_log_close(&log);
}

static void test_names(void **state)
{
    static char *const paths[] = {"a/run", "a/other/", "a/third/log.jsonl", "logs/fourth.jsonl", "log.jsonl", "-", "/",
                                  ".jsonl", "b/run", "x/b/run/log.jsonl", "./log.jsonl", "e.txt"};
    static const char *const names[] = {"a/run", "other", "third", "fourth", "log", "stdin", "/", ".jsonl", "b/run",
                                        "x/b/run/log.jsonl", ".", "e.txt"};
    char *name[12];

    (void)state;
    assert_int_equal(run_log_names(name, paths, 12), 0);
    for (int i = 0; i < 12; i++) {
        assert_string_equal(name[i], names[i]);
        free(name[i]);
    }
}

static void test_a_folder_is_its_log(void **state)
{
    struct run_log log;

    (void)state;
    put("{\"step\":1}\n", 11);
    assert_int_equal(run_log_open(&log, folder), 0);
    assert_int_equal(run_log_next(&log), 1);
    run_log_close(&log);
    assert_int_equal(run_log_open(&log, "/nowhere"), ERR_IO);
    run_log_close(&log);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(run_log_open(&log, folder), ERR_IO);
    assert_non_null(strstr(err_text(), path));
    run_log_close(&log);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(run_log_open(&log, path), ERR_IO); /* a folder in a folder's place */
    run_log_close(&log);
    assert_int_equal(rmdir(path), 0);
}

static int start(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/log.jsonl", folder);
    return 0;
}

static int end(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_prefix),
        cmocka_unit_test(test_damage_is_named),
        cmocka_unit_test(test_a_line_has_a_limit),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_a_folder_is_its_log),
    };

    return cmocka_run_group_tests(tests, start, end);
}

/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "format/run.h"
#include "format/st.h"

static char folder[] = "/tmp/armchair-run-XXXXXX";

static int setup(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    char command[100];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static int save_file(const char *in, const char *name, int64_t step)
{
    int64_t values[512];
    struct st_tensor t = {"step", ST_I64, 1, {512}, values, 0};
    char path[RUN_PATH_MAX + 40];

    for (int i = 0; i < 512; i++)
        values[i] = step;
    snprintf(path, sizeof path, "%s/%s", in, name);
    return st_write(path, &t, 1, NULL, 0);
}

static int save(const char *run, int64_t step, int keep)
{
    char temp[RUN_PATH_MAX];
    int rc;

    if ((rc = run_begin(temp, run, step)) != 0 || (rc = save_file(temp, "model.safetensors", step)) != 0 ||
        (rc = save_file(temp, "state.safetensors", step)) != 0)
        return rc;
    return run_commit(run, step, keep);
}

/* The step that the file's values name. */
static int64_t step_in(const char *path)
{
    struct st_file *f;
    int64_t v[512];

    assert_int_equal(st_open(&f, path), 0);
    memcpy(v, st_find(f, "step")->data, sizeof v);
    st_close(f);
    for (int i = 1; i < 512; i++)
        assert_int_equal(v[i], v[0]);
    return v[0];
}

static bool there(const char *run, const char *name)
{
    char path[RUN_PATH_MAX];

    snprintf(path, sizeof path, "%s/%s", run, name);
    return access(path, F_OK) == 0;
}

static void weights(void **state)
{
    char run[100], found[RUN_PATH_MAX], file[RUN_PATH_MAX], temp[RUN_PATH_MAX], wanted[200];
    int64_t step;

    (void)state;
    snprintf(run, sizeof run, "%s/a", folder);
    assert_int_equal(run_newest(found, &step, run), 0);
    assert_int_equal(run_weights(file, run, false), ERR_IO);
    assert_int_equal(folder_make(run), 0);
    assert_int_equal(run_newest(found, &step, run), 0);
    assert_int_equal(run_weights(file, run, false), ERR_EMPTY);

    assert_int_equal(save(run, 5, 0), 0);
    assert_int_equal(run_newest(found, &step, run), 1);
    assert_int_equal(step, 5);
    assert_int_equal(run_weights(file, run, false), 0);
    snprintf(wanted, sizeof wanted, "%s/ckpt-00000005/model.safetensors", run);
    assert_string_equal(file, wanted);

    assert_int_equal(run_begin(temp, run, 10), 0);
    assert_int_equal(run_commit(run, 10, 0), ERR_ARG); /* nothing in it */
    assert_int_equal(save_file(temp, "model.safetensors", 10), 0);
    assert_int_equal(save_file(temp, "ema.safetensors", 11), 0);
    assert_int_equal(run_weights(file, temp, false), ERR_TRUNCATED);
    assert_int_equal(run_commit(run, 10, 0), 0);
    assert_int_equal(run_weights(file, run, false), 0);
    assert_int_equal(step_in(file), 11);
    assert_int_equal(run_weights(file, run, true), 0);
    assert_int_equal(step_in(file), 10);
    snprintf(wanted, sizeof wanted, "%s/ckpt-00000005", run);
    assert_int_equal(run_weights(file, wanted, false), 0); /* a checkpoint folder */
    assert_int_equal(step_in(file), 5);
    assert_int_equal(run_weights(temp, file, false), 0); /* a file is itself */
    assert_string_equal(temp, file);
}

static void newest(void **state)
{
    char run[100], found[RUN_PATH_MAX], path[200];
    int64_t step;

    (void)state;
    snprintf(run, sizeof run, "%s/b", folder);
    for (int64_t s = 1; s <= 3; s++)
        assert_int_equal(save(run, s, 0), 0);
    snprintf(path, sizeof path, "%s/latest", run);

    assert_int_equal(file_write(path, "ckpt-00000002\n", 14), 0); /* a user goes back */
    assert_int_equal(run_newest(found, &step, run), 1);
    assert_int_equal(step, 2);
    assert_int_equal(file_write(path, "ckpt-00000009\n", 14), 0); /* not there */
    assert_int_equal(run_newest(found, &step, run), 1);
    assert_int_equal(step, 3);
    assert_int_equal(file_write(path, "../b/ckpt-00000001\n", 19), 0); /* no name of ours */
    assert_int_equal(run_newest(found, &step, run), 1);
    assert_int_equal(step, 3);
    unlink(path);
    assert_int_equal(run_newest(found, &step, run), 1);
    assert_int_equal(step, 3);

    assert_int_equal(file_write(path, "ckpt-00000003\n", 14), 0); /* there and damaged */
    snprintf(path, sizeof path, "%s/ckpt-00000003/state.safetensors", run);
    assert_int_equal(truncate(path, 100), 0);
    assert_int_equal(run_newest(found, &step, run), 1);
    assert_int_equal(step, 2);
}

static void keeps(void **state)
{
    char run[100], found[RUN_PATH_MAX], path[200];
    int64_t step;

    (void)state;
    snprintf(run, sizeof run, "%s/c", folder);
    for (int64_t s = 1; s <= 5; s++)
        assert_int_equal(save(run, s, 2), 0);
    assert_false(there(run, "ckpt-00000003"));
    assert_true(there(run, "ckpt-00000004") && there(run, "ckpt-00000005"));
    /* going back: a step written again replaces the folder; those of the time before are not counted */
    assert_int_equal(save(run, 4, 1), 0);
    assert_true(there(run, "ckpt-00000004") && there(run, "ckpt-00000005"));
    assert_false(there(run, "ckpt-00000004.tmp"));
    assert_int_equal(run_newest(found, &step, run), 1);
    assert_int_equal(step, 4);
    /* what a dead writer left goes away */
    snprintf(path, sizeof path, "%s/ckpt-00000099.tmp", run);
    assert_int_equal(folder_make(path), 0);
    assert_int_equal(save_file(path, "model.safetensors", 99), 0);
    assert_int_equal(save(run, 6, 2), 0);
    assert_false(there(run, "ckpt-00000099.tmp"));
    assert_int_equal(save(run, -1, 2), ERR_ARG);
}

static void lock(void **state)
{
    char run[100];
    int status;
    pid_t child;

    (void)state;
    snprintf(run, sizeof run, "%s/d", folder);
    assert_int_equal(run_lock(run), 0);
    if ((child = fork()) == 0)
        _exit(run_lock(run) == ERR_IO ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* A child saves as fast as it can and is killed at any moment; what is newest is then whole and never goes back. */
static void killed(void **state)
{
    char run[100], found[RUN_PATH_MAX], file[RUN_PATH_MAX + 40];
    unsigned seed = 12345;
    int64_t step = 0, last = 0;

    (void)state;
    snprintf(run, sizeof run, "%s/e", folder);
    assert_int_equal(save(run, 1, 2), 0);
    for (int round = 0; round < 60 || (last <= 20 && round < 2000); round++) {
        pid_t child = fork();
        int status;

        if (child == 0) {
            for (int64_t s = last + 1;; s++) {
                if (s % 7 == 0 && save(run, s - 1, 2) != 0) /* also replace one that is there */
                    _exit(1);
                if (save(run, s, 2) != 0)
                    _exit(1);
            }
        }
        seed = seed * 1103515245 + 12345;
        usleep((seed >> 16 & 0x3fff) * (unsigned)(1 + round / 60)); /* up to 16 ms; more where the machine is slow */
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(run_newest(found, &step, run), 1);
        assert_true(step + 1 >= last); /* step - 1 is written again now and then */
        snprintf(file, sizeof file, "%s/model.safetensors", found);
        assert_int_equal(step_in(file), step);
        snprintf(file, sizeof file, "%s/state.safetensors", found);
        assert_int_equal(step_in(file), step);
        last = step;
    }
    assert_true(last > 20); /* it did get on */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(weights), cmocka_unit_test(newest), cmocka_unit_test(keeps),
                                       cmocka_unit_test(lock), cmocka_unit_test(killed)};

    return cmocka_run_group_tests_name("run", tests, setup, teardown);
}

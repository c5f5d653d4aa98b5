/* SPDX-License-Identifier: MIT */
/* train.c -- the loop on a small least-squares task: it learns, resumes to the same bytes, survives being killed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/par.h"
#include "base/rng.h"
#include "format/run.h"
#include "run_files.h"
#include "train/loop.h"
#include "train/order.h"
#include "train/state.h"

#define WIDTH 37

/* loss of an example: |w - target|^2 / 2 with noise drawn from its position; best: w = target. */
struct toy {
    struct device device;
    struct param param[2];
    struct param_table table;
    float value[2][WIDTH], grad[2][WIDTH];
    int64_t bad_from, bad_to; /* updates whose gradient is not a number */
    int64_t kill_at;          /* update in which the process asks itself to stop; 0: none */
    int64_t parts;            /* micro batches seen */
};

static double target(int p, int i)
{
    return p + 0.1 * i;
}

static int toy_micro(void *self, int64_t t, int64_t first, int64_t count, int64_t total, double *loss)
{
    struct toy *toy = self;
    struct rng rng = {3, RNG_TEST};

    toy->parts++;
    if (t + 1 == toy->kill_at)
        raise(SIGTERM);
    for (int64_t e = first; e < first + count; e++)
        for (int p = 0; p < 2; p++)
            for (int i = 0; i < WIDTH; i++) {
                double noise = 0.01 * rng_normal(rng, (uint64_t)e, (uint64_t)(p * WIDTH + i));
                double d = toy->value[p][i] - target(p, i) + noise;

                *loss += d * d / 2 / (double)total;
                toy->grad[p][i] += (float)(d / (double)total);
            }
    if (t >= toy->bad_from && t < toy->bad_to)
        toy->grad[1][WIDTH - 1] = NAN;
    return 0;
}

static int toy_validate(void *self, int64_t t, json_t *line)
{
    struct toy *toy = self;

    json_object_set_new(line, "val_first", json_real(toy->value[0][0]));
    return t > 0 ? 0 : ERR_ARG;
}

static void toy_init(struct toy *toy)
{
    *toy = (struct toy){0};
    assert_int_equal(device_open(&toy->device, "cpu"), 0);
    for (int p = 0; p < 2; p++) {
        toy->param[p] = (struct param){.name = p ? "b.weight" : "a.weight", .value = tensor_f32(toy->value[p], WIDTH),
                                       .grad = tensor_f32(toy->grad[p], WIDTH), .decay = p, .block = -1};
    }
    toy->table = (struct param_table){toy->param, 2};
}

static struct train_options toy_options(const char *run, int64_t steps)
{
    return (struct train_options){
        .program = "toy", .output = run, .config_json = "{}\n", .steps = steps, .batch = 6, .micro = 4,
        .lr = {.peak = 0.05, .end = 0.001, .warmup = 5, .over = 200},
        .adam = {.beta1 = 0.9f, .beta2 = 0.96f, .eps = 1e-8f, .decay = 0.0f, .v_max = INFINITY}, .clip = 4,
        .average = 0.9, .average_every = 1, .log_every = 10, .save_every = 7, .keep = 2, .max_skips = 5, .seed = 1,
        .quiet = true};
}

static int toy_run(struct toy *toy, const struct train_options *o)
{
    struct st_meta meta[] = {{"program", "toy"}};
    struct train_task task = {.self = toy, .params = &toy->table, .device = &toy->device, .micro = toy_micro,
                              .validate = toy_validate, .meta = meta, .meta_count = 1};

    return train_run(o, &task);
}

/* The same in a process of its own, as users run it: the folder's lock goes with the process. */
static int toy_child(const struct train_options *o, int64_t kill_at)
{
    struct toy toy;
    pid_t child = fork();
    int status;

    if (child == 0) {
        toy_init(&toy);
        toy.kill_at = kill_at;
        _exit(-toy_run(&toy, o));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return -WEXITSTATUS(status);
}

static char *file_of(const char *run, const char *name)
{
    char *path = text_printf("%s/%s", run, name), *bytes;
    size_t size;

    assert_int_equal(file_read(path, 1 << 20, &bytes, &size), 0);
    free(path);
    return bytes;
}

static void learns(void **state)
{
    char run[] = "/tmp/armchair-train-XXXXXX", file[RUN_PATH_MAX];
    struct toy toy;
    struct train_options o = toy_options(mkdtemp(run), 300);
    char *log;

    (void)state;
    o.validate_every = 100;
    toy_init(&toy);
    assert_int_equal(toy_run(&toy, &o), 0);
    assert_int_equal(toy.parts, 600); /* two micro batches an update */
    for (int p = 0; p < 2; p++)
        for (int i = 0; i < WIDTH; i++)
            assert_true(fabs(toy.value[p][i] - target(p, i)) < 0.02);
    assert_int_equal(run_weights(file, run, false), 0);
    assert_non_null(strstr(file, "ckpt-00000300/ema.safetensors"));
    log = file_of(run, "log.jsonl");
    assert_non_null(strstr(log, "\"step\":300"));
    assert_non_null(strstr(log, "val_first"));
    free(log);
    assert_int_equal(toy_child(&o, 0), ERR_IO); /* nor by two at once: this process holds the lock */
    device_close(&toy.device);
    remove_tree(run);
}

static void resumes_bit_for_bit(void **state)
{
    char one[] = "/tmp/armchair-train-XXXXXX", two[] = "/tmp/armchair-train-XXXXXX";
    struct toy toy;
    struct train_options o = toy_options(mkdtemp(one), 40);

    (void)state;
    toy_init(&toy);
    assert_int_equal(toy_run(&toy, &o), 0);
    o.output = mkdtemp(two);
    o.resume = true;
    assert_int_equal(toy_child(&o, 23), ERR_STOPPED); /* a new process each: nothing but files is carried over */
    assert_int_equal(toy_child(&o, 0), 0);
    same_file(one, two, "ckpt-00000040/model.safetensors");
    same_file(one, two, "ckpt-00000040/ema.safetensors");
    same_file(one, two, "ckpt-00000040/state.safetensors");
    device_close(&toy.device);
    remove_tree(one);
    remove_tree(two);
}

static void another_start_is_refused(void **state)
{
    char run[] = "/tmp/armchair-train-XXXXXX";
    struct train_options o = toy_options(mkdtemp(run), 3);

    (void)state;
    assert_int_equal(toy_child(&o, 0), 0);
    assert_int_equal(toy_child(&o, 0), ERR_ARG); /* not over checkpoints by mistake */
    o.resume = true;
    assert_int_equal(toy_child(&o, 0), 0); /* nothing left to do */
    o.seed = 2;
    assert_int_equal(toy_child(&o, 0), ERR_MISMATCH);
    remove_tree(run);
}

static void bad_updates_are_skipped(void **state)
{
    char run[] = "/tmp/armchair-train-XXXXXX", never[] = "/tmp/armchair-train-XXXXXX";
    struct toy toy;
    struct train_options o = toy_options(mkdtemp(run), 200);
    char *log;

    (void)state;
    toy_init(&toy);
    toy.bad_from = 10;
    toy.bad_to = 14;
    assert_int_equal(toy_run(&toy, &o), 0);
    assert_true(fabs(toy.value[1][WIDTH - 1] - target(1, WIDTH - 1)) < 0.05);
    log = file_of(run, "log.jsonl");
    assert_non_null(strstr(log, "\"skipped\":4"));
    free(log);
    device_close(&toy.device);
    o.output = mkdtemp(never);
    toy_init(&toy);
    toy.bad_from = 10;
    toy.bad_to = 1000;
    assert_int_equal(toy_run(&toy, &o), ERR_FORMAT);
    assert_non_null(strstr(err_text(), "5 updates in a row skipped"));
    device_close(&toy.device);
    remove_tree(run);
    remove_tree(never);
}

/* Kill at many moments; what is left always loads, and going on reaches the same end. */
static void killed_at_any_moment(void **state)
{
    char one[] = "/tmp/armchair-train-XXXXXX", two[] = "/tmp/armchair-train-XXXXXX";
    struct toy toy;
    struct train_options o = toy_options(mkdtemp(one), 25);
    int ended = 0;

    (void)state;
#if defined __has_feature
#if __has_feature(thread_sanitizer)
    return; /* clang's OpenMP under it has threads of its own, and does not survive fork */
#endif
#endif
    o.save_every = 1;
    toy_init(&toy);
    assert_int_equal(toy_run(&toy, &o), 0);
    o.output = mkdtemp(two);
    o.resume = true;
    for (int attempt = 0; attempt < 200 && !ended; attempt++) {
        pid_t child = fork();
        int status;

        if (child == 0) {
            toy_init(&toy);
            _exit(toy_run(&toy, &o) == 0 ? 0 : 1);
        }
        usleep((useconds_t)(4000 + 3700 * attempt)); /* ever later, whatever the machine's speed */
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
        ended = WIFEXITED(status);
    }
    assert_true(ended);
    same_file(one, two, "ckpt-00000025/model.safetensors");
    same_file(one, two, "ckpt-00000025/state.safetensors");
    device_close(&toy.device);
    remove_tree(one);
    remove_tree(two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(learns), cmocka_unit_test(resumes_bit_for_bit), cmocka_unit_test(another_start_is_refused),
        cmocka_unit_test(bad_updates_are_skipped), cmocka_unit_test(killed_at_any_moment)};

    par_set_threads(1); /* a pool of threads does not survive fork */
    return cmocka_run_group_tests_name("train", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* train_sixteen.c -- the loop on weights, gradients and moments of 16 bits: a block that overflows backs off alone, updates
 * below the weights' resolution are not lost, runs resume to the same bytes and go over from one way to keep numbers to another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/par.h"
#include "base/rng.h"
#include "compute/host.h"
#include "format/run.h"
#include "run_files.h"
#include "train/loop.h"

enum { WIDTH = 43, BLOCKS = 3, PARAMS = BLOCKS + 1 };

/* Loss of an example: |w - target|^2 / 2 with noise; the last parameter belongs to no block and stays f32. */
struct toy {
    struct device device;
    struct arena arena;
    struct param param[PARAMS];
    struct param_table table;
    float scale[BLOCKS];
    const int64_t *bad_at; /* updates in which one gradient of block 1 is spoilt, ended by -1 */
    int64_t bad_from;      /* and all from this one on */
    float bad;             /* what it is then */
    bool bad_loss;         /* the loss of those is no number either */
    double noise;
    bool alike;            /* all parameters have the first one's targets */
    float shown[PARAMS][WIDTH]; /* values when the loop validated last */
};

static const int64_t never[] = {-1}, around_a_save[] = {120, 130, -1};
static const int64_t *child_bad_at = never;

static bool bad_in(const struct toy *toy, int64_t t)
{
    for (const int64_t *at = toy->bad_at; *at >= 0; at++)
        if (*at == t)
            return true;
    return t >= toy->bad_from;
}

static double target(int p, int i)
{
    return 0.5 * p + 0.05 * i - 1;
}

static int toy_micro(void *self, int64_t t, int64_t first, int64_t count, int64_t total, double *loss)
{
    struct toy *toy = self;
    struct rng rng = {3, RNG_TEST};

    for (int p = 0; p < PARAMS; p++) {
        const struct param *param = &toy->param[p];
        float value[WIDTH], grad[WIDTH];

        host_to_f32(value, param->value.data, param->value.type, WIDTH);
        host_to_f32(grad, param->grad.data, param->grad.type, WIDTH);
        for (int64_t e = first; e < first + count; e++)
            for (int i = 0; i < WIDTH; i++) {
                double d = (double)value[i] - target(toy->alike ? 0 : p, i) +
                           toy->noise * rng_normal(rng, (uint64_t)e, (uint64_t)(p * WIDTH + i));

                *loss += d * d / 2 / (double)total;
                grad[i] += (float)(d / (double)total * (param->block >= 0 ? (double)toy->scale[param->block] : 1));
            }
        if (bad_in(toy, t) && param->block == 1)
            grad[7] = toy->bad;
        if (bad_in(toy, t) && toy->bad_loss)
            *loss = NAN;
        host_from_f32(param->grad.data, param->grad.type, grad, WIDTH);
    }
    return 0;
}

static int toy_validate(void *self, int64_t t, json_t *line)
{
    struct toy *toy = self;

    (void)t;
    (void)line;
    for (int p = 0; p < PARAMS; p++)
        host_to_f32(toy->shown[p], toy->param[p].value.data, toy->param[p].value.type, WIDTH);
    return 0;
}

static void toy_init(struct toy *toy, enum dtype type, enum dtype grads)
{
    static const char *const name[PARAMS] = {"a.weight", "b.weight", "c.weight", "d.weight"};

    *toy = (struct toy){.bad_at = never, .bad_from = INT64_MAX, .bad = INFINITY, .noise = 0.01};
    assert_int_equal(device_open(&toy->device, "cpu"), 0);
    assert_int_equal(device_arena_init(&toy->device, &toy->arena, 64 << 10), 0);
    for (int p = 0; p < PARAMS; p++) {
        bool narrow = p < BLOCKS;
        struct param *param = &toy->param[p];

        *param = (struct param){.name = name[p], .decay = narrow, .narrow = narrow, .block = narrow ? p : -1,
                                .value = tensor_of(narrow ? type : DTYPE_F32, NULL, WIDTH),
                                .grad = tensor_of(narrow ? grads : DTYPE_F32, NULL, WIDTH)};
        param->value.data = arena_take(&toy->arena, tensor_bytes(&param->value));
        param->grad.data = arena_take(&toy->arena, tensor_bytes(&param->grad));
    }
    for (int i = 0; i < BLOCKS; i++)
        toy->scale[i] = 1;
    toy->table = (struct param_table){toy->param, PARAMS};
}

static void toy_fini(struct toy *toy)
{
    device_arena_fini(&toy->device, &toy->arena);
    device_close(&toy->device);
}

static struct train_options toy_options(const char *run, int64_t steps)
{
    return (struct train_options){
        .program = "toy", .output = run, .config_json = "{}\n", .steps = steps, .batch = 4, .micro = 2,
        .lr = {.peak = 0.05, .end = 0.001, .warmup = 5, .over = 200},
        .adam = {.beta1 = 0.9f, .beta2 = 0.96f, .eps = 1e-8f, .decay = 0.0f, .v_max = INFINITY}, .clip = 40,
        .average = 0.9, .average_every = 1, .log_every = 1, .save_every = 10, .keep = 0, .max_skips = 5, .seed = 1,
        .scale_first = SCALES_FIRST, .quiet = true};
}

static int toy_run(struct toy *toy, const struct train_options *o)
{
    struct st_meta meta[] = {{"program", "toy"}};
    struct train_task task = {.self = toy, .params = &toy->table, .device = &toy->device, .micro = toy_micro,
                              .validate = toy_validate, .scale = toy->scale, .meta = meta, .meta_count = 1};

    return train_run(o, &task);
}

/* In a process of its own: the folder's lock goes with it. */
static int toy_child(enum dtype type, enum dtype grads, const struct train_options *o, char *reason)
{
    int ends[2], status;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    if ((child = fork()) == 0) {
        struct toy toy;
        int rc;

        toy_init(&toy, type, grads);
        toy.bad_at = child_bad_at;
        if ((rc = toy_run(&toy, o)) != 0 && write(ends[1], err_text(), strlen(err_text()) + 1) < 0)
            rc = ERR_IO;
        _exit(-rc);
    }
    close(ends[1]);
    if (reason)
        reason[0] = 0;
    if (reason && read(ends[0], reason, 1023) < 0)
        fail();
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return -WEXITSTATUS(status);
}

static struct st_file *open_file(const char *run, int64_t step, const char *name)
{
    char *path = text_printf("%s/ckpt-%08d/%s.safetensors", run, (int)step, name);
    struct st_file *f;

    assert_int_equal(st_open(&f, path), 0);
    free(path);
    return f;
}

static void scales_at(const char *run, int64_t step, double scale[BLOCKS])
{
    struct st_file *f = open_file(run, step, "state");

    memcpy(scale, st_find(f, "scale.value")->data, sizeof *scale * BLOCKS);
    st_close(f);
}

/* ---- a gradient that is no number --------------------------------------------------------------------------------- */

static void only_its_block_backs_off(void **state)
{
    const float bad[] = {INFINITY, -INFINITY, NAN};

    (void)state;
    for (int k = 0; k < 3; k++) {
        char run[] = "/tmp/armchair-sixteen-XXXXXX";
        struct train_options o = toy_options(mkdtemp(run), 20);
        double before[BLOCKS], after[BLOCKS];
        struct st_file *f, *g;
        char *log, *path;
        size_t size;
        struct toy toy;

        o.scaling = SCALING_BLOCK;
        o.scale_first = 8;
        o.save_every = 1;
        toy_init(&toy, DTYPE_F16, DTYPE_F16);
        toy.bad_at = (const int64_t[]){10, -1};
        toy.bad = bad[k];
        assert_int_equal(toy_run(&toy, &o), 0);
        scales_at(run, 10, before);
        scales_at(run, 11, after);
        for (int b = 0; b < BLOCKS; b++)
            assert_true(fabs(after[b] / before[b] - (b == 1 ? sqrt(0.5) : exp2(0.001))) < 1e-12);
        for (int kind = 0; kind < 3; kind++) { /* the update was left out as a whole */
            f = open_file(run, 10, kind == 0 ? "model" : "state");
            g = open_file(run, 11, kind == 0 ? "model" : "state");
            for (int p = 0; p < PARAMS; p++) {
                char *name = text_printf("%s%s", kind == 0 ? "" : kind == 1 ? "m." : "v.", toy.param[p].name);
                const struct st_tensor *x = st_find(f, name), *y = st_find(g, name);

                assert_int_equal(x->size, y->size);
                assert_memory_equal(x->data, y->data, x->size);
                free(name);
            }
            st_close(f);
            st_close(g);
        }
        f = open_file(run, 20, "state");
        assert_string_equal(st_meta_get(f, "skipped"), "1");
        assert_string_equal(st_meta_get(f, "applied"), "19");
        st_close(f);
        path = text_printf("%s/log.jsonl", run);
        assert_int_equal(file_read(path, 1 << 20, &log, &size), 0);
        assert_non_null(strstr(log, "\"bad_update\":11,\"bad_block\":1,\"scales\":["));
        assert_non_null(strstr(log, "\"norms\":["));
        free(log);
        free(path);
        toy_fini(&toy);
        remove_tree(run);
    }
}

/* Gives up when no scale can help any more: after `rests` divisions of it, 125 updates apart. */
static void gives_up(enum scaling how, double first, bool bad_loss, int rests)
{
    char run[] = "/tmp/armchair-sixteen-XXXXXX", *want = text_printf("update %d: 5 updates in a row skipped", 3 + (rests ? 125 * rests + 1 : 0) + 5);
    struct train_options o = toy_options(mkdtemp(run), 1000);
    struct toy toy;

    o.scaling = how;
    o.scale_first = first;
    o.save_every = 0;
    toy_init(&toy, DTYPE_F16, DTYPE_F16);
    toy.bad_from = 3;
    toy.bad_loss = bad_loss;
    assert_int_equal(toy_run(&toy, &o), ERR_FORMAT);
    if (!strstr(err_text(), want))
        fail_msg("%s; not %s", err_text(), want);
    toy_fini(&toy);
    free(want);
    remove_tree(run);
}

static void skips_are_excused_while_a_scale_can_fall(void **state)
{
    (void)state;
    gives_up(SCALING_FIXED, 7, false, 0);
    gives_up(SCALING_BLOCK, 8, true, 0); /* a scale does nothing for the loss */
    gives_up(SCALING_BLOCK, 7.9, false, 1); /* one falls at once and once more, to its bound */
}

/* ---- learning ---------------------------------------------------------------------------------------------------- */

struct way {
    const char *name;
    enum dtype type, grads;
    bool master, narrow_moments;
    enum scaling scaling;
};

static const struct way ways[] = {
    {"f32", DTYPE_F32, DTYPE_F32, false, false, SCALING_NONE},
    {"f32, moments 16", DTYPE_F32, DTYPE_F32, false, true, SCALING_NONE},
    {"bf16 with masters", DTYPE_BF16, DTYPE_F32, true, false, SCALING_NONE},
    {"bf16 with masters, all 16", DTYPE_BF16, DTYPE_BF16, true, true, SCALING_NONE},
    {"bf16", DTYPE_BF16, DTYPE_BF16, false, true, SCALING_NONE},
    {"f16", DTYPE_F16, DTYPE_F16, false, true, SCALING_BLOCK},
    {"f16, one scale", DTYPE_F16, DTYPE_F16, false, false, SCALING_GLOBAL}};

enum { WAYS = sizeof ways / sizeof *ways };

static struct train_options way_options(const struct way *w, const char *run, int64_t steps)
{
    struct train_options o = toy_options(run, steps);

    o.master = w->master;
    o.narrow_moments = w->narrow_moments;
    o.scaling = w->scaling;
    o.scale_first = 8;
    return o;
}

static void every_way_learns_and_resumes(void **state)
{
    (void)state;
    for (int k = 0; k < WAYS; k++) {
        char one[] = "/tmp/armchair-sixteen-XXXXXX", two[] = "/tmp/armchair-sixteen-XXXXXX";
        struct train_options o = way_options(&ways[k], mkdtemp(one), 250);
        double worst = 0;
        struct st_file *f;

        o.save_every = 125;
        child_bad_at = around_a_save; /* the second is within the first one's rest */
        assert_int_equal(toy_child(ways[k].type, ways[k].grads, &o, NULL), 0);
        f = open_file(one, 250, "ema");
        for (int p = 0; p < PARAMS; p++)
            for (int i = 0; i < WIDTH; i++)
                worst = fmax(worst, fabs((double)((const float *)st_find(f, p == 0   ? "a.weight"
                                                                             : p == 1 ? "b.weight"
                                                                             : p == 2 ? "c.weight"
                                                                                      : "d.weight")->data)[i] -
                                         target(p, i)));
        st_close(f);
        if (worst > (ways[k].type == DTYPE_BF16 && !ways[k].master ? 0.03 : 0.02))
            fail_msg("%s: off by %g", ways[k].name, worst);
        o.output = mkdtemp(two);
        o.resume = true;
        o.steps = 125;
        o.lr.over = 200;
        assert_int_equal(toy_child(ways[k].type, ways[k].grads, &o, NULL), 0);
        o.steps = 250;
        assert_int_equal(toy_child(ways[k].type, ways[k].grads, &o, NULL), 0);
        child_bad_at = never;
        same_file(one, two, "ckpt-00000250/model.safetensors");
        same_file(one, two, "ckpt-00000250/ema.safetensors");
        same_file(one, two, "ckpt-00000250/state.safetensors");
        remove_tree(one);
        remove_tree(two);
    }
}

/* Updates of a thirtieth of the weights' resolution: rounded to nearest they would all be lost. */
static void small_updates_are_not_lost(void **state)
{
    char run[] = "/tmp/armchair-sixteen-XXXXXX";
    struct train_options o = way_options(&ways[4], mkdtemp(run), 200);
    struct toy toy;
    double moved = 0;
    float start[WIDTH], end[WIDTH];

    (void)state;
    o.lr = (struct step_size){.peak = 2.5e-4}; /* AdamW's step; bf16's resolution at 1..2 is 2^-7 */
    o.average = 0;
    toy_init(&toy, DTYPE_BF16, DTYPE_BF16);
    for (int i = 0; i < WIDTH; i++)
        start[i] = (float)target(0, i) + 2;
    host_from_f32(toy.param[0].value.data, DTYPE_BF16, start, WIDTH);
    host_to_f32(start, toy.param[0].value.data, DTYPE_BF16, WIDTH);
    assert_int_equal(toy_run(&toy, &o), 0);
    host_to_f32(end, toy.param[0].value.data, DTYPE_BF16, WIDTH);
    for (int i = 0; i < WIDTH; i++)
        moved += (double)(start[i] - end[i]) / WIDTH;
    if (fabs(moved - 200 * 2.5e-4) > 0.006)
        fail_msg("the weights moved by %g, not %g", moved, 200 * 2.5e-4);
    toy_fini(&toy);
    remove_tree(run);
}

/* Weights that are alike are rounded each with bits of its own. */
static void parameters_are_rounded_apart(void **state)
{
    char run[] = "/tmp/armchair-sixteen-XXXXXX";
    struct train_options o = way_options(&ways[4], mkdtemp(run), 20);
    struct toy toy;

    (void)state;
    o.average = 0;
    toy_init(&toy, DTYPE_BF16, DTYPE_BF16);
    toy.noise = 0;
    toy.alike = true;
    assert_int_equal(toy_run(&toy, &o), 0);
    assert_memory_not_equal(toy.param[0].value.data, toy.param[1].value.data, tensor_bytes(&toy.param[0].value));
    toy_fini(&toy);
    remove_tree(run);
}

/* While the loop validates the averages stand in the values' place, rounded to their type; then the values again. */
static void averages_stand_in(void **state)
{
    (void)state;
    for (int k = 0; k < WAYS; k++) {
        char run[] = "/tmp/armchair-sixteen-XXXXXX";
        struct train_options o = way_options(&ways[k], mkdtemp(run), 10);
        struct st_file *ema, *model;
        struct toy toy;

        o.validate_every = 1;
        toy_init(&toy, ways[k].type, ways[k].grads);
        assert_int_equal(toy_run(&toy, &o), 0);
        ema = open_file(run, 10, "ema");
        model = open_file(run, 10, "model");
        for (int p = 0; p < PARAMS; p++) {
            const struct param *param = &toy.param[p];
            float kept[WIDTH], x[WIDTH];

            host_from_f32(kept, param->value.type, st_find(ema, param->name)->data, WIDTH);
            host_to_f32(x, kept, param->value.type, WIDTH);
            assert_memory_equal(x, toy.shown[p], sizeof x);
            assert_int_equal(st_to_f32(x, st_find(model, param->name)), 0);
            host_from_f32(kept, param->value.type, x, WIDTH);
            assert_memory_equal(kept, param->value.data, tensor_bytes(&param->value));
        }
        st_close(ema);
        st_close(model);
        toy_fini(&toy);
        remove_tree(run);
    }
}

/* ---- in pieces ---------------------------------------------------------------------------------------------------- */

enum { LARGE = (1 << 22) + 300001 }; /* more than averages, checkpoints and loading take at a time */

struct large {
    struct device device;
    struct arena arena;
    struct param param;
    struct param_table table;
};

static void large_init(struct large *l, float spread)
{
    *l = (struct large){.table = {&l->param, 1}};
    assert_int_equal(device_open(&l->device, "cpu"), 0);
    assert_int_equal(device_arena_init(&l->device, &l->arena, 2 * sizeof(float) * LARGE + 128), 0);
    l->param = (struct param){.name = "x", .block = -1, .value = tensor_f32(NULL, LARGE), .grad = tensor_f32(NULL, LARGE)};
    l->param.value.data = arena_take(&l->arena, tensor_bytes(&l->param.value));
    l->param.grad.data = arena_take(&l->arena, tensor_bytes(&l->param.grad));
    for (int64_t i = 0; i < LARGE; i++)
        ((float *)l->param.value.data)[i] = spread * (float)i;
}

static int large_micro(void *self, int64_t t, int64_t first, int64_t count, int64_t total, double *loss)
{
    struct large *l = self;

    (void)t, (void)first, (void)count, (void)total;
    for (int64_t i = 0; i < LARGE; i++)
        ((float *)l->param.grad.data)[i] = i % 2 ? 1e-3f : -1e-3f;
    *loss = 1;
    return 0;
}

static int large_run(struct large *l, const struct train_options *o)
{
    struct train_task task = {.self = l, .params = &l->table, .device = &l->device, .micro = large_micro};

    return train_run(o, &task);
}

static void large_fini(struct large *l)
{
    device_arena_fini(&l->device, &l->arena);
    device_close(&l->device);
}

/* In a process of its own: run, and hold what is in memory beside the files.  Exit status 0: the same. */
static void large_child(struct train_options o, bool resume)
{
    int64_t off = 0;
    struct large l;
    struct st_file *f;
    const float *mean;
    int status;

    if (fork() > 0) {
        assert_true(wait(&status) > 0 && WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        return;
    }
    o.resume = resume;
    large_init(&l, resume ? 0 : 1e-3f);
    if (large_run(&l, &o) != 0)
        _exit(1);
    f = open_file(o.output, 1, "model");
    if (memcmp(st_find(f, "x")->data, l.param.value.data, tensor_bytes(&l.param.value)) != 0)
        _exit(2);
    st_close(f);
    f = open_file(o.output, 1, "ema");
    mean = st_find(f, "x")->data;
    for (int64_t i = 0; i < LARGE; i++) {
        float now = ((float *)l.param.value.data)[i];

        off += fabsf(mean[i] - (0.9f * 1e-3f * (float)i + 0.1f * now)) > 1e-6f * fabsf(now) + 1e-6f;
    }
    st_close(f);
    large_fini(&l);
    _exit(off ? 3 : 0);
}

static void large_tensors_go_in_pieces(void **state)
{
    char run[] = "/tmp/armchair-sixteen-XXXXXX";
    struct train_options o = toy_options(mkdtemp(run), 1);

    (void)state;
    o.batch = 1;
    o.micro = 0;
    large_child(o, false);
    large_child(o, true); /* reads it, and has nothing left to do */
    remove_tree(run);
}

/* ---- from one way to another -------------------------------------------------------------------------------------- */

/* What a file says of a parameter, as f32. */
static void read_kept(float x[WIDTH], const struct st_file *f, const char *prefix, const char *param)
{
    char *name = text_printf("%s%s", prefix, param);
    const struct st_tensor *t = st_find(f, name);

    if (t->type == ST_U16)
        host_to_f32(x, t->data, prefix[0] == 'm' ? DTYPE_E6M9 : DTYPE_E6M10, WIDTH);
    else
        assert_int_equal(st_to_f32(x, t), 0);
    free(name);
}

/* Weights and moments are those of the checkpoint before, but for the rounding of both ways. */
static void carried_over(const char *run, int64_t before, int64_t after)
{
    static const char *const param[PARAMS] = {"a.weight", "b.weight", "c.weight", "d.weight"}, *const prefix[] = {"", "m.", "v."};

    for (int kind = 0; kind < 3; kind++) {
        struct st_file *f = open_file(run, before, kind ? "state" : "model"), *g = open_file(run, after, kind ? "state" : "model");

        for (int p = 0; p < PARAMS; p++) {
            float x[WIDTH], y[WIDTH];

            read_kept(x, f, prefix[kind], param[p]);
            read_kept(y, g, prefix[kind], param[p]);
            for (int i = 0; i < WIDTH; i++)
                if (fabsf(x[i] - y[i]) > 0x1p-7f * fabsf(x[i]) + 1e-4f)
                    fail_msg("%s%s[%d]: %g became %g", prefix[kind], param[p], i, (double)x[i], (double)y[i]);
        }
        st_close(f);
        st_close(g);
    }
}

static void goes_over_when_asked_to(void **state)
{
    char reason[1024];

    (void)state;
    for (int from = 0; from < WAYS; from++)
        for (int to = 0; to < WAYS; to++) {
            char run[] = "/tmp/armchair-sixteen-XXXXXX";
            struct train_options o = way_options(&ways[from], mkdtemp(run), 20), p = way_options(&ways[to], run, 30);

            p.resume = true;
            assert_int_equal(toy_child(ways[from].type, ways[from].grads, &o, NULL), 0);
            if (from != to) {
                assert_int_equal(toy_child(ways[to].type, ways[to].grads, &p, reason), ways[from].type == ways[to].type &&
                                 ways[from].master == ways[to].master && ways[from].narrow_moments == ways[to].narrow_moments &&
                                 ways[from].scaling == ways[to].scaling ? 0 : ERR_MISMATCH);
                assert_true(!reason[0] || strstr(reason, "--convert goes on"));
            }
            remove_tree(run);
            o.output = p.output = mkdtemp(strcpy(run, "/tmp/armchair-sixteen-XXXXXX"));
            assert_int_equal(toy_child(ways[from].type, ways[from].grads, &o, NULL), 0);
            p.convert = true;
            p.steps = 21;
            p.lr.peak = p.lr.end = 0; /* an update that leaves weights and moments where they are */
            p.adam.beta1 = p.adam.beta2 = 0.999999f;
            assert_int_equal(toy_child(ways[to].type, ways[to].grads, &p, reason), 0);
            carried_over(run, 20, 21);
            remove_tree(run);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_its_block_backs_off), cmocka_unit_test(skips_are_excused_while_a_scale_can_fall),
        cmocka_unit_test(every_way_learns_and_resumes), cmocka_unit_test(small_updates_are_not_lost),
        cmocka_unit_test(parameters_are_rounded_apart), cmocka_unit_test(averages_stand_in),
        cmocka_unit_test(large_tensors_go_in_pieces),
        cmocka_unit_test(goes_over_when_asked_to)};

    par_set_threads(1); /* a pool of threads does not survive fork */
    return cmocka_run_group_tests_name("train_sixteen", tests, NULL, NULL);
}

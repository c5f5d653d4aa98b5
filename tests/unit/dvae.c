/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/par.h"
#include "compute/act.h"
#include "model/dvae_in.h"
#include "device_open.h"

static struct device dev;
static const struct dvae_config openai = {256, 3, 8192, 256, 128, 2, 3}, tiny = {8, 3, 6, 4, 5, 1, 2};

static int start(void **state)
{
    (void)state;
    par_set_threads(2);
    return test_device_open(&dev);
}

static int stop(void **state)
{
    (void)state;
    device_close(&dev);
    return 0;
}

static struct dvae *make(const struct dvae_config *c, int use, int64_t batch)
{
    struct dvae *d;

    if (dvae_create(&d, &dev, c, use, batch) != 0)
        fail_msg("%s", err_text());
    assert_int_equal(dvae_start(d, 5), 0);
    return d;
}

/* ---- numbers of another implementation ------------------------------------------------------------------------------- */

/* Mean square of the difference over mean square of what is wanted. */
static double error(const float *got, const float *want, int64_t n)
{
    double difference = 0, signal = 0;

    for (int64_t i = 0; i < n; i++) {
        difference += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        signal += (double)want[i] * want[i];
    }
    return sqrt(difference / (signal + 1e-30));
}

static const struct st_tensor *stored(const struct st_file *f, const char *prefix, const char *name)
{
    char full[128];
    const struct st_tensor *t;

    snprintf(full, sizeof full, "%s%s", prefix, name);
    if (!(t = st_find(f, full)))
        fail_msg("no tensor %s", full);
    return t;
}

/* Times a bound for f32: 1, or more where activations are rounded to 16 bits. */
static double slack = 1;

static void near(const struct st_file *f, const char *prefix, const char *name, const float *got, int64_t n, double bound)
{
    const struct st_tensor *t = stored(f, prefix, name);
    double e;

    assert_int_equal(st_elements(t), n);
    e = error(got, t->data, n);
    if (!(e <= slack * bound))
        fail_msg("%s%s: relative error %g", prefix, name, e);
}

static double number(const struct st_file *f, const char *key)
{
    return strtod(st_meta_get(f, key), NULL);
}

static void compare_hard(struct dvae *d, const struct st_file *f, int64_t count)
{
    const struct dvae_config *c = dvae_config_of(d);
    int64_t pixels = count * c->size * c->size, codes = count * dvae_grid(c) * dvae_grid(c);
    int32_t *code = calloc((size_t)codes, sizeof *code);
    float *out = calloc((size_t)(pixels * 2 * c->channels), sizeof *out);
    uint8_t *picture = calloc((size_t)(pixels * c->channels), 1);
    const uint8_t *want = stored(f, "", "picture")->data;

    assert_int_equal(dvae_encode(d, code, stored(f, "", "x")->data, count, NULL), 0);
    assert_memory_equal(code, stored(f, "", "codes")->data, (size_t)codes * sizeof *code);
    assert_int_equal(dvae_decode(d, out, NULL, code, NULL, count), 0);
    near(f, "", "hard", out, pixels * 2 * c->channels, 1e-6);
    dvae_unmap(picture, out, pixels, c->channels);
    for (int64_t i = 0; i < pixels * c->channels; i++)
        assert_in_range(picture[i] + 1, want[i], want[i] + 2);
    free(picture);
    free(out);
    free(code);
}

/* Each tensor; with slack all of them together, since some small ones hang on few ReLUs. */
static void compare_gradients(const struct dvae *d, const struct st_file *f)
{
    double difference = 0, signal = 0;

    for (int i = 0; i < d->params.count; i++) {
        const struct param *p = &d->params.item[i];
        const float *want = stored(f, "grad.", p->name)->data, *got = p->grad.data;

        if (slack == 1)
            near(f, "grad.", p->name, got, tensor_elements(&p->grad), 1e-5);
        for (int64_t k = 0; k < tensor_elements(&p->grad); k++) {
            difference += ((double)got[k] - want[k]) * ((double)got[k] - want[k]);
            signal += (double)want[k] * want[k];
        }
    }
    if (!(sqrt(difference / signal) <= fmin(slack * 1e-5, 0.1)))
        fail_msg("gradients together: relative error %g", sqrt(difference / signal));
}

static void compare_file(const char *name, bool gradients)
{
    char path[512];
    struct dvae_file_info info;
    struct dvae_file *file;
    struct st_file *f;
    struct dvae *d;
    struct dvae_loss loss;
    float value;

    snprintf(path, sizeof path, "%s/tests/reference/%s.safetensors", getenv("ROOT") ? getenv("ROOT") : ".", name);
    if (st_open(&f, path) != 0 || dvae_file_open(&file, &info, path, 0, 0) != 0)
        fail_msg("%s", err_text());
    int64_t count = stored(f, "", "x")->shape[0];
    struct dvae_relax how = {number(f, "tau"), number(f, "beta"), {(uint64_t)number(f, "seed"), RNG_GUMBEL},
                             (uint64_t)number(f, "step"), 0, count};

    assert_int_equal(info.use, DVAE_ENCODER | DVAE_DECODER);
    d = make(&info.config, DVAE_LEARN, count + 1); /* room for one more: tensors move to where fewer lie */
    assert_int_equal(dvae_fill(d, file), 0);
    if (gradients) {
        assert_int_equal(dvae_learn(d, &loss, stored(f, "", "x")->data, count, &how), 0);
        compare_gradients(d, f);
    }
    assert_int_equal(dvae_relaxed(d, &loss, stored(f, "", "x")->data, count, &how), 0);
    near(f, "", "logits", d->encoder.out.data, tensor_elements(&d->encoder.out), 1e-6);
    near(f, "", "kl", d->kl.data, tensor_elements(&d->kl), 1e-5);
    near(f, "", "z", d->decoder.in.data, tensor_elements(&d->decoder.in), 2e-6);
    assert_int_equal(op_copy(&dev, &d->wide_out, &d->decoder.out), 0);
    near(f, "", "out", d->wide_out.data, tensor_elements(&d->decoder.out), 1e-6);
    near(f, "", "nll", d->nll.data, tensor_elements(&d->nll), 1e-6);
    value = (float)dvae_objective(&info.config, &loss, count, how.beta);
    near(f, "", "loss", &value, 1, 1e-6);
    if (slack == 1) /* codes of rounded logits may differ */
        compare_hard(d, f, count);
    dvae_free(d);
    dvae_file_close(file);
    st_close(f);
}

static void test_vectors(void **state)
{
    (void)state;
    compare_file("dvae_1", true);
    compare_file("dvae_2", true);
    compare_file("dvae_3", false);
}

/* On devices that store them so, activations in 16 bits; elsewhere convolutions of bf16 factors. */
static void test_vectors_in_bf16(void **state)
{
    (void)state;
    assert_int_equal(device_precision(&dev, PRECISION_BF16), 0);
    slack = 2e4; /* 2 of 100 forward */
    compare_file("dvae_1", true);
    compare_file("dvae_2", true);
    slack = 1;
    assert_int_equal(device_precision(&dev, PRECISION_F32), 0);
}

/* ---- gradients of the whole model ------------------------------------------------------------------------------------ */

static double objective(struct dvae *d, const float *x, int64_t count, const struct dvae_relax *how)
{
    struct dvae_loss loss;

    assert_int_equal(dvae_relaxed(d, &loss, x, count, how), 0);
    return dvae_objective(dvae_config_of(d), &loss, count, how->beta);
}

static float *some_pixels(int64_t n)
{
    float *x = malloc((size_t)n * sizeof *x);

    for (int64_t i = 0; i < n; i++)
        x[i] = 0.1f + 0.8f * rng_uniform((struct rng){3, RNG_TEST}, 0, (uint64_t)i);
    return x;
}

/* Along the gradient of each parameter, where the slope is the gradient's length: a gradient that is wrong anywhere claims a
 * longer one than there is.  A kink (ReLU, arg-max of a pool) in between shows at one step size; the smaller error is taken. */
static void check_slope(struct dvae *d, int i, const float *x, int64_t count, const struct dvae_relax *how)
{
    const struct param *p = &d->params.item[i];
    int64_t n = tensor_elements(&p->value);
    float *w = p->value.data, *keep = malloc((size_t)n * sizeof *keep);
    const float *g = p->grad.data;
    double slope = 0, worst = INFINITY;

    memcpy(keep, w, (size_t)n * sizeof *keep);
    for (int64_t j = 0; j < n; j++)
        slope += (double)g[j] * g[j];
    slope = sqrt(slope);
    for (int attempt = 0; attempt < 3; attempt++) {
        double step = 0.02 / (1 << 2 * attempt), up, down;

        for (int64_t j = 0; j < n; j++)
            w[j] = keep[j] + (float)(step * g[j] / slope);
        up = objective(d, x, count, how);
        for (int64_t j = 0; j < n; j++)
            w[j] = keep[j] - (float)(step * g[j] / slope);
        down = objective(d, x, count, how);
        worst = fmin(worst, fabs((up - down) / (2 * step) - slope));
    }
    memcpy(w, keep, (size_t)n * sizeof *keep);
    free(keep);
    if (!(worst <= 0.05 * slope + 1e-4))
        fail_msg("%s: slope %g, off by %g", p->name, slope, worst);
}

/* Larger weights and some biases, so that no part of the gradient is lost in rounding. */
static void shake(struct dvae *d)
{
    for (int i = 0; i < d->params.count; i++) {
        const struct tensor *t = &d->params.item[i].value;
        float *w = t->data;

        for (int64_t j = 0; j < tensor_elements(t); j++)
            w[j] = t->rank > 1 ? 1.25f * w[j] : (float)(0.3 * rng_normal((struct rng){9, RNG_TEST}, (uint64_t)i, (uint64_t)j));
    }
}

static void test_gradients(void **state)
{
    (void)state;
    for (int64_t downs = 0; downs <= DVAE_DOWNS_MAX; downs++) {
        struct dvae_config c = tiny;
        struct dvae_relax how = {0.5, 3.0, {1, RNG_GUMBEL}, 4, 0, 2};
        struct dvae_loss loss;
        struct dvae *d;
        float *x = some_pixels(2 * 8 * 8 * 3);

        c.downs = downs;
        c.hid = 8;
        d = make(&c, DVAE_LEARN, 2);
        shake(d);
        assert_int_equal(dvae_learn(d, &loss, x, 2, &how), 0);
        assert_true(isfinite(loss.nll) && loss.kl >= 0 && loss.kl <= 2 * (double)(64 >> 2 * downs) * log(6));
        for (int i = (int)downs; i < d->params.count; i += (test_slow() ? 4 : 1) * (DVAE_DOWNS_MAX + 1)) /* all in the four rounds */
            check_slope(d, i, x, 2, &how);
        dvae_free(d);
        free(x);
    }
}

/* One call with three pictures and three calls with one add the same gradients, and draw the same noise. */
static void test_split(void **state)
{
    (void)state;
    struct dvae *whole = make(&tiny, DVAE_LEARN, 3), *parts = make(&tiny, DVAE_LEARN, 3);
    float *x = some_pixels(3 * 8 * 8 * 3);
    struct dvae_relax how = {0.3, 6.6, {1, RNG_GUMBEL}, 4, 0, 3};
    struct dvae_loss loss, sum = {0, 0}, part;

    assert_int_equal(dvae_learn(whole, &loss, x, 3, &how), 0);
    for (int i = 0; i < 3; i++) {
        how.first = i;
        assert_int_equal(dvae_learn(parts, &part, x + i * 8 * 8 * 3, 1, &how), 0);
        sum.nll += part.nll;
        sum.kl += part.kl;
    }
    assert_true(fabs(sum.nll - loss.nll) < 1e-5 * fabs(loss.nll) + 1e-4 && fabs(sum.kl - loss.kl) < 1e-5 * loss.kl);
    for (int i = 0; i < whole->params.count; i++)
        assert_true(error(parts->params.item[i].grad.data, whole->params.item[i].grad.data,
                          tensor_elements(&whole->params.item[i].grad)) < 1e-5);
    free(x);
    dvae_free(parts);
    dvae_free(whole);
}

/* ---- shapes and sizes -------------------------------------------------------------------------------------------- */

static struct dvae_sizes planned(const struct dvae_config *c, enum dtype type, int use, int64_t batch)
{
    struct dvae_sizes s;
    struct dvae *d;

    assert_int_equal(dvae_plan(&d, type, c, use, batch), 0);
    s = *dvae_sizes_of(d);
    dvae_free(d);
    return s;
}

static void expect_param(const struct dvae *d, const char *name, int64_t o, int64_t i, int64_t k)
{
    for (int j = 0; j < d->params.count; j++)
        if (strcmp(d->params.item[j].name, name) == 0) {
            const struct tensor *t = &d->params.item[j].value;

            assert_true(t->rank == 4 && t->shape[0] == o && t->shape[1] == i && t->shape[2] == k && t->shape[3] == k);
            return;
        }
    fail_msg("no parameter %s", name);
}

static void test_published(void **state)
{
    (void)state;
    struct dvae_sizes s;
    struct dvae *d;

    s = planned(&openai, DTYPE_F32, DVAE_LEARN, 8);
    assert_int_equal(s.encoder_values, 53786240);
    assert_int_equal(s.decoder_values, 43829766);
    assert_int_equal(s.convs[0], 37);
    assert_int_equal(s.convs[1], 38);
    assert_true(s.weights >= 4 * (53786240 + 43829766) && s.weights < 4 * (53786240 + 43829766) + 150 * 64);
    assert_int_equal(dvae_plan(&d, DTYPE_F32, &openai, DVAE_ENCODER | DVAE_DECODER, 1), 0);
    assert_int_equal(d->params.count, 150);
    expect_param(d, "encoder.blocks.input.w", 256, 3, 7);
    expect_param(d, "encoder.blocks.group_1.block_2.res_path.conv_4.w", 256, 64, 1);
    expect_param(d, "encoder.blocks.group_4.block_1.id_path.w", 2048, 1024, 1);
    expect_param(d, "encoder.blocks.group_3.block_1.res_path.conv_1.w", 256, 512, 3);
    expect_param(d, "encoder.blocks.output.conv.w", 8192, 2048, 1);
    expect_param(d, "decoder.blocks.input.w", 128, 8192, 1);
    expect_param(d, "decoder.blocks.group_1.block_1.id_path.w", 2048, 128, 1);
    expect_param(d, "decoder.blocks.group_3.block_1.res_path.conv_1.w", 128, 1024, 1);
    expect_param(d, "decoder.blocks.group_4.block_2.res_path.conv_4.w", 256, 64, 3);
    expect_param(d, "decoder.blocks.output.conv.w", 6, 256, 1);
    dvae_free(d);
}

static void test_measure(void **state)
{
    (void)state;
    static const int uses[] = {DVAE_ENCODER, DVAE_DECODER, DVAE_ENCODER | DVAE_DECODER, DVAE_LEARN};

    for (int i = 0; i < 4; i++) {
        struct dvae_sizes s;
        struct dvae *d = make(&tiny, uses[i], 3);

        s = planned(&tiny, device_activations(&dev), uses[i], 3);
        assert_memory_equal(&s, dvae_sizes_of(d), sizeof s);
        assert_int_equal(s.weights, d->weights.size);
        assert_int_equal(s.gradients, d->gradients.size);
        assert_int_equal(s.activations + s.scratch, d->work.size);
        assert_int_equal(s.host, d->host_size);
        dvae_free(d);
    }
}

/* Pictures are what they are, whatever else is drawn with them, in whatever order of batches. */
static void test_batches(void **state)
{
    (void)state;
    struct dvae *d = make(&tiny, DVAE_DECODER, 5);
    int32_t codes[5 * 4];
    float all[5 * 8 * 8 * 6], some[3 * 8 * 8 * 6];

    for (int i = 0; i < 5 * 4; i++)
        codes[i] = i * 7 % 6;
    assert_int_equal(dvae_decode(d, all, NULL, codes, NULL, 5), 0);
    assert_int_equal(dvae_decode(d, some, NULL, codes + 2 * 4, NULL, 3), 0);
    assert_true(error(some, all + 2 * 8 * 8 * 6, 3 * 8 * 8 * 6) < 1e-6);
    assert_int_equal(dvae_decode(d, all, NULL, codes, NULL, 5), 0);
    assert_true(error(some, all + 2 * 8 * 8 * 6, 3 * 8 * 8 * 6) < 1e-6);
    dvae_free(d);
}

static void test_limits(void **state)
{
    (void)state;
    struct dvae_config c = tiny;
    struct dvae *d;

    c.hid = 6;
    assert_int_equal(dvae_create(&d, &dev, &c, DVAE_LEARN, 1), ERR_LIMIT);
    assert_non_null(strstr(err_text(), "hid 6 is not a multiple of 4"));
    c = tiny;
    c.size = 10;
    assert_int_equal(dvae_create(&d, &dev, &c, DVAE_LEARN, 1), ERR_LIMIT);
    assert_non_null(strstr(err_text(), "cannot be halved 2 times"));
    c.vocab = 1;
    assert_int_equal(dvae_create(&d, &dev, &c, DVAE_LEARN, 1), ERR_LIMIT);
    c = tiny;
    c.blocks = 3;
    assert_int_equal(dvae_config_same(&tiny, &c), ERR_MISMATCH);
    assert_non_null(strstr(err_text(), "blocks 1 was asked for, the checkpoint has blocks 3"));
    assert_int_equal(dvae_config_same(&tiny, &tiny), 0);

    int32_t codes[4] = {0, 5, 6, 1};
    float out[8 * 8 * 6];

    d = make(&tiny, DVAE_DECODER, 1);
    assert_int_equal(dvae_decode(d, out, NULL, codes, NULL, 1), ERR_ARG);
    assert_int_equal(dvae_encode(d, codes, out, 1, NULL), ERR_ARG);
    dvae_free(d);
}

/* ---- pixels ---------------------------------------------------------------------------------------------------------- */

static void test_pixels(void **state)
{
    (void)state;
    static const uint8_t bytes[8] = {0, 255, 51, 128, 0, 255, 7, 200};
    struct rng rng = {7, RNG_DITHER};
    float x[8], y[8], out[2 * 8], moved = 0;
    uint8_t back[8];

    dvae_map(x, bytes, 8, 0, rng, 0, 0);
    assert_true(fabs(x[0] - 0.1) < 1e-7 && fabs(x[1] - 0.9) < 1e-7 && fabs(x[2] - 0.26) < 1e-7);
    for (int i = 0; i < 8; i++) {
        out[2 * i] = logf(x[i] / (1 - x[i]));
        out[2 * i + 1] = -9; /* ln b: not used */
    }
    dvae_unmap(back, out, 8, 1);
    assert_memory_equal(back, bytes, 8);
    out[0] = -50;
    out[2] = 50;
    dvae_unmap(back, out, 2, 1);
    assert_true(back[0] == 0 && back[1] == 255);

    dvae_map(y, bytes, 8, 0.2, rng, 3, 5);
    for (int i = 0; i < 8; i++) {
        assert_true(y[i] > 0 && y[i] < 1 && fabsf(y[i] - x[i]) <= 0.2f * 0.8f + 1e-6f);
        moved += fabsf(y[i] - x[i]);
    }
    assert_true(moved > 0.05);
    dvae_map(x, bytes + 3, 5, 0.2, rng, 3, 8); /* noise goes by the element's address, not by the call */
    assert_memory_equal(x, y + 3, sizeof *x * 5);
}

/* ---- files ----------------------------------------------------------------------------------------------------------- */

enum naming { FULL, BARE, FLAVA };

static char *renamed(const char *name, enum naming how)
{
    char *s = calloc(1, 200), *to = s;

    if (how != FULL)
        name += 8; /* "encoder." */
    for (const char *p = name; *p;) {
        if (how == FLAVA && strncmp(p, "block_", 6) == 0)
            to = stpcpy(to, "group.");
        if (how == FLAVA && strncmp(p, "conv_", 5) == 0)
            to = stpcpy(to, "path.");
        if (how == FLAVA && (strcmp(p, "w") == 0 || strcmp(p, "b") == 0)) {
            strcpy(to, *p == 'w' ? "weight" : "bias");
            break;
        }
        *to++ = *p++;
    }
    return s;
}

static void save(const struct dvae *d, const char *path, const char *half, enum naming how, const char *provenance)
{
    struct st_tensor *t = calloc((size_t)d->params.count, sizeof *t);
    struct st_meta meta[DVAE_META_FIELDS];
    char text[DVAE_CONFIG_TEXT];
    int count = 0;

    for (int i = 0; i < d->params.count; i++) {
        const struct param *p = &d->params.item[i];

        if (strncmp(p->name, half, strlen(half)) != 0)
            continue;
        t[count] = (struct st_tensor){.name = renamed(p->name, how), .type = ST_F32, .rank = p->value.rank,
                                      .data = p->value.data, .size = tensor_bytes(&p->value)};
        memcpy(t[count++].shape, p->value.shape, sizeof *t->shape * (size_t)p->value.rank);
    }
    dvae_meta(meta, text, &d->config, provenance ? provenance : "");
    if (st_write(path, t, count, meta, provenance ? DVAE_META_FIELDS : 0) != 0)
        fail_msg("%s", err_text());
    for (int i = 0; i < count; i++)
        free((char *)t[i].name);
    free(t);
}

static void expect_codes(const char *path, int64_t size, int64_t downs, int use, const float *x, const int32_t *want)
{
    struct dvae_file_info info;
    struct dvae_file *f;
    struct dvae *d;
    int32_t codes[4];

    if (dvae_file_open(&f, &info, path, size, downs) != 0)
        fail_msg("%s", err_text());
    assert_int_equal(info.use, use);
    assert_int_equal(digest_known(&info.digest), use == (DVAE_ENCODER | DVAE_DECODER));
    assert_true(info.config.size == 8 && info.config.downs == 2 && info.config.vocab == 6 && info.config.blocks == 1);
    if (use & DVAE_ENCODER) {
        d = make(&info.config, DVAE_ENCODER, 1);
        assert_int_equal(dvae_fill(d, f), 0);
        assert_int_equal(dvae_encode(d, codes, x, 1, NULL), 0);
        assert_memory_equal(codes, want, sizeof codes);
        dvae_free(d);
    }
    dvae_file_close(f);
}

static void test_files(void **state)
{
    (void)state;
    char folder[] = "/tmp/armchair-dvae-XXXXXX", path[64];
    struct dvae *d = make(&tiny, DVAE_ENCODER | DVAE_DECODER, 1);
    struct dvae_file_info info;
    struct dvae_file *f;
    float *x = some_pixels(8 * 8 * 3);
    int32_t codes[4];

    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/x.safetensors", folder);
    assert_int_equal(dvae_encode(d, codes, x, 1, NULL), 0);
    save(d, path, "", FULL, "dvae-train 1\n");
    expect_codes(path, 0, 0, DVAE_ENCODER | DVAE_DECODER, x, codes); /* all sizes from the metadata */
    save(d, path, "", FULL, NULL);
    expect_codes(path, 8, 2, DVAE_ENCODER | DVAE_DECODER, x, codes); /* all but two from the shapes */
    save(d, path, "encoder.", BARE, NULL);
    expect_codes(path, 8, 2, DVAE_ENCODER, x, codes);
    save(d, path, "encoder.", FLAVA, NULL);
    expect_codes(path, 8, 2, DVAE_ENCODER, x, codes);
    save(d, path, "decoder.", BARE, NULL);
    expect_codes(path, 8, 2, DVAE_DECODER, x, codes);

    d->config.downs = 1; /* the file lies about what cannot be seen in it */
    save(d, path, "", FULL, "");
    assert_int_equal(dvae_file_open(&f, &info, path, 0, 0), 0);
    assert_int_equal(info.config.downs, 1);
    dvae_file_close(f);
    d->params.count -= 2;
    save(d, path, "", FULL, "");
    d->params.count += 2;
    assert_int_equal(dvae_file_open(&f, &info, path, 0, 0), 0);
    d->config.downs = 2;
    assert_int_equal(dvae_fill(d, f), ERR_MISMATCH);
    assert_non_null(strstr(err_text(), "no tensor decoder.blocks.output.conv.w"));
    dvae_file_close(f);
    save(d, path, "nothing", FULL, NULL);
    assert_int_equal(dvae_file_open(&f, &info, path, 0, 0), ERR_FORMAT);
    assert_non_null(strstr(err_text(), "not a dVAE"));
    unlink(path);
    rmdir(folder);
    free(x);
    dvae_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors), cmocka_unit_test(test_vectors_in_bf16), cmocka_unit_test(test_gradients), cmocka_unit_test(test_split),
        cmocka_unit_test(test_published), cmocka_unit_test(test_measure), cmocka_unit_test(test_batches),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_pixels), cmocka_unit_test(test_files)};

    return cmocka_run_group_tests_name("dvae", tests, start, stop);
}

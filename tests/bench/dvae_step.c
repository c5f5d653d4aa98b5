/* SPDX-License-Identifier: MIT */
/* dvae_step.c -- where a training step of a dVAE, or the encoding or decoding of a batch, spends its time.
 *
 *   build/tests/bench/dvae_step [train|encode|decode HID BLOCKS VOCAB SIZE BATCH [DEVICE [PRECISION]]]
 *
 * Three halvings, 128 channels behind a code, as the published model has them.  Best of the rounds: watch.h.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "model/dvae.h"
#include "watch.h"

static void check(int rc)
{
    if (rc != 0) {
        fprintf(stderr, "dvae_step: %s\n", err_text());
        exit(1);
    }
}

struct bench {
    struct device dev;
    struct dvae *dvae;
    struct arena moments;
    struct tensor *grad; /* views of all gradients */
    float *pixels, *out;
    int32_t *codes;
    int64_t batch;
    int t; /* updates so far */
};

static void train(void *of)
{
    struct bench *b = of;
    const struct param_table *params = dvae_params(b->dvae);
    struct dvae_relax how = {.tau = 1, .beta = 6.6, .rng = {1, RNG_GUMBEL}, .step = (uint64_t)b->t, .total = b->batch};
    struct dvae_loss loss;
    double squares = 0;
    float scale;

    b->t++;
    for (int i = 0; i < params->count; i++)
        check(device_zero(&b->dev, params->item[i].grad.data, tensor_bytes(&params->item[i].grad)));
    check(dvae_learn(b->dvae, &loss, b->pixels, b->batch, &how));
    check(isfinite(loss.nll + loss.kl) ? 0 : err_set(ERR_ARG, "the loss of update %d is not a number", b->t));
    for (int i = 0; i < params->count; i++) {
        struct squares one;

        check(op_sum_squares(&b->dev, &one, &b->grad[i], 1));
        squares += one.sum;
    }
    scale = squares > 1 ? (float)(1 / sqrt(squares)) : 1;
    b->moments.used = 0;
    for (int i = 0; i < params->count; i++) {
        const struct param *p = &params->item[i];
        struct adam step = {.lr = 1e-4f, .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f, .v_max = 5, .scale = scale, .t = b->t};
        struct tensor m = p->value, v = p->value;

        m.data = arena_take(&b->moments, tensor_bytes(&m));
        v.data = arena_take(&b->moments, tensor_bytes(&v));
        check(op_adam(&b->dev, &p->value, &m, &v, &p->grad, &step));
    }
}

static void encode(void *of)
{
    struct bench *b = of;

    check(dvae_encode(b->dvae, b->codes, b->pixels, b->batch, NULL));
}

static void decode(void *of)
{
    struct bench *b = of;

    check(dvae_decode(b->dvae, b->out, NULL, b->codes, NULL, b->batch));
}

/* What each round of a kind of work needs. */
static void prepare(struct bench *b, const struct dvae_config *c, bool learn)
{
    const struct param_table *params = dvae_params(b->dvae);
    int64_t pixels = b->batch * c->size * c->size, codes = b->batch * dvae_grid(c) * dvae_grid(c);
    struct rng rng = {1, RNG_TEST};

    b->pixels = malloc(sizeof *b->pixels * (size_t)pixels * 3);
    b->out = malloc(sizeof *b->out * (size_t)pixels * 6);
    b->codes = malloc(sizeof *b->codes * (size_t)codes);
    b->grad = calloc((size_t)params->count, sizeof *b->grad);
    for (int64_t i = 0; i < pixels * 3; i++)
        b->pixels[i] = 0.1f + 0.8f * rng_unit(rng_draw(rng, 0, (uint64_t)i).v[0]);
    for (int64_t i = 0; i < codes; i++)
        b->codes[i] = (int32_t)rng_below(rng, 1, (uint64_t)i, (uint64_t)c->vocab);
    for (int i = 0; i < params->count; i++)
        b->grad[i] = params->item[i].grad;
    if (learn)
        check(device_arena_init(&b->dev, &b->moments, 2 * dvae_sizes_of(b->dvae)->weights + 64));
}

int main(int argc, char **argv)
{
    static const struct {
        const char *word, *what;
        int use;
        void (*run)(void *of);
    } kinds[] = {{"train", "training step", DVAE_LEARN, train},
                 {"encode", "encoding", DVAE_ENCODER, encode},
                 {"decode", "decoding", DVAE_DECODER, decode}};
    const char *precision = argc > 8 ? argv[8] : "f32";
    int64_t v[5] = {32, 2, 512, 64, 16};
    const struct dvae_sizes *sizes;
    struct bench b = {0};
    struct dvae_config c;
    int kind = 0;

    for (int i = 0; argc > 1 && i < 3; i++)
        kind = strcmp(argv[1], kinds[i].word) == 0 ? i : kind;
    for (int i = 0; i < 5 && i + 2 < argc; i++)
        v[i] = strtoll(argv[i + 2], NULL, 10);
    c = (struct dvae_config){.size = v[3], .channels = 3, .vocab = v[2], .hid = v[0], .init = 128, .blocks = v[1], .downs = 3};
    b.batch = v[4];
    check(device_open(&b.dev, argc > 7 ? argv[7] : "cpu"));
    check(device_precision_by_name(&b.dev, precision));
    watch_start(&b.dev);
    check(dvae_create(&b.dvae, &b.dev, &c, kinds[kind].use, b.batch));
    check(dvae_start(b.dvae, 1));
    prepare(&b, &c, kinds[kind].use == DVAE_LEARN);
    sizes = dvae_sizes_of(b.dvae);
    printf("memory: weights %zu, gradients %zu, activations %zu, scratch %zu\n", sizes->weights, sizes->gradients,
           sizes->activations, sizes->scratch);
    watch_measure(kinds[kind].what, kinds[kind].run, &b, machine_unit(strcmp(precision, "bf16") == 0), 0);
    device_arena_fini(&b.dev, &b.moments);
    dvae_free(b.dvae);
    watch_stop(&b.dev);
    device_close(&b.dev);
    free(b.grad);
    free(b.pixels);
    free(b.out);
    free(b.codes);
    return 0;
}

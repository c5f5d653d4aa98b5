/* SPDX-License-Identifier: MIT */
/* prior_step.c -- where a training step and a batch of samples of the demo's prior spend their time.
 *
 *   build/tests/bench/prior_step [LAYERS WIDTH HEADS TEXT SIDE VOCAB BATCH MICRO SAMPLES
 *                                 [DEVICE [PRECISION [TEXT_VOCAB [NUMBERS]]]]]
 *
 * PRECISION is one of prior-train's; NUMBERS holds any of the words no-master, moments16, recompute.
 *
 * Best of the rounds: watch.h.  BATCH 0: no training; SAMPLES 0: no samples.  Without training all layers have the values of
 * the first, packed for each, so that large models fit into memory beside their packed weights.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "model/prior_pass.h"
#include "model/sampler.h"
#include "train/state.h"
#include "watch.h"

static void check(int rc)
{
    if (rc != 0) {
        fprintf(stderr, "prior_step: %s\n", err_text());
        exit(1);
    }
}

struct bench {
    struct prior prior;
    struct prior small; /* without training: the one layer whose values all have */
    struct prior_pass pass;
    struct sampler sampler;
    struct train_state state;
    struct squares *sums; /* of each parameter's gradient */
    uint16_t *text, *image;
    int32_t *length;
    int64_t batch, micro, samples;
    int t;       /* updates so far */
    double loss; /* of the last */
};

static void train(void *of)
{
    struct bench *b = of;
    const struct prior_config *c = &b->prior.config;
    struct prior_loss loss;
    double squares = 0;
    float scale;

    b->t++;
    for (int i = 0; i < b->prior.params.count; i++)
        check(device_zero(b->prior.device, b->prior.params.item[i].grad.data, tensor_bytes(&b->prior.params.item[i].grad)));
    for (int64_t at = 0; at < b->batch; at += b->micro) {
        struct prior_examples e = {b->micro, b->text + at * (c->text_slots - 1), b->length + at,
                                   b->image + at * prior_image_slots(c)};

        check(prior_backward(&b->pass, &e, 1e-4f, 1e-4f));
        check(prior_losses(&b->pass, &loss));
        b->loss = prior_loss_mean(&loss);
        check(isfinite(b->loss) ? 0 : err_set(ERR_ARG, "the loss of update %d is not a number", b->t));
    }
    check(op_sum_squares(b->prior.device, b->sums, b->state.grad, b->prior.params.count));
    for (int i = 0; i < b->prior.params.count; i++)
        squares += b->sums[i].sum;
    scale = squares > 1 ? (float)(1 / sqrt(squares)) : 1;
    for (int i = 0; i < b->prior.params.count; i++) {
        const struct param *p = &b->prior.params.item[i];
        struct adam how = {.lr = 1e-4f, .beta1 = 0.9f, .beta2 = 0.96f, .eps = 1e-8f, .v_max = 5, .scale = scale,
                           .decay = p->decay ? 0.045f : 0, .t = b->t, .rng = {1, RNG_ROUND}, .element = (uint64_t)i << 40,
                           .master = b->state.master[i].data ? &b->state.master[i] : NULL};

        check(op_adam(b->prior.device, &p->value, &b->state.m[i], &b->state.v[i], &p->grad, &how));
    }
}

static void sample(void *of)
{
    struct bench *b = of;
    struct choose how = {.temperature = 1, .top_p = 1};
    struct sampler_row *rows = calloc((size_t)b->samples, sizeof *rows);
    uint16_t *codes = calloc((size_t)(b->samples * prior_image_slots(&b->prior.config)), sizeof *codes);

    for (int64_t i = 0; i < b->samples; i++) /* candidates of one caption */
        rows[i] = (struct sampler_row){.caption = 0, .step = (uint64_t)i};
    check(sampler_text(&b->sampler, 0, b->text, b->length[0]));
    check(sampler_draw(&b->sampler, codes, rows, b->samples, 0, how, 1));
    free(rows);
    free(codes);
}

/* The prior of a sampler: a plan, whose layers are views of those of a prior with one layer. */
static void share_layers(struct bench *b, struct device *dev, const struct prior_config *c)
{
    struct prior_config one = *c;
    struct prior_layer *layer;

    one.layers = 1;
    check(prior_init(&b->small, dev, &one, (struct prior_types){0}, false));
    check(prior_start(&b->small, 1, 1));
    check(prior_init(&b->prior, NULL, c, (struct prior_types){0}, false));
    layer = b->prior.w.layer;
    b->prior.w = b->small.w;
    b->prior.w.layer = layer;
    for (int64_t i = 0; i < c->layers; i++)
        layer[i] = b->small.w.layer[0];
    b->prior.device = dev;
}

static void examples(struct bench *b, const struct prior_config *c)
{
    struct rng rng = {1, RNG_TEST};

    b->text = calloc((size_t)((b->batch + 1) * c->text_slots), sizeof *b->text);
    b->image = calloc((size_t)((b->batch + 1) * prior_image_slots(c)), sizeof *b->image);
    b->length = calloc((size_t)b->batch + 1, sizeof *b->length);
    for (int64_t i = 0; i < b->batch * (c->text_slots - 1); i++)
        b->text[i] = (uint16_t)rng_below(rng, 0, (uint64_t)i, (uint64_t)c->text_vocab);
    for (int64_t i = 0; i < b->batch * prior_image_slots(c); i++)
        b->image[i] = (uint16_t)rng_below(rng, 1, (uint64_t)i, (uint64_t)c->image_vocab);
    for (int64_t i = 0; i <= b->batch; i++)
        b->length[i] = (int32_t)((c->text_slots - 1) * 2 / 3);
}

static void measure_training(struct bench *b, struct device *dev, const struct prior_config *c, struct prior_types types,
                             const struct state_how *how, enum prior_keep keep, enum machine_unit unit)
{
    struct state_sizes sizes;

    check(prior_init(&b->prior, dev, c, types, true));
    check(prior_start(&b->prior, 1, 1));
    check(prior_pass_init(&b->pass, &b->prior, b->micro, keep));
    check(state_init(&b->state, dev, &b->prior.params, how));
    b->sums = calloc((size_t)b->prior.params.count, sizeof *b->sums);
    sizes = state_sizes_of(&b->prior.params, how);
    printf("memory: parameters %zu, gradients %zu, moments %zu, masters %zu, pass %zu\n", b->prior.value_bytes,
           b->prior.grad_bytes, sizes.moments, sizes.masters, b->pass.bytes);
    watch_measure("training step", train, b, unit, 0);
    printf("loss: %.3f nats behind %d updates\n", b->loss, b->t);
    state_fini(&b->state);
    prior_pass_fini(&b->pass);
    free(b->sums);
}

static void measure_samples(struct bench *b, struct device *dev, const struct prior_config *c, enum machine_unit unit)
{
    if (b->batch == 0)
        share_layers(b, dev, c);
    check(sampler_init(&b->sampler, &b->prior, 1, b->samples));
    printf("memory: weights %zu, caches %zu, work %zu\n", b->sampler.weight_bytes,
           b->sampler.text_bytes + b->sampler.image_bytes, b->sampler.work_bytes);
    watch_measure("samples", sample, b, unit, (double)b->sampler.weight_bytes * (double)prior_image_slots(c));
    sampler_fini(&b->sampler);
}

int main(int argc, char **argv)
{
    const char *precision = argc > 11 ? argv[11] : "f32";
    enum machine_unit unit = machine_unit(strcmp(precision, "bf16") == 0);
    int64_t v[9] = {4, 192, 3, 16, 8, 256, 64, 64, 64};
    const char *device = argc > 10 ? argv[10] : "cpu", *numbers = argc > 13 ? argv[13] : "";
    struct state_how how = {.master = !strstr(numbers, "no-master"), .narrow_moments = strstr(numbers, "moments16")};
    struct device dev;
    struct bench b = {0};
    struct prior_config c;

    for (int i = 0; i < 9 && i + 1 < argc; i++)
        v[i] = strtoll(argv[i + 1], NULL, 10);
    c = (struct prior_config){.layers = v[0], .width = v[1], .heads = v[2], .text_slots = v[3], .grid_h = v[4], .grid_w = v[4],
                              .text_vocab = argc > 12 ? strtoll(argv[12], NULL, 10) : v[5], .image_vocab = v[5], .kernel = 11,
                              .masks = MASK_DALLE};
    b.batch = v[6], b.micro = v[7], b.samples = v[8];
    check(device_open(&dev, device));
    check(device_precision_by_name(&dev, precision));
    watch_start(&dev);
    examples(&b, &c);
    if (b.batch > 0)
        measure_training(&b, &dev, &c, prior_types_of(device, precision, how.master), &how,
                         prior_keep_of(strstr(numbers, "recompute") ? "block" : "none"), unit);
    if (b.samples > 0)
        measure_samples(&b, &dev, &c, unit);
    if (b.batch == 0)
        b.prior.device = NULL; /* its memory is the small one's */
    prior_fini(&b.prior);
    prior_fini(&b.small);
    watch_stop(&dev);
    device_close(&dev);
    free(b.text);
    free(b.image);
    free(b.length);
    return 0;
}

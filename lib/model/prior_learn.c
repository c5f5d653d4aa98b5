/* SPDX-License-Identifier: MIT */
#include "model/prior_learn.h"

#include <math.h>
#include <stdlib.h>

#include "base/progress.h"

int prior_learner_init(struct prior_learner *l, struct prior *prior, int64_t batch, int64_t micro, enum prior_keep keep,
                       prior_fetch *fetch, void *from)
{
    int rc;

    *l = (struct prior_learner){.prior = prior, .fetch = fetch, .from = from, .micro = micro, .loaded = -1, .update = -1,
                                .since_s = clock_s()};
    if ((rc = prior_pass_init(&l->pass, prior, micro, keep)) == 0)
        rc = prior_batch_init(&l->batch, &prior->config, batch);
    if (rc != 0)
        prior_learner_fini(l);
    return rc;
}

void prior_learner_fini(struct prior_learner *l)
{
    prior_pass_fini(&l->pass);
    prior_batch_fini(&l->batch);
    free(l->lost);
    *l = (struct prior_learner){0};
}

static int gather(struct prior_batch *b, prior_fetch *fetch, void *from, int64_t first, int64_t n)
{
    int rc = 0;

    prior_batch_clear(b);
    for (int64_t i = 0; rc == 0 && i < n; i++)
        rc = fetch(from, first + i, b);
    return rc;
}

/* 0 tokens of a kind: no state has a target, so any scale does. */
static double share(double weight, int64_t tokens)
{
    return weight / (double)(tokens > 0 ? tokens : 1);
}

/* The examples of an update, unless they are there. */
static int load(struct prior_learner *l, int64_t t, int64_t total)
{
    int rc = l->loaded == t ? 0 : gather(&l->batch, l->fetch, l->from, t * total, total);

    l->loaded = rc == 0 ? t : -1;
    return rc;
}

int prior_learner_micro(void *self, int64_t t, int64_t first, int64_t count, int64_t total, double *loss)
{
    struct prior_learner *l = self;
    struct prior_examples e;
    struct prior_loss sums;
    double text, image;
    int rc;

    if ((rc = load(l, t, total)) != 0)
        return rc;
    l->updates += l->update != t;
    l->update = t;
    l->cut = l->batch.cut;
    text = share(PRIOR_TEXT_WEIGHT, l->batch.text_tokens);
    image = share(PRIOR_IMAGE_WEIGHT, total * prior_image_slots(&l->prior->config));
    e = prior_batch_part(&l->batch, first - t * total, count);
    if ((rc = prior_backward(&l->pass, &e, (float)text, (float)image)) != 0)
        return rc;
    /* While the device works: the next update's examples.  What fails there fails again when they are needed. */
    if (first + count == (t + 1) * total && load(l, t + 1, total) != 0)
        l->batch.cut = l->cut;
    if ((rc = prior_losses(&l->pass, &sums)) != 0)
        return rc;
    *loss += text * sums.text + image * sums.image;
    l->text += text / PRIOR_TEXT_WEIGHT * sums.text;
    l->image += image / PRIOR_IMAGE_WEIGHT * sums.image;
    l->examples += count;
    return 0;
}

int prior_learner_count_lost(struct prior_learner *l)
{
    l->lost = calloc(2 * (size_t)l->prior->config.layers, sizeof *l->lost);
    l->pass.lost = l->lost;
    return l->lost ? 0 : err_set(ERR_NOMEM, "no memory to count lost gradients");
}

/* Shares of what entered each block, and from 0 again. */
static json_t *lost(struct prior_learner *l)
{
    double elements = (double)(l->examples * prior_slots(&l->prior->config) * l->prior->config.width);
    json_t *list = json_array();

    for (int64_t i = 0; i < 2 * l->prior->config.layers; i++) {
        json_array_append_new(list, json_real((double)l->lost[i] / elements));
        l->lost[i] = 0;
    }
    return list;
}

static json_t *mean(double sum, int64_t n)
{
    return n > 0 && isfinite(sum) ? json_real(sum / (double)n) : json_null();
}

int prior_learner_report(void *self, int64_t t, json_t *line)
{
    struct prior_learner *l = self;
    double now = clock_s(), spent = now - l->since_s;
    double positions = (double)(l->examples * prior_slots(&l->prior->config));

    (void)t;
    json_object_set_new(line, "loss_text", mean(l->text, l->updates));
    json_object_set_new(line, "loss_image", mean(l->image, l->updates));
    json_object_set_new(line, "tokens_per_s", json_real(spent > 0 ? positions / spent : 0));
    json_object_set_new(line, "cut", json_integer(l->cut));
    if (l->lost && l->examples > 0)
        json_object_set_new(line, "lost", lost(l));
    l->text = l->image = 0;
    l->updates = l->examples = 0;
    l->since_s = now;
    return 0;
}

int prior_learner_validate(struct prior_learner *l, prior_fetch *fetch, void *from, int64_t n, json_t *line)
{
    struct prior_loss sum = {0};
    double start = clock_s();
    int rc = 0;

    l->loaded = -1;
    for (int64_t at = 0; rc == 0 && at < n; at += l->micro) {
        struct prior_examples e;
        struct prior_loss part;

        if ((rc = gather(&l->batch, fetch, from, at, n - at < l->micro ? n - at : l->micro)) != 0)
            break;
        e = prior_batch_part(&l->batch, 0, l->batch.n);
        if ((rc = prior_forward(&l->pass, &e, &part)) == 0) {
            sum.text += part.text;
            sum.image += part.image;
            sum.text_tokens += part.text_tokens;
            sum.image_tokens += part.image_tokens;
        }
    }
    if (rc == 0) {
        json_object_set_new(line, "val_loss", mean(prior_loss_mean(&sum), 1));
        json_object_set_new(line, "val_loss_text", mean(sum.text, sum.text_tokens));
        json_object_set_new(line, "val_loss_image", mean(sum.image, sum.image_tokens));
    }
    l->batch.cut = l->cut; /* those of the validation are not the training's, nor are those of examples fetched early */
    l->since_s += clock_s() - start; /* not a part of the training's speed */
    return rc;
}

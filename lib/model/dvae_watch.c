/* SPDX-License-Identifier: MIT */
/* dvae_watch.c -- sums of losses, frequencies of codes. */
#include "model/dvae_watch.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int dvae_watch_init(struct dvae_watch *w, const struct dvae_config *c, int64_t batch)
{
    size_t values = (size_t)(batch * c->size * c->size * c->channels), codes = (size_t)(batch * dvae_grid(c) * dvae_grid(c));

    *w = (struct dvae_watch){.config = *c, .batch = batch};
    w->rgb = malloc(values);
    w->pixels = malloc(values * sizeof *w->pixels);
    w->out = malloc(2 * values * sizeof *w->out);
    w->codes = malloc(codes * sizeof *w->codes);
    w->seen = calloc((size_t)c->vocab, sizeof *w->seen);
    if (w->rgb && w->pixels && w->out && w->codes && w->seen)
        return 0;
    dvae_watch_fini(w);
    return err_set(ERR_NOMEM, "no memory for a batch of %" PRId64 " pictures", batch);
}

void dvae_watch_fini(struct dvae_watch *w)
{
    free(w->rgb);
    free(w->pixels);
    free(w->out);
    free(w->codes);
    free(w->seen);
    *w = (struct dvae_watch){0};
}

void dvae_watch_add(struct dvae_watch *w, const struct dvae_loss *loss, int64_t count)
{
    int64_t n = count * dvae_grid(&w->config) * dvae_grid(&w->config);

    for (int64_t i = 0; i < n; i++)
        w->seen[w->codes[i]]++;
    w->positions += n;
    w->pictures += count;
    w->nll += loss->nll;
    w->kl += loss->kl;
}

static int64_t in_use(const struct dvae_watch *w, double *perplexity)
{
    int64_t used = 0;
    double entropy = 0;

    for (int64_t v = 0; v < w->config.vocab; v++)
        if (w->seen[v] > 0) {
            double q = (double)w->seen[v] / (double)w->positions;

            entropy -= q * log(q);
            used++;
        }
    *perplexity = exp(entropy);
    return used;
}

static void put(json_t *line, const char *prefix, const char *name, double x)
{
    char full[64];

    snprintf(full, sizeof full, "%s%s", prefix, name);
    json_object_set_new(line, full, isfinite(x) ? json_real(x) : json_null());
}

void dvae_watch_line(struct dvae_watch *w, json_t *line)
{
    const struct dvae_config *c = &w->config;
    double perplexity;
    int64_t used = in_use(w, &perplexity), possible = w->positions < c->vocab ? w->positions : c->vocab;

    put(line, "", "nll", w->nll / (double)(w->pictures * c->size * c->size * c->channels));
    put(line, "", "kl", w->kl / (double)w->positions);
    json_object_set_new(line, "codes", json_integer(used));
    put(line, "", "perplexity", perplexity);
    w->few_lines = used * DVAE_FEW < possible ? w->few_lines + 1 : 0;
    if (w->few_lines >= DVAE_FEW_LINES) {
        char text[80];

        snprintf(text, sizeof text, "collapse: %" PRId64 " of %" PRId64 " codes in use", used, c->vocab);
        json_object_set_new(line, "warn", json_string(text));
    }
    memset(w->seen, 0, sizeof *w->seen * (size_t)c->vocab);
    w->positions = w->pictures = 0;
    w->nll = w->kl = 0;
}

static double squares(const struct dvae_watch *w, int64_t count)
{
    const struct dvae_config *c = &w->config;
    int64_t pixels = count * c->size * c->size;
    double sum = 0;

    for (int64_t i = 0; i < pixels; i++)
        for (int64_t k = 0; k < c->channels; k++) {
            double x = 1 / (1 + exp(-(double)w->out[2 * c->channels * i + k])), v = (x - DVAE_EPS) / (1 - 2 * DVAE_EPS);
            double difference = fmin(fmax(v, 0), 1) - w->rgb[c->channels * i + k] / 255.0;

            sum += difference * difference;
        }
    return sum;
}

int dvae_score_add(struct dvae_score *s, struct dvae_watch *w, struct dvae *d, int64_t count, double dither,
                   const struct dvae_relax *how)
{
    int64_t values = count * w->config.size * w->config.size * w->config.channels;
    struct gumbel sample = {{how->rng.seed, RNG_HARD}, how->step, 0, 1};
    struct dvae_loss loss;
    double hard;
    int rc;

    dvae_changed(d);
    dvae_map(w->pixels, w->rgb, values, dither, (struct rng){how->rng.seed, RNG_DITHER}, how->step, 0);
    if ((rc = dvae_relaxed(d, &loss, w->pixels, count, how)) != 0 ||
        (rc = dvae_encode(d, w->codes, w->pixels, count, &sample)) != 0 ||
        (rc = dvae_decode(d, w->out, &hard, w->codes, w->pixels, count)) != 0)
        return rc;
    dvae_map(w->pixels, w->rgb, values, 0, sample.rng, 0, 0);
    if ((rc = dvae_encode(d, w->codes, w->pixels, count, NULL)) != 0 ||
        (rc = dvae_decode(d, w->out, NULL, w->codes, NULL, count)) != 0)
        return rc;
    s->relaxed_nll += loss.nll;
    s->kl += loss.kl;
    s->hard_nll += hard;
    s->squares += squares(w, count);
    s->pictures += count;
    return 0;
}

void dvae_score_line(const struct dvae_score *s, const struct dvae_config *c, json_t *line, const char *prefix)
{
    double values = (double)(s->pictures * c->size * c->size * c->channels);

    put(line, prefix, "relaxed_elb", -(s->relaxed_nll + s->kl) / values);
    put(line, prefix, "hard_elb", -(s->hard_nll + s->kl) / values);
    put(line, prefix, "psnr", -10 * log10(s->squares / values));
}

int dvae_rebuild(struct dvae_watch *w, struct dvae *d, uint8_t *rebuilt, const uint8_t *rgb, int64_t count)
{
    const struct dvae_config *c = &w->config;
    int rc;

    dvae_changed(d);
    dvae_map(w->pixels, rgb, count * c->size * c->size * c->channels, 0, (struct rng){0, 0}, 0, 0);
    if ((rc = dvae_encode(d, w->codes, w->pixels, count, NULL)) != 0 ||
        (rc = dvae_decode(d, w->out, NULL, w->codes, NULL, count)) != 0)
        return rc;
    dvae_unmap(rebuilt, w->out, count * c->size * c->size, c->channels);
    return 0;
}

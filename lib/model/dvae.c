/* SPDX-License-Identifier: MIT */
/* dvae.c -- a dVAE from its configuration; learning, encoding, decoding of batches. */
#include "model/dvae_in.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compute/act.h"
#include "compute/embed.h"
#include "compute/loss.h"

/* ---- making one -------------------------------------------------------------------------------------------------- */

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* The host's block holds, one at a time: a parameter, the decoder's first weights and their transpose, nll or KL of all
 * positions. */
static size_t host_size(const struct dvae *d)
{
    const struct dvae_config *c = &d->config;
    int64_t most = larger(2 * c->vocab * c->init + c->init, d->batch * c->size * c->size);

    for (int i = 0; i < d->params.count; i++)
        most = larger(most, tensor_elements(&d->params.item[i].value));
    return (size_t)most * sizeof(float);
}

static int make(struct dvae *d)
{
    int rc;

    if ((rc = dvae_shape(d)) != 0 || (rc = dvae_place(d, d->batch)) != 0)
        return rc;
    d->sizes.host = d->host_size = host_size(d);
    if (d->device && !(d->host = malloc(d->host_size)))
        return err_set(ERR_NOMEM, "no memory: %zu bytes", d->host_size);
    return 0;
}

static struct dvae *new_dvae(struct device *dev, enum dtype type, const struct dvae_config *c, int use, int64_t batch)
{
    struct dvae *d = calloc(1, sizeof *d);

    if (d) {
        d->config = *c;
        d->device = dev;
        d->type = type;
        d->use = use & DVAE_LEARN ? use | DVAE_ENCODER | DVAE_DECODER : use;
        d->batch = batch;
        if (!(d->use & DVAE_DECODER))
            d->config.init = 0;
    }
    return d;
}

static int check(const struct dvae_config *c, int use, int64_t batch)
{
    struct dvae_config whole = *c;

    if (!(use & (DVAE_DECODER | DVAE_LEARN)))
        whole.init = 1;
    if (batch < 1 || batch > 1 << 20)
        return err_set(ERR_LIMIT, "a batch of %" PRId64 " pictures", batch);
    return dvae_config_check(&whole);
}

static int create(struct dvae **out, struct device *dev, enum dtype type, const struct dvae_config *c, int use, int64_t batch)
{
    int rc = check(c, use, batch);

    *out = NULL;
    if (rc != 0)
        return rc;
    if (!(*out = new_dvae(dev, type, c, use, batch)))
        return err_set(ERR_NOMEM, "no memory for a dVAE");
    if ((rc = make(*out)) != 0) {
        dvae_free(*out);
        *out = NULL;
    }
    return rc;
}

int dvae_create(struct dvae **out, struct device *dev, const struct dvae_config *c, int use, int64_t batch)
{
    return create(out, dev, device_activations(dev), c, use, batch);
}

int dvae_plan(struct dvae **out, enum dtype type, const struct dvae_config *c, int use, int64_t batch)
{
    return create(out, NULL, type, c, use, batch);
}

void dvae_free(struct dvae *d)
{
    if (!d)
        return;
    if (d->device) {
        device_arena_fini(d->device, &d->work);
        device_arena_fini(d->device, &d->gradients);
        device_arena_fini(d->device, &d->weights);
    }
    free(d->host);
    free(d->decoder.block);
    free(d->encoder.block);
    free(d->name);
    free(d->params.item);
    free(d);
}

const struct dvae_config *dvae_config_of(const struct dvae *d)
{
    return &d->config;
}

const struct dvae_sizes *dvae_sizes_of(const struct dvae *d)
{
    return &d->sizes;
}

const struct param_table *dvae_params(const struct dvae *d)
{
    return &d->params;
}

int dvae_start(struct dvae *d, uint64_t seed)
{
    struct rng rng = {seed, RNG_INIT};
    int rc = 0;

    for (int i = 0; rc == 0 && i < d->params.count; i++) {
        const struct tensor *t = &d->params.item[i].value;
        int64_t n = tensor_elements(t);

        if (t->rank == 1) {
            rc = device_zero(d->device, t->data, tensor_bytes(t));
            continue;
        }
        double spread = 1 / sqrt((double)(n / t->shape[0]));
#pragma omp parallel for
        for (int64_t j = 0; j < n; j++)
            d->host[j] = (float)(spread * rng_normal(rng, (uint64_t)i, (uint64_t)j));
        rc = device_upload(d->device, t->data, d->host, tensor_bytes(t));
    }
    dvae_changed(d);
    return rc;
}

/* ---- pixels ------------------------------------------------------------------------------------------------------ */

static float mapped(double v)
{
    double x = (1 - 2 * DVAE_EPS) * v + DVAE_EPS;

    return (float)(x < 0.001 ? 0.001 : x > 0.999 ? 0.999 : x);
}

void dvae_map(float *to, const uint8_t *from, int64_t n, double dither, struct rng rng, uint64_t step, uint64_t first)
{
    float plain[256];

    for (int i = 0; i < 256; i++)
        plain[i] = mapped(i / 255.0);
    if (!(dither > 0)) {
        for (int64_t i = 0; i < n; i++)
            to[i] = plain[from[i]];
        return;
    }
    int64_t head = (int64_t)(first / 4), tail = (int64_t)((first + (uint64_t)n + 3) / 4);
#pragma omp parallel for
    for (int64_t q = head; q < tail; q++) {
        struct rng4 draw = rng_draw(rng, step, (uint64_t)q);

        for (int64_t j = 0; j < 4; j++) {
            int64_t i = 4 * q + j - (int64_t)first;

            if (i >= 0 && i < n)
                to[i] = mapped(from[i] / 255.0 + dither * (2.0 * rng_unit(draw.v[j]) - 1));
        }
    }
}

void dvae_unmap(uint8_t *to, const float *out, int64_t n, int64_t channels)
{
#pragma omp parallel for
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < channels; c++) {
            double x = 1 / (1 + exp(-(double)out[2 * channels * i + c]));
            double v = 255 * (x - DVAE_EPS) / (1 - 2 * DVAE_EPS);

            to[channels * i + c] = (uint8_t)(v > 0 ? v < 255 ? v + 0.5 : 255 : 0); /* NaN: 0 */
        }
}

/* ---- learning ---------------------------------------------------------------------------------------------------- */

static struct tensor rows(const struct tensor *t)
{
    int64_t width = t->shape[t->rank - 1];

    return tensor_view(t->data, t->type, 2, (const int64_t[]){tensor_elements(t) / width, width});
}

static struct tensor flat(const struct tensor *t)
{
    return tensor_view(t->data, t->type, 1, (const int64_t[]){tensor_elements(t)});
}

/* Place for count pictures and bring them there. */
static int begin(struct dvae *d, const float *pixels, int64_t count, int use)
{
    int rc;

    if ((d->use & use) != use)
        return err_set(ERR_ARG, "this dVAE was not made for that");
    if (count < 1 || count > d->batch)
        return err_set(ERR_ARG, "%" PRId64 " pictures in a batch for %" PRId64, count, d->batch);
    if ((rc = dvae_place(d, count)) != 0)
        return rc;
    if (!pixels || (rc = device_upload(d->device, d->pixels.data, pixels, tensor_bytes(&d->pixels))) != 0)
        return pixels ? rc : 0;
    return use & (DVAE_ENCODER | DVAE_LEARN) && d->encoder.in.data != d->pixels.data
               ? op_copy(d->device, &d->encoder.in, &d->pixels) : 0;
}

/* Sum of a tensor of one number a position, in order. */
static int sum_of(struct dvae *d, double *sum, const struct tensor *t)
{
    int64_t n = tensor_elements(t);
    int rc = device_download(d->device, d->host, t->data, tensor_bytes(t));

    *sum = 0;
    for (int64_t i = 0; rc == 0 && i < n; i++)
        *sum += d->host[i];
    return rc;
}

static int relaxed(struct dvae *d, const float *pixels, int64_t count, const struct dvae_relax *how, float scale)
{
    const struct dvae_config *c = &d->config;
    int64_t codes = dvae_grid(c) * dvae_grid(c);
    struct gumbel g = {how->rng, how->step, (uint64_t)(how->first * codes * c->vocab), (float)how->tau};
    struct tensor x, z, kl, out, target, nll;
    int rc;

    if ((rc = begin(d, pixels, count, DVAE_LEARN)) != 0 || (rc = dvae_forward(d, &d->encoder, false)) != 0)
        return rc;
    x = rows(&d->encoder.out);
    z = rows(&d->decoder.in);
    kl = flat(&d->kl);
    if ((rc = op_gumbel(d->device, &z, &kl, &x, &g)) != 0 || (rc = dvae_forward(d, &d->decoder, false)) != 0)
        return rc;
    out = rows(&d->decoder.out);
    target = rows(&d->pixels);
    nll = flat(&d->nll);
    return op_laplace(d->device, &nll, &out, &target, scale);
}

static int sums(struct dvae *d, struct dvae_loss *loss)
{
    int rc = sum_of(d, &loss->nll, &d->nll);

    return rc == 0 ? sum_of(d, &loss->kl, &d->kl) : rc;
}

int dvae_relaxed(struct dvae *d, struct dvae_loss *loss, const float *pixels, int64_t count, const struct dvae_relax *how)
{
    int rc = relaxed(d, pixels, count, how, 0);

    return rc == 0 ? sums(d, loss) : rc;
}

int dvae_learn(struct dvae *d, struct dvae_loss *loss, const float *pixels, int64_t count, const struct dvae_relax *how)
{
    const struct dvae_config *c = &d->config;
    double values = (double)(how->total * c->size * c->size * c->channels);
    struct tensor x, z, dz;
    int rc = relaxed(d, pixels, count, how, (float)(1 / values));

    if (rc != 0 || (rc = dvae_backward(d, &d->decoder, &d->decoder.out, &d->dz)) != 0)
        return rc;
    x = rows(&d->encoder.out);
    z = rows(&d->decoder.in);
    dz = rows(&d->dz);
    rc = op_gumbel_grad(d->device, &dz, &dz, &z, &x, (float)how->tau, (float)(how->beta / values));
    dvae_changed(d);
    if (rc != 0 || (rc = dvae_backward(d, &d->encoder, &d->dz, NULL)) != 0)
        return rc;
    return sums(d, loss); /* last: it waits for the device */
}

double dvae_objective(const struct dvae_config *c, const struct dvae_loss *loss, int64_t count, double beta)
{
    return (loss->nll + beta * loss->kl) / (double)(count * c->size * c->size * c->channels);
}

static int choose(struct dvae *d, int32_t *codes, const struct gumbel *sample)
{
    struct tensor logits = rows(&d->encoder.out), code = flat(&d->codes);
    int rc = op_gumbel_max(d->device, &code, &logits, sample);

    return rc == 0 ? device_download(d->device, codes, d->codes.data, tensor_bytes(&d->codes)) : rc;
}

int dvae_last_codes(struct dvae *d, int32_t *codes, int64_t count)
{
    if (!(d->use & DVAE_ENCODER) || d->encoder.out.shape[0] != count)
        return err_set(ERR_ARG, "the last call was not of %" PRId64 " pictures", count);
    return choose(d, codes, NULL);
}

/* ---- using ------------------------------------------------------------------------------------------------------- */

int dvae_encode(struct dvae *d, int32_t *codes, const float *pixels, int64_t count, const struct gumbel *sample)
{
    int rc;

    if ((rc = begin(d, pixels, count, DVAE_ENCODER)) != 0 || (rc = dvae_forward(d, &d->encoder, false)) != 0)
        return rc;
    return choose(d, codes, sample);
}

void dvae_changed(struct dvae *d)
{
    d->table_fresh = false;
}

/* One-hot codes pick columns of the decoder's first weights [init,V,1,1]: a table of them, with the bias added. */
static int make_table(struct dvae *d)
{
    const struct dvae_conv *c = &d->decoder.input;
    int64_t init = d->config.init, vocab = d->config.vocab;
    float *w = d->host, *t = w + init * vocab, *b = t + init * vocab;
    int rc;

    if (d->table_fresh)
        return 0;
    if ((rc = device_download(d->device, w, c->w->value.data, tensor_bytes(&c->w->value))) != 0 ||
        (rc = device_download(d->device, b, c->b->value.data, tensor_bytes(&c->b->value))) != 0)
        return rc;
    for (int64_t i = 0; i < init; i++)
        for (int64_t v = 0; v < vocab; v++)
            t[v * init + i] = w[i * vocab + v] + b[i];
    rc = device_upload(d->device, d->table.data, t, tensor_bytes(&d->table));
    d->table_fresh = rc == 0;
    return rc;
}

int dvae_decode(struct dvae *d, float *out, double *nll, const int32_t *codes, const float *pixels, int64_t count)
{
    int64_t n = count * dvae_grid(&d->config) * dvae_grid(&d->config);
    struct tensor first, index, y, target, sums;
    int rc;

    for (int64_t i = 0; i < n; i++)
        if (codes[i] < 0 || codes[i] >= d->config.vocab)
            return err_set(ERR_ARG, "code %" PRId32 " with a vocabulary of %" PRId64, codes[i], d->config.vocab);
    if ((rc = begin(d, pixels, count, DVAE_DECODER)) != 0 || (rc = make_table(d)) != 0 ||
        (rc = device_upload(d->device, d->codes.data, codes, tensor_bytes(&d->codes))) != 0)
        return rc;
    first = rows(&d->decoder.first);
    index = flat(&d->codes);
    if ((rc = op_embed(d->device, &first, &d->table, &index, false)) != 0 ||
        (rc = dvae_forward(d, &d->decoder, true)) != 0)
        return rc;
    if (nll) {
        y = rows(&d->decoder.out);
        target = rows(&d->pixels);
        sums = flat(&d->nll);
        if ((rc = op_laplace(d->device, &sums, &y, &target, 0)) != 0 || (rc = sum_of(d, nll, &d->nll)) != 0)
            return rc;
    }
    if (d->wide_out.data != d->decoder.out.data && (rc = op_copy(d->device, &d->wide_out, &d->decoder.out)) != 0)
        return rc;
    return device_download(d->device, out, d->wide_out.data, tensor_bytes(&d->wide_out));
}

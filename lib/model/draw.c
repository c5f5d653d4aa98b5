/* SPDX-License-Identifier: MIT */
#include "model/draw.h"

#include <stdlib.h>
#include <string.h>

int draw_init(struct draw *d, const struct prior *p, const struct draw_options *o, draw_put *put, void *to)
{
    size_t rows = (size_t)o->batch, slots = (size_t)prior_image_slots(&p->config);
    int rc;

    *d = (struct draw){.o = *o, .places = draw_places(o), .put = put, .to = to};
    if ((rc = sampler_init(&d->sampler, p, d->places, o->batch)) != 0)
        return rc;
    if (!p->device)
        return 0;
    d->caption = calloc((size_t)d->places, sizeof *d->caption);
    d->row = calloc(rows, sizeof *d->row);
    d->candidate = calloc(rows, sizeof *d->candidate);
    d->codes = calloc(rows * slots, sizeof *d->codes);
    if (d->caption && d->row && d->candidate && d->codes)
        return 0;
    draw_fini(d);
    return err_set(ERR_NOMEM, "no memory for the codes of %d pictures", (int)o->batch);
}

void draw_fini(struct draw *d)
{
    for (int64_t i = 0; d->caption && i < d->places; i++) {
        free(d->caption[i].key);
        free(d->caption[i].given);
    }
    sampler_fini(&d->sampler);
    free(d->caption);
    free(d->row);
    free(d->candidate);
    free(d->codes);
    *d = (struct draw){0};
}

int draw_flush(struct draw *d)
{
    int64_t slots = d->rows ? prior_image_slots(&d->sampler.prior->config) : 0;
    int rc = 0;

    if (d->rows)
        rc = sampler_draw(&d->sampler, d->codes, d->row, d->rows, d->o.keep, d->o.how, d->o.seed);
    for (int64_t m = 0; rc == 0 && m < d->rows; m++) {
        const struct draw_caption *c = &d->caption[d->row[m].caption];

        rc = d->put(d->to, c->key, c->variant, d->candidate[m], d->codes + m * slots);
    }
    d->rows = 0;
    return rc;
}

/* The place's old caption has no row waiting: draw_places counts on it. */
static int take_place(struct draw *d, int64_t place, const char *key, uint32_t variant, const uint16_t *given)
{
    struct draw_caption *c = &d->caption[place];
    size_t size = sizeof *given * (size_t)prior_image_slots(&d->sampler.prior->config);

    free(c->key);
    c->key = strdup(key);
    c->variant = variant;
    if (given && !c->given)
        c->given = malloc(size);
    if (!c->key || (given && !c->given))
        return err_set(ERR_NOMEM, "no memory for a caption");
    if (given)
        memcpy(c->given, given, size);
    return 0;
}

int draw_add(struct draw *d, const char *key, uint32_t variant, const uint16_t *tokens, int64_t count,
             const uint16_t *given)
{
    int64_t place = d->captions++ % d->places;
    int rc;

    if ((rc = take_place(d, place, key, variant, given)) != 0 ||
        (rc = sampler_text(&d->sampler, place, tokens, count)) != 0)
        return err_at(rc, "key %.500s", key);
    for (int64_t i = 0; rc == 0 && i < d->o.candidates; i++) {
        d->row[d->rows] = (struct sampler_row){.caption = place, .given = d->caption[place].given,
                                               .step = sampler_step_of(key, strlen(key), variant, (uint32_t)i)};
        d->candidate[d->rows++] = (uint32_t)i;
        if (d->rows == d->o.batch)
            rc = draw_flush(d);
    }
    return rc;
}

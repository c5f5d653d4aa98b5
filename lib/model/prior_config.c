/* SPDX-License-Identifier: MIT */
/* prior_config.c -- limits, and the JSON in a checkpoint's metadata. */
#include "model/prior_config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/io.h"
#include "format/run.h"

#define FORMAT "armchair-prior 1"

static const struct field {
    const char *name;
    size_t at;
    int64_t min, max;
} fields[] = {
    {"layers", offsetof(struct prior_config, layers), 1, 1024},
    {"width", offsetof(struct prior_config, width), 8, 65536},
    {"heads", offsetof(struct prior_config, heads), 1, 8192},
    {"text_vocab", offsetof(struct prior_config, text_vocab), 1, 65536},
    {"text_slots", offsetof(struct prior_config, text_slots), 1, 65536},
    {"min_pad", offsetof(struct prior_config, min_pad), 0, 65535},
    {"image_vocab", offsetof(struct prior_config, image_vocab), 1, 65536},
    {"grid_h", offsetof(struct prior_config, grid_h), 1, 1024},
    {"grid_w", offsetof(struct prior_config, grid_w), 1, 1024},
    {"kernel", offsetof(struct prior_config, kernel), 1, 255},
};

enum { FIELDS = sizeof fields / sizeof *fields };

static int64_t *field_of(struct prior_config *c, int i)
{
    return (int64_t *)(void *)((char *)c + fields[i].at);
}

int prior_config_check(const struct prior_config *c)
{
    struct prior_config copy = *c;
    int64_t head;

    for (int i = 0; i < FIELDS; i++) {
        int64_t value = *field_of(&copy, i);

        if (value < fields[i].min || value > fields[i].max)
            return err_set(ERR_LIMIT, "%s %" PRId64 " is not in %" PRId64 "..%" PRId64, fields[i].name, value,
                           fields[i].min, fields[i].max);
    }
    head = c->width / c->heads;
    if (c->width % c->heads != 0 || head % 8 != 0 || head > 256)
        return err_set(ERR_LIMIT, "width %" PRId64 " with %" PRId64 " heads: a head's width must be a multiple of 8, at "
                       "most 256", c->width, c->heads);
    if (c->kernel % 2 == 0)
        return err_set(ERR_LIMIT, "kernel %" PRId64 " is not odd", c->kernel);
    if (c->min_pad >= c->text_slots)
        return err_set(ERR_LIMIT, "min_pad %" PRId64 " leaves no slot of %" PRId64, c->min_pad, c->text_slots);
    return 0;
}

int prior_config_same(const struct prior_config *asked, const struct prior_config *found)
{
    struct prior_config a = *asked, b = *found;

    for (int i = 0; i < FIELDS; i++)
        if (*field_of(&a, i) != *field_of(&b, i))
            return err_set(ERR_MISMATCH, "%s %" PRId64 " was asked for, the checkpoint has %" PRId64, fields[i].name,
                           *field_of(&a, i), *field_of(&b, i));
    if (a.masks != b.masks)
        return err_set(ERR_MISMATCH, "masks %s was asked for, the checkpoint has %s", mask_name(a.masks), mask_name(b.masks));
    return 0;
}

int prior_digest_same(const char *what, const struct digest *data, const struct digest *model)
{
    char ours[DIGEST_TEXT], theirs[DIGEST_TEXT];

    if (!digest_known(data) || !digest_known(model) || digest_same(data, model))
        return 0;
    digest_show(data, ours);
    digest_show(model, theirs);
    return err_set(ERR_MISMATCH, "%s tokens of %s, the prior learnt from %s", what, ours, theirs);
}

static int agree(const char *what, int64_t *asked, int64_t found)
{
    if (*asked && *asked != found)
        return err_set(ERR_MISMATCH, "%s %" PRId64 " was asked for, the tokens have %" PRId64, what, *asked, found);
    *asked = found;
    return 0;
}

int prior_config_adopt(struct prior_config *c, const struct tok_header *h)
{
    int rc;

    c->text_slots = c->text_slots ? c->text_slots : h->text_slots;
    if ((rc = agree("text_vocab", &c->text_vocab, h->text_vocab)) != 0 ||
        (rc = agree("image_vocab", &c->image_vocab, h->image_vocab)) != 0 ||
        (rc = agree("grid_h", &c->grid_h, h->grid_h)) != 0)
        return rc;
    return agree("grid_w", &c->grid_w, h->grid_w);
}

void prior_config_paper(struct prior_config *c)
{
    c->text_slots = c->text_slots ? c->text_slots : 256;
    c->text_vocab = c->text_vocab ? c->text_vocab : 16384;
    c->image_vocab = c->image_vocab ? c->image_vocab : 8192;
    c->grid_h = c->grid_h ? c->grid_h : 32;
    c->grid_w = c->grid_w ? c->grid_w : 32;
}

struct attn prior_attn(const struct prior_config *c, int64_t layer)
{
    return (struct attn){.kind = mask_layer(c->masks, c->layers, layer), .text = c->text_slots, .h = c->grid_h,
                         .w = c->grid_w, .k = c->kernel, .heads = c->heads};
}

/* ---- metadata ---------------------------------------------------------------------------------------------------- */

static char *config_json(const struct prior_config *c)
{
    struct prior_config copy = *c;
    json_t *object = json_object();
    char *text;

    for (int i = 0; i < FIELDS; i++)
        json_object_set_new(object, fields[i].name, json_integer(*field_of(&copy, i)));
    json_object_set_new(object, "masks", json_string(mask_name(c->masks)));
    text = json_dumps(object, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(object);
    return text;
}

static int config_parse(struct prior_config *c, const char *text)
{
    json_error_t why;
    json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &why);
    const char *masks;
    int rc = 0;

    if (!object)
        return err_set(ERR_FORMAT, "config in the metadata: %s", why.text);
    for (int i = 0; rc == 0 && i < FIELDS; i++) {
        const json_t *value = json_object_get(object, fields[i].name);

        if (json_is_integer(value))
            *field_of(c, i) = json_integer_value(value);
        else
            rc = err_set(ERR_FORMAT, "config in the metadata: no whole number \"%s\"", fields[i].name);
    }
    masks = json_string_value(json_object_get(object, "masks"));
    if (rc == 0 && (!masks || !mask_parse(&c->masks, masks)))
        rc = err_set(ERR_UNSUPPORTED, "mask variant \"%s\" is not known here", masks ? masks : "");
    json_decref(object);
    return rc == 0 ? prior_config_check(c) : rc;
}

int prior_meta_write(struct st_meta *meta, struct prior_meta_text *t, const struct prior_meta *m, const char *provenance)
{
    if (!(t->config = config_json(&m->config)))
        return err_set(ERR_NOMEM, "no memory for the configuration");
    digest_show(&m->text, t->text);
    digest_show(&m->image, t->image);
    meta[0] = (struct st_meta){"format", FORMAT};
    meta[1] = (struct st_meta){"config", t->config};
    meta[2] = (struct st_meta){"masks", mask_name(m->config.masks)};
    meta[3] = (struct st_meta){"text_digest", t->text};
    meta[4] = (struct st_meta){"image_digest", t->image};
    meta[5] = (struct st_meta){"provenance", provenance};
    return 0;
}

void prior_meta_fini(struct prior_meta_text *t)
{
    free(t->config);
    *t = (struct prior_meta_text){0};
}

int prior_meta_read(struct prior_meta *m, const struct st_file *file)
{
    const char *format = st_meta_get(file, "format"), *config = st_meta_get(file, "config");
    const char *text = st_meta_get(file, "text_digest"), *image = st_meta_get(file, "image_digest");

    *m = (struct prior_meta){0};
    if (!format || strcmp(format, FORMAT) != 0)
        return err_set(ERR_FORMAT, "not a prior: its metadata says format \"%s\", not \"%s\"", format ? format : "", FORMAT);
    if (!config)
        return err_set(ERR_FORMAT, "no config in the metadata");
    if ((text && !digest_parse(&m->text, text)) || (image && !digest_parse(&m->image, image)))
        return err_set(ERR_FORMAT, "a digest in the metadata is not 64 hexadecimal digits");
    return config_parse(&m->config, config);
}

int prior_run_same(const char *run, const struct prior_meta *asked, bool force)
{
    char folder[RUN_PATH_MAX], *path;
    struct st_file *file = NULL;
    struct prior_meta found;
    int64_t step;
    int rc = run_newest(folder, &step, run);

    if (rc <= 0)
        return rc;
    if (!(path = text_printf("%s/model.safetensors", folder)))
        return err_set(ERR_NOMEM, "no memory");
    if ((rc = st_open(&file, path)) == 0 && (rc = prior_meta_read(&found, file)) == 0 &&
        (rc = prior_config_same(&asked->config, &found.config)) == 0 && !force &&
        (rc = prior_digest_same("text", &asked->text, &found.text)) == 0)
        rc = prior_digest_same("image", &asked->image, &found.image);
    if (rc != 0)
        rc = err_at(rc, "%s", path);
    st_close(file);
    free(path);
    return rc;
}

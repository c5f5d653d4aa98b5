/* SPDX-License-Identifier: MIT */
/* dvae_config.c -- the sizes of a dVAE: their ranges, and their way into metadata and back. */
#include "model/dvae_in.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#define FORMAT "armchair-dvae 1"

static const struct {
    const char *name;
    size_t offset;
    int64_t min, max;
} fields[] = {
    {"size", offsetof(struct dvae_config, size), 1, 4096},
    {"channels", offsetof(struct dvae_config, channels), 1, 16},
    {"vocab", offsetof(struct dvae_config, vocab), 2, 65536},
    {"hid", offsetof(struct dvae_config, hid), 4, 4096},
    {"init", offsetof(struct dvae_config, init), 1, 4096},
    {"blocks", offsetof(struct dvae_config, blocks), 1, 64},
    {"downs", offsetof(struct dvae_config, downs), 0, DVAE_DOWNS_MAX}};

#define FIELDS (sizeof fields / sizeof *fields)

static int64_t get(const struct dvae_config *c, size_t i)
{
    return *(const int64_t *)(const void *)((const char *)c + fields[i].offset);
}

int dvae_config_check(const struct dvae_config *c)
{
    for (size_t i = 0; i < FIELDS; i++)
        if (get(c, i) < fields[i].min || get(c, i) > fields[i].max)
            return err_set(ERR_LIMIT, "%s %" PRId64 " is not in %" PRId64 "..%" PRId64, fields[i].name, get(c, i),
                           fields[i].min, fields[i].max);
    if (c->hid % 4 != 0)
        return err_set(ERR_LIMIT, "hid %" PRId64 " is not a multiple of 4", c->hid);
    if (c->size % ((int64_t)1 << c->downs) != 0)
        return err_set(ERR_LIMIT, "size %" PRId64 " cannot be halved %" PRId64 " times", c->size, c->downs);
    return 0;
}

int dvae_config_same(const struct dvae_config *asked, const struct dvae_config *found)
{
    for (size_t i = 0; i < FIELDS; i++)
        if (get(asked, i) != get(found, i))
            return err_set(ERR_MISMATCH, "%s %" PRId64 " was asked for, the checkpoint has %s %" PRId64, fields[i].name,
                           get(asked, i), fields[i].name, get(found, i));
    return 0;
}

void dvae_meta(struct st_meta meta[DVAE_META_FIELDS], char text[DVAE_CONFIG_TEXT], const struct dvae_config *c,
               const char *provenance)
{
    size_t at = 0;

    for (size_t i = 0; i < FIELDS; i++) /* 7 short names and numbers: they fit */
        at += (size_t)snprintf(text + at, DVAE_CONFIG_TEXT - at, "%s\"%s\":%" PRId64, i ? "," : "{", fields[i].name,
                               get(c, i));
    snprintf(text + at, DVAE_CONFIG_TEXT - at, "}");
    meta[0] = (struct st_meta){"format", FORMAT};
    meta[1] = (struct st_meta){"config", text};
    meta[2] = (struct st_meta){"provenance", provenance};
}

int dvae_meta_read(struct dvae_config *c, const struct st_file *file)
{
    const char *format = st_meta_get(file, "format"), *config = st_meta_get(file, "config");
    json_error_t why;
    json_t *object;

    if (!format || strncmp(format, "armchair-", 9) != 0)
        return 0;
    if (strcmp(format, FORMAT) != 0)
        return err_set(ERR_FORMAT, "not a dVAE: its metadata says format \"%.60s\"", format);
    if (!config || !(object = json_loads(config, 0, &why)))
        return err_set(ERR_FORMAT, "config in the metadata: %s", config ? why.text : "missing");
    for (size_t i = 0; i < FIELDS; i++) {
        const json_t *value = json_object_get(object, fields[i].name);

        if (!json_is_integer(value)) {
            json_decref(object);
            return err_set(ERR_FORMAT, "config in the metadata: no whole number \"%s\"", fields[i].name);
        }
        *(int64_t *)(void *)((char *)c + fields[i].offset) = json_integer_value(value);
    }
    json_decref(object);
    return 1;
}

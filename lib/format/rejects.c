/* SPDX-License-Identifier: MIT */
/* rejects.c -- one JSON object a line for each record that was left out; "@FILE" reads it as a pair source. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "format/pairs_in.h"

int rejects_open(struct rejects *r, const char *path)
{
    *r = (struct rejects){.listed = path != NULL};
    return path ? out_open(&r->out, path, false) : 0;
}

/* A text with U+FFFD where it is not UTF-8: JSON holds nothing else. */
static json_t *text_of(const char *text)
{
    json_t *value = json_string(text);
    struct pairs_bytes shown = {0};
    const char *why;

    if (!value && pairs_show_key(&shown, text, strlen(text), &why) == 0)
        value = json_string((const char *)shown.at);
    free(shown.at);
    return value;
}

int rejects_add_pair(struct rejects *r, const char *source, const char *key, const char *reason)
{
    if (!*key) {
        r->sources++;
        snprintf(r->last, sizeof r->last, "%s", reason);
    }
    return rejects_add(r, source, key, reason);
}

int rejects_add(struct rejects *r, const char *source, const char *key, const char *reason)
{
    json_t *object;
    char *line;
    int rc;

    r->count++;
    if (!r->listed)
        return 0;
    object = json_pack("{s:o, s:o, s:o}", "source", text_of(source), "key", text_of(key), "reason", text_of(reason));
    line = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    if (!line)
        return err_set(ERR_NOMEM, "no memory");
    if ((rc = out_write(&r->out, line, strlen(line))) == 0)
        rc = out_write(&r->out, "\n", 1);
    free(line);
    return rc;
}

int rejects_close(struct rejects *r)
{
    int rc = r->listed ? out_commit(&r->out) : 0;

    r->listed = false;
    return rc;
}

/* SPDX-License-Identifier: MIT */
#include "text/captions.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/lines.h"
#include "format/pairs.h"
#include "text/escape.h"
#include "text/normalise.h"

struct captions {
    char *const *path;   /* borrowed */
    int count, next;     /* paths, and the one to open next */
    int form;            /* enum captions_form */
    struct pairs *pairs; /* owned; NULL: not reading one */
    struct lines lines;  /* its file NULL: not reading lines */
    uint64_t number;     /* of all lines */
    char key[24];
};

int captions_open(struct captions **c, char *const *path, int count, int form)
{
    static char dash[] = "-";
    static char *const standard[] = {dash};

    if (!(*c = calloc(1, sizeof **c)))
        return err_set(ERR_NOMEM, "no memory");
    (*c)->path = count ? path : standard;
    (*c)->count = count ? count : 1;
    (*c)->form = form;
    return 0;
}

void captions_close(struct captions *c)
{
    if (!c)
        return;
    pairs_close(c->pairs);
    lines_close(&c->lines);
    free(c);
}

int caption_error(const struct caption *caption, const char *reason)
{
    if (caption->line > 0)
        return err_set(ERR_FORMAT, "%s: line %" PRId64 ": %s", caption->source, caption->line, reason);
    return err_set(ERR_FORMAT, "%s: %s: %s", caption->source, caption->key, reason);
}

static void take_key(struct captions *c, struct caption *caption)
{
    char *text = c->lines.text, *tab;

    caption->text = text;
    caption->size = c->lines.size;
    if (!(c->form & CAPTIONS_KEYED)) {
        caption->key_size = (size_t)snprintf(c->key, sizeof c->key, "%" PRIu64, c->number);
        caption->key = c->key;
        return;
    }
    caption->key = "";
    if (!(tab = caption->size ? memchr(text, '\t', caption->size) : NULL)) {
        caption->problem = "no tab between key and caption";
        return;
    }
    *tab = 0;
    caption->key = text;
    caption->key_size = (size_t)(tab - text);
    caption->text = tab + 1;
    caption->size -= caption->key_size + 1;
}

static int next_line(struct captions *c, struct caption *caption)
{
    int rc = lines_take(&c->lines);

    if (rc <= 0)
        return rc;
    c->number++;
    caption->source = c->lines.in.name;
    caption->line = c->lines.number;
    take_key(c, caption);
    if (c->lines.cut)
        caption->problem = "a line of more than 16777216 bytes";
    if (!caption->problem && (c->form & CAPTIONS_ESCAPED) && escape_read((char *)caption->text, &caption->size) != 0)
        caption->problem = err_text();
    return 1;
}

static int next_pair(struct captions *c, struct caption *caption)
{
    struct pair pair;
    int rc = pairs_next(c->pairs, &pair);

    if (rc > 0)
        *caption = (struct caption){.key = pair.key, .key_size = strlen(pair.key), .text = pair.caption,
                                    .size = pair.caption_size, .source = pair.source, .problem = pair.problem};
    return rc;
}

static int open_next(struct captions *c)
{
    const char *path = c->path[c->next++];

    if ((c->form & CAPTIONS_PAIRS) || pairs_is_source(path))
        return pairs_open(&c->pairs, path, PAIRS_CAPTION | (c->form & CAPTIONS_GO_ON ? PAIRS_GO_ON : 0));
    return lines_open(&c->lines, path, NORMALISE_MAX);
}

int captions_next(struct captions *c, struct caption *caption)
{
    int rc;

    *caption = (struct caption){0};
    for (;;) {
        rc = c->pairs ? next_pair(c, caption) : c->lines.in.file ? next_line(c, caption) : 0;
        if (rc != 0)
            return rc;
        pairs_close(c->pairs);
        c->pairs = NULL;
        lines_close(&c->lines);
        if (c->next == c->count)
            return 0;
        if ((rc = open_next(c)) != 0)
            return rc;
    }
}

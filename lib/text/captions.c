/* SPDX-License-Identifier: MIT */
#include "text/captions.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "format/pairs.h"
#include "text/escape.h"
#include "text/normalise.h"

enum { READ_SIZE = 1 << 18, LINE_MAX_BYTES = NORMALISE_MAX };

struct captions {
    char *const *path;   /* borrowed */
    int count, next;     /* paths, and the one to open next */
    int form;            /* enum captions_form */
    struct pairs *pairs; /* owned; NULL: not reading one */
    struct in in;        /* file NULL: not reading lines */
    int64_t line;        /* of this file */
    uint64_t number;     /* of all lines */
    char *buffer;        /* owned: bytes[start..end) are not given out yet */
    size_t start, end, room;
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
    in_close(&c->in);
    free(c->buffer);
    free(c);
}

int caption_error(const struct caption *caption, const char *reason)
{
    if (caption->line > 0)
        return err_set(ERR_FORMAT, "%s: line %" PRId64 ": %s", caption->source, caption->line, reason);
    return err_set(ERR_FORMAT, "%s: %s: %s", caption->source, caption->key, reason);
}

/* More bytes behind those that are there.  1: some; 0: the end of the file. */
static int fill(struct captions *c)
{
    int64_t got;

    if (c->start > 0) {
        memmove(c->buffer, c->buffer + c->start, c->end - c->start);
        c->end -= c->start;
        c->start = 0;
    }
    if (c->room - c->end < READ_SIZE) {
        size_t room = c->room ? 2 * c->room : 2 * READ_SIZE;
        char *buffer = realloc(c->buffer, room);

        if (!buffer)
            return err_set(ERR_NOMEM, "%s: no memory for a line of %zu bytes", c->in.name, room);
        c->buffer = buffer;
        c->room = room;
    }
    if ((got = in_read(&c->in, c->buffer + c->end, READ_SIZE)) < 0)
        return (int)got;
    c->end += (size_t)got;
    return got > 0;
}

/* 1: c->buffer[start..start + *size) is a line, *used bytes with its end; 0: no more.  *cut: it was too long, and its
 * bytes are gone. */
static int find_line(struct captions *c, size_t *size, size_t *used, bool *cut)
{
    size_t seen = 0;
    int rc;

    *cut = false;
    for (;;) {
        size_t have = c->end - c->start;
        char *newline = have > seen ? memchr(c->buffer + c->start + seen, '\n', have - seen) : NULL;

        if (newline) {
            *size = (size_t)(newline - c->buffer) - c->start;
            *used = *size + 1;
            break;
        }
        seen = have;
        if (have > LINE_MAX_BYTES) {
            *cut = true;
            c->start = c->end = seen = 0;
        }
        if ((rc = fill(c)) < 0)
            return rc;
        if (rc == 0) {
            *size = *used = c->end - c->start;
            if (*size == 0 && !*cut)
                return 0;
            break;
        }
    }
    *cut = *cut || *size > LINE_MAX_BYTES;
    if (*used > *size && *size > 0 && c->buffer[c->start + *size - 1] == '\r')
        (*size)--;
    return 1;
}

static void take_key(struct captions *c, struct caption *caption)
{
    char *text = c->buffer + c->start, *tab;

    caption->text = text;
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
    size_t used;
    bool cut;
    int rc = find_line(c, &caption->size, &used, &cut);

    if (rc <= 0)
        return rc;
    c->number++;
    caption->source = c->in.name;
    caption->line = ++c->line;
    take_key(c, caption);
    if (cut)
        caption->problem = "a line of more than 16777216 bytes";
    c->start += used;
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

    c->line = 0;
    c->start = c->end = 0;
    if ((c->form & CAPTIONS_PAIRS) || pairs_is_source(path))
        return pairs_open(&c->pairs, path, PAIRS_CAPTION | (c->form & CAPTIONS_GO_ON ? PAIRS_GO_ON : 0));
    return in_open(&c->in, path);
}

int captions_next(struct captions *c, struct caption *caption)
{
    int rc;

    *caption = (struct caption){0};
    for (;;) {
        rc = c->pairs ? next_pair(c, caption) : c->in.file ? next_line(c, caption) : 0;
        if (rc != 0)
            return rc;
        pairs_close(c->pairs);
        c->pairs = NULL;
        in_close(&c->in);
        if (c->next == c->count)
            return 0;
        if ((rc = open_next(c)) != 0)
            return rc;
    }
}

/* SPDX-License-Identifier: MIT */
/* shard_cut.c -- the pattern is read by hand: a format from the command line never reaches printf. */
#include "format/shard_cut.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH_MAX 18

/* The conversion that begins behind a percent sign: its length, or 0.  "%" alone gives width -1. */
static size_t read_conversion(const char *p, int *width, bool *zero)
{
    size_t n = 0;

    *width = -1;
    if (p[0] == '%')
        return 1;
    *width = 0;
    *zero = p[0] == '0';
    while (isdigit((unsigned char)p[n]) && *width <= WIDTH_MAX)
        *width = *width * 10 + (p[n++] - '0');
    return p[n] == 'd' && *width <= WIDTH_MAX ? n + 1 : 0;
}

int cutter_check(const char *pattern)
{
    int numbers = 0, width;
    bool zero;

    for (const char *p = pattern; p && (p = strchr(p, '%'));) {
        size_t n = read_conversion(++p, &width, &zero);

        if (n == 0)
            return err_set(ERR_ARG, "%s: a percent sign that is neither %%d, %%06d nor %%%%", pattern);
        numbers += width >= 0;
        p += n;
    }
    if (numbers > 1)
        return err_set(ERR_ARG, "%s: more than one number", pattern);
    return numbers;
}

int cutter_name(char **path, const char *pattern, int64_t number)
{
    char *to = malloc(strlen(pattern) + WIDTH_MAX + 24);
    size_t at = 0;

    if (!(*path = to))
        return err_set(ERR_NOMEM, "no memory for a name");
    for (const char *p = pattern; *p;) {
        int width;
        bool zero;

        if (*p != '%') {
            to[at++] = *p++;
            continue;
        }
        p += 1 + read_conversion(p + 1, &width, &zero);
        if (width < 0)
            to[at++] = '%';
        else
            at += (size_t)sprintf(to + at, zero ? "%0*" PRId64 : "%*" PRId64, width, number);
    }
    to[at] = 0;
    return 0;
}

void cutter_init(struct cutter *c, const char *pattern, uint64_t size, const struct tok_header *header, const char *line)
{
    *c = (struct cutter){.pattern = pattern, .size = size, .header = header, .line = line};
}

static int open_next(struct cutter *c)
{
    char *path = NULL;
    int rc = cutter_check(c->pattern);

    if (rc < 0)
        return rc;
    if (rc == 0 && c->shards)
        return err_set(ERR_ARG, "more than %" PRIu64 " pairs need more than one shard: give -o a pattern such as "
                       "out-%%06d.shard", c->size);
    if (c->pattern && (rc = cutter_name(&path, c->pattern, c->shards)) != 0)
        return rc;
    rc = out_open(&c->out, path, true);
    free(path);
    c->shards++;
    c->used = 0;
    return rc != 0 ? rc : tok_create(&c->w, &c->out, c->header, c->line, true);
}

static int close_shard(struct cutter *c)
{
    struct tok_writer *w = c->w;
    int rc;

    c->w = NULL;
    rc = tok_end(w);
    return rc != 0 ? rc : out_commit(&c->out);
}

int cutter_put(struct cutter *c, const struct tok_record *record)
{
    int rc;

    if (c->w && c->size && c->used == c->size) {
        if ((rc = cutter_check(c->pattern)) <= 0) /* before the only shard is committed */
            return rc < 0 ? rc : open_next(c);
        if ((rc = close_shard(c)) != 0)
            return rc;
    }
    if (!c->w && (rc = open_next(c)) != 0)
        return rc;
    c->used++;
    c->count++;
    return tok_put(c->w, record);
}

int cutter_end(struct cutter *c)
{
    int rc;

    if (!c->w && (rc = open_next(c)) != 0)
        return rc;
    return close_shard(c);
}

void cutter_drop(struct cutter *c)
{
    tok_drop(c->w);
    c->w = NULL;
    out_abort(&c->out);
}

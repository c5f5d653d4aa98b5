/* SPDX-License-Identifier: MIT */
/* pairs_list.c -- "@FILE": lines "path TAB caption", or the JSON lines that --rejects wrote.  Which of the two the first
 * line says: JSON lines begin with {.
 *
 * Of rejects, the neighbouring lines of one source are gathered, the source is read once, and what is named comes out in
 * the source's order; named but not met there is a problem of its own. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/lines.h"
#include "format/pairs_in.h"

#define LINE_MAX_BYTES (PAIRS_CAPTION_MAX + 65536) /* a path, a caption; or a line of rejects */

struct wanted {
    char *key; /* owned */
    bool met;
};

struct pairs_list {
    const char *source;      /* borrowed: "@FILE" */
    int want;
    size_t limit;            /* bytes of a picture */
    bool nested;             /* a list of rejects may not name another */
    struct lines line;       /* owned */
    bool line_held;          /* the one at hand is not taken yet */
    enum { LIST_NEW, LIST_PATHS, LIST_REJECTS } kind;

    /* paths */
    struct pairs_bytes key, shown, caption, picture;
    char ext[16];
    char problem[PAIRS_PROBLEM_MAX];

    /* rejects */
    struct pairs *inner;     /* owned: the source being read again */
    char *inner_name;        /* owned */
    struct wanted *wanted;   /* owned: sorted by key */
    size_t wanted_count, missing_at;
};

/* ---- lines ----------------------------------------------------------------------------------------------------- */

/* 1: a line that is not empty; 0: no more. */
static int next_line(struct pairs_list *l)
{
    int rc = 1;

    while (!l->line_held && (rc = lines_take(&l->line)) > 0)
        l->line_held = l->line.size > 0;
    return rc;
}

int pairs_list_open(struct pairs_list **list, const char *source, int want, bool nested)
{
    struct pairs_list *l = calloc(1, sizeof *l);
    int rc;

    *list = NULL;
    if (!l)
        return err_set(ERR_NOMEM, "%s: no memory", source);
    if ((rc = lines_open(&l->line, source + 1, LINE_MAX_BYTES)) != 0) {
        pairs_list_close(l);
        return rc;
    }
    l->source = source;
    l->want = want;
    l->limit = PAIRS_MEMBER_MAX;
    l->nested = nested;
    *list = l;
    return 0;
}

void pairs_list_limit(struct pairs_list *l, size_t picture_bytes)
{
    l->limit = picture_bytes;
}

static void end_inner(struct pairs_list *l)
{
    pairs_close(l->inner);
    l->inner = NULL;
    for (size_t i = 0; i < l->wanted_count; i++)
        free(l->wanted[i].key);
    free(l->wanted);
    free(l->inner_name);
    l->wanted = NULL;
    l->wanted_count = l->missing_at = 0;
    l->inner_name = NULL;
}

void pairs_list_close(struct pairs_list *l)
{
    if (!l)
        return;
    end_inner(l);
    lines_close(&l->line);
    free(l->key.at);
    free(l->shown.at);
    free(l->caption.at);
    free(l->picture.at);
    free(l);
}

/* ---- lines of path and caption --------------------------------------------------------------------------------- */

static void note_problem(struct pairs_list *l, const char *why)
{
    if (!l->problem[0])
        snprintf(l->problem, sizeof l->problem, "line %lld: %.300s", (long long)l->line.number, why);
}

static int set_key(struct pairs_list *l, const char *path)
{
    const char *start = pairs_skip_dot_slash(path), *dot = pairs_dot(start), *why;
    const char *last = dot ? strrchr(dot, '.') + 1 : "", *known = pairs_picture_ext(last);
    int rc = pairs_show_key(&l->shown, start, dot ? (size_t)(dot - start) : strlen(start), &why);

    if (why)
        note_problem(l, why);
    snprintf(l->ext, sizeof l->ext, "%s", known ? known : last);
    return rc;
}

static int take_picture(struct pairs_list *l, struct pair *pair, const char *path)
{
    char why[PAIRS_PROBLEM_MAX], text[PAIRS_PROBLEM_MAX];
    int rc = pairs_file_read(path, &l->picture, l->limit, why);

    if (rc < 0)
        return rc;
    if (rc > 0) {
        snprintf(text, sizeof text, "%.200s: %.200s", path, why);
        note_problem(l, text);
        return 0;
    }
    pair->picture = l->picture.at;
    pair->picture_size = l->picture.size;
    pair->picture_ext = l->ext;
    pair->place = path;
    pair->offset = -1;
    return 0;
}

static int take_caption(struct pairs_list *l, struct pair *pair, const char *text, size_t size)
{
    const char *why = NULL, *end;
    int rc;

    if (!text)
        why = "no caption behind the path: a tab stands between the two";
    else if (l->line.cut || size > PAIRS_CAPTION_MAX)
        why = "the caption is longer than 1 MiB";
    else if ((rc = pairs_bytes_set(&l->caption, text, size)) != 0)
        return rc;
    else
        why = pairs_check_caption(&l->caption, &end);
    if (why) {
        note_problem(l, why);
        return 0;
    }
    pair->caption = (const char *)l->caption.at;
    pair->caption_size = l->caption.size;
    pair->caption_end = "\n"; /* as our writers write it */
    return 0;
}

static int next_path(struct pairs_list *l, struct pair *pair)
{
    char *tab;
    int rc;

    if ((rc = next_line(l)) <= 0)
        return rc;
    l->line_held = false;
    l->problem[0] = 0;
    if ((tab = memchr(l->line.text, '\t', l->line.size)))
        *tab = 0;
    if (strlen(l->line.text) != (tab ? (size_t)(tab - l->line.text) : l->line.size))
        return err_set(ERR_FORMAT, "%s: line %lld: a NUL in the path", l->source, (long long)l->line.number);
    if ((rc = set_key(l, l->line.text)) != 0)
        return rc;
    if ((l->want & PAIRS_PICTURE) && (rc = take_picture(l, pair, l->line.text)) != 0)
        return rc;
    if ((l->want & PAIRS_CAPTION) &&
        (rc = take_caption(l, pair, tab ? tab + 1 : NULL, tab ? l->line.size - (size_t)(tab + 1 - l->line.text) : 0)) != 0)
        return rc;
    pair->key = (const char *)l->shown.at;
    pair->source = l->source;
    pair->problem = l->problem[0] ? l->problem : NULL;
    return 1;
}

/* ---- lines of rejects ------------------------------------------------------------------------------------------ */

static int compare_wanted(const void *a, const void *b)
{
    return strcmp(((const struct wanted *)a)->key, ((const struct wanted *)b)->key);
}

static int parse_reject(const struct pairs_list *l, char **source, char **key)
{
    json_error_t error;
    json_t *object = json_loadb(l->line.text, l->line.size, JSON_REJECT_DUPLICATES, &error);
    const char *s = json_string_value(json_object_get(object, "source"));
    const char *k = json_string_value(json_object_get(object, "key"));
    int rc = 0;

    *source = *key = NULL;
    if (!object)
        rc = err_set(ERR_FORMAT, "%s: line %lld: %s", l->source, (long long)l->line.number, error.text);
    else if (!s || !k)
        rc = err_set(ERR_FORMAT, "%s: line %lld: no \"source\" and \"key\"", l->source, (long long)l->line.number);
    else if (!(*source = strdup(s)) || !(*key = strdup(k)))
        rc = err_set(ERR_NOMEM, "%s: no memory", l->source);
    json_decref(object);
    return rc;
}

static int add_wanted(struct pairs_list *l, char *key)
{
    size_t n = l->wanted_count;
    struct wanted *more = l->wanted;

    if ((n & (n - 1)) == 0 && !(more = realloc(l->wanted, (n ? 2 * n : 1) * sizeof *more)))
        return err_set(ERR_NOMEM, "%s: no memory", l->source);
    l->wanted = more;
    l->wanted[l->wanted_count++] = (struct wanted){key, !*key}; /* a whole source is never missing */
    return 0;
}

/* Gather the neighbouring lines of one source and open it.  1: open; 0: no more lines. */
static int begin_inner(struct pairs_list *l)
{
    char *source, *key;
    int rc;

    while ((rc = next_line(l)) > 0) {
        if ((rc = parse_reject(l, &source, &key)) != 0)
            goto failed;
        if (l->inner_name && strcmp(source, l->inner_name) != 0) {
            free(source);
            free(key);
            rc = 1; /* the line stays at hand */
            break;
        }
        l->line_held = false;
        if ((rc = add_wanted(l, key)) != 0)
            goto failed;
        if (l->inner_name)
            free(source);
        else
            l->inner_name = source;
    }
    if (rc < 0 || !l->inner_name)
        return rc;
    qsort(l->wanted, l->wanted_count, sizeof *l->wanted, compare_wanted);
    if ((rc = pairs_open_at(&l->inner, l->inner_name, l->want, true)) != 0)
        return err_at(rc, "%s", l->source);
    pairs_limit(l->inner, l->limit);
    return 1;
failed:
    free(source);
    free(key);
    return rc;
}

/* Is key wanted?  The same key may be named twice, and may be met twice.  The empty key, which sorts first, names the whole
 * source; an empty key met is the source's own problem. */
static bool is_wanted(struct pairs_list *l, const char *key)
{
    struct wanted name = {(char *)key, false}, *w;
    size_t i;

    if (!(w = bsearch(&name, l->wanted, l->wanted_count, sizeof *l->wanted, compare_wanted)))
        return !l->wanted[0].key[0] || !*key;
    for (i = (size_t)(w - l->wanted); i > 0 && strcmp(l->wanted[i - 1].key, key) == 0; i--)
        ;
    for (; i < l->wanted_count && strcmp(l->wanted[i].key, key) == 0; i++)
        l->wanted[i].met = true;
    return true;
}

/* Behind the source's end: a wanted key that was not met, as a record with a problem. */
static bool next_missing(struct pairs_list *l, struct pair *pair)
{
    while (l->missing_at < l->wanted_count) {
        struct wanted *w = &l->wanted[l->missing_at++];

        if (w->met)
            continue;
        *pair = (struct pair){.key = w->key, .source = l->inner_name, .problem = "not there any more"};
        return true;
    }
    return false;
}

static int next_reject(struct pairs_list *l, struct pair *pair)
{
    int rc;

    for (;;) {
        if (!l->inner && !l->wanted_count && (rc = begin_inner(l)) <= 0)
            return rc;
        while (l->inner && (rc = pairs_next(l->inner, pair)) != 0) {
            if (rc < 0)
                return err_at(rc, "%s", l->source);
            if (is_wanted(l, pair->key))
                return rc;
        }
        pairs_close(l->inner);
        l->inner = NULL;
        if (next_missing(l, pair))
            return 1;
        end_inner(l);
    }
}

int pairs_list_next(struct pairs_list *l, struct pair *pair)
{
    int rc;

    if (l->kind == LIST_NEW) {
        if ((rc = next_line(l)) <= 0)
            return rc;
        l->kind = l->line.text[0] == '{' ? LIST_REJECTS : LIST_PATHS;
        if (l->kind == LIST_REJECTS && l->nested)
            return err_set(ERR_FORMAT, "%s: a list of rejects inside another", l->source);
    }
    return l->kind == LIST_PATHS ? next_path(l, pair) : next_reject(l, pair);
}

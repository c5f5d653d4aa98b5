/* SPDX-License-Identifier: MIT */
/* patterns.c -- regcomp and regexec in a UTF-8 locale.  Lower-casing both sides stands for REG_ICASE, under which the C
 * library gives up its fast way through UTF-8. */
#include "text/patterns.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/lines.h"
#include "text/normalise.h"

void patterns_fini(struct patterns *p)
{
    for (int i = 0; i < p->count; i++)
        regfree(&p->pattern[i].regex);
    free(p->pattern);
    if (p->utf8)
        freelocale(p->utf8);
    *p = (struct patterns){0};
}

static int grow(struct patterns *p)
{
    int room = p->room ? 2 * p->room : 64;
    struct pattern *more = realloc(p->pattern, (size_t)room * sizeof *more);

    if (!more)
        return err_set(ERR_NOMEM, "no memory for %d patterns", room);
    p->pattern = more;
    p->room = room;
    return 0;
}

/* Behind the bracket expression that begins at text. */
static const char *skip_bracket(const char *text)
{
    text += text[1] == '^' ? 2 : 1;
    if (*text == ']')
        text++;
    while (*text && *text != ']') {
        if (*text == '[' && (text[1] == ':' || text[1] == '.' || text[1] == '=')) {
            const char end[3] = {text[1], ']', 0}, *close = strstr(text + 2, end);

            text = close ? close + 2 : text + strlen(text);
        } else {
            text++;
        }
    }
    return *text ? text + 1 : text;
}

static bool has_back_reference(const char *text)
{
    while (*text) {
        if (*text == '[') {
            text = skip_bracket(text);
        } else if (*text == '\\' && text[1]) {
            if (text[1] >= '1' && text[1] <= '9')
                return true;
            text += 2;
        } else {
            text++;
        }
    }
    return false;
}

/* Give the letters behind backslashes their case back: \W is not \w.  Normalising neither makes nor takes backslashes. */
static void restore_escapes(char *to, const char *from)
{
    while ((to = strchr(to, '\\')) && (from = strchr(from, '\\')) && to[1] && from[1]) {
        if (from[1] >= 'A' && from[1] <= 'Z')
            to[1] = from[1];
        to += 2;
        from += 2;
    }
}

static int compile(struct patterns *p, struct normalised *n, const struct lines *l, const char *file)
{
    struct pattern *new = &p->pattern[p->count];
    char reason[200];
    int rc;

    if ((rc = normalise(n, l->text, l->size, NORMALISE_NFC | NORMALISE_LOWER)) != 0)
        return err_at(rc, "%s: line %" PRId64, file, l->number);
    restore_escapes(n->text, l->text);
    if (has_back_reference(n->text))
        return err_set(ERR_FORMAT, "%s: line %" PRId64 ": a back-reference", file, l->number);
    if ((rc = regcomp(&new->regex, n->text, REG_EXTENDED | REG_NOSUB)) != 0) {
        regerror(rc, &new->regex, reason, sizeof reason);
        return err_set(rc == REG_ESPACE ? ERR_NOMEM : ERR_FORMAT, "%s: line %" PRId64 ": %s", file, l->number, reason);
    }
    new->file = file;
    new->line = l->number;
    p->count++;
    return 0;
}

static int read_lines(struct patterns *p, struct lines *l, const char *file)
{
    struct normalised n = {0};
    int rc;

    while ((rc = lines_next(l)) > 0) {
        if (l->size == 0 || l->text[0] == '#')
            continue;
        if ((p->count == p->room && (rc = grow(p)) != 0) || (rc = compile(p, &n, l, file)) != 0)
            break;
    }
    normalised_fini(&n);
    return rc;
}

static locale_t enter(const struct patterns *p)
{
    return p->utf8 ? uselocale(p->utf8) : (locale_t)0;
}

static void leave(const struct patterns *p, locale_t before)
{
    if (p->utf8)
        uselocale(before);
}

int patterns_read(struct patterns *p, const char *path)
{
    struct lines l;
    locale_t before;
    int rc;

    if (!p->utf8)
        p->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if ((rc = lines_open(&l, path, PATTERN_MAX)) == 0) {
        before = enter(p);
        rc = read_lines(p, &l, path);
        leave(p, before);
    }
    lines_close(&l);
    return rc;
}

int patterns_find(const struct patterns *p, const struct pattern **found, const char *text)
{
    locale_t before = enter(p);
    int rc = REG_NOMATCH;

    *found = NULL;
    for (int i = 0; i < p->count && rc == REG_NOMATCH; i++)
        if ((rc = regexec(&p->pattern[i].regex, text, 0, NULL, 0)) == 0)
            *found = &p->pattern[i];
    leave(p, before);
    if (rc == REG_NOMATCH || rc == 0)
        return rc == 0;
    return err_set(ERR_NOMEM, "no memory to match %s:%" PRId64, p->pattern[0].file, p->pattern[0].line);
}

/* SPDX-License-Identifier: MIT */
/* tool_value.c -- an option's value from text, and as text. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/tool_in.h"

/* A choice "word[:N]" is the word alone or with a whole number behind it. */
static bool is_choice(const char *choice, size_t size, const char *text)
{
    static const char number[] = "[:N]";
    size_t tail = sizeof number - 1;
    bool numbered = size > tail && strncmp(choice + size - tail, number, tail) == 0;

    if (numbered)
        size -= tail;
    if (strncmp(choice, text, size) != 0)
        return false;
    text += size;
    return *text == 0 || (numbered && *text == ':' && text[1] && text[1 + strspn(text + 1, "0123456789")] == 0);
}

static bool in_choices(const char *choices, const char *text)
{
    size_t size;

    for (const char *p = choices; *p; p += size + (p[size] == '|')) {
        size = strcspn(p, "|");
        if (is_choice(p, size, text))
            return true;
    }
    return false;
}

static int64_t unit_of(const char *suffix)
{
    static const struct { const char *word; int64_t unit; } units[] = {
        {"", 1}, {"K", 1000}, {"M", 1000000}, {"G", 1000000000},
        {"Ki", 1 << 10}, {"Mi", 1 << 20}, {"Gi", 1 << 30},
        {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};

    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcmp(units[i].word, suffix) == 0)
            return units[i].unit;
    return 0;
}

static void set_number(const struct tool *tool, const struct tool_option *o, const char *text)
{
    char *end;
    double value;

    errno = 0;
    if (o->type == OPT_INT) {
        long long whole = strtoll(text, &end, 10);
        int64_t unit = unit_of(end);

        if (end == text || errno || !unit || whole > INT64_MAX / unit || whole < INT64_MIN / unit)
            tool_usage(tool, "--%s: '%s' is not a whole number", o->word, text);
        value = (double)(whole * unit);
        if (value >= o->min && value <= o->max)
            *(int64_t *)o->to = whole * unit;
    } else {
        value = strtod(text, &end);
        if (end == text || *end || !isfinite(value))
            tool_usage(tool, "--%s: '%s' is not a number", o->word, text);
        if (value >= o->min && value <= o->max)
            *(double *)o->to = value;
    }
    if (value < o->min || value > o->max)
        tool_usage(tool, "--%s: %s is not in %.16g..%.16g", o->word, text, o->min, o->max);
}

void tool_set_value(const struct tool *tool, const struct tool_option *o, const char *text)
{
    struct tool_list *list = o->to;

    switch (o->type) {
    case OPT_FLAG:
        if (text && strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
            tool_usage(tool, "--%s: '%s' is neither true nor false", o->word, text);
        *(bool *)o->to = !text || strcmp(text, "true") == 0;
        break;
    case OPT_INT:
    case OPT_REAL:
        set_number(tool, o, text);
        break;
    case OPT_CHOICE:
        if (!in_choices(o->choices, text))
            tool_usage(tool, "--%s: '%s' is not one of %s", o->word, text, o->choices);
        /* fall through */
    case OPT_STRING:
        *(const char **)o->to = text;
        break;
    case OPT_LIST:
        list->item = realloc(list->item, sizeof *list->item * (size_t)(list->count + 1));
        if (!list->item)
            tool_usage(tool, "--%s: no memory", o->word);
        list->item[list->count++] = text;
        break;
    }
}

bool tool_show_value(const struct tool_option *o, char *text, size_t size)
{
    const struct tool_list *list = o->to;
    size_t at = 0;

    text[0] = 0;
    switch (o->type) {
    case OPT_FLAG:
        snprintf(text, size, "%s", *(bool *)o->to ? "true" : "false");
        return true;
    case OPT_INT:
        snprintf(text, size, "%" PRId64, *(int64_t *)o->to);
        return true;
    case OPT_REAL:
        snprintf(text, size, "%.9g", *(double *)o->to);
        return true;
    case OPT_CHOICE:
    case OPT_STRING:
        if (*(const char **)o->to)
            snprintf(text, size, "%s", *(const char **)o->to);
        return *(const char **)o->to != NULL;
    case OPT_LIST:
        for (int i = 0; i < list->count && at < size; i++)
            at += (size_t)snprintf(text + at, size - at, "%s%s", i ? " " : "", list->item[i]);
        return list->count > 0;
    }
    return false;
}

/* SPDX-License-Identifier: MIT */
/* tool.c -- the table feeds getopt_long, --help, --config and config.json; nothing is said twice. */
#include "cmd/tool.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/io.h"
#include "format/pairs.h"

enum { CODE_WORD = 256, CODE_HELP = 1024, CODE_VERSION, CODE_CONFIG };

static char provenance[4096];

static int table_size(const struct tool *tool)
{
    int n = 0;

    while (tool->options[n].word)
        n++;
    return n;
}

_Noreturn void tool_usage(const struct tool *tool, const char *format, ...)
{
    va_list ap;

    fprintf(stderr, "%s: ", tool->name);
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fprintf(stderr, " (see %s --help)\n", tool->name);
    exit(2);
}

void tool_say(const struct tool *tool, const char *format, ...)
{
    va_list ap;

    if (tool->verbose < 0)
        return;
    fprintf(stderr, "%s: ", tool->name);
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fputc('\n', stderr);
}

/* ---- values ---------------------------------------------------------------------------------------------------- */

static bool in_choices(const char *choices, const char *text)
{
    size_t size = strlen(text);

    for (const char *p = choices; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
        if (strncmp(p, text, size) == 0 && (p[size] == '|' || p[size] == 0))
            return true;
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

static void set_value(const struct tool *tool, const struct tool_option *o, const char *text)
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

/* The value as text; false for a string that was not set. */
static bool show_value(const struct tool_option *o, char *text, size_t size)
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

/* ---- help ------------------------------------------------------------------------------------------------------ */

static void help_line(char letter, const char *word, const char *arg, const char *help, const char *extra)
{
    char left[64];

    if (letter)
        snprintf(left, sizeof left, "-%c, --%s%s%s", letter, word, arg ? " " : "", arg ? arg : "");
    else
        snprintf(left, sizeof left, "    --%s%s%s", word, arg ? " " : "", arg ? arg : "");
    printf("  %-26s %s%s\n", left, help, extra);
}

static _Noreturn void help(const struct tool *tool)
{
    printf("Usage: %s [OPTION]... %s\n%s.\n\n", tool->name, tool->args, tool->what);
    for (const struct tool_option *o = tool->options; o->word; o++) {
        char value[256], extra[600] = "";
        bool set = o->type != OPT_FLAG && show_value(o, value, sizeof value);

        snprintf(extra, sizeof extra, "%s%s%s%s%s%s", o->choices ? ": " : "", o->choices ? o->choices : "",
                 set ? " [" : "", set ? value : "", set ? "]" : "", "");
        help_line(o->letter, o->word, o->arg, o->help, extra);
    }
    help_line(0, "config", "FILE", "read options from FILE, lines \"word = value\"", "");
    help_line('q', "quiet", NULL, "say less", "");
    help_line('v', "verbose", NULL, "say more", "");
    help_line(0, "help", NULL, "print this and exit", "");
    help_line(0, "version", NULL, "print the version and exit", "");
    exit(fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1);
}

/* ---- parsing --------------------------------------------------------------------------------------------------- */

static const struct tool_option *find_option(const struct tool *tool, const char *word)
{
    for (const struct tool_option *o = tool->options; o->word; o++)
        if (strcmp(o->word, word) == 0)
            return o;
    return NULL;
}

static char *trim(char *s)
{
    char *end = s + strlen(s);

    while (isspace((unsigned char)*s))
        s++;
    while (end > s && isspace((unsigned char)end[-1]))
        *--end = 0;
    return s;
}

/* Lines "word = value".  The text is cut up in place and must stay: string options point into it.  only: the one word to
 * take, or NULL for all but the preset, which is chosen before anything is set. */
static void set_lines(const struct tool *tool, const char *where, char *text, const char *only)
{
    char *line, *rest;
    int number = 0;

    for (line = text; line; line = rest) {
        const struct tool_option *o;
        char *equals;

        if ((rest = strchr(line, '\n')))
            *rest++ = 0;
        number++;
        line = trim(line);
        if (*line == 0 || *line == '#')
            continue;
        if (!(equals = strchr(line, '=')))
            tool_usage(tool, "%s:%d: not \"word = value\"", where, number);
        *equals = 0;
        line = trim(line);
        if (!(o = find_option(tool, line)))
            tool_usage(tool, "%s:%d: no option --%s", where, number, line);
        if (only ? strcmp(line, only) == 0 : strcmp(line, "preset") != 0)
            set_value(tool, o, trim(equals + 1));
    }
}

/* Texts that string options point into: kept to the end. */
static char **texts;
static int text_count;

static void keep_text(const struct tool *tool, char *text)
{
    char **more = text ? realloc(texts, sizeof *texts * (size_t)(text_count + 1)) : NULL;

    if (!more)
        tool_usage(tool, "no memory");
    texts = more;
    texts[text_count++] = text;
}

static void read_config(const struct tool *tool, const char *path, const char *only)
{
    char *text;
    size_t size;

    if (file_read(path, 1 << 20, &text, &size) != 0)
        tool_usage(tool, "--config: %s", err_text());
    keep_text(tool, text);
    set_lines(tool, path, text, only);
}

static void set_preset(const struct tool *tool, const struct tool_preset *presets)
{
    const struct tool_option *o = find_option(tool, "preset");

    for (const struct tool_preset *p = presets; o && p && p->name; p++)
        if (strcmp(p->name, *(const char **)o->to) == 0) {
            char *text = strdup(p->settings);

            keep_text(tool, text);
            set_lines(tool, p->name, text, NULL);
        }
}

/* What a provenance line leaves out: where data goes and how many hands do the work change no byte of it. */
static bool in_provenance(const struct tool_option *o)
{
    static const char *const skip[] = {"output", "val-output", "threads", "rejects", "keep-going", "force", "resume", NULL};

    for (int i = 0; skip[i]; i++)
        if (strcmp(o->word, skip[i]) == 0)
            return false;
    return true;
}

static void write_provenance(const struct tool *tool)
{
    size_t at = (size_t)snprintf(provenance, sizeof provenance, "%s %s", tool->name, TOOL_VERSION);

    for (const struct tool_option *o = tool->options; o->word && at < sizeof provenance; o++) {
        char value[512];

        if (!in_provenance(o) || !show_value(o, value, sizeof value))
            continue;
        if (o->type == OPT_FLAG && !*(bool *)o->to)
            continue;
        at += (size_t)snprintf(provenance + at, sizeof provenance - at, " --%s%s%s", o->word,
                               o->type == OPT_FLAG ? "" : "=", o->type == OPT_FLAG ? "" : value);
    }
    for (char *p = provenance; *p; p++) /* one line, whatever an option held */
        if ((unsigned char)*p < 0x20)
            *p = ' ';
}

/* In this order, so that each wins over the one before: the preset that a --config names, the preset of the command line,
 * the chosen preset's settings, the --config files, the command line. */
enum pass { PASS_CONFIG_PRESET, PASS_PRESET, PASS_CONFIG, PASS_OPTIONS, PASSES };

static void take_option(struct tool *tool, int pass, int code, int n)
{
    const struct tool_option *o = NULL;

    if (code == CODE_CONFIG && (pass == PASS_CONFIG_PRESET || pass == PASS_CONFIG))
        read_config(tool, optarg, pass == PASS_CONFIG ? NULL : "preset");
    if (code == 'q' || code == 'v')
        tool->verbose += pass != PASS_OPTIONS ? 0 : code == 'v' ? 1 : -1;
    for (int i = 0; i < n && !o; i++)
        if (code == CODE_WORD + i || code == tool->options[i].letter)
            o = &tool->options[i];
    if (o && (pass == PASS_OPTIONS || (pass == PASS_PRESET && strcmp(o->word, "preset") == 0)))
        set_value(tool, o, o->type == OPT_FLAG ? NULL : optarg);
}

void tool_start_presets(struct tool *tool, const struct tool_preset *presets, int argc, char **argv)
{
    int n = table_size(tool), code;
    struct option *words = calloc((size_t)n + 6, sizeof *words);
    char letters[256] = ":qv";

    if (!words)
        tool_usage(tool, "no memory");
    for (int i = 0; i < n; i++) {
        const struct tool_option *o = &tool->options[i];
        size_t end = strlen(letters);

        words[i] = (struct option){o->word, o->type == OPT_FLAG ? no_argument : required_argument, NULL, CODE_WORD + i};
        if (o->letter) {
            letters[end++] = o->letter;
            if (o->type != OPT_FLAG)
                letters[end++] = ':';
            letters[end] = 0;
        }
    }
    words[n] = (struct option){"help", no_argument, NULL, CODE_HELP};
    words[n + 1] = (struct option){"version", no_argument, NULL, CODE_VERSION};
    words[n + 2] = (struct option){"config", required_argument, NULL, CODE_CONFIG};
    words[n + 3] = (struct option){"quiet", no_argument, NULL, 'q'};
    words[n + 4] = (struct option){"verbose", no_argument, NULL, 'v'};

    for (int pass = 0; pass < PASSES; pass++) {
        if (pass == PASS_CONFIG)
            set_preset(tool, presets);
        optind = 0; /* glibc: start again */
        while ((code = getopt_long(argc, argv, letters, words, NULL)) != -1) {
            if (code == ':')
                tool_usage(tool, "%s needs an argument", argv[optind - 1]);
            if (code == '?')
                tool_usage(tool, "no option %s", argv[optind - 1]);
            if (code == CODE_HELP) {
                set_preset(tool, presets);
                help(tool);
            }
            if (code == CODE_VERSION) {
                printf("%s (Armchair) %s\n", tool->name, TOOL_VERSION);
                exit(fflush(stdout) == 0 ? 0 : 1);
            }
            take_option(tool, pass, code, n);
        }
    }
    free(words);
    tool->arg = argv + optind;
    tool->arg_count = argc - optind;
    if (tool->arg_count < tool->min_args)
        tool_usage(tool, "too few arguments; usage: %s [OPTION]... %s", tool->name, tool->args);
    if (tool->max_args >= 0 && tool->arg_count > tool->max_args)
        tool_usage(tool, "too many arguments: %s", tool->arg[tool->max_args]);
    write_provenance(tool);
}

void tool_start(struct tool *tool, int argc, char **argv)
{
    tool_start_presets(tool, NULL, argc, argv);
}

const char *tool_provenance(const struct tool *tool)
{
    (void)tool;
    return provenance;
}

char *tool_config_json(const struct tool *tool)
{
    json_t *object = json_object();
    char *text;

    json_object_set_new(object, "program", json_string(tool->name));
    json_object_set_new(object, "version", json_string(TOOL_VERSION));
    for (const struct tool_option *o = tool->options; o->word; o++) {
        char value[4096];

        if (o->type == OPT_FLAG)
            json_object_set_new(object, o->word, json_boolean(*(bool *)o->to));
        else if (o->type == OPT_INT)
            json_object_set_new(object, o->word, json_integer(*(int64_t *)o->to));
        else if (o->type == OPT_REAL)
            json_object_set_new(object, o->word, json_real(*(double *)o->to));
        else
            json_object_set_new(object, o->word,
                                show_value(o, value, sizeof value) ? json_string(value) : json_null());
    }
    text = json_dumps(object, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    json_decref(object);
    return text;
}

void tool_plan(const char *name, int64_t number, const char *unit)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double size = (double)number;
    int i = 0;

    printf("%s\t%" PRId64 "\t%s", name, number, unit);
    for (; size >= 1024 && i < 5; i++)
        size /= 1024;
    if (strcmp(unit, "bytes") == 0)
        printf("\t%.*f %s", i ? 1 : 0, size, units[i]);
    putchar('\n');
}

void tool_cut_sources(const struct tool *tool, const struct rejects *r)
{
    if (r->sources == 1)
        fprintf(stderr, "%s: %s; what stood before is used\n", tool->name, r->last);
    else if (r->sources > 1)
        fprintf(stderr, "%s: %" PRId64 " sources were not read to their end, the last: %s\n", tool->name, r->sources, r->last);
}

int tool_finish(struct tool *tool, int rc)
{
    int status = rc >= 0 ? 0 : rc == ERR_STOPPED ? 75 : rc == ERR_ARG ? 2 : 1;

    if (rc < 0)
        fprintf(stderr, "%s: %s\n", tool->name, err_text());
    if (fflush(stdout) != 0 || ferror(stdout)) {
        if (rc >= 0)
            fprintf(stderr, "%s: stdout: %s\n", tool->name, strerror(errno));
        status = status ? status : 1;
    }
    if (tool->skipped > 0)
        fprintf(stderr, "%s: %" PRId64 " records left out\n", tool->name, tool->skipped);
    for (const struct tool_option *o = tool->options; o->word; o++)
        if (o->type == OPT_LIST) {
            free(((struct tool_list *)o->to)->item);
            *(struct tool_list *)o->to = (struct tool_list){0};
        }
    return status;
}

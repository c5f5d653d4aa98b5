/* SPDX-License-Identifier: MIT */
/* tool_parse.c -- the table feeds getopt_long, --help, --config and presets; nothing is said twice. */
#include <ctype.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/lines.h"
#include "base/par.h"
#include "cmd/tool_in.h"

#define NAME_MAX_BYTES 65536 /* of a line in a list of files */

enum { CODE_WORD = 256, CODE_HELP = 1024, CODE_VERSION, CODE_CONFIG };

static int table_size(const struct tool *tool)
{
    int n = 0;

    while (tool->options[n].word)
        n++;
    return n;
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
        bool set = o->type != OPT_FLAG && tool_show_value(o, value, sizeof value);

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
            tool_set_value(tool, o, trim(equals + 1));
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
        tool_set_value(tool, o, o->type == OPT_FLAG ? NULL : optarg);
}

static void add_argument(struct tool *tool, int *room, char *arg)
{
    char **more = tool->arg;

    if (arg && tool->arg_count == *room) {
        *room = *room ? 2 * *room : 64;
        more = realloc(tool->arg, sizeof *more * (size_t)*room);
    }
    if (!arg || !more)
        tool_usage(tool, "no memory");
    tool->arg = more;
    tool->arg[tool->arg_count++] = arg;
}

/* Lines of each @FILE in its place.  Names and array stay to the end of the process, as argv does. */
static void expand_lists(struct tool *tool, int count, char **arg)
{
    int room = 0, rc;

    tool->arg = NULL;
    tool->arg_count = 0;
    for (int i = 0; i < count; i++) {
        struct lines lines;

        if (arg[i][0] != '@') {
            add_argument(tool, &room, arg[i]);
            continue;
        }
        if ((rc = lines_open(&lines, arg[i] + 1, NAME_MAX_BYTES)) == 0)
            while ((rc = lines_next(&lines)) > 0)
                if (lines.size > 0)
                    add_argument(tool, &room, strdup(lines.text));
        if (rc < 0)
            tool_usage(tool, "%s", err_text());
        lines_close(&lines);
    }
    if (count > 0 && tool->arg_count == 0) /* no argument means another thing */
        tool_usage(tool, "%s: names no files", arg[0] + 1);
}

void tool_start_presets(struct tool *tool, const struct tool_preset *presets, int argc, char **argv)
{
    int n = table_size(tool), code;
    struct option *words = calloc((size_t)n + 6, sizeof *words);
    char letters[256] = ":qv";

    if (find_option(tool, "threads"))
        par_bound_spinning(argv);
    tool_start_clock();
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
    if (tool->lists)
        expand_lists(tool, argc - optind, argv + optind);
    if (tool->arg_count < tool->min_args)
        tool_usage(tool, "too few arguments; usage: %s [OPTION]... %s", tool->name, tool->args);
    if (tool->max_args >= 0 && tool->arg_count > tool->max_args)
        tool_usage(tool, "too many arguments: %s", tool->arg[tool->max_args]);
    tool_write_provenance(tool);
}

void tool_start(struct tool *tool, int argc, char **argv)
{
    tool_start_presets(tool, NULL, argc, argv);
}

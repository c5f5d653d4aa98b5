/* SPDX-License-Identifier: MIT */
/* tool.c -- what programs say, and how they end. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "base/io.h"
#include "cmd/tool_in.h"

static char provenance[4096];
static struct timespec started;

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

/* What a provenance line leaves out: where data comes from and goes to and how many hands do the work change no byte of it. */
static bool in_provenance(const struct tool_option *o)
{
    static const char *const skip[] = {"text", "image", "output", "val-output", "threads", "memory", "temp", "rejects",
                                       "summary", "keep-going", "force", "resume", NULL};

    for (int i = 0; skip[i]; i++)
        if (strcmp(o->word, skip[i]) == 0)
            return false;
    return true;
}

void tool_write_provenance(const struct tool *tool)
{
    size_t at = (size_t)snprintf(provenance, sizeof provenance, "%s %s", tool->name, TOOL_VERSION);

    for (const struct tool_option *o = tool->options; o->word && at < sizeof provenance; o++) {
        char value[512];

        if (!in_provenance(o) || !tool_show_value(o, value, sizeof value))
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
                                tool_show_value(o, value, sizeof value) ? json_string(value) : json_null());
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

void tool_start_clock(void)
{
    clock_gettime(CLOCK_MONOTONIC, &started);
}

int tool_summary(const struct tool *tool, const char *path, const struct tool_count *counts)
{
    struct timespec now;
    json_t *object;
    char *text, *line;
    int rc;

    if (!path)
        return 0;
    clock_gettime(CLOCK_MONOTONIC, &now);
    object = json_pack("{s:s, s:s, s:f}", "program", tool->name, "version", TOOL_VERSION, "seconds",
                       (double)(now.tv_sec - started.tv_sec) + 1e-9 * (double)(now.tv_nsec - started.tv_nsec));
    for (; counts->word; counts++)
        json_object_set_new(object, counts->word, json_integer(counts->number));
    text = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(object);
    line = text ? text_printf("%s\n", text) : NULL;
    rc = line ? file_write(path, line, strlen(line)) : err_set(ERR_NOMEM, "%s: no memory", path);
    free(text);
    free(line);
    return rc;
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

/* SPDX-License-Identifier: MIT */
#include "format/run_log.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LOG_NAME "log.jsonl"

int run_log_open(struct run_log *l, const char *path)
{
    struct stat st;

    *l = (struct run_log){0};
    if (path && strcmp(path, "-") != 0) {
        bool folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);

        if (!(l->path = folder ? text_printf("%s/" LOG_NAME, path) : strdup(path)))
            return err_set(ERR_NOMEM, "%s: no memory", path);
    }
    return lines_open(&l->lines, l->path, RUN_LOG_LINE);
}

void run_log_close(struct run_log *l)
{
    lines_close(&l->lines);
    json_decref(l->object);
    free(l->value);
    free(l->path);
    *l = (struct run_log){0};
}

/* Text from a file as part of a message: control characters are not for terminals. */
static void clean(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

static bool has_newline(const struct lines *l)
{
    return l->text + l->size < l->buffer + l->start;
}

/* 1: object and step are those of the line; 0: it is the start of one. */
static int parse(struct run_log *l)
{
    json_error_t why;
    json_t *object = json_loadb(l->lines.text, l->lines.size, JSON_DECODE_INT_AS_REAL, &why), *step;

    if (!object && !has_newline(&l->lines))
        return 0;
    if (!object)
        return run_log_error(l, ERR_FORMAT, "not JSON: %s", why.text);
    json_decref(l->object);
    l->object = object;
    if (!json_is_object(object))
        return run_log_error(l, ERR_FORMAT, "not a JSON object");
    if (!(step = json_object_get(object, "step")))
        return run_log_error(l, ERR_FORMAT, "has no step");
    if (!json_is_real(step) || json_real_value(step) < 0 || json_real_value(step) > RUN_LOG_STEP)
        return run_log_error(l, ERR_FORMAT, "step is not a number from 0 to 2^53");
    if (l->count > 0 && json_real_value(step) < l->step)
        return run_log_error(l, ERR_FORMAT, "step %.15g comes behind step %.15g", json_real_value(step), l->step);
    l->step = json_real_value(step);
    l->count++;
    return 1;
}

int run_log_next(struct run_log *l)
{
    int rc;

    while ((rc = lines_next(&l->lines)) > 0) {
        if (strspn(l->lines.text, " \t\r\n") == l->lines.size)
            continue;
        if ((rc = parse(l)) < 0)
            return rc;
        l->cut = rc == 0;
        return rc;
    }
    return rc;
}

int run_log_error(const struct run_log *l, int code, const char *format, ...)
{
    char reason[512];
    va_list ap;

    va_start(ap, format);
    vsnprintf(reason, sizeof reason, format, ap);
    va_end(ap);
    clean(reason);
    return err_set(code, "%s: line %" PRId64 ": %s", l->lines.in.name, l->lines.number, reason);
}

/* ---- fields ------------------------------------------------------------------------------------------------------ */

static bool is_value(const json_t *value)
{
    return json_is_real(value) || json_is_null(value);
}

int run_log_value(struct run_log *l, const char *field)
{
    const json_t *value = json_object_get(l->object, field);
    bool array = json_is_array(value);
    size_t count = array ? json_array_size(value) : 1;

    l->values = 0;
    if (!value)
        return RUN_MISSING;
    if (count > l->room) {
        double *more = realloc(l->value, count * sizeof *more);

        if (!more)
            return run_log_error(l, ERR_NOMEM, "no memory for %zu numbers", count);
        l->value = more;
        l->room = count;
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *number = array ? json_array_get(value, i) : value;

        if (!is_value(number))
            return array ? run_log_error(l, ERR_FORMAT, "%s[%zu] is neither a number nor null", field, i)
                         : run_log_error(l, ERR_FORMAT, "%s is neither a number, nor an array of them, nor null", field);
        l->value[i] = json_is_real(number) ? json_real_value(number) : NAN;
    }
    l->values = count;
    return array ? RUN_ARRAY : json_is_null(value) ? RUN_NULL : RUN_NUMBER;
}

void run_log_fields(const struct run_log *l, char *out, size_t room)
{
    const char *key;
    json_t *value;
    size_t used = 0;

    *out = 0;
    json_object_foreach(l->object, key, value) {
        char extent[32] = "";

        if (json_is_array(value))
            snprintf(extent, sizeof extent, "[%zu]", json_array_size(value));
        else if (!is_value(value))
            continue;
        if (used + strlen(key) + sizeof extent < room)
            used += (size_t)snprintf(out + used, room - used, "%s%s%s", used ? ", " : "", key, extent);
    }
    clean(out);
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

static bool cut_end(char *name, const char *end)
{
    size_t size = strlen(name), cut = strlen(end);

    if (size <= cut || strcmp(name + size - cut, end) != 0)
        return false;
    name[size - cut] = 0;
    return true;
}

static char *short_name(const char *path)
{
    char *name = strdup(strcmp(path, "-") == 0 ? "stdin" : path), *base;

    if (!name)
        return NULL;
    if (!cut_end(name, "/" LOG_NAME))
        cut_end(name, ".jsonl");
    while (cut_end(name, "/"))
        continue;
    if ((base = strrchr(name, '/')) && base[1])
        memmove(name, base + 1, strlen(base + 1) + 1);
    return name;
}

int run_log_names(char **name, char *const *path, int count)
{
    bool *twice = calloc((size_t)count, sizeof *twice);
    int rc = twice ? 0 : ERR_NOMEM;

    for (int i = 0; i < count; i++)
        if (!(name[i] = short_name(path[i])))
            rc = ERR_NOMEM;
    for (int i = 0; rc == 0 && i < count; i++)
        for (int k = 0; k < count; k++)
            twice[i] |= k != i && strcmp(name[i], name[k]) == 0;
    for (int i = 0; rc == 0 && i < count; i++)
        if (twice[i]) {
            free(name[i]);
            if (!(name[i] = strdup(path[i])))
                rc = ERR_NOMEM;
        }
    for (int i = 0; rc != 0 && i < count; i++) {
        free(name[i]);
        name[i] = NULL;
    }
    free(twice);
    return rc ? err_set(rc, "no memory for names") : 0;
}

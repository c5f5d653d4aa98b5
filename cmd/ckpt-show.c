/* SPDX-License-Identifier: MIT */
/* ckpt-show -- print what a checkpoint says of itself, its tensors, and whether it is whole and finite.
 *
 * A path is described as one JSON object; the text on stdout is printed from that object, so both say the same.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cmd/tool.h"
#include "format/ckpt.h"

static bool as_json, raw;
static const char *pattern;

static const struct tool_option options[] = {
    {0, "tensors", OPT_STRING, "PATTERN", "list only tensors of this name (* ? [...]), with min, mean, max, rms", &pattern,
     0, 0, 0},
    {0, "raw", OPT_FLAG, 0, "show model.safetensors where there is an average, too", &raw, 0, 0, 0},
    {0, "json", OPT_FLAG, 0, "one JSON object a path, on a line", &as_json, 0, 0, 0},
    TOOL_END};

static struct tool tool = {.name = "ckpt-show", .args = "PATH...",
                           .what = "Print and check checkpoints: run folders, checkpoint folders, safetensors",
                           .options = options, .min_args = 1, .max_args = -1};

/* ---- printing -------------------------------------------------------------------------------------------------- */

/* A text from a file: control characters are not for terminals; further lines are indented like the first. */
static void put_text(const char *text, int indent)
{
    for (; *text; text++) {
        if (*text == '\n' && text[1])
            printf("\n%*s", indent, "");
        else if (*text != '\n')
            putchar((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text);
    }
}

static void put_field(const char *prefix, const char *key, const json_t *value)
{
    char name[200], *text = NULL;

    snprintf(name, sizeof name, "%s%s", prefix, key);
    printf("  ");
    put_text(name, 2);
    printf("%*s", (int)(strlen(name) < 20 ? 20 - strlen(name) : 1), "");
    if (!json_is_string(value))
        text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
    put_text(text ? text : json_string_value(value), 22);
    putchar('\n');
    free(text);
}

static void put_meta(const json_t *meta)
{
    const char *key, *inner;
    json_t *value, *field;

    json_object_foreach((json_t *)meta, key, value) {
        if (json_is_object(value)) {
            char prefix[100];

            snprintf(prefix, sizeof prefix, "%.90s.", key);
            json_object_foreach(value, inner, field)
                put_field(prefix, inner, field);
        } else {
            put_field("", key, value);
        }
    }
}

static void put_number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    if (json_is_real(value))
        printf("%12.5g ", json_real_value(value));
    else
        printf("%12s ", "-");
}

static void put_tensors(const json_t *tensors)
{
    static const char *const statistics[] = {"min", "mean", "max", "rms"};
    const json_t *t;
    size_t i;

    if (pattern)
        printf("\n  %-46s %-5s %12s %12s %12s %12s shape\n", "tensor", "type", "min", "mean", "max", "rms");
    else
        printf("\n  %-46s %-5s shape\n", "tensor", "type");
    json_array_foreach(tensors, i, t) {
        const char *name = json_string_value(json_object_get(t, "name"));
        char *shape = json_dumps(json_object_get(t, "shape"), 0);
        int64_t bad = json_integer_value(json_object_get(t, "non_finite"));

        printf("  ");
        put_text(name, 2);
        printf("%*s %-5s ", (int)(strlen(name) < 46 ? 46 - strlen(name) : 0), "",
               json_string_value(json_object_get(t, "type")));
        for (int k = 0; pattern && k < 4; k++)
            put_number(t, statistics[k]);
        printf("%s", shape ? shape : "?");
        if (bad)
            printf("  %" PRId64 " not finite", bad);
        putchar('\n');
        free(shape);
    }
}

static int64_t whole_at(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static void put_parts(const json_t *object)
{
    const char *name;
    json_t *part;

    printf("\n  %-30s %8s %16s %16s\n", "part", "tensors", "values", "bytes");
    json_object_foreach(json_object_get(object, "parts"), name, part) {
        printf("  ");
        put_text(name, 2);
        printf("%*s %8" PRId64 " %16" PRId64 " %16" PRId64 "\n", (int)(strlen(name) < 30 ? 30 - strlen(name) : 0), "",
               whole_at(part, "tensors"), whole_at(part, "values"), whole_at(part, "bytes"));
    }
    printf("  %-30s %8s %16" PRId64 " %16" PRId64 "\n", "total", "", whole_at(object, "values"), whole_at(object, "bytes"));
}

static void print_text(const json_t *object)
{
    const json_t *other, *digest = json_object_get(object, "digest");
    size_t i;

    put_text(json_string_value(json_object_get(object, "file")), 0);
    printf("\n");
    if (json_object_get(object, "tensors")) {
        put_meta(json_object_get(object, "metadata"));
        put_tensors(json_object_get(object, "tensors"));
        put_parts(object);
        printf("\n  sha256 of all tensors: %s\n", digest ? json_string_value(digest) : "-");
    }
    printf("  %s\n", json_is_true(json_object_get(object, "good")) ? "whole, all values finite" : "NOT GOOD");
    json_array_foreach(json_object_get(object, "others"), i, other) {
        put_text(json_string_value(json_object_get(other, "file")), 0);
        printf("\n  %" PRId64 " values; %s\n", whole_at(other, "values"),
               json_is_true(json_object_get(other, "good")) ? "whole, all values finite" : "NOT GOOD");
    }
}

int main(int argc, char **argv)
{
    char reason[512] = "";
    int rc = 0;

    tool_start(&tool, argc, argv);
    for (int i = 0; i < tool.arg_count; i++) {
        json_t *object = json_object();
        int one = ckpt_describe(object, tool.arg[i], pattern, raw);

        if (as_json)
            json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
        else
            print_text(object);
        if (as_json || i + 1 < tool.arg_count)
            putchar('\n');
        json_decref(object);
        if (rc == 0 && one < 0) { /* the other paths are still looked at */
            rc = one;
            snprintf(reason, sizeof reason, "%s", err_text());
        } else if (one < 0) {
            fprintf(stderr, "%s: %s\n", tool.name, err_text());
        }
    }
    return tool_finish(&tool, rc < 0 ? err_set(rc, "%s", reason) : 0);
}

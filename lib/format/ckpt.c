/* SPDX-License-Identifier: MIT */
/* ckpt.c -- every value is read once for its statistics and once for the digest; nothing is kept. */
#include "format/ckpt.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "format/run.h"
#include "format/st.h"

/* ---- a tensor -------------------------------------------------------------------------------------------------- */

static json_t *real_of(double x, bool any)
{
    return any && isfinite(x) ? json_real(x) : json_null();
}

static json_t *tensor_of(const struct st_tensor *t, const struct st_stats *s, bool stats)
{
    json_t *shape = json_array(), *tensor;

    for (int i = 0; i < t->rank; i++)
        json_array_append_new(shape, json_integer(t->shape[i]));
    tensor = json_pack("{s:s, s:s, s:o}", "name", t->name, "type", st_type_name(t->type), "shape", shape);
    if (stats) {
        bool any = s->count > s->non_finite;

        json_object_set_new(tensor, "min", real_of(s->min, any));
        json_object_set_new(tensor, "mean", real_of(s->mean, any));
        json_object_set_new(tensor, "max", real_of(s->max, any));
        json_object_set_new(tensor, "rms", real_of(s->rms, any));
    }
    if (s->non_finite)
        json_object_set_new(tensor, "non_finite", json_integer(s->non_finite));
    return tensor;
}

static void add_to(json_t *object, const char *key, int64_t n)
{
    json_object_set_new(object, key, json_integer(json_integer_value(json_object_get(object, key)) + n));
}

static void add_part(json_t *parts, const struct st_tensor *t)
{
    char *name = text_printf("%.*s", (int)strcspn(t->name, "."), t->name);
    json_t *part = name ? json_object_get(parts, name) : NULL;

    if (name && !part) {
        part = json_object();
        json_object_set_new(parts, name, part);
    }
    if (part) {
        add_to(part, "tensors", 1);
        add_to(part, "values", st_elements(t));
        add_to(part, "bytes", (int64_t)t->size);
    }
    free(name);
}

/* ---- a file ---------------------------------------------------------------------------------------------------- */

static json_t *meta_of(const struct st_file *f)
{
    json_t *meta = json_object();

    for (int i = 0; i < st_meta_count(f); i++) {
        struct st_meta m = st_meta_at(f, i);
        json_t *value = m.value[0] == '{' ? json_loads(m.value, 0, NULL) : NULL;

        json_object_set_new(meta, m.key, value ? value : json_string(m.value));
    }
    return meta;
}

/* All tensors into tensors (those of the pattern) and parts (all); the first that is not finite is the error. */
static int describe_tensors(json_t *object, json_t *tensors, json_t *parts, const struct st_file *f, const char *path,
                            const char *pattern)
{
    int rc = 0;

    for (int i = 0; i < st_tensor_count(f); i++) {
        const struct st_tensor *t = st_tensor_at(f, i);
        struct st_stats s;

        st_stats(&s, t);
        if (s.non_finite && rc == 0)
            rc = err_set(ERR_FORMAT, "%s: tensor %s: %" PRId64 " of %" PRId64 " values are not finite", path, t->name,
                         s.non_finite, s.count);
        add_to(object, "values", s.count);
        add_to(object, "bytes", (int64_t)t->size);
        add_part(parts, t);
        if (!pattern || fnmatch(pattern, t->name, 0) == 0)
            json_array_append_new(tensors, tensor_of(t, &s, pattern != NULL));
    }
    return rc;
}

/* The object stays as small as a verdict unless full. */
static int describe_file(json_t *object, const char *path, const char *pattern, bool full)
{
    json_t *tensors = json_array(), *parts = json_object();
    char text[DIGEST_TEXT];
    struct digest digest;
    struct st_file *f;
    int rc = st_open(&f, path);

    json_object_set_new(object, "file", json_string(path));
    json_object_set_new(object, "values", json_integer(0));
    json_object_set_new(object, "bytes", json_integer(0));
    if (rc != 0)
        goto out;
    rc = describe_tensors(object, tensors, parts, f, path, pattern);
    if (!full)
        goto out;
    json_object_set_new(object, "metadata", meta_of(f));
    json_object_set(object, "tensors", tensors);
    json_object_set(object, "parts", parts);
    if (rc == 0 && (rc = st_digest(&digest, st_tensor_count(f) ? st_tensor_at(f, 0) : NULL, st_tensor_count(f))) == 0) {
        digest_show(&digest, text);
        json_object_set_new(object, "digest", json_string(text));
    }
    if (rc == 0 && pattern && json_array_size(tensors) == 0)
        rc = err_set(ERR_EMPTY, "%s: no tensor is called %s", path, pattern);
out:
    json_object_set_new(object, "good", json_boolean(rc == 0 || rc == ERR_EMPTY));
    json_decref(tensors);
    json_decref(parts);
    st_close(f);
    return rc;
}

/* ---- a folder -------------------------------------------------------------------------------------------------- */

static bool is_there(char path[RUN_PATH_MAX], const char *folder, const char *name)
{
    return snprintf(path, RUN_PATH_MAX, "%s/%s", folder, name) < RUN_PATH_MAX && access(path, F_OK) == 0;
}

/* The checkpoint folder that path means. */
static int find_folder(char folder[RUN_PATH_MAX], const char *path)
{
    char file[RUN_PATH_MAX];
    int64_t step;
    int rc;

    if (strlen(path) >= RUN_PATH_MAX)
        return err_set(ERR_LIMIT, "%s: name too long", path);
    strcpy(folder, path);
    if (is_there(file, path, "model.safetensors") || is_there(file, path, "state.safetensors"))
        return 0;
    if ((rc = run_latest(folder, &step, path)) != 0)
        return rc < 0 ? rc : 0;
    if ((rc = run_newest(folder, &step, path)) == 0)
        return err_set(ERR_EMPTY, "%s: no whole checkpoint in this folder", path);
    return rc < 0 ? rc : 0;
}

/* Keep the first error while others are looked at. */
static void note(int *rc, char reason[512], int one)
{
    if (one >= 0 || *rc < 0)
        return;
    *rc = one;
    snprintf(reason, 512, "%s", err_text());
}

int ckpt_describe(json_t *object, const char *path, const char *pattern, bool raw)
{
    static const char *const names[] = {"ema.safetensors", "model.safetensors", "state.safetensors"};
    char folder[RUN_PATH_MAX], file[RUN_PATH_MAX], reason[512] = "";
    json_t *others;
    struct stat st;
    int shown, rc = 0;

    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        return describe_file(object, path, pattern, true);
    json_object_set_new(object, "file", json_string(path));
    json_object_set_new(object, "good", json_false());
    if ((rc = find_folder(folder, path)) != 0)
        return rc;
    shown = !raw && is_there(file, folder, names[0]) ? 0 : 1;
    if (!is_there(file, folder, names[1]))
        note(&rc, reason, err_set(ERR_FORMAT, "%s: no model.safetensors in it", folder));
    else if (is_there(file, folder, names[shown]))
        note(&rc, reason, describe_file(object, file, pattern, true));
    others = json_array();
    for (int i = 0; i < 3; i++) {
        json_t *other;

        if (i == shown || !is_there(file, folder, names[i]))
            continue;
        other = json_object();
        note(&rc, reason, describe_file(other, file, NULL, false));
        json_array_append_new(others, other);
    }
    json_object_set_new(object, "others", others);
    return rc < 0 ? err_set(rc, "%s", reason) : 0;
}

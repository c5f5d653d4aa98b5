/* SPDX-License-Identifier: MIT */
/* st.c -- reading: the header is bounded, parsed and checked as a whole before any tensor is given out, so that a pointer
 * from st_tensor_at may be read over its full size.  Names and metadata live in the parsed JSON. */
#include "format/st.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "base/bytes.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are mapped as they lie: little-endian hosts only");

struct st_file {
    void *map;                /* owned: the whole file */
    size_t map_size;
    json_t *header;           /* owned: names and metadata point into it */
    struct st_tensor *tensor; /* owned: in order of offset */
    const struct st_tensor **by_name; /* owned: the same in order of name */
    int count;
    struct st_meta *meta;     /* owned: in order of key */
    int meta_count;
};

/* ---- one tensor's entry ---------------------------------------------------------------------------------------- */

static int parse_type(struct st_tensor *t, const json_t *entry)
{
    const char *name = json_string_value(json_object_get(entry, "dtype"));

    if (!name)
        return err_set(ERR_FORMAT, "tensor %s: no dtype", t->name);
    for (int i = 0; i < ST_TYPES; i++)
        if (strcmp(st_type_name((enum st_type)i), name) == 0) {
            t->type = (enum st_type)i;
            return 0;
        }
    return err_set(ERR_UNSUPPORTED, "tensor %s: element type %.40s", t->name, name);
}

static int parse_shape(struct st_tensor *t, const json_t *entry)
{
    const json_t *shape = json_object_get(entry, "shape");
    int64_t bytes = st_type_size(t->type);

    if (!json_is_array(shape))
        return err_set(ERR_FORMAT, "tensor %s: no shape", t->name);
    if (json_array_size(shape) > ST_RANK_MAX)
        return err_set(ERR_UNSUPPORTED, "tensor %s: %zu dimensions, at most %d", t->name, json_array_size(shape),
                       ST_RANK_MAX);
    t->rank = (int)json_array_size(shape);
    for (int i = 0; i < t->rank; i++) {
        const json_t *d = json_array_get(shape, (size_t)i);

        if (!json_is_integer(d) || json_integer_value(d) < 0)
            return err_set(ERR_FORMAT, "tensor %s: a dimension is not a count", t->name);
        t->shape[i] = json_integer_value(d);
        if (__builtin_mul_overflow(bytes, t->shape[i], &bytes))
            return err_set(ERR_FORMAT, "tensor %s: shape overflows", t->name);
    }
    t->size = (uint64_t)bytes;
    return 0;
}

/* data becomes the address in the map; whether it lies inside the file is known when all are sorted. */
static int parse_entry(struct st_tensor *t, const struct st_file *f, size_t data_start, const json_t *entry)
{
    const json_t *offsets = json_object_get(entry, "data_offsets");
    int64_t begin, end;
    int rc;

    if (!json_is_object(entry))
        return err_set(ERR_FORMAT, "tensor %s: not an object", t->name);
    if ((rc = parse_type(t, entry)) != 0 || (rc = parse_shape(t, entry)) != 0)
        return rc;
    if (!json_is_array(offsets) || json_array_size(offsets) != 2 || !json_is_integer(json_array_get(offsets, 0)) ||
        !json_is_integer(json_array_get(offsets, 1)))
        return err_set(ERR_FORMAT, "tensor %s: no data_offsets", t->name);
    begin = json_integer_value(json_array_get(offsets, 0));
    end = json_integer_value(json_array_get(offsets, 1));
    if (begin < 0 || end < begin)
        return err_set(ERR_FORMAT, "tensor %s: offsets run backwards", t->name);
    if ((uint64_t)(end - begin) != t->size)
        return err_set(ERR_FORMAT, "tensor %s: shape asks for %" PRIu64 " bytes, offsets for %" PRId64, t->name, t->size,
                       end - begin);
    if ((uint64_t)end > f->map_size - data_start)
        return err_set(ERR_TRUNCATED, "tensor %s: ends behind the end of the file", t->name);
    t->data = (const char *)f->map + data_start + begin;
    return 0;
}

/* ---- the header ------------------------------------------------------------------------------------------------ */

static int compare_place(const void *a, const void *b)
{
    const struct st_tensor *x = a, *y = b;

    if (x->data != y->data)
        return x->data < y->data ? -1 : 1;
    if (x->size != y->size)
        return x->size < y->size ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int compare_name(const void *a, const void *b)
{
    return strcmp((*(const struct st_tensor *const *)a)->name, (*(const struct st_tensor *const *)b)->name);
}

static int compare_key(const void *a, const void *b)
{
    return strcmp(((const struct st_meta *)a)->key, ((const struct st_meta *)b)->key);
}

static int take_meta(struct st_file *f, json_t *meta)
{
    const char *key;
    json_t *value;

    if (!json_is_object(meta))
        return err_set(ERR_FORMAT, "__metadata__ is not an object");
    if (!(f->meta = calloc(json_object_size(meta) + 1, sizeof *f->meta)))
        return err_set(ERR_NOMEM, "no memory");
    json_object_foreach(meta, key, value) {
        if (!json_is_string(value))
            return err_set(ERR_FORMAT, "__metadata__: %.200s is not a text", key);
        f->meta[f->meta_count++] = (struct st_meta){key, json_string_value(value)};
    }
    qsort(f->meta, (size_t)f->meta_count, sizeof *f->meta, compare_key);
    return 0;
}

/* Every byte behind the header belongs to exactly one tensor. */
static int check_places(const struct st_file *f, size_t data_start)
{
    const char *at = (const char *)f->map + data_start, *end = (const char *)f->map + f->map_size;

    for (int i = 0; i < f->count; i++) {
        const struct st_tensor *t = &f->tensor[i];

        if (t->data != at)
            return err_set(ERR_FORMAT, "tensor %s: %s before it", t->name,
                           (const char *)t->data < at ? "overlaps the one" : "a gap");
        at += t->size;
    }
    if (at != end)
        return err_set(ERR_FORMAT, "%zu bytes behind the last tensor", (size_t)(end - at));
    return 0;
}

static int take_tensors(struct st_file *f, size_t data_start)
{
    size_t n = json_object_size(f->header);
    const char *name;
    json_t *entry;
    int rc;

    f->tensor = calloc(n + 1, sizeof *f->tensor);
    f->by_name = calloc(n + 1, sizeof *f->by_name);
    if (!f->tensor || !f->by_name)
        return err_set(ERR_NOMEM, "no memory");
    json_object_foreach(f->header, name, entry) {
        if (strcmp(name, "__metadata__") == 0) {
            if ((rc = take_meta(f, entry)) != 0)
                return rc;
            continue;
        }
        f->tensor[f->count].name = name;
        if ((rc = parse_entry(&f->tensor[f->count], f, data_start, entry)) != 0)
            return rc;
        f->count++;
    }
    qsort(f->tensor, (size_t)f->count, sizeof *f->tensor, compare_place);
    for (int i = 0; i < f->count; i++)
        f->by_name[i] = &f->tensor[i];
    qsort(f->by_name, (size_t)f->count, sizeof *f->by_name, compare_name);
    return check_places(f, data_start);
}

static int parse_header(struct st_file *f)
{
    json_error_t error;
    uint64_t size;

    if (f->map_size < 8)
        return err_set(ERR_TRUNCATED, "%zu bytes are no safetensors file", f->map_size);
    size = get_u64(f->map);
    if (size < 2 || size > ST_HEADER_MAX)
        return err_set(ERR_FORMAT, "not a safetensors file: header of %" PRIu64 " bytes", size);
    if (size > f->map_size - 8)
        return err_set(ERR_TRUNCATED, "header of %" PRIu64 " bytes ends behind the end of the file", size);
    if (((const char *)f->map)[8] != '{')
        return err_set(ERR_FORMAT, "not a safetensors file: header does not begin with {");
    if (!(f->header = json_loadb((const char *)f->map + 8, size, JSON_REJECT_DUPLICATES, &error)))
        return err_set(ERR_FORMAT, "header: %s at byte %d", error.text, error.position);
    return take_tensors(f, 8 + (size_t)size);
}

/* ---- the file -------------------------------------------------------------------------------------------------- */

static int map_file(struct st_file *f, const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;

    if (fd < 0)
        return err_errno(ERR_IO, "cannot open");
    if (fstat(fd, &st) != 0) {
        rc = err_errno(ERR_IO, "cannot open");
    } else if (!S_ISREG(st.st_mode)) {
        rc = err_set(ERR_IO, "not a plain file");
    } else if (st.st_size < 8) { /* an empty file cannot be mapped */
        rc = err_set(ERR_TRUNCATED, "%lld bytes are no safetensors file", (long long)st.st_size);
    } else {
        f->map_size = (size_t)st.st_size;
        f->map = mmap(NULL, f->map_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (f->map == MAP_FAILED) {
            f->map = NULL;
            rc = err_errno(ERR_IO, "cannot map");
        }
    }
    close(fd);
    return rc;
}

int st_open(struct st_file **file, const char *path)
{
    struct st_file *f = calloc(1, sizeof *f);
    int rc;

    *file = NULL;
    if (!f)
        return err_set(ERR_NOMEM, "%s: no memory", path);
    if ((rc = map_file(f, path)) != 0 || (rc = parse_header(f)) != 0) {
        st_close(f);
        return err_at(rc, "%s", path);
    }
    *file = f;
    return 0;
}

void st_close(struct st_file *f)
{
    if (!f)
        return;
    if (f->map)
        munmap(f->map, f->map_size);
    json_decref(f->header);
    free(f->tensor);
    free(f->by_name);
    free(f->meta);
    free(f);
}

int st_tensor_count(const struct st_file *f)
{
    return f->count;
}

const struct st_tensor *st_tensor_at(const struct st_file *f, int i)
{
    return &f->tensor[i];
}

const struct st_tensor *st_find(const struct st_file *f, const char *name)
{
    struct st_tensor wanted = {.name = name};
    const struct st_tensor *key = &wanted, **found;

    found = bsearch(&key, f->by_name, (size_t)f->count, sizeof *f->by_name, compare_name);
    return found ? *found : NULL;
}

int st_meta_count(const struct st_file *f)
{
    return f->meta_count;
}

struct st_meta st_meta_at(const struct st_file *f, int i)
{
    return f->meta[i];
}

const char *st_meta_get(const struct st_file *f, const char *key)
{
    struct st_meta wanted = {.key = key};
    const struct st_meta *found;

    if (!f->meta_count)
        return NULL;
    found = bsearch(&wanted, f->meta, (size_t)f->meta_count, sizeof *f->meta, compare_key);
    return found ? found->value : NULL;
}

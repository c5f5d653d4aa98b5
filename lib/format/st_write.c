/* SPDX-License-Identifier: MIT */
/* st_write.c -- the layout is computed first and apart from the data, so that several writers could share one file.
 * Tensors stand by falling element size, then type, then name, as in the reference writer: with a head that is a
 * multiple of 8 bytes every tensor is aligned to its element. */
#include "format/st.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/bytes.h"
#include "base/io.h"

/* A tensor's rank in the file; the reference writer orders the types of one size like this. */
static int type_order(enum st_type type)
{
    static const enum st_type order[ST_TYPES] = {ST_U64, ST_I64, ST_F64, ST_F32, ST_U32, ST_I32, ST_BF16,
                                                 ST_F16, ST_U16, ST_I16, ST_I8, ST_U8, ST_BOOL};
    int i = 0;

    while (order[i] != type)
        i++;
    return i;
}

struct place {
    const struct st_tensor *tensor;
    int index; /* in the caller's array */
};

static int compare_place(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    int tx = type_order(x->tensor->type), ty = type_order(y->tensor->type);

    return tx != ty ? tx - ty : strcmp(x->tensor->name, y->tensor->name);
}

static int compare_meta(const void *a, const void *b)
{
    return strcmp(((const struct st_meta *)a)->key, ((const struct st_meta *)b)->key);
}

static int tensor_bytes(uint64_t *bytes, const struct st_tensor *t)
{
    int64_t size;

    if (t->type < 0 || t->type >= ST_TYPES || t->rank < 0 || t->rank > ST_RANK_MAX)
        return err_set(ERR_ARG, "tensor %s: type or rank", t->name);
    size = st_type_size(t->type);
    for (int i = 0; i < t->rank; i++)
        if (t->shape[i] < 0 || __builtin_mul_overflow(size, t->shape[i], &size))
            return err_set(ERR_ARG, "tensor %s: shape", t->name);
    *bytes = (uint64_t)size;
    return 0;
}

static int add_meta(json_t *header, const struct st_meta *meta, int count)
{
    struct st_meta *sorted = malloc(sizeof *sorted * (size_t)count);
    json_t *object = json_object();
    int rc = 0;

    if (!sorted || !object || json_object_set(header, "__metadata__", object) != 0) {
        rc = err_set(ERR_NOMEM, "no memory");
        goto out;
    }
    memcpy(sorted, meta, sizeof *sorted * (size_t)count);
    qsort(sorted, (size_t)count, sizeof *sorted, compare_meta);
    for (int i = 0; rc == 0 && i < count; i++) {
        if (json_object_get(object, sorted[i].key))
            rc = err_set(ERR_ARG, "metadata %s: given twice", sorted[i].key);
        else if (json_object_set_new(object, sorted[i].key, json_string(sorted[i].value)) != 0)
            rc = err_set(ERR_ARG, "metadata %s: not UTF-8", sorted[i].key);
    }
out:
    json_decref(object);
    free(sorted);
    return rc;
}

static int add_tensor(json_t *header, const struct st_tensor *t, uint64_t begin, uint64_t end)
{
    json_t *entry, *shape;

    if (strcmp(t->name, "__metadata__") == 0 || json_object_get(header, t->name))
        return err_set(ERR_ARG, "tensor %s: %s", t->name, t->name[0] == '_' ? "a name in use" : "given twice");
    shape = json_array();
    for (int i = 0; i < t->rank; i++)
        json_array_append_new(shape, json_integer(t->shape[i]));
    entry = json_pack("{s:s, s:o, s:[I,I]}", "dtype", st_type_name(t->type), "shape", shape, "data_offsets",
                      (json_int_t)begin, (json_int_t)end);
    if (!entry)
        return err_set(ERR_NOMEM, "no memory");
    if (json_object_set_new(header, t->name, entry) != 0)
        return err_set(ERR_ARG, "tensor %s: name is not UTF-8", t->name);
    return 0;
}

/* Length, JSON, spaces. */
static int write_head(struct st_layout *l, const json_t *header)
{
    char *text = json_dumps(header, JSON_COMPACT);
    size_t size, padded;

    if (!text)
        return err_set(ERR_NOMEM, "no memory");
    size = strlen(text);
    padded = (size + 7) / 8 * 8;
    if (padded > ST_HEADER_MAX) {
        free(text);
        return err_set(ERR_LIMIT, "header of %zu bytes, at most %d", padded, ST_HEADER_MAX);
    }
    l->head_size = 8 + padded;
    if (!(l->head = malloc(l->head_size))) {
        free(text);
        return err_set(ERR_NOMEM, "no memory");
    }
    put_u64((uint8_t *)l->head, padded);
    memcpy(l->head + 8, text, size);
    memset(l->head + 8 + size, ' ', padded - size);
    free(text);
    return 0;
}

int st_layout_init(struct st_layout *l, const struct st_tensor *tensors, int tensor_count, const struct st_meta *meta,
                   int meta_count)
{
    struct place *places = calloc((size_t)tensor_count + 1, sizeof *places);
    json_t *header = json_object();
    uint64_t at = 0;
    int rc = 0;

    *l = (struct st_layout){0};
    l->offset = calloc((size_t)tensor_count + 1, sizeof *l->offset);
    l->order = calloc((size_t)tensor_count + 1, sizeof *l->order);
    if (!places || !header || !l->offset || !l->order) {
        rc = err_set(ERR_NOMEM, "no memory");
        goto out;
    }
    if (meta_count > 0 && (rc = add_meta(header, meta, meta_count)) != 0)
        goto out;
    for (int i = 0; i < tensor_count; i++) {
        uint64_t bytes;

        if ((rc = tensor_bytes(&bytes, &tensors[i])) != 0)
            goto out;
        places[i] = (struct place){&tensors[i], i};
    }
    qsort(places, (size_t)tensor_count, sizeof *places, compare_place);
    for (int i = 0; i < tensor_count; i++) {
        uint64_t bytes = 0;

        if ((rc = tensor_bytes(&bytes, places[i].tensor)) != 0 ||
            (rc = add_tensor(header, places[i].tensor, at, at + bytes)) != 0)
            goto out;
        l->order[i] = places[i].index;
        l->offset[places[i].index] = at;
        if (__builtin_add_overflow(at, bytes, &at) || at > INT64_MAX / 2) {
            rc = err_set(ERR_LIMIT, "tensors of more than 2^62 bytes");
            goto out;
        }
    }
    if ((rc = write_head(l, header)) != 0)
        goto out;
    for (int i = 0; i < tensor_count; i++)
        l->offset[i] += l->head_size;
    l->size = l->head_size + at;
out:
    json_decref(header);
    free(places);
    if (rc != 0)
        st_layout_fini(l);
    return rc;
}

void st_layout_fini(struct st_layout *l)
{
    free(l->head);
    free(l->offset);
    free(l->order);
    *l = (struct st_layout){0};
}

static uint64_t bytes_in(const struct st_layout *l, int tensor_count, int place)
{
    return (place + 1 < tensor_count ? l->offset[l->order[place + 1]] : l->size) - l->offset[l->order[place]];
}

int st_write_from(const char *path, const struct st_tensor *tensors, int tensor_count, const struct st_meta *meta,
                  int meta_count, st_source *source, void *self)
{
    struct st_layout l;
    struct out out = {0};
    int rc;

    if ((rc = st_layout_init(&l, tensors, tensor_count, meta, meta_count)) != 0)
        return err_at(rc, "%s", path);
    if ((rc = out_open(&out, path, true)) != 0 || (rc = out_write(&out, l.head, l.head_size)) != 0)
        goto out;
    for (int i = 0; i < tensor_count; i++)
        if (bytes_in(&l, tensor_count, i) > 0 && (rc = source(self, l.order[i], &out)) != 0)
            goto out;
    rc = out_commit(&out);
out:
    out_abort(&out);
    st_layout_fini(&l);
    return rc;
}

static int from_memory(void *self, int i, struct out *out)
{
    const struct st_tensor *t = (const struct st_tensor *)self + i;

    return out_write(out, t->data, (size_t)st_elements(t) * (size_t)st_type_size(t->type));
}

int st_write(const char *path, const struct st_tensor *tensors, int tensor_count, const struct st_meta *meta,
             int meta_count)
{
    return st_write_from(path, tensors, tensor_count, meta, meta_count, from_memory, (void *)tensors);
}

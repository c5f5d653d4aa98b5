/* SPDX-License-Identifier: MIT */
/* st.h -- safetensors files: named tensors, and text metadata.  The bytes: formats/checkpoint.md.
 *
 * Memory   a file is mapped, tensors point into the map (8-byte aligned by our writer, any alignment by others: copy)
 * Errors   ERR_FORMAT header over 100 MB, offsets with gaps or overlaps, sizes that do not fit the shape, duplicate
 *          names, bytes behind the last tensor; ERR_TRUNCATED; ERR_UNSUPPORTED an element type that is not below; ERR_IO
 * Traps    a mapped file must not change: writers (st_write too) make a new file and rename it
 * Source   the safetensors format description; metadata is string to string only
 */
#ifndef FORMAT_ST_H
#define FORMAT_ST_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "format/digest.h"

#define ST_RANK_MAX 8
#define ST_HEADER_MAX 100000000

enum st_type {
    ST_F64, ST_F32, ST_F16, ST_BF16, ST_I64, ST_I32, ST_I16, ST_I8, ST_U16, ST_U8, ST_BOOL, ST_U64, ST_U32, ST_TYPES
};

struct st_tensor {
    const char *name;     /* borrowed */
    enum st_type type;
    int rank;             /* 0..ST_RANK_MAX */
    int64_t shape[ST_RANK_MAX];
    const void *data;     /* borrowed; little-endian */
    uint64_t size;        /* bytes */
};

struct st_meta {
    const char *key, *value; /* borrowed */
};

/* ---- reading ----------------------------------------------------------------------------------------------------- */

struct st_file;

must_check int st_open(struct st_file **f, const char *path);
void st_close(struct st_file *f);
int st_tensor_count(const struct st_file *f);
const struct st_tensor *st_tensor_at(const struct st_file *f, int i); /* in order of offset */
const struct st_tensor *st_find(const struct st_file *f, const char *name); /* NULL: not there */
int st_meta_count(const struct st_file *f);
struct st_meta st_meta_at(const struct st_file *f, int i); /* in order of key */
const char *st_meta_get(const struct st_file *f, const char *key); /* NULL: not there */

/* ---- writing ----------------------------------------------------------------------------------------------------- */

/* Write a whole file (temporary name, sync, rename).  Of a tensor, name, type, rank, shape and data are read; size is
 * computed from them.  ERR_ARG: a name twice, not UTF-8, or "__metadata__"; a negative shape; the same of metadata. */
must_check int st_write(const char *path, const struct st_tensor *tensors, int tensor_count, const struct st_meta *meta,
                        int meta_count);

/* The same where data lies elsewhere: source writes the bytes of tensor i, exactly as many as it has, tensors in the file's order. */
struct out;
typedef int st_source(void *self, int i, struct out *out);
must_check int st_write_from(const char *path, const struct st_tensor *tensors, int tensor_count, const struct st_meta *meta,
                             int meta_count, st_source *source, void *self);

/* Where everything goes in a file of these tensors: what a writer needs that puts pieces at their places in any order.
 * The place of a tensor depends on names, types, shapes and metadata alone, never on data. */
struct st_layout {
    char *head;       /* owned: the first bytes of the file: length, JSON, spaces up to a multiple of 8 */
    size_t head_size;
    uint64_t *offset; /* owned: [tensor_count], of each tensor's first byte from the beginning of the file */
    int *order;       /* owned: [tensor_count], indices of tensors as they stand in the file */
    uint64_t size;    /* bytes of the whole file */
};

/* After a failure l is zeroed. */
must_check int st_layout_init(struct st_layout *l, const struct st_tensor *tensors, int tensor_count,
                              const struct st_meta *meta, int meta_count);
void st_layout_fini(struct st_layout *l);

/* ---- values ------------------------------------------------------------------------------------------------------ */

int64_t st_elements(const struct st_tensor *t);
int st_type_size(enum st_type type);       /* bytes of an element */
const char *st_type_name(enum st_type type); /* "F32" */

/* The values of t as f32 (from F32, F16, BF16 or F64).  ERR_UNSUPPORTED for others. */
must_check int st_to_f32(float *to, const struct st_tensor *t);

struct st_stats {
    int64_t count, non_finite;   /* elements; those that are infinite or not a number */
    double min, max, mean, rms;  /* of the finite ones; 0 where there is none */
};

void st_stats(struct st_stats *stats, const struct st_tensor *t); /* any type */

/* The digest of a set of tensors, independent of file order and metadata: SHA-256 over, for each tensor in byte order
 * of its name, "name\0TYPE\0d0,d1,...\0" and its data. */
must_check int st_digest(struct digest *d, const struct st_tensor *tensors, int tensor_count);

#endif

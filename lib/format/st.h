/* SPDX-License-Identifier: MIT */
/* st.h -- safetensors files: named tensors, and text metadata.  The bytes: formats/checkpoint.md.
 *
 * Memory   a file is mapped, tensors point into the map (8-byte aligned by our writer, any alignment by others: copy)
 * Errors   ERR_FORMAT header over 100 MB, offsets with gaps or overlaps, sizes that do not fit the shape, duplicate
 *          names, bytes behind the last tensor; ERR_TRUNCATED; ERR_IO
 * Source   the safetensors format description; metadata is string to string only
 */
#ifndef FORMAT_ST_H
#define FORMAT_ST_H

#include <stdint.h>

#include "base/err.h"
#include "format/digest.h"

#define ST_RANK_MAX 8
#define ST_HEADER_MAX 100000000

enum st_type { ST_F64, ST_F32, ST_F16, ST_BF16, ST_I64, ST_I32, ST_I16, ST_I8, ST_U16, ST_U8, ST_BOOL, ST_TYPES };

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

struct st_file;

must_check int st_open(struct st_file **f, const char *path);
void st_close(struct st_file *f);
int st_tensor_count(const struct st_file *f);
const struct st_tensor *st_tensor_at(const struct st_file *f, int i); /* in order of offset */
const struct st_tensor *st_find(const struct st_file *f, const char *name); /* NULL: not there */
int st_meta_count(const struct st_file *f);
struct st_meta st_meta_at(const struct st_file *f, int i); /* in order of key */
const char *st_meta_get(const struct st_file *f, const char *key); /* NULL: not there */

/* Write a whole file (temporary name, sync, rename). */
must_check int st_write(const char *path, const struct st_tensor *tensors, int tensor_count, const struct st_meta *meta,
                        int meta_count);

int64_t st_elements(const struct st_tensor *t);
int st_type_size(enum st_type type);       /* bytes of an element */
const char *st_type_name(enum st_type type); /* "F32" */

/* The values of t as f32 (from F32, F16, BF16 or F64).  ERR_UNSUPPORTED for others. */
must_check int st_to_f32(float *to, const struct st_tensor *t);

/* The digest of a set of tensors, independent of file order and metadata: SHA-256 over, for each tensor in byte order
 * of its name, "name\0TYPE\0d0,d1,...\0" and its data. */
must_check int st_digest(struct digest *d, const struct st_tensor *tensors, int tensor_count);

#endif

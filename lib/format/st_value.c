/* SPDX-License-Identifier: MIT */
/* st_value.c -- element types, their values as f32, and the digest of a set of tensors. */
#include "format/st.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits16.h"
#include "base/bytes.h"

static const struct {
    const char *name;
    int size;
} types[ST_TYPES] = {
    [ST_F64] = {"F64", 8},   [ST_F32] = {"F32", 4}, [ST_F16] = {"F16", 2}, [ST_BF16] = {"BF16", 2}, [ST_I64] = {"I64", 8},
    [ST_I32] = {"I32", 4},   [ST_I16] = {"I16", 2}, [ST_I8] = {"I8", 1},   [ST_U16] = {"U16", 2},   [ST_U8] = {"U8", 1},
    [ST_BOOL] = {"BOOL", 1}, [ST_U64] = {"U64", 8}, [ST_U32] = {"U32", 4}};

int st_type_size(enum st_type type)
{
    return types[type].size;
}

const char *st_type_name(enum st_type type)
{
    return types[type].name;
}

int64_t st_elements(const struct st_tensor *t)
{
    int64_t n = 1;

    for (int i = 0; i < t->rank; i++)
        n *= t->shape[i];
    return n;
}

int st_to_f32(float *to, const struct st_tensor *t)
{
    const uint8_t *from = t->data;
    int64_t n = st_elements(t);

    switch (t->type) {
    case ST_F32:
        if (n > 0)
            memcpy(to, from, (size_t)n * 4);
        return 0;
    case ST_F16:
        for (int64_t i = 0; i < n; i++)
            to[i] = f16_to_f32(get_u16(from + 2 * i));
        return 0;
    case ST_BF16:
        for (int64_t i = 0; i < n; i++)
            to[i] = bf16_to_f32(get_u16(from + 2 * i));
        return 0;
    case ST_F64:
        for (int64_t i = 0; i < n; i++) {
            double x;

            memcpy(&x, from + 8 * i, sizeof x);
            to[i] = (float)x;
        }
        return 0;
    default:
        return err_set(ERR_UNSUPPORTED, "tensor %s: %s is not a floating-point type", t->name, st_type_name(t->type));
    }
}

/* n elements as f64. */
static void take_chunk(double *to, const uint8_t *from, enum st_type type, int64_t n)
{
    const int size = types[type].size;

    for (int64_t i = 0; i < n; i++, from += size) {
        uint64_t u = size == 8 ? get_u64(from) : size == 4 ? get_u32(from) : size == 2 ? get_u16(from) : *from;

        switch (type) {
        case ST_F64: memcpy(&to[i], from, sizeof *to); break;
        case ST_F32: to[i] = float_of((uint32_t)u); break;
        case ST_F16: to[i] = f16_to_f32((uint16_t)u); break;
        case ST_BF16: to[i] = bf16_to_f32((uint16_t)u); break;
        case ST_I64: to[i] = (double)(int64_t)u; break;
        case ST_I32: to[i] = (int32_t)u; break;
        case ST_I16: to[i] = (int16_t)u; break;
        case ST_I8: to[i] = (int8_t)u; break;
        default: to[i] = (double)u; break;
        }
    }
}

void st_stats(struct st_stats *s, const struct st_tensor *t)
{
    const int64_t n = st_elements(t);
    double chunk[512], sum = 0, squares = 0;
    int64_t finite;

    *s = (struct st_stats){.count = n, .min = INFINITY, .max = -INFINITY};
    for (int64_t at = 0; at < n; at += 512) {
        int64_t have = n - at < 512 ? n - at : 512;

        take_chunk(chunk, (const uint8_t *)t->data + at * types[t->type].size, t->type, have);
        for (int64_t i = 0; i < have; i++) {
            if (!isfinite(chunk[i])) {
                s->non_finite++;
                continue;
            }
            s->min = fmin(s->min, chunk[i]);
            s->max = fmax(s->max, chunk[i]);
            sum += chunk[i];
            squares += chunk[i] * chunk[i];
        }
    }
    finite = n - s->non_finite;
    s->mean = finite ? sum / (double)finite : 0;
    s->rms = finite ? sqrt(squares / (double)finite) : 0;
    if (!finite)
        s->min = s->max = 0;
}

static int compare_name(const void *a, const void *b)
{
    return strcmp((*(const struct st_tensor *const *)a)->name, (*(const struct st_tensor *const *)b)->name);
}

int st_digest(struct digest *d, const struct st_tensor *tensors, int tensor_count)
{
    const struct st_tensor **sorted = calloc((size_t)tensor_count + 1, sizeof *sorted);
    struct digest_sum *sum = digest_start();

    *d = (struct digest){0};
    if (!sorted || !sum) {
        free(sorted);
        free(sum);
        return err_set(ERR_NOMEM, "no memory");
    }
    for (int i = 0; i < tensor_count; i++)
        sorted[i] = &tensors[i];
    qsort(sorted, (size_t)tensor_count, sizeof *sorted, compare_name);
    for (int i = 0; i < tensor_count; i++) {
        const struct st_tensor *t = sorted[i];
        const char *type = st_type_name(t->type);

        digest_add(sum, t->name, strlen(t->name) + 1);
        digest_add(sum, type, strlen(type) + 1);
        for (int k = 0; k < t->rank; k++) {
            char text[24];
            int size = snprintf(text, sizeof text, "%s%" PRId64, k ? "," : "", t->shape[k]);

            digest_add(sum, text, (size_t)size);
        }
        digest_add(sum, "", 1);
        if (st_elements(t) > 0)
            digest_add(sum, t->data, (size_t)st_elements(t) * (size_t)st_type_size(t->type));
    }
    *d = digest_end(sum);
    free(sorted);
    return 0;
}

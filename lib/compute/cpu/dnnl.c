/* SPDX-License-Identifier: MIT */
/* dnnl.c -- a primitive for each shape in a hash table, made once with its memory objects.
 *
 * Easy to get wrong: version 2 describes an operation first and then makes the primitive's descriptor, version 3 does
 * it in one call; a memory descriptor is a struct in 2 and a handle in 3; a primitive is made for a number of threads.
 */
#include "compute/cpu/dnnl.h"

#include <dnnl.h>
#include <stdlib.h>
#include <string.h>

#include "base/par.h"

#define TABLE_SIZE 256

enum kind { KIND_CONV, KIND_CONV_DW };

/* What a primitive is made for; compared as bytes, so all members have one size. */
struct key {
    int64_t kind, threads;
    int64_t slice; /* concurrent calls need a primitive each, since it holds memory objects and scratch */
    int64_t size[6];
    int64_t add, relu, bias, bf16;
};

/* The memory objects of a primitive. */
enum { SRC, WEIGHTS, BIAS, DST, SCRATCH, PLAIN, MEMORIES };

struct prim {
    struct key key;
    dnnl_primitive_t run;      /* owned */
    dnnl_primitive_t reorder;  /* owned; NULL: WEIGHTS are used as they lie */
    dnnl_memory_t memory[MEMORIES]; /* owned; NULL: not used.  PLAIN: the caller's weights, WEIGHTS: the primitive's */
    dnnl_stream_t stream;      /* owned */
    void *scratch;             /* owned */
    struct prim *next;         /* owned: the same hash */
};

struct cpu_dnnl {
    dnnl_engine_t engine;
    struct prim *table[TABLE_SIZE]; /* owned */
};

/* ---- the two versions ---- */

/* A memory descriptor. */
struct layout {
    dnnl_memory_desc_t md; /* owned in version 3 */
    bool made;
};

#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t md_ref;

static md_ref ref(const struct layout *l)
{
    return l->made ? l->md : NULL;
}

static dnnl_status_t layout_tag(struct layout *l, int rank, const dnnl_dims_t dims, dnnl_data_type_t type, dnnl_format_tag_t tag)
{
    dnnl_status_t s = dnnl_memory_desc_create_with_tag(&l->md, rank, dims, type, tag);

    l->made = s == dnnl_success;
    return s;
}

static void layout_fini(struct layout *l)
{
    if (l->made)
        dnnl_memory_desc_destroy(l->md);
}

static dnnl_status_t append_sum(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_sum(ops, 1.0f, 0, dnnl_data_type_undef);
}

static dnnl_status_t append_relu(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_eltwise(ops, dnnl_eltwise_relu, 0.0f, 0.0f);
}

static dnnl_status_t describe_conv(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, const struct layout *l,
                                   const dnnl_dims_t ones, const dnnl_dims_t pad, dnnl_primitive_attr_t attr)
{
    const dnnl_dims_t zeros = {0, 0};

    return dnnl_convolution_forward_primitive_desc_create(pd, engine, dnnl_forward_training, dnnl_convolution_direct,
                                                          ref(&l[SRC]), ref(&l[WEIGHTS]), ref(&l[BIAS]), ref(&l[DST]),
                                                          ones, zeros, pad, pad, attr);
}

static dnnl_status_t describe_conv_dw(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, const struct layout *l,
                                      const dnnl_dims_t ones, const dnnl_dims_t pad, dnnl_primitive_attr_t attr,
                                      dnnl_primitive_desc_t forward)
{
    const dnnl_dims_t zeros = {0, 0};

    return dnnl_convolution_backward_weights_primitive_desc_create(pd, engine, dnnl_convolution_direct, ref(&l[SRC]),
                                                                   ref(&l[WEIGHTS]), ref(&l[BIAS]), ref(&l[DST]), ones,
                                                                   zeros, pad, pad, forward, attr);
}
#else
typedef const dnnl_memory_desc_t *md_ref;

static md_ref ref(const struct layout *l)
{
    return l->made ? &l->md : NULL;
}

static dnnl_status_t layout_tag(struct layout *l, int rank, const dnnl_dims_t dims, dnnl_data_type_t type, dnnl_format_tag_t tag)
{
    l->made = true;
    return dnnl_memory_desc_init_by_tag(&l->md, rank, dims, type, tag);
}

static void layout_fini(struct layout *l)
{
    (void)l;
}

static dnnl_status_t append_sum(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_sum(ops, 1.0f);
}

static dnnl_status_t append_relu(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_eltwise(ops, 1.0f, dnnl_eltwise_relu, 0.0f, 0.0f);
}

static dnnl_status_t describe_conv(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, const struct layout *l,
                                   const dnnl_dims_t ones, const dnnl_dims_t pad, dnnl_primitive_attr_t attr)
{
    dnnl_convolution_desc_t d;
    dnnl_status_t s = dnnl_convolution_forward_desc_init(&d, dnnl_forward_training, dnnl_convolution_direct,
                                                         ref(&l[SRC]), ref(&l[WEIGHTS]), ref(&l[BIAS]), ref(&l[DST]),
                                                         ones, pad, pad);

    return s ? s : dnnl_primitive_desc_create(pd, &d, attr, engine, NULL);
}

static dnnl_status_t describe_conv_dw(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, const struct layout *l,
                                      const dnnl_dims_t ones, const dnnl_dims_t pad, dnnl_primitive_attr_t attr,
                                      dnnl_primitive_desc_t forward)
{
    dnnl_convolution_desc_t d;
    dnnl_status_t s = dnnl_convolution_backward_weights_desc_init(&d, dnnl_convolution_direct, ref(&l[SRC]),
                                                                  ref(&l[WEIGHTS]), ref(&l[BIAS]), ref(&l[DST]), ones,
                                                                  pad, pad);

    return s ? s : dnnl_primitive_desc_create(pd, &d, attr, engine, forward);
}
#endif

/* ---- making a primitive ---- */

static int refused(dnnl_status_t s, const char *what)
{
    if (s == dnnl_out_of_memory)
        return err_set(ERR_NOMEM, "oneDNN: no memory for %s", what);
    return err_set(ERR_DEVICE, "oneDNN: %s failed with status %d", what, (int)s);
}

/* Scratch is the caller's; sum first, then ReLU. */
static dnnl_status_t make_attr(dnnl_primitive_attr_t *attr, bool add, bool relu)
{
    dnnl_post_ops_t ops = NULL;
    dnnl_status_t s;

    if ((s = dnnl_primitive_attr_create(attr)) != dnnl_success ||
        (s = dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user)) != dnnl_success ||
        (s = dnnl_post_ops_create(&ops)) != dnnl_success)
        return s;
    if (add)
        s = append_sum(ops);
    if (relu && s == dnnl_success)
        s = append_relu(ops);
    if (s == dnnl_success)
        s = dnnl_primitive_attr_set_post_ops(*attr, ops);
    dnnl_post_ops_destroy(ops);
    return s;
}

static dnnl_status_t make_reorder(dnnl_primitive_t *reorder, dnnl_engine_t engine, md_ref from, md_ref to)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t s = dnnl_reorder_primitive_desc_create(&pd, from, engine, to, engine, NULL);

    if (s == dnnl_success)
        s = dnnl_primitive_create(reorder, pd);
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    return s;
}

/* The memory objects and the reorder between the caller's weights and the primitive's. */
static dnnl_status_t make_memory(struct cpu_dnnl *d, struct prim *p, const_dnnl_primitive_desc_t pd,
                                 const struct layout *l)
{
    bool dw = p->key.kind == KIND_CONV_DW;
    md_ref weights = dnnl_primitive_desc_query_md(pd, dw ? dnnl_query_diff_weights_md : dnnl_query_weights_md, 0);
    md_ref scratch = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
    size_t scratch_size = dnnl_memory_desc_get_size(scratch);
    bool packed = !dnnl_memory_desc_equal(weights, ref(&l[PLAIN]));
    dnnl_status_t s;

    if (scratch_size > 0 && !(p->scratch = aligned_alloc(64, (scratch_size + 63) / 64 * 64)))
        return dnnl_out_of_memory;
    if ((s = dnnl_memory_create(&p->memory[SRC], ref(&l[SRC]), d->engine, DNNL_MEMORY_NONE)) != dnnl_success ||
        (s = dnnl_memory_create(&p->memory[DST], ref(&l[DST]), d->engine, DNNL_MEMORY_NONE)) != dnnl_success ||
        (s = dnnl_memory_create(&p->memory[SCRATCH], scratch, d->engine, DNNL_MEMORY_NONE)) != dnnl_success ||
        (s = dnnl_memory_create(&p->memory[WEIGHTS], weights, d->engine,
                                packed ? DNNL_MEMORY_ALLOCATE : DNNL_MEMORY_NONE)) != dnnl_success)
        return s;
    if (l[BIAS].made &&
        (s = dnnl_memory_create(&p->memory[BIAS], ref(&l[BIAS]), d->engine, DNNL_MEMORY_NONE)) != dnnl_success)
        return s;
    if (!packed)
        return dnnl_success;
    if ((s = dnnl_memory_create(&p->memory[PLAIN], ref(&l[PLAIN]), d->engine, DNNL_MEMORY_NONE)) != dnnl_success)
        return s;
    return dw ? make_reorder(&p->reorder, d->engine, weights, ref(&l[PLAIN]))
              : make_reorder(&p->reorder, d->engine, ref(&l[PLAIN]), weights);
}

static dnnl_status_t plan_conv(struct layout *l, const struct key *k)
{
    int64_t n = k->size[0], h = k->size[1], w = k->size[2], i = k->size[3], o = k->size[4], kernel = k->size[5];
    const dnnl_dims_t src = {n, i, h, w}, weights = {o, i, kernel, kernel}, bias = {o}, dst = {n, o, h, w};
    dnnl_data_type_t in = k->bf16 ? dnnl_bf16 : dnnl_f32;
    bool dw = k->kind == KIND_CONV_DW;
    dnnl_status_t s;

    if ((s = layout_tag(&l[SRC], 4, src, in, dnnl_nhwc)) != dnnl_success ||
        (s = layout_tag(&l[WEIGHTS], 4, weights, dw ? dnnl_f32 : in, dnnl_format_tag_any)) != dnnl_success ||
        (s = layout_tag(&l[PLAIN], 4, weights, dnnl_f32, dnnl_oihw)) != dnnl_success ||
        (s = layout_tag(&l[DST], 4, dst, dw ? in : dnnl_f32, dnnl_nhwc)) != dnnl_success)
        return s;
    return k->bias ? layout_tag(&l[BIAS], 1, bias, dnnl_f32, dnnl_x) : dnnl_success;
}

static dnnl_status_t make(struct cpu_dnnl *d, struct prim *p)
{
    const struct key *k = &p->key;
    struct key hint = *k; /* a gradient's descriptor wants to see that of its convolution */
    struct layout l[MEMORIES] = {0}, of_hint[MEMORIES] = {0};
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t forward = NULL, pd = NULL;
    const dnnl_dims_t ones = {1, 1}, pad = {(k->size[5] - 1) / 2, (k->size[5] - 1) / 2};
    dnnl_status_t s;

    hint.kind = KIND_CONV;
    if ((s = plan_conv(l, k)) != dnnl_success || (s = plan_conv(of_hint, &hint)) != dnnl_success ||
        (s = make_attr(&attr, k->add, k->relu)) != dnnl_success)
        goto out;
    if (k->kind == KIND_CONV)
        s = describe_conv(&pd, d->engine, l, ones, pad, attr);
    else if ((s = describe_conv(&forward, d->engine, of_hint, ones, pad, attr)) == dnnl_success)
        s = describe_conv_dw(&pd, d->engine, l, ones, pad, attr, forward);
    if (s != dnnl_success)
        goto out;
    if ((s = dnnl_primitive_create(&p->run, pd)) == dnnl_success &&
        (s = dnnl_stream_create(&p->stream, d->engine, dnnl_stream_default_flags)) == dnnl_success)
        s = make_memory(d, p, pd, l);
out:
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    if (forward)
        dnnl_primitive_desc_destroy(forward);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    for (int i = 0; i < MEMORIES; i++) {
        layout_fini(&l[i]);
        layout_fini(&of_hint[i]);
    }
    return s;
}

static void prim_free(struct prim *p)
{
    if (p->run)
        dnnl_primitive_destroy(p->run);
    if (p->reorder)
        dnnl_primitive_destroy(p->reorder);
    for (int i = 0; i < MEMORIES; i++)
        if (p->memory[i])
            dnnl_memory_destroy(p->memory[i]);
    if (p->stream)
        dnnl_stream_destroy(p->stream);
    free(p->scratch);
    free(p);
}

/* The primitive of a key: found, or made. */
static int find(struct cpu_dnnl *d, struct prim **found, struct key *key)
{
    const unsigned char *bytes = (const unsigned char *)key;
    uint64_t hash = 0xcbf29ce484222325u;
    struct prim *p, **slot;
    dnnl_status_t s;

    key->threads = par_threads();
    for (size_t i = 0; i < sizeof *key; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    slot = &d->table[(hash ^ hash >> 32) % TABLE_SIZE];
    for (p = *slot; p; p = p->next)
        if (memcmp(&p->key, key, sizeof *key) == 0) {
            *found = p;
            return 0;
        }
    if (!(p = calloc(1, sizeof *p)))
        return err_set(ERR_NOMEM, "no memory for a primitive");
    p->key = *key;
    if ((s = make(d, p)) != dnnl_success) {
        prim_free(p);
        return refused(s, "making a primitive");
    }
    p->next = *slot;
    *slot = p;
    *found = p;
    return 0;
}

/* ---- running it ---- */

static dnnl_status_t run_reorder(const struct prim *p, int from, int to)
{
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, p->memory[from]}, {DNNL_ARG_TO, p->memory[to]}};

    return dnnl_primitive_execute(p->reorder, p->stream, 2, args);
}

/* src, weights, bias and dst in the caller's memory; weights and bias are outputs of KIND_CONV_DW. */
static dnnl_status_t run(const struct prim *p, const void *src, const void *weights, const void *bias, const void *dst)
{
    bool dw = p->key.kind == KIND_CONV_DW;
    const dnnl_exec_arg_t args[] = {
        {DNNL_ARG_SRC, p->memory[SRC]},
        {dw ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS, p->memory[WEIGHTS]},
        {dw ? DNNL_ARG_DIFF_DST : DNNL_ARG_DST, p->memory[DST]},
        {DNNL_ARG_SCRATCHPAD, p->memory[SCRATCH]},
        {dw ? DNNL_ARG_DIFF_BIAS : DNNL_ARG_BIAS, p->memory[BIAS]},
    };
    dnnl_status_t s;

    if ((s = dnnl_memory_set_data_handle(p->memory[SRC], (void *)(uintptr_t)src)) != dnnl_success ||
        (s = dnnl_memory_set_data_handle(p->memory[DST], (void *)(uintptr_t)dst)) != dnnl_success ||
        (s = dnnl_memory_set_data_handle(p->memory[SCRATCH], p->scratch)) != dnnl_success ||
        (s = dnnl_memory_set_data_handle(p->memory[p->reorder ? PLAIN : WEIGHTS], (void *)(uintptr_t)weights)) !=
            dnnl_success)
        return s;
    if (p->memory[BIAS] &&
        (s = dnnl_memory_set_data_handle(p->memory[BIAS], (void *)(uintptr_t)bias)) != dnnl_success)
        return s;
    if (p->reorder && !dw && (s = run_reorder(p, PLAIN, WEIGHTS)) != dnnl_success)
        return s;
    if ((s = dnnl_primitive_execute(p->run, p->stream, p->memory[BIAS] ? 5 : 4, args)) != dnnl_success)
        return s;
    return p->reorder && dw ? run_reorder(p, WEIGHTS, PLAIN) : dnnl_success;
}

int cpu_dnnl_conv(struct cpu_dnnl *d, float *y, const void *x, const float *w, const float *bias,
                  struct cpu_dnnl_conv shape)
{
    struct key key = {.kind = KIND_CONV, .size = {shape.n, shape.h, shape.w, shape.i, shape.o, shape.k},
                      .add = shape.add, .relu = shape.relu, .bias = bias != NULL, .bf16 = shape.bf16};
    struct prim *p;
    dnnl_status_t s;
    int rc;

    if ((rc = find(d, &p, &key)) != 0)
        return rc;
    s = run(p, x, w, bias, y);
    return s == dnnl_success ? 0 : refused(s, "a convolution");
}

int cpu_dnnl_conv_dw(struct cpu_dnnl *d, float *sum, const void *dy, const void *x, struct cpu_dnnl_conv shape, int slices)
{
    int64_t size = shape.bf16 ? sizeof(uint16_t) : sizeof(float);
    int64_t in = shape.h * shape.w * shape.i * size, out = shape.h * shape.w * shape.o * size; /* bytes of a picture */
    int64_t weights = shape.o * shape.i * shape.k * shape.k;
    int threads = par_threads(), rc = 0;
    struct prim **p = calloc((size_t)slices, sizeof *p);
    dnnl_status_t failed = dnnl_success;

    if (!p)
        return err_set(ERR_NOMEM, "no memory for %d slices", slices);
    par_set_threads(1); /* a primitive is made for the threads that it may use */
    for (int i = 0; i < slices && rc == 0; i++) {
        int64_t first = i * shape.n / slices, last = (i + 1) * shape.n / slices;
        struct key key = {.kind = KIND_CONV_DW, .slice = i, .bias = 1, .bf16 = shape.bf16,
                          .size = {last - first, shape.h, shape.w, shape.i, shape.o, shape.k}};

        rc = find(d, &p[i], &key);
    }
    par_set_threads(threads);
#pragma omp parallel for schedule(dynamic)
    for (int i = 0; i < (rc == 0 ? slices : 0); i++) {
        int64_t first = i * shape.n / slices;
        float *to = sum + i * (weights + shape.o);
        dnnl_status_t s = run(p[i], (const char *)x + first * in, to, to + weights, (const char *)dy + first * out);

        if (s != dnnl_success)
#pragma omp atomic write
            failed = s;
    }
    free(p);
    if (rc != 0)
        return rc;
    return failed == dnnl_success ? 0 : refused(failed, "a convolution's gradient");
}

int cpu_dnnl_create(struct cpu_dnnl **dnnl)
{
    struct cpu_dnnl *d = calloc(1, sizeof *d);
    dnnl_status_t s;

    *dnnl = NULL;
    if (!d)
        return err_set(ERR_NOMEM, "no memory for oneDNN");
    if ((s = dnnl_engine_create(&d->engine, dnnl_cpu, 0)) != dnnl_success) {
        cpu_dnnl_free(d);
        return refused(s, "opening");
    }
    *dnnl = d;
    return 0;
}

void cpu_dnnl_free(struct cpu_dnnl *d)
{
    struct prim *next;

    if (!d)
        return;
    for (int i = 0; i < TABLE_SIZE; i++)
        for (struct prim *p = d->table[i]; p; p = next) {
            next = p->next;
            prim_free(p);
        }
    if (d->engine)
        dnnl_engine_destroy(d->engine);
    free(d);
}

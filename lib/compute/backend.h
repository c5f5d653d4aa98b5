/* SPDX-License-Identifier: MIT */
/* backend.h -- the table that a device fills: one typed member an operation.
 *
 * Members are called only through op_x(), after its checks, so they trust shapes and types.  A device that lacks one is
 * refused when it is opened.  What each operation computes stands in the header of its name.
 *
 * A backend in a shared object of its own exports one function, BACKEND_ENTRY of type backend_entry.
 */
#ifndef COMPUTE_BACKEND_H
#define COMPUTE_BACKEND_H

#include "compute/adam.h"
#include "compute/conv.h"
#include "compute/device.h"
#include "compute/gumbel.h"
#include "compute/matmul.h"
#include "compute/sample.h"

typedef const struct tensor *tensor_in; /* outputs are views too: the struct is const, the numbers are not */

struct backend {
    const char *name;
    bool narrow; /* activations in 16 bits are faster than in f32 */

    int (*open)(void **self, int index); /* index: which of several devices of the kind */
    void (*close)(void *self);
    int (*precision)(void *self, enum precision p);
    bool (*fast)(void *self, enum precision p);
    bool (*stores)(void *self, enum dtype type); /* do operations take tensors of 16-bit numbers? */
    int (*alloc)(void *self, void **data, size_t size); /* zeroed, 64-byte aligned */
    void (*dealloc)(void *self, void *data, size_t size);
    /* Memory that the host reads and writes as well, for tests: slow for a device that has its own. */
    int (*alloc_shared)(void *self, void **data, size_t size);
    void (*dealloc_shared)(void *self, void *data, size_t size);
    int (*upload)(void *self, void *to, const void *host, size_t size);
    int (*download)(void *self, void *host, const void *from, size_t size);
    int (*zero)(void *self, void *data, size_t size);
    int (*wait)(void *self);
    int (*repeat)(void *self, int64_t times, int (*step)(void *arg), void *arg);
    int (*mark)(void *self);
    int (*fetch)(void *self, void *host, const void *from, size_t size); /* from another thread than all else */
    size_t (*working)(void *self); /* bytes of working memory that it holds beside what was asked for by alloc */

    /* matmul.h */
    int (*matmul)(void *self, tensor_in y, tensor_in a, tensor_in b, tensor_in bias, struct matmul how);
    /* norm.h */
    int (*norm)(void *self, tensor_in y, tensor_in mean, tensor_in rstd, tensor_in x, tensor_in g, tensor_in b, float eps);
    int (*norm_grad)(void *self, tensor_in dx, tensor_in dg, tensor_in db, tensor_in dy, tensor_in x, tensor_in mean,
                     tensor_in rstd, tensor_in g, float scale, bool filter);
    /* act.h */
    int (*relu)(void *self, tensor_in y, tensor_in x);
    int (*add)(void *self, tensor_in y, tensor_in x, float s);
    int (*copy)(void *self, tensor_in y, tensor_in x);
    int (*filter)(void *self, tensor_in y, tensor_in x, float s);
    /* attn.h */
    int (*attn)(void *self, tensor_in out, tensor_in lse, tensor_in qkv, const struct attn *a);
    int (*attn_grad)(void *self, tensor_in dqkv, tensor_in dout, tensor_in out, tensor_in lse, tensor_in qkv,
                     const struct attn *a);
    /* embed.h */
    int (*embed)(void *self, tensor_in y, tensor_in table, tensor_in index, bool add);
    int (*embed_grad)(void *self, tensor_in dtable, tensor_in dy, tensor_in index);
    /* loss.h */
    int (*cross_entropy)(void *self, tensor_in loss, tensor_in x, tensor_in target, float scale);
    int (*laplace)(void *self, tensor_in nll, tensor_in y, tensor_in x, float scale);
    /* adam.h */
    int (*adam)(void *self, tensor_in p, tensor_in m, tensor_in v, tensor_in g, const struct adam *how);
    int (*sum_squares)(void *self, struct squares *sums, tensor_in x, int64_t count);
    /* conv.h */
    int (*conv)(void *self, tensor_in y, tensor_in x, tensor_in w, tensor_in bias, struct conv how);
    int (*conv_dx)(void *self, tensor_in dx, tensor_in dy, tensor_in w, tensor_in mask, struct conv how);
    int (*conv_dw)(void *self, tensor_in dw, tensor_in db, tensor_in dy, tensor_in x, struct conv how);
    /* pool.h */
    int (*max_pool)(void *self, tensor_in y, tensor_in x);
    int (*max_pool_grad)(void *self, tensor_in dx, tensor_in dy, tensor_in x);
    int (*upsample)(void *self, tensor_in y, tensor_in x);
    int (*upsample_grad)(void *self, tensor_in dx, tensor_in dy);
    /* gumbel.h */
    int (*gumbel)(void *self, tensor_in y, tensor_in kl, tensor_in x, const struct gumbel *how);
    int (*gumbel_grad)(void *self, tensor_in dx, tensor_in dy, tensor_in y, tensor_in x, float tau, float kl_scale);
    int (*gumbel_max)(void *self, tensor_in code, tensor_in x, const struct gumbel *how);
    /* sample.h */
    size_t (*thin_size)(void *self, int64_t n, int64_t k);
    int (*thin_pack)(void *self, void *packed, tensor_in w);
    int (*thin)(void *self, tensor_in y, tensor_in x, const void *packed, tensor_in bias, struct thin how);
    int (*cache_text)(void *self, const struct attn_cache *c, tensor_in qkv, const struct attn *a, int64_t caption);
    int (*attn_cache)(void *self, tensor_in out, const struct attn_cache *c, tensor_in qkv, tensor_in caption,
                      tensor_in position, const struct attn *a);
    int (*choose)(void *self, tensor_in codes, tensor_in logits, tensor_in step, tensor_in position,
                  const struct choose *how);
    int (*next)(void *self, tensor_in position, tensor_in slot, tensor_in codes, int64_t width);
};

extern const struct backend backend_cpu;

#define BACKEND_ABI 2 /* goes up when the table, or what a member means, changes */
#define BACKEND_ENTRY "armchair_backend"

/* The table, or NULL where abi or the table's size is not the one that the object was built with.  err: err_set of the
 * program, so that one place keeps the reason of a failure. */
typedef const struct backend *backend_entry(int abi, size_t table_size, int (*err)(int code, const char *format, ...));

#endif

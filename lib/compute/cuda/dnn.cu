/* SPDX-License-Identifier: MIT */
/* dnn.cu -- cuDNN's calls for one convolution at a time: its library is found at run time, and only where the toolkit that
 * builds this file has its header.  ARMCHAIR_CUDNN=0 in the environment keeps it out.
 *
 * cuDNN's calls name sizes in the order NCHW whatever the layout, which is said beside them. */
#include "compute/cuda/dnn.h"

#include <stdlib.h>
#include <string.h>

#if __has_include(<cudnn.h>)

#include <dlfcn.h>

#include <cudnn.h>

enum { CHOICES = 2 * CUDNN_CONVOLUTION_FWD_ALGO_COUNT }; /* an algorithm may be listed twice, by its kind of products */

static const size_t workspace_most = (size_t)1 << 30;

#define CUDNN_CALLS(CALL) \
    CALL(cudnnGetVersion) \
    CALL(cudnnGetErrorString) \
    CALL(cudnnCreate) \
    CALL(cudnnDestroy) \
    CALL(cudnnSetStream) \
    CALL(cudnnCreateTensorDescriptor) \
    CALL(cudnnDestroyTensorDescriptor) \
    CALL(cudnnSetTensor4dDescriptor) \
    CALL(cudnnCreateFilterDescriptor) \
    CALL(cudnnDestroyFilterDescriptor) \
    CALL(cudnnSetFilter4dDescriptor) \
    CALL(cudnnCreateConvolutionDescriptor) \
    CALL(cudnnDestroyConvolutionDescriptor) \
    CALL(cudnnSetConvolution2dDescriptor) \
    CALL(cudnnSetConvolutionMathType) \
    CALL(cudnnGetConvolutionForwardAlgorithm_v7) \
    CALL(cudnnGetConvolutionForwardWorkspaceSize) \
    CALL(cudnnConvolutionForward) \
    CALL(cudnnGetConvolutionBackwardFilterAlgorithm_v7) \
    CALL(cudnnGetConvolutionBackwardFilterWorkspaceSize) \
    CALL(cudnnConvolutionBackwardFilter)

struct library {
#define MEMBER(name) decltype(&::name) name;
    CUDNN_CALLS(MEMBER)
#undef MEMBER
};

struct cuda_dnn_plan {
    struct cuda_dnn_shape shape;
    bool usable;
    cudnnTensorDescriptor_t x, y;         /* owned, as the next two */
    cudnnFilterDescriptor_t w;
    cudnnConvolutionDescriptor_t conv;
    cudnnConvolutionFwdAlgo_t forward;    /* one of the two, by the shape's kind */
    cudnnConvolutionBwdFilterAlgo_t gradient;
    size_t workspace;                     /* bytes */
    struct cuda_dnn_plan *next;
};

struct cuda_dnn {
    struct library call;
    cudnnHandle_t handle;
    struct cuda_dnn_plan *first;
};

/* ---- the library ------------------------------------------------------------------------------------------------------ */

/* All of the calls, or false.  The library stays loaded. */
static bool load(struct library *l)
{
#ifdef CUDA_EMULATED
#define FILL(name) l->name = name;
    CUDNN_CALLS(FILL)
#else
    void *object = dlopen("libcudnn.so.9", RTLD_NOW | RTLD_LOCAL);

    if (!object)
        object = dlopen("libcudnn.so", RTLD_NOW | RTLD_LOCAL);
    if (!object)
        return false;
#define FILL(name) \
    if (!(l->name = (decltype(l->name))dlsym(object, #name))) \
        return false;
    CUDNN_CALLS(FILL)
#endif
#undef FILL
    return l->cudnnGetVersion() / 10000 == CUDNN_MAJOR;
}

int cuda_dnn_open(struct cuda *c)
{
    const char *wish = getenv("ARMCHAIR_CUDNN");
    struct cuda_dnn *d;

    if (wish && strcmp(wish, "0") == 0)
        return 0;
    if (!(d = (struct cuda_dnn *)calloc(1, sizeof *d)))
        return cuda_err(ERR_NOMEM, "no memory for cuDNN");
    c->dnn = d;
    if (!load(&d->call) || d->call.cudnnCreate(&d->handle) != CUDNN_STATUS_SUCCESS ||
        d->call.cudnnSetStream(d->handle, c->stream) != CUDNN_STATUS_SUCCESS)
        cuda_dnn_close(c);
    return 0;
}

static void free_plan(const struct library *l, struct cuda_dnn_plan *p)
{
    if (p->x)
        l->cudnnDestroyTensorDescriptor(p->x);
    if (p->y)
        l->cudnnDestroyTensorDescriptor(p->y);
    if (p->w)
        l->cudnnDestroyFilterDescriptor(p->w);
    if (p->conv)
        l->cudnnDestroyConvolutionDescriptor(p->conv);
    free(p);
}

void cuda_dnn_close(struct cuda *c)
{
    struct cuda_dnn *d = c->dnn;

    if (!d)
        return;
    for (struct cuda_dnn_plan *p = d->first, *next; p; p = next) {
        next = p->next;
        free_plan(&d->call, p);
    }
    if (d->handle)
        d->call.cudnnDestroy(d->handle);
    free(d);
    c->dnn = NULL;
}

/* ---- plans ------------------------------------------------------------------------------------------------------------ */

static bool ok(cudnnStatus_t s)
{
    return s == CUDNN_STATUS_SUCCESS;
}

static cudnnDataType_t type_of(enum dtype type)
{
    return type == DTYPE_BF16 ? CUDNN_DATA_BFLOAT16 : type == DTYPE_F16 ? CUDNN_DATA_HALF : CUDNN_DATA_FLOAT;
}

/* FMA: f32 factors as they are, no TF32. */
static cudnnMathType_t math_of(enum dtype type)
{
    return type == DTYPE_F32 ? CUDNN_FMA_MATH : CUDNN_TENSOR_OP_MATH;
}

/* cuDNN counts the elements of a tensor in 31 bits. */
static bool fits(const struct cuda_dnn_shape *s)
{
    int64_t channels = s->in > s->out ? s->in : s->out;

    return s->n * s->h * s->w <= INT32_MAX / channels && s->in * s->out <= INT32_MAX / (s->k * s->k);
}

static bool describe(const struct library *l, struct cuda_dnn_plan *p)
{
    const struct cuda_dnn_shape *s = &p->shape;
    int n = (int)s->n, h = (int)s->h, w = (int)s->w, in = (int)s->in, out = (int)s->out, k = (int)s->k, pad = (k - 1) / 2;
    cudnnDataType_t type = type_of(s->type);

    return ok(l->cudnnCreateTensorDescriptor(&p->x)) && ok(l->cudnnCreateTensorDescriptor(&p->y)) &&
           ok(l->cudnnCreateFilterDescriptor(&p->w)) && ok(l->cudnnCreateConvolutionDescriptor(&p->conv)) &&
           ok(l->cudnnSetTensor4dDescriptor(p->x, CUDNN_TENSOR_NHWC, type, n, in, h, w)) &&
           ok(l->cudnnSetTensor4dDescriptor(p->y, CUDNN_TENSOR_NHWC, type, n, out, h, w)) &&
           ok(l->cudnnSetFilter4dDescriptor(p->w, type, CUDNN_TENSOR_NHWC, out, in, k, k)) &&
           ok(l->cudnnSetConvolution2dDescriptor(p->conv, pad, pad, 1, 1, 1, 1, CUDNN_CROSS_CORRELATION,
                                                 CUDNN_DATA_FLOAT)) &&
           ok(l->cudnnSetConvolutionMathType(p->conv, math_of(s->type)));
}

static bool exact(cudnnConvolutionFwdAlgo_t a)
{
    return a == CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM || a == CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM ||
           a == CUDNN_CONVOLUTION_FWD_ALGO_GEMM || a == CUDNN_CONVOLUTION_FWD_ALGO_DIRECT;
}

static bool exact(cudnnConvolutionBwdFilterAlgo_t a)
{
    return a == CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1;
}

/* The first, which cuDNN thinks fastest, that will do; size(algorithm): asks for its workspace. */
template <class P, class A, class F>
static bool choose(const struct library *l, struct cuda_dnn_plan *p, A *algorithm, const P *list, int count, F size)
{
    for (int i = 0; i < count; i++) {
        const P *a = &list[i];

        if (ok(a->status) && a->determinism == CUDNN_DETERMINISTIC && exact(a->algo) &&
            (p->shape.type != DTYPE_F32 || a->mathType == CUDNN_FMA_MATH) &&
            ok(l->cudnnSetConvolutionMathType(p->conv, a->mathType)) && ok(size(a->algo)) &&
            p->workspace <= workspace_most) {
            *algorithm = a->algo;
            return true;
        }
    }
    return false;
}

static bool plan_forward(const struct cuda_dnn *d, struct cuda_dnn_plan *p)
{
    const struct library *l = &d->call;
    cudnnConvolutionFwdAlgoPerf_t list[CHOICES];
    int count = 0;

    return ok(l->cudnnGetConvolutionForwardAlgorithm_v7(d->handle, p->x, p->w, p->conv, p->y, CHOICES, &count, list)) &&
           choose(l, p, &p->forward, list, count, [&](cudnnConvolutionFwdAlgo_t a) {
               return l->cudnnGetConvolutionForwardWorkspaceSize(d->handle, p->x, p->w, p->conv, p->y, a, &p->workspace);
           });
}

static bool plan_gradient(const struct cuda_dnn *d, struct cuda_dnn_plan *p)
{
    const struct library *l = &d->call;
    cudnnConvolutionBwdFilterAlgoPerf_t list[CHOICES];
    int count = 0;

    return ok(l->cudnnGetConvolutionBackwardFilterAlgorithm_v7(d->handle, p->x, p->y, p->conv, p->w, CHOICES, &count,
                                                               list)) &&
           choose(l, p, &p->gradient, list, count, [&](cudnnConvolutionBwdFilterAlgo_t a) {
               return l->cudnnGetConvolutionBackwardFilterWorkspaceSize(d->handle, p->x, p->y, p->conv, p->w, a,
                                                                        &p->workspace);
           });
}

static bool same(const struct cuda_dnn_shape *a, const struct cuda_dnn_shape *b)
{
    return a->n == b->n && a->h == b->h && a->w == b->w && a->in == b->in && a->out == b->out && a->k == b->k &&
           a->type == b->type && a->gradient == b->gradient;
}

struct cuda_dnn_plan *cuda_dnn_find(struct cuda *c, const struct cuda_dnn_shape *s, size_t *workspace)
{
    struct cuda_dnn *d = c->dnn;
    struct cuda_dnn_plan *p;

    *workspace = 0;
    if (!d || !fits(s))
        return NULL;
    for (p = d->first; p && !same(&p->shape, s);)
        p = p->next;
    if (!p) {
        if (!(p = (struct cuda_dnn_plan *)calloc(1, sizeof *p)))
            return NULL;
        p->shape = *s;
        p->usable = describe(&d->call, p) && (s->gradient ? plan_gradient(d, p) : plan_forward(d, p));
        p->next = d->first;
        d->first = p;
    }
    *workspace = p->usable ? p->workspace : 0;
    return p->usable ? p : NULL;
}

/* ---- doing it --------------------------------------------------------------------------------------------------------- */

/* 1: it was planned, but cannot be done; it is not tried again. */
static int check(const struct cuda_dnn *d, struct cuda_dnn_plan *p, cudnnStatus_t s, const char *what)
{
    if (ok(s))
        return 0;
    if (s / 1000 != CUDNN_STATUS_NOT_SUPPORTED / 1000) /* a thousand for each kind of failure */
        return cuda_err(ERR_DEVICE, "cuda: %s: cuDNN: %s", what, d->call.cudnnGetErrorString(s));
    p->usable = false;
    return 1;
}

int cuda_dnn_conv(struct cuda *c, struct cuda_dnn_plan *p, void *y, const void *x, const void *w, float gain, bool add,
                  void *workspace)
{
    const struct cuda_dnn *d = c->dnn;
    float beta = add ? 1.0f : 0.0f;

    return check(d, p, d->call.cudnnConvolutionForward(d->handle, &gain, p->x, x, p->w, w, p->conv, p->forward, workspace,
                                                    p->workspace, &beta, p->y, y), "a convolution");
}

int cuda_dnn_conv_dw(struct cuda *c, struct cuda_dnn_plan *p, void *dw, const void *dy, const void *x, float gain,
                     void *workspace)
{
    const struct cuda_dnn *d = c->dnn;
    float beta = 0.0f;

    return check(d, p, d->call.cudnnConvolutionBackwardFilter(d->handle, &gain, p->x, x, p->y, dy, p->conv, p->gradient,
                                                           workspace, p->workspace, &beta, p->w, dw),
                 "a convolution's gradient");
}

#else

int cuda_dnn_open(struct cuda *)
{
    return 0;
}

void cuda_dnn_close(struct cuda *)
{
}

struct cuda_dnn_plan *cuda_dnn_find(struct cuda *, const struct cuda_dnn_shape *, size_t *workspace)
{
    *workspace = 0;
    return NULL;
}

int cuda_dnn_conv(struct cuda *, struct cuda_dnn_plan *, void *, const void *, const void *, float, bool, void *)
{
    return cuda_err(ERR_UNSUPPORTED, "cuda: built without cuDNN");
}

int cuda_dnn_conv_dw(struct cuda *, struct cuda_dnn_plan *, void *, const void *, const void *, float, void *)
{
    return cuda_err(ERR_UNSUPPORTED, "cuda: built without cuDNN");
}

#endif

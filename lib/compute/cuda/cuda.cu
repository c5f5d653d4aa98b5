/* SPDX-License-Identifier: MIT */
/* cuda.cu -- the CUDA table: opening a device, memory, copies, graphs, and the entry of the shared object. */
#include "compute/cuda/cuda.h"

#include <stdlib.h>
#include <string.h>

enum { CAPABILITY = 8 /* bf16 products */ };

static const size_t staging_half = CUDA_WORKING_STAGING / 2;

int (*cuda_err)(int code, const char *format, ...);

int cuda_check(cudaError_t e, const char *what)
{
    if (e == cudaSuccess)
        return 0;
    cudaGetLastError(); /* a failed launch is said once */
    return cuda_err(e == cudaErrorMemoryAllocation ? ERR_NOMEM : ERR_DEVICE, "cuda: %s: %s", what, cudaGetErrorString(e));
}

/* ---- opening ------------------------------------------------------------------------------------------------------- */

static int count_devices(int *count)
{
    cudaError_t e = cudaGetDeviceCount(count);
    int driver = 0, built = 0;

    cudaGetLastError();
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&built);
    if (e == cudaErrorInsufficientDriver && driver == 0)
        return cuda_err(ERR_UNSUPPORTED, "cuda: this machine has no NVIDIA driver");
    if (e == cudaErrorInsufficientDriver)
        return cuda_err(ERR_UNSUPPORTED, "cuda: the NVIDIA driver is too old: it knows CUDA %d.%d, this build is for %d.%d",
                        driver / 1000, driver % 1000 / 10, built / 1000, built % 1000 / 10);
    if (e == cudaErrorNoDevice || (e == cudaSuccess && *count < 1))
        return cuda_err(ERR_UNSUPPORTED, "cuda: this machine has no NVIDIA GPU that may be used");
    return cuda_check(e, "counting devices");
}

static int choose_device(struct cuda *c, int index)
{
    cudaDeviceProp p;
    int count = 0, rc = count_devices(&count);

    if (rc != 0)
        return rc;
    if (index >= count)
        return cuda_err(ERR_ARG, "there is no device cuda:%d; this machine has %d", index, count);
    if ((rc = cuda_check(cudaSetDevice(index), "choosing a device")) != 0 ||
        (rc = cuda_check(cudaGetDeviceProperties(&p, index), "asking for its properties")) != 0)
        return rc;
    if (p.major < CAPABILITY)
        return cuda_err(ERR_UNSUPPORTED, "cuda: %s has compute capability %d.%d; %d.0 is the least", p.name, p.major,
                        p.minor, CAPABILITY);
    c->index = index;
    c->multiprocessors = p.multiProcessorCount;
    c->shared_most = p.sharedMemPerBlockOptin;
    return 0;
}

static void cuda_close(void *self)
{
    struct cuda *c = (struct cuda *)self;

    cuda_dnn_close(c);
    cuda_products_close(c);
    if (c->scratch)
        cudaFree(c->scratch);
    if (c->staging)
        cudaFreeHost(c->staging);
    for (int i = 0; i < 2; i++)
        if (c->staged[i])
            cudaEventDestroy(c->staged[i]);
    if (c->fetching.staging)
        cudaFreeHost(c->fetching.staging);
    if (c->fetching.marked)
        cudaEventDestroy(c->fetching.marked);
    if (c->fetching.stream)
        cudaStreamDestroy(c->fetching.stream);
    if (c->stream)
        cudaStreamDestroy(c->stream);
    free(c);
}

static int prepare(struct cuda *c, int index)
{
    int rc;

    if ((rc = choose_device(c, index)) != 0 ||
        (rc = cuda_check(cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking), "making a stream")) != 0 ||
        (rc = cuda_check(cudaHostAlloc(&c->staging, CUDA_WORKING_STAGING, cudaHostAllocDefault), "pinned memory")) != 0)
        return rc;
    for (int i = 0; i < 2; i++)
        if ((rc = cuda_check(cudaEventCreateWithFlags(&c->staged[i], cudaEventDisableTiming), "making an event")) != 0)
            return rc;
    return (rc = cuda_products_open(c)) != 0 ? rc : cuda_dnn_open(c);
}

static int cuda_open(void **self, int index)
{
    struct cuda *c = (struct cuda *)calloc(1, sizeof *c);
    int rc;

    *self = NULL;
    if (!c)
        return cuda_err(ERR_NOMEM, "no memory for a device");
    if ((rc = prepare(c, index)) != 0) {
        cuda_close(c);
        return rc;
    }
    *self = c;
    return 0;
}

static int cuda_precision(void *self, enum precision p)
{
    ((struct cuda *)self)->precision = p;
    return 0;
}

static bool cuda_fast(void *, enum precision)
{
    return true;
}

static bool cuda_stores(void *, enum dtype)
{
    return true;
}

/* ---- memory -------------------------------------------------------------------------------------------------------- */

static int cuda_wait(void *self)
{
    struct cuda *c = (struct cuda *)self;

    return cuda_check(cudaStreamSynchronize(c->stream), "waiting for the device");
}

static int allocate(void **data, size_t size, const char *what)
{
    size_t free = 0, total = 0;
    cudaError_t e = cudaMalloc(data, size);

    if (e != cudaErrorMemoryAllocation)
        return cuda_check(e, what);
    cudaGetLastError();
    cudaMemGetInfo(&free, &total);
    return cuda_err(ERR_NOMEM, "cuda: no memory for %.1f MiB (%s): %.1f of the device's %.1f MiB are free; --dry-run prints "
                    "what is needed", (double)size / 1048576, what, (double)free / 1048576, (double)total / 1048576);
}

static int cuda_alloc(void *self, void **data, size_t size)
{
    struct cuda *c = (struct cuda *)self;
    int rc;

    *data = NULL;
    if ((rc = allocate(data, size, "one block")) != 0)
        return rc;
    if ((rc = cuda_check(cudaMemsetAsync(*data, 0, size, c->stream), "clearing memory")) != 0) {
        cudaFree(*data);
        *data = NULL;
    }
    return rc;
}

static void cuda_dealloc(void *self, void *data, size_t)
{
    cudaStreamSynchronize(((struct cuda *)self)->stream);
    cudaFree(data);
}

static int cuda_alloc_shared(void *, void **data, size_t size)
{
    int rc = cuda_check(cudaHostAlloc(data, size, cudaHostAllocMapped | cudaHostAllocPortable), "shared memory");

    if (rc == 0)
        memset(*data, 0, size);
    return rc;
}

static void cuda_dealloc_shared(void *self, void *data, size_t)
{
    cudaStreamSynchronize(((struct cuda *)self)->stream);
    cudaFreeHost(data);
}

void *cuda_scratch(struct cuda *c, size_t size)
{
    if (c->scratch && size <= c->scratch_size)
        return c->scratch;
    if (c->capturing) {
        cuda_err(ERR_DEVICE, "cuda: working memory would grow while a graph is recorded");
        return NULL;
    }
    if (c->scratch) {
        cudaStreamSynchronize(c->stream);
        cudaFree(c->scratch);
    }
    c->scratch = NULL;
    c->scratch_size = 0;
    size = cuda_working_scratch(size);
    if (allocate(&c->scratch, size, "working memory") != 0)
        return NULL;
    c->scratch_size = size;
    return c->scratch;
}

static size_t cuda_holds(void *self)
{
    return CUDA_WORKING_PRODUCTS + ((struct cuda *)self)->scratch_size;
}

/* By way of pinned memory, in two halves by turns: the caller's memory is free at once, and the device is not waited for. */
static int cuda_upload(void *self, void *to, const void *host, size_t size)
{
    struct cuda *c = (struct cuda *)self;
    int rc = 0;

    for (size_t at = 0; rc == 0 && at < size; at += staging_half) {
        size_t part = size - at < staging_half ? size - at : staging_half;
        char *half = (char *)c->staging + (size_t)c->turn * staging_half;

        if ((rc = cuda_check(cudaEventSynchronize(c->staged[c->turn]), "waiting for an upload")) != 0)
            return rc;
        memcpy(half, (const char *)host + at, part);
        if ((rc = cuda_check(cudaMemcpyAsync((char *)to + at, half, part, cudaMemcpyDefault, c->stream), "upload")) == 0)
            rc = cuda_check(cudaEventRecord(c->staged[c->turn], c->stream), "upload");
        c->turn = !c->turn;
    }
    return rc;
}

int cuda_download(void *self, void *host, const void *from, size_t size)
{
    struct cuda *c = (struct cuda *)self;
    int rc;

    if (size == 0)
        return 0;
    rc = cuda_check(cudaMemcpyAsync(host, from, size, cudaMemcpyDefault, c->stream), "download");
    return rc == 0 ? cuda_wait(c) : rc;
}

int cuda_zero(void *self, void *data, size_t size)
{
    return size ? cuda_check(cudaMemsetAsync(data, 0, size, ((struct cuda *)self)->stream), "clearing memory") : 0;
}

/* ---- copies beside the owner's calls ------------------------------------------------------------------------------- */

static int prepare_fetching(struct cuda_fetching *f)
{
    int rc = 0;

    if (!f->stream)
        rc = cuda_check(cudaStreamCreateWithFlags(&f->stream, cudaStreamNonBlocking), "making a stream");
    if (rc == 0 && !f->marked)
        rc = cuda_check(cudaEventCreateWithFlags(&f->marked, cudaEventDisableTiming), "making an event");
    if (rc == 0)
        rc = cuda_check(cudaHostAlloc(&f->staging, CUDA_WORKING_FETCHING, cudaHostAllocDefault), "pinned memory");
    return rc;
}

static int cuda_mark(void *self)
{
    struct cuda *c = (struct cuda *)self;
    int rc = 0;

    if (c->capturing)
        return cuda_err(ERR_DEVICE, "cuda: a mark inside of what is repeated");
    if (!c->fetching.staging)
        rc = prepare_fetching(&c->fetching);
    return rc != 0 ? rc : cuda_check(cudaEventRecord(c->fetching.marked, c->stream), "a mark");
}

/* Of the device's state it reads only what the first mark left for good.  The owner may record a graph meanwhile: recording is
 * a matter of the owner's thread alone. */
static int cuda_fetch(void *self, void *host, const void *from, size_t size)
{
    const struct cuda *c = (const struct cuda *)self;
    const struct cuda_fetching *f = &c->fetching;
    int rc;

    if (!f->staging)
        return cuda_err(ERR_ARG, "cuda: a fetch before the first mark");
    if ((rc = cuda_check(cudaSetDevice(c->index), "choosing a device")) != 0 ||
        (rc = cuda_check(cudaStreamWaitEvent(f->stream, f->marked, 0), "waiting for a mark")) != 0)
        return rc;
    for (size_t at = 0; rc == 0 && at < size; at += CUDA_WORKING_FETCHING) {
        size_t part = size - at < CUDA_WORKING_FETCHING ? size - at : CUDA_WORKING_FETCHING;

        if ((rc = cuda_check(cudaMemcpyAsync(f->staging, (const char *)from + at, part, cudaMemcpyDefault, f->stream),
                             "fetching")) == 0 &&
            (rc = cuda_check(cudaStreamSynchronize(f->stream), "fetching")) == 0)
            memcpy((char *)host + at, f->staging, part);
    }
    return rc;
}

/* ---- graphs -------------------------------------------------------------------------------------------------------- */

/* Record what one call asks for. */
static int capture(struct cuda *c, cudaGraphExec_t *exec, int (*step)(void *arg), void *arg)
{
    cudaGraph_t graph = NULL;
    int rc, end;

    *exec = NULL;
    if ((rc = cuda_check(cudaStreamBeginCapture(c->stream, cudaStreamCaptureModeThreadLocal), "recording a graph")) != 0)
        return rc;
    c->capturing = true;
    rc = step(arg);
    c->capturing = false;
    if (rc != 0) { /* keep its reason */
        cudaStreamEndCapture(c->stream, &graph);
        cudaGetLastError();
    } else if ((end = cuda_check(cudaStreamEndCapture(c->stream, &graph), "recording a graph")) != 0) {
        rc = end;
    } else {
        rc = cuda_check(cudaGraphInstantiate(exec, graph, 0), "making a graph");
    }
    if (graph)
        cudaGraphDestroy(graph);
    return rc;
}

/* The first call is a plain one: it grows the working memory.  The second is recorded. */
static int cuda_repeat(void *self, int64_t times, int (*step)(void *arg), void *arg)
{
    struct cuda *c = (struct cuda *)self;
    cudaGraphExec_t exec;
    int rc = step(arg);

    if (rc != 0 || times == 1)
        return rc;
    if ((rc = capture(c, &exec, step, arg)) != 0)
        return rc;
    for (int64_t i = 1; rc == 0 && i < times; i++)
        rc = cuda_check(cudaGraphLaunch(exec, c->stream), "launching a graph");
    if (rc == 0)
        rc = cuda_wait(c);
    cudaGraphExecDestroy(exec);
    return rc;
}

/* ---- the table ----------------------------------------------------------------------------------------------------- */

static struct backend table(void)
{
    struct backend t = {};

    t.name = "cuda";
    t.open = cuda_open;
    t.close = cuda_close;
    t.precision = cuda_precision;
    t.fast = cuda_fast;
    t.narrow = true;
    t.stores = cuda_stores;
    t.alloc = cuda_alloc;
    t.dealloc = cuda_dealloc;
    t.alloc_shared = cuda_alloc_shared;
    t.dealloc_shared = cuda_dealloc_shared;
    t.upload = cuda_upload;
    t.download = cuda_download;
    t.zero = cuda_zero;
    t.wait = cuda_wait;
    t.repeat = cuda_repeat;
    t.mark = cuda_mark;
    t.fetch = cuda_fetch;
    t.working = cuda_holds;
    t.matmul = cuda_matmul;
    t.norm = cuda_norm;
    t.norm_grad = cuda_norm_grad;
    t.relu = cuda_relu;
    t.add = cuda_add;
    t.copy = cuda_copy;
    t.filter = cuda_filter;
    t.attn = cuda_attn;
    t.attn_grad = cuda_attn_grad;
    t.embed = cuda_embed;
    t.embed_grad = cuda_embed_grad;
    t.cross_entropy = cuda_cross_entropy;
    t.laplace = cuda_laplace;
    t.adam = cuda_adam;
    t.sum_squares = cuda_sum_squares;
    t.conv = cuda_conv;
    t.conv_dx = cuda_conv_dx;
    t.conv_dw = cuda_conv_dw;
    t.max_pool = cuda_max_pool;
    t.max_pool_grad = cuda_max_pool_grad;
    t.upsample = cuda_upsample;
    t.upsample_grad = cuda_upsample_grad;
    t.gumbel = cuda_gumbel;
    t.gumbel_grad = cuda_gumbel_grad;
    t.gumbel_max = cuda_gumbel_max;
    t.thin_size = cuda_thin_size;
    t.thin_pack = cuda_thin_pack;
    t.thin = cuda_thin;
    t.cache_text = cuda_cache_text;
    t.attn_cache = cuda_attn_cache;
    t.choose = cuda_choose;
    t.next = cuda_next;
    return t;
}

extern "C" __attribute__((visibility("default"))) const struct backend *
armchair_backend(int abi, size_t table_size, int (*err)(int code, const char *format, ...))
{
    static struct backend ops;

    if (abi != BACKEND_ABI || table_size != sizeof ops)
        return NULL;
    cuda_err = err;
    ops = table();
    return &ops;
}

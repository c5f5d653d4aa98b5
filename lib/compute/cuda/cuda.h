/* SPDX-License-Identifier: MIT */
/* cuda.h -- the CUDA backend's own pieces: its state, launches, and what its kernels share.
 *
 * A file cuda/x.cu holds what compute/x.h describes; cpu/x.c is its meaning.  Everything goes into one stream, in the order
 * of the calls, and nothing waits but downloads, sums for the host, and device_wait.  Fetches come from another thread and have
 * a stream and pinned memory of their own.
 *
 * Order    no atomic sums: same bytes every time on the same kind of device.  A row's bytes do not depend on the rows beside it,
 *          but for products and convolutions: their libraries choose by the number of rows and where these begin
 * Errors   every launch is checked at once, what it did at the next wait: ERR_DEVICE, final
 * Builds   nvcc makes libarmchair_cuda.so (Makefile); tests/emulator compiles the same files for the host.  Kernels therefore
 *          keep to what both know: launches by cuda_launch, dynamic shared memory by CUDA_SHARED, PTX in ptx.h alone
 */
#ifndef COMPUTE_CUDA_CUDA_H
#define COMPUTE_CUDA_CUDA_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cuda_runtime.h>

#include <cublasLt.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "base/rng.h"

extern "C" {
#include "compute/backend.h"
}

#include "compute/cuda/working.h"

#ifndef CUDA_SHARED
#define CUDA_SHARED(name) extern __shared__ __align__(128) unsigned char name[]
#endif

typedef __nv_bfloat16 bf16;
typedef __half f16;

/* ---- the device ---------------------------------------------------------------------------------------------------- */

struct cuda_products; /* descriptions of products by shape: matmul.cu */
struct cuda_dnn;      /* cuDNN, where it is found: dnn.cu */

/* What a fetch uses beside the owner's calls; made by the first mark. */
struct cuda_fetching {
    cudaStream_t stream; /* owned */
    cudaEvent_t marked;  /* owned: recorded in the owner's stream */
    void *staging;       /* owned: pinned, CUDA_WORKING_FETCHING bytes; NULL: nothing was marked yet */
};

struct cuda {
    int index;                      /* which device */
    cudaStream_t stream;            /* owned */
    enum precision precision;
    int multiprocessors;
    size_t shared_most;             /* bytes of shared memory that a block may have */
    bool capturing;                 /* a graph is being recorded: nothing may be allocated */
    void *scratch;                  /* owned: grows to the largest piece asked for, then stays */
    size_t scratch_size;            /* bytes */
    void *staging;                  /* owned: pinned, CUDA_WORKING_STAGING bytes; uploads pass through its halves by turns */
    cudaEvent_t staged[2];          /* owned: the last upload has left a half */
    int turn;                       /* the half that is next */
    struct cuda_fetching fetching;
    struct cuda_products *products; /* owned */
    struct cuda_dnn *dnn;           /* owned; NULL: not found */
};

/* The program's err_set, which the entry function receives: one place keeps the reason of a failure. */
extern int (*cuda_err)(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* 0, or ERR_NOMEM or ERR_DEVICE with "cuda: what: the runtime's words". */
must_check int cuda_check(cudaError_t e, const char *what);

/* Working memory until the next call, 256-byte aligned, not zeroed; NULL when there is none (reason recorded).  working.h
 * measures what training asks for; several pieces are added up first and then taken in order. */
void *cuda_scratch(struct cuda *c, size_t size);

/* More dynamic shared memory is to be asked for: 48 KB less what kernels have of the static kind. */
enum { CUDA_SHARED_PLAIN = 32 << 10 };

/* Launch a kernel; nothing where the grid is empty. */
template <class... P, class... A>
must_check static inline int cuda_launch(struct cuda *c, const char *what, void (*kernel)(P...), dim3 grid, dim3 block,
                                         size_t shared, A... args)
{
    cudaLaunchConfig_t how = {};
    cudaError_t e;

    if (grid.x == 0 || grid.y == 0 || grid.z == 0)
        return 0;
    how.gridDim = grid;
    how.blockDim = block;
    how.dynamicSmemBytes = shared;
    how.stream = c->stream;
    if (shared > c->shared_most)
        return cuda_err(ERR_UNSUPPORTED, "cuda: %s: needs %zu bytes of shared memory in a block; this GPU has %zu", what, shared,
                        c->shared_most);
    if (shared > CUDA_SHARED_PLAIN &&
        (e = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared)) != cudaSuccess)
        return cuda_check(e, what);
    return cuda_check(cudaLaunchKernelEx(&how, kernel, static_cast<P>(args)...), what);
}

/* Blocks of `threads` for n elements, at most so many that each multiprocessor has 16; kernels stride over the rest. */
static inline unsigned cuda_blocks(const struct cuda *c, int64_t n, int64_t threads)
{
    int64_t blocks = (n + threads - 1) / threads, most = 16 * (int64_t)c->multiprocessors;

    return (unsigned)(blocks < most ? blocks : most);
}

#define CUDA_F32(t) ((float *)(t)->data)
#define CUDA_I32(t) ((int32_t *)(t)->data)

/* ---- types --------------------------------------------------------------------------------------------------------- */

/* Call f<T>() for the type of a tensor of numbers. */
template <class F> static inline int cuda_typed(enum dtype type, F f)
{
    switch (type) {
    case DTYPE_F32: return f.template operator()<float>();
    case DTYPE_BF16: return f.template operator()<bf16>();
    case DTYPE_F16: return f.template operator()<f16>();
    default: return cuda_err(ERR_UNSUPPORTED, "cuda: a tensor of integers where numbers are needed");
    }
}

__device__ static __forceinline__ float to_f32(float x) { return x; }
__device__ static __forceinline__ float to_f32(bf16 x) { return __bfloat162float(x); }
__device__ static __forceinline__ float to_f32(f16 x) { return __half2float(x); }

template <class T> __device__ static __forceinline__ T from_f32(float x);
template <> __device__ __forceinline__ float from_f32<float>(float x) { return x; }
template <> __device__ __forceinline__ bf16 from_f32<bf16>(float x) { return __float2bfloat16_rn(x); }
template <> __device__ __forceinline__ f16 from_f32<f16>(float x) { return __float2half_rn(x); }

/* N numbers that are loaded and stored together. */
template <class T, int N> struct alignas(sizeof(T) * N) pack {
    T v[N];
};

/* gelu(x) = x sigmoid(1.702 x), and its derivative. */
__device__ static __forceinline__ float cuda_gelu(float x)
{
    return x / (1.0f + expf(-1.702f * x));
}

__device__ static __forceinline__ float cuda_gelu_grad(float x)
{
    float s = 1.0f / (1.0f + expf(-1.702f * x));

    return s * (1.0f + 1.702f * x * (1.0f - s));
}

/* ---- sums ---------------------------------------------------------------------------------------------------------- */

struct add_up {
    template <class T> __device__ T operator()(T a, T b) const { return a + b; }
};

struct larger_of {
    template <class T> __device__ T operator()(T a, T b) const { return a > b ? a : b; }
};

/* A number and where it stands; the larger one, of equal ones the first.  NaN never wins over a number that came before. */
struct cuda_candidate {
    float x;
    int32_t at;
};

struct cuda_better {
    __device__ cuda_candidate operator()(cuda_candidate a, cuda_candidate b) const
    {
        return b.x > a.x || (b.x == a.x && b.at < a.at) ? b : a;
    }
};

__device__ static __forceinline__ cuda_candidate shuffle_xor(cuda_candidate v, int by)
{
    return {__shfl_xor_sync(0xffffffffu, v.x, by), __shfl_xor_sync(0xffffffffu, v.at, by)};
}

template <class T> __device__ static __forceinline__ T shuffle_xor(T v, int by)
{
    return __shfl_xor_sync(0xffffffffu, v, by);
}

template <class T, class F> __device__ static __forceinline__ T warp_all(T v, F f)
{
    for (int by = 16; by > 0; by /= 2)
        v = f(v, shuffle_xor(v, by));
    return v;
}

/* Over a block of whole warps, in a fixed order; memory: 33 T of shared memory, which may be used again at once. */
template <class T, class F> __device__ static __forceinline__ T block_all(T v, F f, T *memory)
{
    int warps = (int)(blockDim.x / 32), warp = (int)(threadIdx.x / 32), lane = (int)(threadIdx.x % 32);

    v = warp_all(v, f);
    if (warps == 1)
        return v;
    if (lane == 0)
        memory[warp] = v;
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int i = 1; i < warps; i++)
            v = f(v, memory[i]);
        memory[32] = v;
    }
    __syncthreads();
    v = memory[32];
    __syncthreads();
    return v;
}

/* out[n] += gain * sum over m of x[m,n], in a fixed order; memory: cuda_working_add_rows bytes of the device's. */
must_check int cuda_add_rows(struct cuda *c, float *out, const void *x, enum dtype type, int64_t m, int64_t n, float gain,
                             void *memory);

/* y = x in another type, n numbers. */
must_check int cuda_convert(struct cuda *c, void *y, enum dtype to, const void *x, enum dtype from, int64_t n);

/* ---- the table ----------------------------------------------------------------------------------------------------- */

int cuda_download(void *self, void *host, const void *from, size_t size);
int cuda_zero(void *self, void *data, size_t size);
int cuda_products_open(struct cuda *c);
void cuda_products_close(struct cuda *c);
int cuda_dnn_open(struct cuda *c);
void cuda_dnn_close(struct cuda *c);

int cuda_matmul(void *self, tensor_in y, tensor_in a, tensor_in b, tensor_in bias, struct matmul how);
int cuda_norm(void *self, tensor_in y, tensor_in mean, tensor_in rstd, tensor_in x, tensor_in g, tensor_in b, float eps);
int cuda_norm_grad(void *self, tensor_in dx, tensor_in dg, tensor_in db, tensor_in dy, tensor_in x, tensor_in mean,
                   tensor_in rstd, tensor_in g, float scale, bool filter);
int cuda_relu(void *self, tensor_in y, tensor_in x);
int cuda_add(void *self, tensor_in y, tensor_in x, float s);
int cuda_copy(void *self, tensor_in y, tensor_in x);
int cuda_filter(void *self, tensor_in y, tensor_in x, float s);
int cuda_attn(void *self, tensor_in out, tensor_in lse, tensor_in qkv, const struct attn *a);
int cuda_attn_grad(void *self, tensor_in dqkv, tensor_in dout, tensor_in out, tensor_in lse, tensor_in qkv,
                   const struct attn *a);
int cuda_embed(void *self, tensor_in y, tensor_in table, tensor_in index, bool add);
int cuda_embed_grad(void *self, tensor_in dtable, tensor_in dy, tensor_in index);
int cuda_cross_entropy(void *self, tensor_in loss, tensor_in x, tensor_in target, float scale);
int cuda_laplace(void *self, tensor_in nll, tensor_in y, tensor_in x, float scale);
int cuda_adam(void *self, tensor_in p, tensor_in m, tensor_in v, tensor_in g, const struct adam *how);
int cuda_sum_squares(void *self, struct squares *sums, tensor_in x, int64_t count);
int cuda_conv(void *self, tensor_in y, tensor_in x, tensor_in w, tensor_in bias, struct conv how);
int cuda_conv_dx(void *self, tensor_in dx, tensor_in dy, tensor_in w, tensor_in mask, struct conv how);
int cuda_conv_dw(void *self, tensor_in dw, tensor_in db, tensor_in dy, tensor_in x, struct conv how);
int cuda_max_pool(void *self, tensor_in y, tensor_in x);
int cuda_max_pool_grad(void *self, tensor_in dx, tensor_in dy, tensor_in x);
int cuda_upsample(void *self, tensor_in y, tensor_in x);
int cuda_upsample_grad(void *self, tensor_in dx, tensor_in dy);
int cuda_gumbel(void *self, tensor_in y, tensor_in kl, tensor_in x, const struct gumbel *how);
int cuda_gumbel_grad(void *self, tensor_in dx, tensor_in dy, tensor_in y, tensor_in x, float tau, float kl_scale);
int cuda_gumbel_max(void *self, tensor_in code, tensor_in x, const struct gumbel *how);
size_t cuda_thin_size(void *self, int64_t n, int64_t k);
int cuda_thin_pack(void *self, void *packed, tensor_in w);
int cuda_thin(void *self, tensor_in y, tensor_in x, const void *packed, tensor_in bias, struct thin how);
int cuda_cache_text(void *self, const struct attn_cache *c, tensor_in qkv, const struct attn *a, int64_t caption);
int cuda_attn_cache(void *self, tensor_in out, const struct attn_cache *c, tensor_in qkv, tensor_in caption,
                    tensor_in position, const struct attn *a);
int cuda_choose(void *self, tensor_in codes, tensor_in logits, tensor_in step, tensor_in position, const struct choose *how);
int cuda_next(void *self, tensor_in position, tensor_in slot, tensor_in codes, int64_t width);

#endif

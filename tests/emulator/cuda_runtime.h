/* SPDX-License-Identifier: MIT */
/* cuda_runtime.h -- CUDA C++ on the host, as far as lib/compute/cuda needs it, so that its kernels' arithmetic, indices and
 * barriers are tested on a machine without a GPU.
 *
 * The same .cu files are compiled by the host's C++ compiler with this folder in front of the include path.  Blocks run one
 * after another; the threads of a block are fibers that run until they wait for each other, so that shared memory, barriers,
 * shuffles and the matrix instructions of ptx.h mean what they mean on a GPU.  "Device memory" is the host's, but the host may
 * touch it only while it plays the device: a pointer of one side used on the other stops the program.  Work of a stream is done
 * when it is asked for, unless a graph is being captured: then it is kept and done when the graph is launched.  Threads of the
 * host take turns at the device.  Since work is never late here, a stream that only copies must have waited for an event of
 * another stream's work: without it, a GPU would copy what may not be there yet.
 *
 * EMULATOR_ORDER=reverse runs the threads of a block from the last to the first: results that change miss a barrier.
 *
 * It says nothing about speed, about the order in which memory writes become visible, or about what nvcc and a real GPU
 * refuse: `make check-gpu` does.
 */
#ifndef EMULATOR_CUDA_RUNTIME_H
#define EMULATOR_CUDA_RUNTIME_H

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <tuple>

#define CUDA_EMULATED 1

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __restrict__ __restrict
#define __shared__ static
#define __launch_bounds__(...)
#define __noinline__
/* Dynamic shared memory of a block. */
#define CUDA_SHARED(name) unsigned char *name = emulator_shared()

/* ---- types -------------------------------------------------------------------------------------------------------- */

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};

struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };

/* ---- what a thread knows and does ---------------------------------------------------------------------------------- */

extern dim3 gridDim, blockDim, blockIdx, threadIdx;

unsigned char *emulator_shared(void);
void emulator_block_wait(void);                        /* all threads of the block that have not returned */
const uint64_t *emulator_exchange(const uint64_t *mine, int count); /* all lanes of the warp: [32][EMULATOR_WORDS] */
int emulator_lane(void);
unsigned emulator_live(void);                          /* lanes of the warp that took part in the last exchange */
#define EMULATOR_WORDS 8

static inline void __syncthreads(void) { emulator_block_wait(); }

static inline void __syncwarp(unsigned = 0xffffffffu)
{
    uint64_t none = 0;

    emulator_exchange(&none, 1);
}

template <class T> static inline T emulator_from(T mine, int lane)
{
    uint64_t word = 0;
    const uint64_t *all;
    T out;

    static_assert(sizeof(T) <= sizeof word, "a shuffle moves at most eight bytes");
    memcpy(&word, &mine, sizeof mine);
    all = emulator_exchange(&word, 1);
    memcpy(&out, all + lane * EMULATOR_WORDS, sizeof out);
    return out;
}

template <class T> static inline T __shfl_xor_sync(unsigned, T v, int mask, int = 32)
{
    return emulator_from(v, emulator_lane() ^ mask);
}

static inline unsigned __ballot_sync(unsigned, int yes)
{
    uint64_t word = yes != 0;
    const uint64_t *all = emulator_exchange(&word, 1);
    unsigned live = emulator_live(), bits = 0;

    for (int i = 0; i < 32; i++)
        if (live >> i & 1)
            bits |= (unsigned)all[i * EMULATOR_WORDS] << i;
    return bits;
}

int emulator_block_or(int yes);
static inline int __syncthreads_or(int yes) { return emulator_block_or(yes); }

template <class A, class B> static inline auto min(A a, B b) -> decltype(a + b) { return a < b ? a : b; }
template <class A, class B> static inline auto max(A a, B b) -> decltype(a + b) { return a > b ? a : b; }
static inline int __popc(unsigned v) { return __builtin_popcount(v); }
static inline unsigned long long __brevll(unsigned long long v)
{
    unsigned long long r = 0;

    for (int i = 0; i < 64; i++)
        r |= (v >> i & 1) << (63 - i);
    return r;
}

static inline int __ffs(int v) { return __builtin_ffs(v); }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
static inline float __uint_as_float(unsigned u) { float f; memcpy(&f, &u, 4); return f; }
static inline unsigned __float_as_uint(float f) { unsigned u; memcpy(&u, &f, 4); return u; }
static inline int __float2int_rn(float x) { return (int)lrintf(x); }

/* ---- the runtime --------------------------------------------------------------------------------------------------- */

enum cudaError_t { cudaSuccess = 0, cudaErrorInvalidValue = 1, cudaErrorMemoryAllocation = 2, cudaErrorInsufficientDriver = 35,
                   cudaErrorNoDevice = 100, cudaErrorInvalidDevice = 101, cudaErrorStreamCaptureUnsupported = 900 };
enum cudaMemcpyKind { cudaMemcpyHostToHost, cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice,
                      cudaMemcpyDefault };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
enum cudaStreamCaptureMode { cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal, cudaStreamCaptureModeRelaxed };

typedef struct emulator_stream *cudaStream_t;
typedef struct emulator_graph *cudaGraph_t, *cudaGraphExec_t;
typedef struct emulator_event *cudaEvent_t;

struct cudaDeviceProp {
    char name[256];
    int major, minor, multiProcessorCount;
    size_t totalGlobalMem, sharedMemPerBlockOptin;
};

struct cudaLaunchConfig_t {
    dim3 gridDim, blockDim;
    size_t dynamicSmemBytes;
    cudaStream_t stream;
    void *attrs;
    unsigned numAttrs;
};

enum { cudaStreamNonBlocking = 1, cudaHostAllocDefault = 0, cudaHostAllocPortable = 1, cudaHostAllocMapped = 2,
       cudaEventDisableTiming = 2 };

cudaError_t cudaGetDeviceCount(int *n);
cudaError_t cudaSetDevice(int i);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int i);
cudaError_t cudaDriverGetVersion(int *version);
cudaError_t cudaRuntimeGetVersion(int *version);
cudaError_t cudaMemGetInfo(size_t *free, size_t *total);
cudaError_t cudaGetLastError(void);
const char *cudaGetErrorString(cudaError_t e);
cudaError_t cudaMalloc(void **p, size_t size);
cudaError_t cudaFree(void *p);
cudaError_t cudaHostAlloc(void **p, size_t size, unsigned flags);
cudaError_t cudaFreeHost(void *p);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t s);
cudaError_t cudaStreamSynchronize(cudaStream_t s);
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t size, cudaMemcpyKind kind, cudaStream_t s);
cudaError_t cudaMemsetAsync(void *to, int value, size_t size, cudaStream_t s);
cudaError_t cudaStreamBeginCapture(cudaStream_t s, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t *g);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *e, cudaGraph_t g, unsigned long long flags);
cudaError_t cudaGraphLaunch(cudaGraphExec_t e, cudaStream_t s);
cudaError_t cudaGraphDestroy(cudaGraph_t g);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t e);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *e, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t e);
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s);
cudaError_t cudaEventSynchronize(cudaEvent_t e);
cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned flags);

/* Do it now, or keep it where a graph is being captured. */
cudaError_t emulator_do(cudaStream_t s, std::function<void()> work);
cudaError_t emulator_launch(const cudaLaunchConfig_t *how, const void *kernel, std::function<void()> thread);
cudaError_t emulator_allow(const void *kernel, int size); /* bytes of dynamic shared memory */

template <class T> static inline cudaError_t cudaFuncSetAttribute(T *kernel, cudaFuncAttribute, int value)
{
    return emulator_allow((const void *)kernel, value);
}

template <class... P, class... A>
static inline cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t *how, void (*kernel)(P...), A &&...args)
{
    std::tuple<P...> kept(static_cast<P>(args)...);

    return emulator_launch(how, (const void *)kernel, [kernel, kept] { std::apply(kernel, kept); });
}

#endif

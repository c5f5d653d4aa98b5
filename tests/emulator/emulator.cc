/* SPDX-License-Identifier: MIT */
/* emulator.cc -- fibers for threads, host memory for device memory: see cuda_runtime.h. */
#include "cuda_runtime.h"

#include <atomic>
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <vector>

#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

dim3 gridDim, blockDim, blockIdx, threadIdx;

/* What a GPU would go along with, to any result. */
static void refuse(const char *what)
{
    fprintf(stderr, "emulator: %s\n", what);
    abort();
}

/* ---- fibers --------------------------------------------------------------------------------------------------------- */

enum { STACK = 256 << 10, LANES = 32, SHARED_MOST = 227 << 10, SHARED_PLAIN = 48 << 10, ALIGNED = 256, THREADS_MOST = 1024 };

struct fiber {
    jmp_buf at;
    ucontext_t first; /* its first entry; afterwards jumps suffice, which make no system call */
    void *stack;
    bool begun, alive;
    dim3 index;
    int warp, lane;
    uint64_t warp_turn; /* exchanges done */
    uint64_t block_turn;
};

struct warp {
    uint64_t word[2][LANES][EMULATOR_WORDS];
    unsigned arrived[2], took_part;
    unsigned alive; /* lanes that have not returned */
    uint64_t turn;
};

static struct {
    fiber fibers[THREADS_MOST];
    warp warps[THREADS_MOST / LANES];
    int threads, living, now;
    int waiting;          /* at the block's barrier */
    uint64_t turn;        /* barriers passed */
    uint64_t events;      /* arrivals anywhere, and returns */
    int ors, ored;
    jmp_buf home;
    const std::function<void()> *work;
    alignas(128) unsigned char shared[SHARED_MOST];
    bool reverse;
} block;

unsigned char *emulator_shared(void) { return block.shared; }
int emulator_lane(void) { return block.fibers[block.now].lane; }
unsigned emulator_live(void) { return block.warps[block.fibers[block.now].warp].took_part; }

static void yield(void)
{
    fiber *f = &block.fibers[block.now];

    if (_setjmp(f->at) == 0)
        _longjmp(block.home, 1);
}

static void maybe_turn_warp(warp *w)
{
    int side = (int)(w->turn & 1);

    if (w->alive && (w->arrived[side] & w->alive) == w->alive) {
        w->took_part = w->arrived[side];
        w->arrived[side] = 0;
        w->turn++;
    }
}

static void maybe_turn_block(void)
{
    if (block.living && block.waiting == block.living) {
        block.waiting = 0;
        block.ored = block.ors;
        block.ors = 0;
        block.turn++;
    }
}

const uint64_t *emulator_exchange(const uint64_t *mine, int count)
{
    fiber *f = &block.fibers[block.now];
    warp *w = &block.warps[f->warp];
    int side = (int)(f->warp_turn & 1);

    for (int i = 0; i < count; i++)
        w->word[side][f->lane][i] = mine[i];
    w->arrived[side] |= 1u << f->lane;
    f->warp_turn++;
    block.events++;
    maybe_turn_warp(w);
    while (w->turn < f->warp_turn)
        yield();
    return w->word[side][0];
}

int emulator_block_or(int yes)
{
    fiber *f = &block.fibers[block.now];

    block.ors |= yes != 0;
    block.waiting++;
    block.events++;
    f->block_turn++;
    maybe_turn_block();
    while (block.turn < f->block_turn)
        yield();
    return block.ored;
}

void emulator_block_wait(void) { emulator_block_or(0); }

static void enter(void)
{
    for (;;) {
        fiber *f = &block.fibers[block.now];
        warp *w = &block.warps[f->warp];

        (*block.work)();
        f->alive = false;
        block.events++;
        block.living--;
        w->alive &= ~(1u << f->lane);
        maybe_turn_warp(w);
        maybe_turn_block();
        yield();
    }
}

/* Let fiber i go on until it waits or returns. */
static void resume(int i)
{
    fiber *f = &block.fibers[i];

    block.now = i;
    threadIdx = f->index;
    if (_setjmp(block.home) != 0)
        return;
    if (f->begun)
        _longjmp(f->at, 1);
    f->begun = true;
    setcontext(&f->first);
}

static void start_fiber(int i)
{
    fiber *f = &block.fibers[i];
    unsigned at = (unsigned)i;

    if (!f->stack) {
        f->stack = malloc(STACK);
        getcontext(&f->first);
        f->first.uc_stack.ss_sp = f->stack;
        f->first.uc_stack.ss_size = STACK;
        f->first.uc_link = NULL;
        makecontext(&f->first, enter, 0);
    }
    f->alive = true;
    f->index = dim3(at % blockDim.x, at / blockDim.x % blockDim.y, at / blockDim.x / blockDim.y);
    f->warp = i / LANES;
    f->lane = i % LANES;
    f->warp_turn = f->block_turn = 0;
}

/* Neither returned nor waiting for others. */
static bool may_go_on(const fiber *f)
{
    return f->alive && block.warps[f->warp].turn >= f->warp_turn && block.turn >= f->block_turn;
}

static void run_block(void)
{
    block.living = block.threads;
    block.waiting = 0;
    block.turn = 0;
    block.ors = 0;
    memset(block.warps, 0, sizeof block.warps);
    for (int i = 0; i < block.threads; i++) {
        start_fiber(i);
        block.warps[i / LANES].alive |= 1u << i % LANES;
    }
    while (block.living > 0) {
        uint64_t before = block.events;

        for (int at = 0; at < block.threads; at++) {
            int i = block.reverse ? block.threads - 1 - at : at;

            if (may_go_on(&block.fibers[i]))
                resume(i);
        }
        if (block.events == before)
            refuse("the threads of a block wait for each other");
    }
}

/* Numbers that nothing wrote are seen: shared memory starts as NaN. */
static void run_grid(const cudaLaunchConfig_t &how, const std::function<void()> &thread)
{
    block.work = &thread;
    block.threads = (int)(how.blockDim.x * how.blockDim.y * how.blockDim.z);
    block.reverse = getenv("EMULATOR_ORDER") && strcmp(getenv("EMULATOR_ORDER"), "reverse") == 0;
    gridDim = how.gridDim;
    blockDim = how.blockDim;
    for (unsigned z = 0; z < gridDim.z; z++)
        for (unsigned y = 0; y < gridDim.y; y++)
            for (unsigned x = 0; x < gridDim.x; x++) {
                blockIdx = dim3(x, y, z);
                memset(block.shared, 0xff, how.dynamicSmemBytes);
                run_block();
            }
}

/* ---- the runtime ------------------------------------------------------------------------------------------------------ */

struct emulator_graph {
    std::vector<std::function<void()>> work;
};

struct emulator_stream {
    emulator_graph *capture;    /* NULL: nothing is being captured */
    cudaStreamCaptureMode mode; /* of the capture */
    bool works;                 /* it launched, cleared or copied to the device, or waited for an event of one that did */
};

struct emulator_event {
    emulator_stream *stream; /* that it was last recorded in; NULL: not yet */
};

/* What threads share: memory, and whose turn it is.  A thread may hold it twice. */
static std::recursive_mutex device;
typedef std::lock_guard<std::recursive_mutex> turn;

static thread_local cudaError_t last;
static thread_local bool capturing; /* a stream in ThreadLocal mode: this thread is refused what a recording forbids */
static std::atomic<bool> capturing_all; /* a stream in Global mode: to all threads */

static bool forbidden(void) { return capturing || capturing_all; }

static cudaError_t said(cudaError_t e)
{
    if (e != cudaSuccess)
        last = e;
    return e;
}

/* ---- device memory: the host may touch it only by way of the device --------------------------------------------------- */

struct device_block {
    char *base;
    size_t mapped;
    void *given;
    size_t size;
};

static std::vector<device_block> device_blocks;

/* EMULATOR_GUARD=0 leaves it open: a change of access for every launch takes time. */
static bool guarded(void)
{
    static const bool yes = !getenv("EMULATOR_GUARD") || strcmp(getenv("EMULATOR_GUARD"), "0") != 0;

    return yes;
}

static void let(int access)
{
    if (!guarded())
        return;
    for (const device_block &b : device_blocks)
        mprotect(b.base, b.mapped, access);
}

static void work_on_device(const std::function<void()> &work)
{
    turn mine(device);

    let(PROT_READ | PROT_WRITE);
    work();
    let(PROT_NONE);
}

static bool on_device(const void *p)
{
    turn mine(device);

    for (const device_block &b : device_blocks)
        if ((const char *)p >= b.base && (const char *)p < b.base + b.mapped)
            return true;
    return false;
}

cudaError_t emulator_do(cudaStream_t s, std::function<void()> work)
{
    if (s)
        s->works = true;
    if (s && s->capture)
        s->capture->work.push_back(work);
    else
        work_on_device(work);
    return cudaSuccess;
}

/* What kernels were allowed by cudaFuncSetAttribute. */
static std::map<const void *, size_t> allowed;

cudaError_t emulator_allow(const void *kernel, int size)
{
    if (size < 0 || size > SHARED_MOST)
        return said(cudaErrorInvalidValue);
    allowed[kernel] = (size_t)size;
    return cudaSuccess;
}

cudaError_t emulator_launch(const cudaLaunchConfig_t *how, const void *kernel, std::function<void()> thread)
{
    cudaLaunchConfig_t kept = *how;
    uint64_t threads = (uint64_t)how->blockDim.x * how->blockDim.y * how->blockDim.z;

    if (threads < 1 || threads > THREADS_MOST || how->dynamicSmemBytes > SHARED_MOST ||
        (how->dynamicSmemBytes > SHARED_PLAIN && how->dynamicSmemBytes > allowed[kernel]) || how->gridDim.x < 1 ||
        how->gridDim.x > 0x7fffffffu || how->gridDim.y < 1 || how->gridDim.y > 65535 || how->gridDim.z < 1 ||
        how->gridDim.z > 65535 || how->blockDim.z > 64)
        return said(cudaErrorInvalidValue);
    return emulator_do(how->stream, [kept, thread] { run_grid(kept, thread); });
}

/* Variables of the environment play other machines: EMULATOR_ERROR, what counting devices fails with; EMULATOR_DRIVER, the
 * CUDA version that the driver knows, 0 without one; EMULATOR_DEVICES; EMULATOR_CAPABILITY; EMULATOR_MEMORY in bytes. */
static size_t number(const char *name, size_t otherwise)
{
    const char *text = getenv(name);

    return text ? (size_t)strtoull(text, NULL, 10) : otherwise;
}

static size_t in_use;

cudaError_t cudaGetDeviceCount(int *n)
{
    const char *error = getenv("EMULATOR_ERROR");

    *n = (int)number("EMULATOR_DEVICES", 1);
    return error ? said((cudaError_t)atoi(error)) : *n ? cudaSuccess : said(cudaErrorNoDevice);
}

cudaError_t cudaSetDevice(int i) { return i < (int)number("EMULATOR_DEVICES", 1) ? cudaSuccess : said(cudaErrorInvalidDevice); }

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int)
{
    memset((void *)p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "emulated");
    p->major = (int)number("EMULATOR_CAPABILITY", 9);
    p->multiProcessorCount = 4;
    p->totalGlobalMem = number("EMULATOR_MEMORY", (size_t)16 << 30);
    p->sharedMemPerBlockOptin = SHARED_MOST;
    return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *v) { *v = (int)number("EMULATOR_DRIVER", 13000); return cudaSuccess; }
cudaError_t cudaRuntimeGetVersion(int *v) { *v = 13000; return cudaSuccess; }

cudaError_t cudaMemGetInfo(size_t *free, size_t *total)
{
    *total = number("EMULATOR_MEMORY", (size_t)16 << 30);
    *free = *total - in_use;
    return cudaSuccess;
}

cudaError_t cudaGetLastError(void)
{
    cudaError_t e = last;

    last = cudaSuccess;
    return e;
}

const char *cudaGetErrorString(cudaError_t e)
{
    switch (e) {
    case cudaSuccess: return "no error";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInsufficientDriver: return "CUDA driver version is insufficient for CUDA runtime version";
    case cudaErrorNoDevice: return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice: return "invalid device ordinal";
    default: return "invalid argument";
    }
}

/* Pages of their own, the block at their end and a page without access behind: what a kernel reads or writes past it stops. */
cudaError_t cudaMalloc(void **p, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), rounded = (size + ALIGNED - 1) / ALIGNED * ALIGNED;
    size_t mapped = (rounded + page - 1) / page * page;
    char *base;
    turn mine(device);

    *p = NULL;
    if (forbidden())
        return said(cudaErrorStreamCaptureUnsupported);
    if (in_use + size > number("EMULATOR_MEMORY", (size_t)16 << 30))
        return said(cudaErrorMemoryAllocation);
    base = (char *)mmap(NULL, mapped + page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return said(cudaErrorMemoryAllocation);
    if (!guarded())
        mprotect(base, mapped, PROT_READ | PROT_WRITE);
    *p = base + mapped - rounded;
    device_blocks.push_back({base, mapped, *p, size});
    in_use += size;
    if (size <= (size_t)64 << 20) /* numbers that nothing wrote are seen */
        emulator_do(NULL, [=] { memset(*p, 0xff, size); });
    return cudaSuccess;
}

cudaError_t cudaFree(void *p)
{
    turn mine(device);

    for (size_t i = 0; i < device_blocks.size(); i++)
        if (device_blocks[i].given == p) {
            munmap(device_blocks[i].base, device_blocks[i].mapped + (size_t)sysconf(_SC_PAGESIZE));
            in_use -= device_blocks[i].size;
            device_blocks.erase(device_blocks.begin() + (long)i);
            return cudaSuccess;
        }
    return p ? said(cudaErrorInvalidValue) : cudaSuccess;
}

cudaError_t cudaHostAlloc(void **p, size_t size, unsigned)
{
    if (forbidden())
        return said(cudaErrorStreamCaptureUnsupported);
    *p = calloc(1, size ? size : 1);
    return *p ? cudaSuccess : said(cudaErrorMemoryAllocation);
}

cudaError_t cudaFreeHost(void *p) { free(p); return cudaSuccess; }

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned)
{
    *s = new emulator_stream{};
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t s) { delete s; return cudaSuccess; }

cudaError_t cudaStreamSynchronize(cudaStream_t s)
{
    return forbidden() || (s && s->capture) ? said(cudaErrorStreamCaptureUnsupported) : cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t size, cudaMemcpyKind, cudaStream_t s)
{
    if (s && !s->works && !on_device(to) && on_device(from))
        refuse("a stream copies from the device without having waited for what other streams do there");
    return emulator_do(s, [=] { memmove(to, from, size); });
}

cudaError_t cudaMemsetAsync(void *to, int value, size_t size, cudaStream_t s)
{
    return emulator_do(s, [=] { memset(to, value, size); });
}

static void forbid(cudaStreamCaptureMode mode, bool yes)
{
    if (mode == cudaStreamCaptureModeThreadLocal)
        capturing = yes;
    if (mode == cudaStreamCaptureModeGlobal)
        capturing_all = yes;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t s, cudaStreamCaptureMode mode)
{
    s->capture = new emulator_graph;
    s->mode = mode;
    forbid(mode, true);
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t *g)
{
    *g = s->capture;
    forbid(s->mode, false);
    s->capture = NULL;
    return *g ? cudaSuccess : said(cudaErrorInvalidValue);
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *e, cudaGraph_t g, unsigned long long)
{
    *e = new emulator_graph(*g);
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t e, cudaStream_t s)
{
    s->works = true;
    work_on_device([=] {
        for (const auto &work : e->work)
            work();
    });
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t g) { delete g; return cudaSuccess; }
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t e) { delete e; return cudaSuccess; }
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *e, unsigned) { *e = new emulator_event{}; return cudaSuccess; }
cudaError_t cudaEventDestroy(cudaEvent_t e) { delete e; return cudaSuccess; }
cudaError_t cudaEventSynchronize(cudaEvent_t) { return forbidden() ? said(cudaErrorStreamCaptureUnsupported) : cudaSuccess; }

cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s)
{
    turn mine(device);

    if (s->capture)
        return said(cudaErrorStreamCaptureUnsupported);
    e->stream = s;
    return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned)
{
    turn mine(device);

    if (s->capture)
        return said(cudaErrorStreamCaptureUnsupported);
    if (!e->stream || e->stream == s)
        refuse("a stream waits for an event that no other stream recorded");
    s->works = true;
    return cudaSuccess;
}

/* SPDX-License-Identifier: MIT */
/* choose.cu -- a token from logits without sorting them: a block a row.
 *
 * Both cuts ask for the most likely tokens whose weights, in descending order, first reach an aim: top-k with weights 1,
 * top-p with weights exp.  Floats are ordered as integers are, so the logit at which it is reached is found bit by bit: 32
 * sums over the row, all in f64 in a fixed order. */
#include "compute/cuda/cuda.h"

enum { THREADS = 512, FEW = 64 /* for rows up to SHORT */, SHORT = 1024 };

/* Integers in the order of the numbers. */
__device__ static __forceinline__ uint32_t order_of(float x)
{
    uint32_t bits = __float_as_uint(x);

    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

/* The sum of weights (or numbers, if count) of the tokens whose order is at least `least`. */
__device__ static double reach(const float *weight, const float *logit, int64_t n, bool count, uint32_t least, double *memory)
{
    double sum = 0;

    for (int64_t i = threadIdx.x; i < n; i += blockDim.x)
        if (weight[i] > 0.0f && order_of(logit[i]) >= least)
            sum += count ? 1.0 : (double)weight[i];
    return block_all(sum, add_up{}, memory);
}

/* Of the tokens at the threshold the first `keep` stay. */
__device__ static void keep_first(float *weight, const float *logit, int64_t n, uint32_t least, int64_t keep)
{
    for (int64_t from = 0; threadIdx.x < 32 && from < n; from += 32) {
        int64_t i = from + threadIdx.x;
        bool here = i < n && weight[i] > 0.0f && order_of(logit[i]) == least;
        unsigned all = __ballot_sync(0xffffffffu, here);

        if (here && __popc(all & ((1u << threadIdx.x) - 1)) >= keep)
            weight[i] = 0.0f;
        keep = max((int64_t)0, keep - __popc(all));
    }
}

/* Zero the weights outside the fewest largest logits that reach the aim; of equal ones the first stay. */
__device__ static void cut(float *weight, const float *logit, int64_t n, bool count, double aim, double *memory)
{
    uint32_t least = 0;
    double above, each;
    __shared__ float at_least; /* weight of a token at the threshold */

    for (int bit = 31; bit >= 0; bit--)
        if (reach(weight, logit, n, count, least | 1u << bit, memory) >= aim)
            least |= 1u << bit;
    above = least == 0xffffffffu ? 0.0 : reach(weight, logit, n, count, least + 1, memory);
    if (threadIdx.x == 0)
        at_least = 0.0f;
    __syncthreads();
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
        if (weight[i] > 0.0f && order_of(logit[i]) == least)
            at_least = weight[i]; /* the same for all who write */
        if (order_of(logit[i]) < least)
            weight[i] = 0.0f;
    }
    __syncthreads();
    each = count ? 1.0 : (double)at_least;
    if (at_least > 0.0f)
        keep_first(weight, logit, n, least, (int64_t)ceil((aim - above) / each));
    __syncthreads();
}

/* The first token whose cumulative weight passes u times their sum; if rounding lets none, the last that has weight.  Each
 * thread sums a run of neighbours, each warp its lanes' runs; one thread then finds the warp, the run, and the token. */
__device__ static int64_t find(const float *weight, int64_t n, double u, double *run, double *warp)
{
    int64_t length = (n + blockDim.x - 1) / blockDim.x, from = threadIdx.x * length, to = min(from + length, n), i = 0;
    double sum = 0, aim;
    int warps = blockDim.x / 32, w = 0, r = 0;

    for (i = from; i < to; i++)
        sum += (double)weight[i];
    run[threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.x % 32 == 0) {
        for (sum = 0, r = 0; r < 32; r++)
            sum += run[threadIdx.x + r];
        warp[threadIdx.x / 32] = sum;
    }
    __syncthreads();
    if (threadIdx.x != 0)
        return 0;
    for (sum = 0, w = 0; w < warps; w++)
        sum += warp[w];
    aim = u * sum;
    for (sum = 0, w = 0; w < warps && sum + warp[w] <= aim; w++)
        sum += warp[w];
    for (r = w * 32; w < warps && r < w * 32 + 31 && sum + run[r] <= aim; r++)
        sum += run[r];
    for (i = r * length; w < warps && i < n; i++)
        if (weight[i] > 0.0f && (sum += (double)weight[i]) > aim)
            return i;
    for (i = n - 1; i > 0 && weight[i] == 0.0f; i--) {}
    return i;
}

struct task {
    int32_t *codes;
    const float *logits;
    const uint32_t *step;
    const int32_t *position;
    float *weights; /* [rows][n], scratch */
    int64_t n, slots;
    struct choose how;
};

static __global__ void choose(task t)
{
    __shared__ double memory[33], run[THREADS], warp[THREADS / 32];
    __shared__ cuda_candidate best_memory[33];
    int64_t m = blockIdx.x, n = t.n, now = t.position[0];
    const float *logit = t.logits + m * n;
    float *weight = t.weights + m * n;
    int32_t *code = t.codes + m * t.slots + now;
    cuda_candidate best = {-INFINITY, INT32_MAX};
    bool bad = false;
    struct rng4 r = rng_draw(t.how.rng, (uint64_t)t.step[2 * m + 1] << 32 | t.step[2 * m], (uint64_t)now);
    double u = ((double)((uint64_t)r.v[0] << 21 | r.v[1] >> 11) + 0.5) * 0x1p-53;
    int64_t token;

    for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
        bad = bad || !(logit[i] < INFINITY);
        best = cuda_better{}(best, cuda_candidate{logit[i], (int32_t)i});
    }
    bad = __syncthreads_or(bad);
    best = block_all(best, cuda_better{}, best_memory);
    if (bad || best.x == -INFINITY || t.how.temperature == 0.0f) {
        if (threadIdx.x == 0)
            *code = bad || best.x == -INFINITY ? -1 : best.at;
        return;
    }
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x)
        weight[i] = expf((logit[i] - best.x) / t.how.temperature);
    __syncthreads();
    if (t.how.top_k > 0 && t.how.top_k < n)
        cut(weight, logit, n, true, (double)t.how.top_k, memory);
    if (t.how.top_p < 1.0f)
        cut(weight, logit, n, false, (double)t.how.top_p * reach(weight, logit, n, false, 0, memory), memory);
    token = find(weight, n, u, run, warp);
    if (threadIdx.x == 0)
        *code = (int32_t)token;
}

int cuda_choose(void *self, tensor_in codes, tensor_in logits, tensor_in step, tensor_in position, const struct choose *how)
{
    struct cuda *c = (struct cuda *)self;
    int64_t rows = logits->shape[0], n = logits->shape[1];
    float *weights = (float *)cuda_scratch(c, (size_t)(rows * n) * sizeof *weights);

    if (weights == NULL)
        return ERR_NOMEM;
    return cuda_launch(c, "choice", choose, (unsigned)rows, n <= SHORT ? FEW : THREADS, 0,
                       task{CUDA_I32(codes), CUDA_F32(logits), (const uint32_t *)step->data, CUDA_I32(position), weights, n,
                            codes->shape[1], *how});
}

/* One block. */
static __global__ void next(int32_t *position, int32_t *slot, const int32_t *codes, int64_t rows, int64_t slots, int64_t width)
{
    int64_t now = position[0] + 1;

    __syncthreads();
    if (threadIdx.x == 0)
        position[0] = (int32_t)now;
    for (int64_t m = threadIdx.x; m < rows; m += blockDim.x) {
        slot[m] = now > 0 ? codes[m * slots + now - 1] : -1;
        slot[rows + m] = now > 0 ? -1 : 0;
        slot[2 * rows + m] = (int32_t)(now / width);
        slot[3 * rows + m] = (int32_t)(now % width);
    }
}

int cuda_next(void *self, tensor_in position, tensor_in slot, tensor_in codes, int64_t width)
{
    return cuda_launch((struct cuda *)self, "next position", next, 1, THREADS, 0, CUDA_I32(position), CUDA_I32(slot),
                       CUDA_I32(codes), codes->shape[0], codes->shape[1], width);
}

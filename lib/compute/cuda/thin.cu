/* SPDX-License-Identifier: MIT */
/* thin.cu -- products of few rows with packed weights, bound by reading these.
 *
 * Weights lie as [n][stride], stride the depth rounded up to DEEP, zeros behind it: f32, bf16, or a scale for each output
 * [n] and then int8.  A warp makes OUTPUTS outputs of up to TILE rows: its lanes read 16 bytes of each output's weights at a
 * time, the rows come from shared memory, a piece of the depth after the other, rounded as the weights are.  A lane's sums
 * go on in the order of the depth, whatever TILE is, so a row has the same bytes alone and among others. */
#include "compute/cuda/cuda.h"

enum { DEEP = 16, WARPS = 8, OUTPUTS = 2, THREADS = 32 * WARPS, LARGEST = 127 /* of int8 */ };

static int64_t stride_of(int64_t k)
{
    return (k + DEEP - 1) / DEEP * DEEP;
}

/* ---- packing ------------------------------------------------------------------------------------------------------- */

size_t cuda_thin_size(void *self, int64_t n, int64_t k)
{
    enum precision p = ((struct cuda *)self)->precision;
    size_t weights = (size_t)n * (size_t)stride_of(k);

    return p == PRECISION_INT8 ? cuda_piece((size_t)n * sizeof(float)) + weights
                               : weights * (p == PRECISION_BF16 ? sizeof(bf16) : sizeof(float));
}

template <class T> static __global__ void pack_rows(T *packed, const float *w, int64_t k, int64_t stride)
{
    for (int64_t j = threadIdx.x; j < stride; j += THREADS)
        packed[blockIdx.x * stride + j] = from_f32<T>(j < k ? w[blockIdx.x * k + j] : 0.0f);
}

/* What an integer stands for, so that the largest of k numbers becomes the largest integer; NaN where one is not finite. */
__device__ static float unit_of(const float *x, int64_t k, float largest, float *memory)
{
    float top = 0, poison = 0;

    for (int64_t j = threadIdx.x; j < k; j += THREADS) {
        top = fmaxf(top, fabsf(x[j]));
        poison += x[j] * 0.0f;
    }
    return block_all(top, larger_of{}, memory) / largest + block_all(poison, add_up{}, memory);
}

/* 0 for a unit that is no number above 0 */
__device__ static __forceinline__ float inverse_of(float unit)
{
    return unit > 0.0f && 1.0f / unit < INFINITY ? 1.0f / unit : 0.0f;
}

__device__ static __forceinline__ int to_integer(float x)
{
    return x == x ? __float2int_rn(x) : 0;
}

static __global__ void pack_int8(float *scale, int8_t *packed, const float *w, int64_t k, int64_t stride)
{
    __shared__ float memory[33];
    const float *row = w + blockIdx.x * k;
    float unit = unit_of(row, k, LARGEST, memory), per_unit = inverse_of(unit);

    if (threadIdx.x == 0)
        scale[blockIdx.x] = unit;
    for (int64_t j = threadIdx.x; j < stride; j += THREADS)
        packed[blockIdx.x * stride + j] = (int8_t)(j < k ? to_integer(row[j] * per_unit) : 0);
}

int cuda_thin_pack(void *self, void *packed, tensor_in w)
{
    struct cuda *c = (struct cuda *)self;
    int64_t n = w->shape[0], k = w->shape[1], stride = stride_of(k);

    if (c->precision == PRECISION_INT8)
        return cuda_launch(c, "packing weights", pack_int8, (unsigned)n, THREADS, 0, (float *)packed,
                           (int8_t *)packed + cuda_piece((size_t)n * sizeof(float)), CUDA_F32(w), k, stride);
    return cuda_typed(c->precision == PRECISION_BF16 ? DTYPE_BF16 : DTYPE_F32, [&]<class T>() {
        return cuda_launch(c, "packing weights", pack_rows<T>, (unsigned)n, THREADS, 0, (T *)packed, CUDA_F32(w), k, stride);
    });
}

/* ---- products ------------------------------------------------------------------------------------------------------- */

struct product {
    float *y;
    const float *x, *bias, *scale; /* bias may be NULL; scale: int8 */
    const void *weights;
    int64_t m, n, k, stride;
    float largest;                 /* integer of a row: int8 */
    struct thin how;
};

/* How a kind of weights multiplies: what rows become, and what is summed. */
template <class W> struct kind {
    typedef float row, sum;
    __device__ static row prepare(float x, float) { return to_f32(from_f32<W>(x)); }
    __device__ static sum add(sum s, W w, row x) { return fmaf(to_f32(w), x, s); }
};

template <> struct kind<int8_t> {
    typedef int row, sum;
    __device__ static row prepare(float x, float per_unit) { return to_integer(x * per_unit); }
    __device__ static sum add(sum s, int8_t w, row x) { return s + w * x; }
};

template <int TILE> struct piece {
    enum { DEPTH = TILE == 1 ? 4096 : 1024 }; /* of the rows in shared memory: multiples of what a warp reads at a time */
};

/* Rows [TILE][DEPTH], depth numbers of each from `from` on, zeros where there are none. */
template <class W, int TILE>
__device__ static void load_rows(typename kind<W>::row *rows, const product &p, int64_t m, int64_t from, int depth,
                                 const float *per_unit)
{
    for (int r = 0; r < TILE; r++)
        for (int j = (int)threadIdx.x; j < depth; j += THREADS)
            rows[r * piece<TILE>::DEPTH + j] =
                kind<W>::prepare(m + r < p.m && from + j < p.k ? p.x[(m + r) * p.k + from + j] : 0.0f, per_unit[r]);
}

/* What stands behind a sum.  A product must not be fused into what is added: whether it is may depend on TILE. */
__device__ static void finish(const product &p, int64_t m, int64_t o, float s)
{
    if (p.bias)
        s += p.bias[o];
    if (p.how.gelu)
        s = cuda_gelu(s);
    p.y[m * p.n + o] = p.how.add ? p.y[m * p.n + o] + s : s;
}

template <class W, int TILE> static __global__ void __launch_bounds__(THREADS) thin(product p)
{
    constexpr int N = 16 / sizeof(W), DEPTH = piece<TILE>::DEPTH;
    typedef typename kind<W>::row row;
    alignas(16) __shared__ row rows[TILE * DEPTH];
    __shared__ float memory[33];
    typename kind<W>::sum sum[OUTPUTS][TILE] = {};
    float unit[TILE], per_unit[TILE];
    int lane = threadIdx.x % 32;
    int64_t first = (blockIdx.x * (int64_t)WARPS + threadIdx.x / 32) * OUTPUTS, m = blockIdx.y * (int64_t)TILE;
    const W *w[OUTPUTS];

    for (int o = 0; o < OUTPUTS; o++) /* past the end: the last one again, not kept */
        w[o] = (const W *)p.weights + min(first + o, p.n - 1) * p.stride;
    for (int r = 0; r < TILE; r++) {
        unit[r] = sizeof(W) == 1 && m + r < p.m ? unit_of(p.x + (m + r) * p.k, p.k, p.largest, memory) : 1.0f;
        per_unit[r] = inverse_of(unit[r]);
    }
    for (int64_t from = 0; from < p.stride; from += DEPTH) {
        int depth = (int)min((int64_t)DEPTH, p.stride - from);

        __syncthreads();
        load_rows<W, TILE>(rows, p, m, from, depth, per_unit);
        __syncthreads();
#pragma unroll(TILE * N >= 64 ? 1 : 4)
        for (int j = lane * N; j < depth; j += 32 * N)
            for (int o = 0; o < OUTPUTS; o++) {
                pack<W, N> some = *(const pack<W, N> *)(w[o] + from + j);

                for (int r = 0; r < TILE; r++)
                    for (int i = 0; i < N; i++)
                        sum[o][r] = kind<W>::add(sum[o][r], some.v[i], rows[r * DEPTH + j + i]);
            }
    }
    for (int o = 0; o < OUTPUTS; o++)
        for (int r = 0; r < TILE; r++) {
            typename kind<W>::sum all = warp_all(sum[o][r], add_up{});

            if (lane == 0 && first + o < p.n && m + r < p.m)
                finish(p, m + r, first + o,
                       sizeof(W) == 1 ? __fmul_rn((float)all, p.scale[first + o] * unit[r]) : (float)all);
        }
}

template <class W> static int run(struct cuda *c, const product &p)
{
    unsigned outputs = (unsigned)((p.n + WARPS * OUTPUTS - 1) / (WARPS * OUTPUTS));

    if (p.m <= 1)
        return cuda_launch(c, "thin product", thin<W, 1>, dim3(outputs, (unsigned)p.m), THREADS, 0, p);
    if (p.m <= 4)
        return cuda_launch(c, "thin product", thin<W, 4>, dim3(outputs, 1), THREADS, 0, p);
    return cuda_launch(c, "thin product", thin<W, 8>, dim3(outputs, (unsigned)((p.m + 7) / 8)), THREADS, 0, p);
}

int cuda_thin(void *self, tensor_in y, tensor_in x, const void *packed, tensor_in bias, struct thin how)
{
    struct cuda *c = (struct cuda *)self;
    int64_t m = x->shape[0], n = y->shape[1], k = x->shape[1];
    double largest = floor((double)INT32_MAX / (double)(LARGEST * (k + k % 2)));
    product p = {CUDA_F32(y), CUDA_F32(x), bias ? CUDA_F32(bias) : NULL, NULL, packed, m, n, k, stride_of(k),
                 (float)(largest < 1 ? 1 : largest > INT16_MAX ? INT16_MAX : largest), how};

    if (c->precision == PRECISION_INT8) {
        p.scale = (const float *)packed;
        p.weights = (const int8_t *)packed + cuda_piece((size_t)n * sizeof(float));
        return run<int8_t>(c, p);
    }
    return c->precision == PRECISION_BF16 ? run<bf16>(c, p) : run<float>(c, p);
}

/* SPDX-License-Identifier: MIT */
/* norm.cu -- LayerNorm, bound by memory: a block a row, whose second and third reading come from the first cache.
 *
 * The gradients of gain and shift are sums over rows: blocks of ROWS rows sum each column in order, then the blocks' sums
 * are added in order. */
#include "compute/cuda/cuda.h"

enum { ROWS = CUDA_SUM_ROWS, COLUMNS = 32, GROUPS = 8 };

/* By the width alone, so that a row's bytes do not depend on how many there are. */
static int threads_for(int64_t n)
{
    return n <= 512 ? 32 : n <= 2048 ? 128 : 256;
}

template <class Y, class X>
static __global__ void norm(Y *y, float *mean, float *rstd, const X *x, const float *g, const float *b, int64_t n, float eps)
{
    __shared__ float memory[33];
    const X *in = x + blockIdx.x * n;
    Y *out = y + blockIdx.x * n;
    float sum = 0, squares = 0, mu, r;

    for (int64_t i = threadIdx.x; i < n; i += blockDim.x)
        sum += to_f32(in[i]);
    mu = block_all(sum, add_up{}, memory) / (float)n;
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
        float d = to_f32(in[i]) - mu;

        squares += d * d;
    }
    r = 1.0f / sqrtf(block_all(squares, add_up{}, memory) / (float)n + eps);
    if (threadIdx.x == 0) {
        mean[blockIdx.x] = mu;
        rstd[blockIdx.x] = r;
    }
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x)
        out[i] = from_f32<Y>((to_f32(in[i]) - mu) * r * g[i] + b[i]);
}

int cuda_norm(void *self, tensor_in y, tensor_in mean, tensor_in rstd, tensor_in x, tensor_in g, tensor_in b, float eps)
{
    int64_t n = x->shape[1];

    return cuda_typed(y->type, [&]<class Y>() {
        return cuda_typed(x->type, [&]<class X>() {
            return cuda_launch((struct cuda *)self, "norm", norm<Y, X>, (unsigned)x->shape[0], threads_for(n), 0, (Y *)y->data,
                               CUDA_F32(mean), CUDA_F32(rstd), (const X *)x->data, CUDA_F32(g), CUDA_F32(b), n, eps);
        });
    });
}

/* dx += scale * gradient of one row; with filter, only where that is finite. */
template <class DX, class DY, class X>
static __global__ void norm_dx(DX *dx, const DY *dy, const X *x, const float *mean, const float *rstd, const float *g,
                               int64_t n, float scale, bool filter)
{
    __shared__ float memory[33];
    int64_t at = blockIdx.x * n;
    float mu = mean[blockIdx.x], r = rstd[blockIdx.x], s1 = 0, s2 = 0;

    for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
        float d = to_f32(dy[at + i]) * g[i];

        s1 += d;
        s2 += d * (to_f32(x[at + i]) - mu) * r;
    }
    s1 = block_all(s1, add_up{}, memory) / (float)n;
    s2 = block_all(s2, add_up{}, memory) / (float)n;
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
        float hat = (to_f32(x[at + i]) - mu) * r, d = scale * (r * (to_f32(dy[at + i]) * g[i] - s1 - hat * s2));

        if (!filter || fabsf(d) < INFINITY)
            dx[at + i] = from_f32<DX>(to_f32(dx[at + i]) + d);
    }
}

/* Sums over a block's ROWS rows of COLUMNS columns.  GROUPS threads share a column and are added in order.  term(m, i): two
 * numbers to be summed. */
template <class F>
static __global__ void sum_block(float *part, int64_t first, int64_t m, int64_t n, F term)
{
    __shared__ float2 memory[GROUPS][COLUMNS];
    int column = threadIdx.x % COLUMNS, group = threadIdx.x / COLUMNS;
    int64_t i = blockIdx.x * (int64_t)COLUMNS + column, from = blockIdx.y * (int64_t)ROWS, to = min(from + ROWS, m);
    float2 sum = {0, 0};

    for (int64_t row = from + group; i < n && row < to; row += GROUPS) {
        float2 t = term(first + row, i);

        sum.x += t.x;
        sum.y += t.y;
    }
    memory[group][column] = sum;
    __syncthreads();
    if (group > 0 || i >= n)
        return;
    for (int k = 1; k < GROUPS; k++) {
        sum.x += memory[k][column].x;
        sum.y += memory[k][column].y;
    }
    part[(blockIdx.y * 2) * n + i] = sum.x;
    part[(blockIdx.y * 2 + 1) * n + i] = sum.y;
}

/* first += gain * the first sums, second likewise; NULL: not wanted. */
static __global__ void add_blocks(float *first, float *second, const float *part, int64_t blocks, int64_t n, float gain)
{
    int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    float a = 0, b = 0;

    if (i >= n)
        return;
    for (int64_t k = 0; k < blocks; k++) {
        a += part[2 * k * n + i];
        b += part[(2 * k + 1) * n + i];
    }
    first[i] += gain * a;
    if (second)
        second[i] += gain * b;
}

static int64_t blocks_of(int64_t m)
{
    return (m + ROWS - 1) / ROWS;
}

/* The grid's second side is at most 65535 blocks: longer sums go in pieces. */
template <class F>
static int add_sums(struct cuda *c, float *first, float *second, int64_t m, int64_t n, float gain, F term, float *part)
{
    const int64_t most = (int64_t)65535 * ROWS;
    int rc = 0;

    for (int64_t at = 0; rc == 0 && at < m; at += most) {
        int64_t rows = m - at < most ? m - at : most, blocks = blocks_of(rows);

        if ((rc = cuda_launch(c, "sums over rows", sum_block<F>,
                              dim3((unsigned)((n + COLUMNS - 1) / COLUMNS), (unsigned)blocks), COLUMNS * GROUPS, 0, part,
                              at, rows, n, term)) == 0)
            rc = cuda_launch(c, "sums over rows", add_blocks, (unsigned)((n + 255) / 256), 256, 0, first, second, part, blocks,
                             n, gain);
    }
    return rc;
}

template <class T> struct plain_term {
    const T *x;
    int64_t n;
    __device__ float2 operator()(int64_t row, int64_t i) const { return {to_f32(x[row * n + i]), 0.0f}; }
};

int cuda_add_rows(struct cuda *c, float *out, const void *x, enum dtype type, int64_t m, int64_t n, float gain, void *memory)
{
    return cuda_typed(type, [&]<class T>() {
        return add_sums(c, out, (float *)NULL, m, n, gain, plain_term<T>{(const T *)x, n}, (float *)memory);
    });
}

template <class DY, class X> struct norm_term {
    const DY *dy;
    const X *x;
    const float *mean, *rstd;
    int64_t n;
    __device__ float2 operator()(int64_t row, int64_t i) const
    {
        float d = to_f32(dy[row * n + i]);

        return {d * (to_f32(x[row * n + i]) - mean[row]) * rstd[row], d};
    }
};

int cuda_norm_grad(void *self, tensor_in dx, tensor_in dg, tensor_in db, tensor_in dy, tensor_in x, tensor_in mean,
                   tensor_in rstd, tensor_in g, float scale, bool filter)
{
    struct cuda *c = (struct cuda *)self;
    int64_t rows = x->shape[0], n = x->shape[1];
    float *part = (float *)cuda_scratch(c, cuda_working_norm_grad(x));

    if (part == NULL)
        return ERR_NOMEM;
    return cuda_typed(dy->type, [&]<class DY>() {
        return cuda_typed(x->type, [&]<class X>() {
            norm_term<DY, X> term{(const DY *)dy->data, (const X *)x->data, CUDA_F32(mean), CUDA_F32(rstd), n};
            int rc = add_sums(c, CUDA_F32(dg), CUDA_F32(db), rows, n, 1.0f, term, part); /* before dx, which may be dy */

            if (rc != 0)
                return rc;
            return cuda_launch(c, "norm_grad", norm_dx<X, DY, X>, (unsigned)rows, threads_for(n), 0, (X *)dx->data, term.dy,
                               term.x, term.mean, term.rstd, CUDA_F32(g), n, scale, filter);
        });
    });
}

/* SPDX-License-Identifier: MIT */
/* gumbel.cu -- a block a row of the vocabulary, which stays in the first cache between its readings.  Draws are base/rng.h's:
 * a thread makes the one that holds its element and takes its word, so four neighbours make the same one: it costs less than
 * the memory that it runs beside. */
#include "compute/cuda/cuda.h"

enum { THREADS = 256 };

__device__ static __forceinline__ float noise(struct rng rng, uint64_t step, uint64_t element)
{
    struct rng4 d = rng_draw(rng, step, element / 4);
    int word = (int)(element % 4);
    uint32_t bits = word == 0 ? d.v[0] : word == 1 ? d.v[1] : word == 2 ? d.v[2] : d.v[3];

    return -logf(-logf(rng_unit(bits)));
}

/* max, sum of exp(x - max), sum of exp(x - max)(x - max) of a row */
struct shares {
    float top, sum, moment;
};

template <class T> __device__ static shares shares_of(const T *x, int64_t n, float *memory)
{
    shares s = {-INFINITY, 0, 0};

    for (int64_t v = threadIdx.x; v < n; v += THREADS)
        s.top = fmaxf(s.top, to_f32(x[v]));
    s.top = block_all(s.top, larger_of{}, memory);
    for (int64_t v = threadIdx.x; v < n; v += THREADS) {
        float off = to_f32(x[v]) - s.top, q = expf(off);

        s.sum += q;
        s.moment += q * off;
    }
    s.sum = block_all(s.sum, add_up{}, memory);
    s.moment = block_all(s.moment, add_up{}, memory);
    return s;
}

/* The noise is made anew in each of three readings rather than kept: a row of it may be larger than a block's memory. */
template <class Y, class X>
static __global__ void gumbel(Y *y, float *kl, const X *x, int64_t n, struct gumbel how)
{
    __shared__ float memory[33];
    float top = -INFINITY, sum = 0, inverse = 1.0f / how.tau;
    const X *in = x + blockIdx.x * n;
    uint64_t first = how.first + blockIdx.x * (uint64_t)n;
    shares s = shares_of(in, n, memory);
    auto noisy = [&](int64_t v) { return to_f32(in[v]) + noise(how.rng, how.step, first + (uint64_t)v); };

    for (int64_t v = threadIdx.x; v < n; v += THREADS)
        top = fmaxf(top, noisy(v));
    top = block_all(top, larger_of{}, memory);
    for (int64_t v = threadIdx.x; v < n; v += THREADS)
        sum += expf((noisy(v) - top) * inverse);
    sum = 1.0f / block_all(sum, add_up{}, memory);
    for (int64_t v = threadIdx.x; v < n; v += THREADS)
        y[blockIdx.x * n + v] = from_f32<Y>(expf((noisy(v) - top) * inverse) * sum);
    if (threadIdx.x == 0)
        kl[blockIdx.x] = s.moment / s.sum - logf(s.sum) + logf((float)n);
}

int cuda_gumbel(void *self, tensor_in y, tensor_in kl, tensor_in x, const struct gumbel *how)
{
    return cuda_typed(y->type, [&]<class Y>() {
        return cuda_typed(x->type, [&]<class X>() {
            return cuda_launch((struct cuda *)self, "gumbel", gumbel<Y, X>, (unsigned)x->shape[0], THREADS, 0, (Y *)y->data,
                               CUDA_F32(kl), (const X *)x->data, x->shape[1], *how);
        });
    });
}

/* d(kl)/dx[v] = q[v] (ln q[v] - sum q ln q), q = softmax(x) */
template <class D, class Y, class X>
static __global__ void gumbel_grad(D *dx, const D *dy, const Y *y, const X *x, int64_t n, float inverse, float kl_scale)
{
    __shared__ float memory[33];
    int64_t at = blockIdx.x * n;
    shares s = shares_of(x + at, n, memory);
    float dot = 0, middle = s.top + s.moment / s.sum, factor = kl_scale / s.sum;

    for (int64_t v = threadIdx.x; v < n; v += THREADS)
        dot += to_f32(y[at + v]) * to_f32(dy[at + v]);
    dot = block_all(dot, add_up{}, memory);
    for (int64_t v = threadIdx.x; v < n; v += THREADS) {
        float here = to_f32(x[at + v]);

        dx[at + v] = from_f32<D>(inverse * to_f32(y[at + v]) * (to_f32(dy[at + v]) - dot) +
                                 factor * expf(here - s.top) * (here - middle));
    }
}

int cuda_gumbel_grad(void *self, tensor_in dx, tensor_in dy, tensor_in y, tensor_in x, float tau, float kl_scale)
{
    return cuda_typed(dx->type, [&]<class D>() {
        return cuda_typed(y->type, [&]<class Y>() {
            return cuda_typed(x->type, [&]<class X>() {
                return cuda_launch((struct cuda *)self, "gumbel_grad", gumbel_grad<D, Y, X>, (unsigned)x->shape[0], THREADS, 0,
                                   (D *)dx->data, (const D *)dy->data, (const Y *)y->data, (const X *)x->data, x->shape[1],
                                   1.0f / tau, kl_scale);
            });
        });
    });
}

template <class X> static __global__ void gumbel_max(int32_t *code, const X *x, int64_t n, struct gumbel how, bool drawn)
{
    __shared__ cuda_candidate memory[33];
    const X *in = x + blockIdx.x * n;
    uint64_t first = how.first + blockIdx.x * (uint64_t)n;
    cuda_candidate best = {-INFINITY, INT32_MAX};

    for (int64_t v = threadIdx.x; v < n; v += THREADS) {
        float here = to_f32(in[v]) + (drawn ? noise(how.rng, how.step, first + (uint64_t)v) : 0.0f);

        best = cuda_better{}(best, cuda_candidate{here, (int32_t)v});
    }
    best = block_all(best, cuda_better{}, memory);
    if (threadIdx.x == 0)
        code[blockIdx.x] = best.at < n ? best.at : 0; /* nothing compares where all are NaN */
}

int cuda_gumbel_max(void *self, tensor_in code, tensor_in x, const struct gumbel *how)
{
    struct gumbel none = {};

    return cuda_typed(x->type, [&]<class X>() {
        return cuda_launch((struct cuda *)self, "gumbel_max", gumbel_max<X>, (unsigned)x->shape[0], THREADS, 0, CUDA_I32(code),
                           (const X *)x->data, x->shape[1], how ? *how : none, how != NULL);
    });
}

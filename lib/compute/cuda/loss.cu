/* SPDX-License-Identifier: MIT */
/* loss.cu -- cross-entropy: a block a row, read twice, and written once where the gradient is wanted; logit-Laplace: a thread
 * a position.  Both bound by memory. */
#include "compute/cuda/cuda.h"

enum { THREADS = 256 };

/* The largest of a row and the sum of exp(x - largest), in one reading: a thread's sum is rescaled when its largest grows. */
template <class T>
__device__ static __forceinline__ float2 largest_and_sum(const T *row, int64_t n, float *memory)
{
    float top = -INFINITY, sum = 0, all;

    for (int64_t i = threadIdx.x; i < n; i += THREADS) {
        float x = to_f32(row[i]);

        if (x > top) {
            sum = sum * expf(top - x) + 1.0f;
            top = x;
        } else {
            sum += x == -INFINITY ? 0.0f : expf(x - top); /* NaN stays */
        }
    }
    all = block_all(top, larger_of{}, memory);
    sum = block_all(top == -INFINITY ? sum : sum * expf(top - all), add_up{}, memory);
    return {all, sum};
}

template <class T>
static __global__ void cross_entropy(float *loss, T *x, const int32_t *target, int64_t n, float scale)
{
    __shared__ float memory[33];
    T *row = x + blockIdx.x * n;
    int64_t t = target[blockIdx.x];
    float aim, factor;
    float2 s;

    if (t < 0) {
        if (threadIdx.x == 0)
            loss[blockIdx.x] = 0.0f;
        for (int64_t i = threadIdx.x; scale != 0.0f && i < n; i += THREADS)
            row[i] = from_f32<T>(0.0f);
        return;
    }
    aim = to_f32(row[t]);
    s = largest_and_sum(row, n, memory); /* its barriers stand between this reading and the writing below */
    if (threadIdx.x == 0)
        loss[blockIdx.x] = logf(s.y) + (s.x - aim);
    if (scale == 0.0f)
        return;
    factor = scale / s.y;
    for (int64_t i = threadIdx.x; i < n; i += THREADS)
        row[i] = from_f32<T>(expf(to_f32(row[i]) - s.x) * factor - (i == t ? scale : 0.0f));
}

int cuda_cross_entropy(void *self, tensor_in loss, tensor_in x, tensor_in target, float scale)
{
    return cuda_typed(x->type, [&]<class T>() {
        return cuda_launch((struct cuda *)self, "cross_entropy", cross_entropy<T>, (unsigned)x->shape[0], THREADS, 0,
                           CUDA_F32(loss), (T *)x->data, CUDA_I32(target), x->shape[1], scale);
    });
}

template <class T>
static __global__ void laplace(float *nll, T *y, const float *x, int64_t rows, int64_t channels, float scale)
{
    int64_t p = blockIdx.x * (int64_t)THREADS + threadIdx.x;
    float sum = 0;

    if (p >= rows)
        return;
    for (int64_t i = 0; i < channels; i++) {
        T *mu = y + p * 2 * channels + i, *ln_b = mu + channels;
        float target = x[p * channels + i], low = logf(target), high = logf(1.0f - target), b = to_f32(*ln_b);
        float off = (low - high) - to_f32(*mu), inverse = expf(-b), distance = fabsf(off) * inverse;

        sum += 0.693147181f + b + (low + high) + distance;
        if (scale == 0.0f)
            continue;
        *mu = from_f32<T>(scale * (off > 0.0f ? -inverse : off < 0.0f ? inverse : 0.0f * off)); /* NaN stays */
        *ln_b = from_f32<T>(scale * (1.0f - distance));
    }
    nll[p] = sum;
}

int cuda_laplace(void *self, tensor_in nll, tensor_in y, tensor_in x, float scale)
{
    int64_t rows = x->shape[0];

    return cuda_typed(y->type, [&]<class T>() {
        return cuda_launch((struct cuda *)self, "laplace", laplace<T>, (unsigned)((rows + THREADS - 1) / THREADS), THREADS, 0,
                           CUDA_F32(nll), (T *)y->data, CUDA_F32(x), rows, x->shape[1], scale);
    });
}

/* SPDX-License-Identifier: MIT */
/* act.cu -- element-wise passes, bound by memory: each thread takes 16 bytes at a time where everything is aligned to that. */
#include "compute/cuda/cuda.h"

enum { THREADS = 256 };

struct relu {
    __device__ float operator()(float x, float) const { return x < 0.0f ? 0.0f : x; } /* NaN stays */
};

struct add_scaled {
    float s;
    __device__ float operator()(float x, float y) const { return y + s * x; }
};

struct filtered {
    float s;
    __device__ float operator()(float x, float) const
    {
        float v = s * x;

        return fabsf(v) < INFINITY ? v : 0.0f;
    }
};

struct same {
    __device__ float operator()(float x, float) const { return x; }
};

/* y = f(x, y), N elements at a time. */
template <int N, bool READ_Y, class Y, class X, class F>
static __global__ void map(Y *y, const X *x, int64_t packs, F f)
{
    for (int64_t i = blockIdx.x * (int64_t)THREADS + threadIdx.x; i < packs; i += gridDim.x * (int64_t)THREADS) {
        pack<X, N> in = ((const pack<X, N> *)x)[i];
        pack<Y, N> out = READ_Y ? ((const pack<Y, N> *)y)[i] : pack<Y, N>();

        for (int k = 0; k < N; k++)
            out.v[k] = from_f32<Y>(f(to_f32(in.v[k]), READ_Y ? to_f32(out.v[k]) : 0.0f));
        ((pack<Y, N> *)y)[i] = out;
    }
}

template <bool READ_Y, class Y, class X, class F>
static int run(struct cuda *c, const char *what, Y *y, const X *x, int64_t n, F f)
{
    constexpr int N = 16 / (sizeof(Y) > sizeof(X) ? sizeof(Y) : sizeof(X));
    int64_t packs = ((uintptr_t)y | (uintptr_t)x) % 16 == 0 ? n / N : 0, rest = n - packs * N;
    int rc = cuda_launch(c, what, map<N, READ_Y, Y, X, F>, cuda_blocks(c, packs, THREADS), THREADS, 0, y, x, packs, f);

    if (rc != 0 || rest == 0)
        return rc;
    return cuda_launch(c, what, map<1, READ_Y, Y, X, F>, cuda_blocks(c, rest, THREADS), THREADS, 0, y + packs * N,
                       x + packs * N, rest, f);
}

int cuda_relu(void *self, tensor_in y, tensor_in x)
{
    return cuda_typed(x->type, [&]<class T>() {
        return run<false>((struct cuda *)self, "relu", (T *)y->data, (const T *)x->data, tensor_elements(x), relu{});
    });
}

int cuda_add(void *self, tensor_in y, tensor_in x, float s)
{
    return cuda_typed(x->type, [&]<class T>() {
        return run<true>((struct cuda *)self, "add", (T *)y->data, (const T *)x->data, tensor_elements(x), add_scaled{s});
    });
}

int cuda_convert(struct cuda *c, void *y, enum dtype to, const void *x, enum dtype from, int64_t n)
{
    return cuda_typed(to, [&]<class Y>() {
        return cuda_typed(from, [&]<class X>() { return run<false>(c, "copy", (Y *)y, (const X *)x, n, same{}); });
    });
}

int cuda_copy(void *self, tensor_in y, tensor_in x)
{
    return cuda_convert((struct cuda *)self, y->data, y->type, x->data, x->type, tensor_elements(x));
}

int cuda_filter(void *self, tensor_in y, tensor_in x, float s)
{
    return cuda_typed(y->type, [&]<class Y>() {
        return cuda_typed(x->type, [&]<class X>() {
            return run<false>((struct cuda *)self, "filter", (Y *)y->data, (const X *)x->data, tensor_elements(x), filtered{s});
        });
    });
}

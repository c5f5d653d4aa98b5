/* SPDX-License-Identifier: MIT */
/* pool.cu -- bound by memory: a thread takes one pixel of the small side and the 2x2 block that belongs to it, as many
 * channels as fill 16 bytes where all is aligned to that, else one. */
#include "compute/cuda/cuda.h"

enum { THREADS = 256 };

/* Of N channels: `at` counts packs in the large side to the block's first pixel, right and below those to its neighbours. */
template <class T, int N> struct block {
    T *data;
    int64_t at, right, below;

    __device__ pack<T, N> &operator[](int k) const
    {
        return ((pack<T, N> *)data)[at + (k & 1 ? right : 0) + (k & 2 ? below : 0)];
    }
};

/* f.one<N>(pack of the small side, first pack of the block, right, below) for all of the small side, w pixels wide. */
template <int N, class F>
static __global__ void each(F f, int64_t items, int64_t w, int64_t packs)
{
    for (int64_t e = blockIdx.x * (int64_t)THREADS + threadIdx.x; e < items; e += gridDim.x * (int64_t)THREADS) {
        int64_t pixel = e / packs, row = pixel / w, column = pixel % w;

        f.template one<N>(e, (4 * row * w + 2 * column) * packs + e % packs, packs, 2 * w * packs);
    }
}

template <class T, class F> static int run(struct cuda *c, const char *what, F f, tensor_in small, uintptr_t addresses)
{
    constexpr int N = 16 / sizeof(T);
    int64_t width = small->shape[2], channels = small->shape[3], n = tensor_elements(small);
    bool packs = channels % N == 0 && addresses % 16 == 0;

    if (packs)
        return cuda_launch(c, what, each<N, F>, cuda_blocks(c, n / N, THREADS), THREADS, 0, f, n / N, width, channels / N);
    return cuda_launch(c, what, each<1, F>, cuda_blocks(c, n, THREADS), THREADS, 0, f, n, width, channels);
}

__device__ static __forceinline__ float larger(float a, float b)
{
    return a > b ? a : b;
}

/* ---- maxima ----------------------------------------------------------------------------------------------------------- */

template <class T> struct maxima {
    T *y, *x;

    template <int N> __device__ void one(int64_t e, int64_t at, int64_t right, int64_t below) const
    {
        const block<T, N> from{x, at, right, below};
        const pack<T, N> a = from[0], b = from[1], c = from[2], d = from[3];
        pack<T, N> best;

        for (int i = 0; i < N; i++)
            best.v[i] = from_f32<T>(larger(larger(to_f32(a.v[i]), to_f32(b.v[i])), larger(to_f32(c.v[i]), to_f32(d.v[i]))));
        ((pack<T, N> *)y)[e] = best;
    }
};

template <class T> struct maxima_grad {
    T *dx, *dy, *x;

    template <int N> __device__ void one(int64_t e, int64_t at, int64_t right, int64_t below) const
    {
        const block<T, N> from{x, at, right, below}, to{dx, at, right, below};
        const pack<T, N> d = ((const pack<T, N> *)dy)[e];
        pack<T, N> in[4], out[4];

        for (int k = 0; k < 4; k++)
            in[k] = from[k];
        for (int i = 0; i < N; i++) {
            float v[4] = {to_f32(in[0].v[i]), to_f32(in[1].v[i]), to_f32(in[2].v[i]), to_f32(in[3].v[i])};
            float best = larger(larger(v[0], v[1]), larger(v[2], v[3]));
            bool left = true; /* not given away yet */

            for (int k = 0; k < 4; k++) { /* the last takes what NaNs leave */
                out[k].v[i] = left && (v[k] == best || k == 3) ? d.v[i] : from_f32<T>(0.0f);
                left = left && v[k] != best;
            }
        }
        for (int k = 0; k < 4; k++)
            to[k] = out[k];
    }
};

int cuda_max_pool(void *self, tensor_in y, tensor_in x)
{
    return cuda_typed(y->type, [&]<class T>() {
        return run<T>((struct cuda *)self, "max_pool", maxima<T>{(T *)y->data, (T *)x->data}, y,
                      (uintptr_t)y->data | (uintptr_t)x->data);
    });
}

int cuda_max_pool_grad(void *self, tensor_in dx, tensor_in dy, tensor_in x)
{
    return cuda_typed(dy->type, [&]<class T>() {
        return run<T>((struct cuda *)self, "max_pool_grad", maxima_grad<T>{(T *)dx->data, (T *)dy->data, (T *)x->data}, dy,
                      (uintptr_t)dx->data | (uintptr_t)dy->data | (uintptr_t)x->data);
    });
}

/* ---- doubling --------------------------------------------------------------------------------------------------------- */

template <class T> struct doubled {
    T *y, *x;

    template <int N> __device__ void one(int64_t e, int64_t at, int64_t right, int64_t below) const
    {
        const block<T, N> to{y, at, right, below};
        const pack<T, N> v = ((const pack<T, N> *)x)[e];

        for (int k = 0; k < 4; k++)
            to[k] = v;
    }
};

template <class T> struct doubled_grad {
    T *dx, *dy;

    template <int N> __device__ void one(int64_t e, int64_t at, int64_t right, int64_t below) const
    {
        const block<T, N> from{dy, at, right, below};
        const pack<T, N> a = from[0], b = from[1], c = from[2], d = from[3];
        pack<T, N> sum;

        for (int i = 0; i < N; i++)
            sum.v[i] = from_f32<T>((to_f32(a.v[i]) + to_f32(b.v[i])) + (to_f32(c.v[i]) + to_f32(d.v[i])));
        ((pack<T, N> *)dx)[e] = sum;
    }
};

int cuda_upsample(void *self, tensor_in y, tensor_in x)
{
    return cuda_typed(x->type, [&]<class T>() {
        return run<T>((struct cuda *)self, "upsample", doubled<T>{(T *)y->data, (T *)x->data}, x,
                      (uintptr_t)y->data | (uintptr_t)x->data);
    });
}

int cuda_upsample_grad(void *self, tensor_in dx, tensor_in dy)
{
    return cuda_typed(dx->type, [&]<class T>() {
        return run<T>((struct cuda *)self, "upsample_grad", doubled_grad<T>{(T *)dx->data, (T *)dy->data}, dx,
                      (uintptr_t)dx->data | (uintptr_t)dy->data);
    });
}

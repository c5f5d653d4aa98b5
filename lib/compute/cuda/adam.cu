/* SPDX-License-Identifier: MIT */
/* adam.cu -- one pass over memory an operation.  Sums of squares: blocks of BLOCK elements in f64, then all blocks' sums of
 * all tensors in order, and one number for the host. */
#include "compute/cuda/cuda.h"

enum { THREADS = 256, BLOCK = 16384, EACH = 4 };

/* The constants of one update. */
struct constants {
    float beta1, beta2, eps, scale, top;
    float step;   /* lr / (1 - beta1^t) */
    float unbias; /* 1 / (1 - beta2^t) */
    float shrink; /* lr * decay */
};

__device__ static __forceinline__ void update(float &p, float &m, float &v, float g, const constants &u)
{
    float d = g * u.scale;
    float a = u.beta1 * m + (1.0f - u.beta1) * d;
    float b = u.beta2 * v + (1.0f - u.beta2) * d * d;

    b = u.top < b ? u.top : b; /* NaN stays */
    m = a;
    v = b;
    p -= u.step * (a / (sqrtf(b * u.unbias) + u.eps)) + u.shrink * p;
}

/* N elements at a time. */
template <int N>
static __global__ void adam(float *p, float *m, float *v, const float *g, int64_t packs, constants u)
{
    typedef pack<float, N> some;

    for (int64_t i = blockIdx.x * (int64_t)THREADS + threadIdx.x; i < packs; i += gridDim.x * (int64_t)THREADS) {
        some pp = ((some *)p)[i], mm = ((some *)m)[i], vv = ((some *)v)[i], gg = ((const some *)g)[i];

        for (int k = 0; k < N; k++)
            update(pp.v[k], mm.v[k], vv.v[k], gg.v[k], u);
        ((some *)p)[i] = pp;
        ((some *)m)[i] = mm;
        ((some *)v)[i] = vv;
    }
}

int cuda_adam(void *self, tensor_in p, tensor_in m, tensor_in v, tensor_in g, const struct adam *how)
{
    struct cuda *c = (struct cuda *)self;
    const constants u = {how->beta1, how->beta2, how->eps, how->scale, how->v_max,
                         (float)((double)how->lr / (1.0 - pow((double)how->beta1, (double)how->t))),
                         (float)(1.0 / (1.0 - pow((double)how->beta2, (double)how->t))), how->lr * how->decay};
    float *pp = CUDA_F32(p), *mm = CUDA_F32(m), *vv = CUDA_F32(v), *gg = CUDA_F32(g);
    bool aligned = ((uintptr_t)pp | (uintptr_t)mm | (uintptr_t)vv | (uintptr_t)gg) % 16 == 0;
    int64_t n = tensor_elements(p), packs = aligned ? n / EACH : 0, at = packs * EACH, rest = n - at;
    int rc = cuda_launch(c, "adam", adam<EACH>, cuda_blocks(c, packs, THREADS), THREADS, 0, pp, mm, vv, gg, packs, u);

    return rc != 0 ? rc : cuda_launch(c, "adam", adam<1>, cuda_blocks(c, rest, THREADS), THREADS, 0, pp + at, mm + at, vv + at,
                                      gg + at, rest, u);
}

/* ---- sums ----------------------------------------------------------------------------------------------------------- */

template <class T> static __global__ void squares(double *part, const T *x, int64_t n)
{
    __shared__ double memory[33];
    int64_t from = blockIdx.x * (int64_t)BLOCK, to = min(from + BLOCK, n);
    double sum = 0;

    for (int64_t i = from + threadIdx.x; i < to; i += THREADS) {
        double v = to_f32(x[i]);

        sum += v * v;
    }
    sum = block_all(sum, add_up{}, memory);
    if (threadIdx.x == 0)
        part[blockIdx.x] = sum;
}

/* One block.  Each thread takes the parts at its number, plus THREADS, and so on. */
static __global__ void add_parts(double *sum, const double *part, int64_t n)
{
    __shared__ double memory[33];
    double mine = 0;

    for (int64_t i = threadIdx.x; i < n; i += THREADS)
        mine += part[i];
    mine = block_all(mine, add_up{}, memory);
    if (threadIdx.x == 0)
        *sum = mine;
}

static int64_t blocks_of(tensor_in x)
{
    return (tensor_elements(x) + BLOCK - 1) / BLOCK;
}

int cuda_sum_squares(void *self, double *sum, tensor_in x, int64_t count)
{
    struct cuda *c = (struct cuda *)self;
    int64_t parts = 0, at = 1;
    double *memory;
    int rc = 0;

    for (int64_t i = 0; i < count; i++)
        parts += blocks_of(&x[i]);
    if (!(memory = (double *)cuda_scratch(c, (size_t)(1 + parts) * sizeof *memory)))
        return ERR_NOMEM;
    for (int64_t i = 0; rc == 0 && i < count; at += blocks_of(&x[i++]))
        rc = cuda_typed(x[i].type, [&]<class T>() {
            return cuda_launch(c, "squares", squares<T>, (unsigned)blocks_of(&x[i]), THREADS, 0, memory + at,
                               (const T *)x[i].data, tensor_elements(&x[i]));
        });
    if (rc == 0)
        rc = cuda_launch(c, "squares", add_parts, 1, THREADS, 0, memory, memory + 1, parts);
    return rc == 0 ? cuda_download(c, sum, memory, sizeof *sum) : rc;
}

static __global__ void average(float *mean, const float *p, int64_t n, float decay, float rest)
{
    for (int64_t i = blockIdx.x * (int64_t)THREADS + threadIdx.x; i < n; i += gridDim.x * (int64_t)THREADS)
        mean[i] = decay * mean[i] + rest * p[i];
}

int cuda_average(void *self, tensor_in mean, tensor_in p, float decay)
{
    struct cuda *c = (struct cuda *)self;
    int64_t n = tensor_elements(p);

    return cuda_launch(c, "average", average, cuda_blocks(c, n, THREADS), THREADS, 0, CUDA_F32(mean), CUDA_F32(p), n, decay,
                       (float)(1.0 - (double)decay));
}

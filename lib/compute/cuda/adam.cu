/* SPDX-License-Identifier: MIT */
/* adam.cu -- one pass over memory an operation.  An update is bound by memory, and of 16 bits throughout by its instructions,
 * about 95 an element, as well: a thread takes as many neighbours at a time as are 16 bytes of the widest tensor, 4 or 8, and
 * loads and stores them together where everything is aligned to that.
 *
 * Stochastic rounding: a draw of random bits is for 8 neighbours, so where a thread has 4, two threads make the same draw.
 *
 * Sums of squares: a tensor's blocks, so many as its size alone says, stride over it and sum in f64; then a block a tensor adds
 * up its parts in order, and one copy brings all sums to the host. */
#include "compute/cuda/cuda.h"

#include "base/bits16.h"

enum { THREADS = 256, SHARE = 8 /* elements of a draw */ };

/* Adam's moments as codes of 16 bits. */
struct e6m9 {
    uint16_t code;
};

struct e6m10 {
    uint16_t code;
};

__device__ static __forceinline__ float to_f32(e6m9 x) { return e6m9_to_f32(x.code); }
__device__ static __forceinline__ float to_f32(e6m10 x) { return e6m10_to_f32(x.code); }
template <> __device__ __forceinline__ e6m9 from_f32<e6m9>(float x) { return {e6m9_from_f32(x)}; }
template <> __device__ __forceinline__ e6m10 from_f32<e6m10>(float x) { return {e6m10_from_f32(x)}; }

template <class T> __device__ static __forceinline__ T rounded(float x, uint32_t random);
template <> __device__ __forceinline__ bf16 rounded<bf16>(float x, uint32_t random)
{
    return __ushort_as_bfloat16(bf16_stochastic(x, random));
}
template <> __device__ __forceinline__ f16 rounded<f16>(float x, uint32_t random)
{
    return __ushort_as_half(f16_stochastic(x, random));
}

/* The first count of N numbers from x on, one by one, and zeros. */
template <int N, class T> __device__ static __forceinline__ pack<T, N> load_some(const T *x, int count)
{
    pack<T, N> all;

    for (int k = 0; k < N; k++)
        all.v[k] = k < count ? x[k] : T();
    return all;
}

template <int N, class T>
__device__ static __forceinline__ void store(T *x, const pack<T, N> &from, int count, bool together)
{
    if (together) {
        *(pack<T, N> *)x = from;
    } else {
        for (int k = 0; k < N; k++)
            if (k < count)
                x[k] = from.v[k];
    }
}

template <int N, class T>
__device__ static __forceinline__ void store_nearest(T *x, const float (&from)[N], int count, bool together)
{
    pack<T, N> all;

    for (int k = 0; k < N; k++)
        all.v[k] = from_f32<T>(from[k]);
    store(x, all, count, together);
}

/* ---- the update ----------------------------------------------------------------------------------------------------- */

/* The constants of one update. */
struct constants {
    float beta1, beta2, eps, scale, top;
    float step;   /* lr / (1 - beta1^t) */
    float unbias; /* 1 / (1 - beta2^t) */
    float shrink; /* lr * decay */
    struct rng rng;
    uint64_t t, element; /* of draws */
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

/* p[i..] by stochastic rounding. */
template <int N, class P>
__device__ static __forceinline__ void store_rounded(P *p, const float (&from)[N], int64_t i, int count, bool together,
                                                     const constants &u)
{
    struct rng4 r = rng_draw(u.rng, u.t, u.element + (uint64_t)i / SHARE);
    bool second = i % SHARE != 0; /* half of the share */
    pack<P, N> all;

    for (int k = 0; k < N; k++) {
        uint32_t word = second ? r.v[(k + 4) % SHARE / 2] : r.v[k / 2];

        all.v[k] = rounded<P>(from[k], word >> (k % 2 * 16));
    }
    store(p + i, all, count, together);
}

/* How many elements a thread takes at a time. */
template <bool MASTER, class P, class G, class M>
constexpr int NEIGHBOURS = MASTER || sizeof(P) == 4 || sizeof(G) == 4 || sizeof(M) == 4 ? 4 : 8;

/* w: what is updated, a MASTER copy whose nearest numbers p becomes, or p itself. */
template <class P, class W, class G, class M, class V> struct tensors {
    P *p;
    W *w;
    const G *g;
    M *m;
    V *v;
    int64_t n;
    bool aligned; /* to 16 bytes, all of them */
};

template <bool MASTER, class P, class W, class G, class M, class V>
static __global__ void __launch_bounds__(THREADS) adam(tensors<P, W, G, M, V> t, constants u)
{
    constexpr int N = NEIGHBOURS<MASTER, P, G, M>;

    for (int64_t i = N * (blockIdx.x * (int64_t)THREADS + threadIdx.x); i < t.n; i += N * (gridDim.x * (int64_t)THREADS)) {
        int count = t.n - i < N ? (int)(t.n - i) : N;
        bool together = t.aligned && count == N;
        pack<W, N> w;
        pack<G, N> g;
        pack<M, N> m;
        pack<V, N> v;
        float ww[N], mm[N], vv[N];

        if (together) { /* one branch, so that all loads are on their way before the first is waited for */
            w = *(const pack<W, N> *)(t.w + i);
            g = *(const pack<G, N> *)(t.g + i);
            m = *(const pack<M, N> *)(t.m + i);
            v = *(const pack<V, N> *)(t.v + i);
        } else {
            w = load_some<N>(t.w + i, count);
            g = load_some<N>(t.g + i, count);
            m = load_some<N>(t.m + i, count);
            v = load_some<N>(t.v + i, count);
        }
        for (int k = 0; k < N; k++) {
            ww[k] = to_f32(w.v[k]);
            mm[k] = to_f32(m.v[k]);
            vv[k] = to_f32(v.v[k]);
            update(ww[k], mm[k], vv[k], to_f32(g.v[k]), u);
        }
        store_nearest(t.m + i, mm, count, together);
        store_nearest(t.v + i, vv, count, together);
        if constexpr (MASTER)
            store_nearest(t.w + i, ww, count, together);
        if constexpr (MASTER || sizeof(P) == sizeof(float))
            store_nearest(t.p + i, ww, count, together);
        else
            store_rounded(t.p, ww, i, count, together, u);
    }
}

struct arguments {
    tensor_in p, g, m, v, master; /* master: NULL where there is none */
    constants u;
};

template <bool MASTER, class P, class W, class G, class M, class V> static int run(struct cuda *c, const struct arguments *a)
{
    tensor_in w = MASTER ? a->master : a->p;
    uintptr_t all = (uintptr_t)a->p->data | (uintptr_t)w->data | (uintptr_t)a->g->data | (uintptr_t)a->m->data |
                    (uintptr_t)a->v->data;
    tensors<P, W, G, M, V> t = {(P *)a->p->data, (W *)w->data, (const G *)a->g->data, (M *)a->m->data, (V *)a->v->data,
                                tensor_elements(a->p), all % 16 == 0};
    unsigned blocks = cuda_blocks(c, t.n, THREADS * NEIGHBOURS<MASTER, P, G, M>);

    return cuda_launch(c, "adam", adam<MASTER, P, W, G, M, V>, blocks, THREADS, 0, t, a->u);
}

template <class P, class G, class M, class V> static int with_master_or_not(struct cuda *c, const struct arguments *a)
{
    if constexpr (sizeof(P) < sizeof(float))
        if (a->master)
            return run<true, P, float, G, M, V>(c, a);
    return run<false, P, P, G, M, V>(c, a);
}

int cuda_adam(void *self, tensor_in p, tensor_in m, tensor_in v, tensor_in g, const struct adam *how)
{
    const struct arguments a = {p, g, m, v, how->master,
                                {how->beta1, how->beta2, how->eps, how->scale, how->v_max,
                                 (float)((double)how->lr / (1.0 - pow((double)how->beta1, (double)how->t))),
                                 (float)(1.0 / (1.0 - pow((double)how->beta2, (double)how->t))), how->lr * how->decay,
                                 how->rng, (uint64_t)how->t, how->element}};

    return cuda_typed(p->type, [&]<class P>() {
        return cuda_typed(g->type, [&]<class G>() {
            if (m->type == DTYPE_F32)
                return with_master_or_not<P, G, float, float>((struct cuda *)self, &a);
            return with_master_or_not<P, G, e6m9, e6m10>((struct cuda *)self, &a);
        });
    });
}

/* ---- sums ----------------------------------------------------------------------------------------------------------- */

__device__ static __forceinline__ squares shuffle_xor(squares v, int by)
{
    return {shuffle_xor(v.sum, by), shuffle_xor(v.zeros, by)};
}

struct add_squares {
    __device__ squares operator()(squares a, squares b) const { return {a.sum + b.sum, a.zeros + b.zeros}; }
};

template <class T> static __global__ void sum_parts(squares *part, const T *x, int64_t n, bool aligned)
{
    constexpr int N = 16 / sizeof(T);
    __shared__ squares memory[33];
    squares mine = {0, 0};

    for (int64_t i = N * (blockIdx.x * (int64_t)THREADS + threadIdx.x); i < n; i += N * (gridDim.x * (int64_t)THREADS)) {
        int count = n - i < N ? (int)(n - i) : N;
        pack<T, N> all = aligned && count == N ? *(const pack<T, N> *)(x + i) : load_some<N>(x + i, count);

        for (int k = 0; k < N; k++) {
            double v = to_f32(all.v[k]);

            mine.sum += v * v;
            mine.zeros += k < count && v == 0.0;
        }
    }
    mine = block_all(mine, add_squares{}, memory);
    if (threadIdx.x == 0)
        part[blockIdx.x] = mine;
}

/* A block a tensor. */
static __global__ void add_parts(squares *sums, const squares *part)
{
    __shared__ squares memory[33];
    squares mine = {0, 0};

    for (int i = (int)threadIdx.x; i < CUDA_SQUARES_PARTS; i += THREADS)
        mine = add_squares{}(mine, part[blockIdx.x * (int64_t)CUDA_SQUARES_PARTS + i]);
    mine = block_all(mine, add_squares{}, memory);
    if (threadIdx.x == 0)
        sums[blockIdx.x] = mine;
}

static int sum_tensor(struct cuda *c, squares *part, tensor_in x)
{
    int64_t n = tensor_elements(x);

    return cuda_typed(x->type, [&]<class T>() {
        const int64_t each = THREADS * (int64_t)(16 / sizeof(T)), blocks = (n + each - 1) / each, most = CUDA_SQUARES_PARTS;

        return cuda_launch(c, "squares", sum_parts<T>, (unsigned)(blocks < most ? blocks : most), THREADS, 0, part,
                           (const T *)x->data, n, (uintptr_t)x->data % 16 == 0);
    });
}

int cuda_sum_squares(void *self, struct squares *sums, tensor_in x, int64_t count)
{
    struct cuda *c = (struct cuda *)self;
    size_t size = cuda_working_sum_squares(count);
    squares *all = (squares *)cuda_scratch(c, size);
    int rc;

    if (!all)
        return ERR_NOMEM;
    rc = cuda_zero(c, all, size); /* a small tensor has fewer parts */
    for (int64_t i = 0; rc == 0 && i < count; i++)
        rc = sum_tensor(c, all + count + i * CUDA_SQUARES_PARTS, &x[i]);
    if (rc == 0)
        rc = cuda_launch(c, "squares", add_parts, (unsigned)count, THREADS, 0, all, all + count);
    return rc == 0 ? cuda_download(c, sums, all, (size_t)count * sizeof *sums) : rc;
}

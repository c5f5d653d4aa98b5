/* SPDX-License-Identifier: MIT */
/* conv.cu -- convolutions: by cuDNN where it is found and takes the shape (dnn.h), else as products of matrices.
 *
 * Products  1x1: of the activations as they lie.  Larger: of columns, the pixels that each tap sees side by side (im2col),
 *           made for a slice of the pixels at a time, so that they stay in the second cache.  Where f32 activations are
 *           rounded to bf16 that happens on the way into the columns; cuDNN has no such form (it gives back what it takes).
 * Weights   are arranged as [out][tap][in] in the type of the factors, in each call: they are small beside the activations.
 *           The gradient of the input is the convolution of dy with the weights transposed and turned by 180 degrees.
 * Ends      gain and `add` are the product's.  A bias is the product's too, rounded to the type of y as weights are; behind
 *           cuDNN it is added, and ReLU and mask are done, in one pass over y, bound by memory: with a bias a 16-bit y is
 *           rounded twice there.
 * Gradient  of the weights: f32 sums from the products, slice after slice; cuDNN rounds them to 16 bits where dy and x are
 *           of 16 bits.  Then they are added to dw in its order.
 */
#include "compute/cuda/dnn.h"
#include "compute/cuda/product.h"

enum { THREADS = 256, BF16_MIN = 16 /* channels on both sides: narrow ones gain nothing */, ROWS = 128, PAD = 8 };

static const size_t columns_most = (size_t)32 << 20; /* bytes: what the second cache holds */

/* One convolution, y from x; or the gradient of its weights, from x and y. */
struct job {
    int64_t n, h, w, in, out, k;
    enum dtype type;      /* of x and y */
    enum dtype factors;   /* what the products read */
    const void *x;
    struct cuda_dnn_plan *plan; /* NULL: products */
    size_t workspace;     /* cuDNN's */
    int64_t width;        /* of a row of columns and of arranged weights: taps * in, rounded up for products */
    int64_t rows;         /* pixels in a slice */
};

static int64_t pixels(const struct job *j)
{
    return j->n * j->h * j->w;
}

/* Are the products' factors the activations as they lie? */
static bool in_place(const struct job *j)
{
    return j->k == 1 && j->factors == j->type;
}

static struct job job(struct cuda *c, tensor_in x, int64_t in, int64_t out, int64_t k, bool gradient)
{
    struct job j = {x->shape[0], x->shape[1], x->shape[2], in, out, k, x->type, x->type, x->data};
    int64_t row;

    if (x->type == DTYPE_F32 && c->precision == PRECISION_BF16 && in >= BF16_MIN && out >= BF16_MIN)
        j.factors = DTYPE_BF16;
    if (k > 1 && j.factors == j.type) {
        const struct cuda_dnn_shape shape = {j.n, j.h, j.w, in, out, k, j.type, gradient};

        j.plan = cuda_dnn_find(c, &shape, &j.workspace);
    }
    j.width = j.plan || in_place(&j) ? k * k * in : (k * k * in + PAD - 1) / PAD * PAD;
    row = j.width * (int64_t)dtype_size(j.factors);
    j.rows = (int64_t)columns_most / row / ROWS * ROWS;
    if (j.rows < ROWS)
        j.rows = ROWS;
    if (in_place(&j) || j.rows > pixels(&j))
        j.rows = pixels(&j);
    return j;
}

static size_t columns_size(const struct job *j)
{
    return in_place(j) || j->plan ? 0 : cuda_piece((size_t)(j->rows * j->width) * dtype_size(j->factors));
}

/* ---- weights ---------------------------------------------------------------------------------------------------------- */

/* to [out,width] = w [out,in,taps], or w [in,out,taps] turned; zeros behind the last tap. */
template <class T>
static __global__ void arrange(T *to, const float *w, int64_t out, int64_t in, int64_t taps, int64_t width, bool turned)
{
    for (int64_t e = blockIdx.x * (int64_t)THREADS + threadIdx.x; e < out * width; e += gridDim.x * (int64_t)THREADS) {
        int64_t o = e / width, tap = e % width / in, i = e % width % in;
        int64_t from = turned ? (i * out + o) * taps + taps - 1 - tap : (o * in + i) * taps + tap;

        to[e] = from_f32<T>(tap < taps ? w[from] : 0.0f);
    }
}

/* dw [out,in,taps] += sum [out,width] */
template <class T>
static __global__ void add_arranged(float *dw, const T *sum, int64_t out, int64_t in, int64_t taps, int64_t width)
{
    for (int64_t e = blockIdx.x * (int64_t)THREADS + threadIdx.x; e < out * in * taps; e += gridDim.x * (int64_t)THREADS) {
        int64_t o = e / (in * taps), i = e / taps % in, tap = e % taps;

        dw[e] += to_f32(sum[o * width + tap * in + i]);
    }
}

template <class T> static __global__ void scale(T *to, const float *from, int64_t n, float gain)
{
    for (int64_t i = blockIdx.x * (int64_t)THREADS + threadIdx.x; i < n; i += gridDim.x * (int64_t)THREADS)
        to[i] = from_f32<T>(gain * from[i]);
}

/* ---- columns ---------------------------------------------------------------------------------------------------------- */

/* to [rows,width]: what the taps of the pixels from `first` on see, N channels at a time; zeros outside and behind. */
template <int N, class T, class X>
static __global__ void gather(T *to, const X *x, int64_t first, int64_t rows, int64_t width, int64_t h, int64_t w,
                              int64_t in, int64_t k)
{
    int64_t packs = width / N, pad = (k - 1) / 2;

    for (int64_t e = blockIdx.x * (int64_t)THREADS + threadIdx.x; e < rows * packs; e += gridDim.x * (int64_t)THREADS) {
        int64_t p = first + e / packs, at = e % packs * N, tap = at / in;
        int64_t row = p / w % h + tap / k - pad, column = p % w + tap % k - pad;
        pack<T, N> out;

        if (tap >= k * k || row < 0 || row >= h || column < 0 || column >= w) {
            for (int i = 0; i < N; i++)
                out.v[i] = from_f32<T>(0.0f);
        } else {
            const pack<X, N> from = *(const pack<X, N> *)(x + ((p / w / h * h + row) * w + column) * in + at % in);

            for (int i = 0; i < N; i++)
                out.v[i] = from_f32<T>(to_f32(from.v[i]));
        }
        ((pack<T, N> *)to)[e] = out;
    }
}

template <class T, class X>
static int columns(struct cuda *c, void *to, const struct job *j, int64_t first, int64_t rows)
{
    constexpr int N = 16 / (sizeof(T) > sizeof(X) ? sizeof(T) : sizeof(X));
    bool packs = j->in % N == 0 && (uintptr_t)j->x % 16 == 0;
    int64_t items = rows * j->width / (packs ? N : 1);

    return cuda_launch(c, "columns", packs ? gather<N, T, X> : gather<1, T, X>, cuda_blocks(c, items, THREADS), THREADS, 0,
                       (T *)to, (const X *)j->x, first, rows, j->width, j->h, j->w, j->in, j->k);
}

/* *a: what the products read for `rows` pixels from `first` on: x itself or columns, made in `room`. */
static int factor(const void **a, struct cuda *c, const struct job *j, void *room, int64_t first, int64_t rows)
{
    *a = in_place(j) ? j->x : room;
    if (in_place(j))
        return 0;
    return cuda_typed(j->type, [&]<class X>() {
        return j->factors == j->type ? columns<X, X>(c, room, j, first, rows) : columns<bf16, X>(c, room, j, first, rows);
    });
}

/* ---- ends ------------------------------------------------------------------------------------------------------------- */

/* y += gain * bias, then ReLU; 0 where mask <= 0.  N channels at a time; bias and mask may be NULL. */
template <int N, class T>
static __global__ void finish(T *y, const float *bias, const T *mask, int64_t packs, int64_t channels, float gain, bool relu)
{
    for (int64_t e = blockIdx.x * (int64_t)THREADS + threadIdx.x; e < packs; e += gridDim.x * (int64_t)THREADS) {
        pack<T, N> out = ((pack<T, N> *)y)[e], m = mask ? ((const pack<T, N> *)mask)[e] : out;
        int64_t first = bias ? e * N % channels : 0;

        for (int i = 0; i < N; i++) {
            float v = to_f32(out.v[i]) + (bias ? gain * bias[first + i] : 0.0f);

            v = relu && v < 0.0f ? 0.0f : v; /* NaN stays */
            out.v[i] = from_f32<T>(mask && !(to_f32(m.v[i]) > 0.0f) ? 0.0f : v);
        }
        ((pack<T, N> *)y)[e] = out;
    }
}

static int end(struct cuda *c, const struct job *j, void *y, const float *bias, float gain, bool relu, const void *mask)
{
    if (!bias && !relu && !mask)
        return 0;
    return cuda_typed(j->type, [&]<class T>() {
        constexpr int N = 16 / sizeof(T);
        bool packs = j->out % N == 0 && ((uintptr_t)y | (uintptr_t)mask) % 16 == 0;
        int64_t items = pixels(j) * j->out / (packs ? N : 1);

        return cuda_launch(c, "a convolution's end", packs ? finish<N, T> : finish<1, T>, cuda_blocks(c, items, THREADS),
                           THREADS, 0, (T *)y, bias, (const T *)mask, items, j->out, gain, relu);
    });
}

/* ---- the operations --------------------------------------------------------------------------------------------------- */

/* y = gain * (x w + bias) (+ y if add), slice by slice.  bias: [out] of the type of y, times gain. */
static int products(struct cuda *c, const struct job *j, void *y, const void *w, const void *bias, struct conv how,
                    void *room)
{
    int rc = 0;

    for (int64_t at = 0; rc == 0 && at < pixels(j); at += j->rows) {
        struct cuda_product p = {};

        p.m = pixels(j) - at < j->rows ? pixels(j) - at : j->rows;
        p.n = j->out;
        p.k = j->width;
        p.tb = true;
        p.in = j->factors;
        p.out = j->type;
        p.b = w;
        p.y = (char *)y + (size_t)(at * j->out) * dtype_size(j->type);
        p.plus = how.add ? p.y : NULL;
        p.bias = bias;
        p.alpha = how.gain;
        if ((rc = factor(&p.a, c, j, room, at, p.m)) == 0)
            rc = cuda_product(c, &p);
    }
    return rc;
}

static int convolve(struct cuda *c, const struct job *j, void *y, const float *w, bool turned, const float *bias,
                    struct conv how, const void *mask)
{
    size_t weights = cuda_piece((size_t)(j->out * j->width) * dtype_size(j->factors));
    size_t shifts = cuda_piece((size_t)j->out * sizeof(float)), rest = j->plan ? j->workspace : columns_size(j);
    char *arranged = (char *)cuda_scratch(c, weights + shifts + rest), *shift = arranged + weights, *room = shift + shifts;
    int rc;

    if (!arranged)
        return ERR_NOMEM;
    rc = cuda_typed(j->factors, [&]<class T>() {
        return cuda_launch(c, "weights", arrange<T>, cuda_blocks(c, j->out * j->width, THREADS), THREADS, 0, (T *)arranged,
                           w, j->out, j->in, j->k * j->k, j->width, turned);
    });
    if (rc != 0)
        return rc;
    if (j->plan) {
        rc = cuda_dnn_conv(c, j->plan, y, j->x, arranged, how.gain, how.add, room);
        return rc == 0 ? end(c, j, y, bias, how.gain, how.relu, mask) : rc;
    }
    if (bias)
        rc = cuda_typed(j->type, [&]<class T>() {
            return cuda_launch(c, "bias", scale<T>, cuda_blocks(c, j->out, THREADS), THREADS, 0, (T *)shift, bias, j->out,
                               how.gain);
        });
    if (rc == 0)
        rc = products(c, j, y, arranged, bias ? shift : NULL, how, room);
    return rc == 0 ? end(c, j, y, NULL, how.gain, how.relu, mask) : rc;
}

int cuda_conv(void *self, tensor_in y, tensor_in x, tensor_in w, tensor_in bias, struct conv how)
{
    struct cuda *c = (struct cuda *)self;
    int rc = 1;

    while (rc > 0) { /* again where cuDNN could not do what it had planned */
        const struct job j = job(c, x, w->shape[1], w->shape[0], w->shape[2], false);

        rc = convolve(c, &j, y->data, CUDA_F32(w), false, bias ? CUDA_F32(bias) : NULL, how, NULL);
    }
    return rc;
}

int cuda_conv_dx(void *self, tensor_in dx, tensor_in dy, tensor_in w, tensor_in mask, struct conv how)
{
    struct cuda *c = (struct cuda *)self;
    int rc = 1;

    how.relu = false;
    while (rc > 0) {
        const struct job j = job(c, dy, w->shape[0], w->shape[1], w->shape[2], false);

        rc = convolve(c, &j, dx->data, CUDA_F32(w), true, NULL, how, mask ? mask->data : NULL);
    }
    return rc;
}

/* sum [out,width] = gain * dy^T x (+ sum if add), slice by slice; half: room for a slice of dy as it is read. */
static int gradient_products(struct cuda *c, const struct job *j, float *sum, const void *dy, bool add, float gain,
                             void *half, void *room)
{
    int rc = 0;

    for (int64_t at = 0; rc == 0 && at < pixels(j); at += j->rows) {
        struct cuda_product p = {};

        p.m = j->out;
        p.n = j->width;
        p.k = pixels(j) - at < j->rows ? pixels(j) - at : j->rows;
        p.ta = true;
        p.in = j->factors;
        p.out = DTYPE_F32;
        p.a = (const char *)dy + (size_t)(at * j->out) * dtype_size(j->type);
        p.y = sum;
        p.plus = add || at > 0 ? sum : NULL;
        p.alpha = gain;
        if (j->factors != j->type) {
            if ((rc = cuda_convert(c, half, j->factors, p.a, j->type, p.k * j->out)) != 0)
                return rc;
            p.a = half;
        }
        if ((rc = factor(&p.b, c, j, room, at, p.k)) == 0)
            rc = cuda_product(c, &p);
    }
    return rc;
}

static int add_gradient(struct cuda *c, const struct job *j, float *dw, const void *dy, float gain)
{
    enum dtype type = j->plan ? j->type : DTYPE_F32; /* of the sums */
    size_t sums = in_place(j) ? 0 : cuda_piece((size_t)(j->out * j->width) * dtype_size(type));
    size_t halves = j->factors == j->type ? 0 : cuda_piece((size_t)(j->rows * j->out) * dtype_size(j->factors));
    char *sum = (char *)cuda_scratch(c, sums + halves + (j->plan ? j->workspace : columns_size(j)));
    char *half = sum + sums, *room = half + halves;
    int rc;

    if (!sum)
        return ERR_NOMEM;
    if (in_place(j))
        return gradient_products(c, j, dw, dy, true, gain, half, room);
    if (j->plan)
        rc = cuda_dnn_conv_dw(c, j->plan, sum, dy, j->x, gain, room);
    else
        rc = gradient_products(c, j, (float *)sum, dy, false, gain, half, room);
    if (rc != 0)
        return rc;
    return cuda_typed(type, [&]<class T>() {
        return cuda_launch(c, "a gradient's sums", add_arranged<T>, cuda_blocks(c, j->out * j->in * j->k * j->k, THREADS),
                           THREADS, 0, dw, (const T *)sum, j->out, j->in, j->k * j->k, j->width);
    });
}

int cuda_conv_dw(void *self, tensor_in dw, tensor_in db, tensor_in dy, tensor_in x, struct conv how)
{
    struct cuda *c = (struct cuda *)self;
    int64_t rows = x->shape[0] * x->shape[1] * x->shape[2], out = dw->shape[0];
    void *memory;
    int rc = 1;

    while (rc > 0) {
        const struct job j = job(c, x, dw->shape[1], out, dw->shape[2], true);

        rc = add_gradient(c, &j, CUDA_F32(dw), dy->data, how.gain);
    }
    if (rc == 0 && !(memory = cuda_scratch(c, cuda_working_add_rows(rows, out))))
        rc = ERR_NOMEM;
    return rc == 0 ? cuda_add_rows(c, CUDA_F32(db), dy->data, dy->type, rows, out, how.gain, memory) : rc;
}

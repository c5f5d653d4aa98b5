/* SPDX-License-Identifier: MIT */
/* conv.c -- convolutions, NHWC: our own kernels where they are faster (direct.h), else oneDNN, 1x1 as products of matrices.
 *
 * The gain goes into the weights and the bias (it is linear), so that oneDNN's post-operations are the plain sum and ReLU.
 * The gradient of the input is a convolution too: of dy with the weights transposed and turned by 180 degrees.
 */
#include "base/bits16.h"
#include "compute/cpu/direct.h"
#include "compute/cpu/dnnl.h"
#include "compute/cpu/gemm.h"
#include "compute/cpu/wide.h"

#define CONV_BF16_MIN 16 /* channels on both sides */

static int64_t pixels(tensor_in x)
{
    return x->shape[0] * x->shape[1] * x->shape[2];
}

static void scale(float *y, const float *x, int64_t count, float gain)
{
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < count; i++)
        y[i] = gain * x[i];
}

static void add_scaled(float *y, const float *x, int64_t count, float gain)
{
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < count; i++)
        y[i] += gain * x[i];
}

static void apply_mask(float *dx, const float *mask, int64_t count)
{
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < count; i++)
        dx[i] = mask[i] > 0.0f ? dx[i] : 0.0f;
}

/* turned [I,O,K,K] = gain * w [O,I,K,K] turned by 180 degrees */
static void turn(float *turned, const float *w, int64_t out, int64_t in, int64_t taps, float gain)
{
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < in; i++)
        for (int64_t o = 0; o < out; o++)
            for (int64_t t = 0; t < taps; t++)
                turned[(i * out + o) * taps + t] = gain * w[(o * in + i) * taps + taps - 1 - t];
}

static struct cpu_direct direct(tensor_in x, int64_t i, int64_t o, int64_t k, struct conv how)
{
    struct cpu_direct d = {.n = x->shape[0], .h = x->shape[1], .w = x->shape[2], .i = i, .o = o, .k = k,
                           .gain = how.gain, .add = how.add};

    return d;
}

/* What the factors are rounded to: the activations' type, or as device_precision says; narrow convolutions gain nothing. */
static enum dtype factors_of(const struct cpu *cpu, tensor_in x, int64_t i, int64_t o)
{
    if (x->type != DTYPE_F32)
        return x->type;
    return cpu->bf16 != CPU_BF16_NONE && i >= CONV_BF16_MIN && o >= CONV_BF16_MIN ? DTYPE_BF16 : DTYPE_F32;
}

/* Are they multiplied as bf16?  Else they are rounded copies in f32. */
static bool in_bf16(const struct cpu *cpu, enum dtype factors, int64_t i, int64_t o)
{
    return factors == DTYPE_BF16 && cpu->bf16 > CPU_BF16_EMULATED && i >= CONV_BF16_MIN && o >= CONV_BF16_MIN;
}

/* Bytes of x as bf16, if it is to be read so; x as it is read, in room for that. */
static size_t halves(bool bf16, tensor_in x)
{
    return bf16 ? ((size_t)tensor_elements(x) * sizeof(uint16_t) + 63) / 64 * 64 : 0;
}

static const void *as_read(bool bf16, void *room, tensor_in x)
{
    int64_t count = tensor_elements(x);
    uint16_t *to = room;

    if (!bf16)
        return x->data;
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < count; i++)
        to[i] = bf16_from_f32(F32(x)[i]);
    return to;
}

bool cpu_direct_fits(const struct cpu_direct *how, bool gradient)
{
    int64_t weights = how->i * how->o, tiles = how->n * ((how->h + 1) / 2) * ((how->w + 1) / 2);

    if (how->i % 8 != 0 || how->o % 8 != 0)
        return false;
    if (how->k == 1)
        return weights <= 8192;
    /* Transforming many weights must pay; a gradient's sums must not fill the memory. */
    return how->k == 3 && (weights <= 1 << 16 || (tiles >= 256 && weights <= (gradient ? 1 << 18 : 1 << 20)));
}

static int conv(struct cpu *cpu, tensor_in y, tensor_in x, tensor_in w, const float *bias, struct conv how, bool bf16)
{
    int64_t o = w->shape[0], i = w->shape[1], k = w->shape[2], weights = tensor_elements(w);
    const float *kernel = F32(w);
    struct gemm product = {pixels(x), o, i, .tb = true, .add = how.add, .relu = how.relu, .gain = how.gain};
    struct cpu_dnnl_conv shape = {x->shape[0], x->shape[1], x->shape[2], i, o, k, how.add, how.relu, bf16};
    struct cpu_direct d = direct(x, i, o, k, how);
    float *own;

    if (!bf16 && cpu_direct_fits(&d, false)) {
        d.end = (struct product_end){.bias = bias, .relu = how.relu};
        return k == 1 ? cpu_pointwise(cpu, F32(y), F32(x), kernel, &d) : cpu_winograd(cpu, F32(y), F32(x), kernel, &d);
    }
    if (k == 1)
        return (bf16 ? cpu_gemm_bf16 : cpu_gemm)(cpu, F32(y), F32(x), kernel, bias, &product);
    if (!(own = cpu_scratch(cpu, (size_t)(weights + o) * sizeof *own + halves(bf16, x))))
        return cpu_lacking(cpu);
    if (how.gain != 1.0f) {
        scale(own, kernel, weights, how.gain);
        kernel = own;
        if (bias) {
            scale(own + weights, bias, o, how.gain);
            bias = own + weights;
        }
    }
    return cpu_dnnl_conv(cpu->dnnl, F32(y), as_read(bf16, own + weights + o, x), kernel, bias, shape);
}

int cpu_conv(void *self, tensor_in y, tensor_in x, tensor_in w, tensor_in bias, struct conv how)
{
    struct cpu *cpu = self;
    int64_t o = w->shape[0], i = w->shape[1];
    enum dtype factors = factors_of(cpu, x, i, o);
    bool bf16 = in_bf16(cpu, factors, i, o);
    enum dtype copies = bf16 ? DTYPE_F32 : factors;
    struct cpu_wide wide[] = {{.from = how.add ? y : NULL, .to = y}, {.from = x, .round = copies}, {.from = w, .round = copies},
                              {.from = bias, .round = x->type}};
    int rc;

    if ((rc = cpu_widen(cpu, wide, 4)) != 0)
        return rc;
    rc = conv(cpu, &wide[0].t, &wide[1].t, &wide[2].t, F32(&wide[3].t), how, bf16);
    if (rc == 0)
        cpu_narrow(cpu, wide, 4);
    return rc;
}

static int conv_dx(struct cpu *cpu, tensor_in dx, tensor_in dy, tensor_in w, const float *mask, struct conv how, bool bf16)
{
    int64_t o = w->shape[0], i = w->shape[1], k = w->shape[2], weights = tensor_elements(w);
    struct gemm product = {pixels(dy), i, o, .add = how.add, .gain = how.gain};
    struct cpu_dnnl_conv shape = {dy->shape[0], dy->shape[1], dy->shape[2], o, i, k, how.add, false, bf16};
    struct cpu_direct d = direct(dy, o, i, k, how);
    int rc;

    if (!bf16 && cpu_direct_fits(&d, false)) {
        d.turned = true;
        d.end.mask = mask;
        return k == 1 ? cpu_pointwise(cpu, F32(dx), F32(dy), F32(w), &d) : cpu_winograd(cpu, F32(dx), F32(dy), F32(w), &d);
    }
    if (k == 1) {
        rc = (bf16 ? cpu_gemm_bf16 : cpu_gemm)(cpu, F32(dx), F32(dy), F32(w), NULL, &product);
    } else {
        float *kernel = cpu_scratch(cpu, (size_t)weights * sizeof *kernel + halves(bf16, dy));

        if (!kernel)
            return cpu_lacking(cpu);
        turn(kernel, F32(w), o, i, k * k, how.gain);
        rc = cpu_dnnl_conv(cpu->dnnl, F32(dx), as_read(bf16, kernel + weights, dy), kernel, NULL, shape);
    }
    if (rc == 0 && mask)
        apply_mask(F32(dx), mask, tensor_elements(dx));
    return rc;
}

int cpu_conv_dx(void *self, tensor_in dx, tensor_in dy, tensor_in w, tensor_in mask, struct conv how)
{
    struct cpu *cpu = self;
    int64_t o = w->shape[0], i = w->shape[1];
    enum dtype factors = factors_of(cpu, dy, i, o);
    bool bf16 = in_bf16(cpu, factors, i, o);
    enum dtype copies = bf16 ? DTYPE_F32 : factors;
    struct cpu_wide wide[] = {{.from = how.add ? dx : NULL, .to = dx}, {.from = dy, .round = copies},
                              {.from = w, .round = copies}, {.from = mask}};
    int rc;

    if ((rc = cpu_widen(cpu, wide, 4)) != 0)
        return rc;
    rc = conv_dx(cpu, &wide[0].t, &wide[1].t, &wide[2].t, F32(&wide[3].t), how, bf16);
    if (rc == 0)
        cpu_narrow(cpu, wide, 4);
    return rc;
}

/* Pictures are summed in as many slices, each by one thread, then in order: more where the sums are small. */
static int dw_slices(int64_t weights, int64_t n)
{
    int64_t most = (1 << 22) / weights, slices = most < 4 ? 4 : most > 32 ? 32 : most;

    return (int)(slices < n ? slices : n);
}

static int conv_dw(struct cpu *cpu, tensor_in dw, tensor_in db, tensor_in dy, tensor_in x, struct conv how, bool bf16)
{
    int64_t o = dw->shape[0], i = dw->shape[1], k = dw->shape[2], weights = tensor_elements(dw);
    struct gemm product = {o, i, pixels(x), .ta = true, .add = true, .gain = how.gain};
    struct cpu_dnnl_conv shape = {x->shape[0], x->shape[1], x->shape[2], i, o, k, false, false, bf16};
    struct cpu_direct d = direct(x, i, o, k, how);
    const void *as_dy, *as_x;
    float *sum;
    int slices, rc;

    if (!bf16 && cpu_direct_fits(&d, true))
        return k == 1 ? cpu_pointwise_dw(cpu, F32(dw), F32(db), F32(dy), F32(x), &d)
                      : cpu_winograd_dw(cpu, F32(dw), F32(db), F32(dy), F32(x), &d);
    if (k == 1) {
        rc = (bf16 ? cpu_gemm_bf16 : cpu_gemm)(cpu, F32(dw), F32(dy), F32(x), NULL, &product);
        return rc == 0 ? cpu_add_rows(cpu, F32(db), F32(dy), product.k, o, how.gain) : rc;
    }
    slices = dw_slices(weights, shape.n);
    if (!(sum = cpu_scratch(cpu, (size_t)((weights + o) * slices) * sizeof *sum + halves(bf16, dy) + halves(bf16, x))))
        return cpu_lacking(cpu);
    as_dy = as_read(bf16, sum + (weights + o) * slices, dy);
    as_x = as_read(bf16, (char *)(sum + (weights + o) * slices) + halves(bf16, dy), x);
    if ((rc = cpu_dnnl_conv_dw(cpu->dnnl, sum, as_dy, as_x, shape, slices)) != 0)
        return rc;
    for (int s = 0; s < slices; s++, sum += weights + o) {
        add_scaled(F32(dw), sum, weights, how.gain);
        add_scaled(F32(db), sum + weights, o, how.gain);
    }
    return 0;
}

int cpu_conv_dw(void *self, tensor_in dw, tensor_in db, tensor_in dy, tensor_in x, struct conv how)
{
    struct cpu *cpu = self;
    int64_t o = dw->shape[0], i = dw->shape[1];
    enum dtype factors = factors_of(cpu, x, i, o);
    bool bf16 = in_bf16(cpu, factors, i, o);
    enum dtype copies = bf16 ? DTYPE_F32 : factors;
    struct cpu_wide wide[] = {{.from = dy, .round = copies}, {.from = x, .round = copies}};
    int rc = cpu_widen(cpu, wide, 2);

    return rc != 0 ? rc : conv_dw(cpu, dw, db, &wide[0].t, &wide[1].t, how, bf16);
}

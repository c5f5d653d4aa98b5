/* SPDX-License-Identifier: MIT */
/* cudnn.cc -- convolutions as loops, sums in f64.  What the library would refuse is refused, and odd numbers of 16-bit
 * channels too, so that programs meet a refusal.  Lists of algorithms begin with those that must not be taken: they are
 * refused when they are run.  The workspace is written to. */
#include "cudnn.h"

#include <vector>

struct emulator_dnn {
    cudaStream_t stream;
};

static float get(const void *p, cudnnDataType_t type, int64_t at)
{
    switch (type) {
    case CUDNN_DATA_BFLOAT16: return __bfloat162float(((const __nv_bfloat16 *)p)[at]);
    case CUDNN_DATA_HALF: return __half2float(((const __half *)p)[at]);
    default: return ((const float *)p)[at];
    }
}

static void put(void *p, cudnnDataType_t type, int64_t at, float x)
{
    switch (type) {
    case CUDNN_DATA_BFLOAT16: ((__nv_bfloat16 *)p)[at] = __float2bfloat16_rn(x); break;
    case CUDNN_DATA_HALF: ((__half *)p)[at] = __float2half_rn(x); break;
    default: ((float *)p)[at] = x;
    }
}

/* Where element [a,b,c,d] of sizes N C H W lies. */
static int64_t offset(const emulator_tensor &t, int64_t a, int64_t b, int64_t c, int64_t d)
{
    const int *s = t.size;

    return t.format == CUDNN_TENSOR_NHWC ? ((a * s[2] + c) * s[3] + d) * s[1] + b : ((a * s[1] + b) * s[2] + c) * s[3] + d;
}

/* ---- descriptors ------------------------------------------------------------------------------------------------------ */

size_t cudnnGetVersion(void) { return CUDNN_MAJOR * 10000; }
const char *cudnnGetErrorString(cudnnStatus_t) { return "not supported"; }
cudnnStatus_t cudnnCreate(cudnnHandle_t *h) { *h = new emulator_dnn{NULL}; return CUDNN_STATUS_SUCCESS; }
cudnnStatus_t cudnnDestroy(cudnnHandle_t h) { delete h; return CUDNN_STATUS_SUCCESS; }
cudnnStatus_t cudnnSetStream(cudnnHandle_t h, cudaStream_t s) { h->stream = s; return CUDNN_STATUS_SUCCESS; }

template <class D> static cudnnStatus_t create(D **d)
{
    *d = new D{};
    return CUDNN_STATUS_SUCCESS;
}

template <class D> static cudnnStatus_t destroy(D *d)
{
    delete d;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t *d) { return create(d); }
cudnnStatus_t cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t d) { return destroy(d); }
cudnnStatus_t cudnnCreateFilterDescriptor(cudnnFilterDescriptor_t *d) { return create(d); }
cudnnStatus_t cudnnDestroyFilterDescriptor(cudnnFilterDescriptor_t d) { return destroy(d); }
cudnnStatus_t cudnnCreateConvolutionDescriptor(cudnnConvolutionDescriptor_t *d) { return create(d); }
cudnnStatus_t cudnnDestroyConvolutionDescriptor(cudnnConvolutionDescriptor_t d) { return destroy(d); }

static cudnnStatus_t set(emulator_tensor *d, cudnnTensorFormat_t format, cudnnDataType_t type, int a, int b, int h, int w)
{
    if (a < 1 || b < 1 || h < 1 || w < 1 || (int64_t)a * b * h * w > INT32_MAX)
        return CUDNN_STATUS_BAD_PARAM;
    d->format = format;
    d->type = type;
    d->size[0] = a;
    d->size[1] = b;
    d->size[2] = h;
    d->size[3] = w;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t d, cudnnTensorFormat_t format, cudnnDataType_t type, int n,
                                         int c, int h, int w)
{
    return set(d, format, type, n, c, h, w);
}

cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t d, cudnnDataType_t type, cudnnTensorFormat_t format,
                                         int out, int in, int h, int w)
{
    return set(d, format, type, out, in, h, w);
}

cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t d, int pad_h, int pad_w, int stride_h,
                                              int stride_w, int dilation_h, int dilation_w, cudnnConvolutionMode_t mode,
                                              cudnnDataType_t sums)
{
    *d = {{pad_h, pad_w}, {stride_h, stride_w}, {dilation_h, dilation_w}, mode, sums, CUDNN_DEFAULT_MATH};
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t d, cudnnMathType_t math)
{
    d->math = math;
    return CUDNN_STATUS_SUCCESS;
}

/* ---- which convolutions there are ------------------------------------------------------------------------------------- */

static bool fits(const emulator_tensor *x, const emulator_tensor *w, const emulator_convolution *d, const emulator_tensor *y)
{
    if (x->type != w->type || x->type != y->type || x->format != y->format || x->format != w->format ||
        d->sums != CUDNN_DATA_FLOAT || x->size[0] != y->size[0] || x->size[1] != w->size[1] || y->size[1] != w->size[0])
        return false;
    for (int i = 0; i < 2; i++) {
        int span = d->dilation[i] * (w->size[2 + i] - 1) + 1;

        if (d->stride[i] < 1 || (x->size[2 + i] + 2 * d->pad[i] - span) / d->stride[i] + 1 != y->size[2 + i])
            return false;
    }
    return x->type == CUDNN_DATA_FLOAT || (x->size[1] % 2 == 0 && y->size[1] % 2 == 0);
}

static size_t workspace_of(const emulator_tensor *x) { return 4 * (size_t)x->size[1] + 1000; }

/* Only the last one is right. */
template <class A>
static cudnnStatus_t list_all(emulator_choice<A> *list, int asked, int *found, A wild, A transformed, A plain,
                              const emulator_tensor *x, cudnnMathType_t math)
{
    cudnnMathType_t other = math == CUDNN_FMA_MATH ? CUDNN_TENSOR_OP_MATH : math;
    emulator_choice<A> all[] = {{wild, CUDNN_STATUS_SUCCESS, 0, 0, CUDNN_NON_DETERMINISTIC, math, {}},
                                {transformed, CUDNN_STATUS_SUCCESS, 0, 0, CUDNN_DETERMINISTIC, math, {}},
                                {plain, CUDNN_STATUS_NOT_SUPPORTED, -1, 0, CUDNN_DETERMINISTIC, other, {}},
                                {plain, CUDNN_STATUS_SUCCESS, 0, workspace_of(x), CUDNN_DETERMINISTIC, math, {}}};

    for (*found = 0; *found < asked && *found < 4; ++*found)
        list[*found] = all[*found];
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetConvolutionForwardAlgorithm_v7(cudnnHandle_t, cudnnTensorDescriptor_t x, cudnnFilterDescriptor_t w,
                                                     cudnnConvolutionDescriptor_t d, cudnnTensorDescriptor_t y, int asked,
                                                     int *found, cudnnConvolutionFwdAlgoPerf_t *list)
{
    if (!fits(x, w, d, y))
        return CUDNN_STATUS_NOT_SUPPORTED;
    return list_all(list, asked, found, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM, CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD,
                    CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM, x, d->math);
}

cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(cudnnHandle_t, cudnnTensorDescriptor_t x, cudnnFilterDescriptor_t w,
                                                      cudnnConvolutionDescriptor_t d, cudnnTensorDescriptor_t y,
                                                      cudnnConvolutionFwdAlgo_t, size_t *size)
{
    *size = workspace_of(x);
    return fits(x, w, d, y) ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED;
}

cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithm_v7(cudnnHandle_t, cudnnTensorDescriptor_t x,
                                                            cudnnTensorDescriptor_t dy, cudnnConvolutionDescriptor_t d,
                                                            cudnnFilterDescriptor_t dw, int asked, int *found,
                                                            cudnnConvolutionBwdFilterAlgoPerf_t *list)
{
    if (!fits(x, dw, d, dy))
        return CUDNN_STATUS_NOT_SUPPORTED;
    return list_all(list, asked, found, CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0,
                    CUDNN_CONVOLUTION_BWD_FILTER_ALGO_WINOGRAD_NONFUSED, CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1, x, d->math);
}

cudnnStatus_t cudnnGetConvolutionBackwardFilterWorkspaceSize(cudnnHandle_t, cudnnTensorDescriptor_t x,
                                                             cudnnTensorDescriptor_t dy, cudnnConvolutionDescriptor_t d,
                                                             cudnnFilterDescriptor_t dw, cudnnConvolutionBwdFilterAlgo_t,
                                                             size_t *size)
{
    *size = workspace_of(x);
    return fits(x, dw, d, dy) ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED;
}

/* ---- the sums --------------------------------------------------------------------------------------------------------- */

/* Call term(position in y, weight, position in x) for every product of a convolution. */
template <class F>
static void each(const emulator_tensor &x, const emulator_tensor &w, const emulator_convolution &d, const emulator_tensor &y,
                 F term)
{
    for (int n = 0; n < y.size[0]; n++)
        for (int i = 0; i < y.size[2]; i++)
            for (int j = 0; j < y.size[3]; j++)
                for (int a = 0; a < w.size[2]; a++)
                    for (int b = 0; b < w.size[3]; b++) {
                        bool cross = d.mode == CUDNN_CROSS_CORRELATION;
                        int row = i * d.stride[0] - d.pad[0] + d.dilation[0] * a, ka = cross ? a : w.size[2] - 1 - a;
                        int col = j * d.stride[1] - d.pad[1] + d.dilation[1] * b, kb = cross ? b : w.size[3] - 1 - b;

                        if (row < 0 || row >= x.size[2] || col < 0 || col >= x.size[3])
                            continue;
                        for (int o = 0; o < y.size[1]; o++)
                            for (int c = 0; c < x.size[1]; c++)
                                term(offset(y, n, o, i, j), offset(w, o, c, ka, kb), offset(x, n, c, row, col));
                    }
}

static std::vector<float> all_of(const void *p, const emulator_tensor &t)
{
    std::vector<float> v((size_t)t.size[0] * t.size[1] * t.size[2] * t.size[3]);

    for (size_t i = 0; i < v.size(); i++)
        v[i] = get(p, t.type, (int64_t)i);
    return v;
}

static void put_all(void *p, const emulator_tensor &t, const std::vector<double> &sum, float alpha, float beta)
{
    for (size_t i = 0; i < sum.size(); i++) {
        double old = beta != 0 ? beta * (double)get(p, t.type, (int64_t)i) : 0;

        put(p, t.type, (int64_t)i, (float)(alpha * sum[i] + old));
    }
}

cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t h, const void *alpha_, cudnnTensorDescriptor_t dx, const void *x,
                                      cudnnFilterDescriptor_t dw, const void *w, cudnnConvolutionDescriptor_t d_,
                                      cudnnConvolutionFwdAlgo_t a, void *workspace, size_t workspace_size, const void *beta_,
                                      cudnnTensorDescriptor_t dy, void *y)
{
    emulator_tensor tx = *dx, tw = *dw, ty = *dy;
    emulator_convolution d = *d_;
    float alpha = *(const float *)alpha_, beta = *(const float *)beta_;

    if (!fits(dx, dw, d_, dy) || a != CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM || workspace_size < workspace_of(dx))
        return CUDNN_STATUS_NOT_SUPPORTED;
    emulator_do(h->stream, [=] {
        std::vector<float> vx = all_of(x, tx), vw = all_of(w, tw);
        std::vector<double> sum((size_t)ty.size[0] * ty.size[1] * ty.size[2] * ty.size[3]);

        memset(workspace, 0xff, workspace_size);
        each(tx, tw, d, ty, [&](int64_t at, int64_t weight, int64_t from) { sum[at] += (double)vx[from] * vw[weight]; });
        put_all(y, ty, sum, alpha, beta);
    });
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnConvolutionBackwardFilter(cudnnHandle_t h, const void *alpha_, cudnnTensorDescriptor_t dx, const void *x,
                                             cudnnTensorDescriptor_t ddy, const void *dy, cudnnConvolutionDescriptor_t d_,
                                             cudnnConvolutionBwdFilterAlgo_t a, void *workspace, size_t workspace_size,
                                             const void *beta_, cudnnFilterDescriptor_t ddw, void *dw)
{
    emulator_tensor tx = *dx, tw = *ddw, ty = *ddy;
    emulator_convolution d = *d_;
    float alpha = *(const float *)alpha_, beta = *(const float *)beta_;

    if (!fits(dx, ddw, d_, ddy) || a != CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1 || workspace_size < workspace_of(dx))
        return CUDNN_STATUS_NOT_SUPPORTED;
    emulator_do(h->stream, [=] {
        std::vector<float> vx = all_of(x, tx), vy = all_of(dy, ty);
        std::vector<double> sum((size_t)tw.size[0] * tw.size[1] * tw.size[2] * tw.size[3]);

        memset(workspace, 0xff, workspace_size);
        each(tx, tw, d, ty, [&](int64_t at, int64_t weight, int64_t from) { sum[weight] += (double)vx[from] * vy[at]; });
        put_all(dw, tw, sum, alpha, beta);
    });
    return CUDNN_STATUS_SUCCESS;
}

/* SPDX-License-Identifier: MIT */
/* dnn.h -- convolutions by cuDNN 9, which is loaded when a device is opened, if it is there.
 *
 * Activations are NHWC, weights [out,K,K,in], all of one type; sums are f32, rounded once to that type, those of the weights'
 * gradient too.  Only algorithms that add in the same order every time, and whose products are those of the convolution:
 * neither Winograd's nor Fourier's.
 */
#ifndef COMPUTE_CUDA_DNN_H
#define COMPUTE_CUDA_DNN_H

#include "compute/cuda/cuda.h"

struct cuda_dnn_shape {
    int64_t n, h, w, in, out, k;
    enum dtype type;
    bool gradient; /* of the weights */
};

struct cuda_dnn_plan;

/* How cuDNN does it, kept until the device is closed, and the bytes it works in; NULL: cuDNN is not there, or cannot. */
struct cuda_dnn_plan *cuda_dnn_find(struct cuda *c, const struct cuda_dnn_shape *s, size_t *workspace);

/* y = gain * conv(x, w) (+ y if add).  1, here and below: cuDNN cannot after all, nothing was done, and the plan is not found
 * again. */
must_check int cuda_dnn_conv(struct cuda *c, struct cuda_dnn_plan *p, void *y, const void *x, const void *w,
                             float gain, bool add, void *workspace);

/* dw = gain * sum over positions of dy x */
must_check int cuda_dnn_conv_dw(struct cuda *c, struct cuda_dnn_plan *p, void *dw, const void *dy, const void *x,
                                float gain, void *workspace);

#endif

/* SPDX-License-Identifier: MIT */
/* dnnl.h -- oneDNN behind one door: convolutions, primitives kept by shape.
 *
 *   cpu_dnnl_conv      y = act( conv(x, w) + bias (+ y if add) )      stride 1, padding (k-1)/2, NHWC, w [O,I,K,K]
 *   cpu_dnnl_conv_dw   dw = sum over positions of dy x;  db = sum of dy            for each slice of pictures
 *
 * Activations (x, dy) are f32 or, in a shape with bf16, bf16; so are then the weights inside.  Outputs and sums are f32.
 * Weights are reordered at each call into the layout that the primitive likes; a primitive, its layout's buffer and the
 * scratchpad are made at the first call with a shape and kept, so later calls allocate nothing.
 * The only file that includes oneDNN is dnnl.c, which is written for the versions 2 (Debian 12) and 3 (Ubuntu 24.04).
 *
 * Range    sizes at least 1; k odd
 * Memory   64-byte alignment is faster, not needed; nothing overlaps
 * Errors   ERR_DEVICE what oneDNN refuses; ERR_NOMEM
 */
#ifndef COMPUTE_CPU_DNNL_H
#define COMPUTE_CPU_DNNL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct cpu_dnnl;

struct cpu_dnnl_conv {
    int64_t n, h, w, i, o, k;
    bool add, relu; /* cpu_dnnl_conv only */
    bool bf16;
};

must_check int cpu_dnnl_create(struct cpu_dnnl **dnnl);
void cpu_dnnl_free(struct cpu_dnnl *dnnl);

/* bias [o] may be NULL */
must_check int cpu_dnnl_conv(struct cpu_dnnl *dnnl, float *y, const void *x, const float *w, const float *bias,
                             struct cpu_dnnl_conv shape);
/* sum [slices][o*i*k*k + o]: dw and db of the pictures of a slice, replaced.  oneDNN would divide the pictures among the
 * threads that it has, and add accordingly; slices, each computed by one thread, leave the order of adding to the caller.
 * Slice i holds pictures i*n/slices up to (i+1)*n/slices; 1 <= slices <= n. */
must_check int cpu_dnnl_conv_dw(struct cpu_dnnl *dnnl, float *sum, const void *dy, const void *x,
                                struct cpu_dnnl_conv shape, int slices);

#endif

/* SPDX-License-Identifier: MIT */
/* product.h -- one product of matrices through cuBLASLt, for the operations that end in one. */
#ifndef COMPUTE_CUDA_PRODUCT_H
#define COMPUTE_CUDA_PRODUCT_H

#include "compute/cuda/cuda.h"

/* y[m,n] = alpha A(a) B(b) + bias + plus, row after row.  k >= 1; sums are f32 */
struct cuda_product {
    int64_t m, n, k;
    bool ta, tb;       /* a is [k,m], b is [n,k]; else [m,k], [k,n] */
    enum dtype in;     /* of a and b */
    enum dtype out;    /* of y and plus: f32, or in */
    const void *a, *b;
    const void *plus;  /* [m,n]; may be y; NULL: nothing */
    void *y;
    const void *bias;  /* [n], of the type of y; NULL: none */
    float alpha;
};

must_check int cuda_product(struct cuda *c, const struct cuda_product *p);

#endif

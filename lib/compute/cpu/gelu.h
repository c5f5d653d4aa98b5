/* SPDX-License-Identifier: MIT */
/* gelu.h -- x sigmoid(1.702 x) and its slope, in registers (compute/matmul.h). */
#ifndef COMPUTE_CPU_GELU_H
#define COMPUTE_CPU_GELU_H

#include "compute/cpu/vec.h"

#define GELU_SLOPE 1.702f

vec_inline vec gelu_sigmoid(vec x)
{
    return 1.0f / (1.0f + vec_exp(x * -GELU_SLOPE));
}

vec_inline vec gelu(vec x)
{
    return x * gelu_sigmoid(x);
}

/* d/dx x s(cx) = s (1 + cx (1 - s)) */
vec_inline vec gelu_slope(vec x)
{
    vec s = gelu_sigmoid(x);

    return s * (1.0f + x * GELU_SLOPE * (1.0f - s));
}

#endif

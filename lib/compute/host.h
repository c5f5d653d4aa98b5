/* SPDX-License-Identifier: MIT */
/* host.h -- arrays of numbers in the host's memory, of any type that a tensor has.  One thread does each. */
#ifndef COMPUTE_HOST_H
#define COMPUTE_HOST_H

#include "compute/tensor.h"

/* to[0..n-1], of that type, = from, rounded as base/bits16.h says. */
void host_from_f32(void *to, enum dtype type, const float *from, int64_t n);
void host_to_f32(float *to, const void *from, enum dtype type, int64_t n);
/* mean = decay * mean + (1 - decay) * x */
void host_average(float *mean, const void *x, enum dtype type, int64_t n, float decay);

#endif

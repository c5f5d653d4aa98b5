/* SPDX-License-Identifier: MIT */
/* Heads of sequences are independent and go to the threads; each query walks its allowed keys in order. */
#include "compute/attn.h"

#include <math.h>

#include "base/par.h"
#include "compute/cpu/cpu.h"
#include "compute/cpu/vec.h"

#include <omp.h>

/* One head of one sequence: rows are stride floats apart. */
struct head {
    const float *q, *k, *v;
    int64_t positions, width, stride;
    float scale;
};

static struct head head_of(tensor_in qkv, const struct attn *a, int64_t pair)
{
    int64_t t = qkv->shape[1], c = qkv->shape[2] / 3, d = c / a->heads, n = pair / a->heads, at = pair % a->heads;
    const float *base = F32(qkv) + n * t * 3 * c + at * d;

    return (struct head){base, base + c, base + 2 * c, t, d, 3 * c, 1.0f / sqrtf((float)d)};
}

static float dot(const float *a, const float *b, int64_t n)
{
    float s = 0.0f;

    for (int64_t i = 0; i < n; i++)
        s += a[i] * b[i];
    return s;
}

static void forward(float *out, float *lse, const struct head *h, const struct attn *a, float *s)
{
    int64_t c = h->stride / 3;

    for (int64_t q = 0; q < h->positions; q++) {
        float top = -INFINITY, sum = 0.0f, *y = out + q * c;

        memset(y, 0, (size_t)h->width * sizeof *y);
        for (int64_t k = 0; k <= q; k++)
            if (attn_allows(a, q, k)) {
                s[k] = dot(h->q + q * h->stride, h->k + k * h->stride, h->width) * h->scale;
                top = s[k] > top ? s[k] : top;
            }
        for (int64_t k = 0; k <= q; k++)
            if (attn_allows(a, q, k)) {
                float p = expf(s[k] - top);

                sum += p;
                for (int64_t i = 0; i < h->width; i++)
                    y[i] += p * h->v[k * h->stride + i];
            }
        for (int64_t i = 0; i < h->width; i++)
            y[i] /= sum;
        lse[q] = top + logf(sum);
    }
}

int cpu_attn(void *self, tensor_in out, tensor_in lse, tensor_in qkv, const struct attn *a)
{
    int64_t t = qkv->shape[1], c = out->shape[2], d = c / a->heads, pairs = qkv->shape[0] * a->heads;
    float *scratch = cpu_scratch(self, (size_t)(par_threads() * t) * sizeof *scratch);

    if (scratch == NULL)
        return ERR_NOMEM;
#pragma omp parallel for schedule(dynamic)
    for (int64_t pair = 0; pair < pairs; pair++) {
        struct head h = head_of(qkv, a, pair);

        forward(F32(out) + pair / a->heads * t * c + pair % a->heads * d, F32(lse) + pair * t, &h, a,
                scratch + omp_get_thread_num() * t);
    }
    return 0;
}

static void backward(float *dq, float *dk, float *dv, const float *dout, const float *out, const float *lse,
                     const struct head *h, const struct attn *a)
{
    int64_t c = h->stride / 3;

    for (int64_t q = 0; q < h->positions; q++)
        for (int64_t i = 0; i < h->width; i++)
            dq[q * h->stride + i] = dk[q * h->stride + i] = dv[q * h->stride + i] = 0.0f;
    for (int64_t q = 0; q < h->positions; q++) {
        float own = dot(dout + q * c, out + q * c, h->width);

        for (int64_t k = 0; k <= q; k++) {
            float p, ds;

            if (!attn_allows(a, q, k))
                continue;
            p = expf(dot(h->q + q * h->stride, h->k + k * h->stride, h->width) * h->scale - lse[q]);
            ds = p * (dot(dout + q * c, h->v + k * h->stride, h->width) - own) * h->scale;
            for (int64_t i = 0; i < h->width; i++) {
                dq[q * h->stride + i] += ds * h->k[k * h->stride + i];
                dk[k * h->stride + i] += ds * h->q[q * h->stride + i];
                dv[k * h->stride + i] += p * dout[q * c + i];
            }
        }
    }
}

int cpu_attn_grad(void *self, tensor_in dqkv, tensor_in dout, tensor_in out, tensor_in lse, tensor_in qkv,
                  const struct attn *a)
{
    int64_t t = qkv->shape[1], c = out->shape[2], d = c / a->heads, pairs = qkv->shape[0] * a->heads;

    (void)self;
#pragma omp parallel for schedule(dynamic)
    for (int64_t pair = 0; pair < pairs; pair++) {
        struct head h = head_of(qkv, a, pair);
        int64_t at = pair / a->heads * t * c + pair % a->heads * d;
        float *dq = F32(dqkv) + (h.q - F32(qkv));

        backward(dq, dq + c, dq + 2 * c, F32(dout) + at, F32(out) + at, F32(lse) + pair * t, &h, a);
    }
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* embed.cu -- rows of a table.  A block a row forward.
 *
 * Several rows of dy may meet in one row of the table: a warp a row of the table and COLUMNS channels looks through all
 * indices, 32 at a time, and adds those that are its own in order.  Tables are small beside what they are summed from. */
#include "compute/cuda/cuda.h"

enum { THREADS = 256, EACH = 4, COLUMNS = 32 * EACH };

template <class Y, class T>
static __global__ void embed(Y *y, const T *table, const int32_t *index, int64_t n, bool add)
{
    int64_t at = index[blockIdx.x];
    Y *out = y + blockIdx.x * n;

    if (at < 0 && add)
        return;
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
        float v = at < 0 ? 0.0f : to_f32(table[at * n + i]);

        out[i] = from_f32<Y>(add ? to_f32(out[i]) + v : v);
    }
}

int cuda_embed(void *self, tensor_in y, tensor_in table, tensor_in index, bool add)
{
    int64_t rows = index->shape[0], n = table->shape[1];

    return cuda_typed(y->type, [&]<class Y>() {
        return cuda_typed(table->type, [&]<class T>() {
            return cuda_launch((struct cuda *)self, "embed", embed<Y, T>, (unsigned)rows, n < THREADS ? 64 : THREADS, 0,
                               (Y *)y->data, (const T *)table->data, CUDA_I32(index), n, add);
        });
    });
}

template <class T>
static __global__ void embed_grad(float *dtable, const T *dy, const int32_t *index, int64_t rows, int64_t n)
{
    int64_t mine = blockIdx.x, first = blockIdx.y * (int64_t)COLUMNS + threadIdx.x;
    float sum[EACH] = {0};
    bool any = false;

    for (int64_t from = 0; from < rows; from += 32) {
        int64_t m = from + threadIdx.x;
        unsigned hits = __ballot_sync(0xffffffffu, m < rows && index[m] == mine);

        for (; hits; hits &= hits - 1) {
            const T *d = dy + (from + __ffs((int)hits) - 1) * n;

            any = true;
            for (int k = 0; k < EACH; k++)
                if (first + 32 * k < n)
                    sum[k] += to_f32(d[first + 32 * k]);
        }
    }
    for (int k = 0; any && k < EACH; k++)
        if (first + 32 * k < n)
            dtable[mine * n + first + 32 * k] += sum[k];
}

int cuda_embed_grad(void *self, tensor_in dtable, tensor_in dy, tensor_in index)
{
    int64_t rows = index->shape[0], n = dtable->shape[1];
    dim3 grid((unsigned)dtable->shape[0], (unsigned)((n + COLUMNS - 1) / COLUMNS));

    return cuda_typed(dy->type, [&]<class T>() {
        return cuda_launch((struct cuda *)self, "embed_grad", embed_grad<T>, grid, 32, 0, CUDA_F32(dtable),
                           (const T *)dy->data, CUDA_I32(index), rows, n);
    });
}

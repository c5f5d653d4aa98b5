/* SPDX-License-Identifier: MIT */
/* attn.cu -- attention forward: a block keeps 64 queries of one head and walks the tiles of keys and values that their mask
 * touches (attn_tile.h), with the softmax's maximum and sum brought up to date tile by tile (Dao et al. 2022).
 *
 * Four warps of 16 queries; keys and values lie twice in shared memory, 32 KB for D <= 64 in 16 bits.  A tile takes two
 * products of 64x64xD and 4096 powers of 2, which take as long as the products at D = 64. */
#include "compute/cuda/attn_tile.h"

/* Scores become powers of 2 relative to the largest so far, and what was summed with a smaller one is adapted. */
template <int D>
__device__ static __forceinline__ void soften(float (&s)[PARTS][4], float (&sum)[D / 8][4], float (&top)[2],
                                              float (&total)[2], float scale)
{
    for (int r = 0; r < 2; r++) {
        float largest = top[r], by;

        for (int n = 0; n < PARTS; n++)
            largest = fmaxf(largest, fmaxf(s[n][2 * r], s[n][2 * r + 1]));
        largest = row_all(largest, larger_of{});
        by = ptx_exp2((top[r] - largest) * scale);
        top[r] = largest;
        total[r] *= by;
        for (int n = 0; n < PARTS; n++)
            for (int i = 2 * r; i < 2 * r + 2; i++) {
                s[n][i] = ptx_exp2(fmaf(s[n][i], scale, -largest * scale));
                total[r] += s[n][i];
            }
        for (int n = 0; n < D / 8; n++) {
            sum[n][2 * r] *= by;
            sum[n][2 * r + 1] *= by;
        }
    }
}

/* What a thread has of its two queries. */
template <int D> struct attended {
    float sum[D / 8][4], top[2], total[2];
    bool spoilt[2];
};

template <class T, int D>
__device__ static __forceinline__ void attend(attended<D> &a, const kept<T, D> &query, passing<T, D> &pass,
                                              const struct attn_shape &s, const struct attn_task &task, float *board,
                                              bool careful)
{
    const enum side side = task.tile.side;

    a = {};
    a.top[0] = a.top[1] = -INFINITY;
    pass.start(task.tile);
    for (struct tile key = task.tile, next; key.first >= 0; key = next) {
        uint64_t mask[2] = {keys_seen(s, side, task.slot[0], key), keys_seen(s, side, task.slot[1], key)}, bad = 0;
        float p[PARTS][4];

        next = next_keys(s, task.tile, key);
        pass.arrive(next);
        if (careful)
            bad = take_bad_rows<T, D>(pass.second(pass.stage));
        score(p, query, pass.first(pass.stage));
        forbid(p, mask, -INFINITY);
        soften<D>(p, a.sum, a.top, a.total, s.scale);
        weigh<D, D>(a.sum, p, pass.second(pass.stage), 0, board);
        for (int r = 0; r < 2; r++)
            a.spoilt[r] = a.spoilt[r] || (mask[r] & bad) != 0;
        pass.leave(next);
    }
    for (int r = 0; r < 2; r++)
        a.total[r] = row_all(a.total[r], add_up{});
}

template <class T, int D>
static __global__ void __launch_bounds__(THREADS) forward(struct attn_shape s, T *out, float *lse, const T *qkv)
{
    CUDA_SHARED(memory);
    const struct attn_task task = task_of(s, true);
    int64_t stride = 3 * s.channels;
    const T *q = qkv + task.row * stride + task.channel;
    kept<T, D> query(q + task.at[0] * stride, q + task.at[1] * stride, s.width);
    passing<T, D> pass{s, memory, q + s.channels, q + 2 * s.channels, stride, stride, NULL, 0};
    attended<D> a;

    attend(a, query, pass, s, task, board_of<T, D>(memory), false);
    if (__syncthreads_or(!all_finite<D>(a.sum, task.there)))
        attend(a, query, pass, s, task, board_of<T, D>(memory), true);
    for (int r = 0; r < 2; r++) {
        float scale = a.spoilt[r] ? NAN : 1.0f / a.total[r];

        if (!task.there[r])
            continue;
        write_row<T, D>(out + (task.row + task.at[r]) * s.channels + task.channel, a.sum, r, scale, 0, s.width);
        if (threadIdx.x % 4 == 0)
            lse[task.pair * s.positions + task.at[r]] = a.top[r] * s.scale * (float)M_LN2 + logf(a.total[r]);
    }
}

int cuda_attn(void *self, tensor_in out, tensor_in lse, tensor_in qkv, const struct attn *a)
{
    struct attn_shape s;
    int rc = attn_shape_of(&s, a, out);

    if (rc != 0)
        return rc;
    return cuda_typed(qkv->type, [&]<class T>() {
        return attn_width(s.width, [&]<int D>() {
            return cuda_launch((struct cuda *)self, "attention", forward<T, D>, attn_blocks(&s, out), THREADS,
                               attn_memory<T, D>(), s, (T *)out->data, CUDA_F32(lse), (const T *)qkv->data);
        });
    });
}

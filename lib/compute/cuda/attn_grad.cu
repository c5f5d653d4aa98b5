/* SPDX-License-Identifier: MIT */
/* attn_grad.cu -- attention backward, from the forward pass's lse: P = exp(s - lse), delta[q] = sum dout[q] out[q],
 *
 *   dS = P (dout . V - delta)   dq = dS K / sqrt(D)   dk = dS' Q / sqrt(D)   dv = P' dout
 *
 * Two kernels, each with one writer for every element and a fixed order: the first keeps 64 queries, walks the keys that
 * they see, and leaves lse and delta in slot order for the second, which keeps 64 keys and walks the queries that see them.
 * Seven products of 64x64xD a pair of tiles, two of them for the second time.  Blocks and shared memory as forward; for
 * D > 128 the second kernel's sums would not fit into registers, so two blocks take half of the columns each. */
#include "compute/cuda/attn_tile.h"

/* The tensors, in the memory of one head after another. */
template <class T> struct gradient {
    T *dqkv;
    const T *dout, *out, *qkv;
    const float *lse;
    float2 *numbers; /* [N,A,padded slots]: lse for powers of 2, delta */
    int slots;       /* padded */
};

/* ---- queries --------------------------------------------------------------------------------------------------------- */

/* A thread's two rows' lse and delta, which are also left for the second kernel. */
template <class T>
__device__ static __forceinline__ void row_numbers(float2 (&own)[2], const struct attn_shape &s,
                                                   const struct attn_task &task, const gradient<T> &g)
{
    for (int r = 0; r < 2; r++) {
        int64_t at = (task.row + task.at[r]) * s.channels + task.channel;
        float sum = 0;

        for (int i = (int)threadIdx.x % 4 * 2; i < s.width; i += 8) {
            pack<T, 2> x = *(const pack<T, 2> *)(g.dout + at + i), y = *(const pack<T, 2> *)(g.out + at + i);

            sum += to_f32(x.v[0]) * to_f32(y.v[0]) + to_f32(x.v[1]) * to_f32(y.v[1]);
        }
        own[r] = {g.lse[task.pair * s.positions + task.at[r]] * (float)M_LOG2E, row_all(sum, add_up{})};
        if (threadIdx.x % 4 == 0)
            g.numbers[task.pair * g.slots + padded_slot(s, task.tile.side, task.slot[r])] = own[r];
    }
}

template <class T, int D>
__device__ static __forceinline__ void walk_keys(float (&sum)[D / 8][4], bool (&spoilt)[2], const kept<T, D> &query,
                                                 const kept<T, D> &dout, const float2 (&own)[2], passing<T, D> &pass,
                                                 const struct attn_shape &s, const struct attn_task &task, float *board,
                                                 bool careful)
{
    const enum side side = task.tile.side;

    for (int n = 0; n < D / 8; n++)
        for (int i = 0; i < 4; i++)
            sum[n][i] = 0;
    pass.start(task.tile);
    for (struct tile key = task.tile, next; key.first >= 0; key = next) {
        uint64_t mask[2] = {keys_seen(s, side, task.slot[0], key), keys_seen(s, side, task.slot[1], key)}, bad = 0;
        float p[PARTS][4], dp[PARTS][4];

        next = next_keys(s, task.tile, key);
        pass.arrive(next);
        if (careful)
            bad = take_bad_rows<T, D>(pass.first(pass.stage));
        score(p, query, pass.first(pass.stage));
        score(dp, dout, pass.second(pass.stage));
        for (int n = 0; n < PARTS; n++)
            for (int i = 0; i < 4; i++)
                p[n][i] = ptx_exp2(fmaf(p[n][i], s.scale, -own[i / 2].x)) * (dp[n][i] - own[i / 2].y);
        forbid(p, mask, 0.0f);
        weigh<D, D>(sum, p, pass.first(pass.stage), 0, board);
        for (int r = 0; r < 2; r++)
            spoilt[r] = spoilt[r] || (mask[r] & bad) != 0;
        pass.leave(next);
    }
}

template <class T, int D>
static __global__ void __launch_bounds__(THREADS) grad_queries(struct attn_shape s, gradient<T> g)
{
    CUDA_SHARED(memory);
    const struct attn_task task = task_of(s, true);
    int64_t stride = 3 * s.channels;
    const T *q = g.qkv + task.row * stride + task.channel, *dout = g.dout + task.row * s.channels + task.channel;
    kept<T, D> query(q + task.at[0] * stride, q + task.at[1] * stride, s.width);
    kept<T, D> dy(dout + task.at[0] * s.channels, dout + task.at[1] * s.channels, s.width);
    passing<T, D> pass{s, memory, q + s.channels, q + 2 * s.channels, stride, stride, NULL, 0};
    bool spoilt[2] = {};
    float sum[D / 8][4];
    float2 own[2];

    row_numbers(own, s, task, g);
    for (bool careful = false;; careful = true) {
        walk_keys(sum, spoilt, query, dy, own, pass, s, task, board_of<T, D>(memory), careful);
        if (!__syncthreads_or(!all_finite<D>(sum, task.there)) || careful)
            break;
    }
    for (int r = 0; r < 2; r++)
        if (task.there[r])
            write_row<T, D>(g.dqkv + (task.row + task.at[r]) * stride + task.channel, sum, r,
                            spoilt[r] ? NAN : rsqrtf((float)s.width), 0, s.width);
}

/* ---- keys and values ----------------------------------------------------------------------------------------------- */

template <class T, int D, int W>
__device__ static __forceinline__ void walk_queries(float (&dk)[W / 8][4], float (&dv)[W / 8][4], bool (&spoilt)[2],
                                                    const kept<T, D> &key, const kept<T, D> &value, passing<T, D> &pass,
                                                    const struct attn_shape &s, const struct attn_task &task, float *board,
                                                    bool careful)
{
    const enum side side = task.tile.side;

    for (int n = 0; n < W / 8; n++)
        for (int i = 0; i < 4; i++)
            dk[n][i] = dv[n][i] = 0;
    pass.start(task.tile);
    for (struct tile query = task.tile, next; query.first >= 0; query = next) {
        uint64_t mask[2] = {queries_that_see(s, side, task.slot[0], query), queries_that_see(s, side, task.slot[1], query)};
        uint64_t bad = 0;
        float p[PARTS][4], dp[PARTS][4];

        next = next_queries(s, task.tile, query);
        pass.arrive(next);
        if (careful) {
            bad = take_bad_rows<T, D>(pass.first(pass.stage));
            bad |= take_bad_rows<T, D>(pass.second(pass.stage));
        }
        score(p, key, pass.first(pass.stage));
        score(dp, value, pass.second(pass.stage));
        for (int n = 0; n < PARTS; n++)
            for (int i = 0; i < 4; i++) {
                float2 own = pass.pairs(pass.stage)[8 * n + (int)threadIdx.x % 4 * 2 + i % 2];

                p[n][i] = ptx_exp2(fmaf(p[n][i], s.scale, -own.x));
                dp[n][i] = p[n][i] * (dp[n][i] - own.y);
            }
        forbid(p, mask, 0.0f);
        forbid(dp, mask, 0.0f);
        weigh<D, W>(dv, p, pass.second(pass.stage), (int)blockIdx.y * W, board);
        weigh<D, W>(dk, dp, pass.first(pass.stage), (int)blockIdx.y * W, board);
        for (int r = 0; r < 2; r++)
            spoilt[r] = spoilt[r] || (mask[r] & bad) != 0;
        pass.leave(next);
    }
}

template <class T, int D, int W>
static __global__ void __launch_bounds__(THREADS) grad_keys(struct attn_shape s, gradient<T> g)
{
    CUDA_SHARED(memory);
    const struct attn_task task = task_of(s, false);
    int64_t stride = 3 * s.channels;
    const T *q = g.qkv + task.row * stride + task.channel, *k = q + s.channels, *v = k + s.channels;
    kept<T, D> key(k + task.at[0] * stride, k + task.at[1] * stride, s.width);
    kept<T, D> value(v + task.at[0] * stride, v + task.at[1] * stride, s.width);
    passing<T, D> pass{s, memory, q, g.dout + task.row * s.channels + task.channel, stride, s.channels,
                       g.numbers + task.pair * g.slots, 0};
    bool spoilt[2] = {};
    float dk[W / 8][4], dv[W / 8][4];

    for (bool careful = false;; careful = true) {
        walk_queries<T, D, W>(dk, dv, spoilt, key, value, pass, s, task, board_of<T, D>(memory), careful);
        if (!__syncthreads_or(!all_finite<W>(dk, task.there) || !all_finite<W>(dv, task.there)) || careful)
            break;
    }
    for (int r = 0; r < 2; r++) {
        T *row = g.dqkv + (task.row + task.at[r]) * stride + task.channel + s.channels;

        if (!task.there[r])
            continue;
        write_row<T, W>(row, dk, r, spoilt[r] ? NAN : rsqrtf((float)s.width), (int)blockIdx.y * W, s.width);
        write_row<T, W>(row + s.channels, dv, r, spoilt[r] ? NAN : 1.0f, (int)blockIdx.y * W, s.width);
    }
}

int cuda_attn_grad(void *self, tensor_in dqkv, tensor_in dout, tensor_in out, tensor_in lse, tensor_in qkv,
                   const struct attn *a)
{
    struct cuda *c = (struct cuda *)self;
    struct attn_shape s;
    int rc = attn_shape_of(&s, a, out);
    float2 *numbers;

    if (rc != 0)
        return rc;
    numbers = (float2 *)cuda_scratch(c, cuda_working_attn_grad(out, a));
    if (numbers == NULL)
        return ERR_NOMEM;
    return cuda_typed(qkv->type, [&]<class T>() {
        return attn_width(s.width, [&]<int D>() {
            constexpr int W = D < 128 ? D : 128;
            gradient<T> g = {(T *)dqkv->data, (const T *)dout->data, (const T *)out->data, (const T *)qkv->data,
                             CUDA_F32(lse), numbers, (int)cuda_attn_slots(a)};
            int failed = cuda_launch(c, "attention's gradient", grad_queries<T, D>, attn_blocks(&s, out), THREADS,
                                     attn_memory<T, D>(), s, g);

            if (failed != 0)
                return failed;
            return cuda_launch(c, "attention's gradient", grad_keys<T, D, W>, dim3(attn_blocks(&s, out), D / W), THREADS,
                               attn_memory<T, D>(), s, g);
        });
    });
}

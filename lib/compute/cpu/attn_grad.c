/* SPDX-License-Identifier: MIT */
/* Backward: as forward (attn.c), head by head and block by block of queries.  With p = exp(s - lse) computed again:
 *
 *   dp = dout . v,   ds = p (dp - dout . out),   dq = sum ds k / sqrt(D),   dk += ds q / sqrt(D),   dv += p dout
 *
 * The gradients of a head's keys and values are summed in slot order over its blocks, then written out. */
#include "compute/attn.h"

#include <math.h>

#include "base/par.h"
#include "compute/cpu/attn_block.h"
#include "compute/cpu/wide.h"

#include <omp.h>

enum { PAIR = 2 }; /* registers of channels in a tile of key gradients */

/* A thread's working memory. */
struct work {
    float *key_panels, *value_panels, *key_rows; /* as packed */
    float *dk, *dv;                              /* [slot][padded] */
    float *query, *dout, *dq;                    /* rows of a block, ATTN_WIDTH_MAX apart */
    float *p, *ds;                               /* scores of a block */
};

/* The places of a thread's memory; the floats they take.  memory NULL: only count. */
static int64_t work_place(struct work *w, float *memory, const struct plan *p)
{
    int64_t panels = p->slots * p->width, rows = p->slots * p->padded, block = ROWS * ATTN_WIDTH_MAX;
    int64_t scores = ROWS * VEC * p->panels, at = 0;
    const struct {
        float **place;
        int64_t size;
    } part[] = {{&w->key_panels, panels}, {&w->value_panels, panels}, {&w->key_rows, rows}, {&w->dk, rows}, {&w->dv, rows},
                {&w->query, block}, {&w->dout, block}, {&w->dq, block}, {&w->p, scores}, {&w->ds, scores}};

    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        *part[i].place = memory ? memory + at : NULL;
        at += part[i].size;
    }
    return at;
}

/* s holds scores and becomes p; d holds dp and becomes ds. */
static void scores_gradient(float *s, float *d, int64_t panels, const float *lse, const float *own)
{
    for (int64_t i = 0; i < panels; i++)
        for (int r = 0; r < ROWS; r++) {
            int64_t at = (i * ROWS + r) * VEC;
            vec share = vec_exp(vec_load(s + at) - lse[r]);

            vec_store(s + at, share);
            vec_store(d + at, share * (vec_load(d + at) - own[r]));
        }
}

static float dot(const float *a, const float *b, int64_t n)
{
    vec sum = vec_all(0.0f);
    int64_t i = 0;

    for (; i + VEC <= n; i += VEC)
        sum = vec_fma(vec_load(a + i), vec_load(b + i), sum);
    if (i < n)
        sum = vec_fma(vec_load_part(a + i, n - i, 0.0f), vec_load_part(b + i, n - i, 0.0f), sum);
    return vec_sum(sum);
}

/* sum[slot] += weights of the block's rows times their rows, for wide registers of channels. */
vec_inline void spread_tile(float *sum, const float *s, const float *rows, int64_t padded, const struct segment *g, int wide)
{
    int64_t start = g->from / VEC * VEC - g->place * VEC;
    vec x[ROWS][PAIR];

    for (int r = 0; r < ROWS; r++)
        for (int j = 0; j < wide; j++)
            x[r][j] = vec_load(rows + r * ATTN_WIDTH_MAX + j * VEC);
    for (int64_t slot = g->from; slot < g->to; slot++) {
        const float *weight = s + (slot - start) / VEC * (ROWS * VEC) + slot % VEC;
        vec y[PAIR];

        for (int j = 0; j < wide; j++)
            y[j] = vec_load(sum + slot * padded + j * VEC);
        for (int r = 0; r < ROWS; r++)
            for (int j = 0; j < wide; j++)
                y[j] = vec_fma(vec_all(weight[r * VEC]), x[r][j], y[j]);
        for (int j = 0; j < wide; j++)
            vec_store(sum + slot * padded + j * VEC, y[j]);
    }
}

static void spread(float *sum, const float *s, const float *rows, int64_t padded, const struct segment *g, int count)
{
    for (int at = 0; at < count; at++) {
        int64_t i = 0;

        for (; i + PAIR * VEC <= padded; i += PAIR * VEC)
            spread_tile(sum + i, s, rows + i, padded, &g[at], PAIR);
        for (; i < padded; i += VEC)
            spread_tile(sum + i, s, rows + i, padded, &g[at], 1);
    }
}

struct head {
    const float *q, *dout, *out, *lse;
    float *dq;
};

/* p and ds of a block; what the mask forbids is 0 in both.  Rows that the block lacks have zero queries: an lse of infinity
 * makes their shares 0. */
static void block_gradient(const struct head *h, const struct plan *p, const struct block *b, const struct work *w,
                           const struct segment *g, int count, int64_t panels)
{
    float lse[ROWS], own[ROWS];

    for (int i = 0; i < count; i++) {
        segment_scores(w->p, w->query, w->key_panels, p->width, &g[i]);
        segment_scores(w->ds, w->dout, w->value_panels, p->width, &g[i]);
    }
    for (int r = 0; r < ROWS; r++) {
        int64_t at = plan_position(p, b->slot + r);

        lse[r] = r < b->rows ? h->lse[at] : INFINITY;
        own[r] = r < b->rows ? dot(h->dout + at * p->channels, h->out + at * p->channels, p->width) : 0.0f;
    }
    scores_gradient(w->p, w->ds, panels, lse, own);
    for (int i = 0; i < count; i++) {
        segment_forbid(w->p, &g[i], 0.0f);
        segment_forbid(w->ds, &g[i], 0.0f);
    }
}

static void write_rows(float *out, const float *rows, int64_t stride, const struct plan *p)
{
    for (int64_t slot = 0; slot < p->slots; slot++) {
        int64_t at = plan_position(p, slot);

        if (at >= 0)
            memcpy(out + at * stride, rows + slot * p->padded, (size_t)p->width * sizeof *out);
    }
}

static void backward(const struct head *h, const struct plan *p, const struct work *w)
{
    int64_t stride = 3 * p->channels, panels;
    float scale = 1.0f / sqrtf((float)p->width);
    struct block b = block_start(p);
    struct segment segment[BANDS + 1];
    int count;

    pack_panels(w->key_panels, h->q + p->channels, stride, p);
    pack_panels(w->value_panels, h->q + 2 * p->channels, stride, p);
    pack_rows(w->key_rows, h->q + p->channels, stride, p);
    memset(w->dk, 0, (size_t)(p->slots * p->padded) * sizeof(float));
    memset(w->dv, 0, (size_t)(p->slots * p->padded) * sizeof(float));
    while (block_next(&b, p)) {
        pack_block(w->query, h->q, stride, &b, p, scale);
        pack_block(w->dout, h->dout, p->channels, &b, p, 1.0f);
        panels = block_segments(segment, &count, &b, p);
        block_gradient(h, p, &b, w, segment, count, panels);
        weighted_sums(w->dq, w->ds, w->key_rows, p->padded, segment, count);
        for (int r = 0; r < b.rows; r++)
            for (int64_t i = 0, at = plan_position(p, b.slot + r) * stride; i < p->width; i++)
                h->dq[at + i] = w->dq[r * ATTN_WIDTH_MAX + i] * scale;
        spread(w->dk, w->ds, w->query, p->padded, segment, count);
        spread(w->dv, w->p, w->dout, p->padded, segment, count);
    }
    write_rows(h->dq + p->channels, w->dk, stride, p);
    write_rows(h->dq + 2 * p->channels, w->dv, stride, p);
}

int cpu_attn_grad(void *self, tensor_in dqkv, tensor_in dout, tensor_in out, tensor_in lse, tensor_in qkv,
                  const struct attn *a)
{
    struct plan p = plan_make(a, out);
    struct cpu_wide wide[] = {{.to = dqkv}, {.from = dout}, {.from = out}, {.from = qkv}};
    struct work w;
    int64_t pairs = out->shape[0] * a->heads, each = work_place(&w, NULL, &p);
    float *scratch;
    int rc;

    if ((rc = cpu_widen(self, wide, 4)) != 0)
        return rc;
    if (!(scratch = cpu_scratch(self, (size_t)(par_threads() * each) * sizeof *scratch)))
        return cpu_lacking(self);
#pragma omp parallel for schedule(dynamic) private(w)
    for (int64_t pair = 0; pair < pairs; pair++) {
        int64_t n = pair / a->heads, channel = pair % a->heads * p.width;
        int64_t at = n * p.positions * p.channels + channel, qkv_at = n * p.positions * 3 * p.channels + channel;
        struct head h = {F32(&wide[3].t) + qkv_at, F32(&wide[1].t) + at, F32(&wide[2].t) + at, F32(lse) + pair * p.positions,
                         F32(&wide[0].t) + qkv_at};

        work_place(&w, scratch + omp_get_thread_num() * each, &p);
        backward(&h, &p, &w);
    }
    cpu_narrow(self, wide, 4);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* Forward: one head of one sequence at a time, its keys packed once, then block by block of queries (attn_block.h): all scores
 * of the block, softmax, weighted sums of values.  Heads go to the threads in any order; each is computed alone. */
#include "compute/attn.h"

#include <math.h>

#include "base/par.h"
#include "compute/cpu/attn_block.h"
#include "compute/cpu/wide.h"

#include <omp.h>

/* A thread's working memory. */
struct work {
    float *panels, *rows, *scores, *query;
};

static size_t work_floats(const struct plan *p)
{
    return (size_t)(p->slots * (p->width + p->padded) + ROWS * VEC * p->panels + ROWS * ATTN_WIDTH_MAX);
}

static struct work work_place(float *memory, const struct plan *p)
{
    struct work w = {.query = memory};

    w.scores = w.query + ROWS * ATTN_WIDTH_MAX;
    w.rows = w.scores + ROWS * VEC * p->panels;
    w.panels = w.rows + p->slots * p->padded;
    return w;
}

/* The scores of a block become exp(s - max); total gets their sums, lse the logarithms of the sums of exponentials. */
static void softmax(float *s, int64_t panels, float *total, float *lse)
{
    vec top[ROWS], sum[ROWS];

    for (int r = 0; r < ROWS; r++) {
        top[r] = vec_all(-INFINITY);
        sum[r] = vec_all(0.0f);
    }
    for (int64_t i = 0; i < panels; i++)
        for (int r = 0; r < ROWS; r++)
            top[r] = vec_max(vec_load(s + (i * ROWS + r) * VEC), top[r]);
    for (int r = 0; r < ROWS; r++) {
        lse[r] = vec_largest(top[r]);
        top[r] = vec_all(lse[r]);
    }
    for (int64_t i = 0; i < panels; i++)
        for (int r = 0; r < ROWS; r++) {
            vec e = vec_exp(vec_load(s + (i * ROWS + r) * VEC) - top[r]);

            vec_store(s + (i * ROWS + r) * VEC, e);
            sum[r] += e;
        }
    for (int r = 0; r < ROWS; r++) {
        total[r] = vec_sum(sum[r]);
        lse[r] += logf(total[r]);
    }
}

static void write_row(float *out, const float *sum, float scale, int64_t d)
{
    int64_t i = 0;

    for (; i + VEC <= d; i += VEC)
        vec_store(out + i, vec_load(sum + i) * scale);
    if (i < d)
        vec_store_part(out + i, vec_load(sum + i) * scale, d - i);
}

static void forward(float *out, float *lse, const float *q, const struct plan *p, struct work w)
{
    int64_t stride = 3 * p->channels, panels;
    struct block b = block_start(p);
    struct segment segment[BANDS + 1];
    float total[ROWS], logs[ROWS];
    int count;

    pack_panels(w.panels, q + p->channels, stride, p);
    pack_rows(w.rows, q + 2 * p->channels, stride, p);
    while (block_next(&b, p)) {
        pack_block(w.query, q, stride, &b, p, 1.0f / sqrtf((float)p->width));
        panels = block_segments(segment, &count, &b, p);
        for (int i = 0; i < count; i++) {
            segment_scores(w.scores, w.query, w.panels, p->width, &segment[i]);
            segment_forbid(w.scores, &segment[i], -INFINITY);
        }
        softmax(w.scores, panels, total, logs);
        weighted_sums(w.query, w.scores, w.rows, p->padded, segment, count);
        for (int r = 0; r < b.rows; r++) {
            int64_t at = plan_position(p, b.slot + r);

            write_row(out + at * p->channels, w.query + r * ATTN_WIDTH_MAX, 1.0f / total[r], p->width);
            lse[at] = logs[r];
        }
    }
}

int cpu_attn(void *self, tensor_in out, tensor_in lse, tensor_in qkv, const struct attn *a)
{
    struct plan p = plan_make(a, out);
    struct cpu_wide w[] = {{.to = out}, {.from = qkv}};
    int64_t pairs = out->shape[0] * a->heads, each = (int64_t)work_floats(&p);
    float *scratch;
    int rc;

    if ((rc = cpu_widen(self, w, 2)) != 0)
        return rc;
    if (!(scratch = cpu_scratch(self, (size_t)(par_threads() * each) * sizeof *scratch)))
        return cpu_lacking(self);
#pragma omp parallel for schedule(dynamic)
    for (int64_t pair = 0; pair < pairs; pair++) {
        int64_t at = pair / a->heads * p.positions * p.channels + pair % a->heads * p.width;
        int64_t qkv_at = pair / a->heads * p.positions * 3 * p.channels + pair % a->heads * p.width;

        forward(F32(&w[0].t) + at, F32(lse) + pair * p.positions, F32(&w[1].t) + qkv_at, &p,
                work_place(scratch + omp_get_thread_num() * each, &p));
    }
    cpu_narrow(self, w, 2);
    return 0;
}

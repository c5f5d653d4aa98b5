/* SPDX-License-Identifier: MIT */
/* attn_block.h -- what attention's two directions share: key slots, bands of a mask, blocks of queries, tiles.
 *
 * A head's keys lie in slots: the text's, rounded up to whole registers, then the image's, for the column kind column by column
 * (so that a column's keys are neighbours).  A mask is then, for an image query, all text slots and some bands: keys at
 * offsets lo..hi in slot order.  ROWS queries in a row make a block; a block and a band make a segment, the union of its rows'
 * keys.  Scores are computed for whole registers of the union and forbidden ones replaced, never used, so nothing that a
 * query may not see can reach it.
 *
 *   panels   [slot/VEC][D][VEC]    keys (or values) with a lane a key, for products with queries
 *   rows     [slot][padded]        keys (or values) with a lane a channel, for weighted sums
 */
#ifndef COMPUTE_CPU_ATTN_BLOCK_H
#define COMPUTE_CPU_ATTN_BLOCK_H

#include "compute/attn.h"
#include "compute/cpu/cpu.h"
#include "compute/cpu/vec.h"

enum {
    ROWS = VEC_REGISTERS == 32 ? 8 : 4, /* queries of a block */
    WIDE = 3,                           /* registers of a tile, beside ROWS */
    BANDS = ATTN_KERNEL_MAX / 2 + 2     /* a band or two a row of the kernel, but neighbours meet */
};

struct band {
    int64_t lo, hi; /* offsets query - key in slots, both allowed */
};

struct plan {
    const struct attn *a;
    struct band band[BANDS]; /* of image queries over image keys */
    int bands;
    int64_t image;      /* image positions */
    int64_t text_slots; /* multiples of VEC */
    int64_t slots;
    int64_t panels;     /* most registers of scores of one query */
    int64_t width;      /* D */
    int64_t padded;     /* D rounded up to VEC */
    int64_t positions;  /* T */
    int64_t channels;   /* A*D */
};

struct segment {
    int64_t from, to;                     /* slots of the union */
    int64_t place;                        /* of its first panel, the one that holds from, among the scores' */
    int64_t row_from[ROWS], row_to[ROWS]; /* slots allowed to each row; equal: none */
};

struct block {
    int64_t slot;  /* of the first query */
    int64_t first; /* slots of image keys start here for these queries */
    int rows;      /* 1..ROWS */
    int64_t end;   /* one past the queries in this stretch of slots */
};

vec_inline int64_t vec_up(int64_t n)
{
    return (n + VEC - 1) / VEC * VEC;
}

vec_inline int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

vec_inline int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static inline void plan_bands(struct plan *p)
{
    const struct attn *a = p->a;

    p->bands = 0;
    if (p->image == 0)
        return;
    if (a->kind != ATTN_CONV) {
        int64_t last = a->kind == ATTN_ROW ? a->w : a->kind == ATTN_COLUMN ? a->h - 1 : p->image - 1;

        p->band[p->bands++] = (struct band){0, least(last, p->image - 1)};
        return;
    }
    for (int64_t o = 0; o < p->image; o++) {
        if (!attn_conv_allows(a, o))
            continue;
        if (p->bands > 0 && p->band[p->bands - 1].hi == o - 1)
            p->band[p->bands - 1].hi = o;
        else
            p->band[p->bands++] = (struct band){o, o};
    }
}

static inline struct plan plan_make(const struct attn *a, tensor_in out)
{
    struct plan p = {.a = a, .image = a->h * a->w, .positions = out->shape[1], .channels = out->shape[2]};

    p.width = p.channels / a->heads;
    p.padded = vec_up(p.width);
    p.text_slots = vec_up(a->text);
    p.slots = p.text_slots + vec_up(p.image);
    plan_bands(&p);
    p.panels = p.text_slots / VEC;
    for (int i = 0; i < p.bands; i++)
        p.panels += vec_up(least(p.band[i].hi - p.band[i].lo + ROWS, p.image)) / VEC + 1;
    return p;
}

/* The position in the sequence that a slot holds, -1 for padding. */
vec_inline int64_t plan_position(const struct plan *p, int64_t slot)
{
    const struct attn *a = p->a;
    int64_t j = slot - p->text_slots;

    if (j < 0)
        return slot < a->text ? slot : -1;
    if (j >= p->image)
        return -1;
    return a->text + (a->kind == ATTN_COLUMN ? j % a->h * a->w + j / a->h : j);
}

/* The first block, then the next until false.  A column's queries do not share a block with another's. */
static inline bool block_next(struct block *b, const struct plan *p)
{
    int64_t slot = b->slot + b->rows, image = p->text_slots + p->image;

    if (slot >= b->end) {
        if (slot <= p->a->text && b->end == p->a->text) /* the text is done */
            slot = p->text_slots;
        if (slot >= image)
            return false;
        b->first = p->a->kind == ATTN_COLUMN ? slot : p->text_slots;
        b->end = p->a->kind == ATTN_COLUMN ? slot + p->a->h : image;
    }
    b->slot = slot;
    b->rows = (int)least(ROWS, b->end - slot);
    return true;
}

static inline struct block block_start(const struct plan *p)
{
    return (struct block){.end = p->a->text};
}

vec_inline bool segment_set(struct segment *s, const struct block *b, struct band band, int64_t first, int64_t place)
{
    for (int r = 0; r < ROWS; r++) {
        s->row_from[r] = most(first, b->slot + r - band.hi);
        s->row_to[r] = most(s->row_from[r], b->slot + r - band.lo + 1);
    }
    s->from = s->row_from[0];
    s->to = s->row_to[b->rows - 1];
    s->place = place;
    return s->to > s->from;
}

vec_inline int64_t segment_panels(const struct segment *s)
{
    return vec_up(s->to) / VEC - s->from / VEC;
}

/* The segments of a block; their panels together. */
static inline int64_t block_segments(struct segment *s, int *count, const struct block *b, const struct plan *p)
{
    int64_t panels = 0;

    *count = 0;
    if (b->slot < p->text_slots) {
        segment_set(&s[(*count)++], b, (struct band){0, b->slot + ROWS}, 0, 0);
        return segment_panels(&s[0]);
    }
    if (p->a->text > 0) {
        struct segment *text = &s[(*count)++];

        *text = (struct segment){.to = p->a->text};
        for (int r = 0; r < ROWS; r++)
            text->row_to[r] = p->a->text;
        panels = segment_panels(text);
    }
    for (int i = 0; i < p->bands; i++)
        if (segment_set(&s[*count], b, p->band[i], b->first, panels))
            panels += segment_panels(&s[(*count)++]);
    return panels;
}

/* Panels of the rows of one head: x is the row of position 0, rows are stride apart. */
static inline void pack_panels(float *panels, const float *x, int64_t stride, const struct plan *p)
{
    for (int64_t slot = 0; slot < p->slots; slot += VEC) {
        const float *row[VEC];

        for (int l = 0; l < VEC; l++) {
            int64_t at = plan_position(p, slot + l);

            row[l] = at < 0 ? NULL : x + at * stride;
        }
        for (int64_t i = 0; i < p->width; i += VEC) {
            int64_t count = least(VEC, p->width - i);
            vec t[VEC];

            for (int l = 0; l < VEC; l++)
                t[l] = row[l] == NULL ? vec_all(0.0f)
                       : count == VEC ? vec_load(row[l] + i)
                                      : vec_load_part(row[l] + i, count, 0.0f);
            vec_transpose(t);
            for (int l = 0; l < count; l++)
                vec_store(panels + slot * p->width + (i + l) * VEC, t[l]);
        }
    }
}

/* Rows of one head in slot order, padded with zeros. */
static inline void pack_rows(float *rows, const float *x, int64_t stride, const struct plan *p)
{
    for (int64_t slot = 0; slot < p->slots; slot++) {
        int64_t at = plan_position(p, slot);
        float *out = rows + slot * p->padded;

        memset(out, 0, (size_t)p->padded * sizeof *out);
        if (at >= 0)
            memcpy(out, x + at * stride, (size_t)p->width * sizeof *out);
    }
}

/* The rows of a block's queries, ATTN_WIDTH_MAX apart, times scale; rows that the block lacks are zero. */
static inline void pack_block(float *rows, const float *x, int64_t stride, const struct block *b, const struct plan *p,
                              float scale)
{
    for (int r = 0; r < ROWS; r++) {
        float *out = rows + r * ATTN_WIDTH_MAX;
        const float *in = r < b->rows ? x + plan_position(p, b->slot + r) * stride : NULL;

        for (int64_t i = 0; i < p->padded; i += VEC) {
            int64_t count = least(VEC, p->width - i);
            vec v = in == NULL ? vec_all(0.0f) : count == VEC ? vec_load(in + i) : vec_load_part(in + i, count, 0.0f);

            vec_store(out + i, v * scale);
        }
    }
}

/* Scores of a block lie as [panel][ROWS][VEC]: a segment's panels start at its place. */

/* Products of a block's rows with the keys of wide panels (a constant at each call). */
vec_inline void score_tile(float *s, const float *rows, const float *panel, int64_t d, int wide)
{
    vec sum[ROWS][WIDE] = {0};

    for (int64_t i = 0; i < d; i++) {
        vec k[WIDE];

        for (int j = 0; j < wide; j++)
            k[j] = vec_load(panel + j * d * VEC + i * VEC);
        for (int r = 0; r < ROWS; r++)
            for (int j = 0; j < wide; j++)
                sum[r][j] = vec_fma(vec_all(rows[r * ATTN_WIDTH_MAX + i]), k[j], sum[r][j]);
    }
    for (int r = 0; r < ROWS; r++)
        for (int j = 0; j < wide; j++)
            vec_store(s + (j * ROWS + r) * VEC, sum[r][j]);
}

/* All scores of a segment. */
static inline void segment_scores(float *s, const float *rows, const float *panels, int64_t d, const struct segment *g)
{
    int64_t slot = g->from / VEC * VEC, end = vec_up(g->to);

    s += g->place * ROWS * VEC;
    for (; slot + WIDE * VEC <= end; slot += WIDE * VEC, s += WIDE * ROWS * VEC)
        score_tile(s, rows, panels + slot * d, d, WIDE);
    if (slot + 2 * VEC <= end)
        score_tile(s, rows, panels + slot * d, d, 2);
    else if (slot < end)
        score_tile(s, rows, panels + slot * d, d, 1);
}

vec_inline veci lanes(void)
{
    veci n = {0};

    for (int i = 0; i < VEC; i++)
        n[i] = i;
    return n;
}

/* Put value where a segment's keys are forbidden. */
static inline void segment_forbid(float *s, const struct segment *g, float value)
{
    int64_t slot = g->from / VEC * VEC, end = vec_up(g->to);

    s += g->place * ROWS * VEC;
    for (; slot < end; slot += VEC, s += ROWS * VEC) {
        if (slot >= g->row_from[ROWS - 1] && slot + VEC <= g->row_to[0])
            continue;
        for (int r = 0; r < ROWS; r++) {
            veci at = lanes() + (int32_t)(slot - g->from);
            veci yes = (at >= (int32_t)(g->row_from[r] - g->from)) & (at < (int32_t)(g->row_to[r] - g->from));

            vec_store(s + r * VEC, vec_select(yes, vec_load(s + r * VEC), vec_all(value)));
        }
    }
}

/* sum[r] += weights of row r times rows of slots from..to.  With masked, a weight of 0 adds 0 whatever the row holds. */
vec_inline void weigh(vec (*sum)[WIDE], const float *s, const float *rows, int64_t padded, int64_t from, int64_t to,
                      const struct segment *g, bool masked, int wide)
{
    int64_t start = g->from / VEC * VEC - g->place * VEC;

    for (int64_t slot = from; slot < to; slot++) {
        const float *weight = s + (slot - start) / VEC * (ROWS * VEC) + slot % VEC;
        vec v[WIDE];

        for (int j = 0; j < wide; j++)
            v[j] = vec_load(rows + slot * padded + j * VEC);
        for (int r = 0; r < ROWS; r++) {
            vec share = vec_all(weight[r * VEC]);

            for (int j = 0; j < wide; j++)
                sum[r][j] = vec_fma(share, masked ? (vec)((veci)v[j] & (share != 0.0f)) : v[j], sum[r][j]);
        }
    }
}

/* Weighted sums over all segments, for wide registers of channels; out rows are ATTN_WIDTH_MAX apart. */
vec_inline void weigh_segments(float *out, const float *s, const float *rows, int64_t padded, const struct segment *g,
                               int count, int wide)
{
    vec sum[ROWS][WIDE] = {0};

    for (int i = 0; i < count; i++) {
        int64_t common = least(g[i].row_from[ROWS - 1], g[i].to), end = most(common, least(g[i].row_to[0], g[i].to));

        weigh(sum, s, rows, padded, g[i].from, common, &g[i], true, wide);
        weigh(sum, s, rows, padded, common, end, &g[i], false, wide);
        weigh(sum, s, rows, padded, end, g[i].to, &g[i], true, wide);
    }
    for (int r = 0; r < ROWS; r++)
        for (int j = 0; j < wide; j++)
            vec_store(out + r * ATTN_WIDTH_MAX + j * VEC, sum[r][j]);
}

static inline void weighted_sums(float *out, const float *s, const float *rows, int64_t padded, const struct segment *g,
                                 int count)
{
    int64_t i = 0;

    for (; padded - i >= 2 * VEC && (padded - i) % (WIDE * VEC) != 0; i += 2 * VEC)
        weigh_segments(out + i, s, rows + i, padded, g, count, 2);
    for (; padded - i >= WIDE * VEC; i += WIDE * VEC)
        weigh_segments(out + i, s, rows + i, padded, g, count, WIDE);
    if (i < padded)
        weigh_segments(out + i, s, rows + i, padded, g, count, 1);
}

#endif

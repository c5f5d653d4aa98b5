/* SPDX-License-Identifier: MIT */
/* merge.c -- easy to get wrong:
 *   - the pair of a position is of the symbol there and the next living one; merging (x, y) changes the pair before x,
 *     replaces the pair of x, and ends the pair of y
 *   - a merge can make a pair of lower rank than its own (a token that two merges make), so the heap is asked each time
 *   - the draws of dropout happen in order of (rank, position), and what was passed over comes back at the next step
 */
#include "text/merge.h"

#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX
#define SWEEP_SHARE 8 /* a sweep is worth its time where it merges this part of all symbols */

struct merge_node {
    uint32_t id;
    uint32_t left, right;   /* living neighbours; NONE at the ends */
    uint32_t before, after; /* neighbours in the list of its pair's rank */
    uint32_t rank;          /* of the list it stands in; BPE_NO_RANK: in none */
};

struct merge_list {
    uint32_t head, tail; /* NONE: empty */
    bool sorted;         /* by position */
    bool queued;         /* its rank is in the heap */
};

static bool pass_over(struct merge_dropout *d)
{
    return d->p > 0 && (double)rng_uniform(d->random, d->step, d->element++) < d->p;
}

/* ---- short pieces ------------------------------------------------------------------------------------------------ */

/* The pair to merge of rank[0..n); n: none. */
static size_t choose(const uint32_t *rank, size_t n, struct merge_dropout *dropout)
{
    uint32_t passed = 0;

    if (dropout->p == 0) {
        size_t best = 0;

        for (size_t i = 1; i < n; i++)
            best = rank[i] < rank[best] ? i : best;
        return rank[best] == BPE_NO_RANK ? n : best;
    }
    for (;;) {
        uint32_t low = BPE_NO_RANK;
        size_t best = n;

        for (size_t i = 0; i < n; i++)
            if (rank[i] < low && !(passed >> i & 1)) {
                low = rank[i];
                best = i;
            }
        if (best == n || !pass_over(dropout))
            return best;
        passed |= 1u << best;
    }
}

size_t merge_short(const struct bpe *b, uint16_t *ids, size_t n, struct merge_dropout *dropout)
{
    uint32_t rank[MERGE_SHORT];

    for (size_t i = 0; i + 1 < n; i++)
        rank[i] = bpe_rank(b, ids[i], ids[i + 1]);
    rank[n - 1] = BPE_NO_RANK; /* of the last symbol; it moves with it */
    while (n > 1) {
        size_t at = choose(rank, n - 1, dropout);

        if (at == n - 1)
            break;
        ids[at] = b->merge[rank[at]].made;
        n--;
        for (size_t i = at + 1; i < n; i++) { /* a few: a call would take longer */
            ids[i] = ids[i + 1];
            rank[i] = rank[i + 1];
        }
        if (at + 1 < n)
            rank[at] = bpe_rank(b, ids[at], ids[at + 1]);
        if (at > 0)
            rank[at - 1] = bpe_rank(b, ids[at - 1], ids[at]);
    }
    return n;
}

/* ---- sweeps ------------------------------------------------------------------------------------------------------ */

/* The lowest rank of all pairs, and how many have it. */
static uint32_t lowest(const struct bpe *b, const uint16_t *ids, size_t n, size_t *count)
{
    uint32_t low = BPE_NO_RANK, rank = BPE_NO_RANK;

    *count = 0;
    for (size_t i = 0; i + 1 < n; i++) {
        if (i == 0 || ids[i] != ids[i - 1] || ids[i + 1] != ids[i]) /* else as before */
            rank = bpe_rank(b, ids[i], ids[i + 1]);
        if (rank < low) {
            low = rank;
            *count = 0;
        }
        *count += rank == low;
    }
    return low;
}

size_t merge_sweeps(const struct bpe *b, uint16_t *ids, size_t n, bool *done)
{
    size_t count;

    for (;;) {
        uint32_t rank = lowest(b, ids, n, &count);
        size_t to = 0;

        *done = rank == BPE_NO_RANK;
        if (*done || count < n / SWEEP_SHARE)
            return n;
        for (size_t i = 0; i < n; i++) {
            bool pair = i + 1 < n && ids[i] == b->merge[rank].left && ids[i + 1] == b->merge[rank].right;

            ids[to++] = pair ? b->merge[rank].made : ids[i];
            i += pair;
        }
        n = to;
    }
}

/* ---- the heap of ranks ------------------------------------------------------------------------------------------- */

static void heap_push(struct merger *m, uint32_t rank)
{
    uint32_t i = m->heap_count++;

    for (; i > 0 && m->heap[(i - 1) / 2] > rank; i = (i - 1) / 2)
        m->heap[i] = m->heap[(i - 1) / 2];
    m->heap[i] = rank;
}

static void heap_pop(struct merger *m)
{
    uint32_t last = m->heap[--m->heap_count], i = 0, child;

    for (; (child = 2 * i + 1) < m->heap_count; i = child) {
        if (child + 1 < m->heap_count && m->heap[child + 1] < m->heap[child])
            child++;
        if (m->heap[child] >= last)
            break;
        m->heap[i] = m->heap[child];
    }
    m->heap[i] = last;
}

/* ---- the lists of pairs ------------------------------------------------------------------------------------------ */

static void list_put(struct merger *m, uint32_t at, uint32_t rank)
{
    struct merge_node *node = m->node;
    struct merge_list *l = &m->list[rank];

    node[at].rank = rank;
    if (l->head == NONE) {
        node[at].before = node[at].after = NONE;
        l->head = l->tail = at;
        l->sorted = true;
    } else if (at < l->head) {
        node[at].before = NONE;
        node[at].after = l->head;
        l->head = node[l->head].before = at;
    } else {
        l->sorted = l->sorted && at > l->tail;
        node[at].before = l->tail;
        node[at].after = NONE;
        l->tail = node[l->tail].after = at;
    }
    if (!l->queued)
        heap_push(m, rank);
    l->queued = true;
}

static void list_take(struct merger *m, uint32_t at)
{
    struct merge_node *node = m->node;
    struct merge_list *l;

    if (node[at].rank == BPE_NO_RANK)
        return;
    l = &m->list[node[at].rank];
    if (node[at].before == NONE)
        l->head = node[at].after;
    else
        node[node[at].before].after = node[at].after;
    if (node[at].after == NONE)
        l->tail = node[at].before;
    else
        node[node[at].after].before = node[at].before;
    node[at].rank = BPE_NO_RANK;
}

/* Two ascending chains as one. */
static uint32_t chain_join(struct merge_node *node, uint32_t a, uint32_t b)
{
    uint32_t head = NONE, *end = &head;

    while (a != NONE && b != NONE) {
        uint32_t *low = a < b ? &a : &b;

        *end = *low;
        end = &node[*low].after;
        *low = *end;
    }
    *end = a != NONE ? a : b;
    return head;
}

/* bin[i] holds a chain of 2^i runs or nothing, as in counting up in binary. */
static void list_sort(struct merge_node *node, struct merge_list *l)
{
    uint32_t bin[32], rest = l->head, all = NONE;

    for (int i = 0; i < 32; i++)
        bin[i] = NONE;
    while (rest != NONE) {
        uint32_t run = rest, end = rest;
        int i = 0;

        while (node[end].after != NONE && node[end].after > end)
            end = node[end].after;
        rest = node[end].after;
        node[end].after = NONE;
        for (; i < 31 && bin[i] != NONE; i++) {
            run = chain_join(node, bin[i], run);
            bin[i] = NONE;
        }
        bin[i] = run;
    }
    for (int i = 0; i < 32; i++)
        all = chain_join(node, bin[i], all);
    l->head = all;
    l->tail = NONE;
    for (uint32_t i = all; i != NONE; i = node[i].after) {
        node[i].before = l->tail;
        l->tail = i;
    }
    l->sorted = true;
}

/* ---- long pieces ------------------------------------------------------------------------------------------------- */

/* Put the pair that starts at a position in the list of its rank. */
static void pair_put(const struct bpe *b, struct merger *m, uint32_t at)
{
    uint32_t right = m->node[at].right, rank;

    if (right == NONE)
        return;
    if ((rank = bpe_rank(b, m->node[at].id, m->node[right].id)) != BPE_NO_RANK)
        list_put(m, at, rank);
}

static void pair_merge(const struct bpe *b, struct merger *m, uint32_t at)
{
    struct merge_node *node = m->node;
    uint32_t rank = node[at].rank, gone = node[at].right, left = node[at].left;

    list_take(m, at);
    list_take(m, gone);
    node[at].id = b->merge[rank].made;
    node[at].right = node[gone].right;
    if (node[at].right != NONE)
        node[node[at].right].left = at;
    if (left != NONE) {
        list_take(m, left);
        pair_put(b, m, left);
    }
    pair_put(b, m, at);
}

static int prepare(const struct bpe *b, struct merger *m, size_t n)
{
    if (n > m->node_room) {
        void *node = realloc(m->node, n * sizeof *m->node);

        if (!node)
            return err_set(ERR_NOMEM, "no memory to merge %zu bytes", n);
        m->node = node;
        m->node_room = n;
    }
    if (b->merges > m->list_room) {
        void *list = realloc(m->list, b->merges * sizeof *m->list), *heap;

        if (list)
            m->list = list;
        if ((heap = realloc(m->heap, b->merges * sizeof *m->heap)))
            m->heap = heap;
        if (!list || !heap)
            return err_set(ERR_NOMEM, "no memory for %u merges", b->merges);
        for (uint32_t i = m->list_room; i < b->merges; i++)
            m->list[i] = (struct merge_list){NONE, NONE, true, false};
        m->list_room = b->merges;
    }
    return 0;
}

static int aside_put(struct merger *m, size_t count, uint32_t at)
{
    if (count == m->aside_room) {
        size_t room = m->aside_room ? 2 * m->aside_room : 64;
        void *aside = realloc(m->aside, room * sizeof *m->aside);

        if (!aside)
            return err_set(ERR_NOMEM, "no memory for dropout");
        m->aside = aside;
        m->aside_room = room;
    }
    m->aside[count] = at;
    return 0;
}

static int merge_all(const struct bpe *b, struct merger *m, struct merge_dropout *dropout)
{
    size_t aside = 0;
    int rc;

    while (m->heap_count > 0) {
        struct merge_list *l = &m->list[m->heap[0]];
        uint32_t at = l->head;

        if (at == NONE) {
            l->queued = false;
            heap_pop(m);
            continue;
        }
        if (!l->sorted) {
            list_sort(m->node, l);
            at = l->head;
        }
        if (pass_over(dropout)) {
            if ((rc = aside_put(m, aside, at)) != 0)
                return rc;
            list_take(m, at);
            aside++;
            continue;
        }
        while (aside > 0) /* the last first: each goes to the front of its list */
            pair_put(b, m, m->aside[--aside]);
        pair_merge(b, m, at);
    }
    return 0;
}

int merge_long(const struct bpe *b, struct merger *m, uint16_t *ids, size_t n, size_t *made,
               struct merge_dropout *dropout)
{
    size_t count = 0;
    int rc;

    *made = n;
    if (n < 2 || b->merges == 0)
        return 0;
    if ((rc = prepare(b, m, n)) != 0)
        return rc;
    for (uint32_t i = 0; i < n; i++)
        m->node[i] = (struct merge_node){ids[i], i - 1, i + 1 < n ? i + 1 : NONE, NONE, NONE, BPE_NO_RANK};
    for (uint32_t i = 0; i + 1 < n; i++)
        pair_put(b, m, i);
    if ((rc = merge_all(b, m, dropout)) != 0) {
        m->list_room = m->heap_count = 0; /* lists are no longer empty: make them anew next time */
        return rc;
    }
    for (uint32_t i = 0; i != NONE; i = m->node[i].right)
        ids[count++] = (uint16_t)m->node[i].id;
    *made = count;
    return 0;
}

int merge_piece(const struct bpe *b, struct merger *m, uint16_t *ids, size_t n, size_t *made,
                struct merge_dropout *dropout)
{
    bool done = false;

    if (n > MERGE_SHORT && dropout->p == 0 && b->ordered)
        n = merge_sweeps(b, ids, n, &done);
    if (n > MERGE_SHORT && !done)
        return merge_long(b, m, ids, n, made, dropout);
    *made = done ? n : merge_short(b, ids, n, dropout);
    return 0;
}

void merger_fini(struct merger *m)
{
    free(m->node);
    free(m->list);
    free(m->heap);
    free(m->aside);
    *m = (struct merger){0};
}

/* SPDX-License-Identifier: MIT */
/* pair_index.c -- counts of settled pairs only fall, so an entry of the heap is corrected when it comes up, and a pair is
 * never entered twice. */
#include "text/pair_index.h"

#include <assert.h>
#include <stdlib.h>

#include "text/bpe_table.h"

enum { FIRST_ROOM = 4096 };

void pair_index_init(struct pair_index *x, uint64_t bound, uint32_t keep)
{
    *x = (struct pair_index){.least = bound, .bound = bound, .keep = keep};
}

void pair_index_restart(struct pair_index *x)
{
    uint64_t bound = x->bound;
    uint32_t keep = x->keep;

    pair_index_fini(x);
    pair_index_init(x, bound, keep);
}

void pair_index_fini(struct pair_index *x)
{
    for (uint32_t i = 0; i < x->room; i++)
        if (x->entry[i].count)
            free(x->entry[i].words);
    free(x->entry);
    free(x->heap);
    free(x->fresh);
    *x = (struct pair_index){0};
}

/* ---- the table ------------------------------------------------------------------------------------------------------ */

static uint32_t home(const struct pair_index *x, uint32_t pair)
{
    return bpe_slot_of(pair) & (x->room - 1);
}

static struct pair_entry *find(const struct pair_index *x, uint32_t pair)
{
    uint32_t i;

    if (x->room == 0)
        return NULL;
    for (i = home(x, pair); x->entry[i].count; i = (i + 1) & (x->room - 1))
        if (x->entry[i].pair == pair)
            return &x->entry[i];
    return NULL;
}

static struct pair_entry *put(struct pair_index *x, struct pair_entry e)
{
    uint32_t i = home(x, e.pair);

    while (x->entry[i].count)
        i = (i + 1) & (x->room - 1);
    x->entry[i] = e;
    return &x->entry[i];
}

static int set_room(struct pair_index *x, uint32_t room)
{
    struct pair_entry *old = x->entry, *entry = calloc(room, sizeof *entry);
    uint32_t old_room = x->room;

    if (!entry)
        return err_set(ERR_NOMEM, "no memory for %u pairs", room);
    x->entry = entry;
    x->room = room;
    for (uint32_t i = 0; i < old_room; i++)
        if (old[i].count)
            put(x, old[i]);
    free(old);
    return 0;
}

/* Take an entry out; those behind it that would no longer be found move up. */
static void drop(struct pair_index *x, struct pair_entry *e)
{
    uint32_t hole = (uint32_t)(e - x->entry), mask = x->room - 1;

    free(e->words);
    x->used--;
    for (uint32_t i = (hole + 1) & mask; x->entry[i].count; i = (i + 1) & mask)
        if (((i - home(x, x->entry[i].pair)) & mask) >= ((i - hole) & mask)) {
            x->entry[hole] = x->entry[i];
            hole = i;
        }
    x->entry[hole].count = 0;
}

/* ---- one step -------------------------------------------------------------------------------------------------------- */

static uint64_t step_size(uint32_t step)
{
    return step < 1u << 7 ? 1 : step < 1u << 14 ? 2 : step < 1u << 21 ? 3 : step < 1u << 28 ? 4 : 5;
}

static int add_fresh(struct pair_index *x, uint32_t pair)
{
    if (x->fresh_count == x->fresh_room) {
        uint32_t room = x->fresh_room ? 2 * x->fresh_room : 1024;
        void *fresh = realloc(x->fresh, room * sizeof *x->fresh);

        if (!fresh)
            return err_set(ERR_NOMEM, "no memory for %u pairs", room);
        x->fresh = fresh;
        x->fresh_room = room;
    }
    x->fresh[x->fresh_count++] = pair;
    return 0;
}

/* An entry that falls to 0 within its step stays in the table: 1 is added to what is fresh until it settles. */
int pair_rise(struct pair_index *x, uint32_t pair, uint64_t count, uint32_t place)
{
    struct pair_entry *e = find(x, pair);
    int rc;

    if (!e) {
        if (2 * (x->used + 1) > x->room && (rc = set_room(x, x->room ? 2 * x->room : FIRST_ROOM)) != 0)
            return rc;
        if ((rc = add_fresh(x, pair)) != 0)
            return rc;
        e = put(x, (struct pair_entry){.count = 1, .pair = pair, .last = UINT32_MAX});
        x->used++;
    }
    assert(!e->words);
    e->count += count;
    if (e->last != place)
        e->size += step_size(e->last == UINT32_MAX ? place : place - e->last);
    e->last = place;
    return 0;
}

void pair_fall(struct pair_index *x, uint32_t pair, uint64_t count)
{
    struct pair_entry *e = find(x, pair);

    if (!e) /* too rare to be held */
        return;
    assert(e->count >= count);
    e->count -= count;
    if (e->words && e->count < x->least)
        drop(x, e);
}

static bool above(struct pair_top a, struct pair_top b)
{
    return a.count != b.count ? a.count > b.count : a.pair < b.pair;
}

static int enter(struct pair_index *x, struct pair_top top)
{
    size_t i = x->heap_count;

    if (x->heap_count == x->heap_room) {
        size_t room = x->heap_room ? 2 * x->heap_room : 1024;
        void *heap = realloc(x->heap, room * sizeof *x->heap);

        if (!heap)
            return err_set(ERR_NOMEM, "no memory for %zu pairs", room);
        x->heap = heap;
        x->heap_room = room;
    }
    x->heap_count++;
    for (; i > 0 && above(top, x->heap[(i - 1) / 2]); i = (i - 1) / 2)
        x->heap[i] = x->heap[(i - 1) / 2];
    x->heap[i] = top;
    return 0;
}

static int descending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x > y ? -1 : x < y;
}

/* Raise least so that at most keep pairs have it, or, where more are equal at the top, those. */
static int raise_least(struct pair_index *x)
{
    uint64_t *count = malloc(x->used * sizeof *count);
    uint32_t n = 0, i;

    if (!count)
        return err_set(ERR_NOMEM, "no memory for %u pairs", x->used);
    for (i = 0; i < x->room; i++)
        if (x->entry[i].count)
            count[n++] = x->entry[i].count;
    qsort(count, n, sizeof *count, descending);
    for (i = x->keep; i > 0 && count[i - 1] == count[x->keep]; i--)
        ;
    x->least = i > 0 ? count[i - 1] : count[0];
    free(count);
    return 0;
}

/* Keep what occurs least times; the heap anew. */
static int prune(struct pair_index *x)
{
    struct pair_entry *old = x->entry;
    uint32_t old_room = x->room, room = FIRST_ROOM;
    int rc;

    if ((rc = raise_least(x)) != 0)
        return rc;
    x->used = 0;
    for (uint32_t i = 0; i < old_room; i++)
        if (old[i].count >= x->least)
            x->used++;
    while (room < 2 * (x->used + 1))
        room *= 2;
    if (!(x->entry = calloc(room, sizeof *x->entry))) {
        x->entry = old;
        return err_set(ERR_NOMEM, "no memory for %u pairs", room);
    }
    x->room = room;
    x->heap_count = 0;
    for (uint32_t i = 0; i < old_room; i++) {
        if (old[i].count < x->least) {
            if (old[i].count)
                free(old[i].words);
            continue;
        }
        put(x, old[i]);
        if (rc == 0)
            rc = enter(x, (struct pair_top){old[i].count, old[i].pair});
    }
    free(old);
    return rc;
}

int pair_settle(struct pair_index *x)
{
    bool crowded;
    int rc = 0;

    for (uint32_t i = 0; i < x->fresh_count; i++) {
        struct pair_entry *e = find(x, x->fresh[i]);

        if (e->count - 1 < x->least)
            drop(x, e);
        else
            e->count--;
    }
    crowded = x->used / 2 >= x->keep;
    if (crowded)
        rc = prune(x);
    for (uint32_t i = 0; i < x->fresh_count && rc == 0; i++) {
        struct pair_entry *e = find(x, x->fresh[i]);

        if (!e)
            continue;
        if (!(e->words = malloc(e->size)))
            return err_set(ERR_NOMEM, "no memory for the words of a pair");
        e->size = 0;
        e->last = UINT32_MAX;
        if (!crowded)
            rc = enter(x, (struct pair_top){e->count, e->pair});
    }
    x->fresh_count = 0;
    return rc;
}

void pair_hold(struct pair_index *x, uint32_t pair, uint32_t place)
{
    struct pair_entry *e = find(x, pair);
    uint32_t step;

    if (!e || e->last == place)
        return;
    for (step = e->last == UINT32_MAX ? place : place - e->last; step >= 1u << 7; step >>= 7)
        e->words[e->size++] = (uint8_t)(step | 0x80);
    e->words[e->size++] = (uint8_t)step;
    e->last = place;
}

/* ---- the best pair --------------------------------------------------------------------------------------------------- */

static void sift_down(struct pair_index *x, struct pair_top top)
{
    size_t i = 0, child;

    for (; (child = 2 * i + 1) < x->heap_count; i = child) {
        if (child + 1 < x->heap_count && above(x->heap[child + 1], x->heap[child]))
            child++;
        if (!above(x->heap[child], top))
            break;
        x->heap[i] = x->heap[child];
    }
    x->heap[i] = top;
}

int pair_best(struct pair_index *x, uint32_t *pair, uint64_t *count)
{
    while (x->heap_count > 0) {
        struct pair_top top = x->heap[0];
        const struct pair_entry *e = find(x, top.pair);

        if (e && e->count < top.count) { /* it fell: back to where it belongs */
            sift_down(x, (struct pair_top){e->count, top.pair});
            continue;
        }
        if (--x->heap_count > 0)
            sift_down(x, x->heap[x->heap_count]);
        if (!e)
            continue;
        *pair = top.pair;
        *count = e->count;
        return 1;
    }
    return 0;
}

void pair_take_words(struct pair_index *x, uint32_t pair, struct pair_words *words)
{
    struct pair_entry *e = find(x, pair);

    *words = (struct pair_words){.bytes = e->words, .size = e->size};
    e->words = NULL;
    drop(x, e);
}

bool pair_next_word(struct pair_words *words, uint32_t *place)
{
    uint32_t step = 0;

    if (words->at == words->size)
        return false;
    for (int shift = 0;; shift += 7) {
        uint8_t byte = words->bytes[words->at++];

        step |= (uint32_t)(byte & 0x7F) << shift;
        if (byte < 0x80)
            break;
    }
    *place = words->last += step;
    return true;
}

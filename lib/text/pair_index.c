/* SPDX-License-Identifier: MIT */
#include "text/pair_index.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "text/bpe_table.h"

void pair_index_fini(struct pair_index *x)
{
    for (uint32_t i = 0; i < x->count; i++)
        free(x->entry[i].word);
    free(x->entry);
    free(x->slot);
    free(x->heap);
    free(x->risen);
    *x = (struct pair_index){0};
}

static uint32_t find(const struct pair_index *x, uint32_t pair)
{
    uint32_t i = bpe_slot_of(pair) & (x->slots - 1);

    while (x->slot[i] && x->entry[x->slot[i] - 1].pair != pair)
        i = (i + 1) & (x->slots - 1);
    return i;
}

static int grow(struct pair_index *x)
{
    if (x->count == x->room) {
        uint32_t room = x->room ? 2 * x->room : 1024;
        void *entry = realloc(x->entry, room * sizeof *x->entry);

        if (!entry)
            return err_set(ERR_NOMEM, "no memory for %u pairs", room);
        x->entry = entry;
        x->room = room;
    }
    if (2 * (x->count + 1) > x->slots) {
        uint32_t slots = x->slots ? 2 * x->slots : 4096, *slot = calloc(slots, sizeof *slot);

        if (!slot)
            return err_set(ERR_NOMEM, "no memory for %u pairs", slots);
        free(x->slot);
        x->slot = slot;
        x->slots = slots;
        for (uint32_t i = 0; i < x->count; i++)
            x->slot[find(x, x->entry[i].pair)] = i + 1;
    }
    return 0;
}

static int add_word(struct pair_entry *e, uint32_t word)
{
    if (e->words > 0 && e->word[e->words - 1] == word)
        return 0;
    if (e->words == e->room) {
        uint32_t room = e->room ? e->room + (e->room + 1) / 2 : 2, *more = realloc(e->word, room * sizeof *more);

        if (!more)
            return err_set(ERR_NOMEM, "no memory for the words of a pair");
        e->word = more;
        e->room = room;
    }
    e->word[e->words++] = word;
    return 0;
}

static int mark_risen(struct pair_index *x, uint32_t entry)
{
    if (x->entry[entry].risen)
        return 0;
    if (x->risen_count == x->risen_room) {
        uint32_t room = x->risen_room ? 2 * x->risen_room : 1024;
        void *risen = realloc(x->risen, room * sizeof *x->risen);

        if (!risen)
            return err_set(ERR_NOMEM, "no memory for %u pairs", room);
        x->risen = risen;
        x->risen_room = room;
    }
    x->entry[entry].risen = true;
    x->risen[x->risen_count++] = entry;
    return 0;
}

int pair_rise(struct pair_index *x, uint32_t left, uint32_t right, uint64_t count, uint32_t word)
{
    uint32_t pair = left << 16 | right, place = x->slots ? find(x, pair) : 0;
    int rc;

    if (!x->slots || !x->slot[place]) {
        if ((rc = grow(x)) != 0)
            return rc;
        x->entry[x->count++] = (struct pair_entry){.pair = pair};
        x->slot[place = find(x, pair)] = x->count;
    }
    x->entry[x->slot[place] - 1].count += count;
    if ((rc = add_word(&x->entry[x->slot[place] - 1], word)) != 0)
        return rc;
    return mark_risen(x, x->slot[place] - 1);
}

void pair_fall(struct pair_index *x, uint32_t left, uint32_t right, uint64_t count)
{
    struct pair_entry *e = &x->entry[x->slot[find(x, left << 16 | right)] - 1];

    assert(e->count >= count);
    e->count -= count;
}

void pair_take_words(struct pair_index *x, uint32_t left, uint32_t right, uint32_t **word, uint32_t *count)
{
    struct pair_entry *e = &x->entry[x->slot[find(x, left << 16 | right)] - 1];

    *word = e->word;
    *count = e->words;
    e->word = NULL;
    e->words = e->room = 0;
}

/* ---- the heap ---------------------------------------------------------------------------------------------------- */

static bool above(struct pair_top a, struct pair_top b)
{
    return a.count != b.count ? a.count > b.count : a.pair < b.pair;
}

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

int pair_enter_risen(struct pair_index *x)
{
    int rc = 0;

    for (uint32_t i = 0; i < x->risen_count && rc == 0; i++) {
        struct pair_entry *e = &x->entry[x->risen[i]];

        e->risen = false;
        if (e->count > 0)
            rc = enter(x, (struct pair_top){e->count, e->pair});
    }
    x->risen_count = 0;
    return rc;
}

int pair_best(struct pair_index *x, uint32_t *left, uint32_t *right, uint64_t *count)
{
    while (x->heap_count > 0) {
        struct pair_top top = x->heap[0];
        uint64_t now = x->entry[x->slot[find(x, top.pair)] - 1].count;

        if (now > 0 && now < top.count) { /* it fell: back to where it belongs */
            sift_down(x, (struct pair_top){now, top.pair});
            continue;
        }
        if (--x->heap_count > 0)
            sift_down(x, x->heap[x->heap_count]);
        if (now != top.count) /* gone, or a newer entry was here before */
            continue;
        *left = top.pair >> 16;
        *right = top.pair & 0xFFFF;
        *count = now;
        return 1;
    }
    return 0;
}

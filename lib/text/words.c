/* SPDX-License-Identifier: MIT */
#include "text/words.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

enum { UNIT = 8, SLOT_SHARE = 20 }; /* one place for so many bytes; the smallest record has 24 */

struct record {
    uint64_t count;
    uint32_t hash, size;
    char text[];
};

int word_order(const struct word *a, const struct word *b)
{
    int rc = memcmp(a->text, b->text, a->size < b->size ? a->size : b->size);

    return rc ? rc : a->size < b->size ? -1 : a->size > b->size;
}

int words_init(struct words *w, uint64_t bytes)
{
    uint64_t slots = bytes / (SLOT_SHARE + sizeof *w->slot);

    *w = (struct words){.slots = (uint32_t)slots, .room = slots * SLOT_SHARE / UNIT * UNIT};
    w->block = malloc(w->room);
    w->slot = calloc(slots, sizeof *w->slot);
    if (w->block && w->slot)
        return 0;
    words_fini(w);
    return err_set(ERR_NOMEM, "no memory for %llu bytes of words", (unsigned long long)bytes);
}

void words_fini(struct words *w)
{
    free(w->block);
    free(w->slot);
    *w = (struct words){0};
}

static struct record *record_at(const struct words *w, uint32_t place)
{
    return (struct record *)(w->block + (uint64_t)(place - 1) * UNIT);
}

int words_add(struct words *w, const char *text, size_t size, uint64_t count)
{
    uint32_t hash = (uint32_t)rng_hash(text, size), i = (uint32_t)((uint64_t)hash * w->slots >> 32);
    uint64_t need = (sizeof(struct record) + size + UNIT - 1) / UNIT * UNIT;
    struct record *r;

    for (; w->slot[i]; i = i + 1 < w->slots ? i + 1 : 0) {
        r = record_at(w, w->slot[i]);
        if (r->hash == hash && r->size == size && memcmp(r->text, text, size) == 0) {
            r->count += count;
            return 0;
        }
    }
    if (need > w->room - w->used)
        return 1;
    w->slot[i] = (uint32_t)(w->used / UNIT) + 1;
    w->used += need;
    w->count++;
    r = record_at(w, w->slot[i]);
    r->count = count;
    r->hash = hash;
    r->size = (uint32_t)size;
    memcpy(r->text, text, size);
    return 0;
}

/* ---- sorting ------------------------------------------------------------------------------------------------------- */

struct key { /* eight bytes of a word, and how many it has from there, 9: more than eight */
    uint64_t bytes;
    uint32_t left;
};

static struct key key_at(const struct words *w, uint32_t place, uint32_t depth)
{
    const struct record *r = record_at(w, place);
    uint32_t left = r->size - depth;
    uint8_t p[8] = {0};
    struct key key = {0, left > 8 ? 9 : left};

    memcpy(p, r->text + depth, left > 8 ? 8 : left);
    for (int i = 0; i < 8; i++)
        key.bytes = key.bytes << 8 | p[i];
    return key;
}

static int key_order(struct key a, struct key b)
{
    if (a.bytes != b.bytes)
        return a.bytes < b.bytes ? -1 : 1;
    return a.left < b.left ? -1 : a.left > b.left;
}

static struct key middle(struct key a, struct key b, struct key c)
{
    if (key_order(a, b) > 0) {
        struct key t = a;

        a = b;
        b = t;
    }
    return key_order(b, c) <= 0 ? b : key_order(a, c) >= 0 ? a : c;
}

static void swap(uint32_t *a, uint32_t *b)
{
    uint32_t t = *a;

    *a = *b;
    *b = t;
}

struct part { /* words that agree in their first depth bytes */
    uint32_t *place;
    uint32_t count, depth;
};

/* Cut in three by a key in the middle: less, equal, greater.  The equal ones differ behind the key, or are one. */
static void cut(const struct words *w, struct part p, struct part to[3])
{
    uint32_t less = 0, i = 0, more = p.count;
    struct key pivot = middle(key_at(w, p.place[0], p.depth), key_at(w, p.place[p.count / 2], p.depth),
                              key_at(w, p.place[p.count - 1], p.depth));

    while (i < more) {
        int order = key_order(key_at(w, p.place[i], p.depth), pivot);

        if (order < 0)
            swap(&p.place[less++], &p.place[i++]);
        else if (order > 0)
            swap(&p.place[i], &p.place[--more]);
        else
            i++;
    }
    to[0] = (struct part){p.place, less, p.depth};
    to[1] = (struct part){p.place + less, more - less, p.depth + 8};
    to[2] = (struct part){p.place + more, p.count - more, p.depth};
}

/* The largest part stays in the loop, so the others nest no deeper than the logarithm of count. */
static void sort_part(const struct words *w, struct part p)
{
    while (p.count > 1) {
        struct part part[3];
        int largest = 0;

        cut(w, p, part);
        for (int i = 1; i < 3; i++)
            if (part[i].count > part[largest].count)
                largest = i;
        for (int i = 0; i < 3; i++)
            if (i != largest)
                sort_part(w, part[i]);
        p = part[largest];
    }
}

void words_sort(struct words *w)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < w->slots; i++)
        if (w->slot[i])
            w->slot[n++] = w->slot[i];
    sort_part(w, (struct part){w->slot, n, 0});
}

struct word words_at(const struct words *w, uint32_t n)
{
    const struct record *r = record_at(w, w->slot[n]);

    return (struct word){r->text, r->size, r->count};
}

void words_clear(struct words *w)
{
    memset(w->slot, 0, w->slots * sizeof *w->slot);
    w->used = 0;
    w->count = 0;
}

/* SPDX-License-Identifier: MIT */
#include "text/words.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

void words_fini(struct words *w)
{
    free(w->word);
    free(w->text);
    free(w->slot);
    *w = (struct words){0};
}

static uint64_t find(const struct words *w, const char *text, size_t size, uint32_t hash)
{
    uint64_t i = hash & (w->slots - 1);

    for (; w->slot[i]; i = (i + 1) & (w->slots - 1)) {
        const struct word_count *word = &w->word[w->slot[i] - 1];

        if (word->hash == hash && word->size == size && memcmp(w->text + word->at, text, size) == 0)
            break;
    }
    return i;
}

static int grow_slots(struct words *w)
{
    uint64_t slots = w->slots ? 2 * w->slots : 4096;
    uint32_t *slot = calloc(slots, sizeof *slot);

    if (!slot)
        return err_set(ERR_NOMEM, "no memory for %u distinct words", w->count);
    for (uint32_t n = 0; n < w->count; n++) {
        uint64_t i = w->word[n].hash & (slots - 1);

        while (slot[i])
            i = (i + 1) & (slots - 1);
        slot[i] = n + 1;
    }
    free(w->slot);
    w->slot = slot;
    w->slots = slots;
    return 0;
}

static int grow(struct words *w, size_t size)
{
    int rc;

    if (w->count == UINT32_MAX - 1)
        return err_set(ERR_LIMIT, "%u distinct words", w->count);
    if (2 * ((uint64_t)w->count + 1) > w->slots && (rc = grow_slots(w)) != 0)
        return rc;
    if (w->count == w->room) {
        uint32_t room = w->room ? w->room + w->room / 2 : 2048;
        void *word = room > w->room ? realloc(w->word, room * sizeof *w->word) : NULL;

        if (!word)
            return err_set(ERR_NOMEM, "no memory for %u distinct words", w->count);
        w->word = word;
        w->room = room;
    }
    if (w->text_size + size > w->text_room) {
        uint64_t room = w->text_room + w->text_room / 2 + size + 16384;
        char *text = realloc(w->text, room);

        if (!text)
            return err_set(ERR_NOMEM, "no memory for %u distinct words", w->count);
        w->text = text;
        w->text_room = room;
    }
    return 0;
}

static int add(struct words *w, const char *text, size_t size, uint32_t hash, uint64_t count)
{
    uint64_t i;
    int rc;

    if (w->slots && w->slot[i = find(w, text, size, hash)]) {
        w->word[w->slot[i] - 1].count += count;
        return 0;
    }
    if ((rc = grow(w, size)) != 0)
        return rc;
    memcpy(w->text + w->text_size, text, size);
    w->word[w->count] = (struct word_count){count, w->text_size, (uint32_t)size, hash};
    w->text_size += size;
    w->slot[find(w, text, size, hash)] = ++w->count;
    return 0;
}

int words_add(struct words *w, const char *text, size_t size, uint64_t count)
{
    return add(w, text, size, (uint32_t)rng_hash(text, size), count);
}

int words_merge(struct words *w, const struct words *from)
{
    int rc;

    for (uint32_t i = 0; i < from->count; i++) {
        const struct word_count *word = &from->word[i];

        if ((rc = add(w, from->text + word->at, word->size, word->hash, word->count)) != 0)
            return rc;
    }
    return 0;
}

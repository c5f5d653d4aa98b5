/* SPDX-License-Identifier: MIT */
#include "base/seen.h"

#include <stdlib.h>

#include "base/rng.h"

#define FIRST_SLOTS 1024

/* Where the hash stands, or the empty slot where it would. */
static size_t find(const struct seen *s, uint64_t hash)
{
    size_t at = hash & (s->slots - 1);

    while (s->times[at] && s->hash[at] != hash)
        at = (at + 1) & (s->slots - 1);
    return at;
}

static int grow(struct seen *s)
{
    struct seen more = {.slots = s->slots ? 2 * s->slots : FIRST_SLOTS, .count = s->count};

    more.hash = malloc(more.slots * sizeof *more.hash);
    more.times = calloc(more.slots, sizeof *more.times);
    if (!more.hash || !more.times) {
        seen_fini(&more);
        return err_set(ERR_NOMEM, "no memory for %zu distinct texts", s->count + 1);
    }
    for (size_t i = 0; i < s->slots; i++)
        if (s->times[i]) {
            size_t at = find(&more, s->hash[i]);

            more.hash[at] = s->hash[i];
            more.times[at] = s->times[i];
        }
    seen_fini(s);
    *s = more;
    return 0;
}

int seen_add(struct seen *s, const void *text, size_t size)
{
    uint64_t hash = rng_hash(text, size);
    size_t at;
    int rc;

    if (s->count >= s->slots - s->slots / 4 && (rc = grow(s)) != 0)
        return rc;
    at = find(s, hash);
    s->hash[at] = hash;
    s->count += s->times[at] == 0;
    s->times[at] += s->times[at] < SEEN_MOST;
    return 0;
}

uint32_t seen_count(const struct seen *s, const void *text, size_t size)
{
    return s->slots ? s->times[find(s, rng_hash(text, size))] : 0;
}

void seen_fini(struct seen *s)
{
    free(s->hash);
    free(s->times);
    *s = (struct seen){0};
}

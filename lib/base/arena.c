/* SPDX-License-Identifier: MIT */
#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Anonymous maps are zeroed, aligned to pages, and only cost what is touched. */
int arena_init(struct arena *a, size_t size)
{
    void *p;

    *a = (struct arena){0};
    if (size == 0)
        size = ARENA_ALIGN;
    p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return err_set(ERR_NOMEM, "no memory for %zu bytes", size);
    a->base = p;
    a->size = size;
    return 0;
}

void arena_fini(struct arena *a)
{
    if (a->base)
        munmap(a->base, a->size);
    *a = (struct arena){0};
}

void *arena_take(struct arena *a, size_t size)
{
    size_t at = a->used;

    if (size > SIZE_MAX - ARENA_ALIGN - at) {
        a->failed = true;
        return NULL;
    }
    a->used = at + (size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    if (!a->base)
        return NULL;
    if (at + size > a->size) {
        a->failed = true;
        return NULL;
    }
    return a->base + at;
}

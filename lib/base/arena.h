/* SPDX-License-Identifier: MIT */
/* arena.h -- one block of memory handed out in order and given back all at once.
 *
 * Two passes: with base NULL an arena only counts (arena_take returns NULL, used grows), so the same planning code
 * first measures and then places.  Every piece starts on a 64-byte line.
 *
 * Errors   ERR_NOMEM when the block cannot be had; arena_take past the end returns NULL and sets failed
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define ARENA_ALIGN 64

struct arena {
    unsigned char *base; /* owned; NULL: counting only */
    size_t size;         /* bytes in base */
    size_t used;         /* bytes handed out, alignment included */
    bool failed;         /* a piece did not fit */
};

must_check int arena_init(struct arena *a, size_t size); /* zeroed memory */
void arena_fini(struct arena *a);
void *arena_take(struct arena *a, size_t size);

#endif

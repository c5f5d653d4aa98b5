/* SPDX-License-Identifier: MIT */
/* seen.h -- which texts were seen, and how often, without keeping them.
 *
 * Range    any bytes; counts stop at SEEN_MOST
 * Memory   13 to 27 bytes a distinct text, however long it is; half as much again while the table grows
 * Traps    texts are known by a 64-bit hash: among 250 million, two with the same one are met once in 600 such sets
 * Errors   ERR_NOMEM: the set is as before
 */
#ifndef BASE_SEEN_H
#define BASE_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SEEN_MOST ((1u << 16) - 1)

struct seen { /* a zeroed struct is an empty set */
    uint64_t *hash;  /* owned [slots]: an open hash table */
    uint16_t *times; /* owned [slots]: how often; 0: an empty slot */
    size_t slots;    /* 0 or a power of 2 */
    size_t count;    /* of distinct texts */
};

must_check int seen_add(struct seen *s, const void *text, size_t size);
uint32_t seen_count(const struct seen *s, const void *text, size_t size); /* how often it was added */
void seen_fini(struct seen *s);

#endif

/* SPDX-License-Identifier: MIT */
/* behind.h -- bytes that a thread writes to an output while the caller makes the next ones.
 *
 * Blocks are written in the order they were given, one at a time.  Until behind_end nobody else may touch the output.
 *
 * Memory   the block that is being written; the thread starts with the first
 * Errors   those of out_write, at the next call or at the end; ERR_NOMEM
 */
#ifndef BASE_BEHIND_H
#define BASE_BEHIND_H

#include <stddef.h>
#include <stdint.h>

#include "base/io.h"

struct block {
    uint8_t *bytes; /* owned */
    size_t room;    /* bytes that there is memory for */
};

struct behind;

must_check int behind_create(struct behind **b, struct out *out); /* out: borrowed */
/* Write the first size bytes (at least 1) of a block.  It is swapped for the one before it, once that is written. */
must_check int behind_write(struct behind *b, struct block *block, size_t size);
/* Wait for the last block, and free b, also after a failure; nothing on NULL. */
must_check int behind_end(struct behind *b);

#endif

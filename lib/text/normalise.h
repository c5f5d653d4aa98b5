/* SPDX-License-Identifier: MIT */
/* normalise.h -- one form for each text: NFC, then lower case, character by character.
 *
 * Lower case is the full mapping of Unicode without context: U+0130 becomes two characters (i, U+0307), and a sigma at
 * the end of a word stays U+03C3.  This is what the Lowercase normalizer of Hugging Face's tokenizers does.
 *
 * Memory   the result lies in the struct and grows with the longest text
 * Time     linear; ASCII at the speed of copying
 * Errors   ERR_FORMAT bytes that are not UTF-8 (surrogates and overlong forms are not), with their offset; ERR_LIMIT;
 *          ERR_NOMEM
 * Traps    the result need not be NFC: J with a combining caron has no single character, the small one has
 * Source   Unicode Standard Annex 15; utf8proc's tables, whose Unicode version decides for new characters
 */
#ifndef TEXT_NORMALISE_H
#define TEXT_NORMALISE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define NORMALISE_MAX (16u << 20) /* bytes, before and after */
#define NORMALISE_GROWTH 5        /* a text grows at most so many times: NFC by 3 (Unicode Standard Annex 15), lower case by 1.5 */

enum normalise { NORMALISE_NFC = 1, NORMALISE_LOWER = 2 };

struct normalised {
    char *text;       /* owned; the result, followed by a NUL */
    size_t size;      /* bytes, without the NUL */
    size_t room;      /* bytes in text */
    int32_t *point;   /* owned: code points on the way */
    size_t point_room;
};

/* how: a sum of enum normalise.  After a failure n->size is 0. */
must_check int normalise(struct normalised *n, const char *text, size_t size, int how);
void normalised_fini(struct normalised *n);

/* Room for size bytes and a NUL in n->text. */
must_check int normalised_room(struct normalised *n, size_t size);

/* Offset of the first byte that is not part of valid UTF-8; size where all is. */
size_t utf8_valid(const char *text, size_t size);

#endif

/* SPDX-License-Identifier: MIT */
/* escape.h -- any bytes as one line of UTF-8 without tabs, and back.
 *
 *   \\ backslash   \n newline   \t tab   \r return   \xHH any other control byte (0..31, 127), or a byte that is not part
 *   of valid UTF-8; everything else stands for itself
 */
#ifndef TEXT_ESCAPE_H
#define TEXT_ESCAPE_H

#include <stddef.h>

#include "base/err.h"
#include "base/io.h"

#define ESCAPE_GROWTH 4 /* bytes of one escaped, at most */

/* To memory with room for ESCAPE_GROWTH * size bytes; how many were written. */
size_t escape_put(char *to, const char *text, size_t size);
must_check int escape_write(struct out *out, const char *text, size_t size);

/* In place; *size becomes the smaller size.  ERR_FORMAT a backslash that begins none of the above; text is then
 * unspecified. */
must_check int escape_read(char *text, size_t *size);

#endif

/* SPDX-License-Identifier: MIT */
/* alphabet.h -- the byte-level alphabet of GPT-2: one printable character for each byte.
 *
 * Bytes 33..126, 161..172 and 174..255 stand for the code points of the same number; the 68 others, in order, for
 * U+0100 and on.  So a token of any bytes is printable text without spaces.
 *
 * Source   Radford et al. 2019, the released encoder.py, bytes_to_unicode
 */
#ifndef TEXT_ALPHABET_H
#define TEXT_ALPHABET_H

#include <stddef.h>
#include <stdint.h>

#define ALPHABET_END 324 /* code points are below it */

/* The code point of a byte. */
uint32_t alphabet_point(uint8_t byte);
/* The byte of a code point; -1: not in the alphabet. */
int alphabet_byte(uint32_t point);
/* All bytes in the order of their code points, which is the order of the first 256 ids that a training gives. */
void alphabet_order(uint8_t order[256]);

/* bytes as alphabet text in UTF-8, at most 2 * size bytes; the number of bytes written. */
size_t alphabet_write(char *to, const char *bytes, size_t size);
/* The reverse, in place allowed; the number of bytes, or -1 where a character is not of the alphabet. */
int64_t alphabet_read(char *to, const char *text, size_t size);

#endif

/* SPDX-License-Identifier: MIT */
/* split.h -- cut normalised text into pieces; merges never cross the border of a piece.
 *
 *   dalle  a run of the letters a-z is a piece; every other character is a piece of its own
 *   gpt2   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+    by hand
 *
 * \s is White_Space, \p{L} and \p{N} are the general categories of utf8proc.  A byte that is no part of valid UTF-8 (the
 * end of a cut caption) counts as one character that is neither letter, number nor space.
 *
 * Time     linear
 * Source   the author of DALL-E on its vocabulary: only letters form words, digits, punctuation and spaces are never
 *          merged; Radford et al. 2019, the released encoder.py
 */
#ifndef TEXT_SPLIT_H
#define TEXT_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum split { SPLIT_DALLE, SPLIT_GPT2, SPLIT_COUNT };

extern const char *const split_name[SPLIT_COUNT];
extern const char split_regex[]; /* dalle, as tokenizer.json writes it */

/* The enum of a name; -1: none. */
int split_find(const char *name);

/* The end of the piece that starts at text + at; at < size. */
size_t split_next(enum split split, const char *text, size_t size, size_t at);

/* Unicode's White_Space. */
bool split_is_space(int32_t point);
bool split_is_letter(int32_t point); /* categories L */

#endif

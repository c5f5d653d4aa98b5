/* SPDX-License-Identifier: MIT */
/* caption_rules.h -- which captions to train on.
 *
 * All rules look at a caption as the tokenizers do: NFC and lower case.
 *
 *   characters  code points
 *   words       runs of characters that are not white space
 *   letters     the share of letters and of the marks on them among the characters that are not white space; 0 of an
 *               empty caption
 *   patterns    none may match (text/patterns.h)
 *   copies      a caption may come so many times
 *
 * White space is what Unicode calls so; letters and marks are its classes L and M, in all scripts.
 *
 * Memory   what patterns take, and for copies 13 to 27 bytes a distinct caption (base/seen.h)
 * Errors   ERR_FORMAT a caption that is not UTF-8; ERR_LIMIT, ERR_NOMEM
 * Source   the filters of Sharma et al. 2018, a part of which DALL-E's training set passed
 */
#ifndef TEXT_CAPTION_RULES_H
#define TEXT_CAPTION_RULES_H

#include "base/range.h"
#include "base/seen.h"
#include "text/normalise.h"
#include "text/patterns.h"

struct caption_rules {
    struct range chars, words, letters;
    struct patterns patterns;
    int64_t copies;         /* 0..SEEN_MOST; 0: any number */
    struct seen seen;
    struct normalised text; /* the caption at hand */
};

enum caption_rule {
    CAPTION_KEPT, CAPTION_CHARS, CAPTION_WORDS, CAPTION_LETTERS, CAPTION_PATTERN, CAPTION_COPIES
};

#define CAPTION_REASON 300 /* bytes */

void caption_rules_init(struct caption_rules *r); /* no rule */
void caption_rules_fini(struct caption_rules *r);

/* CAPTION_KEPT, or the first rule of the list that the caption breaks, copies apart, and by what: the number that is out of its
 * range, or "FILE:LINE" of a pattern. */
must_check int caption_rules_check(struct caption_rules *r, char reason[CAPTION_REASON], const char *caption, size_t size);

/* Take the caption checked last as kept: CAPTION_KEPT, or CAPTION_COPIES where it was there often enough. */
must_check int caption_rules_copy(struct caption_rules *r, char reason[CAPTION_REASON]);

#endif

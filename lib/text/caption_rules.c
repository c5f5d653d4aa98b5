/* SPDX-License-Identifier: MIT */
#include "text/caption_rules.h"

#include <inttypes.h>
#include <stdio.h>
#include <utf8proc.h>

#include "text/split.h"

struct counts {
    int64_t chars, words, letters, spaces;
};

void caption_rules_init(struct caption_rules *r)
{
    *r = (struct caption_rules){.chars = range_all, .words = range_all, .letters = range_all};
}

void caption_rules_fini(struct caption_rules *r)
{
    patterns_fini(&r->patterns);
    seen_fini(&r->seen);
    normalised_fini(&r->text);
}

/* With the marks on them. */
static bool is_letter(int32_t c)
{
    utf8proc_category_t k;

    if (c < 0x80)
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    k = utf8proc_category(c);
    return split_is_letter(c) || k == UTF8PROC_CATEGORY_MN || k == UTF8PROC_CATEGORY_MC || k == UTF8PROC_CATEGORY_ME;
}

static struct counts count(const struct normalised *text)
{
    const uint8_t *p = (const uint8_t *)text->text, *end = p + text->size;
    struct counts n = {0};
    bool in_word = false;

    while (p < end) {
        utf8proc_int32_t c = *p;

        p += *p < 0x80 ? 1 : utf8proc_iterate(p, end - p, &c); /* normalised: it is valid */
        n.chars++;
        if (split_is_space(c)) {
            n.spaces++;
            in_word = false;
            continue;
        }
        n.words += !in_word;
        in_word = true;
        n.letters += is_letter(c);
    }
    return n;
}

int caption_rules_check(struct caption_rules *r, char reason[CAPTION_REASON], const char *caption, size_t size)
{
    const struct pattern *found;
    struct counts n;
    double share;
    int rc;

    if ((rc = normalise(&r->text, caption, size, NORMALISE_NFC | NORMALISE_LOWER)) != 0)
        return rc;
    n = count(&r->text);
    share = n.chars > n.spaces ? (double)n.letters / (double)(n.chars - n.spaces) : 0;
    if (!range_holds(&r->chars, (double)n.chars)) {
        snprintf(reason, CAPTION_REASON, "%" PRId64, n.chars);
        return CAPTION_CHARS;
    }
    if (!range_holds(&r->words, (double)n.words)) {
        snprintf(reason, CAPTION_REASON, "%" PRId64, n.words);
        return CAPTION_WORDS;
    }
    if (!range_holds(&r->letters, share)) {
        snprintf(reason, CAPTION_REASON, "%.3g", share);
        return CAPTION_LETTERS;
    }
    if ((rc = patterns_find(&r->patterns, &found, r->text.text)) <= 0)
        return rc;
    snprintf(reason, CAPTION_REASON, "%.200s:%" PRId64, found->file, found->line);
    return CAPTION_PATTERN;
}

int caption_rules_copy(struct caption_rules *r, char reason[CAPTION_REASON])
{
    int rc;

    if (r->copies == 0)
        return CAPTION_KEPT;
    if (seen_count(&r->seen, r->text.text, r->text.size) >= r->copies) {
        snprintf(reason, CAPTION_REASON, "more than %" PRId64, r->copies);
        return CAPTION_COPIES;
    }
    return (rc = seen_add(&r->seen, r->text.text, r->text.size)) < 0 ? rc : CAPTION_KEPT;
}

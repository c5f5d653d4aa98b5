/* SPDX-License-Identifier: MIT */
#include "text/split.h"

#include <string.h>

#include <utf8proc.h>

enum kind { OTHER, LETTER, NUMBER, SPACE };

struct character {
    enum kind kind;
    size_t size; /* bytes */
};

const char *const split_name[SPLIT_COUNT] = {"dalle", "gpt2"};
const char split_regex[] = "[a-z]+|[^a-z]";

int split_find(const char *name)
{
    for (int i = 0; i < SPLIT_COUNT; i++)
        if (strcmp(split_name[i], name) == 0)
            return i;
    return -1;
}

bool split_is_space(int32_t c)
{
    return (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
           c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

static enum kind kind_of(int32_t c)
{
    if (split_is_space(c))
        return SPACE;
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
        return LETTER;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return NUMBER;
    default:
        return OTHER;
    }
}

bool split_is_letter(int32_t c)
{
    return kind_of(c) == LETTER;
}

static struct character character_at(const char *text, size_t size, size_t at)
{
    uint8_t c = (uint8_t)text[at];
    utf8proc_int32_t point;
    utf8proc_ssize_t used;

    if (c < 0x80) {
        if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
            return (struct character){LETTER, 1};
        if (c >= '0' && c <= '9')
            return (struct character){NUMBER, 1};
        return (struct character){c == ' ' || (c >= 9 && c <= 13) ? SPACE : OTHER, 1};
    }
    used = utf8proc_iterate((const utf8proc_uint8_t *)text + at, (utf8proc_ssize_t)(size - at), &point);
    if (used <= 0)
        return (struct character){OTHER, 1};
    return (struct character){kind_of(point), (size_t)used};
}

static size_t next_dalle(const char *text, size_t size, size_t at)
{
    size_t end = at;

    while (end < size && text[end] >= 'a' && text[end] <= 'z')
        end++;
    return end > at ? end : at + character_at(text, size, at).size;
}

/* 's 't 're 've 'm 'll 'd at an apostrophe; 0: none. */
static size_t contraction(const char *text, size_t size, size_t at)
{
    static const char *const endings[] = {"s", "t", "re", "ve", "m", "ll", "d"};

    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t n = strlen(endings[i]);

        if (size - at > n && memcmp(text + at + 1, endings[i], n) == 0)
            return n + 1;
    }
    return 0;
}

static size_t next_gpt2(const char *text, size_t size, size_t at)
{
    size_t end = at, last = at, count = 0;
    struct character c = character_at(text, size, at);

    if (text[at] == '\'' && (end += contraction(text, size, at)) > at)
        return end;
    if (text[at] == ' ' && at + 1 < size) {
        struct character next = character_at(text, size, at + 1);

        if (next.kind != SPACE) {
            c = next;
            end++;
        }
    }
    if (c.kind != SPACE) { /* a run of one kind, with the one space in front of it */
        enum kind kind = c.kind;

        for (; c.kind == kind; c = character_at(text, size, end)) {
            end += c.size;
            if (end == size)
                break;
        }
        return end;
    }
    while (c.kind == SPACE) { /* the last space before a word belongs to the word, or is a piece of its own */
        last = end;
        end += c.size;
        count++;
        if (end == size)
            return end;
        c = character_at(text, size, end);
    }
    return count > 1 ? last : end;
}

size_t split_next(enum split split, const char *text, size_t size, size_t at)
{
    return split == SPLIT_GPT2 ? next_gpt2(text, size, at) : next_dalle(text, size, at);
}

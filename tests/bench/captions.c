/* SPDX-License-Identifier: MIT */
/* captions.c -- made-up captions to time the text programs with: the same bytes for the same arguments.
 *
 *   build/tests/bench/captions BYTES [SEED]
 *
 * Words have Zipf's frequencies (rank r in proportion to 1/r, 2^21 ranks, so about 1.5 million distinct words in 200 MB),
 * frequent ones are short; about one word in a hundred is not ASCII.  Some captions have capitals, numbers, punctuation.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

enum { RANKS = 1 << 21, CAPTION_MAX = 4096 };

static uint64_t state;

static uint64_t draw(uint64_t below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % below;
}

/* One of a list, the first ones far more often. */
static const char *pick(const char *const *list, uint64_t count, uint64_t *bits)
{
    uint64_t a = *bits % count, b = *bits / count % count;

    *bits = *bits / (count * count) * 2654435761u + (*bits >> 7);
    return list[a < b ? a : b];
}

#define PICK(list, bits) pick(list, sizeof list / sizeof *list, bits)

/* The word of a rank. */
static size_t spell(char *to, uint64_t rank)
{
    static const char *const onset[] = {"t", "s", "", "r", "n", "l", "d", "c", "m", "p", "b", "h", "w", "f", "g", "st", "th", "k",
                                        "v", "ch", "pr", "tr", "gr", "br", "sh", "cl", "j", "pl", "qu", "y", "z", "x"};
    static const char *const vowel[] = {"e", "a", "i", "o", "u", "ea", "ou", "ie", "ai", "oo", "y", "au"};
    static const char *const coda[] = {"", "n", "r", "s", "t", "l", "d", "ng", "m", "nd", "ck", "ll", "st", "p", "rt", "x"};
    static const char *const other[] = {"\xc3\xa9", "\xc3\xbc", "\xd0\xb0\xd0\xb4", "\xe6\x97\xa5\xe6\x9c\xac", "\xc3\xb1o", "\xf0\x9f\xa5\x91"};
    uint64_t bits = rng_hash(&rank, sizeof rank), syllables = 1 + (uint64_t)(log2((double)rank + 1) / 10 + (double)(bits & 7) / 10);
    size_t n = 0;

    for (uint64_t i = 0; i < syllables; i++) {
        bits = rng_hash(&bits, sizeof bits);
        n += (size_t)sprintf(to + n, "%s", PICK(onset, &bits));
        n += (size_t)sprintf(to + n, "%s", PICK(vowel, &bits));
        if (i + 1 == syllables || bits % 3 == 0)
            n += (size_t)sprintf(to + n, "%s", PICK(coda, &bits));
    }
    if (bits % 97 == 0)
        n += (size_t)sprintf(to + n, "%s", other[bits / 97 % (sizeof other / sizeof *other)]);
    return n;
}

static size_t caption(char *to)
{
    size_t n = 0, words = 4 + draw(8) + draw(8);

    for (size_t i = 0; i < words; i++) {
        size_t start = n;

        if (i > 0)
            to[n++] = ' ';
        start = n;
        if (draw(40) == 0)
            n += (size_t)sprintf(to + n, "%u", (unsigned)draw(draw(3) ? 100 : 2100));
        else
            n += spell(to + n, (uint64_t)exp((double)draw(1u << 30) / (1u << 30) * log(RANKS)) - 1);
        if (draw(i == 0 ? 2 : 8) == 0 && to[start] >= 'a' && to[start] <= 'z')
            to[start] = (char)(to[start] - 'a' + 'A');
        if (draw(12) == 0)
            to[n++] = ",-:!."[draw(5)];
    }
    if (draw(3) == 0)
        to[n++] = '.';
    to[n++] = '\n';
    return n;
}

int main(int argc, char **argv)
{
    char text[CAPTION_MAX];
    int64_t left = argc > 1 ? strtoll(argv[1], NULL, 10) : 0;

    if (left <= 0)
        return fputs("captions: usage: captions BYTES [SEED]\n", stderr), 2;
    for (state = argc > 2 ? strtoull(argv[2], NULL, 10) : 1; left > 0;) {
        size_t n = caption(text);

        if (fwrite(text, 1, n, stdout) != n)
            return 1;
        left -= (int64_t)n;
    }
    return fflush(stdout) != 0;
}

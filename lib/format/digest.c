/* SPDX-License-Identifier: MIT */
#include "format/digest.h"

#include <sha2.h>
#include <stdlib.h>
#include <string.h>

struct digest_sum {
    SHA2_CTX context;
};

struct digest_sum *digest_start(void)
{
    struct digest_sum *s = malloc(sizeof *s);

    if (s)
        SHA256Init(&s->context);
    return s;
}

void digest_add(struct digest_sum *s, const void *bytes, size_t size)
{
    SHA256Update(&s->context, bytes, size);
}

struct digest digest_end(struct digest_sum *s)
{
    struct digest d;

    SHA256Final(d.byte, &s->context);
    free(s);
    return d;
}

bool digest_known(const struct digest *d)
{
    static const struct digest none;

    return memcmp(d, &none, sizeof none) != 0;
}

bool digest_same(const struct digest *a, const struct digest *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

void digest_show(const struct digest *d, char text[DIGEST_TEXT])
{
    static const char hex[] = "0123456789abcdef";

    for (int i = 0; i < DIGEST_SIZE; i++) {
        text[2 * i] = hex[d->byte[i] >> 4];
        text[2 * i + 1] = hex[d->byte[i] & 15];
    }
    text[2 * DIGEST_SIZE] = 0;
}

bool digest_parse(struct digest *d, const char *text)
{
    *d = (struct digest){0};
    if (strlen(text) != 2 * DIGEST_SIZE)
        return false;
    for (int i = 0; i < 2 * DIGEST_SIZE; i++) {
        const char *digits = "0123456789abcdef", *at = strchr(digits, text[i]);

        if (!at)
            return false;
        d->byte[i / 2] |= (uint8_t)((at - digits) << (i % 2 ? 0 : 4));
    }
    return true;
}

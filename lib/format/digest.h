/* SPDX-License-Identifier: MIT */
/* digest.h -- SHA-256 names of tokenizers and codebooks, so that tokens know what made them.
 *
 * Source   FIPS 180-4; libmd
 */
#ifndef FORMAT_DIGEST_H
#define FORMAT_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_SIZE 32
#define DIGEST_TEXT 65 /* 64 hexadecimal digits and a NUL */

struct digest {
    uint8_t byte[DIGEST_SIZE]; /* all zero: not known */
};

struct digest_sum; /* a running sum */

struct digest_sum *digest_start(void); /* NULL: no memory */
void digest_add(struct digest_sum *s, const void *bytes, size_t size);
/* The sum of all that was added; frees s. */
struct digest digest_end(struct digest_sum *s);

bool digest_known(const struct digest *d);
bool digest_same(const struct digest *a, const struct digest *b);
void digest_show(const struct digest *d, char text[DIGEST_TEXT]);
bool digest_parse(struct digest *d, const char *text);

#endif

/* SPDX-License-Identifier: MIT */
/* tok_sum.c -- the order-independent checksum: one SHA-256 a record, so that equal sums mean equal sets. */
#include "base/bytes.h"
#include "format/tok.h"

static void add_u32(struct digest_sum *s, uint32_t v)
{
    uint8_t b[4];

    put_u32(b, v);
    digest_add(s, b, sizeof b);
}

static void add_tokens(struct digest_sum *s, const uint16_t *v, uint32_t n)
{
    uint8_t piece[1024];

    add_u32(s, n);
    while (n) {
        uint32_t k = n < sizeof piece / 2 ? n : sizeof piece / 2;

        for (uint32_t i = 0; i < k; i++)
            put_u16(piece + 2 * i, v[i]);
        digest_add(s, piece, 2 * (size_t)k);
        v += k;
        n -= k;
    }
}

int tok_record_sum(uint64_t *sum, const struct tok_record *record)
{
    struct digest_sum *s = digest_start();
    struct digest d;

    if (!s)
        return err_set(ERR_NOMEM, "no memory for a checksum");
    add_u32(s, record->key_size);
    digest_add(s, record->key, record->key_size);
    add_u32(s, record->variant);
    add_tokens(s, record->text, record->text_count);
    add_tokens(s, record->image, record->image_count);
    d = digest_end(s);
    *sum = get_u64(d.byte);
    return 0;
}

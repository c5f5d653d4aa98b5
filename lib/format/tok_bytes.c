/* SPDX-License-Identifier: MIT */
/* tok_bytes.c -- blocks, records, index and end record as bytes. */
#include "format/tok_bytes.h"

#include <inttypes.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

uint32_t tok_crc(uint32_t crc, const void *bytes, size_t size)
{
    return size ? libdeflate_crc32(crc, bytes, size) : crc; /* which starts again at a NULL */
}

/* ---- blocks ----------------------------------------------------------------------------------------------------- */

/* Bytes of the smallest and the largest record, without the shard's four bytes in the table. */
static size_t record_min(const struct tok_header *h)
{
    return TOK_RECORD_HEAD + 2 * (size_t)tok_image_count(h) + 2;
}

static size_t record_max(const struct tok_header *h)
{
    size_t text = h->text_slots ? h->text_slots - 1 : 0;

    return TOK_RECORD_HEAD + 2 * text + 2 * (size_t)tok_image_count(h) + TOK_KEY_MAX;
}

uint32_t tok_block_records(const struct tok_header *h)
{
    size_t usual = TOK_RECORD_HEAD + 2 * (size_t)tok_image_count(h) + (h->kind & TOK_TEXT ? 64 : 0) + 16;
    size_t n = TOK_BLOCK_AIM / usual, most = (TOK_BLOCK_MAX - 2 * TOK_ALIGN) / (record_max(h) + 4);

    return n < 1 ? 1 : n > most ? (uint32_t)most : (uint32_t)n;
}

void tok_block_encode(uint8_t head[TOK_BLOCK_HEAD], const struct tok_block *b)
{
    put_u32(head, TOK_TAG_BLOCK);
    put_u32(head + 4, b->count);
    put_u64(head + 8, b->first);
    put_u32(head + 16, b->size);
}

int tok_block_decode(struct tok_block *b, const uint8_t head[TOK_BLOCK_HEAD], const struct tok_header *h, bool shard)
{
    size_t least = record_min(h) + (shard ? 4 : 0);

    *b = (struct tok_block){.count = get_u32(head + 4), .first = get_u64(head + 8), .size = get_u32(head + 16),
                            .crc = get_u32(head + 20)};
    if (get_u32(head) != TOK_TAG_BLOCK)
        return err_set(ERR_FORMAT, "no block where one must be");
    if (b->size > TOK_BLOCK_MAX)
        return err_set(ERR_FORMAT, "a block of %u bytes, more than %u", b->size, TOK_BLOCK_MAX);
    if (b->count == 0 || b->count > b->size / least)
        return err_set(ERR_FORMAT, "a block of %u bytes cannot hold %u records", b->size, b->count);
    if (shard && (b->size + TOK_BLOCK_HEAD) % TOK_ALIGN)
        return err_set(ERR_FORMAT, "a block of %u bytes is not aligned to %d", b->size, TOK_ALIGN);
    return 0;
}

uint32_t tok_block_crc(const uint8_t head[TOK_BLOCK_HEAD], const uint8_t *payload, size_t size)
{
    return tok_crc(tok_crc(0, head, TOK_BLOCK_HEAD - 4), payload, size);
}

/* ---- index and end ---------------------------------------------------------------------------------------------- */

void tok_index_encode(uint8_t head[TOK_INDEX_HEAD], const struct tok_index *x)
{
    put_u32(head, TOK_TAG_INDEX);
    put_u32(head + 4, x->per_block);
    put_u64(head + 8, x->blocks);
    put_u32(head + 16, 0);
}

int tok_index_decode(struct tok_index *x, const uint8_t head[TOK_INDEX_HEAD])
{
    *x = (struct tok_index){.per_block = get_u32(head + 4), .blocks = get_u64(head + 8), .crc = get_u32(head + 20)};
    if (get_u32(head) != TOK_TAG_INDEX)
        return err_set(ERR_FORMAT, "no index where one must be");
    if (x->per_block == 0)
        return err_set(ERR_FORMAT, "an index of blocks without records");
    if (get_u32(head + 16))
        return err_set(ERR_FORMAT, "reserved bits of the index are set");
    return 0;
}

void tok_end_encode(uint8_t bytes[TOK_END_SIZE], const struct tok_end_record *e)
{
    put_u32(bytes, TOK_TAG_END);
    put_u32(bytes + 4, 0);
    put_u64(bytes + 8, e->records);
    put_u64(bytes + 16, e->blocks);
    put_u64(bytes + 24, e->index_at);
    put_u64(bytes + 32, e->size);
    put_u32(bytes + 40, e->header_crc);
    put_u32(bytes + 44, tok_crc(0, bytes, TOK_END_SIZE - 4));
}

int tok_end_decode(struct tok_end_record *e, const uint8_t bytes[TOK_END_SIZE])
{
    *e = (struct tok_end_record){.records = get_u64(bytes + 8), .blocks = get_u64(bytes + 16),
                                 .index_at = get_u64(bytes + 24), .size = get_u64(bytes + 32),
                                 .header_crc = get_u32(bytes + 40)};
    if (get_u32(bytes) != TOK_TAG_END)
        return err_set(ERR_FORMAT, "no end record where one must be");
    if (get_u32(bytes + 44) != tok_crc(0, bytes, TOK_END_SIZE - 4))
        return err_set(ERR_FORMAT, "the end record is damaged (CRC)");
    if (get_u32(bytes + 4))
        return err_set(ERR_FORMAT, "reserved bits of the end record are set");
    return 0;
}

/* ---- records ---------------------------------------------------------------------------------------------------- */

int tok_scratch_init(struct tok_scratch *s, const struct tok_header *h, bool borrow)
{
    s->borrow = borrow;
    s->text = h->kind & TOK_TEXT ? malloc(2 * (size_t)h->text_slots) : NULL;
    s->image = h->kind & TOK_IMAGE ? malloc(2 * (size_t)tok_image_count(h)) : NULL;
    if ((h->kind & TOK_TEXT && !s->text) || (h->kind & TOK_IMAGE && !s->image)) {
        tok_scratch_fini(s);
        return err_set(ERR_NOMEM, "no memory for a record");
    }
    return 0;
}

void tok_scratch_fini(struct tok_scratch *s)
{
    free(s->text);
    free(s->image);
    s->text = s->image = NULL;
}

size_t tok_record_size(const struct tok_record *r)
{
    return TOK_RECORD_HEAD + 2 * ((size_t)r->text_count + r->image_count) + r->key_size + (r->key_size & 1);
}

static uint16_t largest(const uint16_t *v, uint32_t n)
{
    uint16_t top = 0;

    for (uint32_t i = 0; i < n; i++)
        top = v[i] > top ? v[i] : top;
    return top;
}

/* The key first: all other messages name it. */
static int check_key(const char *key, uint32_t size)
{
    if (size < 1 || size > TOK_KEY_MAX)
        return err_set(ERR_ARG, "a key of %u bytes, not 1..%d", size, TOK_KEY_MAX);
    if (!tok_text_clean(key, size, false))
        return err_set(ERR_ARG, "a key is not UTF-8 or holds control characters");
    return 0;
}

static int check_tokens(const char *what, const char *key, const uint16_t *v, uint32_t n, uint32_t vocab)
{
    if (n && largest(v, n) >= vocab)
        return err_set(ERR_ARG, "key %.200s: %s token %u, the vocabulary has %u", key, what, largest(v, n), vocab);
    return 0;
}

int tok_record_check(const struct tok_record *r, const struct tok_header *h)
{
    int rc;

    if ((rc = check_key(r->key, r->key_size)) != 0)
        return rc;
    if (h->kind & TOK_TEXT ? r->text_count >= h->text_slots : r->text_count > 0)
        return err_set(ERR_ARG, "key %.200s: %u text tokens for %u slots, one of them the start", r->key,
                       r->text_count, h->text_slots);
    if (r->image_count != tok_image_count(h))
        return err_set(ERR_ARG, "key %.200s: %u image tokens for a grid of %u x %u", r->key, r->image_count,
                       h->grid_h, h->grid_w);
    if ((rc = check_tokens("text", r->key, r->text, r->text_count, h->text_vocab)) != 0)
        return rc;
    return check_tokens("image", r->key, r->image, r->image_count, h->image_vocab);
}

static uint8_t *put_tokens(uint8_t *to, const uint16_t *v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        put_u16(to + 2 * (size_t)i, v[i]);
    return to + 2 * (size_t)n;
}

/* Are the bytes at p tokens in the machine's own order, at an even address? */
static bool is_native(const uint8_t *p)
{
    static const uint16_t one = 1;

    return *(const uint8_t *)&one == 1 && (uintptr_t)p % sizeof(uint16_t) == 0;
}

static const uint16_t *get_tokens(uint16_t *v, const uint8_t *from, uint32_t n, bool borrow)
{
    if (borrow && is_native(from))
        return (const uint16_t *)(const void *)from;
    for (uint32_t i = 0; i < n; i++)
        v[i] = get_u16(from + 2 * (size_t)i);
    return v;
}

void tok_record_encode(uint8_t *to, const struct tok_record *r)
{
    put_u16(to, (uint16_t)r->key_size);
    put_u16(to + 2, (uint16_t)r->text_count);
    put_u32(to + 4, r->variant);
    to = put_tokens(to + TOK_RECORD_HEAD, r->text, r->text_count);
    to = put_tokens(to, r->image, r->image_count);
    memcpy(to, r->key, r->key_size);
    if (r->key_size & 1)
        to[r->key_size] = 0;
}

int tok_record_view(struct tok_record *r, size_t *used, const uint8_t *bytes, size_t size,
                    const struct tok_header *h, struct tok_scratch *s, uint64_t number)
{
    const uint8_t *p = bytes + TOK_RECORD_HEAD;

    if (size < TOK_RECORD_HEAD)
        return err_set(ERR_FORMAT, "record %" PRIu64 " is not whole in its block", number);
    *r = (struct tok_record){.key = s->key, .key_size = get_u16(bytes), .variant = get_u32(bytes + 4),
                             .text_count = get_u16(bytes + 2), .image_count = tok_image_count(h)};
    if (r->key_size < 1 || r->key_size > TOK_KEY_MAX)
        return err_set(ERR_FORMAT, "record %" PRIu64 ": a key of %u bytes, not 1..%d", number, r->key_size, TOK_KEY_MAX);
    if (h->kind & TOK_TEXT ? r->text_count >= h->text_slots : r->text_count > 0)
        return err_set(ERR_FORMAT, "record %" PRIu64 ": %u text tokens for %u slots", number, r->text_count,
                       h->text_slots);
    *used = tok_record_size(r);
    if (*used > size)
        return err_set(ERR_FORMAT, "record %" PRIu64 " is not whole in its block", number);
    if (h->kind & TOK_TEXT)
        r->text = get_tokens(s->text, p, r->text_count, s->borrow);
    p += 2 * (size_t)r->text_count;
    if (h->kind & TOK_IMAGE)
        r->image = get_tokens(s->image, p, r->image_count, s->borrow);
    p += 2 * (size_t)r->image_count;
    memcpy(s->key, p, r->key_size);
    s->key[r->key_size] = 0;
    if (r->key_size & 1 && p[r->key_size])
        return err_set(ERR_FORMAT, "record %" PRIu64 ": padding that is not zero", number);
    return 0;
}

int tok_record_decode(struct tok_record *r, size_t *used, const uint8_t *bytes, size_t size,
                      const struct tok_header *h, struct tok_scratch *s, uint64_t number)
{
    int rc = tok_record_view(r, used, bytes, size, h, s, number);

    if (rc != 0)
        return rc;
    if (tok_record_check(r, h) != 0)
        return err_set(ERR_FORMAT, "record %" PRIu64 ": %s", number, err_text());
    return 0;
}

/* SPDX-License-Identifier: MIT */
#include "text/bpe_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "text/normalise.h"

static int fill_bytes(struct bpe *b)
{
    bool seen[256] = {false};

    for (uint32_t id = 0; id < b->vocab; id++)
        if (b->at[id + 1] - b->at[id] == 1) {
            uint8_t byte = (uint8_t)b->bytes[b->at[id]];

            seen[byte] = true;
            b->byte_id[byte] = (uint16_t)id;
        }
    for (int byte = 0; byte < 256; byte++)
        if (!seen[byte])
            return err_set(ERR_UNSUPPORTED, "not supported: a vocabulary without byte 0x%02x", byte);
    return 0;
}

static int fill_slots(struct bpe *b)
{
    uint32_t places = 16;

    while (places < 2 * b->merges)
        places *= 2;
    if (!(b->slot = malloc(places * sizeof *b->slot)))
        return err_set(ERR_NOMEM, "no memory for %u merges", b->merges);
    b->slot_mask = places - 1;
    for (uint32_t i = 0; i < places; i++)
        b->slot[i] = (struct bpe_rank){0, BPE_NO_RANK};
    for (uint32_t rank = 0; rank < b->merges; rank++) {
        uint32_t pair = (uint32_t)b->merge[rank].left << 16 | b->merge[rank].right;
        uint32_t i = bpe_slot_of(pair) & b->slot_mask;

        while (b->slot[i].rank != BPE_NO_RANK && b->slot[i].pair != pair)
            i = (i + 1) & b->slot_mask;
        if (b->slot[i].rank != BPE_NO_RANK)
            return err_set(ERR_FORMAT, "merges %u and %u are of the same pair", b->slot[i].rank, rank);
        b->slot[i] = (struct bpe_rank){pair, rank};
        b->maybe[bpe_maybe_of(pair) >> 5] |= 1u << (bpe_maybe_of(pair) & 31);
    }
    return 0;
}

static int fill_ordered(struct bpe *b)
{
    uint32_t *made = malloc(b->vocab * sizeof *made); /* the last rank + 1 that makes a token */

    if (!made)
        return err_set(ERR_NOMEM, "no memory for %u tokens", b->vocab);
    memset(made, 0, b->vocab * sizeof *made);
    for (uint32_t rank = 0; rank < b->merges; rank++)
        made[b->merge[rank].made] = rank + 1;
    b->ordered = true;
    for (uint32_t rank = 0; rank < b->merges; rank++)
        b->ordered = b->ordered && made[b->merge[rank].left] <= rank && made[b->merge[rank].right] <= rank;
    free(made);
    return 0;
}

static void fill_add_first(struct bpe *b)
{
    for (uint32_t i = 0; i < b->added; i++)
        b->add_first[(uint8_t)b->bytes[b->at[b->add[i].id]]] = true;
}

size_t bpe_find_added(const struct bpe *b, const char *text, size_t size, size_t at, int where, uint16_t *id, size_t *end)
{
    for (; at < size; at++) {
        if (!b->add_first[(uint8_t)text[at]])
            continue;
        *end = at;
        for (uint32_t i = 0; i < b->added; i++) {
            const char *token = b->bytes + b->at[b->add[i].id];
            size_t n = b->at[b->add[i].id + 1] - b->at[b->add[i].id];

            if ((where & (b->add[i].normalised ? ADDED_NORMALISED : ADDED_RAW)) && n <= size - at && at + n > *end &&
                memcmp(text + at, token, n) == 0) {
                *end = at + n;
                *id = b->add[i].id;
            }
        }
        if (*end > at)
            return at;
    }
    return size;
}

static void add_u32(struct digest_sum *sum, uint32_t value)
{
    uint8_t bytes[4];

    put_u32(bytes, value);
    digest_add(sum, bytes, sizeof bytes);
}

/* The bytes that formats/tokenizer.md names. */
static int fill_digest(struct bpe *b)
{
    struct digest_sum *sum = digest_start();
    const char *name = split_name[b->split];

    if (!sum)
        return err_set(ERR_NOMEM, "no memory for a digest");
    digest_add(sum, "armchair bpe 1\n", 15);
    if (b->how & NORMALISE_NFC)
        digest_add(sum, "nfc\n", 4);
    if (b->how & NORMALISE_LOWER)
        digest_add(sum, "lower\n", 6);
    digest_add(sum, name, strlen(name));
    digest_add(sum, "\n", 1);
    add_u32(sum, b->vocab);
    for (uint32_t id = 0; id < b->vocab; id++) {
        add_u32(sum, b->at[id + 1] - b->at[id]);
        digest_add(sum, b->bytes + b->at[id], b->at[id + 1] - b->at[id]);
    }
    add_u32(sum, b->merges);
    for (uint32_t rank = 0; rank < b->merges; rank++) {
        add_u32(sum, b->merge[rank].left);
        add_u32(sum, b->merge[rank].right);
    }
    if (b->added > 0)
        add_u32(sum, b->added);
    for (uint32_t i = 0; i < b->added; i++) {
        add_u32(sum, b->add[i].id);
        add_u32(sum, b->add[i].normalised);
    }
    b->digest = digest_end(sum);
    return 0;
}

int bpe_finish(struct bpe *b)
{
    int rc;

    if ((rc = fill_bytes(b)) != 0 || (rc = fill_slots(b)) != 0 || (rc = fill_ordered(b)) != 0)
        return rc;
    fill_add_first(b);
    return fill_digest(b);
}

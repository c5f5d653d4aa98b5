/* SPDX-License-Identifier: MIT */
/* tok_write.c -- writes streams and shards; where a block ends depends on the header alone, never on timing. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "format/tok_bytes.h"

struct tok_writer {
    struct out *out;          /* borrowed */
    struct tok_header header; /* without provenance: that is written */
    struct tok_part part;
    uint64_t offset;          /* bytes written */
    uint64_t records, blocks; /* in written blocks */
    uint32_t per_block;

    uint8_t *payload;         /* owned; the block that is being filled */
    size_t used, room;
    uint32_t count;           /* records in it */
    uint32_t *start;          /* owned; [per_block], shards only: where each record begins in payload */
    uint64_t *block_at;       /* owned; [blocks], shards only: where each block begins in the file */
    size_t block_room;
};

static int emit(struct tok_writer *w, const void *bytes, size_t size)
{
    int rc = out_write(w->out, bytes, size);

    if (rc == 0)
        w->offset += size;
    return rc;
}

void tok_drop(struct tok_writer *w)
{
    if (!w)
        return;
    free(w->payload);
    free(w->start);
    free(w->block_at);
    free(w);
}

int tok_create(struct tok_writer **to, struct out *out, const struct tok_header *header, const char *line, bool shard)
{
    struct tok_writer *w = calloc(1, sizeof *w);
    uint8_t *bytes = NULL;
    int rc;

    *to = NULL;
    if (!w)
        return err_set(ERR_NOMEM, "no memory for a writer");
    w->out = out;
    w->header = *header;
    w->header.provenance = NULL;
    if ((rc = tok_header_encode(&bytes, &w->part, header, line, shard)) != 0)
        goto out;
    w->per_block = tok_block_records(header);
    if (shard && !(w->start = malloc(sizeof *w->start * w->per_block))) {
        rc = err_set(ERR_NOMEM, "no memory for a writer");
        goto out;
    }
    rc = emit(w, bytes, w->part.size);
out:
    free(bytes);
    if (rc != 0)
        tok_drop(w);
    else
        *to = w;
    return rc;
}

/* ---- blocks ----------------------------------------------------------------------------------------------------- */

/* p, an array of *room items of size bytes, grown to hold need items; NULL: no memory, p is what it was. */
static void *grow(void *p, size_t *room, size_t need, size_t size)
{
    size_t more = *room ? *room : 1024;

    if (need <= *room)
        return p;
    while (more < need)
        more *= 2;
    if (!(p = realloc(p, more * size))) {
        (void)err_set(ERR_NOMEM, "no memory for a block");
        return NULL;
    }
    *room = more;
    return p;
}

/* The table of a shard's block, in the file's byte order, in place of the offsets. */
static size_t finish_table(struct tok_writer *w)
{
    size_t size = w->part.shard ? 4 * (size_t)w->count : 0;

    for (uint32_t i = 0; size && i < w->count; i++)
        put_u32((uint8_t *)(w->start + i), (uint32_t)size + w->start[i]);
    return size;
}

static int note_block(struct tok_writer *w)
{
    uint64_t *more;

    if (!w->part.shard)
        return 0;
    if (!(more = grow(w->block_at, &w->block_room, w->blocks + 1, sizeof *more)))
        return ERR_NOMEM;
    w->block_at = more;
    w->block_at[w->blocks] = w->offset;
    return 0;
}

static int flush_block(struct tok_writer *w)
{
    static const uint8_t zero[TOK_ALIGN];
    uint8_t head[TOK_BLOCK_HEAD];
    size_t table = finish_table(w), size = table + w->used, pad = 0;
    struct tok_block b;
    uint32_t crc;
    int rc;

    if (w->part.shard)
        pad = (TOK_ALIGN - (TOK_BLOCK_HEAD + size) % TOK_ALIGN) % TOK_ALIGN;
    b = (struct tok_block){.count = w->count, .first = w->records, .size = (uint32_t)(size + pad)};
    tok_block_encode(head, &b);
    crc = tok_block_crc(head, (const uint8_t *)w->start, table);
    crc = tok_crc(tok_crc(crc, w->payload, w->used), zero, pad);
    put_u32(head + TOK_BLOCK_HEAD - 4, crc);
    if ((rc = note_block(w)) != 0 || (rc = emit(w, head, sizeof head)) != 0 ||
        (table && (rc = emit(w, w->start, table)) != 0) || (rc = emit(w, w->payload, w->used)) != 0 ||
        (rc = emit(w, zero, pad)) != 0)
        return rc;
    w->records += w->count;
    w->blocks++;
    w->count = 0;
    w->used = 0;
    return 0;
}

int tok_put(struct tok_writer *w, const struct tok_record *record)
{
    size_t size;
    uint8_t *more;
    int rc;

    if ((rc = tok_record_check(record, &w->header)) != 0)
        return rc;
    size = tok_record_size(record);
    if (!(more = grow(w->payload, &w->room, w->used + size, 1)))
        return ERR_NOMEM;
    w->payload = more;
    if (w->part.shard)
        w->start[w->count] = (uint32_t)w->used;
    tok_record_encode(w->payload + w->used, record);
    w->used += size;
    return ++w->count == w->per_block ? flush_block(w) : 0;
}

/* ---- index and end ---------------------------------------------------------------------------------------------- */

static int write_index(struct tok_writer *w)
{
    struct tok_index x = {.per_block = w->per_block, .blocks = w->blocks};
    uint8_t head[TOK_INDEX_HEAD];
    uint32_t crc;
    int rc;

    for (uint64_t i = 0; i < w->blocks; i++) {
        uint64_t at = w->block_at[i];

        put_u64((uint8_t *)(w->block_at + i), at);
    }
    tok_index_encode(head, &x);
    crc = tok_crc(0, head, sizeof head - 4);
    if (w->blocks)
        crc = tok_crc(crc, (const uint8_t *)w->block_at, 8 * (size_t)w->blocks);
    put_u32(head + TOK_INDEX_HEAD - 4, crc);
    if ((rc = emit(w, head, sizeof head)) != 0 || w->blocks == 0)
        return rc;
    return emit(w, w->block_at, 8 * (size_t)w->blocks);
}

static int finish(struct tok_writer *w)
{
    struct tok_end_record e = {0};
    uint8_t bytes[TOK_END_SIZE];
    int rc;

    if (w->count && (rc = flush_block(w)) != 0)
        return rc;
    if (w->part.shard) {
        e.index_at = w->offset;
        if ((rc = write_index(w)) != 0)
            return rc;
    }
    e.records = w->records;
    e.blocks = w->blocks;
    e.size = w->offset + TOK_END_SIZE;
    e.header_crc = w->part.crc;
    tok_end_encode(bytes, &e);
    return emit(w, bytes, sizeof bytes);
}

int tok_end(struct tok_writer *w)
{
    int rc = finish(w);

    tok_drop(w);
    return rc;
}

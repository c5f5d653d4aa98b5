/* SPDX-License-Identifier: MIT */
/* tok_write.c -- writes streams and shards; where a block ends depends on the header alone, never on timing.  Full blocks are
 * written behind, while the next is filled.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/behind.h"
#include "base/bytes.h"
#include "format/tok_bytes.h"

struct tok_writer {
    struct out *out;          /* borrowed */
    struct tok_header header; /* without provenance: that is written */
    struct tok_part part;
    uint64_t offset;          /* bytes written */
    uint64_t records, blocks; /* in written blocks */
    uint32_t per_block;

    struct behind *behind;    /* owned; NULL: no block was full yet, or all are written */
    struct block block;       /* owned; the block that is being filled: head, table in shards, records */
    size_t front;             /* bytes before the first record of a full block */
    size_t used;              /* bytes of records */
    uint32_t count;           /* records in it */
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

static int end_behind(struct tok_writer *w)
{
    struct behind *b = w->behind;

    w->behind = NULL;
    return behind_end(b);
}

void tok_drop(struct tok_writer *w)
{
    if (!w)
        return;
    (void)!end_behind(w); /* what is given up need not be whole */
    free(w->block.bytes);
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
    w->front = TOK_BLOCK_HEAD + (shard ? 4 * (size_t)w->per_block : 0);
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

/* The last block of a shard has a shorter table: its records move up, and so do the offsets. */
static void close_gap(struct tok_writer *w)
{
    uint8_t *table = w->block.bytes + TOK_BLOCK_HEAD;
    uint32_t gap = 4 * (w->per_block - w->count);

    if (!w->part.shard || gap == 0)
        return;
    memmove(w->block.bytes + w->front - gap, w->block.bytes + w->front, w->used);
    for (uint32_t i = 0; i < w->count; i++)
        put_u32(table + 4 * (size_t)i, get_u32(table + 4 * (size_t)i) - gap);
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

/* A short stream needs no thread. */
static int give_block(struct tok_writer *w, size_t size)
{
    int rc;

    if (w->count < w->per_block && !w->behind)
        return emit(w, w->block.bytes, size);
    if ((!w->behind && (rc = behind_create(&w->behind, w->out)) != 0) || (rc = behind_write(w->behind, &w->block, size)) != 0)
        return rc;
    w->offset += size;
    return 0;
}

static int flush_block(struct tok_writer *w)
{
    size_t size = TOK_BLOCK_HEAD + (w->part.shard ? 4 * (size_t)w->count : 0) + w->used;
    size_t pad = w->part.shard ? (TOK_ALIGN - size % TOK_ALIGN) % TOK_ALIGN : 0;
    struct tok_block b = {.count = w->count, .first = w->records, .size = (uint32_t)(size + pad - TOK_BLOCK_HEAD)};
    uint8_t *head = w->block.bytes;
    int rc;

    close_gap(w);
    memset(head + size, 0, pad);
    tok_block_encode(head, &b);
    put_u32(head + TOK_BLOCK_HEAD - 4, tok_block_crc(head, head + TOK_BLOCK_HEAD, b.size));
    if ((rc = note_block(w)) != 0 || (rc = give_block(w, size + pad)) != 0)
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
    if (!(more = grow(w->block.bytes, &w->block.room, w->front + w->used + size + TOK_ALIGN, 1)))
        return ERR_NOMEM;
    w->block.bytes = more;
    if (w->part.shard)
        put_u32(more + TOK_BLOCK_HEAD + 4 * (size_t)w->count, (uint32_t)(w->front - TOK_BLOCK_HEAD + w->used));
    tok_record_encode(more + w->front + w->used, record);
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

    if ((w->count && (rc = flush_block(w)) != 0) || (rc = end_behind(w)) != 0)
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

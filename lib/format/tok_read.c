/* SPDX-License-Identifier: MIT */
/* tok_read.c -- reads streams, shards and cats of both, front to back.
 *
 * A block's checksum is compared before any of its records is handed out.  The index of a shard is compared with the
 * blocks that were met by way of a running checksum over their offsets, so memory does not grow with their number.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "format/tok_bytes.h"

struct tok_reader {
    struct in in;
    struct tok_header header;   /* of the first stream, provenance of all */
    struct tok_scratch scratch;
    bool force;
    int failed;                 /* the code of an earlier failure, or 0 */
    bool ended;
    uint64_t total;             /* records handed out, all streams */
    int64_t streams;

    /* of the stream that is being read */
    struct tok_part part;
    uint64_t offset;            /* bytes read since its header's first */
    uint64_t records, blocks;   /* in the blocks met so far */
    uint32_t per_block;         /* records of its first block */
    uint32_t last_block;        /* records of its last block */
    uint32_t offsets_crc;       /* of the index that the blocks so far would have */
    uint64_t index_at;          /* 0: not met */

    /* of the block that is being read */
    uint8_t *payload;           /* owned */
    size_t room;
    struct tok_block block;
    uint32_t left;              /* records not handed out yet */
    size_t at;                  /* their place in the payload */
};

static int fill(struct tok_reader *r, void *bytes, size_t size)
{
    int64_t got = in_read(&r->in, bytes, size);

    if (got < 0)
        return (int)got;
    if ((size_t)got < size)
        return err_set(ERR_TRUNCATED, "%s: ends without its end record, after %" PRIu64 " records", r->in.name,
                       r->total + r->left);
    r->offset += size;
    return 0;
}

static int bad(const struct tok_reader *r, const char *what)
{
    return err_set(ERR_FORMAT, "%s: after record %" PRIu64 ": %s", r->in.name, r->total, what);
}

/* ---- opening ---------------------------------------------------------------------------------------------------- */

static void start_stream(struct tok_reader *r)
{
    r->streams++;
    r->offset = r->part.size;
    r->records = r->blocks = r->index_at = 0;
    r->per_block = r->last_block = 0;
    r->offsets_crc = 0;
}

int tok_open(struct tok_reader **to, const char *path)
{
    struct tok_reader *r = calloc(1, sizeof *r);
    int rc;

    *to = NULL;
    if (!r)
        return err_set(ERR_NOMEM, "no memory for a reader");
    if ((rc = in_open(&r->in, path)) != 0 || (rc = tok_header_read(&r->header, &r->part, &r->in)) != 0 ||
        (rc = tok_scratch_init(&r->scratch, &r->header, true)) != 0) {
        tok_close(r);
        return rc;
    }
    start_stream(r);
    *to = r;
    return 0;
}

void tok_close(struct tok_reader *r)
{
    if (!r)
        return;
    in_close(&r->in);
    tok_header_fini(&r->header);
    tok_scratch_fini(&r->scratch);
    free(r->payload);
    free(r);
}

const struct tok_header *tok_header_of(const struct tok_reader *r)
{
    return &r->header;
}

void tok_allow_mismatch(struct tok_reader *r, bool force)
{
    r->force = force;
}

uint64_t tok_count(const struct tok_reader *r)
{
    return r->total;
}

int64_t tok_streams(const struct tok_reader *r)
{
    return r->streams;
}

bool tok_is_shard(const struct tok_reader *r)
{
    return r->part.shard;
}

/* ---- blocks ----------------------------------------------------------------------------------------------------- */

/* In shards the payload begins with the offset of each record: it must say what the records themselves say. */
static int check_table(const struct tok_reader *r, uint32_t i)
{
    if (r->part.shard && get_u32(r->payload + 4 * (size_t)i) != r->at)
        return bad(r, "the block's table of records is wrong");
    return 0;
}

static int check_padding(const struct tok_reader *r)
{
    if (r->block.size - r->at >= (r->part.shard ? TOK_ALIGN : 1))
        return bad(r, "a block holds more than its records");
    for (size_t i = r->at; i < r->block.size; i++)
        if (r->payload[i])
            return bad(r, "padding that is not zero");
    return 0;
}

static int read_block(struct tok_reader *r, uint8_t head[TOK_BLOCK_HEAD])
{
    uint8_t place[8];
    int rc;

    put_u64(place, r->offset - 4);
    r->offsets_crc = tok_crc(r->offsets_crc, place, sizeof place);
    if ((rc = fill(r, head + 4, TOK_BLOCK_HEAD - 4)) != 0)
        return rc;
    if (tok_block_decode(&r->block, head, &r->header, r->part.shard) != 0)
        return bad(r, err_text());
    if (r->block.size > r->room) {
        uint8_t *more = realloc(r->payload, r->block.size);

        if (!more)
            return err_set(ERR_NOMEM, "%s: no memory for a block of %u bytes", r->in.name, r->block.size);
        r->payload = more;
        r->room = r->block.size;
    }
    if ((rc = fill(r, r->payload, r->block.size)) != 0)
        return rc;
    if (tok_block_crc(head, r->payload, r->block.size) != r->block.crc)
        return bad(r, "the next block is damaged (CRC)");
    if (r->block.first != r->records)
        return bad(r, "a block is missing or stands in the wrong place");
    if (r->part.shard && r->blocks && r->last_block != r->per_block)
        return bad(r, "a block that is not the last is short");
    if (r->blocks++ == 0)
        r->per_block = r->block.count;
    if (r->part.shard && r->block.count > r->per_block)
        return bad(r, "a block holds more records than the first");
    r->last_block = r->left = r->block.count;
    r->records += r->block.count;
    r->at = r->part.shard ? 4 * (size_t)r->block.count : 0;
    return 0;
}

/* ---- index and end ---------------------------------------------------------------------------------------------- */

static int read_index(struct tok_reader *r, uint8_t head[TOK_INDEX_HEAD])
{
    uint64_t at = r->offset - 4;
    uint32_t crc, offsets = 0;
    uint8_t piece[512];
    struct tok_index x;
    int rc;

    if ((rc = fill(r, head + 4, TOK_INDEX_HEAD - 4)) != 0)
        return rc;
    if (tok_index_decode(&x, head) != 0)
        return bad(r, err_text());
    if (x.blocks != r->blocks || (r->blocks > 1 ? x.per_block != r->per_block : x.per_block < r->per_block))
        return bad(r, "the index does not count the blocks that are there");
    crc = tok_crc(0, head, TOK_INDEX_HEAD - 4);
    for (uint64_t left = x.blocks; left;) {
        uint64_t n = left < sizeof piece / 8 ? left : sizeof piece / 8;

        if ((rc = fill(r, piece, 8 * (size_t)n)) != 0)
            return rc;
        crc = tok_crc(crc, piece, 8 * (size_t)n);
        offsets = tok_crc(offsets, piece, 8 * (size_t)n);
        left -= n;
    }
    if (crc != x.crc)
        return bad(r, "the index is damaged (CRC)");
    if (offsets != r->offsets_crc)
        return bad(r, "the index does not point at the blocks");
    r->index_at = at;
    return 0;
}

static int read_end(struct tok_reader *r, uint8_t bytes[TOK_END_SIZE])
{
    struct tok_end_record e;
    int rc;

    if ((rc = fill(r, bytes + 4, TOK_END_SIZE - 4)) != 0)
        return rc;
    if (tok_end_decode(&e, bytes) != 0)
        return bad(r, err_text());
    if (r->part.shard && !r->index_at)
        return bad(r, "a shard without index");
    if (e.records != r->records || e.blocks != r->blocks)
        return err_set(ERR_FORMAT, "%s: the end record counts %" PRIu64 " records in %" PRIu64 " blocks, there are %"
                       PRIu64 " in %" PRIu64, r->in.name, e.records, e.blocks, r->records, r->blocks);
    if (e.size != r->offset || e.index_at != r->index_at)
        return bad(r, "the end record gives another size or place of the index");
    if (e.header_crc != r->part.crc)
        return bad(r, "the end record belongs to another header");
    return 0;
}

/* What follows an end record: nothing (0), or another stream (1) that must go with the first. */
static int next_stream(struct tok_reader *r)
{
    struct tok_header h;
    int rc, c = getc(r->in.file);

    if (c == EOF)
        return ferror(r->in.file) ? err_errno(ERR_IO, "%s: cannot read", r->in.name) : 0;
    ungetc(c, r->in.file);
    if ((rc = tok_header_read(&h, &r->part, &r->in)) != 0)
        return err_at(rc, "stream %" PRId64 ", after %" PRIu64 " records", r->streams + 1, r->total);
    rc = tok_header_match(&r->header, &h, r->force);
    if (rc != 0)
        rc = err_set(rc, "%s: stream %" PRId64 " does not go with the first: %s", r->in.name, r->streams + 1,
                     err_text());
    else
        rc = tok_provenance_merge(&r->header, h.provenance);
    tok_header_fini(&h);
    if (rc != 0)
        return rc;
    start_stream(r);
    return 1;
}

/* ---- records ---------------------------------------------------------------------------------------------------- */

/* Read on until there is a record (1) or nothing more (0). */
static int next_block(struct tok_reader *r)
{
    uint8_t head[TOK_END_SIZE]; /* the longest of the three */
    int rc;

    while (r->left == 0) {
        uint32_t tag;

        if (r->block.count && (rc = check_padding(r)) != 0)
            return rc;
        r->block.count = 0;
        if ((rc = fill(r, head, 4)) != 0)
            return rc;
        tag = get_u32(head);
        if (tag == TOK_TAG_BLOCK && !r->index_at)
            rc = read_block(r, head);
        else if (tag == TOK_TAG_INDEX && r->part.shard && !r->index_at)
            rc = read_index(r, head);
        else if (tag == TOK_TAG_END) {
            if ((rc = read_end(r, head)) != 0 || (rc = next_stream(r)) <= 0)
                return rc;
            rc = 0;
        } else
            rc = bad(r, "neither a block nor the end");
        if (rc != 0)
            return rc;
    }
    return 1;
}

static int next_record(struct tok_reader *r, struct tok_record *record)
{
    size_t used;
    int rc;

    if ((rc = next_block(r)) <= 0)
        return rc;
    if ((rc = check_table(r, r->block.count - r->left)) != 0)
        return rc;
    if ((rc = tok_record_decode(record, &used, r->payload + r->at, r->block.size - r->at, &r->header, &r->scratch,
                                r->total)) != 0)
        return err_at(rc, "%s", r->in.name);
    r->at += used;
    r->left--;
    r->total++;
    return 1;
}

int tok_next(struct tok_reader *r, struct tok_record *record)
{
    int rc;

    if (r->failed)
        return err_set(r->failed, "%s: reading failed before", r->in.name);
    if (r->ended)
        return 0;
    rc = next_record(r, record);
    r->failed = rc < 0 ? rc : 0;
    r->ended = rc == 0;
    return rc;
}

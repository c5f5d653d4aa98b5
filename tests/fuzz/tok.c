/* SPDX-License-Identifier: MIT */
/* Token streams, shards and their JSON lines: any bytes are read or refused, and what is read survives a round trip.
 *
 * The bytes are tried as they are and with their checksums put right, so that a fuzzer gets past them.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "base/bytes.h"
#include "format/tok_bytes.h"
#include "format/tok_json.h"

#define RECORDS_MAX 200 /* of one input */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- checksums -------------------------------------------------------------------------------------------------- */

static size_t repair_header(uint8_t *p, size_t left, bool *shard, uint32_t *crc)
{
    size_t size;

    if (left < TOK_FIXED_SIZE || get_u32(p + 40) > TOK_PROVENANCE_MAX)
        return 0;
    *shard = p[16] & 1;
    size = TOK_FIXED_SIZE + get_u32(p + 40) + 4;
    if (*shard)
        size = (size + TOK_ALIGN - 1) / TOK_ALIGN * TOK_ALIGN;
    if (size > left)
        return 0;
    *crc = (uint32_t)crc32_z(0, p, size - 4);
    put_u32(p + size - 4, *crc);
    return size;
}

/* A piece whose head has its CRC in the last four bytes, and size bytes behind it. */
static size_t repair_piece(uint8_t *p, size_t left, size_t head, uint64_t size)
{
    uint32_t crc;

    if (head > left || size > left - head)
        return 0;
    crc = (uint32_t)crc32_z(0, p, head - 4);
    if (size)
        crc = (uint32_t)crc32_z(crc, p + head, (size_t)size);
    put_u32(p + head - 4, crc);
    return head + (size_t)size;
}

static void repair(uint8_t *p, size_t size)
{
    size_t at = 0, start = 0, step = 1;
    uint32_t header_crc = 0;
    bool shard = false;

    for (; step && size - at >= 4; at += step) {
        uint8_t *q = p + at;
        size_t left = size - at;

        if (left >= 24 && get_u32(q) == TOK_TAG_BLOCK)
            step = repair_piece(q, left, TOK_BLOCK_HEAD, get_u32(q + 16));
        else if (left >= 24 && get_u32(q) == TOK_TAG_INDEX && get_u64(q + 8) < (1u << 20))
            step = repair_piece(q, left, TOK_INDEX_HEAD, 8 * get_u64(q + 8));
        else if (left >= TOK_END_SIZE && get_u32(q) == TOK_TAG_END) {
            put_u64(q + 32, at + TOK_END_SIZE - start);
            put_u32(q + 40, header_crc);
            step = repair_piece(q, left, TOK_END_SIZE, 0);
        } else {
            start = at;
            step = repair_header(q, left, &shard, &header_crc);
        }
    }
}

/* ---- readers ---------------------------------------------------------------------------------------------------- */

static void same_record(const struct tok_record *a, const struct tok_record *b)
{
    assert(a->key_size == b->key_size && memcmp(a->key, b->key, a->key_size) == 0 && a->variant == b->variant);
    assert(a->text_count == b->text_count && a->image_count == b->image_count);
    assert(a->text_count == 0 || memcmp(a->text, b->text, 2 * (size_t)a->text_count) == 0);
    assert(a->image_count == 0 || memcmp(a->image, b->image, 2 * (size_t)a->image_count) == 0);
}

static void through_text(const struct tok_header *h, const struct tok_record *record, bool shard)
{
    struct tok_text t = {0};
    struct tok_line l = {0};
    int rc = record ? tok_text_record(&t, h, record, h->grid_w & 1) : tok_text_header(&t, h, shard);

    assert(rc == 0 && t.bytes[t.used - 1] == '\n');
    rc = tok_line_parse(&l, t.bytes, t.used);
    assert(rc == 0 && l.is_header == !record);
    if (record)
        same_record(record, &l.record);
    else
        assert(tok_header_match(h, &l.header, false) == 0 && l.shard == shard);
    tok_line_fini(&l);
    tok_text_fini(&t);
}

static void read_stream(const char *path)
{
    struct tok_reader *r;
    struct tok_record record;
    int rc;

    if (tok_open(&r, path) != 0)
        return;
    through_text(tok_header_of(r), NULL, tok_is_shard(r));
    while ((rc = tok_next(r, &record)) > 0 && tok_count(r) < RECORDS_MAX)
        if (record.image_count < 5000)
            through_text(tok_header_of(r), &record, false);
    if (rc < 0)
        assert(tok_next(r, &record) < 0);
    tok_close(r);
}

static void read_shard(const char *path)
{
    struct shard_set *set;
    struct tok_record record;
    uint64_t n;

    if (shard_set_open(&set, &path, 1, false) != 0)
        return;
    n = shard_set_count(set);
    for (uint64_t i = 0; i < n && i < RECORDS_MAX; i++)
        if (shard_set_get(set, n - 1 - i, &record) != 0)
            break;
    shard_set_close(set);
}

static void read_lines(const uint8_t *data, size_t size)
{
    struct tok_line l = {0};

    for (size_t at = 0, end; at < size; at = end) {
        const uint8_t *newline = memchr(data + at, '\n', size - at);

        end = newline ? (size_t)(newline - data) + 1 : size;
        if (tok_line_parse(&l, (const char *)data + at, end - at) == 0 && l.is_header)
            through_text(&l.header, NULL, l.shard);
    }
    tok_line_fini(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + 1);
    char path[64];
    int fd = memfd_create("fuzz", 0);

    if (!copy || fd < 0)
        abort();
    memcpy(copy, data, size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    read_lines(data, size < 65536 ? size : 65536);
    for (int repaired = 0; repaired < 2; repaired++) {
        if (pwrite(fd, copy, size, 0) != (ssize_t)size)
            abort();
        read_stream(path);
        read_shard(path);
        repair(copy, size);
    }
    close(fd);
    free(copy);
    return 0;
}

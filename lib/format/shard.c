/* SPDX-License-Identifier: MIT */
/* shard.c -- many shards as one array of pairs.
 *
 * Pair i: its shard by binary search over the running counts, its block by division (every block but a shard's last
 * holds the same number of records), its place in the block from the block's table.  Opening keeps a few numbers a
 * shard; maps, and one bit a block that says "checked", come with the first use.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "format/tok_bytes.h"

struct shard {
    char *path;          /* owned */
    uint64_t first;      /* number of its first pair in the set */
    uint64_t count;      /* pairs */
    uint64_t blocks;
    uint64_t index_at;
    uint64_t size;       /* bytes of the file */
    uint64_t header_size;
    uint32_t per_block;  /* known when checked is there */
    uint8_t *checked;    /* owned; one bit a block; NULL: the index was not checked yet */
    uint8_t *map;        /* owned; NULL: not mapped */
};

struct shard_set {
    struct tok_header header; /* of the first, provenance of all */
    struct tok_scratch scratch;
    struct shard *shard;      /* owned, [n] */
    int n;
    uint64_t count;
    int *mapped;              /* owned ring of shards with a map: ring_used of them, the newest before ring_at */
    int ring_at, ring_used;
};

/* ---- opening ---------------------------------------------------------------------------------------------------- */

static int check_end(struct shard *s, const struct tok_part *part, const uint8_t bytes[TOK_END_SIZE])
{
    struct tok_end_record e;

    if (get_u32(bytes) != TOK_TAG_END)
        return err_set(ERR_TRUNCATED, "%s: ends without its end record", s->path);
    if (tok_end_decode(&e, bytes) != 0)
        return err_set(ERR_FORMAT, "%s: %s", s->path, err_text());
    if (e.size != s->size)
        return err_set(ERR_FORMAT, "%s: has %" PRIu64 " bytes, its end record says %" PRIu64
                       " (joined shards are read as streams only: shard-pack makes one of them)", s->path, s->size, e.size);
    if (e.header_crc != part->crc)
        return err_set(ERR_FORMAT, "%s: the end record belongs to another header", s->path);
    if (e.index_at < part->size || e.index_at > s->size - TOK_END_SIZE - TOK_INDEX_HEAD ||
        s->size - TOK_END_SIZE - TOK_INDEX_HEAD - e.index_at != 8 * e.blocks || e.blocks > s->size / 8 ||
        e.records < e.blocks || (e.blocks == 0 && e.records))
        return err_set(ERR_FORMAT, "%s: the end record gives no possible place of the index", s->path);
    s->count = e.records;
    s->blocks = e.blocks;
    s->index_at = e.index_at;
    s->header_size = part->size;
    return 0;
}

static int open_shard(struct shard *s, struct tok_header *h, const char *path)
{
    uint8_t end[TOK_END_SIZE];
    struct tok_part part;
    struct stat st;
    struct in in;
    int64_t got;
    int rc;

    if (!(s->path = strdup(path)))
        return err_set(ERR_NOMEM, "no memory for a shard");
    if ((rc = in_open(&in, path)) != 0)
        return rc;
    if ((rc = tok_header_read(h, &part, &in)) != 0)
        goto out;
    if (!part.shard)
        rc = err_set(ERR_FORMAT, "%s: a stream of %s tokens, not a shard (shard-pack makes shards)", path,
                     tok_kind_name(h->kind));
    else if (fstat(fileno(in.file), &st) != 0 || !S_ISREG(st.st_mode))
        rc = err_set(ERR_ARG, "%s: not a regular file: a shard is read at random", path);
    else if ((uint64_t)st.st_size < part.size + TOK_INDEX_HEAD + TOK_END_SIZE)
        rc = err_set(ERR_TRUNCATED, "%s: ends without its end record", path);
    else if (fseeko(in.file, st.st_size - TOK_END_SIZE, SEEK_SET) != 0)
        rc = err_errno(ERR_IO, "%s: cannot seek", path);
    else if ((got = in_read(&in, end, sizeof end)) != (int64_t)sizeof end)
        rc = got < 0 ? (int)got : err_set(ERR_TRUNCATED, "%s: ends without its end record", path);
    else {
        s->size = (uint64_t)st.st_size;
        rc = check_end(s, &part, end);
    }
    if (rc != 0)
        tok_header_fini(h);
out:
    in_close(&in);
    return rc;
}

static int add_shard(struct shard_set *set, const char *path, bool force)
{
    struct shard *s = &set->shard[set->n];
    struct tok_header h;
    int rc;

    set->n++; /* closing frees what there is of it */
    if ((rc = open_shard(s, &h, path)) != 0)
        return rc;
    if (set->n == 1) {
        set->header = h;
    } else {
        if ((rc = tok_header_match(&set->header, &h, force)) != 0)
            rc = err_set(rc, "%s: does not go with %s: %s", path, set->shard[0].path, err_text());
        else
            rc = tok_provenance_merge(&set->header, h.provenance);
        tok_header_fini(&h);
    }
    if (rc == 0 && s->count > UINT64_MAX / 2 - set->count)
        rc = err_set(ERR_LIMIT, "%s: too many pairs", path);
    s->first = set->count;
    set->count += s->count;
    return rc;
}

int shard_set_open(struct shard_set **to, const char *const *paths, int n, bool force)
{
    struct shard_set *set;
    int rc = 0;

    *to = NULL;
    if (n <= 0)
        return err_set(ERR_EMPTY, "no shards");
    if (!(set = calloc(1, sizeof *set)))
        return err_set(ERR_NOMEM, "no memory for %d shards", n);
    set->shard = calloc((size_t)n, sizeof *set->shard);
    set->mapped = calloc(SHARD_MAPS_MAX, sizeof *set->mapped);
    if (!set->shard || !set->mapped)
        rc = err_set(ERR_NOMEM, "no memory for %d shards", n);
    for (int i = 0; rc == 0 && i < n; i++)
        rc = add_shard(set, paths[i], force);
    if (rc == 0)
        rc = tok_scratch_init(&set->scratch, &set->header, false);
    if (rc != 0)
        shard_set_close(set);
    else
        *to = set;
    return rc;
}

void shard_set_close(struct shard_set *set)
{
    if (!set)
        return;
    for (int i = 0; i < set->n; i++) {
        if (set->shard[i].map)
            munmap(set->shard[i].map, set->shard[i].size);
        free(set->shard[i].checked);
        free(set->shard[i].path);
    }
    tok_header_fini(&set->header);
    tok_scratch_fini(&set->scratch);
    free(set->shard);
    free(set->mapped);
    free(set);
}

const struct tok_header *shard_set_header(const struct shard_set *set)
{
    return &set->header;
}

uint64_t shard_set_count(const struct shard_set *set)
{
    return set->count;
}

/* ---- maps ------------------------------------------------------------------------------------------------------- */

static uint64_t block_at(const struct shard *s, uint64_t block)
{
    return get_u64(s->map + s->index_at + TOK_INDEX_HEAD + 8 * block);
}

/* The bytes that the index gives to a block, its head included. */
static uint64_t block_size(const struct shard *s, uint64_t block)
{
    return (block + 1 < s->blocks ? block_at(s, block + 1) : s->index_at) - block_at(s, block);
}

/* Offsets rise from the header's end to the index in whole multiples of the alignment. */
static int check_index(struct shard *s)
{
    const uint8_t *head = s->map + s->index_at;
    uint64_t before = 0;
    struct tok_index x;
    uint32_t crc;

    if (tok_index_decode(&x, head) != 0)
        return err_set(ERR_FORMAT, "%s: %s", s->path, err_text());
    crc = tok_crc(0, head, TOK_INDEX_HEAD - 4);
    if (s->blocks)
        crc = tok_crc(crc, head + TOK_INDEX_HEAD, 8 * (size_t)s->blocks);
    if (crc != x.crc)
        return err_set(ERR_FORMAT, "%s: the index is damaged (CRC)", s->path);
    if (x.blocks != s->blocks || s->count > s->blocks * (uint64_t)x.per_block ||
        (s->blocks && s->count <= (s->blocks - 1) * (uint64_t)x.per_block))
        return err_set(ERR_FORMAT, "%s: the index does not count the blocks that are there", s->path);
    for (uint64_t i = 0; i < s->blocks; i++) {
        uint64_t at = block_at(s, i);

        if (at % TOK_ALIGN || at >= s->index_at || (i == 0 ? at != s->header_size : at <= before))
            return err_set(ERR_FORMAT, "%s: the index does not point at the blocks", s->path);
        before = at;
    }
    if (!(s->checked = calloc(s->blocks / 8 + 1, 1)))
        return err_set(ERR_NOMEM, "%s: no memory for its index", s->path);
    s->per_block = x.per_block;
    return 0;
}

static void unmap(struct shard *s)
{
    munmap(s->map, s->size);
    s->map = NULL;
}

static void unmap_oldest(struct shard_set *set)
{
    unmap(&set->shard[set->mapped[(set->ring_at + SHARD_MAPS_MAX - set->ring_used) % SHARD_MAPS_MAX]]);
    set->ring_used--;
}

/* A map of the whole file.  Where the system allows no more maps or address space, older maps make room. */
static void *map_file(struct shard_set *set, int fd, size_t size)
{
    void *map;

    if (set->ring_used == SHARD_MAPS_MAX)
        unmap_oldest(set);
    while ((map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0)) == MAP_FAILED && errno == ENOMEM && set->ring_used)
        unmap_oldest(set);
    return map;
}

static int map_shard(struct shard_set *set, int i)
{
    struct shard *s = &set->shard[i];
    struct stat st;
    void *map = MAP_FAILED;
    int rc = 0, fd = open(s->path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return err_errno(ERR_IO, "%s: cannot open", s->path);
    if (fstat(fd, &st) != 0 || (uint64_t)st.st_size != s->size)
        rc = err_set(ERR_IO, "%s: changed since it was opened", s->path);
    else if ((map = map_file(set, fd, s->size)) == MAP_FAILED)
        rc = err_errno(ERR_IO, "%s: cannot map", s->path);
    close(fd);
    if (rc != 0)
        return rc;
    s->map = map;
    if (!s->checked && (rc = check_index(s)) != 0) {
        unmap(s);
        return rc;
    }
    set->mapped[set->ring_at] = i;
    set->ring_at = (set->ring_at + 1) % SHARD_MAPS_MAX;
    set->ring_used++;
    return 0;
}

/* ---- blocks and pairs ------------------------------------------------------------------------------------------- */

static int check_block(struct shard_set *set, struct shard *s, uint64_t number)
{
    uint64_t size = block_size(s, number);
    const uint8_t *head = s->map + block_at(s, number), *payload = head + TOK_BLOCK_HEAD;
    uint32_t due = number + 1 < s->blocks ? s->per_block : (uint32_t)(s->count - number * s->per_block);
    struct tok_record record;
    struct tok_block b;
    size_t at, used;
    int rc;

    posix_madvise((void *)(uintptr_t)head, size, POSIX_MADV_WILLNEED);
    if (tok_block_decode(&b, head, &set->header, true) != 0)
        return err_set(ERR_FORMAT, "%s: block %" PRIu64 ": %s", s->path, number, err_text());
    if (b.size + (uint64_t)TOK_BLOCK_HEAD != size || b.count != due || b.first != number * s->per_block)
        return err_set(ERR_FORMAT, "%s: block %" PRIu64 " is not the one that the index means", s->path, number);
    if (tok_block_crc(head, payload, b.size) != b.crc)
        return err_set(ERR_FORMAT, "%s: block %" PRIu64 " is damaged (CRC)", s->path, number);
    at = 4 * (size_t)b.count;
    for (uint32_t i = 0; i < b.count; i++, at += used) {
        if (get_u32(payload + 4 * (size_t)i) != at)
            return err_set(ERR_FORMAT, "%s: block %" PRIu64 ": the table of records is wrong", s->path, number);
        if ((rc = tok_record_decode(&record, &used, payload + at, b.size - at, &set->header, &set->scratch,
                                    b.first + i)) != 0)
            return err_at(rc, "%s", s->path);
    }
    if (b.size - at >= TOK_ALIGN)
        return err_set(ERR_FORMAT, "%s: block %" PRIu64 " holds more than its records", s->path, number);
    for (; at < b.size; at++)
        if (payload[at])
            return err_set(ERR_FORMAT, "%s: block %" PRIu64 ": padding that is not zero", s->path, number);
    s->checked[number / 8] |= (uint8_t)(1u << number % 8);
    return 0;
}

static int find_shard(const struct shard_set *set, uint64_t i)
{
    int low = 0, high = set->n - 1;

    while (low < high) { /* the last shard that begins at or before i */
        int middle = low + (high - low + 1) / 2;

        if (set->shard[middle].first <= i)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

int shard_set_get(struct shard_set *set, uint64_t i, struct tok_record *record)
{
    const uint8_t *payload;
    struct shard *s;
    uint64_t number, size;
    size_t at, used;
    int which, rc;

    if (i >= set->count)
        return err_set(ERR_ARG, "pair %" PRIu64 " of %" PRIu64, i, set->count);
    which = find_shard(set, i);
    s = &set->shard[which];
    if (!s->map && (rc = map_shard(set, which)) != 0)
        return rc;
    i -= s->first;
    number = i / s->per_block;
    if (!(s->checked[number / 8] & 1u << number % 8) && (rc = check_block(set, s, number)) != 0)
        return rc;
    payload = s->map + block_at(s, number) + TOK_BLOCK_HEAD;
    size = block_size(s, number) - TOK_BLOCK_HEAD;
    at = get_u32(payload + 4 * (size_t)(i % s->per_block));
    if (at > size)
        return err_set(ERR_FORMAT, "%s: changed while it was read", s->path);
    if ((rc = tok_record_decode(record, &used, payload + at, size - at, &set->header, &set->scratch, i)) != 0)
        return err_at(rc, "%s", s->path);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* shard_runs.c -- records fill one block from its start, their items from its end; where the two meet, a run is written.
 *
 * On disk a run is frames: u32 size | u32 CRC | entries; an entry is u64 hash | u32 size | u32 kind + 4 * source | record.
 * A merge holds one frame of each of its runs in the block that the records have left.
 */
#include "format/shard_runs.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/io.h"
#include "format/tok_bytes.h"

#define FRAME_HEAD 8
#define ENTRY_HEAD 16
#define ITEM_COST (2 * sizeof(struct run_item)) /* sorting takes as much again */
#define BUCKET 8 /* items, on average */
#define AHEAD 3  /* items */

struct run {
    uint64_t at, end;      /* bytes of the file */
};

struct cursor {            /* a run that is being merged */
    struct run rest;       /* frames not read yet */
    uint8_t *frame;        /* borrowed from the block */
    size_t at, size;       /* in the frame */
    struct run_item item;  /* the entry at hand */
};

struct runs {
    const char *folder;    /* borrowed */
    uint8_t *block;        /* owned; [memory] */
    size_t memory;
    size_t used;           /* bytes of records from its start */
    struct run_item *item; /* the last added; they stand before the block's end */
    size_t count, next;    /* items in memory; the next to give out */
    size_t ready;          /* items that have their place; those behind are in the order of their hashes */

    int fd;                /* owned; -1: nothing was written */
    uint64_t end;          /* bytes of the file */
    uint64_t spilled;
    struct run *run;       /* owned; [runs] */
    size_t runs, room;
    uint8_t *frame;        /* owned; [frame_room]: the frame that is being filled */
    size_t frame_used, frame_aim, frame_room;
    size_t frame_most;     /* bytes of the largest in the file, its head included */

    struct cursor *cursor; /* owned; [runs of a merge] */
    size_t stride;         /* frame_most when the merge began: bytes between the frames of two cursors */
    struct cursor **heap;  /* owned; [heaped], the least item first */
    size_t heaped;
    bool given;            /* the least item was given out and goes with the next call */
};

/* ---- order ------------------------------------------------------------------------------------------------------ */

size_t run_key(const struct run_item *x, const uint8_t **key)
{
    size_t size = get_u16(x->bytes);

    *key = x->bytes + x->size - size - (size & 1);
    return size;
}

uint32_t run_variant(const struct run_item *x)
{
    return get_u32(x->bytes + 4);
}

int run_compare_keys(const struct run_item *a, const struct run_item *b)
{
    const uint8_t *x, *y;
    size_t n, m;
    int c;

    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    n = run_key(a, &x);
    m = run_key(b, &y);
    c = memcmp(x, y, n < m ? n : m);
    return c ? c : n < m ? -1 : n > m;
}

static int compare(const void *p, const void *q)
{
    const struct run_item *a = p, *b = q;
    int c = run_compare_keys(a, b);

    if (c)
        return c;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (run_variant(a) != run_variant(b))
        return run_variant(a) < run_variant(b) ? -1 : 1;
    if (a->source != b->source)
        return a->source < b->source ? -1 : 1;
    return a->size < b->size ? -1 : a->size > b->size ? 1 : memcmp(a->bytes, b->bytes, a->size);
}

static int compare_hashes(const void *p, const void *q)
{
    uint64_t a = ((const struct run_item *)p)->hash, b = ((const struct run_item *)q)->hash;

    return a < b ? -1 : a > b;
}

/* By insertion: few, or with equal hashes, which need no move. */
static void sort_few(struct run_item *x, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct run_item item = x[i];
        size_t j = i;

        for (; j > 0 && x[j - 1].hash > item.hash; j--)
            x[j] = x[j - 1];
        x[j] = item;
    }
}

/* Items into the order of their hashes.  These are spread evenly, so their upper bits say nearly where an item belongs; the
 * records are not looked at: that would wait for memory at each comparison. */
static int sort_hashes(struct runs *r)
{
    struct run_item *to = (struct run_item *)(void *)(r->block + (r->used + sizeof *to - 1) / sizeof *to * sizeof *to);
    size_t *end;
    int bits = 1;

    while ((r->count >> bits) > BUCKET)
        bits++;
    if (!(end = calloc(((size_t)1 << bits) + 1, sizeof *end)))
        return err_set(ERR_NOMEM, "no memory to sort %zu records", r->count);
    for (size_t i = 0; i < r->count; i++)
        end[(r->item[i].hash >> (64 - bits)) + 1]++;
    for (size_t b = 0; b < (size_t)1 << bits; b++)
        end[b + 1] += end[b];
    for (size_t i = 0; i < r->count; i++) /* end[b]: where bucket b begins, then where it ends */
        to[end[r->item[i].hash >> (64 - bits)]++] = r->item[i];
    for (size_t b = 0, from = 0; b < (size_t)1 << bits; from = end[b++]) {
        if (end[b] - from <= 4 * BUCKET)
            sort_few(to + from, end[b] - from);
        else
            qsort(to + from, end[b] - from, sizeof *to, compare_hashes);
    }
    free(end);
    r->item = to;
    r->ready = 0;
    return 0;
}

/* Records lie where they were read: ask for one while those before it are at work. */
static void fetch_ahead(const struct run_item *x)
{
    for (size_t at = 0; at < x->size && at < 4096; at += 64)
        __builtin_prefetch(x->bytes + at);
}

/* Item i of memory, after those before it: those with its hash are brought into their order when the first is asked for. */
static const struct run_item *item_at(struct runs *r, size_t i)
{
    if (i == r->ready) {
        while (r->ready < r->count && r->item[r->ready].hash == r->item[i].hash)
            r->ready++;
        if (r->ready > i + 1)
            qsort(r->item + i, r->ready - i, sizeof *r->item, compare);
    }
    if (i + AHEAD < r->count)
        fetch_ahead(r->item + i + AHEAD);
    return r->item + i;
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

static void empty(struct runs *r)
{
    r->used = r->count = r->next = 0;
    r->item = (struct run_item *)(void *)(r->block + r->memory);
}

int runs_create(struct runs **to, size_t memory, const char *folder)
{
    struct runs *r = calloc(1, sizeof *r);

    *to = NULL;
    if (!r)
        return err_set(ERR_NOMEM, "no memory for a sort");
    memory -= memory % sizeof(struct run_item); /* items stand at its end */
    *r = (struct runs){.folder = folder, .memory = memory, .fd = -1, .block = malloc(memory)};
    if (!r->block) {
        runs_free(r);
        return err_set(ERR_NOMEM, "no memory for %zu bytes of records", memory);
    }
    r->frame_aim = memory / 256 < 16 << 10 ? 16 << 10 : memory / 256 > 1 << 20 ? 1 << 20 : memory / 256;
    empty(r);
    *to = r;
    return 0;
}

void runs_free(struct runs *r)
{
    if (!r)
        return;
    if (r->fd >= 0)
        close(r->fd);
    free(r->block);
    free(r->run);
    free(r->frame);
    free(r->cursor);
    free(r->heap);
    free(r);
}

uint64_t runs_spilled(const struct runs *r)
{
    return r->spilled;
}

/* ---- writing a run ---------------------------------------------------------------------------------------------- */

static int write_frame(struct runs *r)
{
    size_t done = 0;

    if (r->frame_used == 0)
        return 0;
    put_u32(r->frame, (uint32_t)(r->frame_used - FRAME_HEAD));
    put_u32(r->frame + 4, tok_crc(0, r->frame + FRAME_HEAD, r->frame_used - FRAME_HEAD));
    while (done < r->frame_used) {
        ssize_t n = pwrite(r->fd, r->frame + done, r->frame_used - done, (off_t)(r->end + done));

        if (n < 0)
            return err_errno(ERR_IO, "%s: cannot write what does not fit in memory", r->folder);
        done += (size_t)n;
    }
    r->end += r->frame_used;
    r->frame_most = r->frame_used > r->frame_most ? r->frame_used : r->frame_most;
    r->frame_used = 0;
    return 0;
}

static int write_entry(struct runs *r, const struct run_item *x)
{
    size_t size = ENTRY_HEAD + x->size, room = FRAME_HEAD + size > r->frame_aim ? FRAME_HEAD + size : r->frame_aim;
    uint8_t *to;
    int rc;

    if (r->frame_used + size > r->frame_aim && (rc = write_frame(r)) != 0)
        return rc;
    if (room > r->frame_room) { /* the frame is empty, or this is the first */
        if (!(to = realloc(r->frame, room)))
            return err_set(ERR_NOMEM, "no memory for a frame of %zu bytes", room);
        r->frame = to;
        r->frame_room = room;
    }
    if (r->frame_used == 0)
        r->frame_used = FRAME_HEAD;
    to = r->frame + r->frame_used;
    put_u64(to, x->hash);
    put_u32(to + 8, x->size);
    put_u32(to + 12, (uint32_t)x->kind | (uint32_t)x->source << 2);
    memcpy(to + ENTRY_HEAD, x->bytes, x->size);
    r->frame_used += size;
    return 0;
}

static int begin_run(struct runs *r)
{
    struct run *more;
    int rc;

    if (r->fd < 0 && (rc = temp_open(&r->fd, r->folder)) != 0)
        return rc;
    if (r->runs == r->room) {
        r->room = r->room ? 2 * r->room : 64;
        if (!(more = realloc(r->run, r->room * sizeof *more)))
            return err_set(ERR_NOMEM, "no memory for %zu runs", r->room);
        r->run = more;
    }
    r->run[r->runs].at = r->end;
    r->spilled++;
    return 0;
}

static int end_run(struct runs *r)
{
    int rc = write_frame(r);

    r->run[r->runs++].end = r->end;
    return rc;
}

static int spill(struct runs *r)
{
    int rc;

    if ((rc = sort_hashes(r)) != 0 || (rc = begin_run(r)) != 0)
        return rc;
    for (size_t i = 0; rc == 0 && i < r->count; i++)
        rc = write_entry(r, item_at(r, i));
    empty(r);
    return rc != 0 ? rc : end_run(r);
}

int runs_add(struct runs *r, uint64_t hash, enum tok_kind kind, int source, const struct tok_record *record)
{
    size_t size = tok_record_size(record);
    int rc;

    if (size + FRAME_HEAD + ENTRY_HEAD > r->memory / 8)
        return err_set(ERR_LIMIT, "a record of %zu bytes is too large to sort in %zu", size, r->memory);
    if (r->used + size + (r->count + 2) * ITEM_COST > r->memory && (rc = spill(r)) != 0)
        return rc;
    tok_record_encode(r->block + r->used, record);
    *--r->item = (struct run_item){.hash = hash, .bytes = r->block + r->used, .size = (uint32_t)size,
                                   .kind = (uint32_t)kind & 3u, .source = (uint32_t)source & 0x3fffffffu};
    r->used += size;
    r->count++;
    return 0;
}

/* ---- merging ---------------------------------------------------------------------------------------------------- */

static int read_all(struct runs *r, void *bytes, size_t size, uint64_t at)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = pread(r->fd, (uint8_t *)bytes + done, size - done, (off_t)(at + done));

        if (n < 0)
            return err_errno(ERR_IO, "%s: cannot read back what did not fit in memory", r->folder);
        if (n == 0)
            return err_set(ERR_IO, "%s: what did not fit in memory is not there any more", r->folder);
        done += (size_t)n;
    }
    return 0;
}

static int read_frame(struct runs *r, struct cursor *c)
{
    uint64_t left = c->rest.end - c->rest.at;
    size_t size;
    int rc;

    if ((rc = read_all(r, c->frame, left < r->stride ? (size_t)left : r->stride, c->rest.at)) != 0)
        return rc;
    size = get_u32(c->frame);
    if (size < ENTRY_HEAD || size > left - FRAME_HEAD || size > r->stride - FRAME_HEAD ||
        tok_crc(0, c->frame + FRAME_HEAD, size) != get_u32(c->frame + 4))
        return err_set(ERR_IO, "%s: what did not fit in memory was damaged there (CRC)", r->folder);
    c->rest.at += FRAME_HEAD + size;
    c->at = FRAME_HEAD;
    c->size = FRAME_HEAD + size;
    return 0;
}

/* Take the next entry of a run: 1, or 0 at its end. */
static int advance(struct runs *r, struct cursor *c)
{
    const uint8_t *p;
    uint32_t word;
    int rc;

    if (c->at == c->size) {
        if (c->rest.at == c->rest.end)
            return 0;
        if ((rc = read_frame(r, c)) != 0)
            return rc;
    }
    p = c->frame + c->at;
    word = get_u32(p + 12);
    c->item = (struct run_item){.hash = get_u64(p), .bytes = p + ENTRY_HEAD, .size = get_u32(p + 8), .kind = word & 3u,
                                .source = word >> 2};
    c->at += ENTRY_HEAD + c->item.size;
    return 1;
}

static void sift_down(struct runs *r, size_t i)
{
    struct cursor *c = r->heap[i];

    for (size_t child; (child = 2 * i + 1) < r->heaped; i = child) {
        if (child + 1 < r->heaped && compare(&r->heap[child + 1]->item, &r->heap[child]->item) < 0)
            child++;
        if (compare(&c->item, &r->heap[child]->item) <= 0)
            break;
        r->heap[i] = r->heap[child];
    }
    r->heap[i] = c;
}

/* How many runs can be merged at once. */
static size_t fan_in(const struct runs *r)
{
    return r->memory / r->frame_most;
}

/* Begin to merge the first n runs. */
static int start_merge(struct runs *r, size_t n)
{
    int rc;

    free(r->cursor);
    free(r->heap);
    r->cursor = calloc(n, sizeof *r->cursor);
    r->heap = calloc(n, sizeof *r->heap);
    r->stride = r->frame_most;
    r->heaped = 0;
    r->given = false;
    if (!r->cursor || !r->heap)
        return err_set(ERR_NOMEM, "no memory to merge %zu runs", n);
    for (size_t i = 0; i < n; i++) {
        struct cursor *c = &r->cursor[i];

        *c = (struct cursor){.rest = r->run[i], .frame = r->block + i * r->stride};
        if ((rc = advance(r, c)) < 0)
            return rc;
        r->heap[r->heaped++] = c; /* no run is empty */
    }
    for (size_t i = n / 2; i-- > 0;)
        sift_down(r, i);
    return 0;
}

static int next_merged(struct runs *r, const struct run_item **item)
{
    int rc;

    if (r->given) {
        if ((rc = advance(r, r->heap[0])) < 0)
            return rc;
        if (rc == 0)
            r->heap[0] = r->heap[--r->heaped];
        if (r->heaped)
            sift_down(r, 0);
    }
    r->given = r->heaped > 0;
    *item = r->given ? &r->heap[0]->item : NULL;
    return r->given;
}

/* The first n runs become one, behind the others. */
static int merge_some(struct runs *r, size_t n)
{
    const struct run_item *x;
    int rc;

    if ((rc = start_merge(r, n)) != 0 || (rc = begin_run(r)) != 0)
        return rc;
    while ((rc = next_merged(r, &x)) > 0)
        if ((rc = write_entry(r, x)) != 0)
            return rc;
    if (rc != 0 || (rc = end_run(r)) != 0)
        return rc;
    r->runs -= n;
    memmove(r->run, r->run + n, r->runs * sizeof *r->run);
    return 0;
}

int runs_sort(struct runs *r)
{
    int rc;

    if (r->runs == 0)
        return sort_hashes(r);
    if (r->count && (rc = spill(r)) != 0)
        return rc;
    while (r->runs > fan_in(r)) {
        size_t extra = r->runs - fan_in(r) + 1;

        if ((rc = merge_some(r, extra < fan_in(r) ? extra : fan_in(r))) != 0)
            return rc;
    }
    return start_merge(r, r->runs);
}

int runs_next(struct runs *r, const struct run_item **item)
{
    if (r->runs)
        return next_merged(r, item);
    if (r->next == r->count) {
        *item = NULL;
        return 0;
    }
    *item = item_at(r, r->next++);
    return 1;
}

/* SPDX-License-Identifier: MIT */
/* shard_join.c -- a sort brings equal keys together and puts them in their random order at once.
 *
 * All items stand in memory.  A join past memory cuts the items by the upper bits of their hash into parts on disk and
 * runs the same sort part by part: the order is the same.
 */
#include "format/shard_join.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/rng.h"
#include "format/tok_bytes.h"

#define CHUNK_SIZE (4u << 20) /* more than the largest record */

struct chunk {
    struct chunk *next;
    uint8_t bytes[];
};

static uint64_t hash_key(uint64_t seed, const char *key, size_t size, uint64_t element)
{
    struct rng4 d = rng_draw((struct rng){seed, RNG_SHUFFLE}, rng_hash(key, size), element);

    return (uint64_t)d.v[1] << 32 | d.v[0];
}

bool join_is_val(const char *key, size_t size, double share)
{
    return (double)(hash_key(0, key, size, 1) >> 11) * (1.0 / 9007199254740992.0) < share;
}

void join_init(struct join *j, uint64_t seed)
{
    *j = (struct join){.seed = seed};
}

void join_fini(struct join *j)
{
    for (struct chunk *c = j->chunk, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    for (int k = 0; j->scratch && k <= TOK_PAIR; k++)
        tok_scratch_fini(&j->scratch[k]);
    free(j->scratch);
    free(j->item);
    *j = (struct join){0};
}

/* ---- adding ----------------------------------------------------------------------------------------------------- */

static uint8_t *take_bytes(struct join *j, size_t size)
{
    struct chunk *c = j->chunk;

    if (!c || CHUNK_SIZE - j->chunk_used < size) {
        if (!(c = malloc(sizeof *c + CHUNK_SIZE)))
            return NULL;
        c->next = j->chunk;
        j->chunk = c;
        j->chunk_used = 0;
    }
    j->chunk_used += size;
    return c->bytes + j->chunk_used - size;
}

static int note_header(struct join *j, const struct tok_header *h)
{
    if (j->header[h->kind].kind)
        return 0;
    if (!j->scratch && !(j->scratch = calloc(TOK_PAIR + 1, sizeof *j->scratch)))
        return err_set(ERR_NOMEM, "no memory for a join");
    j->header[h->kind] = *h;
    j->header[h->kind].provenance = NULL;
    return tok_scratch_init(&j->scratch[h->kind], h, true);
}

int join_add(struct join *j, const struct tok_header *h, int source, const struct tok_record *record)
{
    size_t size = tok_record_size(record);
    uint8_t *bytes;
    int rc;

    if ((rc = note_header(j, h)) != 0)
        return rc;
    if (j->count == j->room) {
        size_t room = j->room ? 2 * j->room : 1024;
        struct join_item *more = realloc(j->item, room * sizeof *more);

        if (!more)
            return err_set(ERR_NOMEM, "no memory for %zu records", room);
        j->item = more;
        j->room = room;
    }
    if (!(bytes = take_bytes(j, size)))
        return err_set(ERR_NOMEM, "no memory for record %zu", j->count);
    tok_record_encode(bytes, record);
    j->item[j->count++] = (struct join_item){.hash = hash_key(j->seed, record->key, record->key_size, 0), .bytes = bytes,
                                             .size = (uint32_t)size, .kind = (uint32_t)h->kind & 3u,
                                             .source = (uint32_t)source & 0x3fffffffu};
    return 0;
}

/* ---- order ------------------------------------------------------------------------------------------------------ */

static size_t key_of(const struct join_item *x, const uint8_t **key)
{
    size_t size = get_u16(x->bytes);

    *key = x->bytes + x->size - size - (size & 1);
    return size;
}

static uint32_t variant_of(const struct join_item *x)
{
    return get_u32(x->bytes + 4);
}

static int compare_keys(const struct join_item *a, const struct join_item *b)
{
    const uint8_t *x, *y;
    size_t n = key_of(a, &x), m = key_of(b, &y);
    int c;

    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    c = memcmp(x, y, n < m ? n : m);
    return c ? c : n < m ? -1 : n > m;
}

/* Equal records of one kind stand in the order of their inputs, so that the first of them is kept. */
static int compare(const void *p, const void *q)
{
    const struct join_item *a = p, *b = q;
    int c = compare_keys(a, b);

    if (c)
        return c;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (variant_of(a) != variant_of(b))
        return variant_of(a) < variant_of(b) ? -1 : 1;
    if (a->source != b->source)
        return a->source < b->source ? -1 : 1;
    return a->size < b->size ? -1 : a->size > b->size ? 1 : memcmp(a->bytes, b->bytes, a->size);
}

void join_sort(struct join *j)
{
    if (j->count)
        qsort(j->item, j->count, sizeof *j->item, compare);
    j->text = j->texts = j->image = j->images = j->i = j->j = 0;
}

/* ---- giving out ------------------------------------------------------------------------------------------------- */

/* The next group of equal keys: its texts, or pairs, then its images. */
static bool next_group(struct join *j)
{
    size_t at = j->image + j->images;
    const struct join_item *x = j->item + at;

    if (at == j->count)
        return false;
    j->text = at;
    while (at < j->count && x->kind != TOK_IMAGE && j->item[at].kind == x->kind && compare_keys(x, j->item + at) == 0)
        at++;
    j->texts = at - j->text;
    j->image = at;
    while (at < j->count && x->kind != TOK_PAIR && j->item[at].kind == TOK_IMAGE && compare_keys(x, j->item + at) == 0)
        at++;
    j->images = at - j->image;
    j->i = j->j = 0;
    j->factor = j->texts ? variant_of(j->item + j->text + j->texts - 1) + 1 : 1;
    return true;
}

static int decode(struct join *j, struct tok_record *r, const struct join_item *x)
{
    size_t used;

    return tok_record_decode(r, &used, x->bytes, x->size, &j->header[x->kind], &j->scratch[x->kind], 0);
}

static int reject(struct join *j, struct joined *out, const struct join_item *x, const char *problem)
{
    int rc = decode(j, &out->record, x);

    out->record.text_count = out->record.image_count = 0;
    out->source = (int)x->source;
    out->problem = problem;
    return rc < 0 ? rc : 1;
}

static bool is_repeated(const struct join_item *x, size_t i)
{
    return i > 0 && variant_of(x + i) == variant_of(x + i - 1);
}

/* One text by itself: a pair that is joined already, or one without images. */
static int next_alone(struct join *j, struct joined *out)
{
    const struct join_item *x = j->item + j->text;
    size_t i = j->j++;
    int rc;

    if (is_repeated(x, i))
        return reject(j, out, x + i, "the same key and variant a second time");
    if (x->kind == TOK_TEXT)
        return reject(j, out, x + i, "text without image");
    if ((rc = decode(j, &out->record, x + i)) != 0)
        return rc;
    out->source = (int)x[i].source;
    out->problem = NULL;
    return 1;
}

static int next_product(struct join *j, struct joined *out)
{
    const struct join_item *t = j->item + j->text, *x = j->item + j->image;
    struct tok_record text;
    uint64_t variant;
    int rc;

    if (j->j == 0 && (j->texts == 0 || is_repeated(x, j->i)))
        return reject(j, out, x + j->i++, j->texts ? "the same key and variant a second time" : "image without text");
    if ((rc = decode(j, &text, t + j->j)) != 0 || (rc = decode(j, &out->record, x + j->i)) != 0)
        return rc;
    out->record.text = text.text;
    out->record.text_count = text.text_count;
    variant = (uint64_t)out->record.variant * j->factor + text.variant;
    out->record.variant = (uint32_t)variant;
    out->source = (int)x[j->i].source;
    out->problem = NULL;
    if (++j->j == j->texts) {
        j->j = 0;
        j->i++;
    }
    if (j->factor == 0 || variant > UINT32_MAX) {
        out->problem = "variants too large to number the pairs";
        out->record.text_count = out->record.image_count = 0;
    }
    return 1;
}

/* Texts that come twice are reported, and taken out of the group, before its pairs are made. */
static bool drop_repeated_text(struct join *j, struct join_item *dropped)
{
    struct join_item *t = j->item + j->text;

    for (size_t i = 1; i < j->texts; i++)
        if (is_repeated(t, i)) {
            *dropped = t[i];
            memmove(t + 1, t, i * sizeof *t);
            j->text++;
            j->texts--;
            return true;
        }
    return false;
}

int join_next(struct join *j, struct joined *out)
{
    struct join_item dropped;

    for (;;) {
        bool pairs = j->texts && j->item[j->text].kind == TOK_PAIR;

        if (j->images && j->i == 0 && j->j == 0 && drop_repeated_text(j, &dropped))
            return reject(j, out, &dropped, "the same key and variant a second time");
        if (j->images ? j->i < j->images : j->j < j->texts)
            return pairs || !j->images ? next_alone(j, out) : next_product(j, out);
        if (!next_group(j))
            return 0;
    }
}

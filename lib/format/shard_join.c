/* SPDX-License-Identifier: MIT */
/* shard_join.c -- a sort brings equal keys together and puts them in their random order at once.
 *
 * Of a key the texts come first and are kept; then each image meets all of them and is let go.
 */
#include "format/shard_join.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "format/shard_runs.h"
#include "format/tok_bytes.h"

static const char twice[] = "the same key and variant a second time";

struct kept_text {
    size_t at;       /* in text_bytes */
    uint32_t size, variant;
    int source;
};

struct join {
    uint64_t seed;
    size_t memory;
    struct runs *runs;                        /* owned */
    struct tok_header header[TOK_PAIR + 1];   /* [kind], without provenance; kind 0: none of it was added yet */
    struct tok_scratch scratch[TOK_PAIR + 1]; /* owned */
    const struct run_item *item;              /* borrowed: the item at hand; NULL: ask for the next */

    /* the key whose items come now */
    uint64_t hash;
    uint8_t key[TOK_KEY_MAX];
    size_t key_size;         /* 0: none yet */
    struct kept_text *text;  /* owned; [texts], variants rise */
    size_t texts, text_room;
    uint8_t *text_bytes;     /* owned */
    size_t text_used, text_bytes_room;
    size_t at;               /* the next text to meet the image, or to be given up */
    bool any;                /* an image or a pair of it came */
    uint32_t variant;        /* of the last one */
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

int join_create(struct join **to, uint64_t seed, size_t memory, const char *folder)
{
    struct join *j = calloc(1, sizeof *j);
    int rc;

    *to = NULL;
    if (!j)
        return err_set(ERR_NOMEM, "no memory for a join");
    j->seed = seed;
    j->memory = memory;
    if ((rc = runs_create(&j->runs, memory, folder)) != 0)
        join_free(j);
    else
        *to = j;
    return rc;
}

void join_free(struct join *j)
{
    if (!j)
        return;
    runs_free(j->runs);
    for (int k = 0; k <= TOK_PAIR; k++)
        tok_scratch_fini(&j->scratch[k]);
    free(j->text);
    free(j->text_bytes);
    free(j);
}

uint64_t join_spilled(const struct join *j)
{
    return runs_spilled(j->runs);
}

int join_add(struct join *j, const struct tok_header *h, int source, const struct tok_record *record)
{
    int rc;

    if (!j->header[h->kind].kind) {
        if ((rc = tok_scratch_init(&j->scratch[h->kind], h, true)) != 0)
            return rc;
        j->header[h->kind] = *h;
        j->header[h->kind].provenance = NULL;
    }
    return runs_add(j->runs, hash_key(j->seed, record->key, record->key_size, 0), h->kind, source, record);
}

int join_sort(struct join *j)
{
    return runs_sort(j->runs);
}

/* ---- the key at hand -------------------------------------------------------------------------------------------- */

static bool is_same_key(const struct join *j, const struct run_item *x)
{
    const uint8_t *key;

    return x->hash == j->hash && run_key(x, &key) == j->key_size && memcmp(key, j->key, j->key_size) == 0;
}

static void start_key(struct join *j, const struct run_item *x)
{
    const uint8_t *key;

    j->hash = x->hash;
    j->key_size = run_key(x, &key);
    memcpy(j->key, key, j->key_size);
    j->texts = j->text_used = j->at = 0;
    j->any = false;
}

/* p with room for need bytes, the old ones kept; NULL: no memory, p is what it was. */
static void *grow(void *p, size_t *room, size_t need)
{
    size_t more = *room ? *room : 4096;

    while (more < need)
        more *= 2;
    if (more > *room && (p = realloc(p, more)))
        *room = more;
    return p;
}

static int keep_text(struct join *j, const struct run_item *x)
{
    void *texts, *bytes;

    if (j->text_used + x->size > j->memory)
        return err_set(ERR_LIMIT, "key %.*s: its texts alone take more than %zu bytes of memory",
                       j->key_size < 500 ? (int)j->key_size : 500, (const char *)j->key, j->memory);
    if ((texts = grow(j->text, &j->text_room, (j->texts + 1) * sizeof *j->text)))
        j->text = texts;
    if ((bytes = grow(j->text_bytes, &j->text_bytes_room, j->text_used + x->size)))
        j->text_bytes = bytes;
    if (!texts || !bytes)
        return err_set(ERR_NOMEM, "no memory for the texts of a key");
    memcpy(j->text_bytes + j->text_used, x->bytes, x->size);
    j->text[j->texts++] = (struct kept_text){j->text_used, x->size, run_variant(x), (int)x->source};
    j->text_used += x->size;
    return 0;
}

/* ---- giving out ------------------------------------------------------------------------------------------------- */

static int view(struct join *j, struct tok_record *r, enum tok_kind kind, const uint8_t *bytes, size_t size)
{
    size_t used;

    return tok_record_view(r, &used, bytes, size, &j->header[kind], &j->scratch[kind], 0);
}

static void refuse(struct joined *out, const char *problem)
{
    out->problem = problem;
    out->record.text_count = out->record.image_count = 0;
}

static int give_item(struct join *j, struct joined *out, const struct run_item *x, const char *problem)
{
    int rc = view(j, &out->record, (enum tok_kind)x->kind, x->bytes, x->size);

    j->item = NULL;
    out->source = (int)x->source;
    out->problem = NULL;
    if (problem)
        refuse(out, problem);
    return rc < 0 ? rc : 1;
}

static int give_up_text(struct join *j, struct joined *out)
{
    const struct kept_text *t = &j->text[j->at++];
    int rc = view(j, &out->record, TOK_TEXT, j->text_bytes + t->at, t->size);

    out->source = t->source;
    refuse(out, "text without image");
    return rc < 0 ? rc : 1;
}

/* The image at hand with the next text; after the last of them it is let go. */
static int give_pair(struct join *j, struct joined *out, const struct run_item *x)
{
    const struct kept_text *t = &j->text[j->at++];
    uint32_t factor = j->text[j->texts - 1].variant + 1;
    struct tok_record text;
    uint64_t variant;
    int rc;

    if ((rc = view(j, &text, TOK_TEXT, j->text_bytes + t->at, t->size)) != 0 ||
        (rc = view(j, &out->record, TOK_IMAGE, x->bytes, x->size)) != 0)
        return rc;
    out->record.text = text.text;
    out->record.text_count = text.text_count;
    variant = (uint64_t)out->record.variant * factor + text.variant;
    out->record.variant = (uint32_t)variant;
    out->source = (int)x->source;
    out->problem = NULL;
    if (factor == 0 || variant > UINT32_MAX)
        refuse(out, "variants too large to number the pairs");
    if (j->at == j->texts) {
        j->at = 0;
        j->item = NULL;
    }
    return 1;
}

/* The item at hand, one of its key.  0: nothing comes of it yet. */
static int take(struct join *j, struct joined *out)
{
    const struct run_item *x = j->item;
    uint32_t variant = run_variant(x);
    int rc;

    if (x->kind == TOK_TEXT) {
        if (j->texts && j->text[j->texts - 1].variant == variant)
            return give_item(j, out, x, twice);
        rc = keep_text(j, x);
        j->item = NULL;
        return rc;
    }
    if (x->kind == TOK_IMAGE && !j->texts)
        return give_item(j, out, x, "image without text");
    if (j->any && j->variant == variant && j->at == 0)
        return give_item(j, out, x, twice);
    j->any = true;
    j->variant = variant;
    return x->kind == TOK_PAIR ? give_item(j, out, x, NULL) : give_pair(j, out, x);
}

int join_next(struct join *j, struct joined *out)
{
    int rc;

    for (;;) {
        if (!j->item && (rc = runs_next(j->runs, &j->item)) < 0)
            return rc;
        if (!j->item || !is_same_key(j, j->item)) {
            if (!j->any && j->at < j->texts)
                return give_up_text(j, out);
            if (!j->item)
                return 0;
            start_key(j, j->item);
        }
        if ((rc = take(j, out)) != 0)
            return rc;
    }
}

/* SPDX-License-Identifier: MIT */
/* tok_header.c -- the header: its bytes, its ranges, which headers go together, and provenance. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/bytes.h"
#include "format/tok_bytes.h"

enum { AT_VERSION = 8, AT_KIND = 12, AT_FLAGS = 16, AT_TEXT_VOCAB = 20, AT_TEXT_SLOTS = 24, AT_IMAGE_VOCAB = 28,
       AT_GRID_H = 32, AT_GRID_W = 36, AT_PROVENANCE = 40, AT_RESERVED = 44, AT_TEXT_DIGEST = 48, AT_IMAGE_DIGEST = 80 };

/* Merging stops this far below the limit, so that the programs that follow can still add their lines. */
#define PROVENANCE_KEEP (TOK_PROVENANCE_MAX - 16384)

bool tok_text_clean(const char *text, size_t size, bool lines)
{
    const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)text;
    size_t i = 0;

    while (i < size) {
        utf8proc_int32_t c = p[i];
        utf8proc_ssize_t step = 1;

        if (c >= 0x80 && (step = utf8proc_iterate(p + i, (utf8proc_ssize_t)(size - i), &c)) <= 0)
            return false;
        if ((c < 0x20 && !(lines && c == '\n')) || (c >= 0x7f && c < 0xa0))
            return false;
        i += (size_t)step;
    }
    return true;
}

const char *tok_kind_name(enum tok_kind kind)
{
    return kind == TOK_TEXT ? "text" : kind == TOK_IMAGE ? "image" : kind == TOK_PAIR ? "pair" : "unknown";
}

uint32_t tok_image_count(const struct tok_header *h)
{
    return h->kind & TOK_IMAGE ? h->grid_h * h->grid_w : 0;
}

/* ---- ranges ----------------------------------------------------------------------------------------------------- */

/* A size is in 1..max where the kind has that part, else 0. */
static bool in_range(bool has, uint32_t value, uint32_t max)
{
    return has ? value >= 1 && value <= max : value == 0;
}

int tok_header_check(const struct tok_header *h)
{
    bool text = h->kind & TOK_TEXT, image = h->kind & TOK_IMAGE;
    size_t size = h->provenance ? strlen(h->provenance) : 0;

    if (h->kind != TOK_TEXT && h->kind != TOK_IMAGE && h->kind != TOK_PAIR)
        return err_set(ERR_ARG, "kind %d is not text, image or pair", (int)h->kind);
    if (!in_range(text, h->text_vocab, TOK_VOCAB_MAX))
        return err_set(ERR_ARG, "text vocabulary %u does not fit kind %s", h->text_vocab, tok_kind_name(h->kind));
    if (!in_range(text, h->text_slots, TOK_SLOTS_MAX))
        return err_set(ERR_ARG, "%u text slots do not fit kind %s", h->text_slots, tok_kind_name(h->kind));
    if (!in_range(image, h->image_vocab, TOK_VOCAB_MAX))
        return err_set(ERR_ARG, "image vocabulary %u does not fit kind %s", h->image_vocab, tok_kind_name(h->kind));
    if (!in_range(image, h->grid_h, TOK_GRID_MAX) || !in_range(image, h->grid_w, TOK_GRID_MAX))
        return err_set(ERR_ARG, "grid %u x %u does not fit kind %s", h->grid_h, h->grid_w, tok_kind_name(h->kind));
    if ((!text && digest_known(&h->text_digest)) || (!image && digest_known(&h->image_digest)))
        return err_set(ERR_ARG, "a digest of tokens that kind %s does not have", tok_kind_name(h->kind));
    if (size > TOK_PROVENANCE_MAX)
        return err_set(ERR_ARG, "%zu bytes of provenance, more than %d", size, TOK_PROVENANCE_MAX);
    if (size && (h->provenance[size - 1] != '\n' || !tok_text_clean(h->provenance, size, true)))
        return err_set(ERR_ARG, "provenance is not lines of clean UTF-8");
    return 0;
}

/* ---- which headers go together ---------------------------------------------------------------------------------- */

static int match_digest(const char *what, const struct digest *a, const struct digest *b)
{
    char one[DIGEST_TEXT], two[DIGEST_TEXT];

    if (digest_same(a, b))
        return 0;
    digest_show(a, one);
    digest_show(b, two);
    return err_set(ERR_MISMATCH, "made with another %s: digest %s, not %s", what, two, one);
}

int tok_header_match(const struct tok_header *a, const struct tok_header *b, bool force)
{
    int rc;

    if (a->kind != b->kind)
        return err_set(ERR_MISMATCH, "%s tokens, not %s tokens", tok_kind_name(b->kind), tok_kind_name(a->kind));
    if (a->text_vocab != b->text_vocab || a->text_slots != b->text_slots)
        return err_set(ERR_MISMATCH, "text vocabulary %u in %u slots, not %u in %u", b->text_vocab, b->text_slots,
                       a->text_vocab, a->text_slots);
    if (a->image_vocab != b->image_vocab || a->grid_h != b->grid_h || a->grid_w != b->grid_w)
        return err_set(ERR_MISMATCH, "image vocabulary %u on a grid of %u x %u, not %u on %u x %u", b->image_vocab,
                       b->grid_h, b->grid_w, a->image_vocab, a->grid_h, a->grid_w);
    if (force)
        return 0;
    if ((rc = match_digest("tokenizer", &a->text_digest, &b->text_digest)) != 0)
        return rc;
    return match_digest("codebook", &a->image_digest, &b->image_digest);
}

/* ---- copies and provenance -------------------------------------------------------------------------------------- */

int tok_header_copy(struct tok_header *to, const struct tok_header *from)
{
    char *text = NULL;

    if (from->provenance && !(text = strdup(from->provenance)))
        return err_set(ERR_NOMEM, "no memory for a header");
    *to = *from;
    to->provenance = text;
    return 0;
}

void tok_header_fini(struct tok_header *h)
{
    free(h->provenance);
    h->provenance = NULL;
}

/* Is the line text[0..size), its newline included, a whole line of in? */
static bool has_line(const char *in, const char *text, size_t size)
{
    for (const char *p = in, *end; p && *p; p = end ? end + 1 : NULL) {
        if (strncmp(p, text, size) == 0)
            return true;
        end = strchr(p, '\n');
    }
    return false;
}

int tok_provenance_merge(struct tok_header *to, const char *lines)
{
    static const char more[] = "(and more lines than there is room for)\n";
    size_t used = to->provenance ? strlen(to->provenance) : 0;
    const char *next;

    if (used >= sizeof more - 1 && strcmp(to->provenance + used - (sizeof more - 1), more) == 0)
        return 0; /* it was said */

    for (const char *p = lines; p && *p; p = next) {
        const char *add = p, *end = strchr(p, '\n');
        size_t size;
        char *text;

        if (!end)
            return err_set(ERR_ARG, "provenance does not end with a newline");
        next = end + 1;
        size = (size_t)(next - p);
        if (has_line(to->provenance, p, size))
            continue;
        if (used + size > PROVENANCE_KEEP) {
            add = more;
            size = sizeof more - 1;
            next = NULL;
        }
        if (!(text = realloc(to->provenance, used + size + 1)))
            return err_set(ERR_NOMEM, "no memory for provenance");
        memcpy(text + used, add, size);
        used += size;
        text[used] = 0;
        to->provenance = text;
    }
    return 0;
}

/* ---- bytes ------------------------------------------------------------------------------------------------------ */

static size_t header_size(size_t provenance, bool shard)
{
    size_t size = TOK_FIXED_SIZE + provenance + 4;

    return shard ? (size + TOK_ALIGN - 1) / TOK_ALIGN * TOK_ALIGN : size;
}

/* A program's own line may hold any byte of an argument: what is not clean becomes '?'. */
static size_t put_line(uint8_t *to, const char *line)
{
    size_t size = strlen(line);

    for (size_t i = 0; i < size; i++)
        to[i] = (uint8_t)line[i];
    if (!tok_text_clean(line, size, false))
        for (size_t i = 0; i < size; i++)
            to[i] = to[i] < 0x20 || to[i] >= 0x7f ? '?' : to[i];
    to[size] = '\n';
    return size + 1;
}

int tok_header_encode(uint8_t **bytes, struct tok_part *part, const struct tok_header *h, const char *line, bool shard)
{
    size_t old = h->provenance ? strlen(h->provenance) : 0, all = old + (line ? strlen(line) + 1 : 0);
    uint8_t *p;
    int rc;

    *bytes = NULL;
    if ((rc = tok_header_check(h)) != 0)
        return rc;
    if (shard && h->kind != TOK_PAIR)
        return err_set(ERR_ARG, "a shard holds pairs, not %s tokens", tok_kind_name(h->kind));
    if (all > TOK_PROVENANCE_MAX)
        return err_set(ERR_LIMIT, "%zu bytes of provenance, more than %d", all, TOK_PROVENANCE_MAX);
    *part = (struct tok_part){.shard = shard, .size = header_size(all, shard)};
    if (!(p = calloc(1, part->size)))
        return err_set(ERR_NOMEM, "no memory for a header");
    memcpy(p, TOK_MAGIC, TOK_MAGIC_SIZE);
    put_u32(p + AT_VERSION, TOK_VERSION);
    put_u32(p + AT_KIND, h->kind);
    put_u32(p + AT_FLAGS, shard ? TOK_FLAG_SHARD : 0);
    put_u32(p + AT_TEXT_VOCAB, h->text_vocab);
    put_u32(p + AT_TEXT_SLOTS, h->text_slots);
    put_u32(p + AT_IMAGE_VOCAB, h->image_vocab);
    put_u32(p + AT_GRID_H, h->grid_h);
    put_u32(p + AT_GRID_W, h->grid_w);
    put_u32(p + AT_PROVENANCE, (uint32_t)all);
    memcpy(p + AT_TEXT_DIGEST, h->text_digest.byte, DIGEST_SIZE);
    memcpy(p + AT_IMAGE_DIGEST, h->image_digest.byte, DIGEST_SIZE);
    if (old)
        memcpy(p + TOK_FIXED_SIZE, h->provenance, old);
    if (line)
        put_line(p + TOK_FIXED_SIZE + old, line);
    part->crc = tok_crc(0, p, part->size - 4);
    put_u32(p + part->size - 4, part->crc);
    *bytes = p;
    return 0;
}

/* What came instead of the magic bytes? */
static int not_a_stream(const struct in *in, const uint8_t *bytes, size_t size)
{
    if (size == 0)
        return err_set(ERR_TRUNCATED, "%s: is empty: not even a header", in->name);
    if (size < TOK_MAGIC_SIZE && memcmp(bytes, TOK_MAGIC, size) == 0)
        return err_set(ERR_TRUNCATED, "%s: ends inside the header", in->name);
    if (size >= 4 && memcmp(bytes, TOK_MAGIC, 4) == 0)
        return err_set(ERR_FORMAT, "%s: newlines were converted, as in a transfer as text", in->name);
    if (bytes[0] == '{')
        return err_set(ERR_FORMAT, "%s: not a token stream but text (tok-load reads JSON lines)", in->name);
    return err_set(ERR_FORMAT, "%s: not a token stream", in->name);
}

static void decode_fixed(struct tok_header *h, const uint8_t *p)
{
    *h = (struct tok_header){.kind = (enum tok_kind)get_u32(p + AT_KIND),
                             .text_vocab = get_u32(p + AT_TEXT_VOCAB),
                             .text_slots = get_u32(p + AT_TEXT_SLOTS),
                             .image_vocab = get_u32(p + AT_IMAGE_VOCAB),
                             .grid_h = get_u32(p + AT_GRID_H),
                             .grid_w = get_u32(p + AT_GRID_W)};
    memcpy(h->text_digest.byte, p + AT_TEXT_DIGEST, DIGEST_SIZE);
    memcpy(h->image_digest.byte, p + AT_IMAGE_DIGEST, DIGEST_SIZE);
}

/* The rest of the header behind its fixed bytes: provenance, padding, CRC. */
static int read_rest(char **provenance, struct tok_part *part, const uint8_t *fixed, struct in *in)
{
    size_t text = get_u32(fixed + AT_PROVENANCE), rest = (size_t)part->size - TOK_FIXED_SIZE;
    uint8_t *p = malloc(rest + 1);
    int64_t got;
    int rc = 0;

    if (!p)
        return err_set(ERR_NOMEM, "%s: no memory for the header", in->name);
    if ((got = in_read(in, p, rest)) < 0)
        rc = (int)got;
    else if ((size_t)got < rest)
        rc = err_set(ERR_TRUNCATED, "%s: ends inside the header", in->name);
    else if ((part->crc = get_u32(p + rest - 4)) !=
             tok_crc(tok_crc(0, fixed, TOK_FIXED_SIZE), p, rest - 4))
        rc = err_set(ERR_FORMAT, "%s: the header is damaged (CRC)", in->name);
    for (size_t i = text; rc == 0 && i < rest - 4; i++)
        if (p[i])
            rc = err_set(ERR_FORMAT, "%s: the header's padding is not zero", in->name);
    if (rc == 0 && memchr(p, 0, text))
        rc = err_set(ERR_FORMAT, "%s: the provenance holds a NUL", in->name);
    p[text] = 0;
    if (rc == 0)
        *provenance = (char *)p;
    else
        free(p);
    return rc;
}

int tok_header_read(struct tok_header *h, struct tok_part *part, struct in *in)
{
    uint8_t fixed[TOK_FIXED_SIZE];
    int64_t got = in_read(in, fixed, sizeof fixed);
    uint32_t flags;
    int rc;

    *h = (struct tok_header){0};
    if (got < 0)
        return (int)got;
    if (got < TOK_MAGIC_SIZE || memcmp(fixed, TOK_MAGIC, TOK_MAGIC_SIZE) != 0)
        return not_a_stream(in, fixed, (size_t)got);
    if (got >= AT_KIND && get_u32(fixed + AT_VERSION) != TOK_VERSION)
        return err_set(ERR_UNSUPPORTED, "%s: a token stream of version %u; this program reads version %d", in->name,
                       get_u32(fixed + AT_VERSION), TOK_VERSION);
    if (got < TOK_FIXED_SIZE)
        return err_set(ERR_TRUNCATED, "%s: ends inside the header", in->name);
    flags = get_u32(fixed + AT_FLAGS);
    if (get_u32(fixed + AT_PROVENANCE) > TOK_PROVENANCE_MAX)
        return err_set(ERR_FORMAT, "%s: %u bytes of provenance, more than %d", in->name,
                       get_u32(fixed + AT_PROVENANCE), TOK_PROVENANCE_MAX);
    part->shard = flags & TOK_FLAG_SHARD;
    part->size = header_size(get_u32(fixed + AT_PROVENANCE), part->shard);
    decode_fixed(h, fixed);
    if ((rc = read_rest(&h->provenance, part, fixed, in)) != 0)
        return rc;
    if ((flags & TOK_FLAGS_RESERVED) || get_u32(fixed + AT_RESERVED))
        rc = err_set(ERR_FORMAT, "%s: reserved bits of the header are set", in->name);
    else if (part->shard && h->kind != TOK_PAIR)
        rc = err_set(ERR_FORMAT, "%s: a shard of %s tokens", in->name, tok_kind_name(h->kind));
    else if (tok_header_check(h) != 0)
        rc = err_set(ERR_FORMAT, "%s: %s", in->name, err_text());
    if (rc != 0)
        tok_header_fini(h);
    return rc;
}

/* SPDX-License-Identifier: MIT */
/* tok_json.c -- numbers are copied from a table of their digits, eight bytes at a time; lines are parsed by jansson. */
#include "format/tok_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "format/tok_bytes.h"

#define LINE_TOKENS_MAX (TOK_GRID_MAX * TOK_GRID_MAX) /* more than TOK_SLOTS_MAX */

/* ---- to text ---------------------------------------------------------------------------------------------------- */

void tok_text_fini(struct tok_text *t)
{
    free(t->bytes);
    free(t->number);
    *t = (struct tok_text){0};
}

static int reserve(struct tok_text *t, size_t size)
{
    size_t room = t->room ? t->room : 65536;
    char *p;

    if (size <= t->room - t->used)
        return 0;
    while (room - t->used < size)
        room *= 2;
    if (!(p = realloc(t->bytes, room)))
        return err_set(ERR_NOMEM, "no memory for a line");
    t->bytes = p;
    t->room = room;
    return 0;
}

static void put(struct tok_text *t, const char *text)
{
    size_t size = strlen(text);

    memcpy(t->bytes + t->used, text, size);
    t->used += size;
}

/* The text is clean (no control characters), so only two characters need care. */
static void put_string(struct tok_text *t, const char *text, size_t size)
{
    char *to = t->bytes + t->used;

    *to++ = '"';
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '"' || text[i] == '\\')
            *to++ = '\\';
        *to++ = text[i];
    }
    *to++ = '"';
    t->used = (size_t)(to - t->bytes);
}

static int make_numbers(struct tok_text *t, uint32_t count)
{
    if (count <= t->numbers)
        return 0;
    free(t->number);
    t->numbers = 0;
    if (!(t->number = malloc(sizeof *t->number * count)))
        return err_set(ERR_NOMEM, "no memory for a table of numbers");
    for (uint32_t i = 0; i < count; i++) {
        char digits[8] = {0};
        int size = snprintf(digits, sizeof digits, "%u,", i & 0xffff);

        digits[7] = (char)size;
        memcpy(&t->number[i], digits, 8);
    }
    t->numbers = count;
    return 0;
}

/* "1,2,3" -- each number takes eight bytes and gives back what is too much. */
static void put_tokens(struct tok_text *t, const uint16_t *v, uint32_t n)
{
    char *to = t->bytes + t->used;

    for (uint32_t i = 0; i < n; i++) {
        memcpy(to, &t->number[v[i]], 8);
        to += to[7];
    }
    t->used = (size_t)(to - t->bytes) - (n > 0);
}

static void put_rows(struct tok_text *t, const uint16_t *v, uint32_t h, uint32_t w)
{
    for (uint32_t y = 0; y < h; y++) {
        put(t, y ? ",[" : "[");
        put_tokens(t, v + (size_t)y * w, w);
        put(t, "]");
    }
}

int tok_text_record(struct tok_text *t, const struct tok_header *h, const struct tok_record *r, bool rows)
{
    char number[32];
    int rc;

    if ((rc = reserve(t, 128 + 2 * (size_t)r->key_size + 8 * ((size_t)r->text_count + r->image_count) +
                             4 * (size_t)h->grid_h)) != 0 ||
        (rc = make_numbers(t, h->text_vocab > h->image_vocab ? h->text_vocab : h->image_vocab)) != 0)
        return rc;
    put(t, "{\"key\":");
    put_string(t, r->key, r->key_size);
    snprintf(number, sizeof number, ",\"variant\":%" PRIu32, r->variant);
    put(t, number);
    if (h->kind & TOK_TEXT) {
        put(t, ",\"text\":[");
        put_tokens(t, r->text, r->text_count);
        put(t, "]");
    }
    if (h->kind & TOK_IMAGE) {
        put(t, ",\"image\":[");
        if (rows)
            put_rows(t, r->image, h->grid_h, h->grid_w);
        else
            put_tokens(t, r->image, r->image_count);
        put(t, "]");
    }
    put(t, "}\n");
    return 0;
}

static void put_digest(struct tok_text *t, const char *name, const struct digest *d)
{
    char hex[DIGEST_TEXT], field[128];

    digest_show(d, hex);
    if (digest_known(d))
        snprintf(field, sizeof field, ",\"%s\":\"%s\"", name, hex);
    else
        snprintf(field, sizeof field, ",\"%s\":null", name);
    put(t, field);
}

int tok_text_header(struct tok_text *t, const struct tok_header *h, bool shard)
{
    char field[256];
    int rc;

    if ((rc = reserve(t, 1024 + 4 * (h->provenance ? strlen(h->provenance) : 0))) != 0)
        return rc;
    snprintf(field, sizeof field, "{\"armchair\":\"tok\",\"version\":%d,\"kind\":\"%s\",\"layout\":\"%s\"", TOK_VERSION,
             tok_kind_name(h->kind), shard ? "shard" : "stream");
    put(t, field);
    if (h->kind & TOK_TEXT) {
        snprintf(field, sizeof field, ",\"text_vocab\":%u,\"text_slots\":%u", h->text_vocab, h->text_slots);
        put(t, field);
        put_digest(t, "text_digest", &h->text_digest);
    }
    if (h->kind & TOK_IMAGE) {
        snprintf(field, sizeof field, ",\"image_vocab\":%u,\"grid\":[%u,%u]", h->image_vocab, h->grid_h, h->grid_w);
        put(t, field);
        put_digest(t, "image_digest", &h->image_digest);
    }
    put(t, ",\"provenance\":[");
    for (const char *p = h->provenance, *end; p && *p; p = end + 1) {
        end = strchr(p, '\n'); /* every line has one: tok_header_check */
        if (p != h->provenance)
            put(t, ",");
        put_string(t, p, (size_t)(end - p));
    }
    put(t, "]}\n");
    return 0;
}

/* ---- from text -------------------------------------------------------------------------------------------------- */

void tok_line_fini(struct tok_line *l)
{
    json_decref(l->json);
    free(l->text);
    free(l->image);
    tok_header_fini(&l->header);
    *l = (struct tok_line){0};
}

static int get_u32_field(uint32_t *to, const json_t *object, const char *name, uint64_t most)
{
    const json_t *v = json_object_get(object, name);

    if (!json_is_integer(v) || json_integer_value(v) < 0 || (uint64_t)json_integer_value(v) > most)
        return err_set(ERR_FORMAT, "\"%s\" is not a whole number in 0..%" PRIu64, name, most);
    *to = (uint32_t)json_integer_value(v);
    return 0;
}

static int get_digest_field(struct digest *d, const json_t *object, const char *name)
{
    const json_t *v = json_object_get(object, name);

    if (!v || json_is_null(v))
        return 0;
    if (!json_is_string(v) || !digest_parse(d, json_string_value(v)))
        return err_set(ERR_FORMAT, "\"%s\" is neither null nor 64 hexadecimal digits", name);
    return 0;
}

/* Every field must be one of names, so that a misspelt one is not lost without a word. */
static int known_fields(json_t *object, const char *const *names)
{
    const char *field;
    json_t *value;

    json_object_foreach(object, field, value) {
        int i = 0;

        while (names[i] && strcmp(names[i], field) != 0)
            i++;
        if (!names[i])
            return err_set(ERR_FORMAT, "a field \"%.100s\" that does not belong there", field);
    }
    return 0;
}

static int get_provenance(struct tok_header *h, const json_t *object)
{
    const json_t *list = json_object_get(object, "provenance"), *line;
    size_t i, size = 0;

    if (!list)
        return 0;
    if (!json_is_array(list))
        return err_set(ERR_FORMAT, "\"provenance\" is not a list");
    json_array_foreach(list, i, line) {
        const char *text = json_string_value(line);
        size_t n = text ? strlen(text) : 0;
        char *more;

        if (!text || !tok_text_clean(text, n, false) || size + n + 1 > TOK_PROVENANCE_MAX)
            return err_set(ERR_FORMAT, "\"provenance\" is not lines of at most %d bytes in all", TOK_PROVENANCE_MAX);
        if (!(more = realloc(h->provenance, size + n + 2)))
            return err_set(ERR_NOMEM, "no memory for provenance");
        h->provenance = more;
        memcpy(more + size, text, n);
        memcpy(more + size + n, "\n", 2);
        size += n + 1;
    }
    return 0;
}

static int parse_kind(struct tok_header *h, const json_t *object)
{
    const char *kind = json_string_value(json_object_get(object, "kind"));

    for (int k = TOK_TEXT; kind && k <= TOK_PAIR; k++)
        if (strcmp(kind, tok_kind_name((enum tok_kind)k)) == 0) {
            h->kind = (enum tok_kind)k;
            return 0;
        }
    return err_set(ERR_FORMAT, "\"kind\" is not \"text\", \"image\" or \"pair\"");
}

static int parse_layout(bool *shard, const json_t *object)
{
    const json_t *layout = json_object_get(object, "layout");
    const char *name = json_string_value(layout);

    if (layout && (!name || (strcmp(name, "shard") != 0 && strcmp(name, "stream") != 0)))
        return err_set(ERR_FORMAT, "\"layout\" is not \"stream\" or \"shard\"");
    *shard = layout && strcmp(name, "shard") == 0;
    return 0;
}

static int parse_header(struct tok_line *l, json_t *object)
{
    static const char *const names[] = {"armchair", "version", "kind", "layout", "text_vocab", "text_slots", "text_digest",
                                        "image_vocab", "grid", "image_digest", "provenance", NULL};
    const char *what = json_string_value(json_object_get(object, "armchair"));
    const json_t *version = json_object_get(object, "version"), *grid = json_object_get(object, "grid");
    struct tok_header *h = &l->header;
    int rc;

    if (!what || strcmp(what, "tok") != 0)
        return err_set(ERR_FORMAT, "not the header of a token stream: \"armchair\" is not \"tok\"");
    if (version && json_integer_value(version) != TOK_VERSION)
        return err_set(ERR_UNSUPPORTED, "another version than %d", TOK_VERSION);
    if ((rc = known_fields(object, names)) != 0 || (rc = parse_kind(h, object)) != 0 ||
        (rc = parse_layout(&l->shard, object)) != 0)
        return rc;
    if (h->kind & TOK_TEXT && ((rc = get_u32_field(&h->text_vocab, object, "text_vocab", TOK_VOCAB_MAX)) != 0 ||
                               (rc = get_u32_field(&h->text_slots, object, "text_slots", TOK_SLOTS_MAX)) != 0))
        return rc;
    if (h->kind & TOK_IMAGE) {
        const json_t *y = json_array_get(grid, 0), *x = json_array_get(grid, 1);

        if ((rc = get_u32_field(&h->image_vocab, object, "image_vocab", TOK_VOCAB_MAX)) != 0)
            return rc;
        if (json_array_size(grid) != 2 || !json_is_integer(y) || !json_is_integer(x) || json_integer_value(y) < 1 ||
            json_integer_value(y) > TOK_GRID_MAX || json_integer_value(x) < 1 || json_integer_value(x) > TOK_GRID_MAX)
            return err_set(ERR_FORMAT, "\"grid\" is not [height, width] in 1..%d", TOK_GRID_MAX);
        h->grid_h = (uint32_t)json_integer_value(y);
        h->grid_w = (uint32_t)json_integer_value(x);
    }
    if ((rc = get_digest_field(&h->text_digest, object, "text_digest")) != 0 ||
        (rc = get_digest_field(&h->image_digest, object, "image_digest")) != 0 ||
        (rc = get_provenance(h, object)) != 0)
        return rc;
    return tok_header_check(h) != 0 ? err_set(ERR_FORMAT, "%s", err_text()) : 0;
}

/* Append a list of numbers to v[*n..room). */
static int get_flat(uint16_t *v, uint32_t *n, size_t room, const json_t *list, const char *name)
{
    const json_t *item;
    size_t i;

    json_array_foreach(list, i, item) {
        if (!json_is_integer(item) || json_integer_value(item) < 0 || json_integer_value(item) > 0xffff || *n >= room)
            return err_set(ERR_FORMAT, "\"%s\" is not a list of numbers in 0..65535", name);
        v[(*n)++] = (uint16_t)json_integer_value(item);
    }
    return 0;
}

/* A list of numbers, or of lists of numbers: rows. */
static int get_tokens(uint16_t **v, uint32_t *n, const json_t *object, const char *name, bool rows)
{
    const json_t *list = json_object_get(object, name), *row;
    size_t i, room = json_array_size(list);
    int rc = 0;

    *n = 0;
    if (!list)
        return 0;
    if (!json_is_array(list))
        return err_set(ERR_FORMAT, "\"%s\" is not a list", name);
    rows = rows && json_is_array(json_array_get(list, 0));
    if (rows) {
        room = 0;
        json_array_foreach(list, i, row)
            room += json_array_size(row);
    }
    if (room > LINE_TOKENS_MAX)
        return err_set(ERR_FORMAT, "\"%s\" has more than %d tokens", name, LINE_TOKENS_MAX);
    if (!(*v = malloc(2 * room + 1)))
        return err_set(ERR_NOMEM, "no memory for tokens");
    if (!rows)
        return get_flat(*v, n, room, list, name);
    json_array_foreach(list, i, row) {
        if (!json_is_array(row))
            return err_set(ERR_FORMAT, "\"%s\" mixes rows and numbers", name);
        if ((rc = get_flat(*v, n, room, row, name)) != 0)
            return rc;
    }
    return 0;
}

static int parse_record(struct tok_line *l, json_t *object)
{
    static const char *const names[] = {"key", "variant", "text", "image", NULL};
    const json_t *key = json_object_get(object, "key");
    struct tok_record *r = &l->record;
    int rc;

    if (!json_is_string(key) || json_string_length(key) > TOK_KEY_MAX)
        return err_set(ERR_FORMAT, "\"key\" is not a string of at most %d bytes", TOK_KEY_MAX);
    if ((rc = known_fields(object, names)) != 0)
        return rc;
    if (json_object_get(object, "variant") && (rc = get_u32_field(&r->variant, object, "variant", UINT32_MAX)) != 0)
        return rc;
    if ((rc = get_tokens(&l->text, &r->text_count, object, "text", false)) != 0 ||
        (rc = get_tokens(&l->image, &r->image_count, object, "image", true)) != 0)
        return rc;
    r->key = json_string_value(key);
    r->key_size = (uint32_t)json_string_length(key);
    r->text = l->text;
    r->image = l->image;
    return 0;
}

int tok_line_parse(struct tok_line *l, const char *line, size_t size)
{
    json_error_t why;
    json_t *object;

    tok_line_fini(l);
    l->json = object = json_loadb(line, size, JSON_REJECT_DUPLICATES, &why);
    if (!object)
        return err_set(ERR_FORMAT, "not JSON: %s", why.text);
    if (!json_is_object(object))
        return err_set(ERR_FORMAT, "not a JSON object");
    l->is_header = json_object_get(object, "armchair") != NULL;
    return l->is_header ? parse_header(l, object) : parse_record(l, object);
}

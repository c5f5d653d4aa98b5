/* SPDX-License-Identifier: MIT */
/* bpe_json.c -- read tokenizer.json.  A field that would change ids and that we do not do is refused by its name; so are
 * fields that we do not know, for the same reason. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/io.h"
#include "text/alphabet.h"
#include "text/bpe.h"
#include "text/bpe_table.h"
#include "text/normalise.h"

enum { FILE_MAX = 256 << 20 };

static int unsupported(const char *what, const char *name)
{
    return err_set(ERR_UNSUPPORTED, "not supported: %s%s%s", what, name ? " " : "", name ? name : "");
}

/* The text of a string field, or what it is instead. */
static const char *text_of(const json_t *value)
{
    static const char *const kinds[] = {"{...}", "[...]", "", "number", "number", "true", "false", "null"};

    return json_is_string(value) ? json_string_value(value) : value ? kinds[json_typeof(value)] : "without a type";
}

/* Is a field absent, null, false, zero, or empty? */
static bool is_off(const json_t *object, const char *field)
{
    const json_t *value = json_object_get(object, field);

    return !value || json_is_null(value) || json_is_false(value) ||
           (json_is_string(value) && json_string_length(value) == 0) || (json_is_array(value) && json_array_size(value) == 0) ||
           (json_is_number(value) && json_number_value(value) == 0);
}

/* Refuse fields of object that are not in the list (NULL ends it). */
static int known_fields(json_t *object, const char *what, const char *const *list)
{
    const char *key;
    json_t *value;

    json_object_foreach(object, key, value) {
        int i = 0;

        while (list[i] && strcmp(list[i], key) != 0)
            i++;
        if (!list[i])
            return err_set(ERR_UNSUPPORTED, "not supported: %s field \"%.100s\"", what, key);
    }
    return 0;
}

/* ---- normalizer, pre_tokenizer, and what must be off --------------------------------------------------------------- */

static int read_normalizer(struct bpe *b, const json_t *root)
{
    const json_t *value = json_object_get(root, "normalizer"), *list = NULL;
    size_t count = 1;

    if (!value || json_is_null(value))
        return 0;
    if (strcmp(text_of(json_object_get(value, "type")), "Sequence") == 0) {
        list = json_object_get(value, "normalizers");
        count = json_array_size(list);
    }
    for (size_t i = 0; i < count; i++) {
        const char *type = text_of(json_object_get(list ? json_array_get(list, i) : value, "type"));
        int one = strcmp(type, "NFC") == 0 ? NORMALISE_NFC : strcmp(type, "Lowercase") == 0 ? NORMALISE_LOWER : 0;

        if (!one)
            return unsupported("normalizer", type);
        if (one == NORMALISE_NFC && (b->how & NORMALISE_LOWER))
            return unsupported("normalizer NFC", "after Lowercase");
        b->how |= one;
    }
    return 0;
}

static int check_byte_level(const json_t *value, bool use_regex)
{
    const json_t *regex = json_object_get(value, "use_regex");

    if (strcmp(text_of(json_object_get(value, "type")), "ByteLevel") != 0)
        return unsupported("pre_tokenizer", text_of(json_object_get(value, "type")));
    if (!is_off(value, "add_prefix_space") || !json_object_get(value, "add_prefix_space")) /* on unless said */
        return unsupported("pre_tokenizer ByteLevel", "with add_prefix_space");
    if ((!regex || json_is_true(regex)) != use_regex)
        return unsupported("pre_tokenizer ByteLevel", use_regex ? "without use_regex" : "with use_regex after Split");
    return 0;
}

/* Split on what formats/tokenizer.md writes for dalle. */
static int check_split(const json_t *value)
{
    const char *regex = text_of(json_object_get(json_object_get(value, "pattern"), "Regex"));

    if (strcmp(text_of(json_object_get(value, "type")), "Split") != 0)
        return unsupported("pre_tokenizer", text_of(json_object_get(value, "type")));
    if (strcmp(regex, split_regex) != 0)
        return err_set(ERR_UNSUPPORTED, "not supported: pre_tokenizer Split with pattern %.200s", regex);
    if (strcmp(text_of(json_object_get(value, "behavior")), "Isolated") != 0)
        return unsupported("pre_tokenizer Split with behavior", text_of(json_object_get(value, "behavior")));
    return is_off(value, "invert") ? 0 : unsupported("pre_tokenizer Split", "with invert");
}

static int read_pre_tokenizer(struct bpe *b, const json_t *root)
{
    const json_t *value = json_object_get(root, "pre_tokenizer"), *list;
    int rc;

    if (strcmp(text_of(json_object_get(value, "type")), "Sequence") != 0) {
        b->split = SPLIT_GPT2;
        return json_is_object(value) ? check_byte_level(value, true) : unsupported("pre_tokenizer", text_of(value));
    }
    b->split = SPLIT_DALLE;
    list = json_object_get(value, "pretokenizers");
    if ((rc = check_split(json_array_get(list, 0))) != 0)
        return rc;
    if (json_array_size(list) != 2)
        return unsupported("pre_tokenizer Sequence", "other than of Split and ByteLevel");
    return check_byte_level(json_array_get(list, 1), false);
}

/* Null, or ByteLevel, which changes no ids. */
static int check_harmless(const json_t *root, const char *field)
{
    const json_t *value = json_object_get(root, field);

    if (!value || json_is_null(value) || strcmp(text_of(json_object_get(value, "type")), "ByteLevel") == 0)
        return 0;
    return unsupported(field, text_of(json_object_get(value, "type")));
}

static int check_off(const json_t *object, const char *what, const char *const *fields)
{
    for (int i = 0; fields[i]; i++)
        if (!is_off(object, fields[i]))
            return unsupported(what, fields[i]);
    return 0;
}

static int check_root(struct bpe *b, json_t *root)
{
    static const char *const known[] = {"version", "truncation", "padding", "added_tokens", "normalizer",
                                        "pre_tokenizer", "post_processor", "decoder", "model", NULL};
    static const char *const off[] = {"truncation", "padding", NULL};
    int rc;

    if (!json_is_object(root) || !json_object_get(root, "model"))
        return err_set(ERR_FORMAT, "not a tokenizer.json: no \"model\"");
    if (strcmp(text_of(json_object_get(root, "version")), "1.0") != 0)
        return unsupported("version", text_of(json_object_get(root, "version")));
    if ((rc = known_fields(root, "top-level", known)) != 0 || (rc = check_off(root, "field", off)) != 0)
        return rc;
    if ((rc = read_normalizer(b, root)) != 0 || (rc = read_pre_tokenizer(b, root)) != 0)
        return rc;
    if ((rc = check_harmless(root, "post_processor")) != 0)
        return rc;
    return check_harmless(root, "decoder");
}

/* ---- model --------------------------------------------------------------------------------------------------------- */

static int check_model(json_t *model)
{
    static const char *const known[] = {"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
                                        "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges", NULL};
    static const char *const off[] = {"dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback",
                                      "ignore_merges", NULL};
    const json_t *type = json_object_get(model, "type");
    int rc;

    if (type && strcmp(text_of(type), "BPE") != 0) /* old files of GPT-2 have no type */
        return unsupported("model", text_of(type));
    if ((rc = known_fields(model, "model", known)) != 0)
        return rc;
    return check_off(model, "model with", off);
}

struct token {
    const char *text; /* borrowed from the JSON */
    bool added;       /* text is what it is; else it is of the byte-level alphabet */
    bool normalised;  /* added: as struct bpe_added has it */
};

/* token[id] of each id in "vocab". */
static int list_tokens(struct token *token, json_t *vocab)
{
    size_t count = json_object_size(vocab);
    const char *key;
    json_t *value;

    json_object_foreach(vocab, key, value) {
        json_int_t id = json_integer_value(value);

        if (!json_is_integer(value) || id < 0 || (size_t)id >= count)
            return err_set(ERR_FORMAT, "token %.100s: its id is not in 0..%zu", key, count - 1);
        if (token[id].text)
            return err_set(ERR_FORMAT, "tokens %.100s and %.100s have the same id", token[id].text, key);
        token[id].text = key;
    }
    return 0;
}

/* An entry of "added_tokens": one of "vocab", or the next id behind all so far. */
static int list_added(struct bpe *b, struct token *token, const json_t *vocab, json_t *entry)
{
    static const char *const known[] = {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special", NULL};
    static const char *const off[] = {"single_word", "lstrip", "rstrip", NULL};
    const json_t *id = json_object_get(entry, "id"), *same;
    const char *text = text_of(json_object_get(entry, "content"));
    char what[128];
    int rc;

    snprintf(what, sizeof what, "added_tokens %.90s with", text);
    if (!json_is_integer(id) || !json_is_string(json_object_get(entry, "content")) || !*text)
        return err_set(ERR_FORMAT, "added_tokens %.100s: not an id and a text", text);
    if ((rc = known_fields(entry, "added_tokens", known)) != 0 || (rc = check_off(entry, what, off)) != 0)
        return rc;
    same = json_object_get(vocab, text);
    if (json_integer_value(id) != (same ? json_integer_value(same) : (json_int_t)b->vocab) || (same && token[json_integer_value(id)].added))
        return err_set(ERR_FORMAT, "added_tokens %.100s: its id is not the one it has, nor the next one", text);
    b->vocab += !same;
    token[json_integer_value(id)] = (struct token){text, true, !is_off(entry, "normalized")};
    return 0;
}

static int read_bytes(struct bpe *b, const struct token *token, struct normalised *normal)
{
    size_t at = 0;
    int rc;

    for (size_t i = 0; i < b->vocab; i++) {
        size_t length = strlen(token[i].text);
        int64_t size;

        b->at[i] = (uint32_t)at;
        if (token[i].added) {
            if ((rc = normalise(normal, token[i].text, length, token[i].normalised ? b->how : 0)) != 0)
                return rc;
            memcpy(b->bytes + at, normal->text, normal->size);
            size = (int64_t)normal->size;
        } else if ((size = alphabet_read(b->bytes + at, token[i].text, length)) <= 0) {
            return err_set(ERR_UNSUPPORTED, "not supported: token \"%.100s\", not of the byte-level alphabet", token[i].text);
        }
        at += (size_t)size;
    }
    b->at[b->vocab] = (uint32_t)at;
    return 0;
}

/* Room for the bytes, and the list of added texts. */
static int read_tokens(struct bpe *b, const struct token *token)
{
    struct normalised normal = {0};
    size_t total = 0;
    int rc;

    for (size_t i = 0; i < b->vocab; i++) {
        total += (token[i].added ? NORMALISE_GROWTH : 1) * strlen(token[i].text);
        if (token[i].added)
            b->add[b->added++] = (struct bpe_added){(uint16_t)i, token[i].normalised};
    }
    b->bytes = malloc(total + 1);
    b->at = malloc(((size_t)b->vocab + 1) * sizeof *b->at);
    if (!b->bytes || !b->at)
        return err_set(ERR_NOMEM, "no memory for %u tokens", b->vocab);
    rc = read_bytes(b, token, &normal);
    normalised_fini(&normal);
    return rc;
}

static int read_vocab(struct bpe *b, json_t *vocab, json_t *added)
{
    size_t count = json_object_size(vocab), more = json_array_size(added);
    struct token *token;
    int rc;

    if (!json_is_object(vocab) || count == 0)
        return err_set(ERR_FORMAT, "no vocabulary");
    if (more > BPE_ADDED_MAX)
        return err_set(ERR_LIMIT, "%zu added_tokens; at most %u are possible", more, BPE_ADDED_MAX);
    if (count + more > BPE_VOCAB_MAX)
        return err_set(ERR_LIMIT, "%zu tokens; at most %u are possible", count + more, BPE_VOCAB_MAX);
    token = calloc(count + more, sizeof *token);
    b->add = calloc(more + 1, sizeof *b->add);
    b->vocab = (uint32_t)count;
    rc = token && b->add ? list_tokens(token, vocab) : err_set(ERR_NOMEM, "no memory for %zu tokens", count);
    for (size_t i = 0; i < more && rc == 0; i++)
        rc = list_added(b, token, vocab, json_array_get(added, i));
    if (rc == 0)
        rc = read_tokens(b, token);
    free(token);
    return rc;
}

/* "a b" or ["a","b"]: the two names; text is room for them. */
static int merge_names(char *text, size_t room, const json_t *merge, const char **left, const char **right)
{
    if (json_is_array(merge) && json_array_size(merge) == 2) {
        *left = text_of(json_array_get(merge, 0));
        *right = text_of(json_array_get(merge, 1));
        return 0;
    }
    if (json_is_string(merge) && json_string_length(merge) < room) {
        char *space;

        strcpy(text, json_string_value(merge));
        if ((space = strchr(text, ' ')) && !strchr(space + 1, ' ')) {
            *space = 0;
            *left = text;
            *right = space + 1;
            return 0;
        }
    }
    return err_set(ERR_FORMAT, "is neither \"a b\" nor [\"a\", \"b\"]");
}

static int read_merge(struct bpe_merge *to, const json_t *vocab, const json_t *merge)
{
    char text[2 * BPE_TOKEN_MAX], both[2 * BPE_TOKEN_MAX];
    const char *left = "", *right = "";
    const json_t *a, *b, *made;
    int rc;

    if ((rc = merge_names(text, sizeof text, merge, &left, &right)) != 0)
        return rc;
    if (!(a = json_object_get(vocab, left)))
        return err_set(ERR_FORMAT, "%.100s is not in the vocabulary", left);
    if (!(b = json_object_get(vocab, right)))
        return err_set(ERR_FORMAT, "%.100s is not in the vocabulary", right);
    if (strlen(left) + strlen(right) >= sizeof both)
        return err_set(ERR_LIMIT, "makes a token of more than %u bytes", BPE_TOKEN_MAX);
    strcpy(both, left);
    strcat(both, right);
    if (!(made = json_object_get(vocab, both)))
        return err_set(ERR_FORMAT, "%.100s is not in the vocabulary", both);
    *to = (struct bpe_merge){(uint16_t)json_integer_value(a), (uint16_t)json_integer_value(b),
                             (uint16_t)json_integer_value(made)};
    return 0;
}

static int read_merges(struct bpe *b, const json_t *vocab, const json_t *merges)
{
    size_t count = json_array_size(merges);
    int rc;

    if (!json_is_array(merges))
        return err_set(ERR_FORMAT, "no merges");
    if (count > BPE_MERGES_MAX)
        return err_set(ERR_LIMIT, "%zu merges; at most %u are possible", count, BPE_MERGES_MAX);
    b->merges = (uint32_t)count;
    if (!(b->merge = malloc((count + 1) * sizeof *b->merge)))
        return err_set(ERR_NOMEM, "no memory for %zu merges", count);
    for (size_t i = 0; i < count; i++)
        if ((rc = read_merge(&b->merge[i], vocab, json_array_get(merges, i))) != 0)
            return err_at(rc, "merge %zu", i);
    return 0;
}

/* An added text is decoded as it is, a token that merges make by the byte-level alphabet: they must be the same. */
static int check_added(const struct bpe *b)
{
    for (uint32_t i = 0; i < b->added; i++) {
        const char *text = b->bytes + b->at[b->add[i].id];
        size_t size = b->at[b->add[i].id + 1] - b->at[b->add[i].id];
        bool plain = true;

        for (size_t j = 0; j < size; j++)
            plain = plain && text[j] > ' ' && text[j] <= '~';
        for (uint32_t rank = 0; rank < b->merges && !plain; rank++)
            if (b->merge[rank].made == b->add[i].id)
                return err_set(ERR_UNSUPPORTED, "not supported: added_tokens %.*s, which merges make", (int)size, text);
    }
    return 0;
}

static int read_root(struct bpe *b, json_t *root)
{
    json_t *model = json_object_get(root, "model"), *vocab = json_object_get(model, "vocab");
    int rc;

    if ((rc = check_root(b, root)) != 0 || (rc = check_model(model)) != 0)
        return rc;
    if ((rc = read_vocab(b, vocab, json_object_get(root, "added_tokens"))) != 0 ||
        (rc = read_merges(b, vocab, json_object_get(model, "merges"))) != 0 || (rc = check_added(b)) != 0)
        return rc;
    return bpe_finish(b);
}

int bpe_parse(struct bpe **b, const char *name, const char *json, size_t size)
{
    json_error_t error;
    json_t *root = json_loadb(json, size, JSON_REJECT_DUPLICATES, &error);
    int rc;

    *b = NULL;
    if (!root)
        return err_set(ERR_FORMAT, "%s: line %d: %s", name, error.line, error.text);
    if (!(*b = calloc(1, sizeof **b))) {
        json_decref(root);
        return err_set(ERR_NOMEM, "%s: no memory", name);
    }
    rc = read_root(*b, root);
    json_decref(root);
    if (rc != 0) {
        bpe_free(*b);
        *b = NULL;
        return err_at(rc, "%s", name);
    }
    return 0;
}

int bpe_load(struct bpe **b, const char *path)
{
    char *json;
    size_t size;
    int rc;

    *b = NULL;
    if ((rc = file_read(path, FILE_MAX, &json, &size)) != 0)
        return rc;
    rc = bpe_parse(b, path, json, size);
    free(json);
    return rc;
}

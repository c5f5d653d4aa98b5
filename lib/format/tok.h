/* SPDX-License-Identifier: MIT */
/* tok.h -- token streams (.tok) and, with an index, shards (.shard).  The bytes: formats/tok.md, formats/shard.md.
 *
 *   header | block ... | end          cat of compatible streams is a stream: after an end another header may follow
 *
 * A record is a key, a variant number (caption or crop of a picture, candidate of a caption; 0 where there is one), and text
 * tokens, image tokens, or both.  Image tokens are always grid_h * grid_w; text tokens 0..text_slots - 1 (slot 0 is the
 * model's start token).
 *
 * Range    the limits below; every token is below its vocabulary
 * Memory   one block, at most TOK_BLOCK_MAX bytes, whatever the length of the stream
 * Errors   ERR_FORMAT, ERR_TRUNCATED, ERR_MISMATCH (a following stream of another kind or digest), ERR_UNSUPPORTED
 *          (another version), ERR_IO; the text begins with the file's name
 * Traps    a stream that ends without its end record is ERR_TRUNCATED, also when empty
 */
#ifndef FORMAT_TOK_H
#define FORMAT_TOK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/io.h"
#include "format/digest.h"

#define TOK_VERSION 1
#define TOK_KEY_MAX 4096         /* bytes of a key, at least 1, UTF-8, no control characters */
#define TOK_VOCAB_MAX 65536
#define TOK_SLOTS_MAX 65536      /* text slots */
#define TOK_GRID_MAX 1024        /* height or width of the grid */
#define TOK_PROVENANCE_MAX 65536 /* bytes */
#define TOK_BLOCK_MAX (64u << 20)
#define SHARD_MAPS_MAX 16384     /* shards of a set mapped at the same time */

enum tok_kind { TOK_TEXT = 1, TOK_IMAGE = 2, TOK_PAIR = 3 };

struct tok_header {
    enum tok_kind kind;
    uint32_t text_vocab;         /* 1..65536 for text and pair, else 0 */
    uint32_t text_slots;         /* 1..65536 for text and pair, else 0; a caption has at most text_slots - 1 tokens */
    uint32_t image_vocab;        /* 1..65536 for image and pair, else 0 */
    uint32_t grid_h, grid_w;     /* 1..1024 for image and pair, else 0 */
    struct digest text_digest;   /* of the tokenizer; zero: not known */
    struct digest image_digest;  /* of the codebook; zero: not known */
    char *provenance;            /* owned by whoever filled it: lines "program version options\n", oldest first */
};

struct tok_record {
    const char *key;             /* borrowed, NUL-terminated, valid until the next call on the stream */
    uint32_t key_size;           /* bytes without the NUL */
    uint32_t variant;
    const uint16_t *text;        /* borrowed; NULL where the kind has none */
    uint32_t text_count;
    const uint16_t *image;       /* borrowed; NULL where the kind has none */
    uint32_t image_count;
};

/* ---- reading, front to back -------------------------------------------------------------------------------------- */

struct tok_reader;

/* Open a path, "-" or NULL for stdin, and read the header. */
must_check int tok_open(struct tok_reader **r, const char *path);
void tok_close(struct tok_reader *r);
/* The first header, borrowed; the provenance grows as further streams of a cat are met. */
const struct tok_header *tok_header_of(const struct tok_reader *r);
/* 1: a record; 0: the end, counts and checksums agree; else an error, after which nothing more may be read.
 * force: streams with other digests may follow (never other kinds or sizes). */
must_check int tok_next(struct tok_reader *r, struct tok_record *record);
void tok_allow_mismatch(struct tok_reader *r, bool force);
uint64_t tok_count(const struct tok_reader *r); /* records so far */
int64_t tok_streams(const struct tok_reader *r); /* streams of a cat met so far, at least 1 */
bool tok_is_shard(const struct tok_reader *r);  /* was the stream met last written as a shard? */

/* ---- writing ----------------------------------------------------------------------------------------------------- */

struct tok_writer;

/* Start a stream on out (opened by the caller, who also commits it after tok_end).  line is this program's provenance,
 * appended to header->provenance (NULL: none); shard: align blocks and close with an index, pairs only.  Equal headers,
 * lines and records give equal bytes.  ERR_ARG when the header is out of range, ERR_LIMIT when provenance is too long:
 * *w is NULL. */
must_check int tok_create(struct tok_writer **w, struct out *out, const struct tok_header *header, const char *line,
                          bool shard);
/* ERR_ARG when the record does not fit the header: it is not written, and others may follow. */
must_check int tok_put(struct tok_writer *w, const struct tok_record *record);
/* Last block, index, end record; frees w, also after a failure. */
must_check int tok_end(struct tok_writer *w);
void tok_drop(struct tok_writer *w); /* give up: free without writing */

/* ---- headers and records ------------------------------------------------------------------------------------------ */

/* Copy a header with its own provenance; tok_header_fini frees that. */
must_check int tok_header_copy(struct tok_header *to, const struct tok_header *from);
void tok_header_fini(struct tok_header *h);

/* Do records of b belong behind records of a?  0, or ERR_MISMATCH with what differs (both digests).  Digests that are
 * not known differ from known ones; force: digests may differ. */
must_check int tok_header_match(const struct tok_header *a, const struct tok_header *b, bool force);
/* Add those of the lines that to does not have yet, in their order.  Where there is no room, one line says so. */
must_check int tok_provenance_merge(struct tok_header *to, const char *lines);

const char *tok_kind_name(enum tok_kind kind); /* "text", "image", "pair" */

/* 64 bits of a record's content (key, variant, tokens), added up mod 2^64 they name a set of records in any order:
 * the first 8 bytes, little-endian, of the SHA-256 described in formats/tok.md.  ERR_NOMEM. */
must_check int tok_record_sum(uint64_t *sum, const struct tok_record *record);

/* ---- shards at random -------------------------------------------------------------------------------------------- */

struct shard_set;

/* Open n shard files (or a set of none: ERR_EMPTY).  All must agree in sizes and, unless force, digests.  Opening reads
 * headers and the fixed ends only; a file is mapped at its first use, at most SHARD_MAPS_MAX at a time and fewer where
 * the system allows fewer; no file stays open.  One thread at a time may use a set.  The files must not shrink while the set is open. */
must_check int shard_set_open(struct shard_set **s, const char *const *paths, int n, bool force);
void shard_set_close(struct shard_set *s);
const struct tok_header *shard_set_header(const struct shard_set *s);
uint64_t shard_set_count(const struct shard_set *s); /* pairs in all shards */
/* Pair i in O(log shards); the record is valid until the next call on the set.  The index is checked at the first use of
 * a shard, a block at its first use.  After an error other pairs may be asked for.  ERR_ARG: i is not below the count. */
must_check int shard_set_get(struct shard_set *s, uint64_t i, struct tok_record *record);

#endif

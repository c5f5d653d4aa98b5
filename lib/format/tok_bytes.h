/* SPDX-License-Identifier: MIT */
/* tok_bytes.h -- the pieces of a token stream as bytes; shared by the reader, the writer and the shard set alone.
 *
 * The tables of formats/tok.md and formats/shard.md, and the checks that every reader makes.  Nothing here keeps state.
 */
#ifndef FORMAT_TOK_BYTES_H
#define FORMAT_TOK_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/io.h"
#include "format/tok.h"

#define TOK_MAGIC "\x89" "ATK\r\n\x1a\n"
#define TOK_MAGIC_SIZE 8
#define TOK_TAG_BLOCK 0x4b4c4241u /* "ABLK" */
#define TOK_TAG_INDEX 0x58444941u /* "AIDX" */
#define TOK_TAG_END 0x444e4541u   /* "AEND" */

#define TOK_FLAG_SHARD 1u
#define TOK_FLAGS_RESERVED 0x0000fffeu /* refused; bits 16..31 are unused and ignored */

#define TOK_FIXED_SIZE 112      /* header up to its provenance */
#define TOK_BLOCK_HEAD 24
#define TOK_INDEX_HEAD 24
#define TOK_END_SIZE 48
#define TOK_RECORD_HEAD 8
#define TOK_ALIGN 4096          /* header and blocks of a shard are multiples of it */
#define TOK_BLOCK_AIM (256u << 10) /* bytes that our writers aim at */

/* What the bytes of a header say beside struct tok_header. */
struct tok_part {
    bool shard;
    uint32_t crc;  /* of the header */
    uint64_t size; /* bytes of the header */
};

struct tok_block {
    uint32_t count;  /* records, at least 1 */
    uint64_t first;  /* number of its first record in this stream */
    uint32_t size;   /* bytes of payload */
    uint32_t crc;
};

struct tok_index {
    uint32_t per_block; /* records in every block but the last */
    uint64_t blocks;
    uint32_t crc;
};

struct tok_end_record {
    uint64_t records, blocks;
    uint64_t index_at; /* offset of the index; 0: none */
    uint64_t size;     /* bytes from the header's first to this record's last */
    uint32_t header_crc;
};

/* Room for one record in the machine's own order. */
struct tok_scratch {
    bool borrow;                   /* tokens may stay in the bytes they are decoded from, where those are as the machine's own */
    uint16_t *text, *image;        /* owned */
    char key[TOK_KEY_MAX + 1];
};

must_check int tok_scratch_init(struct tok_scratch *s, const struct tok_header *h, bool borrow);
void tok_scratch_fini(struct tok_scratch *s);

uint32_t tok_image_count(const struct tok_header *h);

/* zlib's CRC-32 of more bytes, from what it was before them; 0 at the start. */
uint32_t tok_crc(uint32_t crc, const void *bytes, size_t size);

/* ERR_ARG when a field is out of its range or a text is not clean. */
must_check int tok_header_check(const struct tok_header *h);
/* The header's bytes with line behind its provenance; caller frees *bytes. */
must_check int tok_header_encode(uint8_t **bytes, struct tok_part *part, const struct tok_header *h, const char *line,
                                 bool shard);
/* Read and check a header whose first byte is the next of in.  h owns its provenance when this is 0. */
must_check int tok_header_read(struct tok_header *h, struct tok_part *part, struct in *in);

/* Records that our writers put in a block: a function of the header alone, so that equal records give equal bytes. */
uint32_t tok_block_records(const struct tok_header *h);
void tok_block_encode(uint8_t head[TOK_BLOCK_HEAD], const struct tok_block *b); /* all but the CRC */
/* Fields in range; nothing is said about the payload. */
must_check int tok_block_decode(struct tok_block *b, const uint8_t head[TOK_BLOCK_HEAD], const struct tok_header *h,
                                bool shard);
uint32_t tok_block_crc(const uint8_t head[TOK_BLOCK_HEAD], const uint8_t *payload, size_t size);

must_check int tok_index_decode(struct tok_index *x, const uint8_t head[TOK_INDEX_HEAD]);
void tok_index_encode(uint8_t head[TOK_INDEX_HEAD], const struct tok_index *x); /* all but the CRC */

void tok_end_encode(uint8_t bytes[TOK_END_SIZE], const struct tok_end_record *e);
must_check int tok_end_decode(struct tok_end_record *e, const uint8_t bytes[TOK_END_SIZE]);

/* Bytes that a record takes, its padding included. */
size_t tok_record_size(const struct tok_record *r);
must_check int tok_record_check(const struct tok_record *r, const struct tok_header *h);
void tok_record_encode(uint8_t *to, const struct tok_record *r);
/* The record in bytes[0..size), its key (and, unless s borrows, its tokens) copied to s; *used is what it takes.  number is
 * for messages.  Sizes are checked; neither the tokens nor the key's bytes are. */
must_check int tok_record_view(struct tok_record *r, size_t *used, const uint8_t *bytes, size_t size,
                               const struct tok_header *h, struct tok_scratch *s, uint64_t number);
/* The same, and all is checked. */
must_check int tok_record_decode(struct tok_record *r, size_t *used, const uint8_t *bytes, size_t size,
                                 const struct tok_header *h, struct tok_scratch *s, uint64_t number);

/* Valid UTF-8 without control characters (lines: newlines are allowed)? */
bool tok_text_clean(const char *text, size_t size, bool lines);

#endif

/* SPDX-License-Identifier: MIT */
/* tok_json.h -- token streams as JSON lines, and back without loss.  The lines: formats/tok.md, "As JSON lines".
 *
 *   {"armchair":"tok","version":1,"kind":"pair","layout":"shard",...,"provenance":["bpe-train 0.1 ..."]}
 *   {"key":"a/1","variant":0,"text":[12,7],"image":[5,5,0,1]}
 *
 * Memory   one line
 * Errors   ERR_FORMAT a line is not what is expected; ERR_NOMEM
 */
#ifndef FORMAT_TOK_JSON_H
#define FORMAT_TOK_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "format/tok.h"

/* ---- to text ---------------------------------------------------------------------------------------------------- */

/* Lines that wait to be written; the caller writes bytes[0..used) and sets used to 0. */
struct tok_text {
    char *bytes;                /* owned */
    size_t used, room;
    uint64_t *number;           /* owned, [numbers]: "1234," in memory order, its length in the last byte */
    uint32_t numbers;
};

void tok_text_fini(struct tok_text *t); /* takes a zeroed object */

must_check int tok_text_header(struct tok_text *t, const struct tok_header *h, bool shard);
/* rows: the image as one list a row of the grid. */
must_check int tok_text_record(struct tok_text *t, const struct tok_header *h, const struct tok_record *r, bool rows);

/* ---- from text -------------------------------------------------------------------------------------------------- */

/* One line, parsed; what it holds is valid until the next line. */
struct tok_line {
    bool is_header;
    struct tok_header header;   /* owned by the line; is_header */
    bool shard;                 /* the header asks for a shard */
    struct tok_record record;   /* borrows what follows; !is_header */
    void *json;                 /* owned: the parsed line, which the key points into */
    uint16_t *text, *image;     /* owned */
};

must_check int tok_line_parse(struct tok_line *l, const char *line, size_t size);
void tok_line_fini(struct tok_line *l); /* takes a zeroed object */

#endif

/* SPDX-License-Identifier: MIT */
/* prompt.h -- given codes for captions: one record for all, or one a key in the captions' order.
 *
 * A stream of one record serves every caption.  A longer one is walked along with the captions: records whose key is not
 * the caption's are passed over and counted, so their keys must come in the captions' order; captions with equal keys
 * that follow each other share a record.
 *
 * Memory   two records, whatever the length of the stream
 * Errors   ERR_MISMATCH another grid or codebook, or no record for a key; those of format/tok.h
 */
#ifndef MODEL_PROMPT_H
#define MODEL_PROMPT_H

#include <stdbool.h>

#include "format/tok.h"
#include "model/prior_config.h"

struct prompt {
    const char *path;        /* borrowed: for messages */
    struct tok_reader *in;
    char *key;               /* owned: of the record in codes */
    uint16_t *codes;         /* owned: [H*W] */
    struct tok_record ahead; /* the record behind it */
    bool more;               /* ahead is there */
    bool one;                /* a single record */
    bool used;               /* codes were asked for */
    int64_t unused;          /* records passed over */
};

/* path: image tokens or pairs.  force: another codebook is allowed. */
must_check int prompt_open(struct prompt *p, const char *path, const struct prior_meta *m, bool force);
void prompt_close(struct prompt *p);

/* The codes for a caption, borrowed until the next call. */
must_check int prompt_find(struct prompt *p, const uint16_t **codes, const char *key);

/* Read what is left, so that a damaged end shows and unused counts all. */
must_check int prompt_finish(struct prompt *p);

#endif

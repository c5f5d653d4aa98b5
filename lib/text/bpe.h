/* SPDX-License-Identifier: MIT */
/* bpe.h -- a text vocabulary: captions to token ids and back.  The file: formats/tokenizer.md.
 *
 *   text --normalise--> text --split--> pieces --merge--> ids          NFC and lower case; text/normalise.h, text/split.h
 *
 * A piece starts as its bytes, each one symbol of the byte-level alphabet; the pair of neighbours whose merge has the
 * lowest rank becomes one symbol, the leftmost first, until no pair has a merge.  All 256 bytes have a symbol, so nothing
 * is ever unknown and bpe_decode gives the normalised text back byte for byte.  There are no special ids, but for the added
 * texts of others' files ("<|endoftext|>"): each is one id wherever it stands.
 *
 * BPE dropout (Provilkov et al. 2020): at each step the possible merges are passed over with probability p, in order of
 * (rank, position), until one is kept; a piece is done when none is kept.  Each such choice is one draw: it is addressed
 * by (seed, RNG_DROPOUT, step, element), where the caller names the occurrence (step) and the draws of one caption count
 * up from 0 (element).
 *
 * Range    1..65536 ids, BPE_TEXT_MAX bytes of text; 0 <= p < 1
 * Memory   a bpe is never changed after loading: any number of threads may use it, each with its own scratch.  A scratch
 *          holds a table of recent words (about 1 MiB) and grows with the longest text that it met
 * Time     linear in the text; long words too (text/merge.h)
 * Errors   ERR_FORMAT text that is not UTF-8, a damaged file; ERR_UNSUPPORTED a tokenizer of another kind, named;
 *          ERR_LIMIT; ERR_NOMEM; ERR_IO
 * Traps    lower case is not NFC again for a few texts (J and a combining caron): to encode what bpe_decode gave, use
 *          bpe_tokens, which does not normalise
 */
#ifndef TEXT_BPE_H
#define TEXT_BPE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/rng.h"
#include "format/digest.h"

#define BPE_TEXT_MAX (16u << 20) /* bytes of one text, before and after normalising */

struct bpe;
struct bpe_scratch;

must_check int bpe_load(struct bpe **b, const char *path);
/* The same from memory; name stands in front of error texts. */
must_check int bpe_parse(struct bpe **b, const char *name, const char *json, size_t size);
void bpe_free(struct bpe *b);

uint32_t bpe_vocab(const struct bpe *b);                 /* number of ids */
const struct digest *bpe_digest(const struct bpe *b);    /* of what it does, not of the JSON's bytes: formats/tokenizer.md */
const char *bpe_split_name(const struct bpe *b);         /* "dalle", "gpt2" */
/* The bytes of one id, borrowed; id < bpe_vocab. */
const char *bpe_token(const struct bpe *b, uint32_t id, size_t *size);

must_check int bpe_scratch_create(struct bpe_scratch **s);
void bpe_scratch_free(struct bpe_scratch *s);

/* Text to ids: normalises, splits, merges.  *count is the full number of tokens; at most max of them are written, so
 * *count > max says that the caption was cut.  After a failure *count is 0 and ids are unspecified. */
must_check int bpe_encode(const struct bpe *b, struct bpe_scratch *s, const char *text, size_t size, uint16_t *ids,
                          int max, int *count);

/* The same with dropout p; random.purpose is RNG_DROPOUT.  p = 0 is bpe_encode. */
must_check int bpe_encode_dropout(const struct bpe *b, struct bpe_scratch *s, const char *text, size_t size,
                                  uint16_t *ids, int max, int *count, double p, struct rng random, uint64_t step);

/* As bpe_encode_dropout for text that is normalised already: what bpe_decode gave.  Any bytes are allowed, since a cut
 * caption may end within a character. */
must_check int bpe_tokens(const struct bpe *b, struct bpe_scratch *s, const char *text, size_t size, uint16_t *ids,
                          int max, int *count, double p, struct rng random, uint64_t step);

/* Ids to text, kept in the scratch: *text is borrowed until its next use, ends with a NUL that *size does not count,
 * and may hold NULs.  It may stand as the text of bpe_tokens with the same scratch.  ERR_FORMAT an id >= bpe_vocab. */
must_check int bpe_decode(const struct bpe *b, struct bpe_scratch *s, const uint16_t *ids, int count, const char **text,
                          size_t *size);

#endif

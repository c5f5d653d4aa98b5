/* SPDX-License-Identifier: MIT */
/* prior_config.h -- the shape of a prior, and what its checkpoint says about it.
 *
 * Metadata of a checkpoint (text to text): format "armchair-prior 1", config (the JSON object below), masks, text_digest and
 * image_digest (64 hexadecimal digits; zeros: not known), provenance; the training loop adds step.
 *
 *   {"layers":4,"width":192,"heads":3,"text_vocab":300,"text_slots":16,"min_pad":0,"image_vocab":256,"grid_h":8,"grid_w":8,
 *    "kernel":11,"masks":"dalle"}
 *
 * Errors   ERR_LIMIT a size out of range, named; ERR_FORMAT metadata that is missing or not ours; ERR_NOMEM
 */
#ifndef MODEL_PRIOR_CONFIG_H
#define MODEL_PRIOR_CONFIG_H

#include <stdint.h>

#include "base/err.h"
#include "format/digest.h"
#include "format/st.h"
#include "format/tok.h"
#include "model/mask.h"

struct prior_config {
    int64_t layers;                 /* L, 1..1024 */
    int64_t width;                  /* d, of the residual stream, 8..65536 */
    int64_t heads;                  /* A; width / heads is a multiple of 8, at most 256 */
    int64_t text_vocab;             /* 1..65536 */
    int64_t text_slots;             /* S, the start slot included, 1..65536 */
    int64_t min_pad;                /* pad slots that stand before every picture, 0..S-1 */
    int64_t image_vocab;            /* 1..65536 */
    int64_t grid_h, grid_w;         /* 1..1024 */
    int64_t kernel;                 /* of the convolutional mask, odd, 1..255 */
    enum mask_variant masks;
};

struct prior_meta {
    struct prior_config config;
    struct digest text, image;      /* of the tokenizer and the codebook; zero: not known */
};

#define PRIOR_META_FIELDS 6

/* The metadata's texts, for struct st_meta. */
struct prior_meta_text {
    char *config;                   /* owned: free with prior_meta_fini */
    char text[DIGEST_TEXT], image[DIGEST_TEXT];
};

must_check int prior_config_check(const struct prior_config *c);

static inline int64_t prior_image_slots(const struct prior_config *c)
{
    return c->grid_h * c->grid_w;
}

static inline int64_t prior_slots(const struct prior_config *c)
{
    return c->text_slots + prior_image_slots(c);
}

/* Caption tokens that fit: slot 0 is the start token, min_pad slots stay pads.  Longer captions are cut at the right. */
static inline int64_t prior_caption_max(const struct prior_config *c)
{
    return c->text_slots - 1 - c->min_pad;
}

/* The mask of a layer (from 0) with this prior's sizes. */
struct attn prior_attn(const struct prior_config *c, int64_t layer);

/* Fill meta[PRIOR_META_FIELDS] from m and a provenance text, borrowed; t keeps the texts alive. */
must_check int prior_meta_write(struct st_meta *meta, struct prior_meta_text *t, const struct prior_meta *m,
                                const char *provenance);
void prior_meta_fini(struct prior_meta_text *t);

/* Read it back; the config has passed prior_config_check. */
must_check int prior_meta_read(struct prior_meta *m, const struct st_file *file);

/* ERR_MISMATCH naming the first field in which a checkpoint differs from what is asked for. */
must_check int prior_config_same(const struct prior_config *asked, const struct prior_config *found);

/* Sizes that are 0 become those of the tokens; text slots may be other than theirs.  ERR_MISMATCH: another vocabulary or
 * grid than asked for. */
must_check int prior_config_adopt(struct prior_config *c, const struct tok_header *tokens);
/* Sizes that are 0 become those of the paper's data. */
void prior_config_paper(struct prior_config *c);

/* May a run folder's newest checkpoint, if there is one, go on with this configuration and data?  ERR_MISMATCH. */
must_check int prior_run_same(const char *run, const struct prior_meta *asked, bool force);

/* Do tokens with this digest go with a model that learnt from those of the other?  ERR_MISMATCH with both, unless one is not
 * known.  what: "text", "image". */
must_check int prior_digest_same(const char *what, const struct digest *data, const struct digest *model);

#endif

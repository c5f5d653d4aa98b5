/* SPDX-License-Identifier: MIT */
/* stream.h -- the pictures of pair sources from front to back, decoded and prepared in batches by all threads.
 *
 * crops 0: one picture a record, PREPARE_EVAL.  crops N: N pictures a record, PREPARE_PRIOR, variants 0..N-1, whose crops
 * depend on seed, key and variant alone.
 *
 * One thread reads the next batch while the caller works with this one, so that whoever writes into our pipe can work too.
 *
 * Memory   constant: two batches of encoded pictures, one of prepared ones
 * Order    as the sources stand, variants of a record together
 * Errors   of a record (it has a problem, image_decode, image_prepare): with its source and key, or with keep_going an entry
 *          of the rejects; of a source: final, after the
 *          records that were complete before it, or with keep_going a reject with key ""
 */
#ifndef IMAGE_STREAM_H
#define IMAGE_STREAM_H

#include "format/pairs.h"
#include "image/prepare.h"

struct stream_options {
    int64_t size;    /* pictures are size x size */
    int64_t crops;   /* 0..65536 */
    int64_t batch;   /* pictures at once, at least; a record's crops stay together */
    uint64_t seed;
    bool keep_going;
    bool full_decode; /* decode JPEG in full also where prepare_least would let it be smaller */
    struct image_limits limits;
};

struct stream_batch {
    int64_t count;           /* of pictures */
    const uint8_t *rgb;      /* borrowed until the next call: [count,size,size,3] */
    const char *const *key;  /* borrowed: of each picture */
    const uint32_t *variant; /* borrowed */
};

struct stream;

/* Sources none: an archive on stdin. */
must_check int stream_open(struct stream **s, const char *const *sources, int count, const struct stream_options *o,
                           struct rejects *rejects);
/* 1: a batch; 0: the end. */
must_check int stream_next(struct stream *s, struct stream_batch *batch);
void stream_close(struct stream *s);

int64_t stream_batch_max(const struct stream_options *o); /* pictures of a batch, at most */

#endif

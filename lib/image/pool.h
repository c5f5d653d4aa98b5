/* SPDX-License-Identifier: MIT */
/* pool.h -- the pictures of pair sources at random, prepared for a model.
 *
 * Opening reads the sources once and decodes every picture, so that a bad one is met before the training and not after a
 * day of it.  Up to `memory` bytes are kept: the prepared pixels where nothing is drawn for them and they are few, the
 * encoded file otherwise.  What does not fit is read again where it stands, which plain tars, folders and lists allow.
 *
 * Order    sources as given, pictures as they stand; what pool_get gives depends on its arguments alone
 * Errors   ERR_EMPTY no picture at all; ERR_LIMIT past the memory, and the source cannot be read again (compressed, zip,
 *          stdin); a bad picture is the error that image_decode or image_prepare gave, with its key, or with keep_going
 *          an entry of the rejects
 */
#ifndef IMAGE_POOL_H
#define IMAGE_POOL_H

#include "format/pairs.h"
#include "image/prepare.h"

#define POOL_MEMORY ((size_t)2 << 30)

struct pool_options {
    int64_t size;        /* pictures are size x size */
    enum prepare how;
    bool flip;           /* PREPARE_TRAIN */
    uint64_t seed;       /* of crops and mirror images */
    size_t memory;       /* bytes; 0: POOL_MEMORY */
    bool keep_going;
    bool full_decode;    /* decode JPEG in full also where prepare_least would let it be smaller */
    struct image_limits limits;
};

struct pool;

/* rejects may be NULL without keep_going. */
must_check int pool_open(struct pool **p, const char *const *sources, int count, const struct pool_options *o,
                         struct rejects *rejects);
void pool_close(struct pool *p);

int64_t pool_count(const struct pool *p);
size_t pool_bytes(const struct pool *p); /* kept in memory */
const char *pool_key(const struct pool *p, int64_t i);

/* Picture i of its visit (epoch) into rgb[size,size,3]; by any thread. */
must_check int pool_get(const struct pool *p, uint8_t *rgb, int64_t i, uint64_t visit);

struct pool_pick {
    int64_t i;
    uint64_t visit;
};

/* count of them, by all threads: rgb[count,size,size,3]. */
must_check int pool_batch(const struct pool *p, uint8_t *rgb, const struct pool_pick *pick, int64_t count);

#endif

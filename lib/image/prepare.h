/* SPDX-License-Identifier: MIT */
/* prepare.h -- a picture as the models take it: square, size x size.
 *
 * PREPARE_TRAIN (the paper's listing 1, codebook training); s = min(width, height):
 *   1. a uniformly drawn s x s crop
 *   2. t drawn from [min(s, 9/8 size), min(s, 12/8 size)], both ends included
 *   3. area resize with aligned corners to t x t
 *   4. a uniformly drawn size x size crop
 *   5. with flip: a mirror image in half of all cases.  The listing always flips; where captions say "left" a mirrored
 *      picture is a wrong one, so the caller decides.
 * PREPARE_PRIOR (listing 2, tokens for the prior):
 *   1. an s x s crop, its offset along each axis drawn from [3d//8, max(3d//8 + 1, 5d//8)) without the upper end,
 *      d = side - s
 *   2. t drawn from [size, min(s, 9/8 size)], both ends included;   3. and 4. as above; never mirrored (pictures hold text)
 * PREPARE_EVAL (the published demo): Lanczos to short side = size, long side rounded; centre crop, offset rounded
 *   (both half to even, as Python's round).
 *
 * A picture of exactly size x size leaves all three as it came (but for the flip).
 * The listings' 288 and 384 at 256 are floor(9 size / 8) and floor(12 size / 8) at any size.
 *
 * Random   draw d of a picture is element d of (rng, step): 0, 1 offsets of the first crop (x, y); 2 the size t; 3, 4
 *          offsets of the second crop; 5 the flip.  With step = prepare_step(key, visit) a key gives the same crop in
 *          any order and on any machine.
 * Errors   ERR_LIMIT the picture is smaller than size along a side; ERR_ARG size not in 1..PREPARE_SIZE_MAX; ERR_NOMEM
 */
#ifndef IMAGE_PREPARE_H
#define IMAGE_PREPARE_H

#include "base/rng.h"
#include "image/image.h"

#define PREPARE_SIZE_MAX 8192

enum prepare { PREPARE_TRAIN, PREPARE_PRIOR, PREPARE_EVAL };

/* How small a picture's shorter side may be decoded before image_prepare: 0: not at all, for the listings are exact. */
int64_t prepare_least(int64_t size, enum prepare how);

/* The step of a picture's draws; visit counts the times that this key was drawn before (epoch, or crop number). */
uint64_t prepare_step(const char *key, uint64_t visit);

/* rng.purpose is RNG_CROP.  PREPARE_EVAL draws nothing.  flip is for PREPARE_TRAIN alone. */
must_check int image_prepare(struct image *out, const struct image *in, int64_t size, enum prepare how, bool flip,
                             struct rng rng, uint64_t step);

#endif

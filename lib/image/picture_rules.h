/* SPDX-License-Identifier: MIT */
/* picture_rules.h -- which pictures to train on, by their size alone.
 *
 * Sizes are those of the picture as it is shown, EXIF orientation applied (image_probe).
 *
 * Source   DALL-E's training set left out aspect ratios outside [1/2, 2] (Ramesh et al. 2021, appendix C)
 */
#ifndef IMAGE_PICTURE_RULES_H
#define IMAGE_PICTURE_RULES_H

#include "base/range.h"
#include "image/image.h"

struct picture_rules {
    struct range aspect; /* width over height; with either_way the longer side over the shorter */
    bool either_way;
    struct range side;   /* pixels of the shorter side */
};

enum picture_rule { PICTURE_KEPT, PICTURE_ASPECT, PICTURE_SIDE };

extern const struct picture_rules picture_rules_none;

/* "X", X >= 1: no side more than X times the other; or "MIN:MAX" of width over height.  ERR_ARG. */
must_check int picture_rules_aspect(struct picture_rules *r, const char *text);

/* Is there a rule at all, so that a size is needed? */
bool picture_rules_any(const struct picture_rules *r);
enum picture_rule picture_rules_check(const struct picture_rules *r, const struct image_size *size);

#endif

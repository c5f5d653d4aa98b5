/* SPDX-License-Identifier: MIT */
/* shapes.h -- the built-in world of the demo: one object on a ground, its caption, and a judge that reads it back.
 *
 * A scene is a value for each of five attributes.  An object never has the colour of its background, which leaves
 * SHAPES_COUNT scenes, numbered 0.. in the order of the attributes (size slowest, background fastest).  The held-out
 * tenth are the scenes for which rng_hash of their words ("small red circle middle blue": the words of shapes_word in
 * the order of the attributes, one space between) is divisible by 10.
 *
 * Drawing  anti-aliased by 8x8 samples a pixel.  What no caption tells is drawn by chance: the place is off by up to
 *          jitter of the picture's side along x and y, object and background are lighter or darker by up to shade, and
 *          every value has its own grain.  Flat areas without grain make a dVAE's learned scale collapse.
 * Judging  nearest drawing: the picture, reduced to 32x32, against every scene at nine offsets, by squared error
 * Memory   the judge's templates: about 4 MB; shared by any number of threads once made
 * Errors   ERR_ARG size or index out of range; ERR_FORMAT a caption of no scene; ERR_NOMEM
 */
#ifndef IMAGE_SHAPES_H
#define IMAGE_SHAPES_H

#include "base/rng.h"
#include "image/image.h"

enum shapes_attribute { SHAPES_SIZE, SHAPES_COLOUR, SHAPES_SHAPE, SHAPES_PLACE, SHAPES_BACKGROUND, SHAPES_ATTRIBUTES };

#define SHAPES_COUNT 3780     /* scenes */
#define SHAPES_CAPTION_MAX 80 /* bytes of a caption with its NUL */
#define SHAPES_WORDINGS 3
#define SHAPES_SIDE_MIN 16
#define SHAPES_SIDE_MAX 1024

struct shapes_scene {
    uint8_t value[SHAPES_ATTRIBUTES]; /* each below shapes_values(attribute) */
};

struct shapes_look {
    double jitter; /* of the picture's side, 0..0.1 */
    double shade;  /* of full scale, 0..0.2 */
    double grain;  /* of full scale, 0..0.2 */
};

#define SHAPES_LOOK {1.0 / 64, 0.03, 0.06} /* what the programs take unless told otherwise */

const char *shapes_attribute(int attribute);       /* "size" */
int shapes_values(int attribute);                  /* how many values it has */
const char *shapes_word(int attribute, int value); /* "small" */

must_check int shapes_scene(struct shapes_scene *scene, int64_t index); /* 0..SHAPES_COUNT-1 */
bool shapes_held_out(const struct shapes_scene *scene);

enum shapes_split { SHAPES_TRAIN, SHAPES_HELD_OUT, SHAPES_ALL };

/* All scenes of a split, shuffled: another order for each pass (steps at the top of the range, element: place).
 * Returns how many. */
int64_t shapes_order(struct shapes_scene scene[SHAPES_COUNT], enum shapes_split split, struct rng rng, uint64_t pass);

/* wording 0..SHAPES_WORDINGS-1: "a small red circle in the middle on blue", "a small red circle on blue in the middle",
 * "on blue in the middle a small red circle". */
void shapes_caption(char text[SHAPES_CAPTION_MAX], const struct shapes_scene *scene, int wording);
/* The scene of a caption in any wording; case and spaces at the ends do not matter. */
must_check int shapes_parse(struct shapes_scene *scene, const char *caption);

/* side x side pixels.  Random choices: element 0 of (rng, step) is place and shades, element 1 + pixel its grain;
 * rng.purpose is RNG_WORLD. */
must_check int shapes_draw(struct image *out, const struct shapes_scene *scene, int64_t side,
                           const struct shapes_look *look, struct rng rng, uint64_t step);

struct shapes_judge;

must_check int shapes_judge_create(struct shapes_judge **judge);
void shapes_judge_free(struct shapes_judge *judge);

/* The scene of the nearest drawing, and how near it is: *psnr in dB (NULL: not wanted).  1: read; 0: no drawing, since
 * the nearest is further than SHAPES_PSNR_MIN or a ground without object is nearer; no attribute should count as right.
 * Any square picture of 16 to 4096 pixels a side; ERR_ARG for another. */
must_check int shapes_judge_read(const struct shapes_judge *judge, struct shapes_scene *scene, double *psnr,
                                 const struct image *picture);

#define SHAPES_PSNR_MIN 13.0 /* noise and pictures of two random halves lie at 10 to 13 dB, true drawings at 28 */

#endif

/* SPDX-License-Identifier: MIT */
/* prepare.c -- the paper's two listings and the demo's preprocessing, at any size. */
#include "image/prepare.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

uint64_t prepare_step(const char *key, uint64_t visit)
{
    return rng_hash(key, strlen(key)) + visit * 0x9e3779b97f4a7c15u; /* visit 0: the key's hash alone */
}

/* Half the pixels along an axis leave Lanczos two for each of its output pixels: 45 to 50 dB to what all give. */
int64_t prepare_least(int64_t size, enum prepare how)
{
    return how == PREPARE_EVAL ? 2 * size : 0;
}

struct draws {
    struct rng rng;
    uint64_t step;
};

/* Uniform in [low, high], both ends included. */
static int64_t between(struct draws d, uint64_t element, int64_t low, int64_t high)
{
    return low + (int64_t)rng_below(d.rng, d.step, element, (uint64_t)(high - low + 1));
}

static int64_t first_offset(struct draws d, uint64_t element, int64_t slack, enum prepare how)
{
    int64_t low = 3 * slack / 8, end = 5 * slack / 8;

    if (how == PREPARE_TRAIN)
        return between(d, element, 0, slack);
    return between(d, element, low, (end > low + 1 ? end : low + 1) - 1);
}

static int listing(struct image *out, const struct image *in, int64_t size, enum prepare how, struct draws d)
{
    int64_t s = in->width < in->height ? in->width : in->height, low = how == PREPARE_TRAIN ? 9 * size / 8 : size;
    int64_t high = how == PREPARE_TRAIN ? 12 * size / 8 : 9 * size / 8;
    int64_t t = between(d, 2, low < s ? low : s, high < s ? high : s);
    struct image_box from = {first_offset(d, 0, in->width - s, how), first_offset(d, 1, in->height - s, how), s, s};
    struct image_box box = {between(d, 3, 0, t - size), between(d, 4, 0, t - size), size, size};

    return image_resize_area_box(out, in, &from, t, t, true, &box);
}

static int evaluation(struct image *out, const struct image *in, int64_t size)
{
    double scale = (double)size / (in->width < in->height ? in->width : in->height);
    int64_t width = (int64_t)nearbyint(scale * in->width), height = (int64_t)nearbyint(scale * in->height);
    struct image_box box = {(int64_t)nearbyint((double)(width - size) / 2), (int64_t)nearbyint((double)(height - size) / 2),
                            size, size};

    return image_resize_lanczos_box(out, in, width, height, &box);
}

int image_prepare(struct image *out, const struct image *in, int64_t size, enum prepare how, bool flip, struct rng rng,
                  uint64_t step)
{
    struct draws d = {rng, step};
    int rc;

    *out = (struct image){0};
    if (size < 1 || size > PREPARE_SIZE_MAX)
        return err_set(ERR_ARG, "pictures of side %" PRId64, size);
    if (in->width < size || in->height < size)
        return err_set(ERR_LIMIT, "picture %dx%d is smaller than %" PRId64, in->width, in->height, size);
    rc = how == PREPARE_EVAL ? evaluation(out, in, size) : listing(out, in, size, how, d);
    if (rc == 0 && how == PREPARE_TRAIN && flip && between(d, 5, 0, 1))
        image_flip(out);
    return rc;
}

/* SPDX-License-Identifier: MIT */
/* shapes_judge.c -- the nearest drawing, by sums instead of drawings.
 *
 * A drawing is t = m*ink + (1-m)*ground with a mask m in 0..1 for (size, shape, place, offset).  Its squared distance from
 * the picture p needs of p only sum p^2, sum p and sum m*p (a channel each), and of m only sum m^2, m(1-m), (1-m)^2:
 *
 *   |p-t|^2 = |p|^2 - 2 (ink . mp + ground . (sum p - mp)) + ink.ink mm + 2 ink.ground mn + ground.ground nn
 *
 * so a picture costs one pass over the masks, and the colours next to nothing. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/shapes_parts.h"

#define SIDE 32
#define PIXELS (SIDE * SIDE)
#define OFFSETS 9 /* 3 x 3, a third of the jitter's range apart */
#define COLOURS_MAX 9

struct mask {
    struct shapes_scene scene; /* colours not set */
    float m[PIXELS];
    double mm, mn, nn;
};

struct shapes_judge {
    struct mask *mask; /* owned */
    int64_t count;
    double ink[COLOURS_MAX][3], ground[COLOURS_MAX][3];
    bool same[COLOURS_MAX][COLOURS_MAX]; /* [ink][ground]: no scene */
};

static void make_mask(struct mask *k, int offset)
{
    const struct shapes_look look = SHAPES_LOOK;
    double dx = (offset % 3 - 1) * look.jitter * 2 / 3, dy = (offset / 3 - 1) * look.jitter * 2 / 3;

    k->mm = k->mn = k->nn = 0;
    for (int i = 0; i < PIXELS; i++) {
        double m = shapes_cover(&k->scene, SIDE, dx, dy, i % SIDE, i / SIDE);

        k->m[i] = (float)m;
        k->mm += m * m;
        k->mn += m * (1 - m);
        k->nn += (1 - m) * (1 - m);
    }
}

int shapes_judge_create(struct shapes_judge **judge)
{
    struct shapes_judge *j = calloc(1, sizeof *j);
    int sizes = shapes_values(SHAPES_SIZE), forms = shapes_values(SHAPES_SHAPE), places = shapes_values(SHAPES_PLACE);

    *judge = NULL;
    if (j)
        j->count = (int64_t)sizes * forms * places * OFFSETS;
    if (!j || !(j->mask = calloc((size_t)j->count, sizeof *j->mask))) {
        free(j);
        return err_set(ERR_NOMEM, "no memory for the judge");
    }
    for (int64_t i = 0; i < j->count; i++) {
        int64_t at = i / OFFSETS;

        j->mask[i].scene.value[SHAPES_SIZE] = (uint8_t)(at % sizes);
        j->mask[i].scene.value[SHAPES_SHAPE] = (uint8_t)(at / sizes % forms);
        j->mask[i].scene.value[SHAPES_PLACE] = (uint8_t)(at / sizes / forms);
        make_mask(&j->mask[i], (int)(i % OFFSETS));
    }
    for (int v = 0; v < shapes_values(SHAPES_COLOUR); v++)
        shapes_rgb(j->ink[v], SHAPES_COLOUR, v);
    for (int v = 0; v < shapes_values(SHAPES_BACKGROUND); v++)
        shapes_rgb(j->ground[v], SHAPES_BACKGROUND, v);
    for (int a = 0; a < COLOURS_MAX; a++)
        for (int b = 0; b < COLOURS_MAX; b++)
            j->same[a][b] = memcmp(j->ink[a], j->ground[b], sizeof j->ink[a]) == 0;
    *judge = j;
    return 0;
}

void shapes_judge_free(struct shapes_judge *judge)
{
    if (judge)
        free(judge->mask);
    free(judge);
}

struct sums {
    float p[3][PIXELS];
    double pp;     /* sum p^2 over all channels */
    double sum[3]; /* sum p */
};

static void take_sums(struct sums *s, const struct image *small)
{
    s->pp = 0;
    for (int c = 0; c < 3; c++) {
        s->sum[c] = 0;
        for (int i = 0; i < PIXELS; i++) {
            s->p[c][i] = small->rgb[3 * i + c];
            s->sum[c] += s->p[c][i];
            s->pp += (double)s->p[c][i] * s->p[c][i];
        }
    }
}

/* Eight sums side by side: the compiler may not reorder one long one. */
static double product(const float *a, const float *b)
{
    float s[8] = {0};

    for (int i = 0; i < PIXELS; i += 8)
        for (int l = 0; l < 8; l++)
            s[l] += a[i + l] * b[i + l];
    return (double)s[0] + s[1] + s[2] + s[3] + s[4] + s[5] + s[6] + s[7];
}

static double dot(const double a[3], const double b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/* How far the nearest ground without any object is. */
static double without_object(const struct shapes_judge *j, const struct sums *s)
{
    double best = INFINITY;

    for (int b = 0; b < shapes_values(SHAPES_BACKGROUND); b++) {
        double far = s->pp - 2 * dot(j->ground[b], s->sum) + dot(j->ground[b], j->ground[b]) * PIXELS;

        best = far < best ? far : best;
    }
    return best;
}

/* The best colours for one mask. */
static void try_mask(const struct shapes_judge *j, const struct mask *k, const struct sums *s, struct shapes_scene *scene,
                     double *best)
{
    double mp[3], np[3];

    for (int c = 0; c < 3; c++) {
        mp[c] = product(k->m, s->p[c]);
        np[c] = s->sum[c] - mp[c];
    }
    for (int a = 0; a < shapes_values(SHAPES_COLOUR); a++)
        for (int b = 0; b < shapes_values(SHAPES_BACKGROUND); b++) {
            const double *ink = j->ink[a], *ground = j->ground[b];
            double far = s->pp - 2 * (dot(ink, mp) + dot(ground, np)) + dot(ink, ink) * k->mm +
                         2 * dot(ink, ground) * k->mn + dot(ground, ground) * k->nn;

            if (far >= *best || j->same[a][b])
                continue;
            *best = far;
            *scene = k->scene;
            scene->value[SHAPES_COLOUR] = (uint8_t)a;
            scene->value[SHAPES_BACKGROUND] = (uint8_t)b;
        }
}

int shapes_judge_read(const struct shapes_judge *judge, struct shapes_scene *scene, double *psnr,
                      const struct image *picture)
{
    struct sums *s;
    struct image small;
    double best = INFINITY, near, flat;
    int rc;

    *scene = (struct shapes_scene){0};
    if (picture->width != picture->height || picture->width < 16 || picture->width > 4096)
        return err_set(ERR_ARG, "a picture of %dx%d; the judge reads squares of 16 to 4096", picture->width,
                       picture->height);
    if ((rc = image_resize_area(&small, picture, SIDE, SIDE, false)) != 0)
        return rc;
    if (!(s = malloc(sizeof *s))) {
        image_fini(&small);
        return err_set(ERR_NOMEM, "no memory for the judge");
    }
    take_sums(s, &small);
    for (int64_t i = 0; i < judge->count; i++)
        try_mask(judge, &judge->mask[i], s, scene, &best);
    near = 10 * log10(255.0 * 255.0 * 3 * PIXELS / (best < 1 ? 1 : best));
    if (psnr)
        *psnr = near;
    flat = without_object(judge, s);
    free(s);
    image_fini(&small);
    return near >= SHAPES_PSNR_MIN && best < flat;
}

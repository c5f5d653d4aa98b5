/* SPDX-License-Identifier: MIT */
/* shapes.c -- scenes, captions and drawings.  Only sums and products of doubles, so a seed gives the same bytes anywhere. */
#include "image/shapes.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "image/shapes_parts.h"

static const char *const names[SHAPES_ATTRIBUTES] = {"size", "colour", "shape", "place", "background"};

static const char *const words[SHAPES_ATTRIBUTES][10] = {
    {"small", "large"},
    {"red", "green", "blue", "yellow", "pink", "cyan", "white", "black"},
    {"circle", "square", "triangle", "cross", "bar"},
    {"middle", "top left", "top right", "bottom left", "bottom right", "top", "bottom", "left", "right"},
    {"white", "black", "red", "green", "blue", "yellow"},
};

/* Places are a quarter of the side apart, so that an object lies alike on a grid of codes wherever it stands. */
static const double radius[] = {0.20, 0.29};
static const double place_x[] = {0.5, 0.25, 0.75, 0.25, 0.75, 0.5, 0.5, 0.25, 0.75};
static const double place_y[] = {0.5, 0.25, 0.25, 0.75, 0.75, 0.25, 0.75, 0.5, 0.5};

/* Well inside 0..255, so that shade and grain are not cut off. */
static const struct { const char *word; uint8_t rgb[3]; } colours[] = {
    {"red", {220, 36, 36}},   {"green", {28, 132, 48}},  {"blue", {40, 64, 220}},     {"yellow", {220, 208, 36}},
    {"pink", {224, 116, 196}}, {"cyan", {76, 210, 220}}, {"white", {222, 222, 222}}, {"black", {30, 30, 30}},
};

const char *shapes_attribute(int attribute)
{
    return names[attribute];
}

int shapes_values(int attribute)
{
    int count = 0;

    while (words[attribute][count])
        count++;
    return count;
}

const char *shapes_word(int attribute, int value)
{
    return words[attribute][value];
}

/* ---- scenes ----------------------------------------------------------------------------------------------------- */

static bool is_scene(const struct shapes_scene *s)
{
    return strcmp(words[SHAPES_COLOUR][s->value[SHAPES_COLOUR]], words[SHAPES_BACKGROUND][s->value[SHAPES_BACKGROUND]]) != 0;
}

/* Count through all combinations, background fastest; passes over those that are no scenes. */
static bool next_scene(struct shapes_scene *s)
{
    do {
        int a = SHAPES_ATTRIBUTES - 1;

        while (a >= 0 && ++s->value[a] == shapes_values(a))
            s->value[a--] = 0;
        if (a < 0)
            return false;
    } while (!is_scene(s));
    return true;
}

int shapes_scene(struct shapes_scene *scene, int64_t index)
{
    *scene = (struct shapes_scene){0};
    if (index < 0 || index >= SHAPES_COUNT)
        return err_set(ERR_ARG, "no scene %" PRId64, index);
    while (index-- > 0) /* scene 0 is valid: red on white */
        if (!next_scene(scene))
            return err_set(ERR_ARG, "no such scene");
    return 0;
}

bool shapes_held_out(const struct shapes_scene *scene)
{
    char text[SHAPES_CAPTION_MAX];
    int at = 0;

    for (int a = 0; a < SHAPES_ATTRIBUTES; a++)
        at += snprintf(text + at, sizeof text - (size_t)at, "%s%s", a ? " " : "", words[a][scene->value[a]]);
    return rng_hash(text, (size_t)at) % 10 == 0;
}

int64_t shapes_order(struct shapes_scene scene[SHAPES_COUNT], enum shapes_split split, struct rng rng, uint64_t pass)
{
    struct shapes_scene s = {0}; /* the first scene: small red circle, middle, white */
    int64_t count = 0;

    do
        if (split == SHAPES_ALL || shapes_held_out(&s) == (split == SHAPES_HELD_OUT))
            scene[count++] = s;
    while (next_scene(&s));
    for (int64_t i = count - 1; i > 0; i--) { /* Fisher and Yates */
        int64_t at = (int64_t)rng_below(rng, UINT64_MAX - pass, (uint64_t)i, (uint64_t)i + 1);
        struct shapes_scene keep = scene[i];

        scene[i] = scene[at];
        scene[at] = keep;
    }
    return count;
}

/* ---- captions --------------------------------------------------------------------------------------------------- */

void shapes_caption(char text[SHAPES_CAPTION_MAX], const struct shapes_scene *scene, int wording)
{
    const char *w[SHAPES_ATTRIBUTES], *at;

    for (int a = 0; a < SHAPES_ATTRIBUTES; a++)
        w[a] = words[a][scene->value[a]];
    at = scene->value[SHAPES_PLACE] == 0 ? "in the" : "at the";
    if (wording == 0)
        snprintf(text, SHAPES_CAPTION_MAX, "a %s %s %s %s %s on %s", w[0], w[1], w[2], at, w[3], w[4]);
    else if (wording == 1)
        snprintf(text, SHAPES_CAPTION_MAX, "a %s %s %s on %s %s %s", w[0], w[1], w[2], w[4], at, w[3]);
    else
        snprintf(text, SHAPES_CAPTION_MAX, "on %s %s %s a %s %s %s", w[4], at, w[3], w[0], w[1], w[2]);
}

/* The value whose word stands in text behind `before`; -1: none.  In words[] one that begins another ("top", "top left")
 * comes after it. */
static int find_word(const char *text, const char *before, int attribute)
{
    char needle[2 * SHAPES_CAPTION_MAX];

    for (int v = 0; words[attribute][v]; v++) {
        snprintf(needle, sizeof needle, " %s%s ", before, words[attribute][v]);
        if (strstr(text, needle))
            return v;
    }
    return -1;
}

/* Read each word by what stands before it, then ask whether one of the wordings of that scene is the caption. */
int shapes_parse(struct shapes_scene *scene, const char *caption)
{
    char text[SHAPES_CAPTION_MAX + 2] = " ", back[SHAPES_CAPTION_MAX], before[SHAPES_CAPTION_MAX];
    size_t size;
    int value[SHAPES_ATTRIBUTES] = {0};

    *scene = (struct shapes_scene){0};
    while (isspace((unsigned char)*caption))
        caption++;
    for (size = strlen(caption); size > 0 && isspace((unsigned char)caption[size - 1]); size--)
        ;
    if (size >= SHAPES_CAPTION_MAX)
        return err_set(ERR_FORMAT, "a caption of no drawing: \"%.60s...\"", caption);
    for (size_t i = 0; i < size; i++)
        text[1 + i] = (char)tolower((unsigned char)caption[i]);
    memcpy(text + 1 + size, " ", 2);
    if ((value[SHAPES_SIZE] = find_word(text, "a ", SHAPES_SIZE)) >= 0) {
        snprintf(before, sizeof before, "%s ", words[SHAPES_SIZE][value[SHAPES_SIZE]]);
        value[SHAPES_COLOUR] = find_word(text, before, SHAPES_COLOUR);
        value[SHAPES_SHAPE] = find_word(text, "", SHAPES_SHAPE);
        value[SHAPES_PLACE] = find_word(text, "the ", SHAPES_PLACE);
        value[SHAPES_BACKGROUND] = find_word(text, "on ", SHAPES_BACKGROUND);
    }
    for (int a = 0; a < SHAPES_ATTRIBUTES; a++)
        if (value[a] < 0)
            return err_set(ERR_FORMAT, "a caption of no drawing, the %s is missing: \"%.*s\"", names[a], (int)size, caption);
        else
            scene->value[a] = (uint8_t)value[a];
    text[1 + size] = 0;
    for (int wording = 0; wording < SHAPES_WORDINGS; wording++) {
        shapes_caption(back, scene, wording);
        if (strcmp(back, text + 1) == 0 && is_scene(scene))
            return 0;
    }
    return err_set(ERR_FORMAT, "a caption of no drawing: \"%.*s\"", (int)size, caption);
}

/* ---- drawings --------------------------------------------------------------------------------------------------- */

void shapes_rgb(double rgb[3], int attribute, int value)
{
    for (size_t i = 0; i < sizeof colours / sizeof *colours; i++)
        if (strcmp(colours[i].word, words[attribute][value]) == 0)
            for (int c = 0; c < 3; c++)
                rgb[c] = colours[i].rgb[c];
}

/* Is the point, in units of the object's radius, inside?  y points down. */
static bool inside(int shape, double x, double y)
{
    double ax = x < 0 ? -x : x, ay = y < 0 ? -y : y, square = x * x + y * y;

    switch (shape) {
    case 0:
        return square <= 0.85;
    case 1:
        return ax <= 1 && ay <= 1;
    case 2:
        return y <= 0.9 && ax <= (y + 1) * 0.56;
    case 3:
        return (ax <= 0.29 && ay <= 1.02) || (ay <= 0.29 && ax <= 1.02);
    default:
        return ax <= 1.02 && ay <= 0.42;
    }
}

#define SAMPLES 8   /* along x and y of a pixel */
#define REACH 1.03 /* no shape goes further from its middle, along x or y, in units of its radius */

double shapes_cover(const struct shapes_scene *scene, int64_t side, double dx, double dy, int64_t x, int64_t y)
{
    double r = radius[scene->value[SHAPES_SIZE]];
    double left = place_x[scene->value[SHAPES_PLACE]] + dx, top = place_y[scene->value[SHAPES_PLACE]] + dy;
    double reach = (r * REACH + 1.0 / (double)side) * (double)side;
    int hits = 0;

    if ((double)x < left * (double)side - reach || (double)x > left * (double)side + reach ||
        (double)y < top * (double)side - reach || (double)y > top * (double)side + reach)
        return 0;
    for (int j = 0; j < SAMPLES; j++)
        for (int i = 0; i < SAMPLES; i++)
            hits += inside(scene->value[SHAPES_SHAPE], (((double)x + (i + 0.5) / SAMPLES) / (double)side - left) / r,
                           (((double)y + (j + 0.5) / SAMPLES) / (double)side - top) / r);
    return (double)hits / (SAMPLES * SAMPLES);
}

/* -1..1 */
static double swing(uint32_t bits)
{
    return 2 * (double)rng_unit(bits) - 1;
}

int shapes_draw(struct image *out, const struct shapes_scene *scene, int64_t side, const struct shapes_look *look,
                struct rng rng, uint64_t step)
{
    struct rng4 d = rng_draw(rng, step, 0);
    double ink[3] = {0}, ground[3] = {0}, dx = look->jitter * swing(d.v[0]), dy = look->jitter * swing(d.v[1]);
    int rc;

    *out = (struct image){0};
    if (side < SHAPES_SIDE_MIN || side > SHAPES_SIDE_MAX)
        return err_set(ERR_ARG, "drawings are %d to %d pixels wide, not %" PRId64, SHAPES_SIDE_MIN, SHAPES_SIDE_MAX, side);
    if ((rc = image_init(out, side, side)) != 0)
        return rc;
    shapes_rgb(ink, SHAPES_COLOUR, scene->value[SHAPES_COLOUR]);
    shapes_rgb(ground, SHAPES_BACKGROUND, scene->value[SHAPES_BACKGROUND]);
    for (int64_t i = 0; i < side * side; i++) {
        struct rng4 g = rng_draw(rng, step, 1 + (uint64_t)i);
        double cover = shapes_cover(scene, side, dx, dy, i % side, i / side);

        for (int c = 0; c < 3; c++) {
            double v = cover * (ink[c] + 255 * look->shade * swing(d.v[2])) +
                       (1 - cover) * (ground[c] + 255 * look->shade * swing(d.v[3])) + 255 * look->grain * swing(g.v[c]);

            out->rgb[3 * i + c] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v + 0.5);
        }
    }
    return 0;
}

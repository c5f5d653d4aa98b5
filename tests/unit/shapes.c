/* SPDX-License-Identifier: MIT */
/* The built-in world: every scene, its captions, and the judge on true, blurred, noisy and empty pictures. */
#include "image/shapes.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct shapes_look usual = SHAPES_LOOK;
static struct shapes_judge *judge;

static int make_judge(void **state)
{
    (void)state;
    return shapes_judge_create(&judge);
}

static int free_judge(void **state)
{
    (void)state;
    shapes_judge_free(judge);
    return 0;
}

static void test_scenes_are_numbered(void **state)
{
    static struct shapes_scene all[SHAPES_COUNT];
    struct shapes_scene s;
    int seen[SHAPES_ATTRIBUTES][10] = {{0}}, held = 0;

    (void)state;
    for (int64_t i = 0; i < SHAPES_COUNT; i++) {
        assert_int_equal(shapes_scene(&s, i), 0);
        all[i] = s;
        held += shapes_held_out(&s);
        for (int a = 0; a < SHAPES_ATTRIBUTES; a++) {
            assert_in_range(s.value[a], 0, shapes_values(a) - 1);
            seen[a][s.value[a]] += !shapes_held_out(&s);
        }
        assert_string_not_equal(shapes_word(SHAPES_COLOUR, s.value[SHAPES_COLOUR]),
                                shapes_word(SHAPES_BACKGROUND, s.value[SHAPES_BACKGROUND]));
        assert_true(i == 0 || memcmp(&all[i - 1], &s, sizeof s) < 0);
    }
    assert_int_equal(shapes_scene(&s, SHAPES_COUNT), ERR_ARG);
    assert_int_equal(shapes_scene(&s, -1), ERR_ARG);
    assert_int_equal(held, 377);
    for (int a = 0; a < SHAPES_ATTRIBUTES; a++)
        for (int v = 0; v < shapes_values(a); v++)
            assert_in_range(seen[a][v], SHAPES_COUNT / 12, SHAPES_COUNT); /* a place: a ninth, less the held-out tenth */
}

/* "small red circle middle white" -> FNV-1a and the finish, worked out here again. */
static void test_the_rule_that_holds_out(void **state)
{
    const char *text = "small red circle middle white";
    struct shapes_scene first;
    uint64_t h = 0xcbf29ce484222325u;

    (void)state;
    for (const char *p = text; *p; p++)
        h = (h ^ (uint8_t)*p) * 0x100000001b3u;
    h ^= h >> 30;
    h *= 0xbf58476d1ce4e5b9u;
    h ^= h >> 27;
    h *= 0x94d049bb133111ebu;
    h ^= h >> 31;
    assert_int_equal(shapes_scene(&first, 0), 0);
    assert_int_equal(shapes_held_out(&first), h % 10 == 0);
}

static void test_orders_hold_each_scene_once(void **state)
{
    static struct shapes_scene order[SHAPES_COUNT], other[SHAPES_COUNT];
    struct rng rng = {3, RNG_WORLD};
    int64_t count = shapes_order(order, SHAPES_HELD_OUT, rng, 0), same = 0;

    (void)state;
    assert_int_equal(count, 377);
    assert_int_equal(shapes_order(other, SHAPES_HELD_OUT, rng, 1), 377);
    for (int64_t i = 0; i < count; i++) {
        int found = 0;

        assert_true(shapes_held_out(&order[i]));
        same += memcmp(&order[i], &other[i], sizeof *order) == 0;
        for (int64_t j = 0; j < count; j++)
            found += memcmp(&order[i], &other[j], sizeof *order) == 0;
        assert_int_equal(found, 1);
    }
    assert_in_range(same, 0, 10);
    assert_int_equal(shapes_order(order, SHAPES_ALL, rng, 0), SHAPES_COUNT);
}

static void test_captions_are_read_back(void **state)
{
    char text[SHAPES_CAPTION_MAX], longer[2 * SHAPES_CAPTION_MAX];
    struct shapes_scene s, back;

    (void)state;
    for (int64_t i = 0; i < SHAPES_COUNT; i++)
        for (int wording = 0; wording < SHAPES_WORDINGS; wording++) {
            int words = 1;

            assert_int_equal(shapes_scene(&s, i), 0);
            shapes_caption(text, &s, wording);
            assert_int_equal(shapes_parse(&back, text), 0);
            assert_memory_equal(&s, &back, sizeof s);
            for (const char *p = text; *p; p++)
                words += *p == ' ';
            assert_in_range(2 * words - 1, 1, 24); /* tokens: words, and spaces between */
            snprintf(longer, sizeof longer, " %s\n", text);
            longer[1] = (char)(longer[1] - 'a' + 'A');
            assert_int_equal(shapes_parse(&back, longer), 0);
            assert_memory_equal(&s, &back, sizeof s);
        }
    shapes_caption(text, &s, 0);
    assert_string_equal(text, "a large black bar at the right on yellow");
}

static void test_other_captions_are_refused(void **state)
{
    static const char *const wrong[] = {
        "", "a red circle", "a small red circle in the middle on red", "a small red circle in the middle on pink",
        "a small red circle in the middle on blue, framed", "the small red circle in the middle on blue",
        "a small red circle at the middle on blue", "a small red circle in the middle on blue in the middle on blue",
        "a small red square circle in the middle on blue",
        "a small red circle in the middle on blue                                                             and more",
    };
    struct shapes_scene s;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(shapes_parse(&s, wrong[i]), ERR_FORMAT);
}

static void test_drawings_repeat_and_differ(void **state)
{
    struct image a, b, c;
    struct shapes_scene s;

    (void)state;
    assert_int_equal(shapes_scene(&s, 77), 0);
    assert_int_equal(shapes_draw(&a, &s, 32, &usual, (struct rng){1, RNG_WORLD}, 5), 0);
    assert_int_equal(shapes_draw(&b, &s, 32, &usual, (struct rng){1, RNG_WORLD}, 5), 0);
    assert_int_equal(shapes_draw(&c, &s, 32, &usual, (struct rng){1, RNG_WORLD}, 6), 0);
    assert_memory_equal(a.rgb, b.rgb, 32 * 32 * 3);
    assert_memory_not_equal(a.rgb, c.rgb, 32 * 32 * 3);
    image_fini(&a);
    image_fini(&b);
    image_fini(&c);
    assert_int_equal(shapes_draw(&a, &s, 15, &usual, (struct rng){1, RNG_WORLD}, 5), ERR_ARG);
    assert_null(a.rgb);
}

/* ---- the judge -------------------------------------------------------------------------------------------------- */

/* Replace blocks by their means, then add normal noise. */
static void degrade(struct image *image, int block, double noise, uint64_t step)
{
    struct rng rng = {99, RNG_TEST};
    int n = image->width;

    for (int i = 0; i < n * n * 3; i++) {
        int c = i % 3, x = i / 3 % n, y = i / 3 / n;

        if (x % block == 0 && y % block == 0) {
            int sum = 0;

            for (int k = 0; k < block * block; k++)
                sum += image->rgb[3 * ((y + k / block) * n + x + k % block) + c];
            for (int k = 0; k < block * block; k++)
                image->rgb[3 * ((y + k / block) * n + x + k % block) + c] = (uint8_t)(sum / (block * block));
        }
    }
    for (int i = 0; noise > 0 && i < n * n * 3; i++) {
        double v = image->rgb[i] + 255 * noise * rng_normal(rng, step, (uint64_t)i);

        image->rgb[i] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
    }
}

/* Of every stride-th scene: how many in a thousand are read right in all attributes. */
static int share_right(int stride, int side, int block, double noise)
{
    int right = 0, all = 0;

    for (int64_t i = 0; i < SHAPES_COUNT; i += stride, all++) {
        struct shapes_scene s, seen;
        struct image image;

        assert_int_equal(shapes_scene(&s, i), 0);
        assert_int_equal(shapes_draw(&image, &s, side, &usual, (struct rng){7, RNG_WORLD}, (uint64_t)i), 0);
        degrade(&image, block, noise, (uint64_t)i);
        if (shapes_judge_read(judge, &seen, NULL, &image) == 1)
            right += memcmp(&s, &seen, sizeof s) == 0;
        image_fini(&image);
    }
    return 1000 * right / all;
}

static void test_true_drawings_are_read(void **state)
{
    (void)state;
    assert_in_range(share_right(2, 32, 1, 0), 998, 1000);
    assert_in_range(share_right(3, 64, 1, 0), 998, 1000);
    assert_in_range(share_right(19, 100, 1, 0), 998, 1000);
}

static void test_poor_drawings_are_read(void **state)
{
    (void)state;
    assert_in_range(share_right(5, 32, 1, 0.2), 990, 1000);
    assert_in_range(share_right(5, 32, 2, 0.1), 970, 1000);
    assert_in_range(share_right(5, 64, 4, 0.1), 970, 1000);
    assert_in_range(share_right(5, 32, 4, 0.05), 700, 1000); /* 8 x 8 pixels: small shapes are all but gone */
}

/* Each attribute changed alone is seen as changed: a wrong caption is never right. */
static void test_wrong_captions_are_wrong(void **state)
{
    int asked = 0;

    (void)state;
    for (int64_t i = 0; i < SHAPES_COUNT; i += 23) {
        struct shapes_scene s, seen;
        struct image image;

        assert_int_equal(shapes_scene(&s, i), 0);
        assert_int_equal(shapes_draw(&image, &s, 32, &usual, (struct rng){8, RNG_WORLD}, (uint64_t)i), 0);
        assert_int_equal(shapes_judge_read(judge, &seen, NULL, &image), 1);
        for (int a = 0; a < SHAPES_ATTRIBUTES; a++)
            for (int v = 0; v < shapes_values(a); v++) {
                struct shapes_scene other = s;

                other.value[a] = (uint8_t)v;
                if (v == s.value[a])
                    continue;
                assert_memory_not_equal(&seen, &other, sizeof s);
                asked++;
            }
        image_fini(&image);
    }
    assert_true(asked > 1000);
}

/* A ground alone, noise, and pictures of the wrong kind. */
static void test_what_is_no_drawing(void **state)
{
    static const int flat[3][3] = {{30, 30, 30}, {222, 222, 222}, {40, 64, 220}};
    struct shapes_scene seen;
    struct image image;

    (void)state;
    for (int k = 0; k < 4; k++) {
        assert_int_equal(image_init(&image, 32, 32), 0);
        for (int i = 0; i < 32 * 32 * 3; i++)
            image.rgb[i] = (uint8_t)(k < 3 ? flat[k][i % 3]
                                           : 255 * rng_uniform((struct rng){2, RNG_TEST}, 0, (uint64_t)i));
        assert_int_equal(shapes_judge_read(judge, &seen, NULL, &image), 0);
        image_fini(&image);
    }
    assert_int_equal(image_init(&image, 32, 31), 0);
    assert_int_equal(shapes_judge_read(judge, &seen, NULL, &image), ERR_ARG);
    image_fini(&image);
    assert_int_equal(image_init(&image, 8, 8), 0);
    assert_int_equal(shapes_judge_read(judge, &seen, NULL, &image), ERR_ARG);
    image_fini(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scenes_are_numbered),
        cmocka_unit_test(test_the_rule_that_holds_out),
        cmocka_unit_test(test_orders_hold_each_scene_once),
        cmocka_unit_test(test_captions_are_read_back),
        cmocka_unit_test(test_other_captions_are_refused),
        cmocka_unit_test(test_drawings_repeat_and_differ),
        cmocka_unit_test(test_true_drawings_are_read),
        cmocka_unit_test(test_poor_drawings_are_read),
        cmocka_unit_test(test_wrong_captions_are_wrong),
        cmocka_unit_test(test_what_is_no_drawing),
    };

    return cmocka_run_group_tests(tests, make_judge, free_judge);
}

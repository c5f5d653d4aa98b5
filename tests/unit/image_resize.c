/* SPDX-License-Identifier: MIT */
/* Resampling against its published definitions, and the paper's preprocessing.  The checksums are of TensorFlow's area
 * definition worked out in numpy and of Pillow 12's own Lanczos; tests/reference/image_files.py prints them. */
#include "image/prepare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static const struct {
    int width, height, to_width, to_height;
    uint32_t corners, boxes, lanczos;
} vectors[] = {
    {40, 30, 16, 12, 0x46380e5d, 0x2f89b9e9, 0xcc25ede3},
    {33, 47, 32, 32, 0xe6ef1793, 0x099e9388, 0x22335217},
    {64, 64, 64, 64, 0xbc1cee06, 0xbc1cee06, 0xbc1cee06},
    {31, 17, 7, 5, 0x1e68803f, 0x659055cb, 0xf3a778e2},
    {20, 20, 23, 29, 0x221e1524, 0x10eef116, 0x5cf450ef},
    {100, 3, 9, 1, 0x4dab885e, 0xc6416268, 0x0d54a7c1},
    {1, 5, 3, 2, 0x00000000, 0x158eca3e, 0x42fabf52},
    {257, 129, 36, 48, 0x3241418f, 0xfaf3ae82, 0x77769dae},
};

/* The paper's listings by another implementation, Philox and all: the same script. */
static const struct {
    int width, height, size;
    uint64_t seed, step;
    uint32_t train, prior;
} listings[] = {
    {90, 130, 48, 0, 0x1u, 0x234d8a97, 0x42365f57},
    {90, 130, 48, 5, 0x123456789abcdef0u, 0x8473ae39, 0x6053f4e8},
    {200, 61, 32, 0, 0x1u, 0x707029d3, 0x1f35fe74},
    {200, 61, 32, 5, 0x123456789abcdef0u, 0xa62923c2, 0xbe3863fb},
    {64, 64, 64, 0, 0x1u, 0x2e421cfe, 0xbc1cee06},
    {64, 64, 64, 5, 0x123456789abcdef0u, 0xbc1cee06, 0xbc1cee06},
    {100, 80, 64, 0, 0x1u, 0x536230a8, 0x8001acbe},
    {100, 80, 64, 5, 0x123456789abcdef0u, 0x83bc7b2e, 0x9e527c77},
};

static void make_formula(struct image *image, int width, int height)
{
    assert_int_equal(image_init(image, width, height), 0);
    for (uint64_t y = 0; y < (uint64_t)height; y++)
        for (uint64_t x = 0; x < (uint64_t)width; x++)
            for (uint64_t c = 0; c < 3; c++) {
                uint64_t v = (x * 2654435761u + y * 40503 + c * 7919 + x * y * 131) & 0xffffffffu;

                image->rgb[3 * (y * (uint64_t)width + x) + c] = (uint8_t)((v ^ v >> 13) >> 5);
            }
}

/* Each pixel says where it was: red x, green y. */
static void make_map(struct image *image, int width, int height)
{
    assert_int_equal(image_init(image, width, height), 0);
    for (int i = 0; i < width * height; i++) {
        image->rgb[3 * i] = (uint8_t)(i % width);
        image->rgb[3 * i + 1] = (uint8_t)(i / width);
    }
}

static uint32_t checksum(struct image *image)
{
    uint32_t crc = (uint32_t)crc32(0, image->rgb, 3 * (unsigned)image->width * (unsigned)image->height);

    image_fini(image);
    return crc;
}

static void test_definitions(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(vectors); i++) {
        struct image in, out;

        make_formula(&in, vectors[i].width, vectors[i].height);
        if (vectors[i].corners) {
            assert_int_equal(image_resize_area(&out, &in, vectors[i].to_width, vectors[i].to_height, true), 0);
            assert_int_equal(checksum(&out), vectors[i].corners);
        }
        assert_int_equal(image_resize_area(&out, &in, vectors[i].to_width, vectors[i].to_height, false), 0);
        assert_int_equal(checksum(&out), vectors[i].boxes);
        assert_int_equal(image_resize_lanczos(&out, &in, vectors[i].to_width, vectors[i].to_height), 0);
        assert_int_equal(checksum(&out), vectors[i].lanczos);
        image_fini(&in);
    }
}

static void test_listings(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(listings); i++) {
        struct rng rng = {listings[i].seed, RNG_CROP};
        struct image in, out;

        make_formula(&in, listings[i].width, listings[i].height);
        assert_int_equal(image_prepare(&out, &in, listings[i].size, PREPARE_TRAIN, true, rng, listings[i].step), 0);
        assert_int_equal(checksum(&out), listings[i].train);
        assert_int_equal(image_prepare(&out, &in, listings[i].size, PREPARE_PRIOR, false, rng, listings[i].step), 0);
        assert_int_equal(checksum(&out), listings[i].prior);
        image_fini(&in);
    }
}

/* A box of the result has the bytes that the whole result has there, of a part of the input as of a picture cut out. */
static void test_boxes(void **state)
{
    static const struct image_box boxes[] = {{0, 0, 23, 19}, {0, 0, 1, 1}, {22, 18, 1, 1}, {5, 7, 9, 3}, {3, 0, 17, 19}};
    struct image_box from = {4, 9, 31, 26}, wrong[] = {{0, 0, 24, 19}, {-1, 0, 2, 2}, {0, 19, 1, 1}, {1, 1, 0, 1}};
    struct image in, part, whole, want, got;

    (void)state;
    make_formula(&in, 40, 35);
    assert_int_equal(image_crop(&part, &in, from.x, from.y, from.width, from.height), 0);
    for (int how = 0; how < 3; how++) {
        assert_int_equal(how == 2 ? image_resize_lanczos(&whole, &in, 23, 19) : image_resize_area(&whole, &part, 23, 19, how), 0);
        for (size_t i = 0; i < COUNT(boxes); i++) {
            const struct image_box *b = &boxes[i];

            assert_int_equal(image_crop(&want, &whole, b->x, b->y, b->width, b->height), 0);
            assert_int_equal(how == 2 ? image_resize_lanczos_box(&got, &in, 23, 19, b)
                                      : image_resize_area_box(&got, &in, &from, 23, 19, how, b), 0);
            assert_int_equal(got.width, b->width);
            assert_memory_equal(got.rgb, want.rgb, 3 * b->width * b->height);
            image_fini(&got);
            image_fini(&want);
        }
        image_fini(&whole);
    }
    for (size_t i = 0; i < COUNT(wrong); i++) {
        assert_int_equal(image_resize_lanczos_box(&got, &in, 23, 19, &wrong[i]), ERR_ARG);
        assert_int_equal(image_resize_area_box(&got, &in, &from, 23, 19, true, &wrong[i]), ERR_ARG);
        assert_null(got.rgb);
    }
    from.width = 37;
    assert_int_equal(image_resize_area_box(&got, &in, &from, 23, 19, true, &boxes[0]), ERR_ARG);
    image_fini(&part);
    image_fini(&in);
}

/* 5 to 3 pixels with aligned corners: steps of 2, so (0,1), (2,3) and the last pixel alone. */
static void test_aligned_corners_by_hand(void **state)
{
    const uint8_t values[5] = {10, 20, 30, 50, 200}, want[3] = {15, 40, 200};
    struct image in, out;

    (void)state;
    assert_int_equal(image_init(&in, 5, 1), 0);
    for (int i = 0; i < 5; i++)
        memset(in.rgb + 3 * i, values[i], 3);
    assert_int_equal(image_resize_area(&out, &in, 3, 1, true), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(out.rgb[3 * i], want[i]);
    image_fini(&out);
    image_fini(&in);
}

static void test_resize_one_pixel_and_refusals(void **state)
{
    struct image in, out;

    (void)state;
    assert_int_equal(image_init(&in, 1, 1), 0);
    memset(in.rgb, 77, 3);
    assert_int_equal(image_resize_area(&out, &in, 4, 3, true), 0);
    for (int i = 0; i < 36; i++)
        assert_int_equal(out.rgb[i], 77);
    image_fini(&out);
    assert_int_equal(image_resize_area(&out, &in, 0, 3, true), ERR_ARG);
    assert_int_equal(image_resize_lanczos(&out, &in, 3, -1), ERR_ARG);
    assert_int_equal(image_resize_lanczos(&out, &in, 1 << 25, 1), ERR_ARG);
    image_fini(&in);
}

/* ---- preprocessing ---------------------------------------------------------------------------------------------- */

static const struct rng crop_rng = {5, RNG_CROP};

static void test_exact_size_is_left_alone(void **state)
{
    struct image in, out;

    (void)state;
    make_formula(&in, 32, 32);
    for (int how = PREPARE_TRAIN; how <= PREPARE_EVAL; how++)
        for (uint64_t step = 0; step < 20; step++) {
            assert_int_equal(image_prepare(&out, &in, 32, (enum prepare)how, false, crop_rng, step), 0);
            assert_memory_equal(in.rgb, out.rgb, 32 * 32 * 3);
            image_fini(&out);
        }
    image_fini(&in);
}

static void test_flip_is_asked_for_and_half(void **state)
{
    struct image in, out, mirror;
    int flips = 0;

    (void)state;
    make_formula(&in, 16, 16);
    assert_int_equal(image_crop(&mirror, &in, 0, 0, 16, 16), 0);
    image_flip(&mirror);
    for (uint64_t step = 0; step < 400; step++) {
        assert_int_equal(image_prepare(&out, &in, 16, PREPARE_TRAIN, true, crop_rng, step), 0);
        if (memcmp(out.rgb, mirror.rgb, 16 * 16 * 3) == 0)
            flips++;
        else
            assert_memory_equal(out.rgb, in.rgb, 16 * 16 * 3);
        image_fini(&out);
        assert_int_equal(image_prepare(&out, &in, 16, PREPARE_PRIOR, true, crop_rng, step), 0);
        assert_memory_equal(out.rgb, in.rgb, 16 * 16 * 3);
        image_fini(&out);
    }
    assert_in_range(flips, 160, 240);
    image_fini(&mirror);
    image_fini(&in);
}

/* A 240x64 map at size 64: s = 64, no room for scales, so the output shows the first crop's offset. */
static void offsets(enum prepare how, int *low, int *high)
{
    struct image in, out;

    *low = 1000;
    *high = -1;
    make_map(&in, 240, 64);
    for (uint64_t step = 0; step < 1500; step++) {
        int x;

        assert_int_equal(image_prepare(&out, &in, 64, how, false, crop_rng, step), 0);
        x = out.rgb[0];
        assert_int_equal(out.rgb[3 * 63], x + 63);
        assert_int_equal(out.rgb[3 * 64 * 63 + 1], 63);
        *low = x < *low ? x : *low;
        *high = x > *high ? x : *high;
        image_fini(&out);
    }
    image_fini(&in);
}

static void test_crops_cover_what_the_listings_say(void **state)
{
    int low, high;

    (void)state;
    offsets(PREPARE_TRAIN, &low, &high);
    assert_int_equal(low, 0);
    assert_int_equal(high, 176);
    offsets(PREPARE_PRIOR, &low, &high); /* [3*176//8, 5*176//8) */
    assert_int_equal(low, 66);
    assert_int_equal(high, 109);
    offsets(PREPARE_EVAL, &low, &high);
    assert_int_equal(low, 88);
    assert_int_equal(high, 88);
}

/* A 200x200 map at size 64: the output's first and last columns tell the scale. */
static void spans(enum prepare how, int *least, int *most)
{
    struct image in, out;

    *least = 1000;
    *most = -1;
    make_map(&in, 200, 200);
    for (uint64_t step = 0; step < 800; step++) {
        int span;

        assert_int_equal(image_prepare(&out, &in, 64, how, false, crop_rng, step), 0);
        span = out.rgb[3 * 63] - out.rgb[0];
        *least = span < *least ? span : *least;
        *most = span > *most ? span : *most;
        image_fini(&out);
    }
    image_fini(&in);
}

static void test_scales_cover_what_the_listings_say(void **state)
{
    int least, most;

    (void)state;
    spans(PREPARE_TRAIN, &least, &most); /* t from 72 to 96: 63 steps of 199/95 to 199/71 */
    assert_in_range(least, 63 * 199 / 95 - 3, 63 * 199 / 95 + 3);
    assert_in_range(most, 63 * 199 / 71 - 2, 63 * 199 / 71 + 2);
    spans(PREPARE_PRIOR, &least, &most); /* t from 64 to 72 */
    assert_in_range(least, 63 * 199 / 71 - 2, 63 * 199 / 71 + 2);
    assert_in_range(most, 63 * 199 / 63 - 3, 63 * 199 / 63);
}

static void test_the_key_alone_decides(void **state)
{
    uint64_t step = prepare_step("000000017", 0);
    struct image in, first, again, other;

    (void)state;
    assert_true(step == rng_hash("000000017", 9));
    assert_true(prepare_step("000000017", 1) != step);
    make_formula(&in, 90, 130);
    assert_int_equal(image_prepare(&first, &in, 48, PREPARE_TRAIN, true, crop_rng, step), 0);
    assert_int_equal(image_prepare(&other, &in, 48, PREPARE_TRAIN, true, crop_rng, step + 1), 0);
    assert_int_equal(image_prepare(&again, &in, 48, PREPARE_TRAIN, true, crop_rng, step), 0);
    assert_memory_equal(first.rgb, again.rgb, 48 * 48 * 3);
    assert_memory_not_equal(first.rgb, other.rgb, 48 * 48 * 3);
    image_fini(&first);
    image_fini(&again);
    image_fini(&other);
    image_fini(&in);
}

static void test_small_pictures_are_refused(void **state)
{
    struct image in, out;

    (void)state;
    make_formula(&in, 40, 30);
    for (int how = PREPARE_TRAIN; how <= PREPARE_EVAL; how++) {
        assert_int_equal(image_prepare(&out, &in, 31, (enum prepare)how, false, crop_rng, 1), ERR_LIMIT);
        assert_string_equal(err_text(), "picture 40x30 is smaller than 31");
        assert_null(out.rgb);
        assert_int_equal(image_prepare(&out, &in, 30, (enum prepare)how, false, crop_rng, 1), 0);
        image_fini(&out);
    }
    assert_int_equal(image_prepare(&out, &in, 0, PREPARE_EVAL, false, crop_rng, 1), ERR_ARG);
    image_fini(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_definitions),
        cmocka_unit_test(test_listings),
        cmocka_unit_test(test_boxes),
        cmocka_unit_test(test_aligned_corners_by_hand),
        cmocka_unit_test(test_resize_one_pixel_and_refusals),
        cmocka_unit_test(test_exact_size_is_left_alone),
        cmocka_unit_test(test_flip_is_asked_for_and_half),
        cmocka_unit_test(test_crops_cover_what_the_listings_say),
        cmocka_unit_test(test_scales_cover_what_the_listings_say),
        cmocka_unit_test(test_the_key_alone_decides),
        cmocka_unit_test(test_small_pictures_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

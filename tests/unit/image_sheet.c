/* SPDX-License-Identifier: MIT */
/* Contact sheets and the letters on them. */
#include "image/sheet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "image/font.h"

static void make_flat(struct image *image, int width, int height, uint8_t value)
{
    assert_int_equal(image_init(image, width, height), 0);
    memset(image->rgb, value, 3 * (size_t)width * (size_t)height);
}

static int at(const struct image *image, int64_t x, int64_t y)
{
    return image->rgb[3 * (y * image->width + x)];
}

static int ink_in(const struct image *image, int64_t x, int64_t y, int64_t width, int64_t height)
{
    int dark = 0;

    for (int64_t b = y; b < y + height; b++)
        for (int64_t a = x; a < x + width; a++)
            dark += at(image, a, b) < 128;
    return dark;
}

static void test_grid(void **state)
{
    const struct sheet style = {3, 2, 4, 0};
    struct image pictures[5], out;

    (void)state;
    for (int i = 0; i < 5; i++)
        make_flat(&pictures[i], 8, 6, (uint8_t)(10 * i));
    assert_int_equal(sheet_make(&out, pictures, NULL, 5, &style), 0);
    assert_int_equal(out.width, 3 * (32 + 2) + 2);
    assert_int_equal(out.height, 2 * (24 + 2) + 2);
    for (int i = 0; i < 5; i++) {
        int64_t x = 2 + i % 3 * 34, y = 2 + i / 3 * 26;

        assert_int_equal(at(&out, x, y), 10 * i);
        assert_int_equal(at(&out, x + 31, y + 23), 10 * i);
        assert_int_equal(at(&out, x - 1, y), 255);
        assert_int_equal(at(&out, x, y - 1), 255);
    }
    assert_int_equal(at(&out, 2 + 2 * 34, 2 + 26), 255); /* the sixth is empty */
    image_fini(&out);

    assert_int_equal(sheet_make(&out, pictures, NULL, 4, &(struct sheet)SHEET_USUAL), 0);
    assert_int_equal(out.width, 2 * (128 + 4) + 4); /* two by two, brought to 128 pixels */
    image_fini(&out);
    for (int i = 0; i < 5; i++)
        image_fini(&pictures[i]);
}

static void test_captions_take_room(void **state)
{
    const char *const captions[4] = {"ab", "one two three", NULL, ""};
    const struct sheet style = {2, 0, 1, 1};
    struct image pictures[4], out;

    (void)state;
    for (int i = 0; i < 4; i++)
        make_flat(&pictures[i], 40, 10, 200); /* six letters */
    assert_int_equal(sheet_make(&out, pictures, captions, 4, &style), 0);
    assert_int_equal(out.height, 10 + 3 * FONT_HEIGHT + 4 + 10); /* one / two / three; none in the second row */
    assert_true(ink_in(&out, 0, 10, 40, FONT_HEIGHT + 4) > 10);
    assert_int_equal(ink_in(&out, 0, 10 + FONT_HEIGHT + 4, 40, 2 * FONT_HEIGHT), 0);
    for (int line = 0; line < 3; line++)
        assert_true(ink_in(&out, 40, 14 + line * FONT_HEIGHT, 40, FONT_HEIGHT) > 10);
    image_fini(&out);
    for (int i = 0; i < 4; i++)
        image_fini(&pictures[i]);
}

static void test_long_captions_end_in_dots(void **state)
{
    char words[400] = "";
    const char *const captions[1] = {words};
    const struct sheet style = {1, 0, 1, 1};
    struct image picture, out;

    (void)state;
    memset(words, 'x', 399);
    make_flat(&picture, 60, 10, 200);
    assert_int_equal(sheet_make(&out, &picture, captions, 1, &style), 0);
    assert_int_equal(out.height, 10 + SHEET_LINES_MAX * FONT_HEIGHT + 4);
    assert_int_equal(ink_in(&out, 0, 14, 60, FONT_HEIGHT), 90); /* ten letters x */
    assert_int_equal(ink_in(&out, 42, 10 + 4 + 5 * FONT_HEIGHT, 18, 5), 0); /* dots lie low */
    assert_int_equal(ink_in(&out, 42, 10 + 4 + 5 * FONT_HEIGHT + 5, 18, 2), 12);
    image_fini(&out);
    image_fini(&picture);
}

static void test_refusals(void **state)
{
    struct image pictures[2], out;

    (void)state;
    make_flat(&pictures[0], 8, 8, 0);
    make_flat(&pictures[1], 8, 9, 0);
    assert_int_equal(sheet_make(&out, pictures, NULL, 2, &(struct sheet)SHEET_USUAL), ERR_ARG);
    assert_int_equal(sheet_make(&out, pictures, NULL, 0, &(struct sheet)SHEET_USUAL), ERR_ARG);
    assert_int_equal(sheet_make(&out, pictures, NULL, 1, &(struct sheet){1, -1, 1, 1}), ERR_ARG);
    assert_null(out.rgb);
    image_fini(&pictures[0]);
    image_fini(&pictures[1]);
}

/* Every printable character has a glyph of its own, inside its cell; other characters are boxes; nothing leaves the picture. */
static void test_letters(void **state)
{
    const uint8_t black[3] = {0, 0, 0};
    struct image cell[96], small;

    (void)state;
    for (int i = 0; i < 95; i++) {
        char c = (char)(' ' + i);

        make_flat(&cell[i], FONT_WIDTH, FONT_HEIGHT, 255);
        font_draw(&cell[i], 0, 0, &c, 1, 1, black);
        assert_int_equal(ink_in(&cell[i], FONT_WIDTH - 1, 0, 1, FONT_HEIGHT), 0);
        for (int j = 0; j < i; j++)
            assert_memory_not_equal(cell[i].rgb, cell[j].rgb, FONT_WIDTH * FONT_HEIGHT * 3);
    }
    make_flat(&cell[95], FONT_WIDTH, FONT_HEIGHT, 255);
    font_draw(&cell[95], 0, 0, "\xc3\xa9", 2, 1, black);
    assert_true(ink_in(&cell[95], 0, 0, FONT_WIDTH, FONT_HEIGHT) > 10);
    for (int i = 0; i < 96; i++)
        image_fini(&cell[i]);
    assert_int_equal(font_length("caf\xc3\xa9", 5), 4);
    make_flat(&small, 3, 3, 255);
    font_draw(&small, -7, -5, "MMMM", 4, 3, black); /* under the address sanitizer */
    image_fini(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grid),        cmocka_unit_test(test_captions_take_room),
        cmocka_unit_test(test_refusals),    cmocka_unit_test(test_long_captions_end_in_dots),
        cmocka_unit_test(test_letters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

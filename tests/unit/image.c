/* SPDX-License-Identifier: MIT */
/* Pictures from files and back.  tests/data/image holds one scene, red, green over blue, white, in every kind of file;
 * tests/reference/image_files.py made it. */
#include "image/image.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define FOLDER "tests/data/image/"

enum look { COLOUR, LUMA, BLACK_WHITE, LUMA_709 };

static const struct {
    const char *name;
    enum look look;
    bool prefixes; /* no proper prefix is a whole picture: not so for PNM as text */
} files[] = {
    {"rgb8.png", COLOUR, true},         {"rgb16.png", COLOUR, true},       {"rgb8-interlaced.png", COLOUR, true},
    {"rgba8.png", COLOUR, true},        {"rgba16-interlaced.png", COLOUR, true},
    {"palette.png", COLOUR, true},      {"palette-trns.png", COLOUR, true}, {"grey8.png", LUMA, true},
    {"grey16.png", LUMA, true},         {"grey1.png", BLACK_WHITE, true},  {"grey-alpha8.png", LUMA_709, true},
    {"orient6.png", COLOUR, true},      {"baseline.jpg", COLOUR, true},    {"progressive.jpg", COLOUR, true},
    {"grey.jpg", LUMA, true},           {"cmyk.jpg", COLOUR, true},        {"ycck.jpg", COLOUR, true},
    {"orient1.jpg", COLOUR, true},      {"orient2.jpg", COLOUR, true},     {"orient3.jpg", COLOUR, true},
    {"orient4.jpg", COLOUR, true},      {"orient5.jpg", COLOUR, true},     {"orient6.jpg", COLOUR, true},
    {"orient7.jpg", COLOUR, true},      {"orient8.jpg", COLOUR, true},     {"exif-broken.jpg", COLOUR, true},
    {"lossy.webp", COLOUR, true},       {"lossless.webp", COLOUR, true},   {"alpha.webp", COLOUR, true},
    {"animation.webp", COLOUR, true},   {"orient6.webp", COLOUR, true},    {"p1.pbm", BLACK_WHITE, false},
    {"p2.pgm", LUMA, false},            {"p3.ppm", COLOUR, false},         {"p4.pbm", BLACK_WHITE, true},
    {"p5.pgm", LUMA, true},             {"p6.ppm", COLOUR, true},          {"p6-16.ppm", COLOUR, true},
};

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void load(const char *name, uint8_t **bytes, size_t *size)
{
    char path[200];

    snprintf(path, sizeof path, FOLDER "%s", name);
    if (file_read(path, 1 << 20, (char **)bytes, size) != 0)
        fail_msg("%s", err_text());
}

static void assert_near(const char *name, const struct image *image, int x, int y, const int want[3])
{
    const uint8_t *p = image->rgb + 3 * (y * image->width + x);

    for (int c = 0; c < 3; c++)
        if (abs(p[c] - want[c]) > 3)
            fail_msg("%s: pixel %d,%d is %d %d %d, not %d %d %d", name, x, y, p[0], p[1], p[2], want[0], want[1], want[2]);
}

static void assert_scene(const char *name, const struct image *image, enum look look)
{
    static const int want[4][4][3] = {
        {{255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {255, 255, 255}},
        {{76, 76, 76}, {150, 150, 150}, {29, 29, 29}, {255, 255, 255}},
        {{0, 0, 0}, {255, 255, 255}, {0, 0, 0}, {255, 255, 255}},
        {{54, 54, 54}, {182, 182, 182}, {18, 18, 18}, {255, 255, 255}},
    };

    assert_int_equal(image->width * 2, image->height * 3);
    for (int i = 0; i < 4; i++)
        assert_near(name, image, image->width * (1 + 2 * (i % 2)) / 4, image->height * (1 + 2 * (i / 2)) / 4, want[look][i]);
}

static void test_every_kind(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(files); i++) {
        struct image image;
        uint8_t *bytes;
        size_t size;

        load(files[i].name, &bytes, &size);
        if (image_decode(&image, bytes, size, NULL) != 0)
            fail_msg("%s: %s", files[i].name, err_text());
        assert_scene(files[i].name, &image, files[i].look);
        image_fini(&image);
        free(bytes);
    }
}

/* A copy of exactly the prefix's size, so that the address sanitizer sees a read behind it. */
static void test_every_prefix_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(files); i++) {
        uint8_t *bytes;
        size_t size;

        load(files[i].name, &bytes, &size);
        for (size_t cut = 0; files[i].prefixes && cut < size; cut++) {
            uint8_t *prefix = malloc(cut ? cut : 1);
            struct image image;
            int rc;

            memcpy(prefix, bytes, cut);
            rc = image_decode(&image, prefix, cut, NULL);
            if (rc != ERR_FORMAT)
                fail_msg("%s cut to %zu of %zu bytes: %d", files[i].name, cut, size, rc);
            assert_null(image.rgb);
            free(prefix);
        }
        free(bytes);
    }
}

/* Flipped bits may give another picture, but never a crash; in a PNG's data the checksum notices. */
static void test_flipped_bits(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(files); i++) {
        struct image_limits limits = {.pixels = 1 << 16};
        uint8_t *bytes;
        size_t size;

        load(files[i].name, &bytes, &size);
        for (size_t bit = 0; bit < 8 * size; bit += 3) {
            struct image image;
            int rc;

            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            rc = image_decode(&image, bytes, size, &limits);
            assert_true(rc == 0 || rc == ERR_FORMAT || rc == ERR_LIMIT);
            assert_true((rc == 0) == (image.rgb != NULL));
            if (strcmp(files[i].name, "rgb8.png") == 0)
                assert_true(rc != 0);
            image_fini(&image);
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        free(bytes);
    }
}

static void assert_refused(const void *bytes, size_t size, int code, const char *words)
{
    struct image image;

    assert_int_equal(image_decode(&image, bytes, size, NULL), code);
    if (!strstr(err_text(), words))
        fail_msg("'%s' is not in '%s'", words, err_text());
    assert_null(image.rgb);
}

static void test_other_files_are_named(void **state)
{
    (void)state;
    assert_refused("", 0, ERR_FORMAT, "empty");
    assert_refused("GIF89a", 6, ERR_FORMAT, "GIF");
    assert_refused("MM\0*....", 8, ERR_FORMAT, "TIFF");
    assert_refused("....ftypavif", 12, ERR_FORMAT, "AVIF");
    assert_refused("<html>", 6, ERR_FORMAT, "HTML");
    assert_refused("hello", 5, ERR_FORMAT, "not a PNG");
    assert_refused("P7\nWIDTH", 8, ERR_FORMAT, "not a PNG");
    assert_refused("P6 2 2 0 ............", 20, ERR_FORMAT, "largest value");
    assert_refused("P6 0 2 255 ............", 20, ERR_FORMAT, "0x2");
    assert_refused("P5 2 1 7 \x07\x08", 11, ERR_FORMAT, "above 7");
    assert_refused("P6 99999999999 2 255 ....", 24, ERR_FORMAT, "width");
    assert_refused("P6 100000 100000 255 ....", 24, ERR_LIMIT, "pixels");
}

static int run(const char *format, const char *a, const char *b)
{
    char command[1000];

    snprintf(command, sizeof command, format, a, b);
    return system(command);
}

/* All colour types and depths, interlaced or not, with tRNS, against what the specification says they show. */
static void test_png_of_every_kind(void **state)
{
    char folder[] = "/tmp/image-png-XXXXXX", path[400];
    const char *root = getenv("ROOT");
    struct dirent *entry;
    int count = 0;
    DIR *dir;

    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(run("python3 '%s/tests/reference/png_make.py' %s", root ? root : ".", folder), 0);
    assert_non_null(dir = opendir(folder));
    while ((entry = readdir(dir))) {
        struct image image[2];

        if (!strstr(entry->d_name, ".png"))
            continue;
        for (int i = 0; i < 2; i++) {
            char *bytes;
            size_t size;

            snprintf(path, sizeof path, "%s/%.*s.%s", folder, (int)strcspn(entry->d_name, "."), entry->d_name, i ? "ppm" : "png");
            assert_int_equal(file_read(path, 1 << 20, &bytes, &size), 0);
            if (image_decode(&image[i], (uint8_t *)bytes, size, NULL) != 0)
                fail_msg("%s: %s", path, err_text());
            free(bytes);
        }
        assert_int_equal(image[0].width, 13);
        assert_int_equal(image[0].height, 11);
        if (memcmp(image[0].rgb, image[1].rgb, 13 * 11 * 3) != 0)
            fail_msg("%s is not what it should show", path);
        image_fini(&image[0]);
        image_fini(&image[1]);
        count++;
    }
    closedir(dir);
    assert_int_equal(count, 52);
    assert_int_equal(run("rm -rf %s%s", folder, ""), 0);
}

/* A JPEG at a fraction: sizes, turned as the whole one is, and never fewer pixels than asked for. */
static void test_jpeg_at_a_fraction(void **state)
{
    static const struct { int least, width, height; } sizes[] = {
        {0, 96, 64}, {65, 96, 64}, {64, 96, 64}, {33, 96, 64}, {32, 48, 32}, {17, 48, 32}, {16, 24, 16}, {8, 12, 8}, {1, 12, 8}};

    (void)state;
    for (size_t i = 0; i < COUNT(files); i++) {
        bool jpeg = strstr(files[i].name, ".jpg");
        uint8_t *bytes;
        size_t size;

        load(files[i].name, &bytes, &size);
        for (size_t k = 0; k < COUNT(sizes); k++) {
            struct image image;

            assert_int_equal(image_decode_least(&image, bytes, size, NULL, sizes[k].least), 0);
            if (jpeg) {
                assert_int_equal(image.width, sizes[k].width);
                assert_int_equal(image.height, sizes[k].height);
            }
            assert_scene(files[i].name, &image, files[i].look);
            image_fini(&image);
        }
        free(bytes);
    }
}

/* What the fractions cost: the mean square difference from all pixels, both reduced to the same size. */
static void test_what_a_fraction_costs(void **state)
{
    static const struct { int least; double db; } costs[] = {{128, 44}, {64, 35}};
    struct image whole, want, part, got;
    uint8_t *bytes;
    size_t size;

    (void)state;
    load("photo.jpg", &bytes, &size);
    assert_int_equal(image_decode(&whole, bytes, size, NULL), 0);
    assert_int_equal(image_resize_lanczos(&want, &whole, 64, 64), 0);
    for (size_t i = 0; i < COUNT(costs); i++) {
        double sum = 0, db;

        assert_int_equal(image_decode_least(&part, bytes, size, NULL, costs[i].least), 0);
        assert_int_equal(part.width, costs[i].least);
        assert_int_equal(image_resize_lanczos(&got, &part, 64, 64), 0);
        for (int k = 0; k < 64 * 64 * 3; k++)
            sum += (got.rgb[k] - want.rgb[k]) * (got.rgb[k] - want.rgb[k]);
        db = 10 * log10(255.0 * 255 * 64 * 64 * 3 / sum);
        if (db < costs[i].db || db > costs[i].db + 5)
            fail_msg("%d pixels: %.1f dB", costs[i].least, db);
        image_fini(&part);
        image_fini(&got);
    }
    image_fini(&whole);
    image_fini(&want);
    free(bytes);
}

/* Pillow's decoders of the same files; libraries differ by a rounding here and there. */
static void test_pillow_sees_the_same(void **state)
{
    static const char *const names[] = {"photo-progressive", "photo-grey", "photo-cmyk", "photo-422", "photo-restart",
                                        "photo-lossy"};

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        struct image image[2];
        double sum = 0;
        int most = 0;

        for (int k = 0; k < 2; k++) {
            char name[64];
            uint8_t *bytes;
            size_t size;

            snprintf(name, sizeof name, "%s%s", names[i], k ? ".pillow.png" : strstr(names[i], "lossy") ? ".webp" : ".jpg");
            load(name, &bytes, &size);
            if (image_decode(&image[k], bytes, size, NULL) != 0)
                fail_msg("%s: %s", name, err_text());
            free(bytes);
        }
        assert_int_equal(image[0].width, image[1].width);
        for (int k = 0; k < 3 * image[0].width * image[0].height; k++) {
            int d = abs(image[0].rgb[k] - image[1].rgb[k]);

            sum += d;
            most = d > most ? d : most;
        }
        if (most > 3 || sum / (3.0 * image[0].width * image[0].height) > 0.1)
            fail_msg("%s: %d at most, %.3f on average", names[i], most, sum / (3.0 * image[0].width * image[0].height));
        image_fini(&image[0]);
        image_fini(&image[1]);
    }
}

/* The header alone promises the size; nothing of that size is allocated. */
static void test_limits(void **state)
{
    struct image_limits pixels = {.pixels = 95}, enough = {.pixels = 96}, bytes_limit = {.bytes = 50};
    struct image image;

    (void)state;
    for (size_t i = 0; i < COUNT(files); i++) {
        uint8_t *bytes;
        size_t size;

        load(files[i].name, &bytes, &size);
        assert_int_equal(image_decode(&image, bytes, size, &pixels), ERR_LIMIT);
        assert_null(image.rgb);
        if (strcmp(files[i].name, "rgb8.png") == 0) {
            assert_int_equal(image_decode(&image, bytes, size, &bytes_limit), ERR_LIMIT);
            assert_int_equal(image_decode(&image, bytes, size, &enough), 0);
            image_fini(&image);
        }
        free(bytes);
    }
}

static void test_transparency_stands_over_white(void **state)
{
    /* 2x1 grey with alpha, by hand: half-black gives 127, none gives white */
    struct image image;
    uint8_t *bytes;
    size_t size;

    (void)state;
    load("half-alpha.png", &bytes, &size);
    assert_int_equal(image_decode(&image, bytes, size, NULL), 0);
    assert_int_equal(image.rgb[0], 127);
    assert_int_equal(image.rgb[3], 255);
    image_fini(&image);
    free(bytes);
}

static void make_formula(struct image *image, int width, int height)
{
    assert_int_equal(image_init(image, width, height), 0);
    for (int64_t i = 0; i < 3 * (int64_t)width * height; i++)
        image->rgb[i] = (uint8_t)(i * 37 + i / 7);
}

static void test_png_round_trip(void **state)
{
    struct image_text text[] = {{"Title", "a red circle"}, {"Description", "\xc3\xa9toile"}};
    struct image in, back;
    uint8_t *bytes;
    size_t size;

    (void)state;
    make_formula(&in, 37, 11);
    assert_int_equal(image_encode_png(&in, text, 2, &bytes, &size), 0);
    assert_non_null(memmem(bytes, size, "tEXtTitle\0a red circle", 22));
    assert_non_null(memmem(bytes, size, "iTXtDescription\0\0\0\0\0\xc3\xa9toile", 27));
    assert_int_equal(image_decode(&back, bytes, size, NULL), 0);
    assert_int_equal(back.width, 37);
    assert_memory_equal(in.rgb, back.rgb, 37 * 11 * 3);
    image_fini(&back);
    free(bytes);

    text[0].key = "";
    assert_int_equal(image_encode_png(&in, text, 1, &bytes, &size), ERR_ARG);
    assert_null(bytes);
    image_fini(&in);
}

static void test_ppm_round_trip(void **state)
{
    char path[] = "/tmp/image-test-XXXXXX";
    struct image in, back;
    struct out out;
    char *bytes;
    size_t size;

    (void)state;
    close(mkstemp(path));
    make_formula(&in, 5, 3);
    assert_int_equal(out_open(&out, path, true), 0);
    assert_int_equal(image_write_ppm(&in, &out), 0);
    assert_int_equal(out_commit(&out), 0);
    assert_int_equal(file_read(path, 1000, &bytes, &size), 0);
    assert_int_equal(image_decode(&back, (uint8_t *)bytes, size, NULL), 0);
    assert_memory_equal(in.rgb, back.rgb, 45);
    unlink(path);
    free(bytes);
    image_fini(&in);
    image_fini(&back);
}

static void test_crop_and_flip(void **state)
{
    struct image in, cut;

    (void)state;
    make_formula(&in, 9, 7);
    assert_int_equal(image_crop(&cut, &in, 2, 3, 4, 2), 0);
    for (int y = 0; y < 2; y++)
        assert_memory_equal(cut.rgb + 12 * y, in.rgb + 3 * ((3 + y) * 9 + 2), 12);
    image_flip(&cut);
    for (int x = 0; x < 4; x++)
        assert_memory_equal(cut.rgb + 3 * x, in.rgb + 3 * (3 * 9 + 5 - x), 3);
    image_fini(&cut);
    assert_int_equal(image_crop(&cut, &in, 6, 0, 4, 2), ERR_ARG);
    assert_int_equal(image_crop(&cut, &in, -1, 0, 4, 2), ERR_ARG);
    assert_int_equal(image_crop(&cut, &in, 0, 0, 9, 8), ERR_ARG);
    assert_int_equal(image_crop(&cut, &in, INT64_MAX, 0, 1, 1), ERR_ARG);
    assert_int_equal(image_crop(&cut, &in, 0, 0, 9, 7), 0);
    assert_memory_equal(cut.rgb, in.rgb, 9 * 7 * 3);
    image_fini(&cut);
    image_fini(&in);
}

/* Where the file's row 0 and column 0 stand in the picture, from the EXIF standard's table. */
static void test_orientations(void **state)
{
    static const char *const corner[9] = {"", "tl", "tr", "br", "bl", "lt", "rt", "rb", "lb"};
    struct image in, out;

    (void)state;
    make_formula(&in, 5, 3);
    for (int o = 1; o <= 8; o++) {
        int64_t x, y;

        assert_int_equal(image_orient(&out, &in, o), 0);
        assert_int_equal(out.width, o < 5 ? 5 : 3);
        x = strchr(corner[o], 'r') ? out.width - 1 : 0;
        y = strchr(corner[o], 'b') ? out.height - 1 : 0;
        assert_memory_equal(out.rgb + 3 * (y * out.width + x), in.rgb, 3);
        x = o < 5 ? out.width - 1 - x : x; /* the file's row 0 runs along the other side */
        y = o < 5 ? y : out.height - 1 - y;
        assert_memory_equal(out.rgb + 3 * (y * out.width + x), in.rgb + 3 * 4, 3);
        image_fini(&out);
    }
    assert_int_equal(image_orient(&out, &in, 9), ERR_ARG);
    image_fini(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind),
        cmocka_unit_test(test_every_prefix_is_refused),
        cmocka_unit_test(test_flipped_bits),
        cmocka_unit_test(test_other_files_are_named),
        cmocka_unit_test(test_png_of_every_kind),
        cmocka_unit_test(test_jpeg_at_a_fraction),
        cmocka_unit_test(test_what_a_fraction_costs),
        cmocka_unit_test(test_pillow_sees_the_same),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_transparency_stands_over_white),
        cmocka_unit_test(test_png_round_trip),
        cmocka_unit_test(test_ppm_round_trip),
        cmocka_unit_test(test_crop_and_flip),
        cmocka_unit_test(test_orientations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

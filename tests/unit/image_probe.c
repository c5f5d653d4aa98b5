/* SPDX-License-Identifier: MIT */
/* The size of a picture from its headers: what decodes has the size that was probed. */
#include "image/image.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Every picture of the tests, and prefixes of it. */
static void probe(void **state)
{
    DIR *dir = opendir("tests/data/image");
    struct dirent *d;
    int files = 0;

    (void)state;
    assert_non_null(dir);
    while ((d = readdir(dir))) {
        struct image_size size;
        struct image image;
        char path[300], *bytes;
        size_t length;

        if (d->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "tests/data/image/%s", d->d_name);
        assert_int_equal(file_read(path, 1 << 20, &bytes, &length), 0);
        for (size_t n = length; n > 0; n -= n < 700 || n > length - 40 ? 1 : 61) {
            uint8_t *copy = malloc(n); /* of its own, so that a sanitizer sees what is read behind it */
            int rc;

            memcpy(copy, bytes, n);
            rc = image_probe(&size, copy, n);
            assert_true(rc == 0 || rc == ERR_FORMAT);
            if (image_decode(&image, copy, n, NULL) == 0) {
                assert_int_equal(rc, 0);
                assert_int_equal(size.width, image.width);
                assert_int_equal(size.height, image.height);
            } else {
                assert_int_not_equal(n, length);
            }
            image_fini(&image);
            free(copy);
        }
        free(bytes);
        files++;
    }
    closedir(dir);
    assert_true(files >= 39);
}

/* The header suffices: the pixels need not be there. */
static void probe_headers(void **state)
{
    static const struct { const char *name; size_t bytes; int width, height; } heads[] = {
        {"orient6.jpg", 0, 0, 0}, {"rgb8.png", 33, 0, 0}, {"p6.ppm", 20, 0, 0}};
    static const uint8_t huge[] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff\xff\xff\xff\0\0\0\1\10\2\0\0\0\0\0\0\0";
    struct image_size size, whole;
    char path[100], *bytes;
    size_t length;

    (void)state;
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        snprintf(path, sizeof path, "tests/data/image/%s", heads[i].name);
        assert_int_equal(file_read(path, 1 << 20, &bytes, &length), 0);
        assert_int_equal(image_probe(&whole, (uint8_t *)bytes, length), 0);
        assert_int_equal(image_probe(&size, (uint8_t *)bytes, heads[i].bytes ? heads[i].bytes : length * 4 / 5), 0);
        assert_int_equal(size.width, whole.width);
        assert_int_equal(size.height, whole.height);
        free(bytes);
    }
    assert_int_equal(image_probe(&size, huge, sizeof huge - 1), ERR_FORMAT);
    assert_int_equal(image_probe(&size, (const uint8_t *)"GIF89a....", 10), ERR_FORMAT);
    assert_string_equal(err_text(), "a GIF picture; PNG, JPEG, WebP and PNM are read");
    assert_int_equal(image_probe(&size, (const uint8_t *)"", 0), ERR_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(probe), cmocka_unit_test(probe_headers)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

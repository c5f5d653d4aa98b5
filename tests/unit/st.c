/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/io.h"
#include "format/st.h"

static char folder[] = "/tmp/armchair-st-XXXXXX";
static char path[64];

static int setup(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/x.safetensors", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

/* A file of this header (its length in front) and n bytes of data. */
static int open_text(struct st_file **f, const char *header, size_t n)
{
    size_t size = strlen(header);
    char *bytes = calloc(1, 8 + size + n);
    int rc;

    put_u64((uint8_t *)bytes, size);
    memcpy(bytes + 8, header, size);
    assert_int_equal(file_write(path, bytes, 8 + size + n), 0);
    free(bytes);
    rc = st_open(f, path);
    return rc;
}

static void refuse(const char *header, size_t n, int code, const char *words)
{
    struct st_file *f;
    int rc = open_text(&f, header, n);

    if (rc != code || !strstr(err_text(), words))
        fail_msg("%s: %d, %s", header, rc, rc ? err_text() : "accepted");
    assert_null(f);
}

static void round_trip(void **state)
{
    float w[6] = {1, 2, 3, 4, 5, -0.0f};
    double d = 0.1;
    uint8_t u[3] = {7, 8, 9};
    uint16_t h[2] = {0x3c00, 0xc000};
    struct st_tensor t[] = {{"z.u", ST_U8, 1, {3}, u, 0}, {"b.w", ST_F32, 2, {2, 3}, w, 0}, {"a.d", ST_F64, 0, {0}, &d, 0},
                            {"h \"quoted\" \xc3\xa9", ST_F16, 1, {2}, h, 0}, {"none", ST_F32, 2, {4, 0}, NULL, 0}};
    struct st_meta m[] = {{"step", "12"}, {"about", "line\nline"}};
    struct st_file *f;
    struct digest x, y;
    struct st_tensor shuffled[5];
    float out[6];

    (void)state;
    assert_int_equal(st_write(path, t, 5, m, 2), 0);
    assert_int_equal(st_open(&f, path), 0);
    assert_int_equal(st_tensor_count(f), 5);
    assert_string_equal(st_tensor_at(f, 0)->name, "a.d"); /* falling element size, then name */
    assert_string_equal(st_tensor_at(f, 1)->name, "b.w");
    assert_string_equal(st_tensor_at(f, 4)->name, "z.u");
    assert_int_equal(st_meta_count(f), 2);
    assert_string_equal(st_meta_at(f, 0).key, "about");
    assert_string_equal(st_meta_get(f, "about"), "line\nline");
    assert_string_equal(st_meta_get(f, "step"), "12");
    assert_null(st_meta_get(f, "other"));
    assert_null(st_find(f, "b"));
    assert_int_equal(st_find(f, "none")->size, 0);
    assert_int_equal(st_find(f, "b.w")->shape[1], 3);
    assert_memory_equal(st_find(f, "b.w")->data, w, sizeof w);
    assert_int_equal((uintptr_t)st_find(f, "b.w")->data % 8, 0);
    assert_int_equal(st_to_f32(out, st_find(f, "h \"quoted\" \xc3\xa9")), 0);
    assert_true(out[0] == 1.0f && out[1] == -2.0f);
    assert_int_equal(st_to_f32(out, st_find(f, "a.d")), 0);
    assert_true(out[0] == 0.1f);
    assert_int_equal(st_to_f32(out, st_find(f, "z.u")), ERR_UNSUPPORTED);

    for (int i = 0; i < 5; i++) /* the digest does not depend on the order */
        shuffled[i] = *st_tensor_at(f, i);
    assert_int_equal(st_digest(&x, t, 5), 0);
    assert_int_equal(st_digest(&y, shuffled, 5), 0);
    assert_true(digest_same(&x, &y) && digest_known(&x));
    w[0] = 0;
    assert_int_equal(st_digest(&y, t, 5), 0);
    assert_false(digest_same(&x, &y));
    st_close(f);
}

/* SHA-256 of "a\0F32\0" "1,2\0" and eight bytes, taken with sha256sum. */
static void digest_value(void **state)
{
    float v[2] = {1, 2};
    struct st_tensor t = {"a", ST_F32, 2, {1, 2}, v, 8};
    struct digest d;
    char text[DIGEST_TEXT];

    (void)state;
    assert_int_equal(st_digest(&d, &t, 1), 0);
    digest_show(&d, text);
    assert_string_equal(text, "31d96b17123d9b6a933dc75337d805907a9af5ae52df7441db66518f90a43c00");
}

static void prefixes(void **state)
{
    float w[4] = {1, 2, 3, 4};
    struct st_tensor t = {"w", ST_F32, 1, {4}, w, 0};
    struct st_meta m = {"k", "v"};
    struct st_file *f;
    char *bytes;
    size_t size;

    (void)state;
    assert_int_equal(st_write(path, &t, 1, &m, 1), 0);
    assert_int_equal(file_read(path, 1 << 20, &bytes, &size), 0);
    for (size_t n = 0; n < size; n++) {
        int rc;

        assert_int_equal(file_write(path, bytes, n), 0);
        rc = st_open(&f, path);
        assert_true(rc == ERR_TRUNCATED || rc == ERR_FORMAT);
        assert_null(f);
    }
    assert_int_equal(file_write(path, bytes, size), 0);
    assert_int_equal(st_open(&f, path), 0);
    st_close(f);
    free(bytes);
}

static void refused(void **state)
{
    (void)state;
    refuse("[]", 0, ERR_FORMAT, "does not begin with {");
    refuse("{\"a\":", 0, ERR_FORMAT, "header");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
           "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, ERR_FORMAT, "duplicate");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, ERR_FORMAT, "shape asks for 8");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, ERR_FORMAT, "gap");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
           "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[2,6]}}", 6, ERR_FORMAT, "overlaps");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 5, ERR_FORMAT, "1 bytes behind");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 3, ERR_TRUNCATED, "end of the file");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, ERR_FORMAT, "backwards");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,0]}}", 0, ERR_FORMAT, "overflow");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, ERR_FORMAT, "not a count");
    refuse("{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4, ERR_UNSUPPORTED, "F8_E4M3");
    refuse("{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, ERR_FORMAT, "no shape");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, ERR_FORMAT, "no data_offsets");
    refuse("{\"a\":1}", 0, ERR_FORMAT, "not an object");
    refuse("{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1, ERR_UNSUPPORTED, "9 dim");
    refuse("{\"__metadata__\":{\"a\":1}}", 0, ERR_FORMAT, "not a text");
    refuse("{\"__metadata__\":[]}", 0, ERR_FORMAT, "not an object");
}

static void accepted(void **state)
{
    struct st_file *f;

    (void)state;
    assert_int_equal(open_text(&f, "{}", 0), 0);
    assert_int_equal(st_tensor_count(f), 0);
    assert_null(st_find(f, "a"));
    st_close(f);
    /* any alignment, spaces behind, empty tensors in the middle */
    assert_int_equal(open_text(&f, "{\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                                   "\"c\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[1,1]},"
                                   "\"a\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[1,3]}}   ", 3), 0);
    assert_int_equal(st_tensor_count(f), 3);
    assert_string_equal(st_tensor_at(f, 2)->name, "a");
    st_close(f);
}

static void bad_calls(void **state)
{
    float v = 1;
    struct st_tensor twice[] = {{"a", ST_F32, 0, {0}, &v, 0}, {"a", ST_F32, 0, {0}, &v, 0}};
    struct st_tensor meta = {"__metadata__", ST_F32, 0, {0}, &v, 0}, latin = {"\xe9", ST_F32, 0, {0}, &v, 0};
    struct st_meta m[] = {{"k", "1"}, {"k", "2"}};
    struct st_file *f;

    (void)state;
    assert_int_equal(st_write(path, twice, 2, NULL, 0), ERR_ARG);
    assert_int_equal(st_write(path, &meta, 1, NULL, 0), ERR_ARG);
    assert_int_equal(st_write(path, &latin, 1, NULL, 0), ERR_ARG);
    assert_int_equal(st_write(path, twice, 1, m, 2), ERR_ARG);
    assert_int_equal(st_open(&f, "/nowhere/x"), ERR_IO);
    assert_int_equal(st_open(&f, folder), ERR_IO);
    assert_int_equal(st_write("/dev/full/x", twice, 1, NULL, 0), ERR_IO);
}

/* Every half against the formula. */
static void halves(void **state)
{
    uint16_t *h = malloc(65536 * 2);
    float *out = malloc(65536 * 4);
    struct st_tensor t = {"h", ST_F16, 1, {65536}, h, 131072};

    (void)state;
    for (int i = 0; i < 65536; i++)
        h[i] = (uint16_t)i;
    assert_int_equal(st_to_f32(out, &t), 0);
    for (int i = 0; i < 65536; i++) {
        int e = i >> 10 & 31, m = i & 1023;
        double want = e == 31 ? (m ? NAN : INFINITY) : e ? ldexp(1024 + m, e - 25) : ldexp(m, -24);

        if (isnan(want))
            assert_true(isnan(out[i]));
        else
            assert_true(out[i] == (float)want * (i & 0x8000 ? -1 : 1) && !signbit(out[i]) == !(i & 0x8000));
    }
    t.type = ST_BF16;
    assert_int_equal(st_to_f32(out, &t), 0);
    assert_true(out[0x3f80] == 1.0f && out[0xc000] == -2.0f);
    free(h);
    free(out);
}

static void layout(void **state)
{
    struct st_tensor t[] = {{"c", ST_U8, 1, {3}, NULL, 0}, {"b", ST_F32, 1, {2}, NULL, 0}, {"a", ST_F32, 1, {1}, NULL, 0}};
    struct st_layout l;

    (void)state;
    assert_int_equal(st_layout_init(&l, t, 3, NULL, 0), 0); /* no data is needed */
    assert_int_equal(l.head_size % 8, 0);
    assert_int_equal(get_u64((uint8_t *)l.head), l.head_size - 8);
    assert_int_equal(l.order[0], 2);
    assert_int_equal(l.offset[2], l.head_size);
    assert_int_equal(l.offset[1], l.head_size + 4);
    assert_int_equal(l.offset[0], l.head_size + 12);
    assert_int_equal(l.size, l.head_size + 15);
    st_layout_fini(&l);
}

static void stats(void **state)
{
    float v[] = {1, -2, NAN, 5, INFINITY};
    int8_t i[] = {-3, 4};
    uint64_t u = 1ull << 63;
    struct st_tensor t = {"f", ST_F32, 1, {5}, v, 20};
    struct st_stats s;

    (void)state;
    st_stats(&s, &t);
    assert_true(s.count == 5 && s.non_finite == 2 && s.min == -2 && s.max == 5);
    assert_true(fabs(s.mean - 4.0 / 3) < 1e-12 && fabs(s.rms - sqrt(10)) < 1e-12);
    t = (struct st_tensor){"i", ST_I8, 1, {2}, i, 2};
    st_stats(&s, &t);
    assert_true(s.min == -3 && s.max == 4 && s.mean == 0.5 && s.non_finite == 0);
    t = (struct st_tensor){"u", ST_U64, 0, {0}, &u, 8};
    st_stats(&s, &t);
    assert_true(s.max == 0x1p63);
    t = (struct st_tensor){"none", ST_F32, 1, {0}, NULL, 0};
    st_stats(&s, &t);
    assert_true(s.count == 0 && s.min == 0 && s.max == 0 && s.mean == 0 && s.rms == 0);
}

static char *example(const char *name)
{
    const char *root = getenv("ROOT");

    return text_printf("%s/formats/%s.safetensors", root ? root : ".", name);
}

/* What was read and is written again has the same bytes. */
static void good(void **state)
{
    static const char *const names[] = {"good/checkpoint", "good/types", "good/no-tensors", "good/one-tensor"};

    (void)state;
    for (int i = 0; i < 4; i++) {
        char *from = example(names[i]), *a, *b;
        struct st_meta meta[20];
        struct st_file *f;
        size_t a_size, b_size;

        assert_int_equal(st_open(&f, from), 0);
        for (int k = 0; k < st_meta_count(f); k++)
            meta[k] = st_meta_at(f, k);
        assert_int_equal(st_write(path, st_tensor_count(f) ? st_tensor_at(f, 0) : NULL, st_tensor_count(f), meta,
                                  st_meta_count(f)), 0);
        assert_int_equal(file_read(from, 1 << 20, &a, &a_size), 0);
        assert_int_equal(file_read(path, 1 << 20, &b, &b_size), 0);
        assert_int_equal(a_size, b_size);
        assert_memory_equal(a, b, a_size);
        st_close(f);
        free(a);
        free(b);
        free(from);
    }
}

static void bad(void **state)
{
    static const char *const words[][2] = {
        {"cut", "ends behind the end of the file"}, {"cut-header", "header of 696 bytes ends behind"},
        {"short", "4 bytes are no safetensors file"}, {"header-length", "header of 1099511627776 bytes"},
        {"not-json", "header: "}, {"array", "does not begin with {"}, {"trailing", "1 bytes behind the last tensor"},
        {"gap", "a gap before it"}, {"overlap", "overlaps the one before it"}, {"shape", "shape asks for 12 bytes"},
        {"overflow", "shape overflows"}, {"type", "element type F8_E5M2"}, {"twice", "duplicate"},
        {"metadata", "step is not a text"}};

    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        char *name = text_printf("bad/checkpoint-%s", words[i][0]), *from = example(name);
        struct st_file *f;

        assert_true(st_open(&f, from) < 0);
        assert_null(f);
        if (!strstr(err_text(), words[i][1]) || !strstr(err_text(), from))
            fail_msg("%s: %s", from, err_text());
        free(from);
        free(name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip), cmocka_unit_test(digest_value), cmocka_unit_test(prefixes),
        cmocka_unit_test(refused),    cmocka_unit_test(accepted),     cmocka_unit_test(bad_calls),
        cmocka_unit_test(halves),     cmocka_unit_test(layout),
        cmocka_unit_test(stats),      cmocka_unit_test(good),         cmocka_unit_test(bad)};

    return cmocka_run_group_tests_name("st", tests, setup, teardown);
}

/* SPDX-License-Identifier: MIT */
/* Axes and their numbers, lines and maps of values, and what happens where there are none. */
#include "image/chart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "image/chart_in.h"

#define NONE NAN

static const uint8_t blue[3] = {0, 114, 178}, vermillion[3] = {213, 94, 0}; /* of the first two lines */
static const uint8_t darkest[3] = {68, 1, 84}, brightest[3] = {253, 231, 37}; /* of a map */

/* ---- axes -------------------------------------------------------------------------------------------------------- */

/* The labels of an axis, one space between; those with a power as "10^3". */
static const char *labels(enum axis_kind kind, double low, double high, int most)
{
    static char text[2048];
    struct tick tick[AXIS_TICKS_MAX];
    struct axis a;
    int count;

    axis_init(&a, kind, axis_scale(kind, low), axis_scale(kind, high), 0);
    count = axis_ticks(&a, most, tick);
    *text = 0;
    for (int i = 0; i < count; i++)
        if (*tick[i].label)
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s%s%s", *text ? " " : "", tick[i].label,
                     *tick[i].power ? "^" : "", tick[i].power);
    return text;
}

static void test_labels(void **state)
{
    (void)state;
    assert_string_equal(labels(AXIS_LINEAR, 0, 1, 5), "0 0.2 0.4 0.6 0.8 1.0");
    assert_string_equal(labels(AXIS_LINEAR, -1.2, 0.9, 4), "-1 0");
    assert_string_equal(labels(AXIS_LINEAR, 3.1, 5.2, 5), "3.5 4.0 4.5 5.0");
    assert_string_equal(labels(AXIS_LINEAR, 0, 0.009, 5), "0 0.002 0.004 0.006 0.008");
    assert_string_equal(labels(AXIS_LINEAR, 0, 8e-6, 4), "0 2e-6 4e-6 6e-6 8e-6");
    assert_string_equal(labels(AXIS_LINEAR, 0, 3e-4, 3), "0 1e-4 2e-4 3e-4");
    assert_string_equal(labels(AXIS_LINEAR, 0, 2000, 5), "0 500 1000 1500 2000");
    assert_string_equal(labels(AXIS_LINEAR, 0, 20000, 4), "0 5k 10k 15k 20k");
    assert_string_equal(labels(AXIS_LINEAR, 0, 2.2e6, 5), "0 0.5M 1.0M 1.5M 2.0M");
    assert_string_equal(labels(AXIS_LINEAR, 0, 3e20, 3), "0 1e20 2e20 3e20");
    assert_string_equal(labels(AXIS_LINEAR, 1000100, 1000500, 4), "1000100 1000200 1000300 1000400 1000500");
    assert_string_equal(labels(AXIS_WHOLE, 0, 3, 20), "0 1 2 3");
    assert_string_equal(labels(AXIS_WHOLE, -0.5, 127.5, 7), "0 20 40 60 80 100 120");
    assert_string_equal(labels(AXIS_LOG10, 1e-7, 1e-1, 8), "10^-7 10^-6 10^-5 10^-4 10^-3 10^-2 10^-1");
    assert_string_equal(labels(AXIS_LOG10, 0.01, 100, 8), "0.01 0.1 1 10 100");
    assert_string_equal(labels(AXIS_LOG10, 1e-30, 1e30, 8), "10^-30 10^-20 10^-10 10^0 10^10 10^20 10^30");
    assert_string_equal(labels(AXIS_LOG10, 0.5, 30, 8), "0.5 1 2 5 10 20");
    assert_string_equal(labels(AXIS_LOG10, 2.9, 7.1, 5), "3 4 5 6 7");
    assert_string_equal(labels(AXIS_LOG2, 1, 65536, 5), "2^0 2^4 2^8 2^12 2^16");
    assert_string_equal(labels(AXIS_LOG2, 1024, 1536, 5), "1200 1400");
}

/* What a label says. */
static double label_value(enum axis_kind kind, const struct tick *t)
{
    static const char units[] = "kMGT";
    char *end;
    double value = strtod(t->label, &end);
    const char *unit = *end ? strchr(units, *end) : NULL;

    if (*t->power)
        return pow(kind == AXIS_LOG2 ? 2 : 10, atoi(t->power));
    assert_true(!*end || unit);
    return unit ? value * pow(1000, (double)(unit - units + 1)) : value;
}

static void check_ticks(enum axis_kind kind, double low, double high, int most)
{
    struct tick tick[AXIS_TICKS_MAX];
    struct axis a;
    int count, labelled = 0;

    axis_init(&a, kind, axis_scale(kind, low), axis_scale(kind, high), 0.03);
    count = axis_ticks(&a, most, tick);
    for (int i = 0; i < count; i++) {
        assert_true(tick[i].place > -1e-5 && tick[i].place < 1 + 1e-5);
        assert_true(i == 0 || tick[i].place > tick[i - 1].place);
        if (!*tick[i].label)
            continue;
        labelled++;
        double value = label_value(kind, &tick[i]);

        if (!isfinite(value) || (value != 0 && fabs(value) < 1e-300)) /* beyond a double, or rounded by it */
            continue;
        assert_true(fabs(axis_place(&a, axis_scale(kind, value)) - tick[i].place) < 1e-3);
    }
    assert_in_range(labelled, kind == AXIS_LOG2 || kind == AXIS_WHOLE ? 1 : 2, kind == AXIS_LOG10 ? 2 * most + 4 : most + 3);
}

static void test_ticks_of_many_ranges(void **state)
{
    const struct rng rng = {7, RNG_TEST};

    (void)state;
    for (uint64_t i = 0; i < 20000; i++) {
        enum axis_kind kind = (enum axis_kind)(i % 4);
        double size = pow(10, 600 * (rng_uniform(rng, i, 0) - 0.5)), extent = pow(10, -9 * rng_uniform(rng, i, 1));
        double low = size * (kind < AXIS_LOG10 && i % 8 < 4 ? -1 : 1), high = low + size * extent;

        if (kind == AXIS_WHOLE && (size > 1e15 || size < 1))
            continue;
        check_ticks(kind, low, high, 2 + (int)(i % 12));
    }
    check_ticks(AXIS_LINEAR, -1.7e308, 1.7e308, 8);
    check_ticks(AXIS_LOG10, 5e-324, 1.7e308, 8);
    check_ticks(AXIS_LOG2, 5e-324, 1.7e308, 8);
    check_ticks(AXIS_LINEAR, 5e-324, 5e-323, 8);
}

static void test_axis_without_extent(void **state)
{
    static const double values[] = {0, 1, -3, 1e300, -1e300, 5e-324, 1.7e308, 1e15};
    struct tick tick[AXIS_TICKS_MAX];
    struct axis a;

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        for (int kind = 0; kind < 4; kind++) {
            double at = axis_scale((enum axis_kind)kind, values[i]);

            if (isnan(at)) {
                assert_true(kind >= AXIS_LOG10 && values[i] <= 0);
                continue;
            }
            axis_init(&a, (enum axis_kind)kind, at, at, 0);
            assert_true(fabs(axis_place(&a, at) - 0.5) < 1e-6);
            assert_true(axis_ticks(&a, 6, tick) >= 1);
        }
    assert_true(isnan(axis_scale(AXIS_LINEAR, INFINITY)) && isnan(axis_scale(AXIS_LINEAR, NAN)));
}

/* ---- canvas ------------------------------------------------------------------------------------------------------ */

static int level(const struct canvas *c, int x, int y)
{
    return c->image.rgb[3 * (y * c->image.width + x)];
}

static void test_lines_are_smooth(void **state)
{
    static const uint8_t black[3] = {0, 0, 0};
    struct pen pen = {.radius = 1};
    struct canvas c;

    (void)state;
    assert_int_equal(canvas_init(&c, 40, 20), 0);
    canvas_line(&c, &pen, 5, 4, 30, 4); /* covers rows 3 and 4 */
    canvas_line(&c, &pen, 30, 4, 5, 4); /* going back over it changes nothing */
    canvas_line(&c, &pen, 5, 10.5, 30, 10.5); /* covers row 10 and half of those beside it */
    canvas_line(&c, &pen, -100, 15, 500, 15.5); /* what lies outside is cut off */
    canvas_ink(&c, black);
    for (int x = 6; x < 29; x++) {
        assert_int_equal(level(&c, x, 3), 0);
        assert_int_equal(level(&c, x, 4), 0);
        assert_int_equal(level(&c, x, 2), 255);
        assert_int_equal(level(&c, x, 5), 255);
        assert_int_equal(level(&c, x, 10), 0);
        assert_in_range(level(&c, x, 9), 120, 135);
        assert_int_equal(level(&c, x, 9), level(&c, x, 11));
    }
    assert_in_range(level(&c, 0, 15), 0, 40);
    assert_in_range(level(&c, 39, 14), 0, 40);
    assert_int_equal(level(&c, 33, 4), 255);

    pen = (struct pen){.radius = 1, .on = 6, .off = 4};
    canvas_fill(&c, 0, 0, 40, 20, (const uint8_t[3]){255, 255, 255});
    canvas_line(&c, &pen, 0, 10, 3, 10); /* dashes go on from line to line */
    canvas_line(&c, &pen, 3, 10, 40, 10);
    canvas_ink(&c, black);
    assert_int_equal(level(&c, 4, 10), 0);
    assert_int_equal(level(&c, 8, 10), 255);
    assert_int_equal(level(&c, 13, 10), 0);
    assert_int_equal(level(&c, 18, 10), 255);
    canvas_fini(&c);
}

static void test_letters_of_any_size(void **state)
{
    static const uint8_t black[3] = {0, 0, 0};

    (void)state;
    for (double scale = 0.7; scale < 5; scale += 0.6) {
        int dark = 0, first = -1, last = 0;
        struct canvas c;

        assert_int_equal(canvas_init(&c, 200, 60), 0);
        canvas_text(&c, 3, 2, scale, "l\xc3\xa4-8", 5); /* four cells */
        canvas_ink(&c, black);
        for (int x = 0; x < 200; x++)
            for (int y = 0; y < 60; y++)
                if (level(&c, x, y) < 128) {
                    dark++;
                    first = first < 0 ? x : first;
                    last = x;
                }
        assert_in_range(first, 3, 3 + 2 * scale);
        assert_in_range(last, 3 + 22 * scale - 2, 3 + 24 * scale);
        assert_in_range(dark, 20 * scale * scale, 70 * scale * scale);
        canvas_fini(&c);
    }
}

/* ---- pictures ---------------------------------------------------------------------------------------------------- */

static struct chart *make(enum axis_kind values, int64_t width, int64_t height, int64_t smooth)
{
    const struct chart_options o = {.width = width, .height = height, .values = values, .smooth = smooth, .x_name = "step",
                                    .y_name = "loss", .value_name = "scale"};
    struct chart *c;

    assert_int_equal(chart_create(&c, &o), 0);
    return c;
}

static bool is(const struct image *image, int64_t x, int64_t y, const uint8_t rgb[3])
{
    return memcmp(image->rgb + 3 * (y * image->width + x), rgb, 3) == 0;
}

/* The plot lies right of the axis and above it: what else has the colours of lines is the legend, in the top rows. */
enum { HEAD = 34 };

struct extent {
    int64_t left, top, right, bottom, pixels; /* ends included; pixels 0: nothing of this colour */
};

static struct extent find(const struct image *image, const uint8_t rgb[3])
{
    struct extent e = {image->width, image->height, -1, -1, 0};

    for (int64_t y = HEAD; y < image->height; y++)
        for (int64_t x = 0; x < image->width; x++)
            if (is(image, x, y, rgb)) {
                e.left = x < e.left ? x : e.left;
                e.right = x > e.right ? x : e.right;
                e.top = y < e.top ? y : e.top;
                e.bottom = y > e.bottom ? y : e.bottom;
                e.pixels++;
            }
    return e;
}

static struct image draw_points(enum axis_kind kind, const double *y, int64_t count)
{
    struct chart *c = make(kind, 800, 480, 0);
    struct image out;

    assert_int_equal(chart_line(c, "run"), 0);
    for (int64_t i = 0; i < count; i++)
        assert_int_equal(chart_point(c, (double)i, y[i]), 0);
    assert_int_equal(chart_draw(c, &out), 0);
    chart_free(c);
    assert_int_equal(out.width, 800);
    assert_int_equal(out.height, 480);
    return out;
}

static void test_line(void **state)
{
    static const double rising[] = {0, 1, 2, 3, 4, 5, 6, 7, 8}, log_rising[] = {1, 10, 100, 1000, 1e4, 1e5, 1e6, 1e7, 1e8};
    struct image a, b;
    struct extent e;

    (void)state;
    a = draw_points(AXIS_LINEAR, rising, 9);
    e = find(&a, blue);
    assert_true(e.left < 60 && e.right > 770 && e.top < HEAD + 30 && e.bottom > 400);
    for (int64_t k = 1; k < 8; k++) /* a straight line: at half its way it is at half its height */
        assert_true(is(&a, e.left + 2 + k * (e.right - e.left - 4) / 8, e.bottom - 2 - k * (e.bottom - e.top - 4) / 8, blue));
    image_fini(&a);

    a = draw_points(AXIS_LOG10, log_rising, 9);
    e = find(&a, blue);
    assert_true(is(&a, (e.left + e.right) / 2, (e.top + e.bottom) / 2, blue));
    b = draw_points(AXIS_LOG10, log_rising, 9);
    assert_memory_equal(a.rgb, b.rgb, 3 * 800 * 480);
    image_fini(&a);
    image_fini(&b);
}

static int64_t in_columns(const struct image *image, int64_t from, int64_t to, const uint8_t rgb[3])
{
    int64_t n = 0;

    for (int64_t y = HEAD; y < image->height; y++)
        for (int64_t x = from; x < to; x++)
            n += is(image, x, y, rgb);
    return n;
}

static void test_gaps(void **state)
{
    static const double bad[] = {NONE, INFINITY, -INFINITY, 0, -2};
    double y[41];

    (void)state;
    for (int k = 0; k < 5; k++) { /* the last two have no logarithm */
        struct image image;
        struct extent e;
        int64_t middle, tenth;

        for (int i = 0; i < 41; i++)
            y[i] = i >= 16 && i <= 24 && i != 20 ? bad[k] : 5 + i % 2;
        image = draw_points(k < 3 ? AXIS_LINEAR : AXIS_LOG10, y, 41);
        e = find(&image, blue);
        middle = (e.left + e.right) / 2;
        tenth = (e.right - e.left) / 10;
        assert_int_equal(in_columns(&image, middle - tenth + 10, middle - 5, blue), 0);
        assert_int_equal(in_columns(&image, middle + 5, middle + tenth - 10, blue), 0);
        assert_true(in_columns(&image, middle - 5, middle + 5, blue) > 8); /* a point alone is a dot */
        assert_true(in_columns(&image, middle + tenth + 4, middle + 2 * tenth, blue) > 50);
        image_fini(&image);
    }
}

static void test_extremes(void **state)
{
    static const double few[][4] = {{7, 7, 7, 7},          {0, 0, 0, 0},          {NONE, NONE, 3, NONE},
                                    {-1.7e308, 1.7e308, 0, 1}, {5e-324, 1e-323, 0, 5e-324}, {1e300, 1e300, 1e300, 1e300},
                                    {1, 1 + 2.3e-16, 1, 1},  {-5, -5, -5, -5},      {1e-310, 2, 3, 1e308}};
    struct image image;

    (void)state;
    for (size_t i = 0; i < sizeof few / sizeof *few; i++)
        for (int kind = AXIS_LINEAR; kind <= AXIS_LOG2; kind++) {
            bool some = false;

            for (int k = 0; k < 4; k++)
                some |= !isnan(axis_scale((enum axis_kind)kind, few[i][k]));
            if (!some)
                continue;
            image = draw_points((enum axis_kind)kind, few[i], 4);
            assert_true(find(&image, blue).pixels > 8);
            image_fini(&image);
        }
    image = draw_points(AXIS_LINEAR, few[0], 1);
    assert_true(find(&image, blue).pixels > 8);
    image_fini(&image);
}

static void test_extreme_places(void **state)
{
    static const double places[][3] = {{-CHART_PLACE_MAX, 0, CHART_PLACE_MAX},
                                       {CHART_PLACE_MAX, CHART_PLACE_MAX, CHART_PLACE_MAX},
                                       {0, 5e-324, 1e-323}, {1e15, 1e15 + 0.125, 1e15 + 0.25}, {7, 7, 7}};

    (void)state;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct chart *lines = make(AXIS_LINEAR, 800, 480, 2), *map = make(AXIS_LINEAR, 800, 480, 0);
        struct image out;

        assert_int_equal(chart_line(lines, "run"), 0);
        for (int k = 0; k < 3; k++) {
            assert_int_equal(chart_point(lines, places[i][k], k), 0);
            assert_int_equal(chart_column(map, places[i][k], (const double[2]){k, 0}, 2), 0);
        }
        assert_int_equal(chart_draw(lines, &out), 0);
        assert_true(find(&out, blue).pixels > 8);
        image_fini(&out);
        assert_int_equal(chart_draw(map, &out), 0);
        image_fini(&out);
        chart_free(lines);
        chart_free(map);
    }
}

static void test_nothing_to_draw(void **state)
{
    const double none[3] = {NONE, INFINITY, NONE}, negative[2] = {-1, 0};
    struct chart *c = make(AXIS_LINEAR, 800, 480, 5);
    struct image out;

    (void)state;
    assert_int_equal(chart_draw(c, &out), ERR_EMPTY);
    assert_null(out.rgb);
    assert_string_equal(err_text(), "no value to draw");
    assert_int_equal(chart_line(c, "a"), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(chart_point(c, i, none[i]), 0);
    assert_int_equal(chart_draw(c, &out), ERR_EMPTY);
    chart_free(c);

    c = make(AXIS_LOG2, 800, 480, 0);
    assert_int_equal(chart_column(c, 1, negative, 2), 0);
    assert_int_equal(chart_draw(c, &out), ERR_EMPTY);
    assert_null(out.rgb);
    chart_free(c);
    chart_free(NULL);
}

static void test_wrong_calls(void **state)
{
    static const struct chart_options bad[] = {{.width = CHART_SIDE_MIN - 1, .height = 480}, {.width = 800, .height = 0},
                                               {.width = 800, .height = CHART_SIDE_MAX + 1},
                                               {.width = 800, .height = 480, .smooth = -1},
                                               {.width = 800, .height = 480, .smooth = CHART_SMOOTH_MAX + 1}};
    const double values[3] = {1, 2, 3};
    struct chart *c;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(chart_create(&c, &bad[i]), ERR_ARG);
        assert_null(c);
    }
    c = make(AXIS_LINEAR, 800, 480, 0);
    assert_int_equal(chart_point(c, 0, 1), ERR_ARG);
    for (int i = 0; i < CHART_LINES_MAX; i++)
        assert_int_equal(chart_line(c, "run"), 0);
    assert_int_equal(chart_line(c, "run"), ERR_ARG);
    assert_int_equal(chart_point(c, 5, 1), 0);
    assert_int_equal(chart_point(c, 5, 2), 0);
    assert_int_equal(chart_point(c, 4, 1), ERR_ARG);
    assert_int_equal(chart_point(c, NAN, 1), ERR_ARG);
    assert_int_equal(chart_point(c, 2 * CHART_PLACE_MAX, 1), ERR_ARG);
    assert_int_equal(chart_column(c, 0, values, 3), ERR_ARG);
    chart_free(c);

    c = make(AXIS_LINEAR, 800, 480, 0);
    assert_int_equal(chart_column(c, 0, values, 0), ERR_ARG);
    assert_int_equal(chart_column(c, 0, values, CHART_ROWS_MAX + 1), ERR_ARG);
    assert_int_equal(chart_column(c, 3, values, 3), 0);
    assert_int_equal(chart_column(c, 4, values, 2), ERR_ARG);
    assert_int_equal(chart_column(c, 2, values, 3), ERR_ARG);
    assert_int_equal(chart_column(c, INFINITY, values, 3), ERR_ARG);
    assert_int_equal(chart_line(c, "run"), ERR_ARG);
    chart_free(c);
}

/* Every line has its look, also where names and small sides leave no room. */
static void test_many_lines_on_small_pictures(void **state)
{
    static const int64_t sides[][2] = {{160, 160}, {160, 2000}, {2000, 160}, {801, 479}};
    char name[200];

    (void)state;
    for (int s = 0; s < 4; s++) {
        struct chart *c = make(AXIS_LINEAR, sides[s][0], sides[s][1], 0);
        struct image out;

        for (int i = 0; i < CHART_LINES_MAX; i++) {
            snprintf(name, sizeof name, "%0*d\xc3\xa4", 1 + 8 * i, i);
            assert_int_equal(chart_line(c, name), 0);
            assert_int_equal(chart_point(c, 0, i), 0);
            assert_int_equal(chart_point(c, 1000, i), 0);
        }
        assert_int_equal(chart_draw(c, &out), 0);
        assert_true(find(&out, blue).pixels > 20 && find(&out, vermillion).pixels > 20);
        image_fini(&out);
        chart_free(c);
    }
}

/* ---- thinning and smoothing -------------------------------------------------------------------------------------- */

/* Among a million points one that stands out is seen, at its place; so are gaps, and points far apart behind a dense part. */
static void test_a_million_points(void **state)
{
    struct chart *c = make(AXIS_LINEAR, 800, 480, 0);
    struct image out;
    struct extent e;
    int64_t width;

    (void)state;
    assert_int_equal(chart_line(c, "run"), 0);
    for (int64_t i = 0; i < 1000000; i++)
        assert_int_equal(chart_point(c, (double)i, i == 250000 ? 100 : i >= 600000 && i < 700000 ? NONE : (double)(i % 7)), 0);
    for (int64_t i = 0; i < 10; i++)
        assert_int_equal(chart_point(c, 1.1e6 + 1e5 * (double)i, i == 5 ? 100 : 3), 0);
    assert_int_equal(chart_draw(c, &out), 0);
    e = find(&out, blue);
    for (int64_t y = e.top + 40; y < e.bottom - 100; y += 20) {
        int64_t first = -1, last = -1, n = 0;

        for (int64_t x = e.left; x <= e.right; x++)
            if (is(&out, x, y, blue)) {
                first = first < 0 ? x : first;
                last = x;
                n++;
            }
        assert_in_range(n, 2, 7); /* the spike of the dense part is one line, the other a slope up and a slope down */
        assert_true(labs(first - (e.left + (e.right - e.left) / 8)) <= 3);
        assert_true(labs(last - (e.left + (e.right - e.left) * 4 / 5)) <= (e.right - e.left) / 15);
    }
    width = e.right - e.left;
    assert_int_equal(in_columns(&out, e.left + width * 305 / 1000, e.left + width * 345 / 1000, blue), 0);
    assert_true(in_columns(&out, e.left + width * 36 / 100, e.left + width / 2, blue) > 1000);
    image_fini(&out);
    chart_free(c);
}

/* The mean of the series is the mean: also behind a huge value, and across gaps not at all. */
static void test_mean(void **state)
{
    enum { COUNT = 400, N = 7 };
    const struct rng rng = {3, RNG_TEST};
    double y[COUNT];
    struct line l;
    int64_t at = 0;

    (void)state;
    for (int i = 0; i < COUNT; i++)
        y[i] = i == 100 ? 1e300 : (i >= 200 && i < 203) || i == 206 ? NONE : rng_uniform(rng, 0, (uint64_t)i);
    assert_int_equal(line_init(&l, "run", 4096, N), 0);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(line_add(&l, AXIS_LINEAR, 10 * i, y[i]), 0);
    line_end(&l, AXIS_LINEAR);
    for (int i = 0; i < COUNT; i++) {
        int n = 0;
        double sum = 0;

        while (n < N && i - n >= 0 && !isnan(y[i - n]))
            sum += y[i - n++];
        if (i == 205) /* three points between two gaps are one */
            assert_int_equal(n, 3);
        if (n < N && i != 205)
            continue;
        assert_true(fabs(l.mean.cell[at].first / (sum / n) - 1) < 1e-12);
        assert_true(fabs(l.mean.cell[at].from - 10 * (i - (n - 1) / 2.0)) < 1e-9);
        assert_int_equal(l.mean.cell[at].gap, i == N - 1 || i == 205 || i == 206 + N);
        at++;
    }
    assert_int_equal(l.mean.count, at);
    line_fini(&l);
}

static void test_smooth_line_over_its_pale_points(void **state)
{
    static const uint8_t pale[3] = {255 - 255 * 3 / 10, 255 - 141 * 3 / 10, 255 - 77 * 3 / 10};
    struct chart *c = make(AXIS_LINEAR, 800, 480, 100);
    struct image out;
    struct extent main, points;

    (void)state;
    assert_int_equal(chart_line(c, "run"), 0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(chart_point(c, i, i % 2 ? 1 : -1), 0);
    assert_int_equal(chart_draw(c, &out), 0);
    main = find(&out, blue);
    points = find(&out, pale);
    assert_in_range(main.bottom - main.top, 1, 4);
    assert_true(points.bottom - points.top > 300);
    assert_true(main.left > points.left + 20 && main.right < points.right - 20);
    image_fini(&out);
    chart_free(c);
}

/* ---- maps -------------------------------------------------------------------------------------------------------- */

/* The map itself: from its first to its last pixel that is neither white nor of a letter. */
static struct extent find_map(const struct image *image, const uint8_t *const *colour, int count)
{
    struct extent all = {image->width, image->height, -1, -1, 0};

    for (int i = 0; i < count; i++) {
        struct extent e = find(image, colour[i]);

        all.left = e.left < all.left ? e.left : all.left;
        all.top = e.top < all.top ? e.top : all.top;
        all.bottom = e.bottom > all.bottom ? e.bottom : all.bottom;
    }
    return all;
}

static void test_map_places(void **state)
{
    static const uint8_t *const ends[] = {darkest, brightest};
    struct chart *c = make(AXIS_LOG2, 800, 480, 0);
    struct image out;
    struct extent e;
    int64_t right;

    (void)state;
    for (int x = 0; x < 10; x++) {
        double column[4] = {1, 1, 256, 256};

        column[2] = x == 7 ? NONE : 256;
        column[0] = x < 5 ? 256 : 1;
        assert_int_equal(chart_column(c, 10 * x, column, 4), 0);
    }
    assert_int_equal(chart_draw(c, &out), 0);
    e = find_map(&out, ends, 2);
    right = e.left;
    while (is(&out, right, e.bottom - 2, brightest))
        right++;
    for (int x = 0; x < 10; x++)
        for (int y = 0; y < 4; y++)
            for (int corner = 0; corner < 4; corner++) {
                int64_t a = e.left + (right - e.left) * x / 10 + (corner % 2 ? 3 : (right - e.left) / 10 - 3);
                int64_t b = e.top + (e.bottom - e.top) * y / 4 + (corner / 2 ? 3 : (e.bottom - e.top) / 4 - 3);

                assert_true(is(&out, a, b, y == 2 && x == 7 ? map_hole : y > 1 || (y == 0 && x < 5) ? brightest : darkest));
            }
    image_fini(&out);
    chart_free(c);
}

/* A hundred thousand columns keep their places, and their means stay what they are. */
static void test_map_of_many_columns(void **state)
{
    static const uint8_t *const ends[] = {darkest, brightest};
    struct chart *c = make(AXIS_LINEAR, 800, 480, 0);
    struct image out;
    struct extent e;
    int64_t right;

    (void)state;
    for (int x = 0; x < 100000; x++) {
        double column[3] = {x < 50000 ? 0 : 1, x % 2, 0};

        assert_int_equal(chart_column(c, x, column, 3), 0);
    }
    assert_int_equal(chart_draw(c, &out), 0);
    e = find_map(&out, ends, 2);
    right = e.left;
    while (is(&out, right, e.bottom - 2, darkest))
        right++;
    assert_true(right - e.left > 600);
    for (int64_t x = e.left; x < right; x++) {
        int64_t middle = (e.left + right) / 2, third = (e.bottom - e.top) / 3;
        const uint8_t *rgb = out.rgb + 3 * ((e.top + third + 20) * out.width + x);

        if (labs(x - middle) > 3)
            assert_true(is(&out, x, e.top + 20, x < middle ? darkest : brightest));
        assert_true(rgb[0] < 40 && rgb[1] > 135 && rgb[1] < 155 && rgb[2] > 130); /* the colour of one half */
    }
    image_fini(&out);
    chart_free(c);
}

/* More rows than pixels, one row, one column, a picture too narrow for its numbers. */
static void test_map_shapes(void **state)
{
    static double column[CHART_ROWS_MAX];
    static const int64_t rows[] = {1, 2, 479, 5000, CHART_ROWS_MAX};

    (void)state;
    for (int i = 0; i < CHART_ROWS_MAX; i++)
        column[i] = -1.23456789e-150 * (i % 1000);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int columns = 1; columns <= 700; columns += 699) {
            struct chart *c = make(AXIS_LINEAR, i % 2 ? 160 : 800, i % 2 ? 160 : 480, 0);
            struct image out;

            for (int x = 0; x < (rows[i] > 5000 ? 3 : columns); x++)
                assert_int_equal(chart_column(c, 1e6 + x, column, rows[i]), 0);
            assert_int_equal(chart_draw(c, &out), 0);
            image_fini(&out);
            chart_free(c);
        }
}

static void test_colours_rise_in_lightness(void **state)
{
    double before = -1;

    (void)state;
    for (int i = 0; i <= 1000; i++) {
        uint8_t rgb[3];
        double light;

        map_colour(rgb, i / 1000.0);
        light = 0.2126 * pow(rgb[0] / 255.0, 2.2) + 0.7152 * pow(rgb[1] / 255.0, 2.2) + 0.0722 * pow(rgb[2] / 255.0, 2.2);
        assert_true(light > before - 2e-3);
        before = light > before ? light : before;
    }
    assert_true(before > 0.7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_ticks_of_many_ranges),
        cmocka_unit_test(test_axis_without_extent),
        cmocka_unit_test(test_lines_are_smooth),
        cmocka_unit_test(test_letters_of_any_size),
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_gaps),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_extreme_places),
        cmocka_unit_test(test_nothing_to_draw),
        cmocka_unit_test(test_wrong_calls),
        cmocka_unit_test(test_many_lines_on_small_pictures),
        cmocka_unit_test(test_a_million_points),
        cmocka_unit_test(test_mean),
        cmocka_unit_test(test_smooth_line_over_its_pale_points),
        cmocka_unit_test(test_map_places),
        cmocka_unit_test(test_map_of_many_columns),
        cmocka_unit_test(test_map_shapes),
        cmocka_unit_test(test_colours_rise_in_lightness),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

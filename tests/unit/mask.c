/* SPDX-License-Identifier: MIT */
/* mask.c -- the layer rule, and the cells of every mask against the counts of figure 11 and their 32x32 rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>

#include "model/mask.h"

static void the_first_eight_layers(void **state)
{
    static const enum attn_kind expected[8] = {ATTN_ROW, ATTN_COLUMN, ATTN_ROW, ATTN_ROW,
                                               ATTN_ROW, ATTN_COLUMN, ATTN_ROW, ATTN_ROW};

    (void)state;
    for (int i = 0; i < 8; i++)
        assert_int_equal(mask_layer(MASK_DALLE, 64, i), expected[i]);
}

static void sixty_four_layers(void **state)
{
    int count[4] = {0};

    (void)state;
    for (int i = 0; i < 64; i++)
        count[mask_layer(MASK_DALLE, 64, i)]++;
    assert_int_equal(count[ATTN_ROW], 47);
    assert_int_equal(count[ATTN_COLUMN], 16);
    assert_int_equal(count[ATTN_CONV], 1);
    assert_int_equal(mask_layer(MASK_DALLE, 64, 63), ATTN_CONV);
}

static void the_last_layer_wins(void **state)
{
    (void)state;
    assert_int_equal(mask_layer(MASK_DALLE, 1, 0), ATTN_CONV);
    assert_int_equal(mask_layer(MASK_DALLE, 2, 1), ATTN_CONV); /* the column's turn */
    for (int i = 0; i < 6; i++)
        assert_int_equal(mask_layer(MASK_DENSE, 6, i), ATTN_DENSE);
}

static void names_are_known(void **state)
{
    enum mask_variant v;

    (void)state;
    assert_true(mask_parse(&v, "dense"));
    assert_int_equal(v, MASK_DENSE);
    assert_string_equal(mask_name(MASK_DALLE), "dalle");
    assert_false(mask_parse(&v, "sparse"));
}

static int64_t image_cells(struct attn a)
{
    int64_t cells = 0, total = a.text + a.h * a.w;

    for (int64_t q = a.text; q < total; q++)
        for (int64_t k = a.text; k < total; k++)
            cells += attn_allows(&a, q, k);
    return cells;
}

static void image_cells_are_figure_11(void **state)
{
    (void)state;
    assert_int_equal(image_cells((struct attn){ATTN_ROW, 6, 4, 4, 3, 1}), 70);
    assert_int_equal(image_cells((struct attn){ATTN_COLUMN, 6, 4, 4, 3, 1}), 40);
    assert_int_equal(image_cells((struct attn){ATTN_CONV, 6, 4, 4, 3, 1}), 76);
    assert_int_equal(image_cells((struct attn){ATTN_DENSE, 6, 4, 4, 3, 1}), 136);
    assert_int_equal(image_cells((struct attn){ATTN_ROW, 256, 32, 32, 11, 1}), 33264);
    assert_int_equal(image_cells((struct attn){ATTN_COLUMN, 256, 32, 32, 11, 1}), 16896);
    assert_int_equal(image_cells((struct attn){ATTN_CONV, 256, 32, 32, 11, 1}), 61344);
}

/* Text: causal among itself, never image; image sees all text.  21 + 96 cells of 22 states. */
static void text_cells(void **state)
{
    static const enum attn_kind kinds[] = {ATTN_DENSE, ATTN_ROW, ATTN_COLUMN, ATTN_CONV};

    (void)state;
    for (int i = 0; i < 4; i++) {
        struct attn a = {kinds[i], 6, 4, 4, 3, 1};
        int64_t among = 0, seen = 0;

        for (int64_t q = 0; q < 22; q++)
            for (int64_t k = 0; k < 22; k++) {
                bool allowed = attn_allows(&a, q, k);

                assert_false(allowed && k > q);
                among += allowed && q < 6;
                seen += allowed && q >= 6 && k < 6;
            }
        assert_int_equal(among, 21);
        assert_int_equal(seen, 96);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_eight_layers), cmocka_unit_test(sixty_four_layers),
        cmocka_unit_test(the_last_layer_wins), cmocka_unit_test(names_are_known),
        cmocka_unit_test(image_cells_are_figure_11), cmocka_unit_test(text_cells)};

    return cmocka_run_group_tests_name("mask", tests, NULL, NULL);
}

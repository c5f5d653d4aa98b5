/* SPDX-License-Identifier: MIT */
#include "compute/embed.h"

#include "base/par.h"
#include "harness.h"

static const int64_t sizes[][3] = {{1, 1, 1}, {5, 3, 7}, {64, 11, 16}, {33, 2, 65}, {17, 40, 193}}; /* M, V, C */

enum { SIZES = sizeof sizes / sizeof *sizes };

struct run {
    struct tensor table, index, y, dy, dtable;
};

static struct run prepare(struct harness *h, int64_t rows, int64_t vocab, int64_t n)
{
    struct run r = {h_random(h, 1.0f, vocab, n), h_indices(h, rows), h_random(h, 1.0f, rows, n),
                    h_random(h, 1.0f, rows, n), h_random(h, 1.0f, vocab, n)};

    for (int64_t m = 0; m < rows; m++) /* every fourth row has none */
        H_I32(&r.index)[m] = m % 4 == 3 ? -1 : (int32_t)(m * 7 % vocab);
    return r;
}

static void test_forward(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        for (int s = 0; s < 2 * SIZES; s++) {
            const int64_t *size = sizes[s / 2];
            struct run r = prepare(&h, size[0], size[1], size[2]);
            bool add = s % 2;
            float *before = h_take(&h, tensor_bytes(&r.y));

            memcpy(before, r.y.data, tensor_bytes(&r.y));
            assert_int_equal(op_embed(&h.dev, &r.y, &r.table, &r.index, add), 0);
            for (int64_t m = 0; m < size[0]; m++)
                for (int64_t c = 0; c < size[2]; c++) {
                    int64_t at = H_I32(&r.index)[m];
                    float row = at < 0 ? 0.0f : H_F32(&r.table)[at * size[2] + c];

                    assert_true(H_F32(&r.y)[m * size[2] + c] == (add ? before[m * size[2] + c] : 0.0f) + row);
                }
        }
        h_close(&h);
    }
}

static void test_gradient(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        for (int s = 0; s < SIZES; s++) {
            const int64_t *size = sizes[s];
            struct run r = prepare(&h, size[0], size[1], size[2]);
            double *want = h_doubles(&h, &r.dtable, 0);

            for (int64_t m = 0; m < size[0]; m++)
                for (int64_t c = 0; c < size[2] && H_I32(&r.index)[m] >= 0; c++)
                    want[H_I32(&r.index)[m] * size[2] + c] += H_F32(&r.dy)[m * size[2] + c];
            assert_int_equal(op_embed_grad(&h.dev, &r.dtable, &r.dy, &r.index), 0);
            h_near(h_error(H_F32(&r.dtable), want, size[1] * size[2]), 1e-6);
        }
        h_close(&h);
    }
}

static void test_threads(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        struct run one = prepare(&h, 301, 5, 131), two;
        int threads = par_threads();

        h.draws = 0;
        two = prepare(&h, 301, 5, 131);
        par_set_threads(1);
        assert_int_equal(op_embed_grad(&h.dev, &one.dtable, &one.dy, &one.index), 0);
        par_set_threads(3);
        assert_int_equal(op_embed_grad(&h.dev, &two.dtable, &two.dy, &two.index), 0);
        par_set_threads(threads);
        assert_memory_equal(one.dtable.data, two.dtable.data, tensor_bytes(&one.dtable));
        h_close(&h);
    }
}

static void test_refused(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        struct run r = prepare(&h, 5, 3, 4);

        assert_int_equal(op_embed(&h.dev, &r.table, &r.table, &r.index, true), ERR_ARG);
        assert_int_equal(op_embed(&h.dev, &r.y, &r.index, &r.index, true), ERR_ARG);
        assert_int_equal(op_embed(&h.dev, &r.y, &r.table, &r.y, true), ERR_ARG);
        assert_int_equal(op_embed_grad(&h.dev, &r.table, &r.table, &r.index), ERR_ARG);
        h_close(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward),
        cmocka_unit_test(test_gradient),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

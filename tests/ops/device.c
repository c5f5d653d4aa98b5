/* SPDX-License-Identifier: MIT */
/* device.c -- memory comes back, copies arrive, a repeated step is done as often as asked. */
#include "compute/act.h"
#include "compute/matmul.h"
#include "compute/sample.h"
#include "harness.h"

#include <pthread.h>

/* Blocks together larger than any device's memory, one after another, with what products and uploads take beside them. */
static void test_memory(void **state)
{
    bool cpu = !getenv("ARMCHAIR_TEST_DEVICE");
    size_t size = cpu || h_slow() ? (size_t)64 << 20 : (size_t)2 << 30;
    struct harness h;

    (void)state;
    setenv("EMULATOR_MEMORY", "400000000", 1); /* an emulated device is small */
    for (int round = 0; round < 80 && h_open(&h, 0); round++) {
        struct tensor a = h_random(&h, 1, 64, 64), y = h_zeros(&h, 64, 64);
        struct arena block;

        assert_int_equal(device_arena_init(&h.dev, &block, size), 0);
        assert_int_equal(device_precision(&h.dev, PRECISION_BF16), 0);
        assert_int_equal(op_matmul(&h.dev, &y, &a, &a, NULL, (struct matmul){.ta = true}), 0);
        assert_int_equal(device_upload(&h.dev, block.base, a.data, tensor_bytes(&a)), 0);
        device_arena_fini(&h.dev, &block);
        h_close(&h);
    }
    unsetenv("EMULATOR_MEMORY");
}

static void test_copies(void **state)
{
    static const size_t sizes[] = {0, 1, 4095, (8 << 20) - 1, 8 << 20, (8 << 20) + 1, (20 << 20) + 3};
    unsigned char *from = malloc(21 << 20), *to = malloc(21 << 20);
    struct harness h;

    (void)state;
    for (size_t i = 0; i < 21 << 20; i++)
        from[i] = (unsigned char)(i * 2654435761u >> 13);
    for (int i = 0; h_open(&h, i); i++) {
        struct arena block;

        assert_int_equal(device_arena_init(&h.dev, &block, 21 << 20), 0);
        assert_int_equal(device_download(&h.dev, to, block.base, 21 << 20), 0);
        for (size_t k = 0; k < 21 << 20; k++)
            assert_int_equal(to[k], 0);
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            memset(to, 7, 21 << 20);
            assert_int_equal(device_zero(&h.dev, block.base, 21 << 20), 0);
            assert_int_equal(device_upload(&h.dev, block.base, from, sizes[s]), 0);
            assert_int_equal(device_download(&h.dev, to, block.base, sizes[s] + 1), 0);
            assert_memory_equal(to, from, sizes[s]);
            assert_int_equal(to[sizes[s]], 0);
            assert_int_equal(to[sizes[s] + 1], 7);
        }
        device_arena_fini(&h.dev, &block);
        h_close(&h);
    }
    free(from);
    free(to);
}

struct stepping {
    struct harness h;
    struct tensor position, slot, codes, sum, one;
    int result; /* of a step */
};

static int step(void *arg)
{
    struct stepping *s = arg;
    int rc = op_next(&s->h.dev, &s->position, &s->slot, &s->codes, 4);

    return rc != 0 ? rc : s->result != 0 ? s->result : op_add(&s->h.dev, &s->sum, &s->one, 1);
}

static void test_repeat(void **state)
{
    struct stepping s = {0};

    (void)state;
    for (int i = 0; h_open(&s.h, i); i++) {
        s.position = h_indices(&s.h, 1);
        s.slot = h_indices(&s.h, 4, 2);
        s.codes = h_indices(&s.h, 2, 16);
        s.sum = h_zeros(&s.h, 3);
        s.one = h_zeros(&s.h, 3);
        H_F32(&s.one)[2] = 1;
        for (int64_t times = 0; times < 12; times = 2 * times + 1) {
            H_I32(&s.position)[0] = -1;
            H_F32(&s.sum)[2] = 0;
            assert_int_equal(device_repeat(&s.h.dev, times, step, &s), 0);
            assert_int_equal(device_wait(&s.h.dev), 0);
            assert_int_equal(H_I32(&s.position)[0], times - 1);
            assert_true(H_F32(&s.sum)[2] == (float)times);
        }
        s.result = ERR_LIMIT; /* what a step says ends it, and the device goes on */
        assert_int_equal(device_repeat(&s.h.dev, 3, step, &s), ERR_LIMIT);
        s.result = 0;
        assert_int_equal(device_repeat(&s.h.dev, 3, step, &s), 0);
        h_close(&s.h);
    }
}

/* Another thread reads what was marked while the owner goes on elsewhere. */
struct fetching {
    struct harness h;
    struct tensor x;
    float *host;
    int rc;
};

static void *fetch(void *arg)
{
    struct fetching *f = arg;

    f->rc = device_fetch(&f->h.dev, f->host, f->x.data, tensor_bytes(&f->x));
    return NULL;
}

static void test_fetch(void **state)
{
    struct fetching f;

    (void)state;
    for (int i = 0; h_open(&f.h, i); i++) {
        struct tensor one = h_random(&f.h, 1, 300007), other = h_zeros(&f.h, 300007);

        f.x = h_zeros(&f.h, 300007);
        f.host = malloc(tensor_bytes(&f.x));
        for (int round = 1; round < 4; round++) {
            pthread_t thread;

            assert_int_equal(op_add(&f.h.dev, &f.x, &one, 1), 0);
            assert_int_equal(device_mark(&f.h.dev), 0);
            assert_int_equal(pthread_create(&thread, NULL, fetch, &f), 0);
            for (int k = 0; k < 4; k++)
                assert_int_equal(op_add(&f.h.dev, &other, &one, 1), 0);
            assert_int_equal(pthread_join(thread, NULL), 0);
            assert_int_equal(f.rc, 0);
            for (int64_t k = 0; k < 300007; k += 17)
                assert_true(fabsf(f.host[k] - (float)round * H_F32(&one)[k]) <= 1e-6f * fabsf(f.host[k]));
        }
        free(f.host);
        h_close(&f.h);
    }
}

/* What is taken stays, and no more is. */
static void test_working(void **state)
{
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        struct tensor a = h_random(&h, 1, 64, 64), y = h_zeros(&h, 64, 64), large = h_zeros(&h, 128, 128);
        size_t before = device_working(&h.dev), after;

        assert_int_equal(op_matmul(&h.dev, &y, &a, &a, NULL, (struct matmul){0}), 0);
        after = device_working(&h.dev);
        assert_true(after >= before);
        assert_int_equal(op_matmul(&h.dev, &y, &a, &a, NULL, (struct matmul){0}), 0);
        assert_int_equal(device_working(&h.dev), after);
        assert_int_equal(op_matmul(&h.dev, &large, &large, &large, NULL, (struct matmul){0}), 0);
        after = device_working(&h.dev);
        assert_int_equal(op_matmul(&h.dev, &y, &a, &a, NULL, (struct matmul){0}), 0);
        assert_int_equal(device_working(&h.dev), after);
        h_close(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_memory), cmocka_unit_test(test_copies),
                                       cmocka_unit_test(test_repeat), cmocka_unit_test(test_fetch), cmocka_unit_test(test_working)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* fetch.c -- memory as it was at a mark comes to another thread, while the device's owner goes on. */
#include <pthread.h>

#include "compute/act.h"
#include "harness.h"

enum { SIZE = (17 << 20) + 3 /* more than passes at once */ };

struct fetching {
    struct device *dev;
    const void *from;
    unsigned char *to; /* [SIZE] */
    size_t size;
    int times, rc;
};

static void *fetch(void *arg)
{
    struct fetching *f = arg;

    for (int i = 0; f->rc == 0 && i < f->times; i++) {
        memset(f->to, 0, f->size);
        f->rc = device_fetch(f->dev, f->to, f->from, f->size);
    }
    return NULL;
}

static void fill(unsigned char *block, uint32_t seed)
{
    for (uint32_t i = 0; i < SIZE; i++)
        block[i] = (unsigned char)((i + seed) * 2654435761u >> 13);
}

struct owner {
    struct harness h;
    struct tensor sum, one;
    struct fetching f;
};

static int add(void *arg)
{
    struct owner *o = arg;

    return op_add(&o->h.dev, &o->sum, &o->one, 1);
}

/* What a step asks for may be recorded; another thread's fetch is not. */
static int add_and_fetch(void *arg)
{
    struct owner *o = arg;
    pthread_t thread;
    int rc = add(arg);

    assert_int_equal(pthread_create(&thread, NULL, fetch, &o->f), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    return rc != 0 ? rc : o->f.rc;
}

static void work(struct owner *o)
{
    struct arena block;

    for (int i = 0; i < 20; i++) {
        assert_int_equal(device_repeat(&o->h.dev, 5, add, o), 0);
        assert_int_equal(device_arena_init(&o->h.dev, &block, 100000), 0);
        assert_int_equal(device_upload(&o->h.dev, block.base, o->one.data, 1000), 0);
        device_arena_fini(&o->h.dev, &block);
    }
}

static void test_beside(void **state)
{
    unsigned char *from = malloc(SIZE), *to = malloc(SIZE);
    struct owner o = {0};

    (void)state;
    for (int i = 0; h_open(&o.h, i); i++) {
        struct arena block;
        pthread_t thread;

        o.sum = h_zeros(&o.h, 1000);
        o.one = h_zeros(&o.h, 1000);
        H_F32(&o.one)[999] = 1;
        assert_int_equal(device_arena_init(&o.h.dev, &block, SIZE), 0);
        fill(from, 1);
        assert_int_equal(device_upload(&o.h.dev, block.base, from, SIZE), 0);
        assert_int_equal(device_mark(&o.h.dev), 0);
        o.f = (struct fetching){&o.h.dev, block.base, to, SIZE, 4, 0};
        assert_int_equal(pthread_create(&thread, NULL, fetch, &o.f), 0);
        work(&o);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(o.f.rc, 0);
        assert_memory_equal(to, from, SIZE);
        assert_int_equal(device_wait(&o.h.dev), 0);
        assert_true(H_F32(&o.sum)[999] == 100);

        o.f.times = 1;
        assert_int_equal(device_repeat(&o.h.dev, 3, add_and_fetch, &o), 0);
        assert_memory_equal(to, from, SIZE);
        assert_true(H_F32(&o.sum)[999] == 103);
        device_arena_fini(&o.h.dev, &block);
        h_close(&o.h);
    }
    free(from);
    free(to);
}

/* Later marks, parts and nothing. */
static void test_marks(void **state)
{
    static const size_t sizes[] = {0, 1, 4097, 8 << 20, SIZE};
    unsigned char *from = malloc(SIZE), *to = malloc(SIZE);
    struct harness h;

    (void)state;
    for (int i = 0; h_open(&h, i); i++) {
        struct arena block;

        assert_int_equal(device_arena_init(&h.dev, &block, SIZE), 0);
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            fill(from, (uint32_t)s);
            memset(to, 7, SIZE);
            assert_int_equal(device_upload(&h.dev, block.base, from, SIZE), 0);
            assert_int_equal(device_mark(&h.dev), 0);
            assert_int_equal(device_fetch(&h.dev, to, (char *)block.base + SIZE - sizes[s], sizes[s]), 0);
            assert_memory_equal(to, from + SIZE - sizes[s], sizes[s]);
            assert_true(sizes[s] == SIZE || to[sizes[s]] == 7);
        }
        device_arena_fini(&h.dev, &block);
        h_close(&h);
    }
    free(from);
    free(to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_beside), cmocka_unit_test(test_marks)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

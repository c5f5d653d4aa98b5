/* SPDX-License-Identifier: MIT */
/* Learning merges: against counting everything anew for each merge, in any order, with any number of threads. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/par.h"
#include "base/rng.h"
#include "text/bpe_table.h"
#include "text/bpe_train.h"
#include "text/count.h"
#include "text/normalise.h"

static const struct rng random_numbers = {11, RNG_TEST};

enum { WORDS = 60, VOCAB_ROOM = 400 };

/* Random words with random counts; backwards: added last to first, each in two halves. */
static void make_words(struct words *w, uint64_t world, bool backwards)
{
    for (uint64_t k = 0; k < WORDS; k++) {
        uint64_t i = backwards ? WORDS - 1 - k : k, size = 2 + rng_below(random_numbers, world, i, 12);
        uint64_t count = 1 + rng_below(random_numbers, world, 1000 + i, 50);
        char text[16];

        for (uint64_t j = 0; j < size; j++)
            text[j] = (char)('a' + rng_below(random_numbers, world * 100 + i + 1000, j, 2 + world % 2));
        if (backwards)
            assert_int_equal(words_add(w, text, size, count / 2), 0);
        assert_int_equal(words_add(w, text, size, count - (backwards ? count / 2 : 0)), 0);
    }
}

/* The most frequent pair by counting all, ties to the smaller; 0: none. */
static uint64_t best_pair(const struct words *w, uint16_t s[][16], const uint32_t *size, uint32_t *pair)
{
    static uint64_t count[VOCAB_ROOM][VOCAB_ROOM];
    uint64_t best = 0;

    memset(count, 0, sizeof count);
    for (uint32_t n = 0; n < w->count; n++)
        for (uint32_t i = 0; i + 1 < size[n]; i++)
            count[s[n][i]][s[n][i + 1]] += w->word[n].count;
    for (uint32_t a = 0; a < VOCAB_ROOM; a++)
        for (uint32_t b = 0; b < VOCAB_ROOM; b++)
            if (count[a][b] > best) {
                best = count[a][b];
                *pair = a << 16 | b;
            }
    return best;
}

/* Learn again the slow way, taking token ids from b, and compare each merge. */
static void check_training(const struct words *w, const struct bpe *b, uint64_t min_count, uint32_t vocab)
{
    static uint16_t s[WORDS][16];
    uint32_t size[WORDS], pair = 0, rank = 0;
    uint64_t best;

    for (uint32_t n = 0; n < w->count; n++) {
        size[n] = w->word[n].size;
        for (uint32_t i = 0; i < size[n]; i++)
            s[n][i] = b->byte_id[(uint8_t)w->text[w->word[n].at + i]];
    }
    while ((best = best_pair(w, s, size, &pair)) >= min_count && rank < b->merges) {
        struct bpe_merge m = b->merge[rank++];

        assert_int_equal(pair, (uint32_t)m.left << 16 | m.right);
        for (uint32_t n = 0; n < w->count; n++) {
            uint32_t to = 0;

            for (uint32_t i = 0; i < size[n]; i++) {
                bool here = i + 1 < size[n] && s[n][i] == m.left && s[n][i + 1] == m.right;

                s[n][to++] = here ? m.made : s[n][i];
                i += here;
            }
            size[n] = to;
        }
    }
    assert_int_equal(rank, b->merges);
    assert_true(best < min_count || b->vocab == vocab);
}

static void merges_are_those_of_counting_anew(void **state)
{
    (void)state;
    for (uint64_t world = 0; world < 60; world++) {
        struct bpe_train_options o = {SPLIT_DALLE, NORMALISE_NFC, 256 + 20 + 2 * (uint32_t)world, 1 + world % 30, NULL, NULL};
        struct words w = {0}, other = {0};
        struct bpe *b, *again;

        make_words(&w, world, false);
        make_words(&other, world, true);
        assert_int_equal(bpe_train(&b, &w, &o), 0);
        assert_int_equal(bpe_train(&again, &other, &o), 0);
        assert_true(digest_same(bpe_digest(b), bpe_digest(again)));
        check_training(&w, b, o.min_count, o.vocab);
        assert_int_equal(b->merges, b->vocab - 256);
        assert_true(b->ordered);
        bpe_free(b);
        bpe_free(again);
        words_fini(&w);
        words_fini(&other);
    }
}

static void ties_go_to_the_smaller_ids(void **state)
{
    struct bpe_train_options o = {SPLIT_DALLE, 0, 259, 1, NULL, NULL};
    struct words w = {0};
    struct bpe *b;

    (void)state;
    assert_int_equal(words_add(&w, "zb", 2, 5), 0);
    assert_int_equal(words_add(&w, "ac", 2, 5), 0);
    assert_int_equal(words_add(&w, "ab", 2, 5), 0);
    assert_int_equal(words_add(&w, "yx", 2, 4), 0);
    assert_int_equal(bpe_train(&b, &w, &o), 0);
    for (int i = 0; i < 3; i++) {
        static const char *const want[] = {"ab", "ac", "zb"};
        size_t size;
        const char *text = bpe_token(b, 256 + (uint32_t)i, &size);

        assert_int_equal(size, 2);
        assert_memory_equal(text, want[i], 2);
    }
    bpe_free(b);
    words_fini(&w);
}

static void large_counts_do_not_overflow(void **state)
{
    struct bpe_train_options o = {SPLIT_DALLE, 0, 257, 1, NULL, NULL};
    struct words w = {0};
    struct bpe *b;

    (void)state;
    assert_int_equal(words_add(&w, "xy", 2, (uint64_t)1 << 60), 0);
    assert_int_equal(words_add(&w, "ab", 2, ((uint64_t)1 << 32) + 5), 0);
    assert_int_equal(bpe_train(&b, &w, &o), 0);
    assert_int_equal(b->merge[0].left, b->byte_id['x']);
    bpe_free(b);
    words_fini(&w);
}

static void a_row_of_one_letter(void **state)
{
    struct bpe_train_options o = {SPLIT_DALLE, 0, 65536, 1, NULL, NULL};
    struct words w = {0};
    struct bpe *b;
    size_t size = 300000;
    char *text = malloc(size);

    (void)state;
    memset(text, 'a', size);
    assert_int_equal(words_add(&w, text, size, 1), 0);
    assert_int_equal(bpe_train(&b, &w, &o), 0);
    for (uint32_t id = 0; id < b->vocab; id++)
        assert_true(b->at[id + 1] - b->at[id] <= BPE_TOKEN_MAX);
    assert_true(b->vocab > 256 + 15);
    bpe_free(b);
    words_fini(&w);
    free(text);
}

static int fail_on_bad(void *state, const struct caption *c, const char *reason)
{
    int *bad = state;

    (*bad)++;
    return *bad < 3 ? 0 : caption_error(c, reason);
}

static void counting_is_the_same_for_any_threads(void **state)
{
    char path[] = "/tmp/count-unit-XXXXXX", *paths[] = {path};
    FILE *f = fdopen(mkstemp(path), "w");
    struct bpe_train_options t = {SPLIT_GPT2, NORMALISE_NFC | NORMALISE_LOWER, 700, 2, NULL, NULL};
    struct digest first = {{0}};

    (void)state;
    for (uint64_t line = 0; line < 20000; line++) {
        for (uint64_t i = 0; i < 8; i++)
            fprintf(f, "%c%c%d ", (char)('A' + rng_below(random_numbers, line, i, 30)),
                    (char)('a' + rng_below(random_numbers, line, i + 100, 9)), (int)(line % 7));
        fputs(line == 7777 || line == 18888 ? "\xff\n" : "\xc3\x89\n", f);
    }
    fclose(f);
    for (int threads = 1; threads <= 5; threads += 2) {
        int bad = 0;
        struct count_options o = {SPLIT_GPT2, NORMALISE_NFC | NORMALISE_LOWER, fail_on_bad, NULL, &bad};
        struct words w = {0};
        struct captions *c;
        struct bpe *b;
        int64_t used;

        par_set_threads(threads);
        assert_int_equal(captions_open(&c, paths, 1, 0), 0);
        assert_int_equal(count_words(&w, &used, c, &o), 0);
        captions_close(c);
        assert_int_equal(used, 19998);
        assert_int_equal(bad, 2);
        assert_int_equal(bpe_train(&b, &w, &t), 0);
        if (threads == 1)
            first = *bpe_digest(b);
        assert_true(digest_same(&first, bpe_digest(b)));
        bpe_free(b);
        words_fini(&w);
    }
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_are_those_of_counting_anew),
        cmocka_unit_test(ties_go_to_the_smaller_ids),
        cmocka_unit_test(large_counts_do_not_overflow),
        cmocka_unit_test(a_row_of_one_letter),
        cmocka_unit_test(counting_is_the_same_for_any_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

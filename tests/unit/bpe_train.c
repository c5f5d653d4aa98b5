/* SPDX-License-Identifier: MIT */
/* Learning merges: against counting everything anew for each merge, in any order, with any number of threads and any memory. */
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

static const struct words_kind letters = {SPLIT_DALLE, NORMALISE_NFC};

/* Learn from a table, which is empty afterwards. */
static struct bpe *learn(struct words *w, struct bpe_train_options o)
{
    struct word_runs runs = {.kind = letters};
    struct words_in *run;
    struct bpe *b;

    assert_int_equal(word_run_write(&run, w, letters), 0);
    assert_int_equal(word_runs_add(&runs, run), 0);
    assert_int_equal(bpe_train(&b, &runs, &o), 0);
    word_runs_fini(&runs);
    return b;
}

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
            count[s[n][i]][s[n][i + 1]] += words_at(w, n).count;
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
        struct word word = words_at(w, n);

        size[n] = (uint32_t)word.size;
        for (uint32_t i = 0; i < size[n]; i++)
            s[n][i] = b->byte_id[(uint8_t)word.text[i]];
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
        struct bpe_train_options o = {256 + 20 + 2 * (uint32_t)world, 1 + world % 30, 0, 0, NULL, NULL};
        struct words w, other, same;
        struct bpe *b, *again;

        assert_int_equal(words_init(&w, 1 << 16), 0);
        assert_int_equal(words_init(&other, 1 << 16), 0);
        assert_int_equal(words_init(&same, 1 << 16), 0);
        make_words(&w, world, false);
        make_words(&same, world, false);
        make_words(&other, world, true);
        b = learn(&w, o);
        again = learn(&other, o);
        assert_true(digest_same(bpe_digest(b), bpe_digest(again)));
        words_sort(&same);
        check_training(&same, b, o.min_count, o.vocab);
        assert_int_equal(b->merges, b->vocab - 256);
        assert_true(b->ordered);
        bpe_free(b);
        bpe_free(again);
        words_fini(&w);
        words_fini(&other);
        words_fini(&same);
    }
}

/* However few pairs the index keeps, and however often it must be filled again. */
static void what_the_index_forgets_comes_back(void **state)
{
    static const uint32_t kept[] = {1, 2, 7, 20, 100};

    (void)state;
    for (uint64_t world = 0; world < 100; world++) {
        struct bpe_train_options o = {600, 1 + world % 4, 0, 0, NULL, NULL};
        struct words w;
        struct bpe *all, *few;

        assert_int_equal(words_init(&w, 1 << 16), 0);
        make_words(&w, world, false);
        all = learn(&w, o);
        make_words(&w, world, true);
        o.pairs_kept = kept[world % 5];
        few = learn(&w, o);
        assert_true(digest_same(bpe_digest(all), bpe_digest(few)));
        bpe_free(all);
        bpe_free(few);
        words_fini(&w);
    }
}

static void ties_go_to_the_smaller_ids(void **state)
{
    struct words w;
    struct bpe *b;

    (void)state;
    assert_int_equal(words_init(&w, 1 << 16), 0);
    assert_int_equal(words_add(&w, "zb", 2, 5), 0);
    assert_int_equal(words_add(&w, "ac", 2, 5), 0);
    assert_int_equal(words_add(&w, "ab", 2, 5), 0);
    assert_int_equal(words_add(&w, "yx", 2, 4), 0);
    b = learn(&w, (struct bpe_train_options){259, 1, 0, 0, NULL, NULL});
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

static void rare_words_are_left_out(void **state)
{
    struct words w;
    struct bpe *b;

    (void)state;
    assert_int_equal(words_init(&w, 1 << 16), 0);
    assert_int_equal(words_add(&w, "abx", 3, 4), 0);
    assert_int_equal(words_add(&w, "aby", 3, 4), 0);
    assert_int_equal(words_add(&w, "cd", 2, 5), 0);
    b = learn(&w, (struct bpe_train_options){300, 1, 5, 0, NULL, NULL});
    assert_int_equal(b->merges, 1);
    assert_int_equal(b->merge[0].left, b->byte_id['c']);
    bpe_free(b);
    words_fini(&w);
}

static void large_counts_do_not_overflow(void **state)
{
    struct word_runs runs = {.kind = letters};
    struct words_in *run;
    struct words w;
    struct bpe *b;

    (void)state;
    assert_int_equal(words_init(&w, 1 << 16), 0);
    assert_int_equal(words_add(&w, "xy", 2, (uint64_t)1 << 60), 0);
    assert_int_equal(words_add(&w, "ab", 2, ((uint64_t)1 << 32) + 5), 0);
    b = learn(&w, (struct bpe_train_options){257, 1, 0, 0, NULL, NULL});
    assert_int_equal(b->merge[0].left, b->byte_id['x']);
    bpe_free(b);
    for (int i = 0; i < 2; i++) { /* 2^61 letters: one word has them, two do not */
        assert_int_equal(words_add(&w, "xyxy", 4, (uint64_t)1 << 60), 0);
        assert_int_equal(word_run_write(&run, &w, letters), 0);
        assert_int_equal(word_runs_add(&runs, run), 0);
    }
    assert_int_equal(bpe_train(&b, &runs, &(struct bpe_train_options){257, 1, 0, 0, NULL, NULL}), ERR_LIMIT);
    word_runs_fini(&runs);
    runs.kind = letters;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(words_add(&w, "xy", 2, (uint64_t)1 << 63), 0);
        assert_int_equal(word_run_write(&run, &w, letters), 0);
        assert_int_equal(word_runs_add(&runs, run), 0);
    }
    assert_int_equal(word_runs_next(&runs, &(struct word){0}), ERR_LIMIT);
    word_runs_fini(&runs);
    words_fini(&w);
}

static void a_row_of_one_letter(void **state)
{
    struct words w;
    struct bpe *b;
    size_t size = 300000;
    char *text = malloc(size);

    (void)state;
    memset(text, 'a', size);
    assert_int_equal(words_init(&w, 1 << 20), 0);
    assert_int_equal(words_add(&w, text, size, 1), 0);
    b = learn(&w, (struct bpe_train_options){65536, 1, 0, 0, NULL, NULL});
    for (uint32_t id = 0; id < b->vocab; id++)
        assert_true(b->at[id + 1] - b->at[id] <= BPE_TOKEN_MAX);
    assert_true(b->vocab > 256 + 15);
    bpe_free(b);
    words_fini(&w);
    free(text);
}

/* A table that is full says so and still counts what it has; words come back in the order of their bytes. */
static void tables_are_full_and_sorted(void **state)
{
    uint64_t added = 0, found = 0;
    struct words w;
    int full = 0;

    (void)state;
    assert_int_equal(words_init(&w, 1 << 15), 0);
    for (uint64_t i = 0; full < 1000; i++) {
        char text[40];
        size_t size = 1 + rng_below(random_numbers, 70, i, 30);

        for (size_t j = 0; j < size; j++) /* long rows of equal bytes, and zeros */
            text[j] = (char)(j + 1 < size ? 0 : rng_below(random_numbers, 71, i, 3) * 127);
        size -= rng_below(random_numbers, 72, i, 2) * (size / 2);
        if (i % 3 == 0)
            size = (size_t)snprintf(text, sizeof text, "w%d", (int)rng_below(random_numbers, 73, i, 5000));
        if (words_add(&w, text, size, i))
            full++;
        else
            added += i;
    }
    words_sort(&w);
    for (uint32_t n = 0; n < w.count; n++) {
        struct word word = words_at(&w, n);

        found += word.count;
        if (n > 0) {
            struct word before = words_at(&w, n - 1);

            assert_true(word_order(&before, &word) < 0);
        }
    }
    assert_int_equal(found, added);
    assert_true(w.count > 500);
    words_clear(&w);
    assert_int_equal(words_add(&w, "a", 1, 1), 0);
    assert_int_equal(w.count, 1);
    words_fini(&w);
}

/* More runs than are read at once, words of any bytes: the sums, in order. */
static void many_runs_are_one(void **state)
{
    enum { RUNS = 3 * WORD_RUNS_MAX + 5, EACH = 20 };
    struct word_runs runs = {.kind = letters};
    struct words all, w;
    struct words_in *run;
    struct word word;
    uint32_t n;
    int rc;

    (void)state;
    assert_int_equal(words_init(&all, 1 << 18), 0);
    assert_int_equal(words_init(&w, 1 << 14), 0);
    for (uint64_t i = 0; i < RUNS; i++) {
        for (uint64_t j = 0; j < EACH && i % 7 > 0; j++) { /* some are empty */
            char text[8];
            size_t size = 1 + rng_below(random_numbers, 80 + i, j, 3);

            for (size_t k = 0; k < size; k++)
                text[k] = (char)rng_below(random_numbers, 80 + i, 1000 + 8 * j + k, 256);
            assert_int_equal(words_add(&w, text, size, j + 1), 0);
            assert_int_equal(words_add(&all, text, size, j + 1), 0);
        }
        assert_int_equal(word_run_write(&run, &w, letters), 0);
        assert_int_equal(word_runs_add(&runs, run), 0);
    }
    assert_int_equal(word_run_write_word(&run, (struct word){"\n\\x", 3, 7}, letters), 0);
    assert_int_equal(words_add(&all, "\n\\x", 3, 7), 0);
    assert_int_equal(word_runs_add(&runs, run), 0);
    words_sort(&all);
    for (n = 0; (rc = word_runs_next(&runs, &word)) > 0; n++) {
        struct word want = words_at(&all, n);

        assert_true(n < all.count);
        assert_int_equal(word_order(&word, &want), 0);
        assert_int_equal(word.count, want.count);
    }
    assert_int_equal(rc, 0);
    assert_int_equal(n, all.count);
    word_runs_fini(&runs);
    words_fini(&all);
    words_fini(&w);
}

static int fail_on_bad(void *state, const struct caption *c, const char *reason)
{
    int *bad = state;

    (*bad)++;
    return *bad < 3 ? 0 : caption_error(c, reason);
}

static void counting_is_the_same_for_any_threads_and_memory(void **state)
{
    char path[] = "/tmp/count-unit-XXXXXX", *paths[] = {path};
    FILE *f = fdopen(mkstemp(path), "w");
    struct bpe_train_options t = {700, 2, 0, 0, NULL, NULL};
    struct digest first = {{0}};

    (void)state;
    for (uint64_t line = 0; line < 20000; line++) {
        for (uint64_t i = 0; i < 8; i++)
            fprintf(f, "%c%c%c%c ", (char)('A' + rng_below(random_numbers, line, i, 30)),
                    (char)('a' + rng_below(random_numbers, line, i + 100, 9)), (char)('a' + line % 17), (char)('a' + i));
        fputs(line == 7777 || line == 18888 ? "\xff\n" : "\xc3\x89\n", f);
    }
    fclose(f);
    for (int round = 0; round < 6; round++) {
        int bad = 0;
        struct count_options o = {COUNT_FIXED + (round % 2 ? 1 << 16 : 1 << 24), fail_on_bad, NULL, &bad};
        struct word_runs runs = {.kind = {SPLIT_GPT2, NORMALISE_NFC | NORMALISE_LOWER}};
        struct captions *c;
        struct bpe *b;

        par_set_threads(1 + round / 2 * 2);
        assert_int_equal(captions_open(&c, paths, 1, 0), 0);
        assert_int_equal(count_words(&runs, c, &o), 0);
        captions_close(c);
        assert_true(round % 2 ? runs.count > par_threads() : runs.count <= par_threads()); /* spilled, or not */
        assert_int_equal(runs.captions, 19998);
        assert_int_equal(bad, 2);
        assert_int_equal(bpe_train(&b, &runs, &t), 0);
        if (round == 0)
            first = *bpe_digest(b);
        assert_true(digest_same(&first, bpe_digest(b)));
        bpe_free(b);
        word_runs_fini(&runs);
    }
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_are_those_of_counting_anew),
        cmocka_unit_test(what_the_index_forgets_comes_back),
        cmocka_unit_test(rare_words_are_left_out),
        cmocka_unit_test(tables_are_full_and_sorted),
        cmocka_unit_test(many_runs_are_one),
        cmocka_unit_test(ties_go_to_the_smaller_ids),
        cmocka_unit_test(large_counts_do_not_overflow),
        cmocka_unit_test(a_row_of_one_letter),
        cmocka_unit_test(counting_is_the_same_for_any_threads_and_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

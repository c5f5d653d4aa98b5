/* SPDX-License-Identifier: MIT */
/* Vocabularies: the alphabet, merging by each method against the plain definition, dropout, files. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "text/alphabet.h"
#include "text/bpe.h"
#include "text/bpe_table.h"
#include "text/bpe_train.h"
#include "text/bpe_write.h"
#include "text/merge.h"
#include "text/normalise.h"

static const struct rng random_numbers = {7, RNG_TEST};

/* A vocabulary of the 256 bytes (id = place in alphabet order), then the products of merges "left right" of texts in a-z. */
static struct bpe *make_bpe(const char *const *merges, enum split split)
{
    struct bpe *b = calloc(1, sizeof *b);
    uint8_t order[256];
    uint32_t vocab = 256, at = 256;

    b->split = split;
    b->how = NORMALISE_NFC | NORMALISE_LOWER;
    b->bytes = calloc(1, 65536);
    b->at = calloc(1024, sizeof *b->at);
    b->merge = calloc(1024, sizeof *b->merge);
    alphabet_order(order);
    for (uint32_t i = 0; i < 256; i++) {
        b->bytes[i] = (char)order[i];
        b->at[i] = i;
    }
    b->at[256] = at;
    for (; merges[b->merges]; b->merges++) {
        const char *text = merges[b->merges], *space = strchr(text, ' ');
        char part[3][64];
        uint16_t id[3];

        snprintf(part[0], 64, "%.*s", (int)(space - text), text);
        snprintf(part[1], 64, "%s", space + 1);
        snprintf(part[2], 64, "%.20s%.20s", part[0], part[1]);
        for (int k = 0; k < 3; k++) {
            uint32_t i = 0;

            while (i < vocab && (b->at[i + 1] - b->at[i] != strlen(part[k]) ||
                                 memcmp(b->bytes + b->at[i], part[k], strlen(part[k])) != 0))
                i++;
            if (i == vocab) {
                strcpy(b->bytes + at, part[k]);
                b->at[++vocab] = at += (uint32_t)strlen(part[k]);
            }
            id[k] = (uint16_t)i;
        }
        b->merge[b->merges] = (struct bpe_merge){id[0], id[1], id[2]};
    }
    b->vocab = vocab;
    assert_int_equal(bpe_finish(b), 0);
    return b;
}

/* The plain definition: of all pairs with a merge, the lowest rank, leftmost. */
static size_t merge_plain(const struct bpe *b, uint16_t *ids, size_t n)
{
    for (;;) {
        uint32_t low = BPE_NO_RANK;
        size_t at = 0;

        for (size_t i = 0; i + 1 < n; i++)
            for (uint32_t rank = 0; rank < b->merges && rank < low; rank++)
                if (b->merge[rank].left == ids[i] && b->merge[rank].right == ids[i + 1]) {
                    low = rank;
                    at = i;
                }
        if (low == BPE_NO_RANK)
            return n;
        ids[at] = b->merge[low].made;
        memmove(ids + at + 1, ids + at + 2, (n - at - 2) * sizeof *ids);
        n--;
    }
}

static const char *const plain_merges[] = {"a b", "b c", "ab c", "a a", "aa a", "c ab", "aa aa", "abc abc", "aaaa a", NULL};
/* bc is made late and used early; abc is made twice. */
static const char *const strange_merges[] = {"a bc", "abc a", "a b", "b c", "ab c", "abc abc", "c a", "b b", "bb b", NULL};

static void same_as_plain(const char *const *merges, bool ordered)
{
    struct bpe *b = make_bpe(merges, SPLIT_DALLE);
    struct merger m = {0};
    struct merge_dropout none = {0};
    uint16_t start[300], want[300], got[300];

    assert_int_equal(b->ordered, ordered);
    for (uint64_t trial = 0; trial < 4000; trial++) {
        size_t n = 1 + rng_below(random_numbers, trial, 0, trial % 10 ? 30 : 300), wanted, made;

        for (size_t i = 0; i < n; i++)
            start[i] = b->byte_id['a' + rng_below(random_numbers, trial, i + 1, 1 + trial % 3)];
        memcpy(want, start, sizeof start);
        wanted = merge_plain(b, want, n);
        memcpy(got, start, sizeof start);
        assert_int_equal(merge_piece(b, &m, got, n, &made, &none), 0);
        assert_int_equal(made, wanted);
        assert_memory_equal(got, want, made * sizeof *got);
        memcpy(got, start, sizeof start);
        assert_int_equal(merge_long(b, &m, got, n, &made, &none), 0);
        assert_int_equal(made, wanted);
        assert_memory_equal(got, want, made * sizeof *got);
    }
    merger_fini(&m);
    bpe_free(b);
}

static void merging_is_the_plain_definition(void **state)
{
    (void)state;
    same_as_plain(plain_merges, true);
    same_as_plain(strange_merges, false);
}

static void dropout_draws_the_same_by_each_method(void **state)
{
    struct bpe *b = make_bpe(plain_merges, SPLIT_DALLE);
    struct merger m = {0};
    uint16_t start[MERGE_SHORT], a[MERGE_SHORT], c[MERGE_SHORT];
    int differ = 0;

    (void)state;
    for (uint64_t trial = 0; trial < 3000; trial++) {
        struct merge_dropout one = {0.1 + 0.2 * (double)(trial % 5), {3, RNG_DROPOUT}, trial, 0}, two = one;
        size_t n = 2 + rng_below(random_numbers, trial, 0, MERGE_SHORT - 1), made, plain;

        for (size_t i = 0; i < n; i++)
            start[i] = b->byte_id['a' + rng_below(random_numbers, trial, i + 1, 3)];
        memcpy(a, start, sizeof a);
        memcpy(c, start, sizeof c);
        plain = merge_short(b, a, n, &one);
        assert_int_equal(merge_long(b, &m, c, n, &made, &two), 0);
        assert_int_equal(made, plain);
        assert_memory_equal(a, c, made * sizeof *a);
        assert_int_equal(one.element, two.element);
        memcpy(c, start, sizeof c);
        differ += merge_plain(b, c, n) != plain;
    }
    assert_true(differ > 1000);
    merger_fini(&m);
    bpe_free(b);
}

/* With one possible merge, it is passed over with probability p. */
static void dropout_has_its_rate(void **state)
{
    static const char *const merges[] = {"a b", NULL};
    struct bpe *b = make_bpe(merges, SPLIT_DALLE);
    struct bpe_scratch *s;
    uint16_t ids[64];
    int count, kept = 0, n = 20000;

    (void)state;
    assert_int_equal(bpe_scratch_create(&s), 0);
    for (int i = 0; i < n; i++) { /* each occurrence is drawn, the second in the same text too */
        assert_int_equal(bpe_encode_dropout(b, s, "ab ab", 5, ids, 64, &count, 0.3, (struct rng){1, RNG_DROPOUT}, (uint64_t)i), 0);
        kept += 5 - count;
    }
    assert_true(abs(kept - 14000 * 2) < 500); /* sigma 92 */
    assert_int_equal(bpe_encode_dropout(b, s, "ab", 2, ids, 64, &count, 1, (struct rng){1, RNG_DROPOUT}, 0), ERR_ARG);
    bpe_scratch_free(s);
    bpe_free(b);
}

static void alphabet_is_a_bijection(void **state)
{
    uint8_t order[256], seen[256] = {0};
    char text[512], back[512];
    size_t size;

    (void)state;
    alphabet_order(order);
    for (int i = 0; i < 256; i++) {
        seen[order[i]]++;
        assert_int_equal(alphabet_byte(alphabet_point((uint8_t)i)), i);
        assert_true(i == 0 || alphabet_point(order[i]) > alphabet_point(order[i - 1]));
    }
    for (int i = 0; i < 256; i++)
        assert_int_equal(seen[i], 1);
    assert_int_equal(alphabet_point(' '), 0x120);
    assert_int_equal(alphabet_point('\n'), 0x10a);
    assert_int_equal(alphabet_point(0xad), 0x143);
    assert_int_equal(alphabet_byte(0x144), -1);
    assert_int_equal(alphabet_byte(0xad), -1);
    size = alphabet_write(text, (char *)order, 256);
    assert_int_equal(utf8_valid(text, size), size);
    assert_int_equal(alphabet_read(back, text, size), 256);
    assert_memory_equal(back, order, 256);
    assert_int_equal(alphabet_read(back, "a b", 3), -1);
    assert_int_equal(alphabet_read(back, "\xc4", 1), -1);
}

static void decoding_gives_the_normalised_text(void **state)
{
    struct bpe *b = make_bpe(plain_merges, SPLIT_GPT2);
    struct bpe_scratch *s;
    struct normalised n = {0};
    uint16_t ids[1000];
    const char *text;
    char line[400];
    size_t size;
    int count;

    (void)state;
    assert_int_equal(bpe_scratch_create(&s), 0);
    for (uint64_t trial = 0; trial < 2000; trial++) {
        size_t at = 0;

        for (uint64_t i = 0; i < 60; i++) { /* ASCII, two bytes, three bytes; marks among them */
            uint64_t r = rng_below(random_numbers, trial, i, 0x900);

            if (r < 0x500)
                line[at++] = (char)(r % 4 ? 'a' + r % 3 : r % 128);
            else
                at += (size_t)snprintf(line + at, 4, "%c%c", (char)(0xc0 | (0x2c0 + r % 0x200) >> 6), (char)(0x80 | r % 64));
        }
        assert_int_equal(normalise(&n, line, at, NORMALISE_NFC | NORMALISE_LOWER), 0);
        assert_int_equal(bpe_encode(b, s, line, at, ids, 1000, &count), 0);
        assert_int_equal(bpe_decode(b, s, ids, count, &text, &size), 0);
        assert_int_equal(size, n.size);
        assert_memory_equal(text, n.text, size);
        assert_int_equal(bpe_tokens(b, s, text, size, ids, 1000, &count, 0.5, (struct rng){1, RNG_DROPOUT}, trial), 0);
        assert_int_equal(bpe_decode(b, s, ids, count, &text, &size), 0);
        assert_int_equal(size, n.size);
        assert_memory_equal(text, n.text, size);
    }
    ids[0] = (uint16_t)bpe_vocab(b);
    assert_int_equal(bpe_decode(b, s, ids, 1, &text, &size), ERR_FORMAT);
    assert_int_equal(bpe_tokens(b, s, "\xc3", 1, ids, 10, &count, 0, (struct rng){1, RNG_DROPOUT}, 0), 0);
    assert_int_equal(count, 1);
    normalised_fini(&n);
    bpe_scratch_free(s);
    bpe_free(b);
}

static void counts_go_on_past_the_room(void **state)
{
    struct bpe *b = make_bpe(plain_merges, SPLIT_DALLE);
    struct bpe_scratch *s;
    uint16_t ids[8] = {9, 9, 9, 9, 9, 9, 9, 9};
    int count;

    (void)state;
    assert_int_equal(bpe_scratch_create(&s), 0);
    for (int again = 0; again < 2; again++) { /* the second time from the table of words */
        assert_int_equal(bpe_encode(b, s, "abc abcd ABC", 12, ids, 3, &count), 0);
        assert_int_equal(count, 6);
        assert_int_equal(ids[1], b->byte_id[' ']);
        assert_int_equal(ids[3], 9);
    }
    assert_int_equal(bpe_encode(b, s, "", 0, ids, 8, &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(bpe_encode(b, s, "ab\xff", 3, ids, 8, &count), ERR_FORMAT);
    assert_string_equal(err_text(), "not UTF-8 at byte 2");
    assert_int_equal(count, 0);
    bpe_scratch_free(s);
    bpe_free(b);
}

/* One scratch used with two vocabularies must not mix up their words. */
static void a_scratch_may_change_owners(void **state)
{
    struct bpe *b = make_bpe(plain_merges, SPLIT_DALLE), *c = make_bpe(strange_merges, SPLIT_DALLE);
    struct bpe_scratch *s, *fresh;
    char text[200];
    uint16_t one[200], two[200];
    int n, m;

    (void)state;
    memset(text, 'b', sizeof text);
    memcpy(text, "abcab bcabc ", 12);
    assert_int_equal(bpe_scratch_create(&s), 0);
    for (int i = 0; i < 6; i++) {
        const struct bpe *which = i % 2 ? b : c;

        assert_int_equal(bpe_scratch_create(&fresh), 0);
        assert_int_equal(bpe_encode(which, s, text, sizeof text, one, 200, &n), 0);
        assert_int_equal(bpe_encode(which, fresh, text, sizeof text, two, 200, &m), 0);
        assert_int_equal(n, m);
        assert_memory_equal(one, two, (size_t)n * sizeof *one);
        bpe_scratch_free(fresh);
    }
    bpe_scratch_free(s);
    bpe_free(b);
    bpe_free(c);
}

static void write_file(const struct bpe *b, const char *path)
{
    struct out out;

    assert_int_equal(out_open(&out, path, false), 0);
    assert_int_equal(bpe_write(b, &out), 0);
    assert_int_equal(out_commit(&out), 0);
}

static void files_give_the_same_vocabulary_back(void **state)
{
    const char *path = "tokenizer-unit.json";
    char folder[] = "/tmp/bpe-unit-XXXXXX", first[DIGEST_TEXT], second[DIGEST_TEXT];

    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    for (int split = 0; split < SPLIT_COUNT; split++) {
        struct bpe *b = make_bpe(strange_merges, (enum split)split), *c;

        write_file(b, path);
        assert_int_equal(bpe_load(&c, path), 0);
        digest_show(bpe_digest(b), first);
        digest_show(bpe_digest(c), second);
        assert_string_equal(first, second);
        assert_string_equal(bpe_split_name(c), split_name[split]);
        assert_int_equal(c->merges, b->merges);
        assert_memory_equal(c->merge, b->merge, b->merges * sizeof *b->merge);
        if (split == SPLIT_DALLE) /* by the description in formats/tokenizer.md, computed in Python */
            assert_string_equal(first, "d7fd16d16519b6bf745e5bd015339c963683e46175f9598fb32dbd0392dda127");
        bpe_free(b);
        bpe_free(c);
    }
    unlink(path);
    assert_int_equal(chdir("/"), 0);
    rmdir(folder);
}

static double cpu_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A long word must not take quadratic time: 16 times the text, and no more than 100 times the time. */
static void time_is_linear(void **state)
{
    static const char *const texts[] = {"a", "abc", "abcabcaabbaac"};
    struct bpe *b = make_bpe(plain_merges, SPLIT_DALLE);
    struct bpe_scratch *s;
    size_t large = 1 << 20, small = large / 16;
    char *text = malloc(large);

    (void)state;
    assert_int_equal(bpe_scratch_create(&s), 0);
    for (int k = 0; k < 3; k++)
        for (double p = 0; p < 0.2; p += 0.1) {
            size_t period = strlen(texts[k]);
            double start, less, more;
            uint16_t ids[1];
            int count;

            for (size_t i = 0; i < large; i++)
                text[i] = texts[k][i % period];
            for (int again = 0; again < 2; again++) { /* the first time touches new memory */
                start = cpu_s();
                assert_int_equal(bpe_encode_dropout(b, s, text, small, ids, 1, &count, p, (struct rng){1, RNG_DROPOUT}, 0), 0);
                less = cpu_s() - start;
            }
            start = cpu_s();
            assert_int_equal(bpe_encode_dropout(b, s, text, large, ids, 1, &count, p, (struct rng){1, RNG_DROPOUT}, 0), 0);
            more = cpu_s() - start;
            assert_true(more < 100 * less + 0.05);
            assert_true(count > 1 && (size_t)count <= large);
        }
    free(text);
    bpe_scratch_free(s);
    bpe_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alphabet_is_a_bijection),
        cmocka_unit_test(merging_is_the_plain_definition),
        cmocka_unit_test(dropout_draws_the_same_by_each_method),
        cmocka_unit_test(dropout_has_its_rate),
        cmocka_unit_test(decoding_gives_the_normalised_text),
        cmocka_unit_test(counts_go_on_past_the_room),
        cmocka_unit_test(a_scratch_may_change_owners),
        cmocka_unit_test(files_give_the_same_vocabulary_back),
        cmocka_unit_test(time_is_linear),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

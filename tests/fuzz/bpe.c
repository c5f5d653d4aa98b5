/* SPDX-License-Identifier: MIT */
/* First byte even: a tokenizer.json, a NUL, and a text.  Odd: a text to learn from and to encode; the byte says how.
 * What was encoded decodes to the normalised text, by each way of merging and with dropout. */
#include <stdlib.h>
#include <string.h>

#include "text/bpe.h"
#include "text/bpe_train.h"
#include "text/normalise.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { IDS = 1 << 16 };

static void require(bool right)
{
    if (!right)
        __builtin_trap();
}

static void decodes_to(const struct bpe *b, struct bpe_scratch *s, const uint16_t *ids, int count, const char *want,
                       size_t size)
{
    const char *text;
    size_t got;

    require(bpe_decode(b, s, ids, count, &text, &got) == 0);
    require(got == size && memcmp(text, want, size) == 0);
}

static void round_trip(const struct bpe *b, const char *text, size_t size)
{
    static uint16_t ids[IDS];
    struct rng random = {1, RNG_DROPOUT};
    struct bpe_scratch *s;
    int count, again;

    require(bpe_scratch_create(&s) == 0);
    require(bpe_tokens(b, s, text, size, ids, IDS, &count, 0, random, 0) == 0 && count <= (int)size);
    if (count <= IDS)
        decodes_to(b, s, ids, count, text, size);
    require(bpe_tokens(b, s, text, size, ids, IDS, &again, 0.4, random, 0) == 0);
    if (again <= IDS)
        decodes_to(b, s, ids, again, text, size);
    require(bpe_tokens(b, s, text, size, ids, 3, &again, 0, random, 0) == 0 && again == count);
    if (bpe_encode(b, s, text, size, ids, IDS, &count) == 0 && count <= IDS) {
        const char *back;
        size_t got;

        require(utf8_valid(text, size) == size);
        require(bpe_decode(b, s, ids, count, &back, &got) == 0 && utf8_valid(back, got) == got);
    }
    bpe_scratch_free(s);
}

static void learn(uint8_t how, const char *text, size_t size)
{
    struct bpe_train_options o = {256u + (how >> 3) * 4, how & 4 ? 1 : 2, 0, 1 + size % 50, NULL, NULL};
    struct word_runs runs = {.kind = {how & 2 ? SPLIT_GPT2 : SPLIT_DALLE, 0}};
    struct words_in *run;
    struct words words;
    struct bpe *b;

    require(words_init(&words, 1 << 16) == 0);
    for (size_t at = 0, end; at < size; at = end) {
        end = split_next(runs.kind.split, text, size, at);
        require(end > at && end <= size);
        if (words_add(&words, text + at, end - at, 1) == 0)
            continue;
        require(word_run_write(&run, &words, runs.kind) == 0 && word_runs_add(&runs, run) == 0);
        if (words_add(&words, text + at, end - at, 1) != 0)
            require(word_run_write_word(&run, (struct word){text + at, end - at, 1}, runs.kind) == 0 && word_runs_add(&runs, run) == 0);
    }
    require(word_run_write(&run, &words, runs.kind) == 0 && word_runs_add(&runs, run) == 0);
    require(bpe_train(&b, &runs, &o) == 0);
    round_trip(b, text, size);
    bpe_free(b);
    word_runs_fini(&runs);
    words_fini(&words);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const char *text = (const char *)bytes + 1;
    struct bpe *b;

    if (size == 0)
        return 0;
    size--;
    if (*bytes & 1) {
        learn(*bytes, text, size);
    } else {
        const char *end = size ? memchr(text, 0, size) : NULL;
        size_t json = end ? (size_t)(end - text) : size;

        if (bpe_parse(&b, "fuzz", text, json) == 0)
            round_trip(b, end ? end + 1 : text, end ? size - json - 1 : json);
        bpe_free(b);
    }
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* words.c -- any bytes as a file of words: refused, or written again it is the same words, in order. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/word_runs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static int open_bytes(struct words_in **in, const void *data, size_t size)
{
    FILE *f = tmpfile();

    require(f && fwrite(data, 1, size, f) == size && fflush(f) == 0);
    rewind(f);
    return words_in_open(in, "fuzz", f);
}

/* The words of data as a file, in *again (owned by the caller); false: refused. */
static bool written_again(char **again, size_t *again_size, const void *data, size_t size)
{
    struct word_runs runs = {0};
    struct out out = {0};
    struct words_in *in;
    bool ok = false;

    *again = NULL;
    if (open_bytes(&in, data, size) != 0)
        return false;
    runs.kind = in->kind;
    require(word_runs_add(&runs, in) == 0);
    require((out.file = open_memstream(again, again_size)));
    ok = word_runs_write(&runs, &out) == 0;
    fclose(out.file);
    word_runs_fini(&runs);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *once = NULL, *twice = NULL;
    size_t once_size, twice_size;

    if (written_again(&once, &once_size, data, size)) { /* escapes may be written in more than one way, by others */
        require(written_again(&twice, &twice_size, once, once_size));
        require(once_size == twice_size && memcmp(once, twice, once_size) == 0);
    }
    free(once);
    free(twice);
    return 0;
}

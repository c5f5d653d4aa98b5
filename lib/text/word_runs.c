/* SPDX-License-Identifier: MIT */
#include "text/word_runs.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "text/normalise.h"

void word_runs_fini(struct word_runs *r)
{
    for (int i = 0; i < r->count; i++)
        words_in_close(r->run[i].in);
    free(r->text);
    *r = (struct word_runs){0};
}

/* ---- runs of our own ------------------------------------------------------------------------------------------------ */

/* A file without a name; out->path is the folder, for messages. */
static int temporary(struct out *out)
{
    const char *folder = getenv("TMPDIR");
    char *path;
    int fd;

    *out = (struct out){.path = strdup(folder && *folder ? folder : "/tmp")};
    path = out->path ? text_printf("%s/armchair-words.XXXXXX", out->path) : NULL;
    if (!path) {
        out_abort(out);
        return err_set(ERR_NOMEM, "no memory");
    }
    fd = mkstemp(path);
    if (fd >= 0)
        unlink(path);
    free(path);
    if (fd >= 0 && (out->file = fdopen(fd, "w+b")))
        return 0;
    err_errno(ERR_IO, "%s: cannot create a file", out->path);
    if (fd >= 0)
        close(fd);
    out_abort(out);
    return ERR_IO;
}

/* Read again what was written; out is gone afterwards. */
static int reopen(struct words_in **run, struct out *out)
{
    FILE *file = out->file;
    int rc;

    if (fflush(file) != 0 || fseek(file, 0, SEEK_SET) != 0)
        rc = err_errno(ERR_IO, "%s: cannot write", out->path);
    else {
        out->file = NULL;
        rc = words_in_open(run, out->path, file);
    }
    out_abort(out);
    return rc;
}

int word_run_write(struct words_in **run, struct words *words, struct words_kind kind)
{
    struct words_out w = {0};
    struct out out;
    int rc;

    *run = NULL;
    if ((rc = temporary(&out)) != 0)
        return rc;
    words_sort(words);
    rc = words_out_start(&w, &out, kind);
    for (uint32_t n = 0; n < words->count && rc == 0; n++)
        rc = words_put(&w, words_at(words, n));
    if (rc == 0 && (rc = words_out_end(&w, 0)) == 0)
        rc = reopen(run, &out);
    words_out_fini(&w);
    out_abort(&out);
    words_clear(words);
    return rc;
}

int word_run_write_word(struct words_in **run, struct word word, struct words_kind kind)
{
    struct words_out w = {0};
    struct out out;
    int rc;

    *run = NULL;
    if ((rc = temporary(&out)) != 0)
        return rc;
    if ((rc = words_out_start(&w, &out, kind)) == 0 && (rc = words_put(&w, word)) == 0 && (rc = words_out_end(&w, 0)) == 0)
        rc = reopen(run, &out);
    words_out_fini(&w);
    out_abort(&out);
    return rc;
}

/* All runs as one. */
static int merge_all(struct word_runs *r)
{
    uint64_t captions = r->captions; /* those of the runs come back when the new one is read */
    struct out out;
    int rc;

    if ((rc = temporary(&out)) != 0)
        return rc;
    r->captions = 0;
    if ((rc = word_runs_write(r, &out)) == 0 && (rc = reopen(&r->run[0].in, &out)) == 0)
        r->count = 1;
    r->captions = captions;
    r->reading = false;
    out_abort(&out);
    return rc;
}

/* ---- many as one ---------------------------------------------------------------------------------------------------- */

int word_runs_add(struct word_runs *r, struct words_in *run)
{
    int rc;

    if (run->kind.split != r->kind.split || run->kind.how != r->kind.how)
        rc = err_set(ERR_MISMATCH, "%s: words of split rule %s%s%s, the others are of %s%s%s", run->name,
                     split_name[run->kind.split], run->kind.how & NORMALISE_NFC ? " nfc" : "",
                     run->kind.how & NORMALISE_LOWER ? " lower" : "", split_name[r->kind.split],
                     r->kind.how & NORMALISE_NFC ? " nfc" : "", r->kind.how & NORMALISE_LOWER ? " lower" : "");
    else
        rc = r->count == WORD_RUNS_MAX ? merge_all(r) : 0;
    if (rc == 0)
        r->run[r->count++] = (struct word_run){.in = run};
    else
        words_in_close(run);
    return rc;
}

int word_runs_add_file(struct word_runs *r, const char *path, bool adopt)
{
    struct words_in *run;
    int rc = words_in_open(&run, path, NULL);

    if (rc != 0)
        return rc;
    if (adopt)
        r->kind = run->kind;
    return word_runs_add(r, run);
}

static void sift(struct word_runs *r, int i)
{
    struct word_run moved = r->run[i];
    int child;

    for (; (child = 2 * i + 1) < r->count; i = child) {
        if (child + 1 < r->count && word_order(&r->run[child + 1].head, &r->run[child].head) < 0)
            child++;
        if (word_order(&r->run[child].head, &moved.head) >= 0)
            break;
        r->run[i] = r->run[child];
    }
    r->run[i] = moved;
}

/* The next word of run i, or the run goes and another takes its place.  1: there is a run i. */
static int advance(struct word_runs *r, int i)
{
    struct words_in *in = r->run[i].in;
    int rc = words_next(in, &r->run[i].head);

    if (rc != 0)
        return rc;
    r->captions += in->captions;
    words_in_close(in);
    r->run[i] = r->run[--r->count];
    return i < r->count;
}

static int begin(struct word_runs *r)
{
    int rc;

    r->reading = true;
    for (int i = 0, n = r->count; i < n; n = r->count) { /* a run that is empty is replaced by the last one */
        if ((rc = advance(r, i)) < 0)
            return rc;
        i += r->count == n;
    }
    for (int i = r->count / 2; i-- > 0;)
        sift(r, i);
    return 0;
}

static int keep_text(struct word_runs *r, struct word *word)
{
    if (word->size > r->text_room) {
        char *text = realloc(r->text, 2 * word->size);

        if (!text)
            return err_set(ERR_NOMEM, "no memory for a word of %zu bytes", word->size);
        r->text = text;
        r->text_room = 2 * word->size;
    }
    memcpy(r->text, word->text, word->size);
    word->text = r->text;
    return 0;
}

int word_runs_next(struct word_runs *r, struct word *word)
{
    uint64_t count = 0;
    int rc;

    if (!r->reading && (rc = begin(r)) != 0)
        return rc;
    if (r->count == 0)
        return 0;
    *word = r->run[0].head;
    if ((rc = keep_text(r, word)) != 0)
        return rc;
    while (r->count > 0 && word_order(&r->run[0].head, word) == 0) {
        if (r->run[0].head.count > UINT64_MAX - count)
            return err_set(ERR_LIMIT, "a word occurs 2^64 times");
        count += r->run[0].head.count;
        if ((rc = advance(r, 0)) < 0)
            return rc;
        if (r->count > 0)
            sift(r, 0);
    }
    word->count = count;
    return 1;
}

int word_runs_write(struct word_runs *r, struct out *out)
{
    struct words_out w = {0};
    struct word word;
    int rc;

    if ((rc = words_out_start(&w, out, r->kind)) != 0)
        goto out;
    while ((rc = word_runs_next(r, &word)) > 0)
        if ((rc = words_put(&w, word)) != 0)
            goto out;
    if (rc == 0)
        rc = words_out_end(&w, r->captions);
out:
    words_out_fini(&w);
    return rc;
}

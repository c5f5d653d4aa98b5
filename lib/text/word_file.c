/* SPDX-License-Identifier: MIT */
#include "text/word_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <libdeflate.h>

#include "text/escape.h"
#include "text/normalise.h"

enum { BLOCK = 1 << 16, NUMBER_MAX = 24, LINE_MAX_BYTES = ESCAPE_GROWTH * NORMALISE_MAX + NUMBER_MAX };

static const char magic[] = "armchair words ";

/* ---- writing ------------------------------------------------------------------------------------------------------- */

static int flush(struct words_out *w)
{
    int rc = out_write(w->out, w->buffer, w->used);

    w->crc = libdeflate_crc32(w->crc, w->buffer, w->used);
    w->used = 0;
    return rc;
}

/* Room for size more bytes in the buffer. */
static int make_room(struct words_out *w, size_t size)
{
    char *buffer;
    int rc;

    if (w->used + size <= w->room)
        return 0;
    if ((rc = flush(w)) != 0 || size <= w->room)
        return rc;
    if (!(buffer = realloc(w->buffer, size)))
        return err_set(ERR_NOMEM, "no memory for a line of %zu bytes", size);
    w->buffer = buffer;
    w->room = size;
    return 0;
}

int words_out_start(struct words_out *w, struct out *out, struct words_kind kind)
{
    int rc;

    *w = (struct words_out){.out = out};
    if ((rc = make_room(w, BLOCK)) != 0)
        return rc;
    w->used = (size_t)snprintf(w->buffer, w->room, "%s1 %s%s%s\n", magic, split_name[kind.split],
                               kind.how & NORMALISE_NFC ? " nfc" : "", kind.how & NORMALISE_LOWER ? " lower" : "");
    return 0;
}

int words_put(struct words_out *w, struct word word)
{
    char digits[NUMBER_MAX];
    size_t n = sizeof digits;
    uint64_t count = word.count;
    int rc;

    if ((rc = make_room(w, ESCAPE_GROWTH * word.size + NUMBER_MAX)) != 0)
        return rc;
    digits[--n] = '\t';
    do
        digits[--n] = (char)('0' + count % 10);
    while ((count /= 10) > 0);
    memcpy(w->buffer + w->used, digits + n, sizeof digits - n);
    w->used += sizeof digits - n;
    w->used += escape_put(w->buffer + w->used, word.text, word.size);
    w->buffer[w->used++] = '\n';
    w->count++;
    return 0;
}

int words_out_end(struct words_out *w, uint64_t captions)
{
    int rc = flush(w);

    if (rc == 0) {
        w->used = (size_t)snprintf(w->buffer, w->room, "end\t%" PRIu64 "\t%" PRIu64 "\t%08" PRIx32 "\n", w->count, captions,
                                   w->crc);
        rc = flush(w);
    }
    words_out_fini(w);
    return rc;
}

void words_out_fini(struct words_out *w)
{
    free(w->buffer);
    *w = (struct words_out){0};
}

/* ---- reading ------------------------------------------------------------------------------------------------------- */

static int bad(const struct words_in *w, int code, const char *what)
{
    return err_set(code, "%s: line %" PRIu64 ": %s", w->name, w->line, what);
}

/* More bytes behind those that are there.  1: some; 0: the end of the file. */
static int fill(struct words_in *w)
{
    int64_t got;

    if (w->start > 0) {
        memmove(w->buffer, w->buffer + w->start, w->end - w->start);
        w->end -= w->start;
        w->start = 0;
    }
    if (w->room - w->end < BLOCK / 2) {
        size_t room = w->room ? 2 * w->room : BLOCK;
        char *buffer = realloc(w->buffer, room);

        if (!buffer)
            return err_set(ERR_NOMEM, "%s: no memory for a line of %zu bytes", w->name, room);
        w->buffer = buffer;
        w->room = room;
    }
    if ((got = in_read(&w->in, w->buffer + w->end, w->room - w->end)) < 0)
        return (int)got;
    w->end += (size_t)got;
    return got > 0;
}

/* A line without its newline, followed by a NUL.  A file always ends with an end line, so there is one more. */
static int take_line(struct words_in *w, char **line, size_t *size)
{
    size_t seen = 0;
    char *newline;
    int rc;

    w->line++;
    while (!(newline = w->end - w->start > seen ? memchr(w->buffer + w->start + seen, '\n', w->end - w->start - seen) : NULL)) {
        seen = w->end - w->start;
        if (seen > LINE_MAX_BYTES)
            return bad(w, ERR_LIMIT, "too long");
        if ((rc = fill(w)) < 0)
            return rc;
        if (rc == 0)
            return bad(w, ERR_TRUNCATED, "the file is cut off: no end line");
    }
    *line = w->buffer + w->start;
    *size = (size_t)(newline - *line);
    *newline = 0;
    w->start += *size + 1;
    return 0;
}

static void add_crc(struct words_in *w, const char *line, size_t size)
{
    w->crc = size ? libdeflate_crc32(w->crc, line, size) : w->crc;
    w->crc = libdeflate_crc32(w->crc, "\n", 1);
}

/* Is text at *at?  Then *at moves behind it. */
static bool take(const char **at, const char *text)
{
    size_t n = strlen(text);

    if (strncmp(*at, text, n) != 0)
        return false;
    *at += n;
    return true;
}

static int read_head(struct words_in *w)
{
    const char *at;
    char *line;
    size_t size, n;
    int rc;

    if ((rc = fill(w)) < 0)
        return rc;
    if (w->end < sizeof magic - 1 || memcmp(w->buffer, magic, sizeof magic - 1) != 0)
        return err_set(ERR_FORMAT, "%s: not a file of words", w->name);
    if ((rc = take_line(w, &line, &size)) != 0)
        return rc;
    add_crc(w, line, size);
    at = line + sizeof magic - 1;
    n = strcspn(at, " ");
    if (n != 1 || *at != '1')
        return err_set(ERR_UNSUPPORTED, "%s: not supported: version %.*s", w->name, n > 20 ? 20 : (int)n, at);
    at += n + (at[n] == ' ');
    n = strcspn(at, " ");
    for (int i = 0; i < SPLIT_COUNT; i++)
        if (strlen(split_name[i]) == n && memcmp(split_name[i], at, n) == 0) {
            w->kind.split = (enum split)i;
            at += n;
            w->kind.how = (take(&at, " nfc") ? NORMALISE_NFC : 0) | (take(&at, " lower") ? NORMALISE_LOWER : 0);
            return at == line + size ? 0 : bad(w, ERR_FORMAT, "not split rule and normal form");
        }
    return bad(w, ERR_FORMAT, "not split rule and normal form");
}

int words_in_open(struct words_in **to, const char *path, FILE *file)
{
    struct words_in *w = calloc(1, sizeof *w);
    int rc;

    *to = NULL;
    if (!w || !(w->name = strdup(path))) {
        if (file)
            fclose(file);
        words_in_close(w);
        return err_set(ERR_NOMEM, "%s: no memory", path);
    }
    w->in = (struct in){file, w->name};
    if ((!file && (rc = in_open(&w->in, w->name)) != 0) || (rc = read_head(w)) != 0) {
        words_in_close(w);
        return rc;
    }
    *to = w;
    return 0;
}

void words_in_close(struct words_in *w)
{
    if (!w)
        return;
    in_close(&w->in);
    free(w->name);
    free(w->buffer);
    free(w->last_text);
    free(w);
}

/* A number without leading zeros that a character ends; NULL: there is none. */
static const char *read_number(const char *at, uint64_t *number, char end)
{
    const char *start = at;

    for (*number = 0; *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');

        if (*number > (UINT64_MAX - digit) / 10)
            return NULL;
        *number = *number * 10 + digit;
    }
    return at > start && (*start != '0' || at == start + 1) && *at == end ? at + 1 : NULL;
}

static int read_end(struct words_in *w, const char *line, size_t size)
{
    const char *at = read_number(line + 4, &(uint64_t){0}, '\t');
    char want[3 * NUMBER_MAX];
    int rc;

    if (!at || !(at = read_number(at, &w->captions, '\t')))
        return bad(w, ERR_FORMAT, "not an end line");
    snprintf(want, sizeof want, "end\t%" PRIu64 "\t%" PRIu64 "\t%08" PRIx32, w->count, w->captions, w->crc);
    if (strlen(line) != size || strcmp(line, want) != 0)
        return bad(w, ERR_FORMAT, "the number of words or the checksum is wrong");
    if (w->start < w->end || (rc = fill(w)) > 0)
        return bad(w, ERR_FORMAT, "bytes behind the end line");
    return rc;
}

static int keep_last(struct words_in *w, const struct word *word)
{
    if (word->size > w->last_room) {
        char *text = realloc(w->last_text, 2 * word->size);

        if (!text)
            return err_set(ERR_NOMEM, "%s: no memory for a word of %zu bytes", w->name, word->size);
        w->last_text = text;
        w->last_room = 2 * word->size;
    }
    memcpy(w->last_text, word->text, word->size);
    w->last = (struct word){w->last_text, word->size, word->count};
    return 0;
}

int words_next(struct words_in *w, struct word *word)
{
    const char *text;
    char *line;
    size_t size;
    int rc;

    if ((rc = take_line(w, &line, &size)) != 0)
        return rc;
    if (size >= 4 && memcmp(line, "end\t", 4) == 0)
        return read_end(w, line, size);
    add_crc(w, line, size);
    if (!(text = read_number(line, &word->count, '\t')) || word->count == 0)
        return bad(w, ERR_FORMAT, "not a count, a tab, and a word");
    word->text = text;
    word->size = size - (size_t)(text - line);
    if (memchr(text, '\\', word->size) && escape_read((char *)text, &word->size) != 0)
        return bad(w, ERR_FORMAT, err_text());
    if (word->size == 0 || word->size > NORMALISE_MAX)
        return bad(w, ERR_FORMAT, "a word without bytes, or of more than 16777216");
    if (w->count++ > 0 && word_order(&w->last, word) >= 0)
        return bad(w, ERR_FORMAT, "not behind the word before it");
    return (rc = keep_last(w, word)) ? rc : 1;
}

/* SPDX-License-Identifier: MIT */
/* normalise.c -- ASCII is copied and lowered at once.  Other text goes through code points: decomposed, marks sorted,
 * composed by utf8proc.  Marks are sorted here, since utf8proc's own way takes quadratic time on a long row of them. */
#include "text/normalise.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

enum {
    FIRST_MARK = 0x300, /* below it every text is NFC */
    POINT_GROWTH = 4    /* code points in the canonical decomposition of one, at most */
};

size_t utf8_valid(const char *text, size_t size)
{
    const uint8_t *p = (const uint8_t *)text;
    size_t i = 0;

    while (i < size) {
        utf8proc_int32_t point;
        utf8proc_ssize_t n;

        if (p[i] < 0x80) {
            i++;
            continue;
        }
        if ((n = utf8proc_iterate(p + i, (utf8proc_ssize_t)(size - i), &point)) <= 0)
            return i;
        i += (size_t)n;
    }
    return size;
}

int normalised_room(struct normalised *n, size_t size)
{
    size_t room = n->room ? n->room : 1024;
    char *text;

    if (size > NORMALISE_MAX)
        return err_set(ERR_LIMIT, "a text of more than %u bytes", NORMALISE_MAX);
    while (room < size + 1)
        room *= 2;
    if (room == n->room)
        return 0;
    if (!(text = realloc(n->text, room)))
        return err_set(ERR_NOMEM, "no memory for a text of %zu bytes", size);
    n->text = text;
    n->room = room;
    return 0;
}

static int point_room(struct normalised *n, size_t count)
{
    size_t room = n->point_room ? n->point_room : 1024;
    int32_t *point;

    while (room < count)
        room *= 2;
    if (room == n->point_room)
        return 0;
    if (!(point = realloc(n->point, room * sizeof *point)))
        return err_set(ERR_NOMEM, "no memory for %zu characters", count);
    n->point = point;
    n->point_room = room;
    return 0;
}

/* Copy as far as the text is ASCII; the number of bytes done. */
static size_t copy_ascii(char *to, const char *text, size_t size, bool lower)
{
    size_t i = 0;

    while (i < size) {
        size_t end = i + 16 < size ? i + 16 : size;
        unsigned char high = 0;

        for (size_t j = i; j < end; j++)
            high |= (unsigned char)text[j];
        if (high & 0x80)
            break;
        for (size_t j = i; j < end; j++)
            to[j] = (char)(text[j] + (lower && text[j] >= 'A' && text[j] <= 'Z' ? 'a' - 'A' : 0));
        i = end;
    }
    return i;
}

/* Code points of the text; *simple: none of them needs NFC.  Their number, or ERR_FORMAT. */
static int64_t read_points(struct normalised *n, const char *text, size_t size, bool *simple)
{
    const uint8_t *p = (const uint8_t *)text;
    size_t count = 0, i = 0;

    *simple = true;
    while (i < size) {
        utf8proc_int32_t point;
        utf8proc_ssize_t used = utf8proc_iterate(p + i, (utf8proc_ssize_t)(size - i), &point);

        if (used <= 0)
            return ERR_FORMAT;
        n->point[count++] = point;
        *simple = *simple && point < FIRST_MARK;
        i += (size_t)used;
    }
    return (int64_t)count;
}

/* Decompose n->point[0..count) into room behind it and move the result to the front; the new count or an error. */
static int64_t decompose(struct normalised *n, int64_t count)
{
    int64_t total = 0;
    int32_t *to;
    int rc;

    if ((rc = point_room(n, (size_t)count * (POINT_GROWTH + 1))) != 0)
        return rc;
    to = n->point + count;
    for (int64_t i = 0; i < count; i++) {
        int last = 0;
        utf8proc_ssize_t made = utf8proc_decompose_char(n->point[i], to + total, count * POINT_GROWTH - total,
                                                        UTF8PROC_DECOMPOSE | UTF8PROC_STABLE, &last);

        if (made < 0 || made > POINT_GROWTH)
            return err_set(ERR_FORMAT, "U+%04X cannot be decomposed", (unsigned)n->point[i]);
        total += made;
    }
    memmove(n->point, to, (size_t)total * sizeof *to);
    return total;
}

static int class_of(int32_t point)
{
    return point < FIRST_MARK ? 0 : utf8proc_get_property(point)->combining_class;
}

/* A stable counting sort of marks by class: rows of marks may be as long as the text. */
static int sort_marks(int32_t *mark, int64_t count)
{
    int64_t start[257] = {0};
    int32_t *copy;

    if (count < 2)
        return 0;
    if (!(copy = malloc((size_t)count * sizeof *copy)))
        return err_set(ERR_NOMEM, "no memory for %lld marks", (long long)count);
    for (int64_t i = 0; i < count; i++)
        start[class_of(mark[i]) + 1]++;
    for (int c = 0; c < 256; c++)
        start[c + 1] += start[c];
    for (int64_t i = 0; i < count; i++)
        copy[start[class_of(mark[i])]++] = mark[i];
    memcpy(mark, copy, (size_t)count * sizeof *copy);
    free(copy);
    return 0;
}

static int64_t compose(struct normalised *n, int64_t count)
{
    int64_t from = 0;
    int rc;

    if ((count = decompose(n, count)) < 0)
        return count;
    for (int64_t i = 0; i <= count; i++) { /* point[from..i) is a row of marks */
        bool sorted = true;

        if (i < count && class_of(n->point[i]) != 0)
            continue;
        for (int64_t j = from + 1; j < i; j++)
            sorted = sorted && class_of(n->point[j - 1]) <= class_of(n->point[j]);
        if (!sorted && (rc = sort_marks(n->point + from, i - from)) != 0)
            return rc;
        from = i + 1;
    }
    count = utf8proc_normalize_utf32(n->point, count, UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    return count >= 0 ? count : err_set(ERR_FORMAT, "cannot be composed");
}

/* Behind the n->size bytes that are done. */
static int write_points(struct normalised *n, int64_t count, bool lower)
{
    int rc;

    for (int64_t i = 0; i < count; i++) {
        int32_t point = n->point[i];

        if ((rc = normalised_room(n, n->size + 8)) != 0)
            return rc;
        if (lower && point == 0x130) { /* utf8proc has the simple mapping only */
            n->text[n->size++] = 'i';
            point = 0x307;
        } else if (lower) {
            point = utf8proc_tolower(point);
        }
        n->size += (size_t)utf8proc_encode_char(point, (utf8proc_uint8_t *)n->text + n->size);
    }
    return 0;
}

int normalise(struct normalised *n, const char *text, size_t size, int how)
{
    bool lower = how & NORMALISE_LOWER, simple;
    size_t done;
    int64_t count;
    int rc;

    n->size = 0;
    if ((rc = normalised_room(n, size)) != 0)
        return rc;
    done = copy_ascii(n->text, text, size, lower);
    if (done < size) {
        if (done > 0) /* a mark may follow the last letter */
            done--;
        if ((rc = point_room(n, size - done)) != 0)
            return rc;
        if ((count = read_points(n, text + done, size - done, &simple)) < 0)
            return err_set((int)count, "not UTF-8 at byte %zu", utf8_valid(text, size));
        if ((how & NORMALISE_NFC) && !simple && (count = compose(n, count)) < 0)
            return (int)count;
        n->size = done;
        if ((rc = write_points(n, count, lower)) != 0) {
            n->size = 0;
            return rc;
        }
    } else {
        n->size = size;
    }
    n->text[n->size] = 0;
    return 0;
}

void normalised_fini(struct normalised *n)
{
    free(n->text);
    free(n->point);
    *n = (struct normalised){0};
}

/* SPDX-License-Identifier: MIT */
#include "base/lines.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int lines_open(struct lines *l, const char *path, size_t max)
{
    *l = (struct lines){.max = max};
    if (!(l->text = malloc(max + 2))) /* a return and a NUL more */
        return err_set(ERR_NOMEM, "no memory for lines of %zu bytes", max);
    return in_open(&l->in, path);
}

void lines_close(struct lines *l)
{
    in_close(&l->in);
    free(l->text);
    l->text = NULL;
}

int lines_next(struct lines *l)
{
    int c;

    l->size = 0;
    l->number++;
    while ((c = getc_unlocked(l->in.file)) != EOF && c != '\n') {
        if (c == 0)
            return err_set(ERR_FORMAT, "%s: line %" PRId64 ": holds a NUL", l->in.name, l->number);
        if (l->size > l->max)
            break;
        l->text[l->size++] = (char)c;
    }
    if (c == EOF && ferror(l->in.file))
        return err_errno(ERR_IO, "%s: cannot read", l->in.name);
    if (c == EOF && l->size == 0)
        return 0;
    if (l->size > 0 && l->text[l->size - 1] == '\r')
        l->size--;
    if (l->size > l->max)
        return err_set(ERR_LIMIT, "%s: line %" PRId64 ": longer than %zu bytes", l->in.name, l->number, l->max);
    l->text[l->size] = 0;
    if (l->number == 1 && strncmp(l->text, "\xef\xbb\xbf", 3) == 0)
        memmove(l->text, l->text + 3, (l->size -= 3) + 1);
    return 1;
}

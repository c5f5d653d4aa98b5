/* SPDX-License-Identifier: MIT */
/* pairs_extra.c -- members that only go along with a pair.  They lie in one buffer, so that its size bounds them all. */
#include <stdlib.h>
#include <string.h>

#include "format/pairs_in.h"

static int append(struct pairs_bytes *to, const void *bytes, size_t size)
{
    int rc = pairs_bytes_room(to, to->size + size + 1);

    if (rc != 0)
        return rc;
    if (size > 0)
        memcpy(to->at + to->size, bytes, size);
    to->size += size;
    to->at[to->size++] = 0; /* extensions end with it */
    return 0;
}

int pairs_extras_keep(struct pairs_extras *e, const char *ext, const struct pairs_bytes *bytes, const char **why)
{
    int i = e->count, rc;

    *why = NULL;
    if (i == 0)
        e->all.size = 0;
    if (i == PAIRS_EXTRAS_MAX)
        *why = "more than 64 other members of the same key";
    else if (bytes->size > PAIRS_MEMBER_MAX - (e->all.size < PAIRS_MEMBER_MAX ? e->all.size : PAIRS_MEMBER_MAX))
        *why = "more than 256 MiB of other members of the same key";
    if (*why)
        return 0;
    e->slot[i].ext_at = e->all.size;
    if ((rc = append(&e->all, ext, strlen(ext))) != 0)
        return rc;
    e->slot[i].at = e->all.size;
    e->slot[i].size = bytes->size;
    if ((rc = append(&e->all, bytes->at, bytes->size)) != 0)
        return rc;
    e->count++;
    return 0;
}

const struct pair_member *pairs_extras_list(struct pairs_extras *e)
{
    for (int i = 0; i < e->count; i++)
        e->list[i] = (struct pair_member){(const char *)e->all.at + e->slot[i].ext_at, e->all.at + e->slot[i].at,
                                          e->slot[i].size};
    return e->list;
}

void pairs_extras_fini(struct pairs_extras *e)
{
    free(e->all.at);
    free(e->member.at);
}

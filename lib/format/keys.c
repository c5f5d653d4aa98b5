/* SPDX-License-Identifier: MIT */
#include "format/keys.h"

#include <inttypes.h>
#include <string.h>

#include "base/lines.h"
#include "format/pairs_in.h"

int keys_read(struct seen *to, const char *path)
{
    struct lines l;
    int rc = lines_open(&l, path, KEYS_LINE_MAX);

    while (rc == 0 && (rc = lines_next(&l)) > 0) {
        size_t size = strcspn(l.text, "\t");

        if (!pairs_is_utf8((const uint8_t *)l.text, size))
            rc = err_set(ERR_FORMAT, "%s: line %" PRId64 ": not UTF-8", path, l.number);
        else
            rc = size ? seen_add(to, l.text, size) : 0;
    }
    lines_close(&l);
    return rc;
}

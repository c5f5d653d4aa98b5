/* SPDX-License-Identifier: MIT */
/* keys.h -- a list of keys that some program chose: one a line, what follows a tab is not looked at.
 *
 * Memory   of the set (base/seen.h), whatever the keys' length
 * Errors   ERR_FORMAT not UTF-8, so that no record can have it; ERR_LIMIT a line of more than KEYS_LINE_MAX bytes: with file
 *          and line; ERR_IO; ERR_NOMEM
 */
#ifndef FORMAT_KEYS_H
#define FORMAT_KEYS_H

#include "base/seen.h"

#define KEYS_LINE_MAX (1 << 16)

/* Add the keys of a file; "-": stdin. */
must_check int keys_read(struct seen *to, const char *path);

#endif

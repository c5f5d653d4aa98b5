/* SPDX-License-Identifier: MIT */
/* load.h -- backends in shared objects of their own, loaded when a device of theirs is asked for.
 *
 * libarmchair_NAME.so is looked for beside the running program, then in ../lib/armchair from there (`make install` and the
 * bundle put it there).  The environment variable ARMCHAIR_NAME, in capitals, names another file.  What is loaded stays.
 *
 * Errors   ERR_UNSUPPORTED there is none, it cannot be loaded, or it belongs to another version; each with the reason
 */
#ifndef COMPUTE_LOAD_H
#define COMPUTE_LOAD_H

#include "base/err.h"

struct backend;

must_check int backend_load(const struct backend **ops, const char *name);

#endif

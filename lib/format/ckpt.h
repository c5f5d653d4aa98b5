/* SPDX-License-Identifier: MIT */
/* ckpt.h -- what a checkpoint says of itself and whether it is good, as one JSON object.
 *
 *   file      the file described: of a folder the averaged weights (model.safetensors where there are none, or raw)
 *   metadata  its texts; one that is a JSON object (config) is given as such
 *   tensors   [{name, type, shape}], in order of the file, those that match pattern where there is one, then with
 *             min, mean, max, rms of the finite values (null where there is none); non_finite where there are some
 *   parts     {PART: {tensors, values, bytes}}: by name up to the first dot
 *   values, bytes, digest (st_digest of all tensors), good
 *   others    the further files of a checkpoint folder: [{file, values, bytes, good}]
 *
 * Errors   the first thing that is wrong: what st_open refuses, ERR_FORMAT a value that is not finite or a folder without
 *          model.safetensors, ERR_EMPTY no checkpoint or no tensor of that pattern; object then holds what could be read
 */
#ifndef FORMAT_CKPT_H
#define FORMAT_CKPT_H

#include <stdbool.h>

#include <jansson.h>

#include "base/err.h"

/* Fill object (empty) from path: a safetensors file, a checkpoint folder, or a run folder, of which the checkpoint that
 * latest names is taken, good or not.  pattern: as fnmatch(3); may be NULL. */
must_check int ckpt_describe(json_t *object, const char *path, const char *pattern, bool raw);

#endif

/* SPDX-License-Identifier: MIT */
/* run.h -- the folder that a trainer leaves: which file does "-m PATH" mean?
 *
 *   RUN/config.json log.jsonl pictures/ ckpt-00000100/ ... latest      latest: a text file with the newest folder's name
 *   ckpt-STEP/ model.safetensors ema.safetensors state.safetensors
 *
 * A checkpoint folder is written as ckpt-STEP.tmp and renamed when all its files are synced, then latest is replaced.
 * A folder that has its name is whole.
 */
#ifndef FORMAT_RUN_H
#define FORMAT_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define RUN_PATH_MAX 4096

/* The weights that path means: a file is itself; a checkpoint folder gives its ema.safetensors (model.safetensors where
 * there is no average, or raw is set); a run folder the same of its newest whole checkpoint. */
must_check int run_weights(char file[RUN_PATH_MAX], const char *path, bool raw);

/* The newest whole checkpoint folder of a run, and its step.  1: found; 0: none yet. */
must_check int run_newest(char folder[RUN_PATH_MAX], int64_t *step, const char *run);

/* The checkpoint folder that RUN/latest names, whole or not.  1: named; 0: no latest, or no name of ours in it. */
must_check int run_latest(char folder[RUN_PATH_MAX], int64_t *step, const char *run);

/* Begin checkpoint STEP: makes the temporary folder (clearing a dead one) and gives its name. */
must_check int run_begin(char temp[RUN_PATH_MAX], const char *run, int64_t step);
/* Sync, rename, replace latest, then remove all but the newest keep checkpoints (keep 0: all stay). */
must_check int run_commit(const char *run, int64_t step, int keep);

/* Refuse two writers: take RUN/lock (flock).  The lock goes with the process. */
must_check int run_lock(const char *run);

#endif

/* SPDX-License-Identifier: MIT */
/* shard_cut.h -- a run of pairs written as shards of a given size, each under its own name.
 *
 * The name is a pattern with one %d, %3d or %06d for the number of the shard from 0, and %% for a percent sign.  Without a
 * number it names one shard, and needing another is an error; NULL and "-" are stdout.
 *
 * Errors   ERR_ARG a pattern that is none, or more than one shard is needed; ERR_IO
 * Traps    shards that are full are committed while later ones are still being written
 */
#ifndef FORMAT_SHARD_CUT_H
#define FORMAT_SHARD_CUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/io.h"
#include "format/tok.h"

struct cutter {
    const char *pattern;             /* borrowed */
    uint64_t size;                   /* pairs a shard; 0: no limit */
    const struct tok_header *header; /* borrowed */
    const char *line;                /* borrowed: provenance */
    struct out out;                  /* owned: the shard that is being written */
    struct tok_writer *w;            /* owned; NULL: none is being written */
    uint64_t used;                   /* pairs in it */
    uint64_t count;                  /* pairs in all */
    int64_t shards;                  /* shards begun */
};

/* 1: pattern holds a number; 0: it does not; ERR_ARG: it is not a pattern. */
must_check int cutter_check(const char *pattern);
/* The name of shard number; caller frees *path. */
must_check int cutter_name(char **path, const char *pattern, int64_t number);

/* After cutter_check. */
void cutter_init(struct cutter *c, const char *pattern, uint64_t size, const struct tok_header *header, const char *line);
must_check int cutter_put(struct cutter *c, const struct tok_record *record);
/* Finish and commit the last shard; without pairs, one empty shard is written. */
must_check int cutter_end(struct cutter *c);
/* Give up what is not committed. */
void cutter_drop(struct cutter *c);

#endif

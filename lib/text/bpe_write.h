/* SPDX-License-Identifier: MIT */
/* bpe_write.h -- a vocabulary as tokenizer.json.  The same vocabulary always gives the same bytes.
 * It has no added texts: training makes none. */
#ifndef TEXT_BPE_WRITE_H
#define TEXT_BPE_WRITE_H

#include "base/err.h"
#include "base/io.h"
#include "text/bpe.h"

must_check int bpe_write(const struct bpe *b, struct out *out);

#endif

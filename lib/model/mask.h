/* SPDX-License-Identifier: MIT */
/* mask.h -- which attention mask each layer of the prior uses.  The masks' cells are compute/attn.h's (attn_allows).
 *
 *   dalle   layers i = 1..L-1: column where (i - 2) mod 4 = 0, else row; layer L: convolution.  For 64 layers
 *           47 row, 16 column, 1 convolution; the first eight are row, col, row, row, row, col, row, row
 *   dense   every layer sees all earlier positions: for comparisons
 *
 * The variant's name is a field of every checkpoint; a meaning never changes, a new rule gets a new name.
 *
 * Source   Ramesh et al. 2021, appendix B.1
 */
#ifndef MODEL_MASK_H
#define MODEL_MASK_H

#include <stdbool.h>
#include <stdint.h>

#include "compute/attn.h"

#define MASK_CHOICES "dalle|dense"

enum mask_variant { MASK_DALLE, MASK_DENSE };

bool mask_parse(enum mask_variant *v, const char *name);
const char *mask_name(enum mask_variant v);

/* layer counts from 0: the paper's i is layer + 1. */
enum attn_kind mask_layer(enum mask_variant v, int64_t layers, int64_t layer);

#endif

/* SPDX-License-Identifier: MIT */
/* embed.h -- rows of tables by index, and their gradients.
 *
 *   op_embed       y[m,:] (+)= table[index[m],:]      index < 0: y[m,:] is left as it is (add) or zeroed (not add)
 *   op_embed_grad  dtable[index[m],:] += dy[m,:]      index < 0: nothing; sums in order of m
 *
 * Shapes   y, dy: [M,C]   table, dtable: [V,C]   index: [M] i32
 * Types    y, dy: f32 or a 16-bit type; tables f32
 * Order    cpu: same bytes for any thread count
 */
#ifndef COMPUTE_EMBED_H
#define COMPUTE_EMBED_H

#include <stdbool.h>

#include "compute/device.h"

must_check int op_embed(struct device *dev, const struct tensor *y, const struct tensor *table, const struct tensor *index,
                        bool add);
must_check int op_embed_grad(struct device *dev, const struct tensor *dtable, const struct tensor *dy,
                             const struct tensor *index);

#endif

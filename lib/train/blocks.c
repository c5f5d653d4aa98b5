/* SPDX-License-Identifier: MIT */
#include "train/blocks.h"

#include <math.h>
#include <stdlib.h>

int blocks_in(const struct param_table *params)
{
    int count = 0;

    for (int i = 0; i < params->count; i++)
        count = params->item[i].block >= count ? params->item[i].block + 1 : count;
    return count;
}

int blocks_init(struct blocks *b, const struct param_table *params)
{
    *b = (struct blocks){.count = blocks_in(params)};
    b->block = calloc((size_t)b->count + 1, sizeof *b->block);
    b->finite = calloc((size_t)b->count + 1, sizeof *b->finite);
    return b->block && b->finite ? 0 : err_set(ERR_NOMEM, "no memory for sums of %d blocks", b->count);
}

void blocks_fini(struct blocks *b)
{
    free(b->block);
    free(b->finite);
    *b = (struct blocks){0};
}

void blocks_fold(struct blocks *b, const struct param_table *params, const struct squares *sums, const struct scales *scales)
{
    for (int i = -1; i < b->count; i++)
        *(i < 0 ? &b->other : &b->block[i]) = (struct block_sum){0};
    for (int i = 0; i < b->count; i++)
        b->finite[i] = true;
    for (int i = 0; i < params->count; i++) {
        const struct param *p = &params->item[i];
        struct block_sum *to = p->block < 0 ? &b->other : &b->block[p->block];
        double scale = (double)scales_of(scales, p->block);

        to->squares += sums[i].sum / (scale * scale);
        to->zeros += sums[i].zeros;
        to->elements += tensor_elements(&p->grad);
        if (p->block >= 0 && !isfinite(sums[i].sum))
            b->finite[p->block] = false;
    }
}

double blocks_norm(const struct blocks *b)
{
    double squares = b->other.squares;

    for (int i = 0; i < b->count; i++)
        squares += b->block[i].squares;
    return sqrt(squares);
}

int blocks_first_bad(const struct blocks *b)
{
    int i = b->count - 1;

    while (i >= 0 && b->finite[i])
        i--;
    return i;
}

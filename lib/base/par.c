/* SPDX-License-Identifier: MIT */
#include "base/par.h"

#include <omp.h>

void par_set_threads(int n)
{
    if (n > 0)
        omp_set_num_threads(n);
}

int par_threads(void)
{
    return omp_get_max_threads();
}

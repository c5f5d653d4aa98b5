/* SPDX-License-Identifier: MIT */
/* par.h -- how many threads, and the loops' sharing rule.  Loops themselves are plain OpenMP pragmas.
 *
 * One pool: OpenMP's.  Every result is the same for any number of threads, so sums go over fixed blocks
 * (PAR_BLOCK elements) and the blocks are added in order.
 */
#ifndef BASE_PAR_H
#define BASE_PAR_H

#define PAR_BLOCK 4096 /* elements in a block of a parallel sum */

/* Use n threads from now on; 0 asks for OMP_NUM_THREADS or all processors that the process may use. */
void par_set_threads(int n);
int par_threads(void);

#endif

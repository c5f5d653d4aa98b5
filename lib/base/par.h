/* SPDX-License-Identifier: MIT */
/* par.h -- how many threads, and the loops' sharing rule.  Loops themselves are plain OpenMP pragmas.
 *
 * One pool: OpenMP's.  Every result is the same for any number of threads, so sums go over fixed blocks
 * (PAR_BLOCK elements) and the blocks are added in order.
 */
#ifndef BASE_PAR_H
#define BASE_PAR_H

#define PAR_BLOCK 4096 /* elements in a block of a parallel sum; passes over fewer stay with one thread */

/* Use n threads from now on; 0 asks for OMP_NUM_THREADS or all processors that the process may use. */
void par_set_threads(int n);
int par_threads(void);

/* Start the program again with a bound on how long a thread that waits spins, unless the environment has one; returns if it
 * has, or if that fails.  To be called first in main: libgomp reads its variables before that, and spins for milliseconds
 * unless told otherwise, so that a few programs at once on one machine take ten times as long as in turn. */
void par_bound_spinning(char **argv);

#endif

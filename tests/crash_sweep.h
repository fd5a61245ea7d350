/*
 * crash_sweep.h - to die at every system call, known or not
 *
 * The steps of the matrix are those that somebody thought of. A sweep asks
 * nobody: it plays the same story again and again, and kills the process before
 * its first system call, before its second ... until the process outlives it.
 * (After a call is before the next one, for all that others can see; but for
 * shared memory, and that has its stop points.) ptrace(2) stops it there.
 */
#ifndef IPCLAB_CRASH_SWEEP_H
#define IPCLAB_CRASH_SWEEP_H

#include "crash_cell.h"

extern const struct step crash_sweeps[]; /* ends with a line of zeros */

/* From now on each system call of this child stops it. */
void sweep_watch(pid_t pid);

/* Lets it run until its nth call since stage->counting, and kills it there.
 * False: it ended before (or, if it was opening, serves). *status is its wait
 * status. */
bool sweep_kill(pid_t pid, unsigned nth, int *status);

/* A test case's function: a cell's sweep. */
void crash_sweep(const void *cell);

#endif

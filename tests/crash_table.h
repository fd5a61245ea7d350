/*
 * crash_table.h - the crash matrix in Markdown
 */
#ifndef IPCLAB_CRASH_TABLE_H
#define IPCLAB_CRASH_TABLE_H

#include "crash_cell.h"

#include <stdio.h>

#define CELLS 600 /* more than there are */

/* The matrix of all cells, in the order of test_crash.c. What wasn't run has
 * zeros. */
void crash_table_print(FILE *f, const struct cell *cells);

/* A test case's function: does the matrix in README.md have the rows and
 * columns that this program would print? (Numbers are those of a machine.) */
void crash_table_check(const void *cells);

#endif

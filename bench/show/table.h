/*
 * table.h - the results for a person at a terminal, 100 columns wide
 *
 *   table_machine.c  where and how it was measured
 *   table_base.c     the rankings
 *   table_compare.c  ... and who is faster in them
 *   table_price.c    what a deadline costs
 *   table_why.c      system calls, switches, copies: where the time goes
 *   table_sweep.c    one condition changed: a column for each transport
 *   table_lines.c    the sweeps that need a line for each case: open loop,
 *                    peers
 *   table_block.c    ... which cases of a sweep stand in one table
 *   table_noise.c    is all that to be trusted?
 *   table_cell.c     numbers and sentences, for all of them
 *
 * Blocking, spinning and adaptive waiting are tables of their own and never
 * share a ranking: one costs system calls, the other a whole CPU. Within them
 * each placement has a ranking of its own.
 */
#ifndef BENCH_TABLE_H
#define BENCH_TABLE_H

#include "machine.h"
#include "plan.h"

#include <stdio.h>

/* A duration in three digits and a unit, at most 8 bytes and a sign:
 * "3.12 us"; "-" for NAN. */
#define TABLE_CELL 24
const char *table_time(char cell[TABLE_CELL], double ns);

/* Where and how it is measured: known before the first run. */
void table_machine(FILE *f, const struct machine *m);
/* All that came out. Colour only when asked for: see table_colour. */
void table_results(FILE *f, const struct plan *p, const struct machine *m,
                   bool colour);

/* True for a terminal that isn't dumb, and without NO_COLOR (not empty) in
 * the environment. */
bool table_colour(FILE *f);

#endif

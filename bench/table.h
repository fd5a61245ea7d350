/*
 * table.h - the results for a person at a terminal, 100 columns wide
 *
 * Blocking and spinning are two tables and never share a ranking: one costs
 * system calls, the other a whole CPU. Within a table each placement has a
 * ranking of its own.
 */
#ifndef BENCH_TABLE_H
#define BENCH_TABLE_H

#include "machine.h"
#include "plan.h"

#include <stdio.h>

/* A duration in three digits and a unit, at most 8 bytes: "3.12 us"; "-" for
 * NAN. */
#define TABLE_CELL 24
const char *table_time(char cell[TABLE_CELL], double ns);

/* Where and how it was measured. */
void table_machine(FILE *f, const struct machine *m, int cpu[PLACE_COUNT][2]);
/* Colour only when asked for: see table_colour. */
void table_results(FILE *f, const struct plan *p, bool colour);

/* True for a terminal and without NO_COLOR in the environment. */
bool table_colour(FILE *f);

#endif

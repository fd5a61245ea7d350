/*
 * options.h - the command line of ipcbench
 */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include "plan.h"

#include <stdio.h>

enum { OPTIONS_GO, OPTIONS_HELP, OPTIONS_USAGE };

/* Fill *choice, what isn't given with its default. OPTIONS_USAGE: *why says
 * in one sentence what is wrong. Strings point into argv. */
int options_parse(struct choice *choice, int argc, char **argv,
                  char why[CASE_WHY_MAX]);

void options_help(FILE *f);

#endif

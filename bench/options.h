/*
 * options.h - the command line of ipcbench
 */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include "plan.h"

#include <stdio.h>

/* What it asks for. */
enum order { ORDER_MEASURE, ORDER_HELP, ORDER_COMPARE, ORDER_USAGE };

struct options {
    struct choice choice;   /* ORDER_MEASURE */
    const char *base, *now; /* ORDER_COMPARE: two results in JSON */
    double threshold;       /* ... percent; a worsening beyond it fails */
};

/* Fill *o, what isn't given with its default. ORDER_USAGE: *why says in one
 * sentence what is wrong. Strings point into argv. */
enum order options_parse(struct options *o, int argc, char **argv,
                         char why[CASE_WHY_MAX]);

/* What only the machine can tell: false with *why, when more processes would
 * spin than there are CPUs for them. */
bool options_fit(const struct choice *choice, const struct machine *m,
                 char why[CASE_WHY_MAX]);

void options_help(FILE *f);

#endif

/*
 * html.h - the results as one page for a browser
 *
 * One file that can be mailed or printed: no script, nothing loaded from
 * elsewhere, pictures inside. It follows the reader's light or dark setting
 * and is as wide as his screen.
 */
#ifndef BENCH_HTML_H
#define BENCH_HTML_H

#include "machine.h"
#include "plan.h"

#include <stdio.h>

/* 0 or -errno of what couldn't be written. Pictures need gnuplot: without it,
 * or when it fails, the page says so and has all the tables. */
int html_write(FILE *f, const struct plan *p, const struct machine *m,
               bool partial);

/* The same, with `ms` for each picture (GNUPLOT_MS). */
int html_write_within(FILE *f, const struct plan *p, const struct machine *m,
                      bool partial, int ms);

#endif

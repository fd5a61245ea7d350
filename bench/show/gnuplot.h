/*
 * gnuplot.h - gnuplot as a child: a script goes in, a drawing comes out
 *
 * gnuplot isn't needed to build or to measure: it is looked for when a picture
 * is wanted.
 */
#ifndef BENCH_GNUPLOT_H
#define BENCH_GNUPLOT_H

#include <stdbool.h>
#include <stddef.h>

#define GNUPLOT_WHY_MAX 200
#define GNUPLOT_MS      10000 /* a picture takes 50 to 200 */

/* Is it in PATH? */
bool gnuplot_there(void);

/*
 * Run it over a script, for `ms` at most. What it wrote is *out, *len bytes
 * with a NUL behind them, the caller's to free. 0, or with nothing in *out and
 * one sentence in why:
 *      -ENOENT      there is no gnuplot
 *      -ETIMEDOUT   it took too long; it was killed
 *      -EINTR       SIGINT, SIGTERM or SIGHUP is pending: blocked by the
 *                   caller, not taken, and no time for pictures
 *      -ECHILD      it failed; why has its own words
 *      -EFBIG       it wrote without end
 *      others       of pipe, fork and the like
 * Whatever happens: it and all that it started have ended. Nothing is written
 * to a file, no shell runs.
 */
int gnuplot_run(char **out, size_t *len, const char *script, int ms,
                char why[GNUPLOT_WHY_MAX]);

#endif

/*
 * compare.h - two results of ipcbench, case by case: did something get slower?
 *
 * `ipcbench --compare OLD.json NEW.json`. What counts is p50. A case whose two
 * intervals overlap has "no significant difference", however far apart the
 * medians lie; see compare.c for what that is worth.
 */
#ifndef BENCH_COMPARE_H
#define BENCH_COMPARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* So many percent slower is still tolerated. */
#define COMPARE_THRESHOLD 10.0

/* What compare_files returns: exit codes. */
enum {
    COMPARE_FINE = 0,  /* nothing is surely worse beyond the threshold */
    COMPARE_WORSE = 1, /* something is, or fails that worked before */
    COMPARE_DATA = 65, /* a file is damaged, or isn't a result of ipcbench */
    COMPARE_IO = 74    /* a file can't be opened or read */
};

/*
 * Read both files and print the table, 100 columns wide. `threshold` is in
 * percent. Was it another machine, a warning stands at the top; what the
 * numbers say counts all the same. With COMPARE_DATA and COMPARE_IO nothing
 * is printed, and why[why_cap] gets one sentence: what, where, what to do.
 */
int compare_files(FILE *out, const char *base, const char *now,
                  double threshold, bool colour, char *why, size_t why_cap);

#endif

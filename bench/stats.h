/*
 * stats.h - what the samples of one case say, and how surely
 *
 * A sample is one round trip in nanoseconds. All samples of a run are kept:
 * sorted, equal ones once, with a running count. So percentiles are exact and
 * no bucket rounds them. What can't be known is NAN (JSON: null).
 *
 * Two levels, never mixed: round trips within a run say how the mechanism
 * behaves (p90, p99, max); runs, each in fresh processes, say how sure p50
 * is. A thousand samples of one run are no replacement for a second run.
 */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Samples beyond a percentile that make it worth printing. */
#define STATS_BEYOND 10

/* Percentiles in hundredths of a percent: whole numbers, so that the rank is
 * exact. */
enum { P50 = 5000, P90 = 9000, P99 = 9900, P999 = 9990 };

/* The samples of one run. */
struct dist {
    uint32_t *value; /* distinct, rising; ns */
    uint32_t *upto;  /* how many samples are <= value */
    size_t distinct;
    uint32_t count;
    double mean;
};

/* The median of the last third of samples[n] over that of the first, in the
 * order in which they were measured: 1 = no drift. NAN for fewer than 60.
 * Changes nothing. */
double samples_drift(const uint32_t *samples, uint32_t n);

/* Sorts samples[n] in place. 0, -EINVAL for n = 0, -ENOMEM. The caller frees
 * with dist_free, which takes an all-zero dist as well. */
int dist_make(struct dist *d, uint32_t *samples, uint32_t n);
void dist_free(struct dist *d);

/* Nearest rank: the smallest sample that at least `p` of all don't exceed. */
uint32_t dist_percentile(const struct dist *d, unsigned p);

/*
 * The same over several runs (n of them, the empty ones don't count), in which
 * each run weighs the same, however many round trips it managed in its time:
 * else the fast runs would outvote the slow ones. NAN when fewer than
 * STATS_BEYOND samples lie beyond it; without any run NAN, and a count of 0.
 */
double pool_percentile(const struct dist *runs, size_t n, unsigned p);
double pool_max(const struct dist *runs, size_t n);
double pool_mean(const struct dist *runs, size_t n);
uint64_t pool_count(const struct dist *runs, size_t n);

/*
 * A median and the order statistics around it that cover the true median with
 * at least 95 % probability, whatever the distribution. Where there are too
 * few values for that (under 6) they are the smallest and the largest, and
 * `coverage` says what that gives: 1 - 2 * 0.5^n, with 6 values 0.969.
 */
struct interval {
    double mid, low, high; /* NAN without values */
    double coverage;
    size_t n;
};
/* Values that are NAN don't count. */
struct interval interval_of(const double *v, size_t n);

/* Of a[i] / b[i]: what was measured in the same round is compared, so a slow
 * drift of the machine cancels out. */
struct interval interval_ratio(const double *a, const double *b, size_t n);

/* Of a[i] - b[i]. */
struct interval interval_difference(const double *a, const double *b, size_t n);

/* Do v[n] (NAN doesn't count) fall into two groups, each of two or more, with
 * a gap between them larger than either group is wide and than a quarter of
 * its lower edge? Then a median is the luck of which group a run fell into. */
bool values_two_modes(const double *v, size_t n);

/* True when the intervals don't touch and both cover at least 90 %: only then
 * is one of the two called faster. */
bool interval_differ(const struct interval *a, const struct interval *b);

#endif

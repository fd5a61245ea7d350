/*
 * stats.c - see stats.h
 *
 * Left out on purpose: standard deviation and t-tests. They suppose a bell
 * curve, and latencies have a long tail and several modes. Ranks suppose
 * nothing.
 */
#include "stats.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RUNS_MAX      1000 /* values of one interval */
#define DRIFT_SAMPLES 20   /* of a third: fewer have no median to speak of */

static int by_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static int by_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* ---- one run ------------------------------------------------------------ */

static size_t count_distinct(const uint32_t *sorted, uint32_t n)
{
    size_t distinct = 1;

    for (uint32_t i = 1; i < n; i++)
        distinct += sorted[i] != sorted[i - 1];
    return distinct;
}

int dist_make(struct dist *d, uint32_t *samples, uint32_t n)
{
    size_t at = 0;

    *d = (struct dist){.count = n};
    if (n == 0)
        return -EINVAL;
    qsort(samples, n, sizeof samples[0], by_u32);
    d->distinct = count_distinct(samples, n);
    d->value = calloc(d->distinct, 2 * sizeof d->value[0]);
    if (!d->value)
        return -ENOMEM;
    d->upto = d->value + d->distinct;
    for (uint32_t i = 0; i < n; i++) {
        if (i > 0 && samples[i] != samples[i - 1])
            at++;
        d->value[at] = samples[i];
        d->upto[at] = i + 1;
        d->mean += samples[i];
    }
    d->mean /= n;
    return 0;
}

static double median_of(const uint32_t *samples, uint32_t n)
{
    uint32_t *sorted = malloc(n * sizeof *sorted);
    double median;

    if (!sorted)
        return NAN;
    memcpy(sorted, samples, n * sizeof *sorted);
    qsort(sorted, n, sizeof sorted[0], by_u32);
    median = sorted[(n - 1) / 2];
    free(sorted);
    return median;
}

double samples_drift(const uint32_t *samples, uint32_t n)
{
    uint32_t third = n / 3;
    double first;

    if (third < DRIFT_SAMPLES)
        return NAN;
    first = median_of(samples, third);
    return first > 0 ? median_of(samples + n - third, third) / first : NAN;
}

void dist_free(struct dist *d)
{
    free(d->value); /* upto is its second half */
    *d = (struct dist){0};
}

/* How many samples are <= ns. */
static uint32_t rank_of(const struct dist *d, uint32_t ns)
{
    size_t low = 0, high = d->distinct;

    while (low < high) { /* value[< low] <= ns < value[>= high] */
        size_t mid = low + (high - low) / 2;

        if (d->value[mid] <= ns)
            low = mid + 1;
        else
            high = mid;
    }
    return low ? d->upto[low - 1] : 0;
}

/* The share of all samples that are <= ns, each run weighing the same. */
static double share_of(const struct dist *runs, size_t n, uint32_t ns)
{
    double sum = 0;
    size_t good = 0;

    for (size_t i = 0; i < n; i++)
        if (runs[i].count > 0) {
            sum += (double)rank_of(&runs[i], ns) / runs[i].count;
            good++;
        }
    return sum / (double)good;
}

/* The smallest sample whose share reaches p: bisects the values, so the runs
 * needn't be merged. */
static uint32_t percentile(const struct dist *runs, size_t n, unsigned p)
{
    /* The slack is less than one sample's share and more than the error of
     * summing them. */
    double wanted = p / 10000.0 - 1e-11;
    uint32_t low = 0, high = UINT32_MAX;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;

        if (share_of(runs, n, mid) >= wanted)
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

uint32_t dist_percentile(const struct dist *d, unsigned p)
{
    return percentile(d, 1, p);
}

/* ---- several runs ------------------------------------------------------- */

uint64_t pool_count(const struct dist *runs, size_t n)
{
    uint64_t count = 0;

    for (size_t i = 0; i < n; i++)
        count += runs[i].count;
    return count;
}

double pool_percentile(const struct dist *runs, size_t n, unsigned p)
{
    if (pool_count(runs, n) * (10000 - p) / 10000 < STATS_BEYOND)
        return NAN;
    return percentile(runs, n, p);
}

double pool_max(const struct dist *runs, size_t n)
{
    double max = NAN;

    for (size_t i = 0; i < n; i++) {
        const struct dist *d = &runs[i];

        if (d->count > 0 && !(max >= d->value[d->distinct - 1]))
            max = d->value[d->distinct - 1]; /* larger, or max was NAN */
    }
    return max;
}

double pool_mean(const struct dist *runs, size_t n)
{
    double sum = 0;
    size_t good = 0;

    for (size_t i = 0; i < n; i++)
        if (runs[i].count > 0) {
            sum += runs[i].mean;
            good++;
        }
    return good ? sum / (double)good : NAN;
}

/*
 * The probability that the median lies outside of x(k+1) .. x(n-k): that at
 * most k of n values fall below it, or at most k above. Each value falls
 * below with probability 1/2, so this is twice a binomial sum.
 */
static double miss(size_t n, size_t k)
{
    double term = 1, sum = 0;

    for (size_t i = 0; i < n; i++)
        term /= 2;
    for (size_t i = 0; i <= k; i++) {
        sum += term;
        term *= (double)(n - i) / (double)(i + 1);
    }
    return 2 * sum < 1 ? 2 * sum : 1;
}

struct interval interval_of(const double *v, size_t n)
{
    struct interval r = {NAN, NAN, NAN, 0, 0};
    double x[RUNS_MAX];
    size_t k = 0;

    for (size_t i = 0; i < n && r.n < RUNS_MAX; i++)
        if (!isnan(v[i]))
            x[r.n++] = v[i];
    if (r.n == 0)
        return r;
    qsort(x, r.n, sizeof x[0], by_double);
    while (2 * (k + 1) < r.n && miss(r.n, k + 1) <= 0.05)
        k++;
    r.mid = (x[(r.n - 1) / 2] + x[r.n / 2]) / 2;
    r.low = x[k];
    r.high = x[r.n - 1 - k];
    r.coverage = 1 - miss(r.n, k);
    return r;
}

struct interval interval_ratio(const double *a, const double *b, size_t n)
{
    double ratio[RUNS_MAX];

    n = n < RUNS_MAX ? n : RUNS_MAX;
    for (size_t i = 0; i < n; i++)
        ratio[i] = b[i] > 0 ? a[i] / b[i] : NAN;
    return interval_of(ratio, n);
}

struct interval interval_difference(const double *a, const double *b, size_t n)
{
    double difference[RUNS_MAX];

    n = n < RUNS_MAX ? n : RUNS_MAX;
    for (size_t i = 0; i < n; i++)
        difference[i] = a[i] - b[i];
    return interval_of(difference, n);
}

bool values_two_modes(const double *v, size_t n)
{
    double x[RUNS_MAX];
    size_t count = 0;

    for (size_t i = 0; i < n && count < RUNS_MAX; i++)
        if (!isnan(v[i]))
            x[count++] = v[i];
    qsort(x, count, sizeof x[0], by_double);
    for (size_t i = 2; i + 2 <= count; i++) {
        double gap = x[i] - x[i - 1];

        if (gap > x[i - 1] - x[0] && gap > x[count - 1] - x[i] &&
            gap > x[i - 1] / 4)
            return true;
    }
    return false;
}

bool interval_differ(const struct interval *a, const struct interval *b)
{
    if (a->coverage < 0.9 || b->coverage < 0.9)
        return false;
    return a->high < b->low || b->high < a->low;
}

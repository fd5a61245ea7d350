/*
 * test_bench.c - can the benchmark be trusted?
 *
 * The statistics against an oracle that sorts and counts; the harness against
 * subjects whose behaviour is known (fakes.h): one that takes 50 us, one that
 * stalls, one that lies, hangs or dies; then against the real mechanisms.
 */
#include "bare.h"
#include "clock.h"
#include "fakes.h"
#include "harness.h"
#include "machine.h"
#include "options.h"
#include "plan.h"
#include "random.h"
#include "stats.h"
#include "table.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRY_NS   30000000000
#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static const unsigned percents[] = {P50, P90, P99, P999};

static uint32_t random_u32(void)
{
    static uint64_t state = RANDOM_SEED;

    return (uint32_t)(random_next(&state) >> 32);
}

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-9 * fabs(b) + 1e-12;
}

/* ---- statistics --------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* The definition, word by word: the smallest value so that at least p of all
 * are not above it. */
static uint32_t oracle(const uint32_t *sorted, uint32_t n, unsigned p)
{
    for (uint32_t i = 0; i < n; i++)
        if ((uint64_t)(i + 1) * 10000 >= (uint64_t)n * p)
            return sorted[i];
    return 0;
}

static void percentiles(const void *arg)
{
    static uint32_t samples[20000], sorted[20000];
    uint32_t sizes[] = {1, 2, 3, 9, 10, 11, 99, 100, 101, 1000, 9999, 20000};

    (void)arg;
    for (size_t s = 0; s < COUNT(sizes); s++)
        for (uint32_t range = 1; range && range < 4000000000u; range *= 20) {
            uint32_t n = sizes[s];
            struct dist d;

            for (uint32_t i = 0; i < n; i++)
                samples[i] = random_u32() % range; /* range 1: all equal */
            memcpy(sorted, samples, sizeof sorted);
            qsort(sorted, n, sizeof sorted[0], by_value);
            REQUIRE_INT(0, dist_make(&d, samples, n));
            for (size_t i = 0; i < COUNT(percents); i++)
                EXPECT_INT(oracle(sorted, n, percents[i]),
                           dist_percentile(&d, percents[i]));
            EXPECT_INT(sorted[n - 1], (long long)pool_max(&d, 1));
            dist_free(&d);
        }
}

static void extremes(const void *arg)
{
    uint32_t samples[] = {UINT32_MAX, 0, UINT32_MAX};
    struct dist d;

    (void)arg;
    EXPECT_INT(-EINVAL, dist_make(&d, samples, 0));
    REQUIRE_INT(0, dist_make(&d, samples, 3));
    EXPECT_INT(UINT32_MAX, dist_percentile(&d, P50));
    dist_free(&d);
    REQUIRE_INT(0, dist_make(&d, (uint32_t[]){0}, 1));
    EXPECT_INT(0, dist_percentile(&d, P999));
    dist_free(&d);
    EXPECT(isnan(pool_percentile(NULL, 0, P50)));
    EXPECT(isnan(pool_max(NULL, 0)));
}

/* 0, 1, ... n - 1. */
static void ramp(struct dist *d, uint32_t n)
{
    uint32_t *samples = calloc(n, sizeof *samples);

    REQUIRE(samples != NULL);
    for (uint32_t i = 0; i < n; i++)
        samples[i] = i;
    REQUIRE_INT(0, dist_make(d, samples, n));
    free(samples);
}

static void tails(const void *arg)
{
    /* The smallest number of samples with ten of them beyond. */
    const struct {
        unsigned p;
        uint32_t n;
    } least[] = {{P50, 20}, {P90, 100}, {P99, 1000}, {P999, 10000}};

    (void)arg;
    for (size_t i = 0; i < COUNT(least); i++) {
        struct dist d;

        ramp(&d, least[i].n - 1);
        EXPECT(isnan(pool_percentile(&d, 1, least[i].p)));
        dist_free(&d);
        ramp(&d, least[i].n);
        EXPECT(pool_percentile(&d, 1, least[i].p) == least[i].n - 11);
        dist_free(&d);
    }
}

static void flat(struct dist *d, uint32_t n, uint32_t value)
{
    uint32_t *samples = calloc(n, sizeof *samples);

    REQUIRE(samples != NULL);
    for (uint32_t i = 0; i < n; i++)
        samples[i] = value;
    REQUIRE_INT(0, dist_make(d, samples, n));
    free(samples);
}

/* Runs of the same length together are one long run: also where the shares
 * don't add up exactly in binary. */
static void merged(const void *arg)
{
    static uint32_t all[7 * 300], part[300];

    (void)arg;
    for (uint32_t n = 1; n <= 300; n = n < 20 ? n + 1 : n * 2)
        for (size_t runs = 1; runs <= 7; runs++) {
            struct dist d[7];

            for (size_t i = 0; i < runs * n; i++)
                all[i] = random_u32() % 1000;
            for (size_t i = 0; i < runs; i++) {
                memcpy(part, all + i * n, n * sizeof part[0]);
                REQUIRE_INT(0, dist_make(&d[i], part, n));
            }
            qsort(all, runs * n, sizeof all[0], by_value);
            for (size_t i = 0; i < COUNT(percents); i++) {
                double got = pool_percentile(d, runs, percents[i]);

                EXPECT(isnan(got) ||
                       got == oracle(all, (uint32_t)(runs * n), percents[i]));
            }
            for (size_t i = 0; i < runs; i++)
                dist_free(&d[i]);
        }
}

/* A fast run makes many samples in its time; it still is only one run. */
static void pooled(const void *arg)
{
    struct dist d[3];

    (void)arg;
    flat(&d[0], 100000, 10);
    flat(&d[1], 100, 500);
    flat(&d[2], 100, 700);
    EXPECT(pool_percentile(d, 3, P50) == 500);
    EXPECT(pool_percentile(d, 3, P90) == 700);
    EXPECT(near(pool_mean(d, 3), 1210 / 3.0));
    EXPECT_INT(100200, (long long)pool_count(d, 3));
    for (int i = 0; i < 3; i++)
        dist_free(&d[i]);
}

static void intervals(const void *arg)
{
    const double v[] = {5, 3, 9, 1, 7, 11};
    double ranks[20];
    struct interval i = interval_of(v, 6);

    (void)arg;
    EXPECT(i.mid == 6 && i.low == 1 && i.high == 11 && i.n == 6);
    EXPECT(near(i.coverage, 0.96875));
    i = interval_of(v, 5);
    EXPECT(i.mid == 5 && near(i.coverage, 0.9375));
    i = interval_of((const double[]){4, NAN, 2}, 3);
    EXPECT(i.mid == 3 && i.n == 2 && near(i.coverage, 0.5));
    i = interval_of(v, 0);
    EXPECT(isnan(i.mid) && isnan(i.low) && i.coverage == 0);
    for (int k = 0; k < 20; k++)
        ranks[k] = 20 - k;
    /* From tables of the binomial distribution. */
    i = interval_of(ranks, 10);
    EXPECT(i.low == 12 && i.high == 19 && fabs(i.coverage - 0.9785) < 1e-4);
    i = interval_of(ranks, 11); /* 10..20: the next would cover 93.5 % */
    EXPECT(i.low == 11 && i.high == 19 && fabs(i.coverage - 0.9883) < 1e-4);
    i = interval_of(ranks, 20);
    EXPECT(i.low == 6 && i.high == 15 && fabs(i.coverage - 0.9586) < 1e-4);
}

static void comparisons(const void *arg)
{
    const double a[] = {10, 11, 12, 13, 14, 15}, b[] = {5, 5.5, 6, 6.5, 7, 7.5};
    const double c[] = {1, 1, 1, 1, 1, 10.5};
    struct interval ia = interval_of(a, 6), ib = interval_of(b, 6);
    struct interval ic = interval_of(c, 6), ratio = interval_ratio(a, b, 6);

    (void)arg;
    /* Each round gives 2, though the values themselves drift by half. */
    EXPECT(ratio.mid == 2 && ratio.low == 2 && ratio.high == 2);
    EXPECT(interval_difference(a, b, 6).mid == 6.25);
    EXPECT(interval_differ(&ia, &ib) && interval_differ(&ib, &ia));
    EXPECT(!interval_differ(&ia, &ic) && !interval_differ(&ic, &ia));
    /* Four runs can't show anything, however far apart. */
    ia = interval_of(a, 4);
    EXPECT(!interval_differ(&ia, &ib));
    ratio = interval_ratio((const double[]){1, NAN}, (const double[]){0, 1}, 2);
    EXPECT(isnan(ratio.mid));
}

static void drift(const void *arg)
{
    uint32_t samples[90];

    (void)arg;
    for (uint32_t i = 0; i < 90; i++)
        samples[i] = i < 30 ? 100 : i < 60 ? 7 : 150;
    EXPECT(near(samples_drift(samples, 90), 1.5));
    EXPECT_INT(100, samples[0]); /* nothing was sorted */
    EXPECT(isnan(samples_drift(samples, 59)));
    memset(samples, 0, sizeof samples);
    EXPECT(isnan(samples_drift(samples, 90)));
}

static void two_modes(const void *arg)
{
    const double two[] = {10, 30, 11, 31, 10.5, 29};
    const double one[] = {10, 11, 10.5, 12, 13, 11.5};
    const double outlier[] = {10, 11, 10, 90, 10.5, 11};
    const double close[] = {10, 10.1, 11, 11.1}; /* apart, but by a tenth */

    (void)arg;
    EXPECT(values_two_modes(two, 6));
    EXPECT(!values_two_modes(one, 6));
    EXPECT(!values_two_modes(outlier, 6));
    EXPECT(!values_two_modes(close, 4));
    EXPECT(!values_two_modes((const double[]){1, NAN, 9}, 3));
}

/* ---- names and options -------------------------------------------------- */

static void names(const void *arg)
{
    struct conditions c = {.transport = "socket",
                           .deadline_ms = -1,
                           .size = 128,
                           .clients = 1,
                           .depth = 1,
                           .events = CASE_EVENTS};
    char name[CASE_NAME_MAX];

    (void)arg;
    case_name(name, &c);
    EXPECT_STR("socket/block/same/get/128", name);
    c.deadline_ms = 1000;
    case_name(name, &c);
    EXPECT_STR("socket/block/same/get/128/deadline", name);
    c.deadline_ms = 5;
    case_name(name, &c);
    EXPECT_STR("socket/block/same/get/128/deadline:5ms", name);
    c.deadline_ms = -1;
    c.wait = TP_SPIN;
    c.place = PLACE_CROSS;
    c.kind = KIND_BARE;
    EXPECT_INT(16, (long long)case_request_size(&c));
    case_name(name, &c);
    EXPECT_STR("socket/spin/cross/bare/128", name);
    c.op = OP_ECHO;
    case_name(name, &c);
    EXPECT_STR("socket/spin/cross/bare-echo/128", name);
    EXPECT_INT(120, (long long)case_request_size(&c));
    c = (struct conditions){.transport = "shm",
                            .deadline_ms = -1,
                            .size = 32,
                            .op = OP_ADD,
                            .clients = 8,
                            .depth = 4,
                            .think_us = 100,
                            .work_us = 1,
                            .stall_us = 2,
                            .rate = 5000,
                            .sync = true,
                            .events = 7};
    case_name(name, &c);
    EXPECT_STR("shm/block/same/add/32/clients:8/depth:4/think:100us/work:1us/"
               "stall:2us/rate:5000/sync/events:7",
               name);
}

static void times(const void *arg)
{
    const struct {
        double ns;
        const char *text;
    } t[] = {{0, "0 ns"},       {999.4, "999 ns"},  {999.5, "1.00 us"},
             {9994, "9.99 us"}, {9995, "10.0 us"},  {99949, "99.9 us"},
             {99950, "100 us"}, {999499, "999 us"}, {999500, "1.00 ms"},
             {8e6, "8.00 ms"},  {4.2e9, "4.20 s"},  {NAN, "-"}};
    char cell[TABLE_CELL];

    (void)arg;
    for (size_t i = 0; i < COUNT(t); i++)
        EXPECT_STR(t[i].text, table_time(cell, t[i].ns));
}

static void good_options(const void *arg)
{
    struct choice ch;

    (void)arg;
    EXPECT_INT(ORDER_MEASURE, fake_parse(&ch, ""));
    EXPECT_INT(6, (long long)ch.transport_count);
    EXPECT(ch.plain && ch.deadline_ms > 0 && ch.count);
    EXPECT_INT(ORDER_HELP, fake_parse(&ch, "--help"));
    EXPECT_INT(ORDER_MEASURE,
               fake_parse(&ch, "--transports socket,shm,shm --wait block,spin "
                               "--place same,cross --op get --deadline none "
                               "--size 128 --clients 1 --depth 1 --seconds 1 "
                               "--runs 5 --events 1000 --json FILE"));
    EXPECT_INT(2, (long long)ch.transport_count);
    EXPECT_STR("socket", ch.transports[0]);
    EXPECT(ch.plain && ch.deadline_ms == -1);
    EXPECT_INT(5, ch.runs);
    EXPECT_STR("FILE", ch.json);
    EXPECT_INT(ORDER_MEASURE,
               fake_parse(&ch, "--deadline 50 --op echo --size 1048576"));
    EXPECT(!ch.plain && ch.deadline_ms == 50 && ch.op == OP_ECHO);
    EXPECT_INT(ORDER_MEASURE, fake_parse(&ch, "--clients 8 --depth 4"));
    EXPECT(ch.clients == 8 && ch.depth == 4 && ch.waits == 1u << TP_BLOCK);
    EXPECT_INT(ORDER_MEASURE,
               fake_parse(&ch, "--wait all --place all --sweep all "
                               "--transports all,redis --rate 5e3"));
    EXPECT(ch.waits == 7 && ch.places == 63 && ch.rate == 5000);
    EXPECT_INT((1 << SWEEP_COUNT) - 1, ch.sweeps);
    EXPECT_INT(7, (long long)ch.transport_count);
    EXPECT_INT(ORDER_MEASURE, fake_parse(&ch, "--op add --sync"));
    EXPECT(ch.size == 32 && ch.sync);
    EXPECT_INT(ORDER_MEASURE, fake_parse(&ch, "--op raw --size 1"));
    EXPECT_INT(ORDER_MEASURE, fake_parse(&ch, "--op list --events 64"));
    EXPECT_INT(ORDER_COMPARE, fake_parse(&ch, "--compare a.json b.json"));
    EXPECT_INT(ORDER_COMPARE,
               fake_parse(&ch, "--compare a.json b.json --threshold 5"));
}

static const char fifo_too_big[] = "--op raw --size 500000 --transports fifo";

static const char *const bad_options[] = {
    "--transports carrier-pigeon",
    "--transports pipe,,shm",
    "--transports",
    "--wait sleep",
    "--wait block,",
    "--place elsewhere",
    "--op get,echo",
    "--op remove",
    "--size 0",
    "--size 49",
    "--size 305",
    "--size -1",
    "--size 128x",
    "--size 99999999999999999999",
    "--op echo --size 20",
    "--op echo --size 1048577",
    "--op raw --size 0",
    "--op list --size 4000",
    "--op list --events 63",
    fifo_too_big,
    "--runs 0",
    "--runs 1.5",
    "--runs 101",
    "--clients 0",
    "--clients 65",
    "--depth 0",
    "--depth 65",
    "--depth 2 --op add",
    "--rate 0",
    "--rate nan",
    "--rate 5 --think 3",
    "--rate 5 --depth 3",
    "--depth 2 --think 3",
    "--stall 50001",
    "--think -1",
    "--sync",
    "--sweep everything",
    "--seconds 0",
    "--seconds nan",
    "--seconds 1s",
    "--seconds -1",
    "--seconds 1.01",
    "--events 0",
    "--deadline 0",
    "--deadline 5,6",
    "--deadline soon",
    "--wait spin --deadline 100",
    "--unknown",
    "--json",
    "--compare one.json",
    "--compare a.json b.json c.json",
    "--compare a.json b.json --threshold x",
    "--threshold much",
    "pipe"};

static void bad_option(const void *arg)
{
    struct choice ch;

    (void)arg;
    for (size_t i = 0; i < COUNT(bad_options); i++)
        harness_check(fake_parse(&ch, bad_options[i]) == ORDER_USAGE, false,
                      __FILE__, __LINE__, "accepted: %s", bad_options[i]);
}

/* More that spin than there are CPUs: refused, with the numbers. */
static void spinners(const void *arg)
{
    struct machine m = {.allowed = 4};
    char why[CASE_WHY_MAX] = "";
    struct choice ch;

    (void)arg;
    EXPECT_INT(ORDER_MEASURE, fake_parse(&ch, "--clients 3 --wait spin"));
    ch.places = 1u << PLACE_FREE;
    EXPECT(options_fit(&ch, &m, why));
    ch.clients = 4;
    EXPECT(!options_fit(&ch, &m, why));
    EXPECT(strstr(why, "5 processes would spin, and 4 CPUs") != NULL);
    ch.waits = 1u << TP_BLOCK;
    EXPECT(options_fit(&ch, &m, why));
    ch.rate = 100; /* an open loop looks at the clock all the time */
    EXPECT(!options_fit(&ch, &m, why));
    ch.rate = 0;
    ch.waits = 1u << TP_SPIN;
    ch.clients = 3;
    ch.places = 1u << PLACE_CROSS; /* all three would share a CPU */
    EXPECT(!options_fit(&ch, &m, why));
    m.allowed = 1; /* the counter-example may be measured */
    EXPECT_INT(ORDER_MEASURE, fake_parse(&ch, ""));
    EXPECT(options_fit(&ch, &m, why));
}

/* ---- runs of subjects whose behaviour is known -------------------------- */

static const struct conditions fake_case = {
    .transport = "fake", .clients = 1, .depth = 1, .deadline_ms = -1};

static void free_run(struct run *run)
{
    dist_free(&run->dist);
    dist_free(&run->service);
}

/*
 * Runs until one fits: that it doesn't take longer, or that there is time for so
 * many, is true of a run only while nobody else has the CPU. What is true of
 * every run, the caller looks at. The last run's result; its numbers are in *run.
 */
static int run_until(struct run *run, const struct subject *subject,
                     const struct conditions *c, bool fits(const struct run *))
{
    struct bench *b = fake_bench();
    int64_t end = clock_now_ns() + TRY_NS;
    bool good;
    int err;

    for (;;) {
        err = case_run(b, c, subject, run);
        good = !err && fits(run);
        if (good || (err && err != -ETIMEDOUT && err != -EOVERFLOW) ||
            clock_now_ns() > end)
            break;
        if (!err)
            free_run(run);
    }
    bench_close(b);
    harness_check(good || err, false, __FILE__, __LINE__,
                  "no run fits; the last: %zu requests, p50 %.0f ns, CPU %.0f "
                  "ns, %.0f a second, share %.1f",
                  (size_t)run->dist.count, run->p50, run->cpu_ns,
                  run->requests_per_s, run->share);
    return err;
}

static void run_fake(struct run *run, const struct subject *subject,
                     const struct conditions *c, bool fits(const struct run *))
{
    REQUIRE_INT(0, run_until(run, subject, c, fits));
}

/* It computes all the time. (Wide: a hypervisor that takes the CPU away looks
 * like computing.) */
static bool fits_delay(const struct run *run)
{
    return run->dist.count > 10 && run->p50 < 5 * FAKE_NS &&
           run->cpu_ns > FAKE_NS / 2 && run->cpu_ns < 4 * FAKE_NS &&
           run->requests_per_s > 1000;
}

static void known_delay(const void *arg)
{
    struct run run;

    (void)arg;
    run_fake(&run, &known_50us, &fake_case, fits_delay);
    EXPECT(run.dist.count <= 401);
    EXPECT(run.p50 >= FAKE_NS);
    EXPECT(run.requests_per_s <= 20000);
    EXPECT(isnan(run.share) && run.service.count == 0);
    free_run(&run);
}

static bool fits_tail(const struct run *run)
{
    return run->dist.count > 200 && run->p50 < 1000000 &&
           dist_percentile(&run->dist, P90) < 3000000;
}

/* One call in 20 takes 3 ms: the median doesn't know, p99 does. */
static void known_tail(const void *arg)
{
    struct conditions c = fake_case;
    struct run run;

    (void)arg;
    c.seconds = 0.3;
    run_fake(&run, &fake_tail, &c, fits_tail);
    EXPECT(run.p50 >= 100000);
    EXPECT(dist_percentile(&run.dist, P99) >= 3000000);
    free_run(&run);
}

static bool fits_open_loop(const struct run *run)
{
    return run->dist.count > 700 &&
           dist_percentile(&run->service, P50) < 400000 &&
           dist_percentile(&run->service, P90) < 1000000 &&
           run->requests_per_s > 1000;
}

/*
 * 20 us a call, 2,000 calls a second, and each 400th takes 20 ms. A closed loop
 * counts one slow call in 400. But the 40 requests due in these 20 ms wait for
 * it too: a tenth of all, for 10 ms on average.
 */
static void open_loop(const void *arg)
{
    struct conditions c = fake_case;
    struct run run;

    (void)arg;
    c.seconds = 0.5;
    c.rate = 2000;
    run_fake(&run, &fake_stalls, &c, fits_open_loop);
    EXPECT(run.dist.count <= 1001);
    EXPECT_INT(run.dist.count, run.service.count);
    EXPECT(dist_percentile(&run.dist, 9600) >= 10000000);
    EXPECT(pool_max(&run.dist, 1) >= 20000000);
    EXPECT(pool_max(&run.service, 1) >= 20000000);
    EXPECT(run.requests_per_s < 2050);
    free_run(&run);
}

static bool fits_open_loop_of_many(const struct run *run)
{
    return run->dist.count >= 80;
}

/* Each client has its share of the rate. (They share a CPU here, but a call
 * takes a hundredth of the time between two.) */
static void open_loop_of_many(const void *arg)
{
    struct conditions c = fake_case;
    struct run run;

    (void)arg;
    c.seconds = 0.5;
    c.rate = 200;
    c.clients = 5;
    c.place = PLACE_FREE;
    run_fake(&run, &known_50us, &c, fits_open_loop_of_many);
    EXPECT(run.dist.count <= 105);
    free_run(&run);
}

/* A rate that nobody could keep up with ends, and says so. */
static void overrun(const void *arg)
{
    struct bench *b = fake_bench();
    struct conditions c = fake_case;
    struct run run;

    (void)arg;
    c.rate = 4000000; /* of calls that take 50 us: 4 s behind after 20 ms */
    EXPECT_INT(-EOVERFLOW, case_run(b, &c, &known_50us, &run));
    bench_close(b);
}

static bool fits_think(const struct run *run)
{
    return run->dist.count >= 5 && run->p50 < 1000000;
}

/* Its own idle time isn't the request's. */
static void think(const void *arg)
{
    struct conditions c = fake_case;
    struct run run;

    (void)arg;
    c.seconds = 0.1;
    c.think_us = 2000;
    run_fake(&run, &known_50us, &c, fits_think);
    EXPECT(run.dist.count <= 50);
    EXPECT(run.p50 >= FAKE_NS);
    free_run(&run);
}

static bool fits_pipelined(const struct run *run)
{
    return run->dist.count > 10 && run->p50 < 600000 &&
           run->requests_per_s > 1000;
}

/* With three in flight each waits for the two before it: 60 us. */
static void pipelined(const void *arg)
{
    struct conditions c = fake_case;
    struct bench *b;
    struct run run;

    (void)arg;
    c.depth = 3;
    run_fake(&run, &fake_pipeline, &c, fits_pipelined);
    EXPECT(run.p50 >= 60000);
    EXPECT(run.requests_per_s < 50100);
    free_run(&run);
    b = fake_bench();
    EXPECT_INT(-EBADMSG, case_run(b, &c, &fake_disorder, &run));
    EXPECT_INT(-EOPNOTSUPP, case_run(b, &c, &known_50us, &run));
    bench_close(b);
}

static bool fits_fairness(const struct run *run)
{
    return run->share > 2 && run->share < 6 && run->dist.count > 100 &&
           run->requests_per_s > 500;
}

static void fairness(const void *arg)
{
    struct conditions c = fake_case;
    struct run run;

    (void)arg;
    c.clients = 3;
    c.seconds = 0.2;
    run_fake(&run, &fake_unfair, &c, fits_fairness);
    EXPECT(run.requests_per_s < 4550);
    EXPECT(isnan(run.client_p99[0])); /* a hundred have no p99 */
    free_run(&run);
}

struct failure {
    const struct subject *subject;
    int error;
    const char *why;
    unsigned clients;
};

static const struct failure lies = {&fake_liar, -EBADMSG, "", 1};
static const struct failure hangs = {&fake_hangs, -ETIMEDOUT,
                                     "the client got no answer", 1};
static const struct failure dies = {&fake_dies, -ECHILD, "the client died", 1};
static const struct failure one_dies = {&fake_one_dies, -ECHILD,
                                        "the client died", 3};
static const struct failure one_lies = {&fake_liar, -EBADMSG, "", 3};
static const struct failure stays = {&fake_server_stays, -ECHILD,
                                     "the server died", 1};
static const struct failure fails = {&fake_server_fails, -ENOSPC, "", 1};
static const struct failure fails_all = {&fake_server_fails, -ENOSPC, "", 8};

static void failing(const void *arg)
{
    const struct failure *f = arg;
    struct bench *b = fake_bench();
    struct conditions c = fake_case;
    struct run run;

    c.clients = f->clients;
    c.seconds = f->clients > 1 ? 0.3 : 0; /* they share a CPU */
    EXPECT_INT(f->error, case_run(b, &c, f->subject, &run));
    EXPECT_STR(f->why, run.why);
    EXPECT_INT(0, run.dist.count);
    bench_close(b);
}

/* The bare client's own check, asked once too often: the reply at hand isn't
 * the next one. So it does compare. */
static int twice_check(void *self)
{
    int err = bare_subject.check(self);

    return err ? err : bare_subject.check(self);
}

static void bare_checks(const void *arg)
{
    struct bench *b = fake_bench();
    struct conditions c = fake_case;
    struct subject twice = bare_subject;
    struct run run;

    (void)arg;
    c.transport = "pipe";
    c.kind = KIND_BARE;
    c.size = 128;
    twice.check = twice_check;
    EXPECT_INT(-EBADMSG, case_run(b, &c, &twice, &run));
    bench_close(b);
}

/* ---- real mechanisms ---------------------------------------------------- */

static bool fits_real(const struct run *run)
{
    return run->p50 < 100000000;
}

static void real_case(const struct conditions *c, double floor)
{
    char name[CASE_NAME_MAX];
    struct run run;
    int err;

    case_name(name, c);
    err = run_until(&run, NULL, c, fits_real);
    harness_check(err == 0, false, __FILE__, __LINE__, "%s: %s %s", name,
                  error_name(err), run.why);
    if (err)
        return;
    EXPECT(run.dist.count > 0);
    EXPECT(run.p50 > floor);
    EXPECT(run.cpu_ns > 0);
    free_run(&run);
}

static struct conditions real_conditions(const char *transport, enum kind kind)
{
    return (struct conditions){.transport = transport,
                               .kind = kind,
                               .deadline_ms = -1,
                               .size = 128,
                               .clients = 1,
                               .depth = 1,
                               .events = 100};
}

static bool usable(const struct transport *t)
{
    char why[CASE_WHY_MAX] = "";
    int err = tp_probe(t, why, sizeof why);

    if (err)
        harness_skip("%s: %s", t->name, why);
    return err == 0;
}

/* All transports; arg: the kind. Blocking and spinning, where two CPUs are. */
static void mechanisms(const void *arg)
{
    const enum kind kind = *(const enum kind *)arg;

    for (size_t i = 0; tp_all[i]; i++) {
        struct conditions c = real_conditions(tp_all[i]->name, kind);

        EXPECT(bare_exists(c.transport));
        if (!usable(tp_all[i]))
            continue;
        real_case(&c, 0);
        c.op = OP_RAW;
        c.size = 1;
        real_case(&c, 0);
        if (kind == KIND_ALONE)
            continue;
        c.op = OP_ECHO;
        c.size = 1000;
        real_case(&c, 0);
        c.wait = TP_SPIN;
        c.place = PLACE_CROSS;
        if (fake_here()->spots[PLACE_CROSS].there)
            real_case(&c, 0);
    }
}

/* The lab alone: what a bare ping-pong can't do. */
static void operations(const void *arg)
{
    (void)arg;
    for (size_t i = 0; tp_all[i]; i++) {
        struct conditions c = real_conditions(tp_all[i]->name, KIND_LAB);

        if (!usable(tp_all[i]))
            continue;
        c.op = OP_LIST;
        c.size = LIST_SIZE;
        real_case(&c, 0);
        c.op = OP_ADD;
        c.sync = i % 2;
        real_case(&c, 0);
        c = real_conditions(tp_all[i]->name, KIND_LAB);
        c.clients = 5;
        real_case(&c, 0);
        c.clients = 1;
        c.work_us = 500;
        real_case(&c, 500000);
        c.work_us = 0;
        c.rate = 500;
        c.seconds = 0.1;
        c.place = PLACE_FREE;
        real_case(&c, 0);
    }
    lab_forget();
}

/* More than one in flight where the mechanism can; else the limit's name. */
static void depths(const void *arg)
{
    (void)arg;
    for (size_t i = 0; tp_all[i]; i++) {
        struct conditions c = real_conditions(tp_all[i]->name, KIND_LAB);
        struct run run;

        if (!usable(tp_all[i]))
            continue;
        c.depth = 4;
        if (tp_all[i]->max_depth >= 4) {
            real_case(&c, 0);
        } else {
            struct bench *b = fake_bench();

            EXPECT_INT(-ENOBUFS, case_run(b, &c, NULL, &run));
            EXPECT(run.why[0] != '\0');
            bench_close(b);
        }
    }
    lab_forget();
}

/* Never a clamped size: too much is an error of the mechanism. */
static void too_big(const void *arg)
{
    struct bench *b = fake_bench();
    struct conditions c = real_conditions("fifo", KIND_LAB);
    struct run run;

    (void)arg;
    c.op = OP_RAW;
    c.size = 4097;
    EXPECT_INT(-EMSGSIZE, case_run(b, &c, NULL, &run));
    c.transport = "mqueue";
    c.size = 1048576;
    EXPECT_INT(-EMSGSIZE, case_run(b, &c, NULL, &run));
    bench_close(b);
    c.transport = "pipe";
    real_case(&c, 0); /* a megabyte there and back */
}

static void direct_call(const void *arg)
{
    struct conditions c = real_conditions("none", KIND_NONE);

    (void)arg;
    real_case(&c, 0);
    lab_forget();
}

/* What the kernel is asked to do is known exactly for a bare pipe. */
static void counted(const void *arg)
{
    struct bench *b = fake_bench();
    struct conditions c = real_conditions("pipe", KIND_BARE);
    struct counts counts = {0};
    char why[CASE_WHY_MAX];

    (void)arg;
    counts.how = count_possible(why, sizeof why);
    if (counts.how == COUNT_NOT) {
        harness_skip("%s", why);
    } else {
        REQUIRE_INT(0, case_count(b, &c, NULL, &counts));
        EXPECT(counts.calls > 3.9 && counts.calls < 4.3);
        EXPECT(counts.copied > 280 && counts.copied < 296); /* 2 * (16 + 128) */
        EXPECT(counts.voluntary + counts.involuntary > 1.5);
    }
    bench_close(b);
}

/* ---- plans -------------------------------------------------------------- */

/* Two cases that are the same are as fast, unless somebody else has the CPU in
 * the runs of one of them. */
static void fair_plan(struct plan *p)
{
    int64_t end = clock_now_ns() + TRY_NS;
    struct summary s;

    for (;;) {
        fake_plan(p, 6);
        plan_summary(&s, p, &p->rows[0]);
        if ((s.to_bare.mid > 0.9 && s.to_bare.mid < 1.1) ||
            clock_now_ns() > end)
            break;
        plan_free(p);
    }
}

static void wrong_reply(const void *arg)
{
    struct summary s;
    struct plan p;

    (void)arg;
    fair_plan(&p);
    EXPECT(plan_failed(&p));
    EXPECT_INT(-EBADMSG, p.rows[1].error);
    EXPECT(!p.rows[1].expected);
    plan_summary(&s, &p, &p.rows[1]);
    EXPECT(isnan(s.p50.mid) && isnan(s.max) && s.samples == 0 && s.runs == 0);
    plan_summary(&s, &p, &p.rows[0]);
    EXPECT(s.p50.mid >= FAKE_NS && s.runs == 6);
    EXPECT(s.to_bare.mid > 0.9 && s.to_bare.mid < 1.1);
    EXPECT_INT(6, (long long)s.to_bare.n);
    /* One bad run of six spoils the case. */
    p.rows[0].error = -EBADMSG;
    plan_summary(&s, &p, &p.rows[0]);
    EXPECT(isnan(s.p50.mid) && isnan(s.p90) && isnan(s.to_bare.mid));
    plan_free(&p);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Everything there is: no two cases of one name, each on its own factor. */
static void whole_plan(const void *arg)
{
    static char name[2000][CASE_NAME_MAX];
    struct choice ch;
    struct plan p;

    (void)arg;
    REQUIRE_INT(
        ORDER_MEASURE,
        fake_parse(&ch, "--wait all --place all --sweep all --runs 10"));
    REQUIRE_INT(0, plan_make(&p, &ch, fake_here()));
    REQUIRE(p.count > 300 && p.count < COUNT(name));
    for (size_t i = 0; i < p.count; i++)
        plan_name(name[i], &p.rows[i]);
    qsort(name, p.count, sizeof name[0], by_text);
    for (size_t i = 1; i < p.count; i++)
        harness_check(strcmp(name[i - 1], name[i]) != 0, false, __FILE__,
                      __LINE__, "twice: %s", name[i]);
    EXPECT(plan_seconds(&p) < 1800);
    for (int sweep = SWEEP_SIZE; sweep <= SWEEP_EVENTS; sweep++)
        EXPECT(plan_find(&p, (enum sweep)sweep, "shm", KIND_LAB, PLACE_SAME,
                         NAN) != NULL);
    EXPECT(plan_find(&p, SWEEP_SIZE, "pipe", KIND_BARE, PLACE_SAME, 65537) !=
           NULL);
    EXPECT(plan_find(&p, SWEEP_PEERS, "file", KIND_PEER, PLACE_CROSS, NAN) !=
           NULL);
    plan_free(&p);
}

/* The parts and what isn't accounted for are the whole, whatever they are. */
static void breakdown(const void *arg)
{
    struct bench *b = fake_bench();
    struct breakdown bd;
    const struct row *row;
    struct choice ch;
    struct plan p;

    (void)arg;
    REQUIRE_INT(ORDER_MEASURE,
                fake_parse(&ch, "--transports none,pipe --wait block --place "
                                "same --runs 2 --seconds 0.02"));
    REQUIRE_INT(0, plan_make(&p, &ch, fake_here()));
    REQUIRE_INT(0, plan_measure(&p, b, fake_progress, NULL));
    row = plan_find(&p, SWEEP_BASE, "pipe", KIND_LAB, PLACE_SAME, 128);
    REQUIRE(row != NULL && plan_breakdown(&bd, &p, row));
    EXPECT(bd.codec > 0 && bd.calls > 0 && bd.waking > 0);
    EXPECT(near(bd.codec + bd.calls + bd.copies + bd.waking + bd.own + bd.rest,
                bd.total));
    row = plan_twin(&p, row, KIND_BARE, -1);
    REQUIRE(row != NULL);
    EXPECT(!plan_breakdown(&bd, &p, row)); /* only the lab's rows */
    plan_free(&p);
    bench_close(b);
}

static void noise(const void *arg)
{
    struct machine m = *fake_here();
    char text[200];
    struct plan p;

    (void)arg;
    fake_plan(&p, 6);
    m.allowed = 2;
    m.load[0] = m.stolen = m.others = 0;
    (void)plan_noise(text, sizeof text, &p, &m);
    EXPECT(strstr(text, "of 2 cases") != NULL); /* the liar has no numbers */
    m.load[0] = 3.1;
    EXPECT(plan_noise(text, sizeof text, &p, &m));
    EXPECT(strncmp(text, "noisy: load 3.1", 15) == 0);
    m.load[0] = 0;
    m.stolen = 0.2;
    EXPECT(plan_noise(text, sizeof text, &p, &m));
    EXPECT(strstr(text, "20 % stolen") != NULL);
    plan_free(&p);
}

/* ---- the suite ---------------------------------------------------------- */

static const enum kind lab = KIND_LAB, bare = KIND_BARE, alone = KIND_ALONE;

static const struct test_case cases[] = {
    {.name = "stats/percentiles-oracle", .run = percentiles},
    {.name = "stats/extremes", .run = extremes},
    {.name = "stats/tails-null", .run = tails},
    {.name = "stats/runs-merged", .run = merged},
    {.name = "stats/runs-weigh-the-same", .run = pooled},
    {.name = "stats/intervals", .run = intervals},
    {.name = "stats/comparisons", .run = comparisons},
    {.name = "stats/drift", .run = drift},
    {.name = "stats/two-modes", .run = two_modes},
    {.name = "names", .run = names},
    {.name = "table/times", .run = times},
    {.name = "options/good", .run = good_options},
    {.name = "options/bad", .run = bad_option},
    {.name = "options/spinners", .run = spinners},
    {.name = "run/known-delay", .run = known_delay},
    {.name = "run/known-tail", .run = known_tail},
    {.name = "run/open-loop", .run = open_loop},
    {.name = "run/open-loop-of-many", .run = open_loop_of_many},
    {.name = "run/overrun", .run = overrun},
    {.name = "run/think", .run = think},
    {.name = "run/pipelined", .run = pipelined},
    {.name = "run/fairness", .run = fairness},
    {.name = "run/wrong-reply", .run = failing, .arg = &lies},
    {.name = "run/wrong-reply-of-one", .run = failing, .arg = &one_lies},
    {.name = "run/bare-checks", .run = bare_checks},
    {.name = "run/client-hangs", .run = failing, .arg = &hangs},
    {.name = "run/client-dies", .run = failing, .arg = &dies},
    {.name = "run/one-client-dies", .run = failing, .arg = &one_dies},
    {.name = "run/server-stays", .run = failing, .arg = &stays},
    {.name = "run/server-fails", .run = failing, .arg = &fails},
    {.name = "run/server-fails-all", .run = failing, .arg = &fails_all},
    {.name = "run/none", .run = direct_call},
    {.name = "run/bare", .run = mechanisms, .arg = &bare},
    {.name = "run/alone", .run = mechanisms, .arg = &alone},
    {.name = "run/lab", .run = mechanisms, .arg = &lab},
    {.name = "run/operations", .run = operations},
    {.name = "run/depths", .run = depths},
    {.name = "run/too-big", .run = too_big},
    {.name = "run/counted", .run = counted},
    {.name = "plan/wrong-reply-is-a-failure", .run = wrong_reply},
    {.name = "plan/whole", .run = whole_plan},
    {.name = "plan/breakdown", .run = breakdown},
    {.name = "plan/noise", .run = noise},
};

static const struct test_suite suite = {
    .name = "bench", .cases = cases, .count = COUNT(cases)};

int main(int argc, char **argv)
{
    return harness_main(argc, argv, &suite);
}

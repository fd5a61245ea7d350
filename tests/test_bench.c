/*
 * test_bench.c - can the benchmark be trusted?
 *
 * The statistics against an oracle that sorts and counts; the harness against
 * subjects whose behaviour is known: one that takes 50 us, one that lies, one
 * that hangs, one that dies. And the program as a person meets it.
 */
#include "bare.h"
#include "harness.h"
#include "machine.h"
#include "options.h"
#include "plan.h"
#include "report.h"
#include "stats.h"
#include "table.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static const unsigned percents[] = {P50, P90, P99, P999};

static uint32_t random_u32(void)
{
    static uint64_t state = 88172645463325252;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32);
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

/* ---- names and options -------------------------------------------------- */

static void names(const void *arg)
{
    struct conditions c = {
        .transport = "socket", .deadline_ms = -1, .size = 128};
    char name[CASE_NAME_MAX];

    (void)arg;
    case_name(name, &c);
    EXPECT_STR("socket/block/same/get/128", name);
    c.deadline_ms = 1000;
    case_name(name, &c);
    EXPECT_STR("socket/block/same/get/128/deadline", name);
    c = (struct conditions){.transport = "pipe",
                            .kind = KIND_BARE,
                            .wait = TP_SPIN,
                            .place = PLACE_CROSS,
                            .deadline_ms = -1,
                            .size = 64};
    case_name(name, &c);
    EXPECT_STR("pipe/spin/cross/bare/64", name);
    EXPECT_INT(16, (long long)case_request_size(&c));
    c.op = OP_ECHO;
    case_name(name, &c);
    EXPECT_STR("pipe/spin/cross/bare-echo/64", name);
    EXPECT_INT(56, (long long)case_request_size(&c));
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

#define WORDS_MAX 32

/* An argv of the words of `line`, which lie in text[cap]. */
static int split(char *argv[WORDS_MAX], char *text, size_t cap,
                 const char *line)
{
    int argc = 0;
    char *save = NULL;

    (void)snprintf(text, cap, "ipcbench %s", line);
    for (char *w = strtok_r(text, " ", &save); w && argc < WORDS_MAX - 1;
         w = strtok_r(NULL, " ", &save))
        argv[argc++] = w;
    argv[argc] = NULL;
    return argc;
}

/* Parse a command line; its words stay until the next call. */
static int parse(struct choice *choice, const char *line)
{
    static char text[300], *argv[WORDS_MAX];
    char why[CASE_WHY_MAX] = "";
    int argc = split(argv, text, sizeof text, line);
    int result = options_parse(choice, argc, argv, why);

    EXPECT((result == OPTIONS_USAGE) == (why[0] != '\0'));
    return result;
}

static void good_options(const void *arg)
{
    struct choice ch;

    (void)arg;
    EXPECT_INT(OPTIONS_GO, parse(&ch, ""));
    EXPECT_INT(6, (long long)ch.transport_count);
    EXPECT(ch.plain && ch.deadline_ms > 0);
    EXPECT_INT(OPTIONS_HELP, parse(&ch, "--help"));
    EXPECT_INT(OPTIONS_GO,
               parse(&ch, "--transports socket,shm,shm --wait block,spin "
                          "--place same,cross --op get --deadline none "
                          "--size 128 --clients 1 --depth 1 --seconds 1 "
                          "--runs 5 --events 1000 --json FILE"));
    EXPECT_INT(2, (long long)ch.transport_count);
    EXPECT_STR("socket", ch.transports[0]);
    EXPECT(ch.plain && ch.deadline_ms == -1);
    EXPECT_INT(5, ch.runs);
    EXPECT_STR("FILE", ch.json);
    EXPECT_INT(OPTIONS_GO,
               parse(&ch, "--deadline 50 --op echo --size 1048576"));
    EXPECT(!ch.plain && ch.deadline_ms == 50 && ch.op == OP_ECHO);
}

static const char *const bad_options[] = {"--transports carrier-pigeon",
                                          "--transports pipe,,shm",
                                          "--transports",
                                          "--wait sleep",
                                          "--wait block,",
                                          "--place free",
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
                                          "--runs 0",
                                          "--runs 1.5",
                                          "--runs 101",
                                          "--clients 2",
                                          "--clients 0",
                                          "--depth 8",
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
                                          "pipe"};

static void bad_option(const void *arg)
{
    struct choice ch;

    (void)arg;
    for (size_t i = 0; i < COUNT(bad_options); i++)
        harness_check(parse(&ch, bad_options[i]) == OPTIONS_USAGE, false,
                      __FILE__, __LINE__, "accepted: %s", bad_options[i]);
}

/* ---- subjects whose behaviour is known ---------------------------------- */

static int64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int fake_prepare(void **self, const struct conditions *c, char *why)
{
    (void)c, (void)why;
    *self = NULL;
    return 0;
}

static int fake_join(void *self, char *why)
{
    (void)self, (void)why;
    return 0;
}

static int fake_call(void *self)
{
    int64_t until = now_ns() + 50000;

    (void)self;
    while (now_ns() < until)
        ;
    return 0;
}

static int fake_check(void *self)
{
    (void)self;
    return 0;
}

static void fake_leave(void *self, pid_t server)
{
    (void)self, (void)server;
}

static void fake_drop(void *self)
{
    (void)self;
}

static int liar_check(void *self)
{
    static int calls;

    (void)self;
    return ++calls == 100 ? -EBADMSG : 0;
}

static int hang_call(void *self)
{
    (void)self;
    return pause(); /* until the alarm */
}

static int die_call(void *self)
{
    (void)self;
    return raise(SIGKILL);
}

static int stubborn_serve(void *self, const atomic_bool *stop)
{
    (void)self, (void)stop;
    while (pause() < 0)
        ; /* the signal handler returned; again */
    return 0;
}

/* Ends at the start; its client only sees that nobody is there. */
static int failing_serve(void *self, const atomic_bool *stop)
{
    (void)self, (void)stop;
    return -ENOSPC;
}

static int left_alone(void *self)
{
    (void)self;
    return -EPIPE;
}

#define FAKE                                                                   \
    .prepare = fake_prepare, .join = fake_join, .leave = fake_leave,           \
    .drop = fake_drop
static const struct subject known_50us = {FAKE, .call = fake_call,
                                          .check = fake_check};
static const struct subject liar = {FAKE, .call = fake_call,
                                    .check = liar_check};
static const struct subject hanging = {FAKE, .call = hang_call,
                                       .check = fake_check};
static const struct subject dying = {FAKE, .call = die_call,
                                     .check = fake_check};
static const struct subject failing_server = {
    FAKE, .serve = failing_serve, .call = left_alone, .check = fake_check};
static const struct subject stubborn = {FAKE, .serve = stubborn_serve,
                                        .call = fake_call, .check = fake_check};

static struct bench *open_bench(void)
{
    struct bench_opts opts = {.seconds = 0.02};
    struct bench *b;

    machine_place(opts.cpu);
    b = bench_open(&opts);
    REQUIRE(b != NULL);
    return b;
}

static void known_delay(const void *arg)
{
    struct bench *b = open_bench();
    struct conditions c = {.transport = "fake"};
    struct run run;

    (void)arg;
    REQUIRE_INT(0, case_run(b, &c, &known_50us, &run));
    EXPECT(run.dist.count > 10 && run.dist.count <= 400);
    EXPECT(dist_percentile(&run.dist, P50) >= 50000);
    EXPECT(dist_percentile(&run.dist, P50) < 60000);
    /* It computes all the time. (Wide: a hypervisor that takes the CPU away
     * looks like computing.) */
    EXPECT(run.cpu_ns > 25000 && run.cpu_ns < 200000);
    EXPECT(run.requests_per_s > 1000 && run.requests_per_s <= 20000);
    dist_free(&run.dist);
    bench_close(b);
}

struct failure {
    const struct subject *subject;
    int error;
    const char *why;
};

/* The bare client's own check, asked once too often: the reply at hand isn't
 * the next one. So it does compare. */
static int twice_check(void *self)
{
    int err = bare_subject.check(self);

    return err ? err : bare_subject.check(self);
}

static void bare_checks(const void *arg)
{
    struct bench *b = open_bench();
    struct conditions c = {.transport = "pipe", .kind = KIND_BARE, .size = 128};
    struct subject twice = bare_subject;
    struct run run;

    (void)arg;
    twice.check = twice_check;
    EXPECT_INT(-EBADMSG, case_run(b, &c, &twice, &run));
    bench_close(b);
}

static const struct failure fails = {&failing_server, -ENOSPC, ""};
static const struct failure lies = {&liar, -EBADMSG, ""};
static const struct failure hangs = {&hanging, -ETIMEDOUT,
                                     "the client got no answer"};
static const struct failure dies = {&dying, -ECHILD, "the client died"};
static const struct failure stays = {&stubborn, -ECHILD, "the server died"};

static void failing(const void *arg)
{
    const struct failure *f = arg;
    struct bench *b = open_bench();
    struct conditions c = {.transport = "fake"};
    struct run run;

    EXPECT_INT(f->error, case_run(b, &c, f->subject, &run));
    EXPECT_STR(f->why, run.why);
    EXPECT_INT(0, run.dist.count);
    bench_close(b);
}

/* ---- real mechanisms ---------------------------------------------------- */

static void real_case(struct bench *b, const struct conditions *c)
{
    char name[CASE_NAME_MAX];
    struct run run;
    int err;

    case_name(name, c);
    err = case_run(b, c, NULL, &run);
    harness_check(err == 0, false, __FILE__, __LINE__, "%s: %s %s", name,
                  error_name(err), run.why);
    if (err)
        return;
    EXPECT(run.dist.count > 0);
    EXPECT(dist_percentile(&run.dist, P50) > 0);
    EXPECT(dist_percentile(&run.dist, P50) < 100000000);
    EXPECT(run.cpu_ns > 0);
    dist_free(&run.dist);
}

/* All transports; arg: the kind. Blocking and spinning, where two CPUs are. */
static void mechanisms(const void *arg)
{
    const enum kind kind = *(const enum kind *)arg;
    struct bench *b = open_bench();
    int cpu[PLACE_COUNT][2];

    machine_place(cpu);
    for (size_t i = 0; tp_all[i]; i++) {
        struct conditions c = {.transport = tp_all[i]->name,
                               .kind = kind,
                               .deadline_ms = -1,
                               .size = 128,
                               .clients = 1,
                               .depth = 1,
                               .events = 100};
        char why[CASE_WHY_MAX] = "";

        EXPECT(bare_exists(c.transport));
        if (tp_probe(tp_all[i], why, sizeof why) != 0) {
            harness_skip("%s: %s", c.transport, why);
            continue;
        }
        real_case(b, &c);
        c.op = OP_ECHO;
        c.size = 1000;
        real_case(b, &c);
        c.wait = TP_SPIN;
        c.place = PLACE_CROSS;
        if (cpu[PLACE_CROSS][0] >= 0)
            real_case(b, &c);
    }
    bench_close(b);
}

static void direct_call(const void *arg)
{
    struct bench *b = open_bench();
    struct conditions c = {.transport = "none",
                           .kind = KIND_NONE,
                           .deadline_ms = -1,
                           .size = 128,
                           .clients = 1,
                           .depth = 1,
                           .events = 100};

    (void)arg;
    real_case(b, &c);
    bench_close(b);
}

/* ---- plan and report ---------------------------------------------------- */

static void no_progress(size_t done, size_t all, void *arg)
{
    (void)arg;
    EXPECT(done <= all);
}

/* pipe, good and lying: rows 0 (get), 1 (get, deadline), 2 (bare). */
static void fake_plan(struct plan *p, int cpu[PLACE_COUNT][2])
{
    struct bench *b = open_bench();
    struct choice ch;

    machine_place(cpu);
    REQUIRE_INT(OPTIONS_GO, parse(&ch, "--transports pipe --wait block --place "
                                       "same --runs 6 --seconds 0.02"));
    REQUIRE_INT(0, plan_make(p, &ch, cpu));
    REQUIRE_INT(3, (long long)p->count);
    p->rows[0].subject = p->rows[2].subject = &known_50us;
    p->rows[1].subject = &liar;
    for (int i = 0; i < 3; i++)
        p->rows[i].error = 0; /* whatever pipes can do here */
    EXPECT_INT(18, (long long)plan_runs(p));
    EXPECT_INT(0, plan_measure(p, b, no_progress, NULL));
    bench_close(b);
}

static void wrong_reply(const void *arg)
{
    struct summary s;
    struct plan p;
    int cpu[PLACE_COUNT][2];

    (void)arg;
    fake_plan(&p, cpu);
    EXPECT(plan_failed(&p));
    EXPECT_INT(-EBADMSG, p.rows[1].error);
    EXPECT(!p.rows[1].expected);
    plan_summary(&s, &p, &p.rows[1]);
    EXPECT(isnan(s.p50.mid) && isnan(s.max) && s.samples == 0);
    plan_summary(&s, &p, &p.rows[0]);
    EXPECT(s.p50.mid >= 50000 && s.to_bare.mid > 0.9 && s.to_bare.mid < 1.1);
    EXPECT_INT(6, (long long)s.to_bare.n);
    /* Too few samples for a median have no interval either. */
    p.rows[2].runs = 0;
    plan_summary(&s, &p, &p.rows[2]);
    EXPECT(isnan(s.p50.mid) && isnan(s.p50.low) && isnan(s.p50.high));
    /* One bad run of six spoils the case. */
    p.rows[0].error = -EBADMSG;
    plan_summary(&s, &p, &p.rows[0]);
    EXPECT(isnan(s.p50.mid) && isnan(s.p90) && isnan(s.to_bare.mid));
    plan_free(&p);
}

static const char *const entry_keys[] = {"name",
                                         "run_name",
                                         "run_type",
                                         "aggregate_name",
                                         "repetitions",
                                         "threads",
                                         "iterations",
                                         "real_time",
                                         "cpu_time",
                                         "time_unit",
                                         "transport",
                                         "wait",
                                         "place",
                                         "op",
                                         "request",
                                         "deadline_ms",
                                         "size_bytes",
                                         "request_bytes",
                                         "clients",
                                         "depth",
                                         "events",
                                         "runs",
                                         "runs_p50_ns",
                                         "samples",
                                         "p50_ns",
                                         "p50_low_ns",
                                         "p50_high_ns",
                                         "interval_coverage",
                                         "p90_ns",
                                         "p99_ns",
                                         "p999_ns",
                                         "max_ns",
                                         "mean_ns",
                                         "requests_per_s",
                                         "cpu_ns_per_request",
                                         "switches_per_request",
                                         "syscalls_per_request",
                                         "ratio_to_bare",
                                         "ratio_to_bare_low",
                                         "ratio_to_bare_high",
                                         "error_occurred",
                                         "error_message"};

static const char *const context_keys[] = {"date",
                                           "executable",
                                           "cpu_model",
                                           "num_cpus",
                                           "allowed_cpus",
                                           "mhz_per_cpu",
                                           "governor",
                                           "cpu_scaling_enabled",
                                           "hypervisor",
                                           "container",
                                           "kernel",
                                           "load_avg",
                                           "clock_source",
                                           "clock_cost_ns",
                                           "harness_cost_ns",
                                           "compiler",
                                           "cflags",
                                           "revision",
                                           "library_build_type",
                                           "cpus_same",
                                           "cpus_cross",
                                           "runs",
                                           "seconds_per_run",
                                           "warmup_seconds",
                                           "order_seed",
                                           "partial"};

static void expect_keys(const cJSON *o, const char *const *keys, size_t n)
{
    for (size_t i = 0; i < n; i++)
        harness_check(cJSON_GetObjectItemCaseSensitive(o, keys[i]) != NULL,
                      false, __FILE__, __LINE__, "no key %s", keys[i]);
    EXPECT_INT((long long)n, cJSON_GetArraySize(o));
}

static const cJSON *item(const cJSON *o, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(o, key);
}

static void json(const void *arg)
{
    struct machine m;
    struct plan p;
    int cpu[PLACE_COUNT][2];
    const cJSON *list, *entry;
    char *text;
    cJSON *root;

    (void)arg;
    fake_plan(&p, cpu);
    machine_look(&m);
    text = report_json(&p, &m, cpu, true);
    REQUIRE(text != NULL);
    root = cJSON_ParseWithOpts(text, NULL, true); /* nothing behind it */
    REQUIRE(root != NULL);
    expect_keys(item(root, "context"), context_keys, COUNT(context_keys));
    EXPECT(cJSON_IsTrue(item(item(root, "context"), "partial")));
    list = item(root, "benchmarks");
    REQUIRE_INT(3, cJSON_GetArraySize(list));
    cJSON_ArrayForEach(entry, list)
        expect_keys(entry, entry_keys, COUNT(entry_keys));
    entry = cJSON_GetArrayItem(list, 0);
    EXPECT_STR("pipe/block/same/get/128", item(entry, "name")->valuestring);
    EXPECT(item(entry, "real_time")->valuedouble >= 50000);
    EXPECT(cJSON_IsNull(item(entry, "syscalls_per_request")));
    EXPECT(cJSON_IsNull(item(entry, "deadline_ms")));
    EXPECT(cJSON_IsFalse(item(entry, "error_occurred")));
    entry = cJSON_GetArrayItem(list, 1);
    EXPECT(cJSON_IsTrue(item(entry, "error_occurred")));
    EXPECT(cJSON_IsNull(item(entry, "real_time")));
    EXPECT_STR("wrong reply", item(entry, "error_message")->valuestring);
    cJSON_Delete(root);
    free(text);
    plan_free(&p);
}

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    REQUIRE(f != NULL);
    EXPECT(fputs(text, f) >= 0);
    EXPECT_INT(0, fclose(f));
}

static void files(const void *arg)
{
    char path[200], line[16] = "";
    struct report r;
    const char *bad = NULL;
    FILE *f;

    (void)arg;
    EXPECT_INT(-ENOENT, report_open(&r, "/nowhere/at/all.json", &bad));
    EXPECT_STR("/nowhere/at/all.json", bad);
    report_close(&r);
    EXPECT_INT(-EISDIR, report_open(&r, harness_dir(), &bad));
    report_close(&r);
    /* Opened and given up: the old result is still there, and no other. */
    (void)snprintf(path, sizeof path, "%s/old.json", harness_dir());
    write_text(path, "old");
    EXPECT_INT(0, report_open(&r, path, &bad));
    report_close(&r);
    f = fopen(path, "r");
    REQUIRE(f != NULL);
    EXPECT(fgets(line, sizeof line, f) != NULL);
    EXPECT_STR("old", line);
    (void)fclose(f);
    (void)snprintf(path, sizeof path, "%s/old.json.new", harness_dir());
    EXPECT_INT(-1, access(path, F_OK));
}

/* ---- the program -------------------------------------------------------- */

/* build/ipcbench beside this test, or one folder up. */
static bool find_program(char path[300])
{
    char self[200];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash;

    for (int up = 0; n > 0 && up < 2; up++) {
        self[n] = '\0';
        slash = strrchr(self, '/');
        if (!slash)
            break;
        *slash = '\0';
        n = slash - self;
        (void)snprintf(path, 300, "%s/ipcbench", self);
        if (access(path, X_OK) == 0)
            return true;
    }
    harness_skip("no ipcbench beside this program");
    return false;
}

/* Start it with these arguments; *out is the read end of its stdout. */
static pid_t start(const char *line, int *out)
{
    char path[300], text[500], *argv[WORDS_MAX];
    int fd[2];
    pid_t pid;

    if (!find_program(path))
        return -1;
    REQUIRE_INT(0, pipe(fd));
    pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        (void)split(argv, text, sizeof text, line);
        (void)dup2(fd[1], STDOUT_FILENO);
        (void)dup2(fd[1], STDERR_FILENO);
        (void)close(fd[0]);
        (void)close(fd[1]);
        (void)execv(path, argv);
        _exit(126);
    }
    (void)close(fd[1]);
    *out = fd[0];
    return pid;
}

/* Read all it says (the first `cap` bytes are kept); its exit code. */
static int finish(pid_t pid, int out, char *said, size_t cap)
{
    char more[512];
    size_t len = strlen(said);
    int status = 0;
    ssize_t n;

    while ((n = read(out, more, sizeof more)) > 0)
        for (ssize_t i = 0; i < n && len + 1 < cap; i++)
            said[len++] = more[i];
    said[len] = '\0';
    (void)close(out);
    REQUIRE_INT(pid, waitpid(pid, &status, 0));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void usage(const void *arg)
{
    char said[500] = "";
    int out = -1;
    pid_t pid = start("--clients 64", &out);

    (void)arg;
    if (pid < 0)
        return;
    EXPECT_INT(64, finish(pid, out, said, sizeof said));
    EXPECT(strstr(said, "only 1 can be measured yet") != NULL);
    said[0] = '\0';
    pid = start("--wait block -xq", &out); /* not the argument before it */
    EXPECT_INT(64, finish(pid, out, said, sizeof said));
    EXPECT(strstr(said, "ipcbench: -x: an unknown option") != NULL);
}

static void unwritable(const void *arg)
{
    char said[500] = "";
    int out = -1;
    pid_t pid = start("--json /nowhere/r.json", &out);

    (void)arg;
    if (pid < 0)
        return;
    EXPECT_INT(73, finish(pid, out, said, sizeof said));
    EXPECT_STR("ipcbench: cannot create '/nowhere/r.json': ENOENT No such file "
               "or directory\n",
               said);
}

static void too_big(const void *arg)
{
    static char said[8000];
    int out = -1;
    pid_t pid =
        start("--transports mqueue,pipe --op echo --size 200000 --runs 1 "
              "--seconds 0.02 --wait block --place same",
              &out);

    (void)arg;
    if (pid < 0)
        return;
    /* What a mechanism can't carry is a result, not a failure. */
    EXPECT_INT(0, finish(pid, out, said, sizeof said));
    EXPECT(strstr(said, "mqueue    not available: EMSGSIZE") != NULL);
}

/* True when the file's JSON says that it is partial. */
static bool says_partial(const char *path)
{
    static char text[100000];
    FILE *f = fopen(path, "r");
    cJSON *root;
    bool partial;

    REQUIRE(f != NULL);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    (void)fclose(f);
    root = cJSON_Parse(text);
    REQUIRE(root != NULL);
    partial = cJSON_IsTrue(item(item(root, "context"), "partial"));
    cJSON_Delete(root);
    return partial;
}

/* The reader of its output leaves; the results are saved all the same. */
static void no_reader(const void *arg)
{
    char path[200], line[300];
    int out = -1, status = 0;
    pid_t pid;

    (void)arg;
    (void)snprintf(path, sizeof path, "%s/r.json", harness_dir());
    (void)snprintf(line, sizeof line,
                   "--transports none --seconds 0.02 --runs 1 --json %s", path);
    pid = start(line, &out);
    if (pid < 0)
        return;
    (void)close(out);
    REQUIRE_INT(pid, waitpid(pid, &status, 0));
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 74);
    EXPECT(!says_partial(path));
    (void)snprintf(line, sizeof line, "%s.new", path);
    EXPECT_INT(-1, access(line, F_OK));
}

/* Ctrl-C while it measures something long; or its terminal goes. The harness then looks whether a
 * process or a name was left. */
static void interrupted(const void *arg)
{
    const int sig = *(const int *)arg;
    char path[200], line[300];
    static char said[20000];
    int out = -1;
    int64_t asked;
    pid_t pid;
    ssize_t n;

    (void)snprintf(path, sizeof path, "%s/r.json", harness_dir());
    (void)snprintf(line, sizeof line, "--seconds 1 --runs 30 --json %s", path);
    pid = start(line, &out);
    if (pid < 0)
        return;
    while (!strstr(said, "plan:")) { /* said just before the first run */
        n = read(out, said + strlen(said), 1000);
        REQUIRE(n > 0);
    }
    asked = now_ns();
    EXPECT_INT(0, kill(pid, sig));
    EXPECT_INT(130, finish(pid, out, said, sizeof said));
    EXPECT(now_ns() - asked < 1000000000);
    EXPECT(says_partial(path));
}

/* ---- the suite ---------------------------------------------------------- */

static const int ctrl_c = SIGINT, hang_up = SIGHUP;
static const enum kind lab = KIND_LAB, bare = KIND_BARE;

static const struct test_case cases[] = {
    {.name = "stats/percentiles-oracle", .run = percentiles},
    {.name = "stats/extremes", .run = extremes},
    {.name = "stats/tails-null", .run = tails},
    {.name = "stats/runs-merged", .run = merged},
    {.name = "stats/runs-weigh-the-same", .run = pooled},
    {.name = "stats/intervals", .run = intervals},
    {.name = "stats/comparisons", .run = comparisons},
    {.name = "names", .run = names},
    {.name = "table/times", .run = times},
    {.name = "options/good", .run = good_options},
    {.name = "options/bad", .run = bad_option},
    {.name = "run/known-delay", .run = known_delay},
    {.name = "run/wrong-reply", .run = failing, .arg = &lies},
    {.name = "run/bare-checks", .run = bare_checks},
    {.name = "run/client-hangs", .run = failing, .arg = &hangs},
    {.name = "run/client-dies", .run = failing, .arg = &dies},
    {.name = "run/server-stays", .run = failing, .arg = &stays},
    {.name = "run/server-fails", .run = failing, .arg = &fails},
    {.name = "run/none", .run = direct_call},
    {.name = "run/bare", .run = mechanisms, .arg = &bare},
    {.name = "run/lab", .run = mechanisms, .arg = &lab},
    {.name = "plan/wrong-reply-is-a-failure", .run = wrong_reply},
    {.name = "report/json", .run = json},
    {.name = "report/files", .run = files},
    {.name = "program/usage", .run = usage},
    {.name = "program/unwritable", .run = unwritable},
    {.name = "program/too-big", .run = too_big},
    {.name = "program/no-reader", .run = no_reader},
    {.name = "program/interrupted", .run = interrupted, .arg = &ctrl_c},
    {.name = "program/hung-up", .run = interrupted, .arg = &hang_up},
};

static const struct test_suite suite = {
    .name = "bench", .cases = cases, .count = COUNT(cases)};

int main(int argc, char **argv)
{
    return harness_main(argc, argv, &suite);
}

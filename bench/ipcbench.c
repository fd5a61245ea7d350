/*
 * ipcbench.c - what a round trip through each mechanism costs, and why
 *
 *   options   what to measure
 *   plan      the cases, their order, their results
 *     case    one run of one case in two fresh processes
 *       lab   ... of the lab over a transport, and of a direct call
 *       bare  ... of the mechanism alone
 *   stats     percentiles, intervals, "no significant difference"
 *   machine   where; what the clock costs
 *   table     for people        report   for programs
 *
 * See README.md for how to read what it prints.
 */
#include "machine.h"
#include "options.h"
#include "plan.h"
#include "report.h"
#include "table.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    EXIT_FAILED = 1,
    EXIT_USAGE = 64,
    EXIT_NO_CREATE = 73,
    EXIT_NO_WRITE = 74,
    EXIT_BY_SIGNAL = 130
};

static int complain(int code, const char *what, const char *name, int err)
{
    (void)fprintf(stderr, "ipcbench: %s '%s': %s %s\n", what, name,
                  error_name(err), strerror(-err));
    return code;
}

struct progress {
    const struct plan *plan;
    bool shown; /* only a person at a terminal wants it */
};

static void show_progress(size_t done, size_t all, void *arg)
{
    const struct progress *pr = arg;
    double each = plan_seconds(pr->plan) / (double)plan_runs(pr->plan);

    if (!pr->shown)
        return;
    (void)fprintf(stderr, "\rrun %zu of %zu, %.0f s left ", done, all,
                  each * (double)(all - done));
}

static void erase_progress(const struct progress *pr)
{
    if (pr->shown)
        (void)fprintf(stderr, "\r%40s\r", "");
}

static void announce(const struct plan *p, const struct machine *m,
                     int cpu[PLACE_COUNT][2])
{
    table_machine(stdout, m, cpu);
    (void)printf("plan: %zu runs of %.2f s, each in fresh processes, in "
                 "shuffled order: about %.0f s\n",
                 plan_runs(p), p->seconds, plan_seconds(p));
    (void)fflush(stdout); /* before the children copy what is buffered */
}

/* What is measured is saved first, then shown: the reader of a pipe may have
 * left. */
static int finish(const struct plan *p, struct report *report,
                  const struct machine *m, int cpu[PLACE_COUNT][2],
                  bool partial)
{
    const char *bad = NULL;
    int err = report_write(report, p, m, cpu, partial, &bad);

    table_results(stdout, p, table_colour(stdout));
    if (partial)
        (void)fprintf(stderr, "ipcbench: interrupted: the results are "
                              "partial\n");
    if (err)
        return complain(EXIT_NO_WRITE, "cannot write", bad, err);
    if (partial)
        return EXIT_BY_SIGNAL;
    return plan_failed(p) ? EXIT_FAILED : 0;
}

static int measure(const struct choice *choice, struct bench *b,
                   int cpu[PLACE_COUNT][2], struct report *report)
{
    struct machine m;
    struct plan p;
    struct progress pr = {&p, isatty(STDERR_FILENO)};
    int code, err;

    machine_look(&m);
    err = plan_make(&p, choice, cpu);
    if (!err) {
        announce(&p, &m, cpu);
        err = plan_measure(&p, b, show_progress, &pr);
        erase_progress(&pr);
    }
    if (err && err != -EINTR)
        code = complain(EXIT_FAILED, "cannot measure", "all cases", err);
    else
        code = finish(&p, report, &m, cpu, err != 0);
    plan_free(&p);
    return code;
}

/* From bench_open to bench_close Ctrl-C is noted, and doesn't kill: so no
 * half-written file stays. */
static int run(const struct choice *choice)
{
    struct bench_opts opts = {.seconds = choice->seconds};
    struct report report = {0};
    const char *bad = NULL;
    struct bench *b;
    int code, err = 0;

    machine_place(opts.cpu);
    b = bench_open(&opts);
    if (!b)
        return complain(EXIT_FAILED, "cannot get", "memory", -ENOMEM);
    if (choice->json)
        err = report_open(&report, choice->json, &bad);
    if (err)
        code = complain(EXIT_NO_CREATE, "cannot create", bad, err);
    else
        code = measure(choice, b, opts.cpu, &report);
    report_close(&report);
    bench_close(b);
    return code;
}

int main(int argc, char **argv)
{
    struct choice choice;
    char why[CASE_WHY_MAX];
    int code;

    switch (options_parse(&choice, argc, argv, why)) {
    case OPTIONS_HELP: options_help(stdout); return 0;
    case OPTIONS_USAGE:
        (void)fprintf(stderr, "ipcbench: %s (see --help)\n", why);
        return EXIT_USAGE;
    }
    /* The reader of a pipe may leave: what is measured is saved all the same. */
    (void)sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    code = run(&choice);
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == 0)
        code = complain(EXIT_NO_WRITE, "cannot write", "stdout", -errno);
    return code;
}

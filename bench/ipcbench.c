/*
 * ipcbench.c - what a round trip through each mechanism costs, and why
 *
 *   options      what to measure
 *   plan, sweep  the cases, their order, their results
 *     case       one run of one case in fresh processes
 *       measure  ... the client's loops in it
 *       lab      ... of the lab over a transport, and of a direct call
 *       bare     ... of the mechanism alone
 *       peer     ... of what people would use instead
 *     count      system calls, switches and copies of a request
 *   stats        percentiles, intervals, "no significant difference"
 *   machine      where; what the clock costs
 *   table        for people        report, html   as files
 *   compare      two results of different days
 *
 * See README.md for how to read what it prints.
 */
#include "compare.h"
#include "machine.h"
#include "options.h"
#include "plan.h"
#include "plot.h"
#include "report.h"
#include "table.h"

#include "clock.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BAR          40 /* of the progress, characters */
#define PLOT_COLUMNS 100

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
    bool shown; /* only a person at a terminal wants it */
    int64_t begun_ns;
};

/* The plan's seconds are an estimate; what is left is scaled by how long the
 * part behind us really took. */
static void show_progress(double done, double all, void *arg)
{
    const struct progress *pr = arg;
    double took = (double)(clock_now_ns() - pr->begun_ns) / 1e9;
    int filled = (int)(BAR * done / all), left;
    char bar[BAR + 1];

    if (!pr->shown || done <= 0)
        return;
    left = (int)(took / done * (all - done) + 0.5);
    memset(bar, '.', BAR);
    memset(bar, '#', (size_t)filled);
    bar[BAR] = '\0';
    (void)fprintf(stderr, "\r[%s] %3.0f %%, %d:%02d left ", bar,
                  100 * done / all, left / 60, left % 60);
}

static void erase_progress(const struct progress *pr)
{
    if (pr->shown)
        (void)fprintf(stderr, "\r%60s\r", "");
}

static void print_duration(double seconds)
{
    if (seconds < 120)
        (void)printf("%.0f s", seconds);
    else
        (void)printf("%.0f min", seconds / 60);
}

static void announce(const struct plan *p, const struct machine *m)
{
    table_machine(stdout, m);
    (void)printf("plan: %zu runs, each in fresh processes, in shuffled order: "
                 "about ",
                 plan_runs(p));
    print_duration(plan_seconds(p));
    (void)printf("\n");
    for (unsigned sweep = 0; sweep < SWEEP_COUNT; sweep++) {
        size_t cases = 0;

        for (size_t i = 0; i < p->count; i++)
            cases += p->rows[i].sweep == sweep;
        if (cases > 0 && cases < p->count)
            (void)printf("  %-8s %4zu cases\n", sweep_names[sweep], cases);
    }
    (void)fflush(stdout); /* before the children copy what is buffered */
}

/* Each case by its name, with its runs: what --dry-run is asked for. */
static int print_plan(const struct plan *p)
{
    char name[CASE_NAME_MAX];

    for (size_t i = 0; i < p->count; i++) {
        const struct row *r = &p->rows[i];
        bool known = r->absent || r->error;

        plan_name(name, r);
        (void)printf("  %-50s %3u x %.2f s%s%s\n", name, r->runs,
                     r->c.seconds > 0 ? r->c.seconds : p->seconds,
                     known ? "  not here: " : "",
                     r->absent  ? "no such placement"
                     : r->error ? error_name(r->error)
                                : "");
    }
    return 0;
}

/* A person without a browser gets a picture as well. */
static bool wants_plot(void)
{
    static const char *const browsers[] = {"DISPLAY", "WAYLAND_DISPLAY",
                                           "BROWSER"};

    for (size_t i = 0; i < sizeof browsers / sizeof browsers[0]; i++)
        if (getenv(browsers[i]))
            return false;
    return isatty(STDOUT_FILENO);
}

/* What is measured is saved first, then shown: the reader of a pipe may have
 * left. */
static int finish(const struct plan *p, struct report *report,
                  const struct machine *m, bool partial)
{
    const char *bad = NULL;
    int err = report_write(report, p, m, partial, &bad);

    table_results(stdout, p, m, table_colour(stdout));
    if (wants_plot() && !partial)
        plot_terminal(stdout, p, PLOT_COLUMNS);
    if (partial)
        (void)fprintf(stderr, "ipcbench: interrupted: the results are "
                              "partial\n");
    if (err)
        return complain(EXIT_NO_WRITE, "cannot write", bad, err);
    if (partial)
        return EXIT_BY_SIGNAL;
    return plan_failed(p) ? EXIT_FAILED : 0;
}

static double longest_run(const struct plan *p)
{
    double most = 0;

    for (size_t i = 0; i < p->count; i++)
        if (p->rows[i].c.seconds > most)
            most = p->rows[i].c.seconds;
    return most;
}

/* From bench_open to bench_close Ctrl-C is noted, and doesn't kill: so no
 * half-written file stays. */
static int measure(struct plan *p, struct machine *m, const char *json)
{
    struct bench_opts opts = {.seconds = p->seconds,
                              .seconds_most = longest_run(p),
                              .spots = m->spots};
    struct progress pr = {isatty(STDERR_FILENO), clock_now_ns()};
    struct bench *b = bench_open(&opts);
    struct report report = {0};
    const char *bad = NULL;
    int code, err = 0;

    if (!b)
        return complain(EXIT_FAILED, "cannot get", "memory", -ENOMEM);
    if (json)
        err = report_open(&report, json, &bad);
    if (err) {
        code = complain(EXIT_NO_CREATE, "cannot create", bad, err);
    } else {
        announce(p, m);
        err = plan_measure(p, b, show_progress, &pr);
        erase_progress(&pr);
        machine_after(m);
        code = err && err != -EINTR
                   ? complain(EXIT_FAILED, "cannot measure", "all cases", err)
                   : finish(p, &report, m, err != 0);
    }
    report_close(&report);
    bench_close(b);
    return code;
}

static int usage(const char *why)
{
    (void)fprintf(stderr, "ipcbench: %s (see --help)\n", why);
    return EXIT_USAGE;
}

/* Two placements may be the same two CPUs on this machine: "cache" often is
 * "cross". One of them is enough. */
static void drop_twins(struct choice *choice, const struct machine *m)
{
    for (unsigned b = 1; b < PLACE_FREE; b++)
        for (unsigned a = 0; a < b; a++)
            if (choice->places >> a & 1 && m->spots[a].there &&
                m->spots[a].client == m->spots[b].client &&
                m->spots[a].server == m->spots[b].server)
                choice->places &= ~(1u << b);
}

static int run(struct choice *choice)
{
    char why[CASE_WHY_MAX];
    struct machine m;
    struct plan p;
    int code;

    machine_look(&m);
    if (!options_fit(choice, &m, why))
        return usage(why);
    drop_twins(choice, &m);
    if (plan_make(&p, choice, &m) < 0)
        return complain(EXIT_FAILED, "cannot get", "memory", -ENOMEM);
    if (choice->dry_run) {
        announce(&p, &m);
        code = print_plan(&p);
    } else {
        code = measure(&p, &m, choice->json);
    }
    plan_free(&p);
    return code;
}

static int compare(const struct options *o)
{
    char why[CASE_WHY_MAX] = "";
    int code = compare_files(stdout, o->base, o->now, o->threshold,
                             table_colour(stdout), why, sizeof why);

    if (why[0])
        (void)fprintf(stderr, "ipcbench: %s\n", why);
    return code;
}

int main(int argc, char **argv)
{
    struct options o;
    char why[CASE_WHY_MAX];
    int code = 0;

    /* The reader of a pipe may leave: what was measured is saved anyway. */
    (void)sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    switch (options_parse(&o, argc, argv, why)) {
    case ORDER_USAGE: return usage(why);
    case ORDER_HELP: options_help(stdout); break;
    case ORDER_COMPARE: code = compare(&o); break;
    case ORDER_MEASURE: code = run(&o.choice); break;
    }
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == 0)
        code = complain(EXIT_NO_WRITE, "cannot write", "stdout", -errno);
    return code;
}

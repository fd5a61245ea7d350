/*
 * test_crash.c - kill -9 at every step of a request: the crash matrix
 *
 *      crash_step.c    the steps, one a line: read it first
 *      crash_cell.c    one cell: who comes, who dies, who comes back
 *      crash_roles.c   what each of its processes does, and notes
 *      crash_traces.c  what the dead leave: names, queues, files, events
 *      crash_check.c   what is promised, in five parts
 *      crash_stop.c    how a process dies between two instructions
 *      crash_sweep.c   how it dies at every system call, known or not
 *      crash_table.c   the matrix in Markdown, for README.md
 *      crash_run.c     the harness, several cases at a time
 *
 * Cells are named TRANSPORT/WAIT/SIDE/STEP. Without options those that block
 * are run, with --all also those that spin and adapt, and the sweeps.
 * `-k shm/block/server` runs a part, as everywhere. --table runs all and prints
 * the matrix instead; `--jobs 1` then measures without neighbours.
 *
 * It needs _GNU_SOURCE for getopt_long and MAP_ANONYMOUS.
 */
#define _GNU_SOURCE
#include "crash_cell.h"
#include "crash_run.h"
#include "crash_sweep.h"
#include "crash_table.h"
#include "crash_traces.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define KEYS 16

static struct cell cells[CELLS];
static struct test_case cases[CELLS + 1];
static char names[CELLS][64];

static struct {
    const char *keys[KEYS];
    int key_count;
    bool all, list;
    unsigned jobs; /* 0 = as many as fit */
    bool table;
} opt;

/* ---- the cases ------------------------------------------------------------ */

static void name_cell(char name[64], const struct cell *c)
{
    char *p;

    (void)snprintf(name, 64, "%s/%s/%s/%s", tp_all[c->transport]->name,
                   crash_waits[c->wait],
                   c->step->dies == CLIENT ? "client" : "server",
                   c->step->name);
    for (p = name; *p; p++)
        if (*p == ' ' || *p == ',')
            *p = '-';
}

static void leftovers(const struct test_case *c)
{
    (void)c;
    (void)crash_objects(false, true); /* a failed case said so itself */
}

/* A case for each of these steps over this transport. The results are shared
 * with the processes that find them. */
static size_t add_cases(size_t n, const struct step *s, size_t transport,
                        int wait, void (*run)(const void *))
{
    static struct result *results;

    if (!results)
        results = mmap(NULL, CELLS * sizeof *results, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (results == MAP_FAILED)
        exit(1);
    for (; s->name; s++, n++) {
        cells[n] = (struct cell){.step = s,
                                 .transport = transport,
                                 .wait = (enum tp_wait)wait,
                                 .result = &results[n]};
        name_cell(names[n], &cells[n]);
        cases[n] = (struct test_case){.name = names[n],
                                      .run = run,
                                      .arg = &cells[n],
                                      .seconds = run == crash_cell ? 120 : 400};
    }
    return n;
}

/* First the matrix, in the order that crash_table.h wants. */
static size_t make_cases(void)
{
    size_t n = 0;

    for (int w = 0; w < WAITS; w++)
        for (size_t t = 0; tp_all[t]; t++)
            n = add_cases(n, crash_steps, t, w, crash_cell);
    for (size_t t = 0; tp_all[t]; t++)
        n = add_cases(n, crash_sweeps, t, TP_BLOCK, crash_sweep);
    cases[n] = (struct test_case){
        .name = "table/committed", .run = crash_table_check, .arg = cells};
    return n + 1;
}

/* ---- which, and how many at a time ----------------------------------------- */

static bool is_wanted(const struct test_case *c)
{
    for (int i = 0; i < opt.key_count; i++)
        if (strstr(c->name, opt.keys[i]))
            return true;
    if (opt.key_count)
        return false;
    if (c->run == crash_sweep)
        return opt.all && !opt.table;
    if (c->run == crash_table_check)
        return !opt.table; /* the committed one is about to be replaced */
    return opt.all || opt.table || strstr(c->name, "/block/");
}

/* A cell that blocks is idle most of the time. One that spins has a CPU for
 * itself at least. */
static unsigned jobs_beside(const struct test_case *c)
{
    bool spins = strstr(c->name, "/spin/") != NULL;

    if (opt.jobs)
        return opt.jobs;
    return spins ? 2 : 16;
}

static void note_end(const struct test_case *c, bool ok)
{
    if (c->run == crash_cell)
        ((const struct cell *)c->arg)->result->ok = ok;
}

/* ---- main ------------------------------------------------------------------ */

static int usage(const char *program)
{
    fprintf(stderr,
            "usage: %s [-l] [-v] [-k TEXT]... [-x FILE] [--all] [--table]\n"
            "       [--jobs N]\n",
            program);
    return 64;
}

static bool get_options(int argc, char **argv, struct crash_run *run)
{
    static const struct option longs[] = {
        {"all", no_argument, NULL, 'a'},
        {"table", no_argument, NULL, 't'},
        {"jobs", required_argument, NULL, 'j'},
        {0}};
    int o;

    while ((o = getopt_long(argc, argv, "lvk:x:", longs, NULL)) != -1) {
        switch (o) {
        case 'l': opt.list = true; break;
        case 'v': run->verbose = true; break;
        case 'x': run->xml = optarg; break;
        case 'a': opt.all = true; break;
        case 't': opt.table = true; break;
        case 'j': opt.jobs = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'k':
            if (opt.key_count == KEYS)
                return false;
            opt.keys[opt.key_count++] = optarg;
            break;
        default: return false;
        }
    }
    return optind == argc;
}

int main(int argc, char **argv)
{
    struct test_suite suite = {"crash", cases, 0, leftovers};
    struct crash_run run = {.suite = &suite,
                            .wanted = is_wanted,
                            .jobs = jobs_beside,
                            .ended = note_end,
                            .program = argv[0]};
    int code;

    if (!get_options(argc, argv, &run))
        return usage(argv[0]);
    suite.count = make_cases();
    for (size_t i = 0; opt.list && i < suite.count; i++)
        (void)puts(cases[i].name);
    if (opt.list)
        return 0;
    run.say = opt.table ? stderr : stdout;
    code = crash_run(&run);
    if (opt.table && code == 0)
        crash_table_print(stdout, cells);
    return code;
}

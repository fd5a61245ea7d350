/*
 * plan.h - which cases are measured, in which order, and what came out
 */
#ifndef BENCH_PLAN_H
#define BENCH_PLAN_H

#include "case.h"

#define PLAN_RUNS_MAX 100

/* What the command line chose; bit n of a mask stands for value n. */
struct choice {
    const char *transports[16];
    size_t transport_count;
    unsigned waits, places; /* masks of enum tp_wait, enum place */
    enum op op;
    bool plain;      /* measure without a deadline */
    int deadline_ms; /* and with this one; -1 = not */
    size_t size;
    unsigned clients, depth, events, runs;
    double seconds;
    const char *json; /* NULL = no files */
};

/* A case and its result. */
struct row {
    struct conditions c;
    const struct subject *subject; /* NULL = the one of c.kind */
    unsigned group;    /* cases that are compared: run next to each other */
    bool absent;       /* no two CPUs: not measured */
    struct dist *dist; /* of the good runs */
    double *p50;       /* of each run; NAN = failed */
    double *rate, *cpu, *switches; /* of each run, the same */
    unsigned runs;                 /* good ones */
    int error;                     /* the first failure: 0 or -errno */
    char why[CASE_WHY_MAX];
    bool expected; /* the error is this machine's or mechanism's limit */
};

struct plan {
    struct row *rows;
    size_t count;
    unsigned runs;
    double seconds; /* of one run */
    uint64_t seed;  /* of the order */
};

/* All cases of a choice: 0 or -ENOMEM. `cpu` says which placements there are.
 * The caller calls plan_free, also after a failure. */
int plan_make(struct plan *p, const struct choice *choice,
              int cpu[PLACE_COUNT][2]);
void plan_free(struct plan *p);

/* How many runs there are to do, and how long they will take. */
size_t plan_runs(const struct plan *p);
double plan_seconds(const struct plan *p);

/*
 * Do it: in rounds, each case once a round. Groups are shuffled, and the cases
 * inside a group: so whatever changes on the machine meanwhile hits all cases
 * alike, and what is compared was measured within a second.
 * Calls progress(done, all, arg) after each run. 0, -EINTR (what is there is
 * kept) or -ENOMEM.
 */
typedef void plan_progress(size_t done, size_t all, void *arg);
int plan_measure(struct plan *p, struct bench *b, plan_progress *progress,
                 void *arg);

/* The row with these conditions but another kind or deadline, or NULL. */
const struct row *plan_twin(const struct plan *p, const struct row *row,
                            enum kind kind, int deadline_ms);
/* True when a run failed in a way that a mechanism's limits don't explain. */
bool plan_failed(const struct plan *p);

/* ---- what a row says ---------------------------------------------------- */

struct summary {
    uint64_t samples;
    struct interval p50;              /* over the runs' medians, ns */
    double p90, p99, p999, max, mean; /* ns; NAN = can't be said */
    double requests_per_s, cpu_ns, switches;
    double syscalls;         /* a request: NAN, not counted yet */
    struct interval to_bare; /* p50 over bare's, by rounds */
};
void plan_summary(struct summary *s, const struct plan *p,
                  const struct row *row);

/* "ENOSPC", or "payload" for a wrong reply. */
const char *error_name(int error);

#endif

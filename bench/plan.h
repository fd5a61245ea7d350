/*
 * plan.h - which cases are measured, in which order, and what came out
 */
#ifndef BENCH_PLAN_H
#define BENCH_PLAN_H

#include "case.h"
#include "machine.h"

#define PLAN_RUNS_MAX 100

/*
 * A sweep changes one condition around the base point (blocking, same CPU, 128
 * bytes, 1 client, depth 1, no think time, 1,000 events) and leaves the others
 * alone. The base tables are sweep 0.
 */
enum sweep {
    SWEEP_BASE,
    SWEEP_SIZE,    /* a message of 1 byte to 1 MiB, there and back */
    SWEEP_CLIENTS, /* 1 to 64 on one server */
    SWEEP_DEPTH,   /* 1 to 64 requests in flight */
    SWEEP_THINK,   /* the client is idle before each request */
    SWEEP_WORK,    /* the server computes for each request */
    SWEEP_RATE,    /* open loop: requests come when they come */
    SWEEP_SYNC,    /* a change: on disk before the reply, or not */
    SWEEP_EVENTS,  /* the store grows */
    SWEEP_PEERS,   /* what people would use instead */
    SWEEP_COUNT
};
/* As on the command line: "size", "clients" ... */
extern const char *const sweep_names[SWEEP_COUNT];

/* What the command line chose; bit n of a mask stands for value n. */
struct choice {
    const char *transports[24]; /* the five, "none", peers */
    size_t transport_count;
    unsigned waits, places; /* masks of enum tp_wait, enum place */
    unsigned sweeps;        /* mask of enum sweep */
    enum op op;
    bool plain;      /* measure without a deadline */
    int deadline_ms; /* and with this one; -1 = not */
    size_t size;
    unsigned clients, depth, events, runs;
    unsigned think_us, work_us, stall_us;
    double rate;
    bool sync;
    double seconds;
    bool count;       /* system calls as well, in runs of their own */
    bool dry_run;     /* print the plan, measure nothing */
    const char *json; /* NULL = no files */
};

/* A case and its result. */
struct row {
    struct conditions c;
    const struct subject *subject; /* NULL = the one of c.kind */
    enum sweep sweep;
    double value;         /* what the sweep changes: bytes, clients, us ... */
    unsigned group;       /* cases that are compared: run next to each other */
    unsigned runs;        /* wanted; fewer than the plan's where one is long */
    bool absent;          /* this machine has no such placement: not measured */
    bool count;           /* its system calls are counted */
    struct run *run;      /* by round; .dist is moved out of it */
    struct dist *dist;    /* by round; empty where that run failed */
    struct dist *service; /* the same; open loop only */
    unsigned good;        /* runs that went well */
    struct counts counts;
    int error; /* the first failure: 0 or -errno */
    char why[CASE_WHY_MAX];
    bool expected; /* the error is this machine's or mechanism's limit */
};

struct plan {
    struct row *rows;
    size_t count;
    unsigned runs;
    double seconds; /* of one run, where the row doesn't say */
    uint64_t seed;  /* of the order */
    enum count_how how;
    char how_why[CASE_WHY_MAX]; /* why not by perf */
};

/* All cases of a choice: 0 or -ENOMEM. Calls plan_free by itself on failure. */
int plan_make(struct plan *p, const struct choice *choice,
              const struct machine *m);
void plan_free(struct plan *p);

/* sweep.c, used by plan_make: append the cases of one sweep. 0 or -ENOMEM. */
int sweep_add(struct plan *p, const struct choice *choice, enum sweep sweep);
/* For sweep.c: one more case, `runs` as the plan's. The row, or NULL. */
struct row *plan_add(struct plan *p, const struct conditions *c,
                     enum sweep sweep, double value, unsigned group);

/* The case's name, with "SWEEP:" before it outside of the base tables: the base
 * point is measured in each sweep anew. */
void plan_name(char name[CASE_NAME_MAX], const struct row *row);

/* How many runs there are to do, and how long they will take. */
size_t plan_runs(const struct plan *p);
double plan_seconds(const struct plan *p);

/*
 * Do it: sweep by sweep, in each in rounds, each case once a round. Groups are
 * shuffled, and the cases inside a group: so whatever changes on the machine
 * meanwhile hits all cases alike, and what is compared was measured within a
 * second. Then the counting runs.
 * Calls progress(done, all, arg) in seconds of the plan after each run. 0,
 * -EINTR (what is there is kept) or -ENOMEM.
 */
typedef void plan_progress(double done, double all, void *arg);
int plan_measure(struct plan *p, struct bench *b, plan_progress *progress,
                 void *arg);

/* The row of the same group with another kind or deadline, or NULL. */
const struct row *plan_twin(const struct plan *p, const struct row *row,
                            enum kind kind, int deadline_ms);
/* The first row of a sweep with this transport, kind, placement and value
 * (NAN = any), or NULL. */
const struct row *plan_find(const struct plan *p, enum sweep sweep,
                            const char *transport, enum kind kind,
                            enum place place, double value);
/* True when a run failed in a way that a mechanism's limits don't explain. */
bool plan_failed(const struct plan *p);

/* ---- what a row says ---------------------------------------------------- */

/* Durations in ns; NAN = can't be said. */
struct summary {
    unsigned runs; /* good ones, 0 when the case failed */
    uint64_t samples;
    struct interval p50; /* over the runs' medians */
    double p90, p99, p999, max, mean;
    struct interval requests_per_s;
    double cpu_ns, voluntary, involuntary, switches; /* a request */
    double drift;   /* the last third over the first: 1 = none */
    bool two_modes; /* the runs' medians form two groups */
    /* Several clients: */
    struct interval share;                    /* busiest over idlest */
    double client_p99_best, client_p99_worst; /* median over the runs */
    /* Open loop: from the send, what a closed loop would have seen. */
    double service_p50, service_p99, service_p999, service_max;
    struct interval to_bare; /* p50 over bare's, by rounds */
};
void plan_summary(struct summary *s, const struct plan *p,
                  const struct row *row);
/* Its own speed changed while it ran: warm-up was too short, or the machine
 * became slower. */
bool plan_drifted(const struct summary *s);

/* One value of each round's run, NAN where there is none: offset is
 * offsetof(struct run, p50) or of another double. v[PLAN_RUNS_MAX]; returns
 * how many rounds. All NAN when the case failed. */
size_t plan_values(double *v, const struct row *row, size_t offset);
/* a's p50 over b's, in the rounds in which both were measured. */
struct interval plan_ratio(const struct row *a, const struct row *b);

/*
 * Where the time of a lab row goes, each part measured by itself:
 *   codec and store   none
 *   system calls      the same calls in one process, one byte: nobody waits
 *   copies            the same with all bytes, less the above
 *   waking up         a token through an eventfd between two processes, less
 *                     the same token within one
 *   the lab's own     the lab's p50 less bare's less codec and store
 *   the rest          what the sum doesn't account for (negative: parts
 *                     overlap, or a cache that was warm in one is cold in
 *                     another)
 * "Less" is the median of the rounds' differences. The parts and the rest add
 * up to p50. False where one wasn't measured.
 */
struct breakdown {
    double total; /* the lab row's p50, ns */
    double codec, calls, copies, waking, own, rest;
};
bool plan_breakdown(struct breakdown *bd, const struct plan *p,
                    const struct row *row);

/* Unplaced pairs, and two that spin on one CPU, jump by their nature: no sign
 * of a busy machine. */
bool plan_jumps(const struct row *row);

/* Is this machine too busy for its numbers? One sentence into text[cap]:
 * "noisy: load 3.1, 12 % of the CPU time stolen, two modes in 3 of 40 cases",
 * or "quiet: ...". True when noisy. */
bool plan_noise(char *text, size_t cap, const struct plan *p,
                const struct machine *m);

/* "ENOSPC", or "wrong reply" for -EBADMSG. */
const char *error_name(int error);

#endif

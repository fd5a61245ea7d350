/*
 * plan.c - see plan.h
 *
 * Which cases there are is in sweep.c. It needs _GNU_SOURCE for
 * strerrorname_np.
 */
#define _GNU_SOURCE
#include "plan.h"

#include "bare.h"
#include "text.h"
#include "transport.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COUNT_RUN_S 0.12  /* how long a counting run takes, about */
#define FORK_S      0.003 /* and each client */
#define DRIFTED     0.1   /* of the first third, in the last one */
#define BUSY_LOAD   0.5   /* a CPU, before it began */
#define BUSY_SHARE  0.05

/* ---- the plan ----------------------------------------------------------- */

struct row *plan_add(struct plan *p, const struct conditions *c,
                     enum sweep sweep, double value, unsigned group)
{
    struct row *rows = realloc(p->rows, (p->count + 1) * sizeof *rows);
    struct row *r;

    if (!rows)
        return NULL;
    p->rows = rows;
    r = &rows[p->count++];
    *r = (struct row){
        .c = *c,
        .sweep = sweep,
        .value = value,
        .group = group,
        .runs = p->runs,
        .counts = {
            .calls = NAN, .copied = NAN, .voluntary = NAN, .involuntary = NAN}};
    r->run = calloc(p->runs, sizeof *r->run);
    r->dist = calloc(p->runs, 2 * sizeof *r->dist);
    r->service = r->dist ? r->dist + p->runs : NULL;
    return r->run && r->dist ? r : NULL;
}

/* What needs no measuring to be known. */
static void check_row(struct row *r, const struct machine *m)
{
    const struct transport *t = tp_find(r->c.transport);

    if (!m->spots[r->c.place].there)
        r->absent = true;
    else if (r->c.kind == KIND_LAB && t)
        r->error = tp_probe(t, r->why, sizeof r->why);
    r->expected = r->error != 0;
}

static uint64_t fresh_seed(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t); /* can't fail on Linux */
    return ((uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec) | 1;
}

int plan_make(struct plan *p, const struct choice *ch, const struct machine *m)
{
    int err = 0;

    *p = (struct plan){
        .runs = ch->runs, .seconds = ch->seconds, .seed = fresh_seed()};
    if (ch->count)
        p->how = count_possible(p->how_why, sizeof p->how_why);
    for (unsigned sweep = 0; sweep < SWEEP_COUNT && !err; sweep++)
        if (ch->sweeps >> sweep & 1)
            err = sweep_add(p, ch, (enum sweep)sweep);
    for (size_t i = 0; i < p->count; i++)
        check_row(&p->rows[i], m);
    if (err)
        plan_free(p);
    return err;
}

void plan_free(struct plan *p)
{
    for (size_t i = 0; i < p->count; i++) {
        struct row *r = &p->rows[i];

        for (unsigned k = 0; r->dist && k < 2 * p->runs; k++)
            dist_free(&r->dist[k]); /* and service, its second half */
        free(r->dist);
        free(r->run);
    }
    free(p->rows);
    *p = (struct plan){0};
}

void plan_name(char name[CASE_NAME_MAX], const struct row *row)
{
    struct text t = {.at = name, .cap = CASE_NAME_MAX};
    char of_case[CASE_NAME_MAX];

    case_name(of_case, &row->c);
    text_add(&t, "%s%s%s", row->sweep ? sweep_names[row->sweep] : "",
             row->sweep ? ":" : "", of_case);
}

/* ---- how much there is to do -------------------------------------------- */

static bool to_measure(const struct row *r)
{
    return !r->absent && !r->error;
}

static bool to_count(const struct plan *p, const struct row *r)
{
    return r->count && p->how != COUNT_NOT && to_measure(r);
}

static double row_seconds(const struct plan *p, const struct row *r)
{
    double measured = r->c.seconds > 0 ? r->c.seconds : p->seconds;

    return measured + RUN_OVERHEAD_S + FORK_S * r->c.clients;
}

size_t plan_runs(const struct plan *p)
{
    size_t runs = 0;

    for (size_t i = 0; i < p->count; i++)
        if (to_measure(&p->rows[i]))
            runs += p->rows[i].runs + to_count(p, &p->rows[i]);
    return runs;
}

double plan_seconds(const struct plan *p)
{
    double sum = 0;

    for (size_t i = 0; i < p->count; i++) {
        const struct row *r = &p->rows[i];

        if (to_measure(r))
            sum += r->runs * row_seconds(p, r) +
                   (to_count(p, r) ? COUNT_RUN_S : 0);
    }
    return sum;
}

/* ---- measuring ---------------------------------------------------------- */

/* xorshift64*: good enough for an order, and the seed repeats it. */
static uint32_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (uint32_t)(*state * 0x2545f4914f6cdd1d >> 32);
}

struct turn {
    uint64_t key; /* random: of the group, then of the case */
    size_t row;
};

static int by_key(const void *a, const void *b)
{
    const struct turn *x = a, *y = b;

    return (x->key > y->key) - (x->key < y->key);
}

/* All cases of a group get the same upper half of their keys. */
static void shuffle(struct turn *turns, const struct plan *p, uint64_t *state)
{
    uint32_t of_group = 0;

    for (size_t i = 0; i < p->count; i++) {
        if (i == 0 || p->rows[i].group != p->rows[i - 1].group)
            of_group = next_random(state);
        turns[i].key = (uint64_t)of_group << 32 | next_random(state);
        turns[i].row = i;
    }
    qsort(turns, p->count, sizeof turns[0], by_key);
}

/* What a mechanism can't carry or a machine doesn't allow is a result. */
static bool is_limit(int error)
{
    switch (error) {
    case -EMSGSIZE:
    case -ENOSPC:
    case -ENOBUFS:
    case -EMFILE:
    case -ENFILE:
    case -EACCES:
    case -ENOSYS:
    case -EOPNOTSUPP:
    case -EOVERFLOW: return true; /* a rate that it can't keep up with */
    default: return false;
    }
}

static void run_row(struct row *r, struct bench *b, unsigned round)
{
    struct run *run = &r->run[round];

    if (case_run(b, &r->c, r->subject, run) && bench_interrupted(b))
        return;
    if (run->error) {
        r->error = run->error;
        r->expected = is_limit(run->error);
        memcpy(r->why, run->why, sizeof r->why);
        return;
    }
    r->dist[round] = run->dist;
    r->service[round] = run->service;
    r->good++;
}

struct progress {
    plan_progress *call;
    void *arg;
    double done, all;
};

static void advance(struct progress *pr, double seconds)
{
    pr->done += seconds;
    pr->call(pr->done, pr->all, pr->arg);
}

static void measure_sweep(struct plan *p, struct bench *b, enum sweep sweep,
                          struct turn *turns, uint64_t *state,
                          struct progress *pr)
{
    for (unsigned round = 0; round < p->runs; round++) {
        shuffle(turns, p, state);
        for (size_t i = 0; i < p->count && !bench_interrupted(b); i++) {
            struct row *r = &p->rows[turns[i].row];

            /* An error of an earlier round ends the case. */
            if (r->sweep != sweep || !to_measure(r) || round >= r->runs)
                continue;
            run_row(r, b, round);
            advance(pr, row_seconds(p, r));
        }
    }
    lab_forget(); /* the next sweep's stores are others */
}

/* A counting run that fails leaves the counts unknown: the case itself was
 * measured. */
static void count_all(struct plan *p, struct bench *b, struct progress *pr)
{
    for (size_t i = 0; i < p->count && !bench_interrupted(b); i++) {
        struct row *r = &p->rows[i];
        struct counts counts = {.how = p->how};

        if (!to_count(p, r))
            continue;
        if (case_count(b, &r->c, r->subject, &counts) == 0)
            r->counts = counts;
        advance(pr, COUNT_RUN_S);
    }
    lab_forget();
}

int plan_measure(struct plan *p, struct bench *b, plan_progress *progress,
                 void *arg)
{
    struct turn *turns = calloc(p->count + 1, sizeof *turns);
    struct progress pr = {progress, arg, 0, plan_seconds(p)};
    uint64_t state = p->seed;

    if (!turns)
        return -ENOMEM;
    for (unsigned sweep = 0; sweep < SWEEP_COUNT; sweep++)
        measure_sweep(p, b, (enum sweep)sweep, turns, &state, &pr);
    count_all(p, b, &pr);
    free(turns);
    return bench_interrupted(b) ? -EINTR : 0;
}

bool plan_failed(const struct plan *p)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->rows[i].error && !p->rows[i].expected)
            return true;
    return false;
}

/* ---- finding ------------------------------------------------------------ */

const struct row *plan_twin(const struct plan *p, const struct row *row,
                            enum kind kind, int deadline_ms)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct row *r = &p->rows[i];

        if (r->group == row->group && r->c.kind == kind &&
            r->c.deadline_ms == deadline_ms)
            return r;
    }
    return NULL;
}

const struct row *plan_find(const struct plan *p, enum sweep sweep,
                            const char *transport, enum kind kind,
                            enum place place, double value)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct row *r = &p->rows[i];

        if (r->sweep == sweep && r->c.kind == kind && r->c.place == place &&
            (isnan(value) || r->value == value) &&
            strcmp(r->c.transport, transport) == 0)
            return r;
    }
    return NULL;
}

/* ---- what came out ------------------------------------------------------ */

size_t plan_values(double *v, const struct row *row, size_t offset)
{
    for (unsigned i = 0; i < row->runs; i++)
        if (row->error || row->dist[i].count == 0)
            v[i] = NAN;
        else
            memcpy(&v[i], (const char *)&row->run[i] + offset, sizeof v[i]);
    return row->runs;
}

static struct interval over_runs(const struct row *row, size_t offset)
{
    double v[PLAN_RUNS_MAX];

    return interval_of(v, plan_values(v, row, offset));
}

struct interval plan_ratio(const struct row *a, const struct row *b)
{
    double x[PLAN_RUNS_MAX], y[PLAN_RUNS_MAX];
    size_t n = plan_values(x, a, offsetof(struct run, p50));
    size_t m = plan_values(y, b, offsetof(struct run, p50));

    return interval_ratio(x, y, n < m ? n : m);
}

static void tails(struct summary *s, const struct row *row, size_t rounds)
{
    const struct dist *d = row->dist, *service = row->service;

    s->samples = pool_count(d, rounds);
    s->p90 = pool_percentile(d, rounds, P90);
    s->p99 = pool_percentile(d, rounds, P99);
    s->p999 = pool_percentile(d, rounds, P999);
    s->max = pool_max(d, rounds);
    s->mean = pool_mean(d, rounds);
    s->service_p50 = pool_percentile(service, rounds, P50);
    s->service_p99 = pool_percentile(service, rounds, P99);
    s->service_p999 = pool_percentile(service, rounds, P999);
    s->service_max = pool_max(service, rounds);
}

static void of_clients(struct summary *s, const struct row *row)
{
    s->share = over_runs(row, offsetof(struct run, share));
    s->client_p99_best = s->client_p99_worst = NAN;
    for (unsigned i = 0; i < row->c.clients && row->c.clients > 1; i++) {
        double p99 = over_runs(row, offsetof(struct run, client_p99) +
                                        i * sizeof(double))
                         .mid;

        if (!(p99 >= s->client_p99_best)) /* or it is NAN */
            s->client_p99_best = p99;
        if (!(p99 <= s->client_p99_worst))
            s->client_p99_worst = p99;
    }
}

/* A case that failed has no numbers, not even of the runs that went well. */
void plan_summary(struct summary *s, const struct plan *p,
                  const struct row *row)
{
    const struct row *bare = plan_twin(p, row, KIND_BARE, -1);
    double v[PLAN_RUNS_MAX];

    *s = (struct summary){.runs = row->error ? 0 : row->good};
    tails(s, row, row->error ? 0 : row->runs);
    s->p50 = over_runs(row, offsetof(struct run, p50));
    s->two_modes =
        values_two_modes(v, plan_values(v, row, offsetof(struct run, p50)));
    if (s->samples < 2 * STATS_BEYOND)
        s->p50 = interval_of(NULL, 0); /* too few for any */
    s->requests_per_s = over_runs(row, offsetof(struct run, requests_per_s));
    s->cpu_ns = over_runs(row, offsetof(struct run, cpu_ns)).mid;
    s->voluntary = over_runs(row, offsetof(struct run, voluntary)).mid;
    s->involuntary = over_runs(row, offsetof(struct run, involuntary)).mid;
    s->switches = s->voluntary + s->involuntary;
    s->drift = over_runs(row, offsetof(struct run, drift)).mid;
    of_clients(s, row);
    s->to_bare = interval_of(NULL, 0);
    if (bare && row->c.kind == KIND_LAB)
        s->to_bare = plan_ratio(row, bare);
}

/* The p50 of a row that may not be there. */
static double p50_of(const struct row *row)
{
    return row ? over_runs(row, offsetof(struct run, p50)).mid : NAN;
}

/* How much longer `a` took than `b`: the median of the rounds' differences,
 * so that a slow round of both cancels out. */
static double paired(const struct row *a, const struct row *b)
{
    double x[PLAN_RUNS_MAX], y[PLAN_RUNS_MAX];
    size_t n, m;

    if (!a || !b)
        return NAN;
    n = plan_values(x, a, offsetof(struct run, p50));
    m = plan_values(y, b, offsetof(struct run, p50));
    return interval_difference(x, y, n < m ? n : m).mid;
}

static const struct row *part(const struct plan *p, const char *transport,
                              enum kind kind, enum place place, double value)
{
    return plan_find(p, SWEEP_BASE, transport, kind, place, value);
}

bool plan_breakdown(struct breakdown *bd, const struct plan *p,
                    const struct row *row)
{
    const char *t = row->c.transport;
    const struct row *one = part(p, t, KIND_ALONE, PLACE_SAME, 1);
    const struct row *all =
        part(p, t, KIND_ALONE, PLACE_SAME, (double)row->c.size);
    const struct row *token =
        part(p, BARE_TOKEN, KIND_BARE, row->c.place, BARE_TOKEN_SIZE);
    const struct row *still =
        part(p, BARE_TOKEN, KIND_ALONE, PLACE_SAME, BARE_TOKEN_SIZE);

    bd->total = p50_of(row);
    bd->codec = p50_of(part(p, "none", KIND_NONE, PLACE_SAME, NAN));
    bd->calls = p50_of(one);
    bd->copies = paired(all, one);
    bd->waking = paired(token, still);
    bd->own = paired(row, plan_twin(p, row, KIND_BARE, -1)) - bd->codec;
    bd->rest =
        bd->total - (bd->codec + bd->calls + bd->copies + bd->waking + bd->own);
    return row->c.wait == TP_BLOCK && row->c.kind == KIND_LAB &&
           row->c.deadline_ms < 0 && !isnan(bd->rest); /* nor any part */
}

/* ---- can it be trusted? ------------------------------------------------- */

struct odd {
    unsigned cases, drifted, two_modes;
};

bool plan_jumps(const struct row *r)
{
    return r->c.place == PLACE_FREE ||
           (r->c.wait == TP_SPIN && r->c.place == PLACE_SAME);
}

bool plan_drifted(const struct summary *s)
{
    return fabs(s->drift - 1) > DRIFTED; /* false for NAN */
}

static struct odd count_odd(const struct plan *p)
{
    struct odd odd = {0};

    for (size_t i = 0; i < p->count; i++) {
        const struct row *r = &p->rows[i];
        struct summary s;

        if (r->absent || r->error || plan_jumps(r))
            continue;
        plan_summary(&s, p, r);
        odd.cases++;
        odd.drifted += plan_drifted(&s);
        odd.two_modes += s.two_modes;
    }
    return odd;
}

bool plan_noise(char *text, size_t cap, const struct plan *p,
                const struct machine *m)
{
    struct text t = {.at = text, .cap = cap};
    struct odd odd = count_odd(p);
    bool busy = m->load[0] > BUSY_LOAD * m->allowed;
    bool odd_ones = 10 * (odd.drifted + odd.two_modes) > odd.cases;
    bool noisy =
        busy || odd_ones || m->stolen > BUSY_SHARE || m->others > BUSY_SHARE;

    text_add(&t, "%s: load %.1f", noisy ? "noisy" : "quiet", m->load[0]);
    if (!isnan(m->others))
        text_add(&t, ", %.0f %% of the CPU time used by others",
                 100 * m->others);
    if (!isnan(m->stolen))
        text_add(&t, ", %.0f %% stolen by the hypervisor", 100 * m->stolen);
    text_add(&t, ", two modes in %u and drift in %u of %u cases", odd.two_modes,
             odd.drifted, odd.cases);
    return noisy;
}

const char *error_name(int error)
{
    const char *name = strerrorname_np(-error);

    if (error == -EBADMSG)
        return "wrong reply";
    return name ? name : "unknown";
}

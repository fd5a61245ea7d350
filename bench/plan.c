/*
 * plan.c - see plan.h
 *
 * It needs _GNU_SOURCE for strerrorname_np.
 */
#define _GNU_SOURCE
#include "plan.h"

#include "bare.h"
#include "transport.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- which cases -------------------------------------------------------- */

static bool has(unsigned mask, unsigned value)
{
    return mask >> value & 1;
}

static int add_row(struct plan *p, const struct conditions *c, unsigned group)
{
    struct row *rows = realloc(p->rows, (p->count + 1) * sizeof *rows);
    struct row *r;

    if (!rows)
        return -ENOMEM;
    p->rows = rows;
    r = &rows[p->count++];
    *r = (struct row){.c = *c, .group = group};
    r->dist = calloc(p->runs, sizeof *r->dist);
    r->p50 = calloc(p->runs, 4 * sizeof r->p50[0]);
    if (!r->dist || !r->p50)
        return -ENOMEM;
    r->rate = r->p50 + p->runs;
    r->cpu = r->rate + p->runs;
    r->switches = r->cpu + p->runs;
    for (unsigned i = 0; i < 4 * p->runs; i++)
        r->p50[i] = NAN;
    return 0;
}

/*
 * Two that spin on one CPU take turns by time slice: a thousand times slower,
 * whatever the mechanism. shm shows it for all, unless it is all that was
 * asked for.
 */
static bool worth_it(const struct choice *ch, const char *transport,
                     enum tp_wait wait, enum place place)
{
    if (wait != TP_SPIN || place != PLACE_SAME)
        return true;
    return strcmp(transport, "shm") == 0 ||
           (ch->waits == 1u << TP_SPIN && ch->places == 1u << PLACE_SAME);
}

/* One transport under one wait and placement: the lab without a deadline, with
 * one, and the floor. Spinning with a deadline isn't how anybody works. */
static int add_group(struct plan *p, const struct choice *ch,
                     const struct conditions *base, unsigned group)
{
    struct conditions c = *base;
    bool counter_example = c.wait == TP_SPIN && c.place == PLACE_SAME;
    int err = 0;

    c.kind = KIND_LAB;
    c.deadline_ms = -1;
    if (ch->plain)
        err = add_row(p, &c, group);
    c.deadline_ms = ch->deadline_ms;
    if (!err && c.wait != TP_SPIN && ch->deadline_ms >= 0)
        err = add_row(p, &c, group);
    c.deadline_ms = -1;
    c.kind = KIND_BARE;
    if (!err && ch->plain && !counter_example && c.wait != TP_ADAPT &&
        bare_exists(c.transport))
        err = add_row(p, &c, group);
    return err;
}

static int add_all(struct plan *p, const struct choice *ch,
                   struct conditions *c)
{
    unsigned group = 1;
    int err = 0;

    for (unsigned wait = TP_BLOCK; wait <= TP_ADAPT; wait++)
        for (unsigned place = 0; place < PLACE_COUNT; place++)
            for (size_t i = 0; i < ch->transport_count && !err; i++) {
                c->transport = ch->transports[i];
                c->wait = (enum tp_wait)wait;
                c->place = (enum place)place;
                if (has(ch->waits, wait) && has(ch->places, place) &&
                    strcmp(c->transport, "none") != 0 &&
                    worth_it(ch, c->transport, c->wait, c->place))
                    err = add_group(p, ch, c, group++);
            }
    return err;
}

/* What needs no measuring to be known. */
static void check_row(struct row *r, int cpu[PLACE_COUNT][2])
{
    const struct transport *t = tp_find(r->c.transport);

    if (cpu[r->c.place][1] < 0)
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

int plan_make(struct plan *p, const struct choice *ch, int cpu[PLACE_COUNT][2])
{
    struct conditions c = {.op = ch->op,
                           .size = ch->size,
                           .clients = ch->clients,
                           .depth = ch->depth,
                           .events = ch->events,
                           .deadline_ms = -1};
    int err = 0;

    *p = (struct plan){
        .runs = ch->runs, .seconds = ch->seconds, .seed = fresh_seed()};
    for (size_t i = 0; i < ch->transport_count && !err; i++)
        if (strcmp(ch->transports[i], "none") == 0) {
            c.transport = "none";
            c.kind = KIND_NONE;
            err = add_row(p, &c, 0);
        }
    if (!err)
        err = add_all(p, ch, &c);
    for (size_t i = 0; i < p->count; i++)
        check_row(&p->rows[i], cpu);
    return err;
}

void plan_free(struct plan *p)
{
    for (size_t i = 0; i < p->count; i++) {
        struct row *r = &p->rows[i];

        for (unsigned k = 0; r->dist && k < p->runs; k++)
            dist_free(&r->dist[k]);
        free(r->dist);
        free(r->p50); /* and rate, cpu, switches behind it */
    }
    free(p->rows);
    *p = (struct plan){0};
}

/* ---- measuring ---------------------------------------------------------- */

static bool to_measure(const struct row *r)
{
    return !r->absent && !r->error;
}

size_t plan_runs(const struct plan *p)
{
    size_t cases = 0;

    for (size_t i = 0; i < p->count; i++)
        cases += to_measure(&p->rows[i]);
    return cases * p->runs;
}

double plan_seconds(const struct plan *p)
{
    return (double)plan_runs(p) * (p->seconds + RUN_OVERHEAD_S);
}

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
    case -EOPNOTSUPP: return true;
    default: return false;
    }
}

static void run_row(struct row *r, struct bench *b, unsigned round)
{
    struct run run;

    if (case_run(b, &r->c, r->subject, &run) == -EINTR)
        return;
    if (run.error) {
        r->error = run.error;
        r->expected = is_limit(run.error);
        memcpy(r->why, run.why, sizeof r->why);
        return;
    }
    r->dist[r->runs++] = run.dist;
    r->p50[round] = dist_percentile(&run.dist, P50);
    r->rate[round] = run.requests_per_s;
    r->cpu[round] = run.cpu_ns;
    r->switches[round] = run.switches;
}

int plan_measure(struct plan *p, struct bench *b, plan_progress *progress,
                 void *arg)
{
    size_t all = plan_runs(p), done = 0;
    struct turn *turns = calloc(p->count, sizeof *turns);
    uint64_t state = p->seed;

    if (!turns)
        return -ENOMEM;
    for (unsigned round = 0; round < p->runs; round++) {
        shuffle(turns, p, &state);
        for (size_t i = 0; i < p->count && !bench_interrupted(b); i++) {
            struct row *r = &p->rows[turns[i].row];

            if (!to_measure(r))
                continue; /* also when an earlier round failed */
            run_row(r, b, round);
            progress(++done, all, arg);
        }
    }
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

/* ---- what came out ------------------------------------------------------ */

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

/* A case that failed has no numbers, not even of the runs that went well. */
void plan_summary(struct summary *s, const struct plan *p,
                  const struct row *row)
{
    const struct row *bare = plan_twin(p, row, KIND_BARE, -1);
    const struct dist *d = row->dist;
    size_t n = row->error ? 0 : row->runs;
    size_t rounds = row->error ? 0 : p->runs;

    *s = (struct summary){.samples = pool_count(d, n), .syscalls = NAN};
    s->p50 = interval_of(row->p50, rounds);
    if (isnan(pool_percentile(d, n, P50)))
        s->p50 = interval_of(NULL, 0); /* too few samples for any */
    s->p90 = pool_percentile(d, n, P90);
    s->p99 = pool_percentile(d, n, P99);
    s->p999 = pool_percentile(d, n, P999);
    s->max = pool_max(d, n);
    s->mean = pool_mean(d, n);
    s->requests_per_s = interval_of(row->rate, rounds).mid;
    s->cpu_ns = interval_of(row->cpu, rounds).mid;
    s->switches = interval_of(row->switches, rounds).mid;
    s->to_bare = interval_of(NULL, 0);
    if (bare && !bare->error && row->c.kind == KIND_LAB)
        s->to_bare = interval_ratio(row->p50, bare->p50, rounds);
}

const char *error_name(int error)
{
    const char *name = strerrorname_np(-error);

    if (error == -EBADMSG)
        return "wrong reply";
    return name ? name : "unknown";
}

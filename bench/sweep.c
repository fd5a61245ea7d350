/*
 * sweep.c - which cases there are: the base tables, and one factor at a time
 *
 * Every sweep has the same base point and changes one thing of it. So what a
 * table shows comes from that one thing.
 */
#include "bare.h"
#include "peer.h"
#include "plan.h"

#include <errno.h>
#include <string.h>

#define SHORT_S   0.05  /* what hardly varies needs no long runs */
#define ALONE_MAX 16384 /* one process can't fill a pipe and empty it */
#define LONG_RUNS 6     /* of a case whose run is long */
#define PEER_S    0.2   /* the text file takes milliseconds */
#define STALL_US  10000
#define WORK_US   1000
#define BASE_SIZE 128
#define ADD_SIZE  32

const char *const sweep_names[SWEEP_COUNT] = {
    "base", "size", "clients", "depth",  "think",
    "work", "rate", "sync",    "events", "peers"};

static bool has(unsigned mask, unsigned value)
{
    return mask >> value & 1;
}

/* ---- the base tables ---------------------------------------------------- */

/*
 * Two that spin on one CPU take turns by time slice: a thousand times slower,
 * whatever the mechanism. shm shows it for all, unless it is all that was
 * asked for.
 */
static bool worth_it(const struct choice *ch, const struct conditions *c)
{
    if (c->wait != TP_SPIN || c->place != PLACE_SAME)
        return true;
    return strcmp(c->transport, "shm") == 0 ||
           (ch->waits == 1u << TP_SPIN && ch->places == 1u << PLACE_SAME);
}

/* Could the mechanism's ping-pong do the same work? */
static bool bare_fits(const struct conditions *c)
{
    return bare_exists(c->transport) && c->wait != TP_ADAPT &&
           c->clients == 1 && c->depth == 1 && !c->work_us && !c->stall_us &&
           c->op != OP_LIST && c->op != OP_ADD &&
           !(c->wait == TP_SPIN && c->place == PLACE_SAME);
}

/* A case whose system calls are counted as well. */
static int add_counted(struct plan *p, const struct conditions *c,
                       enum sweep sweep, double value, unsigned group)
{
    struct row *r = plan_add(p, c, sweep, value, group);

    if (!r)
        return -ENOMEM;
    r->count = c->clients == 1 && c->depth == 1 && c->rate == 0 &&
               c->deadline_ms < 0 && c->kind != KIND_ALONE;
    return 0;
}

static int add_base(struct plan *p, const struct conditions *c, unsigned group)
{
    return add_counted(p, c, SWEEP_BASE, (double)c->size, group);
}

/* For the breakdown: the same system calls with nobody to wait for, with all
 * bytes and with one. */
static int add_alone(struct plan *p, const struct conditions *base,
                     unsigned group)
{
    struct conditions c = *base;
    int err;

    c.kind = KIND_ALONE;
    c.seconds = SHORT_S;
    err = add_base(p, &c, group);
    c.op = OP_RAW;
    c.size = 1;
    return err ? err : add_base(p, &c, group);
}

/* One transport under one wait and placement: the lab without a deadline, with
 * one, and the floor. Spinning with a deadline isn't how anybody works. */
static int add_group(struct plan *p, const struct choice *ch,
                     const struct conditions *base, unsigned group)
{
    struct conditions c = *base;
    int err = 0;

    if (ch->plain)
        err = add_base(p, &c, group);
    c.deadline_ms = ch->deadline_ms;
    if (!err && c.wait != TP_SPIN && c.place != PLACE_FREE &&
        c.deadline_ms >= 0 && c.kind == KIND_LAB)
        err = add_base(p, &c, group);
    c.deadline_ms = -1;
    c.kind = KIND_BARE;
    if (!err && ch->plain && bare_fits(&c) && base->kind == KIND_LAB)
        err = add_base(p, &c, group);
    if (!err && ch->plain && ch->count && bare_fits(&c) && c.wait == TP_BLOCK &&
        c.place == PLACE_SAME && c.size <= ALONE_MAX)
        err = add_alone(p, &c, group);
    return err;
}

/* For the breakdown: what being woken costs, by itself. */
static int add_tokens(struct plan *p, const struct choice *ch,
                      const struct conditions *base, unsigned group)
{
    struct conditions c = *base;
    int err;

    c.transport = BARE_TOKEN;
    c.op = OP_RAW;
    c.size = BARE_TOKEN_SIZE;
    c.kind = KIND_ALONE;
    c.seconds = SHORT_S;
    c.place = PLACE_SAME;
    err = add_base(p, &c, group);
    c.kind = KIND_BARE;
    c.seconds = 0;
    for (unsigned place = 0; place < PLACE_FREE && !err; place++) {
        c.place = (enum place)place;
        if (has(ch->places, place))
            err = add_base(p, &c, group);
    }
    return err;
}

static struct conditions base_conditions(const struct choice *ch)
{
    return (struct conditions){.op = ch->op,
                               .size = ch->size,
                               .clients = ch->clients,
                               .depth = ch->depth,
                               .events = ch->events,
                               .think_us = ch->think_us,
                               .work_us = ch->work_us,
                               .stall_us = ch->stall_us,
                               .rate = ch->rate,
                               .sync = ch->sync,
                               .deadline_ms = -1};
}

static enum kind kind_of(const char *transport)
{
    return tp_find(transport) ? KIND_LAB : KIND_PEER;
}

static int add_places(struct plan *p, const struct choice *ch,
                      struct conditions *c, unsigned *group)
{
    int err = 0;

    for (unsigned place = 0; place < PLACE_COUNT; place++)
        for (size_t i = 0; i < ch->transport_count && !err; i++) {
            c->transport = ch->transports[i];
            c->kind = kind_of(c->transport);
            c->place = (enum place)place;
            if (has(ch->places, place) && strcmp(c->transport, "none") != 0 &&
                (c->kind == KIND_LAB || c->wait == TP_BLOCK) && worth_it(ch, c))
                err = add_group(p, ch, c, (*group)++);
        }
    return err;
}

static bool none_fits(const struct conditions *c)
{
    return c->clients == 1 && c->depth == 1 && !c->work_us && !c->stall_us &&
           c->op != OP_RAW && c->op != OP_ADD;
}

static int base_tables(struct plan *p, const struct choice *ch, unsigned *group)
{
    struct conditions c = base_conditions(ch);
    bool none = false;
    int err = 0;

    for (size_t i = 0; i < ch->transport_count; i++)
        none |= strcmp(ch->transports[i], "none") == 0;
    if (none && none_fits(&c)) {
        c.transport = "none";
        c.kind = KIND_NONE;
        err = add_base(p, &c, (*group)++);
        if (!err && ch->count && has(ch->waits, TP_BLOCK) && ch->plain)
            err = add_tokens(p, ch, &c, (*group)++);
    }
    for (unsigned wait = TP_BLOCK; wait <= TP_ADAPT && !err; wait++) {
        c.wait = (enum tp_wait)wait;
        if (has(ch->waits, wait))
            err = add_places(p, ch, &c, group);
    }
    return err;
}

/* ---- one factor at a time ----------------------------------------------- */

/* The base point, whatever the base tables were asked for. */
static const struct conditions base_point = {.kind = KIND_LAB,
                                             .wait = TP_BLOCK,
                                             .place = PLACE_SAME,
                                             .op = OP_GET,
                                             .deadline_ms = -1,
                                             .size = BASE_SIZE,
                                             .clients = 1,
                                             .depth = 1,
                                             .events = CASE_EVENTS};

/* The same value for each of the five that was chosen, as one group. */
static int add_five(struct plan *p, const struct choice *ch,
                    const struct conditions *base, enum sweep sweep,
                    double value, unsigned *group)
{
    struct conditions c = *base;

    for (size_t i = 0; i < ch->transport_count; i++) {
        struct row *r;

        c.transport = ch->transports[i];
        if (!tp_find(c.transport))
            continue;
        r = plan_add(p, &c, sweep, value, *group);
        if (!r)
            return -ENOMEM;
        if (c.seconds > 0.5 && r->runs > LONG_RUNS)
            r->runs = LONG_RUNS;
    }
    ++*group;
    return 0;
}

/* Around each edge: a page, PIPE_BUF and the largest FIFO message (4,096), the
 * largest message of a queue (8,192), a pipe's capacity (65,536). */
static int sweep_size(struct plan *p, const struct choice *ch, unsigned *group)
{
    static const size_t sizes[] = {1,      16,     64,     128,    256,   512,
                                   1024,   2048,   4095,   4096,   4097,  8192,
                                   8193,   16384,  32768,  65535,  65536, 65537,
                                   131072, 262144, 524288, 1048576};
    struct conditions c = base_point;
    int err = 0;

    c.op = OP_RAW;
    c.seconds = SHORT_S;
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (size_t i = 0; i < ch->transport_count && !err; i++) {
            c.size = sizes[s];
            c.transport = ch->transports[i];
            if (!tp_find(c.transport))
                continue;
            for (c.kind = KIND_LAB; c.kind <= KIND_BARE && !err; c.kind++)
                if (!plan_add(p, &c, SWEEP_SIZE, (double)c.size, *group))
                    err = -ENOMEM;
            ++*group;
        }
    return err;
}

/* Long enough for a thousand requests of each client: else no p99. */
static int sweep_clients(struct plan *p, const struct choice *ch,
                         unsigned *group)
{
    struct conditions c = base_point;
    int err = 0;

    for (c.clients = 1; c.clients <= TP_CLIENTS_MAX && !err; c.clients *= 2) {
        c.seconds = c.clients < 5 ? 0.1 : 0.028 * c.clients;
        err = add_five(p, ch, &c, SWEEP_CLIENTS, c.clients, group);
    }
    return err;
}

static int sweep_depth(struct plan *p, const struct choice *ch, unsigned *group)
{
    struct conditions c = base_point;
    int err = 0;

    for (c.depth = 1; c.depth <= TP_DEPTH_MAX && !err; c.depth *= 2)
        err = add_five(p, ch, &c, SWEEP_DEPTH, c.depth, group);
    return err;
}

static int sweep_think(struct plan *p, const struct choice *ch, unsigned *group)
{
    static const unsigned think_us[] = {0, 100, 1000, 10000};
    static const double seconds[] = {0.1, 0.1, 0.3, 0.8};
    struct conditions c = base_point;
    int err = 0;

    for (size_t i = 0; i < sizeof think_us / sizeof think_us[0] && !err; i++) {
        c.think_us = think_us[i];
        c.seconds = seconds[i];
        err = add_five(p, ch, &c, SWEEP_THINK, c.think_us, group);
    }
    return err;
}

static int sweep_work(struct plan *p, const struct choice *ch, unsigned *group)
{
    struct conditions c = base_point;
    int err = add_five(p, ch, &c, SWEEP_WORK, 0, group);

    c.work_us = WORK_US;
    c.seconds = 0.3;
    return err ? err : add_five(p, ch, &c, SWEEP_WORK, WORK_US, group);
}

/* Rate 0 is the closed loop beside it. */
static int sweep_rate(struct plan *p, const struct choice *ch, unsigned *group)
{
    static const double rates[] = {0, 1000, 5000, 20000, 50000};
    struct conditions c = base_point;
    int err = 0;

    c.seconds = 0.4;
    for (size_t i = 0; i < sizeof rates / sizeof rates[0] && !err; i++) {
        c.rate = rates[i];
        err = add_five(p, ch, &c, SWEEP_RATE, c.rate, group);
    }
    c.stall_us = STALL_US;
    for (size_t i = 0; i < 3 && !err; i++) {
        c.rate = rates[i];
        err = add_five(p, ch, &c, SWEEP_RATE, c.rate, group);
    }
    return err;
}

static int sweep_sync(struct plan *p, const struct choice *ch, unsigned *group)
{
    struct conditions c = base_point;
    int err;

    c.op = OP_ADD;
    c.size = ADD_SIZE;
    err = add_five(p, ch, &c, SWEEP_SYNC, 0, group);
    c.sync = true;
    return err ? err : add_five(p, ch, &c, SWEEP_SYNC, 1, group);
}

/* The direct call as well: there the store is nearly all there is. */
static int sweep_events(struct plan *p, const struct choice *ch,
                        unsigned *group)
{
    struct conditions c = base_point;
    int err = 0;

    c.seconds = SHORT_S;
    for (c.events = 1000; c.events <= 1000000 && !err; c.events *= 10)
        for (int list = 0; list < 2 && !err; list++) {
            struct conditions none;

            c.op = list ? OP_LIST : OP_GET;
            c.size = list ? LIST_SIZE : BASE_SIZE;
            none = c;
            none.kind = KIND_NONE;
            none.transport = "none";
            if (!plan_add(p, &none, SWEEP_EVENTS, c.events, *group))
                return -ENOMEM;
            err = add_five(p, ch, &c, SWEEP_EVENTS, c.events, group);
        }
    return err;
}

static int sweep_peers(struct plan *p, const struct choice *ch, unsigned *group)
{
    struct conditions c = base_point;
    int err = 0;

    (void)ch;
    c.seconds = PEER_S;
    for (unsigned place = PLACE_SAME; place <= PLACE_CROSS && !err; place++) {
        c.place = (enum place)place;
        c.kind = KIND_LAB;
        c.transport = "socket"; /* the lab's, to compare with */
        err = add_counted(p, &c, SWEEP_PEERS, 0, *group);
        c.kind = KIND_PEER;
        for (size_t i = 0; peer_names[i] && !err; i++) {
            c.transport = peer_names[i];
            err = add_counted(p, &c, SWEEP_PEERS, (double)i + 1, *group);
        }
        ++*group;
    }
    return err;
}

int sweep_add(struct plan *p, const struct choice *choice, enum sweep sweep)
{
    static int (*const sweeps[SWEEP_COUNT])(
        struct plan *, const struct choice *, unsigned *) = {
        base_tables, sweep_size, sweep_clients, sweep_depth,  sweep_think,
        sweep_work,  sweep_rate, sweep_sync,    sweep_events, sweep_peers};
    unsigned group = p->count ? p->rows[p->count - 1].group + 1 : 1;

    return sweeps[sweep](p, choice, &group);
}

/*
 * measure.c - see measure.h
 *
 *   loops     closed, pipelined, open: what is timed
 *   costs     CPU time and switches, asked from the kernel beside the loops
 *   client    join, meet the others, warm up, measure, cool down, leave
 */
#include "measure.h"

#include "clock.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S   1000000000
#define MEET_NS    1000000 /* from the last one's arrival to the begin */
#define POLL_NS    200000  /* how long one client sleeps to wait for others */
#define BACKLOG_S  2       /* an open loop may end so much later than planned */
#define COUNTING_S 0.1     /* the longest counting run */

/* ---- loops -------------------------------------------------------------- */

/* When one of them ends, and whether its samples are kept. */
struct stretch {
    int64_t from, until;
    uint32_t most; /* samples; 0 = none is kept, and no limit */
    uint32_t n;    /* samples taken */
};

static void sleep_ns(int64_t ns)
{
    struct timespec t = {ns / NS_PER_S, ns % NS_PER_S};

    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL); /* or a signal */
}

static bool told_to_stop(const struct meter *m)
{
    return atomic_load_explicit(&m->sh->stop, memory_order_relaxed);
}

static uint32_t clipped(int64_t ns)
{
    return ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
}

/* One sample. In a stretch that keeps none it is written all the same, so that
 * warm-up and measuring do the same work. True while there is room. */
static bool keep(struct meter *m, struct stretch *s, int64_t ns)
{
    m->sample[s->n] = clipped(ns);
    s->n += s->most > 0;
    return s->most == 0 || s->n < s->most;
}

/* The next request leaves when the reply to the last is there. */
static int closed_loop(struct meter *m, struct stretch *s)
{
    int64_t think_ns = (int64_t)m->c->think_us * 1000;
    int64_t from, to;
    bool room;
    int err;

    do {
        if (think_ns > 0)
            sleep_ns(think_ns);
        from = clock_now_ns();
        err = m->subject->call(m->self);
        to = clock_now_ns();
        if (!err)
            err = m->subject->check(m->self);
        if (err)
            return err;
        room = keep(m, s, to - from);
    } while (to < s->until && room && !told_to_stop(m));
    return 0;
}

/* `depth` requests are always under way. Ends with none. */
static int pipelined_loop(struct meter *m, struct stretch *s)
{
    int64_t sent[TP_DEPTH_MAX], to = 0;
    unsigned posted = 0, taken = 0;
    bool going = true, room = true;
    int err = 0;

    while (going || taken != posted) {
        while (going && posted - taken < m->c->depth && !err) {
            sent[posted++ % TP_DEPTH_MAX] = clock_now_ns();
            err = m->subject->post(m->self);
        }
        if (!err)
            err = m->subject->take(m->self);
        to = clock_now_ns();
        if (!err)
            err = m->subject->check(m->self);
        if (err)
            return err;
        /* The last ones count as well: their time does. */
        room = room && keep(m, s, to - sent[taken % TP_DEPTH_MAX]);
        taken++;
        going = going && room && to < s->until && !told_to_stop(m);
    }
    return 0;
}

/*
 * Requests are due at fixed times, whatever became of the last one: as users
 * come who don't know of each other. A request that can't leave in time is
 * late from the moment it was due. It waits for that moment by looking at the
 * clock: a timer would wake it tens of microseconds late.
 */
static int open_loop(struct meter *m, struct stretch *s)
{
    int64_t step = (int64_t)((double)NS_PER_S * m->c->clients / m->c->rate);
    int64_t due = s->from + step * m->index / m->c->clients;
    int64_t from, to;
    bool room = true;
    int err;

    for (; due < s->until && room && !told_to_stop(m); due += step) {
        do
            from = clock_now_ns();
        while (from < due);
        err = m->subject->call(m->self);
        to = clock_now_ns();
        if (!err)
            err = m->subject->check(m->self);
        if (err)
            return err;
        if (to > s->until + (int64_t)BACKLOG_S * NS_PER_S)
            return -EOVERFLOW;
        m->service[s->n] = clipped(to - from);
        room = keep(m, s, to - due);
    }
    return 0;
}

static int loop(struct meter *m, struct stretch *s)
{
    if (m->c->rate > 0)
        return open_loop(m, s);
    return m->c->depth > 1 ? pipelined_loop(m, s) : closed_loop(m, s);
}

/* ---- costs -------------------------------------------------------------- */

struct cost {
    int64_t cpu_ns, voluntary, involuntary;
};

/* User and system time of a process, ns. Exact, and can be asked from outside:
 * getrusage(2) tells only about oneself. */
static int64_t cpu_time(pid_t pid)
{
    struct timespec t;
    clockid_t clock;

    if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &t) < 0)
        return 0;
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* Adds the context switches of one thread so far: false when /proc can't
 * tell. */
static bool add_thread(const char *path, struct cost *sum)
{
    char line[128];
    long long value;
    bool both = false;
    FILE *f = fopen(path, "r");

    if (!f)
        return false;
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "voluntary_ctxt_switches: %lld", &value) == 1)
            sum->voluntary += value;
        if (sscanf(line, "nonvoluntary_ctxt_switches: %lld", &value) == 1) {
            sum->involuntary += value;
            both = true;
        }
    }
    (void)fclose(f); /* only read */
    return both;
}

/* Of all threads of a process: some peers work in threads of their own. Very
 * negative when /proc can't tell. */
static void add_switches(pid_t pid, struct cost *sum)
{
    char path[64 + NAME_MAX];
    const struct dirent *task;
    bool known = false;
    DIR *dir;

    (void)snprintf(path, sizeof path, "/proc/%ld/task", (long)pid);
    dir = opendir(path);
    while (dir && (task = readdir(dir)) != NULL) {
        if (task->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, "/proc/%ld/task/%s/status", (long)pid,
                       task->d_name);
        known |= add_thread(path, sum); /* it may have ended meanwhile */
    }
    if (dir)
        (void)closedir(dir);
    if (!known)
        sum->voluntary = sum->involuntary = INT64_MIN / 2;
}

/* The CPU clocks are read next to the loop, on both sides of it: looking into
 * /proc takes longer than some runs' requests. */
static struct cost switches_so_far(const struct meter *m)
{
    struct cost sum = {0};

    add_switches(getpid(), &sum);
    if (m->index == 0 && m->sh->server)
        add_switches(m->sh->server, &sum);
    return sum;
}

static int64_t cpu_so_far(const struct meter *m)
{
    int64_t mine = cpu_time(getpid());

    return m->index == 0 && m->sh->server ? mine + cpu_time(m->sh->server)
                                          : mine;
}

static int measured_stretch(struct meter *m, int64_t until)
{
    struct tally *t = &m->sh->client[m->index];
    struct cost before = switches_so_far(m), after;
    int64_t cpu_ns = cpu_so_far(m);
    struct stretch s = {
        .from = clock_now_ns(), .until = until, .most = m->capacity};
    int err = loop(m, &s);

    t->elapsed_ns = clock_now_ns() - s.from;
    t->cpu_ns = cpu_so_far(m) - cpu_ns;
    after = switches_so_far(m);
    t->voluntary = after.voluntary - before.voluntary;
    t->involuntary = after.involuntary - before.involuntary;
    if (before.voluntary < 0 || after.voluntary < 0)
        t->voluntary = t->involuntary = -1;
    t->count = s.n;
    return err;
}

/* ---- a client's life ---------------------------------------------------- */

/* Touch every page the loop will write: a first touch is a page fault, and
 * fork doesn't pass on the page table entries of shared memory. */
static void touch(uint32_t *sample, uint32_t n)
{
    volatile uint32_t *at = sample;

    for (uint32_t i = 0; at && i < n; i += 256) /* 1 KiB: any page size */
        at[i] = 0;
}

/* Wait until all have joined; the last one says when it begins. */
static int meet(struct meter *m)
{
    struct shared *sh = m->sh;
    int64_t left;

    if (atomic_fetch_add(&sh->joined, 1) + 1 == m->c->clients)
        atomic_store(&sh->begin, clock_now_ns() + MEET_NS);
    while (atomic_load(&sh->begin) == 0 && !told_to_stop(m))
        sleep_ns(POLL_NS);
    left = atomic_load(&sh->begin) - clock_now_ns();
    if (left > 0)
        sleep_ns(left);
    return told_to_stop(m) ? -ECANCELED : 0;
}

static int plain_stretch(struct meter *m, int64_t until)
{
    struct stretch s = {.from = clock_now_ns(), .until = until};

    return loop(m, &s);
}

static int64_t after_begin(const struct meter *m, double seconds)
{
    return atomic_load(&m->sh->begin) + (int64_t)(seconds * NS_PER_S);
}

static int measure_all(struct meter *m)
{
    int64_t end = after_begin(m, RUN_WARMUP_S + m->seconds);
    int err = plain_stretch(m, after_begin(m, RUN_WARMUP_S));

    if (!err)
        err = measured_stretch(m, end);
    /* Others may still measure: whoever is done goes on working. */
    if (!err)
        err = plain_stretch(m, end + (int64_t)(RUN_COOLDOWN_S * NS_PER_S));
    return err;
}

static void await_phase(struct meter *m, enum phase phase)
{
    while (atomic_load(&m->sh->phase) < (int)phase && !told_to_stop(m))
        sleep_ns(POLL_NS);
}

/* A spinning server goes on asking while ipcbench starts and ends counting:
 * stopped, it asks nothing. (One that sleeps makes no calls anyway, and a stop
 * would wake it.) */
static void hold_server(const struct meter *m, int sig)
{
    if (m->sh->server && m->c->wait == TP_SPIN)
        (void)kill(m->sh->server, sig); /* its parent's child, still there */
}

/* Instead of measuring: a known number of requests while ipcbench counts. */
static int be_counted(struct meter *m)
{
    struct stretch s = {.most = COUNT_REQUESTS};
    int err = plain_stretch(m, after_begin(m, RUN_WARMUP_S / 4));

    hold_server(m, SIGSTOP);
    atomic_store(&m->sh->phase, PHASE_READY);
    await_phase(m, PHASE_COUNTED);
    hold_server(m, SIGCONT);
    s.from = clock_now_ns();
    s.until = s.from + (int64_t)(COUNTING_S * NS_PER_S);
    if (!err)
        err = loop(m, &s);
    hold_server(m, SIGSTOP);
    m->sh->client[m->index].count = s.n;
    atomic_store(&m->sh->phase, PHASE_DONE);
    await_phase(m, PHASE_OVER);
    hold_server(m, SIGCONT);
    return err;
}

/* The last one tells the server; so it waits until all others have done. */
static void leave(struct meter *m)
{
    pid_t server = m->sh->server;

    if (m->index > 0)
        server = 0;
    else
        while (atomic_load(&m->sh->left) + 1 < m->c->clients &&
               !told_to_stop(m))
            sleep_ns(POLL_NS);
    m->subject->leave(m->self, server);
    atomic_fetch_add(&m->sh->left, 1);
}

static int work(struct meter *m)
{
    struct tally *t = &m->sh->client[m->index];
    int err;

    (void)prctl(PR_SET_TIMERSLACK, 1UL); /* sleep as long as was said */
    err = m->subject->join(m->self, m->index, t->why);
    if (err)
        return err;
    touch(m->sample, m->capacity);
    touch(m->service, m->capacity);
    err = meet(m);
    if (!err)
        err = m->sh->counting ? be_counted(m) : measure_all(m);
    leave(m);
    return err;
}

void measure_client(struct meter *m)
{
    struct tally *t = &m->sh->client[m->index];

    t->error = work(m);
    if (t->error) /* the others needn't wait for this one */
        atomic_store(&m->sh->stop, true);
}

uint32_t client_samples(struct shared *sh, uint32_t total,
                        const struct conditions *c, unsigned index,
                        uint32_t **sample, uint32_t **service)
{
    unsigned parts = c->rate > 0 ? 2 : 1;
    uint32_t each = total / (c->clients * parts);

    *sample = sh->sample + (size_t)index * parts * each;
    *service = parts == 2 ? *sample + each : NULL;
    return each;
}

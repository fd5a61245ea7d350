/*
 * soak_run.c - who comes, who goes, who dies: the soak test's own part
 *
 *      soak_run      a server after the other, until the time is over
 *        live          work, roll call, work, ... and its end
 *          tick          every 2 ms: who has ended, who is to be stopped or
 *                        killed now; every second: a sample
 *
 * Nobody here waits without ticking: so a client that was stopped goes on, and
 * one that hangs is seen, whatever else is going on.
 *
 * System calls: fork, kill, waitpid, prctl.
 */
#include "soak.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define TICK_MS    2
#define TRANSPORTS 8
#define GAP        (2 * SEC) /* longer, and we were stopped ourselves */
#define LONG_GAP   (5 * SEC) /* the same, where one step may take long */
#define SOON       (8 * SEC) /* "at once", for a loaded machine */
#define QUIET      (300 * (int64_t)NS_PER_MS)
#define NOTICE     (5 * SEC)                /* until all who left are noticed */
#define BUFFERS    (4 * SLOTS + PIPE_SEATS) /* that a server may come to need */
#define EVENT_SIZE 120 /* about what malloc gives for an event */

/* Who sits there, as we know it. */
struct seat {
    pid_t pid; /* 0 = nobody */
    const struct transport *t;
    unsigned life;
    int64_t kill_at, stop_at, go_at; /* 0 = never */
    bool killed, stopped;
};

struct run {
    unsigned seconds;
    bool sync;
    int64_t begin, end; /* ns; the end moves while we are stopped */
    int64_t sampled;    /* when */
    uint64_t random;
    const struct transport *usable[TRANSPORTS]; /* that have names */
    unsigned usable_count;
    struct seat seat[SEATS];
    unsigned serial; /* clients forked so far */

    pid_t server; /* 0 = none is running */
    bool told;    /* to end */
    int status;   /* of the one that has ended */
    int64_t ended_at;
    pid_t looking; /* the one who looks whether all is there */

    struct hand first; /* of this server, when nobody has come yet */
    unsigned pipes;    /* channels in use then */
    long long large;   /* pieces of its heap then */
    long long small;   /* these three at its last roll call */
    unsigned long long clients;
    unsigned events;

    struct totals *t;
};

static int64_t some(struct run *r, int64_t least, int64_t more)
{
    return least + (int64_t)soak_below(&r->random, (uint64_t)more);
}

/* ---- a client comes ------------------------------------------------------ */

static bool has_name(const struct transport *t)
{
    return t->caps & TP_NAMED;
}

static unsigned sitting(const struct run *r, const struct transport *t)
{
    unsigned n = 0;

    for (unsigned i = 0; i < SEATS; i++)
        n += r->seat[i].pid != 0 && r->seat[i].t == t;
    return n;
}

static void find_usable(struct run *r)
{
    char why[200];

    for (int i = 0; tp_all[i] != NULL && r->usable_count < TRANSPORTS; i++)
        if (has_name(tp_all[i]) && tp_probe(tp_all[i], why, sizeof why) == 0)
            r->usable[r->usable_count++] = tp_all[i];
    if (r->usable_count == 0)
        soak_give_up("no transport with a name works here");
}

static const struct transport *some_transport(struct run *r)
{
    return r->usable[soak_below(&r->random, r->usable_count)];
}

/* In the child: what our parent does at Ctrl-C isn't our matter. */
static void be_a_child(pid_t parent)
{
    struct sigaction usual = {.sa_handler = SIG_DFL};
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    (void)sigaction(SIGTERM, &usual, NULL); /* these can't fail */
    (void)sigaction(SIGINT, &ignore, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(0); /* it died before that */
}

static pid_t start(void)
{
    pid_t parent = getpid(), pid = fork();

    if (pid < 0)
        soak_give_up("cannot fork a client");
    if (pid == 0)
        be_a_child(parent);
    return pid;
}

/* What will happen to it. Seat 0 stays, so that there is always a pipe. */
static void decide(struct run *r, unsigned i, struct visit *v)
{
    struct seat *s = &r->seat[i];
    uint64_t dice = soak_below(&r->random, 24);
    int64_t span = has_name(s->t) ? SEC / 10 : 20 * SEC;
    int64_t now = clock_now_ns();

    s->kill_at = s->stop_at = s->go_at = 0;
    if (dice < 4)
        s->stop_at = now + some(r, 0, span);
    if (dice < 4)
        s->go_at = s->stop_at + some(r, 50 * NS_PER_MS, SEC);
    else if (dice < 10 && i != 0)
        s->kill_at = now + some(r, 0, span);
    else if (dice < 13 && i != 0)
        v->slow = true;
}

static void seat_one(struct run *r, unsigned i, const struct transport *t,
                     struct tp_server *pipe_ends)
{
    struct seat *s = &r->seat[i];
    struct visit v = {.t = t,
                      .inherited = pipe_ends,
                      .seat = i,
                      .life = atomic_load(&desk->life),
                      .serial = ++r->serial};

    s->t = t;
    s->life = v.life;
    s->killed = s->stopped = false;
    decide(r, i, &v);
    if (has_name(t) && s->kill_at == 0)
        v.calls = 1 + (unsigned)soak_below(&r->random, 30);
    s->pid = start();
    if (s->pid == 0)
        soak_visit(&v);
}

/* ---- a client goes ------------------------------------------------------- */

static void let_go(struct seat *s)
{
    if (s->stopped && s->pid != 0)
        (void)kill(s->pid, SIGCONT); /* ours, and not reaped */
    s->stopped = false;
    s->stop_at = s->go_at = 0;
}

static void act(struct run *r, struct seat *s, int64_t now)
{
    if (s->kill_at != 0 && now >= s->kill_at && !atomic_load(&desk->calm)) {
        s->kill_at = 0;
        s->killed = true;
        r->t->kills++;
        (void)kill(s->pid, SIGKILL);
    } else if (s->stop_at != 0 && now >= s->stop_at) {
        s->stop_at = 0;
        s->stopped = true;
        r->t->stops++;
        atomic_fetch_add(&desk->stops[s - r->seat], 1);
        (void)kill(s->pid, SIGSTOP);
    } else if (s->stopped && now >= s->go_at) {
        let_go(s);
    }
}

/* Its server has ended, and it must have noticed long ago. */
static void drive_out(const struct run *r, struct seat *s, int64_t now)
{
    if (s->life == atomic_load(&desk->life) || s->stopped || s->killed ||
        now < r->ended_at + SOON)
        return;
    soak_check(false, WAITS,
               "a client over %s doesn't see that its server ended",
               s->t->name);
    s->killed = true;
    (void)kill(s->pid, SIGKILL);
}

static void reap_one(struct run *r, pid_t pid, int status)
{
    if (pid == r->server) {
        r->server = 0;
        r->status = status;
        r->ended_at = clock_now_ns();
        if (r->told)
            return;
        soak_check(false, SERVERS, "the server died by itself: %#x",
                   (unsigned)status);
        atomic_fetch_add(&desk->life, 1);
        return;
    }
    if (pid == r->looking) {
        r->looking = 0;
        soak_check(status == 0, WAITS, "who looked at all ended with %#x",
                   (unsigned)status);
        return;
    }
    for (unsigned i = 0; i < SEATS; i++) {
        struct seat *s = &r->seat[i];

        if (s->pid != pid)
            continue;
        soak_check(status == 0 || s->killed, WAITS,
                   "a client over %s ended with %#x", s->t->name,
                   (unsigned)status);
        s->pid = 0;
    }
}

/* ---- once in a while ----------------------------------------------------- */

static void print_line(const struct run *r, bool same_line)
{
    unsigned now = (unsigned)((clock_now_ns() - r->begin - r->t->paused) / SEC);
    struct hand h = {0};

    if (r->server != 0)
        (void)soak_in_hand(r->server, &h); /* it may be gone: then zeros */
    /* 80 columns, or it couldn't be overwritten. */
    printf("%s%u of %u s: server %u, %llu clients, %llu calls, %.1f MiB, "
           "%ld fds, %lld ms%s",
           same_line ? "\r\033[K" : "", now, r->seconds, r->t->servers,
           atomic_load(&desk->clients), atomic_load(&desk->calls),
           (double)h.rss / 1024, h.fds, atomic_load(&desk->worst) / NS_PER_MS,
           same_line ? "" : "\n");
    (void)fflush(stdout); /* for the eye only */
}

/* All that is due. A gap: nobody looked around for so long because we were
 * stopped; what the others waited meanwhile isn't the server's fault. */
static void look_around(struct run *r, int64_t gap)
{
    int64_t now = clock_now_ns(), was = atomic_load(&desk->beat);

    if (now - was > gap) {
        atomic_store(&desk->gap, now);
        r->end += now - was;
        r->t->paused += now - was;
        if (r->ended_at != 0)
            r->ended_at += now - was;
    }
    atomic_store(&desk->beat, now);
}

static void each_second(struct run *r, int64_t now)
{
    static unsigned seconds;

    if (now - r->sampled < SEC)
        return;
    r->sampled = now;
    soak_sample(r->server);
    look_around(r, LONG_GAP); /* to read all of /proc may take its time */
    seconds++;
    if (isatty(STDOUT_FILENO))
        print_line(r, true);
    else if (seconds % 60 == 0)
        print_line(r, false);
}

static void tick(struct run *r)
{
    int64_t now;
    int status;
    pid_t pid;

    soak_pause(TICK_MS * NS_PER_MS);
    look_around(r, GAP);
    now = clock_now_ns();
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        reap_one(r, pid, status);
    for (unsigned i = 0; i < SEATS; i++)
        if (r->seat[i].pid != 0) {
            act(r, &r->seat[i], now);
            drive_out(r, &r->seat[i], now);
        }
    each_second(r, now);
}

/* Tick until nobody sits in seats from..to, but for the pipe's clients of the
 * server that lives. */
static unsigned still_there(const struct run *r, unsigned from, unsigned to)
{
    unsigned n = 0;

    for (unsigned i = from; i < to; i++)
        n += r->seat[i].pid != 0 &&
             (has_name(r->seat[i].t) || r->server == 0 ||
              r->seat[i].life != atomic_load(&desk->life));
    return n;
}

static void await_leaving(struct run *r, unsigned from, unsigned to)
{
    int64_t begin = clock_now_ns() - r->t->paused;

    for (unsigned i = from; i < to; i++)
        let_go(&r->seat[i]);
    while (still_there(r, from, to) > 0 &&
           clock_now_ns() - r->t->paused - begin < SOON)
        tick(r);
    soak_check(still_there(r, from, to) == 0, WAITS,
               "%u clients don't leave when they should",
               still_there(r, from, to));
    for (unsigned i = from; i < to; i++)
        if (r->seat[i].pid != 0 && still_there(r, i, i + 1) > 0) {
            r->seat[i].killed = true;
            (void)kill(r->seat[i].pid, SIGKILL);
            while (r->seat[i].pid != 0)
                tick(r);
        }
}

/* ---- a roll call --------------------------------------------------------- */

/* Is everything there that was acknowledged? Seats in which somebody still
 * sits whose server has ended are left out. */
static void look(struct run *r)
{
    const struct transport *t = some_transport(r);
    int64_t begin = clock_now_ns() - r->t->paused;
    uint64_t busy = 0;

    for (unsigned i = 0; i < SEATS; i++)
        if (r->seat[i].pid != 0 && r->seat[i].life != atomic_load(&desk->life))
            busy |= UINT64_C(1) << i;
    r->t->looks++;
    r->looking = start();
    if (r->looking == 0)
        soak_look(t, atomic_load(&desk->life), busy);
    while (r->looking != 0 && clock_now_ns() - r->t->paused - begin < 4 * SOON)
        tick(r);
    soak_check(r->looking == 0, WAITS, "looking at all events hangs");
}

/* What the server has in hand when it has noticed that all have left: `want`
 * descriptors; -1 = not known yet, then as many as stay so for a while. */
static void settle(struct run *r, long want, struct hand *h)
{
    int64_t begin = clock_now_ns() - r->t->paused, since = begin, now = begin;
    long was = -1;

    while (r->server != 0 && now - begin < NOTICE) {
        long fds = soak_fds(r->server);

        if (fds != was)
            since = now;
        was = fds;
        if ((want < 0 || fds == want) && now - since > QUIET)
            break;
        tick(r);
        now = clock_now_ns() - r->t->paused;
    }
    if (r->server == 0 || soak_in_hand(r->server, h) != 0)
        *h = (struct hand){0};
}

/* A new server, to which only the pipe's clients have come: what it has in
 * hand now is right for its roll calls. */
static void first_call(struct run *r)
{
    settle(r, -1, &r->first);
    r->pipes = sitting(r, tp_find("pipe"));
    r->large = atomic_load(&desk->heap.large);
    r->small = atomic_load(&desk->heap.small);
    r->clients = atomic_load(&desk->clients);
    r->events = soak_living();
}

static void compare(struct run *r, long want, const struct hand *h)
{
    long long small = atomic_load(&desk->heap.small);
    long long large = atomic_load(&desk->heap.large);
    unsigned long long clients = atomic_load(&desk->clients);
    unsigned events = soak_living();

    soak_check(h->fds == want, SERVERS,
               "roll call: %ld descriptors instead of %ld", h->fds, want);
    soak_check(h->threads == r->first.threads, SERVERS,
               "roll call: %ld threads instead of %ld", h->threads,
               r->first.threads);
    soak_check(large <= r->large + BUFFERS, SERVERS,
               "roll call: %lld large pieces of the heap, %lld at the start",
               large, r->large);
    soak_sample_heap(small - r->small -
                         ((long long)events - (long long)r->events) *
                             EVENT_SIZE,
                     clients - r->clients);
    r->small = small;
    r->clients = clients;
    r->events = events;
    r->t->roll_calls++;
}

/* They stand still until the next `work`. */
static void roll_call(struct run *r)
{
    struct hand h;
    long want;

    atomic_store(&desk->calm, true);
    for (unsigned i = 0; i < PIPE_SEATS; i++)
        let_go(&r->seat[i]);
    await_leaving(r, 0, SEATS);
    look(r);
    want =
        r->first.fds - 2 * ((long)r->pipes - (long)sitting(r, tp_find("pipe")));
    settle(r, want, &h);
    if (r->first.fds != 0 && h.fds != 0)
        compare(r, want, &h);
}

/* ---- a server's life ----------------------------------------------------- */

/* It starts while clients of the one before may still be there. Who will have
 * a pipe is forked first: who comes later must not have its ends. */
static bool begin_life(struct run *r)
{
    struct tp_server *pipe_ends = NULL;
    int64_t begin, took;

    await_leaving(r, 0, PIPE_SEATS);
    look_around(r, GAP);
    begin = clock_now_ns();
    r->server = soak_serve(&pipe_ends, r->sync);
    took = clock_now_ns() - begin;
    look_around(r, LONG_GAP);
    soak_check(r->server != 0, SERVERS, "server %u doesn't start",
               r->t->servers + 1);
    if (r->server != 0) {
        if (took > r->t->slowest_start && took < LONG_GAP)
            r->t->slowest_start = took;
        r->t->servers++;
        r->told = false;
        atomic_store(&desk->calm, true);
        for (unsigned i = 0; i < PIPE_SEATS; i++)
            seat_one(r, i, tp_find("pipe"), pipe_ends);
    }
    tp_srv_drop(pipe_ends);
    if (r->server == 0)
        return false;
    (void)soak_names(NULL); /* it learns them */
    soak_sample_start();
    look(r);
    first_call(r);
    return true;
}

static void end_life(struct run *r, int signal_number)
{
    int64_t begin = clock_now_ns(), paused = r->t->paused, took;

    if (r->server == 0)
        return; /* it has died by itself, and that was said */
    r->told = true;
    r->ended_at = begin;
    atomic_fetch_add(&desk->life, 1); /* before: then every -EPIPE is right */
    (void)kill(r->server, signal_number);
    *(signal_number == SIGKILL ? &r->t->server_kills : &r->t->terms) += 1;
    while (r->server != 0 &&
           clock_now_ns() - begin - (r->t->paused - paused) < SOON)
        tick(r);
    took = clock_now_ns() - begin - (r->t->paused - paused);
    soak_check(r->server == 0, WAITS, "the server doesn't end at SIGTERM");
    if (r->server != 0) {
        (void)kill(r->server, SIGKILL);
        while (r->server != 0)
            tick(r);
    } else if (signal_number == SIGTERM) {
        soak_check(r->status == 0, SERVERS,
                   "SIGTERM: the server ended with %#x", (unsigned)r->status);
        if (took > r->t->slowest_end)
            r->t->slowest_end = took;
    }
}

static bool goes_on(const struct run *r)
{
    return !atomic_load(&soak_over) && clock_now_ns() < r->end;
}

static void fill_seats(struct run *r)
{
    for (unsigned i = 0; i < SEATS; i++)
        if (r->seat[i].pid == 0) {
            look_around(r, GAP); /* 64 forks take their time */
            seat_one(r, i, some_transport(r), NULL);
        }
}

static void work(struct run *r, int64_t ns)
{
    int64_t end = clock_now_ns() + ns;

    atomic_store(&desk->calm, false);
    while (goes_on(r) && clock_now_ns() < end && r->server != 0) {
        fill_seats(r);
        tick(r);
    }
}

static void live(struct run *r)
{
    int64_t most = r->seconds < 180 ? 1 + r->seconds / 6 : 30;
    int64_t end = clock_now_ns() + some(r, 3 * SEC, most * SEC);
    int64_t stretch = r->seconds < 60 ? 2 : 8;

    while (goes_on(r) && clock_now_ns() < end && r->server != 0) {
        work(r, some(r, 2 * SEC, stretch * SEC));
        if (r->server != 0 && goes_on(r))
            roll_call(r);
    }
    if (r->server != 0)
        work(r, some(r, 1, SEC / 2));
    if (goes_on(r))
        end_life(r, soak_below(&r->random, 2) == 0 ? SIGKILL : SIGTERM);
}

/* What was asked for last, and whoever asked was killed: ask for it again. */
static void ask_for_the_rest(struct run *r)
{
    for (unsigned i = 0; i < SEATS; i++) {
        struct seat *s = &r->seat[i];
        struct visit v = {.t = some_transport(r),
                          .seat = i,
                          .life = atomic_load(&desk->life),
                          .serial = ++r->serial,
                          .last = true};

        if (s->pid != 0 || !atomic_load(&desk->book[i].asked))
            continue;
        *s = (struct seat){.t = v.t, .life = v.life, .pid = start()};
        if (s->pid == 0)
            soak_visit(&v);
        await_leaving(r, i, i + 1);
    }
}

/* The last one ends in peace: then nothing may be left. */
static void finish(struct run *r)
{
    long left;

    if (r->server != 0)
        roll_call(r);
    atomic_store(&desk->calm, true);
    if (r->server != 0)
        ask_for_the_rest(r);
    if (r->server != 0)
        look(r);
    end_life(r, SIGTERM);
    await_leaving(r, 0, SEATS);
    left = soak_names(NULL);
    soak_check(left == 0, SERVERS, "%ld names are left at the end", left);
    soak_check(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD, SERVERS,
               "a process is left at the end");
}

void soak_run(unsigned seconds, bool sync, struct totals *t)
{
    struct run r = {.seconds = seconds,
                    .sync = sync,
                    .random = (desk->seed + 1) * UINT64_C(0x9e3779b97f4a7c15),
                    .begin = clock_now_ns(),
                    .t = t};

    r.end = r.begin + (int64_t)seconds * SEC;
    find_usable(&r);
    atomic_store(&desk->beat, r.begin);
    while (goes_on(&r) && begin_life(&r))
        live(&r);
    finish(&r);
}

/*
 * case.c - see case.h
 *
 *   names and sizes   conditions in words
 *   children          placed, with an alarm, ended with ipcbench
 *   ipcbench's side   fork them, wait for them, whatever happens
 *   results           what the clients left in the shared pages
 *
 * What a client does in between is in measure.c. It needs _GNU_SOURCE for
 * sched_setaffinity: placement is part of every result, and POSIX has no call
 * for it.
 */
#define _GNU_SOURCE
#include "case.h"

#include "clock.h"
#include "measure.h"
#include "peer.h"
#include "text.h"
#include "wire.h"

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SAMPLES_PER_S 10000000 /* what is faster than 100 ns ends early */
#define GRACE_S       6        /* what a run may last beyond its length */
#define ASK_MS        20       /* between two SIGTERMs to a server */
#define ASK_TIMES     250      /* then it is killed, and its names stay */
#define LATE_MS       500      /* after Ctrl-C, before clients are killed */

struct bench {
    struct bench_opts opts;
    sigset_t old_mask, mask;
    bool interrupted;
    uint32_t capacity; /* of shared->sample */
    size_t shared_size;
    struct shared *shared;
};

/* The processes of one run; a pid of 0: never started, or reaped. */
struct crew {
    pid_t server, client[TP_CLIENTS_MAX];
    int server_status, client_status[TP_CLIENTS_MAX];
    unsigned clients;
};

/* ---- names and sizes ---------------------------------------------------- */

const char *const op_names[OP_COUNT] = {"get", "echo", "raw", "list", "add"};
const char *const wait_names[3] = {"block", "spin", "adapt"};
const char *const place_names[PLACE_COUNT] = {"same",  "cross",   "smt",
                                              "cache", "package", "free"};

void op_sizes(enum op op, size_t *min, size_t *max)
{
    *min = *max = WIRE_REPLY_MIN + 12; /* add: an id and a revision */
    if (op == OP_GET) {
        *min = WIRE_REPLY_MIN + WIRE_EVENT_MIN + 1;
        *max = WIRE_REPLY_MIN + WIRE_EVENT_MIN + EVENT_TITLE_MAX;
    } else if (op == OP_ECHO || op == OP_RAW) {
        *min = op == OP_RAW ? 1 : WIRE_REPLY_MIN + 1;
        *max = 1024 * 1024;
    } else if (op == OP_LIST) {
        *min = WIRE_REPLY_MIN + 4 + LIST_HITS * (WIRE_EVENT_MIN + 1);
        *max =
            WIRE_REPLY_MIN + 4 + LIST_HITS * (WIRE_EVENT_MIN + EVENT_TITLE_MAX);
    }
}

size_t case_request_size(const struct conditions *c)
{
    switch (c->op) {
    case OP_GET: return WIRE_REQUEST_MIN + sizeof(uint32_t);
    case OP_ECHO: return WIRE_REQUEST_MIN + c->size - WIRE_REPLY_MIN;
    case OP_LIST: return WIRE_REQUEST_MIN + 32;
    case OP_ADD: return WIRE_REQUEST_MIN + 24 + ADD_TITLE;
    default: return c->size;
    }
}

/* Only what isn't usual: so the usual names stay short, and stay the same
 * when a later version can vary something more. */
static void add_unusual(struct text *t, const struct conditions *c)
{
    if (c->deadline_ms >= 0)
        text_add(t, "/deadline");
    if (c->deadline_ms >= 0 && c->deadline_ms != CASE_DEADLINE_MS)
        text_add(t, ":%dms", c->deadline_ms);
    if (c->clients > 1)
        text_add(t, "/clients:%u", c->clients);
    if (c->depth > 1)
        text_add(t, "/depth:%u", c->depth);
    if (c->think_us)
        text_add(t, "/think:%uus", c->think_us);
    if (c->work_us)
        text_add(t, "/work:%uus", c->work_us);
    if (c->stall_us)
        text_add(t, "/stall:%uus", c->stall_us);
    if (c->rate > 0)
        text_add(t, "/rate:%g", c->rate);
    if (c->sync)
        text_add(t, "/sync");
    if (c->events != CASE_EVENTS && c->events > 0)
        text_add(t, "/events:%u", c->events);
}

void case_name(char name[CASE_NAME_MAX], const struct conditions *c)
{
    static const char *const kinds[] = {"", "bare", "none", "alone", ""};
    struct text t = {.at = name, .cap = CASE_NAME_MAX};
    const char *kind = kinds[c->kind];
    bool waits = c->kind != KIND_NONE && c->kind != KIND_ALONE;

    text_add(&t, "%s/%s/%s/", c->transport, waits ? wait_names[c->wait] : "-",
             place_names[c->place]);
    /* The floor of get is "bare", that of echo "bare-echo". */
    if (*kind && c->op != OP_GET)
        text_add(&t, "%s-%s", kind, op_names[c->op]);
    else
        text_add(&t, "%s", *kind ? kind : op_names[c->op]);
    text_add(&t, "/%zu", c->size);
    add_unusual(&t, c);
}

char *pattern_new(size_t size)
{
    char *text = malloc(size + PATTERN_STEP);

    for (size_t i = 0; text && i < size + PATTERN_STEP; i++)
        text[i] = (char)('a' + i % PATTERN_STEP);
    return text;
}

/* ---- children ----------------------------------------------------------- */

static atomic_bool stop_serving; /* set by a handler, so it can't be a local */

static void on_term(int sig)
{
    (void)sig;
    atomic_store(&stop_serving, true);
}

static double seconds_of(const struct bench *b, const struct conditions *c)
{
    return c->seconds > 0 ? c->seconds : b->opts.seconds;
}

/*
 * A child of a run: it goes when its time is over, and when ipcbench dies. A
 * process group of its own keeps the terminal's Ctrl-C away: ipcbench ends its
 * children in order, so that they take their names with them.
 */
static void settle_in(const struct bench *b, const struct conditions *c,
                      pid_t parent, int cpu)
{
    /* No SA_RESTART: a blocking call must come back with EINTR. */
    struct sigaction act = {.sa_handler = on_term};
    cpu_set_t set;

    (void)sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    (void)setpgid(0, 0); /* fails only for a session leader: not after fork */
    (void)alarm((unsigned)seconds_of(b, c) + GRACE_S); /* default: death */
    (void)sigaction(SIGTERM, &act, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(1); /* it died before prctl */
    (void)sigprocmask(SIG_SETMASK, &b->old_mask, NULL);
    if (b->shared->counting) /* strace will be its brother, not its parent */
        (void)prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY); /* only with Yama */
    if (cpu < 0)
        return;
    CPU_ZERO(&set);
    CPU_SET((unsigned)cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) < 0)
        _exit(1); /* cpu came from sched_getaffinity */
}

static void be_client(const struct bench *b, const struct conditions *c,
                      const struct subject *subject, void *self, unsigned index)
{
    struct meter m = {.sh = b->shared,
                      .c = c,
                      .subject = subject,
                      .self = self,
                      .index = index,
                      .seconds = seconds_of(b, c)};

    (void)sigaction(SIGTERM, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    m.capacity =
        client_samples(b->shared, b->capacity, c, index, &m.sample, &m.service);
    measure_client(&m);
    _exit(b->shared->client[index].error != 0);
}

static void be_server(const struct bench *b, const struct subject *subject,
                      void *self)
{
    int err = subject->serve(self, &stop_serving);

    b->shared->server_error = err;
    if (err) /* its clients would wait for it */
        atomic_store(&b->shared->stop, true);
    _exit(err != 0);
}

/* ---- ipcbench ----------------------------------------------------------- */

/* Index -1 is the server. Its pid, or -errno. */
static pid_t spawn(const struct bench *b, const struct conditions *c,
                   const struct subject *subject, void *self, int index)
{
    const struct spot *spot = &b->opts.spots[c->place];
    pid_t parent = getpid(), pid = fork();

    if (pid != 0)
        return pid < 0 ? -errno : pid;
    settle_in(b, c, parent, index < 0 ? spot->server : spot->client);
    if (index < 0)
        be_server(b, subject, self);
    else
        be_client(b, c, subject, self, (unsigned)index);
    _exit(1); /* not reached */
}

/* The server first. A failing fork: those that run are ended as always. */
static int start(struct bench *b, const struct conditions *c,
                 const struct subject *subject, void *self, struct crew *crew)
{
    *crew = (struct crew){0};
    if (subject->serve) {
        pid_t pid = spawn(b, c, subject, self, -1);

        if (pid < 0)
            return pid;
        crew->server = b->shared->server = pid;
    }
    while (crew->clients < c->clients) {
        pid_t pid = spawn(b, c, subject, self, (int)crew->clients);

        if (pid < 0) {
            atomic_store(&b->shared->stop, true);
            return pid;
        }
        crew->client[crew->clients++] = pid;
    }
    return 0;
}

/* Wait up to `ms` for one of our signals; a child's end is one. */
static void pause_for(struct bench *b, int ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    int sig = sigtimedwait(&b->mask, NULL, &t);

    if (sig == SIGINT || sig == SIGTERM || sig == SIGHUP) {
        b->interrupted = true;
        atomic_store(&b->shared->stop, true);
    }
}

/* Has it ended? Then its status: 0, or how it failed. */
static bool reap(pid_t pid, int *status)
{
    pid_t got;

    do
        got = waitpid(pid, status, WNOHANG);
    while (got < 0 && errno == EINTR);
    return got != 0; /* < 0: not our child any more, so it has ended */
}

/* How many clients still run. One that died couldn't tell the others. */
static unsigned reap_clients(struct bench *b, struct crew *crew)
{
    unsigned running = 0;

    for (unsigned i = 0; i < crew->clients; i++) {
        if (crew->client[i] == 0)
            continue;
        if (!reap(crew->client[i], &crew->client_status[i])) {
            running++;
            continue;
        }
        crew->client[i] = 0;
        if (crew->client_status[i] != 0)
            atomic_store(&b->shared->stop, true);
    }
    return running;
}

static void kill_clients(const struct crew *crew)
{
    for (unsigned i = 0; i < crew->clients; i++)
        if (crew->client[i])
            (void)kill(crew->client[i], SIGKILL);
}

/* Clients end by themselves: at their time, when told by shared->stop, or by
 * their alarm. Once they are told they get half a second: one that is blocked
 * in a call for longer is killed. */
static void await_clients(struct bench *b, struct crew *crew)
{
    int64_t late = 0; /* when they are killed; 0 = nobody was told yet */

    while (reap_clients(b, crew) > 0) {
        pause_for(b, 100);
        if (late == 0 && atomic_load(&b->shared->stop))
            late = clock_now_ns() + (int64_t)LATE_MS * 1000000;
        if (late > 0 && clock_now_ns() >= late)
            kill_clients(crew);
    }
}

/*
 * End the server. A signal that arrives just before a blocking call doesn't
 * wake it, so it is sent again until the process is gone.
 */
static void end_server(struct bench *b, struct crew *crew)
{
    for (int i = 0; crew->server && !reap(crew->server, &crew->server_status);
         i++) {
        (void)kill(crew->server, i < ASK_TIMES ? SIGTERM : SIGKILL);
        (void)kill(crew->server, SIGCONT); /* a counted one was stopped */
        pause_for(b, ASK_MS);
    }
}

/* ---- results ------------------------------------------------------------ */

/* A child that ended by a signal couldn't say why itself. */
static int verdict(char *why, const char *who, int error, int status)
{
    int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

    if (error || status == 0)
        return error;
    (void)snprintf(why, CASE_WHY_MAX,
                   sig == SIGALRM ? "the %s got no answer" : "the %s died",
                   who);
    return sig == SIGALRM ? -ETIMEDOUT : -ECHILD;
}

/* The first thing that went wrong. A server that couldn't start is why its
 * clients found nobody; SIGTERM is how one without names to remove (bare) is
 * meant to end; -ECANCELED says that somebody else failed, and so does a
 * client that was killed for being late to leave. */
static int first_error(struct bench *b, const struct crew *crew, char *why)
{
    struct shared *sh = b->shared;
    int err = sh->server_error, status = crew->server_status;
    bool died = false;

    for (unsigned i = 0; i < crew->clients && !err; i++) {
        const struct tally *t = &sh->client[i];
        int ended = crew->client_status[i];

        if (t->error == -ECANCELED)
            continue;
        died |= WIFSIGNALED(ended) && WTERMSIG(ended) == SIGKILL;
        if (WIFSIGNALED(ended) && WTERMSIG(ended) == SIGKILL &&
            crew->clients > 1)
            continue;
        memcpy(why, t->why, sizeof t->why);
        err = verdict(why, "client", t->error, ended);
    }
    if (!err && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM)
        status = 0;
    if (!err)
        err = verdict(why, "server", 0, status);
    if (!err && died)
        err = verdict(why, "client", 0, SIGKILL);
    return b->interrupted ? -EINTR : err;
}

/* What the clients counted, together. */
static void add_up(struct run *out, const struct shared *sh, unsigned clients,
                   uint64_t requests)
{
    double cpu = 0, voluntary = 0, involuntary = 0, rate = 0;
    uint32_t most = 0, least = UINT32_MAX;

    for (unsigned i = 0; i < clients; i++) {
        const struct tally *t = &sh->client[i];

        cpu += (double)t->cpu_ns;
        voluntary += t->voluntary < 0 ? NAN : (double)t->voluntary;
        involuntary += t->involuntary < 0 ? NAN : (double)t->involuntary;
        rate += t->count * 1e9 / (double)t->elapsed_ns;
        most = t->count > most ? t->count : most;
        least = t->count < least ? t->count : least;
    }
    out->requests_per_s = rate;
    out->cpu_ns = cpu / (double)requests;
    out->voluntary = voluntary / (double)requests;
    out->involuntary = involuntary / (double)requests;
    out->share = clients > 1 ? (double)most / least : NAN; /* or infinite */
}

/* Each client's own tail, and the drift of all, before sorting mixes them. */
static int look_at_clients(struct bench *b, const struct conditions *c,
                           struct run *out)
{
    double drift[TP_CLIENTS_MAX];

    for (unsigned i = 0; i < c->clients; i++) {
        uint32_t *sample, *service;
        struct dist d;
        int err;

        (void)client_samples(b->shared, b->capacity, c, i, &sample, &service);
        drift[i] = samples_drift(sample, b->shared->client[i].count);
        if (c->clients == 1)
            break;
        if (b->shared->client[i].count == 0)
            continue; /* it never got its turn: share says so */
        err = dist_make(&d, sample, b->shared->client[i].count);
        if (err)
            return err;
        out->client_p99[i] = pool_percentile(&d, 1, P99);
        dist_free(&d);
    }
    out->drift = interval_of(drift, c->clients).mid;
    return 0;
}

/* On a machine that is busy elsewhere a run may pass without a request. */
static int check_samples(const struct bench *b, const struct conditions *c,
                         struct run *out)
{
    for (unsigned i = 0; i < c->clients; i++)
        if (b->shared->client[i].count > 0)
            return 0;
    (void)snprintf(out->why, sizeof out->why,
                   "no request was done in the measured time");
    return -ETIMEDOUT;
}

/* All clients' samples (or service times) as one distribution. */
static int gather(struct bench *b, const struct conditions *c, bool service,
                  struct dist *d)
{
    uint32_t *all = malloc(((size_t)b->capacity + 1) * sizeof *all);
    uint32_t n = 0;
    int err;

    if (!all)
        return -ENOMEM;
    for (unsigned i = 0; i < c->clients; i++) {
        uint32_t *part[2], count = b->shared->client[i].count;

        (void)client_samples(b->shared, b->capacity, c, i, &part[0], &part[1]);
        memcpy(all + n, part[service], count * sizeof *all);
        n += count;
    }
    err = dist_make(d, all, n);
    free(all);
    return err;
}

static int collect(struct bench *b, const struct conditions *c, struct run *out)
{
    int err = check_samples(b, c, out);

    if (!err)
        err = look_at_clients(b, c, out);
    if (!err)
        err = gather(b, c, false, &out->dist);
    if (!err && c->rate > 0)
        err = gather(b, c, true, &out->service);
    if (err) {
        dist_free(&out->dist);
        return err;
    }
    out->p50 = dist_percentile(&out->dist, P50);
    add_up(out, b->shared, c->clients, out->dist.count);
    return 0;
}

/* ---- one run ------------------------------------------------------------ */

static const struct subject *subject_of(const struct conditions *c, char *why)
{
    const struct peer *peer;

    switch (c->kind) {
    case KIND_LAB: return &lab_subject;
    case KIND_BARE: return &bare_subject;
    case KIND_NONE: return &none_subject;
    case KIND_ALONE: return &alone_subject;
    default: peer = peer_find(c->transport, why, CASE_WHY_MAX);
    }
    if (!peer)
        return NULL;
    return peer->transport ? &lab_subject : peer->subject;
}

/* Until the client of a counting run is there, or somebody gave up. */
static void await_phase(struct bench *b, struct crew *crew, enum phase phase)
{
    while (atomic_load(&b->shared->phase) < (int)phase &&
           !atomic_load(&b->shared->stop) && reap_clients(b, crew) > 0)
        pause_for(b, 1);
}

/* In a counting run: watch between the client's two signs. */
static int count_meanwhile(struct bench *b, struct crew *crew,
                           struct counts *out)
{
    const pid_t pid[] = {crew->client[0], crew->server};
    atomic_int *phase = &b->shared->phase;
    enum count_how how = out->how;
    struct counter *counter;
    int err;

    await_phase(b, crew, PHASE_READY);
    if (atomic_load(&b->shared->stop))
        return 0; /* whoever said so has the reason */
    err = count_begin(&counter, how, pid, crew->server ? 2 : 1);
    if (err) /* nobody would move the client on from its second sign */
        atomic_store(&b->shared->stop, true);
    atomic_store(phase, PHASE_COUNTED);
    if (err)
        return err;
    await_phase(b, crew, PHASE_DONE);
    err = count_end(counter, b->shared->client[0].count, out);
    atomic_store(phase, PHASE_OVER);
    return err;
}

/* From prepare to the last child's end. `counts`: NULL = measure. */
static int one_run(struct bench *b, const struct conditions *c,
                   const struct subject *subject, struct counts *counts,
                   char *why)
{
    struct shared *sh = b->shared;
    struct crew crew;
    void *self = NULL;
    int err, failed;

    memset(sh, 0, sizeof *sh);
    sh->counting = counts != NULL;
    if (!subject)
        subject = subject_of(c, why);
    if (!subject)
        return -ENOSYS;
    if (c->depth > 1 && !subject->post)
        return -EOPNOTSUPP;
    err = subject->prepare(&self, c, why);
    if (err)
        return err;
    err = start(b, c, subject, self, &crew);
    subject->drop(self);
    if (!err && counts)
        err = count_meanwhile(b, &crew, counts);
    await_clients(b, &crew);
    end_server(b, &crew);
    failed = first_error(b, &crew, why);
    return failed ? failed : err;
}

int case_run(struct bench *b, const struct conditions *c,
             const struct subject *subject, struct run *out)
{
    *out = (struct run){.p50 = NAN,
                        .requests_per_s = NAN,
                        .cpu_ns = NAN,
                        .voluntary = NAN,
                        .involuntary = NAN,
                        .drift = NAN,
                        .share = NAN};
    for (size_t i = 0; i < TP_CLIENTS_MAX; i++)
        out->client_p99[i] = NAN;
    out->error = one_run(b, c, subject, NULL, out->why);
    if (!out->error)
        out->error = collect(b, c, out);
    return out->error;
}

int case_count(struct bench *b, const struct conditions *c,
               const struct subject *subject, struct counts *out)
{
    char why[CASE_WHY_MAX] = "";

    return one_run(b, c, subject, out, why);
}

bool bench_interrupted(const struct bench *b)
{
    return b->interrupted;
}

struct bench *bench_open(const struct bench_opts *opts)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction act;
    struct bench *b = calloc(1, sizeof *b);
    double most;

    if (!b)
        return NULL;
    b->opts = *opts;
    most =
        opts->seconds_most > opts->seconds ? opts->seconds_most : opts->seconds;
    b->capacity = (uint32_t)(most * SAMPLES_PER_S) + 64000;
    b->shared_size = sizeof *b->shared + b->capacity * sizeof(uint32_t);
    b->shared = mmap(NULL, b->shared_size, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (b->shared == MAP_FAILED) {
        free(b);
        return NULL;
    }
    /* Blocked, and taken by sigtimedwait: no handler, no race. */
    (void)sigemptyset(&b->mask);
    (void)sigaddset(&b->mask, SIGCHLD);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        /* Blocked, it would come even if the caller has us ignore it. */
        if (sigaction(ends[i], NULL, &act) == 0 && act.sa_handler != SIG_IGN)
            (void)sigaddset(&b->mask, ends[i]);
    (void)sigprocmask(SIG_BLOCK, &b->mask, &b->old_mask);
    return b;
}

void bench_close(struct bench *b)
{
    if (!b)
        return;
    (void)sigprocmask(SIG_SETMASK, &b->old_mask, NULL);
    (void)munmap(b->shared, b->shared_size);
    free(b);
}

/*
 * case.c - see case.h
 *
 *   names and sizes   conditions in words
 *   client side       warm up, measure, count
 *   server side       serve until told to stop
 *   ipcbench's side   fork both, wait for both, whatever happens
 *
 * It needs _GNU_SOURCE for sched_setaffinity: placement is part of every
 * result, and POSIX has no call for it.
 */
#define _GNU_SOURCE
#include "case.h"

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

#define NS_PER_S      1000000000
#define SAMPLES_PER_S 10000000 /* what is faster than 100 ns ends early */
#define GRACE_S       5        /* what a run may last beyond its length */
#define ASK_MS        20       /* between two SIGTERMs to a server */
#define ASK_TIMES     50       /* then it is killed */

/* What the processes of one run tell each other. */
struct shared {
    atomic_bool stop; /* ipcbench -> client: Ctrl-C */
    pid_t server;     /* ipcbench -> client; 0 = none */
    int error[2];     /* client's, server's: 0 or -errno */
    char why[CASE_WHY_MAX];
    int64_t elapsed_ns, cpu_ns;
    int64_t switches; /* -1 = can't be counted */
    uint32_t count;
    /* Its own cache line: the client writes here all the time. */
    _Alignas(64) uint32_t sample[]; /* ns */
};

struct bench {
    struct bench_opts opts;
    sigset_t old_mask, mask;
    bool interrupted;
    uint32_t capacity; /* of shared->sample */
    size_t shared_size;
    struct shared *shared;
};

/* ---- names and sizes ---------------------------------------------------- */

const char *op_name(enum op op)
{
    static const char *const names[OP_COUNT] = {"get", "echo"};

    return names[op];
}

const char *wait_name(enum tp_wait wait)
{
    static const char *const names[] = {"block", "spin", "adapt"};

    return names[wait];
}

const char *place_name(enum place place)
{
    static const char *const names[PLACE_COUNT] = {"same", "cross"};

    return names[place];
}

void op_sizes(enum op op, size_t *min, size_t *max)
{
    if (op == OP_GET) {
        *min = WIRE_REPLY_MIN + WIRE_EVENT_MIN + 1;
        *max = WIRE_REPLY_MIN + WIRE_EVENT_MIN + EVENT_TITLE_MAX;
    } else {
        *min = WIRE_REPLY_MIN + 1;
        *max = 1024 * 1024;
    }
}

size_t case_request_size(const struct conditions *c)
{
    if (c->op == OP_GET)
        return WIRE_REQUEST_MIN + sizeof(uint32_t);
    return WIRE_REQUEST_MIN + c->size - WIRE_REPLY_MIN;
}

void case_name(char name[CASE_NAME_MAX], const struct conditions *c)
{
    static const char *const kinds[] = {"", "bare", "none"};
    const char *of = op_name(c->op), *kind = kinds[c->kind];

    /* The floor of get is "bare", that of echo "bare-echo". */
    (void)snprintf(name, CASE_NAME_MAX, "%s/%s/%s/%s%s%s/%zu%s", c->transport,
                   c->kind == KIND_NONE ? "-" : wait_name(c->wait),
                   place_name(c->place), kind,
                   *kind && c->op != OP_GET ? "-" : "",
                   *kind && c->op == OP_GET ? "" : of, c->size,
                   c->deadline_ms < 0 ? "" : "/deadline");
}

char *pattern_new(size_t size)
{
    char *text = malloc(size + PATTERN_STEP);

    for (size_t i = 0; text && i < size + PATTERN_STEP; i++)
        text[i] = (char)('a' + i % PATTERN_STEP);
    return text;
}

/* ---- both children ------------------------------------------------------ */

static atomic_bool stop_serving; /* set by a handler, so it can't be a local */

static void on_term(int sig)
{
    (void)sig;
    atomic_store(&stop_serving, true);
}

/*
 * A child of a run: it goes when its time is over, and when ipcbench dies. A
 * process group of its own keeps the terminal's Ctrl-C away: ipcbench ends its
 * children in order, so that they take their names with them.
 */
static void settle_in(const struct bench *b, pid_t parent, int cpu)
{
    /* No SA_RESTART: a blocking call must come back with EINTR. */
    struct sigaction act = {.sa_handler = on_term};
    cpu_set_t set;

    (void)sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    (void)setpgid(0, 0); /* fails only for a session leader: not after fork */
    (void)alarm((unsigned)(b->opts.seconds + GRACE_S)); /* default: death */
    (void)sigaction(SIGTERM, &act, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(1); /* it died before prctl */
    (void)sigprocmask(SIG_SETMASK, &b->old_mask, NULL);
    CPU_ZERO(&set);
    CPU_SET((unsigned)cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) < 0)
        _exit(1); /* cpu came from sched_getaffinity */
}

/* ---- client ------------------------------------------------------------- */

static int64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* can't fail on Linux */
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

/*
 * The loop that everything here is about. Warm-up and measuring are the same
 * code over the same pages.
 */
static int measure(const struct bench *b, const struct subject *subject,
                   void *self, double seconds)
{
    struct shared *sh = b->shared;
    int64_t start = now_ns(), until = start + (int64_t)(seconds * NS_PER_S);
    uint32_t n = 0;
    int64_t from, to;
    int err;

    do {
        from = now_ns();
        err = subject->call(self);
        to = now_ns();
        if (!err)
            err = subject->check(self);
        if (err)
            return err;
        sh->sample[n++] =
            to - from < UINT32_MAX ? (uint32_t)(to - from) : UINT32_MAX;
    } while (to < until && n < b->capacity &&
             !atomic_load_explicit(&sh->stop, memory_order_relaxed));
    sh->elapsed_ns = to - start;
    sh->count = n;
    return 0;
}

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

/* Context switches of a process so far, -1 when /proc can't tell. */
static int64_t switches_of(pid_t pid)
{
    char path[64], line[128];
    long long value, sum = -1;
    FILE *f;

    (void)snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
    f = fopen(path, "r");
    if (!f)
        return -1;
    while (fgets(line, sizeof line, f))
        /* Both kinds: on one CPU, waking the peer preempts the waker, so most
         * switches count as involuntary. */
        if (sscanf(line, "voluntary_ctxt_switches: %lld", &value) == 1 ||
            sscanf(line, "nonvoluntary_ctxt_switches: %lld", &value) == 1)
            sum = (sum < 0 ? 0 : sum) + value;
    (void)fclose(f); /* only read */
    return sum;
}

static int64_t switches_of_both(pid_t server)
{
    int64_t mine = switches_of(getpid()),
            its = server ? switches_of(server) : 0;

    return mine < 0 || its < 0 ? -1 : mine + its;
}

static int64_t cpu_time_of_both(pid_t server)
{
    return cpu_time(getpid()) + (server ? cpu_time(server) : 0);
}

/* Touch every page the loop will write: a first touch is a page fault, and
 * fork doesn't pass on the page table entries of shared memory. */
static void touch_samples(const struct bench *b)
{
    volatile uint32_t *sample = b->shared->sample;

    for (uint32_t i = 0; i < b->capacity; i += 256) /* 1 KiB: any page size */
        sample[i] = 0;
}

/* Measure, and what it cost. The CPU clocks are read next to the loop, on both
 * sides: looking into /proc takes longer than some runs' requests. */
static int measure_cost(const struct bench *b, const struct subject *subject,
                        void *self)
{
    struct shared *sh = b->shared;
    int64_t switches = switches_of_both(sh->server), after;
    int64_t cpu_ns = cpu_time_of_both(sh->server);
    int err = measure(b, subject, self, b->opts.seconds);

    sh->cpu_ns = cpu_time_of_both(sh->server) - cpu_ns;
    after = switches_of_both(sh->server);
    sh->switches = switches < 0 || after < 0 ? -1 : after - switches;
    return err;
}

static int be_client(const struct bench *b, const struct subject *subject,
                     void *self)
{
    struct shared *sh = b->shared;
    int err;

    (void)sigaction(SIGTERM, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    err = subject->join(self, sh->why);
    if (err)
        return err;
    touch_samples(b);
    err = measure(b, subject, self, RUN_WARMUP_S);
    if (!err)
        err = measure_cost(b, subject, self);
    subject->leave(self, sh->server);
    return err;
}

/* ---- ipcbench ----------------------------------------------------------- */

static pid_t spawn(const struct bench *b, const struct subject *subject,
                   void *self, int cpu, bool server)
{
    pid_t parent = getpid(), pid = fork();
    int err;

    if (pid != 0)
        return pid < 0 ? -errno : pid;
    settle_in(b, parent, cpu);
    err = server ? subject->serve(self, &stop_serving)
                 : be_client(b, subject, self);
    b->shared->error[server] = err;
    _exit(err != 0);
}

/* Wait up to `ms` for one of our signals. True: SIGCHLD or time over. */
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

/* The client ends by itself: at its time, when told by shared->stop, or by
 * its alarm. Once interrupted it gets half a second. */
static int await_client(struct bench *b, pid_t pid)
{
    int status = 0, late = 0;

    while (!reap(pid, &status)) {
        pause_for(b, 100);
        if (b->interrupted && ++late == 5)
            (void)kill(pid, SIGKILL);
    }
    return status;
}

/*
 * End the server. A signal that arrives just before a blocking call doesn't
 * wake it, so it is sent again until the process is gone.
 */
static int end_server(struct bench *b, pid_t pid)
{
    int status = 0;

    for (int i = 0; !reap(pid, &status); i++) {
        (void)kill(pid, i < ASK_TIMES ? SIGTERM : SIGKILL);
        pause_for(b, ASK_MS);
    }
    return status;
}

/* A child that ended by a signal couldn't say why itself. SIGTERM is how a
 * server without names to remove (bare) is meant to end. */
static int verdict(struct shared *sh, int side, int status)
{
    static const char *const who[] = {"client", "server"};
    int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

    if (sh->error[side] || status == 0 || (side == 1 && sig == SIGTERM))
        return sh->error[side];
    (void)snprintf(sh->why, sizeof sh->why,
                   sig == SIGALRM ? "the %s got no answer" : "the %s died",
                   who[side]);
    return sig == SIGALRM ? -ETIMEDOUT : -ECHILD;
}

static int collect(struct bench *b, struct run *out, int err)
{
    struct shared *sh = b->shared;

    if (b->interrupted)
        err = -EINTR; /* a run cut short would weigh as much as a full one */
    if (err == 0)
        err = dist_make(&out->dist, sh->sample, sh->count);
    out->error = err;
    memcpy(out->why, sh->why, sizeof out->why);
    if (err)
        return err;
    out->requests_per_s = sh->count * 1e9 / (double)sh->elapsed_ns;
    out->cpu_ns = (double)sh->cpu_ns / sh->count;
    out->switches = sh->switches < 0 ? NAN : (double)sh->switches / sh->count;
    return 0;
}

static int start_both(struct bench *b, const struct conditions *c,
                      const struct subject *subject, void *self, pid_t pid[2])
{
    const int *cpu = b->opts.cpu[c->place];

    pid[0] = pid[1] = 0;
    if (subject->serve)
        pid[1] = spawn(b, subject, self, cpu[1], true);
    if (pid[1] < 0)
        return pid[1];
    b->shared->server = pid[1];
    pid[0] = spawn(b, subject, self, cpu[0], false);
    return pid[0] < 0 ? pid[0] : 0;
}

int case_run(struct bench *b, const struct conditions *c,
             const struct subject *subject, struct run *out)
{
    static const struct subject *const subjects[] = {
        [KIND_LAB] = &lab_subject,
        [KIND_BARE] = &bare_subject,
        [KIND_NONE] = &none_subject};
    struct shared *sh = b->shared;
    int status[2] = {0, 0}, err;
    void *self = NULL;
    pid_t pid[2];

    *out = (struct run){.switches = NAN};
    memset(sh, 0, sizeof *sh);
    if (!subject)
        subject = subjects[c->kind];
    err = subject->prepare(&self, c, sh->why);
    if (err)
        return collect(b, out, err);
    err = start_both(b, c, subject, self, pid);
    subject->drop(self);
    if (pid[0] > 0)
        status[0] = await_client(b, pid[0]);
    if (pid[1] > 0)
        status[1] = end_server(b, pid[1]);
    if (!err && sh->error[1] && !WIFSIGNALED(status[0])) {
        err = sh->error[1]; /* also why its client found nobody */
        sh->why[0] = '\0';
    }
    if (!err)
        err = verdict(sh, 0, status[0]);
    if (!err)
        err = verdict(sh, 1, status[1]);
    return collect(b, out, err);
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

    if (!b)
        return NULL;
    b->opts = *opts;
    b->capacity = (uint32_t)(opts->seconds * SAMPLES_PER_S) + 1000;
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

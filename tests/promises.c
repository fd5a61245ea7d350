/*
 * promises.c - what transport.h promises about waiting, leaving and limits
 *
 * The second table of cases of the conformance suite; see conformance.c.
 */
#include "faults.h"
#include "world.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- time --------------------------------------------------------------- */

static void try_client(struct world *w, struct tp_client *c, unsigned i)
{
    unsigned k, got;

    (void)i;
    for (int round = 0; round < 2; round++) {
        for (k = 0; k < c->depth; k++)
            EXPECT_INT(0, tp_cli_send(c, &k, sizeof k, LONG_MS));
        gate_open(w, 0);
        gate_wait(w, 1); /* now every reply has been sent */
        for (k = 0; k < c->depth; k++) {
            EXPECT_INT(sizeof got, tp_cli_recv(c, &got, sizeof got, 0));
            EXPECT_INT(k, got);
        }
    }
}

static void try_server(struct world *w)
{
    for (int round = 0; round < 2; round++) {
        gate_wait(w, 0); /* now every request has been sent */
        for (unsigned k = 0; k < w->srv->depth; k++)
            EXPECT_INT(sizeof k, world_echo_one(w, 0));
        gate_open(w, 1);
    }
    world_echo(w);
}

/* `ms` 0 tries, and takes what is there; a longer wait doesn't sleep first. */
static void try_once(const struct param *p)
{
    world_run(p, (struct tp_opts){.clients = 2, .depth = depth_of(p, 4)},
              try_server, try_client, 1);
}

static void on_alarm(int sig)
{
    (void)sig;
}

/* So many us until a signal, again and again (0: no more), for a handler without
 * SA_RESTART. */
static void storm(suseconds_t us)
{
    struct sigaction sa = {.sa_handler = on_alarm};
    struct itimerval t = {.it_interval.tv_usec = us, .it_value.tv_usec = us};

    sigaction(SIGALRM, &sa, NULL);
    setitimer(ITIMER_REAL, &t, NULL);
}

/* More than one signal: the first may come before the wait has begun. */
#define WAKE_US 50000

static void woken_client(struct world *w, struct tp_client *c, unsigned i)
{
    char buf[8];

    echo_once(c, 10, i);
    storm(WAKE_US);
    EXPECT_INT(-EINTR, tp_cli_recv(c, buf, sizeof buf, LONG_MS));
    storm(0);
    gate_open(w, 0);
    gate_wait(w, 1);
    echo_once(c, 10, i);
}

static void woken_server(struct world *w)
{
    REQUIRE_INT(10, world_echo_one(w, LONG_MS));
    gate_wait(w, 0);
    storm(WAKE_US);
    EXPECT_INT(-EINTR, world_echo_one(w, LONG_MS));
    storm(0);
    gate_open(w, 1);
    world_echo(w);
}

/* A signal handler ends a wait that sleeps: -EINTR, and nothing is lost. */
static void woken(const struct param *p)
{
    struct world w = {0};

    if (p->wait == TP_SPIN) {
        harness_skip("who spins doesn't sleep");
        return;
    }
    world_open(&w, p, clients(2));
    world_serve(&w, woken_server);
    world_add(&w, woken_client);
    world_drop(&w);
    world_end(&w);
}

/* Milliseconds of CPU time that this process has used. */
static long cpu_ms(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 +
           (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000;
}

/* Waits of 100 ms, of a client or (NULL) the server, until one has burnt what
 * it should have. Who sleeps needs some tenths of a millisecond; who spins gets
 * what a busy machine leaves it, in some waits nothing. */
static void check_cpu(struct world *w, struct tp_client *c)
{
    bool spins = w->p->wait == TP_SPIN, ok = false;
    long used = 0;
    char buf[8];

    for (int k = 0; k < 50 && !ok; k++) {
        used = -cpu_ms();
        EXPECT_INT(-ETIMEDOUT, c ? tp_cli_recv(c, buf, sizeof buf, 100)
                                 : world_echo_one(w, 100));
        used += cpu_ms();
        ok = spins ? used > 2 : used < 50;
    }
    harness_check(ok, false, __FILE__, __LINE__,
                  "100 ms of waiting took %ld ms of CPU time", used);
}

static void idle_client(struct world *w, struct tp_client *c, unsigned i)
{
    echo_once(c, 10, i);
    check_cpu(w, c);
    gate_wait(w, 0); /* the server would be told that we left */
}

static void idle_server(struct world *w)
{
    REQUIRE_INT(10, world_echo_one(w, LONG_MS));
    check_cpu(w, NULL);
    gate_open(w, 0);
    world_echo(w);
}

/* Who spins burns its CPU; the other two policies sleep. */
static void policies(const struct param *p)
{
    world_run(p, clients(1), idle_server, idle_client, 1);
}

/* ---- signals and full buffers --------------------------------------------- */

/* How late a reader comes: long after the buffers are full. */
#define LATE_MS  10
#define STORM_US 500

/* A reader who has something else to do first. */
static void dawdle(void)
{
    for (int64_t start = now_ms(0); now_ms(start) < LATE_MS;)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static ssize_t recv_late(struct world *w, struct tp_client *c, tp_peer *from,
                         void *buf, size_t cap)
{
    ssize_t n;

    dawdle();
    do {
        n = c ? tp_cli_recv(c, buf, cap, LONG_MS)
              : tp_srv_recv(w->srv, from, buf, cap, LONG_MS);
    } while (n == -EINTR);
    return n;
}

static void begun_client(struct world *w, struct tp_client *c, unsigned i)
{
    uint8_t *out = malloc(c->max_msg), *in = malloc(c->max_msg);
    int err;

    (void)i;
    REQUIRE(out && in);
    storm(STORM_US);
    for (unsigned k = 0; k < 3; k++) {
        fill_bytes(out, c->max_msg, k);
        do {
            err = tp_cli_send(c, out, c->max_msg, LONG_MS);
        } while (err == -EINTR);
        REQUIRE_INT(0, err);
        REQUIRE_INT((long long)c->max_msg,
                    recv_late(w, c, NULL, in, c->max_msg));
        EXPECT_BYTES(out, in, c->max_msg);
    }
    storm(0);
    free(out);
    free(in);
}

static void begun_server(struct world *w)
{
    size_t cap = w->srv->max_msg;
    uint8_t *buf = malloc(cap);
    tp_peer from;
    int err;

    REQUIRE(buf);
    storm(STORM_US);
    for (unsigned k = 0; k < 3; k++) {
        REQUIRE_INT((long long)cap, recv_late(w, NULL, &from, buf, cap));
        do {
            err = tp_srv_send(w->srv, from, buf, cap, LONG_MS);
        } while (err == -EINTR);
        EXPECT_INT(0, err);
    }
    storm(0);
    free(buf);
    world_echo(w);
}

/* Signals don't end a send that has begun: messages too long for any buffer,
 * and a reader who comes late. */
static void begun_sends(const struct param *p)
{
    struct tp_opts o = {.clients = 1};
    struct world w = {0};

    if (p->t->usual_msg)
        o.max_msg = p->t->max_msg < 500000 ? p->t->max_msg : 500000;
    world_open(&w, p, o);
    world_serve(&w, begun_server);
    world_add(&w, begun_client);
    world_drop(&w);
    world_end(&w);
}

static void full_pipe_client(struct world *w, struct tp_client *c, unsigned i)
{
    static uint8_t buf[2044]; /* with its head a frame that isn't torn */
    unsigned sent = 0;
    int err = 0;

    (void)i;
    while (!err && sent < c->depth) {
        err = tp_cli_send(c, buf, sizeof buf, 100);
        sent += !err;
    }
    gate_open(w, 0);
    if (err) {
        EXPECT_INT(-ETIMEDOUT, err);
        EXPECT(c->count.timeouts == 1);
        EXPECT_INT(0, tp_cli_send(c, buf, sizeof buf, -1)); /* blocks */
        sent++;
    } else {
        harness_skip("a pipe holds more on this machine");
    }
    while (sent--)
        EXPECT_INT(sizeof buf, tp_cli_recv(c, buf, sizeof buf, LONG_MS));
}

static void full_pipe_server(struct world *w)
{
    gate_wait(w, 0);
    dawdle();
    world_echo(w);
}

/* A pipe is full: with a deadline nothing is written, and it is counted;
 * without one the next send waits for room. */
static void full_pipe(const struct param *p)
{
    world_run(p, (struct tp_opts){.clients = 1, .depth = TP_DEPTH_MAX},
              full_pipe_server, full_pipe_client, 1);
}

/* ---- counters ----------------------------------------------------------- */

static void check_counters(const struct tp_counters *want,
                           const struct tp_counters *got)
{
    EXPECT_INT((long long)want->received, (long long)got->received);
    EXPECT_INT((long long)want->received_bytes, (long long)got->received_bytes);
    EXPECT_INT((long long)want->sent, (long long)got->sent);
    EXPECT_INT((long long)want->sent_bytes, (long long)got->sent_bytes);
    EXPECT_INT((long long)want->left, (long long)got->left);
    EXPECT_INT((long long)want->bad, (long long)got->bad);
    EXPECT_INT((long long)want->timeouts, (long long)got->timeouts);
}

static void counted_client(struct world *w, struct tp_client *c, unsigned i)
{
    static const struct tp_counters want = {.received = 3,
                                            .received_bytes = 31,
                                            .sent = 4,
                                            .sent_bytes = 230,
                                            .bad = 1};
    uint8_t buf[100] = {0};

    (void)w, (void)i;
    echo_once(c, 10, 1);
    echo_once(c, 20, 2);
    EXPECT_INT(0, tp_cli_send(c, buf, 100, LONG_MS));
    EXPECT_INT(-EMSGSIZE, tp_cli_recv(c, buf, 8, LONG_MS));
    EXPECT_INT(0, tp_cli_send(c, buf, 100, LONG_MS));
    EXPECT_INT(1, tp_cli_recv(c, buf, sizeof buf, LONG_MS));
    EXPECT_INT(-ETIMEDOUT, tp_cli_recv(c, buf, sizeof buf, 0));
    EXPECT_INT(-EMSGSIZE, tp_cli_send(c, buf, c->max_msg + 1, LONG_MS));
    check_counters(&want, &c->count);
}

static void counted_server(struct world *w)
{
    static const struct tp_counters want = {.received = 3,
                                            .received_bytes = 130,
                                            .sent = 4,
                                            .sent_bytes = 131,
                                            .left = 1,
                                            .bad = 1};
    int64_t start = now_ms(0);
    tp_peer from;
    uint8_t small[8];
    ssize_t n;

    for (int k = 0; k < 3; k++)
        EXPECT(world_echo_one(w, LONG_MS) > 0);
    EXPECT_INT(-EMSGSIZE,
               tp_srv_recv(w->srv, &from, small, sizeof small, LONG_MS));
    EXPECT_INT(0, tp_srv_send(w->srv, from, "x", 1, TP_SEND_MS));
    do {
        n = tp_srv_recv(w->srv, &from, small, sizeof small, 100);
    } while ((n == -ETIMEDOUT || n == -EINTR) && now_ms(start) < LONG_MS);
    EXPECT_INT(0, n);
    check_counters(&want, &w->srv->count);
}

/* A small dialogue, and what the wrappers have counted of it. */
static void counters(const struct param *p)
{
    world_run(p, clients(1), counted_server, counted_client, 1);
}

/* ---- leaving ------------------------------------------------------------ */

/* Never receives anything. */
static void mute_server(struct world *w)
{
    (void)w;
    pause();
}

static void unanswered_client(struct world *w, struct tp_client *c, unsigned i)
{
    int64_t start = now_ms(0);
    char buf[16];

    (void)i;
    EXPECT_INT(0, tp_cli_send(c, "first", 5, LONG_MS));
    gate_open(w, 0);
    EXPECT_INT(0, tp_cli_recv(c, buf, sizeof buf, 2 * LONG_MS));
    EXPECT(now_ms(start) < LONG_MS);
}

/* A server that dies before it has ever received has left, too. */
static void never_answered(const struct param *p)
{
    world_run_killed(p, clients(1), mute_server, unanswered_client, 1);
}

static void last_words_server(struct world *w)
{
    (void)world_echo_one(w, LONG_MS);
    (void)world_echo_one(w, LONG_MS);
    kill(getpid(), SIGKILL);
}

static void last_reply_client(struct world *w, struct tp_client *c, unsigned i)
{
    char buf[16] = "";

    echo_once(c, 10, i);
    EXPECT_INT(0, tp_cli_send(c, "last", 4, LONG_MS));
    gate_wait(w, 0); /* the server is dead now */
    EXPECT_INT(4, tp_cli_recv(c, buf, sizeof buf, LONG_MS));
    EXPECT_BYTES("last", buf, 4);
    EXPECT_INT(0, tp_cli_recv(c, buf, sizeof buf, LONG_MS));
}

/* The reply that a server sent before it died still arrives, then 0. */
static void last_reply(const struct param *p)
{
    struct world w = {0};
    int status;

    world_open(&w, p, clients(1));
    world_serve(&w, last_words_server);
    world_add(&w, last_reply_client);
    world_drop(&w);
    REQUIRE(waitpid(w.server, &status, 0) == w.server);
    w.server = 0;
    gate_open(&w, 0);
    world_join_clients(&w);
    world_sweep(&w);
}

/* value[0]: 0 its first message is its last, and it is killed; 1 it has had an
 * answer, and closes. */
static void last_message_client(struct world *w, struct tp_client *c,
                                unsigned i)
{
    bool answered = atomic_load(&w->board->value[0]);

    if (answered)
        echo_once(c, 10, i);
    EXPECT_INT(0, tp_cli_send(c, "last", 4, LONG_MS));
    if (!answered)
        kill(getpid(), SIGKILL);
}

static void last_message_server(struct world *w)
{
    int64_t start = now_ms(0);
    char buf[16] = "";
    tp_peer from, gone = 0;
    ssize_t n;

    if (atomic_load(&w->board->value[0]))
        REQUIRE_INT(10, world_echo_one(w, LONG_MS));
    gate_wait(w, 0); /* it has left */
    n = tp_srv_recv(w->srv, &from, buf, sizeof buf, LONG_MS);
    EXPECT_INT(4, n);
    EXPECT_BYTES("last", buf, 4);
    do {
        n = tp_srv_recv(w->srv, &gone, buf, sizeof buf, 100);
    } while (n == -ETIMEDOUT && now_ms(start) < LONG_MS);
    EXPECT_INT(0, n);
    EXPECT_INT(from, gone);
    n = tp_srv_recv(w->srv, &gone, buf, sizeof buf, 0);
    EXPECT(n == -ETIMEDOUT || n == -ENOTCONN); /* once */
}

static void leaves(const struct param *p, bool answered)
{
    struct world w = {0};
    pid_t pid;

    world_init(&w, p);
    atomic_store(&w.board->value[0], answered);
    world_open(&w, p, clients(1));
    world_serve(&w, last_message_server);
    pid = world_add(&w, last_message_client);
    w.client[0] = 0;
    world_drop(&w);
    REQUIRE(waitpid(pid, NULL, 0) == pid);
    gate_open(&w, 0);
    REQUIRE(waitpid(w.server, NULL, 0) == w.server);
}

/* A peer that left is reported after its last message; */
static void last_message(const struct param *p)
{
    leaves(p, true);
}

/* also when that was its first one, and nobody is there to answer to. */
static void only_message(const struct param *p)
{
    leaves(p, false);
}

static void crowd_client(struct world *w, struct tp_client *c, unsigned i)
{
    char buf[16] = "";
    int err = 0;

    if (i == 0) { /* gets an answer, and doesn't read it yet */
        EXPECT_INT(0, tp_cli_send(c, "mine", 4, LONG_MS));
        gate_wait(w, 1);
        for (int k = 0; !err && k < 3; k++)
            err = tp_cli_send(c, "more", 4, LONG_MS);
        EXPECT_INT(-EPIPE, err);
        EXPECT_INT(4, tp_cli_recv(c, buf, sizeof buf, LONG_MS));
        EXPECT_BYTES("mine", buf, 4);
        return;
    }
    gate_wait(w, 2);
    for (unsigned k = 0; k < c->depth && !err; k++)
        err = tp_cli_send(c, "fill", 4, 0);
    EXPECT_INT(0, err);
    gate_open(w, 0);
}

static void crowd_server(struct world *w)
{
    (void)world_echo_one(w, LONG_MS);
    gate_open(w, 2);
    pause();
}

/* A client that learns of the death when it sends finds the last reply still:
 * the other one has filled the queue that both send to. */
static void death_seen_by_send(const struct param *p)
{
    world_run_killed(p, (struct tp_opts){.clients = 2, .depth = 10},
                     crowd_server, crowd_client, 2);
}

/* ---- limits ------------------------------------------------------------- */

/* Opens with room for `n` descriptors only: the result. */
static int open_with(const struct param *p, rlim_t n, struct tp_server **srv,
                     struct tp_client **cli, struct tp_opts *o)
{
    int err;

    soft_limit(0, RLIMIT_NOFILE, n);
    err = srv ? tp_srv_open(p->t, srv, o) : tp_cli_open(p->t, cli, o);
    soft_limit(0, RLIMIT_NOFILE, RLIM_INFINITY);
    return err;
}

/* However many descriptors there are, an open that fails gives -EMFILE and
 * leaves nothing; with enough of them it works. */
static void no_descriptors(const struct param *p)
{
    struct tp_opts o = {.clients = 8, .wait = p->wait, .open_ms = LONG_MS};
    int used = count_descriptors(), err = -EMFILE;
    struct tp_server *srv = NULL;
    struct tp_client *c = NULL;

    for (rlim_t n = 3; err && n < 100; n++) {
        err = open_with(p, n, &srv, NULL, &o);
        EXPECT(err || n > 3); /* 0, 1 and 2 are taken */
        if (!err)
            break;
        EXPECT_INT(-EMFILE, err);
        EXPECT_INT(used, count_descriptors());
    }
    REQUIRE_INT(0, err);
    err = is_named(p) ? -EMFILE : 0;
    used = count_descriptors();
    for (rlim_t n = 3; err && n < 100; n++) {
        err = open_with(p, n, NULL, &c, &o);
        EXPECT(err || n > 3);
        if (!err)
            break;
        EXPECT_INT(-EMFILE, err);
        EXPECT_INT(used, count_descriptors());
    }
    EXPECT_INT(0, err);
    tp_cli_close(c);
    tp_srv_close(srv);
}

/* Something that isn't ours has our name in the runtime folder: -EEXIST, and
 * neither is it touched nor anything left. */
static void not_ours(const struct param *p)
{
    struct tp_server *srv = NULL;
    struct tp_opts o = {0};
    char path[300];
    int used = count_descriptors();
    FILE *f;

    runtime_file(path, sizeof path, p->t);
    f = fopen(path, "w");
    REQUIRE(f && fclose(f) == 0);
    EXPECT_INT(-EEXIST, tp_srv_open(p->t, &srv, &o));
    EXPECT_INT(used, count_descriptors());
    EXPECT_INT(0, unlink(path)); /* it was still there */
    REQUIRE_INT(0, tp_srv_open(p->t, &srv, &o));
    tp_srv_close(srv);
}

/* A pipe has channels 0 to clients - 1. */
static void no_channel(const struct param *p)
{
    struct tp_client *c = NULL;
    struct tp_opts o = {.clients = 2, .index = 2};

    REQUIRE_INT(0, tp_srv_open(p->t, &o.inherited, &o));
    EXPECT_INT(-EINVAL, tp_cli_open(p->t, &c, &o)); /* drops the handle */
    EXPECT(c == NULL);
}

/* A queue longer than this machine allows. */
static void too_deep(const struct param *p)
{
    struct tp_server *srv = NULL;
    unsigned most = 10; /* mq_overview(7): the default */
    char why[200] = "";
    struct tp_opts o = {.why = why, .why_cap = sizeof why};
    FILE *f = fopen("/proc/sys/fs/mqueue/msg_max", "r");

    if (f && fscanf(f, "%u", &most) != 1)
        most = 10;
    if (f)
        fclose(f);
    if (most >= TP_DEPTH_MAX) {
        harness_skip("this machine allows any depth");
        return;
    }
    o.depth = most + 1;
    EXPECT_INT(-ENOBUFS, tp_srv_open(p->t, &srv, &o));
    EXPECT(strlen(why) > 10);
}

/* A full /dev/shm is an error when the server starts, not SIGBUS later. */
static void shm_full(const struct param *p)
{
    struct tp_opts o = {.clients = TP_CLIENTS_MAX};
    struct tp_server *srv = NULL;

    if (!mount_own("/dev/shm", "1m"))
        return;
    EXPECT_INT(-ENOSPC, tp_srv_open(p->t, &srv, &o));
    o.clients = 2;
    REQUIRE_INT(0, tp_srv_open(p->t, &srv, &o));
    tp_srv_close(srv);
}

/* ---- two folders -------------------------------------------------------- */

static void tally_server(struct world *w)
{
    while (!world_stopped())
        if (world_echo_one(w, 100) > 0)
            atomic_fetch_add(&w->board->value[0], 1);
}

static void use_folder(const char *name)
{
    char path[128];

    snprintf(path, sizeof path, "%s/%s", harness_dir(), name);
    (void)mkdir(path, 0700); /* it may be there */
    setenv("XDG_RUNTIME_DIR", path, 1);
}

/* The same instance under two runtime folders is two instances. */
static void two_folders(const struct param *p)
{
    static const char *const folders[] = {"run", "other"};
    struct world w[2] = {{0}, {0}};

    for (int i = 0; i < 2; i++) {
        use_folder(folders[i]);
        world_open(&w[i], p, clients(1));
        world_serve(&w[i], tally_server);
        world_drop(&w[i]);
    }
    for (int i = 0; i < 2; i++) {
        struct tp_client *c;

        use_folder(folders[i]);
        c = world_connect(&w[i]);
        for (int k = 0; k <= i; k++)
            echo_once(c, 10, 1);
        tp_cli_close(c);
    }
    world_stop_server(&w[1]);
    use_folder(folders[0]);
    world_stop_server(&w[0]);
    EXPECT_INT(1, atomic_load(&w[0].board->value[0]));
    EXPECT_INT(2, atomic_load(&w[1].board->value[0]));
}

static void two_folders_named(const struct param *p)
{
    if (is_named(p))
        two_folders(p);
    else
        harness_skip("a pipe has no name");
}

/* ---- the table ---------------------------------------------------------- */

const struct check promise_checks[] = {
    {"try-once", try_once, 0, NULL},
    {"woken", woken, 0, NULL},
    {"policies", policies, 0, NULL},
    {"begun-sends", begun_sends, 0, NULL},
    {"full-pipe", full_pipe, 0, "pipe"},
    {"counters", counters, 0, NULL},
    {"never-answered", never_answered, 0, NULL},
    {"last-reply", last_reply, 0, NULL},
    {"last-message", last_message, 0, NULL},
    {"only-message", only_message, 0, NULL},
    {"death-seen-by-send", death_seen_by_send, 0, "mqueue"},
    {"no-descriptors", no_descriptors, 0, NULL},
    {"not-ours", not_ours, 0, "fifo"},
    {"not-ours", not_ours, 0, "socket"},
    {"no-channel", no_channel, 0, "pipe"},
    {"too-deep", too_deep, 0, "mqueue"},
    {"shm-full", shm_full, 0, "shm"},
    {"two-folders", two_folders_named, 0, NULL},
    {0},
};

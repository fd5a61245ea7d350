/*
 * test_neighbours.c - what bad and unlucky neighbours cost the others
 *
 *      good client ---- small echoes, each timed ----+
 *                                                    |-- one echo server
 *      0, 1 or 32 bad ones --------------------------+
 *        silent  connects, and sends nothing
 *        drip    sends its request byte by byte
 *        half    sends half a request, and stops
 *        mute    sends as much as it can, and never reads a reply
 *        flood   sends 1 MiB as fast as it can
 *        hog     takes every slot that is free
 *
 * What is asserted can't flake. Each bad client costs at most one send deadline
 * (TP_SEND_MS), once: counted, not timed. From the moment that its request is
 * there the good one waits for a counted number of other messages. And it never
 * waits for longer than all these deadlines together, and generous slack. What
 * it did wait is in the table that -v prints. IPCLAB_LONG=1 drips a byte a
 * second, takes more samples, and has 32 instead of 8 of those that do cost
 * deadlines.
 *
 * Then the machine's limits: no descriptor, no room for a queue, a full
 * /dev/shm, a full pipe. There the answer is a clear error, and afterwards all
 * is well.
 *
 * It needs _GNU_SOURCE for O_TMPFILE, RUSAGE_THREAD and usleep.
 */
#define _GNU_SOURCE
#include "../mqueue/quota.h"
#include "../shm/box.h"
#include "bytes.h"
#include "cframe.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LEN(a)       (sizeof(a) / sizeof *(a))
#define CROWD        32 /* as many bad ones as are bad at once */
#define SMALL_CROWD  8
#define PAUSE_US     200        /* between two requests of the good client */
#define SLACK_MS     15000      /* what a busy machine may add */
#define DEAF_MOST    20         /* waits in vain in a row, of 100 ms each */
#define FILLER       (4u << 20) /* more bytes than our own /dev/shm has */
#define FLOOD_BYTES  (1u << 20) /* what one client of a flood sends */
#define DRIP_BYTES   20         /* payload of the request that comes in drops */
#define SHORT        2000       /* bytes of a mute client's short message */
#define EAGER_ROUNDS 200
#define FULL_BYTES   60  /* of a message of which many fill a pipe */
#define FULL_MS      100 /* the deadline at which a full pipe is met */
#define SAMPLES_MAX  200000
#define FDS          256 /* more descriptors than a process of a run has */

/* board->value[]: what the processes of a run tell each other. */
enum { DONE, OVER, DEADLINES, ASKED, SERVED, TURN, P99_US, WORST_US, BUSY_US };

/* board->gate[]: the good one is in; a bad one is; it may begin. */
enum { FIRST, IN, GO };

struct behaviour {
    const char *name;
    world_client *run; /* NULL: nobody is bad */
    bool greedy;       /* sends more than it may, and costs deadlines: a small
                          crowd in the short form */
};

struct scene {
    const struct transport *t;
    const struct behaviour *bad; /* NULL: `check` is the whole case */
    void (*check)(const struct param *p);
};

static bool verbose, lengthy;
static int bad_ones;                 /* of the run that goes on */
static const struct behaviour *kind; /* and what they do */

static int64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static unsigned samples(void)
{
    return lengthy ? 2000 : 100;
}

/* ---- the server --------------------------------------------------------- */

/* How often this thread has slept: being kept off a CPU isn't that. */
static long sleeps(void)
{
    struct rusage u;

    getrusage(RUSAGE_THREAD, &u);
    return u.ru_nvcsw;
}

/* An answer; notes a send that waited for a whole deadline, and then gave the
 * peer up. */
static void answer(struct world *w, tp_peer to, const uint8_t *buf, size_t n)
{
    int64_t begin = now_us();
    long slept = sleeps();

    if (!tp_srv_send(w->srv, to, buf, n, TP_SEND_MS))
        return;
    if (sleeps() > slept && now_us() - begin >= (TP_SEND_MS - 1) * 1000)
        atomic_fetch_add(&w->board->value[DEADLINES], 1);
}

/*
 * An echo server that counts the messages of all but the good client, which has
 * slot 0, and notes their number when its turn comes. While a request of the
 * good one is there it doesn't wait in vain, time and again: somebody's half a
 * frame isn't what it waits for. (A few times it may: a busy machine can use up
 * the wait's time before the second look.)
 */
static void counting_server(struct world *w)
{
    static uint8_t buf[64 * 1024];
    atomic_int *value = w->board->value;
    int heard = 0, deaf = 0;

    while (!world_stopped()) {
        int asked = atomic_load(&value[ASKED]);
        tp_peer from;
        ssize_t n = tp_srv_recv(w->srv, &from, buf, sizeof buf, 100);

        if (n == -ENOTCONN)
            break;
        if (n < 0 && n != -ETIMEDOUT && n != -EINTR && n != -EPROTO)
            EXPECT_INT(0, n); /* a server would end by it */
        deaf = n == -ETIMEDOUT && heard < asked ? deaf + 1 : 0;
        EXPECT(deaf < DEAF_MOST);
        if (n <= 0)
            continue;
        heard += peer_slot(from) == 0;
        if (peer_slot(from))
            atomic_fetch_add(&value[SERVED], 1);
        else
            atomic_store(&value[TURN], atomic_load(&value[SERVED]));
        answer(w, from, buf, (size_t)n);
    }
}

/* ---- the good client ---------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

/*
 * How many messages of others may be served between a request of the good one
 * and its turn: one of each, and the one that has just been taken. Where all
 * write into the same queue or stream, and some more than they may, it is what
 * fills that; a FIFO's reader has as much again in its buffer.
 */
static int most_before(const struct transport *t)
{
    if (t->caps & TP_FRAMED)
        return MQUEUE_REQUESTS + 1;
    if (!strcmp(t->name, "fifo") && kind->greedy)
        return 2 * CFRAME_BUF / SHORT + 1;
    return bad_ones + 1;
}

/* One request; how many of others came before it. */
static int ask(struct world *w, struct tp_client *c, unsigned k)
{
    uint8_t out[64], in[64];
    int before;

    fill_bytes(out, sizeof out, k);
    EXPECT_INT(0, tp_cli_send(c, out, sizeof out, LONG_MS));
    before = atomic_load(&w->board->value[SERVED]);
    atomic_fetch_add(&w->board->value[ASKED], 1);
    EXPECT_INT(sizeof in, tp_cli_recv(c, in, sizeof in, LONG_MS));
    EXPECT_BYTES(out, in, sizeof in);
    return atomic_load(&w->board->value[TURN]) - before;
}

/* Ask on and on, until all bad ones have done their worst and then some: how
 * often. `us`: what it took each time. */
static unsigned keep_asking(struct world *w, struct tp_client *c, int64_t *us)
{
    unsigned n = 0, more = samples();
    bool all = false;
    int most = 0;

    while (more && n < SAMPLES_MAX) {
        int64_t begin = now_us();
        int before = ask(w, c, n);

        us[n++] = now_us() - begin;
        if (before > most)
            most = before;
        usleep(PAUSE_US);
        all = all || atomic_load(&w->board->value[DONE]) == bad_ones;
        if (all)
            more--;
    }
    harness_check(most <= most_before(w->p->t), false, __FILE__, __LINE__,
                  "beside %d bad ones, %d messages came before a request",
                  bad_ones, most);
    return n;
}

static void good_client(struct world *w, struct tp_client *c, unsigned i)
{
    int64_t *us = calloc(SAMPLES_MAX, sizeof *us);
    unsigned n;

    (void)i;
    REQUIRE(us);
    gate_open(w, FIRST);
    for (int k = 0; k < bad_ones; k++)
        gate_wait(w, IN);
    for (int k = 0; k < bad_ones; k++)
        gate_open(w, GO);
    n = keep_asking(w, c, us);
    atomic_store(&w->board->value[OVER], 1);
    EXPECT(n < SAMPLES_MAX);
    qsort(us, n, sizeof *us, by_size);
    atomic_store(&w->board->value[P99_US], (int)us[(n * 99 + 99) / 100 - 1]);
    atomic_store(&w->board->value[WORST_US], (int)us[n - 1]);
    free(us);
}

/* ---- the ways in of the bad ones ----------------------------------------- */

/* The segment's first bytes: as in shm.c. */
struct head {
    alignas(SHM_LINE) _Atomic uint64_t rung;
    sem_t doorbell;
};

/* What the server reads from, without the chapter in between. */
struct raw {
    const struct transport *t;
    int fd;        /* of a stream: a client's own, not to be closed here */
    mqd_t queue;   /* of a queue */
    size_t size;   /* of the segment, bytes */
    uint8_t *head; /* the segment */
};

/* True for the end of a pipe, FIFO or socket that leads to the server. */
static bool leads_out(int fd)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return false;
    return S_ISSOCK(st.st_mode) ||
           (S_ISFIFO(st.st_mode) &&
            (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY);
}

/* What was open before the world began: the harness has a pipe, too. */
static bool was_open[FDS];

static void raw_open(struct raw *r, const struct transport *t)
{
    char name[RUNDIR_OBJECT_MAX];
    struct stat st;
    int fd;

    *r = (struct raw){.t = t, .fd = -1, .queue = (mqd_t)-1};
    if (!strcmp(t->name, "mqueue")) {
        object_name(name, "default.mqueue");
        r->queue = mq_open(name, O_WRONLY);
        REQUIRE(r->queue != (mqd_t)-1);
    } else if (!strcmp(t->name, "shm")) {
        object_name(name, "default.shm");
        fd = shm_open(name, O_RDWR, 0);
        REQUIRE(fd >= 0 && fstat(fd, &st) == 0);
        r->size = (size_t)st.st_size;
        r->head =
            mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        REQUIRE(r->head != MAP_FAILED);
        close(fd);
    } else {
        for (fd = 0; fd < FDS && r->fd < 0; fd++)
            if (!was_open[fd] && leads_out(fd))
                r->fd = fd;
        REQUIRE(r->fd >= 0);
    }
}

static void raw_close(struct raw *r)
{
    if (r->queue != (mqd_t)-1)
        mq_close(r->queue);
    if (r->head)
        munmap(r->head, r->size);
}

/* All of it, as soon as there is room: a client's end doesn't block, and 32
 * half requests fill a FIFO whose reader hasn't got the CPU yet. */
static void put_stream(int fd, const uint8_t *bytes, size_t n)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    ssize_t put;

    while ((put = write(fd, bytes, n)) < 0 && errno == EAGAIN)
        REQUIRE_INT(1, poll(&p, 1, LONG_MS));
    EXPECT_INT((long long)n, put);
}

/* Some bytes, as this mechanism moves them: into the stream, as a message of
 * its own, or into the box of slot 1, which isn't the good client's. */
static void raw_put(struct raw *r, const uint8_t *bytes, size_t at, size_t n)
{
    if (r->fd >= 0) {
        put_stream(r->fd, bytes + at, n);
    } else if (r->head) {
        struct head *h = (struct head *)(void *)r->head;
        struct shm_box *box = shm_box_at(h + 1, r->t->usual_msg, 2);

        memcpy((uint8_t *)box + at, bytes + at, n);
        atomic_fetch_or(&h->rung, UINT64_C(2));
        sem_post(&h->doorbell);
    } else {
        EXPECT_INT(0, mq_send(r->queue, (const char *)bytes + at, n, 0));
    }
}

/* A request of n bytes as it lies in the stream; how many bytes it is there. */
static size_t make_request(const struct transport *t, uint8_t out[PIPE_BUF],
                           size_t n)
{
    struct cframe f = {.slot = 1, .generation = 1, .len = n};
    uint8_t text[CFRAME_MAX];

    fill_bytes(text, n, 7);
    if (!(t->caps & TP_HANGUP))
        return cframe_put(out, &f, text);
    put32(out, (uint32_t)n);
    memcpy(out + 4, text, n);
    return 4 + n;
}

/* ---- the bad ones ------------------------------------------------------- */

static void silent(struct world *w, struct tp_client *c, unsigned i)
{
    (void)w, (void)c, (void)i;
}

/* In a stream of its own even such a request is whole in the end, and is
 * answered. */
static void drip(struct world *w, struct tp_client *c, unsigned i)
{
    uint8_t request[PIPE_BUF], in[DRIP_BYTES];
    size_t n = make_request(w->p->t, request, DRIP_BYTES);
    struct raw r;

    (void)i;
    raw_open(&r, w->p->t);
    for (size_t at = 0; at < n; at++) {
        raw_put(&r, request, at, 1);
        usleep(lengthy ? 1000000 : 1000);
    }
    raw_close(&r);
    if (!(w->p->t->caps & TP_HANGUP))
        return;
    EXPECT_INT(DRIP_BYTES,
               c->t->cli_recv(c, in, sizeof in, LONG_MS)); /* not counted */
    EXPECT_BYTES(request + 4, in, DRIP_BYTES);
}

/* What is missing would take many of the good client's requests. */
static void half(struct world *w, struct tp_client *c, unsigned i)
{
    size_t most = c->max_msg < CFRAME_MAX ? c->max_msg : CFRAME_MAX;
    uint8_t request[PIPE_BUF];
    size_t n = make_request(w->p->t, request, most);
    struct raw r;

    (void)i;
    raw_open(&r, w->p->t);
    raw_put(&r, request, 0, n / 2);
    raw_close(&r);
}

/* Past the wrapper, which would keep to the depth. Every other one sends long
 * messages, whose replies are cut short when their time is over; a short one's
 * reply goes whole or not at all. */
static void mute(struct world *w, struct tp_client *c, unsigned i)
{
    static uint8_t big[64 * 1024];
    size_t n = i % 2 ? SHORT : sizeof big;
    int err = 0;

    (void)w;
    if (n > c->max_msg)
        n = c->max_msg;
    for (int k = 0; !err && k < 500; k++)
        err = c->t->cli_send(c, big, n, 1000);
}

static void flood(struct world *w, struct tp_client *c, unsigned i)
{
    static uint8_t big[4096], in[64 * 1024];
    size_t n = c->max_msg;
    int err = 0;

    (void)w, (void)i;
    if (n > sizeof big)
        n = sizeof big;
    for (size_t sent = 0; !err && sent < FLOOD_BYTES; sent += n) {
        err = c->t->cli_send(c, big, n, 1000);
        while (!err && c->t->cli_recv(c, in, sizeof in, 0) > 0)
            ;
    }
}

/* Not bad at all, but always there: who has just been answered asks again. */
static void eager(struct world *w, struct tp_client *c, unsigned i)
{
    (void)w;
    for (unsigned k = 0; k < EAGER_ROUNDS; k++)
        echo_once(c, 1000, i + k);
}

/* When everything is taken, one more is refused: at once, not at a deadline. */
static void hog(struct world *w, struct tp_client *c, unsigned i)
{
    struct tp_client *more[CROWD + 1];
    int64_t begin;
    char why[200] = "";
    int n = 0, err;

    (void)c, (void)i;
    w->opts.inherited = NULL;
    w->opts.why = why;
    w->opts.why_cap = sizeof why;
    do {
        REQUIRE(n <= CROWD);
        begin = now_us();
        err = tp_cli_open(w->p->t, &more[n], &w->opts);
    } while (!err && ++n);
    begin = now_us() - begin;
    atomic_store(&w->board->value[BUSY_US], (int)begin);
    EXPECT_INT(-EBUSY, err);
    EXPECT(begin < (LONG_MS - 2000) * 1000);
    EXPECT(strstr(why, "slots are taken"));
    EXPECT_INT(CROWD - bad_ones, n);
    while (n > 0)
        tp_cli_close(more[--n]);
}

static void bad_client(struct world *w, struct tp_client *c, unsigned i)
{
    gate_open(w, IN);
    gate_wait(w, GO);
    kind->run(w, c, i);
    atomic_fetch_add(&w->board->value[DONE], 1);
    while (!atomic_load(&w->board->value[OVER]))
        usleep(2000); /* as long as it is there, it is a neighbour */
}

/* ---- one run, and the table ----------------------------------------------- */

static void check_run(const struct param *p, const struct board *b)
{
    int deadlines = atomic_load(&b->value[DEADLINES]);
    int p99 = atomic_load(&b->value[P99_US]);
    int worst = atomic_load(&b->value[WORST_US]);
    int busy = atomic_load(&b->value[BUSY_US]);

    if (verbose) {
        printf("  %-7s %-7s %4d %10.2f %10.2f %10d", p->t->name, kind->name,
               bad_ones, p99 / 1000.0, worst / 1000.0, deadlines);
        if (busy)
            printf("   -EBUSY after %.2f", busy / 1000.0);
        puts("");
        fflush(stdout);
    }
    harness_check(deadlines <= bad_ones, false, __FILE__, __LINE__,
                  "%d bad ones cost %d send deadlines", bad_ones, deadlines);
    harness_check(worst / 1000 <= bad_ones * TP_SEND_MS + SLACK_MS, false,
                  __FILE__, __LINE__, "beside %d bad ones it took %d ms",
                  bad_ones, worst / 1000);
}

/* As many as there are unless they come and go, so that a pipe has no channel
 * without a client. */
static struct tp_opts room(const struct param *p)
{
    struct tp_opts o = {.clients = 1 + (unsigned)bad_ones};

    if (!strcmp(kind->name, "hog"))
        o.clients = 1 + CROWD;
    if (p->t->caps & TP_FRAMED)
        o.max_msg = 1024; /* the queues of a user share a small quota */
    return o;
}

static void beside(const struct param *p, int n)
{
    struct world w = {0};

    for (int fd = 0; fd < FDS; fd++)
        was_open[fd] = fcntl(fd, F_GETFD) >= 0;
    bad_ones = n;
    world_open(&w, p, room(p));
    world_serve(&w, counting_server);
    world_add(&w, good_client);
    gate_wait(&w, FIRST); /* so it has slot 0 */
    for (int i = 0; i < n; i++)
        world_add(&w, bad_client);
    world_drop(&w);
    world_end(&w);
    check_run(p, w.board);
    munmap(w.board, sizeof *w.board);
}

/* ---- no descriptor for a client ------------------------------------------- */

static void one_more(struct world *w, struct tp_client *c, unsigned i)
{
    char in[64];
    ssize_t n;

    gate_open(w, IN);
    gate_wait(w, GO); /* the server has no descriptor left */
    EXPECT_INT(0, tp_cli_send(c, "first", 5, LONG_MS));
    n = tp_cli_recv(c, in, sizeof in, 200);
    EXPECT(n == 5 || n == -ETIMEDOUT);
    c->unanswered = 0; /* the wrapper's depth: this answer may never come */
    gate_open(w, IN);
    gate_wait(w, GO); /* now it has some */
    EXPECT_INT(0, tp_cli_send(c, "second", 6, LONG_MS));
    do {
        n = tp_cli_recv(c, in, sizeof in, LONG_MS);
    } while (n == 5); /* or it comes late */
    EXPECT_INT(6, n);
    echo_once(c, 10, i);
    atomic_store(&w->board->value[OVER], 1);
}

/* It has been served before, and is all the time. */
static void patient(struct world *w, struct tp_client *c, unsigned i)
{
    echo_once(c, 10, i);
    gate_open(w, FIRST);
    while (!atomic_load(&w->board->value[OVER])) {
        echo_once(c, 10, i);
        usleep(5000);
    }
}

/* A client whose first request meets a server without a descriptor for it is
 * served as soon as there is one; who came before it never notices. */
static void no_descriptor(const struct param *p)
{
    struct tp_opts o = {.clients = 2};
    struct world w = {0};

    if (p->t->max_depth > 2)
        o.depth = 2; /* the late answer and the second one */
    world_open(&w, p, o);
    world_serve(&w, counting_server);
    world_add(&w, patient);
    world_add(&w, one_more);
    world_drop(&w);
    gate_wait(&w, FIRST);
    gate_wait(&w, IN);
    soft_limit(w.server, RLIMIT_NOFILE, 3);
    gate_open(&w, GO);
    gate_wait(&w, IN);
    soft_limit(w.server, RLIMIT_NOFILE, RLIM_INFINITY);
    gate_open(&w, GO);
    world_join_clients(&w);
    world_stop_server(&w);
}

/* An open that fails for want of a descriptor says so, in a sentence that names
 * this limit and no other: the result. */
static int open_poor(const struct param *p, rlim_t n, struct tp_server **srv,
                     struct tp_client **cli)
{
    char why[300] = "";
    struct tp_opts o = {
        .wait = p->wait, .open_ms = LONG_MS, .why = why, .why_cap = sizeof why};
    int err;

    soft_limit(0, RLIMIT_NOFILE, n);
    err = cli ? tp_cli_open(p->t, cli, &o) : tp_srv_open(p->t, srv, &o);
    soft_limit(0, RLIMIT_NOFILE, RLIM_INFINITY);
    if (!err)
        return 0;
    EXPECT_INT(-EMFILE, err);
    harness_check(strstr(why, "ulimit -n") && !strstr(why, "ulimit -q"), false,
                  __FILE__, __LINE__, "with %d descriptors: \"%s\"", (int)n,
                  why);
    return err;
}

static void which_limit(const struct param *p)
{
    struct tp_server *srv = NULL;
    struct tp_client *c = NULL;
    int err = -EMFILE;

    for (rlim_t n = 3; err && n < FDS; n++) {
        err = open_poor(p, n, &srv, NULL);
        EXPECT(err || n > 3); /* 0, 1 and 2 are taken */
    }
    REQUIRE_INT(0, err);
    err = is_named(p) ? -EMFILE : 0; /* a pipe's client takes what is there */
    for (rlim_t n = 3; err && n < FDS; n++) {
        err = open_poor(p, n, NULL, &c);
        EXPECT(err || n > 3);
    }
    EXPECT_INT(0, err);
    tp_cli_close(c);
    tp_srv_close(srv);
}

/* ---- no room for a queue -------------------------------------------------- */

/* The quota of a user is full of other queues: both opens say so, and work
 * when it isn't any more. (A limit of 4,096 bytes has room for what is opened
 * here, but not beside the queue of 10 messages that stands for all others.) */
static void quota(const struct param *p)
{
    char why[300] = "";
    struct tp_opts o = {.max_msg = 64,
                        .wait = p->wait,
                        .open_ms = LONG_MS,
                        .why = why,
                        .why_cap = sizeof why};
    struct mq_attr a = {.mq_maxmsg = 10, .mq_msgsize = 1024};
    struct tp_server *srv = NULL;
    struct tp_client *c = NULL;
    char name[RUNDIR_OBJECT_MAX];
    int used = count_descriptors();
    mqd_t other;

    object_name(name, "quota.other");
    other = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &a);
    REQUIRE(other != (mqd_t)-1);
    soft_limit(0, RLIMIT_MSGQUEUE, 4096);
    EXPECT_INT(-EMFILE, tp_srv_open(p->t, &srv, &o));
    EXPECT(strstr(why, "ulimit -q") && !strstr(why, "ulimit -n"));
    soft_limit(0, RLIMIT_MSGQUEUE, RLIM_INFINITY);
    REQUIRE_INT(0, tp_srv_open(p->t, &srv, &o));
    soft_limit(0, RLIMIT_MSGQUEUE, 4096);
    EXPECT_INT(-EMFILE, tp_cli_open(p->t, &c, &o));
    EXPECT(strstr(why, "ulimit -q") && !strstr(why, "ulimit -n"));
    soft_limit(0, RLIMIT_MSGQUEUE, RLIM_INFINITY);
    EXPECT_INT(0, mq_close(other));
    EXPECT_INT(0, mq_unlink(name));
    EXPECT_INT(0, tp_cli_open(p->t, &c, &o));
    tp_cli_close(c);
    tp_srv_close(srv);
    EXPECT_INT(used, count_descriptors());
}

/* ---- a full /dev/shm ------------------------------------------------------ */

/* A file that takes all that is left of our own /dev/shm, until its descriptor
 * is closed. It has no name, and an end: whatever goes wrong, nothing of it
 * stays in the machine's. */
static int fill_up(void)
{
    static char page[65536];
    int fd = open("/dev/shm", O_WRONLY | O_TMPFILE, 0600);
    ssize_t n = 1;

    REQUIRE(fd >= 0);
    for (size_t put = 0; n > 0 && put < FILLER; put += (size_t)n)
        n = write(fd, page, sizeof page);
    REQUIRE(n < 0 && errno == ENOSPC);
    return fd;
}

static void shm_client(struct world *w, struct tp_client *c, unsigned i)
{
    gate_open(w, IN);
    gate_wait(w, GO);
    for (unsigned k = 0; k < 20; k++)
        echo_once(c, c->max_msg, i + k);
}

/* Somebody fills /dev/shm: who runs doesn't notice (all of its pages exist),
 * who starts is told, and can start when there is room again. */
static void shm_filled(const struct param *p)
{
    char why[300] = "";
    struct tp_server *srv = NULL;
    struct world w = {0};
    struct tp_opts o;
    int filler;

    if (!mount_own("/dev/shm", "2m"))
        return;
    world_open(&w, p, clients(1));
    world_serve(&w, NULL);
    world_add(&w, shm_client);
    world_drop(&w);
    gate_wait(&w, IN);
    filler = fill_up();
    gate_open(&w, GO);
    o = (struct tp_opts){.name = "a", .why = why, .why_cap = sizeof why};
    EXPECT_INT(-ENOSPC, tp_srv_open(p->t, &srv, &o));
    EXPECT(strstr(why, "/dev/shm"));
    close(filler);
    EXPECT_INT(0, tp_srv_open(p->t, &srv, &o));
    tp_srv_close(srv);
    world_end(&w);
}

/* ---- a full pipe ---------------------------------------------------------- */

static void late_server(struct world *w)
{
    gate_wait(w, GO);
    counting_server(w);
}

/* Past the wrapper, which would keep to the depth. There is room for as many
 * replies as for requests, so nobody has to hurry. */
static void fill_the_pipe(struct world *w, struct tp_client *c, unsigned i)
{
    uint8_t out[FULL_BYTES], in[FULL_BYTES];
    unsigned sent = 0;
    int64_t begin = 0;
    int err = 0;

    while (!err) {
        fill_bytes(out, sizeof out, sent++);
        begin = now_us();
        err = c->t->cli_send(c, out, sizeof out, FULL_MS);
    }
    EXPECT_INT(-ETIMEDOUT, err);
    EXPECT(now_us() - begin >= FULL_MS * 1000);
    gate_open(w, GO);
    for (unsigned k = 0; k + 1 < sent; k++) {
        fill_bytes(out, sizeof out, k);
        REQUIRE_INT(sizeof in, c->t->cli_recv(c, in, sizeof in, LONG_MS));
        EXPECT_BYTES(out, in, sizeof in);
    }
    echo_once(c, sizeof in, i);
}

/* The server takes nothing for a while, and the way to it is full: the send
 * says so at its deadline and has delivered nothing; all that was sent before
 * is answered later, and then all is as usual. */
static void full(const struct param *p)
{
    struct tp_opts o = {.depth = depth_of(p, MQUEUE_REQUESTS)};
    struct world w = {0};

    if (!strcmp(p->t->name, "shm")) {
        harness_skip("a box holds one message: a send waits for nobody");
        return;
    }
    world_open(&w, p, o);
    world_serve(&w, late_server);
    world_add(&w, fill_the_pipe);
    world_drop(&w);
    world_end(&w);
    EXPECT_INT(0, atomic_load(&w.board->value[DEADLINES]));
}

/* ---- `ipclab` with few descriptors ---------------------------------------- */

/* Start it with room for n descriptors; what it says goes to files named after
 * the command, which is serve or ping. */
static pid_t start_poor(const struct transport *t, unsigned n,
                        const char *command)
{
    bool ping = !strcmp(command, "ping");
    char out[128], err[128];
    pid_t pid;

    snprintf(out, sizeof out, "%s/%s.out", harness_dir(), command);
    snprintf(err, sizeof err, "%s/%s.err", harness_dir(), command);
    (void)unlink(out); /* of the run before */
    pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        if (!freopen(out, "w", stdout) || !freopen(err, "w", stderr))
            _exit(126);
        soft_limit(0, RLIMIT_NOFILE, n);
        execl(harness_ipclab(), "ipclab", "-t", t->name, command,
              ping ? "-c" : NULL, "3", NULL);
        _exit(127);
    }
    return pid;
}

static void read_text(const char *name, char *text, size_t cap)
{
    char path[128];
    size_t n = 0;
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", harness_dir(), name);
    f = fopen(path, "r");
    if (f) {
        n = fread(text, 1, cap - 1, f);
        fclose(f);
    }
    text[n] = '\0';
}

/* Until it is ready or over: true when it is over, with *status. */
static bool await_start(pid_t pid, int *status)
{
    int64_t begin = now_ms(0);
    char out[512];

    while (now_ms(begin) < LONG_MS) {
        if (waitpid(pid, status, WNOHANG) == pid)
            return true;
        read_text("serve.out", out, sizeof out);
        if (strstr(out, "ready:"))
            return false;
        usleep(500);
    }
    harness_check(false, true, __FILE__, __LINE__, "neither ready nor over");
    return false;
}

/* True when a client of it gets its answers. With a descriptor too few for
 * any client it waits for its deadline: exit code 75. */
static bool answers(const struct transport *t)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        if (!freopen("/dev/null", "w", stdout) ||
            !freopen("/dev/null", "w", stderr))
            _exit(126);
        execl(harness_ipclab(), "ipclab", "-t", t->name, "--timeout", "300",
              "ping", "-c", "3", NULL);
        _exit(127);
    }
    REQUIRE(waitpid(pid, &status, 0) == pid);
    EXPECT(WIFEXITED(status));
    EXPECT(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 75);
    return status == 0;
}

/* It refused: it must have said which limit it was. */
static void check_refusal(const char *command, unsigned n, int status)
{
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    char name[32], err[1024];

    snprintf(name, sizeof name, "%s.err", command);
    read_text(name, err, sizeof err);
    harness_check(code == 73 || code == 74, false, __FILE__, __LINE__,
                  "%s with %u descriptors: exit code %d, \"%.300s\"", command,
                  n, code, err);
    harness_check(strstr(err, "EMFILE") &&
                      (strstr(err, "ulimit -n") || strstr(err, "open files")),
                  false, __FILE__, __LINE__,
                  "%s with %u descriptors: \"%.300s\"", command, n, err);
}

/* A command: it refuses and says why, until it has enough of them. */
static void poor_command(const struct transport *t)
{
    int status = -1;

    for (unsigned n = 4; status != 0 && n < 40; n++) {
        pid_t pid = start_poor(t, n, "ping");

        REQUIRE(waitpid(pid, &status, 0) == pid);
        EXPECT(status != 0 || n > 4); /* one is never enough */
        if (status != 0)
            check_refusal("ping", n, status);
    }
    EXPECT_INT(0, status);
}

/* A server: however few descriptors there are, it refuses to start and says
 * why, or it is ready, and then it lives until it is told to end. */
static void poor_server(const struct transport *t)
{
    bool served = false;

    for (unsigned n = 4; !served && n < 40; n++) {
        pid_t pid = start_poor(t, n, "serve");
        int status = -1;

        if (await_start(pid, &status)) {
            check_refusal("serve", n, status);
            continue;
        }
        EXPECT(n > 4);
        served = answers(t);
        if (served) /* and now it is the other side that has few */
            poor_command(t);
        kill(pid, SIGTERM);
        REQUIRE(waitpid(pid, &status, 0) == pid);
        EXPECT_INT(0, status);
    }
    EXPECT(served);
}

/* A pipe's command forks a server of its own. */
static void poor_program(const struct param *p)
{
    if (is_named(p))
        poor_server(p->t);
    else
        poor_command(p->t);
}

/* ---- the list ----------------------------------------------------------- */

static const struct behaviour kinds[] = {
    {"alone", NULL, false},  {"silent", silent, false}, {"drip", drip, false},
    {"half", half, false},   {"mute", mute, true},      {"flood", flood, true},
    {"eager", eager, false}, {"hog", hog, false},
};

static const struct {
    const char *name;
    void (*check)(const struct param *p);
    const char *only; /* NULL = all */
} limits[] = {
    {"no-descriptor", no_descriptor, NULL},
    {"which-limit", which_limit, NULL}, /* of the two called EMFILE */
    {"quota", quota, "mqueue"},
    {"shm-filled", shm_filled, "shm"},
    {"full", full, NULL},
    {"poor-program", poor_program, NULL},
};

#define CASES 100 /* more than there are */

static struct scene scenes[CASES];
static struct test_case cases[CASES];
static char names[CASES][40];

static void run_scene(const void *arg)
{
    const struct scene *s = arg;
    struct param p = {s->t, TP_BLOCK, s->check};
    char why[200];

    if (tp_probe(s->t, why, sizeof why) < 0) {
        harness_skip("%s: %s", s->t->name, why);
        return;
    }
    if (!s->bad) {
        p.check(&p);
        return;
    }
    kind = s->bad;
    if (!strcmp(kind->name, "hog") && !is_named(&p)) {
        harness_skip("a channel is inherited: there is none to take");
    } else if (!kind->run) {
        beside(&p, 0);
    } else {
        beside(&p, 1);
        beside(&p, kind->greedy && !lengthy ? SMALL_CROWD : CROWD);
    }
}

static void add(struct test_suite *suite, const struct transport *t,
                const char *name, struct scene s)
{
    size_t n = suite->count++;

    snprintf(names[n], sizeof names[n], "%s/%s", t->name, name);
    scenes[n] = s;
    cases[n] = (struct test_case){.name = names[n],
                                  .run = run_scene,
                                  .arg = &scenes[n],
                                  .seconds = lengthy ? 120 : 60};
}

int main(int argc, char **argv)
{
    struct test_suite suite = {"neighbours", cases, 0, NULL};

    lengthy = getenv("IPCLAB_LONG") != NULL;
    for (int i = 1; i < argc; i++)
        verbose = verbose || !strcmp(argv[i], "-v");
    for (size_t t = 0; tp_all[t]; t++) {
        for (size_t k = 0; k < LEN(kinds); k++)
            add(&suite, tp_all[t], kinds[k].name,
                (struct scene){tp_all[t], &kinds[k], NULL});
        for (size_t k = 0; k < LEN(limits); k++)
            if (!limits[k].only || !strcmp(limits[k].only, tp_all[t]->name))
                add(&suite, tp_all[t], limits[k].name,
                    (struct scene){tp_all[t], NULL, limits[k].check});
    }
    if (verbose)
        printf("  what the good client waits for a reply, ms\n"
               "  %-7s %-7s %4s %10s %10s %10s\n",
               "", "", "bad", "p99", "worst", "deadlines");
    return harness_main(argc, argv, &suite);
}

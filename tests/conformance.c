/*
 * conformance.c - one suite for every transport and every wait policy
 *
 * Each case below is a sentence of common/transport.h made to run. The tables
 * of cases (here, in promises.c and in hostile.c) are crossed with the five
 * transports and the three ways to wait; a case's name is TRANSPORT/WAIT/CASE.
 * Cases look at capability flags, never at names; only holds() and hostile.c
 * know the mechanisms, because they test them from outside.
 *
 * Reading order: world.h first (who is which process), then any case.
 */
#include "faults.h"
#include "slots.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- messages ----------------------------------------------------------- */

static void sizes_client(struct world *w, struct tp_client *c, unsigned i)
{
    (void)w, (void)i;
    echo_once(c, 1, 1);
    echo_once(c, c->max_msg - 1, 2);
    echo_once(c, c->max_msg, 3);
    for (unsigned k = 0; k < 30; k++)
        echo_once(c, 1 + (size_t)rand() % c->max_msg, k);
}

/* 1, max-1 and max bytes and random sizes come back byte by byte. */
static void sizes(const struct param *p)
{
    world_run(p, clients(1), NULL, sizes_client, 1);
}

static void refused_client(struct world *w, struct tp_client *c, unsigned i)
{
    size_t n = c->max_msg + 1;
    uint8_t *buf = calloc(1, n), small[8];

    (void)w, (void)i;
    REQUIRE(buf);
    EXPECT_INT(-EMSGSIZE, tp_cli_send(c, buf, n, LONG_MS));
    echo_once(c, 100, 1);
    EXPECT_INT(-EINVAL, tp_cli_send(c, buf, 0, LONG_MS));
    EXPECT_INT(-EINVAL, tp_cli_send(c, NULL, 1, LONG_MS));
    echo_once(c, 100, 2);
    EXPECT_INT(-EINVAL, tp_cli_recv(c, NULL, 1, 0));
    EXPECT_INT(-EINVAL, tp_cli_recv(c, buf, 0, 0));
    /* A reply longer than our buffer is skipped; the next one is intact. */
    EXPECT_INT(0, tp_cli_send(c, buf, 100, LONG_MS));
    EXPECT_INT(-EMSGSIZE, tp_cli_recv(c, small, sizeof small, LONG_MS));
    echo_once(c, 100, 3);
    free(buf);
}

static void refused_server(struct world *w)
{
    static uint8_t big[2 * 1024 * 1024];
    tp_peer from;
    ssize_t n;

    EXPECT_INT(-EINVAL, tp_srv_recv(w->srv, NULL, big, sizeof big, 0));
    EXPECT_INT(-EINVAL, tp_srv_recv(w->srv, &from, NULL, sizeof big, 0));
    EXPECT_INT(-EINVAL, tp_srv_recv(w->srv, &from, big, 0, 0));
    n = tp_srv_recv(w->srv, &from, big, sizeof big, LONG_MS);
    EXPECT_INT(100, n);
    EXPECT_INT(-EMSGSIZE,
               tp_srv_send(w->srv, from, big, w->srv->max_msg + 1, TP_SEND_MS));
    EXPECT_INT(-EINVAL, tp_srv_send(w->srv, from, big, 0, TP_SEND_MS));
    EXPECT_INT(0, tp_srv_send(w->srv, from, big, 100, TP_SEND_MS));
    world_echo(w);
}

/* max+1 and empty messages are refused on both sides, nothing is harmed. */
static void refused(const struct param *p)
{
    world_run(p, clients(1), refused_server, refused_client, 1);
}

static void short_buffer_server(struct world *w)
{
    uint8_t small[8];
    tp_peer from;

    EXPECT_INT(-EMSGSIZE,
               tp_srv_recv(w->srv, &from, small, sizeof small, LONG_MS));
    EXPECT_INT(0, tp_srv_send(w->srv, from, "x", 1, TP_SEND_MS));
    world_echo(w);
}

static void short_buffer_client(struct world *w, struct tp_client *c,
                                unsigned i)
{
    uint8_t buf[100] = {0};

    (void)w, (void)i;
    EXPECT_INT(0, tp_cli_send(c, buf, sizeof buf, LONG_MS));
    EXPECT_INT(1, tp_cli_recv(c, buf, sizeof buf, LONG_MS));
    echo_once(c, 100, 1);
}

/* A request longer than the server's buffer is skipped and its sender named. */
static void short_buffer(const struct param *p)
{
    world_run(p, clients(1), short_buffer_server, short_buffer_client, 1);
}

/* ---- many clients ------------------------------------------------------- */

static unsigned rounds(const struct param *p, unsigned clients_there)
{
    if (p->wait == TP_SPIN && clients_there > 2)
        return 3; /* more spinners than CPUs: each turn costs a time slice */
    return clients_there > 2 ? 20 : 200;
}

/* Each reply is to the right client, and its replies are in order. */
static void counting_client(struct world *w, struct tp_client *c, unsigned i)
{
    unsigned n = rounds(w->p, w->opts.clients);

    for (unsigned k = 0; k < n; k++) {
        unsigned out[2] = {i, k}, in[2] = {~0u, ~0u};

        REQUIRE_INT(0, tp_cli_send(c, out, sizeof out, 4 * LONG_MS));
        REQUIRE_INT(sizeof in, tp_cli_recv(c, in, sizeof in, 4 * LONG_MS));
        EXPECT_INT(i, in[0]);
        EXPECT_INT(k, in[1]);
    }
}

static void many(const struct param *p, unsigned n)
{
    struct world w = {0};

    world_open(&w, p, clients(n));
    world_serve(&w, NULL);
    for (unsigned i = 0; i < n; i++)
        world_add(&w, counting_client);
    world_drop(&w);
    world_end(&w);
}

static void one_client(const struct param *p)
{
    many(p, 1);
}

static void two_clients(const struct param *p)
{
    many(p, 2);
}

static void full_house(const struct param *p)
{
    many(p, 64);
}

#define TURNS 3 /* clients whose turn is watched */

static void turns_client(struct world *w, struct tp_client *c, unsigned i)
{
    unsigned n = i == 0 ? c->depth : 1;
    uint8_t buf[16];

    if (i > 0)
        gate_wait(w, 0); /* client 0 has sent all it may */
    for (unsigned k = 0; k < n; k++)
        EXPECT_INT(0, tp_cli_send(c, &i, sizeof i, LONG_MS));
    for (unsigned k = 0; i == 0 && k < TURNS - 1; k++)
        gate_open(w, 0);
    gate_open(w, 1);
    for (unsigned k = 0; k < n; k++)
        EXPECT_INT(sizeof i, tp_cli_recv(c, buf, sizeof buf, LONG_MS));
}

static void turns_server(struct world *w)
{
    unsigned seen[TURNS] = {0};
    bool strict = w->p->t->caps & TP_TURNS;
    unsigned n = strict ? TURNS : w->srv->depth + TURNS - 1;

    for (unsigned i = 0; i < TURNS; i++)
        gate_wait(w, 1); /* now everything has been sent */
    for (unsigned k = 0; k < n; k++) {
        unsigned who = TURNS;
        tp_peer from;

        REQUIRE_INT(sizeof who,
                    tp_srv_recv(w->srv, &from, &who, sizeof who, LONG_MS));
        REQUIRE(who < TURNS);
        seen[who]++;
        EXPECT_INT(0, tp_srv_send(w->srv, from, &who, sizeof who, TP_SEND_MS));
    }
    for (unsigned i = 0; i < TURNS; i++)
        EXPECT_INT(strict || i > 0 ? 1 : w->srv->depth, seen[i]);
    world_echo(w);
}

/* Everybody's oldest request is served before anybody's second one; where
 * TP_TURNS isn't promised, after at most `depth` of each other. */
static void turns(const struct param *p)
{
    struct world w = {0};

    world_open(&w, p,
               (struct tp_opts){.clients = TURNS, .depth = depth_of(p, 4)});
    world_serve(&w, turns_server);
    for (unsigned i = 0; i < TURNS; i++)
        world_add(&w, turns_client);
    world_drop(&w);
    world_end(&w);
}

static void depth_client(struct world *w, struct tp_client *c, unsigned i)
{
    unsigned sent = 0, got = 0, k;

    (void)i;
    for (; sent < c->depth; sent++)
        EXPECT_INT(0, tp_cli_send(c, &sent, sizeof sent, LONG_MS));
    EXPECT_INT(-EAGAIN, tp_cli_send(c, &sent, sizeof sent, LONG_MS));
    for (unsigned n = 0; n < 50; n++) { /* keep it full for a while */
        REQUIRE_INT(sizeof k, tp_cli_recv(c, &k, sizeof k, LONG_MS));
        EXPECT_INT(got++, k);
        EXPECT_INT(0, tp_cli_send(c, &sent, sizeof sent, LONG_MS));
        sent++;
    }
    for (; got < sent; got++) {
        REQUIRE_INT(sizeof k, tp_cli_recv(c, &k, sizeof k, LONG_MS));
        EXPECT_INT(got, k);
    }
    EXPECT_INT(0, c->unanswered);
    (void)w;
}

/* `depth` requests in flight, answered in order; one more is -EAGAIN; a depth
 * that the mechanism hasn't room for is an error that says so. */
static void depth(const struct param *p)
{
    struct tp_server *srv = NULL;
    char why[200] = "";
    struct tp_opts o = {.clients = 2, .depth = depth_of(p, 4)};
    world_run(p, o, NULL, depth_client, 2);
    if (p->t->max_depth < TP_DEPTH_MAX) {
        o = (struct tp_opts){
            .depth = p->t->max_depth + 1, .why = why, .why_cap = sizeof why};
        EXPECT_INT(-ENOBUFS, tp_srv_open(p->t, &srv, &o));
        EXPECT(strlen(why) > 10);
    }
}

/* ---- coming and going --------------------------------------------------- */

static void come_and_go_server(struct world *w)
{
    int before = 0;

    while (!world_stopped()) {
        ssize_t n = world_echo_one(w, 100);

        if (n > 0 && !before)
            before = count_descriptors();
        if (n == -ENOTCONN)
            break;
    }
    /* The last client may be there still, or not be noticed yet. */
    EXPECT(count_descriptors() <= before + 1);
}

/* A client that comes and goes 1,000 times leaves nothing in the server. A
 * pipe can't be joined later: there each time has a server of its own. */
static void come_and_go(const struct param *p)
{
    struct world w = {0};

    for (int i = 0; !is_named(p) && i < 1000; i++) {
        struct world one = {.board = w.board};

        world_open(&one, p, clients(1));
        w.board = one.board;
        world_serve(&one, come_and_go_server);
        one.opts.inherited = one.srv;
        {
            struct tp_client *c = world_connect(&one);

            echo_once(c, 10, (unsigned)i);
            tp_cli_close(c);
        }
        waitpid(one.server, NULL, 0);
    }
    if (!is_named(p))
        return;
    world_open(&w, p, clients(1));
    world_serve(&w, come_and_go_server);
    world_drop(&w);
    for (int i = 0; i < 1000; i++) {
        struct tp_client *c = world_connect(&w);

        echo_once(c, 10, (unsigned)i);
        tp_cli_close(c);
    }
    world_end(&w);
}

static void old_peer_server(struct world *w)
{
    tp_peer first = 0, from;
    uint8_t buf[16];
    ssize_t n;

    REQUIRE_INT(4, tp_srv_recv(w->srv, &first, buf, sizeof buf, LONG_MS));
    EXPECT_INT(0, tp_srv_send(w->srv, first, buf, 4, TP_SEND_MS));
    gate_open(w, 0);
    n = tp_srv_recv(w->srv, &from, buf, sizeof buf, LONG_MS);
    while (n == -ETIMEDOUT)
        n = tp_srv_recv(w->srv, &from, buf, sizeof buf, LONG_MS);
    EXPECT_INT(0, n); /* it left; reported before its slot is given away */
    EXPECT_INT(first, from);
    EXPECT_INT(-EPIPE, tp_srv_send(w->srv, first, "old", 3, TP_SEND_MS));
    if (!is_named(w->p)) {
        EXPECT_INT(-ENOTCONN,
                   tp_srv_recv(w->srv, &from, buf, sizeof buf, LONG_MS));
        return;
    }
    REQUIRE_INT(5, tp_srv_recv(w->srv, &from, buf, sizeof buf, LONG_MS));
    EXPECT(from != first);
    EXPECT_INT(-EPIPE, tp_srv_send(w->srv, first, "old", 3, TP_SEND_MS));
    EXPECT_INT(0, tp_srv_send(w->srv, from, buf, 5, TP_SEND_MS));
    gate_open(w, 1);
    while (!world_stopped())
        (void)world_echo_one(w, 100);
}

static void old_peer_client(struct world *w, struct tp_client *c, unsigned i)
{
    size_t n = 4 + i; /* 4 bytes the first client, 5 the second */

    echo_once(c, n, i);
    gate_wait(w, i);
}

/* A peer's number never names the next client of its slot. */
static void old_peer(const struct param *p)
{
    struct world w = {0};

    world_open(&w, p, clients(1));
    world_serve(&w, old_peer_server);
    world_add(&w, old_peer_client);
    world_drop(&w);
    world_join_clients(&w);
    if (is_named(p))
        world_add(&w, old_peer_client);
    world_end(&w);
}

static void wait_client(struct world *w, struct tp_client *c, unsigned i)
{
    echo_once(c, 10, i);
    gate_open(w, 0);
    gate_wait(w, 1);
}

/* All slots taken: -EBUSY at once; one leaves: there is room again. */
static void no_slot(const struct param *p)
{
    struct world w = {0};
    struct tp_client *c = NULL;
    char why[200] = "";
    int64_t start;

    if (!is_named(p)) {
        harness_skip("a pipe can't be joined later");
        return;
    }
    world_open(&w, p, clients(2));
    world_serve(&w, NULL);
    world_add(&w, wait_client);
    world_add(&w, wait_client);
    world_drop(&w);
    gate_wait(&w, 0);
    gate_wait(&w, 0);
    w.opts.why = why;
    w.opts.why_cap = sizeof why;
    start = now_ms(0);
    EXPECT_INT(-EBUSY, tp_cli_open(p->t, &c, &w.opts));
    EXPECT(now_ms(start) < LONG_MS);
    EXPECT(strlen(why) > 10);
    world_kill(w.client[0]);
    w.client[0] = 0;
    c = world_connect(&w); /* the dead one's slot, at once */
    echo_once(c, 10, 1);
    tp_cli_close(c);
    gate_open(&w, 1);
    world_end(&w);
}

/* ---- time --------------------------------------------------------------- */

static void timeouts_client(struct world *w, struct tp_client *c, unsigned i)
{
    uint8_t buf[16];
    int64_t start = now_ms(0);

    (void)i;
    EXPECT_INT(-ETIMEDOUT, tp_cli_recv(c, buf, sizeof buf, 0));
    EXPECT(now_ms(start) < LONG_MS);
    EXPECT_INT(0, tp_cli_send(c, "x", 1, LONG_MS));
    for (int ms = 1; ms <= 250; ms = ms * 2 + 31) {
        struct timespec a, b;
        int64_t ns;

        clock_gettime(CLOCK_MONOTONIC, &a);
        EXPECT_INT(-ETIMEDOUT, tp_cli_recv(c, buf, sizeof buf, ms));
        clock_gettime(CLOCK_MONOTONIC, &b);
        ns = (b.tv_sec - a.tv_sec) * 1000000000 + b.tv_nsec - a.tv_nsec;
        harness_check(ns >= ms * 1000000, false, __FILE__, __LINE__,
                      "%d ms ended after %lld ns", ms, (long long)ns);
        EXPECT(ns < (int64_t)LONG_MS * 1000000);
    }
    gate_open(w, 0); /* what timed out is still to come, whole */
    EXPECT_INT(1, tp_cli_recv(c, buf, sizeof buf, LONG_MS));
    echo_once(c, 10, 1);
    /* A reply comes once. */
    EXPECT_INT(-ETIMEDOUT, tp_cli_recv(c, buf, sizeof buf, 50));
}

static void timeouts_server(struct world *w)
{
    uint8_t buf[16];
    tp_peer from;
    ssize_t n;

    REQUIRE_INT(1, tp_srv_recv(w->srv, &from, buf, sizeof buf, LONG_MS));
    for (int ms = 0; ms <= 250; ms = ms * 2 + 31) {
        int64_t start = now_ms(0);

        n = tp_srv_recv(w->srv, &from, buf, sizeof buf, ms);
        EXPECT_INT(-ETIMEDOUT, n);
        EXPECT(now_ms(start) >= ms - 1); /* the clock is cut to whole ms */
        EXPECT(now_ms(start) < LONG_MS);
    }
    gate_wait(w, 0);
    EXPECT_INT(0, tp_srv_send(w->srv, from, buf, 1, TP_SEND_MS));
    world_echo(w);
}

/* A deadline is never early, and nothing is lost by it. */
static void timeouts(const struct param *p)
{
    world_run(p, clients(1), timeouts_server, timeouts_client, 1);
}

static void full_client(struct world *w, struct tp_client *c, unsigned i)
{
    static uint8_t buf[64 * 1024];
    size_t n = c->max_msg < sizeof buf ? c->max_msg : sizeof buf;
    int64_t start = 0;
    int err = 0;

    (void)i;
    for (unsigned k = 0; !err && k < c->depth; k++) {
        start = now_ms(0);
        err = tp_cli_send(c, buf, n, 100);
        if (!err)
            atomic_fetch_add(&w->board->value[0], 1);
    }
    if (err) { /* the buffers were full before the depth was reached */
        EXPECT(err == -ETIMEDOUT || err == -EPIPE);
        EXPECT(now_ms(start) >= 99 && now_ms(start) < LONG_MS);
    } else {
        err = tp_cli_send(c, buf, n, 100);
        EXPECT_INT(-EAGAIN, err);
    }
    gate_open(w, 0);
    gate_wait(w, 1); /* now there is room */
    EXPECT_INT(err == -ETIMEDOUT ? 0 : err, tp_cli_send(c, buf, 1, LONG_MS));
    if (err == -ETIMEDOUT)
        EXPECT_INT(1, tp_cli_recv(c, buf, sizeof buf, LONG_MS));
    if (err == -EPIPE)
        EXPECT_INT(-EPIPE, tp_cli_recv(c, buf, sizeof buf, LONG_MS));
}

static void full_server(struct world *w)
{
    static uint8_t buf[64 * 1024];
    tp_peer from;

    gate_wait(w, 0);
    for (int k = atomic_load(&w->board->value[0]); k > 0; k--) /* whole ones */
        EXPECT(tp_srv_recv(w->srv, &from, buf, sizeof buf, LONG_MS) > 0);
    EXPECT_INT(-ETIMEDOUT, tp_srv_recv(w->srv, &from, buf, sizeof buf, 50));
    gate_open(w, 1);
    world_echo(w);
}

/* Sending to a server that doesn't receive ends in time. If some bytes of the
 * message had gone, the connection is broken for good; if none, it isn't. */
static void full_send(const struct param *p)
{
    struct world w = {0};

    world_open(
        &w, p,
        (struct tp_opts){.clients = 1, .depth = p->t->max_depth > 1 ? 10 : 1});
    world_serve(&w, full_server);
    world_add(&w, full_client);
    world_drop(&w);
    world_end(&w);
}

static atomic_uint alarms;

static void on_alarm(int sig)
{
    (void)sig;
    atomic_fetch_add(&alarms, 1);
}

static void storm(void)
{
    struct sigaction sa = {.sa_handler = on_alarm}; /* no SA_RESTART */
    struct itimerval t = {.it_interval.tv_usec = 700, .it_value.tv_usec = 700};

    sigaction(SIGVTALRM, &sa, NULL);
    sigaction(SIGALRM, &sa, NULL);
    setitimer(ITIMER_REAL, &t, NULL);
}

static void storm_server(struct world *w)
{
    storm();
    while (!world_stopped()) {
        ssize_t n = world_echo_one(w, 100);

        if (n == -ENOTCONN)
            break;
        if (n < 0 && n != -EINTR && n != -ETIMEDOUT)
            EXPECT_INT(0, n);
    }
}

static void storm_client(struct world *w, struct tp_client *c, unsigned i)
{
    size_t n = c->max_msg < 3000 ? c->max_msg : 3000;
    uint8_t out[3000], in[3000];
    ssize_t got;
    int err;

    (void)w, (void)i;
    storm();
    for (unsigned k = 0; k < 400 || atomic_load(&alarms) < 20; k++) {
        fill_bytes(out, n, k);
        do {
            err = tp_cli_send(c, out, n, LONG_MS);
        } while (err == -EINTR);
        REQUIRE_INT(0, err);
        do {
            got = tp_cli_recv(c, in, sizeof in, LONG_MS);
        } while (got == -EINTR);
        REQUIRE_INT((long long)n, got);
        EXPECT_BYTES(out, in, n);
    }
}

/* Signals all the time: -EINTR or nothing, and never half a message. */
static void interrupts(const struct param *p)
{
    world_run(p, clients(1), storm_server, storm_client, 1);
}

static void short_io_server(struct world *w)
{
    faults_short_io = true;
    world_echo(w);
}

static void short_io_client(struct world *w, struct tp_client *c, unsigned i)
{
    (void)w;
    faults_short_io = true;
    for (unsigned k = 0; k < 10; k++)
        echo_once(c, 1 + k * 37, i * 100 + k);
    for (unsigned k = 0; k < 10; k++)
        echo_all(c, 1 + k * 17, i * 100 + k);
    echo_once(c, c->max_msg < 4000 ? c->max_msg : 4000, i);
}

/* Reads and writes that move a few bytes only: a read may end in the middle of
 * the second of the frames that lie there. */
static void short_io(const struct param *p)
{
    world_run(p, (struct tp_opts){.clients = 2, .depth = depth_of(p, 4)},
              short_io_server, short_io_client, 2);
}

/* ---- death -------------------------------------------------------------- */

static void victim_before(struct world *w, struct tp_client *c, unsigned i)
{
    (void)w, (void)c, (void)i;
    gate_open(w, 0);
    pause();
}

static void victim_mid_request(struct world *w, struct tp_client *c, unsigned i)
{
    uint8_t buf[200] = {0};

    (void)w, (void)i;
    echo_once(c, 20, i);
    gate_open(w, 0);
    faults_die_in_send = true;
    (void)tp_cli_send(c, buf, sizeof buf, LONG_MS);
    harness_check(false, false, __FILE__, __LINE__,
                  "alive after its own death");
}

static void victim_unread(struct world *w, struct tp_client *c, unsigned i)
{
    uint8_t buf[200] = {0};

    echo_once(c, 20, i);
    EXPECT_INT(0, tp_cli_send(c, buf, sizeof buf, LONG_MS));
    gate_open(w, 0);
    pause();
}

/* One of three clients is killed; the others notice nothing, the server is
 * told once, and the slot can be used again. */
static void client_killed(const struct param *p, world_client *victim,
                          int reports)
{
    int may = 1 - reports;
    struct world w = {0};
    pid_t dying;

    world_open(&w, p, clients(3));
    world_serve(&w, world_tally);
    world_add(&w, world_honest);
    world_add(&w, world_honest);
    dying = world_add(&w, victim);
    world_drop(&w);
    w.client[2] = 0;
    gate_wait(&w, 0);
    world_kill(dying);
    if (is_named(p)) {
        struct tp_client *c = world_connect(&w);

        echo_once(c, 10, 1);
        tp_cli_close(c);
        reports++;
    }
    if (p->t->caps & TP_HANGUP) /* at once, while the others go on */
        world_await_left(&w, reports, may);
    atomic_store(&w.board->value[0], 1);
    world_join_clients(&w);
    world_await_left(&w, reports + 2, may); /* each of them once */
    world_stop_server(&w);
}

static void killed_before_sending(const struct param *p)
{
    client_killed(p, victim_before, 0); /* who never spoke may go unnoticed */
}

static void killed_mid_request(const struct param *p)
{
    client_killed(p, victim_mid_request, 1);
}

static void killed_before_reading(const struct param *p)
{
    client_killed(p, victim_unread, 1);
}

#define MANY 24

static void victim_idle(struct world *w, struct tp_client *c, unsigned i)
{
    echo_once(c, 20, i);
    gate_open(w, 0);
    pause();
}

static int64_t kill_many(const void *arg)
{
    const struct param *p = arg;
    struct world w = {0};
    pid_t dying[MANY];
    int64_t start, took;

    world_open(&w, p, clients(MANY));
    world_serve(&w, world_tally);
    for (int i = 0; i < MANY; i++)
        dying[i] = world_add(&w, victim_idle);
    world_drop(&w);
    for (int i = 0; i < MANY; i++)
        gate_wait(&w, 0);
    start = now_ms(0);
    for (int i = 0; i < MANY; i++) {
        world_kill(dying[i]);
        w.client[i] = 0;
    }
    world_await_left(&w, MANY, 0);
    took = now_ms(start);
    world_stop_server(&w);
    return took;
}

/* Many that die together are all noticed soon, also by a server that has to
 * look at their locks: not one each TP_NOTICE_MS. */
static void many_killed(const struct param *p)
{
    world_in_time(kill_many, p, MANY * TP_NOTICE_MS * 3 / 4);
}

/* Hears the first message and then nothing more. */
static void deaf_server(struct world *w)
{
    (void)world_echo_one(w, LONG_MS);
    pause();
}

static void bereaved_client(struct world *w, struct tp_client *c, unsigned i)
{
    /* The kernel itself must tell, without any deadline, if it is promised. */
    int ms = w->p->t->caps & TP_HANGUP ? -1 : 2 * LONG_MS;
    uint8_t buf[16] = {0};
    int64_t start;
    int err = 0;

    (void)i;
    echo_once(c, 10, 1);
    EXPECT_INT(0, tp_cli_send(c, buf, sizeof buf, LONG_MS));
    gate_open(w, 0);
    start = now_ms(0);
    EXPECT_INT(0, tp_cli_recv(c, buf, sizeof buf, ms));
    atomic_store(&w->board->value[0], (int)now_ms(start));
    EXPECT_INT(0, tp_cli_recv(c, buf, sizeof buf, LONG_MS));
    /* A dying process closes one descriptor after the other. */
    for (start = now_ms(0); !err && now_ms(start) < LONG_MS;) {
        err = tp_cli_send(c, buf, sizeof buf, LONG_MS);
        if (!err)
            EXPECT_INT(0, tp_cli_recv(c, buf, sizeof buf, LONG_MS));
    }
    EXPECT_INT(-EPIPE, err);
}

static int64_t kill_server(const void *arg)
{
    const struct param *p = arg;
    struct world w = {0};
    struct tp_client *c = NULL;

    world_open(&w, p, clients(1));
    world_serve(&w, deaf_server);
    world_add(&w, bereaved_client);
    world_drop(&w);
    gate_wait(&w, 0);
    world_kill_server(&w);
    if (is_named(p))
        EXPECT_INT(-ENOENT, tp_cli_open(p->t, &c, &w.opts));
    world_join_clients(&w);
    world_sweep(&w);
    return atomic_load(&w.board->value[0]);
}

/* The server is killed while a client waits for its reply, which is told so
 * within TP_NOTICE_MS, and what a busy machine adds. Nobody else takes the dead
 * one's name for a server. */
static void server_killed(const struct param *p)
{
    world_in_time(kill_server, p, 1000);
}

static void impatient_client(struct world *w, struct tp_client *c, unsigned i)
{
    uint8_t buf[16] = {0};
    int64_t start;
    ssize_t n;

    (void)i;
    echo_once(c, 10, 1);
    EXPECT_INT(0, tp_cli_send(c, buf, sizeof buf, LONG_MS));
    gate_open(w, 0);
    gate_wait(w, 1); /* the server is dead now */
    start = now_ms(0);
    do {
        n = tp_cli_recv(c, buf, sizeof buf, 50);
    } while (n == -ETIMEDOUT && now_ms(start) < LONG_MS);
    EXPECT_INT(0, n);
}

/* A death is noticed by short waits, too. */
static void short_waits(const struct param *p)
{
    world_run_killed(p, clients(1), deaf_server, impatient_client, 1);
}

static void hidden_client(struct world *w, struct tp_client *c, unsigned i)
{
    uint8_t buf[16];

    (void)i;
    echo_once(c, 10, 1);
    gate_open(w, 0);
    gate_wait(w, 1); /* the server is dead now */
    EXPECT_INT(-ETIMEDOUT, tp_cli_recv(c, buf, sizeof buf, 400));
    gate_open(w, 2);
    EXPECT_INT(0, tp_cli_recv(c, buf, sizeof buf, 2 * LONG_MS));
}

static void seen_client(struct world *w, struct tp_client *c, unsigned i)
{
    (void)i;
    echo_once(c, 10, 1);
    gate_open(w, 0);
    gate_wait(w, 1);
    gate_open(w, 2);
    (void)c;
}

/* A process that shares the handle and forgets srv_drop hides a death: as long
 * as it lives, a pipe's other end is open, or the name's lock is held. */
static void forgotten_drop(const struct param *p)
{
    struct world w = {0};
    struct tp_server *second = NULL;
    pid_t forgetful;

    world_open(&w, p, clients(1));
    forgetful = fork();
    if (forgetful == 0) {
        pause();
        _exit(0);
    }
    world_serve(&w, deaf_server);
    world_add(&w, is_named(p) ? seen_client : hidden_client);
    world_drop(&w);
    gate_wait(&w, 0);
    world_kill_server(&w);
    gate_open(&w, 1);
    gate_wait(&w, 2);
    if (is_named(p))
        EXPECT_INT(-EADDRINUSE, tp_srv_open(p->t, &second, &w.opts));
    world_kill(forgetful);
    world_join_clients(&w);
    world_sweep(&w);
}

static void stopped_client(struct world *w, struct tp_client *c, unsigned i)
{
    uint8_t buf[16];

    (void)i;
    echo_once(c, 10, 1);
    gate_open(w, 0);
    gate_wait(w, 1); /* the server is stopped now */
    EXPECT_INT(0, tp_cli_send(c, "still", 5, LONG_MS));
    EXPECT_INT(-ETIMEDOUT, tp_cli_recv(c, buf, sizeof buf, 300));
    gate_open(w, 2);
    EXPECT_INT(5, tp_cli_recv(c, buf, sizeof buf, 2 * LONG_MS));
    EXPECT_BYTES("still", buf, 5);
}

/* SIGSTOP isn't death: the server keeps its name and its clients. */
static void stopped_server(const struct param *p)
{
    struct world w = {0};
    struct tp_server *second = NULL;

    world_open(&w, p, clients(1));
    world_serve(&w, NULL);
    world_add(&w, stopped_client);
    world_drop(&w);
    gate_wait(&w, 0);
    kill(w.server, SIGSTOP);
    waitpid(w.server, NULL, WUNTRACED);
    gate_open(&w, 1);
    gate_wait(&w, 2);
    if (is_named(p))
        EXPECT_INT(-EADDRINUSE, tp_srv_open(p->t, &second, &w.opts));
    kill(w.server, SIGCONT);
    world_end(&w);
}

static void slow_reader(struct world *w, struct tp_client *c, unsigned i)
{
    static uint8_t buf[64 * 1024];
    int err = 0;

    (void)i;
    for (unsigned k = 0; !err && k < c->depth; k++)
        err = tp_cli_send(c, buf, c->max_msg, LONG_MS);
    gate_wait(w, 1); /* and never reads */
}

/* How long the others wait for a reply, until the slow one has gone. */
static void hurried_client(struct world *w, struct tp_client *c, unsigned i)
{
    int64_t slowest = 0;

    do {
        int64_t start = now_ms(0);

        echo_once(c, 20, i);
        if (now_ms(start) > slowest)
            slowest = now_ms(start);
    } while (!atomic_load(&w->board->value[0]));
    atomic_store(&w->board->value[1], (int)slowest);
}

static void slow_reader_server(struct world *w)
{
    bool told = false;

    w->send_ms = TP_SEND_MS;
    while (!world_stopped()) {
        ssize_t n = world_echo_one(w, 100);

        if (n == 0 && !told) {
            told = true;
            atomic_store(&w->board->value[0], 1);
            gate_open(w, 1);
        }
        if (n == -ENOTCONN)
            break;
    }
    EXPECT(w->srv->count.timeouts <= 1);
    EXPECT(told);
}

static int64_t beside_slow_reader(const void *arg)
{
    const struct param *p = arg;
    struct world w = {0};

    world_open(&w, p, (struct tp_opts){.clients = 2, .depth = 32});
    world_serve(&w, slow_reader_server);
    world_add(&w, slow_reader);
    world_add(&w, hurried_client);
    world_drop(&w);
    world_end(&w);
    return atomic_load(&w.board->value[1]);
}

/* A client that sends and never reads costs one send deadline, TP_SEND_MS and
 * what a busy machine adds, and is dropped; the others go on. (With a depth of 1
 * there is always room for its reply.) */
static void never_reads(const struct param *p)
{
    if (p->t->max_depth == 1 || p->t->caps & TP_FRAMED)
        harness_skip("a reply always has room here");
    else
        world_in_time(beside_slow_reader, p, 1000);
}

/* ---- names -------------------------------------------------------------- */

/* Nobody serves: -ENOENT, at once, with a sentence. */
static void nobody(const struct param *p)
{
    struct tp_client *c = NULL;
    char why[200] = "";
    struct tp_opts o = {.open_ms = LONG_MS, .why = why, .why_cap = sizeof why};

    if (is_named(p)) {
        EXPECT_INT(-ENOENT, tp_cli_open(p->t, &c, &o));
        EXPECT(strlen(why) > 10);
    } else {
        EXPECT_INT(-EINVAL, tp_cli_open(p->t, &c, &o));
    }
    EXPECT(c == NULL);
}

/* Options out of range are refused before anything is made. */
static void bad_options(const struct param *p)
{
    static const char *const bad[] = {
        "",    "../x",      "a/b",
        "a b", "h\xc3\xa4", "123456789012345678901234567890123"};
    struct tp_server *s = NULL;
    struct tp_opts o = {0};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        o.name = bad[i];
        EXPECT_INT(-EINVAL, tp_srv_open(p->t, &s, &o));
    }
    o = clients(TP_CLIENTS_MAX + 1);
    EXPECT_INT(-EINVAL, tp_srv_open(p->t, &s, &o));
    o = (struct tp_opts){.depth = TP_DEPTH_MAX + 1};
    EXPECT_INT(-EINVAL, tp_srv_open(p->t, &s, &o));
    o = (struct tp_opts){.wait = (enum tp_wait)99};
    EXPECT_INT(-EINVAL, tp_srv_open(p->t, &s, &o));
    o = (struct tp_opts){.max_msg = p->t->max_msg + 1};
    EXPECT_INT(-EMSGSIZE, tp_srv_open(p->t, &s, &o));
    EXPECT(s == NULL);
    tp_srv_close(NULL);
    tp_srv_drop(NULL);
    tp_cli_close(NULL);
}

/* All zero is a good start; names of 1 byte and of TP_NAME_MAX are legal. */
static void good_options(const struct param *p)
{
    static const char *const good[] = {NULL, "a", LONG_NAME};
    struct tp_server *s = NULL;
    struct tp_opts o = {.wait = p->wait};

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        o.name = good[i];
        REQUIRE_INT(0, tp_srv_open(p->t, &s, &o));
        EXPECT_INT(1, s->clients);
        EXPECT_INT(1, s->depth);
        EXPECT(s->max_msg > 0);
        tp_srv_close(s);
    }
}

/* A second server on a live name is refused, and the first doesn't mind. */
static void second_server(const struct param *p)
{
    struct world w = {0};
    struct tp_server *second = NULL;
    struct tp_client *c;

    if (!is_named(p)) {
        harness_skip("a pipe has no name");
        return;
    }
    world_open(&w, p, clients(2));
    world_serve(&w, NULL);
    world_drop(&w);
    c = world_connect(&w);
    echo_once(c, 10, 1);
    EXPECT_INT(-EADDRINUSE, tp_srv_open(p->t, &second, &w.opts));
    echo_once(c, 10, 2);
    tp_cli_close(c);
    c = world_connect(&w);
    echo_once(c, 10, 3);
    tp_cli_close(c);
    world_end(&w);
}

/* Somebody has removed a live server's lock file, as what tidies /tmp may: so
 * another one can serve under its name. The end of the first takes nothing from
 * it. */
static void lost_lock(const struct param *p)
{
    struct world w = {0};
    struct tp_opts o = {.wait = p->wait};
    struct tp_server *first = NULL;
    struct tp_client *c;
    char name[250], lock[256];

    if (!is_named(p)) {
        harness_skip("a pipe has no name");
        return;
    }
    REQUIRE_INT(0, tp_srv_open(p->t, &first, &o));
    runtime_file(name, sizeof name, p->t);
    snprintf(lock, sizeof lock, "%s.lock", name);
    REQUIRE_INT(0, unlink(lock));
    world_open(&w, p, clients(2));
    world_serve(&w, NULL);
    world_drop(&w);
    tp_srv_close(first);
    c = world_connect(&w);
    echo_once(c, 10, 1);
    tp_cli_close(c);
    world_end(&w);
}

static void racer(struct world *w)
{
    struct tp_server *srv = NULL;
    int err;

    gate_wait(w, 0);
    err = tp_srv_open(w->p->t, &srv, &w->opts);
    if (err)
        EXPECT_INT(-EADDRINUSE, err);
    else
        atomic_fetch_add(&w->board->value[2], 1);
    gate_open(w, 1);
    gate_wait(w, 2);
    if (srv && atomic_load(&w->board->value[3]))
        kill(getpid(), SIGKILL); /* the next round finds old names */
    tp_srv_close(srv);
    _exit(0);
}

/* Two that start at the same moment end as exactly one, also when a dead
 * server has left its names. */
static void race(const struct param *p)
{
    struct world w = {0};

    if (!is_named(p)) {
        harness_skip("a pipe has no name");
        return;
    }
    world_init(&w, p);
    w.opts = clients(2);
    for (int i = 0; i < 60; i++) {
        pid_t a, b;

        atomic_store(&w.board->value[2], 0);
        atomic_store(&w.board->value[3], i % 2);
        if ((a = fork()) == 0)
            racer(&w);
        if ((b = fork()) == 0)
            racer(&w);
        gate_open(&w, 0);
        gate_open(&w, 0);
        gate_wait(&w, 1);
        gate_wait(&w, 1);
        EXPECT_INT(1, atomic_load(&w.board->value[2]));
        gate_open(&w, 2);
        gate_open(&w, 2);
        waitpid(a, NULL, 0);
        waitpid(b, NULL, 0);
    }
    world_sweep(&w);
}

/* Path of the file that keeps the runtime folder from being removed. */
static void keeper(char *path, size_t cap)
{
    char dir[RUNDIR_PATH_MAX];

    REQUIRE_INT(0, rundir_path(dir));
    snprintf(path, cap, "%.250s/.keep", dir);
}

static void passer_by(struct world *w)
{
    for (int i = 0; i < 50; i++) {
        struct tp_server *srv = NULL;
        int err = tp_srv_open(w->p->t, &srv, &w->opts);

        if (err)
            EXPECT_INT(-EADDRINUSE, err);
        tp_srv_close(srv);
    }
    _exit(0);
}

/* Who closes last removes the runtime folder, and whoever starts at that very
 * moment makes a new one. */
static void folder(const struct param *p)
{
    struct world w = {0};
    char path[300], dir[RUNDIR_PATH_MAX];

    if (!is_named(p)) {
        harness_skip("a pipe has no name");
        return;
    }
    world_init(&w, p);
    keeper(path, sizeof path);
    EXPECT_INT(0, unlink(path));
    for (int i = 0; i < 2; i++) {
        w.client[i] = fork();
        if (w.client[i] == 0)
            passer_by(&w);
    }
    w.clients = 2;
    world_join_clients(&w);
    REQUIRE_INT(0, rundir_path(dir));
    EXPECT(access(dir, F_OK) < 0 && errno == ENOENT);
}

/* Echoes; nothing from before its time may come. */
static void heirs_server(struct world *w)
{
    while (!world_stopped()) {
        uint8_t buf[64];
        tp_peer from;
        ssize_t n = tp_srv_recv(w->srv, &from, buf, sizeof buf, 100);

        EXPECT(n < 3 || memcmp(buf, "old", 3) != 0);
        if (n > 0)
            (void)tp_srv_send(w->srv, from, buf, (size_t)n, TP_SEND_MS);
        if (n == -EPROTO)
            EXPECT_INT(0, n);
    }
}

static void fresh_client(struct world *w, struct tp_client *c, unsigned i)
{
    uint8_t buf[64] = {0};

    gate_open(w, 0);
    gate_wait(w, 1); /* the old clients have closed, and the server looks */
    EXPECT_INT(-ETIMEDOUT, tp_cli_recv(c, buf, sizeof buf, 150));
    EXPECT_INT(0, tp_cli_send(c, "fresh", 5, LONG_MS));
    EXPECT_INT(5, tp_cli_recv(c, buf, sizeof buf, LONG_MS));
    EXPECT_BYTES("fresh", buf, 5);
    echo_once(c, 10, i);
}

/* The new clients have the slots that the old ones had: 0 one who never spoke,
 * 1 one whose request is unread. Closing those takes nothing new with it, and
 * the server finds no request from before its time. */
static void heirs(struct world *w, struct tp_client *old[2])
{
    for (int i = 0; i < 2; i++)
        world_add(w, fresh_client);
    for (int i = 0; i < 2; i++)
        gate_wait(w, 0);
    for (int i = 0; i < 2; i++)
        tp_cli_close(old[i]);
    world_serve(w, heirs_server);
    world_drop(w);
    for (int i = 0; i < 2; i++)
        gate_open(w, 1);
    world_join_clients(w);
}

/* A server that is killed with requests unread; the next one takes the name
 * over and never sees them, and its clients are new ones. */
static void restart(const struct param *p)
{
    struct world w = {0};
    struct tp_client *old[2];
    uint8_t buf[64];

    if (!is_named(p)) {
        harness_skip("a pipe has no name");
        return;
    }
    world_open(&w, p, clients(2));
    world_serve(&w, deaf_server);
    world_drop(&w);
    old[0] = world_connect(&w);
    old[1] = world_connect(&w);
    echo_once(old[1], 10, 1); /* the one message it hears */
    EXPECT_INT(0, tp_cli_send(old[1], "old", 3, LONG_MS));
    world_kill_server(&w);
    world_open(&w, p, w.opts);
    EXPECT_INT(0, tp_cli_recv(old[1], buf, sizeof buf, 2 * LONG_MS));
    heirs(&w, old);
    old[0] = world_connect(&w);
    echo_once(old[0], 10, 4);
    tp_cli_close(old[0]);
    world_end(&w);
}

static void shout_server(struct world *w)
{
    while (!world_stopped()) {
        char buf[64];
        tp_peer from;
        ssize_t n = tp_srv_recv(w->srv, &from, buf, sizeof buf, 100);

        if (n == -ENOTCONN)
            break;
        if (n > 0) /* the answer tells which instance it comes from */
            EXPECT_INT(0, tp_srv_send(w->srv, from, w->opts.name,
                                      strlen(w->opts.name), TP_SEND_MS));
    }
}

static void shout_client(struct world *w, struct tp_client *c, unsigned i)
{
    char buf[64] = "";

    (void)i;
    for (int k = 0; k < 20; k++) {
        EXPECT_INT(0, tp_cli_send(c, "who", 3, LONG_MS));
        REQUIRE_INT(1, tp_cli_recv(c, buf, sizeof buf, LONG_MS));
        EXPECT_STR(w->opts.name, buf);
    }
}

static void comer(struct world *w)
{
    struct tp_client *c = NULL;

    while (!atomic_load(&w->board->value[0])) {
        int err = tp_cli_open(w->p->t, &c, &w->opts);

        if (err && err != -ENOENT && err != -EBUSY)
            EXPECT_INT(0, err);
        tp_cli_close(c);
        c = NULL;
    }
    _exit(0);
}

/* Clients that come and go while servers open and close: whoever comes too
 * late makes no name that stays. (The harness looks for names.) */
static void closing(const struct param *p)
{
    struct world w = {0};

    if (!is_named(p)) {
        harness_skip("a pipe can't be joined later");
        return;
    }
    world_init(&w, p);
    w.opts = (struct tp_opts){.clients = 4, .open_ms = LONG_MS};
    for (w.clients = 0; w.clients < 2; w.clients++) {
        w.client[w.clients] = fork();
        if (w.client[w.clients] == 0)
            comer(&w);
    }
    for (int i = 0; i < 150; i++) {
        struct tp_server *srv = NULL;

        EXPECT_INT(0, tp_srv_open(p->t, &srv, &w.opts));
        tp_srv_close(srv);
    }
    atomic_store(&w.board->value[0], 1);
    world_join_clients(&w);
}

static void heir_server(struct world *w)
{
    int64_t start = now_ms(0);
    uint8_t buf[16];
    tp_peer from;
    ssize_t n;

    REQUIRE_INT(4, tp_srv_recv(w->srv, &from, buf, sizeof buf, LONG_MS));
    EXPECT_INT(0, tp_srv_send(w->srv, from, buf, 4, TP_SEND_MS));
    gate_wait(w, 1); /* it has gone, and its slot is taken again */
    do {
        n = tp_srv_recv(w->srv, &from, buf, sizeof buf, 100);
    } while (n == -ETIMEDOUT && now_ms(start) < LONG_MS);
    EXPECT_INT(0, n);
    gate_open(w, 2);
    world_echo(w);
}

/* A client that left is reported although the next one in its slot is silent. */
static void silent_heir(const struct param *p)
{
    struct world w = {0};
    struct tp_client *c;

    if (!is_named(p)) {
        harness_skip("a pipe can't be joined later");
        return;
    }
    world_open(&w, p, clients(1));
    world_serve(&w, heir_server);
    world_drop(&w);
    c = world_connect(&w);
    echo_once(c, 4, 1);
    tp_cli_close(c);
    c = world_connect(&w);
    gate_open(&w, 1);
    gate_wait(&w, 2);
    echo_once(c, 10, 2);
    tp_cli_close(c);
    world_end(&w);
}

/* ---- few descriptors ---------------------------------------------------- */

#define ROOM   4  /* descriptors that the server has for its clients */
#define COMERS 10 /* clients; a queue holds so many requests */

/* How many of them get an answer: each takes a descriptor. But a segment is
 * mapped once, and a pipe is there before its client is. */
static unsigned served_of(const struct param *p)
{
    bool all = !strcmp(p->t->name, "pipe") || !strcmp(p->t->name, "shm");

    return all ? COMERS : ROOM;
}

/* From now on this process can open n files, and no more. The limit is one on
 * numbers, and a new descriptor gets the lowest that is free: so after n of
 * them, the next one's is the limit. */
static void leave_room(unsigned n)
{
    int fd[ROOM + 1];

    for (unsigned i = 0; i <= n; i++)
        fd[i] = dup(0);
    REQUIRE(fd[n] > 0);
    soft_limit(0, RLIMIT_NOFILE, (rlim_t)fd[n]);
    close(fd[n]);
    REQUIRE(dup(0) < 0 && errno == EMFILE);
    for (unsigned i = 0; i < n; i++)
        close(fd[i]);
}

/* All requests are there before it looks at the first: whoever isn't answered
 * by the time that a call waits in vain wants a descriptor. */
static void poor_server(struct world *w)
{
    unsigned most = served_of(w->p);
    int64_t start;
    ssize_t n;

    leave_room(most == ROOM ? ROOM : 0);
    gate_wait(w, 1);
    start = now_ms(0);
    do {
        n = world_echo_one(w, 100);
        REQUIRE(now_ms(start) < LONG_MS);
    } while (n >= 0 || (n == -ETIMEDOUT && w->srv->count.sent < most));
    EXPECT_INT(-ETIMEDOUT, n);
    EXPECT_INT(most, (long long)w->srv->count.sent);
    for (int i = 0; i < COMERS; i++)
        gate_open(w, 2);
    gate_wait(w, 1); /* they have left */
    world_echo(w);
}

/* Asks once, and looks when the server has answered whom it could; value[0] is
 * how many have an answer. */
static void comer_in_need(struct world *w, struct tp_client *c, unsigned i)
{
    uint8_t buf[16] = {0};

    EXPECT_INT(0, tp_cli_send(c, buf, sizeof buf, LONG_MS));
    gate_open(w, 0);
    gate_wait(w, 2);
    if (tp_cli_recv(c, buf, sizeof buf, 0) == sizeof buf)
        atomic_fetch_add(&w->board->value[0], 1);
    (void)i;
}

/* A new client asks once: has it had an answer? */
static bool is_served(struct world *w)
{
    struct tp_client *c = world_connect(w);
    uint8_t buf[10] = {0};
    ssize_t n = tp_cli_send(c, buf, sizeof buf, 300);

    if (n == 0)
        n = tp_cli_recv(c, buf, sizeof buf, 300);
    tp_cli_close(c);
    return n == sizeof buf;
}

/* A server without descriptors for all its clients answers as many as it has
 * some for, and keeps its deadlines; the others get no answer. It works again
 * when they have left: as soon as it has noticed that. */
static void few_descriptors(const struct param *p)
{
    struct world w = {0};
    int64_t start;

    world_open(&w, p, clients(COMERS + 2));
    world_serve(&w, poor_server);
    for (int i = 0; i < COMERS; i++)
        world_add(&w, comer_in_need);
    world_drop(&w);
    for (int i = 0; i < COMERS; i++)
        gate_wait(&w, 0);
    gate_open(&w, 1);
    world_join_clients(&w);
    EXPECT_INT(served_of(p), atomic_load(&w.board->value[0]));
    gate_open(&w, 1);
    start = now_ms(0);
    while (is_named(p) && !is_served(&w))
        REQUIRE(now_ms(start) < LONG_MS);
    world_stop_server(&w);
}

/* ---- two at once -------------------------------------------------------- */

/* Two instances at once don't hear each other. */
static void two_instances(const struct param *p)
{
    struct world a = {0}, b = {0};

    world_open(&a, p, (struct tp_opts){.name = "a", .clients = 2});
    world_open(&b, p, (struct tp_opts){.name = "b", .clients = 2});
    a.opts.open_ms = b.opts.open_ms = LONG_MS;
    world_serve(&a, shout_server);
    world_serve(&b, shout_server);
    for (int i = 0; i < 2; i++) {
        world_add(&a, shout_client);
        world_add(&b, shout_client);
    }
    world_drop(&a);
    world_drop(&b);
    world_join_clients(&a);
    world_join_clients(&b);
    /* b's server was forked beside a's handle: it is stopped by signal. */
    world_stop_server(&b);
    world_stop_server(&a);
}

/* ---- the mechanism itself, from outside ----------------------------------- */

/* True when a descriptor of process `pid` leads to something with this text in
 * its name. */
static bool has_descriptor(pid_t pid, const char *text)
{
    char path[64], link[256];

    for (int fd = 0; fd < 300; fd++) {
        ssize_t n;

        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, fd);
        n = readlink(path, link, sizeof link - 1);
        if (n < 0)
            continue;
        link[n] = '\0';
        if (strstr(link, text))
            return true;
    }
    return false;
}

static bool has_mapping(pid_t pid, const char *text)
{
    char path[64], line[512];
    bool found = false;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    f = fopen(path, "r");
    while (f && !found && fgets(line, sizeof line, f))
        found = strstr(line, text) != NULL;
    if (f)
        fclose(f);
    return found;
}

/* Process `pid` really holds what the transport is named after. */
static bool holds(const struct transport *t, pid_t pid)
{
    char name[64];

    snprintf(name, sizeof name, "default.%s", t->name);
    if (!strcmp(t->name, "pipe"))
        return has_descriptor(pid, "pipe:[") &&
               !has_descriptor(pid, "socket:[") && !has_mapping(pid, "ipclab-");
    if (!strcmp(t->name, "socket"))
        return has_descriptor(pid, "socket:[");
    if (!strcmp(t->name, "shm"))
        return has_mapping(pid, name);
    return has_descriptor(pid, name); /* a FIFO or a queue */
}

static void mechanism_client(struct world *w, struct tp_client *c, unsigned i)
{
    (void)i;
    echo_once(c, 10, 1);
    EXPECT(holds(w->p->t, getpid()));
    gate_open(w, 0);
    gate_wait(w, 1);
}

/* Both ends use the mechanism that the transport is named after. */
static void mechanism(const struct param *p)
{
    struct world w = {0};

    world_open(&w, p, clients(1));
    world_serve(&w, NULL);
    world_add(&w, mechanism_client);
    world_drop(&w);
    gate_wait(&w, 0);
    EXPECT(holds(p->t, w.server));
    gate_open(&w, 1);
    world_end(&w);
}

/* ---- the table ---------------------------------------------------------- */

static const struct check contract_checks[] = {
    {"sizes", sizes, 0, NULL},
    {"refused", refused, 0, NULL},
    {"short-buffer", short_buffer, 0, NULL},
    {"1-client", one_client, 0, NULL},
    {"2-clients", two_clients, 0, NULL},
    {"64-clients", full_house, 180, NULL},
    {"turns", turns, 0, NULL},
    {"depth", depth, 0, NULL},
    {"come-and-go", come_and_go, 180, NULL},
    {"old-peer", old_peer, 0, NULL},
    {"no-slot", no_slot, 0, NULL},
    {"timeouts", timeouts, 0, NULL},
    {"full-send", full_send, 0, NULL},
    {"interrupts", interrupts, 0, NULL},
    {"short-io", short_io, 0, NULL},
    {"killed-before-sending", killed_before_sending, 0, NULL},
    {"killed-mid-request", killed_mid_request, 0, NULL},
    {"killed-before-reading", killed_before_reading, 0, NULL},
    {"many-killed", many_killed, 0, NULL},
    {"server-killed", server_killed, 0, NULL},
    {"short-waits", short_waits, 0, NULL},
    {"forgotten-drop", forgotten_drop, 0, NULL},
    {"stopped-server", stopped_server, 0, NULL},
    {"never-reads", never_reads, 0, NULL},
    {"nobody", nobody, 0, NULL},
    {"bad-options", bad_options, 0, NULL},
    {"good-options", good_options, 0, NULL},
    {"second-server", second_server, 0, NULL},
    {"lost-lock", lost_lock, 0, NULL},
    {"race", race, 0, NULL},
    {"folder", folder, 0, NULL},
    {"restart", restart, 0, NULL},
    {"closing", closing, 0, NULL},
    {"silent-heir", silent_heir, 0, NULL},
    {"few-descriptors", few_descriptors, 0, NULL},
    {"two-instances", two_instances, 0, NULL},
    {"mechanism", mechanism, 0, NULL},
    {0},
};

/* All tables, in the order in which they run. */
static const struct check *const tables[] = {contract_checks, promise_checks,
                                             hostile_checks};

static void run_in_kept_folder(const void *param)
{
    char path[300];
    struct tp_opts o = {0};
    int fd;

    /* The folder stays the same one: the names of queues and segments depend
     * on it, and leftovers() asks for them. */
    close(rundir_open(&o, true));
    keeper(path, sizeof path);
    fd = open(path, O_WRONLY | O_CREAT, 0600);
    REQUIRE(fd >= 0);
    close(fd);
    run_check(param);
}

/* What the kernel keeps outside the runtime folder has no listing: ask for
 * every name that could have been made. */
static void leftovers(const struct test_case *c)
{
    static const char *const instances[] = {"default", "a", "b", LONG_NAME};
    const struct param *p = c->arg;
    char name[SLOTS_FILE_MAX], object[RUNDIR_OBJECT_MAX], dir[RUNDIR_PATH_MAX];

    if (rundir_path(dir) || access(dir, F_OK))
        return;
    for (size_t i = 0; i < sizeof instances / sizeof instances[0]; i++)
        for (int slot = -1; slot < TP_CLIENTS_MAX; slot++) {
            snprintf(name, sizeof name, slot < 0 ? "%s.%s" : "%s.%s.%d",
                     instances[i], p->t->name, slot);
            object_name(object, name);
            if (!strcmp(p->t->name, "mqueue") && mq_unlink(object) == 0)
                harness_check(false, false, __FILE__, __LINE__,
                              "left behind: queue %s", object);
            if (slot < 0 && shm_unlink(object) == 0)
                harness_check(false, false, __FILE__, __LINE__,
                              "left behind: segment %s", object);
        }
}

int main(int argc, char **argv)
{
    struct test_suite suite = {.name = "conformance", .leftovers = leftovers};

    for (size_t t = 0; tp_all[t]; t++)
        for (size_t k = 0; k < sizeof tables / sizeof tables[0]; k++)
            add_for_waits(&suite, run_in_kept_folder, tp_all[t], tables[k]);
    return harness_main(argc, argv, &suite);
}

/*
 * zmq.c - peer: ZeroMQ over ipc://
 *
 * What people use who want messages instead of bytes, and don't want to think
 * about connections: sockets that reconnect by themselves, queue on both sides
 * and talk to many peers at once; the same program works over tcp:// by
 * changing a string. Its price: each process has a thread that does the I/O,
 * so a message goes from thread to thread before it goes from process to
 * process.
 *
 *      client          its I/O thread         I/O thread         server
 *      DEALER -- queue --> ============ UNIX socket ====> queue --> ROUTER
 *             <-- queue --                            <-- queue --
 *
 * DEALER is REQ without the rule "one request, then one reply", which allows a
 * depth above 1; ROUTER puts the sender's routing id before each message. On
 * the wire each message has 2 bytes more (9 from 256 bytes on): 2 + 16 there,
 * 2 + 128 back.
 *
 * What differs from the lab's transports: nobody is told that a peer left,
 * neither the server (srv_recv never gives 0) nor a client, which waits for a
 * server that may come back; a message to a client that has left is dropped
 * (-EPIPE). How many clients there are isn't limited. Spinning means that the
 * caller spins; the I/O threads go on sleeping in epoll_wait.
 *
 * Read zmq_socket(3), zmq_ipc(7).
 */
#include "door.h"
#include "peer.h"
#include "wait.h"

#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#define ZMQ_CEILING (1024 * 1024) /* bytes a message; ZeroMQ has no limit */
#define ZMQ_USUAL   (64 * 1024)
#define ROUTING_ID  5 /* bytes: 0, and a number that ZeroMQ gave the peer */

/* A socket and its context. Both are made after fork, by who uses them. */
struct end {
    void *ctx, *socket; /* owned; NULL = not made yet */
    struct wait_policy policy;
    int timeout_ms; /* ZMQ_RCVTIMEO as it is set now; -1 = none */
};

struct our_server {
    struct tp_server base;
    struct end end;
    struct door door;
};

struct our_client {
    struct tp_client base;
    struct end end;
};

/* ---- both ends ---------------------------------------------------------- */

/* What differs between a system call's errors and ZeroMQ's. */
static int last_error(void)
{
    int err = zmq_errno();

    if (err == EHOSTUNREACH || err == ETERM)
        return -EPIPE;
    return err == EAGAIN ? -ETIMEDOUT : -err;
}

static int end_open(struct end *e, int type)
{
    int linger = TP_SEND_MS, mandatory = 1;

    e->timeout_ms = -1;
    e->ctx = zmq_ctx_new();
    e->socket = e->ctx ? zmq_socket(e->ctx, type) : NULL;
    if (!e->socket)
        return last_error();
    /* What is still queued at the end is worth one deadline, not for ever. */
    if (zmq_setsockopt(e->socket, ZMQ_LINGER, &linger, sizeof linger) < 0)
        return last_error();
    if (type == ZMQ_ROUTER && /* tell us when the addressee has left */
        zmq_setsockopt(e->socket, ZMQ_ROUTER_MANDATORY, &mandatory,
                       sizeof mandatory) < 0)
        return last_error();
    return 0;
}

static void end_close(struct end *e)
{
    if (e->socket)
        (void)zmq_close(e->socket); /* fails for no socket only */
    while (e->ctx && zmq_ctx_term(e->ctx) < 0 && zmq_errno() == EINTR)
        ; /* it waits for ZMQ_LINGER; a signal doesn't end that */
}

static int set_timeout(struct end *e, int ms)
{
    if (ms == e->timeout_ms)
        return 0;
    e->timeout_ms = ms;
    return zmq_setsockopt(e->socket, ZMQ_RCVTIMEO, &ms, sizeof ms) < 0
               ? last_error()
               : 0;
}

/* The next part of a message, of which at most `cap` bytes are kept: its
 * length, or -errno. */
static ssize_t take(struct end *e, void *buf, size_t cap, int ms)
{
    struct wait w;

    wait_begin(&w, &e->policy, ms);
    for (;;) {
        enum wait_step step = wait_next(&w);
        int n, err = 0;

        if (step == WAIT_OVER)
            return -ETIMEDOUT;
        if (step != WAIT_TRY)
            err = set_timeout(e, step == WAIT_PLAIN ? -1 : wait_left_ms(&w));
        if (err)
            return err;
        n = zmq_recv(e->socket, buf, cap, step == WAIT_TRY ? ZMQ_DONTWAIT : 0);
        if (n >= 0 || last_error() != -ETIMEDOUT)
            return n >= 0 ? n : last_error();
    }
}

static bool more_follows(struct end *e)
{
    int more = 0;
    size_t len = sizeof more;

    return zmq_getsockopt(e->socket, ZMQ_RCVMORE, &more, &len) == 0 && more;
}

/* What our own clients send has no further part. */
static bool skip_rest(struct end *e)
{
    bool skipped = false;

    while (more_follows(e) && zmq_recv(e->socket, NULL, 0, 0) >= 0)
        skipped = true;
    return skipped;
}

/* ---- server ------------------------------------------------------------- */

static int our_srv_open(struct tp_server **out, const struct tp_opts *opts)
{
    struct our_server *s = calloc(1, sizeof *s);

    if (!s)
        return -ENOMEM;
    *out = &s->base;
    tp_srv_init(&s->base, opts);
    wait_policy_init(&s->end.policy, opts->wait);
    return door_open(&s->door, "zmq", opts);
}

/* The context has a thread, and threads don't survive fork: not before the
 * first srv_recv. */
static int listen_now(struct our_server *s)
{
    int err = end_open(&s->end, ZMQ_ROUTER);

    if (!err && zmq_bind(s->end.socket, s->door.url) < 0)
        err = last_error();
    return err ? err : door_ring(&s->door);
}

/* A routing id is a return address: the number in it is our tp_peer. */
static ssize_t our_srv_recv(struct tp_server *srv, tp_peer *from, void *buf,
                            size_t cap, int ms)
{
    struct our_server *s = (struct our_server *)srv;
    uint8_t id[ROUTING_ID] = {0};
    int err = s->end.socket ? 0 : listen_now(s);
    ssize_t n;

    if (err)
        return err;
    n = take(&s->end, id, sizeof id, ms);
    if (n < 0)
        return n;
    if (n != ROUTING_ID || id[0] != 0 || !more_follows(&s->end)) {
        (void)skip_rest(&s->end); /* it is bad with or without one */
        return -EPROTO;
    }
    memcpy(from, id + 1, sizeof *from);
    n = take(&s->end, buf, cap, -1); /* all parts come at once (zmq_recv(3)) */
    if (skip_rest(&s->end) || n == 0)
        return -EPROTO;
    return n > (ssize_t)cap ? -EMSGSIZE : n;
}

static int our_srv_send(struct tp_server *srv, tp_peer to, const void *buf,
                        size_t len, int ms)
{
    struct our_server *s = (struct our_server *)srv;
    int flags = ms < 0 ? 0 : ZMQ_DONTWAIT; /* it only queues, either way */
    uint8_t id[ROUTING_ID] = {0};

    memcpy(id + 1, &to, sizeof to);
    if (zmq_send(s->end.socket, id, sizeof id, flags | ZMQ_SNDMORE) < 0 ||
        zmq_send(s->end.socket, buf, len, flags) < 0)
        return last_error();
    return 0;
}

/* Dropping is the same: where nothing was received, there is no socket. */
static void our_srv_close(struct tp_server *srv)
{
    struct our_server *s = (struct our_server *)srv;

    if (!s)
        return;
    if (s->end.socket)
        door_remove(&s->door);
    end_close(&s->end);
    door_close(&s->door);
    free(s);
}

#define our_srv_drop our_srv_close

/* ---- client ------------------------------------------------------------- */

static int our_cli_open(struct tp_client **out, const struct tp_opts *opts)
{
    const struct our_server *s = (const struct our_server *)opts->inherited;
    struct our_client *c = s ? calloc(1, sizeof *c) : NULL;
    int err;

    if (!c)
        return s ? -ENOMEM : -ENOENT;
    *out = &c->base;
    c->base.max_msg = s->base.max_msg;
    c->base.depth = s->base.depth;
    wait_policy_init(&c->end.policy, opts->wait);
    /* ZeroMQ would try again by itself, but not before 100 ms have passed. */
    err = door_wait(&s->door, opts);
    if (!err)
        err = end_open(&c->end, ZMQ_DEALER);
    if (!err && zmq_connect(c->end.socket, s->door.url) < 0)
        err = last_error();
    return err;
}

static int our_cli_send(struct tp_client *cli, const void *buf, size_t len,
                        int ms)
{
    struct our_client *c = (struct our_client *)cli;

    return zmq_send(c->end.socket, buf, len, ms < 0 ? 0 : ZMQ_DONTWAIT) < 0
               ? last_error()
               : 0;
}

static ssize_t our_cli_recv(struct tp_client *cli, void *buf, size_t cap,
                            int ms)
{
    struct our_client *c = (struct our_client *)cli;
    ssize_t n = take(&c->end, buf, cap, ms);

    if (n >= 0 && (skip_rest(&c->end) || n == 0))
        return -EPROTO;
    return n > (ssize_t)cap ? -EMSGSIZE : n;
}

static void our_cli_close(struct tp_client *cli)
{
    struct our_client *c = (struct our_client *)cli;

    if (!c)
        return;
    end_close(&c->end);
    free(c);
}

/* ---- the table ---------------------------------------------------------- */

static const struct transport our_transport = {
    .name = "zmq",
    .blurb = "ZeroMQ over ipc://, DEALER to ROUTER",
    .caps = TP_FRAMED,
    .max_msg = ZMQ_CEILING,
    .usual_msg = ZMQ_USUAL,
    .max_depth = TP_DEPTH_MAX,
    TP_CALLS(our),
};

#define TEXT(n) #n
#define PART(n) TEXT(n)
#define VERSION                                                                \
    PART(ZMQ_VERSION_MAJOR)                                                    \
    "." PART(ZMQ_VERSION_MINOR) "." PART(ZMQ_VERSION_PATCH)

const struct peer peer = {
    .name = "zmq",
    .blurb = "ZeroMQ " VERSION
             " over ipc://, DEALER to ROUTER: 2 bytes more each way",
    .transport = &our_transport,
};

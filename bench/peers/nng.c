/*
 * nng.c - peer: nng over ipc://
 *
 * The other library of messages, a successor of nanomsg and so of ZeroMQ:
 * patterns like request and reply as sockets, no context to care for, threads
 * that start by themselves. People choose it for its small C interface and its
 * licence (MIT). Its price is as ZeroMQ's, and more: on each side one thread
 * polls the descriptors, others do what follows; and a REQ socket sets a timer
 * for each request, to send it again after a minute (NNG_OPT_REQ_RESENDTIME,
 * left as it comes).
 *
 *      client     its threads                 its threads      server
 *      REQ  ---------------> == UNIX socket ==> -------------> raw REP
 *           <---------------                    <-------------
 *
 * A REQ socket allows one unanswered request, so the depth is 1. A plain REP
 * socket allows one on the server's side too, which is no good for 8 clients;
 * a raw one gives each request with a header that says where it came from, and
 * takes a reply with the same header. On the wire a message has 9 bytes of
 * length and 4 of the request's id more: 13 + 16 there, 13 + 128 back.
 *
 * What differs from the lab's transports: as with zmq.c, nobody is told that a
 * peer left. A deadline that passes ends the request: its reply is thrown away
 * when it comes, and asking for it gives -EPROTO. And a signal can't end a
 * wait, which is one for a condition variable: so a server without a deadline
 * looks up after LOOK_MS without a message, and says -EINTR.
 *
 * Read nng_req(7), nng_rep(7), nng_aio(5).
 */
#include "door.h"
#include "peer.h"
#include "wait.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <stdlib.h>
#include <string.h>

#define NNG_CEILING (1024 * 1024) /* bytes a message; nng has no limit */
#define NNG_USUAL   (64 * 1024)
#define REQUEST_ID  4   /* bytes before each message that count as its own */
#define LOOK_MS     100 /* the benchmark asks a server for a second */

/* A socket, and how to wait for its next message. Made after fork: nng has
 * threads from its first call on. */
struct end {
    nng_socket socket;
    nng_aio *aio; /* owned; NULL = nothing made yet */
    struct wait_policy policy;
    int look_ms; /* how long it may wait without a deadline */
};

struct our_server {
    struct tp_server base;
    struct end end;
    struct door door;
    /* Requests without their reply yet; owned. Their headers say to whom. */
    nng_msg *asked[TP_CLIENTS_MAX];
};

struct our_client {
    struct tp_client base;
    struct end end;
};

/* ---- both ends ---------------------------------------------------------- */

static int error_of(int result)
{
    switch (result) {
    case 0: return 0;
    case NNG_ENOMEM: return -ENOMEM;
    case NNG_ETIMEDOUT: return -ETIMEDOUT;
    case NNG_ECONNREFUSED:
    case NNG_ENOENT: return -ENOENT;
    case NNG_EADDRINUSE: return -EADDRINUSE;
    case NNG_EMSGSIZE: return -EMSGSIZE;
    case NNG_ESTATE: return -EPROTO; /* a reply that nng has given up */
    default: return -EPIPE;
    }
}

static int end_open(struct end *e, int (*open)(nng_socket *), size_t max_msg)
{
    int err = error_of(nng_aio_alloc(&e->aio, NULL, NULL));

    if (err)
        return err;
    err = error_of(open(&e->socket));
    if (err) {
        nng_aio_free(e->aio);
        e->aio = NULL;
        return err;
    }
    return error_of(nng_socket_set_size(e->socket, NNG_OPT_RECVMAXSZ,
                                        REQUEST_ID + max_msg));
}

static void end_close(struct end *e)
{
    if (!e->aio)
        return;
    (void)nng_close(e->socket); /* fails for a closed one only */
    nng_aio_free(e->aio);
}

/* The next message, the caller's to free: 0 or -errno. This is what
 * nng_recvmsg(3) does, with a deadline that costs no call to set. */
static int take(struct end *e, nng_msg **msg, int ms)
{
    struct wait w;
    int err;

    wait_begin(&w, &e->policy, ms);
    do {
        enum wait_step step = wait_next(&w);
        int left = step == WAIT_TRY     ? 0
                   : step == WAIT_SLEEP ? wait_left_ms(&w)
                                        : -1;

        if (step == WAIT_OVER)
            return -ETIMEDOUT;
        nng_aio_set_timeout(e->aio, left < 0 ? e->look_ms : left);
        nng_recv_aio(e->socket, e->aio);
        nng_aio_wait(e->aio);
        err = error_of(nng_aio_result(e->aio));
        if (err == -ETIMEDOUT && left < 0)
            return -EINTR;
    } while (err == -ETIMEDOUT);
    if (!err)
        *msg = nng_aio_get_msg(e->aio);
    return err;
}

/* Its bytes into buf: their number; -EMSGSIZE, -EPROTO for none. */
static ssize_t unpack(nng_msg *msg, void *buf, size_t cap)
{
    size_t len = nng_msg_len(msg);

    if (len == 0 || len > cap)
        return len ? -EMSGSIZE : -EPROTO;
    memcpy(buf, nng_msg_body(msg), len);
    return (ssize_t)len;
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
    s->end.look_ms = LOOK_MS;
    return door_open(&s->door, "nng", opts);
}

static int listen_now(struct our_server *s)
{
    int err = end_open(&s->end, nng_rep0_open_raw, s->base.max_msg);

    if (!err)
        err = error_of(nng_listen(s->end.socket, s->door.url, NULL, 0));
    return err ? err : door_ring(&s->door);
}

static ssize_t our_srv_recv(struct tp_server *srv, tp_peer *from, void *buf,
                            size_t cap, int ms)
{
    struct our_server *s = (struct our_server *)srv;
    int err = s->end.aio ? 0 : listen_now(s);
    nng_msg *msg;
    unsigned i;
    ssize_t n;

    if (!err)
        err = take(&s->end, &msg, ms);
    if (err)
        return err;
    for (i = 0; i < TP_CLIENTS_MAX && s->asked[i]; i++)
        ;
    n = i < TP_CLIENTS_MAX ? unpack(msg, buf, cap) : -EPROTO;
    if (n < 0) {
        nng_msg_free(msg);
        return n;
    }
    s->asked[i] = msg;
    *from = peer_of(i, (uint32_t)nng_pipe_id(nng_msg_get_pipe(msg)));
    return n;
}

/* The reply takes the place of the request, in the same message. */
static int our_srv_send(struct tp_server *srv, tp_peer to, const void *buf,
                        size_t len, int ms)
{
    struct our_server *s = (struct our_server *)srv;
    unsigned i = peer_slot(to);
    nng_msg *msg = i < TP_CLIENTS_MAX ? s->asked[i] : NULL;
    int err;

    (void)ms; /* it only queues; for a client that has left it does nothing */
    if (!msg)
        return -EPIPE;
    s->asked[i] = NULL;
    nng_msg_clear(msg);
    err = error_of(nng_msg_append(msg, buf, len));
    if (!err)
        err = error_of(nng_sendmsg(s->end.socket, msg, 0));
    if (err)
        nng_msg_free(msg);
    return err;
}

/* Dropping is the same: where nothing was received, there is no socket. */
static void our_srv_close(struct tp_server *srv)
{
    struct our_server *s = (struct our_server *)srv;

    if (!s)
        return;
    for (unsigned i = 0; i < TP_CLIENTS_MAX; i++)
        if (s->asked[i])
            nng_msg_free(s->asked[i]);
    if (s->end.aio)
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
    c->end.look_ms = NNG_DURATION_INFINITE; /* it isn't told to stop */
    err = door_wait(&s->door, opts);
    if (!err)
        err = end_open(&c->end, nng_req0_open, c->base.max_msg);
    if (!err)
        err = error_of(nng_dial(c->end.socket, s->door.url, NULL, 0));
    return err;
}

static int our_cli_send(struct tp_client *cli, const void *buf, size_t len,
                        int ms)
{
    struct our_client *c = (struct our_client *)cli;
    nng_msg *msg;
    int err = error_of(nng_msg_alloc(&msg, 0));

    (void)ms; /* it only queues */
    if (err)
        return err;
    err = error_of(nng_msg_append(msg, buf, len));
    if (!err)
        err = error_of(nng_sendmsg(c->end.socket, msg, 0));
    if (err)
        nng_msg_free(msg);
    return err;
}

static ssize_t our_cli_recv(struct tp_client *cli, void *buf, size_t cap,
                            int ms)
{
    struct our_client *c = (struct our_client *)cli;
    nng_msg *msg;
    ssize_t n;
    int err = take(&c->end, &msg, ms);

    if (err)
        return err;
    n = unpack(msg, buf, cap);
    nng_msg_free(msg);
    return n;
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
    .name = "nng",
    .blurb = "nng over ipc://, REQ to raw REP",
    .caps = TP_FRAMED,
    .max_msg = NNG_CEILING,
    .usual_msg = NNG_USUAL,
    .max_depth = 1,
    TP_CALLS(our),
};

#define TEXT(n) #n
#define PART(n) TEXT(n)
#define VERSION                                                                \
    PART(NNG_MAJOR_VERSION)                                                    \
    "." PART(NNG_MINOR_VERSION) "." PART(NNG_PATCH_VERSION)

const struct peer peer = {
    .name = "nng",
    .blurb = "nng " VERSION " over ipc://, REQ to REP: 13 bytes more each way",
    .transport = &our_transport,
};

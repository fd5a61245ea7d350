/*
 * tcp.c - peer: TCP over the loopback interface
 *
 * What people use who want one way for both: the peer next door and the one
 * across the ocean. Every language has it, every tool knows it, and it needs no
 * library. Its price on one machine is the whole protocol: segments, checksums
 * left out on loopback, acknowledgements, timers.
 *
 *      client i                    kernel                      server
 *                    127.0.0.1:PORT  -- accept -->    listener
 *      fd   <=====[ connection i, both ways ]=====>   peer[i]
 *
 * What differs from the lab's socket/: the address is a port, taken by who
 * shares the server's handle by fork, as a pipe is; a port belongs to nobody,
 * so anybody on this machine may connect while a run lasts (there is no
 * SO_PEERCRED), take one of the places, and ask. With a deadline both sides
 * poll; without one they make the same plain calls. On the wire a message has
 * its length before it, as there: 4 + 16 bytes there, 4 + 128 back.
 *
 * System calls: socket, bind, listen, accept4, connect, read, sendmsg,
 * epoll_wait in the server. TCP_NODELAY on both sides: otherwise a message may
 * wait for the acknowledgement of the one before (RFC 896). Left out on
 * purpose: TCP_QUICKACK, SO_BUSY_POLL, TCP_FASTOPEN. Read tcp(7).
 *
 * It needs _GNU_SOURCE for accept4.
 */
#define _GNU_SOURCE
#include "frame.h"
#include "peer.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define TCP_CEILING (1024 * 1024) /* bytes a message, as socket/ has it */
#define TCP_USUAL   (64 * 1024)

struct tcp_peer {
    struct frame_conn conn;
    uint32_t generation; /* how many clients this place has had */
};

struct tcp_server {
    struct tp_server base;
    struct wait_policy policy;
    struct turns turns;         /* from the first srv_recv on */
    struct sockaddr_in address; /* for the clients */
    int listener;               /* owned */
    bool listening;             /* it is among the turns */
    struct tcp_peer peer[];
};

struct tcp_client {
    struct tp_client base;
    struct wait_policy policy;
    struct frame_conn conn;
};

/* ---- server ------------------------------------------------------------- */

static int tcp_srv_open(struct tp_server **out, const struct tp_opts *opts)
{
    size_t size = sizeof(struct tcp_server);
    struct tcp_server *s;
    socklen_t len = sizeof s->address;

    s = calloc(1, size + opts->clients * sizeof s->peer[0]);
    if (!s)
        return -ENOMEM;
    *out = &s->base;
    tp_srv_init(&s->base, opts);
    wait_policy_init(&s->policy, opts->wait);
    s->turns.epoll = -1;
    s->address.sin_family = AF_INET; /* port 0: any that is free */
    s->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->listener =
        socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->listener < 0 ||
        bind(s->listener, (struct sockaddr *)&s->address, len) < 0 ||
        listen(s->listener, TP_CLIENTS_MAX) < 0 ||
        getsockname(s->listener, (struct sockaddr *)&s->address, &len) < 0)
        return tp_why(opts, -errno, "no port of 127.0.0.1 can be had");
    return 0;
}

/* The first place without a connection; base.clients when there is none. */
static unsigned free_place(const struct tcp_server *s)
{
    unsigned i = 0;

    while (i < s->base.clients && frame_is_open(&s->peer[i].conn))
        i++;
    return i;
}

/* A connected descriptor, at either end: 0 or -errno. */
static int set_up(struct frame_conn *conn, int fd, size_t max_msg)
{
    int on = 1;

    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        return -errno;
    return frame_open(conn, fd, fd, max_msg);
}

/* Watch the listener, unless every place is taken. The epoll set is made here
 * and not in srv_open: fork would share it. */
static int watch_listener(struct tcp_server *s)
{
    int err = s->turns.epoll < 0 ? turns_open(&s->turns) : 0;

    if (!err && !s->listening && free_place(s) < s->base.clients) {
        err = turns_add(&s->turns, s->listener, TURNS_EXTRA);
        s->listening = !err;
    }
    return err;
}

/* Take all who wait. With every place taken the others stay in the kernel's
 * queue: they may have come before we saw that somebody left. */
static void accept_peers(struct tcp_server *s)
{
    unsigned i;
    int fd = 0;

    while (fd >= 0 && (i = free_place(s)) < s->base.clients) {
        fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            break;
        s->peer[i].generation++;
        if (turns_add(&s->turns, fd, i) < 0 ||
            set_up(&s->peer[i].conn, fd, s->base.max_msg) < 0)
            (void)close(fd); /* no memory: its client sees the end */
    }
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) {
        turns_remove(&s->turns, s->listener, TURNS_EXTRA);
        s->listening = false;
    }
}

static ssize_t tcp_srv_recv(struct tp_server *srv, tp_peer *from, void *buf,
                            size_t cap, int ms)
{
    struct tcp_server *s = (struct tcp_server *)srv;
    int i, err = watch_listener(s);
    struct wait w;

    if (err)
        return err;
    wait_begin(&w, &s->policy, ms);
    while ((i = turns_next(&s->turns, &w)) >= 0) {
        struct tcp_peer *p = &s->peer[i % TP_CLIENTS_MAX];
        ssize_t n;

        if (i == TURNS_EXTRA) {
            accept_peers(s);
            continue;
        }
        n = p->conn.broken ? 0 : frame_recv(&p->conn, buf, cap);
        if (n == -EAGAIN)
            continue; /* half a message: the others needn't wait for it */
        if (frame_ready(&p->conn))
            turns_again(&s->turns, (unsigned)i);
        *from = peer_of((unsigned)i, p->generation);
        if (n == 0 || n == -EPROTO) {
            turns_remove(&s->turns, p->conn.in, (unsigned)i);
            frame_close(&p->conn);
        }
        return n;
    }
    return i;
}

static int tcp_srv_send(struct tp_server *srv, tp_peer to, const void *buf,
                        size_t len, int ms)
{
    struct tcp_server *s = (struct tcp_server *)srv;
    unsigned i = peer_slot(to);
    struct tcp_peer *p = &s->peer[i % s->base.clients];
    int err;

    if (i >= s->base.clients || to != peer_of(i, p->generation) ||
        !frame_is_open(&p->conn))
        return -EPIPE;
    err = frame_send(&p->conn, buf, len, ms);
    if (err == -ETIMEDOUT)
        p->conn.broken = true; /* it doesn't read, and has cost enough time */
    if (p->conn.broken)
        turns_again(&s->turns, i); /* the next srv_recv says that it left */
    return err;
}

/* A port leaves no name behind: to stop is to close. */
static void tcp_srv_close(struct tp_server *srv)
{
    struct tcp_server *s = (struct tcp_server *)srv;

    if (!s)
        return;
    for (unsigned i = 0; i < s->base.clients; i++)
        frame_close(&s->peer[i].conn);
    turns_close(&s->turns);
    close_fd(&s->listener);
    free(s);
}

#define tcp_srv_drop tcp_srv_close

/* ---- client ------------------------------------------------------------- */

static int tcp_cli_open(struct tp_client **out, const struct tp_opts *opts)
{
    const struct tcp_server *s = (const struct tcp_server *)opts->inherited;
    struct tcp_client *c = s ? calloc(1, sizeof *c) : NULL;
    int fd, err = 0;

    if (!c)
        return s ? -ENOMEM : -ENOENT;
    *out = &c->base;
    c->base.max_msg = s->base.max_msg;
    c->base.depth = s->base.depth;
    wait_policy_init(&c->policy, opts->wait);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    /* The kernel accepts for the server: this doesn't wait for it. */
    if (connect(fd, (const struct sockaddr *)&s->address, sizeof s->address) <
        0)
        err = errno == ECONNREFUSED ? -ENOENT : -errno;
    if (!err)
        err = set_up(&c->conn, fd, c->base.max_msg);
    if (err)
        (void)close(fd); /* nothing was sent */
    else if (c->policy.how != TP_BLOCK)
        err = wait_set_nonblock(fd, true);
    return err;
}

static int tcp_cli_send(struct tp_client *cli, const void *buf, size_t len,
                        int ms)
{
    struct tcp_client *c = (struct tcp_client *)cli;

    return frame_send(&c->conn, buf, len, ms);
}

static ssize_t tcp_cli_recv(struct tp_client *cli, void *buf, size_t cap,
                            int ms)
{
    struct tcp_client *c = (struct tcp_client *)cli;
    struct wait w;
    ssize_t n;

    if (c->conn.broken)
        return -EPIPE;
    wait_begin(&w, &c->policy, ms);
    n = frame_await(&c->conn, &w, buf, cap);
    if (n == -EPROTO)
        c->conn.broken = true;
    return n;
}

static void tcp_cli_close(struct tp_client *cli)
{
    struct tcp_client *c = (struct tcp_client *)cli;

    if (!c)
        return;
    frame_close(&c->conn);
    free(c);
}

/* ---- the table ---------------------------------------------------------- */

static const struct transport tcp_transport = {
    .name = "tcp",
    .blurb = "TCP on 127.0.0.1, a connection for each client",
    .caps = TP_HANGUP | TP_TURNS,
    .max_msg = TCP_CEILING,
    .usual_msg = TCP_USUAL,
    .max_depth = TP_DEPTH_MAX,
    TP_CALLS(tcp),
};

const struct peer peer = {
    .name = "tcp",
    .blurb = "TCP on 127.0.0.1 with TCP_NODELAY: 4 bytes more each way",
    .transport = &tcp_transport,
};

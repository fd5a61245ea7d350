/*
 * socket.c - the UNIX domain stream socket
 *
 * The mechanism made for clients and servers: a name in the file system, a
 * connection of its own for each client, both directions in one descriptor,
 * and a kernel that tells each side at once when the other has gone.
 *
 *      client i                    kernel                      server
 *                    INSTANCE.socket  -- accept -->   listener
 *      fd   <=====[ connection i, both ways ]=====>   peer[i]
 *
 * A stream has no message boundaries: frame.h puts a length before each.
 *
 * System calls: socket, bind, listen, accept4, connect, read, sendmsg, close,
 * epoll_wait in the server, SO_RCVTIMEO for a deadline in the client, and
 * SO_PEERCRED to see who connects. Left out on purpose: SOCK_SEQPACKET, which
 * keeps boundaries (and then a message needs no length, but must fit the
 * send buffer); SOCK_DGRAM; passing descriptors (SCM_RIGHTS); the abstract
 * name space, which has no access rights.
 *
 * Read unix(7), and SO_RCVTIMEO in socket(7).
 *
 * It needs _GNU_SOURCE for accept4 and struct ucred.
 */
#define _GNU_SOURCE
#include "frame.h"
#include "slots.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_CEILING (1024 * 1024) /* bytes a message, opts.max_msg at most */
#define SOCKET_USUAL   (64 * 1024)

struct socket_peer {
    struct frame_conn conn;
    uint32_t generation; /* how many clients this place has had */
};

struct socket_server {
    struct tp_server base;
    struct wait_policy policy;
    struct slots slots; /* who may serve, and how many may come */
    struct turns turns; /* empty until the first srv_recv */
    int listener;       /* owned */
    bool listening;     /* it is among the turns */
    struct socket_peer peer[];
};

struct socket_client {
    struct tp_client base;
    struct wait_policy policy;
    struct slots slots;
    struct frame_conn conn;
    int timeout_ms; /* SO_RCVTIMEO as it is set now; -1 = none */
};

/* ---- helpers ------------------------------------------------------------ */

/*
 * The address of our name in the folder that slots.c has open and checked.
 * bind(2) and connect(2) have no -at form: the path goes through /proc, and so
 * fits into sun_path, which has room for 107 bytes only.
 */
static int address(struct sockaddr_un *a, const struct slots *s,
                   const struct tp_opts *opts)
{
    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    return rundir_at(opts, s->dir, s->stem, a->sun_path, sizeof a->sun_path);
}

/* Only our own user may talk to us, and we to him: SO_PEERCRED is what the
 * kernel noted when the other side called connect(2) or listen(2), so it can't
 * be forged. */
static bool is_ours(int fd)
{
    struct ucred who;
    socklen_t len = sizeof who;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 &&
           who.uid == geteuid();
}

/* SO_RCVTIMEO or SO_SNDTIMEO; ms < 0 = none: 0 or -errno. */
static int set_timeout(int fd, int which, int ms)
{
    struct timeval tv = {0}; /* socket(7): zero means for ever */

    if (ms >= 0)
        tv = (struct timeval){ms / 1000, ms % 1000 * 1000};
    return setsockopt(fd, SOL_SOCKET, which, &tv, sizeof tv) < 0 ? -errno : 0;
}

/* ---- server ------------------------------------------------------------- */

/*
 * A listener under our name. A socket file outlives its server: bind(2) says
 * EADDRINUSE for a dead one too, so it is removed first. That is safe because
 * we hold byte 0 of the lock file: no live server can own that file.
 */
static int make_listener(struct socket_server *s, const struct tp_opts *opts)
{
    struct sockaddr_un a;
    int err = address(&a, &s->slots, opts);

    if (!err)
        err = rundir_unlink(opts, s->slots.dir, s->slots.stem, S_IFSOCK);
    if (err)
        return err;
    s->listener =
        socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->listener < 0)
        return -errno;
    /* Before bind: the file is born 0600, and nobody can slip in between. */
    if (fchmod(s->listener, 0600) < 0 ||
        bind(s->listener, (struct sockaddr *)&a, sizeof a) < 0 ||
        listen(s->listener, TP_CLIENTS_MAX) < 0)
        return -errno;
    return turns_open(&s->turns); /* now: once we serve, it mustn't fail */
}

static int socket_srv_open(struct tp_server **out, const struct tp_opts *opts)
{
    struct socket_server *s;
    int err;

    s = calloc(1, sizeof *s + opts->clients * sizeof s->peer[0]);
    if (!s)
        return -ENOMEM;
    *out = &s->base;
    tp_srv_init(&s->base, opts);
    s->listener = s->turns.epoll = -1;
    wait_policy_init(&s->policy, opts->wait);
    err = slots_serve(&s->slots, opts, "socket");
    if (!err)
        err = make_listener(s, opts);
    if (!err)
        err = slots_ready(&s->slots, &s->base);
    return err;
}

/* The first place without a connection; base.clients when there is none. */
static unsigned free_place(const struct socket_server *s)
{
    unsigned i = 0;

    while (i < s->base.clients && frame_is_open(&s->peer[i].conn))
        i++;
    return i;
}

/* Gives a new connection its place: 0 or -errno. */
static int add_peer(struct socket_server *s, unsigned i, int fd)
{
    int err = turns_add(&s->turns, fd, i);

    s->peer[i].generation++;
    return err ? err : frame_open(&s->peer[i].conn, fd, fd, s->base.max_msg);
}

/* Watch the listener, unless every place is taken. Not in srv_open: fork shares
 * the epoll set, so only who serves may add to it. */
static int watch_listener(struct socket_server *s)
{
    int err = 0;

    if (!s->listening && free_place(s) < s->base.clients) {
        err = turns_add(&s->turns, s->listener, TURNS_EXTRA);
        s->listening = !err;
    }
    return err;
}

/*
 * The listener is ready: take all who wait. With every place taken, or no
 * descriptor left, it isn't watched for the rest of this call: a client that
 * has just got a dead one's slot waits in the kernel's queue until we have
 * seen that death.
 */
static void accept_peers(struct socket_server *s)
{
    unsigned i;
    int fd = 0;

    while (fd >= 0 && (i = free_place(s)) < s->base.clients) {
        fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0 && (!is_ours(fd) || add_peer(s, i, fd) < 0))
            close(fd);
    }
    if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
        return;
    turns_remove(&s->turns, s->listener, TURNS_EXTRA);
    s->listening = false;
}

static ssize_t socket_srv_recv(struct tp_server *srv, tp_peer *from, void *buf,
                               size_t cap, int ms)
{
    struct socket_server *s = (struct socket_server *)srv;
    int i, err = watch_listener(s);
    struct wait w;

    if (err)
        return err;
    wait_begin(&w, &s->policy, ms);
    while ((i = turns_next(&s->turns, &w)) >= 0) {
        struct socket_peer *p = &s->peer[i % TP_CLIENTS_MAX];
        ssize_t n;

        if (i == TURNS_EXTRA) {
            accept_peers(s);
            continue;
        }
        n = p->conn.broken ? 0 : frame_recv(&p->conn, buf, cap);
        if (n == -EAGAIN)
            continue; /* half a frame: the others needn't wait for the rest */
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

static int socket_srv_send(struct tp_server *srv, tp_peer to, const void *buf,
                           size_t len, int ms)
{
    struct socket_server *s = (struct socket_server *)srv;
    unsigned i = peer_slot(to);
    struct socket_peer *p = &s->peer[i % s->base.clients];
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

static void socket_srv_drop(struct tp_server *srv)
{
    struct socket_server *s = (struct socket_server *)srv;

    if (!s)
        return;
    for (unsigned i = 0; i < s->base.clients; i++)
        frame_close(&s->peer[i].conn);
    turns_close(&s->turns);
    close_fd(&s->listener);
    slots_drop(&s->slots);
    free(s);
}

static void socket_srv_close(struct tp_server *srv)
{
    struct socket_server *s = (struct socket_server *)srv;

    if (s && slots_retire(&s->slots)) {
        /* Gone already is as good. */
        (void)rundir_unlink(NULL, s->slots.dir, s->slots.stem, S_IFSOCK);
        slots_close(&s->slots);
    }
    socket_srv_drop(srv);
}

/* ---- client ------------------------------------------------------------- */

/*
 * Connect until the deadline: the descriptor, or -errno. connect(2) on a UNIX
 * socket is done as soon as the listener's queue has room; a stopped server
 * with a full queue would hold us for ever, so SO_SNDTIMEO bounds it.
 */
static int connect_to(const struct slots *s, const struct tp_opts *opts)
{
    struct sockaddr_un a;
    int fd, err = address(&a, s, opts);

    if (err)
        return err;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    err = set_timeout(fd, SO_SNDTIMEO, opts->open_ms ? opts->open_ms : 1);
    if (!err && connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
        err = errno == EAGAIN         ? -ETIMEDOUT
              : errno == ECONNREFUSED ? -ENOENT
                                      : -errno;
    if (!err && !is_ours(fd))
        err = rundir_taken(opts, -EACCES);
    if (!err)
        err = set_timeout(fd, SO_SNDTIMEO, -1);
    if (!err)
        return fd;
    close(fd);
    return err;
}

static int socket_cli_open(struct tp_client **out, const struct tp_opts *opts)
{
    struct socket_client *c = calloc(1, sizeof *c);
    int fd, err;

    if (!c)
        return -ENOMEM;
    *out = &c->base;
    c->timeout_ms = -1;
    wait_policy_init(&c->policy, opts->wait);
    err = slots_join(&c->slots, opts, "socket", &c->base);
    if (err)
        return err;
    fd = connect_to(&c->slots, opts);
    if (fd < 0)
        return fd;
    err = frame_open(&c->conn, fd, fd, c->base.max_msg);
    if (err)
        close(fd);
    else if (c->policy.how != TP_BLOCK)
        err = wait_set_nonblock(fd, true);
    return err ? err : slots_joined(&c->slots);
}

static int socket_cli_send(struct tp_client *cli, const void *buf, size_t len,
                           int ms)
{
    struct socket_client *c = (struct socket_client *)cli;

    return frame_send(&c->conn, buf, len, ms);
}

/*
 * Blocking: the kernel's own receive timeout, set only when it isn't so
 * already. It counts in timer ticks and may end up to one tick early: so look
 * at the clock, and wait again.
 */
static ssize_t recv_blocking(struct socket_client *c, void *buf, size_t cap,
                             int ms)
{
    int64_t until = ms < 0 ? 0 : clock_now_ns() + (int64_t)ms * 1000000;

    for (;;) {
        ssize_t n = 0;

        if (ms != c->timeout_ms)
            n = set_timeout(c->conn.in, SO_RCVTIMEO, ms);
        c->timeout_ms = ms;
        if (n == 0)
            n = frame_recv(&c->conn, buf, cap);
        if (n != -EAGAIN) /* EAGAIN: the timeout, or half a frame */
            return n;
        if (ms < 0)
            continue;
        ms = (int)((until - clock_now_ns() + 999999) / 1000000);
        if (ms <= 0)
            return -ETIMEDOUT;
    }
}

static ssize_t socket_cli_recv(struct tp_client *cli, void *buf, size_t cap,
                               int ms)
{
    struct socket_client *c = (struct socket_client *)cli;
    struct wait w;
    ssize_t n;

    if (c->conn.broken)
        return -EPIPE;
    wait_begin(&w, &c->policy, ms);
    n = c->policy.how == TP_BLOCK && ms ? recv_blocking(c, buf, cap, ms)
                                        : frame_await(&c->conn, &w, buf, cap);
    if (n == -EPROTO)
        c->conn.broken = true;
    return n;
}

static void socket_cli_close(struct tp_client *cli)
{
    struct socket_client *c = (struct socket_client *)cli;

    if (!c)
        return;
    frame_close(&c->conn);
    slots_drop(&c->slots); /* last: who gets the slot finds us gone */
    free(c);
}

/* ---- the table ---------------------------------------------------------- */

const struct transport socket_transport = {
    .name = "socket",
    .blurb = "UNIX stream socket, a connection for each client",
    .caps = TP_NAMED | TP_HANGUP | TP_TURNS,
    .max_msg = SOCKET_CEILING,
    .usual_msg = SOCKET_USUAL,
    .max_depth = TP_DEPTH_MAX,
    TP_CALLS(socket),
};

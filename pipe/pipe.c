/*
 * pipe.c - the anonymous pipe
 *
 * The oldest mechanism, and the simplest: a buffer in the kernel with a write
 * end and a read end. It has no name; the only way to a pipe is to be born
 * with its descriptors. So the server makes all channels first, then fork
 * copies them into the clients, and everybody closes what isn't his.
 *
 *      client i                    kernel                     server
 *      out ====[write end]  request pipe i  [read end]====>   in
 *      in  <===[read end]   reply pipe i   [write end]=====   out
 *
 * A pipe goes one way, so a channel is two of them. The bytes have no message
 * boundaries: frame.h puts a length before each message.
 *
 * System calls: pipe2, read, writev, close; poll or epoll_wait where a
 * deadline or many clients want it. Left out on purpose: O_DIRECT ("packet")
 * pipes, which keep boundaries but only up to PIPE_BUF; splice and vmsplice,
 * which move pages instead of copying them; F_SETPIPE_SZ.
 *
 * Read pipe(7) beside this file, "I/O on pipes and FIFOs" above all.
 *
 * It needs _GNU_SOURCE for pipe2, which sets O_CLOEXEC without a moment in
 * which another thread's fork and exec could leak the descriptor.
 */
#define _GNU_SOURCE
#include "frame.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define PIPE_CEILING (1024 * 1024) /* bytes a message, opts.max_msg at most */
#define PIPE_USUAL   (64 * 1024)   /* as much as a pipe's buffer holds */
#define GENERATION   1             /* a channel serves one client, once */

struct pipe_channel {
    struct frame_conn conn; /* the server's ends */
    int cli_in, cli_out;    /* the client's ends until the first srv_recv,
                               owned; -1 = closed, or taken by cli_open */
    bool heard;             /* a message came: the client did exist */
};

struct pipe_server {
    struct tp_server base;
    struct wait_policy policy;
    bool started;       /* the first srv_recv has been */
    struct turns turns; /* from then on: whose channel is next (wait.h) */
    unsigned open;      /* channels whose client may still be there */
    struct pipe_channel channel[];
};

struct pipe_client {
    struct tp_client base;
    struct wait_policy policy;
    struct frame_conn conn; /* in: replies, out: requests */
};

/* ---- helpers ------------------------------------------------------------ */

/* Two pipes, four ends. 0, or -EMFILE, -ENFILE, -ENOMEM. */
static int open_channel(struct pipe_channel *ch, size_t max_msg)
{
    int request[2], reply[2], err;

    if (pipe2(request, O_CLOEXEC) < 0)
        return -errno;
    if (pipe2(reply, O_CLOEXEC) < 0) {
        err = -errno;
        goto close_request;
    }
    err = frame_open(&ch->conn, request[0], reply[1], max_msg);
    if (err)
        goto close_reply;
    ch->cli_out = request[1];
    ch->cli_in = reply[0];
    return 0;

close_reply:
    close(reply[0]);
    close(reply[1]);
close_request:
    close(request[0]);
    close(request[1]);
    return err;
}

/* ---- server ------------------------------------------------------------- */

static int pipe_srv_open(struct tp_server **out, const struct tp_opts *opts)
{
    struct pipe_server *s;

    s = calloc(1, sizeof *s + opts->clients * sizeof s->channel[0]);
    if (!s)
        return -ENOMEM;
    *out = &s->base;
    tp_srv_init(&s->base, opts);
    s->turns.epoll = -1;
    wait_policy_init(&s->policy, opts->wait);
    for (unsigned i = 0; i < opts->clients; i++)
        s->channel[i].cli_in = s->channel[i].cli_out = -1;
    for (; s->open < opts->clients; s->open++) {
        int err = open_channel(&s->channel[s->open], opts->max_msg);

        if (err)
            return tp_why(opts, err,
                          "%u channels need %u descriptors (see ulimit -n)",
                          opts->clients, 4 * opts->clients);
    }
    return 0;
}

/*
 * The first srv_recv: every client has been forked. Our copies of the clients'
 * ends must go now: while we hold a write end of a request pipe ourselves,
 * read(2) on it never says end-of-file, and no client's death is seen
 * (pipe(7): EOF comes when *all* descriptors for the write end are closed).
 * The epoll set is made now because fork would share it; and after that, so
 * that there is a descriptor for it.
 */
static int start(struct pipe_server *s)
{
    int err;

    for (unsigned i = 0; i < s->base.clients; i++) {
        close_fd(&s->channel[i].cli_in);
        close_fd(&s->channel[i].cli_out);
    }
    err = turns_open(&s->turns);
    for (unsigned i = 0; !err && i < s->base.clients; i++) {
        int in = s->channel[i].conn.in;

        if (s->policy.how != TP_BLOCK)
            err = wait_set_nonblock(in, true);
        if (!err)
            err = turns_add(&s->turns, in, i);
    }
    if (err)
        turns_close(&s->turns);
    s->started = !err;
    return err;
}

/* What frame_recv gave for channel i, as srv_recv has to tell it: the message's
 * length, 0 for a client that left, -EPROTO; -EAGAIN when there is nothing to
 * tell yet. */
static ssize_t recv_channel(struct pipe_server *s, unsigned i, tp_peer *from,
                            ssize_t n)
{
    struct pipe_channel *ch = &s->channel[i];
    bool heard = ch->heard;

    *from = peer_of(i, GENERATION);
    if (n > 0)
        ch->heard = true;
    if (frame_ready(&ch->conn))
        turns_again(&s->turns, i);
    if (n == 0 || n == -EPROTO) {
        turns_remove(&s->turns, ch->conn.in, i);
        frame_close(&ch->conn);
        s->open--;
        if (n == 0 && !heard)
            return -EAGAIN; /* no client was ever forked for this channel */
    }
    return n;
}

/* A server with one channel is a client turned round: it needs no epoll, and
 * waits in the read itself. */
static ssize_t recv_only(struct pipe_server *s, struct wait *w, tp_peer *from,
                         void *buf, size_t cap)
{
    struct frame_conn *c = &s->channel[0].conn;
    ssize_t n = c->broken ? 0 : frame_await(c, w, buf, cap);

    return recv_channel(s, 0, from, n);
}

static ssize_t recv_any(struct pipe_server *s, struct wait *w, tp_peer *from,
                        void *buf, size_t cap)
{
    int i = turns_next(&s->turns, w);
    struct frame_conn *c;

    if (i < 0)
        return i;
    c = &s->channel[i].conn;
    return recv_channel(s, (unsigned)i, from,
                        c->broken ? 0 : frame_recv(c, buf, cap));
}

static ssize_t pipe_srv_recv(struct tp_server *srv, tp_peer *from, void *buf,
                             size_t cap, int ms)
{
    struct pipe_server *s = (struct pipe_server *)srv;
    ssize_t n = s->started ? 0 : start(s);
    struct wait w;

    if (n < 0)
        return n;
    wait_begin(&w, &s->policy, ms);
    do {
        if (!s->open)
            return -ENOTCONN;
        n = s->base.clients == 1 ? recv_only(s, &w, from, buf, cap)
                                 : recv_any(s, &w, from, buf, cap);
    } while (n == -EAGAIN);
    return n;
}

static int pipe_srv_send(struct tp_server *srv, tp_peer to, const void *buf,
                         size_t len, int ms)
{
    struct pipe_server *s = (struct pipe_server *)srv;
    unsigned i = peer_slot(to);
    struct frame_conn *c;
    int err;

    if (i >= s->base.clients || to != peer_of(i, GENERATION))
        return -EPIPE;
    c = &s->channel[i].conn;
    if (!frame_is_open(c))
        return -EPIPE;
    err = frame_send(c, buf, len, ms);
    if (err == -ETIMEDOUT)
        c->broken = true; /* it doesn't read, and has cost enough time */
    if (c->broken && s->started)
        turns_again(&s->turns, i); /* the next srv_recv says that it left */
    return err;
}

static void pipe_srv_drop(struct tp_server *srv)
{
    struct pipe_server *s = (struct pipe_server *)srv;

    if (!s)
        return;
    for (unsigned i = 0; i < s->base.clients; i++) {
        frame_close(&s->channel[i].conn);
        close_fd(&s->channel[i].cli_in);
        close_fd(&s->channel[i].cli_out);
    }
    turns_close(&s->turns);
    free(s);
}

/* A pipe has no name to unlink. */
static void pipe_srv_close(struct tp_server *srv)
{
    pipe_srv_drop(srv);
}

/* ---- client ------------------------------------------------------------- */

/* Takes the two ends of a channel out of the handle that fork has copied. */
static int take_channel(struct pipe_client *c, struct pipe_channel *ch)
{
    int err = frame_open(&c->conn, ch->cli_in, ch->cli_out, c->base.max_msg);

    if (err)
        return err;
    ch->cli_in = ch->cli_out = -1;
    if (c->policy.how != TP_BLOCK)
        err = wait_set_nonblock(c->conn.in, true);
    return err;
}

static int pipe_cli_open(struct tp_client **out, const struct tp_opts *opts)
{
    struct pipe_server *s = (struct pipe_server *)opts->inherited;
    struct pipe_client *c;

    if (!s || s->base.t->srv_open != pipe_srv_open ||
        opts->index >= s->base.clients)
        return tp_why(opts, -EINVAL,
                      "a pipe has no name: it is inherited from the process "
                      "that made it");
    if (s->channel[opts->index].cli_in < 0)
        return tp_why(opts, -EBUSY, "channel %u is taken", opts->index);
    c = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    *out = &c->base;
    c->base.max_msg = s->base.max_msg;
    c->base.depth = s->base.depth;
    wait_policy_init(&c->policy, opts->wait);
    return take_channel(c, &s->channel[opts->index]);
}

static int pipe_cli_send(struct tp_client *cli, const void *buf, size_t len,
                         int ms)
{
    struct pipe_client *c = (struct pipe_client *)cli;

    return frame_send(&c->conn, buf, len, ms);
}

static ssize_t pipe_cli_recv(struct tp_client *cli, void *buf, size_t cap,
                             int ms)
{
    struct pipe_client *c = (struct pipe_client *)cli;
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

static void pipe_cli_close(struct tp_client *cli)
{
    struct pipe_client *c = (struct pipe_client *)cli;

    if (!c)
        return;
    frame_close(&c->conn);
    free(c);
}

/* ---- the table ---------------------------------------------------------- */

const struct transport pipe_transport = {
    .name = "pipe",
    .blurb = "anonymous pipes, inherited by fork",
    .caps = TP_HANGUP | TP_TURNS,
    .max_msg = PIPE_CEILING,
    .usual_msg = PIPE_USUAL,
    .max_depth = TP_DEPTH_MAX,
    TP_CALLS(pipe),
};

/*
 * fifo.c - the named FIFO
 *
 * A pipe with a name in the file system: whoever may open the name can use it.
 * The textbook server: one well-known FIFO that all clients write their
 * requests into, and a FIFO of its own for each client's replies.
 *
 *      client i                  runtime folder                 server
 *      request  ====>  INSTANCE.fifo      (all clients)  ====>  request
 *      reply    <====  INSTANCE.fifo.i    (client i)     <====  reply[i]
 *
 * Many writers share one stream. What keeps their messages whole is pipe(7):
 * a write of at most PIPE_BUF (4,096) bytes is atomic. So a frame goes out by
 * one write and is never longer. And whatever a broken program may write into
 * the request FIFO mustn't hurt the honest ones: the frames are checked ones,
 * see cframe.h, and a reader finds back into step by itself.
 *
 * System calls: mkfifo, open, read, write, poll, ioctl(FIONREAD), unlink.
 * Left out on purpose: O_RDWR on a FIFO (Linux allows it, POSIX doesn't); a
 * lock that would let longer writes stay whole.
 *
 * Read fifo(7), and pipe(7) on PIPE_BUF.
 */
#include "cframe.h"
#include "slots.h"
#include "wait.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct fifo_server {
    struct tp_server base;
    struct wait_policy policy;
    struct slots slots;
    struct cframe_in request;
    int keep; /* a write end of the request FIFO that nobody writes to; owned */
    struct wait_out reply[TP_CLIENTS_MAX]; /* of the known clients */
};

struct fifo_client {
    struct tp_client base;
    struct wait_policy policy;
    struct slots slots;
    struct wait_out request;
    struct cframe_in reply;
    bool met;  /* the server has opened our reply FIFO */
    bool gone; /* the server has left */
};

/* ---- helpers ------------------------------------------------------------ */

/* Removes the FIFO of a slot (-1: the request FIFO). opts: while opening. */
static int remove_fifo(const struct slots *s, int slot,
                       const struct tp_opts *opts)
{
    char name[SLOTS_FILE_MAX];

    slots_name(name, s, slot);
    return rundir_unlink(opts, s->dir, name, S_IFIFO);
}

/* A new one in place of an old one, which may hold old messages. */
static int make_fifo(const struct slots *s, int slot,
                     const struct tp_opts *opts)
{
    char name[SLOTS_FILE_MAX];
    int err = remove_fifo(s, slot, opts);

    slots_name(name, s, slot);
    return err ? err : mkfifoat(s->dir, name, 0600) < 0 ? -errno : 0;
}

/* Opens it: the descriptor or -errno. */
static int open_fifo(const struct slots *s, int slot, int flags)
{
    char name[SLOTS_FILE_MAX];
    int fd;

    slots_name(name, s, slot);
    fd = openat(s->dir, name, flags | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* All of the frame by one write, or nothing. */
static int write_frame(struct wait_out *out, const struct cframe *f,
                       const void *payload, int ms)
{
    uint8_t bytes[PIPE_BUF];
    size_t len = cframe_put(bytes, f, payload);
    struct wait_room room = {.ms = ms};
    int err = wait_out_for(out, ms);

    while (!err && write(out->fd, bytes, len) < 0) {
        err = -errno;
        if (err == -EAGAIN) /* fewer than `len` bytes free: pipe(7) */
            err = wait_for_room(&room, out->fd);
    }
    return err;
}

/* ---- server ------------------------------------------------------------- */

/* Removes every FIFO that can stand under our names. */
static int remove_all(const struct slots *s, const struct tp_opts *opts)
{
    int err = 0;

    for (int i = -1; !err && i < TP_CLIENTS_MAX; i++)
        err = remove_fifo(s, i, opts);
    return err;
}

/*
 * The request FIFO. Opened for reading with O_NONBLOCK, or open would wait for
 * the first client. The write end that we keep ourselves has one purpose: with
 * no writer at all, read(2) says end-of-file at once, again and again, until
 * the next client comes.
 */
static int open_request(struct fifo_server *s, const struct tp_opts *opts)
{
    int err = remove_all(&s->slots, opts);

    if (!err)
        err = make_fifo(&s->slots, -1, opts);
    if (err)
        return err;
    s->request.fd = open_fifo(&s->slots, -1, O_RDONLY | O_NONBLOCK);
    if (s->request.fd < 0)
        return s->request.fd;
    s->keep = open_fifo(&s->slots, -1, O_WRONLY);
    if (s->keep < 0)
        return s->keep;
    return s->policy.how == TP_BLOCK ? wait_set_nonblock(s->request.fd, false)
                                     : 0;
}

static int fifo_srv_open(struct tp_server **out, const struct tp_opts *opts)
{
    struct fifo_server *s = calloc(1, sizeof *s);
    int err;

    if (!s)
        return -ENOMEM;
    *out = &s->base;
    tp_srv_init(&s->base, opts);
    s->request.fd = s->keep = -1;
    for (int i = 0; i < TP_CLIENTS_MAX; i++)
        s->reply[i].fd = -1;
    wait_policy_init(&s->policy, opts->wait);
    err = slots_serve(&s->slots, opts, "fifo");
    if (!err)
        err = open_request(s, opts);
    if (!err)
        err = slots_ready(&s->slots, &s->base);
    return err;
}

/* Says that the client in this slot has left. */
static ssize_t part(struct fifo_server *s, unsigned slot, tp_peer *from)
{
    *from = slots_part(&s->slots, slot);
    close_fd(&s->reply[slot].fd);
    return 0;
}

/*
 * The first message of a client, or a later one when there was no descriptor
 * for the first: open its reply FIFO. O_NONBLOCK, because a client that died
 * in the meantime has left a FIFO without a reader, and open would wait for
 * one for ever; like this it says ENXIO. With both ends held the name has done
 * its work and is removed.
 */
static void meet(struct fifo_server *s, unsigned slot)
{
    int fd = slots_pin(&s->slots, slot)
                 ? open_fifo(&s->slots, (int)slot, O_WRONLY | O_NONBLOCK)
                 : -ESTALE; /* it is dead, and the name is another one's */

    s->reply[slot] = (struct wait_out){.fd = fd, .nonblock = true};
    if (fd >= 0 || fd == -ENXIO)
        (void)remove_fifo(&s->slots, (int)slot, NULL); /* else at the end */
    slots_unpin(&s->slots, slot);
}

/* The next frame in the buffer: as srv_recv, -EAGAIN when there is none. */
static ssize_t next_request(struct fifo_server *s, tp_peer *from, void *buf,
                            size_t cap)
{
    struct cframe f;
    int found = cframe_find(&s->request, &f), met;

    if (found <= 0)
        return found ? found : -EAGAIN;
    met = slots_meet(&s->slots, f.slot, f.generation);
    if (met == -EPIPE) /* the frame stays for the next call */
        return part(s, f.slot, from);
    if (met < 0) {
        (void)cframe_take(&s->request, &f, NULL, 0);
        return met;
    }
    if (s->reply[f.slot].fd < 0)
        meet(s, f.slot);
    *from = peer_of(f.slot, f.generation);
    return cframe_take(&s->request, &f, buf, cap);
}

static ssize_t fifo_srv_recv(struct tp_server *srv, tp_peer *from, void *buf,
                             size_t cap, int ms)
{
    struct fifo_server *s = (struct fifo_server *)srv;
    ssize_t n = next_request(s, from, buf, cap);
    struct wait w;

    wait_begin(&w, &s->policy, ms);
    w.slice_ms = slots_slice_ms(&s->slots);
    while (n == -EAGAIN) {
        int dead, err = wait_fd(&w, s->request.fd, POLLIN, true);

        n = err ? err : cframe_fill(&s->request);
        if (n > 0) {
            n = next_request(s, from, buf, cap);
        } else if (err == -EAGAIN || err == -ETIMEDOUT) {
            /* Has somebody left? What he wrote before is in the FIFO still. */
            dead = slots_dead(&s->slots);
            if (dead >= 0 && cframe_is_empty(&s->request))
                return part(s, (unsigned)dead, from);
        }
    }
    return n;
}

static int fifo_srv_send(struct tp_server *srv, tp_peer to, const void *buf,
                         size_t len, int ms)
{
    struct fifo_server *s = (struct fifo_server *)srv;
    struct cframe f = {.slot = peer_slot(to), .len = len};
    int err;

    if (!slots_knows(&s->slots, to) || s->reply[f.slot].fd < 0)
        return -EPIPE;
    f.generation = s->slots.known_generation[f.slot];
    err = write_frame(&s->reply[f.slot], &f, buf, ms);
    if (!err || err == -EINTR)
        return err;
    close_fd(&s->reply[f.slot].fd); /* gone, or it doesn't read */
    slots_refuse(&s->slots, f.slot);
    return err == -ETIMEDOUT ? err : -EPIPE;
}

static void fifo_srv_drop(struct tp_server *srv)
{
    struct fifo_server *s = (struct fifo_server *)srv;

    if (!s)
        return;
    for (int i = 0; i < TP_CLIENTS_MAX; i++)
        close_fd(&s->reply[i].fd);
    close_fd(&s->request.fd);
    close_fd(&s->keep);
    slots_drop(&s->slots);
    free(s);
}

static void fifo_srv_close(struct tp_server *srv)
{
    struct fifo_server *s = (struct fifo_server *)srv;

    if (s && slots_retire(&s->slots)) {
        (void)remove_all(&s->slots, NULL); /* what remains isn't ours */
        slots_close(&s->slots);
    }
    fifo_srv_drop(srv);
}

/* ---- client ------------------------------------------------------------- */

/*
 * Our reply FIFO first, and its read end: the server's open for writing fails
 * with ENXIO as long as nobody reads. Then the request FIFO, where ENXIO says
 * the same of the server.
 */
static int open_both(struct fifo_client *c, const struct tp_opts *opts)
{
    int slot = (int)c->slots.slot, err = make_fifo(&c->slots, slot, opts);

    if (err)
        return err;
    c->reply.fd = open_fifo(&c->slots, slot, O_RDONLY | O_NONBLOCK);
    if (c->reply.fd < 0)
        return c->reply.fd;
    c->request.fd = open_fifo(&c->slots, -1, O_WRONLY | O_NONBLOCK);
    if (c->request.fd < 0)
        return c->request.fd == -ENXIO ? -ENOENT : c->request.fd;
    c->request.nonblock = true;
    if (c->policy.how == TP_BLOCK)
        err = wait_set_nonblock(c->reply.fd, false);
    return err ? err : slots_joined(&c->slots);
}

static int fifo_cli_open(struct tp_client **out, const struct tp_opts *opts)
{
    struct fifo_client *c = calloc(1, sizeof *c);
    int err;

    if (!c)
        return -ENOMEM;
    *out = &c->base;
    c->request.fd = c->reply.fd = -1;
    wait_policy_init(&c->policy, opts->wait);
    err = slots_join(&c->slots, opts, "fifo", &c->base);
    return err ? err : open_both(c, opts);
}

static int fifo_cli_send(struct tp_client *cli, const void *buf, size_t len,
                         int ms)
{
    struct fifo_client *c = (struct fifo_client *)cli;
    struct cframe f = {
        .slot = c->slots.slot, .generation = c->slots.generation, .len = len};

    return c->gone ? -EPIPE : write_frame(&c->request, &f, buf, ms);
}

/*
 * Before the first reply nobody writes to our FIFO yet, and read(2) would say
 * end-of-file although the server lives. poll(2) tells the two apart: it says
 * nothing before the first writer comes, and POLLHUP after the last has left.
 * A server that dies before it comes is seen by its lock: then -EPIPE.
 */
static int await_server(struct fifo_client *c, struct wait *w)
{
    struct pollfd p = {.fd = c->reply.fd, .events = POLLIN};
    int n = 0;

    while (n == 0) {
        int ms = wait_slice_ms(w);

        if (ms < 0)
            return -ETIMEDOUT;
        n = poll(&p, 1, ms);
        if (n == 0 && ms > 0 && !slots_server_alive(&c->slots))
            return -EPIPE;
    }
    c->met = n > 0;
    return n < 0 ? -errno : 0;
}

/* The next reply in the buffer; -EAGAIN when there is none. */
static ssize_t next_reply(struct fifo_client *c, void *buf, size_t cap)
{
    struct cframe f;
    int found = cframe_find(&c->reply, &f);

    if (found <= 0)
        return found ? found : -EAGAIN;
    if (f.generation == c->slots.generation)
        return cframe_take(&c->reply, &f, buf, cap);
    (void)cframe_take(&c->reply, &f, NULL, 0); /* our predecessor's */
    return -EAGAIN;
}

static ssize_t fifo_cli_recv(struct tp_client *cli, void *buf, size_t cap,
                             int ms)
{
    struct fifo_client *c = (struct fifo_client *)cli;
    ssize_t n = next_reply(c, buf, cap);
    struct wait w;

    wait_begin(&w, &c->policy, ms);
    while (n == -EAGAIN && !c->gone) {
        int err = c->met ? wait_fd(&w, c->reply.fd, POLLIN, false)
                         : await_server(c, &w);

        if (err && err != -EPIPE)
            return err;
        n = err ? 0 : cframe_fill(&c->reply);
        c->gone = n == 0;
        if (n > 0)
            n = next_reply(c, buf, cap);
    }
    return c->gone ? 0 : n;
}

static void fifo_cli_close(struct tp_client *cli)
{
    struct fifo_client *c = (struct fifo_client *)cli;

    if (!c)
        return;
    /* The name is still there if the server never opened it. */
    if (c->slots.fd >= 0 && !c->met && slots_ours(&c->slots))
        (void)remove_fifo(&c->slots, (int)c->slots.slot, NULL);
    close_fd(&c->reply.fd);
    close_fd(&c->request.fd);
    slots_drop(&c->slots); /* last: who gets the slot finds us gone */
    free(c);
}

/* ---- the table ---------------------------------------------------------- */

const struct transport fifo_transport = {
    .name = "fifo",
    .blurb = "named FIFOs, one for all requests",
    .caps = TP_NAMED | TP_TURNS,
    .max_msg = CFRAME_MAX,
    .usual_msg = CFRAME_MAX,
    .max_depth = 1, /* a second request of one client would stand in the FIFO
                       before the first of another */
    TP_CALLS(fifo),
};

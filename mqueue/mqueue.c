/*
 * mqueue.c - the POSIX message queue
 *
 * A queue in the kernel that keeps whole messages, each with a priority. One
 * queue goes one way (whoever reads from the queue it writes to gets its own
 * words back), so a conversation takes two: one for all requests, and one for
 * each client's replies.
 *
 *      client i                    kernel                    server
 *      request ====>  /ipclab-UID-HASH-INSTANCE.mqueue    ====>  request
 *      reply   <====  /ipclab-UID-HASH-INSTANCE.mqueue.i  <====  reply[i]
 *
 *      a request:  | "IPCQ" | generation and slot, 4 bytes | payload |
 *      a reply:    | payload |
 *
 * All messages have the same priority, so the queue is first in, first out:
 * who may have `depth` requests in it makes the others wait for so many.
 * (Priorities look like a remedy. But mq_receive always takes the highest:
 * whoever keeps sending at a higher one starves the rest.)
 *
 * A queue knows nothing of its readers and writers: no end-of-file, no
 * hang-up. Whether the other side lives is told by its lock (slots.h).
 *
 * System calls: mq_open, mq_send, mq_receive, mq_timedsend, mq_timedreceive,
 * mq_close, mq_unlink. Left out on purpose: mq_notify; poll on a queue, which
 * works on Linux only; priorities. mq_timedreceive knows no clock but
 * CLOCK_REALTIME: if somebody turns that back, a wait lasts as much longer;
 * turned forward, it ends early, sees that, and goes on.
 *
 * Queues count against RLIMIT_MSGQUEUE, by default 819,200 bytes for all
 * queues of a user. quota.c chooses the sizes so that they stay within it.
 *
 * Read mq_overview(7), and getrlimit(2) on RLIMIT_MSGQUEUE.
 */
#include "bytes.h"
#include "quota.h"
#include "slots.h"
#include "wait.h"

#include <errno.h>
#include <mqueue.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC          0x51435049u   /* "IPCQ" */
#define HEAD           8             /* bytes before a request's payload */
#define MQUEUE_CEILING (8192 - HEAD) /* the kernel's usual msgsize_max */
#define NONE           ((mqd_t)-1)

struct mqueue_server {
    struct tp_server base;
    struct wait_policy policy;
    struct slots slots;
    mqd_t request;  /* owned */
    uint8_t *buf;   /* owned: HEAD + max_msg bytes, one request */
    size_t pending; /* bytes in buf of a request not handed out yet */
    mqd_t reply[TP_CLIENTS_MAX]; /* of the known clients; owned */
};

struct mqueue_client {
    struct tp_client base;
    struct wait_policy policy;
    struct slots slots;
    mqd_t request, reply; /* owned */
    uint8_t *buf;         /* owned: HEAD + max_msg bytes, one message */
};

/* ---- helpers ------------------------------------------------------------ */

/*
 * The queue of a slot (-1: the request queue). With `a`, a new one to read
 * from, never one that stands there already, which may hold old messages;
 * without, the existing one to write to. NONE with errno set.
 */
static mqd_t open_queue(const struct slots *s, int slot, struct mq_attr *a)
{
    char name[RUNDIR_OBJECT_MAX];

    slots_object(name, s, slot);
    if (!a)
        return rundir_ours(mq_open(name, O_WRONLY | O_CLOEXEC));
    (void)mq_unlink(name); /* a dead owner's; the name is ours by our lock */
    return mq_open(name, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600, a);
}

static void remove_queue(const struct slots *s, int slot)
{
    char name[RUNDIR_OBJECT_MAX];

    slots_object(name, s, slot);
    (void)mq_unlink(name); /* as a rule it is gone already */
}

static void close_queue(mqd_t *q)
{
    if (*q != NONE)
        mq_close(*q);
    *q = NONE;
}

/* One attempt: a step of wait.h as the call that does it. The message's
 * length; -EAGAIN nothing yet. `cap` must hold the longest message. */
static ssize_t receive(mqd_t q, void *buf, size_t cap, const struct wait *w,
                       enum wait_step step)
{
    struct timespec at = wait_realtime(w, step);
    ssize_t n = step == WAIT_PLAIN ? mq_receive(q, buf, cap, NULL)
                                   : mq_timedreceive(q, buf, cap, NULL, &at);

    return n >= 0 ? n : errno == ETIMEDOUT ? -EAGAIN : -errno;
}

/* The same for sending: 0; -EAGAIN the queue is full. */
static int send_once(mqd_t q, const void *buf, size_t len, const struct wait *w,
                     enum wait_step step)
{
    struct timespec at = wait_realtime(w, step);
    int r = step == WAIT_PLAIN ? mq_send(q, buf, len, 0)
                               : mq_timedsend(q, buf, len, 0, &at);

    return r == 0 ? 0 : errno == ETIMEDOUT ? -EAGAIN : -errno;
}

/* ---- server ------------------------------------------------------------- */

/* Removes every queue that can stand under our names. */
static void remove_all(const struct slots *s)
{
    for (int i = -1; i < TP_CLIENTS_MAX; i++)
        remove_queue(s, i);
}

static int mqueue_srv_open(struct tp_server **out, const struct tp_opts *opts)
{
    struct mq_attr a = {.mq_maxmsg = MQUEUE_REQUESTS};
    struct mqueue_server *s;
    size_t max_msg = 0;
    int err = mqueue_choose_size(opts, HEAD, &max_msg);

    if (err)
        return err;
    s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    *out = &s->base;
    tp_srv_init(&s->base, opts);
    s->base.max_msg = max_msg;
    s->request = NONE;
    for (int i = 0; i < TP_CLIENTS_MAX; i++)
        s->reply[i] = NONE;
    wait_policy_init(&s->policy, opts->wait);
    err = slots_serve(&s->slots, opts, "mqueue");
    if (err)
        return err;
    remove_all(&s->slots);
    s->buf = malloc(HEAD + max_msg);
    if (!s->buf)
        return -ENOMEM;
    a.mq_msgsize = (long)(HEAD + max_msg);
    s->request = open_queue(&s->slots, -1, &a);
    if (s->request == NONE)
        return mqueue_why(opts, errno);
    return slots_ready(&s->slots, &s->base);
}

/* Says that the client in this slot has left. */
static ssize_t part(struct mqueue_server *s, unsigned slot, tp_peer *from)
{
    *from = slots_part(&s->slots, slot);
    close_queue(&s->reply[slot]);
    return 0;
}

/* Hands out the request in s->buf: as srv_recv. */
static ssize_t hand_out(struct mqueue_server *s, tp_peer *from, void *buf,
                        size_t cap)
{
    size_t n = s->pending;
    tp_peer who = n > HEAD ? get32(s->buf + 4) : 0;
    unsigned slot = peer_slot(who);
    int met = -EPROTO;

    if (n > HEAD && get32(s->buf) == MAGIC)
        met = slots_meet(&s->slots, slot, who >> 8);
    if (met == -EPIPE) /* the request stays for the next call */
        return part(s, slot, from);
    s->pending = 0;
    if (met < 0)
        return met;
    if (s->reply[slot] == NONE && slots_pin(&s->slots, slot)) {
        /* Its first message, or there was no descriptor until now. Once both
         * hold the reply queue, its name has done its work; without a name
         * nothing can be left behind. */
        s->reply[slot] = open_queue(&s->slots, (int)slot, NULL);
        if (s->reply[slot] != NONE)
            remove_queue(&s->slots, (int)slot); /* else when we close */
        slots_unpin(&s->slots, slot);
    }
    *from = who;
    if (n - HEAD > cap)
        return -EMSGSIZE;
    memcpy(buf, s->buf + HEAD, n - HEAD);
    return (ssize_t)(n - HEAD);
}

/* Nothing arrives: a client that has left, and whose last message has been
 * taken (what a dead one sent is still in the queue); or -1. */
static int find_dead(struct mqueue_server *s)
{
    int slot = slots_dead(&s->slots);
    struct mq_attr a;

    return mq_getattr(s->request, &a) < 0 || a.mq_curmsgs > 0 ? -1 : slot;
}

static ssize_t mqueue_srv_recv(struct tp_server *srv, tp_peer *from, void *buf,
                               size_t cap, int ms)
{
    struct mqueue_server *s = (struct mqueue_server *)srv;
    struct wait w;

    wait_begin(&w, &s->policy, ms);
    w.slice_ms = slots_slice_ms(&s->slots);
    while (!s->pending) {
        enum wait_step step = wait_next(&w);
        ssize_t n = -ETIMEDOUT;
        int dead;

        if (step != WAIT_OVER)
            n = receive(s->request, s->buf, HEAD + s->base.max_msg, &w, step);
        if (n >= 0) {
            s->pending = (size_t)n;
            break; /* 0 bytes are legal for a queue, and not a request */
        }
        if (n != -EAGAIN && n != -ETIMEDOUT)
            return n;
        dead = wait_looks(&w, step) ? find_dead(s) : -1;
        if (dead >= 0)
            return part(s, (unsigned)dead, from);
        if (n == -ETIMEDOUT)
            return n;
    }
    return hand_out(s, from, buf, cap);
}

static int mqueue_srv_send(struct tp_server *srv, tp_peer to, const void *buf,
                           size_t len, int ms)
{
    struct mqueue_server *s = (struct mqueue_server *)srv;
    mqd_t *reply = &s->reply[peer_slot(to) % TP_CLIENTS_MAX];
    struct wait w;
    int err = -EAGAIN;

    if (!slots_knows(&s->slots, to) || *reply == NONE)
        return -EPIPE;
    wait_begin(&w, &s->policy, ms);
    while (err == -EAGAIN) {
        enum wait_step step = wait_next(&w);

        err = step == WAIT_OVER ? -ETIMEDOUT
                                : send_once(*reply, buf, len, &w, step);
    }
    if (!err || err == -EINTR)
        return err;
    close_queue(reply); /* it doesn't read, or isn't what it should be */
    slots_refuse(&s->slots, peer_slot(to));
    return err == -ETIMEDOUT ? err : -EPIPE;
}

static void mqueue_srv_drop(struct tp_server *srv)
{
    struct mqueue_server *s = (struct mqueue_server *)srv;

    if (!s)
        return;
    for (int i = 0; i < TP_CLIENTS_MAX; i++)
        close_queue(&s->reply[i]);
    close_queue(&s->request);
    slots_drop(&s->slots);
    free(s->buf);
    free(s);
}

static void mqueue_srv_close(struct tp_server *srv)
{
    struct mqueue_server *s = (struct mqueue_server *)srv;

    if (s && slots_retire(&s->slots)) {
        remove_all(&s->slots);
        slots_close(&s->slots);
    }
    mqueue_srv_drop(srv);
}

/* ---- client ------------------------------------------------------------- */

static int mqueue_cli_open(struct tp_client **out, const struct tp_opts *opts)
{
    struct mqueue_client *c = calloc(1, sizeof *c);
    struct mq_attr a = {0};
    int err;

    if (!c)
        return -ENOMEM;
    *out = &c->base;
    c->request = c->reply = NONE;
    wait_policy_init(&c->policy, opts->wait);
    err = slots_join(&c->slots, opts, "mqueue", &c->base);
    if (err)
        return err;
    c->buf = malloc(HEAD + c->base.max_msg);
    if (!c->buf)
        return -ENOMEM;
    a.mq_maxmsg = c->base.depth; /* so the server's send always finds room */
    a.mq_msgsize = (long)c->base.max_msg;
    c->reply = open_queue(&c->slots, (int)c->slots.slot, &a);
    if (c->reply == NONE)
        return mqueue_why(opts, errno);
    c->request = open_queue(&c->slots, -1, NULL);
    return c->request == NONE ? mqueue_why(opts, errno)
                              : slots_joined(&c->slots);
}

static int mqueue_cli_send(struct tp_client *cli, const void *buf, size_t len,
                           int ms)
{
    struct mqueue_client *c = (struct mqueue_client *)cli;
    struct wait w;
    int err = -EAGAIN;

    put32(c->buf, MAGIC);
    put32(c->buf + 4, peer_of(c->slots.slot, c->slots.generation));
    memcpy(c->buf + HEAD, buf, len);
    wait_begin(&w, &c->policy, ms);
    while (err == -EAGAIN) {
        enum wait_step step = wait_next(&w);

        if (slots_server_left(&c->slots, &w))
            return -EPIPE;
        err = step == WAIT_OVER
                  ? -ETIMEDOUT
                  : send_once(c->request, c->buf, HEAD + len, &w, step);
    }
    return err;
}

static ssize_t mqueue_cli_recv(struct tp_client *cli, void *buf, size_t cap,
                               int ms)
{
    struct mqueue_client *c = (struct mqueue_client *)cli;
    ssize_t n = -EAGAIN;
    struct wait w;

    wait_begin(&w, &c->policy, ms);
    while (n == -EAGAIN) {
        enum wait_step step = wait_next(&w);
        bool left = slots_server_left(&c->slots, &w);

        if (left) /* its last reply may be there */
            step = WAIT_TRY;
        n = -ETIMEDOUT;
        if (step != WAIT_OVER)
            n = receive(c->reply, c->buf, c->base.max_msg, &w, step);
        if (left && n == -EAGAIN)
            return 0;
    }
    if (n <= 0)
        return n ? n : -EPROTO;
    if ((size_t)n > cap)
        return -EMSGSIZE;
    memcpy(buf, c->buf, (size_t)n);
    return n;
}

static void mqueue_cli_close(struct tp_client *cli)
{
    struct mqueue_client *c = (struct mqueue_client *)cli;

    if (!c)
        return;
    /* The name is still there if the server never opened the queue. */
    if (c->slots.fd >= 0 && slots_ours(&c->slots))
        remove_queue(&c->slots, (int)c->slots.slot);
    close_queue(&c->reply);
    close_queue(&c->request);
    slots_drop(&c->slots); /* last: who gets the slot finds us gone */
    free(c->buf);
    free(c);
}

/* ---- the table ---------------------------------------------------------- */

const struct transport mqueue_transport = {
    .name = "mqueue",
    .blurb = "POSIX message queues, one for all requests",
    .caps = TP_NAMED | TP_FRAMED,
    .max_msg = MQUEUE_CEILING,
    .max_depth = TP_DEPTH_MAX, /* less where the limits say so */
    .probe = mqueue_probe,
    TP_CALLS(mqueue),
};

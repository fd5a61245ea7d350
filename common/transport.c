/*
 * transport.c - the registry, and the wrappers around a transport's table
 *
 * The only file that names the chapters. The wrappers check what the contract
 * asks of callers, so that no chapter has to, and do the book-keeping that is
 * the same for all five: counters, and the depth of a client.
 */
#include "transport.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

extern const struct transport pipe_transport;
extern const struct transport fifo_transport;
extern const struct transport mqueue_transport;
extern const struct transport shm_transport;
extern const struct transport socket_transport;

const struct transport *const tp_all[] = {
    &pipe_transport, &fifo_transport,   &mqueue_transport,
    &shm_transport,  &socket_transport, NULL,
};

const struct transport *tp_find(const char *name)
{
    for (const struct transport *const *t = tp_all; *t; t++)
        if (!strcmp((*t)->name, name))
            return *t;
    return NULL;
}

bool tp_name_ok(const char *name)
{
    static const char legal[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "abcdefghijklmnopqrstuvwxyz0123456789_-";
    size_t len = strlen(name);

    return len >= 1 && len <= TP_NAME_MAX && strspn(name, legal) == len;
}

void tp_srv_init(struct tp_server *srv, const struct tp_opts *opts)
{
    srv->max_msg = opts->max_msg;
    srv->depth = opts->depth;
    srv->clients = opts->clients;
}

int tp_why(const struct tp_opts *opts, int err, const char *format, ...)
{
    va_list ap;

    if (opts && opts->why && opts->why_cap) {
        va_start(ap, format);
        vsnprintf(opts->why, opts->why_cap, format, ap);
        va_end(ap);
    }
    return err;
}

/* ---- opening ------------------------------------------------------------ */

/* The options with defaults filled in: 0, or -EINVAL, -EMSGSIZE. */
static int complete(const struct transport *t, struct tp_opts *o)
{
    if (o->why && o->why_cap)
        o->why[0] = '\0';
    if (!o->name)
        o->name = "default";
    if (!tp_name_ok(o->name))
        return tp_why(o, -EINVAL,
                      "an instance name has 1 to %d of A-Z a-z 0-9 _ -",
                      TP_NAME_MAX);
    if (!o->clients)
        o->clients = 1;
    if (!o->depth)
        o->depth = 1;
    if (o->clients > TP_CLIENTS_MAX || o->depth > TP_DEPTH_MAX)
        return tp_why(o, -EINVAL, "at most %d clients and a depth of %d",
                      TP_CLIENTS_MAX, TP_DEPTH_MAX);
    if (o->wait != TP_BLOCK && o->wait != TP_SPIN && o->wait != TP_ADAPT)
        return tp_why(o, -EINVAL, "wait is block, spin or adapt");
    if (o->depth > t->max_depth)
        return tp_why(o, -ENOBUFS,
                      "%s has room for %u unanswered request of a client",
                      t->name, t->max_depth);
    if (o->max_msg > t->max_msg)
        return tp_why(o, -EMSGSIZE, "%s carries at most %zu bytes a message",
                      t->name, t->max_msg);
    if (!o->max_msg)
        o->max_msg = t->usual_msg;
    return 0;
}

/* The limit behind an error that any chapter can meet, where it hasn't said
 * more itself. */
static int explain(const struct tp_opts *o, int err)
{
    if (!o->why || !o->why_cap || o->why[0])
        return err;
    if (err == -EMFILE)
        return tp_why(o, err,
                      "this process has no descriptor left; raise "
                      "RLIMIT_NOFILE (ulimit -n)");
    if (err == -ENFILE)
        return tp_why(o, err,
                      "this machine has no descriptor left; raise "
                      "/proc/sys/fs/file-max");
    if (err == -ENOSPC)
        return tp_why(o, err,
                      "the disk of the runtime folder is full; make room, or "
                      "set XDG_RUNTIME_DIR to a folder elsewhere");
    return err;
}

int tp_probe(const struct transport *t, char *why, size_t cap)
{
    return t->probe ? t->probe(why, cap) : 0;
}

int tp_srv_open(const struct transport *t, struct tp_server **out,
                const struct tp_opts *opts)
{
    struct tp_opts o = *opts;
    int err = complete(t, &o);

    *out = NULL;
    if (!err)
        err = t->srv_open(out, &o);
    if (!err) {
        (*out)->t = t;
    } else if (*out) {
        t->srv_close(*out);
        *out = NULL;
    }
    return explain(&o, err);
}

int tp_cli_open(const struct transport *t, struct tp_client **out,
                const struct tp_opts *opts)
{
    struct tp_opts o = *opts;
    int err = complete(t, &o);

    *out = NULL;
    if (!err)
        err = t->cli_open(out, &o);
    if (!err) {
        (*out)->t = t;
    } else if (*out) {
        t->cli_close(*out);
        *out = NULL;
    }
    /* What cli_open didn't take out of it is other people's: kept, it would
     * hide a death. */
    tp_srv_drop(o.inherited);
    return explain(&o, err);
}

/* ---- messages ----------------------------------------------------------- */

static int check_send(const void *buf, size_t len, size_t max_msg)
{
    if (!buf || !len)
        return -EINVAL;
    return len > max_msg ? -EMSGSIZE : 0;
}

static void count_receive(struct tp_counters *c, ssize_t n)
{
    if (n > 0) {
        c->received++;
        c->received_bytes += (uint64_t)n;
    } else if (n == 0) {
        c->left++;
    } else if (n == -EPROTO || n == -EMSGSIZE) {
        c->bad++;
    }
}

static void count_send(struct tp_counters *c, int err, size_t len)
{
    if (!err) {
        c->sent++;
        c->sent_bytes += len;
    } else if (err == -ETIMEDOUT) {
        c->timeouts++;
    }
}

ssize_t tp_srv_recv(struct tp_server *srv, tp_peer *from, void *buf, size_t cap,
                    int ms)
{
    ssize_t n;

    if (!buf || !cap || !from)
        return -EINVAL;
    n = srv->t->srv_recv(srv, from, buf, cap, ms);
    count_receive(&srv->count, n);
    return n;
}

int tp_srv_send(struct tp_server *srv, tp_peer to, const void *buf, size_t len,
                int ms)
{
    int err = check_send(buf, len, srv->max_msg);

    if (!err)
        err = srv->t->srv_send(srv, to, buf, len, ms);
    count_send(&srv->count, err, len);
    return err;
}

int tp_cli_send(struct tp_client *cli, const void *buf, size_t len, int ms)
{
    int err = check_send(buf, len, cli->max_msg);

    if (!err && cli->unanswered >= cli->depth)
        err = -EAGAIN;
    if (!err)
        err = cli->t->cli_send(cli, buf, len, ms);
    if (!err)
        cli->unanswered++;
    count_send(&cli->count, err, len);
    return err;
}

ssize_t tp_cli_recv(struct tp_client *cli, void *buf, size_t cap, int ms)
{
    ssize_t n;

    if (!buf || !cap)
        return -EINVAL;
    n = cli->t->cli_recv(cli, buf, cap, ms);
    if (n == 0 || n == -EPIPE)
        cli->unanswered = 0; /* no answer will come */
    else if ((n > 0 || n == -EMSGSIZE || n == -EPROTO) && cli->unanswered)
        cli->unanswered--;
    count_receive(&cli->count, n);
    return n;
}

/* ---- closing ------------------------------------------------------------ */

void tp_srv_drop(struct tp_server *srv)
{
    if (srv)
        srv->t->srv_drop(srv);
}

void tp_srv_close(struct tp_server *srv)
{
    if (srv)
        srv->t->srv_close(srv);
}

void tp_cli_close(struct tp_client *cli)
{
    if (cli)
        cli->t->cli_close(cli);
}

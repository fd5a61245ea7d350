/*
 * lab.c - what is measured: the lab itself, over one transport
 *
 *      client.h  client_get  <-- transport -->  server_run  -> store   (lab)
 *      client.h  client_get  --> server_handle              -> store   (none)
 *
 * "none" is a transport without a mechanism: its client's receive calls the
 * server's handler directly. The same codec, the same store, the same client
 * code; what is missing is the way between two processes. So it measures what
 * the lab costs before any mechanism does, and the harness itself.
 *
 * Other things can be measured through the same requests by writing a struct
 * transport for them: that is all that this file asks of one.
 */
#include "case.h"

#include "client.h"
#include "server.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPEN_MS  2000       /* a run may start while the machine is busy */
#define NAMES    8          /* benchmarks that may run at the same time */
#define START_AT 1795942800 /* 2026-11-29T09:00:00Z, the first event's start */

struct lab {
    struct conditions c;
    const struct transport *t;
    char name[TP_NAME_MAX + 1];
    struct tp_server *srv; /* NULL in the client, and with "none" */
    struct client client;
    char *pattern;
    size_t payload;            /* bytes of title or echo */
    uint32_t turn;             /* requests so far */
    uint32_t id;               /* get: of the next event */
    struct client_event event; /* get: the last reply */
};

/* ---- the store ---------------------------------------------------------- */

/* Event `id` has the pattern from id on as its title. */
static int fill_store(struct store *st, const struct lab *lab)
{
    char title[EVENT_TITLE_MAX + 1];
    struct event ev = {.title = title, .title_len = (uint8_t)lab->payload};
    struct store_result res;

    for (uint32_t i = 1; i <= lab->c.events; i++) {
        int err;

        memcpy(title, lab->pattern + i % PATTERN_STEP, lab->payload);
        title[lab->payload] = '\0';
        ev.start = START_AT + (int64_t)i * 600;
        ev.end = ev.start + 3000;
        store_lock(st);
        err = store_add(st, 0, &ev, &res);
        store_unlock(st);
        if (err)
            return err;
    }
    return 0;
}

static int open_store(struct store **st, const struct lab *lab)
{
    int err = store_open(st, &(struct store_opts){.path = NULL});

    if (!err && lab->c.op == OP_GET)
        err = fill_store(*st, lab);
    return err;
}

/* ---- "none": the direct call -------------------------------------------- */

struct none_client {
    struct tp_client base;
    struct store *store; /* lab's */
    struct server_count count;
    size_t len; /* of the request */
    char request[];
};

static int none_cli_open(struct tp_client **out, const struct tp_opts *opts)
{
    struct none_client *c = calloc(1, sizeof *c + opts->max_msg);

    if (!c)
        return -ENOMEM;
    c->base.max_msg = opts->max_msg;
    c->base.depth = 1;
    *out = &c->base;
    return 0;
}

static int none_cli_send(struct tp_client *cli, const void *buf, size_t len,
                         int ms)
{
    struct none_client *c = (struct none_client *)cli;

    (void)ms;
    memcpy(c->request, buf, len);
    c->len = len;
    return 0;
}

static ssize_t none_cli_recv(struct tp_client *cli, void *buf, size_t cap,
                             int ms)
{
    struct none_client *c = (struct none_client *)cli;
    uint64_t seq;

    (void)ms;
    return (ssize_t)server_handle(c->store, &c->count, c->request, c->len, buf,
                                  cap, &seq);
}

static void none_cli_close(struct tp_client *cli)
{
    free(cli); /* base is the first member */
}

static const struct transport none_transport = {
    .name = "none",
    .blurb = "a direct call: codec and store alone",
    .caps = TP_FRAMED,
    .max_msg = 1024 * 1024 + WIRE_MESSAGE_MIN,
    .max_depth = 1,
    .cli_open = none_cli_open,
    .cli_send = none_cli_send,
    .cli_recv = none_cli_recv,
    .cli_close = none_cli_close,
};

/* ---- the subject -------------------------------------------------------- */

/* What every transport carries is taken as it comes; only more is asked for. */
static size_t wanted_max(const struct lab *lab)
{
    size_t size = lab->c.size;

    if (lab->t != &none_transport)
        return size > WIRE_MESSAGE_MIN ? size : 0;
    return size > WIRE_MESSAGE_MIN ? size : WIRE_MESSAGE_MIN;
}

/*
 * A fixed name, so that a server that had to be killed is cleaned up by the
 * next run: the contract's srv_open takes over what a dead server left.
 */
static int open_server(struct lab *lab, char *why)
{
    struct tp_opts opts = {.name = lab->name,
                           .clients = lab->c.clients,
                           .depth = lab->c.depth,
                           .max_msg = wanted_max(lab),
                           .wait = lab->c.wait,
                           .why = why,
                           .why_cap = CASE_WHY_MAX};
    int err = -EADDRINUSE;

    for (int i = 0; i < NAMES && err == -EADDRINUSE; i++) {
        (void)snprintf(lab->name, sizeof lab->name, "bench-%d", i);
        err = tp_srv_open(lab->t, &lab->srv, &opts);
    }
    return err;
}

static void lab_drop(void *self)
{
    struct lab *lab = self;

    tp_srv_drop(lab->srv);
    free(lab->pattern);
    free(lab);
}

static int lab_prepare(void **self, const struct conditions *c, char *why)
{
    struct lab *lab = calloc(1, sizeof *lab);
    int err = 0;

    if (!lab)
        return -ENOMEM;
    lab->c = *c;
    lab->id = 1;
    (void)snprintf(lab->name, sizeof lab->name, "bench");
    lab->payload =
        c->size - WIRE_REPLY_MIN - (c->op == OP_GET ? WIRE_EVENT_MIN : 0);
    lab->t = c->kind == KIND_NONE ? &none_transport : tp_find(c->transport);
    lab->pattern = pattern_new(c->size);
    if (!lab->t || !lab->pattern)
        err = lab->t ? -ENOMEM : -EINVAL;
    else if (c->kind == KIND_LAB)
        err = open_server(lab, why);
    if (err)
        lab_drop(lab);
    else
        *self = lab;
    return err;
}

static int lab_serve(void *self, const atomic_bool *stop)
{
    struct lab *lab = self;
    struct server_opts opts = {.set = &lab->srv, .count = 1, .stop = stop};
    int err = open_store(&opts.store, lab);

    /* Where the client has no deadline, the server has none either. */
    opts.wait_ms = lab->c.deadline_ms < 0 ? -1 : 0;
    if (!err) {
        err = server_run(&opts);
        store_close(opts.store);
    }
    tp_srv_close(lab->srv);
    return err;
}

static int lab_join(void *self, char *why)
{
    struct lab *lab = self;
    struct tp_opts opts = {.name = lab->name,
                           .open_ms = OPEN_MS,
                           .max_msg = wanted_max(lab),
                           .wait = lab->c.wait,
                           .why = why,
                           .why_cap = CASE_WHY_MAX};
    struct store *st = NULL;
    int err = 0;

    if (lab->t->caps & TP_NAMED)
        tp_srv_drop(lab->srv);
    else
        opts.inherited = lab->srv;
    lab->srv = NULL;
    if (lab->t == &none_transport)
        err = open_store(&st, lab);
    if (!err)
        err = client_open(&lab->client, lab->t, &opts, lab->c.deadline_ms);
    if (!err && st)
        ((struct none_client *)lab->client.conn)->store = st;
    return err;
}

static int lab_call(void *self)
{
    struct lab *lab = self;

    if (lab->c.op == OP_GET)
        return client_get(&lab->client, lab->id, &lab->event);
    return client_echo(&lab->client, lab->pattern + lab->turn % PATTERN_STEP,
                       lab->payload);
}

/* client_echo has compared the payload itself. */
static int lab_check(void *self)
{
    struct lab *lab = self;
    bool good = true;

    lab->turn++;
    if (lab->c.op == OP_GET) {
        good = lab->event.event.id == lab->id &&
               lab->event.event.title_len == lab->payload &&
               memcmp(lab->event.text, lab->pattern + lab->id % PATTERN_STEP,
                      lab->payload) == 0;
        lab->id = lab->id == lab->c.events ? 1 : lab->id + 1;
    }
    return good ? 0 : -EBADMSG;
}

/*
 * A server that waits without a deadline sees *stop only when something ends
 * its wait. A signal ends a blocking call; one that spins needs a message.
 */
static void lab_leave(void *self, pid_t server)
{
    struct lab *lab = self;

    if (server && lab->c.wait == TP_SPIN) {
        (void)kill(server, SIGTERM);
        lab->client.ms = 100;
        (void)client_ping(&lab->client); /* it may be gone already */
    }
    client_close(&lab->client);
}

const struct subject lab_subject = {lab_prepare, lab_serve, lab_join, lab_call,
                                    lab_check,   lab_leave, lab_drop};

const struct subject none_subject = {lab_prepare, NULL,      lab_join, lab_call,
                                     lab_check,   lab_leave, lab_drop};

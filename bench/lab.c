/*
 * lab.c - what is measured: the lab itself, over one transport
 *
 *      client.h  client_get  <-- transport -->  server_run  -> store   (lab)
 *      client.h  client_get  --> server_handle              -> store   (none)
 *      pattern               <-- transport -->  pattern                (raw)
 *
 * "none" is a transport without a mechanism: its client's receive calls the
 * server's handler directly. The same codec, the same store, the same client
 * code; what is missing is the way between two processes. So it measures what
 * the lab costs before any mechanism does, and the harness itself.
 *
 * Other things can be measured through the same requests by writing a struct
 * transport for them: that is all that this file asks of one (peer.h).
 */
#include "case.h"

#include "client.h"
#include "clock.h"
#include "peer.h"
#include "server.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OPEN_MS  2000       /* a run may start while the machine is busy */
#define NAMES    8          /* benchmarks that may run at the same time */
#define START_AT 1795942800 /* 2026-11-29T09:00:00Z, the first event's start */
#define STEP_S   600        /* from one event's start to the next one's */
#define LENGTH_S 3000       /* so four earlier ones overlap its start */
#define STORES   8          /* of different sizes, kept at a time */
#define DIR_MAX  200
#define STALLS   10 /* a second, each stall_us long */

struct lab {
    struct conditions c;
    const struct transport *t;
    char name[TP_NAME_MAX + 1];
    struct tp_server *srv; /* NULL in the client, and with "none" */
    struct store *store;   /* shared by fork; NULL: OP_ADD, OP_RAW */
    struct client client;
    char *pattern;
    size_t payload;            /* bytes of title, echo or raw message */
    uint32_t posted, taken;    /* requests so far */
    struct client_event event; /* get: the last reply */
    uint32_t id;               /* add: of the last reply */
    unsigned hits;             /* list: right ones in the last reply */
    char dir[DIR_MAX];         /* add: of the data file; "" = none */
};

/* ---- the events --------------------------------------------------------- */

void bench_event(const char *pattern, uint32_t id, size_t len, char *title,
                 int64_t *start, int64_t *end)
{
    memcpy(title, pattern + id % PATTERN_STEP, len);
    title[len] = '\0';
    *start = START_AT + (int64_t)id * STEP_S;
    *end = *start + LENGTH_S;
}

static int fill_store(struct store *st, const char *pattern, uint32_t events,
                      size_t len)
{
    char title[EVENT_TITLE_MAX + 1];
    struct event ev = {.title = title, .title_len = (uint8_t)len};
    struct store_result res;
    int err = 0;

    for (uint32_t id = 1; id <= events && !err; id++) {
        bench_event(pattern, id, len, title, &ev.start, &ev.end);
        store_lock(st);
        err = store_add(st, 0, &ev, &res);
        store_unlock(st);
    }
    return err;
}

/*
 * A store of a million events takes seconds to fill. So each is filled once,
 * here in ipcbench; the processes of a run get it by fork, and since they only
 * read it, the kernel never has to copy its pages.
 */
static struct kept {
    struct store *store;
    unsigned events;
    size_t len;
} kept[STORES];

static char last_dir[DIR_MAX]; /* see make_dir */

static void remove_dir(char dir[DIR_MAX]);

void lab_forget(void)
{
    remove_dir(last_dir);
    for (size_t i = 0; i < STORES; i++)
        store_close(kept[i].store);
    memset(kept, 0, sizeof kept);
}

static int find_store(struct store **out, const char *pattern, unsigned events,
                      size_t len)
{
    struct kept *k = kept;
    int err;

    while (k < kept + STORES && k->store &&
           (k->events != events || k->len != len))
        k++;
    if (k == kept + STORES) {
        lab_forget();
        k = kept;
    }
    if (!k->store) {
        err = store_open(&k->store, &(struct store_opts){.path = NULL});
        if (!err)
            err = fill_store(k->store, pattern, events, len);
        if (err)
            return err;
        k->events = events;
        k->len = len;
    }
    *out = k->store;
    return 0;
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

/* ---- a server that takes its time --------------------------------------- */

/*
 * The table of a transport whose server computes a while after each receive,
 * or stops now and then, as a collector of garbage does. In the server process
 * only, so one is enough.
 */
static struct slow {
    struct transport table;
    const struct transport *real;
    int64_t work_ns, stall_ns, next_stall;
} slow;

static void busy_until(int64_t end)
{
    while (clock_now_ns() < end)
        ;
}

static ssize_t slow_recv(struct tp_server *srv, tp_peer *from, void *buf,
                         size_t cap, int ms)
{
    ssize_t n = slow.real->srv_recv(srv, from, buf, cap, ms);
    int64_t now = clock_now_ns();

    if (n <= 0)
        return n;
    if (slow.stall_ns && now >= slow.next_stall) {
        slow.next_stall = now + 1000000000 / STALLS;
        busy_until(now + slow.stall_ns);
    }
    if (slow.work_ns)
        busy_until(clock_now_ns() + slow.work_ns);
    return n;
}

static void slow_down(struct tp_server *srv, const struct conditions *c)
{
    if (c->work_us == 0 && c->stall_us == 0)
        return;
    slow.real = srv->t;
    slow.table = *srv->t;
    slow.table.srv_recv = slow_recv;
    slow.work_ns = (int64_t)c->work_us * 1000;
    slow.stall_ns = (int64_t)c->stall_us * 1000;
    slow.next_stall = clock_now_ns() + 1000000000 / STALLS;
    srv->t = &slow.table;
}

/* ---- before the fork ---------------------------------------------------- */

/* What every transport carries is taken as it comes; only more is asked for. */
static size_t wanted_max(const struct lab *lab)
{
    size_t request = case_request_size(&lab->c);
    size_t size = lab->c.size > request ? lab->c.size : request;

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

/* Ours and what our store may have made in it; "" = none, and so it becomes. */
static void remove_dir(char dir[DIR_MAX])
{
    static const char *const names[] = {"data.jsonl", "data.jsonl.lock",
                                        "data.jsonl.compacting"};
    char path[DIR_MAX + 20];

    if (!dir[0])
        return;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        (void)unlink(path); /* it may not be there */
    }
    (void)rmdir(dir);
    dir[0] = '\0';
}

/* Changes go into a file of their own in /var/tmp, which is on a disk where
 * /tmp may be memory; TMPDIR says otherwise. The server removes the folder; one
 * that was killed couldn't, so ipcbench remembers the last. */
static int make_dir(struct lab *lab)
{
    const char *tmp = getenv("TMPDIR");

    remove_dir(last_dir);
    if ((size_t)snprintf(lab->dir, sizeof lab->dir, "%s/ipcbench-XXXXXX",
                         tmp && *tmp ? tmp : "/var/tmp") >= sizeof lab->dir)
        return -ENAMETOOLONG;
    if (mkdtemp(lab->dir)) {
        memcpy(last_dir, lab->dir, sizeof last_dir);
        return 0;
    }
    lab->dir[0] = '\0';
    return -errno;
}

static size_t payload_of(const struct conditions *c)
{
    switch (c->op) {
    case OP_GET: return c->size - WIRE_REPLY_MIN - WIRE_EVENT_MIN;
    case OP_ECHO: return c->size - WIRE_REPLY_MIN;
    case OP_LIST:
        return (c->size - WIRE_REPLY_MIN - 4) / LIST_HITS - WIRE_EVENT_MIN;
    case OP_ADD: return ADD_TITLE;
    default: return c->size;
    }
}

static const struct transport *find_transport(const struct conditions *c,
                                              char *why)
{
    const struct peer *peer;

    if (c->kind == KIND_NONE)
        return &none_transport;
    if (c->kind == KIND_LAB)
        return tp_find(c->transport);
    peer = peer_find(c->transport, why, CASE_WHY_MAX);
    return peer ? peer->transport : NULL;
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
    bool reads = c->op == OP_GET || c->op == OP_LIST;
    int err = 0;

    if (!lab)
        return -ENOMEM;
    lab->c = *c;
    (void)snprintf(lab->name, sizeof lab->name, "bench");
    lab->payload = payload_of(c);
    lab->t = find_transport(c, why);
    lab->pattern = pattern_new(lab->payload);
    if (!lab->t || !lab->pattern)
        err = lab->t ? -ENOMEM : -EINVAL;
    if (!err && c->op == OP_ADD)
        err = make_dir(lab);
    else if (!err && c->op != OP_RAW)
        err = find_store(&lab->store, lab->pattern, reads ? c->events : 0,
                         lab->payload);
    if (!err && c->kind != KIND_NONE)
        err = open_server(lab, why);
    if (err) {
        remove_dir(lab->dir);
        lab_drop(lab);
    } else {
        *self = lab;
    }
    return err;
}

/* ---- the server process ------------------------------------------------- */

/* The reply begins one letter later than the request did; two, if the request
 * isn't the pattern: so the client sees that it arrived wrong. */
static void answer_raw(const struct lab *lab, char *message, size_t len)
{
    unsigned from = (unsigned char)message[0] - (unsigned)'a';
    bool good = from < PATTERN_STEP && len == lab->payload &&
                memcmp(message, lab->pattern + from, len) == 0;

    if (len <= lab->payload)
        memcpy(message,
               lab->pattern +
                   (from % PATTERN_STEP + (good ? 1 : 2)) % PATTERN_STEP,
               len);
}

static int serve_raw(struct lab *lab, const atomic_bool *stop, int wait_ms)
{
    size_t cap = lab->srv->max_msg;
    char *message = malloc(cap);
    int err = message ? 0 : -ENOMEM;

    while (!err && !atomic_load(stop)) {
        tp_peer from;
        ssize_t n = tp_srv_recv(lab->srv, &from, message, cap, wait_ms);

        if (n > 0) {
            answer_raw(lab, message, (size_t)n);
            err = tp_srv_send(lab->srv, from, message, (size_t)n,
                              wait_ms < 0 ? -1 : TP_SEND_MS);
            n = 0;
        }
        if (err == -EPIPE || err == -ETIMEDOUT)
            err = 0; /* that client is gone: the others go on */
        if (n < 0 && n != -ETIMEDOUT && n != -EINTR && n != -EPROTO)
            err = (int)n;
    }
    free(message);
    return err == -ENOTCONN ? 0 : err;
}

static int serve_changes(struct lab *lab, struct server_opts *opts, char *path,
                         size_t cap)
{
    int err;

    (void)snprintf(path, cap, "%s/data.jsonl", lab->dir);
    err = store_open(&opts->store,
                     &(struct store_opts){.path = path, .sync = lab->c.sync});
    if (!err) {
        err = server_run(opts);
        store_close(opts->store);
    }
    remove_dir(lab->dir);
    return err;
}

static int lab_serve(void *self, const atomic_bool *stop)
{
    struct lab *lab = self;
    struct server_opts opts = {
        .set = &lab->srv, .count = 1, .stop = stop, .store = lab->store};
    char path[DIR_MAX + 20];
    int err;

    /* Where the client has no deadline, the server has none either. */
    opts.wait_ms = lab->c.deadline_ms < 0 ? -1 : SERVER_SLICE_MS;
    slow_down(lab->srv, &lab->c);
    if (lab->c.op == OP_RAW)
        err = serve_raw(lab, stop, opts.wait_ms);
    else if (lab->c.op == OP_ADD)
        err = serve_changes(lab, &opts, path, sizeof path);
    else
        err = server_run(&opts);
    tp_srv_close(lab->srv);
    return err;
}

/* ---- the client process ------------------------------------------------- */

static int lab_join(void *self, unsigned index, char *why)
{
    struct lab *lab = self;
    struct tp_opts opts = {.name = lab->name,
                           .open_ms = OPEN_MS,
                           .max_msg = wanted_max(lab),
                           .wait = lab->c.wait,
                           .index = index,
                           .why = why,
                           .why_cap = CASE_WHY_MAX};
    int err;

    /* Clients don't ask for the same event at the same time. */
    lab->posted = lab->taken = index * 17;
    if (lab->t->caps & TP_NAMED)
        tp_srv_drop(lab->srv);
    else
        opts.inherited = lab->srv;
    lab->srv = NULL;
    err = client_open(&lab->client, lab->t, &opts, lab->c.deadline_ms);
    if (!err && lab->t == &none_transport)
        ((struct none_client *)lab->client.conn)->store = lab->store;
    return err;
}

static uint32_t id_of(const struct lab *lab, uint32_t turn)
{
    return turn % lab->c.events + 1;
}

static bool is_right(const struct lab *lab, const struct event *ev)
{
    return ev->title_len == lab->payload &&
           memcmp(ev->title, lab->pattern + ev->id % PATTERN_STEP,
                  lab->payload) == 0;
}

static bool count_hit(const struct event *ev, void *arg)
{
    struct lab *lab = arg;

    lab->hits += is_right(lab, ev);
    return true;
}

/* From one event's start on: four earlier ones reach into the range. */
static int call_list(struct lab *lab)
{
    uint32_t first = 5 + lab->taken % (lab->c.events - LIST_HITS - 4);
    int64_t from = START_AT + (int64_t)first * STEP_S;

    lab->hits = 0;
    return client_list(&lab->client, from,
                       from + (int64_t)(LIST_HITS - 4) * STEP_S, count_hit,
                       lab);
}

static int call_add(struct lab *lab)
{
    char title[ADD_TITLE + 1];
    struct event ev = {.title = title, .title_len = ADD_TITLE};

    bench_event(lab->pattern, lab->taken, ADD_TITLE, title, &ev.start, &ev.end);
    return client_add(&lab->client, 0, &ev, &lab->id, NULL);
}

/* A request for id_of(posted), or the raw pattern. */
static int lab_post(void *self)
{
    struct lab *lab = self;
    struct client *cl = &lab->client;
    struct wire_request rq = {
        .op = WIRE_GET, .tag = lab->posted, .id = id_of(lab, lab->posted)};
    ssize_t len = (ssize_t)lab->payload;

    if (lab->c.op == OP_RAW)
        memcpy(cl->buf, lab->pattern + lab->posted % PATTERN_STEP,
               lab->payload);
    else
        len = wire_put_request(cl->buf, cl->conn->max_msg, &rq);
    lab->posted++;
    return len < 0 ? (int)len
                   : tp_cli_send(cl->conn, cl->buf, (size_t)len, cl->ms);
}

static int take_event(struct lab *lab, size_t len)
{
    struct wire_reply rp;
    struct wire_reader r;

    if (wire_get_reply(&rp, lab->client.buf, len) < 0 || rp.status != WIRE_OK ||
        rp.tag != lab->taken)
        return -EBADMSG;
    r = (struct wire_reader){rp.body, rp.body + rp.body_len};
    return wire_read_event(&r, &lab->event.event, lab->event.text) ? 0
                                                                   : -EBADMSG;
}

static int lab_take(void *self)
{
    struct lab *lab = self;
    struct client *cl = &lab->client;
    ssize_t n = tp_cli_recv(cl->conn, cl->buf, cl->conn->max_msg, cl->ms);

    if (n <= 0)
        return n == 0 ? -EPIPE : (int)n;
    if (lab->c.op == OP_RAW)
        return (size_t)n == lab->payload ? 0 : -EBADMSG;
    return take_event(lab, (size_t)n);
}

/* One at a time: through the lab's own client, as every program of it. */
static int lab_call(void *self)
{
    struct lab *lab = self;
    int err;

    switch (lab->c.op) {
    case OP_GET:
        return client_get(&lab->client, id_of(lab, lab->taken), &lab->event);
    case OP_ECHO:
        return client_echo(&lab->client,
                           lab->pattern + lab->taken % PATTERN_STEP,
                           lab->payload);
    case OP_LIST: return call_list(lab);
    case OP_ADD: return call_add(lab);
    default: err = lab_post(lab); return err ? err : lab_take(lab);
    }
}

/* client_echo has compared the payload itself. */
static int lab_check(void *self)
{
    struct lab *lab = self;
    const struct event *ev = &lab->event.event;
    bool good = true;

    if (lab->c.op == OP_GET)
        good = ev->id == id_of(lab, lab->taken) && is_right(lab, ev);
    else if (lab->c.op == OP_LIST)
        good = lab->hits == LIST_HITS;
    else if (lab->c.op == OP_ADD)
        good = lab->id > 0;
    else if (lab->c.op == OP_RAW)
        good = memcmp(lab->client.buf,
                      lab->pattern + (lab->taken + 1) % PATTERN_STEP,
                      lab->payload) == 0;
    lab->taken++;
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

const struct subject lab_subject = {.prepare = lab_prepare,
                                    .serve = lab_serve,
                                    .join = lab_join,
                                    .call = lab_call,
                                    .check = lab_check,
                                    .post = lab_post,
                                    .take = lab_take,
                                    .leave = lab_leave,
                                    .drop = lab_drop};

const struct subject none_subject = {.prepare = lab_prepare,
                                     .join = lab_join,
                                     .call = lab_call,
                                     .check = lab_check,
                                     .leave = lab_leave,
                                     .drop = lab_drop};

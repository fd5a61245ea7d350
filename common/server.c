/*
 * server.c - receive, decode, operate, encode, hold, commit, send
 *
 *   server_run      a lane (one transport) for each thread
 *     lane_run      takes messages until told to stop
 *       lane_answer   server_handle, then send or hold the reply
 *       lane_flush    one store_commit, then every held reply is sent
 *
 * A reply is encoded straight into the buffer that is sent: it is never
 * copied here, and a held reply waits in its buffer.
 *
 * Rests on: pthread_create(3), pthread_sigmask(3), clock_gettime(2).
 */
#include "server.h"

#include "clock.h"
#include "wire.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A batch ends after so many messages, of whatever kind: so one client that
 * never pauses can't keep another one's held reply for ever. */
#define BATCH_MAX 64

/* As the wire has it: without a sign. */
static uint64_t now_ns(void)
{
    return (uint64_t)clock_now_ns();
}

/* ---- one request -------------------------------------------------------- */

/* What one operation works on. The store is locked. */
struct job {
    struct store *st;
    struct server_count *count;
    struct wire_request rq;
    struct wire_writer w;
    uint64_t seq; /* of the change made; 0 = none */
    bool more;    /* more events than fitted */
};

/* Takes what store.h promises. All that is left is -EROFS, which is final. */
static enum wire_status status_of(int err)
{
    switch (err) {
    case 0: return WIRE_OK;
    case -EILSEQ: return WIRE_BAD_TITLE;
    case -EDOM: return WIRE_BAD_TIME;
    case -ENOENT: return WIRE_NOT_FOUND;
    case -ESTALE: return WIRE_CHANGED;
    case -EEXIST: return WIRE_BAD_TOKEN;
    case -ENOSPC:
    case -ENOMEM: return WIRE_NO_SPACE;
    default: return WIRE_READ_ONLY;
    }
}

static enum wire_status fitted(bool fits)
{
    return fits ? WIRE_OK : WIRE_TOO_BIG;
}

static enum wire_status do_change(struct job *job)
{
    const struct wire_request *rq = &job->rq;
    struct store_result res;
    char title[EVENT_TITLE_MAX + 1];
    struct event ev = {.id = rq->id, .start = rq->start, .end = rq->end};
    int err;

    if (rq->op != WIRE_REMOVE) {
        /* The message has no NUL behind the title, and events need one. */
        memcpy(title, rq->bytes, rq->bytes_len);
        title[rq->bytes_len] = '\0';
        ev.title = title;
        ev.title_len = (uint8_t)rq->bytes_len;
        if (event_title_blank(title, rq->bytes_len))
            return WIRE_BAD_TITLE;
    }
    if (rq->op == WIRE_ADD)
        err = store_add(job->st, rq->token, &ev, &res);
    else if (rq->op == WIRE_UPDATE)
        err = store_update(job->st, rq->token, &ev, rq->rev, &res);
    else
        err = store_remove(job->st, rq->token, rq->id, rq->rev, &res);
    if (err < 0)
        return status_of(err);
    job->seq = res.seq;
    atomic_fetch_add(&job->count->changes, 1);
    return fitted(wire_add_u32(&job->w, res.id) &&
                  wire_add_u64(&job->w, res.rev));
}

static enum wire_status do_get(struct job *job)
{
    const struct event *ev = schedule_get(store_schedule(job->st), job->rq.id);

    return ev == NULL ? WIRE_NOT_FOUND : fitted(wire_add_event(&job->w, ev));
}

/* A walk that writes into the reply until it is full. */
struct page {
    struct job *job;
    uint32_t count;
    uint32_t limit;
    uint32_t skip; /* id of the event left out; 0 = none */
};

static bool page_put(const struct event *ev, void *arg)
{
    struct page *page = arg;

    if (ev->id == page->skip)
        return true;
    if (page->count == page->limit || !wire_add_event(&page->job->w, ev)) {
        page->job->more = true;
        return false;
    }
    page->count++;
    return true;
}

static enum wire_status do_page(struct job *job, int64_t from, int64_t to,
                                uint32_t skip)
{
    const struct wire_request *rq = &job->rq;
    struct schedule_cursor after = {rq->after_start, rq->after_id};
    struct page page = {.job = job,
                        .limit = rq->limit > 0 ? rq->limit : UINT32_MAX,
                        .skip = skip};

    if (!wire_add_u32(&job->w, 0))
        return WIRE_TOO_BIG;
    schedule_walk(store_schedule(job->st), from, to,
                  after.id != 0 ? &after : NULL, page_put, &page);
    wire_set_count(&job->w, page.count);
    /* An empty page with more behind it would make the client ask again for
     * ever. */
    return fitted(page.count > 0 || !job->more);
}

static enum wire_status do_conflicts(struct job *job)
{
    const struct event *ev = schedule_get(store_schedule(job->st), job->rq.id);

    return ev == NULL ? WIRE_NOT_FOUND
                      : do_page(job, ev->start, ev->end, ev->id);
}

static enum wire_status do_stats(struct job *job)
{
    struct server_count *count = job->count;
    struct store_stats st;
    bool fits = wire_add_u32(&job->w, WIRE_STATS_COUNT);

    store_stats(job->st, &st);
    const uint64_t values[WIRE_STATS_COUNT] = {
        (uint64_t)getpid(),
        (now_ns() - count->started_ns) / 1000000u,
        st.events,
        st.rev,
        atomic_load(&count->requests),
        atomic_load(&count->changes),
        atomic_load(&count->errors),
        st.journal_bytes,
        st.syncs,
    };
    for (size_t i = 0; i < WIRE_STATS_COUNT; i++)
        fits = fits && wire_add_u64(&job->w, values[i]);
    return fitted(fits);
}

static enum wire_status operate(struct job *job)
{
    const struct wire_request *rq = &job->rq;

    switch (rq->op) {
    case WIRE_PING: return WIRE_OK;
    case WIRE_ECHO:
        return fitted(wire_add_bytes(&job->w, rq->bytes, rq->bytes_len));
    case WIRE_ADD:
    case WIRE_UPDATE:
    case WIRE_REMOVE: return do_change(job);
    case WIRE_GET: return do_get(job);
    case WIRE_LIST: return do_page(job, rq->start, rq->end, 0);
    case WIRE_CONFLICTS: return do_conflicts(job);
    case WIRE_STATS: return do_stats(job);
    default: return WIRE_BAD_OP;
    }
}

/* A refusal. Where no change is accepted any more it says why not. */
static size_t refusal(struct wire_writer *w, const struct store *st,
                      enum wire_status status, uint64_t rev)
{
    const char *fault = status == WIRE_READ_ONLY ? store_fault(st) : NULL;
    size_t len = wire_fail_reply(w, status, rev);
    char text[80];

    if (fault == NULL)
        return len;
    (void)snprintf(text, sizeof text, " (%s)", fault);
    (void)wire_add_bytes(w, text, strlen(text)); /* if there is room */
    return wire_finish_reply(w, status, false, rev);
}

size_t server_handle(struct store *st, struct server_count *count,
                     const void *request, size_t len, void *reply, size_t cap,
                     uint64_t *seq)
{
    struct job job = {.st = st, .count = count};
    struct wire_stamps stamps = {0};
    enum wire_status status = wire_get_request(&job.rq, request, len);
    bool want_stamps = job.rq.flags & WIRE_WANT_STAMPS;

    *seq = 0;
    if (want_stamps)
        stamps.received = now_ns();
    if (!wire_start_reply(&job.w, reply, cap, &job.rq))
        return 0; /* the caller broke its promise about cap */
    atomic_fetch_add(&count->requests, 1);

    store_lock(st);
    if (status == WIRE_OK)
        status = operate(&job);
    if (status == WIRE_OK) {
        len = wire_finish_reply(&job.w, status, job.more, store_rev(st));
    } else {
        len = refusal(&job.w, st, status, store_rev(st));
        atomic_fetch_add(&count->errors, 1);
    }
    store_unlock(st);

    *seq = job.seq;
    if (want_stamps) {
        stamps.handled = now_ns();
        wire_set_stamps(reply, &stamps);
    }
    return len;
}

/* ---- one transport ------------------------------------------------------ */

/* What all lanes share. */
struct run {
    const struct server_opts *opts;
    struct server_count count;
    atomic_bool failed; /* a lane failed: all others end too */
};

struct held {
    tp_peer to;
    uint8_t *reply; /* srv->max_msg bytes, made when first needed */
    size_t len;
    uint64_t seq; /* 0: waits only behind an earlier reply to its peer */
};

/* One transport and its thread; nobody else touches it while it runs. */
struct lane {
    struct run *run;
    struct tp_server *srv;
    uint8_t *request; /* srv->max_msg bytes */
    struct held held[BATCH_MAX];
    unsigned count; /* replies held */
    unsigned turns; /* messages of this batch: never less than `count` */
    int result;
    pthread_t thread;
};

static bool must_stop(const struct lane *lane)
{
    return atomic_load(lane->run->opts->stop) ||
           atomic_load(&lane->run->failed);
}

/* 0, or the error that ends the lane. What only concerns the peer doesn't:
 * its chapter has dropped it already. */
static int lane_send(struct lane *lane, const struct held *h)
{
    int ms = lane->run->opts->wait_ms < 0 ? -1 : TP_SEND_MS;
    int err;

    do {
        err = tp_srv_send(lane->srv, h->to, h->reply, h->len, ms);
    } while (err == -EINTR);
    return err == -EPIPE || err == -ETIMEDOUT ? 0 : err;
}

/* The sync failed: nobody may be told that this change was made. */
static void refuse(struct lane *lane, struct held *h,
                   const struct wire_reply *old)
{
    struct wire_request rq = {.op = old->op, .tag = old->tag};
    struct wire_writer w;

    if (old->flags & WIRE_HAS_STAMPS)
        rq.flags = WIRE_WANT_STAMPS;
    /* It held a reply with this same head: there is room. */
    (void)wire_start_reply(&w, h->reply, lane->srv->max_msg, &rq);
    h->len = refusal(&w, lane->run->opts->store, WIRE_READ_ONLY, old->rev);
    atomic_fetch_sub(&lane->run->count.changes, 1);
    atomic_fetch_add(&lane->run->count.errors, 1);
}

/* Put the commit's result into a held reply. */
static void settle(struct lane *lane, struct held *h, int committed)
{
    struct wire_reply rp;

    if (h->seq == 0 || wire_get_reply(&rp, h->reply, h->len) < 0)
        return;
    if (committed < 0)
        refuse(lane, h, &rp);
    if (rp.flags & WIRE_HAS_STAMPS) {
        rp.stamps.synced = committed < 0 ? 0 : now_ns();
        wire_set_stamps(h->reply, &rp.stamps);
    }
}

/* End the batch: everything durable, then everybody told. */
static int lane_flush(struct lane *lane)
{
    uint64_t last = 0;
    int committed, err = 0;

    if (lane->count == 0)
        return 0;
    for (unsigned i = 0; i < lane->count; i++)
        if (lane->held[i].seq > last)
            last = lane->held[i].seq;
    committed = store_commit(lane->run->opts->store, last);
    for (unsigned i = 0; i < lane->count && err == 0; i++) {
        settle(lane, &lane->held[i], committed);
        err = lane_send(lane, &lane->held[i]);
    }
    lane->count = 0;
    return err;
}

/* The buffer for the next reply. Without memory for one more, the batch ends
 * here: the first buffer has been there since the start. */
static int lane_buffer(struct lane *lane, struct held **out)
{
    struct held *h = &lane->held[lane->count];
    int err = 0;

    if (h->reply == NULL)
        h->reply = malloc(lane->srv->max_msg);
    if (h->reply == NULL) {
        err = lane_flush(lane);
        h = &lane->held[0];
    }
    *out = h;
    return err;
}

static bool is_held(const struct lane *lane, tp_peer peer)
{
    for (unsigned i = 0; i < lane->count; i++)
        if (lane->held[i].to == peer)
            return true;
    return false;
}

static int lane_answer(struct lane *lane, tp_peer from, size_t len)
{
    struct run *run = lane->run;
    struct held *h;
    int err = lane_buffer(lane, &h);

    if (err < 0)
        return err;
    h->to = from;
    h->len = server_handle(run->opts->store, &run->count, lane->request, len,
                           h->reply, lane->srv->max_msg, &h->seq);
    /* A read that overtook a held reply of the same peer would give that peer
     * its answers in another order than its questions. */
    if (h->seq == 0 && !is_held(lane, from))
        return lane_send(lane, h);
    lane->count++;
    return 0;
}

/* Take one message: 0, or the error that ends the lane. */
static int lane_turn(struct lane *lane)
{
    int wait_ms = lane->run->opts->wait_ms;
    tp_peer from;
    ssize_t n;

    if (lane->count == 0)
        lane->turns = 0;
    else if (lane->turns == BATCH_MAX)
        return lane_flush(lane);
    if (wait_ms == 0)
        wait_ms = SERVER_SLICE_MS;
    n = tp_srv_recv(lane->srv, &from, lane->request, lane->srv->max_msg,
                    lane->count > 0 ? 0 : wait_ms);
    lane->turns++;
    if (n > 0)
        return lane_answer(lane, from, (size_t)n);
    switch (n) {
    case -ETIMEDOUT: return lane_flush(lane); /* nothing more waits */
    case 0:                                   /* a peer left */
    case -EINTR:                              /* perhaps to say stop */
    case -EPROTO: /* one bad message, already dropped */
    case -EMSGSIZE: return 0;
    default: return (int)n;
    }
}

static void *lane_run(void *arg)
{
    struct lane *lane = arg;
    int err = 0, flushed;

    while (err == 0 && !must_stop(lane))
        err = lane_turn(lane);
    flushed = lane_flush(lane);
    if (err == 0)
        err = flushed;
    if (err == -ENOTCONN)
        err = 0; /* its clients have all left: a normal end */
    if (err < 0)
        atomic_store(&lane->run->failed, true);
    lane->result = err;
    return NULL;
}

/* ---- all transports ----------------------------------------------------- */

static int lane_init(struct lane *lane, struct run *run, struct tp_server *srv)
{
    lane->run = run;
    lane->srv = srv;
    lane->request = malloc(srv->max_msg);
    lane->held[0].reply = malloc(srv->max_msg);
    return lane->request != NULL && lane->held[0].reply != NULL ? 0 : -ENOMEM;
}

static void lane_free(struct lane *lane)
{
    for (unsigned i = 0; i < BATCH_MAX; i++)
        free(lane->held[i].reply);
    free(lane->request);
}

/* A thread for each lane but the first; how many lanes there are then. On an
 * error, those that run already are told to stop. */
static unsigned start_threads(struct lane *lanes, unsigned count, int *err)
{
    sigset_t quiet, before;
    unsigned started = 1;

    /* A signal that stops the server goes to a thread that may be the only
     * one to hear it: let that be the main one. A new thread inherits the
     * mask, so there is no moment at which it is open. */
    (void)sigemptyset(&quiet);
    (void)sigaddset(&quiet, SIGTERM);
    (void)sigaddset(&quiet, SIGINT);
    (void)sigaddset(&quiet, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &quiet, &before);
    for (; started < count && *err == 0; started++) {
        struct lane *lane = &lanes[started];

        *err = -pthread_create(&lane->thread, NULL, lane_run, lane);
        if (*err < 0)
            break;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (*err < 0)
        atomic_store(&lanes[0].run->failed, true);
    return started;
}

static int run_lanes(struct lane *lanes, unsigned count)
{
    int err = 0;
    unsigned started = start_threads(lanes, count, &err);

    (void)lane_run(&lanes[0]);
    for (unsigned i = 1; i < started; i++)
        (void)pthread_join(lanes[i].thread, NULL); /* ours, joined once */
    for (unsigned i = 0; i < started && err == 0; i++)
        err = lanes[i].result;
    return err;
}

int server_run(const struct server_opts *opts)
{
    struct run run = {.opts = opts, .count = {.started_ns = now_ns()}};
    struct lane *lanes = calloc(opts->count, sizeof *lanes);
    int err = 0;

    if (opts->count == 0 || lanes == NULL) {
        free(lanes);
        return opts->count == 0 ? -EINVAL : -ENOMEM;
    }
    for (unsigned i = 0; i < opts->count && err == 0; i++)
        err = lane_init(&lanes[i], &run, opts->set[i]);
    if (err == 0)
        err = run_lanes(lanes, opts->count);
    for (unsigned i = 0; i < opts->count; i++)
        lane_free(&lanes[i]);
    free(lanes);
    return err;
}

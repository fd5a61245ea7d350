/*
 * client.c - one request, its reply, one deadline
 *
 *   call          a request out, its own reply in
 *     send_request  drops what answers an earlier, given-up call first
 *     recv_reply    skips such late answers, by their tags
 *   client_...    fill in a request, call, take the reply's body apart
 *
 * A call that missed its deadline leaves a reply under way. It isn't waited
 * for: the next call recognises it by its older tag.
 *
 * Rests on: clock_gettime(2), getrandom(2).
 */
#include "client.h"

#include "clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define NS_PER_MS 1000000

/* ---- time --------------------------------------------------------------- */

/* When a call that begins now must be over. Without a deadline no clock is
 * read: the benchmark measures that. */
static int64_t call_end(const struct client *c)
{
    return c->ms > 0 ? clock_now_ns() + (int64_t)c->ms * NS_PER_MS : 0;
}

/* The `ms` for the next step of a call: 0, or -ETIMEDOUT when none is left.
 * Rounded up, so that the end is never early. */
static int time_left(const struct client *c, int64_t end, int *ms)
{
    int64_t left;

    *ms = c->ms;
    if (c->ms <= 0)
        return 0;
    left = (end - clock_now_ns() + NS_PER_MS - 1) / NS_PER_MS;
    if (left <= 0)
        return -ETIMEDOUT;
    *ms = (int)left;
    return 0;
}

/* ---- one call ----------------------------------------------------------- */

/* Receive one message into c->buf: its length, or -errno. */
static ssize_t recv_message(struct client *c, int64_t end)
{
    ssize_t n;
    int ms;

    do {
        int err = time_left(c, end, &ms);

        if (err < 0)
            return err;
        n = tp_cli_recv(c->conn, c->buf, c->conn->max_msg, ms);
    } while (n == -EINTR);
    return n == 0 ? -EPIPE : n;
}

static int send_request(struct client *c, const struct wire_request *rq,
                        int64_t end)
{
    for (;;) {
        ssize_t len = wire_put_request(c->buf, c->conn->max_msg, rq);
        int ms, err = time_left(c, end, &ms);

        if (len < 0)
            return (int)len;
        if (err < 0)
            return err;
        err = tp_cli_send(c->conn, c->buf, (size_t)len, ms);
        if (err == -EAGAIN) {
            /* Earlier calls gave up, and their answers take up the depth.
             * Receiving one overwrites c->buf: encode again. */
            ssize_t n = recv_message(c, end);

            if (n < 0)
                return (int)n;
        } else if (err != -EINTR) {
            return err;
        }
    }
}

/* The reply to the request with c->tag; those to older ones are skipped. */
static int recv_reply(struct client *c, struct wire_reply *rp, int64_t end)
{
    do {
        ssize_t n = recv_message(c, end);

        if (n < 0)
            return (int)n;
        if (wire_get_reply(rp, c->buf, (size_t)n) < 0 || rp->tag > c->tag)
            return -EPROTO;
    } while (rp->tag != c->tag);
    return 0;
}

static int call(struct client *c, struct wire_request *rq,
                struct wire_reply *rp)
{
    int64_t end = call_end(c);
    int err;

    c->refusal[0] = '\0';
    rq->tag = ++c->tag;
    rq->flags = c->stamps ? WIRE_WANT_STAMPS : 0;
    err = send_request(c, rq, end);
    if (err == 0)
        err = recv_reply(c, rp, end);
    if (err < 0)
        return err;
    // NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult)
    if (rp->op != rq->op) /* wire_get_reply has filled it in */
        return -EPROTO;
    c->rev = rp->rev;
    c->last = rp->stamps;
    if (rp->status != WIRE_OK) {
        size_t len = rp->body_len;

        if (len >= sizeof c->refusal)
            len = sizeof c->refusal - 1;
        memcpy(c->refusal, rp->body, len);
        c->refusal[len] = '\0';
    }
    return rp->status;
}

static struct wire_reader body_of(const struct wire_reply *rp)
{
    return (struct wire_reader){rp->body, rp->body + rp->body_len};
}

/* A body must be used up to its last byte: 0, or -EPROTO. */
static int body_end(const struct wire_reader *r, bool complete)
{
    return complete && r->at == r->end ? 0 : -EPROTO;
}

/* ---- open and close ----------------------------------------------------- */

int client_open(struct client *c, const struct transport *t,
                const struct tp_opts *opts, int ms)
{
    int err;

    *c = (struct client){.ms = ms};
    err = tp_cli_open(t, &c->conn, opts);
    if (err < 0) {
        c->conn = NULL;
        return err;
    }
    c->buf = malloc(c->conn->max_msg);
    if (c->buf == NULL) {
        client_close(c);
        return -ENOMEM;
    }
    return 0;
}

void client_close(struct client *c)
{
    if (c == NULL)
        return;
    tp_cli_close(c->conn);
    free(c->buf);
    c->conn = NULL;
    c->buf = NULL;
}

uint64_t client_token(void)
{
    uint64_t token = 0;

    while (token == 0) {
        ssize_t n = getrandom(&token, sizeof token, 0);

        if (n == (ssize_t)sizeof token)
            continue;
        token = 0;
        /* No random numbers at all (a sandbox that forbids the call): then
         * what no other process has at this moment must do. */
        if (n < 0 && errno != EINTR)
            token = (uint64_t)clock_now_ns() << 22 ^ (uint64_t)getpid();
    }
    return token;
}

/* ---- calls with a small reply ------------------------------------------- */

int client_ping(struct client *c)
{
    struct wire_request rq = {.op = WIRE_PING};
    struct wire_reply rp;
    int err = call(c, &rq, &rp);

    return err == 0 && rp.body_len > 0 ? -EPROTO : err;
}

int client_echo(struct client *c, const void *bytes, size_t len)
{
    struct wire_request rq = {
        .op = WIRE_ECHO, .bytes = bytes, .bytes_len = len};
    struct wire_reply rp;
    int err = call(c, &rq, &rp);

    if (err != 0)
        return err;
    if (rp.body_len != len || (len > 0 && memcmp(rp.body, bytes, len) != 0))
        return -EPROTO;
    return 0;
}

/* The three changes have the same reply: the event's id and revision. */
static int change(struct client *c, struct wire_request *rq, uint32_t *id,
                  uint64_t *rev)
{
    uint32_t got_id = 0;
    uint64_t got_rev = 0;
    struct wire_reader r;
    struct wire_reply rp;
    int err = call(c, rq, &rp);

    if (err != 0)
        return err;
    r = body_of(&rp);
    err =
        body_end(&r, wire_read_u32(&r, &got_id) && wire_read_u64(&r, &got_rev));
    if (err == 0 && id != NULL)
        *id = got_id;
    if (err == 0 && rev != NULL)
        *rev = got_rev;
    return err;
}

int client_add(struct client *c, uint64_t token, const struct event *ev,
               uint32_t *id, uint64_t *rev)
{
    struct wire_request rq = {.op = WIRE_ADD,
                              .token = token,
                              .start = ev->start,
                              .end = ev->end,
                              .bytes = (const uint8_t *)ev->title,
                              .bytes_len = strlen(ev->title)};

    return change(c, &rq, id, rev);
}

int client_update(struct client *c, uint64_t token, const struct event *ev,
                  uint64_t expect, uint64_t *rev)
{
    struct wire_request rq = {.op = WIRE_UPDATE,
                              .token = token,
                              .id = ev->id,
                              .rev = expect,
                              .start = ev->start,
                              .end = ev->end,
                              .bytes = (const uint8_t *)ev->title,
                              .bytes_len = strlen(ev->title)};

    return change(c, &rq, NULL, rev);
}

int client_remove(struct client *c, uint64_t token, uint32_t id,
                  uint64_t expect, uint64_t *rev)
{
    struct wire_request rq = {
        .op = WIRE_REMOVE, .token = token, .id = id, .rev = expect};

    return change(c, &rq, NULL, rev);
}

int client_get(struct client *c, uint32_t id, struct client_event *out)
{
    struct wire_request rq = {.op = WIRE_GET, .id = id};
    struct wire_reader r;
    struct wire_reply rp;
    int err = call(c, &rq, &rp);

    if (err != 0)
        return err;
    r = body_of(&rp);
    return body_end(&r, wire_read_event(&r, &out->event, out->text));
}

int client_stats(struct client *c, struct wire_stats *out)
{
    /* In the order of the message, which may hold more or fewer. */
    uint64_t *const fields[WIRE_STATS_COUNT] = {
        &out->pid,    &out->uptime_ms,     &out->events,
        &out->rev,    &out->requests,      &out->changes,
        &out->errors, &out->journal_bytes, &out->syncs,
    };
    struct wire_request rq = {.op = WIRE_STATS};
    struct wire_reader r;
    struct wire_reply rp;
    uint32_t count = 0;
    int err = call(c, &rq, &rp);

    if (err != 0)
        return err;
    *out = (struct wire_stats){0};
    r = body_of(&rp);
    if (!wire_read_u32(&r, &count))
        return -EPROTO;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t beyond;

        if (!wire_read_u64(&r, i < WIRE_STATS_COUNT ? fields[i] : &beyond))
            return -EPROTO;
    }
    return body_end(&r, true);
}

/* ---- lists -------------------------------------------------------------- */

/* Hand one page to `visit` and move the request's cursor behind it. 0, 1 when
 * the visitor wants no more, or -EPROTO. */
static int visit_page(struct wire_request *rq, const struct wire_reply *rp,
                      schedule_visit *visit, void *arg)
{
    struct wire_reader r = body_of(rp);
    struct client_event e;
    uint32_t count = 0;

    if (!wire_read_u32(&r, &count))
        return -EPROTO;
    for (uint32_t i = 0; i < count; i++) {
        if (!wire_read_event(&r, &e.event, e.text))
            return -EPROTO;
        rq->after_start = e.event.start;
        rq->after_id = e.event.id;
        if (!visit(&e.event, arg))
            return 1;
    }
    /* An empty page with more behind it would be asked for again for ever. */
    if (count == 0 && (rp->flags & WIRE_MORE))
        return -EPROTO;
    return body_end(&r, true);
}

/* Each page is a call with a deadline of its own. The visitor can't use this
 * client meanwhile: the page lies in its buffer. */
static int pages(struct client *c, struct wire_request *rq,
                 schedule_visit *visit, void *arg)
{
    struct wire_reply rp;
    int err;

    do {
        err = call(c, rq, &rp);
        if (err != 0)
            return err;
        err = visit_page(rq, &rp, visit, arg);
        if (err != 0)
            return err < 0 ? err : 0;
    } while (rp.flags & WIRE_MORE);
    return 0;
}

int client_list(struct client *c, int64_t from, int64_t to,
                schedule_visit *visit, void *arg)
{
    struct wire_request rq = {.op = WIRE_LIST, .start = from, .end = to};

    return pages(c, &rq, visit, arg);
}

int client_conflicts(struct client *c, uint32_t id, schedule_visit *visit,
                     void *arg)
{
    struct wire_request rq = {.op = WIRE_CONFLICTS, .id = id};

    return pages(c, &rq, visit, arg);
}

/*
 * test_server.c - server.c and client.c without any real transport
 *
 *   handle/...   server_handle called directly, on a store in memory
 *   loop/...     server_run over a fake transport: a script of messages and
 *                results for srv_recv, and a record of what srv_send was given
 *   client/...   client.c over a fake connection whose other end is
 *                server_handle, and which loses, delays and interrupts
 *
 * This program has its own write() and fdatasync(), so that a case can let
 * the disk be full or fail; the linker takes them before the C library's.
 */
#include "client.h"
#include "harness.h"
#include "server.h"
#include "wire.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define MSG      512 /* max_msg of the fakes */

static atomic_bool disk_full, sync_fails;

ssize_t write(int fd, const void *buf, size_t len)
{
    struct iovec part = {(void *)(uintptr_t)buf, len};

    if (atomic_load(&disk_full)) {
        errno = ENOSPC;
        return -1;
    }
    return writev(fd, &part, 1);
}

int fdatasync(int fd)
{
    if (atomic_load(&sync_fails)) {
        errno = EIO;
        return -1;
    }
    return fsync(fd);
}

static uint64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- a store, and one request to it ------------------------------------- */

static struct store *open_store(bool durable)
{
    char path[200];
    struct store_opts opts = {.path = durable ? path : NULL, .sync = durable};
    struct store *st = NULL;

    snprintf(path, sizeof path, "%s/journal.jsonl", harness_dir());
    REQUIRE_INT(0, store_open(&st, &opts));
    return st;
}

static uint64_t syncs_of(struct store *st)
{
    struct store_stats stats;

    store_lock(st);
    store_stats(st, &stats);
    store_unlock(st);
    return stats.syncs;
}

struct desk {
    struct store *st;
    struct server_count count;
    size_t cap; /* of the reply */
    uint64_t seq;
    uint8_t reply[2 * MSG];
    struct wire_reply rp;
    struct wire_reader r;
};

static void desk_open(struct desk *d, bool durable)
{
    *d = (struct desk){.st = open_store(durable),
                       .cap = MSG,
                       .count = {.started_ns = now_ns()}};
}

static void desk_bytes(struct desk *d, const void *request, size_t len)
{
    size_t n = server_handle(d->st, &d->count, request, len, d->reply, d->cap,
                             &d->seq);

    REQUIRE(n <= d->cap);
    REQUIRE_INT(0, wire_get_reply(&d->rp, d->reply, n));
    d->r = (struct wire_reader){d->rp.body, d->rp.body + d->rp.body_len};
}

/* Returns the status. */
static int ask(struct desk *d, const struct wire_request *rq)
{
    uint8_t request[2 * MSG];
    ssize_t len = wire_put_request(request, sizeof request, rq);

    REQUIRE(len > 0);
    desk_bytes(d, request, (size_t)len);
    EXPECT_INT(rq->op, d->rp.op);
    EXPECT(d->rp.tag == rq->tag);
    return d->rp.status;
}

static struct wire_request add_rq(uint64_t token, const char *title,
                                  int64_t start, int64_t end)
{
    return (struct wire_request){.op = WIRE_ADD,
                                 .tag = token,
                                 .token = token,
                                 .start = start,
                                 .end = end,
                                 .bytes = (const uint8_t *)title,
                                 .bytes_len = strlen(title)};
}

static int add(struct desk *d, uint64_t token, const char *title, int64_t start,
               int64_t end)
{
    struct wire_request rq = add_rq(token, title, start, end);

    return ask(d, &rq);
}

/* ---- server_handle ------------------------------------------------------ */

static void handle_ping_echo(const void *arg)
{
    static const uint8_t payload[] = "x\0y";
    struct wire_request rq = {.op = WIRE_PING, .tag = 77};
    struct desk d;

    (void)arg;
    desk_open(&d, false);
    EXPECT_INT(WIRE_OK, ask(&d, &rq));
    EXPECT_INT(0, (long long)d.rp.body_len);
    rq = (struct wire_request){
        .op = WIRE_ECHO, .bytes = payload, .bytes_len = sizeof payload};
    EXPECT_INT(WIRE_OK, ask(&d, &rq));
    REQUIRE(d.rp.body_len == sizeof payload);
    EXPECT_BYTES(payload, d.rp.body, sizeof payload);
    EXPECT(d.seq == 0);
    store_close(d.st);
}

static void expect_event(struct desk *d, uint32_t id, uint64_t rev,
                         const char *title, int64_t start, int64_t end)
{
    struct wire_request rq = {.op = WIRE_GET, .id = id};
    char text[EVENT_TITLE_MAX + 1];
    struct event ev;

    REQUIRE_INT(WIRE_OK, ask(d, &rq));
    REQUIRE(wire_read_event(&d->r, &ev, text));
    EXPECT_INT(id, ev.id);
    EXPECT(ev.rev == rev);
    EXPECT_STR(title, ev.title);
    EXPECT(ev.start == start && ev.end == end);
}

/* The answer to a change: id and rev; its seq is the store's rev now. */
static void expect_change(struct desk *d, uint32_t id, uint64_t rev)
{
    uint32_t got_id = 0;
    uint64_t got_rev = 0;

    REQUIRE_INT(WIRE_OK, d->rp.status);
    EXPECT(wire_read_u32(&d->r, &got_id) && wire_read_u64(&d->r, &got_rev));
    EXPECT(d->r.at == d->r.end);
    EXPECT_INT(id, got_id);
    EXPECT_INT((long long)rev, (long long)got_rev);
    EXPECT(d->seq > 0);
}

static void handle_changes(const void *arg)
{
    struct wire_request rq = {.op = WIRE_UPDATE,
                              .token = 12,
                              .id = 1,
                              .rev = 1,
                              .start = 30,
                              .end = 40,
                              .bytes = (const uint8_t *)"new",
                              .bytes_len = 3};
    struct desk d;

    (void)arg;
    desk_open(&d, false);
    EXPECT_INT(WIRE_OK, add(&d, 10, "one", 10, 20));
    expect_change(&d, 1, 1);
    EXPECT_INT(WIRE_OK, add(&d, 11, "two", 10, 20));
    expect_change(&d, 2, 2);
    EXPECT(d.rp.rev == 2);
    expect_event(&d, 1, 1, "one", 10, 20);
    EXPECT(d.seq == 0);
    EXPECT_INT(WIRE_OK, ask(&d, &rq));
    expect_change(&d, 1, 3);
    expect_event(&d, 1, 3, "new", 30, 40);
    EXPECT_INT(WIRE_OK, add(&d, 10, "one", 10, 20)); /* asked once more */
    expect_change(&d, 1, 1);
    EXPECT(d.rp.rev == 3);
    rq = (struct wire_request){.op = WIRE_REMOVE, .token = 13, .id = 1};
    EXPECT_INT(WIRE_OK, ask(&d, &rq));
    expect_change(&d, 1, 4);
    rq = (struct wire_request){.op = WIRE_GET, .id = 1};
    EXPECT_INT(WIRE_NOT_FOUND, ask(&d, &rq));
    store_close(d.st);
}

static void handle_refusals(const void *arg)
{
    struct wire_request rq;
    struct desk d;

    (void)arg;
    desk_open(&d, false);
    desk_bytes(&d, "\2\4", 2);
    EXPECT_INT(WIRE_BAD_VERSION, d.rp.status);
    desk_bytes(&d, "\1\0\0\0abcdefgh", 12);
    EXPECT_INT(WIRE_BAD_OP, d.rp.status);
    desk_bytes(&d, "\1\4\0\0abcdefgh", 12);
    EXPECT_INT(WIRE_BAD_REQUEST, d.rp.status);
    EXPECT(d.rp.tag == 0x6867666564636261);
    EXPECT_BYTES(wire_status_text(WIRE_BAD_REQUEST), d.rp.body, d.rp.body_len);
    EXPECT_INT(WIRE_BAD_TITLE, add(&d, 1, "", 1, 2));
    EXPECT_INT(WIRE_BAD_TITLE, add(&d, 1, "\xff", 1, 2));
    EXPECT_INT(WIRE_BAD_TITLE, add(&d, 1, "  ", 1, 2));
    rq = add_rq(1, "a?b", 1, 2);
    rq.bytes = (const uint8_t *)"a\0b";
    EXPECT_INT(WIRE_BAD_TITLE, ask(&d, &rq));
    EXPECT_INT(WIRE_BAD_TIME, add(&d, 1, "x", 2, 2));
    EXPECT_INT(WIRE_BAD_TIME, add(&d, 1, "x", 2, INT64_MAX));
    EXPECT_INT(WIRE_OK, add(&d, 1, "x", 2, 3));
    rq = (struct wire_request){.op = WIRE_REMOVE, .token = 1, .id = 1};
    EXPECT_INT(WIRE_BAD_TOKEN, ask(&d, &rq));
    EXPECT(d.seq == 0);
    rq =
        (struct wire_request){.op = WIRE_REMOVE, .token = 2, .id = 1, .rev = 9};
    EXPECT_INT(WIRE_CHANGED, ask(&d, &rq));
    rq.op = WIRE_UPDATE;
    rq.bytes = (const uint8_t *)"x";
    rq.bytes_len = 1;
    rq.start = 1;
    rq.end = 2;
    EXPECT_INT(WIRE_CHANGED, ask(&d, &rq));
    rq.id = 2;
    EXPECT_INT(WIRE_NOT_FOUND, ask(&d, &rq));
    rq = (struct wire_request){.op = WIRE_REMOVE, .token = 2, .id = 2};
    EXPECT_INT(WIRE_NOT_FOUND, ask(&d, &rq));
    rq = (struct wire_request){.op = WIRE_CONFLICTS, .id = 2};
    EXPECT_INT(WIRE_NOT_FOUND, ask(&d, &rq));
    EXPECT(d.rp.rev == 1);
    store_close(d.st);
}

static void handle_too_big(const void *arg)
{
    uint8_t payload[MSG] = {0};
    struct wire_request rq = {
        .op = WIRE_ECHO, .bytes = payload, .bytes_len = MSG - 20};
    char title[EVENT_TITLE_MAX + 1];
    struct desk d;

    (void)arg;
    desk_open(&d, false);
    EXPECT_INT(WIRE_OK, ask(&d, &rq));
    rq.bytes_len++;
    EXPECT_INT(WIRE_TOO_BIG, ask(&d, &rq));

    /* The least a transport carries: any event, but no list of the longest. */
    d.cap = WIRE_MESSAGE_MIN;
    memset(title, 'x', EVENT_TITLE_MAX);
    title[EVENT_TITLE_MAX] = '\0';
    EXPECT_INT(WIRE_OK, add(&d, 1, title, 0, 9));
    rq = (struct wire_request){
        .op = WIRE_GET, .flags = WIRE_WANT_STAMPS, .id = 1};
    EXPECT_INT(WIRE_OK, ask(&d, &rq));
    rq = (struct wire_request){
        .op = WIRE_LIST, .flags = WIRE_WANT_STAMPS, .end = 10};
    EXPECT_INT(WIRE_TOO_BIG, ask(&d, &rq));
    rq.op = WIRE_STATS;
    EXPECT_INT(WIRE_OK, ask(&d, &rq));
    store_close(d.st);
}

/* Pages through `rq` and counts how often each id came; returns the pages. */
static int page_through(struct desk *d, struct wire_request rq, int seen[],
                        uint32_t ids)
{
    struct schedule_cursor last = {INT64_MIN, 0};
    int pages = 0;

    do {
        char text[EVENT_TITLE_MAX + 1];
        struct event ev;
        uint32_t count = 0;

        REQUIRE_INT(WIRE_OK, ask(d, &rq));
        REQUIRE(wire_read_u32(&d->r, &count));
        REQUIRE(count > 0 && (rq.limit == 0 || count <= rq.limit));
        for (uint32_t i = 0; i < count; i++) {
            REQUIRE(wire_read_event(&d->r, &ev, text));
            REQUIRE(ev.id >= 1 && ev.id <= ids);
            EXPECT(ev.start > last.start ||
                   (ev.start == last.start && ev.id > last.id));
            last = (struct schedule_cursor){ev.start, ev.id};
            seen[ev.id]++;
        }
        EXPECT(d->r.at == d->r.end);
        rq.after_start = last.start;
        rq.after_id = last.id;
        pages++;
    } while (d->rp.flags & WIRE_MORE);
    return pages;
}

static void handle_pages(const void *arg)
{
    enum { N = 60 };
    struct wire_request rq = {.op = WIRE_LIST, .start = 0, .end = 1000};
    char title[EVENT_TITLE_MAX + 1];
    struct desk d;

    (void)arg;
    desk_open(&d, false);
    memset(title, 'x', sizeof title);
    for (unsigned i = 1; i <= N; i++) {
        title[i * 4] = '\0';
        EXPECT_INT(WIRE_OK, add(&d, i, title, 100 - i / 4, 200));
        title[i * 4] = 'x';
    }
    for (rq.limit = 0; rq.limit < 70; rq.limit++)
        for (size_t cap = 332; cap < 2 * MSG; cap += 97) {
            int seen[N + 1] = {0};
            int pages;

            d.cap = cap;
            rq.op = WIRE_LIST;
            pages = page_through(&d, rq, seen, N);
            if (rq.limit > 0 && rq.limit < 5)
                EXPECT(pages >= N / (int)rq.limit);
            for (unsigned i = 1; i <= N; i++)
                EXPECT_INT(1, seen[i]);
            /* All overlap: conflicts are the same but for the event. */
            memset(seen, 0, sizeof seen);
            rq.op = WIRE_CONFLICTS;
            rq.id = 7;
            page_through(&d, rq, seen, N);
            for (unsigned i = 1; i <= N; i++)
                EXPECT_INT(i != 7, seen[i]);
        }
    store_close(d.st);
}

/* Exactly one page is not "more"; no hit is an empty list. */
static void handle_list_edges(const void *arg)
{
    struct wire_request rq = {.op = WIRE_LIST, .end = 15, .limit = 2};
    uint32_t count = 9;
    struct desk d;

    (void)arg;
    desk_open(&d, false);
    EXPECT_INT(WIRE_OK, ask(&d, &rq));
    EXPECT(wire_read_u32(&d.r, &count) && count == 0);
    EXPECT_INT(WIRE_OK, add(&d, 1, "a", 0, 10));
    EXPECT_INT(WIRE_OK, add(&d, 2, "b", 10, 20));
    EXPECT_INT(WIRE_OK, ask(&d, &rq));
    EXPECT(wire_read_u32(&d.r, &count) && count == 2);
    EXPECT_INT(0, d.rp.flags);
    rq.limit = 1;
    EXPECT_INT(WIRE_OK, ask(&d, &rq));
    EXPECT_INT(WIRE_MORE, d.rp.flags);
    rq = (struct wire_request){.op = WIRE_CONFLICTS, .id = 1};
    EXPECT_INT(WIRE_OK, ask(&d, &rq)); /* they only touch */
    EXPECT(wire_read_u32(&d.r, &count) && count == 0);
    store_close(d.st);
}

static void handle_stamps(const void *arg)
{
    struct wire_request rq = {.op = WIRE_GET, .flags = WIRE_WANT_STAMPS};
    uint64_t before = now_ns(), after;
    struct desk d;

    (void)arg;
    desk_open(&d, false);
    EXPECT_INT(WIRE_NOT_FOUND, ask(&d, &rq));
    after = now_ns();
    EXPECT_INT(WIRE_HAS_STAMPS, d.rp.flags);
    EXPECT(before <= d.rp.stamps.received);
    EXPECT(d.rp.stamps.received <= d.rp.stamps.handled);
    EXPECT(d.rp.stamps.handled <= after);
    EXPECT(d.rp.stamps.synced == 0);
    rq.flags = 0;
    (void)ask(&d, &rq);
    EXPECT_INT(0, d.rp.flags);
    EXPECT(d.rp.stamps.received == 0);
    store_close(d.st);
}

static void handle_stats(const void *arg)
{
    struct wire_request rq = {.op = WIRE_STATS};
    uint64_t v[WIRE_STATS_COUNT] = {0};
    uint32_t count = 0;
    struct desk d;

    (void)arg;
    desk_open(&d, true);
    EXPECT_INT(WIRE_OK, add(&d, 1, "a", 0, 10));
    EXPECT_INT(0, store_commit(d.st, d.seq));
    EXPECT_INT(WIRE_BAD_TIME, add(&d, 2, "a", 0, 0));
    EXPECT_INT(WIRE_OK, ask(&d, &rq));
    EXPECT(wire_read_u32(&d.r, &count));
    REQUIRE_INT(WIRE_STATS_COUNT, count);
    for (unsigned i = 0; i < WIRE_STATS_COUNT; i++)
        EXPECT(wire_read_u64(&d.r, &v[i]));
    EXPECT_INT(getpid(), (long long)v[0]);
    EXPECT(v[1] < 60000);
    EXPECT_INT(1, (long long)v[2]); /* events */
    EXPECT_INT(1, (long long)v[3]); /* rev */
    EXPECT_INT(3, (long long)v[4]); /* requests */
    EXPECT_INT(1, (long long)v[5]); /* changes */
    EXPECT_INT(1, (long long)v[6]); /* errors */
    EXPECT(v[7] > 100);             /* bytes of the journal */
    EXPECT_INT((long long)syncs_of(d.st), (long long)v[8]);
    store_close(d.st);
}

static void handle_disk_full(const void *arg)
{
    struct wire_request rq = {.op = WIRE_GET, .id = 1};
    struct desk d;

    (void)arg;
    desk_open(&d, true);
    EXPECT_INT(WIRE_OK, add(&d, 1, "a", 0, 10));
    atomic_store(&disk_full, true);
    (void)add(&d, 2, "b", 0, 10);
    atomic_store(&disk_full, false);
    EXPECT_INT(WIRE_NO_SPACE, d.rp.status);
    EXPECT(d.seq == 0);
    EXPECT_INT(WIRE_OK, ask(&d, &rq));
    EXPECT_INT(WIRE_OK, add(&d, 2, "b", 0, 10)); /* there is room again */
    store_close(d.st);
}

/* ---- the fake server end ------------------------------------------------ */

/* What one srv_recv gives: a message, or a result without one. */
struct step {
    tp_peer peer;
    ssize_t result; /* a length means: the message */
    bool stop;      /* sets the stop flag on the way */
    uint8_t bytes[MSG];
};

struct sent {
    tp_peer to;
    int ms;
    uint64_t syncs; /* of the store at this moment */
    uint8_t bytes[MSG];
    struct wire_reply rp;
};

struct fake_server {
    struct tp_server base;
    struct store *st;
    atomic_bool *stop;
    struct step steps[300];
    unsigned count, next;
    struct sent sent[300];
    unsigned sent_count;
    int at_end;            /* what srv_recv gives behind the last step */
    tp_peer bad_peer;      /* srv_send to it gives... */
    int bad_result;        /* this, and then (after -EINTR) goes well */
    int first_ms, last_ms; /* what srv_recv was given */
    bool sees_sigterm;     /* the lane's thread doesn't block it */
};

static ssize_t fake_recv(struct tp_server *srv, tp_peer *from, void *buf,
                         size_t cap, int ms)
{
    struct fake_server *f = (struct fake_server *)srv;
    struct step *step = &f->steps[f->next];
    sigset_t mask;

    (void)cap;
    if (f->next == 0) {
        f->first_ms = ms;
        (void)pthread_sigmask(SIG_BLOCK, NULL, &mask);
        f->sees_sigterm = sigismember(&mask, SIGTERM) == 0;
    }
    f->last_ms = ms;
    if (f->next == f->count)
        return f->at_end;
    f->next++;
    *from = step->peer;
    if (step->stop)
        atomic_store(f->stop, true);
    if (step->result > 0)
        memcpy(buf, step->bytes, (size_t)step->result);
    return step->result;
}

static int fake_send(struct tp_server *srv, tp_peer to, const void *buf,
                     size_t len, int ms)
{
    struct fake_server *f = (struct fake_server *)srv;
    struct sent *s = &f->sent[f->sent_count];

    if (to == f->bad_peer) {
        if (f->bad_result == -EINTR)
            f->bad_peer = 0;
        return f->bad_result;
    }
    REQUIRE(f->sent_count < COUNT(f->sent) && len <= MSG);
    f->sent_count++;
    s->to = to;
    s->ms = ms;
    s->syncs = syncs_of(f->st);
    memcpy(s->bytes, buf, len);
    EXPECT_INT(0, wire_get_reply(&s->rp, s->bytes, len));
    return 0;
}

static const struct transport fake_server_transport = {
    .name = "fake",
    .max_msg = MSG,
    .usual_msg = MSG,
    .max_depth = 64,
    .srv_recv = fake_recv,
    .srv_send = fake_send,
};

static atomic_bool stop_flag;

static struct fake_server *fake_new(struct store *st)
{
    struct fake_server *f = calloc(1, sizeof *f);

    REQUIRE(f != NULL);
    f->base = (struct tp_server){.t = &fake_server_transport,
                                 .max_msg = MSG,
                                 .depth = 64,
                                 .clients = 64};
    f->st = st;
    f->stop = &stop_flag;
    f->at_end = -ENOTCONN;
    return f;
}

static struct step *script_result(struct fake_server *f, tp_peer peer,
                                  int result)
{
    struct step *step = &f->steps[f->count++];

    REQUIRE(f->count <= COUNT(f->steps));
    step->peer = peer;
    step->result = result;
    return step;
}

static struct step *script(struct fake_server *f, tp_peer peer,
                           const struct wire_request *rq)
{
    struct step *step = script_result(f, peer, 0);

    step->result = wire_put_request(step->bytes, MSG, rq);
    REQUIRE(step->result > 0);
    return step;
}

static struct step *script_add(struct fake_server *f, tp_peer peer,
                               uint64_t token)
{
    struct wire_request rq = add_rq(token, "lesson", 10, 20);

    rq.flags = WIRE_WANT_STAMPS;
    return script(f, peer, &rq);
}

static struct step *script_get(struct fake_server *f, tp_peer peer,
                               uint64_t tag)
{
    struct wire_request rq = {.op = WIRE_GET, .tag = tag, .id = 1};

    return script(f, peer, &rq);
}

static int serve(struct fake_server *f, int wait_ms)
{
    struct tp_server *set[] = {&f->base};
    struct server_opts opts = {.set = set,
                               .count = 1,
                               .store = f->st,
                               .stop = &stop_flag,
                               .wait_ms = wait_ms};

    return server_run(&opts);
}

static void expect_sent(const struct fake_server *f, unsigned i, tp_peer to,
                        uint64_t tag, int status)
{
    REQUIRE(i < f->sent_count);
    EXPECT_INT(to, f->sent[i].to);
    EXPECT_INT((long long)tag, (long long)f->sent[i].rp.tag);
    EXPECT_INT(status, f->sent[i].rp.status);
}

static void fake_free(struct fake_server *f)
{
    store_close(f->st);
    free(f);
}

/* ---- server_run --------------------------------------------------------- */

/* Eight changes that wait together cost one sync, and nobody hears of his own
 * before it. */
static void loop_group_commit(const void *arg)
{
    struct fake_server *f = fake_new(open_store(true));
    uint64_t before = syncs_of(f->st);

    (void)arg;
    for (unsigned i = 0; i < 8; i++)
        script_add(f, 1 + i % 3, 100 + i);
    script_result(f, 0, -ETIMEDOUT);
    script_add(f, 1, 200);
    EXPECT_INT(0, serve(f, 0));
    REQUIRE_INT(9, f->sent_count);
    for (unsigned i = 0; i < 8; i++) {
        const struct wire_stamps *s = &f->sent[i].rp.stamps;

        expect_sent(f, i, 1 + i % 3, 100 + i, WIRE_OK);
        EXPECT_INT((long long)before + 1, (long long)f->sent[i].syncs);
        EXPECT(0 < s->received && s->received <= s->handled);
        EXPECT(s->handled <= s->synced && s->synced <= now_ns());
    }
    expect_sent(f, 8, 1, 200, WIRE_OK);
    EXPECT_INT((long long)before + 2, (long long)f->sent[8].syncs);
    fake_free(f);
}

static void loop_full_batch(const void *arg)
{
    struct fake_server *f = fake_new(open_store(true));
    uint64_t before = syncs_of(f->st);

    (void)arg;
    for (unsigned i = 0; i < 150; i++)
        script_add(f, 1 + i % 5, 100 + i);
    EXPECT_INT(0, serve(f, 0));
    REQUIRE_INT(150, f->sent_count);
    for (unsigned i = 0; i < 150; i++) {
        expect_sent(f, i, 1 + i % 5, 100 + i, WIRE_OK);
        EXPECT_INT((long long)before + 1 + i / 64, (long long)f->sent[i].syncs);
    }
    fake_free(f);
}

/* A client that never stops reading doesn't keep another's reply back. */
static void loop_busy_reader(const void *arg)
{
    struct fake_server *f = fake_new(open_store(true));

    (void)arg;
    script_add(f, 1, 100);
    for (unsigned i = 0; i < 200; i++)
        script_get(f, 2, i);
    EXPECT_INT(0, serve(f, 0));
    REQUIRE_INT(201, f->sent_count);
    expect_sent(f, 63, 1, 100, WIRE_OK);
    fake_free(f);
}

/* While a change of peer 1 is held, peer 2's reads are answered at once, and
 * peer 1's own wait behind it. */
static void loop_order(const void *arg)
{
    struct fake_server *f = fake_new(open_store(true));

    (void)arg;
    script_add(f, 1, 100);
    script_get(f, 2, 201);
    script_get(f, 1, 101);
    script_get(f, 2, 202);
    script_result(f, 0, -ETIMEDOUT);
    script_get(f, 1, 102);
    EXPECT_INT(0, serve(f, 0));
    REQUIRE_INT(5, f->sent_count);
    expect_sent(f, 0, 2, 201, WIRE_OK);
    expect_sent(f, 1, 2, 202, WIRE_OK);
    expect_sent(f, 2, 1, 100, WIRE_OK);
    expect_sent(f, 3, 1, 101, WIRE_OK);
    expect_sent(f, 4, 1, 102, WIRE_OK);
    EXPECT(f->sent[0].syncs < f->sent[2].syncs);
    fake_free(f);
}

static void loop_bad_messages(const void *arg)
{
    static const int results[] = {-EPROTO, -EMSGSIZE, 0, -EINTR, -ETIMEDOUT};
    struct fake_server *f = fake_new(open_store(false));
    struct step *short_one;

    (void)arg;
    for (unsigned i = 0; i < COUNT(results); i++) {
        script_add(f, 1, 100 + i);
        script_result(f, 2, results[i]);
        script_get(f, 3, i);
    }
    short_one = script_get(f, 4, 9);
    short_one->result = 3;
    EXPECT_INT(0, serve(f, 0));
    EXPECT_INT(2 * COUNT(results) + 1, f->sent_count);
    EXPECT_INT((long long)f->count, f->next);
    for (unsigned i = 0; i < f->sent_count; i++)
        EXPECT_INT(f->sent[i].to == 4 ? WIRE_BAD_REQUEST : WIRE_OK,
                   f->sent[i].rp.status);
    fake_free(f);
}

/* A peer that has gone, or doesn't read, costs the others nothing. */
static void loop_lost_peer(const void *arg)
{
    static const int results[] = {-EPIPE, -ETIMEDOUT, -EINTR};

    (void)arg;
    for (unsigned i = 0; i < COUNT(results); i++) {
        struct fake_server *f = fake_new(open_store(false));

        f->bad_peer = 2;
        f->bad_result = results[i];
        script_add(f, 1, 1);
        script_add(f, 2, 2);
        script_get(f, 2, 3);
        script_add(f, 3, 4);
        EXPECT_INT(0, serve(f, 0));
        REQUIRE_INT(results[i] == -EINTR ? 4 : 2, f->sent_count);
        expect_sent(f, 0, 1, 1, WIRE_OK);
        expect_sent(f, f->sent_count - 1, 3, 4, WIRE_OK);
        fake_free(f);
    }
}

static void loop_stop(const void *arg)
{
    struct fake_server *f = fake_new(open_store(true));

    (void)arg;
    f->at_end = -EIO; /* must not be reached */
    script_add(f, 1, 100);
    script_add(f, 2, 101)->stop = true;
    EXPECT_INT(0, serve(f, 0));
    REQUIRE_INT(2, f->sent_count);
    expect_sent(f, 1, 2, 101, WIRE_OK);
    EXPECT(f->sent[1].rp.stamps.synced != 0);
    fake_free(f);

    /* As a signal does it: flag first, then EINTR. */
    atomic_store(&stop_flag, false);
    f = fake_new(open_store(true));
    f->at_end = -EIO;
    script_result(f, 0, -EINTR)->stop = true;
    EXPECT_INT(0, serve(f, 0));
    EXPECT_INT(0, f->sent_count);
    fake_free(f);
}

static void loop_waits(const void *arg)
{
    static const int waits[] = {0, 70, -1};

    (void)arg;
    for (unsigned i = 0; i < COUNT(waits); i++) {
        struct fake_server *f = fake_new(open_store(false));

        script_add(f, 1, 1);
        EXPECT_INT(0, serve(f, waits[i]));
        EXPECT_INT(waits[i] == 0 ? SERVER_SLICE_MS : waits[i], f->first_ms);
        EXPECT_INT(0, f->last_ms); /* never waits while it holds a reply */
        REQUIRE_INT(1, f->sent_count);
        EXPECT_INT(waits[i] < 0 ? -1 : TP_SEND_MS, f->sent[0].ms);
        fake_free(f);
    }
}

static void loop_sync_fails(const void *arg)
{
    struct fake_server *f = fake_new(open_store(true));

    (void)arg;
    script_add(f, 1, 100);
    script_get(f, 1, 101);
    script_add(f, 2, 102);
    script_result(f, 0, -ETIMEDOUT);
    script_add(f, 1, 103);
    script_get(f, 2, 104);
    atomic_store(&sync_fails, true);
    EXPECT_INT(0, serve(f, 0));
    atomic_store(&sync_fails, false);
    REQUIRE_INT(5, f->sent_count);
    expect_sent(f, 0, 1, 100, WIRE_READ_ONLY);
    expect_sent(f, 1, 1, 101, WIRE_OK);
    expect_sent(f, 2, 2, 102, WIRE_READ_ONLY);
    expect_sent(f, 3, 1, 103, WIRE_READ_ONLY);
    expect_sent(f, 4, 2, 104, WIRE_OK);
    EXPECT_INT(WIRE_ADD, f->sent[0].rp.op);
    EXPECT(f->sent[0].rp.stamps.handled != 0);
    EXPECT(f->sent[0].rp.stamps.synced == 0);
    EXPECT_BYTES("the data file failed: no more changes, and this one may or "
                 "may not last (syncing the data file failed)",
                 f->sent[0].rp.body, f->sent[0].rp.body_len);
    fake_free(f);
}

/* Two lanes; the second fails, and the first, which would wait for ever, is
 * told to end. Signals belong to the first one's thread. */
static void loop_two_lanes(const void *arg)
{
    struct store *st = open_store(true);
    struct fake_server *a = fake_new(st), *b = fake_new(st);
    struct tp_server *set[] = {&a->base, &b->base};
    struct server_opts opts = {
        .set = set, .count = 2, .store = st, .stop = &stop_flag};

    (void)arg;
    for (unsigned i = 0; i < 100; i++) {
        script_add(a, 1, 1000 + i);
        script_add(b, 1, 2000 + i);
    }
    a->at_end = -ETIMEDOUT;
    b->at_end = -EIO;
    EXPECT_INT(-EIO, server_run(&opts));
    EXPECT_INT(100, b->sent_count);
    for (unsigned i = 0; i < a->sent_count; i++)
        expect_sent(a, i, 1, 1000 + i, WIRE_OK);
    EXPECT(a->sees_sigterm && !b->sees_sigterm);

    /* The other way round, and both at a normal end. */
    a->next = b->next = a->sent_count = b->sent_count = 0;
    a->at_end = b->at_end = -ENOTCONN;
    EXPECT_INT(0, server_run(&opts));
    EXPECT_INT(100, a->sent_count);
    EXPECT_INT(100, b->sent_count);
    store_lock(st);
    EXPECT_INT(200, (long long)schedule_count(store_schedule(st)));
    store_unlock(st);
    free(b);
    fake_free(a);
}

static void loop_send_fails(const void *arg)
{
    struct fake_server *f = fake_new(open_store(false));

    (void)arg;
    f->bad_peer = 2;
    f->bad_result = -ENOSYS;
    script_get(f, 2, 1);
    script_get(f, 1, 1);
    EXPECT_INT(-ENOSYS, serve(f, 0));
    EXPECT_INT(0, f->sent_count);
    fake_free(f);
}

/* ---- the fake client end ------------------------------------------------ */

/* Requests are handled as they are sent; their replies wait in a queue. */
static struct fake_line {
    struct tp_client base;
    struct store *st;
    struct server_count count;
    uint8_t replies[8][MSG];
    size_t lens[8];
    unsigned put, got;
    unsigned depth;
    unsigned lose;      /* so many times cli_recv finds nothing in time */
    unsigned interrupt; /* so many calls are interrupted */
    bool silent;        /* never a reply, only signals */
    bool left;          /* the server has left */
    unsigned sends;
    uint8_t flip_at, flip; /* damage in the next reply */
    size_t cut;            /* bytes taken from the end of the next reply */
} line;

static bool interrupted(void)
{
    if (line.interrupt == 0)
        return false;
    line.interrupt--;
    return true;
}

static int line_open(struct tp_client **out, const struct tp_opts *opts)
{
    if (strcmp(opts->name, "nobody") == 0)
        return -ENOENT;
    *out = &line.base;
    return 0;
}

static int line_send(struct tp_client *cli, const void *buf, size_t len, int ms)
{
    unsigned i = line.put % COUNT(line.replies);
    uint64_t seq;

    (void)cli;
    (void)ms;
    if (interrupted())
        return -EINTR;
    if (line.left)
        return -EPIPE;
    line.sends++;
    line.put++;
    line.lens[i] = server_handle(line.st, &line.count, buf, len,
                                 line.replies[i], MSG, &seq);
    line.lens[i] -= line.cut;
    line.replies[i][line.flip_at] ^= line.flip;
    line.cut = line.flip = 0;
    return 0;
}

static ssize_t line_recv(struct tp_client *cli, void *buf, size_t cap, int ms)
{
    unsigned i = line.got % COUNT(line.replies);

    (void)cli;
    if (interrupted())
        return -EINTR;
    if (line.left)
        return 0;
    if (line.silent) {
        EXPECT(ms > 0);
        /* The server's silence. Near the end the signals come faster, so
         * that a client that gives up a moment early is found. */
        (void)poll(NULL, 0, ms > 5 ? 5 : 0);
        return ms > 0 ? -EINTR : -ETIMEDOUT;
    }
    if (line.lose > 0) {
        line.lose--;
        return -ETIMEDOUT;
    }
    REQUIRE(line.got < line.put && line.lens[i] <= cap);
    line.got++;
    memcpy(buf, line.replies[i], line.lens[i]);
    return (ssize_t)line.lens[i];
}

static void line_close(struct tp_client *cli)
{
    EXPECT(cli == &line.base);
}

static const struct transport line_transport = {
    .name = "line",
    .max_msg = MSG,
    .usual_msg = MSG,
    .max_depth = 64,
    .cli_open = line_open,
    .cli_send = line_send,
    .cli_recv = line_recv,
    .cli_close = line_close,
};

static void line_start(struct client *c, unsigned depth, int ms)
{
    struct tp_opts opts = {.name = "line"};

    line.st = open_store(false);
    line.base = (struct tp_client){
        .t = &line_transport, .max_msg = MSG, .depth = depth};
    REQUIRE_INT(0, client_open(c, &line_transport, &opts, ms));
}

static void line_end(struct client *c)
{
    client_close(c);
    client_close(c); /* a second time does nothing */
    store_close(line.st);
}

/* ---- client.c ----------------------------------------------------------- */

static bool count_events(const struct event *ev, void *arg)
{
    unsigned *left = arg;

    EXPECT(strlen(ev->title) == ev->title_len);
    return --*left > 0;
}

static void client_calls(const void *arg)
{
    struct event ev = {.start = 10, .end = 20, .title = "one"};
    struct client_event got;
    struct wire_stats stats;
    struct client c;
    uint64_t rev = 0;
    uint32_t id = 0;

    (void)arg;
    line_start(&c, 1, 1000);
    EXPECT_INT(0, client_ping(&c));
    EXPECT_INT(0, client_echo(&c, "bytes", 5));
    EXPECT_INT(0, client_add(&c, 5, &ev, &id, &rev));
    EXPECT_INT(1, id);
    EXPECT_INT(0, client_get(&c, id, &got));
    EXPECT_STR("one", got.event.title);
    EXPECT(got.event.title == got.text && got.event.rev == rev);
    ev.title = "two";
    ev.id = id;
    EXPECT_INT(0, client_update(&c, 6, &ev, rev, &rev));
    EXPECT_INT(WIRE_CHANGED, client_update(&c, 7, &ev, rev - 1, NULL));
    EXPECT_STR(wire_status_text(WIRE_CHANGED), c.refusal);
    EXPECT_INT(0, client_get(&c, id, &got));
    EXPECT_STR("two", got.text);
    EXPECT_STR("", c.refusal);
    c.stamps = true;
    EXPECT_INT(0, client_stats(&c, &stats));
    EXPECT(c.last.received > 0 && c.last.received <= c.last.handled);
    EXPECT_INT(getpid(), (long long)stats.pid);
    EXPECT_INT(1, (long long)stats.events);
    EXPECT_INT(2, (long long)stats.changes);
    EXPECT_INT(1, (long long)stats.errors);
    EXPECT_INT(0, client_remove(&c, 8, id, 0, NULL));
    EXPECT_INT(3, (long long)c.rev);
    EXPECT_INT(WIRE_NOT_FOUND, client_remove(&c, 9, id, 0, NULL));
    line_end(&c);
}

static void client_pages(const void *arg)
{
    struct client c;
    unsigned left = 1000;

    (void)arg;
    line_start(&c, 1, 1000);
    for (unsigned i = 0; i < 50; i++) {
        struct event ev = {.start = i,
                           .end = 100,
                           .title = "a lesson of some "
                                    "length"};

        EXPECT_INT(0, client_add(&c, client_token(), &ev, NULL, NULL));
    }
    EXPECT_INT(0, client_list(&c, 0, 100, count_events, &left));
    EXPECT_INT(950, left);
    EXPECT_INT(0, client_conflicts(&c, 50, count_events, &left));
    EXPECT_INT(901, left);
    left = 20; /* the visitor has had enough */
    EXPECT_INT(0, client_list(&c, 0, 100, count_events, &left));
    EXPECT_INT(0, left);
    EXPECT_INT(WIRE_NOT_FOUND, client_conflicts(&c, 51, count_events, &left));
    line_end(&c);
}

static void client_late_reply(const void *arg)
{
    struct client c;

    (void)arg;
    line_start(&c, 4, 1000);
    line.lose = 1;
    EXPECT_INT(-ETIMEDOUT, client_echo(&c, "old", 3));
    EXPECT_INT(0, client_echo(&c, "new", 3)); /* skips the old answer */
    EXPECT_INT(2, line.got);
    line_end(&c);
}

/* With a depth of 1 the old reply has to come first. */
static void client_drains(const void *arg)
{
    struct client c;

    (void)arg;
    line_start(&c, 1, 1000);
    line.lose = 1;
    EXPECT_INT(-ETIMEDOUT, client_echo(&c, "old", 3));
    EXPECT_INT(0, client_echo(&c, "new", 3));
    EXPECT_INT(2, line.sends);
    line.lose = 2;
    EXPECT_INT(-ETIMEDOUT, client_echo(&c, "old", 3));
    EXPECT_INT(-ETIMEDOUT, client_echo(&c, "not sent", 8));
    EXPECT_INT(3, line.sends);
    EXPECT_INT(0, client_echo(&c, "new", 3));
    line_end(&c);
}

static void client_interrupted(const void *arg)
{
    struct client c;

    (void)arg;
    line_start(&c, 1, 1000);
    line.interrupt = 7;
    EXPECT_INT(0, client_ping(&c));
    EXPECT_INT(0, line.interrupt);
    c.ms = -1;
    line.interrupt = 7;
    EXPECT_INT(0, client_ping(&c));
    EXPECT_INT(2, line.sends);
    line_end(&c);
}

static void client_deadline(const void *arg)
{
    uint64_t began;
    struct client c;

    (void)arg;
    line_start(&c, 1, 60);
    line.silent = true;
    for (int i = 0; i < 2; i++) { /* waiting for the reply; to be allowed */
        uint64_t took;

        began = now_ns();
        EXPECT_INT(-ETIMEDOUT, client_ping(&c));
        took = now_ns() - began;
        EXPECT(took >= 60000000u && took < 1000000000u);
    }
    EXPECT_INT(1, line.sends);
    line_end(&c);
}

static void client_bad_replies(const void *arg)
{
    static const struct {
        uint8_t at, flip;
        uint8_t cut;
    } damage[] = {{0, 1, 0}, {1, 8, 0}, {3, 0x80, 0}, {11, 1, 0}, {0, 0, 1}};
    struct event ev = {.start = 10, .end = 20, .title = "one"};
    struct client_event got;
    struct tp_opts nobody = {.name = "nobody"};
    struct client c;

    (void)arg;
    line_start(&c, 4, 1000);
    EXPECT_INT(0, client_add(&c, 1, &ev, NULL, NULL));
    for (unsigned i = 0; i < COUNT(damage); i++) {
        line.flip_at = damage[i].at;
        line.flip = damage[i].flip;
        line.cut = damage[i].cut;
        EXPECT_INT(-EPROTO, client_get(&c, 1, &got));
    }
    line.left = true;
    EXPECT_INT(-EPIPE, client_get(&c, 1, &got));
    line_end(&c);
    EXPECT_INT(-ENOENT, client_open(&c, &line_transport, &nobody, 1));
    client_close(&c);
}

static void client_server_left(const void *arg)
{
    struct client c;

    (void)arg;
    line_start(&c, 1, 1000);
    line.lose = 1;
    EXPECT_INT(-ETIMEDOUT, client_ping(&c));
    line.left = true; /* found while making room for the next request */
    EXPECT_INT(-EPIPE, client_ping(&c));
    line_end(&c);
}

static void client_tokens(const void *arg)
{
    uint64_t all_or = 0, a = client_token(), b = client_token();

    (void)arg;
    EXPECT(a != 0 && b != 0 && a != b);
    for (int i = 0; i < 200; i++)
        all_or |= client_token();
    EXPECT(all_or == UINT64_MAX);
}

/* ---- the suite ---------------------------------------------------------- */

static const struct test_case cases[] = {
    {.name = "handle/ping-echo", .run = handle_ping_echo},
    {.name = "handle/changes", .run = handle_changes},
    {.name = "handle/refusals", .run = handle_refusals},
    {.name = "handle/too-big", .run = handle_too_big},
    {.name = "handle/pages", .run = handle_pages},
    {.name = "handle/list-edges", .run = handle_list_edges},
    {.name = "handle/stamps", .run = handle_stamps},
    {.name = "handle/stats", .run = handle_stats},
    {.name = "handle/disk-full", .run = handle_disk_full},
    {.name = "loop/group-commit", .run = loop_group_commit},
    {.name = "loop/full-batch", .run = loop_full_batch},
    {.name = "loop/busy-reader", .run = loop_busy_reader},
    {.name = "loop/order", .run = loop_order},
    {.name = "loop/bad-messages", .run = loop_bad_messages},
    {.name = "loop/lost-peer", .run = loop_lost_peer},
    {.name = "loop/stop", .run = loop_stop},
    {.name = "loop/waits", .run = loop_waits},
    {.name = "loop/sync-fails", .run = loop_sync_fails},
    {.name = "loop/two-lanes", .run = loop_two_lanes},
    {.name = "loop/send-fails", .run = loop_send_fails},
    {.name = "client/calls", .run = client_calls},
    {.name = "client/pages", .run = client_pages},
    {.name = "client/late-reply", .run = client_late_reply},
    {.name = "client/drains", .run = client_drains},
    {.name = "client/interrupted", .run = client_interrupted},
    {.name = "client/deadline", .run = client_deadline},
    {.name = "client/bad-replies", .run = client_bad_replies},
    {.name = "client/server-left", .run = client_server_left},
    {.name = "client/tokens", .run = client_tokens},
};

static const struct test_suite suite = {
    .name = "server", .cases = cases, .count = COUNT(cases)};

int main(int argc, char **argv)
{
    return harness_main(argc, argv, &suite);
}

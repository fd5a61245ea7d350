/*
 * fuzz_server.c - requests to a small store (common/server.c, store.c,
 *                 schedule.c)
 *
 * The input is a list of requests: short forms with small numbers, so that
 * they meet each other's events, and raw bytes. Beside the store runs a model
 * that is too simple to be wrong: an array. Every reply must be the one that
 * the model expects, byte by byte, and none may be longer than there is room.
 */
#include "fuzz.h"

#include "server.h"
#include "wire.h"

#include <stdlib.h>

#define STEPS     64   /* requests of one input at most */
#define REQUEST   4096 /* bytes of one at most */
#define HALF_HOUR 1800

/* ---- the model ------------------------------------------------------------ */

struct made { /* a change that was made with a token */
    uint64_t token, rev;
    uint32_t id;
    uint8_t op, title_len;
    int64_t start, end;
    char title[EVENT_TITLE_MAX];
};

struct model {
    struct event event[STEPS + 1]; /* by id; title NULL: there is none */
    char title[STEPS + 1][EVENT_TITLE_MAX + 1];
    uint32_t next_id;
    struct made made[STEPS];
    unsigned made_count;
    uint64_t rev;
    /* The reply that must come. */
    enum wire_status status;
    bool more;
    uint64_t seq;
    uint8_t body[REQUEST + 64];
    struct wire_writer w; /* of the body */
};

static const struct made *made_with(const struct model *m, uint64_t token)
{
    for (unsigned i = 0; i < m->made_count; i++)
        if (token != 0 && m->made[i].token == token)
            return &m->made[i];
    return NULL;
}

static bool exists(const struct model *m, uint32_t id)
{
    return id > 0 && id < m->next_id && m->event[id].title != NULL;
}

/* What the store must say to a change with a new token. */
static enum wire_status judge(const struct model *m,
                              const struct wire_request *rq)
{
    if (rq->op != WIRE_ADD && !exists(m, rq->id))
        return WIRE_NOT_FOUND;
    if (rq->op != WIRE_ADD && rq->rev != 0 && rq->rev != m->event[rq->id].rev)
        return WIRE_CHANGED;
    if (rq->op == WIRE_REMOVE)
        return WIRE_OK;
    if (event_title_check((const char *)rq->bytes, rq->bytes_len) < 0)
        return WIRE_BAD_TITLE;
    return event_times_check(rq->start, rq->end) < 0 ? WIRE_BAD_TIME : WIRE_OK;
}

static void make_change(struct model *m, const struct wire_request *rq)
{
    uint32_t id = rq->op == WIRE_ADD ? m->next_id++ : rq->id;
    struct event *ev = &m->event[id];
    struct made *made = &m->made[m->made_count++];

    *ev = (struct event){.id = id,
                         .rev = ++m->rev,
                         .start = rq->start,
                         .end = rq->end,
                         .title_len = (uint8_t)rq->bytes_len};
    if (rq->op != WIRE_REMOVE) {
        ev->title = m->title[id];
        memcpy(m->title[id], rq->bytes, rq->bytes_len);
    }
    *made = (struct made){.token = rq->token,
                          .rev = m->rev,
                          .id = id,
                          .op = rq->op,
                          .title_len = ev->title_len,
                          .start = rq->start,
                          .end = rq->end};
    if (rq->op == WIRE_ADD)
        memcpy(made->title, rq->bytes, rq->bytes_len);
}

/* Does it ask for the same? Of an update only the event counts: see store.c. */
static bool is_same(const struct made *made, const struct wire_request *rq)
{
    if (made->op != rq->op || rq->op != WIRE_ADD)
        return made->op == rq->op && made->id == rq->id;
    return made->start == rq->start && made->end == rq->end &&
           made->title_len == rq->bytes_len &&
           memcmp(made->title, rq->bytes, rq->bytes_len) == 0;
}

static void expect_change(struct model *m, const struct wire_request *rq)
{
    const struct made *first = made_with(m, rq->token);

    if (rq->op != WIRE_REMOVE &&
        event_title_blank((const char *)rq->bytes, rq->bytes_len)) {
        m->status = WIRE_BAD_TITLE;
        return;
    }
    if (first == NULL) {
        m->status = judge(m, rq);
        if (m->status != WIRE_OK)
            return;
        make_change(m, rq);
        first = &m->made[m->made_count - 1];
    } else if (!is_same(first, rq)) {
        m->status = WIRE_BAD_TOKEN;
        return;
    }
    m->seq = first->rev;
    (void)wire_add_u32(&m->w, first->id); /* there is room for both */
    (void)wire_add_u64(&m->w, first->rev);
}

/* The hit that comes next behind (start, id), by looking at all of them. */
static const struct event *next_hit(const struct model *m, int64_t from,
                                    int64_t to, int64_t start, uint32_t id,
                                    bool first)
{
    const struct event *best = NULL;

    for (uint32_t i = 1; i < m->next_id; i++) {
        const struct event *ev = &m->event[i];

        if (ev->title == NULL || ev->start >= to || ev->end <= from ||
            from >= to) /* an empty range overlaps nothing */
            continue;
        if (!first && (ev->start < start || (ev->start == start && i <= id)))
            continue;
        if (best == NULL || ev->start < best->start)
            best = ev;
    }
    return best;
}

static void expect_page(struct model *m, const struct wire_request *rq,
                        int64_t from, int64_t to, uint32_t skip)
{
    const struct event *ev =
        next_hit(m, from, to, rq->after_start, rq->after_id, rq->after_id == 0);
    uint32_t count = 0;

    (void)wire_add_u32(&m->w, 0); /* there is room for an event, almost */
    for (; ev != NULL; ev = next_hit(m, from, to, ev->start, ev->id, false)) {
        if (ev->id == skip)
            continue;
        m->more =
            (rq->limit > 0 && count == rq->limit) || !wire_add_event(&m->w, ev);
        if (m->more)
            break;
        count++;
    }
    wire_set_count(&m->w, count);
    if (count == 0 && m->more)
        m->status = WIRE_TOO_BIG;
}

/* The reply that must come to this request. `room` is that of its body. */
static void expect(struct model *m, const struct wire_request *rq, size_t room)
{
    const struct event *ev = exists(m, rq->id) ? &m->event[rq->id] : NULL;

    m->w = (struct wire_writer){.buf = m->body, .cap = room};
    switch (rq->op) {
    case WIRE_ECHO:
        if (!wire_add_bytes(&m->w, rq->bytes, rq->bytes_len))
            m->status = WIRE_TOO_BIG;
        break;
    case WIRE_ADD:
    case WIRE_UPDATE:
    case WIRE_REMOVE: expect_change(m, rq); break;
    case WIRE_GET:
        if (ev == NULL || !wire_add_event(&m->w, ev))
            m->status = WIRE_NOT_FOUND;
        break;
    case WIRE_LIST: expect_page(m, rq, rq->start, rq->end, 0); break;
    case WIRE_CONFLICTS:
        if (ev == NULL)
            m->status = WIRE_NOT_FOUND;
        else
            expect_page(m, rq, ev->start, ev->end, ev->id);
        break;
    default: break;
    }
}

/* ---- one request to both -------------------------------------------------- */

struct desk {
    struct store *st;
    struct server_count count;
    struct model *m;
    uint8_t *reply; /* `cap` bytes, so that a byte more is noticed */
    size_t cap;
};

static void check_stats(const struct desk *d, const struct wire_reply *rp)
{
    struct wire_reader r = {rp->body, rp->body + rp->body_len};
    uint64_t v[WIRE_STATS_COUNT], living = 0;
    uint32_t n;

    MUST(wire_read_u32(&r, &n) && n == WIRE_STATS_COUNT);
    for (int i = 0; i < WIRE_STATS_COUNT; i++)
        MUST(wire_read_u64(&r, &v[i]));
    for (uint32_t id = 1; id < d->m->next_id; id++)
        living += d->m->event[id].title != NULL;
    MUST(r.at == r.end && v[2] == living && v[3] == d->m->rev);
}

static void check_reply(const struct desk *d, const struct wire_reply *rp)
{
    const struct model *m = d->m;

    MUST(rp->status == m->status && rp->rev == m->rev);
    if (m->status != WIRE_OK) {
        const char *text = wire_status_text(m->status);

        MUST(rp->body_len == 0 || (rp->body_len == strlen(text) &&
                                   memcmp(rp->body, text, rp->body_len) == 0));
    } else if (rp->op == WIRE_STATS) {
        check_stats(d, rp);
    } else {
        MUST(!(rp->flags & WIRE_MORE) == !m->more);
        MUST(rp->body_len == m->w.len &&
             memcmp(rp->body, m->body, m->w.len) == 0);
    }
}

static void ask(struct desk *d, const uint8_t *request, size_t len)
{
    struct model *m = d->m;
    struct wire_request rq;
    struct wire_reply rp;
    uint64_t seq;
    size_t head, n;

    m->status = wire_get_request(&rq, request, len);
    m->more = false;
    m->seq = 0;
    head =
        WIRE_REPLY_MIN + (rq.flags & WIRE_WANT_STAMPS ? WIRE_STAMPS_SIZE : 0);
    if (m->status == WIRE_OK)
        expect(m, &rq, d->cap - head);
    n = server_handle(d->st, &d->count, request, len, d->reply, d->cap, &seq);
    MUST(n >= head && n <= d->cap && seq == m->seq);
    MUST(wire_get_reply(&rp, d->reply, n) == 0);
    MUST(rp.op == rq.op && rp.tag == rq.tag);
    check_reply(d, &rp);
}

/* ---- requests made from the input ----------------------------------------- */

/* Times that often touch and overlap, and now and then the very first. */
static int64_t make_time(struct supply *in)
{
    unsigned b = supply_byte(in);

    if (b >= 0xfe)
        return b == 0xfe ? EVENT_TIME_MIN : EVENT_TIME_MAX;
    return ((int64_t)b - 100) * HALF_HOUR;
}

static size_t make_request(struct supply *in, unsigned op, uint8_t *out)
{
    struct wire_request rq = {.op = (uint8_t)(op % WIRE_OP_END),
                              .flags = supply_byte(in) & WIRE_WANT_STAMPS,
                              .tag = supply_number(in, 1),
                              .token = supply_number(in, 1),
                              .id = supply_byte(in),
                              .rev = supply_number(in, 1),
                              .start = make_time(in),
                              .end = make_time(in)};
    ssize_t n;

    rq.after_start = rq.end;
    if (rq.op == WIRE_LIST || rq.op == WIRE_CONFLICTS) {
        rq.after_start = make_time(in);
        rq.after_id = supply_byte(in);
        rq.limit = supply_byte(in) % 8;
    }
    rq.bytes = supply_bytes(in, supply_byte(in), &rq.bytes_len);
    n = wire_put_request(out, REQUEST, &rq);
    MUST(n > 0);
    return (size_t)n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct model m;
    static uint8_t made[REQUEST];
    struct supply in = {data, data + size};
    struct store_opts opts = {0};
    struct desk d = {.m = &m};

    m.next_id = 1;
    m.made_count = 0;
    m.rev = 0;
    d.cap = WIRE_MESSAGE_MIN + supply_byte(&in) * 2;
    d.reply = malloc(d.cap);
    MUST(d.reply != NULL && store_open(&d.st, &opts) == 0);
    for (int i = 0; i < STEPS && supply_left(&in) > 0; i++) {
        unsigned kind = supply_byte(&in);
        size_t len;

        if (kind < 0x80) {
            len = make_request(&in, kind, made);
            ask(&d, made, len);
        } else {
            const uint8_t *raw = supply_bytes(&in, kind & 0x7f, &len);
            ask(&d, raw, len);
        }
    }
    store_close(d.st);
    free(d.reply);
    return 0;
}

/*
 * wire.c - requests and replies as bytes; wire.h draws them
 *
 * A request's length is checked once against the length that its
 * operation must have; only then its fields are read. Replies are written and
 * read from front to back, each part against what is left.
 *
 * Left out on purpose: whether a title is valid UTF-8 and whether times make
 * sense. That is the store's to judge, for every way into it.
 */
#include "wire.h"
#include "bytes.h"

#include <errno.h>
#include <string.h>

/* Where the reply's fields stand (wire.h). */
enum { AT_STATUS = 2, AT_FLAGS = 3, AT_TAG = 4, AT_REV = 12 };

/* The body of each request: bytes of its fields, and whether a tail of any
 * length (a title, a payload) follows them. Number 0 stands for all unknown
 * operations. */
struct shape {
    const char *name;
    uint8_t fields;
    bool tail;
};

static const struct shape shapes[WIRE_OP_END] = {
    [0] = {"?", 0, false},
    [WIRE_PING] = {"ping", 0, false},
    [WIRE_ECHO] = {"echo", 0, true},
    [WIRE_ADD] = {"add", 24, true},
    [WIRE_GET] = {"get", 4, false},
    [WIRE_UPDATE] = {"update", 36, true},
    [WIRE_REMOVE] = {"remove", 20, false},
    [WIRE_LIST] = {"list", 32, false},
    [WIRE_CONFLICTS] = {"conflicts", 20, false},
    [WIRE_STATS] = {"stats", 0, false},
};

static const char *const sentences[WIRE_STATUS_END] = {
    [WIRE_OK] = "done",
    [WIRE_BAD_VERSION] = "this version of the protocol is unknown here",
    [WIRE_BAD_OP] = "unknown operation",
    [WIRE_BAD_REQUEST] = "the request is malformed",
    [WIRE_BAD_TITLE] = "a title needs 1 to 255 bytes of UTF-8, not only "
                       "spaces and without control characters",
    [WIRE_BAD_TIME] = "the end must be after the start, and both within the "
                      "years 1 to 9999",
    [WIRE_NOT_FOUND] = "not found",
    [WIRE_CHANGED] = "the event has been changed meanwhile",
    [WIRE_BAD_TOKEN] = "this token was used for another change",
    [WIRE_NO_SPACE] = "the disk or the memory is full; nothing was changed",
    [WIRE_READ_ONLY] =
        "the data file failed: no more changes, and this one may "
        "or may not last",
    [WIRE_TOO_BIG] = "the reply doesn't fit into one message",
};

/* ---- times ------------------------------------------------------------ */

/* gcc and clang convert modulo 2^64, which is two's complement. */
static int64_t get_time(const uint8_t *p)
{
    return (int64_t)get64(p);
}

static void put_time(uint8_t *p, int64_t v)
{
    put64(p, (uint64_t)v);
}

/* ---- names -------------------------------------------------------------- */

static const struct shape *shape_of(unsigned op)
{
    return &shapes[op < WIRE_OP_END ? op : 0];
}

const char *wire_status_text(unsigned status)
{
    return status < WIRE_STATUS_END ? sentences[status]
                                    : "refused for an unknown reason";
}

const char *wire_op_name(unsigned op)
{
    return shape_of(op)->name;
}

/* ---- requests ----------------------------------------------------------- */

static void put_fields(uint8_t *p, const struct wire_request *rq)
{
    switch (rq->op) {
    case WIRE_ADD:
        put64(p + 12, rq->token);
        put_time(p + 20, rq->start);
        put_time(p + 28, rq->end);
        break;
    case WIRE_GET: put32(p + 12, rq->id); break;
    case WIRE_UPDATE:
        put_time(p + 32, rq->start);
        put_time(p + 40, rq->end);
        /* fall through - the rest is as in remove */
    case WIRE_REMOVE:
        put64(p + 12, rq->token);
        put32(p + 20, rq->id);
        put64(p + 24, rq->rev);
        break;
    case WIRE_LIST:
        put_time(p + 12, rq->start);
        put_time(p + 20, rq->end);
        put_time(p + 28, rq->after_start);
        put32(p + 36, rq->after_id);
        put32(p + 40, rq->limit);
        break;
    case WIRE_CONFLICTS:
        put32(p + 12, rq->id);
        put_time(p + 16, rq->after_start);
        put32(p + 24, rq->after_id);
        put32(p + 28, rq->limit);
        break;
    default: break;
    }
}

static void get_fields(struct wire_request *rq, const uint8_t *p)
{
    switch (rq->op) {
    case WIRE_ADD:
        rq->token = get64(p + 12);
        rq->start = get_time(p + 20);
        rq->end = get_time(p + 28);
        break;
    case WIRE_GET: rq->id = get32(p + 12); break;
    case WIRE_UPDATE:
        rq->start = get_time(p + 32);
        rq->end = get_time(p + 40);
        /* fall through - the rest is as in remove */
    case WIRE_REMOVE:
        rq->token = get64(p + 12);
        rq->id = get32(p + 20);
        rq->rev = get64(p + 24);
        break;
    case WIRE_LIST:
        rq->start = get_time(p + 12);
        rq->end = get_time(p + 20);
        rq->after_start = get_time(p + 28);
        rq->after_id = get32(p + 36);
        rq->limit = get32(p + 40);
        break;
    case WIRE_CONFLICTS:
        rq->id = get32(p + 12);
        rq->after_start = get_time(p + 16);
        rq->after_id = get32(p + 24);
        rq->limit = get32(p + 28);
        break;
    default: break;
    }
}

ssize_t wire_put_request(void *buf, size_t cap, const struct wire_request *rq)
{
    const struct shape *shape = shape_of(rq->op);
    size_t front = WIRE_REQUEST_MIN + (size_t)shape->fields;
    size_t tail = shape->tail ? rq->bytes_len : 0;
    uint8_t *p = buf;

    if (cap < front || cap - front < tail)
        return -EMSGSIZE;
    p[0] = WIRE_VERSION;
    p[1] = rq->op;
    put16(p + 2, rq->flags);
    put64(p + 4, rq->tag);
    put_fields(p, rq);
    if (tail > 0)
        memcpy(p + front, rq->bytes, tail);
    return (ssize_t)(front + tail);
}

static enum wire_status get_body(struct wire_request *rq, const uint8_t *p,
                                 size_t len)
{
    const struct shape *shape = shape_of(rq->op);
    size_t front = WIRE_REQUEST_MIN + (size_t)shape->fields;

    if (len < front || (len > front && !shape->tail))
        return WIRE_BAD_REQUEST;
    get_fields(rq, p);
    if (!shape->tail)
        return WIRE_OK;
    rq->bytes = p + front;
    rq->bytes_len = len - front;
    /* The store counts a title's bytes in 8 bits: refuse what can't be. */
    if (rq->op != WIRE_ECHO &&
        (rq->bytes_len < 1 || rq->bytes_len > EVENT_TITLE_MAX))
        return WIRE_BAD_TITLE;
    return WIRE_OK;
}

enum wire_status wire_get_request(struct wire_request *rq, const void *buf,
                                  size_t len)
{
    const uint8_t *p = buf;

    *rq = (struct wire_request){0};
    if (len >= 2)
        rq->op = p[1];
    if (len >= WIRE_REQUEST_MIN)
        rq->tag = get64(p + 4);
    if (len >= 1 && p[0] != WIRE_VERSION)
        return WIRE_BAD_VERSION;
    if (len < WIRE_REQUEST_MIN || (get16(p + 2) & ~WIRE_WANT_STAMPS) != 0)
        return WIRE_BAD_REQUEST;
    rq->flags = get16(p + 2);
    if (shape_of(rq->op) == &shapes[0])
        return WIRE_BAD_OP;
    return get_body(rq, p, len);
}

/* ---- replies: writing --------------------------------------------------- */

bool wire_start_reply(struct wire_writer *w, void *buf, size_t cap,
                      const struct wire_request *rq)
{
    bool stamps = rq->flags & WIRE_WANT_STAMPS;
    size_t head = WIRE_REPLY_MIN + (stamps ? WIRE_STAMPS_SIZE : 0);
    uint8_t *p = buf;

    if (cap < head)
        return false;
    *w = (struct wire_writer){.buf = p, .cap = cap, .len = head, .body = head};
    memset(p, 0, head);
    p[0] = WIRE_VERSION;
    p[1] = rq->op;
    p[AT_FLAGS] = stamps ? WIRE_HAS_STAMPS : 0;
    put64(p + AT_TAG, rq->tag);
    return true;
}

/* Room for `len` more bytes, taken; or NULL. */
static uint8_t *grow(struct wire_writer *w, size_t len)
{
    uint8_t *at = w->buf + w->len;

    if (w->cap - w->len < len)
        return NULL;
    w->len += len;
    return at;
}

bool wire_add_bytes(struct wire_writer *w, const void *bytes, size_t len)
{
    uint8_t *p = grow(w, len);

    if (p != NULL && len > 0)
        memcpy(p, bytes, len);
    return p != NULL;
}

bool wire_add_u32(struct wire_writer *w, uint32_t v)
{
    uint8_t *p = grow(w, 4);

    if (p != NULL)
        put32(p, v);
    return p != NULL;
}

bool wire_add_u64(struct wire_writer *w, uint64_t v)
{
    uint8_t *p = grow(w, 8);

    if (p != NULL)
        put64(p, v);
    return p != NULL;
}

bool wire_add_event(struct wire_writer *w, const struct event *ev)
{
    uint8_t *p = grow(w, WIRE_EVENT_MIN + (size_t)ev->title_len);

    if (p == NULL)
        return false;
    put32(p, ev->id);
    put64(p + 4, ev->rev);
    put_time(p + 12, ev->start);
    put_time(p + 20, ev->end);
    p[28] = ev->title_len;
    memcpy(p + WIRE_EVENT_MIN, ev->title, ev->title_len);
    return true;
}

void wire_set_count(struct wire_writer *w, uint32_t count)
{
    if (w->len - w->body >= 4)
        put32(w->buf + w->body, count);
}

size_t wire_finish_reply(struct wire_writer *w, enum wire_status status,
                         bool more, uint64_t rev)
{
    uint8_t *p = w->buf;

    p[AT_STATUS] = (uint8_t)status;
    if (more)
        p[AT_FLAGS] |= WIRE_MORE;
    put64(p + AT_REV, rev);
    return w->len;
}

size_t wire_fail_reply(struct wire_writer *w, enum wire_status status,
                       uint64_t rev)
{
    const char *text = wire_status_text(status);

    w->len = w->body;
    /* Where the sentence doesn't fit, the status has to do. */
    (void)wire_add_bytes(w, text, strlen(text));
    return wire_finish_reply(w, status, false, rev);
}

void wire_set_stamps(void *reply, const struct wire_stamps *stamps)
{
    uint8_t *p = reply;

    if (!(p[AT_FLAGS] & WIRE_HAS_STAMPS))
        return;
    put64(p + WIRE_REPLY_MIN, stamps->received);
    put64(p + WIRE_REPLY_MIN + 8, stamps->handled);
    put64(p + WIRE_REPLY_MIN + 16, stamps->synced);
}

/* ---- replies: reading --------------------------------------------------- */

int wire_get_reply(struct wire_reply *rp, const void *buf, size_t len)
{
    const uint8_t *p = buf;
    size_t head = WIRE_REPLY_MIN;

    *rp = (struct wire_reply){0};
    if (len < head || p[0] != WIRE_VERSION)
        return -EPROTO;
    if (p[AT_FLAGS] & ~(WIRE_HAS_STAMPS | WIRE_MORE))
        return -EPROTO;
    rp->op = p[1];
    rp->status = p[AT_STATUS];
    rp->flags = p[AT_FLAGS];
    rp->tag = get64(p + AT_TAG);
    rp->rev = get64(p + AT_REV);
    if (rp->flags & WIRE_HAS_STAMPS) {
        if (len < head + WIRE_STAMPS_SIZE)
            return -EPROTO;
        rp->stamps.received = get64(p + head);
        rp->stamps.handled = get64(p + head + 8);
        rp->stamps.synced = get64(p + head + 16);
        head += WIRE_STAMPS_SIZE;
    }
    rp->body = p + head;
    rp->body_len = len - head;
    return 0;
}

/* The next `len` bytes of the body, or NULL. */
static const uint8_t *take(struct wire_reader *r, size_t len)
{
    const uint8_t *at = r->at;

    if ((size_t)(r->end - at) < len)
        return NULL;
    r->at += len;
    return at;
}

bool wire_read_u32(struct wire_reader *r, uint32_t *v)
{
    const uint8_t *p = take(r, 4);

    if (p != NULL)
        *v = get32(p);
    return p != NULL;
}

bool wire_read_u64(struct wire_reader *r, uint64_t *v)
{
    const uint8_t *p = take(r, 8);

    if (p != NULL)
        *v = get64(p);
    return p != NULL;
}

bool wire_read_event(struct wire_reader *r, struct event *ev,
                     char title[EVENT_TITLE_MAX + 1])
{
    const uint8_t *p = take(r, WIRE_EVENT_MIN);
    const uint8_t *text = p != NULL ? take(r, p[28]) : NULL;

    /* A NUL inside would make title and title_len disagree. */
    if (text == NULL || p[28] == 0 || memchr(text, 0, p[28]) != NULL)
        return false;
    memcpy(title, text, p[28]);
    title[p[28]] = '\0';
    *ev = (struct event){.id = get32(p),
                         .rev = get64(p + 4),
                         .start = get_time(p + 12),
                         .end = get_time(p + 20),
                         .title = title,
                         .title_len = p[28]};
    return true;
}

/*
 * fuzz_wire.c - requests and replies as bytes (common/wire.c)
 *
 * The input is taken for a request, for a reply, and for a supply of numbers
 * to make messages from:
 *   what was accepted re-encodes to the same bytes;
 *   what was encoded decodes to the same values;
 *   nothing is written that doesn't fit.
 */
#include "fuzz.h"

#include "wire.h"

#include <errno.h>
#include <stdlib.h>

#define BUF 8192 /* more than any input has */

/* ---- from bytes to values and back ---------------------------------------- */

static void as_request(const uint8_t *data, size_t size)
{
    static uint8_t out[BUF];
    struct wire_request rq;
    enum wire_status status = wire_get_request(&rq, data, size);

    MUST(status < WIRE_STATUS_END);
    MUST(wire_op_name(rq.op) != NULL);
    if (status != WIRE_OK || size > sizeof out)
        return;
    MUST(wire_put_request(out, size, &rq) == (ssize_t)size);
    MUST(memcmp(out, data, size) == 0);
    MUST(wire_put_request(out, size - 1, &rq) == -EMSGSIZE);
}

/* A body of events: each that was read is written as it was. */
static void as_events(const struct wire_reply *rp)
{
    struct wire_reader r = {rp->body, rp->body + rp->body_len};
    char title[EVENT_TITLE_MAX + 1];
    uint8_t out[WIRE_EVENT_MIN + EVENT_TITLE_MAX];
    uint32_t count;
    struct event ev;

    if (!wire_read_u32(&r, &count))
        return;
    for (const uint8_t *from = r.at; wire_read_event(&r, &ev, title);
         from = r.at) {
        struct wire_writer w = {.buf = out, .cap = sizeof out};

        MUST(r.at <= r.end && ev.title == title);
        MUST(strlen(title) == ev.title_len);
        MUST(wire_add_event(&w, &ev));
        MUST(w.len == (size_t)(r.at - from) && memcmp(out, from, w.len) == 0);
    }
}

static void as_reply(const uint8_t *data, size_t size)
{
    static uint8_t out[BUF];
    struct wire_reply rp;
    struct wire_writer w;

    if (wire_get_reply(&rp, data, size) < 0 || size > sizeof out)
        return;
    struct wire_request rq = {.op = rp.op, .tag = rp.tag};
    if (rp.flags & WIRE_HAS_STAMPS)
        rq.flags = WIRE_WANT_STAMPS;
    MUST(wire_start_reply(&w, out, size, &rq));
    MUST(wire_add_bytes(&w, rp.body, rp.body_len));
    MUST(!wire_add_bytes(&w, "", 1));
    MUST(wire_finish_reply(&w, rp.status, rp.flags & WIRE_MORE, rp.rev) ==
         size);
    wire_set_stamps(out, &rp.stamps);
    MUST(memcmp(out, data, size) == 0);
    as_events(&rp);
}

/* ---- from values to bytes and back ---------------------------------------- */

static struct wire_request make_request(struct supply *in)
{
    struct wire_request rq = {.op = (uint8_t)supply_byte(in),
                              .flags = supply_byte(in) & WIRE_WANT_STAMPS,
                              .tag = supply_number(in, 8),
                              .token = supply_number(in, 8),
                              .rev = supply_number(in, 8),
                              .id = (uint32_t)supply_number(in, 4),
                              .start = (int64_t)supply_number(in, 8),
                              .end = (int64_t)supply_number(in, 8),
                              .after_start = (int64_t)supply_number(in, 8),
                              .after_id = (uint32_t)supply_number(in, 4),
                              .limit = (uint32_t)supply_number(in, 4)};

    rq.op = (uint8_t)(1 + rq.op % (WIRE_OP_END - 1));
    rq.bytes = supply_bytes(in, SIZE_MAX, &rq.bytes_len);
    return rq;
}

/* Does the field belong to the operation? Then it must have survived. */
static void same_request(const struct wire_request *a,
                         const struct wire_request *b)
{
    bool add = a->op == WIRE_ADD, update = a->op == WIRE_UPDATE;
    bool change = add || update || a->op == WIRE_REMOVE;
    bool list = a->op == WIRE_LIST, page = list || a->op == WIRE_CONFLICTS;
    bool one = a->op == WIRE_GET || a->op == WIRE_CONFLICTS;

    MUST(a->op == b->op && a->flags == b->flags && a->tag == b->tag);
    MUST(b->token == (change ? a->token : 0));
    MUST(b->rev == (change && !add ? a->rev : 0));
    MUST(b->id == (one || (change && !add) ? a->id : 0));
    MUST(b->start == (add || update || list ? a->start : 0));
    MUST(b->end == (add || update || list ? a->end : 0));
    MUST(b->after_start == (page ? a->after_start : 0));
    MUST(b->after_id == (page ? a->after_id : 0));
    MUST(b->limit == (page ? a->limit : 0));
    if (add || update || a->op == WIRE_ECHO)
        MUST(a->bytes_len == b->bytes_len &&
             (a->bytes_len == 0 ||
              memcmp(a->bytes, b->bytes, a->bytes_len) == 0));
    else
        MUST(b->bytes_len == 0);
}

static void request_and_back(struct supply in)
{
    static uint8_t out[BUF];
    struct wire_request rq = make_request(&in), back;
    ssize_t n = wire_put_request(out, sizeof out, &rq);
    bool titled = rq.op == WIRE_ADD || rq.op == WIRE_UPDATE;

    if (n < 0) {
        MUST(n == -EMSGSIZE && rq.bytes_len > sizeof out / 2);
        return;
    }
    enum wire_status status = wire_get_request(&back, out, (size_t)n);
    if (titled && (rq.bytes_len < 1 || rq.bytes_len > EVENT_TITLE_MAX))
        MUST(status == WIRE_BAD_TITLE && back.tag == rq.tag);
    else
        MUST(status == WIRE_OK);
    if (status == WIRE_OK)
        same_request(&rq, &back);
}

/* What was put into a reply, to be looked for in what comes out. */
struct part {
    enum { U32, U64, EVENT } kind;
    uint64_t number;
    struct event ev;
    char title[EVENT_TITLE_MAX + 1];
};

static void make_part(struct part *p, struct supply *in)
{
    size_t len;
    const uint8_t *title;

    p->kind = supply_byte(in) % 3;
    p->number = supply_number(in, p->kind == U32 ? 4 : 8);
    p->ev = (struct event){.id = (uint32_t)supply_number(in, 4),
                           .rev = supply_number(in, 8),
                           .start = (int64_t)supply_number(in, 8),
                           .end = (int64_t)supply_number(in, 8),
                           .title = p->title};
    title = supply_bytes(in, supply_byte(in), &len);
    for (size_t i = 0; i < len; i++)
        p->title[i] = (char)(title[i] == 0 ? '0' : title[i]);
    if (len == 0)
        p->title[len++] = '-';
    p->title[len] = '\0';
    p->ev.title_len = (uint8_t)len;
}

static bool put_part(struct wire_writer *w, const struct part *p)
{
    if (p->kind == EVENT)
        return wire_add_event(w, &p->ev);
    return p->kind == U32 ? wire_add_u32(w, (uint32_t)p->number)
                          : wire_add_u64(w, p->number);
}

static void check_part(struct wire_reader *r, const struct part *p)
{
    char title[EVENT_TITLE_MAX + 1];
    uint32_t v32 = 0;
    uint64_t v64 = 0;
    struct event ev;

    if (p->kind == U32) {
        MUST(wire_read_u32(r, &v32) && v32 == p->number);
    } else if (p->kind == U64) {
        MUST(wire_read_u64(r, &v64) && v64 == p->number);
    } else {
        MUST(wire_read_event(r, &ev, title));
        MUST(ev.id == p->ev.id && ev.rev == p->ev.rev);
        MUST(ev.start == p->ev.start && ev.end == p->ev.end);
        MUST(strcmp(title, p->title) == 0);
    }
}

/* A reply of some parts into a buffer that may be too small for the last. */
static void reply_and_back(struct supply in)
{
    static struct part part[16];
    size_t cap = WIRE_REPLY_MIN + supply_number(&in, 2) % 1024, count = 0;
    uint8_t *out = malloc(cap); /* of this very size: nothing goes beyond */
    struct wire_request rq = {.op = WIRE_LIST,
                              .flags = supply_byte(&in) & WIRE_WANT_STAMPS,
                              .tag = supply_number(&in, 8)};
    struct wire_stamps stamps = {.received = rq.tag, .synced = cap};
    struct wire_writer w;
    struct wire_reply rp;

    MUST(out != NULL);
    if (!wire_start_reply(&w, out, cap, &rq)) {
        MUST(rq.flags != 0 && cap < WIRE_REPLY_MIN + WIRE_STAMPS_SIZE);
        free(out);
        return;
    }
    for (; count < 16 && supply_left(&in) > 0; count++) {
        size_t before = w.len;

        make_part(&part[count], &in);
        if (!put_part(&w, &part[count])) {
            MUST(w.len == before);
            break;
        }
    }
    MUST(wire_finish_reply(&w, WIRE_OK, count > 3, rq.tag) <= cap);
    wire_set_stamps(out, &stamps);
    MUST(wire_get_reply(&rp, out, w.len) == 0);
    MUST(rp.op == rq.op && rp.tag == rq.tag && rp.rev == rq.tag);
    MUST(!(rp.flags & WIRE_MORE) == (count <= 3));
    MUST(rp.stamps.synced == (rq.flags ? cap : 0));
    struct wire_reader r = {rp.body, rp.body + rp.body_len};
    for (size_t i = 0; i < count; i++)
        check_part(&r, &part[i]);
    MUST(r.at == r.end);
    MUST(wire_fail_reply(&w, WIRE_NOT_FOUND, 1) <= cap);
    MUST(wire_get_reply(&rp, out, w.len) == 0 && rp.status == WIRE_NOT_FOUND);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct supply in = {data, data + size};

    as_request(data, size);
    as_reply(data, size);
    request_and_back(in);
    reply_and_back(in);
    return 0;
}

/*
 * test_wire.c - the bytes of requests and replies
 *
 * Every message that is decoded here stands at the end of a block of exactly
 * its size: with SAN=address, reading one byte too far ends the test.
 */
#include "harness.h"
#include "random.h"
#include "wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* ---- helpers ------------------------------------------------------------ */

/* A copy of `len` bytes in a block of just that size; the caller frees it. */
static uint8_t *exact(const void *bytes, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);

    REQUIRE(copy != NULL);
    if (len > 0)
        memcpy(copy, bytes, len);
    return copy;
}

/* One request of each operation, with numbers that fill their fields. */
static const struct wire_request samples[] = {
    {.op = WIRE_PING, .tag = UINT64_MAX},
    {.op = WIRE_ECHO,
     .tag = 1,
     .bytes = (const uint8_t *)"a\0b",
     .bytes_len = 3},
    {.op = WIRE_ADD,
     .flags = WIRE_WANT_STAMPS,
     .tag = 0x1122334455667788,
     .token = 0xfedcba9876543210,
     .start = INT64_MIN,
     .end = INT64_MAX,
     .bytes = (const uint8_t *)"IPC",
     .bytes_len = 3},
    {.op = WIRE_GET, .tag = 2, .id = UINT32_MAX},
    {.op = WIRE_UPDATE,
     .tag = 3,
     .token = 4,
     .id = 0x80000001,
     .rev = 0x8000000000000001,
     .start = -1,
     .end = 1,
     .bytes = (const uint8_t *)"title",
     .bytes_len = 5},
    {.op = WIRE_REMOVE,
     .tag = 5,
     .token = UINT64_MAX,
     .id = 6,
     .rev = UINT64_MAX},
    {.op = WIRE_LIST,
     .flags = WIRE_WANT_STAMPS,
     .tag = 7,
     .start = -62135596800,
     .end = 253402300799,
     .after_start = -2,
     .after_id = 0xaabbccdd,
     .limit = 0xeeff0011},
    {.op = WIRE_CONFLICTS,
     .tag = 8,
     .id = 0x01020304,
     .after_start = INT64_MIN,
     .after_id = 9,
     .limit = 10},
    {.op = WIRE_STATS, .tag = 11},
};

/* How long each sample's message is, by the drawing in wire.h. */
static const size_t sample_sizes[COUNT(samples)] = {
    12, 12 + 3, 36 + 3, 16, 48 + 5, 32, 44, 32, 12};

static void expect_same(const struct wire_request *a,
                        const struct wire_request *b)
{
    EXPECT_INT(a->op, b->op);
    EXPECT_INT(a->flags, b->flags);
    EXPECT(a->tag == b->tag);
    EXPECT(a->token == b->token);
    EXPECT(a->rev == b->rev);
    EXPECT(a->id == b->id);
    EXPECT(a->start == b->start && a->end == b->end);
    EXPECT(a->after_start == b->after_start && a->after_id == b->after_id);
    EXPECT(a->limit == b->limit);
    REQUIRE(a->bytes_len == b->bytes_len);
    if (a->bytes_len > 0)
        EXPECT_BYTES(a->bytes, b->bytes, a->bytes_len);
}

/* ---- requests ----------------------------------------------------------- */

static void names(const void *arg)
{
    static const char *const ops[] = {"?",         "ping",   "echo",   "add",
                                      "get",       "update", "remove", "list",
                                      "conflicts", "stats",  "?"};

    (void)arg;
    for (unsigned op = 0; op <= WIRE_OP_END; op++)
        EXPECT_STR(ops[op], wire_op_name(op));
    EXPECT_STR("?", wire_op_name(UINT32_MAX));
    EXPECT_STR("not found", wire_status_text(WIRE_NOT_FOUND));
    for (unsigned i = 0; i < 300; i++)
        EXPECT(wire_status_text(i) != NULL && *wire_status_text(i) != '\0');
}

static void request_round_trip(const void *arg)
{
    (void)arg;
    for (size_t i = 0; i < COUNT(samples); i++) {
        size_t size = sample_sizes[i];
        uint8_t *buf = malloc(size);
        struct wire_request rq;

        REQUIRE(buf != NULL);
        EXPECT_INT((long long)size, wire_put_request(buf, size, &samples[i]));
        EXPECT_INT(WIRE_OK, wire_get_request(&rq, buf, size));
        expect_same(&samples[i], &rq);
        for (size_t cap = 0; cap < size; cap++)
            EXPECT_INT(-EMSGSIZE, wire_put_request(buf, cap, &samples[i]));
        free(buf);
    }
}

/* The drawing in wire.h, byte by byte: encoder and decoder could otherwise
 * agree on something else. */
static void request_bytes(const void *arg)
{
    static const struct wire_request update = {.op = WIRE_UPDATE,
                                               .flags = WIRE_WANT_STAMPS,
                                               .tag = 0x0807060504030201,
                                               .token = 0x1817161514131211,
                                               .id = 0x24232221,
                                               .rev = 0x3837363534333231,
                                               .start = -2,
                                               .end = 0x4847464544434241,
                                               .bytes =
                                                   (const uint8_t *)"\xc3\xa9",
                                               .bytes_len = 2};
    static const uint8_t update_bytes[] = {
        1,    5,    1,    0,    1,    2,    3,    4,    5,    6,
        7,    8,    0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18,
        0x21, 0x22, 0x23, 0x24, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36,
        0x37, 0x38, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0xc3, 0xa9};
    static const struct wire_request conflicts = {.op = WIRE_CONFLICTS,
                                                  .tag = 1,
                                                  .id = 0x14131211,
                                                  .after_start =
                                                      0x2827262524232221,
                                                  .after_id = 0x34333231,
                                                  .limit = 0x44434241};
    static const uint8_t conflicts_bytes[] = {
        1,    8,    0,    0,    1,    0,    0,    0,    0,    0,    0,
        0,    0x11, 0x12, 0x13, 0x14, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26,
        0x27, 0x28, 0x31, 0x32, 0x33, 0x34, 0x41, 0x42, 0x43, 0x44};
    static const struct wire_request list = {.op = WIRE_LIST,
                                             .tag = 0,
                                             .start = 0x1817161514131211,
                                             .end = 0x2827262524232221,
                                             .after_start = 0x3837363534333231,
                                             .after_id = 0x44434241,
                                             .limit = 0x54535251};
    static const uint8_t list_bytes[] = {
        1,    7,    0,    0,    0,    0,    0,    0,    0,    0,    0,
        0,    0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x21, 0x22,
        0x23, 0x24, 0x25, 0x26, 0x27, 0x28, 0x31, 0x32, 0x33, 0x34, 0x35,
        0x36, 0x37, 0x38, 0x41, 0x42, 0x43, 0x44, 0x51, 0x52, 0x53, 0x54};
    uint8_t buf[64];

    (void)arg;
    REQUIRE_INT(sizeof update_bytes,
                wire_put_request(buf, sizeof buf, &update));
    EXPECT_BYTES(update_bytes, buf, sizeof update_bytes);
    REQUIRE_INT(sizeof conflicts_bytes,
                wire_put_request(buf, sizeof buf, &conflicts));
    EXPECT_BYTES(conflicts_bytes, buf, sizeof conflicts_bytes);
    REQUIRE_INT(sizeof list_bytes, wire_put_request(buf, sizeof buf, &list));
    EXPECT_BYTES(list_bytes, buf, sizeof list_bytes);
}

/* What the first `len` bytes of a sample must decode to. */
static int status_of_cut(size_t i, size_t len)
{
    size_t front = sample_sizes[i] - samples[i].bytes_len;
    bool titled = samples[i].op == WIRE_ADD || samples[i].op == WIRE_UPDATE;

    if (len < front)
        return WIRE_BAD_REQUEST;
    return titled && len == front ? WIRE_BAD_TITLE : WIRE_OK;
}

static void request_truncated(const void *arg)
{
    uint8_t buf[64];

    (void)arg;
    for (size_t i = 0; i < COUNT(samples); i++) {
        ssize_t size = wire_put_request(buf, sizeof buf, &samples[i]);

        for (size_t len = 0; len < (size_t)size; len++) {
            uint8_t *cut = exact(buf, len);
            struct wire_request rq;

            EXPECT_INT(status_of_cut(i, len), wire_get_request(&rq, cut, len));
            EXPECT_INT(len >= 2 ? samples[i].op : 0, rq.op);
            EXPECT(rq.tag == (len >= 12 ? samples[i].tag : 0));
            free(cut);
        }
    }
}

static void request_refused(const void *arg)
{
    uint8_t buf[64] = {0};
    struct wire_request rq;

    (void)arg;
    for (size_t i = 0; i < COUNT(samples); i++) {
        size_t size = sample_sizes[i];

        (void)wire_put_request(buf, sizeof buf, &samples[i]);
        EXPECT_INT(samples[i].bytes_len > 0 ? WIRE_OK : WIRE_BAD_REQUEST,
                   wire_get_request(&rq, buf, size + 1));
        for (unsigned bit = 1; bit < 16; bit++) {
            buf[2 + bit / 8] ^= (uint8_t)(1u << bit % 8);
            EXPECT_INT(WIRE_BAD_REQUEST, wire_get_request(&rq, buf, size));
            buf[2 + bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        buf[0] = 2;
        EXPECT_INT(WIRE_BAD_VERSION, wire_get_request(&rq, buf, size));
        EXPECT_INT(samples[i].op, rq.op);
        EXPECT(rq.tag == samples[i].tag);
        EXPECT_INT(WIRE_BAD_VERSION, wire_get_request(&rq, buf, 1));
    }
    buf[0] = 1;
    for (unsigned op = 0; op < 256; op++) {
        buf[1] = (uint8_t)op;
        if (op == 0 || op >= WIRE_OP_END)
            EXPECT_INT(WIRE_BAD_OP, wire_get_request(&rq, buf, 12));
    }
    EXPECT_INT(WIRE_BAD_REQUEST, wire_get_request(&rq, NULL, 0));
}

static void title_limits(const void *arg)
{
    static const uint8_t ops[] = {WIRE_ADD, WIRE_UPDATE, WIRE_ECHO};
    uint8_t text[300];
    uint8_t buf[400];

    (void)arg;
    memset(text, 'x', sizeof text);
    for (size_t i = 0; i < COUNT(ops); i++)
        for (size_t len = 0; len <= sizeof text; len++) {
            struct wire_request rq = {
                .op = ops[i], .bytes = text, .bytes_len = len};
            bool ok = ops[i] == WIRE_ECHO || (len >= 1 && len <= 255);
            ssize_t n = wire_put_request(buf, sizeof buf, &rq);
            struct wire_request got;

            REQUIRE(n > 0);
            EXPECT_INT(ok ? WIRE_OK : WIRE_BAD_TITLE,
                       wire_get_request(&got, buf, (size_t)n));
        }
}

/* ---- replies ------------------------------------------------------------ */

static const struct event lesson = {.id = 0x04030201,
                                    .rev = 0x1817161514131211,
                                    .start = -3,
                                    .end = 0x2827262524232221,
                                    .title = "IPC",
                                    .title_len = 3};

static const struct wire_stamps stamps = {1, 0x8000000000000000, UINT64_MAX};

/* A reply to get, with stamps: its length. */
static size_t get_reply(uint8_t *buf, size_t cap)
{
    struct wire_request rq = {
        .op = WIRE_GET, .flags = WIRE_WANT_STAMPS, .tag = 0x0807060504030201};
    struct wire_writer w;
    size_t len;

    REQUIRE(wire_start_reply(&w, buf, cap, &rq));
    REQUIRE(wire_add_event(&w, &lesson));
    len = wire_finish_reply(&w, WIRE_OK, true, 0x3837363534333231);
    wire_set_stamps(buf, &stamps);
    return len;
}

static void reply_bytes(const void *arg)
{
    static const uint8_t expected[] = {
        1,    4,    0,    3,    1,    2,    3,    4,    5,    6,    7,
        8,    0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 1,    0,
        0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,
        0,    0,    0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        1,    2,    3,    4,    0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17,
        0x18, 0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x21, 0x22,
        0x23, 0x24, 0x25, 0x26, 0x27, 0x28, 3,    'I',  'P',  'C'};
    uint8_t buf[128];

    (void)arg;
    REQUIRE_INT(sizeof expected, (long long)get_reply(buf, sizeof buf));
    EXPECT_BYTES(expected, buf, sizeof expected);
}

static void reply_round_trip(const void *arg)
{
    uint8_t buf[128];
    size_t len = get_reply(buf, sizeof buf);
    char title[EVENT_TITLE_MAX + 1];
    struct wire_reader r;
    struct wire_reply rp;
    struct event ev;

    (void)arg;
    REQUIRE_INT(0, wire_get_reply(&rp, buf, len));
    EXPECT_INT(WIRE_GET, rp.op);
    EXPECT_INT(WIRE_OK, rp.status);
    EXPECT_INT(WIRE_HAS_STAMPS | WIRE_MORE, rp.flags);
    EXPECT(rp.tag == 0x0807060504030201 && rp.rev == 0x3837363534333231);
    EXPECT(rp.stamps.received == 1 && rp.stamps.synced == UINT64_MAX);
    r = (struct wire_reader){rp.body, rp.body + rp.body_len};
    REQUIRE(wire_read_event(&r, &ev, title));
    EXPECT(r.at == r.end);
    EXPECT(ev.id == lesson.id && ev.rev == lesson.rev);
    EXPECT(ev.start == lesson.start && ev.end == lesson.end);
    EXPECT_STR("IPC", ev.title);
    EXPECT_INT(3, ev.title_len);
}

static void reply_truncated(const void *arg)
{
    uint8_t buf[128];
    size_t size = get_reply(buf, sizeof buf);

    (void)arg;
    for (size_t len = 0; len < size; len++) {
        uint8_t *cut = exact(buf, len);
        char title[EVENT_TITLE_MAX + 1];
        struct wire_reader r;
        struct wire_reply rp;
        struct event ev;

        EXPECT_INT(len < 44 ? -EPROTO : 0, wire_get_reply(&rp, cut, len));
        r = (struct wire_reader){rp.body, rp.body + rp.body_len};
        if (len >= 44)
            EXPECT(!wire_read_event(&r, &ev, title));
        free(cut);
    }
}

static void reply_refused(const void *arg)
{
    uint8_t buf[128];
    size_t len = get_reply(buf, sizeof buf);
    char title[EVENT_TITLE_MAX + 1];
    struct wire_reader r;
    struct wire_reply rp;
    struct event ev;

    (void)arg;
    for (unsigned bit = 2; bit < 8; bit++) {
        buf[3] ^= (uint8_t)(1u << bit);
        EXPECT_INT(-EPROTO, wire_get_reply(&rp, buf, len));
        buf[3] ^= (uint8_t)(1u << bit);
    }
    buf[45 + 28] = '\0'; /* a NUL within the title */
    r = (struct wire_reader){buf + 44, buf + len};
    EXPECT(!wire_read_event(&r, &ev, title));
    buf[44 + 28] = 0; /* no title at all */
    r = (struct wire_reader){buf + 44, buf + len};
    EXPECT(!wire_read_event(&r, &ev, title));
    buf[0] = 0;
    EXPECT_INT(-EPROTO, wire_get_reply(&rp, buf, len));
}

/* A list reply of every size: what fits is whole, what doesn't leaves no
 * trace, and nothing is written behind the end. */
static void reply_full(const void *arg)
{
    struct wire_request rq = {.op = WIRE_LIST};

    (void)arg;
    for (size_t cap = 0; cap < 300; cap++) {
        uint8_t *buf = malloc(cap + 1);
        struct wire_writer w;
        uint32_t count = 0;

        REQUIRE(buf != NULL);
        buf[cap] = 0x5a;
        EXPECT(wire_start_reply(&w, buf, cap, &rq) == (cap >= 20));
        if (cap >= 20 && wire_add_u32(&w, 0)) {
            while (wire_add_event(&w, &lesson))
                count++;
            EXPECT(!wire_add_event(&w, &lesson));
            wire_set_count(&w, count);
            EXPECT_INT((long long)(cap - 24) / 32, count);
            EXPECT_INT(24 + 32 * (long long)count,
                       (long long)wire_finish_reply(&w, WIRE_OK, true, 1));
            EXPECT_INT((long long)count, buf[20]);
        }
        EXPECT_INT(0x5a, buf[cap]);
        free(buf);
    }
}

static void reply_failed(const void *arg)
{
    struct wire_request rq = {.op = WIRE_LIST, .tag = 3};
    const char *text = wire_status_text(WIRE_TOO_BIG);
    uint8_t buf[100];
    struct wire_writer w;
    struct wire_reply rp;
    size_t len;

    (void)arg;
    REQUIRE(wire_start_reply(&w, buf, sizeof buf, &rq));
    EXPECT(wire_add_bytes(&w, "left over", 9));
    len = wire_fail_reply(&w, WIRE_TOO_BIG, 4);
    REQUIRE_INT(0, wire_get_reply(&rp, buf, len));
    EXPECT_INT(WIRE_TOO_BIG, rp.status);
    EXPECT(rp.tag == 3 && rp.rev == 4);
    REQUIRE(rp.body_len == strlen(text));
    EXPECT_BYTES(text, rp.body, rp.body_len);
    /* No room for the sentence: the status alone. */
    REQUIRE(wire_start_reply(&w, buf, 21, &rq));
    EXPECT_INT(20, (long long)wire_fail_reply(&w, WIRE_TOO_BIG, 4));
    EXPECT_INT(WIRE_TOO_BIG, buf[2]);
}

/* Stamps belong only where room was made for them. */
static void stamps_not_asked(const void *arg)
{
    struct wire_request rq = {.op = WIRE_ECHO};
    uint8_t buf[100];
    struct wire_writer w;
    struct wire_reply rp;

    (void)arg;
    REQUIRE(wire_start_reply(&w, buf, sizeof buf, &rq));
    EXPECT(wire_add_bytes(&w, "payload", 7));
    EXPECT_INT(27, (long long)wire_finish_reply(&w, WIRE_OK, false, 0));
    wire_set_stamps(buf, &stamps);
    REQUIRE_INT(0, wire_get_reply(&rp, buf, 27));
    EXPECT_INT(0, rp.flags);
    EXPECT(rp.stamps.received == 0);
    EXPECT_BYTES("payload", rp.body, 7);
}

/* ---- noise -------------------------------------------------------------- */

static void decode_request(const uint8_t *msg, size_t len)
{
    uint8_t again[64];
    struct wire_request rq;
    enum wire_status status = wire_get_request(&rq, msg, len);

    if (status != WIRE_OK)
        return;
    /* What was accepted means exactly these bytes. */
    EXPECT(rq.bytes_len == 0 ||
           (rq.bytes > msg && rq.bytes + rq.bytes_len == msg + len));
    REQUIRE_INT((long long)len, wire_put_request(again, sizeof again, &rq));
    EXPECT_BYTES(again, msg, len);
}

static void decode_reply(const uint8_t *msg, size_t len)
{
    char title[EVENT_TITLE_MAX + 1];
    struct wire_reader r;
    struct wire_reply rp;
    struct event ev;
    uint64_t u64;
    uint32_t u32;

    if (wire_get_reply(&rp, msg, len) < 0)
        return;
    r = (struct wire_reader){rp.body, rp.body + rp.body_len};
    while (wire_read_event(&r, &ev, title))
        EXPECT(strlen(title) == ev.title_len);
    r = (struct wire_reader){rp.body, rp.body + rp.body_len};
    while (wire_read_u32(&r, &u32) && wire_read_u64(&r, &u64))
        ;
    EXPECT(r.end - r.at < 12); /* a reader stops only at the end */
}

static void noise(const void *arg)
{
    uint64_t state = 0x9e3779b97f4a7c15;

    (void)arg;
    for (int i = 0; i < 1000000; i++) {
        size_t len = random_next(&state) % 64;
        uint8_t *msg = malloc(len > 0 ? len : 1);

        REQUIRE(msg != NULL);
        for (size_t at = 0; at < len; at++)
            msg[at] = (uint8_t)(random_next(&state) >> 32);
        /* Most noise fails at its first byte: let more of it come further. */
        if (i % 4 != 0 && len >= 4) {
            msg[0] = WIRE_VERSION;
            msg[1] %= WIRE_OP_END;
            msg[2] &= 1;
            msg[3] = i % 4 == 1 ? 0 : msg[3] & 3;
        }
        if (i % 8 == 7 && len > 48)
            msg[48] %= 16; /* the length of a title */
        decode_request(msg, len);
        decode_reply(msg, len);
        free(msg);
    }
    EXPECT(state != 0);
}

/* ---- the suite ---------------------------------------------------------- */

static const struct test_case cases[] = {
    {.name = "names", .run = names},
    {.name = "request/round-trip", .run = request_round_trip},
    {.name = "request/bytes", .run = request_bytes},
    {.name = "request/truncated", .run = request_truncated},
    {.name = "request/refused", .run = request_refused},
    {.name = "request/title-limits", .run = title_limits},
    {.name = "reply/bytes", .run = reply_bytes},
    {.name = "reply/round-trip", .run = reply_round_trip},
    {.name = "reply/truncated", .run = reply_truncated},
    {.name = "reply/refused", .run = reply_refused},
    {.name = "reply/full", .run = reply_full},
    {.name = "reply/failed", .run = reply_failed},
    {.name = "reply/stamps-not-asked", .run = stamps_not_asked},
    {.name = "noise", .run = noise, .seconds = 60},
};

static const struct test_suite suite = {
    .name = "wire", .cases = cases, .count = COUNT(cases)};

int main(int argc, char **argv)
{
    return harness_main(argc, argv, &suite);
}

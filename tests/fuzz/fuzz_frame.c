/*
 * fuzz_frame.c - messages over a byte stream (common/frame.c)
 *
 * The input says which bytes are sent: whole messages through frame_send, and
 * anything else; and in which pieces they arrive. Whatever the pieces, what
 * frame_recv gives must be what a reader gets that sees all bytes at once.
 */
#define _GNU_SOURCE /* pipe2 */
#include "fuzz.h"

#include "bytes.h"
#include "frame.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define STREAM  16384 /* bytes of a stream at most: less than a pipe holds */
#define MESSAGE 2048

/* ---- the stream ------------------------------------------------------------ */

static uint8_t stream[STREAM];
static size_t stream_len;

/* A message through frame_send: it must be its length, then its bytes. */
static void add_message(struct frame_conn *c, size_t len, unsigned fill)
{
    static uint8_t payload[MESSAGE];
    uint8_t *at = stream + stream_len;

    memset(payload, (int)fill, len);
    MUST(frame_send(c, payload, len, 0) == 0);
    MUST(read(c->in, at, FRAME_HEAD + len) == (ssize_t)(FRAME_HEAD + len));
    MUST(get32(at) == len && memcmp(at + FRAME_HEAD, payload, len) == 0);
    stream_len += FRAME_HEAD + len;
}

/* Fills the stream as the first half of the input says. */
static void make_stream(struct frame_conn *c, struct supply *in)
{
    stream_len = 0;
    while (supply_left(in) > 0 && STREAM - stream_len > MESSAGE + FRAME_HEAD) {
        unsigned what = supply_byte(in);
        const uint8_t *raw;
        size_t len;

        if (what < 0x40) { /* short messages more often than long ones */
            add_message(c, 1 + what, supply_byte(in));
        } else if (what < 0x60) {
            add_message(c, 1 + supply_number(in, 2) % MESSAGE, what);
        } else {
            raw = supply_bytes(in, what - 0x5f, &len);
            memcpy(stream + stream_len, raw, len);
            stream_len += len;
        }
    }
}

/* ---- what a reader of it must get ------------------------------------------ */

struct reader {
    size_t at; /* in the stream */
    size_t max_msg, cap;
};

/* The next result, when the stream up to `end` has arrived. */
static ssize_t expected(struct reader *r, size_t end, const uint8_t **message)
{
    size_t left = end - r->at, len;

    if (left < FRAME_HEAD)
        return -EAGAIN;
    len = get32(stream + r->at);
    if (len == 0 || len > r->max_msg)
        return -EPROTO;
    if (left - FRAME_HEAD < len)
        return -EAGAIN;
    *message = stream + r->at + FRAME_HEAD;
    r->at += FRAME_HEAD + len;
    return len <= r->cap ? (ssize_t)len : -EMSGSIZE;
}

/* Takes all that has arrived; false when the stream is out of step. */
static bool take_all(struct frame_conn *c, struct reader *r, size_t end)
{
    static uint8_t buf[MESSAGE];
    const uint8_t *message = NULL;
    size_t before;
    ssize_t n, want;

    do {
        before = r->at;
        want = expected(r, end, &message);
        n = frame_recv(c, buf, r->cap);
        /* One call makes one read(2): it may need another one. */
        for (int i = 0; n == -EAGAIN && want != -EAGAIN && i < 2; i++)
            n = frame_recv(c, buf, r->cap);
        MUST(n == want);
        if (n > 0)
            MUST(memcmp(buf, message, (size_t)n) == 0);
    } while (r->at > before);
    return n != -EPROTO;
}

static void deliver(struct frame_conn *c, int to, struct supply *in)
{
    struct reader r = {.max_msg = c->max_msg};
    size_t sent = 0;
    bool good = true;

    r.cap = 1 + supply_number(in, 1) * 8 % MESSAGE;
    while (good && sent < stream_len) {
        size_t piece = supply_left(in) > 0 ? 1 + supply_byte(in) : stream_len;

        if (piece > stream_len - sent)
            piece = stream_len - sent;
        MUST(write(to, stream + sent, piece) == (ssize_t)piece);
        sent += piece;
        good = take_all(c, &r, sent);
    }
    (void)close(to); /* the end of the stream */
    if (good)
        MUST(frame_recv(c, stream, r.cap) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct supply in = {data, data + size}, first;
    size_t max_msg = 1 + supply_number(&in, 2) % MESSAGE;
    struct frame_conn out, c;
    int a[2], b[2];

    first = (struct supply){in.at, in.at + supply_left(&in) * 2 / 3};
    in.at = first.end;
    MUST(pipe2(a, O_NONBLOCK | O_CLOEXEC) == 0);
    MUST(pipe2(b, O_NONBLOCK | O_CLOEXEC) == 0);
    MUST(frame_open(&out, a[0], a[1], MESSAGE) == 0);
    MUST(frame_open(&c, b[0], dup(a[1]), max_msg) == 0);
    make_stream(&out, &first);
    deliver(&c, b[1], &in);
    frame_close(&c);
    frame_close(&out);
    return 0;
}

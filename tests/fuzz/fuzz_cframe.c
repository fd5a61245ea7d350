/*
 * fuzz_cframe.c - frames among garbage (common/cframe.c)
 *
 * Several writers share one FIFO. The input says who writes what: honest
 * frames, each by one write; damaged ones; any bytes at all; and when the
 * reader takes some. Every honest frame must arrive, whole and in order. What
 * arrives beside them must have been written, with right checksums.
 */
#define _GNU_SOURCE /* pipe2, memmem */
#include "fuzz.h"

#include "bytes.h"
#include "cframe.h"
#include "crc32.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define FRAMES 64
#define STREAM (FRAMES * (2 * PIPE_BUF))

static struct {
    uint8_t bytes[STREAM]; /* all that was written */
    size_t len;
    struct {
        size_t at, len;    /* of an honest frame in `bytes`, of its payload */
    } honest[FRAMES + 1];  /* the last one stays empty */
    unsigned count, taken; /* honest frames written, and arrived */
    int fd;
    struct cframe_in in;
} s;

/* ---- writing ---------------------------------------------------------------- */

/* One write, which is all or nothing up to PIPE_BUF bytes: pipe(7). */
static bool put(const uint8_t *bytes, size_t len)
{
    ssize_t n;

    if (len == 0 || len > STREAM - s.len)
        return false;
    n = write(s.fd, bytes, len);
    MUST(n == (ssize_t)len || (n < 0 && errno == EAGAIN));
    if (n < 0)
        return false; /* the pipe is full */
    memcpy(s.bytes + s.len, bytes, len);
    s.len += len;
    return true;
}

static size_t make_frame(struct supply *in, uint8_t frame[PIPE_BUF],
                         size_t *payload_len)
{
    static uint8_t payload[CFRAME_MAX];
    struct cframe f = {.slot = supply_byte(in) % TP_CLIENTS_MAX,
                       .generation = (uint32_t)supply_number(in, 2)};
    unsigned fill = supply_byte(in);

    /* Few are long: checksums are most of what a run of this costs. */
    f.len = 1 + (fill % 16 != 0 ? fill / 4 : supply_number(in, 2) % CFRAME_MAX);
    memset(payload, (int)fill, f.len);
    *payload_len = f.len;
    return cframe_put(frame, &f, payload);
}

static void put_honest(struct supply *in)
{
    uint8_t frame[PIPE_BUF];
    size_t at = s.len, payload, len = make_frame(in, frame, &payload);

    if (s.count == FRAMES || !put(frame, len))
        return;
    s.honest[s.count].at = at;
    s.honest[s.count++].len = payload;
}

/* A frame with one byte changed, or cut at its front or back; or with a lie
 * in its head whose checksum is right. */
static void put_damaged(struct supply *in)
{
    uint8_t frame[PIPE_BUF];
    size_t ignored, len = make_frame(in, frame, &ignored);
    unsigned how = supply_byte(in);
    size_t where = supply_number(in, 2);

    if (how % 8 == 0) {
        (void)put(frame, where % len);
    } else if (how % 8 == 1) {
        (void)put(frame + where % len, len - where % len);
    } else if (how % 8 <= 3) {
        frame[where % len] ^= (uint8_t)(1 + how / 8);
        (void)put(frame, len);
    } else { /* the length, the slot */
        put16(frame + (how % 8 <= 5 ? 4 : 6), (uint16_t)where);
        put32(frame + 16, crc32_of(frame, 16));
        (void)put(frame, len);
    }
}

static void put_raw(struct supply *in, size_t len)
{
    size_t got;
    const uint8_t *raw = supply_bytes(in, len, &got);

    (void)put(raw, got);
}

/* ---- reading ---------------------------------------------------------------- */

/* Is this the next honest frame? */
static bool is_next(const struct cframe *f, const uint8_t *payload)
{
    const uint8_t *frame = s.bytes + s.honest[s.taken].at;

    return s.taken < s.count && s.honest[s.taken].len == f->len &&
           get16(frame + 6) == f->slot && get32(frame + 8) == f->generation &&
           memcmp(frame + CFRAME_HEAD, payload, f->len) == 0;
}

/* If it isn't, it must be one that somebody wrote. */
static void check_frame(const struct cframe *f, const uint8_t *payload)
{
    uint8_t frame[PIPE_BUF];

    MUST(f->slot < TP_CLIENTS_MAX && f->len >= 1 && f->len <= CFRAME_MAX);
    if (is_next(f, payload)) {
        s.taken++;
        return;
    }
    (void)cframe_put(frame, f, payload);
    MUST(memmem(s.bytes, s.len, frame, 16) != NULL);
}

/* Up to `most` frames: false when there is nothing more. */
static bool take_frames(unsigned most, size_t cap)
{
    static uint8_t buf[CFRAME_MAX];

    while (most > 0) {
        struct cframe f;
        int found = cframe_find(&s.in, &f);

        MUST(found == 1 || found == 0 || found == -EPROTO);
        if (found == -EPROTO)
            continue; /* it says so once: ask again */
        if (found == 0) {
            MUST(s.in.len == 0);
            if (cframe_is_empty(&s.in))
                return false;
            MUST(cframe_fill(&s.in) > 0);
            continue;
        }
        most--;
        /* It stays until it is taken, so the payload may be looked at here. */
        check_frame(&f, s.in.buf + s.in.at + CFRAME_HEAD);
        ssize_t n = cframe_take(&s.in, &f, buf, cap);
        MUST(n == (f.len <= cap ? (ssize_t)f.len : -EMSGSIZE));
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct supply in = {data, data + size};
    static int fds[2]; /* used again and again: it ends up empty each time */

    if (fds[1] == 0)
        MUST(pipe2(fds, O_NONBLOCK | O_CLOEXEC) == 0);
    s.len = s.count = s.taken = 0;
    s.in.fd = fds[0];
    s.in.at = s.in.len = 0;
    s.in.garbage = false;
    s.fd = fds[1];
    while (supply_left(&in) > 0) {
        unsigned what = supply_byte(&in);

        if (what < 0x50)
            put_honest(&in);
        else if (what < 0x80)
            put_damaged(&in);
        else if (what < 0xc0)
            put_raw(&in, what - 0x7f);
        else
            (void)take_frames(what & 7, what & 8 ? CFRAME_MAX : 100);
    }
    while (take_frames(FRAMES, CFRAME_MAX))
        ;
    MUST(s.taken == s.count);
    return 0;
}

/*
 * frame.h - whole messages over a byte stream
 *
 * A pipe and a stream socket carry bytes, not messages: two writes may be read
 * as one, one write as two. So each message goes behind its length:
 *
 *      +----+----+----+----+------------------------+
 *      | length, little-endian | length bytes ...   |
 *      +----+----+----+----+------------------------+
 *
 * What one read(2) brings may end in the middle of a frame, or hold several:
 * it is kept in a buffer until it is taken, frame by frame. A length of 0 or
 * above max_msg means that the stream is out of step for good.
 */
#ifndef IPCLAB_FRAME_H
#define IPCLAB_FRAME_H

#include "wait.h"

#define FRAME_HEAD 4 /* bytes of the length */

struct frame_conn {
    int in;              /* owned */
    struct wait_out out; /* owned; a socket has the same number here */
    size_t max_msg;      /* bytes */
    uint8_t *buf;        /* owned; FRAME_HEAD + max_msg bytes */
    size_t at, len; /* buf[at .. at + len) has arrived, not yet been taken */
    bool broken;    /* a frame was cut short: nothing more can be sent */
};

/* Takes over both descriptors when it succeeds: 0 or -ENOMEM. */
int frame_open(struct frame_conn *c, int in, int out, size_t max_msg);
void frame_close(struct frame_conn *c); /* also one that is all zero */
bool frame_is_open(const struct frame_conn *c);

/*
 * The next message, with at most one read(2): its length; 0 end of stream;
 * -EAGAIN nothing whole yet; -EINTR; -EMSGSIZE it is longer than cap, and
 * skipped; -EPROTO impossible length: close the stream.
 */
ssize_t frame_recv(struct frame_conn *c, void *buf, size_t cap);

/* The same, but waits for it as `w` says. */
ssize_t frame_await(struct frame_conn *c, struct wait *w, void *buf,
                    size_t cap);

/* True when a whole message lies in the buffer already. */
bool frame_ready(const struct frame_conn *c);

/* Send one message: 0; -ETIMEDOUT, -EINTR before its first byte; -EPIPE when
 * the peer has gone or when the deadline cut it short. */
int frame_send(struct frame_conn *c, const void *buf, size_t len, int ms);

#endif

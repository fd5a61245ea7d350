/*
 * frame.c - see frame.h
 */
#include "frame.h"
#include "bytes.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

int frame_open(struct frame_conn *c, int in, int out, size_t max_msg)
{
    *c = (struct frame_conn){.in = in, .out.fd = out, .max_msg = max_msg};
    c->buf = malloc(FRAME_HEAD + max_msg);
    return c->buf ? 0 : -ENOMEM;
}

bool frame_is_open(const struct frame_conn *c)
{
    return c->buf != NULL;
}

void frame_close(struct frame_conn *c)
{
    if (!c->buf)
        return;
    close(c->in);
    if (c->out.fd != c->in)
        close(c->out.fd);
    free(c->buf);
    *c = (struct frame_conn){0};
}

/* ---- receiving ---------------------------------------------------------- */

/* Length of the frame at the front, 0 while its head isn't all there. */
static size_t front_length(const struct frame_conn *c)
{
    return c->len < FRAME_HEAD ? 0 : get32(c->buf + c->at);
}

bool frame_ready(const struct frame_conn *c)
{
    return c->len >= FRAME_HEAD && c->len - FRAME_HEAD >= front_length(c);
}

/* The message at the front, without reading. */
static ssize_t take(struct frame_conn *c, void *buf, size_t cap)
{
    size_t len = front_length(c);
    bool fits = len <= cap;

    if (c->len >= FRAME_HEAD && (len == 0 || len > c->max_msg))
        return -EPROTO;
    if (!frame_ready(c))
        return -EAGAIN;
    if (fits)
        memcpy(buf, c->buf + c->at + FRAME_HEAD, len);
    c->at += FRAME_HEAD + len;
    c->len -= FRAME_HEAD + len;
    return fits ? (ssize_t)len : -EMSGSIZE;
}

/* One read, behind what is there already: its result. */
static ssize_t fill(struct frame_conn *c)
{
    size_t size = FRAME_HEAD + c->max_msg;
    ssize_t n;

    if (c->at) { /* the buffer holds one frame only if it starts at its front */
        memmove(c->buf, c->buf + c->at, c->len);
        c->at = 0;
    }
    n = read(c->in, c->buf + c->len, size - c->len);
    if (n > 0)
        c->len += (size_t)n;
    return n >= 0 ? n : -errno;
}

ssize_t frame_recv(struct frame_conn *c, void *buf, size_t cap)
{
    ssize_t n = take(c, buf, cap);

    if (n != -EAGAIN)
        return n;
    n = fill(c);
    if (n == -ECONNRESET)
        return 0; /* it left without reading all we sent (unix(7)) */
    return n > 0 ? take(c, buf, cap) : n;
}

ssize_t frame_await(struct frame_conn *c, struct wait *w, void *buf, size_t cap)
{
    ssize_t n = -EAGAIN;
    int err;

    if (frame_ready(c)) /* poll(2) doesn't know what we have read already */
        return take(c, buf, cap);
    while (n == -EAGAIN) {
        err = wait_fd(w, c->in, POLLIN, false);
        if (err)
            return err;
        n = frame_recv(c, buf, cap);
    }
    return n;
}

/* ---- sending ------------------------------------------------------------ */

/* One attempt to write what is left; with a deadline it must not block. A
 * socket can be told so call by call, a pipe only by O_NONBLOCK. The number of
 * bytes written, or -errno. */
static ssize_t write_some(struct frame_conn *c, struct iovec v[2], int ms)
{
    struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};
    ssize_t n;

    if (c->in == c->out.fd) {
        n = sendmsg(c->in, &m, MSG_NOSIGNAL | (ms < 0 ? 0 : MSG_DONTWAIT));
    } else {
        int err = wait_out_for(&c->out, ms);

        if (err)
            return err;
        n = writev(c->out.fd, v, 2);
    }
    return n >= 0 ? n : -errno;
}

/* Moves the front of the list of pieces behind the `done` bytes. */
static void advance(struct iovec v[2], size_t done)
{
    for (int i = 0; i < 2; i++) {
        size_t part = done < v[i].iov_len ? done : v[i].iov_len;

        v[i].iov_base = (uint8_t *)v[i].iov_base + part;
        v[i].iov_len -= part;
        done -= part;
    }
}

int frame_send(struct frame_conn *c, const void *buf, size_t len, int ms)
{
    uint8_t head[FRAME_HEAD];
    struct iovec v[2] = {{head, FRAME_HEAD}, {(void *)buf, len}};
    size_t left = FRAME_HEAD + len;
    struct wait_room room = {.ms = ms};
    int err = 0;

    if (c->broken)
        return -EPIPE;
    put32(head, (uint32_t)len);
    while (left) {
        ssize_t n = write_some(c, v, ms);

        if (n >= 0) {
            left -= (size_t)n;
            advance(v, (size_t)n);
            continue;
        }
        err = (int)n;
        if (err == -EAGAIN)
            err = wait_for_room(&room, c->out.fd);
        if (err == -EINTR && left < FRAME_HEAD + len)
            err = 0; /* begun: it has to be finished */
        if (err)
            break;
    }
    if (left && left < FRAME_HEAD + len)
        c->broken = true;
    if (!left)
        return 0;
    if (err != -ETIMEDOUT && err != -EINTR)
        c->broken = true; /* EPIPE, ECONNRESET, ENOBUFS: it is of no use now */
    return c->broken ? -EPIPE : err;
}

/*
 * cframe.c - see cframe.h
 *
 * It needs _DEFAULT_SOURCE for FIONREAD in <sys/ioctl.h>.
 */
#define _DEFAULT_SOURCE
#include "cframe.h"
#include "bytes.h"
#include "crc32.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define MAGIC 0x46435049u /* "IPCF" */

size_t cframe_put(uint8_t out[PIPE_BUF], const struct cframe *f,
                  const void *payload)
{
    put32(out, MAGIC);
    put16(out + 4, (uint16_t)f->len);
    put16(out + 6, (uint16_t)f->slot);
    put32(out + 8, f->generation);
    put32(out + 12, crc32_of(payload, f->len));
    put32(out + 16, crc32_of(out, 16));
    memcpy(out + CFRAME_HEAD, payload, f->len);
    put32(out + CFRAME_HEAD + f->len, ~MAGIC);
    return CFRAME_HEAD + f->len + CFRAME_TAIL;
}

enum front { WHOLE, UNFINISHED, GARBAGE };

/* What is at the front of the buffer? */
static enum front look_at_front(const struct cframe_in *in, struct cframe *f)
{
    const uint8_t *p = in->buf + in->at;

    if (in->len >= 4 && get32(p) != MAGIC)
        return GARBAGE;
    if (in->len < CFRAME_HEAD)
        return UNFINISHED;
    f->len = get16(p + 4);
    f->slot = get16(p + 6);
    f->generation = get32(p + 8);
    if (get32(p + 16) != crc32_of(p, 16) || f->slot >= TP_CLIENTS_MAX ||
        f->len == 0 || f->len > CFRAME_MAX)
        return GARBAGE;
    if (in->len < CFRAME_HEAD + f->len + CFRAME_TAIL)
        return UNFINISHED;
    return get32(p + CFRAME_HEAD + f->len) == ~MAGIC &&
                   get32(p + 12) == crc32_of(p + CFRAME_HEAD, f->len)
               ? WHOLE
               : GARBAGE;
}

static void skip(struct cframe_in *in, size_t n)
{
    in->at += n;
    in->len -= n;
}

ssize_t cframe_fill(struct cframe_in *in)
{
    ssize_t n;

    if (in->at) {
        memmove(in->buf, in->buf + in->at, in->len);
        in->at = 0;
    }
    n = read(in->fd, in->buf + in->len, CFRAME_BUF - in->len);
    if (n > 0)
        in->len += (size_t)n;
    return n >= 0 ? n : -errno;
}

bool cframe_is_empty(const struct cframe_in *in)
{
    int n = 0;

    return ioctl(in->fd, FIONREAD, &n) < 0 || n == 0;
}

/*
 * The beginning of a frame whose rest isn't in the stream at this moment is
 * garbage: it will never be finished, and to wait for its rest would take the
 * next honest frame for it.
 */
int cframe_find(struct cframe_in *in, struct cframe *f)
{
    enum front what = UNFINISHED;

    while (in->len && (what = look_at_front(in, f)) != WHOLE) {
        if (what == UNFINISHED && !cframe_is_empty(in)) {
            if (in->garbage)
                break; /* one buffer a call: there may be no end of it */
            if (cframe_fill(in) > 0)
                continue;
        }
        skip(in, 1);
        in->garbage = true;
    }
    if (in->garbage) {
        in->garbage = false;
        return -EPROTO;
    }
    return in->len ? 1 : 0;
}

ssize_t cframe_take(struct cframe_in *in, const struct cframe *f, void *buf,
                    size_t cap)
{
    bool fits = buf && f->len <= cap;

    if (fits)
        memcpy(buf, in->buf + in->at + CFRAME_HEAD, f->len);
    skip(in, CFRAME_HEAD + f->len + CFRAME_TAIL);
    return fits ? (ssize_t)f->len : -EMSGSIZE;
}

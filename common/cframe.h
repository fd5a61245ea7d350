/*
 * cframe.h - frames that survive garbage: checked, self-synchronising
 *
 * Where many writers share one byte stream, one broken writer must not put the
 * others out of step. So a frame begins with a magic number and carries two
 * checksums, and a reader that finds something else goes on byte by byte until
 * it finds a frame again.
 *
 *      0      4        6      7   8            12            16          20
 *      +------+--------+------+---+------------+-------------+-----------+--
 *      | IPCF | length | slot | 0 | generation | payload crc | head crc  | ..
 *      +------+--------+------+---+------------+-------------+-----------+--
 *      little-endian; head crc over bytes 0 to 15; then `length` bytes, then
 *      the complement of IPCF
 *
 * Why an end? A broken writer may leave out the last bytes of a frame. If the
 * next, honest frame begins with just these bytes ("I" is enough), the broken
 * one would be completed, and the honest one would lack its beginning. With
 * this end that can't be: no last part of it is how a frame begins.
 *
 * A frame is at most PIPE_BUF bytes, so that one write(2) of it is atomic
 * (pipe(7)). This is also how a reader knows garbage that looks like the
 * beginning of a frame: an honest frame is never there in part only.
 */
#ifndef IPCLAB_CFRAME_H
#define IPCLAB_CFRAME_H

#include "transport.h"

#include <limits.h>

#define CFRAME_HEAD 20 /* bytes before the payload */
#define CFRAME_TAIL 4  /* bytes behind it */
/* Payload bytes at most. */
#define CFRAME_MAX (PIPE_BUF - CFRAME_HEAD - CFRAME_TAIL)
#define CFRAME_BUF 65536 /* bytes: as much as a pipe holds */

struct cframe {
    unsigned slot;
    uint32_t generation;
    size_t len; /* of the payload */
};

/* The read end of a stream, and the bytes read and not yet taken. */
struct cframe_in {
    int fd;         /* owned by who opened it; -1 = none */
    size_t at, len; /* buf[at .. at + len) */
    bool garbage;   /* bytes were skipped that weren't a frame */
    uint8_t buf[CFRAME_BUF];
};

/* Builds a frame in out; returns its length. f->len <= CFRAME_MAX. */
size_t cframe_put(uint8_t out[PIPE_BUF], const struct cframe *f,
                  const void *payload);

/* One read(2): its result, or -errno. Call it when cframe_find said 0. */
ssize_t cframe_fill(struct cframe_in *in);

/* Finds the frame at the front: 1 with *f filled; 0 the buffer is used up;
 * -EPROTO, once, after bytes were skipped: ask again. */
int cframe_find(struct cframe_in *in, struct cframe *f);

/* Takes the frame that cframe_find found: the payload's length, or -EMSGSIZE
 * when it is longer than cap (it is skipped). buf NULL: just skip it. */
ssize_t cframe_take(struct cframe_in *in, const struct cframe *f, void *buf,
                    size_t cap);

/* True when the stream holds nothing at this moment. */
bool cframe_is_empty(const struct cframe_in *in);

#endif

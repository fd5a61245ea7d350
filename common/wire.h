/*
 * wire.h - requests and replies as bytes
 *
 * What travels inside a transport's messages. Little-endian, fixed offsets,
 * no padding, no C struct copied: a client in another language can be written
 * from this page (tests/wire_client.py is one, over the socket). A transport
 * carries one request or one reply a message; on the UNIX socket and the pipe
 * each message is preceded by its length as a 4-byte little-endian number.
 *
 *   u8 u16 u32 u64 unsigned; i64 signed two's complement; all little-endian.
 *   time: i64, seconds since 1970-01-01T00:00:00Z.  title: UTF-8, no NUL.
 *
 * Request (12 bytes, then the operation's own):
 *    0  u8   version = 1
 *    1  u8   operation (enum wire_op)
 *    2  u16  flags: bit 0 = put time stamps into the reply; others 0
 *    4  u64  tag: any number; the reply carries it back
 *   12  ...  body
 *
 *    ping       nothing
 *    echo       any bytes
 *    add        12 u64 token   20 i64 start  28 i64 end  36.. title
 *    get        12 u32 id
 *    update     12 u64 token   20 u32 id     24 u64 rev (0 = any)
 *               32 i64 start   40 i64 end    48.. title
 *    remove     12 u64 token   20 u32 id     24 u64 rev (0 = any)
 *    list       12 i64 from    20 i64 to     28 i64 after_start
 *               36 u32 after_id   40 u32 limit (0 = as many as fit)
 *    conflicts  12 u32 id      16 i64 after_start   24 u32 after_id
 *               28 u32 limit (0 = as many as fit)
 *    stats      nothing
 *   The title is what remains of the message. after_id 0 = from the start;
 *   else the page begins behind the event with this start and id.
 *
 * Reply (20 bytes, then the stamps if asked for, then the body):
 *    0  u8   version = 1
 *    1  u8   operation of the request
 *    2  u8   status (enum wire_status)
 *    3  u8   flags: bit 0 = stamps follow; bit 1 = more events than fitted
 *    4  u64  tag of the request
 *   12  u64  rev: the store's revision, a cheap change counter
 *  [20  u64  received, 28 u64 handled, 36 u64 synced: CLOCK_MONOTONIC in ns
 *            when the server had the request, had the result, had it on disk
 *            (0 = nothing to sync); only if flags bit 0]
 *   ..  body, only with status 0:
 *    ping       nothing
 *    echo       the bytes of the request's body
 *    add, update, remove    u32 id, u64 rev of the event
 *    get        one event
 *    list, conflicts        u32 count, then the events
 *    stats      u32 count, then that many u64 in the order of struct
 *               wire_stats (later versions may append)
 *   An event: u32 id, u64 rev, i64 start, i64 end, u8 title length, title.
 *   With a status other than 0 the body is a sentence for people (UTF-8).
 */
#ifndef IPCLAB_WIRE_H
#define IPCLAB_WIRE_H

#include "schedule.h"

#include <sys/types.h>

#define WIRE_VERSION 1

enum wire_op {
    WIRE_PING = 1,
    WIRE_ECHO,
    WIRE_ADD,
    WIRE_GET,
    WIRE_UPDATE,
    WIRE_REMOVE,
    WIRE_LIST,
    WIRE_CONFLICTS,
    WIRE_STATS,
    WIRE_OP_END
};

enum wire_status {
    WIRE_OK = 0,
    WIRE_BAD_VERSION = 1, /* not version 1 */
    WIRE_BAD_OP = 2,      /* operation unknown */
    WIRE_BAD_REQUEST = 3, /* too short, too long, or a flag unknown */
    WIRE_BAD_TITLE = 4,   /* empty, over-long, not UTF-8, control characters,
                             nothing but spaces */
    WIRE_BAD_TIME = 5,    /* end not after start, or year not 1..9999 */
    WIRE_NOT_FOUND = 6,   /* no event with this id */
    WIRE_CHANGED = 7,     /* the event's rev isn't the one given */
    WIRE_BAD_TOKEN = 8,   /* the token was used for another change */
    WIRE_NO_SPACE = 9,    /* disk or memory full: nothing changed */
    WIRE_READ_ONLY = 10,  /* the data file failed: no more changes; the change
                             asked for may or may not last */
    WIRE_TOO_BIG = 11,    /* the reply doesn't fit into one message */
    WIRE_STATUS_END
};

enum { WIRE_WANT_STAMPS = 1 };               /* request flags */
enum { WIRE_HAS_STAMPS = 1, WIRE_MORE = 2 }; /* reply flags */

#define WIRE_REQUEST_MIN 12 /* bytes of a request's head */
#define WIRE_REPLY_MIN   20 /* bytes of a reply's head without stamps */
#define WIRE_STAMPS_SIZE 24
#define WIRE_EVENT_MIN   29 /* bytes of an event without its title */
/* The longest reply to get: every transport carries at least this. */
#define WIRE_MESSAGE_MIN                                                       \
    (WIRE_REPLY_MIN + WIRE_STAMPS_SIZE + WIRE_EVENT_MIN + EVENT_TITLE_MAX)

struct wire_request {
    uint8_t op;
    uint16_t flags;
    uint64_t tag;
    uint64_t token;       /* add update remove */
    uint64_t rev;         /* update remove: expected, 0 = any */
    uint32_t id;          /* get update remove conflicts */
    int64_t start, end;   /* add update; list: from, to */
    int64_t after_start;  /* list conflicts */
    uint32_t after_id;    /* list conflicts: 0 = from the start */
    uint32_t limit;       /* list conflicts: 0 = as many as fit */
    const uint8_t *bytes; /* add update: title; echo: payload. Points into the
                             message */
    size_t bytes_len;
};

struct wire_stamps {
    uint64_t received, handled, synced; /* CLOCK_MONOTONIC, ns */
};

struct wire_reply {
    uint8_t op, status, flags;
    uint64_t tag;
    uint64_t rev;              /* of the store */
    struct wire_stamps stamps; /* zero when there are none */
    const uint8_t *body;       /* points into the message */
    size_t body_len;
};

struct wire_stats {
    uint64_t pid; /* of the server */
    uint64_t uptime_ms;
    uint64_t events;        /* in the store */
    uint64_t rev;           /* of the store */
    uint64_t requests;      /* handled, over all transports */
    uint64_t changes;       /* add, update, remove that succeeded */
    uint64_t errors;        /* replies with another status than 0 */
    uint64_t journal_bytes; /* size of the data file */
    uint64_t syncs;         /* fdatasync calls */
};
#define WIRE_STATS_COUNT 9

/* The status in words: "not found". Never NULL. */
const char *wire_status_text(unsigned status);
/* The operation's name: "get"; "?" for an unknown one. */
const char *wire_op_name(unsigned op);

/* Request to bytes: the length, or -EMSGSIZE when it doesn't fit in cap. */
ssize_t wire_put_request(void *buf, size_t cap, const struct wire_request *rq);

/* Bytes to request: WIRE_OK, or the status to answer with (then op and tag
 * are set as far as the message reached; 0 otherwise). */
enum wire_status wire_get_request(struct wire_request *rq, const void *buf,
                                  size_t len);

/*
 * A reply is written front to back: start it, put its parts, finish it.
 * A part that doesn't fit returns false and leaves the reply as it was.
 */
struct wire_writer {
    uint8_t *buf;
    size_t cap, len;
    size_t body; /* where the body begins */
};
/* False when cap can't even hold the head. */
bool wire_start_reply(struct wire_writer *w, void *buf, size_t cap,
                      const struct wire_request *rq);
bool wire_add_bytes(struct wire_writer *w, const void *bytes, size_t len);
bool wire_add_u32(struct wire_writer *w, uint32_t v);
bool wire_add_u64(struct wire_writer *w, uint64_t v);
bool wire_add_event(struct wire_writer *w, const struct event *ev);
/* The count at the front of the body, once it is known. */
void wire_set_count(struct wire_writer *w, uint32_t count);
/* Set status, flags |= more, and the store's rev; returns the length. */
size_t wire_finish_reply(struct wire_writer *w, enum wire_status status,
                         bool more, uint64_t rev);
/* Throw the body away and answer with `status` and its sentence. */
size_t wire_fail_reply(struct wire_writer *w, enum wire_status status,
                       uint64_t rev);
/* Put the stamps into a finished reply that has room for them. */
void wire_set_stamps(void *reply, const struct wire_stamps *stamps);

/* Bytes to reply: 0 or -EPROTO. */
int wire_get_reply(struct wire_reply *rp, const void *buf, size_t len);

/* Read a body from the front; each returns false when it has ended too soon.
 * The event's title is copied into `title`. */
struct wire_reader {
    const uint8_t *at, *end;
};
bool wire_read_u32(struct wire_reader *r, uint32_t *v);
bool wire_read_u64(struct wire_reader *r, uint64_t *v);
bool wire_read_event(struct wire_reader *r, struct event *ev,
                     char title[EVENT_TITLE_MAX + 1]);

#endif

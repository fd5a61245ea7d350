/*
 * transport.h - the contract between the lab and its five chapters
 *
 * A transport carries whole messages between clients and one server, and
 * gives the server a return address with each. pipe/, fifo/, mqueue/, shm/
 * and socket/ each fill in one `struct transport` below; nothing outside a
 * chapter knows how its bytes travel.
 *
 *      client                                             server
 *      cli_send  ---------- request, 1..max_msg bytes -->  srv_recv (from)
 *      cli_recv  <--------- reply,   1..max_msg bytes ---  srv_send (to)
 *
 * This header is the manual: a sixth transport can be written from it alone.
 * It says what each call promises, for how long it may block, which errors it
 * may give and who owns which buffer afterwards. tests/conformance.c checks
 * every sentence of it against every transport.
 *
 * Users (server.c, client.c, the benchmark, the tests) call the tp_* functions
 * at the end, never the table. The wrappers check the arguments, so that a
 * chapter may trust its own; they keep the counters and the depth.
 *
 * 1. Time
 *    Every call that may wait takes `ms`:
 *      < 0  wait for ever, by the mechanism's own plain blocking call (read,
 *           mq_receive, sem_wait): no poll, no clock. A server that has to
 *           watch several descriptors still needs poll or epoll for that.
 *      = 0  try once, never sleep.
 *      > 0  a deadline on CLOCK_MONOTONIC, in milliseconds from the call, for
 *           the whole message: never early, and late only by scheduling. (A
 *           message queue's wait also grows by as much as somebody turns the
 *           machine's clock back meanwhile.)
 *    Everything but the benchmark passes a finite `ms`: only then does a
 *    transport without TP_HANGUP notice that its peer has died.
 *
 * 2. Results
 *    Every call returns >= 0, or one of these negative errno values:
 *      -ETIMEDOUT     the deadline passed       } nothing of *your* message
 *      -EINTR         a signal handler ran      } was taken or delivered
 *      -EAGAIN        cli_send: `depth` requests are unanswered already
 *      -EMSGSIZE      send: longer than max_msg, nothing was written; receive:
 *                     longer than `cap`, that message is skipped and the next
 *                     one is intact; open: max_msg wanted is above the ceiling
 *      -EINVAL        a null buffer, a length of 0, options out of range
 *      -EPROTO        receive: one bad frame was dropped, or (srv_recv) a peer
 *                     that claimed an impossible length was (no 0 follows for
 *                     it); the handle stays usable
 *      -EPIPE         the peer is gone, or this connection is broken
 *      -ENOENT        cli_open: nobody serves under this name
 *      -EADDRINUSE    srv_open: a live server has this name
 *      -EBUSY         cli_open: every client slot is taken
 *      -ENOTCONN      srv_recv: no client is left and none can come
 *      -EEXIST        open: something else has our name, and it isn't ours to
 *                     remove; opts.why says what
 *      -ENOSPC, -ENOBUFS, -EMFILE, -EACCES, -ENAMETOOLONG, -ENOMEM
 *                     open: the limit that was met; opts.why says which
 *      -ENOSYS        not written yet (an exercise)
 *    EINTR is given only for a handler installed without SA_RESTART, or for a
 *    call that signal(7) lists as never restarted. client.c and server.c loop;
 *    a chapter doesn't.
 *
 * 3. Leaving
 *    srv_recv gives 0, with `from` set, for a peer that left: once, after its
 *    last message, and at the latest before its slot is given away. A peer
 *    that never sent anything may leave unreported. cli_recv gives 0 when the
 *    server left. A dead server is noticed within 200 ms, at once where
 *    TP_HANGUP is set; once it is noticed, cli_send says -EPIPE.
 *    A message whose sender has left, and whose slot has been taken again,
 *    before srv_recv came to it may be dropped (-EPROTO): nobody waits for it.
 *    srv_recv takes ready peers in turn: the oldest unanswered request of a
 *    peer waits for at most one message of each other peer; where TP_TURNS
 *    isn't set, for at most `depth` messages of each.
 *
 * 4. Buffers
 *    What you pass stays yours, and isn't looked at after the call returns. A
 *    chapter keeps, per client, at most one buffer of *incoming* bytes, and
 *    nothing outgoing: a send that has begun and misses its deadline breaks
 *    that connection, and everything on it is -EPIPE from then on. A server
 *    sends with a short deadline (TP_SEND_MS for the whole message), and
 *    srv_send drops the peer that misses it: one that doesn't read costs the
 *    others one such deadline, once.
 *
 * 5. Fork, threads, signals
 *    Who owns both ends does srv_open, then fork, then cli_open in the child:
 *    so an anonymous pipe fits the same table. Every process that shares the
 *    server handle by fork and won't serve calls srv_drop. One that forgets
 *    keeps descriptors open, and so hides a death from the others.
 *    One handle is used by one thread at a time; two handles never share
 *    anything writable. Calls never print, exit or change a signal's action.
 *    A program that uses a transport ignores SIGPIPE first: otherwise a write
 *    to a lost peer kills it (pipe(7)) before -EPIPE can be returned.
 */
#ifndef IPCLAB_TRANSPORT_H
#define IPCLAB_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define TP_NAME_MAX    32  /* bytes in an instance name, without the NUL */
#define TP_CLIENTS_MAX 64  /* client slots of one server: one 64-bit mask */
#define TP_DEPTH_MAX   64  /* unanswered requests of one client */
#define TP_SEND_MS     50  /* the deadline a server sends with */
#define TP_NOTICE_MS   200 /* who waits longer looks whether its peer lives */

/*
 * A return address: slot in the low 8 bits, generation of that slot above.
 * The next client of a slot has another generation, so an old address never
 * names a new client; sending to it gives -EPIPE. Opaque outside a chapter.
 */
typedef uint32_t tp_peer;

/* How a handle waits. Spinning makes non-blocking calls in a loop and burns
 * its CPU; adapting spins for at most 50 us, less when that didn't pay and
 * never on one CPU, and then blocks. */
enum tp_wait { TP_BLOCK, TP_SPIN, TP_ADAPT };

/* What a mechanism promises; code branches on these, never on a name. */
enum {
    TP_NAMED = 1,  /* unrelated processes can meet under a name */
    TP_FRAMED = 2, /* the mechanism itself keeps message boundaries */
    TP_HANGUP = 4, /* the kernel reports a peer's death at once, both ways */
    TP_TURNS = 8,  /* one message of each ready peer in turn, at any depth */
};

/* Kept by the wrappers; read them, don't write them. */
struct tp_counters {
    uint64_t received, received_bytes; /* messages that arrived whole */
    uint64_t sent, sent_bytes;
    uint64_t left;     /* peers reported as gone (server) */
    uint64_t bad;      /* -EPROTO and -EMSGSIZE on arrival */
    uint64_t timeouts; /* sends that missed it with nothing written */
};

struct transport;

/* What open obtained. A chapter's own struct has this as its first member. The
 * wrappers keep t, unanswered and count; the chapter fills in the rest. */
struct tp_server {
    const struct transport *t;
    size_t max_msg;   /* payload bytes one message may have, either way */
    unsigned depth;   /* most unanswered requests of one client */
    unsigned clients; /* slots */
    struct tp_counters count;
};

struct tp_client {
    const struct transport *t;
    size_t max_msg;
    unsigned depth;
    unsigned unanswered; /* requests sent and not yet answered */
    struct tp_counters count;
};

/* All zero is a good start: instance "default", one client, depth 1. */
struct tp_opts {
    const char *name; /* instance, [A-Za-z0-9_-]{1,32}; NULL = "default" */
    unsigned clients; /* server: slots, 1..TP_CLIENTS_MAX; 0 = 1 */
    unsigned depth;   /* server: 1..TP_DEPTH_MAX; 0 = 1. A client takes what
                         its server has */
    size_t max_msg;   /* server: payload bytes wanted; open fails rather than
                         clamp; 0 = the transport's default */
    int open_ms;      /* deadline of cli_open; as `ms` above */
    enum tp_wait wait;
    unsigned index;              /* pipe client: which channel of `inherited` */
    struct tp_server *inherited; /* pipe client: the handle shared by fork.
                         cli_open takes its channel out of it; tp_cli_open then
                         drops it, also after a failure */
    char *why;      /* NULL, or a buffer that a failing open fills with one
                         plain sentence: which limit, and how to raise it */
    size_t why_cap; /* its size in bytes */
};

/* One transport. All calls follow sections 1 to 5 above. */
struct transport {
    const char *name;   /* "pipe": as on the command line */
    const char *blurb;  /* one line for people */
    unsigned caps;      /* any of the above */
    size_t max_msg;     /* the ceiling of opts.max_msg, bytes */
    size_t usual_msg;   /* what opts.max_msg 0 means; 0: the chapter chooses */
    unsigned max_depth; /* the ceiling of opts.depth */

    /* 0 when the mechanism is usable here, else -errno with the reason in
     * why[cap]. Leaves nothing behind. Doesn't block. NULL: always usable. */
    int (*probe)(char *why, size_t cap);

    /* Serve under opts.name; the options are complete. Takes over, cleaned,
     * what a dead server left there; -EADDRINUSE when a live one has the name.
     * On success *out is the caller's until srv_drop or srv_close. A failing
     * open may leave *out set: the wrapper then calls srv_close on it. Blocks
     * only to create files. */
    int (*srv_open)(struct tp_server **out, const struct tp_opts *opts);

    /* The next message, from any client: its length, with the sender in
     * *from; 0 when the peer *from left. The first call makes what fork must
     * not share; the pipe's client ends are closed by it. */
    ssize_t (*srv_recv)(struct tp_server *srv, tp_peer *from, void *buf,
                        size_t cap, int ms);

    /* Send to a peer that srv_recv named: 0; -EPIPE when it has left;
     * -ETIMEDOUT when it doesn't read: it is dropped. */
    int (*srv_send)(struct tp_server *srv, tp_peer to, const void *buf,
                    size_t len, int ms);

    /* In a process that shares the handle by fork and doesn't serve: close
     * here, unlink nothing, free. Takes NULL; can't fail. */
    void (*srv_drop)(struct tp_server *srv);

    /* Stop serving: close, unlink every name, free. Takes NULL; can't fail. */
    void (*srv_close)(struct tp_server *srv);

    /* Become a client of opts.name: -ENOENT when nobody serves, -EBUSY at
     * once when all slots are taken, -ETIMEDOUT after opts.open_ms. On
     * success *out is the caller's until cli_close; a failing open may leave
     * it set, as above. */
    int (*cli_open)(struct tp_client **out, const struct tp_opts *opts);

    /* Send one request: 0, or an error of section 2. */
    int (*cli_send)(struct tp_client *cli, const void *buf, size_t len, int ms);

    /* The next reply, in the order of the requests: its length; 0 when the
     * server left. */
    ssize_t (*cli_recv)(struct tp_client *cli, void *buf, size_t cap, int ms);

    /* Leave: close, give the slot back, free. Takes NULL; can't fail. */
    void (*cli_close)(struct tp_client *cli);
};

/* The nine calls of a chapter, which all have names like pipe_srv_open. */
#define TP_CALLS(chapter)                                                      \
    .srv_open = chapter##_srv_open, .srv_recv = chapter##_srv_recv,            \
    .srv_send = chapter##_srv_send, .srv_drop = chapter##_srv_drop,            \
    .srv_close = chapter##_srv_close, .cli_open = chapter##_cli_open,          \
    .cli_send = chapter##_cli_send, .cli_recv = chapter##_cli_recv,            \
    .cli_close = chapter##_cli_close

/* ---- the registry ------------------------------------------------------- */

/* The transports in the order of the chapters, ended by NULL. */
extern const struct transport *const tp_all[];

/* The transport with this name, or NULL. */
const struct transport *tp_find(const char *name);

/* True when `name` is a legal instance name. */
bool tp_name_ok(const char *name);

/* ---- what everybody calls: the table with its arguments checked ---------- */

int tp_probe(const struct transport *t, char *why, size_t cap);
int tp_srv_open(const struct transport *t, struct tp_server **out,
                const struct tp_opts *opts);
ssize_t tp_srv_recv(struct tp_server *srv, tp_peer *from, void *buf, size_t cap,
                    int ms);
int tp_srv_send(struct tp_server *srv, tp_peer to, const void *buf, size_t len,
                int ms);
void tp_srv_drop(struct tp_server *srv);
void tp_srv_close(struct tp_server *srv);
int tp_cli_open(const struct transport *t, struct tp_client **out,
                const struct tp_opts *opts);
int tp_cli_send(struct tp_client *cli, const void *buf, size_t len, int ms);
ssize_t tp_cli_recv(struct tp_client *cli, void *buf, size_t cap, int ms);
void tp_cli_close(struct tp_client *cli);

/* ---- for chapters -------------------------------------------------------- */

/* What a tp_peer is made of. */
static inline tp_peer peer_of(unsigned slot, uint32_t generation)
{
    return (generation << 8) | slot;
}

static inline unsigned peer_slot(tp_peer p)
{
    return p & 0xff;
}

/* Fills max_msg, depth and clients of a new handle from complete options. */
void tp_srv_init(struct tp_server *srv, const struct tp_opts *opts);

/* Writes the sentence of a failing open into opts->why (if there are options,
 * and one is wanted) and returns `err`, so that `return tp_why(...)` reads
 * well. */
int tp_why(const struct tp_opts *opts, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif

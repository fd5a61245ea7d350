/*
 * server.h - one store behind any set of opened transports
 *
 *      srv_recv -> wire_get_request -> store -> wire_*_reply -> srv_send
 *
 * A thread for each transport runs this loop over the one store. Reads are
 * answered at once. Replies to changes are held until nothing more waits (or
 * the batch is full), then one store_commit makes them all durable, then they
 * are sent: group commit. So a read may show a change whose own reply is
 * still held; nobody has been told "done" before it is on disk.
 */
#ifndef IPCLAB_SERVER_H
#define IPCLAB_SERVER_H

#include "store.h"
#include "transport.h"

#include <stdatomic.h>

#define SERVER_SLICE_MS 200 /* longest wait between two looks at `stop` */

struct server_opts {
    struct tp_server **set; /* opened; server_run closes none of them */
    unsigned count;
    struct store *store;
    const atomic_bool *stop; /* set by a signal handler; lock-free */
    int wait_ms; /* how long srv_recv waits; 0 = SERVER_SLICE_MS. The
                    benchmark gives -1 (plain blocking calls) */
};

/*
 * Serve until *stop is true, or until every transport says -ENOTCONN (a pipe
 * whose clients have all left). The first transport is served by the calling
 * thread, each other one by a thread of its own; all have ended when it
 * returns. 0, or the -errno of the transport that failed (the others are
 * stopped). A request in hand is finished and answered first.
 */
int server_run(const struct server_opts *opts);

/* Counters shared by the threads of one server. */
struct server_count {
    atomic_uint_fast64_t requests, changes, errors;
    uint64_t started_ns; /* CLOCK_MONOTONIC */
};

/*
 * One request, from bytes to bytes: the benchmark's row "none" calls this
 * directly. Writes the reply into reply[cap] (cap >= WIRE_MESSAGE_MIN) and
 * returns its length. *seq is 0, or the change that store_commit must make
 * durable before the reply is sent. Takes the store's lock itself.
 */
size_t server_handle(struct store *st, struct server_count *count,
                     const void *request, size_t len, void *reply, size_t cap,
                     uint64_t *seq);

#endif

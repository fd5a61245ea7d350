/*
 * way.h - the gateway's ways to the store: one connection over each transport
 *
 *      browser --HTTP--> gateway --way--> store
 *                           |-- socket, fifo, mqueue, shm, pipe
 *
 * A way is one client (client.h) that all threads of the gateway share: they
 * take turns, first come, first served, so a call's time includes no other's.
 * Who waited behind a call that got no answer in time gets none either, at
 * once: the deadlines of a whole queue would add up.
 *
 * A way whose server has gone is opened anew at the next call: that is how the
 * page comes back when the server does. A pipe can't be: it came by fork, and
 * went with its server.
 *
 * Any thread may call, all but way_init and way_close.
 */
#ifndef IPCLAB_WEB_WAY_H
#define IPCLAB_WEB_WAY_H

#include "client.h"

#include <pthread.h>

#define WAYS_MAX    8
#define WAY_SAMPLES 1024 /* round trips of reads kept, the newest */
#define WAY_WHY_MAX 400

struct way {
    const struct transport *t;
    enum tp_wait wait;
    const char *instance; /* the caller's */
    int ms;               /* deadline of a call, and of opening */
    bool once;            /* a pipe: what is closed can't be opened again */

    /* Whose turn it is, that thread's: */
    struct client client;
    bool open;

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t next;
    uint64_t tickets, turn; /* given out so far; the one whose turn it is */
    uint64_t unanswered;    /* calls made so far that got no answer in time */
    char why[WAY_WHY_MAX];  /* why it can't be used now; "" = it can */
    uint32_t ns[WAY_SAMPLES];
    uint64_t count; /* of those that changed nothing, so far; the last is
                       ns[(count - 1) % WAY_SAMPLES] */
};

/* What one request has done at the store. All zero is a start; times are
 * CLOCK_MONOTONIC, ns. */
struct journey {
    const struct way *way; /* NULL = nothing was asked */
    uint64_t begun, done;  /* the last call at the store */
    uint64_t asking;       /* ns of all calls that were answered */
    uint64_t turns;        /* ns behind others; 0 = there were none */
    uint64_t sent_bytes, received_bytes;
    unsigned trips;            /* round trips: a long list takes several */
    struct wire_stamps stamps; /* the server's, of the last one */
};

/* A way over `t`, not open yet. */
void way_init(struct way *w, const struct transport *t, const char *instance,
              enum tp_wait wait, int ms);

/* Open it now: 0 or -errno (w->why). `inherited` is a pipe's server handle, or
 * NULL; it is taken over. Also at once when the server left. */
int way_open(struct way *w, struct tp_server *inherited);

/* Open it if it isn't open and can be, without a word: so that who looks at all
 * ways sees those that work. Doesn't wait for others: whose turn it is opens
 * it. */
void way_try(struct way *w);

/* It can't be used, for this reason: a pipe beside a running server, say. */
void way_refuse(struct way *w, const char *why);

/* What is asked of a way: a client call with its arguments in `arg`. It may be
 * called a second time, after the way was opened anew: a change must carry the
 * same token then. Returns what the client call returned. */
typedef int way_request(struct client *c, void *arg);

/*
 * Ask. `j` is continued (may be NULL: then it isn't counted as a sample
 * either); `refusal`, if not NULL, gets the server's or our sentence when the
 * result isn't 0. Waits for its turn first, then at most `ms` for opening and
 * `ms` for each round trip, and all of it twice when the server has just gone.
 * Returns what client.h says, or the -errno of opening it.
 */
int way_ask(struct way *w, way_request *ask, void *arg, struct journey *j,
            char refusal[WAY_WHY_MAX]);

/* How long round trips over this way took that changed nothing: the newest `n`
 * at most, oldest first, into ns[]; how many; *count of all so far. */
size_t way_samples(struct way *w, uint32_t *ns, size_t n, uint64_t *count);

/* Why it can't be used, as it was when somebody last tried; "" = it can. */
void way_state(struct way *w, char why[WAY_WHY_MAX]);

/* Nobody uses it any more. */
void way_close(struct way *w);

#endif

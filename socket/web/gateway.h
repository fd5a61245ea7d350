/*
 * gateway.h - HTTP in front of the store
 *
 *      browser -- HTTP --> gateway.c --> door.c    who may speak
 *                              |-------> guests.c  who takes too long
 *                              |-------> shelf.c   the page's files
 *                              '-------> api.c --> way.c --> the store
 *
 * libmicrohttpd reads and writes HTTP, a thread for each connection: the calls
 * to the store block, as a semaphore or a message queue can't do otherwise.
 *
 * Bounded: connections, the time that one may take to send a request and to
 * take its answer, the head's size, and the body's as its path says.
 */
#ifndef IPCLAB_WEB_GATEWAY_H
#define IPCLAB_WEB_GATEWAY_H

#include "api.h"
#include "shelf.h"

struct gateway;

struct gateway_opts {
    struct api *api;           /* its ways are ready, its watch runs */
    const struct shelf *shelf; /* the caller's, until gateway_stop */
    const struct door *door;   /* the same; its port is that of `listener` */
    int listener; /* listening, on loopback; taken over, also on an error */
};

#define GATEWAY_CONNECTIONS 48 /* at a time; more wait to be accepted */
/* From a new connection to its first line; from each request's first line until
 * it is in whole; and for its answer to be taken. */
#define GATEWAY_PATIENCE_MS 10000

/* Make threads and answer from now on. 0 or -errno: then nothing is left. */
int gateway_start(struct gateway **out, const struct gateway_opts *opts);

/* End all connections and threads; takes NULL. What the store was asked is
 * waited for, but its answer goes nowhere: whoever asks again, with the same
 * token, learns what became of it. The api's watch must have been stopped: who
 * waits for a change would keep us waiting. */
void gateway_stop(struct gateway *g);

/* A socket that listens on 127.0.0.1; *port 0 = any free one, which it becomes.
 * The descriptor, the caller's, or -errno (socket(2), bind(2), listen(2)). */
int gateway_listen(unsigned *port);

#endif

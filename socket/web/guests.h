/*
 * guests.h - the gateway's connections, and how long each may take
 *
 * The HTTP library has a limit for idleness only, and who sends, or takes, a
 * byte now and then is never idle: 48 of such guests would keep everybody else
 * out. So each has a time by which it must be done with what it is at, and a
 * thread, the doorman, shuts the sockets of the late ones down; the library
 * then finds them closed.
 *
 * Any thread may call, all but start and stop. Rests on: shutdown(2).
 */
#ifndef IPCLAB_WEB_GUESTS_H
#define IPCLAB_WEB_GUESTS_H

#include <pthread.h>
#include <stdbool.h>

struct guest;

struct guests {
    pthread_t doorman;
    pthread_mutex_t lock;  /* guards all below */
    pthread_cond_t leave;  /* the doorman may go */
    struct guest *present; /* a list */
    bool stop;
};

/* Start the doorman: 0 or -errno, then there is nothing to stop. */
int guests_start(struct guests *g);

/* End it. Nobody is there any more. */
void guests_stop(struct guests *g);

/* A connection on `fd`, which must be done within `ms`. NULL without memory:
 * then it is a guest without any limit. */
struct guest *guest_comes(struct guests *g, int fd, int ms);

/* It goes. To be called before `fd` is closed: so the doorman never shuts a
 * number that is somebody else's by now. */
void guest_leaves(struct guests *g, struct guest *guest);

/* From now on it has `ms` milliseconds; 0 = as long as it takes. Both take a
 * NULL guest. */
void guest_has(struct guests *g, struct guest *guest, int ms);

#endif

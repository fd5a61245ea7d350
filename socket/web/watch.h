/*
 * watch.h - is the store there, and has it changed?
 *
 * One thread asks the store a few times a second, over the first way that
 * works; those who want to know wait here. So a hundred waiting pages cost
 * the store no more than one.
 *
 * Every reply of the store carries its revision: a ping is enough.
 */
#ifndef IPCLAB_WEB_WATCH_H
#define IPCLAB_WEB_WATCH_H

#include "way.h"

#define WATCH_MS 200 /* between two looks */

struct sight {
    bool up;               /* the store answers */
    uint64_t rev;          /* its revision, when it last did */
    long pid;              /* its process, when it last did; 0 = never yet */
    char why[WAY_WHY_MAX]; /* up: ""; else the first way's reason */
};

struct watch {
    struct way *ways; /* the caller's; NULL = not started */
    size_t count;
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    struct sight sight;
    bool stop;
};

/* Look once, then start the thread. 0; or -errno, then *w is all zero. */
int watch_start(struct watch *w, struct way *ways, size_t count);

/* What was seen last. */
void watch_see(struct watch *w, struct sight *out);

/* The same, as soon as it is no longer as `known` says (its up and rev), or at
 * once when watch_stop was called: true; or after `ms`: false. */
bool watch_wait(struct watch *w, const struct sight *known, int ms,
                struct sight *out);

/* Tell at once what somebody else has just seen: a change's new revision. */
void watch_tell(struct watch *w, uint64_t rev);

/* Nobody waits any more, from now on. Nothing to do when *w is all zero. */
void watch_stop(struct watch *w);

/* End the thread; nobody uses it any more. The same. */
void watch_end(struct watch *w);

#endif

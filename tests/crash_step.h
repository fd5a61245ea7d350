/*
 * crash_step.h - the rows of the crash matrix: where a process is killed
 *
 * A step is a place on a request's way, between two instructions that anybody
 * can name: "after writev has taken half of the bytes". crash_step.c has the
 * list; each line of it is run over every transport and every way to wait.
 */
#ifndef IPCLAB_CRASH_STEP_H
#define IPCLAB_CRASH_STEP_H

#include <stdbool.h>
#include <stddef.h>

#define TRANSPORTS 5 /* as in tp_all, and in this order */
#define WAITS      3 /* block, spin, adapt */

enum side { CLIENT, SERVER };

/* What a process is about. */
enum phase { NOWHERE, OPENING, WORKING, CLOSING };

/* Before the call, when it has moved half of its bytes, or after it. */
enum when { BEFORE, HALF, AFTER };

/* How far the asker's request has come by then: so what is promised of its
 * event. */
enum request {
    NOT_SENT, /* not, or not whole: the event must never be there */
    SENT,     /* not answered: it may be there, once */
    ANSWERED, /* it must be there */
    UNKNOWN   /* a sweep's client: as SENT, but perhaps nobody heard of it */
};

struct step {
    const char *name; /* "half a request sent": then it is killed */
    enum side dies;
    enum side at; /* who stands there. If that isn't the one who dies, it waits
                     there until the other one has been killed */
    enum phase phase;
    enum when when;
    /* The call, for each transport; "-why" where a transport has no such step.
     * NULL: no call, the phase's beginning. */
    const char *const *calls;
    enum request request;
};

extern const struct step crash_steps[]; /* ends with a line of zeros */
extern const char *const crash_waits[WAITS];

/* Why this transport has no such step; NULL: it has. */
const char *step_why_not(const struct step *s, size_t transport);

/* Is this server killed before anybody could talk to it? */
bool step_never_serves(const struct step *s);

#endif

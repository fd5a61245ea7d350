/*
 * crash_stop.h - stop points: to die between two instructions, every time
 *
 * The program is linked with -Wl,--wrap=writev and so on: the library's calls
 * come here first. A process that was armed kills itself with SIGKILL before
 * the call, when half of its bytes have moved, or after it; or it stands still
 * there until somebody else has been killed. Nothing sleeps, nothing is
 * counted, and there is no hook in any chapter.
 *
 * Which of many calls is meant? That with the MARK in its bytes. The request
 * that the matrix is about carries it as its tag and in its title: so it is in
 * the request, in the journal's line and in the reply, and in nothing else.
 */
#ifndef IPCLAB_CRASH_STOP_H
#define IPCLAB_CRASH_STOP_H

#include "crash_step.h"
#include "transport.h"

#include <semaphore.h>
#include <stdatomic.h>

#define MARK "LastWord" /* 8 bytes: as many as a tag has */

enum role { NEIGHBOUR, STRANGER, ASKER, ROLES };

/* Who waits at a gate is let through once for each time somebody opens it. */
enum gate {
    UP,      /* the server serves */
    GO,      /* neighbour and stranger may begin */
    READY,   /* one of them has had its first answer */
    ASK,     /* the asker may begin */
    ASKED,   /* it has had its answer */
    HERE,    /* the server stands at its stop point ... */
    GO_ON,   /* ... and may go on: the client is dead */
    REPLIED, /* the marked reply has been sent */
    WENT_ON, /* neighbour or stranger had three answers since the death */
    REAPED,  /* the dead server is gone for good */
    SAW,     /* a survivor has met the errors of a server's death */
    AGAIN,   /* the next server serves */
    TAKE,    /* the heir may take the dead client's place */
    SERVED,  /* it has been served */
    LEAVE,   /* and may leave */
    TRACED,  /* a sweep: the process to be killed is watched */
    GATES
};

/* What one role did and saw; a process writes its own. */
struct witness {
    unsigned sent;      /* events 0 .. sent - 1 were asked for */
    unsigned acked;     /* of these, 0 .. acked - 1 were acknowledged */
    int opened;         /* what its opening gave */
    int error;          /* the first error of a request; 0 = none */
    int again;          /* what the same connection gave after that */
    int reopened;       /* what opening gave while nobody served */
    int second;         /* the first error of its second life; 0 = none */
    long long slowest;  /* ns: its longest request at or after the death */
    long long noticed;  /* ns: from the death, or its call, to `error` */
    long long answered; /* ns: from the next start to its first answer */
};

/* Shared by all processes of a cell. */
struct stage {
    sem_t gate[GATES];
    atomic_bool stop;     /* the innocent ones may leave */
    atomic_bool idle;     /* the server may die in its next idle wait */
    atomic_bool reached;  /* the stop point was reached */
    atomic_bool counting; /* a sweep: its system calls count from now on */
    atomic_llong died;    /* when, ns of CLOCK_MONOTONIC; 0 = nobody yet */
    atomic_llong raised;  /* when the last server was started, ns */
    atomic_llong synced;  /* bytes of the journal that a sync has covered */
    atomic_int left;      /* peers that the tested server reported as gone */
    struct witness who[ROLES];
};

/* The stage of this cell; made before the first fork. */
extern struct stage *stage;

void gate_open(enum gate g);
void gate_wait(enum gate g); /* REQUIREs that it opens in time */

/* This process stops where `step` says. `call` is its call over this
 * transport; `hold`: it stands still there, and doesn't die. */
void stop_arm(const struct step *step, const char *call, bool hold);

/* A sweep: this process's system calls count from its phase `p` on. */
void stop_count(enum phase p);

/* This process is the server: note what it syncs, and who leaves `t`. */
void stop_watch(const struct transport *t);

/* A phase begins. */
void stop_phase(enum phase p);

#endif

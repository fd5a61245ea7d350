/*
 * crash_cell.h - one cell of the crash matrix: somebody dies, what becomes of
 * the others?
 *
 *      director (the case's process)
 *        |_ server: one store, the tested transport and another one
 *        |_ neighbour: an innocent client of the tested transport
 *        |_ stranger: an innocent client of the other transport
 *        |_ asker: its only request (at first) is the one that matters
 *        |_ heir: takes the dead asker's place
 *
 *      a client dies:  asker killed -> the others go on -> the heir and others
 *                      fill every slot -> orderly end -> look at the store
 *      a server dies:  server killed -> everybody sees it -> look at copies of
 *                      the journal -> the next server starts -> everybody
 *                      comes back, and asks again -> the same end
 *
 * The processes (crash_roles.c) only note what they see; crash_traces.c looks
 * for what they have left; crash_check.c says whether that is what was promised.
 */
#ifndef IPCLAB_CRASH_CELL_H
#define IPCLAB_CRASH_CELL_H

#include "crash_stop.h"

#include <sys/types.h>

#define SLOTS      3     /* of each server: neighbour, asker, and one more */
#define CALL_MS    20000 /* a client's deadline: far beyond what is promised */
#define EVENTS_MAX 20000 /* of one role */

/* What the table shows of a cell. */
struct result {
    bool ran, ok;
    bool kept;        /* the marked event was in the store after the death */
    double others_ms; /* a client died: the longest wait of an innocent one. A
                         server died: the longest until a client knew it */
    double back_ms;   /* the longest until a new client was served in a slot; or
                       until the next server had answered everybody */
};

struct cell {
    const struct step *step;
    size_t transport; /* in tp_all */
    enum tp_wait wait;
    unsigned nth; /* a sweep: killed at this stop; 0 = at its stop point */
    struct result *result; /* shared with the runner */
};

/* The events found in a store, held against what was sent and acknowledged. */
struct tally {
    int opened;      /* what store_open gave */
    unsigned lost;   /* acknowledged, and not there */
    unsigned twice;  /* there more than once */
    unsigned unsent; /* there, and nobody asked for it */
    bool marked;     /* the asker's event is there */
};

struct scene {
    const struct cell *cell;
    const struct transport *t, *other;
    struct tp_server *pipe; /* the handle to be inherited; NULL elsewhere */
    pid_t server, client[ROLES], heir;

    int died;      /* wait status of the one who was killed */
    bool outlived; /* a sweep: it ended before its nth stop */
    int ended;     /* wait status of the server that was told to end */
    int innocent;  /* wait status of the others, or'd */
    int filled;    /* the first error while all slots were filled; 0 = none */
    int one_more;  /* what a client beyond the last slot got */
    int left;      /* peers reported as gone when all slots were full */
    int ends;      /* a pipe's ends that the server closed by then */
    unsigned old_names;  /* names of the dead that the next server left */
    unsigned left_names; /* names, queues, segments, files at the very end */
    struct tally killed; /* a server died: the file as it was left, */
    struct tally power;  /* ... and what of it a sync had covered */
    struct tally end;    /* the file after the orderly end */
    long long took; /* ns: the longest opening and first answer in a slot */
};

/* Runs a cell (a test case's function). */
void crash_cell(const void *cell);

/* Plays a cell's story in this folder, and checks it. False: a sweep's process
 * ended before its nth stop. */
bool crash_play(const struct cell *cell, const char *folder);

/* EXPECTs of a scene what is promised. */
void crash_check(const struct scene *s);

/* The transport of a role. */
const struct transport *crash_transport(const struct scene *s, enum role r);

static inline bool is_named(const struct transport *t)
{
    return t->caps & TP_NAMED;
}

#endif

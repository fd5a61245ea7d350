/*
 * api.h - the timetable over HTTP: JSON in, JSON out
 *
 *   GET    /api/events?from=T&to=T   {events: [EVENT ...], rev}
 *   POST   /api/events               EVENT: 201 with the new one
 *   GET    /api/events/ID            EVENT
 *   PUT    /api/events/ID            EVENT with its rev: 409 when it changed
 *                                    meanwhile, with the `current` one
 *   DELETE /api/events/ID?rev=N      {id, rev}: N as above, 0 or none = any
 *   GET    /api/events/ID/conflicts  {events, rev}: what overlaps it
 *   GET    /api/changes?rev=N&up=B   {rev, up, pid, why}: as soon as it differs
 *                                    from N and B (true, false), at the latest
 *                                    after 20 seconds
 *   GET    /api/transports           {command, gateway, store, current,
 *                                    ways: [{name, blurb, usable, why, count,
 *                                    p50, p99} ...]}: ns, of reads
 *   PUT    /api/transport            {"name": "fifo"}: from now on, for all
 *   GET    /api/ping?via=NAME        one round trip
 *   POST   /api/import               JSON or iCalendar, as exchange.h and ics.h
 *                                    read it: {imported, before, notes}
 *   GET    /api/export?format=json   a file; ics too
 *
 * EVENT is {id, rev, title, start, end}; times are "2026-11-23T09:00:00Z", and
 * only that. POST and PUT may have a member "token", DELETE a parameter: 16 hex
 * digits, not all 0. Repeated with the same token a change is made once: a PUT
 * also when it asks for something else then, so use a new token for that.
 *
 * What came over the store's transport carries its "journey": {transport, wait,
 * gateway, store, trips, sent, received, hops: [{hop, ns} ...]}. The hops, in
 * this order, are
 *   gateway   here, until the store was asked
 *   turn      behind others on the same way; only if there were any
 *   there  store  journal  back     of one round trip: to the server, in the
 *             store, until a change was on disk (only of a change), and back
 *   trips     instead of these four: all round trips, if there were several
 *   reply     here, until this was written
 *
 * Errors are {code, error, field}: a word that never changes, a sentence, and
 * which member or parameter is wrong (or null). What isn't HTTP the library
 * itself refuses, in words of its own. The codes are those of door.h, and
 *   400  bad-json  not-an-object  missing (or not a string)  bad-number
 *        bad-time  end-before-start (or equal)  bad-token
 *        empty-title  long-title  bad-title (not UTF-8, control characters)
 *        bad-flag  bad-format  no-such-transport
 *   404  no-such-event
 *   409  changed       by somebody else, with the `current` one
 *        token-used    for another change
 *   422  bad-file      it can't be imported; nothing of it was
 *   500  no-memory     (or no body at all)
 *   503  unreachable   the store; what became of a change isn't known: repeat
 *                      it with the same token
 *        read-only     the journal failed: it takes no more changes
 *        half-imported the store went away meanwhile, or is full: import the
 *                      file again, and the rest comes in
 *   507  no-space      nothing changed
 *   431  too-many-fields   headers, or parameters
 */
#ifndef IPCLAB_WEB_API_H
#define IPCLAB_WEB_API_H

#include "door.h"
#include "watch.h"

#include <stdatomic.h>

/* All zero is a start. */
struct api {
    struct way ways[WAYS_MAX];
    size_t count;
    atomic_size_t current; /* ways[current] carries what comes */
    const char *command;   /* "ipclab" with what means this lab; the caller's */
    struct watch watch;
};

/* A request that was let in. */
struct api_request {
    const char *method, *path;
    struct door_pairs query; /* the parameters behind '?' */
    const char *body;
    size_t len;
    uint64_t begun; /* when the gateway had its head; CLOCK_MONOTONIC, ns */
    int fd; /* its connection's, to see whether anybody still waits; or -1 */
};

/* What this path takes, or NULL: there is none like it. */
const struct door_path *api_path(const char *path);

/* Answer it: *reply is whole (reply_close), its body the caller's. The path
 * and the method are such as api_path lets in. Any thread. */
void api_answer(struct api *a, const struct api_request *rq,
                struct reply *reply);

#endif

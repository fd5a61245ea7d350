/*
 * api.h - the timetable over HTTP: JSON in, JSON out
 *
 *   GET    /api/events?from=T&to=T   {rev, events: [EVENT ...]}
 *   POST   /api/events               EVENT: 201 with the new one
 *   GET    /api/events/ID            EVENT
 *   PUT    /api/events/ID            EVENT with its rev: 409 when it changed
 *                                    meanwhile, with the `current` one
 *   DELETE /api/events/ID?rev=N      {id, rev}: N as above, 0 or none = any
 *   GET    /api/events/ID/conflicts  {events: [EVENT ...]}: what overlaps it
 *   GET    /api/changes?rev=N&up=B   {rev, up, pid, why}: as soon as it differs
 *                                    from N and B (true, false), at the latest
 *                                    after 20 seconds
 *   GET    /api/transports           {gateway, store, current, ways: [...]}
 *   PUT    /api/transport            {"name": "fifo"}: from now on, for all
 *   GET    /api/ping?via=NAME        one round trip
 *   POST   /api/import               JSON or iCalendar, as exchange.h reads it:
 *                                    {imported, before, notes}
 *   GET    /api/export?format=json   a file; ics too
 *
 * EVENT is {id, rev, title, start, end}; times are "2026-11-23T09:00:00Z", and
 * only that. POST and PUT may carry "token", 16 hex digits: repeated with the
 * same token a change is made once. What came over the store's transport
 * carries its "journey".
 *
 * Errors: {error, field}: a sentence, and which member is wrong (or null).
 *   400 the request or a value   404 no such event   409 changed meanwhile, or
 *   a token of another change    422 a file that can't be imported
 *   503 the store can't be reached, or takes no changes   507 no room
 */
#ifndef IPCLAB_WEB_API_H
#define IPCLAB_WEB_API_H

#include "door.h"
#include "watch.h"

#include <stdatomic.h>

/* All zero, with `calendar` made, is a start. */
struct api {
    struct way ways[WAYS_MAX];
    size_t count;
    atomic_size_t current; /* ways[current] carries what comes */
    pthread_mutex_t
        calendar; /* one thread at a time reads a calendar (ics.h) */
    struct watch watch;
};

/* A request that was let in. */
struct api_request {
    const char *method, *path;
    /* The value of a parameter behind '?', or NULL. */
    const char *(*query)(void *arg, const char *name);
    void *arg;
    const char *body;
    size_t len;
    bool calendar;  /* the body is text/calendar */
    uint64_t begun; /* when the gateway had its head; CLOCK_MONOTONIC, ns */
};

struct api_reply {
    int status;
    char *body; /* malloc'ed, the caller's */
    size_t len;
    const char *type; /* constant; NULL = JSON */
    const char *name; /* of a file to be saved; constant, or NULL */
};

/* What this path takes, or NULL: there is none like it. */
const struct door_path *api_path(const char *path);

/* Answer it. Any thread. */
void api_answer(struct api *a, const struct api_request *rq,
                struct api_reply *reply);

/* {error, field} as a body; `field` may be NULL. */
void api_error(struct api_reply *reply, int status, const char *field,
               const char *sentence);

#endif

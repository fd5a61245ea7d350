/*
 * api_call.h - one request on its way through the API
 *
 *      api.c            finds its handler
 *      api_events.c     handlers: events
 *      api_files.c        import and export
 *      api_ways.c         transports, round trips, news
 *      api_call.c       what they share: arguments in, the store asked, its
 *                       refusals and the journey out
 */
#ifndef IPCLAB_WEB_API_CALL_H
#define IPCLAB_WEB_API_CALL_H

#include "api.h"

#include <cjson/cJSON.h>

struct call {
    struct api *a;
    const struct api_request *rq;
    struct reply *reply; /* open */
    struct way *way; /* carries this request, whatever is chosen meanwhile */
    uint32_t id;     /* the one in the path; 0 = none */
    cJSON *in;       /* the body; NULL = none, or not JSON's */
    struct journey journey;
    char refusal[WAY_WHY_MAX]; /* why call_ask's result wasn't 0 */
};

/* Answer with reply_error. False, so that a check can return it. */
bool call_refuse(const struct call *c, enum refusal why, const char *field,
                 const char *sentence);

/* ---- arguments: true; or false, and the refusal is the answer ----------- */

/* The member `field`, a string, of the body, an object; the tree's. */
bool call_string(const struct call *c, const char *field, const char **text);

/* The same, as seconds of UTC. */
bool call_time(const struct call *c, const char *field, int64_t *t);

/* The member "token", else the parameter; a new one if there is neither. */
bool call_token(const struct call *c, uint64_t *token);

/* A parameter, `usual` if it isn't there. call_query: NULL. */
const char *call_query(const struct call *c, const char *name);
bool call_query_number(const struct call *c, const char *name, uint64_t usual,
                       uint64_t *v);
bool call_query_time(const struct call *c, const char *name, int64_t usual,
                     int64_t *t);

/* ---- the store ---------------------------------------------------------- */

/* way_ask over c->way, with c's journey and refusal. */
int call_ask(struct call *c, way_request *ask, void *arg);

/* Answer with what call_ask gave that wasn't 0. */
void call_fail(const struct call *c, int result);

/* ---- answers ------------------------------------------------------------ */

/* An event's members, without braces. */
void call_put_event(FILE *out, const struct event *ev);

/* The last members of an object, and its brace: the journey. */
void call_put_journey(const struct call *c);

/* ---- the handlers ------------------------------------------------------- */

typedef void call_handler(struct call *c);

call_handler list_events, list_conflicts, get_event, add_event, update_event,
    remove_event;
call_handler import_file, export_file;
call_handler get_transports, put_transport, get_ping, get_changes;

#endif

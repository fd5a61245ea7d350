/*
 * api.c - see api.h
 *
 * Which handler answers which path; what they share is in api_call.h.
 */
#include "api_call.h"

#include "json.h"

#include <stdlib.h>
#include <string.h>

#define EVENT_BODY_MAX  4096       /* bytes: a title escaped, and the rest */
#define IMPORT_BODY_MAX (8u << 20) /* bytes */

/* '#' stands for an event's id. */
static const struct route {
    const char *path;
    struct door_path takes;
    call_handler *get, *post, *put, *remove;
} routes[] = {
    {"/api/events",
     {"GET, POST", EVENT_BODY_MAX, false},
     .get = list_events,
     .post = add_event},
    {"/api/events/#",
     {"GET, PUT, DELETE", EVENT_BODY_MAX, false},
     .get = get_event,
     .put = update_event,
     .remove = remove_event},
    {"/api/events/#/conflicts", {"GET", 0, false}, .get = list_conflicts},
    {"/api/changes", {"GET", 0, false}, .get = get_changes},
    {"/api/transports", {"GET", 0, false}, .get = get_transports},
    {"/api/transport", {"PUT", EVENT_BODY_MAX, false}, .put = put_transport},
    {"/api/ping", {"GET", 0, false}, .get = get_ping},
    {"/api/import", {"POST", IMPORT_BODY_MAX, true}, .post = import_file},
    {"/api/export", {"GET", 0, false}, .get = export_file},
};

/* A whole number from 1, as it is in a path: its length, or 0. */
static size_t read_id(const char *text, uint32_t *id)
{
    size_t n = strspn(text, "0123456789");
    uint64_t v;

    if (n == 0 || n > 10 || text[0] == '0')
        return 0;
    v = strtoull(text, NULL, 10);
    *id = (uint32_t)v;
    return v <= UINT32_MAX ? n : 0;
}

static bool matches(const char *pattern, const char *path, uint32_t *id)
{
    for (; *pattern && *path; pattern++) {
        size_t n = *pattern == '#' ? read_id(path, id) : *pattern == *path;

        if (n == 0)
            return false;
        path += n;
    }
    return *pattern == *path; /* both at their end */
}

static const struct route *find_route(const char *path, uint32_t *id)
{
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        if (matches(routes[i].path, path, id))
            return &routes[i];
    return NULL;
}

const struct door_path *api_path(const char *path)
{
    uint32_t id;
    const struct route *r = find_route(path, &id);

    return r ? &r->takes : NULL;
}

static call_handler *handler_of(const struct route *r, const char *method)
{
    return !strcmp(method, "GET")    ? r->get
           : !strcmp(method, "POST") ? r->post
           : !strcmp(method, "PUT")  ? r->put
                                     : r->remove;
}

/* False: the body isn't JSON. A file is looked at by its own reader. */
static bool parse_body(struct call *c, const struct route *r)
{
    char why[160], text[200];
    size_t line;

    if (c->rq->len == 0 || r->takes.calendar)
        return true;
    c->in = json_parse(c->rq->body, c->rq->len, &line, why, sizeof why);
    if (c->in)
        return true;
    if (line == 0)
        return call_refuse(c, REPLY_NO_MEMORY, NULL, why);
    (void)snprintf(text, sizeof text, "line %zu: %s", line, why);
    return call_refuse(c, REPLY_BAD_JSON, NULL, text);
}

void api_answer(struct api *a, const struct api_request *rq,
                struct reply *reply)
{
    struct call c = {.a = a,
                     .rq = rq,
                     .reply = reply,
                     .way = &a->ways[atomic_load(&a->current)]};
    const struct route *r = find_route(rq->path, &c.id);

    *reply = (struct reply){0};
    if (!reply_open(reply))
        return;
    if (parse_body(&c, r))
        handler_of(r, rq->method)(&c); /* door_enter has checked both */
    cJSON_Delete(c.in);
    reply_close(reply);
}

/*
 * api.c - see api.h
 *
 *   api_answer   finds the path's handler
 *   handlers     JSON -> arguments -> way_ask -> JSON
 *   ask_...      what is done with the store's client; may be done twice
 */
#include "api.h"

#include "clock.h"
#include "exchange.h"
#include "ics.h"
#include "json.h"
#include "timestamp.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define EVENT_BODY_MAX  4096       /* bytes: a title escaped, and the rest */
#define IMPORT_BODY_MAX (8u << 20) /* bytes */
#define CHANGES_MS      20000      /* longest wait for a change */
#define PLOT_SAMPLES    60         /* round trips shown of each way */

/* One request on its way through a handler. */
struct call {
    struct api *a;
    const struct api_request *rq;
    struct api_reply *reply;
    uint32_t id; /* the one in the path; 0 = none */
    cJSON *in;   /* the body; NULL = none */
    struct journey journey;
    char refusal[WAY_WHY_MAX];
};

/* ---- replies --------------------------------------------------------------- */

static void put_json(struct api_reply *reply, int status, cJSON *json)
{
    reply->status = status;
    reply->body = json ? cJSON_PrintUnformatted(json) : NULL;
    reply->len = reply->body ? strlen(reply->body) : 0;
    if (!reply->body)
        reply->status = 500; /* out of memory: an empty body says as much */
    cJSON_Delete(json);
}

void api_error(struct api_reply *reply, int status, const char *field,
               const char *sentence)
{
    cJSON *o = cJSON_CreateObject();

    (void)cJSON_AddStringToObject(o, "error", sentence); /* put_json sees it */
    if (field)
        (void)cJSON_AddStringToObject(o, "field", field);
    else
        (void)cJSON_AddNullToObject(o, "field");
    put_json(reply, status, o);
}

static cJSON *event_json(const struct event *ev)
{
    char start[TIMESTAMP_SIZE], end[TIMESTAMP_SIZE];
    cJSON *o = cJSON_CreateObject();

    (void)cJSON_AddNumberToObject(o, "id", ev->id);
    (void)cJSON_AddNumberToObject(o, "rev", (double)ev->rev);
    (void)cJSON_AddStringToObject(o, "title", ev->title);
    (void)cJSON_AddStringToObject(o, "start",
                                  timestamp_format(ev->start, start));
    (void)cJSON_AddStringToObject(o, "end", timestamp_format(ev->end, end));
    return o;
}

static void add_hop(cJSON *hops, const char *name, uint64_t from, uint64_t to)
{
    cJSON *o = cJSON_CreateObject();

    (void)cJSON_AddStringToObject(o, "hop", name);
    (void)cJSON_AddNumberToObject(o, "ns", to > from ? (double)(to - from) : 0);
    (void)cJSON_AddItemToArray(hops, o);
}

/* Where this request has been, and how long: the sum of its hops is the time
 * from its arrival here to now. */
static void add_journey(const struct call *c, cJSON *o)
{
    const struct journey *j = &c->journey;
    const struct wire_stamps *s = &j->stamps;
    cJSON *out = cJSON_AddObjectToObject(o, "journey");
    cJSON *hops = cJSON_AddArrayToObject(out, "hops");
    uint64_t stored = s->synced ? s->synced : s->handled;
    struct sight sight;

    if (!j->way)
        return;
    watch_see(&c->a->watch, &sight);
    (void)cJSON_AddStringToObject(out, "transport", j->way->t->name);
    (void)cJSON_AddStringToObject(out, "wait",
                                  j->way->wait == TP_SPIN    ? "spin"
                                  : j->way->wait == TP_ADAPT ? "adapt"
                                                             : "block");
    (void)cJSON_AddNumberToObject(out, "gateway", (double)getpid());
    (void)cJSON_AddNumberToObject(out, "store", (double)sight.pid);
    (void)cJSON_AddNumberToObject(out, "trips", j->trips);
    (void)cJSON_AddNumberToObject(out, "sent", (double)j->sent_bytes);
    (void)cJSON_AddNumberToObject(out, "received", (double)j->received_bytes);
    add_hop(hops, "gateway", c->rq->begun, j->begun);
    add_hop(hops, "there", j->begun, s->received);
    add_hop(hops, "store", s->received, s->handled);
    if (s->synced)
        add_hop(hops, "journal", s->handled, s->synced);
    add_hop(hops, "back", stored, j->done);
    add_hop(hops, "reply", j->done, (uint64_t)clock_now_ns());
}

static void answer(const struct call *c, int status, cJSON *o)
{
    add_journey(c, o);
    put_json(c->reply, status, o);
}

static void no_such_event(const struct call *c)
{
    api_error(c->reply, 404, NULL, "there is no such event (any more)");
}

/* The store's refusal, or what became of the way there. */
static void fail(struct call *c, int result)
{
    switch (result) {
    case WIRE_NOT_FOUND: no_such_event(c); break;
    case WIRE_BAD_TITLE: api_error(c->reply, 400, "title", c->refusal); break;
    case WIRE_BAD_TIME: api_error(c->reply, 400, "end", c->refusal); break;
    case WIRE_BAD_TOKEN: api_error(c->reply, 409, "token", c->refusal); break;
    case WIRE_NO_SPACE: api_error(c->reply, 507, NULL, c->refusal); break;
    default: api_error(c->reply, 503, NULL, c->refusal);
    }
}

static int ask(struct call *c, way_request *request, void *arg)
{
    struct way *w = &c->a->ways[atomic_load(&c->a->current)];
    int result = way_ask(w, request, arg, &c->journey, c->refusal);

    if (result < 0 && !c->refusal[0])
        (void)snprintf(c->refusal, sizeof c->refusal, "%s", strerror(-result));
    return result;
}

/* ---- what comes in --------------------------------------------------------- */

/* A member that must be a string; else 400. */
static const char *need_string(const struct call *c, const char *field)
{
    const char *text = json_string(c->in, field);

    if (!text)
        api_error(c->reply, 400, field, "it is missing, or not a string");
    return text;
}

static bool need_time(const struct call *c, const char *field, int64_t *t)
{
    const char *text = need_string(c, field);

    if (!text)
        return false;
    if (timestamp_parse(text, t) == 0)
        return true;
    api_error(c->reply, 400, field,
              "not a time like 2026-11-23T09:00:00Z, or no such date");
    return false;
}

/* "token": given, or a new one. False: it was a bad one. */
static bool take_token(const struct call *c, uint64_t *token)
{
    const cJSON *o = cJSON_GetObjectItemCaseSensitive(c->in, "token");
    const char *text = cJSON_GetStringValue(o);

    *token = client_token();
    if (!o)
        return true;
    if (text && strlen(text) == 16 && strspn(text, "0123456789abcdef") == 16)
        *token = strtoull(text, NULL, 16);
    if (text && *token != 0 && strlen(text) == 16)
        return true;
    api_error(c->reply, 400, "token", "not 16 hexadecimal digits");
    return false;
}

/* Title, start and end. The title is the tree's. */
static bool take_event(const struct call *c, struct event *ev)
{
    const char *fault;

    if (!cJSON_IsObject(c->in)) {
        api_error(c->reply, 400, NULL, "not a JSON object");
        return false;
    }
    ev->title = need_string(c, "title");
    if (!ev->title || !need_time(c, "start", &ev->start) ||
        !need_time(c, "end", &ev->end))
        return false;
    fault = exchange_title_fault(ev->title);
    if (fault) {
        api_error(c->reply, 400, "title", fault);
        return false;
    }
    fault = exchange_times_fault(ev->start, ev->end);
    if (fault) {
        api_error(c->reply, 400, "end", fault);
        return false;
    }
    ev->title_len = (uint8_t)strlen(ev->title);
    return true;
}

static const char *query(const struct call *c, const char *name)
{
    return c->rq->query(c->rq->arg, name);
}

/* A parameter that is a number; `usual` when it isn't there. */
static bool query_number(const struct call *c, const char *name, uint64_t usual,
                         uint64_t *v)
{
    const char *text = query(c, name);

    *v = usual;
    if (!text)
        return true;
    if (*text && strlen(text) < 16 &&
        strspn(text, "0123456789") == strlen(text)) {
        *v = strtoull(text, NULL, 10);
        return true;
    }
    api_error(c->reply, 400, name, "not a number");
    return false;
}

static bool query_time(const struct call *c, const char *name, int64_t usual,
                       int64_t *t)
{
    const char *text = query(c, name);

    *t = usual;
    if (!text || timestamp_parse(text, t) == 0)
        return true;
    api_error(c->reply, 400, name, "not a time like 2026-11-23T09:00:00Z");
    return false;
}

/* ---- lists ----------------------------------------------------------------- */

struct list {
    int64_t from, to;
    uint32_t id; /* conflicts; 0 = all between from and to */
    uint64_t rev;
    cJSON *events;
};

static bool take(const struct event *ev, void *arg)
{
    return cJSON_AddItemToArray(arg, event_json(ev));
}

static int ask_list(struct client *c, void *arg)
{
    struct list *l = arg;
    int err;

    cJSON_Delete(l->events); /* of a first try */
    l->events = cJSON_CreateArray();
    err = l->id ? client_conflicts(c, l->id, take, l->events)
                : client_list(c, l->from, l->to, take, l->events);
    l->rev = c->rev;
    return err;
}

static void answer_list(struct call *c, struct list *l)
{
    int result = ask(c, ask_list, l);
    cJSON *o;

    if (result != 0) {
        cJSON_Delete(l->events);
        fail(c, result);
        return;
    }
    o = cJSON_CreateObject();
    (void)cJSON_AddNumberToObject(o, "rev", (double)l->rev);
    (void)cJSON_AddItemToObject(o, "events", l->events);
    answer(c, 200, o);
}

static void get_events(struct call *c)
{
    struct list l = {0};

    if (query_time(c, "from", EVENT_TIME_MIN, &l.from) &&
        query_time(c, "to", EVENT_TIME_MAX, &l.to))
        answer_list(c, &l);
}

static void get_conflicts(struct call *c)
{
    answer_list(c, &(struct list){.id = c->id});
}

/* ---- one event ------------------------------------------------------------- */

struct change {
    struct event event;
    uint64_t token, expect, rev;
    uint32_t id;
};

static int ask_get(struct client *c, void *arg)
{
    struct client_event *e = arg;

    return client_get(c, e->event.id, e);
}

static int ask_add(struct client *c, void *arg)
{
    struct change *ch = arg;

    return client_add(c, ch->token, &ch->event, &ch->id, &ch->rev);
}

static int ask_update(struct client *c, void *arg)
{
    struct change *ch = arg;

    return client_update(c, ch->token, &ch->event, ch->expect, &ch->rev);
}

static int ask_remove(struct client *c, void *arg)
{
    struct change *ch = arg;

    return client_remove(c, ch->token, ch->id, ch->expect, &ch->rev);
}

static void get_event(struct call *c)
{
    struct client_event e = {.event.id = c->id};
    int result = ask(c, ask_get, &e);

    if (result == 0)
        answer(c, 200, event_json(&e.event));
    else
        fail(c, result);
}

/* Others hear of it before the watch looks again. */
static void answer_changed(struct call *c, int status, const struct event *ev)
{
    watch_tell(&c->a->watch, ev->rev);
    answer(c, status, event_json(ev));
}

static void add_event(struct call *c)
{
    struct change ch = {0};
    int result;

    if (!take_event(c, &ch.event) || !take_token(c, &ch.token))
        return;
    result = ask(c, ask_add, &ch);
    if (result != 0) {
        fail(c, result);
        return;
    }
    ch.event.id = ch.id;
    ch.event.rev = ch.rev;
    answer_changed(c, 201, &ch.event);
}

/* Somebody else was faster: both versions are shown to the user. */
static void answer_conflict(struct call *c)
{
    struct client_event e = {.event.id = c->id};
    cJSON *o;

    if (ask(c, ask_get, &e) != 0) {
        no_such_event(c);
        return;
    }
    o = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(o, "error",
                                  "somebody else has changed it meanwhile");
    (void)cJSON_AddNullToObject(o, "field");
    (void)cJSON_AddItemToObject(o, "current", event_json(&e.event));
    answer(c, 409, o);
}

static void update_event(struct call *c)
{
    struct change ch = {0};
    int result;

    if (!take_event(c, &ch.event) || !take_token(c, &ch.token))
        return;
    ch.event.id = c->id;
    if (json_number(c->in, "rev", &ch.expect) < 0) {
        api_error(c->reply, 400, "rev", "it is missing, or not a number");
        return;
    }
    result = ask(c, ask_update, &ch);
    if (result == WIRE_CHANGED) {
        answer_conflict(c);
    } else if (result != 0) {
        fail(c, result);
    } else {
        ch.event.rev = ch.rev;
        answer_changed(c, 200, &ch.event);
    }
}

static void remove_event(struct call *c)
{
    struct change ch = {.id = c->id, .token = client_token()};
    cJSON *o;
    int result;

    if (!query_number(c, "rev", 0, &ch.expect))
        return;
    result = ask(c, ask_remove, &ch);
    if (result == WIRE_CHANGED) {
        answer_conflict(c);
        return;
    }
    if (result != 0) {
        fail(c, result);
        return;
    }
    watch_tell(&c->a->watch, ch.rev);
    o = cJSON_CreateObject();
    (void)cJSON_AddNumberToObject(o, "id", ch.id);
    (void)cJSON_AddNumberToObject(o, "rev", (double)ch.rev);
    answer(c, 200, o);
}

/* ---- files ----------------------------------------------------------------- */

struct import {
    const struct exchange *x;
    size_t done, fresh;
    uint64_t before; /* the store's revision when it began */
};

/* Goes on where a first try ended. An event that came in before gives the
 * revision that it got then. */
static int ask_import(struct client *c, void *arg)
{
    struct import *im = arg;
    int err = 0;

    if (im->done == 0) {
        err = client_ping(c);
        im->before = c->rev;
    }
    for (; im->done < im->x->count && err == 0; im->done += err == 0) {
        uint64_t rev;

        err = client_add(c, im->x->tokens[im->done], &im->x->events[im->done],
                         NULL, &rev);
        im->fresh += err == 0 && rev > im->before;
    }
    return err;
}

static void answer_import(struct call *c, const struct exchange *x)
{
    struct import im = {.x = x};
    int result = ask(c, ask_import, &im);
    cJSON *o;

    if (result != 0) {
        fail(c, result);
        return;
    }
    o = cJSON_CreateObject();
    (void)cJSON_AddNumberToObject(o, "imported", (double)im.fresh);
    (void)cJSON_AddNumberToObject(o, "before", (double)(x->count - im.fresh));
    (void)cJSON_AddStringToObject(o, "notes", x->notes ? x->notes : x->note);
    answer(c, 200, o);
}

static int parse_calendar(struct call *c, struct exchange *x, char *why)
{
    struct ics_opts opts = {
        .now = time(NULL), .from = EVENT_TIME_MIN, .to = EVENT_TIME_MAX};
    int err;

    (void)pthread_mutex_lock(&c->a->calendar); /* fails on misuse only */
    err = ics_parse(x, c->rq->body, c->rq->len, &opts, why, WAY_WHY_MAX);
    (void)pthread_mutex_unlock(&c->a->calendar);
    return err;
}

static void import_file(struct call *c)
{
    char why[WAY_WHY_MAX] = "";
    struct exchange x = {0};
    bool calendar = c->rq->calendar || ics_is(c->rq->body, c->rq->len);
    int err =
        calendar ? parse_calendar(c, &x, why)
                 : exchange_parse(&x, c->rq->body, c->rq->len, why, sizeof why);

    if (err == -EBADMSG)
        api_error(c->reply, 422, "file", why);
    else if (err < 0)
        api_error(c->reply, 500, "file", strerror(-err));
    else
        answer_import(c, &x);
    exchange_free(&x);
}

struct export
{
    struct event *events; /* titles are malloc'ed */
    size_t count, cap;
};

static void export_free(struct export *e)
{
    for (size_t i = 0; i < e->count; i++)
        free((char *)e->events[i].title);
    free(e->events);
    *e = (struct export){0};
}

static bool export_take(const struct event *ev, void *arg)
{
    struct export *e = arg;

    if (e->count == e->cap) {
        size_t cap = e->cap ? 2 * e->cap : 256;
        struct event *more = realloc(e->events, cap * sizeof *more);

        if (!more)
            return false;
        e->events = more;
        e->cap = cap;
    }
    e->events[e->count] = *ev;
    e->events[e->count].title = strdup(ev->title);
    if (!e->events[e->count].title)
        return false;
    e->count++;
    return true;
}

static int ask_export(struct client *c, void *arg)
{
    export_free(arg); /* of a first try */
    return client_list(c, EVENT_TIME_MIN, EVENT_TIME_MAX, export_take, arg);
}

static void export_file(struct call *c)
{
    const char *format = query(c, "format");
    bool ics = format && !strcmp(format, "ics");
    struct export e = {0};
    int result;
    FILE *out;

    if (format && !ics && strcmp(format, "json") != 0) {
        api_error(c->reply, 400, "format", "it is json or ics");
        return;
    }
    result = ask(c, ask_export, &e);
    if (result != 0) {
        export_free(&e);
        fail(c, result);
        return;
    }
    out = open_memstream(&c->reply->body, &c->reply->len);
    if (out) {
        if (ics)
            ics_write(out, e.events, e.count, "ipclab", time(NULL));
        else
            exchange_write(out, e.events, e.count, false);
        (void)fclose(out); /* in memory: what fails is seen by its length */
    }
    export_free(&e);
    c->reply->status = c->reply->body ? 200 : 500;
    c->reply->type = ics ? "text/calendar; charset=utf-8" : "application/json";
    c->reply->name = ics ? "timetable.ics" : "timetable.json";
}

/* ---- the ways -------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

/* The nearest rank of n > 0 sorted samples. */
static double percentile(const uint32_t *sorted, size_t n, unsigned percent)
{
    return sorted[(n * percent + 99) / 100 - 1];
}

static void add_samples(struct way *w, cJSON *o)
{
    uint32_t ns[WAY_SAMPLES];
    uint64_t count;
    size_t n = way_samples(w, ns, WAY_SAMPLES, &count);
    size_t shown = n < PLOT_SAMPLES ? n : PLOT_SAMPLES;
    cJSON *last = cJSON_AddArrayToObject(o, "last");

    (void)cJSON_AddNumberToObject(o, "count", (double)count);
    for (size_t i = n - shown; i < n; i++)
        (void)cJSON_AddItemToArray(last, cJSON_CreateNumber(ns[i]));
    if (n == 0)
        return;
    qsort(ns, n, sizeof *ns, by_number);
    (void)cJSON_AddNumberToObject(o, "p50", percentile(ns, n, 50));
    (void)cJSON_AddNumberToObject(o, "p99", percentile(ns, n, 99));
}

static cJSON *way_json(struct way *w)
{
    cJSON *o = cJSON_CreateObject();
    char why[WAY_WHY_MAX];

    way_state(w, why);
    (void)cJSON_AddStringToObject(o, "name", w->t->name);
    (void)cJSON_AddStringToObject(o, "blurb", w->t->blurb);
    (void)cJSON_AddBoolToObject(o, "usable", !why[0]);
    (void)cJSON_AddStringToObject(o, "why", why);
    add_samples(w, o);
    return o;
}

static void get_transports(struct call *c)
{
    struct api *a = c->a;
    cJSON *o = cJSON_CreateObject(), *ways;
    struct sight sight;

    watch_see(&a->watch, &sight);
    (void)cJSON_AddNumberToObject(o, "gateway", (double)getpid());
    (void)cJSON_AddNumberToObject(o, "store", (double)sight.pid);
    (void)cJSON_AddStringToObject(o, "current",
                                  a->ways[atomic_load(&a->current)].t->name);
    ways = cJSON_AddArrayToObject(o, "ways");
    for (size_t i = 0; i < a->count; i++)
        (void)cJSON_AddItemToArray(ways, way_json(&a->ways[i]));
    put_json(c->reply, 200, o);
}

static struct way *find_way(struct api *a, const char *name)
{
    for (size_t i = 0; name && i < a->count; i++)
        if (!strcmp(a->ways[i].t->name, name))
            return &a->ways[i];
    return NULL;
}

static int ask_ping(struct client *c, void *arg)
{
    (void)arg;
    return client_ping(c);
}

static void put_transport(struct call *c)
{
    const char *name = json_string(c->in, "name");
    struct way *w = find_way(c->a, name);
    int result;

    if (!w) {
        api_error(c->reply, 400, "name", "no transport of this name");
        return;
    }
    result = way_ask(w, ask_ping, NULL, NULL, c->refusal);
    if (result != 0) {
        fail(c, result);
        return;
    }
    atomic_store(&c->a->current, (size_t)(w - c->a->ways));
    get_transports(c);
}

static void get_ping(struct call *c)
{
    const char *via = query(c, "via");
    struct way *w = find_way(c->a, via);
    int result;

    if (via && !w) {
        api_error(c->reply, 400, "via", "no transport of this name");
        return;
    }
    result = w ? way_ask(w, ask_ping, NULL, &c->journey, c->refusal)
               : ask(c, ask_ping, NULL);
    if (result == 0)
        answer(c, 200, cJSON_CreateObject());
    else
        fail(c, result);
}

static void get_changes(struct call *c)
{
    struct sight known = {.up = true}, sight;
    const char *up = query(c, "up");
    cJSON *o;

    if (!query_number(c, "rev", 0, &known.rev))
        return;
    known.up = !up || strcmp(up, "false") != 0;
    watch_wait(&c->a->watch, &known, CHANGES_MS, &sight);
    o = cJSON_CreateObject();
    (void)cJSON_AddNumberToObject(o, "rev", (double)sight.rev);
    (void)cJSON_AddBoolToObject(o, "up", sight.up);
    (void)cJSON_AddNumberToObject(o, "pid", (double)sight.pid);
    (void)cJSON_AddStringToObject(o, "why", sight.why);
    put_json(c->reply, 200, o);
}

/* ---- paths ----------------------------------------------------------------- */

typedef void handler(struct call *c);

/* '#' stands for an event's id. */
static const struct route {
    const char *path;
    struct door_path takes;
    handler *get, *post, *put, *remove;
} routes[] = {
    {"/api/events",
     {DOOR_API, "GET, POST", EVENT_BODY_MAX, false},
     get_events,
     add_event,
     NULL,
     NULL},
    {"/api/events/#",
     {DOOR_API, "GET, PUT, DELETE", EVENT_BODY_MAX, false},
     get_event,
     NULL,
     update_event,
     remove_event},
    {"/api/events/#/conflicts",
     {DOOR_API, "GET", 0, false},
     get_conflicts,
     NULL,
     NULL,
     NULL},
    {"/api/changes",
     {DOOR_API, "GET", 0, false},
     get_changes,
     NULL,
     NULL,
     NULL},
    {"/api/transports",
     {DOOR_API, "GET", 0, false},
     get_transports,
     NULL,
     NULL,
     NULL},
    {"/api/transport",
     {DOOR_API, "PUT", EVENT_BODY_MAX, false},
     NULL,
     NULL,
     put_transport,
     NULL},
    {"/api/ping", {DOOR_API, "GET", 0, false}, get_ping, NULL, NULL, NULL},
    {"/api/import",
     {DOOR_API, "POST", IMPORT_BODY_MAX, true},
     NULL,
     import_file,
     NULL,
     NULL},
    {"/api/export", {DOOR_API, "GET", 0, false}, export_file, NULL, NULL, NULL},
};

#define ROUTES (sizeof routes / sizeof *routes)

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
    for (size_t i = 0; i < ROUTES; i++)
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

static handler *handler_of(const struct route *r, const char *method)
{
    return !strcmp(method, "GET")    ? r->get
           : !strcmp(method, "POST") ? r->post
           : !strcmp(method, "PUT")  ? r->put
                                     : r->remove;
}

/* A body that isn't JSON; a file is looked at by its own reader. */
static bool parse_body(struct call *c, const struct route *r)
{
    char why[160], text[200];
    size_t line;

    if (c->rq->len == 0 || r->takes.calendar)
        return true;
    c->in = json_parse(c->rq->body, c->rq->len, &line, why, sizeof why);
    if (c->in)
        return true;
    (void)snprintf(text, sizeof text, "line %zu: %s", line, why);
    api_error(c->reply, 400, NULL, text);
    return false;
}

void api_answer(struct api *a, const struct api_request *rq,
                struct api_reply *reply)
{
    struct call c = {.a = a, .rq = rq, .reply = reply};
    const struct route *r = find_route(rq->path, &c.id);

    *reply = (struct api_reply){0};
    if (parse_body(&c, r))
        handler_of(r, rq->method)(&c); /* door_enter has checked both */
    cJSON_Delete(c.in);
}

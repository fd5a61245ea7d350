/*
 * api_events.c - events over HTTP: lists, and one at a time
 *
 *   handlers    arguments -> call_ask -> JSON
 *   ask_...     what is done with the store's client; may be done twice, so
 *               that each begins anew, and a change has one token
 */
#include "api_call.h"

#include "exchange.h"
#include "json.h"

#include <inttypes.h>
#include <string.h>

/* ---- lists -------------------------------------------------------------- */

struct list {
    int64_t from, to;
    uint32_t id; /* conflicts; 0 = all between from and to */
    struct reply *reply;
    size_t count;
    const struct client *client;
    uint64_t rev; /* the first page's: what changes later is newer */
};

static bool put_event(const struct event *ev, void *arg)
{
    struct list *l = arg;

    if (l->count == 0)
        l->rev = l->client->rev;
    fputs(l->count++ ? ", {" : "{", l->reply->out);
    call_put_event(l->reply->out, ev);
    fputc('}', l->reply->out);
    return true;
}

/* The list goes out as it comes in. */
static int ask_list(struct client *c, void *arg)
{
    struct list *l = arg;
    int err;

    reply_rewind(l->reply); /* what a first try wrote */
    l->count = 0;
    l->client = c;
    fputs("{\"events\": [", l->reply->out);
    err = l->id ? client_conflicts(c, l->id, put_event, l)
                : client_list(c, l->from, l->to, put_event, l);
    fprintf(l->reply->out, "], \"rev\": %" PRIu64 ", ",
            l->count > 0 ? l->rev : c->rev);
    return err;
}

static void answer_list(struct call *c, struct list *l)
{
    int result;

    l->reply = c->reply;
    result = call_ask(c, ask_list, l);
    if (result == 0)
        call_put_journey(c);
    else
        call_fail(c, result);
}

void list_events(struct call *c)
{
    struct list l = {0};

    if (!call_query_time(c, "from", EVENT_TIME_MIN, &l.from) ||
        !call_query_time(c, "to", EVENT_TIME_MAX, &l.to))
        return;
    if (l.to < l.from)
        call_refuse(c, REPLY_END_BEFORE_START, "to", NULL);
    else
        answer_list(c, &l);
}

void list_conflicts(struct call *c)
{
    answer_list(c, &(struct list){.id = c->id});
}

/* ---- one event: arguments ----------------------------------------------- */

static enum refusal title_refusal(const char *title)
{
    size_t len = strlen(title);

    return len > EVENT_TITLE_MAX           ? REPLY_LONG_TITLE
           : event_title_blank(title, len) ? REPLY_EMPTY_TITLE
                                           : REPLY_BAD_TITLE;
}

/* Title, start and end. The title is the tree's. */
static bool take_event(const struct call *c, struct event *ev)
{
    const char *fault;

    if (!call_string(c, "title", &ev->title) ||
        !call_time(c, "start", &ev->start) || !call_time(c, "end", &ev->end))
        return false;
    fault = exchange_title_fault(ev->title);
    if (fault)
        return call_refuse(c, title_refusal(ev->title), "title", fault);
    fault = exchange_times_fault(ev->start, ev->end);
    if (fault)
        return call_refuse(c, REPLY_END_BEFORE_START, "end", fault);
    ev->title_len = (uint8_t)strlen(ev->title);
    return true;
}

/* ---- one event: answers ------------------------------------------------- */

static void answer_event(const struct call *c, int status,
                         const struct event *ev)
{
    FILE *out = c->reply->out;

    c->reply->status = status;
    fputc('{', out);
    call_put_event(out, ev);
    fputs(", ", out);
    call_put_journey(c);
}

static int ask_get(struct client *c, void *arg)
{
    struct client_event *e = arg;

    return client_get(c, e->event.id, e);
}

void get_event(struct call *c)
{
    struct client_event e = {.event.id = c->id};
    int result = call_ask(c, ask_get, &e);

    if (result == 0)
        answer_event(c, 200, &e.event);
    else
        call_fail(c, result);
}

/* Somebody else was faster: both versions are shown to the user. */
static void answer_conflict(struct call *c)
{
    struct client_event e = {.event.id = c->id};
    int result = call_ask(c, ask_get, &e);
    FILE *out = c->reply->out;

    if (result != 0) {
        call_fail(c, result);
        return;
    }
    reply_begin_error(c->reply, REPLY_CHANGED, NULL, NULL);
    fputs(", \"current\": {", out);
    call_put_event(out, &e.event);
    fputs("}, ", out);
    call_put_journey(c);
}

/* ---- one event: changes ------------------------------------------------- */

struct change {
    struct event event; /* its id and rev are the result */
    uint64_t token, expect;
};

static int ask_add(struct client *c, void *arg)
{
    struct change *ch = arg;

    return client_add(c, ch->token, &ch->event, &ch->event.id, &ch->event.rev);
}

static int ask_update(struct client *c, void *arg)
{
    struct change *ch = arg;

    return client_update(c, ch->token, &ch->event, ch->expect, &ch->event.rev);
}

static int ask_remove(struct client *c, void *arg)
{
    struct change *ch = arg;

    return client_remove(c, ch->token, ch->event.id, ch->expect,
                         &ch->event.rev);
}

/* True when it was made; others hear of it before the watch looks again. */
static bool make_change(struct call *c, way_request *ask, struct change *ch)
{
    int result = call_ask(c, ask, ch);

    if (result == 0)
        watch_tell(&c->a->watch, ch->event.rev);
    else if (result == WIRE_CHANGED)
        answer_conflict(c);
    else
        call_fail(c, result);
    return result == 0;
}

void add_event(struct call *c)
{
    struct change ch = {0};

    if (take_event(c, &ch.event) && call_token(c, &ch.token) &&
        make_change(c, ask_add, &ch))
        answer_event(c, 201, &ch.event);
}

void update_event(struct call *c)
{
    struct change ch = {0};

    if (!take_event(c, &ch.event) || !call_token(c, &ch.token))
        return;
    ch.event.id = c->id;
    if (json_number(c->in, "rev", &ch.expect) < 0)
        call_refuse(c, REPLY_BAD_NUMBER, "rev", NULL);
    else if (make_change(c, ask_update, &ch))
        answer_event(c, 200, &ch.event);
}

void remove_event(struct call *c)
{
    struct change ch = {.event.id = c->id};

    if (!call_token(c, &ch.token) ||
        !call_query_number(c, "rev", 0, &ch.expect) ||
        !make_change(c, ask_remove, &ch))
        return;
    fprintf(c->reply->out, "{\"id\": %" PRIu32 ", \"rev\": %" PRIu64 ", ",
            ch.event.id, ch.event.rev);
    call_put_journey(c);
}

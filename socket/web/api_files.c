/*
 * api_files.c - import and export over HTTP
 */
#include "api_call.h"

#include "exchange.h"
#include "ics.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define IMPORT_TURN 64 /* events added before others have a turn on this way */

/* ---- import ------------------------------------------------------------- */

struct import {
    const struct exchange *x;
    size_t done, fresh;
    uint64_t before; /* the store's revision when it began */
};

/* Some more of them, going on where the last try or turn ended. An event that
 * came in before gives the revision that it got then. */
static int ask_import(struct client *c, void *arg)
{
    struct import *im = arg;
    size_t until = im->done + IMPORT_TURN;
    int err = 0;

    if (im->done == 0) {
        err = client_ping(c);
        im->before = c->rev;
    }
    for (; im->done < im->x->count && im->done < until && err == 0;
         im->done += err == 0) {
        uint64_t rev;

        err = client_add(c, im->x->tokens[im->done], &im->x->events[im->done],
                         NULL, &rev);
        im->fresh += err == 0 && rev > im->before;
    }
    return err;
}

static void fail_import(const struct call *c, const struct import *im,
                        int result)
{
    char sentence[WAY_WHY_MAX + 120];

    if (im->done == 0) {
        call_fail(c, result);
        return;
    }
    (void)snprintf(sentence, sizeof sentence,
                   "%zu of %zu events are in; the next one: %s; import the "
                   "file again, and the rest comes in",
                   im->done, im->x->count, c->refusal);
    call_refuse(c, REPLY_HALF_IMPORTED, "file", sentence);
}

static void answer_import(struct call *c, const struct exchange *x)
{
    struct import im = {.x = x};
    FILE *out = c->reply->out;
    int result;

    do
        result = call_ask(c, ask_import, &im);
    while (result == 0 && im.done < x->count);
    if (result != 0) {
        fail_import(c, &im, result);
        return;
    }
    fprintf(out, "{\"imported\": %zu, \"before\": %zu, \"notes\": ", im.fresh,
            x->count - im.fresh);
    reply_string(out, x->notes ? x->notes : x->note);
    fputs(", ", out);
    call_put_journey(c);
}

/* JSON or a calendar: the text says which. */
static int understand(const struct call *c, struct exchange *x,
                      char why[WAY_WHY_MAX])
{
    struct ics_opts opts = {
        .now = time(NULL), .from = EVENT_TIME_MIN, .to = EVENT_TIME_MAX};

    if (!ics_is(c->rq->body, c->rq->len))
        return exchange_parse(x, c->rq->body, c->rq->len, why, WAY_WHY_MAX);
    return ics_parse(x, c->rq->body, c->rq->len, &opts, why, WAY_WHY_MAX);
}

void import_file(struct call *c)
{
    char why[WAY_WHY_MAX] = "";
    struct exchange x = {0};
    int err = understand(c, &x, why);

    if (err == -EBADMSG)
        call_refuse(c, REPLY_BAD_FILE, "file", why);
    else if (err < 0)
        call_refuse(c, REPLY_NO_MEMORY, NULL, strerror(-err));
    else
        answer_import(c, &x);
    exchange_free(&x);
}

/* ---- export ------------------------------------------------------------- */

struct export
{
    struct event *events; /* titles are malloc'ed */
    size_t count, cap;
    bool full; /* memory is */
};

static void export_free(struct export *e)
{
    for (size_t i = 0; i < e->count; i++)
        free((char *)e->events[i].title);
    free(e->events);
    *e = (struct export){0};
}

/* Room for one more event. */
static bool export_grow(struct export *e)
{
    size_t cap = e->cap ? 2 * e->cap : 256;
    struct event *more;

    if (e->count < e->cap)
        return true;
    more = realloc(e->events, cap * sizeof *more);
    if (!more)
        return false;
    e->events = more;
    e->cap = cap;
    return true;
}

static bool export_take(const struct event *ev, void *arg)
{
    struct export *e = arg;
    char *title = export_grow(e) ? strdup(ev->title) : NULL;

    e->full = !title;
    if (e->full)
        return false; /* the walk ends, as if it were complete */
    e->events[e->count] = *ev;
    e->events[e->count++].title = title;
    return true;
}

static int ask_export(struct client *c, void *arg)
{
    struct export *e = arg;
    int err;

    export_free(e); /* of a first try */
    err = client_list(c, EVENT_TIME_MIN, EVENT_TIME_MAX, export_take, e);
    return e->full ? -ENOMEM : err;
}

static void answer_export(const struct call *c, const struct export *e,
                          bool ics)
{
    struct reply *r = c->reply;

    if (ics)
        ics_write(r->out, e->events, e->count, c->way->instance, time(NULL));
    else
        exchange_write(r->out, e->events, e->count, false);
    r->type = ics ? "text/calendar; charset=utf-8" : NULL;
    r->name = ics ? "timetable.ics" : "timetable.json";
}

void export_file(struct call *c)
{
    const char *format = call_query(c, "format");
    bool ics = format && !strcmp(format, "ics");
    struct export e = {0};
    int result;

    if (format && !ics && strcmp(format, "json") != 0) {
        call_refuse(c, REPLY_BAD_FORMAT, "format", NULL);
        return;
    }
    result = call_ask(c, ask_export, &e);
    if (result == 0)
        answer_export(c, &e, ics);
    else if (e.full)
        call_refuse(c, REPLY_NO_MEMORY, NULL, strerror(ENOMEM));
    else
        call_fail(c, result);
    export_free(&e);
}

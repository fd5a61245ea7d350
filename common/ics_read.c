/*
 * ics_read.c - the events of an iCalendar file
 *
 * First every VEVENT is understood as it stands, then series are written out:
 * only then it is known which of their occurrences were changed elsewhere in
 * the file. Nothing is handed out before all of it was found good.
 */
#include "ics.h"

#include "ics_series.h"
#include "localtime.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MINUTE     60
#define YEARS_PAST 1 /* of a series without end */
#define YEARS_NEXT 2

/* ---- one VEVENT --------------------------------------------------------- */

/* A single time; whole days have no zone. */
static bool read_when(struct ics_reader *r, const struct ics_prop *p,
                      struct ics_when *when, const struct ics_zone **zone)
{
    if (!ics_check(&r->f, p, ics_read_when(p->value, when)))
        return false;
    if (!when->date && ics_param_is(p->params, "VALUE", "DATE"))
        return ics_check(&r->f, p, "not a date like 20261123");
    *zone = when->utc ? &ics_utc : NULL;
    return when->utc || when->date || ics_zone_find(&r->f, p, zone);
}

static void read_status(struct ics_reader *r, struct ics_vevent *v)
{
    const struct ics_prop *p = ics_find(v->begin, ICS_STATUS);

    v->cancelled = r->f.cancels || (p && !strcasecmp(p->value, "CANCELLED"));
    if (v->cancelled)
        ics_note(&r->f, v->begin->line, "cancelled event left out");
    else if (p && strcasecmp(p->value, "CONFIRMED") != 0)
        ics_note(&r->f, p->line, "STATUS left out");
}

static bool read_end(struct ics_reader *r, struct ics_vevent *v,
                     const struct ics_prop *p)
{
    const struct ics_zone *zone;
    struct ics_when end;

    if (!read_when(r, p, &end, &zone))
        return false;
    if (end.date != v->start.date)
        return ics_bad(&r->f, p->line,
                       "one of DTSTART and DTEND is a date, the other a time");
    if (end.date)
        v->days = (end.wall - v->start.wall) / ICS_DAY;
    else
        v->seconds =
            ics_when_moment(&end, zone) - ics_when_moment(&v->start, v->zone);
    return (v->days >= 0 && v->seconds >= 0) ||
           ics_bad(&r->f, p->line, "DTEND is before DTSTART");
}

static bool read_duration(struct ics_reader *r, struct ics_vevent *v,
                          const struct ics_prop *p)
{
    struct ics_span span;
    const char *fault = ics_read_span(p->value, &span);

    if (!fault && v->start.date && span.seconds)
        fault = "DTSTART is a date: it must last whole days";
    v->days = span.days;
    v->seconds = span.seconds;
    return ics_check(&r->f, p, fault);
}

/* An event in the store has a length. */
static bool read_length(struct ics_reader *r, struct ics_vevent *v)
{
    const struct ics_prop *end = ics_find(v->begin, ICS_DTEND);
    const struct ics_prop *p = ics_find(v->begin, ICS_DURATION);
    unsigned line = end ? end->line : p ? p->line : v->begin->line;

    if (end && p)
        return ics_bad(&r->f, p->line, "both DTEND and DURATION");
    if ((end && !read_end(r, v, end)) || (p && !read_duration(r, v, p)))
        return false;
    if (v->days > 0 || v->seconds > 0)
        return true;
    if (!v->start.date)
        ics_note(&r->f, line, "no length: made one minute long");
    else if (end || p)
        ics_note(&r->f, line, "end = start: made one day long");
    *(v->start.date ? &v->days : &v->seconds) = v->start.date ? 1 : MINUTE;
    return true;
}

static bool read_vevent(struct ics_reader *r, struct ics_vevent *v)
{
    const struct ics_prop *start = ics_find(v->begin, ICS_DTSTART);
    const struct ics_prop *uid = ics_find(v->begin, ICS_UID);
    struct ics_gap *g = &v->changed;

    if (!start)
        return ics_bad(&r->f, v->begin->line, "this event has no DTSTART");
    v->uid = uid ? uid->value : "";
    if (!read_when(r, start, &v->start, &v->zone) || !read_length(r, v))
        return false;
    v->title = ics_title(&r->f, v->begin);
    read_status(r, v);
    g->p = ics_find(v->begin, ICS_RECURRENCE_ID);
    if (!g->p)
        return true;
    if (ics_param_is(g->p->params, "RANGE", "THISANDFUTURE"))
        ics_note(&r->f, g->p->line,
                 "RANGE=THISANDFUTURE: only this one occurrence changed");
    return read_when(r, g->p, &g->when, &g->zone);
}

/* ---- the whole ---------------------------------------------------------- */

static int by_uid(const void *a, const void *b)
{
    const struct ics_vevent *v = *(struct ics_vevent *const *)a;
    const struct ics_vevent *w = *(struct ics_vevent *const *)b;
    int order = strcmp(v->uid, w->uid);

    return order ? order : v < w ? -1 : v > w;
}

static void find_groups(struct ics_reader *r)
{
    const struct ics_vevent *last = NULL; /* no changed occurrence */

    qsort(r->by_uid, r->f.events, sizeof *r->by_uid, by_uid);
    for (size_t i = 0; i < r->f.events; i++) {
        struct ics_vevent *v = r->by_uid[i];
        bool same = i > 0 && !strcmp(v->uid, r->by_uid[i - 1]->uid);

        v->group = same ? r->by_uid[i - 1]->group : i;
        if (v->changed.p || !*v->uid)
            continue;
        if (last && last->group == v->group)
            ics_note(&r->f, v->begin->line, "UID of another event; taken too");
        last = v;
    }
}

static bool read_vevents(struct ics_reader *r)
{
    const struct ics_prop *p = r->f.props.at;
    size_t n = 0;

    r->events = calloc(r->f.events + 1, sizeof *r->events);
    r->by_uid = calloc(r->f.events + 1, sizeof *r->by_uid);
    if (!r->events || !r->by_uid) {
        r->f.err = -ENOMEM;
        return false;
    }
    for (; p->kind != ICS_END; p++) {
        if (p->kind != ICS_EVENT)
            continue;
        if (n == ICS_EVENTS_MAX)
            return ics_bad(&r->f, p->line, "more than %u events",
                           ICS_EVENTS_MAX);
        r->events[n].begin = p;
        r->by_uid[n] = &r->events[n];
        if (!read_vevent(r, &r->events[n++]))
            return false;
    }
    find_groups(r);
    for (size_t i = 0; i < n; i++)
        if (!r->events[i].cancelled && !ics_series_write(r, &r->events[i]))
            return false;
    return true;
}

/* A series without end is taken from whole days, so that it doesn't matter at
 * what time of day it is imported. What --from and --to say comes first. */
static void set_window(struct ics_reader *r)
{
    const struct ics_opts *o = r->opts;
    int64_t day = local_split(o->now).day;
    int64_t from = local_day_start(day - YEARS_PAST * 365);
    int64_t to = local_day_start(day + YEARS_NEXT * 365 + 1);

    r->endless_from = o->from;
    r->endless_to = o->to;
    if (o->from == EVENT_TIME_MIN)
        r->endless_from =
            from < o->to ? from : o->to - YEARS_PAST * 365 * ICS_DAY;
    if (o->to == EVENT_TIME_MAX)
        r->endless_to =
            to > o->from ? to : o->from + YEARS_NEXT * 365 * ICS_DAY;
}

/* Hands out all events, or none: then why is in f.err. */
static void finish(struct ics_reader *r, struct exchange *x)
{
    if (r->f.err) {
        free(r->out.at);
        return;
    }
    x->events = r->out.at ? r->out.at : calloc(1, sizeof *x->events);
    x->count = r->out.count;
    x->tokens = calloc(x->count + 1, sizeof *x->tokens);
    x->notes = ics_notes_text(&r->f);
    r->f.err = -ENOMEM;
    if (x->events && x->tokens && x->notes)
        r->f.err = exchange_give_tokens(x);
    if (r->f.err)
        x->count = 0;
}

bool ics_is(const char *text, size_t len)
{
    static const char begin[] = "BEGIN:VCALENDAR";

    if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
        text += 3;
        len -= 3;
    }
    for (; len > 0 && *text && strchr("\r\n\t ", *text); len--)
        text++;
    return len >= sizeof begin - 1 &&
           !strncasecmp(text, begin, sizeof begin - 1);
}

int ics_parse(struct exchange *x, const char *text, size_t len,
              const struct ics_opts *opts, char *why, size_t cap)
{
    struct ics_reader r = {
        .f = {.why = why, .cap = cap, .steps = ICS_STEPS_MAX}, .opts = opts};

    *x = (struct exchange){0};
    if (len > ICS_FILE_MAX) {
        ics_bad(&r.f, 1, "a calendar of more than %u MiB", ICS_FILE_MAX >> 20);
        return r.f.err;
    }
    x->text = malloc(len + 1);
    if (!x->text)
        return -ENOMEM;
    memcpy(x->text, text, len);
    set_window(&r);
    if (ics_file_read(&r.f, x->text, len) && ics_zones_read(&r.f))
        (void)read_vevents(&r); /* r.f.err says how it went */
    finish(&r, x);
    free(r.events);
    free(r.by_uid);
    ics_zones_free(&r.f);
    ics_file_free(&r.f);
    return r.f.err;
}

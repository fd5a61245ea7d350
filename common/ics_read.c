/*
 * ics_read.c - the events of an iCalendar file
 *
 * First every VEVENT is understood as it stands, then series are written out:
 * only then it is known which of their occurrences were changed elsewhere in
 * the file. Nothing is handed out before all of it was found good.
 */
#include "ics.h"

#include "ics_rule.h"
#include "ics_zone.h"
#include "localtime.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MINUTE     60
#define YEARS_PAST 1 /* of a series without end */
#define YEARS_NEXT 2

/* ---- what is known of an event ------------------------------------------ */

struct vevent {
    const struct ics_part *part;
    const char *uid; /* "" = none */
    const char *title;
    struct ics_when start;
    const struct ics_zone *zone; /* NULL = local time */
    int64_t days;                /* how long: days by the calendar, */
    int64_t seconds;             /* and then seconds by the clock */
    bool cancelled;
    const struct ics_prop *replaces; /* RECURRENCE-ID; NULL = none */
    struct ics_when replaced;        /* and what it says */
    int64_t replaced_at;             /* the same in UTC */
};

struct reader {
    const struct ics_why *why;
    const struct ics_opts *opts;
    int64_t endless_from, endless_to; /* what is taken of an endless series */
    struct ics_file file;
    struct ics_zones zones;
    int64_t steps; /* left for rules */
    struct vevent *events;
    struct vevent **by_uid; /* the same, sorted */
    size_t count;
    struct exchange *x;
    size_t cap; /* of x->events */
};

/* ---- times of a line ---------------------------------------------------- */

static int find_zone(struct reader *r, const struct ics_prop *p,
                     const struct ics_zone **zone)
{
    char quote[ICS_QUOTE_SIZE];
    size_t len;
    const char *name = ics_param(p->params, "TZID", &len);
    int err;

    *zone = NULL;
    if (!name)
        return 0;
    err = ics_zone_find(&r->zones, name, len, zone);
    if (err == -ENOENT)
        return ics_bad(r->why, p->line,
                       "the time zone '%s' is described nowhere in the file, "
                       "and this machine doesn't know it",
                       ics_quote(quote, name, len));
    return err;
}

/* A single time; whole days have no zone. */
static int read_when(struct reader *r, const struct ics_prop *p,
                     struct ics_when *when, const struct ics_zone **zone)
{
    const char *fault = ics_read_when(p->value, strlen(p->value), when);
    bool date = ics_param_is(p->params, "VALUE", "DATE");

    *zone = &ics_utc;
    if (!fault && date && !when->date)
        fault = "not a date like 20261123";
    if (fault)
        return ics_bad(r->why, p->line, "%s", fault);
    if (when->date)
        *zone = NULL;
    return when->utc || when->date ? 0 : find_zone(r, p, zone);
}

static int64_t moment(const struct ics_when *when, const struct ics_zone *zone)
{
    return ics_moment(when->utc ? &ics_utc : zone, when->wall);
}

/* ---- one VEVENT --------------------------------------------------------- */

static const struct ics_prop *prop(struct reader *r, const struct vevent *v,
                                   enum ics_kind kind)
{
    return ics_find(&r->file, v->part, kind);
}

static void read_title(struct reader *r, struct vevent *v)
{
    const struct ics_prop *p = prop(r, v, ICS_SUMMARY);
    unsigned done = p ? ics_title(p->value) : ICS_TITLE_EMPTY;
    size_t line = p ? p->line : v->part->line;

    v->title = done & ICS_TITLE_EMPTY ? "(untitled)" : p->value;
    if (done & ICS_TITLE_EMPTY)
        ics_note(&r->file.notes, line, "no SUMMARY: called \"(untitled)\"");
    if (done & ICS_TITLE_CUT)
        ics_note(&r->file.notes, line, "title cut to %d bytes",
                 EVENT_TITLE_MAX);
    if (done & ICS_TITLE_CONTROL)
        ics_note(&r->file.notes, line,
                 "line end or control character of a title made a space");
}

static void read_status(struct reader *r, struct vevent *v)
{
    const struct ics_prop *p = prop(r, v, ICS_STATUS);

    v->cancelled = r->file.cancels || (p && !strcasecmp(p->value, "CANCELLED"));
    if (v->cancelled)
        ics_note(&r->file.notes, v->part->line, "cancelled event left out");
    else if (p && strcasecmp(p->value, "CONFIRMED") != 0)
        ics_note(&r->file.notes, p->line, "STATUS left out");
}

/* An event in the store has a length. */
static void no_length(struct reader *r, struct vevent *v, size_t line)
{
    if (v->start.date) {
        v->days = 1;
        ics_note(&r->file.notes, line, "end = start: made one day long");
    } else {
        v->seconds = MINUTE;
        ics_note(&r->file.notes, line, "no length: made one minute long");
    }
}

static int read_end(struct reader *r, struct vevent *v,
                    const struct ics_prop *p)
{
    const struct ics_zone *zone;
    struct ics_when end;
    int err = read_when(r, p, &end, &zone);

    if (err < 0)
        return err;
    if (end.date != v->start.date)
        return ics_bad(r->why, p->line,
                       "one of DTSTART and DTEND is a date, the other a time");
    if (end.date)
        v->days = (end.wall - v->start.wall) / ICS_DAY;
    else
        v->seconds = moment(&end, zone) - moment(&v->start, v->zone);
    if (v->days < 0 || v->seconds < 0)
        return ics_bad(r->why, p->line, "DTEND is before DTSTART");
    if (v->days == 0 && v->seconds == 0)
        no_length(r, v, p->line);
    return 0;
}

static int read_length(struct reader *r, struct vevent *v)
{
    const struct ics_prop *end = prop(r, v, ICS_DTEND);
    const struct ics_prop *p = prop(r, v, ICS_DURATION);
    struct ics_span span;
    const char *fault;

    if (end && p)
        return ics_bad(r->why, p->line, "both DTEND and DURATION");
    if (end)
        return read_end(r, v, end);
    if (!p) {
        v->days = v->start.date;
        if (!v->start.date)
            no_length(r, v, v->part->line);
        return 0;
    }
    fault = ics_read_span(p->value, strlen(p->value), &span);
    if (!fault && v->start.date && span.seconds)
        fault = "DTSTART is a date: it must last whole days";
    if (fault)
        return ics_bad(r->why, p->line, "%s", fault);
    v->days = span.days;
    v->seconds = span.seconds;
    if (v->days == 0 && v->seconds == 0)
        no_length(r, v, p->line);
    return 0;
}

/* An event that stands for one occurrence of another. */
static int read_replaced(struct reader *r, struct vevent *v)
{
    const struct ics_zone *zone;
    int err;

    v->replaces = prop(r, v, ICS_RECURRENCE_ID);
    if (!v->replaces)
        return 0;
    err = read_when(r, v->replaces, &v->replaced, &zone);
    if (err < 0)
        return err;
    v->replaced_at = moment(&v->replaced, zone);
    if (ics_param_is(v->replaces->params, "RANGE", "THISANDFUTURE"))
        ics_note(&r->file.notes, v->replaces->line,
                 "RANGE=THISANDFUTURE: only this one occurrence changed");
    return 0;
}

static int read_vevent(struct reader *r, struct vevent *v)
{
    const struct ics_prop *start = prop(r, v, ICS_DTSTART);
    const struct ics_prop *uid = prop(r, v, ICS_UID);
    int err;

    if (!start)
        return ics_bad(r->why, v->part->line, "this event has no DTSTART");
    v->uid = uid ? uid->value : "";
    if ((err = read_when(r, start, &v->start, &v->zone)) < 0 ||
        (err = read_length(r, v)) < 0)
        return err;
    read_title(r, v);
    read_status(r, v);
    return read_replaced(r, v);
}

/* ---- series: dates ------------------------------------------------------ */

struct times {
    int64_t start, end;
};

/* A VEVENT while its occurrences are collected. */
struct series {
    struct reader *r;
    const struct vevent *v;
    struct times *at;
    size_t count, cap;
    size_t line;      /* of the rule or list at hand */
    int64_t from, to; /* what is wanted of it */
    int64_t first;    /* the rule's first date; INT64_MAX = none yet */
    bool stopped;     /* at `to` */
    bool endless;     /* one of its rules is */
    bool counted;     /* what lies outside of from and to is noted */
    bool has_start;   /* DTSTART was among the dates */
    int err;          /* -ENOMEM, -E2BIG */
};

static bool collect(struct series *s, int64_t start, int64_t end)
{
    struct times *more;

    if (start >= s->to || end <= s->from) {
        if (s->counted)
            ics_note(&s->r->file.notes, s->line,
                     "event outside of --from and --to left out");
        return true;
    }
    if (exchange_times_fault(start, end))
        return true; /* of a series, behind the year 9999 */
    more = ics_grow(s->at, &s->cap, s->count, sizeof *s->at);
    if (more)
        s->at = more;
    s->err = !more ? -ENOMEM : s->count == ICS_SERIES_MAX ? -E2BIG : 0;
    if (s->err == 0)
        s->at[s->count++] = (struct times){start, end};
    return s->err == 0;
}

/* One whose clock shows `wall` at the start. */
static bool collect_wall(struct series *s, int64_t wall)
{
    const struct vevent *v = s->v;
    int64_t start = ics_moment(v->zone, wall), end = start;

    if (v->days)
        end = ics_moment(v->zone, wall + v->days * ICS_DAY);
    return collect(s, start, end + v->seconds);
}

static bool take_date(int64_t wall, void *arg)
{
    struct series *s = arg;

    if (s->first == INT64_MAX)
        s->first = wall;
    s->has_start = s->has_start || wall == s->v->start.wall;
    s->stopped = ics_moment(s->v->zone, wall) >= s->to;
    return !s->stopped && collect_wall(s, wall);
}

static void note_window(struct series *s, bool ends)
{
    struct local_time from = local_split(s->from), to = local_split(s->to - 1);

    if (ends)
        ics_note(&s->r->file.notes, s->line, "series cut off at --to");
    else
        ics_note(&s->r->file.notes, s->line,
                 "series without end: taken from %04d-%02d-%02d to "
                 "%04d-%02d-%02d",
                 from.year, from.month, from.mday, to.year, to.month, to.mday);
}

static int64_t until_of(const struct series *s, const struct ics_rule *rule)
{
    const struct ics_when *u = &rule->until;

    if (!rule->has_until)
        return INT64_MAX;
    if (u->date && !s->v->start.date)
        return u->wall + ICS_DAY - 1; /* not allowed, and meant like this */
    return u->utc && !s->v->start.date ? ics_wall(s->v->zone, u->wall)
                                       : u->wall;
}

static int add_rule(struct series *s, const char *text)
{
    struct reader *r = s->r;
    const struct vevent *v = s->v;
    struct ics_span_of_rule span = {.start = v->start.wall,
                                    .date = v->start.date};
    struct ics_rule rule;
    const char *fault = ics_read_rule(text, &rule);

    if (fault)
        return ics_bad(r->why, s->line, "%s", fault);
    s->counted = rule.ends;
    s->endless = s->endless || !rule.ends;
    s->from = rule.ends ? r->opts->from : r->endless_from;
    s->to = rule.ends ? r->opts->to : r->endless_to;
    s->first = INT64_MAX;
    span.from = span.start;
    if (!rule.ends)
        span.from = s->from - (v->days + 2) * ICS_DAY - v->seconds;
    span.until = until_of(s, &rule);
    fault = ics_expand(&rule, &span, &r->steps, take_date, s);
    if (fault)
        return ics_bad(r->why, s->line, "%s", fault);
    if (s->stopped)
        note_window(s, rule.ends);
    if (s->first != span.start && !(rule.skip && span.from > span.start))
        ics_note(&r->file.notes, s->line,
                 "DTSTART isn't a date of its rule; taken too");
    return 0;
}

/* ---- series: lists of dates --------------------------------------------- */

/* Whether a date was struck out, or changed by another VEVENT. */
struct gap {
    bool day;   /* any occurrence on that day */
    bool used;  /* it met one */
    int64_t at; /* UTC; with `day` the day, as if it were UTC */
    const struct ics_prop *p;
};

struct gaps {
    struct gap *at;
    size_t count, cap;
};

static int add_gap(struct gaps *g, const struct ics_when *when, int64_t at,
                   const struct ics_prop *p)
{
    struct gap *more = ics_grow(g->at, &g->cap, g->count, sizeof *g->at);

    if (!more)
        return -ENOMEM;
    g->at = more;
    g->at[g->count++] =
        (struct gap){when->date, false, when->date ? when->wall : at, p};
    return 0;
}

/* "20261123T090000Z/PT1H" or ".../20261123T100000Z". */
static const char *read_period(const struct series *s,
                               const struct ics_zone *zone, const char *text,
                               size_t len, struct times *out)
{
    const char *slash = memchr(text, '/', len), *fault;
    size_t first = slash ? (size_t)(slash - text) : 0;
    struct ics_when from, to;
    struct ics_span span;

    if (!slash)
        return "not a period like 20261123T090000Z/PT1H";
    if ((fault = ics_read_when(text, first, &from)))
        return fault;
    out->start = moment(&from, zone);
    if (slash[1] == 'P' || slash[1] == '+' || slash[1] == '-') {
        fault = ics_read_span(slash + 1, len - first - 1, &span);
        to = from;
        to.wall += fault ? 0 : span.days * ICS_DAY;
        out->end = moment(&to, zone) + (fault ? 0 : span.seconds);
    } else {
        fault = ics_read_when(slash + 1, len - first - 1, &to);
        out->end = fault ? 0 : moment(&to, zone);
    }
    if (!fault && (out->end <= out->start || from.date != s->v->start.date))
        fault = "a period that doesn't end behind its start, or a date";
    return fault;
}

static const char *add_rdate(struct series *s, const struct ics_prop *p,
                             const struct ics_zone *zone, const char *text,
                             size_t len)
{
    struct ics_when when;
    struct times t;
    const char *fault;

    if (ics_param_is(p->params, "VALUE", "PERIOD")) {
        fault = read_period(s, zone, text, len, &t);
        if (!fault)
            collect(s, t.start, t.end);
        return fault;
    }
    fault = ics_read_when(text, len, &when);
    if (!fault && when.date != s->v->start.date)
        fault = "one of DTSTART and RDATE is a date, the other a time";
    if (!fault)
        collect_wall(s, when.date ? when.wall
                                  : ics_wall(s->v->zone, moment(&when, zone)));
    return fault;
}

/* RDATE and EXDATE: lists with commas. */
static int add_list(struct series *s, struct gaps *gaps,
                    const struct ics_prop *p)
{
    const struct ics_zone *zone;
    int err = find_zone(s->r, p, &zone);
    const char *text = p->value;

    while (err == 0 && *text) {
        size_t len = strcspn(text, ",");
        struct ics_when when;
        const char *fault;

        if (p->kind == ICS_RDATE) {
            fault = add_rdate(s, p, zone, text, len);
            err = s->err;
        } else if (!(fault = ics_read_when(text, len, &when))) {
            err = add_gap(gaps, &when, moment(&when, zone), p);
        }
        if (fault)
            err = ics_bad(s->r->why, p->line, "%s", fault);
        text += len + (text[len] == ',');
    }
    return err;
}

/* The first VEVENT with this UID, in r->by_uid. */
static size_t first_with_uid(const struct reader *r, const char *uid)
{
    size_t low = 0, high = r->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(r->by_uid[middle]->uid, uid) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int add_replaced(const struct series *s, struct gaps *gaps)
{
    const struct reader *r = s->r;
    int err = 0;

    if (!*s->v->uid)
        return 0;
    for (size_t i = first_with_uid(r, s->v->uid);
         i < r->count && err == 0 && !strcmp(r->by_uid[i]->uid, s->v->uid);
         i++) {
        const struct vevent *o = r->by_uid[i];

        if (o->replaces)
            err = add_gap(gaps, &o->replaced, o->replaced_at, o->replaces);
    }
    return err;
}

/* ---- series: what remains ----------------------------------------------- */

static int by_gap(const void *a, const void *b)
{
    const struct gap *g = a, *h = b;

    if (g->day != h->day)
        return g->day ? 1 : -1;
    return g->at < h->at ? -1 : g->at > h->at;
}

/* Is there such a gap? All that are alike count as used. */
static bool meets(struct gaps *gaps, bool day, int64_t at)
{
    struct gap key = {.day = day, .at = at};
    size_t low = 0, high = gaps->count;
    bool any = false;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (by_gap(&gaps->at[middle], &key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < gaps->count && by_gap(&gaps->at[low], &key) == 0; low++)
        any = gaps->at[low].used = true;
    return any;
}

static int by_start(const void *a, const void *b)
{
    const struct times *t = a, *u = b;

    return t->start < u->start ? -1 : t->start > u->start;
}

static void note_unused(struct reader *r, const struct gaps *gaps)
{
    for (size_t i = 0; i < gaps->count; i++) {
        const struct gap *g = &gaps->at[i];

        if (g->used || g->at < r->endless_from || g->at >= r->endless_to)
            continue; /* of an endless series, those out there weren't made */
        if (g->p->kind == ICS_EXDATE)
            ics_note(&r->file.notes, g->p->line,
                     "EXDATE that meets no event of its series");
        else
            ics_note(&r->file.notes, g->p->line,
                     "changed occurrence that its series hasn't; taken too");
    }
}

/* ---- events out --------------------------------------------------------- */

static int put_event(struct reader *r, const struct vevent *v,
                     const struct times *t)
{
    struct exchange *x = r->x;
    struct event *more = ics_grow(x->events, &r->cap, x->count, sizeof *more);

    if (!more)
        return -ENOMEM;
    x->events = more;
    if (x->count == ICS_EVENTS_MAX)
        return ics_bad(r->why, v->part->line, "more than %u events",
                       ICS_EVENTS_MAX);
    x->events[x->count++] =
        (struct event){.title = v->title,
                       .title_len = (uint8_t)strlen(v->title),
                       .start = t->start,
                       .end = t->end};
    return 0;
}

/* All dates that are left, each once. */
static int put_series(struct series *s, struct gaps *gaps)
{
    int err = 0;

    if (gaps->count > 0)
        qsort(gaps->at, gaps->count, sizeof *gaps->at, by_gap);
    if (s->count > 0)
        qsort(s->at, s->count, sizeof *s->at, by_start);
    for (size_t i = 0; i < s->count && err == 0; i++) {
        int64_t wall = ics_wall(s->v->zone, s->at[i].start);
        int64_t day = wall - (wall % ICS_DAY + ICS_DAY) % ICS_DAY;
        bool gone = meets(gaps, false, s->at[i].start);

        gone = meets(gaps, true, day) || gone;
        if (!gone && (i == 0 || s->at[i].start != s->at[i - 1].start))
            err = put_event(s->r, s->v, &s->at[i]);
    }
    note_unused(s->r, gaps);
    return err;
}

static int collect_lines(struct series *s, struct gaps *gaps)
{
    const struct ics_part *part = s->v->part;
    const struct ics_file *f = &s->r->file;
    int err = 0;

    for (size_t i = 0; i < part->count && err == 0; i++) {
        const struct ics_prop *p = &f->props[part->first + i];

        if (p->kind < ICS_RRULE)
            continue;
        s->line = p->line;
        s->counted = true;
        s->from = s->r->opts->from;
        s->to = s->r->opts->to;
        if (s->v->replaces)
            ics_note(&s->r->file.notes, p->line,
                     "series inside of a changed occurrence left out");
        else if (p->kind == ICS_RRULE)
            err = add_rule(s, p->value);
        else
            err = add_list(s, gaps, p);
        if (err == 0)
            err = s->err;
    }
    return err;
}

static int write_out(struct reader *r, const struct vevent *v)
{
    struct series s = {.r = r,
                       .v = v,
                       .line = v->part->line,
                       .from = r->opts->from,
                       .to = r->opts->to};
    struct gaps gaps = {0};
    int64_t start = ics_moment(v->zone, v->start.wall);
    const char *fault;
    int err = 0;

    fault = exchange_times_fault(start, start + v->days * ICS_DAY + v->seconds);
    if (fault)
        return ics_bad(r->why, v->part->line, "%s", fault);
    if (!v->replaces)
        err = add_replaced(&s, &gaps);
    if (err == 0)
        err = collect_lines(&s, &gaps);
    s.from = s.endless ? r->endless_from : r->opts->from;
    s.to = s.endless ? r->endless_to : r->opts->to;
    s.counted = !s.endless;
    if (err == 0 && !s.has_start && !collect_wall(&s, v->start.wall))
        err = s.err;
    if (err == 0)
        err = put_series(&s, &gaps);
    if (err == -E2BIG)
        err = ics_bad(r->why, s.line,
                      "a series of more than %u events; --from and --to may "
                      "help",
                      ICS_SERIES_MAX);
    free(s.at);
    free(gaps.at);
    return err;
}

/* ---- the whole ---------------------------------------------------------- */

static int by_uid(const void *a, const void *b)
{
    const struct vevent *v = *(struct vevent *const *)a;
    const struct vevent *w = *(struct vevent *const *)b;
    int order = strcmp(v->uid, w->uid);

    return order ? order : v < w ? -1 : v > w;
}

static void note_same_uid(struct reader *r)
{
    const struct vevent *last = NULL; /* no changed occurrence */

    for (size_t i = 0; i < r->count; i++) {
        const struct vevent *v = r->by_uid[i];

        if (v->replaces || !*v->uid)
            continue;
        if (last && !strcmp(v->uid, last->uid))
            ics_note(&r->file.notes, v->part->line,
                     "UID of another event; taken too");
        last = v;
    }
}

static int read_vevents(struct reader *r)
{
    size_t n = r->file.events.count;
    int err = 0;

    if (n > ICS_EVENTS_MAX)
        return ics_bad(r->why, r->file.events.at[ICS_EVENTS_MAX].line,
                       "more than %u events", ICS_EVENTS_MAX);
    r->events = calloc(n + 1, sizeof *r->events);
    r->by_uid = calloc(n + 1, sizeof *r->by_uid);
    if (!r->events || !r->by_uid)
        return -ENOMEM;
    r->count = n;
    for (size_t i = 0; i < n && err == 0; i++) {
        r->events[i].part = &r->file.events.at[i];
        r->by_uid[i] = &r->events[i];
        err = read_vevent(r, &r->events[i]);
    }
    if (err < 0)
        return err;
    qsort(r->by_uid, r->count, sizeof *r->by_uid, by_uid);
    note_same_uid(r);
    for (size_t i = 0; i < n && err == 0; i++)
        if (!r->events[i].cancelled)
            err = write_out(r, &r->events[i]);
    return err;
}

/* A series without end is taken from whole days, so that it doesn't matter at
 * what time of day it is imported. What --from and --to say comes first. */
static void set_window(struct reader *r)
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

static int finish(struct reader *r)
{
    struct exchange *x = r->x;
    int err;

    if (!x->events)
        x->events = calloc(1, sizeof *x->events);
    x->tokens = calloc(x->count + 1, sizeof *x->tokens);
    x->notes = ics_notes_text(&r->file.notes);
    if (!x->events || !x->tokens || !x->notes)
        return -ENOMEM;
    err = exchange_give_tokens(x);
    return err;
}

bool ics_is(const char *text, size_t len)
{
    static const char begin[] = "BEGIN:VCALENDAR";

    if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
        text += 3;
        len -= 3;
    }
    while (len > 0 && strchr("\r\n\t ", *text) && *text) {
        text++;
        len--;
    }
    return len >= sizeof begin - 1 &&
           !strncasecmp(text, begin, sizeof begin - 1);
}

int ics_parse(struct exchange *x, const char *text, size_t len,
              const struct ics_opts *opts, char *why, size_t cap)
{
    struct ics_why say = {why, cap};
    struct reader r = {.why = &say, .opts = opts, .x = x};
    int err;

    *x = (struct exchange){0};
    if (len > ICS_FILE_MAX)
        return ics_bad(&say, 1, "a calendar of more than %u MiB",
                       ICS_FILE_MAX >> 20);
    x->text = malloc(len + 1);
    if (!x->text)
        return -ENOMEM;
    memcpy(x->text, text, len);
    r.steps = ICS_STEPS_MAX;
    r.zones.steps = &r.steps;
    set_window(&r);
    err = ics_file_read(&r.file, x->text, len, &say);
    if (err == 0)
        err = ics_zones_read(&r.zones, &r.file, &say);
    if (err == 0)
        err = read_vevents(&r);
    if (err == 0)
        err = finish(&r);
    if (err < 0)
        x->count = 0;
    free(r.events);
    free(r.by_uid);
    ics_zones_free(&r.zones);
    ics_file_free(&r.file);
    return err;
}

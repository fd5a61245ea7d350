/*
 * ics_read.c - the events of an iCalendar file
 *
 * First every VEVENT is understood as it stands, then series are written out:
 * only then it is known which of their occurrences were changed elsewhere in
 * the file. Nothing is handed out before all of it was found good.
 *
 * libical's own way to write out a series isn't used: it knows nothing of
 * changed occurrences, drops periods and a DTSTART that its rule doesn't meet,
 * takes "UNTIL=day" as that day's midnight and makes whole days two days long.
 */
#include "ics.h"

#include "ics_rule.h"
#include "localtime.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MINUTE     60
#define YEARS_PAST 1 /* of a series without end */
#define YEARS_NEXT 2

/* ---- what is known of an event ------------------------------------------ */

/* An occurrence that was struck out, or changed by another VEVENT. */
struct gap {
    struct ics_when when;
    const struct ics_zone *zone; /* of `when` */
    const struct ics_prop *p;    /* the line that says so; NULL = no gap */
    int64_t from, to;            /* it struck what starts then; UTC */
};

struct vevent {
    const struct ics_prop *begin;
    const char *uid; /* "" = none */
    const char *title;
    struct ics_when start;
    const struct ics_zone *zone; /* NULL = local time */
    int64_t days;                /* how long: days by the calendar, */
    int64_t seconds;             /* and then seconds by the clock */
    bool cancelled;
    struct gap changed; /* RECURRENCE-ID: it stands for that occurrence */
    size_t group;       /* in by_uid, the first with this UID */
};

struct reader {
    struct ics_file f;
    const struct ics_opts *opts;
    int64_t endless_from, endless_to; /* what is taken of an endless series */
    struct vevent *events;            /* f.events of them */
    struct vevent **by_uid;           /* the same, sorted */
    struct ics_list out;              /* struct event */
};

/* ---- one VEVENT --------------------------------------------------------- */

/* A single time; whole days have no zone. */
static bool read_when(struct reader *r, const struct ics_prop *p,
                      struct ics_when *when, const struct ics_zone **zone)
{
    if (!ics_check(&r->f, p, ics_read_when(p->value, when)))
        return false;
    if (!when->date && ics_param_is(p->params, "VALUE", "DATE"))
        return ics_check(&r->f, p, "not a date like 20261123");
    *zone = when->utc ? &ics_utc : NULL;
    return when->utc || when->date || ics_zone_find(&r->f, p, zone);
}

static int64_t moment(const struct ics_when *when, const struct ics_zone *zone)
{
    return ics_moment(when->utc ? &ics_utc : zone, when->wall);
}

static void read_status(struct reader *r, struct vevent *v)
{
    const struct ics_prop *p = ics_find(v->begin, ICS_STATUS);

    v->cancelled = r->f.cancels || (p && !strcasecmp(p->value, "CANCELLED"));
    if (v->cancelled)
        ics_note(&r->f, v->begin->line, "cancelled event left out");
    else if (p && strcasecmp(p->value, "CONFIRMED") != 0)
        ics_note(&r->f, p->line, "STATUS left out");
}

static bool read_end(struct reader *r, struct vevent *v,
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
        v->seconds = moment(&end, zone) - moment(&v->start, v->zone);
    return (v->days >= 0 && v->seconds >= 0) ||
           ics_bad(&r->f, p->line, "DTEND is before DTSTART");
}

static bool read_duration(struct reader *r, struct vevent *v,
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
static bool read_length(struct reader *r, struct vevent *v)
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

static bool read_vevent(struct reader *r, struct vevent *v)
{
    const struct ics_prop *start = ics_find(v->begin, ICS_DTSTART);
    const struct ics_prop *uid = ics_find(v->begin, ICS_UID);
    struct gap *g = &v->changed;

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

/* ---- series: dates ------------------------------------------------------ */

struct times {
    int64_t start, end;
    bool gone; /* struck out or changed */
};

/* A VEVENT while its occurrences are collected. */
struct series {
    struct reader *r;
    const struct vevent *v;
    struct ics_list times, gaps;
    unsigned line;    /* of the rule or list at hand */
    int64_t from, to; /* what is wanted of it */
    bool endless;     /* that is a rule without end */
    unsigned rule;    /* line of one; 0 = none */
    bool has_start;   /* DTSTART is a date of one */
};

static bool collect(struct series *s, int64_t start, int64_t end)
{
    struct ics_file *f = &s->r->f;
    struct times *t;

    if (start >= s->to || end <= s->from) {
        if (!s->endless)
            ics_note(f, s->line, "event outside of --from and --to left out");
        return true;
    }
    if (exchange_times_fault(start, end))
        return true; /* of a series, behind the year 9999 */
    if (s->times.count == ICS_SERIES_MAX)
        return ics_bad(f, s->line,
                       "a series of more than %u events; --from and --to may "
                       "help",
                       ICS_SERIES_MAX);
    t = ics_add(f, &s->times, sizeof *t);
    if (t)
        *t = (struct times){start, end, false};
    return t != NULL;
}

/* One that starts then, when its clock shows `wall`. */
static bool collect_at(struct series *s, int64_t start, int64_t wall)
{
    const struct vevent *v = s->v;
    int64_t end = start;

    if (v->days)
        end = ics_moment(v->zone, wall + v->days * ICS_DAY);
    return collect(s, start, end + v->seconds);
}

static bool collect_wall(struct series *s, int64_t wall)
{
    return collect_at(s, ics_moment(s->v->zone, wall), wall);
}

static bool take_date(int64_t wall, void *arg)
{
    struct series *s = arg;
    struct local_time from, to;

    s->has_start = s->has_start || wall == s->v->start.wall;
    if (ics_moment(s->v->zone, wall) < s->to)
        return collect_wall(s, wall);
    if (!s->endless) {
        ics_note(&s->r->f, s->line, "series cut off at --to");
        return false;
    }
    from = local_split(s->from);
    to = local_split(s->to - 1);
    ics_note(&s->r->f, s->line,
             "series without end: taken from %04d-%02d-%02d to %04d-%02d-%02d",
             from.year, from.month, from.mday, to.year, to.month, to.mday);
    return false;
}

static bool add_rule(struct series *s, const struct ics_prop *p)
{
    const struct vevent *v = s->v;
    struct ics_series ask = {v->zone, v->start, v->start.wall, take_date, s};

    s->rule = p->line;
    if (s->endless)
        ask.from = s->from - (v->days + 2) * ICS_DAY - v->seconds;
    return ics_rule_dates(&s->r->f, p, &ask);
}

/* "20261123T090000Z/PT1H" or ".../20261123T100000Z". */
static const char *add_period(struct series *s, const struct ics_zone *zone,
                              char *text)
{
    const char *first = ics_cut(&text, '/');
    bool lasts = *text == 'P' || *text == '+' || *text == '-';
    struct ics_when from, to;
    struct ics_span span = {0};
    int64_t start, end;

    if (!first || ics_read_when(first, &from) ||
        (lasts ? ics_read_span(text, &span) : ics_read_when(text, &to)))
        return "not a period like 20261123T090000Z/PT1H";
    if (lasts)
        to = from;
    to.wall += span.days * ICS_DAY;
    start = moment(&from, zone);
    end = moment(&to, zone) + span.seconds;
    if (end <= start || from.date || s->v->start.date)
        return "a period that doesn't end behind its start, or a date";
    collect(s, start, end);
    return NULL;
}

static const char *add_rdate(struct series *s, const struct ics_zone *zone,
                             const char *text)
{
    struct ics_when when;
    const char *fault = ics_read_when(text, &when);
    int64_t start;

    if (!fault && when.date != s->v->start.date)
        fault = "one of DTSTART and RDATE is a date, the other a time";
    if (fault)
        return fault;
    start = moment(&when, zone);
    if (when.date)
        collect_wall(s, when.wall);
    else /* when clocks show a time twice, it may be the second */
        collect_at(s, start, ics_wall(s->v->zone, start));
    return NULL;
}

/* ---- series: gaps ------------------------------------------------------- */

/* A date stands for all that starts on that day where the series is. */
static bool add_gap(struct series *s, struct gap g)
{
    const struct ics_zone *zone = s->v->zone;
    struct gap *new = ics_add(&s->r->f, &s->gaps, sizeof *new);

    if (!new)
        return false;
    g.from = moment(&g.when, g.when.date ? zone : g.zone);
    g.to = g.when.date ? ics_moment(zone, g.when.wall + ICS_DAY) : g.from + 1;
    *new = g;
    return true;
}

static const char *add_exdate(struct series *s, const struct ics_prop *p,
                              const struct ics_zone *zone, const char *text)
{
    struct gap g = {.zone = zone, .p = p};
    const char *fault = ics_read_when(text, &g.when);

    if (!fault)
        add_gap(s, g);
    return fault;
}

/* RDATE and EXDATE: lists with commas. */
static bool add_list(struct series *s, const struct ics_prop *p)
{
    struct ics_file *f = &s->r->f;
    bool periods = ics_param_is(p->params, "VALUE", "PERIOD");
    const struct ics_zone *zone;
    char *rest = p->value, *text;

    if (!ics_zone_find(f, p, &zone))
        return false;
    while (f->err == 0 && (text = ics_cut(&rest, ',')))
        if (!ics_check(f, p,
                       p->kind == ICS_EXDATE ? add_exdate(s, p, zone, text)
                       : periods             ? add_period(s, zone, text)
                                             : add_rdate(s, zone, text)))
            return false;
    return f->err == 0;
}

/* What other VEVENTs changed. */
static bool add_changed(struct series *s)
{
    const struct reader *r = s->r;
    const struct vevent *v = s->v, *o;

    if (!*v->uid || v->changed.p)
        return true;
    for (size_t i = v->group; i < r->f.events; i++) {
        o = r->by_uid[i];
        if (o->group != v->group)
            break;
        if (--s->r->f.steps <= 0) /* all of them, for each of many */
            return ics_bad(&s->r->f, v->begin->line,
                           "too many events with this UID");
        if (o->changed.p && !add_gap(s, o->changed))
            return false;
    }
    return true;
}

static int by_from(const void *a, const void *b)
{
    const struct gap *g = a, *h = b;

    if (g->from != h->from)
        return g->from < h->from ? -1 : 1;
    return g->to < h->to ? -1 : g->to > h->to;
}

/* Takes out what starts in a gap. */
static void strike(struct series *s)
{
    struct gap *g = s->gaps.at;
    struct times *t = s->times.at;
    size_t low = 0, count = t ? s->times.count : 0;

    if (!g)
        return;
    qsort(g, s->gaps.count, sizeof *g, by_from);
    for (size_t i = 0; i < s->gaps.count; i++) {
        size_t k;

        if (i > 0 && by_from(&g[i - 1], &g[i]) == 0)
            continue; /* the same again */
        while (low < count && t[low].start < g[i].from)
            low++;
        for (k = low; k < count && t[k].start < g[i].to; k++)
            t[k].gone = true;
        if (k == low && g[i].from >= s->from && g[i].from < s->to)
            ics_note(&s->r->f, g[i].p->line,
                     g[i].p->kind == ICS_EXDATE
                         ? "EXDATE that meets no event of its series"
                         : "changed occurrence that its series hasn't; taken "
                           "too");
    }
}

/* ---- events out --------------------------------------------------------- */

static int by_start(const void *a, const void *b)
{
    const struct times *t = a, *u = b;

    return t->start < u->start ? -1 : t->start > u->start;
}

/* All dates that are left, each once. */
static bool put_series(struct series *s)
{
    struct reader *r = s->r;
    struct times *t = s->times.at;

    if (t)
        qsort(t, s->times.count, sizeof *t, by_start);
    strike(s);
    for (size_t i = 0; t && i < s->times.count; i++) {
        struct event *ev;

        if (t[i].gone || (i > 0 && t[i].start == t[i - 1].start))
            continue;
        if (r->out.count == ICS_EVENTS_MAX)
            return ics_bad(&r->f, s->v->begin->line, "more than %u events",
                           ICS_EVENTS_MAX);
        if (!(ev = ics_add(&r->f, &r->out, sizeof *ev)))
            return false;
        *ev = (struct event){.title = s->v->title,
                             .title_len = (uint8_t)strlen(s->v->title),
                             .start = t[i].start,
                             .end = t[i].end};
    }
    return true;
}

/* What is wanted of a rule without end, or of anything else. */
static void set_range(struct series *s, bool endless)
{
    const struct reader *r = s->r;

    s->endless = endless;
    s->from = endless ? r->endless_from : r->opts->from;
    s->to = endless ? r->endless_to : r->opts->to;
}

static bool collect_lines(struct series *s)
{
    const struct ics_prop *begin = s->v->begin;
    bool any_endless = false;

    for (const struct ics_prop *p = begin; (p = ics_next(begin, p));) {
        if (p->kind < ICS_RRULE)
            continue;
        if (s->v->changed.p) {
            ics_note(&s->r->f, p->line,
                     "series inside of a changed occurrence left out");
            continue;
        }
        s->line = p->line;
        set_range(s, p->kind == ICS_RRULE && ics_rule_endless(p));
        any_endless |= s->endless;
        if (p->kind == ICS_RRULE ? !add_rule(s, p) : !add_list(s, p))
            return false;
    }
    set_range(s, any_endless);
    return true;
}

/* DTSTART counts, even when it isn't a date of its rule. */
static bool collect_start(struct series *s)
{
    size_t before = s->times.count;

    if (s->has_start)
        return true;
    if (!collect_wall(s, s->v->start.wall))
        return false;
    if (s->rule && s->times.count > before)
        ics_note(&s->r->f, s->rule,
                 "DTSTART isn't a date of its rule; taken "
                 "too");
    return true;
}

static bool write_out(struct reader *r, const struct vevent *v)
{
    struct series s = {.r = r, .v = v, .line = v->begin->line};
    int64_t start = ics_moment(v->zone, v->start.wall);
    const char *fault =
        exchange_times_fault(start, start + v->days * ICS_DAY + v->seconds);
    bool good;

    if (fault)
        return ics_bad(&r->f, v->begin->line, "%s", fault);
    good = add_changed(&s) && collect_lines(&s) && collect_start(&s) &&
           put_series(&s);
    free(s.times.at);
    free(s.gaps.at);
    return good;
}

/* ---- the whole ---------------------------------------------------------- */

static int by_uid(const void *a, const void *b)
{
    const struct vevent *v = *(struct vevent *const *)a;
    const struct vevent *w = *(struct vevent *const *)b;
    int order = strcmp(v->uid, w->uid);

    return order ? order : v < w ? -1 : v > w;
}

static void find_groups(struct reader *r)
{
    const struct vevent *last = NULL; /* no changed occurrence */

    qsort(r->by_uid, r->f.events, sizeof *r->by_uid, by_uid);
    for (size_t i = 0; i < r->f.events; i++) {
        struct vevent *v = r->by_uid[i];
        bool same = i > 0 && !strcmp(v->uid, r->by_uid[i - 1]->uid);

        v->group = same ? r->by_uid[i - 1]->group : i;
        if (v->changed.p || !*v->uid)
            continue;
        if (last && last->group == v->group)
            ics_note(&r->f, v->begin->line, "UID of another event; taken too");
        last = v;
    }
}

static bool read_vevents(struct reader *r)
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
        if (!r->events[i].cancelled && !write_out(r, &r->events[i]))
            return false;
    return true;
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

/* Hands out all events, or none: then why is in f.err. */
static void finish(struct reader *r, struct exchange *x)
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
    struct reader r = {.f = {.why = why, .cap = cap, .steps = ICS_STEPS_MAX},
                       .opts = opts};

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

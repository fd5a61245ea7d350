/*
 * ics_series.c - see ics_series.h
 *
 * All dates of a series are collected, in whatever order its lines give them;
 * then they are sorted, and what is a gap goes. The rules themselves are
 * ics_rule.c's.
 *
 * libical's own way to write out a series isn't used: it knows nothing of
 * changed occurrences, drops periods and a DTSTART that its rule doesn't meet,
 * takes "UNTIL=day" as that day's midnight and makes whole days two days long.
 */
#include "ics_series.h"

#include "ics_rule.h"
#include "localtime.h"

#include <stdlib.h>
#include <string.h>

/* ---- dates -------------------------------------------------------------- */

struct times {
    int64_t start, end;
    bool gone; /* struck out or changed */
};

/* A VEVENT while its occurrences are collected. */
struct series {
    struct ics_reader *r;
    const struct ics_vevent *v;
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
    const struct ics_vevent *v = s->v;
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
    const struct ics_vevent *v = s->v;
    struct ics_rule_ask ask = {v->zone, v->start, v->start.wall, take_date, s};

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
    start = ics_when_moment(&from, zone);
    end = ics_when_moment(&to, zone) + span.seconds;
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
    start = ics_when_moment(&when, zone);
    if (when.date)
        collect_wall(s, when.wall);
    else /* when clocks show a time twice, it may be the second */
        collect_at(s, start, ics_wall(s->v->zone, start));
    return NULL;
}

/* ---- gaps --------------------------------------------------------------- */

/* A date stands for all that starts on that day where the series is. */
static bool add_gap(struct series *s, struct ics_gap g)
{
    const struct ics_zone *zone = s->v->zone;
    struct ics_gap *new = ics_add(&s->r->f, &s->gaps, sizeof *new);

    if (!new)
        return false;
    g.from = ics_when_moment(&g.when, g.when.date ? zone : g.zone);
    g.to = g.when.date ? ics_moment(zone, g.when.wall + ICS_DAY) : g.from + 1;
    *new = g;
    return true;
}

static const char *add_exdate(struct series *s, const struct ics_prop *p,
                              const struct ics_zone *zone, const char *text)
{
    struct ics_gap g = {.zone = zone, .p = p};
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
    const struct ics_reader *r = s->r;
    const struct ics_vevent *v = s->v, *o;

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
    const struct ics_gap *g = a, *h = b;

    if (g->from != h->from)
        return g->from < h->from ? -1 : 1;
    return g->to < h->to ? -1 : g->to > h->to;
}

/* Takes out what starts in a gap. */
static void strike(struct series *s)
{
    struct ics_gap *g = s->gaps.at;
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
    struct ics_reader *r = s->r;
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
    const struct ics_reader *r = s->r;

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
                 "DTSTART isn't a date of its rule; taken too");
    return true;
}

bool ics_series_write(struct ics_reader *r, const struct ics_vevent *v)
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

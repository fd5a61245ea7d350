/*
 * ics_library.c - the dates of a rule, by libical
 *
 * The library is handed times without a zone: it adds days and months, and
 * nothing else. Its search has no limit but the year 2582, so what it is asked
 * and how far it may go is decided here.
 *
 * Built only where libical is (HAVE_LIBICAL); else ics_none.c takes its place.
 */
#include "ics_rule.h"

#ifdef HAVE_LIBICAL

#include "localtime.h"
#include "timestamp.h"

#include <libical/ical.h>

#define YEAR_MAX   2582   /* where the library gives up */
#define SEARCH_ALL 200000 /* steps up to there, day by day */

static struct icaltimetype to_ical(int64_t wall, bool date)
{
    int64_t day = wall / ICS_DAY - (wall % ICS_DAY < 0);
    int second = (int)(wall - day * ICS_DAY);
    struct local_time at = local_date(day);
    struct icaltimetype t = {0};

    t.year = at.year;
    t.month = at.month;
    t.day = at.mday;
    t.is_date = date;
    if (!date) {
        t.hour = second / 3600;
        t.minute = second / 60 % 60;
        t.second = second % 60;
    }
    return t;
}

static int64_t from_ical(struct icaltimetype t)
{
    return timestamp_days(t.year, t.month, t.day) * ICS_DAY + t.hour * 3600 +
           t.minute * 60 + t.second;
}

/* A search of many steps is begun shortly before the dates that are wanted. */
static int64_t begin_of(const struct ics_rule *r,
                        const struct ics_span_of_rule *span)
{
    if (r->skip == 0 || span->from <= span->start)
        return span->start;
    return span->start + (span->from - span->start) / r->skip * r->skip;
}

static const char *walk(icalrecur_iterator *it, const struct ics_rule *r,
                        const struct ics_span_of_rule *span, int64_t *steps,
                        ics_take *take, void *arg)
{
    int64_t last = begin_of(r, span);

    while (*steps > 0) {
        struct icaltimetype t = icalrecur_iterator_next(it);
        int64_t wall = timestamp_days(YEAR_MAX, 12, 31) * ICS_DAY;
        bool end = icaltime_is_null_time(t) || t.year > YEAR_MAX;

        /* A rule that ends was not searched to the end of all time. */
        if (end && r->ends)
            return NULL;
        if (!end)
            wall = from_ical(t);
        *steps -= ICS_LIBRARY_STEP * (1 + (wall - last) / r->unit);
        last = wall;
        if (end || wall > span->until || !take(wall, arg))
            return NULL;
    }
    return ics_too_long;
}

const char *ics_library(const struct ics_rule *r,
                        const struct ics_span_of_rule *span, int64_t *steps,
                        ics_take *take, void *arg)
{
    struct icalrecurrencetype rule;
    icalrecur_iterator *it;
    const char *fault;

    icalerror_set_errors_are_fatal(0);
    rule = icalrecurrencetype_from_string(r->text);
    if (rule.freq == ICAL_NO_RECURRENCE)
        return "this rule can't be understood";
    rule.until = icaltime_null_time();
    if (span->until != INT64_MAX)
        rule.until = to_ical(span->until, span->date);
    it = icalrecur_iterator_new(rule, to_ical(begin_of(r, span), span->date));
    if (!it) { /* no dates at all: the 30th of February; all was searched */
        *steps -= ICS_LIBRARY_STEP * SEARCH_ALL;
        return *steps > 0 ? NULL : ics_too_long;
    }
    fault = walk(it, r, span, steps, take, arg);
    icalrecur_iterator_free(it);
    return fault;
}

#endif

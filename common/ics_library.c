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

#include "timestamp.h"

#include <libical/ical.h>
#include <stdlib.h>

#define YEAR_MAX   2582   /* where the library gives up */
#define SEARCH_ALL 200000 /* steps up to there, day by day */

static struct icaltimetype to_ical(int64_t wall, bool date)
{
    return icaltime_from_timet_with_zone((time_t)wall, date, NULL);
}

/* A search that finds nothing for years costs more than a date each day. */
static const char *walk(icalrecur_iterator *it, struct ics_file *f,
                        const struct ics_rule *r, const struct ics_series *s)
{
    int64_t last = r->begin;
    bool end;

    do {
        struct icaltimetype t = icalrecur_iterator_next(it);
        int64_t wall = timestamp_days(YEAR_MAX, 12, 31) * ICS_DAY;

        end = icaltime_is_null_time(t) || t.year > YEAR_MAX;
        /* A rule that ends was not searched to the end of all time. */
        if (end && (r->until != INT64_MAX || r->count != INT64_MAX))
            return NULL;
        if (!end)
            wall = (int64_t)icaltime_as_timet(t);
        f->steps -= ICS_LIBRARY_STEP * (1 + (wall - last) / r->unit);
        if (f->steps <= 0)
            return ics_too_long;
        last = wall;
        end = end || wall > r->until || !s->take(wall, s->arg);
    } while (!end);
    return NULL;
}

static int by_size(const void *a, const void *b)
{
    return *(const short *)a - *(const short *)b;
}

const char *ics_library(struct ics_file *f, const struct ics_rule *r,
                        const struct ics_series *s)
{
    struct icalrecurrencetype rule;
    icalrecur_iterator *it;
    const char *fault;

    icalerror_set_errors_are_fatal(0);
    rule = icalrecurrencetype_from_string(r->text);
    if (rule.freq == ICAL_NO_RECURRENCE)
        return "this rule can't be understood";
    rule.until = icaltime_null_time();
    if (r->until != INT64_MAX)
        rule.until = to_ical(r->until, s->start.date);
    /* It gives the times of a day in the order that they have in the text. The
     * rest of these lists is filled with the largest number. */
    qsort(rule.by_hour, ICAL_BY_HOUR_SIZE, sizeof(short), by_size);
    qsort(rule.by_minute, ICAL_BY_MINUTE_SIZE, sizeof(short), by_size);
    qsort(rule.by_second, ICAL_BY_SECOND_SIZE, sizeof(short), by_size);
    it = icalrecur_iterator_new(rule, to_ical(r->begin, s->start.date));
    if (!it) { /* no dates at all: the 30th of February; all was searched */
        f->steps -= ICS_LIBRARY_STEP * SEARCH_ALL;
        return f->steps > 0 ? NULL : ics_too_long;
    }
    fault = walk(it, f, r, s);
    icalrecur_iterator_free(it);
    return fault;
}

#endif

/*
 * ics_rule.c - the dates of a rule
 *
 * Most of a timetable repeats by the week. That is done here: a few lines, and
 * libical gets some of it wrong (an INTERVAL where the week doesn't begin on
 * Monday). Other rules go to the library.
 */
#include "ics_rule.h"

#include "localtime.h"

const char ics_too_long[] =
    "the rules up to here give too many dates, or need too long a search; "
    "--from and --to may help";

/* The days of one week; false when no more are wanted. */
static bool one_week(const struct ics_rule *r,
                     const struct ics_span_of_rule *span, int64_t monday_or_so,
                     unsigned days, int64_t *left, ics_take *take, void *arg)
{
    for (int i = 0; i < 7; i++) {
        int64_t wall = monday_or_so + i * ICS_DAY;

        if (!(days >> (r->week_start + i) % 7 & 1) || wall < span->start)
            continue;
        if (wall > span->until || !take(wall, arg) || --*left == 0)
            return false;
    }
    return true;
}

static const char *by_the_week(const struct ics_rule *r,
                               const struct ics_span_of_rule *span,
                               int64_t *steps, ics_take *take, void *arg)
{
    int64_t day = span->start / ICS_DAY - (span->start % ICS_DAY < 0);
    int weekday = local_weekday(day) - 1;
    unsigned days = r->weekdays ? r->weekdays : 1u << weekday;
    int64_t step = r->weeks * 7 * ICS_DAY;
    int64_t week = span->start - (weekday - r->week_start + 7) % 7 * ICS_DAY;
    int64_t left = r->count ? r->count : INT64_MAX;

    if (!r->count && span->from > span->start)
        week += (span->from - span->start) / step * step;
    while (*steps > 0) {
        if (!one_week(r, span, week, days, &left, take, arg))
            return NULL;
        week += step;
        *steps -= 7;
    }
    return ics_too_long;
}

const char *ics_expand(const struct ics_rule *r,
                       const struct ics_span_of_rule *span, int64_t *steps,
                       ics_take *take, void *arg)
{
    return r->weeks ? by_the_week(r, span, steps, take, arg)
                    : ics_library(r, span, steps, take, arg);
}

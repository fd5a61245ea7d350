/*
 * ics_value.h - what stands behind the colon: times, durations, rules, text
 *
 * Each reader gives NULL, or a sentence about what is wrong.
 */
#ifndef IPCLAB_ICS_VALUE_H
#define IPCLAB_ICS_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ICS_DAY 86400 /* seconds */

/* What calendar and clock show: seconds since 1970 as if it were UTC. */
struct ics_when {
    int64_t wall;
    bool date; /* a day, no time of day */
    bool utc;  /* it ends with Z */
};

/* "20261123", "20261123T090000" or "20261123T090000Z". */
const char *ics_read_when(const char *s, size_t len, struct ics_when *out);

/* "P1W", "P1DT2H30M": days by the calendar and seconds by the clock. */
struct ics_span {
    int64_t days, seconds;
};

const char *ics_read_span(const char *s, size_t len, struct ics_span *out);

/* "+0100", "-053000": seconds ahead of UTC. */
const char *ics_read_offset(const char *s, int64_t *out);

/* An RRULE, looked over. The text stays what says which dates it means. */
struct ics_rule {
    const char *text;
    int64_t unit;      /* seconds of one step of the search, about */
    int64_t skip;      /* the dates stay the same when the start moves by this;
                          0 = they don't */
    int weeks;         /* INTERVAL, of a rule by the week with nothing but
                          weekdays; 0 = it isn't one */
    unsigned weekdays; /* BYDAY of such a rule: bit 0 is Monday; 0 = none */
    int week_start;    /* 0 Monday .. 6 Sunday */
    int64_t count;     /* 0 = none */
    bool seldom;       /* by the month or year */
    bool ends;         /* COUNT or UNTIL */
    bool has_until;
    struct ics_when until;
};

const char *ics_read_rule(const char *s, struct ics_rule *out);

/* SUMMARY to a title that an event can have, in place. Bits of what had to be
 * done to it. */
enum { ICS_TITLE_EMPTY = 1, ICS_TITLE_CUT = 2, ICS_TITLE_CONTROL = 4 };
unsigned ics_title(char *text);

#endif

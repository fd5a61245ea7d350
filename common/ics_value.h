/*
 * ics_value.h - what stands behind the colon: times, durations, text
 *
 * Each reader gives NULL, or a sentence about what is wrong.
 */
#ifndef IPCLAB_ICS_VALUE_H
#define IPCLAB_ICS_VALUE_H

#include "ics_file.h"

#define ICS_DAY    86400 /* seconds */
#define ICS_DIGITS "0123456789"

/* What calendar and clock show: seconds since 1970 as if it were UTC. */
struct ics_when {
    int64_t wall;
    bool date; /* a day, no time of day */
    bool utc;  /* it ends with Z */
};

/* "20261123", "20261123T090000" or "20261123T090000Z". */
const char *ics_read_when(const char *s, struct ics_when *out);

/* "P1W", "P1DT2H30M": days by the calendar and seconds by the clock. */
struct ics_span {
    int64_t days, seconds;
};

const char *ics_read_span(const char *s, struct ics_span *out);

/* "+0100", "-053000": seconds ahead of UTC. */
const char *ics_read_offset(const char *s, int64_t *out);

/* The title of an event, made one that the store can have; what had to be done
 * is noted. */
const char *ics_title(struct ics_file *f, const struct ics_prop *event);

#endif

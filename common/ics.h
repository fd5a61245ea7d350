/*
 * ics.h - timetables as iCalendar (RFC 5545), to and from other calendars
 *
 *      BEGIN:VCALENDAR
 *      BEGIN:VEVENT
 *      SUMMARY:IPC
 *      DTSTART;TZID=Europe/Berlin:20261123T090000
 *      DTEND;TZID=Europe/Berlin:20261123T103000
 *      RRULE:FREQ=WEEKLY;COUNT=10
 *      END:VEVENT
 *      END:VCALENDAR
 *
 *      ics_line.c    lines: folding, names, parameters; what is said of them
 *      ics_file.c    BEGIN and END; which lines are worth keeping
 *      ics_value.c   times, durations, titles
 *      ics_zone.c    time zones
 *      ics_rule.c    the dates of a rule
 *      ics_series.c  the occurrences of an event
 *      ics_read.c    the events
 *      ics_write.c   the way back
 *
 * No library is used: what libical could do was tried with version 3.0.16, and
 * each file says what came of it.
 *
 * What becomes of what:
 *   series       every occurrence is an event. A series without end is taken
 *                from a year ago until two years ahead. EXDATE, RDATE and
 *                changed or cancelled occurrences (RECURRENCE-ID) count.
 *   time zones   a VTIMEZONE of the file, else the system's zone of that name,
 *                else it's an error. A time without a zone is local time. One
 *                that the clocks skip means an hour later, one that occurs
 *                twice means the first (RFC 5545, 3.3.5).
 *   whole days   from local midnight to local midnight
 *   no length    no end, or end = start: one minute, or one day
 *   titles       no SUMMARY: "(untitled)"; longer than 255 bytes: cut, and "…"
 *                put behind; control characters and line ends: spaces
 * What has no place in a timetable is left out and listed, except what only
 * keeps books: UID, DTSTAMP, CREATED, LAST-MODIFIED, SEQUENCE, PRODID.
 */
#ifndef IPCLAB_ICS_H
#define IPCLAB_ICS_H

#include "exchange.h"

#include <stdbool.h>

#define ICS_FILE_MAX   (64u << 20) /* bytes of a file */
#define ICS_EVENTS_MAX 1000000u    /* events of a file, series written out */
#define ICS_SERIES_MAX 10000u      /* occurrences of one series */
#define ICS_STEPS_MAX  40000000    /* of all rules together; about 5 s */

struct ics_opts {
    int64_t now;      /* seconds, UTC */
    int64_t from, to; /* only what overlaps this; EVENT_TIME_MIN and _MAX =
                         everything */
};

/* Is this text a calendar? It begins like one. */
bool ics_is(const char *text, size_t len);

/*
 * Read a whole calendar. Tokens are those of exchange_parse, so a second import
 * is a no-op; also one of a JSON file with the same events. x->notes lists
 * what was left out or changed, a line for each kind.
 *   0; -EBADMSG: why[cap] is a sentence that names the line; then no event is
 *   handed out; -ENOMEM.
 * The caller frees *x (exchange_free), also after an error.
 */
int ics_parse(struct exchange *x, const char *text, size_t len,
              const struct ics_opts *opts, char *why, size_t cap);

/*
 * Write events as a calendar, times in UTC. A UID is ID@INSTANCE.HOST, so that
 * the events of two stores differ. Errors of `out` are the caller's to look
 * for. Rests on: gethostname(2).
 */
void ics_write(FILE *out, const struct event *events, size_t count,
               const char *instance, int64_t now);

#endif

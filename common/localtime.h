/*
 * localtime.h - times as people type and read them
 *
 * The store knows only seconds of UTC; time zones exist here, at the edge.
 * "Local" is the zone of TZ or of the system: the program calls tzset() once
 * at its start.
 */
#ifndef IPCLAB_LOCALTIME_H
#define IPCLAB_LOCALTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOCAL_TIME_SIZE 32 /* "2026-11-23 09:00:00" and to spare */

/* A moment on the calendar and clock of the local zone. */
struct local_time {
    int64_t day;           /* days since 1970-01-01 */
    int second;            /* of that day by the clock, 0..86399 */
    int year, month, mday; /* month 1..12, mday 1..31 */
};

/*
 * "2026-11-23T09:00[:SS][Z|+09:00]" to seconds of UTC, with a space allowed
 * for the T. Without a zone it is local time: one that the clocks skip is an
 * error, one that occurs twice means the first. 0, or -EINVAL with *why a
 * sentence for people.
 */
int local_parse(const char *text, int64_t *t, const char **why);

/* As local_parse, but a date alone is accepted too: the day's beginning. */
int local_parse_from(const char *text, int64_t *t, const char **why);

/* "2026-11-23" to days since 1970. 0, or -EINVAL with *why a sentence. */
int local_parse_date(const char *text, int64_t *day, const char **why);

/* The first moment of a local day, given as days since 1970-01-01. */
int64_t local_day_start(int64_t day);

/* What calendar and clock of the local zone show at t. */
struct local_time local_split(int64_t t);

/* The date that a number of days since 1970-01-01 stands for (second = 0). */
struct local_time local_date(int64_t day);

/* Writes "2026-11-23 09:00", with seconds only where there are some, into buf
 * and returns it. */
char *local_format(int64_t t, char buf[LOCAL_TIME_SIZE]);

/* 1 Monday .. 7 Sunday. */
int local_weekday(int64_t day);

/* The ISO 8601 week of a day and the year that week belongs to. */
int local_iso_week(int64_t day, int *year);

#endif

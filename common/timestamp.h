/*
 * timestamp.h - seconds since 1970 (UTC) and RFC 3339, years 0001..9999
 *
 * Pure arithmetic on the proleptic Gregorian calendar: no time zone, no libc
 * state, any thread. Time zones are the command line's business.
 */
#ifndef IPCLAB_TIMESTAMP_H
#define IPCLAB_TIMESTAMP_H

#include <stddef.h>
#include <stdint.h>

#define TIMESTAMP_SIZE 21             /* "2026-11-23T00:00:00Z" and the NUL */
#define TIMESTAMP_MIN  (-62135596800) /* 0001-01-01T00:00:00Z */
#define TIMESTAMP_MAX  253402300799   /* 9999-12-31T23:59:59Z */

/* Days from 1970-01-01 to this date, which must exist. */
int64_t timestamp_days(int year, int month, int day);

/* How many days a month has. */
int timestamp_month_days(int year, int month);

/* Writes "YYYY-MM-DDTHH:MM:SSZ" into buf and returns it. Below TIMESTAMP_MIN
 * or above TIMESTAMP_MAX it writes that limit. */
char *timestamp_format(int64_t t, char buf[TIMESTAMP_SIZE]);

/* Exactly that form back into *t: 0, or -EINVAL (also for a date that doesn't
 * exist; a leap second 60 doesn't either). */
int timestamp_parse(const char *text, int64_t *t);

#endif

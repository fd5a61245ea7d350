/*
 * week.h - a week's timetable as a grid of characters
 *
 *           Mon 2        Tue 3        ...     columns are days,
 *     08:00 |            |                    a row is half an hour,
 *           |            +Lecture             overlaps stand side by side,
 *     09:00 +Seminar     +08:30-09:30         what crosses midnight is split
 *
 * Pure: the same events and options give the same bytes. It needs a UTF-8
 * locale (setlocale) for the width of characters, and tzset for local time.
 */
#ifndef IPCLAB_WEEK_H
#define IPCLAB_WEEK_H

#include "schedule.h"

#include <stdio.h>

#define WEEK_WIDTH_MIN 34 /* columns: two letters of a title a day */
#define WEEK_WIDTH_MAX 400

struct week_opts {
    int64_t monday; /* the week's first day, days since 1970-01-01 */
    int64_t today;  /* local day to mark, likewise */
    int width;      /* columns to use, brought into MIN..MAX */
    bool unicode;   /* lines from the box drawing block instead of + and | */
    bool colour;    /* ANSI colours */
};

/* Draws the parts of these events that lie in the week; others are left out.
 * 0, or -ENOMEM. Errors of `out` are the caller's to look for. */
int week_print(FILE *out, const struct event *events, size_t count,
               const struct week_opts *opts);

/* Copies UTF-8 text into buf[cap], cut to at most `columns` of the terminal
 * (and marked when cut) or padded with spaces to exactly that; returns buf. */
char *week_fit(const char *text, int columns, bool unicode, char *buf,
               size_t cap);

#endif

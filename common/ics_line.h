/*
 * ics_line.h - the lines of an iCalendar file
 *
 *      DTSTART;TZID=Europe/Berlin;VALUE=DATE-TIME:20261123T090000
 *      name    params                             value
 *
 * A line that begins with a space or a tab continues the one before it. Lines
 * are joined and cut in place: the text is ours, and holds what we point to.
 */
#ifndef IPCLAB_ICS_LINE_H
#define IPCLAB_ICS_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where sentences about a bad file go. */
struct ics_why {
    char *text;
    size_t cap;
};

/* "line N: ..." into why; returns -EBADMSG. */
int ics_bad(const struct ics_why *why, size_t line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

struct ics_lines {
    char *at, *end; /* what is unread; *end can be written to */
    size_t number;  /* lines read so far, as an editor counts them */
};

struct ics_line {
    char *name, *params, *value; /* params "" = none; no ';' before them */
    size_t number;               /* where it begins, from 1 */
};

/* The next line that isn't empty: 1, 0 at the end, -EBADMSG when it isn't
 * NAME:VALUE in UTF-8. */
int ics_next(struct ics_lines *t, struct ics_line *l,
             const struct ics_why *why);

/* The value of a parameter, without its quotes: *len bytes, or NULL. */
const char *ics_param(const char *params, const char *name, size_t *len);

/* Is this parameter there with this value? Case doesn't matter. */
bool ics_param_is(const char *params, const char *name, const char *value);

#define ICS_QUOTE_SIZE 48

/* Text of a file for a message: short, and nothing in it that a terminal would
 * obey. Returns buf. */
char *ics_quote(char buf[ICS_QUOTE_SIZE], const char *text, size_t len);

/* Room for one more in an array: the array, moved perhaps, or NULL. */
void *ics_grow(void *array, size_t *cap, size_t count, size_t size);

#endif

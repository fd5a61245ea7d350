/*
 * ics_file.h - an iCalendar file, taken apart but not yet understood
 *
 * What BEGIN and END enclose, and the lines in it that say when something is.
 * Everything else is counted for the list of what was left out.
 */
#ifndef IPCLAB_ICS_FILE_H
#define IPCLAB_ICS_FILE_H

#include "ics_line.h"

#include <stdio.h>

/* Lines that are kept. */
enum ics_kind {
    ICS_UID,
    ICS_SUMMARY,
    ICS_STATUS,
    ICS_DTSTART,
    ICS_DTEND,
    ICS_DURATION,
    ICS_RECURRENCE_ID,
    ICS_TZID,
    ICS_OFFSET_FROM,
    ICS_OFFSET_TO,
    ICS_RRULE, /* from here on: may stand there more than once */
    ICS_RDATE,
    ICS_EXDATE,
    ICS_OBSERVANCE, /* not a line: here begins a STANDARD or DAYLIGHT */
};

struct ics_prop {
    char *params, *value; /* in the text */
    enum ics_kind kind;
    unsigned line;
};

/* A VEVENT or VTIMEZONE: a piece of props. */
struct ics_part {
    size_t first, count;
    size_t line; /* of its BEGIN */
};

struct ics_parts {
    struct ics_part *at;
    size_t count, cap;
};

/* What was left out or changed: how often, and where first. */
struct ics_note {
    char what[72];
    size_t count, line;
};

#define ICS_NOTES_MAX 64

struct ics_notes {
    struct ics_note at[ICS_NOTES_MAX];
    size_t count;
};

struct ics_file {
    struct ics_prop *props;
    size_t count, cap;
    struct ics_parts events, zones;
    bool cancels; /* METHOD:CANCEL: everything in it is called off */
    struct ics_notes notes;
};

/* Take apart `text`, which is changed and must stay: 0, -EBADMSG, -ENOMEM.
 * The caller frees *f (ics_file_free), also after an error. */
int ics_file_read(struct ics_file *f, char *text, size_t len,
                  const struct ics_why *why);
void ics_file_free(struct ics_file *f);

/* The line of this kind in a part, or NULL. */
const struct ics_prop *ics_find(const struct ics_file *f,
                                const struct ics_part *part,
                                enum ics_kind kind);

/* Count one more of a kind: `what` is the sentence without number and line. */
void ics_note(struct ics_notes *n, size_t line, const char *what, ...)
    __attribute__((format(printf, 3, 4)));

/* All notes, a line each; NULL without memory. The caller's. */
char *ics_notes_text(const struct ics_notes *n);

#endif

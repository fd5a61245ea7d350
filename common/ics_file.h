/*
 * ics_file.h - an iCalendar file, taken apart but not yet understood
 *
 *      DTSTART;TZID=Europe/Berlin;VALUE=DATE-TIME:20261123T090000
 *      name    params                             value
 *
 * The lines that say when something is, each with its number, and what is to
 * be said about the file. Everything else is counted for the list of what was
 * left out. Lines are joined and cut in place: the text is ours, and holds
 * what we point to.
 *
 * A function that returns bool or a pointer has failed with false or NULL, and
 * then f->err says how: -EBADMSG with a sentence in f->why, or -ENOMEM.
 */
#ifndef IPCLAB_ICS_FILE_H
#define IPCLAB_ICS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
    ICS_OBSERVANCE, /* from here on: a BEGIN; this is STANDARD or DAYLIGHT */
    ICS_EVENT,
    ICS_ZONE,
    ICS_END, /* of the file */
};

struct ics_prop {
    char *params, *value; /* in the text */
    enum ics_kind kind;
    unsigned line;
};

/* Things in a row; NULL as `at` while there are none. */
struct ics_list {
    void *at;
    size_t count, cap;
};

/* What was left out or changed: how often, and where first. */
struct ics_note {
    char what[72];
    size_t count, line;
};

#define ICS_NOTES_MAX 64

struct ics_zone;

struct ics_file {
    char *why; /* the sentence about what is wrong: cap bytes, the caller's */
    size_t cap;
    int err;
    struct ics_note notes[ICS_NOTES_MAX];
    size_t note_count;
    char *next, *end;      /* what is unread; *end can be written to */
    unsigned line;         /* lines read so far, as an editor counts them */
    struct ics_list props; /* in the file's order; the last is ICS_END */
    size_t events;         /* how many of them are ICS_EVENT */
    bool cancels;          /* METHOD:CANCEL: everything in it is called off */
    struct ics_zone *zones;
    int64_t steps; /* what rules may still search; see ics_rule.h */
};

/* Take apart `text`, which is changed and must stay. The caller frees *f
 * (ics_file_free), also after an error. */
bool ics_file_read(struct ics_file *f, char *text, size_t len);
void ics_file_free(struct ics_file *f);

/* The line behind `p` in the part that `begin` begins; NULL at its end. */
const struct ics_prop *ics_next(const struct ics_prop *begin,
                                const struct ics_prop *p);

/* The first line of this kind in the part, or NULL. */
const struct ics_prop *ics_find(const struct ics_prop *begin,
                                enum ics_kind kind);

/* No fault: true. Else the sentence, with the line and what it is called. */
bool ics_check(struct ics_file *f, const struct ics_prop *p, const char *fault);

/* ---- ics_line.c --------------------------------------------------------- */

struct ics_line {
    char *name, *params, *value; /* params "" = none; no ';' before them */
    unsigned number;             /* where it begins, from 1 */
};

/* The next line that isn't empty, cut up; false also at the end. */
bool ics_line_read(struct ics_file *f, struct ics_line *l);

/* The value of a parameter, or of a part of a rule, without its quotes: *len
 * bytes, or NULL. Case doesn't matter in its name. */
const char *ics_param(const char *params, const char *name, size_t *len);

/* Is this parameter there with this value? Case doesn't matter. */
bool ics_param_is(const char *params, const char *name, const char *value);

/* Cuts off what stands before the next `sep`, or all; NULL when nothing is
 * left in *rest. */
char *ics_cut(char **rest, char sep);

/* "line N: ..." into f->why. Always false. */
bool ics_bad(struct ics_file *f, size_t line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Count one more of a kind: `what` is the sentence without number and line. */
void ics_note(struct ics_file *f, size_t line, const char *what, ...)
    __attribute__((format(printf, 3, 4)));

/* All notes, a line each; NULL without memory. The caller's. */
char *ics_notes_text(const struct ics_file *f);

#define ICS_QUOTE_SIZE 48

/* Text of a file for a message: short, and nothing in it that a terminal would
 * obey. Returns buf. */
char *ics_quote(char buf[ICS_QUOTE_SIZE], const char *text, size_t len);

/* Room for one more, `size` bytes, not set to anything. */
void *ics_add(struct ics_file *f, struct ics_list *l, size_t size);

#endif

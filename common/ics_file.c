/*
 * ics_file.c - an iCalendar file, taken apart but not yet understood
 */
#include "ics_file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DEPTH_MAX 8 /* BEGIN inside BEGIN; a calendar needs three */

/* ---- notes -------------------------------------------------------------- */

void ics_note(struct ics_notes *n, size_t line, const char *what, ...)
{
    char text[sizeof n->at->what];
    size_t i = 0;
    va_list ap;

    va_start(ap, what);
    vsnprintf(text, sizeof text, what, ap);
    va_end(ap);
    while (i < n->count && strcmp(n->at[i].what, text) != 0)
        i++;
    if (i == ICS_NOTES_MAX) /* the last one stands for all the rest */
        snprintf(n->at[--i].what, sizeof text, "more of other kinds left out");
    if (i == n->count) {
        memcpy(n->at[i].what, text, sizeof text);
        n->at[i].line = line;
        n->count++;
    }
    n->at[i].count++;
}

char *ics_notes_text(const struct ics_notes *n)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    bool good;

    if (!out)
        return NULL;
    for (size_t i = 0; i < n->count; i++) {
        const struct ics_note *note = &n->at[i];

        if (note->count > 1)
            fprintf(out, "%s: %zu times, first in line %zu\n", note->what,
                    note->count, note->line);
        else
            fprintf(out, "%s: line %zu\n", note->what, note->line);
    }
    good = !ferror(out);
    if (fclose(out) == 0 && good)
        return text;
    free(text);
    return NULL;
}

/* ---- names -------------------------------------------------------------- */

/* In the order of enum ics_kind. */
static const char *const kinds[] = {
    "UID",      "SUMMARY",       "STATUS", "DTSTART",      "DTEND",
    "DURATION", "RECURRENCE-ID", "TZID",   "TZOFFSETFROM", "TZOFFSETTO",
    "RRULE",    "RDATE",         "EXDATE",
};

/* Which of n names; n when none. */
static size_t which(const char *name, const char *const *names, size_t n)
{
    size_t i = 0;

    while (i < n && strcasecmp(name, names[i]) != 0)
        i++;
    return i;
}

#define WHICH(name, names) which(name, names, sizeof(names) / sizeof *(names))

/* ---- where we are ------------------------------------------------------- */

enum place { CALENDAR, EVENT, ZONE, OBSERVANCE, OTHER };

static const char *const places[] = {"VCALENDAR", "VEVENT", "VTIMEZONE"};

struct walk {
    struct ics_file *f;
    const struct ics_why *why;
    struct {
        enum place place;
        const char *name; /* in the text */
        size_t line;
    } stack[DEPTH_MAX];
    size_t depth;
    size_t mark; /* where the event or observance begins in props */
    bool seen;   /* a calendar */
};

static enum place here(const struct walk *w)
{
    return w->depth ? w->stack[w->depth - 1].place : OTHER;
}

static int keep(struct walk *w, const struct ics_line *l, enum ics_kind kind)
{
    struct ics_file *f = w->f;
    struct ics_prop *more =
        ics_grow(f->props, &f->cap, f->count, sizeof *f->props);

    if (!more)
        return -ENOMEM;
    f->props = more;
    f->props[f->count++] =
        (struct ics_prop){l->params, l->value, kind, (unsigned)l->number};
    return 0;
}

static int open_part(struct walk *w, struct ics_parts *p, size_t line)
{
    struct ics_part *more = ics_grow(p->at, &p->cap, p->count, sizeof *p->at);

    if (!more)
        return -ENOMEM;
    p->at = more;
    p->at[p->count++] = (struct ics_part){w->f->count, 0, line};
    w->mark = w->f->count;
    return 0;
}

static void close_part(struct ics_file *f, struct ics_parts *p)
{
    p->at[p->count - 1].count = f->count - p->at[p->count - 1].first;
}

/* What BEGIN:name is at this place. */
static enum place place_of(const struct walk *w, const char *name)
{
    size_t place = WHICH(name, places);

    if (w->depth == 0)
        return place == CALENDAR ? CALENDAR : OTHER;
    if (here(w) == CALENDAR && (place == EVENT || place == ZONE))
        return (enum place)place;
    if (here(w) == ZONE &&
        (!strcasecmp(name, "STANDARD") || !strcasecmp(name, "DAYLIGHT")))
        return OBSERVANCE;
    return OTHER;
}

/* ---- lines -------------------------------------------------------------- */

static int begin(struct walk *w, const struct ics_line *l)
{
    enum place place = place_of(w, l->value);
    char quote[ICS_QUOTE_SIZE];
    int err = 0;

    ics_quote(quote, l->value, strlen(l->value));
    if (w->depth == 0 && place != CALENDAR)
        return ics_bad(w->why, l->number,
                       "BEGIN:%s stands outside of a calendar", quote);
    if (w->depth == DEPTH_MAX)
        return ics_bad(w->why, l->number, "more than %d BEGINs are open",
                       DEPTH_MAX);
    if (place == OTHER && WHICH(l->value, places) <= ZONE)
        return ics_bad(w->why, l->number,
                       "BEGIN:%s can't stand here; does an END miss before it?",
                       quote);
    if (place == OTHER && here(w) != OTHER)
        ics_note(&w->f->notes, l->number, "%s left out", quote);
    if (place == EVENT)
        err = open_part(w, &w->f->events, l->number);
    else if (place == ZONE)
        err = open_part(w, &w->f->zones, l->number);
    else if (place == OBSERVANCE) {
        err = keep(w, l, ICS_OBSERVANCE);
        w->mark = w->f->count;
    }
    w->seen = true;
    w->stack[w->depth].place = place;
    w->stack[w->depth].name = l->value;
    w->stack[w->depth++].line = l->number;
    return err;
}

static int end(struct walk *w, const struct ics_line *l)
{
    char quote[ICS_QUOTE_SIZE], open[ICS_QUOTE_SIZE];
    const char *name = w->depth ? w->stack[w->depth - 1].name : NULL;

    ics_quote(quote, l->value, strlen(l->value));
    if (!name)
        return ics_bad(w->why, l->number, "END:%s without its BEGIN", quote);
    if (strcasecmp(name, l->value) != 0)
        return ics_bad(w->why, l->number,
                       "END:%s, but BEGIN:%s is open (line "
                       "%zu)",
                       quote, ics_quote(open, name, strlen(name)),
                       w->stack[w->depth - 1].line);
    if (here(w) == EVENT)
        close_part(w->f, &w->f->events);
    else if (here(w) == ZONE)
        close_part(w->f, &w->f->zones);
    w->depth--;
    return 0;
}

/* A line of the calendar itself. */
static int about_calendar(struct walk *w, const struct ics_line *l)
{
    char quote[ICS_QUOTE_SIZE];

    ics_quote(quote, l->value, strlen(l->value));
    if (!strcasecmp(l->name, "VERSION") && strcmp(l->value, "2.0") != 0)
        return ics_bad(w->why, l->number,
                       "VERSION:%s; only iCalendar 2.0 can be read", quote);
    if (!strcasecmp(l->name, "CALSCALE") &&
        strcasecmp(l->value, "GREGORIAN") != 0)
        return ics_bad(w->why, l->number, "CALSCALE:%s isn't known", quote);
    if (!strcasecmp(l->name, "METHOD"))
        w->f->cancels = !strcasecmp(l->value, "CANCEL");
    return 0;
}

/* A line of an event or a zone that is wanted once only. */
static int first_of_its_kind(struct walk *w, const struct ics_line *l,
                             size_t kind)
{
    if (kind < ICS_RRULE)
        for (size_t i = w->mark; i < w->f->count; i++)
            if (w->f->props[i].kind == kind)
                return ics_bad(w->why, l->number,
                               "a second %s (the first: line %u)", kinds[kind],
                               w->f->props[i].line);
    return 0;
}

/* What no timetable has a place for: it is counted. */
static void left_out(struct walk *w, const struct ics_line *l)
{
    static const char *const books[] = {
        "UID",    "DTSTAMP", "CREATED",  "LAST-MODIFIED", "SEQUENCE",
        "PRODID", "VERSION", "CALSCALE", "METHOD",
    };

    if (!strncasecmp(l->name, "X-", 2))
        ics_note(&w->f->notes, l->number, "X-... left out");
    else if (WHICH(l->name, books) == sizeof books / sizeof *books)
        ics_note(&w->f->notes, l->number, "%.40s left out", l->name);
}

static int content(struct walk *w, const struct ics_line *l)
{
    size_t kind = WHICH(l->name, kinds);
    enum place place = here(w);
    int err;

    if (w->depth == 0)
        return ics_bad(w->why, l->number,
                       w->seen ? "it stands behind END:VCALENDAR"
                               : "not a calendar: BEGIN:VCALENDAR is missing");
    if (place == OTHER)
        return 0; /* left out as a whole */
    if (place == CALENDAR) {
        left_out(w, l);
        return about_calendar(w, l);
    }
    if (kind == sizeof kinds / sizeof *kinds) {
        if (place == EVENT)
            left_out(w, l); /* of a zone, nothing else matters */
        return 0;
    }
    err = first_of_its_kind(w, l, kind);
    return err ? err : keep(w, l, (enum ics_kind)kind);
}

int ics_file_read(struct ics_file *f, char *text, size_t len,
                  const struct ics_why *why)
{
    struct ics_lines t = {text, text + len, 0};
    struct walk w = {.f = f, .why = why};
    struct ics_line l;
    int err;

    *f = (struct ics_file){0};
    if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
        t.at += 3; /* some programs begin with a byte order mark */
    while ((err = ics_next(&t, &l, why)) > 0) {
        if (!strcasecmp(l.name, "BEGIN"))
            err = begin(&w, &l);
        else if (!strcasecmp(l.name, "END"))
            err = end(&w, &l);
        else
            err = content(&w, &l);
        if (err < 0)
            return err;
    }
    if (err == 0 && w.depth > 0)
        err = ics_bad(why, w.stack[w.depth - 1].line,
                      "this BEGIN has no END; is the file cut off?");
    else if (err == 0 && !w.seen)
        err = ics_bad(why, 1, "not a calendar: BEGIN:VCALENDAR is missing");
    return err;
}

void ics_file_free(struct ics_file *f)
{
    free(f->props);
    free(f->events.at);
    free(f->zones.at);
    *f = (struct ics_file){0};
}

const struct ics_prop *ics_find(const struct ics_file *f,
                                const struct ics_part *part, enum ics_kind kind)
{
    for (size_t i = 0; i < part->count; i++)
        if (f->props[part->first + i].kind == kind)
            return &f->props[part->first + i];
    return NULL;
}

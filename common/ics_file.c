/*
 * ics_file.c - an iCalendar file, taken apart but not yet understood
 *
 * libical's parser isn't used: of a bad date, a line without a colon or a file
 * that is cut off it makes a smaller calendar, and no error has a line.
 */
#include "ics_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DEPTH_MAX 8 /* BEGIN inside BEGIN; a calendar needs three */

#define LEN(a) (sizeof(a) / sizeof *(a))

/* ---- names -------------------------------------------------------------- */

/* In the order of enum ics_kind. */
static const char *const kinds[] = {
    "UID",      "SUMMARY",       "STATUS", "DTSTART",      "DTEND",
    "DURATION", "RECURRENCE-ID", "TZID",   "TZOFFSETFROM", "TZOFFSETTO",
    "RRULE",    "RDATE",         "EXDATE",
};

/* What BEGIN may say, and where: ICS_END is outside of everything. */
enum { CALENDAR = ICS_END + 1, OTHER };

static const struct {
    const char *name;
    int in, is;
} begins[] = {
    {"VCALENDAR", ICS_END, CALENDAR},
    {"VEVENT", CALENDAR, ICS_EVENT},
    {"VTIMEZONE", CALENDAR, ICS_ZONE},
    {"STANDARD", ICS_ZONE, ICS_OBSERVANCE},
    {"DAYLIGHT", ICS_ZONE, ICS_OBSERVANCE},
};

/* Which of n names; n when none. */
static size_t which(const char *name, const char *const *names, size_t n)
{
    size_t i = 0;

    while (i < n && strcasecmp(name, names[i]) != 0)
        i++;
    return i;
}

/* ---- where we are ------------------------------------------------------- */

struct walk {
    struct ics_file *f;
    struct {
        int is;           /* what began: as in begins, or OTHER */
        const char *name; /* in the text */
        unsigned line;
    } open[DEPTH_MAX];
    size_t depth;
    size_t begin; /* the last BEGIN in f->props */
    bool seen;    /* a calendar */
};

static int here(const struct walk *w)
{
    return w->depth ? w->open[w->depth - 1].is : ICS_END;
}

static bool keep(struct ics_file *f, const struct ics_line *l, size_t kind)
{
    struct ics_prop *p = ics_add(f, &f->props, sizeof *p);

    if (!p)
        return false;
    *p = (struct ics_prop){l->params, l->value, (enum ics_kind)kind, l->number};
    return true;
}

static bool begin(struct walk *w, const struct ics_line *l)
{
    char quote[ICS_QUOTE_SIZE];
    int in = here(w), is = OTHER, where = in;

    ics_quote(quote, l->value, strlen(l->value));
    for (size_t i = 0; i < LEN(begins); i++)
        if (!strcasecmp(l->value, begins[i].name)) {
            is = begins[i].is;
            where = begins[i].in;
        }
    if (in == ICS_END && is != CALENDAR)
        return ics_bad(w->f, l->number, "BEGIN:%s stands outside of a calendar",
                       quote);
    if (w->depth == DEPTH_MAX)
        return ics_bad(w->f, l->number, "more than %d BEGINs are open",
                       DEPTH_MAX);
    if (where != in)
        return ics_bad(w->f, l->number,
                       "BEGIN:%s can't stand here; does an END miss before it?",
                       quote);
    if (is == OTHER && in != OTHER)
        ics_note(w->f, l->number, "%s left out", quote);
    w->open[w->depth].is = is;
    w->open[w->depth].name = l->value;
    w->open[w->depth++].line = l->number;
    w->seen = true;
    if (is == CALENDAR || is == OTHER)
        return true;
    w->begin = w->f->props.count;
    w->f->events += is == ICS_EVENT;
    return keep(w->f, l, (size_t)is);
}

static bool end(struct walk *w, const struct ics_line *l)
{
    char quote[ICS_QUOTE_SIZE], open[ICS_QUOTE_SIZE];
    const char *name = w->depth ? w->open[w->depth - 1].name : NULL;

    ics_quote(quote, l->value, strlen(l->value));
    if (!name)
        return ics_bad(w->f, l->number, "END:%s without its BEGIN", quote);
    if (strcasecmp(name, l->value) != 0)
        return ics_bad(
            w->f, l->number, "END:%s, but BEGIN:%s is open (line %u)", quote,
            ics_quote(open, name, strlen(name)), w->open[w->depth - 1].line);
    w->depth--;
    return true;
}

/* ---- lines -------------------------------------------------------------- */

/* What no timetable has a place for: it is counted. */
static void left_out(struct ics_file *f, const struct ics_line *l)
{
    static const char *const books[] = {
        "UID",    "DTSTAMP", "CREATED",  "LAST-MODIFIED", "SEQUENCE",
        "PRODID", "VERSION", "CALSCALE", "METHOD",
    };

    if (!strncasecmp(l->name, "X-", 2))
        ics_note(f, l->number, "X-... left out");
    else if (which(l->name, books, LEN(books)) == LEN(books))
        ics_note(f, l->number, "%.40s left out", l->name);
}

/* A line of the calendar itself. */
static bool about_calendar(struct ics_file *f, const struct ics_line *l)
{
    char quote[ICS_QUOTE_SIZE];

    ics_quote(quote, l->value, strlen(l->value));
    left_out(f, l);
    if (!strcasecmp(l->name, "VERSION") && strcmp(l->value, "2.0") != 0)
        return ics_bad(f, l->number,
                       "VERSION:%s; only iCalendar 2.0 can be read", quote);
    if (!strcasecmp(l->name, "CALSCALE") &&
        strcasecmp(l->value, "GREGORIAN") != 0)
        return ics_bad(f, l->number, "CALSCALE:%s; only GREGORIAN can be read",
                       quote);
    if (!strcasecmp(l->name, "METHOD"))
        f->cancels = !strcasecmp(l->value, "CANCEL");
    return true;
}

/* A line of an event or a zone. */
static bool about_part(struct walk *w, const struct ics_line *l)
{
    const struct ics_prop *props = w->f->props.at;
    size_t kind = which(l->name, kinds, LEN(kinds));

    if (kind == LEN(kinds)) {
        if (here(w) == ICS_EVENT)
            left_out(w->f, l); /* of a zone, nothing else matters */
        return true;
    }
    for (size_t i = w->begin; kind < ICS_RRULE && i < w->f->props.count; i++)
        if (props[i].kind == kind)
            return ics_bad(w->f, l->number, "a second %s (the first: line %u)",
                           kinds[kind], props[i].line);
    return keep(w->f, l, kind);
}

static bool content(struct walk *w, const struct ics_line *l)
{
    if (!strcasecmp(l->name, "BEGIN"))
        return begin(w, l);
    if (!strcasecmp(l->name, "END"))
        return end(w, l);
    switch (here(w)) {
    case ICS_END:
        return ics_bad(w->f, l->number,
                       w->seen ? "it stands behind END:VCALENDAR"
                               : "not a calendar: BEGIN:VCALENDAR is missing");
    case CALENDAR: return about_calendar(w->f, l);
    case OTHER: return true; /* left out as a whole */
    default: return about_part(w, l);
    }
}

bool ics_file_read(struct ics_file *f, char *text, size_t len)
{
    struct walk w = {.f = f};
    struct ics_line l;

    f->next = text;
    f->end = text + len;
    if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
        f->next += 3; /* some programs begin with a byte order mark */
    while (ics_line_read(f, &l))
        if (!content(&w, &l))
            return false;
    if (f->err)
        return false;
    if (w.depth > 0)
        return ics_bad(f, w.open[w.depth - 1].line,
                       "this BEGIN has no END; is the file cut off?");
    if (!w.seen)
        return ics_bad(f, 1, "not a calendar: BEGIN:VCALENDAR is missing");
    return keep(f, &(struct ics_line){0}, ICS_END);
}

void ics_file_free(struct ics_file *f)
{
    free(f->props.at);
    f->props = (struct ics_list){0};
}

/* ---- asking ------------------------------------------------------------- */

const struct ics_prop *ics_next(const struct ics_prop *begin,
                                const struct ics_prop *p)
{
    p++; /* a zone goes on behind the beginning of STANDARD or DAYLIGHT */
    return p->kind > ICS_OBSERVANCE || p->kind == begin->kind ? NULL : p;
}

const struct ics_prop *ics_find(const struct ics_prop *begin,
                                enum ics_kind kind)
{
    const struct ics_prop *p = begin;

    do
        p = ics_next(begin, p);
    while (p && p->kind != kind);
    return p;
}

bool ics_check(struct ics_file *f, const struct ics_prop *p, const char *fault)
{
    return !fault || ics_bad(f, p->line, "%s: %s", kinds[p->kind], fault);
}

/*
 * ics_series.h - events of a calendar, and the series that they may begin
 *
 * What ics_read.c has understood, and ics_series.c writes out.
 */
#ifndef IPCLAB_ICS_SERIES_H
#define IPCLAB_ICS_SERIES_H

#include "ics.h"
#include "ics_value.h"
#include "ics_zone.h"

/* An occurrence that was struck out, or changed by another VEVENT. */
struct ics_gap {
    struct ics_when when;
    const struct ics_zone *zone; /* of `when` */
    const struct ics_prop *p;    /* the line that says so; NULL = no gap */
    int64_t from, to;            /* it struck what starts then; UTC */
};

/* A VEVENT as it stands. */
struct ics_vevent {
    const struct ics_prop *begin;
    const char *uid; /* "" = none */
    const char *title;
    struct ics_when start;
    const struct ics_zone *zone; /* NULL = local time */
    int64_t days;                /* how long: days by the calendar, */
    int64_t seconds;             /* and then seconds by the clock */
    bool cancelled;
    struct ics_gap changed; /* RECURRENCE-ID: it stands for that occurrence */
    size_t group;           /* in by_uid, the first with this UID */
};

/* A calendar that is being read. */
struct ics_reader {
    struct ics_file f;
    const struct ics_opts *opts;
    int64_t endless_from, endless_to; /* what is taken of an endless series */
    struct ics_vevent *events;        /* f.events of them */
    struct ics_vevent **by_uid;       /* the same, sorted */
    struct ics_list out;              /* struct event */
};

/* Puts the events of one VEVENT into r->out: itself, or all its occurrences.
 * Every VEVENT of the file is known and in by_uid, for one may change what
 * another repeats. False: why is in r->f. */
bool ics_series_write(struct ics_reader *r, const struct ics_vevent *v);

#endif

/*
 * ics_rule.h - the dates of a rule
 *
 * Rules by the week are worked out here, all others by libical.
 */
#ifndef IPCLAB_ICS_RULE_H
#define IPCLAB_ICS_RULE_H

#include "ics_value.h"
#include "ics_zone.h"

/* Called with each date in order; returns false to stop. */
typedef bool ics_take(int64_t wall, void *arg);

/* What is asked of a rule. */
struct ics_series {
    const struct ics_zone *zone; /* where clock and calendar are */
    struct ics_when start;       /* what they show at the first date */
    int64_t from;                /* earlier dates may be passed over */
    ics_take *take;
    void *arg;
};

/*
 * Hand the dates of an RRULE to `take`, until it returns false. f->steps is
 * what may be searched, and goes down: by one for a day, by ICS_LIBRARY_STEP
 * for a step of the library.
 */
bool ics_rule_dates(struct ics_file *f, const struct ics_prop *rrule,
                    const struct ics_series *s);

/* Does this rule go on for ever? */
bool ics_rule_endless(const struct ics_prop *rrule);

/* ---- for ics_library.c -------------------------------------------------- */

#define ICS_LIBRARY_STEP 100

/* A rule, looked over. The text stays what says which dates it means. */
struct ics_rule {
    const char *text;
    int64_t begin; /* where the search begins; not later than ics_series.from */
    int64_t until; /* the last possible date; INT64_MAX = no end */
    int64_t count; /* INT64_MAX = no COUNT */
    int64_t unit;  /* seconds of one step of the search, about */
};

/* What is said when f->steps is used up. */
extern const char ics_too_long[];

/* NULL, or a sentence: the library isn't there, doesn't understand the rule, or
 * would search too long. */
const char *ics_library(struct ics_file *f, const struct ics_rule *r,
                        const struct ics_series *s);

#endif

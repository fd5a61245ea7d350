/*
 * ics_rule.h - the dates of a rule
 */
#ifndef IPCLAB_ICS_RULE_H
#define IPCLAB_ICS_RULE_H

#include "ics_value.h"
#include "ics_zone.h"

/* Called with each date in order; returns false to stop. */
typedef bool ics_take(int64_t wall, void *arg);

/* What is asked of a rule. */
struct ics_rule_ask {
    const struct ics_zone *zone; /* where clock and calendar are */
    struct ics_when start;       /* what they show at the first date */
    int64_t from;                /* earlier dates may be passed over; not
                                    behind the start when there is a COUNT */
    ics_take *take;
    void *arg;
};

/*
 * Hand the dates of an RRULE to `take`, until it returns false. f->steps is
 * what may be searched, and goes down: by one for a day that is looked at, by
 * more for a date.
 */
bool ics_rule_dates(struct ics_file *f, const struct ics_prop *rrule,
                    const struct ics_rule_ask *s);

/* Does this rule go on for ever? */
bool ics_rule_endless(const struct ics_prop *rrule);

#endif

/*
 * ics_rule.h - the dates of a rule
 */
#ifndef IPCLAB_ICS_RULE_H
#define IPCLAB_ICS_RULE_H

#include "ics_value.h"

#define ICS_LIBRARY_STEP 100

/* What is said when *steps is used up. */
extern const char ics_too_long[];

/* Called with each date in order; returns false to stop. */
typedef bool ics_take(int64_t wall, void *arg);

struct ics_span_of_rule {
    int64_t start; /* what clock and calendar show at the first one */
    int64_t from;  /* earlier ones may be passed over */
    int64_t until; /* the last possible one; INT64_MAX = no end */
    bool date;     /* days, no times of day */
};

/*
 * Hand the dates of a rule to `take`, until it returns false. *steps is what
 * may be searched, and goes down: by one for a date, by ICS_LIBRARY_STEP for a
 * step of the library.
 *   NULL, or a sentence: the library isn't there, doesn't understand the rule,
 *   or would search too long.
 */
const char *ics_expand(const struct ics_rule *r,
                       const struct ics_span_of_rule *span, int64_t *steps,
                       ics_take *take, void *arg);

/* The same for rules that aren't by the week: by libical, or without it just
 * the sentence. */
const char *ics_library(const struct ics_rule *r,
                        const struct ics_span_of_rule *span, int64_t *steps,
                        ics_take *take, void *arg);

#endif

/*
 * ics_none.c - instead of ics_rule.c, where libical isn't installed
 *
 * Calendars can be read all the same when they have no other rules than by the
 * week.
 */
#include "ics_rule.h"

#ifndef HAVE_LIBICAL

const char *ics_library(const struct ics_rule *r,
                        const struct ics_span_of_rule *span, int64_t *steps,
                        ics_take *take, void *arg)
{
    (void)r, (void)span, (void)steps, (void)take, (void)arg;
    return "this rule needs libical, and the program was built without it; "
           "'make deps-web' installs it, then 'make' again";
}

#endif

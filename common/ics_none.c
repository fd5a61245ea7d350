/*
 * ics_none.c - instead of ics_library.c, where libical isn't installed
 *
 * Calendars can be read all the same when they have no other rules than by the
 * week.
 */
#include "ics_rule.h"

#ifndef HAVE_LIBICAL

const char *ics_library(struct ics_file *f, const struct ics_rule *r,
                        const struct ics_series *s)
{
    (void)f, (void)r, (void)s;
    return "this rule needs libical, and the program was built without it; "
           "'make deps-web' installs it, then 'make' again";
}

#endif

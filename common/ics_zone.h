/*
 * ics_zone.h - what clocks show where a calendar comes from
 *
 * A zone is a list of moments at which its clocks change.
 * localtime(3) knows only one zone at a time, and another thread may just be
 * using it.
 */
#ifndef IPCLAB_ICS_ZONE_H
#define IPCLAB_ICS_ZONE_H

#include "ics_file.h"
#include "ics_value.h"

/* All VTIMEZONEs of a file, into f->zones. The caller frees (ics_zones_free),
 * also after an error. */
bool ics_zones_read(struct ics_file *f);
void ics_zones_free(struct ics_file *f);

/*
 * The zone that this line's TZID names into *out: one of the file, or one of
 * the system. It stays the file's. NULL as a zone means local time everywhere
 * below, and here when there is no TZID; ics_utc is UTC.
 */
bool ics_zone_find(struct ics_file *f, const struct ics_prop *p,
                   const struct ics_zone **out);
extern const struct ics_zone ics_utc;

/* What clocks there show at t, as if it were UTC. */
int64_t ics_wall(const struct ics_zone *zone, int64_t t);

/* The first moment at which clocks there show `wall`; when they skip it, what
 * it would be had they not been changed. */
int64_t ics_moment(const struct ics_zone *zone, int64_t wall);

/* The same of a time in the file: in UTC when that is what it says. */
int64_t ics_when_moment(const struct ics_when *when,
                        const struct ics_zone *zone);

#endif

/*
 * ics_zone.h - what clocks show where a calendar comes from
 *
 * A zone is a list of moments at which its clocks change. localtime(3) knows
 * only one zone at a time, and another thread may just be using it.
 */
#ifndef IPCLAB_ICS_ZONE_H
#define IPCLAB_ICS_ZONE_H

#include "ics_file.h"

struct ics_zone;

struct ics_zones {
    struct ics_zone **at;
    size_t count, cap;
    int64_t *steps; /* what rules may still be searched */
};

/* All VTIMEZONEs of a file: 0, -EBADMSG, -ENOMEM. Rules need libical. The
 * caller frees, also after an error. */
int ics_zones_read(struct ics_zones *z, const struct ics_file *f,
                   const struct ics_why *why);
void ics_zones_free(struct ics_zones *z);

/*
 * The zone of this name (len bytes) into *out: one of the file, or one of the
 * system. 0, -ENOENT, -ENOMEM. It stays the list's. NULL as a zone means local
 * time everywhere below, and ics_utc is UTC.
 */
int ics_zone_find(struct ics_zones *z, const char *name, size_t len,
                  const struct ics_zone **out);
extern const struct ics_zone ics_utc;

/* What clocks there show at t, as if it were UTC. */
int64_t ics_wall(const struct ics_zone *zone, int64_t t);

/* The first moment at which clocks there show `wall`; when they skip it, what
 * it would be had they not been changed. */
int64_t ics_moment(const struct ics_zone *zone, int64_t wall);

#endif

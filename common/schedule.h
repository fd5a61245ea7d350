/*
 * schedule.h - the timetable in memory
 *
 * Events with a title, a start and an end, found by id or by overlap with a
 * range of time. No I/O, no lock, no transport: store.h puts a lock and a
 * journal around it. Up to a million events. An overlap query looks at its
 * hits, and at the events that ended before the range by less than their own
 * length: seldom many, but a timetable that just ended is looked at whole.
 *
 * Time is int64 seconds since 1970-01-01T00:00:00Z (UTC). An event covers
 * [start, end): it ends before the second `end` begins, so two lessons that
 * touch don't overlap.
 */
#ifndef IPCLAB_SCHEDULE_H
#define IPCLAB_SCHEDULE_H

#include "timestamp.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EVENT_TITLE_MAX 255 /* bytes, without the NUL */
#define EVENT_TIME_MIN  TIMESTAMP_MIN
#define EVENT_TIME_MAX  TIMESTAMP_MAX
#define EVENT_COUNT_MAX 16777216u /* ids are 1..this */

struct event {
    uint32_t id;       /* 1.. in order of creation, never used again */
    uint64_t rev;      /* journal sequence of the last change */
    int64_t start;     /* seconds, UTC */
    int64_t end;       /* seconds, UTC; start < end */
    const char *title; /* NUL-terminated UTF-8; see who owns it below */
    uint8_t title_len; /* bytes, 1..EVENT_TITLE_MAX */
};

struct schedule;

/* 0 when `title` (len bytes) may be an event's title, else -EILSEQ: 1..255
 * bytes of valid UTF-8 without control characters (U+0000-001F, U+007F-009F).
 */
int event_title_check(const char *title, size_t len);

/* True when nothing can be seen of a title that is right otherwise: it has
 * only spaces. No new event may have it; but data files from before that rule
 * are as good as ever, so event_title_check accepts it. */
bool event_title_blank(const char *title, size_t len);

/* 0 when start and end may be an event's times, else -EDOM. */
int event_times_check(int64_t start, int64_t end);

/* An empty schedule, or NULL without memory. The caller frees it. */
struct schedule *schedule_new(void);
void schedule_free(struct schedule *s); /* takes NULL */

/* How many events there are, and the id that the next new event gets. */
size_t schedule_count(const struct schedule *s);
uint32_t schedule_next_id(const struct schedule *s);

/*
 * Put `ev` in under ev->id, instead of the event that has this id, if any.
 * The title is copied. An id at or above schedule_next_id moves that beyond
 * it (ids in between stay unused). 0, -EILSEQ or -EDOM (see the checks
 * above), -EINVAL for id 0, -ENOSPC beyond EVENT_COUNT_MAX, -ENOMEM; on an
 * error nothing has changed.
 */
int schedule_put(struct schedule *s, const struct event *ev);

/* All of schedule_put that can fail, and nothing else: the checks, and the
 * memory. After 0 a schedule_put of the same event can't fail. So a store can
 * write its journal in between. */
int schedule_prepare(struct schedule *s, const struct event *ev);

/* Take out the event with this id: 0 or -ENOENT. */
int schedule_remove(struct schedule *s, uint32_t id);

/* Ids below `next` are never given again, even when nobody has them. */
void schedule_reserve(struct schedule *s, uint32_t next);

/* The event with this id, or NULL. It and its title are the schedule's and
 * stay valid until the next schedule_put or schedule_remove. */
const struct event *schedule_get(const struct schedule *s, uint32_t id);

/* Called with each hit; returns false to stop. `ev` is the schedule's. The
 * schedule isn't changed during a walk. */
typedef bool schedule_visit(const struct event *ev, void *arg);

/* Where a walk goes on: behind the event with this start and id. */
struct schedule_cursor {
    int64_t start;
    uint32_t id;
};

/*
 * Visit every event that overlaps [from, to) (start < to and from < end), in
 * the order (start, id), beginning behind *after when it isn't NULL. So pages
 * neither repeat nor skip an event that stays as it is between them.
 */
void schedule_walk(const struct schedule *s, int64_t from, int64_t to,
                   const struct schedule_cursor *after, schedule_visit *visit,
                   void *arg);

#endif

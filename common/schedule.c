/*
 * schedule.c - the timetable in memory; see schedule.h
 *
 *   index[id] --> entry         found by id: one array access
 *
 *   tree[0]  1 s                found by overlap: a red-black tree for each
 *   tree[1]  2-3 s              power of two of duration, ordered by
 *   ...                         (start, id)
 *   tree[11] 2048-4095 s
 *
 * Why many trees? An event that overlaps [from, to) may have begun long before
 * `from`, but not longer before than it lasts. In a tree where the longest
 * event is less than twice the shortest, "starts after from - longest" is a
 * tight bound: what is looked at and isn't a hit has ended only just before.
 * One ten-year event in a single tree would make every query look at ten
 * years. The trees' hits are then merged into one order.
 *
 * Left out on purpose: an interval tree. It needs its own balanced tree, and
 * the one in <bsd/sys/tree.h> can't keep the extra data right.
 */
#include "schedule.h"

#include "utf8.h"

#include <bsd/sys/tree.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The longest event, MAX - MIN seconds, is shorter than 2^39. */
#define CLASSES 39

struct entry {
    RB_ENTRY(entry) node; /* in the tree of its duration's class */
    struct event ev;      /* ev.title points to `title` */
    char title[];
};

RB_HEAD(by_start, entry);

struct schedule {
    struct entry **index; /* by id; NULL where there is no event */
    size_t index_len;     /* ids below this have a place in `index` */
    struct by_start tree[CLASSES];
    struct entry *spare; /* made by schedule_prepare for the next put */
    size_t spare_title;  /* bytes of title that `spare` has room for */
    size_t count;
    uint32_t next_id;
};

static int compare(const struct entry *a, const struct entry *b)
{
    if (a->ev.start != b->ev.start)
        return a->ev.start < b->ev.start ? -1 : 1;
    return (a->ev.id > b->ev.id) - (a->ev.id < b->ev.id);
}

/* RB_GENERATE_STATIC is this line with a name that only BSD's libc has. */
RB_GENERATE_INTERNAL(by_start, entry, node, compare,
                     __attribute__((unused)) static)

int event_title_check(const char *title, size_t len)
{
    uint32_t c;

    if (len == 0 || len > EVENT_TITLE_MAX)
        return -EILSEQ;
    for (size_t at = 0, n; at < len; at += n) {
        n = utf8_next(title + at, len - at, &c);
        if (n == 0 || c < 0x20 || (c >= 0x7f && c <= 0x9f))
            return -EILSEQ;
    }
    return 0;
}

/* The spaces of Unicode (general category Zs). */
static bool is_space(uint32_t c)
{
    return c == ' ' || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x202f || c == 0x205f ||
           c == 0x3000;
}

bool event_title_blank(const char *title, size_t len)
{
    uint32_t c = ' ';

    for (size_t at = 0, n; at < len && is_space(c); at += n) {
        n = utf8_next(title + at, len - at, &c);
        if (n == 0)
            return false;
    }
    return is_space(c);
}

int event_times_check(int64_t start, int64_t end)
{
    return start >= EVENT_TIME_MIN && start < end && end <= EVENT_TIME_MAX
               ? 0
               : -EDOM;
}

struct schedule *schedule_new(void)
{
    struct schedule *s = calloc(1, sizeof *s);

    if (s == NULL)
        return NULL;
    for (unsigned k = 0; k < CLASSES; k++)
        RB_INIT(&s->tree[k]);
    s->next_id = 1;
    return s;
}

void schedule_free(struct schedule *s)
{
    if (s == NULL)
        return;
    for (size_t id = 0; id < s->index_len; id++)
        free(s->index[id]);
    free(s->index);
    free(s->spare);
    free(s);
}

size_t schedule_count(const struct schedule *s)
{
    return s->count;
}

uint32_t schedule_next_id(const struct schedule *s)
{
    return s->next_id;
}

void schedule_reserve(struct schedule *s, uint32_t next)
{
    if (next > EVENT_COUNT_MAX + 1)
        next = EVENT_COUNT_MAX + 1;
    if (next > s->next_id)
        s->next_id = next;
}

/* floor(log2(duration)) */
static unsigned class_of(const struct event *ev)
{
    unsigned k = 0;

    for (int64_t d = ev->end - ev->start; d > 1; d /= 2)
        k++;
    return k;
}

/* Make the index reach `id`. Doubling: a million puts copy it 20 times. */
static int grow_index(struct schedule *s, uint32_t id)
{
    size_t len = s->index_len > 0 ? s->index_len : 64;
    struct entry **index;

    if (id < s->index_len)
        return 0;
    while (len <= id)
        len *= 2;
    index = realloc(s->index, len * sizeof *index);
    if (index == NULL)
        return -ENOMEM;
    for (size_t i = s->index_len; i < len; i++)
        index[i] = NULL;
    s->index = index;
    s->index_len = len;
    return 0;
}

int schedule_prepare(struct schedule *s, const struct event *ev)
{
    int err = event_title_check(ev->title, ev->title_len);

    if (err == 0)
        err = event_times_check(ev->start, ev->end);
    if (err == 0 && ev->id == 0)
        err = -EINVAL;
    if (err == 0 && ev->id > EVENT_COUNT_MAX)
        err = -ENOSPC;
    if (err == 0)
        err = grow_index(s, ev->id);
    if (err != 0)
        return err;
    if (s->spare != NULL && s->spare_title >= ev->title_len)
        return 0;

    free(s->spare);
    s->spare = malloc(sizeof *s->spare + ev->title_len + 1u);
    s->spare_title = ev->title_len;
    return s->spare != NULL ? 0 : -ENOMEM;
}

int schedule_put(struct schedule *s, const struct event *ev)
{
    int err = schedule_prepare(s, ev);
    struct entry *fresh = s->spare;

    if (err != 0)
        return err;
    s->spare = NULL;
    fresh->ev = *ev;
    fresh->ev.title = fresh->title;
    memcpy(fresh->title, ev->title, ev->title_len);
    fresh->title[ev->title_len] = '\0';

    /* Only now: ev->title may be the old event's. */
    (void)schedule_remove(s, ev->id); /* -ENOENT: it is new */
    RB_INSERT(by_start, &s->tree[class_of(&fresh->ev)], fresh);
    s->index[fresh->ev.id] = fresh;
    s->count++;
    schedule_reserve(s, fresh->ev.id + 1);
    return 0;
}

int schedule_remove(struct schedule *s, uint32_t id)
{
    struct entry *e = id < s->index_len ? s->index[id] : NULL;

    if (e == NULL)
        return -ENOENT;
    RB_REMOVE(by_start, &s->tree[class_of(&e->ev)], e);
    s->index[id] = NULL;
    s->count--;
    free(e);
    return 0;
}

const struct event *schedule_get(const struct schedule *s, uint32_t id)
{
    struct entry *e = id < s->index_len ? s->index[id] : NULL;

    return e != NULL ? &e->ev : NULL;
}

/* The first event of class k, at or behind `e`, that overlaps [from, to). */
static struct entry *next_hit(struct entry *e, int64_t from, int64_t to)
{
    while (e != NULL && e->ev.start < to && e->ev.end <= from)
        e = RB_NEXT(by_start, , e);
    return e != NULL && e->ev.start < to ? e : NULL;
}

/* The first event of class k that may overlap what begins at `from`, and
 * stands behind the cursor. */
static struct entry *first_of(const struct schedule *s, unsigned k,
                              int64_t from, const struct schedule_cursor *after)
{
    /* tree.h takes no const; a search changes nothing. */
    struct by_start *tree = (struct by_start *)&s->tree[k];
    /* The class's longest event lasts 2^(k+1) - 1 seconds; begun here, it
     * would have its last second at `from`. */
    struct entry key = {.ev.start = from - ((int64_t)2 << k) + 2};
    struct entry *e;

    if (after == NULL || after->start < key.ev.start)
        return RB_NFIND(by_start, tree, &key);
    key.ev.start = after->start;
    key.ev.id = after->id;
    e = RB_NFIND(by_start, tree, &key);
    return e != NULL && compare(e, &key) == 0 ? RB_NEXT(by_start, , e) : e;
}

void schedule_walk(const struct schedule *s, int64_t from, int64_t to,
                   const struct schedule_cursor *after, schedule_visit *visit,
                   void *arg)
{
    struct entry *head[CLASSES]; /* the next hit of each class that has one */
    unsigned n = 0;

    if (from >= to)
        return; /* an empty range overlaps nothing */
    if (from < EVENT_TIME_MIN)
        from = EVENT_TIME_MIN; /* the same hits, and no overflow below */
    for (unsigned k = 0; k < CLASSES; k++) {
        head[n] = next_hit(first_of(s, k, from, after), from, to);
        if (head[n] != NULL)
            n++;
    }
    while (n > 0) {
        unsigned least = 0;
        for (unsigned i = 1; i < n; i++) {
            if (compare(head[i], head[least]) < 0)
                least = i;
        }
        struct entry *e = head[least];
        if (!visit(&e->ev, arg))
            return;
        head[least] = next_hit(RB_NEXT(by_start, , e), from, to);
        if (head[least] == NULL)
            head[least] = head[--n]; /* this class has no more */
    }
}

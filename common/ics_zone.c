/*
 * ics_zone.c - what clocks show where a calendar comes from
 *
 * From a file's VTIMEZONE, or from the system's zone files: tzfile(5), with the
 * rule at its end. Both are written out, for as long as it matters.
 *
 * Why no library: of the system's 598 zones (tzdata 2025b) libical 3.0.16 has
 * 27 wrong somewhere between 2015 and 2060 (Israel 2015, Newfoundland from
 * 2038), ICU 72 has 26 wrong and 2 not at all (Mexico since 2023). Of a time
 * that occurs twice libical takes the second, RFC 5545 the first. A VTIMEZONE
 * with a damaged offset, rule or start it accepts, and is hours off in silence.
 */
#include "ics_zone.h"

#include "ics_rule.h"
#include "localtime.h"
#include "timestamp.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOLDER      "/usr/share/zoneinfo"
#define NAME_BYTES  100        /* of a zone of the system */
#define FILE_MAX    (64 << 10) /* bytes of a zone file; they have 4 KiB */
#define RULES_UNTIL 2100       /* year; of a VTIMEZONE */
#define TAIL_UNTIL  2600       /* of the system's; no rule goes further */
#define ZONES_MAX   200        /* of a file */

struct change {
    int64_t at;     /* UTC */
    int64_t offset; /* seconds ahead of UTC from then on */
};

struct ics_zone {
    struct ics_zone *next;
    char *name;
    struct ics_list changes; /* in order */
    int64_t first;           /* offset before the first change */
};

const struct ics_zone ics_utc = {0};

/* ---- asking ------------------------------------------------------------- */

static int64_t offset_at(const struct ics_zone *zone, int64_t t)
{
    const struct change *changes;
    size_t low = 0, high;

    if (!zone) {
        struct local_time at = local_split(t);

        return at.day * ICS_DAY + at.second - t;
    }
    changes = zone->changes.at;
    high = zone->changes.count;
    while (low < high) { /* how many changes lie behind t */
        size_t middle = low + (high - low) / 2;

        if (changes[middle].at <= t)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? changes[low - 1].offset : zone->first;
}

int64_t ics_wall(const struct ics_zone *zone, int64_t t)
{
    return t + offset_at(zone, t);
}

int64_t ics_moment(const struct ics_zone *zone, int64_t wall)
{
    int64_t before = wall - offset_at(zone, wall - ICS_DAY);
    int64_t after = wall - offset_at(zone, wall + ICS_DAY);
    bool before_ok = ics_wall(zone, before) == wall;
    bool after_ok = ics_wall(zone, after) == wall;

    if (!after_ok)
        return before; /* also when the clocks skip it */
    return before_ok && before < after ? before : after;
}

int64_t ics_when_moment(const struct ics_when *when,
                        const struct ics_zone *zone)
{
    return ics_moment(when->utc ? &ics_utc : zone, when->wall);
}

/* ---- making ------------------------------------------------------------- */

/* At the head of f->zones. */
static struct ics_zone *new_zone(struct ics_file *f, const char *name,
                                 size_t len)
{
    struct ics_zone *zone = calloc(1, sizeof *zone);

    if (zone && !(zone->name = strndup(name, len))) {
        free(zone);
        zone = NULL;
    }
    if (!zone) {
        f->err = -ENOMEM;
        return NULL;
    }
    zone->next = f->zones;
    f->zones = zone;
    return zone;
}

/* The head of f->zones. */
static void free_zone(struct ics_file *f)
{
    struct ics_zone *zone = f->zones;

    f->zones = zone->next;
    free(zone->name);
    free(zone->changes.at);
    free(zone);
}

void ics_zones_free(struct ics_file *f)
{
    while (f->zones)
        free_zone(f);
}

static bool add_change(struct ics_file *f, struct ics_zone *zone, int64_t at,
                       int64_t offset)
{
    struct change *c = ics_add(f, &zone->changes, sizeof *c);

    if (c)
        *c = (struct change){at, offset};
    return c != NULL;
}

static int by_time(const void *a, const void *b)
{
    const struct change *c = a, *d = b;

    return c->at < d->at ? -1 : c->at > d->at;
}

/* ---- a VTIMEZONE -------------------------------------------------------- */

/* STANDARD or DAYLIGHT while its dates are written out. */
struct observance {
    struct ics_file *f;
    struct ics_zone *zone;
    struct ics_zone old; /* the clock before each change: no changes */
    int64_t to;
};

static bool take_change(int64_t wall, void *arg)
{
    struct observance *o = arg;

    return wall < timestamp_days(RULES_UNTIL + 1, 1, 1) * ICS_DAY &&
           add_change(o->f, o->zone, ics_moment(&o->old, wall), o->to);
}

/* "20261025T030000,20271031T030000" */
static bool take_dates(struct observance *o, const struct ics_prop *p)
{
    char *rest = p->value, *text;
    struct ics_when when;

    while ((text = ics_cut(&rest, ','))) {
        if (!ics_check(o->f, p, ics_read_when(text, &when)))
            return false;
        take_change(when.utc ? ics_wall(&o->old, when.wall) : when.wall, o);
    }
    return true;
}

static bool read_observance(struct ics_file *f, struct ics_zone *zone,
                            const struct ics_prop *begin)
{
    const struct ics_prop *start = ics_find(begin, ICS_DTSTART);
    const struct ics_prop *from = ics_find(begin, ICS_OFFSET_FROM);
    const struct ics_prop *to = ics_find(begin, ICS_OFFSET_TO);
    struct observance o = {.f = f, .zone = zone};
    struct ics_rule_ask s = {
        .zone = &o.old, .from = INT64_MIN, .take = take_change, .arg = &o};
    const struct change *changes;

    if (!start || !from || !to)
        return ics_bad(f, begin->line,
                       "DTSTART, TZOFFSETFROM or TZOFFSETTO is missing");
    if (!ics_check(f, from, ics_read_offset(from->value, &o.old.first)) ||
        !ics_check(f, to, ics_read_offset(to->value, &o.to)) ||
        !ics_check(f, start, ics_read_when(start->value, &s.start)))
        return false;
    s.start.date = false;
    changes = zone->changes.at;
    if (!changes || ics_moment(&o.old, s.start.wall) < changes[0].at)
        zone->first = o.old.first;
    take_change(s.start.wall, &o);
    for (const struct ics_prop *p = begin; (p = ics_next(begin, p));) {
        if (p->kind == ICS_RRULE && !ics_param_is(p->value, "FREQ", "YEARLY"))
            return ics_check(f, p,
                             "clocks don't change so often; only "
                             "FREQ=YEARLY is known");
        if ((p->kind == ICS_RRULE && !ics_rule_dates(f, p, &s)) ||
            (p->kind == ICS_RDATE && !take_dates(&o, p)))
            return false;
    }
    return f->err == 0;
}

static bool read_zone(struct ics_file *f, const struct ics_prop *begin)
{
    const struct ics_prop *id = ics_find(begin, ICS_TZID);
    struct ics_zone *zone;

    if (!id)
        return ics_bad(f, begin->line, "this time zone has no TZID");
    zone = new_zone(f, id->value, strlen(id->value));
    if (!zone)
        return false;
    for (const struct ics_prop *p = begin; (p = ics_next(begin, p));)
        if (p->kind == ICS_OBSERVANCE && !read_observance(f, zone, p))
            return false;
    if (zone->changes.count == 0)
        return ics_bad(f, begin->line,
                       "this time zone has no STANDARD or DAYLIGHT");
    qsort(zone->changes.at, zone->changes.count, sizeof(struct change),
          by_time);
    return true;
}

bool ics_zones_read(struct ics_file *f)
{
    const struct ics_prop *p = f->props.at;

    for (int zones = 0; p->kind != ICS_END; p++) {
        if (p->kind != ICS_ZONE)
            continue;
        if (zones++ == ZONES_MAX)
            return ics_bad(f, p->line, "more than %d time zones", ZONES_MAX);
        if (!read_zone(f, p))
            return false;
    }
    return true;
}

/* ---- the system's zones: the rule at the end ----------------------------- */

/* Behind a name: letters, or anything in <>; NULL when there is none. */
static const char *skip_name(const char *s)
{
    const char *start = s;

    if (*s == '<') {
        s = strchr(s, '>');
        return s ? s + 1 : NULL;
    }
    while (isalpha((unsigned char)*s))
        s++;
    return s > start ? s : NULL;
}

/* Behind "[+-]HH[:MM[:SS]]", in seconds. */
static const char *read_time(const char *s, int64_t *seconds)
{
    int h, m = 0, sec = 0, n = 0, sign = *s == '-' ? -1 : 1;

    s += *s == '-' || *s == '+';
    if (sscanf(s, "%3d%n:%2d%n:%2d%n", &h, &n, &m, &n, &sec, &n) < 1)
        return NULL;
    *seconds = sign * (h * 3600 + m * 60 + sec);
    return s + n;
}

/* ",M3.5.0/2": the 5th (the last) Sunday of March at 2. No zone has the other
 * forms of tzset(3). */
struct yearly {
    int month, week, day;
    int64_t time;
};

static const char *read_yearly(const char *s, struct yearly *y)
{
    int n = 0;

    if (sscanf(s, ",M%2d.%1d.%1d%n", &y->month, &y->week, &y->day, &n) != 3 ||
        y->month < 1 || y->month > 12)
        return NULL;
    y->time = 2 * 3600;
    return s[n] == '/' ? read_time(s + n + 1, &y->time) : s + n;
}

static int64_t wall_of(const struct yearly *y, int year)
{
    int64_t first = timestamp_days(year, y->month, 1);
    int64_t day =
        first + (y->day - local_weekday(first) + 7) % 7 + 7 * (y->week - 1);

    while (day >= first + timestamp_month_days(year, y->month))
        day -= 7;
    return day * ICS_DAY + y->time;
}

/* "CET-1CEST,M3.5.0,M10.5.0/3": for all years behind the last change. Without
 * a comma there are no more. It counts hours behind UTC. */
static bool add_tail(struct ics_file *f, struct ics_zone *zone, const char *s)
{
    const struct change *changes = zone->changes.at;
    size_t count = zone->changes.count;
    int64_t last = count ? changes[count - 1].at : 0, standard, daylight;
    struct yearly on, off;

    if (!strchr(s, ','))
        return true;
    if (!(s = skip_name(s)) || !(s = read_time(s, &standard)) ||
        !(s = skip_name(s)))
        return false;
    daylight = standard - 3600;
    if (*s != ',' && !(s = read_time(s, &daylight)))
        return false;
    if (!(s = read_yearly(s, &on)) || !(s = read_yearly(s, &off)) || *s)
        return false;
    for (int year = local_date(last / ICS_DAY).year; year <= TAIL_UNTIL;
         year++) {
        int64_t to_day = wall_of(&on, year) + standard;
        int64_t to_standard = wall_of(&off, year) + daylight;

        if ((to_day > last && !add_change(f, zone, to_day, -daylight)) ||
            (to_standard > last &&
             !add_change(f, zone, to_standard, -standard)))
            return false;
    }
    qsort(zone->changes.at, zone->changes.count, sizeof(struct change),
          by_time);
    return true;
}

/* ---- the system's zones: the file ---------------------------------------- */

#define HEAD 44 /* bytes before the data */

static int64_t big_endian(const unsigned char *b, int bytes)
{
    uint64_t v = b[0] & 0x80 ? UINT64_MAX : 0;

    for (int i = 0; i < bytes; i++)
        v = v << 8 | b[i];
    return (int64_t)v;
}

/* The counts of a header, in their order there. */
enum { UTC, STANDARD, LEAPS, TIMES, TYPES, CHARS, COUNTS };

/* How long a block is, with its header and times of `width` bytes; 0 when it
 * isn't sound, or has leap seconds ("right/..."): not our clock. */
static size_t read_head(const unsigned char *b, size_t len, size_t width,
                        size_t n[COUNTS])
{
    size_t size;

    if (len < HEAD || memcmp(b, "TZif", 4) != 0 || b[4] < '2')
        return 0;
    for (int i = 0; i < COUNTS; i++) {
        n[i] = (size_t)big_endian(b + 20 + 4 * i, 4);
        if (n[i] > FILE_MAX)
            return 0;
    }
    size = HEAD + n[TIMES] * (width + 1) + n[TYPES] * 6 + n[CHARS] +
           n[STANDARD] + n[UTC];
    return n[LEAPS] == 0 && n[TYPES] > 0 && size <= len ? size : 0;
}

/* Two blocks, the second with times of 64 bits; then the rule in a line. */
static bool read_tzfile(struct ics_file *f, struct ics_zone *zone,
                        unsigned char *b, size_t len)
{
    size_t n[COUNTS], at = read_head(b, len, 4, n);
    size_t size = at ? read_head(b + at, len - at, 8, n) : 0;
    const unsigned char *index, *types;

    b += at;
    len -= at;
    if (size == 0 || size + 2 > len || b[size] != '\n' || b[len - 1] != '\n')
        return false;
    b[len - 1] = '\0';
    index = b + HEAD + 8 * n[TIMES];
    types = index + n[TIMES];
    zone->first = big_endian(types, 4);
    for (size_t i = 0; i < n[TIMES]; i++)
        if (index[i] >= n[TYPES] ||
            !add_change(f, zone, big_endian(b + HEAD + 8 * i, 8),
                        big_endian(types + 6 * index[i], 4)))
            return false;
    return add_tail(f, zone, (char *)b + size + 1);
}

/* A new zone out of the system's file of that name; NULL also when there is
 * none. */
static struct ics_zone *system_zone(struct ics_file *f, const char *name,
                                    size_t len)
{
    char path[sizeof FOLDER + 1 + NAME_BYTES];
    unsigned char *bytes;
    struct ics_zone *zone;
    size_t got;
    FILE *in;

    if (len == 0 || len > NAME_BYTES)
        return NULL;
    snprintf(path, sizeof path, FOLDER "/%.*s", (int)len, name);
    /* No '.', so there is no ".." either. */
    if (path[strspn(path, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                          "0123456789/_+-")] ||
        !(in = fopen(path, "r")))
        return NULL;
    bytes = malloc(FILE_MAX);
    zone = bytes ? new_zone(f, name, len) : NULL;
    got = bytes ? fread(bytes, 1, FILE_MAX, in) : 0; /* a folder gives 0 */
    (void)fclose(in);                                /* only read */
    if (!bytes)
        f->err = -ENOMEM;
    if (zone && !read_tzfile(f, zone, bytes, got)) {
        free_zone(f);
        zone = NULL;
    }
    free(bytes);
    return zone;
}

/* ---- finding ------------------------------------------------------------ */

/* The zone of exactly this name. */
static const struct ics_zone *find(struct ics_file *f, const char *name,
                                   size_t len)
{
    const struct ics_zone *found = NULL;

    for (const struct ics_zone *z = f->zones; z; z = z->next)
        if (strlen(z->name) == len && !memcmp(z->name, name, len))
            found = z; /* the first of the file is the last of the list */
    if (!found && len == 3 && !memcmp(name, "UTC", 3))
        return &ics_utc;
    return found ? found : system_zone(f, name, len);
}

bool ics_zone_find(struct ics_file *f, const struct ics_prop *p,
                   const struct ics_zone **out)
{
    char quote[ICS_QUOTE_SIZE];
    size_t len;
    const char *name = ics_param(p->params, "TZID", &len);

    *out = name ? find(f, name, len) : NULL;
    /* "/example.org/2024/Europe/Berlin": the end is a name we may know. */
    for (size_t i = 1; name && *name == '/' && !*out && i < len; i++)
        if (name[i] == '/' && len - i <= NAME_BYTES)
            *out = find(f, name + i + 1, len - i - 1);
    if (f->err)
        return false;
    return !name || *out ||
           ics_bad(f, p->line,
                   "the time zone '%s' is described nowhere in the file, and "
                   "this machine doesn't know it; a name that it knows is "
                   "like Europe/Berlin",
                   ics_quote(quote, name, len));
}

/*
 * ics_zone.c - what clocks show where a calendar comes from
 *
 * From a file's VTIMEZONE, whose rules are written out up to the year 2100, or
 * from the system's zone files: tzfile(5), with the rule at the end for all
 * years behind the last change that is listed.
 */
#include "ics_zone.h"

#include "ics_rule.h"
#include "localtime.h"
#include "timestamp.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FOLDER      "/usr/share/zoneinfo"
#define NAME_MAX_   100        /* bytes of a name */
#define FILE_MAX    (64 << 10) /* bytes of a zone file; they have 4 KiB */
#define RULES_UNTIL 2100       /* year */
#define ZONES_MAX   200        /* of a file */

struct change {
    int64_t at;     /* UTC */
    int64_t offset; /* seconds ahead of UTC from then on */
};

/* "M3.5.0/2" of TZ: the day of a change, and its time by the old clock. */
struct yearly {
    char kind; /* 'M' month, week, weekday; 'J' day without Feb 29th; '0' day
                  from 0 on, with it */
    int month, week, day;
    int64_t time;
};

/* "CET-1CEST,M3.5.0,M10.5.0/3" */
struct tail {
    bool there, summer;
    int64_t standard, daylight; /* seconds ahead of UTC */
    struct yearly to_daylight, to_standard;
};

struct ics_zone {
    char *name;
    struct change *changes; /* in order */
    size_t count, cap;
    int64_t first; /* offset before the first change */
    struct tail tail;
};

const struct ics_zone ics_utc = {0};

/* ---- asking ------------------------------------------------------------- */

static int64_t moment_of(const struct yearly *y, int year)
{
    int64_t jan = timestamp_days(year, 1, 1), first, day;

    if (y->kind == 'J') {
        bool leap = timestamp_month_days(year, 2) == 29;

        day = jan + y->day - 1 + (leap && y->day > 59);
    } else if (y->kind == '0') {
        day = jan + y->day;
    } else {
        first = timestamp_days(year, y->month, 1);
        day = first + (y->day - local_weekday(first) % 7 + 7) % 7 +
              7 * (y->week - 1);
        while (day >= first + timestamp_month_days(year, y->month))
            day -= 7; /* week 5 is the last one */
    }
    return day * ICS_DAY + y->time;
}

static int64_t tail_offset(const struct tail *r, int64_t t)
{
    int64_t local = t + r->standard, on, off;
    int year;

    if (!r->summer)
        return r->standard;
    year = local_date(local / ICS_DAY - (local % ICS_DAY < 0)).year;
    on = moment_of(&r->to_daylight, year) - r->standard;
    off = moment_of(&r->to_standard, year) - r->daylight;
    if (on < off ? t >= on && t < off : t >= on || t < off)
        return r->daylight;
    return r->standard;
}

static int64_t offset_at(const struct ics_zone *zone, int64_t t)
{
    size_t low = 0, high;

    if (!zone) {
        struct local_time at = local_split(t);

        return at.day * ICS_DAY + at.second - t;
    }
    high = zone->count;
    while (low < high) { /* how many changes lie behind t */
        size_t middle = low + (high - low) / 2;

        if (zone->changes[middle].at <= t)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == zone->count && zone->tail.there)
        return tail_offset(&zone->tail, t);
    return low ? zone->changes[low - 1].offset : zone->first;
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

/* ---- making ------------------------------------------------------------- */

static struct ics_zone *new_zone(struct ics_zones *z, const char *name,
                                 size_t len)
{
    struct ics_zone **more = ics_grow(z->at, &z->cap, z->count, sizeof *z->at);
    struct ics_zone *zone = calloc(1, sizeof *zone);

    char *own = strndup(name, len);

    if (more)
        z->at = more;
    if (!more || !zone || !own) {
        free(own);
        free(zone);
        return NULL;
    }
    zone->name = own;
    z->at[z->count++] = zone;
    return zone;
}

static bool add_change(struct ics_zone *zone, int64_t at, int64_t offset)
{
    struct change *more =
        ics_grow(zone->changes, &zone->cap, zone->count, sizeof *more);

    if (!more)
        return false;
    zone->changes = more;
    zone->changes[zone->count++] = (struct change){at, offset};
    return true;
}

void ics_zones_free(struct ics_zones *z)
{
    for (size_t i = 0; i < z->count; i++) {
        free(z->at[i]->name);
        free(z->at[i]->changes);
        free(z->at[i]);
    }
    free(z->at);
    *z = (struct ics_zones){0};
}

/* ---- a VTIMEZONE -------------------------------------------------------- */

/* STANDARD or DAYLIGHT while its dates are written out. */
struct observance {
    struct ics_zone *zone;
    int64_t from, to; /* offsets */
    bool full;        /* no memory */
};

static bool take_change(int64_t wall, void *arg)
{
    struct observance *o = arg;

    if (wall >= timestamp_days(RULES_UNTIL + 1, 1, 1) * ICS_DAY)
        return false;
    o->full = !add_change(o->zone, wall - o->from, o->to);
    return !o->full;
}

static const char *take_rule(struct ics_zones *z, struct observance *o,
                             const char *text, int64_t start)
{
    struct ics_span_of_rule span = {start, start, INT64_MAX, false};
    struct ics_rule rule;
    const char *fault = ics_read_rule(text, &rule);

    if (fault)
        return fault;
    if (!rule.seldom)
        return "clocks don't change so often";
    if (rule.has_until)
        span.until = rule.until.wall + (rule.until.utc ? o->from : 0) +
                     (rule.until.date ? ICS_DAY - 1 : 0);
    return ics_expand(&rule, &span, z->steps, take_change, o);
}

/* "20261025T030000,20271031T030000" */
static const char *take_dates(struct observance *o, const char *s)
{
    const char *fault = NULL;

    while (!fault && !o->full && *s) {
        size_t len = strcspn(s, ",");
        struct ics_when when;

        fault = ics_read_when(s, len, &when);
        if (!fault)
            take_change(when.wall + (when.utc ? o->from : 0), o);
        s += len + (s[len] == ',');
    }
    return fault;
}

static int read_dates(struct ics_zones *z, const struct ics_file *f,
                      const struct ics_part *part, struct observance *o,
                      int64_t start, const struct ics_why *why)
{
    take_change(start, o);
    for (size_t i = 0; i < part->count && !o->full; i++) {
        const struct ics_prop *p = &f->props[part->first + i];
        const char *fault = NULL;

        if (p->kind == ICS_RRULE)
            fault = take_rule(z, o, p->value, start);
        else if (p->kind == ICS_RDATE)
            fault = take_dates(o, p->value);
        if (fault)
            return ics_bad(why, p->line, "%s", fault);
    }
    return o->full ? -ENOMEM : 0;
}

static int read_observance(struct ics_zones *z, struct ics_zone *zone,
                           const struct ics_file *f,
                           const struct ics_part *part,
                           const struct ics_why *why)
{
    const struct ics_prop *start = ics_find(f, part, ICS_DTSTART);
    const struct ics_prop *from = ics_find(f, part, ICS_OFFSET_FROM);
    const struct ics_prop *to = ics_find(f, part, ICS_OFFSET_TO);
    struct observance o = {.zone = zone};
    struct ics_when when;
    const char *fault;

    if (!start || !from || !to)
        return ics_bad(why, part->line,
                       "DTSTART, TZOFFSETFROM or TZOFFSETTO is missing");
    if ((fault = ics_read_offset(from->value, &o.from)))
        return ics_bad(why, from->line, "TZOFFSETFROM: %s", fault);
    if ((fault = ics_read_offset(to->value, &o.to)))
        return ics_bad(why, to->line, "TZOFFSETTO: %s", fault);
    if ((fault = ics_read_when(start->value, strlen(start->value), &when)))
        return ics_bad(why, start->line, "DTSTART: %s", fault);
    if (zone->count == 0 || when.wall - o.from < zone->changes[0].at)
        zone->first = o.from;
    return read_dates(z, f, part, &o, when.wall, why);
}

static int by_time(const void *a, const void *b)
{
    const struct change *c = a, *d = b;

    return c->at < d->at ? -1 : c->at > d->at;
}

static int read_zone(struct ics_zones *z, const struct ics_file *f,
                     const struct ics_part *part, const struct ics_why *why)
{
    const struct ics_prop *id = ics_find(f, part, ICS_TZID);
    const struct ics_prop *p = f->props + part->first;
    struct ics_zone *zone;
    size_t next;

    if (!id)
        return ics_bad(why, part->line, "this time zone has no TZID");
    zone = new_zone(z, id->value, strlen(id->value));
    if (!zone)
        return -ENOMEM;
    for (size_t i = 0; i < part->count; i = next) {
        struct ics_part one = {part->first + i, 0, p[i].line};
        int err;

        next = i + 1;
        if (p[i].kind != ICS_OBSERVANCE)
            continue;
        while (next < part->count && p[next].kind != ICS_OBSERVANCE)
            next++;
        one.count = next - i;
        err = read_observance(z, zone, f, &one, why);
        if (err < 0)
            return err;
    }
    if (zone->count == 0)
        return ics_bad(why, part->line,
                       "this time zone has no STANDARD or DAYLIGHT");
    qsort(zone->changes, zone->count, sizeof *zone->changes, by_time);
    return 0;
}

int ics_zones_read(struct ics_zones *z, const struct ics_file *f,
                   const struct ics_why *why)
{
    int err = 0;

    if (f->zones.count > ZONES_MAX)
        return ics_bad(why, f->zones.at[ZONES_MAX].line,
                       "more than %d time zones", ZONES_MAX);
    for (size_t i = 0; i < f->zones.count && err == 0; i++)
        err = read_zone(z, f, &f->zones.at[i], why);
    return err;
}

/* ---- the system's zones: the rule at the end ----------------------------- */

/* A name: letters, or anything in <>. */
static bool skip_name(const char **s)
{
    const char *start = *s;

    if (**s == '<') {
        while (**s && **s != '>')
            (*s)++;
        return *(*s)++ == '>';
    }
    while (isalpha((unsigned char)**s))
        (*s)++;
    return *s > start;
}

/* "[+-]HH[:MM[:SS]]" */
static bool read_time(const char **s, int64_t *seconds)
{
    int sign = **s == '-' ? -1 : 1;
    int64_t unit = 3600;

    *seconds = 0;
    *s += **s == '-' || **s == '+';
    for (; unit > 0; unit /= 60) {
        char *end;
        long v;

        if (!isdigit((unsigned char)**s) || (v = strtol(*s, &end, 10)) > 167)
            return false;
        *s = end;
        *seconds += v * unit;
        if (**s != ':')
            break;
        (*s)++;
    }
    *seconds *= sign;
    return true;
}

static bool read_part(const char **s, char before, int min, int max, int *out)
{
    char *end;
    long v;

    if (before && *(*s)++ != before)
        return false;
    if (!isdigit((unsigned char)**s))
        return false;
    v = strtol(*s, &end, 10);
    *s = end;
    *out = (int)v;
    return v >= min && v <= max;
}

/* ",M3.5.0/2", ",J60", ",59" */
static bool read_yearly(const char **s, struct yearly *y)
{
    bool good;

    if (*(*s)++ != ',')
        return false;
    y->kind = **s == 'M' || **s == 'J' ? *(*s)++ : '0';
    if (y->kind == 'M')
        good = read_part(s, 0, 1, 12, &y->month) &&
               read_part(s, '.', 1, 5, &y->week) &&
               read_part(s, '.', 0, 6, &y->day);
    else
        good = read_part(s, 0, y->kind == 'J', 365, &y->day);
    y->time = 2 * 3600;
    if (good && **s == '/') {
        (*s)++;
        good = read_time(s, &y->time);
    }
    return good;
}

/* The rule counts the other way round: hours behind UTC. */
static bool read_tail(const char *s, struct tail *r)
{
    if (!skip_name(&s) || !read_time(&s, &r->standard))
        return false;
    r->standard = -r->standard;
    r->daylight = r->standard + 3600;
    r->there = true;
    r->summer = *s != '\0';
    if (!r->summer)
        return true;
    if (!skip_name(&s))
        return false;
    if (*s != ',') {
        if (!read_time(&s, &r->daylight))
            return false;
        r->daylight = -r->daylight;
    }
    return read_yearly(&s, &r->to_daylight) &&
           read_yearly(&s, &r->to_standard) && !*s;
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
struct counts {
    size_t utc, standard, leaps, times, types, chars;
};

static bool read_head(const unsigned char *b, size_t len, struct counts *c)
{
    size_t n[6];

    if (len < HEAD || memcmp(b, "TZif", 4) != 0 || b[4] < '2')
        return false;
    for (int i = 0; i < 6; i++) {
        int64_t v = big_endian(b + 20 + 4 * i, 4);

        if (v < 0 || v > FILE_MAX)
            return false;
        n[i] = (size_t)v;
    }
    *c = (struct counts){n[0], n[1], n[2], n[3], n[4], n[5]};
    return true;
}

static size_t data_size(const struct counts *c, size_t width)
{
    return c->times * (width + 1) + c->types * 6 + c->chars +
           c->leaps * (width + 4) + c->standard + c->utc;
}

/* The second block, with times of 64 bits; false when it isn't sound. */
static bool read_changes(struct ics_zone *zone, const unsigned char *b,
                         const struct counts *c)
{
    const unsigned char *index = b + 8 * c->times, *types = index + c->times;

    if (c->types == 0 || c->leaps > 0) /* "right/...": not our clock */
        return false;
    zone->first = big_endian(types, 4);
    for (size_t i = 0; i < c->times; i++)
        if (index[i] >= c->types ||
            !add_change(zone, big_endian(b + 8 * i, 8),
                        big_endian(types + 6 * index[i], 4)))
            return false;
    return true;
}

static bool read_tzfile(struct ics_zone *zone, unsigned char *b, size_t len)
{
    struct counts c;
    size_t at;

    if (!read_head(b, len, &c) || (at = HEAD + data_size(&c, 4)) > len ||
        !read_head(b + at, len - at, &c))
        return false;
    b += at + HEAD;
    len -= at + HEAD;
    at = data_size(&c, 8);
    if (at + 2 > len || b[at] != '\n' || b[len - 1] != '\n')
        return false;
    b[len - 1] = '\0';
    return read_changes(zone, b, &c) &&
           (at + 2 == len || read_tail((char *)b + at + 1, &zone->tail));
}

static bool plain_name(const char *name, size_t len)
{
    if (len == 0 || len > NAME_MAX_ || *name == '/')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr("/_+-", name[i]))
            return false; /* so there is no ".." */
    return true;
}

/* Reads the file of that name into a new zone: 0, -ENOENT, -ENOMEM. */
static int system_zone(struct ics_zones *z, const char *name, size_t len)
{
    char path[sizeof FOLDER + NAME_MAX_ + 2];
    static const size_t cap = FILE_MAX;
    unsigned char *bytes;
    struct ics_zone *zone;
    size_t got;
    FILE *in;

    if (!plain_name(name, len))
        return -ENOENT;
    snprintf(path, sizeof path, FOLDER "/%.*s", (int)len, name);
    if (!(in = fopen(path, "r")))
        return -ENOENT;
    bytes = malloc(cap);
    zone = bytes ? new_zone(z, name, len) : NULL;
    got = bytes ? fread(bytes, 1, cap, in) : 0; /* a folder gives 0 */
    (void)fclose(in);                           /* only read */
    if (zone && !read_tzfile(zone, bytes, got)) {
        free(zone->name);
        free(zone->changes);
        free(zone);
        z->count--;
        free(bytes);
        return -ENOENT;
    }
    free(bytes);
    return zone ? 0 : -ENOMEM;
}

/* ---- finding ------------------------------------------------------------ */

static const struct ics_zone *known(const struct ics_zones *z, const char *name,
                                    size_t len)
{
    for (size_t i = 0; i < z->count; i++)
        if (strlen(z->at[i]->name) == len && !memcmp(z->at[i]->name, name, len))
            return z->at[i];
    return NULL;
}

/* The zone of exactly this name. */
static int find_exact(struct ics_zones *z, const char *name, size_t len,
                      const struct ics_zone **out)
{
    int err;

    *out = known(z, name, len);
    if (*out)
        return 0;
    if (len == 3 && !memcmp(name, "UTC", 3)) {
        *out = &ics_utc;
        return 0;
    }
    err = system_zone(z, name, len);
    if (err == 0)
        *out = z->at[z->count - 1];
    return err;
}

int ics_zone_find(struct ics_zones *z, const char *name, size_t len,
                  const struct ics_zone **out)
{
    bool global = len > 0 && *name == '/';
    int err = find_exact(z, name, len, out);

    /* "/example.org/2024/Europe/Berlin": the end is a name we may know. */
    while (err == -ENOENT && global && len > 1) {
        const char *slash = memchr(name + 1, '/', len - 1);

        if (!slash)
            break;
        len -= (size_t)(slash + 1 - name);
        name = slash + 1;
        err = find_exact(z, name, len, out);
    }
    return err;
}

/*
 * localtime.c - times as people type and read them
 *
 * localtime_r(3) says what the clock shows at a moment; the way back isn't a
 * function, since a local time can occur twice or never. So we try: each
 * offset in force nearby gives one candidate, and a candidate counts only if
 * the clock really shows the wanted time then. mktime(3) would guess instead.
 */
#include "localtime.h"

#include "timestamp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define DAY 86400

/* ---- from UTC ----------------------------------------------------------- */

struct local_time local_split(int64_t t)
{
    struct local_time out = {0};
    time_t clock = (time_t)t;
    struct tm tm;

    if (!localtime_r(&clock, &tm)) /* only for years beyond an int */
        return out;
    out.year = tm.tm_year + 1900;
    out.month = tm.tm_mon + 1;
    out.mday = tm.tm_mday;
    out.day = timestamp_days(out.year, out.month, out.mday);
    /* A zone with leap seconds ("right/...") may show 60. */
    out.second =
        tm.tm_hour * 3600 + tm.tm_min * 60 + (tm.tm_sec > 59 ? 59 : tm.tm_sec);
    return out;
}

struct local_time local_date(int64_t day)
{
    struct local_time out = {.day = day};
    time_t clock = (time_t)day * DAY;
    struct tm tm;

    if (gmtime_r(&clock, &tm)) {
        out.year = tm.tm_year + 1900;
        out.month = tm.tm_mon + 1;
        out.mday = tm.tm_mday;
    }
    return out;
}

char *local_format(int64_t t, char buf[LOCAL_TIME_SIZE])
{
    struct local_time at = local_split(t);
    int n = snprintf(buf, LOCAL_TIME_SIZE, "%04d-%02d-%02d %02d:%02d", at.year,
                     at.month, at.mday, at.second / 3600, at.second / 60 % 60);

    if (at.second % 60 && n > 0 && n < LOCAL_TIME_SIZE)
        snprintf(buf + n, LOCAL_TIME_SIZE - (size_t)n, ":%02d", at.second % 60);
    return buf;
}

int local_weekday(int64_t day)
{
    int64_t since_monday = (day + 3) % 7; /* 1970-01-01 was a Thursday */

    return (int)(since_monday < 0 ? since_monday + 7 : since_monday) + 1;
}

int local_iso_week(int64_t day, int *year)
{
    /* A week belongs to the year that its Thursday is in. */
    int64_t thursday = day - local_weekday(day) + 4;

    *year = local_date(thursday).year;
    return (int)((thursday - timestamp_days(*year, 1, 1)) / 7) + 1;
}

/* ---- to UTC ------------------------------------------------------------- */

/* Seconds that local clocks are ahead of UTC at t. */
static int64_t offset_at(int64_t t)
{
    struct local_time at = local_split(t);

    return at.day * DAY + at.second - t;
}

/* `wall` is what the clock shows, counted as if it were UTC. The first moment
 * at which it shows that, into *t; false when it never does. */
static bool from_wall(int64_t wall, int64_t *t)
{
    int64_t before = wall - offset_at(wall - DAY);
    int64_t after = wall - offset_at(wall + DAY);
    bool before_ok = before + offset_at(before) == wall;
    bool after_ok = after + offset_at(after) == wall;

    if (!before_ok && !after_ok)
        return false;
    *t = !after_ok || (before_ok && before < after) ? before : after;
    return true;
}

int64_t local_day_start(int64_t day)
{
    int64_t t;

    if (!from_wall(day * DAY, &t)) /* a day that begins at 01:00 */
        t = day * DAY - offset_at(day * DAY - DAY);
    return t;
}

/* ---- parsing ------------------------------------------------------------ */

/* Reads exactly n digits at *s into *v and moves on. */
static bool digits(const char **s, int n, int *v)
{
    *v = 0;
    for (int i = 0; i < n; i++, (*s)++) {
        if (**s < '0' || **s > '9')
            return false;
        *v = *v * 10 + (**s - '0');
    }
    return true;
}

/* "YYYY-MM-DD": *day, and *s behind it. NULL or a sentence: `form` where it
 * doesn't look like a date. */
static const char *read_date(const char **s, int64_t *day, const char *form)
{
    int y, m, d;

    if (!digits(s, 4, &y) || *(*s)++ != '-' || !digits(s, 2, &m) ||
        *(*s)++ != '-' || !digits(s, 2, &d))
        return form;
    if (y < 1 || m < 1 || m > 12 || d < 1 || d > timestamp_month_days(y, m))
        return "this date doesn't exist";
    *day = timestamp_days(y, m, d);
    return NULL;
}

/* "HH:MM[:SS]": seconds of the day. */
static const char *read_clock(const char **s, int *second)
{
    int h, m, sec = 0;

    if (!digits(s, 2, &h) || *(*s)++ != ':' || !digits(s, 2, &m))
        return "not a time like 2026-11-23T09:00";
    if (**s == ':') {
        (*s)++;
        if (!digits(s, 2, &sec))
            return "not a time like 2026-11-23T09:00:00";
    }
    if (h > 23 || m > 59 || sec > 59)
        return "this time of day doesn't exist";
    *second = h * 3600 + m * 60 + sec;
    return NULL;
}

/* "Z" or "+HH:MM" up to the end: seconds ahead of UTC. */
static const char *read_zone(const char *s, int *offset)
{
    int h, m, sign = *s == '-' ? -1 : 1;

    *offset = 0;
    if (!strcmp(s, "Z"))
        return NULL;
    if (*s != '+' && *s != '-')
        return "there is more behind the time; a zone is Z or +09:00";
    s++;
    if (!digits(&s, 2, &h) || *s++ != ':' || !digits(&s, 2, &m) || *s ||
        h > 23 || m > 59)
        return "not a zone like Z or +09:00";
    *offset = sign * (h * 3600 + m * 60);
    return NULL;
}

static const char *parse(const char *s, bool date_alone, int64_t *t)
{
    const char *form = date_alone ? "not a date like 2026-11-23 or a time like "
                                    "2026-11-23T09:00"
                                  : "not a time like 2026-11-23T09:00";
    const char *why;
    int64_t day;
    int second, offset;

    if ((why = read_date(&s, &day, form)))
        return why;
    if (!*s && date_alone) {
        *t = local_day_start(day);
        return NULL;
    }
    if (*s != 'T' && *s != ' ')
        return form;
    s++;
    if ((why = read_clock(&s, &second)))
        return why;
    *t = day * DAY + second;
    if (!*s)
        return from_wall(*t, t) ? NULL
                                : "this local time doesn't exist: clocks skip "
                                  "it (they go forward then)";
    if ((why = read_zone(s, &offset)))
        return why;
    *t -= offset;
    return NULL;
}

int local_parse(const char *text, int64_t *t, const char **why)
{
    *why = parse(text, false, t);
    return *why ? -EINVAL : 0;
}

int local_parse_from(const char *text, int64_t *t, const char **why)
{
    *why = parse(text, true, t);
    return *why ? -EINVAL : 0;
}

int local_parse_date(const char *text, int64_t *day, const char **why)
{
    static const char form[] = "not a date like 2026-11-23";

    *why = read_date(&text, day, form);
    if (!*why && *text)
        *why = form;
    return *why ? -EINVAL : 0;
}

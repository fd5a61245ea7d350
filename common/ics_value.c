/*
 * ics_value.c - what stands behind the colon: times, durations, rules, text
 */
#include "ics_value.h"

#include "schedule.h"
#include "timestamp.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- times -------------------------------------------------------------- */

/* n digits as a number; -1 when they aren't. */
static int digits(const char *s, size_t n)
{
    int v = 0;

    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return -1;
        v = v * 10 + (s[i] - '0');
    }
    return v;
}

static bool read_clock(const char *s, int64_t *seconds)
{
    int h = digits(s, 2), m = digits(s + 2, 2), sec = digits(s + 4, 2);

    if (h < 0 || h > 23 || m < 0 || m > 59 || sec < 0 || sec > 60)
        return false;
    *seconds = h * 3600 + m * 60 + (sec > 59 ? 59 : sec); /* a leap second */
    return true;
}

const char *ics_read_when(const char *s, size_t len, struct ics_when *out)
{
    static const char form[] = "not a time like 20261123T090000";
    int64_t clock = 0;
    int y, m, d;

    out->date = len == 8;
    out->utc = len == 16 && s[15] == 'Z';
    if (!out->date && (len != 15 && !out->utc))
        return form;
    y = digits(s, 4);
    m = digits(s + 4, 2);
    d = digits(s + 6, 2);
    if (y < 0 || m < 0 || d < 0 || (!out->date && s[8] != 'T'))
        return form;
    if (y < 1 || m < 1 || m > 12 || d < 1 || d > timestamp_month_days(y, m))
        return "this date doesn't exist";
    if (!out->date && !read_clock(s + 9, &clock))
        return "this time of day doesn't exist";
    out->wall = timestamp_days(y, m, d) * ICS_DAY + clock;
    return NULL;
}

const char *ics_read_span(const char *s, size_t len, struct ics_span *out)
{
    static const char units[] = "WDHMS";
    static const int seconds[] = {0, 0, 3600, 60, 1};
    const char *end = s + len, *left = units;
    bool minus = len > 0 && *s == '-', clock = false, any = false;

    *out = (struct ics_span){0};
    s += len > 0 && (*s == '-' || *s == '+');
    if (s == end || *s++ != 'P')
        return "not a duration like PT1H30M";
    while (s < end) {
        const char *unit;
        size_t n = 0;

        if (*s == 'T' && !clock) {
            clock = true;
            left = units + 2;
            s++;
        }
        while (n < 7 && s + n < end && digits(s + n, 1) >= 0)
            n++;
        if (n == 0 || s + n == end || !(unit = strchr(left, s[n])) ||
            clock != (unit >= units + 2))
            return "not a duration like PT1H30M, or too long";
        if (clock)
            out->seconds += (int64_t)digits(s, n) * seconds[unit - units];
        else
            out->days += (int64_t)digits(s, n) * (*unit == 'W' ? 7 : 1);
        left = unit + 1;
        s += n + 1;
        any = true;
    }
    if (!any)
        return "not a duration like PT1H30M";
    return minus && (out->days || out->seconds) ? "it lasts less than nothing"
                                                : NULL;
}

const char *ics_read_offset(const char *s, int64_t *out)
{
    size_t len = strlen(s);
    int h, m, sec;

    if ((len != 5 && len != 7) || (*s != '+' && *s != '-'))
        return "not an offset like +0100";
    h = digits(s + 1, 2);
    m = digits(s + 3, 2);
    sec = len == 7 ? digits(s + 5, 2) : 0;
    if (h < 0 || h > 23 || m < 0 || m > 59 || sec < 0 || sec > 59)
        return "not an offset like +0100";
    *out = (*s == '-' ? -1 : 1) * (h * 3600 + m * 60 + sec);
    return NULL;
}

/* ---- rules -------------------------------------------------------------- */

enum part {
    FREQ,
    UNTIL,
    COUNT,
    INTERVAL,
    WKST,
    BYSETPOS,
    BYDAY,
    BYMONTHDAY,
    BYYEARDAY,
    BYWEEKNO,
    BYMONTH,
    BYHOUR,
    BYMINUTE,
    BYSECOND,
    PARTS
};

static const char *const part_names[PARTS] = {
    "FREQ",     "UNTIL",  "COUNT",      "INTERVAL",  "WKST",
    "BYSETPOS", "BYDAY",  "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO",
    "BYMONTH",  "BYHOUR", "BYMINUTE",   "BYSECOND",
};

enum freq { SECONDLY, MINUTELY, HOURLY, DAILY, WEEKLY, MONTHLY, YEARLY, FREQS };

static const char *const freq_names[FREQS] = {
    "SECONDLY", "MINUTELY", "HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY",
};

/* The values in the text; NULL = not there. */
struct parts {
    const char *at[PARTS];
    size_t len[PARTS];
};

static size_t find(const char *s, size_t len, const char *const *names,
                   size_t n)
{
    size_t i = 0;

    while (i < n && (strlen(names[i]) != len || strncasecmp(names[i], s, len)))
        i++;
    return i;
}

/* "FREQ=WEEKLY;COUNT=10": where each part is. */
static const char *cut(const char *s, struct parts *p)
{
    while (*s) {
        size_t name = strcspn(s, "=;"), part = find(s, name, part_names, PARTS);

        if (s[name] != '=')
            return "not a rule like FREQ=WEEKLY;COUNT=10";
        if (part == PARTS)
            return "a part of the rule isn't known";
        if (p->at[part])
            return "a part of the rule is there twice";
        s += name + 1;
        p->at[part] = s;
        p->len[part] = strcspn(s, ";");
        if (p->len[part] == 0)
            return "a part of the rule is empty";
        s += p->len[part];
        s += *s == ';';
    }
    return p->at[FREQ] ? NULL : "the rule has no FREQ";
}

/* A whole number from 1 on; `absent` when the part isn't there, 0 when it
 * isn't one. */
static int64_t number(const struct parts *p, enum part part, int64_t absent)
{
    if (!p->at[part])
        return absent;
    if (p->len[part] > 8)
        return 0;
    for (size_t i = 0; i < p->len[part]; i++)
        if (digits(p->at[part] + i, 1) < 0)
            return 0;
    return digits(p->at[part], p->len[part]);
}

/* How many values a BY part lists; 1 when it isn't there. */
static int64_t values(const struct parts *p, enum part part)
{
    int64_t n = 1;

    for (size_t i = 0; p->at[part] && i < p->len[part]; i++)
        n += p->at[part][i] == ',';
    return n;
}

static const char *const day_names[] = {"MO", "TU", "WE", "TH",
                                        "FR", "SA", "SU"};

/* "MO,WE": a bit for each, Monday first; 0 when it isn't such a list. */
static unsigned weekdays(const struct parts *p, enum part part)
{
    unsigned bits = 0;

    for (size_t i = 0; p->at[part] && i < p->len[part]; i += 3) {
        size_t day = find(p->at[part] + i, 2, day_names, 7);

        if (i + 2 > p->len[part] || day == 7 ||
            (i + 2 < p->len[part] && p->at[part][i + 2] != ','))
            return 0;
        bits |= 1u << day;
    }
    return bits;
}

/* Does it have BY parts beside BYDAY? */
static bool by_more_than_day(const struct parts *p)
{
    for (int i = BYSETPOS; i < PARTS; i++)
        if (p->at[i] && i != BYDAY)
            return true;
    return false;
}

/* What the library would get wrong, or search for ages. */
static const char *unsupported(const struct parts *p, size_t freq,
                               int64_t interval)
{
    if (freq <= HOURLY && (p->at[BYDAY] || by_more_than_day(p)))
        return "a rule by the hour, minute or second with BY... isn't "
               "supported";
    if (p->at[BYWEEKNO])
        return "BYWEEKNO isn't supported";
    if (p->at[BYSETPOS] &&
        (freq < MONTHLY || p->at[BYHOUR] || p->at[BYMINUTE] || p->at[BYSECOND]))
        return "BYSETPOS in a rule by the day or week, or with times of day, "
               "isn't supported";
    if (p->at[BYDAY] && freq < MONTHLY && weekdays(p, BYDAY) == 0)
        return "its BYDAY isn't a list like MO,WE";
    if (p->at[WKST] && weekdays(p, WKST) == 0)
        return "its WKST isn't a day like MO";
    if (freq == WEEKLY && interval > 1 && by_more_than_day(p))
        return "a rule by the week with INTERVAL and more than BYDAY isn't "
               "supported";
    if (values(p, BYHOUR) * values(p, BYMINUTE) * values(p, BYSECOND) > 96)
        return "a rule for more than 96 times a day isn't supported";
    return NULL;
}

/* How far the library looks with one step, and by how much its start may be
 * moved on without moving the dates. Months and years aren't equally long. */
static void steps(const struct parts *p, size_t freq, int64_t interval,
                  struct ics_rule *r)
{
    static const int64_t unit[FREQS] = {
        1, 60, 3600, ICS_DAY, 7 * ICS_DAY, 28 * ICS_DAY, 365 * ICS_DAY};

    r->seldom = freq >= MONTHLY;
    r->unit = unit[freq];
    if (r->seldom && (p->at[BYDAY] || by_more_than_day(p)))
        r->unit = (freq == MONTHLY ? 1 : p->at[BYMONTH] ? 14 : 4) * ICS_DAY;
    if (freq == WEEKLY)
        r->unit /= values(p, BYDAY);
    else if (freq <= DAILY)
        r->unit *= interval;
    if (freq <= WEEKLY && !r->count)
        r->skip = unit[freq] * interval;
}

/* A rule by the week needs no library when all it has are weekdays. */
static void week(const struct parts *p, int64_t interval, struct ics_rule *r)
{
    unsigned start = weekdays(p, WKST);

    if (by_more_than_day(p))
        return;
    r->weeks = (int)interval;
    r->weekdays = weekdays(p, BYDAY);
    for (; start > 1; start >>= 1)
        r->week_start++;
}

const char *ics_read_rule(const char *s, struct ics_rule *out)
{
    struct parts p = {0};
    const char *fault = cut(s, &p);
    int64_t interval = number(&p, INTERVAL, 1);
    size_t freq;

    *out = (struct ics_rule){.text = s};
    if (fault)
        return fault;
    freq = find(p.at[FREQ], p.len[FREQ], freq_names, FREQS);
    if (freq == FREQS)
        return "its FREQ isn't known";
    if (interval < 1 || interval > 32767)
        return "its INTERVAL isn't a number from 1 on, or too large";
    if (number(&p, COUNT, 1) < 1)
        return "its COUNT isn't a number from 1 on, or too large";
    if (p.at[COUNT] && p.at[UNTIL])
        return "it has both COUNT and UNTIL";
    out->count = number(&p, COUNT, 0);
    out->has_until = p.at[UNTIL] != NULL;
    out->ends = out->count || out->has_until;
    if (out->has_until &&
        (fault = ics_read_when(p.at[UNTIL], p.len[UNTIL], &out->until)))
        return fault;
    steps(&p, freq, interval, out);
    if (freq == WEEKLY)
        week(&p, interval, out);
    return unsupported(&p, freq, interval);
}

/* ---- text --------------------------------------------------------------- */

/* Takes out backslashes; control characters become spaces. */
static unsigned clean(char *text)
{
    const char *end = text + strlen(text), *s = text;
    unsigned done = 0;
    char *to = text;

    while (s < end) {
        bool escaped = *s == '\\' && s + 1 < end;
        uint32_t point = ' ';
        size_t step;

        s += escaped;
        step = utf8_next(s, (size_t)(end - s), &point);
        step = step ? step : 1; /* the whole line was looked at before */
        if (point < ' ' || (point >= 0x7f && point < 0xa0) ||
            (escaped && (point == 'n' || point == 'N'))) {
            *to++ = ' ';
            done |= ICS_TITLE_CONTROL;
        } else {
            memmove(to, s, step);
            to += step;
        }
        s += step;
    }
    *to = '\0';
    return done;
}

unsigned ics_title(char *text)
{
    static const char dots[] = "\xe2\x80\xa6"; /* U+2026 */
    unsigned done = clean(text);
    size_t len = strlen(text);

    if (len > EVENT_TITLE_MAX) {
        len = EVENT_TITLE_MAX - (sizeof dots - 1);
        while (((unsigned char)text[len] & 0xc0) == 0x80)
            len--; /* not in the middle of a character */
        memcpy(text + len, dots, sizeof dots);
        return done | ICS_TITLE_CUT;
    }
    if (len == 0 || event_title_blank(text, len))
        done |= ICS_TITLE_EMPTY;
    return done;
}

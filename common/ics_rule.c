/*
 * ics_rule.c - the dates of a rule
 *
 * Most of a timetable repeats by the week. That is done here: a few lines, no
 * library needed, and libical 3.0.16 got 26 of 400 such rules wrong (those with
 * an INTERVAL and a Sunday or a WKST). Other rules go to the library, but for
 * those where python3-dateutil was found to see other dates; they are refused.
 */
#include "ics_rule.h"

#include "localtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char ics_too_long[] =
    "the rules up to here give too many dates, or need too long a search; "
    "--from and --to may help";

/* ---- the text ----------------------------------------------------------- */

enum part {
    FREQ,
    UNTIL,
    COUNT,
    INTERVAL,
    WKST,
    BYDAY,
    BYMONTH,
    BYMONTHDAY,
    BYYEARDAY,
    BYSETPOS,
    BYHOUR,
    BYMINUTE,
    BYSECOND,
    BYWEEKNO,
    PARTS
};

static const char *const part_names[PARTS] = {
    "FREQ",   "UNTIL",    "COUNT",      "INTERVAL",  "WKST",
    "BYDAY",  "BYMONTH",  "BYMONTHDAY", "BYYEARDAY", "BYSETPOS",
    "BYHOUR", "BYMINUTE", "BYSECOND",   "BYWEEKNO",
};

enum freq { SECONDLY, MINUTELY, HOURLY, DAILY, WEEKLY, MONTHLY, YEARLY, FREQS };

static const char *const freq_names[FREQS] = {
    "SECONDLY", "MINUTELY", "HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY",
};

struct rule {
    const char *at[PARTS]; /* the values in the text; NULL = not there */
    size_t len[PARTS];
    enum freq freq;
    int64_t interval;
    struct ics_rule ask; /* of the library */
    unsigned weekdays;   /* of BYDAY: bit 0 is Monday; 0 = not just weekdays */
    bool by;             /* there are BY parts, */
    bool by_more;        /* and others than BYDAY */
};

/* Where each part is. What isn't a part, or is one again, isn't found. */
static const char *find_parts(const char *text, struct rule *r)
{
    size_t found = 0, there = 0;

    for (int i = 0; i < PARTS; i++) {
        r->at[i] = ics_param(text, part_names[i], &r->len[i]);
        found += r->at[i] && r->len[i] > 0;
        r->by |= r->at[i] && i >= BYDAY;
        r->by_more |= r->at[i] && i > BYDAY;
    }
    for (size_t len; *text; text += len + (text[len] == ';')) {
        len = strcspn(text, ";");
        there += len > 0;
    }
    return found == there ? NULL
                          : "a part of the rule isn't known, is empty, or is "
                            "there twice";
}

/* A whole number from 1 on; `absent` when the part isn't there, 0 when it
 * isn't one. */
static int64_t number(const struct rule *r, enum part part, int64_t absent)
{
    if (!r->at[part])
        return absent;
    if (r->len[part] > 8 || strspn(r->at[part], ICS_DIGITS) != r->len[part])
        return 0;
    return strtol(r->at[part], NULL, 10);
}

/* "MO,WE": a bit for each, Monday first; 0 when it isn't such a list. */
static unsigned weekdays(const struct rule *r, enum part part)
{
    static const char days[] = "MO,TU,WE,TH,FR,SA,SU";
    unsigned bits = 0;

    for (size_t i = 0; r->at[part] && i < r->len[part]; i += 3) {
        size_t day = 0;

        while (day < 7 && strncasecmp(r->at[part] + i, days + 3 * day, 2) != 0)
            day++;
        if (day == 7 || (i + 2 != r->len[part] && r->at[part][i + 2] != ','))
            return 0;
        bits |= 1u << day;
    }
    return bits;
}

/* How many values the part lists; 1 when it isn't there. */
static int64_t values(const struct rule *r, enum part part)
{
    int64_t n = 1;

    for (size_t i = 0; r->at[part] && i < r->len[part]; i++)
        n += r->at[part][i] == ',';
    return n;
}

static const char *read_rule(const char *text, struct rule *r)
{
    const char *fault = find_parts(text, r);

    if (fault)
        return fault;
    while (r->freq < FREQS && !ics_param_is(text, "FREQ", freq_names[r->freq]))
        r->freq++;
    r->interval = number(r, INTERVAL, 1);
    r->ask.text = text;
    r->ask.count = number(r, COUNT, INT64_MAX);
    r->weekdays = weekdays(r, BYDAY);
    if (!r->at[FREQ])
        return "the rule has no FREQ";
    if (r->freq == FREQS)
        return "its FREQ isn't known";
    if (r->interval < 1 || r->interval > 32767)
        return "its INTERVAL isn't a number from 1 to 32767";
    if (r->ask.count < 1)
        return "its COUNT isn't a number from 1 on, or too large";
    if (r->at[COUNT] && r->at[UNTIL])
        return "it has both COUNT and UNTIL";
    if (r->at[WKST] && weekdays(r, WKST) == 0)
        return "its WKST isn't a day like MO";
    if (r->at[BYDAY] && r->freq < MONTHLY && r->weekdays == 0)
        return "its BYDAY isn't a list like MO,WE";
    return NULL;
}

/* What the library would get wrong, or search for ages. */
static const char *unsupported(const struct rule *r)
{
    bool clock = r->at[BYHOUR] || r->at[BYMINUTE] || r->at[BYSECOND];
    const struct {
        bool is;
        const char *what;
    } cases[] = {
        {r->freq <= HOURLY && r->by,
         "a rule by the hour, minute or second with BY... isn't supported"},
        {r->at[BYWEEKNO], "BYWEEKNO isn't supported"},
        {r->at[BYSETPOS] && (r->freq < MONTHLY || clock),
         "BYSETPOS in a rule by the day or week, or with times of day, isn't "
         "supported"},
        {r->freq == WEEKLY && r->interval > 1 && r->by_more,
         "a rule by the week with INTERVAL and more than BYDAY isn't "
         "supported"},
        {r->freq == DAILY && r->at[BYMONTHDAY],
         "a rule by the day with BYMONTHDAY isn't supported; FREQ=MONTHLY is"},
        {r->freq == YEARLY && r->at[BYMONTHDAY] && !r->at[BYMONTH],
         "a rule by the year with BYMONTHDAY, but no BYMONTH, isn't "
         "supported; FREQ=MONTHLY is"},
        {values(r, BYHOUR) * values(r, BYMINUTE) * values(r, BYSECOND) > 96,
         "a rule for more than 96 times a day isn't supported"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (cases[i].is)
            return cases[i].what;
    return NULL;
}

/* The last possible date. A date for times isn't allowed, and means all day. */
static const char *read_until(struct rule *r, const struct ics_series *s)
{
    char text[sizeof "20261123T090000Z" + 1];
    struct ics_when until;

    r->ask.until = INT64_MAX;
    if (!r->at[UNTIL])
        return NULL;
    snprintf(text, sizeof text, "%.*s", (int)r->len[UNTIL], r->at[UNTIL]);
    if (ics_read_when(text, &until))
        return "its UNTIL isn't a time like 20261123T090000Z or a date like "
               "20261123 that exists";
    r->ask.until = until.wall;
    if (until.date && !s->start.date)
        r->ask.until += ICS_DAY - 1;
    else if (until.utc && !s->start.date)
        r->ask.until = ics_wall(s->zone, until.wall);
    return NULL;
}

/* ---- the dates ---------------------------------------------------------- */

/* The start may be moved on by whole steps without moving the dates, but not
 * of months and years, which aren't equally long. */
static void plan(struct rule *r, const struct ics_series *s)
{
    static const int64_t units[FREQS] = {1, 60, 3600, ICS_DAY, 7 * ICS_DAY};
    int64_t step = units[r->freq] * r->interval;

    r->ask.begin = s->start.wall;
    if (step && !r->at[COUNT] && s->from > s->start.wall)
        r->ask.begin += (s->from - s->start.wall) / step * step;
    r->ask.unit = r->by ? ICS_DAY : step ? step : 365 * ICS_DAY;
    if (r->by && r->freq == YEARLY)
        r->ask.unit = (r->at[BYMONTH] ? 14 : 4) * ICS_DAY;
}

static const char *by_the_week(struct ics_file *f, const struct rule *r,
                               const struct ics_series *s)
{
    int64_t begin = r->ask.begin, left = r->ask.count;
    int64_t day = begin / ICS_DAY - (begin % ICS_DAY < 0);
    int weekday = local_weekday(day) - 1, first = 0; /* of a week; Monday = 0 */
    unsigned days = r->weekdays ? r->weekdays : 1u << weekday;

    for (unsigned bits = weekdays(r, WKST); bits > 1; bits >>= 1)
        first++;
    begin -= (weekday - first + 7) % 7 * ICS_DAY;
    for (; f->steps > 0; f->steps -= 7, begin += r->interval * 7 * ICS_DAY)
        for (int i = 0; i < 7; i++) {
            int64_t wall = begin + i * ICS_DAY;

            if (!(days >> (first + i) % 7 & 1) || wall < s->start.wall)
                continue;
            if (wall > r->ask.until || left-- == 0 || !s->take(wall, s->arg))
                return NULL;
        }
    return ics_too_long;
}

bool ics_rule_dates(struct ics_file *f, const struct ics_prop *rrule,
                    const struct ics_series *s)
{
    struct rule r = {0};
    const char *fault = read_rule(rrule->value, &r);

    if (!fault)
        fault = read_until(&r, s);
    if (!fault)
        fault = unsupported(&r);
    if (!fault) {
        plan(&r, s);
        fault = r.freq == WEEKLY && !r.by_more ? by_the_week(f, &r, s)
                                               : ics_library(f, &r.ask, s);
    }
    return f->err == 0 && ics_check(f, rrule, fault);
}

bool ics_rule_endless(const struct ics_prop *rrule)
{
    size_t len;

    return !ics_param(rrule->value, "COUNT", &len) &&
           !ics_param(rrule->value, "UNTIL", &len);
}

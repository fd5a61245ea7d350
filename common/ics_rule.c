/*
 * ics_rule.c - the dates of a rule
 *
 *      FREQ=MONTHLY;INTERVAL=2;BYDAY=MO,TU;BYSETPOS=-1
 *
 *      every second month      a period: its days, one by one,
 *      BYDAY                   that meet each of the parts about days,
 *      BYHOUR                  at each time of day,
 *      BYSETPOS                and of these the last
 *
 * To look at every day is slower than to jump from date to date, and can hardly
 * go wrong. What a rule doesn't say (on which day of the month, at what time)
 * is taken from the start, as if it stood there.
 *
 * libical 3.0.16 isn't asked: it leaves out most dates of BYMONTH with
 * BYYEARDAY, counts a day twice for BYSETPOS when two numbers of BYMONTHDAY
 * mean it, finds no dates where a part can't stand, and gets 26 of 400 rules by
 * the week wrong (those with an INTERVAL and a Sunday or a WKST).
 *
 * Left out, and refused: BY... in rules by the hour, minute or second; BYWEEKNO
 * with an INTERVAL or BYSETPOS, since a week may be of two years.
 */
#include "ics_rule.h"

#include "localtime.h"
#include "timestamp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define YEAR_DAYS  366
#define TIMES_MAX  96 /* times of a day */
#define DATE_STEPS 20 /* of the search, that one date is worth */

/* ---- the text ----------------------------------------------------------- */

enum part {
    FREQ,
    UNTIL,
    COUNT,
    INTERVAL,
    WKST,
    BYDAY,
    BYMONTH, /* from here on: numbers */
    BYMONTHDAY,
    BYYEARDAY,
    BYWEEKNO,
    BYSETPOS,
    BYHOUR,
    BYMINUTE,
    BYSECOND,
    PARTS
};

/* The numbers a part may have; `back`: also from the end, -1 is the last. */
static const struct {
    const char *name;
    int min, max;
    bool back;
} parts[PARTS] = {
    {"FREQ", 0, 0, false},
    {"UNTIL", 0, 0, false},
    {"COUNT", 0, 0, false},
    {"INTERVAL", 0, 0, false},
    {"WKST", 0, 0, false},
    {"BYDAY", 1, 53, true},
    {"BYMONTH", 1, 12, false},
    {"BYMONTHDAY", 1, 31, true},
    {"BYYEARDAY", 1, YEAR_DAYS, true},
    {"BYWEEKNO", 1, 53, true},
    {"BYSETPOS", 1, YEAR_DAYS, true},
    {"BYHOUR", 0, 23, false},
    {"BYMINUTE", 0, 59, false},
    {"BYSECOND", 0, 60, false},
};

enum freq { SECONDLY, MINUTELY, HOURLY, DAILY, WEEKLY, MONTHLY, YEARLY, FREQS };

static const char *const freq_names[FREQS] = {
    "SECONDLY", "MINUTELY", "HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY",
};

/* Numbers, counted from the front and from the back. */
struct set {
    bool front[YEAR_DAYS + 1], back[YEAR_DAYS + 1];
};

struct rule {
    const char *at[PARTS]; /* the values in the text; NULL = not there */
    size_t len[PARTS];
    enum freq freq;
    int64_t interval, count; /* INT64_MAX = no COUNT */
    int64_t until;           /* what clocks show at the last possible date, */
    int64_t until_moment;    /* and no date is later than that; UTC */
    int week_start;          /* Monday = 0 */
    bool by[PARTS];          /* the part matters: it is there, or is meant */
    struct set set[PARTS];   /* of those that are numbers */
    struct set weekday[7];   /* of BYDAY: 2TU is 2 of [1], TU is 0 of it */
    int64_t times[TIMES_MAX];
    int time_count;
};

/* Where each part is. What isn't a part, or is one again, isn't found. */
static const char *find_parts(const char *text, struct rule *r)
{
    size_t found = 0, there = 0;

    for (int i = 0; i < PARTS; i++) {
        r->at[i] = ics_param(text, parts[i].name, &r->len[i]);
        r->by[i] = r->at[i] && i >= BYDAY;
        found += r->at[i] && r->len[i] > 0;
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

/* "MO": Monday is 0; -1 when it isn't a day. */
static int weekday(const char *s, size_t len)
{
    static const char days[] = "MO,TU,WE,TH,FR,SA,SU";

    for (int day = 0; len == 2 && day < 7; day++)
        if (!strncasecmp(s, days + 3 * day, 2))
            return day;
    return -1;
}

/* Put one number of a part, "-2" or "+2" or "2", into a set. */
static bool add_number(struct set *set, enum part part, const char *s,
                       size_t len)
{
    bool minus = len > 0 && *s == '-';
    size_t sign = minus || (len > 0 && *s == '+');
    int n;

    if (len == sign || len > sign + 3 ||
        strspn(s + sign, ICS_DIGITS) < len - sign)
        return false;
    n = (int)strtol(s + sign, NULL, 10);
    if (n < parts[part].min || n > parts[part].max ||
        (sign && !parts[part].back))
        return false;
    (minus ? set->back : set->front)[n] = true;
    return true;
}

/* "2TU", "TU" */
static bool add_weekday(struct rule *r, const char *s, size_t len)
{
    int day = len < 2 ? -1 : weekday(s + len - 2, 2);

    if (day >= 0 && len == 2)
        return r->weekday[day].front[0] = true;
    return day >= 0 && r->freq >= MONTHLY && !r->at[BYWEEKNO] &&
           add_number(&r->weekday[day], BYDAY, s, len - 2);
}

/* The values of a part, from BYDAY on. */
static bool read_list(struct rule *r, enum part part)
{
    const char *s = r->at[part], *end = s + r->len[part];

    for (size_t len; s; s = s + len < end ? s + len + 1 : NULL) {
        len = strcspn(s, ",;");
        if (part == BYDAY ? !add_weekday(r, s, len)
                          : !add_number(&r->set[part], part, s, len))
            return false;
    }
    return true;
}

static const char *read_rule(const char *text, struct rule *r)
{
    const char *fault = find_parts(text, r);

    if (fault)
        return fault;
    while (r->freq < FREQS && !ics_param_is(text, "FREQ", freq_names[r->freq]))
        r->freq++;
    r->interval = number(r, INTERVAL, 1);
    r->count = number(r, COUNT, INT64_MAX);
    r->week_start = r->at[WKST] ? weekday(r->at[WKST], r->len[WKST]) : 0;
    if (!r->at[FREQ])
        return "the rule has no FREQ";
    if (r->freq == FREQS)
        return "its FREQ isn't known";
    if (r->interval < 1 || r->interval > 32767)
        return "its INTERVAL isn't a number from 1 to 32767";
    if (r->count < 1)
        return "its COUNT isn't a number from 1 on, or too large";
    if (r->at[COUNT] && r->at[UNTIL])
        return "it has both COUNT and UNTIL";
    if (r->week_start < 0)
        return "its WKST isn't a day like MO";
    if (r->at[BYDAY] && !read_list(r, BYDAY))
        return r->freq < MONTHLY || r->at[BYWEEKNO]
                   ? "its BYDAY isn't a list like MO,WE"
                   : "its BYDAY isn't a list like MO,WE or 2MO,-1FR";
    for (enum part i = BYMONTH; i < PARTS; i++)
        if (r->at[i] && !read_list(r, i))
            return "a BY... isn't a list of numbers that it can have";
    return NULL;
}

/* What RFC 5545 doesn't allow, or isn't clear about, and what nobody needs. */
static const char *unsupported(const struct rule *r, bool date)
{
    bool by = false;

    for (enum part i = BYDAY; i < PARTS; i++)
        by = by || r->by[i];
    const struct {
        bool is;
        const char *what;
    } cases[] = {
        {r->freq <= HOURLY && by,
         "a rule by the hour, minute or second with BY... isn't supported"},
        {r->freq <= HOURLY && date,
         "a rule by the hour, minute or second needs a DTSTART with a time"},
        {r->freq < YEARLY && r->by[BYWEEKNO],
         "BYWEEKNO can stand only in a rule by the year"},
        {r->freq < YEARLY && r->by[BYYEARDAY],
         "BYYEARDAY can stand only in a rule by the year"},
        {r->freq == WEEKLY && r->by[BYMONTHDAY],
         "BYMONTHDAY can't stand in a rule by the week"},
        {r->by[BYWEEKNO] && (r->interval > 1 || r->by[BYSETPOS]),
         "BYWEEKNO with INTERVAL or BYSETPOS isn't supported"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (cases[i].is)
            return cases[i].what;
    return NULL;
}

/* The last possible date. A date for times isn't allowed, and means all day. */
static const char *read_until(struct rule *r, const struct ics_rule_ask *s)
{
    char text[sizeof "20261123T090000Z" + 1];
    struct ics_when until;

    r->until = r->until_moment = TIMESTAMP_MAX;
    if (!r->at[UNTIL])
        return NULL;
    snprintf(text, sizeof text, "%.*s", (int)r->len[UNTIL], r->at[UNTIL]);
    if (ics_read_when(text, &until))
        return "its UNTIL isn't a time like 20261123T090000Z or a date like "
               "20261123 that exists";
    r->until = until.wall;
    if (until.date && !s->start.date) {
        r->until += ICS_DAY - 1;
    } else if (until.utc && !s->start.date) {
        r->until += ICS_DAY; /* no clock is further ahead */
        r->until_moment = until.wall;
    }
    return NULL;
}

/* ---- what the start says ------------------------------------------------ */

static int64_t day_of(int64_t wall)
{
    return wall / ICS_DAY - (wall % ICS_DAY < 0);
}

/* A part that isn't in the text, but is meant. */
static void imply(struct rule *r, enum part part, int64_t n)
{
    if (!r->by[part])
        r->set[part].front[n] = true;
    r->by[part] = true;
}

/* On which days, when nothing but the start says so. */
static void imply_days(struct rule *r, int64_t day)
{
    struct local_time at = local_date(day);

    if (r->by[BYDAY] || r->by[BYMONTHDAY] || r->by[BYYEARDAY] ||
        r->freq == DAILY)
        return;
    if (r->freq == WEEKLY || r->by[BYWEEKNO]) {
        r->weekday[local_weekday(day) - 1].front[0] = true;
        r->by[BYDAY] = true;
        return;
    }
    imply(r, BYMONTHDAY, at.mday);
    if (r->freq == YEARLY)
        imply(r, BYMONTH, at.month);
}

/* The times of a day, in order: false when there are too many. Whole days have
 * none, whatever the rule says. */
static bool set_times(struct rule *r, struct ics_when start)
{
    int64_t second = start.date ? 0 : start.wall - day_of(start.wall) * ICS_DAY;

    for (enum part i = BYHOUR; start.date && i <= BYSECOND; i++) {
        r->by[i] = false;
        r->set[i] = (struct set){0};
    }
    imply(r, BYHOUR, second / 3600);
    imply(r, BYMINUTE, second / 60 % 60);
    imply(r, BYSECOND, second % 60);
    if (r->set[BYSECOND].front[60]) /* a leap second, which we don't have */
        r->set[BYSECOND].front[59] = true;
    for (int h = 0; h < 24; h++)
        for (int m = 0; r->set[BYHOUR].front[h] && m < 60; m++)
            for (int s = 0; r->set[BYMINUTE].front[m] && s < 60; s++) {
                if (!r->set[BYSECOND].front[s])
                    continue;
                if (r->time_count == TIMES_MAX)
                    return false;
                r->times[r->time_count++] = h * 3600 + m * 60 + s;
            }
    return true;
}

/* ---- one day ------------------------------------------------------------ */

/* Is the nth of `of` things in the set? */
static bool is_in(const struct set *set, int64_t n, int64_t of)
{
    return (n <= YEAR_DAYS && set->front[n]) ||
           (of - n < YEAR_DAYS && set->back[of - n + 1]);
}

/* Is the nth of `of` days, among those of its weekday? */
static bool weekday_is_in(const struct set *set, int64_t n, int64_t of)
{
    int64_t before = (n - 1) / 7, behind = (of - n) / 7;

    return is_in(set, before + 1, before + 1 + behind);
}

static int64_t year_days(int year)
{
    return timestamp_days(year + 1, 1, 1) - timestamp_days(year, 1, 1);
}

static int64_t year_day(int64_t day, int year)
{
    return day - timestamp_days(year, 1, 1) + 1;
}

/* A week is of the year that most of its days are in: where its fourth is, and
 * it has the number that this one has among its weekday. */
static bool week_meets(const struct rule *r, int64_t day)
{
    int64_t fourth = day + 3 - (local_weekday(day) - 1 - r->week_start + 7) % 7;
    int year = local_date(fourth).year;

    return weekday_is_in(&r->set[BYWEEKNO], year_day(fourth, year),
                         year_days(year));
}

static bool weekday_meets(const struct rule *r, const struct local_time *at)
{
    const struct set *set = &r->weekday[local_weekday(at->day) - 1];

    if (set->front[0])
        return true;
    if (r->freq == MONTHLY || r->by[BYMONTH])
        return weekday_is_in(set, at->mday,
                             timestamp_month_days(at->year, at->month));
    return weekday_is_in(set, year_day(at->day, at->year), year_days(at->year));
}

/* All parts about days but BYMONTH. */
static bool day_meets(const struct rule *r, const struct local_time *at)
{
    return (!r->by[BYMONTHDAY] ||
            is_in(&r->set[BYMONTHDAY], at->mday,
                  timestamp_month_days(at->year, at->month))) &&
           (!r->by[BYYEARDAY] ||
            is_in(&r->set[BYYEARDAY], year_day(at->day, at->year),
                  year_days(at->year))) &&
           (!r->by[BYWEEKNO] || week_meets(r, at->day)) &&
           (!r->by[BYDAY] || weekday_meets(r, at));
}

/* ---- one period --------------------------------------------------------- */

/* Years and months are counted in months, weeks and days in days. */
struct period {
    bool months;
    int64_t at, width; /* it begins there and is so long */
};

static int64_t first_day(const struct period *p, int64_t at)
{
    return p->months ? timestamp_days((int)(at / 12), (int)(at % 12) + 1, 1)
                     : at;
}

/* The period of a day. */
static struct period period_of(const struct rule *r, int64_t day)
{
    struct local_time at = local_date(day);

    switch (r->freq) {
    case YEARLY: return (struct period){true, 12 * at.year, 12};
    case MONTHLY: return (struct period){true, 12 * at.year + at.month - 1, 1};
    case WEEKLY:
        day -= (local_weekday(day) - 1 - r->week_start + 7) % 7;
        return (struct period){false, day, 7};
    default: return (struct period){false, day, 1};
    }
}

static void next_day(struct local_time *at)
{
    at->day++;
    if (at->mday++ < timestamp_month_days(at->year, at->month))
        return;
    at->mday = 1;
    at->year += at->month == 12;
    at->month = at->month % 12 + 1;
}

/* Those of its days that the rule means: how many, at most YEAR_DAYS. */
static int days_of(struct ics_file *f, const struct rule *r,
                   const struct period *p, int64_t *days)
{
    struct local_time at = local_date(first_day(p, p->at));
    int64_t end = first_day(p, p->at + p->width);
    int n = 0;

    for (; at.day < end; next_day(&at)) {
        f->steps--;
        if (!r->by[BYMONTH] || r->set[BYMONTH].front[at.month]) {
            if (day_meets(r, &at))
                days[n++] = at.day;
        } else { /* on to the last day of the month */
            at.day += timestamp_month_days(at.year, at.month) - at.mday;
            at.mday = timestamp_month_days(at.year, at.month);
        }
    }
    return n;
}

/* ---- the dates ---------------------------------------------------------- */

static const char too_long[] =
    "the rules up to here give too many dates, or need too long a search; "
    "--from and --to may help";

/* A date on its way out: false when it was the last. One that the clocks skip
 * may be too late, and one behind it not. */
static bool hand_out(struct ics_file *f, struct rule *r,
                     const struct ics_rule_ask *s, int64_t wall)
{
    f->steps -= DATE_STEPS;
    if (wall > r->until || r->count-- == 0)
        return false;
    return ics_moment(s->zone, wall) > r->until_moment || s->take(wall, s->arg);
}

/* How far `from` lies behind `at`, in whole steps. */
static int64_t passed_over(int64_t at, int64_t from, int64_t step)
{
    return from <= at ? 0 : (from - at) / step * step;
}

static const char *by_the_clock(struct ics_file *f, struct rule *r,
                                const struct ics_rule_ask *s)
{
    static const int64_t seconds[] = {1, 60, 3600};
    int64_t step = r->interval * seconds[r->freq], wall = s->start.wall;

    wall += passed_over(wall, s->from, step);
    while (f->steps > 0) {
        if (!hand_out(f, r, s, wall))
            return NULL;
        wall += step;
    }
    return too_long;
}

static const char *by_the_day(struct ics_file *f, struct rule *r,
                              const struct ics_rule_ask *s)
{
    struct period p = period_of(r, day_of(s->start.wall));
    int64_t step = r->interval * p.width, days[YEAR_DAYS];

    if (s->from > s->start.wall)
        p.at += passed_over(p.at, period_of(r, day_of(s->from)).at, step);
    for (; f->steps > 0; p.at += step) {
        int n = days_of(f, r, &p, days) * r->time_count;

        if (first_day(&p, p.at) > day_of(r->until))
            return NULL;
        for (int i = 0; i < n; i++) {
            int64_t wall =
                days[i / r->time_count] * ICS_DAY + r->times[i % r->time_count];

            if (wall < s->start.wall ||
                (r->by[BYSETPOS] && !is_in(&r->set[BYSETPOS], i + 1, n)))
                continue;
            if (!hand_out(f, r, s, wall))
                return NULL;
        }
    }
    return too_long;
}

bool ics_rule_dates(struct ics_file *f, const struct ics_prop *rrule,
                    const struct ics_rule_ask *s)
{
    struct rule r = {0};
    const char *fault = read_rule(rrule->value, &r);

    if (!fault)
        fault = read_until(&r, s);
    if (!fault)
        fault = unsupported(&r, s->start.date);
    if (!fault && r.freq <= HOURLY) {
        fault = by_the_clock(f, &r, s);
    } else if (!fault) {
        imply_days(&r, day_of(s->start.wall));
        fault = set_times(&r, s->start) ? by_the_day(f, &r, s)
                                        : "a rule for more than 96 times a day "
                                          "isn't supported";
    }
    return f->err == 0 && ics_check(f, rrule, fault);
}

bool ics_rule_endless(const struct ics_prop *rrule)
{
    size_t len;

    return !ics_param(rrule->value, "COUNT", &len) &&
           !ics_param(rrule->value, "UNTIL", &len);
}

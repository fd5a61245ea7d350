/*
 * fuzz_time.c - times as people type them (common/localtime.c, timestamp.c)
 *
 * The first byte chooses a time zone, the rest is the text of an argument. An
 * accepted time, printed and parsed again, is the same one. The zones are
 * given as rules (tzset(3), POSIX), so that no time zone files are needed.
 */
#define _POSIX_C_SOURCE 200809L
#include "fuzz.h"

#include "localtime.h"
#include "timestamp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define DAY 86400

static const char *const zones[] = {
    "UTC0",
    "KST-9",
    "CET-1CEST,M3.5.0,M10.5.0/3",
    "NST3:30NDT,M3.2.0,M11.1.0",            /* half an hour */
    "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", /* half an hour of summer */
    "<-03>3<-02>,M10.3.0/0,M2.3.0/0",       /* days that begin at 01:00 */
    "IST-1GMT0,M10.5.0,M3.5.0/1",           /* winter time is the other */
    "<+14>-14",
    "<-12>12",
    "SST11SDT-13,J90/0,J300/0", /* a whole day (Samoa, once) */
};

#define ZONES (sizeof zones / sizeof *zones)

static void set_zone(unsigned which)
{
    static unsigned current = ZONES;

    if (which == current)
        return;
    MUST(setenv("TZ", zones[which], 1) == 0);
    tzset();
    current = which;
}

/* ---- what holds for every moment ------------------------------------------ */

/* The calendar of the C library is the reference. */
static void check_utc(int64_t t)
{
    char ours[TIMESTAMP_SIZE], theirs[64];
    time_t clock = (time_t)t;
    struct tm tm;
    int64_t back;

    MUST(timestamp_format(t, ours) == ours);
    MUST(timestamp_parse(ours, &back) == 0);
    if (t < TIMESTAMP_MIN || t > TIMESTAMP_MAX) {
        MUST(back == (t < 0 ? TIMESTAMP_MIN : TIMESTAMP_MAX));
        return;
    }
    MUST(back == t && gmtime_r(&clock, &tm) != NULL);
    (void)snprintf(theirs, sizeof theirs, "%04d-%02d-%02dT%02d:%02d:%02dZ",
                   tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                   tm.tm_min, tm.tm_sec);
    MUST(strcmp(ours, theirs) == 0);
}

/* A whole day may never come (`occurs` says that it does): then what would be
 * its beginning is the next one's. */
static void check_day(int64_t day, bool occurs)
{
    int64_t first = local_split(local_day_start(day)).day;
    struct local_time date = local_date(day);
    int year, week = local_iso_week(day, &year), monday = local_weekday(day);

    MUST(monday >= 1 && monday <= 7 && week >= 1 && week <= 53);
    MUST(year >= date.year - 1 && year <= date.year + 1);
    MUST(timestamp_days(date.year, date.month, date.mday) == day);
    MUST(local_weekday(day + 1) == monday % 7 + 1);
    MUST(first == day || (first > day && !occurs));
    MUST(local_split(local_day_start(day) - 1).day < day);
}

/* `text` was read as t: is that what it says, and the first such moment? */
static void check_meaning(const char *text, int64_t t)
{
    static const int shifts[] = {1800, 3600, DAY};
    char shown[LOCAL_TIME_SIZE], earlier[LOCAL_TIME_SIZE];

    (void)local_format(t, shown);
    MUST(strncmp(text, shown, 10) == 0 &&
         strncmp(text + 11, shown + 11, 5) == 0);
    for (int i = 0; i < 3; i++)
        MUST(strcmp(local_format(t - shifts[i], earlier), shown) != 0);
}

/* Printed for this zone and read again: the same moment, or an earlier one at
 * which the clocks show the same. The very first and last days have moments
 * that are in another year here than in UTC. `text`: what t was read from,
 * when it named no zone. */
static void check_local(int64_t t, const char *text)
{
    char shown[LOCAL_TIME_SIZE], again[LOCAL_TIME_SIZE];
    const char *why;
    int64_t back;

    if (t < TIMESTAMP_MIN + 3 * DAY || t > TIMESTAMP_MAX - 3 * DAY)
        return;
    MUST(local_format(t, shown) == shown);
    MUST(local_parse(shown, &back, &why) == 0 && why == NULL);
    MUST(back == t || (back < t && text == NULL));
    MUST(strcmp(local_format(back, again), shown) == 0);
    if (text != NULL)
        check_meaning(text, t);
    check_day(local_split(t).day, true);
}

/* ---- texts ---------------------------------------------------------------- */

static bool has_zone(const char *text)
{
    return strlen(text) > 10 && strpbrk(text + 10, "Z+-") != NULL;
}

static void as_argument(const char *text)
{
    const char *why = NULL;
    int64_t t, from, day, utc;
    int err = local_parse(text, &t, &why);

    MUST(err == 0 ? why == NULL : err == -EINVAL && why != NULL);
    if (err == 0) {
        MUST(strncmp(text, "0000", 4) != 0);
        MUST(local_parse_from(text, &from, &why) == 0 && from == t);
        MUST(local_parse_date(text, &day, &why) == -EINVAL);
        check_utc(t);
        check_local(t, has_zone(text) ? NULL : text);
    }
    if (local_parse_date(text, &day, &why) == 0) {
        MUST(strlen(text) == 10);
        MUST(local_parse_from(text, &from, &why) == 0);
        MUST(from == local_day_start(day));
        if (from > TIMESTAMP_MIN + 3 * DAY && from < TIMESTAMP_MAX - 3 * DAY)
            check_day(day, false);
    }
    if (timestamp_parse(text, &utc) == 0) {
        char same[TIMESTAMP_SIZE];

        MUST(err == 0 && utc == t);
        MUST(strcmp(timestamp_format(utc, same), text) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct supply in = {data, data + size};
    unsigned zone = supply_byte(&in);
    size_t len;
    char *text;

    set_zone(zone % ZONES);
    if (zone >= 128) { /* the rest is a number */
        int64_t t = (int64_t)supply_number(&in, 8);

        check_utc(t);
        check_local(t, NULL);
        return 0;
    }
    const uint8_t *bytes = supply_bytes(&in, SIZE_MAX, &len);
    text = malloc(len + 1); /* of this very size: nothing reads beyond */
    MUST(text != NULL);
    if (len > 0)
        memcpy(text, bytes, len);
    text[len] = '\0';
    as_argument(text);
    free(text);
    return 0;
}

/*
 * timestamp.c - dates by arithmetic alone
 *
 * Years are counted from March, so that the leap day is the last day of the
 * year and the lengths of the months before it never change. 400 years have
 * exactly 146,097 days.
 */
#include "timestamp.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define DAY_SECONDS  86400
#define ERA_DAYS     146097 /* 400 years */
#define EPOCH_OFFSET 719468 /* days from 0000-03-01 to 1970-01-01 */

static bool is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

int timestamp_month_days(int year, int month)
{
    if (month == 2)
        return is_leap(year) ? 29 : 28;
    return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

/* Days from March 1st to the first day of the m-th month after March: the
 * months 31 30 31 30 31 repeat, 153 days each five. */
static int days_before(int m)
{
    return (153 * m + 2) / 5;
}

int64_t timestamp_days(int year, int month, int day)
{
    int64_t y = month > 2 ? year : year - 1;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t of_era = y - era * 400;
    int m = month > 2 ? month - 3 : month + 9;

    return era * ERA_DAYS + of_era * 365 + of_era / 4 - of_era / 100 +
           days_before(m) + day - 1 - EPOCH_OFFSET;
}

/* The way back, for days from 0001-01-01 on. */
static void date_of(int64_t days, int *year, int *month, int *day)
{
    int64_t n = days + EPOCH_OFFSET;
    int64_t era = n / ERA_DAYS;
    int of_era = (int)(n % ERA_DAYS);
    /* Take the leap days out; what is left are years of 365 days. */
    int y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int of_year = of_era - (365 * y + y / 4 - y / 100);
    int m = (5 * of_year + 2) / 153;

    *day = of_year - days_before(m) + 1;
    *month = m < 10 ? m + 3 : m - 9;
    *year = (int)(era * 400) + y + (*month <= 2);
}

/* `width` digits at `at`, filled up with zeros. */
static void put_digits(char *at, int width, int v)
{
    for (int i = width - 1; i >= 0; i--, v /= 10)
        at[i] = (char)('0' + v % 10);
}

char *timestamp_format(int64_t t, char buf[TIMESTAMP_SIZE])
{
    static const char form[TIMESTAMP_SIZE] = "0000-00-00T00:00:00Z";
    int year, month, day;

    if (t < TIMESTAMP_MIN)
        t = TIMESTAMP_MIN; /* beyond four digits of year there is no form */
    if (t > TIMESTAMP_MAX)
        t = TIMESTAMP_MAX;
    int64_t days = t / DAY_SECONDS - (t % DAY_SECONDS < 0);
    int second = (int)(t - days * DAY_SECONDS);
    date_of(days, &year, &month, &day);

    memcpy(buf, form, TIMESTAMP_SIZE);
    put_digits(buf, 4, year);
    put_digits(buf + 5, 2, month);
    put_digits(buf + 8, 2, day);
    put_digits(buf + 11, 2, second / 3600);
    put_digits(buf + 14, 2, second / 60 % 60);
    put_digits(buf + 17, 2, second % 60);
    return buf;
}

/* The number in `width` characters that are all known to be digits. */
static int get_digits(const char *at, int width)
{
    int v = 0;

    for (int i = 0; i < width; i++)
        v = v * 10 + (at[i] - '0');
    return v;
}

/* Does every character stand where the form wants it? */
static bool has_form(const char *text)
{
    static const char form[] = "dddd-dd-ddTdd:dd:ddZ";

    for (size_t i = 0; i < sizeof form; i++) { /* with the NUL */
        bool ok = form[i] == 'd' ? text[i] >= '0' && text[i] <= '9'
                                 : text[i] == form[i];
        if (!ok)
            return false; /* never looks beyond the text's own NUL */
    }
    return true;
}

int timestamp_parse(const char *text, int64_t *t)
{
    if (!has_form(text))
        return -EINVAL;

    int year = get_digits(text, 4), month = get_digits(text + 5, 2);
    int day = get_digits(text + 8, 2), hour = get_digits(text + 11, 2);
    int minute = get_digits(text + 14, 2), second = get_digits(text + 17, 2);

    if (year < 1 || month < 1 || month > 12 || day < 1 ||
        day > timestamp_month_days(year, month) || hour > 23 || minute > 59 ||
        second > 59)
        return -EINVAL;
    *t = timestamp_days(year, month, day) * DAY_SECONDS + hour * 3600 +
         minute * 60 + second;
    return 0;
}

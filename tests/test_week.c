/*
 * test_week.c - local time, and the grid of a week
 *
 * Zones are given as POSIX rules: the test needs no zone files.
 *
 * It needs _XOPEN_SOURCE for wcwidth.
 */
#define _XOPEN_SOURCE 700
#include "harness.h"
#include "localtime.h"
#include "timestamp.h"
#include "week.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#define BERLIN "CET-1CEST,M3.5.0,M10.5.0/3"
#define SEOUL  "KST-9"
/* Clocks go forward at midnight: these days begin at 01:00. */
#define BRASILIA "BRT3BRST,M11.1.0/0,M2.3.0/0"

#define MONDAY 20514 /* 2026-03-02 */
#define LEN(a) (sizeof(a) / sizeof *(a))

static void use_zone(const char *zone)
{
    REQUIRE_INT(0, setenv("TZ", zone, 1));
    tzset();
}

/* ---- local time --------------------------------------------------------- */

static void expect_time(const char *utc, const char *text)
{
    char got[TIMESTAMP_SIZE] = "none";
    const char *why = NULL;
    int64_t t;

    if (local_parse(text, &t, &why) == 0)
        timestamp_format(t, got);
    EXPECT_STR(utc, got);
    EXPECT((why != NULL) == !strcmp(utc, "none"));
}

static void test_parse(const void *arg)
{
    (void)arg;
    use_zone(BERLIN);
    expect_time("2026-11-23T08:00:00Z", "2026-11-23T09:00");
    expect_time("2026-11-23T08:00:07Z", "2026-11-23 09:00:07");
    expect_time("2026-07-23T07:00:00Z", "2026-07-23T09:00");
    expect_time("2026-11-23T09:00:00Z", "2026-11-23T09:00Z");
    expect_time("2026-11-23T00:00:00Z", "2026-11-23T09:00+09:00");
    expect_time("2026-11-23T14:30:00Z", "2026-11-23T09:00:00-05:30");
    expect_time("2024-02-29T00:00:00Z", "2024-02-29T00:00Z");
    expect_time("0001-01-01T00:00:00Z", "0001-01-01T00:00Z");
    expect_time("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z");
}

static void test_parse_bad(const void *arg)
{
    static const char *const bad[] = {
        "",
        "2026",
        "2026-11-23",
        "2026-11-23T",
        "2026-11-23T9:00",
        "2026-11-23T09",
        "2026-11-23T09:",
        "2026-11-23T09:0",
        "2026-11-23T09:00:",
        "2026-11-23T09:00:0",
        "2026-11-23T09:00:60",
        "2026-11-23T24:00",
        "2026-11-23T09:60",
        "2026-11-23t09:00",
        "2026-11-23  09:00",
        "2026-11-23T09:00z",
        "2026-11-23T09:00Zx",
        "2026-11-23T09:00 ",
        "2026-11-23T09:00+9",
        "2026-11-23T09:00+0900",
        "2026-11-23T09:00+09:60",
        "2026-11-23T09:00+24:00",
        "2026-11-23T09:00+09:000",
        "2026-02-29T09:00",
        "2026-02-30T09:00",
        "2026-00-10T09:00",
        "2026-13-10T09:00",
        "2026-11-00T09:00",
        "2026-11-31T09:00",
        "0000-01-01T00:00Z",
        "10000-01-01T00:00Z",
        "-001-01-01T00:00Z",
        " 2026-11-23T09:00",
        "2026/11/23T09:00",
        "tomorrow",
    };

    (void)arg;
    use_zone(BERLIN);
    for (size_t i = 0; i < LEN(bad); i++)
        expect_time("none", bad[i]);
}

static void test_dst(const void *arg)
{
    int64_t t;
    const char *why = "";

    (void)arg;
    use_zone(BERLIN);
    expect_time("2026-03-29T00:59:59Z", "2026-03-29T01:59:59");
    EXPECT(local_parse("2026-03-29T02:30", &t, &why) < 0);
    EXPECT(strstr(why, "skip"));
    expect_time("none", "2026-03-29T02:00");
    expect_time("none", "2026-03-29T02:59:59");
    expect_time("2026-03-29T01:00:00Z", "2026-03-29T03:00");
    expect_time("2026-10-24T23:59:00Z", "2026-10-25T01:59");
    expect_time("2026-10-25T00:00:00Z", "2026-10-25T02:00"); /* the first */
    expect_time("2026-10-25T00:30:00Z", "2026-10-25T02:30");
    expect_time("2026-10-25T01:30:00Z", "2026-10-25T02:30+01:00");
    expect_time("2026-10-25T02:00:00Z", "2026-10-25T03:00");
}

static void test_day_start(const void *arg)
{
    char buf[TIMESTAMP_SIZE];
    int64_t t;
    const char *why;

    (void)arg;
    use_zone(BRASILIA);
    EXPECT_STR(
        "2018-11-04T03:00:00Z",
        timestamp_format(local_day_start(timestamp_days(2018, 11, 4)), buf));
    EXPECT_STR(
        "2018-11-05T02:00:00Z",
        timestamp_format(local_day_start(timestamp_days(2018, 11, 5)), buf));
    EXPECT_INT(0, local_parse_from("2018-11-04", &t, &why));
    EXPECT_STR("2018-11-04T03:00:00Z", timestamp_format(t, buf));
    EXPECT(local_parse_date("2018-11-04T", &t, &why) < 0);
    EXPECT(local_parse_date("2018-11-31", &t, &why) < 0);
    EXPECT_INT(0, local_parse_date("2026-03-02", &t, &why));
    EXPECT_INT(MONDAY, t);
}

static void test_format(const void *arg)
{
    char buf[LOCAL_TIME_SIZE];
    int year;

    (void)arg;
    use_zone(SEOUL);
    EXPECT_STR("1970-01-01 09:00", local_format(0, buf));
    EXPECT_STR("1970-01-01 08:59:59", local_format(-1, buf));
    EXPECT_INT(4, local_weekday(0));
    EXPECT_INT(3, local_weekday(-1));
    EXPECT_INT(1, local_weekday(MONDAY));
    EXPECT_INT(10, local_iso_week(MONDAY, &year));
    EXPECT_INT(2026, year);
    EXPECT_INT(53, local_iso_week(timestamp_days(2021, 1, 3), &year));
    EXPECT_INT(2020, year);
    EXPECT_INT(1, local_iso_week(timestamp_days(2024, 12, 30), &year));
    EXPECT_INT(2025, year);
}

/* Every local time that the clock shows is read back as it was. */
static void test_round_trip(const void *arg)
{
    const char *why;
    char buf[LOCAL_TIME_SIZE];

    use_zone(arg);
    for (int64_t t = 1767225600; t < 1798761600; t += 1800) { /* 2026 */
        int64_t back = 0;

        REQUIRE_INT(0, local_parse(local_format(t, buf), &back, &why));
        if (back != t) /* the second one of a repeated hour */
            REQUIRE(back == t - 3600);
    }
}

/* ---- the grid ----------------------------------------------------------- */

/* An event of the week, from minutes since its Monday 00:00 UTC. */
static struct event at(int from, int to, const char *title)
{
    static uint32_t id;
    struct event ev = {.title = title};

    ev.id = ++id;
    ev.start = (int64_t)MONDAY * 86400 + from * 60;
    ev.end = (int64_t)MONDAY * 86400 + to * 60;
    ev.title_len = (uint8_t)strlen(title);
    return ev;
}

#define HM(day, hour, minute) ((day)*1440 + (hour)*60 + (minute))

/* The grid as one string, the caller's. */
static char *draw(const struct event *ev, size_t count, int width, bool fancy)
{
    struct week_opts o = {.monday = MONDAY,
                          .today = MONDAY + 2,
                          .width = width,
                          .unicode = fancy,
                          .colour = fancy};
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    REQUIRE(f != NULL);
    REQUIRE_INT(0, week_print(f, ev, count, &o));
    REQUIRE_INT(0, fclose(f));
    return text;
}

/* Columns of a line up to its end, without colours. */
static int columns(const char *s)
{
    mbstate_t state = {0};
    int width = 0;

    while (*s && *s != '\n') {
        wchar_t c;
        size_t n;

        if (*s == '\033') {
            s += strcspn(s, "m") + 1;
            continue;
        }
        n = mbrtowc(&c, s, strlen(s), &state);
        REQUIRE(n <= 4);
        width += wcwidth(c);
        s += n;
    }
    return width;
}

static void expect_narrow(const char *text, int width)
{
    for (; *text; text = strchr(text, '\n') + 1)
        if (strncmp(text, "No room", 7) == 0) /* then come whole titles */
            break;
        else
            EXPECT(columns(text) <= width);
}

/* The n-th line, as a copy in buf. */
static const char *line_of(const char *text, int n, char *buf, size_t cap)
{
    size_t len;

    for (; n > 0 && strchr(text, '\n'); n--)
        text = strchr(text, '\n') + 1;
    len = strcspn(text, "\n");
    REQUIRE(len < cap);
    memcpy(buf, text, len);
    buf[len] = '\0';
    return buf;
}

static void test_whole(const void *arg)
{
    static const char want[] =
        "Week 10: 2 to 8 March 2026, UTC\n"
        "       Mon 2   Tue 3   *Wed 4  Thu 5   Fri 6   Sa 7   Su 8\n"
        "08:00 +       +       +       +       +       +      +\n"
        "      |       |       |       |       |       |      |\n"
        "09:00 /Pipes  +       +       +       +       +      +\n"
        "      [09:00- |       |       |       |       |      |\n"
        "10:00 \\and    +       +       +       +       +      +\n"
        "      |       |       |       |       |       |      |\n";
    const struct event ev[] = {
        at(HM(0, 9, 0), HM(0, 10, 30), "Pipes 09:00- and")};
    char *text;

    (void)arg;
    use_zone("UTC0");
    text = draw(ev, 1, 60, false);
    EXPECT(!strncmp(want, text, sizeof want - 1));
    if (strncmp(want, text, sizeof want - 1) != 0)
        puts(text);
    EXPECT(strstr(text, "\n17:00 ") && !strstr(text, "\n18:00 "));
    free(text);
}

static void test_overlap(const void *arg)
{
    const struct event ev[] = {
        at(HM(0, 9, 0), HM(0, 11, 0), "aa"),
        at(HM(0, 10, 0), HM(0, 12, 0), "bb"),
        at(HM(0, 11, 0), HM(0, 12, 0), "cc"), /* touches aa: its lane again */
        at(HM(1, 9, 0), HM(1, 10, 0), "dd"),
        at(HM(1, 10, 0), HM(1, 11, 0), "ee"), /* touches dd: not beside it */
    };
    char buf[200], *text;

    (void)arg;
    use_zone("UTC0");
    text = draw(ev, LEN(ev), 80, false);
    line_of(text, 4, buf, sizeof buf);
    buf[21] = '\0';
    EXPECT_STR("09:00 /aa         /dd", buf);
    line_of(text, 6, buf, sizeof buf);
    buf[21] = '\0';
    EXPECT_STR("10:00 [     /bb   /ee", buf);
    line_of(text, 8, buf, sizeof buf);
    buf[18] = '\0';
    EXPECT_STR("11:00 /cc   [     ", buf);
    free(text);
}

static void test_midnight(const void *arg)
{
    const struct event ev[] = {at(HM(1, 22, 0), HM(2, 1, 0), "night")};
    char buf[200], *text;

    (void)arg;
    use_zone("UTC0");
    text = draw(ev, 1, 100, false);
    line_of(text, 2, buf, sizeof buf);
    EXPECT(!strncmp(buf, "00:00 +", 7) && strstr(buf, "[night"));
    line_of(text, 4, buf, sizeof buf);
    EXPECT_STR("  ...", buf); /* hours in which nothing happens */
    EXPECT(strstr(text, "\n08:00 ") && !strstr(text, "\n20:00 "));
    EXPECT(strstr(text, "22:00 +               /night"));
    EXPECT(strstr(text, "22:00-01:00"));
    free(text);
}

/* A row of Korean must put the day lines where a row of Latin puts them. */
static void test_wide(const void *arg)
{
    const struct event ev[] = {
        at(HM(0, 9, 0), HM(0, 10, 30), "운영체제 강의 (프로세스)"),
        at(HM(1, 9, 0), HM(1, 10, 0), "자료구조"),
        at(HM(1, 9, 30), HM(1, 10, 30), "会議 with 田中さん"),
        at(HM(2, 9, 0), HM(2, 10, 0), "e\xcc\x81tude cafe\xcc\x81"),
        at(HM(3, 9, 0), HM(3, 10, 0), "\xf0\x9f\x8e\x89 party"),
        at(HM(6, 9, 0), HM(6, 9, 30), "x"),
    };

    (void)arg;
    use_zone("UTC0");
    for (int width = WEEK_WIDTH_MIN; width <= 160; width++) {
        char buf[2000], *text = draw(ev, LEN(ev), width, false);
        const char *x;
        int want;

        expect_narrow(text, width);
        x = strrchr(line_of(text, 2, buf, sizeof buf), '+');
        want = (int)(x - buf);
        x = strrchr(line_of(text, 4, buf, sizeof buf), '[');
        REQUIRE(x != NULL);
        EXPECT_INT(want, columns(buf) - columns(x));
        x = strrchr(line_of(text, 5, buf, sizeof buf), '|');
        REQUIRE(x != NULL);
        EXPECT_INT(want, columns(buf) - columns(x));
        free(text);
    }
}

static void test_plain(const void *arg)
{
    const struct event ev[] = {at(HM(2, 9, 0), HM(2, 12, 0), "one")};
    char *text;

    (void)arg;
    use_zone("UTC0");
    text = draw(ev, 1, 80, false);
    for (const char *s = text; *s; s++)
        REQUIRE(*s == '\n' || (*s >= ' ' && *s <= '~'));
    EXPECT(strstr(text, "*Wed 4"));
    EXPECT(!strstr(text, " \n"));
    free(text);
    text = draw(ev, 1, 80, true);
    EXPECT(strstr(text, "\033["));
    EXPECT(strstr(text, "\xe2\x94\x8fone"));
    EXPECT(!strstr(text, "*Wed"));
    expect_narrow(text, 80);
    free(text);
}

static void test_crowded(const void *arg)
{
    struct event ev[12];
    char *text;

    (void)arg;
    use_zone("UTC0");
    for (size_t i = 0; i < LEN(ev); i++) {
        static const char names[] = "a\0b\0c\0d\0e\0f\0g\0h\0i\0j\0k\0l";

        ev[i] = at(HM(0, 9, 0), HM(0, 10, 0), names + 2 * i);
    }
    text = draw(ev, LEN(ev), 80, false);
    expect_narrow(text, 80);
    EXPECT(strstr(text, "/a  /b  /c"));
    EXPECT(strstr(text, "No room in the grid for:"));
    EXPECT(strstr(text, "2026-03-02 09:00 to 2026-03-02 10:00  l\n"));
    EXPECT(!strstr(text, "10:00  a\n"));
    free(text);
}

/* In the night in which clocks go back an event can end before it begins, as
 * the clock shows it. */
static void test_clock_back(const void *arg)
{
    const struct event ev = {.id = 1,
                             .title = "odd",
                             .start = 1792888200, /* 02:30 for the first time */
                             .end = 1792890900};  /* 02:15 for the second */
    struct week_opts o = {.monday = timestamp_days(2026, 10, 19), .width = 80};
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    (void)arg;
    use_zone(BERLIN);
    REQUIRE(f != NULL);
    EXPECT_INT(0, week_print(f, &ev, 1, &o));
    fclose(f);
    EXPECT(strstr(text, "02:00"));
    EXPECT(strstr(text, "[odd"));
    free(text);
}

/* ... and over midnight: then it seems to end on the day before. */
static void test_back_over_midnight(const void *arg)
{
    int64_t day = timestamp_days(2010, 11, 7);
    const struct event ev = {.id = 1,
                             .title = "odd",
                             .start = day * 86400 + 9030, /* 00:00:30 */
                             .end = day * 86400 + 10800}; /* 23:30 */
    struct week_opts o = {.monday = day - 6, .width = 120};
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    (void)arg;
    use_zone("NST3:30NDT,M3.2.0/0:01,M11.1.0/0:01");
    REQUIRE(f != NULL);
    EXPECT_INT(0, week_print(f, &ev, 1, &o));
    fclose(f);
    EXPECT(strstr(text, "/odd"));  /* at the end of one day */
    EXPECT(strstr(text, "\\odd")); /* at the beginning of the next */
    free(text);
}

/* More than a thousand times what has room takes no more than its time. */
static void test_many(const void *arg)
{
    const size_t count = 100000;
    struct event *ev = calloc(count, sizeof *ev);
    const char *line;
    size_t lines = 0;
    char *text;

    (void)arg;
    REQUIRE(ev != NULL);
    use_zone("UTC0");
    for (size_t i = 0; i < count; i++)
        ev[i] = at(HM(0, 9, 0), HM(0, 10, 0), "x");
    text = draw(ev, count, 80, false);
    line = strstr(text, "No room in the grid for:\n");
    REQUIRE(line != NULL);
    while ((line = strchr(line, '\n') + 1), *line)
        lines++;
    EXPECT(lines >= count - 3 && lines < count);
    free(text);
    free(ev);
}

/* Whatever the events are: no line too long, nothing lost, nothing broken. */
static void test_random(const void *arg)
{
    static const char *const titles[] = {
        "a",          "Lecture 7",          "실습: 프로세스",
        "\xcc\x81",   "bad \xff\xfe bytes", "\xe2\x80\xae turned",
        "-----------"};
    unsigned seed = 7;

    (void)arg;
    use_zone(BERLIN);
    for (int round = 0; round < 300; round++) {
        struct event ev[40];
        size_t count = (size_t)(round % 41);
        char *text;

        for (size_t i = 0; i < count; i++) {
            int from, length;

            seed = seed * 1103515245u + 12345u;
            from = (int)(seed >> 8) % (9 * 1440) - 1440;
            length = 1 + (int)(seed >> 20) % (seed & 64 ? 5000 : 200);
            ev[i] = at(from, from + length, titles[(seed >> 4) % LEN(titles)]);
        }
        text = draw(ev, count, 20 + round, round % 2);
        if (!strstr(text, "\xff"))
            expect_narrow(text, 20 + round < WEEK_WIDTH_MIN ? WEEK_WIDTH_MIN
                                                            : 20 + round);
        free(text);
    }
}

static void test_fit(const void *arg)
{
    char buf[64];

    (void)arg;
    EXPECT_STR("abc  ", week_fit("abc", 5, false, buf, sizeof buf));
    EXPECT_STR("abcd~", week_fit("abcdef", 5, false, buf, sizeof buf));
    EXPECT_STR("abcde", week_fit("abcde", 5, false, buf, sizeof buf));
    EXPECT_STR("운영~", week_fit("운영체제", 5, false, buf, sizeof buf));
    EXPECT_STR("운~ ", week_fit("운영체제", 4, false, buf, sizeof buf));
    EXPECT_STR("", week_fit("", 0, true, buf, sizeof buf));
}

/* ---- the list ----------------------------------------------------------- */

static const struct test_case cases[] = {
    {"local/parse", test_parse, NULL, 0},
    {"local/parse-bad", test_parse_bad, NULL, 0},
    {"local/dst", test_dst, NULL, 0},
    {"local/day-start", test_day_start, NULL, 0},
    {"local/format", test_format, NULL, 0},
    {"local/round-trip-berlin", test_round_trip, BERLIN, 0},
    {"local/round-trip-seoul", test_round_trip, SEOUL, 0},
    {"local/round-trip-brasilia", test_round_trip, BRASILIA, 0},
    {"week/whole", test_whole, NULL, 0},
    {"week/overlap", test_overlap, NULL, 0},
    {"week/midnight", test_midnight, NULL, 0},
    {"week/wide", test_wide, NULL, 0},
    {"week/plain", test_plain, NULL, 0},
    {"week/crowded", test_crowded, NULL, 0},
    {"week/clock-back", test_clock_back, NULL, 0},
    {"week/back-over-midnight", test_back_over_midnight, NULL, 0},
    {"week/many", test_many, NULL, 6},
    {"week/random", test_random, NULL, 90},
    {"week/fit", test_fit, NULL, 0},
};

int main(int argc, char **argv)
{
    static const struct test_suite suite = {"week", cases, LEN(cases), NULL};

    setlocale(LC_CTYPE, "C.UTF-8");
    return harness_main(argc, argv, &suite);
}

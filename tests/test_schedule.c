/*
 * test_schedule.c - the timetable in memory against a naive one, and the
 * arithmetic below it: dates, checksums, UTF-8
 */
#include "crc32.h"
#include "harness.h"
#include "random.h"
#include "schedule.h"
#include "timestamp.h"

#include <errno.h>
#include <string.h>

/* ---- the naive timetable ------------------------------------------------ */

#define NAIVE_IDS 400

static struct event naive[NAIVE_IDS + 1]; /* by id; start == end: free */

static uint64_t random_below(uint64_t n)
{
    static uint64_t state = RANDOM_SEED;

    return random_next(&state) % n;
}

static bool naive_has(uint32_t id)
{
    return naive[id].start < naive[id].end;
}

/* Lasts 1 s, minutes, hours, or any time up to the whole calendar. */
static void random_event(struct event *ev)
{
    static const int64_t longest[] = {1, 60, 3600, 5400, 86400, 31536000};
    uint64_t kind = random_below(8);

    ev->title = "abc";
    ev->title_len = (uint8_t)(1 + random_below(3));
    ev->start = (int64_t)random_below(200000);
    if (kind < 6) {
        ev->end =
            ev->start + 1 + (int64_t)random_below((uint64_t)longest[kind]);
    } else {
        ev->start -= (int64_t)random_below(62135596800);
        ev->end = 1 + (int64_t)random_below(EVENT_TIME_MAX);
        if (ev->end <= ev->start)
            ev->end = ev->start + 1;
    }
}

/* The hit that follows (start, id) in order, or NULL. */
static const struct event *naive_next(int64_t from, int64_t to, int64_t start,
                                      uint32_t id)
{
    const struct event *best = NULL;

    for (uint32_t i = 1; i <= NAIVE_IDS; i++) {
        const struct event *e = &naive[i];
        if (!naive_has(i) || e->start >= to || e->end <= from)
            continue;
        if (e->start < start || (e->start == start && e->id <= id))
            continue;
        if (best == NULL || e->start < best->start)
            best = e; /* the lower id first: we go up */
    }
    return best;
}

/* Walks beside the naive timetable. */
struct beside {
    int64_t from, to;
    struct schedule_cursor at; /* the last hit */
    size_t left;               /* of this page */
    size_t hits;
};

static bool compare_hit(const struct event *ev, void *arg)
{
    struct beside *b = arg;
    const struct event *e = naive_next(b->from, b->to, b->at.start, b->at.id);

    REQUIRE(e != NULL);
    REQUIRE_INT(e->id, ev->id);
    REQUIRE_INT(e->start, ev->start);
    REQUIRE_INT(e->end, ev->end);
    b->at = (struct schedule_cursor){.start = ev->start, .id = ev->id};
    b->hits++;
    return --b->left > 0;
}

/* The whole range in pages of `page` hits. */
static size_t check_range(const struct schedule *s, int64_t from, int64_t to,
                          size_t page)
{
    struct beside b = {.from = from, .to = to, .at = {.start = INT64_MIN}};
    bool first = true;

    do {
        struct schedule_cursor after = b.at;
        b.left = page;
        schedule_walk(s, from, to, first ? NULL : &after, compare_hit, &b);
        first = false;
    } while (b.left == 0); /* a full page: there may be more */
    if (from < to)
        REQUIRE(naive_next(from, to, b.at.start, b.at.id) == NULL);
    return b.hits;
}

static void random_step(struct schedule *s)
{
    uint32_t id = 1 + (uint32_t)random_below(NAIVE_IDS);

    if (random_below(3) == 0) {
        REQUIRE_INT(naive_has(id) ? 0 : -ENOENT, schedule_remove(s, id));
        naive[id] = (struct event){0};
    } else {
        struct event ev = {.id = id, .rev = random_below(1000)};
        random_event(&ev);
        REQUIRE_INT(0, schedule_put(s, &ev));
        naive[id] = ev;
    }
}

static void check_ids(const struct schedule *s)
{
    size_t count = 0;

    for (uint32_t id = 1; id <= NAIVE_IDS; id++) {
        const struct event *ev = schedule_get(s, id);
        REQUIRE((ev != NULL) == naive_has(id));
        if (ev == NULL)
            continue;
        count++;
        REQUIRE(ev->id == id && ev->rev == naive[id].rev);
        REQUIRE_INT(naive[id].title_len, (int)strlen(ev->title));
    }
    REQUIRE_INT((int)count, (int)schedule_count(s));
}

static void test_random(const void *arg)
{
    struct schedule *s = schedule_new();
    size_t hits = 0;

    (void)arg;
    REQUIRE(s != NULL);
    for (int step = 0; step < 6000; step++) {
        random_step(s);
        if (step % 20 != 0)
            continue;
        int64_t from = (int64_t)random_below(220000) - 10000;
        int64_t width = 1 + (int64_t)random_below(step % 40 == 0 ? 2 : 90000);
        hits += check_range(s, from, from + width, 1 + random_below(7));
    }
    check_ids(s);
    EXPECT(hits > 1000); /* or it compared nothing */
    EXPECT(check_range(s, INT64_MIN, INT64_MAX, SIZE_MAX) == schedule_count(s));
    EXPECT(check_range(s, INT64_MIN, EVENT_TIME_MIN, 5) == 0);
    EXPECT(check_range(s, EVENT_TIME_MAX, INT64_MAX, 5) == 0);
    EXPECT(check_range(s, 5000, 5000, 5) == 0);
    EXPECT(check_range(s, INT64_MAX, INT64_MIN, 5) == 0);
    schedule_free(s);
}

/* ---- borders ------------------------------------------------------------ */

static bool count_hit(const struct event *ev, void *arg)
{
    (void)ev;
    ++*(int *)arg;
    return true;
}

static int hits_in(const struct schedule *s, int64_t from, int64_t to)
{
    int hits = 0;

    schedule_walk(s, from, to, NULL, count_hit, &hits);
    return hits;
}

/* For each class its shortest and its longest event, one second at a time
 * around both of its ends. */
static void test_borders(const void *arg)
{
    (void)arg;
    for (int k = 0; k <= 38; k++) {
        for (int longest = 0; longest < 2; longest++) {
            int64_t d = longest ? ((int64_t)2 << k) - 1 : (int64_t)1 << k;
            if (k == 38 && longest)
                d = EVENT_TIME_MAX - EVENT_TIME_MIN;
            struct event ev = {.id = 1, .title = "x", .title_len = 1};
            ev.start = EVENT_TIME_MIN;
            ev.end = ev.start + d;
            struct schedule *s = schedule_new();
            REQUIRE(s != NULL);
            REQUIRE_INT(0, schedule_put(s, &ev));
            EXPECT_INT(0, hits_in(s, ev.start - 1, ev.start));
            EXPECT_INT(1, hits_in(s, ev.start - 1, ev.start + 1));
            EXPECT_INT(1, hits_in(s, ev.start, ev.start + 1));
            EXPECT_INT(1, hits_in(s, ev.end - 1, ev.end));
            EXPECT_INT(1, hits_in(s, ev.end - 1, INT64_MAX));
            EXPECT_INT(0, hits_in(s, ev.end, ev.end + 1));
            schedule_free(s);
        }
    }
}

static void test_refusals(const void *arg)
{
    struct schedule *s = schedule_new();
    struct event good = {.id = 3, .title = "ab", .title_len = 2, .end = 1};
    struct event ev = good;

    (void)arg;
    REQUIRE(s != NULL);
    EXPECT_INT(1, schedule_next_id(s));
    EXPECT_INT(0, schedule_put(s, &good));
    EXPECT_INT(4, schedule_next_id(s));
    EXPECT(schedule_get(s, 0) == NULL && schedule_get(s, 2) == NULL);
    EXPECT(schedule_get(s, UINT32_MAX) == NULL);

    ev.id = 0;
    EXPECT_INT(-EINVAL, schedule_put(s, &ev));
    ev.id = EVENT_COUNT_MAX + 1;
    EXPECT_INT(-ENOSPC, schedule_put(s, &ev));
    ev = good;
    ev.end = ev.start;
    EXPECT_INT(-EDOM, schedule_put(s, &ev));
    ev = good;
    ev.title = "\n!";
    EXPECT_INT(-EILSEQ, schedule_put(s, &ev));
    EXPECT_STR("ab", schedule_get(s, 3)->title); /* as it was */
    EXPECT_INT(-ENOENT, schedule_remove(s, 0));
    EXPECT_INT(-ENOENT, schedule_remove(s, UINT32_MAX));

    EXPECT_INT(0, schedule_remove(s, 3));
    EXPECT_INT(4, schedule_next_id(s)); /* ids don't come back */
    schedule_reserve(s, 100);
    schedule_reserve(s, 50);
    EXPECT_INT(100, schedule_next_id(s));
    schedule_reserve(s, UINT32_MAX);
    EXPECT_INT(EVENT_COUNT_MAX + 1, schedule_next_id(s));
    schedule_free(s);
    schedule_free(NULL);
}

/* An event may be put in again from the schedule's own copy. */
static void test_own_copy(const void *arg)
{
    struct schedule *s = schedule_new();
    struct event ev = {.id = 7, .title = "title", .title_len = 5, .end = 10};

    (void)arg;
    REQUIRE(s != NULL);
    EXPECT_INT(0, schedule_put(s, &ev));
    ev = *schedule_get(s, 7);
    ev.start = 5;
    EXPECT_INT(0, schedule_prepare(s, &ev));
    EXPECT_INT(0, schedule_get(s, 7)->start); /* nothing has changed yet */
    EXPECT_INT(0, schedule_put(s, &ev));
    EXPECT_INT(0, schedule_put(s, schedule_get(s, 7)));
    EXPECT_STR("title", schedule_get(s, 7)->title);
    EXPECT_INT(5, schedule_get(s, 7)->start);
    EXPECT_INT(1, (int)schedule_count(s));
    EXPECT_INT(0, hits_in(s, 0, 5));

    /* What was prepared for a short title and not used isn't taken for a
     * longer one (the address sanitizer would see it). */
    ev = (struct event){.id = 8, .title = "x", .title_len = 1, .end = 1};
    EXPECT_INT(0, schedule_prepare(s, &ev));
    ev.title = "longer";
    ev.title_len = 6;
    EXPECT_INT(0, schedule_put(s, &ev));
    EXPECT_STR("longer", schedule_get(s, 8)->title);
    schedule_free(s);
}

/* 200,000 lessons and one of 20 years: a day costs the day. */
static void test_many(const void *arg)
{
    struct schedule *s = schedule_new();
    struct event ev = {.id = 200001, .title = "x", .title_len = 1};

    (void)arg;
    REQUIRE(s != NULL);
    ev.end = 631152000;
    REQUIRE_INT(0, schedule_put(s, &ev));
    for (uint32_t i = 0; i < 200000; i++) {
        ev.id = i + 1;
        ev.start = (int64_t)i * 450; /* 192 begin each day */
        ev.end = ev.start + 900;
        REQUIRE_INT(0, schedule_put(s, &ev));
    }
    /* The lesson that is on at midnight, those that begin, and the long one. */
    EXPECT_INT(1 + 192 + 1, hits_in(s, 86400, 2 * 86400));
    EXPECT_INT(200001, hits_in(s, INT64_MIN, INT64_MAX));
    schedule_free(s);
}

/* ---- titles and times --------------------------------------------------- */

static void test_titles(const void *arg)
{
    static const struct {
        const char *title;
        int want;
    } table[] = {
        {"", -EILSEQ},
        {"a", 0},
        {" ", 0},
        {"\"\\/", 0},
        {"a\tb", -EILSEQ},
        {"\x1f", -EILSEQ},
        {"\x7e", 0},
        {"\x7f", -EILSEQ},
        {"\xc2\x80", -EILSEQ}, /* U+0080 */
        {"\xc2\x9f", -EILSEQ}, /* U+009F */
        {"\xc2\xa0", 0},
        {"\xea\xb0\x95\xec\x9d\x98", 0}, /* Hangul */
        {"\xf0\x9f\x93\x85", 0},         /* U+1F4C5 */
        {"\xf4\x8f\xbf\xbf", 0},         /* U+10FFFF */
        {"\xf4\x90\x80\x80", -EILSEQ},   /* beyond */
        {"\xed\x9f\xbf", 0},
        {"\xed\xa0\x80", -EILSEQ}, /* surrogate */
        {"\xee\x80\x80", 0},
        {"\xc0\xaf", -EILSEQ}, /* over-long '/' */
        {"\xc1\xbf", -EILSEQ},
        {"\xe0\x80\xaf", -EILSEQ},
        {"\xe0\x9f\xbf", -EILSEQ},
        {"\xf0\x8f\xbf\xbf", -EILSEQ},
        {"\x80", -EILSEQ},
        {"\xc3", -EILSEQ}, /* cut off */
        {"\xe2\x82", -EILSEQ},
        {"\xf0\x9f\x93", -EILSEQ},
        {"\xc3(", -EILSEQ},
        {"\xf8\x88\x80\x80\x80", -EILSEQ},
        {"\xff", -EILSEQ},
    };
    char longest[EVENT_TITLE_MAX + 1];

    (void)arg;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const char *t = table[i].title;
        harness_int(table[i].want, event_title_check(t, strlen(t)), false,
                    __FILE__, __LINE__, t);
    }
    EXPECT_INT(-EILSEQ, event_title_check("a\0b", 3));
    EXPECT(event_title_blank(" ", 1));
    EXPECT(event_title_blank(" \xc2\xa0\xe3\x80\x80\xe2\x80\x8a", 9));
    EXPECT(!event_title_blank(" a", 2) && !event_title_blank("a ", 2));
    EXPECT(!event_title_blank("\xe2\x80\x94", 3)); /* a dash */
    EXPECT(!event_title_blank(" \xff", 2));
    memset(longest, 'x', sizeof longest);
    EXPECT_INT(0, event_title_check(longest, EVENT_TITLE_MAX));
    EXPECT_INT(-EILSEQ, event_title_check(longest, EVENT_TITLE_MAX + 1));
}

static void test_times(const void *arg)
{
    (void)arg;
    EXPECT_INT(0, event_times_check(EVENT_TIME_MIN, EVENT_TIME_MAX));
    EXPECT_INT(0, event_times_check(-1, 0));
    EXPECT_INT(-EDOM, event_times_check(0, 0));
    EXPECT_INT(-EDOM, event_times_check(1, 0));
    EXPECT_INT(-EDOM, event_times_check(EVENT_TIME_MIN - 1, 0));
    EXPECT_INT(-EDOM, event_times_check(0, EVENT_TIME_MAX + 1));
    EXPECT_INT(-EDOM, event_times_check(INT64_MIN, INT64_MAX));
}

/* ---- dates -------------------------------------------------------------- */

/* Is `got` this day, and does its last second come back from its text? */
static bool same_day(int64_t days, int64_t got)
{
    int64_t last = days * 86400 + 86399, back = 0;
    char text[TIMESTAMP_SIZE];

    return got == days &&
           timestamp_parse(timestamp_format(last, text), &back) == 0 &&
           back == last;
}

/* Day after day through all 9,999 years, counted by hand. */
static void test_every_day(const void *arg)
{
    int64_t days = EVENT_TIME_MIN / 86400;

    (void)arg;
    for (int y = 1; y <= 9999; y++) {
        bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
        REQUIRE_INT(leap ? 29 : 28, timestamp_month_days(y, 2));
        for (int m = 1; m <= 12; m++) {
            for (int d = 1; d <= timestamp_month_days(y, m); d++) {
                REQUIRE(same_day(days, timestamp_days(y, m, d)));
                days++;
            }
        }
    }
    EXPECT_INT(EVENT_TIME_MAX / 86400 + 1, days);
}

static void test_dates(const void *arg)
{
    static const struct {
        const char *text;
        int64_t t;
    } table[] = {
        {"0001-01-01T00:00:00Z", EVENT_TIME_MIN},
        {"9999-12-31T23:59:59Z", EVENT_TIME_MAX},
        {"1970-01-01T00:00:00Z", 0},
        {"1969-12-31T23:59:59Z", -1},
        {"2000-02-29T12:34:56Z", 951827696},
        {"2024-02-29T23:59:59Z", 1709251199},
        {"2024-03-01T00:00:00Z", 1709251200},
        {"1900-02-28T23:59:59Z", -2203891201},
        {"1900-03-01T00:00:00Z", -2203891200},
        {"2038-01-19T03:14:08Z", 2147483648},
        {"2026-11-23T00:00:00Z", 1795392000},
    };
    char text[TIMESTAMP_SIZE];

    (void)arg;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        int64_t t = 42;
        EXPECT_STR(table[i].text, timestamp_format(table[i].t, text));
        EXPECT_INT(0, timestamp_parse(table[i].text, &t));
        EXPECT_INT(table[i].t, t);
    }
}

static void test_bad_dates(const void *arg)
{
    static const char *const table[] = {
        "",
        "2026",
        "2026-11-23",
        "2026-11-23T00:00:00",
        "2026-11-23T00:00:00Z ",
        "2026-11-23T00:00:00ZZ",
        "2026-11-23T00:00:00z",
        "2026-11-23 00:00:00Z",
        "2026-11-23T00:00:00+00:00",
        "2026-1-23T00:00:00Z",
        "+026-11-23T00:00:00Z",
        "0000-12-31T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-11-00T00:00:00Z",
        "2026-11-31T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2024-02-30T00:00:00Z",
        "2026-11-23T24:00:00Z",
        "2026-11-23T00:60:00Z",
        "2016-12-31T23:59:60Z",
        "2026-11-23T00:00:0:Z",
        "2026-11-23T00:00:0/Z",
    };

    (void)arg;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        int64_t t = 42;
        harness_int(-EINVAL, timestamp_parse(table[i], &t), false, __FILE__,
                    __LINE__, table[i]);
        EXPECT_INT(42, t);
    }
}

/* ---- checksums ---------------------------------------------------------- */

/* Straight from the definition, bit by bit. */
static uint32_t crc_by_bits(const uint8_t *p, size_t len)
{
    uint32_t crc = 0xffffffffu;

    for (size_t i = 0; i < len; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320u : 0);
    }
    return ~crc;
}

static void test_crc(const void *arg)
{
    uint8_t bytes[80];

    (void)arg;
    EXPECT_INT(0, crc32_of("", 0));
    EXPECT_INT(0xcbf43926, crc32_of("123456789", 9));
    EXPECT_INT(0x414fa339,
               crc32_of("The quick brown fox jumps over the lazy dog", 43));
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)random_below(256);
    for (size_t at = 0; at < 9; at++) {
        for (size_t len = 0; at + len <= sizeof bytes; len++)
            EXPECT_INT(crc_by_bits(bytes + at, len), crc32_of(bytes + at, len));
    }
}

static const struct test_case cases[] = {
    {.name = "random", .run = test_random, .seconds = 60},
    {.name = "borders", .run = test_borders},
    {.name = "refusals", .run = test_refusals},
    {.name = "own-copy", .run = test_own_copy},
    {.name = "many", .run = test_many, .seconds = 60},
    {.name = "titles", .run = test_titles},
    {.name = "times", .run = test_times},
    {.name = "timestamp/every-day", .run = test_every_day, .seconds = 60},
    {.name = "timestamp/known", .run = test_dates},
    {.name = "timestamp/bad", .run = test_bad_dates},
    {.name = "crc32", .run = test_crc},
};

int main(int argc, char **argv)
{
    const struct test_suite suite = {.name = "schedule",
                                     .cases = cases,
                                     .count = sizeof cases / sizeof *cases};

    return harness_main(argc, argv, &suite);
}

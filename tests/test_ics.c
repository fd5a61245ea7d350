/*
 * test_ics.c - calendars: what becomes of them, what is refused, and back
 *
 * The local zone is given as a POSIX rule and "now" is fixed, so results don't
 * depend on the machine. Zones by name need /usr/share/zoneinfo, another
 * reader's opinion needs Python with icalendar and dateutil: without them those
 * cases are skipped.
 *
 * It needs _DEFAULT_SOURCE for random and realpath.
 */
#define _DEFAULT_SOURCE
#include "harness.h"
#include "ics.h"
#include "timestamp.h"
#include "utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LEN(a) (sizeof(a) / sizeof *(a))
#define BERLIN "CET-1CEST,M3.5.0,M10.5.0/3"
#define NOW    1795348800 /* 2026-11-22T12:00:00Z */

#define HEAD "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\n"
#define TAIL "END:VCALENDAR\r\n"

/* ---- reading a text ----------------------------------------------------- */

static const struct ics_opts all = {NOW, EVENT_TIME_MIN, EVENT_TIME_MAX};

static char why[400];

static void use_zone(const char *zone)
{
    REQUIRE_INT(0, setenv("TZ", zone, 1));
    tzset();
}

static int parse(struct exchange *x, const char *text,
                 const struct ics_opts *opts)
{
    why[0] = '\0';
    return ics_parse(x, text, strlen(text), opts, why, sizeof why);
}

/* "A 2026-11-23T08:00:00Z 2026-11-23T09:00:00Z\n..." in out[4096]. */
static void show(const struct exchange *x, char *out)
{
    size_t len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < x->count && len < 3900; i++) {
        char start[TIMESTAMP_SIZE], end[TIMESTAMP_SIZE];

        len += (size_t)snprintf(out + len, 4096 - len, "%.60s %s %s\n",
                                x->events[i].title,
                                timestamp_format(x->events[i].start, start),
                                timestamp_format(x->events[i].end, end));
    }
}

/* ---- what becomes of what ----------------------------------------------- */

struct reading {
    const char *name;
    const char *lines; /* of one VEVENT, or from BEGIN on */
    const char *events;
    const char *notes;
    bool zones; /* needs zone files */
};

#define EV(lines) "BEGIN:VEVENT\r\nUID:u@x\r\n" lines "END:VEVENT\r\n"

/* Half a year of CET and CEST under a name of its own. */
#define ZONE                                                                   \
    "BEGIN:VTIMEZONE\r\nTZID:Office Clock\r\nBEGIN:STANDARD\r\n"               \
    "DTSTART:16010101T030000\r\nTZOFFSETFROM:+0200\r\nTZOFFSETTO:+0100\r\n"    \
    "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10\r\nEND:STANDARD\r\n"              \
    "BEGIN:DAYLIGHT\r\nDTSTART:16010101T020000\r\nTZOFFSETFROM:+0100\r\n"      \
    "TZOFFSETTO:+0200\r\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3\r\n"           \
    "END:DAYLIGHT\r\nEND:VTIMEZONE\r\n"

/* The same with dates instead of rules. */
#define ZONE_WITH(change)                                                      \
    "BEGIN:VTIMEZONE\r\nTZID:Plain\r\nBEGIN:STANDARD\r\n"                      \
    "DTSTART:20251026T030000\r\nRDATE:20261025T030000," change "\r\n"          \
    "TZOFFSETFROM:+0200\r\nTZOFFSETTO:+0100\r\nEND:STANDARD\r\n"               \
    "BEGIN:DAYLIGHT\r\nDTSTART:20260329T020000\r\nTZOFFSETFROM:+0100\r\n"      \
    "TZOFFSETTO:+0200\r\nEND:DAYLIGHT\r\nEND:VTIMEZONE\r\n"
#define ZONE_DATES ZONE_WITH("20271031T030000")

static const struct reading readings[] = {
    {"utc",
     "SUMMARY:A\r\nDTSTART:20261123T090000Z\r\nDTEND:20261123T103000Z\r\n",
     "A 2026-11-23T09:00:00Z 2026-11-23T10:30:00Z\n", "", false},
    {"floating is local",
     "SUMMARY:A\r\nDTSTART:20260723T090000\r\nDTEND:20260723T103000\r\n",
     "A 2026-07-23T07:00:00Z 2026-07-23T08:30:00Z\n", "", false},
    {"whole days",
     "SUMMARY:A\r\nDTSTART;VALUE=DATE:20261025\r\nDTEND;VALUE=DATE:20261026"
     "\r\n",
     "A 2026-10-24T22:00:00Z 2026-10-25T23:00:00Z\n", "", false},
    {"whole day without end", "SUMMARY:A\r\nDTSTART;VALUE=DATE:20261123\r\n",
     "A 2026-11-22T23:00:00Z 2026-11-23T23:00:00Z\n", "", false},
    {"whole day, end = start",
     "SUMMARY:A\r\nDTSTART;VALUE=DATE:20261123\r\nDTEND;VALUE=DATE:20261123"
     "\r\n",
     "A 2026-11-22T23:00:00Z 2026-11-23T23:00:00Z\n",
     "end = start: made one day long: line 8\n", false},
    {"no end", "SUMMARY:A\r\nDTSTART:20261123T090000Z\r\n",
     "A 2026-11-23T09:00:00Z 2026-11-23T09:01:00Z\n",
     "no length: made one minute long: line 4\n", false},
    {"duration in seconds",
     "SUMMARY:A\r\nDTSTART:20261024T220000\r\nDURATION:PT24H30M\r\n",
     "A 2026-10-24T20:00:00Z 2026-10-25T20:30:00Z\n", "", false},
    {"duration in days",
     "SUMMARY:A\r\nDTSTART:20261024T220000\r\nDURATION:P1DT30M\r\n",
     "A 2026-10-24T20:00:00Z 2026-10-25T21:30:00Z\n", "", false},
    {"duration in weeks",
     "SUMMARY:A\r\nDTSTART;VALUE=DATE:20261019\r\nDURATION:P1W\r\n",
     "A 2026-10-18T22:00:00Z 2026-10-25T23:00:00Z\n", "", false},
    {"clocks skip it",
     "SUMMARY:A\r\nDTSTART:20260329T023000\r\nDTEND:20260329T040000\r\n",
     "A 2026-03-29T01:30:00Z 2026-03-29T02:00:00Z\n", "", false},
    {"clocks show it twice",
     "SUMMARY:A\r\nDTSTART:20261025T023000\r\nDTEND:20261025T040000\r\n",
     "A 2026-10-25T00:30:00Z 2026-10-25T03:00:00Z\n", "", false},
    {"a leap second",
     "SUMMARY:A\r\nDTSTART:20161231T235960Z\r\nDTEND:20170101T000000Z\r\n",
     "A 2016-12-31T23:59:59Z 2017-01-01T00:00:00Z\n", "", false},

    {"title escaped",
     "SUMMARY:a\\, b\\; c\\\\n\\N\r\nDTSTART:20261123T090000Z\r\nDURATION:PT1H"
     "\r\n",
     "a, b; c\\n  2026-11-23T09:00:00Z 2026-11-23T10:00:00Z\n",
     "line end or control character of a title made a space: line 6\n", false},
    {"title folded inside a character",
     "SUMMARY:na\xc3\r\n \xaf"
     "ve\r\nDTSTART:20261123T090000Z\r\nDURATION:PT1H"
     "\r\n",
     "na\xc3\xafve 2026-11-23T09:00:00Z 2026-11-23T10:00:00Z\n", "", false},
    {"no title", "DTSTART:20261123T090000Z\r\nDURATION:PT1H\r\n",
     "(untitled) 2026-11-23T09:00:00Z 2026-11-23T10:00:00Z\n",
     "no SUMMARY: called \"(untitled)\": line 4\n", false},
    {"blank title",
     "SUMMARY:  \r\nDTSTART:20261123T090000Z\r\nDURATION:PT1H\r\n",
     "(untitled) 2026-11-23T09:00:00Z 2026-11-23T10:00:00Z\n",
     "no SUMMARY: called \"(untitled)\": line 6\n", false},
    {"names in any case",
     "summary;language=de:A\r\ndtstart;value=date:20261123\r\n",
     "A 2026-11-22T23:00:00Z 2026-11-23T23:00:00Z\n", "", false},
    {"cancelled",
     "SUMMARY:A\r\nSTATUS:CANCELLED\r\nDTSTART:20261123T090000Z\r\n"
     "DURATION:PT1H\r\n",
     "", "cancelled event left out: line 4\n", false},
    {"left out",
     "SUMMARY:A\r\nDTSTART:20261123T090000Z\r\nDURATION:PT1H\r\nLOCATION:here"
     "\r\nATTENDEE;CN=\"x:y;z\":mailto:a@b\r\nX-A:1\r\nX-B:2\r\nDTSTAMP:now\r\n"
     "BEGIN:VALARM\r\nTRIGGER:-PT5M\r\nEND:VALARM\r\nSTATUS:TENTATIVE\r\n",
     "A 2026-11-23T09:00:00Z 2026-11-23T10:00:00Z\n",
     "LOCATION left out: line 9\nATTENDEE left out: line 10\n"
     "X-... left out: 2 times, first in line 11\nVALARM left out: line 14\n"
     "STATUS left out: line 17\n",
     false},

    {"weekly, through a change of the clocks",
     "SUMMARY:A\r\nDTSTART:20261019T090000\r\nDTEND:20261019T100000\r\n"
     "RRULE:FREQ=WEEKLY;COUNT=2\r\n",
     "A 2026-10-19T07:00:00Z 2026-10-19T08:00:00Z\n"
     "A 2026-10-26T08:00:00Z 2026-10-26T09:00:00Z\n",
     "", false},
    {"weekly on two days, every other week from Sunday on",
     "SUMMARY:A\r\nDTSTART:20261101T090000Z\r\nDURATION:PT1H\r\n"
     "RRULE:FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYDAY=SU,TU;COUNT=4\r\n",
     "A 2026-11-01T09:00:00Z 2026-11-01T10:00:00Z\n"
     "A 2026-11-03T09:00:00Z 2026-11-03T10:00:00Z\n"
     "A 2026-11-15T09:00:00Z 2026-11-15T10:00:00Z\n"
     "A 2026-11-17T09:00:00Z 2026-11-17T10:00:00Z\n",
     "", false},
    {"the same from Monday on",
     "SUMMARY:A\r\nDTSTART:20261101T090000Z\r\nDURATION:PT1H\r\n"
     "RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,TU;COUNT=4\r\n",
     "A 2026-11-01T09:00:00Z 2026-11-01T10:00:00Z\n"
     "A 2026-11-10T09:00:00Z 2026-11-10T10:00:00Z\n"
     "A 2026-11-15T09:00:00Z 2026-11-15T10:00:00Z\n"
     "A 2026-11-24T09:00:00Z 2026-11-24T10:00:00Z\n",
     "", false},
    {"until in UTC, the last one on it",
     "SUMMARY:A\r\nDTSTART:20261102T090000\r\nDURATION:PT1H\r\n"
     "RRULE:FREQ=WEEKLY;UNTIL=20261109T080000Z\r\n",
     "A 2026-11-02T08:00:00Z 2026-11-02T09:00:00Z\n"
     "A 2026-11-09T08:00:00Z 2026-11-09T09:00:00Z\n",
     "", false},
    {"until a second earlier",
     "SUMMARY:A\r\nDTSTART:20261102T090000\r\nDURATION:PT1H\r\n"
     "RRULE:FREQ=WEEKLY;UNTIL=20261109T075959Z\r\n",
     "A 2026-11-02T08:00:00Z 2026-11-02T09:00:00Z\n", "", false},
    {"until a date, which counts",
     "SUMMARY:A\r\nDTSTART:20261102T090000Z\r\nDURATION:PT1H\r\n"
     "RRULE:FREQ=WEEKLY;UNTIL=20261109\r\n",
     "A 2026-11-02T09:00:00Z 2026-11-02T10:00:00Z\n"
     "A 2026-11-09T09:00:00Z 2026-11-09T10:00:00Z\n",
     "", false},
    {"start isn't a date of its rule",
     "SUMMARY:A\r\nDTSTART:20261102T090000Z\r\nDURATION:PT1H\r\n"
     "RRULE:FREQ=WEEKLY;BYDAY=TU;COUNT=1\r\n",
     "A 2026-11-02T09:00:00Z 2026-11-02T10:00:00Z\n"
     "A 2026-11-03T09:00:00Z 2026-11-03T10:00:00Z\n",
     "DTSTART isn't a date of its rule; taken too: line 9\n", false},
    {"exdates: zone, date, list, one that meets nothing",
     "SUMMARY:A\r\nDTSTART:20261102T090000\r\nDURATION:PT1H\r\n"
     "RRULE:FREQ=WEEKLY;COUNT=6\r\nEXDATE:20261102T080000Z,20261109T090000\r\n"
     "EXDATE;VALUE=DATE:20261123\r\nEXDATE:20261124T090000\r\n",
     "A 2026-11-16T08:00:00Z 2026-11-16T09:00:00Z\n"
     "A 2026-11-30T08:00:00Z 2026-11-30T09:00:00Z\n"
     "A 2026-12-07T08:00:00Z 2026-12-07T09:00:00Z\n",
     "EXDATE that meets no event of its series: line 12\n", false},
    {"whole days, weekly, without one",
     "SUMMARY:A\r\nDTSTART;VALUE=DATE:20261019\r\nRRULE:FREQ=WEEKLY;COUNT=3\r\n"
     "EXDATE;VALUE=DATE:20261026\r\n",
     "A 2026-10-18T22:00:00Z 2026-10-19T22:00:00Z\n"
     "A 2026-11-01T23:00:00Z 2026-11-02T23:00:00Z\n",
     "", false},
    {"rdates, one twice, and a period",
     "SUMMARY:A\r\nDTSTART:20261102T090000Z\r\nDURATION:PT1H\r\n"
     "RDATE:20261105T090000Z,20261105T100000,20261102T090000Z\r\n"
     "RDATE;VALUE=PERIOD:20261106T090000Z/PT2H,20261107T090000Z/"
     "20261107T093000Z"
     "\r\n",
     "A 2026-11-02T09:00:00Z 2026-11-02T10:00:00Z\n"
     "A 2026-11-05T09:00:00Z 2026-11-05T10:00:00Z\n"
     "A 2026-11-06T09:00:00Z 2026-11-06T11:00:00Z\n"
     "A 2026-11-07T09:00:00Z 2026-11-07T09:30:00Z\n",
     "", false},
    {"nights keep their length",
     "SUMMARY:A\r\nDTSTART:20261024T220000\r\nDTEND:20261025T060000\r\n"
     "RRULE:FREQ=WEEKLY;COUNT=2\r\n",
     "A 2026-10-24T20:00:00Z 2026-10-25T05:00:00Z\n"
     "A 2026-10-31T21:00:00Z 2026-11-01T06:00:00Z\n",
     "", false},

    {"one occurrence moved, one called off",
     EV("SUMMARY:A\r\nDTSTART:20261102T090000\r\nDURATION:PT1H\r\n"
        "RRULE:FREQ=WEEKLY;COUNT=3\r\n")
         EV("SUMMARY:B\r\nRECURRENCE-ID:20261109T080000Z\r\n"
            "DTSTART:20261110T110000Z\r\nDURATION:PT1H\r\n")
             EV("STATUS:CANCELLED\r\nSUMMARY:A\r\nRECURRENCE-ID:20261116T090000"
                "\r\nDTSTART:20261116T090000\r\nDURATION:PT1H\r\n"),
     "A 2026-11-02T08:00:00Z 2026-11-02T09:00:00Z\n"
     "B 2026-11-10T11:00:00Z 2026-11-10T12:00:00Z\n",
     "cancelled event left out: line 18\n", false},
    {"this and future",
     EV("SUMMARY:A\r\nDTSTART:20261102T090000Z\r\nDURATION:PT1H\r\n"
        "RRULE:FREQ=WEEKLY;COUNT=3\r\n")
         EV("SUMMARY:B\r\nRECURRENCE-ID;RANGE=THISANDFUTURE:"
            "20261109T090000Z\r\n"
            "DTSTART:20261109T110000Z\r\nDURATION:PT1H\r\n"),
     "A 2026-11-02T09:00:00Z 2026-11-02T10:00:00Z\n"
     "A 2026-11-16T09:00:00Z 2026-11-16T10:00:00Z\n"
     "B 2026-11-09T11:00:00Z 2026-11-09T12:00:00Z\n",
     "RANGE=THISANDFUTURE: only this one occurrence changed: line 14\n", false},
    {"a change of what isn't there, and the same UID twice",
     EV("SUMMARY:A\r\nDTSTART:20261102T090000Z\r\nDURATION:PT1H\r\n")
         EV("SUMMARY:B\r\nRECURRENCE-ID:20261109T090000Z\r\n"
            "DTSTART:20261109T110000Z\r\nDURATION:PT1H\r\n")
             EV("SUMMARY:C\r\nDTSTART:20261102T090000Z\r\nDURATION:PT1H\r\n"),
     "A 2026-11-02T09:00:00Z 2026-11-02T10:00:00Z\n"
     "B 2026-11-09T11:00:00Z 2026-11-09T12:00:00Z\n"
     "C 2026-11-02T09:00:00Z 2026-11-02T10:00:00Z\n",
     "UID of another event; taken too: line 17\n"
     "changed occurrence that its series hasn't; taken too: "
     "2 times, first in line 13\n",
     false},
    {"called off as a whole",
     "METHOD:CANCEL\r\nX-NOTE:BEGIN\r\n" EV(
         "SUMMARY:A\r\nDTSTART:20261102T090000Z\r\nDURATION:PT1H\r\n"),
     "", "X-... left out: line 5\ncancelled event left out: line 6\n", false},
    {"a series that has ended long ago",
     "SUMMARY:A\r\nDTSTART:20150105T090000Z\r\nDURATION:PT1H\r\n"
     "RRULE:FREQ=WEEKLY;UNTIL=20150112T090000Z\r\n",
     "A 2015-01-05T09:00:00Z 2015-01-05T10:00:00Z\n"
     "A 2015-01-12T09:00:00Z 2015-01-12T10:00:00Z\n",
     "", false},
    {"what stands in quotes is no parameter",
     "SUMMARY:A\r\nDTSTART;X=\"a;TZID=Nowhere\":20261102T090000\r\n"
     "DTEND;X=\"a;TZID=Nowhere\":20261102T100000\r\n",
     "A 2026-11-02T08:00:00Z 2026-11-02T09:00:00Z\n", "", false},
    {"folded with tabs, control characters",
     "SUMMARY:a\r\n\tb\xc2\x85"
     "c\td\r\nDTSTART:20261102T090000Z\r\n"
     "DURATION:PT1H\r\n",
     "ab c d 2026-11-02T09:00:00Z 2026-11-02T10:00:00Z\n",
     "line end or control character of a title made a space: line 6\n", false},
    {"other things than events",
     EV("SUMMARY:A\r\nDTSTART:20261102T090000Z\r\nDURATION:PT1H\r\n") "BEGIN:"
                                                                      "VTODO\r"
                                                                      "\nSUMMAR"
                                                                      "Y:"
                                                                      "x\r\nBEG"
                                                                      "IN:"
                                                                      "VALARM\r"
                                                                      "\nEND:"
                                                                      "VALARM\r"
                                                                      "\nEND:"
                                                                      "VTODO\r"
                                                                      "\n"
                                                                      "BEGIN:"
                                                                      "VTODO\r"
                                                                      "\nEND:"
                                                                      "VTODO\r"
                                                                      "\n",
     "A 2026-11-02T09:00:00Z 2026-11-02T10:00:00Z\n",
     "VTODO left out: 2 times, first in line 10\n", false},
    {"a zone of the file, with dates",
     ZONE_DATES EV("SUMMARY:A\r\nDTSTART;TZID=Plain:20261019T090000\r\n"
                   "DURATION:PT1H\r\nRRULE:FREQ=WEEKLY;COUNT=2\r\n"),
     "A 2026-10-19T07:00:00Z 2026-10-19T08:00:00Z\n"
     "A 2026-10-26T08:00:00Z 2026-10-26T09:00:00Z\n",
     "", false},
    {"before the first change of a zone, and near one in UTC",
     ZONE_WITH("20271031T010000Z")
         EV("SUMMARY:A\r\nDTSTART;TZID=Plain:20250701T090000\r\n"
            "DURATION:PT1H\r\nRDATE;TZID=Plain:20271031T023000,"
            "20271031T033000\r\n"),
     "A 2025-07-01T07:00:00Z 2025-07-01T08:00:00Z\n"
     "A 2027-10-31T01:30:00Z 2027-10-31T02:30:00Z\n"
     "A 2027-10-31T02:30:00Z 2027-10-31T03:30:00Z\n",
     "", false},
    {"a zone of the file, with rules",
     ZONE EV("SUMMARY:A\r\nDTSTART;TZID=\"Office Clock\":20261019T090000\r\n"
             "DTEND;TZID=Office Clock:20261019T100000\r\n"
             "RRULE:FREQ=WEEKLY;COUNT=2\r\n"),
     "A 2026-10-19T07:00:00Z 2026-10-19T08:00:00Z\n"
     "A 2026-10-26T08:00:00Z 2026-10-26T09:00:00Z\n",
     "", false},
    {"two zones of one name: the first",
     ZONE_DATES "BEGIN:VTIMEZONE\r\nTZID:Plain\r\nBEGIN:STANDARD\r\n"
                "DTSTART:20200101T000000\r\nTZOFFSETFROM:+0500\r\n"
                "TZOFFSETTO:+0500\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n" EV(
                    "SUMMARY:A\r\nDTSTART;TZID=Plain:20261201T090000\r\n"
                    "DURATION:PT1H\r\n"),
     "A 2026-12-01T08:00:00Z 2026-12-01T09:00:00Z\n", "", false},
    {"a zone of the system",
     "SUMMARY:A\r\nDTSTART;TZID=America/New_York:20261101T010000\r\n"
     "DURATION:PT1H\r\nRRULE:FREQ=WEEKLY;COUNT=2\r\n",
     "A 2026-11-01T05:00:00Z 2026-11-01T06:00:00Z\n"
     "A 2026-11-08T06:00:00Z 2026-11-08T07:00:00Z\n",
     "", true},
    {"a zone of the system, behind the years that it lists",
     "SUMMARY:A\r\nDTSTART;TZID=/x.org/2/Europe/Berlin:20600701T090000\r\n"
     "DTEND;TZID=Australia/Sydney:20600701T190000\r\n"
     "RDATE;TZID=Europe/Berlin:20600330T090000,25000701T090000\r\n",
     "A 2060-03-30T07:00:00Z 2060-03-30T09:00:00Z\n"
     "A 2060-07-01T07:00:00Z 2060-07-01T09:00:00Z\n"
     "A 2500-07-01T07:00:00Z 2500-07-01T09:00:00Z\n",
     "", true},
    {"month ends",
     "SUMMARY:A\r\nDTSTART:20260131T090000Z\r\nDURATION:PT1H\r\n"
     "RRULE:FREQ=MONTHLY;COUNT=3\r\n",
     "A 2026-01-31T09:00:00Z 2026-01-31T10:00:00Z\n"
     "A 2026-03-31T09:00:00Z 2026-03-31T10:00:00Z\n"
     "A 2026-05-31T09:00:00Z 2026-05-31T10:00:00Z\n",
     "", false},
    {"the last weekday of a month",
     "SUMMARY:A\r\nDTSTART:20260130T090000Z\r\nDURATION:PT1H\r\nRRULE:FREQ="
     "MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;UNTIL=20260301T000000Z\r\n",
     "A 2026-01-30T09:00:00Z 2026-01-30T10:00:00Z\n"
     "A 2026-02-27T09:00:00Z 2026-02-27T10:00:00Z\n",
     "", false},
    {"times of a day in any order",
     "SUMMARY:A\r\nDTSTART:20260131T090000Z\r\nDURATION:PT1H\r\n"
     "RRULE:FREQ=DAILY;BYHOUR=17,9;COUNT=3\r\n",
     "A 2026-01-31T09:00:00Z 2026-01-31T10:00:00Z\n"
     "A 2026-01-31T17:00:00Z 2026-01-31T18:00:00Z\n"
     "A 2026-02-01T09:00:00Z 2026-02-01T10:00:00Z\n",
     "", false},
    {"whole days, yearly",
     "SUMMARY:A\r\nDTSTART;VALUE=DATE:20240229\r\nRRULE:FREQ=YEARLY;COUNT="
     "2\r\n",
     "A 2024-02-28T23:00:00Z 2024-02-29T23:00:00Z\n"
     "A 2028-02-28T23:00:00Z 2028-02-29T23:00:00Z\n",
     "", false},
    {"a rule without dates",
     "SUMMARY:A\r\nDTSTART:20260131T090000Z\r\nDURATION:PT1H\r\n"
     "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30\r\n",
     "A 2026-01-31T09:00:00Z 2026-01-31T10:00:00Z\n",
     "DTSTART isn't a date of its rule; taken too: line 9\n", false},
    {"days of the year, in some months",
     "SUMMARY:A\r\nDTSTART:20260101T090000Z\r\nDURATION:PT1H\r\n"
     "RRULE:FREQ=YEARLY;BYMONTH=1,12;BYYEARDAY=1,-1,40;COUNT=3\r\n",
     "A 2026-01-01T09:00:00Z 2026-01-01T10:00:00Z\n"
     "A 2026-12-31T09:00:00Z 2026-12-31T10:00:00Z\n"
     "A 2027-01-01T09:00:00Z 2027-01-01T10:00:00Z\n",
     "", false},
    {"the last of some days, two of which may be one",
     "SUMMARY:A\r\nDTSTART:20260129T090000Z\r\nDURATION:PT1H\r\n"
     "RRULE:FREQ=MONTHLY;BYMONTHDAY=29,1,-31;BYSETPOS=2;COUNT=3\r\n",
     "A 2026-01-29T09:00:00Z 2026-01-29T10:00:00Z\n"
     "A 2026-03-29T09:00:00Z 2026-03-29T10:00:00Z\n"
     "A 2026-04-29T09:00:00Z 2026-04-29T10:00:00Z\n",
     "", false},
    {"a time of day twice is one",
     "SUMMARY:A\r\nDTSTART:20260101T090000Z\r\nDURATION:PT1H\r\n"
     "RRULE:FREQ=DAILY;BYHOUR=9,9;BYSECOND=0,60;COUNT=3\r\n",
     "A 2026-01-01T09:00:00Z 2026-01-01T10:00:00Z\n"
     "A 2026-01-01T09:00:59Z 2026-01-01T10:00:59Z\n"
     "A 2026-01-02T09:00:00Z 2026-01-02T10:00:00Z\n",
     "", false},
    {"until a moment of the hour that the clocks show twice",
     "SUMMARY:A\r\nDTSTART:20261018T023000\r\nDURATION:PT1H\r\n"
     "RRULE:FREQ=WEEKLY;UNTIL=20261025T011500Z\r\n",
     "A 2026-10-18T00:30:00Z 2026-10-18T01:30:00Z\n"
     "A 2026-10-25T00:30:00Z 2026-10-25T01:30:00Z\n",
     "", false},
    {"until a moment before the one that the clocks skip",
     "SUMMARY:A\r\nDTSTART:20260328T023000\r\nDURATION:PT1H\r\n"
     "RRULE:FREQ=DAILY;BYHOUR=2,3;UNTIL=20260329T011500Z\r\n",
     "A 2026-03-28T01:30:00Z 2026-03-28T02:30:00Z\n"
     "A 2026-03-28T02:30:00Z 2026-03-28T03:30:00Z\n",
     "", false},
    {"an rdate at a time that the clocks show twice: the second",
     "SUMMARY:A\r\nDTSTART:20261018T023000\r\nDURATION:P1DT1H\r\n"
     "RDATE:20261025T011500Z\r\n",
     "A 2026-10-18T00:30:00Z 2026-10-19T01:30:00Z\n"
     "A 2026-10-25T01:15:00Z 2026-10-26T02:15:00Z\n",
     "", false},
    {"the 44th Monday of a year",
     "SUMMARY:A\r\nDTSTART:20261102T090000Z\r\nDURATION:PT1H\r\n"
     "RRULE:FREQ=YEARLY;BYDAY=44MO;COUNT=2\r\n",
     "A 2026-11-02T09:00:00Z 2026-11-02T10:00:00Z\n"
     "A 2027-11-01T09:00:00Z 2027-11-01T10:00:00Z\n",
     "", false},
    {"every Monday, and the first Tuesday",
     "SUMMARY:A\r\nDTSTART:20261102T090000Z\r\nDURATION:PT1H\r\n"
     "RRULE:FREQ=MONTHLY;BYDAY=MO,+1TU;COUNT=3\r\n",
     "A 2026-11-02T09:00:00Z 2026-11-02T10:00:00Z\n"
     "A 2026-11-03T09:00:00Z 2026-11-03T10:00:00Z\n"
     "A 2026-11-09T09:00:00Z 2026-11-09T10:00:00Z\n",
     "", false},
    {"the first of some days of a week, begun behind it",
     "SUMMARY:A\r\nDTSTART:20261104T090000Z\r\nDURATION:PT1H\r\n"
     "RRULE:FREQ=WEEKLY;BYDAY=MO,WE;BYSETPOS=1;COUNT=1\r\n",
     "A 2026-11-04T09:00:00Z 2026-11-04T10:00:00Z\n"
     "A 2026-11-09T09:00:00Z 2026-11-09T10:00:00Z\n",
     "DTSTART isn't a date of its rule; taken too: line 9\n", false},
    {"a numbered week, on the weekday of the start",
     "SUMMARY:A\r\nDTSTART:20241230T090000Z\r\nDURATION:PT1H\r\n"
     "RRULE:FREQ=YEARLY;BYWEEKNO=1,-1;COUNT=4\r\n",
     "A 2024-12-30T09:00:00Z 2024-12-30T10:00:00Z\n"
     "A 2025-12-22T09:00:00Z 2025-12-22T10:00:00Z\n"
     "A 2025-12-29T09:00:00Z 2025-12-29T10:00:00Z\n"
     "A 2026-12-28T09:00:00Z 2026-12-28T10:00:00Z\n",
     "", false},
    {"whole days have no time of day",
     "SUMMARY:A\r\nDTSTART;VALUE=DATE:20261123\r\n"
     "RRULE:FREQ=DAILY;BYHOUR=9,17;COUNT=2\r\n",
     "A 2026-11-22T23:00:00Z 2026-11-23T23:00:00Z\n"
     "A 2026-11-23T23:00:00Z 2026-11-24T23:00:00Z\n",
     "", false},
    {"yearly, behind the year 2582",
     "SUMMARY:A\r\nDTSTART:25820101T090000Z\r\nDURATION:PT1H\r\n"
     "RRULE:FREQ=YEARLY;COUNT=2\r\n",
     "A 2582-01-01T09:00:00Z 2582-01-01T10:00:00Z\n"
     "A 2583-01-01T09:00:00Z 2583-01-01T10:00:00Z\n",
     "", false},
};

static bool can_run(const struct reading *r)
{
    return !r->zones || access("/usr/share/zoneinfo/Europe/Berlin", R_OK) == 0;
}

static void test_readings(const void *arg)
{
    unsigned skipped = 0;

    (void)arg;
    use_zone(BERLIN);
    for (size_t i = 0; i < LEN(readings); i++) {
        const struct reading *r = &readings[i];
        bool whole = strstr(r->lines, "BEGIN:VEVENT") != NULL;
        char text[4096], got[4096];
        struct exchange x;

        if (!can_run(r)) {
            skipped++;
            continue;
        }
        snprintf(text, sizeof text, HEAD "%s%s%s" TAIL,
                 whole ? "" : "BEGIN:VEVENT\r\nUID:u@x\r\n", r->lines,
                 whole ? "" : "END:VEVENT\r\n");
        harness_check(parse(&x, text, &all) == 0, false, __FILE__, __LINE__,
                      "%s: %s", r->name, why);
        show(&x, got);
        harness_str(r->events, got, __FILE__, __LINE__, r->name);
        harness_str(r->notes, x.notes ? x.notes : "none", __FILE__, __LINE__,
                    r->name);
        exchange_free(&x);
    }
    if (skipped)
        harness_skip("%u of %zu readings: no zone files", skipped,
                     LEN(readings));
}

/* ---- series without end, and what --from and --to do -------------------- */

#define ENDLESS                                                                \
    HEAD EV("SUMMARY:A\r\nDTSTART:20150105T090000\r\nDURATION:PT1H\r\n"        \
            "RRULE:FREQ=WEEKLY\r\nEXDATE:20151102T090000\r\n") TAIL

static void test_endless(const void *arg)
{
    struct exchange x;

    (void)arg;
    use_zone(BERLIN);
    REQUIRE_INT(0, parse(&x, ENDLESS, &all));
    /* Mondays from 2025-11-22 to 2028-11-22. */
    REQUIRE_INT(157, (long long)x.count);
    EXPECT_INT(1763971200, x.events[0].start); /* 2025-11-24T08:00:00Z */
    EXPECT_INT(1858320000, x.events[156].start);
    EXPECT_STR("series without end: taken from 2025-11-22 to 2028-11-21: line 9"
               "\n",
               x.notes);
    exchange_free(&x);
}

/* Dates that are named are taken, wherever they are. */
static void test_endless_and_dates(const void *arg)
{
    static const char text[] =
        HEAD EV("SUMMARY:A\r\nDTSTART:20150105T090000Z\r\nDURATION:PT1H\r\n"
                "RRULE:FREQ=WEEKLY\r\nRDATE:20150303T090000Z\r\n"
                "RRULE:FREQ=WEEKLY;COUNT=2\r\n") TAIL;
    struct exchange x;

    (void)arg;
    use_zone(BERLIN);
    REQUIRE_INT(0, parse(&x, text, &all));
    REQUIRE_INT(157 + 3, (long long)x.count);
    EXPECT_INT(1420448400, x.events[0].start); /* 2015-01-05T09:00:00Z */
    EXPECT_INT(1425373200, x.events[2].start); /* 2015-03-03T09:00:00Z */
    exchange_free(&x);
}

/* Every third day, begun long ago: still the right ones of three. */
static void test_endless_days(const void *arg)
{
    static const char text[] =
        HEAD EV("SUMMARY:A\r\nDTSTART:20150105T090000\r\nDURATION:PT1H\r\n"
                "RRULE:FREQ=DAILY;INTERVAL=3\r\n") TAIL;
    struct exchange x;

    (void)arg;
    use_zone(BERLIN);
    REQUIRE_INT(0, parse(&x, text, &all));
    /* 3975 days behind the first; then three years of them. */
    REQUIRE_INT(365, (long long)x.count);
    EXPECT_INT(1763884800, x.events[0].start); /* 2025-11-23T08:00:00Z */
    exchange_free(&x);
}

static void expect_range(const char *from, const char *to, size_t count,
                         const char *first, const char *notes, const char *text)
{
    struct ics_opts opts = all;
    char start[TIMESTAMP_SIZE] = "";
    struct exchange x;

    if (from)
        REQUIRE_INT(0, timestamp_parse(from, &opts.from));
    if (to)
        REQUIRE_INT(0, timestamp_parse(to, &opts.to));
    EXPECT_INT(0, parse(&x, text, &opts));
    EXPECT_STR("", why);
    EXPECT_INT((long long)count, (long long)x.count);
    if (x.count > 0)
        timestamp_format(x.events[0].start, start);
    EXPECT_STR(first, start);
    EXPECT_STR(notes, x.notes ? x.notes : "none");
    exchange_free(&x);
}

static void test_range(const void *arg)
{
    static const char ten[] =
        HEAD EV("SUMMARY:A\r\nDTSTART:20261102T090000Z\r\nDURATION:PT1H\r\n"
                "RRULE:FREQ=WEEKLY;COUNT=10\r\n") TAIL;

    (void)arg;
    use_zone(BERLIN);
    expect_range("2016-01-01T00:00:00Z", "2016-02-01T00:00:00Z", 4,
                 "2016-01-04T08:00:00Z",
                 "series without end: taken from 2016-01-01 to 2016-02-01: "
                 "line 9\n",
                 ENDLESS);
    /* Only one of them: the other follows. */
    expect_range("2040-01-01T00:00:00Z", NULL, 105, "2040-01-02T08:00:00Z",
                 "series without end: taken from 2040-01-01 to 2041-12-31: "
                 "line 9\n",
                 ENDLESS);
    expect_range(NULL, "2015-02-01T00:00:00Z", 4, "2015-01-05T08:00:00Z",
                 "series without end: taken from 2014-02-01 to 2015-02-01: "
                 "line 9\n",
                 ENDLESS);
    /* One that ends where the range begins, or begins where it ends, is
     * outside. */
    expect_range(NULL, "2026-11-02T09:00:00Z", 0, "",
                 "event outside of --from and --to left out: line 4\n",
                 HEAD EV("SUMMARY:A\r\nDTSTART:20261102T090000Z\r\n"
                         "DURATION:PT1H\r\n") TAIL);
    expect_range("2026-11-09T10:00:00Z", NULL, 8, "2026-11-16T09:00:00Z",
                 "event outside of --from and --to left out: 2 times, first in "
                 "line 9\n",
                 ten);
    expect_range("2026-11-09T09:59:59Z", "2026-11-16T09:00:00Z", 1,
                 "2026-11-09T09:00:00Z",
                 "event outside of --from and --to left out: line 9\nseries "
                 "cut off at --to: line 9\n",
                 ten);
}

/* ---- what is refused ---------------------------------------------------- */

struct refusal {
    const char *text; /* whole, or the lines of one VEVENT from line 6 on */
    const char *why;
};

static const struct refusal refusals[] = {
    {"BEGIN:VCALENDAR\n", "line 1: this BEGIN has no END"},
    {"BEGIN:VEVENT\nEND:VEVENT\n", "line 1: BEGIN:VEVENT stands outside"},
    {"BEGIN:VCALENDAR\nEND:VCALENDAR\nX-A:1\n", "line 3: it stands behind"},
    {"BEGIN:VCALENDAR\nVERSION:1.0\nEND:VCALENDAR\n", "line 2: VERSION:1.0"},
    {"BEGIN:VCALENDAR\nCALSCALE:JULIAN\nEND:VCALENDAR\n",
     "line 2: CALSCALE:JULIAN"},
    {"BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VCALENDAR\n",
     "line 3: END:VCALENDAR, but BEGIN:VEVENT is open (line 2)"},
    {"BEGIN:VCALENDAR\nBEGIN:VEVENT\nBEGIN:VEVENT\n",
     "line 3: BEGIN:VEVENT can't stand here"},
    {"BEGIN:VCALENDAR\nEND:VCALENDAR\nEND:VCALENDAR\n",
     "line 3: END:VCALENDAR without"},
    {"BEGIN:VCALENDAR\nBEGIN:A\nBEGIN:A\nBEGIN:A\nBEGIN:A\nBEGIN:A\nBEGIN:A\n"
     "BEGIN:A\nBEGIN:A\n",
     "line 9: more than 8 BEGINs are open"},
    {"BEGIN:VCALENDAR\n\n X\n", "line 2: not NAME:VALUE"},
    {"BEGIN:VCALENDAR\rEND:VCALENDAR\n", "line 1: a carriage return"},
    {" BEGIN:VCALENDAR\n", "line 1: it begins with a space"},
    {"BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nEND:VTIMEZONE\nEND:VCALENDAR\n",
     "line 2: this time zone has no TZID"},
    {"BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nTZID:a\nEND:VTIMEZONE\nEND:VCALENDAR\n",
     "line 2: this time zone has no STANDARD or DAYLIGHT"},
    {"BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nTZID:a\nBEGIN:STANDARD\nEND:STANDARD\n"
     "END:VTIMEZONE\nEND:VCALENDAR\n",
     "line 4: DTSTART, TZOFFSETFROM or TZOFFSETTO is missing"},
    {"BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nTZID:a\nBEGIN:STANDARD\n"
     "DTSTART:20200101T000000\nTZOFFSETFROM:+0100\nTZOFFSETTO:01:00\n"
     "END:STANDARD\nEND:VTIMEZONE\nEND:VCALENDAR\n",
     "line 7: TZOFFSETTO: not an offset like +0100"},
    {"BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nTZID:a\nBEGIN:STANDARD\n"
     "DTSTART:20200101T000000\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0100\n"
     "RRULE:FREQ=SECONDLY\nEND:STANDARD\nEND:VTIMEZONE\nEND:VCALENDAR\n",
     "line 8: RRULE: clocks don't change so often"},

    {"BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20261123\nEND:VEVENT\n"
     "BEGIN:VEVENT\nDTSTART:20261123\nRRULE:FREQ=X\nEND:VEVENT\n"
     "END:VCALENDAR\n",
     "line 7: RRULE: its FREQ isn't known"},

    {"SUMMARY\r\n", "line 6: not NAME:VALUE"},
    {"SUMMARY A:x\r\n", "line 6: not NAME:VALUE"},
    {"SUMMARY;X:x\r\n", "line 6: not NAME;PARAMETER=VALUE:VALUE"},
    {"SUMMARY;X=\"a:x\r\n", "line 6: a \" isn't closed"},
    {"SUMMARY:\xff\r\n", "line 6: not valid UTF-8"},
    {"SUMMARY:long\r\n er\r\n \xff\r\n", "line 6: not valid UTF-8"},
    {"SUMMARY:x\r\n", "line 4: this event has no DTSTART"},
    {"DTSTART:20261131T090000Z\r\n",
     "line 6: DTSTART: this date or time of day doesn't exist"},
    {"DTSTART:20261123T240000Z\r\n",
     "line 6: DTSTART: this date or time of day doesn't exist"},
    {"DTSTART:2026-11-23T09:00\r\n", "line 6: DTSTART: not a time like"},
    {"DTSTART:20261123T090000X\r\n", "line 6: DTSTART: not a time like"},
    {"DTSTART:00001123T090000Z\r\n",
     "line 6: DTSTART: this date or time of day doesn't exist"},
    {"DTSTART;VALUE=DATE:20261123T090000\r\n",
     "line 6: DTSTART: not a date like"},
    {"DTSTART;TZID=Mars/Base:20261123T090000\r\n",
     "line 6: the time zone 'Mars/Base' is described nowhere"},
    {"DTSTART;TZID=../../../etc/passwd:20261123T090000\r\n",
     "line 6: the time zone '../../../etc/passwd' is described nowhere"},
    {"DTSTART;TZID=../zoneinfo/Europe/Berlin:20261123T090000\r\n",
     "line 6: the time zone '../zoneinfo/Europe/Berlin' is described nowhere"},
    {"DTSTART;TZID=\"a\x1b[2Jb\":20261123T090000\r\n",
     "line 6: the time zone 'a?[2Jb' is described nowhere"},
    {"DTSTART:20261123T090000Z\r\nDTSTART:20261123T090000Z\r\n",
     "line 7: a second DTSTART (the first: line 6)"},
    {"DTSTART:20261123T090000Z\r\nDTEND:20261123T085959Z\r\n",
     "line 7: DTEND is before DTSTART"},
    {"DTSTART;VALUE=DATE:20261123\r\nDTEND:20261124T000000Z\r\n",
     "line 7: one of DTSTART and DTEND is a date"},
    {"DTSTART;VALUE=DATE:20261123\r\nDTEND;VALUE=DATE:20261122\r\n",
     "line 7: DTEND is before DTSTART"},
    {"DTSTART:20261123T090000Z\r\nDTEND:20261123T100000Z\r\nDURATION:PT1H\r\n",
     "line 8: both DTEND and DURATION"},
    {"DTSTART:20261123T090000Z\r\nDURATION:1H\r\n",
     "line 7: DURATION: not a duration"},
    {"DTSTART:20261123T090000Z\r\nDURATION:P1H\r\n",
     "line 7: DURATION: not a duration"},
    {"DTSTART:20261123T090000Z\r\nDURATION:PT\r\n",
     "line 7: DURATION: not a duration"},
    {"DTSTART:20261123T090000Z\r\nDURATION:PT1M1H\r\n",
     "line 7: DURATION: not a duration"},
    {"DTSTART:20261123T090000Z\r\nDURATION:PT99999999S\r\n",
     "line 7: DURATION: not a duration like PT1H30M, or too long"},
    {"DTSTART:20261123T090000Z\r\nDURATION:-PT1H\r\n",
     "line 7: DURATION: it lasts less than nothing"},
    {"DTSTART;VALUE=DATE:20261123\r\nDURATION:PT1H\r\n",
     "line 7: DURATION: DTSTART is a date: it must last whole days"},
    {"DTSTART:20261123T090000Z\r\nDURATION:P9999999W\r\n",
     "line 4: years are 0001 to 9999"},
    {"DTSTART:20261123T090000Z\r\nRECURRENCE-ID:x\r\n",
     "line 7: RECURRENCE-ID: not a time"},
    {"DTSTART:20261123T090000Z\r\nEXDATE:20261123T090000Z,x\r\n",
     "line 7: EXDATE: not a time"},
    {"DTSTART:20261123T090000Z\r\nRDATE;VALUE=DATE:20261124\r\n",
     "line 7: RDATE: one of DTSTART and RDATE is a date"},
    {"DTSTART:20261123T090000Z\r\nRDATE;VALUE=PERIOD:,20261124T090000Z/PT1H"
     "\r\n",
     "line 7: RDATE: not a period"},
    {"DTSTART:20261123T090000Z\r\nRDATE;VALUE=PERIOD:20261124T090000Z\r\n",
     "line 7: RDATE: not a period"},
    {"DTSTART:20261123T090000Z\r\nRDATE;VALUE=PERIOD:20261124T090000Z/PT0S\r\n",
     "line 7: RDATE: a period that doesn't end"},
    {"DTSTART:20261123T090000Z\r\nRRULE:COUNT=2\r\n",
     "line 7: RRULE: the rule has no FREQ"},
    {"DTSTART:20261123T090000Z\r\nRRULE:FREQ=FORTNIGHTLY\r\n",
     "line 7: RRULE: its FREQ isn't known"},
    {"DTSTART:20261123T090000Z\r\nRRULE:FREQ=WEEKLY;FOO=1\r\n",
     "line 7: RRULE: a part of the rule isn't known"},
    {"DTSTART:20261123T090000Z\r\nRRULE:FREQ=WEEKLY;COUNT=1;COUNT=1\r\n",
     "line 7: RRULE: a part of the rule isn't known, is empty, or is there "
     "twice"},
    {"DTSTART:20261123T090000Z\r\nRRULE:FREQ=WEEKLY;BYDAY=\r\n",
     "line 7: RRULE: a part of the rule isn't known, is empty"},
    {"DTSTART:20261123T090000Z\r\nRRULE:FREQ=WEEKLY;COUNT=0\r\n",
     "line 7: RRULE: its COUNT"},
    {"DTSTART:20261123T090000Z\r\nRRULE:FREQ=WEEKLY;INTERVAL=0\r\n",
     "line 7: RRULE: its INTERVAL"},
    {"DTSTART:20261123T090000Z\r\nRRULE:FREQ=WEEKLY;INTERVAL=32768\r\n",
     "line 7: RRULE: its INTERVAL"},
    {"DTSTART:20261123T090000Z\r\nRRULE:FREQ=WEEKLY;COUNT=1;UNTIL=20270101\r\n",
     "line 7: RRULE: it has both COUNT and UNTIL"},
    {"DTSTART:20261123T090000Z\r\nRRULE:FREQ=WEEKLY;UNTIL=soon\r\n",
     "line 7: RRULE: its UNTIL isn't a time like 20261123T090000Z or a date "
     "like 20261123 that exists"},
    {"DTSTART:20261123T090000Z\r\nRRULE:FREQ=WEEKLY;BYDAY=MO,X\r\n",
     "line 7: RRULE: its BYDAY"},
    {"DTSTART:20261123T090000Z\r\nRRULE:FREQ=WEEKLY;BYDAY=1MO\r\n",
     "line 7: RRULE: its BYDAY"},
    {"DTSTART:20261123T090000Z\r\nRRULE:FREQ=WEEKLY;WKST=XX\r\n",
     "line 7: RRULE: its WKST"},
    {"DTSTART:20261123T090000Z\r\nRRULE:FREQ=YEARLY;BYWEEKNO=1;INTERVAL=2"
     "\r\n",
     "line 7: RRULE: BYWEEKNO with INTERVAL or BYSETPOS isn't supported"},
    {"DTSTART:20261123T090000Z\r\nRRULE:FREQ=MONTHLY;BYWEEKNO=1\r\n",
     "line 7: RRULE: BYWEEKNO can stand only in a rule by the year"},
    {"DTSTART:20261123T090000Z\r\nRRULE:FREQ=MONTHLY;BYYEARDAY=1\r\n",
     "line 7: RRULE: BYYEARDAY can stand only in a rule by the year"},
    {"DTSTART:20261123T090000Z\r\nRRULE:FREQ=WEEKLY;BYMONTHDAY=1\r\n",
     "line 7: RRULE: BYMONTHDAY can't stand in a rule by the week"},
    {"DTSTART;VALUE=DATE:20261123\r\nRRULE:FREQ=HOURLY\r\n",
     "line 7: RRULE: a rule by the hour, minute or second needs a DTSTART with "
     "a time"},
    {"DTSTART:20261123T090000Z\r\nRRULE:FREQ=YEARLY;BYWEEKNO=1;BYDAY=1MO"
     "\r\n",
     "line 7: RRULE: its BYDAY isn't a list like MO,WE"},
    {"DTSTART:20261123T090000Z\r\nRRULE:FREQ=MONTHLY;BYDAY=0MO\r\n",
     "line 7: RRULE: its BYDAY isn't a list like MO,WE or 2MO,-1FR"},
    {"DTSTART:20261123T090000Z\r\nRRULE:FREQ=MONTHLY;BYDAY=54MO\r\n",
     "line 7: RRULE: its BYDAY"},
    {"DTSTART:20261123T090000Z\r\nRRULE:FREQ=YEARLY;BYMONTH=13\r\n",
     "line 7: RRULE: a BY... isn't a list of numbers that it can have"},
    {"DTSTART:20261123T090000Z\r\nRRULE:FREQ=YEARLY;BYMONTH=-1\r\n",
     "line 7: RRULE: a BY... isn't a list"},
    {"DTSTART:20261123T090000Z\r\nRRULE:FREQ=MONTHLY;BYMONTHDAY=1,0\r\n",
     "line 7: RRULE: a BY... isn't a list"},
    {"DTSTART:20261123T090000Z\r\nRRULE:FREQ=MONTHLY;BYMONTHDAY=1,\r\n",
     "line 7: RRULE: a BY... isn't a list"},
    {"DTSTART:20261123T090000Z\r\nRRULE:FREQ=YEARLY;BYYEARDAY=367\r\n",
     "line 7: RRULE: a BY... isn't a list"},
    {"DTSTART:20261123T090000Z\r\nRRULE:FREQ=YEARLY;BYYEARDAY=1x\r\n",
     "line 7: RRULE: a BY... isn't a list"},
    {"DTSTART:20261123T090000Z\r\nRRULE:FREQ=YEARLY;BYYEARDAY=-\r\n",
     "line 7: RRULE: a BY... isn't a list"},
    {"DTSTART:20261123T090000Z\r\nRRULE:FREQ=DAILY;BYHOUR=24\r\n",
     "line 7: RRULE: a BY... isn't a list"},
    {"DTSTART:20261123T090000Z\r\nRRULE:FREQ=WEEKLY;UNTIL=20270231\r\n",
     "line 7: RRULE: its UNTIL isn't a time like"},
    {"DTSTART:20261123T090000Z\r\nRRULE:FREQ=WEEKLY;COUNT=2x\r\n",
     "line 7: RRULE: its COUNT"},
    {"DTSTART:20261123T090000Z\r\nRRULE:FREQ=WEEKLY;COUNT\r\n",
     "line 7: RRULE: a part of the rule isn't known"},
    {"DTSTART:20261123T090000Z\r\nRRULE:FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30"
     "\r\n",
     "line 7: RRULE: a rule by the hour, minute or second with BY..."},
    {"DTSTART:20261123T090000Z\r\nRRULE:FREQ=DAILY;BYHOUR=1,2,3;BYMINUTE=1,2,3,"
     "4,5,6;BYSECOND=1,2,3,4,5,6\r\n",
     "line 7: RRULE: a rule for more than 96 times a day"},
    {"DTSTART:20261123T090000Z\r\nDURATION:PT1H\r\n"
     "RRULE:FREQ=WEEKLY;COUNT=20000\r\n",
     "line 8: a series of more than 10000 events"},
};

static void test_refusals(const void *arg)
{
    (void)arg;
    use_zone(BERLIN);
    for (size_t i = 0; i < LEN(refusals); i++) {
        const struct refusal *r = &refusals[i];
        bool whole = strstr(r->text, "BEGIN") != NULL;
        char text[1024];
        struct exchange x;

        snprintf(text, sizeof text, "%s%s%s",
                 whole ? "" : HEAD "BEGIN:VEVENT\r\nUID:u@x\r\n", r->text,
                 whole ? "" : "END:VEVENT\r\n" TAIL);
        EXPECT_INT(-EBADMSG, parse(&x, text, &all));
        harness_check(!strncmp(why, r->why, strlen(r->why)), false, __FILE__,
                      __LINE__, "'%s' instead of '%s'", why, r->why);
        EXPECT_INT(0, (long long)x.count);
        exchange_free(&x);
    }
}

/* ---- files that want to be too much ------------------------------------- */

static int64_t seconds_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

/* A text of `head`, n times `part`, and `tail`. The caller's. */
static char *repeat(const char *head, const char *part, size_t n,
                    const char *tail)
{
    size_t h = strlen(head), p = strlen(part), t = strlen(tail);
    char *text = malloc(h + n * p + t + 1);

    REQUIRE(text != NULL);
    memcpy(text, head, h);
    for (size_t i = 0; i < n; i++)
        memcpy(text + h + i * p, part, p);
    memcpy(text + h + n * p, tail, t + 1);
    return text;
}

static void expect_bomb(const char *want, char *text)
{
    struct exchange x;
    int64_t before = seconds_now();
    int err = parse(&x, text, &all);

    EXPECT(seconds_now() - before < 60); /* not: for ever */
    if (want) {
        EXPECT_INT(-EBADMSG, err);
        harness_check(strstr(why, want) != NULL, false, __FILE__, __LINE__,
                      "'%s' says '%s'", why, want);
    } else {
        EXPECT_INT(0, err);
        EXPECT_STR("", why);
    }
    exchange_free(&x);
    free(text);
}

#define RULE(rule)                                                             \
    "BEGIN:VEVENT\nDTSTART:20261123T090000Z\nDURATION:PT1S\nRRULE:" rule       \
    "\nEND:VEVENT\n"

static void test_bombs(const void *arg)
{
    static const char head[] = "BEGIN:VCALENDAR\n", tail[] = "END:VCALENDAR\n";
    static const struct ics_opts late = {NOW, EVENT_TIME_MAX - 1,
                                         EVENT_TIME_MAX};
    struct exchange x;

    (void)arg;
    use_zone(BERLIN);
    /* Every second, up to a range that is far away. */
    EXPECT_INT(-EBADMSG,
               parse(&x,
                     "BEGIN:VCALENDAR\n" RULE(
                         "FREQ=SECONDLY;UNTIL=99991231") "END:VCALENDAR\n",
                     &late));
    EXPECT(strstr(why, "line 5: RRULE: the rules up to here give too many "
                       "dates") != NULL);
    exchange_free(&x);
    /* One line of 32 MiB; a title of 16 MiB, folded after every byte. */
    expect_bomb(NULL, repeat("BEGIN:VCALENDAR\nX-A:", "aaaaaaaaaaaaaaaa",
                             2 << 20, "\nEND:VCALENDAR\n"));
    expect_bomb(NULL, repeat("BEGIN:VCALENDAR\nBEGIN:VEVENT\n"
                             "DTSTART:20261123T090000Z\nSUMMARY:",
                             "\\,\n \xc3\xa4\n ", 2 << 20,
                             "\nEND:VEVENT\nEND:VCALENDAR\n"));
    expect_bomb("line 3000002: not NAME:VALUE",
                repeat(head, "X:\n", 3000000, "END\n"));
    expect_bomb("more than 64 MiB",
                repeat(head, "0123456789abcdef", (4 << 20) + 1, tail));
    expect_bomb("line 5: a series of more than 10000",
                repeat(head, RULE("FREQ=WEEKLY;UNTIL=99991231"), 1, tail));
    expect_bomb("line 557: more than 1000000 events",
                repeat(head, RULE("FREQ=WEEKLY;COUNT=9000"), 5000, tail));
    /* Half of these change the other half: each of each. */
    expect_bomb("too many events with this UID",
                repeat(head,
                       "BEGIN:VEVENT\nUID:u\nDTSTART:20261123T090000Z\n"
                       "END:VEVENT\nBEGIN:VEVENT\nUID:u\n"
                       "DTSTART:20261123T090000Z\n"
                       "RECURRENCE-ID:20261124T090000Z\nEND:VEVENT\n",
                       100000, tail));
    expect_bomb("line 5: a series of more than 10000",
                repeat(head, RULE("FREQ=SECONDLY"), 1, tail));
    expect_bomb("line 5: a series of more than 10000",
                repeat(head, RULE("FREQ=HOURLY;COUNT=99999999"), 1, tail));
    expect_bomb(
        "too long a search",
        repeat(head, RULE("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"), 200, tail));
    expect_bomb(
        "too long a search",
        repeat(head, RULE("FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30"), 200, tail));
}

/* ---- there and back ----------------------------------------------------- */

#define TITLES 40

/* Titles that want escaping and folding. */
static const char *random_title(char title[EVENT_TITLE_MAX + 1])
{
    static const char *const bits[] = {"a",
                                       "Z",
                                       " ",
                                       ",",
                                       ";",
                                       "\\",
                                       ":",
                                       "\"",
                                       "\\n",
                                       "\xc3\xa4",
                                       "=",
                                       "BEGIN:",
                                       "\xec\x8b\x9c",
                                       "\xf0\x9f\x93\x85"};
    size_t want = (size_t)random() % EVENT_TITLE_MAX + 1, len = 0;

    title[len++] = 'x'; /* not only spaces */
    for (;;) {
        const char *bit = bits[(size_t)random() % LEN(bits)];

        if (len + strlen(bit) > want)
            break;
        memcpy(title + len, bit, strlen(bit));
        len += strlen(bit);
    }
    title[len] = '\0';
    return title;
}

static void random_events(struct event *ev, size_t n,
                          char titles[][EVENT_TITLE_MAX + 1])
{
    for (size_t i = 0; i < n; i++) {
        ev[i].id = (uint32_t)i + 1;
        ev[i].title = random_title(titles[i]);
        ev[i].title_len = (uint8_t)strlen(titles[i]);
        ev[i].start =
            i % 4 ? random() * 2 - 1000000000 : EVENT_TIME_MIN + random();
        ev[i].end = ev[i].start + random() % 1000000 + 1;
    }
    ev[n - 1].end = EVENT_TIME_MAX;
    ev[n - 2] = ev[n - 3]; /* the same twice is two events */
    ev[n - 2].id = (uint32_t)n - 1;
}

/* The caller's. */
static char *write_text(const struct event *ev, size_t n, bool json)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    REQUIRE(out != NULL);
    if (json)
        exchange_write(out, ev, n, false);
    else
        ics_write(out, ev, n, "test", NOW);
    REQUIRE_INT(0, fclose(out));
    return text;
}

/* RFC 5545, 3.1: CR LF, 75 bytes, and nobody's character torn. */
static void check_lines(const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "\r\n"), step;
        uint32_t point;

        REQUIRE(text[len] == '\r' && text[len + 1] == '\n');
        EXPECT(len > 0 && len <= 75);
        for (size_t i = 0; i < len; i += step) {
            step = utf8_next(text + i, len - i, &point);
            REQUIRE(step > 0);
        }
        text += len + 2;
    }
}

static void test_round_trip(const void *arg)
{
    static char titles[TITLES][EVENT_TITLE_MAX + 1];
    struct event ev[TITLES] = {{0}};

    (void)arg;
    use_zone(BERLIN);
    srandom(1);
    for (int round = 0; round < 50; round++) {
        struct exchange x, y;
        char *text, *json;

        random_events(ev, TITLES, titles);
        text = write_text(ev, TITLES, false);
        json = write_text(ev, TITLES, true);
        check_lines(text);
        EXPECT(ics_is(text, strlen(text)) && !ics_is(json, strlen(json)));
        REQUIRE_INT(0, parse(&x, text, &all));
        REQUIRE_INT(0, exchange_parse(&y, json, strlen(json), why, sizeof why));
        EXPECT_STR("", x.notes);
        REQUIRE_INT(TITLES, (long long)x.count);
        for (size_t i = 0; i < TITLES; i++) {
            EXPECT_STR(ev[i].title, x.events[i].title);
            EXPECT_INT(ev[i].title_len, x.events[i].title_len);
            EXPECT_INT(ev[i].start, x.events[i].start);
            EXPECT_INT(ev[i].end, x.events[i].end);
            /* So one of the two files imported makes the other a no-op. */
            EXPECT(x.tokens[i] == y.tokens[i]);
        }
        exchange_free(&x);
        exchange_free(&y);
        free(text);
        free(json);
    }
}

/* To the letter: what others have to read. */
static void test_written(const void *arg)
{
    static const struct event ev = {.id = 7,
                                    .start = NOW,
                                    .end = NOW + 3600,
                                    .title = "a;b,c\\d:\"e\" x",
                                    .title_len = 13};
    char *text = write_text(&ev, 1, false), *rest;
    char host[65] = "", uid[128];

    (void)arg;
    (void)gethostname(host, sizeof host - 1); /* then without */
    snprintf(uid, sizeof uid, "UID:7@test%s%s\r\n", *host ? "." : "", host);
    rest = strstr(text, "DTSTAMP");
    REQUIRE(rest != NULL);
    EXPECT_STR("DTSTAMP:20261122T120000Z\r\nDTSTART:20261122T120000Z\r\n"
               "DTEND:20261122T130000Z\r\n"
               "SUMMARY:a\\;b\\,c\\\\d:\"e\" x\r\n"
               "END:VEVENT\r\nEND:VCALENDAR\r\n",
               rest);
    *rest = '\0';
    EXPECT(strlen(text) > strlen(uid) &&
           !strcmp(uid, text + strlen(text) - strlen(uid)));
    text[strlen(text) - strlen(uid)] = '\0';
    EXPECT_STR("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n"
               "PRODID:-//IPC Lab//ipclab//EN\r\nCALSCALE:GREGORIAN\r\n"
               "BEGIN:VEVENT\r\n",
               text);
    free(text);
}

static void test_title_cut(const void *arg)
{
    char text[1024], title[301], want[EVENT_TITLE_MAX + 1];
    struct exchange x;

    (void)arg;
    use_zone(BERLIN);
    for (int shift = 0; shift < 3; shift++) {
        size_t keep = (size_t)shift;

        memset(title, 'a', keep);
        while (keep + 3 <= 300) {
            memcpy(title + keep, "\xec\x8b\x9c", 3);
            keep += 3;
        }
        title[keep] = '\0';
        snprintf(text, sizeof text,
                 HEAD EV("SUMMARY:%s\r\nDTSTART:20261123T090000Z\r\n") TAIL,
                 title);
        REQUIRE_INT(0, parse(&x, text, &all));
        REQUIRE_INT(1, (long long)x.count);
        keep = 252 - (252 - (size_t)shift) % 3;
        snprintf(want, sizeof want, "%.*s\xe2\x80\xa6", (int)keep, title);
        EXPECT_STR(want, x.events[0].title);
        EXPECT_INT((long long)keep + 3, x.events[0].title_len);
        EXPECT(strstr(x.notes, "title cut to 255 bytes: line 6\n") != NULL);
        exchange_free(&x);
    }
}

/* ---- damage ------------------------------------------------------------- */

/* A bit of everything. */
static const char everything[] = HEAD ZONE_DATES EV(
    "SUMMARY:A\\, b\r\nDTSTART;TZID=Plain:20261102T090000\r\n"
    "DTEND;TZID=Plain:20261102T100000\r\nLOCATION:x\r\n"
    "RRULE:FREQ=WEEKLY;INTERVAL=1;BYDAY=MO,WE;UNTIL=20261201T000000Z\r\n"
    "EXDATE;TZID=Plain:20261109T090000\r\nRDATE:20261112T090000Z\r\n"
    "BEGIN:VALARM\r\nTRIGGER:-PT5M\r\nEND:VALARM\r\n")
    EV("SUMMARY:na\xc3\r\n \xafve\r\nRECURRENCE-ID:20261116T080000Z\r\n"
       "DTSTART;VALUE=DATE:20261116\r\nDURATION:P1D\r\nSTATUS:"
       "CONFIRMED\r\n") "BEGIN:VTODO\r\nEND:VTODO\r\n" TAIL;

/* Good, or refused with a line that the text has; and fit for the store. */
static void check_result(const char *text, size_t len)
{
    struct exchange x;
    size_t lines = 1, line = 0;
    int err;

    why[0] = '\0';
    err = ics_parse(&x, text, len, &all, why, sizeof why);
    for (size_t i = 0; i < len; i++)
        lines += text[i] == '\n';
    if (err < 0) {
        EXPECT_INT(-EBADMSG, err);
        EXPECT(sscanf(why, "line %zu: ", &line) == 1);
        EXPECT(line >= 1 && line <= lines);
        EXPECT_INT(0, (long long)x.count);
    }
    for (size_t i = 0; i < x.count; i++) {
        const struct event *ev = &x.events[i];

        EXPECT(exchange_title_fault(ev->title) == NULL);
        EXPECT(exchange_times_fault(ev->start, ev->end) == NULL);
        EXPECT_INT((long long)strlen(ev->title), ev->title_len);
        EXPECT(x.tokens[i] != 0);
    }
    exchange_free(&x);
}

static void test_cut_off(const void *arg)
{
    struct exchange x;

    (void)arg;
    use_zone(BERLIN);
    REQUIRE_INT(0, parse(&x, everything, &all));
    EXPECT_INT(9, (long long)x.count);
    exchange_free(&x);
    for (size_t len = 0; len < sizeof everything - 1; len++) {
        bool complete = len >= sizeof everything - 3; /* CR LF may miss */

        why[0] = '\0';
        EXPECT_INT(complete && len != sizeof everything - 2 ? 0 : -EBADMSG,
                   ics_parse(&x, everything, len, &all, why, sizeof why));
        exchange_free(&x);
        check_result(everything, len);
    }
}

static void mutate(char *text, size_t *len)
{
    static const char spice[] = "\r\n :;,=\"\\\0\x7f\xff"
                                "09TZPBE-/";
    size_t at = (size_t)random() % *len, n = (size_t)random() % 20 + 1;

    if (n > *len - at)
        n = *len - at;
    switch (random() % 5) {
    case 0: text[at] = (char)random(); break;
    case 1: text[at] = spice[(size_t)random() % (sizeof spice - 1)]; break;
    case 2: /* cut a piece out */
        memmove(text + at, text + at + n, *len - at - n);
        *len -= n;
        break;
    case 3: /* say it twice */
        memmove(text + at + n, text + at, *len - at);
        *len += n;
        break;
    default: text[at] = text[(size_t)random() % *len]; break;
    }
}

static void test_mutations(const void *arg)
{
    static char text[2 * sizeof everything];

    (void)arg;
    use_zone(BERLIN);
    srandom(2);
    for (int round = 0; round < 6000; round++) {
        size_t len = sizeof everything - 1;

        memcpy(text, everything, len);
        for (long n = random() % 4 + 1; n > 0 && len > 100; n--)
            mutate(text, &len);
        check_result(text, len);
    }
}

/* JSON, the other kind of file, names its lines too. */
static void test_json_lines(const void *arg)
{
#define GOOD                                                                   \
    "{\"title\": \"[a\\\"{,\", \"start\": \"2026-11-23T09:00:00Z\",\n"         \
    "\"end\": \"2026-11-23T10:00:00Z\", \"more\": [1, {\"x\": [2, 3]}]}"
    static const struct {
        const char *text, *why;
    } bad[] = {
        {"[7]", "line 1: event 1: not an object"},
        {"\n[\n" GOOD ",\n\n" GOOD "\n,\n\"x\"\n\n]\n",
         "line 9: event 3: not an object"},
        {"[" GOOD ", " GOOD ",\n\n{\"title\":\n\"\"}]",
         "line 5: event 3: the title is empty"},
        {"[" GOOD ",\n" GOOD "\n", "line 5: a ',' or ']'"},
    };

    (void)arg;
    use_zone(BERLIN);
    for (size_t i = 0; i < LEN(bad); i++) {
        struct exchange x;

        EXPECT_INT(-EBADMSG,
                   exchange_parse(&x, bad[i].text, strlen(bad[i].text), why,
                                  sizeof why));
        harness_check(!strncmp(why, bad[i].why, strlen(bad[i].why)), false,
                      __FILE__, __LINE__, "'%s' instead of '%s'", why,
                      bad[i].why);
        exchange_free(&x);
    }
#undef GOOD
}

/* ---- another reader's opinion ------------------------------------------- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* As tests/ics_other.py prints them. The caller's. */
static char *sorted_rows(const struct exchange *x)
{
    char **rows = calloc(x->count, sizeof *rows), *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    REQUIRE(rows != NULL && out != NULL);
    for (size_t i = 0; i < x->count; i++) {
        char start[TIMESTAMP_SIZE], end[TIMESTAMP_SIZE];

        rows[i] = malloc(400);
        REQUIRE(rows[i] != NULL);
        snprintf(rows[i], 400, "%s %s %s",
                 timestamp_format(x->events[i].start, start),
                 timestamp_format(x->events[i].end, end), x->events[i].title);
    }
    qsort(rows, x->count, sizeof *rows, by_text);
    for (size_t i = 0; i < x->count; i++) {
        fprintf(out, "%s\n", rows[i]);
        free(rows[i]);
    }
    free(rows);
    REQUIRE_INT(0, fclose(out));
    return text;
}

/* What the other reader prints for this calendar; NULL when it isn't there.
 * The caller's. */
static char *other_reader(const char *text)
{
    char path[512], command[2000];
    char *got;
    size_t len;
    FILE *f;
    int code;

    snprintf(path, sizeof path, "%s/other.ics", harness_dir());
    REQUIRE((f = fopen(path, "w")) != NULL);
    fputs(text, f);
    REQUIRE_INT(0, fclose(f));
    /* The system's own has the packages, when the first in PATH hasn't. */
    snprintf(command, sizeof command,
             "for p in python3 /usr/bin/python3; do c=0; "
             "$p tests/ics_other.py %s >%s.txt 2>%s.err || c=$?; "
             "case $c in 77|126|127) ;; *) exit $c;; esac; done; exit 77",
             path, path, path);
    code = system(command);
    REQUIRE(WIFEXITED(code));
    code = WEXITSTATUS(code);
    if (code == 77 || access("tests/ics_other.py", R_OK) < 0)
        return NULL;
    EXPECT_INT(0, code);
    snprintf(path, sizeof path, "%s/other.ics.txt", harness_dir());
    REQUIRE((f = fopen(path, "r")) != NULL);
    REQUIRE_INT(0, exchange_load(f, &got, &len));
    fclose(f);
    got = realloc(got, len + 1);
    REQUIRE(got != NULL);
    got[len] = '\0';
    return got;
}

/* Both read the same in it; false when there is no other. */
static bool agree(const char *text)
{
    char *theirs = other_reader(text), *ours;
    struct exchange x;

    if (!theirs) {
        harness_skip("no python3 with icalendar and dateutil: 'apt-get install "
                     "python3-icalendar'");
        return false;
    }
    EXPECT_INT(0, parse(&x, text, &all));
    EXPECT_STR("", why);
    ours = sorted_rows(&x);
    EXPECT_STR(theirs, ours);
    exchange_free(&x);
    free(ours);
    free(theirs);
    return true;
}

/* What we write, another program reads as the same events. */
static void test_other_export(const void *arg)
{
    static char titles[TITLES][EVENT_TITLE_MAX + 1];
    struct event ev[TITLES] = {{0}};
    char *text;

    (void)arg;
    use_zone("UTC0");
    srandom(3);
    random_events(ev, TITLES, titles);
    ev[TITLES - 1].end = ev[TITLES - 1].start + 1; /* its datetime is shorter */
    for (size_t i = 0; i < TITLES; i++) /* it takes "\\n" for a line end */
        for (char *s = titles[i]; *s; s++)
            if (*s == '\\')
                *s = '/';
    text = write_text(ev, TITLES, false);
    agree(text);
    free(text);
}

#define ONE(number, start, rule)                                               \
    "BEGIN:VEVENT\r\nUID:" number "@x\r\nSUMMARY:" number "\r\nDTSTART" start  \
    "\r\nDURATION:PT1H\r\nRRULE:" rule "\r\n"
#define END "END:VEVENT\r\n"
#define MON ":20261102T090000Z"

/* What others write, we read as another program does. */
static void test_other_import(const void *arg)
{
    static const char weekly[] = HEAD ZONE_DATES ONE(
        "1", MON,
        "FREQ=WEEKLY;COUNT=5") END ONE("2", MON,
                                       "FREQ=WEEKLY;INTERVAL=3;BYDAY=SU,MO,WE;"
                                       "COUNT=9") END ONE("3", MON,
                                                          "FREQ=WEEKLY;"
                                                          "INTERVAL=2;WKST=TH;"
                                                          "BYDAY=SU,MO;COUNT=9")
        END ONE(
            "4", ";TZID=Plain:20261019T090000",
            "FREQ=WEEKLY;COUNT=3") "EXDATE;TZID=Plain:20261026T090000\r\n" END
            ONE("5", MON,
                "FREQ=WEEKLY;UNTIL=20261123T090000Z") "RDATE:20261105T090000Z,"
                                                      "20261106T090000Z\r\n" END
                                                      "BEGIN:VEVENT\r\nUID:1@"
                                                      "x\r\nRECURRENCE-ID:"
                                                      "20261109T090000Z\r\n"
                                                      "SUMMARY:"
                                                      "moved\r\nDTSTART:"
                                                      "20261110T090000Z\r\nDURA"
                                                      "TION:P1D\r\n" END
                                                      "BEGIN:VEVENT\r\nUID:1@"
                                                      "x\r\nRECURRENCE-ID:"
                                                      "20261116T090000Z\r\n"
                                                      "SUMMARY:off\r\nDTSTART:"
                                                      "20261116T090000Z\r\nDURA"
                                                      "TION:P1D\r\n"
                                                      "STATUS:CANCELLED\r\n" END
                                                          TAIL;

    (void)arg;
    use_zone("UTC0");
    agree(weekly);
}

/* The same of each kind of rule, but those that dateutil is wrong about: BYDAY
 * with and without numbers, and BYSETPOS in the week of the start. */
static void test_other_rules(const void *arg)
{
    static const struct {
        const char *start, *rule;
    } rules[] = {
        {"20261102", "DAILY;COUNT=5"},
        {"20261102", "DAILY;INTERVAL=10;UNTIL=20270301T000000Z"},
        {"20261102", "DAILY;BYDAY=MO,TU;BYMONTH=11,2;COUNT=12"},
        {"20261102", "DAILY;INTERVAL=2;BYMONTHDAY=2,-1,31;COUNT=9"},
        {"20261102", "DAILY;BYHOUR=9,8,17;BYSETPOS=-1;COUNT=4"},
        {"20261102", "WEEKLY;BYDAY=MO,FR;BYHOUR=9,14;COUNT=7"},
        {"20261102", "WEEKLY;INTERVAL=2;BYMONTH=1,11;COUNT=7"},
        {"20261101", "WEEKLY;INTERVAL=2;WKST=TU;BYDAY=MO,SU;COUNT=7"},
        {"20261102", "MONTHLY;BYDAY=1MO;COUNT=6"},
        {"20261130", "MONTHLY;BYDAY=-1MO;COUNT=6"},
        {"20261130", "MONTHLY;BYMONTHDAY=-1;COUNT=6"},
        {"20261130", "MONTHLY;INTERVAL=3;COUNT=6"},
        {"20261031", "MONTHLY;COUNT=6"},
        {"20261130", "MONTHLY;BYDAY=5MO;COUNT=6"},
        {"20261102", "MONTHLY;BYDAY=MO,TU,WE;BYSETPOS=1,-1;COUNT=6"},
        {"20261102", "MONTHLY;BYMONTHDAY=29,1,-6,-31;BYSETPOS=1,-1;COUNT=30"},
        {"20261113", "MONTHLY;BYDAY=FR;BYMONTHDAY=13;COUNT=4"},
        {"20261102", "YEARLY;COUNT=4"},
        {"20240229", "YEARLY;COUNT=3"},
        {"20240229", "YEARLY;BYMONTH=2,3;COUNT=5"},
        {"20261102", "YEARLY;BYMONTHDAY=2,-31;COUNT=12"},
        {"20261102", "YEARLY;BYMONTH=11,3;BYDAY=1MO;COUNT=6"},
        {"20261102", "YEARLY;BYMONTH=11,3;BYDAY=MO;BYSETPOS=2,-2;COUNT=6"},
        {"20261102", "YEARLY;BYDAY=9MO,-1SU;COUNT=6"},
        {"20261102", "YEARLY;INTERVAL=2;BYYEARDAY=306,-1,366,60;COUNT=9"},
        {"20261102", "YEARLY;BYMONTH=11,2;BYYEARDAY=60,-60,306,40;COUNT=9"},
        {"20261102", "YEARLY;BYYEARDAY=60,61,62,306;BYMONTHDAY=1,2;COUNT=9"},
        {"20261102", "YEARLY;BYWEEKNO=1,53,-1;BYDAY=MO,TH,SU;COUNT=20"},
        {"20261101", "YEARLY;BYWEEKNO=1,-2;WKST=SU;BYDAY=MO,SA,SU;COUNT=20"},
        {"20261102", "HOURLY;INTERVAL=5;COUNT=7"},
    };
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    (void)arg;
    REQUIRE(out != NULL);
    use_zone("UTC0");
    fputs(HEAD, out);
    for (size_t i = 0; i < LEN(rules); i++)
        fprintf(out,
                "BEGIN:VEVENT\r\nUID:%zu@x\r\nSUMMARY:%zu\r\n"
                "DTSTART:%sT090000Z\r\nDURATION:PT1H\r\nRRULE:FREQ=%s\r\n"
                "END:VEVENT\r\n",
                i, i, rules[i].start, rules[i].rule);
    fputs(TAIL, out);
    REQUIRE_INT(0, fclose(out));
    agree(text);
    free(text);
}

/* ---- the command line --------------------------------------------------- */

/* A shell line in the case's folder, where $L is the program: its exit code.
 * What it says goes to `out` and `err` there. */
static int shell(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int shell(const char *format, ...)
{
    char line[1024], command[6000];
    va_list ap;
    int status;

    va_start(ap, format);
    vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    snprintf(command, sizeof command,
             "cd '%s' && L='%s -t pipe --data d' && { %s; } >out 2>err",
             harness_dir(), harness_ipclab(), line);
    status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A file of the case's folder; at most 8 KiB. */
static const char *file(const char *name)
{
    static char text[8192];
    char path[512];
    size_t len = 0;
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", harness_dir(), name);
    f = fopen(path, "r");
    if (f) {
        len = fread(text, 1, sizeof text - 1, f);
        fclose(f);
    }
    text[len] = '\0';
    return text;
}

static void put_file(const char *name, const char *text)
{
    char path[512];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", harness_dir(), name);
    REQUIRE((f = fopen(path, "w")) != NULL);
    fputs(text, f);
    REQUIRE_INT(0, fclose(f));
}

static void test_cli(const void *arg)
{
    (void)arg;
    use_zone(BERLIN);
    put_file("a", everything); /* what it is, its name needn't say */
    EXPECT_INT(0, shell("$L import a"));
    EXPECT_STR("9 events imported\n", file("out"));
    EXPECT_STR("ipclab: note: 'a': LOCATION left out: line 23\n"
               "ipclab: note: 'a': VALARM left out: line 27\n"
               "ipclab: note: 'a': VTODO left out: line 40\n",
               file("err"));
    EXPECT_INT(0, shell("$L import - <a"));
    EXPECT_STR("0 events imported, 9 left alone: imported before (--again adds "
               "them anew)\n",
               file("out"));
    EXPECT_INT(0, shell("$L export b.ICS && $L export b.json && "
                        "$L export - --ics >c.ics && $L list --json >l1"));
    EXPECT(!strncmp(file("b.ICS"), "BEGIN:VCALENDAR\r\n", 17));
    EXPECT(!strncmp(file("c.ics"), "BEGIN:VCALENDAR\r\n", 17));
    EXPECT(!strncmp(file("b.json"), "[\n", 2));
    /* Another store takes it in, and this one knows what it wrote. */
    EXPECT_INT(0, shell("$L import b.ICS && $L --data e import b.ICS && "
                        "$L --data e export e.json && cmp b.json e.json"));
    EXPECT_STR("0 events imported, 9 left alone: imported before (--again adds "
               "them anew)\n9 events imported\n",
               file("out"));
    EXPECT_INT(0, shell("$L --data e import b.json"));
    EXPECT_STR("0 events imported, 9 left alone: imported before (--again adds "
               "them anew)\n",
               file("out"));
}

static void test_cli_range(const void *arg)
{
    (void)arg;
    use_zone(BERLIN);
    put_file("a.ics", everything);
    EXPECT_INT(0, shell("$L import a.ics --from 2026-11-16 --to 2026-11-18"));
    EXPECT_STR("1 event imported\n", file("out"));
    EXPECT(strstr(file("err"), "event outside of --from and --to left out") !=
           NULL);
    EXPECT_INT(65, shell("$L import a.ics --from soon"));
    EXPECT_INT(65, shell("$L import a.ics --from 2026-11-16 --to 2026-11-16"));
    EXPECT_INT(0, shell("$L export a.json"));
    EXPECT_INT(64, shell("$L import a.json --from 2026-11-16"));
}

/* Nothing of a damaged file comes in, and the line is named. */
static void test_cli_damage(const void *arg)
{
    (void)arg;
    use_zone(BERLIN);
    put_file("a.ics", everything);
    EXPECT_INT(65, shell("head -c 500 a.ics >b.ics; $L import b.ics"));
    EXPECT(strstr(file("err"), "ipclab: cannot import 'b.ics': line ") != NULL);
    EXPECT_INT(65, shell("sed 's/^DTSTART;VALUE=DATE:20261116/&7/' a.ics "
                         ">b.ics; $L import b.ics"));
    EXPECT_STR("ipclab: cannot import 'b.ics': line 36: DTSTART: not a time "
               "like 20261123T090000 or a date like 20261123\n",
               file("err"));
    EXPECT_INT(65, shell("tr -d ':' <a.ics | sed '1s/N/N:/' | $L import -"));
    EXPECT_STR("ipclab: cannot import '-': line 2: not NAME:VALUE; is the file "
               "cut off, or no calendar?\n",
               file("err"));
    EXPECT_INT(0, shell("$L list"));
    EXPECT_STR("", file("out"));
}

/* ---- the list ----------------------------------------------------------- */

static const struct test_case cases[] = {
    {"readings", test_readings, NULL, 0},
    {"endless", test_endless, NULL, 0},
    {"endless-and-dates", test_endless_and_dates, NULL, 0},
    {"endless-days", test_endless_days, NULL, 0},
    {"range", test_range, NULL, 0},
    {"refusals", test_refusals, NULL, 0},
    {"bombs", test_bombs, NULL, 120},
    {"written", test_written, NULL, 0},
    {"title-cut", test_title_cut, NULL, 0},
    {"round-trip", test_round_trip, NULL, 0},
    {"cut-off", test_cut_off, NULL, 60},
    {"mutations", test_mutations, NULL, 60},
    {"json-lines", test_json_lines, NULL, 0},
    {"other-export", test_other_export, NULL, 0},
    {"other-import", test_other_import, NULL, 0},
    {"other-rules", test_other_rules, NULL, 0},
    {"cli", test_cli, NULL, 60},
    {"cli-range", test_cli_range, NULL, 60},
    {"cli-damage", test_cli_damage, NULL, 60},
};

int main(int argc, char **argv)
{
    static const struct test_suite suite = {"ics", cases, LEN(cases), NULL};

    return harness_main(argc, argv, &suite);
}

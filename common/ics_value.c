/*
 * ics_value.c - what stands behind the colon: times, durations, text
 *
 * libical isn't asked: it takes the 31st of November, 24:61:99, -0010 as a
 * year, "01:00" as an offset of one minute, P9999999999W and bytes that aren't
 * UTF-8, each without an error.
 */
#include "ics_value.h"

#include "schedule.h"
#include "timestamp.h"
#include "utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- times -------------------------------------------------------------- */

const char *ics_read_when(const char *s, struct ics_when *out)
{
    char text[TIMESTAMP_SIZE] = "YYYY-MM-DDT00:00:00Z";
    size_t date = strspn(s, ICS_DIGITS);

    *out = (struct ics_when){.date = date == 8 && !s[8]};
    if (!out->date) {
        if (date != 8 || s[8] != 'T' || strspn(s + 9, ICS_DIGITS) != 6 ||
            (s[15] && strcmp(s + 15, "Z") != 0))
            return "not a time like 20261123T090000 or a date like 20261123";
        out->utc = s[15] == 'Z';
        memcpy(text + 11, s + 9, 2);
        memcpy(text + 14, s + 11, 2);
        memcpy(text + 17, strncmp(s + 13, "60", 2) ? s + 13 : "59", 2);
    }
    memcpy(text, s, 4);
    memcpy(text + 5, s + 4, 2);
    memcpy(text + 8, s + 6, 2);
    return timestamp_parse(text, &out->wall) < 0
               ? "this date or time of day doesn't exist"
               : NULL;
}

const char *ics_read_span(const char *s, struct ics_span *out)
{
    static const char fault[] = "not a duration like PT1H30M, or too long";
    static const char units[] = "WDTHMS";
    static const int64_t worth[] = {7, 1, 0, 3600, 60, 1};
    const char *left = units, *T = units + 2;
    bool minus = *s == '-';

    *out = (struct ics_span){0};
    s += minus || *s == '+';
    if (*s++ != 'P' || !*s)
        return fault;
    while (*s) {
        size_t n = strspn(s, ICS_DIGITS);
        const char *unit = s[n] ? strchr(left, s[n]) : NULL;

        /* Each once, in this order; H, M and S behind a T. */
        if (!unit || n > 7 || (n == 0) != (unit == T) || !s[n + (unit == T)] ||
            (unit > T && left <= T))
            return fault;
        *(unit < T ? &out->days : &out->seconds) +=
            strtol(s, NULL, 10) * worth[unit - units];
        left = unit + 1;
        s += n + 1;
    }
    return minus && (out->days || out->seconds) ? "it lasts less than nothing"
                                                : NULL;
}

const char *ics_read_offset(const char *s, int64_t *out)
{
    size_t n = *s ? strspn(s + 1, ICS_DIGITS) : 0;
    int h, m, sec = 0;

    if ((*s != '+' && *s != '-') || (n != 4 && n != 6) || s[1 + n] ||
        sscanf(s + 1, "%2d%2d%2d", &h, &m, &sec) < 2 || h > 23 || m > 59 ||
        sec > 59)
        return "not an offset like +0100";
    *out = (*s == '-' ? -1 : 1) * (h * 3600 + m * 60 + sec);
    return NULL;
}

/* ---- text --------------------------------------------------------------- */

/* Takes out backslashes; line ends and control characters become spaces: were
 * there any? */
static bool clean(char *text)
{
    const char *s = text, *end = text + strlen(text);
    char *to = text;
    bool found = false;

    while (s < end) {
        bool escaped = *s == '\\' && s + 1 < end;
        uint32_t point = 0;
        size_t step;

        s += escaped;
        step = utf8_next(s, (size_t)(end - s), &point);
        if (point < ' ' || (point >= 0x7f && point < 0xa0) ||
            (escaped && (point == 'n' || point == 'N'))) {
            *to++ = ' ';
            found = true;
        } else {
            memmove(to, s, step);
            to += step;
        }
        s += step ? step : 1; /* the whole line was found valid before */
    }
    *to = '\0';
    return found;
}

const char *ics_title(struct ics_file *f, const struct ics_prop *event)
{
    static const char dots[] = "\xe2\x80\xa6"; /* U+2026 */
    const struct ics_prop *p = ics_find(event, ICS_SUMMARY);
    size_t len;

    if (p && clean(p->value))
        ics_note(f, p->line,
                 "line end or control character of a title made a space");
    len = p ? strlen(p->value) : 0;
    if (len == 0 || event_title_blank(p->value, len)) {
        ics_note(f, p ? p->line : event->line,
                 "no SUMMARY: called \"(untitled)\"");
        return "(untitled)";
    }
    if (len > EVENT_TITLE_MAX) {
        ics_note(f, p->line, "title cut to %d bytes", EVENT_TITLE_MAX);
        len = EVENT_TITLE_MAX - (sizeof dots - 1);
        while (((unsigned char)p->value[len] & 0xc0) == 0x80)
            len--; /* not in the middle of a character */
        memcpy(p->value + len, dots, sizeof dots);
    }
    return p->value;
}

/*
 * ics_line.c - the lines of an iCalendar file
 *
 * A program that wrote half a file, or a person with an editor, is met here:
 * whatever isn't a line of RFC 5545 3.1 is an error with its number. Accepted
 * beyond that: LF alone for CR LF, empty lines, a missing last line end.
 */
#include "ics_line.h"

#include "utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- messages ----------------------------------------------------------- */

int ics_bad(const struct ics_why *why, size_t line, const char *format, ...)
{
    va_list ap;
    int n = snprintf(why->text, why->cap, "line %zu: ", line);

    va_start(ap, format);
    if (n > 0 && (size_t)n < why->cap)
        vsnprintf(why->text + n, why->cap - (size_t)n, format, ap);
    va_end(ap);
    return -EBADMSG;
}

char *ics_quote(char buf[ICS_QUOTE_SIZE], const char *text, size_t len)
{
    size_t n = 0, step;
    uint32_t point;

    for (; len > 0 && n < ICS_QUOTE_SIZE - 8; text += step, len -= step) {
        step = utf8_next(text, len, &point);
        if (step == 0 || point < ' ' || (point >= 0x7f && point < 0xa0)) {
            buf[n++] = '?';
            step = step ? step : 1;
        } else {
            memcpy(buf + n, text, step);
            n += step;
        }
    }
    snprintf(buf + n, ICS_QUOTE_SIZE - n, "%s", len ? "..." : "");
    return buf;
}

void *ics_grow(void *array, size_t *cap, size_t count, size_t size)
{
    size_t more = *cap ? 2 * *cap : 16;
    void *moved;

    if (count < *cap)
        return array;
    if (more > SIZE_MAX / size)
        return NULL;
    moved = realloc(array, more * size);
    if (moved)
        *cap = more;
    return moved;
}

/* ---- one line ----------------------------------------------------------- */

/* Joins a line with those that continue it: its length. */
static size_t join(struct ics_lines *t)
{
    char *start = t->at, *to = start;

    do {
        char *nl = memchr(t->at, '\n', (size_t)(t->end - t->at));
        char *stop = nl ? nl : t->end;
        size_t len = (size_t)(stop - t->at);

        if (len > 0 && stop[-1] == '\r' && nl)
            len--;
        memmove(to, t->at, len);
        to += len;
        t->at = nl ? nl + 1 : t->end;
        t->number++;
    } while (t->at < t->end && (*t->at == ' ' || *t->at == '\t') && t->at++);
    *to = '\0';
    return (size_t)(to - start);
}

/* NULL, or what is wrong with the characters. */
static const char *text_fault(const char *s, size_t len)
{
    while (len > 0) {
        uint32_t point;
        size_t step = utf8_next(s, len, &point);

        if (step == 0)
            return "not valid UTF-8";
        if (point == 0)
            return "a zero byte";
        if (point == '\r')
            return "a carriage return without a line end";
        s += step;
        len -= step;
    }
    return NULL;
}

static size_t name_length(const char *s)
{
    return strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                     "0123456789-");
}

/* Behind a parameter's value or values; NULL when a quote isn't closed. */
static char *value_end(char *s)
{
    while (*s && *s != ';' && *s != ':') {
        if (*s == '"')
            s = strchr(s + 1, '"');
        if (!s)
            return NULL;
        s++;
    }
    return s;
}

/* Cuts a line into its three parts. NULL or a sentence. */
static const char *split(struct ics_line *l, char *text)
{
    char *s = text + name_length(text);

    l->name = text;
    l->params = s;
    if (s == text || !*s)
        return "not NAME:VALUE; is the file cut off, or no calendar?";
    if (*s == ';')
        l->params = s + 1;
    while (*s == ';') {
        size_t len = name_length(s + 1);

        if (len == 0 || s[1 + len] != '=')
            return "not NAME;PARAMETER=VALUE:VALUE";
        *s = s == l->params - 1 ? '\0' : ';'; /* ends the name */
        s = value_end(s + len + 2);
        if (!s)
            return "a \" isn't closed";
    }
    if (*s != ':')
        return "not NAME:VALUE; is the file cut off, or no calendar?";
    if (l->params == s)
        l->params = s + 1 + strlen(s + 1); /* "" */
    *s = '\0';
    l->value = s + 1;
    return NULL;
}

int ics_next(struct ics_lines *t, struct ics_line *l, const struct ics_why *why)
{
    while (t->at < t->end) {
        char *text = t->at;
        const char *fault;
        bool goes_on = *text == ' ' || *text == '\t';
        size_t len;

        l->number = t->number + 1;
        len = join(t);
        if (strspn(text, " \t\r") == len)
            continue;
        fault = goes_on ? "it begins with a space, but continues nothing"
                        : text_fault(text, len);
        if (!fault)
            fault = split(l, text);
        return fault ? ics_bad(why, l->number, "%s", fault) : 1;
    }
    return 0;
}

/* ---- parameters --------------------------------------------------------- */

const char *ics_param(const char *params, const char *name, size_t *len)
{
    size_t want = strlen(name);

    while (*params) {
        size_t n = name_length(params);
        const char *value = params + n + 1, *end = value;
        bool quoted = false;

        for (; *end && (quoted || *end != ';'); end++)
            quoted ^= *end == '"';
        if (n == want && !strncasecmp(params, name, n)) {
            *len = (size_t)(end - value);
            if (*len >= 2 && *value == '"' && end[-1] == '"') {
                *len -= 2;
                value++;
            }
            return value;
        }
        params = *end ? end + 1 : end;
    }
    return NULL;
}

bool ics_param_is(const char *params, const char *name, const char *value)
{
    size_t len;
    const char *is = ics_param(params, name, &len);

    return is && len == strlen(value) && !strncasecmp(is, value, len);
}

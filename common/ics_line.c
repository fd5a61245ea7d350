/*
 * ics_line.c - the lines of an iCalendar file, and what is said about them
 *
 * A program that wrote half a file, or a person with an editor, is met here:
 * whatever isn't a line of RFC 5545 3.1 is an error with its number. Accepted
 * beyond that: LF alone for CR LF, empty lines, a missing last line end.
 */
#include "ics_file.h"

#include "utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- what is said ------------------------------------------------------- */

bool ics_bad(struct ics_file *f, size_t line, const char *format, ...)
{
    va_list ap;
    int n = snprintf(f->why, f->cap, "line %zu: ", line);

    va_start(ap, format);
    if (n > 0 && (size_t)n < f->cap)
        vsnprintf(f->why + n, f->cap - (size_t)n, format, ap);
    va_end(ap);
    f->err = -EBADMSG;
    return false;
}

void ics_note(struct ics_file *f, size_t line, const char *what, ...)
{
    char text[sizeof f->notes->what];
    size_t i = 0;
    va_list ap;

    va_start(ap, what);
    vsnprintf(text, sizeof text, what, ap);
    va_end(ap);
    while (i < f->note_count && strcmp(f->notes[i].what, text) != 0)
        i++;
    if (i == ICS_NOTES_MAX) /* the last one stands for all the rest */
        snprintf(f->notes[--i].what, sizeof text,
                 "more of other kinds left out");
    if (i == f->note_count) {
        memcpy(f->notes[i].what, text, sizeof text);
        f->notes[i].line = line;
        f->note_count++;
    }
    f->notes[i].count++;
}

char *ics_notes_text(const struct ics_file *f)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    bool good;

    if (!out)
        return NULL;
    for (size_t i = 0; i < f->note_count; i++) {
        const struct ics_note *n = &f->notes[i];

        if (n->count > 1)
            fprintf(out, "%s: %zu times, first in line %zu\n", n->what,
                    n->count, n->line);
        else
            fprintf(out, "%s: line %zu\n", n->what, n->line);
    }
    good = !ferror(out);
    if (fclose(out) == 0 && good)
        return text;
    free(text);
    return NULL;
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

void *ics_add(struct ics_file *f, struct ics_list *l, size_t size)
{
    if (l->count == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 16;
        void *more = cap > SIZE_MAX / size ? NULL : realloc(l->at, cap * size);

        if (!more) {
            f->err = -ENOMEM;
            return NULL;
        }
        l->at = more;
        l->cap = cap;
    }
    return (char *)l->at + l->count++ * size;
}

/* ---- one line ----------------------------------------------------------- */

/* Joins a line with those that continue it: its length. */
static size_t join(struct ics_file *f)
{
    char *start = f->next, *to = start;

    do {
        char *nl = memchr(f->next, '\n', (size_t)(f->end - f->next));
        char *stop = nl ? nl : f->end;
        size_t len = (size_t)(stop - f->next);

        if (len > 0 && stop[-1] == '\r' && nl)
            len--;
        memmove(to, f->next, len);
        to += len;
        f->next = nl ? nl + 1 : f->end;
        f->line++;
    } while (f->next < f->end && (*f->next == ' ' || *f->next == '\t') &&
             f->next++);
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
    char *end = text + name_length(text), *s = end;

    while (*s == ';') {
        size_t len = name_length(s + 1);

        if (len == 0 || s[1 + len] != '=')
            return "not NAME;PARAMETER=VALUE:VALUE";
        s = value_end(s + len + 2);
        if (!s)
            return "a \" isn't closed";
    }
    if (end == text || *s != ':')
        return "not NAME:VALUE; is the file cut off, or no calendar?";
    l->name = text;
    l->params = end < s ? end + 1 : s;
    l->value = s + 1;
    *end = *s = '\0';
    return NULL;
}

bool ics_line_read(struct ics_file *f, struct ics_line *l)
{
    while (f->next < f->end) {
        char *text = f->next;
        bool goes_on = *text == ' ' || *text == '\t';
        const char *fault;
        size_t len;

        l->number = f->line + 1;
        len = join(f);
        if (strspn(text, " \t\r") == len)
            continue;
        fault = goes_on ? "it begins with a space, but continues nothing"
                        : text_fault(text, len);
        if (!fault)
            fault = split(l, text);
        return !fault || ics_bad(f, l->number, "%s", fault);
    }
    return false;
}

/* ---- parts of a line ---------------------------------------------------- */

const char *ics_param(const char *params, const char *name, size_t *len)
{
    while (*params) {
        size_t n = name_length(params);
        const char *value = params + n + (params[n] == '='), *end = value;
        bool quoted = false;

        for (; *end && (quoted || *end != ';'); end++)
            quoted ^= *end == '"';
        if (n == strlen(name) && !strncasecmp(params, name, n)) {
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

char *ics_cut(char **rest, char sep)
{
    const char seps[] = {sep, '\0'};
    char *start = *rest;

    if (!*start)
        return NULL;
    *rest += strcspn(start, seps);
    if (**rest)
        *(*rest)++ = '\0';
    return start;
}

/*
 * text.c - see text.h
 */
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

void text_add(struct text *t, const char *format, ...)
{
    size_t room = t->cap - t->len;
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(t->at + t->len, room, format, args);
    va_end(args);
    if (n > 0)
        t->len += (size_t)n < room ? (size_t)n : room - 1;
}

const char *text_now(char at[TEXT_NOW])
{
    time_t now = time(NULL);
    struct tm tm;

    if (!gmtime_r(&now, &tm) ||
        !strftime(at, TEXT_NOW, "%Y-%m-%dT%H:%M:%SZ", &tm))
        at[0] = '\0';
    return at;
}

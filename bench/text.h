/*
 * text.h - a line put together piece by piece, never beyond its buffer
 */
#ifndef BENCH_TEXT_H
#define BENCH_TEXT_H

#include <stddef.h>

struct text {
    char *at;   /* the caller's buffer; always ends in NUL */
    size_t cap; /* its size in bytes, at least 1 */
    size_t len; /* so far, without the NUL */
};

/* Append; what doesn't fit is cut off. */
void text_add(struct text *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define TEXT_NOW 40 /* bytes of a date */

/* What time it is, as RFC 3339 has it; returns `at`. In UTC, which says nothing
 * about where the machine stands. */
const char *text_now(char at[TEXT_NOW]);

#endif

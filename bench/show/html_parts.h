/*
 * html_parts.h - what the files of the page share
 */
#ifndef BENCH_HTML_PARTS_H
#define BENCH_HTML_PARTS_H

#include "plan.h"

#include <stdio.h>

/* Text from outside, in an element or in a quoted attribute: escaped, and what
 * isn't UTF-8 or can't be printed as U+FFFD. */
void html_text(FILE *f, const char *s);

/* The section with all numbers. */
void html_tables(FILE *f, const struct plan *p);

#endif

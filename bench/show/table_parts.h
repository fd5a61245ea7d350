/*
 * table_parts.h - what the files of the tables share
 */
#ifndef BENCH_TABLE_PARTS_H
#define BENCH_TABLE_PARTS_H

#include "table.h"

#define TABLE_WIDTH 100 /* no line is longer, its colours not counted */
#define TABLE_PARTS 6   /* of a round trip: see table_why.c */
#define TABLE_SURE  0.9 /* coverage of an interval that may be compared */

/* Escape sequences; all "" without colour. */
struct style {
    const char *bold, *dim, *red, *off;
    const char *part[TABLE_PARTS];
};

/* What a table is printed on. */
struct sheet {
    FILE *f;
    const struct plan *p;
    const struct style *st;
};

/* ---- cells: at most 8 bytes where nothing else is said ------------------ */

/* "120 k"; "-" for NAN. */
const char *table_rate(char cell[TABLE_CELL], double per_s);
/* "2.0" */
const char *table_number(char cell[TABLE_CELL], double v);
/* Three digits without a unit: "1.05", "12.3", "130". */
const char *table_digits(char cell[TABLE_CELL], double v);
/* A whole number with commas: "1,048,576", 9 bytes. */
const char *table_thousands(char cell[TABLE_CELL], unsigned v);
/* "288 B", "1.50 KiB": at most 9 bytes. */
const char *table_bytes(char cell[TABLE_CELL], double v);
/* Half the interval's width in percent of the median: "3%". */
const char *table_spread(char cell[TABLE_CELL], const struct interval *i);
/* "1.05 (1.02-1.08)": at most 17 bytes. */
const char *table_ratio(char cell[TABLE_CELL], const struct interval *i);
/* System calls a request of a counted row; else "-". */
const char *table_calls(char cell[TABLE_CELL], const struct row *r);
/* What stands in place of a number: "EMSGSIZE", "FAILED", or "-" when it was
 * not measured. NULL when there are numbers. */
const char *table_no_number(const struct row *r);

/* ---- rows --------------------------------------------------------------- */

/* There is at least one good run, and nothing failed. */
bool table_measured(const struct row *r);
/* Its runs: fewer than the plan's when one is long, or after Ctrl-C. */
unsigned table_runs(const struct row *r);

/* Does it stand in a ranking? Those are of plain calls; of calls with a
 * deadline only where there is nothing else. */
bool table_ranked(const struct plan *p, const struct row *r);

/* "Blocking", and "blocking" with `small`. */
const char *table_wait(enum tp_wait wait, bool small);
/* "same CPU", for use inside a sentence. */
const char *table_place(enum place place);
/* "blocking, same CPU, get, 128 bytes, 1 client ..." without what `sweep`
 * changes; the base tables change wait policy and placement. */
#define TABLE_TEXT 300
const char *table_point(char text[TABLE_TEXT], const struct conditions *c,
                        enum sweep sweep);

/* Another item of the list in `text`: ", 3 at 1 MiB". */
void table_also(char text[TABLE_TEXT], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- sentences ---------------------------------------------------------- */

/* The words of `text` from column `at` on, wrapped at TABLE_WIDTH; all
 * further lines begin at column `hang`. Ends the line. */
void table_words(FILE *f, int at, int hang, const char *text);
/* A wrapped sentence, two columns in. */
void table_say(FILE *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A title in bold, after an empty line. */
void table_title(const struct sheet *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* "not available: EMSGSIZE, ..." or "FAILED: ..." behind `name`. */
void table_error(const struct sheet *s, const char *name, const struct row *r);

/* ---- rankings (table_compare.c) ----------------------------------------- */

struct table_line {
    const struct row *row;
    struct summary s;
};

/* The fastest first; what has no number last. */
void table_sort(struct table_line *l, size_t n);
/* No significant difference between l[i] and the one above it? */
bool table_same_as_above(const struct table_line *l, size_t i);
/* "shm is 3.12 +- 0.20 times faster than pipe (blocking, same CPU)" ... of a
 * sorted ranking. */
void table_comparison(const struct sheet *s, const struct table_line *l,
                      size_t n);

/* ---- the tables --------------------------------------------------------- */

void table_base(const struct sheet *s);
/* The price of a deadline under one wait policy. */
void table_prices(const struct sheet *s, enum tp_wait wait);
void table_why(const struct sheet *s);
void table_sweeps(const struct sheet *s);
void table_noise(const struct sheet *s, const struct machine *m);

/* ---- blocks of a sweep (table_block.c) ---------------------------------- */

#define TABLE_VALUES  64
#define TABLE_COLUMNS 24

/*
 * The rows of one sweep that are compared with each other: all conditions are
 * alike but the transport and what the sweep changes. Bare rows and the
 * direct call stand aside, in every block that they fit.
 */
struct table_block {
    const struct sheet *s;
    const struct row *first;               /* of the lab's rows */
    const struct row *value[TABLE_VALUES]; /* a row for each value; rising */
    size_t values;
    const char *column[TABLE_COLUMNS]; /* transports, as in the plan */
    size_t columns;
    bool bare; /* there are bare rows */
    bool pair; /* table_sweep.c: two numbers in a cell */
};

/* The lab itself, or a peer in its place? */
bool table_is_lab(const struct row *r);
bool table_same_block(const struct row *a, const struct row *b);
/* Is rows[at] the first of a block? */
bool table_begins_block(const struct plan *p, size_t at);
void table_lay_out(struct table_block *b, const struct sheet *s,
                   const struct row *first);
/* The row of a cell, or NULL when there is no such case. */
const struct row *table_row_at(const struct table_block *b,
                               const char *transport, const struct row *value,
                               bool bare);
/* What the sweep changed: "4,096", "100 us", "closed": at most 9 bytes. */
const char *table_value(char cell[TABLE_CELL], const struct row *r);
/* Below the table: why cells have no number; which cases had fewer runs. */
void table_errors(const struct sheet *s, const struct row *first);
void table_few_runs(const struct sheet *s, const struct row *first);

/* table_lines.c: a block with one line for each case. */
void table_rates(const struct sheet *s, const struct row *first);
void table_peers(const struct sheet *s, const struct row *first);

#endif

/*
 * plot_parts.h - what the files of the pictures share
 */
#ifndef BENCH_PLOT_PARTS_H
#define BENCH_PLOT_PARTS_H

#include "plot.h"

#define PLOT_ROWS 320 /* of one picture */
#define PLOT_BAR  30  /* height of a bar and its gap, or of a line of text */

struct chart;

/* ---- which rows a picture shows ----------------------------------------- */

typedef bool plot_alike(const struct row *a, const struct row *b);

/* Rows of one picture: what they don't share is the mechanism and what the
 * sweep changes. */
bool plot_same_picture(const struct row *a, const struct row *b);
/* Is it the first, among those that pictures show, of all that are alike? */
bool plot_is_first(const struct plan *p, const struct row *row,
                   plot_alike *same);
/* All that are like `first`, by what the sweep changes: how many. */
size_t plot_gather(const struct row *list[PLOT_ROWS], const struct plan *p,
                   const struct row *first, plot_alike *same);

/* ---- words -------------------------------------------------------------- */

/* "pipe", "pipe, bare". */
const char *plot_line_name(char name[PLOT_TITLE], const struct row *r);
/* Note why there is no number. Nothing for what this machine doesn't have. */
void plot_note(struct chart *c, const struct row *r, const char *where);
/* Title, sentence and conditions of a picture of the rows in list[n]. */
void plot_describe(struct chart *c, const char *title, const char *see,
                   const struct row *const *list, size_t n);

/* ---- the pictures that begin with a row: false when there is none ------- */

bool plot_curves(struct picture *out, const struct plan *p,
                 const struct row *first);
bool plot_breakdown(struct picture *out, const struct plan *p,
                    const struct row *first);
bool plot_ranges(struct picture *out, const struct plan *p,
                 const struct row *first, const char *title, const char *see);
/* Several: how many. list has room for PLOT_EACH. */
#define PLOT_EACH 2
size_t plot_lines(struct picture *list, const struct plan *p,
                  const struct row *first);

#endif

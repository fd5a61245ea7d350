/*
 * plot.h - the results as pictures: what gnuplot is asked to draw
 *
 * A mechanism has the same colour and the same marker in all of them; what is
 * set against it (bare, or counted from the send) is dashed. So nothing is
 * said by colour alone.
 */
#ifndef BENCH_PLOT_H
#define BENCH_PLOT_H

#include "plan.h"

#include <stdio.h>

#define PLOT_TITLE 120
#define PLOT_TEXT  400

struct picture {
    enum sweep sweep;
    char title[PLOT_TITLE];
    char conditions[PLOT_TEXT]; /* what is alike for all that it shows */
    const char *see;            /* one sentence: what to look at */
    char *notes;  /* owned: what is missing and why, a line each; or "" */
    char *script; /* owned: for gnuplot, without its `set terminal` */
    unsigned width, height;
};

/* All pictures that the plan has results for, in the order of the sweeps; the
 * caller frees with plot_free. NULL with *count 0 when there are none, or no
 * memory. */
struct picture *plot_pictures(const struct plan *p, size_t *count);
void plot_free(struct picture *list, size_t count);

/* The script with its terminal, an SVG of that size: the caller's to free.
 * NULL without memory. */
char *plot_svg_script(const struct picture *pic);

/* Every colour in the scripts, as svg.c names it, and what it should be on a
 * dark page: "0b4fa8", "#57a8ff". */
struct plot_colour {
    const char *light, *dark;
};
extern const struct plot_colour plot_colours[];
extern const size_t plot_colour_count;

/* The first ranking as percentile curves in letters, at most 100 columns wide:
 * for a person without a browser. Nothing when there is none. */
void plot_terminal(FILE *out, const struct plan *p, int columns);

#endif

/*
 * chart.h - one picture's script for gnuplot, while it is being written
 *
 *      $d0 << EOD               data, a block for each line
 *      2 4400
 *      EOD
 *      set xtics ...            axes
 *      plot $d0 with lines ..   what is drawn
 *
 * Axes are computed here, not by gnuplot: so their labels have units ("10 us")
 * and don't depend on its version.
 */
#ifndef BENCH_CHART_H
#define BENCH_CHART_H

#include "plot.h"

/* What an axis has to reach: the data seen so far; NAN = none. */
struct reach {
    double min, max;
};

struct chart {
    struct picture pic; /* what chart_close gives away */
    FILE *head, *what;  /* data and settings; what is drawn */
    FILE *notes;        /* a line each */
    char *head_text, *what_text, *notes_text;
    size_t head_len, what_len, notes_len;
    size_t blocks; /* of data */
    struct reach x, y;
};

enum unit { UNIT_NS, UNIT_RATE };

/* The look of a mechanism; of a peer by its place in the picture. */
struct look {
    const char *transport, *colour; /* "#0b4fa8" */
    int point;                      /* gnuplot's number of a marker */
};
const struct look *chart_look(const char *transport, size_t nth);

/* Colours for what isn't a mechanism. */
#define CHART_BLUE   "#0b4fa8"
#define CHART_RED    "#c64600"
#define CHART_GREEN  "#12a060"
#define CHART_PURPLE "#9a80cc"
#define CHART_BROWN  "#8a6400"
#define CHART_GREY   "#80707a"
#define CHART_BLACK  "#000000"
#define CHART_PAPER  "#ffffff" /* the page's */
#define CHART_GRID   "#c9cdd3"
#define CHART_SKY    "#56a0d3" /* these two only fill areas */
#define CHART_GOLD   "#e0a500"

/* False without memory; chart_close is needed all the same. */
bool chart_open(struct chart *c, enum sweep sweep);
/* The finished picture into *out, and true; false when nothing was drawn, or
 * without memory. */
bool chart_close(struct chart *c, struct picture *out);

/* A new block of data: print its lines to c->head, then chart_block_end. Its
 * number, for chart_draw. */
size_t chart_block(struct chart *c);
void chart_block_end(struct chart *c);
/* Draw block `d`: print how ("with lines") to c->what. */
void chart_draw(struct chart *c, size_t d);
/* ... and name it below the picture. */
void chart_key(struct chart *c, const char *name);

/* The axis has to reach this value too; NAN doesn't count. */
void chart_reach(struct reach *r, double v);

/* In single quotes, and only plain letters: gnuplot would give what stands
 * between backquotes to a shell. */
void chart_text(FILE *f, const char *text);
/* One "label position" of a list of tics. */
void chart_tic(struct chart *c, bool first, const char *label, double at);

/* Grid, frame, key. */
void chart_settings(struct chart *c);
/* The y axis for what c->y has reached. */
void chart_y(struct chart *c, const char *label, enum unit unit, bool log);
/* An x axis from c->x.min (0 when that is more) on, not logarithmic. */
void chart_x_linear(struct chart *c, const char *label, enum unit unit);
/* A logarithmic x axis of durations. */
void chart_x_log(struct chart *c, const char *label);

#endif

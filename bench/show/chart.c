/*
 * chart.c - see chart.h
 */
#include "chart.h"

#include "table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH  460 /* of a picture: text of 14 is readable on a phone then */
#define HEIGHT 350

/* ---- looks -------------------------------------------------------------- */

/* The colours of the five mechanisms stay apart (a distance of 24 and more in
 * CIE L*a*b*) in simulations of all three kinds of colour blindness, and stand
 * out 3:1 from the page; so do all others but the two that only fill areas. */
const struct plot_colour plot_colours[] = {
    {"0b4fa8", "#57a8ff"},      {"c64600", "#ff8c4a"},
    {"12a060", "#3ce090"},      {"9a80cc", "#e8b4ff"},
    {"8a6400", "#b8935a"},      {"80707a", "#a09a90"},
    {"56a0d3", "#3b7fb0"},      {"e0a500", "#f0c244"},
    {"ffffff", "var(--paper)"}, {"c9cdd3", "var(--grid)"},
};
const size_t plot_colour_count = sizeof plot_colours / sizeof plot_colours[0];

static const struct look looks[] = {
    {"pipe", CHART_BLUE, 7},     {"fifo", CHART_RED, 5},
    {"mqueue", CHART_GREEN, 9},  {"shm", CHART_PURPLE, 13},
    {"socket", CHART_BLACK, 11}, {"none", CHART_GREY, 6},
};

static const struct look others[] = {
    {NULL, CHART_BROWN, 6}, {NULL, CHART_GREY, 4},   {NULL, CHART_BLUE, 12},
    {NULL, CHART_RED, 8},   {NULL, CHART_GREEN, 10}, {NULL, CHART_PURPLE, 2},
};

const struct look *chart_look(const char *transport, size_t nth)
{
    for (size_t i = 0; i < sizeof looks / sizeof looks[0]; i++)
        if (strcmp(looks[i].transport, transport) == 0)
            return &looks[i];
    return &others[nth % (sizeof others / sizeof others[0])];
}

/* ---- from open to close ------------------------------------------------- */

bool chart_open(struct chart *c, enum sweep sweep)
{
    *c = (struct chart){
        .pic = {.sweep = sweep, .width = WIDTH, .height = HEIGHT},
        .x = {NAN, NAN},
        .y = {NAN, NAN}};
    c->head = open_memstream(&c->head_text, &c->head_len);
    c->what = open_memstream(&c->what_text, &c->what_len);
    c->notes = open_memstream(&c->notes_text, &c->notes_len);
    return c->head && c->what && c->notes;
}

/* The text is complete only then. */
static bool closed(FILE *f)
{
    return f && fclose(f) == 0;
}

bool chart_close(struct chart *c, struct picture *out)
{
    bool head = closed(c->head), what = closed(c->what);
    bool notes = closed(c->notes);
    size_t cap = c->head_len + c->what_len + sizeof "plot \n";

    if (head && what && notes && !(isnan(c->x.min) && isnan(c->y.min)))
        c->pic.script = malloc(cap);
    if (c->pic.script) {
        (void)snprintf(c->pic.script, cap, "%splot %s\n", c->head_text,
                       c->what_text);
        c->pic.notes = c->notes_text;
        c->notes_text = NULL; /* it is the picture's now */
        *out = c->pic;
    }
    free(c->head_text);
    free(c->what_text);
    free(c->notes_text);
    return c->pic.script != NULL;
}

/* ---- data and what is drawn --------------------------------------------- */

size_t chart_block(struct chart *c)
{
    (void)fprintf(c->head, "$d%zu << EOD\n", c->blocks);
    return c->blocks++;
}

void chart_block_end(struct chart *c)
{
    (void)fprintf(c->head, "EOD\n");
}

void chart_draw(struct chart *c, size_t d)
{
    (void)fflush(c->what); /* only then is what_len right */
    (void)fprintf(c->what, "%s$d%zu ", c->what_len ? ", \\\n     " : "", d);
}

void chart_key(struct chart *c, const char *name)
{
    (void)fprintf(c->what, " title ");
    chart_text(c->what, name);
}

void chart_reach(struct reach *r, double v)
{
    if (isnan(v))
        return;
    if (!(r->min <= v)) /* or it is NAN */
        r->min = v;
    if (!(r->max >= v))
        r->max = v;
}

void chart_text(FILE *f, const char *text)
{
    (void)fputc('\'', f);
    for (; *text; text++) {
        char k = *text;
        bool plain = (k >= 'a' && k <= 'z') || (k >= 'A' && k <= 'Z') ||
                     (k >= '0' && k <= '9') || strchr(" _.,:/()+-", k);

        (void)fputc(plain ? k : '?', f);
    }
    (void)fputc('\'', f);
}

/* ---- axes --------------------------------------------------------------- */

/* "10 us", "200 k", "0": short, and exact for what stands at a tic. */
static const char *unit_text(char cell[TABLE_CELL], enum unit unit, double v)
{
    static const struct {
        double from;
        const char *name[2]; /* of a duration, of a rate */
    } steps[] = {{1e9, {" s", " G"}},
                 {1e6, {" ms", " M"}},
                 {1e3, {" us", " k"}},
                 {1, {" ns", ""}}};
    double size = fabs(v);
    size_t i = 0;

    while (i < 3 && size < steps[i].from * 0.9999)
        i++;
    (void)snprintf(cell, TABLE_CELL, "%.4g%s", v / steps[i].from,
                   size > 0 ? steps[i].name[unit] : "");
    return cell;
}

void chart_tic(struct chart *c, bool first, const char *label, double at)
{
    (void)fputs(first ? "" : ", ", c->head);
    chart_text(c->head, label);
    (void)fprintf(c->head, " %.6g", at);
}

/* 1, 2, 3 ... 9 times each power of ten; 1, 2, 5 where that would be too many;
 * then only 1. */
static void log_tics(struct chart *c, char axis, double min, double max,
                     bool sparse)
{
    double span = log10(max / min) * (sparse ? 2 : 1);
    double power = pow(10, floor(log10(min)));
    bool all = span < 0.5, some = span < 3, first = true;
    char cell[TABLE_CELL];

    (void)fprintf(c->head, "set %ctics (", axis);
    for (; power <= max; power *= 10)
        for (unsigned k = 1; k < 10; k++) {
            bool wanted = all || k == 1 || (some && (k == 2 || k == 5));

            if (!wanted || k * power < min || k * power > max)
                continue;
            chart_tic(c, first, unit_text(cell, UNIT_NS, k * power), k * power);
            first = false;
        }
    (void)fprintf(c->head, ")\n");
}

/* 1, 2 or 5 times a power of ten, so that about five fit into `width`. */
static double linear_step(double width)
{
    double step = pow(10, floor(log10(width / 4)));

    if (width / step > 15)
        return 5 * step;
    return width / step > 7 ? 2 * step : step;
}

static void linear_tics(struct chart *c, char axis, double min, double max,
                        enum unit unit)
{
    double step = linear_step(max - min), at = ceil(min / step) * step;
    char cell[TABLE_CELL];

    (void)fprintf(c->head, "set %ctics (", axis);
    for (bool first = true; at <= max; at += step, first = false) {
        double v = fabs(at) < step / 2 ? 0 : at; /* not 1e-12 */

        chart_tic(c, first, unit_text(cell, unit, v), v);
    }
    (void)fprintf(c->head, ")\n");
}

void chart_settings(struct chart *c)
{
    (void)fprintf(c->head, "set grid back lc rgb '" CHART_GRID "' lw 0.5 dt 1\n"
                           "set border 3 lw 1\n"
                           "set tics nomirror scale 0.6\n"
                           "set key above samplen 2.5 spacing 1.1\n"
                           "set pointsize 0.75\n");
}

void chart_y(struct chart *c, const char *label, enum unit unit, bool log)
{
    double min = c->y.min / 1.15, max = c->y.max * 1.15;

    if (isnan(min))
        return; /* no data, no picture */
    (void)fprintf(c->head, "set ylabel ");
    chart_text(c->head, label);
    (void)fputc('\n', c->head);
    if (!log) {
        (void)fprintf(c->head, "set yrange [0:%.6g]\n", max);
        linear_tics(c, 'y', 0, max, unit);
        return;
    }
    if (max / min < 4) { /* a small difference shouldn't look like a large */
        min /= 1.4;
        max *= 1.4;
    }
    (void)fprintf(c->head, "set logscale y\nset yrange [%.6g:%.6g]\n", min,
                  max);
    log_tics(c, 'y', min, max, false);
}

/* Room on the right for the number at a bar's end. */
void chart_x_linear(struct chart *c, const char *label, enum unit unit)
{
    double min = c->x.min < 0 ? 1.1 * c->x.min : 0, max = 1.22 * c->x.max;

    (void)fprintf(c->head, "set xlabel ");
    chart_text(c->head, label);
    (void)fprintf(c->head, "\nset xrange [%.6g:%.6g]\n", min, max);
    linear_tics(c, 'x', min, max, unit);
}

void chart_x_log(struct chart *c, const char *label)
{
    double min = c->x.min / 1.2, max = c->x.max * 1.2;

    max *= pow(max / min, 0.25);
    (void)fprintf(c->head, "set xlabel ");
    chart_text(c->head, label);
    (void)fprintf(c->head, "\nset logscale x\nset xrange [%.6g:%.6g]\n", min,
                  max);
    log_tics(c, 'x', min, max, true);
}

/*
 * plot_curves.c - see plot_parts.h: how long a rare request takes
 *
 * Percentiles on a logarithmic tail: each further nine is as wide as the one
 * before it, so the rare requests, of which a mean says nothing, get most of
 * the picture.
 */
#include "plot_parts.h"

#include "chart.h"
#include "table_parts.h"

#include <math.h>

/* From 50 % on, five points for each halving of what is left. */
static unsigned next_percentile(unsigned p)
{
    unsigned step = (10000 - p) / 7;

    return p + (step ? step : 1);
}

/* A percentile's place on the axis: 2 for 50 %, 10 for 90 %, 100 for 99 %. */
static void add_curve(struct chart *c, const struct row *r, size_t nth)
{
    const struct look *look = chart_look(r->c.transport, nth);
    size_t d = chart_block(c);
    char name[PLOT_TITLE];

    for (unsigned p = P50; p < 10000; p = next_percentile(p)) {
        double at = 10000.0 / (10000 - p);
        double v = pool_percentile(r->dist, r->runs, p);

        if (isnan(v))
            break; /* too few samples beyond it */
        (void)fprintf(c->head, "%.6g %.6g\n", at, v);
        chart_reach(&c->x, at);
        chart_reach(&c->y, v);
    }
    chart_block_end(c);
    chart_draw(c, d);
    (void)fprintf(c->what, "with linespoints pi 8 lw 2 lc rgb '%s' pt %d",
                  look->colour, look->point);
    chart_key(c, plot_line_name(name, r));
}

static void percentile_axis(struct chart *c)
{
    static const struct {
        double at;
        const char *label;
    } tics[] = {
        {2, "50"}, {10, "90"}, {100, "99"}, {1000, "99.9"}, {10000, "99.99"}};

    (void)fprintf(c->head,
                  "set xlabel 'percent of the requests that took at most so "
                  "long'\nset logscale x\nset xrange [2:%.6g]\nset xtics (",
                  c->x.max > 10 ? c->x.max * 1.1 : 11);
    for (size_t i = 0; i < sizeof tics / sizeof tics[0]; i++)
        chart_tic(c, i == 0, tics[i].label, tics[i].at);
    (void)fprintf(c->head, ")\n");
}

bool plot_curves(struct picture *out, const struct plan *p,
                 const struct row *first)
{
    const struct row *list[PLOT_ROWS];
    size_t n = plot_gather(list, p, first, plot_same_picture);
    struct chart c;

    if (!chart_open(&c, first->sweep))
        return chart_close(&c, out);
    chart_settings(&c);
    plot_describe(
        &c, "Rare requests",
        "The further right, the rarer: a curve that stays flat serves its "
        "slowest requests nearly as fast as its usual ones.",
        list, n);
    for (size_t i = 0; i < n; i++)
        if (!table_measured(list[i]))
            plot_note(&c, list[i], "");
        else if (!isnan(pool_percentile(list[i]->dist, list[i]->runs, P50)))
            add_curve(&c, list[i], i);
    percentile_axis(&c);
    chart_y(&c, "round trip", UNIT_NS, true);
    return chart_close(&c, out);
}

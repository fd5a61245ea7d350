/*
 * plot_bars.c - see plot_parts.h: a bar for each mechanism
 *
 *   the parts of a round trip      |C|SSSSSS|B|WWWWWWWW|LLL|..| 4.42 us
 *   from p50 to p99, logarithmic              o=======| 6.85 us
 */
#include "plot_parts.h"

#include "chart.h"
#include "peer.h"
#include "table_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BARS_BESIDE 115 /* height of what isn't bars */

static void bar_rows(struct chart *c, size_t n)
{
    c->pic.height = (unsigned)(BARS_BESIDE + PLOT_BAR * n);
    (void)fprintf(c->head,
                  "set yrange [%zu.5:-0.5]\nunset grid\n"
                  "set grid x back lc rgb '" CHART_GRID "' lw 0.5 dt 1\n",
                  n - 1);
}

static const char *bar_name(char name[PLOT_TITLE], const struct row *r)
{
    (void)snprintf(name, PLOT_TITLE, "%.20s%s", r->c.transport,
                   r->c.sync ? ", on disk" : "");
    return name;
}

/* The names of the bars, from the top down. */
static void bar_names(struct chart *c, const struct row *const *list, size_t n)
{
    char name[PLOT_TITLE];

    (void)fprintf(c->head, "set ytics scale 0 (");
    for (size_t i = 0; i < n; i++) {
        chart_tic(c, i == 0, bar_name(name, list[i]), (double)i);
    }
    (void)fprintf(c->head, ")\n");
}

/* The numbers at the ends of the bars: block `d` has x, y and two words. */
static void bar_numbers(struct chart *c, size_t d)
{
    chart_draw(c, d);
    (void)fprintf(c->what, "using 1:2:(stringcolumn(3).' '.stringcolumn(4)) "
                           "with labels left offset 0.9,0 notitle");
}

/* ---- the parts of a round trip ------------------------------------------ */

/* Neighbours differ in lightness, and what wasn't measured is hatched. */
static const struct part {
    const char *name, *colour, *fill;
    size_t offset; /* in struct breakdown */
} parts[] = {
    {"codec, store", CHART_BLACK, "solid 1", offsetof(struct breakdown, codec)},
    {"system calls", CHART_SKY, "solid 1", offsetof(struct breakdown, calls)},
    {"copies", CHART_RED, "solid 1", offsetof(struct breakdown, copies)},
    {"waking up", CHART_BLUE, "solid 1", offsetof(struct breakdown, waking)},
    {"the lab", CHART_GOLD, "solid 1", offsetof(struct breakdown, own)},
    {"the rest", CHART_GREY, "pattern 2", offsetof(struct breakdown, rest)},
};
#define PARTS (sizeof parts / sizeof parts[0])

static double part_of(const struct breakdown *bd, size_t k)
{
    double v;

    memcpy(&v, (const char *)bd + parts[k].offset, sizeof v);
    return v;
}

/* Where part k of a bar begins: behind all before it that go the same way.
 * What is negative goes left from zero. */
static double part_from(const struct breakdown *bd, size_t k)
{
    double sum = 0;

    for (size_t i = 0; i < k; i++)
        if ((part_of(bd, i) < 0) == (part_of(bd, k) < 0))
            sum += part_of(bd, i);
    return sum;
}

static void add_part(struct chart *c, const struct breakdown *bd, size_t n,
                     size_t k)
{
    size_t d = chart_block(c);

    for (size_t i = 0; i < n; i++) {
        double from = part_from(&bd[i], k), to = from + part_of(&bd[i], k);

        (void)fprintf(c->head, "%.6g %zu %.6g %.6g %g %g\n", to, i,
                      from < to ? from : to, from < to ? to : from,
                      (double)i - 0.36, (double)i + 0.36);
        chart_reach(&c->x, to);
    }
    chart_block_end(c);
    chart_draw(c, d);
    (void)fprintf(c->what,
                  "with boxxyerror fc rgb '%s' fs %s border lc rgb '%s'",
                  parts[k].colour, parts[k].fill, CHART_PAPER);
    chart_key(c, parts[k].name);
}

/* p50, right of everything: parts that overlap reach beyond it. */
static void add_totals(struct chart *c, const struct breakdown *bd, size_t n)
{
    size_t d = chart_block(c);
    char cell[TABLE_CELL];

    for (size_t i = 0; i < n; i++) {
        double end = 0;

        for (size_t k = 0; k < PARTS; k++)
            end += part_of(&bd[i], k) > 0 ? part_of(&bd[i], k) : 0;
        (void)fprintf(c->head, "%.6g %zu %s\n", end, i,
                      table_time(cell, bd[i].total));
        chart_reach(&c->x, end);
    }
    chart_block_end(c);
    bar_numbers(c, d);
}

bool plot_breakdown(struct picture *out, const struct plan *p,
                    const struct row *first)
{
    const struct row *list[PLOT_ROWS];
    struct breakdown bd[PLOT_ROWS];
    size_t all = plot_gather(list, p, first, plot_same_picture), n = 0;
    struct chart c;

    for (size_t i = 0; i < all; i++)
        if (table_measured(list[i]) && plan_breakdown(&bd[n], p, list[i]))
            list[n++] = list[i];
    if (n == 0)
        return false;
    if (!chart_open(&c, first->sweep))
        return chart_close(&c, out);
    chart_settings(&c);
    plot_describe(
        &c, "Where the time goes",
        "Each part was measured by itself; together they make the p50 at the "
        "bar's end, from which what lies left of zero (parts that overlap, or "
        "noise) is taken away.",
        list, n);
    bar_rows(&c, n);
    (void)fprintf(c.head, "set key maxcols 3 samplen 1.5 font ',13'\n");
    bar_names(&c, list, n);
    for (size_t k = 0; k < PARTS; k++)
        add_part(&c, bd, n, k);
    add_totals(&c, bd, n);
    chart_x_linear(&c, "p50 of a round trip", UNIT_NS);
    return chart_close(&c, out);
}

/* ---- from p50 to p99 ---------------------------------------------------- */

struct range {
    const struct row *row;
    struct summary s;
};

static int by_p50(const void *a, const void *b)
{
    double x = ((const struct range *)a)->s.p50.mid;
    double y = ((const struct range *)b)->s.p50.mid;

    return (x > y) - (x < y);
}

/* On a logarithmic axis a bar from zero would mean nothing: its ends are p50
 * and p99. */
static void add_ranges(struct chart *c, const struct range *r, size_t n)
{
    size_t d = chart_block(c);
    char cell[TABLE_CELL];

    for (size_t i = 0; i < n; i++) {
        double p50 = r[i].s.p50.mid, end = fmax(p50, r[i].s.p99);

        (void)fprintf(c->head, "%.6g %zu %.6g %.6g %g %g\n", p50, i, p50, end,
                      (double)i - 0.28, (double)i + 0.28);
        chart_reach(&c->x, p50);
        chart_reach(&c->x, end);
    }
    chart_block_end(c);
    chart_draw(c, d);
    (void)fprintf(c->what, "with boxxyerror fc rgb '%s' fs solid 1 noborder",
                  CHART_SKY);
    chart_key(c, "p50 to p99");
    chart_draw(c, d);
    (void)fprintf(c->what, "using 1:2 with points pt 7 ps 0.8 lc rgb '%s'",
                  CHART_BLACK);
    chart_key(c, "p50");
    d = chart_block(c);
    for (size_t i = 0; i < n; i++)
        (void)fprintf(c->head, "%.6g %zu %s\n",
                      fmax(r[i].s.p50.mid, r[i].s.p99), i,
                      table_time(cell, r[i].s.p50.mid));
    chart_block_end(c);
    bar_numbers(c, d);
}

/* Nobody knows all peers by name. */
static void introduce(struct chart *c, const struct row *r)
{
    char why[CASE_WHY_MAX];
    const struct peer *peer = NULL;

    if (r->c.kind == KIND_PEER)
        peer = peer_find(r->c.transport, why, sizeof why);
    if (peer)
        (void)fprintf(c->notes, "%s: %s\n", peer->name, peer->blurb);
}

bool plot_ranges(struct picture *out, const struct plan *p,
                 const struct row *first, const char *title, const char *see)
{
    const struct row *list[PLOT_ROWS];
    struct range r[PLOT_ROWS];
    size_t all = plot_gather(list, p, first, plot_same_picture), n = 0;
    char name[PLOT_TITLE];
    struct chart c;

    if (!chart_open(&c, first->sweep))
        return chart_close(&c, out);
    chart_settings(&c);
    plot_describe(&c, title, see, list, all);
    for (size_t i = 0; i < all; i++) {
        plan_summary(&r[n].s, p, list[i]);
        r[n].row = list[i];
        if (table_measured(list[i]) && !isnan(r[n].s.p50.mid)) {
            introduce(&c, list[i]);
            if (isnan(r[n].s.p99))
                (void)fprintf(c.notes, "%s: too few samples for a p99\n",
                              bar_name(name, list[i]));
            n++;
        } else {
            plot_note(&c, list[i], "");
        }
    }
    qsort(r, n, sizeof r[0], by_p50);
    for (size_t i = 0; i < n; i++)
        list[i] = r[i].row;
    if (n > 0) {
        bar_rows(&c, n);
        bar_names(&c, list, n);
        add_ranges(&c, r, n);
        chart_x_log(&c, "p50, and up to p99");
    }
    return chart_close(&c, out);
}

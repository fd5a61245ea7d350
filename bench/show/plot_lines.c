/*
 * plot_lines.c - see plot_parts.h: a number over what a sweep changes
 *
 * A line for each mechanism. What is set against it has its colour and marker
 * and is dashed: the bare mechanism, or the same requests timed otherwise. A
 * cross marks where a mechanism stops.
 */
#include "plot_parts.h"

#include "chart.h"
#include "table_parts.h"

#include <math.h>
#include <string.h>

/* Rows of one line, whatever the sweep changes. */
static bool same_line(const struct row *a, const struct row *b)
{
    return plot_same_picture(a, b) && a->c.kind == b->c.kind &&
           a->c.deadline_ms == b->c.deadline_ms &&
           strcmp(a->c.transport, b->c.transport) == 0;
}

/* ---- which lines there are ---------------------------------------------- */

/* What is drawn over what a sweep changes. */
struct lines {
    enum sweep sweep;
    const char *title, *see, *x, *y; /* x, y: the axes */
    const char *of;                  /* "stops at 64 clients" */
    enum unit unit;
    bool log; /* the y axis; x always is */
    double (*value)(const struct summary *s, const struct row *r);
    double (*second)(const struct summary *s, const struct row *r); /* dashed */
    const char *names[2]; /* of both, where there is a second */
};

static double p50(const struct summary *s, const struct row *r)
{
    (void)r;
    return s->p50.mid;
}

static double p99(const struct summary *s, const struct row *r)
{
    (void)r;
    return s->p99;
}

/* A closed loop sends when it is due. */
static double sent_p99(const struct summary *s, const struct row *r)
{
    return r->c.rate > 0 ? s->service_p99 : s->p99;
}

static double rate(const struct summary *s, const struct row *r)
{
    (void)r;
    return s->requests_per_s.mid;
}

static double worst_p99(const struct summary *s, const struct row *r)
{
    return r->c.clients > 1 ? s->client_p99_worst : s->p99;
}

static const struct lines all_lines[] = {
    {.sweep = SWEEP_SIZE,
     .title = "Size of a message",
     .see = "Where a line leaves its flat part the bytes cost more than the "
            "call; from the dashed line (the mechanism alone) up to the solid "
            "one is what the lab adds; a cross: here it stops.",
     .x = "size of the message, there and back",
     .of = "bytes",
     .y = "p50",
     .log = true,
     .value = p50},
    {.sweep = SWEEP_CLIENTS,
     .title = "More clients: throughput",
     .see = "A line that no longer rises has found its bottleneck: one server, "
            "and here one CPU for all.",
     .x = "clients",
     .of = "clients",
     .y = "requests a second",
     .unit = UNIT_RATE,
     .value = rate},
    {.sweep = SWEEP_CLIENTS,
     .title = "More clients: who waits longest",
     .see = "Twice the clients should wait about twice as long; a line that "
            "climbs faster leaves somebody behind.",
     .x = "clients",
     .of = "clients",
     .y = "p99 of the worst-off client",
     .log = true,
     .value = worst_p99},
    {.sweep = SWEEP_DEPTH,
     .title = "More requests in flight",
     .see = "With several requests on the way, being woken once serves many of "
            "them: the line rises until a buffer is full or the server is "
            "busy.",
     .x = "requests in flight",
     .of = "in flight",
     .y = "requests a second",
     .unit = UNIT_RATE,
     .value = rate},
    {.sweep = SWEEP_THINK,
     .title = "After a pause",
     .see = "What a client pays that asks only now and then: after a pause the "
            "caches are cold and the CPU may be asleep.",
     .x = "pause before each request",
     .of = "of pause",
     .y = "p50",
     .log = true,
     .value = p50},
    {.sweep = SWEEP_RATE,
     .title = "Open loop: requests come when they come",
     .see = "Solid counts from the moment a request was due, dashed from when "
            "it was sent: the gap is the queue that a closed loop doesn't see "
            "(coordinated omission).",
     .x = "requests due a second",
     .of = "requests a second",
     .y = "p99",
     .log = true,
     .value = p99,
     .second = sent_p99,
     .names = {"since due", "since sent"}},
    {.sweep = SWEEP_EVENTS,
     .title = "Size of the store",
     .see = "A flat line finds an event among a million as fast as among a "
            "thousand; none is the store alone, without a mechanism.",
     .x = "events in the store",
     .of = "events",
     .y = "p50",
     .log = true,
     .value = p50},
};

/* A value's place on the logarithmic axis; 0 stands left of all others. */
static double place_of(double value, double least)
{
    return value > 0 ? value : least / 3;
}

static double least_value(const struct row *const *list, size_t n)
{
    double least = INFINITY;

    for (size_t i = 0; i < n; i++)
        if (list[i]->value > 0 && list[i]->value < least)
            least = list[i]->value;
    return isinf(least) ? 1 : least;
}

/* Edges lie side by side (4,095, 4,096, 4,097): of sizes only 1, 16, 256 ...
 * get a label. */
static bool has_label(const struct row *r)
{
    unsigned v = (unsigned)r->value;

    return r->sweep != SWEEP_SIZE || ((v & (v - 1)) == 0 && v % 15 == 1);
}

/* Short, so that 64 KiB and 1 MiB have room side by side. */
static const char *tic_text(char cell[TABLE_CELL], const struct row *r)
{
    unsigned v = (unsigned)r->value;

    if (r->sweep != SWEEP_SIZE)
        return table_value(cell, r);
    if (v < 1024)
        (void)snprintf(cell, TABLE_CELL, "%u B", v);
    else if (v < 1024 * 1024)
        (void)snprintf(cell, TABLE_CELL, "%u KiB", v / 1024);
    else
        (void)snprintf(cell, TABLE_CELL, "%u MiB", v / 1024 / 1024);
    return cell;
}

/* The tics are values that were measured, as far apart as their labels need. */
static void value_axis(struct chart *c, const struct row *const *list, size_t n,
                       const char *label)
{
    double least = least_value(list, n), last = 0;
    double min = place_of(list[0]->value, least);
    double max = place_of(list[n - 1]->value, least);
    double apart = pow(max / min, 0.13);
    char cell[TABLE_CELL];

    (void)fprintf(c->head, "set xlabel ");
    chart_text(c->head, label);
    (void)fprintf(c->head, "\nset logscale x\nset xrange [%.6g:%.6g]\n",
                  min / 1.2, max * 1.2);
    (void)fprintf(c->head, "set xtics (");
    for (size_t i = 0; i < n; i++) {
        double at = place_of(list[i]->value, least);

        if (!has_label(list[i]) || at < last * apart)
            continue;
        chart_tic(c, last < min, tic_text(cell, list[i]), at);
        last = at;
    }
    (void)fprintf(c->head, ")\n");
}

/* One line's points; the block has none when nothing was measured. */
static size_t line_block(struct chart *c, const struct plan *p,
                         const struct row *const *list, size_t n, double least,
                         double (*value)(const struct summary *,
                                         const struct row *))
{
    size_t d = chart_block(c);

    for (size_t i = 0; i < n; i++) {
        struct summary s;
        double v;

        if (!table_measured(list[i]))
            continue;
        plan_summary(&s, p, list[i]);
        v = value(&s, list[i]);
        if (isnan(v))
            continue;
        (void)fprintf(c->head, "%.6g %.6g\n", place_of(list[i]->value, least),
                      v);
        chart_reach(&c->y, v);
    }
    chart_block_end(c);
    return d;
}

/* Where a mechanism stops: dotted from its last value to a cross. */
static void add_stop(struct chart *c, const struct plan *p,
                     const struct row *const *list, size_t n, double least,
                     const struct lines *l)
{
    const struct look *look = chart_look(list[0]->c.transport, 0);
    char where[PLOT_TITLE], cell[TABLE_CELL];
    double last = NAN, last_at = NAN;
    struct summary s;
    size_t i, d;

    for (i = 0; i < n && !list[i]->error; i++)
        if (table_measured(list[i])) {
            plan_summary(&s, p, list[i]);
            last = l->value(&s, list[i]);
            last_at = place_of(list[i]->value, least);
        }
    if (i == n)
        return;
    (void)snprintf(where, sizeof where, " stops at %s %s",
                   table_value(cell, list[i]), l->of);
    plot_note(c, list[i], where);
    if (isnan(last))
        return;
    d = chart_block(c);
    (void)fprintf(c->head, "%.6g %.6g\n%.6g %.6g\n", last_at, last,
                  place_of(list[i]->value, least), last);
    chart_block_end(c);
    chart_draw(c, d);
    (void)fprintf(c->what, "with lines lw 1 dt 3 lc rgb '%s' notitle",
                  look->colour);
    chart_draw(c, d);
    (void)fprintf(c->what,
                  "every ::1 with points pt 2 ps 1.5 lw 2 lc rgb '%s' notitle",
                  look->colour);
}

/* Only solid lines are named: dashed ones have the same colour and marker. */
static void add_line(struct chart *c, const struct plan *p,
                     const struct row *const *list, size_t n, double least,
                     const struct lines *l, size_t nth)
{
    const struct look *look = chart_look(list[0]->c.transport, nth);
    bool bare = list[0]->c.kind == KIND_BARE;
    size_t d = line_block(c, p, list, n, least, l->value);

    chart_draw(c, d);
    (void)fprintf(c->what,
                  "with linespoints pi %d lw %d dt %d lc rgb '%s' pt %d",
                  l->sweep == SWEEP_SIZE ? 4 : 1, bare ? 1 : 2, bare ? 2 : 1,
                  look->colour, look->point);
    if (bare)
        (void)fprintf(c->what, " notitle");
    else
        chart_key(c, list[0]->c.transport);
    if (l->second) {
        d = line_block(c, p, list, n, least, l->second);
        chart_draw(c, d);
        (void)fprintf(c->what,
                      "with linespoints lw 1.5 dt 2 lc rgb '%s' pt %d notitle",
                      look->colour, look->point);
    }
}

/* What solid and dashed stand for: two lines of no data in the key. */
static void add_dashes(struct chart *c, const char *const names[2])
{
    for (int i = 0; i < 2; i++) {
        (void)fflush(c->what);
        (void)fprintf(c->what, "%sNaN with lines lw 1.5 dt %d lc rgb '%s'",
                      c->what_len ? ", \\\n     " : "", i + 1, CHART_GREY);
        chart_key(c, names[i]);
    }
}

static bool has_kind(const struct row *const *list, size_t n, enum kind kind)
{
    for (size_t i = 0; i < n; i++)
        if (list[i]->c.kind == kind && table_measured(list[i]))
            return true;
    return false;
}

/* All lines, or the marks where they stop: those over the lines. */
static void draw_lines(struct chart *c, const struct plan *p,
                       const struct row *const *all, size_t n,
                       const struct lines *l, bool stops)
{
    const struct row *list[PLOT_ROWS];
    double least = least_value(all, n);
    size_t nth = 0;

    for (size_t i = 0; i < p->count; i++) {
        const struct row *r = &p->rows[i];
        size_t of_line;

        if (!plot_same_picture(r, all[0]) || !plot_is_first(p, r, same_line))
            continue;
        of_line = plot_gather(list, p, r, same_line);
        if (stops)
            add_stop(c, p, list, of_line, least, l);
        else if (has_kind(list, of_line, r->c.kind))
            add_line(c, p, list, of_line, least, l, nth++);
    }
}

/* Their key needs another line. */
static void draw_keys(struct chart *c, const struct row *const *all, size_t n,
                      const struct lines *l)
{
    static const char *const bare[2] = {"the lab", "bare"};

    if (!l->second && !has_kind(all, n, KIND_BARE))
        return;
    add_dashes(c, l->second ? l->names : bare);
    c->pic.height += PLOT_BAR;
}

static bool make_lines(struct picture *out, const struct plan *p,
                       const struct row *first, const struct lines *l)
{
    const struct row *list[PLOT_ROWS];
    size_t n = plot_gather(list, p, first, plot_same_picture);
    struct chart c;

    if (!(list[0]->value < list[n - 1]->value))
        return false; /* one value is no line: the table has it */
    if (!chart_open(&c, first->sweep))
        return chart_close(&c, out);
    chart_settings(&c);
    plot_describe(&c, l->title, l->see, list, n);
    draw_lines(&c, p, list, n, l, false);
    draw_lines(&c, p, list, n, l, true);
    draw_keys(&c, list, n, l);
    value_axis(&c, list, n, l->x);
    chart_y(&c, l->y, l->unit, l->log);
    return chart_close(&c, out);
}

size_t plot_lines(struct picture *list, const struct plan *p,
                  const struct row *first)
{
    size_t n = 0;

    for (size_t i = 0; i < sizeof all_lines / sizeof all_lines[0]; i++)
        if (all_lines[i].sweep == first->sweep && n < PLOT_EACH)
            n += make_lines(&list[n], p, first, &all_lines[i]);
    return n;
}

/*
 * table.c - see table.h
 */
#include "table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WIDTH    98 /* of a line, without its colours */
#define ROWS_MAX 32 /* of one ranking */

/* ---- cells -------------------------------------------------------------- */

/* Three digits that count. */
static void scaled(char cell[TABLE_CELL], double v, const char *unit)
{
    int digits = v < 9.995 ? 2 : v < 99.95 ? 1 : 0;

    (void)snprintf(cell, TABLE_CELL, "%.*f %s", digits, v, unit);
}

const char *table_time(char cell[TABLE_CELL], double ns)
{
    if (isnan(ns))
        (void)snprintf(cell, TABLE_CELL, "-");
    else if (ns < 999.5)
        (void)snprintf(cell, TABLE_CELL, "%.0f ns", ns);
    else if (ns < 999.5e3)
        scaled(cell, ns / 1e3, "us");
    else if (ns < 999.5e6)
        scaled(cell, ns / 1e6, "ms");
    else
        scaled(cell, ns / 1e9, "s");
    return cell;
}

static const char *rate(char cell[TABLE_CELL], double per_s)
{
    if (isnan(per_s))
        (void)snprintf(cell, TABLE_CELL, "-");
    else if (per_s < 999.5)
        (void)snprintf(cell, TABLE_CELL, "%.0f", per_s);
    else if (per_s < 999.5e3)
        scaled(cell, per_s / 1e3, "k");
    else
        scaled(cell, per_s / 1e6, "M");
    return cell;
}

static const char *number(char cell[TABLE_CELL], double v)
{
    (void)snprintf(cell, TABLE_CELL, isnan(v) ? "-" : "%.1f", v);
    return cell;
}

/* Half the interval's width in percent of the median. */
static const char *spread(char cell[TABLE_CELL], const struct interval *i)
{
    if (isnan(i->mid) || i->n < 2)
        (void)snprintf(cell, TABLE_CELL, "-");
    else
        (void)snprintf(cell, TABLE_CELL, "%.0f%%",
                       50 * (i->high - i->low) / i->mid);
    return cell;
}

static const char *ratio(char cell[TABLE_CELL], const struct interval *i)
{
    if (isnan(i->mid))
        (void)snprintf(cell, TABLE_CELL, "-");
    else if (i->n < 2)
        (void)snprintf(cell, TABLE_CELL, "%.2f", i->mid);
    else
        (void)snprintf(cell, TABLE_CELL, "%.2f (%.2f-%.2f)", i->mid, i->low,
                       i->high);
    return cell;
}

/* ---- colour ------------------------------------------------------------- */

bool table_colour(FILE *f)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

    return isatty(fileno(f)) && !(no && *no) &&
           !(term && strcmp(term, "dumb") == 0);
}

struct style {
    const char *bold, *dim, *red, *off;
};

static const struct style *style_of(bool colour)
{
    static const struct style on = {"\033[1m", "\033[2m", "\033[31m",
                                    "\033[0m"};
    static const struct style off = {"", "", "", ""};

    return colour ? &on : &off;
}

/* ---- one ranking -------------------------------------------------------- */

struct line {
    const struct row *row;
    struct summary s;
};

static double sort_value(const struct line *l)
{
    /* What has no number stands last. */
    return l->row->error || isnan(l->s.p50.mid) ? INFINITY : l->s.p50.mid;
}

static int by_p50(const void *a, const void *b)
{
    double x = sort_value(a), y = sort_value(b);

    return (x > y) - (x < y);
}

static void print_head(FILE *f, const struct style *st)
{
    (void)fprintf(f, "%s  %-8s%8s%5s%8s%8s%8s%8s%7s%8s%7s%6s %s%s\n", st->dim,
                  "", "p50", "+-", "p90", "p99", "p99.9", "max", "req/s",
                  "CPU/req", "switch", "calls", "p50 / bare", st->off);
}

/* Why there are no numbers, wrapped at the table's width. */
static void print_error(FILE *f, const struct style *st, const struct row *r,
                        const char *mark, const char *name)
{
    const char *word = r->why;
    int at =
        fprintf(f, "%s%s %-8s  %s: %s", r->expected ? "" : st->red, mark, name,
                r->expected ? "not available" : "FAILED", error_name(r->error));

    (void)fputs(*word ? "," : "", f);
    while (*word) {
        int len = (int)strcspn(word, " ");

        if (at + 1 + len > WIDTH)
            at = fprintf(f, "\n%11s%.*s", " ", len, word);
        else
            at += fprintf(f, " %.*s", len, word);
        word += len;
        word += strspn(word, " ");
    }
    (void)fprintf(f, "%s\n", st->off);
}

static void print_line(FILE *f, const struct style *st, const struct line *l,
                       const char *mark, const char *name)
{
    const struct summary *s = &l->s;
    char c[11][TABLE_CELL];

    if (l->row->error) {
        print_error(f, st, l->row, mark, name);
        return;
    }
    (void)fprintf(f, "%s %-8s%s%8s%s%5s%8s%8s%8s%8s%7s%8s%7s%6s %s\n", mark,
                  name, st->bold, table_time(c[0], s->p50.mid), st->off,
                  spread(c[1], &s->p50), table_time(c[2], s->p90),
                  table_time(c[3], s->p99), table_time(c[4], s->p999),
                  table_time(c[5], s->max), rate(c[6], s->requests_per_s),
                  table_time(c[7], s->cpu_ns), number(c[8], s->switches),
                  number(c[9], s->syscalls), ratio(c[10], &s->to_bare));
}

/* A transport's row and, below it, its floor. */
static void print_pair(FILE *f, const struct style *st, const struct plan *p,
                       const struct line *l, const char *mark)
{
    const struct row *bare = plan_twin(p, l->row, KIND_BARE, -1);

    print_line(f, st, l, mark, l->row->c.transport);
    if (bare && bare != l->row) {
        struct line floor = {.row = bare};

        plan_summary(&floor.s, p, bare);
        (void)fputs(st->dim, f);
        print_line(f, style_of(false), &floor, " ", "  bare");
        (void)fputs(st->off, f);
    }
}

/* The rows of one ranking: 0 when there are none. */
static size_t gather(struct line *lines, const struct plan *p,
                     enum tp_wait wait, enum place place)
{
    size_t n = 0;

    for (size_t i = 0; i < p->count && n < ROWS_MAX; i++) {
        const struct row *r = &p->rows[i];

        if (r->c.kind != KIND_LAB || r->c.wait != wait || r->c.place != place ||
            r->c.deadline_ms >= 0)
            continue;
        lines[n].row = r;
        plan_summary(&lines[n++].s, p, r);
    }
    qsort(lines, n, sizeof lines[0], by_p50);
    return n;
}

/* The direct call belongs to no ranking: it goes nowhere. */
static void print_none(FILE *f, const struct style *st, const struct plan *p)
{
    if (p->count && p->rows[0].c.kind == KIND_NONE) {
        struct line l = {.row = &p->rows[0]};

        plan_summary(&l.s, p, l.row);
        print_line(f, st, &l, " ", "none");
    }
}

/* False when it would be the same on another day: say so, instead of letting
 * the order speak. */
static bool same_as_above(const struct line *l, size_t i)
{
    return i > 0 && !isinf(sort_value(&l[i])) &&
           !interval_differ(&l[i - 1].s.p50, &l[i].s.p50);
}

static void print_ranking(FILE *f, const struct style *st, const struct plan *p,
                          const struct line *lines, size_t n)
{
    bool ties = false;

    print_head(f, st);
    if (lines[0].row->c.wait != TP_SPIN || lines[0].row->c.place != PLACE_SAME)
        print_none(f, st, p);
    for (size_t i = 0; i < n; i++) {
        bool tie = same_as_above(lines, i);

        print_pair(f, st, p, &lines[i], tie ? "~" : " ");
        ties |= tie;
    }
    if (ties && n && lines[0].s.p50.coverage < 0.9)
        (void)fprintf(f, "%s  ~ too few runs to say which is faster%s\n",
                      st->dim, st->off);
    else if (ties)
        (void)fprintf(f,
                      "%s  ~ no significant difference from the row "
                      "above%s\n",
                      st->dim, st->off);
}

/* Two spinners on one CPU. Few samples: say how many. */
static void print_counter_example(FILE *f, const struct line *lines, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!lines[i].row->error)
            (void)fprintf(f,
                          "  The counter-example to \"%s is always fast\": "
                          "while one side spins, the other can't run.\n"
                          "  They take turns by time slice. Only %llu round "
                          "trips fitted into %u runs.\n",
                          lines[i].row->c.transport,
                          (unsigned long long)lines[i].s.samples,
                          lines[i].row->runs);
}

static void print_place(FILE *f, const struct style *st, const struct plan *p,
                        enum tp_wait wait, enum place place)
{
    static const char *const titles[] = {"same CPU: both processes share one",
                                         "other CPU: one process on each"};
    struct line lines[ROWS_MAX];
    size_t n = gather(lines, p, wait, place);

    if (n == 0)
        return;
    (void)fprintf(f, "\n%s%s, %s%s\n", st->bold,
                  wait == TP_BLOCK  ? "Blocking"
                  : wait == TP_SPIN ? "Spinning"
                                    : "Adaptive",
                  titles[place], st->off);
    if (lines[0].row->absent) {
        (void)fprintf(f, "  not available: only one CPU may be used here\n");
        return;
    }
    print_ranking(f, st, p, lines, n);
    if (wait == TP_SPIN && place == PLACE_SAME)
        print_counter_example(f, lines, n);
}

/* ---- what the tables mean ----------------------------------------------- */

static bool any(const struct plan *p, enum tp_wait wait)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->rows[i].c.kind == KIND_LAB && p->rows[i].c.wait == wait &&
            p->rows[i].c.deadline_ms < 0)
            return true;
    return false;
}

static void print_wait(FILE *f, const struct style *st, const struct plan *p,
                       enum tp_wait wait)
{
    static const char *const notes[] = {
        [TP_BLOCK] =
            "  Who waits sleeps until the kernel wakes him: two switches a "
            "request. Waking him on another CPU,\n"
            "  above all in a virtual machine, can cost more than all the "
            "rest, whatever carries the bytes.\n",
        [TP_SPIN] =
            "  Who waits asks again and again: no switches, but both CPUs are "
            "busy all the time, so CPU/req is\n"
            "  about twice the round trip, and idle time costs as much as "
            "work.\n",
        [TP_ADAPT] = "  Spins a little, then sleeps.\n"};

    if (!any(p, wait))
        return;
    for (unsigned place = 0; place < PLACE_COUNT; place++)
        print_place(f, st, p, wait, (enum place)place);
    (void)fputs(notes[wait], f);
}

static void print_price(FILE *f, const struct style *st, const struct plan *p,
                        const struct row *with, const struct row *without)
{
    struct interval times = interval_ratio(with->p50, without->p50, p->runs);
    struct interval more =
        interval_difference(with->p50, without->p50, p->runs);
    bool sure = times.coverage >= 0.9 && (times.low > 1 || times.high < 1);
    struct summary a, b;
    char c[5][TABLE_CELL];

    plan_summary(&a, p, without);
    plan_summary(&b, p, with);
    (void)fprintf(f, "%s %-8s %-5s%10s%10s%10s   %s%-18s%s %s\n",
                  isnan(times.mid) || sure ? " " : "~", with->c.transport,
                  place_name(with->c.place), table_time(c[0], a.p50.mid),
                  table_time(c[1], b.p50.mid),
                  sure ? table_time(c[2], more.mid) : "-", st->bold,
                  ratio(c[3], &times), st->off, ratio(c[4], &b.to_bare));
}

static void print_prices(FILE *f, const struct style *st, const struct plan *p)
{
    bool begun = false;

    for (size_t i = 0; i < p->count; i++) {
        const struct row *with = &p->rows[i];
        const struct row *without = plan_twin(p, with, KIND_LAB, -1);

        if (with->c.deadline_ms < 0 || !without || with->absent ||
            with->error || without->error)
            continue;
        if (!begun)
            (void)fprintf(f,
                          "\n%sThe price of a deadline (blocking, p50)%s\n"
                          "%s  %-8s %-5s%10s%10s%10s   %-18s %s%s\n",
                          st->bold, st->off, st->dim, "", "CPU", "without",
                          "with", "more", "with / without", "with / bare",
                          st->off);
        begun = true;
        print_price(f, st, p, with, without);
    }
    if (begun)
        (void)fprintf(f,
                      "%s  ~ no significant difference between with and "
                      "without%s\n"
                      "  Waiting for at most so long takes another call "
                      "(poll, a timed receive) or a clock. What it\n"
                      "  buys: a dead or stuck peer is noticed. The lab "
                      "always pays it, except in the tables above.\n",
                      st->dim, st->off);
}

void table_results(FILE *f, const struct plan *p, bool colour)
{
    const struct style *st = style_of(colour);

    for (unsigned wait = TP_BLOCK; wait <= TP_ADAPT; wait++)
        print_wait(f, st, p, (enum tp_wait)wait);
    if (p->count == 1 && p->rows[0].c.kind == KIND_NONE) {
        (void)fputc('\n', f);
        print_head(f, st);
        print_none(f, st, p);
    }
    print_prices(f, st, p);
    (void)fprintf(
        f,
        "\n%sp50: median of the runs' medians, +- half of its 95 %% interval. "
        "A tail is \"-\" with fewer than %d\nsamples beyond it. CPU/req, "
        "switch: user + system time and context switches of both processes.\n"
        "calls: system calls, not counted yet. none: a direct call, codec and "
        "store alone. bare: the\nmechanism's smallest ping-pong of the same "
        "bytes; p50 / bare: median (interval) of the ratios.%s\n",
        st->dim, STATS_BEYOND, st->off);
}

/* ---- where it was measured ---------------------------------------------- */

void table_machine(FILE *f, const struct machine *m, int cpu[PLACE_COUNT][2])
{
    (void)fprintf(f, "%s, %d CPU%s%s%s%s%s, %s\n",
                  m->cpu[0] ? m->cpu : "unknown CPU", m->cpus,
                  m->cpus == 1 ? "" : "s",
                  m->hypervisor[0] ? ", virtual machine" : "",
                  m->container ? ", container" : "",
                  m->governor[0] ? ", governor " : "", m->governor, m->kernel);
    (void)fprintf(f, "placement: same = CPU %d; cross = ", cpu[PLACE_SAME][0]);
    if (cpu[PLACE_CROSS][0] < 0)
        (void)fprintf(f, "not available (%d CPU allowed)", m->allowed);
    else
        (void)fprintf(f, "CPU %d and CPU %d", cpu[PLACE_CROSS][0],
                      cpu[PLACE_CROSS][1]);
    (void)fprintf(f,
                  "\nclock %s, %.0f ns a reading, harness %.0f ns a "
                  "request; load %.2f\n",
                  m->clock_source[0] ? m->clock_source : "unknown", m->clock_ns,
                  m->harness_ns, m->load[0]);
    if (m->load[0] > 0.5 * m->allowed)
        (void)fprintf(f,
                      "note: other programs are busy here (load %.1f): "
                      "they disturb what is measured\n",
                      m->load[0]);
}

/*
 * table_base.c - the rankings, by wait policy and placement
 *
 *      Blocking, same CPU: both processes share one
 *                     p50   +-     p90  ...  p50 / bare
 *        none      176 ns                            a direct call
 *        shm      7.85 us                            the fastest first
 *          bare   7.17 us                            its floor
 *      ~ pipe     7.90 us                            no difference from shm
 *        shm is 1.25 +- 0.03 times faster than ...   each to the fastest
 */
#include "table_parts.h"

#define ROWS_MAX    32 /* of one ranking */
#define NO_DEADLINE (-1)

/* ---- which rows --------------------------------------------------------- */

/* The rows of one ranking: 0 when there are none. */
static size_t gather(struct table_line *lines, const struct plan *p,
                     enum tp_wait wait, enum place place)
{
    size_t n = 0;

    for (size_t i = 0; i < p->count && n < ROWS_MAX; i++) {
        const struct row *r = &p->rows[i];

        if (!table_ranked(p, r) || r->c.wait != wait || r->c.place != place)
            continue;
        lines[n].row = r;
        plan_summary(&lines[n++].s, p, r);
    }
    if (place != PLACE_FREE)
        table_sort(lines, n);
    return n;
}

/* ---- lines -------------------------------------------------------------- */

static void print_head(const struct sheet *s)
{
    (void)fprintf(s->f, "%s  %-8s%8s%5s%8s%8s%8s%8s%7s%8s%7s%6s %s%s\n",
                  s->st->dim, "", "p50", "+-", "p90", "p99", "p99.9", "max",
                  "req/s", "CPU/req", "switch", "calls", "p50 / bare",
                  s->st->off);
}

static void print_line(const struct sheet *s, const struct table_line *l,
                       const char *mark, const char *name)
{
    const struct summary *v = &l->s;
    char c[11][TABLE_CELL];

    if (!table_measured(l->row)) {
        if (l->row->error)
            table_error(s, name, l->row);
        else
            (void)fprintf(s->f, "  %-8s  not measured\n", name);
        return;
    }
    (void)fprintf(s->f, "%s %-8.8s%s%8s%s%5s%8s%8s%8s%8s%7s%8s%7s%6s %s\n",
                  mark, name, s->st->bold, table_time(c[0], v->p50.mid),
                  s->st->off, table_spread(c[1], &v->p50),
                  table_time(c[2], v->p90), table_time(c[3], v->p99),
                  table_time(c[4], v->p999), table_time(c[5], v->max),
                  table_rate(c[6], v->requests_per_s.mid),
                  table_time(c[7], v->cpu_ns), table_number(c[8], v->switches),
                  table_calls(c[9], l->row), table_ratio(c[10], &v->to_bare));
}

/* A line in the background: no bold inside. */
static void print_dim(const struct sheet *s, const struct row *row,
                      const char *name)
{
    static const struct style none = {"", "", "", "", {NULL}};
    const struct sheet plain = {.f = s->f, .p = s->p, .st = &none};
    struct table_line l = {.row = row};

    plan_summary(&l.s, s->p, row);
    (void)fputs(s->st->dim, s->f);
    print_line(&plain, &l, " ", name);
    (void)fputs(s->st->off, s->f);
}

/* A transport's row and, below it, its floor. */
static void print_pair(const struct sheet *s, const struct table_line *l,
                       const char *mark)
{
    const struct row *bare = plan_twin(s->p, l->row, KIND_BARE, NO_DEADLINE);

    print_line(s, l, mark, l->row->c.transport);
    if (bare)
        print_dim(s, bare, "  bare");
}

/* The direct call belongs to no ranking: it goes nowhere. */
static const struct row *find_none(const struct plan *p)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->rows[i].sweep == SWEEP_BASE && p->rows[i].c.kind == KIND_NONE)
            return &p->rows[i];
    return NULL;
}

/* ---- a ranking and its remarks ------------------------------------------ */

/* Two spinners on one CPU. Few samples: say how many. */
static void print_counter_example(const struct sheet *s,
                                  const struct table_line *l)
{
    unsigned runs = table_runs(l->row);

    table_say(s->f,
              "The counter-example to \"%s is always fast\": while one side "
              "spins, the other can't run. They take turns by time slice. "
              "Round trips in %u run%s: %llu, no more.",
              l->row->c.transport, runs, runs == 1 ? "" : "s",
              (unsigned long long)l->s.samples);
}

static void print_few_runs(const struct sheet *s, const struct table_line *l,
                           size_t n)
{
    char list[TABLE_TEXT] = "";

    for (size_t i = 0; i < n; i++)
        if (table_measured(l[i].row) && table_runs(l[i].row) < s->p->runs)
            table_also(list, "%s %u", l[i].row->c.transport,
                       table_runs(l[i].row));
    if (list[0])
        table_say(s->f, "Runs instead of %u: %s", s->p->runs, list);
}

static void print_remarks(const struct sheet *s, const struct table_line *l,
                          size_t n)
{
    const struct conditions *c = &l[0].row->c;

    print_few_runs(s, l, n);
    for (size_t i = 0; i < n; i++)
        if (table_measured(l[i].row) && c->wait == TP_SPIN &&
            c->place == PLACE_SAME)
            print_counter_example(s, &l[i]);
    if (c->place == PLACE_FREE)
        table_say(s->f, "Not ranked: where the scheduler puts the two changes "
                        "from run to run, and these numbers jump with it by a "
                        "factor of 15 to 30.");
}

static void print_ranking(const struct sheet *s, const struct table_line *l,
                          size_t n)
{
    const struct conditions *c = &l[0].row->c;
    const struct row *none = find_none(s->p);
    bool ranked = c->place != PLACE_FREE;

    print_head(s);
    /* A thousandth of a time slice says nothing. */
    if (none && (c->wait != TP_SPIN || c->place != PLACE_SAME))
        print_dim(s, none, "none");
    for (size_t i = 0; i < n; i++)
        print_pair(s, &l[i], ranked && table_same_as_above(l, i) ? "~" : " ");
    if (ranked)
        table_comparison(s, l, n);
    print_remarks(s, l, n);
}

static void print_place(const struct sheet *s, enum tp_wait wait,
                        enum place place)
{
    static const char *const titles[PLACE_COUNT] = {
        [PLACE_SAME] = "same CPU: both processes share one",
        [PLACE_CROSS] = "other CPU: one process on each",
        [PLACE_SMT] = "two threads of one core: they share its pipeline",
        [PLACE_CACHE] = "two cores that share a cache",
        [PLACE_PACKAGE] = "two processor packages: no cache is shared",
        [PLACE_FREE] = "left to the scheduler"};
    struct table_line lines[ROWS_MAX];
    size_t n = gather(lines, s->p, wait, place);
    int deadline;

    if (n == 0 || lines[0].row->absent)
        return;
    deadline = lines[0].row->c.deadline_ms;
    if (deadline < 0)
        table_title(s, "%s, %s", table_wait(wait, false), titles[place]);
    else
        table_title(s, "%s, with a deadline of %d ms, %s",
                    table_wait(wait, false), deadline, titles[place]);
    print_ranking(s, lines, n);
}

/* Placements that were asked for and that this machine lacks: one line. */
static void print_absent(const struct sheet *s, enum tp_wait wait)
{
    char names[TABLE_TEXT] = "";
    struct table_line lines[ROWS_MAX];

    for (unsigned place = 0; place < PLACE_COUNT; place++) {
        size_t n = gather(lines, s->p, wait, (enum place)place);

        if (n > 0 && lines[0].row->absent)
            table_also(names, "%s", place_names[place]);
    }
    if (names[0])
        table_title(s, "%s: not measured, there are no such CPUs here: %s",
                    table_wait(wait, false), names);
}

/* ---- all ---------------------------------------------------------------- */

/* What this way of waiting is, before its tables. */
static void print_intro(const struct sheet *s, enum tp_wait wait)
{
    static const char *const notes[] = {
        [TP_BLOCK] = "who waits sleeps until the kernel wakes him: two "
                     "switches a request. Waking him on another CPU, above all "
                     "in a virtual machine, can cost more than all the rest, "
                     "whatever carries the bytes.",
        [TP_SPIN] = "who waits asks again and again: no switches, but both "
                    "CPUs are busy all the time, so CPU/req is about twice the "
                    "round trip, and idle time costs as much as work.",
        [TP_ADAPT] = "who waits spins a little, then sleeps."};
    int at = fprintf(s->f, "\n%s: ", table_wait(wait, false)) - 1;

    table_words(s->f, at, 2, notes[wait]);
}

static void print_wait(const struct sheet *s, enum tp_wait wait)
{
    bool any = false;

    for (size_t i = 0; i < s->p->count; i++)
        any |=
            table_ranked(s->p, &s->p->rows[i]) && s->p->rows[i].c.wait == wait;
    if (!any)
        return;
    print_intro(s, wait);
    for (unsigned place = 0; place < PLACE_COUNT; place++)
        print_place(s, wait, (enum place)place);
    print_absent(s, wait);
}

/* What every request of the rankings is. */
static void print_point(const struct sheet *s)
{
    char text[TABLE_TEXT];
    struct conditions c;

    for (size_t i = 0; i < s->p->count; i++) {
        const struct row *r = &s->p->rows[i];

        if (!table_ranked(s->p, r))
            continue;
        c = r->c;
        c.deadline_ms = NO_DEADLINE; /* the titles say it */
        (void)fputc('\n', s->f);
        table_words(s->f, fprintf(s->f, "Each request: "), 2,
                    table_point(text, &c, SWEEP_BASE));
        return;
    }
}

void table_base(const struct sheet *s)
{
    const struct row *none = find_none(s->p);

    print_point(s);
    for (unsigned wait = TP_BLOCK; wait <= TP_ADAPT; wait++)
        print_wait(s, (enum tp_wait)wait);
    if (none && s->p->count == 1) { /* all that was asked for */
        (void)fputc('\n', s->f);
        print_head(s);
        print_dim(s, none, "none");
    }
}

/*
 * table_price.c - what a deadline costs: the same case with and without one
 */
#include "table_parts.h"

#include <math.h>

#define NO_DEADLINE (-1)

/* The plain row beside one with a deadline, or NULL. What the scheduler does
 * is no price. */
static const struct row *plain_twin(const struct plan *p,
                                    const struct row *with, enum tp_wait wait)
{
    const struct row *without;

    if (with->sweep != SWEEP_BASE || with->c.kind != KIND_LAB ||
        with->c.wait != wait || with->c.deadline_ms < 0 ||
        with->c.place == PLACE_FREE || !table_measured(with))
        return NULL;
    without = plan_twin(p, with, KIND_LAB, NO_DEADLINE);
    return without && table_measured(without) ? without : NULL;
}

static struct interval difference(const struct row *a, const struct row *b)
{
    double x[PLAN_RUNS_MAX], y[PLAN_RUNS_MAX];
    size_t n = plan_values(x, a, offsetof(struct run, p50));
    size_t m = plan_values(y, b, offsetof(struct run, p50));

    return interval_difference(x, y, n < m ? n : m);
}

static void print_price(const struct sheet *s, const struct row *with,
                        const struct row *without)
{
    struct interval times = plan_ratio(with, without);
    struct interval more = difference(with, without);
    bool differ =
        times.coverage >= TABLE_SURE && (times.low > 1 || times.high < 1);
    struct summary a, b;
    char c[5][TABLE_CELL];

    plan_summary(&a, s->p, without);
    plan_summary(&b, s->p, with);
    (void)fprintf(s->f, "%s %-8s%-8s%10s%10s%10s   %s%-18s%s %s\n",
                  isnan(times.mid) || differ ? " " : "~", with->c.transport,
                  place_names[with->c.place], table_time(c[0], a.p50.mid),
                  table_time(c[1], b.p50.mid),
                  differ ? table_time(c[2], more.mid) : "-", s->st->bold,
                  table_ratio(c[3], &times), s->st->off,
                  table_ratio(c[4], &b.to_bare));
}

void table_prices(const struct sheet *s, enum tp_wait wait)
{
    bool begun = false;

    for (size_t i = 0; i < s->p->count; i++) {
        const struct row *with = &s->p->rows[i];
        const struct row *without = plain_twin(s->p, with, wait);

        if (!without)
            continue;
        if (!begun) {
            table_title(s, "The price of a deadline (%s, p50)",
                        table_wait(wait, true));
            (void)fprintf(s->f, "%s  %-8s%-8s%10s%10s%10s   %-18s %s%s\n",
                          s->st->dim, "", "", "without", "with", "more",
                          "with / without", "with / bare", s->st->off);
        }
        begun = true;
        print_price(s, with, without);
    }
    if (begun)
        table_say(s->f, "Waiting for at most so long takes another call (poll, "
                        "a timed receive) or a clock. What it buys: a dead or "
                        "stuck peer is noticed. The lab always pays it, except "
                        "in the rankings above. ~: no significant difference.");
}

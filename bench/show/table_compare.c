/*
 * table_compare.c - the order of a ranking, and what may be said about it
 *
 * In the manner of hyperfine: each is compared with the fastest. "Faster" is
 * said only where the intervals of both medians keep clear of each other.
 */
#include "table_parts.h"

#include <math.h>
#include <stdlib.h>

static double sort_value(const struct table_line *l)
{
    /* What has no number stands last. */
    return isnan(l->s.p50.mid) ? INFINITY : l->s.p50.mid;
}

static int by_p50(const void *a, const void *b)
{
    double x = sort_value(a), y = sort_value(b);

    return (x > y) - (x < y);
}

void table_sort(struct table_line *l, size_t n)
{
    qsort(l, n, sizeof l[0], by_p50);
}

static bool sure(const struct table_line *l)
{
    return !isnan(l->s.p50.mid) && l->s.p50.coverage >= TABLE_SURE;
}

/* Their order could be another one on another day: say so, instead of letting
 * it speak. It also could where both medians are clear of each other, but in
 * some rounds the slower one was the faster. */
static bool tied(const struct table_line *a, const struct table_line *b)
{
    struct interval times = plan_ratio(b->row, a->row);

    return !interval_differ(&a->s.p50, &b->s.p50) ||
           (times.low <= 1 && times.high >= 1);
}

bool table_same_as_above(const struct table_line *l, size_t i)
{
    return i > 0 && table_measured(l[i].row) && !isinf(sort_value(&l[i])) &&
           tied(&l[i - 1], &l[i]);
}

/* "(blocking, same CPU)" */
static const char *under(char text[TABLE_TEXT], const struct row *r)
{
    (void)snprintf(text, TABLE_TEXT, "(%s, %s)", table_wait(r->c.wait, true),
                   table_place(r->c.place));
    return text;
}

static void print_times(const struct sheet *s, const struct table_line *fast,
                        const struct table_line *slow)
{
    struct interval times = plan_ratio(slow->row, fast->row);
    int digits = times.mid < 9.995 ? 2 : times.mid < 99.95 ? 1 : 0;
    char text[TABLE_TEXT];

    if (isnan(times.mid)) /* never in the same round */
        table_say(s->f, "%s is faster than %s %s", fast->row->c.transport,
                  slow->row->c.transport, under(text, fast->row));
    else
        table_say(s->f, "%s is %s%.*f%s +- %.*f times faster than %s %s",
                  fast->row->c.transport, s->st->bold, digits, times.mid,
                  s->st->off, digits, (times.high - times.low) / 2,
                  slow->row->c.transport, under(text, fast->row));
}

/* Those that can't be told from l[i], in one sentence. */
static void print_ties(const struct sheet *s, const struct table_line *l,
                       size_t i, size_t n)
{
    char list[TABLE_TEXT] = "", text[TABLE_TEXT];
    unsigned ties = 0;

    for (size_t k = i + 1; k < n; k++)
        if (tied(&l[i], &l[k]) && (i == 0 || !tied(&l[0], &l[k]))) {
            table_also(list, "%s", l[k].row->c.transport);
            ties++;
        }
    if (list[0])
        table_say(s->f, "no significant difference between %s and %s%s %s",
                  l[i].row->c.transport, ties > 1 ? "any of " : "", list,
                  under(text, l[i].row));
}

/* Each to the fastest; then those of the rest that can't be told apart. */
void table_comparison(const struct sheet *s, const struct table_line *l,
                      size_t n)
{
    while (n > 0 && isinf(sort_value(&l[n - 1])))
        n--;
    for (size_t i = 0; i < n && n > 1; i++)
        if (!sure(&l[i])) {
            table_say(s->f, "~ too few runs to say which is faster: it takes "
                            "5 of each");
            return;
        }
    for (size_t i = 1; i < n; i++)
        if (!tied(&l[0], &l[i]))
            print_times(s, &l[0], &l[i]);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || !tied(&l[0], &l[i]))
            print_ties(s, l, i, n);
}

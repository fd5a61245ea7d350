/*
 * table_sweep.c - one condition changed, the others left alone
 *
 *      What a client pays for a pause         what the sweep asks
 *        An idle CPU falls asleep ...         what to see in it
 *        Base point: blocking, same CPU ...   all other conditions
 *          think     pipe   socket            a column for each transport
 *              0  2.70 us  4.50 us
 *         100 us  9.10 us  11.2 us            a line for each value
 *
 * Cases of a sweep whose other conditions differ (with and without a server
 * that stalls) are blocks, with a base point and a table of their own.
 */
#include "table_parts.h"

#include <math.h>

#define LABEL 10 /* width of the first column */
#define CELL  9  /* of a cell; two of them where a bare one stands aside */

/* What the cells of a table say. */
enum metric { P50_PAIR, P50_ONLY, REQUESTS, SHARE, CLIENT_P99, METRICS_END };

struct view {
    const char *title, *see; /* `see`: one sentence */
    const char *label;       /* of the values */
    enum metric metric[4];   /* a table each, METRICS_END behind the last */
    bool alike;              /* one more column: slowest / fastest */
};

static const struct view views[SWEEP_COUNT] = {
    [SWEEP_SIZE] = {"Size: a longer message",
                    "While it is short its length hardly matters: a request "
                    "costs its system calls and the waking up. Then the bytes "
                    "take over, and every copy of them shows.",
                    "bytes",
                    {P50_PAIR, METRICS_END},
                    false},
    [SWEEP_CLIENTS] = {"Clients: more of them on one server",
                       "One server does only so much: more clients share it "
                       "and wait longer. It is fair when the busiest client "
                       "gets about as much as the idlest (1.00).",
                       "clients",
                       {P50_ONLY, REQUESTS, SHARE, CLIENT_P99},
                       false},
    [SWEEP_DEPTH] = {"Depth: more requests in flight",
                     "With several under way one switch serves many of them: "
                     "requests a second go up, but so does the time that each "
                     "one waits in the queue.",
                     "depth",
                     {REQUESTS, P50_ONLY, METRICS_END},
                     false},
    [SWEEP_THINK] = {"Think time: the client is idle before each request",
                     "An idle CPU falls asleep and its caches go cold: the "
                     "longer the pause, the dearer the next request. Most "
                     "real clients are idle.",
                     "idle",
                     {P50_PAIR, METRICS_END},
                     false},
    [SWEEP_WORK] = {"Work: the server computes for each request",
                    "With a millisecond of work all mechanisms look alike "
                    "(slowest / fastest near 1.00): then choose by something "
                    "else than speed.",
                    "work",
                    {P50_PAIR, METRICS_END},
                    true},
    [SWEEP_RATE] = {"Rate: requests come when they come (open loop)",
                    "A closed loop asks again only when it has its answer, so "
                    "while the server is stuck it doesn't even ask, and never "
                    "sees the queue (\"coordinated omission\"). Compare both "
                    "halves.",
                    "rate/s",
                    {METRICS_END},
                    false},
    [SWEEP_SYNC] = {"Sync: a change is on disk before the reply, or not",
                    "What a power failure must not lose costs a write to the "
                    "disk, which is far more than any mechanism.",
                    "kept",
                    {P50_ONLY, REQUESTS, METRICS_END},
                    false},
    [SWEEP_EVENTS] = {"Events: a larger store",
                      "What grows here is the store's own cost (none: a "
                      "direct call), the same over all mechanisms. get: one "
                      "event by its id; list: a page of 36 events.",
                      "events",
                      {P50_PAIR, METRICS_END},
                      false},
    [SWEEP_PEERS] = {"Peers: what people would use instead",
                     "The same requests, and the lab's own socket to compare "
                     "with.",
                     "",
                     {METRICS_END},
                     false},
};

/* ---- cells -------------------------------------------------------------- */

/* Up to two texts; [0] is "" where there is only one. */
static void cell_texts(char out[2][TABLE_CELL], const struct table_block *b,
                       enum metric metric, const struct row *r)
{
    const char *no = table_no_number(r);
    struct summary v;

    plan_summary(&v, b->s->p, r);
    out[0][0] = '\0';
    if (no) {
        (void)snprintf(out[1], TABLE_CELL, "%.8s", no);
        return;
    }
    switch (metric) {
    case P50_PAIR:
    case P50_ONLY: table_time(out[1], v.p50.mid); break;
    case REQUESTS: table_rate(out[1], v.requests_per_s.mid); break;
    case SHARE: table_digits(out[1], v.share.mid); break;
    case CLIENT_P99:
        if (r->c.clients == 1) /* the best one is the worst one */
            v.client_p99_best = v.client_p99_worst = v.p99;
        table_time(out[0], v.client_p99_best);
        table_time(out[1], v.client_p99_worst);
        break;
    case METRICS_END: break;
    }
}

static void print_cell(const struct table_block *b, enum metric metric,
                       const char *transport, const struct row *value)
{
    const struct row *r = table_row_at(b, transport, value, false);
    const struct row *bare = table_row_at(b, transport, value, true);
    char lab[2][TABLE_CELL] = {"", ""}, floor[2][TABLE_CELL] = {"", ""};
    FILE *f = b->s->f;

    if (r)
        cell_texts(lab, b, metric, r);
    if (b->pair && metric == P50_PAIR) {
        if (bare)
            cell_texts(floor, b, metric, bare);
        (void)fprintf(f, "%*s%s%*s%s", CELL, lab[1], b->s->st->dim, CELL,
                      floor[1], b->s->st->off);
    } else if (b->pair) {
        (void)fprintf(f, "%*s%*s", CELL, lab[0], CELL, lab[1]);
    } else {
        (void)fprintf(f, "%*s", CELL + 2, lab[1]);
    }
}

/* How much the mechanism matters in this line: NAN for fewer than two. */
static double slowest_to_fastest(const struct table_block *b,
                                 const struct row *value)
{
    double fast = NAN, slow = NAN;

    for (size_t i = 0; i < b->columns; i++) {
        const struct row *r = table_row_at(b, b->column[i], value, false);
        struct summary v;

        if (!r || !table_is_lab(r) || !table_measured(r))
            continue;
        plan_summary(&v, b->s->p, r);
        if (!(fast <= v.p50.mid)) /* or the first */
            fast = v.p50.mid;
        if (!(slow >= v.p50.mid))
            slow = v.p50.mid;
    }
    return slow / fast;
}

/* ---- a table ------------------------------------------------------------ */

/* As many columns as fit: [from, end). The others follow below. */
static size_t band_end(const struct table_block *b, size_t from)
{
    int width = b->pair ? 2 * CELL : CELL + 2;
    int left = TABLE_WIDTH - LABEL;
    size_t fit;

    if (views[b->first->sweep].alike)
        left -= CELL + 1;
    fit = (size_t)(left / width);
    return from + fit < b->columns ? from + fit : b->columns;
}

static void print_heads(const struct table_block *b, size_t from, size_t end)
{
    const struct view *v = &views[b->first->sweep];
    const struct style *st = b->s->st;
    int width = b->pair ? 2 * CELL : CELL + 2;
    bool alike = v->alike && end == b->columns;
    FILE *f = b->s->f;

    (void)fprintf(f, "%s%*s", st->dim, LABEL, v->label);
    for (size_t i = from; i < end; i++)
        (void)fprintf(f, "%*s", width, b->column[i]);
    (void)fprintf(f, "%*s%s\n", alike ? CELL + 1 : 0, alike ? "slow/fast" : "",
                  st->off);
    if (!b->pair || v->metric[0] != P50_PAIR)
        return;
    (void)fprintf(f, "%s%*s", st->dim, LABEL, "");
    for (size_t i = from; i < end; i++)
        (void)fprintf(f, "%*s%*s", CELL, "lab", CELL, "bare");
    (void)fprintf(f, "%s\n", st->off);
}

static void print_metric(const struct table_block *b, enum metric metric,
                         size_t from, size_t end)
{
    static const char *const names[] = {
        [P50_PAIR] = "p50",
        [P50_ONLY] = "p50",
        [REQUESTS] = "requests a second, all clients together",
        [SHARE] = "requests of the busiest client over the idlest's",
        [CLIENT_P99] = "p99 of the best client and of the worst"};
    const struct view *v = &views[b->first->sweep];
    char c[TABLE_CELL];
    FILE *f = b->s->f;

    if (v->metric[1] != METRICS_END)
        (void)fprintf(f, "  %s%s%s\n", b->s->st->bold, names[metric],
                      b->s->st->off);
    for (size_t k = 0; k < b->values; k++) {
        (void)fprintf(f, "%*s", LABEL, table_value(c, b->value[k]));
        for (size_t i = from; i < end; i++)
            print_cell(b, metric, b->column[i], b->value[k]);
        if (v->alike && end == b->columns)
            (void)fprintf(f, "%*s", CELL + 1,
                          table_digits(c, slowest_to_fastest(b, b->value[k])));
        (void)fputc('\n', f);
    }
}

static void print_columns(const struct sheet *s, const struct row *first)
{
    const enum metric *m = views[first->sweep].metric;
    struct table_block b;

    table_lay_out(&b, s, first);
    for (unsigned i = 0; i < 4 && m[i] != METRICS_END; i++)
        b.pair |= m[i] == CLIENT_P99 || (m[i] == P50_PAIR && b.bare);
    for (size_t from = 0, end; from < b.columns; from = end) {
        end = band_end(&b, from);
        print_heads(&b, from, end);
        for (unsigned i = 0; i < 4 && m[i] != METRICS_END; i++)
            print_metric(&b, m[i], from, end);
    }
}

/* ---- all ---------------------------------------------------------------- */

static void print_block(const struct sheet *s, const struct row *first)
{
    char text[TABLE_TEXT];

    table_say(s->f, "Base point: %s.",
              table_point(text, &first->c, first->sweep));
    if (first->absent) {
        table_say(s->f, "Not measured: there are no such CPUs here.");
        return;
    }
    if (first->sweep == SWEEP_RATE)
        table_rates(s, first);
    else if (first->sweep == SWEEP_PEERS)
        table_peers(s, first);
    else
        print_columns(s, first);
    /* Those with a line for each case say so there. */
    if (first->sweep != SWEEP_PEERS && first->sweep != SWEEP_RATE)
        table_errors(s, first);
    table_few_runs(s, first);
}

void table_sweeps(const struct sheet *s)
{
    for (unsigned sweep = SWEEP_BASE + 1; sweep < SWEEP_COUNT; sweep++) {
        bool begun = false;

        for (size_t i = 0; i < s->p->count; i++) {
            if (s->p->rows[i].sweep != sweep || !table_begins_block(s->p, i))
                continue;
            if (!begun) {
                table_title(s, "%s", views[sweep].title);
                table_say(s->f, "%s", views[sweep].see);
            } else {
                (void)fputc('\n', s->f);
            }
            begun = true;
            print_block(s, &s->p->rows[i]);
        }
    }
}

/*
 * table_lines.c - the sweeps with a line for each case
 *
 * Open loop: the same requests, timed from two moments.
 *
 *      due      sent                       answered
 *       |--------|----------------------------|
 *       |  late  |<--- from when it was sent ->|   all that a closed loop sees
 *       |<------ from when it was due -------->|   what its user waited
 *
 * Peers: what they are is a sentence each, so it stands below the table.
 */
#include "table_parts.h"

#include "peer.h"

#include <math.h>
#include <string.h>

#define PEERS_MAX 32
#define BEHIND    0.95 /* of the wanted rate: fewer, and it can't keep up */

/* ---- open loop ---------------------------------------------------------- */

static void print_rates_head(const struct sheet *s)
{
    const char *const names[] = {"p50", "p99", "p99.9", "max"};

    (void)fprintf(s->f, "%s%19s%36s%3s%36s\n", s->st->dim, "",
                  "------ from when it was due ------", "",
                  "------ from when it was sent -----");
    (void)fprintf(s->f, "%10s%8s ", "rate/s", "done/s");
    for (unsigned i = 0; i < 8; i++)
        (void)fprintf(s->f, "%*s%9s", i == 4 ? 3 : 0, "", names[i % 4]);
    (void)fprintf(s->f, "%s\n", s->st->off);
}

/* Nothing is due in a closed loop: its times are from the send. */
static void print_times(const struct sheet *s, const struct summary *v,
                        bool closed)
{
    const double due[] = {v->p50.mid, v->p99, v->p999, v->max};
    const double sent[] = {v->service_p50, v->service_p99, v->service_p999,
                           v->service_max};
    char c[TABLE_CELL];

    for (unsigned i = 0; i < 4; i++)
        (void)fprintf(s->f, "%9s", table_time(c, closed ? NAN : due[i]));
    (void)fprintf(s->f, "%3s", "");
    for (unsigned i = 0; i < 4; i++)
        (void)fprintf(s->f, "%9s", table_time(c, closed ? due[i] : sent[i]));
    (void)fputc('\n', s->f);
}

/* True when it couldn't keep up with its rate. */
static bool print_rate(const struct sheet *s, const struct row *r)
{
    char c[TABLE_CELL], text[CASE_WHY_MAX + 40];
    struct summary v;
    bool late;

    (void)fprintf(s->f, "%10s", table_value(c, r));
    if (!table_measured(r)) {
        (void)snprintf(text, sizeof text, "%s%s%s%s",
                       r->error && !r->expected ? "FAILED: " : "",
                       r->error ? error_name(r->error) : "not measured",
                       r->why[0] ? ", " : "", r->why);
        table_words(s->f, 10 + fprintf(s->f, "  "), 12, text);
        return false;
    }
    plan_summary(&v, s->p, r);
    late = v.requests_per_s.mid < BEHIND * r->c.rate; /* closed: rate 0 */
    (void)fprintf(s->f, "%8s%s", table_rate(c, v.requests_per_s.mid),
                  late ? "!" : " ");
    print_times(s, &v, !(r->c.rate > 0));
    return late;
}

void table_rates(const struct sheet *s, const struct row *first)
{
    struct table_block b;
    bool behind = false;

    table_lay_out(&b, s, first);
    print_rates_head(s);
    for (size_t i = 0; i < b.columns; i++) {
        (void)fprintf(s->f, "  %s%s%s\n", s->st->bold, b.column[i], s->st->off);
        for (size_t k = 0; k < b.values; k++) {
            const struct row *r =
                table_row_at(&b, b.column[i], b.value[k], false);

            if (r)
                behind |= print_rate(s, r);
        }
    }
    if (behind)
        table_say(s->f, "! fewer than asked for: it can't keep up, or was kept "
                        "from running. Its queue grows meanwhile, so its times "
                        "depend on how long the run was.");
}

/* ---- peers -------------------------------------------------------------- */

static size_t gather(struct table_line *l, const struct plan *p,
                     const struct row *first)
{
    size_t n = 0;

    for (size_t i = 0; i < p->count && n < PEERS_MAX; i++) {
        const struct row *r = &p->rows[i];

        if (!table_same_block(first, r) || !table_is_lab(r))
            continue;
        l[n].row = r;
        plan_summary(&l[n++].s, p, r);
    }
    table_sort(l, n);
    return n;
}

/* What all are compared with: the lab's socket, or NULL. */
static const struct row *reference(const struct table_line *l, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (l[i].row->c.kind == KIND_LAB && table_measured(l[i].row) &&
            strcmp(l[i].row->c.transport, "socket") == 0)
            return l[i].row;
    return NULL;
}

static void print_peers_head(const struct sheet *s)
{
    (void)fprintf(s->f, "%s  %-12s%9s%5s%9s%9s%8s%9s%8s%7s  %s%s\n", s->st->dim,
                  "", "p50", "+-", "p99", "max", "req/s", "CPU/req", "switch",
                  "calls", "p50 / socket", s->st->off);
}

/* True when it can't be told from the reference. */
static bool print_peer(const struct sheet *s, const struct table_line *l,
                       const struct row *to)
{
    const struct summary *v = &l->s;
    struct interval times = interval_of(NULL, 0);
    char c[8][TABLE_CELL];
    bool tie;

    if (to && to != l->row)
        times = plan_ratio(l->row, to);
    tie = times.low <= 1 && times.high >= 1; /* false for NAN */
    (void)fprintf(
        s->f, "%s %-12s%s%9s%s%5s%9s%9s%8s%9s%8s%7s  %s\n", tie ? "~" : " ",
        l->row->c.transport, s->st->bold, table_time(c[0], v->p50.mid),
        s->st->off, table_spread(c[1], &v->p50), table_time(c[2], v->p99),
        table_time(c[3], v->max), table_rate(c[4], v->requests_per_s.mid),
        table_time(c[5], v->cpu_ns), table_number(c[6], v->switches),
        table_calls((char[TABLE_CELL]){0}, l->row),
        to == l->row ? "1" : table_ratio(c[7], &times));
    return tie;
}

/* An earlier placement's table has said all about this peer. */
static bool said_before(const struct plan *p, const struct row *row)
{
    for (const struct row *r = p->rows; r < row; r++)
        if (r->sweep == row->sweep && r->error == row->error &&
            r->absent == row->absent &&
            strcmp(r->c.transport, row->c.transport) == 0)
            return true;
    return false;
}

/* One line each: what it is, or why it wasn't measured. */
static void print_blurb(const struct sheet *s, const struct row *r)
{
    char why[CASE_WHY_MAX] = "";
    const struct peer *peer = NULL;
    const char *text = "the lab's own transport of that name";

    if (r->error && !r->expected) {
        table_error(s, r->c.transport, r);
        return;
    }
    if (r->error) {
        text = r->why[0] ? r->why : error_name(r->error);
    } else if (r->c.kind == KIND_PEER) {
        peer = peer_find(r->c.transport, why, sizeof why);
        text = peer ? peer->blurb : why;
    }
    table_words(s->f, fprintf(s->f, "  %-12s ", r->c.transport), 15, text);
}

void table_peers(const struct sheet *s, const struct row *first)
{
    struct table_line l[PEERS_MAX];
    size_t n = gather(l, s->p, first);
    const struct row *to = reference(l, n);
    bool ties = false;

    print_peers_head(s);
    for (size_t i = 0; i < n; i++)
        if (table_measured(l[i].row))
            ties |= print_peer(s, &l[i], to);
    if (ties)
        table_say(s->f, "~ no significant difference from the lab's socket");
    for (size_t i = 0; i < n; i++)
        if (!said_before(s->p, l[i].row))
            print_blurb(s, l[i].row);
}

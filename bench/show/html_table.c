/*
 * html_table.c - see html_parts.h: all numbers, a table for each sweep, wait
 * policy, placement and operation
 *
 * The first column says what makes a row another one than its neighbours; it
 * stays in sight when a narrow screen scrolls. What all rows share stands
 * above the table.
 */
#include "html_parts.h"

#include "table_parts.h"

#include <math.h>
#include <string.h>

static const char *const sweep_titles[SWEEP_COUNT] = {
    [SWEEP_BASE] = "Round trips",
    [SWEEP_SIZE] = "Size of a message",
    [SWEEP_CLIENTS] = "More clients",
    [SWEEP_DEPTH] = "More requests in flight",
    [SWEEP_THINK] = "After a pause",
    [SWEEP_WORK] = "A server that computes",
    [SWEEP_RATE] = "Open loop",
    [SWEEP_SYNC] = "A change, on disk or not",
    [SWEEP_EVENTS] = "Size of the store",
    [SWEEP_PEERS] = "What people would use instead",
};

/* ---- the breakdown in numbers ------------------------------------------- */

static void put_cell(FILE *f, const char *text)
{
    (void)fprintf(f, "<td>");
    html_text(f, text);
    (void)fprintf(f, "</td>");
}

static void put_time(FILE *f, double ns)
{
    char cell[TABLE_CELL];

    put_cell(f, table_time(cell, ns));
}

static void put_breakdown(FILE *f, const struct row *r,
                          const struct breakdown *bd)
{
    const double v[] = {bd->codec, bd->calls, bd->copies, bd->waking,
                        bd->own,   bd->rest,  bd->total};

    (void)fprintf(f, "<tr><th scope=\"row\">");
    html_text(f, r->c.transport);
    (void)fprintf(f, "</th><td class=\"left\">%s</td>",
                  table_place(r->c.place));
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++)
        put_time(f, v[i]);
    (void)fprintf(f, "</tr>\n");
}

static void begin_breakdowns(FILE *f)
{
    static const char *const parts[] = {
        "codec and store", "system calls",      "copies", "waking up",
        "the lab's own",   "not accounted for", "p50"};

    (void)fprintf(f, "<h3 id=\"t-parts\">Where the time goes</h3>\n"
                     "<p class=\"small soft\">Blocking, p50. The parts add up; "
                     "a negative rest: they overlap.</p>\n"
                     "<div class=\"wide\" role=\"region\" tabindex=\"0\" "
                     "aria-labelledby=\"t-parts\">\n<table>\n<thead><tr>"
                     "<th scope=\"col\" class=\"left\">mechanism</th>"
                     "<th scope=\"col\" class=\"left\">server on</th>");
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        (void)fprintf(f, "<th scope=\"col\">%s</th>", parts[i]);
    (void)fprintf(f, "</tr></thead>\n<tbody>\n");
}

static void put_breakdowns(FILE *f, const struct plan *p)
{
    bool begun = false;
    struct breakdown bd;

    for (size_t i = 0; i < p->count; i++) {
        const struct row *r = &p->rows[i];

        if (!table_ranked(p, r) || !table_measured(r) ||
            !plan_breakdown(&bd, p, r))
            continue;
        if (!begun)
            begin_breakdowns(f);
        begun = true;
        put_breakdown(f, r, &bd);
    }
    if (begun)
        (void)fprintf(f, "</tbody>\n</table>\n</div>\n");
}

/* ---- all numbers -------------------------------------------------------- */

static const char *const heads[] = {
    "p50",   "p50 lies in", "p90",    "p99",   "p99.9",  "max",
    "req/s", "CPU/req",     "switch", "calls", "/ bare", "remarks"};
#define HEADS (sizeof heads / sizeof heads[0])

/* Rows that share a table: what they wait for and where is in its title. */
static bool same_table(const struct row *a, const struct row *b)
{
    return a->sweep == b->sweep && a->c.wait == b->c.wait &&
           a->c.place == b->c.place && a->c.op == b->c.op;
}

static bool begins_table(const struct plan *p, const struct row *row)
{
    for (const struct row *r = p->rows; r < row; r++)
        if (same_table(r, row))
            return false;
    return true;
}

/* What makes this row another one than the rows beside it. */
static const char *row_text(char text[TABLE_TEXT], const struct row *r,
                            const struct row *first)
{
    char cell[TABLE_CELL];

    text[0] = '\0';
    table_also(text, "%s", r->c.transport);
    if (r->c.kind == KIND_BARE || r->c.kind == KIND_ALONE)
        table_also(text, "bare");
    if (r->c.kind == KIND_ALONE)
        table_also(text, "in one process");
    if (r->c.deadline_ms >= 0)
        table_also(text, "deadline %d ms", r->c.deadline_ms);
    if (r->c.size != first->c.size || r->sweep == SWEEP_SIZE)
        table_also(text, "%s byte%s",
                   table_thousands(cell, (unsigned)r->c.size),
                   r->c.size == 1 ? "" : "s");
    switch (r->sweep) {
    case SWEEP_CLIENTS: table_also(text, "%u clients", r->c.clients); break;
    case SWEEP_DEPTH: table_also(text, "%u in flight", r->c.depth); break;
    case SWEEP_THINK: table_also(text, "pause %s", table_value(cell, r)); break;
    case SWEEP_WORK: table_also(text, "work %s", table_value(cell, r)); break;
    case SWEEP_RATE: table_also(text, "%s", table_value(cell, r)); break;
    case SWEEP_SYNC: table_also(text, "%s", table_value(cell, r)); break;
    case SWEEP_EVENTS:
        table_also(text, "%s events", table_value(cell, r));
        break;
    default: break;
    }
    if (r->sweep == SWEEP_RATE && r->c.rate > 0)
        table_also(text, "due a second");
    if (r->c.stall_us != first->c.stall_us)
        table_also(text, "stalls");
    return text;
}

/* "read 2.0, write 2.0". */
static void add_calls(char text[TABLE_TEXT], const struct counts *n)
{
    if (n->how == COUNT_NOT)
        return;
    for (unsigned i = 0; i < COUNT_NAMES && n->call[i].name[0]; i++)
        if (n->call[i].calls >= 0.05)
            table_also(text, "%s %.1f", n->call[i].name, n->call[i].calls);
}

/* What has no column of its own. */
static void put_remarks(FILE *f, const struct plan *p, const struct row *r,
                        const struct summary *s)
{
    char text[TABLE_TEXT] = "", c[2][TABLE_CELL];

    if (table_runs(r) < p->runs)
        table_also(text, "%u runs", table_runs(r));
    if (s->two_modes)
        table_also(text, "two modes");
    if (plan_drifted(s))
        table_also(text, "drifted %+.0f %%", 100 * (s->drift - 1));
    if (r->c.clients > 1 && !isnan(s->client_p99_worst))
        table_also(text, "p99 of the best-off client %s, of the worst-off %s",
                   table_time(c[0], s->client_p99_best),
                   table_time(c[1], s->client_p99_worst));
    if (r->c.rate > 0)
        table_also(text, "from when it was sent: p50 %s, p99 %s",
                   table_time(c[0], s->service_p50),
                   table_time(c[1], s->service_p99));
    add_calls(text, &r->counts);
    (void)fprintf(f, "<td class=\"notes\">");
    html_text(f, text);
    (void)fprintf(f, "</td>");
}

/* "4.36 to 4.46 us": the unit only once where it is the same. */
static void put_interval(FILE *f, const struct interval *i)
{
    char low[TABLE_CELL], high[TABLE_CELL], text[3 * TABLE_CELL];
    const char *unit;

    if (isnan(i->mid) || i->n < 2) {
        put_cell(f, "-");
        return;
    }
    (void)table_time(low, i->low);
    (void)table_time(high, i->high);
    unit = strchr(high, ' ');
    if (unit && strcmp(low + strcspn(low, " "), unit) == 0)
        low[strcspn(low, " ")] = '\0';
    (void)snprintf(text, sizeof text, "%s to %s", low, high);
    put_cell(f, text);
}

static void put_numbers(FILE *f, const struct plan *p, const struct row *r)
{
    char cell[TABLE_CELL];
    struct summary s;

    plan_summary(&s, p, r);
    put_time(f, s.p50.mid);
    put_interval(f, &s.p50);
    put_time(f, s.p90);
    put_time(f, s.p99);
    put_time(f, s.p999);
    put_time(f, s.max);
    put_cell(f, table_rate(cell, s.requests_per_s.mid));
    put_time(f, s.cpu_ns);
    put_cell(f, table_number(cell, s.switches));
    put_cell(f, table_calls(cell, r));
    put_cell(f, table_digits(cell, s.to_bare.mid));
    put_remarks(f, p, r, &s);
}

/* Why there are no numbers, as wide as they would be. */
static void put_error(FILE *f, const struct row *r)
{
    bool failed = r->error && !r->expected;

    (void)fprintf(f, "<td class=\"left%s\" colspan=\"%zu\">",
                  failed ? " bad" : " soft", HEADS);
    if (r->absent) {
        (void)fprintf(f, "not measured: this machine has no such CPUs");
    } else if (r->error) {
        (void)fprintf(f, failed ? "<b>FAILED:</b> " : "not available: ");
        html_text(f, error_name(r->error));
        (void)fputs(r->why[0] ? ", " : "", f);
        html_text(f, r->why);
    } else {
        (void)fprintf(f, "not measured");
    }
    (void)fprintf(f, "</td>");
}

static void put_row(FILE *f, const struct plan *p, const struct row *r,
                    const struct row *first)
{
    char text[TABLE_TEXT];

    (void)fprintf(f, "<tr><th scope=\"row\">");
    html_text(f, row_text(text, r, first));
    (void)fprintf(f, "</th>");
    if (table_measured(r))
        put_numbers(f, p, r);
    else
        put_error(f, r);
    (void)fprintf(f, "</tr>\n");
}

static void put_table_head(FILE *f, const struct row *first, size_t number)
{
    struct conditions c = first->c;
    char text[TABLE_TEXT];

    c.deadline_ms = -1; /* rows with one say so, and those with stalls */
    c.stall_us = 0;
    (void)fprintf(f, "<h3 id=\"t%zu-n\">%s: %s, %s, %s</h3>\n", number,
                  sweep_titles[first->sweep], table_wait(c.wait, true),
                  table_place(c.place), op_names[c.op]);
    (void)fprintf(f, "<p class=\"small soft\" id=\"t%zu-c\">", number);
    html_text(f, table_point(text, &c, first->sweep));
    (void)fprintf(f,
                  "</p>\n<div class=\"wide\" role=\"region\" tabindex=\"0\" "
                  "aria-labelledby=\"t%zu-n\">\n"
                  "<table aria-describedby=\"t%zu-c\">\n<thead><tr>"
                  "<th scope=\"col\" class=\"left\">mechanism</th>",
                  number, number);
    for (size_t i = 0; i < HEADS; i++)
        (void)fprintf(f, "<th scope=\"col\"%s>%s</th>",
                      i + 1 == HEADS ? " class=\"left\"" : "", heads[i]);
    (void)fprintf(f, "</tr></thead>\n<tbody>\n");
}

static void put_table(FILE *f, const struct plan *p, const struct row *first,
                      size_t number)
{
    put_table_head(f, first, number);
    for (size_t i = 0; i < p->count; i++)
        if (same_table(&p->rows[i], first))
            put_row(f, p, &p->rows[i], first);
    (void)fprintf(f, "</tbody>\n</table>\n</div>\n");
}

void html_tables(FILE *f, const struct plan *p)
{
    (void)fprintf(
        f,
        "<section aria-labelledby=\"numbers\">\n"
        "<h2 id=\"numbers\">All numbers</h2>\n"
        "<p class=\"small\">p50 is the median of the runs' medians. A tail is "
        "- with fewer than %d samples beyond it. CPU/req, switch, calls: "
        "CPU time, context switches and system calls of all processes, a "
        "request. / bare: p50 over that of the mechanism alone.</p>\n",
        STATS_BEYOND);
    put_breakdowns(f, p);
    for (size_t i = 0; i < p->count; i++)
        if (begins_table(p, &p->rows[i]))
            put_table(f, p, &p->rows[i], i + 1);
    (void)fprintf(f, "</section>\n");
}

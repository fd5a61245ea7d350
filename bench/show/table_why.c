/*
 * table_why.c - why a round trip costs what it costs (blocking)
 *
 * First what a request makes the kernel do, counted. Then where the time goes,
 * as a bar for each transport, all of a placement to the same scale:
 *
 *        pipe     CSSSSSSSSSSSSBBBWWWWWWWWWWWWWLLLL....|
 *                 parts, each measured by itself           | p50
 *
 * What isn't accounted for is dots. When the parts overlap, their sum is more
 * than the round trip: then letters stand right of the |, and the rest is
 * negative.
 */
#include "table_parts.h"

#include <math.h>
#include <string.h>

#define BAR      60   /* letters of the longest bar */
#define ROWS_MAX 32   /* of one placement */
#define LITTLE   0.05 /* calls a request that would be printed as 0.0 */

/* ---- what was counted --------------------------------------------------- */

/* The column of the calls by name: from NAMES_AT to NAMES_END. */
enum { NAMES_AT = 18, NAMES_END = 57 };

static void print_counts_head(const struct sheet *s)
{
    (void)fprintf(s->f, "%s  %-8.8s%6s  %-*s%10s%10s%12s%10s%s\n", s->st->dim,
                  "", "calls", NAMES_END - NAMES_AT, "by name", "copied",
                  "voluntary", "involuntary", "CPU/req", s->st->off);
}

/* "read 3.0 (1.0 failed)"; false when it is too little to show. */
static bool call_text(char text[TABLE_TEXT], const struct counts *c, unsigned i)
{
    if (!(c->call[i].calls >= LITTLE)) /* or NAN */
        return false;
    if (c->call[i].failed >= LITTLE)
        (void)snprintf(text, TABLE_TEXT, "%.24s %.1f (%.1f failed)",
                       c->call[i].name, c->call[i].calls, c->call[i].failed);
    else
        (void)snprintf(text, TABLE_TEXT, "%.24s %.1f", c->call[i].name,
                       c->call[i].calls);
    return true;
}

/* All of them: in `names` what fits into its column, in `more` the others. */
static void call_names(char names[TABLE_TEXT], char more[TABLE_TEXT],
                       const struct counts *c)
{
    const size_t room = NAMES_END - NAMES_AT - strlen(", ,");
    char *to = names, text[TABLE_TEXT];

    names[0] = more[0] = '\0';
    for (unsigned i = 0; i < COUNT_NAMES && c->call[i].name[0]; i++) {
        if (!call_text(text, c, i))
            continue;
        if (to == names && strlen(names) + strlen(text) > room)
            to = more;
        table_also(to, "%s", text);
    }
    if (more[0])
        table_also(names, "%s", ""); /* a comma: it goes on */
}

static void print_counts(const struct sheet *s, const struct row *r)
{
    const struct counts none = {.calls = NAN, .copied = NAN};
    const struct counts *n = r->counts.how == COUNT_NOT ? &none : &r->counts;
    char names[TABLE_TEXT], more[TABLE_TEXT], c[5][TABLE_CELL];
    struct summary v;

    plan_summary(&v, s->p, r);
    call_names(names, more, n);
    (void)fprintf(s->f, "  %-8.8s%6s  %-*s%10s%10s%12s%10s\n", r->c.transport,
                  table_number(c[0], n->calls), NAMES_END - NAMES_AT, names,
                  table_bytes(c[1], n->copied), table_number(c[2], v.voluntary),
                  table_number(c[3], v.involuntary),
                  table_time(c[4], v.cpu_ns));
    if (more[0]) {
        (void)fprintf(s->f, "%*s", NAMES_AT, "");
        table_words(s->f, NAMES_AT, NAMES_AT, more);
    }
}

/* ---- where the time goes ------------------------------------------------ */

static const char letters[TABLE_PARTS + 1] = "CSBWL.";

static void parts_of(double part[TABLE_PARTS], const struct breakdown *bd)
{
    const double all[TABLE_PARTS] = {bd->codec,  bd->calls, bd->copies,
                                     bd->waking, bd->own,   bd->rest};

    memcpy(part, all, sizeof all);
}

/* How far the bar goes: to p50, or to the end of the parts behind it. */
static double reach(const struct breakdown *bd)
{
    double part[TABLE_PARTS], sum = 0;

    parts_of(part, bd);
    for (unsigned i = 0; i < TABLE_PARTS; i++)
        sum += part[i] > 0 ? part[i] : 0;
    return sum > bd->total ? sum : bd->total;
}

/* Which part has the letter in column `at`: the one in which its middle lies;
 * TABLE_PARTS behind the last. What is negative has no letters. */
static unsigned part_at(const struct breakdown *bd, double unit, int at)
{
    double part[TABLE_PARTS], sum = 0;

    parts_of(part, bd);
    for (unsigned i = 0; i < TABLE_PARTS; i++) {
        sum += part[i] > 0 ? part[i] : 0;
        if ((at + 0.5) * unit < sum)
            return i;
    }
    return TABLE_PARTS;
}

static void print_bar(const struct sheet *s, const struct row *r,
                      const struct breakdown *bd, double unit)
{
    int end = (int)lround(reach(bd) / unit),
        p50 = (int)lround(bd->total / unit);
    unsigned old = TABLE_PARTS;

    (void)fprintf(s->f, "  %-8.8s ", r->c.transport);
    for (int at = 0; at <= end; at++) {
        unsigned part = part_at(bd, unit, at);

        if (at == p50) {
            (void)fprintf(s->f, "%s%s|%s", s->st->off, s->st->bold, s->st->off);
            old = TABLE_PARTS;
        }
        if (at == end || part == TABLE_PARTS)
            continue;
        if (part != old)
            (void)fprintf(s->f, "%s%s", s->st->off, s->st->part[part]);
        old = part;
        (void)fputc(letters[part], s->f);
    }
    (void)fprintf(s->f, "%s\n", s->st->off);
}

static void print_numbers_head(const struct sheet *s)
{
    static const char *const names[2][TABLE_PARTS + 1] = {
        {"C codec", "S system", "B bytes", "W waking", "L the lab's",
         ". the rest,", "|"},
        {"and store", "calls", "copied", "up", "own", "unexplained", "p50"}};

    for (int line = 0; line < 2; line++) {
        (void)fprintf(s->f, "%s  %-8.8s", line == 0 ? s->st->dim : "", "");
        for (unsigned i = 0; i <= TABLE_PARTS; i++)
            (void)fprintf(s->f, "%12s", names[line][i]);
        (void)fprintf(s->f, "%s\n", line == 1 ? s->st->off : "");
    }
}

static void print_numbers(const struct sheet *s, const struct row *r,
                          const struct breakdown *bd)
{
    double part[TABLE_PARTS];
    char c[TABLE_CELL];

    parts_of(part, bd);
    (void)fprintf(s->f, "  %-8.8s", r->c.transport);
    for (unsigned i = 0; i < TABLE_PARTS; i++)
        (void)fprintf(s->f, "%10s %s", table_time(c, part[i]),
                      i + 1 < TABLE_PARTS ? "+" : "=");
    (void)fprintf(s->f, "%s%12s%s\n", s->st->bold, table_time(c, bd->total),
                  s->st->off);
}

static void print_breakdowns(const struct sheet *s, const struct row *const *r,
                             size_t n)
{
    struct breakdown bd[ROWS_MAX];
    bool there[ROWS_MAX], any = false;
    double most = 0;
    char c[TABLE_CELL];

    for (size_t i = 0; i < n; i++) {
        there[i] = plan_breakdown(&bd[i], s->p, r[i]) && bd[i].total > 0;
        any |= there[i];
        most = there[i] && reach(&bd[i]) > most ? reach(&bd[i]) : most;
    }
    if (!any) {
        table_say(s->f, "Where the time goes can't be said: that takes the "
                        "direct call and the bare parts as well.");
        return;
    }
    (void)fprintf(s->f,
                  "\n  Where the time goes: a letter is %s, p50 is at "
                  "the |\n",
                  table_time(c, most / BAR));
    for (size_t i = 0; i < n; i++)
        if (there[i])
            print_bar(s, r[i], &bd[i], most / BAR);
    print_numbers_head(s);
    for (size_t i = 0; i < n; i++)
        if (there[i])
            print_numbers(s, r[i], &bd[i]);
        else
            (void)fprintf(s->f,
                          "  %-8.8s  not all of its parts were measured\n",
                          r[i]->c.transport);
}

/* ---- all ---------------------------------------------------------------- */

static void print_how(const struct sheet *s)
{
    const char *why = s->p->how_why;

    switch (s->p->how) {
    case COUNT_PERF:
        table_say(s->f, "All of it is a request, client and server together. "
                        "System calls were counted by perf tracepoints, which "
                        "hardly disturb.");
        break;
    case COUNT_STRACE:
        table_say(s->f,
                  "All of it is a request, client and server together. "
                  "Careful: system calls were counted by strace, which "
                  "disturbs what it counts: it stops a process twice a "
                  "call, and so changes who sleeps when. Futex calls "
                  "above all come out wrong.%s%s",
                  *why ? " Not by perf: " : "", why);
        break;
    case COUNT_NOT:
        table_say(s->f, "System calls were not counted%s%s", *why ? ": " : ".",
                  why);
        break;
    }
}

static size_t gather(const struct row **r, const struct plan *p,
                     enum place place)
{
    size_t n = 0;

    for (size_t i = 0; i < p->count && n < ROWS_MAX; i++)
        if (table_ranked(p, &p->rows[i]) && p->rows[i].c.wait == TP_BLOCK &&
            p->rows[i].c.place == place && table_measured(&p->rows[i]))
            r[n++] = &p->rows[i];
    return n;
}

void table_why(const struct sheet *s)
{
    bool any = false;

    for (unsigned place = 0; place < PLACE_COUNT; place++) {
        const struct row *r[ROWS_MAX];
        size_t n = gather(r, s->p, (enum place)place);

        if (n == 0 || place == PLACE_FREE) /* no two runs of it are alike */
            continue;
        table_title(s, "Why it costs that: blocking, %s",
                    table_place((enum place)place));
        print_counts_head(s);
        for (size_t i = 0; i < n; i++)
            print_counts(s, r[i]);
        print_breakdowns(s, r, n);
        any = true;
    }
    if (!any)
        return;
    (void)fputc('\n', s->f);
    print_how(s);
    table_say(s->f, "copied: bytes that read and write calls moved between a "
                    "process and the kernel. voluntary, involuntary: context "
                    "switches in which a process slept, or was put aside for "
                    "the one it had just woken. Each part of the time was "
                    "measured by itself, so they needn't add up: letters "
                    "right of the | say that parts overlap, and one of them "
                    "is negative then.");
}

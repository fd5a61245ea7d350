/*
 * table_cell.c - see table_parts.h: numbers, names and sentences
 *
 * Plain ASCII, so that bytes are columns whatever the locale.
 */
#include "table_parts.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

/* ---- cells -------------------------------------------------------------- */

/* Three digits that count. */
const char *table_digits(char cell[TABLE_CELL], double v)
{
    double size = fabs(v);

    if (isnan(v))
        (void)snprintf(cell, TABLE_CELL, "-");
    else if (size > 99999)
        (void)snprintf(cell, TABLE_CELL, ">1e5");
    else
        (void)snprintf(cell, TABLE_CELL, "%.*f",
                       size < 9.995   ? 2
                       : size < 99.95 ? 1
                                      : 0,
                       v);
    return cell;
}

static const char *scaled(char cell[TABLE_CELL], double v, const char *unit)
{
    char digits[TABLE_CELL];

    (void)snprintf(cell, TABLE_CELL, "%.12s %s", table_digits(digits, v), unit);
    return cell;
}

const char *table_time(char cell[TABLE_CELL], double ns)
{
    double size = fabs(ns);

    if (isnan(ns))
        (void)snprintf(cell, TABLE_CELL, "-");
    else if (size < 999.5) /* + 0.0: never "-0 ns" */
        (void)snprintf(cell, TABLE_CELL, "%.0f ns", rint(ns) + 0.0);
    else if (size < 999.5e3)
        scaled(cell, ns / 1e3, "us");
    else if (size < 999.5e6)
        scaled(cell, ns / 1e6, "ms");
    else
        scaled(cell, ns / 1e9, "s");
    return cell;
}

const char *table_rate(char cell[TABLE_CELL], double per_s)
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

const char *table_number(char cell[TABLE_CELL], double v)
{
    (void)snprintf(cell, TABLE_CELL, isnan(v) ? "-" : "%.1f", v);
    return cell;
}

const char *table_bytes(char cell[TABLE_CELL], double v)
{
    if (isnan(v))
        (void)snprintf(cell, TABLE_CELL, "-");
    else if (v < 1023.5)
        (void)snprintf(cell, TABLE_CELL, "%.0f B", v);
    else if (v < 1023.5 * 1024)
        scaled(cell, v / 1024, "KiB");
    else
        scaled(cell, v / 1024 / 1024, "MiB");
    return cell;
}

const char *table_spread(char cell[TABLE_CELL], const struct interval *i)
{
    double percent = 50 * (i->high - i->low) / i->mid;

    if (isnan(percent) || i->n < 2)
        (void)snprintf(cell, TABLE_CELL, "-");
    else
        (void)snprintf(cell, TABLE_CELL, percent < 999.5 ? "%.0f%%" : ">1k%%",
                       percent);
    return cell;
}

const char *table_ratio(char cell[TABLE_CELL], const struct interval *i)
{
    char mid[TABLE_CELL], low[TABLE_CELL], high[TABLE_CELL];

    if (isnan(i->mid) || i->n < 2)
        return table_digits(cell, i->mid);
    (void)snprintf(cell, TABLE_CELL, "%.5s (%.5s-%.5s)",
                   table_digits(mid, i->mid), table_digits(low, i->low),
                   table_digits(high, i->high));
    return cell;
}

const char *table_calls(char cell[TABLE_CELL], const struct row *r)
{
    bool counted = r->counts.how != COUNT_NOT;

    return table_number(cell, counted ? r->counts.calls : NAN);
}

const char *table_no_number(const struct row *r)
{
    if (table_measured(r))
        return NULL;
    if (r->absent || !r->error)
        return "-";
    if (!r->expected)
        return "FAILED";
    /* The same number on Linux, and short enough for a cell. */
    return r->error == -EOPNOTSUPP ? "ENOTSUP" : error_name(r->error);
}

/* ---- rows --------------------------------------------------------------- */

bool table_measured(const struct row *r)
{
    return !r->absent && !r->error && r->good > 0;
}

unsigned table_runs(const struct row *r)
{
    return r->good < r->runs ? r->good : r->runs;
}

bool table_ranked(const struct plan *p, const struct row *r)
{
    return r->sweep == SWEEP_BASE && table_is_lab(r) &&
           (r->c.deadline_ms < 0 || !plan_twin(p, r, KIND_LAB, -1));
}

const char *table_wait(enum tp_wait wait, bool small)
{
    static const char *const names[][2] = {
        [TP_BLOCK] = {"Blocking", "blocking"},
        [TP_SPIN] = {"Spinning", "spinning"},
        [TP_ADAPT] = {"Adaptive", "adaptive"}};

    return names[wait][small];
}

const char *table_place(enum place place)
{
    static const char *const names[PLACE_COUNT] = {
        [PLACE_SAME] = "same CPU",
        [PLACE_CROSS] = "other CPU",
        [PLACE_SMT] = "other thread of the core",
        [PLACE_CACHE] = "other core, shared cache",
        [PLACE_PACKAGE] = "other package",
        [PLACE_FREE] = "left to the scheduler"};

    return names[place];
}

void table_also(char text[TABLE_TEXT], const char *format, ...)
{
    size_t at = strlen(text);
    va_list ap;

    if (at > 0 && at < TABLE_TEXT - 3) {
        (void)snprintf(text + at, TABLE_TEXT - at, ", ");
        at += 2;
    }
    va_start(ap, format);
    (void)vsnprintf(text + at, TABLE_TEXT - at, format, ap);
    va_end(ap);
}

const char *table_thousands(char cell[TABLE_CELL], unsigned v)
{
    if (v < 1000)
        (void)snprintf(cell, TABLE_CELL, "%u", v);
    else if (v < 1000000)
        (void)snprintf(cell, TABLE_CELL, "%u,%03u", v / 1000, v % 1000);
    else
        (void)snprintf(cell, TABLE_CELL, "%u,%03u,%03u", v / 1000000,
                       v / 1000 % 1000, v % 1000);
    return cell;
}

/* What only some cases have. */
static void unusual(char text[TABLE_TEXT], const struct conditions *c,
                    enum sweep sweep)
{
    char cell[TABLE_CELL];

    if (c->deadline_ms >= 0)
        table_also(text, "a deadline of %d ms", c->deadline_ms);
    if (c->think_us && sweep != SWEEP_THINK)
        table_also(text, "the client idle for %s before each request",
                   table_time(cell, c->think_us * 1e3));
    if (c->work_us && sweep != SWEEP_WORK)
        table_also(text, "%s of work in the server",
                   table_time(cell, c->work_us * 1e3));
    if (c->rate > 0 && sweep != SWEEP_RATE)
        table_also(text, "%s requests/s", table_rate(cell, c->rate));
    if (c->op == OP_ADD && sweep != SWEEP_SYNC)
        table_also(text, c->sync ? "on disk before the reply" : "not synced");
    if (c->stall_us)
        table_also(text, "and ten times a second the server stops for %s",
                   table_time(cell, c->stall_us * 1e3));
}

const char *table_point(char text[TABLE_TEXT], const struct conditions *c,
                        enum sweep sweep)
{
    static const char *const ops[OP_COUNT] = {
        [OP_GET] = "one event by its id",
        [OP_ECHO] = "bytes through the codec",
        [OP_RAW] = "a message without codec and store",
        [OP_LIST] = "the events of six hours",
        [OP_ADD] = "a change, kept in a file"};
    char cell[TABLE_CELL];

    text[0] = '\0';
    if (sweep != SWEEP_BASE)
        table_also(text, "%s, %s", table_wait(c->wait, true),
                   table_place(c->place));
    if (sweep == SWEEP_BASE)
        table_also(text, "%s (%s), %zu bytes there", op_names[c->op],
                   ops[c->op], case_request_size(c));
    else
        table_also(text, "%s", op_names[c->op]);
    if (sweep != SWEEP_SIZE)
        table_also(text, "%zu bytes back", c->size);
    if (sweep != SWEEP_CLIENTS)
        table_also(text, "%u client%s", c->clients, c->clients == 1 ? "" : "s");
    if (sweep != SWEEP_DEPTH)
        table_also(text, "%u in flight", c->depth);
    if (sweep != SWEEP_EVENTS && c->op != OP_RAW && c->op != OP_ECHO)
        table_also(text, "%s events", table_thousands(cell, c->events));
    unusual(text, c, sweep);
    return text;
}

/* ---- sentences ---------------------------------------------------------- */

void table_words(FILE *f, int at, int hang, const char *text)
{
    bool first = true;

    text += strspn(text, " \n");
    while (*text) {
        int len = (int)strcspn(text, " \n");
        int gap = first ? 0 : 1;

        if (len > TABLE_WIDTH - hang)
            len = TABLE_WIDTH - hang; /* cut rather than run over */
        if (at + gap + len > TABLE_WIDTH) {
            (void)fprintf(f, "\n%*s", hang, "");
            at = hang;
            gap = 0;
        }
        at += fprintf(f, "%*s%.*s", gap, "", len, text);
        first = false;
        text += len;
        text += strspn(text, " \n");
    }
    (void)fputc('\n', f);
}

void table_say(FILE *f, const char *format, ...)
{
    char text[2000];
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    table_words(f, fprintf(f, "  "), 2, text);
}

void table_title(const struct sheet *s, const char *format, ...)
{
    char text[TABLE_TEXT];
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    (void)fprintf(s->f, "\n%s", s->st->bold);
    table_words(s->f, 0, 2, text);
    (void)fputs(s->st->off, s->f);
}

void table_error(const struct sheet *s, const char *name, const struct row *r)
{
    char text[CASE_WHY_MAX + 80];
    int at;

    (void)snprintf(text, sizeof text, "%s: %s%s%s",
                   r->expected ? "not available" : "FAILED",
                   error_name(r->error), r->why[0] ? ", " : "", r->why);
    (void)fputs(r->expected ? "" : s->st->red, s->f);
    at = fprintf(s->f, "  %-8s  ", name);
    table_words(s->f, at, 12, text);
    (void)fputs(r->expected ? "" : s->st->off, s->f);
}

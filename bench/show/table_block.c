/*
 * table_block.c - the cases of a sweep that are compared, and what is odd
 * about some of them
 */
#include "table_parts.h"

#include <stdlib.h>
#include <string.h>

/* ---- which rows belong together ----------------------------------------- */

bool table_is_lab(const struct row *r)
{
    return r->c.kind == KIND_LAB || r->c.kind == KIND_PEER;
}

/* What a sweep changes itself may differ. */
static bool same_numbers(const struct conditions *a, const struct conditions *b,
                         enum sweep sweep)
{
    return (sweep == SWEEP_SIZE || a->size == b->size) &&
           (sweep == SWEEP_CLIENTS || a->clients == b->clients) &&
           (sweep == SWEEP_DEPTH || a->depth == b->depth) &&
           (sweep == SWEEP_THINK || a->think_us == b->think_us) &&
           (sweep == SWEEP_WORK || a->work_us == b->work_us) &&
           (sweep == SWEEP_EVENTS || a->events == b->events) &&
           (sweep == SWEEP_SYNC || a->sync == b->sync) &&
           (sweep == SWEEP_RATE || !(a->rate < b->rate || a->rate > b->rate)) &&
           a->stall_us == b->stall_us;
}

bool table_same_block(const struct row *a, const struct row *b)
{
    bool lab = table_is_lab(a) && table_is_lab(b);

    if (a->sweep != b->sweep || a->c.op != b->c.op)
        return false;
    if (a->c.kind == KIND_NONE || b->c.kind == KIND_NONE)
        return a->sweep == SWEEP_EVENTS || a->c.size == b->c.size ||
               a->sweep == SWEEP_SIZE; /* waits for nobody, wherever it runs */
    if (a->c.wait != b->c.wait || a->c.place != b->c.place)
        return false;
    if (!lab) /* bare knows no deadline and no store */
        return a->sweep == SWEEP_SIZE || a->c.size == b->c.size;
    return a->c.deadline_ms == b->c.deadline_ms &&
           same_numbers(&a->c, &b->c, a->sweep);
}

/* Is it the first of a block? */
bool table_begins_block(const struct plan *p, size_t at)
{
    const struct row *r = &p->rows[at];

    if (!table_is_lab(r))
        return false;
    for (size_t i = 0; i < at; i++)
        if (table_is_lab(&p->rows[i]) && table_same_block(&p->rows[i], r))
            return false;
    return true;
}

static bool same_value(const struct row *a, const struct row *b)
{
    return !(a->value < b->value || a->value > b->value);
}

static int by_value(const void *a, const void *b)
{
    double x = (*(const struct row *const *)a)->value;
    double y = (*(const struct row *const *)b)->value;

    return (x > y) - (x < y);
}

static void add_value(struct table_block *b, const struct row *r)
{
    for (size_t i = 0; i < b->values; i++)
        if (same_value(b->value[i], r))
            return;
    if (b->values < TABLE_VALUES)
        b->value[b->values++] = r;
}

static void add_column(struct table_block *b, const char *transport)
{
    for (size_t i = 0; i < b->columns; i++)
        if (strcmp(b->column[i], transport) == 0)
            return;
    if (b->columns < TABLE_COLUMNS)
        b->column[b->columns++] = transport;
}

void table_lay_out(struct table_block *b, const struct sheet *s,
                   const struct row *first)
{
    *b = (struct table_block){.s = s, .first = first};
    for (size_t i = 0; i < s->p->count; i++) {
        const struct row *r = &s->p->rows[i];

        if (!table_same_block(first, r) || r->c.kind == KIND_ALONE)
            continue;
        b->bare |= r->c.kind == KIND_BARE;
        if (r->c.kind == KIND_BARE)
            continue;
        add_value(b, r);
        add_column(b, r->c.transport);
    }
    qsort(b->value, b->values, sizeof b->value[0], by_value);
}

/* The row of a cell, or NULL when there is no such case. */
const struct row *table_row_at(const struct table_block *b,
                               const char *transport, const struct row *value,
                               bool bare)
{
    const struct plan *p = b->s->p;

    for (size_t i = 0; i < p->count; i++) {
        const struct row *r = &p->rows[i];

        if (r->c.kind != KIND_ALONE && (r->c.kind == KIND_BARE) == bare &&
            same_value(r, value) && strcmp(r->c.transport, transport) == 0 &&
            table_same_block(b->first, r))
            return r;
    }
    return NULL;
}

const char *table_value(char cell[TABLE_CELL], const struct row *r)
{
    double v = r->value;

    switch (r->sweep) {
    case SWEEP_THINK:
    case SWEEP_WORK:
        if (!(v > 0))
            return "none";
        (void)snprintf(cell, TABLE_CELL, v < 1000 ? "%.0f us" : "%.4g ms",
                       v < 1000 ? v : v / 1000);
        return cell;
    case SWEEP_RATE:
        return v > 0 ? table_thousands(cell, (unsigned)v) : "closed";
    case SWEEP_SYNC: return r->c.sync ? "on disk" : "memory";
    default: return table_thousands(cell, (unsigned)v);
    }
}

/* ---- remarks ------------------------------------------------------------ */

/* Has an earlier row of the block failed in the same way? */
static bool said_before(const struct plan *p, const struct row *row)
{
    for (const struct row *r = p->rows; r < row; r++)
        if (table_same_block(r, row) && r->error == row->error &&
            strcmp(r->why, row->why) == 0 &&
            strcmp(r->c.transport, row->c.transport) == 0)
            return true;
    return false;
}

void table_errors(const struct sheet *s, const struct row *first)
{
    char name[CASE_NAME_MAX];

    for (size_t i = 0; i < s->p->count; i++) {
        const struct row *r = &s->p->rows[i];

        if (!r->error || r->absent || !table_same_block(first, r) ||
            r->c.kind == KIND_ALONE || said_before(s->p, r))
            continue;
        plan_name(name, r);
        (void)fputs(r->expected ? "" : s->st->red, s->f);
        table_say(s->f, "%s: %s%s%s%s", r->expected ? r->c.transport : name,
                  r->expected ? "" : "FAILED, ", error_name(r->error),
                  r->why[0] ? ", " : "", r->why);
        (void)fputs(r->expected ? "" : s->st->off, s->f);
    }
}

static bool in_block(const struct row *first, const struct row *r)
{
    return table_same_block(first, r) && table_is_lab(r) && table_measured(r);
}

/* Runs that all cases of a block have had alike; 0 when they differ. */
static unsigned common_runs(const struct plan *p, const struct row *first)
{
    unsigned runs = 0;

    for (size_t i = 0; i < p->count; i++) {
        if (!in_block(first, &p->rows[i]))
            continue;
        if (runs && runs != table_runs(&p->rows[i]))
            return 0;
        runs = table_runs(&p->rows[i]);
    }
    return runs;
}

/* Has another transport's row said it for this value? */
static bool value_listed(const struct plan *p, const struct row *first,
                         const struct row *row)
{
    for (const struct row *r = p->rows; r < row; r++)
        if (in_block(first, r) && same_value(r, row) &&
            table_runs(r) == table_runs(row))
            return true;
    return false;
}

/* Another "3 at 65,536", of peers "3 of tcp"; "..." once there are too many. */
static void list_runs(char list[TABLE_TEXT], const struct row *r)
{
    size_t len = strlen(list);
    char c[TABLE_CELL];

    if (len > TABLE_TEXT - 40 && list[len - 1] != '.')
        (void)snprintf(list + len, TABLE_TEXT - len, ", ...");
    if (len > TABLE_TEXT - 40)
        return;
    if (r->sweep == SWEEP_PEERS)
        table_also(list, "%u of %s", table_runs(r), r->c.transport);
    else
        table_also(list, "%u at %s", table_runs(r), table_value(c, r));
}

void table_few_runs(const struct sheet *s, const struct row *first)
{
    unsigned common = common_runs(s->p, first);
    char list[TABLE_TEXT] = "";

    if (common >= s->p->runs)
        return;
    if (common) {
        table_say(s->f, "Runs: %u a case instead of %u.", common, s->p->runs);
        return;
    }
    for (size_t i = 0; i < s->p->count; i++) {
        const struct row *r = &s->p->rows[i];

        if (in_block(first, r) && table_runs(r) < s->p->runs &&
            !value_listed(s->p, first, r))
            list_runs(list, r);
    }
    if (list[0])
        table_say(s->f, "Runs: %u a case, but %s.", s->p->runs, list);
}

/*
 * plot.c - see plot.h
 *
 *   plot_curves.c  how long a rare request takes
 *   plot_lines.c   a number over what a sweep changes
 *   plot_bars.c    the parts of a round trip; from p50 to p99
 *   chart.c        a script for gnuplot, and its axes
 *
 * Rows that were measured under the same conditions share a picture; what can
 * be seen in it is said in one sentence, and what is missing below it.
 *
 * Left out on purpose: sentences about results ("shm is the fastest"). A
 * picture says where to look; what is seen there depends on the machine.
 */
#include "plot.h"

#include "chart.h"
#include "gnuplot.h"
#include "plot_parts.h"
#include "table_parts.h"

#include <stdlib.h>
#include <string.h>

#define FONT 14

/* ---- which rows a picture shows ----------------------------------------- */

bool plot_same_picture(const struct row *a, const struct row *b)
{
    return a->sweep == b->sweep && a->c.wait == b->c.wait &&
           a->c.place == b->c.place && a->c.op == b->c.op &&
           a->c.stall_us == b->c.stall_us;
}

/* Is it one that pictures of its sweep show? */
static bool is_shown(const struct plan *p, const struct row *r)
{
    if (r->sweep == SWEEP_BASE)
        return table_ranked(p, r) || r->c.kind == KIND_PEER;
    return r->c.kind != KIND_ALONE;
}

bool plot_is_first(const struct plan *p, const struct row *row,
                   plot_alike *same)
{
    for (const struct row *r = p->rows; r < row; r++)
        if (is_shown(p, r) && same(r, row))
            return false;
    return is_shown(p, row);
}

static int by_value(const void *a, const void *b)
{
    const struct row *x = *(const struct row *const *)a;
    const struct row *y = *(const struct row *const *)b;

    if (x->value < y->value || x->value > y->value)
        return x->value < y->value ? -1 : 1;
    return (x > y) - (x < y); /* as in the plan */
}

size_t plot_gather(const struct row *list[PLOT_ROWS], const struct plan *p,
                   const struct row *first, plot_alike *same)
{
    size_t n = 0;

    for (size_t i = 0; i < p->count && n < PLOT_ROWS; i++)
        if (is_shown(p, &p->rows[i]) && same(&p->rows[i], first))
            list[n++] = &p->rows[i];
    qsort(list, n, sizeof list[0], by_value);
    return n;
}

/* ---- words -------------------------------------------------------------- */

const char *plot_line_name(char name[PLOT_TITLE], const struct row *r)
{
    (void)snprintf(name, PLOT_TITLE, "%s%s", r->c.transport,
                   r->c.kind == KIND_BARE ? ", bare" : "");
    return name;
}

void plot_note(struct chart *c, const struct row *r, const char *where)
{
    char name[PLOT_TITLE];

    if (r->absent || !r->error)
        return;
    (void)fprintf(c->notes, "%s%s: %s%s%s%s\n", plot_line_name(name, r), where,
                  r->expected ? "" : "FAILED: ", error_name(r->error),
                  r->why[0] ? ", " : "", r->why);
}

/* "6 runs a case", "6 to 10 runs a case". */
static void add_runs(struct picture *pic, const struct row *const *list,
                     size_t n)
{
    size_t at = strlen(pic->conditions);
    unsigned least = 0, most = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned runs = table_runs(list[i]);

        if (!table_measured(list[i]))
            continue;
        least = least == 0 || runs < least ? runs : least;
        most = runs > most ? runs : most;
    }
    if (least < most)
        (void)snprintf(pic->conditions + at, sizeof pic->conditions - at,
                       "; %u to %u runs a case", least, most);
    else
        (void)snprintf(pic->conditions + at, sizeof pic->conditions - at,
                       "; %u run%s a case", most, most == 1 ? "" : "s");
}

void plot_describe(struct chart *c, const char *title, const char *see,
                   const struct row *const *list, size_t n)
{
    struct picture *pic = &c->pic;
    const struct row *r = list[0];
    char text[TABLE_TEXT];

    /* A direct call waits for nobody: it doesn't say how the others do. */
    for (size_t i = 0; i < n && r->c.kind == KIND_NONE; i++)
        r = list[i];
    (void)snprintf(pic->title, sizeof pic->title, "%s (%s, %s%s%s)", title,
                   table_wait(r->c.wait, true), table_place(r->c.place),
                   r->c.op == OP_LIST ? ", list" : "",
                   r->c.stall_us ? ", the server stalls" : "");
    (void)snprintf(pic->conditions, sizeof pic->conditions, "%s",
                   table_point(text, &r->c, r->sweep));
    add_runs(pic, list, n);
    pic->see = see;
}

/* ---- all of them -------------------------------------------------------- */

/* Two that spin on one CPU take turns by time slice, a thousand times slower:
 * alone in a picture they show nothing. Their row in the table does. */
static bool is_counter_example(const struct row *r)
{
    return r->c.wait == TP_SPIN && r->c.place == PLACE_SAME;
}

/* The pictures that begin with this row, appended to list: how many. */
static size_t pictures_of(struct picture *list, const struct plan *p,
                          const struct row *r)
{
    size_t n = 0;

    switch (r->sweep) {
    case SWEEP_BASE:
        if (is_counter_example(r))
            break;
        n += plot_curves(&list[n], p, r);
        n += plot_breakdown(&list[n], p, r);
        break;
    case SWEEP_SYNC:
        n += plot_ranges(&list[n], p, r, "A change, on disk or not",
                         "From the mark (p50) to the end of the bar (p99): the "
                         "axis is logarithmic, and what waits for the disk is "
                         "far to the right.");
        break;
    case SWEEP_PEERS:
        n += plot_ranges(&list[n], p, r, "What people would use instead",
                         "From the mark (p50) to the end of the bar (p99), the "
                         "fastest first; the axis is logarithmic, and a short "
                         "bar is a steady one.");
        break;
    default: n += plot_lines(&list[n], p, r);
    }
    return n;
}

struct picture *plot_pictures(const struct plan *p, size_t *count)
{
    struct picture *list = NULL, *more;

    *count = 0;
    for (size_t i = 0; i < p->count; i++) {
        if (!plot_is_first(p, &p->rows[i], plot_same_picture))
            continue;
        more = realloc(list, (*count + PLOT_EACH) * sizeof *list);
        if (!more)
            break; /* those that there are */
        list = more;
        *count += pictures_of(list + *count, p, &p->rows[i]);
    }
    if (*count == 0) {
        free(list);
        list = NULL;
    }
    return list;
}

void plot_free(struct picture *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(list[i].notes);
        free(list[i].script);
    }
    free(list);
}

/* `head` before the script, in memory of the caller's. */
static char *with_head(const char *head, const struct picture *pic)
{
    size_t cap = strlen(head) + strlen(pic->script) + 1;
    char *text = malloc(cap);

    if (text)
        (void)snprintf(text, cap, "%s%s", head, pic->script);
    return text;
}

char *plot_svg_script(const struct picture *pic)
{
    char head[200];

    (void)snprintf(head, sizeof head,
                   "set terminal svg size %u,%u font 'sans-serif,%d' "
                   "noenhanced rounded\nset encoding utf8\n",
                   pic->width, pic->height, FONT);
    return with_head(head, pic);
}

/* ---- for a terminal ----------------------------------------------------- */

static bool first_curves(struct picture *pic, const struct plan *p)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->rows[i].sweep == SWEEP_BASE &&
            plot_is_first(p, &p->rows[i], plot_same_picture) &&
            plot_curves(pic, p, &p->rows[i]))
            return true;
    return false;
}

/* Without form feeds and the white space behind each line. */
static void print_lines(FILE *out, const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "\n"), end = len;

        while (end > 0 && (text[end - 1] == ' ' || text[end - 1] == '\f'))
            end--;
        if (end > 0)
            (void)fprintf(out, "%.*s\n", (int)end, text);
        text += len + (text[len] == '\n');
    }
}

void plot_terminal(FILE *out, const struct plan *p, int columns)
{
    char head[120], why[GNUPLOT_WHY_MAX], *script, *drawing = NULL;
    struct picture pic;
    size_t len;

    if (!first_curves(&pic, p))
        return;
    columns = columns < 40 ? 40 : columns > 100 ? 100 : columns;
    (void)snprintf(head, sizeof head,
                   "set terminal dumb noenhanced size %d,28\n", columns);
    script = with_head(head, &pic);
    if (script && gnuplot_run(&drawing, &len, script, GNUPLOT_MS, why) == 0) {
        (void)fprintf(out, "\n%s\n", pic.title);
        print_lines(out, drawing);
        table_words(out, 0, 0, pic.see);
    }
    free(drawing);
    free(script);
    free(pic.notes);
    free(pic.script);
}

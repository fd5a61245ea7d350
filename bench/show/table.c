/*
 * table.c - see table.h: the order of the tables, colours, the legend
 */
#include "table.h"

#include "table_parts.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool table_colour(FILE *f)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

    return isatty(fileno(f)) && !(no && *no) && term && *term &&
           strcmp(term, "dumb") != 0;
}

/* The sixteen old colours: every terminal has them, and its owner has chosen
 * how they look. */
static const struct style *style_of(bool colour)
{
    static const struct style on = {.bold = "\033[1m",
                                    .dim = "\033[2m",
                                    .red = "\033[31m",
                                    .off = "\033[0m",
                                    .part = {"\033[36m", "\033[33m", "\033[35m",
                                             "\033[34m", "\033[32m",
                                             "\033[2m"}};
    static const struct style off = {"", "", "", "", {"", "", "", "", "", ""}};

    return colour ? &on : &off;
}

static void print_legend(const struct sheet *s)
{
    (void)fprintf(s->f, "\n%s", s->st->dim);
    table_say(s->f,
              "p50: half of the requests took at most this long; +-: half of "
              "its 95 %% interval, over the runs. A tail is \"-\" with fewer "
              "than %d samples beyond it. ~: no significant difference from "
              "the row above. CPU/req, switch, calls: user + system time, "
              "context switches and system calls of both processes, a "
              "request. none: a direct call, codec and store alone. bare: the "
              "mechanism's smallest ping-pong of the same bytes.",
              STATS_BEYOND);
    (void)fputs(s->st->off, s->f);
}

void table_results(FILE *f, const struct plan *p, const struct machine *m,
                   bool colour)
{
    const struct sheet s = {.f = f, .p = p, .st = style_of(colour)};

    table_base(&s);
    table_prices(&s, TP_BLOCK);
    table_prices(&s, TP_ADAPT);
    table_why(&s);
    table_sweeps(&s);
    print_legend(&s);
    table_noise(&s, m);
}

/*
 * crash_table.c - see crash_table.h
 *
 * A cell of the table says where the process stopped and how many milliseconds
 * the others waited, for each way to wait:
 *
 *      half `writev` 1.2 / 0.9 / 1.1 ●
 *
 * It needs _DEFAULT_SOURCE for _SC_NPROCESSORS_ONLN.
 */
#define _DEFAULT_SOURCE
#include "crash_table.h"
#include "harness.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define README    "tests/README.md"
#define MARK_LINE "<!-- crash matrix: " /* "begin", "end" */

/* ---- results ---------------------------------------------------------------- */

static size_t count_steps(void)
{
    size_t n = 0;

    while (crash_steps[n].name)
        n++;
    return n;
}

static const struct result *result_of(const struct cell *cells, size_t step,
                                      size_t transport, size_t wait)
{
    return cells[(wait * TRANSPORTS + transport) * count_steps() + step].result;
}

/* What the summary shows of one cell. */
typedef double measure(const struct result *r);

static double others(const struct result *r)
{
    return r->others_ms;
}

static double back(const struct result *r)
{
    return r->back_ms;
}

/* The worst of all cells of one transport in which `side` dies. */
static double worst(const struct cell *cells, size_t transport, enum side side,
                    measure *of)
{
    double most = 0;

    for (size_t s = 0; crash_steps[s].name; s++)
        for (size_t w = 0; w < WAITS; w++) {
            double ms = of(result_of(cells, s, transport, w));

            if (crash_steps[s].dies == side && ms > most)
                most = ms;
        }
    return most;
}

/* ---- printing --------------------------------------------------------------- */

static void print_ms(FILE *f, double ms)
{
    (void)fprintf(f, ms < 10 ? "%.1f" : "%.0f", ms);
}

static void print_head(FILE *f, const char *first)
{
    (void)fprintf(f, "\n| %s |", first);
    for (size_t t = 0; t < TRANSPORTS; t++)
        (void)fprintf(f, " %s |", tp_all[t]->name);
    (void)fprintf(f, "\n|");
    for (const char *p = first; p; p = strchr(p + 1, '|'))
        (void)fputs(" --- |", f);
    for (size_t t = 0; t < TRANSPORTS; t++)
        (void)fputs(" --- |", f);
    (void)fputs("\n", f);
}

static void print_worst(FILE *f, const struct cell *cells)
{
    static const struct {
        const char *what;
        enum side side;
        measure *of;
    } rows[] = {
        {"a client dies: the others wait at most", CLIENT, others},
        {"... another client is served in its slot within", CLIENT, back},
        {"a server dies: all its clients know it within", SERVER, others},
        {"... the next server has answered them all within", SERVER, back},
    };

    print_head(f, "the worst, in ms");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        (void)fprintf(f, "| %s |", rows[i].what);
        for (size_t t = 0; t < TRANSPORTS; t++) {
            (void)fputs(" ", f);
            print_ms(f, worst(cells, t, rows[i].side, rows[i].of));
            (void)fputs(" |", f);
        }
        (void)fputs("\n", f);
    }
}

static void print_cell(FILE *f, const struct cell *cells, size_t step,
                       size_t transport)
{
    static const char *const when[] = {"before", "half", "after"};
    const struct step *s = &crash_steps[step];
    const char *not = step_why_not(s, transport);
    unsigned ran = 0, kept = 0;

    if (not ) {
        (void)fprintf(f, " *%s* |", not );
        return;
    }
    if (s->calls)
        (void)fprintf(f, " %s `%s`", when[s->when], s->calls[transport]);
    for (size_t w = 0; w < WAITS; w++) {
        const struct result *r = result_of(cells, step, transport, w);

        (void)fputs(w ? " / " : " ", f);
        print_ms(f, r->others_ms);
        ran += r->ran;
        kept += r->kept;
    }
    (void)fprintf(f, " %s |", kept == 0 ? "○" : kept == ran ? "●" : "◐");
}

static void print_steps(FILE *f, const struct cell *cells, enum side side)
{
    static const char *const events[] = {"never there", "may be there, once",
                                         "there"};

    print_head(f, side == CLIENT ? "a client is killed: | its event"
                                 : "the server is killed: | the event");
    for (size_t s = 0; crash_steps[s].name; s++) {
        const struct step *step = &crash_steps[s];

        if (step->dies != side)
            continue;
        (void)fprintf(f, "| %s%s | %s |", step->name,
                      step->at == side ? "" : " ¹", events[step->request]);
        for (size_t t = 0; t < TRANSPORTS; t++)
            print_cell(f, cells, s, t);
        (void)fputs("\n", f);
    }
}

/* The processor's name; "unknown CPU" where /proc doesn't say. */
static void cpu_name(char name[80])
{
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[200];

    (void)snprintf(name, 80, "unknown CPU");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "model name : %79[^\n]", name) == 1)
            break;
    if (f)
        (void)fclose(f); /* only read */
}

/* Whose numbers these are: machine, kernel and date. */
static void print_machine(FILE *f, const struct cell *cells)
{
    struct utsname u = {.release = "?"};
    unsigned ran = 0, ok = 0, major = 0, minor = 0;
    time_t now = time(NULL);
    struct tm tm;
    char day[20], cpu[80];

    for (size_t i = 0; i < count_steps() * TRANSPORTS * WAITS; i++) {
        ran += cells[i].result->ran;
        ok += cells[i].result->ran && cells[i].result->ok;
    }
    (void)uname(&u); /* then it says "?" */
    (void)sscanf(u.release, "%u.%u", &major, &minor);
    (void)gmtime_r(&now, &tm);
    (void)strftime(day, sizeof day, "%Y-%m-%d", &tm);
    cpu_name(cpu);
    (void)fprintf(f,
                  "\n%u of %u cells kept all promises (%s, %ld CPUs, Linux "
                  "%u.%u, %s).\n",
                  ok, ran, cpu, sysconf(_SC_NPROCESSORS_ONLN), major, minor,
                  day);
}

void crash_table_print(FILE *f, const struct cell *cells)
{
    print_machine(f, cells);
    print_worst(f, cells);
    print_steps(f, cells, CLIENT);
    print_steps(f, cells, SERVER);
    (void)fputs("\n", f);
}

/* ---- comparing --------------------------------------------------------------- */

/* The next row of a table in the text at *at, without what was measured: each
 * number becomes a 0, each circle (three bytes of UTF-8) a ?. False: there is
 * no further row. */
static bool next_row(const char **at, char *row, size_t cap)
{
    const char *p = *at;
    size_t n = 0;

    while (*p && *p != '|') { /* to the next line's beginning */
        p += strcspn(p, "\n");
        p += *p == '\n';
    }
    while (*p && *p != '\n' && n + 1 < cap) {
        size_t digits = strspn(p, "0123456789.");

        if (strncmp(p, "\xe2\x97", 2) == 0) { /* ● ◐ ○ */
            row[n++] = '?';
            p += 3;
        } else if (digits && *p != '.') {
            row[n++] = '0';
            p += digits;
        } else {
            row[n++] = *p++;
        }
    }
    row[n] = '\0';
    *at = p;
    return n > 0;
}

/* What stands in README.md between the two marks, or NULL; the caller's. */
static char *committed(void)
{
    FILE *f = fopen(README, "r");
    char line[4096], *text = NULL;
    size_t size = 0;
    bool inside = false;
    FILE *out = f ? open_memstream(&text, &size) : NULL;

    REQUIRE(!f || out);
    while (f && fgets(line, sizeof line, f)) {
        if (strncmp(line, MARK_LINE, sizeof MARK_LINE - 1) == 0)
            inside = !inside;
        else if (inside)
            (void)fputs(line, out); /* closing tells */
    }
    if (f)
        (void)fclose(f); /* only read */
    if (out)
        REQUIRE(fclose(out) == 0);
    return text;
}

void crash_table_check(const void *arg)
{
    char *have = committed(), *want = NULL;
    char have_row[2000], want_row[2000];
    const char *h = have, *w;
    size_t size = 0;
    FILE *out;
    bool more;

    if (!have) {
        harness_skip("%s isn't here: this is run from another folder", README);
        return;
    }
    out = open_memstream(&want, &size);
    REQUIRE(out != NULL);
    crash_table_print(out, arg);
    REQUIRE(fclose(out) == 0);
    w = want;
    do { /* up to the first difference; `make crash-table` mends it */
        more = next_row(&w, want_row, sizeof want_row);
        (void)next_row(&h, have_row, sizeof have_row);
        EXPECT_STR(want_row, have_row);
    } while (more && strcmp(want_row, have_row) == 0);
    free(have);
    free(want);
}

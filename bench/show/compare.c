/*
 * compare.c - see compare.h
 *
 *      old.json --read--> results --\
 *                                    >-- pair by name --> verdict --> table
 *      new.json --read--> results --/
 *
 * When is a case better or worse? Each result has an interval around its p50,
 * the order statistics of its runs' medians, which covers the true one with
 * 95 % (stats.h). Only when the two intervals don't touch there is a verdict,
 * and the ratio is shown with the widest range that they allow: new.low /
 * old.high to new.high / old.low.
 *
 * This is conservative: it misses small differences that a test would find,
 * and never finds one that a test wouldn't (N. Schenker and J. F. Gentleman,
 * "On judging the significance of differences by examining the overlap between
 * confidence intervals", The American Statistician 55, 2001). That is wanted
 * here. Forty cases are compared at once, and at one false alarm in twenty two
 * of them would be "worse" each time. With six runs a side the intervals are
 * the smallest and the largest run; of the 924 ways to deal twelve equal runs
 * to two sides only two part them like this: one false alarm in 462.
 *
 * That holds for a machine which is the same both times, and no machine quite
 * is. So the exit code is 1 only when the whole range lies beyond a threshold:
 * when even the best reading of both results is that much slower.
 *
 * Left out on purpose: a bootstrap of the medians. Six runs are too few for
 * it: what it can draw are the same six values again, so it knows nothing of
 * the tail beyond them and its interval is too narrow. And pairing the runs by
 * round, as the table of one benchmark does: two files share no rounds.
 *
 * The files come from anywhere: nothing in them is taken on trust, nor printed
 * without a look at its bytes.
 */
#include "compare.h"

#include "case.h"
#include "plan.h"
#include "stats.h"
#include "table.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH     100 /* of a line, without its colours */
#define PATH_MOST 33  /* of a path in it */

/* A case takes a few kilobytes; and cJSON up to 40 times the file's size. */
#define FILE_MOST ((size_t)8 << 20)

/* Longer than any run: what is above was not measured. */
#define NS_MOST 1e15

/* ---- reading ------------------------------------------------------------ */

struct entry {
    const char *name;    /* the JSON's */
    struct interval p50; /* mid NAN: too few samples for a median */
    bool failed;
    bool absent;         /* failed: the machine has no such placement */
    bool unplaced;       /* where it ran was the scheduler's luck */
    const char *message; /* why it failed; "" = not said */
};

struct results {
    const char *path;
    cJSON *root;
    const cJSON *context;
    struct entry *entry; /* in the file's order */
    const struct entry **by_name;
    size_t count;
    char *why; /* the caller's */
    size_t why_cap;
};

static int refuse(const struct results *r, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int refuse(const struct results *r, int code, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(r->why, r->why_cap, format, ap);
    va_end(ap);
    return code;
}

static int no_memory(const struct results *r)
{
    return refuse(r, COMPARE_IO, "'%.80s': not enough memory to read it",
                  r->path);
}

/* All of a file, which may be a pipe, into *text with a NUL behind it. */
static int read_stream(const struct results *r, FILE *f, char **text,
                       size_t *len)
{
    size_t cap = 0;

    do {
        char *more = realloc(*text, cap ? 2 * cap : 65536);

        if (!more)
            return no_memory(r);
        *text = more;
        cap = cap ? 2 * cap : 65536;
        *len += fread(*text + *len, 1, cap - 1 - *len, f);
        if (*len > FILE_MOST)
            return refuse(
                r, COMPARE_DATA,
                "'%.80s' has more than %zu MiB: no result of ipcbench "
                "has; give the JSON file that it wrote",
                r->path, FILE_MOST >> 20);
    } while (*len == cap - 1);
    (*text)[*len] = '\0';
    if (ferror(f))
        return refuse(r, COMPARE_IO, "cannot read '%.80s': %s %s", r->path,
                      error_name(-errno), strerror(errno));
    return 0;
}

/* Trailing bytes aren't JSON, nor is a NUL, which would hide what follows. */
static int parse(struct results *r, const char *text, size_t len)
{
    const char *end = text;
    size_t line = 1;

    r->root = cJSON_ParseWithLengthOpts(text, len + 1, &end, true);
    if (r->root && strlen(text) == len)
        return 0;
    for (const char *p = text; p < end; p++)
        line += *p == '\n';
    return refuse(
        r, COMPARE_DATA,
        "'%.80s', line %zu: this is not JSON, or was cut off; give the "
        "JSON file that ipcbench wrote",
        r->path, line);
}

static int read_json(struct results *r)
{
    FILE *f = fopen(r->path, "r");
    char *text = NULL;
    size_t len = 0;
    int err;

    if (!f)
        return refuse(r, COMPARE_IO,
                      "cannot open '%.80s': %s %s; make bench writes "
                      "build/bench/results.json",
                      r->path, error_name(-errno), strerror(errno));
    err = read_stream(r, f, &text, &len);
    (void)fclose(f); /* only read */
    if (!err)
        err = parse(r, text, len);
    free(text); /* cJSON keeps copies */
    return err;
}

/* ---- is it what it should be? ------------------------------------------- */

static const cJSON *item(const cJSON *o, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(o, key);
}

/* Names are printed, and compared: no blanks, no escape sequences. */
static bool good_name(const char *name)
{
    size_t len = name ? strlen(name) : 0;

    for (size_t i = 0; i < len; i++)
        if (name[i] <= ' ' || name[i] > '~')
            return false;
    return len > 0 && len < CASE_NAME_MAX;
}

/* Written so that a string, NAN and infinity fail. */
static bool get_number(double *v, const cJSON *o, const char *key, double most)
{
    const cJSON *i = item(o, key);

    *v = cJSON_IsNumber(i) ? i->valuedouble : NAN;
    return *v >= 0 && *v <= most;
}

static int read_p50(const struct results *r, const cJSON *o, struct entry *e)
{
    struct interval *p50 = &e->p50;
    const char *bad = NULL;

    if (cJSON_IsNull(item(o, "p50_ns")))
        return 0; /* too few samples: NAN, as it is */
    if (!get_number(&p50->mid, o, "p50_ns", NS_MOST))
        bad = "p50_ns";
    else if (!get_number(&p50->low, o, "p50_low_ns", p50->mid))
        bad = "p50_low_ns";
    else if (!get_number(&p50->high, o, "p50_high_ns", NS_MOST) ||
             p50->high < p50->mid)
        bad = "p50_high_ns";
    else if (!get_number(&p50->coverage, o, "interval_coverage", 1))
        bad = "interval_coverage";
    if (bad)
        return refuse(r, COMPARE_DATA,
                      "'%.80s', case %s: %s is missing or impossible; measure "
                      "again",
                      r->path, e->name, bad);
    return 0;
}

/* The machine that it comes from had no CPUs for this placement. */
static bool no_cpus(const struct results *r, const char *place)
{
    char key[40];
    const cJSON *cpus;

    (void)snprintf(key, sizeof key, "cpus_%.30s", place);
    cpus = item(r->context, key);
    return cJSON_IsArray(cpus) && cJSON_GetArraySize(cpus) == 0;
}

static int read_entry(const struct results *r, const cJSON *o, struct entry *e)
{
    const cJSON *error = item(o, "error_occurred");
    const char *message = cJSON_GetStringValue(item(o, "error_message"));
    const char *place = cJSON_GetStringValue(item(o, "place"));

    e->name = cJSON_GetStringValue(item(o, "name"));
    e->p50 = (struct interval){NAN, NAN, NAN, 0, 0};
    e->failed = cJSON_IsTrue(error);
    e->absent = e->failed && place && no_cpus(r, place);
    e->unplaced = place && strcmp(place, place_names[PLACE_FREE]) == 0;
    e->message = message ? message : "";
    if (!good_name(e->name))
        return refuse(r, COMPARE_DATA,
                      "'%.80s', case %td: it has no proper name; measure again",
                      r->path, e - r->entry + 1);
    if (!cJSON_IsBool(error))
        return refuse(
            r, COMPARE_DATA,
            "'%.80s', case %s: error_occurred is missing; measure again",
            r->path, e->name);
    return e->failed ? 0 : read_p50(r, o, e);
}

static int by_name(const void *a, const void *b)
{
    const struct entry *const *x = a, *const *y = b;

    return strcmp((*x)->name, (*y)->name);
}

static int read_entries(struct results *r, const cJSON *list)
{
    size_t n = (size_t)cJSON_GetArraySize(list);
    const cJSON *o;
    int err = 0;

    r->entry = calloc(n, sizeof *r->entry);
    r->by_name = calloc(n, sizeof(const struct entry *));
    if (!r->entry || !r->by_name)
        return no_memory(r);
    cJSON_ArrayForEach(o, list)
    {
        r->by_name[r->count] = &r->entry[r->count];
        err = read_entry(r, o, &r->entry[r->count]);
        if (err)
            return err;
        r->count++;
    }
    qsort(r->by_name, n, sizeof r->by_name[0], by_name);
    for (size_t i = 1; i < n; i++)
        if (by_name(&r->by_name[i - 1], &r->by_name[i]) == 0)
            return refuse(r, COMPARE_DATA,
                          "'%.80s': case %s is there twice; measure again",
                          r->path, r->by_name[i]->name);
    return 0;
}

/* Many programs write JSON with benchmarks in it; ours says who it is. */
static int read_results(struct results *r)
{
    const cJSON *list;
    const char *who;
    int err = read_json(r);

    if (err)
        return err;
    r->context = item(r->root, "context");
    who = cJSON_GetStringValue(item(r->context, "executable"));
    if (!who || strcmp(who, "ipcbench") != 0)
        return refuse(r, COMPARE_DATA,
                      "'%.80s' is JSON, but of another program; give the JSON "
                      "file that ipcbench wrote",
                      r->path);
    list = item(r->root, "benchmarks");
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) == 0)
        return refuse(r, COMPARE_DATA,
                      "'%.80s' has no benchmarks in it; measure again",
                      r->path);
    return read_entries(r, list);
}

static void free_results(struct results *r)
{
    free(r->entry);
    free(r->by_name);
    cJSON_Delete(r->root);
}

static const struct entry *find(const struct results *r, const char *name)
{
    const struct entry wanted = {.name = name}, *key = &wanted;
    const struct entry **found =
        bsearch(&key, r->by_name, r->count, sizeof r->by_name[0], by_name);

    return found ? *found : NULL;
}

/* ---- verdicts ----------------------------------------------------------- */

enum verdict {
    BETTER,
    WORSE,
    ALIKE,   /* no significant difference */
    UNKNOWN, /* nothing to compare: failed in both, too few samples ... */
    ONLY_OLD,
    ONLY_NEW,
    VERDICTS
};

struct pair {
    const struct entry *old, *now; /* NULL: only in the other */
    enum verdict verdict;
    bool beyond;             /* worse, and beyond the threshold */
    double ratio, low, high; /* new / old */
};

static double quotient(double a, double b)
{
    if (b > 0)
        return a / b;
    return a > 0 ? INFINITY : 1; /* the clock's first tick is 0 ns */
}

static void judge_failures(struct pair *p)
{
    if (p->old->absent || p->now->absent || p->old->failed == p->now->failed)
        p->verdict = UNKNOWN;
    else
        p->verdict = p->now->failed ? WORSE : BETTER;
    p->beyond = p->verdict == WORSE;
}

static void judge_times(struct pair *p, double threshold)
{
    const struct interval *old = &p->old->p50, *now = &p->now->p50;

    p->ratio = quotient(now->mid, old->mid);
    p->low = quotient(now->low, old->high);
    p->high = quotient(now->high, old->low);
    if (p->now->unplaced)
        p->verdict = UNKNOWN; /* it jumps by a factor of 15 by itself */
    else if (!interval_differ(old, now))
        p->verdict = ALIKE; /* or too few runs to say */
    else
        p->verdict = now->mid < old->mid ? BETTER : WORSE;
    p->beyond = p->verdict == WORSE && p->low > 1 + threshold / 100;
}

static struct pair judge(const struct entry *old, const struct entry *now,
                         double threshold)
{
    struct pair p = {old, now, UNKNOWN, false, NAN, NAN, NAN};

    if (!old)
        p.verdict = ONLY_NEW;
    else if (!now)
        p.verdict = ONLY_OLD;
    else if (old->failed || now->failed)
        judge_failures(&p);
    else if (!isnan(old->p50.mid) && !isnan(now->p50.mid))
        judge_times(&p, threshold);
    return p;
}

/* ---- printing ----------------------------------------------------------- */

struct table {
    FILE *f;
    bool colour;
    int name_width;
    double threshold;
    size_t count[VERDICTS], beyond;
    double *ratio; /* of all cases that have one */
    size_t ratios;
};

static const char *paint(const struct table *t, const char *sequence)
{
    return t->colour ? sequence : "";
}

/* Text from a file: what isn't plain becomes '?', and it is cut to fit. */
static void print_text(FILE *f, const char *text, size_t most)
{
    size_t len = strlen(text);

    for (size_t i = 0; i < len && i < most; i++)
        (void)fputc(text[i] < ' ' || text[i] > '~' ? '?' : text[i], f);
    if (len > most)
        (void)fputs("...", f);
}

/* Three digits that count, in at most 5 bytes. */
static const char *number(char cell[TABLE_CELL], double v)
{
    int digits = v < 9.995 ? 2 : v < 99.95 ? 1 : 0;
    bool extreme = v >= 99999.5 || (v > 0 && v < 0.005);

    if (extreme)
        (void)snprintf(cell, TABLE_CELL, "%.0e", v);
    else
        (void)snprintf(cell, TABLE_CELL, "%.*f", digits, v);
    return cell;
}

static const char *verdict_text(const struct pair *p)
{
    if (p->verdict == ONLY_OLD)
        return "only in old";
    if (p->verdict == ONLY_NEW)
        return "only in new";
    if (p->old->absent || p->now->absent)
        return "no such CPU";
    if (p->now->failed)
        return p->old->failed ? "failed" : "FAILED NOW";
    if (p->old->failed)
        return "works now";
    switch (p->verdict) {
    case BETTER: return "better";
    case WORSE: return p->beyond ? "WORSE" : "worse";
    case ALIKE: return "~";
    default: return p->now->unplaced ? "not ranked" : "no median";
    }
}

static const char *verdict_colour(const struct table *t, const struct pair *p)
{
    if (p->verdict == WORSE)
        return paint(t, p->beyond ? "\033[1;31m" : "\033[31m");
    return paint(t, p->verdict == BETTER ? "\033[32m" : "\033[2m");
}

static void print_pair(const struct table *t, const struct pair *p)
{
    const char *name = p->now ? p->now->name : p->old->name;
    char c[3][TABLE_CELL], ratio[3 * TABLE_CELL + 8] = "";
    double old = p->old ? p->old->p50.mid : NAN;
    double now = p->now ? p->now->p50.mid : NAN;

    if (!isnan(p->ratio))
        (void)snprintf(ratio, sizeof ratio, "%s (%s-%s)",
                       number(c[0], p->ratio), number(c[1], p->low),
                       number(c[2], p->high));
    (void)fputs(verdict_colour(t, p), t->f);
    if ((int)strlen(name) > t->name_width) { /* a line of its own */
        (void)print_text(t->f, name, WIDTH - 3);
        (void)fputc('\n', t->f);
        name = "";
    }
    (void)fprintf(t->f, "%-*s %9s %9s  %-19s %s%s\n", t->name_width, name,
                  table_time(c[0], old), table_time(c[1], now), ratio,
                  verdict_text(p), paint(t, "\033[0m"));
    if (p->now && p->now->failed && p->verdict == WORSE) {
        (void)fputs("    ", t->f);
        print_text(t->f, p->now->message, WIDTH - 4 - 3);
        (void)fputc('\n', t->f);
    }
}

static void add_pair(struct table *t, const struct entry *old,
                     const struct entry *now)
{
    struct pair p = judge(old, now, t->threshold);

    print_pair(t, &p);
    t->count[p.verdict]++;
    t->beyond += p.beyond;
    if (!isnan(p.ratio))
        t->ratio[t->ratios++] = p.ratio;
}

/* In the order of the new file; then what only the old one has. */
static void print_table(struct table *t, const struct results *old,
                        const struct results *now)
{
    enum { LEAST = 24, MOST = WIDTH - 9 - 9 - 19 - 11 - 5 };
    int width = LEAST;

    for (size_t i = 0; i < now->count; i++) {
        int len = (int)strlen(now->entry[i].name);

        width = len > width && len <= MOST ? len : width;
    }
    t->name_width = width;
    (void)fprintf(t->f, "\n%s%-*s %9s %9s  %s%s\n", paint(t, "\033[2m"), width,
                  "case", "old p50", "new p50", "new / old",
                  paint(t, "\033[0m"));
    for (size_t i = 0; i < now->count; i++)
        add_pair(t, find(old, now->entry[i].name), &now->entry[i]);
    for (size_t i = 0; i < old->count; i++)
        if (!find(now, old->entry[i].name))
            add_pair(t, &old->entry[i], NULL);
}

/* ---- before and after the table ----------------------------------------- */

static void print_source(const struct table *t, const char *which,
                         const struct results *r)
{
    const char *date = cJSON_GetStringValue(item(r->context, "date"));
    const char *revision = cJSON_GetStringValue(item(r->context, "revision"));
    const char *noise = cJSON_GetStringValue(item(r->context, "noise"));

    size_t len = strlen(r->path);

    /* Of a long path the end says more than the beginning. */
    (void)fprintf(t->f, "%s: %s", which, len > PATH_MOST ? "..." : "");
    print_text(t->f, r->path + (len > PATH_MOST ? len - PATH_MOST : 0), len);
    (void)fputs(", ", t->f);
    print_text(t->f, date ? date : "no date", 20);
    (void)fputs(", revision ", t->f);
    print_text(t->f, revision ? revision : "unknown", 20);
    (void)fputc('\n', t->f);
    if (cJSON_IsTrue(item(r->context, "partial")))
        (void)fprintf(t->f,
                      "note: the %s result is partial: it was interrupted, "
                      "and has fewer runs or cases\n",
                      which);
    if (cJSON_IsTrue(item(r->context, "noisy"))) {
        (void)fprintf(t->f, "note: %s: ", which);
        print_text(t->f, noise ? noise : "noisy", WIDTH - 11 - 3);
        (void)fputc('\n', t->f);
    }
}

/* What must be the same for a difference to be the program's. Other
 * conditions (sizes, placements ...) are in the cases' names. */
static const char *const conditions[] = {
    "cpu_model",    "num_cpus",    "allowed_cpus",   "smt",
    "cpus_same",    "cpus_cross",  "cpus_smt",       "cpus_cache",
    "cpus_package", "hypervisor",  "container",      "governor",
    "kernel",       "mitigations", "clock_source",   "compiler",
    "cflags",       "runs",        "seconds_per_run"};

static void print_value(const struct table *t, const cJSON *value)
{
    char *text = cJSON_IsNull(value) ? NULL : cJSON_PrintUnformatted(value);

    print_text(t->f, text ? text : "none", 34);
    cJSON_free(text);
}

/* A key that one of the files doesn't have says nothing: a later version may
 * have added it. */
static void print_conditions(const struct table *t, const struct results *old,
                             const struct results *now)
{
    bool begun = false;

    for (size_t i = 0; i < sizeof conditions / sizeof conditions[0]; i++) {
        const cJSON *a = item(old->context, conditions[i]);
        const cJSON *b = item(now->context, conditions[i]);

        if (!a || !b || cJSON_Compare(a, b, true))
            continue;
        if (!begun)
            (void)fprintf(t->f,
                          "%swarning: not measured under the same conditions; "
                          "what differs below may be due to:%s\n",
                          paint(t, "\033[1m"), paint(t, "\033[0m"));
        begun = true;
        (void)fprintf(t->f, "  %-16s ", conditions[i]);
        print_value(t, a);
        (void)fputs(" -> ", t->f);
        print_value(t, b);
        (void)fputc('\n', t->f);
    }
}

static void print_summary(const struct table *t)
{
    const size_t *n = t->count;
    size_t both = n[BETTER] + n[WORSE] + n[ALIKE] + n[UNKNOWN];
    char cell[TABLE_CELL];

    (void)fprintf(t->f,
                  "\n%zu case%s: %zu better, %zu worse, %zu no significant "
                  "difference",
                  both, both == 1 ? "" : "s", n[BETTER], n[WORSE], n[ALIKE]);
    if (n[UNKNOWN] > 0)
        (void)fprintf(t->f, ", %zu not comparable", n[UNKNOWN]);
    if (n[ONLY_OLD] + n[ONLY_NEW] > 0)
        (void)fprintf(t->f, "\nNot counted: %zu only in old, %zu only in new",
                      n[ONLY_OLD], n[ONLY_NEW]);
    (void)fprintf(t->f, "\n%s", paint(t, "\033[2m"));
    if (t->ratios > 0)
        (void)fprintf(t->f,
                      "The median of all ratios is %s. Where all cases change "
                      "alike, the machine did, not the program.\n",
                      number(cell, interval_of(t->ratio, t->ratios).mid));
    (void)fprintf(t->f,
                  "In brackets: what the ratio can be, each p50 being anywhere "
                  "in its interval. ~: that can be 1, or\nthere are too few "
                  "runs to say. WORSE (%zu): all of it is above %g, or it "
                  "fails and didn't before.%s\n",
                  t->beyond, 1 + t->threshold / 100, paint(t, "\033[0m"));
}

int compare_files(FILE *out, const char *base, const char *now,
                  double threshold, bool colour, char *why, size_t why_cap)
{
    struct results a = {.path = base, .why = why, .why_cap = why_cap};
    struct results b = {.path = now, .why = why, .why_cap = why_cap};
    struct table t = {.f = out, .colour = colour, .threshold = threshold};
    int err = read_results(&a);

    if (!err)
        err = read_results(&b);
    t.ratio = err ? NULL : calloc(b.count, sizeof *t.ratio);
    if (!err && !t.ratio)
        err = no_memory(&b);
    if (!err) {
        print_source(&t, "old", &a);
        print_source(&t, "new", &b);
        print_conditions(&t, &a, &b);
        print_table(&t, &a, &b);
        print_summary(&t);
    }
    free(t.ratio);
    free_results(&a);
    free_results(&b);
    if (err)
        return err;
    return t.beyond ? COMPARE_WORSE : COMPARE_FINE;
}
